"""Variational autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014): the bound of chapter 01 with q computed by a network.

    p(x) = ∫ p(z) p(x | z) dz      q(z | x) = N(z; mu(x), diag sigma(x)²)
    log p(x) >= E_q[log p(x | z)] - KL(q(z | x) ‖ p(z))                       sizes: B batch, V visible, K latent, S draws

A draw z = mu + sigma · eps, eps ~ N(0, I), is a differentiable function of mu and sigma, so the bound is trained by backpropagation.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .kernels import sum_softplus
from .latents import NormalPosterior, Prior, StandardNormal, draw, log_q, normal_kl, normal_log_prob, randn, require_latents
from .validate import in_words, require_choice, require_count, require_matrix, require_rng, require_states

LIKELIHOODS = ("bernoulli", "normal")


class VAEBound(NamedTuple):
    """bound = reconstruction - kl, each (B,) in nats."""
    reconstruction: Tensor  # E_q[log p(x | z)]
    kl: Tensor              # KL(q(z | x) ‖ p(z))

    @property
    def total(self) -> Tensor:
        """E_q[log p(x | z)] - KL(q ‖ p), at most log p(x) in the mean over draws."""
        return self.reconstruction - self.kl


class VAE(nn.Module):
    """encoder (B, V) -> (B, 2K), first the K mu, then the K log sigma; decoder (N, K) -> (N, V), logits ("bernoulli") or means ("normal").

    prior: log_prob and sample; default N(0, I), whose KL is exact, any other's is averaged over the draws. likelihood "normal" has one standard
    deviation for all pixels, exp(log_noise), a parameter.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, sizes: tuple[int, int], prior: Prior | None = None, likelihood: str = "bernoulli"):
        """sizes: (V, K)."""
        super().__init__()
        if not isinstance(sizes, tuple) or len(sizes) != 2:
            raise ValueError(f"VAE: sizes is {in_words(sizes)}, expected (V, K), pixels and latents; pass for example sizes=(784, 20)")
        for n in sizes:
            require_count("VAE", "sizes", n)
        require_choice("VAE", "likelihood", likelihood, LIKELIHOODS)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, nn.Module):
                raise ValueError(f"VAE: {name} is {type(network).__name__}, expected a torch.nn.Module; mlp_vae(784, (200,), 20, rng=rng) builds both")
        if prior is not None and not all(callable(getattr(prior, verb, None)) for verb in ("log_prob", "sample")):
            raise ValueError(f"VAE: prior is {type(prior).__name__}, expected an object with log_prob(z) and sample(n, rng); leave it out for N(0, I)")
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.n_visible, self.n_latent = sizes
        self.prior = StandardNormal(self.n_latent) if prior is None else prior
        if likelihood == "normal":
            self.log_noise = nn.Parameter(torch.zeros(()))

    def posterior(self, x: Tensor) -> NormalPosterior:
        """mu and log sigma of q(z | x).  (B, V) -> (B, K) twice."""
        self._require_pixels("VAE.posterior", x)
        return self._posterior(x)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats.  x (B, V), z (..., B, K) -> (..., B)."""
        self._require_pixels("VAE.log_likelihood", x)
        require_latents("VAE.log_likelihood", z, self.n_latent, x.dtype)
        if z.ndim < 2 or z.shape[-2] != len(x):
            raise ValueError(f"VAE.log_likelihood: z has shape {tuple(z.shape)}, expected (..., {len(x)}, {self.n_latent}); one z per row of x")
        return self._log_likelihood(x, z)

    def bound(self, x: Tensor, *, n_samples: int = 1, q: NormalPosterior | None = None, rng: torch.Generator) -> VAEBound:
        """Both terms, means over n_samples draws of z ~ q(z | x), by reparameterisation: gradients flow.  (B, V) -> VAEBound of (B,) nats.

        q: another posterior than the encoder's, for example the best one for each x.
        """
        self._require_pixels("VAE.bound", x)
        require_count("VAE.bound", "n_samples", n_samples)
        require_rng("VAE.bound", rng)
        if q is not None:
            self._require_posterior("VAE.bound", q, x)
        return self._bound(x, self._posterior(x) if q is None else q, n_samples, rng)

    @torch.no_grad()
    def importance_bound(self, x: Tensor, *, n_samples: int, chunk: int = 50, rng: torch.Generator) -> Tensor:
        """log 1/S Σ_s p(x, z_s) / q(z_s | x), z_s ~ q (Burda, Grosse & Salakhutdinov 2016, eq. 8).  (B, V) -> (B,) nats.

        In the mean over draws never above log p(x), never below the bound, and rising with S. The sum is kept as one number per x
        (a streaming log-sum-exp): memory is that of `chunk` draws, whatever n_samples.
        """
        self._require_pixels("VAE.importance_bound", x)
        require_count("VAE.importance_bound", "n_samples", n_samples)
        require_count("VAE.importance_bound", "chunk", chunk)
        require_rng("VAE.importance_bound", rng)
        q, log_sum = self._posterior(x), x.new_full((len(x),), -math.inf)
        for done in range(0, n_samples, chunk):
            z, eps = draw(q, min(chunk, n_samples - done), rng)
            log_weights = self._log_likelihood(x, z) + self.prior.log_prob(z) - log_q(q, eps)
            log_sum = torch.logaddexp(log_sum, log_weights.logsumexp(0))
        return log_sum - math.log(n_samples)

    def decode(self, z: Tensor) -> Tensor:
        """Mean pictures E[x | z]: probabilities ("bernoulli") or means.  (N, K) -> (N, V)."""
        require_matrix("VAE.decode", "z", z, self.n_latent, dtype=self._dtype)
        out = self._decoder(z)
        return torch.sigmoid(out) if self.likelihood == "bernoulli" else out

    @torch.no_grad()
    def sample(self, n: int, *, means: bool = False, rng: torch.Generator) -> Tensor:
        """n pictures from p(x): z from the prior, x from p(x | z), or with means=True E[x | z].  -> (n, V)."""
        require_count("VAE.sample", "n", n)
        require_rng("VAE.sample", rng)
        mean = self.decode(self.prior.sample(n, rng))
        if means:
            return mean
        if self.likelihood == "bernoulli":
            return torch.bernoulli(mean, generator=rng)
        return mean + self.log_noise.exp() * randn(mean.shape, mean, rng)

    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """-mean bound of the batch (B, V), one draw each, in nats; fraction is not used."""
        return -self._bound(batch, self._posterior(batch), 1, rng).total.mean()

    def check_data(self, data: Tensor) -> None:
        """Called once by fit."""
        self._require_pixels("fit", data, name="data")

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def _posterior(self, x: Tensor) -> NormalPosterior:
        out = self.encoder(x)
        if out.shape != (len(x), 2 * self.n_latent):
            raise ValueError(f"VAE: the encoder returned shape {tuple(out.shape)}, expected {(len(x), 2 * self.n_latent)}: K mu, then K log sigma; mend its last layer")
        return NormalPosterior(*out.chunk(2, dim=1))

    def _bound(self, x: Tensor, q: NormalPosterior, n_samples: int, rng: torch.Generator) -> VAEBound:
        z, eps = draw(q, n_samples, rng)
        if isinstance(self.prior, StandardNormal):
            kl = normal_kl(*q).sum(-1)
        else:
            kl = (log_q(q, eps) - self.prior.log_prob(z)).mean(0)
        return VAEBound(self._log_likelihood(x, z).mean(0), kl)

    def _decoder(self, z: Tensor) -> Tensor:
        out = self.decoder(z.reshape(-1, self.n_latent))
        if out.shape != (z.numel() // self.n_latent, self.n_visible):
            raise ValueError(f"VAE: the decoder returned shape {tuple(out.shape)}, expected {(z.numel() // self.n_latent, self.n_visible)}; mend its last layer")
        return out.reshape(*z.shape[:-1], self.n_visible)

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        out = self._decoder(z)
        if self.likelihood == "bernoulli":
            return (x * out).sum(-1) - sum_softplus(out)
        return normal_log_prob(x, out, self.log_noise)

    def _require_pixels(self, where: str, x: Tensor, name: str = "x") -> None:
        (require_states if self.likelihood == "bernoulli" else require_matrix)(where, name, x, self.n_visible, dtype=self._dtype)

    def _require_posterior(self, where: str, q: NormalPosterior, x: Tensor) -> None:
        if not isinstance(q, tuple) or len(q) != 2:
            raise ValueError(f"{where}: q is {type(q).__name__}, expected NormalPosterior(mu, log_sigma); vae.posterior(x) gives one")
        for name, part in zip(NormalPosterior._fields, q):
            require_matrix(where, f"q.{name}", part, self.n_latent, dtype=self._dtype)
            if len(part) != len(x):
                raise ValueError(f"{where}: q.{name} has {len(part)} rows, expected {len(x)}, one per row of x; compute q from these x")


def mlp_vae(n_visible: int, n_hidden: Sequence[int], n_latent: int, *, likelihood: str = "bernoulli", rng: torch.Generator) -> VAE:
    """Encoder V - n_hidden - 2K and decoder K - n_hidden reversed - V of ReLU layers; first weights normal with variance 2 / inputs, biases 0."""
    require_count("mlp_vae", "n_visible", n_visible)
    require_count("mlp_vae", "n_latent", n_latent)
    if not isinstance(n_hidden, (tuple, list)) or not n_hidden:
        raise ValueError(f"mlp_vae: n_hidden is {in_words(n_hidden)}, expected the sizes of at least one hidden layer; pass for example (200,)")
    for n in n_hidden:
        require_count("mlp_vae", "n_hidden", n)
    require_rng("mlp_vae", rng)
    encoder = _mlp([n_visible, *n_hidden, 2 * n_latent], rng)
    decoder = _mlp([n_latent, *reversed(n_hidden), n_visible], rng)
    return VAE(encoder, decoder, sizes=(n_visible, n_latent), likelihood=likelihood)


def _mlp(sizes: list[int], rng: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
        with torch.no_grad():
            layer.weight.normal_(0, math.sqrt((2 if len(layers) < 2 * len(sizes) - 4 else 1) / n_in), generator=rng)
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
