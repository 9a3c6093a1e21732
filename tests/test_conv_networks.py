"""conv_networks.py: how pictures are prepared, what the shipped networks are, and completing half a face."""
import pytest
import torch

from deepgen_lib import load_caltech
from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_networks import CATEGORIES_OF, FILTERS, blank_conv_dbn, complete, completion_error, feature_scores, half_known, load_conv_dbn, white_pictures
from deepgen_lib.checkpoint import load_notes
from deepgen_lib.orientation import filter_correlation, oriented_edges
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.whitening import whiten


@pytest.fixture(scope="module")
def pictures():
    return load_caltech("valid", categories=["Motorbikes", "Faces_easy"])


def test_pictures_are_white_inside_their_frames_and_nothing_outside(pictures):
    x, plain = white_pictures(pictures), whiten(pictures.images)
    assert torch.allclose(x.square().mean((1, 2, 3)), torch.ones(len(x)), atol=1e-4)
    for picture, white, (top, bottom, left, right) in zip(x[:, 0], plain[:, 0], pictures.frames.tolist()):
        outside = torch.ones(64, 64, dtype=torch.bool)
        outside[top:bottom, left:right] = False
        inside = slice(top + 5, bottom - 5), slice(left + 5, right - 5)
        assert not picture[outside].any()
        ratio = picture[inside].norm() / white[inside].norm()
        assert torch.allclose(picture[inside], white[inside] * ratio, atol=1e-4)
        assert (picture[top, left:right].abs() <= 0.2 * ratio * white[top, left:right].abs() + 1e-5).all()  # the first row has faded to a fifth


@pytest.mark.parametrize("name", CATEGORIES_OF)
def test_a_shipped_network_has_its_sizes_and_the_shared_first_layer(name):
    dbn, faces = load_conv_dbn(name), load_conv_dbn("faces")
    assert [rbm.n_filters for rbm in dbn.rbms] == list(FILTERS[name])
    assert dbn.pooled_sizes(64, 64) == [(64, 64), (28, 28), (10, 10), (1, 1)]
    assert torch.equal(dbn.rbms[0].W, faces.rbms[0].W) and all(p.dtype == torch.float32 and p.isfinite().all() and not p.requires_grad for p in dbn.parameters())
    notes = load_notes(CHECKPOINTS / f"conv_dbn_{name}.safetensors")
    assert notes["script"] == "benchmarks/conv_dbn.py" and notes["categories"] == ", ".join(CATEGORIES_OF[name]) and float(notes["processor_seconds"]) < 3600


def test_the_shipped_files_are_small():
    assert sum((CHECKPOINTS / f"conv_dbn_{name}.safetensors").stat().st_size for name in CATEGORIES_OF) < 3_000_000


def test_the_first_layer_is_oriented_edges_none_dead_none_twice_and_planted_ones_are_seen():
    dbn = load_conv_dbn("four")
    W, x = dbn.bases(1), white_pictures(load_caltech("valid"))[::4]
    assert oriented_edges(W).double().mean() >= 0.8
    assert dbn.features(x, 1).amax((0, 2, 3)).min() > 0.5
    assert (filter_correlation(W) - torch.eye(len(W))).max() < 0.95
    twice = torch.cat([W, W[:1] * 1.01 + 1e-3])
    assert (filter_correlation(twice) - torch.eye(len(twice))).max() > 0.95
    assert oriented_edges(blank_conv_dbn("four").bases(1)).double().mean() < 0.5


def test_scores_are_strongest_answers_that_rank_as_probabilities_without_ties_or_means(pictures):
    dbn, x = load_conv_dbn("four"), white_pictures(pictures)[:60]
    for level in (1, 2, 3):
        p = dbn.features(x, level)
        score = feature_scores(dbn, x, level)
        assert torch.allclose(1 - torch.exp(-score), p.amax((2, 3)), atol=1e-5)
        assert torch.allclose(feature_scores(dbn, x, level, by="mean"), p.mean((2, 3)), atol=1e-6)
    assert all(len(column[column > 1].unique()) == (column > 1).sum() for column in score.T)


@pytest.mark.parametrize("side, hidden", [("left", (slice(None), slice(0, 32))), ("right", (slice(None), slice(32, 64))), ("top", (slice(0, 32), slice(None))), ("bottom", (slice(32, 64), slice(None)))],
                         ids=["left", "right", "top", "bottom"])
def test_the_half_on_that_side_is_hidden(side, hidden):
    known = half_known(side)
    assert known.shape == (1, 1, 64, 64) and known.sum() == 64 * 32 and not known[0, 0][hidden].any()


def test_the_error_counts_hidden_pixels_alone():
    known, x = half_known("top"), torch.zeros(2, 1, 64, 64)
    wrong = x + 3 * known + 2 * (1 - known)
    assert completion_error(wrong, x, known).tolist() == [4.0, 4.0] and completion_error(x + known, x, known).tolist() == [0.0, 0.0]


def test_a_completed_face_is_nearer_than_layer_one_alone_never_peeks_and_planted_runs_away_at_full_weights():
    """Held-out persons, the right half hidden. What the network is given holds no hidden pixel: others there change nothing."""
    x = white_pictures(load_caltech("test", categories=["Faces_easy"]))[::9]
    dbn, known = load_conv_dbn("faces"), half_known("right")
    run = lambda network, pictures, **options: complete(network, pictures, known, rng=torch.Generator().manual_seed(0), **options)
    error = lambda y: completion_error(y, x, known).mean()
    whole = run(dbn, x)
    assert error(whole) < error(run(ConvDBN(list(dbn.rbms[:1])), x)) < error(run(dbn, x, upper=1.0)) - 0.05
    assert torch.equal(whole * known, x * known) and torch.equal(whole * (1 - known), run(dbn, x * known + 5 * (1 - known)) * (1 - known))
