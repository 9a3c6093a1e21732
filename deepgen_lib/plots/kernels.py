"""Figures of chapter 14: rooflines, where the time of launches goes, lanes of tiles, tilings of a matrix; and the widget that asks which limit binds.

Times come from roofline.py's model of a machine; the pictures of tiles are drawn from what a kernel's grid says, not from the kernel.
"""
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import LogLocator, NullLocator

from ..roofline import BUILDER, FORMS, H200, LIMITS, Prices, Work, half_step_work, seconds
from ..validate import require_choice, require_count
from .controls import explorable
from .inputs import array
from .picture import Picture
from .style import BLACK, BLUE, GREEN, GREY, INK, ORANGE, PAPER, VERMILLION, drawing, roles

COLOURS = dict(zip(LIMITS, (GREY, BLUE, VERMILLION)))  # of what takes the time, everywhere in the chapter
TINTS = ("#cfe3f1", "#f6dcc4", "#cfeadf", "#f3dcea")    # neighbouring programs differ
MACHINES = {H200.what: (GREEN, "-"), BUILDER.what: (ORANGE, "--")}
INTENSITIES = (0.02, 20_000.0)  # multiply-adds per byte, from left to right
RATES = (2e8, 2e15)             # multiply-adds per second, from bottom to top
V, H = 784, 500                 # of the widget's RBM


def roofline(machines: Sequence[Prices], works: Mapping[str, Mapping[str, Sequence[Work]]] | None = None, *, says: str = "") -> Picture:
    """Roofs, one per machine: the multiply-adds per second that memory and arithmetic allow; and what works reach, launches counted, as points.

    works: {name: {machine's `what`: launches}}.
    """
    with drawing(width=8.6 if works else 6.2, height=3.6) as (figure, axis):
        _draw_roofs(axis, machines)
        for marker, (name, on) in zip("os^Dv", (works or {}).items()):
            for prices in machines:
                if prices.what in on:
                    axis.plot(*_point(on[prices.what], prices), marker, color=_look(prices)[0], markersize=9, markeredgecolor=BLACK, label=f"{name}: {prices.what}")
        if works:
            axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
        else:
            axis.legend(loc="upper left")
    return Picture(figure, says=says)


def timeline(forms: Mapping[str, Sequence[Work]], prices: Prices, *, says: str = "") -> Picture:
    """Where the modelled time of each form goes: launches, memory, arithmetic, as stacked bars in microseconds."""
    with drawing(width=8.6, height=1.4 + 0.5 * len(forms)) as (figure, axis):
        _draw_timeline(axis, forms, prices)
        axis.set(xlabel="microseconds", title=prices.what)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def lanes(n: int, block: int, *, other: str = "", says: str = "") -> Picture:
    """n numbers cut into tiles of `block` lanes, one tile per program; lanes beyond n are white and hold `other`."""
    require_count("lanes", "n", n, maximum=64)
    require_count("lanes", "block", block, maximum=64)
    n_programs = -(-n // block)
    owner = np.arange(n_programs * block) // block
    with drawing(width=min(11.0, 1.2 + 0.55 * len(owner)), height=1.75) as (figure, axis):
        tint = np.where(np.arange(len(owner)) < n, 1 + owner % len(TINTS), 0)
        axis.imshow(tint[None], cmap=ListedColormap([PAPER, *TINTS]), vmin=-0.5, vmax=len(TINTS) + 0.5, aspect="auto", label="lanes")
        for lane in range(len(owner)):
            axis.text(lane, 0, f"{lane}" if lane < n else other, ha="center", va="center", gid="cell", color=BLACK if lane < n else VERMILLION)
        for program in range(1, n_programs):
            axis.axvline(program * block - 0.5, color=BLACK, linewidth=1.5, label="_border")
        axis.set_xticks([(p + 0.5) * block - 0.5 for p in range(n_programs)], [f"program {p}" for p in range(n_programs)])
        axis.set_yticks([])
        axis.tick_params(length=0)
        axis.grid(visible=False)
        axis.set_title(f"{n} numbers, {n_programs} programs of {block} lanes")
    return Picture(figure, says=says)


def tilings(states: Mapping[str, object], tiles: Mapping[str, tuple[int, int]], *, says: str = "") -> Picture:
    """Matrices of 0 and 1 side by side, each with the borders of the tiles that made it.  states {name: (B, H)}, tiles {name: (rows, columns)}."""
    if set(states) != set(tiles) or not states:
        raise ValueError(f"tilings: got states of {sorted(states)} and tiles of {sorted(tiles)}, expected the same names, at least one")
    with drawing(columns=len(states), width=3.6 * len(states), height=3.2) as (figure, axes):
        for axis, (name, matrix) in zip(np.atleast_1d(axes), states.items()):
            matrix, (rows, columns) = array("tilings", matrix, ndim=2, name=f"states {name!r}"), tiles[name]
            axis.imshow(matrix, cmap=INK, vmin=0, vmax=1.6, aspect="auto", label="states")
            for row in range(rows, matrix.shape[0], rows):
                axis.axhline(row - 0.5, color=VERMILLION, linewidth=1.3, label="_border")
            for column in range(columns, matrix.shape[1], columns):
                axis.axvline(column - 0.5, color=VERMILLION, linewidth=1.3, label="_border")
            axis.set(title=f"{name}", xlabel="unit", ylabel="chain")
            axis.grid(visible=False)
    return Picture(figure, says=says)


def race(seconds_of: Mapping[str, Mapping[str, Sequence[float]]], *, says: str = "") -> Picture:
    """How many times as long as "ours" other ways to do the same work take (medians), one row per work, on a logarithmic axis.

    {work: {way: seconds, round by round}}; works without "ours" or without a rival are left out.
    """
    found = {work: {way: float(np.median(array("race", rounds, ndim=1, name=f"{work!r}, {way!r}"))) for way, rounds in ways.items()}
             for work, ways in seconds_of.items() if "ours" in ways and len(ways) > 1}
    if not found:
        raise ValueError("race: got no times of ours beside another way, expected {work: {way: seconds}}; measure first")
    look = roles(dict.fromkeys(way for ways in found.values() for way in ways if way != "ours"))
    with drawing(width=11.0, height=1.4 + 0.32 * len(found)) as (figure, axis):
        axis.axvline(1, color=BLACK, linewidth=1.5, label="ours")
        for marker, (way, role) in zip(itertools.cycle("sD^voPX"), look.items()):
            places = [(ways[way] / ways["ours"], y) for y, ways in enumerate(found.values()) if way in ways]
            axis.plot(*zip(*places), marker, color=role.colour, linestyle="none", label=way)
        axis.set_yticks(range(len(found)), list(found))
        axis.set(xscale="log", ylim=(len(found) - 0.5, -0.5), xlabel="times as long as ours (left of the line: quicker)")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


@explorable(chains=[1, 10, 100, 1000, 10_000], steps=[1, 5, 25], form=list(FORMS))
def limits(*, chains: int = 100, steps: int = 5, form: str = FORMS[0]) -> Picture:
    """Which limit binds, for Gibbs half-steps of a 784 x 500 RBM: roofs with what is reached, and where the time goes, on two machines."""
    require_choice("limits", "form", form, FORMS)
    machines = (H200, BUILDER)
    works = {p.what: half_step_work(chains, V, H, form=form, n_steps=steps, number=p.number) for p in machines}
    with drawing(columns=2, width=10.6, height=3.7, width_ratios=(1.25, 1)) as (figure, axes):
        _draw_roofs(axes[0], machines)
        for p in machines:
            axes[0].plot(*_point(works[p.what], p), "o", color=_look(p)[0], markersize=10, markeredgecolor=BLACK, label=f"_reached: {p.what}")
            axes[0].text(INTENSITIES[1], 0.6 / p.multiply_add, p.what, ha="right", va="top", fontsize=9)  # a legend would cost 9 ms a move
        shares = {p.what: seconds(works[p.what], p) for p in machines}
        left = np.zeros(2)
        for limit in LIMITS:
            width = np.array([100 * s[limit] / sum(s.values()) for s in shares.values()])
            axes[1].barh(range(2), width, 0.55, left=left, color=COLOURS[limit], label=f"_{limit}")
            for y in range(2):
                if width[y] > 14:
                    axes[1].text(left[y] + width[y] / 2, y, limit, ha="center", va="center", color="white", fontsize=9.5, gid="cell")
            left += width
        axes[1].set_yticks(range(2), [f"{'GPU' if p is H200 else 'CPU'}\n{_readable(sum(shares[p.what].values()))}" for p in machines])
        axes[1].set(xlim=(0, 100), ylim=(1.6, -0.6), xlabel="% of the time")
        axes[1].set_title("where the time goes", y=1)  # a title with a fixed place is drawn without measuring the ticks
    return Picture(figure, says="What half-steps reach under each roof, and what takes the time.")


def _draw_roofs(axis: Axes, machines: Sequence[Prices]) -> None:
    for prices in machines:
        x = np.array([INTENSITIES[0], prices.ridge, INTENSITIES[1]])
        colour, dash = _look(prices)
        axis.plot(x, np.minimum(1 / prices.multiply_add, x / prices.byte), color=colour, linestyle=dash, label=prices.what)
    axis.set(xscale="log", yscale="log", xlim=INTENSITIES, ylim=RATES, xlabel="multiply-adds per byte", ylabel="multiply-adds per second")
    axis.set_xticks([0.1, 10, 1000], ["0.1", "10", "1,000"])
    axis.set_yticks([1e9, 1e12, 1e15], ["10⁹", "10¹²", "10¹⁵"])
    for one in (axis.xaxis, axis.yaxis):
        one.set_minor_locator(NullLocator())


def _point(works: Sequence[Work], prices: Prices) -> tuple[float, float]:
    """(multiply-adds per byte, multiply-adds per second) of all launches together."""
    operations, moved = (sum(getattr(work, name) for work in works) for name in ("multiply_adds", "bytes"))
    return operations / moved, operations / sum(seconds(works, prices).values())


def _draw_timeline(axis: Axes, forms: Mapping[str, Sequence[Work]], prices: Prices) -> None:
    left, parts = np.zeros(len(forms)), [seconds(works, prices) for works in forms.values()]
    for limit in LIMITS:
        width = 1e6 * np.array([part[limit] for part in parts])
        axis.barh(range(len(forms)), width, 0.6, left=left, color=COLOURS[limit], label=limit)
        left += width
    axis.set_yticks(range(len(forms)), list(forms))
    axis.set_ylim(len(forms) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)


def _look(prices: Prices) -> tuple[str, object]:
    return MACHINES.get(prices.what, (BLACK, ":"))


def _readable(duration: float) -> str:
    """A time of a few digits: 16.2 µs, 1.31 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if duration >= size or unit == "µs":
            return f"{duration / size:#.3g} {unit}".replace(". ", " ")
    raise AssertionError("the last unit takes all")
