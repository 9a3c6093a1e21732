"""Run one answer on the cases of its check and say what is wrong with it; engine.py explains how a check is written.

The answer gets copies of the inputs, so nothing it does to them reaches the comparison. Its output is compared with the right
one; when it is wrong, with the output of every known wrong answer; when none fits, with a few slips that any formula invites.
"""
from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .compare import Difference, NotPlain, Plain, agree, difference, distance, plain, show
from .part import Part

_SLIPS = {  # message: what the wrong answer is, as a function of the right one
    "your answer is minus the right one: check the sign": lambda right: -right,
    "your answer is in bits; the course measures in nats: use the natural logarithm": lambda right: right / math.log(2),
    "your answer is twice the right one": lambda right: 2 * right,
    "your answer is half the right one": lambda right: right / 2,
    "your answer is the exponential of the right one: a probability where its logarithm is asked": torch.exp,
    "your answer is the logarithm of the right one: take the exponential": torch.log,
}
_NO_KNOWN_MISTAKE = "this is none of the known mistakes: work the smallest case out by hand and compare step by step"


class Run(NamedTuple):
    case: str
    arguments: tuple
    output: object   # as returned
    measured: Plain  # what is compared


class Verdict(NamedTuple):
    complaint: str | None    # what is wrong, in one sentence; None when the answer is right
    misconception: str = ""  # its name in the part's bank, when it is a known mistake


def examine(part: Part, answer, seed: int, notes: list[str]) -> str | None:
    """What is wrong with the answer, in one sentence, or None.  Remarks on a right answer go to `notes`."""
    return judge(part, answer, seed, notes).complaint


def judge(part: Part, answer, seed: int, notes: list[str]) -> Verdict:
    """The same with the name of the known mistake. The answer may be a stand-in that fetches its outputs from elsewhere."""
    if answer is None or answer is Ellipsis:
        return Verdict("not written yet: there is no answer to check")
    if part.inputs is None:
        cases = {"": ()}
        runs = _run_value(part, answer)
    elif not callable(answer):
        return Verdict(f"the check got a {type(answer).__name__}, expected a function; pass its name, without brackets")
    else:
        cases = part.inputs(torch.Generator().manual_seed(seed))
        runs = _run_function(part, answer, cases, notes)
    if isinstance(runs, str):
        return Verdict(runs)
    targets = [_target(part, arguments) for arguments in cases.values()]
    for run, target in zip(runs, targets):
        if found := difference(run.measured, target, rtol=part.rtol, atol=part.atol, axes=part.axes):
            name = _known_mistake(part, runs, run)
            message = part.bank[name].message if name else _slip(part, runs, targets)
            return Verdict(_complaint(part, run, target, found, message), name)
    return Verdict(None)


def _run_value(part: Part, answer) -> list[Run] | str:
    if inspect.isroutine(answer):
        return "the check got a function, expected the value itself: call the function first"
    measured = _try_measure(part, answer, ())
    return measured if isinstance(measured, _Complaint) else [Run("", (), answer, measured)]


def _run_function(part: Part, answer: Callable, cases: dict[str, tuple], notes: list[str]) -> list[Run] | str:
    """The answer's output on every case; or, where it has none, the reason in words."""
    runs = []
    for case, arguments in cases.items():
        given = tuple(map(_copy, arguments))
        if wrong_call := _wrong_signature(part.right, answer, given):
            return wrong_call
        on = f" (case: {case})" if case else ""
        try:
            output = answer(*given)
        except NotImplementedError:
            return "not written yet: replace `raise NotImplementedError()` by your lines"
        except (Exception, SystemExit) as error:
            return f"your function stopped with {type(error).__name__}: {error}{on}"
        if output is None:
            return f"your function returns nothing: did you forget `return`?{on}"
        if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(arguments, given)):
            notes.append(" (your function changes its input in place; a copy would be safer)")
        measured = _try_measure(part, output, arguments)
        if isinstance(measured, _Complaint):
            return f"{measured}{on}"
        runs.append(Run(case, arguments, output, measured))
    return runs


class _Complaint(str):
    """A sentence to the student, to be told from an answer that is text."""


def _try_measure(part: Part, output, arguments: tuple) -> Plain | _Complaint:
    try:
        return _measure(part, output, arguments)
    except NotPlain as error:
        return _Complaint(f"you returned {error}, expected {show(_target(part, arguments)) if part.inputs else 'plain numbers or text'}")
    except ValueError as error:
        return _Complaint(str(error))
    except Exception as error:
        return _Complaint(f"your answer cannot be used: {type(error).__name__}: {error}")


def _measure(part: Part, output, arguments: tuple) -> Plain:
    return plain(part.measure(output, *map(_copy, arguments)) if part.measure else output)


def _target(part: Part, arguments: tuple) -> Plain:
    if part.expected:
        return plain(part.expected(*map(_copy, arguments)))
    return _measure(part, part.right(*map(_copy, arguments)) if part.inputs else part.right, arguments)


def _known_mistake(part: Part, runs: list[Run], first_wrong: Run) -> str:
    """The name of the known mistake that gives the same answers on every case, the closest if there are several."""
    fits = []
    for name, misconception in part.bank.items():
        try:
            wrong = [_wrong_answer(part, misconception.wrong, run) for run in runs]
            pairs = [(_asked(run.measured, theirs, part), theirs) for run, theirs in zip(runs, wrong)]
            if all(agree(mine, theirs, rtol=part.rtol, atol=part.atol) for mine, theirs in pairs):
                fits.append((sum(distance(*pair) for pair in pairs), name))
        except Exception:  # a wrong answer need not survive every case: then the student's, which did, is another one
            continue
    if fits:
        return min(fits, key=lambda fit: fit[0])[1]
    for name, misconception in part.bank.items():
        if misconception.looks_like and _looks_like(misconception.looks_like, first_wrong):
            return name
    return ""


def _wrong_answer(part: Part, wrong, run: Run) -> Plain:
    return _measure(part, wrong(*map(_copy, run.arguments)) if part.inputs else wrong, run.arguments)


def _asked(mine: Plain, theirs: Plain, part: Part) -> Plain:
    """Of a dictionary of answers, those that the mistake is about."""
    if part.inputs is None and isinstance(mine, dict) and isinstance(theirs, dict):
        return {key: value for key, value in mine.items() if key in theirs}
    return mine


def _looks_like(test: Callable[..., bool], run: Run) -> bool:
    try:
        return bool(test(run.output, *map(_copy, run.arguments)))
    except Exception:  # the test need not understand every answer
        return False


def _slip(part: Part, runs: list[Run], targets: list[Plain]) -> str:
    """A sign, a base of the logarithm, a factor: only where the answer is a tensor and the pattern cannot be chance."""
    everything = [run.measured for run in runs] + targets
    if part.inputs is None or part.measure or not all(isinstance(x, Tensor) and x.isfinite().all() for x in everything):
        return ""
    if len(torch.cat([target.flatten() for target in targets]).unique()) < 2:
        return ""
    for message, transform in _SLIPS.items():
        if all(agree(run.measured, transform(target), rtol=part.rtol, atol=part.atol) for run, target in zip(runs, targets)):
            return message
    return ""


def _complaint(part: Part, run: Run, target: Plain, found: Difference, message: str) -> str:
    on = f" (case: {run.case})" if run.case else ""
    expected = found.expected
    if part.inputs is None and not part.measure and isinstance(target, Tensor) and not found.got.startswith("shape"):
        expected = "another value"  # the value is the exercise: not given away
    if part.measure and found.got:
        expected += f" within {part.atol:g}"
    verb = f"the {part.quantity} of your answer is" if part.quantity else "you returned" if part.inputs else "you answered"
    seen = [f"{verb} {found.got}, expected {expected}{on}"] if found.got else []
    why = found.why or _coarse_type(run.output, target)
    return "; ".join([*seen, *filter(None, [why, message])] if why or message else [*seen, _NO_KNOWN_MISTAKE])


def _coarse_type(output, target: Plain) -> str:
    if type(output) is not Tensor or not isinstance(target, Tensor) or output.dtype in (torch.float32, torch.float64):
        return ""
    return f"your tensor is {output.dtype}, too coarse for this: use float64" if (target != target.round()).any() else ""


def _wrong_signature(right: Callable, answer: Callable, given: tuple) -> str | None:
    try:
        inspect.signature(answer).bind(*given)
    except TypeError:
        names = ", ".join(inspect.signature(right).parameters)
        return f"your function takes {inspect.signature(answer)}, it is called with ({names}): keep the signature of the exercise"
    except ValueError:  # a built-in function has no signature to ask
        pass
    return None


def _copy(argument):
    """A copy that shares nothing with the original."""
    if isinstance(argument, Tensor) and not isinstance(argument, nn.Parameter):
        return argument.detach().clone().requires_grad_(argument.requires_grad)
    return argument.clone_state() if isinstance(argument, torch.Generator) else copy.deepcopy(argument)
