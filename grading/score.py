"""One handed-in notebook -> points and feedback for each exercise; grading/__init__.py shows the use.

Each exercise runs in a process of its own, on inputs whose seed nobody outside knows, and the checks' engine compares what
comes back. An exercise counts in full when all its answers are right, as in nbgrader, else not at all.
"""
from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

from deepgen_lib.checks.engine import Exercise, find
from deepgen_lib.checks.examine import judge

from .assignment import Task, read_assignment
from .bounded import bounded
from .find import Submission, find_answer, read_submission
from .notebook import Trouble, read_cells
from .remote import Ended, Remote
from .sandbox import Limits, Sandbox
from .taken import TAKEN

_SEEDS = 20  # to try, before an exercise is called unfair
_COMPARING = (60.0, 4096)  # seconds beyond those of the student's code, and MB, for the grader's own part


class _TooLong(Ended):
    def __str__(self) -> str:
        return "your answer takes too long to compare: is it much larger than what was asked?"


class Result(NamedTuple):
    exercise: str           # "8.1"
    title: str
    points: float
    possible: float
    asked: str              # signatures and sentences of the start
    feedback: str           # what was returned, what was expected, which mistake; or "right: ..."
    part: str               # the part that failed first, "" for the only one or none
    misconception: str      # its name in the bank, "" when none is known
    hint: str
    notes: tuple[str, ...]  # how the answer was found, which statements failed
    seconds: float


class Mark(NamedTuple):
    results: tuple[Result, ...]
    trouble: str            # why the file as a whole could not be read; then every exercise has no points
    isolation: str
    seconds: float

    @property
    def points(self) -> float:
        return sum(result.points for result in self.results)

    @property
    def possible(self) -> float:
        return sum(result.possible for result in self.results)


class Grader:
    """Marks hand-ins of one chapter. `notebook` is the released one; `key`, kept secret, decides the inputs of every exercise."""

    def __init__(self, notebook: Path | str, *, key: str, sandbox: Sandbox | None = None, limits: Limits = Limits(), seeds: dict[str, int] | None = None):
        if not isinstance(key, str) or not key:
            raise ValueError(f"Grader: key is {key!r}, expected a text; take a new one each term and keep it to yourself")
        self.assignment, self.key, self._seeds = read_assignment(Path(notebook)), key, dict(seeds or {})
        self._own = None if sandbox else Sandbox(limits=limits)
        self.sandbox = sandbox or self._own

    def __enter__(self) -> Grader:
        if self._own:
            self._own.__enter__()
        return self

    def __exit__(self, *error) -> None:
        if self._own:
            self._own.__exit__(*error)

    @property
    def isolation(self) -> str:
        return self.sandbox.isolation

    def mark(self, path: Path | str) -> Mark:
        """Points and feedback for one file. Nothing that the file holds or its code does raises."""
        start = time.monotonic()
        try:
            submission, trouble = read_submission(read_cells(Path(path))), ""
        except Trouble as error:
            submission, trouble = read_submission([]), str(error)
        results = tuple(unread(task, trouble) if trouble else self._result(submission, task) for task in self.assignment.tasks)
        return Mark(results, trouble, self.isolation, time.monotonic() - start)

    def _result(self, submission: Submission, task: Task) -> Result:
        start, exercise = time.monotonic(), task.exercise
        try:
            part, complaint, mistake, notes = self._verdict(submission, task)
        except Exception as error:  # a fault of ours: it may cost this exercise, never the batch
            part, complaint, mistake, notes = "", f"this could not be graded ({type(error).__name__}: {error}); ask for it to be looked at by hand", "", []
        feedback = f"right: {exercise.success}" if not complaint else f"not yet{f' ({part})' if part else ''}: {complaint}"
        hint = "" if not complaint else exercise.hints[1 if mistake else 0]
        return Result(exercise.id, exercise.title, 0.0 if complaint else task.points, task.points, task.asked, feedback, part, mistake, hint, tuple(notes), time.monotonic() - start)

    def _seed(self, exercise: Exercise) -> int:
        if exercise.id not in self._seeds:
            self._seeds[exercise.id] = seed_of(exercise, self.key)
        return self._seeds[exercise.id]

    def _verdict(self, submission: Submission, task: Task) -> tuple[str, str, str, list[str]]:
        """(part, complaint, misconception, notes); the complaint is "" when every answer is right."""
        found = find_answer(submission, self.assignment, task)
        if found.missing:
            name, why = next(iter(found.missing.items()))
            return task.exercise.parts[task.names.index(name)].name, why, "", found.notes
        seed = self._seed(task.exercise)
        with self.sandbox.play() as play:
            part, complaint, mistake, notes = _judged(Remote(play, seconds=self.sandbox.limits.seconds), found.statements, task, seed)
        return part, complaint, mistake, [*found.notes, *(notes if complaint else [])]


class _Place:
    """How far the judging of an exercise has come."""

    def __init__(self):
        self.part, self.notes = "", []


def _judged(remote: Remote, statements: list, task: Task, seed: int) -> tuple[str, str, str, list[str]]:
    """(part, complaint, misconception, statements that failed); part and complaint are "" when every answer is right."""
    place, seconds = _Place(), remote.play.limits.seconds + _COMPARING[0]
    try:
        complaint, mistake = bounded(lambda: _compared(remote, statements, task, seed, place), seconds=seconds, memory_mb=_COMPARING[1], late=_TooLong)
    except Ended as error:
        complaint, mistake = str(error), ""
    except (RecursionError, MemoryError) as error:  # of ours, on what came back
        complaint, mistake = f"your answer cannot be compared: {type(error).__name__}", ""
    return place.part if complaint else "", complaint, mistake, place.notes


def _compared(remote: Remote, statements: list, task: Task, seed: int, place: _Place) -> tuple[str, str]:
    """(complaint, misconception) of the first part that is not right, or two empty texts."""
    remote.load(statements, task.kinds, [*TAKEN.get(task.exercise.id, ()), *task.exercise.taken])
    place.notes = [f"a statement of cell {cell} stopped with {kind}: {text}" for cell, kind, text in remote.notes]
    for name, part in zip(task.names, task.exercise.parts):
        place.part = part.name if len(task.exercise.parts) > 1 else ""
        if name not in remote.answers:
            return f"{name} could not be made{f': {place.notes[0]}' if place.notes else ''}", ""
        verdict = judge(part, remote.answers[name], seed, [])
        if verdict.complaint:
            return verdict.complaint, verdict.misconception
    return "", ""


def unread(task: Task, trouble: str) -> Result:
    return Result(task.exercise.id, task.exercise.title, 0.0, task.points, task.asked, f"not yet: {trouble}", "", "", "", (), 0.0)


def seed_of(exercise: Exercise | str, key: str) -> int:
    """The grading seed of an exercise (a public one by its id): other inputs than its notebook shows, on which right passes and no known mistake does."""
    exercise = find(exercise) if isinstance(exercise, str) else exercise
    for attempt in range(_SEEDS):
        seed = 1000 + int.from_bytes(hashlib.sha256(f"{key}/{exercise.id}/{attempt}".encode()).digest()[:4], "big") % 2**31
        if fair(exercise, seed):
            return seed
    raise ValueError(f"seed_of: exercise {exercise.id} is unfair with {_SEEDS} seeds, expected one on which its right answer passes and its wrong ones do not")


def fair(exercise: Exercise, seed: int) -> bool:
    """Whether the exercise's own right answer is accepted with this seed, and each of its wrong ones refused."""
    def accepted(part, answer) -> bool:
        return judge(part, answer, seed, []).complaint is None

    def whole(part, wrong):
        return part.right | wrong if part.inputs is None and isinstance(part.right, dict) else wrong
    return all(accepted(part, part.right) and not any(accepted(part, whole(part, wrong.wrong)) for wrong in part.bank.values()) for part in exercise.parts)
