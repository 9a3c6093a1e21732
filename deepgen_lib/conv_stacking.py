"""Greedy layer-wise training of a convolutional DBN: each layer is a convolutional RBM on pooling units sampled from the one below (Lee et al. 2009)."""
from collections.abc import Sequence

import torch
from torch import Tensor

from .conv_dbn import ConvDBN
from .conv_rbm import ConvRBM
from .conv_training import ConvRBMTrainer
from .fitting import fit
from .rbm_training import CDOptions
from .validate import require_count, require_images, require_kind, require_rng

MEAN_EXAMPLES = 200  # pictures, for the starting visible bias of a layer


class PooledSamples:
    """p ~ P(pool | v) through the frozen layers below, drawn afresh for each batch: a trainer for `fit` around the trainer of the next layer."""

    def __init__(self, lower: Sequence[ConvRBM], trainer: ConvRBMTrainer):
        self.trainer, self.below = trainer, ConvDBN(lower)
        if self.below.top.n_filters != trainer.model.n_channels:
            raise ValueError(f"PooledSamples: the trainer's model has {trainer.model.n_channels} channels, expected {self.below.top.n_filters}, the filters of the last lower layer; "
                             "build it with n_channels=lower[-1].n_filters")

    @property
    def model(self) -> ConvRBM:
        return self.trainer.model

    def update(self, v: Tensor, fraction: float, rng: torch.Generator) -> None:
        self.trainer.update(sample_pooled(self.below.rbms, v, rng), fraction, rng)

    def check_data(self, data: Tensor) -> None:
        first = self.below.rbms[0]
        require_images("fit", "data", data, first.n_channels, dtype=first.W.dtype, binary=first.sigma is None)
        size = self.below.pooled_sizes(*data.shape[-2:])[-1]
        if size != self.trainer.image_size:
            raise ValueError(f"fit: pictures of {tuple(data.shape[-2:])} have pooled maps of {size}, expected {self.trainer.image_size} as the trainer was told; "
                             "pass image_size=ConvDBN(lower).pooled_sizes(height, width)[-1]")

    def state(self) -> dict[str, Tensor]:
        return self.trainer.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.trainer.load_state(state)

    def describe(self) -> dict[str, str]:
        """The inner trainer's options and the lower layers' sizes; the lower weights are not compared."""
        return self.trainer.describe() | {"lower": str([tuple(rbm.W.shape) for rbm in self.below.rbms])}


def sample_pooled(lower: Sequence[ConvRBM], v: Tensor, rng: torch.Generator) -> Tensor:
    """v (B, C, H, W) through `lower`, each layer's pooling units sampled.  -> (B, K of the last, h, w) of 0/1; v itself where lower is empty."""
    for rbm in lower:
        v = rbm.sample_hidden(v, rng).pool
    return v


def greedy_conv_dbn(x: Tensor, rbms: Sequence[ConvRBM], *, options: CDOptions | Sequence[CDOptions], n_updates: int, batch_size: int = 100,
                    rng: torch.Generator) -> ConvDBN:
    """Train the layers `rbms`, bottom up, n_updates each, on pictures x (N, C, H, W); they are copied, not changed.

    options: one for all layers, or one for each. A layer above the first starts with the visible bias that gives its input's mean.
    """
    require_rng("greedy_conv_dbn", rng)
    require_count("greedy_conv_dbn", "n_updates", n_updates)
    dbn = ConvDBN(rbms)
    require_kind("greedy_conv_dbn", "options", options, (CDOptions, list, tuple), cure="pass one CDOptions(), or a list of them")
    options = [options] * len(rbms) if isinstance(options, CDOptions) else list(options)
    if len(options) != len(rbms):
        raise ValueError(f"greedy_conv_dbn: got {len(options)} options for {len(rbms)} layers, expected one for each or one CDOptions for all; pass a list as long as rbms")
    require_images("greedy_conv_dbn", "x", x, dbn.rbms[0].n_channels, dtype=dbn.top.W.dtype, binary=dbn.rbms[0].sigma is None)
    sizes = dbn.pooled_sizes(*x.shape[-2:])
    for level, (rbm, size, chosen) in enumerate(zip(dbn.rbms, sizes, options)):
        lower = list(dbn.rbms[:level])
        if lower:
            few = sample_pooled(lower, x[torch.randperm(len(x), generator=rng)[:MEAN_EXAMPLES]], rng)
            with torch.no_grad():
                rbm.b.copy_(torch.logit(few.mean((0, 2, 3)).clamp(0.001, 0.999)))
        trainer = ConvRBMTrainer(rbm, chosen, image_size=size, rng=rng)
        fit(PooledSamples(lower, trainer) if lower else trainer, x, n_updates=n_updates, batch_size=batch_size, rng=rng)
    return dbn
