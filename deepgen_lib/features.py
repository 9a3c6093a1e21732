"""What the units of a trained DBN look for: four views of a feature, each a picture in the space of x.

    filter               column j of W_1                              (level 1: what the unit is linear in)
    linear combination   W_1 W_2 ... W_t, column j                    (Lee, Ekanadham, Ng 2008: the sigmoids between are left out)
    activation maximum   argmax_x log odds of unit j at level t       (Erhan, Bengio, Courville, Vincent 2009)
    top images           the images of a data set with the largest log odds

All four use the recognition weights upwards and the top RBM's weights at level L, the layers between by their means (as `DBN.features`), never samples.
sizes: U units, n_0 pixels. A labelled top layer is seen without its labels.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .dbn import DBN
from .validate import require_count, require_matrix, require_number, require_rng

N_STARTS = 4      # random images from which each unit's maximum is sought
FIRST_STEP = 1.0  # length of the first step in pixel space; a digit of MNIST has length 9


def first_layer_filters(dbn: DBN, units: Sequence[int] | Tensor) -> Tensor:
    """W_1's columns, one image a unit: pixel i of row u is the weight from x_i to that unit of h¹.  -> (U, n_0), any sign."""
    units = _unit_numbers("first_layer_filters", dbn, 1, units)
    return _rows_of(_upward(dbn, 1)[0][0], units)


def linear_combination(dbn: DBN, level: int, units: Sequence[int] | Tensor) -> Tensor:
    """Columns of W_1 W_2 ... W_level: each unit as the weighted sum of the filters below it.  -> (U, n_0), any sign, no unit.

    Exact only if the layers were linear; at level 1 it is `first_layer_filters`.
    """
    units = _unit_numbers("linear_combination", dbn, level, units)
    *below, (W, _) = _upward(dbn, level)
    picture = _rows_of(W, units)
    for W, _ in reversed(below):
        picture = picture @ W.T
    return picture


def maximise_activation(dbn: DBN, level: int, units: Sequence[int] | Tensor, *, norm: float | None = None, n_steps: int = 200, rng: torch.Generator) -> Tensor:
    """Images that maximise each unit's activation, over pixels in [0, 1] and, if norm is given, ‖x‖₂ <= norm.  -> (U, n_0).

    Projected gradient ascent on the unit's log odds given x, the layers between by their means (the log odds have the probability's
    maximum and do not go flat where it nears 1). Each step has a set length, falling linearly to zero; the best of 4 random starts drawn from rng is kept.
    A local maximum: beyond level 1 nothing says that it is the highest. Without norm many pixels whose weight is tiny are on; the mean length of a digit
    (MNIST: 9.2) keeps those that matter. Its activation: dbn.features(image, level). Source: Erhan et al. 2009, section 3 (there ‖x‖ fixed, no box).
    """
    units = _unit_numbers("maximise_activation", dbn, level, units)
    require_count("maximise_activation", "n_steps", n_steps)
    require_rng("maximise_activation", rng)
    if norm is not None:
        require_number("maximise_activation", "norm", norm, low=1e-3)
    layers = _upward(dbn, level)
    x = torch.rand(N_STARTS * len(units), dbn.n_units[0], dtype=layers[0][0].dtype, generator=rng)
    targets, x = units.repeat(N_STARTS), _project(x, norm)
    for step in range(n_steps):
        slope = _slope(layers, targets, x)
        length = FIRST_STEP * (1 - step / n_steps)
        x = _project(x + length * slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-30), norm)
    best = _unit_logits(layers, targets, x).view(N_STARTS, -1).argmax(0)
    return x.view(N_STARTS, len(units), -1)[best, torch.arange(len(units))]


def top_images(dbn: DBN, level: int, units: Sequence[int] | Tensor, images: Tensor, *, n_images: int = 9) -> Tensor:
    """The n_images rows of images (N, n_0) that excite each unit most, strongest first.  -> (U, n_images, n_0)."""
    return images[top_rows(dbn, level, units, images, n_images=n_images)]


def top_rows(dbn: DBN, level: int, units: Sequence[int] | Tensor, images: Tensor, *, n_images: int = 9) -> Tensor:
    """Row numbers of `top_images`, by log odds, since probabilities tie at 1.  -> (U, n_images) int64."""
    units = _unit_numbers("top_images", dbn, level, units)
    layers = _upward(dbn, level)
    require_matrix("top_images", "images", images, dbn.n_units[0], dtype=layers[0][0].dtype)
    require_count("top_images", "n_images", n_images, maximum=len(images))
    with torch.no_grad():
        h = _means_below(layers, images)
        W, c = layers[-1]
        logits = h @ W[:, units] + c[units]  # (N, U)
        return logits.topk(n_images, dim=0).indices.T.contiguous()


def _unit_numbers(where: str, dbn: DBN, level: int, units: Sequence[int] | Tensor) -> Tensor:
    """units as (U,) int64, each a unit of that level."""
    if not isinstance(dbn, DBN):
        raise ValueError(f"{where}: dbn is {type(dbn).__name__}, expected a DBN; for one RBM write DBN([rbm])")
    require_count(where, "level", level, maximum=len(dbn.n_units) - 1)
    n = dbn.n_units[level]
    listed = units.tolist() if isinstance(units, Tensor) else list(units) if isinstance(units, (Sequence, range)) and not isinstance(units, str) else units
    whole = isinstance(listed, list) and len(listed) > 0 and all(isinstance(u, int) and not isinstance(u, bool) and 0 <= u < n for u in listed)
    if not whole:
        raise ValueError(f"{where}: units is {str(units)[:80]}, expected a list of whole numbers from 0 to {n - 1}, the units of level {level}; pass for example units=[0, {n - 1}]")
    return torch.tensor(listed)


def _upward(dbn: DBN, level: int) -> list[tuple[Tensor, Tensor]]:
    """(W, c) of the layers from x to h^level, detached."""
    layers = [*dbn.recognition, dbn.top][:level]
    return [(layer.W.detach()[:n], layer.c.detach()) for layer, n in zip(layers, dbn.n_units)]  # [:n] leaves out a labelled top's label rows


def _rows_of(W: Tensor, units: Tensor) -> Tensor:
    return W[:, units].T.contiguous()


def _means_below(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    """Probabilities of the layer under the last one.  (B, n_0) -> (B, n_{level-1})."""
    for W, c in layers[:-1]:
        x = torch.sigmoid(x @ W + c)
    return x


def _unit_logits(layers: list[tuple[Tensor, Tensor]], units: Tensor, x: Tensor) -> Tensor:
    """Log odds of unit u_r given row r of x.  (R,), (R, n_0) -> (R,)."""
    W, c = layers[-1]
    return (_means_below(layers, x) * W.T[units]).sum(1) + c[units]


def _slope(layers: list[tuple[Tensor, Tensor]], units: Tensor, x: Tensor) -> Tensor:
    """∂ log odds / ∂x, row by row.  (R, n_0) -> (R, n_0)."""
    with torch.enable_grad():
        x = x.requires_grad_(True)
        return torch.autograd.grad(_unit_logits(layers, units, x).sum(), x)[0]


def _project(x: Tensor, norm: float | None) -> Tensor:
    """The nearest image with pixels in [0, 1] and ‖x‖₂ <= norm: clamp(s x, 0, 1) with the largest s <= 1 that is short enough, by bisection."""
    x = x.detach()
    clamped = x.clamp(0, 1)
    if norm is None or not (clamped.norm(dim=1) > norm).any():
        return clamped
    low, high = torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1])
    for _ in range(50):
        middle = (low + high) / 2
        short = (middle * x).clamp(0, 1).norm(dim=1, keepdim=True) <= norm
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return torch.where(clamped.norm(dim=1, keepdim=True) <= norm, clamped, (low * x).clamp(0, 1))
