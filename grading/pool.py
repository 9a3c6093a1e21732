"""Work in processes of our own, one job at a time each, such that nothing a job does can stop the others.

    with Pool(2) as pool:
        for job, outcome in pool.work(function, jobs, seconds=600): ...     # as they are done, in any order

A process that dies takes one job along: it is tried once more in a fresh one, then it is `Lost`. A job that takes too long is lost at once.
Where this program itself is killed, its processes notice and end too.
"""
from __future__ import annotations

import collections
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection, util
from typing import NamedTuple

_TRIES, _TICK = 2, 0.5
_context = multiprocessing.get_context("spawn")  # a fork would copy torch's locks


class Lost(NamedTuple):
    why: str


class _Worker:
    """One process, and the job that it has."""

    def __init__(self, folder: str):
        self.pipe, theirs = _context.Pipe()
        self.process = _context.Process(target=_serve, args=(theirs, folder), daemon=True)
        self.process.start()
        theirs.close()
        self.job, self.tries, self.since = None, 0, 0.0

    def give(self, function: Callable, job, tries: int) -> None:
        self.job, self.tries, self.since = job, tries, time.monotonic()
        try:
            self.pipe.send((function, job))
        except OSError:  # the process is gone: the pipe's other end says so
            pass

    def end(self, *, patience: float = 0.0) -> None:
        self.pipe.close()  # it ends when it hears no more
        self.process.join(patience)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Pool:
    """At most this many processes, started when there is work for them."""

    def __init__(self, workers: int):
        if type(workers) is not int or workers < 1:
            raise ValueError(f"Pool: workers is {workers!r}, expected a whole number from 1; as many as the machine has cores is a good start")
        self.workers, self._busy, self._idle = workers, [], []

    def __enter__(self) -> Pool:
        self._folder = tempfile.mkdtemp(prefix="grading-pool-")
        os.chmod(self._folder, 0o755)  # students' code may run as another user
        return self

    def __exit__(self, *_) -> None:
        for worker in self._busy:
            worker.end()
        for worker in self._idle:
            worker.pipe.close()
        for worker in self._idle:
            worker.end(patience=10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def work(self, function: Callable, jobs: Iterable, *, seconds: float) -> Iterator[tuple[object, object]]:
        """Yields (job, function(job)) or (job, Lost).  `function` and jobs travel to other processes: a function of a module, plain data."""
        todo = collections.deque((job, 1) for job in jobs)
        while todo or self._busy:
            while todo and len(self._busy) < self.workers:
                worker = self._idle.pop() if self._idle else _Worker(self._folder)
                self._busy.append(worker)
                worker.give(function, *todo.popleft())
            connection.wait([worker.pipe for worker in self._busy], timeout=_TICK)
            for worker in list(self._busy):
                if (outcome := _outcome(worker, seconds)) is None:
                    continue
                self._busy.remove(worker)
                if not isinstance(outcome, _Gone):
                    self._idle.append(worker)
                    yield worker.job, outcome.value
                    continue
                worker.end()
                if worker.tries < _TRIES and not outcome.final:
                    todo.append((worker.job, worker.tries + 1))
                else:
                    yield worker.job, Lost(outcome.why)


class _Done(NamedTuple):
    value: object


class _Gone(NamedTuple):
    why: str
    final: bool


def _outcome(worker: _Worker, seconds: float) -> _Done | _Gone | None:
    """What a busy worker has to say; None when nothing yet."""
    try:
        if worker.pipe.poll():
            kind, value = worker.pipe.recv()
            return _Done(value if kind == "done" else Lost(value))
    except (EOFError, OSError):
        return _Gone("the grader's own process ended while it looked at this", False)
    if time.monotonic() - worker.since > seconds:
        return _Gone(f"the grader's own process took longer than {seconds:g} s", True)
    return None


def _serve(pipe: connection.Connection, folder: str) -> None:
    """In the process: jobs in, outcomes out, until nobody is there."""
    threading.Thread(target=_follow_parent, args=(folder,), daemon=True).start()
    tempfile.tempdir = folder
    while True:
        try:
            function, job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            message = ("done", function(job))
        except Exception as error:
            message = ("failed", f"{type(error).__name__}: {str(error)[:300]}")
        try:
            pipe.send(message)
        except OSError:
            return


def _follow_parent(folder: str) -> None:
    connection.wait([multiprocessing.parent_process().sentinel])
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def at_end(function: Callable) -> None:
    """Call this when the process ends in good order."""
    util.Finalize(None, function, exitpriority=10)
