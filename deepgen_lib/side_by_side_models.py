"""The untrained networks that meet in chapter 13, one function each, in the shapes of the files that ship; benchmarks/side_by_side.py trains them.

All are models of 28 x 28 pixels of 0 and 1, the fixed-binarised MNIST.
"""
from __future__ import annotations

import torch
from torch import nn

from .autoregressive import PixelCNN
from .codebook import Codebook
from .mixture import BernoulliMixture
from .nvae import NVAE, NVAEConfig
from .rbm import RBM
from .residual_conv import conv_decoder, conv_encoder
from .vae import VAE, mlp_vae
from .vqvae import VQVAE

SIDE, N_PIXELS, N_COMPONENTS, N_HIDDEN, N_CODES = 28, 784, 500, 500, 128
NVAE_SIZES = dict(groups=(2, 4), n_latent=8, width=8, cells=1, outer_cells=1, expansion=3)  # z of 8 x 4 x 4 twice, then of 8 x 8 x 8 four times


def new_mixture() -> BernoulliMixture:
    """500 equal components, all pixels fair coins."""
    return BernoulliMixture(torch.full((N_COMPONENTS,), 1 / N_COMPONENTS), torch.full((N_COMPONENTS, N_PIXELS), 0.5))


def new_rbm(*, rng: torch.Generator | None = None) -> RBM:
    """784 visible, 500 hidden units."""
    return RBM(N_PIXELS, N_HIDDEN, rng=rng)


def new_vae(*, rng: torch.Generator) -> VAE:
    """784 - 300 - 300 - 40 latents, and back; Bernoulli pixels."""
    return mlp_vae(N_PIXELS, (300, 300), 40, rng=rng)


def new_nvae(*, regularisation: float = 0.0, rng: torch.Generator) -> NVAE:
    """Two scales, six groups; Bernoulli pixels. regularisation: as in training; 0 leaves out the vectors that only training needs."""
    return NVAE(NVAEConfig(regularisation=regularisation, **NVAE_SIZES), rng=rng).to(memory_format=torch.channels_last)


def new_vqvae(*, rng: torch.Generator) -> VQVAE:
    """28 x 28, padded to 32 x 32 -> 4 x 4 codes of 128, each of 16 numbers; Bernoulli pixels."""
    encoder = nn.Sequential(nn.ZeroPad2d(2), conv_encoder(1, 16, n_down=3, n_blocks=1, rng=rng))
    decoder = nn.Sequential(conv_decoder(1, 16, n_down=3, n_blocks=1, rng=rng), nn.ZeroPad2d(-2))
    return VQVAE(encoder, decoder, Codebook(N_CODES, 16, update="ema", rng=rng), sigma=None, revive_below=1.0)


def new_code_prior() -> PixelCNN:
    """Over the 4 x 4 codes."""
    return PixelCNN(N_CODES, (4, 4), width=48, n_layers=3, reach=2)
