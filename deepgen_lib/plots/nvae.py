"""Figures of chapter 11: the ladder's posteriors, the walk through the network, its cells, scales, parts and fields of view, and what care a deep stack needs."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from ..ladder import LadderQ, TwoGroupLadder, covariance
from .basic import draw_lines
from .controls import explorable
from .images import draw_images
from .inputs import array
from .nvae_map import ENCODER, SHARED, arrows, draw_arrows, draw_name, kind_of, places
from .picture import Picture
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SEQUENTIAL, SKY, VERMILLION, colour, drawing

ANGLES = np.linspace(0, 2 * np.pi, 120)


class Depth(NamedTuple):
    """What a stack of cells did at its start."""
    spread: Sequence[float]    # standard deviation after each cell, first cell first
    gradient: Sequence[float]  # size of the loss's gradient at each cell's output, first cell first


def ladder(toy: TwoGroupLadder, qs: Mapping[str, LadderQ], *, says: str = "") -> Picture:
    """In the plane of z1 and z2: for one x where 86 % of each q lie, and the line on which the prior's mean of z2 stands.  Every q has one row."""
    with drawing(width=7.4, height=4.0) as (figure, axis):
        curves = {name: _ellipse(q) for name, q in qs.items()}
        for (name, xy), dash, shade in zip(curves.items(), ("-", "--", ":"), (BLACK, colour("q"), colour("gap"))):
            axis.plot(*xy.T, color=shade, linestyle=dash, label=name)
        reach = np.concatenate(list(curves.values()))
        z1 = np.array([reach[:, 0].min() - 0.3, reach[:, 0].max() + 0.3])
        axis.plot(z1, toy.a * z1, color=colour("prior"), linewidth=1.4, label="mean of p(z2 | z1)")
        axis.set(xlabel="z1", ylabel="z2", ylim=(reach[:, 1].min() - 0.5, reach[:, 1].max() + 0.5))
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def walk(visits: Mapping[str, tuple[int, Tensor]], *, says: str = "") -> Picture:
    """The whole network as one picture: each tensor of a walk (nvae.tracing.trace) at its place, the mean of its channels for the first example, its shape and how often it was made.

    What did not run is an empty frame. Orange frames: the encoder's own; blue: shared by prior and posterior.
    """
    n = sum(name.startswith("z ") for name in visits)
    where = places(n)
    with drawing(width=9.6, height=0.95 * (max(y for _, y in where.values()) + 2.0) + 0.6) as (figure, axis):
        draw_arrows(axis, [pair for pair in arrows(n) if all(name in visits for name in pair)], where)
        for name, (x, y) in where.items():
            made = visits.get(name)
            shade = {"encoder": ENCODER, "shared": SHARED}.get(kind_of(name), GREY)
            axis.add_patch(Rectangle((x - 0.3, y - 0.3), 0.6, 0.6, fill=False, edgecolor=shade, linewidth=2 if made else 0.7, linestyle="-" if made else ":", label=f"_{name}"))
            draw_name(axis, name, x, y, below="" if made is None else f"{'×'.join(map(str, made[1].shape[1:]))}   runs {made[0]}" if kind_of(name) != "number" else "×".join(map(str, made[1].shape[1:])))
            if made is not None:
                tile = made[1][0].detach().double().mean(0).numpy()
                axis.imshow(tile, extent=(x - 0.28, x + 0.28, y - 0.28, y + 0.28), cmap=SEQUENTIAL if name not in ("x", "out") else "gray_r", aspect="auto", zorder=2, label=name)
        _frame(axis, where)
    return Picture(figure, says=says)


def cell(layers: Sequence[tuple[str, str, int]], *, title: str = "", says: str = "") -> Picture:
    """A residual cell from left to right: (layer, shape of what leaves it, parameters) each, with the skip above and the sum at the end."""
    n = len(layers)
    with drawing(width=0.86 * n + 1.6, height=2.3) as (figure, axis):
        for i, (name, shape, parameters) in enumerate(layers):
            axis.add_patch(Rectangle((i + 0.06, 0), 0.88, 0.7, facecolor="#dbe9f4" if "conv" in name else "#f1f1ee", edgecolor=GREY, label=f"_{name}"))
            axis.text(i + 0.5, 0.35, name.replace(" ", "\n"), ha="center", va="center", fontsize=9.5)
            axis.text(i + 0.5, -0.12, f"{shape}\n{parameters:,}", ha="center", va="top", fontsize=9.5, color=GREY)
        axis.plot([-0.45, -0.45, n + 0.35, n + 0.35], [0.35, 1.0, 1.0, 0.5], color=SHARED, linewidth=2, label="_skip")
        axis.plot([-0.8, 0.06], [0.35, 0.35], color=BLACK, linewidth=1.4, label="_in")
        axis.plot([n - 0.06, n + 0.22], [0.35, 0.35], color=BLACK, linewidth=1.4, label="_branch")
        axis.text(n + 0.35, 0.35, "+", ha="center", va="center", fontsize=16)
        axis.text((n - 0.1) / 2, 1.06, "skip: the input as it is", ha="center", fontsize=9.5, color=SHARED)
        axis.text(n + 0.35, -0.12, "branch\ntimes 0.1", ha="center", va="top", fontsize=9.5, color=GREY)
        axis.set(xlim=(-0.9, n + 0.9), ylim=(-0.6, 1.3), title=title)
        axis.axis("off")
    return Picture(figure, says=says)


def scales(rows: Mapping[str, Sequence[tuple[int, int]]], *, says: str = "") -> Picture:
    """Every latent group of every network as a square, its side that of z, drawn by its logarithm; from the top down, left to right.  {name: [(side, groups)]}"""
    widest = max(sum(n for _, n in row) for row in rows.values())
    with drawing(width=min(11.5, 2.2 + 0.24 * widest), height=0.75 * len(rows) + 0.7) as (figure, axis):
        for k, row in enumerate(rows.values()):
            at = 0
            for i, (side, n) in enumerate(row):
                axis.scatter(at + np.arange(n) + 0.5, np.full(n, -k), s=(3 + 1.7 * np.log2(side)) ** 2, marker="s", color=(SKY, ORANGE, BLUE, GREEN, PURPLE)[i % 5], linewidths=0, label=f"{side}×{side}")
                axis.text(at + n / 2, -k + 0.3, f"{n} of {side}×{side}", ha="center", va="bottom", fontsize=9.5)
                at += n
        axis.set_yticks(-np.arange(len(rows)), list(rows))
        axis.set(xlim=(-0.3, widest + 0.3), ylim=(-len(rows) + 0.4, 0.8), xlabel="latent groups, from the top down", aspect="auto")
        axis.grid(visible=False)
    return Picture(figure, says=says)


def parts(shares: Mapping[str, Mapping[str, float]], *, says: str = "") -> Picture:
    """Horizontal bars: for each part of the network its share of several wholes.  {whole: {part: share}}"""
    names = list(next(iter(shares.values())))
    with drawing(width=8.6, height=0.42 * len(names) + 1.2) as (figure, axis):
        for i, ((whole, found), hatch, shade) in enumerate(zip(shares.items(), ("", "//"), (BLUE, VERMILLION))):
            values = array("parts", [found[name] for name in names], ndim=1, name=whole)
            axis.barh(np.arange(len(names)) + 0.4 * i - 0.2, values, 0.38, color=shade, hatch=hatch, edgecolor="white", label=whole)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="share of the whole")
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.legend(loc="lower right")
    return Picture(figure, says=says)


def fields(picture: Tensor, sides: Mapping[str, Sequence[int]], *, says: str = "") -> Picture:
    """One panel for each {title: sides of the squares}: the picture (S, S), and framed around its middle what one place of each group sees or reaches, the first one boldest."""
    with drawing(columns=len(sides), width=3.7 * len(sides), height=4.9, squeeze=False) as (figure, axes):
        for axis, (title, found) in zip(axes[0], sides.items()):
            draw_images(axis, picture.clamp(0, 1)[None])
            middle, reach = (len(picture) - 1) / 2, max(len(picture), *found) / 2 + 1
            for i, side in enumerate(found):
                axis.add_patch(Rectangle((middle - side / 2, middle - side / 2), side, side, fill=False, edgecolor=(ORANGE, BLUE, GREEN, PURPLE)[i % 4], linewidth=2.6 - 0.5 * min(i, 4), label=f"group {i + 1}: {side}"))
            axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.01), ncols=2, fontsize=9.5)
            axis.set(title=title, xlim=(middle - reach, middle + reach), ylim=(middle + reach, middle - reach))
    return Picture(figure, says=says)


def care(measured: Mapping[tuple[int, str], Depth]) -> Callable[..., Picture]:
    """A render(n_cells=..., built=...): spread of what goes forward and of the gradient that comes back, cell by cell.  {(number of cells, how built): Depth}"""
    sizes, kinds = list(dict.fromkeys(n for n, _ in measured)), list(dict.fromkeys(kind for _, kind in measured))
    if missing := {(n, kind) for n in sizes for kind in kinds} - set(measured):
        raise ValueError(f"care: {sorted(missing)} are missing, expected every number of cells with every way of building; measure them too")

    @explorable(n_cells=sizes, built=kinds)
    def render(*, n_cells: int = sizes[0], built: str = kinds[0]) -> Picture:
        with drawing(width=7.6, height=3.7) as (figure, axis):
            draw_depth(axis, measured[n_cells, built])
            axis.set(title=f"{n_cells} cells, {built}")
        return Picture(figure, says="What a signal and its gradient are worth after many cells.")

    return render


def draw_depth(axis: Axes, found: Depth) -> None:
    """Both curves of a Depth relative to where they start, in powers of ten, cut at 10^-20 and 10^20."""
    tens = {}
    for name, values, start in (("forward", found.spread, 0), ("gradient, backward", found.gradient, -1)):
        values = array("care", values, ndim=1, name=name)
        tens[name] = np.log10(np.clip(values / max(values[start], 1e-300), 1e-20, 1e20))
    draw_lines(axis, np.arange(1, len(tens["forward"]) + 1), tens)
    for line in axis.lines:
        line.set_marker("")
    axis.set(xlabel="cell", ylabel="size, power of ten", ylim=(-21, 21))
    axis.legend(loc="upper right")


def _ellipse(q: LadderQ) -> np.ndarray:
    root = np.linalg.cholesky(covariance(q).numpy())
    middle = np.array([float(q.mu[0]), float(q.offset[0] + q.slope * q.mu[0])])
    return middle + 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1) @ root.T


def _frame(axis: Axes, where: Mapping[str, tuple[float, float]]) -> None:
    x, y = zip(*where.values())
    axis.set(xlim=(min(x) - 0.7, max(x) + 0.7), ylim=(min(y) - 0.6, max(y) + 0.7), xticks=[], yticks=[])
    axis.axis("off")
