"""Jobs in processes: no job stops another, a process that dies or hangs costs its own job alone, a killed run ends all and goes on later."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grading.pool import Lost, Pool
from tests.pool_jobs import behave, double, together

ROOT = Path(__file__).resolve().parents[1]


def test_every_job_is_done_once_by_processes_that_are_used_again():
    with Pool(2) as pool:
        assert sorted(pool.work(double, range(20), seconds=120)) == [(x, 2 * x) for x in range(20)]
        assert len(pool._idle) <= 2 and list(pool.work(double, [], seconds=120)) == []
        assert dict(pool.work(str, [1], seconds=120)) == {1: "1"}
        processes, folder = [worker.process for worker in pool._idle], Path(pool._folder)
    assert not any(process.is_alive() for process in processes) and not folder.exists()


def test_two_work_at_the_same_time(tmp_path):
    with Pool(2) as pool:
        assert [outcome for _, outcome in pool.work(together, [str(tmp_path)] * 2, seconds=120)] == [True, True]


def test_bad_jobs_cost_themselves_alone(tmp_path):
    jobs = ["a", "raise", "vanish", "b", "killed", "exit", f"once {tmp_path / 'marker'}", "c"]
    with Pool(2) as pool:
        found = dict(pool.work(behave, jobs, seconds=120))
    assert set(found) == set(jobs) and all(found[job] == f"{job} done" for job in ("a", "b", "c", jobs[6]))
    assert found["raise"] == Lost("RuntimeError: planted") and all("process ended" in found[job].why for job in ("vanish", "killed", "exit"))


def test_a_job_that_hangs_is_lost_and_its_process_gone():
    with Pool(2) as pool:
        assert len(list(pool.work(double, [1, 2], seconds=120))) == 2  # both have started
        hung = pool.work(behave, ["sleep", "a"], seconds=3)
        (first, said), process = next(hung), pool._busy[0].process
        (second, why), = hung
    assert (first, said, second) == ("a", "a done", "sleep") and "longer than 3 s" in why.why and not process.is_alive()


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True], ids=range(5))
def test_a_number_of_workers_that_cannot_be_meant_is_refused(workers):
    with pytest.raises(ValueError, match="Pool: workers is .* expected a whole number from 1"):
        Pool(workers)


KILLED = """
import sys
from grading.pool import Pool
from tests.pool_jobs import behave
if __name__ == "__main__":
    with Pool(2) as pool:
        for job, outcome in pool.work(behave, ["a", "sleep", "sleep"], seconds=600):
            print(pool._folder, *(worker.process.pid for worker in [*pool._busy, *pool._idle]), flush=True)
"""


def test_processes_end_and_tidy_up_when_their_program_is_killed(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    with subprocess.Popen([sys.executable, str(tmp_path / "killed.py")], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True) as program:
        folder, *numbers = program.stdout.readline().split()
        assert Path(folder).exists() and len(numbers) == 2
        program.send_signal(signal.SIGKILL)
    assert soon(lambda: not any(alive(int(number)) for number in numbers)) and soon(lambda: not Path(folder).exists())


def soon(true) -> bool:
    """Whether this becomes true; a busy machine may take its time."""
    return any(true() or time.sleep(0.1) for _ in range(600))


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
