"""nbgrader's gradebook on a PostgreSQL server, by nbgrader's own option; the server is a real one that the test starts."""
from __future__ import annotations

import copy
import csv
import shutil
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from tests import postgresql_server
from tests.test_nbgrader_commands import graded_by_us, nbgrader, scores
from tests.toy_course import STEM, write_course
from tools.sources import ROOT, read_inputs, write_notebook

OPTION = "\nc.CourseDirectory.db_url = {url!r}\n"
pytestmark = pytest.mark.skipif(bool(postgresql_server.missing()), reason=postgresql_server.missing() or "a server can be started")


@pytest.fixture(scope="module")
def new_database():
    with postgresql_server.server() as made:
        yield made


@pytest.fixture
def url(new_database, tmp_path):
    """An empty database for each test."""
    return new_database(tmp_path.name)


def write_toy(course: Path, url: str) -> Path:
    """The toy chapter, one hand-in of its solution, and our configuration with one line more."""
    shutil.copy(ROOT / "nbgrader_config.py", course)
    with open(course / "nbgrader_config.py", "a") as config:
        config.write(OPTION.format(url=url))
    solution = read_inputs(write_course(course) / f"source/solutions/{STEM}.py")
    write_notebook(solution, course / f"solutions/{STEM}/{STEM}.ipynb")
    write_notebook(copy.deepcopy(solution), course / f"submitted/solver/{STEM}/{STEM}.ipynb")
    return course


def test_the_gradebook_lives_on_the_server(url, tmp_path):
    course = write_toy(tmp_path, url)
    for words in (("generate_assignment", STEM), ("autograde", STEM), ("export", "--to=grades.csv")):
        done = nbgrader(course, *words)
        assert done.returncode == 0, f"{words[0]}: {done.stderr[-2000:]}"
    assert not (course / "gradebook.db").exists()
    with Gradebook(url) as gradebook:
        assert [(found.student.id, found.score, found.max_score) for found in gradebook.assignment_submissions(STEM)] == [("solver", 2, 2)]
    with open(course / "grades.csv", newline="") as lines:
        assert [(row["student_id"], row["score"]) for row in csv.DictReader(lines)] == [("solver", "2.0")]


def test_make_grade_fills_the_gradebook_on_the_server(url, tmp_path, monkeypatch):
    with_our_option = (ROOT / "nbgrader_config.py").read_text() + OPTION.format(url=url)
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/nbgrader_config.py").write_text(with_our_option)
    monkeypatch.setattr("tests.test_nbgrader_commands.CONFIG", tmp_path / "ours/nbgrader_config.py")
    course = graded_by_us(tmp_path / "course")
    assert {student: score > 0 for student, (score, _) in scores(course, url).items()} == {"solver": True, "idler": False}
    assert not (course / "gradebook.db").exists()


def test_a_server_that_is_not_there_is_noticed(url, tmp_path):
    course = write_toy(tmp_path, url.replace("host=", "host=/no/such/place"))
    assert nbgrader(course, "generate_assignment", STEM).returncode != 0
