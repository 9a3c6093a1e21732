"""Figures of chapter 12 show what was computed: read back from their words and artists. Its widget's frames are drawn in test_chapter_widgets.py."""
import math

import numpy as np
import pytest
import torch

from deepgen_lib import plots
from deepgen_lib.plots.nvae_kl import SHIFTS, SIGMAS, WIDGET_Q
from deepgen_lib.residual_normal import ResidualNormal, relative_to, residual_normal_kl

nvae_kl, F64 = plots.nvae_kl, torch.float64


def one(*four: float) -> ResidualNormal:
    return ResidualNormal(*(torch.tensor(v, dtype=F64) for v in four))


def lines(axis) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in axis.lines}


def title(axis) -> str:
    return axis.get_title(loc="left")


def nats(words: str) -> float:
    return float(words.split()[-2])


def test_beside_draws_the_two_densities_and_writes_the_librarys_kl():
    cases = {"a": one(1.0, 0.2, -0.5, math.log(0.5)), "b": one(0.0, 0.0, 0.0, 0.0)}
    for axis, r in zip(nvae_kl.beside(cases).figure.axes, cases.values()):
        assert nats(title(axis)) == pytest.approx(r.kl().item(), abs=5e-4)
        drawn = lines(axis)
        for name, mean, scale in (("prior p", r.mu, r.log_sigma.exp()), ("posterior q", r.mu + r.delta_mu, (r.log_sigma + r.delta_log_sigma).exp())):
            z, density = drawn[name].T
            np.testing.assert_allclose(density, torch.distributions.Normal(mean, scale).log_prob(torch.tensor(z)).exp(), atol=1e-12)


def test_charges_evaluates_each_formula_where_its_axes_say():
    right = lambda d, t, s: residual_normal_kl(d, t.log(), s.log().expand_as(d))
    figure = nvae_kl.charges({"right": right, "shifted": lambda *a: right(*a) + 0.25}, sigma=0.5).figure
    for panel, at in ((0, lambda x: 0.5 * (x**2 - np.log(x**2) - 1)), (1, lambda x: 0.5 * (x / 0.5) ** 2)):
        drawn = lines(figure.axes[panel])
        np.testing.assert_allclose(drawn["right"][:, 1], at(drawn["right"][:, 0]), atol=1e-12)
        np.testing.assert_allclose(drawn["shifted"][:, 1] - drawn["right"][:, 1], 0.25)


def test_moving_shows_who_follows_and_what_it_costs():
    z1 = torch.linspace(-1, 1, 5, dtype=F64)
    zero, log_sigma = torch.zeros_like(z1), torch.full_like(z1, 0.1).log()
    ways = {"relative": ResidualNormal(10 * z1, log_sigma, zero, zero), "absolute": relative_to(10 * z1, log_sigma, zero, zero)}
    places, costs = map(lines, nvae_kl.moving(z1, ways).figure.axes)
    assert places["q, relative"][:, 1].tolist() == (10 * z1).tolist() and not places["q, absolute"][:, 1].any()
    for way, r in ways.items():
        np.testing.assert_allclose(costs[way][:, 1], r.kl(), rtol=1e-12, atol=1e-12)
    assert costs["absolute"][-1, 1] == pytest.approx(0.5 * ((100 + 1) / 0.01 - math.log(100) - 1))


@pytest.mark.parametrize("way", ["relative", "absolute"])
def test_the_widget_moves_the_prior_and_says_the_kl(way):
    for shift in SHIFTS:
        for sigma in SIGMAS:
            axis, = nvae_kl.follow(shift=shift, sigma=sigma, way=way).figure.axes
            mean, scale = (shift + WIDGET_Q[0], sigma * WIDGET_Q[1]) if way == "relative" else WIDGET_Q
            q, p = torch.distributions.Normal(mean, scale), torch.distributions.Normal(shift, sigma)
            assert nats(title(axis)) == pytest.approx(torch.distributions.kl_divergence(q, p).item(), abs=5.1e-3, rel=1e-5)
            drawn = lines(axis)
            assert drawn["prior p"][drawn["prior p"][:, 1].argmax(), 0] == pytest.approx(shift, abs=0.03)
            assert drawn["posterior q"][drawn["posterior q"][:, 1].argmax(), 0] == pytest.approx(mean, abs=0.03)
            assert max(line[:, 1].max() for line in drawn.values()) < axis.get_ylim()[1], "no peak is cut off"


def test_training_draws_each_group_and_shades_the_warm_up():
    kl = torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 1.0]])
    figure = nvae_kl.training([0, 10, 20], kl, [-90.0, -50.0, -45.0], warm_up=0.5, names=["z1", "z2"]).figure
    drawn = lines(figure.axes[0])
    assert drawn["z1"][:, 1].tolist() == [0, 1, 2] and drawn["z2"][:, 1].tolist() == [0, 3, 1]
    shade, = figure.axes[0].patches
    assert (shade.get_x(), shade.get_width()) == (0, 10)
    assert lines(figure.axes[1])["_bound"].tolist() == [[10, -50], [20, -45]], "the start would hide the rest"
    assert not nvae_kl.training([0, 10, 20], kl, [-90.0, -50.0, -45.0], warm_up=0.0, names=["z1", "z2"]).figure.axes[0].patches


def test_used_writes_nats_and_marks_who_hardly_speaks():
    """0.6 nats are little over 100 numbers and not over 10."""
    figure = nvae_kl.used({"a": [3.0, 0.6], "b": [0.6, 2.0]}, dimensions=[10, 100]).figure
    assert [[text.get_text() for text in axis.texts] for axis in figure.axes] == [["3.0", "0.6"], ["0.6", "2.0"]]
    assert [[bar.get_height() for bar in axis.patches if bar.get_hatch()] for axis in figure.axes] == [[0.6], []]
    assert sorted(bar.get_height() for bar in figure.axes[0].patches) == [0.6, 3.0] and title(figure.axes[0]) == "a:\n3.6 nats in all"


@pytest.mark.parametrize("draw, message", [
    (lambda: nvae_kl.beside({}), "beside: got no cases"),
    (lambda: nvae_kl.beside({"a": torch.zeros(4)}), "expected a ResidualNormal"),
    (lambda: nvae_kl.beside({"a": one(0.0, float("nan"), 0.0, 0.0)}), "NaN"),
    (lambda: nvae_kl.beside({"a": ResidualNormal(*torch.zeros(4, 2))}), "several normals"),
    (lambda: nvae_kl.moving(torch.zeros(3), {"a": ResidualNormal(*torch.zeros(4, 2))}), "3 normals"),
    (lambda: nvae_kl.training([0, 1], torch.zeros(2, 3), [0.0, 0.0], warm_up=0.0, names=["z1"]), r"expected \(2, 1\)"),
    (lambda: nvae_kl.training([0, 1], torch.zeros(2, 1), [0.0], warm_up=0.0, names=["z1"]), r"bound \(1,\)"),
    (lambda: nvae_kl.used({"a": [1.0]}, dimensions=[4, 4]), "2 groups"),
], ids=["none", "no normal", "nan", "several", "z1", "names", "bound", "groups"])
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
