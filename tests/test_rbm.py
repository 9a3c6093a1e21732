"""rbm.py: energy, conditionals and free energy against the enumerated joint; V != H, so that no transpose passes."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import RBM, all_states, base_rate, init_visible_bias, joint_log_prob, random_rbm, visible_log_prob

EXACT = dict(rtol=0, atol=1e-10)


def test_energy_is_minus_the_three_products_row_by_row(rng):
    rbm, v, h = random_rbm(5, 3, rng=rng), all_states(5)[[0, 11, 31, 6]], all_states(3)[[7, 5, 2, 0]]
    by_hand = [-sum(v[r, i] * rbm.W[i, j] * h[r, j] for i in range(5) for j in range(3)) - sum(v[r, i] * rbm.b[i] for i in range(5))
               - sum(h[r, j] * rbm.c[j] for j in range(3)) for r in range(4)]
    assert_close(rbm.energy(v, h), torch.stack(by_hand), **EXACT)


def test_free_energy_is_the_marginal(rng):
    rbm, v = random_rbm(5, 3, rng=rng), all_states(5)
    minus_energy = torch.stack([-rbm.energy(v, h.expand(len(v), -1)) for h in all_states(3)])
    assert_close(-rbm.free_energy(v), minus_energy.logsumexp(0), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [-1e4, 1e4], ids=str)
def test_free_energy_of_huge_weights_neither_overflows_nor_rounds(size, dtype):
    rbm = RBM(2, 3, weight_std=0.0).to(dtype).requires_grad_(False)
    rbm.W += size
    expected = torch.tensor([-3 * math.log(2), -3 * max(size, 0.0), -3 * max(2 * size, 0.0)], dtype=dtype)
    assert_close(rbm.free_energy(all_states(2)[[0, 1, 3]].to(dtype)), expected, rtol=1e-6, atol=0)


def test_free_energy_is_exact_where_softplus_is_commonly_cut_off():
    rbm = RBM(1, 1, weight_std=0.0).double().requires_grad_(False)
    rbm.c += 21.0  # log(1 + e^21) = 21 + 7.6e-10
    assert_close(-rbm.free_energy(torch.zeros(1, 1).double()).item() - 21.0, math.log1p(math.exp(-21)), rtol=1e-4, atol=0)


def test_conditionals_are_those_of_the_joint(rng):
    rbm = random_rbm(5, 3, rng=rng)
    p, v, h = joint_log_prob(rbm).exp().detach(), all_states(5), all_states(3)
    p_h_on = (p @ h) / p.sum(1, keepdim=True)        # (32, 3)  p(h_j = 1 | v)
    p_v_on = (p.T @ v) / p.sum(0)[:, None]           # (8, 5)   p(v_i = 1 | h)
    assert_close(torch.sigmoid(rbm.hidden_logits(v)).detach(), p_h_on, **EXACT)
    assert_close(torch.sigmoid(rbm.visible_logits(h)).detach(), p_v_on, **EXACT)


def test_hidden_units_are_independent_given_the_visible_ones(rng):
    rbm = random_rbm(4, 3, rng=rng)
    v, h = all_states(4), all_states(3)
    on = torch.sigmoid(rbm.hidden_logits(v)).detach()
    product = torch.where(h.bool(), on[:, None], 1 - on[:, None]).prod(2)  # (16, 8)
    assert_close(product, joint_log_prob(rbm).softmax(1).detach(), **EXACT)


def test_a_new_rbm_has_small_weights_no_biases_and_follows_its_rng():
    rbm, again = (RBM(300, 200, weight_std=0.02, rng=torch.Generator().manual_seed(3)) for _ in range(2))
    assert (rbm.n_visible, rbm.n_hidden, rbm.W.shape) == (300, 200, (300, 200))
    assert abs(rbm.W.std().item() / 0.02 - 1) < 0.02 and abs(rbm.W.mean().item()) < 5 * 0.02 / math.sqrt(60_000)
    assert not rbm.b.any() and not rbm.c.any() and rbm.b.shape == (300,) and rbm.c.shape == (200,)
    assert torch.equal(rbm.W, again.W)


def test_random_rbm_is_float64_with_every_parameter_at_the_given_scale(rng):
    rbm = random_rbm(80, 70, scale=3.0, rng=rng)
    for parameter in rbm.parameters():
        assert parameter.dtype == torch.float64 and parameter.requires_grad
        assert 2 < parameter.std().item() < 4


def test_visible_biases_give_an_rbm_without_weights_the_means_of_the_data(rng):
    x = (torch.rand(400, 4, generator=rng) < torch.tensor([0.1, 0.5, 0.7, 0.0])).double()
    mean = base_rate(x, clamp=0.01)
    assert_close(mean, torch.cat([x[:, :3].mean(0), torch.tensor([0.01]).double()]))
    rbm = init_visible_bias(RBM(4, 3, weight_std=0.0).double(), mean)
    assert_close(visible_log_prob(rbm).exp().detach() @ all_states(4), mean, **EXACT)


def test_base_rate_clamps_at_both_ends():
    x = torch.tensor([[0.0, 1.0, 1.0]] * 3 + [[0.0, 1.0, 0.0]])
    assert_close(base_rate(x), torch.tensor([0.001, 0.999, 0.75]))


@pytest.mark.parametrize("call, message", [
    (lambda r: r.free_energy(torch.zeros(2, 2, 2)), r"v has shape \(2, 2, 2\), expected \(B, 4\); flatten images first"),
    (lambda r: r.free_energy(torch.zeros(4)), r"for one example use v\[None\]"),
    (lambda r: r.free_energy(torch.zeros(2, 3)), r"v has shape \(2, 3\), expected \(B, 4\)"),
    (lambda r: r.free_energy(torch.zeros(0, 4)), "v is empty"),
    (lambda r: r.free_energy(torch.full((2, 4), 0.3)), "values other than 0 and 1"),
    (lambda r: r.free_energy(torch.full((2, 4), math.nan)), "contains NaN"),
    (lambda r: r.free_energy(torch.zeros(2, 4).double()), "v is torch.float64, expected torch.float32 like the model's parameters"),
    (lambda r: r.free_energy([[0, 1, 1, 0]]), "v is list, expected a torch.Tensor"),
    (lambda r: r.hidden_logits(torch.zeros(2, 3)), r"hidden_logits: v has shape \(2, 3\), expected \(B, 4\)"),
    (lambda r: r.visible_logits(torch.zeros(2, 4)), r"visible_logits: h has shape \(2, 4\), expected \(B, 3\)"),
    (lambda r: r.energy(torch.zeros(2, 4), torch.zeros(1, 3)), "v has 2 rows and h has 1"),
    (lambda r: r.energy(torch.zeros(2, 4), torch.full((2, 3), 0.5)), "energy: h has values other than 0 and 1"),
    (lambda r: RBM(0, 3), "n_visible is 0"), (lambda r: RBM(3, 2.0), "n_hidden is 2.0"), (lambda r: RBM(3, 2, weight_std=-1.0), "weight_std is -1.0"),
    (lambda r: init_visible_bias(r, torch.tensor([0.0, 0.5, 0.5, 0.5])), "strictly between 0 and 1"),
    (lambda r: init_visible_bias(r, torch.full((3,), 0.5)), r"mean has shape \(3,\), expected \(4,\)"),
    (lambda r: base_rate(torch.full((3, 4), 0.5)), "base_rate: x has values other than 0 and 1"),
    (lambda r: base_rate(torch.zeros(3, 4), clamp=0.6), "clamp is 0.6"),
])
def test_bad_input_is_refused_with_a_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call(RBM(4, 3))
