"""One mutant against its tests, in a process of its own: forked from one that has torch and pytest loaded, but not the library.

The fork loads the mutant in the place of its module, runs the chosen tests, fastest first, and stops at the first that fails. No file of the repository changes.
"""
from __future__ import annotations

import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOOK = ROOT / "benchmarks/mutant_hook"
PRELOADED = ("torch", "torch._dynamo", "torch.distributed", "torch.nn.utils.parametrizations", "numpy", "matplotlib.pyplot", "ipywidgets", "IPython.display", "safetensors.torch", "hypothesis.strategies",
             "nbformat", "tqdm.auto", "pooch", "filelock", "latex2mathml.converter", "jupytext", "nbclient", "nbval.plugin")
FAULT = 70  # our own, not the mutant's
GIGABYTES = 12  # of addresses, for a mutant that asks for everything


class Job(NamedTuple):
    name: str               # for its files
    module: str
    source: str             # the mutated module
    tests: Collection[str]  # node ids; other tests of their files are left out
    limit: float            # seconds by the clock
    variables: dict[str, str] = {}


class Verdict(NamedTuple):
    outcome: str            # "killed", "time", "survived"
    by: str = ""            # the test that failed, or what stopped the run
    seconds: float = 0.0


class _Chosen:
    """pytest plugin: the chosen tests alone, fastest first, and a note of the first that fails."""

    def __init__(self, tests: Collection[str], seconds: dict[str, float], answer: Path):
        self.tests, self.seconds, self.answer = tests, seconds, answer

    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((i for i in items if {i.nodeid, i.nodeid.split('::')[0]} & set(self.tests)), key=lambda i: self.seconds.get(i.nodeid, 0.0))

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.answer.exists():
            self.answer.write_text(report.nodeid)

    def pytest_collectreport(self, report):
        if report.failed and not self.answer.exists():
            self.answer.write_text(f"loading {report.nodeid}")


def preload() -> None:
    """Everything slow that is not under test."""
    sys.path[:0] = [str(ROOT), str(HOOK)]
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    assert not any(name.startswith("deepgen_lib") for name in sys.modules), "mutation: deepgen_lib is loaded before its mutants"


def verdicts(jobs: Iterable[Job], seconds: dict[str, float], folder: Path, workers: int) -> Iterator[tuple[Job, Verdict]]:
    """Runs every job, `workers` at a time, as they end."""
    jobs, running = iter(jobs), {}
    while True:
        while len(running) < workers and (job := next(jobs, None)):
            running[_start(job, seconds, folder)] = job, time.monotonic()
        if not running:
            return
        for pid, (job, begun) in list(running.items()):
            took = time.monotonic() - begun
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and took < job.limit:
                continue
            _end(pid, done)
            del running[pid]
            yield job, _verdict(job, folder, took, os.waitstatus_to_exitcode(status) if done else None)
        time.sleep(0.02)


def _end(pid: int, done: int) -> None:
    """The process and everything that it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if not done:
        os.waitpid(pid, 0)


def _verdict(job: Job, folder: Path, took: float, code: int | None) -> Verdict:
    answer = folder / f"{job.name}.answer"
    by = answer.read_text() if answer.exists() else ""
    assert code != FAULT, f"mutation: {job.name} did not come to its tests; look into {folder / job.name}.log"
    if by or code not in (0, 5, None):
        return Verdict("killed", by or f"exit status {code}", took)
    return Verdict("time", "", took) if code is None else Verdict("survived", "no test ran" if code == 5 else "", took)


def _start(job: Job, seconds: dict[str, float], folder: Path) -> int:
    mutant, answer = folder / f"{job.name}.py", folder / f"{job.name}.answer"
    mutant.write_text(job.source, encoding="utf-8")
    answer.unlink(missing_ok=True)
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = FAULT
    try:
        os.setsid()
        log = os.open(folder / f"{job.name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = _tested(job, seconds, answer)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _tested(job: Job, seconds: dict[str, float], answer: Path) -> int:
    """In the fork: pytest's exit status."""
    import torch
    from hypothesis import Phase, settings
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES * 2**30, GIGABYTES * 2**30))
    os.chdir(ROOT)
    paths = [str(HOOK), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ |= {"DEEPGEN_MUTANT": f"{job.module}={answer.with_suffix('.py')}", "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **job.variables}
    hook = importlib.util.spec_from_file_location("mutant_hook", HOOK / "sitecustomize.py")  # by its place: Debian's Python has loaded a sitecustomize of its own
    hook.loader.exec_module(importlib.util.module_from_spec(hook))
    torch.set_num_threads(1)
    settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate), database=None)  # nothing is made smaller, nothing kept
    settings.load_profile("mutation")
    files = sorted({test.split("::")[0] for test in job.tests}, key=lambda f: min(seconds.get(t, 0.0) for t in job.tests if t.startswith(f)))
    return int(pytest.main(["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning", *files], plugins=[_Chosen(job.tests, seconds, answer)]))


def write_line(path: Path, record: object) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
