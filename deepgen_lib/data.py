"""MNIST as it ships with the package, in the four ways in which papers make its pixels binary, and the toy sets.

    x grey in [0, 1]    thresholded: 1 if x > 0.5    sampled: 1 with probability x, once per seed    fixed: drawn once, for everyone

Splits.  "train" is the first 50,000 images of MNIST's training file, "valid" the last 10,000, "train+valid" all 60,000, "test"
the 10,000 of the test file. The fixed binarisation has splits of the same sizes and names but its own order, so its images have
no labels here: its "train" and "valid" share out the same 60,000 digits after a shuffle (do not train on one binarisation and
validate on another), and its "test" holds MNIST's test digits sorted by class, so its first thousand are zeros and ones alone:
average over all 10,000, or over a random subset.

Sources: LeCun and Cortes (MNIST); Salakhutdinov and Murray 2008, Larochelle and Murray 2011 (fixed binarisation).
Every file is checked by its SHA-256 when it is first read.
"""
from __future__ import annotations

import gzip
import io
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .shipped import shipped_bytes
from .toy_data import PrototypeToy, ToyMixture, bars_and_stripes, parity, toy_mixture, toy_prototypes
from .validate import in_words, require_choice

__all__ = ["BINARISATIONS", "SPLITS", "Mnist", "PrototypeToy", "ToyMixture", "bars_and_stripes", "load_mnist", "parity", "toy_mixture", "toy_prototypes"]

EMBEDDED = Path(__file__).parent / "embedded"
SPLITS = ("train", "valid", "train+valid", "test")
BINARISATIONS = ("grey", "thresholded", "sampled", "fixed")
_ROWS = {"train": slice(0, 50_000), "valid": slice(50_000, 60_000), "train+valid": slice(0, 60_000), "test": slice(0, 10_000)}
_FILES = {  # file: (bytes, SHA-256)
    "mnist/train-images-idx3-ubyte.gz": (9_719_438, "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971"),
    "mnist/train-labels-idx1-ubyte.gz": (28_857, "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203"),
    "mnist/t10k-images-idx3-ubyte.gz": (1_616_508, "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be"),
    "mnist/t10k-labels-idx1-ubyte.gz": (4_517, "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b"),
    "binarized_mnist.npz": (2_295_919, "50de2c8299a5a297789293ab2c30f6fc3cb8c359a15e5e88d5501aa18ebb8fa5"),
}
_N_PIXELS = 28 * 28


class Mnist(NamedTuple):
    images: Tensor          # (N, 784) float32, row by row from the top left; 0 is background; 0/1 unless grey
    labels: Tensor | None   # (N,) int64, the digit; None for the fixed binarisation, whose rows are in another order


def load_mnist(split: str, *, binarisation: str, seed: int | None = None) -> Mnist:
    """MNIST's images and labels under a named binarisation.  -> images (N, 784) float32, labels (N,) int64 or None.

    `binarisation` has no default because a likelihood means nothing without it: one and the same RBM with 500 hidden units scores
    -86.3 nats per test image on sampled pixels, -69.8 on thresholded and -100.8 on grey ones. A table names its protocol.
    - "grey": pixel / 255. No binary model's data; for networks that read greys, and to sample from.
    - "thresholded": 1 where grey > 0.5. Crisp digits, easier to model.
    - "sampled": 1 with probability grey, drawn once from `seed` (0 to 2**32 - 1, required): pixel < uniform numbers of
      torch.Generator().manual_seed(seed) for the 60,000 training images, so that splits agree with each other; the test images
      use the seed 2**32 - 1 - seed.
    - "fixed": the draw on which published likelihoods of RBMs, DBNs and NADE rest.
    Each call returns fresh tensors. Raises ValueError for unknown names, a missing or needless seed, and a damaged file;
    FileNotFoundError for a missing one.
    """
    require_choice("load_mnist", "split", split, SPLITS)
    require_choice("load_mnist", "binarisation", binarisation, BINARISATIONS)
    _require_seed(binarisation, seed)
    if binarisation == "fixed":
        return Mnist(_fixed(split), None)
    file, rows = ("t10k" if split == "test" else "train"), _ROWS[split]
    labels = torch.from_numpy(_labels(EMBEDDED / f"mnist/{file}-labels-idx1-ubyte.gz")[rows].astype(np.int64))
    pixels = _pixels(EMBEDDED / f"mnist/{file}-images-idx3-ubyte.gz")[rows]  # uint8
    if binarisation == "thresholded":
        return Mnist(torch.from_numpy((pixels > 127).astype(np.float32)), labels)
    images = torch.from_numpy(pixels.astype(np.float32)).div_(255)
    return Mnist(images if binarisation == "grey" else _sample(images, split, seed), labels)


def _require_seed(binarisation: str, seed: int | None) -> None:
    if binarisation != "sampled" and seed is not None:
        raise ValueError(f"load_mnist: got seed {in_words(seed)} with binarisation {binarisation!r}, expected none: only 'sampled' draws at random; leave it out")
    if binarisation == "sampled" and (type(seed) is not int or not 0 <= seed < 2**32):
        raise ValueError(f"load_mnist: seed is {in_words(seed)}, expected a whole number from 0 to 2**32 - 1 for binarisation 'sampled'; pass for example seed=0")


def _sample(images: Tensor, split: str, seed: int) -> Tensor:
    """1 with probability `images`; the uniform numbers are those of the split's rows within its file."""
    rng = torch.Generator().manual_seed(2**32 - 1 - seed if split == "test" else seed)
    uniforms = torch.rand(_ROWS[split].stop, _N_PIXELS, generator=rng)
    return (uniforms[_ROWS[split]] < images).float()


def _fixed(split: str) -> Tensor:
    packed = _packed(EMBEDDED / "binarized_mnist.npz")
    bits = np.concatenate([np.unpackbits(packed[name], axis=1, count=_N_PIXELS) for name in split.split("+")])
    return torch.from_numpy(bits.astype(np.float32, order="C"))  # unpackbits may leave the rows strided


@lru_cache
def _pixels(path: Path) -> np.ndarray:
    """(N, 784) uint8, read-only and kept for the next call.  IDX format: 16 bytes of header, then the pixels."""
    return np.frombuffer(gzip.decompress(_checked(path)), np.uint8, offset=16).reshape(-1, _N_PIXELS)


@lru_cache
def _labels(path: Path) -> np.ndarray:
    """(N,) uint8, read-only.  IDX format: 8 bytes of header, then the labels."""
    return np.frombuffer(gzip.decompress(_checked(path)), np.uint8, offset=8)


@lru_cache
def _packed(path: Path) -> dict[str, np.ndarray]:
    """Split -> (N, 98) uint8, eight pixels to a byte."""
    with np.load(io.BytesIO(_checked(path)), allow_pickle=False) as file:
        return {name: file[name] for name in file}


def _checked(path: Path) -> bytes:
    """The bytes of an embedded file, once they are seen to be the right ones."""
    name = path.relative_to(EMBEDDED).as_posix()
    return shipped_bytes("load_mnist", EMBEDDED, name, _FILES[name])
