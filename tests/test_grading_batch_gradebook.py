"""CSV gradebooks: what Canvas and Moodle need to import them, ids as they came, points of the platform, and no cell that is a formula."""
import csv
import io

import pytest

from grading.gradebook import canvas_csv, comment, defused, moodle_csv, read_roster, write_gradebooks
from grading.record import FORMAT, HAND, Record
from grading.score import Result

STEM = "08_vae"


def record(student: str, points: float, *, penalty: float = 0.0, chapter: str = STEM) -> Record:
    results = (Result("8.1", "one", points, 8.0, "", "not yet: =HYPERLINK(1)", "", "", "", (), 0.1), Result("written-8-6", "text", 0.0, 2.0, "", "", HAND, "", "", (), 0.0))
    return Record(FORMAT, student, chapter, "ab", "", 1.5 * (penalty > 0), penalty, points, points * (1 - penalty), 10.0, "", "", 0.1, "", results)


def rows(text: str) -> list[list[str]]:
    assert "\r\n" in text
    return list(csv.reader(io.StringIO(text, newline="")))


CANVAS = '\ufeffStudent,ID,SIS User ID,SIS Login ID,Integration ID,Section,"08_vae, by Friday (4711)",Other (4712),Final Score\n    Points Possible,,,,,,20.00,5,(read only)\n,,,,,,Manual Posting,,\n"Lovelace, Ada",101,S1,ada,,"A, 1",1,2,3\n"Dylan, Bob",102,S2,bob@uni.edu,,B,,,\n"=Eve",103,S3,eve,,B,,,\n'
MOODLE = 'Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Last modified (submission),Last modified (grade),Feedback comments\nParticipant 101,Ada Lovelace,ada@uni.edu,Submitted,,100.00,Yes,"Monday, 23 November 2026, 5:00 AM",-,\nParticipant 102,Bob,bob@uni.edu,No submission,7,100.00,Yes,-,-,old\n'


def roster(tmp_path, text: str, name: str = "roster.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_roster(tmp_path / name)


def test_canvas_without_a_roster():
    text, said = canvas_csv([record("101", 8.0, penalty=0.25), record("ada", 3.0), record("ada", 5.0, chapter="09_x")])
    assert rows(text) == [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", STEM, "09_x"], ["    Points Possible", "", "", "", "", "10", "10"], ["101", "101", "", "", "", "6.00", ""], ["ada", "", "", "ada", "", "3.00", "5.00"]]
    assert said == []


@pytest.mark.parametrize("student", ["101", "S1", "s1", "ada"])
def test_canvas_with_its_own_export(tmp_path, student):
    text, said = canvas_csv([record(student, 8.0), record("bob", 4.0), record("zoe", 1.0)], roster(tmp_path, CANVAS))
    header, possible, *found = rows(text)
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Section", "08_vae, by Friday (4711)"] and possible == ["    Points Possible", "", "", "", "", "", "20"]
    assert found == [["Lovelace, Ada", "101", "S1", "ada", "", "A, 1", "16.00"], ["Dylan, Bob", "102", "S2", "bob@uni.edu", "", "B", "8.00"], ["'=Eve", "103", "S3", "eve", "", "B", ""]]
    assert "no row for zoe" in said[0] and "20.00 points there, 10 here: grades are scaled" in said[1] and len(said) == 2


def test_moodle_without_a_worksheet():
    text, _ = moodle_csv([record("101", 8.0, penalty=0.25), record("ada@uni.edu", 3.0)])
    header, first, second = rows(text)
    assert {"Identifier", "Grade", "Last modified (grade)", "Feedback comments"} <= set(header)
    assert first[:6] == ["Participant 101", "", "", "", "6.00", "10.00"] and second[:5] == ["ada@uni.edu", "", "ada@uni.edu", "", "3.00"]
    assert first[-1] == "8.1: 8 of 8; written-8-6: 0 of 2; sum 8 of 10; 1.50 days late: 25 % off"


@pytest.mark.parametrize("student", ["101", "ada", "ada@uni.edu", "participant 101"])
def test_moodle_with_its_own_worksheet(tmp_path, student):
    given = rows(MOODLE.replace("\n", "\r\n"))
    text, said = moodle_csv([record(student, 8.0)], roster(tmp_path, MOODLE))
    header, ada, bob = rows(text)
    assert header == given[0] and bob == given[2]
    assert ada == [*given[1][:4], "80.00", *given[1][5:-1], comment(record(student, 8.0))] and said == ["roster.csv: 100.00 points there, 10 here: grades are scaled"]


def test_semicolons_are_read_and_an_id_of_two_students_is_nobodys(tmp_path):
    found = roster(tmp_path, "Student;ID;SIS User ID;SIS Login ID;Section\nAda;1;x;ada@a.edu;S\nBob;2;x;ada@b.edu;S\n")
    assert found.of == {"1": 0, "2": 1, "ada@a.edu": 0, "ada@b.edu": 1}
    _, said = canvas_csv([record("x", 1.0)], found)
    assert "no row for x" in said[0]


def test_files_are_written_and_each_worksheet_is_used_for_its_chapter(tmp_path):
    worksheets = [roster(tmp_path, MOODLE, f"Grades {STEM}.csv"), roster(tmp_path, MOODLE.replace("100.00", "10.00"), "Grades 09_x.csv")]
    files, _ = write_gradebooks(tmp_path, [record("101", 8.0), record("102", 5.0, chapter="09_x")], worksheets)
    assert [path.name for path in files] == ["canvas.csv", "moodle_08_vae.csv", "moodle_09_x.csv"]
    grades = [[row[4] for row in rows(path.read_bytes().decode())[1:]] for path in files[1:]]
    assert grades == [["80.00", "7"], ["", "5.00"]]


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "=HYPERLINK(\"x\")"], ids=range(9))
def test_formulas_are_defused(cell):
    assert defused(cell).startswith("'")
    assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows(canvas_csv([record(cell, 1.0)])[0]) for value in row)


@pytest.mark.parametrize("cell", ["ada", "-1.5", "+3", "12.00", "-", "", "a=b", "ada@uni.edu", "José"])
def test_other_cells_stay(cell):
    assert defused(cell) == cell


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "Student,Name\nx,y\n", "Identifier,Grade\n1,2\n"], ids=range(4))
def test_another_file_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match="read_roster: roster.csv begins with .* expected the gradebook that Canvas exports"):
        roster(tmp_path, text)
    with pytest.raises(ValueError, match="read_roster: none.csv cannot be read"):
        read_roster(tmp_path / "none.csv")
