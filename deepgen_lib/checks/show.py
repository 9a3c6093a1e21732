"""A picture beside a failing check where it says it faster: a matrix or an image as it came, as it should be, and the difference."""
from __future__ import annotations

from torch import Tensor

from .. import record
from .part import Part, Run

SMALLEST, LARGEST = 3, 128  # of an axis, so that a picture is worth it and can be seen
FEW_OFF = 4                 # fewer wrong entries are better named than shown


def difference(part: Part, run: Run | None = None, target=None) -> None:
    """Show the picture, in a notebook and where there is one."""
    matrices = None if run is None or part.measure or part.inputs is None or not record.in_notebook() else first_matrices(run.measured, target, part)
    if matrices is not None:
        from IPython.display import display

        from ..plots.compared import compared
        display(compared(*matrices))


def first_matrices(got, expected, part: Part) -> tuple[Tensor, Tensor] | None:
    """The first matrix (the last two axes) in which the two differ in several entries; None where a sentence says it as well."""
    if isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        return next((found for pair in zip(got, expected) if (found := first_matrices(*pair, part))), None)
    if not (isinstance(got, Tensor) and isinstance(expected, Tensor)) or got.shape != expected.shape or got.ndim < 2:
        return None
    if not all(SMALLEST <= size <= LARGEST for size in got.shape[-2:]) or not (got.isfinite().all() and expected.isfinite().all()):
        return None
    wrong = ~got.isclose(expected, rtol=part.rtol, atol=part.atol).flatten(0, -3) if got.ndim > 2 else ~got.isclose(expected, rtol=part.rtol, atol=part.atol)[None]
    many = (wrong.flatten(1).sum(1) >= FEW_OFF).nonzero()
    if not len(many):
        return None
    return tuple(x.reshape(-1, *x.shape[-2:])[many[0].item()] for x in (got, expected))
