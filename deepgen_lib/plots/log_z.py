"""Figures of chapter 03: the bracket of AIS around log Z, the size of its mistakes, and scores that do and do not measure a model.

Errors are drawn in nats of log Z, estimate minus truth: left of zero log Z is too small, which makes every likelihood look too good.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..enumeration import log_partition
from ..partition import ais_log_partition, reverse_ais_log_partition
from ..rbm import RBM
from .basic import draw_bars, draw_lines
from .controls import explorable
from .images import draw_images
from .inputs import array
from .picture import Picture
from .style import BLACK, GREY, colour, drawing

TEMPERATURES = (3, 10, 30, 100, 300)
N_REPEATS = 20  # estimates per bracket
REACH = 4.0     # nats left and right of the truth that are drawn
WIDEST = 8.0    # nats of an error bar that are drawn: AIS's may be infinite


def bracket(rbm: RBM, *, base_means: Mapping[str, Tensor], starts: Mapping[str, Tensor], rng: torch.Generator) -> Callable[..., Picture]:
    """A render(temperatures=..., base=..., reverse_from=...): 20 forward and 20 reverse estimates of log Z about the exact one.

    rbm is enumerable. base_means: {name: (V,)}; starts: {name: (N, V)} states that the reverse chains set out from, N a multiple of 20, as many for
    each. All runs are made here, once; moving a slider only draws.
    """
    n, exact = len(next(iter(starts.values()))), log_partition(rbm).item()
    forward, reverse = {}, {}
    for t in TEMPERATURES:
        for base, mean in base_means.items():
            run = ais_log_partition(rbm, base_mean=mean, n_chains=n, n_temperatures=t, rng=rng)
            log_z_base = run.estimate - _log_mean_exp(run.log_weights).item()
            forward[t, base] = log_z_base + _estimates(run.log_weights) - exact
            for start, v in starts.items():
                run = reverse_ais_log_partition(rbm, v, base_mean=mean, n_temperatures=t, rng=rng)
                reverse[t, base, start] = log_z_base - _estimates(run.log_weights) - exact

    @explorable(temperatures=TEMPERATURES, base=list(base_means), reverse_from=list(starts))
    def render(*, temperatures: int = TEMPERATURES[0], base: str = next(iter(base_means)), reverse_from: str = next(iter(starts))) -> Picture:
        pair = {"AIS": forward[temperatures, base], "reverse AIS": reverse[temperatures, base, reverse_from]}
        with drawing(width=8.4, height=2.7) as (figure, axis):
            for place, (name, errors), role in zip((1, 0), pair.items(), ("model", "estimate")):
                _draw_estimates(axis, place, errors, role)
            axis.axvline(0, color=colour("exact"), linestyle="--", label="_exact log Z")
            axis.set_yticks((1, 0), [f"{name}\n{_mean_and_error(errors)}" for name, errors in pair.items()])
            axis.set(xlim=(-REACH, REACH), ylim=(-0.6, 1.6), xlabel="error of log Z (nats); dashed: the truth", title=f"{temperatures} temperatures, {n // N_REPEATS} chains an estimate")
            axis.grid(axis="y", visible=False)
        return Picture(figure, says="20 estimates from either side: do they meet, and do they meet at the truth?")

    return render


def mistakes(errors: Mapping[str, Mapping[str, float]], *, title: str = "", says: str = "") -> Picture:
    """Errors of log Z in nats, {what was done: {model: error}}, as bars on a scale that is logarithmic beyond one nat."""
    names, models = list(errors), list(next(iter(errors.values())))
    values = array("mistakes", [[float(errors[name][model]) for model in models] for name in names], ndim=2, name="errors")
    reach = 1.6 * np.abs(values).max() + 1
    with drawing(width=9.2, height=1.3 + 0.62 * len(names)) as (figure, axis):
        axis.set_xscale("symlog", linthresh=1)
        for i, model in enumerate(models):
            places = np.arange(len(names)) + (i - (len(models) - 1) / 2) * 0.38
            axis.barh(places, values[:, i], 0.36, color=colour(("model", "estimate")[i % 2]), hatch=("", "//")[i % 2], edgecolor="white", label=model)
            for place, value in zip(places, values[:, i]):
                axis.text(value, place, f" {_signed(value)} ", ha="left" if value >= 0 else "right", va="center", fontsize=9.5, gid="cell")
        axis.axvline(0, color=colour("exact"), linewidth=1.2, label="_no error")
        axis.set_yticks(np.arange(len(names)), names)
        axis.invert_yaxis()
        ticks = [t for t in (-1000, -100, -10, -1, 0, 1, 10, 100, 1000) if abs(t) <= reach]
        axis.set_xticks(ticks, [str(t).replace("-", "−") for t in ticks])
        axis.set(xlim=(min(-3.0, 9 * values.min()), max(9.0, 9 * values.max())), xlabel="error of log Z (nats, logarithmic beyond ±1); left: the model looks better than it is", title=title)
        axis.grid(axis="y", visible=False)
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2, borderaxespad=0)
    return Picture(figure, says=says)


def two_scores(updates: Sequence[float], reconstruction: Mapping[str, Sequence[float]], likelihood: Mapping[str, Sequence[float]], *, says: str = "") -> Picture:
    """Two measures of the same models along their training, side by side.  {name: (T,)} each, over updates (T,)."""
    with drawing(columns=2, width=11, height=3.7) as (figure, axes):
        draw_lines(axes[0], updates, reconstruction)
        axes[0].get_legend().remove()
        axes[0].set(xlabel="updates", ylabel="squared error per test image", title="reconstruction error (less is better)")
        draw_lines(axes[1], updates, likelihood)
        axes[1].set(xlabel="updates", ylabel="nats per test image", title="exact log-likelihood (more is better)")
    return Picture(figure, says=says)


def protocols(images: Mapping[str, Tensor], scores: Mapping[str, float], *, says: str = "") -> Picture:
    """The same digits under each protocol, one column each, above the score of one and the same model.  images: {protocol: (N, 784)}."""
    tiles = torch.stack(list(images.values()), 1).flatten(0, 1)  # row by row
    values = array("protocols", [float(scores[name]) for name in images], ndim=1, name="scores")
    n = len(next(iter(images.values())))
    with drawing(rows=2, width=1.5 * len(images) + 1.2, height=1.5 * n + 2.7, height_ratios=(1.5 * n, 2)) as (figure, axes):
        draw_images(axes[0], tiles, columns=len(images), column_labels=list(images)).axes.set_aspect("auto")
        draw_bars(axes[1], list(images), values)
        for place, value in enumerate(values):
            axes[1].text(place, 1.03 * value, f"{value:.1f}".replace("-", "−"), ha="center", va="top", gid="cell")
        axes[1].set(ylabel="nats per test image", ylim=(1.25 * values.min(), 0), xlim=(-0.5, len(images) - 0.5))
    return Picture(figure, says=says)


def league(ours: Mapping[str, tuple[float, float, float]], published: Mapping[str, float], *, says: str = "") -> Picture:
    """Scores on one line each, best on top.  ours: {name: (score, low, high)}; published: {name: score}, drawn hollow."""
    rows = {name: (array("league", [max(min(end, triple[0] + WIDEST), triple[0] - WIDEST) for end in triple], ndim=1, name=name), True) for name, triple in ours.items()}
    rows |= {name: (array("league", [score] * 3, ndim=1, name=name), False) for name, score in published.items()}
    order = sorted(rows, key=lambda name: rows[name][0][0])
    with drawing(width=8.6, height=1.0 + 0.42 * len(rows)) as (figure, axis):
        for place, name in enumerate(order):
            (score, low, high), own = rows[name]
            shade = colour("model") if own else GREY
            axis.errorbar(score, place, xerr=[[score - low], [high - score]], fmt="o" if own else "D", color=shade, markerfacecolor=shade if own else "white", capsize=4, label=name)
            axis.text(score, place + 0.18, f"{score:.1f}".replace("-", "−"), ha="center", va="bottom", fontsize=9.5, color=BLACK, gid="cell")
        axis.set_yticks(range(len(order)), order)
        left, right = min(rows[name][0].min() for name in rows), max(rows[name][0].max() for name in rows)
        room = 0.1 * max(right - left, 1.0)  # for the numbers above the first and the last point
        axis.set(xlabel="log-likelihood, nats per test image", xlim=(left - room, right + room), ylim=(-0.6, len(order) - 0.2))
    return Picture(figure, says=says)


def _estimates(log_weights: Tensor) -> Tensor:
    """N_REPEATS estimates of log E[w], each from its own share of the chains.  (N,) -> (N_REPEATS,)."""
    return _log_mean_exp(log_weights.reshape(N_REPEATS, -1))


def _signed(value: float) -> str:
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def _log_mean_exp(log_weights: Tensor) -> Tensor:
    return torch.logsumexp(log_weights, -1) - math.log(log_weights.shape[-1])


def _draw_estimates(axis, place: int, errors: Tensor, role: str) -> None:
    """20 estimates as a row of points, those out of reach as triangles at the edge, and their mean with three standard errors."""
    found = array("bracket", errors, ndim=1, name="errors")
    height = place + 0.22 + 0.16 * np.sin(2.4 * np.arange(len(found)))  # apart, and the same in every frame
    inside = np.abs(found) <= REACH
    axis.plot(found[inside], height[inside], "o", color=colour(role), alpha=0.55, markersize=5, label="_estimates")
    for side, marker in ((-1, "<"), (1, ">")):
        beyond = side * found > REACH
        axis.plot(np.full(beyond.sum(), side * 0.985 * REACH), height[beyond], marker, color=colour(role), alpha=0.55, markersize=6, label="_estimates out of reach")
    mean, error = found.mean(), found.std(ddof=1) / len(found) ** 0.5
    axis.errorbar(np.clip(mean, -REACH, REACH), place - 0.22, xerr=3 * error, fmt="D", color=colour(role), capsize=5, linewidth=2, label="_mean of 20 and three standard errors")


def _mean_and_error(errors: Tensor) -> str:
    mean, error = errors.mean().item(), errors.std().item() / len(errors) ** 0.5
    return f"{mean:+.2f} ± {3 * error:.2f}".replace("-", "−")
