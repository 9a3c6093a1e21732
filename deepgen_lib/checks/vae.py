"""Exercises of chapter 08, first half: two gradients from the same draws, the divergence by hand, the best q of a solvable model."""
import math

import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "08_vae"
_F64 = torch.float64


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _two_ways(f, slope, mu, sigma, eps) -> tuple[Tensor, Tensor]:
    z = mu + sigma * eps
    return slope(z).mean(0), (f(z)[:, None] * eps / sigma).mean(0)


def _other_score(change):
    """The right pathwise gradient, and a score-function one whose terms are change(values (N, 1), eps, sigma, z, mu)."""
    def wrong(f, slope, mu, sigma, eps):
        z = mu + sigma * eps
        return slope(z).mean(0), change(f(z)[:, None], eps, sigma, z, mu).mean(0)
    return wrong


def _other_path(change):
    def wrong(f, slope, mu, sigma, eps):
        return change(slope, mu, sigma, eps), _two_ways(f, slope, mu, sigma, eps)[1]
    return wrong


def _hills(rng):
    def case(n: int, k: int) -> tuple:
        target, mu, sigma = _normal(k, rng=rng), _normal(k, rng=rng), torch.exp(_normal(k, rng=rng, scale=0.4))

        def f(z):
            return -((z - target) ** 4).sum(-1) / 12 - 1.0

        def slope(z):
            return -((z - target) ** 3) / 3
        return f, slope, mu, sigma, _normal(n, k, rng=rng)
    return {"9 draws, 3 latents": case(9, 3), "4 draws, 1 latent": case(4, 1)}


two_ways = register(Exercise(
    id="8.1", name="two_ways", title="Two gradients from the same draws", level="core", minutes=15, chapter=CHAPTER,
    success="one asks for f's slope, the other for its values alone",
    hints=("*Nudge.* Both begin with z = mu + sigma · eps. The pathwise way asks how f changes when mu shifts all draws alike; the other asks how much likelier each draw becomes.",
           r"*Equation.* $\frac1N\sum_n\nabla f(z_n)$ and $\frac1N\sum_nf(z_n)\,\varepsilon_n/\sigma$, for $\nabla_\mu\log q(z)=(z-\mu)/\sigma^2=\varepsilon/\sigma$.",
           "*Pseudo-code.* `z = mu + sigma * eps`; `slope(z).mean(0)`; `(f(z)[:, None] * eps / sigma).mean(0)`."),
    parts=(Part(
        right=_two_ways, inputs=_hills,
        misconceptions={
            "exchanged": (lambda *a: _two_ways(*a)[::-1], "the two are exchanged: pathwise first, the one that uses slope"),
            "no sigma": (_other_score(lambda v, eps, sigma, z, mu: v * eps), "in the score, (z - mu) / sigma² is eps / sigma: you left the division by sigma out"),
            "sigma squared": (_other_score(lambda v, eps, sigma, z, mu: v * eps / sigma**2), "you divide by sigma twice: z - mu is sigma · eps, so (z - mu) / sigma² is eps / sigma"),
            "z for z - mu": (_other_score(lambda v, eps, sigma, z, mu: v * z / sigma**2), "the score of a normal is (z - mu) / sigma²; you forgot to subtract mu"),
            "downhill": (_other_score(lambda v, eps, sigma, z, mu: -v * eps / sigma), "your score-function gradient points downhill: ∇_mu log q = +(z - mu) / sigma²"),
            "slope in the score": (lambda f, slope, mu, sigma, eps: (slope(mu + sigma * eps).mean(0), (slope(mu + sigma * eps) * eps / sigma).mean(0)), "the score function multiplies f's values, not its slope"),
            "mean f": (_other_score(lambda v, eps, sigma, z, mu: v.mean(0) * eps / sigma), "you average f before multiplying: each draw's score goes with that draw's own f"),
            "slope at mu": (_other_path(lambda slope, mu, sigma, eps: slope(mu[None])[0]), "you take the slope at mu; take it at each draw z and average"),
            "slope of eps": (_other_path(lambda slope, mu, sigma, eps: slope(eps).mean(0)), "you take the slope at eps; the draws are z = mu + sigma · eps"),
            "sigma's gradient": (_other_path(lambda slope, mu, sigma, eps: (slope(mu + sigma * eps) * sigma * eps).mean(0)), "that is the gradient in log sigma; z moves with mu one to one"),
            "sums": (lambda *a: tuple(len(a[4]) * g for g in _two_ways(*a)), "you add up over the draws; take the mean"),
        }),)))


def _kl(mu: Tensor, log_sigma: Tensor) -> Tensor:
    return (0.5 * (mu**2 + torch.exp(2 * log_sigma) - 1) - log_sigma).sum(1)


def _posteriors(rng):
    def case(n: int, k: int) -> tuple:
        return _normal(n, k, rng=rng), _normal(n, k, rng=rng, scale=0.7) - 0.5
    return {"4 pictures, 3 latents": case(4, 3), "2 pictures, 5 latents": case(2, 5)}


kl_by_hand = register(Exercise(
    id="8.2", name="kl_by_hand", title="What the latents cost", level="core", minutes=10, chapter=CHAPTER,
    success="nats for each picture, summed over its latents",
    hints=("*Nudge.* Take E_q[log q - log p] for one latent. The 2π cancel. What is E_q[z²]?",
           r"*Equation.* $\mathbb E_q[\log q]=-\log\sigma-\tfrac12$, $\mathbb E_q[\log p]=-\tfrac12(\mu^2+\sigma^2)$, both without $\tfrac12\log2\pi$; take the difference and add up over $k$.",
           "*Pseudo-code.* `(0.5 * (mu**2 + exp(2 * log_sigma) - 1) - log_sigma).sum(1)`."),
    parts=(Part(
        right=_kl, inputs=_posteriors, axes=("B",),
        misconceptions={
            "log variance": (lambda m, s: (0.5 * (m**2 + torch.exp(s) - 1 - s)).sum(1), "you read log_sigma as the logarithm of the variance; here sigma² is exp(2 log_sigma)"),
            "sigma for sigma squared": (lambda m, s: (0.5 * (m**2 + torch.exp(s) - 1) - s).sum(1), "you use sigma where sigma² belongs: exp(2 log_sigma)"),
            "sign": (lambda m, s: -_kl(m, s), "a divergence is never negative: turn the sign"),
            "mean over latents": (lambda m, s: _kl(m, s) / m.shape[1], "you average over the latents; log p(x) is one number per picture, so add them up"),
            "over the batch": (lambda m, s: (0.5 * (m**2 + torch.exp(2 * s) - 1) - s).sum(0), "you add up over the pictures; add up over the latents, axis 1"),
            "one number": (lambda m, s: _kl(m, s).mean(), "you average over the pictures as well; give one number for each"),
            "not summed": (lambda m, s: 0.5 * (m**2 + torch.exp(2 * s) - 1) - s, "that is the cost of every single latent; add up over them"),
            "other direction": (lambda m, s: (0.5 * ((1 + m**2) * torch.exp(-2 * s) - 1) + s).sum(1), "that is KL(p‖q): average with q, not with the prior"),
            "no entropy": (lambda m, s: (0.5 * (m**2 + torch.exp(2 * s) - 1)).sum(1), "log sigma is missing: without it nothing stops sigma from going to zero"),
            "no one": (lambda m, s: (0.5 * (m**2 + torch.exp(2 * s)) - s).sum(1), "at mu = 0, sigma = 1 the divergence must be 0: the -½ of each latent is missing"),
            "half forgotten": (lambda m, s: 2 * _kl(m, s), "twice too much: the normal's exponent has a factor ½"),
        }),)))


def _precision(W: Tensor, sigma: float) -> Tensor:
    return torch.eye(W.shape[1], dtype=_F64) + W.T @ W / sigma**2


def _best_q(W: Tensor, b: Tensor, sigma: float, x: Tensor) -> tuple[Tensor, Tensor]:
    P = _precision(W, sigma)
    return torch.linalg.solve(P, W.T @ (x - b).T / sigma**2).T, P.diagonal() ** -0.5


def _with_precision(change):
    """The answer with another precision matrix for both."""
    def wrong(W, b, sigma, x):
        P = change(W, sigma)
        return torch.linalg.solve(P, W.T @ (x - b).T / sigma**2).T, P.diagonal() ** -0.5
    return wrong


def _with_widths(change):
    return lambda W, b, sigma, x: (_best_q(W, b, sigma, x)[0], change(_precision(W, sigma)))


def _with_mean(change):
    return lambda W, b, sigma, x: (change(W, b, sigma, x), _best_q(W, b, sigma, x)[1])


def _models(rng):
    def case(v: int, k: int, n: int, sigma: float) -> tuple:
        return _normal(v, k, rng=rng), _normal(v, rng=rng), sigma, _normal(n, v, rng=rng, scale=2.0)
    return {"4 pixels, 2 latents": case(4, 2, 5, 0.6), "3 pixels, 4 latents": case(3, 4, 2, 1.4)}


best_q = register(Exercise(
    id="8.3", name="best_q", title="The best q of a model that can be solved", level="stretch", minutes=25, chapter=CHAPTER,
    success="the exact mean, and widths that stay inside the posterior",
    hints=("*Nudge.* log p(x, z) is a quadratic function of z. Its curvature is P; its top is the mean. In the bound, sigma_k meets only the curvature along its own axis.",
           r"*Equation.* $P=I+W^{\mathsf T}W/\sigma_x^2$; mean $P^{-1}W^{\mathsf T}(x-b)/\sigma_x^2$. In $\sigma_k$ the bound is $\log\sigma_k-\tfrac12P_{kk}\sigma_k^2$: set its slope to zero.",
           "*Pseudo-code.* `P = eye(K) + W.T @ W / sigma**2`; `mean = solve(P, W.T @ (x - b).T / sigma**2).T`; `widths = P.diagonal() ** -0.5`."),
    parts=(Part(
        right=_best_q, inputs=_models,
        misconceptions={
            "margins": (_with_widths(lambda P: torch.linalg.inv(P).diagonal().sqrt()), "those widths are the posterior's margins, the diagonal of P⁻¹. The bound's best q stays inside: invert the diagonal of P, not P"),
            "variances": (_with_widths(lambda P: 1 / P.diagonal()), "those are variances; asked are standard deviations, their roots"),
            "precisions": (_with_widths(lambda P: P.diagonal().sqrt()), "P says how narrow: the width is one over the root of P_kk"),
            "no prior": (_with_precision(lambda W, s: W.T @ W / s**2 + 1e-9 * torch.eye(W.shape[1], dtype=_F64)), "the prior is missing: N(0, I) adds I to the precision"),
            "noise not squared": (lambda W, b, s, x: _best_q(W, b, math.sqrt(s), x), "the noise enters as a variance: divide by sigma², not by sigma"),
            "noise forgotten": (lambda W, b, s, x: _best_q(W, b, 1.0, x), "you took the noise for 1: divide WᵀW and Wᵀ(x - b) by sigma²"),
            "b forgotten": (_with_mean(lambda W, b, s, x: _best_q(W, 0 * b, s, x)[0]), "subtract b from x first: z explains what is left"),
            "no solve": (_with_mean(lambda W, b, s, x: (x - b) @ W / s**2), "P⁻¹ is missing in the mean: solve(P, ...)"),
            "projection": (_with_mean(lambda W, b, s, x: (x - b) @ torch.linalg.pinv(W).T), "that is least squares, the z that explains x best; the prior pulls the mean towards zero"),
        }),)))
