"""Pathwise and score-function gradients: right in the mean where they should be, wrong where they must be, with the variances promised."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.gradient_estimators import QuadraticToy, pathwise_gradients, score_gradients

F64, N = torch.float64, 200_000
MU, LOG_SIGMA = torch.tensor([0.3, -1.0, 0.5], dtype=F64), torch.tensor([-0.5, 0.2, -1.5], dtype=F64)
TOY = QuadraticToy(torch.tensor([1.0, 0.0, -0.4], dtype=F64))
ESTIMATORS = {
    "pathwise": pathwise_gradients,
    "score": score_gradients,
    "score, baseline -1.5": lambda *a, **k: score_gradients(*a, baseline=-1.5, **k),
    "score, others": lambda *a, **k: score_gradients(*a, baseline="others", **k),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def worst_z(draws, exact) -> float:
    """The largest |mean - exact| in standard errors, over all parameters."""
    return max(((d.mean(0) - e).abs() / (d.std(0) / len(d) ** 0.5)).max().item() for d, e in zip(draws, exact))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_mean_is_the_exact_gradient_within_its_standard_error(name):
    draws = ESTIMATORS[name](TOY, MU, LOG_SIGMA, n_samples=N, rng=generator())
    assert draws.mu.shape == draws.log_sigma.shape == (N, 3)
    assert worst_z(draws, TOY.gradient(MU, LOG_SIGMA)) < 4
    for part, limit in zip(draws, (0.05, 0.05)):
        assert (part.std(0) / N**0.5).max() < limit  # else anything would pass


def test_the_exact_gradient_is_the_slope_of_the_exact_expectation():
    mu, log_sigma = MU.clone().requires_grad_(), LOG_SIGMA.clone().requires_grad_()
    assert_close(torch.autograd.grad(TOY.expectation(mu, log_sigma), (mu, log_sigma)), tuple(TOY.gradient(MU, LOG_SIGMA)), atol=1e-12, rtol=0)


def test_the_exact_expectation_is_the_mean():
    g = generator()
    values = TOY(MU + LOG_SIGMA.exp() * torch.randn(N, 3, generator=g, dtype=F64))
    assert (values.mean() - TOY.expectation(MU, LOG_SIGMA)).abs() < 4 * values.std() / N**0.5


@pytest.mark.parametrize("name, variance", [
    ("pathwise", TOY.pathwise_variance(MU, LOG_SIGMA)),
    ("score", TOY.score_variance(MU, LOG_SIGMA)),
    ("score, baseline -1.5", TOY.score_variance(MU, LOG_SIGMA, baseline=-1.5)),
], ids=["pathwise", "score", "baseline"])
def test_the_variance_is_the_exact_one(name, variance):
    draws = ESTIMATORS[name](TOY, MU, LOG_SIGMA, n_samples=N, rng=generator(1)).mu
    squares = (draws - TOY.gradient(MU, LOG_SIGMA).mu) ** 2
    assert ((squares.mean(0) - variance).abs() < 4 * squares.std(0) / N**0.5).all()
    assert (squares.std(0) / N**0.5 / variance).max() < 0.03


@pytest.mark.parametrize("name", ESTIMATORS)
def test_few_draws_are_right_in_the_mean_too(name):
    """A baseline that sees its own draw would shrink the gradient by a third."""
    g = generator()
    means = [torch.stack([part.mean(0) for part in ESTIMATORS[name](TOY, MU, LOG_SIGMA, n_samples=3, rng=g)]) for _ in range(8_000)]
    assert worst_z(torch.stack(means).unbind(1), TOY.gradient(MU, LOG_SIGMA)) < 4


def test_a_constant_is_its_own_baseline():
    draws = score_gradients(lambda z: torch.full_like(z[:, 0], 5.0), MU, LOG_SIGMA, n_samples=4, baseline="others", rng=generator())
    assert draws.mu.abs().max() < 1e-14 and draws.log_sigma.abs().max() < 1e-14


def test_a_baseline_saves_variance_and_pathwise_saves_more():
    plain, helped = TOY.score_variance(MU, LOG_SIGMA), TOY.score_variance(MU, LOG_SIGMA, baseline=TOY.expectation(MU, LOG_SIGMA).item())
    assert (TOY.pathwise_variance(MU, LOG_SIGMA) < helped).all() and (helped < plain).all()


def test_across_a_step_only_the_score_function_is_right():
    mu, log_sigma = torch.tensor([0.4], dtype=F64), torch.tensor([0.0], dtype=F64)
    exact = math.exp(-0.5 * 0.4**2) / math.sqrt(2 * math.pi)  # slope of P(z > 0) in mu
    step = lambda z: (z[:, 0] > 0).double()
    draws = score_gradients(step, mu, log_sigma, n_samples=N, rng=generator()).mu
    assert (draws.mean() - exact).abs() < 4 * draws.std() / N**0.5
    sloped = lambda z: step(z) + 0 * z.sum(1)
    assert pathwise_gradients(sloped, mu, log_sigma, n_samples=100, rng=generator()).mu.abs().max() == 0
    with pytest.raises(ValueError, match="autograd"):
        pathwise_gradients(step, mu, log_sigma, n_samples=100, rng=generator())


def test_parameters_of_f_get_no_gradient():
    weight = torch.ones(3, dtype=F64, requires_grad=True)
    pathwise_gradients(lambda z: z @ weight, MU, LOG_SIGMA, n_samples=4, rng=generator())
    score_gradients(lambda z: z @ weight, MU, LOG_SIGMA, n_samples=4, rng=generator())
    assert weight.grad is None


@pytest.mark.parametrize("function", [pathwise_gradients, score_gradients], ids=["pathwise", "score"])
def test_a_function_of_another_shape_is_refused(function):
    with pytest.raises(ValueError, match=r"f\(z\) is \(5, 3\), expected \(5,\)"):
        function(lambda z: z**2, MU, LOG_SIGMA, n_samples=5, rng=generator())
