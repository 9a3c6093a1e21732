"""MathML as TeX would space it: thin spaces around the names of functions, and a minus that belongs to its number close to it."""
from __future__ import annotations

import xml.etree.ElementTree as ET

from tools.mathml import mathml

SPACE = "http://www.w3.org/1998/Math/MathML"
OPEN, CLOSED, SIGNS = set("([{⟨⌊⌈"), set(")]}⟩⌋⌉!"), set("-−+±")
ATOMS = {"mi", "mn", "msub", "msup", "msubsup", "mfrac", "msqrt", "mover", "munder", "munderover", "mrow", "mtext"}


def equation(tex: str, *, display: bool = False) -> str:
    """The equation as MathML for a page."""
    ET.register_namespace("", SPACE)
    math = ET.fromstring(mathml(tex, display=display))
    for row in list(math.iter()):
        if _name(row) in ("mrow", "mtd", "mstyle"):
            _signs(row)
            _names(row)
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


def _names(row: ET.Element) -> None:
    """log p, not logp: a thin space between a name of several letters and what stands beside it, unless that is an operator or a bracket."""
    parts = list(row)
    for here, after in zip(parts, parts[1:]):
        if _operand(here) and _operand(after) and (_is_function(here) or _is_function(after)):
            gap = ET.Element(f"{{{SPACE}}}mspace", width="0.167em")
            row.insert(list(row).index(after), gap)
        elif (_name(here) == "mo" and (here.text or "").strip() in CLOSED and _is_function(after)):
            row.insert(list(row).index(after), ET.Element(f"{{{SPACE}}}mspace", width="0.167em"))


def _operand(part: ET.Element) -> bool:
    return _name(part) in ATOMS


def _is_function(part: ET.Element) -> bool:
    """A name such as log or max, bare or with an index below."""
    base = part if _name(part) in ("mi", "mo") else part[0] if _name(part) in ("msub", "munder", "msup", "msubsup", "munderover") and len(part) else None
    return base is not None and _name(base) == "mi" and len((base.text or "").strip()) > 1 and (base.text or "").strip().isascii()


def _name(part: ET.Element) -> str:
    return part.tag.rpartition("}")[2]
