"""What a check says about a wrong answer: got, expected, on which case; why; the likely mistake; and what to do where none is known."""
from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .compare import Difference, Plain, agree
from .part import Part, Run

_SLIPS = {  # message: what the wrong answer is, as a function of the right one
    "your answer is minus the right one: check the sign": lambda right: -right,
    "your answer is in bits; the course measures in nats: use the natural logarithm": lambda right: right / math.log(2),
    "your answer is twice the right one": lambda right: 2 * right,
    "your answer is half the right one": lambda right: right / 2,
    "your answer is the exponential of the right one: a probability where its logarithm is asked": torch.exp,
    "your answer is the logarithm of the right one: take the exponential": torch.log,
}
_NEAR = 0.01  # of the right number: close, but not within the tolerance
BY_HAND = "this is none of the known mistakes: work the smallest case out by hand and compare step by step"
_READ_AGAIN = "this is none of the known mistakes: read the question once more"


def complaint(part: Part, run: Run, target: Plain, found: Difference, message: str) -> str:
    """The sentence about the first difference: got, expected (a value that is the exercise is not given away), case, why."""
    on = f" (case: {run.case})" if run.case else ""
    expected = found.expected
    if part.inputs is None and not part.measure and found.kind == "number":
        expected = "another value"
    if part.measure and found.kind == "number":
        expected += f" within {part.atol:g}"
    verb = f"the {part.quantity} of your answer is" if part.quantity else "you returned" if part.inputs else "you answered"
    seen = [f"{verb} {found.got}, expected {expected}{on}"] if found.got else []
    why = found.why or _coarse_type(run.output, target)
    if not (why or message):
        message = _READ_AGAIN if found.kind == "word" else BY_HAND
    return "; ".join([*seen, *filter(None, [why, message])])


def guess(part: Part, runs: list[Run], targets: list[Plain]) -> str:
    """What an answer of no known mistake may be: a word that is misspelt, a slip that any formula invites, a number that is nearly right."""
    return _misspelt(part, runs, targets) or _slip(part, runs, targets) or _near(part, runs, targets)


def stopped(error: BaseException, right: Callable, given: tuple, on: str) -> str:
    """What to say when the student's function raises; where shapes may be the reason, those of its inputs."""
    text = f"your function stopped with {type(error).__name__}: {error}{on}"
    if not isinstance(error, (RuntimeError, IndexError, ValueError)):
        return text
    if "dtype" in str(error):
        return f"{text}; two tensors are of different types: convert one, for example .double()"
    shapes = [f"{name} {tuple(value.shape)}" for name, value in zip(argument_names(right, given), given) if isinstance(value, Tensor)]
    return f"{text}; the shapes that came in: {', '.join(shapes)}" if shapes else text


def unanswered(output) -> str:
    """Where an answer holds None or ... in place of a value; "" when it does not."""
    if type(output) is dict:
        empty = [key for key, value in output.items() if value is None or value is Ellipsis]
        if len(empty) == len(output) > 0:
            return "not written yet: there is no answer to check"
        return f"{empty[0]!r} is not answered yet" if empty else ""
    if type(output) in (list, tuple):
        empty = [i for i, value in enumerate(output, start=1) if value is None or value is Ellipsis]
        if empty:
            return (f"result {empty[0]} of {len(output)} is {output[empty[0] - 1]}, expected numbers; where a slope is asked and nothing depends on it, "
                    "it is zero, of the same shape: torch.autograd.grad(..., materialize_grads=True)")
    return ""


def wrong_signature(right: Callable, answer: Callable, given: tuple) -> str:
    """How the answer's parameters differ from the exercise's; "" when they fit."""
    try:
        inspect.signature(answer).bind(*given)
    except TypeError:
        return f"your function takes {inspect.signature(answer)}, it is called with ({', '.join(inspect.signature(right).parameters)}): keep the signature of the exercise"
    except ValueError:  # a built-in function has no signature to ask
        pass
    return ""


def argument_names(right: Callable, given: tuple) -> list[str]:
    """What the exercise calls its function's arguments."""
    try:
        return list(inspect.signature(right).bind(*given).arguments)
    except (TypeError, ValueError):
        return [f"argument {i}" for i in range(1, len(given) + 1)]


def _coarse_type(output, target: Plain) -> str:
    if type(output) is not Tensor or not isinstance(target, Tensor) or output.dtype in (torch.float32, torch.float64):
        return ""
    return f"your tensor is {output.dtype}, too coarse for this: use float64" if (target != target.round()).any() else ""


def _misspelt(part: Part, runs: list[Run], targets: list[Plain]) -> str:
    """A word that is no answer to any question of the exercise: very likely its spelling."""
    known = [word for target in targets for word in _words(target)] + [word for entry in part.bank.values() if part.inputs is None for word in _words(entry.wrong)]
    plain_words = {" ".join(word.casefold().split()): word for word in known}
    for typed in ([] if part.measure or not known else [word for run in runs for word in _words(run.measured)]):
        if (plain_word := " ".join(typed.casefold().split())) not in plain_words:
            close = difflib.get_close_matches(plain_word, plain_words, n=1)
            return f"did you mean {plain_words[close[0]]!r}?" if close else f"{typed!r} is no right answer to any question here: use the words of the exercise, spelt as there"
    return ""


def _words(answer) -> list[str]:
    if isinstance(answer, str):
        return [answer]
    items = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ()
    return [word for item in items for word in _words(item)]


def _slip(part: Part, runs: list[Run], targets: list[Plain]) -> str:
    """A sign, a base of the logarithm, a factor: only where the answer is a tensor and the pattern cannot be chance."""
    if part.inputs is None or part.measure or not _all_finite(runs, targets) or _flat(targets).unique().numel() < 2:
        return ""
    for message, transform in _SLIPS.items():
        if all(agree(run.measured, transform(target), rtol=part.rtol, atol=part.atol) for run, target in zip(runs, targets)):
            return message
    return ""


def _near(part: Part, runs: list[Run], targets: list[Plain]) -> str:
    """Numbers that are right to two digits."""
    if part.measure or len(runs) != len(targets) or not all(agree(run.measured, target, rtol=_NEAR, atol=part.atol) for run, target in zip(runs, targets)):
        return ""
    if part.inputs is None:
        return f"close: give more digits (what counts is a difference below {part.atol:g}" + (f" or {100 * part.rtol:g} %)" if part.rtol else ")")
    if not _all_finite(runs, targets) or (_flat(targets) == _flat(targets).round()).all():
        return ""
    return "close, every number is within 1 % of the right one: is it rounded on the way, or drawn at random where a formula is asked?"


def _all_finite(runs: list[Run], targets: list[Plain]) -> bool:
    return all(isinstance(x, Tensor) and x.isfinite().all() for x in [run.measured for run in runs] + targets)


def _flat(targets: list[Tensor]) -> Tensor:
    return torch.cat([target.flatten() for target in targets])
