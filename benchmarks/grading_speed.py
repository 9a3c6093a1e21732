"""Seconds for a hand-in: `make grade` against nbgrader autograde, and two workers against one, on the same notebooks and machine.

    python3 benchmarks/grading_speed.py [--rounds 3]

Whole commands are timed, with all that they need to start: nbgrader a kernel for every notebook, make grade its workers. In every round each runs once.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.harness import machine, publish
from tests.grading_class import solved
from tests.simulated_class import CHAPTERS
from tools.sources import ROOT, built_path

FEW, MANY = 1, 20  # hand-ins of each chapter
NOTES = """
Every hand-in is the chapter's own solution ({chapters}); {few} hand-ins for nbgrader, {many} for make grade, which writes records, feedback, gradebooks and nbgrader's
database (nbgrader autograde writes its database alone, and runs the hand-ins' code without isolation). Medians of {rounds} rounds, and their range; each round runs every command once.
Grading alone is what make grade itself says: from the first hand-in to the last, without the start and the gradebooks.

make grade with one worker is {faster:.1f} times as fast as nbgrader autograde (round by round: {rounds_faster}). Two workers: {two:.2f} times one worker in whole, {two_alone:.2f} times in grading alone.
Load average in the rounds: {loads} on {cores} cores; a busy machine hides what a second worker would bring.
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python3 benchmarks/grading_speed.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(arguments).rounds
    found: dict[str, list[tuple[float, float | None]]] = {"nbgrader autograde": [], "make grade, 1 worker": [], "make grade, 2 workers": []}
    loads = []
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        theirs, ours = Path(folder, "theirs"), Path(folder, "ours")
        lay_out(theirs, FEW)
        lay_out(ours, MANY)
        for chapter in CHAPTERS:
            run(theirs, "nbgrader", "generate_assignment", chapter, "--force", f"--CourseDirectory.release_directory={folder}/released")
        graded(ours, 2)  # the seeds of the chapters are searched once a term
        for _ in range(rounds):
            loads.append(os.getloadavg()[0])
            seconds = sum(run(theirs, "nbgrader", "autograde", chapter, "--force")[0] for chapter in CHAPTERS)
            found["nbgrader autograde"].append((seconds / (FEW * len(CHAPTERS)), None))
            for workers in (1, 2):
                found[f"make grade, {workers} worker{'s' * (workers > 1)}"].append(graded(ours, workers))
            print(found, flush=True)
    report(found, loads)


def lay_out(root: Path, count: int) -> None:
    for chapter in CHAPTERS:
        for kind in ("exercises", "solutions"):
            target = root / kind / chapter / f"{chapter}.ipynb"
            target.parent.mkdir(parents=True)
            shutil.copy(built_path(ROOT, kind, chapter), target)
        for number in range(count):
            target = root / "submitted" / f"s{number:02d}" / chapter / f"{chapter}.ipynb"
            target.parent.mkdir(parents=True)
            target.write_text(json.dumps(solved(chapter)), encoding="utf-8")
    shutil.copy(ROOT / "nbgrader_config.py", root)


def graded(root: Path, workers: int) -> tuple[float, float]:
    """Seconds a hand-in: of the whole command, of grading alone."""
    seconds, said = run(ROOT, "tools.grade", "--root", str(root), "--workers", str(workers), "--regrade")
    number, alone = re.search(r"Graded (\d+) of \d+ hand-ins in (\d+) s", said).groups()
    records = [json.loads(path.read_text()) for path in (root / "grades").glob("*/*.json")]
    missed = [result["feedback"] for record in records for result in record["results"] if re.fullmatch(r"\d+\.\d+", result["exercise"]) and result["points"] != result["possible"]]
    if int(number) != MANY * len(CHAPTERS) or missed:
        raise ValueError(f"graded: {number} hand-ins, without full points: {missed[:3]}; expected the solutions of {', '.join(CHAPTERS)} to get them; was the course changed meanwhile?")
    return seconds / int(number), float(alone) / int(number)


def run(folder: Path, module: str, *words: str) -> tuple[float, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # nbgrader calls alembic by name
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *words], cwd=folder, capture_output=True, text=True,
                          env=dict(os.environ, PATH=programs, OMP_NUM_THREADS="1", TQDM_DISABLE="1", PYTHONPATH=str(ROOT)))
    if done.returncode:
        raise ValueError(f"run: {module} {words[0]} failed, expected it to pass; its words: {done.stderr[-800:]}")
    return time.perf_counter() - start, done.stdout


def report(found: dict[str, list[tuple[float, float | None]]], loads: list[float]) -> None:
    def median(name: str, which: int = 0) -> float:
        return statistics.median(times[which] for times in found[name])
    theirs, one, two = found
    ratios = [a[0] / b[0] for a, b in zip(found[theirs], found[one])]
    rows = [[name, f"{median(name):.2f}", f"{min(t[0] for t in times):.2f} to {max(t[0] for t in times):.2f}", "" if name == theirs else f"{median(name, 1):.2f}"] for name, times in found.items()]
    notes = NOTES.format(chapters=", ".join(CHAPTERS), few=FEW * len(CHAPTERS), many=MANY * len(CHAPTERS), rounds=len(loads), faster=statistics.median(ratios),
                         rounds_faster=", ".join(f"{ratio:.1f}" for ratio in ratios), two=statistics.median(a[0] / b[0] for a, b in zip(found[one], found[two])),
                         two_alone=statistics.median(a[1] / b[1] for a, b in zip(found[one], found[two])), loads=", ".join(f"{load:.1f}" for load in loads), cores=os.cpu_count())
    publish("grading_speed", "Seconds for a hand-in", ["command", "seconds for a hand-in", "range", "grading alone"], rows, about=machine("nbgrader", "nbconvert"), notes=notes, raw={"seconds": found, "loads": loads})


if __name__ == "__main__":
    main()
