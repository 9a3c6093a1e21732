"""k Gibbs sweeps of many chains, hidden -> visible -> hidden, while the weights stand still.

    v ~ Bernoulli(sigma(W h + b)),     p = sigma(Wᵀ v + c),     h ~ Bernoulli(p)            k times; the last v, p and h are the result

Chains do not meet, so a GPU program that owns some of them needs to wait for no other: one launch makes all 2 k half steps.
"""
from collections.abc import Callable

import torch
from torch import Tensor

from .backend import use_triton
from .counter import HIDDEN, VISIBLE, counter_uniforms, new_clock
from .gibbs import NUMBERS, draw, half_step, probabilities


def sweeps_reference(h: Tensor, W: Tensor, b: Tensor, c: Tensor, clock: Tensor, n_steps: int, *, first_row: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The definition, with the uniform numbers of counter.py; chains are numbered by row, from first_row.  h (N, H) -> v (N, V), p (N, H), h (N, H)."""
    for step in range(n_steps):
        v = (counter_uniforms(clock, VISIBLE, len(h), len(b), step=step, first_row=first_row) < torch.sigmoid(h @ W.T + b)).to(W.dtype)
        p = torch.sigmoid(v @ W + c)
        h = (counter_uniforms(clock, HIDDEN, len(h), len(c), step=step, first_row=first_row) < p).to(W.dtype)
    return v, p, h


def sweeps(h: Tensor, W: Tensor, b: Tensor, c: Tensor, n_steps: int, rng: torch.Generator, *, keep_states: bool = True,
           draw_visible: Callable[[Tensor, torch.Generator], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """v, p(h = 1 | v) and h after n_steps >= 1 sweeps from the hidden states h (N, H); no checks, call under no_grad.

    keep_states=False: the last h is not wanted. draw_visible replaces v ~ p(v | h) where the visible units are no independent coins.
    """
    if draw_visible is None and use_triton("sweeps", h, W, b, c, dtypes=NUMBERS):
        from .triton_sweeps import sweeps as kernel
        return kernel(h, W, b, c, new_clock(rng, W.device), n_steps)
    for step in range(n_steps):
        v = half_step(h, W.T, b, rng) if draw_visible is None else draw_visible(h, rng)
        if step < n_steps - 1:
            h = half_step(v, W, c, rng)  # in one buffer: only the last p is wanted
    p = probabilities(v, W, c)
    return v, p, draw(p, rng) if keep_states else None


def counted_sweeps(h: Tensor, W: Tensor, b: Tensor, c: Tensor, clock: Tensor, n_steps: int, *, first_row: int) -> tuple[Tensor, Tensor, Tensor]:
    """`sweeps_reference` or its kernel: chains that have numbers of their own, first_row, first_row + 1, ...; no checks, call under no_grad."""
    if use_triton("sweeps", h, W, b, c, dtypes=NUMBERS):
        from .triton_sweeps import launch
        return tuple(x.to(W.dtype) for x in launch(h, W, b, c, clock, n_steps, first_row=first_row))
    return sweeps_reference(h, W, b, c, clock, n_steps, first_row=first_row)


def walk(v: Tensor, W: Tensor, b: Tensor, c: Tensor, n_steps: int, rng: torch.Generator) -> Tensor:
    """The visible states after n_steps >= 0 sweeps v -> h -> v; no checks, call under no_grad.  (N, V) -> (N, V)."""
    if n_steps > 1 and use_triton("walk", v, W, b, c, dtypes=NUMBERS):  # the sweeps between the first half step and the last, at once
        return half_step(sweeps(half_step(v, W, c, rng), W, b, c, n_steps - 1, rng)[2], W.T, b, rng)
    for _ in range(n_steps):
        v = half_step(half_step(v, W, c, rng), W.T, b, rng)
    return v
