"""What a figure is given, checked once: arrays from tensors or lists, finite, of the right shape, with a name each."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def array(function: str, values, *, ndim: int | None = None, name: str = "values") -> np.ndarray:
    """values (tensor, array, list) as a finite, non-empty float array of ndim axes."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{function}: {name} is {type(values).__name__}, expected numbers; pass a tensor, an array or a list") from None
    if ndim is not None and found.ndim != ndim:
        raise ValueError(f"{function}: {name} has shape {found.shape}, expected {ndim} {'axis' if ndim == 1 else 'axes'}; reshape it first")
    if found.size == 0:
        raise ValueError(f"{function}: {name} is empty, shape {found.shape}, expected at least one value")
    if not np.isfinite(found).all():
        bad = np.argwhere(~np.isfinite(found))[0].tolist()
        raise ValueError(f"{function}: {name} holds NaN or infinity, first at index {bad}, expected finite numbers; mend or mask them first")
    return found


def named_series(function: str, series, *, ndim: int = 1) -> dict[str, np.ndarray]:
    """{name: array}; a single series has the empty name."""
    found = series if isinstance(series, Mapping) else {"": series}
    if not found:
        raise ValueError(f"{function}: got no series, expected at least one {{name: values}}")
    return {str(name): array(function, values, ndim=ndim, name=f"series {name!r}") for name, values in found.items()}


def text_labels(function: str, labels: Sequence) -> list[str]:
    """The names of categories, at least one."""
    if isinstance(labels, str) or not len(labels):
        raise ValueError(f"{function}: got categories {labels!r}, expected a sequence of names")
    return [str(label) for label in labels]
