"""What a student's answer is compared with, and how a difference is said in words.

Answers are made plain first (a detached float64 tensor, text, or a dictionary or list of these), so that no class of the
student's own takes part in the comparison. `difference` then finds the first place where two plain answers part.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Plain = Tensor | str | bool | dict | list
NOISE = 1e-14  # what rounding leaves of a zero; shown as 0


class Difference(NamedTuple):
    got: str       # what stands there, in words; "" when the structure itself is wrong
    expected: str  # what should stand there
    why: str       # which axis, which key, NaN; "" when only the value is off
    kind: str = "form"  # what differs: "number", "word", or the form of the answer


class NotPlain(ValueError):
    """The answer is of a type that is never compared; the message says which."""


def plain(answer) -> Plain:
    """Tensors, arrays and numbers become detached float64 tensors; dictionaries and lists keep their form.

    Exact types only, for a subclass could claim to equal anything. Raises NotPlain.
    """
    kind = type(answer)
    if kind is Tensor or kind is torch.nn.Parameter:
        if answer.is_complex() or answer.layout != torch.strided:
            raise NotPlain(f"a tensor of type {answer.dtype}, {answer.layout}; expected real numbers")
        return answer.detach().cpu().to(torch.float64, copy=True)
    if kind in (bool, str):
        return answer
    if kind in (int, float) or kind is np.ndarray or isinstance(answer, np.generic):
        try:
            return torch.as_tensor(answer, dtype=torch.float64).clone()
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise NotPlain(f"a {kind.__name__} that holds something else than numbers") from None
    if kind is dict:
        return {key: plain(value) for key, value in answer.items()}
    if kind is list or isinstance(answer, tuple):
        return [plain(item) for item in (list.__iter__ if kind is list else tuple.__iter__)(answer)]
    raise NotPlain(f"a {kind.__name__}")


def agree(a: Plain, b: Plain, *, rtol: float, atol: float) -> bool:
    """Whether two plain answers are the same within the tolerance; NaN and infinities must stand in the same places."""
    return difference(a, b, rtol=rtol, atol=atol) is None


def distance(a: Plain, b: Plain) -> float:
    """The largest difference between numbers of two plain answers that agree; text counts nothing."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape:
        return (a - b).nan_to_num(0, 0, 0).abs().max().item() if a.numel() else 0.0
    if isinstance(a, dict) and isinstance(b, dict):
        return max((distance(a[key], b[key]) for key in a.keys() & b.keys()), default=0.0)
    if isinstance(a, list) and isinstance(b, list):
        return max(map(distance, a, b), default=0.0)
    return 0.0


def difference(got: Plain, expected: Plain, *, rtol: float, atol: float, axes: tuple[str, ...] = ()) -> Difference | None:
    """The first place where `got` differs from `expected`, or None.  `axes` names the axes of the answer's tensors."""
    if isinstance(expected, Tensor):
        got = _as_tensor(got)
        if not isinstance(got, Tensor):
            return Difference(show(got), "a tensor" if expected.ndim else "one number", f"you gave {_kind(got)}")
        return _tensor_difference(got, expected, rtol, atol, axes)
    if isinstance(expected, (str, bool)):
        return _word_difference(got, expected)
    if type(got) is not type(expected):
        cure = f": return {len(expected)} results, with commas between them" if isinstance(expected, list) else ""
        return Difference(show(got), _kind(expected), f"you gave {_kind(got)}{cure}")
    if isinstance(expected, dict):
        if missing := [key for key in expected if key not in got]:
            return Difference("", "", f"no answer for {missing[0]!r}")
        if extra := [key for key in got if key not in expected]:
            return Difference("", "", f"an answer for {extra[0]!r}, which is not asked; the names are {', '.join(map(repr, expected))}")
        pairs = [(f"for {key!r}", got[key], expected[key]) for key in expected]
    else:
        if len(got) != len(expected):
            return Difference(f"{len(got)} results", f"{len(expected)}", "")
        pairs = [(f"as result {i + 1}", *pair) for i, pair in enumerate(zip(got, expected))]
    for place, a, b in pairs:
        if found := difference(a, b, rtol=rtol, atol=atol, axes=axes):
            return found._replace(got=f"{found.got} {place}") if found.got else found._replace(why=f"{found.why} ({place})")
    return None


def show(answer: Plain) -> str:
    """Short words for a plain answer: numbers to four digits, a large tensor by its shape."""
    if isinstance(answer, Tensor):
        return digits_of(answer) if answer.numel() <= 6 else f"a tensor of shape {tuple(answer.shape)}"
    if isinstance(answer, (str, bool)):
        return repr(answer)
    return f"{len(answer)} {'answers' if isinstance(answer, dict) else 'results'}"


def _word_difference(got: Plain, expected: str | bool) -> Difference | None:
    """Of a word, or of True and False."""
    if type(got) is type(expected):
        return None if _text(got) == _text(expected) else Difference(show(got), "another answer", "", "word")
    cure = "write True or False, without quotes" if isinstance(expected, bool) else "write the word in quotes"
    return Difference(show(got), _kind(expected), f"you gave {_kind(got)}: {cure}", "word")


def _tensor_difference(got: Tensor, expected: Tensor, rtol: float, atol: float, axes: tuple[str, ...]) -> Difference | None:
    if got.shape != expected.shape:
        return Difference(f"shape {tuple(got.shape)}", f"{tuple(expected.shape)}", _which_axis(got.shape, expected.shape, axes))
    wrong = ~torch.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return None
    first = tuple(wrong.nonzero()[0].tolist())
    bad = "NaN" if got.isnan().any() and not expected.isnan().any() else ""
    bad = bad or ("an infinite value" if got.isinf().any() and not expected.isinf().any() else "")
    why = f"the answer contains {bad}" if bad else ""
    at, where = (..., "") if got.numel() <= 6 else (first, f" at [{', '.join(map(str, first))}] ({int(wrong.sum())} of {wrong.numel()} entries are off)")
    mine, theirs = _told_apart(got[at], expected[at])
    return Difference(mine + where, theirs, why, "number")


def _which_axis(got: torch.Size, expected: torch.Size, axes: tuple[str, ...]) -> str:
    """The axis that is wrong, in words."""
    def name(axis: int) -> str:
        return f"axis {axis} ({axes[axis]})" if len(axes) == len(expected) else f"axis {axis}"

    for axis in range(len(expected)):  # one axis of the expected shape was summed away
        if got == expected[:axis] + expected[axis + 1:]:
            return f"{name(axis)} is missing: it was summed, averaged or indexed away"
    for axis in range(len(got)):
        if expected == got[:axis] + got[axis + 1:]:
            cure = "drop it, for example without keepdim" if got[axis] == 1 else "sum or choose along it"
            return f"axis {axis} of the answer is one too many: {cure}"
    if len(got) != len(expected):
        return f"the answer has {len(got)} axes, expected {len(expected)}"
    if len(got) > 1 and got == expected[::-1]:
        return "the axes are in the opposite order: transpose"
    axis = next(i for i, (a, b) in enumerate(zip(got, expected)) if a != b)
    return f"{name(axis)} has size {got[axis]}, expected {expected[axis]}"


def _as_tensor(got: Plain) -> Plain:
    """A bool or a list of numbers stands for the tensor it spells; anything else is returned as it is."""
    if isinstance(got, bool):
        return torch.tensor(float(got), dtype=torch.float64)
    if isinstance(got, list) and got:
        items = [_as_tensor(item) for item in got]
        if all(isinstance(item, Tensor) for item in items) and len({item.shape for item in items}) == 1:
            return torch.stack(items)
    return got


def _text(answer: str | bool) -> str | bool:
    return " ".join(answer.casefold().split()) if isinstance(answer, str) else answer


def _kind(answer: Plain) -> str:
    names = {Tensor: "a tensor" if not isinstance(answer, Tensor) or answer.ndim else "a number", str: "text", bool: "True or False", dict: "a dictionary", list: "a list or tuple"}
    return names[type(answer)]


def _told_apart(got: Tensor, expected: Tensor) -> tuple[str, str]:
    """Both in words, with so many digits that they differ."""
    for digits in (4, 6, 9):
        if (pair := (digits_of(got, digits), digits_of(expected, digits)))[0] != pair[1]:
            break
    return pair


def digits_of(x: Tensor, digits: int = 4) -> str:
    """A tensor's numbers in words, to so many digits."""
    if x.ndim == 0:
        number = x.item()
        return "0" if abs(number) < NOISE else f"{number:.{digits}g}" if math.isfinite(number) else str(number)
    return "[" + ", ".join(digits_of(item, digits) for item in x) + "]"
