"""How kernel_speed times: one case, several ways to do the same work, taking turns; no time where ours disagrees with the definition."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

Run = Callable[[], object]
ROUNDS = 5


class Case(NamedTuple):
    name: str
    agrees: Callable[[], str]             # "" or in words how ours differs from the definition
    ways: dict[str, Callable[[], Run]]    # what makes a run; "ours" is the first
    bytes: float                          # that any way must read and write
    operations: float                     # multiplications and additions that any way must do


class Floor(NamedTuple):
    bandwidth: float   # bytes a second, of a copy
    rate: float        # operations a second, of a matrix product

    def seconds(self, case: Case) -> float:
        return max(case.bytes / self.bandwidth, case.operations / self.rate)


class Result(NamedTuple):
    case: Case
    problem: str                          # why there are no times
    seconds: dict[str, list[float]]       # of one run, round by round; a way that cannot run here is missing
    excuses: dict[str, str]               # why it is missing
    memory: dict[str, int]                # bytes beyond what was there before; on a GPU alone


def measure(case: Case, device: torch.device, *, seconds: float = 0.3, rounds: int = ROUNDS) -> Result:
    """Each way runs for about `seconds` a round, in turn."""
    problem = case.agrees()
    if problem:
        return Result(case, problem, {}, {}, {})
    runs, excuses, memory = {}, {}, {}
    for name, make in case.ways.items():
        try:
            run = make()
            for _ in range(3):  # compile, warm up, capture
                run()
            wait(device)
        except Exception as error:  # a peer that is not installed, a compiler that is not there: the table says so
            if name == "ours":
                raise
            excuses[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
            continue
        runs[name] = run, max(1, min(1000, int(seconds / max(_time(run, 1, device), 1e-7))))
        if device.type == "cuda":
            memory[name] = _memory(run)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, times) in runs.items():
            found[name].append(_time(run, times, device))
    return Result(case, "", found, excuses, memory)


def table(results: list[Result], floor: Floor) -> list[list[str]]:
    """case, way, time, ours is faster by, floor's share, memory."""
    rows = []
    for result in results:
        if result.problem:
            rows.append([result.case.name, "ours", "no time: " + result.problem, "", "", ""])
            continue
        ours = result.seconds["ours"]
        for name, seconds in result.seconds.items():
            ratio = statistics.median(theirs / mine for theirs, mine in zip(seconds, ours))
            memory = f"{result.memory[name] / 2**20:.1f} MiB" if name in result.memory else ""
            median = statistics.median(seconds)
            rows.append([result.case.name, name, readable(median), "" if name == "ours" else f"{ratio:.2f} x", f"{floor.seconds(result.case) / median:.0%}", memory])
        rows += [[result.case.name, name, f"not run: {why}", "", "", ""] for name, why in result.excuses.items()]
    return rows


def readable(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def measured_floor(device: torch.device, quick: bool) -> Floor:
    """A copy of memory far larger than any cache; a float32 product on the CPU, a bfloat16 product on a GPU."""
    large = 2**28 if device.type == "cuda" else 2**22 if quick else 2**26
    x = torch.zeros(large, device=device)
    y = torch.empty_like(x)
    size, kind = (8192, torch.bfloat16) if device.type == "cuda" else (256 if quick else 1024, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    copy, product = (lambda: y.copy_(x)), (lambda: a @ b)
    for run in (copy, product):
        run()
    copying, multiplying = (min(_time(run, 1, device) for _ in range(10)) for run in (copy, product))
    return Floor(2 * x.nbytes / copying, 2 * size**3 / multiplying)


def best(a: Floor, b: Floor) -> Floor:
    """What this machine was seen to do at its best."""
    return Floor(max(a.bandwidth, b.bandwidth), max(a.rate, b.rate))


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _time(run: Run, times: int, device: torch.device) -> float:
    wait(device)
    start = time.perf_counter()
    for _ in range(times):
        run()
    wait(device)
    return (time.perf_counter() - start) / times


def _memory(run: Run) -> int:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
