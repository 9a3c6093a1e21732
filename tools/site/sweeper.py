"""Runs inside a notebook's kernel: whenever a slider's picture is shown, every frame of it is drawn too and put into a folder."""
from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

from PIL import Image

from deepgen_lib.widgets import FRAME_DPI, Explorer

MARK = "application/x-deepgen-frames"  # in an output: the number of its slider


def install(folder: str) -> None:
    """From now on explorers leave their frames in `folder`, as N.json and pictures."""
    shown = Explorer._repr_mimebundle_
    count = iter(range(1000))

    def with_frames(explorer: Explorer, include=None, exclude=None):
        data, metadata = shown(explorer, include, exclude)
        number = next(count)
        (Path(folder) / f"{number}.json").write_text(json.dumps(draw(explorer, Path(folder))), encoding="utf-8")
        return data | {MARK: str(number)}, metadata
    Explorer._repr_mimebundle_ = with_frames


def draw(explorer: Explorer, folder: Path) -> dict:
    """Every frame as a file named by its content; which file stands for which place of the sliders, the last running fastest."""
    controls = [{"name": name.replace("_", " "), "labels": [label for label, _ in pairs], "start": [value for _, value in pairs].index(explorer.values[name])}
                for name, pairs in explorer.options.items()]
    files, alts = [], []
    for values in explorer.combinations():
        picture = explorer.frame(**dict(zip(explorer.options, values)))
        files.append(_keep(picture.png(FRAME_DPI), folder))
        alts.append(picture.alt)
    return {"controls": controls, "files": files, "alts": alts}


def _keep(png: bytes, folder: Path) -> str:
    name = f"{hashlib.sha256(png).hexdigest()[:16]}.webp"
    if not (folder / name).exists():
        Image.open(io.BytesIO(png)).convert("RGB").save(folder / name, "webp", lossless=True)
    return name
