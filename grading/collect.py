"""Find what was handed in: submitted/STUDENT/CHAPTER/CHAPTER.ipynb with timestamp.txt, the layout of nbgrader.

Whatever is odd (a file of another name, several files, none, a link) becomes a note for that student; it never stops the others.
platform_zip.py unpacks downloads of a learning platform into the same layout.
"""
from __future__ import annotations

import difflib
import json
import re
from datetime import timezone
from pathlib import Path
from typing import NamedTuple

from dateutil import parser as dates

from .record import is_name

CAME_AS = "came_as.txt"  # what collecting noticed, one note a line
_COPY = re.compile(r"(?:[-_ .]*(?:\((\d+)\)|copy ?(\d*)|-(\d+)|_v?(\d+)| (\d+)))+$", flags=re.IGNORECASE)
_MAX_LOOK = 20 * 2**20  # bytes of a file whose chapter is looked up in its cells
_HIDDEN = (".ipynb_checkpoints", "__MACOSX", "__pycache__")


class HandIn(NamedTuple):
    student: str
    chapter: str
    path: str                # "" when no notebook came
    submitted_at: str        # ISO 8601 with zone, "" when unknown
    notes: tuple[str, ...]   # for the student


class Found(NamedTuple):
    hand_ins: list[HandIn]   # sorted by chapter, then student
    refused: list[str]       # what could not be given to anybody, in words for the instructor


def find_hand_ins(root: Path, *, known: list[str]) -> Found:
    """All of submitted/.  `known`: the course's chapters."""
    hand_ins, refused = [], []
    folder = Path(root) / "submitted"
    for place in sorted(folder.glob("*/*")) if folder.is_dir() else []:
        student, chapter = place.parent.name, place.name
        if place.name.startswith(".") or student.startswith(".") or student in _HIDDEN:
            continue
        if why := _refusal(place, known):
            refused.append(f"submitted/{student}/{chapter}: {why}")
        else:
            hand_ins.append(_hand_in(place, student, chapter))
    refused += [f"submitted/{path.name}: a file, expected submitted/STUDENT/CHAPTER/CHAPTER.ipynb" for path in sorted(folder.glob("*")) if path.is_file() and not path.name.startswith(".")]
    return Found(sorted(hand_ins, key=lambda one: (one.chapter, one.student)), refused)


def _refusal(place: Path, known: list[str]) -> str:
    if place.is_symlink() or place.parent.is_symlink():
        return "a link, expected a folder with the student's own files"
    if not place.is_dir():
        return "a file, expected submitted/STUDENT/CHAPTER/CHAPTER.ipynb; put it into a folder with its chapter's name"
    if not is_name(place.parent.name):
        return "the student's name holds letters that cannot be used; rename the folder"
    if place.name not in known:
        near = difflib.get_close_matches(place.name, known, n=1, cutoff=0.4)
        return f"no chapter of this course{f' (did you mean {near[0]}?)' if near else ''}; rename the folder, or grade with the version of the course that has it"
    return ""


def _hand_in(place: Path, student: str, chapter: str) -> HandIn:
    notes = _lines(place / CAME_AS)
    files = [path for path in sorted(place.rglob("*")) if not set(_HIDDEN) & set(path.relative_to(place).parts) and not path.name.startswith(".")]
    links = [path.name for path in files if path.is_symlink()]
    notes += [f"{', '.join(links)} is a link to another file and was not looked at; hand in the file itself"] if links else []
    files = [path for path in files if path.is_file() and not path.is_symlink() and path.name not in ("timestamp.txt", CAME_AS)]
    chosen, said = choose({str(path.relative_to(place)): path for path in files}, chapter)
    when, trouble = _time(place / "timestamp.txt")
    return HandIn(student, chapter, str(place / chosen) if chosen else "", when, (*notes, *said, *trouble))


def choose(files: dict[str, Path], chapter: str, *, exact_first: bool = True) -> tuple[str, list[str]]:
    """Which of a student's files is the notebook of this chapter ("" when none is), and what to tell the student.

    `exact_first`: beside 08_vae.ipynb, 08_vae-1.ipynb is JupyterLab's copy; without it, what a platform calls a later hand-in.
    """
    books = {name: path for name, path in files.items() if name.lower().endswith(".ipynb")}
    if not books:
        came = f"found {', '.join(sorted(files)[:5])}" if files else "the folder is empty"
        return "", [f"no notebook came: expected {chapter}.ipynb, {came}; hand in the .ipynb file itself"]
    exact, named = f"{chapter}.ipynb", [name for name in books if base_name(name).lower() == chapter.lower()]
    chosen = exact if exact in books and exact_first else max(named, key=lambda name: (_copies(name), name)) if named else _by_content(books, chapter)
    others = sorted(set(books) - {chosen})
    notes = [f"the file is called {chosen}, expected {exact}; it was graded all the same"] if chosen != exact else []
    return chosen, notes + ([f"{len(books)} notebooks came; {chosen} was graded, {', '.join(others[:4])} was not"] if others else [])


def base_name(name: str) -> str:
    """`x/08_vae-Copy1 (2).ipynb` -> `08_vae`: the name without what browsers, JupyterLab and platforms add to it."""
    stem = re.sub(r"^copy of ", "", Path(name).name.rsplit(".", 1)[0], flags=re.IGNORECASE)
    while (shorter := _COPY.sub("", stem)) != stem and shorter:
        stem = shorter
    return stem


def _copies(name: str) -> int:
    """The number that a platform or JupyterLab put behind the name, as the later ones have a higher one."""
    found = _COPY.search(Path(name).name.rsplit(".", 1)[0])
    return max([int(number) for number in re.findall(r"\d+", found.group())] or [1]) if found else 0


def _by_content(books: dict[str, Path], chapter: str) -> str:
    """Of notebooks with other names the one whose cells belong to this chapter; else the newest."""
    number = re.match(r"\d+", chapter)
    wanted = re.compile(rf"(?:ex|check|written|task)-{int(number.group()) if number else 0}-")

    def worth(name: str):
        return sum(bool(wanted.match(grade_id)) for grade_id in grade_ids(books[name])), books[name].stat().st_mtime, name
    return max(books, key=worth)


def grade_ids(path: Path) -> list[str]:
    """nbgrader's names of the cells of a notebook; none where it cannot be read."""
    try:
        if path.stat().st_size > _MAX_LOOK:
            return []
        cells = json.loads(path.read_bytes())["cells"]
        return [str(cell["metadata"]["nbgrader"]["grade_id"]) for cell in cells if isinstance(cell, dict) and "grade_id" in cell.get("metadata", {}).get("nbgrader", {})]
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return []


def _time(path: Path) -> tuple[str, list[str]]:
    """nbgrader's timestamp.txt as ISO 8601; without a zone it is UTC, as nbgrader takes it."""
    said = " ".join(_lines(path))
    if not said:
        return "", []
    try:
        when = dates.parse(said)
    except (ValueError, OverflowError):
        return "", [f"timestamp.txt holds {said[:40]!r}, which is no time: when this was handed in is unknown"]
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).astimezone(timezone.utc).isoformat(timespec="seconds"), []


def _lines(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file.read(10_000).splitlines() if line.strip()] if not path.is_symlink() else []
    except OSError:
        return []
