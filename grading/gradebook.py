"""Gradebooks that Canvas and Moodle import: grades/canvas.csv, and grades/moodle_CHAPTER.csv for each chapter.

    Canvas   Student, ID, SIS User ID, SIS Login ID, Section, then a column per chapter; a row of the points possible
    Moodle   the grading worksheet: Identifier, Full name, Email address, Status, Grade, Maximum Grade, ..., Feedback comments

A roster is what the platform exports (Canvas: the gradebook; Moodle: the grading worksheet). With one, ids, names and columns come back
as they were and grades are scaled to the points that the platform has; a student is found by any id of a row, or by the e-mail.
No cell can be taken for a formula by a spreadsheet.
"""
from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .record import Record, write_whole

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = ("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed", "Last modified (grade)", "Feedback comments")
_POINTS, _NUMBER = "    Points Possible", re.compile(r"[+-]?\d+([.,]\d+)?")
_MOODLE_IDS = ("Identifier", "ID number", "Username", "Email address")


class Roster(NamedTuple):
    kind: str                    # "canvas" or "moodle"
    name: str                    # of the file
    header: list[str]
    rows: list[list[str]]        # of students
    possible: dict[str, str]     # Canvas: header -> points
    of: dict[str, int]           # student's id in lower case -> row


def read_roster(path: Path) -> Roster:
    """Raises ValueError when the file is neither export."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        first = text.split("\n", 1)[0]
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",") if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"read_roster: {Path(path).name} cannot be read ({error}), expected a CSV file in UTF-8; export it again") from None
    header = lines[0] if lines else []
    lines = [row + [""] * (len(header) - len(row)) for row in lines[1:]]
    if header[:2] == ["Student", "ID"] and "Section" in header:
        students = [row for row in lines if "Points Possible" not in row[0] and (row[header.index("ID")] or row[0].strip()) and not re.fullmatch(r"\s*(Muted|Manual Posting)?\s*", "".join(row))]
        possible = next((dict(zip(header, row)) for row in lines if "Points Possible" in row[0]), {})
        ids = [column for column in CANVAS[1:4] if column in header]
        return Roster("canvas", Path(path).name, header, students, possible, _rows_by_id(header, students, ids))
    if {"Identifier", "Grade", "Last modified (grade)"} <= set(header):
        return Roster("moodle", Path(path).name, header, lines, {}, _rows_by_id(header, lines, [column for column in _MOODLE_IDS if column in header]))
    raise ValueError(f"read_roster: {Path(path).name} begins with {', '.join(header[:5]) or 'nothing'}; expected the gradebook that Canvas exports (Student, ID, ..., Section), "
                     "or Moodle's grading worksheet in English (Identifier, ..., Grade, ..., Last modified (grade))")


def _rows_by_id(header: list[str], rows: list[list[str]], columns: list[str]) -> dict[str, int]:
    """Every id of a row -> its number; what stands for two students stands for none, and the first columns are surest."""
    found: dict[str, int] = {}
    for column in columns:
        here: dict[str, set[int]] = {}
        for number, row in enumerate(rows):
            value = row[header.index(column)].strip().lower()
            for name in {value, value.removeprefix("participant "), value.split("@")[0]} - {""}:
                here.setdefault(name, set()).add(number)
        found |= {name: min(numbers) for name, numbers in here.items() if len(numbers) == 1 and name not in found}
    return found


def write_gradebooks(root: Path, records: list[Record], rosters: Iterable[Roster] = ()) -> tuple[list[Path], list[str]]:
    """Write all files.  -> where they are, and what an instructor should know."""
    canvas = next((roster for roster in rosters if roster.kind == "canvas"), None)
    moodle = [roster for roster in rosters if roster.kind == "moodle"]
    text, said = canvas_csv(records, canvas)
    files = [Path(root) / "grades" / "canvas.csv"]
    write_whole(files[0], text)
    for chapter in sorted({record.chapter for record in records}):
        own = next((roster for roster in moodle if chapter in roster.name), moodle[0] if len(moodle) == 1 and not any(one.chapter in moodle[0].name for one in records) else None)
        text, more = moodle_csv([record for record in records if record.chapter == chapter], own)
        files.append(Path(root) / "grades" / f"moodle_{chapter}.csv")
        write_whole(files[-1], text)
        said += more
    return files, said


def canvas_csv(records: list[Record], roster: Roster | None = None) -> tuple[str, list[str]]:
    """The text of the file, and what an instructor should know."""
    chapters = sorted({record.chapter for record in records})
    possible = {chapter: max(record.possible for record in records if record.chapter == chapter) for chapter in chapters}
    final = {(record.student, record.chapter): record.final for record in records}
    students = sorted({record.student for record in records})
    if roster is None:
        rows = [[student, student if student.isdigit() else "", "", "" if student.isdigit() else student, ""] + [_grade(final.get((student, chapter))) for chapter in chapters] for student in students]
        return _text([[*CANVAS, *chapters], [_POINTS, "", "", "", "", *(f"{possible[chapter]:g}" for chapter in chapters)], *rows]), []
    width = roster.header.index("Section") + 1
    titles = {chapter: next((title for title in roster.header[width:] if chapter in title), chapter) for chapter in chapters}
    scale = {chapter: _scale(roster.possible.get(titles[chapter], ""), possible[chapter]) for chapter in chapters}
    whose, said = _whose(students, roster)
    rows = [row[:width] + [_grade(final.get((whose.get(number, ""), chapter)), scale[chapter]) for chapter in chapters] for number, row in enumerate(roster.rows)]
    said += [f"{roster.name}: {titles[chapter]} has {roster.possible[titles[chapter]]} points there, {possible[chapter]:g} here: grades are scaled" for chapter in chapters if scale[chapter] != 1]
    return _text([roster.header[:width] + [titles[chapter] for chapter in chapters], [_POINTS] + [""] * (width - 1) + [f"{possible[chapter] * scale[chapter]:g}" for chapter in chapters], *rows]), said


def moodle_csv(records: list[Record], roster: Roster | None = None) -> tuple[str, list[str]]:
    """The worksheet of one chapter, and what an instructor should know."""
    if roster is None:
        rows = [[f"Participant {one.student}" if one.student.isdigit() else one.student, "", one.student if "@" in one.student else "", "", _grade(one.final), f"{one.possible:.2f}", "Yes", "-", comment(one)] for one in records]
        return _text([MOODLE, *rows]), []
    of, places = {record.student: record for record in records}, {title: number for number, title in enumerate(roster.header)}
    (whose, said), rows, scaled = _whose(sorted(of), roster), [], set()
    for number, row in enumerate(roster.rows):
        row, record = list(row), of.get(whose.get(number, ""))
        if record:
            most = next((row[places[title]] for title in ("Maximum Grade", "Maximum grade") if title in places), "")
            scale = _scale(most, record.possible)
            scaled |= {most} if scale != 1 else set()
            row[places["Grade"]] = _grade(record.final, scale)
            if "Feedback comments" in places:
                row[places["Feedback comments"]] = comment(record)
        rows.append(row)
    return _text([roster.header, *rows]), said + [f"{roster.name}: {one} points there, {records[0].possible:g} here: grades are scaled" for one in sorted(scaled)]


def comment(record: Record) -> str:
    """Points of each exercise, and what being late cost; nothing that a student wrote."""
    parts = [f"{result.exercise}: {result.points:g} of {result.possible:g}" for result in record.results]
    late = f"; {record.days_late:.2f} days late: {100 * record.penalty:g} % off" if record.penalty else ""
    return f"{'; '.join(parts)}; sum {record.points:g} of {record.possible:g}{late}"


def _whose(students: list[str], roster: Roster) -> tuple[dict[int, str], list[str]]:
    """Row -> student, and a line for each who is in no row."""
    found = {student: roster.of.get(student.lower()) for student in students}
    rows = {row: student for student, row in found.items() if row is not None}
    missing = sorted(student for student, row in found.items() if row is None or rows[row] != student)
    return rows, [f"{roster.name} has no row for {', '.join(missing[:10])}{' and others' if len(missing) > 10 else ''}: not in the file for that platform"] if missing else []


def _scale(there: str, here: float) -> float:
    """From our points to the platform's; 1 where it says none."""
    return float(there.replace(",", ".")) / here if _NUMBER.fullmatch(there) and float(there.replace(",", ".")) > 0 and here > 0 else 1.0


def _grade(points: float | None, scale: float = 1.0) -> str:
    return "" if points is None else f"{max(points, 0.0) * scale:.2f}"


def _text(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([[defused(str(cell)) for cell in row] for row in rows])
    return out.getvalue()


def defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers."""
    return f"'{cell}" if cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(cell) and cell != "-" or cell.startswith(("\t", "\r", "\n")) else cell
