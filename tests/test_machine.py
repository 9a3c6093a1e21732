"""The check of the machine and the estimate of a chapter's time; nothing here depends on how fast this machine is."""
import datetime
import math
import os
import tomllib
from pathlib import Path

import pytest
import torch

from deepgen_lib import machine
from deepgen_lib.machine import GIB, MINIMUM, Machine, Reference, chapter_seconds, check_machine, matrix_speed, reference, this_machine
from tools.sources import ROOT, find_sources

GOOD = Machine(python=(3, 12, 4), torch=(2, 13, 0), system="Linux x86_64", n_cores=4, n_threads=1, memory=16.0, free_disk=50.0, gpu="")
LIMIT_SECONDS = 90  # of a lecture notebook on the reference machine


def test_this_machine_is_seen_as_it_is(tmp_path):
    found = this_machine(tmp_path)
    assert found.torch == tuple(int(part) for part in torch.__version__.split("+")[0].split(".")) and found.python >= MINIMUM["Python"]
    assert 1 <= found.n_cores <= os.cpu_count() and found.n_threads == torch.get_num_threads()
    assert found.free_disk > 0 and (math.isnan(found.memory) or 0.1 < found.memory < 1e5)


def test_a_good_machine_passes_every_check():
    assert all(finding.fine for finding in check_machine(GOOD)) and len(check_machine(GOOD)) == 6


@pytest.mark.parametrize("change, what, words", [
    ({"python": (3, 10, 9)}, "Python", "3.11 or newer"), ({"torch": (2, 4, 0)}, "PyTorch", "make setup"),
    ({"memory": 1.5}, "memory", "needs 3 GiB"), ({"free_disk": 0.2}, "free disk", "needs 1 GiB"),
])
def test_what_is_missing_is_named_with_a_cure(change, what, words):
    wrong = [finding for finding in check_machine(GOOD._replace(**change)) if not finding.fine]
    assert [finding.what for finding in wrong] == [what] and words in wrong[0].advice


def test_an_unknown_memory_and_a_single_core_are_no_faults():
    findings = {finding.what: finding for finding in check_machine(GOOD._replace(memory=math.nan, n_cores=1, gpu="A card"))}
    assert all(finding.fine for finding in findings.values())
    assert findings["memory"].found == "unknown" and "close other programs" in findings["cores"].advice and findings["GPU"].found == "A card"


def test_a_container_s_limits_count(monkeypatch):
    limits = {"cpu.max": ["150000", "100000"], "memory.max": [str(2 * GIB)]}
    monkeypatch.setattr(machine, "_words", lambda path: limits[path.name])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    found = this_machine()
    assert found.n_cores == 2 and found.memory == 2.0
    limits.update({"cpu.max": ["max", "100000"], "memory.max": ["max"]})
    assert this_machine().n_cores == 64 and this_machine().memory != 2.0


def test_the_required_torch_and_python_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={'.'.join(map(str, MINIMUM['Python']))}"
    assert f"torch>={'.'.join(map(str, MINIMUM['PyTorch']))}" in project["dependencies"]


def test_speed_counts_two_operations_per_multiply_add(monkeypatch):
    """On a clock on which one product takes a millisecond the speed is 2·100·784·500 operations a millisecond."""
    clock = [0.0]
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(torch, "mm", lambda v, W, out: clock.__setitem__(0, clock[0] + 1e-3))
    assert matrix_speed(seconds=1.0) == pytest.approx(78.4)
    assert clock[0] == pytest.approx(1.1, rel=0.1)  # it takes about as long as was asked
    assert matrix_speed(clock=lambda: clock[0] / 2) == pytest.approx(156.8)  # by another clock, on which half the time went by


def test_speed_is_measured_in_about_the_time_asked():
    assert 0.01 < matrix_speed(seconds=0.05) < 1e5


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "1", 1e9])
def test_a_wrong_time_is_refused(seconds):
    with pytest.raises(ValueError, match="matrix_speed: seconds"):
        matrix_speed(seconds=seconds)


def test_a_machine_twice_as_fast_needs_half_the_time():
    measured = Reference("2030-01-01", "a machine", 40.0, {"01_a": 60.0, "02_b": 10.0})
    assert chapter_seconds(80.0, measured) == {"01_a": 30.0, "02_b": 5.0} and chapter_seconds(20.0, measured)["01_a"] == 120.0
    with pytest.raises(ValueError, match="chapter_seconds: gflops"):
        chapter_seconds(0.0, measured)


def reference_faults(measured: Reference, stems: list[str]) -> list[str]:
    faults = [f"{stem} has no measured time; run tools/time_chapters.py" for stem in stems if stem not in measured.seconds]
    faults += [f"{stem} is timed but is no lecture" for stem in measured.seconds if stem not in stems]
    faults += [f"{stem} took {s} s, allowed {LIMIT_SECONDS}" for stem, s in measured.seconds.items() if not 0 < s <= LIMIT_SECONDS]
    assert datetime.date.fromisoformat(measured.date)
    return faults if measured.gflops > 0 and measured.hardware else [*faults, "speed or hardware is missing"]


def test_every_lecture_has_a_measured_time_within_the_limit():
    assert reference_faults(reference(), [source.stem for source in find_sources(kinds=("lectures",))]) == []


@pytest.mark.parametrize("change, words", [
    ({"seconds": {}}, "has no measured time"), ({"seconds": {"01_a": 5.0, "02_b": 5.0}}, "is no lecture"), ({"seconds": {"01_a": 91.0}}, "allowed 90"),
    ({"gflops": 0.0}, "speed"),
])
def test_a_stale_table_of_times_is_seen(change, words):
    good = Reference("2026-01-01", "a machine", 40.0, {"01_a": 60.0})
    assert reference_faults(good, ["01_a"]) == []
    assert any(words in fault for fault in reference_faults(good._replace(**change), ["01_a"]))


def test_the_timing_tool_counts_the_kernel_s_work_and_not_its_sleep(tmp_path):
    from tools import time_chapters
    path = tmp_path / "a.py"
    path.write_text("# %%\nimport time\ntime.sleep(3)\n")
    asleep = time_chapters.run_time(path)
    path.write_text("# %%\nimport time\nstart = time.process_time()\nwhile time.process_time() - start < 3: pass\n")
    assert 0.1 < asleep and time_chapters.run_time(path) > asleep + 1.5


def test_the_timing_tool_writes_what_the_library_reads(tmp_path, monkeypatch):
    from tools import time_chapters
    (tmp_path / "source" / "lectures").mkdir(parents=True)
    for stem in ("01_a", "02_b"):
        (tmp_path / "source" / "lectures" / f"{stem}.py").write_text("# %%\nprint(1)\n")
    monkeypatch.setattr(time_chapters, "matrix_speed", lambda **_: 50.0)
    monkeypatch.setattr(time_chapters, "execute", lambda notebook, folder: notebook)
    assert time_chapters.main(["--root", str(tmp_path)]) == 0
    monkeypatch.setattr(time_chapters, "run_time", lambda text: 30.0)
    monkeypatch.setattr(time_chapters, "matrix_speed", lambda **_: 100.0)  # a faster machine measures chapter 02 alone
    path: Path = tmp_path / time_chapters.TABLE
    path.write_text(path.read_text().replace('"01_a": 0.0', '"01_a": 8.0'))
    assert time_chapters.main(["02", "--root", str(tmp_path)]) == 0
    monkeypatch.setattr(machine.resources, "files", lambda package: tmp_path / "deepgen_lib")
    assert reference().gflops == 100.0 and reference().seconds == {"01_a": 4.0, "02_b": 30.0}
