"""A course's whole grading, from what was handed in to gradebooks and feedback; tools/grade.py is its command.

    ROOT/submitted/STUDENT/CHAPTER/   ->   ROOT/grades/CHAPTER/STUDENT.json, feedback/, autograded/, gradebook.db, grades/*.csv

Everything can be killed at any moment and started again: records come first, one by one, and all else is made from them.
"""
from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from .assignment import read_assignment
from .autograded import autograded, autograded_path
from .batch import Settings, grade_all, is_current, kept_record, prepare
from .collect import Found, HandIn, find_hand_ins
from .gradebook import Roster, write_gradebooks
from .late import Policy, read_policy
from .nbdatabase import Database
from .record import WAITS, Record, read_records, record_path, write_record, write_whole
from .sandbox import ROOT, Limits

PRIVATE = "DEEPGEN_PRIVATE"  # in the environment: the instructor's own course


class Outcome(NamedTuple):
    records: list[Record]     # of the hand-ins that were looked at, sorted by chapter, then student
    graded: list[Record]      # those that were graded now
    before: dict[tuple[str, str], float]  # (chapter, student) -> points that a regraded one had
    seconds: float            # of grading
    files: list[Path]
    said: list[str]           # what an instructor should know
    refused: list[str]        # what could not be given to anybody


class Wanted(NamedTuple):
    """What to grade and how."""
    chapters: tuple[str, ...] = ()          # none: all that were handed in
    regrade: frozenset[str] | None = None   # students to grade again though nothing changed; empty: all
    workers: int = 2
    limits: Limits = Limits()
    walls: bool | None = None
    database: bool = True
    scheduler: str = ""                     # of dask.distributed, tcp://HOST:PORT; "": on this machine


def grade_course(root: Path, wanted: Wanted, *, released: dict[str, Path], policy: Policy = Policy(), rosters: Iterable[Roster] = (), show: Callable = lambda each, **_: each) -> Outcome:
    """Grade what is new, then bring all that is made from records up to date.  `show`: a progress bar, as tqdm.

    Raises ValueError when there is nothing to grade, or another run holds this course.
    """
    with _alone(root):
        found = find_hand_ins(root, known=sorted(released))
        _check(found, wanted)
        hand_ins = [hand_in for hand_in in found.hand_ins if hand_in.chapter in (wanted.chapters or released)]
        chapters = {hand_in.chapter for hand_in in hand_ins}
        settings = prepare(root, released={chapter: released[chapter] for chapter in sorted(chapters)}, key=secret_key(root), policy=policy, limits=wanted.limits, walls=wanted.walls)
        kept, todo = _divide(hand_ins, settings, wanted.regrade)
        before = {place: record.points for place, record in kept.items() if any((one.chapter, one.student) == place for one in todo)}
        start = time.monotonic()
        graded = [record for _, record in show(_graded(todo, settings, wanted), total=len(todo), desc="grading", unit="hand-in")] if todo else []
        seconds = time.monotonic() - start
        kept |= {(record.chapter, record.student): record for record in graded}
        records, said = _in_step(root, hand_ins, [kept[place] for place in sorted(kept)], settings, wanted.database)
        _feedback(root, records)
        files, more = write_gradebooks(root, read_records(root), rosters)
        return Outcome(records, [record for record in records if any((record.chapter, record.student) == (one.chapter, one.student) for one in graded)], before, seconds, files, said + more, found.refused)


def _graded(todo: list[HandIn], settings: Settings, wanted: Wanted) -> Iterable[tuple[HandIn, Record]]:
    """Here, or by the workers of a scheduler."""
    if not wanted.scheduler:
        yield from grade_all(todo, settings, workers=wanted.workers)
        return
    from .spread import connect, grade_spread
    with connect(wanted.scheduler) as client:
        yield from grade_spread(client, todo, settings, seed_workers=wanted.workers)


def released_notebooks(root: Path, folder: Path | None = None) -> dict[str, Path]:
    """Chapter -> the notebook that students got: from this folder; else of the private course, where it has the chapter, of ROOT, or of the repository."""
    private = os.environ.get(PRIVATE)
    folders = [folder] if folder else [ROOT / "exercises", root / "exercises", *([Path(private).expanduser() / "exercises"] if private else [])]
    found = {path.stem: path for place in folders for path in sorted(Path(place).glob("*/*.ipynb")) if path.parent.name == path.stem}
    if not found:
        raise ValueError(f"released_notebooks: {folders[-1].name}/ holds no CHAPTER/CHAPTER.ipynb, expected the notebooks that students got; make them: make release")
    return found


def secret_key(root: Path) -> str:
    """The one that decides the inputs of every exercise: DEEPGEN_KEY in the environment, else grades/.key, made at first use."""
    if given := os.environ.get("DEEPGEN_KEY"):
        return given
    path = Path(root) / "grades" / ".key"
    if not path.exists():
        write_whole(path, f"{secrets.token_hex(32)}\n", mode=0o600)
    if not (key := path.read_text(encoding="utf-8").strip()):
        raise ValueError("secret_key: grades/.key is empty, expected this term's secret; delete it, and all is graded with a new one")
    return key


def late_policy(root: Path, file: Path | None = None) -> Policy:
    """From this file, else grades/late.toml; where there is none nobody is late."""
    path = file or Path(root) / "grades" / "late.toml"
    return read_policy(path) if file or path.exists() else Policy()


def _check(found: Found, wanted: Wanted) -> None:
    there = {hand_in.chapter for hand_in in found.hand_ins}
    missing = sorted(set(wanted.chapters) - there)
    if missing or not there:
        refused = f" ({'; '.join(found.refused[:5])})" if found.refused else ""
        raise ValueError(f"grade: no hand-in of {', '.join(missing) or 'any chapter'}; expected submitted/STUDENT/CHAPTER/CHAPTER.ipynb, found {', '.join(sorted(there)) or 'none'}{refused}")
    if nobody := sorted((wanted.regrade or set()) - {hand_in.student for hand_in in found.hand_ins}):
        raise ValueError(f"grade: {nobody[0]} handed nothing in that could be graded again; expected a student of submitted/")


def _divide(hand_ins: list[HandIn], settings: Settings, regrade: frozenset[str] | None) -> tuple[dict[tuple[str, str], Record], list[HandIn]]:
    """Records of earlier runs, and what there is to grade."""
    kept, todo = {}, []
    for hand_in in hand_ins:
        record = kept_record(hand_in, settings)
        again = regrade is not None and (not regrade or hand_in.student in regrade)
        if record:
            kept[hand_in.chapter, hand_in.student] = record
        if again or record is None or not is_current(record, hand_in, settings):
            todo.append(hand_in)
    return kept, todo


def _in_step(root: Path, hand_ins: list[HandIn], records: list[Record], settings: Settings, database: bool) -> tuple[list[Record], list[str]]:
    """nbgrader's gradebook and the notebooks for formgrader; records with what a person gave."""
    paths, said, kept = {(one.chapter, one.student): one.path for one in hand_ins}, [], []
    try:
        with Database(root) if database else contextlib.nullcontext() as book:
            for chapter in sorted({record.chapter for record in records}):
                own, released = [record for record in records if record.chapter == chapter], Path(settings.released[chapter])
                assignment = read_assignment(released)
                opened = {record.student: autograded(root, record, paths[chapter, record.student], released=released, assignment=assignment) for record in own if _older(autograded_path(root, record), root, record)}
                if book:
                    said += filter(None, [book.enter_assignment(chapter, released, due=settings.policy.deadlines.get(chapter))])
                    own = _kept(root, own, book.step(own, assignment, changed={student for student, one in opened.items() if one.changed}))
                for one in opened.values():
                    one.write()
                kept += own
    except SQLAlchemyError as error:
        said.append(f"nbgrader's gradebook could not be written ({str(error).splitlines()[0][:150]}); points are safe in grades/. Close formgrader and type make grade again")
    done = {(record.chapter, record.student) for record in kept}
    return sorted(kept + [record for record in records if (record.chapter, record.student) not in done], key=lambda record: (record.chapter, record.student)), said


def _kept(root: Path, old: list[Record], new: list[Record]) -> list[Record]:
    for before, record in zip(old, new):
        if record != before:
            write_record(record_path(root, record.chapter, record.student), record)
    return new


def _older(path: Path, root: Path, record: Record) -> bool:
    """Whether a file that is made from a record has to be made anew."""
    return not path.exists() or path.stat().st_mtime_ns < record_path(root, record.chapter, record.student).stat().st_mtime_ns


def _feedback(root: Path, records: list[Record]) -> None:
    try:
        from .feedback import write_feedback
    except ImportError:
        return
    for record in records:
        if _older(Path(root) / "feedback" / record.student / record.chapter / f"{record.chapter}.html", root, record):
            write_feedback(record, Path(root) / "feedback")


def waiting(records: Iterable[Record]) -> int:
    """How many texts wait for a person."""
    return sum(WAITS in result.feedback for record in records for result in record.results)


@contextlib.contextmanager
def _alone(root: Path):
    """No two runs on one course at a time; a killed one holds nothing."""
    import fcntl
    folder = Path(root) / "grades"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError("grade: another make grade works on this course; wait for it, or end it") from None
        yield
