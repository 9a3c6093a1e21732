"""Triton kernels of nearest_code: one launch scores all codes without writing a score, a second one settles the close calls by the definition.

    s = ‖e‖²/2 - z·e        the least score wins; z and e are float32 numbers moved to the codes' mean, half-precision ones as they are

A program keeps BN vectors and walks over the codes BK at a time. Every lane remembers its best score, where it stood, and its second best; lanes meet once,
at the end. A score is off by at most half a margin that the norms bound, whatever the precision of the product: where the runner-up comes within one margin
of the best, ties among them, the row is put on a list, and the second launch compares its float64 distances to all codes, the lowest index first.
So the choice is the definition's, and neither tiles nor input_precision can change it: "tf32x3" (three TF32 products, nearly float32) where the GPU has it,
"ieee" elsewhere. Memory: the ids and a list of at most N rows. N and K are arguments of the compiled kernels: a new batch size compiles nothing.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_counter import INTERPRETED, Tile, dot_settings

TILE = Tile(128, 128, 32) if INTERPRETED else Tile(128, 64, 32)  # BM vectors, BN codes, BK numbers of each at a time
SETTLE = {"ROWS": 64, "BN": 128, "BK": 32} if INTERPRETED else {"ROWS": 4, "BN": 32, "BK": 16}
SETTLERS = 1 if INTERPRETED else 1024          # programs that share the list of close calls
UNIT = {"ieee": 2.0**-23, "tf32x3": 2.0**-21}  # twice the rounding of one product and its sum


@triton.jit
def _scores(z_ptr, codes_ptr, origin_ptr, rows, cols, N, K, D, stride, CENTRED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
            PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    """z·e of rows and codes, in float32.  -> (BM, BN)."""
    product = tl.zeros([BM, BN], tl.float32)
    for start in range(0, D, BK):
        d = start + tl.arange(0, BK)
        z = tl.load(z_ptr + rows[:, None] * stride + d[None, :], mask=(rows < N)[:, None] & (d < D)[None, :], other=0.0)
        e = tl.load(codes_ptr + cols[None, :].to(tl.int64) * D + d[:, None], mask=(cols < K)[None, :] & (d < D)[:, None], other=0.0)
        if CENTRED:
            z -= tl.load(origin_ptr + d, mask=d < D, other=0.0)[None, :]
        if AS_FLOAT:
            z, e = z.to(tl.float32), e.to(tl.float32)
        product = tl.dot(z, e, product, input_precision=PRECISION)
    return product


@triton.jit
def search_kernel(z_ptr, codes_ptr, origin_ptr, half_squares_ptr, largest_ptr, ids_ptr, close_ptr, n_close_ptr, N, K, D, stride, unit,
                  CENTRED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    best = tl.full([BM, BN], float("inf"), tl.float32)
    second = best
    place = tl.zeros([BM, BN], tl.int32)
    for start in range(0, K, BN):
        cols = start + tl.arange(0, BN)
        product = _scores(z_ptr, codes_ptr, origin_ptr, rows, cols, N, K, D, stride, CENTRED, BM, BN, BK, PRECISION, AS_FLOAT)
        score = tl.load(half_squares_ptr + cols, mask=cols < K, other=float("inf"))[None, :] - product  # codes that are not there never win
        second = tl.minimum(second, tl.maximum(best, score))
        place = tl.where(score < best, start, place)
        best = tl.minimum(best, score)
    place += tl.arange(0, BN)[None, :]
    least = tl.min(best, 1)
    ids = tl.min(tl.where(best == least[:, None], place, K), 1)
    ids = tl.minimum(ids, K - 1)  # NaN equals nothing; the row is a close call below
    runner_up = tl.min(tl.where(place == ids[:, None], second, best), 1)

    squares = tl.zeros([BM], tl.float32)
    for start in range(0, D, BK):
        d = start + tl.arange(0, BK)
        z = tl.load(z_ptr + rows[:, None] * stride + d[None, :], mask=(rows < N)[:, None] & (d < D)[None, :], other=0.0).to(tl.float32)
        if CENTRED:
            z -= tl.load(origin_ptr + d, mask=d < D, other=0.0)[None, :]
        squares += tl.sum(z * z, 1)
    largest = tl.load(largest_ptr)
    reach = tl.sqrt(squares) + largest
    margin = (D + 8) * (unit * reach * largest + 2.3e-16 * reach * reach + 1.2e-38)  # the definition's own rounding, and what float32 takes for 0, count too
    close = ~(runner_up > least + margin) & (rows < N)  # sums that overflow have an infinite margin
    tl.store(ids_ptr + rows, ids.to(tl.int64), mask=rows < N)
    first = tl.atomic_add(n_close_ptr, tl.sum(close.to(tl.int32)))
    tl.store(close_ptr + first + tl.cumsum(close.to(tl.int32)) - 1, rows, mask=close)


@triton.jit
def settle_kernel(z_ptr, codes_ptr, ids_ptr, close_ptr, n_close_ptr, K, D, stride, ROWS: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """The definition, for the rows on the list, ROWS of them at a time."""
    n_close = tl.load(n_close_ptr)
    for i in range(tl.program_id(0) * ROWS, n_close, tl.num_programs(0) * ROWS):
        listed = i + tl.arange(0, ROWS)
        row = tl.load(close_ptr + listed, mask=listed < n_close, other=0)
        best = tl.full([ROWS, BN], float("inf"), tl.float64)
        place = tl.zeros([ROWS, BN], tl.int32)
        for start in range(0, K, BN):
            cols = start + tl.arange(0, BN)
            distance = tl.zeros([ROWS, BN], tl.float64)
            for first in range(0, D, BK):
                d = first + tl.arange(0, BK)
                z = tl.load(z_ptr + row[:, None] * stride + d[None, :], mask=(d < D)[None, :], other=0.0).to(tl.float64)
                e = tl.load(codes_ptr + cols[:, None].to(tl.int64) * D + d[None, :], mask=(cols < K)[:, None] & (d < D)[None, :], other=0.0).to(tl.float64)
                difference = z[:, None, :] - e[None, :, :]
                distance += tl.sum(difference * difference, 2)
            distance = tl.where((cols < K)[None, :], distance, float("inf"))
            place = tl.where(distance < best, cols[None, :], place)  # a later code must be nearer, not as near
            best = tl.minimum(best, distance)
        winner = tl.min(tl.where(best == tl.min(best, 1)[:, None], place, K), 1)
        tl.store(ids_ptr + row, winner.to(tl.int64), mask=listed < n_close)


def launch(z: Tensor, codes: Tensor, *, tile: Tile = TILE) -> Tensor:
    """ids (N,) of z (N, D) among codes (K, D), both float32, float16 or bfloat16 alike."""
    N, (K, D) = len(z), codes.shape
    ids = torch.empty(N, dtype=torch.int64, device=z.device)
    if N == 0:
        return ids
    z, codes = z if z.stride(1) == 1 else z.contiguous(), codes.contiguous()
    centred = z.dtype == torch.float32
    origin = codes.mean(0)
    moved = codes - origin if centred else codes
    half_squares = moved.float().square().sum(1) / 2
    largest = (2 * half_squares).max().sqrt()
    close, n_close = torch.empty(N, dtype=torch.int64, device=z.device), torch.zeros(1, dtype=torch.int32, device=z.device)
    dot = dot_settings(z.device)
    with torch.cuda.device_of(z):
        search_kernel[(triton.cdiv(N, tile.BM),)](z, moved, origin, half_squares, largest, ids, close, n_close, N, K, D, z.stride(0), UNIT[dot["PRECISION"]],
                                                  CENTRED=centred, **tile._asdict(), **dot, num_warps=8)
        settle_kernel[(min(N, SETTLERS),)](z, codes, ids, close, n_close, K, D, z.stride(0), **SETTLE)
    return ids


@torch.library.custom_op("deepgen::nearest_code", mutates_args=())
def nearest_code(z: Tensor, codes: Tensor) -> Tensor:
    return launch(z, codes)


@nearest_code.register_fake
def _(z: Tensor, codes: Tensor) -> Tensor:
    return torch.empty(len(z), dtype=torch.int64, device=z.device)


nearest_code.register_autograd(lambda ctx, upstream: (None, None))  # whole numbers: nothing to pass
