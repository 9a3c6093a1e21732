"""Is this machine ready for the course, and how long will a chapter run on it?

    seconds here ≈ seconds on the reference machine · reference speed / speed here

Speed is that of the product at the heart of training an RBM, (100, 784) @ (784, 500), in GFLOP/s on the threads that torch uses now.
What the reference machine took, when, and what it is: embedded/chapter_seconds.json, written by tools/time_chapters.py.
"""
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import torch

from .validate import require_number

GIB = 2**30
MINIMUM = {"Python": (3, 11), "PyTorch": (2, 11), "memory": 3.0, "free disk": 1.0}  # memory and disk in GiB
BATCH, N_VISIBLE, N_HIDDEN = 100, 784, 500


class Machine(NamedTuple):
    """What the course runs on."""
    python: tuple[int, ...]
    torch: tuple[int, ...]
    system: str
    n_cores: int         # that this process may use
    n_threads: int       # that torch uses now
    memory: float        # GiB, that this process may use; NaN where the system does not say
    free_disk: float     # GiB, where the notebook lies
    gpu: str             # its name, or ""


class Finding(NamedTuple):
    what: str
    found: str
    fine: bool
    advice: str          # what to do, or what it means


class Reference(NamedTuple):
    """How long the lecture notebooks ran, on which machine."""
    date: str                   # of the measurement, year-month-day
    hardware: str
    gflops: float               # matrix_speed() there, one thread
    seconds: dict[str, float]   # {stem of the chapter: processor seconds of its kernel, one thread: the wall seconds of a machine that does nothing else}


def this_machine(folder: str | os.PathLike = ".") -> Machine:
    """Look, without changing anything; free_disk is that of `folder`."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    free = shutil.disk_usage(folder).free / GIB
    return Machine(tuple(sys.version_info[:3]), _version(torch.__version__), f"{platform.system()} {platform.machine()}",
                   _cores(), torch.get_num_threads(), _memory() / GIB, free, gpu)


def check_machine(machine: Machine) -> list[Finding]:
    """One finding per requirement: what was found, whether it suffices, what to do if not."""
    versions = [
        Finding(name, ".".join(map(str, found)), found >= MINIMUM[name], "" if found >= MINIMUM[name] else f"needs {'.'.join(map(str, MINIMUM[name]))} or newer: run make setup")
        for name, found in [("Python", machine.python), ("PyTorch", machine.torch)]]
    cores = Finding("cores", str(machine.n_cores), True, "enough: chapters use one thread" if machine.n_cores > 1 else "works; close other programs while a chapter runs")
    sizes = [
        Finding(name, f"{found:.1f} GiB" if found == found else "unknown", not found < MINIMUM[name], "" if not found < MINIMUM[name] else f"needs {MINIMUM[name]:g} GiB: {cure}")
        for name, found, cure in [("memory", machine.memory, "close other programs"), ("free disk", machine.free_disk, "delete something large")]]
    gpu = Finding("GPU", machine.gpu or "none", True, "not needed here; later chapters use it to go bigger" if machine.gpu else "none needed")
    return [*versions, cores, *sizes, gpu]


def matrix_speed(*, seconds: float = 1.0, clock: Callable[[], float] | None = None) -> float:
    """GFLOP/s of (100, 784) @ (784, 500) in float32, the median of 20 rounds that take about `seconds` together.

    clock: time.perf_counter, or time.process_time to leave out what other programs took from a busy machine.
    """
    clock = clock or time.perf_counter
    require_number("matrix_speed", "seconds", seconds, low=0.01, high=60)
    rng = torch.Generator().manual_seed(0)
    v, W = torch.rand(BATCH, N_VISIBLE, generator=rng), torch.rand(N_VISIBLE, N_HIDDEN, generator=rng)
    out = torch.empty(BATCH, N_HIDDEN)
    start, warm = clock(), 0
    while clock() - start < seconds / 10:  # also says how many products make a round
        torch.mm(v, W, out=out)
        warm += 1
    per_round, rounds = max(1, warm // 2), []
    for _ in range(20):
        start = clock()
        for _ in range(per_round):
            torch.mm(v, W, out=out)
        rounds.append(per_round / (clock() - start))
    return sorted(rounds)[10] * 2 * BATCH * N_VISIBLE * N_HIDDEN / 1e9


def reference() -> Reference:
    """The measurement that ships with the course."""
    text = resources.files(__package__).joinpath("embedded/chapter_seconds.json").read_text(encoding="utf-8")
    return Reference(**json.loads(text))


def chapter_seconds(gflops: float, measured: Reference | None = None) -> dict[str, float]:
    """How long each chapter will run at this speed, {stem: seconds}: a rough guess, for plots and Python cost time too."""
    require_number("chapter_seconds", "gflops", gflops, low=1e-3)
    measured = measured or reference()
    return {stem: seconds * measured.gflops / gflops for stem, seconds in measured.seconds.items()}


def _version(text: str) -> tuple[int, ...]:
    """'2.13.0+cpu' -> (2, 13, 0)."""
    return tuple(int(part) for part in text.split("+")[0].split(".")[:3] if part.isdigit())


def _cores() -> int:
    """Cores this process may use: affinity, then the quota of a container (Binder, JupyterHub)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _words(Path("/sys/fs/cgroup/cpu.max"))
    if len(quota) == 2 and quota[0] != "max":
        allowed = min(allowed, max(1, round(int(quota[0]) / int(quota[1]))))
    return allowed


def _memory() -> float:
    """Bytes this process may use: the machine's, or less in a container."""
    try:
        total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        total = _windows_memory()
    limit = _words(Path("/sys/fs/cgroup/memory.max"))
    return min(total, float(limit[0])) if limit and limit[0].isdigit() else total


def _windows_memory() -> float:
    try:
        import ctypes
        status = (ctypes.c_ulonglong * 8)(64)  # MEMORYSTATUSEX: two 32-bit words (length, load), then the total in bytes
        return float(status[1]) if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else float("nan")
    except (ImportError, AttributeError, OSError):
        return float("nan")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
