"""A finished figure that can also say what it shows.

In a notebook a Picture gives a PNG to the eyes, and to everyone else its description: as text/plain, which the validation of notebooks
compares, and as the image's alternative text. In a live notebook `print(_.description)` reads the last picture aloud.
"""
from __future__ import annotations

import functools
import io
import re
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from .describe import describe
from .style import DPI, SCREEN_DPI, course_style


class Picture:
    """figure: finished, nothing is drawn on it later. says: one sentence, the point of the picture; it leads the description."""

    def __init__(self, figure: Figure, *, says: str = ""):
        if not isinstance(figure, Figure):
            raise ValueError(f"Picture: got {type(figure).__name__}, expected a matplotlib Figure; draw inside `with drawing() as (figure, axis):`")
        if not figure.axes:
            raise ValueError("Picture: the figure has no axes, so there is nothing to see; draw on it first")
        self.figure, self.says = figure, says.strip()
        self._pngs: dict[int, bytes] = {}  # by dots per inch

    @functools.cached_property
    def description(self) -> str:
        """The picture in words and numbers, read back from what was drawn."""
        return "\n".join(filter(None, [self.says, describe(self.figure)]))

    @functools.cached_property
    def alt(self) -> str:
        """Alternative text: the description on one line, without the numbers that only a machine compares, the others to three digits."""
        lines = [self.says.rstrip("."), *describe(self.figure, detail=False).splitlines()]
        words = ". ".join(filter(None, (" ".join(line.split()) for line in lines))) + "."
        return re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda found: f"{float(found[0]):.3g}", words)

    def png(self, dpi: int = DPI) -> bytes:
        """The picture as a PNG of 256 colours (a third of the size), the same bytes on every call."""
        if dpi in self._pngs:
            return self._pngs[dpi]
        buffer = io.BytesIO()
        with course_style():
            self.figure.set_dpi(dpi)
            self.figure.canvas.draw()
        pixels = Image.fromarray(np.asarray(self.figure.canvas.buffer_rgba())).convert("RGB")
        image = pixels.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        palette, paper = image.getpalette(), 3 * image.getpixel((0, 0))
        palette[paper:paper + 3] = pixels.getpixel((0, 0))  # the mean of near-white colours drifts between frames: pin the paper
        image.putpalette(palette)
        image.save(buffer, format="png")
        return self._pngs.setdefault(dpi, buffer.getvalue())

    def place_like(self, other: Picture) -> None:
        """Put the panels where they are in another picture of the same kind: nothing jumps between frames, and no layout is computed."""
        self._pngs.clear()
        places = [axis.get_position() for axis in other.figure.axes]
        if len(places) == len(self.figure.axes):
            self.figure.set_layout_engine("none")
            for axis, place in zip(self.figure.axes, places):
                axis.set_position(place)

    @property
    def width(self) -> int:
        """Pixels on the screen; the PNG holds more, for dense screens."""
        return round(self.figure.get_figwidth() * SCREEN_DPI)

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": self.png(), "text/plain": self.description}
        return data, {"image/png": {"alt": self.alt, "width": self.width}}

    def __repr__(self) -> str:
        return self.description
