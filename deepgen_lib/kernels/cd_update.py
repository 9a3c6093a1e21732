"""One step of contrastive divergence on the parameters: two matrix products accumulated straight into the velocity.

    velocity <- momentum · velocity + rate · (E_data[v hᵀ] - E_model[v hᵀ] - decay · W);      W <- W + velocity

Why fuse: written out, the two phases, their difference, the scaling and the momentum are six V·H matrices. Accumulating
inside the product (`addmm_`, or the epilogue of a Triton kernel) leaves two passes over V·H: the velocity and the weights.
"""
from typing import NamedTuple

import torch
from torch import Tensor

from ..processes import average_
from .backend import use_triton


class Phases(NamedTuple):
    """What both phases of the gradient average over; the model side may have another number of rows."""
    v_data: Tensor   # (B, V) data
    h_data: Tensor   # (B, H) p(h = 1 | v_data)
    v_model: Tensor  # (N, V) the chain's last visible states
    h_model: Tensor  # (N, H) p(h = 1 | v_model)


class Parameters(NamedTuple):
    """What an update changes, in place."""
    W: Tensor           # (V, H)
    b: Tensor           # (V,)
    c: Tensor           # (H,)
    velocity_W: Tensor
    velocity_b: Tensor
    velocity_c: Tensor
    mu: Tensor          # (V,) offset of the visible units; an update leaves it as it is
    lam: Tensor         # (H,) offset of the hidden units


class Rates(NamedTuple):
    """The numbers of an update that stay the same from one to the next."""
    momentum: float = 0.0
    decay: float = 0.0              # of W alone
    offset: float | None = None     # how fast lam follows the hidden units; None: not centred
    sparsity: float = 0.0           # weight of (target - mean p(h = 1)) in the step of c
    sparsity_target: float = 0.0


def apply_phases_reference(W: Tensor, velocity: Tensor, phases: Phases, rate: float, momentum: float, decay: float) -> tuple[Tensor, Tensor]:
    """The definition: the new (W, velocity), nothing changed in place."""
    gradient = phases.v_data.T @ phases.h_data / len(phases.v_data) - phases.v_model.T @ phases.h_model / len(phases.v_model)
    velocity = momentum * velocity + rate * (gradient - decay * W)
    return W + velocity, velocity


def apply_phases(W: Tensor, velocity: Tensor, phases: Phases, rate: float, momentum: float, decay: float) -> None:
    """The definition above, in place on W and velocity, both (V, H); call under no_grad."""
    velocity.addmm_(phases.v_data.T, phases.h_data, beta=momentum, alpha=rate / len(phases.v_data))
    velocity.addmm_(phases.v_model.T, phases.h_model, alpha=-rate / len(phases.v_model))
    if decay:
        velocity.add_(W, alpha=-rate * decay)
    W.add_(velocity)


def update_reference(old: Parameters, phases: Phases, rate: float, rates: Rates) -> Parameters:
    """The definition of the whole update, biases and offsets included; nothing is changed in place.

    Centred: the gradient of (v - mu)ᵀ W (h - lam) + b'ᵀ v + c'ᵀ h, written back by b = b' - W lam and c = c' - Wᵀ mu.
    """
    v_data, h_data, v_model, h_model = (x.to(old.W.dtype) for x in phases)
    h_mean = h_data.mean(0)
    lam = old.lam if rates.offset is None else old.lam + rates.offset * (h_mean - old.lam)
    velocity_b = rates.momentum * old.velocity_b + rate * (v_data.mean(0) - v_model.mean(0))
    velocity_c = rates.momentum * old.velocity_c + rate * (h_mean - h_model.mean(0)) + rate * rates.sparsity * (rates.sparsity_target - h_mean)
    off = (0.0, 0.0) if rates.offset is None else (old.mu, lam)
    shifted = Phases(v_data - off[0], h_data - off[1], v_model - off[0], h_model - off[1])
    W, velocity_W = apply_phases_reference(old.W, old.velocity_W, shifted, rate, rates.momentum, rates.decay)
    b, c = old.b + velocity_b, old.c + velocity_c
    if rates.offset is not None:
        b, c = b - velocity_W @ lam, c - velocity_W.T @ old.mu
    return Parameters(W, b, c, velocity_W, velocity_b, velocity_c, old.mu, lam)


def update(parameters: Parameters, phases: Phases, rate: float, rates: Rates) -> None:
    """`update_reference` in place; no checks, call under no_grad."""
    if use_triton("update", *parameters, *phases[1::2]):
        from .triton_cd_update import cd_update
        cd_update(*parameters, *phases, torch.full((), rate, device=parameters.W.device), *rates)
        return
    W, b, c, velocity_W, velocity_b, velocity_c, mu, lam = parameters
    h_mean = phases.h_data.mean(0)
    velocity_b.mul_(rates.momentum).add_(phases.v_data.mean(0) - phases.v_model.mean(0), alpha=rate)
    velocity_c.mul_(rates.momentum).add_(h_mean - phases.h_model.mean(0), alpha=rate)
    if rates.sparsity:
        velocity_c.add_(rates.sparsity_target - h_mean, alpha=rate * rates.sparsity)
    if rates.offset is not None:
        lam.lerp_(h_mean, rates.offset)
        phases = Phases(phases.v_data - mu, phases.h_data - lam, phases.v_model - mu, phases.h_model - lam)
    apply_phases(W, velocity_W, phases, rate, rates.momentum, rates.decay)
    _move_biases(parameters, rates)


def update_jointly(parameters: Parameters, phases: Phases, rate: float, rates: Rates) -> None:
    """`update_reference` in place on the joint batch of all processes, of which each has the phases of its part; call under no_grad.

    One gradient and one vector are averaged over the processes, centred or not: in E_data[(v - mu)(h - lam)ᵀ] - E_model[(v - mu)(h - lam)ᵀ] the offsets
    are factors of differences of means, g_W - mu g_cᵀ - g_b lamᵀ.
    """
    W, b, c, velocity_W, velocity_b, velocity_c, mu, lam = parameters
    v_data, h_data, v_model, h_model = (x.to(W.dtype) for x in phases)
    h_mean = h_data.mean(0)
    g_W = (v_data.T @ h_data / len(v_data)).addmm_(v_model.T, h_model, alpha=-1 / len(v_model))
    g_b, g_c = v_data.mean(0) - v_model.mean(0), h_mean - h_model.mean(0)
    average_([g_W, g_b, g_c, h_mean], rows=len(v_data))
    if rates.offset is not None:
        lam.lerp_(h_mean, rates.offset)
        g_W.addr_(mu, g_c, alpha=-1).addr_(g_b, lam, alpha=-1)
    g_W.add_(W, alpha=-rates.decay)
    g_c.add_(rates.sparsity_target - h_mean, alpha=rates.sparsity)
    for velocity, step in ((velocity_W, g_W), (velocity_b, g_b), (velocity_c, g_c)):
        velocity.mul_(rates.momentum).add_(step, alpha=rate)
    W.add_(velocity_W)
    _move_biases(parameters, rates)


def _move_biases(parameters: Parameters, rates: Rates) -> None:
    """b and c along their velocities and, centred, by the offsets' share that W's step brings: b = b' - W lam, c = c' - Wᵀ mu."""
    _, b, c, velocity_W, velocity_b, velocity_c, mu, lam = parameters
    b.add_(velocity_b)
    c.add_(velocity_c)
    if rates.offset is not None:
        b.addmv_(velocity_W, lam, alpha=-1)
        c.addmv_(velocity_W.T, mu, alpha=-1)
