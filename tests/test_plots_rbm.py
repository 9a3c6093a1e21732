"""Figures of chapter 02 show what was computed: read back from their words. Their widget is drawn in test_chapter_widgets.py."""
import math

import pytest
import torch

from deepgen_lib import RBM, all_states, exact_gradient, plots, random_rbm
from deepgen_lib.objectives import Gradient
from deepgen_lib.plots.rbm import angle_and_length


def ends_at(v_on: float) -> RBM:
    """Two free visible units, on with chance v_on each, and one free hidden unit."""
    rbm = RBM(2, 1, weight_std=0.0).double().requires_grad_(False)
    rbm.b += math.log(v_on / (1 - v_on))
    return rbm


def test_the_table_of_pairs_has_one_row_per_v_and_adds_up_to_p_of_v():
    words = plots.rbm.joint(ends_at(0.8)).description
    assert "0.02, 0.02 | 0.08, 0.08 | 0.08, 0.08 | 0.32, 0.32" in words.replace("0.020000", "0.02")
    assert "length 0.04, 0.16, 0.16, 0.64" in words and "ticks 00, 01, 10, 11" in words


def test_chosen_states_stand_in_front_with_their_own_bars():
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])
    words = plots.rbm.states({"data": p, "model": p.flip(0)}, first=all_states(2)[[3, 1]]).description
    assert "ticks 01, 11, 00, 10" in words
    assert "bars 'data', 4 of them: length 0.2, 0.4, 0.1, 0.3" in words and "bars 'model', 4 of them: length 0.3, 0.1, 0.4, 0.2" in words


def test_the_third_table_of_the_phases_is_data_minus_model():
    words = plots.rbm.phases(torch.tensor([[0.5, 0.75]]), torch.tensor([[0.25, 1.0]])).description
    assert words.count("cells") == 3 and "cells: 0.25, -0.25" in words


def test_angle_and_length_take_all_parameters_together(rng):
    zero = torch.zeros(1, 1), torch.zeros(1), torch.zeros(1)
    along = Gradient(torch.tensor([[3.0]]), *zero[1:])
    assert angle_and_length(along, Gradient(zero[0], torch.tensor([6.0]), zero[2])) == pytest.approx((90.0, 2.0))
    assert angle_and_length(along, Gradient(torch.tensor([[-1.5]]), *zero[1:])) == pytest.approx((180.0, 0.5))
    g = exact_gradient(random_rbm(3, 2, rng=rng), all_states(3)[[1, 6]])
    assert angle_and_length(g, g) == pytest.approx((0.0, 1.0), abs=1e-3)


@pytest.mark.parametrize("draw, message", [
    (lambda: plots.rbm.joint(RBM(6, 2).double()), "6 bits are 64 states, expected at most 5 bits"),
    (lambda: plots.rbm.states({"data": torch.full((3,), 1 / 3)}), "got 3 probabilities, expected 2\\*\\*n"),
    (lambda: plots.rbm.states({"data": torch.full((4,), 1 / 4)}, first=all_states(3)), "have 3 bits, expected 2"),
])
def test_what_cannot_be_read_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
