"""Tile programs without a GPU: the part of Triton's language that chapter 14 teaches, on a machine that checks and counts every access.

    from deepgen_lib.tiles import jit, tl

    @jit
    def double(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(y_ptr + i, 2 * tl.load(x_ptr + i, mask=i < n, other=0.0), mask=i < n)

    double[(4,)](x, y, 13, BLOCK=4)     # four programs -> Traffic(programs=4, loaded=52, stored=52, ...)

The source is Triton's: `in_triton` runs recorded launches in Triton's own interpreter, where it is installed, and a GPU compiles the same text.
"""
from . import language as tl
from .in_triton import has_triton, in_triton
from .machine import Kernel, jit, record
from .memory import OutOfBounds, Race, Traffic

__all__ = ["Kernel", "OutOfBounds", "Race", "Traffic", "has_triton", "in_triton", "jit", "record", "tl"]
