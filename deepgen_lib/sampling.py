"""Block Gibbs sampling of an RBM: one sweep, a chain, and tempered chains that swap.

    v -> h ~ p(h | v) -> v' ~ p(v' | h)          each half is exact, because units of one layer do not interact
"""
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from .kernels.gibbs import half_step
from .kernels.sweeps import walk
from .kernels import sum_softplus
from .rbm import RBM, require_independent_units
from .validate import require_count, require_means, require_model, require_rng, require_schedule, require_states, require_tensor


def sample_bernoulli(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Independent draws, 1 with probability sigma(logit).  (...) -> (...) of 0/1, same type."""
    require_tensor("sample_bernoulli", "logits", logits)
    if logits.numel() == 0:
        raise ValueError(f"sample_bernoulli: logits are empty, shape {tuple(logits.shape)}, expected at least one; look where the rows were lost")
    if torch.isnan(logits).any():
        raise ValueError("sample_bernoulli: logits contain NaN, expected numbers (infinite ones are allowed); look for 0/0 or a diverged model")
    require_rng("sample_bernoulli", rng)
    with torch.no_grad():
        p = torch.sigmoid(logits)
        return (torch.empty_like(p).uniform_(generator=rng) < p).to(logits.dtype)


def sample_h_from_v(rbm: RBM, v: Tensor, rng: torch.Generator) -> Tensor:
    """h ~ p(h | v).  (B, V) -> (B, H) of 0/1."""
    require_model("sample_h_from_v", "rbm", rbm, "RBM")
    return sample_bernoulli(rbm.hidden_logits(v), rng)


def sample_v_from_h(rbm: RBM, h: Tensor, rng: torch.Generator) -> Tensor:
    """v ~ p(v | h).  (B, H) -> (B, V) of 0/1."""
    require_independent_units("sample_v_from_h", rbm)
    return sample_bernoulli(rbm.visible_logits(h), rng)


def gibbs_step(rbm: RBM, v: Tensor, rng: torch.Generator) -> Tensor:
    """One sweep v -> h -> v'; leaves p(v) unchanged.  (B, V) -> (B, V)."""
    return gibbs_chain(rbm, v, n_steps=1, rng=rng)


def gibbs_chain(rbm: RBM, v: Tensor, *, n_steps: int, rng: torch.Generator) -> Tensor:
    """n_steps sweeps from v, one chain a row; 0 steps give v back.  (B, V) -> (B, V)."""
    require_model("gibbs_chain", "rbm", rbm, "RBM")
    require_states("gibbs_chain", "v", v, rbm.n_visible, dtype=rbm.W.dtype)
    require_count("gibbs_chain", "n_steps", n_steps, minimum=0)
    require_rng("gibbs_chain", rng)
    with torch.no_grad():
        if not rbm.n_labels:
            return walk(v, rbm.W, rbm.b, rbm.c, n_steps, rng)
        for _ in range(n_steps):
            v = rbm.draw_visible(half_step(v, rbm.W, rbm.c, rng), rng)
    return v


def layers_above(layers: Iterable, x: Tensor, rng: torch.Generator) -> list[Tensor]:
    """[x, h¹, h², ...], each hᵗ ~ Bernoulli(sigma(c_t + W_tᵀ hᵗ⁻¹)) for the layers' W and c, bottom up; no checks, for inner loops."""
    states = [x]
    with torch.no_grad():
        for layer in layers:
            states.append(half_step(states[-1], layer.W, layer.c, rng))
    return states


class TemperedChains(NamedTuple):
    v: Tensor            # (N, V) states at inverse temperature one
    swap_rates: Tensor   # (T-1,) share of accepted swaps between neighbouring temperatures
    ladder: Tensor       # (T, N, V) states at every inverse temperature, coldest (one) last


def parallel_tempering(rbm: RBM, *, n_chains: int, inverse_temperatures: Tensor, n_steps: int, base_mean: Tensor | None = None,
                       rng: torch.Generator) -> TemperedChains:
    """n_chains ladders; each step is one Gibbs sweep at every temperature, then swaps of neighbours (Earl & Deem 2005).

        p_t(v) ∝ exp((1 - t) aᵀv + t bᵀv) Π_j (1 + exp(t (c + vW)_j))          a = logit(base_mean), or 0

    inverse_temperatures runs from 0 (the base: pixels independent) to 1 (the RBM). A swap of t < t' is accepted with
    min(1, p_t(v') p_t'(v) / (p_t(v) p_t'(v'))). Chains start at the base.
    """
    require_independent_units("parallel_tempering", rbm)
    for name, value in (("n_chains", n_chains), ("n_steps", n_steps)):
        require_count("parallel_tempering", name, value)
    require_rng("parallel_tempering", rng)
    t = require_schedule("parallel_tempering", inverse_temperatures).to(rbm.W)
    if base_mean is None:
        base_mean = torch.full_like(rbm.b, 0.5).detach()
    require_means("parallel_tempering", "base_mean", base_mean, rbm.n_visible)
    with torch.no_grad():
        a = torch.logit(base_mean.to(rbm.W))
        v = torch.bernoulli(base_mean.to(rbm.W).expand(len(t), n_chains, -1), generator=rng)
        accepted, tried = torch.zeros(len(t) - 1), torch.zeros(len(t) - 1)
        for step in range(n_steps):
            v = _tempered_sweep(rbm, v, t, a, rng)
            low = torch.arange(step % 2, len(t) - 1, 2)  # even pairs, then odd pairs
            accepted[low] += _swap(rbm, v, t, a, low, rng)
            tried[low] += 1
    return TemperedChains(v[-1].clone(), accepted / tried.clamp_min(1), v)


def _tempered_sweep(rbm: RBM, v: Tensor, t: Tensor, a: Tensor, rng: torch.Generator) -> Tensor:
    t = t[:, None, None]
    h = sample_bernoulli(t * (v @ rbm.W + rbm.c), rng)
    return sample_bernoulli((1 - t) * a + t * (h @ rbm.W.T + rbm.b), rng)


def _swap(rbm: RBM, v: Tensor, t: Tensor, a: Tensor, low: Tensor, rng: torch.Generator) -> Tensor:
    """Swap the pairs (low, low + 1) in place where accepted; the share accepted of each pair."""
    def log_p(t: Tensor, v: Tensor) -> Tensor:  # (P,), (P, N, V) -> (P, N)
        t = t[:, None]
        return (1 - t) * (v @ a) + t * (v @ rbm.b) + sum_softplus(t[..., None] * (v @ rbm.W + rbm.c))
    high, cold, warm = low + 1, v[low + 1], v[low]
    log_ratio = log_p(t[low], cold) + log_p(t[high], warm) - log_p(t[low], warm) - log_p(t[high], cold)
    accept = torch.empty_like(log_ratio).uniform_(generator=rng).log() < log_ratio
    v[low], v[high] = torch.where(accept[..., None], cold, warm), torch.where(accept[..., None], warm, cold)
    return accept.float().mean(1)
