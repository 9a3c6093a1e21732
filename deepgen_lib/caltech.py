"""Six categories of Caltech-101 as they ship with the package: small grey pictures, and the faces also in colour.

    Faces_easy 435   Motorbikes 798   airplanes 800   car_side 123   elephant 64   chair 62          2,282 pictures of 64 x 64 pixels

Made from the originals by tools/prepare_caltech.py, which says how: white borders cut off, aspect kept, the longer side scaled to 64 pixels, the rest
of the square filled with the picture's outermost pixels (straight streaks: learn first-layer filters inside `frames`).

Splits.  Faces_easy shows 28 people in long runs of pictures, so it is split by person: nobody who is in "test" is in "train" or "valid". In the
other categories near copies stay together and the rest is split at random; 60, 20 and 20 % of each category, once and for everyone.

Source: Fei-Fei, Fergus and Perona 2004; faces: Weber 1999. Files are checked by their SHA-256 when first read.
"""
from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .shipped import shipped_bytes
from .validate import in_words, require_choice

__all__ = ["CATEGORIES", "Caltech", "load_caltech", "load_colour_faces"]

EMBEDDED = Path(__file__).parent / "embedded"
CATEGORIES = ("Faces_easy", "Motorbikes", "airplanes", "car_side", "elephant", "chair")
SPLITS = ("train", "valid", "train+valid", "test")
_NUMBERS = {"train": (0,), "valid": (1,), "train+valid": (0, 1), "test": (2,)}
_FILES = {  # file: (bytes, SHA-256)
    "caltech/grey64.npz": (4_629_877, "3844d238475539fc17940264dadd0f4a44730e7b1b8e5c8c154b0fd2aee7c719"),
    "caltech/faces32.npz": (1_132_656, "fd559442fc57389840cdb299b61b4b100c68661edc0b8a8e2c7211f1dc9ece40"),
}


class Caltech(NamedTuple):
    images: Tensor   # (N, 1, 64, 64) grey or (N, 3, 32, 32) colour, float32 in [0, 1], 0 is black
    labels: Tensor   # (N,) int64, place in the categories asked for
    groups: Tensor   # (N,) int64, equal for pictures of one person (faces) and for near copies (the others); never in two splits
    frames: Tensor   # (N, 4) int64, where the picture itself lies: images[i, :, top:bottom, left:right]


def load_caltech(split: str, *, categories: Sequence[str] = CATEGORIES) -> Caltech:
    """Grey pictures of the categories asked for, in the order of the original files.  -> images (N, 1, 64, 64) float32 and more.

    Labels count from 0 in the order of `categories`. Each call returns fresh tensors. Raises ValueError for unknown names and a damaged file,
    FileNotFoundError for a missing one.
    """
    require_choice("load_caltech", "split", split, SPLITS)
    if isinstance(categories, str) or not isinstance(categories, Sequence) or not categories:
        raise ValueError(f"load_caltech: categories is {in_words(categories)}, expected a list of at least one of {', '.join(map(repr, CATEGORIES))}; pass for example ['Faces_easy']")
    for category in categories:
        require_choice("load_caltech", "categories", category, CATEGORIES)
    if len(set(categories)) < len(categories):
        raise ValueError(f"load_caltech: categories is {list(categories)!r}, expected each name once; drop the copies")
    arrays = _arrays("load_caltech", EMBEDDED / "caltech/grey64.npz")
    order = [np.flatnonzero(_in_split(arrays, split) & (arrays["labels"] == CATEGORIES.index(category))) for category in categories]
    labels = torch.cat([torch.full((len(rows),), label) for label, rows in enumerate(order)])
    rows = np.concatenate(order)
    groups, frames = (torch.from_numpy(arrays[name][rows].astype(np.int64)) for name in ("groups", "frames"))
    return Caltech(_images(arrays["pixels"][rows, None]), labels, groups, frames)


def load_colour_faces(split: str) -> Caltech:
    """The faces in colour, same order, persons and splits as load_caltech(split, categories=["Faces_easy"]).  -> images (N, 3, 32, 32) float32."""
    require_choice("load_colour_faces", "split", split, SPLITS)
    grey, faces = (_arrays("load_colour_faces", EMBEDDED / f"caltech/{file}.npz") for file in ("grey64", "faces32"))
    rows = np.flatnonzero(_in_split(grey, split)[:len(faces["pixels"])])  # the faces come first
    groups, frames = (torch.from_numpy(array[rows].astype(np.int64)) for array in (grey["groups"], faces["frames"]))
    return Caltech(_images(faces["pixels"][rows]), torch.zeros(len(rows), dtype=torch.int64), groups, frames)


def _in_split(arrays: dict[str, np.ndarray], split: str) -> np.ndarray:
    return np.isin(arrays["splits"], _NUMBERS[split])


def _images(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).div_(255)


@lru_cache
def _arrays(where: str, path: Path) -> dict[str, np.ndarray]:
    """Name -> array; `pixels` from the stored differences of neighbours."""
    name = path.relative_to(EMBEDDED).as_posix()
    with np.load(io.BytesIO(shipped_bytes(where, EMBEDDED, name, _FILES[name])), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file}
    arrays["pixels"] = np.cumsum(arrays.pop("differences"), axis=-1, dtype=np.uint8)
    return arrays
