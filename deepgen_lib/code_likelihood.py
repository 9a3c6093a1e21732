"""What a model with discrete codes says about the probability of a picture: a bound, term by term, in nats.

    log p(x) = log Σ_z p(x | z) p(z)  >=  log p(x | z_q(x)) + log p(z_q(x))          all terms of the sum are positive, and one of them is kept

Gibbs' bound with a q that is a point mass: its entropy is 0. p(x | z) is a discretised logistic about the decoder's mean; how wide it is was no part of training, so it is
fitted afterwards on training pictures, one scale for each band of grey of the mean (where the decoder says 0, pixels are 0; where it says ½, they may be anything).
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .likelihood import bits_per_dim, discretised_logistic_log_likelihood
from .validate import require_count, require_finite, require_images, require_tensor, require_vector


class CodeBound(NamedTuple):
    picture: Tensor   # (B,) log p(x | z_q(x)) in nats
    codes: Tensor     # (B,) log p(z_q(x)) in nats
    n_pixels: int

    @property
    def total(self) -> Tensor:
        """(B,) at most log p(x), in nats."""
        return self.picture + self.codes

    @property
    def bits_per_dim(self) -> Tensor:
        """(B,) at least -log p(x) in bits per pixel and channel."""
        return bits_per_dim(-self.total, self.n_pixels)


def code_bound(x: Tensor, mean: Tensor, log_prior: Tensor, log_scales: Tensor) -> CodeBound:
    """The bound of pictures x (B, C, H, W) on the 256 grey levels: mean = decode(ids) of the same shape, log_prior (B,) = log p(ids), log_scales (n_bands,) of fit_log_scales."""
    _require_pair("code_bound", x, mean)
    require_vector("code_bound", "log_prior", log_prior, len(x), cure="one number a picture: prior.log_likelihood(ids)")
    picture = discretised_logistic_log_likelihood(x.flatten(1), mean.flatten(1), log_scale_at(mean, log_scales).flatten(1))
    return CodeBound(picture, log_prior, x[0].numel())


def log_scale_at(mean: Tensor, log_scales: Tensor) -> Tensor:
    """The scale of each pixel, that of its mean's band: band k of n holds the means from k/n to (k+1)/n, the outer ones also all beyond.  (...), (n_bands,) -> (...)."""
    require_tensor("log_scale_at", "mean", mean)
    require_tensor("log_scale_at", "log_scales", log_scales)
    if log_scales.ndim != 1 or len(log_scales) == 0 or log_scales.dtype != mean.dtype:
        raise ValueError(f"log_scale_at: log_scales is {tuple(log_scales.shape)} of {log_scales.dtype}, expected (n_bands,) of {mean.dtype}; fit_log_scales makes them")
    require_finite("log_scale_at", "log_scales", log_scales)
    return log_scales[_band(mean, len(log_scales))]


def fit_log_scales(x: Tensor, mean: Tensor, *, n_bands: int = 32) -> Tensor:
    """The most likely log scales for pictures x with decoded means, both (B, C, H, W); L-BFGS, no rng.  -> (n_bands,). A band that no mean falls in gets the scale of all."""
    _require_pair("fit_log_scales", x, mean)
    require_count("fit_log_scales", "n_bands", n_bands, maximum=256)
    x, mean = x.detach().flatten().double(), mean.detach().flatten().double()
    band = _band(mean, n_bands)
    spread = (x - mean).abs().mean().clamp(min=1e-4).log()
    log_scales = spread.repeat(n_bands).requires_grad_()
    counts = torch.bincount(band, minlength=n_bands).clamp(min=1)
    optimiser = torch.optim.LBFGS([log_scales], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        nats = -discretised_logistic_log_likelihood(x[:, None], mean[:, None], log_scales[band][:, None])
        loss = (nats / counts[band]).sum()  # bands do not touch one another: each weighs the same, so that all converge alike
        loss.backward()
        return loss
    optimiser.step(closure)
    return log_scales.detach().clamp(-9, 3).float()


def _band(mean: Tensor, n: int) -> Tensor:
    return (mean * n).floor().clamp(0, n - 1).long()


def _require_pair(where: str, x: Tensor, mean: Tensor) -> None:
    require_images(where, "x", x)
    require_images(where, "mean", mean, dtype=x.dtype)
    if mean.shape != x.shape:
        raise ValueError(f"{where}: mean has shape {tuple(mean.shape)}, expected {tuple(x.shape)} like x; decode the codes of the same pictures")
