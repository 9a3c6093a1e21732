"""The sweep of annealed importance sampling: one chain a row is taken through all temperatures and weighed before every move.

    log w = Σ_k log f_{k+1}(v_k) - log f_k(v_k),       log f_t(v) = (1 - t) aᵀv + t bᵀv + Σ_j softplus(t (c + vW)_j),       t = beta_k

v_{k+1} moves from v_k by one Gibbs sweep of the model at beta_{k+1}; nothing moves after the last weight.
Why fuse: eager, a temperature is a dozen launches and a dozen passes over N·(V + H) numbers; in one launch the chains never leave the
GPU program that owns them, and 14,500 temperatures cost no host time at all.
"""
from typing import NamedTuple

import torch
from torch import Tensor

from .backend import use_triton
from .counter import HIDDEN, VISIBLE, counter_uniforms, new_clock
from .gibbs import draw
from .softplus import sum_softplus, sum_softplus_reference


class Route(NamedTuple):
    """From the base (t = 0) to the RBM (t = 1), or back."""
    W: Tensor     # (V, H)
    b: Tensor     # (V,)
    c: Tensor     # (H,)
    a: Tensor     # (V,) logits of the base
    beta: Tensor  # (T,) float64 inverse temperatures


def anneal_reference(v: Tensor, route: Route, clock: Tensor) -> Tensor:
    """The definition, with the uniform numbers of counter.py.  (N, V) -> log weights (N,) float64."""
    W, b, c, a, beta = route
    log_weights = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    for k, (old, new) in enumerate(zip(beta.tolist(), beta.tolist()[1:])):
        pre = v @ W + c
        log_weights += (new - old) * (v @ (b - a)) + sum_softplus_reference(new * pre) - sum_softplus_reference(old * pre)
        h = (counter_uniforms(clock, HIDDEN, len(v), len(c), step=k) < torch.sigmoid(new * pre)).to(v.dtype)
        v = (counter_uniforms(clock, VISIBLE, len(v), len(b), step=k) < torch.sigmoid((1 - new) * a + new * (h @ W.T + b))).to(v.dtype)
    return log_weights


def anneal(v: Tensor, route: Route, rng: torch.Generator) -> Tensor:
    """log w of chains that start at v (N, V); no checks, call under no_grad.  -> (N,) float64 on the CPU."""
    W, b, c, a, beta = route
    if use_triton("anneal", v, W, b, c, a):
        from .triton_anneal import anneal as kernel
        return kernel(v, W, b, c, a, beta.to(W.device), new_clock(rng, W.device)).cpu()
    log_weights, temperatures = torch.zeros(len(v), dtype=torch.float64), beta.tolist()
    for k, (old, new) in enumerate(zip(temperatures, temperatures[1:])):
        pre = torch.addmm(c, v, W)
        ratio = (new - old) * (v @ (b - a)) + sum_softplus(new * pre) - sum_softplus(old * pre)
        log_weights += ratio.double().cpu()
        if k < len(temperatures) - 2:  # the state after the last ratio would never be used
            h = draw(torch.sigmoid(new * pre), rng)
            v = draw(torch.sigmoid((1 - new) * a + new * torch.addmm(b, h, W.T)), rng)
    return log_weights
