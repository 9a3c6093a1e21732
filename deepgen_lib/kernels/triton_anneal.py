"""Annealed importance sampling over all temperatures in one launch: every program owns BM chains from the first to the last.

log w is summed in float64, each ratio in float32 as one logarithm a unit: softplus(y) - softplus(x) for y and x of the same sign.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .counter import HIDDEN, VISIBLE
from .triton_counter import INTERPRETED, Tile, dot_settings, logistic, uniforms
from .triton_gibbs import product

TILE = Tile(64, 128, 128) if INTERPRETED else Tile(16, 128, 64)


@triton.jit
def softplus_difference(y, x):
    """log((1 + e^y) / (1 + e^x)) without overflow."""
    shrink = (1.0 + tl.exp(-tl.abs(y))) / (1.0 + tl.exp(-tl.abs(x)))
    return tl.maximum(y, 0.0) - tl.maximum(x, 0.0) + tl.log(shrink)


@triton.jit
def linear_part(v_ptr, a_ptr, b_ptr, rows, N, V, BM: tl.constexpr, BN: tl.constexpr):
    """v · (b - a).  -> (BM,)."""
    total = tl.zeros([BM, BN], tl.float32)
    for first in range(0, V, BN):
        cols = first + tl.arange(0, BN)
        v = tl.load(v_ptr + rows.to(tl.int64)[:, None] * V + cols[None, :], mask=(rows < N)[:, None] & (cols < V)[None, :], other=0).to(tl.float32)
        slope = tl.load(b_ptr + cols, mask=cols < V, other=0.0) - tl.load(a_ptr + cols, mask=cols < V, other=0.0)
        total += v * slope[None, :]
    return tl.sum(total, 1)


@triton.jit
def upwards(v_ptr, h_ptr, W_ptr, c_ptr, seed, step, old, new, rows, first_row, N, V, H, sw, tw, STREAM: tl.constexpr,
            BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    """Writes h ~ p(h | v) at the new temperature.  -> Σ_j softplus(new x_j) - softplus(old x_j), (BM,)."""
    total = tl.zeros([BM, BN], tl.float32)
    for first in range(0, H, BN):
        cols = first + tl.arange(0, BN)
        x = product(v_ptr, W_ptr, rows, cols, N, V, H, V, 1, sw, tw, BM, BN, BK, PRECISION, AS_FLOAT)
        x += tl.load(c_ptr + cols, mask=cols < H, other=0.0)[None, :]
        total += tl.where((cols < H)[None, :], softplus_difference(new * x, old * x), 0.0)
        h = uniforms(seed, step, STREAM, rows.to(tl.int64) + first_row, first, BM, BN) < logistic(new * x)
        tl.store(h_ptr + rows.to(tl.int64)[:, None] * H + cols[None, :], h.to(tl.uint8), mask=(rows < N)[:, None] & (cols < H)[None, :])
    return tl.sum(total, 1)


@triton.jit
def downwards(v_ptr, h_ptr, W_ptr, a_ptr, b_ptr, seed, step, new, rows, first_row, N, V, H, sw, tw, STREAM: tl.constexpr,
              BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    """Writes v ~ p(v | h) at the new temperature."""
    for first in range(0, V, BN):
        cols = first + tl.arange(0, BN)
        x = product(h_ptr, W_ptr, rows, cols, N, H, V, H, 1, tw, sw, BM, BN, BK, PRECISION, AS_FLOAT)
        x += tl.load(b_ptr + cols, mask=cols < V, other=0.0)[None, :]
        p = logistic((1.0 - new) * tl.load(a_ptr + cols, mask=cols < V, other=0.0)[None, :] + new * x)
        v = uniforms(seed, step, STREAM, rows.to(tl.int64) + first_row, first, BM, BN) < p
        tl.store(v_ptr + rows.to(tl.int64)[:, None] * V + cols[None, :], v.to(tl.uint8), mask=(rows < N)[:, None] & (cols < V)[None, :])


@triton.jit
def anneal_kernel(v_ptr, h_ptr, out_ptr, W_ptr, a_ptr, b_ptr, c_ptr, beta_ptr, clock_ptr, N, V, H, sw, tw, n_ratios, first_row,
                  UP: tl.constexpr, DOWN: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
                  PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    seed, now = tl.load(clock_ptr), tl.load(clock_ptr + 1)
    total = tl.zeros([BM], tl.float64)
    for k in range(n_ratios):
        before, after = tl.load(beta_ptr + k), tl.load(beta_ptr + k + 1)
        old, new = before.to(tl.float32), after.to(tl.float32)
        ratio = (after - before).to(tl.float32) * linear_part(v_ptr, a_ptr, b_ptr, rows, N, V, BM, BN)
        ratio += upwards(v_ptr, h_ptr, W_ptr, c_ptr, seed, now + k, old, new, rows, first_row, N, V, H, sw, tw, UP, BM, BN, BK, PRECISION, AS_FLOAT)
        total += ratio.to(tl.float64)
        tl.debug_barrier()  # the program's states are whole before it reads them
        downwards(v_ptr, h_ptr, W_ptr, a_ptr, b_ptr, seed, now + k, new, rows, first_row, N, V, H, sw, tw, DOWN, BM, BN, BK, PRECISION, AS_FLOAT)
        tl.debug_barrier()
    tl.store(out_ptr + rows, total, mask=rows < N)


@torch.library.custom_op("deepgen::anneal", mutates_args=())
def anneal(v: Tensor, W: Tensor, b: Tensor, c: Tensor, a: Tensor, beta: Tensor, clock: Tensor) -> Tensor:
    """log w (N,) float64 for chains from v (N, V); beta (T,) float64 on the device."""
    return launch(v, W, b, c, a, beta, clock)


@anneal.register_fake
def _(v, W, b, c, a, beta, clock):
    return v.new_empty(len(v), dtype=torch.float64)


anneal.register_autograd(lambda ctx, gradient: (None,) * 7)  # a random walk has no gradient


def launch(v: Tensor, W: Tensor, b: Tensor, c: Tensor, a: Tensor, beta: Tensor, clock: Tensor, *, first_row: int = 0, tile: Tile = TILE) -> Tensor:
    """first_row: the number of the first chain, where other devices have the chains before it."""
    (V, H), N = W.shape, len(v)
    v = v.to(torch.uint8, copy=True, memory_format=torch.contiguous_format)
    h = torch.empty(N, H, dtype=torch.uint8, device=v.device)
    out = torch.empty(N, dtype=torch.float64, device=v.device)
    if N:
        a, b, c, beta = (x.contiguous() for x in (a, b, c, beta))
        anneal_kernel[(triton.cdiv(N, tile.BM),)](v, h, out, W, a, b, c, beta, clock, N, V, H, *W.stride(), len(beta) - 1, first_row,
                                                   UP=HIDDEN, DOWN=VISIBLE, **tile._asdict(), **dot_settings(v.device))
    return out
