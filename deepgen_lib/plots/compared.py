"""An answer beside the right one: two matrices on one scale, and what lies between them."""
from __future__ import annotations

import numpy as np

from .inputs import array
from .picture import Picture
from .style import SEQUENTIAL, SIGNED, drawing


def compared(yours, right, *, says: str = "") -> Picture:
    """yours, right: (R, C). Three panels: the one, the other, and yours minus right (red above zero, blue below)."""
    mine, theirs = (array("compared", matrix, ndim=2) for matrix in (yours, right))
    if mine.shape != theirs.shape:
        raise ValueError(f"compared: got yours {mine.shape} beside right {theirs.shape}, expected the same shape; compare the shapes first")
    low, high = min(mine.min(), theirs.min()), max(mine.max(), theirs.max())
    off = float(np.abs(mine - theirs).max()) or 1.0
    with drawing(columns=3, width=9.4, height=2.6) as (figure, axes):
        panels = (("yours", mine, SEQUENTIAL, low, high), ("right", theirs, SEQUENTIAL, low, high), ("yours minus right", mine - theirs, SIGNED, -off, off))
        for axis, (title, matrix, colours, least, most) in zip(axes, panels):
            shown = axis.imshow(matrix, cmap=colours, vmin=least, vmax=most, interpolation="nearest")
            axis.set(title=title, xticks=[], yticks=[])
            axis.grid(visible=False)
            axis.spines[:].set_visible(True)
            if title != "yours":  # which shares the scale of its neighbour
                figure.colorbar(shown, ax=axis, shrink=0.8)
    return Picture(figure, says=says)
