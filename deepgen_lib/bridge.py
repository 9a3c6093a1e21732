"""log Z from tempered chains, one rung of the ladder after another, by Bennett's acceptance ratio (Bennett 1976).

    log Z = log Z_0 + Σ_k r_k,   r_k = log Z_{k+1} - log Z_k,   u = log p*_{k+1}(v) - log p*_k(v)
    r_k solves  mean over v ~ p_k of sigma(u - r)  =  mean over v ~ p_{k+1} of sigma(r - u)

p*_t is the unnormalised tempered model of `parallel_tempering`. The equation holds exactly when both means are exact; with samples of both sides it has the
least variance of all such bridges (equal numbers on both). AIS goes each path once; here every rung is in equilibrium as far as the chains are.
sizes: T inverse temperatures, N ladders, V visible units
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .kernels import sum_softplus
from .rbm import RBM, require_independent_units
from .sampling import TemperedChains
from .validate import require_means, require_schedule, require_states

BLOCKS, HALVINGS = 10, 60  # of ladders for the jackknife; of the interval that holds r


class BridgeResult(NamedTuple):
    """log Z in nats."""
    estimate: float
    low: float        # three jackknife standard errors over the ladders; they say nothing of a mode that no ladder has found
    high: float
    rungs: Tensor     # r_k (T-1,)
    overlap: Tensor   # (T-1,) share that two neighbours have in common, estimated: 1 where they are the same, 0 where no bridge holds


def bennett_log_partition(rbm: RBM, chains: TemperedChains, *, inverse_temperatures: Tensor, base_mean: Tensor) -> BridgeResult:
    """log Z from the last states of every rung of N ladders, N >= 10; inverse_temperatures and base_mean as they were given to `parallel_tempering`."""
    where = "bennett_log_partition"
    require_independent_units(where, rbm)
    t = require_schedule(where, inverse_temperatures)
    require_means(where, "base_mean", base_mean, rbm.n_visible)
    if not isinstance(chains, TemperedChains):
        raise ValueError(f"{where}: chains is {type(chains).__name__}, expected the TemperedChains that parallel_tempering returns; pass them whole")
    ladder = chains.ladder
    if not isinstance(ladder, Tensor) or ladder.ndim != 3 or len(ladder) != len(t) or ladder.shape[1] < BLOCKS:
        raise ValueError(f"{where}: chains.ladder has shape {tuple(getattr(ladder, 'shape', ()))}, expected ({len(t)}, N, {rbm.n_visible}) with N at least {BLOCKS}; pass the same "
                         "inverse_temperatures as to parallel_tempering, and more chains")
    require_states(where, "chains.ladder", ladder.flatten(0, 1), rbm.n_visible, dtype=rbm.W.dtype)
    with torch.no_grad():
        a = torch.logit(base_mean.to(rbm.W))
        up, down = _differences(rbm, ladder, t.to(rbm.W), a)
        base = sum_softplus(a.double()).item() + rbm.n_hidden * math.log(2)
        rungs, n = _solve(up, down), up.shape[1]
        block = torch.arange(n) % BLOCKS
        without = torch.stack([_solve(up[:, block != b], down[:, block != b]).sum() for b in range(BLOCKS)])
        error = ((without - without.mean()).square().sum() * (BLOCKS - 1) / BLOCKS).sqrt().item()
        overlap = torch.sigmoid(up - rungs[:, None]).mean(1) + torch.sigmoid(rungs[:, None] - down).mean(1)
    estimate = base + rungs.sum().item()
    return BridgeResult(estimate, estimate - 3 * error, estimate + 3 * error, rungs, overlap)


def _differences(rbm: RBM, ladder: Tensor, t: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """u at the states of the lower rung, and at those of the upper one.  -> (T-1, N) float64 twice."""
    def log_p(t: Tensor, v: Tensor) -> Tensor:
        return ((1 - t) * (v @ a) + t * (v @ rbm.b) + sum_softplus(t * (v @ rbm.W + rbm.c))).double()
    pairs = [(log_p(high, v) - log_p(low, v)) for low, high, below, above in zip(t, t[1:], ladder, ladder[1:]) for v in (below, above)]
    return torch.stack(pairs[::2]), torch.stack(pairs[1::2])


def _solve(up: Tensor, down: Tensor) -> Tensor:
    """r of every rung by halving: the left side falls with r, the right side rises.  (T-1, N) twice -> (T-1,)."""
    both = torch.cat([up, down], 1)
    low, high = both.amin(1) - 1, both.amax(1) + 1
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        more = torch.sigmoid(up - middle[:, None]).mean(1) > torch.sigmoid(middle[:, None] - down).mean(1)
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    return (low + high) / 2
