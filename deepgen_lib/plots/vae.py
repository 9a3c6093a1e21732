"""Figures of chapter 08: clouds of gradients, q beside a correlated posterior, what a search for each x gains over the encoder.

The clouds are drawn by the library's own estimators and the ellipses from its own posterior, so a mistake there is seen here.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ..gradient_estimators import QuadraticToy, pathwise_gradients, score_gradients
from ..latents import NormalPosterior
from ..linear_gaussian import LinearGaussian
from .basic import draw_scatter, one_scale
from .controls import explorable
from .inputs import array
from .picture import Picture
from .style import colour, drawing, roles

SIGMAS = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
DRAWS = [1, 10, 100]
BASELINES = ["none", "mean of f"]
CLOUD = 150     # estimates drawn of each kind
REACH = 4.0     # of both axes, to either side; what lies outside is put on the frame and counted
TARGET = (1.0, 0.5)


@explorable(sigma=SIGMAS, n_samples=DRAWS, baseline=BASELINES)
def clouds(*, sigma: float = 0.5, n_samples: int = 10, baseline: str = "none") -> Picture:
    """150 estimates of the same gradient, each a mean of n_samples draws, pathwise and by the score function.

    The gradient of E_q[f] in mu, f(z) = -½ ‖z - (1, ½)‖², q = N(0, sigma² I) on the plane.
    """
    with drawing(columns=2, width=9.2, height=4.2, sharex=True, sharey=True) as (figure, axes):
        for axis, (name, estimates) in zip(axes, _estimates(sigma, n_samples, baseline).items()):
            outside = (np.abs(estimates) > REACH).any(1)
            shade = colour("model" if name == "pathwise" else "estimate")
            axis.scatter(*estimates.clip(-REACH, REACH).T, s=16, color=shade, alpha=0.6, linewidths=0, label=name)
            axis.plot(*TARGET, marker="+", color=colour("exact"), markersize=16, markeredgewidth=2.5, label="exact gradient")
            axis.set(title=f"{name}: spread {_spread(estimates):.2g}", xlabel="slope in mu₁", xlim=(-REACH, REACH), ylim=(-REACH, REACH))
            axis.text(0.02, 0.02, f"{round(100 * outside.mean())} % outside", transform=axis.transAxes, gid="cell")
        axes[0].set_ylabel("slope in mu₂")
    return Picture(figure, says="How far from the exact gradient does each way throw its estimates?")


def ellipses(model: LinearGaussian, x: Tensor, qs: Mapping[str, NormalPosterior], *, says: str = "") -> Picture:
    """The exact posterior of one x (V,) on the latent plane and the q's beside it, each by the line on which it is two standard deviations wide.

    A model of two latents; qs: {name: q of (1, 2)}.
    """
    if model.W.shape[1] != 2:
        raise ValueError(f"ellipses: the model has {model.W.shape[1]} latents, expected 2, so that they fill a plane; build it with W (V, 2)")
    mean, covariance = model.posterior(x[None])
    shapes = {"posterior": (mean[0], covariance)} | {name: (q.mu[0].detach(), torch.diag(torch.exp(2 * q.log_sigma[0].detach()))) for name, q in qs.items()}
    angle = torch.linspace(0, 2 * torch.pi, 121, dtype=covariance.dtype)
    circle = torch.stack([angle.cos(), angle.sin()])
    look = roles(shapes)
    with drawing(width=5.8, height=4.2) as (figure, axis):
        for name, (centre, spread) in shapes.items():
            line = array("ellipses", centre[:, None] + 2 * torch.linalg.cholesky(spread) @ circle, ndim=2, name=name)
            axis.plot(*line, color=look[name].colour, linestyle=look[name].dash, label=name)
            axis.plot(*centre.numpy(), "o", color=look[name].colour, label=f"_centre of {name}")
        one_scale(axis)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
        axis.set(xlabel="z₁", ylabel="z₂")
    return Picture(figure, says=says)


def searched(encoder: Tensor, best: Tensor, *, says: str = "") -> Picture:
    """The bound of each x with the encoder's q (across) and with the best q found for that x (up).  (B,), (B,) nats."""
    points = np.stack([array("searched", values, ndim=1, name=name) for name, values in (("encoder", encoder), ("best", best))], 1)
    ends = [points.min() - 2, points.max() + 2]
    with drawing(width=5.4, height=4.4) as (figure, axis):
        draw_scatter(axis, {"": points})
        axis.plot(ends, ends, color=colour("other"), linestyle=":", label="_no gain")
        axis.text(0.74, 0.66, "no gain", transform=axis.transAxes, color=colour("other"))
        axis.set(xlabel="bound with the encoder's q, nats", ylabel="bound with the best q for this x", xlim=ends, ylim=ends, title=f"mean gain {(points[:, 1] - points[:, 0]).mean():.2f} nats")
    return Picture(figure, says=says)


@cache
def _estimates(sigma: float, n_samples: int, baseline: str) -> dict[str, np.ndarray]:
    """{way: (CLOUD, 2)}, each row a mean of n_samples draws."""
    toy, mu = QuadraticToy(torch.tensor(TARGET, dtype=torch.float64)), torch.zeros(2, dtype=torch.float64)
    log_sigma, rng = torch.full_like(mu, sigma).log(), torch.Generator().manual_seed(0)
    constant = toy.expectation(mu, log_sigma).item() if baseline == BASELINES[1] else 0.0
    options = {"n_samples": CLOUD * n_samples, "rng": rng}
    found = {"pathwise": pathwise_gradients(toy, mu, log_sigma, **options), "score function": score_gradients(toy, mu, log_sigma, baseline=constant, **options)}
    return {name: draws.mu.reshape(CLOUD, n_samples, 2).mean(1).numpy() for name, draws in found.items()}


def _spread(estimates: np.ndarray) -> float:
    """Root of the mean squared distance from the exact gradient."""
    return float(((estimates - np.array(TARGET)) ** 2).sum(1).mean() ** 0.5)
