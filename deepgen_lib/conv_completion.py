"""Filling in what is hidden by going up from what is seen and down again: how a deep belief network itself samples, with pooling units that have seen enough held fixed.

    up       pˡ ~ P(pˡ | pˡ⁻¹), from the picture with grey (0) where it is hidden
    top      Gibbs in the top RBM over the pooling units below it that have seen less than half of their field; the others stay
    down     hˡ | pˡ at random inside blocks, pˡ⁻¹ ~ P(pˡ⁻¹ | hˡ), as far as h²
    pixels   h¹ ~ P(h¹ | v, J),  J = W²ᵀ ⋆ h² at the block's pooling unit;  v ~ p(v | h¹) where it is hidden; sweeps of these two

conv_inference.py runs all layers against each other as one undirected model, which they were never trained to be; here each acts as greedy training left it.
"""
import torch
from torch import Tensor
from torch.nn import functional as F

from .conv_dbn import ConvDBN
from .conv_inference import require_known
from .max_pool import sample_max_pool, spread, unpool
from .validate import require_count, require_images, require_model, require_rng

SEEN = 0.5  # share of its field that a pooling unit must have seen to stay as recognised


def complete_from_above(dbn: ConvDBN, x: Tensor, known: Tensor, *, n_samples: int = 4, n_gibbs_steps: int = 10, n_sweeps: int = 6, rng: torch.Generator) -> Tensor:
    """E[hidden pixels | known ones], the mean over n_samples descents of n_sweeps each, without the first sweep.  (N, C, H, W) -> (N, C, H, W).

    known (1 or N, 1, H, W) of 0/1. A network of one layer has no above, J = 0: the layer-1 model alone.
    """
    require_model("complete_from_above", "dbn", dbn, "ConvDBN")
    require_images("complete_from_above", "x", x, dbn.rbms[0].n_channels, dtype=dbn.top.W.dtype, binary=dbn.rbms[0].sigma is None)
    for name, count in (("n_samples", n_samples), ("n_gibbs_steps", n_gibbs_steps)):
        require_count("complete_from_above", name, count)
    require_count("complete_from_above", "n_sweeps", n_sweeps, minimum=2)
    require_rng("complete_from_above", rng)
    require_images("complete_from_above", "known", known, 1, binary=True)
    seen = require_known("complete_from_above", x, known)
    first, start, total = dbn.rbms[0], x * known, torch.zeros_like(x)
    with torch.no_grad():
        for _ in range(n_samples):
            v, J = start, _from_above(dbn, start, seen.to(x.dtype), n_gibbs_steps, rng)
            for sweep in range(n_sweeps):
                mean = first.visible_mean(sample_max_pool(first.hidden_logits(v) + J, first.block, rng).h)
                v = torch.where(seen, start, first.draw_visible(mean, rng))
                total += mean if sweep else 0
    return torch.where(seen, x, total / (n_samples * (n_sweeps - 1)))


def recentre(completed: Tensor, known: Tensor, *, mean: Tensor, examples: Tensor, completed_examples: Tensor) -> Tensor:
    """In the hidden pixels: mean + g (completed - mean completed example), g by least squares over the examples.  (N, C, H, W) -> (N, C, H, W).

    A network with one bias for all positions does not know the mean face, and averages of samples are too faint. This reads out what is left, the same
    way for any network: one that adds nothing has g = 0 and is the mean face. mean (1, C, H, W): of all training pictures; examples, completed_examples (M, C, H, W): some of them.
    """
    for name, images in (("completed", completed), ("mean", mean), ("examples", examples), ("completed_examples", completed_examples)):
        require_images("recentre", name, images, dtype=completed.dtype if name != "completed" else None)
    want = {"mean": (1, *completed.shape[1:]), "examples": (len(examples), *completed.shape[1:]), "completed_examples": (len(examples), *completed.shape[1:])}
    for name, images in (("mean", mean), ("examples", examples), ("completed_examples", completed_examples)):
        if tuple(images.shape) != want[name]:
            raise ValueError(f"recentre: {name} has shape {tuple(images.shape)}, expected {want[name]}; complete the examples as you complete the others, and keep the 1 in front of the mean")
    require_images("recentre", "known", known, 1, binary=True)
    seen = require_known("recentre", completed, known)
    if len(known) != 1:
        raise ValueError(f"recentre: known has shape {tuple(known.shape)}, expected 1 in front; take the pictures of one mask at a time")
    centre = completed_examples.mean(0)
    offered, wanted = (completed_examples - centre) * ~seen, (examples - examples.mean(0)) * ~seen
    gain = (offered * wanted).sum() / offered.square().sum().clamp_min(torch.finfo(completed.dtype).tiny)
    return torch.where(seen, completed, mean + gain * (completed - centre))


def _from_above(dbn: ConvDBN, v: Tensor, share: Tensor, n_gibbs_steps: int, rng: torch.Generator) -> Tensor:
    """J, what layer 2 sends to each detection unit of layer 1, after a descent; 0 where there is no layer 2."""
    if len(dbn.rbms) == 1:
        return torch.zeros_like(v[:1, :1, :1, :1])
    states, keeps = [], []
    for rbm in dbn.rbms[:-1]:
        states.append(rbm.sample_hidden(v, rng))
        v, w = states[-1].pool, rbm.W.shape[-1]
        share = F.avg_pool2d(F.avg_pool2d(share, w, 1), rbm.block)
        keeps.append(share > SEEN)
    top, pool = dbn.top, states[-1].pool
    free = top.draw_visible(torch.sigmoid(top.b)[:, None, None].expand_as(pool), rng)
    for step in range(n_gibbs_steps):
        free = top.draw_visible(top.visible_mean(h), rng) if step else free
        h = top.sample_hidden(torch.where(keeps[-1], pool, free), rng).h
    for rbm, state, keep, above in reversed(list(zip(dbn.rbms[1:-1], states[1:], keeps[1:], dbn.rbms[2:]))):
        free = above.draw_visible(above.visible_mean(h), rng)
        h = torch.where(spread(keep.to(v.dtype), rbm.block) > 0, state.h, unpool(free, rbm.block, rng))
    return spread(dbn.rbms[1].visible_input(h), dbn.rbms[0].block)
