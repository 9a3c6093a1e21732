"""Figures of chapter 04: who points at whom, the factors of a DBN, tables side by side, layers that climb, and samplers judged by counting.

Axes that run over all states of a layer are in the order of all_states, counting up in binary.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from torch import Tensor

from ..dbn import DBN
from ..dbn_bound import log_generation
from ..enumeration import all_states, joint_log_prob
from .basic import draw_bars, draw_heatmap, draw_lines
from .controls import explorable
from .inputs import array
from .picture import Picture
from .style import BLACK, GREY, colour, drawing

MAX_UNITS = 7  # of a layer: 128 states are the most that a table can show
_WAYS = {"both": (BLACK, "-"), "down": (colour("model"), "-"), "up": (colour("q"), "--")}  # as in every diagram of the course
_LAYERS = ("x", "h¹", "h²", "h³", "h⁴", "h⁵")


def anatomy(n_units: Sequence[int], *, says: str = "") -> Picture:
    """Three networks on the same units: a DBN's generation, its recognition, and a deep Boltzmann machine.  n_units: 2 to 6 layers, from x upwards."""
    sizes = [int(n) for n in n_units]
    if not 2 <= len(sizes) <= len(_LAYERS) or min(sizes) < 1 or max(sizes) > 12:
        raise ValueError(f"anatomy: got layers of {list(n_units)} units, expected 2 to {len(_LAYERS)} layers of 1 to 12 units; more cannot be drawn")
    kinds = {"DBN: generation": ["down"] * (len(sizes) - 2) + ["both"], "its recognition": ["up"] * (len(sizes) - 2) + [""],
             "deep Boltzmann machine": ["both"] * (len(sizes) - 1)}
    with drawing(columns=3, width=10.4, height=0.9 + 0.85 * len(sizes)) as (figure, axes):
        for axis, (title, directions) in zip(axes, kinds.items()):
            _draw_network(axis, sizes, directions)
            axis.set_title(title)
    return Picture(figure, says=says)


def factors(dbn: DBN, *, says: str = "") -> Picture:
    """The tables whose product is the joint distribution, top one first, each with what its columns or the whole add up to."""
    tables = [(joint_log_prob(dbn.top).exp(), len(dbn.n_units) - 1)] + [(log_generation(dbn, t).exp(), t) for t in range(len(dbn.directed), 0, -1)]
    with drawing(columns=len(tables), width=3.5 * len(tables), height=3.9) as (figure, axes):
        for axis, (p, t) in zip(axes if len(tables) > 1 else [axes], tables):
            lower, upper = _LAYERS[t - 1], _LAYERS[t]
            draw_heatmap(axis, p.detach(), digits=None)
            whole = t == len(dbn.n_units) - 1
            name = f"p({lower}, {upper})" if whole else f"P({lower} | {upper})"
            axis.set(ylabel=f"state of {lower}", xlabel=f"state of {upper}", title=name + (": all cells 1" if whole else ": each column 1"))
    return Picture(figure, says=says)


def tables(found: Mapping[str, Tensor], *, rows: str, columns: str, says: str = "") -> Picture:
    """Tables over the states of two layers, side by side on one colour scale.  found: {name: (2**R, 2**C)}; rows, columns: names of the layers."""
    values = {name: array("tables", table, ndim=2, name=name) for name, table in found.items()}
    shape = next(iter(values.values())).shape
    if any(table.shape != shape for table in values.values()):
        raise ValueError(f"tables: got shapes {[table.shape for table in values.values()]}, expected the same shape for all")
    bits = [_bits("tables", n) for n in shape]
    low, high = min(t.min() for t in values.values()), max(t.max() for t in values.values())
    with drawing(columns=len(values), width=0.9 + (0.4 + 0.62 * shape[1]) * len(values), height=1.2 + 0.3 * shape[0]) as (figure, axes):
        for i, (axis, (name, table)) in enumerate(zip(axes if len(values) > 1 else [axes], values.items())):
            draw_heatmap(axis, table, rows=bits[0] if i == 0 else ["" for _ in bits[0]], columns=bits[1], digits=3).set_clim(low, high)
            for text in axis.texts:
                text.set_color("white" if float(text.get_text()) <= (low + high) / 2 else "black")
            axis.set(xlabel=columns, ylabel=rows if i == 0 else "", title=name)
    return Picture(figure, says=says)


def states(distributions: Mapping[str, Tensor], *, layer: str, says: str = "") -> Picture:
    """Bars over all states of a layer.  distributions: {name: (2**n,)}; layer: its name."""
    found = {name: array("states", p, ndim=1, name=name) for name, p in distributions.items()}
    bits = _bits("states", len(next(iter(found.values()))))
    with drawing(width=9.2, height=3.4) as (figure, axis):
        draw_bars(axis, bits, found)
        axis.tick_params(axis="x", labelrotation=90, length=0)
        axis.set(xlabel=f"state of {layer}", ylabel="probability")
    return Picture(figure, says=says)


def units(points: Mapping[str, tuple[Tensor, Tensor]], curves: Mapping[str, Callable[[Tensor], Tensor]], *, xlabel: str, says: str = "") -> Picture:
    """Units as points (input, probability to be on) with curves through the same inputs.  points: {name: ((N,), (N,))}; curves: {name: function of (M,)}."""
    found = {name: [array("units", value.flatten(), ndim=1, name=name) for value in pair] for name, pair in points.items()}
    ends = [end for x, _ in found.values() for end in (x.min(), x.max())]
    x = torch.linspace(min(ends) - 0.5, max(ends) + 0.5, 80, dtype=torch.float64)
    with drawing(width=7.2, height=3.6) as (figure, axis):
        draw_lines(axis, x, {name: curve(x) for name, curve in curves.items()})
        for i, (name, (inputs, p)) in enumerate(found.items()):
            if inputs.shape != p.shape:
                raise ValueError(f"units: {name!r} has {len(inputs)} inputs and {len(p)} probabilities, expected as many")
            axis.plot(inputs, p, linestyle="None", marker="os^"[i % 3], color=(BLACK, GREY)[i % 2], markersize=5, label=name)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
        axis.set(xlabel=xlabel, ylabel="probability to be on", ylim=(-0.04, 1.04))
    return Picture(figure, says=says)


def climb(updates: Sequence[float], series: Mapping[str, Sequence[float]], *, layers: Mapping[str, float], says: str = "") -> Picture:
    """Scores along greedy training.  series: {name: (T,)} over updates (T,); layers: {name: the update at which its training begins}."""
    with drawing(width=9.2, height=3.8) as (figure, axis):
        draw_lines(axis, updates, series)
        top = max(max(map(float, values)) for values in series.values())
        for name, start in layers.items():
            axis.axvline(start, color=GREY, linewidth=1, linestyle=":", label=f"_start of {name}")
            axis.text(start, 0.98, f" {name}", transform=axis.get_xaxis_transform(), va="top", fontsize=10.5, color=BLACK)
        axis.set(xlabel="updates, all layers together", ylabel="nats per example")
        axis.set_ylim(top=top + 0.22 * (top - axis.get_ylim()[0]))
    return Picture(figure, says=says)


def sampling(counts: Mapping[str, Mapping[int, Tensor]], p: Tensor, *, allowed: float) -> Callable[..., Picture]:
    """A render(steps=..., sampler=...): how often each state of x was drawn, against the exact p(x).

    counts: {sampler: {top Gibbs steps: (2**n,) how often each state}}, the same steps for every sampler; p (2**n,). The title holds the chi-square statistic.
    """
    exact = array("sampling", p, ndim=1, name="p")
    names, steps = list(counts), list(next(iter(counts.values())))
    bits = _bits("sampling", len(exact))

    @explorable(steps=[(str(k), k) for k in steps], sampler=names)
    def render(*, steps: int = steps[0], sampler: str = names[0]) -> Picture:
        seen = array("sampling", counts[sampler][steps], ndim=1, name="counts")
        expected = seen.sum() * exact
        statistic = float(((seen - expected) ** 2 / expected).sum())
        verdict = "passes" if statistic < allowed else "fails"
        with drawing(width=10.2, height=3.6) as (figure, axis):
            draw_bars(axis, bits, {"samples": seen / seen.sum()})
            _draw_exact(axis, exact, seen.sum())
            axis.tick_params(axis="x", labelrotation=90, length=0, labelsize=9.5)
            axis.set(ylabel="p(x)", ylim=(0, 1.75 * exact.max()), title=f"{sampler}, {steps} top sweeps: χ² = {statistic:.1f}, {verdict} (allowed {allowed:g})")
            axis.legend(loc="upper right", ncols=2)
        return Picture(figure, says="What the sampler draws, beside what the network believes.")

    return render


def _draw_exact(axis: Axes, exact: np.ndarray, n: float) -> None:
    """p(x) as marks with two standard errors of a frequency among n draws."""
    axis.errorbar(np.arange(len(exact)), exact, yerr=2 * np.sqrt(exact * (1 - exact) / n), fmt="_", color=colour("exact"), markersize=9, markeredgewidth=2,
                  elinewidth=1.2, label="exact, with two standard errors")


def _draw_network(axis: Axes, sizes: Sequence[int], directions: Sequence[str]) -> None:
    """Units as dots, layer 0 below; every pair of neighbouring layers joined, with one large arrow for the direction."""
    places = [[(i - (n - 1) / 2, float(layer)) for i in range(n)] for layer, n in enumerate(sizes)]
    reach = (max(sizes) - 1) / 2
    for t, (below, above, way) in enumerate(zip(places, places[1:], directions), start=1):
        if not way:
            continue
        axis.add_collection(LineCollection([[low, high] for low in below for high in above], colors=_WAYS[way][0], linestyles=_WAYS[way][1], linewidths=0.7, alpha=0.6,
                                           label=f"_{ {'both': 'undirected', 'down': 'downwards', 'up': 'upwards'}[way]} {_LAYERS[t - 1]} {_LAYERS[t]}"))
        tail, head = (t - 0.15, t - 0.85) if way == "down" else (t - 0.85, t - 0.15)
        style = "<->" if way == "both" else "->"
        axis.annotate("", xy=(reach + 0.7, head), xytext=(reach + 0.7, tail), arrowprops={"arrowstyle": style, "lw": 2.4, "color": _WAYS[way][0], "linestyle": _WAYS[way][1]})
    for layer, row in enumerate(places):
        axis.plot(*zip(*row), linestyle="None", marker="o", markersize=11, color="white", markeredgecolor=BLACK, markeredgewidth=1.4, label=f"_units of {_LAYERS[layer]}")
        axis.text(-reach - 0.7, layer, _LAYERS[layer], ha="right", va="center", fontsize=13)
    axis.set(xlim=(-reach - 1.7, reach + 1.3), ylim=(-0.4, len(sizes) - 0.6), xticks=[], yticks=[])
    axis.set_axis_off()


def _bits(function: str, n_states: int) -> list[str]:
    n = (n_states - 1).bit_length()
    if n_states != 2**n or not 1 <= n <= MAX_UNITS:
        raise ValueError(f"{function}: got {n_states} states, expected 2**n with n from 1 to {MAX_UNITS}, one per state of a layer")
    return ["".join(str(int(bit)) for bit in state) for state in all_states(n)]
