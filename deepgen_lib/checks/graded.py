"""Checks of a private course: found where the instructor keeps them, and what stands in their place everywhere else.

A graded notebook begins with `checks = graded("02_rbm")`. On the instructor's machine, where DEEPGEN_PRIVATE names the private course,
these are its checks; a student has none of them, and is told so: an answer is looked at once it is handed in.
"""
from __future__ import annotations

import os
import re
import runpy
from pathlib import Path

from .engine import Exercise, NotYet

FOLDER = "DEEPGEN_PRIVATE"  # in the environment


def graded(chapter: str):
    """The checks of a graded chapter, as attributes.  Raises ValueError for what is no chapter's name."""
    if not (isinstance(chapter, str) and re.fullmatch(r"\d\d_\w+", chapter)):
        raise ValueError(f"graded: chapter is {chapter!r}, expected a name such as '02_rbm'; write it as the notebook's file is called")
    folder = os.environ.get(FOLDER)
    file = Path(folder).expanduser() / "checks" / f"{chapter}.py" if folder else None
    return _Checks(load_checks(file) if file and file.is_file() else None)


def private_checks(notebook: Path) -> tuple[Exercise, ...] | None:
    """The exercises of the private course that a notebook ROOT/exercises/STEM/STEM.ipynb lies in; None when ROOT holds no checks/."""
    notebook = Path(notebook).resolve()
    folder = notebook.parents[min(2, len(notebook.parents) - 1)] / "checks"
    return load_checks(folder / f"{notebook.stem}.py") if folder.is_dir() else None


def load_checks(file: Path) -> tuple[Exercise, ...]:
    """The exercises that a file of private checks holds.  Raises ValueError when there is none, without a word of what the file says."""
    if not file.is_file():
        raise ValueError(f"load_checks: there is no {file.parent.name}/{file.name} in the private course, expected the checks of this chapter; make them: make private")
    try:
        found = runpy.run_path(str(file))
    except Exception as error:
        line = getattr(error, "lineno", None) or _line(error, file)
        raise ValueError(f"load_checks: {file.parent.name}/{file.name} stopped with {type(error).__name__} (line {line}), expected a file that runs; mend it") from None
    exercises = tuple(value for value in found.values() if isinstance(value, Exercise))
    if not exercises:
        raise ValueError(f"load_checks: {file.parent.name}/{file.name} holds no Exercise, expected one or more; make the file anew: make private")
    return exercises


class _Checks:
    """Real checks, or for a student a sentence in the place of each."""

    def __init__(self, exercises: tuple[Exercise, ...] | None):
        self._exercises = exercises

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        if self._exercises is None:
            return lambda *answers, **_: _later(name, answers)
        for exercise in self._exercises:
            if exercise.name == name:
                return exercise
        raise AttributeError(f"the private course has no check {name!r} in this chapter")


def _later(name: str, answers: tuple) -> None:
    if any(answer is None or answer is Ellipsis for answer in answers):
        raise NotYet(f"{name}: not written yet, there is no answer to hand in")
    print(f"{name}: an answer is there. This exercise is graded: what it returns is looked at once you hand in.")


def _line(error: BaseException, file: Path) -> int:
    """Where in the file it happened."""
    trace, line = error.__traceback__, 0
    while trace:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
