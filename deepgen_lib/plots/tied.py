"""Figures of chapter 05: p(h1) as a sum, a tied DBN against its RBM, the climb of the second layer, and what it is worth.

Log-likelihood, bound and gap are computed here from the networks themselves, so a mistake in the library is seen here.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ..dbn import DBN
from ..dbn_enumeration import aggregated_posterior, wake_kl
from ..enumeration import all_states, joint_log_prob, visible_log_prob
from ..rbm import RBM
from .basic import draw_bars, draw_heatmap, draw_scatter
from .controls import explorable
from .inputs import array, named_series
from .picture import Picture
from .style import colour, drawing

LEVELS = "⁰¹²³⁴"
MAX_BITS = 4  # 16 rows or columns of a table are the most that can be read


def priors(distributions: Mapping[str, Tensor], *, level: int = 1, says: str = "") -> Picture:
    """Distributions over the states of one hidden layer, side by side.  {name: (2**n,)}, n up to 4."""
    found = named_series("priors", distributions)
    with drawing(width=9.6, height=3.3) as (figure, axis):
        draw_bars(axis, _bits("priors", (len(next(iter(found.values()))) - 1).bit_length()), found)
        axis.set(xlabel=f"h{LEVELS[level]}", ylabel="probability")
    return Picture(figure, says=says)


def marginal(top: RBM, *, says: str = "") -> Picture:
    """The top RBM's p(h1, h2) as a table, one row per h1, and beside it the row sums p(h1).  V and H up to 4."""
    p = joint_log_prob(top).detach().exp()
    rows, columns = _bits("marginal", top.n_visible), _bits("marginal", top.n_hidden)
    with drawing(columns=2, width=min(11.0, 6.6 + 0.3 * len(columns)), height=1.1 + 0.31 * len(rows), width_ratios=(1.6, 1)) as (figure, axes):
        _draw_table(axes[0], p, rows, columns, title="p(h¹, h²)")
        axes[1].barh(np.arange(len(rows)), p.sum(1), 0.7, color=colour("prior"), label="p(h¹)")
        axes[1].set(ylim=axes[0].get_ylim(), yticks=[], title="p(h¹), each row added up", xlabel="probability")
    return Picture(figure, says=says)


def recursion(given: Tensor, above: Tensor, *, says: str = "") -> Picture:
    """P(h1 | h2) as a table, times p(h2) column by column, is p(h1, h2); beside it the row sums p(h1).  given (2**n1, 2**n2), above (2**n2,)."""
    given, above = array("recursion", given, ndim=2, name="given"), array("recursion", above, ndim=1, name="above")
    if given.shape[1] != len(above):
        raise ValueError(f"recursion: given has {given.shape[1]} columns and above has {len(above)} values, expected one column of P(h1 | h2) per state of h2")
    rows, columns = (_bits("recursion", (len(axis) - 1).bit_length()) for axis in (given, above))
    with drawing(columns=3, width=11.2, height=1.3 + 0.33 * len(rows), width_ratios=(1.5, 1.5, 1)) as (figure, axes):
        _draw_table(axes[0], given, rows, columns, title="P(h¹ | h²): columns sum to one")
        _draw_table(axes[1], given * above, rows, columns, title="times p(h²): p(h¹, h²)")
        axes[1].set_xticks(range(len(columns)), [f"{name}\n× {p:.2f}" for name, p in zip(columns, above)])
        axes[2].barh(np.arange(len(rows)), (given * above).sum(1), 0.7, color=colour("prior"), label="p(h¹)")
        axes[2].set(ylim=axes[0].get_ylim(), yticks=[], title="p(h¹), rows added up", xlabel="probability")
    return Picture(figure, says=says)


def terms(climbs: Mapping[str, Tensor], steps: Sequence[float], *, says: str = "") -> Picture:
    """How far each term of the bound has moved since the start, one panel per climb.  {name: (T, 3) of reconstruction, prior, entropy}, steps (T,)."""
    with drawing(columns=len(climbs), width=5.4 * len(climbs), height=3.5) as (figure, axes):
        for axis, (name, values) in zip(np.atleast_1d(axes), climbs.items()):
            moved = array("terms", values, ndim=2, name=name)
            moved = moved - moved[0]
            for column, name_of_term, width in ((0, "reconstruction", 6.0), (2, "entropy", 2.2), (1, "prior", 2.2)):  # the first two coincide
                axis.plot(steps, moved[:, column], color=colour(name_of_term), linewidth=width, label=name_of_term,
                          linestyle="-" if column != 1 else (0, (5, 1.5)))
            axis.set(xlabel="steps of the second layer", title=name)
        np.atleast_1d(axes)[0].set_ylabel("change since the start (nats)")
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def against(exact: Tensor, found: Mapping[str, Tensor], *, says: str = "") -> Picture:
    """For each x, log p(x) of the RBM across and how far each DBN's lies from it upwards: only an equal model lies on zero.  (2**V,) each."""
    exact = array("against", exact, ndim=1, name="exact")
    series = named_series("against", found)
    with drawing(width=8.4, height=3.6) as (figure, axis):
        axis.axhline(0, color=colour("exact"), linestyle="--", linewidth=1.2, label="_equal")
        draw_scatter(axis, {name: np.stack([exact, y - exact], 1) for name, y in series.items()}, size=26)
        axis.set(xlabel="log p(x) of the RBM (nats)", ylabel="DBN minus RBM (nats)")
    return Picture(figure, says=says)


def starts(dbns: Mapping[str, DBN], x: Tensor, *, title: str = "", says: str = "") -> Picture:
    """For each network the bound as a bar and, on top of it up to log p(x), the gap; means over the rows of x.  {name: network}."""
    likelihood, bound, _ = (array("starts", torch.stack(column), ndim=1) for column in zip(*(_measure(dbn, x) for dbn in dbns.values())))
    floor = bound.min() - 0.6 * (likelihood.max() - bound.min())
    places = np.arange(len(dbns))
    with drawing(width=max(6.8, 1.6 * len(dbns) + 2.2), height=3.6) as (figure, axis):
        axis.bar(places, bound - floor, 0.6, bottom=floor, color=colour("bound"), edgecolor="white", label="bound")
        axis.bar(places, likelihood - bound, 0.6, bottom=bound, color=colour("gap"), hatch="//", edgecolor="white", label="gap, up to log p(x)")
        for place, level, low in zip(places, likelihood, bound):
            axis.text(place, floor + 0.04 * (level - floor), f"log p\n{_minus(level)}\ngap {max(level - low, 0.0):.3f}", ha="center", va="bottom", fontsize=10, color="white", gid="cell")
        axis.axhline(likelihood[0], color=colour("exact"), linestyle="--", linewidth=1.2, label="_log p(x) of the first")
        axis.set_xticks(places, list(dbns))
        axis.set(ylabel="nats per picture", ylim=(floor, likelihood.max() + 0.08 * (likelihood.max() - floor)), title=title)
        axis.grid(axis="x", visible=False)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def curves(dbns: Sequence[DBN], x: Tensor, *, steps: Sequence[float], says: str = "") -> Picture:
    """A network along its training: log p(x) and bound, means over the rows of x, and on the right gap and KL(q ‖ p(h | x))."""
    steps = array("curves", steps, ndim=1, name="steps")
    likelihood, bound, kl = (torch.stack(column) for column in zip(*(_measure(dbn, x) for dbn in dbns)))
    with drawing(columns=2, width=11.2, height=3.6, width_ratios=(1.25, 1)) as (figure, axes):
        _draw_curves(axes[0], steps, likelihood, bound)
        axes[0].legend(loc="best")
        axes[0].set(xlabel="steps", ylabel="nats per picture", title="log-likelihood and bound")
        axes[1].plot(steps, likelihood - bound, color=colour("gap"), linewidth=4, alpha=0.45, label="gap: log p(x) − bound")
        axes[1].plot(steps, kl, color=colour("posterior"), linestyle="--", linewidth=1.6, label="KL(q ‖ p(h | x))")
        axes[1].legend(loc="best")
        axes[1].set(xlabel="steps", ylabel="nats per picture", title="the gap is the KL")
    return Picture(figure, says=says)


def gains(points: Mapping[str, Tensor], *, says: str = "") -> Picture:
    """What training was worth, one point per network: gain of the bound across, gain of log p(x) upwards.  {name: (N, 2)}, nats."""
    series = named_series("gains", points, ndim=2)
    reach = max(float(np.abs(xy).max()) for xy in series.values())
    with drawing(width=8.0, height=4.2) as (figure, axis):
        axis.axhspan(-1.05 * reach, 0, color=colour("gap"), alpha=0.08, linewidth=0, label="_log p(x) fell")
        axis.plot([0, reach], [0, reach], color=colour("exact"), linestyle="--", linewidth=1.2, label="_equal gains")
        axis.axhline(0, color=colour("other"), linewidth=1, label="_no gain")
        draw_scatter(axis, series, size=26)
        low = min(float(xy[:, 1].min()) for xy in series.values())
        axis.set(xlabel="gain of the bound (nats)", ylabel="gain of log p(x) (nats)", ylim=(min(1.2 * low, -0.08 * reach), 1.05 * reach))
    return Picture(figure, says=says)


def untying(paths: Mapping[str, tuple[Sequence[DBN], Tensor, float]], *, steps: Sequence[int]) -> Callable[..., Picture]:
    """A render(case=..., step=...): p(h) of the layer that is trained, log p(x), bound and gap while its weights leave their start.

    paths: {case: (networks after steps[0], steps[1], ... steps, data x, mean log p(x) without the new layer)}; the last is drawn dotted.
    """
    stops = list(steps)
    measured = {case: torch.stack([torch.stack(_measure(dbn, x)) for dbn in dbns]) for case, (dbns, x, _) in paths.items()}  # (T, 3)
    layers = {case: [_top_layer(dbn, x) for dbn in dbns] for case, (dbns, x, _) in paths.items()}

    @explorable(case=list(paths), step=stops)
    def render(*, case: str = next(iter(paths)), step: int = stops[0]) -> Picture:
        i, (likelihood, bound, _) = stops.index(step), measured[case].unbind(1)
        with drawing(columns=2, width=9.4, height=3.2, width_ratios=(1, 1.25)) as (figure, axes):
            name, p, q = layers[case][i]
            draw_bars(axes[0], _bits("untying", (len(p) - 1).bit_length()), {"prior": p, "q averaged over data": q}, legend=False)
            axes[0].legend(loc="upper left", fontsize=9)
            axes[0].tick_params(axis="x", labelrotation=90 if len(p) > 8 else 0)
            axes[0].set_ylim(0, 1.3 * max(float(p.max()), float(q.max()), 0.4))
            axes[0].set_title(f"p({name}) after {step} steps", y=1)  # a title with a fixed place is drawn without measuring the ticks
            _draw_curves(axes[1], np.arange(len(stops)), likelihood, bound)
            axes[1].axhline(float(paths[case][2]), color=colour("other"), linestyle=":", linewidth=1.6, label="_log p(x) without this layer")
            axes[1].axvline(i, color=colour("other"), linewidth=1, label="_step")
            for label, level in {" log p(x)": likelihood[-1], " bound": bound[-1]}.items():  # a legend would cost 15 ms a move
                axes[1].text(len(stops) - 1, level, label, va="center", fontsize=10)
            axes[1].text(len(stops) - 1, paths[case][2], "without this layer", ha="right", va="bottom", fontsize=9.5)
            axes[0].yaxis.set_major_locator(MaxNLocator(3))
            axes[1].xaxis.set_label_coords(0.5, -0.13), axes[1].yaxis.set_label_coords(-0.16, 0.5)  # fixed places, as the titles
            axes[1].set_xticks(range(len(stops)), [str(stop) for stop in stops], fontsize=9)
            axes[1].set(xlabel="steps", ylabel="nats")
            axes[1].set_title(f"log p {_minus(likelihood[i])}, bound {_minus(bound[i])}, gap {abs(float(likelihood[i] - bound[i])):.3f}", y=1)
        return Picture(figure, says="What moves while the layers come untied: the prior, log p(x), the bound and the gap between them.")

    return render


def _measure(dbn: DBN, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean over the rows of x of log p(x), bound and KL(q ‖ p(h | x))."""
    with torch.no_grad():
        return dbn.log_likelihood(x).mean(), dbn.bound(x).total.mean(), wake_kl(dbn, x).mean()


def _top_layer(dbn: DBN, x: Tensor) -> tuple[str, Tensor, Tensor]:
    """Name of the top RBM's visible layer, its p, and the aggregated posterior that it is trained on."""
    level = len(dbn.directed)
    with torch.no_grad():
        return f"h{LEVELS[level]}", visible_log_prob(dbn.top).exp(), aggregated_posterior(dbn, x, level=level)


def _draw_curves(axis: Axes, steps: np.ndarray, likelihood: Tensor, bound: Tensor) -> None:
    axis.fill_between(steps, bound, likelihood, color=colour("gap"), alpha=0.25, linewidth=0, label="gap")
    axis.plot(steps, likelihood, color=colour("likelihood"), label="log p(x)")
    axis.plot(steps, bound, color=colour("bound"), linestyle=(0, (5, 1.5)), label="bound")


def _draw_table(axis: Axes, table, rows: Sequence[str], columns: Sequence[str], *, title: str) -> None:
    draw_heatmap(axis, table, rows=rows, columns=columns, digits=2 if len(columns) <= 8 else None)
    axis.set(xlabel="h²", ylabel="h¹", title=title)
    axis.tick_params(axis="x", labelrotation=90 if len(columns) > 8 else 0)


def _minus(number: float | Tensor) -> str:
    """Three digits and a real minus."""
    return f"{float(number):.3f}".replace("-", "−")


def _bits(function: str, n: int) -> list[str]:
    if n > MAX_BITS:
        raise ValueError(f"{function}: {n} units have {2**n} states, expected at most {MAX_BITS} units; more cannot be read in a table")
    return ["".join(str(int(bit)) for bit in state) for state in all_states(n)]
