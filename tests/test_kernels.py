"""The tuned CPU paths against their definitions: softplus, half a Gibbs step with its noise, the update of the weights."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import gibbs_half_step, sum_softplus
from deepgen_lib.kernels import noise
from deepgen_lib.kernels.cd_update import Phases, apply_phases, apply_phases_reference
from deepgen_lib.kernels.gibbs import draw, gibbs_half_step_reference, half_step, probabilities
from deepgen_lib.kernels.noise import compare, scaled_noise
from deepgen_lib.kernels.softplus import sum_softplus_reference


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (7, 1025), (2, 3, 5)], ids=str)
def test_sum_softplus_is_its_definition_and_so_is_its_gradient(shape, rng):
    x = (20 * torch.randn(shape, generator=rng, dtype=torch.float64)).requires_grad_()
    upstream = torch.randn(shape[:-1], generator=rng, dtype=torch.float64)
    y, exact = sum_softplus(x), (1 + x.exp()).log().sum(-1)
    assert_close(y, exact, rtol=1e-10, atol=1e-10)
    assert_close(torch.autograd.grad(y, x, upstream)[0], upstream[..., None] * torch.sigmoid(x))


def test_the_gradient_of_softplus_can_be_differentiated_again_and_taken_row_by_row(rng):
    x = torch.randn(3, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sum_softplus, x) and torch.autograd.gradgradcheck(sum_softplus, x)
    rows = torch.func.vmap(torch.func.grad(sum_softplus))(x.detach())
    assert_close(rows, torch.sigmoid(x.detach()), rtol=0, atol=1e-12)


def test_softplus_neither_overflows_nor_switches_to_the_identity():
    x = torch.tensor([[1000.0], [-1000.0], [21.0]], dtype=torch.float64)
    assert_close(sum_softplus_reference(x), torch.tensor([1000.0, 0.0, 21 + 7.582560428e-10], dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 5, 7), (10, 13, 6)], ids=str)
def test_half_step_is_its_definition_on_the_same_uniforms(sizes, dtype, rng):
    B, V, H = sizes
    v, W = torch.rand(B, V, generator=rng).round().to(dtype), torch.randn(V, H, generator=rng).to(dtype)
    bias = torch.randn(H, generator=rng).to(dtype)
    state = rng.get_state()
    got = half_step(v, W, bias, rng)
    rng.set_state(state)
    u = (scaled_noise(got.shape, rng).double() + 32768) / 65536 if dtype == torch.float32 else torch.empty_like(got).uniform_(generator=rng)
    assert torch.equal(got.double(), gibbs_half_step_reference(v.double(), W.double(), bias.double(), u))


def test_half_step_runs_downwards_too(rng):
    h, W = torch.rand(4, 3, generator=rng).round(), torch.randn(5, 3, generator=rng)
    assert gibbs_half_step(h, W.T, torch.zeros(5), rng).shape == (4, 5)


def test_draw_keeps_the_probabilities(rng):
    p = torch.rand(5, 6, generator=rng)
    before = p.clone()
    assert set(draw(p, rng).unique().tolist()) <= {0.0, 1.0} and torch.equal(p, before)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 100)], ids=str)
def test_noise_is_in_range_and_exact_in_float32(shape, rng):
    numbers = scaled_noise(torch.Size(shape), rng)
    assert numbers.min() >= -32768 and numbers.max() < 32768
    assert torch.equal(numbers * 512, (numbers * 512).round())


@pytest.mark.parametrize("column", range(4))
def test_every_lane_of_a_word_is_uniform(column, rng):
    """Lane 3 holds the sign bit of the word: a 63-bit draw would halve its range."""
    u = (scaled_noise(torch.Size((250_000, 4)), rng)[:, column].double() + 32768) / 65536
    counts = torch.histc(u, 50, 0, 1)
    chi_square = ((counts - 5000) ** 2 / 5000).sum().item()
    assert chi_square < 49 + 5 * (2 * 49) ** 0.5


def test_small_probabilities_fire_as_often_as_they_should(rng):
    """p far below 2^-16 still fires, thanks to the shared lower bits: 100,000 draws of 200 fresh columns each."""
    p, fired = 3e-6, 0.0
    for _ in range(100):
        fired += compare(torch.full((1000, 200), p), rng).sum().item()
    expected = 100 * 1000 * 200 * p  # 60; columns share their lower bits, which widens the spread a little
    assert abs(fired - expected) < 5 * (2 * expected) ** 0.5


def test_zero_never_fires_and_one_always_does(rng):
    assert compare(torch.zeros(1000, 1000), rng).sum() == 0
    assert compare(torch.ones(1000, 1000), rng).sum() == 1_000_000


def test_zero_does_not_fire_at_the_lowest_number_there_is(rng, monkeypatch):
    monkeypatch.setattr(noise, "scaled_noise", lambda shape, rng: torch.full(shape, -32768.0))
    assert compare(torch.zeros(3, 4), rng).sum() == 0


def test_rows_are_independent_enough(rng):
    """Two chains of the same unit: correlation within the Monte-Carlo floor."""
    a, b = (scaled_noise(torch.Size((2, 400_000)), rng) / 32768).double()
    assert (a * b).mean().abs() < 5 * (1 / 3) / 400_000**0.5


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_the_update_is_its_definition(momentum, decay, rng):
    W, velocity = torch.randn(5, 3, generator=rng), torch.randn(5, 3, generator=rng)
    phases = Phases(*(torch.rand(n, k, generator=rng) for n, k in ((4, 5), (4, 3), (7, 5), (7, 3))))
    want_W, want_velocity = apply_phases_reference(W, velocity, phases, 0.2, momentum, decay)
    apply_phases(W, velocity, phases, 0.2, momentum, decay)
    assert_close(W, want_W)
    assert_close(velocity, want_velocity)


def test_probabilities_do_not_touch_their_input(rng):
    v, W = torch.rand(4, 5, generator=rng), torch.randn(5, 3, generator=rng)
    before = v.clone()
    assert_close(probabilities(v, W, torch.zeros(3)), torch.sigmoid(v @ W))
    assert torch.equal(v, before)
