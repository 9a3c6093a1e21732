"""Linear-Gaussian latent-variable model (factor analysis with equal noise; Tipping & Bishop 1999): a VAE with every answer known.

    z ~ N(0, I),  x | z ~ N(Wz + b, sigma² I)        p(x) = N(b, WWᵀ + sigma² I)
    p(z | x) = N(P⁻¹ Wᵀ(x - b) / sigma², P⁻¹)        P = I + WᵀW / sigma², the same for all x        sizes: B batch, V visible, K latent

The posterior's dimensions are correlated, a VAE's q has independent ones: the best such q has the right mean and sigma_k² = 1 / P_kk.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .latents import HALF_LOG_2_PI, NormalPosterior, normal_kl
from .vae import VAE
from .validate import require_count, require_finite, require_matrix, require_number, require_rng, require_tensor, require_vector


class ExactPosterior(NamedTuple):
    mean: Tensor        # (B, K)
    covariance: Tensor  # (K, K), the same for all x


class LinearGaussian:
    """W (V, K), b (V,), sigma one number: the noise's standard deviation. Work in float64."""

    def __init__(self, W: Tensor, b: Tensor, sigma: float):
        require_matrix("LinearGaussian", "W", W)
        require_vector("LinearGaussian", "b", b, len(W), dtype=W.dtype, cure="one number per row of W")
        require_number("LinearGaussian", "sigma", sigma, low=1e-6, high=1e6)
        self.W, self.b, self.sigma = W, b, float(sigma)
        self.precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / sigma**2  # P, (K, K)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Exact log p(x).  (B, V) -> (B,) nats."""
        self._require_pixels("LinearGaussian.log_likelihood", x)
        covariance = self.W @ self.W.T + self.sigma**2 * torch.eye(len(self.W), dtype=x.dtype)
        root = torch.linalg.cholesky(covariance)
        white = torch.linalg.solve_triangular(root, (x - self.b).T, upper=False)  # (V, B)
        return -0.5 * (white**2).sum(0) - root.diagonal().log().sum() - len(self.W) * HALF_LOG_2_PI

    def posterior(self, x: Tensor) -> ExactPosterior:
        """p(z | x).  (B, V) -> mean (B, K), covariance (K, K)."""
        self._require_pixels("LinearGaussian.posterior", x)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(self.precision))
        return ExactPosterior((x - self.b) @ self.W @ covariance / self.sigma**2, covariance)

    def best_q(self, x: Tensor) -> NormalPosterior:
        """The q with independent dimensions whose bound is highest: the exact mean, log sigma_k = -½ log P_kk.  (B, V) -> (B, K) twice."""
        mean = self.posterior(x).mean
        return NormalPosterior(mean, (-0.5 * self.precision.diagonal().log()).expand_as(mean))

    def bound(self, x: Tensor, q: NormalPosterior) -> Tensor:
        """E_q[log p(x | z)] - KL(q ‖ N(0, I)), the expectation done by hand.  (B, V), q of (B, K) -> (B,) nats."""
        self._require_q("LinearGaussian.bound", x, q)
        missed = x - self.b - q.mu @ self.W.T
        spread = (torch.exp(2 * q.log_sigma) * (self.W**2).sum(0)).sum(1)
        reconstruction = -0.5 * ((missed**2).sum(1) + spread) / self.sigma**2 - len(self.W) * (math.log(self.sigma) + HALF_LOG_2_PI)
        return reconstruction - normal_kl(*q).sum(1)

    def gap(self, x: Tensor, q: NormalPosterior) -> Tensor:
        """KL(q ‖ p(z | x)) between two normal distributions.  (B, V), q of (B, K) -> (B,) nats."""
        self._require_q("LinearGaussian.gap", x, q)
        off = q.mu - self.posterior(x).mean
        distance = torch.einsum("bi,ij,bj->b", off, self.precision, off)
        trace = (torch.exp(2 * q.log_sigma) * self.precision.diagonal()).sum(1)
        return 0.5 * (distance + trace - off.shape[1] - torch.logdet(self.precision)) - q.log_sigma.sum(1)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n pictures from p(x).  -> (n, V)."""
        require_count("LinearGaussian.sample", "n", n)
        require_rng("LinearGaussian.sample", rng)
        n_visible, n_latent = self.W.shape
        z = torch.randn(n, n_latent, generator=rng, dtype=self.W.dtype)
        return z @ self.W.T + self.b + self.sigma * torch.randn(n, n_visible, generator=rng, dtype=self.W.dtype)

    def vae(self, encoder: nn.Module) -> VAE:
        """The same p(x | z) as a VAE with this encoder (B, V) -> (B, 2K); the decoder and the noise are frozen, the encoder is not."""
        n_visible, n_latent = self.W.shape
        decoder = nn.utils.skip_init(nn.Linear, n_latent, n_visible, dtype=self.W.dtype)
        with torch.no_grad():
            decoder.weight.copy_(self.W)
            decoder.bias.copy_(self.b)
        model = VAE(encoder, decoder.requires_grad_(False), sizes=(n_visible, n_latent), likelihood="normal").to(self.W.dtype)
        model.log_noise.data.fill_(math.log(self.sigma))
        model.log_noise.requires_grad_(False)
        return model

    def _require_pixels(self, where: str, x: Tensor) -> None:
        require_matrix(where, "x", x, len(self.W), dtype=self.W.dtype)

    def _require_q(self, where: str, x: Tensor, q: NormalPosterior) -> None:
        self._require_pixels(where, x)
        if not isinstance(q, tuple) or len(q) != 2:
            raise ValueError(f"{where}: q is {type(q).__name__}, expected NormalPosterior(mu, log_sigma); best_q(x) gives one")
        for name, part in zip(NormalPosterior._fields, q):
            require_tensor(where, f"q.{name}", part)
            if part.shape != (len(x), self.W.shape[1]):
                raise ValueError(f"{where}: q.{name} has shape {tuple(part.shape)}, expected {(len(x), self.W.shape[1])}; one row per row of x")
            require_finite(where, f"q.{name}", part)


def random_linear_gaussian(n_visible: int, n_latent: int, *, sigma: float = 0.5, rng: torch.Generator) -> LinearGaussian:
    """All W and b from N(0, 1), float64."""
    require_count("random_linear_gaussian", "n_visible", n_visible)
    require_count("random_linear_gaussian", "n_latent", n_latent)
    require_rng("random_linear_gaussian", rng)
    W, b = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((n_visible, n_latent), (n_visible,)))
    return LinearGaussian(W, b, sigma)
