"""One step of contrastive divergence on the weights: two matrix products accumulated straight into the velocity.

    velocity <- momentum · velocity + rate · (E_data[v hᵀ] - E_model[v hᵀ] - decay · W);      W <- W + velocity

Why fuse: written out, the two phases, their difference, the scaling and the momentum are six V·H matrices. Accumulating
inside the product (`addmm_`) leaves two passes over V·H: the velocity and the weights.
"""
from typing import NamedTuple

import torch
from torch import Tensor


class Phases(NamedTuple):
    """What both phases of the gradient average over; the model side may have another number of rows."""
    v_data: Tensor   # (B, V) data
    h_data: Tensor   # (B, H) p(h = 1 | v_data)
    v_model: Tensor  # (N, V) the chain's last visible states
    h_model: Tensor  # (N, H) p(h = 1 | v_model)


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
