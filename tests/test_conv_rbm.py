"""The convolutional RBM against enumeration: a 4 x 4 picture with all its states, and maps of several blocks."""
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from deepgen_lib.conv_enumeration import all_pictures, all_pooled_states, conv_hidden_log_prob, conv_log_likelihood, conv_log_partition
from deepgen_lib.conv_rbm import ConvRBM, random_conv_rbm

EXACT = dict(atol=1e-10, rtol=0)
SIGMA = 0.6


@pytest.fixture
def whole(rng):
    """One 4 x 4 picture, two 3 x 3 filters, one 2 x 2 block each: 2**16 pictures, 25 hidden states."""
    return random_conv_rbm(1, 2, 3, scale=0.5, rng=rng).requires_grad_(False)


@pytest.fixture(scope="module")
def joint():
    """log p(v, h) of that model by enumeration, straight from the energy.  -> (2**16, 25)."""
    rbm = random_conv_rbm(1, 2, 3, scale=0.5, rng=torch.Generator().manual_seed(0)).requires_grad_(False)
    v, states = all_pictures(1, 4, 4), all_pooled_states(2, 2, 2, block=2)
    minus_energy = torch.stack([-rbm.energy(v, h.expand(len(v), -1, -1, -1)) for h in states], 1)
    return minus_energy - minus_energy.flatten().logsumexp(0)


def slow_energy(rbm: ConvRBM, v: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """The energy of one picture with loops over every pair of a unit and a pixel under its filter."""
    total = -(v * rbm.b[:, None, None]).sum() if rbm.sigma is None else ((v - rbm.b[:, None, None])**2).sum() / (2 * rbm.sigma**2)
    for k, y, x in h.nonzero().tolist():
        for c in range(rbm.n_channels):
            for i in range(rbm.W.shape[2]):
                for j in range(rbm.W.shape[3]):
                    total = total - rbm.W[k, c, i, j] * v[c, y + i, x + j] / (rbm.sigma or 1.0)**2
        total = total - rbm.c[k]
    return total


@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_the_energy_is_its_formula(sigma, rng):
    rbm = random_conv_rbm(2, 3, 2, sigma=sigma, rng=rng)
    v = torch.rand(4, 2, 5, 3, dtype=torch.float64, generator=rng).round() if sigma is None else torch.randn(4, 2, 5, 3, dtype=torch.float64, generator=rng)
    h = rbm.sample_hidden(v, rng).h
    assert_close(rbm.energy(v, h), torch.stack([slow_energy(rbm, a, b) for a, b in zip(v, h)]), **EXACT)


def test_the_whole_model_sums_to_one_and_free_energy_is_its_marginal(whole, joint):
    v = all_pictures(1, 4, 4)
    assert_close(conv_log_likelihood(whole, v), joint.logsumexp(1), **EXACT)
    assert_close(conv_log_likelihood(whole, v).logsumexp(0), torch.zeros((), dtype=torch.float64), **EXACT)
    assert_close(conv_hidden_log_prob(whole, 4, 4), joint.logsumexp(0), **EXACT)


def test_conditionals_are_those_of_the_whole_model(whole, joint):
    v, states = all_pictures(1, 4, 4), all_pooled_states(2, 2, 2, block=2)
    p_h, p_pool = whole.max_pool(v)
    posterior = torch.softmax(joint, 1)
    assert_close(p_h, torch.einsum("vs,skij->vkij", posterior, states), **EXACT)
    assert_close(p_pool, torch.einsum("vs,sk->vk", posterior, states.sum((2, 3)))[..., None, None], **EXACT)
    assert_close(whole.visible_mean(states), torch.einsum("vs,vcij->scij", torch.softmax(joint, 0), v), **EXACT)


@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_hidden_conditionals_over_several_blocks_filters_and_channels(sigma, rng):
    """2 channels, 2 filters, 2 blocks side by side: 625 hidden states from the energy, block borders included."""
    rbm = random_conv_rbm(2, 2, 2, sigma=sigma, scale=0.7, rng=rng).requires_grad_(False)
    v = torch.randn(3, 2, 3, 5, dtype=torch.float64, generator=rng)
    v = (v > 0).double() if sigma is None else v
    states = all_pooled_states(2, 2, 4, block=2)
    minus_energy = torch.stack([-rbm.energy(x.expand(len(states), -1, -1, -1), states) for x in v])
    p_h, p_pool = rbm.max_pool(v)
    want = torch.einsum("vs,skij->vkij", minus_energy.softmax(1), states)
    assert_close(p_h, want, **EXACT)
    assert_close(p_pool, F.avg_pool2d(want, 2, divisor_override=1), **EXACT)
    assert_close(-rbm.free_energy(v), minus_energy.logsumexp(1), **EXACT)


def planted(rbm: ConvRBM, v: torch.Tensor, mistake: str) -> torch.Tensor:
    W = rbm.W.flip((2, 3)) if mistake == "turned filters on the way up" else rbm.W
    return (1.0 if mistake == "1/sigma² forgotten" else rbm.precision) * F.conv2d(v, W) + rbm.c[:, None, None]


@pytest.mark.parametrize("mistake", ["1/sigma² forgotten", "turned filters on the way up"])
def test_planted_logits_are_not_those_of_the_energy(mistake, rng):
    rbm = random_conv_rbm(1, 1, 2, sigma=SIGMA, rng=rng).requires_grad_(False)
    v, off = torch.randn(1, 1, 3, 3, dtype=torch.float64, generator=rng), torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    on = off.clone()
    on[0, 0, 0, 1] = 1
    want = (rbm.energy(v, off) - rbm.energy(v, on)).item()  # the log odds of one unit against all off
    assert rbm.hidden_logits(v)[0, 0, 0, 1].item() == pytest.approx(want, abs=1e-12)
    assert abs(planted(rbm, v, mistake)[0, 0, 0, 1].item() - want) > 0.05


def test_the_way_down_is_the_adjoint_of_the_way_up(rng):
    """<Av, h> = <v, Aᵀh>; with unturned filters on the way down it is not."""
    rbm = random_conv_rbm(3, 2, 3, rng=rng).requires_grad_(False)
    v, h = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=rng), torch.randn(2, 2, 4, 6, dtype=torch.float64, generator=rng)
    up = (F.conv2d(v, rbm.W) * h).sum()
    assert_close((v * rbm.visible_input(h)).sum(), up, **EXACT)
    unturned = F.conv2d(F.pad(h, [2] * 4), rbm.W.transpose(0, 1))
    assert abs((v * unturned).sum() - up) > 1


def test_gaussian_log_z_and_moments_against_quadrature(rng):
    """A 2 x 2 picture is too many axes for a grid; one pixel is enough: filter 1 x 1, block 1."""
    rbm = random_conv_rbm(1, 2, 1, block=1, sigma=SIGMA, rng=rng).requires_grad_(False)
    v = torch.linspace(-12, 12, 40_001, dtype=torch.float64).view(-1, 1, 1, 1)
    step = (v[1] - v[0]).item()
    assert_close(conv_log_partition(rbm, 1, 1), (-rbm.free_energy(v)).logsumexp(0) + torch.log(torch.tensor(step, dtype=torch.float64)), atol=1e-9, rtol=0)
    for h in all_pooled_states(2, 1, 1, block=1):
        p = torch.softmax(-rbm.energy(v, h.expand(len(v), -1, -1, -1)), 0)
        mean = (p * v.flatten()).sum()
        assert_close(rbm.visible_mean(h[None]).flatten()[0], mean, atol=1e-9, rtol=0)
        assert_close((p * (v.flatten() - mean)**2).sum().sqrt().item(), SIGMA, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_a_gibbs_sweep_leaves_the_hidden_marginal_invariant(sigma, rng):
    rbm, n = random_conv_rbm(1, 1, 2, sigma=sigma, scale=0.6, rng=rng).requires_grad_(False), 30_000
    states, p = all_pooled_states(1, 2, 4, block=2), conv_hidden_log_prob(rbm, 3, 5).exp()
    h = states[torch.multinomial(p, n, replacement=True, generator=rng)]
    after = rbm.sample_hidden(rbm.sample_visible(h, rng), rng).h
    index = (after.flatten(1) @ (2.0 ** torch.arange(8, dtype=torch.float64)))
    order = (states.flatten(1) @ (2.0 ** torch.arange(8, dtype=torch.float64)))
    counts = (index[:, None] == order).double().sum(0)
    assert counts.sum() == n
    assert ((counts - n * p)**2 / (n * p)).sum() < len(p) - 1 + 4.5 * (2 * (len(p) - 1))**0.5


def test_shifting_the_picture_shifts_the_maps(rng):
    rbm, v = random_conv_rbm(1, 2, 3, rng=rng), torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=rng)
    up, shifted = rbm.hidden_logits(v), rbm.hidden_logits(v.roll((2, 2), (2, 3)))
    assert_close(shifted[..., 2:, 2:], up[..., :-2, :-2], **EXACT)


def test_two_units_of_a_block_have_no_energy(rng):
    rbm = ConvRBM(1, 1, 2).double()
    with pytest.raises(ValueError, match="ConvRBM.energy: two units of one block are on, expected at most one: .*; draw h by sample_hidden"):
        rbm.energy(torch.zeros(1, 1, 3, 3, dtype=torch.float64), torch.ones(1, 1, 2, 2, dtype=torch.float64))


@pytest.mark.parametrize("height, width", [(4, 5), (5, 4), (2, 7)])
def test_pictures_whose_maps_do_not_divide_are_refused_with_the_size_that_fits(height, width, rng):
    with pytest.raises(ValueError, match=f"pictures are {height} x {width}, their maps .* expected a multiple of 2 .*; crop or pad the pictures to 2 \\+ a multiple of 2"):
        ConvRBM(1, 1, 3).hidden_logits(torch.zeros(1, 1, height, width))
