"""What training does to the KL, and evaluation must not: warm-up and balancing (Vahdat & Kautz 2020, appendix A; Vahdat et al. 2018, appendix H).

    loss = -reconstruction + beta · Σ_l gamma_l KL_l        beta climbs from 0 to 1 in the first part of training
    gamma_l ∝ mean over the batch of KL_l / size of z_l, with mean 1 over the groups, taken as constants; gamma = 1 once beta is 1

A group whose KL is small pays little for each nat and so comes to be used. The paper prints "times the size"; its author has since
called that a slip for "divided by". With beta = 1 and gamma = 1 the loss is minus the bound.
"""
from __future__ import annotations

import torch
from torch import Tensor

from ..validate import require_matrix, require_number

LEAST_WEIGHT = 1e-4  # of the KL at the very start
LEAST_NATS = 0.01    # added to each group's KL before balancing, so that a silent group keeps a weight


def kl_weight(fraction: float, warm_up: float) -> float:
    """beta: climbs linearly until this share of training is done, 1 from then on.  fraction in [0, 1]."""
    require_number("kl_weight", "fraction", fraction, low=0, high=1)
    require_number("kl_weight", "warm_up", warm_up, low=0, high=1)
    return 1.0 if fraction >= warm_up else max(fraction / warm_up, LEAST_WEIGHT)


def balance_weights(kl: Tensor, sizes: Tensor) -> Tensor:
    """gamma: mean KL of each group per dimension of its z, divided by the mean over groups; no gradient.  (B, L) nats, (L,) -> (L,)."""
    require_matrix("balance_weights", "kl", kl)
    if not isinstance(sizes, Tensor) or sizes.shape != (kl.shape[1],) or not (sizes > 0).all():
        raise ValueError(f"balance_weights: sizes is {sizes!r:.80}, expected ({kl.shape[1]},) numbers above 0; pass torch.tensor of the dimensions of each group's z")
    return _balance(kl, sizes)


def weighted_kl(kl: Tensor, sizes: Tensor, *, weight: float, balanced: bool) -> Tensor:
    """beta · Σ_l gamma_l KL_l; balanced only while beta is below one.  (B, L) -> (B,) nats."""
    gamma = _balance(kl, sizes) if balanced and weight < 1 else 1.0
    return weight * (gamma * kl).sum(1)


def _balance(kl: Tensor, sizes: Tensor) -> Tensor:
    per_dimension = (kl.detach().mean(0) + LEAST_NATS).clamp_min(LEAST_NATS / 10) / sizes.to(kl)  # a KL estimated under a flow may be negative
    return per_dimension / per_dimension.mean()
