"""Hand-ins made to measure, and the sandbox that the grading tests share."""
from __future__ import annotations

import atexit
import copy
import functools
import importlib
import json
import re
import shutil
import tempfile
from pathlib import Path

import nbformat

from deepgen_lib import checks
from deepgen_lib.checks.engine import Exercise
from grading.sandbox import Limits, Sandbox, bubblewrap_refusal
from grading.score import Grader, Mark
from tools.sources import ROOT, built_path, find_sources, read_inputs, read_notebook

KEY = "a key for tests"
LIMITS = Limits(seconds=4, memory_mb=512, processes=8, file_mb=1, answer_mb=8)
SOLUTIONS = {source.stem: source for source in find_sources(kinds=("solutions",))}


def sandbox(walls: bool | None = None) -> Sandbox:
    """One for all tests of a process, with walls where there are any; the banks of wrong answers and the right ones are there as modules."""
    return _sandbox(not bubblewrap_refusal() if walls is None else walls)


@functools.cache
def _sandbox(walls: bool) -> Sandbox:
    folder = Path(tempfile.mkdtemp())
    for name, source in (("bank", ROOT / "deepgen_lib/checks"), ("right", ROOT / "tests/right_answers")):
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "bank").glob("*.py"):
        path.write_text(re.sub(r"^from \.\.(?=\w| import)", lambda dots: "from deepgen_lib" + "." * (dots.string[dots.end()] != " "), path.read_text(), flags=re.MULTILINE))
    made = Sandbox(limits=LIMITS, walls=walls, extra=(folder / "bank", folder / "right"))
    shutil.rmtree(folder)
    made.__enter__()
    atexit.register(made.__exit__)
    return made


@functools.cache
def grader(stem: str, walls: bool | None = None) -> Grader:
    return Grader(built_path(ROOT, "exercises", stem), key=KEY, sandbox=sandbox(walls))


@functools.cache
def _solved(stem: str) -> nbformat.NotebookNode:
    return read_inputs(SOLUTIONS[stem].text)


def solved(stem: str) -> nbformat.NotebookNode:
    """The chapter's exercises with the solution's code in them, as a student would hand them in."""
    notebook = copy.deepcopy(_solved(stem))
    for cell in notebook.cells:
        cell.source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", re.sub(r"### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL), flags=re.MULTILINE)
    return notebook


def released(stem: str) -> nbformat.NotebookNode:
    return read_notebook(built_path(ROOT, "exercises", stem))


def cell_of(notebook: nbformat.NotebookNode, grade_id: str) -> nbformat.NotebookNode:
    cell, = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
    return cell


def answer_with(notebook: nbformat.NotebookNode, grade_ids: tuple[str, ...], code: str) -> None:
    """Put this code in the place of everything an exercise had."""
    for grade_id, source in zip(grade_ids, [code, *[""] * len(grade_ids)]):
        cell_of(notebook, grade_id).source = source


def mark(stem: str, notebook: nbformat.NotebookNode, folder: Path, *, walls: bool | None = None) -> Mark:
    path = folder / f"{stem}.ipynb"
    path.write_text(json.dumps(notebook))  # as it is: nothing mends what a student broke
    return grader(stem, walls).mark(path)


def lost(marked: Mark) -> list[str]:
    """The exercises that did not get their points."""
    return [result.exercise for result in marked.results if result.points != result.possible]


def result_of(marked: Mark, exercise: str):
    result, = [result for result in marked.results if result.exercise == exercise]
    return result


def module_of(exercise: Exercise) -> str:
    return next(name for name in checks.chapters() if getattr(importlib.import_module(f"deepgen_lib.checks.{name}"), exercise.name, None) is exercise)


def from_bank(exercise: Exercise, names: tuple[str, ...], part: int | None = None, wrong: str = "") -> str:
    """Code that answers with the check's own answers, but in one part with a wrong one of its bank."""
    lines = [f"import bank.{module_of(exercise)} as _bank"]
    for number, name in enumerate(names):
        own = f"_bank.{exercise.name}.parts[{number}]"
        if number != part:
            lines.append(f"{name} = {own}.right")
        else:
            filled = exercise.parts[number].inputs is None and isinstance(exercise.parts[number].right, dict)
            lines.append(f"{name} = {f'{own}.right | ' if filled else ''}{own}.bank[{wrong!r}].wrong")
    return "\n".join(lines)
