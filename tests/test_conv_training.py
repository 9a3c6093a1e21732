"""conv_training.py: the gradient against autograd of the exact likelihood, one update against its definition, and what training does to a toy."""
import pytest
import torch
from torch.nn.grad import conv2d_weight
from torch.testing import assert_close

from deepgen_lib import CDOptions, fit
from deepgen_lib.conv_enumeration import conv_log_likelihood, all_pictures, conv_hidden_log_prob, all_pooled_states
from deepgen_lib.conv_rbm import ConvRBM, random_conv_rbm
from deepgen_lib.conv_training import ConvGradient, ConvPhase, ConvRBMTrainer, conv_cd_gradient, conv_statistics

EXACT, SIGMA = dict(atol=1e-10, rtol=0), 0.7


def twin(rng):
    return torch.Generator().set_state(rng.get_state())


def pictures(rng, sigma, n=6, size=(3, 5), channels=2):
    v = torch.randn(n, channels, *size, dtype=torch.float64, generator=rng)
    return (v > 0).double() if sigma is None else v


def exact_model_statistics(rbm: ConvRBM, height: int, width: int) -> ConvGradient:
    """E_model of the statistics: h enumerated; E[v | h] in closed form, all statistics being linear in v given h."""
    states, p = all_pooled_states(rbm.n_filters, *rbm.map_size(height, width), block=rbm.block), conv_hidden_log_prob(rbm, height, width).exp()
    parts = [conv_statistics(rbm, ConvPhase(rbm.visible_mean(h[None]), h[None])) for h in states]
    return ConvGradient(*(torch.einsum("s,s...->...", p, torch.stack(part)) for part in zip(*parts)))


@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_data_minus_model_is_the_exact_gradient_per_position(sigma, rng):
    rbm = random_conv_rbm(2, 2, 2, sigma=sigma, scale=0.5, rng=rng)
    v = pictures(rng, sigma)
    exact = torch.autograd.grad(conv_log_likelihood(rbm, v).mean(), (rbm.W, rbm.b, rbm.c))
    with torch.no_grad():
        data = conv_statistics(rbm, ConvPhase(v, rbm.max_pool(v).p_detection))
        got = [up - down for up, down in zip(data, exact_model_statistics(rbm, 3, 5))]
    n_positions = 2 * 4
    for slope, want in zip(got, exact):
        assert_close(slope, want / n_positions, **EXACT)


def summed_bias(rbm, phase):
    g = conv_statistics(rbm, phase)
    return g._replace(c=phase.h.sum((2, 3)).mean(0))


def without_precision(rbm, phase):
    v, h = phase
    return conv_statistics(rbm, phase)._replace(W=conv2d_weight(v, rbm.W.shape, h) / (len(v) * h[0, 0].numel()))


def turned(rbm, phase):
    g = conv_statistics(rbm, phase)
    return g._replace(W=g.W.flip((2, 3)))


@pytest.mark.parametrize("wrong, sigma", [(summed_bias, None), (without_precision, SIGMA), (turned, None)], ids=["bias summed over positions", "1/sigma² forgotten", "turned filters"])
def test_planted_gradients_are_another_direction(wrong, sigma, rng):
    rbm = random_conv_rbm(2, 2, 2, sigma=sigma, scale=0.5, rng=rng)
    v = pictures(rng, sigma)
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(-rbm.free_energy(v).mean(), (rbm.W, rbm.b, rbm.c))])
    with torch.no_grad():
        phase = ConvPhase(v, rbm.max_pool(v).p_detection)
        right, planted = (torch.cat([g.flatten() for g in make(rbm, phase)]) for make in (conv_statistics, wrong))
    cosine = lambda a: torch.cosine_similarity(a, exact, 0).item()
    assert cosine(right) == pytest.approx(1, abs=1e-12) and cosine(planted) < 1 - 1e-3


@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_cd_goes_from_the_data_through_samples(sigma, rng):
    rbm = random_conv_rbm(2, 2, 2, sigma=sigma, scale=0.5, rng=rng).requires_grad_(False)
    v = pictures(rng, sigma)
    same, model = twin(rng), v
    for _ in range(3):
        model = rbm.sample_visible(rbm.sample_hidden(model, same).h, same)
    data, model = (conv_statistics(rbm, ConvPhase(x, rbm.max_pool(x).p_detection)) for x in (v, model))
    for got, up, down in zip(conv_cd_gradient(rbm, v, n_gibbs_steps=3, rng=rng), data, model):
        assert_close(got, up - down, **EXACT)


def test_an_update_is_momentum_decay_and_sparsity_on_the_gradient(rng):
    rbm, v = random_conv_rbm(2, 2, 2, scale=0.5, rng=rng), pictures(rng, None)
    options = CDOptions(learning_rate=0.3, final_learning_rate=0.1, momentum=0.8, weight_decay=0.05, sparsity_target=0.1, sparsity_weight=2.0)
    trainer = ConvRBMTrainer(rbm, options, image_size=(3, 5), rng=rng)
    velocity = [torch.zeros_like(p) for p in (rbm.W, rbm.b, rbm.c)]
    for fraction, rate in ((0.0, 0.3), (0.5, 0.2)):
        before = [p.detach().clone() for p in (rbm.W, rbm.b, rbm.c)]
        g = conv_cd_gradient(rbm, v, rng=twin(rng))
        push = 2.0 * (0.1 - rbm.max_pool(v).p_detection.detach().mean((0, 2, 3)))
        slope = [g.W - 0.05 * before[0], g.b, g.c + push]
        velocity = [0.8 * old + rate * s for old, s in zip(velocity, slope)]
        trainer.update(v, fraction, rng)
        for new, old, speed in zip((rbm.W, rbm.b, rbm.c), before, velocity):
            assert_close(new.detach(), old + speed, **EXACT)


def test_persistent_chains_go_on_and_never_see_the_batch(rng):
    rbm = random_conv_rbm(1, 2, 2, scale=0.5, rng=rng).requires_grad_(False)
    trainer = ConvRBMTrainer(rbm, CDOptions(persistent=True, n_chains=7, learning_rate=0.0, n_gibbs_steps=2), image_size=(3, 5), rng=rng)
    same, chains = twin(rng), trainer.chains
    assert chains.shape == (7, 1, 3, 5) and ((chains == 0) | (chains == 1)).all()
    for _ in range(2):
        trainer.update(pictures(rng, None, channels=1), 0.0, same2 := twin(same))
        for _ in range(2):
            chains = rbm.sample_visible(rbm.sample_hidden(chains, same).h, same)
        assert torch.equal(trainer.chains, chains) and torch.equal(same2.get_state(), same.get_state())


def test_training_raises_the_exact_likelihood_of_a_toy(rng):
    """Bars of 4 x 4 pixels; PCD and CD; the start is a blank model."""
    bars = torch.zeros(8, 1, 4, 4, dtype=torch.float64)
    for i in range(4):
        bars[i, 0, i], bars[4 + i, 0, :, i] = 1, 1
    for persistent in (False, True):
        rbm = ConvRBM(1, 4, 3, weight_std=0.3, rng=rng).double().requires_grad_(False)
        before = conv_log_likelihood(rbm, bars).mean()
        trainer = ConvRBMTrainer(rbm, CDOptions(learning_rate=0.2, persistent=persistent, n_chains=40), image_size=(4, 4), rng=rng)
        fit(trainer, bars.repeat(5, 1, 1, 1), n_updates=250, batch_size=40, rng=rng)
        assert conv_log_likelihood(rbm, bars).mean() > before + 1, persistent


def test_the_sparsity_target_is_met_and_without_it_is_not(rng):
    v = (torch.rand(60, 1, 7, 7, generator=rng) < 0.5).float()
    mean = {}
    for weight in (0.0, 5.0):
        rbm = ConvRBM(1, 3, 2, weight_std=0.1, rng=rng).requires_grad_(False)
        trainer = ConvRBMTrainer(rbm, CDOptions(learning_rate=0.5, final_learning_rate=0.5, sparsity_target=0.02, sparsity_weight=weight), image_size=(7, 7), rng=rng)
        fit(trainer, v, n_updates=100, batch_size=30, rng=rng)
        mean[weight] = rbm.max_pool(v).p_detection.mean((0, 2, 3))
    assert (mean[5.0] - 0.02).abs().max() < 0.01 and mean[0.0].min() > 0.1


@pytest.mark.parametrize("persistent", [False, True])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(persistent, tmp_path, rng, monkeypatch):
    monkeypatch.setattr("deepgen_lib.fitting.CHECKPOINT_EVERY", 3)

    def run(path, stop_at=None):
        g = torch.Generator().manual_seed(3)
        rbm = ConvRBM(1, 2, 2, sigma=0.5, rng=g).requires_grad_(False)
        trainer = ConvRBMTrainer(rbm, CDOptions(persistent=persistent, n_chains=3, momentum=0.5), image_size=(3, 5), rng=g)
        if stop_at:
            update = trainer.update
            monkeypatch.setattr(trainer, "update", lambda v, fraction, rng: (_ for _ in ()).throw(KeyboardInterrupt) if fraction >= stop_at else update(v, fraction, rng))
        data = torch.randn(8, 1, 3, 5, generator=torch.Generator().manual_seed(1))
        fit(trainer, data, n_updates=10, batch_size=4, checkpoint=path, rng=g)
        return rbm
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a.safetensors", stop_at=0.7)
    for resumed, straight in zip(run(tmp_path / "a.safetensors").parameters(), run(tmp_path / "b.safetensors").parameters()):
        assert torch.equal(resumed, straight)


def test_whole_pictures_can_be_enumerated_too(rng):
    """The two ways to log Z agree: summing v in closed form, or h."""
    rbm = random_conv_rbm(1, 2, 2, scale=0.5, rng=rng)
    assert_close(conv_log_likelihood(rbm, all_pictures(1, 3, 3)).logsumexp(0), torch.zeros((), dtype=torch.float64), **EXACT)
