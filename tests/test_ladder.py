"""The ladder of two groups against integrals on a grid and against draws: its likelihood, its posterior, its bound and what the bound misses."""
import math

import pytest
import torch

from deepgen_lib.ladder import LadderQ, TwoGroupLadder, covariance

F64 = torch.float64
X = torch.tensor([-2.0, 0.3, 4.0], dtype=F64)
TOYS = [(2.0, 0.5, 1.0), (-0.7, 1.3, 0.4), (0.0, 1.0, 1.0)]


def normal(x, mean, sigma):
    return torch.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def grid(toy, x, q=None):
    """On a grid of z1 and z2: joint density at one x, and q's, with the cell's area."""
    z1, z2 = torch.meshgrid(torch.linspace(-9, 9, 1201, dtype=F64), torch.linspace(-14, 14, 1401, dtype=F64), indexing="ij")
    joint = normal(z1, 0.0, 1.0) * normal(z2, toy.a * z1, toy.s) * normal(torch.tensor(x, dtype=F64), z2, toy.r)
    mine = None if q is None else normal(z1, q.mu[0], q.sigma) * normal(z2, q.offset[0] + q.slope * z1, q.width)
    return joint, mine, (18 / 1200) * (28 / 1400)


def odd_q(n):
    return LadderQ(torch.full((n,), 0.4, dtype=F64), 0.8, torch.full((n,), -0.3, dtype=F64), 0.6, 0.7)


@pytest.mark.parametrize("numbers", TOYS, ids=range(len(TOYS)))
def test_the_likelihood_is_the_integral(numbers):
    toy = TwoGroupLadder(*numbers)
    for x, found in zip(X.tolist(), toy.log_likelihood(X)):
        joint, _, area = grid(toy, x)
        assert float(found) == pytest.approx(math.log(float(joint.sum() * area)), abs=1e-6)


@pytest.mark.parametrize("numbers", TOYS, ids=range(len(TOYS)))
def test_the_posterior_is_exact_and_the_bound_tight(numbers):
    toy = TwoGroupLadder(*numbers)
    q = toy.posterior(X)
    torch.testing.assert_close(toy.bound(X, q), toy.log_likelihood(X), rtol=0, atol=1e-10)
    torch.testing.assert_close(covariance(q), torch.linalg.inv(toy.precision))
    joint, mine, area = grid(toy, 0.3, toy.posterior(X[1:2]))
    assert float((joint / (joint.sum() * area) - mine).abs().sum() * area) < 1e-4


def test_the_bound_and_the_gap_of_another_q_by_integration():
    toy, x = TwoGroupLadder(2.0, 0.5, 1.0), X[1:2]
    q = odd_q(1)
    joint, mine, area = grid(toy, 0.3, q)
    by_grid = (torch.special.xlogy(mine, joint.clamp_min(1e-300)) - torch.special.xlogy(mine, mine)).sum() * area
    assert float(toy.bound(x, q)) == pytest.approx(float(by_grid), abs=1e-5)
    torch.testing.assert_close(toy.gap(x, q), toy.log_likelihood(x) - toy.bound(x, q), rtol=0, atol=1e-10)


def test_groups_apart_miss_the_same_at_every_x_and_no_other_apart_misses_less():
    toy = TwoGroupLadder(2.0, 0.5, 1.0)
    best = toy.independent(X)
    gaps = toy.gap(X, best)
    assert best.slope == 0.0 and float(gaps.max() - gaps.min()) < 1e-12 and float(gaps[0]) == pytest.approx(0.6991, abs=1e-4)
    for change in (dict(mu=best.mu + 0.1), dict(sigma=1.1 * best.sigma), dict(offset=best.offset - 0.1), dict(width=0.9 * best.width)):
        assert (toy.gap(X, best._replace(**change)) > gaps).all()


def test_no_q_exceeds_the_likelihood(rng):
    toy = TwoGroupLadder(-0.7, 1.3, 0.4)
    for _ in range(50):
        a, b, c = torch.rand(3, generator=rng).tolist()
        q = LadderQ(torch.randn(3, generator=rng, dtype=F64), 0.1 + a, torch.randn(3, generator=rng, dtype=F64), 2 * b - 1, 0.1 + c)
        assert (toy.bound(X, q) <= toy.log_likelihood(X)).all() and (toy.gap(X, q) >= 0).all()
