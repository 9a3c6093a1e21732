"""conv_completion.py: going up from what is seen and down again, and reading the result out around the mean picture."""
import pytest
import torch

from deepgen_lib import load_caltech
from deepgen_lib.conv_completion import complete_from_above, recentre
from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_inference import infer
from deepgen_lib.conv_networks import completion_error, half_known, load_conv_dbn, white_pictures
from deepgen_lib.conv_rbm import random_conv_rbm


def G(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(depth, seed=1):
    """Pictures of 8 x 8, maps of 6 x 6 pooled to 3 x 3, then 2 x 2 (no pooling)  and 1 x 1."""
    g = G(seed)
    return ConvDBN([random_conv_rbm(1, 2, 3, sigma=1.0, scale=0.3, rng=g), random_conv_rbm(2, 3, 2, block=1, scale=0.5, rng=g), random_conv_rbm(3, 2, 2, block=1, scale=0.5, rng=g)][:depth]).requires_grad_(False)


def test_one_layer_alone_is_its_own_gibbs_sampler_and_a_layer_above_is_obeyed():
    """Above: units always on whose weights forbid every unit of layer 1; the hidden pixels are then b."""
    known, x, weak = half_known("left", size=(8, 8)).double(), torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=G()), tiny(2)
    weak.rbms[0].W.mul_(0.3)
    weak.rbms[1].W.fill_(-50.0)
    weak.rbms[1].c.fill_(500.0)
    run = lambda network: complete_from_above(network, x, known, n_samples=2, n_gibbs_steps=3, n_sweeps=800, rng=G())
    alone = run(ConvDBN(list(weak.rbms[:1])))
    assert (alone - infer(ConvDBN(list(weak.rbms[:1])), x, known=known, n_sweeps=1600, burn_in=10, rng=G(2)).v).abs().mean() < 0.01
    told = run(weak)
    assert torch.allclose(told * (1 - known), weak.rbms[0].b[:, None, None] * (1 - known)) and (told - alone).abs().max() > 0.1


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_it_never_peeks_and_leaves_alone_what_is_seen(depth):
    known, x = half_known("top", size=(8, 8)).double(), torch.randn(3, 1, 8, 8, dtype=torch.float64, generator=G())
    run = lambda pictures: complete_from_above(tiny(depth), pictures, known, n_samples=2, n_gibbs_steps=2, n_sweeps=3, rng=G())
    filled, other = run(x), run(x * known + 9 * (1 - known))
    assert torch.equal(filled * known, x * known) and torch.equal(filled, other) and not torch.equal(filled, run(x * known * 2 + x * (1 - known)))


def test_reading_out_undoes_a_faint_and_shifted_guess_and_nothing_offered_is_the_mean():
    known, truth = half_known("right", size=(4, 4)), torch.randn(30, 1, 4, 4, generator=G())
    mean, guess = truth.mean(0, keepdim=True), torch.where(half_known("right", size=(4, 4)) > 0, truth, 0.25 * truth + 3)
    out = recentre(guess, known, mean=mean, examples=truth, completed_examples=guess)
    assert torch.allclose(out, truth, atol=1e-4) and not torch.allclose(guess, truth, atol=1)
    nothing = torch.where(known > 0, truth, 7.0)
    assert torch.allclose(recentre(nothing, known, mean=mean, examples=truth, completed_examples=nothing), torch.where(known > 0, truth, mean), atol=1e-5)


def test_half_faces_of_validation_persons_come_nearer_than_the_mean_face_and_layer_one_alone():
    """Right halves, few pictures, the ways of the benchmark; planted: upper layers with their weights in another order do less well."""
    train, x = (white_pictures(load_caltech(split, categories=["Faces_easy"])) for split in ("train", "valid"))
    dbn, known, mean, examples = load_conv_dbn("faces"), half_known("right"), train.mean(0, keepdim=True), train[::9]
    x, scrambled = x[::5], load_conv_dbn("faces")
    for rbm in list(scrambled.rbms)[1:]:
        rbm.W.copy_(rbm.W.flatten()[torch.randperm(rbm.W.numel(), generator=G())].view_as(rbm.W))

    def error(network):
        y, z = (complete_from_above(network, pictures, known, n_samples=2, rng=G()) for pictures in (x, examples))
        return completion_error(recentre(y, known, mean=mean, examples=examples, completed_examples=z), x, known).mean()

    whole, alone = error(dbn), error(ConvDBN(list(dbn.rbms[:1])))
    assert whole < alone < completion_error(mean.expand_as(x), x, known).mean()
    assert whole < error(scrambled) - 1e-3
