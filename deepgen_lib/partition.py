"""Estimating log Z when it cannot be enumerated: annealed importance sampling, forwards and backwards.

    p_t(v) = exp((1-t) aᵀv + t bᵀv) Π_j (1 + exp(t (c + vW)_j))          t from 0 (independent pixels) to 1 (the RBM)

At t = 0, log Z_0 = Σ_i softplus(a_i) + H log 2, and the product of the ratios p_{t+1}(v) / p_t(v) along a chain has the mean Z / Z_0.
Sources: Neal 2001; Salakhutdinov & Murray 2008, whose base model (pixel means of the training data) this is.
"""
import math
from typing import NamedTuple

import torch
from torch import Tensor

from .enumeration import log_partition
from .kernels import sum_softplus
from .kernels.anneal import Route, anneal
from .kernels.gibbs import draw
from .rbm import RBM, base_rate, require_independent_units
from .validate import in_words, require_count, require_means, require_rng, require_schedule, require_states

__all__ = ["AISResult", "ais_log_partition", "base_rate", "log_partition", "reverse_ais_log_partition", "salakhutdinov_murray_schedule"]


class AISResult(NamedTuple):
    """log Z in nats: estimate = log Z_0 ± log mean_n exp(log_weights_n), forwards +, backwards -."""
    estimate: float
    low: float               # the mean weight three standard errors off, towards smaller log Z; -inf where that mean is negative
    high: float              # likewise, towards larger log Z; +inf possible for the reverse estimate
    log_weights: Tensor      # (n_chains,) float64
    effective_chains: float  # (Σ w)² / Σ w², between 1 and n_chains: when it is near 1, the estimate rests on one chain


def ais_log_partition(rbm: RBM, *, base_mean: Tensor, n_chains: int = 100, n_temperatures: int | None = None,
                      schedule: Tensor | None = None, rng: torch.Generator) -> AISResult:
    """log Z by n_chains runs of AIS from the base model with pixel means base_mean (V,); nats.

    Give n_temperatures (evenly spaced from 0 to 1) or a schedule of inverse temperatures. Each run weighs first, at the state it is in, and moves
    afterwards. E[exp(estimate)] = Z, so by Jensen E[estimate] <= log Z: on average log Z is too low and likelihoods too good.
    """
    a, beta = _prepare("ais_log_partition", rbm, base_mean, n_temperatures, schedule, rng)
    require_count("ais_log_partition", "n_chains", n_chains)
    with torch.no_grad():
        v = draw(torch.sigmoid(a).expand(n_chains, -1), rng)
        log_weights = anneal(v, Route(rbm.W, rbm.b, rbm.c, a, beta), rng)
    return _summarise(_log_z_base(rbm, a), log_weights, sign=1)


def reverse_ais_log_partition(rbm: RBM, v: Tensor, *, base_mean: Tensor, n_temperatures: int | None = None,
                              schedule: Tensor | None = None, rng: torch.Generator) -> AISResult:
    """log Z from chains that start at v ~ p(v) (N, V) and are annealed back to the base; nats.

    Only if every v is an *exact* sample of the model is E[estimate] >= log Z, the other side of the bracket. From long tempered chains it is a
    diagnostic, not a bound: chains that miss a mode miss it in both directions.
    """
    a, beta = _prepare("reverse_ais_log_partition", rbm, base_mean, n_temperatures, schedule, rng)
    require_states("reverse_ais_log_partition", "v", v, rbm.n_visible, dtype=rbm.W.dtype)
    with torch.no_grad():
        log_weights = anneal(v, Route(rbm.W, rbm.b, rbm.c, a, beta.flip(0)), rng)
    return _summarise(_log_z_base(rbm, a), log_weights, sign=-1)


def salakhutdinov_murray_schedule() -> Tensor:
    """Their 14,500 inverse temperatures: 500 from 0 to 0.5, 4,000 to 0.9, 10,000 to 1.  -> (14501,) with both ends."""
    return torch.cat([torch.linspace(0, 0.5, 501, dtype=torch.float64)[:-1], torch.linspace(0.5, 0.9, 4001, dtype=torch.float64)[:-1],
                      torch.linspace(0.9, 1, 10001, dtype=torch.float64)[:-1].clamp(max=1), torch.ones(1, dtype=torch.float64)])


def _prepare(where: str, rbm: RBM, base_mean: Tensor, n_temperatures: int | None, schedule: Tensor | None,
             rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The base's logits a (V,) and the inverse temperatures (T,)."""
    require_rng(where, rng)
    require_independent_units(where, rbm)
    require_means(where, "base_mean", base_mean, rbm.n_visible)
    if (n_temperatures is None) == (schedule is None):
        raise ValueError(f"{where}: n_temperatures is {in_words(n_temperatures)} and schedule {'is missing' if schedule is None else 'is given'}, expected exactly one of them; "
                         "n_temperatures=1000 is a start")
    if schedule is None:
        require_count(where, "n_temperatures", n_temperatures, minimum=2)
        schedule = torch.linspace(0, 1, n_temperatures, dtype=torch.float64)
    return torch.logit(base_mean.to(rbm.W)), require_schedule(where, schedule)


def _log_z_base(rbm: RBM, a: Tensor) -> float:
    """log Z_0 = Σ_i softplus(a_i) + H log 2: the hidden units are free at t = 0, and there are 2^H of their states."""
    return sum_softplus(a.double()).item() + rbm.n_hidden * math.log(2)


def _summarise(log_z_base: float, log_weights: Tensor, *, sign: int) -> AISResult:
    """sign +1: log Z = log Z_0 + log mean w; -1 (reverse): log Z = log Z_0 - log mean w."""
    shift = log_weights.max()
    w = torch.exp(log_weights - shift)
    mean, error = w.mean(), w.std(unbiased=True) / math.sqrt(len(w)) if len(w) > 1 else w.new_tensor(math.inf)
    def log_z(mean_weight: Tensor) -> float:
        return log_z_base + sign * (shift + mean_weight.clamp_min(0).log()).item()
    low, high = log_z(mean - 3 * error), log_z(mean + 3 * error)
    return AISResult(log_z(mean), min(low, high), max(low, high), log_weights, (w.sum() ** 2 / (w**2).sum()).item())
