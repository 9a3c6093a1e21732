"""Batch norm's statistics for sampling (Vahdat & Kautz 2020, section 4).

The running means and variances were gathered from posterior draws in training. A prior sampled at a low temperature sends other numbers
through the network, so they are measured again on samples before pictures are drawn.
"""
from __future__ import annotations

import copy

import torch
from torch import nn

from ..validate import require_count, require_number, require_rng
from .model import NVAE


@torch.no_grad()
def reestimated(model: NVAE, *, temperature: float, n_batches: int = 20, batch_size: int = 100, rng: torch.Generator) -> NVAE:
    """A copy of the model whose generative batch norms hold the mean statistics of n_batches batches of samples at this temperature.

    The encoder's are left alone. The model itself does not change.
    """
    if not isinstance(model, NVAE):
        raise ValueError(f"reestimated: model is {type(model).__name__}, expected an NVAE; pass the trained model")
    require_number("reestimated", "temperature", temperature, low=0)
    require_count("reestimated", "n_batches", n_batches)
    require_count("reestimated", "batch_size", batch_size, minimum=2)
    require_rng("reestimated", rng)
    model = copy.deepcopy(model).eval()
    norms = [module for part in (model.top_down, model.tail) for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    for _ in range(n_batches):
        model.tail(model.top_down(model.noise(batch_size, rng), temperature=temperature).features)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    return model.eval()
