"""The small NVAE of chapter 12, on digits of 14 x 14 pixels: the pictures, its sizes, and the trained one that ships; benchmarks/nvae_small.py makes it."""
from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .data import load_mnist
from .checkpoint import load_model
from .nvae import NVAE, NVAEConfig
from .shipped import CHECKPOINTS

SMALL_NVAE = NVAEConfig(groups=(2, 2), image_size=14, n_down=1, n_latent=4, width=8, cells=1, outer_cells=1, expansion=3)  # z of 4 x 4 x 4 twice, then of 4 x 8 x 8 twice
CHECKPOINT = CHECKPOINTS / "nvae_small.safetensors"


def small_digits(split: str) -> Tensor:
    """MNIST in half the size: grey means of 2 x 2 pixels, each made ink with that chance, once and for all.  -> (N, 1, 14, 14) of 0 and 1."""
    grey = avg_pool2d(load_mnist(split, binarisation="grey").images.view(-1, 1, 28, 28), 2)
    return torch.bernoulli(grey, generator=torch.Generator().manual_seed(0))


def bare_small_nvae() -> NVAE:
    """The network alone, in the shape of the file: without the vectors that regularisation keeps."""
    return NVAE(replace(SMALL_NVAE, regularisation=0.0), rng=torch.Generator().manual_seed(0))


def load_small_nvae() -> NVAE:
    """The trained model, frozen; what was measured with it stands in load_notes(CHECKPOINT)."""
    return load_model(CHECKPOINT, bare_small_nvae()).requires_grad_(False).eval()
