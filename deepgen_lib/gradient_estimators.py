"""Two ways to the gradient of E_q[f(z)], q = N(mu, diag sigma²), in mu and log sigma, from draws.

    pathwise        z = mu + sigma · eps:   ∇_mu  <-  ∇f(z)                          ∇_log sigma  <-  ∇f(z) · sigma · eps
    score function  f(z) ∇ log q(z):        ∇_mu  <-  (f(z) - b) eps / sigma         ∇_log sigma  <-  (f(z) - b) (eps² - 1)

Both have the right mean where f is smooth; the score function (Williams 1992) needs only f's values, the pathwise one (Kingma & Welling 2014)
its slope. b is a baseline: any number that does not depend on the draw leaves the mean as it is.    sizes: N draws, K dimensions
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .latents import randn
from .validate import require_choice, require_count, require_finite, require_number, require_rng, require_tensor, require_vector

Function = Callable[[Tensor], Tensor]


class GradientDraws(NamedTuple):
    """One estimate per draw; their mean is the estimate, their spread its error."""
    mu: Tensor         # (N, K)
    log_sigma: Tensor  # (N, K)


def pathwise_gradients(f: Function, mu: Tensor, log_sigma: Tensor, *, n_samples: int, rng: torch.Generator) -> GradientDraws:
    """Gradients through the draw.  f (N, K) -> (N,), mu (K,), log_sigma (K,) -> (N, K) twice.  Where f is not smooth they are wrong."""
    _require("pathwise_gradients", f, mu, log_sigma, n_samples, rng)
    eps = randn((n_samples, len(mu)), mu, rng)
    with torch.enable_grad():
        z = (mu + log_sigma.exp() * eps).detach().requires_grad_(True)
        values = _values("pathwise_gradients", f, z)
        if not values.requires_grad:
            raise ValueError("pathwise_gradients: f(z) does not depend on z by differentiable steps, expected a function that autograd can follow; use score_gradients")
        slope, = torch.autograd.grad(values.sum(), z)
    return GradientDraws(slope, slope * log_sigma.exp().detach() * eps)


@torch.no_grad()
def score_gradients(f: Function, mu: Tensor, log_sigma: Tensor, *, n_samples: int, baseline: float | str = 0.0, rng: torch.Generator) -> GradientDraws:
    """f's values times the score.  f (N, K) -> (N,), mu (K,), log_sigma (K,) -> (N, K) twice.

    baseline: a number, or "others": for each draw the mean of f over the other draws (needs two draws at least; then the estimates are not
    quite independent of each other).
    """
    _require("score_gradients", f, mu, log_sigma, n_samples, rng)
    if isinstance(baseline, str):
        require_choice("score_gradients", "baseline", baseline, ("others",))
        require_count("score_gradients", "n_samples", n_samples, minimum=2)
    else:
        require_number("score_gradients", "baseline", baseline)
    eps, sigma = randn((n_samples, len(mu)), mu, rng), log_sigma.exp()
    values = _values("score_gradients", f, mu + sigma * eps)
    values = values - ((values.sum() - values) / (n_samples - 1) if baseline == "others" else baseline)
    return GradientDraws(values[:, None] * eps / sigma, values[:, None] * (eps**2 - 1))


class QuadraticToy:
    """f(z) = -½ ‖z - target‖², of which everything is known.  target (K,); all answers for mu (K,), log_sigma (K,)."""

    def __init__(self, target: Tensor):
        require_tensor("QuadraticToy", "target", target)
        if target.ndim != 1 or len(target) == 0:
            raise ValueError(f"QuadraticToy: target has shape {tuple(target.shape)}, expected (K,), at least one number; reshape it: target.reshape(-1)")
        require_finite("QuadraticToy", "target", target)
        self.target = target

    def __call__(self, z: Tensor) -> Tensor:
        """(..., K) -> (...,)."""
        return -0.5 * ((z - self.target) ** 2).sum(-1)

    def expectation(self, mu: Tensor, log_sigma: Tensor) -> Tensor:
        """E_q[f] = -½ Σ_k (mu_k - target_k)² + sigma_k²."""
        self._require("QuadraticToy.expectation", mu, log_sigma)
        return -0.5 * ((mu - self.target) ** 2 + torch.exp(2 * log_sigma)).sum()

    def gradient(self, mu: Tensor, log_sigma: Tensor) -> GradientDraws:
        """Its exact gradient: target - mu and -sigma², (K,) each."""
        self._require("QuadraticToy.gradient", mu, log_sigma)
        return GradientDraws(self.target - mu, -torch.exp(2 * log_sigma))

    def pathwise_variance(self, mu: Tensor, log_sigma: Tensor) -> Tensor:
        """Var of one draw's gradient in mu_k: sigma_k².  -> (K,)."""
        self._require("QuadraticToy.pathwise_variance", mu, log_sigma)
        return torch.exp(2 * log_sigma)

    def score_variance(self, mu: Tensor, log_sigma: Tensor, *, baseline: float = 0.0) -> Tensor:
        """Var of one draw's gradient in mu_k, E[(f - b)² eps_k²] / sigma_k² - (mu_k - target_k)².  -> (K,).

        With m = mu - target, f = f_k + rest, the rest independent of eps_k: E[f_k² eps²] = (m⁴ + 18 m² sigma² + 15 sigma⁴) / 4 and
        E[f_k eps²] = -(m² + 3 sigma²) / 2.
        """
        self._require("QuadraticToy.score_variance", mu, log_sigma)
        require_number("QuadraticToy.score_variance", "baseline", baseline)
        m2, s2 = (mu - self.target) ** 2, torch.exp(2 * log_sigma)
        mean, variance = -0.5 * (m2 + s2), m2 * s2 + 0.5 * s2**2  # of f_k
        rest_mean = mean.sum() - mean - baseline
        rest_square = variance.sum() - variance + rest_mean**2
        own_square, own = (m2**2 + 18 * m2 * s2 + 15 * s2**2) / 4, -(m2 + 3 * s2) / 2
        return (own_square + 2 * own * rest_mean + rest_square) / s2 - m2

    def _require(self, where: str, mu: Tensor, log_sigma: Tensor) -> None:
        for name, part in (("mu", mu), ("log_sigma", log_sigma)):
            require_vector(where, name, part, len(self.target), dtype=self.target.dtype, cure="one number per dimension of the target")


def _require(where: str, f: Function, mu: Tensor, log_sigma: Tensor, n_samples: int, rng: torch.Generator) -> None:
    if not callable(f):
        raise ValueError(f"{where}: f is {type(f).__name__}, expected a function of z (N, K) that returns (N,); pass it without calling it")
    require_tensor(where, "mu", mu)
    if mu.ndim != 1 or len(mu) == 0:
        raise ValueError(f"{where}: mu has shape {tuple(mu.shape)}, expected (K,), at least one number; reshape it: mu.reshape(-1)")
    require_finite(where, "mu", mu)
    require_vector(where, "log_sigma", log_sigma, len(mu), dtype=mu.dtype, cure="one sigma per mu")
    require_count(where, "n_samples", n_samples)
    require_rng(where, rng)


def _values(where: str, f: Function, z: Tensor) -> Tensor:
    values = f(z)
    if not isinstance(values, Tensor) or values.shape != (len(z),):
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"{where}: f(z) is {found}, expected ({len(z)},): one value per row of z; sum over the last axis")
    return values
