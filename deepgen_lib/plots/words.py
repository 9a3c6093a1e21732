"""Numbers, series and images in words: the vocabulary of describe.py.

Every measured number carries a decimal point (the validation of notebooks compares such numbers within a tolerance) and five digits.
"""
from __future__ import annotations

import numpy as np

N_BLOCKS = 4  # an image is summarised by 4 x 4 block means
FULL_LIST = 8  # a series this short is listed value by value


def number(x: float, scale: float = 0.0) -> str:
    """Five significant digits, always with a decimal point; what is below a 1e-7th of scale is 0.0, never -0.0."""
    x = float(x)
    if not np.isfinite(x):
        return "not a number" if np.isnan(x) else ("minus infinity" if x < 0 else "infinity")
    if x == 0 or abs(x) < 1e-7 * scale:
        return "0.0"
    rounded = f"{x:.5g}"
    if "e" in rounded:
        mantissa, exponent = rounded.split("e")
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent)}"
    return rounded if "." in rounded else rounded + ".0"


def series(letter: str, values) -> str:
    """First, quarter, middle, three quarter, last value, then least, greatest and mean; a short series is listed."""
    values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    if len(values) <= FULL_LIST:
        return f"{letter} {listed(values)}"
    steps, scale = np.diff(values), _scale(values)
    if abs(steps[0]) > 1e-6 * scale and np.allclose(steps, steps[0], rtol=1e-3, atol=1e-9 * scale):
        return f"{letter} evenly from {number(values[0], scale)} to {number(values[-1], scale)}"
    along = values[np.linspace(0, len(values) - 1, 5).round().astype(int)]
    return f"{letter} runs {listed(along, values)}, {number_range(values)}"


def cloud(letter: str, values) -> str:
    """A set of points has no order worth telling unless it is short: its range, mean and spread."""
    values = np.asarray(values, dtype=float)
    if len(values) <= FULL_LIST:
        return f"{letter} {listed(values)}"
    return f"{letter} {number_range(values)}, spread {number(np.nanstd(values), _scale(values))}"


def number_range(values) -> str:
    values = np.asarray(values, dtype=float)
    finite, scale = values[np.isfinite(values)], _scale(values)
    if finite.size == 0:
        return "no finite value"
    holes = f", {values.size - finite.size} not finite" if finite.size < values.size else ""
    low, high, mean = (number(f(finite), scale) for f in (np.min, np.max, np.mean))
    return f"min {low}, max {high}, mean {mean}{holes}"


def listed(values, all_values=None) -> str:
    values = np.asarray(values, dtype=float).ravel()
    scale = _scale(values if all_values is None else all_values)
    return ", ".join(number(v, scale) for v in values)


def _scale(values) -> float:
    values = np.abs(np.asarray(values, dtype=float))
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else 0.0


def blocks(values) -> str:
    """Means over a grid of at most 4 x 4 blocks, rows from top to bottom, each from left to right."""
    grey = values if values.ndim == 2 else values[..., :3].mean(-1)
    scale = _scale(grey)
    rows = []
    for band in np.array_split(grey, min(N_BLOCKS, grey.shape[0]), axis=0):
        blocks = np.array_split(band, min(N_BLOCKS, grey.shape[1]), axis=1)
        means = [np.mean(b[np.isfinite(b)]) if np.isfinite(b).any() else np.nan for b in blocks]
        rows.append(" ".join(number(m, 1e3 * scale) for m in means))  # a mean of many roundings: snap earlier
    return " | ".join(rows)


def extent(points, detail: bool) -> str:
    points = np.asarray(points, dtype=float)
    if not detail or points.size == 0:
        return ""
    (x0, y0), (x1, y1) = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    scale = _scale(points)
    return f" within x {number(x0, scale)} to {number(x1, scale)}, y {number(y0, scale)} to {number(y1, scale)}"


def count(n: int) -> str:
    return f"{n} point{'s' if n != 1 else ''}"


