"""What is kept of one graded hand-in: grades/CHAPTER/STUDENT.json under the course's root, which git ignores.

    final = points · (1 - penalty)        points: Σ over exercises, before the penalty; penalty: share taken off for being late

A record is written to a file of another name first, so that a batch killed in the middle leaves whole records alone.
"""
from __future__ import annotations

import json
import math
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from .score import Result

FORMAT, HAND = 1, "graded by hand"
WAITS, NOTHING = "waits for grading by hand", "nothing is written"  # what such a result says before somebody gave points
_NUMBERS = ("days_late", "penalty", "points", "final", "possible", "seconds")
_NAME = re.compile(r"[\w@+-][\w@+. -]*", flags=re.UNICODE)


class Record(NamedTuple):
    format: int                 # 1
    student: str
    chapter: str
    sha256: str                 # of the file handed in, "" where none came
    submitted_at: str           # ISO 8601 with zone, "" when unknown
    days_late: float
    penalty: float              # share taken off, 0..1
    points: float               # before the penalty
    final: float                # points · (1 - penalty)
    possible: float
    trouble: str                # what was odd about the file, or why it could not be read; for the student
    isolation: str              # what kept the student's code apart
    seconds: float
    edition: str                # version of the course, and fingerprint of what graded it
    results: tuple[Result, ...]  # one per exercise; `part` is "graded by hand" for derivations and discussions


def record_path(root: Path, chapter: str, student: str) -> Path:
    """Raises ValueError for a name that would leave the folder."""
    for what, name in (("chapter", chapter), ("student", student)):
        if not is_name(name):
            raise ValueError(f"record_path: {what} is {name!r}, expected a name of letters, digits and . _ - + @, not beginning with a point; rename its folder")
    return Path(root) / "grades" / chapter / f"{student}.json"


def is_name(name: str) -> bool:
    """Whether this can be the name of a folder on every system, and of nothing else."""
    return isinstance(name, str) and 0 < len(name) <= 120 and bool(_NAME.fullmatch(name)) and not name.endswith((".", " "))


def write_record(path: Path, record: Record) -> None:
    """All of it or nothing, whatever happens in between."""
    write_whole(path, json.dumps(record._asdict() | {"results": [result._asdict() for result in record.results]}, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a text file in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", suffix=".part", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_record(path: Path) -> Record:
    """Raises ValueError when the file is damaged or of another format."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found.get("format") != FORMAT:
            raise ValueError(f"format {found.get('format')!r}, expected {FORMAT}")
        results = tuple(Result(**result | {"notes": tuple(result["notes"])}) for result in found.pop("results"))
        record = Record(**found, results=results)
        _check(record)
        return record
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"read_record: {Path(path).name} is no record of a graded hand-in ({str(error)[:120]}); delete it and type make grade, which grades that hand-in again") from None


def read_records(root: Path, *, chapter: str | None = None) -> list[Record]:
    """Every record of a course, or of one chapter, sorted by chapter, then student."""
    found = [read_record(path) for path in sorted((Path(root) / "grades").glob(f"{chapter or '*'}/*.json")) if not path.name.startswith(".")]
    return sorted(found, key=lambda record: (record.chapter, record.student))


def _check(record: Record) -> None:
    """Raises ValueError for a value of the wrong kind: a record may have been edited."""
    for name, value in zip(record._fields, record):
        if name in _NUMBERS and (type(value) not in (int, float) or not math.isfinite(value)):
            raise ValueError(f"{name} is {value!r}, expected a number")
        if name not in (*_NUMBERS, "format", "results") and not isinstance(value, str):
            raise ValueError(f"{name} is {value!r}, expected a text")
    if not 0 <= record.penalty <= 1 or not is_name(record.student) or not is_name(record.chapter):
        raise ValueError(f"penalty {record.penalty!r} of student {record.student!r} in {record.chapter!r}, expected a share from 0 to 1 and two names")
    if any(type(points) not in (int, float) or not math.isfinite(points) for result in record.results for points in (result.points, result.possible, result.seconds)):
        raise ValueError("a result holds a value that is no number")
