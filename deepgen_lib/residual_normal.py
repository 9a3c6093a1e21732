"""A normal posterior written relative to its prior (Vahdat & Kautz 2020, section 3.2 and eq. 2).

    p(z) = N(mu, sigma²)        q(z | x) = N(mu + dmu, (sigma · dsigma)²)
    KL(q ‖ p) = ½ (dmu² / sigma² + dsigma² - log dsigma² - 1)        in nats, per dimension; zero exactly at dmu = 0, dsigma = 1

Scales travel as logarithms. When the prior moves, q moves with it; the KL feels mu not at all, and sigma only through dmu / sigma.
Practice bends the four numbers first (`practical`); the formula then holds for the bent ones, not for those the network put out.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .validate import require_finite, require_number, require_tensor


class ResidualNormal(NamedTuple):
    """q beside its prior p; all four of one shape, or broadcast to one."""
    mu: Tensor               # of p
    log_sigma: Tensor        # of p
    delta_mu: Tensor         # mu of q minus mu of p
    delta_log_sigma: Tensor  # log of (sigma of q / sigma of p)

    def kl(self) -> Tensor:
        """KL(q ‖ p) elementwise, in nats."""
        return _kl(self.delta_mu, self.delta_log_sigma, self.log_sigma)

    def draw(self, noise: Tensor) -> Tensor:
        """z = mu + dmu + sigma · dsigma · noise, a draw of q where noise is of N(0, 1); gradients flow to all four."""
        return self.mu + self.delta_mu + torch.exp(self.log_sigma + self.delta_log_sigma) * noise

    def log_ratio(self, noise: Tensor) -> Tensor:
        """log q(z) - log p(z) elementwise at z = draw(noise); its mean over noise is the KL."""
        in_prior = self.delta_mu * torch.exp(-self.log_sigma) + torch.exp(self.delta_log_sigma) * noise  # (z - mu) / sigma
        return 0.5 * (in_prior.square() - noise.square()) - self.delta_log_sigma


def residual_normal_kl(delta_mu: Tensor, delta_log_sigma: Tensor, log_sigma: Tensor) -> Tensor:
    """½ (dmu² / sigma² + dsigma² - log dsigma² - 1), elementwise.  (...) three times, broadcast -> (...) nats, never below 0.

    The prior's mean is no argument: it cancels.
    """
    given = {"delta_mu": delta_mu, "delta_log_sigma": delta_log_sigma, "log_sigma": log_sigma}
    _require_alike("residual_normal_kl", given)
    return _kl(delta_mu, delta_log_sigma, log_sigma)


def two_normals_kl(mu_q: Tensor, log_sigma_q: Tensor, mu_p: Tensor, log_sigma_p: Tensor) -> Tensor:
    """KL(N(mu_q, sigma_q²) ‖ N(mu_p, sigma_p²)) = log sigma_p - log sigma_q + (sigma_q² + (mu_q - mu_p)²) / 2 sigma_p² - ½, elementwise.  -> (...) nats.

    The textbook's formula for any two normals: what residual_normal_kl must agree with.
    """
    _require_alike("two_normals_kl", {"mu_q": mu_q, "log_sigma_q": log_sigma_q, "mu_p": mu_p, "log_sigma_p": log_sigma_p})
    return log_sigma_p - log_sigma_q + 0.5 * (torch.exp(2 * log_sigma_q) + (mu_q - mu_p).square()) * torch.exp(-2 * log_sigma_p) - 0.5


def practical(r: ResidualNormal, *, clamp: float | None = None, floor: float = 0.0) -> ResidualNormal:
    """The ResidualNormal that practice uses in place of r.

    clamp c: mu and log sigma, of p and of q each after its sum, become c · tanh(value / c), so none leaves (-c, c). A number well inside stays as it is;
        for large ones the deltas shrink (mu 4, dmu 2, c = 5: the shift is 0.85, the KL 0.36 in place of 2.0), and with them the gradient.
    floor f: sigma becomes exp(log sigma) + f, for p and q, so their ratio is pulled towards one; even a standard normal prior gets sigma 1 + f.
    The KL of the result is the exact KL between the two normals that are really drawn from. None and 0.0 change nothing.
    """
    if not isinstance(r, ResidualNormal):
        raise ValueError(f"practical: r is {type(r).__name__}, expected a ResidualNormal; build one: ResidualNormal(mu, log_sigma, delta_mu, delta_log_sigma)")
    _require_alike("practical", r._asdict())
    require_number("practical", "floor", floor, low=0)
    if clamp is not None:
        require_number("practical", "clamp", clamp, low=1e-3)
    return bend(r, clamp, floor)


def bend(r: ResidualNormal, clamp: float | None, floor: float) -> ResidualNormal:
    """`practical` without the questions, for inner loops."""
    if clamp is None and floor == 0:
        return r
    p, q = (r.mu, r.log_sigma), (r.mu + r.delta_mu, r.log_sigma + r.delta_log_sigma)
    if clamp is not None:
        p, q = ([clamp * torch.tanh(value / clamp) for value in pair] for pair in (p, q))
    return relative_to(p[0], _raised(p[1], floor), q[0], _raised(q[1], floor))


def relative_to(mu_p: Tensor, log_sigma_p: Tensor, mu_q: Tensor, log_sigma_q: Tensor) -> ResidualNormal:
    """Any normal q, seen from p."""
    return ResidualNormal(mu_p, log_sigma_p, mu_q - mu_p, log_sigma_q - log_sigma_p)


def _raised(log_sigma: Tensor, floor: float) -> Tensor:
    """log(exp(log_sigma) + floor)."""
    return log_sigma if floor == 0 else torch.logaddexp(log_sigma, torch.full_like(log_sigma, math.log(floor)))


def _kl(delta_mu: Tensor, delta_log_sigma: Tensor, log_sigma: Tensor) -> Tensor:
    # expm1 keeps every digit near dsigma = 1, where dsigma² - 1 would lose them
    return 0.5 * ((delta_mu * torch.exp(-log_sigma)).square() + torch.expm1(2 * delta_log_sigma) - 2 * delta_log_sigma)


def _require_alike(where: str, given: dict[str, Tensor]) -> None:
    """Finite tensors of one number type whose shapes broadcast."""
    (first, head), *_ = given.items()
    for name, x in given.items():
        require_tensor(where, name, x)
        if x.numel() == 0:
            raise ValueError(f"{where}: {name} is empty, shape {tuple(x.shape)}, expected at least one number; look where they were lost")
        if x.dtype != head.dtype:
            raise ValueError(f"{where}: {name} is {x.dtype} and {first} is {head.dtype}, expected the same; convert one: {name}.to({first}.dtype)")
        require_finite(where, name, x)
    try:
        torch.broadcast_shapes(*(x.shape for x in given.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in given.items())
        raise ValueError(f"{where}: {shapes} do not line up, expected shapes that broadcast; give them one shape") from None
