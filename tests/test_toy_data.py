"""toy_data.py: every stated distribution is the one that the samples follow."""
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from deepgen_lib.data import bars_and_stripes, parity, toy_mixture, toy_prototypes
from deepgen_lib.enumeration import all_states


@pytest.mark.parametrize("side", [2, 3, 4, 6])
def test_bars_and_stripes_are_all_of_them_once(side):
    images = bars_and_stripes(side)
    assert images.shape == (2 ** (side + 1) - 2, side * side) and len(images.unique(dim=0)) == len(images)
    squares = images.view(-1, side, side)
    rows, columns = (squares == squares[:, :, :1]).all((1, 2)), (squares == squares[:, :1]).all((1, 2))
    assert (rows | columns).all() and (rows & columns).sum() == 2


def test_no_image_of_bars_and_stripes_is_missing():
    squares = all_states(9).view(-1, 3, 3)
    wanted = ((squares == squares[:, :, :1]).all((1, 2)) | (squares == squares[:, :1]).all((1, 2)))
    assert torch.equal(bars_and_stripes(3).unique(dim=0), squares[wanted].flatten(1).unique(dim=0))


def test_duplicates_give_blank_and_full_their_double_weight():
    images = bars_and_stripes(4, duplicates=True)
    distinct, count = images.unique(dim=0, return_counts=True)
    assert len(images) == 32 and len(distinct) == 30 and count[distinct.mean(1) % 1 == 0].tolist() == [2, 2] and count.sum() == 32


@pytest.mark.parametrize("n", [2, 3, 7])
def test_parity_is_even_complete_and_pairwise_invisible(n):
    states = parity(n)
    assert states.shape == (2 ** (n - 1), n) and (states.sum(1) % 2 == 0).all() and len(states.unique(dim=0)) == len(states)
    if n > 2:
        assert_close(torch.cov(states.T, correction=0), torch.eye(n, dtype=torch.float64) / 4)


def test_prototypes_sum_up_as_written():
    toy = toy_prototypes(weights=torch.tensor([0.5, 0.3, 0.2]), flip=0.2)
    assert toy.states.shape == (64, 6) and toy.joint.shape == (64, 3)
    x, k = 11, 1
    by_hand = 0.3 * math.prod(0.2 if a != b else 0.8 for a, b in zip(toy.states[x].tolist(), toy.prototypes[k].tolist()))
    assert toy.joint[x, k].item() == pytest.approx(by_hand, rel=1e-6)  # the weights were float32
    assert_close(toy.joint.sum(0), toy.weights)
    assert_close(toy.posterior.sum(1), torch.ones(64, dtype=torch.float64))
    assert_close(toy.entropy, -(toy.probabilities * toy.probabilities.log()).sum())


def test_samples_follow_the_prototypes_exact_distribution(rng):
    toy, n = toy_prototypes(), 20_000
    weight = 2 ** torch.arange(5, -1, -1, dtype=torch.float64)
    seen = torch.bincount((toy.sample(n, rng) @ weight).long(), minlength=64) / n
    p = toy.probabilities
    assert (seen - p).abs().sum() < 2 * (p * (1 - p) / n).sqrt().sum()
    assert (seen - p.flip(0)).abs().sum() > 10 * (p * (1 - p) / n).sqrt().sum()  # a reversed bit order would be seen


def test_mixture_densities_integrate_to_their_weights(rng):
    toy = toy_mixture(200_000, rng=rng)
    frequencies = torch.bincount(toy.components) / 200_000
    assert_close(toy.weights, torch.tensor([1, 2, 3], dtype=torch.float64) / 6)
    assert (frequencies - toy.weights).abs().max() < 4 * 0.5 / math.sqrt(200_000)
    posterior = toy.log_joint.softmax(1)  # averaged over the points, the posterior is the prior
    assert (posterior.mean(0) - toy.weights).abs().max() < 4 * 0.5 / math.sqrt(200_000)
    away = toy.points - toy.means[toy.components]
    assert away.std().item() == pytest.approx(0.5, rel=0.01)
    x = toy.points[7]
    normal = torch.distributions.Normal(toy.means, 0.5).log_prob(x).sum(1) + toy.weights.log()
    assert_close(toy.log_joint[7], normal)


def test_draws_are_set_by_the_generator_alone():
    def draw(seed):
        rng = torch.Generator().manual_seed(seed)
        return torch.cat([toy_mixture(9, rng=rng).points, toy_prototypes().sample(3, rng).view(-1, 2)])
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


G = torch.Generator()
NUMBERS = st.one_of(st.integers(-9, 1), st.floats(), st.booleans(), st.none(), st.text(max_size=3), st.just(10**6))


@given(bad=NUMBERS)
@settings(max_examples=100, deadline=None)
def test_bad_sizes_are_answered(bad):
    for call in (bars_and_stripes, parity):
        with pytest.raises(ValueError, match=f"^{call.__name__}: .*expected .*; "):
            call(bad)


@given(bad=st.one_of(st.integers(-9, 0), st.floats(), st.booleans(), st.none(), st.text(max_size=3)))
@settings(max_examples=100, deadline=None)
def test_bad_counts_are_answered(bad):
    for call in (lambda: toy_mixture(bad, rng=G), lambda: toy_mixture(3, n_components=bad, rng=G), lambda: toy_prototypes().sample(bad, G)):
        with pytest.raises(ValueError, match="expected .*; "):
            call()


@pytest.mark.parametrize("call, words", [
    (lambda: bars_and_stripes(3, duplicates=1), "duplicates is 1"),
    (lambda: toy_mixture(3, std=0.0, rng=G), "std is 0.0"),
    (lambda: toy_mixture(3, radius=math.nan, rng=G), "radius is nan"),
    (lambda: toy_mixture(3, rng=0), "rng is int"),
    (lambda: toy_prototypes(torch.ones(2, 13)), "13 bits"),
    (lambda: toy_prototypes(torch.full((2, 3), 0.5)), "values other than 0 and 1"),
    (lambda: toy_prototypes(torch.ones(3)), "shape (3,)"),
    (lambda: toy_prototypes(weights=torch.tensor([0.5, 0.5])), "one per prototype"),
    (lambda: toy_prototypes(weights=torch.tensor([0.5, 0.5, 0.5])), "no distribution"),
    (lambda: toy_prototypes(weights=torch.tensor([[0.5, 0.2, 0.3]])), "one per prototype"),
    (lambda: toy_prototypes(flip=0), "flip is 0"),
    (lambda: toy_prototypes(flip=0.6), "flip is 0.6"),
    (lambda: toy_prototypes().sample(3, None), "rng is NoneType"),
])
def test_bad_arguments_are_answered(call, words):
    with pytest.raises(ValueError, match="^(bars|toy|Proto).*: .*expected .*; .+") as caught:
        call()
    assert words in str(caught.value)
