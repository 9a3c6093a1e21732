"""Training an RBM by contrastive divergence: what one update does, and the state it carries from one to the next.

    velocity <- momentum · velocity + rate · gradient,   parameters <- parameters + velocity          (uphill)

The gradient's model phase comes from chains: started at the batch (CD-k) or carried on (PCD, `persistent`). With `centred`,
the step is taken in the parametrization (v - mu)ᵀ W (h - lam) and written back to W, b, c; mu and lam follow the data.
"""
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .kernels.cd_update import Phases, apply_phases
from .kernels.gibbs import draw, probabilities
from .objectives import continue_chain
from .rbm import RBM
from .validate import require_choice, require_count, require_means, require_number, require_rng, require_states

OFFSET_RATE = 0.01  # how fast lam follows the mean hidden activity (Melchior et al. 2016, section 4)


@dataclass(frozen=True)
class CDOptions:
    """How to train; `RBMTrainer` says what each does to an update."""
    n_gibbs_steps: int = 1
    persistent: bool = False
    n_chains: int = 100                 # of PCD; CD has one chain per example of the batch
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
            require_choice("CDOptions", name, str(getattr(self, name)), ("True", "False"))
        if self.sparsity_target is not None:
            require_number("CDOptions", "sparsity_target", self.sparsity_target, low=0, high=1)


class RBMTrainer:
    """Holds what outlives an update: velocities, PCD's chains, the centring offsets. `update` is one step; `fit` calls it."""

    def __init__(self, rbm: RBM, options: CDOptions, *, data_mean: Tensor | None = None, rng: torch.Generator):
        """data_mean (V,) gives mu when centred: the training data's pixel means, base_rate(x)."""
        require_rng("RBMTrainer", rng)
        if options.centred:
            if data_mean is None:
                raise ValueError("RBMTrainer: centred=True and data_mean is missing, expected (V,) pixel means; pass data_mean=base_rate(training_data)")
            require_means("RBMTrainer", "data_mean", data_mean, rbm.n_visible)
        self.model, self.options = rbm, options
        self.velocity_W, self.velocity_b, self.velocity_c = (torch.zeros_like(p, requires_grad=False) for p in (rbm.W, rbm.b, rbm.c))
        self.mu = data_mean.to(rbm.W).clone() if options.centred else torch.zeros_like(self.velocity_b)
        self.lam = torch.full_like(self.velocity_c, 0.5 if options.centred else 0.0)
        half = torch.full((options.n_chains, rbm.n_hidden), 0.5, dtype=rbm.W.dtype, device=rbm.W.device)
        self.chains = torch.bernoulli(half, generator=rng) if options.persistent else half[:0]

    def update(self, v: Tensor, fraction: float, rng: torch.Generator) -> None:
        """One step on the batch v (B, V); fraction in [0, 1) says how far training has come, for the learning rate."""
        options = self.options
        rate = options.learning_rate + (options.final_learning_rate - options.learning_rate) * fraction
        with torch.no_grad():
            phases = self._phases(v, rng)
            self._step(phases, rate)

    def check_data(self, data: Tensor) -> None:
        """Called once by fit, so that update need not look at every batch."""
        require_states("fit", "data", data, self.model.n_visible, dtype=self.model.W.dtype)

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs beside the model's parameters."""
        return {name: getattr(self, name) for name in ("velocity_W", "velocity_b", "velocity_c", "mu", "lam", "chains")}

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, value in self.state().items():
            if name not in state or state[name].shape != value.shape:
                found = tuple(state[name].shape) if name in state else "nothing"
                raise ValueError(f"RBMTrainer.load_state: {name} is {found}, expected {tuple(value.shape)}; the checkpoint is of another model or other options")
            setattr(self, name, state[name].to(value).clone())

    def describe(self) -> dict[str, str]:
        """Options as words, written into the checkpoint and compared on resume."""
        return {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options)}

    def _phases(self, v: Tensor, rng: torch.Generator) -> Phases:
        rbm, persistent = self.model, self.options.persistent
        h_data = probabilities(v, rbm.W, rbm.c)
        start = self.chains if persistent else draw(h_data, rng)
        v_model, h_model, h = continue_chain(rbm, start, self.options.n_gibbs_steps, rng, keep_states=persistent)
        if persistent:
            self.chains = h
        return Phases(v, h_data, v_model, h_model)

    def _step(self, phases: Phases, rate: float) -> None:
        rbm, options = self.model, self.options
        h_mean = phases.h_data.mean(0)
        self.velocity_b.mul_(options.momentum).add_(phases.v_data.mean(0) - phases.v_model.mean(0), alpha=rate)
        self.velocity_c.mul_(options.momentum).add_(h_mean - phases.h_model.mean(0), alpha=rate)
        if options.sparsity_target is not None:
            self.velocity_c.add_(options.sparsity_target - h_mean, alpha=rate * options.sparsity_weight)
        if options.centred:
            self.lam.lerp_(h_mean, OFFSET_RATE)
            phases = Phases(phases.v_data - self.mu, phases.h_data - self.lam, phases.v_model - self.mu, phases.h_model - self.lam)
        apply_phases(rbm.W, self.velocity_W, phases, rate, options.momentum, options.weight_decay)
        rbm.b.add_(self.velocity_b)
        rbm.c.add_(self.velocity_c)
        if options.centred:  # the offsets' share of the biases: b = b' - W lam, c = c' - Wᵀ mu
            rbm.b.addmv_(self.velocity_W, self.lam, alpha=-1)
            rbm.c.addmv_(self.velocity_W.T, self.mu, alpha=-1)
