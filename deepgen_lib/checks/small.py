"""A smaller case for whoever is stuck after the third hint: the smallest input on which the last try went wrong, to step through by hand."""
from __future__ import annotations

import torch
from torch import Tensor, nn

from .compare import NotPlain, difference, digits_of, plain
from .engine import Exercise, find, last_try
from .examine import copied
from .part import Part
from .wording import argument_names

SHOWN = 12  # so many numbers of an input are printed


def small_case(exercise_id: str) -> tuple:
    """The arguments of the smallest input that your last try gets wrong (of all, before any try): case = small_case("1.1"); my_function(*case).

    Prints them, what your function makes of them and which form the right answer has, never its value.
    Raises ValueError for an unknown id, or for an exercise that asks for values, not for a function.
    """
    exercise = find(exercise_id)
    last = last_try(exercise)
    part, answer, seed = last if last and last[0].inputs is not None else (_first_function(exercise), None, 0)  # a value has no input
    if part.inputs is None:
        raise ValueError(f'small_case: got exercise {exercise.id}, expected one that asks for a function; this one asks for values: take hint("{exercise.id}"), or solve the question for the smallest numbers that it allows')
    cases = part.inputs(torch.Generator().manual_seed(seed))
    wrong = [name for name, arguments in cases.items() if answer is not None and _is_wrong(part, answer, arguments)]
    name = min(wrong or cases, key=lambda case: _size(cases[case]))
    arguments = cases[name]
    lines = [f"{exercise.id}{f' ({part.name})' if len(exercise.parts) > 1 else ''}: the smallest input{' that goes wrong' if wrong else ''}" + (f" (case: {name})." if name else ".")]
    lines += [f"  {argument} = {_shown(value)}" for argument, value in zip(argument_names(part.right, arguments), arguments)]
    if wrong:
        lines.append(f"Your function gives {_form(_output(answer, arguments))}.")
    lines += [f"The right answer is {_form(_output(part.right, arguments))}.", "Work it out on paper, then call your function on it, my_function(*case), and print each step."]
    print("\n".join(lines))
    return _fresh(arguments)


def _first_function(exercise: Exercise) -> Part:
    return next((part for part in exercise.parts if part.inputs is not None), exercise.parts[0])


def _is_wrong(part: Part, answer, arguments: tuple) -> bool:
    try:
        mine, right = (plain(part.measure(f(*_fresh(arguments)), *_fresh(arguments)) if part.measure else f(*_fresh(arguments))) for f in (answer, part.right))
        target = plain(part.expected(*_fresh(arguments))) if part.expected else right
        return difference(mine, target, rtol=part.rtol, atol=part.atol) is not None
    except (Exception, SystemExit):
        return True


def _output(function, arguments: tuple):
    try:
        return function(*_fresh(arguments))
    except (Exception, SystemExit) as error:
        return error


def _fresh(arguments: tuple) -> tuple:
    return tuple(map(copied, arguments))


def _size(arguments) -> int:
    """How many numbers a person would have to look at."""
    if isinstance(arguments, (tuple, list)):
        return sum(map(_size, arguments))
    if isinstance(arguments, dict):
        return sum(map(_size, arguments.values()))
    if isinstance(arguments, nn.Module):
        return sum(p.numel() for p in arguments.parameters())
    return arguments.numel() if isinstance(arguments, Tensor) else 1


def _shown(value) -> str:
    """An input in words: its numbers where they are few."""
    if isinstance(value, Tensor):
        return digits_of(value.detach()) if value.numel() <= SHOWN else f"numbers of shape {tuple(value.shape)}"
    if isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]" if len(value) <= SHOWN else f"{len(value)} of them"
    return f"a {type(value).__name__}"


def _form(output) -> str:
    """The form of an answer, not its value."""
    if isinstance(output, BaseException):
        return f"{type(output).__name__}: {output}"
    try:
        answer = plain(output)
    except NotPlain:
        return f"a {type(output).__name__}"
    if isinstance(answer, Tensor):
        return f"numbers of shape {tuple(answer.shape)}" if answer.ndim else "one number"
    if isinstance(answer, list):
        return f"{len(answer)} results: {'; '.join(map(_form, answer))}" if answer else "no result"
    return {bool: "True or False", str: "a word", dict: "a dictionary"}[type(answer)]
