"""mixture.py: probabilities sum to one over all states, both half-steps of EM are the best possible, and no step ever lowers the likelihood."""
import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import BernoulliMixture, all_states, e_step, fit_em, gibbs_bound, m_step, state_numbers
from deepgen_lib.mixture import mixture_bound, random_mixture

EXACT = dict(rtol=0, atol=1e-10)


def mixture(rng, n_components=3, n_visible=5) -> BernoulliMixture:
    weights = torch.rand(n_components, dtype=torch.float64, generator=rng) + 0.1
    return BernoulliMixture(weights / weights.sum(), 0.05 + 0.9 * torch.rand(n_components, n_visible, dtype=torch.float64, generator=rng))


def data(rng, n=60, n_visible=5) -> torch.Tensor:
    return mixture(rng, 4, n_visible).sample(n, rng=rng).double()


def test_probabilities_sum_to_one_over_all_states(rng):
    for n_components in (1, 4):
        assert_close(mixture(rng, n_components).log_likelihood(all_states(5)).exp().sum().item(), 1.0, **EXACT)


def test_the_joint_is_weight_times_bernoullis_written_out(rng):
    m, x = mixture(rng), all_states(5)
    want = [[math.log(w) + sum(math.log(p if bit else 1 - p) for p, bit in zip(row, state)) for w, row in zip(m.weights.tolist(), m.means.tolist())]
            for state in itertools.product([0, 1], repeat=5)]
    assert_close(m.log_joint(x), torch.tensor(want, dtype=torch.float64), **EXACT)
    assert_close(m.conditional_log_likelihood(x) + m.weights.log(), m.log_joint(x), **EXACT)
    assert_close(m.log_likelihood(x), m.log_joint(x).logsumexp(1), **EXACT)
    assert_close(m.posterior(x), m.log_joint(x).softmax(1), **EXACT)


def test_the_e_step_makes_the_bound_tight_and_any_other_q_does_not(rng):
    m, x = mixture(rng), data(rng)
    q = e_step(m, x)
    assert_close(q.sum(1), torch.ones(len(x), dtype=torch.float64), **EXACT)
    assert_close(mixture_bound(m, x, q), m.log_likelihood(x), **EXACT)
    assert_close(mixture_bound(m, x, q), gibbs_bound(m.log_joint(x), q), **EXACT)
    other = (q + 0.1) / (q + 0.1).sum(1, keepdim=True)
    assert (mixture_bound(m, x, other) < m.log_likelihood(x) - 1e-4).all()


def bound_of(logits, means_logits, x, q):
    """The mean bound as a function of free parameters, so that its slope can be taken."""
    log_joint = x @ means_logits.T + torch.nn.functional.logsigmoid(-means_logits).sum(1) + logits.log_softmax(0)
    return gibbs_bound(log_joint, q).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_at_the_m_step_the_slope_of_its_objective_is_zero(smoothing, rng):
    x, q = data(rng), torch.rand(60, 3, dtype=torch.float64, generator=rng)
    q /= q.sum(1, keepdim=True)
    best = m_step(x, q, smoothing=smoothing)
    free = [best.log_weights.clone().requires_grad_(), best.logits.clone().requires_grad_()]
    prior = smoothing / len(x) * (torch.nn.functional.logsigmoid(free[1]) + torch.nn.functional.logsigmoid(-free[1])).sum()
    for slope in torch.autograd.grad(bound_of(*free, x, q) + prior, free):
        assert slope.abs().max() < 1e-12
    assert_close(best.weights.sum().item(), 1.0, **EXACT)


def test_the_m_step_is_better_than_any_neighbour(rng):
    x, q = data(rng), torch.rand(60, 3, dtype=torch.float64, generator=rng)
    q /= q.sum(1, keepdim=True)
    best = m_step(x, q)
    top = bound_of(best.log_weights, best.logits, x, q)
    for _ in range(50):
        shift = [0.1 * torch.randn(s, dtype=torch.float64, generator=rng) for s in (3, (3, 5))]
        assert bound_of(best.log_weights + shift[0], best.logits + shift[1], x, q) < top


def test_em_never_goes_down_and_its_trace_is_what_happened(rng):
    x = data(rng)
    for seed in range(5):
        result = fit_em(x, n_components=4, n_steps=15, rng=torch.Generator().manual_seed(seed))
        for step in result.trace:
            assert step.bound_after_e == pytest.approx(step.log_likelihood_before, abs=1e-10)
            assert step.bound_after_m >= step.bound_after_e - 1e-12
            assert step.log_likelihood_after >= step.bound_after_m - 1e-12
        assert all(a.log_likelihood_after == b.log_likelihood_before for a, b in zip(result.trace, result.trace[1:]))
        assert result.trace[-1].log_likelihood_after == pytest.approx(result.mixture.log_likelihood(x).mean().item(), abs=1e-12)
        assert result.trace[-1].log_likelihood_after > result.trace[0].log_likelihood_before + 0.05


def test_smoothing_is_pseudo_counts_and_an_empty_component_stays_defined(rng):
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    m = m_step(x, torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64), smoothing=0.5)
    assert_close(m.means[0], torch.tensor([2.5 / 3, 1.5 / 3], dtype=torch.float64), **EXACT)
    assert_close(m.means[1], torch.tensor([0.5, 0.5], dtype=torch.float64), **EXACT)
    assert m.log_likelihood(x).isfinite().all()
    sharp = m_step(x, torch.ones(2, 1, dtype=torch.float64))
    assert 0 < sharp.means.min() and sharp.means.max() < 1 and sharp.log_likelihood(x).isfinite().all()


def test_one_component_fits_the_pixel_means_in_one_step(rng):
    x = data(rng)
    result = fit_em(x, n_components=1, n_steps=1, rng=rng)
    assert_close(result.mixture.means[0], x.mean(0), **EXACT)


def test_samples_follow_the_mixture(rng):
    m, n = mixture(rng), 40_000
    x = m.sample(n, rng=rng)
    p = m.log_likelihood(all_states(5)).exp()
    chi_square = (((torch.bincount(state_numbers(x), minlength=32) - n * p) ** 2) / (n * p)).sum().item()
    assert chi_square < 31 + 4 * math.sqrt(2 * 31)


def test_a_random_start_lies_between_the_mean_and_examples(rng):
    x = data(rng)
    x[:, 0], x[:, 1] = 0.0, 1.0  # never and always on
    start = random_mixture(x, n_components=6, rng=rng)
    assert_close(start.means[:, :2], torch.tensor([[0.05, 0.95]], dtype=torch.float64).expand(6, -1), **EXACT)
    assert_close(start.weights, torch.full((6,), 1 / 6, dtype=torch.float64), **EXACT)
    assert start.means.min() >= 0.05 - 1e-12 and start.means.max() <= 0.95 + 1e-12
    assert len({tuple(row) for row in start.means.tolist()}) > 1


@pytest.mark.parametrize("call, message", [
    (lambda m, x: m.log_joint(x[:, :4]), "BernoulliMixture: x has shape \\(60, 4\\), expected \\(B, 5\\)"),
    (lambda m, x: m.log_likelihood(x / 2), "values other than 0 and 1"),
    (lambda m, x: m.sample(0, rng=torch.Generator()), "sample: n is 0"),
    (lambda m, x: BernoulliMixture(torch.ones(2), torch.rand(2, 3)), "weights is no distribution"),
    (lambda m, x: BernoulliMixture(torch.ones(1), torch.ones(1, 3)), "strictly between 0 and 1"),
    (lambda m, x: m_step(x, e_step(m, x)[:10]), "m_step: q is \\(10, 3\\) for 60 examples"),
    (lambda m, x: m_step(x, e_step(m, x), smoothing=-1.0), "smoothing is -1.0"),
    (lambda m, x: fit_em(x, n_components=61, n_steps=1, rng=torch.Generator()), "n_components is 61.*at most 60"),
    (lambda m, x: fit_em(x, n_components=2, n_steps=0, rng=torch.Generator()), "n_steps is 0"),
    (lambda m, x: fit_em(x, n_components=2, n_steps=1, rng=1), "rng is int"),
], ids=["columns", "grey", "none", "weights", "means", "rows", "smoothing", "many", "steps", "rng"])
def test_bad_input_is_refused(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(mixture(rng), data(rng))
