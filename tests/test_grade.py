"""make grade: a right hand-in gets full marks, the stub none, hidden tests count, and the course itself is left as it is."""
import csv
import shutil
from pathlib import Path

import nbformat
import pytest

from tools.grade import grade, main

ROOT = Path(__file__).resolve().parents[1]
STEM = "01_toy"
ANSWER = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
CHECK = "assert double(2) == 4\n### BEGIN HIDDEN TESTS\nassert double(3) == 6\n### END HIDDEN TESTS"


def notebook(answer: str, check: str) -> nbformat.NotebookNode:
    about = {"schema_version": 3, "task": False}
    answer_cell, check_cell = nbformat.v4.new_code_cell(answer, id="answer"), nbformat.v4.new_code_cell(check, id="check")
    answer_cell.metadata.nbgrader = about | {"grade_id": "ex-1", "grade": False, "locked": False, "solution": True}
    check_cell.metadata.nbgrader = about | {"grade_id": "check-1", "grade": True, "locked": True, "solution": False, "points": 2}
    kernel = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=[answer_cell, check_cell], metadata=kernel)


def put(path: Path, *sources: str) -> None:
    path.parent.mkdir(parents=True)
    nbformat.write(notebook(*sources), path)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    put(tmp_path / f"solutions/{STEM}/{STEM}.ipynb", ANSWER, CHECK)
    return tmp_path


def marks(course: Path) -> dict[str, float]:
    with open(course / "grades.csv") as lines:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(lines)}


def test_marks(course):
    hand_ins = {"right": "def double(x):\n    return x + x", "stub": "def double(x):\n    raise NotImplementedError()",
                "memorised": "def double(x):\n    return 4"}  # passes the visible check alone
    for student, answer in hand_ins.items():
        put(course / f"submitted/{student}/{STEM}/{STEM}.ipynb", answer, "assert double(2) == 4")
    grade(course)
    assert marks(course) == {"right": 2.0, "stub": 0.0, "memorised": 0.0}
    assert (course / f"feedback/right/{STEM}/{STEM}.html").exists()
    assert not (course / "exercises").exists()


@pytest.mark.parametrize("handed_in, asked, words", [([], [], "no hand-in of any chapter"), ([STEM], ["02_other"], "no hand-in of 02_other")])
def test_nothing_to_mark_is_said(course, capsys, handed_in, asked, words):
    for stem in handed_in:
        put(course / f"submitted/s/{stem}/{stem}.ipynb", ANSWER, CHECK)
    assert main(["--root", str(course), *asked]) == 1
    assert words in capsys.readouterr().err


def test_a_course_that_nbgrader_refuses_fails(course, capfd):
    shutil.rmtree(course / "solutions")
    put(course / f"submitted/s/{STEM}/{STEM}.ipynb", ANSWER, CHECK)
    assert main(["--root", str(course)]) == 1
    assert "nbgrader generate_assignment failed" in capfd.readouterr().err
