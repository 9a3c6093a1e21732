"""Figures of chapter 05 show what was computed: read back from their words. Their widget is drawn in test_chapter_widgets.py."""
import math

import pytest
import torch

from deepgen_lib import DBN, RBM, all_states, plots, random_rbm, tied_rbm, visible_log_prob


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def coins(n_visible: int, n_hidden: int, p: float) -> RBM:
    """Independent units, visible ones on with chance p, hidden ones fair."""
    rbm = RBM(n_visible, n_hidden, weight_std=0.0).double().requires_grad_(False)
    rbm.b += math.log(p / (1 - p))
    return rbm


def loose() -> tuple[DBN, torch.Tensor]:
    """A network whose bound is not tight, and data."""
    rng = generator(1)
    return DBN([random_rbm(3, 2, rng=rng), random_rbm(2, 3, rng=rng)]).requires_grad_(False), all_states(3)[[1, 6]]


def test_the_marginal_is_the_row_sums_of_the_table():
    words = plots.tied.marginal(coins(2, 1, 0.8)).description
    assert "0.02, 0.02 | 0.08, 0.08 | 0.08, 0.08 | 0.32, 0.32" in words.replace("0.020000", "0.02")
    assert "length 0.04, 0.16, 0.16, 0.64" in words


def test_the_recursion_multiplies_columns_and_adds_rows():
    given = torch.tensor([[0.25, 0.5], [0.75, 0.5]])
    words = plots.tied.recursion(given, torch.tensor([0.2, 0.8])).description
    assert "cells: 0.05, 0.4 | 0.15, 0.4" in words and "length 0.45, 0.55" in words and "0 × 0.20" in words.replace("\n", " ")


def test_priors_are_bars_over_the_states_of_the_layer():
    words = plots.tied.priors({"prior": torch.tensor([0.1, 0.2, 0.3, 0.4])}, level=2).description
    assert "length 0.1, 0.2, 0.3, 0.4" in words and "x axis 'h²'" in words and "ticks 00, 01, 10, 11" in words


def test_terms_are_drawn_from_where_they_started():
    words = plots.tied.terms({"climb": torch.tensor([[-2.0, -3.0, 1.0], [-2.0, -2.5, 1.0]])}, [0, 10]).description
    assert "line 'prior', 2 points: x 0.0, 10.0; y 0.0, 0.5" in words and "line 'entropy', 2 points: x 0.0, 10.0; y 0.0, 0.0" in words


def test_an_equal_network_lies_on_zero_and_another_does_not():
    exact = torch.tensor([-1.0, -2.0])
    words = plots.tied.against(exact, {"tied": exact, "wrong": exact - 0.5}).description
    assert "'tied', 2 points: x -1.0, -2.0; y 0.0, 0.0" in words and "'wrong', 2 points: x -1.0, -2.0; y -0.5, -0.5" in words


def test_starts_and_curves_show_the_networks_own_log_p_bound_and_gap():
    net, x = loose()
    log_p, bound = net.log_likelihood(x).mean().item(), net.bound(x).total.mean().item()
    assert log_p - bound > 0.01
    lower, upper = (bars[0] for bars in plots.tied.starts({"loose": net}, x).figure.axes[0].containers)
    assert lower.get_y() + lower.get_height() == pytest.approx(bound) == pytest.approx(upper.get_y())
    assert upper.get_height() == pytest.approx(log_p - bound)
    first, second = plots.tied.curves([net, net], x, steps=[0, 5]).figure.axes
    drawn = {line.get_label(): line.get_ydata() for axis in (first, second) for line in axis.lines}
    assert drawn["log p(x)"] == pytest.approx([log_p] * 2) and drawn["bound"] == pytest.approx([bound] * 2)
    assert list(drawn.values())[2] == pytest.approx([log_p - bound] * 2) and list(drawn.values())[3] == pytest.approx([log_p - bound] * 2)


def test_gains_draw_bound_across_and_likelihood_upwards():
    words = plots.tied.gains({"third layer": torch.tensor([[0.5, -0.25], [1.0, 0.75]])}).description
    assert "x 0.5, 1.0; y -0.25, 0.75" in words


def test_the_widget_shows_the_prior_of_the_layer_that_is_trained():
    rng = generator(2)
    low, middle = random_rbm(3, 2, rng=rng), random_rbm(2, 3, rng=rng)
    third = DBN([low, middle, tied_rbm(middle)]).requires_grad_(False)
    x = all_states(3)[:2]
    picture = plots.tied.untying({"third": ([third, third], x, -1.0)}, steps=[0, 7])(step=7)
    p = visible_log_prob(third.top).exp()
    assert "p(h²) after 7 steps" in picture.description
    drawn = [bar.get_height() for bar in picture.figure.axes[0].containers[0]]
    assert drawn == pytest.approx(p.tolist())


@pytest.mark.parametrize("draw, message", [
    (lambda: plots.tied.marginal(RBM(5, 2).double()), "5 units have 32 states, expected at most 4"),
    (lambda: plots.tied.recursion(torch.eye(2), torch.full((4,), 0.25)), "given has 2 columns and above has 4 values"),
    (lambda: plots.tied.against(torch.tensor([math.nan]), {"tied": torch.zeros(1)}), "NaN"),
], ids=["marginal", "recursion", "against"])
def test_what_cannot_be_read_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
