"""make grade, killed in the middle as by a power cut, and typed again: nothing is graded twice, nothing is lost, nothing is left running."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from grading.record import read_records
from grading.sandbox import Limits
from tests.grading_course import RIGHT, STEM, hand_in, here, with_answer  # noqa: F401 - a fixture
from tests.test_grading_batch_pool import ROOT, alive, soon

SLOW = "import time\ntime.sleep(1.5)\n"  # in the answer's own cell, so that it is run: some hand-ins are still to come when two are done
CLASS = [f"s{number:02}" for number in range(6)]


def test_a_killed_run_goes_on_where_it_was(here, tmp_path):  # noqa: F811
    for student in CLASS:
        hand_in(tmp_path, student, with_answer(f"{RIGHT}\n{SLOW}"))
    command = [sys.executable, "-m", "tools.grade", "--root", str(tmp_path), "--workers", "1", "--seconds", "20", "--memory-mb", "512", "--released", str(tmp_path / "exercises"), "--no-database"]
    records = tmp_path / "grades" / STEM
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True) as program:
        assert soon(lambda: program.poll() is not None or len(list(records.glob("*.json"))) >= 2), "no record in a minute"
        started = children(program.pid)
        program.send_signal(signal.SIGKILL)
    assert program.returncode == -signal.SIGKILL and started, program.stderr
    assert soon(lambda: not any(map(alive, started)))
    first = {record.student: record for record in read_records(tmp_path)}  # all whole
    assert 2 <= len(first) < len(CLASS)
    again = here(limits=Limits(seconds=20, memory_mb=512))
    assert [record.student for record in again.graded] == [student for student in CLASS if student not in first]
    assert [record.student for record in again.records] == CLASS and {record.points for record in again.records} == {2.0}
    assert all(record == first[record.student] for record in again.records if record.student in first)


def children(number: int) -> list[int]:
    """Of a process, and theirs."""
    path = Path(f"/proc/{number}/task/{number}/children")
    found = [int(child) for child in path.read_text().split()] if path.exists() else []
    return found + [grandchild for child in found for grandchild in children(child)]
