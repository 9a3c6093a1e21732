"""One answer of an exercise: what is right, on which inputs, and what people get wrong. engine.py explains the fields by example."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from .compare import Plain


class Misconception(NamedTuple):
    wrong: Any                                     # the wrong answer itself: a function, or a value
    message: str                                   # what to tell whoever gives it
    looks_like: Callable[..., bool] | None = None  # (output, *arguments) -> is it this mistake?


class Run(NamedTuple):
    """A student's answer on one case."""
    case: str
    arguments: tuple
    output: object   # as returned
    measured: Plain  # what is compared


@dataclass(frozen=True)
class Part:
    """One answer of an exercise: a function called on `inputs`, or (without inputs) a value."""
    right: Any
    misconceptions: dict[str, tuple]
    name: str = ""
    inputs: Callable[[torch.Generator], dict[str, tuple]] | None = None
    axes: tuple[str, ...] = ()
    rtol: float = 1e-5
    atol: float = 1e-6
    measure: Callable[..., Any] | None = None
    expected: Callable[..., Any] | None = None
    quantity: str = ""

    @property
    def bank(self) -> dict[str, Misconception]:
        return {name: Misconception(*entry) for name, entry in self.misconceptions.items()}
