"""Limits on the grader's own work with one answer: comparing may be asked to enumerate a model, or build a network, of the student's choosing.

    bounded(work, seconds=60, memory_mb=4096, late=Late)      # raises Late() inside work(), wherever it then stands
Time is asked for between Python's own steps, so one long call into C ends first. Where the exception falls into a place that ignores exceptions (a callback
of the garbage collector, say) it is raised again until it is heard, and Python's report of the ignored one is left out. Memory is limited where the system can.
"""
from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

try:
    import resource
except ImportError:  # Windows
    resource = None

Result = TypeVar("Result")
_AGAIN = 1.0  # seconds until it is raised again
_raise = ctypes.pythonapi.PyThreadState_SetAsyncExc
_turn, _inside, _before = threading.Lock(), [], []  # the limit on memory is one for all threads: the first sets it, the last takes it back
_lates, _hook = [], []  # what is being rung with, and who else hears of ignored exceptions


def bounded(work: Callable[[], Result], *, seconds: float, memory_mb: int, late: type[BaseException]) -> Result:
    """work(), in which `late` is raised when the time is over; too much memory is a MemoryError, or torch's RuntimeError.

    A function and no context manager: in the methods of one the exception could fall between the work and its end, and nobody would stop the ringing.
    """
    thread, lock, over, done = ctypes.c_ulong(threading.get_ident()), threading.Lock(), [], threading.Event()

    def ring() -> None:
        wait = seconds
        while not done.wait(wait):
            with lock:
                if over:
                    return
                _raise(thread, ctypes.py_object(late))
            wait = _AGAIN
    with _memory(memory_mb), _unreported(late):
        try:
            threading.Thread(target=ring, daemon=True).start()
            return work()
        finally:
            while True:
                try:
                    while not over:
                        with lock:
                            over.append(True)
                            _raise(thread, None)  # one that has rung and was not heard yet
                    break
                except late:  # rung on the way out
                    pass
            done.set()


@contextlib.contextmanager
def _memory(megabytes: int):
    with _turn:
        if not _inside and resource and os.path.exists("/proc/self/statm"):
            _before[:] = resource.getrlimit(resource.RLIMIT_AS)
            with open("/proc/self/statm", encoding="ascii") as numbers:
                there = int(numbers.read().split()[0]) * resource.getpagesize()
            _set(min([there + megabytes * 2**20, *(limit for limit in _before if limit != resource.RLIM_INFINITY)]), _before[1])
        _inside.append(True)
    try:
        yield
    finally:
        with _turn:
            _inside.pop()
            if not _inside and _before:
                _set(*_before)
                _before.clear()


@contextlib.contextmanager
def _unreported(late: type[BaseException]):
    """No report of a `late` that Python ignored: it is raised again."""
    with _turn:
        if not _lates:
            _hook[:] = [sys.unraisablehook]
            sys.unraisablehook = _report
        _lates.append(late)
    try:
        yield
    finally:
        with _turn:
            _lates.remove(late)
            if not _lates:
                sys.unraisablehook = _hook[0]


def _report(ignored) -> None:
    if ignored.exc_type not in _lates:
        _hook[0](ignored)


def _set(soft: int, hard: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ValueError, OSError):  # then there is none, as before
        pass
