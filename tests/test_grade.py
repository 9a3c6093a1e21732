"""make grade, the command: zip in, points, summary and gradebooks out, in plain words; what cannot be met is said before anything is graded."""
import csv
import re
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from grading import batch
from grading.record import read_records
from tests.grading_course import POLICY, STEM, TEXT, WRONG, Here, hand_in, small_course, with_answer
from tools import grade
from tools.course import ROOT


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(batch, "Pool", Here)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    for name in ("DEEPGEN_KEY", "DEEPGEN_PRIVATE"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    small_course(tmp_path)
    return tmp_path


def run(course: Path, *arguments: str) -> int:
    return grade.main(["--root", str(course), "--seconds", "4", "--memory-mb", "512", *arguments])


def test_from_a_download_to_gradebooks(course, capsys):
    with zipfile.ZipFile(course / f"{STEM} submissions.zip", "w") as archive:
        for name, answer in (("adalovelace_11_901_08_vae-1.ipynb", with_answer(text=TEXT)), ("bobdylan_LATE_12_902_08_vae.ipynb", with_answer(WRONG))):
            path = hand_in(course / "made", "x", answer)
            archive.write(path, name)
        archive.writestr("../escape.ipynb", "{}")
    assert run(course, "--zip", str(course / f"{STEM} submissions.zip")) == 0
    said = capsys.readouterr().out
    for words in ("2 hand-ins new or changed", "its path leads out of the folder", "Graded 2 of 2 hand-ins", "Isolation: ", "1 derivations and discussions wait", f"cd {course} && ", f'make grade ARGS="--root {course}" again', "Look at  12 08_vae: the platform marks this as handed in late"):
        assert words in said, said
    with open(course / "grades/canvas.csv", encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows == [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", STEM], ["    Points Possible", "", "", "", "", "5"], ["11", "11", "", "", "", "2.00"], ["12", "12", "", "", "", "0.00"]]
    for name in (f"feedback/11/{STEM}/{STEM}.html", f"autograded/12/{STEM}/{STEM}.ipynb", f"grades/moodle_{STEM}.csv", "gradebook.db", "grades/.key"):
        assert (course / name).exists(), name
    assert run(course, "08", "--zip", str(course / f"{STEM} submissions.zip")) == 0
    said = capsys.readouterr().out
    assert "0 hand-ins new or changed, 2 as before" in said and "Graded 0 of 2 hand-ins; 2 were graded before" in said


def test_a_late_policy_and_a_regrade_that_changes_points_are_shown(course, capsys):
    hand_in(course, "ada", with_answer(WRONG), at="2026-11-23 05:00:00 UTC")
    (course / "grades").mkdir()
    (course / "grades/late.toml").write_text("".join(f"{key} = {value}\n" for key, value in POLICY.items()) + f"[deadlines]\n{STEM} = 2026-11-22T05:00:00+00:00\n")
    assert run(course, "--no-database") == 0 and "1 late" in capsys.readouterr().out
    hand_in(course, "ada", with_answer())
    assert run(course, "--no-database", "--regrade", "ada") == 0
    assert "Changed: ada 08_vae: 0 -> 2" in capsys.readouterr().out
    record, = read_records(course)
    assert (record.points, record.penalty, record.final) == (2.0, 0.25, 1.5)


@pytest.mark.parametrize("handed_in, arguments, words", [
    (False, (), "no hand-in of any chapter"), (True, ("99",), "'99' is no chapter"), (True, ("09",), "no hand-in of 09_vqvae_losses; expected submitted/STUDENT/CHAPTER/CHAPTER.ipynb, found 08_vae"), (True, ("--workers", "0"), "expected numbers above 0"), (True, ("--seconds", "-1"), "expected numbers above 0"),
    (True, ("--zip", "{root}/none.zip"), "is no zip"), (True, ("--late", "{root}/none.toml"), "none.toml cannot be read"), (True, ("--roster", "{root}/nbgrader_config.py"), "expected the gradebook that Canvas exports"),
    (True, ("--released", "{root}/grades"), "holds no CHAPTER/CHAPTER.ipynb"), (True, ("--regrade", "zoe"), "zoe handed nothing in"),
], ids=range(10))
def test_what_cannot_be_met_is_said_and_nothing_is_graded(course, capsys, handed_in, arguments, words):
    if handed_in:
        hand_in(course, "ada", with_answer())
    assert run(course, *(argument.format(root=course) for argument in arguments)) == 1
    assert words in capsys.readouterr().err and not list(course.glob("grades/*/*.json"))


def test_a_stopped_run_says_so(course, capsys, monkeypatch):
    monkeypatch.setattr(grade, "grade_course", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(course) == grade.STOPPED and "make grade goes on from here" in capsys.readouterr().err


def test_the_private_course_comes_first_where_it_has_the_chapter(course, monkeypatch):
    small_course(course / "mine")
    assert grade.released_notebooks(course)[STEM] == course / f"exercises/{STEM}/{STEM}.ipynb"
    monkeypatch.setenv("DEEPGEN_PRIVATE", str(course / "mine"))
    found = grade.released_notebooks(course)
    assert found[STEM] == course / f"mine/exercises/{STEM}/{STEM}.ipynb" and found["02_rbm"] == ROOT / "exercises/02_rbm/02_rbm.ipynb"


def test_formgrader_is_opened_in_the_folder_that_was_graded(tmp_path):
    """make lab would show the clone's course; JupyterLab shows that of the folder it is started in, whose name may have spaces."""
    assert "(make lab)" in grade._by_hand(ROOT) and "cd " not in grade._by_hand(ROOT)
    course = tmp_path / "my private course"
    said = grade._by_hand(course)
    folder, jupyter = shlex.split(said.split("type  cd ")[1].split(" lab  and")[0])[::2]
    assert folder == str(course) and jupyter == str(Path(sys.executable).with_name("jupyter")) and "make lab" not in said
    again, = re.findall(r'make (grade) ARGS="([^"]*)" again', said)
    assert grade._parser().parse_args(shlex.split(again[1])).root == course
