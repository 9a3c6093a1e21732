"""nbgrader's own commands, typed by hand in the folder of a course laid out as ours, with our nbgrader_config.py as it is."""
from __future__ import annotations

import copy
import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade, is_locked

from grading.record import read_records
from tools.exercises import MARKS
from tools.grade import main as make_grade
from tools.running import FIXED, python_path
from tools.sources import ROOT, built_path, read_inputs, read_notebook, write_notebook

CHAPTER, CONFIG = "01_gibbs_bound", ROOT / "nbgrader_config.py"


def nbgrader(course: Path, *words: str) -> subprocess.CompletedProcess:
    """One command as an instructor types it."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=course, capture_output=True, text=True, timeout=600,
                          env=os.environ | FIXED | {"PYTHONPATH": python_path(), "PATH": programs})


def shortened(notebook):
    """The chapter up to its first exercise's check, and what it asks to write: enough to see every command at work."""
    first = next(number for number, cell in enumerate(notebook.cells) if is_grade(cell) and cell.cell_type == "code")
    notebook = copy.deepcopy(notebook)
    notebook.cells = notebook.cells[:first + 1] + [cell for cell in notebook.cells[first + 1:] if cell.cell_type == "markdown" and "nbgrader" in cell.metadata]
    return notebook


def write_class(course: Path) -> Path:
    """solutions/ and submitted/ of one short chapter; the solver's answer is the solution's, the idler's the stub."""
    course.mkdir(exist_ok=True)
    shutil.copy(CONFIG, course)
    solution = shortened(read_inputs(ROOT / f"source/solutions/{CHAPTER}.py"))
    stub = shortened(read_notebook(built_path(ROOT, "exercises", CHAPTER)))
    answers = {cell.id: cell.source for cell in solution.cells}
    solved = copy.deepcopy(stub)
    for cell in solved.cells:
        cell.source = cell.source if is_locked(cell) else answers[cell.id]
    write_notebook(solution, course / f"solutions/{CHAPTER}/{CHAPTER}.ipynb")
    for student, notebook in {"solver": solved, "idler": stub}.items():
        write_notebook(notebook, course / f"submitted/{student}/{CHAPTER}/{CHAPTER}.ipynb")
    return course


def scores(course: Path, url: str = "") -> dict[str, tuple[float, bool]]:
    """Student -> (score, whether a text waits to be read)."""
    with Gradebook(url or f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {submission.student.id: (submission.score, submission.needs_manual_grade) for submission in gradebook.assignment_submissions(CHAPTER)}


ALL = (("generate_assignment", CHAPTER), ("autograde", CHAPTER), ("generate_feedback", CHAPTER), ("export", "--to=grades.csv"))


def commands(course: Path, *options: str, wanted: tuple[tuple[str, ...], ...] = ALL) -> list[str]:
    """One after another; the complaints of those that failed."""
    done = [(words[0], nbgrader(course, *words, *options)) for words in wanted]
    return [f"{name}: {ran.stderr[-2000:]}" for name, ran in done if ran.returncode]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    made = write_class(tmp_path_factory.mktemp("nbgrader") / "course")
    assert commands(made) == []
    return made


def test_generate_assignment_writes_the_released_notebook(course):
    released = read_notebook(course / f"exercises/{CHAPTER}/{CHAPTER}.ipynb")
    ours = shortened(read_notebook(built_path(ROOT, "exercises", CHAPTER)))
    assert [(cell.cell_type, cell.source) for cell in released.cells] == [(cell.cell_type, cell.source) for cell in ours.cells]
    assert not any(mark in cell.source for mark in MARKS for cell in released.cells)


def test_autograde_gives_the_solution_full_marks_and_the_stub_none(course):
    found, checks = scores(course), sum(cell.metadata.nbgrader.points for cell in read_notebook(course / f"exercises/{CHAPTER}/{CHAPTER}.ipynb").cells if is_grade(cell) and is_locked(cell))
    assert found["solver"] == (checks, True) and checks > 0  # what is written waits for a reader
    assert found["idler"][0] == 0 and set(found) == {"solver", "idler"}
    assert (course / f"autograded/solver/{CHAPTER}/{CHAPTER}.ipynb").exists()


def test_generate_feedback_shows_what_the_check_said(course):
    pages = {student: re.sub(r"<[^>]+>", "", (course / f"feedback/{student}/{CHAPTER}/{CHAPTER}.html").read_text()) for student in ("solver", "idler")}
    assert "1.1 not yet" in pages["idler"] and "1.1 not yet" not in pages["solver"]
    assert "1.1 right" in pages["solver"] and "1.1 right" not in pages["idler"]


def test_export_writes_every_student(course):
    assert exported(course) == {student: score for student, (score, _) in scores(course).items()}


def test_after_make_grade_nbgraders_commands_go_on(tmp_path):
    """Points, feedback and gradebook of make grade, then nbgrader's feedback and export from the same gradebook."""
    made = graded_by_us(tmp_path / "course")
    ours = {record.student: record.final for record in read_records(made)}
    assert ours["solver"] > 0 == ours["idler"] and {student: score for student, (score, _) in scores(made).items()} == ours
    assert commands(made, wanted=(("generate_feedback", CHAPTER, "--force"), ALL[3])) == []
    assert exported(made) == ours
    page = (made / f"feedback/solver/{CHAPTER}/{CHAPTER}.html").read_text()
    assert "1.1 right" in re.sub(r"<[^>]+>", "", page) or "right:" in page


def graded_by_us(course: Path) -> Path:
    """The class, graded by make grade."""
    write_class(course)
    write_notebook(shortened(read_notebook(built_path(ROOT, "exercises", CHAPTER))), course / f"exercises/{CHAPTER}/{CHAPTER}.ipynb")
    assert make_grade(["--root", str(course), "--workers", "1"]) == 0
    return course


def exported(course: Path) -> dict[str, float]:
    with open(course / "grades.csv", newline="") as lines:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(lines)}
