"""Greedy layer-wise training of a DBN (Hinton, Osindero, Teh 2006): each layer is an RBM on samples from the one below.

    x ~ data,  h¹ ~ Q(h¹ | x),  ...,  hᵗ ~ Q(hᵗ | hᵗ⁻¹)          the next RBM's data: the aggregated posterior Σ_x p_data(x) Q(hᵗ | x)

*Sampled* states, not probabilities: only then is this maximum likelihood on the aggregated posterior.
"""
from collections.abc import Sequence

import torch
from torch import Tensor

from .dbn import DBN
from .fitting import fit
from .processes import average_
from .rbm import RBM, base_rate, init_visible_bias
from .rbm_training import CDOptions, RBMTrainer
from .streams import AggregatedPosterior, SampledPixels, sample_upwards
from .tied import next_rbm, tied_rbm
from .validate import in_words, require_count, require_model, require_rng, require_states

__all__ = ["AggregatedPosterior", "SampledPixels", "greedy_dbn", "next_rbm", "sample_upwards", "tied_rbm"]

MEAN_EXAMPLES = 10_000  # of the data, for the starting means of a layer's input


def greedy_dbn(x: Tensor, n_hidden: Sequence[int], *, options: CDOptions, n_updates: int, batch_size: int = 100, rng: torch.Generator) -> DBN:
    """Train len(n_hidden) RBMs, one on top of the other, n_updates each, on x (N, V) binary.

    A layer starts tied where it is large enough (`next_rbm`), so that the bound starts where it was; then the layers below stay frozen.
    """
    require_model("greedy_dbn", "options", options, "CDOptions")
    require_states("greedy_dbn", "x", x)
    require_rng("greedy_dbn", rng)
    if not isinstance(n_hidden, (list, tuple)) or not n_hidden:
        raise ValueError(f"greedy_dbn: n_hidden is {in_words(n_hidden)}, expected a list with the size of each hidden layer; pass for example [500, 500]")
    for size in n_hidden:
        require_count("greedy_dbn", "n_hidden", size)
    rbms: list[RBM] = []
    for size in n_hidden:
        few = sample_upwards(rbms, x[torch.randperm(len(x), generator=rng)[:MEAN_EXAMPLES]], rng)
        mean = base_rate(few)
        average_([mean])
        rbm = next_rbm(rbms[-1], size, rng=rng) if rbms else init_visible_bias(RBM(x.shape[1], size, rng=rng).to(x), mean)
        trainer = RBMTrainer(rbm, options, data_mean=mean, rng=rng)
        fit(AggregatedPosterior(rbms, trainer) if rbms else trainer, x, n_updates=n_updates, batch_size=batch_size, rng=rng)
        rbms.append(rbm)
    return DBN(rbms)
