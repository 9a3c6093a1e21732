"""Straight-through and the two terms: values bit for bit, and every gradient where it belongs and nowhere else; each known slip is seen."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import nearest_code, perplexity, straight_through, vq_losses
from deepgen_lib.vector_quantisation import VQLosses, look_up


def without_detach(z_e, z_q):
    return z_e + (z_q - z_e)


def other_way_round(z_e, z_q):
    """Detached on the wrong side: the codes get the decoder's gradient too."""
    return z_q + (z_e - z_e.detach())


def through_rounding(z_e, z_q):
    """The usual line: right gradient, but the value is z_q only up to rounding."""
    return z_e + (z_q - z_e).detach()


def not_at_all(z_e, z_q):
    return z_q


def straight_through_faults(function) -> set[str]:
    """What is wrong with a straight-through."""
    rng = torch.Generator().manual_seed(0)
    z_e = torch.randn(5, 3, 4, generator=rng, requires_grad=True)
    z_q = (1e-3 * torch.randn(5, 3, 4, generator=rng)).requires_grad_()
    upstream, out = torch.randn(5, 3, 4, generator=rng), function(z_e, z_q)
    to_encoder, to_codes = torch.autograd.grad(out, (z_e, z_q), upstream, allow_unused=True)
    faults = {"value"} if not torch.equal(out, z_q) else set()
    faults |= {"encoder"} if to_encoder is None or not torch.equal(to_encoder, upstream) else set()
    return faults | ({"codes"} if to_codes is not None and to_codes.any() else set())


@pytest.mark.parametrize("function, faults", [(straight_through, set()), (without_detach, {"value", "encoder", "codes"}), (other_way_round, {"codes"}),
                                              (through_rounding, {"value"}), (not_at_all, {"encoder", "codes"})], ids=lambda x: getattr(x, "__name__", None))
def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other(function, faults):
    assert straight_through_faults(function) == faults


def detached_on_the_wrong_side(z_e, codes, ids):
    right = vq_losses(z_e, codes, ids)
    return VQLosses(right.commitment, right.quantization)


def nothing_detached(z_e, codes, ids):
    squares = (z_e - codes[ids]).square().flatten(1).sum(1)
    return VQLosses(squares, squares)


def averaged_over_the_axes(z_e, codes, ids):
    return VQLosses(*(term / z_e[0].numel() for term in vq_losses(z_e, codes, ids)))


def roots(z_e, codes, ids):
    """Distances instead of their squares."""
    e = codes[ids]
    return VQLosses((z_e.detach() - e).norm(dim=-1).flatten(1).sum(1), (z_e - e.detach()).norm(dim=-1).flatten(1).sum(1))


def losses_are_right(function):
    """Values, shapes and all four gradients, for a random weight of each example."""
    rng = torch.Generator().manual_seed(0)
    z_e = torch.randn(3, 2, 5, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    codes = torch.randn(6, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    ids, upstream = torch.randint(6, (3, 2, 5), generator=rng), torch.randn(3, generator=rng, dtype=torch.float64)
    difference = (z_e - codes[ids]).detach()
    want = difference.square().sum((1, 2, 3))
    weighted = 2 * upstream[:, None, None, None] * difference
    to_codes = torch.stack([-weighted[ids == k].sum(0) for k in range(6)])
    quantization, commitment = function(z_e, codes, ids)
    assert_close(quantization, want)
    assert_close(commitment, want)
    for term, encoder, code in ((quantization, None, to_codes), (commitment, weighted, None)):
        for got, expected in zip(torch.autograd.grad(term, (z_e, codes), upstream, allow_unused=True, retain_graph=True), (encoder, code)):
            assert_close(torch.zeros(()) if got is None else got.abs().sum().float() if expected is None else got, torch.zeros(()) if expected is None else expected)


def test_each_term_moves_its_own_side_alone():
    losses_are_right(vq_losses)


@pytest.mark.parametrize("wrong", [detached_on_the_wrong_side, nothing_detached, averaged_over_the_axes, roots])
def test_a_wrong_loss_is_seen(wrong):
    with pytest.raises(AssertionError):
        losses_are_right(wrong)


def test_looking_up_adds_gradients_over_equal_codes(rng):
    codes = torch.randn(4, 3, generator=rng, requires_grad=True)
    ids, upstream = torch.randint(4, (5, 7), generator=rng), torch.randn(5, 7, 3, generator=rng)
    assert torch.equal(look_up(codes, ids), codes[ids])
    want = torch.stack([upstream[ids == k].sum(0) for k in range(4)])
    assert_close(torch.autograd.grad(look_up(codes, ids), codes, upstream)[0], want)


def test_the_gradient_step_on_quantization_alone_is_a_step_to_the_mean(rng):
    """The slide's k-means: the sum of 2 (e - z) over a cell vanishes at the mean of the cell, not at its sum."""
    z, codes = torch.randn(50, 2, generator=rng, dtype=torch.float64), torch.randn(4, 2, generator=rng, dtype=torch.float64)
    ids = nearest_code(z, codes)
    for place, stationary in ((torch.stack([z[ids == k].mean(0) for k in range(4)]), True), (torch.stack([z[ids == k].sum(0) for k in range(4)]), False)):
        place.requires_grad_()
        slope = torch.autograd.grad(vq_losses(z, place, ids).quantization.sum(), place)[0]
        assert (slope.abs().max().item() < 1e-10) == stationary


@pytest.mark.parametrize("counts, want", [([1, 1, 1, 1], 4.0), ([5, 0, 0], 1.0), ([2.0, 2.0, 0.0], 2.0), ([1, 3], 4 / 27**0.25)])
def test_perplexity_is_the_number_of_codes_used_as_if_evenly(counts, want):
    assert_close(perplexity(torch.tensor(counts)).item(), want)
