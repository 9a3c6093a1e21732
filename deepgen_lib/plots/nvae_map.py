"""The map of an NVAE for chapter 11: where each tensor stands, which arrows join them, and the widget that lights what hears of a chosen tensor.

Left column: the picture goes up through the encoder. Right column: the shared path comes down. Between them posterior, z and prior of each group.
What is lit is measured: on a small random network the chosen tensor is moved and every other one compared (nvae.tracing.hears).
"""
from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Rectangle

from ..nvae import NVAE, NVAEConfig, encoder_fields, generative_fields
from ..nvae.tracing import hears, trace
from .controls import explorable
from .picture import Picture
from .style import BLACK, BLUE, GREY, ORANGE, drawing

ENCODER, SHARED = ORANGE, BLUE
TAP, POSTERIOR, Z, PRIOR, PATH = 0.0, 1.25, 2.5, 3.75, 5.0  # columns
ROW = 2.5  # from one group to the next
TOY = NVAEConfig(groups=(1, 2), image_size=16, n_down=1, n_latent=2, width=2, cells=1, outer_cells=1, expansion=1)
HELD, DRAWN, SAMPLE = "a picture, z held", "a picture, z drawn", "no picture"


def places(n_groups: int) -> dict[str, tuple[float, float]]:
    """(x, y) of every tensor, y upwards."""
    found = {"x": (TAP, -2.0), "stem": (TAP, -0.7), "out": (PATH, -2.0)}
    for level in range(1, n_groups + 1):
        y = 0.6 + ROW * (n_groups - level)
        found |= {f"tap {level}": (TAP, y), f"posterior {level}": (POSTERIOR, y), f"z {level}": (Z, y), f"path {level}": (PATH, y), f"join {level}": (PATH, y - ROW / 2)}
        if level > 1:
            found[f"prior {level}"] = (PRIOR, y)
    found["h"] = (PATH, 0.6 + ROW * (n_groups - 0.5))
    return found


def arrows(n_groups: int) -> list[tuple[str, str]]:
    """(from, to)."""
    found = [("x", "stem"), ("stem", f"tap {n_groups}"), ("h", "path 1"), (f"join {n_groups}", "out")]
    for level in range(1, n_groups + 1):
        found += [(f"tap {level}", f"posterior {level}"), (f"path {level}", f"posterior {level}"), (f"posterior {level}", f"z {level}"), (f"z {level}", f"join {level}"), (f"path {level}", f"join {level}")]
        if level > 1:
            found += [(f"tap {level}", f"tap {level - 1}"), (f"path {level}", f"prior {level}"), (f"prior {level}", f"z {level}"), (f"join {level - 1}", f"path {level}")]
    return found


def kind_of(name: str) -> str:
    """"encoder": q's alone; "shared": prior and posterior both stand on it; "prior"; "number": a tensor that no module makes."""
    word = name.split()[0]
    return {"stem": "encoder", "tap": "encoder", "posterior": "encoder", "prior": "prior", "path": "shared", "join": "shared", "out": "shared"}.get(word, "number")


def draw_arrows(axis: Axes, pairs: list[tuple[str, str]], where: Mapping[str, tuple[float, float]], *, lit: set[str] | None = None, half: tuple[float, float, float] = (0.36, 0.52, 0.5)) -> None:
    """A line with a head for each pair; in black where both ends are lit.  half: how far from a box's middle arrows keep, sideways, above, below."""
    lines, heads, shades = [], [], []
    for a, b in pairs:
        (x0, y0), (x1, y1) = where[a], where[b]
        start, end = np.array([x0, y0]), np.array([x1, y1])
        around = a.startswith("path") and b.startswith("posterior")  # over the prior and z
        points = [start + (-0.3, 0.22), (x0 - 0.55, y0 + 0.62), (x1 + 0.45, y1 + 0.62), end + (0.3, 0.22)] if around else _straight(start, end, half)
        lines.append(points)
        heads.append((points[-1], np.array(points[-1]) - np.array(points[-2])))
        shades.append(BLACK if lit is None or {a, b} <= lit else "#d5d5d0")
    axis.add_collection(LineCollection(lines, colors=shades, linewidths=1.3, label="_arrows", zorder=1))
    ends, ways = (np.array(part, dtype=float) for part in zip(*heads))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    axis.quiver(*(ends - 0.12 * ways).T, *(0.12 * ways).T, angles="xy", scale_units="xy", scale=1, color=shades, width=0.002, headwidth=7, headlength=7, headaxislength=6.5, label="_heads", zorder=1)


def draw_name(axis: Axes, name: str, x: float, y: float, *, below: str = "") -> None:
    axis.text(x, y + 0.32, name, ha="center", va="bottom", fontsize=10.5, zorder=4)
    if below:
        axis.text(x, y - 0.33, below, ha="center", va="top", fontsize=9, color=GREY, gid="cell", zorder=4)


@functools.cache
def _heard(walk: str) -> dict[str, frozenset[str]]:
    """{tensor: what moves with it} in one kind of walk."""
    rng = torch.Generator().manual_seed(0)
    model = NVAE(TOY, rng=rng).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=rng, dtype=p.dtype))
    x = None if walk == SAMPLE else torch.randint(0, 2, (1, 1, 16, 16), generator=rng).double()
    noise = model.noise(1, rng)
    return {name: frozenset(hears(model, x, noise, name, held=walk == HELD)) for name in trace(model, x, noise) if name != "h"}


CHOICES = ["x", "tap 3", "tap 1", "path 2", "prior 2", "posterior 2", "z 1", "z 3"]


@explorable(tensor=CHOICES, walk=[DRAWN, HELD, SAMPLE])
def hearing(*, tensor: str = "x", walk: str = DRAWN) -> Picture:
    """Which tensors move when the chosen one does, in a network of three groups; and how much of the picture one of its places sees or reaches."""
    heard = _heard(walk).get(tensor, frozenset())
    where = places(TOY.n_groups)
    with drawing(width=6.6, height=5.4) as (figure, axis):
        draw_arrows(axis, arrows(TOY.n_groups), where, lit=set(heard), half=(0.5, 0.24, 0.24))
        fill = {True: "#f3b26b", False: "#f4f4f1"}
        axis.add_collection(PatchCollection([Rectangle((x - 0.48, y - 0.22), 0.96, 0.44) for x, y in where.values()], facecolors=[BLUE if name == tensor and heard else fill[name in heard] for name in where],
                                            edgecolors=GREY, linewidths=0.8, label="_boxes", zorder=2))
        for name, (x, y) in where.items():
            axis.text(x, y, name, ha="center", va="center", fontsize=10, color="white" if name == tensor and heard else BLACK if name in heard else GREY, gid="cell", zorder=3)
        axis.set(xlim=(TAP - 0.7, PATH + 0.7), ylim=(-2.4, ROW * TOY.n_groups + 0.1), title=_title(tensor, heard))
        axis.axis("off")
    moved = ", ".join(name for name in where if name in heard and name != tensor)
    return Picture(figure, says=f"Blue: the tensor that is moved, {tensor}; orange: what moves with it: {moved or 'nothing'}.")


def _title(tensor: str, heard: frozenset[str]) -> str:
    if not heard:
        return f"{tensor} does not occur"
    word, *level = tensor.split()
    if word == "tap":
        side = min(encoder_fields(TOY)[int(level[0]) - 1], TOY.padded_size)
        return f"a place of {tensor} sees {side}×{side} of 16×16 pixels"
    if word == "z":
        side = min(generative_fields(TOY)[int(level[0]) - 1], TOY.padded_size)
        return f"a place of {tensor} reaches {side}×{side} of 16×16 pixels"
    return f"{len(heard) - 1} tensors move with {tensor}"


def _straight(start: np.ndarray, end: np.ndarray, half: tuple[float, float, float]) -> list[np.ndarray]:
    """From the border of one box to that of the other: sideways where they stand in one row, else up or down."""
    aside, above, below = half
    way = end - start
    if abs(way[1]) < 0.1:
        side = np.array([aside * np.sign(way[0]), 0.0])
        return [start + side, end - side]
    if abs(way[0]) < 0.1:
        return [start + (0, above), end - (0, below)] if way[1] > 0 else [start - (0, below), end + (0, above)]
    return [start + (0.2, -below), end - (aside, 0)]  # down and to the right: z joins the path
