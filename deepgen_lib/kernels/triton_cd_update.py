"""The update of cd_update.py in Triton: the phases' products with momentum, decay and centring in their epilogue.

    bias_kernel    both means of one side's units -> the bias' velocity (and lam)
    weight_kernel  both products of a tile of W -> velocity and W, each read and written once
    offset_kernel  centred: what W's velocity moves the biases by

The learning rate lies in memory, so that a captured CUDA graph reads a new one at every replay.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_counter import INTERPRETED, Tile, dot_settings

TILE = Tile(128, 128, 128) if INTERPRETED else Tile(64, 32, 32)


@triton.jit
def mean_of(x_ptr, rows_total, units, n_units, stride, BM: tl.constexpr, BK: tl.constexpr):
    """Mean over the rows of x (rows_total, n_units), columns in one piece.  -> (BM,)."""
    total = tl.zeros([BM, BK], tl.float32)
    for start in range(0, rows_total, BK):
        rows = start + tl.arange(0, BK)
        x = tl.load(x_ptr + rows.to(tl.int64)[None, :] * stride + units[:, None], mask=(rows < rows_total)[None, :] & (units < n_units)[:, None], other=0)
        total += x.to(tl.float32)
    return tl.sum(total, 1) / rows_total


@triton.jit
def bias_kernel(data_ptr, model_ptr, velocity_ptr, bias_ptr, lam_ptr, rate_ptr, B, N, n_units, s_data, s_model,
                momentum, offset, sparsity, target, FOLLOW: tl.constexpr, MOVE: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr):
    """FOLLOW: these are the hidden units of a centred machine, lam follows; MOVE: no offset_kernel comes after, move the bias."""
    units = tl.program_id(0) * BM + tl.arange(0, BM)
    inside, rate = units < n_units, tl.load(rate_ptr)
    data, model = mean_of(data_ptr, B, units, n_units, s_data, BM, BK), mean_of(model_ptr, N, units, n_units, s_model, BM, BK)
    velocity = tl.load(velocity_ptr + units, mask=inside, other=0.0)
    velocity = momentum * velocity + rate * (data - model) + rate * sparsity * (target - data)
    tl.store(velocity_ptr + units, velocity, mask=inside)
    if FOLLOW:
        lam = tl.load(lam_ptr + units, mask=inside, other=0.0)
        tl.store(lam_ptr + units, lam + offset * (data - lam), mask=inside)
    if MOVE:
        tl.store(bias_ptr + units, tl.load(bias_ptr + units, mask=inside, other=0.0) + velocity, mask=inside)


@triton.jit
def phase(v_ptr, h_ptr, mu_ptr, lam_ptr, n_rows, vs, hs, V, H, s_v, s_h, CENTRED: tl.constexpr,
          BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr):
    """Mean over rows of (v - mu)(h - lam)ᵀ for the units vs, hs.  -> (BM, BN). Rows beyond the last add nothing: there v - mu is 0."""
    total = tl.zeros([BM, BN], tl.float32)
    for start in range(0, n_rows, BK):
        rows = (start + tl.arange(0, BK)).to(tl.int64)
        v_in, h_in = (vs < V)[:, None] & (rows < n_rows)[None, :], (rows < n_rows)[:, None] & (hs < H)[None, :]
        v = tl.load(v_ptr + rows[None, :] * s_v + vs[:, None], mask=v_in, other=0).to(tl.float32)
        h = tl.load(h_ptr + rows[:, None] * s_h + hs[None, :], mask=h_in, other=0).to(tl.float32)
        if CENTRED:
            v = tl.where(v_in, v - tl.load(mu_ptr + vs, mask=vs < V, other=0.0)[:, None], 0.0)
            h = tl.where(h_in, h - tl.load(lam_ptr + hs, mask=hs < H, other=0.0)[None, :], 0.0)
        total = tl.dot(v, h, total, input_precision=PRECISION)
    return total / n_rows


@triton.jit
def weight_kernel(W_ptr, velocity_ptr, v_ptr, h_ptr, v_model_ptr, h_model_ptr, mu_ptr, lam_ptr, rate_ptr, B, N, V, H,
                  s_v, s_h, s_v_model, s_h_model, momentum, decay, CENTRED: tl.constexpr,
                  BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr):
    vs, hs = tl.program_id(0) * BM + tl.arange(0, BM), tl.program_id(1) * BN + tl.arange(0, BN)
    gradient = phase(v_ptr, h_ptr, mu_ptr, lam_ptr, B, vs, hs, V, H, s_v, s_h, CENTRED, BM, BN, BK, PRECISION)
    gradient -= phase(v_model_ptr, h_model_ptr, mu_ptr, lam_ptr, N, vs, hs, V, H, s_v_model, s_h_model, CENTRED, BM, BN, BK, PRECISION)
    place, inside = vs.to(tl.int64)[:, None] * H + hs[None, :], (vs < V)[:, None] & (hs < H)[None, :]
    W, velocity = tl.load(W_ptr + place, mask=inside, other=0.0), tl.load(velocity_ptr + place, mask=inside, other=0.0)
    velocity = momentum * velocity + tl.load(rate_ptr) * (gradient - decay * W)
    tl.store(velocity_ptr + place, velocity, mask=inside)
    tl.store(W_ptr + place, W + velocity, mask=inside)


@triton.jit
def offset_kernel(bias_ptr, velocity_ptr, velocity_W_ptr, other_ptr, n_units, n_others, s_unit, s_other, BM: tl.constexpr, BK: tl.constexpr):
    """bias += velocity - velocity_W · offsets of the other side."""
    units = tl.program_id(0) * BM + tl.arange(0, BM)
    inside, total = units < n_units, tl.zeros([BM, BK], tl.float32)
    for start in range(0, n_others, BK):
        others = start + tl.arange(0, BK)
        there = others < n_others
        moved = tl.load(velocity_W_ptr + units.to(tl.int64)[:, None] * s_unit + others.to(tl.int64)[None, :] * s_other, mask=inside[:, None] & there[None, :], other=0.0)
        total += moved * tl.load(other_ptr + others, mask=there, other=0.0)[None, :]
    bias = tl.load(bias_ptr + units, mask=inside, other=0.0) + tl.load(velocity_ptr + units, mask=inside, other=0.0)
    tl.store(bias_ptr + units, bias - tl.sum(total, 1), mask=inside)


@torch.library.custom_op("deepgen::cd_update", mutates_args=("W", "b", "c", "velocity_W", "velocity_b", "velocity_c", "lam"))
def cd_update(W: Tensor, b: Tensor, c: Tensor, velocity_W: Tensor, velocity_b: Tensor, velocity_c: Tensor, mu: Tensor, lam: Tensor,
              v_data: Tensor, h_data: Tensor, v_model: Tensor, h_model: Tensor, rate: Tensor,
              momentum: float, decay: float, offset: float | None, sparsity: float, sparsity_target: float) -> None:
    """The arguments are the fields of Parameters, Phases and Rates, with the learning rate (a scalar on the device) between them."""
    launch((W, b, c, velocity_W, velocity_b, velocity_c, mu, lam), (v_data, h_data, v_model, h_model), rate, (momentum, decay, offset, sparsity, sparsity_target))


@cd_update.register_fake
def _(*arguments):
    return None


def launch(parameters: tuple, phases: tuple, rate: Tensor, rates: tuple, *, tile: Tile = TILE) -> None:
    W, b, c, velocity_W, velocity_b, velocity_c, mu, lam = parameters
    v, h, v_model, h_model = (x if x.stride(1) == 1 else x.contiguous() for x in phases)
    momentum, decay, offset, sparsity, target = rates
    if not (W.is_contiguous() and velocity_W.is_contiguous()):
        raise ValueError("cd_update: W or its velocity is not contiguous, expected (V, H) in one piece; copy it once: W.contiguous()")
    (V, H), B, N, centred = W.shape, len(v), len(v_model), offset is not None
    sizes, cut = dict(BM=tile.BM, BK=tile.BK), triton.cdiv
    bias_kernel[(cut(V, tile.BM),)](v, v_model, velocity_b, b, lam, rate, B, N, V, v.stride(0), v_model.stride(0),
                                    momentum, 0.0, 0.0, 0.0, FOLLOW=False, MOVE=not centred, **sizes)
    bias_kernel[(cut(H, tile.BM),)](h, h_model, velocity_c, c, lam, rate, B, N, H, h.stride(0), h_model.stride(0),
                                    momentum, offset or 0.0, sparsity, target, FOLLOW=centred, MOVE=not centred, **sizes)
    weight_kernel[(cut(V, tile.BM), cut(H, tile.BN))](
        W, velocity_W, v, h, v_model, h_model, mu, lam, rate, B, N, V, H, v.stride(0), h.stride(0), v_model.stride(0), h_model.stride(0),
        momentum, decay, CENTRED=centred, **tile._asdict(), PRECISION=dot_settings(W.device)["PRECISION"])
    if centred:
        offset_kernel[(cut(V, tile.BM),)](b, velocity_b, velocity_W, lam, V, H, H, 1, **sizes)
        offset_kernel[(cut(H, tile.BM),)](c, velocity_c, velocity_W, mu, H, V, 1, H, **sizes)
