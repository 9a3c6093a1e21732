"""One whole update of contrastive divergence: both phases, then the parameters.

On a GPU the dozen launches of an update cost more than its arithmetic, so the second update with the same tensors is captured in a CUDA
graph and replayed from then on: seed, step and learning rate lie in the device's memory, where every replay reads them anew.

Where several processes share the work, each has the chains of its part of the batch. Their random numbers are counted (counter.py), by a clock that all share
and by the chain's number among all, so that they are the same however many processes there are.
"""
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..processes import rank
from .backend import use_triton
from .cd_update import Parameters, Phases, Rates, update, update_jointly
from .counter import DATA, counter_uniforms
from .gibbs import draw, probabilities
from .sweeps import counted_sweeps, sweeps

DrawVisible = Callable[[Tensor, torch.Generator], Tensor]


class Plan(NamedTuple):
    """What stays the same from one update to the next."""
    n_gibbs_steps: int
    persistent: bool                          # go on with the chains (PCD) instead of starting at the batch (CD)
    rates: Rates
    draw_visible: DrawVisible | None = None   # v ~ p(v | h) where the visible units are no independent coins


class CDStep:
    """Updates after the same plan; holds nothing on the CPU, the captured graphs on a GPU."""

    def __init__(self, plan: Plan):
        self.plan, self._captured = plan, None

    def __call__(self, parameters: Parameters, v: Tensor, chains: Tensor, rate: float, rng: torch.Generator, *, clock: Tensor | None = None) -> Tensor:
        """Changes the parameters in place; v (B, V) data, chains (N, H) of PCD.  -> the chains after it; call under no_grad.

        clock: that of all processes, which moves on; the step is that of the joint batch. Label units are still drawn from rng.
        """
        plan = self.plan
        if clock is not None:
            phases, chains = self.counted_phases(parameters, v, chains, clock) if plan.draw_visible is None else self.phases(parameters, v, chains, rng)
            update_jointly(parameters, phases, rate, plan.rates)
            return chains
        if plan.draw_visible is None and use_triton("CDStep", *parameters, v, chains):
            if self._captured is None:
                from .triton_cd_step import CapturedStep
                self._captured = CapturedStep(plan)
            return self._captured(parameters, v, chains, rate, rng)
        phases, chains = self.phases(parameters, v, chains, rng)
        update(parameters, phases, rate, plan.rates)
        return chains

    def phases(self, parameters: Parameters, v: Tensor, chains: Tensor, rng: torch.Generator) -> tuple[Phases, Tensor]:
        """What the gradient averages over, and the chains after it."""
        (W, b, c), plan = parameters[:3], self.plan
        h_data = probabilities(v, W, c)
        start = chains if plan.persistent else draw(h_data, rng)
        v_model, h_model, h = sweeps(start, W, b, c, plan.n_gibbs_steps, rng, keep_states=plan.persistent, draw_visible=plan.draw_visible)
        return Phases(v, h_data, v_model, h_model), h if plan.persistent else chains

    def counted_phases(self, parameters: Parameters, v: Tensor, chains: Tensor, clock: Tensor) -> tuple[Phases, Tensor]:
        """`phases` with the numbers of `clock`; every process has as many rows."""
        (W, b, c), plan = parameters[:3], self.plan
        h_data = probabilities(v, W, c)
        start = chains if plan.persistent else (counter_uniforms(clock, DATA, *h_data.shape, first_row=rank() * len(v)) < h_data).to(W.dtype)
        v_model, h_model, h = counted_sweeps(start, W, b, c, clock, plan.n_gibbs_steps, first_row=rank() * len(start))
        clock[1] += plan.n_gibbs_steps
        return Phases(v, h_data, v_model, h_model), h if plan.persistent else chains

    def __deepcopy__(self, memo: dict) -> "CDStep":
        return CDStep(self.plan)  # a graph belongs to the tensors it was captured with
