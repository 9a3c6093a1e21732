"""Mixture of Bernoullis fitted by EM: the bound of `variational` on real data, with both of its steps in closed form.

    p(x) = Σ_k π_k Π_i m_ki^x_i (1 - m_ki)^(1 - x_i)          sizes: B batch, V visible, K components

E-step: q(k | x) = p(k | x), which makes the bound tight. M-step: the parameters that maximise the bound for that q.
Source: Dempster, Laird, Rubin 1977; as coordinate ascent on one bound: Neal & Hinton 1998.
"""
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .validate import require_count, require_means, require_model, require_number, require_probabilities, require_rng, require_states, require_tensor
from .variational import gibbs_bound

_FLOOR = 1e-12  # smallest component weight whose logarithm is taken


class BernoulliMixture(nn.Module):
    """Weights pi (K,) summing to one, means m (K, V) strictly between 0 and 1."""

    def __init__(self, weights: Tensor, means: Tensor):
        super().__init__()
        require_probabilities("BernoulliMixture", "weights", weights)
        require_tensor("BernoulliMixture", "means", means)
        if weights.ndim != 1 or means.ndim != 2 or len(weights) != len(means):
            raise ValueError(f"BernoulliMixture: weights {tuple(weights.shape)}, means {tuple(means.shape)}, expected (K,) and (K, V); stack one row per component")
        for row in means:
            require_means("BernoulliMixture", "means", row, means.shape[1])
        self.register_buffer("log_weights", weights.clamp_min(_FLOOR).log())
        self.register_buffer("logits", torch.logit(means))

    @property
    def weights(self) -> Tensor:
        return self.log_weights.exp()

    @property
    def means(self) -> Tensor:
        return torch.sigmoid(self.logits)

    def conditional_log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x | k) for every component.  (B, V) -> (B, K) nats.  x binary."""
        require_states("BernoulliMixture", "x", x, self.logits.shape[1], dtype=self.logits.dtype)
        return x @ self.logits.T + nn.functional.logsigmoid(-self.logits).sum(1)

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, k) = log pi_k + log p(x | k).  (B, V) -> (B, K) nats."""
        return self.conditional_log_likelihood(x) + self.log_weights

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x) = log Σ_k p(x, k).  (B, V) -> (B,) nats."""
        return torch.logsumexp(self.log_joint(x), 1)

    def posterior(self, x: Tensor) -> Tensor:
        """p(k | x).  (B, V) -> (B, K), rows sum to one."""
        return torch.softmax(self.log_joint(x), 1)

    def sample(self, n: int, *, rng: torch.Generator) -> Tensor:
        """n draws from p(x).  -> (n, V) of 0/1."""
        require_count("BernoulliMixture.sample", "n", n)
        require_rng("BernoulliMixture.sample", rng)
        k = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        return torch.bernoulli(self.means[k], generator=rng)


class EMStep(NamedTuple):
    """Mean per example in nats: likelihood before the step, bound after E (equal to it), bound after M, likelihood after the step."""
    log_likelihood_before: float
    bound_after_e: float
    bound_after_m: float
    log_likelihood_after: float


class EMResult(NamedTuple):
    mixture: BernoulliMixture
    trace: list[EMStep]


def e_step(mixture: BernoulliMixture, x: Tensor) -> Tensor:
    """The q that makes the bound tight: q(k | x) = p(k | x).  (B, V) -> (B, K)."""
    require_model("e_step", "mixture", mixture, "BernoulliMixture")
    return mixture.posterior(x)


def m_step(x: Tensor, q: Tensor, *, smoothing: float = 0.0) -> BernoulliMixture:
    """The mixture that maximises the bound for fixed q: pi_k = mean_n q_nk,  m_k = Σ_n q_nk x_n / Σ_n q_nk.  (B, V), (B, K).

    smoothing adds that many pseudo-counts of on and of off to every pixel, which keeps the means off 0 and 1. It then maximises
    bound + smoothing · Σ_ki log m_ki (1 - m_ki), not the bare bound; at 0 a mean of exactly 0 or 1 is pulled inside by 1e-6.
    """
    require_states("m_step", "x", x)
    require_probabilities("m_step", "q", q)
    require_number("m_step", "smoothing", smoothing, low=0)
    if q.ndim != 2 or len(q) != len(x):
        raise ValueError(f"m_step: q is {tuple(q.shape)} for {len(x)} examples, expected ({len(x)}, K): one row per example; use e_step(mixture, x)")
    counts = q.sum(0)
    means = (q.T @ x + smoothing) / (counts[:, None] + 2 * smoothing).clamp_min(_FLOOR)
    return BernoulliMixture(counts / len(x), means.clamp(1e-6, 1 - 1e-6))


def mixture_bound(mixture: BernoulliMixture, x: Tensor, q: Tensor) -> Tensor:
    """E_q[log p(x, k)] + H(q) per example.  (B, V), (B, K) -> (B,) nats."""
    require_model("mixture_bound", "mixture", mixture, "BernoulliMixture")
    return gibbs_bound(mixture.log_joint(x), q)


def random_mixture(x: Tensor, *, n_components: int, rng: torch.Generator) -> BernoulliMixture:
    """A start for EM: equal weights, each mean halfway between the data's mean and one random example, kept off 0 and 1."""
    require_states("random_mixture", "x", x)
    require_count("random_mixture", "n_components", n_components, maximum=len(x))
    require_rng("random_mixture", rng)
    centres = x[torch.randperm(len(x), generator=rng)[:n_components]]
    means = (0.5 * centres + 0.5 * x.mean(0)).clamp(0.05, 0.95)
    return BernoulliMixture(torch.full((n_components,), 1 / n_components, dtype=x.dtype), means)


def fit_em(x: Tensor, *, n_components: int, n_steps: int, smoothing: float = 0.0, rng: torch.Generator) -> EMResult:
    """n_steps of EM on x (N, V), from random_mixture; the trace holds what each half-step did to bound and likelihood."""
    require_count("fit_em", "n_steps", n_steps)
    mixture, trace = random_mixture(x, n_components=n_components, rng=rng), []
    before = mixture.log_likelihood(x).mean().item()
    for _ in range(n_steps):
        q = e_step(mixture, x)
        tight = mixture_bound(mixture, x, q).mean().item()
        mixture = m_step(x, q, smoothing=smoothing)
        raised = mixture_bound(mixture, x, q).mean().item()
        after = mixture.log_likelihood(x).mean().item()
        trace.append(EMStep(before, tight, raised, after))
        before = after
    return EMResult(mixture, trace)
