"""One visual language: letters that can be read when projected, roles told apart by colour-blind readers, committed figures with words and paper of their own."""
import base64
import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepgen_lib.plots.style import PAPER, ROLES

ROOT = Path(__file__).resolve().parents[1]
SMALLEST = 9.0  # points
TOGETHER = [("likelihood", "bound", "gap", "exact"), ("prior", "posterior", "q"), ("data", "model"), ("train", "test"), ("reconstruction", "prior", "entropy", "gap"), ("exact", "estimate", "bound")]
DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])  # of linear RGB; Machado et al. 2009
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def small_letters(source: str) -> list[str]:
    return [found[0] for found in re.finditer(r"(?:fontsize|labelsize)=(\d+(?:\.\d+)?)", source) if float(found[1]) < SMALLEST]


def seen(colour: str, *, colour_blind: bool) -> np.ndarray:
    """CIE Lab of a hex colour, as normal or as deuteranopic readers see it."""
    rgb = np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(DEUTERANOPIA @ linear, 0, 1) if colour_blind else linear
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear / [0.9505, 1.0, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def alike(roles: dict, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs that a colour-blind reader, or anyone, cannot tell apart: by colour (20 units of Lab, ten times what is just seen) and by dash."""
    pairs = itertools.combinations(names, 2)
    return [(a, b) for a, b in pairs if roles[a].dash == roles[b].dash and min(
        np.linalg.norm(seen(roles[a].colour, colour_blind=blind) - seen(roles[b].colour, colour_blind=blind)) for blind in (False, True)) < 20]


@pytest.mark.parametrize("path", sorted((ROOT / "deepgen_lib" / "plots").glob("*.py")), ids=lambda path: path.stem)
def test_no_letter_is_smaller_than_9_points(path):
    assert not small_letters(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_roles_of_one_figure_are_told_apart(names):
    assert not alike(ROLES, names)


def test_confusions_are_found():
    assert small_letters("axis.text(0, 0, name, fontsize=7)") and not small_letters("axis.text(0, 0, name, fontsize=9.5)")
    red_and_green = ROLES | {"gap": ROLES["gap"]._replace(colour="#b05a3c", dash="-"), "bound": ROLES["bound"]._replace(colour="#7d6e3c", dash="-")}
    assert alike(red_and_green, ("bound", "gap"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_figures_have_words_and_opaque_paper(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                about = output["metadata"].get("image/png", {})
                assert len(about.get("alt", "")) > 20 and about.get("width", 0) > 100, f"{cell['id']}: a figure without words or width"
                corner = Image.open(io.BytesIO(base64.b64decode("".join(output["data"]["image/png"])))).convert("RGBA").getpixel((0, 0))
                assert corner == (*(int(PAPER[i:i + 2], 16) for i in (1, 3, 5)), 255), f"{cell['id']}: drawn on {corner}"
