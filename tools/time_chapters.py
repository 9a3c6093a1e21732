"""Measure how long each lecture notebook runs here and write deepgen_lib/embedded/chapter_seconds.json, which the start page reads.

    python -m tools.time_chapters             all lectures
    python -m tools.time_chapters 01 02       these alone; the others keep their numbers, if the machine is the same

Each notebook is executed once, in a fresh kernel on one thread; nothing but the table is written. Time is the processor's, which on one
thread is that of the clock on the wall of a machine that does nothing else.
"""
from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from deepgen_lib.machine import matrix_speed, this_machine
from tools.running import execute
from tools.sources import ROOT, find_sources, read_inputs
from tools.writing import write_whole

TABLE = "deepgen_lib/embedded/chapter_seconds.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.time_chapters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)  # another course, for tests
    options = parser.parse_args(arguments)
    table, failures = measure(options.root.resolve(), options.chapters)
    (options.root / TABLE).parent.mkdir(parents=True, exist_ok=True)
    write_whole(options.root / TABLE, json.dumps(table, indent=1) + "\n")
    for failure in failures:
        print(f"FAILED  {failure}", file=sys.stderr)
    return 1 if failures else 0


def measure(root: Path, chapters: list[str] = ()) -> tuple[dict, list[str]]:
    """The new table, and a line for each notebook that failed; seconds of chapters that are not measured are scaled from the old table by the two machines' speeds."""
    torch.set_num_threads(1)
    speeds, seconds, stems, failures = [matrix_speed(clock=time.process_time)], {}, [], []
    for source in find_sources(root, kinds=("lectures",)):
        stems.append(source.stem)
        if chapters and not source.stem.startswith(tuple(chapters)):
            continue
        try:
            seconds[source.stem] = round(run_time(source.text), 1)
        except RuntimeError as error:
            failures.append(f"{source.stem}: {error}")
            continue
        speeds.append(matrix_speed(clock=time.process_time))
        print(f"{source.stem}: {seconds[source.stem]} s", flush=True)
    gflops = round(statistics.median(speeds), 1)
    old = json.loads((root / TABLE).read_text(encoding="utf-8")) if (root / TABLE).exists() else {"gflops": gflops, "seconds": {}}
    kept = {stem: round(s * old["gflops"] / gflops, 1) for stem, s in old["seconds"].items() if stem in stems}
    all_seconds = kept | seconds
    measured = {stem: all_seconds[stem] for stem in stems if stem in all_seconds}
    return {"date": datetime.date.today().isoformat(), "hardware": hardware(), "gflops": gflops, "seconds": measured}, failures


def run_time(text: Path) -> float:
    """Processor seconds of one notebook, the start of its kernel included.  Raises RuntimeError naming the cell that fails."""
    notebook, start = read_inputs(text), _children()
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    return _children() - start


def _children() -> float:
    times = os.times()  # of the kernels that have ended
    return times.children_user + times.children_system


def hardware() -> str:
    """The processor's name, its cores and PyTorch's version, in words."""
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    machine = this_machine()
    return f"{names[0] if names else platform.processor() or platform.machine()}, {machine.n_cores} cores, PyTorch {'.'.join(map(str, machine.torch))}, one thread"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
