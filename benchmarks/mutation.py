"""Mutation: small wrong changes of deepgen_lib, one at a time, against the unit tests. What survives is explained or gets a test.

    python3 tools/course.py bench mutation            # all steps; each can be named alone, and goes on where it was stopped
    python3 tools/course.py bench mutation --redo     # only what survived is tried again, after a test was added

trace     one run of the tests: which of them run which line, and how long each takes
run       every mutant in a fork of its own (mutation_run.py) against the tests that run its statement, fastest first; a mutant that hangs is caught by time
fresh     mutants that were drawn after the tests had been written for the first ones, and that get none: what the tests would kill unseen
control   the tests that killed, without a mutant: they must pass
publish   results/mutation.{json,md}

Left out are tests that need a browser, a GPU, notebooks or minutes. The mutants are drawn with a seed (mutants.py): one in each public function of the library, and more
in long ones; figures, widgets, checks and GPU kernels, which have checks of their own, are sampled. results/mutation_explained.toml says why no test could
see a survivor.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutants import Mutant, draw, mutants_of
from mutation_report import LIGHT, explanations, publish_all
from mutation_run import ROOT, Job, Verdict, preload, verdicts, write_line

PACKAGE = ROOT / "deepgen_lib"
SLOW = re.compile(r"test_(binder|browser|chapter_kernels|chapter_widgets|grading|instructors|pdf|private|site|tour|imports|other_systems|nbgrader|setup|release|repository|workspace|published|fuzz|"
                  r"kills|mutation)")
INTERPRETER = {"TRITON_INTERPRET": "1", "DEEPGEN_KERNELS": "triton"}
ELSEWHERE = {part: ["tests/test_processes.py", "tests/test_gradient_processes.py", "tests/test_codebook_processes.py", "tests/test_many_processes.py"]
             for part in (".processes", ".codebook", ".rbm_training", ".kernels.cd_", ".kernels.sweeps", ".gradient_training", ".checkpoint")}  # their tests start processes, which no trace sees
HOME_FILES, NEXT_FILES, SECONDS = 3, 8, 20.0  # test files tried first, and then; of those the quickest tests that took so long in the trace
PATIENCE = 120.0  # seconds that a fork may take beside its tests on a busy machine
STEPS = ["trace", "run", "fresh", "control", "publish"]


def share(module: str) -> float:
    """How much of a module's functions gets a mutant."""
    part = module.split(".")[1] if "." in module else ""
    return 0.08 if part in LIGHT else 0.3 if ".triton_" in module else 1.0


def drawn(folder: Path, n: int, seed: int) -> list[Mutant]:
    """The mutants, drawn once for a folder. Of a line that was changed since there is none any more; functions that are new get theirs."""
    path = folder / "drawn.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([m.key for m in draw(PACKAGE, n, seed, share)]), encoding="utf-8")
    keys = [tuple(key) for key in json.loads(path.read_text(encoding="utf-8"))]
    there = {m.key: m for module in {key[0] for key in keys} for m in mutants_of(module, (ROOT / file_of(module)).read_text(encoding="utf-8"))}
    found = [there[key] for key in keys if key in there]
    tried = {(m.module, m.function) for m in found}
    return found + [m for m in draw(PACKAGE, 0, seed, share) if share(m.module) == 1 and (m.module, m.function) not in tried]


def test_files() -> list[str]:
    return [f"tests/{p.name}" for p in sorted((ROOT / "tests").glob("test_*.py")) if not SLOW.match(p.name) and "deepgen_lib" in p.read_text(encoding="utf-8")]


def trace(folder: Path, workers: int) -> None:
    """coverage's data and the seconds of each test, in folder/trace; of test files that are new or were changed, when there is a trace."""
    (folder / "trace").mkdir(parents=True, exist_ok=True)
    before = [path.stat().st_mtime for path in folder.glob("trace/seconds-*.json")]
    files = [f for f in test_files() if not before or (ROOT / f).stat().st_mtime > max(before)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")]), "DEEPGEN_TRACE": str(folder / "trace"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", "loadscope", "-p", "mutation_trace", "-p", "no:cacheprovider", "-m", "not browser and not gpu", *files]
    if files:
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


class Traced:
    """Which tests run a line, and how long they take."""

    def __init__(self, folder: Path):
        from coverage import CoverageData
        self.seconds, self.lines, self.begun = {}, defaultdict(lambda: defaultdict(set)), float("inf")
        for path in folder.glob("trace/seconds-*.json"):
            self.seconds |= json.loads(path.read_text())
            self.begun = min(self.begun, path.stat().st_mtime)
        for path in folder.glob("trace/lines*"):
            data = CoverageData(str(path))
            data.read()
            for file in data.measured_files():
                for line, tests in data.contexts_by_lineno(file).items():
                    self.lines["deepgen_lib/" + Path(file).as_posix().rpartition("/deepgen_lib/")[2]][line].update(filter(None, tests))

    def tests(self, mutant: Mutant) -> set[str]:
        """Tests that run the mutant's statement; of what runs when the module is loaded, and where lines have moved since, all that run anything in it."""
        lines = self.lines.get(file_of(mutant.module), {})
        moved = (ROOT / file_of(mutant.module)).stat().st_mtime > self.begun
        first, last = mutant.statement
        found = set().union(*(lines.get(line, ()) for line in range(first, last + 1)))
        return found if last and not moved else set().union(*lines.values())


def file_of(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}.py" if (ROOT / f"{path}.py").exists() else f"{path}/__init__.py"


class Group(NamedTuple):
    """Tests that are tried together."""
    tests: set[str]
    variables: dict[str, str] = {}


def groups(mutant: Mutant, traced: Traced, only: set[str]) -> list[Group]:
    """Tests, one group after the other: the module's own files, then those that name it, then what the files share; or those of the files `only`."""
    interpreted = Group({f"tests/interpreted/{p.name}" for p in sorted((ROOT / "tests/interpreted").glob("*.py")) if p.name != "conftest.py"}, INTERPRETER)
    if ".triton_" in mutant.module:
        return [interpreted]
    touching, words, total = traced.tests(mutant), mutant.module.split(".")[1:], Counter()
    if only:
        pool = touching if mutant.statement[1] else traced.seconds  # a module is loaded once, under any test
        return [Group(tests) for tests in [{t for t in pool if t.split("::")[0] in only}] if tests]
    for test in touching:
        total[test.split("::")[0]] += traced.seconds.get(test, 0.0)
    own = {f for f in total if any(f"test_{'_'.join(words[i:])}" in f for i in range(len(words)))}
    names = {f for f in total if words and words[-1] in (ROOT / f).read_text(encoding="utf-8")}
    files = sorted(total, key=lambda f: (f not in own, f not in names, total[f]))
    home, next_files = files[:HOME_FILES], files[HOME_FILES:HOME_FILES + NEXT_FILES]
    first = {t for t in touching if t.split("::")[0] in home}
    others = sorted((t for t in touching if t.split("::")[0] in next_files), key=lambda t: traced.seconds.get(t, 0.0))
    others += sorted((t for t in traced.seconds if t.split("::")[0] in home and t not in touching), key=traced.seconds.get)  # what a file's tests share may be made in another one
    spent, rest = 0.0, set()
    for test in others:
        spent += traced.seconds.get(test, 0.0)
        if spent < SECONDS:
            rest.add(test)
    found = [Group(first), Group(rest), Group({f for part, files in ELSEWHERE.items() if part in mutant.module for f in files})]
    return [g for g in [*found, *([interpreted] if ".kernels." in mutant.module else [])] if g.tests]


def fresh(folder: Path, n: int, seed: int, tried: set[tuple], workers: int) -> None:
    """The first n mutants of another seed that are not among those tried, into folder/fresh."""
    others = [m for m in drawn(folder / "fresh", 0, seed + 1) if m.key not in tried]
    run(folder / "fresh", others[:n], workers, trace_in=folder)


def run(folder: Path, mutants: list[Mutant], workers: int, only: set[str] = frozenset(), trace_in: Path | None = None) -> None:
    """Every mutant that has no verdict yet, into folder/verdicts.jsonl; with `only` what survived, against the tests of these files alone."""
    before, traced, known = {tuple(r["key"]): r for r in read(folder)}, Traced(trace_in or folder), explanations()
    waiting = {}
    for i, mutant in enumerate(mutants):
        old = before.get(mutant.key)
        if (old["outcome"] == "survived" and mutant.key not in known) if old else not only:
            left = groups(mutant, traced, only)
            waiting[f"{i:04d}"] = mutant, left if only else left[old["rounds"] if old else 0:]
            if not left and not old and not only:
                keep(folder, mutant, Verdict("survived", "no test runs it"), 0)
    ready = [name for name, (_, left) in waiting.items() if left]
    (folder / "work").mkdir(exist_ok=True)

    def jobs() -> Iterator[Job]:
        while ready:
            name = ready.pop(0)
            mutant, left = waiting[name]
            group = left.pop(0)
            source = mutant.applied((ROOT / file_of(mutant.module)).read_text(encoding="utf-8"))
            limit = PATIENCE + 4 * sum(traced.seconds.get(t, 10.0) for t in group.tests)
            yield Job(name, mutant.module, source, group.tests, limit, group.variables)

    while ready:
        for job, verdict in verdicts(jobs(), traced.seconds, folder / "work", workers):
            mutant, left = waiting[job.name]
            old = before.get(mutant.key)
            before[mutant.key] = keep(folder, mutant, verdict, (old["rounds"] if old else 0) + (not only))
            if verdict.outcome == "survived" and left:
                ready.append(job.name)


def keep(folder: Path, mutant: Mutant, verdict: Verdict, rounds: int) -> dict:
    record = {"key": mutant.key, "line": mutant.line, **verdict._asdict(), "rounds": rounds}
    write_line(folder / "verdicts.jsonl", record)
    print(verdict.outcome, rounds, *mutant.key, "|", verdict.by, f"{verdict.seconds:.0f} s", flush=True)
    return record


def read(folder: Path) -> list[dict]:
    """The last verdict of every mutant."""
    path = folder / "verdicts.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return list({tuple(r["key"]): r for r in lines}.values())


def forget_survivors(folder: Path) -> None:
    kept = [r for r in read(folder) if r["outcome"] != "survived"]
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")


def control(folder: Path) -> None:
    """Tests that killed pass without a mutant; a kill by one that does not is void."""
    traced, source = Traced(folder), (PACKAGE / "rbm.py").read_text(encoding="utf-8")
    killers = {r["by"] for r in [*read(folder), *read(folder / "fresh")]}
    for start, variables in (("tests/test_", {}), ("tests/interpreted/", INTERPRETER)):
        tests = sorted(test for test in killers if test.startswith(start))
        limit = PATIENCE + 4 * sum(traced.seconds.get(t, 10.0) for t in tests)
        for _, verdict in verdicts([Job("control", "deepgen_lib.rbm", source, tests, limit, variables)] if tests else [], traced.seconds, folder / "work", 1):
            print(f"control: {len(tests)} tests without a mutant: {verdict}")
            assert verdict.outcome == "survived" and not verdict.by, f"mutation: {verdict.by} fails without a mutant; its kills are void"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", nargs="*", default=STEPS, help=", ".join(STEPS))
    parser.add_argument("--mutants", type=int, default=580)
    parser.add_argument("--fresh", type=int, default=150, help="how many the step of that name tries")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--redo", action="store_true", help="try the survivors again, with everything")
    parser.add_argument("--only", nargs="*", default=[], help="test files, new ones say: try the survivors against these alone")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/mutation")
    given = parser.parse_args()
    folder, new = given.folder.resolve(), []
    if "trace" in given.steps:
        trace(folder, given.workers)
    if given.redo:
        forget_survivors(folder)
    if {"run", "fresh", "control"} & set(given.steps):
        preload()
    mutants = drawn(folder, given.mutants, given.seed)
    if "run" in given.steps:
        run(folder, mutants, given.workers, set(given.only))
    if "fresh" in given.steps:
        fresh(folder, given.fresh, given.seed, {m.key for m in mutants}, given.workers)
    if "control" in given.steps:
        control(folder)
    if "publish" in given.steps:
        new = publish_all(read(folder), {m.key for m in mutants}, given.seed, folder / "notebooks.json", read(folder / "fresh"))
        print(*(r["key"] for r in new), sep="\n")
    sys.exit(bool(new))


if __name__ == "__main__":
    main()
