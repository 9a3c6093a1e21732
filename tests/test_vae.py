"""The VAE: its bound against closed forms and against itself, the importance bound in constant memory, training, sampling."""
import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal
from torch.testing import assert_close

from deepgen_lib.fitting import fit
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.latents import NormalPosterior, StandardNormal, normal_kl
from deepgen_lib.linear_gaussian import random_linear_gaussian
from deepgen_lib.vae import VAE, mlp_vae

F64 = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(likelihood: str = "bernoulli", seed: int = 0) -> tuple[VAE, torch.Tensor]:
    g = generator(seed)
    vae = mlp_vae(6, (5,), 2, likelihood=likelihood, rng=g).double()
    x = torch.bernoulli(torch.full((8, 6), 0.5, dtype=F64), generator=g)
    return vae, x if likelihood == "bernoulli" else x + 0.3 * torch.randn(8, 6, generator=g, dtype=F64)


class Shifted(nn.Module):
    """N(0, I) under another name: the KL must then be sampled."""
    def log_prob(self, z):
        return Normal(0.0, 1.0).log_prob(z).sum(-1)

    def sample(self, n, rng):
        return torch.randn(n, 2, generator=rng, dtype=F64)


@pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
def test_bound_is_the_mean_over_its_own_draws(likelihood):
    vae, x = small(likelihood)
    bound = vae.bound(x, n_samples=9, rng=generator(3))
    q = vae.posterior(x)
    z = q.mu + q.log_sigma.exp() * torch.randn(9, 8, 2, generator=generator(3), dtype=F64)
    out = vae.decoder(z)
    p = Bernoulli(logits=out) if likelihood == "bernoulli" else Normal(out, vae.log_noise.exp())
    assert_close(bound.reconstruction, p.log_prob(x).sum(-1).mean(0), atol=1e-10, rtol=0)
    assert_close(bound.kl, normal_kl(*q).sum(1), atol=1e-10, rtol=0)
    assert_close(bound.total, bound.reconstruction - bound.kl)
    assert_close(vae.log_likelihood(x, z), p.log_prob(x).sum(-1), atol=1e-10, rtol=0)


def test_the_sampled_kl_of_another_prior_has_the_analytic_mean():
    vae, x = small()
    other = VAE(vae.encoder, vae.decoder, sizes=(6, 2), prior=Shifted())
    with torch.no_grad():
        exact, draws = vae.bound(x, rng=generator()).kl, torch.stack([other.bound(x, n_samples=1000, rng=generator(s)).kl for s in range(20)])
    error = draws.std(0) / 20**0.5
    assert error.max() < 0.05 and ((draws.mean(0) - exact).abs() < 4 * error).all()


def test_standard_normal_is_torchs():
    z = torch.randn(3, 4, 2, generator=generator(), dtype=F64)
    assert_close(StandardNormal(2).double().log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(-1), atol=1e-12, rtol=0)


def test_gradients_flow_through_the_draw():
    """With the draws fixed the bound is a function: its gradient in the encoder against finite differences."""
    vae, x = small()
    parameter = vae.encoder[-1].bias
    value = lambda: vae.bound(x, n_samples=3, rng=generator(5)).total.sum()
    slope, = torch.autograd.grad(value(), parameter)
    for k in range(4):
        ends = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter[k] += step
                ends.append(value().item())
                parameter[k] -= step
        assert slope[k].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("chunk, n_samples", [(1, 7), (3, 7), (7, 7), (100, 7)])
def test_importance_bound_is_the_log_of_the_mean_weight(chunk, n_samples):
    vae, x = small()
    found = vae.importance_bound(x, n_samples=n_samples, chunk=chunk, rng=generator(2))
    g, weights = generator(2), []
    q = vae.posterior(x)
    for start in range(0, n_samples, chunk):
        z = q.mu + q.log_sigma.exp() * torch.randn(min(chunk, n_samples - start), 8, 2, generator=g, dtype=F64)
        log_q = Normal(q.mu, q.log_sigma.exp()).log_prob(z).sum(-1)
        weights.append((vae.log_likelihood(x, z) + Normal(0.0, 1.0).log_prob(z).sum(-1) - log_q).exp())
    assert_close(found, torch.cat(weights).mean(0).log().detach(), atol=1e-10, rtol=0)


def test_importance_bound_holds_no_more_than_a_chunk():
    vae, x = small()
    seen = []
    vae.decoder.register_forward_hook(lambda module, inputs, out: seen.append(len(inputs[0])))
    found = vae.importance_bound(x, n_samples=1000, chunk=20, rng=generator())
    assert max(seen) == 20 * len(x) and sum(seen) == 1000 * len(x) and not found.requires_grad


def test_importance_bound_survives_weights_beyond_any_exponent():
    vae, x = small()
    with torch.no_grad():
        vae.decoder[-1].bias.fill_(-3000.0)
    found = vae.importance_bound(x, n_samples=20, chunk=5, rng=generator())
    assert torch.isfinite(found).all() and found.max() < -2000


def test_bound_below_importance_bound_below_the_exact_likelihood():
    """In the mean over draws, on the model that can be solved; more draws are better."""
    g = generator()
    model = random_linear_gaussian(4, 3, sigma=0.5, rng=g)
    vae, x = model.vae(mlp_vae(4, (6,), 3, rng=g).encoder), model.sample(20, g)
    with torch.no_grad():
        means = [vae.bound(x, n_samples=2000, rng=g).total.mean().item()]
    for n_samples in (10, 1000, 100_000):
        means.append(torch.stack([vae.importance_bound(x, n_samples=n_samples, chunk=1000, rng=g) for _ in range(5)]).mean().item())
    exact = model.log_likelihood(x).mean().item()
    assert means == sorted(means) and means[0] < exact - 1 and means[-1] < exact


def test_with_the_posterior_itself_one_draw_is_exact():
    g = generator()
    model = random_linear_gaussian(4, 1, sigma=0.5, rng=g)  # one latent: the best q is the posterior
    x = model.sample(9, g)
    slope = model.posterior(torch.cat([torch.zeros(1, 4, dtype=F64), torch.eye(4, dtype=F64)])).mean
    encoder = nn.Linear(4, 2, dtype=F64)
    with torch.no_grad():
        encoder.weight.copy_(torch.cat([(slope[1:] - slope[0]).T, torch.zeros(1, 4, dtype=F64)]))
        encoder.bias.copy_(torch.cat([slope[0], model.best_q(x).log_sigma[0]]))
    for n_samples in (1, 5):
        assert_close(model.vae(encoder).importance_bound(x, n_samples=n_samples, rng=g), model.log_likelihood(x), atol=1e-10, rtol=0)


def test_a_given_q_replaces_the_encoders():
    vae, x = small()
    mine = NormalPosterior(torch.zeros(8, 2, dtype=F64), torch.zeros(8, 2, dtype=F64))
    assert vae.bound(x, q=mine, rng=generator()).kl.abs().max() == 0
    own = NormalPosterior(*vae.posterior(x))
    assert_close(vae.bound(x, q=own, rng=generator()), vae.bound(x, rng=generator()))


@pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
def test_training_raises_the_bound_and_repeats_itself(likelihood):
    results = []
    for _ in range(2):
        vae, x = small(likelihood)
        before = vae.bound(x, n_samples=200, rng=generator()).total.mean().item()
        fit(GradientTrainer(vae, AdamOptions(learning_rate=0.01)), x, n_updates=300, batch_size=4, rng=generator())
        results.append(vae.bound(x, n_samples=200, rng=generator()).total.mean().item())
    assert results[0] == results[1] > before + 0.5


def test_the_training_loss_is_minus_the_mean_bound():
    vae, x = small()
    assert_close(vae.training_loss(x, 0.3, generator(4)), -vae.bound(x, rng=generator(4)).total.mean())


@pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
def test_samples_follow_the_decoder(likelihood):
    vae, _ = small(likelihood)
    n = 20_000
    x, means = (vae.sample(n, means=m, rng=generator(7)) for m in (False, True))
    z = torch.randn(n, 2, generator=generator(7), dtype=F64)
    assert_close(means, vae.decode(z).detach())
    noise = (means * (1 - means)).mean(0) if likelihood == "bernoulli" else torch.full((6,), 1.0, dtype=F64)
    assert ((x - means).mean(0).abs() < 4 * (noise / n).sqrt()).all()
    assert (((x - means) ** 2).mean(0) - noise).abs().max() < 0.05
    assert likelihood == "normal" or set(x.unique().tolist()) == {0.0, 1.0}


def test_a_state_dict_holds_the_networks_alone():
    vae, _ = small()
    assert {name.split(".")[0] for name in vae.state_dict()} == {"encoder", "decoder"}


def test_first_weights_depend_on_the_generator_alone():
    torch.manual_seed(0)
    first = mlp_vae(6, (5,), 2, rng=generator())
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), mlp_vae(6, (5,), 2, rng=generator()).parameters()))
    assert first.encoder[0].weight.std().item() == pytest.approx(math.sqrt(2 / 6), rel=0.4)


def test_networks_of_the_wrong_size_are_named():
    x = torch.zeros(3, 6)
    with pytest.raises(ValueError, match=r"the encoder returned shape \(3, 5\), expected \(3, 4\)"):
        VAE(nn.Linear(6, 5), nn.Linear(2, 6), sizes=(6, 2)).posterior(x)
    with pytest.raises(ValueError, match=r"the decoder returned shape \(3, 7\), expected \(3, 6\)"):
        VAE(nn.Linear(6, 4), nn.Linear(2, 7), sizes=(6, 2)).bound(x, rng=generator())
