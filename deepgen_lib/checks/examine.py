"""Run one answer on the cases of its check and say what is wrong with it; engine.py explains how a check is written.

The answer gets copies of the inputs, so nothing it does to them reaches the comparison. Its output is compared with the right
one; when it is wrong, with the output of every known wrong answer; when none fits, with a few slips that any formula invites.
"""
from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import wording
from .compare import NotPlain, Plain, agree, difference, distance, plain, show
from .part import Part, Run


class Verdict(NamedTuple):
    complaint: str | None    # what is wrong, in one sentence; None when the answer is right
    misconception: str = ""  # its name in the part's bank, when it is a known mistake


def examine(part: Part, answer, seed: int, notes: list[str]) -> str | None:
    """What is wrong with the answer, in one sentence, or None.  Remarks on a right answer go to `notes`."""
    return judge(part, answer, seed, notes).complaint


def judge(part: Part, answer, seed: int, notes: list[str], wrong: list | None = None) -> Verdict:
    """The same with the name of the known mistake. The answer may be a stand-in that fetches its outputs from elsewhere.

    `wrong` gets the first wrong run and what it should have given, where there is one.
    """
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
    if isinstance(runs, Verdict):
        return runs
    targets = [_target(part, arguments) for arguments in cases.values()]
    for run, target in zip(runs, targets):
        if found := difference(run.measured, target, rtol=part.rtol, atol=part.atol, axes=part.axes):
            name = _known_mistake(part, runs, run)
            message = part.bank[name].message if name else wording.guess(part, runs, targets)
            if wrong is not None:
                wrong += [run, target]
            return Verdict(wording.complaint(part, run, target, found, message), name)
    return Verdict(None)


def _run_value(part: Part, answer) -> list[Run] | Verdict:
    if inspect.isroutine(answer):
        return Verdict("the check got a function, expected the value itself: call the function first")
    measured = _try_measure(part, answer, ())
    return Verdict(str(measured)) if isinstance(measured, _Complaint) else [Run("", (), answer, measured)]


def _run_function(part: Part, answer: Callable, cases: dict[str, tuple], notes: list[str]) -> list[Run] | Verdict:
    """The answer's output on every case; or, where it has none, the reason in words."""
    runs = []
    for case, arguments in cases.items():
        given = tuple(map(copied, arguments))
        if wrong_call := wording.wrong_signature(part.right, answer, given):
            return Verdict(wrong_call)
        on = f" (case: {case})" if case else ""
        try:
            output = answer(*given)
        except NotImplementedError:
            return Verdict("not written yet: replace `raise NotImplementedError()` by your lines")
        except (Exception, SystemExit) as error:
            name = _same_end(part, error, arguments)
            return Verdict("; ".join([wording.stopped(error, part.right, given, on), *([part.bank[name].message] if name else [])]), name)
        if output is None:
            return Verdict(f"your function returns nothing: did you forget `return`?{on}")
        if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(arguments, given)):
            notes.append(" (your function changes its input in place; a copy would be safer)")
        measured = _try_measure(part, output, arguments)
        if isinstance(measured, _Complaint):
            return Verdict(f"{measured}{on}")
        runs.append(Run(case, arguments, output, measured))
    return runs


def _same_end(part: Part, error: BaseException, arguments: tuple) -> str:
    """The name of the known mistake that stops with the same words on the same case, such as shapes that do not fit."""
    for name, misconception in part.bank.items():
        try:
            misconception.wrong(*map(copied, arguments))
        except (Exception, SystemExit) as other:
            if (type(other).__name__, str(other)) == (type(error).__name__, str(error)):
                return name
    return ""


class _Complaint(str):
    """A sentence to the student, to be told from an answer that is text."""


def _try_measure(part: Part, output, arguments: tuple) -> Plain | _Complaint:
    try:
        return _measure(part, output, arguments)
    except NotPlain as error:
        if empty := wording.unanswered(output):
            return _Complaint(empty)
        return _Complaint(f"you returned {error}, expected {show(_target(part, arguments)) if part.inputs else 'plain numbers or text'}")
    except ValueError as error:
        return _Complaint(str(error))
    except Exception as error:
        return _Complaint(wording.unanswered(output) or f"your answer cannot be used: {type(error).__name__}: {error}")


def _measure(part: Part, output, arguments: tuple) -> Plain:
    return plain(part.measure(output, *map(copied, arguments)) if part.measure else output)


def _target(part: Part, arguments: tuple) -> Plain:
    if part.expected:
        return plain(part.expected(*map(copied, arguments)))
    return _measure(part, part.right(*map(copied, arguments)) if part.inputs else part.right, arguments)


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
    return _measure(part, wrong(*map(copied, run.arguments)) if part.inputs else wrong, run.arguments)


def _asked(mine: Plain, theirs: Plain, part: Part) -> Plain:
    """Of a dictionary of answers, those that the mistake is about."""
    if part.inputs is None and isinstance(mine, dict) and isinstance(theirs, dict):
        return {key: value for key, value in mine.items() if key in theirs}
    return mine


def _looks_like(test: Callable[..., bool], run: Run) -> bool:
    try:
        return bool(test(run.output, *map(copied, run.arguments)))
    except Exception:  # the test need not understand every answer
        return False


def copied(argument):
    """A copy that shares nothing with the original."""
    if isinstance(argument, Tensor) and not isinstance(argument, nn.Parameter):
        return argument.detach().clone().requires_grad_(argument.requires_grad)
    return argument.clone_state() if isinstance(argument, torch.Generator) else copy.deepcopy(argument)
