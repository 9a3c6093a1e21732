"""What every benchmark shares: paired runs, the median, the machine on record, one JSON file and one table of results.

Paired: in every round each candidate runs once, in turn, so that a busy minute slows all of them alike; ratios are taken round by round.
Each has a process of its own, so that no package's threads or memory disturb another's.
"""
from __future__ import annotations

import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

RESULTS = Path(__file__).parent / "results"


class Timing(NamedTuple):
    rates: list[float]       # work per second, one entry a round

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


def paired(candidates: dict[str, tuple[Callable[..., Callable[[], int]], tuple]], *, rounds: int, threads: int) -> dict[str, Timing]:
    """Work per second, round by round; name -> (what makes a piece of work, its arguments). One warm-up round each."""
    context, workers, rates = multiprocessing.get_context("spawn"), {}, {}
    try:
        for name, (make, arguments) in candidates.items():
            here, there = context.Pipe()
            worker = context.Process(target=_work, args=(there, make, arguments, threads), daemon=True)
            worker.start()
            there.close()  # so that a worker that dies is noticed
            workers[name], rates[name] = (worker, here), []
            here.recv()  # ready: data loaded, one warm-up round done
        for _ in range(rounds):
            for name, (_, pipe) in workers.items():
                pipe.send("go")
                rates[name].append(pipe.recv())
    finally:
        for worker, _ in workers.values():
            worker.terminate()
    return {name: Timing(r) for name, r in rates.items()}


def _work(pipe, make: Callable[..., Callable[[], int]], arguments: tuple, threads: int) -> None:
    torch.set_num_threads(threads)
    work = make(*arguments)
    work()
    pipe.send("ready")
    while pipe.recv() == "go":
        start = time.perf_counter()
        amount = work()
        pipe.send(amount / (time.perf_counter() - start))


def ratio(a: Timing, b: Timing) -> float:
    """How many times faster a is than b: the median of the ratios within a round."""
    return statistics.median(x / y for x, y in zip(a.rates, b.rates))


def machine(*packages: str) -> dict[str, str]:
    """Date, processor, threads and the versions that matter."""
    versions = {p: importlib.metadata.version(p) for p in ("torch", "numpy", *packages)}
    return {"date": datetime.date.today().isoformat(), "processor": _processor(), "cores": str(os.cpu_count()),
            "torch threads": str(torch.get_num_threads()), "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(), **versions}


def publish(name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence], *, about: dict[str, str], notes: str, raw: object = None) -> None:
    """Write results/NAME.json and results/NAME.md, and print the table."""
    RESULTS.mkdir(exist_ok=True)
    record = {"title": title, "machine": about, "columns": list(columns), "rows": [list(r) for r in rows], "notes": notes, "raw": raw}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    table = ["| " + " | ".join(map(str, row)) + " |" for row in (columns, ["---"] * len(columns), *rows)]
    where = ", ".join(f"{k} {v}" for k, v in about.items())
    text = "\n".join([f"# {title}", "", *table, "", notes.strip(), "", f"Measured on: {where}.", ""])
    (RESULTS / f"{name}.md").write_text(text)
    print(text)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
