"""Training by backpropagation: Adam (Kingma & Ba 2015) or its maximum-norm form Adamax, on whatever loss a network names.

A network says what it minimises (`training_loss`) and what data it takes (`check_data`); this file knows nothing else about it.

Under torchrun, after torch.distributed.init_process_group, every process calls `fit` with its own share of the data, of equal size, with a seed and a
checkpoint of its own. All start from the first process's network, each update takes the mean of the processes' gradients, and so the networks stay equal.
In training a batch norm uses the mean and variance of its own process's pictures; its running statistics are the mean over the processes.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor, nn

from .processes import average_, share_first
from .validate import require_choice, require_number, require_state

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Kingma & Ba 2015
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "adamax": ("exp_avg", "exp_inf")}  # what torch keeps for each parameter


class Trainable(Protocol):
    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """A scalar to minimise, in nats per example; fraction in [0, 1) says how far training has come."""

    def check_data(self, data: Tensor) -> None:
        """Raises ValueError, as "fit: data ...", where the network cannot learn from data (N, ...)."""


@dataclass(frozen=True)
class AdamOptions:
    """How to train; `GradientTrainer` says what each does to an update."""
    kind: str = "adam"                  # or "adamax"
    learning_rate: float = 0.001        # after the warm-up; falls to
    final_learning_rate: float = 0.0    # at the last update
    schedule: str = "linear"            # the form of the fall: or "cosine"
    warm_up: float = 0.0                # share of training in which the rate climbs from zero
    weight_decay: float = 0.0           # rate at which each tensor of two or more axes (no bias, no scale) shrinks, times the learning rate
    max_norm: float | None = None       # a longer gradient (all parameters as one vector) is shortened to this

    def __post_init__(self):
        require_choice("AdamOptions", "kind", self.kind, tuple(MOMENTS))
        require_choice("AdamOptions", "schedule", self.schedule, ("linear", "cosine"))
        for name in ("learning_rate", "final_learning_rate", "weight_decay"):
            require_number("AdamOptions", name, getattr(self, name), low=0)
        require_number("AdamOptions", "warm_up", self.warm_up, low=0, high=0.9)
        if self.max_norm is not None:
            require_number("AdamOptions", "max_norm", self.max_norm, low=1e-12)

    def rate(self, fraction: float) -> float:
        """The learning rate when this share of training is done; fraction in [0, 1]."""
        if fraction < self.warm_up:
            return self.learning_rate * fraction / self.warm_up
        fallen = (fraction - self.warm_up) / (1 - self.warm_up)
        if self.schedule == "cosine":
            fallen = (1 - math.cos(math.pi * fallen)) / 2
        return self.learning_rate + (self.final_learning_rate - self.learning_rate) * fallen


class GradientTrainer:
    """A trainer for `fit`. One update, g the gradient of the batch's training_loss, shortened to max_norm:

        "adam":    parameter <- parameter - rate · m̂ / (√v̂ + 1e-8)       m, v: running means of g and g² (decay 0.9 and 0.999), bias corrected
        "adamax":  parameter <- parameter - rate · m̂ / u                 u: running maximum of |g|, decay 0.999

    and a tensor of two or more axes first shrinks by rate · weight_decay, outside of the averages (Loshchilov & Hutter 2019).
    A parameter that the loss does not touch stays as it is.
    """

    def __init__(self, model: nn.Module, options: AdamOptions):
        missing = [name for name in ("training_loss", "check_data") if not callable(getattr(model, name, None))]
        if not isinstance(model, nn.Module) or missing or not isinstance(options, AdamOptions):
            raise ValueError(f"GradientTrainer: got {type(model).__name__} and {type(options).__name__}, expected a network with training_loss and check_data, and AdamOptions; "
                             "pass GradientTrainer(model, AdamOptions())")
        self.model, self.options = model, options
        share_first(model)
        kind = torch.optim.Adam if options.kind == "adam" else torch.optim.Adamax
        self.optimiser = kind(model.parameters(), lr=options.learning_rate, betas=BETAS, eps=EPSILON)

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        """One step on batch (B, ...); fraction in [0, 1) says how far training has come."""
        rate = self.options.rate(fraction)
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.enable_grad():
            self.model.training_loss(batch, fraction, rng).backward()
        touched = [p for p in self.model.parameters() if p.grad is not None]
        average_([p.grad for p in touched] + running_statistics(self.model), rows=len(batch))
        if self.options.max_norm is not None:
            nn.utils.clip_grad_norm_(touched, self.options.max_norm)
        with torch.no_grad():
            for p in touched:
                if p.ndim > 1 and self.options.weight_decay:
                    p.mul_(1 - rate * self.options.weight_decay)
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.step()

    def check_data(self, data: Tensor) -> None:
        self.model.check_data(data)

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs beside the model's parameters and buffers: each parameter's step count and two moments."""
        state = {}
        for name, p in self.model.named_parameters():
            own = self.optimiser.state.get(p, {})
            state[f"step.{name}"] = torch.as_tensor(own.get("step", 0.0)).clone()
            for moment in MOMENTS[self.options.kind]:
                state[f"{moment}.{name}"] = own[moment] if moment in own else torch.zeros_like(p, requires_grad=False)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        require_state("GradientTrainer.load_state", state, self.state())
        self.optimiser.state.clear()
        for name, p in self.model.named_parameters():
            if state[f"step.{name}"] > 0:
                self.optimiser.state[p] = {"step": state[f"step.{name}"].clone()} | {
                    m: torch.zeros_like(p, requires_grad=False).copy_(state[f"{m}.{name}"]) for m in MOMENTS[self.options.kind]}

    def describe(self) -> dict[str, str]:
        """Options as words, written into the checkpoint and compared on resume."""
        return {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options)}


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Running means and variances of the batch norms."""
    found = [getattr(module, name, None) for module in model.modules() for name in ("running_mean", "running_var")]
    return [value for value in found if value is not None]
