"""vq_shipped.py: the trained files load, are small, and do on test pictures what their benchmarks say."""
import json

import pytest
import torch

from deepgen_lib import load_colour_faces, load_mnist, load_notes
from deepgen_lib.code_likelihood import code_bound
from deepgen_lib.digit_classifier import load_digit_classifier
from deepgen_lib.vector_quantisation import perplexity
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.vq_shipped import load_digit_codes, load_face_codes, load_labelled_digit_prior
from deepgen_lib.vqvae2 import TwoMaps, error_by_scale

NAMES = ["vqvae_mnist", "pixelcnn_mnist", "pixelcnn_mnist_labelled", "vqvae2_faces", "pixelcnn_faces_top", "pixelcnn_faces_bottom"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_small_and_says_who_made_it(name):
    path = CHECKPOINTS / f"{name}.safetensors"
    assert path.stat().st_size < 1_200_000
    assert load_notes(path)["script"] in ("benchmarks/vq_quality.py", "benchmarks/vq_faces.py")


def test_digits_are_rebuilt_with_nearly_all_codes_in_use():
    vqvae, prior, log_scales = load_digit_codes()
    x = load_mnist("test", binarisation="grey").images[:1000].view(-1, 1, 28, 28)
    ids = vqvae.encode(x)
    counts, mean = torch.bincount(ids.flatten(), minlength=128), vqvae.decode(ids)
    assert (mean - x).square().mean() < 0.008
    assert (counts > 0).double().mean() > 0.9 and perplexity(counts) > 90
    bound = code_bound(x, mean, prior.log_likelihood(ids), log_scales)
    noted = json.loads(load_notes(CHECKPOINTS / "vqvae_mnist.safetensors")["bits_per_dim"])
    assert bound.bits_per_dim.mean().item() == pytest.approx(noted, rel=0.05)


def test_drawn_digits_look_like_digits_of_every_class(rng):
    vqvae, prior, _ = load_digit_codes()
    sure, digit = load_digit_classifier().sureness(vqvae.decode(prior.sample(200, rng=rng)).clamp(0, 1))
    noted = json.loads(load_notes(CHECKPOINTS / "vqvae_mnist.safetensors")["sure"])
    assert abs((sure > 0.9).double().mean().item() - noted) < 0.12  # four standard errors of 200
    assert len(digit.unique()) == 10


def test_a_prior_that_is_told_the_label_draws_that_digit_and_the_classifier_is_sure(rng):
    (vqvae, _, _), prior, asked = load_digit_codes(), load_labelled_digit_prior(), torch.arange(200) % 10
    sure, digit = load_digit_classifier().sureness(vqvae.decode(prior.sample(200, condition=asked.view(-1, 1, 1), rng=rng)).clamp(0, 1))
    assert (sure > 0.9).double().mean() > 0.78 and (digit == asked).double().mean() > 0.78


def test_without_the_bottom_detail_is_lost_and_without_the_top_the_layout():
    model, _, _ = load_face_codes()
    x = load_colour_faces("test").images
    maps = model.encode(x)
    both, top_alone, bottom_alone = (error_by_scale(x, model.decode(maps, without=w)) for w in (None, "bottom", "top"))
    assert top_alone.high.mean() > 2 * both.high.mean()
    assert bottom_alone.low.mean() > 10 * top_alone.low.mean()


def test_faces_can_be_drawn_and_their_codes_are_likelier_than_evenly_used_ones(rng):
    model, top, bottom = load_face_codes()
    drawn = top.sample(2, rng=rng)
    assert model.decode(TwoMaps(drawn, bottom.sample(2, condition=drawn, rng=rng))).shape == (2, 3, 32, 32)
    maps = model.encode(load_colour_faces("test").images)
    assert top.log_likelihood(maps.top).mean() > -64 * torch.tensor(64.0).log()
    assert bottom.log_likelihood(maps.bottom, maps.top).mean() > -256 * torch.tensor(64.0).log()
