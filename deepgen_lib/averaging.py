"""The mean of a model's parameters over training, instead of the last ones (Polyak & Juditsky 1992; for PCD Swersky et al. 2010).

    mean_n = mean_{n-1} + (parameters_n - mean_{n-1}) / n          n counts the updates after the first part of training

Sampled gradients leave the parameters trembling around where they want to be. The tremble costs log-likelihood, in proportion to the learning rate;
their mean has little of it, at a rate that still moves.
"""
import copy

import torch
from torch import Tensor, nn

from .fitting import Trainer
from .validate import require_kind, require_model, require_number


class AveragedParameters:
    """Wraps a trainer and is one, for `fit`: `model` is a copy that holds the mean, the inner trainer goes on with its own."""

    def __init__(self, trainer: Trainer, *, start: float = 0.25):
        """start: the share of training after which the mean begins; before it, the mean is the inner model."""
        require_model("AveragedParameters", "trainer", trainer, "trainer")
        require_number("AveragedParameters", "start", start, low=0, high=1)
        self.trainer, self.start = trainer, start
        self.model: nn.Module = copy.deepcopy(trainer.model)
        self.count = torch.zeros((), dtype=torch.int64)

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        self.trainer.update(batch, fraction, rng)
        if fraction >= self.start:
            self.count += 1
        with torch.no_grad():
            for mean, last in zip(self.model.parameters(), self.trainer.model.parameters()):
                mean.lerp_(last, 1 / max(self.count.item(), 1))

    def check_data(self, data: Tensor) -> None:
        self.trainer.check_data(data)

    def state(self) -> dict[str, Tensor]:
        """The inner trainer's state, the inner model and how many updates the mean holds."""
        return self.trainer.state() | {f"last.{name}": value.detach() for name, value in self.trainer.model.state_dict().items()} | {"count": self.count}

    def load_state(self, state: dict[str, Tensor]) -> None:
        require_kind("AveragedParameters.load_state", "state", state, dict, cure="pass what state() returned")
        own = {name.removeprefix("last."): value for name, value in state.items() if name.startswith("last.")}
        missing = self.trainer.model.state_dict().keys() - own.keys()
        if missing or "count" not in state:
            raise ValueError(f"AveragedParameters.load_state: got {', '.join(sorted(state)) or 'nothing'}, expected also {', '.join(sorted(missing)) or 'count'} of the inner model; "
                             "the checkpoint is of a trainer without averaging")
        self.trainer.load_state({name: value for name, value in state.items() if name in self.trainer.state()})
        self.trainer.model.load_state_dict(own)
        self.count = state["count"].clone()

    def describe(self) -> dict[str, str]:
        return self.trainer.describe() | {"averaged from": repr(self.start)}
