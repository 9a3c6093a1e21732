"""Half a Gibbs step in one launch: the matrix product's epilogue adds the bias, draws the uniform numbers and compares.

    h_j = 1 where u(seed, step, stream, chain, j) < sigma(v W + bias)_j

Traffic saved: logits, probabilities and uniforms, three B·H matrices written and read, never leave the registers.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_counter import INTERPRETED, Tile, dot_settings, logistic, uniforms

TILE = Tile(64, 128, 128) if INTERPRETED else Tile(32, 64, 64)


@triton.jit
def product(x_ptr, W_ptr, rows, cols, B, K, N, sx, tx, sw, tw,
            BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    """(x W) of the rows and columns given, in float32; x (B, K) with strides sx, tx, W (K, N) with strides sw, tw.  -> (BM, BN)."""
    total = tl.zeros([BM, BN], tl.float32)
    for start in range(0, K, BK):
        terms = start + tl.arange(0, BK)
        x = tl.load(x_ptr + rows.to(tl.int64)[:, None] * sx + terms[None, :] * tx, mask=(rows < B)[:, None] & (terms < K)[None, :], other=0)
        W = tl.load(W_ptr + terms.to(tl.int64)[:, None] * sw + cols[None, :] * tw, mask=(terms < K)[:, None] & (cols < N)[None, :], other=0.0)
        if AS_FLOAT:
            W = W.to(tl.float32)
        total = tl.dot(x.to(W.dtype), W, total, input_precision=PRECISION)
    return total


@triton.jit
def half_step_kernel(x_ptr, W_ptr, bias_ptr, clock_ptr, out_ptr, p_ptr, B, K, N, sx, tx, sw, tw, first_row, step,
                     STREAM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    rows, cols = tl.program_id(0) * BM + tl.arange(0, BM), tl.program_id(1) * BN + tl.arange(0, BN)
    logits = product(x_ptr, W_ptr, rows, cols, B, K, N, sx, tx, sw, tw, BM, BN, BK, PRECISION, AS_FLOAT)
    p = logistic(logits + tl.load(bias_ptr + cols, mask=cols < N, other=0.0).to(tl.float32)[None, :])
    seed, now = tl.load(clock_ptr), tl.load(clock_ptr + 1) + step
    u = uniforms(seed, now, STREAM, rows.to(tl.int64) + first_row, tl.program_id(1) * BN, BM, BN)
    place = rows.to(tl.int64)[:, None] * N + cols[None, :]
    inside = (rows < B)[:, None] & (cols < N)[None, :]
    tl.store(out_ptr + place, tl.where(u < p, 1.0, 0.0), mask=inside)  # the store converts to the states' type
    if p_ptr is not None:
        tl.store(p_ptr + place, p, mask=inside)


@torch.library.custom_op("deepgen::gibbs_half_step", mutates_args=())
def gibbs_half_step(x: Tensor, W: Tensor, bias: Tensor, clock: Tensor, stream: int, step: int, first_row: int) -> Tensor:
    """States (B, N), of x's type, for x (B, K), W (K, N), bias (N,), clock (2,) of counter.py."""
    return launch(x, W, bias, clock, stream=stream, step=step, first_row=first_row)


@gibbs_half_step.register_fake
def _(x, W, bias, clock, stream, step, first_row):
    return x.new_empty(x.shape[0], W.shape[1])


gibbs_half_step.register_autograd(lambda ctx, gradient: (None,) * 7)  # a sampled state has no gradient


def launch(x: Tensor, W: Tensor, bias: Tensor, clock: Tensor, *, stream: int, step: int = 0, first_row: int = 0,
           out: Tensor | None = None, p: Tensor | None = None, tile: Tile = TILE) -> Tensor:
    """The kernel itself; out (B, N) and p (B, N) contiguous, any number type; p receives the probabilities."""
    (B, K), N = x.shape, W.shape[1]
    out = x.new_empty(B, N) if out is None else out
    if out.numel():
        grid = (triton.cdiv(B, tile.BM), triton.cdiv(N, tile.BN))
        half_step_kernel[grid](x, W, bias.contiguous(), clock, out, p, B, K, N, *x.stride(), *W.stride(), first_row, step,
                               STREAM=stream, **tile._asdict(), **dot_settings(x.device))
    return out
