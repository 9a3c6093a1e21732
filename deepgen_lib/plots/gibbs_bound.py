"""Figures of chapter 01: the bound as a landscape over q, where the gap goes, and EM's staircase.

A distribution over three states is drawn as a point of a triangle: at a corner all of q lies on one state, on the opposite edge none of it.
Every value drawn is computed by `variational`, so a mistake there is seen here.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from torch import Tensor

from ..mixture import BernoulliMixture, EMStep
from ..variational import bound_terms, gap, gibbs_bound, log_normaliser, posterior
from .basic import draw_heatmap
from .controls import explorable
from .images import draw_images
from .inputs import array, named_series
from .picture import Picture
from .style import BLACK, SEQUENTIAL, colour, drawing

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
DEPTH = 2.2  # nats below the summit that the colours tell apart
LEVELS = (0.05, 0.2, 0.5, 1.0, 2.0)  # contours: nats below the summit


def triangle(log_joint: Tensor, *, names: Sequence[str], path: Tensor | None = None, title: str = "", says: str = "") -> Picture:
    """The bound over every q on three states, its summit starred.  log_joint (3,); path (T, 3) is a walk of q's, drawn from start to end."""
    with drawing(width=6.4, height=4.9) as (figure, axis):
        shown = _draw_triangle(axis, log_joint, names)
        if path is not None:
            axis.plot(*_place(path).T, "o-", color="white", markersize=6, linewidth=3.4, label="_outline of the path")
            axis.plot(*_place(path).T, "o-", color=colour("q"), markersize=4, linewidth=1.8, label="path of q")
        figure.colorbar(shown, ax=axis, label="bound (nats)", shrink=0.8, extend="min")
        axis.set_title(title)
    return Picture(figure, says=says)


def ceiling(gaps: Tensor | Mapping[str, Tensor], *, title: str = "", says: str = "") -> Picture:
    """How far below log p(x) the bounds of many q's lie.  gaps: (N,), or {name: (N,)}, in nats."""
    found = named_series("ceiling", gaps)
    edges = np.linspace(min(-values.max() for values in found.values()), max(0.0, *(-values.min() for values in found.values())), 45)
    with drawing(height=3.3) as (figure, axis):
        for (name, values), role in zip(found.items(), ("bound", "q", "prior")):
            counts = np.histogram(-values, edges)[0]
            axis.stairs(counts, edges, fill=True, alpha=0.3, color=colour(role), label=f"_area of {name or 'bounds'}")
            axis.stairs(counts, edges, linewidth=2.2, color=colour(role), label=name or "bounds")  # outlines: both can be followed where they overlap
        axis.axvline(0, color=colour("exact"), linestyle="--", label="log p(x)")
        axis.set(xlabel="bound − log p(x) (nats)", ylabel="number of q's", title=title)
        axis.legend(loc="upper left")
    return Picture(figure, says=says)


def hanging(bounds: Mapping[str, float | Tensor], log_p: float | Tensor, *, title: str = "", says: str = "") -> Picture:
    """For each q the bound as a bar and, hanging from the line log p(x), the gap.  bounds: {name of q: nats}."""
    names, log_p = list(bounds), float(array("hanging", log_p, ndim=0, name="log_p"))
    values = array("hanging", [float(bounds[name]) for name in names], ndim=1, name="bounds")
    floor = min(values.min(), log_p) - 0.35 * max(log_p - values.min(), 0.1)
    places = np.arange(len(names))
    with drawing(width=max(6.8, 1.35 * len(names) + 1.5), height=3.6) as (figure, axis):
        axis.bar(places, values - floor, 0.62, bottom=floor, color=colour("bound"), label="bound", edgecolor="white")
        axis.bar(places, log_p - values, 0.62, bottom=values, color=colour("gap"), hatch="//", label="gap", edgecolor="white")
        axis.axhline(log_p, color=colour("exact"), linestyle="--", label="log p(x)")
        for place, value in zip(places, values):
            axis.text(place, log_p + 0.02 * (log_p - floor), f"{max(log_p - value, 0.0):.3f}", ha="center", va="bottom", color=colour("gap"))
        axis.set(ylim=(floor, log_p + 0.14 * (log_p - floor)), ylabel="nats", title=title)
        axis.set_xticks(places, names)
        axis.grid(axis="x", visible=False)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def product_landscape(log_joint: Tensor, *, n: int = 101, title: str = "", says: str = "") -> Picture:
    """Two hidden units: the posterior, the best q that is a product, and the bound over all products q1(h1) q2(h2).  log_joint (2, 2)."""
    log_joint = log_joint.detach().double()
    on = torch.linspace(0, 1, n, dtype=torch.float64)
    q = torch.stack([torch.outer(a, b) for a in (1 - on, on) for b in (1 - on, on)], -1)  # (n, n, 4)
    bounds = gibbs_bound(log_joint.flatten(), q)
    best = np.unravel_index(int(bounds.argmax()), bounds.shape)
    missing = float(gap(log_joint.flatten(), q[best]))
    with drawing(columns=3, width=11, height=3.5, width_ratios=(1, 1, 1.35)) as (figure, axes):
        tables = {"posterior": posterior(log_joint.flatten()), "best product q": q[best]}
        for axis, (name, table) in zip(axes, tables.items()):
            draw_heatmap(axis, table.reshape(2, 2), rows=("h₁=0", "h₁=1"), columns=("h₂=0", "h₂=1")).set_clim(0, 1)
            axis.set_title(name)
        top = float(log_normaliser(log_joint.flatten()))
        shown = axes[2].imshow(bounds, origin="lower", extent=(0, 1, 0, 1), cmap=SEQUENTIAL, vmin=top - DEPTH, vmax=top, aspect="auto")
        axes[2].contour(on, on, bounds, levels=[top - missing - level for level in (1.0, 0.3, 0.1, 0.03)], colors="white", linewidths=0.9, linestyles="-")
        axes[2].plot(on[best[1]], on[best[0]], "*", color="white", markeredgecolor=BLACK, markersize=15, label="best product q")
        axes[2].set(xlabel="q(h₂=1)", ylabel="q(h₁=1)", title=f"bound over all products: gap {missing:.2f}")
        axes[2].grid(visible=False)
        figure.colorbar(shown, ax=axes[2], label="bound (nats)", extend="min")
        figure.suptitle(title)
    return Picture(figure, says=says)


def weigher(model: BernoulliMixture, x: Tensor, *, names: Sequence[str]) -> Callable[..., Picture]:
    """A render(q_first=..., rest_to_second=...): the bound's three terms and the gap at a q that the reader moves.  Three components; x (V,).

    q = (a, (1 - a) s, (1 - a)(1 - s)) with a = q_first and s = rest_to_second; both sliders also stop where q is the posterior.
    """
    log_likelihood, log_joint = model.conditional_log_likelihood(x[None])[0], model.log_joint(x[None])[0]
    p = posterior(log_joint)
    stops = {"q_first": float(p[0]), "rest_to_second": float(p[1] / (1 - p[0]))}
    steps = {"q_first": 10, "rest_to_second": 5}
    values = {name: [(f"{k / n:.1f}", k / n) for k in range(n + 1)] + [(f"{stops[name]:.2f} = p(h | x)", stops[name])] for name, n in steps.items()}

    @explorable(**{name: sorted(pairs, key=lambda pair: pair[1]) for name, pairs in values.items()})
    def render(*, q_first: float = 0.6, rest_to_second: float = 0.8) -> Picture:
        q = torch.tensor([q_first, (1 - q_first) * rest_to_second, (1 - q_first) * (1 - rest_to_second)], dtype=log_joint.dtype)
        with drawing(columns=2, width=9.2, height=3.7, width_ratios=(1, 1.25)) as (figure, axes):
            _draw_triangle(axes[0], log_joint, names, fine=False)
            axes[0].plot(*_place(q[None]).T, "o", color=colour("q"), markeredgecolor="white", markersize=11, label="your q")
            axes[0].set_title("q = (" + ", ".join(f"{max(float(value), 0.0):.2f}" for value in q) + ")")
            _draw_terms(axes[1], log_likelihood, model.log_weights, q)
        return Picture(figure, says="Move q: the gap is what the three terms leave below log p(x).")

    return render


def staircase(trace: Sequence[EMStep], *, zoom: tuple[int, int] = (2, 6), title: str = "", says: str = "") -> Picture:
    """EM's climb: the bound after every half-step under the likelihood; on the right the steps zoom[0] to zoom[1] alone."""
    half = np.arange(2 * len(trace)) / 2
    bound = np.array([[step.bound_after_e, step.bound_after_m] for step in trace]).ravel()
    likelihood = np.array([[step.log_likelihood_before, step.log_likelihood_after] for step in trace]).ravel()
    with drawing(columns=2, width=11, height=3.8) as (figure, axes):
        for axis, (first, last), name in zip(axes, ((0, len(trace)), (zoom[0], zoom[1] + 1)), ("the whole climb", f"steps {zoom[0]} to {zoom[1]}")):
            part = slice(2 * first, 2 * last)
            axis.fill_between(half[part], bound[part], likelihood[part], color=colour("gap"), alpha=0.3, linewidth=0, label="gap")
            axis.plot(half[part], likelihood[part], color=colour("likelihood"), label="log-likelihood")
            axis.plot(half[part], bound[part], color=colour("bound"), linestyle="-", marker="o", markersize=2.5 if first == 0 else 5, label="bound")
            axis.set(xlabel="EM step (whole: after E; half: after M)", title=name)
        axes[0].set_ylabel("nats per training image")
        axes[1].legend(loc="lower right")
        figure.suptitle(title)
    return Picture(figure, says=says)


def judged(images: Tensor, q: Tensor, means: Tensor, *, top: int = 3, says: str = "") -> Picture:
    """Each image above the means of its likeliest components, and below them their shares of q.  images (N, V), q (N, K), means (K, V)."""
    share, order = (part[:, :top] for part in q.sort(1, descending=True))
    tiles = torch.stack([images, *means[order].unbind(1)]).flatten(0, 1)  # row by row: the images, then each rank of means
    n, ranks = len(images), ("likeliest", "second", "third", "fourth", "fifth")[:top]
    with drawing(rows=2, width=1.0 * n + 1.7, height=1.0 * (top + 1) + 1.8, height_ratios=(top + 1, 1.4)) as (figure, axes):
        draw_images(axes[0], tiles, columns=n, row_labels=["test image", *ranks]).axes.set_aspect("auto")
        _draw_shares(axes[1], share, ranks)
    return Picture(figure, says=says)


def _draw_triangle(axis: Axes, log_joint: Tensor, names: Sequence[str], *, fine: bool = True):
    """The landscape on an axis; returns the coloured image."""
    log_joint = log_joint.detach().double()
    if log_joint.shape != (3,) or len(names) != 3:
        raise ValueError(f"triangle: log_joint is {tuple(log_joint.shape)} with {len(names)} names, expected (3,) and 3; a triangle shows three states")
    x, y = np.meshgrid(np.linspace(0, 1, 241 if fine else 81), np.linspace(0, CORNERS[2, 1], 209 if fine else 71))
    third = y / CORNERS[2, 1]
    q = torch.from_numpy(np.stack([1 - x - third / 2, x - third / 2, third], -1)).clamp_min(1e-12)
    bounds, top = gibbs_bound(log_joint, q / q.sum(-1, keepdim=True)).numpy(), float(log_normaliser(log_joint))
    shown = axis.imshow(bounds, origin="lower", extent=(0, 1, 0, CORNERS[2, 1]), cmap=SEQUENTIAL, vmin=top - DEPTH, vmax=top, interpolation="bilinear", aspect="equal")
    contours = axis.contour(x, y, bounds, levels=[top - level for level in LEVELS[::-1]], colors="white", linewidths=0.8, linestyles="-", alpha=0.8)
    edge = Polygon(CORNERS, fill=False, edgecolor=BLACK, linewidth=1.2, label="_edge of the triangle")
    axis.add_patch(edge)
    for artist in (shown, contours):
        artist.set_clip_path(edge)
    axis.plot(*_place(posterior(log_joint)[None]).T, "*", color="white", markeredgecolor=BLACK, markersize=17, label="summit: the posterior")
    for (left, bottom), name, (side, above) in zip(CORNERS, names, (("center", "top"), ("center", "top"), ("center", "bottom"))):
        axis.text(left, bottom + (0.03 if above == "bottom" else -0.03), name, ha=side, va=above)
    axis.set(xlim=(-0.08, 1.08), ylim=(-0.12, CORNERS[2, 1] + 0.1), xticks=[], yticks=[])
    axis.set_axis_off()
    return shown


def _draw_shares(axis: Axes, share: Tensor, ranks: Sequence[str]) -> None:
    """Stacked shares of q, one bar per image, in ever paler shades of the colour of q.  share (N, R)."""
    bottom, n = np.zeros(len(share)), len(share)
    for i, (name, height) in enumerate(zip(ranks, share.T.numpy())):
        axis.bar(np.arange(n), height, 0.7, bottom=bottom, color=colour("q"), alpha=0.72**i, hatch=("", "//", "..", "xx", "\\\\")[i], edgecolor="white", label=name)
        bottom = bottom + height
    axis.set(ylabel="q(k | x)", xlim=(-0.5, n - 0.5), ylim=(0, 1), yticks=(0, 0.5, 1), xticks=[])
    axis.grid(axis="x", visible=False)
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)


def _draw_terms(axis: Axes, log_likelihood: Tensor, log_prior: Tensor, q: Tensor) -> None:
    """Three terms as steps down and up from 0 to the bound, then the gap up to log p(x)."""
    terms = bound_terms(log_likelihood, log_prior, q)
    log_joint = log_likelihood + log_prior
    heights = dict(zip(("reconstruction", "prior", "entropy", "gap"), (*map(float, terms), float(gap(log_joint, q)))))
    level, top = 0.0, float(log_normaliser(log_joint))
    ceiling_shown = float(log_likelihood.max()) + 1.1
    for place, (name, height) in enumerate(heights.items()):
        axis.bar(place, height, 0.7, bottom=level, color=colour(name), edgecolor="white", hatch="//" if name == "gap" else "", label=f"_{name}")
        if place > 0:
            axis.text(place, max(level, level + height) + 0.04, _signed(height), ha="center", va="bottom")
        level += height
        axis.plot([place - 0.35, min(place + 1.35, 3.35)], [level, level], color=BLACK, linewidth=0.9, label=f"_level after {name}")
    axis.axhline(top, color=colour("exact"), linestyle="--", linewidth=1.4, label="_log p(x)")
    axis.text(3.55, top, "log p(x)", va="center", fontsize=10.5)
    axis.text(0, ceiling_shown - 0.1, f"from 0\ndown to\n{_signed(heights['reconstruction'])}", ha="center", va="top", color="white")
    axis.set_xticks(range(4), list(heights))
    axis.set(ylabel="nats", xlim=(-0.5, 3.5), ylim=(float(log_joint.min()) - 0.25, ceiling_shown + 0.05), title=f"bound {_signed(float(terms.total), 3)}, gap {max(heights['gap'], 0):.3f}")
    axis.grid(axis="x", visible=False)


def _signed(number: float, digits: int = 2) -> str:
    """With its sign, a real minus, and no negative zero."""
    text = f"{number:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def _place(q: Tensor) -> np.ndarray:
    """Points of the triangle.  (T, 3) -> (T, 2)."""
    return array("triangle", q, ndim=2, name="q") @ CORNERS
