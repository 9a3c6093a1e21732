"""Exact quantities of tiny convolutional RBMs: every state of the blocks, log Z, p(v), the exact gradient's ground.

A block of n x n units has n² + 1 states (one unit on, or none), so K maps of R blocks have (n² + 1)^(K R) states together; v is summed or integrated in closed form.
"""
import itertools
import math

import torch
from torch import Tensor

from .conv_rbm import ConvRBM
from .enumeration import all_states
from .kernels import sum_softplus
from .validate import require_count, require_images, require_model

MAX_STATES = 2**20


def block_states(block: int) -> Tensor:
    """The states of one block: all off, then each unit on alone.  -> (block² + 1, block, block) float64."""
    require_count("block_states", "block", block)
    return torch.cat([torch.zeros(1, block * block), torch.eye(block * block)]).double().view(-1, block, block)


def all_pooled_states(n_filters: int, height: int, width: int, *, block: int) -> Tensor:
    """Every state of the detection maps: all combinations of the blocks' states.  -> (S, n_filters, height, width) float64, S = (block² + 1)^(blocks)."""
    for name, value in (("n_filters", n_filters), ("height", height), ("width", width), ("block", block)):
        require_count("all_pooled_states", name, value)
    rows, columns = height // block, width // block
    if height % block or width % block or (n_states := (block**2 + 1)**(n_filters * rows * columns)) > MAX_STATES:
        got = f"{n_states} states" if height % block == 0 and width % block == 0 else f"maps of {height} x {width} with blocks of {block}"
        raise ValueError(f"all_pooled_states: got {got}, expected whole blocks and at most {MAX_STATES} states; take a smaller picture, fewer filters or blocks that divide the map")
    one = block_states(block)
    picks = torch.cartesian_prod(*[torch.arange(len(one))] * (n_filters * rows * columns)).view(n_states, n_filters, rows, columns)
    return one[picks].transpose(3, 4).reshape(n_states, n_filters, height, width)


def conv_log_partition(rbm: ConvRBM, height: int, width: int) -> Tensor:
    """log Z over pictures of height x width: the states of h enumerated, v summed (binary) or integrated (Gaussian).  -> scalar, nats, differentiable."""
    require_model("conv_log_partition", "rbm", rbm, "ConvRBM")
    return torch.logsumexp(_hidden_minus_energy(rbm, _hidden_states(rbm, height, width)), 0)


def conv_hidden_log_prob(rbm: ConvRBM, height: int, width: int) -> Tensor:
    """log p(h) of every state of all_pooled_states.  -> (S,)."""
    require_model("conv_hidden_log_prob", "rbm", rbm, "ConvRBM")
    return torch.log_softmax(_hidden_minus_energy(rbm, _hidden_states(rbm, height, width)), 0)


def conv_log_likelihood(rbm: ConvRBM, v: Tensor) -> Tensor:
    """log p(v) = -F(v) - log Z (a density for Gaussian v).  (B, C, H, W) -> (B,) nats, differentiable."""
    require_model("conv_log_likelihood", "rbm", rbm, "ConvRBM")
    require_images("conv_log_likelihood", "v", v, rbm.n_channels, dtype=rbm.W.dtype, binary=rbm.sigma is None)
    return -rbm.free_energy(v) - conv_log_partition(rbm, *v.shape[-2:])


def all_pictures(n_channels: int, height: int, width: int) -> Tensor:
    """Every binary picture.  -> (2**(n_channels height width), n_channels, height, width) float64."""
    for name, value in (("n_channels", n_channels), ("height", height), ("width", width)):
        require_count("all_pictures", name, value)
    return all_states(n_channels * height * width).view(-1, n_channels, height, width)


def _hidden_states(rbm: ConvRBM, height: int, width: int) -> Tensor:
    return all_pooled_states(rbm.n_filters, *rbm.map_size(height, width), block=rbm.block).to(rbm.W)


def _hidden_minus_energy(rbm: ConvRBM, h: Tensor) -> Tensor:
    """log Σ_v exp(-E(v, h)), or the integral over v.  (S, K, ...) -> (S,)."""
    down, b = rbm.visible_input(h), rbm.b[:, None, None]
    alone = (h.sum((2, 3)) * rbm.c).sum(1)
    if rbm.sigma is None:
        return alone + sum_softplus((down + b).flatten(1))
    n = down[0].numel()
    return alone + ((down + b).square() - b.square()).sum((1, 2, 3)) * rbm.precision / 2 + n / 2 * math.log(2 * math.pi * rbm.sigma**2)
