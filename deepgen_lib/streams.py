"""What a batch becomes before a trainer sees it: samples of binary pixels, or of the layer above. Each wraps a trainer and is one, for `fit`.

Drawn afresh for every batch and never stored: 60,000 images times any number of draws is a stream, not an array.
"""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .fitting import Trainer
from .kernels.gibbs import draw
from .rbm import RBM
from .sampling import layers_above
from .validate import require_matrix, require_states


class _Stream:
    """Passes everything on to the inner trainer, the model included: that is what is trained, saved and resumed."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    @property
    def model(self) -> nn.Module:
        return self.trainer.model

    def state(self) -> dict[str, Tensor]:
        return self.trainer.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.trainer.load_state(state)

    def describe(self) -> dict[str, str]:
        return self.trainer.describe()


class AggregatedPosterior(_Stream):
    """h ~ Q(h | x) for each x of the batch: data for the next layer, Σ_x p_data(x) Q(h | x).

    lower: the frozen RBMs below, bottom up. Columns of the data beyond x (one-hot labels) are passed on as they are.
    """

    def __init__(self, lower: Sequence[RBM], trainer: Trainer):
        super().__init__(trainer)
        self.lower = tuple(lower)
        _require_rbms("AggregatedPosterior", self.lower)
        fits = trainer.model.n_visible - trainer.model.n_labels
        if fits != self.lower[-1].n_hidden:
            raise ValueError(f"AggregatedPosterior: the trainer's model has {fits} visible units, expected {self.lower[-1].n_hidden}, "
                             "the hidden units of the last lower RBM; next_rbm builds one that fits")

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        n = self.lower[0].n_visible
        h = sample_upwards(self.lower, batch[:, :n], rng)
        self.trainer.update(h if batch.shape[1] == n else torch.cat([h, batch[:, n:]], 1), fraction, rng)

    def check_data(self, data: Tensor) -> None:
        require_states("fit", "data", data, self.lower[0].n_visible + self.model.n_labels, dtype=self.model.W.dtype)

    def describe(self) -> dict[str, str]:
        """The inner trainer's options and the lower layers' sizes; the lower weights are not compared."""
        return self.trainer.describe() | {"lower": str([tuple(rbm.W.shape) for rbm in self.lower])}


class SampledPixels(_Stream):
    """x_i ~ Bernoulli(grey_i) for each image of the batch, anew every time it is seen; whole numbers 0 and 1 (labels) stay as they are."""

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        self.trainer.update(draw(batch, rng), fraction, rng)

    def check_data(self, data: Tensor) -> None:
        """Grey values in [0, 1], of the form the inner trainer wants once they are sampled."""
        require_matrix("fit", "data", data)
        if data.min() < 0 or data.max() > 1:
            raise ValueError(f"fit: data runs from {data.min().item():.3g} to {data.max().item():.3g}, expected grey values in [0, 1]; divide pixels by 255")
        self.trainer.check_data(data.round())


def sample_upwards(lower: Sequence[RBM], x: Tensor, rng: torch.Generator) -> Tensor:
    """x (B, V) through the hidden layers of `lower`, each layer sampled; no checks.  -> (B, H of the last)."""
    return layers_above(lower, x, rng)[-1]


def _require_rbms(where: str, rbms: Sequence[RBM]) -> None:
    if not rbms or not all(isinstance(rbm, RBM) for rbm in rbms):
        raise ValueError(f"{where}: lower is {[type(rbm).__name__ for rbm in rbms]}, expected at least one RBM, bottom up; pass [rbm]")
    for below, above in zip(rbms, rbms[1:]):
        if below.n_hidden != above.n_visible:
            raise ValueError(f"{where}: an RBM with {below.n_hidden} hidden units lies under one with {above.n_visible} visible units, expected equal numbers; list them bottom up")
