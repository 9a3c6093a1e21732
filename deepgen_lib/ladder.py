"""A ladder of two latent groups with every answer known: NVAE's structure with one number in each group.

    p(z1) = N(0, 1)     p(z2 | z1) = N(a z1, s²)     p(x | z2) = N(z2, r²)          so p(x) = N(0, a² + s² + r²)
    q(z1 | x) = N(mu, sigma²)     q(z2 | z1, x) = N(offset + slope z1, width²)      the family of a top-down encoder

The exact posterior is in this family. Its lower half reads as the prior, moved: p(z2 | z1, x) = N(a z1 + K (x - a z1), (1 - K) s²) with
K = s² / (s² + r²). Work in float64; one number x for each example.  sizes: B examples
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .validate import require_number, require_vector

LOG_2_PI = math.log(2 * math.pi)
LARGEST = 1e6  # of a, s, r and their inverses: squares of all of them stay far from overflow


class LadderQ(NamedTuple):
    """q(z1 | x) and q(z2 | z1, x) of every x."""
    mu: Tensor      # mean of z1 (B,)
    sigma: float    # width of z1
    offset: Tensor  # mean of z2 at z1 = 0 (B,)
    slope: float    # what the mean of z2 gains for each z1; 0: z2 does not look at z1
    width: float    # of z2 when z1 is known


class TwoGroupLadder:
    """a: how far z1 moves z2.  s: width of z2 under its prior.  r: noise of x."""

    def __init__(self, a: float, s: float, r: float):
        require_number("TwoGroupLadder", "a", a, low=-LARGEST, high=LARGEST)
        require_number("TwoGroupLadder", "s", s, low=1 / LARGEST, high=LARGEST)
        require_number("TwoGroupLadder", "r", r, low=1 / LARGEST, high=LARGEST)
        self.a, self.s, self.r = float(a), float(s), float(r)
        self.gain = s**2 / (s**2 + r**2)                                                            # K
        self.precision = torch.tensor([[1 + a**2 / s**2, -a / s**2], [-a / s**2, 1 / s**2 + 1 / r**2]], dtype=torch.float64)  # of (z1, z2) given x

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x).  (B,) -> (B,) nats."""
        _require_numbers("TwoGroupLadder.log_likelihood", "x", x)
        variance = self.a**2 + self.s**2 + self.r**2
        return -0.5 * (x.square() / variance + math.log(variance) + LOG_2_PI)

    def posterior(self, x: Tensor) -> LadderQ:
        """p(z1 | x) and p(z2 | z1, x), exact.  (B,) -> LadderQ."""
        _require_numbers("TwoGroupLadder.posterior", "x", x)
        noise = self.s**2 + self.r**2  # of x when z1 is known
        precision = 1 + self.a**2 / noise
        return LadderQ(self.a * x / noise / precision, precision**-0.5, self.gain * x, (1 - self.gain) * self.a, (1 - self.gain) ** 0.5 * self.s)

    def independent(self, x: Tensor) -> LadderQ:
        """The best q whose two groups do not look at each other: the posterior's means, widths 1 / √P_kk.  (B,) -> LadderQ."""
        _require_numbers("TwoGroupLadder.independent", "x", x)
        exact = self.posterior(x)
        return LadderQ(exact.mu, float(self.precision[0, 0] ** -0.5), exact.offset + exact.slope * exact.mu, 0.0, float(self.precision[1, 1] ** -0.5))

    def bound(self, x: Tensor, q: LadderQ) -> Tensor:
        """E_q[log p(x, z1, z2)] + H(q), in closed form.  (B,) -> (B,) nats."""
        _require_numbers("TwoGroupLadder.bound", "x", x)
        _require_q("TwoGroupLadder.bound", q, len(x))
        top = q.mu.square() + q.sigma**2                                                            # E z1²
        step = (q.offset + (q.slope - self.a) * q.mu).square() + ((q.slope - self.a) * q.sigma) ** 2 + q.width**2   # E (z2 - a z1)²
        miss = (x - q.offset - q.slope * q.mu).square() + (q.slope * q.sigma) ** 2 + q.width**2      # E (x - z2)²
        energy = 0.5 * (top + step / self.s**2 + miss / self.r**2) + math.log(self.s) + math.log(self.r) + 1.5 * LOG_2_PI
        return math.log(q.sigma) + math.log(q.width) + 1 + LOG_2_PI - energy

    def gap(self, x: Tensor, q: LadderQ) -> Tensor:
        """KL(q(z1, z2 | x) ‖ p(z1, z2 | x)) of two normals in the plane.  (B,) -> (B,) nats."""
        _require_numbers("TwoGroupLadder.gap", "x", x)
        _require_q("TwoGroupLadder.gap", q, len(x))
        exact = self.posterior(x)
        off = torch.stack([q.mu - exact.mu, q.offset + q.slope * q.mu - exact.offset - exact.slope * exact.mu], 1)  # (B, 2)
        spread = covariance(q)
        trace = (self.precision * spread).sum()
        return 0.5 * (torch.einsum("bi,ij,bj->b", off, self.precision, off) + trace - 2 - torch.logdet(self.precision) - torch.logdet(spread))


def covariance(q: LadderQ) -> Tensor:
    """Of (z1, z2) under q, the same for every x.  -> (2, 2)."""
    cross = q.slope * q.sigma**2
    return torch.tensor([[q.sigma**2, cross], [cross, q.slope * cross + q.width**2]], dtype=torch.float64)


def _require_numbers(where: str, name: str, x: Tensor) -> None:
    if isinstance(x, Tensor) and (x.ndim != 1 or len(x) == 0):
        raise ValueError(f"{where}: {name} has shape {tuple(x.shape)}, expected (B,); pass one number for each example")
    require_vector(where, name, x, x.numel() if isinstance(x, Tensor) else 0, dtype=torch.float64, cure="one number for each example")


def _require_q(where: str, q: LadderQ, n: int) -> None:
    if not isinstance(q, LadderQ):
        raise ValueError(f"{where}: q is {type(q).__name__}, expected a LadderQ; take one from posterior(x)")
    require_vector(where, "q.mu", q.mu, n, dtype=torch.float64, cure="one mean for each x")
    require_vector(where, "q.offset", q.offset, n, dtype=torch.float64, cure="one offset for each x")
    require_number(where, "q.slope", q.slope, low=-LARGEST**2, high=LARGEST**2)
    for name in ("sigma", "width"):
        require_number(where, f"q.{name}", getattr(q, name), low=LARGEST**-2, high=LARGEST**2)
