"""What each plotting function gives a notebook, and what it refuses."""
import io

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from deepgen_lib import plots
from deepgen_lib.plots.style import PAPER, ROLES, colour, course_style, roles

X = np.linspace(0.01, 0.99, 40)


def digits(n=12, side=14):
    images = np.zeros((n, side, side))
    images[:, 1:5, 1:9] = np.linspace(0.2, 1, n)[:, None, None]
    return images


def test_the_same_picture_has_the_same_bytes():
    assert plots.image_grid(digits()).png() == plots.image_grid(digits()).png()


def test_a_readers_matplotlib_settings_change_nothing(monkeypatch):
    expected = plots.lines(X, {"bound": X}, xlabel="x", ylabel="y").png()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert plots.lines(X, {"bound": X}, xlabel="x", ylabel="y").png() == expected
        assert dict(matplotlib.rcParams) == before


# --- what a notebook gets ---------------------------------------------------------------------------------------------------------

def test_a_picture_gives_a_notebook_its_png_words_and_alternative_text():
    picture = plots.lines(X, {"bound": X}, xlabel="x", ylabel="y", says="It rises.")
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == picture.description and picture.description.startswith("It rises.\n")
    image = Image.open(io.BytesIO(data["image/png"]))
    assert image.width > metadata["image/png"]["width"] > 300
    assert metadata["image/png"]["alt"] == picture.alt and picture.alt.startswith("It rises. Figure; x axis") and "\n" not in picture.alt


def test_the_alternative_text_is_short():
    alt = plots.lines(X, {"bound": X}, xlabel="x", ylabel="y", title="Up", says="It rises.").alt
    assert alt == ("It rises. Figure: Up; x axis 'x' from -0.039 to 1.04; y axis 'y' from -0.039 to 1.04; legend: bound. "
                   "line 'bound', 40 points: x evenly from 0.01 to 0.99; y evenly from 0.01 to 0.99.")
    assert "block means" not in plots.image_grid(digits()).alt


def test_the_background_is_opaque_and_light():
    for picture in (plots.lines(X, {"bound": X}, xlabel="x", ylabel="y"), plots.image_grid(1 - digits()), plots.tour.landscape()):
        pixels = np.asarray(Image.open(io.BytesIO(picture.png())).convert("RGBA"))
        assert (pixels[..., 3] == 255).all() and to_hex(pixels[0, 0, :3] / 255) == PAPER


def test_a_drawing_is_dark_enough_to_be_seen():
    """Contrast of every role against the paper, WCAG 2.1: 3 for what is not text would exclude Okabe and Ito's light ones; 1.9 excludes yellow."""
    def luminance(name):
        rgb = np.array([int(colour(name)[i:i + 2], 16) / 255 for i in (1, 3, 5)])
        return (np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) * [0.2126, 0.7152, 0.0722]).sum()

    for name in ROLES:
        assert 1.03 / (luminance(name) + 0.05) > 1.9, name


def test_no_two_series_of_a_panel_share_a_colour():
    for names in (["bound", "bound of B", "a", "b"], ["data", "exact"], ["model", "likelihood", "reconstruction"], list("abcdefg")):
        assert len({role.colour for role in roles(names).values()}) == len(names)


def test_a_roles_colour_follows_it():
    assert {roles([name])[name].colour for name in ("bound", "Bound", "bound after the E-step")} == {colour("bound")}
    assert {roles([name])[name].colour for name in ("best q", "q", "q of the margins")} == {colour("q")}
    assert [roles(["RBM", "optimum", "log p(x)"])[name].colour for name in ("RBM", "optimum")] == [colour("model"), colour("exact")]
    assert roles(["data", "best pairs", "RBM"])["RBM"].colour == colour("model"), "a role further down the list keeps its colour"


def test_few_settings_on_a_logarithmic_axis_are_ticks():
    def ticks(x):
        axis = plots.lines(x, {"a": x}, xlabel="x", ylabel="y", log="x").figure.axes[0]
        return [text.get_text() for text in axis.get_xticklabels()], len(axis.get_xticks(minor=True))

    assert ticks([1, 5, 20, 1000]) == (["1", "5", "20", "1,000"], 0)
    assert ticks(np.arange(1, 60)) != ([str(n) for n in range(1, 60)], 0)


def test_a_mark_stands_where_it_is_put():
    picture = plots.histogram({"a": X}, xlabel="x", mark={"exact": 0.5})
    assert "line 'exact', 2 points: x 0.5, 0.5" in picture.description
    with pytest.raises(ValueError, match="mark 'exact' holds NaN"):
        plots.histogram({"a": X}, xlabel="x", mark={"exact": float("nan")})


def test_sheets_take_tensors_and_flat_images():
    images = torch.as_tensor(digits())
    assert plots.image_grid(images.flatten(1)).description == plots.image_grid(digits()).description == plots.image_grid(images[:, None].requires_grad_()).description


def test_a_table_is_aligned_and_markdown():
    found = plots.table({"CD-1": [-1.23456, 5], "PCD": [-0.0001, 12]}, columns=["nats", "steps"], corner="method")
    assert repr(found).splitlines() == ["method    nats  steps", "CD-1    -1.235      5", "PCD      0.000     12"]
    assert found._repr_markdown_().splitlines()[2] == "| CD-1 | -1.235 | 5 |"


# --- what is refused --------------------------------------------------------------------------------------------------------------

REFUSED = {
    "NaN": (lambda: plots.lines([0, 1], {"a": [0, float("nan")]}, xlabel="x", ylabel="y"), "NaN or infinity, first at index \\[1\\]"),
    "infinity": (lambda: plots.heatmap([[1.0, float("inf")]]), "NaN or infinity"),
    "empty": (lambda: plots.lines([], {"a": []}, xlabel="x", ylabel="y"), "empty"),
    "no series": (lambda: plots.lines([1], {}, xlabel="x", ylabel="y"), "no series"),
    "another length": (lambda: plots.lines([0, 1, 2], {"a": [0, 1]}, xlabel="x", ylabel="y"), "series 'a' is \\(2,\\), expected \\(3,\\)"),
    "a matrix as a line": (lambda: plots.lines([0, 1], {"a": [[0, 1]]}, xlabel="x", ylabel="y"), "shape \\(1, 2\\), expected 1 axis"),
    "an unknown scale": (lambda: plots.lines([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", log="z"), "log='z'"),
    "a logarithm of zero": (lambda: plots.lines([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", log="y"), "logarithmic y axis"),
    "a band of nothing": (lambda: plots.lines([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", bands={"b": ([0, 0], [1, 1])}), "bands for \\['b'\\]"),
    "points of three numbers": (lambda: plots.scatter([[1, 2, 3]], xlabel="x", ylabel="y"), "expected \\(N, 2\\)"),
    "too few bars": (lambda: plots.bars(["a", "b"], [1], ylabel="y"), "has 1 values, expected 2"),
    "no categories": (lambda: plots.bars([], [], ylabel="y"), "categories"),
    "words for numbers": (lambda: plots.bars(["a"], ["b"], ylabel="y"), "expected numbers"),
    "not square": (lambda: plots.image_grid(np.zeros((2, 15))), "15 pixels, expected a square number"),
    "one flat image": (lambda: plots.image_grid(np.zeros(16)), "one image is images\\[None\\]"),
    "no images": (lambda: plots.image_grid(np.zeros((0, 16))), "empty"),
    "pixels below zero": (lambda: plots.image_grid(np.full((1, 16), -2.0)), "use contrast='signed'"),
    "unknown contrast": (lambda: plots.image_grid(np.zeros((1, 16)), contrast="loud"), "expected one of ink"),
    "no columns": (lambda: plots.image_grid(np.zeros((1, 16)), columns=0), "columns=0"),
    "too many names": (lambda: plots.image_grid(np.zeros((4, 16)), columns=2, row_labels=["a", "b", "c"]), "3 names for rows, expected 2"),
    "names of a heatmap": (lambda: plots.heatmap([[1.0, 2.0]], columns=["a"]), "1 names for columns, expected 2"),
    "an unknown role": (lambda: colour("bounds of joy"), "expected a role"),
    "a figure without axes": (lambda: plots.Picture(Figure()), "no axes"),
    "no figure": (lambda: plots.Picture("figure"), "expected a matplotlib Figure"),
    "a ragged table": (lambda: plots.table({"a": [1, 2]}, columns=["x"]), "has 2 values, expected 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_refused_with_a_cure(what):
    draw, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        draw()


def test_drawing_leaves_no_figure_behind():
    """pyplot keeps a figure until it is closed; the course never uses it."""
    from matplotlib import _pylab_helpers

    plots.lines(X, {"bound": X}, xlabel="x", ylabel="y").png()
    assert not _pylab_helpers.Gcf.figs


def test_course_style_is_undone_after_an_error():
    before = dict(matplotlib.rcParams)
    with pytest.raises(RuntimeError), course_style():
        raise RuntimeError
    assert dict(matplotlib.rcParams) == before
