"""What a DBN gives its data: exact log p(x) of tiny ones, and the variational bound over the hidden layers below the top.

    bound(x) = E_q[Σ_t log P(hᵗ⁻¹ | hᵗ)] + E_q[log p(hᴸ⁻¹)] + H(q) <= log p(x)          q(h | x) = Π_t Q(hᵗ | hᵗ⁻¹)

The top hidden layer is summed in closed form: log p(hᴸ⁻¹) = -F_top(hᴸ⁻¹) - log Z. Everything else is enumerated layer by layer (matrices of
2^n_{t-1} x 2^n_t, never the whole product), or sampled. All in nats, per example.
"""
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .enumeration import MAX_UNITS, all_states, exact_log_likelihood, log_partition, visible_log_prob
from .kernels import sum_softplus
from .likelihood import bernoulli_log_likelihood
from .sampling import sample_bernoulli


class DBNBound(NamedTuple):
    """A lower bound on log p(x) by its terms, each (B,) in nats."""
    reconstruction: Tensor   # E_q Σ_t log P(hᵗ⁻¹ | hᵗ)
    prior: Tensor            # E_q log p(hᴸ⁻¹) = E_q[-F_top] - log Z
    entropy: Tensor          # H(q) = -E_q Σ_t log Q(hᵗ | hᵗ⁻¹)
    standard_error: Tensor   # of the total, from sampling q; zero where it was enumerated

    @property
    def total(self) -> Tensor:
        """reconstruction + prior + entropy <= log p(x)."""
        return self.reconstruction + self.prior + self.entropy


def layer_log_prob(dbn: nn.Module, t: int) -> Tensor:
    """log p(hᵗ) of every state: p(hᵗ) = Σ P(hᵗ | hᵗ⁺¹) p(hᵗ⁺¹), from the top RBM down.  t = 0 ... L-1 -> (2**n_t,) nats."""
    require_enumerable("layer_log_prob", dbn)
    log_p = visible_log_prob(dbn.top)
    for level in range(len(dbn.directed), t, -1):
        log_p = torch.logsumexp(log_generation(dbn, level) + log_p, 1)
    return log_p


def dbn_log_likelihood(dbn: nn.Module, x: Tensor) -> Tensor:
    """log p(x) = log Σ_{h¹} P(x | h¹) p(h¹).  (B, n_0) -> (B,)."""
    require_enumerable("log_likelihood", dbn)
    if not dbn.directed:
        return exact_log_likelihood(dbn.top, x)
    return torch.logsumexp(log_generation(dbn, 1, x) + layer_log_prob(dbn, 1), 1)


def exact_bound(dbn: nn.Module, x: Tensor, log_z: float | None) -> DBNBound:
    """From the top down: for each state of a layer, what the layers above it contribute; differentiable."""
    require_enumerable("bound", dbn)
    prior = -dbn.top.free_energy(all_states(dbn.n_units[-2]).to(x) if dbn.directed else x)
    prior = prior - (log_partition(dbn.top) if log_z is None else log_z)
    reconstruction = entropy = torch.zeros_like(prior)
    for t in range(len(dbn.directed), 0, -1):
        lower = x if t == 1 else None
        log_p, log_q = log_generation(dbn, t, lower), log_recognition(dbn, t, lower)  # (rows, 2**n_t)
        q = log_q.exp()
        reconstruction = (q * (log_p + reconstruction)).sum(1)
        prior, entropy = q @ prior, (q * (entropy - log_q)).sum(1)
    return DBNBound(reconstruction, prior, entropy, torch.zeros_like(prior))


def sampled_bound(dbn: nn.Module, x: Tensor, log_z: float | None, n_samples: int, rng: torch.Generator) -> DBNBound:
    """The mean over n_samples draws of q for each x; one draw is held at a time. Its standard error needs two draws: inf with one."""
    log_z = float(log_partition(dbn.top)) if log_z is None else log_z
    sums = torch.zeros(3, len(x), dtype=torch.float64, device=x.device)
    mean, squares = torch.zeros_like(sums[0]), torch.zeros_like(sums[0])  # of the total, kept up by Welford's rule
    for draw in range(1, n_samples + 1):
        terms = torch.stack(_draw_terms(dbn, x, rng)).double()
        sums += terms
        deviation = terms.sum(0) - mean
        mean += deviation / draw
        squares += deviation * (terms.sum(0) - mean)
    reconstruction, prior, entropy = (sums / n_samples).to(x)
    error = (squares / max(n_samples - 1, 1) / n_samples).sqrt().to(x) if n_samples > 1 or not dbn.directed else torch.full_like(prior, torch.inf)
    return DBNBound(reconstruction, prior - log_z, entropy, error)


def _draw_terms(dbn: nn.Module, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """One draw of q: Σ_t log P, -F_top, and each layer's entropy in closed form given the layer below.  Each (B,)."""
    reconstruction, entropy, lower = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0]), x
    for t in range(1, len(dbn.directed) + 1):
        logits = dbn.recognition_logits(t, lower)
        upper = sample_bernoulli(logits, rng)
        down = dbn.generation_logits(t, upper)
        reconstruction = reconstruction + bernoulli_log_likelihood(lower, down)
        entropy = entropy + sum_softplus(logits) - (logits * torch.sigmoid(logits)).sum(1)
        lower = upper
    return reconstruction, -dbn.top.free_energy(lower), entropy


def log_generation(dbn: nn.Module, t: int, lower: Tensor | None = None) -> Tensor:
    """log P(hᵗ⁻¹ | hᵗ) for the given rows of hᵗ⁻¹ (every state if None) and every hᵗ.  -> (rows, 2**n_t)."""
    lower = all_states(dbn.n_units[t - 1]).to(dbn.top.W) if lower is None else lower
    logits = dbn.generation_logits(t, all_states(dbn.n_units[t]).to(dbn.top.W))  # (2**n_t, n_{t-1})
    return lower @ logits.T - sum_softplus(logits)


def log_recognition(dbn: nn.Module, t: int, lower: Tensor | None = None) -> Tensor:
    """log Q(hᵗ | hᵗ⁻¹) for the given rows of hᵗ⁻¹ (every state if None) and every hᵗ.  -> (rows, 2**n_t), rows sum to one."""
    lower = all_states(dbn.n_units[t - 1]).to(dbn.top.W) if lower is None else lower
    logits = dbn.recognition_logits(t, lower)
    return logits @ all_states(dbn.n_units[t]).to(dbn.top.W).T - sum_softplus(logits)[:, None]


def require_enumerable(where: str, dbn: nn.Module) -> None:
    """Every pair of neighbouring layers that an exact sum holds at once has at most 24 units."""
    n = dbn.n_units
    pairs = [n[t - 1] + n[t] for t in range(1, len(n) - 1)]
    if max([*pairs, min(n[-2:])]) > MAX_UNITS:
        raise ValueError(f"DBN.{where}: layers of {', '.join(map(str, n))} units are too many to enumerate, expected at most {MAX_UNITS} in two neighbouring layers; "
                         "use bound(x, log_z=..., n_samples=10, rng=rng), with log_z from ais_log_partition(dbn.top, ...)")
