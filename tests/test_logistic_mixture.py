"""The discretised logistic mixture: its levels' probabilities sum to one, its bins are the logistic's, its draws follow it."""
import math

import pytest
import torch

from deepgen_lib.logistic_mixture import logistic_mixture_log_likelihood, logistic_mixture_mean, mixture_channels, sample_logistic_mixture

F64 = torch.float64


def random_parameters(n, n_channels, k, rng, *, spread=1.0):
    return spread * torch.randn(n, mixture_channels(n_channels, k), 1, 1, dtype=F64, generator=rng)


def all_levels(n_levels=256):
    return torch.arange(n_levels, dtype=F64) / (n_levels - 1)


@pytest.mark.parametrize("n_levels", [2, 32, 256])
@pytest.mark.parametrize("spread", [0.1, 1.0, 8.0])
def test_the_levels_of_grey_sum_to_one(n_levels, spread, rng):
    """Also where a scale is at its floor and a mean far outside."""
    for parameters in random_parameters(5, 1, 4, rng, spread=spread).split(1):
        x = all_levels(n_levels).view(-1, 1, 1, 1)
        log_p = logistic_mixture_log_likelihood(x, parameters.expand(n_levels, -1, -1, -1), n_mixtures=4, n_levels=n_levels)
        assert log_p.isfinite().all() and abs(log_p.exp().sum() - 1) < 1e-12


def test_the_colours_sum_to_one(rng):
    """All 6³ colours of six levels: the coefficients lead green and blue without leaking mass."""
    levels, parameters = all_levels(6), random_parameters(1, 3, 3, rng, spread=2.0)
    x = torch.cartesian_prod(levels, levels, levels).view(-1, 3, 1, 1)
    log_p = logistic_mixture_log_likelihood(x, parameters.expand(len(x), -1, -1, -1), n_mixtures=3, n_levels=6)
    assert abs(log_p.exp().sum() - 1) < 1e-12
    parameters[:, 3 + 18:] = 0
    unled = logistic_mixture_log_likelihood(x, parameters.expand(len(x), -1, -1, -1), n_mixtures=3, n_levels=6)
    assert (unled - log_p).abs().max() > 0.1, "the coefficients matter"


def test_a_bin_holds_the_logistics_mass():
    """One component: sigmoid at the bin's upper edge minus at its lower, on [-1, 1]."""
    mu, s, x = 0.2, 0.05, 150 / 255
    parameters = torch.tensor([0.0, mu, math.log(s)], dtype=F64).view(1, 3, 1, 1)
    got = logistic_mixture_log_likelihood(torch.tensor(x, dtype=F64).view(1, 1, 1, 1), parameters, n_mixtures=1)
    cdf = lambda value: 1 / (1 + math.exp(-(value - mu) / s))
    centre = 2 * x - 1
    assert got.item() == pytest.approx(math.log(cdf(centre + 1 / 255) - cdf(centre - 1 / 255)), abs=1e-10)
    assert got.item() != pytest.approx(math.log(cdf(centre + 1 / 510) - cdf(centre - 1 / 510)), abs=1e-3), "a bin half as wide would be seen"


def test_pixels_add_up_and_pictures_do_not_mix(rng):
    x = torch.randint(0, 256, (3, 1, 2, 2), generator=rng).to(F64) / 255
    parameters = torch.randn(3, 6, 2, 2, dtype=F64, generator=rng)
    whole = logistic_mixture_log_likelihood(x, parameters, n_mixtures=2)
    parts = sum(logistic_mixture_log_likelihood(x[:, :, i:i + 1, j:j + 1], parameters[:, :, i:i + 1, j:j + 1], n_mixtures=2) for i in range(2) for j in range(2))
    torch.testing.assert_close(whole, parts)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_draws_follow_the_probabilities(n_channels, rng):
    n, n_levels = 20_000, 4
    parameters = random_parameters(1, n_channels, 2, rng)
    drawn = sample_logistic_mixture(parameters.expand(n, -1, -1, -1), n_channels=n_channels, n_mixtures=2, n_levels=n_levels, rng=rng)
    states = torch.cartesian_prod(*[all_levels(n_levels)] * n_channels).view(-1, n_channels, 1, 1)
    p = logistic_mixture_log_likelihood(states, parameters.expand(len(states), -1, -1, -1), n_mixtures=2, n_levels=n_levels).exp()
    digits = (drawn[:, :, 0, 0] * (n_levels - 1)).round().long()
    seen = torch.bincount((digits * n_levels ** torch.arange(n_channels - 1, -1, -1)).sum(1), minlength=len(states)) / n
    assert (seen - p).abs().sum() < 2 * (p * (1 - p) / n).sqrt().sum()
    assert (seen - p.flip(0)).abs().sum() > 4 * (p * (1 - p) / n).sqrt().sum()


def test_the_mean_is_the_mean_of_the_draws(rng):
    """Narrow components inside the range: cutting into levels moves nothing."""
    parameters = random_parameters(1, 3, 2, rng, spread=0.3)
    parameters[:, 2 + 6:2 + 12] = -5.0
    drawn = sample_logistic_mixture(parameters.expand(20_000, -1, -1, -1), n_channels=3, n_mixtures=2, rng=rng)
    error = drawn.std(0) / 20_000**0.5
    assert ((drawn.mean(0) - logistic_mixture_mean(parameters, n_channels=3, n_mixtures=2)[0]).abs() < 4 * error).all()


def test_gradients_are_those_of_finite_differences(rng):
    x = torch.tensor([0.0, 31.0, 200.0, 255.0], dtype=F64).view(4, 1, 1, 1) / 255
    parameters = random_parameters(4, 1, 2, rng).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: logistic_mixture_log_likelihood(x, p, n_mixtures=2), (parameters,))


def test_float32_survives_the_floor():
    """A scale at the floor, the pixel far away: finite in float32, and with a finite gradient."""
    parameters = torch.tensor([0.0, -1.0, -20.0]).view(1, 3, 1, 1).requires_grad_()
    log_p = logistic_mixture_log_likelihood(torch.full((1, 1, 1, 1), 200 / 255), parameters, n_mixtures=1)
    log_p.sum().backward()
    assert log_p.isfinite().all() and parameters.grad.isfinite().all() and log_p < -1000
