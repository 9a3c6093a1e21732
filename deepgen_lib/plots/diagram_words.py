"""A diagram in words, read back from the patches on the axis: its nodes, then its edges by kind, then its plates.

Edges with the same heads are told together, so that "v1, v2 – h1, h2, h3" is every pair; a pair that is missing breaks the group and is seen.
"""
from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from .words import number


def diagram_parts(axis: Axes) -> list[Patch]:
    """The patches of an axis that belong to a diagram."""
    return [patch for patch in axis.patches if patch.get_visible() and str(patch.get_gid()).split()[0] in ("node", "edge", "head", "part", "plate")]


def diagram_lines(axis: Axes, detail: bool) -> list[str]:
    """What is drawn, a line for the nodes, one for each kind of edge, one for each plate; with detail the nodes' places too."""
    parts: dict[str, list[Patch]] = {}
    for patch in diagram_parts(axis):
        parts.setdefault(str(patch.get_gid()) if patch.get_gid().startswith("edge") else patch.get_gid().split()[0], []).append(patch)
    found = ["nodes: " + ", ".join(_node(patch, detail) for patch in parts["node"])] if "node" in parts else []
    for gid in sorted(name for name in parts if name.startswith("edge")):
        found.append(f"{_NAMES.get(gid[5:], gid[5:] + ' gradients')}: {_joined(parts[gid], '–' if gid[5:] in _WITHOUT_HEAD else '→')}")
    return found + [f"plate: {patch.get_label()}" for patch in parts.get("plate", [])]


_NAMES = {"model": "arrows of the model", "q": "arrows of q", "undirected": "lines without direction", "flow": "arrows of computation", "gradient": "gradients", "off": "arrows at rest", "off line": "lines at rest", "same": "copies"}
_WITHOUT_HEAD = ("undirected", "off line", "same")


def _node(patch: Patch, detail: bool) -> str:
    x, y = patch.get_gid().split()[1:]
    return patch.get_label() + (f" at ({number(float(x))}, {number(float(y))})" if detail else "")


def _joined(edges: list[Patch], sign: str) -> str:
    """(tail, head, text) of each edge; tails with the same heads in one group."""
    heads: dict[tuple[str, str], list[str]] = {}
    for tail, head, text in (edge.get_label().split("\t") for edge in edges):
        heads.setdefault((tail, text), []).append(head)
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (tail, text), found in heads.items():
        groups.setdefault((text, tuple(found)), []).append(tail)
    return "; ".join(f"{', '.join(tails)} {sign} {', '.join(found)}" + (f" ({text})" if text else "") for (text, found), tails in groups.items())
