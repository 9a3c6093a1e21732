"""The solvable VAE: its closed forms against torch's own normal distributions, Bayes' rule and the network's estimates."""
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.testing import assert_close

from deepgen_lib.latents import NormalPosterior, normal_kl
from deepgen_lib.linear_gaussian import LinearGaussian, random_linear_gaussian

F64 = torch.float64
SHAPES = [(5, 2), (3, 1), (4, 6)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def case(n_visible: int, n_latent: int):
    g = generator(n_visible)
    model = random_linear_gaussian(n_visible, n_latent, sigma=0.6, rng=g)
    x = 2 * torch.randn(7, n_visible, generator=g, dtype=F64)
    q = NormalPosterior(torch.randn(7, n_latent, generator=g, dtype=F64), 0.5 * torch.randn(7, n_latent, generator=g, dtype=F64))
    return model, x, q


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_log_likelihood_is_that_of_the_marginal_normal(shape):
    model, x, _ = case(*shape)
    marginal = MultivariateNormal(model.b, model.W @ model.W.T + model.sigma**2 * torch.eye(shape[0], dtype=F64))
    assert_close(model.log_likelihood(x), marginal.log_prob(x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_posterior_obeys_bayes_rule_at_any_z(shape):
    model, x, q = case(*shape)
    joint = Normal(q.mu @ model.W.T + model.b, model.sigma).log_prob(x).sum(1) + Normal(0.0, 1.0).log_prob(q.mu).sum(1)
    mean, covariance = model.posterior(x)
    assert_close(joint - MultivariateNormal(mean, covariance).log_prob(q.mu), model.log_likelihood(x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bound_and_gap_add_up_to_the_likelihood(shape):
    model, x, q = case(*shape)
    mean, covariance = model.posterior(x)
    gap = kl_divergence(MultivariateNormal(q.mu, torch.diag_embed(torch.exp(2 * q.log_sigma))), MultivariateNormal(mean, covariance))
    assert_close(model.gap(x, q), gap, atol=1e-10, rtol=1e-12)
    assert_close(model.bound(x, q) + gap, model.log_likelihood(x), atol=1e-10, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_best_q_is_a_stationary_point_and_no_other_q_is_better(shape):
    model, x, _ = case(*shape)
    best = NormalPosterior(*(part.clone().requires_grad_(True) for part in model.best_q(x)))
    for slope in torch.autograd.grad(model.bound(x, best).sum(), best):
        assert slope.abs().max() < 1e-9
    g = generator(1)
    for scale in (1e-3, 0.1, 1.0):
        other = NormalPosterior(*(part.detach() + scale * torch.randn(part.shape, generator=g, dtype=F64) for part in best))
        assert (model.bound(x, other) < model.bound(x, best)).all()


def test_one_latent_leaves_no_gap():
    model, x, _ = case(3, 1)
    assert model.gap(x, model.best_q(x)).abs().max() < 1e-10


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normal_kl_is_torchs(shape):
    _, _, q = case(*shape)
    assert_close(normal_kl(*q), kl_divergence(Normal(q.mu, q.log_sigma.exp()), Normal(0.0, 1.0)), atol=1e-12, rtol=1e-12)


def test_samples_have_the_marginal_mean_and_covariance():
    model, n = random_linear_gaussian(3, 2, rng=generator()), 200_000
    x = model.sample(n, generator(1))
    covariance = model.W @ model.W.T + model.sigma**2 * torch.eye(3, dtype=F64)
    variance = covariance.diagonal()
    assert ((x.mean(0) - model.b).abs() < 4 * (variance / n).sqrt()).all()
    assert ((x.T.cov() - covariance).abs() < 4 * ((covariance**2 + torch.outer(variance, variance)) / n).sqrt()).all()


def test_its_vae_estimates_the_bound_without_bias_and_keeps_the_decoder():
    model, x, q = case(5, 2)
    vae = model.vae(nn.Linear(5, 4, dtype=F64))
    with torch.no_grad():
        draws = torch.stack([vae.bound(x, q=q, n_samples=500, rng=generator(seed)).total for seed in range(40)])
    error = draws.std(0) / 40**0.5
    assert ((draws.mean(0) - model.bound(x, q)).abs() < 4 * error).all()
    assert (error / model.bound(x, q).abs()).max() < 0.01
    assert {name for name, p in vae.named_parameters() if p.requires_grad} == {"encoder.weight", "encoder.bias"}


def test_float32_is_allowed():
    model = LinearGaussian(torch.eye(2), torch.zeros(2), 1.0)
    assert_close(model.log_likelihood(torch.zeros(1, 2)), torch.tensor([-2.531024]))
