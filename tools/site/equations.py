"""MathML as TeX would space it: a minus that belongs to its number stands close to it, infinity and slashes have no air around them."""
from __future__ import annotations

import xml.etree.ElementTree as ET

from tools.mathml import mathml

SPACE = "http://www.w3.org/1998/Math/MathML"
CLOSED, SIGNS = set(")]}⟩⌋⌉!‖|′"), set("-−+±")  # after which a sign stands between two things; signs


def equation(tex: str, *, display: bool = False) -> str:
    """The equation as MathML for a page."""
    ET.register_namespace("", SPACE)
    math = ET.fromstring(mathml(tex, display=display))
    for row in list(math.iter()):
        if _name(row) in ("mrow", "mtd", "mstyle"):
            _signs(row)
    return ET.tostring(math, encoding="unicode").replace(f' xmlns="{SPACE}"', "")


def _signs(row: ET.Element) -> None:
    """A sign at the beginning, or after another operator, belongs to what follows; infinity is no operator; a slash has no air."""
    before = None
    for part in row:
        text = (part.text or "").strip()
        if _name(part) == "mo" and text in SIGNS and (before is None or (_name(before) == "mo" and (before.text or "").strip() not in CLOSED)):
            part.set("form", "prefix")
        if _name(part) == "mo" and text == "∞":
            part.tag = f"{{{SPACE}}}mi"
            part.set("mathvariant", "normal")
        if _name(part) == "mo" and text == "/":
            part.set("lspace", "0")
            part.set("rspace", "0")
        before = part


def _name(part: ET.Element) -> str:
    return part.tag.rpartition("}")[2]
