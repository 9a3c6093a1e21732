"""Grading over worker processes of dask.distributed: the same records as here, also when a worker dies in the middle."""
from __future__ import annotations

import os
import signal
import sys
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")

from grading.batch import grade_one, prepare
from grading.collect import find_hand_ins
from grading.course import Wanted, _graded
from grading.record import read_records
from grading.sandbox import Limits
from grading.spread import OtherVersion, _outcome, connect, grade_task, pack
from tests.grading_class import KEY, released, solved
from tests.test_nbgrader_commands import CHAPTER, shortened
from tools.sources import write_notebook

SLOW = "import time\n{answer}\ndef slowed(right):\n    def answer(*given):\n        time.sleep(0.3)\n        return right(*given)\n    return answer\n{name} = slowed({name})"
PATIENCE = 240  # seconds, on a busy machine


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> SimpleNamespace:
    """One short chapter and seven hand-ins: right, untouched, slow and right, broken, and none at all."""
    root = tmp_path_factory.mktemp("spread")
    start, right = shortened(released(CHAPTER)), shortened(solved(CHAPTER))
    path = root / f"exercises/{CHAPTER}/{CHAPTER}.ipynb"
    write_notebook(start, path)
    settings = prepare(root, released={CHAPTER: path}, key=KEY, limits=Limits(seconds=60))
    for student, notebook in {"ada": right, "bob": start, "cy": slowed(right), "dot": slowed(right), "eve": slowed(right)}.items():
        write_notebook(notebook, root / f"submitted/{student}/{CHAPTER}/{CHAPTER}.ipynb")
    for student, text in {"flo": "{", "gus": None}.items():
        (root / f"submitted/{student}/{CHAPTER}").mkdir(parents=True)
        if text:
            (root / f"submitted/{student}/{CHAPTER}/{CHAPTER}.ipynb").write_text(text)
    return SimpleNamespace(root=root, settings=settings, hand_ins=find_hand_ins(root, known=[CHAPTER]).hand_ins)


def slowed(notebook):
    """The right answer, but each call of it takes a while."""
    notebook = type(notebook)(notebook)
    notebook.cells = [type(cell)(cell) for cell in notebook.cells]
    cell = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution"))
    name = cell.source.split("def ")[1].split("(")[0]
    cell.source = SLOW.format(answer=cell.source, name=name)
    return notebook


@pytest.fixture(scope="module")
def client():
    from distributed import LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1") as cluster, connect(cluster.scheduler_address, seconds=PATIENCE) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


def told(record):
    """All of a record but how long it took."""
    return record._replace(seconds=0.0, results=tuple(result._replace(seconds=0.0) for result in record.results))


def test_a_worker_that_dies_changes_no_record(course, client):
    before, graded, victim = client.run(os.getpid), [], None
    for hand_in, record in _graded(course.hand_ins, course.settings, Wanted(workers=1, scheduler=client.scheduler.address)):  # as make grade ARGS="--scheduler ..." does
        graded.append(record)
        if victim is None:
            victim = kill_a_busy_worker(client, before)
    assert victim is not None and sorted(record.student for record in graded) == ["ada", "bob", "cy", "dot", "eve", "flo", "gus"]
    assert read_records(course.root) == sorted(graded, key=lambda record: record.student)
    points = {record.student: record.points for record in graded}
    assert points["ada"] == points["cy"] == points["dot"] == points["eve"] > 0 == points["bob"] == points["flo"] == points["gus"]
    for hand_in, record in zip(course.hand_ins, read_records(course.root)):
        if hand_in.student in ("ada", "bob", "flo", "gus"):  # the others are as ada's
            assert told(record) == told(grade_one(hand_in, course.settings))


def kill_a_busy_worker(client, pids: dict[str, int]) -> int:
    """The first that has something to do; what it had must be done elsewhere."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for address, keys in client.processing().items():
            if keys and address in pids:
                os.kill(pids[address], signal.SIGKILL)
                return pids[address]
        time.sleep(0.02)
    raise AssertionError("no worker was ever busy")


def test_a_worker_with_another_version_stops_everything(course):
    other = course.settings._replace(editions={CHAPTER: "0.0.1 000000000000"})
    with pytest.raises(OtherVersion, match="expected 0.0.1 000000000000; it holds another version"):
        grade_task(pack(CHAPTER, other), course.hand_ins[0], b"{}")
    with pytest.raises(OtherVersion):
        _outcome(SimpleNamespace(status="error", exception=lambda: OtherVersion("x")), course.hand_ins[0], other)


@pytest.mark.parametrize("error, words", [(type("KilledWorker", (Exception,), {})("x"), "every worker that looked at it died"), (OSError("no space left"), "OSError: no space left")], ids=["died", "failed"])
def test_what_could_not_be_graded_has_a_record_that_says_so(error, words, course):
    record = _outcome(SimpleNamespace(status="error", exception=lambda: error), course.hand_ins[0], course.settings)
    assert words in record.trouble and record.points == 0 < record.possible and record.sha256 == ""  # so the next run tries it again


def test_what_travels_does_not_show_in_logs(course):
    assert KEY not in repr(pack(CHAPTER, course.settings)) and "exercises/" not in repr(pack(CHAPTER, course.settings))


def test_a_private_course_brings_its_checks(course, tmp_path):
    path = tmp_path / f"exercises/{CHAPTER}/{CHAPTER}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    (tmp_path / "checks").mkdir()
    (tmp_path / f"checks/{CHAPTER}.py").write_text("secret = 1")
    assert [name for name, _ in pack(CHAPTER, course.settings._replace(released={CHAPTER: str(path)})).files] == [f"exercises/{CHAPTER}/{CHAPTER}.ipynb", f"checks/{CHAPTER}.py"]


def test_no_scheduler_is_said():
    with pytest.raises(ValueError, match="connect: no scheduler answers at 'tcp://127.0.0.1:9'"), connect("tcp://127.0.0.1:9", seconds=1):
        pass


def test_a_missing_engine_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match="dask.distributed is not installed"), connect("tcp://127.0.0.1:9"):
        pass
