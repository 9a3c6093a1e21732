"""sampling.py: samplers are started exactly in the target and must stay there; frequencies are judged by their Monte-Carlo error."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import RBM, all_states, gibbs_chain, gibbs_step, parallel_tempering, random_rbm, sample_bernoulli, state_numbers, visible_log_prob
from deepgen_lib.enumeration import gibbs_transition_matrix
from deepgen_lib.kernels.gibbs import gibbs_half_step
from deepgen_lib.sampling import _swap, _tempered_sweep, sample_h_from_v, sample_v_from_h

N = 40_000


def frequencies(v: torch.Tensor) -> torch.Tensor:
    """(N, V) -> (2**V,) shares, in the order of all_states."""
    return torch.bincount(state_numbers(v), minlength=2**v.shape[1]).double() / len(v)


def exact_draws(p: torch.Tensor, n: int, rng: torch.Generator) -> torch.Tensor:
    """n rows of all_states with probabilities p (2**V,)."""
    n_units = len(p).bit_length() - 1
    return all_states(n_units)[torch.multinomial(p, n, replacement=True, generator=rng)]


def drift_in_floors(v: torch.Tensor, p: torch.Tensor) -> float:
    """Total variation to p, in units of what exact draws show on average."""
    floor = (2 * p * (1 - p) / (math.pi * len(v))).sqrt().sum() / 2
    return ((frequencies(v) - p).abs().sum() / 2 / floor).item()


def test_bernoulli_draws_follow_their_logits(rng):
    logits = torch.tensor([-3.0, -0.5, 0.0, 2.0]).expand(N, -1)
    mean, p = sample_bernoulli(logits, rng).mean(0), torch.sigmoid(logits[0])
    assert ((mean - p).abs() < 4.5 * (p * (1 - p) / N).sqrt()).all()


def test_bernoulli_certainties_are_certain_and_keep_shape_and_type(rng):
    logits = torch.tensor([[-math.inf, math.inf], [-1e4, 1e4]], dtype=torch.float64).repeat(500, 3)
    draws = sample_bernoulli(logits, rng)
    assert torch.equal(draws, (logits > 0).double())


def test_each_half_samples_its_conditional(rng):
    rbm, v, h = random_rbm(5, 3, rng=rng), all_states(5)[[0, 13, 31]], all_states(3)[[0, 3, 6]]
    for sample, given, logits in ((sample_h_from_v, v, rbm.hidden_logits(v)), (sample_v_from_h, h, rbm.visible_logits(h))):
        p = torch.sigmoid(logits).detach()
        mean = sample(rbm, given.repeat_interleave(N, 0), rng).reshape(3, N, -1).mean(1)
        assert ((mean - p).abs() < 4.5 * (p * (1 - p) / N).sqrt() + 1e-12).all()


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_gibbs_leaves_the_model_invariant(scale, rng):
    rbm = random_rbm(5, 3, scale=scale, rng=rng)
    p = visible_log_prob(rbm).exp().detach()
    v = exact_draws(p, N, rng)  # exact draws: mixing cannot matter
    for n_steps in (1, 3):
        assert drift_in_floors(gibbs_chain(rbm, v, n_steps=n_steps, rng=rng), p) < 2.2


def test_a_chain_from_one_state_spreads_as_the_transition_matrix_says(rng):
    rbm = random_rbm(4, 3, rng=rng)
    T = gibbs_transition_matrix(rbm).detach()
    v = all_states(4)[5].expand(N, -1)
    assert torch.equal(gibbs_chain(rbm, v, n_steps=0, rng=rng), v)
    assert drift_in_floors(gibbs_step(rbm, v, rng), T[5]) < 2.2
    assert drift_in_floors(gibbs_chain(rbm, v, n_steps=2, rng=rng), (T @ T)[5]) < 2.2


def two_modes(height: float) -> RBM:
    """All units on or all off, with equal probability; between them a barrier that plain Gibbs rarely crosses."""
    rbm = RBM(5, 3, weight_std=0.0).double().requires_grad_(False)
    rbm.W += height
    rbm.b -= 1.5 * height
    rbm.c -= 2.5 * height
    return rbm


def tempered(rbm: RBM, t: float, a: torch.Tensor) -> torch.Tensor:
    """p_t over all states, from the formula in the docstring.  -> (2**V,)"""
    v = all_states(rbm.n_visible)
    return torch.softmax((1 - t) * (v @ a) + t * (v @ rbm.b) + torch.log1p(torch.exp(t * (v @ rbm.W + rbm.c))).sum(1), 0).detach()


def test_every_temperature_is_left_invariant_by_sweeps_and_by_swaps(rng):
    rbm, t = random_rbm(4, 3, rng=rng), torch.tensor([0.0, 0.4, 0.7, 1.0]).double()
    base_mean = torch.tensor([0.2, 0.5, 0.9, 0.6]).double()
    a = torch.logit(base_mean)
    targets = [tempered(rbm, float(x), a) for x in t]
    with torch.no_grad():
        v = torch.stack([exact_draws(p, N, rng) for p in targets])
        v = _tempered_sweep(rbm, v, t, a, rng)
        assert max(drift_in_floors(x, p) for x, p in zip(v, targets)) < 2.2
        accepted = torch.cat([_swap(rbm, v, t, a, low, rng) for low in (torch.tensor([0, 2]), torch.tensor([1]))])
    assert max(drift_in_floors(x, p) for x, p in zip(v, targets)) < 2.2
    for rate, low, high in zip(accepted, (0, 2, 1), (1, 3, 2)):
        p, q = targets[low], targets[high]
        exact = torch.minimum(p[:, None] * q, p * q[:, None]).sum().item()  # E min(1, p(w) q(v) / p(v) q(w))
        assert abs(rate.item() - exact) < 4.5 * math.sqrt(exact * (1 - exact) / N)


def test_tempering_crosses_a_barrier_that_gibbs_does_not(rng):
    rbm, n = two_modes(3.0), 1000
    p = visible_log_prob(rbm).exp().detach()
    stuck = gibbs_chain(rbm, torch.zeros(n, 5).double(), n_steps=80, rng=rng)
    mean = torch.full((5,), 0.2).double()  # the base hardly knows the upper mode
    found = parallel_tempering(rbm, n_chains=n, inverse_temperatures=torch.linspace(0, 1, 6), n_steps=80, base_mean=mean, rng=rng)
    assert (frequencies(stuck) - p).abs().sum() / 2 > 0.4
    assert (frequencies(found.v) - p).abs().sum() / 2 < 0.06
    assert found.ladder.shape == (6, n, 5) and torch.equal(found.ladder[-1], found.v)
    assert found.swap_rates.shape == (5,) and 0.1 < found.swap_rates.min() and found.swap_rates.max() < 1


@pytest.mark.parametrize("call, message", [
    (lambda r, g: sample_bernoulli(torch.tensor([0.0, math.nan]), g), "logits contain NaN"),
    (lambda r, g: sample_bernoulli(torch.zeros(2), 7), "rng is int, expected a torch.Generator"),
    (lambda r, g: gibbs_step(r, torch.zeros(2, 3), g), r"v has shape \(2, 3\), expected \(B, 4\)"),
    (lambda r, g: gibbs_step(r, torch.full((2, 4), 0.5), g), "binary states"),
    (lambda r, g: gibbs_chain(r, torch.zeros(2, 4), n_steps=-1, rng=g), "n_steps is -1"),
    (lambda r, g: sample_h_from_v(r, torch.zeros(2, 3), g), "hidden_logits: v has shape"),
    (lambda r, g: gibbs_half_step(torch.zeros(2, 4), r.W, torch.zeros(4), g), r"bias has shape \(4,\), expected \(3,\).*downwards pass W.T"),
    (lambda r, g: parallel_tempering(r, n_chains=0, inverse_temperatures=[0, 1], n_steps=1, rng=g), "n_chains is 0"),
    (lambda r, g: parallel_tempering(r, n_chains=1, inverse_temperatures=[1, 0.5, 0], n_steps=1, rng=g), "strictly increase"),
    (lambda r, g: parallel_tempering(r, n_chains=1, inverse_temperatures=[0, 1], n_steps=1, base_mean=torch.zeros(4), rng=g), "strictly between 0 and 1"),
])
def test_bad_input_is_refused_with_a_cure(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(RBM(4, 3), rng)
