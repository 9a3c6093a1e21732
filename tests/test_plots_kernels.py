"""Figures of chapter 14 show what the model says and what the grid is. The widget's frames are drawn in test_chapter_widgets.py."""
import numpy as np
import pytest
import torch

from deepgen_lib import plots
from deepgen_lib.roofline import BUILDER, FORMS, H200, Prices, Work, half_step_work, seconds

kernels = plots.kernels
TOY = Prices(launch=2e-6, byte=1e-9, multiply_add=1e-10, number=4, what="toy")


def line(axis, label):
    return next(np.column_stack(one.get_data()).tolist() for one in axis.lines if one.get_label().removeprefix("_") == label)


def test_a_roof_bends_at_the_ridge():
    axis = kernels.roofline([TOY]).figure.axes[0]
    (left, low), (ridge, top), (right, flat) = line(axis, "toy")
    assert ridge == pytest.approx(10.0) and top == flat == pytest.approx(1e10) and low == pytest.approx(left * 1e9)


def test_a_point_counts_its_launch():
    axis = kernels.roofline([TOY], {"work": {"toy": [Work("a", 1000, 20_000)]}}).figure.axes[0]
    assert line(axis, "work: toy") == [[pytest.approx(20.0), pytest.approx(20_000 / (2e-6 + 2e-6))]]


def test_bars_of_the_timeline_are_microseconds_end_to_end():
    forms = {"a": [Work("a", 1000, 100)], "b": [Work("b", 1000, 20_000)] * 2}
    axis = kernels.timeline(forms, TOY).figure.axes[0]
    found = {bars.get_label(): [(bar.get_x(), bar.get_width()) for bar in bars] for bars in axis.containers}
    assert found["launch"] == [(0.0, pytest.approx(2.0)), (0.0, pytest.approx(4.0))]
    assert found["memory"] == [(pytest.approx(2.0), pytest.approx(1.0)), (pytest.approx(4.0), 0.0)]
    assert found["arithmetic"] == [(pytest.approx(3.0), 0.0), (pytest.approx(4.0), pytest.approx(4.0))]


def test_lanes_beyond_the_end_are_white_and_hold_other():
    axis = kernels.lanes(5, 4, other="X").figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["0", "1", "2", "3", "4", "X", "X", "X"]
    assert np.asarray(axis.images[0].get_array()).tolist() == [[1, 1, 1, 1, 2, 0, 0, 0]]
    assert axis.get_title("left") == "5 numbers, 2 programs of 4 lanes"


def test_tilings_draw_the_states_and_the_borders_between_tiles():
    h = torch.eye(5)
    picture = kernels.tilings({"a": h, "b": h}, {"a": (2, 4), "b": (8, 8)})
    first, second = picture.figure.axes
    assert np.asarray(first.images[0].get_array()).tolist() == h.tolist()
    across = sorted(one.get_ydata()[0] for one in first.lines if one.get_ydata()[0] == one.get_ydata()[1])
    assert across == [1.5, 3.5] and len(first.lines) == 3 and len(second.lines) == 0


def test_a_race_shows_medians_over_ours_in_the_row_of_their_work():
    times = {"sum": {"ours": [0.001, 0.002, 0.009], "eager": [0.004]}, "alone": {"ours": [0.01]}, "nothing ran": {}, "search": {"ours": [0.01], "eager": [0.001, 0.005, 0.006], "peer": [0.02]}}
    axis = kernels.race(times).figure.axes[0]
    assert line(axis, "eager") == [[pytest.approx(2.0), 0], [pytest.approx(0.5), 1]] and line(axis, "peer") == [[pytest.approx(2.0), 1]]
    assert [x for x, _ in line(axis, "ours")] == [1, 1]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["sum", "search"] and axis.get_xscale() == "log"


@pytest.mark.parametrize("form", FORMS)
def test_the_widget_shows_the_shares_of_the_model(form):
    axes = kernels.limits(chains=1000, steps=5, form=form).figure.axes
    widths = {bars.get_label().removeprefix("_"): [bar.get_width() for bar in bars] for bars in axes[1].containers}
    for row, prices in enumerate((H200, BUILDER)):
        found = seconds(half_step_work(1000, 784, 500, form=form, n_steps=5, number=prices.number), prices)
        assert [widths[limit][row] for limit in found] == pytest.approx([100 * s / sum(found.values()) for s in found.values()])


@pytest.mark.parametrize("duration, words", [(1.62e-5, "16.2 µs"), (2.011e-4, "201 µs"), (4.334e-3, "4.33 ms"), (1.9798, "1.98 s"), (2e-7, "0.200 µs")])
def test_times_are_written_in_units_that_one_reads(duration, words):
    assert kernels._readable(duration) == words


@pytest.mark.parametrize("draw, words", [
    (lambda: kernels.lanes(0, 4), "n is 0"), (lambda: kernels.lanes(5, 100), "block is 100"),
    (lambda: kernels.tilings({"a": torch.eye(2)}, {"b": (1, 1)}), "the same names"), (lambda: kernels.limits(form="two"), "form is 'two'"),
    (lambda: kernels.race({"a": {"ours": [1.0]}}), "got no times"),
    (lambda: kernels.tilings({"a": torch.tensor([[torch.nan]])}, {"a": (1, 1)}), "NaN"),
], ids=["none", "wide", "names", "form", "race", "nan"])
def test_what_cannot_be_drawn_is_refused(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()
