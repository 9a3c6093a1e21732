"""Grade everything that was handed in: in parallel, each hand-in once, whatever happens in between.

    settings = prepare(root, key=...)                        # chapters, policy, fingerprints
    for record in grade_all(hand_ins, settings, workers=2): ...

A record is current while the file, the notes on how it came, and the edition (course, checks, key, limits) are the same: then nothing
runs again, and only what the policy says is worked out anew. A hand-in that could not be graded has a record without a fingerprint, so
the next run tries it again.
"""
from __future__ import annotations

import functools
import hashlib
import hmac
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from .assignment import Assignment, Written, read_assignment
from .collect import HandIn
from .late import Policy
from .notebook import Trouble, read_cells
from .pool import Lost, Pool, at_end
from .record import FORMAT, HAND, NOTHING, WAITS, Record, read_record, record_path, write_record, write_whole
from .sandbox import ROOT, Limits, Sandbox
from .score import Grader, Result, seed_of, unread

_AFTER = {"autograded", "class_counts", "class_report", "collect", "course", "feedback", "gradebook", "late", "nbdatabase", "page", "platform_zip", "pool", "record", "spread"}  # decide over no points


class Settings(NamedTuple):
    """All that grading one hand-in needs; plain data, which travels to other processes and machines."""
    root: str
    released: dict[str, str]              # chapter -> the notebook that students got
    editions: dict[str, str]              # chapter -> version of the course, and fingerprint of what grades it
    key: str
    policy: Policy = Policy()
    limits: Limits = Limits()
    walls: bool | None = None             # None: bubblewrap where it works
    seeds: dict[str, dict[str, int]] = {}  # chapter -> exercise -> seed; what is missing is searched


def prepare(root: Path, *, released: dict[str, Path], key: str, policy: Policy = Policy(), limits: Limits = Limits(), walls: bool | None = None) -> Settings:
    """Raises ValueError when a chapter's notebook does not fit its checks."""
    for path in released.values():
        read_assignment(Path(path))
    salt = json.dumps([hashlib.sha256(key.encode()).hexdigest(), *map(float, vars(limits).values())])
    editions = {chapter: edition(Path(path), salt=salt) for chapter, path in released.items()}
    return Settings(str(root), {chapter: str(path) for chapter, path in released.items()}, editions, key, policy, limits, walls)


def edition(notebook: Path, *, salt: str = "") -> str:
    """`0.1.0 1a2b3c4d5e6f`: the course's version, and a fingerprint of all that decides over points."""
    private = notebook.resolve().parent.parent.parent / "checks"
    found = hmac.new(salt.encode(), _course()[1] + _fingerprint([notebook, *sorted(private.glob("*.py"))]), "sha256")
    return f"{_course()[0]} {found.hexdigest()[:12]}"


@functools.cache
def _course() -> tuple[str, bytes]:
    """Version, and fingerprint of the library (without its plots) and of all that grades."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version, _fingerprint([*(path for path in sorted((ROOT / "deepgen_lib").rglob("*.py")) if "plots" not in path.parts), *(path for path in sorted((ROOT / "grading").glob("*.py")) if path.stem not in _AFTER)])


def _fingerprint(files: list[Path]) -> bytes:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).digest()


def grade_all(hand_ins: list[HandIn], settings: Settings, *, workers: int = 2) -> Iterator[tuple[HandIn, Record]]:
    """Grade these and keep a record of each, written by the process that graded it.  Yields them as they are done."""
    chapters = {hand_in.chapter for hand_in in hand_ins}
    longest = max([len(read_assignment(Path(settings.released[chapter])).tasks) for chapter in chapters], default=0)
    with Pool(workers) as pool:
        settings = settings._replace(seeds=find_seeds(chapters, settings, pool))
        for hand_in, outcome in pool.work(functools.partial(grade_and_keep, settings), hand_ins, seconds=300 + 3 * longest * settings.limits.seconds):
            if isinstance(outcome, Lost):
                outcome = lost(hand_in, settings, outcome.why)
                write_record(record_path(Path(settings.root), hand_in.chapter, hand_in.student), outcome)
            yield hand_in, outcome


def grade_and_keep(settings: Settings, hand_in: HandIn) -> Record:
    record = grade_one(hand_in, settings)
    write_record(record_path(Path(settings.root), hand_in.chapter, hand_in.student), record)
    return record


def grade_one(hand_in: HandIn, settings: Settings) -> Record:
    """One task: everything about one hand-in, in a sandbox that this process keeps."""
    torch.set_num_threads(1)
    grader = _grader(settings.released[hand_in.chapter], settings.key, settings.limits, settings.walls, json.dumps(settings.seeds.get(hand_in.chapter, {})))
    if not hand_in.path:
        return _record(hand_in, settings, "", tuple(unread(task, hand_in.notes[-1]) for task in grader.assignment.tasks) + _written([], grader.assignment))._replace(isolation=grader.isolation)
    sha = sha256_of(Path(hand_in.path))
    mark = grader.mark(hand_in.path)
    cells = [] if mark.trouble else read_cells(Path(hand_in.path))
    record = _record(hand_in, settings, sha, mark.results + _written(cells, grader.assignment), mark.trouble)
    return record._replace(isolation=mark.isolation, seconds=round(mark.seconds, 3))


@functools.lru_cache(maxsize=64)
def _grader(released: str, key: str, limits: Limits, walls: bool | None, seeds: str) -> Grader:
    return Grader(released, key=key, sandbox=_sandbox(limits, walls), seeds=json.loads(seeds))


@functools.cache
def _sandbox(limits: Limits, walls: bool | None) -> Sandbox:
    sandbox = Sandbox(limits=limits, walls=walls)
    at_end(functools.partial(sandbox.__exit__))
    return sandbox.__enter__()


def _written(cells: list, assignment: Assignment) -> tuple[Result, ...]:
    """Derivations and discussions: no points until somebody gives some."""
    said = {one.grade_id: NOTHING if (text := written_text(cells, one)) is not None and not text else WAITS for one in assignment.written}
    return tuple(Result(one.grade_id, one.title, 0.0, one.points, "", said[one.grade_id], HAND, "", "", (), 0.0) for one in assignment.written)


def written_text(cells: list, one: Written) -> str | None:
    """What a student wrote there, "" for the untouched start; None where no cell of that name is left (the text may stand elsewhere)."""
    texts = [cell.source.strip() for cell in cells if cell.grade_id == one.grade_id]
    written = [text for text in texts if text not in ("", one.start.strip())]
    return written[-1] if written else "" if texts or not cells else None


def _record(hand_in: HandIn, settings: Settings, sha: str, results: tuple[Result, ...], trouble: str = "") -> Record:
    record = Record(FORMAT, hand_in.student, hand_in.chapter, sha, "", 0.0, 0.0, 0.0, 0.0, 0.0, "\n".join([*hand_in.notes, *([trouble] if trouble else [])]), "", 0.0,
                    settings.editions[hand_in.chapter], results)
    return refreshed(record, hand_in.submitted_at, settings.policy)


def refreshed(record: Record, submitted_at: str, policy: Policy) -> Record:
    """The same results under this time and policy: sums and penalty."""
    late = policy.lateness(record.chapter, record.student, submitted_at)
    points, possible = sum(result.points for result in record.results), sum(result.possible for result in record.results)
    return record._replace(submitted_at=submitted_at, days_late=late.days, penalty=late.penalty, points=points, possible=possible, final=round(points * (1 - late.penalty), 4))


def lost(hand_in: HandIn, settings: Settings, why: str) -> Record:
    assignment = read_assignment(Path(settings.released[hand_in.chapter]))
    why = f"this notebook could not be graded ({why}); it will be tried again, or looked at by hand"
    return _record(hand_in, settings, "", tuple(unread(task, why) for task in assignment.tasks) + _written([], assignment), why)


def is_current(record: Record, hand_in: HandIn, settings: Settings) -> bool:
    """Whether grading this again would find nothing new."""
    lines = record.trouble.split("\n") if record.trouble else []
    same_notes = lines[:len(hand_in.notes)] == list(hand_in.notes) and len(lines) - len(hand_in.notes) in (0, 1)
    sha = sha256_of(Path(hand_in.path)) if hand_in.path else ""
    return same_notes and record.edition == settings.editions[hand_in.chapter] and record.sha256 == sha and bool(sha or not hand_in.path)


def kept_record(hand_in: HandIn, settings: Settings) -> Record | None:
    """The record of an earlier run, under today's time and policy; None where there is none that is whole."""
    path = record_path(Path(settings.root), hand_in.chapter, hand_in.student)
    try:
        record = read_record(path)
    except ValueError:
        return None
    new = refreshed(record, hand_in.submitted_at, settings.policy)
    if new != record:
        write_record(path, new)
    return new


def sha256_of(path: Path) -> str:
    """Of the file handed in; "" where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def find_seeds(chapters: set[str], settings: Settings, pool: Pool) -> dict[str, dict[str, int]]:
    """The seed of every exercise of these chapters, searched once and kept beside the key, which they are as secret as."""
    path = Path(settings.root) / "grades" / ".seeds.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    found = {chapter: dict(kept.get(settings.editions[chapter], {})) for chapter in sorted(chapters)}
    todo = [(chapter, task.exercise.id) for chapter in found for task in read_assignment(Path(settings.released[chapter])).tasks if task.exercise.id not in found[chapter]]
    for (chapter, exercise), seed in pool.work(functools.partial(_seed, settings), todo, seconds=1800):
        if not isinstance(seed, Lost):  # else whoever grades says why
            found[chapter][exercise] = seed
    if todo:
        still = {name: seeds for name, seeds in kept.items() if name in settings.editions.values()}
        write_whole(path, json.dumps(still | {settings.editions[chapter]: seeds for chapter, seeds in found.items()}), mode=0o600)
    return found


def _seed(settings: Settings, job: tuple[str, str]) -> int:
    torch.set_num_threads(1)
    chapter, exercise = job
    task, = [task for task in read_assignment(Path(settings.released[chapter])).tasks if task.exercise.id == exercise]
    return seed_of(task.exercise, settings.key)
