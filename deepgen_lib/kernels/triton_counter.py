"""What the Triton kernels share: random numbers by counter (definition in counter.py), the logistic function, launch settings.

Imported only once `backend.use_triton` has said yes. Triton reads TRITON_INTERPRET here, when a kernel is decorated.
"""
from typing import NamedTuple

import torch
import triton
import triton.language as tl

INTERPRETED: bool = triton.knobs.runtime.interpret


class Tile(NamedTuple):
    """How a matrix product is cut: BM rows x BN columns a program, BK terms of the sum at a time. The samples do not depend on it."""
    BM: int
    BN: int
    BK: int


def dot_settings(device: torch.device) -> dict:
    """Constants for `tl.dot`: three TF32 products (as exact as float32, nearly) where the GPU has them, float32 elsewhere.

    AS_FLOAT: the interpreter multiplies bfloat16 wrongly, so there operands become float32 first, which changes no result.
    """
    modern = not INTERPRETED and torch.cuda.get_device_capability(device) >= (8, 0)
    return {"PRECISION": "tf32x3" if modern else "ieee", "AS_FLOAT": INTERPRETED or not modern}


@triton.jit
def words(seed, step, stream, rows, groups, BM: tl.constexpr, BG: tl.constexpr):
    """Philox's four words for every (row, group); rows (BM,), groups (BG,) -> four (BM, BG) uint32."""
    zero = tl.zeros([BM, BG], tl.uint32)
    c0, c1 = zero + groups.to(tl.uint32)[None, :], zero + rows.to(tl.uint32)[:, None]
    return tl.philox(seed, c0, c1, zero + step.to(tl.uint32), zero + stream)


@triton.jit
def uniforms(seed, step, stream, rows, first_unit, BM: tl.constexpr, BN: tl.constexpr):
    """u for rows (BM,) and the BN units from first_unit on, a multiple of 4.  -> (BM, BN) float32: one Philox for four units."""
    w0, w1, w2, w3 = words(seed, step, stream, rows, first_unit // 4 + tl.arange(0, BN // 4), BM, BN // 4)
    four = tl.join(tl.join(w0, w2), tl.join(w1, w3))  # (BM, BN/4, 2, 2): word 2i + j at [i, j]
    return (tl.reshape(four, [BM, BN]) >> 8).to(tl.float32) * 5.9604644775390625e-08  # 2^-24


@triton.jit
def logistic(x):
    """1 / (1 + e^-x): 0 and 1 in the limits, nothing overflows on the way."""
    small = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)
