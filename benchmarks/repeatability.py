"""Do the notebooks print the same again? Every notebook and every solution, compared as in CI, in other settings than the one they were built in.

    python3 tools/course.py bench repeatability --setting "4 threads"            one run, appended to the committed table
    .../another/python benchmarks/repeatability.py --setting "older versions"    with the packages of that interpreter

A run copies notebooks/ and solutions/ to an empty folder (with another number of threads in the line that sets them, if that is asked), computes every cell in new
kernels and compares what each prints with the committed output, within the cell's stated tolerance (tools/tolerance.py). A cell that differs once is a flake or a
dependence on the setting; both are counted by name, and none is run again. A run that breaks off is counted, too. --mended says what was done about it.
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
from harness import machine, publish
from recorded import add_options, mend, n_mended, recorded
from recorded import lines as found_in_words

from tools.sources import code_cells, read_notebook

COURSE = ROOT
FOLDERS = ("notebooks", "solutions")
THREADS_LINE = re.compile(r"torch\.set_num_threads\(1\)")
COLUMNS = ("setting", "runs", "Python", "torch", "numpy", "Matplotlib", "notebooks a run", "cells compared", "cells that differed", "of these mended since", "runs that broke off")


class Setting(NamedTuple):
    threads: int = 1
    busy: int = 0                       # processes beside it that never rest
    environment: dict[str, str] = {}
    versions: dict[str, str] = {}       # which the interpreter must have


SETTINGS = {
    "as built": Setting(),
    "2 threads": Setting(threads=2),
    "4 threads": Setting(threads=4),
    "busy neighbours": Setting(busy=4),
    "plain CPU kernels": Setting(environment={"ATEN_CPU_CAPABILITY": "default"}),  # no AVX2, no AVX-512: another order of sums
    "plain CPU kernels, 2 threads": Setting(threads=2, environment={"ATEN_CPU_CAPABILITY": "default"}),
    "older versions": Setting(versions={"torch": "2.11", "numpy": "2.1", "matplotlib": "3.10"}),  # the oldest that pyproject.toml allows, in an environment of their own
    "newer versions": Setting(versions={"python": "3.13"}),
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


def kernels_of(setting: Setting, about: dict[str, str]) -> str:
    """Which of PyTorch's CPU kernels run in this setting; ValueError where it is not the setting that it says."""
    wrong = {name: about[name] for name, wanted in setting.versions.items() if not f"{about[name]}.".startswith(f"{wanted}.")}
    if wrong:
        raise ValueError(f"repeatability: got {wrong}, expected {setting.versions}; run it with an interpreter that has them")
    asked = [sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability())"]
    found = subprocess.run(asked, env=os.environ | setting.environment, capture_output=True, text=True, check=True).stdout.strip()
    if setting.environment.get("ATEN_CPU_CAPABILITY", found).upper() != found:
        raise ValueError(f"repeatability: got {found} kernels, expected {setting.environment['ATEN_CPU_CAPABILITY']}; this PyTorch does not heed ATEN_CPU_CAPABILITY")
    return found


def run(setting: Setting, chapters: list[str], jobs: int) -> dict:
    """One run. -> cells and notebooks compared, and notebook: cell of each that differed; or why it broke off."""
    with tempfile.TemporaryDirectory() as name, neighbours(setting.busy):
        folder = Path(name)
        notebooks = copy(folder, setting.threads, chapters)
        environment = os.environ | setting.environment | {"OMP_NUM_THREADS": str(setting.threads), "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT),
                                                          "OMP_WAIT_POLICY": "PASSIVE"}  # waiting threads sleep: the sums are the same, and other processes get on
        command = [sys.executable, "-m", "pytest", "-q", "--color=no", "--nbval", "-p", "tools.nbval_tolerance", "-n", str(jobs), "--dist", "loadscope", "--junitxml", f"{folder}/report.xml",
                   "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", str(ROOT / "pyproject.toml"), *map(str, notebooks)]
        begun = time.monotonic()
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        report = folder / "report.xml"
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
        different = ["/".join(case.get("classname").removesuffix(".ipynb").split(".")[-2:]) + f": {case.get('name')}" for case in cases if len(case)]
        expected = sum(len(code_cells(read_notebook(path))) for path in notebooks)
        broke = ran.returncode != bool(different) or len(cases) != expected
        said = [re.sub(r"\S*/(?=notebooks/|solutions/)", "", line) for line in ran.stdout.splitlines() if "differ" in line or line.startswith(("FAILED", "E "))]
    return {"notebooks": len(notebooks), "cells": len(cases), "different": different, "said": said[:60] if different else [], "minutes": round((time.monotonic() - begun) / 60, 1),
            "broke off": f"exit status {ran.returncode}, {len(cases)} of {expected} cells: {ran.stdout[-1500:]}{ran.stderr[-500:]}" if broke else ""}


def table(runs: list[dict]) -> list[tuple]:
    """A line for each setting and set of versions."""
    lines: dict[tuple, list[dict]] = {}
    for one in runs:
        lines.setdefault((*(one[name] for name in ("setting", "python", "torch", "numpy")), one.get("matplotlib", "not noted")), []).append(one)
    return [(setting, len(same), *versions, " and ".join(sorted({str(one["notebooks"]) for one in same})), sum(one["cells"] for one in same),
             sum(len(one["different"]) for one in same), n_mended(same), sum(bool(one.get("broke off")) for one in same)) for (setting, *versions), same in lines.items()]


def notes(runs: list[dict]) -> str:
    return (f"Runs: {len(runs)}. Comparisons of a cell: {sum(one['cells'] for one in runs)}, different: {sum(len(one['different']) for one in runs)}. Every cell in a new kernel, compared with the "
            "committed output within the cell's stated tolerance, as in CI; no run is left out, none repeated." + found_in_words(runs, "different", "setting"))


def put_down(runs: list[dict], about: dict[str, str]) -> None:
    publish("repeatability", "The notebooks again, in other settings", COLUMNS, table(runs), about=about, notes=notes(runs), raw=runs)


def main() -> int | None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setting", choices=list(SETTINGS), required=True, help="with --mended: of the runs to mark")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--chapters", nargs="*", default=[], help="two digits each; all if none is named")
    parser.add_argument("--jobs", type=int, default=2)
    add_options(parser)
    given = parser.parse_args()
    about, new = machine("matplotlib"), []
    if given.mended:
        runs = recorded("repeatability")
        mend([one for one in runs if one["setting"] == given.setting], "different", *given.mended)
        return put_down(runs, about)
    for _ in range(given.times):
        setting = SETTINGS[given.setting]
        found = {"kernels": kernels_of(setting, about)} | run(setting, given.chapters, given.jobs)
        new.append({"setting": given.setting, **{name: about[name] for name in ("date", "python", "torch", "numpy", "matplotlib")}, **found})
        print(json.dumps(new[-1], indent=1), flush=True)
        if not given.dry:
            put_down(recorded("repeatability") + new[-1:], about)
    return any(one["different"] or one["broke off"] for one in new)


if __name__ == "__main__":
    sys.exit(main())
