"""Figures of chapter 12: a posterior beside the prior it is written against, what each formula charges, who follows a prior that moves, nats per group.

Divergences are computed here from the two normals by the textbook's formula, so a mistake in the library's is seen here.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from ..residual_normal import ResidualNormal
from .basic import draw_lines
from .controls import explorable
from .inputs import array, named_series
from .picture import Picture
from .style import GREY, colour, drawing

SHIFTS = [0.0, 1.0, 2.0, 4.0, 8.0]
SIGMAS = [0.2, 0.5, 1.0]
WAYS = ["relative", "absolute"]
WIDGET_Q = (0.5, 0.6)   # of the widget: what the network says, a difference of means and a factor, or a mean and a scale
REACH = (-3.0, 11.0)    # of its axis


def beside(cases: Mapping[str, ResidualNormal], *, says: str = "") -> Picture:
    """Densities of p and q, one panel for each case: {name: ResidualNormal of one number each}."""
    if not cases:
        raise ValueError("beside: got no cases, expected at least one {name: ResidualNormal}")
    ends = {name: _ends("beside", r) for name, r in cases.items()}
    if any(len(m) != 1 for m, *_ in ends.values()):
        raise ValueError("beside: a case holds several normals, expected one; pick an entry of each of its four parts")
    low = min(float((min(m[0] - 3.5 * s[0], n[0] - 3.5 * t[0]))) for m, s, n, t in ends.values())
    high = max(float((max(m[0] + 3.5 * s[0], n[0] + 3.5 * t[0]))) for m, s, n, t in ends.values())
    with drawing(columns=len(ends), width=min(3.6 * len(ends), 11.0), height=3.1, sharex=True, sharey=True, squeeze=False) as (figure, axes):
        for axis, (name, (m, s, n, t)) in zip(axes[0], ends.items()):
            _draw_densities(axis, np.linspace(low, high, 201), (m[0], s[0]), (n[0], t[0]))
            axis.set(title=f"{name}:\nKL {_kl(m, s, n, t)[0]:.3f} nats", xlabel="z")
        axes[0, -1].legend(loc="upper left")
    return Picture(figure, says=says)


def charges(formulas: Mapping[str, Callable], *, sigma: float = 2.0, says: str = "") -> Picture:
    """What each formula charges, over dsigma at dmu = 0 and over dmu at dsigma = 1.  formulas: {name: f(dmu, dsigma, sigma)}, the right one first."""
    factors, shifts = torch.linspace(0.2, 2.0, 73, dtype=torch.float64), torch.linspace(-4, 4, 73, dtype=torch.float64)
    at = torch.tensor(float(sigma), dtype=torch.float64)
    with drawing(columns=2, width=11.0, height=3.8, width_ratios=(1, 1)) as (figure, axes):
        panels = [(axes[0], factors, lambda f: f(torch.zeros_like(factors), factors, at), "dsigma, with dmu = 0"),
                  (axes[1], shifts, lambda f: f(shifts, torch.ones_like(shifts), at), f"dmu, with dsigma = 1 and sigma = {sigma:g}")]
        for axis, x, charge, label in panels:
            draw_lines(axis, x, {name: charge(f) for name, f in formulas.items()})
            axis.get_legend().remove()
            axis.lines[0].set(linewidth=5, alpha=0.45)  # the right one lies under those that agree with it
            axis.axhline(0, color=GREY, linewidth=1, label="_zero")
            axis.set(xlabel=label, ylim=(-0.6, 2.5))
        axes[0].set_ylabel("nats")
        axes[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def moving(z1, cases: Mapping[str, ResidualNormal], *, says: str = "") -> Picture:
    """Where p(z2 | z1) and q(z2 | z1, x) lie over z1, two standard deviations to either side, and what they cost.  z1 (N,) rising; all cases have one prior."""
    z1, ends = array("moving", z1, ndim=1, name="z1"), {name: _ends("moving", r) for name, r in cases.items()}
    if not ends or any(len(part) != len(z1) for parts in ends.values() for part in parts):
        raise ValueError(f"moving: cases do not all have {len(z1)} normals, expected one for each entry of z1; compute them at these z1")
    with drawing(columns=2, width=11.0, height=3.8) as (figure, axes):
        *_, n, t = next(iter(ends.values()))
        axes[0].plot(z1, n, color=colour("prior"), linewidth=7, alpha=0.6, label="prior p(z₂ | z₁)")
        for (name, (m, s, *_)), shade in zip(ends.items(), ("q", "estimate", "posterior")):
            axes[0].fill_between(z1, m - 2 * s, m + 2 * s, color=colour(shade), alpha=0.25, linewidth=0, label=f"_two sigma of {name}")
            axes[0].plot(z1, m, color=colour(shade), linestyle="--", label=f"q, {name}")
            axes[1].plot(z1, _kl(*ends[name]), color=colour(shade), label=name)
        axes[0].set(xlabel="z₁", ylabel="z₂", title="who follows the prior?")
        axes[0].legend(loc="upper left")
        axes[1].set(xlabel="z₁", ylabel="KL of the second group (nats)", title="and what it costs")
        axes[1].legend(loc="upper center")
    return Picture(figure, says=says)


@explorable(shift=SHIFTS, sigma=SIGMAS, way=WAYS)
def follow(*, shift: float = 0.0, sigma: float = 1.0, way: str = "relative") -> Picture:
    """The prior moves to N(shift, sigma²) and the network of q goes on saying the same two numbers: where is q, and what is its KL?"""
    q = _widget_q(shift, sigma, way)
    with drawing(width=7.4, height=3.7) as (figure, axis):
        _draw_densities(axis, np.linspace(*REACH, 281), q, (shift, sigma))
        axis.set(xlabel="z", xlim=REACH, ylim=(0, 3.6), yticks=[], title=f"{way}: KL {_kl(*q, shift, sigma):.2f} nats")
        axis.legend(loc="upper right")
    return Picture(figure, says="The prior moves; what the network says about q does not. Who follows?")


def training(updates, kl, bound, *, warm_up: float, names: Sequence[str], says: str = "") -> Picture:
    """Nats of each group over training, shaded while the KL's weight climbs, and the bound.  updates (T,), kl (T, L), bound (T,)."""
    updates, kl, bound = (array("training", v, ndim=n, name=name) for v, n, name in ((updates, 1, "updates"), (kl, 2, "kl"), (bound, 1, "bound")))
    if kl.shape != (len(updates), len(names)) or len(bound) != len(updates):
        raise ValueError(f"training: kl is {kl.shape} and bound {bound.shape}, expected ({len(updates)}, {len(names)}) and ({len(updates)},); one row for each look")
    with drawing(columns=2, width=11.0, height=3.7) as (figure, axes):
        draw_lines(axes[0], updates, dict(zip(names, kl.T)))
        for line in axes[0].lines:
            line.set_marker("")
        axes[0].get_legend().remove()
        axes[0].legend(loc="upper right", ncols=2)
        axes[0].set_ylim(-0.03 * kl.max(), 1.35 * kl.max())  # room for the legend
        axes[1].plot(updates[1:], bound[1:], color=colour("bound"), label="_bound")
        for axis in axes:
            if warm_up > 0:
                axis.axvspan(0, warm_up * updates[-1], color=GREY, alpha=0.13, linewidth=0, label="_warm-up")
        axes[0].set(xlabel="update", ylabel="KL (nats)", title="each group")
        axes[1].set(xlabel="update", ylabel="bound (nats)", title="test bound")
    return Picture(figure, says=says)


def used(kl: Mapping[str, Sequence], *, dimensions: Sequence[int], says: str = "") -> Picture:
    """Nats of each group, one panel for each run; a group under 0.01 nats per dimension has a hatched bar.  kl: {run: (L,)}."""
    found = named_series("used", kl)
    if any(len(v) != len(dimensions) for v in found.values()):
        raise ValueError(f"used: a run does not have {len(dimensions)} groups, expected one number for each of dimensions; pass the mean over pictures")
    tallest = 1.15 * max(v.max() for v in found.values())
    with drawing(columns=len(found), width=min(3.0 * len(found) + 2.8, 11.5), height=2.9, sharey=True, squeeze=False) as (figure, axes):
        for axis, (name, values) in zip(axes[0], found.items()):
            low = values < 0.01 * np.asarray(dimensions, dtype=float)
            for label, kind, shade, hatch in (("at least 0.01 a number", ~low, "model", ""), ("less: hardly speaks", low, "estimate", "//")):
                axis.bar(np.flatnonzero(kind), values[kind], 0.7, color=colour(shade), hatch=hatch, edgecolor="white", label=label)
            for place, nats in enumerate(values):
                axis.text(place, nats + 0.015 * tallest, f"{nats:.1f}", ha="center", va="bottom", gid="cell", fontsize=9)
            axis.set_xticks(range(len(values)), [f"z{i + 1}" for i in range(len(values))])
            axis.set(title=f"{name}:\n{values.sum():.1f} nats in all", ylim=(0, tallest))
            axis.grid(axis="x", visible=False)
        axes[0, 0].set_ylabel("KL (nats)")
        axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0, title="nats")
    return Picture(figure, says=says)


def _draw_densities(axis: Axes, z: np.ndarray, q: tuple[float, float], p: tuple[float, float]) -> None:
    for label, (mean, scale), dash in (("prior p", p, "-"), ("posterior q", q, "--")):
        density = np.exp(-0.5 * ((z - mean) / scale) ** 2) / scale / np.sqrt(2 * np.pi)
        shade = colour("prior" if label == "prior p" else "q")
        axis.plot(z, density, color=shade, linestyle=dash, label=label)
        axis.fill_between(z, density, color=shade, alpha=0.15, linewidth=0, label=f"_under {label}")


def _widget_q(shift: float, sigma: float, way: str) -> tuple[float, float]:
    first, second = WIDGET_Q
    return (shift + first, sigma * second) if way == WAYS[0] else (first, second)


def _ends(where: str, r: ResidualNormal) -> tuple[np.ndarray, ...]:
    """Mean and scale of q, then of p, each (N,)."""
    if not isinstance(r, ResidualNormal):
        raise ValueError(f"{where}: a case is {type(r).__name__}, expected a ResidualNormal; build one: ResidualNormal(mu, log_sigma, delta_mu, delta_log_sigma)")
    mu, log_sigma, delta_mu, delta_log_sigma = np.broadcast_arrays(*(np.atleast_1d(array(where, part, name=name)) for name, part in r._asdict().items()))
    return tuple(part.ravel() for part in (mu + delta_mu, np.exp(log_sigma + delta_log_sigma), mu, np.exp(log_sigma)))


def _kl(mean_q, scale_q, mean_p, scale_p):
    """KL(N(mean_q, scale_q²) ‖ N(mean_p, scale_p²)) in nats."""
    return np.log(scale_p / scale_q) + (scale_q**2 + (mean_q - mean_p) ** 2) / (2 * scale_p**2) - 0.5
