"""Figures of chapter 09 show what was computed: read back from their words and artists. Its widget's frames are drawn in test_chapter_widgets.py."""
import math

import numpy as np
import pytest
import torch

from deepgen_lib import plots
from deepgen_lib.plots.vq_losses import CODES, STEP, WANTED, nearest

vq = plots.vq_losses
TWO = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)


def arrows(picture, panel: int = 0) -> dict[str, np.ndarray]:
    """{name: (M, 4) of start and way} of a panel."""
    return {a.get_label(): np.column_stack([a.XY, a.U, a.V]) for a in picture.figure.axes[panel].collections if hasattr(a, "XY")}


def test_cells_are_tinted_by_the_nearest_code():
    axis = vq.cells(TWO, {"z_e": torch.tensor([[0.5, 0.5], [-0.5, 0.5]])}).figure.axes[0]
    image, = axis.images
    cells, (left, right, *_) = np.asarray(image.get_array()), image.get_extent()
    x = left + (np.arange(cells.shape[1]) + 0.5) / cells.shape[1] * (right - left)
    assert (cells == (x > 0)).all()


def test_of_equally_near_codes_the_lowest_index_wins():
    assert nearest(np.array([[0.0, 3.0]]), np.array([[1.0, 0], [-1, 0], [1, 0]])).tolist() == [0]


def test_arrows_start_and_lead_where_they_are_told():
    picture = vq.cells(TWO, arrows={"quantization": (TWO[:1], torch.tensor([[0.25, 0.5]]))})
    assert arrows(picture)["quantization"].tolist() == [[-1.0, 0.0, 0.25, 0.5]]


def test_the_staircase_leaves_a_gap_at_a_jump():
    walk = torch.stack([torch.linspace(-1, 1, 5), torch.zeros(5)], 1)
    line, = vq.staircase(TWO, walk, torch.tensor([2.0, 2.0, 1.0, 1.0, 1.0])).figure.axes[1].lines
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False, False, False]


def test_the_crossing_names_the_codes_in_the_order_of_the_visit():
    path = torch.tensor([[-1.0, 0], [-0.5, 0], [0.5, 0], [-0.1, 0]])
    picture = vq.crossing(TWO, path, torch.tensor([0.0, 1.0]), torch.tensor([3.0, 3, 1, 3]))
    assert "codes 0 → 1 → 0" in picture.description
    assert arrows(picture)["reconstruction"][:, 2] == pytest.approx([0.5, 1.0, -0.6])


def test_k_means_writes_the_mean_squared_distance_over_each_step():
    words = vq.k_means([TWO, 2 * TWO], TWO).description
    assert "step 0: 0.000" in words and "step 1: 1.000" in words


def test_the_table_of_movers_tells_zero_from_little():
    words = vq.who_moves(torch.tensor([[0.0, 1e-9], [0.5, 0.0]]), rows=["a", "b"], columns=["c", "d"]).figure.axes[0]
    assert [t.get_text() for t in words.texts] == ["0", "0.000", "0.500", "0"]
    assert np.asarray(words.images[0].get_array()).tolist() == [[False, True], [True, False]]


def test_ablations_draw_one_line_per_run():
    words = vq.ablations([5, 10], {"all": [0.5, 0.25], "less": [1.0, 1.0]}, ylabel="error").description
    assert "line 'all', 2 points: x 5.0, 10.0; y 0.5, 0.25" in words and "log scale" in words


@pytest.mark.parametrize("beta", [0.0, 0.25, 4.0])
def test_the_widget_draws_the_downhill_slopes_of_the_three_terms(beta):
    """Against autograd: half the squares, straight-through to z_e."""
    place = (-0.55, -0.05)
    z, e = torch.tensor(place, dtype=torch.float64, requires_grad=True), torch.tensor(CODES, requires_grad=True)
    k = ((z - e) ** 2).sum(1).argmin()
    given = z + (e[k] - z).detach()
    terms = {"reconstruction": (given - torch.tensor(WANTED)).square().sum() / 2, "quantization": (z.detach() - e[k]).square().sum() / 2, "commitment": beta * (z - e[k].detach()).square().sum() / 2}
    found = arrows(vq.pushes(place=place, beta=beta))
    for name, term in terms.items():
        at_z, at_codes = torch.autograd.grad(term, (z, e), retain_graph=True, allow_unused=True, materialize_grads=True)
        start, slope = (e[k], at_codes[k]) if name == "quantization" else (z, at_z)
        other = at_z if name == "quantization" else at_codes
        assert found[name][0] == pytest.approx([*start.tolist(), *(-STEP * slope).tolist()]), name
        assert not other.any()


def test_a_term_that_is_off_has_no_arrow_and_no_bar():
    picture = vq.pushes(term="commitment", beta=1.0)
    assert list(arrows(picture)) == ["commitment"]
    assert [bar.get_width() > 0 for bar in picture.figure.axes[1].patches] == [False, False, True]


@pytest.mark.parametrize("draw, message", [
    (lambda: vq.cells(torch.zeros(3, 3)), "cells: codes are"),
    (lambda: vq.cells(TWO, arrows={"a": (TWO, torch.zeros(2, 1))}), "arrows 'a' are"),
    (lambda: vq.k_means([TWO], torch.tensor([[math.nan, 0.0]])), "NaN"),
    (lambda: vq.who_moves(torch.tensor([[-1.0]]), rows=["a"], columns=["b"]), "numbers from 0 up"),
    (lambda: vq.who_moves(torch.ones(2, 2), rows=["a"], columns=["b", "c"]), r"expected \(1, 2\)"),
], ids=["codes", "arrows", "points", "negative", "rows"])
def test_what_cannot_be_read_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
