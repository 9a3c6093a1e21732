"""code_likelihood.py: below the exact log-likelihood of a tiny model, on it where all other codes are impossible; scales that are the most likely ones."""
import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.autoregressive import PixelCNN
from deepgen_lib.code_likelihood import code_bound, fit_log_scales, log_scale_at
from deepgen_lib.likelihood import discretised_logistic_log_likelihood


@pytest.fixture
def tiny():
    """All 16 maps (2 x 2 of 2 codes) with their prior, decoded means (16, 1, 2, 2), and scales."""
    prior = PixelCNN(2, (2, 2), width=4, n_layers=1).double().requires_grad_(False)
    z = torch.tensor(list(itertools.product(range(2), repeat=4))).view(-1, 2, 2)
    return z, prior.log_likelihood(z), 0.2 + 0.6 * z[:, None].double(), torch.tensor([-3.0, -2.0], dtype=torch.float64)


def exact(x, log_prior, means, scales):
    """log Σ_z p(x | z) p(z).  x (1, 1, 2, 2)."""
    log_p = discretised_logistic_log_likelihood(x.flatten(1), means.flatten(1), log_scale_at(means, scales).flatten(1))
    return torch.logsumexp(log_p + log_prior, 0)


def test_it_never_exceeds_the_exact_log_likelihood_whatever_codes_are_named(tiny, rng):
    z, log_prior, means, scales = tiny
    x = torch.randint(256, (1, 1, 2, 2), generator=rng).double() / 255
    totals = torch.cat([code_bound(x, means[k:k + 1], log_prior[k:k + 1], scales).total for k in range(16)])
    assert (totals < exact(x, log_prior, means, scales)).all()
    assert_close(torch.logsumexp(totals, 0), exact(x, log_prior, means, scales), rtol=0, atol=1e-10)  # all terms together are p(x)


def test_it_is_exact_where_the_picture_leaves_no_doubt_about_its_codes(tiny):
    z, log_prior, means, _ = tiny
    x, sharp = (255 * means[5:6]).round() / 255, torch.tensor([-6.0, -6.0], dtype=torch.float64)
    assert_close(code_bound(x, means[5:6], log_prior[5:6], sharp).total[0], exact(x, log_prior, means, sharp), rtol=0, atol=1e-10)


def test_bits_per_dim_divides_by_pixels_and_channels(rng):
    x = torch.randint(1, 255, (3, 3, 4, 4), generator=rng).double() / 255
    bound = code_bound(x, torch.full_like(x, 0.5), torch.full((3,), -48 * math.log(2), dtype=torch.float64), torch.tensor([9.0], dtype=torch.float64))
    assert (bound.bits_per_dim > 1 + 8).all()  # one bit a dimension for the codes; so wide a logistic gives inner levels less than 1/256
    assert_close(bound.bits_per_dim, -(bound.picture + bound.codes) / (48 * math.log(2)))


def test_each_band_gets_its_own_most_likely_scale(rng):
    """Means low and high, noise narrow and wide: the scales are found again, and moving any of them lowers the likelihood."""
    mean = torch.cat([torch.full((1, 1, 100, 100), 0.3), torch.full((1, 1, 100, 100), 0.7)]).double()
    true = torch.tensor([-5.0, -3.0], dtype=torch.float64)
    u = torch.rand(mean.shape, dtype=torch.float64, generator=rng).clamp(1e-6, 1 - 1e-6)
    x = ((mean + log_scale_at(mean, true).exp() * torch.logit(u)).clamp(0, 1) * 255).round() / 255
    scales = fit_log_scales(x, mean, n_bands=2)
    assert_close(scales.double(), true, rtol=0, atol=0.05)
    nats = lambda s: code_bound(x, mean, torch.zeros(2, dtype=torch.float64), s.double()).picture.sum()
    assert all(nats(scales) > nats(scales + step * torch.eye(2)[band]) for step in (-0.05, 0.05) for band in (0, 1))


def test_means_beyond_the_ends_and_bands_without_a_mean(rng):
    x = torch.randint(256, (2, 1, 3, 3), generator=rng).float() / 255
    mean = torch.where(x > 0.5, 1.2, -0.2)
    scales = fit_log_scales(x, mean, n_bands=8)
    assert torch.isfinite(scales).all() and torch.isfinite(code_bound(x, mean, torch.zeros(2), scales).total).all()
    assert_close(log_scale_at(torch.tensor([-3.0, 0.0, 0.999, 1.0, 7.0]), scales), scales[[0, 0, 7, 7, 7]])
