"""A finished figure in words: what a reader who cannot see it is told, and what the validation of notebooks compares.

Everything is read back from Matplotlib's artists, not from the data that the caller meant to draw, so a blank, transposed or changed
picture changes the text. Measured numbers carry a decimal point, so that they are compared within a tolerance; rounding noise is snapped to 0.0.
"""
from __future__ import annotations

import re

import numpy as np
from matplotlib import collections, container, image, lines, patches, quiver, spines, text, ticker
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryFormatter
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from .diagram_words import diagram_lines, diagram_parts
from .words import blocks, cloud, count, extent, listed, number, number_range, series

LISTED_CELLS = 64  # an image this small is told cell by cell


def describe(figure: Figure, *, detail: bool = True) -> str:
    """One paragraph per panel; without detail the block means and positions are left out (alternative text)."""
    panels = [axis for axis in figure.axes if axis.get_visible() and axis.get_label() != "<colorbar>"]
    texts = [t for t in [getattr(figure, "_suptitle", None), *figure.texts] if t is not None and t.get_text()]
    found = [f"Figure text: {_one_line(t.get_text())}" for t in texts]
    for i, axis in enumerate(panels, 1):
        name = f"Panel {i} of {len(panels)}" if len(panels) > 1 else "Figure"
        found += [_axis_line(name, axis, detail), *("  " + line for line in _artist_lines(axis, detail))]
    return "\n".join(found)


def _axis_line(name: str, axis: Axes, detail: bool) -> str:
    title = " / ".join(filter(None, (_one_line(axis.get_title(where)) for where in ("left", "center", "right"))))
    line = name + (f": {title}" if title else "")
    if axis.axison and not (len(axis.get_xticks()) == len(axis.get_yticks()) == 0):
        line += f"; {_one_axis('x', axis.xaxis, axis.get_xlim(), detail)}; {_one_axis('y', axis.yaxis, axis.get_ylim(), detail)}"
    legend = axis.get_legend()
    if legend is not None:
        line += "; legend: " + ", ".join(_one_line(t.get_text()) for t in legend.get_texts())
    return line


def _one_axis(letter: str, axis, limits, detail: bool) -> str:
    label = _one_line(axis.get_label_text())
    scale = "" if axis.get_scale() == "linear" else f" ({axis.get_scale()} scale)"
    size = max(map(abs, limits)) if axis.get_scale() == "linear" else 0.0
    line, reach = f"{letter} axis{f' {label!r}' if label else ''}{scale}", f" from {number(limits[0], size)} to {number(limits[1], size)}"
    named = isinstance(axis.get_major_formatter(), (ticker.FixedFormatter, ticker.FuncFormatter, StrCategoryFormatter))  # by the author, not by Matplotlib
    names = [_one_line(t) for t in axis.get_major_formatter().format_ticks(axis.get_majorticklocs())] if named else []
    return line + (reach if detail or not any(names) else "") + (f" with ticks {', '.join(names)}" if any(names) else "")


def _artist_lines(axis: Axes, detail: bool) -> list[str]:
    """Every visible thing in a panel, containers first so that their parts are not told twice."""
    found, told = diagram_lines(axis, detail), {id(part) for part in diagram_parts(axis)}
    for group in axis.containers:
        if isinstance(group, container.BarContainer):
            found.append(_bars(group))
            told.update(map(id, group.patches))
        if isinstance(group, container.ErrorbarContainer):
            found.append(_error_bars(group))
            told.update(id(part) for part in [group[0], *group[1], *group[2]] if part is not None)
    for artist in axis.get_children():
        if id(artist) in told or not artist.get_visible() or artist is axis.patch or isinstance(artist, spines.Spine):
            continue
        line = _artist(artist, axis, detail)
        if line:
            found.append(line)
    return found


def _artist(artist, axis: Axes, detail: bool) -> str:
    if isinstance(artist, lines.Line2D):
        return _line(artist)
    if isinstance(artist, image.AxesImage):
        return _image(artist, detail)
    if isinstance(artist, ContourSet):
        return f"contours{_name(artist)} at {listed(artist.levels)}" + extent(artist.get_datalim(axis.transData).get_points(), detail)
    if isinstance(artist, quiver.Quiver):
        return f"arrows{_name(artist)}, {artist.N} of them: {series('x', artist.XY[:, 0])}; {series('y', artist.XY[:, 1])}; {series('dx', artist.U)}; {series('dy', artist.V)}"
    if isinstance(artist, collections.QuadMesh):
        return _mesh(artist, detail)
    if isinstance(artist, collections.Collection):
        return _collection(artist, axis, detail)
    if isinstance(artist, text.Text):
        return _text(artist, axis, detail)
    if isinstance(artist, patches.StepPatch):
        heights, edges, _ = artist.get_data()
        return f"steps{_name(artist)}, {len(heights)} of them: {series('edges', edges)}; {series('height', heights)}"
    if isinstance(artist, patches.Patch):
        return _patch(artist, axis, detail)
    return ""


def _line(line: lines.Line2D) -> str:
    x, y = (np.asarray(v, dtype=float) for v in line.get_data())
    if len(x) == 0:
        return f"line{_name(line)} without points"
    marks = "points" if line.get_linestyle() == "None" else "line"
    return f"{marks}{_name(line)}, {count(len(x))}: {series('x', x)}; {series('y', y)}"


def _bars(group: container.BarContainer) -> str:
    upright = group.orientation != "horizontal"
    sizes = [p.get_height() if upright else p.get_width() for p in group.patches]
    starts = [p.get_y() if upright else p.get_x() for p in group.patches]
    places = [p.get_x() + p.get_width() / 2 if upright else p.get_y() + p.get_height() / 2 for p in group.patches]
    line = f"bars{_name(group)}, {len(sizes)} of them: {series('length', sizes)}; {series('at', places)}"
    return line + (f"; {series('starting from', starts)}" if np.any(np.abs(starts) > 1e-12) else "")


def _error_bars(group: container.ErrorbarContainer) -> str:
    line, spans = group[0], []
    for segments in group[2]:
        ends = np.array(segments.get_segments(), dtype=float)
        spans.append(series("error bar length", np.abs(ends[:, 1] - ends[:, 0]).sum(1)))
    if line is None:
        return f"error bars{_name(group)}: " + "; ".join(spans)
    x, y = line.get_data()
    return f"points with error bars{_name(group)}, {count(len(x))}: {series('x', x)}; {series('y', y)}; " + "; ".join(spans)


def _collection(artist: collections.Collection, axis: Axes, detail: bool) -> str:
    if isinstance(artist, collections.PathCollection):
        xy = np.asarray(artist.get_offsets(), dtype=float)
        if len(xy) == 0:
            return f"points{_name(artist)} without points"
        colours = artist.get_array()
        coloured = f"; {series('colour value', colours)}" if colours is not None else ""
        return f"points{_name(artist)}, {count(len(xy))}: {cloud('x', xy[:, 0])}; {cloud('y', xy[:, 1])}{coloured}"
    kind = {"LineCollection": "segments", "PolyCollection": "area", "FillBetweenPolyCollection": "area"}.get(type(artist).__name__, "shapes")
    points = [path.vertices for path in artist.get_paths() if len(path.vertices)]
    if not points:
        return f"{kind}{_name(artist)}, nothing drawn"
    values = artist.get_array()
    coloured = f"; {series('colour value', values)}" if values is not None else ""
    xy = np.concatenate(points)
    return f"{kind}{_name(artist)}, {len(points)} of them: {cloud('x', xy[:, 0])}; {cloud('y', xy[:, 1])}{coloured}"


def _image(artist: image.AxesImage, detail: bool) -> str:
    values = np.ma.asarray(artist.get_array(), dtype=float)
    shown = np.ma.filled(values, np.nan)
    if artist.origin == "lower":
        shown = shown[::-1]
    height, width = shown.shape[:2]
    tiles = _tile_shape(artist.get_gid())
    what = f"sheet of {tiles[2]} x {tiles[3]} images of {tiles[0]} x {tiles[1]} pixels" if tiles else f"image of {height} x {width} pixels"
    colour = f"colours from {number(artist.norm.vmin)} to {number(artist.norm.vmax)}; " if shown.ndim == 2 else "in colour; "
    line = f"{what}{_name(artist)}: {colour}{number_range(values.compressed())}"
    if not tiles and shown.size <= LISTED_CELLS:
        line += "\n    cells: " + " | ".join(listed(row, shown) for row in shown)
    elif detail:
        line += "\n    block means: " + blocks(shown)
        if tiles and tiles[2] * tiles[3] > 1:
            line += "\n    block means of the average image: " + blocks(_mean_tile(shown, tiles))
    return line


def _mesh(artist: collections.QuadMesh, detail: bool) -> str:
    values = np.ma.filled(np.ma.asarray(artist.get_array(), dtype=float), np.nan)
    if values.ndim == 1:
        rows, columns = (n - 1 for n in artist.get_coordinates().shape[:2])
        values = values.reshape(rows, columns) if values.size == rows * columns else values.reshape(rows + 1, columns + 1)
    line = f"coloured cells{_name(artist)}, {values.shape[0]} x {values.shape[1]}: {number_range(values)}"
    return line + ("\n    block means, first row of cells first: " + blocks(values) if detail else "")


def _text(artist: text.Text, axis: Axes, detail: bool) -> str:
    if artist.get_gid() == "cell" or artist in (axis.title, axis._left_title, axis._right_title):
        return ""
    arrow = isinstance(artist, text.Annotation) and artist.arrow_patch is not None
    words = f"text '{_one_line(artist.get_text())}'" if artist.get_text().strip() else ""
    if not detail or not (words or arrow):
        return words or "arrow" * arrow
    at = f" at {_place(artist.xyann if arrow else artist.get_position())}" if words else ""
    return words + at + (" with an " if words and arrow else "") + (f"arrow from {_place(artist.xyann)} to {_place(artist.xy)}" if arrow else "")


def _place(xy) -> str:
    return f"({', '.join(number(v) if isinstance(v, (int, float, np.number)) else str(v) for v in xy)})"


def _patch(artist: patches.Patch, axis: Axes, detail: bool) -> str:
    points = artist.get_path().vertices
    if len(points) == 0:
        return ""
    to_data = artist.get_transform() - axis.transData
    kind = type(artist).__name__.lower().replace("fancyarrowpatch", "arrow").replace("fancyarrow", "arrow")
    return f"{kind}{_name(artist)}" + extent(to_data.transform(points), detail)


def _tile_shape(gid: str | None) -> tuple[int, ...] | None:
    """(tile height, tile width, rows, columns, gap) as image_grid leaves it on the artist."""
    return tuple(int(n) for n in gid.split()[1:]) if gid and gid.startswith("tiles ") else None


def _mean_tile(sheet, tiles) -> np.ndarray:
    height, width, rows, columns, gap = tiles
    found = [sheet[r * (height + gap):, c * (width + gap):][:height, :width] for r in range(rows) for c in range(columns)]
    full = [tile for tile in found if np.isfinite(tile).all()]
    return np.mean(full, axis=0)


def _name(artist) -> str:
    label = _one_line(str(artist.get_label() or ""))
    return "" if not label or re.fullmatch(r"_child\d+|_nolegend_|_container\d+", label) else f" '{label.lstrip('_')}'"


def _one_line(words: str) -> str:
    return " ".join(words.split())
