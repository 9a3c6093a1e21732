"""Exercises of chapter 11, NVAE's network, second half: how far a place sees, the largest singular value, a network to design."""
from __future__ import annotations

import torch
from torch import Tensor

from ..nvae import NVAE, NVAEConfig
from .engine import Exercise, Part, register
from .nvae import CHAPTER

_F64 = torch.float64


def _sight(layers: list) -> int:
    return sight(layers)


def sight(layers, *, late=False, ignore=False, whole=0, start=1, half=False):
    """Side of the square seen through (kernel, stride) layers; the options are the ways in which students go wrong."""
    side, step = start, 1
    for kernel, stride in layers:
        if late:
            step *= stride
        side += ((kernel - 1 + whole) // (2 if half else 1)) * (1 if ignore else step)
        if not late:
            step *= stride
    return side


def _layers(rng):
    def draw(n: int) -> list:
        kernels, strides = (3, 5, 1), (1, 2)
        return [(kernels[int(torch.randint(2, (), generator=rng))], strides[int(torch.randint(2, (), generator=rng))]) for _ in range(n)]
    return {"3x3 with stride 2, then 5x5": ([(3, 2), (5, 1)],), "six layers": (draw(6),), "ten layers, some 1x1": (draw(4) + [(1, 1)] + draw(4) + [(1, 2), (5, 1)],)}


field_of_view = register(Exercise(
    id="11.5", name="field_of_view", title="How far a place sees", level="core", minutes=15, chapter=CHAPTER,
    success="each kernel counts by the step at which it works",
    hints=("*Nudge.* Go from the picture up. A layer adds its kernel less one to the side, counted in places of its *input*. How many pixels apart are those?",
           r"*Equation.* side $=1+\sum_i(k_i-1)\prod_{j<i}s_j$, the strides of the layers *before*.",
           "*Pseudo-code.* side, step = 1, 1; for kernel, stride in layers: side += (kernel - 1) * step; step *= stride. Return side."),
    parts=(Part(
        right=_sight, inputs=_layers, misconceptions={
            "no steps": (lambda layers: sight(layers, ignore=True), "you add the kernels up as if every layer worked on pixels: after a stride of 2 its places are 2 pixels apart"),
            "late": (lambda layers: sight(layers, late=True), "you count a layer's own stride already for itself: it moves apart the places of the *next* layers"),
            "whole kernels": (lambda layers: sight(layers, whole=1), "you add the whole kernel: its middle is already counted, add kernel - 1"),
            "from nothing": (lambda layers: sight(layers, start=0), "one is missing: before the first layer a place sees one pixel"),
            "halves": (lambda layers: sight(layers, half=True), "you add one arm of the kernel: it sees (kernel - 1) / 2 to the left and as much to the right"),
            "product": (lambda layers: int(torch.tensor([k for k, _ in layers]).prod()), "sides add up, they do not multiply"),
            "last first": (lambda layers: sight(layers[::-1]), "you go from the top down: the strides that count are those *before* a layer, next to the picture"),
        }),)))


def _largest(W: Tensor, v: Tensor, n_steps: int) -> tuple[Tensor, Tensor]:
    return power(W, v, n_steps)


def power(W, v, n_steps, *, normalise=True, root=True, start="given", half=False, value="now"):
    """(largest singular value, right vector) after n_steps; the options are the ways in which students go wrong."""
    v = torch.ones_like(v) / len(v) ** 0.5 if start == "anew" else v
    for _ in range(n_steps):
        u = W @ v
        u = u / u.norm() if normalise else u
        v = W.T @ u
        v = v / v.norm() if normalise else v
    s = (W @ v).norm()
    return s if root else s**2, u if half else v


def _matrices(rng):
    def case(rows: int, columns: int, n_steps: int) -> tuple:
        v = torch.randn(columns, generator=rng, dtype=_F64)
        return torch.randn(rows, columns, generator=rng, dtype=_F64), v / v.norm(), n_steps
    return {"3 x 7, one step": case(3, 7, 1), "6 x 4, five steps": case(6, 4, 5)}


singular_value = register(Exercise(
    id="11.6", name="singular_value", title="The largest singular value", level="stretch", minutes=20, chapter=CHAPTER,
    success="a few steps from where the last ones ended, and the vector is handed on",
    hints=("*Nudge.* A matrix stretches its favourite direction most. Go there and back, again and again: the favourite takes over. What must be done to the length at each step?",
           r"*Equation.* $u=Wv/\lVert Wv\rVert$, $v\leftarrow W^{\mathsf T}u/\lVert W^{\mathsf T}u\rVert$; after the last step $s=\lVert Wv\rVert$.",
           "*Pseudo-code.* for _ in range(n_steps): u = W @ v; u = u / u.norm(); v = W.T @ u; v = v / v.norm(). Return (W @ v).norm(), v."),
    parts=(Part(
        right=_largest, inputs=_matrices, misconceptions={
            "not normalised": (lambda W, v, n: power(W, v, n, normalise=False), "you never shorten the vectors: their length grows with every step, and with it your answer"),
            "squared": (lambda W, v, n: power(W, v, n, root=False), "that is the eigenvalue of WᵀW, the *square* of the singular value"),
            "anew": (lambda W, v, n: power(W, v, n, start="anew"), "you start from a vector of your own: the last update's v is given, and is nearly right already"),
            "all of them": (lambda W, v, n: (W.norm(), power(W, v, n)[1]), "W.norm() takes all singular values together, the root of the sum of their squares"),
            "left vector": (lambda W, v, n: power(W, v, n, half=True), "you hand on u, which lives on the other side: the next update needs v"),
            "old vector": (lambda W, v, n: (power(W, v, n)[0], v), "you hand on the vector that you were given: the next update would begin where this one did"),
            "row sums": (lambda W, v, n: (W.abs().sum(1).max(), power(W, v, n)[1]), "the largest row sum is another norm"),
            "no step": (lambda W, v, n: ((W @ v).norm(), v), "you take no step: go to u and back to v, n_steps times"),
        }),)))

_KEYS = {"groups", "n_down", "n_latent", "width", "cells"}
_FAULTS = {
    "sides": "the sides of z are not 8, 16 and 32: 64 pixels are halved once outside, and then between three scales",
    "few": "fewer than 20 groups: depth is what this network is for",
    "order": "a finer scale has fewer groups than the one above it: detail needs more, and groups[0] is the top",
    "weights": "more than 1.2 million parameters: they grow with the square of the width; halve it",
    "latents": "more than 200,000 latent numbers: a fine scale has 32 times 32 places, each with n_latent numbers a group",
}


def _inspect(answer: dict) -> str:
    """What is wrong with a design; "it fits" where nothing is."""
    if not isinstance(answer, dict) or set(answer) != _KEYS:
        raise ValueError(f"the design is a dictionary of {', '.join(sorted(_KEYS))}")
    c = NVAEConfig(image_size=64, outer_cells=1, expansion=3, **answer | {"groups": tuple(int(n) for n in answer["groups"])})
    with torch.device("meta"):
        weights = sum(p.numel() for p in NVAE(c).parameters())
    numbers = sum(k * h * w for k, h, w in c.latent_shapes)
    broken = {"sides": c.latent_sizes != (8, 16, 32), "few": c.n_groups < 20, "order": list(c.groups) != sorted(c.groups), "weights": weights > 1_200_000, "latents": numbers > 200_000}
    for name, bad in broken.items():
        if bad:
            raise ValueError(_FAULTS[name])
    return "it fits"


design_a_network = register(Exercise(
    id="11.7", name="design_a_network", title="Project: a network within a budget", level="project", minutes=45, chapter=CHAPTER,
    success="a network that fits, built on the meta device before a weight was spent",
    hints=("*Nudge.* Fix the sides first, then the number of groups, then count weights and latents, and only then make it as wide and as deep as the budget lets you.",
           r"*Equation.* sides $64/2^{d}$, $64/2^{d+1}$, ...; weights grow like (width)$^2$ and (cells); latents $=K\sum_k n_k\,\text{side}_k^2$.",
           "*Pseudo-code.* with torch.device('meta'): net = NVAE(NVAEConfig(image_size=64, outer_cells=1, expansion=3, **design)); count its parameters; sum the sizes of net.config.latent_shapes."),
    parts=(Part(
        right={"groups": (4, 6, 10), "n_down": 1, "n_latent": 4, "width": 8, "cells": 1}, measure=_inspect, misconceptions={
            "two halvings": ({"n_down": 2}, _FAULTS["sides"]),
            "few groups": ({"groups": (2, 3, 5)}, _FAULTS["few"]),
            "from below": ({"groups": (10, 6, 4)}, _FAULTS["order"]),
            "wide": ({"width": 32}, _FAULTS["weights"]),
            "20 channels": ({"n_latent": 20}, _FAULTS["latents"]),
        }),)))
