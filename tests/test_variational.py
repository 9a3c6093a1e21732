"""variational.py: the bound against sums written out term by term, its maximiser, and its split, on random tables with holes."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import bound_terms, entropy, gap, gibbs_bound, joint_log_prob, kl_divergence, log_normaliser, posterior, random_rbm
from deepgen_lib.variational import BoundTerms

EXACT = dict(rtol=0, atol=1e-10)
INF = math.inf


def table(rng, shape=(6, 5), *, scale=2.0):
    return scale * torch.randn(shape, dtype=torch.float64, generator=rng)


def distributions(rng, shape=(6, 5), *, holes=False):
    q = torch.rand(shape, dtype=torch.float64, generator=rng)
    if holes:
        q[..., 1] = 0.0
    return q / q.sum(-1, keepdim=True)


def written_out(f, q):
    """(log Z, bound, entropy, KL to the posterior) of one row, in Python numbers, skipping states without mass."""
    z = sum(math.exp(a) for a in f)
    live = [(a, b) for a, b in zip(f, q) if b > 0]
    h = -sum(b * math.log(b) for _, b in live)
    return math.log(z), sum(b * a for a, b in live) + h, h, sum(b * math.log(b * z / math.exp(a)) for a, b in live)


@pytest.mark.parametrize("holes", [False, True])
def test_every_quantity_is_its_sum(holes, rng):
    f, q = table(rng), distributions(rng, holes=holes)
    want = torch.tensor([written_out(a, b) for a, b in zip(f.tolist(), q.tolist())], dtype=torch.float64).T
    got = (log_normaliser(f), gibbs_bound(f, q), entropy(q), kl_divergence(q, posterior(f)))
    for a, b in zip(got, want):
        assert_close(a, b, **EXACT)
    assert_close(gap(f, q), want[3], **EXACT)


def test_the_bound_is_never_above_and_reached_only_at_the_posterior(rng):
    f, q = table(rng, (500, 4)), distributions(rng, (500, 4))
    assert (gibbs_bound(f, q) < log_normaliser(f)).all()
    assert_close(gibbs_bound(f, posterior(f)), log_normaliser(f), **EXACT)
    nearly = 0.99 * posterior(f) + 0.01 * q
    assert (gap(f, nearly) > 0).all() and (gap(f, nearly) < gap(f, q)).all()


def test_the_slope_of_the_bound_vanishes_at_the_posterior_and_not_elsewhere(rng):
    f = table(rng, (3, 4))
    for start, flat in ((f, True), (f + 1.0 * torch.randn(3, 4, dtype=torch.float64, generator=rng), False)):
        logits = start.clone().requires_grad_()
        slope, = torch.autograd.grad(gibbs_bound(f, logits.softmax(-1)).sum(), logits)
        assert (slope.abs().max() < 1e-10) == flat


def test_values_that_cannot_occur_cost_nothing_without_mass_and_everything_with_it():
    f = torch.tensor([0.0, -INF, 1.0], dtype=torch.float64)
    without, with_mass = torch.tensor([[0.5, 0.0, 0.5], [0.4, 0.2, 0.4]], dtype=torch.float64)
    assert_close(gibbs_bound(f, without), torch.tensor(0.5 + math.log(2), dtype=torch.float64), **EXACT)
    assert gibbs_bound(f, with_mass) == -INF and gap(f, with_mass) == INF
    assert_close(posterior(f)[1], torch.tensor(0.0, dtype=torch.float64), **EXACT)
    assert_close(log_normaliser(f), torch.tensor(math.log(1 + math.e), dtype=torch.float64), **EXACT)


def test_entropy_runs_from_zero_to_log_k():
    certain, even = torch.eye(4, dtype=torch.float64), torch.full((1, 4), 0.25, dtype=torch.float64)
    assert_close(entropy(certain), torch.zeros(4, dtype=torch.float64), **EXACT)
    assert_close(entropy(even), torch.tensor([math.log(4)], dtype=torch.float64), **EXACT)


def test_kl_has_a_direction_and_is_infinite_where_p_has_no_mass(rng):
    q, p = torch.tensor([0.9, 0.1], dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert_close(kl_divergence(q, p).item(), 0.9 * math.log(1.8) + 0.1 * math.log(0.2), **EXACT)
    assert_close(kl_divergence(p, q).item(), 0.5 * math.log(5 / 9) + 0.5 * math.log(5), **EXACT)
    holes = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert kl_divergence(q, holes) == INF and kl_divergence(holes, q).item() == pytest.approx(-math.log(0.9))
    assert_close(kl_divergence(q, q), torch.zeros((), dtype=torch.float64), **EXACT)


def test_the_three_terms_add_up_to_the_bound_of_the_joint(rng):
    log_likelihood, q = table(rng), distributions(rng, holes=True)
    for log_prior in (table(rng, (5,)).log_softmax(-1), table(rng).log_softmax(-1)):
        terms = bound_terms(log_likelihood, log_prior, q)
        assert_close(terms.total, gibbs_bound(log_likelihood + log_prior, q), **EXACT)
        assert_close(terms.reconstruction, (q * log_likelihood).sum(-1), **EXACT)
        assert_close(terms.prior, (q * log_prior).sum(-1), **EXACT)
        assert_close(terms.entropy, entropy(q), **EXACT)
    assert BoundTerms._fields == ("reconstruction", "prior", "entropy")


def test_on_an_rbm_the_bound_is_the_free_energy_and_log_z(rng):
    """f = -E(v, h): over h the normaliser is -F(v), over all pairs it is log Z."""
    rbm = random_rbm(4, 3, rng=rng).requires_grad_(False)
    joint = joint_log_prob(rbm)
    assert_close(log_normaliser(joint.flatten()), torch.zeros((), dtype=torch.float64), **EXACT)
    assert_close(gibbs_bound(joint, posterior(joint)), joint.logsumexp(1), **EXACT)


def test_one_table_serves_many_q_and_nothing_overflows(rng):
    f, q = table(rng, (5,)), distributions(rng, (7, 3, 5))
    assert gibbs_bound(f, q).shape == (7, 3)
    assert_close(gibbs_bound(f, q)[2, 1], gibbs_bound(f, q[2, 1]), **EXACT)
    assert_close(log_normaliser(f + 5000.0), log_normaliser(f) + 5000.0, rtol=0, atol=1e-9)
    assert_close(posterior(f + 5000.0), posterior(f), **EXACT)


@pytest.mark.parametrize("call, message", [
    (lambda f, q: gibbs_bound(f, q + 0.1), "gibbs_bound: q is no distribution.*normalise"),
    (lambda f, q: entropy(q - 0.3), "entropy: q is no distribution"),
    (lambda f, q: gibbs_bound(f[:, :4], q), "log_joint has 4 states and q has 5"),
    (lambda f, q: gibbs_bound(f[:2], q[:3]), "do not line up"),
    (lambda f, q: log_normaliser(f / 0), "log_normaliser: log_joint contains NaN or \\+inf"),
    (lambda f, q: kl_divergence(q, q[:, :4] / q[:, :4].sum(1, keepdim=True)), "kl_divergence: p has 4 states and q has 5"),
    (lambda f, q: posterior(f[:0]), "posterior: log_joint has shape \\(0, 5\\)"),
    (lambda f, q: bound_terms(f, f.long(), q), "bound_terms: log_prior is torch.int64.*convert"),
    (lambda f, q: gap(f.tolist(), q), "log_joint is list, expected a torch.Tensor"),
], ids=["above one", "negative", "states", "rows", "infinite", "kl states", "empty", "integers", "list"])
def test_what_is_no_table_or_no_distribution_is_refused(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(table(rng), distributions(rng))
