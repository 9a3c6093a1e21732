"""The everyday figures: lines, bars, scatter, histogram, heatmap, image_grid, each one call that returns a Picture.

For a figure of several panels draw with the same functions' `draw_...` halves, on the axes of `style.drawing(columns=2)`.
Bad input (empty, NaN, shapes that do not fit) is refused before anything is drawn.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from .inputs import array, named_series, text_labels
from .picture import Picture
from .style import SEQUENTIAL, colour, drawing, roles

FEW_POINTS = 8  # on a logarithmic axis: each gets its tick


def lines(x, series, *, xlabel: str, ylabel: str, title: str = "", says: str = "", log: str = "", bands: Mapping | None = None) -> Picture:
    """Lines over a common x.  series: {name: (N,)}; a name that is a role ("bound", "data", ...) takes the role's colour.

    bands: {name: (low, high)} shades a band around a line of that name. log: "x", "y" or "xy" for logarithmic axes.
    """
    with drawing() as (figure, axis):
        draw_lines(axis, x, series, bands=bands, log=log)
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return Picture(figure, says=says)


def scatter(points, *, xlabel: str, ylabel: str, title: str = "", says: str = "", square: bool = False) -> Picture:
    """Clouds of points.  points: (N, 2), or {name: (N, 2)}. square: both axes get one scale."""
    with drawing(**({"width": 5.2, "height": 4.6} if square else {})) as (figure, axis):
        draw_scatter(axis, points)
        if square:
            one_scale(axis)
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return Picture(figure, says=says)


def bars(categories: Sequence, series, *, ylabel: str, xlabel: str = "", title: str = "", says: str = "", stacked: bool = False) -> Picture:
    """Bars, one group per category, side by side or stacked.  series: {name: (N,)} or (N,), N categories."""
    with drawing() as (figure, axis):
        draw_bars(axis, categories, series, stacked=stacked)
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return Picture(figure, says=says)


def histogram(series, *, xlabel: str, bins=40, mark: Mapping | None = None, says: str = "", density: bool = True) -> Picture:
    """How often each value occurs.  series: {name: (N,)} or (N,); all share the bins (a number, or their edges).

    mark: {name: x} draws a dashed vertical line there, e.g. {"exact": 3.1}.
    """
    with drawing() as (figure, axis):
        found = named_series("histogram", series)
        edges = np.histogram_bin_edges(np.concatenate(list(found.values())), bins=bins)
        look = roles(found)
        for name, values in found.items():
            heights, _ = np.histogram(values, bins=edges, density=density)
            axis.stairs(heights, edges, color=look[name].colour, fill=len(found) == 1, linewidth=2, label=name or None)
        marks = {str(name): float(array("histogram", [x], name=f"mark {name!r}")[0]) for name, x in (mark or {}).items()}
        for i, (name, x) in enumerate(marks.items()):
            axis.axvline(x, color=colour("exact"), linestyle=("--", ":")[i % 2], label=name)
        _legend(axis, [*found, *marks])
        axis.set(xlabel=xlabel, ylabel="density" if density else "count")
    return Picture(figure, says=says)


def heatmap(values, *, rows: Sequence = (), columns: Sequence = (), title: str = "", xlabel: str = "", ylabel: str = "", says: str = "", digits: int | None = 2) -> Picture:
    """A matrix as coloured cells, row 0 on top, with its numbers written in (digits=None: colours only, with a colour bar).  values: (R, C)."""
    matrix = array("heatmap", values, ndim=2)
    n_rows, n_columns = matrix.shape
    with drawing(width=min(9, max(4.2, 1.2 + 0.68 * n_columns)), height=min(5.5, max(2.2, 1.1 + 0.42 * n_rows))) as (figure, axis):
        shown = draw_heatmap(axis, matrix, rows=rows, columns=columns, digits=digits)
        if digits is None:
            figure.colorbar(shown, ax=axis)
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return Picture(figure, says=says)


def draw_lines(axis: Axes, x, series, *, bands: Mapping | None = None, log: str = "") -> None:
    """Lines of {name: (N,)} over x (N,) on an axis, with bands {name: (low, high)} behind them."""
    found = named_series("lines", series)
    x = array("lines", x, ndim=1, name="x")
    unknown = set(bands or {}) - set(found)
    if unknown or set(log) - set("xy"):
        raise ValueError(f"lines: got bands for {sorted(unknown)} and log={log!r}, expected names of series and 'x', 'y' or 'xy'")
    look = roles(found)
    for name, y in found.items():
        if y.shape != x.shape:
            raise ValueError(f"lines: series {name!r} is {y.shape}, expected {x.shape} like x; one value per point")
        line_colour, dash = look[name]
        if bands and name in bands:
            low, high = (array("lines", v, ndim=1, name=f"band of {name!r}") for v in bands[name])
            axis.fill_between(x, low, high, color=line_colour, alpha=0.2, linewidth=0, label=f"_band of {name}")
        axis.plot(x, y, color=line_colour, linestyle=dash, label=name or None, marker="o" if len(x) <= 12 else None)
    for letter in log:
        if min(v.min() for v in ([x] if letter == "x" else found.values())) <= 0:
            raise ValueError(f"lines: got values at or below zero on a logarithmic {letter} axis, expected positive ones; plot them without log")
        getattr(axis, f"set_{letter}scale")("log")
    if "x" in log and len(x) <= FEW_POINTS:  # few settings, say 1, 5, 20: read as they are, not as powers of ten
        axis.set_xticks(x, [f"{value:,.6g}" for value in x])
        axis.minorticks_off()
    _legend(axis, found)


def draw_scatter(axis: Axes, points, *, size: float = 22.0) -> None:
    """Points of {name: (N, 2)} on an axis."""
    found = named_series("scatter", points, ndim=2)
    look = roles(found)
    for i, (name, xy) in enumerate(found.items()):
        if xy.shape[1] != 2:
            raise ValueError(f"scatter: points {name!r} are {xy.shape}, expected (N, 2); one row per point")
        axis.scatter(*xy.T, s=size, color=look[name].colour, marker="os^Dvp"[i % 6], alpha=0.75, linewidths=0, label=name or None)
    _legend(axis, found)


def draw_bars(axis: Axes, categories: Sequence, series, *, stacked: bool = False, legend: bool = True) -> None:
    """Bars of {name: (N,)} for N categories; stacked bars pile positive values up and negative ones down. legend: beside the panel."""
    categories, found = text_labels("bars", categories), named_series("bars", series)
    places, n = np.arange(len(categories)), len(found)
    above, below = np.zeros(len(categories)), np.zeros(len(categories))
    look = roles(found)
    for i, (name, y) in enumerate(found.items()):
        if len(y) != len(categories):
            raise ValueError(f"bars: series {name!r} has {len(y)} values, expected {len(categories)}, one per category")
        options = {"color": look[name].colour, "label": name or None, "edgecolor": "white", "hatch": ("", "//", "..", "xx")[i % 4] if n > 1 else ""}
        if stacked:
            axis.bar(places, y, 0.7, bottom=np.where(y >= 0, above, below), **options)
            above, below = above + np.maximum(y, 0), below + np.minimum(y, 0)
        else:
            axis.bar(places + (i - (n - 1) / 2) * 0.8 / n, y, 0.8 / n, **options)
    axis.set_xticks(places, categories)
    axis.grid(axis="x", visible=False)
    if any((y < 0).any() for y in found.values()):
        axis.axhline(0, color=colour("other"), linewidth=1, label="_zero")
    if legend:
        _legend(axis, found)


def draw_heatmap(axis: Axes, values, *, rows: Sequence = (), columns: Sequence = (), digits: int | None = 2):
    """Cells of a matrix (R, C) on an axis; returns the image, e.g. for a colour bar."""
    matrix = array("heatmap", values, ndim=2)
    shown = axis.imshow(matrix, cmap=SEQUENTIAL, aspect="auto")
    axis.grid(visible=False)
    for labels, n, axis_name, ticks in [(rows, matrix.shape[0], "rows", axis.set_yticks), (columns, matrix.shape[1], "columns", axis.set_xticks)]:
        if len(labels) not in (0, n):
            raise ValueError(f"heatmap: got {len(labels)} names for {axis_name}, expected {n}")
        if len(labels):
            ticks(range(n), [str(label) for label in labels])
    if digits is not None:
        middle = (matrix.min() + matrix.max()) / 2
        for (r, c), value in np.ndenumerate(matrix):
            axis.text(c, r, f"{value:.{digits}f}", ha="center", va="center", gid="cell", color="white" if value <= middle else "black")
    return shown


def _legend(axis: Axes, names) -> None:
    if len(names) > 1 or any(names):
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)  # beside the panel: covers nothing, never jumps


def one_scale(axis: Axes) -> None:
    """Both axes get the longer one's reach, and the same length. (Matplotlib's own adjustable="datalim" reaches as far as the layout leaves room, which depends on fonts and versions.)"""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    half = max(right - left, high - low) / 2
    axis.set(xlim=((left + right) / 2 - half, (left + right) / 2 + half), ylim=((low + high) / 2 - half, (low + high) / 2 + half), aspect="equal")
