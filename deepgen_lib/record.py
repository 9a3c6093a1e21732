"""What a student did in this course, in one small file on their own machine: predictions made, claims run, exercises solved.

    work/progress.json    {"predictions": {"1.a": {"chose": "it rises", "right": true}}, "claims": {"B1": {...}}, "exercises": {"1.1": {...}}}

Every chapter's kernel writes to it, so each entry is put in under a lock, and the file is replaced whole. Nothing else ever leaves the kernel.
Only a notebook's kernel writes: scripts, tests and builds do not. What cannot be written (a folder without leave) is kept in memory.
DEEPGEN_PROGRESS in the environment is another path, or "off". Standard library, and filelock when something is written.
"""
from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

FILE = "progress.json"
VARIABLE = "DEEPGEN_PROGRESS"
HANDED_OUT = ".handed-out.json"  # stands in the student's folder work/ (tools/workspace.py)
TABLES = ("predictions", "claims", "exercises")
PATIENCE = 5  # seconds to wait for another kernel that writes
_COURSE = Path(__file__).resolve().parents[1]

Table = dict[str, dict]
_pending: dict[str, Table] = {table: {} for table in TABLES}  # not in the file yet


def note(table: str, key: str, **facts) -> None:
    """Add facts to an entry, in memory and in the file.  Never raises for a file that cannot be written."""
    key = str(key)
    if facts.items() <= entry(table, key).items():
        return
    _pending[table].setdefault(key, {}).update(facts)
    place = where()
    if place is None or not (in_course() or place.exists() or _predicted()):
        return
    try:
        _write(place)
    except (OSError, ValueError, NotImplementedError):  # text that no file takes; file systems without locks
        pass  # no leave to write, a full disk, another kernel that holds the lock: all of it goes in with the next entry


def entry(table: str, key: str) -> dict:
    """The facts of one entry; empty when there are none."""
    return everything()[table].get(key, {})


def everything() -> dict[str, Table]:
    """All entries: the file's, and what this kernel has not written yet."""
    place = where()
    return _merged(_read(place) if place else {}, _pending)


def where() -> Path | None:
    """The file, which need not exist yet; None when this process keeps everything in memory."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return None if named.casefold() == "off" else Path(named).expanduser().absolute()
    return _beside()[0] if in_notebook() else None


def in_course() -> bool:
    """Whether the file has its place in the course's folder work/ or was named, so that it may be made without asking."""
    return bool(os.environ.get(VARIABLE)) or _beside()[1]


def is_waiting() -> bool:
    """Whether something could not be written yet."""
    return any(_pending.values())


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def is_damaged(place: Path) -> bool:
    """Whether something lies there that is no record."""
    return place.is_file() and _parsed(place) is None


def locate(folder: Path, course: Path = _COURSE) -> tuple[Path, bool]:
    """The file for a kernel started in `folder`, and whether that belongs to the course.

    It is that of the student's folder work/ around it; in a checkout opened without one (Binder), work/ beside notebooks/; elsewhere one
    that lies in a folder above, or else beside the notebook.
    """
    above = [folder, *folder.parents]
    for parent in above:
        if (parent / HANDED_OUT).is_file():
            return parent / FILE, True
    if folder == course or any(folder.is_relative_to(course / kind) for kind in ("notebooks", "exercises")):
        return course / "work" / FILE, True
    return next((parent / FILE for parent in above if (parent / FILE).is_file()), folder / FILE), False


@functools.cache
def _beside() -> tuple[Path, bool]:
    """As locate, for the folder in which this process was when it first asked: a notebook may change it later."""
    try:
        return locate(Path.cwd())
    except OSError:  # the folder is gone
        return locate(Path.home())


def _predicted() -> bool:
    """Outside the course's folder nothing is written before the reader has predicted something."""
    return any({"chose", "typed"} & facts.keys() for facts in _pending["predictions"].values())


def _write(place: Path) -> None:
    """Put what waits into the file.  Raises OSError."""
    import filelock

    place.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(place.with_name(f".{place.name}.lock"), timeout=PATIENCE):
        if is_damaged(place):
            aside = _free_name(place.with_name(f"{place.stem}.damaged{place.suffix}"))
            os.replace(place, aside)
            print(f"{place.name} was damaged and could not be read: it is called {aside.name} now, and a new one begins.")
        draft = place.with_name(f".{place.name}.draft")
        try:
            draft.write_text(json.dumps(_merged(_read(place), _pending), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
            os.replace(draft, place)
        finally:  # on a full disk no half of it stays
            draft.unlink(missing_ok=True)
    for table in _pending.values():
        table.clear()


def _read(place: Path) -> dict:
    return _parsed(place) or {}


def _parsed(place: Path) -> dict | None:
    """The file's content; {} when there is none, None when it is no record."""
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (ValueError, RecursionError):
        return None
    tables = [found.get(table, {}) for table in TABLES] if isinstance(found, dict) else [None]
    sound = all(isinstance(table, dict) and all(isinstance(facts, dict) for facts in table.values()) for table in tables)
    return found if sound else None


def _merged(stored: dict, new: dict[str, Table]) -> dict:
    """Both; a fact of `new` replaces the stored one, everything else that was stored stays."""
    tables = {table: dict(stored.get(table, {})) for table in TABLES}
    for name, table in new.items():
        for key, facts in table.items():
            tables[name][key] = tables[name].get(key, {}) | facts
    return stored | tables


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
