"""Normals by counter, and the residual normal's draw and KL in one go on the CPU: against the definitions, as a sampler, and its gradients."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.kernels.code_totals import code_totals, code_totals_reference
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.counter_normal import PIECE, counter_normal, counter_normal_reference
from deepgen_lib.kernels.residual_normal_sample import residual_normal_sample, residual_normal_sample_reference
from deepgen_lib.residual_normal import ResidualNormal

CPU = torch.device("cpu")


@pytest.mark.parametrize("n", [0, 1, 7, 1000, 4 * PIECE + 9])
def test_the_quick_normals_are_the_definitions(n, rng):
    clock = new_clock(rng, CPU) + torch.tensor([0, 2**31 + 3])
    assert_close(counter_normal(clock, n), counter_normal_reference(clock, n), rtol=0, atol=2e-6)


def test_a_shorter_stream_is_the_beginning_of_a_longer_one(rng):
    clock = new_clock(rng, CPU)
    assert torch.equal(counter_normal(clock, 1001), counter_normal(clock, 5000)[:1001])


def test_other_seeds_and_steps_give_other_numbers():
    streams = torch.stack([counter_normal(torch.tensor(clock), 50_000) for clock in ([0, 0], [0, 1], [1, 0], [2**40, 0], [-1, 0], [0, 2**31])]).double()
    products = streams @ streams.T / 50_000
    assert (products - torch.eye(6)).abs().max() < 5 * math.sqrt(2 / 50_000)  # of variances, 5 standard errors


@pytest.mark.parametrize("lane", range(4))
def test_every_lane_is_normal(lane, rng):
    """Chi-square over 40 intervals of equal probability; the four lanes leave Box and Muller's formula in different places."""
    x = counter_normal(new_clock(rng, CPU), 800_000)[lane::4].double()
    counts = torch.histc(torch.special.ndtr(x), 40, 0, 1)
    assert ((counts - 5000)**2 / 5000).sum() < 39 + 5 * math.sqrt(2 * 39)


def test_neighbours_are_uncorrelated_even_in_size(rng):
    x = counter_normal(new_clock(rng, CPU), 400_000).double().view(-1, 4)
    for y in (x, x.square() - 1):
        correlation = torch.corrcoef(y.T) - torch.eye(4)
        assert correlation.abs().max() < 5 / math.sqrt(100_000)


def case(shape, rng, dtype):
    return [0.7 * torch.randn(shape, generator=rng).to(dtype) for _ in range(4)], new_clock(rng, CPU), [torch.randn(shape, generator=rng) for _ in range(2)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 3, 4, 4), (0, 4), (1001,)], ids=str)
def test_draw_kl_and_gradients_are_the_definitions(shape, dtype, rng):
    inputs, clock, upstream = case(shape, rng, dtype)
    results = []
    for function in (residual_normal_sample, residual_normal_sample_reference):
        given = [x.clone().requires_grad_() for x in inputs]
        draw = function(*given, clock=clock)
        results.append([*draw, *torch.autograd.grad(draw, given, [u.to(d.dtype) for u, d in zip(upstream, draw)])])
    for got, want in zip(*results):
        assert_close(got, want, rtol=2**-7 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)


def test_it_is_residual_normals_draw_and_kl_with_this_noise(rng):
    inputs, clock, _ = case((6, 7), rng, torch.float64)
    draw, r = residual_normal_sample(*inputs, clock=clock), ResidualNormal(*inputs)
    assert_close(draw.z, r.draw(counter_normal_reference(clock, 42).view(6, 7).double()), rtol=1e-5, atol=1e-5)
    assert_close(draw.kl, r.kl(), rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_differences(rng):
    inputs, clock, _ = case((2, 3), rng, torch.float64)
    assert torch.autograd.gradcheck(lambda *x: tuple(residual_normal_sample(*x, clock=clock)), [x.requires_grad_() for x in inputs])


def test_a_prior_that_is_broadcast_gets_the_sum_of_its_gradients(rng):
    (mu, log_sigma, delta_mu, delta_log_sigma), clock, (up, _) = case((5, 4), rng, torch.float32)
    mu = mu[:1].requires_grad_()
    z = residual_normal_sample(mu, torch.zeros(()), delta_mu, delta_log_sigma, clock=clock).z
    assert z.shape == (5, 4)
    assert_close(torch.autograd.grad(z, mu, up)[0], up.sum(0, keepdim=True))


def test_a_clock_that_moves_before_backward_is_an_error(rng):
    inputs, clock, _ = case((3,), rng, torch.float32)
    z = residual_normal_sample(*(x.requires_grad_() for x in inputs), clock=clock).z
    clock[1] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_inputs_are_left_alone(rng):
    inputs, clock, _ = case((4, 3), rng, torch.float32)
    before = [x.clone() for x in (*inputs, clock)]
    residual_normal_sample(*inputs, clock=clock)
    assert all(torch.equal(x, y) for x, y in zip((*inputs, clock), before))


def test_one_graph_under_compile(rng):
    inputs, clock, _ = case((4, 3), rng, torch.float32)
    step = torch.compile(lambda *x: sum(residual_normal_sample(*x, clock=clock)).sum(), fullgraph=True, backend="aot_eager")
    inputs = [x.requires_grad_() for x in inputs]
    want = sum(residual_normal_sample(*inputs, clock=clock)).sum()
    for got, expected in zip(torch.autograd.grad(step(*inputs), inputs), torch.autograd.grad(want, inputs)):
        assert_close(got, expected)
    torch.library.opcheck(counter_normal, (clock, 5))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (50, 3, 7), (0, 2, 3)], ids=str)
def test_totals_are_the_definitions(sizes, rng):
    N, D, K = sizes
    z, ids = torch.randn(N, D, generator=rng), torch.randint(K, (N,), generator=rng)
    for got, want in zip(code_totals(z, ids, K), code_totals_reference(z, ids, K)):
        assert_close(got, want.to(z.dtype), rtol=1e-5, atol=1e-5)
