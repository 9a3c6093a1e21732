"""The trained code models that ship with the course: digits on one level, colour faces on two; benchmarks/vq_quality.py and vq_faces.py make them.

Each function that builds one says its sizes; the loaders fill them, freeze them and put them in eval mode.
"""
from __future__ import annotations

import json
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .autoregressive import PixelCNN
from .codebook import Codebook
from .checkpoint import load_model, load_notes
from .residual_conv import conv_decoder, conv_encoder
from .shipped import CHECKPOINTS
from .swap_codes import SwapCodes
from .vqvae import VQVAE
from .vqvae2 import VQVAE2

FACE_CODES = (64, 64)


class DigitCodes(NamedTuple):
    vqvae: VQVAE          # 28 x 28 grey digits -> 7 x 7 codes, 128 of 16 numbers
    prior: PixelCNN       # log p(ids)
    log_scales: Tensor    # (32,) for code_bound


class FaceCodes(NamedTuple):
    vqvae2: VQVAE2            # 32 x 32 colour faces -> 8 x 8 and 16 x 16 codes
    top_prior: PixelCNN       # log p(top)
    bottom_prior: PixelCNN    # log p(bottom | top)


def new_digit_vqvae(*, swap: float = 0.2, rng: torch.Generator) -> VQVAE:
    """Untrained: 3 residual blocks a side, EMA codebook, dead codes revived; `swap`: share of codes swapped in training."""
    decoder = nn.Sequential(SwapCodes(swap, rng=rng), conv_decoder(1, 16, n_blocks=3, rng=rng))
    return VQVAE(conv_encoder(1, 16, n_blocks=3, rng=rng), decoder, Codebook(128, 16, update="ema", rng=rng), sigma=0.05**0.5, revive_below=1.0)


def new_digit_prior(*, labelled: bool = False) -> PixelCNN:
    """Untrained; labelled: given the digit's label as a condition map (B, 1, 1)."""
    return PixelCNN(128, (7, 7), condition=(10, 1, 1) if labelled else None, width=48, n_layers=3, reach=2)


def new_face_vqvae2(*, rng: torch.Generator) -> VQVAE2:
    return VQVAE2(3, n_codes=FACE_CODES, rng=rng)


def new_face_priors() -> tuple[PixelCNN, PixelCNN]:
    """For the top map, and for the bottom map given the top."""
    return (PixelCNN(FACE_CODES[0], (8, 8), width=32, n_layers=4, reach=2),
            PixelCNN(FACE_CODES[1], (16, 16), condition=(FACE_CODES[0], 8, 8), width=32, n_layers=3, reach=2))


def load_digit_codes() -> DigitCodes:
    """VQ-VAE, prior and picture scales for MNIST."""
    scales = torch.tensor(json.loads(load_notes(CHECKPOINTS / "pixelcnn_mnist.safetensors")["log_scales"]))
    return DigitCodes(_load("vqvae_mnist", new_digit_vqvae(rng=torch.Generator())), _load("pixelcnn_mnist", new_digit_prior()), scales)


def load_labelled_digit_prior() -> PixelCNN:
    """log p(ids | label) over the codes of load_digit_codes: prior.sample(len(labels), condition=labels.view(-1, 1, 1), rng=rng)."""
    return _load("pixelcnn_mnist_labelled", new_digit_prior(labelled=True))


def load_face_codes() -> FaceCodes:
    """The two-level model of colour faces with its two priors."""
    top, bottom = new_face_priors()
    return FaceCodes(_load("vqvae2_faces", new_face_vqvae2(rng=torch.Generator())), _load("pixelcnn_faces_top", top), _load("pixelcnn_faces_bottom", bottom))


def _load(name: str, model: nn.Module) -> nn.Module:
    return load_model(CHECKPOINTS / f"{name}.safetensors", model).requires_grad_(False).eval()
