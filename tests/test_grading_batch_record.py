"""A record comes back as it was written; a damaged one is refused by name; nobody ever sees half a file."""
import json
import os

import pytest

from grading.record import Record, is_name, read_record, read_records, record_path, write_record
from grading.score import Result

RESULT = Result("1.1", "entropy", 2.0, 2.0, "entropy(q)", "right: yes, ½ ≤ 1", "", "", "", ("found in cell 3",), 0.25)
RECORD = Record(1, "ada", "01_gibbs_bound", "ab12", "2026-11-23T05:00:00+00:00", 1.5, 0.1, 2.0, 1.8, 4.0, "", "bubblewrap", 0.5, "1.0 ab12", (RESULT, RESULT._replace(exercise="1.2", notes=())))


def test_a_record_comes_back_as_it_was(tmp_path):
    path = record_path(tmp_path, "01_gibbs_bound", "ada")
    write_record(path, RECORD)
    assert read_record(path) == RECORD and os.listdir(path.parent) == ["ada.json"]
    write_record(path, RECORD._replace(trouble="an odd \ud800 letter"))
    assert "odd" in read_record(path).trouble


def test_records_are_sorted_and_one_chapter_can_be_asked_for(tmp_path):
    for chapter, student in (("02_rbm", "ada"), ("01_gibbs_bound", "zoe"), ("01_gibbs_bound", "ada")):
        write_record(record_path(tmp_path, chapter, student), RECORD._replace(chapter=chapter, student=student))
    (tmp_path / "grades/02_rbm/.new-x.json").write_text("{")  # left by a killed writer
    assert [(r.chapter, r.student) for r in read_records(tmp_path)] == [("01_gibbs_bound", "ada"), ("01_gibbs_bound", "zoe"), ("02_rbm", "ada")]
    assert len(read_records(tmp_path, chapter="02_rbm")) == 1 and read_records(tmp_path / "none") == []


@pytest.mark.parametrize("damage", [
    lambda text: text[: len(text) // 2], lambda text: "", lambda text: "[1]", lambda text: text.replace('"format": 1', '"format": 2'), lambda text: text.replace('"points": 2.0', '"points": NaN', 1),
    lambda text: text.replace('"penalty": 0.1', '"penalty": -3'), lambda text: text.replace('"student": "ada"', '"student": "../ada"'), lambda text: text.replace('"title"', '"tittle"'),
    lambda text: text.replace('"student": "ada"', '"student": 3'), lambda text: text.replace('"seconds": 0.25', '"seconds": "long"'),
], ids=range(10))
def test_a_damaged_record_is_refused_by_name(damage, tmp_path):
    path = record_path(tmp_path, "01_gibbs_bound", "ada")
    write_record(path, RECORD)
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(ValueError, match="read_record: ada.json is no record"):
        read_records(tmp_path)


def test_a_write_that_fails_leaves_the_old_record_and_nothing_else(tmp_path):
    path = record_path(tmp_path, "01_gibbs_bound", "ada")
    write_record(path, RECORD)
    with pytest.raises(ValueError):
        write_record(path, RECORD._replace(points=float("nan")))
    assert read_record(path) == RECORD and os.listdir(path.parent) == ["ada.json"] and json.loads(path.read_text())["format"] == 1


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "a\0b", "a\nb", "x" * 121, "end.", "end ", " a"])
def test_names_that_leave_a_folder_are_refused(name, tmp_path):
    assert not is_name(name)
    with pytest.raises(ValueError, match="record_path: student"):
        record_path(tmp_path, "01_gibbs_bound", name)


@pytest.mark.parametrize("name", ["ada", "José García", "ada@uni.edu", "s-1_2.3", "12345", "李明"])
def test_names_of_people_are_fine(name):
    assert is_name(name)
