"""Figures of chapter 10: maps of codes, which codes are used, an edited map, colour pictures, bits, and what each level holds.

Perplexities written in titles are computed by `perplexity`, so a mistake there is seen here.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from ..vector_quantisation import perplexity
from .basic import draw_bars
from .controls import explorable
from .images import draw_images
from .inputs import array
from .picture import Picture
from .style import BLACK, SEQUENTIAL, colour, drawing

WHITE = 1.0  # between colour pictures


class Run(NamedTuple):
    """One moment of a training: how often each code was chosen, and what came out."""
    counts: Tensor           # (K,)
    reconstructions: Tensor  # (N, side*side) or (N, height, width), in [0, 1]


def code_maps(pictures: Tensor, ids: Tensor, reconstructions: Tensor, values: Tensor, *, says: str = "") -> Picture:
    """Three rows: pictures, the codes of each as coloured cells, what the decoder makes of them.

    ids (N, h, w); values (K,): the number that gives a code its colour, for instance the ink it paints. The others (N, pixels) or (N, 1, H, W) in [0, 1].
    """
    n = len(ids)
    with drawing(rows=3, width=0.95 * n + 1.2, height=3.6) as (figure, axes):
        draw_images(axes[0], pictures, columns=n, row_labels=["pictures"])
        shown = draw_images(axes[1], values[ids], columns=n, contrast="signed", row_labels=["codes"])
        shown.set_cmap(SEQUENTIAL)
        shown.set_clim(float(values.min()), float(values.max()))
        draw_images(axes[2], reconstructions.clamp(0, 1), columns=n, row_labels=["decoded"])
    return Picture(figure, says=says)


def usage(counts: Mapping[str, Tensor], *, says: str = "") -> Picture:
    """For each code book how often its codes are chosen, the busiest first, beside the uniform share.  {name: (K,)}"""
    with drawing(columns=len(counts), width=2.75 * len(counts) + 0.6, height=3.2, sharey=True, squeeze=False) as (figure, axes):
        for axis, (name, found) in zip(axes[0], counts.items()):
            _draw_usage(axis, found)
            axis.set_title(f"{name}\n" + _usage_in_words(found).replace(", ", "\n"), fontsize=10.5)
        axes[0, 0].set_ylabel("share of all choices")
    return Picture(figure, says=says)


def edited(before: Tensor, after: Tensor, window: tuple[int, int, int, int], *, titles: Sequence[str] = ("before", "one code changed", "difference"), says: str = "") -> Picture:
    """A picture, the same after an edit of its map, and their difference (red: ink added); window = (top, bottom, left, right) is framed.  (H, W) each."""
    with drawing(columns=3, width=8.2, height=2.9) as (figure, axes):
        for axis, picture, contrast, title in zip(axes, (before, after, after - before), ("ink", "ink", "signed"), titles):
            draw_images(axis, picture.clamp(0, 1)[None] if contrast == "ink" else picture[None], contrast=contrast)
            top, bottom, left, right = window
            axis.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=colour("estimate"), linewidth=1.6, label="_window"))
            axis.set_title(title)
    return Picture(figure, says=says)


def colour_grid(images: Tensor, *, columns: int | None = None, row_labels: Sequence[str] = (), title: str = "", says: str = "") -> Picture:
    """A sheet of colour pictures.  images (N, 3, H, W), cut to [0, 1], in reading order."""
    columns = columns or (len(images) // len(row_labels) if len(row_labels) else min(len(images), 12))
    rows = -(-len(images) // columns)
    with drawing(width=0.72 * columns + 0.3 + 0.1 * max(map(len, row_labels), default=0), height=0.72 * rows + 0.25 + 0.3 * bool(title)) as (figure, axis):
        _draw_colour(axis, images, columns, row_labels)
        axis.set_title(title)
    return Picture(figure, says=says)


def bit_bars(rows: Mapping[str, Mapping[str, float]], *, xlabel: str = "bits per dimension", says: str = "") -> Picture:
    """One horizontal bar a row, made of parts laid end to end.  {row: {part: bits}}, the same parts in each."""
    parts = list(next(iter(rows.values())))
    values = array("bit_bars", [[row.get(part, np.nan) for part in parts] for row in rows.values()], ndim=2, name="bits")
    with drawing(width=8.8, height=1.15 + 0.5 * len(rows)) as (figure, axis):
        places, left = -np.arange(len(rows)), np.zeros(len(rows))
        for k, part in enumerate(parts):
            axis.barh(places, values[:, k], 0.6, left=left, color=colour(("posterior", "reconstruction", "gap")[k % 3]), hatch=("", "//", "..")[k % 3], edgecolor="white", label=part)
            left = left + values[:, k]
        for place, total in zip(places, left):
            axis.text(total, place, f" {total:.3f}", va="center", fontsize=10, gid="cell")
        axis.set_yticks(places, list(rows))
        axis.set(xlabel=xlabel, xlim=(0, 1.15 * left.max()))
        axis.grid(axis="y", visible=False)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def two_levels(images: Mapping[str, Tensor], errors: Mapping[str, tuple[float, float]], *, says: str = "") -> Picture:
    """Rows of colour pictures, and beside them the squared error of each row split into layout and detail.

    images {row: (N, 3, H, W)}; errors {row: (layout, detail)}, for some of the rows.
    """
    n = len(next(iter(images.values())))
    with drawing(columns=2, width=0.62 * n + 6.8, height=0.66 * len(images) + 0.5, width_ratios=(0.62 * n + 1.2, 4.4)) as (figure, axes):
        _draw_colour(axes[0], torch.cat(list(images.values())), n, list(images))
        found = array("two_levels", list(errors.values()), ndim=2, name="errors")
        draw_bars(axes[1], list(errors), {"layout": found[:, 0], "detail": found[:, 1]})
        axes[1].legend(loc="best")
        axes[1].tick_params(axis="x", labelsize=9)
        axes[1].set(ylabel="squared error per value")
    return Picture(figure, says=says)


def collapse(runs: Mapping[tuple[int, str], Mapping[int, Run]], pictures: Tensor) -> Callable[..., Picture]:
    """A render(step=..., n_codes=..., revival=...): which codes are used at that step, and the pictures beside their reconstructions.

    runs: {(number of codes, "off" or "on"): {step: Run}}, the same steps for each; pictures (N, pixels).
    """
    steps = list(next(iter(runs.values())))
    for key, run in runs.items():
        if list(run) != steps:
            raise ValueError(f"collapse: run {key} has the steps {list(run)}, expected {steps} like the first; save every run at the same steps")
    sizes, cures = list(dict.fromkeys(k for k, _ in runs)), list(dict.fromkeys(cure for _, cure in runs))

    @explorable(step=steps, n_codes=sizes, revival=cures)
    def render(*, step: int = steps[0], n_codes: int = sizes[0], revival: str = cures[0]) -> Picture:
        counts, reconstructions = runs[n_codes, revival][step]
        with drawing(columns=2, width=9.4, height=2.8, width_ratios=(1.1, 1)) as (figure, axes):
            _draw_usage(axes[0], counts)
            axes[0].set(ylabel="share of all choices", title=_usage_in_words(counts))
            draw_images(axes[1], torch.cat([pictures, reconstructions.clamp(0, 1).reshape(pictures.shape)]), columns=len(pictures), row_labels=["pictures", "decoded"])
            error = (pictures - reconstructions.reshape(pictures.shape)).square().mean()
            axes[1].set_title(f"squared error {error:.3f}")
        return Picture(figure, says="Which codes live, and what do the pictures gain by it?")

    return render


def _draw_usage(axis: Axes, counts: Tensor) -> None:
    shares = np.sort(array("usage", counts, ndim=1, name="counts"))[::-1]
    if shares[-1] < 0 or shares.sum() <= 0:
        raise ValueError(f"usage: counts run from {shares[-1]:.3g} to {shares[0]:.3g}, expected numbers of at least 0, one of them above; pass how often each code was chosen")
    n, shares = len(shares), shares / shares.sum()
    axis.stairs(shares, np.arange(n + 1), fill=True, color=colour("model"), label="shares, busiest code first")
    axis.axhline(1 / n, color=colour("exact"), linestyle="--", linewidth=1.2, label="_uniform")
    axis.set_yscale("symlog", linthresh=1e-3, linscale=0.4)
    axis.set_yticks([0, 0.001, 0.01, 0.1, 1], ["0", ".001", ".01", ".1", "1"])
    axis.set(xlabel="codes, busiest first", xlim=(0, n), ylim=(0, 1.2))


def _usage_in_words(counts: Tensor) -> str:
    return f"perplexity {float(perplexity(counts)):.1f}, share in use {float((counts > 0).double().mean()):.2f}"


def _draw_colour(axis: Axes, images: Tensor, columns: int, row_labels: Sequence[str]) -> None:
    """The sheet is one RGB image, white between the tiles."""
    found = array("colour_grid", images, name="images")
    if found.ndim != 4 or found.shape[1] != 3:
        raise ValueError(f"colour_grid: images have shape {found.shape}, expected (N, 3, H, W); one picture is images[None]")
    n, _, height, width = found.shape
    rows, gap = -(-n // columns), max(1, height // 14)
    if len(row_labels) not in (0, rows):
        raise ValueError(f"colour_grid: got {len(row_labels)} names for rows, expected {rows}")
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), WHITE)
    for i, tile in enumerate(found.clip(0, 1).transpose(0, 2, 3, 1)):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top:top + height, left:left + width] = tile
    axis.imshow(sheet)
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if len(row_labels):
        axis.set_yticks([i * (height + gap) + (height - 1) / 2 for i in range(rows)], list(row_labels))
    axis.tick_params(length=0, labelcolor=BLACK)
