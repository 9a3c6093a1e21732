"""A figure's description: changed by everything that changes what is seen, by nothing else."""
import re

import matplotlib
import numpy as np
import pytest

from deepgen_lib import plots
from deepgen_lib.plots import describe
from deepgen_lib.plots.words import number

DIGITS = 4  # significant digits that rounding noise must not reach
X = np.linspace(0.01, 0.99, 40)


def digits(n=12, side=14):
    """Images lit in the upper left, so that a transposition of the sheet, of the images or of both is seen."""
    images = np.zeros((n, side, side))
    images[:, 1:5, 1:9] = np.linspace(0.2, 1, n)[:, None, None]
    return images


def two_lines(**change):
    given = {"x": X, "series": {"bound": X**2, "data": 1 - X}, "xlabel": "step", "ylabel": "nats", "title": "Up"} | change
    return plots.lines(given.pop("x"), given.pop("series"), **given).description


# --- what must change the words ---------------------------------------------------------------------------------------------------

LINE_ERRORS = {
    "a series is missing": {"series": {"bound": X**2}},
    "the names are swapped": {"series": {"data": X**2, "bound": 1 - X}},
    "a series is reversed": {"series": {"bound": X[::-1] ** 2, "data": 1 - X}},
    "a series is shifted by a hundredth": {"series": {"bound": X**2 + 0.01, "data": 1 - X}},
    "a series has the wrong sign": {"series": {"bound": -(X**2), "data": 1 - X}},
    "a dent in the middle": {"series": {"bound": X**2 - 0.3 * ((X > 0.4) & (X < 0.6)), "data": 1 - X}},
    "every second point is missing": {"x": X[::2], "series": {"bound": X[::2] ** 2, "data": 1 - X[::2]}},
    "the axes are swapped": {"x": X**2, "series": {"bound": X, "data": X}, "xlabel": "nats", "ylabel": "step"},
    "the axis labels are swapped": {"xlabel": "nats", "ylabel": "step"},
    "another title": {"title": "Down"},
    "a logarithmic axis": {"log": "y"},
    "a band appears": {"bands": {"bound": (X**2 - 0.1, X**2 + 0.1)}},
    "a new point of the picture": {"says": "It falls."},
}


@pytest.mark.parametrize("error", LINE_ERRORS)
def test_an_error_in_a_line_plot_changes_its_words(error):
    assert two_lines(**LINE_ERRORS[error]) != two_lines()


IMAGE_ERRORS = {
    "blank": lambda images: np.zeros_like(images),
    "each image transposed": lambda images: images.transpose(0, 2, 1),
    "each image upside down": lambda images: images[:, ::-1],
    "each image mirrored": lambda images: images[:, :, ::-1],
    "the order reversed": lambda images: images[::-1],
    "inverted": lambda images: 1 - images,
    "fainter by a tenth": lambda images: 0.9 * images,
    "one image missing": lambda images: images[:-1],
    "flattened in the wrong order": lambda images: images.transpose(1, 2, 0).reshape(images.shape),
}


@pytest.mark.parametrize("error", IMAGE_ERRORS)
def test_an_error_in_a_sheet_changes_its_words(error):
    assert plots.image_grid(IMAGE_ERRORS[error](digits()), columns=4).description != plots.image_grid(digits(), columns=4).description


def test_a_transposed_sheet_changes_the_words_by_more_than_a_loose_tolerance():
    def blocks(images):
        words = plots.image_grid(images, columns=4).description.split("average image: ")[1]
        return np.array([float(n) for n in re.findall(r"[\d.]+", words)])

    assert np.abs(blocks(digits()) - blocks(digits().transpose(0, 2, 1))).max() > 0.2


def other_figures(matrix, cloud, heights):
    return [
        plots.heatmap(matrix), plots.heatmap(matrix, digits=None), plots.heatmap(np.kron(matrix, np.ones((5, 5))), digits=None), plots.scatter({"model": cloud}, xlabel="x", ylabel="y"),
        plots.bars(["a", "b", "c"], {"gap": heights}, ylabel="nats"), plots.bars(["a", "b", "c"], {"prior": [1, 1, 1], "gap": heights}, ylabel="nats", stacked=True),
        plots.histogram({"data": cloud[:, 0]}, xlabel="x", bins=np.linspace(-9, 9, 12)),
    ]


def test_every_other_figure_changes_its_words_with_its_values():
    rng = np.random.default_rng(0)
    matrix, cloud, heights = rng.random((3, 3)), rng.normal(size=(60, 2)), np.array([1.0, -0.5, 2.0])
    right = other_figures(matrix, cloud, heights)
    for wrong in (other_figures(matrix.T, cloud[:, ::-1], heights[::-1]), other_figures(0 * matrix, 0 * cloud, 0 * heights)):
        for a, b in zip(right, wrong):
            assert a.description != b.description


def panel_with(draw) -> str:
    with plots.drawing() as (figure, axis):
        axis.plot([0, 1], [0, 1])
        draw(axis)
        axis.set(xlim=(-1, 2), ylim=(-1, 2))
    return describe(figure)


ADDED = {
    "annotation": lambda axis: axis.annotate("here", (0.5, 0.5)), "text": lambda axis: axis.text(0.2, 0.2, "gap"), "arrows": lambda axis: axis.quiver([0], [0], [1], [2]),
    "error bars": lambda axis: axis.errorbar([0, 1], [0, 1], yerr=[0.1, 0.2]), "contours": lambda axis: axis.contour(np.outer(X, X)), "mesh": lambda axis: axis.pcolormesh(np.outer(X, X)),
    "triangles": lambda axis: axis.tricontourf([0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 2, 3]), "rule": lambda axis: axis.axhline(0.3), "rules": lambda axis: axis.vlines([0.1, 0.7], 0, 1),
    "area": lambda axis: axis.fill_between([0, 1], [0, 0], [0.5, 1]), "patch": lambda axis: axis.add_patch(matplotlib.patches.Circle((0.5, 0.5), 0.2)), "ticks": lambda axis: axis.set_xticks([0, 1], ["off", "on"]),
    "span": lambda axis: axis.axvspan(0.1, 0.4), "stairs": lambda axis: axis.stairs([1, 2, 1]), "arrow": lambda axis: axis.annotate("", (1, 1), (0, 0), arrowprops={"arrowstyle": "->"}),
}


@pytest.mark.parametrize("what", ADDED)
def test_whatever_is_added_to_a_panel_is_told(what):
    assert panel_with(ADDED[what]) != panel_with(lambda axis: None)


def test_an_image_is_told_from_the_top_as_it_is_seen():
    def block_means(matrix, origin):
        return panel_with(lambda axis: axis.imshow(matrix, origin=origin)).split("block means: ")[1].split("\n")[0]

    ramp = np.outer(np.arange(20.0), np.arange(20.0))
    assert block_means(ramp, "lower") == block_means(ramp[::-1], "upper") != block_means(ramp, "upper")


def test_an_arrow_that_turns_changes_the_words():
    def arrow(end):
        return panel_with(lambda axis: axis.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->"}))

    assert arrow((1, 0.2)) != arrow((0.2, 1))


def test_two_panels_are_told_one_by_one():
    with plots.drawing(columns=2) as (figure, (left, right)):
        plots.draw_lines(left, X, {"bound": X})
        plots.draw_bars(right, ["a", "b"], [1, 2])
    words = describe(figure)
    assert "Panel 1 of 2" in words and "Panel 2 of 2" in words and words.index("'bound'") < words.index("bars")


# --- what must not change them ----------------------------------------------------------------------------------------------------

def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)]


def words(text: str) -> str:
    return re.sub(r"-?\d+\.\d+(?:e-?\d+)?", "#", text)


@pytest.mark.parametrize("noise", [1e-15, 1e-9])
def test_rounding_noise_leaves_the_words_and_hardly_moves_the_numbers(noise):
    rng = np.random.default_rng(1)
    matrix, cloud, heights = rng.random((3, 3)), rng.normal(size=(60, 2)), np.array([0.0, -0.5, 2.0])
    shaken = [v + noise * rng.normal(size=v.shape) for v in (matrix, cloud, heights)]
    flat = [plots.lines(X, {"gap": 0 * X + noise * rng.normal(size=40) * k + 0.5, "bound": X}, xlabel="x", ylabel="y") for k in (0, 1)]
    pairs = [*zip(other_figures(matrix, cloud, heights), other_figures(*shaken)), flat]
    for a, b in pairs:
        assert words(a.description) == words(b.description)
        assert np.allclose(numbers(a.description), numbers(b.description), rtol=10**-DIGITS, atol=1e-7)


def test_a_number_has_a_point_and_five_digits_and_no_signed_zero():
    assert [number(x) for x in (3, -2.0, 0.123456, 1e-12, 123456.0, -0.0, 2e5, 1e5)] == ["3.0", "-2.0", "0.12346", "1.0e-12", "1.2346e5", "0.0", "2.0e5", "1.0e5"]
    assert number(-1e-12, scale=1.0) == "0.0"
