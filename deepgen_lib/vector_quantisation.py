"""Vector quantisation as a step of a network: the copied gradient, the two terms that move codes and encoder, the use of the codes.

    z_q = e_k,  k = argmin_k ‖z_e - e_k‖²       (van den Oord et al. 2017; Razavi et al. 2019)
    quantization ‖sg(z_e) - e_k‖²    moves the code alone          sg: stop-gradient, the identity whose derivative is zero
    commitment   ‖z_e - sg(e_k)‖²    moves the encoder alone
"""
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .kernels import nearest_code
from .validate import require_finite, require_matrix, require_tensor

__all__ = ["VQLosses", "nearest_code", "perplexity", "straight_through", "vq_losses"]


class VQLosses(NamedTuple):
    """Squared distances, summed over positions and D, for each example."""
    quantization: Tensor  # (B,) ‖sg(z_e) - e‖², its gradient reaches the codes alone
    commitment: Tensor    # (B,) ‖z_e - sg(e)‖², its gradient reaches the encoder alone


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z_e: Tensor, z_q: Tensor) -> Tensor:
        return z_q.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """z_q bit for bit; its gradient goes to z_e unchanged and nowhere else.  Two tensors of one shape and type -> the same."""
    require_tensor("straight_through", "z_e", z_e)
    require_tensor("straight_through", "z_q", z_q)
    if z_e.shape != z_q.shape or z_e.dtype != z_q.dtype:
        raise ValueError(f"straight_through: z_q is {tuple(z_q.shape)} of {z_q.dtype}, expected {tuple(z_e.shape)} of {z_e.dtype} like z_e; "
                         "look the codes up in the encoder's layout: codes[ids]")
    return _StraightThrough.apply(z_e, z_q)


def vq_losses(z_e: Tensor, codes: Tensor, ids: Tensor) -> VQLosses:
    """Both terms, each (B,), summed over positions and D.  z_e (B, ..., D), codes (K, D), ids (B, ...) int64.  ids are taken as given: nearest_code makes them."""
    require_matrix("vq_losses", "codes", codes)
    require_tensor("vq_losses", "z_e", z_e)
    if z_e.ndim < 2 or z_e.shape[-1] != codes.shape[1] or z_e.numel() == 0:
        raise ValueError(f"vq_losses: z_e has shape {tuple(z_e.shape)}, expected (B, ..., {codes.shape[1]}), the last axis like the codes'; channels last: z_e.movedim(1, -1)")
    if z_e.dtype != codes.dtype:
        raise ValueError(f"vq_losses: z_e is {z_e.dtype}, expected {codes.dtype} like the codes; convert one: z_e.to({codes.dtype})")
    require_finite("vq_losses", "z_e", z_e)
    require_ids("vq_losses", ids, z_e.shape[:-1], len(codes))
    return losses(z_e, look_up(codes, ids))


def look_up(codes: Tensor, ids: Tensor) -> Tensor:
    """codes[ids], by the fastest way whose gradient adds up over equal ids.  (K, D), (...,) -> (..., D)."""
    return codes.index_select(0, ids.flatten()).view(*ids.shape, -1)


class _SquaredDistance(torch.autograd.Function):
    """‖a - sg(b)‖² of each example: the stop-gradient is that backward answers for a alone.  (B, ..., D) twice -> (B,)."""

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        difference = a - b
        ctx.save_for_backward(difference)
        return difference.square().flatten(1).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        difference, = ctx.saved_tensors
        return (2 * gradient).view(-1, *[1] * (difference.ndim - 1)) * difference, None


def losses(z_e: Tensor, z_q: Tensor) -> VQLosses:
    """`vq_losses` without its checks, the codes looked up: z_q = codes[ids].  (B, ..., D) twice."""
    commitment = _SquaredDistance.apply(z_e, z_q)
    return VQLosses(_SquaredDistance.apply(z_q, z_e) if z_q.requires_grad else commitment.detach(), commitment)


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of p = counts / Σ counts, in nats: how many codes are used as if evenly, from 1 to K.  (K,) of numbers >= 0 -> scalar."""
    if isinstance(counts, Tensor) and not counts.is_floating_point() and not counts.is_complex() and counts.dtype != torch.bool:
        counts = counts.double()
    require_tensor("perplexity", "counts", counts)
    require_finite("perplexity", "counts", counts)
    if counts.ndim != 1 or len(counts) == 0 or counts.min() < 0 or counts.sum() <= 0:
        raise ValueError(f"perplexity: counts has shape {tuple(counts.shape)} and sum {counts.sum().item():.3g}, expected (K,) numbers >= 0, not all 0; "
                         "torch.bincount(ids.flatten(), minlength=K) makes them")
    p = counts / counts.sum()
    return torch.exp(-torch.xlogy(p, p).sum())


def require_ids(where: str, ids: Tensor, shape: tuple[int, ...] | None, n_codes: int) -> None:
    """ids is a tensor of int64 in [0, n_codes), of the given shape if one is given."""
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
        got = str(ids.dtype) if isinstance(ids, Tensor) else type(ids).__name__
        raise ValueError(f"{where}: ids is {got}, expected a tensor of torch.int64; nearest_code makes one")
    if ids.numel() == 0 or (shape is not None and ids.shape != shape):
        want = "at least one" if shape is None else str(tuple(shape))
        raise ValueError(f"{where}: ids has shape {tuple(ids.shape)}, expected {want}: one code for each vector; reshape the ids of nearest_code like the map")
    if ids.min() < 0 or ids.max() >= n_codes:
        raise ValueError(f"{where}: ids runs from {ids.min().item()} to {ids.max().item()}, expected 0 to {n_codes - 1}; do they belong to another codebook?")
