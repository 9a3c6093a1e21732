"""What being late costs, from a file that the instructor writes (grades/late.toml):

    grace_minutes = 15           # up to here nobody is late
    share_per_day = 0.1          # taken off for each day begun
    floor = 0.5                  # at least this share of the points is kept

    [deadlines]
    08_vae = 2026-11-20T23:59:00+01:00

    [extensions]
    ada = 3                                          # days, for every chapter
    bob = { 08_vae = 2026-11-27T23:59:00+01:00 }     # a new deadline, or days, for one chapter

    penalty = min(1 - floor, share_per_day · ⌈days late⌉), 0 within the grace time, without a deadline, or where no time is known
"""
from __future__ import annotations

import math
import tomllib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

_KEYS = {"grace_minutes", "share_per_day", "floor", "deadlines", "extensions"}


class Lateness(NamedTuple):
    days: float     # after the deadline that holds for this student, 0 when not late
    penalty: float  # share of the points


class Policy(NamedTuple):
    grace_minutes: float = 0.0
    share_per_day: float = 0.0
    floor: float = 0.0
    deadlines: dict[str, datetime] = {}
    extensions: dict[str, dict[str, float | datetime]] = {}  # student -> chapter, "" for all, -> days or a new deadline

    def deadline(self, chapter: str, student: str) -> datetime | None:
        """The one that holds for this student; None where there is none."""
        more = self.extensions.get(student, {})
        extension, due = more.get(chapter, more.get("")), self.deadlines.get(chapter)
        if isinstance(extension, datetime):
            return extension
        return due + timedelta(days=extension) if due and extension else due

    def lateness(self, chapter: str, student: str, submitted_at: str) -> Lateness:
        due = self.deadline(chapter, student)
        if due is None or not submitted_at:
            return Lateness(0.0, 0.0)
        seconds = (datetime.fromisoformat(submitted_at) - due).total_seconds()
        if seconds <= 60 * self.grace_minutes:
            return Lateness(0.0, 0.0)
        days = seconds / 86_400
        return Lateness(round(days, 4), min(1 - self.floor, self.share_per_day * math.ceil(days)))


def read_policy(path: Path) -> Policy:
    """Raises ValueError, naming the line's key, for anything that cannot be meant."""
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"read_policy: {Path(path).name} cannot be read ({error}), expected TOML as the head of grading/late.py shows") from None
    if unknown := sorted(set(found) - _KEYS):
        raise ValueError(f"read_policy: {Path(path).name} has {unknown[0]!r}, expected {', '.join(sorted(_KEYS))}")
    numbers = {key: _number(found.get(key, 0), key, most) for key, most in (("grace_minutes", math.inf), ("share_per_day", 1), ("floor", 1))}
    deadlines = {chapter: _time(due, f"deadlines.{chapter}") for chapter, due in _table(found.get("deadlines", {}), "deadlines").items()}
    extensions = {}
    for student, more in _table(found.get("extensions", {}), "extensions").items():
        table = more if isinstance(more, dict) else {"": more}
        extensions[student] = {chapter: _time(one, f"extensions.{student}") if isinstance(one, datetime) else _number(one, f"extensions.{student}", 3660) for chapter, one in table.items()}
    return Policy(**numbers, deadlines=deadlines, extensions=extensions)


def _table(value, key: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"read_policy: {key} is {value!r}, expected a table: [{key}]")
    return value


def _number(value, key: str, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most or not math.isfinite(value):
        raise ValueError(f"read_policy: {key} is {value!r}, expected a number from 0{f' to {most:g}' if math.isfinite(most) else ''}")
    return float(value)


def _time(value, key: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"read_policy: {key} is {str(value)!r}, expected a time with its zone, such as 2026-11-20T23:59:00+01:00")
    return value.astimezone(timezone.utc)
