"""Triton kernels of sum_softplus. Why fuse: eager writes B·H softplus values only to read them back for their sum; here x is read once.

Backward recomputes the derivative from x, so nothing is kept but x. Numbers are summed in float32 whatever the type of x.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_counter import INTERPRETED, logistic

WIDTH = 1024                                 # columns of a tile, at most
TILE = 2**16 if INTERPRETED else 2**11    # numbers of a tile: what one program holds in registers


@triton.jit
def _softplus(x):
    """max(x, 0) + log(1 + t), t = exp(-|x|), with log(1 + t) = 2 artanh(s), s = t / (2 + t) <= 1/3: eight terms are a float32, and no digit is lost for t << 1."""
    t = tl.exp(-tl.abs(x))
    s = t / (2.0 + t)
    q = s * s
    series = 1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q * (1 / 15)))))))
    return tl.maximum(x, 0.0) + 2.0 * s * series


@triton.jit
def forward_kernel(x_ptr, y_ptr, n_rows, n_columns, stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)  # row · stride may pass 2^31
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, n_columns, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
        x = tl.load(x_ptr + rows[:, None] * stride + columns[None, :], mask=inside, other=-float("inf"))  # softplus(-inf) = 0
        total += _softplus(x.to(tl.float32))
    tl.store(y_ptr + rows, tl.sum(total, 1), mask=rows < n_rows)


@triton.jit
def backward_kernel(x_ptr, upstream_ptr, gradient_ptr, n_rows, n_columns, stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    upstream = tl.load(upstream_ptr + rows, mask=rows < n_rows, other=0.0).to(tl.float32)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
    x = tl.load(x_ptr + rows[:, None] * stride + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    tl.store(gradient_ptr + rows[:, None] * n_columns + columns[None, :], upstream[:, None] * logistic(x), mask=inside)


def _tile(n_columns: int) -> dict[str, int]:
    columns = min(WIDTH, triton.next_power_of_2(max(1, n_columns)))
    return {"ROWS": max(1, TILE // columns), "COLUMNS": columns}


def _as_rows(x: Tensor) -> Tensor:
    """(..., H) -> (B, H) whose rows are each in one piece; copied only where the strides ask for it."""
    rows = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    return rows if rows.stride(1) == 1 else rows.contiguous()


@torch.library.custom_op("deepgen::sum_softplus", mutates_args=())
def sum_softplus_triton(x: Tensor) -> Tensor:
    """Σ_j log(1 + exp x_ij).  (..., H) -> (...,)."""
    y = torch.empty(x.shape[:-1], dtype=x.dtype, device=x.device)
    rows, tile = _as_rows(x), _tile(x.shape[-1])
    if len(rows):
        with torch.cuda.device_of(x):
            forward_kernel[(triton.cdiv(len(rows), tile["ROWS"]),)](rows, y, *rows.shape, rows.stride(0), **tile)
    return y


@torch.library.custom_op("deepgen::sum_softplus_backward", mutates_args=())
def sum_softplus_backward(upstream: Tensor, x: Tensor) -> Tensor:
    """upstream_i · sigma(x_ij).  (...,), (..., H) -> (..., H)."""
    gradient = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    rows, tile = _as_rows(x), _tile(x.shape[-1])
    if rows.numel():
        grid = triton.cdiv(len(rows), tile["ROWS"]), triton.cdiv(rows.shape[1], tile["COLUMNS"])
        with torch.cuda.device_of(x):
            backward_kernel[grid](rows, upstream.contiguous(), gradient, *rows.shape, rows.stride(0), **tile)
    return gradient


@sum_softplus_triton.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty(x.shape[:-1], dtype=x.dtype, device=x.device)


@sum_softplus_backward.register_fake
def _(upstream: Tensor, x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


sum_softplus_triton.register_autograd(lambda ctx, upstream: sum_softplus_backward(upstream, *ctx.saved_tensors),
                                      setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
