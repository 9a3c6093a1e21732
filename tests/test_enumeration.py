"""enumeration.py: the oracle. Checked against sums written out state by state with the energy alone."""
import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import RBM, all_states, exact_log_likelihood, hidden_posterior, joint_log_prob, log_partition, random_rbm, state_numbers, visible_log_prob
from deepgen_lib.enumeration import gibbs_transition_matrix

EXACT = dict(rtol=0, atol=1e-10)
SIZES = [(1, 1), (5, 3), (3, 6)]


def brute_minus_energy(rbm: RBM) -> torch.Tensor:
    """-E(v, h) for every pair, by loops over Python numbers.  -> (2**V, 2**H)"""
    W, b, c = (p.tolist() for p in (rbm.W, rbm.b, rbm.c))
    def one(v, h):
        return (sum(v[i] * W[i][j] * h[j] for i in range(len(v)) for j in range(len(h))) + sum(map(float.__mul__, v, b)) + sum(map(float.__mul__, h, c)))
    states = lambda n: list(itertools.product([0.0, 1.0], repeat=n))
    return torch.tensor([[one(v, h) for h in states(rbm.n_hidden)] for v in states(rbm.n_visible)], dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 4])
def test_all_states_counts_up_in_binary(n):
    states = all_states(n)
    assert states.dtype == torch.float64
    assert states.tolist() == [list(map(float, s)) for s in itertools.product([0, 1], repeat=n)]


@pytest.mark.parametrize("n", [0, -1, 25, 2.0, True])
def test_all_states_refuses_what_it_cannot_count(n):
    with pytest.raises(ValueError, match="all_states: n is"):
        all_states(n)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_log_partition_is_the_sum_over_all_pairs_from_either_side(sizes, rng):
    rbm = random_rbm(*sizes, rng=rng)
    brute = brute_minus_energy(rbm).flatten().logsumexp(0)
    for side in ("smaller", "visible", "hidden"):
        assert_close(log_partition(rbm, side=side), brute, **EXACT)


def test_both_sides_agree_over_many_models_and_over_several_blocks_of_states(rng):
    for scale in (0.1, 1.0, 5.0):
        for sizes in [(2, 9), (9, 2), (7, 7)]:
            rbm = random_rbm(*sizes, scale=scale, rng=rng)
            assert_close(log_partition(rbm, side="visible"), log_partition(rbm, side="hidden"), **EXACT)
    rbm = random_rbm(17, 4, scale=0.5, rng=rng)  # 2**17 visible states: eight blocks
    assert_close(log_partition(rbm, side="visible"), log_partition(rbm, side="hidden"), **EXACT)


def test_log_partition_of_free_units_is_known_and_large_weights_do_not_overflow(rng):
    assert_close(log_partition(RBM(10, 50, weight_std=0.0).double()), torch.tensor(60 * math.log(2), dtype=torch.float64), **EXACT)
    rbm = RBM(3, 2, weight_std=0.0).double().requires_grad_(False)
    rbm.W += 1000.0
    assert_close(log_partition(rbm), torch.tensor(6000.0, dtype=torch.float64), **EXACT)


def test_the_slope_of_log_partition_is_the_models_mean(rng):
    rbm = random_rbm(4, 3, rng=rng)
    for side in ("visible", "hidden"):
        slopes = torch.autograd.grad(log_partition(rbm, side=side), (rbm.W, rbm.b, rbm.c))
        p, v, h = joint_log_prob(rbm).exp(), all_states(4), all_states(3)
        for slope, mean in zip(slopes, (v.T @ p @ h, p.sum(1) @ v, p.sum(0) @ h)):
            assert_close(slope, mean.detach(), **EXACT)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_joint_marginal_posterior_and_likelihood_follow_from_the_energy(sizes, rng):
    rbm = random_rbm(*sizes, rng=rng)
    minus_energy = brute_minus_energy(rbm)
    joint = minus_energy - minus_energy.flatten().logsumexp(0)
    states = all_states(sizes[0])
    assert_close(joint_log_prob(rbm).detach(), joint, **EXACT)
    assert_close(visible_log_prob(rbm).detach(), joint.logsumexp(1), **EXACT)
    assert_close(exact_log_likelihood(rbm, states).detach(), joint.logsumexp(1), **EXACT)
    assert_close(hidden_posterior(rbm, states).detach(), joint.softmax(1), **EXACT)


def test_the_transition_matrix_is_the_sum_over_hidden_states_and_is_reversible(rng):
    rbm = random_rbm(4, 3, rng=rng)
    joint = brute_minus_energy(rbm).flatten().softmax(0).reshape(16, 8)
    T = gibbs_transition_matrix(rbm).detach()
    for v, w in [(0, 0), (3, 12), (15, 6)]:
        path = sum(joint[v, h] / joint[v].sum() * joint[w, h] / joint[:, h].sum() for h in range(8))
        assert_close(T[v, w], path, **EXACT)
    p = joint.sum(1)
    assert_close(T.sum(1), torch.ones(16).double(), **EXACT)
    assert_close(p @ T, p, **EXACT)
    assert_close(p[:, None] * T, (p[:, None] * T).T, **EXACT)  # v -> h -> v' runs backwards just as often


@pytest.mark.parametrize("call, message", [
    (lambda r: log_partition(r, side="left"), "log_partition: side is 'left', expected one of 'smaller', 'visible', 'hidden'"),
    (lambda r: log_partition(RBM(25, 30)), "25 visible units mean 2\\*\\*25 states.*ais_log_partition"),
    (lambda r: log_partition(r, side="hidden"), "30 hidden units"),
    (lambda r: joint_log_prob(r), "joint_log_prob: n_visible \\+ n_hidden is 34"),
    (lambda r: hidden_posterior(r, torch.zeros(2, 5)), "hidden_posterior: v has shape \\(2, 5\\), expected \\(B, 4\\)"),
    (lambda r: exact_log_likelihood(r, torch.full((2, 4), 0.5)), "expected binary states"),
], ids=["side", "visible", "hidden", "joint", "shape", "grey"])
def test_what_cannot_be_enumerated_is_refused_with_a_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call(RBM(4, 30))


@pytest.mark.parametrize("n", [1, 3, 7])
def test_state_numbers_say_where_each_state_stands(n):
    order = torch.randperm(2**n, generator=torch.Generator().manual_seed(n))
    assert torch.equal(state_numbers(all_states(n)[order]), order)
