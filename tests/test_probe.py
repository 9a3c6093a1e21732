"""probe.py: closed forms, Newton's method as an independent minimiser, and the optimality conditions of the ridge."""
import time

import pytest
import torch
from torch.nn.functional import one_hot
from torch.testing import assert_close

from deepgen_lib.probe import linear_probe

F64 = torch.float64


def problem(rng, n=60, n_features=4, n_classes=3):
    """Features with means far from 0, labels that depend on them."""
    x = torch.randn(n, n_features, dtype=F64, generator=rng) + torch.arange(n_features, dtype=F64)
    truth = torch.randn(n_features, n_classes, dtype=F64, generator=rng)
    return x, (x @ truth + torch.randn(n, n_classes, dtype=F64, generator=rng)).argmax(1)


def probe(x, y, **options):
    return linear_probe(x, y, test_features=x, test_labels=y, **options)


def objective(x, y, W, b, weight_decay):
    """J, from the definition."""
    return -torch.log_softmax(x @ W + b, 1)[torch.arange(len(y)), y].mean() + weight_decay / 2 * W.square().sum()


def test_without_information_the_bias_gives_the_class_frequencies():
    y = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    result = probe(torch.full((10, 2), 7.0, dtype=F64), y)
    assert_close(torch.softmax(torch.full((2,), 7.0, dtype=F64) @ result.W + result.b, 0), torch.tensor([0.5, 0.3, 0.2], dtype=F64), rtol=0, atol=1e-8)
    assert result.error == result.train_error == 0.5


def test_the_bias_is_free_and_the_weights_are_not():
    """A huge penalty takes the weights away and leaves the frequencies."""
    x, y = torch.randn(10, 2, dtype=F64), torch.tensor([0] * 7 + [1] * 3)
    result = probe(x, y, weight_decay=1e6)
    assert result.W.abs().max() < 1e-5
    assert_close(torch.softmax(result.b, 0), torch.tensor([0.7, 0.3], dtype=F64), rtol=0, atol=1e-5)


def test_two_points_have_a_closed_form():
    """x = ±1 with classes 0 and 1: W = (w, -w), and the slope of J says weight_decay w = sigma(-2w) / 1."""
    result = probe(torch.tensor([[1.0], [-1.0]], dtype=F64), torch.tensor([0, 1]), weight_decay=0.1)
    w = result.W[0, 0]
    assert_close(result.W[0, 1], -w)
    assert_close(0.1 * w, torch.sigmoid(-2 * w), rtol=0, atol=1e-8)
    assert_close(result.b, torch.zeros(2, dtype=F64), rtol=0, atol=1e-8)


@pytest.mark.parametrize("weight_decay", [1.0, 0.01])
def test_it_is_the_minimum_that_newtons_method_finds(weight_decay, rng):
    x, y = problem(rng)
    result = probe(x, y, weight_decay=weight_decay)
    shape, n = result.W.shape, result.W.numel()
    theta = torch.zeros(n + 3, dtype=F64)
    split = lambda t: (t[:n].view(shape), torch.cat([t[n:n + 2], -t[n:n + 2].sum()[None]]))  # b sums to zero: J does not see its sum
    theta = theta[:n + 2]
    J = lambda t: objective(x, y, *split(t), weight_decay)
    for _ in range(15):
        theta = theta - torch.linalg.solve(torch.autograd.functional.hessian(J, theta), torch.autograd.functional.jacobian(J, theta))
    W, b = split(theta)
    assert_close(result.W, W, rtol=0, atol=1e-6)
    assert_close(result.b - result.b.mean(), b, rtol=0, atol=1e-5)


def test_at_the_end_both_slopes_are_zero(rng):
    x, y = problem(rng, n_classes=5)
    W, b = (t.clone().requires_grad_(True) for t in probe(x, y, weight_decay=0.05)[2:4])
    objective(x, y, W, b, 0.05).backward()
    assert W.grad.abs().max() < 1e-7 and b.grad.abs().max() < 1e-7


def test_moving_the_features_moves_nothing_but_the_bias(rng):
    x, y = problem(rng)
    plain, moved = probe(x, y), probe(x + 100, y)
    assert_close(moved.W, plain.W, rtol=0, atol=1e-6)
    assert moved.train_error == plain.train_error


def test_errors_are_counted_on_the_right_set(rng):
    x, y = problem(rng)
    other = (y + 1) % 3
    result = linear_probe(x, y, test_features=x, test_labels=other, weight_decay=0.01)
    wrong = (x @ result.W + result.b).argmax(1) != y
    assert result.train_error == wrong.double().mean().item() < 0.3 and result.error > 0.7
    assert torch.equal(result.predict(x) != y, wrong)


def test_the_slope_tells_of_a_run_that_was_cut_short(rng):
    x, y = problem(rng)
    assert probe(x, y, n_steps=1).slope > 1e-3 > 1e-8 > probe(x, y).slope


def test_single_precision_comes_close(rng):
    x, y = problem(rng)
    assert_close(probe(x.float(), y, weight_decay=0.1).W.double(), probe(x, y, weight_decay=0.1).W, rtol=0, atol=2e-3)


def test_nothing_is_changed_and_nothing_is_random(rng):
    x, y = problem(rng)
    x.requires_grad_(True)
    one, two = probe(x, y), probe(x, y)
    assert torch.equal(one.W, two.W) and x.grad is None and not one.W.requires_grad


def test_one_feature_and_two_classes(rng):
    y = torch.tensor([0, 0, 1, 1])
    assert probe(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), y).W.shape == (1, 2)


def test_ten_thousand_examples_take_seconds():
    """500 features of 10 noisy classes: fast enough for a lecture; the limit leaves room for a busy machine."""
    rng = torch.Generator().manual_seed(0)
    y = torch.randint(10, (10_000,), generator=rng)
    x = torch.sigmoid(one_hot(y, 10).float() @ torch.randn(10, 500, generator=rng) + 4 * torch.randn(10_000, 500, generator=rng))
    start = time.process_time()
    result = probe(x, y)
    assert time.process_time() - start < 20 and result.train_error < 0.2
