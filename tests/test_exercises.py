"""The exercises of every chapter: the solution gets full marks, the released stub none, and nothing of the solution is released."""
from __future__ import annotations

import copy
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import determine_grade, is_grade, is_locked, is_solution

from tests.toy_course import STEM, write_course
from tools.exercises import course_config, leaks, release, secret_lines
from tools.running import execute, python_path
from tools.sources import ROOT, built_path, find_sources, read_inputs, read_notebook, write_notebook

SOLUTIONS = {source.stem: source for source in find_sources(kinds=("solutions",))}


@pytest.fixture(params=SOLUTIONS)
def stem(request):
    return request.param


def test_every_chapter_has_exercises():
    assert {"01_gibbs_bound", "02_rbm", "03_log_z"} <= set(SOLUTIONS)


def test_a_chapter_has_four_exercises_with_points_and_a_hidden_test(stem):
    cells = graded(read_inputs(SOLUTIONS[stem].text))
    assert len(cells) >= 4 and all(cell.metadata.nbgrader.points > 0 for cell in cells)
    assert [cell.id for cell in cells if "### BEGIN HIDDEN TESTS" not in cell.source] == []


def test_the_solution_gets_full_marks(stem):
    """From the outputs as stored; nbval compares them with a fresh run."""
    marks = marks_of(read_notebook(SOLUTIONS[stem].built))
    assert all(got == points > 0 for got, points in marks.values()), marks


def test_the_released_stub_gets_nothing(stem, tmp_path):
    marks = marks_of(execute(with_hidden_tests(read_notebook(built_path(ROOT, "exercises", stem)), stem), tmp_path, allow_errors=True))
    assert all(got == 0 < points for got, points in marks.values()), marks


def test_nothing_of_the_solution_is_released(stem):
    solution, released = read_inputs(SOLUTIONS[stem].text), read_notebook(built_path(ROOT, "exercises", stem))
    assert len(secret_lines(solution)) >= len(graded(solution))
    assert leaks(solution, released) == []
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in released.cells)


@pytest.mark.parametrize("leak", ["# as in {line}", "{line}", "    {line}  # by mistake"])
def test_a_planted_leak_is_found(leak, tmp_path):
    solution = read_inputs(write_course(tmp_path) / f"source/solutions/{STEM}.py")
    for line in secret_lines(solution):
        released = release(STEM, solution, root=tmp_path)
        assert leaks(solution, released) == []
        released.cells[0].source += "\n" + leak.format(line=line)
        assert leaks(solution, released) == [f"cell 01-toy-001 holds the solution's line {line!r}"]


@pytest.mark.parametrize("place, found", [
    (lambda cell, line: cell.metadata.update(note=[f"see {line}"]), ["holds the solution's line"]),
    (lambda cell, line: cell.update(outputs=[{"output_type": "stream", "name": "stdout", "text": line}]), ["holds what a run left", "holds the solution's line"]),
    (lambda cell, line: cell.update(outputs=[{"output_type": "stream", "name": "stdout", "text": "0.693"}]), ["holds what a run left"]),
    (lambda cell, line: cell.update(execution_count=3), ["holds what a run left"]),
], ids=["metadata", "output", "result", "count"])
def test_a_leak_outside_the_text_is_found(place, found, tmp_path):
    solution = read_inputs(write_course(tmp_path) / f"source/solutions/{STEM}.py")
    hidden = secret_lines(solution)[-1]
    assert "1.0, 0.0" in hidden  # of the hidden test
    released = release(STEM, solution, root=tmp_path)
    cell = next(cell for cell in released.cells if cell.cell_type == "code")
    place(cell, hidden)
    assert [problem.split(" ", 2)[2].partition(" line")[0] for problem in leaks(solution, released)] == [words.partition(" line")[0] for words in found]


def test_nothing_but_the_notebooks_is_released():
    assert {path.relative_to(ROOT / "exercises").as_posix() for path in (ROOT / "exercises").rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts} == {
        f"{stem}/{stem}.ipynb" for stem in SOLUTIONS if built_path(ROOT, "exercises", stem).exists()}


def test_a_mark_that_stays_is_a_leak(tmp_path):
    solution = read_inputs(write_course(tmp_path) / f"source/solutions/{STEM}.py")
    assert {problem.split("'")[1] for problem in leaks(solution, solution) if "the mark" in problem} == {
        "BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"}


# ---- nbgrader itself, with its database and its own kernels

def test_nbgrader_gives_the_solution_full_marks_and_the_stub_none(tmp_path, monkeypatch):
    """On the small course; test_nbgrader_commands.py does it on a chapter, with the commands that an instructor types."""
    monkeypatch.setenv("PYTHONPATH", python_path())
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))  # nbgrader calls alembic by name
    solution = read_inputs(write_course(tmp_path / "toy") / f"source/solutions/{STEM}.py")
    total = sum(cell.metadata.nbgrader.points for cell in graded(solution))
    assert nbgrader_marks(tmp_path / "course", STEM, solution) == {"solver": (total, total, False), "idler": (0, total, False)}


def nbgrader_marks(course: Path, chapter: str, solution: NotebookNode) -> dict[str, tuple[float, float, bool]]:
    """Student -> (score, maximum, whether texts wait to be read).  The solver hands in the solution's code, the idler the exercise as it came."""
    config = course_config(course, chapter)
    write_notebook(solution, course / "solutions" / chapter / f"{chapter}.ipynb")
    run_converter(GenerateAssignment, config)
    stub = read_notebook(course / "exercises" / chapter / f"{chapter}.ipynb")
    for student, notebook in {"idler": stub, "solver": with_code_of(solution, stub)}.items():
        write_notebook(notebook, course / "submitted" / student / chapter / f"{chapter}.ipynb")
    run_converter(Autograde, config)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        submissions = gradebook.assignment_submissions(chapter)
        return {submission.student.id: (submission.score, submission.max_score, submission.needs_manual_grade) for submission in submissions}


def run_converter(converter_class, config):
    converter = converter_class(coursedir=CourseDirectory(config=config), config=config)
    converter.log = logging.getLogger("nbgrader of test_exercises")
    converter.log.setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # nbgrader's own
        converter.start()


def with_code_of(solution: NotebookNode, stub: NotebookNode) -> NotebookNode:
    """The stub with its answers filled in."""
    sources = {cell.id: cell.source for cell in solution.cells}
    filled = copy.deepcopy(stub)
    for cell in filled.cells:
        cell.source = cell.source if is_locked(cell) else sources[cell.id]
    return filled


# ---- the same, cell by cell

def with_hidden_tests(released: NotebookNode, stem: str) -> NotebookNode:
    """As when marked: the grade cells are the instructor's again."""
    sources = {cell.id: cell.source for cell in graded(read_inputs(SOLUTIONS[stem].text))}
    for cell in released.cells:
        cell.source = sources.get(cell.id, cell.source)
    return released


def graded(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if is_grade(cell) and not is_solution(cell)]


def written(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells whose text a person reads."""
    return [cell for cell in notebook.cells if is_grade(cell) and is_solution(cell)]


def marks_of(notebook: NotebookNode) -> dict[str, tuple[float, float]]:
    """Grade cell -> (points, maximum), by nbgrader's rule."""
    marks = {cell.id: determine_grade(cell) for cell in graded(notebook)}
    assert marks, "no grade cell"
    return marks
