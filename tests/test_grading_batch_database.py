"""nbgrader's gradebook says what the records say, scores by hand hold, and its own commands go on from there."""
import functools
import json
import shutil
import subprocess
import sys
from datetime import datetime, timezone

import nbformat
import pytest
from nbgrader import api

from grading.course import waiting
from grading.late import Policy
from grading.nbdatabase import Database, _own_programs
from grading.record import HAND, read_records
from tests.grading_course import STEM, TASK, TEXT, WRITTEN, WRONG, hand_in, here, with_answer  # noqa: F401 - a fixture
from tools.course import ROOT

CHECK = "check-8-2"


_version = functools.cache(api.get_alembic_version)  # a program of its own, once is enough


@pytest.fixture
def course(here, tmp_path, monkeypatch):  # noqa: F811
    """grade() with the gradebook."""
    with _own_programs():
        _version()
    monkeypatch.setattr(api, "get_alembic_version", _version)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    return lambda **wanted: {record.student: record for record in here(database=True, **wanted).records}


def book(root, read):
    """What `read` finds, given the gradebook."""
    with Database(root) as database:
        return read(database.book)


def by_hand(root, student: str, cell: str, score: float | None, words: str = "") -> None:
    """As formgrader does when somebody types a score."""
    def give(gradebook):
        grade = gradebook.find_grade(cell, STEM, STEM, student)
        grade.manual_score, grade.needs_manual_grade = score, False
        if words:
            gradebook.find_comment(TASK if cell == CHECK else cell, STEM, STEM, student).manual_comment = words
        gradebook.db.commit()
    book(root, give)


def seen(root, student: str) -> dict[str, tuple]:
    return book(root, lambda gradebook: {grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade, grade.max_score) for grade in gradebook.find_submission_notebook(STEM, STEM, student).grades})


def test_scores_comments_times_and_penalties_are_entered(course, tmp_path):
    hand_in(tmp_path, "ada", with_answer(text=TEXT), at="2026-11-23 05:00:00 UTC")
    hand_in(tmp_path, "bob", with_answer(WRONG))
    hand_in(tmp_path, "cut", "{")
    course(policy=Policy(share_per_day=0.25, deadlines={STEM: datetime(2026, 11, 22, 6, tzinfo=timezone.utc)}))
    assert seen(tmp_path, "ada") == {CHECK: (2.0, None, False, 2.0), WRITTEN: (None, None, True, 3.0)}
    assert seen(tmp_path, "bob") == {CHECK: (0.0, None, False, 2.0), WRITTEN: (0.0, None, False, 3.0)} == seen(tmp_path, "cut")

    def read(gradebook):
        ada = gradebook.find_submission_notebook(STEM, STEM, "ada")
        comment = gradebook.find_comment(TASK, STEM, STEM, "bob").comment
        return ada.score, ada.max_score, ada.late_submission_penalty, ada.needs_manual_grade, ada.assignment.timestamp, ada.assignment.total_seconds_late, comment, gradebook.find_submission_notebook(STEM, STEM, "bob").failed_tests
    score, most, penalty, needs, time, late, comment, failed = book(tmp_path, read)
    assert (score, most, penalty, needs, late, failed) == (2.0, 5.0, 0.5, True, 23 * 3600, True) and time == datetime(2026, 11, 23, 5)
    assert comment.startswith("8.2: not yet") and "Hint: " in comment


def test_scores_by_hand_hold_and_are_looked_at_again_where_the_answer_changed(course, tmp_path):
    hand_in(tmp_path, "ada", with_answer(text=TEXT))
    assert waiting(course().values()) == 1
    by_hand(tmp_path, "ada", WRITTEN, 2.0, "one step is missing")
    by_hand(tmp_path, "ada", CHECK, 1.5, "slow")
    ada = course()["ada"]
    assert (ada.points, ada.final, waiting([ada])) == (3.5, 3.5, 0) and read_records(tmp_path) == [ada]
    assert [(result.exercise, result.points, result.possible, result.feedback) for result in ada.results if result.part == HAND] == [("8.2", -0.5, 0.0, "slow"), (WRITTEN, 2.0, 3.0, "one step is missing")]
    assert course(regrade=frozenset())["ada"].points == 3.5 and seen(tmp_path, "ada")[WRITTEN] == (None, 2.0, False, 3.0)
    hand_in(tmp_path, "ada", with_answer(WRONG, TEXT))  # the check's result is another, the text the same
    assert course()["ada"].points == 3.5 and seen(tmp_path, "ada") == {CHECK: (0.0, 1.5, True, 2.0), WRITTEN: (None, 2.0, False, 3.0)}
    hand_in(tmp_path, "ada", with_answer(WRONG, "Another thought."))
    ada = course()["ada"]
    assert seen(tmp_path, "ada")[WRITTEN] == (None, 2.0, True, 3.0) and waiting([ada]) == 1 and "has changed since" in ada.results[-1].feedback
    by_hand(tmp_path, "ada", WRITTEN, None)
    by_hand(tmp_path, "ada", CHECK, None)
    assert course()["ada"].points == 0


def opened(root, student: str) -> nbformat.NotebookNode:
    path = root / f"autograded/{student}/{STEM}/{STEM}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    return notebook


def named(notebook) -> dict[str, str]:
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in notebook.cells if "nbgrader" in cell.metadata}


def test_the_notebook_for_formgrader_has_every_cell_and_runs_nothing(course, tmp_path):
    lost = with_answer(WRONG, TEXT)
    check = next(cell for cell in lost["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == CHECK)
    lost["cells"].remove(check)
    lost["cells"].insert(0, {"cell_type": "code", "metadata": {}, "source": "open('ran', 'w')", "outputs": [{"output_type": "stream", "name": "stdout", "text": "<script>"}], "id": "same", "execution_count": 1})
    lost["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "![p](attachment:p.png)", "attachments": {"p.png": {"image/png": "aaaa"}, }, "id": "same"})
    lost["cells"].insert(0, {"cell_type": "markdown", "metadata": {"nbgrader": {"grade_id": WRITTEN}}, "source": ""})
    hand_in(tmp_path, "ada", lost)
    hand_in(tmp_path, "cut", "{")
    hand_in(tmp_path, "eve", "x", name="report.pdf")
    course()
    notebook = opened(tmp_path, "ada")
    assert named(notebook)[TASK] == WRONG and named(notebook)[WRITTEN] == TEXT and "checks." in named(notebook)[CHECK] and not list(tmp_path.rglob("ran"))
    place = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    assert place.index(CHECK) == place.index(TASK) + 1
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len(outputs) == 1 and outputs[0].text.startswith("0 of 2 points. not yet") and notebook.cells[-1].attachments == {"p.png": {"image/png": "aaaa"}}
    for student, words in (("cut", "the file is damaged"), ("eve", "found report.pdf")):
        assert words in opened(tmp_path, student).cells[0].source and set(named(opened(tmp_path, student))) == {TASK, CHECK, WRITTEN}


def test_nbgraders_own_commands_go_on_from_there(course, tmp_path):
    hand_in(tmp_path, "ada", with_answer(text=TEXT), at="2026-11-23 05:00:00 UTC")
    hand_in(tmp_path, "cut", "{")
    course()
    by_hand(tmp_path, "ada", WRITTEN, 3.0)
    course()
    shutil.rmtree(tmp_path / "feedback")
    script = f"from nbgrader.apps import NbGraderApp as A; import sys; A.launch_instance(['generate_feedback', '{STEM}', '--log-level=ERROR'])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    page = (tmp_path / f"feedback/ada/{STEM}/{STEM}.html").read_text()
    assert "Score: 5.0 / 5.0" in page and "2 of 2 points" in page and (tmp_path / f"feedback/cut/{STEM}/{STEM}.html").exists()


def test_a_gradebook_that_knows_other_cells_is_said_and_points_are_kept(course, here, tmp_path):  # noqa: F811
    hand_in(tmp_path, "ada", with_answer(text=TEXT))
    course()
    path = tmp_path / f"exercises/{STEM}/{STEM}.ipynb"
    notebook = json.loads(path.read_text())
    next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == WRITTEN)["metadata"]["nbgrader"]["grade_id"] = "written-8-7"
    path.write_text(json.dumps(notebook))
    outcome = here(database=True)
    assert "nbgrader's gradebook knows other cells" in outcome.said[0] and outcome.records[0].points == 2.0
    (tmp_path / "gradebook.db").write_text("no database")
    outcome = here(database=True, regrade=frozenset())
    assert "nbgrader's gradebook could not be written" in outcome.said[0] and outcome.records[0].points == 2.0 and (tmp_path / "grades/canvas.csv").exists()
