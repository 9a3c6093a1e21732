"""conv_stacking.py: the next layer learns from sampled pooling units of frozen layers below."""
import pytest
import torch

from deepgen_lib import CDOptions, fit
from deepgen_lib.conv_rbm import ConvRBM
from deepgen_lib.conv_stacking import PooledSamples, greedy_conv_dbn, sample_pooled
from deepgen_lib.conv_training import ConvRBMTrainer


def layers(rng):
    return [ConvRBM(1, 3, 2, sigma=0.5, weight_std=0.3, rng=rng), ConvRBM(3, 4, 2, weight_std=0.1, rng=rng), ConvRBM(4, 2, 2, block=1, rng=rng)]


def test_layers_are_trained_one_after_the_other_on_copies(rng):
    rbms, x = layers(rng), torch.randn(30, 1, 15, 11, generator=rng)
    before = [rbm.W.detach().clone() for rbm in rbms]
    dbn = greedy_conv_dbn(x, rbms, options=[CDOptions(learning_rate=r) for r in (0.01, 0.1, 0.2)], n_updates=4, batch_size=10, rng=rng)
    assert all(torch.equal(rbm.W, W) for rbm, W in zip(rbms, before)) and all(not torch.equal(rbm.W, W) for rbm, W in zip(dbn.rbms, before))
    assert dbn.pooled_sizes(15, 11) == [(15, 11), (7, 5), (3, 2), (2, 1)] and dbn.features(x, 3).shape == (30, 2, 2, 1)


def test_a_layer_sees_samples_and_leaves_the_layers_below_alone(rng):
    rbms, x, seen = layers(rng)[:2], torch.randn(20, 1, 7, 11, generator=rng), []
    trainer = ConvRBMTrainer(rbms[1], CDOptions(), image_size=(3, 5), rng=rng)
    trainer.update = lambda v, fraction, rng: seen.append(v)
    before = rbms[0].W.detach().clone()
    stream = PooledSamples(rbms[:1], trainer)
    fit(stream, x, n_updates=60, batch_size=20, rng=rng)
    drawn = torch.stack(seen)
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and torch.equal(rbms[0].W, before)
    p = rbms[0].max_pool(x).p_pool.mean(0)
    assert (drawn.mean((0, 1)) - p).abs().max() < 4.5 * (0.25 / 1200)**0.5  # P(pool), anew for each batch
    assert not torch.equal(sample_pooled(rbms[:1], x, rng), sample_pooled(rbms[:1], x, rng))


def test_wrong_stacks_are_answered(rng):
    rbms = layers(rng)
    trainer = ConvRBMTrainer(rbms[1], CDOptions(), image_size=(3, 5), rng=rng)
    with pytest.raises(ValueError, match="PooledSamples: the trainer's model has 3 channels, expected 4, .*; build it"):
        PooledSamples(rbms[:2], trainer)
    with pytest.raises(ValueError, match=r"fit: pictures of \(7, 7\) have pooled maps of \(3, 3\), expected \(3, 5\) as the trainer was told; pass"):
        fit(PooledSamples(rbms[:1], trainer), torch.zeros(4, 1, 7, 7), n_updates=1, batch_size=2, rng=rng)
    with pytest.raises(ValueError, match="greedy_conv_dbn: got 1 options for 2 layers, expected one for each"):
        greedy_conv_dbn(torch.zeros(4, 1, 7, 11), rbms[:2], options=[CDOptions()], n_updates=1, rng=rng)
