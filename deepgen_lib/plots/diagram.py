"""Diagrams of models: nodes, edges and plates in one style, drawn by code and told in words.

The language: a circle is random (grey: observed), a box is computed, a dot is a parameter. A solid blue arrow is the model's, a dashed orange
one belongs to q, a black line without a head has no direction, a thin black arrow carries numbers, a finely broken one a gradient.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Patch

from .picture import Picture
from .style import BLACK, BLUE, GREY, ORANGE, PAPER, PURPLE, ROLES, VERMILLION, drawing

UNIT = 0.64  # inches of one unit of a diagram's plane: letters keep their size beside the nodes, however large the diagram is
RADIUS, DOT = 0.38, 0.09  # of circles and dots, in units
FONT, SMALL = 15.0, 12.0  # points
HEAD = 10.5  # points an arrow's head is long
_ROUND = 0.1  # of a box's corners, in units
_BACK = (0, (2.2, 1.1))  # of a gradient; where terms differ, each has a fine dash of its own


class Kind(NamedTuple):
    """What an edge means, and so how it looks everywhere."""
    words: str
    colour: str
    dash: object = "-"
    width: float = 1.9
    head: bool = True


KINDS = {
    "model": Kind("generates: p", ROLES["model"].colour), "q": Kind("recognises: q", ROLES["q"].colour, (0, (4, 1.6))),
    "undirected": Kind("no direction", BLACK, width=1.5, head=False), "flow": Kind("numbers", BLACK, width=1.3),
    "gradient": Kind("gradient", VERMILLION, _BACK),
    "reconstruction": Kind("gradient of the reconstruction", BLUE, _BACK), "quantization": Kind("gradient of the quantization term", PURPLE, (0, (4, 1, 1, 1))),
    "commitment": Kind("gradient of the commitment term", ORANGE, (0, (1, 0.9))),
    "off": Kind("at rest", "#cfcfca", width=1.3), "off line": Kind("", "#cfcfca", width=1.3, head=False), "same": Kind("copy", GREY, (0, (1, 1.4)), width=1.3, head=False),
}
FILLS = {"hidden": "#ffffff", "observed": "#d3d3cd", "box": "#eceff3", "parameter": BLACK, "off": PAPER}
_TOLD = {"hidden": "", "observed": "observed", "box": "computed", "parameter": "parameter", "off": "at rest"}


class Diagram:
    """Put nodes, then edges and plates, then ask for the picture. Positions are in units, y upwards; a name is what the description says."""

    def __init__(self, *, words: dict[str, str] | None = None):
        """words: {kind: text} where the key below the diagram says something else than KINDS; an empty text leaves the kind out."""
        self._nodes: dict[str, Patch] = {}
        self._edges: list[FancyArrowPatch] = []
        self._other: list = []  # plates, and texts as functions of the axis
        self._kinds: list[str] = []
        self._words = words or {}
        self._reach: list[tuple[float, float]] = []

    def node(self, name: str, at: tuple[float, float], *, text: str | None = None, look: str = "hidden", size: tuple[float, float] | None = None, square: bool = False) -> str:
        """A circle, box or dot (look: a key of FILLS) that shows text; size (width, height) makes any look a box, square one without round corners. Returns the name."""
        if name in self._nodes:
            raise ValueError(f"node: got {name!r} twice, expected a new name; number the nodes")
        if look not in FILLS:
            raise ValueError(f"node: got look {look!r}, expected one of {', '.join(FILLS)}; the looks stand in FILLS")
        (x, y), grey = at, look == "off"
        width, height = size or ((1.5, 0.72) if look == "box" else (2 * RADIUS, 2 * RADIUS) if look != "parameter" else (2 * DOT, 2 * DOT))
        style = {"facecolor": FILLS[look], "edgecolor": "#b9b9b4" if grey else BLACK, "linewidth": 1.3, "zorder": 3, "gid": f"node {x} {y}"}
        if look == "box" or size:
            corner = 0.0 if square else _ROUND
            patch = FancyBboxPatch((x - width / 2 + corner, y - height / 2 + corner), width - 2 * corner, height - 2 * corner, boxstyle="square,pad=0" if square else f"round,pad={_ROUND}", **style)
        else:
            patch = Circle((x, y), width / 2, **style)
        told = _TOLD[look]
        patch.set_label(f"{name} ({told})" if told else name)
        self._nodes[name], patch.middle = patch, (x, y)
        self._reach += [(x - width / 2, y - height / 2), (x + width / 2, y + height / 2)]
        if look != "parameter":
            self._write(at, name if text is None else text, colour="#a5a5a0" if grey else BLACK)
        elif text:
            self.note((x, y + 0.38), text, size=FONT)
        return name

    def part(self, patch: Patch) -> None:
        """A patch that belongs to a node and is not told by itself."""
        patch.set_gid("part")
        self._other.append(lambda axis: axis.add_patch(patch))

    def edge(self, tail: str, head: str, kind: str = "model", *, bend: float = 0.0, turn: tuple[float, float] | None = None, text: str = "") -> None:
        """From one node's border to another's.  bend: the arc's height over its length, to the left of the way; turn: the two angles, in degrees,
        at which an edge with one round corner leaves and comes; text: below the words of the kind in the description, e.g. the weights it carries."""
        if kind not in KINDS:
            raise ValueError(f"edge: got kind {kind!r}, expected one of {', '.join(KINDS)}; the kinds stand in KINDS")
        look, (a, b) = KINDS[kind], self._known("edge", [tail, head])
        way = f"angle,angleA={turn[0]},angleB={turn[1]},rad=9" if turn else f"arc3,rad={-bend}"
        (x0, y0), (x1, y1) = a.middle, b.middle
        self._reach.append(((x0 + x1 - bend * (y1 - y0)) / 2, (y0 + y1 + bend * (x1 - x0)) / 2))
        route = {"posA": a.middle, "posB": b.middle, "patchA": a, "patchB": b, "shrinkA": 1.5, "connectionstyle": way, "color": look.colour, "zorder": 2}
        line = FancyArrowPatch(**route, shrinkB=1.5 + 0.9 * HEAD * look.head, arrowstyle="-", linewidth=look.width, linestyle=look.dash, capstyle="butt", gid=f"edge {kind}")
        line.set_label(f"{tail}\t{head}\t{text}")
        self._edges.append(line)
        if look.head:  # apart from the line, so that a dashed arrow has a whole head
            style = f"-|>,head_length={HEAD},head_width={0.42 * HEAD}"
            self._edges.append(FancyArrowPatch(**route, shrinkB=1.5, arrowstyle=style, mutation_scale=1, linewidth=0, gid="head"))
        self._kinds += [kind] * (kind not in self._kinds)

    def all_edges(self, tails: Iterable[str], heads: Iterable[str], kind: str = "model") -> None:
        """From each to each."""
        for tail in tails:
            for head in heads:
                self.edge(tail, head, kind)

    def plate(self, names: Iterable[str], text: str, *, room: tuple[float, float, float, float] = (0.3, 0.5, 0.3, 0.3)) -> None:
        """A frame around nodes: all in it is there as often as the text says.  room: left, below, right, above, in units."""
        names, (left, below, right, above) = list(names), room
        boxes = [patch.get_path().get_extents(patch.get_patch_transform()) for patch in self._known("plate", names)]
        x0, y0 = min(b.x0 for b in boxes) - left, min(b.y0 for b in boxes) - below
        x1, y1 = max(b.x1 for b in boxes) + right, max(b.y1 for b in boxes) + above
        frame = FancyBboxPatch((x0 + 0.15, y0 + 0.15), x1 - x0 - 0.3, y1 - y0 - 0.3, boxstyle="round,pad=0.15", facecolor="none", edgecolor=GREY, linewidth=1.2, zorder=1, gid="plate")
        frame.set_label(f"{text} around {', '.join(names)}")
        self._other.append(lambda axis: axis.add_patch(frame))
        self._reach += [(x0, y0), (x1, y1)]
        self._write((x1 - 0.14, y0 + 0.1), text, size=SMALL, colour="#4d4d4d", ha="right", va="bottom")

    def note(self, at: tuple[float, float], text: str, *, size: float = SMALL, colour: str = "#4d4d4d", ha: str = "center", told: bool = False) -> None:
        """Words at a place; told: they go into the description (not needed where a node or an edge says the same)."""
        self._write(at, text, size=size, colour=colour, ha=ha, told=told)
        letters = max(len(re.sub(r"\\[a-zA-Z]+|[${}^_]", "", line)) for line in text.split("\n"))
        width, high = 0.0088 * size / UNIT * letters, 0.01 * size / UNIT * (1 + text.count("\n"))  # roughly, so that the paper is wide enough
        left = {"left": 0.0, "center": 0.5, "right": 1.0}[ha] * width
        self._reach += [(at[0] - left, at[1] - high), (at[0] + width - left, at[1] + high)]

    def picture(self, *, says: str, title: str = "") -> Picture:
        """The finished picture, with a key of its edges where they are of several kinds."""
        (x0, y0), (x1, y1) = (tuple(f(part) for part in zip(*self._reach)) for f in (min, max))
        words = {kind: self._words.get(kind, look.words) for kind, look in KINDS.items()}
        key = [Line2D([], [], color=look.colour, linestyle=look.dash, linewidth=look.width, label=words[kind])
               for kind, look in KINDS.items() if kind in self._kinds and words[kind] and len(self._kinds) > 1]
        entry = 0.65 + 0.095 * max((len(line.get_label()) for line in key), default=0)  # inches
        rows = -(-len(key) // max(1, int((x1 - x0 + 0.5) * UNIT / entry)))
        width, high, below = max((x1 - x0 + 0.5) * UNIT, entry), (y1 - y0 + 0.5) * UNIT, 0.3 * rows
        with drawing(width=width, height=high + below + 0.35 * bool(title)) as (figure, axis):
            figure.set_layout_engine("none")  # the scale is exact: UNIT inches
            axis.set_position((0, below / figure.get_figheight(), 1, high / figure.get_figheight()))
            axis.set(xlim=((x0 + x1 - width / UNIT) / 2, (x0 + x1 + width / UNIT) / 2), ylim=(y0 - 0.25, y1 + 0.25), title=title)
            axis.set_axis_off()
            for patch in [*self._nodes.values(), *self._edges]:
                axis.add_patch(patch)
            for put in self._other:
                put(axis)
            if key:
                axis.legend(handles=key, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=-(-len(key) // rows), fontsize=SMALL, handlelength=2.4, columnspacing=1.6, borderaxespad=0.0, borderpad=0.1)
        return Picture(figure, says=says)

    def _known(self, function: str, names: list[str]) -> list[Patch]:
        unknown = [name for name in names if name not in self._nodes]
        if unknown:
            raise ValueError(f"{function}: got {unknown}, expected names of nodes ({', '.join(self._nodes)}); add the nodes first")
        return [self._nodes[name] for name in names]

    def _write(self, at: tuple[float, float], text: str, *, size: float = FONT, colour: str = BLACK, ha: str = "center", va: str = "center", told: bool = False) -> None:
        options = {"ha": ha, "va": va, "fontsize": size, "color": colour, "zorder": 4, "linespacing": 1.25, "math_fontfamily": "stix", "gid": None if told else "cell"}
        self._other.append(lambda axis: axis.text(*at, text, **options))

