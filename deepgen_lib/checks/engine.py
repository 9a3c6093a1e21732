"""The engine behind every check: run the student's answer, accept it if right, else say which known mistake it is.

How to write an exercise, in `checks/<chapter>.py`:

    def _inputs(rng):                                  # name of the case -> arguments; other seeds give other inputs
        return {"random logits": (torch.randn(4, 3, generator=rng, dtype=torch.float64),), "equal logits": (torch.zeros(2, 3),)}

    normalise = register(Exercise(
        id="1.1", name="normalise", title="Make it sum to one", level="core", minutes=5, chapter="01_gibbs_bound",
        success="every row is a distribution",
        hints=("*Nudge.* ...", "*Equation.* ...", "*Pseudo-code.* ..."),
        parts=(Part(
            right=lambda logits: logits.softmax(-1), inputs=_inputs, axes=("B", "K"),
            misconceptions={                           # what it looks like: (the wrong answer, what to say)
                "columns": (lambda logits: logits.softmax(0), "you normalise columns; each row is one distribution"),
                "log": (lambda logits: logits.log_softmax(-1), "these are log-probabilities: take the exponential"),
                "shares": (lambda logits: logits / logits.sum(-1, keepdim=True), "a logit is a log-odds, not a share: exponentiate first"),
            }),)))

The notebook calls `checks.normalise(normalise)`, its hidden test `checks.normalise(normalise, seed=1)`. Variations:
- an answer that is a value (a number, a tensor, text, a dictionary of these): leave `inputs` out; `right` and the wrong
  answers are values. A wrong dictionary may hold only the keys that give the mistake away. Right values are never shown.
- many right answers (a sampler, a model to be built): `measure(output, *arguments)` turns the answer into what is compared,
  `expected(*arguments)` gives its exact value (default: measured on `right`), `atol` the tolerance, `quantity` names it.
  A ValueError raised by `measure` is shown to the student.
- cases that no seed changes: call the argument of `inputs` `_`, so that the tests know that it is meant.
- a mistake that stops, such as shapes that do not fit: give the function that stops; whoever stops with the same words on the same case is told.
- a mistake with no fixed value: give a third entry, `looks_like(output, *arguments) -> bool`, asked on the first wrong case.
- several functions in one exercise: one named Part each; `checks.three(f, g, h)`.
In tests/right_answers/<chapter>.py put at least two right answers, written differently: `RIGHT = {"1.1": [answer, other]}`
(a tuple of answers where there are several parts). tests/test_checks.py does the rest.
"""
from __future__ import annotations

import importlib
import re
from dataclasses import dataclass

from .. import record
from . import show
from .examine import judge
from .part import Misconception, Part
from .wording import BY_HAND

__all__ = ["Exercise", "Misconception", "NotYet", "Part", "find", "register", "registered"]

LEVELS = ("core", "stretch", "project")


class NotYet(AssertionError):
    """An answer that is not right yet. A notebook shows its one sentence, without the lines of the library that raised it."""

    def _render_traceback_(self) -> list[str]:  # asked by IPython
        return [str(self)]


@dataclass(frozen=True)
class Exercise:
    """An exercise's card and its check: calling it with the student's answer(s) prints one line or raises AssertionError."""
    id: str
    name: str
    title: str
    level: str
    minutes: int
    chapter: str
    hints: tuple[str, str, str]
    success: str
    parts: tuple[Part, ...]
    taken: tuple[str, ...] = ()  # "module.function" of the library, out of reach while this is graded; for exercises of a private course

    def __post_init__(self):
        rules = {
            "id is two numbers, as in '1.2'": isinstance(self.id, str) and re.fullmatch(r"\d+\.\d+", self.id),
            "name is a Python name": isinstance(self.name, str) and self.name.isidentifier(),
            "chapter is a stem, as in '01_gibbs_bound', and its number begins the id":
                re.fullmatch(r"\d\d_\w+", self.chapter) and str(int(self.chapter[:2])) == str(self.id).split(".")[0],
            f"level is one of {', '.join(LEVELS)}": self.level in LEVELS,
            "minutes is a whole number of at least 1": type(self.minutes) is int and self.minutes >= 1,
            "hints are three texts: nudge, equation, pseudo-code":
                type(self.hints) is tuple and len(self.hints) == 3 and all(isinstance(h, str) and h.strip() for h in self.hints),
            "title and success are not empty": self.title and self.success,
            "parts is a tuple of Part, each named where there are several":
                type(self.parts) is tuple and self.parts and all(isinstance(p, Part) for p in self.parts)
                and (len(self.parts) == 1 or len({p.name for p in self.parts if p.name}) == len(self.parts)),
            "taken is a tuple of texts, each 'module.function'": type(self.taken) is tuple and all(isinstance(t, str) and "." in t for t in self.taken),
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise ValueError(f"Exercise {self.id}: {broken[0]}; got {self}")

    def __call__(self, *answers, seed: int = 0) -> None:
        """Print `1.2 right: ...`, or raise AssertionError with what was returned, what was expected and the likely mistake."""
        if len(answers) != len(self.parts):
            names = ", ".join(part.name or "your answer" for part in self.parts)
            raise NotYet(f"{self.id} not yet: the check got {len(answers)} answers, expected {len(self.parts)}: {names}")
        notes, right = [], []
        for part, answer in zip(self.parts, answers):
            wrong: list = []
            if complaint := judge(part, answer, seed, notes, wrong).complaint:
                self._tried(complaint)
                _tries[self.id] = (part, answer, seed)
                show.difference(part, *wrong)
                where = f" ({part.name}{'; right so far: ' + ', '.join(right) if right else ''})" if len(self.parts) > 1 else ""
                step = f': checks.small_case("{self.id}")' if complaint.endswith(BY_HAND) else ""
                raise NotYet(f'{self.id} not yet{where}: {complaint.rstrip(".")}{step}. Next: hint("{self.id}")') from None
            right.append(part.name)
        _tries.pop(self.id, None)
        print(f"{self.id} right: {self.success}{''.join(dict.fromkeys(notes))}")
        record.note("exercises", self.id, right=True)

    def _tried(self, complaint: str) -> None:
        """For the page of progress; a stub is no try, and what was solved once stays solved."""
        if not complaint.startswith("not written yet") and "right" not in record.entry("exercises", self.id):
            record.note("exercises", self.id, right=False)


_REGISTRY: dict[str, Exercise] = {}
_tries: dict[str, tuple[Part, object, int]] = {}  # exercise id -> the part that was wrong at the last try, the answer, the seed


def register(exercise: Exercise) -> Exercise:
    """Make `checks.<name>`, `hint` and `start_over` find the exercise.  Raises ValueError when its id or name is taken."""
    for other in _REGISTRY.values():
        same = (other.id == exercise.id, other.name == exercise.name)
        if any(same) and not (all(same) and other.title == exercise.title):  # the same one again: its file was reloaded
            raise ValueError(f"register: exercise {exercise.id} '{exercise.name}' meets {other.id} '{other.name}', "
                             "expected an id and a name of its own; rename one")
    _REGISTRY[exercise.id] = exercise
    return exercise


def last_try(exercise: Exercise) -> tuple[Part, object, int] | None:
    """The part that was wrong when the exercise was last checked, the answer and the seed; None when it was right, or never tried."""
    found = _tries.get(exercise.id)
    return found if found and any(found[0] is part for part in exercise.parts) else None


def registered() -> list[Exercise]:
    """Every exercise of every chapter, in order."""
    from . import chapters
    for chapter in chapters():
        importlib.import_module(f"{__package__}.{chapter}")
    return sorted(_REGISTRY.values(), key=lambda exercise: [int(n) for n in exercise.id.split(".")])


def find(exercise_id: str) -> Exercise:
    """The exercise with this id, such as "1.2".  Raises ValueError that lists the ids there are."""
    known = {exercise.id: exercise for exercise in registered()}
    if exercise_id in known:
        return known[exercise_id]
    if str(exercise_id) in known:
        raise ValueError(f'got exercise {exercise_id!r}, expected text; write it in quotes: "{exercise_id}"')
    chapter = [name for name in known if name.split(".")[0] == str(exercise_id).split(".")[0]]
    raise ValueError(f'got exercise {exercise_id!r}, expected one of {", ".join(chapter or known) or "none: no chapter has exercises yet"}; '
                     'write it as text, for example "1.2"')
