"""One visual language for every figure of the course: colours with a meaning, sizes, and a place to draw.

The colours are those of Okabe and Ito (2008), told apart by colour-blind readers; each role also has its own dash, so that no figure
relies on colour alone. The background is opaque: a figure reads the same in JupyterLab's light and dark theme and on a projector.
"""
from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

BLACK, GREY, PAPER = "#1a1a1a", "#767676", "#fcfcfa"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"


class Role(NamedTuple):
    colour: str
    dash: str = "-"  # a Matplotlib line style


ROLES = {  # what a colour means, everywhere in the course
    "data": Role(BLACK), "model": Role(BLUE),
    "exact": Role(BLACK, "--"), "estimate": Role(VERMILLION),
    "likelihood": Role(BLUE), "bound": Role(GREEN, (0, (5, 1.5))), "gap": Role(VERMILLION, ":"),
    "prior": Role(SKY, (0, (3, 1, 1, 1))), "posterior": Role(PURPLE), "q": Role(ORANGE, (0, (6, 2))),
    "reconstruction": Role(BLUE), "entropy": Role(ORANGE),
    "train": Role(SKY, (0, (4, 1.5))), "test": Role(BLUE), "other": Role(GREY, ":"),
}
ALIASES = {"optimum": "exact", "truth": "exact", "log p(x)": "likelihood", "rbm": "model"}  # other names of a role
CYCLE = (Role(BLUE), Role(VERMILLION, (0, (5, 1.5))), Role(GREEN, (0, (3, 1, 1, 1))), Role(PURPLE, ":"), Role(ORANGE, (0, (6, 2))), Role(SKY), Role(BLACK, "--"))
INK, SIGNED, SEQUENTIAL = "gray_r", "RdBu_r", "viridis"  # colour maps: pixels in [0, 1]; values around zero; values on one scale

WIDTH, HEIGHT = 6.8, 3.6  # inches of a figure with one panel
DPI, SCREEN_DPI = 150, 100  # pixels drawn and pixels shown per inch: crisp on a dense screen

_RC = {
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER, "savefig.transparent": False,
    "font.family": "DejaVu Sans", "font.size": 11.5, "axes.titlesize": 12.5, "axes.labelsize": 11.5, "legend.fontsize": 10.5,
    "xtick.labelsize": 10.5, "ytick.labelsize": 10.5, "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titlepad": 8.0,
    "text.color": BLACK, "axes.labelcolor": BLACK, "axes.edgecolor": GREY, "xtick.color": BLACK, "ytick.color": BLACK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.9, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#e3e3e0", "grid.linewidth": 0.8,
    "lines.linewidth": 2.2, "lines.markersize": 6.0, "patch.linewidth": 0.8, "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "image.interpolation": "nearest", "image.cmap": SEQUENTIAL, "path.simplify": True, "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
}


@functools.cache
def _settings() -> dict[str, object]:
    """Matplotlib's defaults with the course's own on top: a reader's matplotlibrc changes nothing."""
    skip = {"backend", "backend_fallback", "toolbar", "interactive", "timezone", "webagg.port", "webagg.address"}
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key not in skip and not key.startswith(("webagg", "animation", "keymap", "tk.", "macosx", "docstring"))}
    return defaults | _RC


@contextmanager
def course_style() -> Iterator[None]:
    """The course's Matplotlib settings, while the block runs; the reader's own come back after it."""
    with matplotlib.rc_context(_settings()):
        yield


@contextmanager
def drawing(*, rows: int = 1, columns: int = 1, width: float | None = None, height: float | None = None, **grid) -> Iterator[tuple[Figure, Axes]]:
    """A figure and its axes (one, or an array for more panels), to draw on inside the block.

    width, height: inches of the whole figure. grid: further options of Figure.subplots (sharex, sharey, width_ratios, ...).
    """
    width = width or min(WIDTH if columns == 1 else 4.3 * columns, 11.5)
    height = height or HEIGHT * (1 if rows == 1 else 0.85 * rows)
    with course_style():
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, **grid)
        for axis in figure.axes:
            axis.locator_params(nbins=5)  # few ticks: quicker to read, and to draw
        yield figure, axes


def roles(names: Iterable[str]) -> dict[str, Role]:
    """Colour and dash of each series of a panel, all different: its role's where its name is, begins or ends with a role ("best q"), else the next free one."""
    found: dict[str, Role] = {}
    taken: set[str] = set()
    for name in names:
        words = (name.lower(), *_words(name)[:1], *_words(name)[-1:])
        role = next((role for role in (ROLES.get(ALIASES.get(word, word)) for word in words) if role and role.colour not in taken), None)
        if role is not None:
            found[name] = role
            taken.add(role.colour)
    for i, name in enumerate(n for n in names if n not in found):
        found[name] = next((r for r in CYCLE if r.colour not in taken), CYCLE[i % len(CYCLE)])
        taken.add(found[name].colour)
    return found


def colour(name: str) -> str:
    """The colour of a role, e.g. colour("bound"); a colour Matplotlib knows is returned as hex."""
    if name in ROLES:
        return ROLES[name].colour
    try:
        return to_hex(name)
    except ValueError:
        raise ValueError(f"colour: got {name!r}, expected a role ({', '.join(ROLES)}) or a Matplotlib colour") from None


def _words(name: str) -> list[str]:
    return name.lower().replace("-", " ").replace("_", " ").split()
