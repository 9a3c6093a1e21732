"""From the network's last numbers to log p(x | z), to mean pictures, to drawn ones: Bernoulli, or a discretised logistic mixture.

All take `out` (B, head_channels, S, S) at the picture's own size, at least float32.
"""
from __future__ import annotations

import torch
from torch import Tensor

from ..likelihood import require_levels
from ..logistic_mixture import logistic_mixture_mean, mixture_channels, mixture_log_prob, sample_logistic_mixture
from ..validate import require_binary
from .config import NVAEConfig


def head_channels(config: NVAEConfig) -> int:
    """Numbers for each pixel."""
    return config.n_channels if config.likelihood == "bernoulli" else mixture_channels(config.n_channels, config.n_mixtures)


def head_log_likelihood(config: NVAEConfig, x: Tensor, out: Tensor) -> Tensor:
    """log p(x | z) in nats.  x (B, C, S, S) -> (B,)."""
    if config.likelihood == "bernoulli":
        return (x * out - torch.logaddexp(out, out.new_zeros(()))).sum((1, 2, 3))
    return mixture_log_prob(x.to(out.dtype), out, config.n_mixtures, config.n_levels)


def head_mean(config: NVAEConfig, out: Tensor) -> Tensor:
    """E[x | z].  -> (B, C, S, S) in [0, 1]."""
    if config.likelihood == "bernoulli":
        return torch.sigmoid(out)
    return logistic_mixture_mean(out, n_channels=config.n_channels, n_mixtures=config.n_mixtures)


def head_draw(config: NVAEConfig, out: Tensor, rng: torch.Generator) -> Tensor:
    """x ~ p(x | z).  -> (B, C, S, S)."""
    if config.likelihood == "bernoulli":
        return (torch.rand(out.shape, generator=rng, device=rng.device).to(out.device) < torch.sigmoid(out)).to(out.dtype)
    return sample_logistic_mixture(out, n_channels=config.n_channels, n_mixtures=config.n_mixtures, n_levels=config.n_levels, rng=rng)


def require_pixels(where: str, name: str, x: Tensor, config: NVAEConfig) -> None:
    """The values are such that the likelihood has a probability for them."""
    if config.likelihood == "bernoulli":
        require_binary(where, name, x)
    else:
        require_levels(where, name, x, config.n_levels)
