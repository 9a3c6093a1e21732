"""Training an RBM by contrastive divergence: what one update does, and the state it carries from one to the next.

    velocity <- momentum · velocity + rate · gradient,   parameters <- parameters + velocity          (uphill)

The gradient's model phase comes from chains: started at the batch (CD-k) or carried on (PCD, `persistent`). With `centred`,
the step is taken in the parametrization (v - mu)ᵀ W (h - lam) and written back to W, b, c; mu and lam follow the data.

Under torchrun (processes.py) each update is that of the joint batch: every process has its part of the batch and of PCD's chains, the gradient is averaged before
the momentum, and a chain draws the same random numbers whichever process has it, so that the result does not depend on how many there are.
"""
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .kernels.cd_step import CDStep, Plan
from .kernels.cd_update import Parameters, Rates
from .kernels.counter import HIDDEN, counter_uniforms, new_clock
from .processes import average_, n_processes, rank, share_, share_first
from .rbm import RBM
from .validate import require_count, require_flag, require_means, require_model, require_number, require_rng, require_state, require_states

OFFSET_RATE = 0.01  # how fast lam follows the mean hidden activity (Melchior et al. 2016, section 4)


@dataclass(frozen=True)
class CDOptions:
    """How to train; `RBMTrainer` says what each does to an update."""
    n_gibbs_steps: int = 1
    persistent: bool = False
    n_chains: int = 100                 # of PCD, of all processes together; CD has one chain per example of the batch
    centred: bool = False
    learning_rate: float = 0.05         # at the first update; falls linearly to
    final_learning_rate: float = 0.0    # at the last one
    momentum: float = 0.0
    weight_decay: float = 0.0           # on W, never on the biases
    sparsity_target: float | None = None  # wanted mean of p(h_j = 1); moves c alone (Lee, Ekanadham, Ng 2008)
    sparsity_weight: float = 0.0

    def __post_init__(self):
        require_count("CDOptions", "n_gibbs_steps", self.n_gibbs_steps)
        require_count("CDOptions", "n_chains", self.n_chains)
        for name in ("learning_rate", "final_learning_rate", "weight_decay", "sparsity_weight"):
            require_number("CDOptions", name, getattr(self, name), low=0)
        require_number("CDOptions", "momentum", self.momentum, low=0, high=0.999)
        for name in ("persistent", "centred"):
            require_flag("CDOptions", name, getattr(self, name))
        if self.sparsity_target is not None:
            require_number("CDOptions", "sparsity_target", self.sparsity_target, low=0, high=1)


class RBMTrainer:
    """Holds what outlives an update: velocities, PCD's chains, the centring offsets. `update` is one step; `fit` calls it."""

    def __init__(self, rbm: RBM, options: CDOptions, *, data_mean: Tensor | None = None, rng: torch.Generator):
        """data_mean (V,) gives mu when centred: the training data's pixel means, base_rate(x)."""
        require_model("RBMTrainer", "rbm", rbm, "RBM")
        require_model("RBMTrainer", "options", options, "CDOptions")
        require_rng("RBMTrainer", rng)
        if options.centred:
            if data_mean is None:
                raise ValueError("RBMTrainer: centred=True and data_mean is missing, expected (V,) pixel means; pass data_mean=base_rate(training_data)")
            require_means("RBMTrainer", "data_mean", data_mean, rbm.n_visible)
        self.model, self.options = rbm, options
        share_first(rbm)
        self.clock = new_clock(rng, rbm.W.device) if n_processes() > 1 else None  # of all processes, for the chains' random numbers
        if self.clock is not None:
            share_(self.clock)
        self.velocity_W, self.velocity_b, self.velocity_c = (torch.zeros_like(p, requires_grad=False) for p in (rbm.W, rbm.b, rbm.c))
        self.mu = data_mean.to(rbm.W).clone() if options.centred else torch.zeros_like(self.velocity_b)
        average_([self.mu])
        self.lam = torch.full_like(self.velocity_c, 0.5 if options.centred else 0.0)
        self.chains = self._first_chains(divided("RBMTrainer", options) if options.persistent else 0, rng)
        sparsity = (options.sparsity_weight, options.sparsity_target) if options.sparsity_target is not None else (0.0, 0.0)
        rates = Rates(options.momentum, options.weight_decay, OFFSET_RATE if options.centred else None, *sparsity)
        self._step = CDStep(Plan(options.n_gibbs_steps, options.persistent, rates, rbm.draw_visible if rbm.n_labels else None))

    def update(self, v: Tensor, fraction: float, rng: torch.Generator) -> None:
        """One step on the batch v (B, V); fraction in [0, 1) says how far training has come, for the learning rate."""
        options = self.options
        rate = options.learning_rate + (options.final_learning_rate - options.learning_rate) * fraction
        with torch.no_grad():
            self.chains = self._step(self._parameters(), v, self.chains, rate, rng, clock=self.clock)

    def check_data(self, data: Tensor) -> None:
        """Called once by fit, so that update need not look at every batch."""
        require_states("fit", "data", data, self.model.n_visible, dtype=self.model.W.dtype)

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs beside the model's parameters."""
        names = ("velocity_W", "velocity_b", "velocity_c", "mu", "lam", "chains") + (() if self.clock is None else ("clock",))
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: dict[str, Tensor]) -> None:
        own = self.state()
        require_state("RBMTrainer.load_state", state, own)
        for name, value in own.items():
            setattr(self, name, state[name].to(value).clone())

    def describe(self) -> dict[str, str]:
        """Options as words, written into the checkpoint and compared on resume."""
        return {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options)}

    def _first_chains(self, n: int, rng: torch.Generator) -> Tensor:
        """Fair coins.  -> (n, H)."""
        W = self.model.W
        if self.clock is None:
            half = torch.full((n, W.shape[1]), 0.5, dtype=W.dtype, device=rng.device)
            return (torch.bernoulli(half, generator=rng) if n else half).to(W.device)
        coins = counter_uniforms(self.clock, HIDDEN, n, W.shape[1], first_row=rank() * n) < 0.5
        self.clock[1] += 1
        return coins.to(W.dtype)

    def _parameters(self) -> Parameters:
        return Parameters(self.model.W, self.model.b, self.model.c, self.velocity_W, self.velocity_b, self.velocity_c, self.mu, self.lam)


def divided(where: str, options: CDOptions) -> int:
    """How many of PCD's chains each process has; ValueError where they cannot be shared out."""
    n, rest = divmod(options.n_chains, n_processes())
    if rest:
        raise ValueError(f"{where}: n_chains is {options.n_chains} for {n_processes()} processes, expected a number that they divide; take {options.n_chains - rest or n_processes()}")
    return n
