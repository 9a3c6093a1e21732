"""The part of Triton's language that chapter 14 uses, spoken by PyTorch on tiles: write `from deepgen_lib.tiles import jit, tl`.

A tile is a tensor, a pointer a place in a checked row of numbers (memory.py). The names, arguments and results are Triton's, so that the same source runs
there unchanged; where Triton leaves a result open (a masked lane without `other`), here it is NaN, so that it shows.
"""
from __future__ import annotations

import builtins

import torch
from torch import Tensor

from ..kernels.counter import LOW, philox
from .memory import Buffer

float16, bfloat16, float32, float64 = torch.float16, torch.bfloat16, torch.float32, torch.float64
int1, int8, int32, int64 = torch.bool, torch.int8, torch.int32, torch.int64
exp, log, sqrt, abs, sigmoid, where = torch.exp, torch.log, torch.sqrt, torch.abs, torch.sigmoid, torch.where
static_range = builtins.range
STEP = torch.tensor(4.6566127342e-10)  # float32, just below 2^-31: the largest number stays below 1
running: list[tuple[tuple[int, ...], tuple[int, ...], int, object]] = []  # (place in the grid, grid, number, traffic) of the program that runs now


class constexpr:
    """`BLOCK: tl.constexpr` says that BLOCK is known when the kernel is compiled."""


class Pointer:
    """A place, or a tile of places, in a buffer.  `p + offsets` is the usual arithmetic, in numbers, not bytes."""

    def __init__(self, buffer: Buffer, places: Tensor):
        self.buffer, self.places = buffer, places

    def __add__(self, offsets) -> Pointer:
        offsets = torch.as_tensor(offsets)
        if offsets.is_floating_point():
            raise TypeError(f"{self.buffer.name} + a tile of {offsets.dtype}: places are whole numbers")
        return Pointer(self.buffer, self.places + offsets.to(torch.int64))

    __radd__ = __add__

    def __sub__(self, offsets) -> Pointer:
        return self + (-torch.as_tensor(offsets))

    def __getitem__(self, key) -> Pointer:
        return Pointer(self.buffer, self.places[key])


def program_id(axis: int) -> Tensor:
    """Which program am I?"""
    return torch.tensor(_now()[0][axis], dtype=int32)


def num_programs(axis: int) -> Tensor:
    return torch.tensor(_now()[1][axis], dtype=int32)


def arange(start: int, end: int) -> Tensor:
    """start, ..., end - 1; the length must be a power of two, as in Triton."""
    n = end - start
    if n < 1 or n & (n - 1):
        raise ValueError(f"tl.arange({start}, {end}): the length is {n}, expected a power of two; take the next larger one and mask")
    return torch.arange(start, end, dtype=int32)


def zeros(shape, dtype) -> Tensor:
    return torch.zeros(tuple(shape), dtype=dtype)


def full(shape, value, dtype) -> Tensor:
    return torch.full(tuple(shape), value, dtype=dtype)


def load(pointer: Pointer, mask=None, other=None) -> Tensor:
    places, active = _lanes("load", pointer, mask)
    if isinstance(other, Tensor):
        other = other.expand(places.shape).to(pointer.buffer.row.dtype)
    return pointer.buffer.load(places, active, other, _now()[2])


def store(pointer: Pointer, value, mask=None) -> None:
    places, active = _lanes("store", pointer, mask)
    pointer.buffer.store(places, _fitted("store", value, places), active, _now()[2])


def atomic_add(pointer: Pointer, value, mask=None) -> None:
    """Add to memory, one lane after the other: for sums that several programs share."""
    places, active = _lanes("atomic_add", pointer, mask)
    pointer.buffer.add(places, _fitted("atomic_add", value, places), active, _now()[2])


def dot(a: Tensor, b: Tensor, input_precision: str = "ieee") -> Tensor:
    """Product of two tiles, summed in float32; `input_precision="ieee"` asks Triton not to round float32 inputs."""
    _now()[3].multiply_adds += a.shape[0] * a.shape[1] * b.shape[1]
    return a.to(float32) @ b.to(float32)


def maximum(a, b) -> Tensor:
    return torch.maximum(*_two(a, b))


def minimum(a, b) -> Tensor:
    return torch.minimum(*_two(a, b))


def sum(x: Tensor, axis: int | None = None) -> Tensor:
    return x.sum() if axis is None else x.sum(axis)


def max(x: Tensor, axis: int | None = None) -> Tensor:
    return x.amax() if axis is None else x.amax(axis)


def min(x: Tensor, axis: int | None = None) -> Tensor:
    return x.amin() if axis is None else x.amin(axis)


def argmin(x: Tensor, axis: int) -> Tensor:
    """The lowest index of the least."""
    return _first(x == x.amin(axis, keepdim=True), axis)


def argmax(x: Tensor, axis: int) -> Tensor:
    return _first(x == x.amax(axis, keepdim=True), axis)


def rand(seed, offset: Tensor) -> Tensor:
    """float32 in [0, 1), a function of seed and offset alone: the first word of Philox, as Triton turns it into a number."""
    offset = torch.as_tensor(offset)
    if offset.is_floating_point() or offset.dtype == int64 and offset.ndim:
        raise TypeError(f"tl.rand: the offsets are {offset.dtype}, expected int32; Triton keys another generator by int64")
    seed, zero = int(seed), torch.zeros((), dtype=int64)
    word = philox([offset.to(int64) & LOW, zero, zero, zero], [seed & LOW, seed >> 32 & LOW])[0]
    return torch.where(word > LOW // 2, LOW - word, word).to(float32) * STEP


def _first(hit: Tensor, axis: int) -> Tensor:
    return hit.to(torch.int8).argmax(axis).to(int32)


def _two(a, b) -> tuple[Tensor, Tensor]:
    like = a if isinstance(a, Tensor) else b
    return torch.as_tensor(a, dtype=None if isinstance(a, Tensor) else like.dtype), torch.as_tensor(b, dtype=None if isinstance(b, Tensor) else like.dtype)


def _lanes(name: str, pointer: Pointer, mask) -> tuple[Tensor, Tensor]:
    if not isinstance(pointer, Pointer):
        raise TypeError(f"tl.{name}: got a {type(pointer).__name__}, expected a pointer; add the offsets to an argument such as x_ptr")
    active = torch.as_tensor(True if mask is None else mask)
    if active.dtype != torch.bool:
        raise TypeError(f"tl.{name}: the mask is {active.dtype}, expected true or false; compare, as in i < n")
    return pointer.places, _expanded(name, "mask", active, pointer.places)


def _fitted(name: str, value, places: Tensor) -> Tensor:
    return _expanded(name, "value", torch.as_tensor(value), places)


def _expanded(name: str, what: str, tile: Tensor, places: Tensor) -> Tensor:
    try:
        return tile.expand(places.shape)
    except RuntimeError:
        raise ValueError(f"tl.{name}: the {what} has shape {tuple(tile.shape)}, the pointers {tuple(places.shape)}; "
                         "both need the same shape: x[:, None] makes a column, x[None, :] a row") from None


def _now() -> tuple:
    if not running:
        raise RuntimeError("this function works inside a kernel only: launch it with kernel[grid](...)")
    return running[-1]
