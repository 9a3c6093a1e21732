"""The tests of tests/ in a random order, two processes side by side: does one of them rest on what another left?

    python3 tools/course.py bench shuffled_tests              one run with a new seed, appended to the committed table
    python3 tools/course.py bench shuffled_tests --seed 7     the same order again

The plugin pytest-random-order shuffles the files, and the tests in each of them; pytest-xdist gives the files to its workers in that order. (The cells of a
notebook have an order of their own, which benchmarks/jupyter_states.py breaks.) A test that fails is counted by name, and none is run again.
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from harness import machine, publish
from recorded import add_options, lines, mend, n_mended, recorded

from tools.course import PYTEST, QUIET

COLUMNS = ("date", "seed", "Python", "torch", "files", "tests", "skipped", "failed", "of these mended since", "broke off", "minutes")
SHUFFLED = ["--random-order-bucket=module", "--no-loadscope-reorder"]


def run(seed: int, tests: list[str], processes: int = 2) -> dict:
    """One run of these files or folders in the order of this seed. -> counts, the names of what failed, and why it broke off."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, *PYTEST, "-n", str(processes), *SHUFFLED, f"--random-order-seed={seed}", "-q", "--junitxml", str(report), "-p", "no:cacheprovider", *tests]
        begun = time.monotonic()
        ran = subprocess.run(command, cwd=ROOT, env=os.environ | QUIET, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    bad = {f"{case.get('classname')}: {case.get('name')}": found for case in cases if (found := next((part for part in case if part.tag in ("failure", "error")), None)) is not None}
    failed, why = list(bad), {name: re.sub(r"/\S*/", "", found.get("message", ""))[:400] for name, found in bad.items()}
    return {"seed": seed, "files": len({case.get("classname") for case in cases}), "tests": len(cases), "skipped": sum(case.find("skipped") is not None for case in cases),
            "broke off": f"exit status {ran.returncode}: {ran.stdout[-1500:]}{ran.stderr[-500:]}" if ran.returncode != bool(failed) else "", "failed": failed, "why": why, "minutes": round((time.monotonic() - begun) / 60, 1)}


def put_down(runs: list[dict], about: dict[str, str]) -> None:
    rows = [(r["date"], r["seed"], r["python"], r["torch"], r["files"], r["tests"], r["skipped"], len(r["failed"]), n_mended([r]), "yes" if r.get("broke off") else "no", r["minutes"]) for r in runs]
    publish("shuffled_tests", "The tests in a random order", COLUMNS, rows, about=about, notes="No run is left out, and no test run again." + lines(runs, "failed", "seed"), raw=runs)


def main() -> int | None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None, help="of the order; a new one if none is given")
    add_options(parser)
    parser.add_argument("tests", nargs="*", default=["tests"])
    given, about = parser.parse_args(), machine()
    if given.mended:
        runs = recorded("shuffled_tests")
        mend(runs, "failed", *given.mended)
        return put_down(runs, about)
    one = {name: about[name] for name in ("date", "python", "torch")} | run(random.randrange(10**6) if given.seed is None else given.seed, given.tests)
    print(json.dumps(one, indent=1), flush=True)
    if not given.dry:
        put_down([*recorded("shuffled_tests"), one], about)
    return bool(one["failed"] or one["broke off"])


if __name__ == "__main__":
    sys.exit(main())
