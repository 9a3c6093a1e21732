"""Greedy layer-wise training of a DBN (Hinton, Osindero, Teh 2006): each layer is an RBM on samples from the one below.

    x ~ data,  h¹ ~ Q(h¹ | x),  ...,  hᵗ ~ Q(hᵗ | hᵗ⁻¹)          the next RBM's data: the aggregated posterior Σ_x p_data(x) Q(hᵗ | x)

*Sampled* states, not probabilities: only then is this maximum likelihood on the aggregated posterior. They are drawn afresh for every
batch and never stored: 50,000 images times any number of draws is a stream, not an array.
"""
from collections.abc import Sequence

import torch
from torch import Tensor

from .dbn import DBN
from .fitting import Trainer, fit
from .kernels.gibbs import half_step
from .rbm import RBM, base_rate, init_visible_bias
from .rbm_training import CDOptions, RBMTrainer
from .tied import next_rbm, tied_rbm
from .validate import require_count, require_rng, require_states

__all__ = ["AggregatedPosterior", "greedy_dbn", "next_rbm", "sample_upwards", "tied_rbm"]

MEAN_EXAMPLES = 10_000  # of the data, for the starting means of a layer's input


def sample_upwards(lower: Sequence[RBM], x: Tensor, rng: torch.Generator) -> Tensor:
    """x (B, V) through the hidden layers of `lower`, each layer sampled; no checks.  -> (B, H of the last)."""
    with torch.no_grad():
        for rbm in lower:
            x = half_step(x, rbm.W, rbm.c, rng)
    return x


class AggregatedPosterior:
    """A trainer for `fit` whose batches of x become samples of the layer above before the inner trainer sees them.

    lower: the frozen RBMs below, bottom up. The inner trainer's model is what is trained, saved and resumed.
    """

    def __init__(self, lower: Sequence[RBM], trainer: Trainer):
        self.lower, self.trainer = tuple(lower), trainer
        _require_rbms("AggregatedPosterior", self.lower)
        top, model = self.lower[-1].n_hidden, trainer.model
        if model.n_visible - model.n_labels != top:
            raise ValueError(f"AggregatedPosterior: the trainer's model has {model.n_visible - model.n_labels} visible units, expected {top}, "
                             "the hidden units of the last lower RBM; next_rbm builds one that fits")

    @property
    def model(self) -> RBM:
        return self.trainer.model

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        """h ~ Q(h | x) for this batch, then one step of the inner trainer. Columns beyond x (labels) are passed on as they are."""
        n = self.lower[0].n_visible
        h = sample_upwards(self.lower, batch[:, :n], rng)
        self.trainer.update(h if batch.shape[1] == n else torch.cat([h, batch[:, n:]], 1), fraction, rng)

    def check_data(self, data: Tensor) -> None:
        require_states("fit", "data", data, self.lower[0].n_visible + self.model.n_labels, dtype=self.model.W.dtype)

    def state(self) -> dict[str, Tensor]:
        return self.trainer.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.trainer.load_state(state)

    def describe(self) -> dict[str, str]:
        """The inner trainer's options and the lower layers' sizes; their weights are not compared."""
        return self.trainer.describe() | {"lower": str([tuple(rbm.W.shape) for rbm in self.lower])}


def greedy_dbn(x: Tensor, n_hidden: Sequence[int], *, options: CDOptions, n_updates: int, batch_size: int = 100, rng: torch.Generator) -> DBN:
    """Train len(n_hidden) RBMs, one on top of the other, n_updates each, on x (N, V) binary.

    A layer starts tied where it is large enough (`next_rbm`), so that the bound starts where it was; then the layers below stay frozen.
    """
    require_states("greedy_dbn", "x", x)
    require_rng("greedy_dbn", rng)
    if isinstance(n_hidden, int) or len(n_hidden) == 0:
        raise ValueError(f"greedy_dbn: n_hidden is {n_hidden!r}, expected a list with the size of each hidden layer; pass for example [500, 500]")
    for size in n_hidden:
        require_count("greedy_dbn", "n_hidden", size)
    rbms: list[RBM] = []
    for size in n_hidden:
        few = sample_upwards(rbms, x[torch.randperm(len(x), generator=rng)[:MEAN_EXAMPLES]], rng)
        mean = base_rate(few)
        rbm = next_rbm(rbms[-1], size, rng=rng) if rbms else init_visible_bias(RBM(x.shape[1], size, rng=rng).to(x), mean)
        trainer = RBMTrainer(rbm, options, data_mean=mean, rng=rng)
        fit(AggregatedPosterior(rbms, trainer) if rbms else trainer, x, n_updates=n_updates, batch_size=batch_size, rng=rng)
        rbms.append(rbm)
    return DBN(rbms)


def _require_rbms(where: str, rbms: Sequence[RBM]) -> None:
    if not rbms or not all(isinstance(rbm, RBM) for rbm in rbms):
        raise ValueError(f"{where}: lower is {[type(rbm).__name__ for rbm in rbms]}, expected at least one RBM, bottom up; pass [rbm]")
    for below, above in zip(rbms, rbms[1:]):
        if below.n_hidden != above.n_visible:
            raise ValueError(f"{where}: an RBM with {below.n_hidden} hidden units lies under one with {above.n_visible} visible units, expected equal numbers; list them bottom up")
