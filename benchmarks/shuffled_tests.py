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
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from harness import RESULTS, machine, publish

from tools.course import PYTEST, QUIET

COLUMNS = ("date", "seed", "Python", "torch", "files", "tests", "skipped", "failed", "of these mended since", "minutes")
MENDED = {  # what a random order found
    "tests.test_site_frames": "one test changed the notebook that the others share; it has a copy now",
    "tests.test_kernel_protocol": "one test took the only slider of a kernel that the others share; each hears of its own models now",
    "tests.test_bad_input: test_every_public_function_of_the_core_is_tested_or_excused": "no matter of order: a new function had no excuse yet",
}
SHUFFLED = ["--random-order-bucket=module", "--no-loadscope-reorder"]


def run(seed: int, tests: list[str], processes: int = 2) -> dict:
    """One run of these files or folders in the order of this seed. -> counts, and the names of what failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, *PYTEST, "-n", str(processes), *SHUFFLED, f"--random-order-seed={seed}", "-q", "--junitxml", str(report), "-p", "no:cacheprovider", *tests]
        begun = time.monotonic()
        ran = subprocess.run(command, cwd=ROOT, env=os.environ | QUIET, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode not in (0, 1) or not report.exists():
            raise RuntimeError(f"shuffled_tests: pytest ended with exit status {ran.returncode}, expected 0 or 1:\n{ran.stdout[-3000:]}{ran.stderr[-2000:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    if ran.returncode and not any(len(case) and case[0].tag != "skipped" for case in cases):
        raise RuntimeError(f"shuffled_tests: pytest ended with exit status {ran.returncode} and no test failed, expected 0:\n{ran.stdout[-3000:]}")
    failed = [f"{case.get('classname')}: {case.get('name')}" for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return {"seed": seed, "files": len({case.get("classname") for case in cases}), "tests": len(cases), "skipped": sum(case.find("skipped") is not None for case in cases),
            "failed": failed, "said": ran.stdout[ran.stdout.rfind("short test summary"):][-6000:] if failed else "", "minutes": round((time.monotonic() - begun) / 60, 1)}


def mended(name: str) -> str:
    """What was done about a test that failed once, if it was mended."""
    return MENDED.get(name) or MENDED.get(name.split(": ")[0], "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None, help="of the order; a new one if none is given")
    parser.add_argument("--dry", action="store_true", help="do not append to the committed table")
    parser.add_argument("tests", nargs="*", default=["tests"])
    options = parser.parse_args()
    about, path = machine(), RESULTS / "shuffled_tests.json"
    one = {name: about[name] for name in ("date", "python", "torch")} | run(random.randrange(10**6) if options.seed is None else options.seed, options.tests)
    print(json.dumps(one, indent=1), flush=True)
    if not options.dry:
        runs = (json.loads(path.read_text())["raw"] if path.exists() else []) + [one]
        rows = [(r["date"], r["seed"], r["python"], r["torch"], r["files"], r["tests"], r["skipped"], len(r["failed"]), sum(bool(mended(name)) for name in r["failed"]), r["minutes"]) for r in runs]
        notes = "No run is left out, and no test run again." + "".join(f"\n- seed {r['seed']}: {name}. {mended(name)}" for r in runs for name in r["failed"])
        publish("shuffled_tests", "The tests in a random order", COLUMNS, rows, about=about, notes=notes, raw=runs)
    return bool(one["failed"])


if __name__ == "__main__":
    sys.exit(main())
