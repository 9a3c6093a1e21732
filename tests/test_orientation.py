"""orientation.py: what is called an oriented edge, on filters whose answer is known."""
import math

import pytest
import torch

from deepgen_lib.orientation import edge_measure, filter_correlation, oriented_edges

W = 9


def grid():
    x = torch.arange(W, dtype=torch.float64) - (W - 1) / 2
    return x, x[:, None]


def gabor(theta, frequency=0.2, phase=0.7, s=1.8, t=2.2, at=(0.4, -0.7)):
    x, y = grid()
    x, y = x - at[0], y - at[1]
    p, q = x * math.cos(theta) + y * math.sin(theta), y * math.cos(theta) - x * math.sin(theta)
    return torch.exp(-(p / s)**2 / 2 - (q / t)**2 / 2) * torch.cos(2 * math.pi * frequency * p + phase)


def stack(filters):
    return torch.stack(filters)[:, None]


def blob(width=2.0):
    x, y = grid()
    return torch.exp(-(x**2 + y**2) / (2 * width**2))


def ring():
    return blob(2.0) - 2 * blob(1.2)


def test_a_gabor_is_fitted_whole_whatever_its_angle_phase_and_frequency():
    filters = stack([gabor(theta, frequency, phase) for theta in (0, 0.5, 1.3, 2.4, 3.0) for frequency in (0.15, 0.25) for phase in (0, math.pi / 2)])
    measure = edge_measure(filters)
    assert measure.fit.min() > 0.99 and (measure.gabor - filters[:, 0]).abs().max() < 0.15
    assert oriented_edges(filters).all()


def test_the_fit_is_the_share_of_energy_that_noise_leaves(rng):
    wave = gabor(0.8)
    noise = torch.randn(20, W, W, dtype=torch.float64, generator=rng) * wave.square().mean().sqrt()  # as much energy as the wave
    fit = edge_measure((wave + noise)[:, None]).fit
    assert 0.45 < fit.mean() < 0.62  # one half, and a little of the noise that six numbers fit


@pytest.mark.parametrize("make", [blob, ring, lambda: blob(1.0)], ids=["a blob", "a ring", "a dot"])
def test_round_filters_are_no_edges_though_a_gabor_may_fit(make):
    assert edge_measure(make()[None, None]).selectivity.item() < 0.1
    assert not oriented_edges(make()[None, None]).any()


def test_noise_checkerboards_and_gratings_without_a_place_are_no_edges(rng):
    x, y = grid()
    noise = torch.randn(50, 1, W, W, dtype=torch.float64, generator=rng)
    check = (-1.0) ** (x + y).abs()
    grating = torch.cos(2 * math.pi * 0.25 * (x + 0 * y)) * torch.ones(W, 1, dtype=torch.float64)
    assert oriented_edges(noise).double().mean() < 0.1
    assert not oriented_edges(check[None, None], selectivity=0.5).any()
    assert edge_measure(grating[None, None]).fit.item() < 0.85 < edge_measure(gabor(0)[None, None]).fit.item()  # oriented, but everywhere
    assert edge_measure(grating[None, None]).selectivity.item() > 0.8


def test_selectivity_does_not_prefer_any_angle():
    found = torch.stack([edge_measure(gabor(theta, at=(0, 0))[None, None]).selectivity[0] for theta in torch.linspace(0, math.pi, 13).tolist()])
    assert found.max() - found.min() < 0.03


def test_correlation_finds_copies_copies_of_the_other_sign_and_with_shifts_moved_ones():
    first, other = gabor(0.3, s=1.2, t=1.2, at=(0, 0)), gabor(1.9, s=1.2, t=1.2, at=(0, 0))
    moved = gabor(0.3, s=1.2, t=1.2, at=(2, -1))
    in_place, shifted = (filter_correlation(stack([first, -3 * first, moved, other]), shifts=n) for n in (0, 2))
    assert torch.allclose(in_place.diagonal(), torch.ones(4, dtype=torch.float64)) and in_place[0, 1] > 0.999
    assert in_place[0, 2] < 0.6 and shifted[0, 2] > 0.97 and shifted[0, 3] < 0.6
    assert torch.allclose(shifted, shifted.T, atol=1e-10)


def test_channels_add_up_in_the_correlation(rng):
    filters = torch.randn(4, 3, 5, 5, dtype=torch.float64, generator=rng)
    flat = filters.flatten(1) / filters.flatten(1).norm(dim=1, keepdim=True)
    assert torch.allclose(filter_correlation(filters), (flat @ flat.T).abs())
