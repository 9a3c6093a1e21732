"""Grading on several machines with dask.distributed: one task for each hand-in.

    with connect("tcp://10.0.0.5:8786") as client:
        for hand_in, record in grade_spread(client, hand_ins, settings): ...     # the same as batch.grade_all yields and keeps

A task carries everything that it needs, so the machines share no folder; they must hold the same version of the course, and say so when
they do not. Records are written here. When a worker dies, the scheduler gives what it had to others; a hand-in at which several die gets
a record that says so. What travels holds the key of this term: let the scheduler listen in a network of your own, or by TLS.
"""
from __future__ import annotations

import collections
import contextlib
import secrets
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .assignment import read_assignment
from .batch import Settings, find_seeds, grade_one, lost, prepare
from .collect import HandIn
from .pool import Pool, at_end
from .record import Record, record_path, write_record

AHEAD = 2  # tasks under way for each thread of a worker: enough that none waits, few enough that no machine holds the whole class
_here: dict[str, Settings] = {}  # on a worker: Pack.name -> its settings
_one_at_a_time = threading.Lock()  # a process keeps one sandbox, whose exercises come one after another


class OtherVersion(ValueError):
    """A worker would grade by other checks than this machine."""


@dataclass(frozen=True, repr=False)  # repr: logs of a scheduler must not show it
class Pack:
    """One chapter, as it travels."""
    name: str                             # of this pack alone: a worker unpacks it once
    chapter: str
    files: tuple[tuple[str, bytes], ...]  # the released notebook, and the checks of a private course
    settings: Settings


@contextlib.contextmanager
def connect(address: str, *, seconds: float = 60):
    """A client of the scheduler at tcp://HOST:PORT, once at least one worker is there.  Raises ValueError with what is missing."""
    try:
        import distributed
    except ImportError:
        raise ValueError("connect: dask.distributed is not installed; expected it for grading on several machines: pip install 'deepgen[spread]'") from None
    try:
        client = distributed.Client(address, timeout=seconds)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(f"connect: no scheduler answers at {address!r} ({type(error).__name__}); start one there: dask scheduler") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=seconds)
        except TimeoutError:
            raise ValueError(f"connect: the scheduler at {address} has no worker after {seconds:g} s; start some: dask worker {address} --nthreads 1") from None
        yield client


def grade_spread(client, hand_ins: list[HandIn], settings: Settings, *, seed_workers: int = 1) -> Iterator[tuple[HandIn, Record]]:
    """Grade these on the client's workers and keep a record of each here.  Yields them as they are done.

    Raises OtherVersion when a worker has another version of the course, TimeoutError when nothing comes back for long; what was done is kept.
    """
    from distributed import wait
    chapters = {hand_in.chapter for hand_in in hand_ins}
    with Pool(seed_workers) as pool:
        settings = settings._replace(seeds=find_seeds(chapters, settings, pool))
    packs = {chapter: pack(chapter, settings) for chapter in chapters}
    longest = max([len(read_assignment(Path(settings.released[chapter])).tasks) for chapter in chapters], default=0)
    patience = 300 + 3 * longest * settings.limits.seconds
    todo, running = collections.deque(hand_ins), {}
    try:
        while todo or running:
            while todo and len(running) < max(1, AHEAD * sum(client.nthreads().values())):
                hand_in = todo.popleft()
                running[client.submit(grade_task, packs[hand_in.chapter], hand_in, _content(hand_in), pure=False)] = hand_in
            for future in _finished(wait, list(running), patience):
                hand_in = running.pop(future)
                record = _outcome(future, hand_in, settings)
                write_record(record_path(Path(settings.root), hand_in.chapter, hand_in.student), record)
                yield hand_in, record
    finally:
        client.cancel(list(running))


def pack(chapter: str, settings: Settings) -> Pack:
    """What a worker needs of a chapter, in the folders where read_assignment looks."""
    released = Path(settings.released[chapter]).resolve()
    private = sorted((released.parents[2] / "checks").glob("*.py"))
    files = [(f"exercises/{chapter}/{released.name}", released.read_bytes()), *((f"checks/{path.name}", path.read_bytes()) for path in private)]
    mine = {"root": "", "released": {chapter: ""}, "editions": {chapter: settings.editions[chapter]}, "seeds": {chapter: settings.seeds.get(chapter, {})}}
    return Pack(secrets.token_hex(8), chapter, tuple(files), settings._replace(**mine))


def grade_task(pack: Pack, hand_in: HandIn, content: bytes | None) -> Record:
    """On a worker: one hand-in, from the bytes of its file."""
    with _one_at_a_time, tempfile.TemporaryDirectory() as folder:
        if content is not None:
            path = Path(folder) / Path(hand_in.path).name
            path.write_bytes(content)
            hand_in = hand_in._replace(path=str(path))
        return grade_one(hand_in, _unpacked(pack))


def _unpacked(pack: Pack) -> Settings:
    """The chapter's files in a folder that this process keeps, and settings that point there."""
    if pack.name not in _here:
        given, folder = pack.settings, tempfile.TemporaryDirectory(prefix="grading-")
        at_end(folder.cleanup)
        paths = [Path(folder.name) / name for name, _ in pack.files]
        for path, (_, content) in zip(paths, pack.files):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        here = prepare(Path(folder.name), released={pack.chapter: paths[0]}, key=given.key, policy=given.policy, limits=given.limits, walls=given.walls)
        if here.editions != given.editions:
            raise OtherVersion(f"grade_spread: a worker would grade {pack.chapter} as {here.editions[pack.chapter]}, expected {given.editions[pack.chapter]};"
                               " it holds another version of the course: bring the same one there")
        _here[pack.name] = here._replace(seeds=given.seeds)
    return _here[pack.name]


def _content(hand_in: HandIn) -> bytes | None:
    try:
        return Path(hand_in.path).read_bytes() if hand_in.path else None
    except OSError:
        return None


def _finished(wait, futures: list, patience: float) -> set:
    """Those that are done, one at least."""
    try:
        return wait(futures, timeout=patience, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        raise TimeoutError(f"grade_spread: no worker finished anything for {patience:g} s; look at the machines, then type the same command again: what was graded is kept") from None


def _outcome(future, hand_in: HandIn, settings: Settings) -> Record:
    error = future.exception() if future.status != "cancelled" else RuntimeError("its task was cancelled")
    if error is None:
        return future.result()
    if isinstance(error, OtherVersion):
        raise error
    died = type(error).__name__ == "KilledWorker"
    return lost(hand_in, settings, "every worker that looked at it died" if died else f"{type(error).__name__}: {str(error)[:300]}")
