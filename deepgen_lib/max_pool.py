"""Probabilistic max-pooling: one softmax over the units of a block and the off state (Lee, Grosse, Ranganath, Ng 2009, eq. 4 and 5).

    P(h_ij = 1) = exp I_ij / (1 + Σ_block exp I),   P(pool = 0) = 1 / (1 + Σ_block exp I)          the 1: every unit of the block is off

At most one detection unit of a block is on, and its pooling unit is on exactly if one is. Plain max-pooling, max over a block of sigma(I), is another
function: its numbers are no probabilities of any joint state. Maps (B, K, H, W) are cut into blocks of block x block; blocks must divide them.
"""
from typing import NamedTuple

import torch
from torch import Tensor

from .validate import require_count, require_images, require_rng


class MaxPool(NamedTuple):
    p_detection: Tensor  # (B, K, H, W) P(h_ij = 1); sums to p_pool over a block
    p_pool: Tensor       # (B, K, H/block, W/block) P(pool = 1), the probability of *on*


class PooledStates(NamedTuple):
    h: Tensor     # (B, K, H, W) 0/1, at most one 1 in a block
    pool: Tensor  # (B, K, H/block, W/block) 0/1, 1 where the block has one


def probabilistic_max_pool(logits: Tensor, block: int) -> MaxPool:
    """Both probabilities from the inputs I.  (B, K, H, W) -> (B, K, H, W), (B, K, H/block, W/block).  Exact for any size of I, differentiable."""
    p = _block_softmax("probabilistic_max_pool", logits, block)
    return MaxPool(_from_blocks(p[..., 1:], block), p[..., 1:].sum(-1))


def log_block_sums(logits: Tensor, block: int) -> Tensor:
    """log(1 + Σ_block exp I) in nats: what a block adds to minus the free energy.  (B, K, H, W) -> (B, K, H/block, W/block)."""
    require_blocks("log_block_sums", logits, block)
    return torch.logsumexp(_with_off_state(logits, block), -1)


def sample_max_pool(logits: Tensor, block: int, rng: torch.Generator) -> PooledStates:
    """Draws h and its pooling units.  (B, K, H, W) -> (B, K, H, W), (B, K, H/block, W/block) of 0/1."""
    require_rng("sample_max_pool", rng)
    with torch.no_grad():
        p = _block_softmax("sample_max_pool", logits, block)
        edges = p.cumsum(-1)  # off first: a uniform number below edges[0] leaves the block off, between edges[i - 1] and edges[i] unit i is on
        u = torch.empty_like(edges[..., :1]).uniform_(generator=rng)
        h = ((u >= edges[..., :-1]) & (u < edges[..., 1:])).to(logits.dtype)
        return PooledStates(_from_blocks(h, block), h.sum(-1))


def unpool(pool: Tensor, block: int, rng: torch.Generator) -> Tensor:
    """Detection units given their pooling units alone: where the pool is on, one unit of the block, each as likely.  (B, K, h, w) -> (B, K, h block, w block)."""
    require_images("unpool", "pool", pool, binary=True)
    require_count("unpool", "block", block)
    require_rng("unpool", rng)
    place = torch.randint(block * block, pool.shape, generator=rng).to(pool.device)
    return _from_blocks(torch.nn.functional.one_hot(place, block * block).to(pool.dtype) * pool[..., None], block)


def spread(pool: Tensor, block: int) -> Tensor:
    """Each value of a pooled map given to every unit of its block.  (B, K, h, w) -> (B, K, h block, w block)."""
    return pool.repeat_interleave(block, -2).repeat_interleave(block, -1)


def require_blocks(where: str, logits: Tensor, block: int) -> None:
    """Maps of finite numbers that the blocks divide."""
    require_images(where, "logits", logits)
    require_count(where, "block", block)
    height, width = logits.shape[-2:]
    if height % block or width % block:
        whole = height - height % block, width - width % block
        raise ValueError(f"{where}: maps are {height} x {width} and block is {block}, expected a multiple of {block} on both sides; "
                         f"choose the pictures' size so that they fit, or trim: logits[..., :{whole[0]}, :{whole[1]}]")


def _block_softmax(where: str, logits: Tensor, block: int) -> Tensor:
    """(B, K, H/block, W/block, 1 + block²), the off state first.  softmax subtracts the largest input, or 0 for off: nothing overflows."""
    require_blocks(where, logits, block)
    return torch.softmax(_with_off_state(logits, block), -1)


def _with_off_state(logits: Tensor, block: int) -> Tensor:
    B, K, height, width = logits.shape
    inside = logits.reshape(B, K, height // block, block, width // block, block).transpose(3, 4).flatten(4)
    return torch.cat([torch.zeros_like(inside[..., :1]), inside], -1)


def _from_blocks(inside: Tensor, block: int) -> Tensor:
    """(B, K, h, w, block²) -> (B, K, h block, w block)."""
    B, K, height, width, _ = inside.shape
    return inside.reshape(B, K, height, width, block, block).transpose(3, 4).reshape(B, K, height * block, width * block)
