"""Do the notebooks print the same again? Every notebook and every solution, compared as in CI, in other settings than the one they were built in.

    python3 tools/course.py bench repeatability --setting "4 threads"            one run, appended to the committed table
    .../another/python benchmarks/repeatability.py --setting "older versions"    with the packages of that interpreter

A run copies notebooks/ and solutions/ to an empty folder (with another number of threads in the line that sets them, if that is asked), computes every cell in new
kernels and compares what each prints with the committed output, within the cell's stated tolerance (tools/tolerance.py). A cell that differs once is a flake or a
dependence on the setting; both are counted by name, and none is run again.
"""
import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from harness import RESULTS, machine, publish

from tools.sources import code_cells, read_notebook

COURSE = ROOT
FOLDERS = ("notebooks", "solutions")
THREADS_LINE = re.compile(r"torch\.set_num_threads\(1\)")
COLUMNS = ("setting", "runs", "Python", "torch", "numpy", "notebooks a run", "cells compared", "cells that differed")


class Setting(NamedTuple):
    threads: int = 1
    busy: int = 0                       # processes beside it that never rest
    environment: dict[str, str] = {}


SETTINGS = {
    "as built": Setting(),
    "2 threads": Setting(threads=2),
    "4 threads": Setting(threads=4),
    "busy neighbours": Setting(busy=4),
    "plain CPU kernels": Setting(environment={"ATEN_CPU_CAPABILITY": "default"}),  # no AVX2, no AVX-512: another order of sums
    "plain CPU kernels, 2 threads": Setting(threads=2, environment={"ATEN_CPU_CAPABILITY": "default"}),
    "older versions": Setting(),        # the oldest torch and numpy that pyproject.toml allows, in an environment of their own
    "newer versions": Setting(),        # the newest Python
}


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen]]:
    """So many processes that compute until the block ends."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def copy(folder: Path, threads: int, chapters: list[str]) -> list[Path]:
    """The notebooks of these chapters (numbers; none: all) in `folder`, with this number of threads. -> their paths there."""
    copied = []
    for name in FOLDERS:
        for path in sorted((COURSE / name).rglob("*.ipynb")):
            if ".ipynb_checkpoints" in path.parts or chapters and path.name[:2] not in chapters:
                continue
            target = folder / path.relative_to(COURSE)
            target.parent.mkdir(parents=True, exist_ok=True)
            notebook = json.loads(path.read_text(encoding="utf-8"))
            for cell in notebook["cells"]:
                cell["source"] = THREADS_LINE.sub(f"torch.set_num_threads({threads})", "".join(cell["source"]))
            target.write_text(json.dumps(notebook), encoding="utf-8")
            copied.append(target)
    return copied


def run(setting: Setting, chapters: list[str], jobs: int) -> dict:
    """One run. -> cells and notebooks compared, and notebook::cell of each that differed."""
    with tempfile.TemporaryDirectory() as name, neighbours(setting.busy):
        folder = Path(name)
        notebooks = copy(folder, setting.threads, chapters)
        environment = os.environ | setting.environment | {"OMP_NUM_THREADS": str(setting.threads), "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT),
                                                          "OMP_WAIT_POLICY": "PASSIVE"}  # waiting threads sleep: the sums are the same, and other processes get on
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "tools.nbval_tolerance", "-n", str(jobs), "--dist", "loadscope", "--junitxml", f"{folder}/report.xml",
                   "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", str(ROOT / "pyproject.toml"), *map(str, notebooks)]
        begun = time.monotonic()
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if ran.returncode not in (0, 1):
            raise RuntimeError(f"repeatability: pytest ended with exit status {ran.returncode}, expected 0 or 1:\n{ran.stdout[-3000:]}{ran.stderr[-2000:]}")
        cases = list(ElementTree.parse(folder / "report.xml").iter("testcase"))
        different = [f"{case.get('classname').split('.')[-1]}: {case.get('name')}" for case in cases if len(case)]
        expected = sum(len(code_cells(read_notebook(path))) for path in notebooks)
        if len(cases) != expected:
            raise RuntimeError(f"repeatability: {len(cases)} cells were compared, expected {expected}:\n{ran.stdout[-3000:]}")
        said = [line for line in ran.stdout.splitlines() if "differ" in line or line.startswith(("FAILED", "E "))]
    return {"notebooks": len(notebooks), "cells": len(cases), "different": different, "said": said[:60] if different else [], "minutes": round((time.monotonic() - begun) / 60, 1)}


def table(runs: list[dict]) -> list[tuple]:
    """A line for each setting and set of versions."""
    lines: dict[tuple, list[dict]] = {}
    for one in runs:
        lines.setdefault((one["setting"], one["python"], one["torch"], one["numpy"]), []).append(one)
    return [(setting, len(same), python, torch, numpy, " and ".join(sorted({str(one["notebooks"]) for one in same})), sum(one["cells"] for one in same), sum(len(one["different"]) for one in same))
            for (setting, python, torch, numpy), same in lines.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setting", choices=list(SETTINGS), required=True)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--chapters", nargs="*", default=[], help="two digits each; all if none is named")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dry", action="store_true", help="do not append to the committed table")
    options = parser.parse_args()
    about, path = machine(), RESULTS / "repeatability.json"
    new = []
    for _ in range(options.times):
        found = run(SETTINGS[options.setting], options.chapters, options.jobs)
        new.append({"setting": options.setting, **{name: about[name] for name in ("date", "python", "torch", "numpy")}, **found})
        print(json.dumps(new[-1], indent=1), flush=True)
        runs = (json.loads(path.read_text())["raw"] if path.exists() else []) + new[-1:]
        if not options.dry:
            different = [f"- {one['setting']}, {one['date']}: {', '.join(one['different'])}" for one in runs if one["different"]]
            notes = (f"{len(runs)} runs, {sum(one['cells'] for one in runs)} comparisons of a cell, {sum(len(one['different']) for one in runs)} different. Every cell in a new kernel, "
                     "compared with the committed output within the cell's stated tolerance, as in CI; no run is left out, none repeated." + "".join(f"\n{line}" for line in different))
            publish("repeatability", "The notebooks again, in other settings", COLUMNS, table(runs), about=about, notes=notes, raw=runs)
    return any(one["different"] for one in new)


if __name__ == "__main__":
    sys.exit(main())
