"""features.py: closed forms where a unit is linear in x, enumeration of binary images where it is not, mutants by sizes that all differ."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import DBN, LabelledRBM, all_states, random_rbm
from deepgen_lib.features import first_layer_filters, linear_combination, maximise_activation, top_images, top_rows

EXACT = dict(rtol=0, atol=1e-12)
SIZES = (6, 5, 4, 3)


@pytest.fixture
def dbn(rng) -> DBN:
    """6-5-4-3, recognition weights that are not the generative ones."""
    net = DBN([random_rbm(lower, upper, rng=rng) for lower, upper in zip(SIZES, SIZES[1:])]).requires_grad_(False)
    for layer in net.recognition:
        layer.W.add_(torch.randn(layer.W.shape, dtype=torch.float64, generator=rng))
        layer.c.add_(torch.randn(layer.c.shape, dtype=torch.float64, generator=rng))
    return net


def unit_log_odds(dbn: DBN, level: int, x: torch.Tensor) -> torch.Tensor:
    """(B, n_level), by the DBN's own way up."""
    return torch.logit(dbn.features(x, level))


def test_filters_are_columns_of_the_recognition_weights(dbn):
    W = dbn.recognition[0].W
    assert_close(first_layer_filters(dbn, [4, 0]), torch.stack([W[:, 4], W[:, 0]]), **EXACT)
    assert not torch.equal(first_layer_filters(dbn, [0])[0], dbn.directed[0].W[:, 0])


def test_one_rbm_is_a_dbn_of_one_layer(rng):
    rbm = random_rbm(6, 5, rng=rng).requires_grad_(False)
    assert_close(first_layer_filters(DBN([rbm]), range(5)), rbm.W.T, **EXACT)


def test_a_linear_combination_is_the_slope_of_the_network_without_its_sigmoids(dbn):
    assert_close(linear_combination(dbn, 1, [3]), first_layer_filters(dbn, [3]), **EXACT)
    for level in (2, 3):
        x = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        h = x
        for layer in [*dbn.recognition, dbn.top][:level]:
            h = h @ layer.W + layer.c
        for unit in range(SIZES[level]):
            slope, = torch.autograd.grad(h[unit], x, retain_graph=True)
            assert_close(linear_combination(dbn, level, [unit])[0], slope, **EXACT)


def test_at_level_1_the_box_maximum_turns_on_the_positive_weights(dbn, rng):
    got = maximise_activation(dbn, 1, range(5), rng=rng)
    assert_close(got, (dbn.recognition[0].W > 0).double().T, rtol=0, atol=1e-6)


def test_at_level_1_a_small_ball_gives_the_positive_part_of_the_filter(dbn, rng):
    positive = dbn.recognition[0].W.T.clamp_min(0)
    small = maximise_activation(dbn, 1, range(5), norm=0.5, n_steps=500, rng=rng)
    assert_close(small, 0.5 * positive / positive.norm(dim=1, keepdim=True), rtol=0, atol=1e-3)


def test_at_level_1_box_and_ball_together_meet_the_kkt_conditions(dbn, rng):
    got = maximise_activation(dbn, 1, range(5), norm=1.2, n_steps=1000, rng=rng)
    for x, w in zip(got, dbn.recognition[0].W.T):  # x = clamp(s w, 0, 1) with ‖x‖ = 1.2
        scales = torch.linspace(0, 50, 200_001, dtype=torch.float64)[:, None]
        images = (scales * w).clamp(0, 1)
        best = images[(images.norm(dim=1) - min(1.2, images[-1].norm())).abs().argmin()]
        assert_close(x, best, rtol=0, atol=5e-3)


@pytest.mark.parametrize("level", [2, 3])
def test_deeper_no_binary_image_excites_the_unit_more(dbn, level, rng):
    """The maximum over the box is at least the one over its corners, by enumeration; a local maximum must still be near."""
    got = maximise_activation(dbn, level, range(SIZES[level]), rng=rng)
    assert got.min() >= 0 and got.max() <= 1
    found = unit_log_odds(dbn, level, got).diagonal()
    assert (found >= unit_log_odds(dbn, level, all_states(6)).max(0).values - 1e-6).all()


def test_a_maximum_stays_in_the_ball_and_on_its_surface_where_it_binds(dbn, rng):
    lengths = maximise_activation(dbn, 2, range(4), norm=0.7, rng=rng).norm(dim=1)
    assert (lengths <= 0.7 + 1e-9).all() and (lengths > 0.7 - 1e-6).any()


def test_the_same_seed_gives_the_same_image_and_the_model_stays(dbn):
    before = [p.clone() for p in dbn.parameters()]
    a, b, c = (maximise_activation(dbn, 3, [0, 2], n_steps=3, rng=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and not a.requires_grad
    assert all(torch.equal(old, new) for old, new in zip(before, dbn.parameters()))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_top_images_are_those_with_the_largest_features(dbn, level, rng):
    images = torch.rand(40, 6, dtype=torch.float64, generator=rng)
    features = dbn.features(images, level)
    got = top_images(dbn, level, [2, 0], images, n_images=4)
    for chosen, unit in zip(got, [2, 0]):
        assert torch.equal(chosen, images[features[:, unit].argsort(descending=True)[:4]])
    assert torch.equal(got, images[top_rows(dbn, level, [2, 0], images, n_images=4)])


def test_top_images_rank_where_probabilities_have_saturated(rng):
    rbm = random_rbm(6, 2, rng=rng).requires_grad_(False)
    rbm.W.fill_(100.0)
    rbm.c.fill_(0.0)
    images = all_states(6)[[1, 63, 3, 7, 62]]
    assert DBN([rbm]).features(images, 1).eq(1).all()
    assert top_rows(DBN([rbm]), 1, [0], images, n_images=5).tolist() == [[1, 4, 3, 2, 0]]


def test_a_labelled_top_layer_is_seen_without_its_labels(rng):
    top = LabelledRBM(5, 3, 4, weight_std=1.0, rng=rng).double()
    net = DBN([random_rbm(6, 5, rng=rng), top]).requires_grad_(False)
    assert_close(linear_combination(net, 2, [1])[0], net.recognition[0].W @ top.W[:5, 1].detach(), **EXACT)
    assert maximise_activation(net, 2, [0, 3], n_steps=2, rng=rng).shape == (2, 6)
