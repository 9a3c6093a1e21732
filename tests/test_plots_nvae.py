"""Figures of chapter 11 show what was computed: read back from their words and artists. Its widgets' frames are drawn in test_chapter_widgets.py."""
import numpy as np
import pytest
import torch

from deepgen_lib import plots
from deepgen_lib.ladder import TwoGroupLadder
from deepgen_lib.nvae.tracing import trace
from deepgen_lib.plots.nvae import Depth
from deepgen_lib.plots.nvae_map import DRAWN, HELD, SAMPLE, TOY, arrows, places
from tests.nvae_models import pictures, random_nvae

GREY = "#f4f4f1"


@pytest.fixture
def visits():
    model = random_nvae(groups=(1, 2))
    return trace(model, pictures(model, 1), model.noise(1, torch.Generator().manual_seed(0)))


def test_the_ladders_ellipse_is_two_widths_around_the_mean():
    toy = TwoGroupLadder(2.0, 0.5, 1.0)
    q = toy.posterior(torch.tensor([1.5], dtype=torch.float64))
    curve, prior = plots.nvae.ladder(toy, {"exact": q}).figure.axes[0].lines
    z1, z2 = curve.get_data()
    spread = torch.linalg.inv(toy.precision)
    middle = np.array([float(q.mu[0]), float(q.offset[0] + q.slope * q.mu[0])])
    away = np.stack([z1, z2], 1) - middle
    assert np.einsum("ni,ij,nj->n", away, toy.precision.numpy(), away) == pytest.approx(4.0)
    assert z1.max() - middle[0] == pytest.approx(2 * float(spread[0, 0]) ** 0.5, rel=1e-3)
    assert prior.get_ydata() == pytest.approx(2.0 * prior.get_xdata())


def test_the_walk_shows_every_tensor_once_with_its_mean_channel(visits):
    axis = plots.nvae.walk(visits).figure.axes[0]
    shown = {image.get_label(): np.asarray(image.get_array()) for image in axis.images}
    assert set(shown) == set(places(3)) == set(visits)
    assert shown["tap 2"] == pytest.approx(visits["tap 2"].value[0].mean(0).numpy())
    words = [text.get_text() for text in axis.texts]
    assert "4×4×4   runs 1" in words and not any("runs 2" in word for word in words)


def test_what_did_not_run_is_an_empty_frame(visits):
    some = {name: visit for name, visit in visits.items() if not name.startswith(("tap", "x"))}
    axis = plots.nvae.walk(some).figure.axes[0]
    assert {image.get_label() for image in axis.images} == set(some)
    assert len(axis.patches) == len(places(3))
    assert len(axis.collections[0].get_paths()) == sum({a, b} <= set(some) for a, b in arrows(3))


def test_arrows_join_tensors_that_are_there():
    for n in (1, 2, 5):
        assert {name for pair in arrows(n) for name in pair} == set(places(n))
        assert len(set(places(n).values())) == len(places(n)), "no two at one place"


@pytest.mark.parametrize("tensor, walk, lit, dark", [
    ("x", DRAWN, {"prior 2", "path 2", "out"}, {"h", "path 1"}), ("x", HELD, {"tap 1", "posterior 3"}, {"prior 2", "path 2", "out"}),
    ("prior 2", DRAWN, {"z 2", "posterior 3"}, {"posterior 2", "tap 2"}), ("x", SAMPLE, set(), {"x", "prior 2", "out"}), ("z 1", SAMPLE, {"prior 2", "out"}, {"tap 1", "posterior 2"}),
])
def test_the_map_lights_what_moves(tensor, walk, lit, dark):
    picture = plots.nvae_map.hearing(tensor=tensor, walk=walk)
    said = picture.says.removesuffix(".").partition("with it: ")[2].split(", ")
    assert lit <= set(said) | {tensor} and not dark & set(said)
    axis = picture.figure.axes[0]
    boxes = next(c for c in axis.collections if c.get_label() == "_boxes")
    colours = {name: tuple(np.round(c[:3] * 255).astype(int)) for name, c in zip(places(TOY.n_groups), boxes.get_facecolor())}
    grey = tuple(int(GREY[i:i + 2], 16) for i in (1, 3, 5))
    assert all(colours[name] != grey for name in lit), colours
    assert all(colours[name] == grey for name in dark), colours


def test_the_cell_writes_every_layer_and_its_parameters():
    words = [text.get_text() for text in plots.nvae.cell([("BN", "4×8×8", 8), ("depthwise conv 5×5", "4×8×8", 1200)]).figure.axes[0].texts]
    assert "4×8×8\n1,200" in words and "depthwise\nconv\n5×5" in words


def test_scales_draws_one_square_a_group():
    axis = plots.nvae.scales({"a": [(4, 5), (8, 10)], "b": [(16, 3)]}).figure.axes[0]
    assert [len(c.get_offsets()) for c in axis.collections] == [5, 10, 3]
    assert [c.get_sizes()[0] for c in axis.collections] == sorted(c.get_sizes()[0] for c in axis.collections)


def test_parts_and_fields_say_their_numbers():
    bars = plots.nvae.parts({"parameters": {"a": 0.75, "b": 0.25}, "work": {"a": 0.5, "b": 0.5}}).figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.75, 0.25, 0.5, 0.5]
    squares = plots.nvae.fields(torch.zeros(9, 9), {"sees": [9, 3]}).figure.axes[0].patches
    assert [(s.get_x(), s.get_width()) for s in squares] == [(-0.5, 9), (2.5, 3)]


def test_care_draws_powers_of_ten_from_the_start_and_back_from_the_end():
    render = plots.nvae.care({(2, "a"): Depth([10.0, 1000.0], [50.0, 5.0]), (2, "b"): Depth([1.0, 0.0], [0.0, 1.0])})
    forward, back = (line.get_ydata() for line in render(built="a").figure.axes[0].lines)
    assert forward == pytest.approx([0, 2]) and back == pytest.approx([1, 0])
    assert [line.get_ydata().min() for line in render(built="b").figure.axes[0].lines] == [-20, -20]


@pytest.mark.parametrize("draw, message", [
    (lambda: plots.nvae.care({(2, "a"): Depth([1.0], [1.0]), (3, "b"): Depth([1.0], [1.0])}), "care: .* are missing"),
    (lambda: plots.nvae.care({(2, "a"): Depth([float("nan")], [1.0])})(), "NaN"),
    (lambda: plots.nvae.parts({"a": {"x": float("inf")}}), "NaN or infinity"),
], ids=["missing", "nan", "infinite"])
def test_what_cannot_be_read_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
