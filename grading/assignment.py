"""What a chapter asks: its exercises as the released notebook has them, with the names that each check is called with."""
from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import NamedTuple

from deepgen_lib.checks import registered
from deepgen_lib.checks.engine import Exercise
from deepgen_lib.checks.graded import private_checks

from .notebook import read_cells
from .statements import Statement, statements_of


class Task(NamedTuple):
    exercise: Exercise
    grade_ids: tuple[str, ...]  # of the cells that the student fills in
    points: float
    names: tuple[str, ...]      # what the check is called with, one for each part
    asked: str                  # the signatures and sentences of the start
    check: str = ""             # grade_id of the grade cell

    @property
    def kinds(self) -> dict[str, str]:
        return {name: "function" if part.inputs else "value" for name, part in zip(self.names, self.exercise.parts)}


class Written(NamedTuple):
    """A derivation or a discussion: a person grades it."""
    grade_id: str
    title: str    # the heading above it
    points: float
    start: str    # what the untouched cell says


class Assignment(NamedTuple):
    tasks: tuple[Task, ...]
    statements: tuple[Statement, ...]  # of the untouched notebook: stubs, imports, helpers
    written: tuple[Written, ...] = ()


def read_assignment(path: Path) -> Assignment:
    """From a released notebook (exercises/STEM/STEM.ipynb), with the checks of the private course it lies in, else the public ones.

    Raises ValueError when a grade cell is not one call of a check.
    """
    private = private_checks(path)
    exercises = {exercise.name: exercise for exercise in (registered() if private is None else private)}
    cells, (points, by_hand), written, heading = read_cells(path), _points(path), [], ""
    statements = tuple(statement for cell in cells if cell.kind == "code" for statement in statements_of(cell)[0])
    tasks, own = [], []
    for cell in cells:
        heading = _heading(cell.source) or heading if cell.kind == "markdown" else heading
        if cell.grade_id in by_hand:
            written.append(Written(cell.grade_id, heading or cell.grade_id, by_hand[cell.grade_id], cell.source))
            continue
        if cell.grade_id not in points:
            own += [cell.grade_id] if cell.grade_id else []
            continue
        name, names = _called(cell.source, path)
        if name not in exercises or len(names) != len(exercises[name].parts):
            raise ValueError(f"read_assignment: {path.name}, cell {cell.number}: checks.{name} with {len(names)} answers, expected a check of the course and one answer for each of its parts")
        tasks.append(Task(exercises[name], tuple(own), points[cell.grade_id], names, _asked(names, statements), cell.grade_id))
        own = []
    if not tasks:
        raise ValueError(f"read_assignment: {path.name} has no grade cell, expected a released notebook of exercises/")
    return Assignment(tuple(tasks), statements, tuple(written))


def _points(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """grade_id -> points, of the cells that a check grades, and of those that a person grades."""
    about = [cell["metadata"].get("nbgrader", {}) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    graded = [nbgrader for nbgrader in about if nbgrader.get("grade") or nbgrader.get("task")]
    hand = {nbgrader["grade_id"]: float(nbgrader["points"]) for nbgrader in graded if nbgrader.get("solution") or nbgrader.get("task")}
    return {nbgrader["grade_id"]: float(nbgrader["points"]) for nbgrader in graded if nbgrader["grade_id"] not in hand}, hand


def _heading(source: str) -> str:
    """The last heading of a text cell, without its marks."""
    return next((line.lstrip("#").strip() for line in reversed(source.splitlines()) if line.startswith("#")), "")


def _called(source: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """`checks.three(f, g, h)` -> ("three", ("f", "g", "h")), the first such call of a cell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "checks":
            if all(isinstance(argument, ast.Name) for argument in node.args):
                return node.func.attr, tuple(argument.id for argument in node.args)
    raise ValueError(f"read_assignment: {path.name}: a grade cell holds {source[:60]!r}, expected checks.NAME(answer, ...)")


def _asked(names: tuple[str, ...], statements: tuple[Statement, ...]) -> str:
    """`def f(x): its sentence`, or the name of a value, for each answer."""
    lines = []
    for name in names:
        start = next((s.node for s in statements if name in s.binds), None)
        if isinstance(start, ast.FunctionDef):
            lines.append(f"{name}({ast.unparse(start.args)}): {ast.get_docstring(start) or ''}".rstrip(": "))
        else:
            lines.append(name)
    return "; ".join(lines)
