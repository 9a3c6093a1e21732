"""Figures of chapter 02: the table of all pairs, distributions over all states, the two phases, and what short chains miss.

Everything drawn is computed here by `enumeration` and `objectives` from the models themselves, so a mistake there is seen here.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..enumeration import all_states, exact_log_likelihood, joint_log_prob, state_numbers, visible_log_prob
from ..objectives import Gradient, exact_gradient, expected_cd_gradient
from ..rbm import RBM
from .basic import draw_bars, draw_heatmap
from .controls import explorable
from .inputs import array, named_series
from .picture import Picture
from .style import BLACK, SEQUENTIAL, SIGNED, colour, drawing

MAX_BITS = 5  # 32 states side by side are the most that can be read


def joint(rbm: RBM, *, says: str = "") -> Picture:
    """p(v, h) as a table, one row per v and one column per h, and beside it the row sums p(v).  V and H up to 5."""
    p = joint_log_prob(rbm).detach().exp()
    rows, columns = _bits("joint", rbm.n_visible), _bits("joint", rbm.n_hidden)
    with drawing(columns=2, width=8.6, height=0.7 + 0.26 * len(rows), width_ratios=(1.9, 1)) as (figure, axes):
        draw_heatmap(axes[0], p, rows=rows, columns=columns, digits=None if len(columns) > 8 else 3)
        for text in [text for text in axes[0].texts if float(text.get_text()) < 0.005]:
            text.remove()
        axes[0].set(xlabel="h", ylabel="v", title="p(v, h); no number: below 0.005")
        axes[1].barh(np.arange(len(rows)), p.sum(1), 0.7, color=colour("model"), label="p(v)")
        axes[1].set(ylim=axes[0].get_ylim(), yticks=[], title="p(v), each row added up", xlabel="probability")
    return Picture(figure, says=says)


def states(distributions: Mapping[str, Tensor], *, first: Tensor | None = None, title: str = "", says: str = "") -> Picture:
    """Bars over all states of n bits, in counting order.  distributions: {name: (2**n,)}; first (N, n): states to be put in front, left of a line."""
    found = named_series("states", distributions)
    n = _n_bits("states", next(iter(found.values())))
    order = _order(n, first)
    with drawing(width=10.4, height=3.6) as (figure, axis):
        _draw_states(axis, {name: p[order] for name, p in found.items()}, n, order, 0 if first is None else len(state_numbers(first).unique()))
        axis.set_title(title)
    return Picture(figure, says=says)


def phases(data: Tensor, model: Tensor, *, says: str = "") -> Picture:
    """The data's phase and the model's on one scale of colours, and their difference, the slope of W, red above and blue below zero.  (V, H) each."""
    tables = {"data: E[v hᵀ]": data, "model: E[v hᵀ]": model, "slope: data − model": data - model}
    top, reach = float(max(data.max(), model.max())), float((data - model).abs().max())
    with drawing(columns=3, width=10.4, height=2.9) as (figure, axes):
        for axis, (name, table), signed in zip(axes, tables.items(), (False, False, True)):
            matrix = array("phases", table, ndim=2, name=name)
            shown = draw_heatmap(axis, matrix, rows=[f"v{i + 1}" for i in range(len(matrix))], columns=[f"h{j + 1}" for j in range(matrix.shape[1])])
            shown.set(cmap=SIGNED if signed else SEQUENTIAL, clim=(-reach, reach) if signed else (0, top))
            for text, value in zip(axis.texts, matrix.flat):
                text.set(text=_signed(value) if signed else f"{value:.2f}", color="white" if (abs(value) > 0.7 * reach if signed else value < top / 2) else BLACK)
            axis.set_title(name)
    return Picture(figure, says=says)


def short_chains(paths: Mapping[object, Sequence[RBM]], data: Tensor, *, every: int) -> Callable[..., Picture]:
    """A render(k=..., update=...): a model on its climb with E[CD-k], its distribution, and where E[CD-k] points from there.

    paths: {k: the models after 0, every, 2 every, ... updates}; the key "exact" stands for the gradient itself. Left: p(v) of the model against
    the data. Right: the exact gradient and E[CD-k] in the plane that they span.
    """
    n_models = min(map(len, paths.values()))
    stops = sorted({round((n_models - 1) * share**2) for share in np.linspace(0, 1, 9)})  # denser at the start, where more happens
    seen, counts = state_numbers(data).unique(return_counts=True)
    names = [*(_bits("short_chains", data.shape[1])[code] for code in seen), f"the {2**data.shape[1] - len(seen)} others"]
    target = torch.cat([counts / len(data), torch.zeros(1)]).double()
    best = -float(torch.special.entr(target).sum())

    @explorable(k=[(str(k), k) for k in paths], update=[(str(stop * every), stop * every) for stop in stops])
    def render(*, k: object = next(iter(paths)), update: int = stops[len(stops) // 2] * every) -> Picture:
        rbm = paths[k][update // every]
        p = visible_log_prob(rbm).detach().exp()[seen]
        with drawing(columns=2, width=8.8, height=3.4, width_ratios=(1.5, 1)) as (figure, axes):
            draw_bars(axes[0], names, {"data": target, "model": torch.cat([p, 1 - p.sum()[None]])})
            axes[0].set(ylim=(0, 1), ylabel="p(v)", title=f"log-likelihood {_minus(exact_log_likelihood(rbm, data).mean().detach())}, best {_minus(best)}")
            axes[0].legend(loc="upper right")
            _draw_directions(axes[1], exact_gradient(rbm, data), None if k == "exact" else expected_cd_gradient(rbm, data, n_gibbs_steps=k), k)
        return Picture(figure, says="Where CD believes uphill is, and what the model it leads to looks like.")

    return render


def angle_and_length(exact: Gradient, other: Gradient) -> tuple[float, float]:
    """Degrees between two gradients, all parameters taken together, and the length of the other in units of the exact one's."""
    a, b = (torch.cat([part.flatten() for part in g]) for g in (exact, other))
    cosine = (a @ b / (a.norm() * b.norm())).clamp(-1, 1).item()
    return math.degrees(math.acos(cosine)), (b.norm() / a.norm()).item()


def _draw_states(axis, series: Mapping[str, Tensor], n: int, order: Tensor, n_first: int) -> None:
    names = [_bits("states", n)[i] for i in order.tolist()]
    draw_bars(axis, names, series)
    axis.tick_params(axis="x", labelrotation=90, length=0)
    if n_first:
        axis.axvline(n_first - 0.5, color=colour("other"), linewidth=1.2, linestyle=":", label="_end of the data's states")
    axis.set_ylabel("p(v)")


def _draw_directions(axis, exact: Gradient, cd: Gradient | None, k: object) -> None:
    """Two arrows of length one from the origin: the exact gradient to the right, the other at its angle to it."""
    half = np.linspace(-np.pi / 2, np.pi / 2, 60)
    axis.fill(np.cos(half), np.sin(half), color=colour("bound"), alpha=0.13, linewidth=0, label="uphill")
    angle, length = (0.0, 1.0) if cd is None else angle_and_length(exact, cd)
    arrows = {"exact": (1.0, 0.0)} if cd is None else {"exact": (1.0, 0.0), f"CD-{k}": (math.cos(math.radians(angle)), math.sin(math.radians(angle)))}
    for (name, tip), role in zip(arrows.items(), ("exact", "estimate")):
        axis.plot([0, tip[0]], [0, tip[1]], color=colour(role), linewidth=3, label=name)
        axis.plot(*tip, marker="o", markersize=9, color=colour(role), label=f"_tip of {name}")
    axis.set(xlim=(-1.15, 1.15), ylim=(-1.55, 1.15), xticks=[], yticks=[], aspect="equal",
             title="the gradient itself" if cd is None else f"CD-{k}: {angle:.0f}° off, {length:.2f} as long")
    axis.grid(visible=False)
    axis.legend(loc="lower center", ncols=3, columnspacing=1.0, handlelength=1.2, fontsize=9.5)
    axis.set_axis_off()


def _order(n: int, first: Tensor | None) -> Tensor:
    """All codes 0 ... 2**n - 1, those of `first` in front."""
    if first is None:
        return torch.arange(2**n)
    if first.shape[1] != n:
        raise ValueError(f"states: the states to be put in front have {first.shape[1]} bits, expected {n}")
    front = torch.zeros(2**n, dtype=torch.bool)
    front[state_numbers(first)] = True
    return torch.cat([front.nonzero().flatten(), (~front).nonzero().flatten()])


def _minus(number: float | Tensor) -> str:
    """Three digits and a real minus."""
    return f"{float(number):.3f}".replace("-", "−")


def _signed(number: float) -> str:
    """Two digits with a sign, but none for zero."""
    return f"{number:+.2f}".replace("-", "−") if abs(number) >= 0.005 else "0.00"


def _n_bits(function: str, p: np.ndarray) -> int:
    n = (len(p) - 1).bit_length()
    if len(p) != 2**n or n < 1:
        raise ValueError(f"{function}: got {len(p)} probabilities, expected 2**n, one per state of n bits")
    return n


def _bits(function: str, n: int) -> list[str]:
    if n > MAX_BITS:
        raise ValueError(f"{function}: {n} bits are {2**n} states, expected at most {MAX_BITS} bits; more cannot be read side by side")
    return ["".join(str(int(bit)) for bit in state) for state in all_states(n)]
