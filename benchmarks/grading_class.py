"""A simulated class of 200, graded by `make grade` in one command, behind walls or under limits alone.

    python3 benchmarks/grading_class.py                   with bubblewrap, where it works
    python3 benchmarks/grading_class.py --limits-alone    as on a machine without it

The hand-ins and what each must get come from tests/simulated_class.py. The course that grades is a copy; it, a server, another process and the folders
where everybody may write stand around (tests/class_surroundings.py). A listing of the system's folders is made before and after.
"""
from __future__ import annotations

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.harness import machine, publish
from grading.record import Record, read_records
from tests.class_surroundings import Surroundings, fingerprints, times
from tests.simulated_class import CHAPTERS, HandIn, make_class
from tools.sources import ROOT, built_path

SECONDS, MEMORY_MB, WORKERS = 10.0, 512, 2
FAMILIES = ("right", "cells", "wrong", "the library's own answer", "start", "blank", "syntax error", "damaged file", "attack: stops", "attack: reads", "attack: fools", "attack: leaves")
PROGRAMS = {".cache", ".config", ".ipython", ".jupyter", ".local", ".npm", ".triton"}  # in the user's folder: other programs write there all the time
MADE = {"grades", "feedback", "autograded", "gradebook.db", "submitted"}  # what make grade writes in its work folder, and what was handed in
NOTES = """
As expected: every exercise of the hand-in got what it must get, full points or none (attacks cost the exercise that holds them and no other); a known mistake was named,
a damaged file's trouble too. Attacks are written to succeed: one that gets hold of the answer key hands in the right answer, one that gets out leaves a file, a call, a signal.

Isolation: {isolation}.

Changed outside of the work folder, or called, or killed: {outside}. In the work folder, besides grades, feedback and gradebook: {inside}. The hand-ins themselves: {hand_ins}. Left running: {running}.
Graded by `python -m tools.grade --workers {workers} --seconds {seconds:g} --memory-mb {memory}` in {took:.0f} s ({each:.2f} s a hand-in; {stops} hand-ins take their full time), load average {load:.1f} before.
"""


class Outcome(NamedTuple):
    records: dict[str, Record]
    seconds: float
    outside: list[str]   # traces and changes beyond the work folder
    inside: list[str]    # new or changed in the work folder, where nothing should be
    hand_ins: list[str]  # changed hand-ins
    running: int         # processes that outlived
    said: str


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 benchmarks/grading_class.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limits-alone", action="store_true", help="as if bubblewrap and container engines were missing")
    parser.add_argument("--size", type=int, default=200, help="of the class; below 200 nothing is published")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with Surroundings(whole=True) as around, tempfile.TemporaryDirectory(prefix="class-") as work:
        hand_ins = make_class(around.facts)[:options.size]
        outcome = grade(Path(work), hand_ins, around, limits_alone=options.limits_alone)
    faults = {hand_in.student: fault for hand_in in hand_ins if (fault := fault_of(hand_in, outcome.records.get(hand_in.student)))}
    report(hand_ins, outcome, faults, load=load, name="grading_class_limits" if options.limits_alone else "grading_class", publishes=options.size == 200)
    return 1 if faults or outcome.outside or outcome.inside or outcome.hand_ins or outcome.running else 0


def grade(work: Path, hand_ins: list[HandIn], around: Surroundings, *, limits_alone: bool) -> Outcome:
    for chapter in CHAPTERS:
        for kind in ("exercises", "solutions"):
            target = work / kind / chapter / f"{chapter}.ipynb"
            target.parent.mkdir(parents=True)
            shutil.copy(built_path(ROOT, kind, chapter), target)
    shutil.copy(ROOT / "nbgrader_config.py", work)
    for hand_in in hand_ins:
        target = work / "submitted" / hand_in.student / hand_in.chapter / f"{hand_in.chapter}.ipynb"
        target.parent.mkdir(parents=True)
        target.write_bytes(hand_in.content)
    system, there, running = system_folders(), fingerprints(work), processes()
    before, start = times(system), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "tools.grade", "--root", str(work), "--workers", str(WORKERS), "--seconds", str(SECONDS), "--memory-mb", str(MEMORY_MB)],
                          cwd=around.course, capture_output=True, text=True, env=environment(limits_alone=limits_alone))
    seconds = time.monotonic() - start
    after, now = times(system), fingerprints(work)
    changed = {name for name in there.keys() | now.keys() if there.get(name) != now.get(name)}
    print(done.stdout[-1500:], done.stderr[-1500:], sep="\n")
    return Outcome({record.student: record for record in read_records(work)}, seconds, around.traces() + sorted(f"{name} in the system" for name, _ in set(before.items()) ^ set(after.items())),
                   sorted(name for name in changed if Path(name).parts[0] not in MADE), sorted(name for name in changed if name.startswith("submitted")), len(processes() - running), done.stdout)


def environment(*, limits_alone: bool) -> dict[str, str]:
    """Without walls: a path on which the programs that make them are not found."""
    own = dict(os.environ, OMP_NUM_THREADS="1", TQDM_DISABLE="1", PYTHONDONTWRITEBYTECODE="1")
    if limits_alone:
        own["PATH"] = str(Path(sys.executable).parent)
    return own


def system_folders() -> list[Path]:
    """Where nothing may change meanwhile, in any file's size or time: the system's and the user's own."""
    home = Path.home()
    own = [path for path in home.iterdir() if path.name not in PROGRAMS] if home.is_dir() else []
    return [path for path in (Path("/etc"), Path("/usr"), Path("/opt"), Path("/boot"), Path("/var/tmp"), Path("/dev/shm"), *own) if path.exists()]


def processes() -> set[str]:
    """Workers and sleepers without a parent: what a grader or an attack would leave."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, parent = (path / "cmdline").read_bytes(), (path / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
        found |= {path.name} if parent == "1" and (b"grading/worker.py" in words or b"1234567" in words) else set()
    return found


def fault_of(hand_in: HandIn, record: Record | None) -> str:
    """What went otherwise than it should; "" for nothing."""
    if record is None:
        return "no record"
    graded = [result for result in record.results if result.exercise[:1].isdigit() and "." in result.exercise]
    zeros = {result.exercise for result in graded if result.points != result.possible}
    if zeros != set(hand_in.zeros):
        return f"no points for {sorted(zeros)}, expected {sorted(hand_in.zeros)}"
    if any(result.points for result in graded if result.exercise in zeros):
        return "points for what should have none"
    named = {result.exercise: result.misconception for result in graded}
    if wrong := [exercise for exercise, mistake in hand_in.zeros.items() if mistake and named[exercise] != mistake]:
        return f"another mistake named for {wrong}"
    return "" if bool(record.trouble) == hand_in.damaged else f"trouble {record.trouble!r}"


def report(hand_ins: list[HandIn], outcome: Outcome, faults: dict[str, str], *, load: float, name: str, publishes: bool) -> None:
    rows = []
    for family in FAMILIES:
        own = [hand_in for hand_in in hand_ins if hand_in.kind == family or hand_in.kind.startswith(f"{family}:")]
        seconds = sorted(outcome.records[hand_in.student].seconds for hand_in in own if hand_in.student in outcome.records)
        rows.append([family, len(own), sum(hand_in.student not in faults for hand_in in own), f"{seconds[len(seconds) // 2]:.2f}" if seconds else "", f"{seconds[-1]:.1f}" if seconds else ""])
    rows.append(["all", len(hand_ins), len(hand_ins) - len(faults), "", ""])
    for student, fault in faults.items():
        print("FAULT", student, next(hand_in.kind for hand_in in hand_ins if hand_in.student == student), fault)
    isolation = collections.Counter(record.isolation for record in outcome.records.values() if record.isolation).most_common(1)[0][0]
    words = {key: "; ".join(found) or "nothing" for key, found in (("outside", outcome.outside), ("inside", outcome.inside), ("hand_ins", outcome.hand_ins))}
    notes = NOTES.format(isolation=isolation, running=outcome.running or "nothing", workers=WORKERS, seconds=SECONDS, memory=MEMORY_MB, took=outcome.seconds,
                         each=outcome.seconds / len(hand_ins), load=load, stops=sum(record.seconds >= SECONDS for record in outcome.records.values()), **words)
    print(rows, notes, sep="\n")
    if publishes:
        raw = [[hand_in.student, hand_in.chapter, hand_in.kind, sorted(hand_in.zeros), faults.get(hand_in.student, "")] for hand_in in hand_ins]
        publish(name, "A simulated class of 200, graded in one command", ["what was handed in", "hand-ins", "as expected", "seconds each (median)", "longest"], rows, about=machine("nbgrader"), notes=notes, raw=raw)


if __name__ == "__main__":
    sys.exit(main())
