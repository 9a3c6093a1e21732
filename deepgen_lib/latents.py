"""Normal distributions over latent variables: q(z | x) with one mu and sigma per dimension, the prior N(0, I), the divergence between them.

    z = mu + sigma · eps,  eps ~ N(0, I)        sizes: B batch, K latent, S draws
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from .likelihood import HALF_LOG_2_PI, normal_log_prob
from .validate import require_count, require_finite, require_rng, require_tensor


class Prior(Protocol):
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats.  (..., K) -> (...,)."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, K)."""


class NormalPosterior(NamedTuple):
    mu: Tensor         # (B, K)
    log_sigma: Tensor  # (B, K)


class StandardNormal(nn.Module):
    """p(z) = N(0, I) over K dimensions."""

    def __init__(self, n_latent: int):
        super().__init__()
        require_count("StandardNormal", "n_latent", n_latent)
        self.register_buffer("zero", torch.zeros(n_latent), persistent=False)  # carries number type and device

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats.  (..., K) -> (...,)."""
        require_latents("StandardNormal.log_prob", z, len(self.zero), self.zero.dtype)
        return normal_log_prob(z, self.zero, self.zero)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, K)."""
        require_count("StandardNormal.sample", "n", n)
        require_rng("StandardNormal.sample", rng)
        return randn((n, len(self.zero)), self.zero, rng)


def normal_kl(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(mu, sigma²) ‖ N(0, 1)) = ½ (mu² + sigma² - 1) - log sigma, elementwise, in nats (Kingma & Welling 2014, appendix B)."""
    for name, part in (("mu", mu), ("log_sigma", log_sigma)):
        require_tensor("normal_kl", name, part)
    if mu.shape != log_sigma.shape:
        raise ValueError(f"normal_kl: mu is {tuple(mu.shape)} and log_sigma {tuple(log_sigma.shape)}, expected the same; one sigma per mu")
    return 0.5 * (mu**2 + torch.expm1(2 * log_sigma)) - log_sigma


def draw(q: NormalPosterior, n_samples: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """z = mu + sigma · eps and eps, each (S, B, K)."""
    eps = randn((n_samples, *q.mu.shape), q.mu, rng)
    return q.mu + q.log_sigma.exp() * eps, eps


def log_q(q: NormalPosterior, eps: Tensor) -> Tensor:
    """log q(z | x) of the draw made from eps.  (S, B, K) -> (S, B)."""
    return (-0.5 * eps**2 - q.log_sigma - HALF_LOG_2_PI).sum(-1)


def randn(shape: Sequence[int], like: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal numbers of like's type, drawn where rng lives, on like's device."""
    return torch.randn(*shape, generator=rng, dtype=like.dtype, device=rng.device).to(like.device)


def require_latents(where: str, z: Tensor, n_latent: int, dtype: torch.dtype) -> None:
    """z is (..., n_latent), finite, of the given type."""
    require_tensor(where, "z", z)
    if z.ndim == 0 or z.shape[-1] != n_latent or z.numel() == 0:
        raise ValueError(f"{where}: z has shape {tuple(z.shape)}, expected (..., {n_latent}), latents along the last axis; does it belong to another model?")
    if z.dtype != dtype:
        raise ValueError(f"{where}: z is {z.dtype}, expected {dtype} like the model; convert: z.to({dtype})")
    require_finite(where, "z", z)
