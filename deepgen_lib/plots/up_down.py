"""Figures of chapter 06: q beside the posterior, two divergences asleep, estimates with their errors, what units look for.

Every divergence drawn is computed by `dbn_enumeration`, so a mistake there is seen here.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..dbn import DBN
from ..dbn_enumeration import dbn_posterior, recognition_distribution, wake_kl
from ..enumeration import all_states
from .basic import draw_bars, draw_heatmap, draw_lines
from .controls import explorable
from .images import draw_images
from .inputs import array
from .picture import Picture
from .style import GREY, colour, drawing

MAX_STATES = 16   # bars that can be told apart
RARE = 0.03       # states below this are left out of the widget
TALLEST = 1.12    # of an axis of probabilities, so that a bar of 1 does not touch the frame


def beside(dbn: DBN, x: Tensor, *, title: str = "", says: str = "") -> Picture:
    """One picture x (V,), and for every state of h¹ its probability under q and under the exact posterior. A DBN of two RBMs."""
    with drawing(columns=2, width=10.5, height=3.2, width_ratios=(1, 4.2)) as (figure, axes):
        draw_images(axes[0], x[None])
        axes[0].set_title("x")
        p, q = _states(dbn, x)
        draw_bars(axes[1], _state_names(dbn), {"posterior": p, "q": q})
        axes[1].tick_params(axis="x", rotation=90, labelsize=9)
        axes[1].legend(loc="upper right")
        axes[1].set(xlabel="state of h¹", ylabel="probability", ylim=(0, TALLEST), title=title or _gap_in_words(dbn, x))
    return Picture(figure, says=says)


def repair(paths: Mapping[str, Mapping[int, DBN]], x: Tensor, data: Tensor) -> Callable[..., Picture]:
    """A render(phase=..., step=...): q beside the posterior of x (V,), and log p and bound over the steps of that phase.

    paths: {phase: {step: DBN of two RBMs}}, the same steps for each. log p and bound are means over the rows of data (N, V). States of h¹ that stay
    below 0.03 under q and posterior of all networks are left out. All is computed here, once; moving a slider only draws.
    """
    steps = list(next(iter(paths.values())))
    curves, tables, gaps = {}, {}, {}
    for phase, path in paths.items():
        if list(path) != steps:
            raise ValueError(f"repair: phase {phase!r} has the steps {list(path)}, expected {steps} like the first; save every phase at the same steps")
        with torch.no_grad():
            curves[phase] = [[float(dbn.log_likelihood(data).mean()) for dbn in path.values()], [float(dbn.bound(data).total.mean()) for dbn in path.values()]]
        for step, dbn in path.items():
            tables[phase, step], gaps[phase, step] = _states(dbn, x), _gap_in_words(dbn, x)
    seen = torch.stack(list(tables.values())).amax((0, 1)) >= RARE
    names = [name for name, kept in zip(_state_names(next(iter(paths.values()))[steps[0]]), seen) if kept]
    values = array("repair", list(curves.values()), ndim=3, name="log p and bound")
    room = 0.06 * (values.max() - values.min()) + 1e-3

    @explorable(phase=list(paths), step=steps)
    def render(*, phase: str = next(iter(paths)), step: int = steps[0]) -> Picture:
        place, (p, q) = steps.index(step), tables[phase, step][:, seen]
        with drawing(columns=2, width=9.6, height=3.3, width_ratios=(1.2, 1)) as (figure, axes):
            for name, heights, left, hatch in (("posterior", p, -0.4, ""), ("q", q, 0.0, "//")):  # one legend: each costs 15 ms a move
                axes[0].bar(np.arange(len(names)) + left, heights, 0.4, align="edge", color=colour(name), hatch=hatch, edgecolor="white", label=name)
            axes[0].set_xticks(range(len(names)), names)
            axes[0].legend(loc="upper right")
            axes[0].set(xlabel="state of h¹", ylabel="probability", ylim=(0, TALLEST))
            axes[0].set_title(gaps[phase, step], y=1)  # a title with a fixed place is drawn without measuring the ticks
            for name, line in zip(("likelihood", "bound"), curves[phase]):
                axes[1].plot(range(len(steps)), line, color=colour(name), linestyle="-" if name == "likelihood" else "--", label=name)
                axes[1].plot(place, line[place], "o", color=colour(name), markersize=9, label=f"_{name} now")
                axes[1].text(len(steps) - 1, line[-1], "  log p" if name == "likelihood" else "  bound", va="center")
            axes[1].set_xticks(range(len(steps)), [str(s) for s in steps])
            axes[1].set(xlabel="steps", ylabel="nats per picture", xlim=(-0.3, len(steps)), ylim=(values.min() - room, values.max() + 2 * room))
            axes[1].set_title(phase, y=1)
            axes[1].xaxis.set_label_coords(0.5, -0.13), axes[1].yaxis.set_label_coords(-0.17, 0.5)
        return Picture(figure, says="Which phase moves the posterior, which moves q, and what does it do to the gap?")

    return render


def cat_and_dog(steps: Sequence[int], divergences: Mapping[str, Sequence[float]], tables: Mapping[str, Tensor], *, says: str = "") -> Picture:
    """Tables (2, 2) of p or q over (cat, dog), {name: table}, beside lines of divergences over the steps, {name: (T,)}."""
    n = len(tables)
    with drawing(columns=n + 1, width=2.1 * n + 4.7, height=2.9, width_ratios=(*[1.0] * n, 1.9)) as (figure, axes):
        for i, (axis, (name, table)) in enumerate(zip(axes, tables.items())):
            draw_heatmap(axis, table, rows=("no cat", "cat") if i == 0 else (), columns=("no dog", "dog"), digits=3).set_clim(0, 1)
            for text in axis.texts:
                text.set_color("black" if float(text.get_text()) > 0.6 else "white")
            if i > 0:
                axis.set_yticks([])
            axis.set_title(name)
        draw_lines(axes[n], steps, divergences)
        axes[n].legend(loc="upper right")
        axes[n].set(xlabel="sleep steps", ylabel="nats", title="cake gone")
    return Picture(figure, says=says)


def estimates(rows: Mapping[str, tuple[float, float]], *, xlabel: str, published: Mapping[str, float] | None = None, zero: bool = False, digits: int = 2, title: str = "", says: str = "") -> Picture:
    """Estimates with two standard errors to either side, one line each, first on top.  rows: {name: (value, standard error)}; published: {name: value}, hollow."""
    found = {name: array("estimates", list(pair), ndim=1, name=name) for name, pair in rows.items()}
    found |= {name: array("estimates", [value, 0.0], ndim=1, name=name) for name, value in (published or {}).items()}
    if any(len(pair) != 2 or pair[1] < 0 for pair in found.values()):
        raise ValueError(f"estimates: rows are {rows}, expected (value, standard error) with an error of at least 0")
    with drawing(width=8.6, height=1.0 + 0.45 * len(found)) as (figure, axis):
        for place, (name, (value, error)) in enumerate(found.items()):
            own = name in rows
            shade = colour("model") if own else GREY
            axis.errorbar(value, -place, xerr=2 * error, fmt="o" if own else "D", color=shade, markerfacecolor=shade if own else "white", capsize=4, label=name)
            axis.text(value, -place + 0.17, f"{value:.{digits}f}".replace("-", "−"), ha="center", va="bottom", fontsize=9.5, gid="cell")
        if zero:
            axis.axvline(0, color=colour("exact"), linestyle="--", linewidth=1.2, label="_no change")
        axis.set_yticks([-place for place in range(len(found))], list(found))
        axis.set(xlabel=xlabel, title=title, ylim=(0.4 - len(found), 0.7))
    return Picture(figure, says=says)


def unit_views(linear: Tensor, maxima: Tensor, tops: Tensor, *, title: str = "", says: str = "") -> Picture:
    """Units as columns: the sum of filters (red for, blue against), the picture each asks for, and the images that excite it most.

    linear (U, V), maxima (U, V) in [0, 1], tops (U, N, V) in [0, 1], strongest first.
    """
    n_units, n_tops = tops.shape[:2]
    ink = torch.cat([maxima[None], tops.transpose(0, 1)]).flatten(0, 1)  # row by row
    side = 0.62
    with drawing(rows=2, width=side * n_units + 3.4, height=side * (n_tops + 2) + 0.9, height_ratios=(1, n_tops + 1.2)) as (figure, axes):
        draw_images(axes[0], linear, columns=n_units, contrast="each", row_labels=["sum of filters"])
        draw_images(axes[1], ink, columns=n_units, row_labels=["it asks for", *[f"top image {i + 1}" for i in range(n_tops)]])
        figure.suptitle(title)
    return Picture(figure, says=says)


def two_rankings(scores: Mapping[str, Sequence[float]], errors: Mapping[str, Sequence[float]], *, says: str = "") -> Picture:
    """Networks by their likelihood (left) and by their probe's errors (right).  {name: (S,)}: one value a seed, in the same order."""
    if list(scores) != list(errors):
        raise ValueError(f"two_rankings: scores are of {list(scores)} and errors of {list(errors)}, expected the same networks in the same order")
    with drawing(columns=2, width=10.5, height=3.0) as (figure, axes):
        for axis, values, label in zip(axes, (scores, errors), ("nats per test image (right is better)", "share of errors (left is better)")):
            for place, (name, found) in enumerate(values.items()):
                axis.plot(array("two_rankings", list(found), ndim=1, name=name), np.full(len(found), -place), "o", color=colour(("model", "estimate")[place % 2]), markersize=9, alpha=0.7, label=name)
            axis.set_yticks([-place for place in range(len(values))], list(values))
            axis.set(xlabel=label, ylim=(0.5 - len(values), 0.5))
    return Picture(figure, says=says)


def _states(dbn: DBN, x: Tensor) -> Tensor:
    """Posterior and q of x (V,) over the states of h¹.  -> (2, 2**n_1)"""
    n = dbn.n_units[1]
    if len(dbn.n_units) != 3 or 2**n > MAX_STATES:
        raise ValueError(f"up_down: the DBN has layers {dbn.n_units}, expected two RBMs with at most 4 units in h¹, so that {MAX_STATES} bars are enough")
    with torch.no_grad():
        return torch.cat([dbn_posterior(dbn, x[None]), recognition_distribution(dbn, x[None])])


def _state_names(dbn: DBN) -> list[str]:
    return ["".join(str(int(bit)) for bit in state) for state in all_states(dbn.n_units[1])]


def _gap_in_words(dbn: DBN, x: Tensor) -> str:
    with torch.no_grad():
        return f"gap KL(q‖p) = {max(wake_kl(dbn, x[None]).item(), 0.0):.3f} nats"
