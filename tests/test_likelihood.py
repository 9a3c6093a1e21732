"""likelihood.py: log-likelihoods against sums over all states, quadrature and torch.distributions; bits against nats."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import all_states, bernoulli_log_likelihood, bits_per_dim
from deepgen_lib.likelihood import discretised_logistic_log_likelihood, normal_log_likelihood

EXACT = dict(rtol=0, atol=1e-10)


def test_bernoulli_probabilities_sum_to_one_over_all_states(rng):
    for logits in 3 * torch.randn(5, 6, dtype=torch.float64, generator=rng):
        assert_close(bernoulli_log_likelihood(all_states(6), logits).exp().sum().item(), 1.0, **EXACT)


def test_bernoulli_is_the_sum_over_units_written_out(rng):
    x, logits = torch.bernoulli(torch.full((4, 3, 5), 0.5, dtype=torch.float64), generator=rng), torch.randn(3, 5, dtype=torch.float64, generator=rng)
    p = torch.sigmoid(logits)
    want = torch.where(x == 1, p.log(), (1 - p).log()).sum(-1)
    got = bernoulli_log_likelihood(x, logits)
    assert got.shape == (4, 3)
    assert_close(got, want, **EXACT)


def test_bernoulli_survives_certain_logits():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert_close(bernoulli_log_likelihood(x, torch.tensor([800.0, -800.0], dtype=torch.float64)), torch.tensor([0.0, -1600.0], dtype=torch.float64), **EXACT)


def test_the_slope_in_the_logits_is_data_minus_probability(rng):
    x, logits = all_states(3), torch.randn(3, dtype=torch.float64, generator=rng, requires_grad=True)
    slope, = torch.autograd.grad(bernoulli_log_likelihood(x, logits).sum(), logits)
    assert_close(slope, (x - torch.sigmoid(logits)).sum(0).detach(), **EXACT)


def test_the_normal_integrates_to_one_and_agrees_with_torch(rng):
    mu, log_sigma = torch.randn(2, 4, dtype=torch.float64, generator=rng)
    x = torch.randn(7, 4, dtype=torch.float64, generator=rng)
    assert_close(normal_log_likelihood(x, mu, log_sigma), torch.distributions.Normal(mu, log_sigma.exp()).log_prob(x).sum(-1), **EXACT)
    grid = torch.linspace(-40, 40, 80_001, dtype=torch.float64)[:, None]
    density = normal_log_likelihood(grid, torch.tensor([1.0]).double(), torch.tensor([0.5]).double()).exp()
    assert_close(torch.trapezoid(density, grid[:, 0]).item(), 1.0, **EXACT)


def test_bits_per_dim_counts_coin_flips():
    """A fair coin per pixel costs one bit per pixel, whatever their number."""
    for n in (1, 784):
        nats = -bernoulli_log_likelihood(torch.ones(2, n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64))
        assert_close(bits_per_dim(nats, n), torch.ones(2, dtype=torch.float64), **EXACT)
    assert_close(bits_per_dim(torch.tensor([784 * math.log(2) / 2]), 784), torch.tensor([0.5]))


X, L = torch.ones(2, 3), torch.zeros(3)


@pytest.mark.parametrize("call, message", [
    (lambda: bernoulli_log_likelihood(X / 2, L), "bernoulli_log_likelihood: x has values other than 0 and 1.*binarise"),
    (lambda: bernoulli_log_likelihood(X, L[:2]), "x has 3 columns and logits has 2"),
    (lambda: bernoulli_log_likelihood(X.double(), L), "x is torch.float64 and logits is torch.float32"),
    (lambda: bernoulli_log_likelihood(X, L / 0), "logits contains NaN"),
    (lambda: bernoulli_log_likelihood(X[:0], L), "x has shape \\(0, 3\\)"),
    (lambda: bernoulli_log_likelihood(X.bool(), L), "x is torch.bool, expected floating point"),
    (lambda: normal_log_likelihood(X, L, L[:1]), "normal_log_likelihood: x has 3 columns and log_sigma has 1"),
    (lambda: bits_per_dim(L, 0), "bits_per_dim: n_dims is 0"),
    (lambda: bits_per_dim(3.0, 2), "bits_per_dim: nats is float, expected a torch.Tensor"),
], ids=["grey", "columns", "dtype", "nan", "empty", "bool", "sigma", "dims", "number"])
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("mu", [-5.0, -0.1, 0.0, 0.3, 0.5, 1.0, 1.3, 40.0])
@pytest.mark.parametrize("log_scale", [-12.0, -7.0, -3.0, -1.0, 0.0, 3.0])
def test_the_256_grey_levels_of_the_logistic_sum_to_one(mu, log_scale):
    levels = torch.arange(256, dtype=torch.float64)[:, None] / 255
    log_p = discretised_logistic_log_likelihood(levels, *(torch.tensor([value], dtype=torch.float64) for value in (mu, log_scale)))
    assert torch.isfinite(log_p).all() and abs(log_p.exp().sum().item() - 1) < 1e-10


def test_a_grey_level_has_the_mass_between_its_edges_and_the_ends_are_open(rng):
    x = torch.tensor([[0.0, 3 / 255, 128 / 255, 1.0]], dtype=torch.float64)
    mu, log_scale = torch.rand(5, 4, dtype=torch.float64, generator=rng), torch.randn(5, 4, dtype=torch.float64, generator=rng) - 2
    low, high = (x - 0.5 / 255).masked_fill(x == 0, -math.inf), (x + 0.5 / 255).masked_fill(x == 1, math.inf)
    mass = torch.sigmoid((high - mu) / log_scale.exp()) - torch.sigmoid((low - mu) / log_scale.exp())
    assert_close(discretised_logistic_log_likelihood(x, mu, log_scale), mass.log().sum(-1), rtol=1e-9, atol=1e-10)


def test_the_logistic_keeps_its_digits_far_out_where_the_difference_of_sigmoids_is_zero():
    x, mu, log_scale = (torch.tensor([value], dtype=torch.float64) for value in (200 / 255, -3.0, -6.0))
    s = math.exp(-6)
    want = -(200 / 255 + 0.5 / 255 + 3) / s + math.log(math.expm1(1 / 255 / s))  # the tail is exponential: e^-a - e^-b
    assert_close(discretised_logistic_log_likelihood(x, mu, log_scale).item(), want, rtol=1e-12, atol=0)


def test_the_slope_of_the_logistic_is_finite_and_right(rng):
    x = torch.tensor([[0.0, 17 / 255, 1.0]], dtype=torch.float64)
    mu, log_scale = (torch.randn(2, 3, dtype=torch.float64, generator=rng, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda m, s: discretised_logistic_log_likelihood(x, m, s), (mu, log_scale))
