"""Figures of chapter 07: a filter that slides, rivals in a block, filters as pictures, selectivity by depth, an occluded face.

Photographs and what networks make of them are shown grey on grey, as the eye expects: light is light, zero of a whitened picture is middle grey.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..conv_dbn import ConvDBN
from ..conv_networks import SIDES, complete, completion_error, half_known
from ..max_pool import probabilistic_max_pool
from .basic import draw_heatmap, draw_lines
from .controls import explorable
from .images import as_images, draw_images, image_grid
from .inputs import array
from .picture import Picture
from .style import BLACK, colour, drawing, roles

WHITE_REACH = 3.0  # standard deviations of a whitened picture from middle grey to black or white


def as_ink(images, contrast: str) -> np.ndarray:
    """Darkness in [0, 1] of pictures (N, 1, H, W) or (N, H, W): "photo" in [0, 1], "white" of variance one, "each" on a scale of its own, zero in the middle."""
    tiles = as_images("conv", images)
    if contrast not in ("photo", "white", "each"):
        raise ValueError(f"conv: contrast is {contrast!r}, expected 'photo', 'white' or 'each'")
    if contrast == "photo":
        return 1 - tiles
    reach = WHITE_REACH if contrast == "white" else np.maximum(np.abs(tiles).max((1, 2), keepdims=True), 1e-12)
    return np.clip(0.5 - tiles / (2 * reach), 0, 1)


def pictures(images, *, contrast: str = "photo", columns: int | None = None, row_labels: Sequence = (), column_labels: Sequence = (), title: str = "", says: str = "") -> Picture:
    """A sheet of photographs, whitened pictures or filters, (N, 1, H, W) or (N, H, W), grey as `as_ink` says."""
    return image_grid(as_ink(images, contrast), columns=columns, row_labels=row_labels, column_labels=column_labels, title=title, says=says)


def sliding(v: Tensor, W: Tensor, I: Tensor, p_pool: Tensor, *, says: str = "") -> Picture:
    """One picture (H, W), one filter, the inputs of its units and the chance of each pooling unit, side by side with their numbers."""
    with drawing(columns=4, width=11.2, height=3.1, width_ratios=(1.15, 0.7, 1.05, 0.75)) as (figure, axes):
        for axis, values, title, digits in zip(axes, (v, W, I, p_pool), ("picture v", "filter W", "inputs I", "P(pool = 1)"), (0, 0, 0, 2)):
            draw_heatmap(axis, values, digits=digits)
            axis.set(xticks=[], yticks=[], title=title)
            axis.set_aspect("equal")
            for text in axis.texts:
                text.set_fontsize(9)
    return Picture(figure, says=says)


def rivals(I: Tensor, place: int, inputs: Sequence[float], *, says: str = "") -> Picture:
    """One input of a block rises. Left: its unit, the strongest of the others, the pooling unit. Right: the pooling unit against plain max-pooling.  I (n,), a square number."""
    side, x = round(len(I)**0.5), torch.as_tensor(list(inputs), dtype=torch.float64)
    I = I.double().expand(len(x), -1).clone()
    I[:, place] = x
    p, on = probabilistic_max_pool(I.view(len(x), 1, side, side), side)
    p, on = p.flatten(1), on.flatten()
    rival = int(I[0].scatter(0, torch.tensor(place), -np.inf).argmax())
    with drawing(columns=2, width=11.0, height=3.3) as (figure, axes):
        draw_lines(axes[0], x, {"pooling unit": on, "this unit": p[:, place], "its rival": p[:, rival]})
        draw_lines(axes[1], x, {"probabilistic": on, "plain maximum": torch.sigmoid(I).amax(1)})
        for axis in axes:
            axis.get_legend().remove()
            axis.legend(loc="center right" if axis is axes[0] else "lower right")
            axis.set(xlabel="its input I", ylabel="probability", ylim=(0, 1.05))
        axes[0].set_title("one unit rises, its rival falls")
        axes[1].set_title("the pooling unit")
    return Picture(figure, says=says)


def layers(bases: Mapping[str, Tensor], *, columns: int = 6, says: str = "") -> Picture:
    """Sheets of filters as pictures, one panel a layer, each tile on its own scale.  {name: (K, 1, S, S) or (K, S, S)}."""
    found = {name: as_ink(images, "each") for name, images in bases.items()}
    rows = max(-(-len(tiles) // columns) for tiles in found.values())
    side = min(11.2 / len(found), 5.2)
    with drawing(columns=len(found), width=side * len(found), height=side * rows / columns + 0.5) as (figure, axes):
        for axis, (name, tiles) in zip(np.atleast_1d(axes), found.items()):
            draw_images(axis, tiles, columns=columns)
            axis.set_anchor("N")
            axis.set_title(name)
    return Picture(figure, says=says)


def by_depth(precision: Mapping[str, Mapping[str, Tensor]], *, chance: Mapping[str, float] | None = None, says: str = "") -> Picture:
    """Average precision of the features of each layer, one panel a class: how many features reach how much.  {class: {layer: (F,)}}; chance {class: share}.

    Features are sorted, the best at the left; across: share of the layer's features, so that layers of different sizes compare.
    """
    with drawing(columns=len(precision), width=11.4, height=3.2, sharey=True) as (figure, axes):
        for axis, (name, of_layer) in zip(np.atleast_1d(axes), precision.items()):
            for (layer, values), role in zip(of_layer.items(), roles(of_layer).values()):
                best_first = np.sort(array("by_depth", values, ndim=1, name=layer))[::-1]
                axis.plot((np.arange(len(best_first)) + 0.5) / len(best_first), best_first, color=role.colour, linestyle=role.dash, label=layer)
            if chance:
                axis.axhline(chance[name], color=BLACK, linewidth=1, linestyle=":", label="chance")
            axis.set(title=name, xlim=(0, 1), ylim=(0, 1.02))
        np.atleast_1d(axes)[0].set_ylabel("average precision")
        figure.supxlabel("share of the layer's features, best first", fontsize=11)
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def entropies(values: Mapping[str, Tensor], n_classes: int, *, says: str = "") -> Picture:
    """Conditional entropy of the class of each layer's features: a histogram as shares.  {layer: (F,)} in [0, log n_classes]."""
    edges = np.linspace(0, np.log(n_classes), 13)
    with drawing() as (figure, axis):
        for (layer, found), role in zip(values.items(), roles(values).values()):
            heights = np.histogram(array("entropies", found, ndim=1, name=layer).clip(0, edges[-1]), edges)[0] / len(found)
            axis.stairs(heights, edges, color=role.colour, linestyle=role.dash, linewidth=2.2, label=layer)
        axis.axvline(edges[-1], color=BLACK, linewidth=1, linestyle=":", label="says nothing")
        axis.set(xlabel="entropy of the class where the feature is on (nats)", ylabel="share of features", ylim=(0, None))
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def occlusion(dbn: ConvDBN, v: Tensor, *, sides: Sequence[str] = SIDES, sweeps: Sequence[int] = (1, 4, 16), upper: float = 0.3, seed: int = 0) -> Callable[..., Picture]:
    """A render(hidden=..., sweeps=..., top_down=...): pictures (B, 1, H, W), what is left of them, what the network puts there, and the squared error of that.

    Shown after n sweeps is what `complete(n_sweeps=n, upper=upper)` gives. All is computed here, once; moving a slider only draws.
    """
    found, errors = {}, {}
    masks = {side: half_known(side, size=tuple(v.shape[-2:])).to(v) for side in sides}
    for side, known in masks.items():
        for top_down in (True, False):
            for n in sweeps:
                found[side, n, top_down] = complete(dbn, v, known, n_sweeps=n, top_down=top_down, upper=upper, rng=torch.Generator().manual_seed(seed))
    for key, guess in found.items():
        errors[key] = completion_error(guess, v, masks[key[0]]).mean().item()
    blank = {side: as_ink(v * known, "white") for side, known in masks.items()}
    whole, tallest = as_ink(v, "white"), 1.1 * max(errors.values())

    @explorable(hidden=list(sides), sweeps=list(sweeps), top_down=[("on", True), ("off", False)])
    def render(*, hidden: str = sides[0], sweeps: int = sweeps[-1], top_down: bool = True) -> Picture:
        sheet = np.concatenate([whole, blank[hidden], as_ink(found[hidden, sweeps, top_down], "white")])
        with drawing(columns=2, width=9.4, height=4.4, width_ratios=(1.7, 1)) as (figure, axes):
            draw_images(axes[0], sheet, columns=len(v), row_labels=["face", "seen", "filled in"])
            steps = sorted({n for _, n, _ in found})
            for label, on, shade in (("top-down on", True, "model"), ("top-down off", False, "estimate")):
                axes[1].plot(range(len(steps)), [errors[hidden, n, on] for n in steps], color=colour(shade), linestyle="-" if on else "--", label=label)
            axes[1].plot(steps.index(sweeps), errors[hidden, sweeps, top_down], "o", color=colour("model" if top_down else "estimate"), markersize=9, label="_now")
            axes[1].set_xticks(range(len(steps)), [str(n) for n in steps])
            axes[1].set(xlabel="sweeps", ylim=(0, tallest), title="squared error per hidden pixel")
            axes[1].legend(loc="lower right")
        return Picture(figure, says="What does the network put where nothing is seen, with and without its upper layers?")

    return render
