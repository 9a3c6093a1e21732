"""Triton kernel of code_totals. Programs add to the same sums at the same time, in an order that changes from run to run, and float addition depends on it.

So numbers are added as 64-bit integers, whose sum has no order: z is scaled by a power of two that lets N numbers of the batch's largest size just fit.
The sums are the same in every run, with every tile, and closer to the true ones than float32 can tell: the grain is 2^-62 N max|z| or less.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_counter import INTERPRETED

ROWS, COLUMNS = (1024, 64) if INTERPRETED else (32, 64)  # of a tile


@triton.jit
def totals_kernel(z_ptr, ids_ptr, scale_ptr, counts_ptr, sums_ptr, N, D, stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (rows < N)[:, None] & (columns < D)[None, :]
    ids = tl.load(ids_ptr + rows, mask=rows < N, other=0)
    z = tl.load(z_ptr + rows[:, None] * stride + columns[None, :], mask=inside, other=0.0).to(tl.float64)
    whole = tl.floor(z * tl.load(scale_ptr) + 0.5).to(tl.int64)
    tl.atomic_add(sums_ptr + ids[:, None] * D + columns[None, :], whole, mask=inside, sem="relaxed")
    if tl.program_id(1) == 0:
        tl.atomic_add(counts_ptr + ids, 1, mask=rows < N, sem="relaxed")


def launch(z: Tensor, ids: Tensor, n_codes: int, *, tile: tuple[int, int] = (ROWS, COLUMNS)) -> tuple[Tensor, Tensor]:
    """counts (K,) and sums (K, D) of z's type, for z (N, D) and ids (N,)."""
    N, D = z.shape
    sums = torch.zeros(n_codes, D, dtype=torch.int64, device=z.device)
    counts = torch.zeros(n_codes, dtype=torch.int32, device=z.device)
    if z.numel() == 0:
        return torch.bincount(ids, minlength=n_codes).to(z.dtype), sums.to(z.dtype)
    z, ids = z if z.stride(1) == 1 else z.contiguous(), ids.contiguous()
    exponent = torch.frexp(z.abs().amax().double())[1]  # max|z| < 2^exponent; everything stays on the device
    scale = torch.ldexp(torch.ones((), dtype=torch.float64, device=z.device), 62 - N.bit_length() - exponent)
    with torch.cuda.device_of(z):
        totals_kernel[(triton.cdiv(N, tile[0]), triton.cdiv(D, tile[1]))](z, ids, scale, counts, sums, N, D, z.stride(0), ROWS=tile[0], COLUMNS=tile[1])
    return counts.to(z.dtype), (sums.double() / scale).to(z.dtype)


@torch.library.custom_op("deepgen::code_totals", mutates_args=())
def code_totals(z: Tensor, ids: Tensor, n_codes: int) -> tuple[Tensor, Tensor]:
    return launch(z, ids, n_codes)


@code_totals.register_fake
def _(z: Tensor, ids: Tensor, n_codes: int) -> tuple[Tensor, Tensor]:
    return z.new_empty(n_codes), z.new_empty(n_codes, z.shape[1])


code_totals.register_autograd(lambda ctx, *upstream: (None, None, None))  # statistics, not part of a loss
