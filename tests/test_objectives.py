"""objectives.py: the exact gradient against autograd, the expected CD gradient against sampled ones, centring against flipped data."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import RBM, all_states, cd_gradient, exact_gradient, exact_log_likelihood, expected_cd_gradient, joint_log_prob, random_rbm
from deepgen_lib.objectives import Gradient, cd_phases, centred, continue_chain, gradient
from deepgen_lib.kernels.cd_update import Phases

EXACT = dict(rtol=0, atol=1e-10)


@pytest.fixture
def rbm(rng):
    return random_rbm(5, 3, rng=rng)


DATA = all_states(5)[[3, 3, 12, 17, 31, 0, 9]]  # uneven, one row twice


def test_the_exact_gradient_is_autograds(rbm):
    auto = torch.autograd.grad(exact_log_likelihood(rbm, DATA).mean(), (rbm.W, rbm.b, rbm.c))
    for got, wanted in zip(exact_gradient(rbm, DATA), auto):
        assert_close(got, wanted, **EXACT)


def test_the_expected_cd_gradient_is_the_sum_over_all_paths(rbm):
    p = joint_log_prob(rbm).exp().detach()
    up, down, v, h = p / p.sum(1, keepdim=True), p / p.sum(0), all_states(5), all_states(3)
    hidden_on = (p @ h) / p.sum(1, keepdim=True)
    model = torch.zeros(5, 3).double()
    for row in DATA:
        start = int((v == row).all(1).nonzero())
        for hidden in range(8):
            for end in range(32):
                model += up[start, hidden] * down[end, hidden] * torch.outer(v[end], hidden_on[end]) / len(DATA)
    data = DATA.T @ torch.sigmoid(rbm.hidden_logits(DATA)).detach() / len(DATA)
    assert_close(expected_cd_gradient(rbm, DATA).W, data - model, **EXACT)


@pytest.mark.parametrize("k", [1, 3])
def test_the_expected_cd_gradient_is_the_mean_of_sampled_ones(k, rbm, rng):
    n = 20_000
    phases = cd_phases(rbm, DATA.repeat(n, 1), n_gibbs_steps=k, rng=rng)
    expected, sampled = expected_cd_gradient(rbm, DATA, n_gibbs_steps=k), gradient(phases)
    spread = Gradient((phases.v_model[:, :, None] * phases.h_model[:, None]).std(0), phases.v_model.std(0), phases.h_model.std(0))
    for a, b, s in zip(sampled, expected, spread):
        assert ((a - b).abs() < 4.5 * s / (7 * n) ** 0.5).all()  # 23 numbers: 4.5 standard errors are exceeded once in 6,000 runs
    exact = exact_gradient(rbm, DATA)
    assert ((sampled.W - exact.W).abs() > 6 * spread.W / (7 * n) ** 0.5).any()  # the test would see the bias itself


def test_long_chains_give_the_gradient_and_short_ones_do_not(rbm):
    exact = exact_gradient(rbm, DATA)
    error = lambda k: (expected_cd_gradient(rbm, DATA, n_gibbs_steps=k).W - exact.W).norm().item()
    errors = [error(k) for k in (1, 2, 5, 20)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0.02
    assert error(400) < 1e-9


def test_one_call_of_cd_is_the_difference_of_its_phases(rbm):
    twin = lambda: torch.Generator().manual_seed(5)
    phases = cd_phases(rbm, DATA, n_gibbs_steps=2, rng=twin())
    got = cd_gradient(rbm, DATA, n_gibbs_steps=2, rng=twin())
    assert_close(got.W, (DATA.T @ phases.h_data - phases.v_model.T @ phases.h_model) / 7, **EXACT)
    assert_close(got.b, DATA.mean(0) - phases.v_model.mean(0), **EXACT)
    assert_close(got.c, phases.h_data.mean(0) - phases.h_model.mean(0), **EXACT)


def test_phases_hold_probabilities_of_the_states_beside_them(rbm, rng):
    phases = cd_phases(rbm, DATA, rng=rng)
    assert_close(phases.h_data, torch.sigmoid(rbm.hidden_logits(DATA)).detach(), **EXACT)
    assert_close(phases.h_model, torch.sigmoid(rbm.hidden_logits(phases.v_model)).detach(), **EXACT)  # not those of the state before
    assert set(phases.v_model.unique().tolist()) <= {0.0, 1.0}


def test_a_persistent_chain_started_in_the_model_estimates_the_models_phase(rbm, rng):
    n = 60_000
    p = joint_log_prob(rbm).exp().detach()
    h = all_states(3)[torch.multinomial(p.sum(0), n, replacement=True, generator=rng)]
    with torch.no_grad():
        v_model, h_model, h_next = continue_chain(rbm, h, 2, rng)
        assert continue_chain(rbm, h, 2, rng, keep_states=False)[2] is None
    for got, wanted in ((v_model, p.sum(1) @ all_states(5)), (h_model, p.sum(0) @ all_states(3)), (h_next, p.sum(0) @ all_states(3))):
        assert ((got.mean(0) - wanted).abs() < 4.5 * got.std(0) / n**0.5).all()
    assert set(h_next.unique().tolist()) == {0.0, 1.0}


def flip(rbm: RBM, v: torch.Tensor, visible: torch.Tensor, hidden: torch.Tensor) -> tuple[RBM, torch.Tensor]:
    """The same model and data with 0 and 1 exchanged in the marked units (sign -1), and the flipped data."""
    s, t = 1 - 2 * visible, 1 - 2 * hidden
    other = RBM(rbm.n_visible, rbm.n_hidden).double().requires_grad_(False)
    other.W.copy_(s[:, None] * rbm.W * t)
    other.b.copy_(s * (rbm.b + rbm.W @ hidden))
    other.c.copy_(t * (rbm.c + rbm.W.T @ visible))
    return other, torch.where(visible.bool(), 1 - v, v)


def test_the_centred_gradient_flips_with_the_data_and_the_plain_one_does_not(rbm, rng):
    mu, lam = torch.rand(5, generator=rng).double(), torch.rand(3, generator=rng).double()
    visible, hidden = torch.tensor([1.0, 0, 1, 1, 0]).double(), torch.tensor([0.0, 1, 0]).double()
    other, flipped = flip(rbm.requires_grad_(False), DATA, visible, hidden)
    assert_close(exact_log_likelihood(other, flipped), exact_log_likelihood(rbm, DATA), **EXACT)
    mu2, lam2 = torch.where(visible.bool(), 1 - mu, mu), torch.where(hidden.bool(), 1 - lam, lam)

    def moved(model, data, offsets, rate=0.1):
        g = exact_gradient(model, data)
        g = g if offsets is None else centred(g, *offsets)
        new = RBM(5, 3).double().requires_grad_(False)
        for parameter, old, slope in zip((new.W, new.b, new.c), (model.W, model.b, model.c), g):
            parameter.copy_(old + rate * slope)
        return new
    same = exact_log_likelihood(moved(rbm, DATA, (mu, lam)), DATA) - exact_log_likelihood(moved(other, flipped, (mu2, lam2)), flipped)
    assert same.abs().max() < 1e-10
    differs = exact_log_likelihood(moved(rbm, DATA, None), DATA) - exact_log_likelihood(moved(other, flipped, None), flipped)
    assert differs.abs().max() > 1e-3


def test_centring_at_zero_changes_nothing_and_stays_uphill(rbm, rng):
    g = exact_gradient(rbm, DATA)
    for got, wanted in zip(centred(g, torch.zeros(5).double(), torch.zeros(3).double()), g):
        assert_close(got, wanted, **EXACT)
    c = centred(g, torch.rand(5, generator=rng).double(), torch.rand(3, generator=rng).double())
    assert sum((a * b).sum() for a, b in zip(c, g)) > 0


def test_the_gradient_averages_each_phase_over_its_own_rows(rng):
    phases = Phases(*(torch.rand(n, m, generator=rng) for n, m in ((4, 3), (4, 2), (9, 3), (9, 2))))
    g = gradient(phases)
    assert_close(g.W, phases.v_data.T @ phases.h_data / 4 - phases.v_model.T @ phases.h_model / 9)
    assert_close(g.b, phases.v_data.mean(0) - phases.v_model.mean(0))
    assert_close(g.c, phases.h_data.mean(0) - phases.h_model.mean(0))


@pytest.mark.parametrize("call, message", [
    (lambda r, g: exact_gradient(r, torch.zeros(2, 4).double()), r"exact_gradient: v has shape \(2, 4\), expected \(B, 5\)"),
    (lambda r, g: exact_gradient(r, torch.full((2, 5), 0.5).double()), "exact_gradient: v has values other than 0 and 1"),
    (lambda r, g: expected_cd_gradient(r, DATA, n_gibbs_steps=0), "n_gibbs_steps is 0"),
    (lambda r, g: cd_gradient(r, DATA, n_gibbs_steps=1.0, rng=g), "n_gibbs_steps is 1.0"),
    (lambda r, g: cd_gradient(r, DATA.float(), rng=g), "v is torch.float32"),
    (lambda r, g: cd_gradient(r, DATA, rng=None), "rng is NoneType"),
    (lambda r, g: centred(exact_gradient(r, DATA), torch.zeros(3), torch.zeros(5)), r"centred: mu .*\(3,\), expected \(5,\).*one offset per visible unit"),
])
def test_bad_input_is_refused_with_a_cure(call, message, rbm, rng):
    with pytest.raises(ValueError, match=message):
        call(rbm, rng)
