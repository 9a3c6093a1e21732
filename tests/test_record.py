"""The student's file: where it lies, several kernels at once, damage, folders without leave, and that nothing leaves the machine."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepgen_lib import record

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def empty_memory(monkeypatch):
    monkeypatch.setattr(record, "_pending", {table: {} for table in record.TABLES})
    record._beside.cache_clear()
    yield
    record._beside.cache_clear()


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "work" / record.FILE))
    return tmp_path / "work" / record.FILE


def content(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


# --- where

@pytest.fixture
def course(tmp_path):
    """A checkout, and in it the student's folder."""
    for folder in ("work/notebooks", "work/exercises/01_a", "notebooks", "exercises/01_a", "solutions/01_a", "autograded/ann/01_a"):
        (tmp_path / "course" / folder).mkdir(parents=True)
    (tmp_path / "course/work" / record.HANDED_OUT).write_text("{}")
    return tmp_path / "course"


@pytest.mark.parametrize("folder", ["work", "work/notebooks", "work/exercises/01_a", "notebooks", "exercises/01_a", "."])
def test_every_chapter_of_the_course_has_the_same_file(course, folder):
    assert record.locate((course / folder).resolve(), course) == (course / "work" / record.FILE, True)


@pytest.mark.parametrize("folder", ["solutions/01_a", "autograded/ann/01_a"])
def test_a_folder_of_the_instructor_is_none_of_the_students(course, folder):
    assert record.locate(course / folder, course) == (course / folder / record.FILE, False)


def test_elsewhere_the_file_lies_beside_the_notebook_or_above(tmp_path, course):
    deep = tmp_path / "home/mine/01"
    deep.mkdir(parents=True)
    assert record.locate(deep, course) == (deep / record.FILE, False)
    (tmp_path / "home" / record.FILE).write_text("{}")
    assert record.locate(deep, course) == (tmp_path / "home" / record.FILE, False)


def test_the_mark_of_the_students_folder_is_the_one_that_is_made():
    from tools.workspace import MANIFEST
    assert record.HANDED_OUT == MANIFEST


def test_a_script_writes_nothing_and_a_notebook_does(course, monkeypatch):
    monkeypatch.delenv(record.VARIABLE, raising=False)
    monkeypatch.chdir(course / "work/notebooks")
    record.note("claims", "B1", holds=True)
    assert record.where() is None and not (course / "work" / record.FILE).exists() and record.entry("claims", "B1") == {"holds": True}
    monkeypatch.setattr(record, "in_notebook", lambda: True)
    record.note("claims", "B2", holds=True)
    assert content(course / "work" / record.FILE)["claims"] == {"B1": {"holds": True}, "B2": {"holds": True}}


def test_elsewhere_nothing_is_written_before_a_prediction(tmp_path, monkeypatch):
    monkeypatch.delenv(record.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(record, "in_notebook", lambda: True)
    record.note("claims", "B1", holds=True)
    record.note("predictions", "1.a", seen=True)
    assert not list(tmp_path.iterdir()) and record.is_waiting()
    record.note("predictions", "1.a", chose="up")
    assert content(tmp_path / record.FILE) == {"claims": {"B1": {"holds": True}}, "exercises": {}, "predictions": {"1.a": {"seen": True, "chose": "up"}}}
    assert not record.is_waiting()


def test_off_keeps_it_in_memory(tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, "off")
    monkeypatch.chdir(tmp_path)
    record.note("predictions", "1.a", chose="up")
    assert not list(tmp_path.iterdir()) and record.entry("predictions", "1.a") == {"chose": "up"}


def test_builds_and_validation_are_off():
    from tools.running import FIXED
    assert FIXED[record.VARIABLE] == "off" and all("FIXED" in (ROOT / "tools" / name).read_text() for name in ("running.py", "nbval_tolerance.py"))


# --- what

def test_facts_are_added_and_the_rest_of_the_file_stays(file):
    file.parent.mkdir()
    file.write_text('{"claims": {"B1": {"holds": true}}, "from a later version": [1]}')
    record.note("claims", "B1", again=1)
    record.note("claims", "B1", again=2)
    assert content(file) == {"claims": {"B1": {"holds": True, "again": 2}}, "from a later version": [1], "predictions": {}, "exercises": {}}


def test_a_known_fact_is_not_written_again(file):
    record.note("claims", "B1", holds=True)
    before = file.stat().st_mtime_ns
    os.utime(file, ns=(before - 10**9, before - 10**9))
    record.note("claims", "B1", holds=True)
    assert file.stat().st_mtime_ns == before - 10**9


def test_another_kernels_later_word_is_not_undone(file):
    record.note("predictions", "1.a", chose="up")
    stored = content(file)
    stored["predictions"]["1.a"]["chose"] = "down"  # as another kernel writes it
    file.write_text(json.dumps(stored))
    record.note("claims", "B1", holds=True)
    assert record.entry("predictions", "1.a") == {"chose": "down"} == content(file)["predictions"]["1.a"]


WRITER = "import sys; from deepgen_lib import record\nfor i in range(30): record.note('claims', f'{sys.argv[1]}-{i}', holds=True)"


def test_several_kernels_at_once_lose_nothing(file):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name], cwd=ROOT) for name in "abc"]
    assert [writer.wait(300) for writer in writers] == [0, 0, 0]
    assert len(content(file)["claims"]) == 90
    assert {path.name for path in file.parent.iterdir()} <= {file.name, f".{file.name}.lock"}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", '{"claims": [1]}', '{"claims": {"B1": 3}}', '{"predictions": null}', "[" * 100_000], ids=range(8))
def test_a_damaged_file_is_put_aside_and_that_is_said(text, file, capsys):
    file.parent.mkdir()
    for aside in ("progress.damaged.json", "progress.damaged-2.json"):
        file.write_text(text)
        assert record.is_damaged(file) and record.everything() == {table: {} for table in record.TABLES}
        record.note("claims", aside, holds=True)
        assert f"progress.json was damaged and could not be read: it is called {aside} now" in capsys.readouterr().out
        assert (file.parent / aside).read_text() == text and content(file)["claims"] == {aside: {"holds": True}}


def test_bytes_that_are_no_text_are_damage(file):
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe\x00")
    record.note("claims", "B1", holds=True)
    assert content(file)["claims"] == {"B1": {"holds": True}}


def test_a_folder_without_leave_is_no_error_and_later_all_goes_in(tmp_path, monkeypatch):
    (tmp_path / "closed").write_text("no folder")
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "closed" / record.FILE))
    record.note("claims", "B1", holds=True)
    assert record.entry("claims", "B1") == {"holds": True} and record.is_waiting()
    (tmp_path / "closed").unlink()
    record.note("claims", "B2", holds=True)
    assert set(content(tmp_path / "closed" / record.FILE)["claims"]) == {"B1", "B2"} and not record.is_waiting()


def test_a_draft_that_fails_leaves_the_file_whole(file, monkeypatch):
    record.note("claims", "B1", holds=True)
    before = file.read_text()

    def full_disk(*_):
        raise OSError("No space left on device")
    monkeypatch.setattr(record.os, "replace", full_disk)
    record.note("claims", "B2", holds=True)
    assert file.read_text() == before and record.entry("claims", "B2") == {"holds": True}


# --- nothing leaves the machine

STUDENT = """
import sys
touched = []
sys.addaudithook(lambda event, args: touched.append(event) if event.startswith(("socket.", "urllib.", "http.", "smtplib.", "ftplib.", "subprocess.", "os.system", "webbrowser.")) else None)
from deepgen_lib import checks, claim, predict, predict_number, reveal
predict("0.b", "Which?", ["a", "b", "c"]).widget().children[-1].value = 1
predict_number("1.z", "How far?").widget().children[-1].children[0].value = "3"
reveal("0.b", 1); reveal("1.z", 3.0); claim("Example", 0.0, below=1)
checks.n_states(lambda n_visible, n_hidden: 2 ** (n_visible + n_hidden))
{more}
assert not touched, touched
"""


def student(file: Path, more: str = "") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", STUDENT.replace("{more}", more)], cwd=ROOT, env=os.environ | {record.VARIABLE: str(file)}, capture_output=True, text=True, timeout=300)


def test_nothing_leaves_the_machine(file):
    ran = student(file)
    assert ran.returncode == 0, ran.stderr
    assert content(file)["predictions"]["0.b"] == {"chose": "b", "seen": True, "right": True}  # it did write


def test_a_call_home_would_be_seen(file):
    ran = student(file, "import socket; socket.socket().close()")
    assert "socket.__new__" in ran.stderr and ran.returncode != 0
