"""Pictures of pictures: a sheet of digits or filters, with contrast that lets them be seen."""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from .inputs import array
from .picture import Picture
from .style import BLACK, GREY, INK, PAPER, SIGNED, drawing

CONTRASTS = ("ink", "signed", "each")
GAP = "#d9d9d4"  # between images


def image_grid(images, *, columns: int | None = None, contrast: str = "ink", title: str = "", says: str = "", row_labels: Sequence = (), column_labels: Sequence = ()) -> Picture:
    """A sheet of images.  images: (N, side*side) or (N, height, width), N in reading order.

    contrast: "ink" shows [0, 1] as white to black; "signed" shows red above and blue below zero, one scale for all (filters);
    "each" does so with a scale per image. The sheet is one image, so that its description sees every pixel.
    """
    tiles = as_images("image_grid", images)
    columns = _columns(len(tiles), columns, row_labels, column_labels)
    rows = math.ceil(len(tiles) / columns)
    height, width = tiles.shape[1:]
    scale = min(8.4 / (columns * width), 6.0 / (rows * height), 0.9 / height)  # inches per pixel
    room = 0.2 + 0.32 * bool(title) + 0.28 * bool(len(column_labels))
    needed = max(columns * width * scale + 0.3 + 0.11 * max([len(str(t)) for t in row_labels], default=0), 0.115 * len(title) + 0.3)
    with drawing(width=needed, height=rows * height * scale + room) as (figure, axis):
        draw_images(axis, tiles, columns=columns, contrast=contrast, row_labels=row_labels, column_labels=column_labels)
        axis.set_title(title)
    return Picture(figure, says=says)


def draw_images(axis: Axes, images, *, columns: int | None = None, contrast: str = "ink", row_labels: Sequence = (), column_labels: Sequence = ()):
    """A sheet of images on an axis; returns the Matplotlib image."""
    if contrast not in CONTRASTS:
        raise ValueError(f"image_grid: got contrast {contrast!r}, expected one of {', '.join(CONTRASTS)}")
    tiles = as_images("image_grid", images)
    columns = _columns(len(tiles), columns, row_labels, column_labels)
    if contrast == "ink" and (tiles.min() < -1e-6 or tiles.max() > 1 + 1e-6):
        raise ValueError(f"image_grid: pixels run from {tiles.min():.3g} to {tiles.max():.3g}, expected [0, 1] for contrast 'ink'; use contrast='signed'")
    if contrast == "each":
        tiles = tiles / np.maximum(np.abs(tiles).max((1, 2), keepdims=True), 1e-12)
    sheet, gap = _sheet(tiles, columns), _gap(tiles)
    limit = 1.0 if contrast == "each" else float(np.quantile(np.abs(tiles), 0.998)) or 1.0
    low, high, colours = (0.0, 1.0, INK) if contrast == "ink" else (-limit, limit, SIGNED)
    height, width = tiles.shape[1:]
    rows = math.ceil(len(tiles) / columns)
    tiny = max(height, width) < 14  # here a grey gap would look like one more column of pixels: leave paper and frame each tile
    shown = axis.imshow(sheet, cmap=colormaps[colours].with_extremes(bad=PAPER if tiny else GAP), vmin=low, vmax=high)
    if tiny:
        corners = [((i % columns) * (width + gap) - 0.5, (i // columns) * (height + gap) - 0.5) for i in range(len(tiles))]
        frames = [[(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)] for x, y in corners]
        axis.add_collection(LineCollection(frames, colors=GREY, linewidths=1.0, clip_on=False, label="_frames"), autolim=False)
    shown.set_gid(f"tiles {height} {width} {rows} {columns} {gap}")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set(visible=not tiny, color=GREY, linewidth=0.6)
    _label(axis.set_yticks, row_labels, rows, height, gap, "rows")
    _label(axis.set_xticks, column_labels, columns, width, gap, "columns")
    axis.tick_params(length=0, labeltop=bool(len(column_labels)), labelbottom=False, labelcolor=BLACK)
    return shown


def as_images(function: str, images) -> np.ndarray:
    """(N, V) with V a square number, (height, width)... as (N, height, width)."""
    found = array(function, images, name="images")
    if found.ndim == 4 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == 2:
        side = math.isqrt(found.shape[1])
        if side * side != found.shape[1]:
            raise ValueError(f"{function}: images have {found.shape[1]} pixels, expected a square number; pass (N, height, width) instead")
        found = found.reshape(len(found), side, side)
    if found.ndim != 3:
        raise ValueError(f"{function}: images have shape {found.shape}, expected (N, pixels) or (N, height, width); one image is images[None]")
    return found


def _columns(n: int, columns: int | None, row_labels: Sequence, column_labels: Sequence) -> int:
    """What is asked for, else what the labels say, else one row of up to 8, else a sheet wider than high."""
    if columns is None:
        columns = len(column_labels) or math.ceil(n / max(len(row_labels), 1)) if len(row_labels) or len(column_labels) else n if n <= 8 else math.ceil(math.sqrt(n * 1.6))
    if columns < 1:
        raise ValueError(f"image_grid: got columns={columns}, expected at least 1")
    return min(columns, n)


def _gap(tiles: np.ndarray) -> int:
    return max(1, round(max(tiles.shape[1:]) / 14)) if len(tiles) > 1 else 0


def _sheet(tiles: np.ndarray, columns: int) -> np.ma.MaskedArray:
    """Tiles side by side with a masked gap; missing last tiles are masked too."""
    n, height, width = tiles.shape
    rows, gap = math.ceil(n / columns), _gap(tiles)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top:top + height, left:left + width] = tile
    return np.ma.masked_invalid(sheet)


def _label(set_ticks, labels: Sequence, n: int, size: int, gap: int, what: str) -> None:
    if len(labels) not in (0, n):
        raise ValueError(f"image_grid: got {len(labels)} names for {what}, expected {n}")
    if len(labels):
        set_ticks([i * (size + gap) + (size - 1) / 2 for i in range(n)], [str(label) for label in labels])
