"""Triton kernels of nearest_code: one launch scores all codes without writing a score, a second one settles the close calls by the definition.

    s = ‖e‖²/2 - z·e        the least score wins; z and e are float32 numbers moved to the codes' mean, half-precision ones as they are

A program keeps BM vectors and walks over the codes BN at a time; of the scores it remembers the best, where it stood, and the second best. A score is off by at
most half a margin that the norms bound, whatever the precision of the product: where the runner-up comes within one margin of the best, ties among them, the row
is put on a list, and the second launch compares its float64 distances to all codes, the lowest index first. So the choice is the definition's, and neither
tiles nor input_precision can change it: "tf32x3" (three TF32 products, nearly float32) where the GPU has it, "ieee" elsewhere. Memory: the ids and a list of at most N rows. N and K are arguments of the compiled kernels: a new batch size compiles nothing.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_counter import INTERPRETED, Tile, dot_settings

SETTLE = {"ROWS": 64, "BN": 128, "BK": 32} if INTERPRETED else {"ROWS": 4, "BN": 32, "BK": 16}
SETTLERS = 1 if INTERPRETED else 1024          # programs that share the list of close calls
UNIT = {"ieee": 2.0**-23, "tf32x3": 2.0**-21}  # twice the rounding of one product and its sum


@triton.jit
def _vectors(z_ptr, origin_ptr, rows, start, N, D, stride, CENTRED: tl.constexpr, BK: tl.constexpr):
    """Numbers start ... start + BK - 1 of the vectors.  -> (BM, BK)."""
    d = start + tl.arange(0, BK)
    z = tl.load(z_ptr + rows[:, None] * stride + d[None, :], mask=(rows < N)[:, None] & (d < D)[None, :], other=0.0)
    if CENTRED:
        z -= tl.load(origin_ptr + d, mask=d < D, other=0.0)[None, :]
    return z


@triton.jit
def _products(total, z, codes_ptr, cols, start, K, D, BK: tl.constexpr, PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    """total + z·e over these numbers, in float32.  -> (BM, BN)."""
    d = start + tl.arange(0, BK)
    e = tl.load(codes_ptr + cols[None, :].to(tl.int64) * D + d[:, None], mask=(cols < K)[None, :] & (d < D)[:, None], other=0.0)
    if AS_FLOAT:
        z, e = z.to(tl.float32), e.to(tl.float32)
    return tl.dot(z, e, total, input_precision=PRECISION)


@triton.jit
def search_kernel(z_ptr, codes_ptr, origin_ptr, half_squares_ptr, largest_ptr, ids_ptr, close_ptr, n_close_ptr, N, K, D, stride, unit,
                  CENTRED: tl.constexpr, WHOLE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
                  PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    best = tl.full([BM], float("inf"), tl.float32)
    second, place = best, tl.zeros([BM], tl.int32)
    z = _vectors(z_ptr, origin_ptr, rows, 0, N, D, stride, CENTRED, BK)
    for start in range(0, K, BN):
        cols = start + tl.arange(0, BN)
        product = _products(tl.zeros([BM, BN], tl.float32), z, codes_ptr, cols, 0, K, D, BK, PRECISION, AS_FLOAT)
        if not WHOLE:  # D > BK: the rest
            for first in range(BK, D, BK):
                more = _vectors(z_ptr, origin_ptr, rows, first, N, D, stride, CENTRED, BK)
                product = _products(product, more, codes_ptr, cols, first, K, D, BK, PRECISION, AS_FLOAT)
        score = tl.load(half_squares_ptr + cols, mask=cols < K, other=float("inf"))[None, :] - product  # codes that are not there never win
        least = tl.min(score, 1)
        here = tl.min(tl.where(score == least[:, None], cols[None, :], K - 1), 1)  # NaN equals nothing: any code will do, the row is a close call
        others = tl.min(tl.where(cols[None, :] == here[:, None], float("inf"), score), 1)
        second = tl.minimum(tl.minimum(second, others), tl.maximum(best, least))
        place = tl.where(least < best, here, place)
        best = tl.minimum(best, least)

    squares = tl.zeros([BM], tl.float32)
    for first in range(0, D, BK):
        part = _vectors(z_ptr, origin_ptr, rows, first, N, D, stride, CENTRED, BK).to(tl.float32)
        squares += tl.sum(part * part, 1)
    largest = tl.load(largest_ptr)
    reach = tl.sqrt(squares) + largest
    margin = (D + 8) * (unit * reach * largest + 2.3e-16 * reach * reach + 1.2e-38)  # the definition's own rounding, and what float32 takes for 0, count too
    close = ~(second > best + margin) & (rows < N)  # sums that overflow have an infinite margin
    tl.store(ids_ptr + rows, place.to(tl.int64), mask=rows < N)
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


def tile_for(D: int) -> Tile:
    """BM vectors, BN codes, BK numbers of each at a time: all D of them while they fit into the registers (128 of 255, by the compiler's count for 9.0)."""
    side = 128 if INTERPRETED else 64
    return Tile(side, side, max(16, triton.next_power_of_2(D)) if D <= 64 else 32)


def launch(z: Tensor, codes: Tensor, *, tile: Tile | None = None) -> Tensor:
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
    tile, dot = tile or tile_for(D), dot_settings(z.device)
    with torch.cuda.device_of(z):
        search_kernel[(triton.cdiv(N, tile.BM),)](z, moved, origin, half_squares, largest, ids, close, n_close, N, K, D, z.stride(0), UNIT[dot["PRECISION"]],
                                                  CENTRED=centred, WHOLE=D <= tile.BK, **tile._asdict(), **dot, num_warps=4, num_stages=2)
        settle_kernel[(min(N, SETTLERS),)](z, codes, ids, close, n_close, K, D, z.stride(0), **SETTLE)
    return ids


@torch.library.custom_op("deepgen::nearest_code", mutates_args=())
def nearest_code(z: Tensor, codes: Tensor) -> Tensor:
    return launch(z, codes)


@nearest_code.register_fake
def _(z: Tensor, codes: Tensor) -> Tensor:
    return torch.empty(len(z), dtype=torch.int64, device=z.device)


nearest_code.register_autograd(lambda ctx, upstream: (None, None))  # whole numbers: nothing to pass
