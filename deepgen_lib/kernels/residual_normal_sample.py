"""A draw of a residual normal and its KL in one go, with noise that is a function of a clock: made again in backward, never stored.

    z = mu + dmu + sigma · dsigma · noise(clock)        KL(q ‖ p) = ½ (dmu² / sigma² + dsigma² - log dsigma² - 1)        (residual_normal.py says why)

Noise number i, in reading order, is number i of counter_normal.py: a function of the clock (seed, step), a tensor (2,) of int64. Equal clocks, equal draws, on every
device; clock[1] += 1 before the next draw. Half-precision inputs are computed with in float32, and so is their KL given back.
"""
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..validate import require_tensor
from .backend import use_triton
from .counter_normal import counter_normal, counter_normal_reference

HALVES = (torch.float16, torch.bfloat16)


class ResidualDraw(NamedTuple):
    """Both of the shape that the four inputs broadcast to."""
    z: Tensor   # mu + dmu + sigma · dsigma · noise, a draw of q
    kl: Tensor  # KL(q ‖ p) in nats, per dimension


def residual_normal_sample_reference(mu: Tensor, log_sigma: Tensor, delta_mu: Tensor, delta_log_sigma: Tensor, clock: Tensor) -> ResidualDraw:
    """The definition, differentiable; all four of one shape."""
    dtype = mu.dtype
    mu, log_sigma, delta_mu, delta_log_sigma = (x.float() if dtype in HALVES else x for x in (mu, log_sigma, delta_mu, delta_log_sigma))
    noise = counter_normal_reference(clock, mu.numel()).view(mu.shape).to(mu.dtype)
    kl = 0.5 * ((delta_mu * torch.exp(-log_sigma)).square() + torch.expm1(2 * delta_log_sigma) - 2 * delta_log_sigma)
    return ResidualDraw((mu + delta_mu + torch.exp(log_sigma + delta_log_sigma) * noise).to(dtype), kl)


def residual_normal_sample(mu: Tensor, log_sigma: Tensor, delta_mu: Tensor, delta_log_sigma: Tensor, *, clock: Tensor) -> ResidualDraw:
    """z ~ q and KL(q ‖ p), elementwise; the four broadcast to one shape.  (...) four times, clock (2,) int64: new_clock(rng, device) -> ResidualDraw.

    Gradients flow to all four, through z and through KL. Writing to clock between forward and backward is an error: the noise could not be made again.
    """
    where = "residual_normal_sample"
    given = {"mu": mu, "log_sigma": log_sigma, "delta_mu": delta_mu, "delta_log_sigma": delta_log_sigma}
    for name, x in given.items():
        require_tensor(where, name, x)
        if x.dtype != mu.dtype or x.device != mu.device:
            raise ValueError(f"{where}: {name} is {x.dtype} on {x.device}, expected {mu.dtype} on {mu.device} like mu; convert it: {name}.to(mu)")
    if not isinstance(clock, Tensor) or clock.dtype != torch.int64 or clock.shape != (2,) or clock.device != mu.device:
        got = f"{clock.dtype} {tuple(clock.shape)} on {clock.device}" if isinstance(clock, Tensor) else type(clock).__name__
        raise ValueError(f"{where}: clock is {got}, expected int64 (2,) on {mu.device}: seed and step; make one: new_clock(rng, mu.device)")
    try:
        alike = torch.broadcast_tensors(*given.values())
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in given.items())
        raise ValueError(f"{where}: {shapes} do not line up, expected shapes that broadcast; give them one shape") from None
    if use_triton(where, *alike, dtypes=(torch.float32, *HALVES)):
        from .triton_residual_normal import residual_normal_triton
        return ResidualDraw(*residual_normal_triton(*alike, clock))
    return ResidualDraw(*_Fused.apply(*alike, clock))


class _Fused(torch.autograd.Function):
    """On the CPU drawing costs more than keeping, so what z adds is kept; operations write into each other's memory."""

    @staticmethod
    def forward(ctx, mu: Tensor, log_sigma: Tensor, delta_mu: Tensor, delta_log_sigma: Tensor, clock: Tensor) -> tuple[Tensor, Tensor]:
        ctx.dtype = mu.dtype
        mu, log_sigma, delta_mu, delta_log_sigma = (x.float() if ctx.dtype in HALVES else x for x in (mu, log_sigma, delta_mu, delta_log_sigma))
        noisy = counter_normal(clock, mu.numel()).view(mu.shape).to(mu.dtype).mul_((log_sigma + delta_log_sigma).exp_())
        z = (mu + delta_mu).add_(noisy)
        precision = log_sigma.neg().exp_()
        shift = delta_mu * precision
        growth = (2 * delta_log_sigma).expm1_()
        kl = torch.addcmul(growth, shift, shift).mul_(0.5).sub_(delta_log_sigma)
        ctx.save_for_backward(noisy, precision, shift, growth, clock)
        return z.to(ctx.dtype), kl

    @staticmethod
    @once_differentiable
    def backward(ctx, up_z: Tensor, up_kl: Tensor):
        noisy, precision, shift, growth, _ = ctx.saved_tensors
        by_scale = up_z * noisy
        weighted = up_kl * shift
        to_delta_log_sigma = torch.addcmul(by_scale, up_kl, growth)
        to_log_sigma = by_scale.addcmul_(weighted, shift, value=-1)
        to_delta_mu = weighted.mul_(precision).add_(up_z)
        return up_z, *(g.to(ctx.dtype) for g in (to_log_sigma, to_delta_mu, to_delta_log_sigma)), None
