"""Hierarchical inference in a convolutional DBN: what is seen below and what is believed above, together (Lee et al. 2009, section 3.6).

    E(v, h¹, ..., hᴸ) = E_1(v, h¹) - Σ_{l>1} [ hˡ · (Wˡ ⋆ pˡ⁻¹) + Σ_k c_kˡ Σ hˡᵏ ]          one undirected model over all layers
    P(hˡ_ij = 1 | rest) = exp(I_ij + J_a) / (1 + Σ_block exp(I + J_a))          I: input from below, J = Wˡ⁺¹ᵀ ⋆ hˡ⁺¹ at the block's pooling unit

As in the paper the upper layers' visible biases are left out: the bias c of the layer below already says how often its units are on, and the same evidence
should not count twice. Block Gibbs: one layer at a time, exact, given its neighbours. Pixels that are not known are drawn along.
"""
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .conv_dbn import ConvDBN
from .max_pool import probabilistic_max_pool, sample_max_pool, spread
from .validate import require_count, require_flag, require_images, require_model, require_rng


class Inference(NamedTuple):
    v: Tensor             # (B, C, H, W) the mean of v over the sweeps after the burn-in; known pixels as they were given
    hidden: list[Tensor]  # hˡ (B, K_l, ...) after the last sweep
    p_pool: list[Tensor]  # (B, K_l, ...) mean over the same sweeps of P(pool = 1 | its neighbours)


def hierarchical_energy(dbn: ConvDBN, v: Tensor, hidden: list[Tensor]) -> Tensor:
    """The energy of the undirected model in nats, row by row.  v (B, C, H, W), hidden [h¹, ..., hᴸ] -> (B,)."""
    _require_hidden("hierarchical_energy", dbn, v, hidden)
    energy = dbn.rbms[0].energy(v, hidden[0])
    for level, rbm in enumerate(dbn.rbms[1:], start=2):
        energy = energy - (hidden[level - 1] * rbm.hidden_logits(_pooled(dbn, hidden, level - 1))).sum((1, 2, 3))
    return energy


def block_logits(dbn: ConvDBN, v: Tensor, hidden: list[Tensor], level: int, *, top_down: bool = True) -> Tensor:
    """I + J, the whole input of the detection units of one level given its neighbours, for probabilistic_max_pool.  -> (B, K_level, ...)."""
    _require_hidden("block_logits", dbn, v, hidden)
    require_count("block_logits", "level", level, maximum=len(dbn.rbms))
    return _block_logits(dbn, v, hidden, level, top_down)


def hierarchical_sweep(dbn: ConvDBN, v: Tensor, hidden: list[Tensor], *, known: Tensor | None = None, top_down: bool = True,
                       rng: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """One sweep of block Gibbs, the layers bottom up and then the pixels that are not known; leaves the model invariant.  -> (v, hidden)."""
    _require_hidden("hierarchical_sweep", dbn, v, hidden)
    require_rng("hierarchical_sweep", rng)
    known = require_known("hierarchical_sweep", v, known)
    with torch.no_grad():
        v, hidden, _, _ = _sweep(dbn, v, hidden, known, top_down, rng)
    return v, hidden


def infer(dbn: ConvDBN, v: Tensor, *, n_sweeps: int, known: Tensor | None = None, top_down: bool = True, burn_in: int | None = None,
          rng: torch.Generator) -> Inference:
    """The posterior over all layers, and over the pixels that are not known, by n_sweeps of block Gibbs started bottom up.

    known (B, 1, H, W), or with a 1 for B: 1 where v is seen, 0 where it is hidden (what v holds there is where the chain starts); None: all is seen. top_down=False
    leaves J out: each layer sees only the one below (and pixels only the first). burn_in: sweeps before averaging starts, half of them if None.
    """
    require_model("infer", "dbn", dbn, "ConvDBN")
    require_images("infer", "v", v, dbn.rbms[0].n_channels, dtype=dbn.top.W.dtype, binary=dbn.rbms[0].sigma is None)
    require_count("infer", "n_sweeps", n_sweeps)
    require_flag("infer", "top_down", top_down)
    require_rng("infer", rng)
    burn_in = n_sweeps // 2 if burn_in is None else burn_in
    require_count("infer", "burn_in", burn_in, minimum=0, maximum=n_sweeps - 1)
    known = require_known("infer", v, known)
    with torch.no_grad():
        hidden, total_v, total_p = dbn.recognise(v, rng), torch.zeros_like(v), None
        for sweep in range(n_sweeps):
            v, hidden, mean, p_pool = _sweep(dbn, v, hidden, known, top_down, rng)
            if sweep >= burn_in:
                total_v += torch.where(known, v, mean)
                total_p = p_pool if total_p is None else [a + b for a, b in zip(total_p, p_pool)]
        n = n_sweeps - burn_in
        return Inference(torch.where(known, v, total_v / n), hidden, [p / n for p in total_p])


def _sweep(dbn: ConvDBN, v: Tensor, hidden: list[Tensor], known: Tensor, top_down: bool, rng: torch.Generator):
    hidden, p_pool = list(hidden), []
    for level, rbm in enumerate(dbn.rbms, start=1):
        logits = _block_logits(dbn, v, hidden, level, top_down)
        p_pool.append(probabilistic_max_pool(logits, rbm.block).p_pool)
        hidden[level - 1] = sample_max_pool(logits, rbm.block, rng).h
    mean = dbn.rbms[0].visible_mean(hidden[0])
    return torch.where(known, v, dbn.rbms[0].draw_visible(mean, rng)), hidden, mean, p_pool


def _block_logits(dbn: ConvDBN, v: Tensor, hidden: list[Tensor], level: int, top_down: bool) -> Tensor:
    rbm = dbn.rbms[level - 1]
    logits = rbm.hidden_logits(v if level == 1 else _pooled(dbn, hidden, level - 1))
    if not top_down or level == len(dbn.rbms):
        return logits
    return logits + spread(dbn.rbms[level].visible_input(hidden[level]), rbm.block)


def _pooled(dbn: ConvDBN, hidden: list[Tensor], level: int) -> Tensor:
    """Pooling units of a level, 1 where a block has a unit on."""
    return F.max_pool2d(hidden[level - 1], dbn.rbms[level - 1].block)


def require_known(where: str, v: Tensor, known: Tensor | None) -> Tensor:
    """As a mask that broadcasts over v; None: all is known."""
    if known is None:
        return torch.ones_like(v[:1, :1], dtype=torch.bool)
    require_images(where, "known", known, 1, binary=True)
    if tuple(known.shape[-2:]) != tuple(v.shape[-2:]) or len(known) not in (1, len(v)):
        raise ValueError(f"{where}: known has shape {tuple(known.shape)}, expected {(len(v), 1, *v.shape[-2:])}, or 1 in front for all pictures alike; 1 where a pixel is seen")
    return known > 0


def _require_hidden(where: str, dbn: ConvDBN, v: Tensor, hidden: list[Tensor]) -> None:
    require_model(where, "dbn", dbn, "ConvDBN")
    require_images(where, "v", v, dbn.rbms[0].n_channels, dtype=dbn.top.W.dtype, binary=dbn.rbms[0].sigma is None)
    want = [(len(v), rbm.n_filters, *rbm.map_size(*size)) for rbm, size in zip(dbn.rbms, dbn.pooled_sizes(*v.shape[-2:]))]
    if not isinstance(hidden, (list, tuple)) or [tuple(h.shape) if isinstance(h, Tensor) else None for h in hidden] != want:
        got = [tuple(h.shape) if isinstance(h, Tensor) else type(h).__name__ for h in hidden] if isinstance(hidden, (list, tuple)) else type(hidden).__name__
        raise ValueError(f"{where}: hidden is {got}, expected detection units of shapes {want}, bottom up; dbn.recognise(v, rng) draws some")
    for h in hidden:
        require_images(where, "hidden", h, dtype=dbn.top.W.dtype, binary=True)
