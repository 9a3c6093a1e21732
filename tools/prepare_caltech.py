"""Make deepgen_lib/embedded/caltech from the JPEGs of six categories of Caltech-101: small grey pictures, colour faces, groups and splits.

    python -m tools.prepare_caltech FOLDER        FOLDER holds Faces_easy/image_0001.jpg ... chair/image_0062.jpg; about a minute

A picture: plain white borders are cut off; one that had none loses up to an eighth of its longer side, half at either end; then it is scaled, aspect
kept, until its longer side is 64 pixels, and the rest of the square repeats the picture's outermost pixels. `frames` says where the picture itself lies.

Groups never cross a split. Faces_easy: a group is a person. The pictures come in long runs of one person; RUNS was found by similarity and confirmed by
eye: link each picture to the two most similar ones (correlation of image gradients, best of 49 shifts) if they lie within 25 places of it. At 51 of the 434
places between two pictures at most two links pass; all 29 changes of run are among these, the other 22 are odd light or an odd face of the same person.
`python -m tools.prepare_caltech FOLDER --runs` prints the places. Other categories: near copies (correlation of the made pictures above 0.95 at 32 x 32) form a group.
"""
from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from deepgen_lib.caltech import CATEGORIES
from tools.sources import ROOT

RUNS = (1, 22, 42, 47, 69, 90, 113, 133, 138, 159, 164, 169, 174, 194, 215, 240, 262, 267, 286, 306, 326, 346, 366, 388, 389, 390, 391, 393, 398, 418)  # first pictures
DRAWN = RUNS.index(389)  # drawn faces, 389 and 391-392: one group, which trains
GREY, COLOUR, WHITE, MOST_CROPPED, NEAR_COPY, SEED = 64, 32, 245, 1 / 8, 0.95, 0
SHARES = {2: 0.2, 1: 0.2}  # test and valid: the most of each category's pictures that they get; the rest trains


def main() -> None:
    folder = Path(sys.argv[1])
    files = {category: sorted((folder / category).glob("*.jpg")) for category in CATEGORIES}
    if "--runs" in sys.argv:
        print(*few_links(files["Faces_easy"]))
        return
    grey, frames, labels, groups, splits = [], [], [], [], []
    for label, category in enumerate(CATEGORIES):
        made = [picture(file, GREY, "L") for file in files[category]]
        group = persons(len(made)) if category == "Faces_easy" else near_copies(np.stack([pixels for pixels, _ in made]))
        grey += [pixels for pixels, _ in made]
        frames += [frame for _, frame in made]
        labels += [label] * len(made)
        groups.append(group + 1000 * label)
        splits.append(split(group, DRAWN if category == "Faces_easy" else -1, np.random.default_rng([SEED, label])))
    out = ROOT / "deepgen_lib/embedded/caltech"
    out.mkdir(exist_ok=True)
    save(out / "grey64.npz", differences=differences(np.stack(grey)), frames=np.uint8(frames), labels=np.uint8(labels),
         groups=np.int16(np.concatenate(groups)), splits=np.concatenate(splits))
    faces = [picture(file, COLOUR, "RGB") for file in files["Faces_easy"]]
    save(out / "faces32.npz", differences=differences(np.stack([pixels for pixels, _ in faces]).transpose(0, 3, 1, 2)), frames=np.uint8([frame for _, frame in faces]))


def picture(file: Path, size: int, mode: str) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A square of pixels and the picture's place in it: top, bottom, left, right."""
    image = Image.open(file)
    image = image.crop(kept(np.asarray(image.convert("L")))).convert(mode)
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    top, left = (size - height) // 2, (size - width) // 2
    margins = [(top, size - height - top), (left, size - width - left), (0, 0)][:pixels.ndim]
    return np.pad(pixels, margins, mode="edge"), (top, top + height, left, left + width)


def kept(grey: np.ndarray) -> tuple[int, int, int, int]:
    """What is kept of a picture (H, W): left, top, right, bottom."""
    inked = grey < WHITE
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    if (right - left, bottom - top) == grey.shape[::-1]:  # it fills its frame
        width, height = right, bottom
        shorter = max(min(width, height), round(max(width, height) * (1 - MOST_CROPPED)))
        left, right = max(0, (width - shorter) // 2), min(width, (width - shorter) // 2 + shorter)
        top, bottom = max(0, (height - shorter) // 2), min(height, (height - shorter) // 2 + shorter)
    return int(left), int(top), int(right), int(bottom)


def persons(n: int) -> np.ndarray:
    """(n,) number of each picture's person."""
    person = np.searchsorted(RUNS, np.arange(1, n + 1), side="right") - 1
    return np.where(person == RUNS.index(391), DRAWN, person)


def near_copies(pixels: np.ndarray) -> np.ndarray:
    """(n,) group of each picture (n, 64, 64): its first near copy, or the near copy of that one, and so on."""
    small = pixels.reshape(len(pixels), GREY // 2, 2, GREY // 2, 2).mean((2, 4)).reshape(len(pixels), -1)
    group, alike = np.arange(len(pixels)), correlation(small, small) > NEAR_COPY
    for i in range(len(pixels)):
        for j in np.flatnonzero(alike[i, :i]):
            group[group == max(group[i], group[j])] = min(group[i], group[j])
    return group


def split(group: np.ndarray, trains: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) 0 train, 1 valid, 2 test: whole groups in random order, to test while it has room, then to valid; all others, and the group `trains`, to train."""
    where, left = np.zeros(len(group), np.uint8), [g for g in rng.permutation(np.unique(group)) if g != trains]
    for number, share in SHARES.items():
        for g in list(left):
            if (where == number).sum() + (group == g).sum() <= share * len(group):
                where[group == g] = number
                left.remove(g)
    return where


def few_links(files: list[Path], *, neighbours: int = 25, links: int = 2, at_most: int = 2) -> list[int]:
    """Pictures before which at most two links pass: the candidates for a change of person."""
    faces = np.stack([picture(file, 32, "L")[0].astype(float) for file in files])
    slopes = np.stack([np.gradient(faces, axis=1), np.gradient(faces, axis=2)], -1)
    window = lambda y, x: slopes[:, 6 + y:26 + y, 6 + x:26 + x].reshape(len(faces), -1)
    alike = np.max([correlation(window(0, 0), window(y, x)) for y in range(-3, 4) for x in range(-3, 4)], axis=0)
    alike, passing = np.maximum(alike, alike.T), np.zeros(len(files), int)
    np.fill_diagonal(alike, -1)
    for i, row in enumerate(alike):
        for j in np.argsort(-row)[:links]:
            if abs(i - j) <= neighbours:
                passing[min(i, j) + 1:max(i, j) + 1] += 1
    return [i + 1 for i in range(1, len(files)) if passing[i] <= at_most]


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


def differences(pixels: np.ndarray) -> np.ndarray:
    """Each pixel minus its left neighbour, modulo 256: it packs better. np.cumsum(..., dtype=np.uint8) along the last axis undoes it."""
    return np.diff(pixels, axis=-1, prepend=np.uint8(0)).astype(np.uint8)


def save(path: Path, **arrays: np.ndarray) -> None:
    """As np.savez_compressed, at the highest compression and with a fixed date: the same bytes every time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main()
