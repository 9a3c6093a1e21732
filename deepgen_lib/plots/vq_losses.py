"""Figures of chapter 09: codes and their cells on a plane, who is pushed where by which term, walks across borders, k-means.

Nearest codes are found here by listing all distances, so a mistake in the library's search is seen here.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from .basic import draw_lines, draw_scatter
from .controls import explorable
from .inputs import array, named_series
from .picture import Picture
from .style import BLACK, BLUE, GREY, ORANGE, PAPER, PURPLE, colour, drawing

PUSHES = {"reconstruction": BLUE, "quantization": PURPLE, "commitment": ORANGE}  # the colour of a term's arrows, everywhere in the chapter
TINTS = ("#cfe3f1", "#f6dcc4", "#cfeadf", "#f3dcea", "#f7ecc8", "#dcdcda", "#d8f0fa", "#e9d5cf")  # neighbours differ; a code past the eighth begins again
GRID = 200  # cells of the tinted plane per side
STEP = 0.4  # share of the downhill slope that an arrow shows

CODES = np.array([[-1.5, 1.1], [0.0, 1.5], [1.6, 0.9], [-1.2, -0.9], [0.5, -0.7], [1.9, -1.3]])  # of the widget
WANTED = np.array([0.9, 0.8])  # the decoder output that the widget's reconstruction wants
WALK = [(f"{i + 1}", (round(-2.2 + 0.55 * i, 2), round(-0.35 + 0.1 * i, 2))) for i in range(9)]  # places of z_e, left to right


def cells(codes, points: Mapping | None = None, *, arrows: Mapping | None = None, title: str = "", says: str = "") -> Picture:
    """The plane, tinted by the nearest code; codes numbered from 0.  codes (K, 2), points {name: (N, 2)}, arrows {name: (starts (M, 2), ways (M, 2))}.

    An arrow whose name begins with a term of the loss has the colour of that term.
    """
    codes, found = _plane("cells", codes, "codes"), named_series("cells", points, ndim=2) if points else {}
    ways = {name: tuple(_plane("cells", part, f"arrows {name!r}") for part in pair) for name, pair in (arrows or {}).items()}
    reach = [codes, *found.values(), *(start + way for start, way in ways.values())]
    with drawing(width=7.4, height=4.4) as (figure, axis):
        _draw_cells(axis, codes, _window(*reach))
        if found:
            draw_scatter(axis, found, size=20)
        for name, (starts, vectors) in ways.items():
            _draw_arrows(axis, name, starts, vectors)
        axis.set_title(title)
        if found or ways:
            axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def staircase(codes, walk, loss, *, says: str = "") -> Picture:
    """A straight walk of z_e across the cells, and the loss along it, which stands still inside a cell.  codes (K, 2), walk (N, 2), loss (N,)."""
    codes, walk, loss = _plane("staircase", codes, "codes"), _plane("staircase", walk, "walk"), array("staircase", loss, ndim=1, name="loss")
    with drawing(columns=2, width=11.0, height=3.9) as (figure, axes):
        _draw_cells(axes[0], codes, _window(codes, walk))
        axes[0].plot(*walk.T, color=BLACK, linewidth=1.6, label="_walk of z_e")
        axes[0].set_title("z_e walks from left to right")
        jumps = np.abs(np.diff(loss)) > 1e-9
        axes[1].plot(walk[:, 0], np.where(np.append(jumps, False), np.nan, loss), color=PUSHES["reconstruction"], label="_loss")
        axes[1].set(xlabel="first coordinate of z_e", ylabel="reconstruction loss (nats)", title="what the decoder pays")
    return Picture(figure, says=says)


def crossing(codes, path, target, loss, *, says: str = "") -> Picture:
    """The way of z_e under copied gradients, step by step, and the loss at each step.  codes (K, 2), path (T, 2), target (2,), loss (T,)."""
    codes, path, loss = _plane("crossing", codes, "codes"), _plane("crossing", path, "path"), array("crossing", loss, ndim=1, name="loss")
    target = array("crossing", target, ndim=1, name="target")
    with drawing(columns=2, width=11.0, height=3.9, width_ratios=(1.25, 1)) as (figure, axes):
        _draw_cells(axes[0], codes, _window(codes, path, target[None]))
        _draw_arrows(axes[0], "reconstruction", path[:-1], np.diff(path, axis=0))
        axes[0].plot(*path.T, "o", color=BLACK, markersize=4.5, label="z_e, step by step")
        axes[0].plot(*target, "*", color=colour("estimate"), markersize=15, label="what the decoder should say")
        axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)
        axes[1].step(np.arange(len(loss)), loss, where="mid", color=PUSHES["reconstruction"], label="_loss")
        axes[1].set(xlabel="step", ylabel="reconstruction loss (nats)", title=f"codes {' → '.join(_runs(nearest(path, codes)))}")
    return Picture(figure, says=says)


def k_means(history: Sequence, z, *, says: str = "") -> Picture:
    """Codes and cells at several steps of k-means over the same points.  history: a sequence of (K, 2), z (N, 2)."""
    z, steps = _plane("k_means", z, "z"), [_plane("k_means", codes, "codes") for codes in history]
    window = _window(z, *steps)
    with drawing(columns=len(steps), width=3.7 * len(steps), height=3.7) as (figure, axes):
        for step, (axis, codes) in enumerate(zip(np.atleast_1d(axes), steps)):
            _draw_cells(axis, codes, window)
            axis.plot(*z.T, ".", color=BLACK, markersize=3, label="_z_e")
            error = ((z - codes[nearest(z, codes)]) ** 2).sum(1).mean()
            axis.set_title(f"step {step}: {error:.3f}")
    return Picture(figure, says=says)


def who_moves(lengths, *, rows: Sequence[str], columns: Sequence[str], says: str = "") -> Picture:
    """A table of the length of each term's gradient in each tensor; a zero is drawn white.  lengths (R, C), not negative."""
    lengths = array("who_moves", lengths, ndim=2, name="lengths")
    if lengths.min() < 0 or lengths.shape != (len(rows), len(columns)):
        raise ValueError(f"who_moves: lengths are {lengths.shape} from {lengths.min():.3g}, expected ({len(rows)}, {len(columns)}) numbers from 0 up")
    with drawing(width=1.9 + 1.6 * len(columns), height=0.9 + 0.55 * len(rows)) as (figure, axis):
        axis.imshow(lengths > 0, cmap=ListedColormap([PAPER, TINTS[0]]), vmin=0, vmax=1, aspect="auto", label="_does it move")
        for (row, column), length in np.ndenumerate(lengths):
            axis.text(column, row, "0" if length == 0 else f"{length:.3f}", ha="center", va="center")
        axis.set_xticks(range(len(columns)), list(columns))
        axis.set_yticks(range(len(rows)), list(rows))
        axis.grid(visible=False)
        axis.tick_params(length=0, labeltop=True, labelbottom=False)
    return Picture(figure, says=says)


def ablations(steps, curves: Mapping, *, ylabel: str, log: bool = True, says: str = "") -> Picture:
    """One line per run over the same steps.  steps (T,), curves {name: (T,)}."""
    with drawing(width=9.0, height=3.6) as (figure, axis):
        draw_lines(axis, steps, curves, log="y" if log else "")
        for line in axis.lines:
            line.set_marker("")
        axis.set(xlabel="update", ylabel=ylabel)
    return Picture(figure, says=says)


@explorable(place=WALK, beta=[0.0, 0.25, 1.0, 4.0], term=["all three", *PUSHES])
def pushes(*, place: tuple[float, float] = WALK[3][1], beta: float = 0.25, term: str = "all three") -> Picture:
    """Who moves whom: z_e at `place`, its code, and one arrow per term that is on; bars show the lengths."""
    z = np.array(place)
    k = int(nearest(z[None], CODES)[0])
    e = CODES[k]
    found = {"reconstruction": (z, WANTED - e), "quantization": (e, z - e), "commitment": (z, beta * (e - z))}
    on = [name for name in found if term in (name, "all three")]
    with drawing(columns=2, width=9.4, height=4.0, width_ratios=(2.1, 1)) as (figure, axes):
        _draw_cells(axes[0], CODES, (-3.2, 3.2, -2.4, 2.4), grid=GRID // 2)  # coarser: quicker to move
        axes[0].set(xticks=[], yticks=[])
        axes[0].plot(*WANTED, "*", color=colour("estimate"), markersize=14, label="_wanted")
        axes[0].text(WANTED[0], WANTED[1] - 0.42, "wanted", ha="center", fontsize=9.5)
        axes[0].plot(*z, "o", color=BLACK, markersize=8, label="_z_e")
        axes[0].text(z[0], z[1] - 0.32, "z_e", ha="center", fontsize=10.5)
        for name in on:
            start, way = found[name]
            _draw_arrows(axes[0], name, start[None], STEP * way[None])
        axes[0].set_title(f"z_e is in the cell of code {k}")
        lengths = [np.linalg.norm(found[name][1]) if name in on else 0.0 for name in found]
        axes[1].barh(range(len(found)), lengths, 0.6, color=list(PUSHES.values()), label="_pushes")
        axes[1].set_yticks(range(len(found)), ["reconstruction\nmoves z_e", "quantization\nmoves the code", "commitment\nmoves z_e"], fontsize=9.5)
        axes[1].set(xlim=(0, 4.5), ylim=(2.6, -0.6), title="length of the push")
    return Picture(figure, says="Which term pushes what: blue and orange arrows start at z_e, the purple one at the code.")


def nearest(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The number of the nearest code, the lowest where there are several.  (N, 2), (K, 2) -> (N,)."""
    return ((points[:, None] - codes) ** 2).sum(2).argmin(1)


def _draw_cells(axis: Axes, codes: np.ndarray, window: tuple[float, float, float, float], *, grid: int = GRID) -> None:
    """Tinted cells and numbered codes inside window (left, right, bottom, top)."""
    left, right, bottom, top = window
    x, y = (low + (np.arange(grid) + 0.5) / grid * (high - low) for low, high in ((left, right), (bottom, top)))
    ids = nearest(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2), codes).reshape(grid, grid)
    axis.imshow(ids % len(TINTS), cmap=ListedColormap(TINTS), vmin=-0.5, vmax=len(TINTS) - 0.5, origin="lower", extent=window, aspect="equal", label="cells")
    axis.plot(*codes.T, "s", color=GREY, markersize=12, markeredgecolor="white", label="_codes", zorder=4)
    for k, (x_k, y_k) in enumerate(codes):
        if left <= x_k <= right and bottom <= y_k <= top:
            axis.text(x_k, y_k, str(k), ha="center", va="center", color="white", fontsize=9, gid="cell", zorder=5)
    axis.set(xlim=(left, right), ylim=(bottom, top))
    axis.grid(visible=False)


def _draw_arrows(axis: Axes, name: str, starts: np.ndarray, ways: np.ndarray) -> None:
    term = next((t for t in PUSHES if name.startswith(t)), None)
    axis.quiver(*starts.T, *ways.T, angles="xy", scale_units="xy", scale=1, width=0.006, color=PUSHES.get(term, BLACK), label=name, zorder=3)


def _window(*points: np.ndarray) -> tuple[float, float, float, float]:
    """A window around all points, with a margin."""
    everything = np.concatenate(points)
    low, high = everything.min(0), everything.max(0)
    margin = 0.12 * max(high - low) + 0.1
    return low[0] - margin, high[0] + margin, low[1] - margin, high[1] + margin


def _runs(ids: np.ndarray) -> list[str]:
    """Codes in the order in which they are visited, a stay counted once; the middle of a long journey is left out."""
    visited = [str(k) for k, before in zip(ids, [None, *ids[:-1]]) if k != before]
    return visited if len(visited) <= 6 else [*visited[:5], "…"]


def _plane(function: str, values, name: str) -> np.ndarray:
    found = array(function, values, ndim=2, name=name)
    if found.shape[1] != 2:
        raise ValueError(f"{function}: {name} are {found.shape}, expected (N, 2); only a plane can be drawn")
    return found
