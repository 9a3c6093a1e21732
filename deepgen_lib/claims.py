"""Claims that a computation must bear out, and errors that must break it.

    claim("B1", gap.abs().max(), below=1e-10, says="largest gap at the posterior")
        B1 holds: largest gap at the posterior < 1e-10
    planted_error("B1", wrong_gap.abs().max(), below=1e-10, says="the entropy with the wrong sign")
        B1 breaks with the entropy with the wrong sign: 0.6931 (allowed below 1e-10)
    derivation("B3", {"the bound": first, "minus the KL": second}, models)
        B3 derivation: 2 lines agree on 100 models

A claim that holds prints its limit, never its value: rounding noise differs from machine to machine, the limit does not.
A planted error prints its value, rounded to four digits. NaN never passes either.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from . import record

Number = float | Tensor
Interval = tuple[float, float]


def claim(name: str, value: Number, *, below: Number | None = None, above: Number | None = None,
          between: Interval | None = None, says: str = "") -> None:
    """Raise AssertionError unless `value` (one number) is < below, > above or inside [low, high]; print one line if it is.

    Exactly one kind of limit. `says` names the value in words. A value that is not finite fails.
    Raises ValueError for a value or a limit that is not one number.
    """
    limit = _Limit("claim", below, above, between)
    number = _one_number("claim", name, value)
    what = says or "value"
    if not (math.isfinite(number) and limit.allows(number)):
        raise AssertionError(f"claim {name} fails: {what} is {_four_digits(number)}, allowed {limit.in_words}")
    print(f"{name} holds: {what} {limit.in_signs}")
    record.note("claims", name, holds=True)


def planted_error(name: str, value: Number, *, below: Number | None = None, above: Number | None = None,
                  between: Interval | None = None, says: str = "") -> None:
    """Raise AssertionError when `value`, computed with a mistake, still obeys the claim's limit; print one line if not.

    Give it the limit of the claim itself. `says` names the mistake. NaN proves nothing and fails.
    """
    limit = _Limit("planted_error", below, above, between)
    number = _one_number("planted_error", name, value)
    what = says or "a planted error"
    if math.isnan(number):
        raise AssertionError(f"planted_error {name}: {what} gives nan, which proves nothing; expected a number outside the limit")
    if limit.allows(number):
        raise AssertionError(f"planted_error {name}: the claim survives {what}: {_four_digits(number)} is {limit.in_words}; "
                             "expected a value outside the limit, so the claim cannot see this error: sharpen it")
    print(f"{name} breaks with {what}: {_four_digits(number)} (allowed {limit.in_words})")


def derivation(name: str, lines: dict[str, Callable], models: Iterable, *, below: float = 1e-10) -> None:
    """Evaluate every line of a derivation on every model; all must equal the first line within `below`.

    A line is a function of one model that returns a number or a tensor; all lines return the same shape.
    Raises AssertionError naming the first line that differs, the model and by how much.
    """
    if len(lines) < 2:
        raise ValueError(f"derivation {name}: got {len(lines)} line(s), expected at least 2; one line agrees with itself")
    limit = _Limit("derivation", below, None, None)
    first, *others = lines
    worst = dict.fromkeys(others, (-1.0, -1))  # line: (largest difference, on which model)
    n_models = 0
    for n_models, model in enumerate(models, start=1):
        reference = _evaluate(name, first, lines[first], n_models, model)
        if not reference.isfinite().all():
            raise AssertionError(f"{name} derivation: line 1, '{first}', is not finite on model {n_models}")
        for line in others:
            values = _evaluate(name, line, lines[line], n_models, model)
            difference = _largest_difference(name, line, values, reference, n_models)
            worst[line] = max(worst[line], (difference, n_models), key=lambda w: (math.isnan(w[0]), w[0]))  # the first NaN wins
    if n_models == 0:
        raise ValueError(f"derivation {name}: got no model, expected at least 1; an exhausted generator gives none")
    for position, (line, (difference, model_number)) in enumerate(worst.items(), start=2):
        if not limit.allows(difference):
            raise AssertionError(f"{name} derivation: line {position}, '{line}', differs from line 1 by "
                                 f"{_four_digits(difference)} on model {model_number}, allowed {limit.in_words}")
    print(f"{name} derivation: {len(lines)} lines agree on {n_models} model{'s' if n_models > 1 else ''}")


class _Limit:
    """One of: below, above, between; knows how to test a number and how to say itself."""

    def __init__(self, function: str, below: Number | None, above: Number | None, between: Interval | None):
        given = {"below": below, "above": above, "between": between}
        given = {kind: limit for kind, limit in given.items() if limit is not None}
        if len(given) != 1:
            raise ValueError(f"{function}: got {len(given)} limits ({', '.join(given) or 'none'}), expected exactly one of below, above, between")
        (kind, limit), = given.items()
        if kind == "between" and (isinstance(limit, (int, float, Tensor)) or len(limit) != 2):
            raise ValueError(f"{function}: between is {limit!r}, expected (low, high)")
        ends = [_one_number(function, kind, end) for end in (limit if kind == "between" else [limit])]
        if not all(map(math.isfinite, ends)) or ends != sorted(ends):
            raise ValueError(f"{function}: {kind} is {limit!r}, expected finite numbers, the low one first")
        self.low = -math.inf if kind == "below" else ends[0]
        self.high = math.inf if kind == "above" else ends[-1]
        self.strict = kind != "between"
        self.in_signs = {"below": f"< {ends[-1]:g}", "above": f"> {ends[0]:g}", "between": f"in [{ends[0]:g}, {ends[-1]:g}]"}[kind]
        self.in_words = self.in_signs.replace("<", "below").replace(">", "above")

    def allows(self, number: float) -> bool:
        """False for NaN."""
        return self.low < number < self.high if self.strict else self.low <= number <= self.high


def _one_number(function: str, name: str, value: Number) -> float:
    if isinstance(value, bool) or getattr(value, "dtype", None) in (torch.bool, bool):
        raise ValueError(f"{function} {name}: got {value}, expected a number; give the difference itself, not the comparison")
    shape = tuple(getattr(value, "shape", ()))
    if math.prod(shape) != 1:
        raise ValueError(f"{function} {name}: got shape {shape}, expected one number; reduce it first, for example .abs().max()")
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{function} {name}: got {type(value).__name__}, expected a number or a tensor with one element") from None


def _evaluate(name: str, line: str, function: Callable, model_number: int, model) -> Tensor:
    try:
        return torch.as_tensor(function(model)).detach().double()
    except Exception as error:
        error.add_note(f"(in {name} derivation, line '{line}', on model {model_number})")
        raise


def _largest_difference(name: str, line: str, values: Tensor, reference: Tensor, model_number: int) -> float:
    if values.shape != reference.shape:
        raise AssertionError(f"{name} derivation: line '{line}' has shape {tuple(values.shape)} on model {model_number}, "
                             f"line 1 has {tuple(reference.shape)}; expected the same shape")
    if values.numel() == 0:
        raise AssertionError(f"{name} derivation: line '{line}' returns nothing to compare, shape {tuple(values.shape)}")
    return (values - reference).abs().max().item()


def _four_digits(number: float) -> str:
    """Rounded to four digits and always with a point or an exponent, so that notebooks compare it within a tolerance."""
    text = f"{number:.4g}"
    return text if not math.isfinite(number) or set(text) & {".", "e"} else text + ".0"
