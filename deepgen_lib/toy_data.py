"""Toy data whose distribution is known exactly: every state, every probability.

    bars and stripes    side x side images of full rows or full columns (Hinton and Sejnowski 1986; MacKay 2003, section 43)
    parity              binary vectors with an even number of ones: pairwise independent, and yet never independent
    prototypes          p(x, k) = w_k Π_i flip^[x_i ≠ m_ki] (1 - flip)^[x_i = m_ki], a mixture over a few binary pictures
    mixture             p(x, k) = w_k Normal(x; m_k, std² I), points in the plane

Exact tables are float64. Sets given as rows stand for the uniform distribution over these rows.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .enumeration import all_states
from .validate import require_count, require_flag, require_number, require_probabilities, require_rng, require_states

MAX_SIDE = 10
_PROTOTYPES = ((1, 1, 1, 0, 0, 0), (0, 0, 0, 1, 1, 1), (1, 0, 1, 0, 1, 0))


def bars_and_stripes(side: int, *, duplicates: bool = False) -> Tensor:
    """All images made of full rows or of full columns.  -> (2**(side+1) - 2, side*side) float64 of 0/1, each image once.

    The blank and the full image can be made both ways. Here each stands once, so a uniform model reaches -log(2**(side+1) - 2) nats
    per image. Papers that draw the direction by a coin and then each line by a coin give these two double weight: duplicates=True
    repeats them, 2**(side+1) rows, uniform again. Rows first, then columns. side 2 to 10.
    """
    require_count("bars_and_stripes", "side", side, minimum=2, maximum=MAX_SIDE)
    require_flag("bars_and_stripes", "duplicates", duplicates)
    lines = all_states(side)                                          # (2**side, side)
    stripes = lines.repeat_interleave(side, 1)                        # rows of the image are constant
    bars = lines.repeat(1, side)                                      # columns of the image are constant
    return torch.cat([stripes, bars if duplicates else bars[1:-1]])   # lines 0 and -1 are the blank and the full image


def parity(n: int) -> Tensor:
    """All binary vectors of length n with an even number of ones, in counting order.  -> (2**(n-1), n) float64.

    The uniform distribution over them has entropy (n - 1) log 2 nats. Any n - 1 of its coordinates are independent fair coins, so
    a model without interactions of all n at once does no better than n fair coins: n log 2, worse by log 2. n 2 to 24.
    """
    require_count("parity", "n", n, minimum=2, maximum=24)
    states = all_states(n)
    return states[states.sum(1) % 2 == 0]


class PrototypeToy(NamedTuple):
    states: Tensor      # (2**V, V) every binary picture, counting up
    joint: Tensor       # (2**V, K) p(x, k)
    prototypes: Tensor  # (K, V) the pictures before noise
    weights: Tensor     # (K,) p(k)
    flip: float         # chance that a bit is wrong

    @property
    def probabilities(self) -> Tensor:
        """p(x) = Σ_k p(x, k).  (2**V,)."""
        return self.joint.sum(1)

    @property
    def posterior(self) -> Tensor:
        """p(k | x).  (2**V, K)."""
        return self.joint / self.probabilities[:, None]

    @property
    def entropy(self) -> Tensor:
        """-Σ_x p(x) log p(x) in nats: no model scores above minus this on average."""
        return torch.special.entr(self.probabilities).sum()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n independent pictures.  -> (n, V) float64 of 0/1."""
        require_count("PrototypeToy.sample", "n", n)
        require_rng("PrototypeToy.sample", rng)
        return self.states[torch.multinomial(self.probabilities, n, replacement=True, generator=rng)]


def toy_prototypes(prototypes: Tensor | None = None, *, weights: Tensor | None = None, flip: float = 0.1) -> PrototypeToy:
    """A few binary pictures, chosen with `weights`, each bit then flipped with chance `flip`; everything enumerated.

    prototypes (K, V) of 0/1 with V <= 12, by default three pictures of six bits; weights (K,), by default equal; flip in (0, 0.5].
    """
    m = torch.tensor(_PROTOTYPES, dtype=torch.float64) if prototypes is None else prototypes
    require_states("toy_prototypes", "prototypes", m)
    if m.shape[1] > 12:
        raise ValueError(f"toy_prototypes: prototypes have {m.shape[1]} bits, expected at most 12, for all states are listed; use fewer columns")
    w = torch.full((len(m),), 1 / len(m), dtype=torch.float64) if weights is None else weights
    require_probabilities("toy_prototypes", "weights", w)
    if w.shape != (len(m),):
        raise ValueError(f"toy_prototypes: weights have shape {tuple(w.shape)}, expected ({len(m)},): one per prototype; leave them out for equal ones")
    require_number("toy_prototypes", "flip", flip, low=0, high=0.5)
    if flip == 0:
        raise ValueError("toy_prototypes: flip is 0, expected above 0: most states would have probability 0 and logarithm -inf; try flip=0.01")
    m, w = m.double(), w.double()
    states = all_states(m.shape[1])
    n_flips = torch.cdist(states, m, p=1)                             # (2**V, K)
    joint = w * flip**n_flips * (1 - flip)**(m.shape[1] - n_flips)
    return PrototypeToy(states, joint, m, w, flip)


class ToyMixture(NamedTuple):
    points: Tensor      # (n, 2)
    components: Tensor  # (n,) int64, the component each point came from
    log_joint: Tensor   # (n, K) log p(x, k); logsumexp over k is the exact log p(x), softmax the exact posterior
    means: Tensor       # (K, 2)
    weights: Tensor     # (K,)
    std: float          # of every component, in both directions


def toy_mixture(n: int, *, n_components: int = 3, radius: float = 2.0, std: float = 0.5, rng: torch.Generator) -> ToyMixture:
    """n points in the plane from round normal clouds on a circle; cloud k of K has weight (k + 1) / (1 + ... + K).  float64."""
    require_count("toy_mixture", "n", n)
    require_count("toy_mixture", "n_components", n_components, maximum=100)
    require_number("toy_mixture", "radius", radius, low=0)
    require_number("toy_mixture", "std", std, low=1e-6)
    require_rng("toy_mixture", rng)
    angle = 2 * math.pi * torch.arange(n_components, dtype=torch.float64) / n_components
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    weights = torch.arange(1, n_components + 1, dtype=torch.float64)
    weights = weights / weights.sum()
    components = torch.multinomial(weights, n, replacement=True, generator=rng)
    points = means[components] + std * torch.randn(n, 2, generator=rng, dtype=torch.float64)
    squares = ((points[:, None] - means) ** 2).sum(-1)                # (n, K)
    log_joint = weights.log() - squares / (2 * std**2) - math.log(2 * math.pi * std**2)
    return ToyMixture(points, components, log_joint, means, weights, std)
