"""Figures of the course: the only part of the library that imports Matplotlib. Every figure also says in words what it shows.

Everyday figures are here (`plots.lines(...)`); those of a chapter are in its own file, loaded on first use (`plots.gibbs_bound.terms(...)`).
"""
from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType

from .basic import bars, draw_bars, draw_heatmap, draw_lines, draw_scatter, heatmap, histogram, lines, scatter
from .controls import explorable
from .describe import describe
from .images import draw_images, image_grid
from .picture import Picture
from .style import colour, drawing
from .table import Table, table

__all__ = ["Picture", "Table", "bars", "colour", "describe", "draw_bars", "draw_heatmap", "draw_images", "draw_lines", "draw_scatter", "drawing",
           "explorable", "explorables", "heatmap", "histogram", "image_grid", "lines", "scatter", "table"]


def explorables() -> dict[str, Callable[..., Picture]]:
    """{"chapter.function": render} for every function of the chapters that `@explorable` marks; tests draw all their frames."""
    found = {}
    for module in sorted(_modules()):
        for name, value in vars(importlib.import_module(f"{__name__}.{module}")).items():
            if callable(value) and hasattr(value, "controls") and value.__module__ == f"{__name__}.{module}":
                found[f"{module}.{name}"] = value
    return found


def __getattr__(name: str) -> ModuleType:
    if name in _modules():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no figure or chapter {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_modules()})


def _modules() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}
