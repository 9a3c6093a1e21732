"""Gradients of an RBM's mean log-likelihood: exact, and what contrastive divergence puts in its place.

    ∂/∂W E_data[log p(v)] = E_data[v hᵀ] - E_model[v hᵀ]          the data's phase minus the model's phase

Exact: the model's phase is enumerated. CD-k (Hinton 2002): k Gibbs sweeps from the data. PCD (Tieleman 2008): chains that go on.
All gradients point *uphill*: add them.
"""
from typing import NamedTuple

import torch
from torch import Tensor

from .enumeration import all_states, gibbs_transition_matrix, state_numbers, visible_log_prob
from .kernels.cd_update import Phases
from .kernels.gibbs import draw, probabilities
from .kernels.sweeps import sweeps
from .rbm import RBM
from .validate import require_count, require_model, require_rng, require_states, require_vector


class Gradient(NamedTuple):
    """Ascent direction of the mean log-likelihood per example."""
    W: Tensor  # (V, H) E_data[v hᵀ] - E_model[v hᵀ]
    b: Tensor  # (V,)   E_data[v] - E_model[v]
    c: Tensor  # (H,)   E_data[h] - E_model[h]


def exact_gradient(rbm: RBM, v: Tensor) -> Gradient:
    """The gradient itself, the model's phase by enumeration of all v.  v (B, V) binary; tiny models only."""
    require_model("exact_gradient", "rbm", rbm, "RBM")
    require_states("exact_gradient", "v", v, rbm.n_visible, dtype=rbm.W.dtype)
    with torch.no_grad():
        return _difference(rbm, v, _model_distribution(rbm))


def cd_gradient(rbm: RBM, v: Tensor, *, n_gibbs_steps: int = 1, rng: torch.Generator) -> Gradient:
    """CD-k: the model's phase from k sweeps that start at the data v (B, V). A biased estimate: its mean is not exact_gradient."""
    return gradient(cd_phases(rbm, v, n_gibbs_steps=n_gibbs_steps, rng=rng))


def expected_cd_gradient(rbm: RBM, v: Tensor, *, n_gibbs_steps: int = 1) -> Gradient:
    """E[cd_gradient], exact: the data's distribution taken through the transition matrix k times.  Tiny models only."""
    require_model("expected_cd_gradient", "rbm", rbm, "RBM")
    require_states("expected_cd_gradient", "v", v, rbm.n_visible, dtype=rbm.W.dtype)
    require_count("expected_cd_gradient", "n_gibbs_steps", n_gibbs_steps)
    with torch.no_grad():
        p = torch.bincount(state_numbers(v), minlength=2**rbm.n_visible).to(rbm.W) / len(v)
        transition = gibbs_transition_matrix(rbm)
        for _ in range(n_gibbs_steps):
            p = p @ transition
        return _difference(rbm, v, p)


def cd_phases(rbm: RBM, v: Tensor, *, n_gibbs_steps: int = 1, rng: torch.Generator) -> Phases:
    """Both phases of CD-k. Hidden *states* drive the chain, hidden *probabilities* enter the averages (Hinton 2012, section 3)."""
    require_model("cd_phases", "rbm", rbm, "RBM")
    require_states("cd_phases", "v", v, rbm.n_visible, dtype=rbm.W.dtype)
    require_count("cd_phases", "n_gibbs_steps", n_gibbs_steps)
    require_rng("cd_phases", rng)
    with torch.no_grad():
        h_data = probabilities(v, rbm.W, rbm.c)
        v_model, h_model, _ = continue_chain(rbm, draw(h_data, rng), n_gibbs_steps, rng, keep_states=False)
    return Phases(v, h_data, v_model, h_model)


def continue_chain(rbm: RBM, h: Tensor, n_gibbs_steps: int, rng: torch.Generator, *, keep_states: bool = True) -> tuple[Tensor, Tensor, Tensor | None]:
    """From hidden states h (N, H): k times h -> v -> h. Gives the last v, p(h | last v), and (for PCD) the new h. No checks; call under no_grad."""
    return sweeps(h, rbm.W, rbm.b, rbm.c, n_gibbs_steps, rng, keep_states=keep_states, draw_visible=rbm.draw_visible if rbm.n_labels else None)


def gradient(phases: Phases) -> Gradient:
    """The two averages and their difference, written out."""
    def average(v: Tensor, h: Tensor) -> Gradient:
        return Gradient(v.T @ h / len(v), v.mean(0), h.mean(0))
    data, model = average(phases.v_data, phases.h_data), average(phases.v_model, phases.h_model)
    return Gradient(*(d - m for d, m in zip(data, model)))


def centred(g: Gradient, mu: Tensor, lam: Tensor) -> Gradient:
    """The gradient of the same RBM written with offsets, (v - mu)ᵀ W (h - lam), brought back to W, b, c (Montavon & Müller 2012; Melchior et al. 2016).

        W: g_W - mu g_cᵀ - g_b lamᵀ        b: g_b - W' lam        c: g_c - W'ᵀ mu        W' the first line

    Another direction, the same stationary points: flipping every 0 and 1 of a unit (and its mu or lam) flips the gradient with it.
    """
    require_model("centred", "g", g, "Gradient")
    require_vector("centred", "mu", mu, len(g.b), dtype=g.W.dtype, cure="one offset per visible unit")
    require_vector("centred", "lam", lam, len(g.c), dtype=g.W.dtype, cure="one offset per hidden unit")
    W = g.W - torch.outer(mu, g.c) - torch.outer(g.b, lam)
    return Gradient(W, g.b - W @ lam, g.c - W.T @ mu)


def _difference(rbm: RBM, v: Tensor, p: Tensor) -> Gradient:
    """Data phase over the rows of v minus model phase under p over all_states."""
    states = all_states(rbm.n_visible).to(rbm.W)
    h_states, h_data = torch.sigmoid(rbm.hidden_logits(states)), torch.sigmoid(rbm.hidden_logits(v))
    weighted = p[:, None] * states
    return Gradient(v.T @ h_data / len(v) - weighted.T @ h_states, v.mean(0) - weighted.sum(0), h_data.mean(0) - p @ h_states)


def _model_distribution(rbm: RBM) -> Tensor:
    return visible_log_prob(rbm).exp()
