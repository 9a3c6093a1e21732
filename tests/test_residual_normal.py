"""The residual normal: its KL against the textbook's formula, against draws, and every wrong formula of the bank planted; what practice bends."""
import math

import pytest
import torch

from deepgen_lib.residual_normal import ResidualNormal, practical, relative_to, residual_normal_kl, two_normals_kl

F64 = torch.float64


def random_residual(rng, n=200, *, spread=1.0):
    return ResidualNormal(*(spread * torch.randn(n, dtype=F64, generator=rng) for _ in range(4)))


def ends(r):
    """mu and log sigma of q, then of p."""
    return r.mu + r.delta_mu, r.log_sigma + r.delta_log_sigma, r.mu, r.log_sigma


# What students write: (dmu, dsigma, sigma) -> nats. Each must differ from the formula.
WRONG = {
    "the log of dsigma in place of the log of its square": lambda d, s, sigma: 0.5 * (d**2 / sigma**2 + s**2 - s.log() - 1),
    "dsigma not squared": lambda d, s, sigma: 0.5 * (d**2 / sigma**2 + s - (s**2).log() - 1),
    "dmu not squared": lambda d, s, sigma: 0.5 * (d / sigma**2 + s**2 - (s**2).log() - 1),
    "sigma · dsigma in place of dsigma": lambda d, s, sigma: 0.5 * (d**2 / sigma**2 + (sigma * s)**2 - ((sigma * s)**2).log() - 1),
    "dmu over the posterior's variance": lambda d, s, sigma: 0.5 * (d**2 / (sigma * s)**2 + s**2 - (s**2).log() - 1),
    "KL(p to q)": lambda d, s, sigma: 0.5 * (d**2 / (sigma * s)**2 + 1 / s**2 + (s**2).log() - 1),
    "no -1": lambda d, s, sigma: 0.5 * (d**2 / sigma**2 + s**2 - (s**2).log()),
    "sigma + dsigma as the posterior's scale": lambda d, s, sigma: 0.5 * (d**2 / sigma**2 + ((sigma + s) / sigma)**2 - (((sigma + s) / sigma)**2).log() - 1),
    "dmu over sigma, not its square": lambda d, s, sigma: 0.5 * (d**2 / sigma + s**2 - (s**2).log() - 1),
}


def test_the_kl_is_that_of_two_normals(rng):
    r = random_residual(rng)
    assert (r.kl() - two_normals_kl(*ends(r))).abs().max() < 1e-12 * r.kl().max()
    mild = random_residual(rng, spread=0.5)
    assert (residual_normal_kl(mild.delta_mu, mild.delta_log_sigma, mild.log_sigma) - two_normals_kl(*ends(mild))).abs().max() < 1e-12


def test_the_textbooks_kl_is_torchs(rng):
    r = random_residual(rng)
    mu_q, log_q, mu_p, log_p = ends(r)
    q, p = torch.distributions.Normal(mu_q, log_q.exp()), torch.distributions.Normal(mu_p, log_p.exp())
    torch.testing.assert_close(two_normals_kl(*ends(r)), torch.distributions.kl_divergence(q, p), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_formula_is_caught(name, rng):
    r = random_residual(rng, spread=0.5)
    wrong = WRONG[name](r.delta_mu, r.delta_log_sigma.exp(), r.log_sigma.exp())
    assert (wrong - two_normals_kl(*ends(r))).abs().max() > 0.1


def test_the_numbers_of_one_example():
    """sigma 2, dmu 1, dsigma ½, worked by hand: ½ (1/4 + 1/4 + 2 log 2 - 1)."""
    one = [torch.tensor(v, dtype=F64) for v in (1.0, math.log(0.5), math.log(2.0))]
    assert residual_normal_kl(*one).item() == pytest.approx(0.5 * (0.25 + 0.25 + 2 * math.log(2) - 1), abs=1e-15)


def test_the_kl_is_zero_at_no_difference_and_only_there(rng):
    r = random_residual(rng)
    zero = torch.zeros_like(r.mu)
    assert (residual_normal_kl(zero, zero, 5 * r.log_sigma) == 0).all()
    assert (r.kl() > 0).all()
    tiny = residual_normal_kl(zero, torch.full_like(zero, 1e-9), zero)
    assert ((tiny - 1e-18).abs() < 1e-24).all(), "d² for a small d, digits intact"


def test_draws_of_q_have_the_kl_as_mean_of_their_log_ratio(rng):
    r = random_residual(rng, n=5, spread=0.7)
    noise = torch.randn(200_000, 5, dtype=F64, generator=rng)
    ratio = r.log_ratio(noise)
    error = ratio.std(0) / len(noise) ** 0.5
    assert ((ratio.mean(0) - r.kl()).abs() < 4 * error).all()
    assert not ((ratio.mean(0) - 1.05 * r.kl()).abs() < 4 * error).all(), "five percent would be seen"


def test_the_log_ratio_is_that_of_the_densities_at_the_draw(rng):
    r, noise = random_residual(rng), torch.randn(200, dtype=F64, generator=rng)
    z, (mu_q, log_q, mu_p, log_p) = r.draw(noise), ends(r)
    direct = torch.distributions.Normal(mu_q, log_q.exp()).log_prob(z) - torch.distributions.Normal(mu_p, log_p.exp()).log_prob(z)
    torch.testing.assert_close(r.log_ratio(noise), direct, rtol=1e-9, atol=1e-9)


def test_q_follows_its_prior(rng):
    """N7: the KL knows nothing of mu; an absolute q must pay for every step of the prior."""
    r = random_residual(rng, spread=0.5)
    moved = r._replace(mu=r.mu + 100)
    assert torch.equal(moved.kl(), r.kl())
    absolute = relative_to(moved.mu, r.log_sigma, r.mu + r.delta_mu, r.log_sigma + r.delta_log_sigma)
    assert (absolute.kl() > r.kl() + 10).all()


def test_an_absolute_posterior_starts_five_thousand_nats_away():
    """q = N(0, 1), p = N(10 z, 0.1²), z ~ N(0, 1): ½ (100/0.01 + 100 - log 100 - 1) on average."""
    z = torch.randn(400_000, dtype=F64, generator=torch.Generator().manual_seed(1))
    zero = torch.zeros_like(z)
    absolute = relative_to(10 * z, zero + math.log(0.1), zero, zero).kl()
    expected = 0.5 * (100 / 0.01 + 100 - math.log(100) - 1)
    assert abs(absolute.mean() - expected) < 4 * absolute.std() / len(z) ** 0.5 and expected == pytest.approx(5047.2, abs=0.1)
    assert (ResidualNormal(10 * z, zero + math.log(0.1), zero, zero).kl() == 0).all()


def test_gradients_flow_to_all_four(rng):
    """Detaching the prior would leave log_sigma without its share."""
    leaves = [torch.randn(6, dtype=F64, generator=rng, requires_grad=True) for _ in range(4)]
    noise = torch.randn(6, dtype=F64, generator=rng)
    assert torch.autograd.gradcheck(lambda *v: (ResidualNormal(*v).kl(), ResidualNormal(*v).draw(noise), ResidualNormal(*v).log_ratio(noise)), leaves)
    assert torch.autograd.gradcheck(lambda *v: practical(ResidualNormal(*v), clamp=2.0, floor=0.1).kl(), leaves)
    ResidualNormal(*leaves).kl().sum().backward()
    by_hand = -(leaves[2] / leaves[1].exp()).square()
    torch.testing.assert_close(leaves[1].grad, by_hand.detach())


def test_no_clamp_and_no_floor_change_nothing(rng):
    r = random_residual(rng)
    assert all(torch.equal(a, b) for a, b in zip(practical(r), r))


def test_clamp_and_floor_do_what_the_words_say(rng):
    """The result's ends are the clamped, raised ends of r; its KL is the exact one between them."""
    r, c, f = random_residual(rng, spread=2.0), 5.0, 0.01
    bent = practical(r, clamp=c, floor=f)
    mu_q, log_q, mu_p, log_p = ends(r)
    scale = lambda log_sigma: (c * torch.tanh(log_sigma / c)).exp() + f
    mean = lambda mu: c * torch.tanh(mu / c)
    for got, want in zip(ends(bent), (mean(mu_q), scale(log_q).log(), mean(mu_p), scale(log_p).log())):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(bent.kl(), two_normals_kl(*ends(bent)), rtol=1e-9, atol=1e-10)
    assert (bent.kl() - r.kl()).abs().max() > 0.1, "the formula in the network's own numbers no longer holds"


def test_what_the_clamp_and_the_floor_cost():
    """The examples that the words quote, and how far a KL can still go."""
    one = lambda *values: ResidualNormal(*(torch.tensor(float(v), dtype=F64) for v in values))
    far = one(4, 0, 2, 0)
    bent = practical(far, clamp=5.0)
    assert far.kl().item() == 2.0 and bent.delta_mu.item() == pytest.approx(0.848, abs=1e-3) and bent.kl().item() == pytest.approx(0.36, abs=1e-3)
    assert practical(far, clamp=5.0, floor=0.01).kl().item() == pytest.approx(0.353, abs=1e-3)
    assert practical(one(0.1, -0.2, 0.1, 0.1), clamp=5.0).kl().item() == pytest.approx(one(0.1, -0.2, 0.1, 0.1).kl().item(), rel=0.01)
    assert practical(one(0, 0, 0, 0), floor=0.01).log_sigma.exp().item() == pytest.approx(1.01)
    worst = practical(one(-1e3, -1e3, 2e3, 2e3), clamp=5.0).kl().item()
    assert 1e8 < worst < 1e9, "bounded, but not small"
