"""Figures of chapter 04: what they draw is what they were given, read back from their words. Their widget is drawn in test_chapter_widgets.py."""
import pytest
import torch

from deepgen_lib import DBN, plots, random_rbm

QUARTERS = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)


def network(*sizes: int) -> DBN:
    rng = torch.Generator().manual_seed(0)
    return DBN([random_rbm(a, b, rng=rng) for a, b in zip(sizes, sizes[1:])]).requires_grad_(False)


def test_the_anatomy_points_the_right_way_in_each_network():
    generation, recognition, boltzmann = plots.dbn.anatomy([4, 3, 2]).description.split("Panel ")[1:]
    assert "'downwards x h¹', 12 of them" in generation and "'undirected h¹ h²', 6 of them" in generation and "upwards" not in generation
    assert "'upwards x h¹', 12 of them" in recognition and "undirected" not in recognition and "downwards" not in recognition
    assert boltzmann.count("undirected") == 2 and "wards" not in boltzmann
    assert "arrow from (2.2, 0.85) to (2.2, 0.15)" in generation and "arrow from (2.2, 0.15) to (2.2, 0.85)" in recognition


def test_the_factors_stand_top_first_with_their_own_shapes():
    first, second, third = plots.dbn.factors(network(2, 4, 3, 2)).description.split("Panel ")[1:]
    assert "p(h², h³): all cells 1" in first and "image of 8 x 4 pixels" in first and "mean 0.03125" in first  # 32 cells sum to one
    assert "P(h¹ | h²): each column 1" in second and "image of 16 x 8 pixels" in second and "mean 0.0625" in second
    assert "P(x | h¹): each column 1" in third and "image of 4 x 16 pixels" in third and "mean 0.25" in third


def test_tables_share_one_scale_and_name_their_states():
    words = plots.dbn.tables({"one": QUARTERS.reshape(2, 2), "other": QUARTERS.flip(0).reshape(2, 2) / 2}, rows="h²", columns="h³").description
    assert words.count("colours from 0.0625 to 0.5") == 2
    assert "cells: 0.5, 0.25 | 0.125, 0.125" in words and "cells: 0.0625, 0.0625 | 0.125, 0.25" in words


def test_states_are_bars_in_counting_order():
    words = plots.dbn.states({"posterior": QUARTERS, "q": QUARTERS.flip(0)}, layer="h¹").description
    assert "ticks 00, 01, 10, 11" in words and "bars 'posterior', 4 of them: length 0.5, 0.25, 0.125, 0.125" in words
    assert "'state of h¹'" in words and "bars 'q', 4 of them: length 0.125, 0.125, 0.25, 0.5" in words


def test_units_are_points_beside_the_curves():
    inputs = torch.tensor([[-1.0, 0.0], [1.0, 2.0]])
    words = plots.dbn.units({"from the table": (inputs, torch.full((2, 2), 0.5))}, {"half": lambda a: 0 * a + 0.5}, xlabel="input").description
    assert "points 'from the table', 4 points: x -1.0, 0.0, 1.0, 2.0; y 0.5, 0.5, 0.5, 0.5" in words
    assert "line 'half', 80 points: x evenly from -1.5 to 2.5; y" in words


def test_the_climb_marks_where_each_layer_begins():
    words = plots.dbn.climb([0, 10, 20], {"bound": [-3.0, -2.0, -1.5]}, layers={"layer 1": 0, "layer 2": 10}).description
    assert "line 'bound', 3 points" in words and "-3.0, -2.0, -1.5" in words
    assert "line 'start of layer 2', 2 points: x 10.0, 10.0" in words and "text 'layer 1'" in words


def test_sampling_shows_frequencies_the_exact_marks_and_the_verdict():
    render = plots.dbn.sampling({"right": {0: 1000 * QUARTERS.roll(1), 5: 1000 * QUARTERS}}, QUARTERS, allowed=20)
    good, bad = render(steps=5, sampler="right").description, render(steps=0, sampler="right").description
    assert "5 top sweeps: χ² = 0.0, passes (allowed 20)" in good and "bars 'samples', 4 of them: length 0.5, 0.25, 0.125, 0.125" in good
    assert "y 0.5, 0.25, 0.125, 0.125" in bad and "length 0.125, 0.5, 0.25, 0.125" in bad
    statistic = 375**2 / 500 + 250**2 / 250 + 125**2 / 125
    assert f"0 top sweeps: χ² = {statistic:.1f}, fails" in bad


@pytest.mark.parametrize("draw, message", [
    (lambda: plots.dbn.anatomy([5]), "expected 2 to 6 layers of 1 to 12 units"),
    (lambda: plots.dbn.anatomy([500, 20]), "expected 2 to 6 layers of 1 to 12 units"),
    (lambda: plots.dbn.tables({"a": torch.ones(4, 2), "b": torch.ones(2, 4)}, rows="v", columns="h"), "expected the same shape for all"),
    (lambda: plots.dbn.states({"q": torch.full((3,), 1 / 3)}, layer="h¹"), r"got 3 states, expected 2\*\*n"),
    (lambda: plots.dbn.units({"a": (torch.ones(3), torch.ones(2))}, {"b": torch.sigmoid}, xlabel="input"), "3 inputs and 2 probabilities"),
    (lambda: plots.dbn.sampling({"a": {0: torch.ones(3), 1: torch.ones(3)}}, torch.ones(3) / 3, allowed=1), r"got 3 states, expected 2\*\*n"),
])
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
