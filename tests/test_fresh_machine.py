"""The course on a machine that is not kind: a set-up that is killed, a home that takes no files, a folder with spaces, no display, a full disk. It works, or one message says
what to do; nothing is lost and the next call recovers. Bare Debian, no network and real disks: benchmarks/fresh_machines.py."""
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.toy_course import LECTURE_FILE, write_course
from tools import environment, workspace
from tools.sources import ROOT
from tools.writing import trouble

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no such kill and no such limits on this system")
INSTALLER = """
import os, pathlib, sys, time
venv, log, words = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
step = "venv" if words[2] == "venv" else "package" if "--editable" in words else "lock"
def say(what):
    with log.open("a") as file:
        print(what, os.getpid(), step, file=file)
say("begin")
for number in range(3):
    place = venv / ("bin/python" if (step, number) == ("venv", 0) else f"lib/{step}-{number}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file:
        file.write("half")
        file.flush()
        time.sleep(float(os.environ.get("SLOWLY", "0.05")))
        file.write(" and half")
    say("wrote")
say("end")
"""
SETUP = """
import signal, subprocess, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it, and so do its children
sys.path.insert(0, sys.argv[1])
from tools import environment
call = subprocess.call
environment.subprocess.call = lambda command, **options: call([sys.executable, "-c", sys.argv[3], str(Path(sys.argv[2], ".venv")), str(Path(sys.argv[2], "log")), *command], **options)
environment.ensure(Path(sys.argv[2]))
"""
NOTHING_KEPT = "PYTHONDONTWRITEBYTECODE"  # else what Python compiles may meet the limit first


@pytest.fixture
def course(tmp_path: Path) -> Path:
    for name in environment.INPUTS:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def set_up(course: Path, **variables: str) -> subprocess.Popen:
    """The course's own set-up, with an installer that writes nine files in half a second."""
    with (course / "said").open("w") as said:
        return subprocess.Popen([sys.executable, "-c", SETUP, str(ROOT), str(course), INSTALLER], start_new_session=True, stdout=said, stderr=subprocess.STDOUT, env=os.environ | variables)


def lines(course: Path) -> list[str]:
    return (course / "log").read_text().splitlines() if (course / "log").exists() else []


def installed(course: Path) -> dict[str, str]:
    venv = course / ".venv"
    return {path.relative_to(venv).as_posix(): path.read_text() for path in venv.rglob("*") if path.is_file() and path.name != environment.LOCK}


def stop(course: Path, after: int, how: str, **variables: str) -> None:
    """Begin a set-up and end it as soon as its log has grown by so many lines; how: a signal to all of it, as Ctrl-C and a power cut do, or to Python alone."""
    before, running, end = len(lines(course)), set_up(course, **variables), time.monotonic() + 120
    while len(lines(course)) < before + after:
        if time.monotonic() > end:
            os.killpg(running.pid, signal.SIGKILL)  # else it would be found by the next test, whichever that is
            running.wait(60)
            pytest.fail((course / "said").read_text())
        time.sleep(0.005)
    if how == "only Python":
        running.kill()
    else:
        os.killpg(running.pid, signal.Signals[how])  # nobody has waited for it, so the group is there
    running.wait(60)


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL", "only Python"])
def test_a_set_up_stopped_at_any_step_recovers_on_the_next_call(how, course):
    for after in (1, 3, 6, 8, 11, 14):  # of 15 lines
        stop(course, after, how)
    assert set_up(course).wait(60) == 0, (course / "said").read_text()
    assert installed(course).pop(environment.STAMP) and json.loads((course / ".venv" / environment.STAMP).read_text())["finished"]
    peaceful = {f"lib/{step}-{number}": "half and half" for step in ("venv", "lock", "package") for number in range(3)} | {"bin/python": "half and half"}
    del peaceful["lib/venv-0"]
    rest = {name: text for name, text in installed(course).items() if not name.startswith(environment.OURS) and not name.startswith("share/")}
    assert rest == peaceful


def test_an_installation_that_outlives_its_caller_is_waited_for(course):
    stop(course, 1, "only Python", SLOWLY="3")
    second = set_up(course)
    assert second.wait(60) == 0 and "waiting for it" in (course / "said").read_text()
    begun = []
    for line in lines(course):
        what, process, _ = line.split()
        begun += [process] * (what == "begin")
        assert begun[-1] == process, "two installers wrote at once"


def serve(folder: Path, *, home: str) -> str:
    """`make lab` in a folder, until its port answers; what it printed."""
    verb = ["make", "-s", "lab", f"PYTHON={sys.executable}", "ARGS=--no-browser --port=0"] if shutil.which("make") else [sys.executable, "tools/course.py", "lab", "--no-browser", "--port=0"]
    variables = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    with open(folder / "said", "w+") as said:
        running = subprocess.Popen(verb, cwd=folder, env=variables | {"HOME": home}, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            end = time.monotonic() + 180
            while not (address := re.search(r"http://127\.0\.0\.1:(\d+)/\S*\?token=(\w+)", (folder / "said").read_text())) and running.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
            assert address, (folder / "said").read_text()[-2000:]
            listed = urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/api/contents/notebooks?token={address[2]}", timeout=60)
            assert [item["name"] for item in json.load(listed)["content"]] == ["00_start_here.ipynb"]
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(60)
        return (folder / "said").read_text()


@pytest.fixture
def spaced(tmp_path: Path) -> Path:
    """A course with one notebook in a folder with spaces, whose .venv is this interpreter."""
    folder = tmp_path / "my course, été 2"
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "notebooks").mkdir()
    for name in ("Makefile", *environment.INPUTS, "notebooks/00_start_here.ipynb"):
        shutil.copy(ROOT / name, folder / name)
    python = environment.interpreter(folder / ".venv")
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    environment._write_stamp(folder / ".venv", environment.wanted_stamp(folder, build="default"), finished=True)
    return folder


def test_lab_answers_from_a_folder_with_spaces_without_display_and_without_a_home(spaced):
    no_home = spaced.parent / "home"
    no_home.write_text("no folder")
    said = serve(spaced, home=str(no_home))
    assert f"Your home folder takes no files: Jupyter and others keep theirs in {spaced}/.venv/deepgen-home instead" in said
    assert (spaced / ".venv/deepgen-home/.local/share/jupyter/runtime").is_dir() and no_home.read_text() == "no folder"


def limited(arguments: list[str], kilobytes: int, **options) -> subprocess.CompletedProcess:
    """A Python process in which no file can grow beyond a size, as on a full disk."""
    import resource
    size = kilobytes * 1024
    return subprocess.run([sys.executable, *arguments], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), capture_output=True, text=True, timeout=600,
                          env=os.environ | {NOTHING_KEPT: "1", "PYTHONPATH": str(ROOT)} | options.pop("variables", {}), **options)


def test_a_notebook_survives_a_disk_that_is_full_while_it_is_built(tmp_path):
    root = write_course(tmp_path, lecture="# %% tags=[\"label-long\"]\nprint('a line of the new version\\n' * 60_000)\n")
    built = root / LECTURE_FILE
    built.parent.mkdir(parents=True, exist_ok=True)
    built.write_text("the old version")
    build = ["-m", "tools.build", "--root", str(root), "--only", "lectures"]
    full = limited(build, 1000, cwd=ROOT)
    assert full.returncode == 1 and "the disk, or your share of it, is full. Free some space and call again; what was there before is whole" in full.stderr, full.stderr
    assert built.read_text() == "the old version" and list(built.parent.iterdir()) == [built]
    assert limited(build, 10**6, cwd=ROOT).returncode == 0 and "a line of the new version" in built.read_text()


def test_copies_in_work_survive_a_full_disk(spaced):
    update = ["tools/course.py", "update", "--copies-only"]
    assert limited(update, 10**6, cwd=spaced).returncode == 0
    copy = spaced / "work/notebooks/00_start_here.ipynb"
    old, course_file = copy.read_bytes(), spaced / "notebooks/00_start_here.ipynb"
    course_file.write_text(course_file.read_text().replace("# 0", "# New 0", 1))
    full = limited(update, 5, cwd=spaced)
    assert full.returncode == 1 and full.stderr.startswith(f"deepgen: {copy} could not be written: ") and "is full. Free some space" in full.stderr and "Traceback" not in full.stderr, full.stderr
    assert copy.read_bytes() == old and not list((spaced / "work").rglob("*.draft"))
    assert "new version: notebooks/00_start_here.ipynb" in limited(update, 10**6, cwd=spaced).stdout and copy.read_bytes() == workspace.without_outputs(course_file)


TRAIN = """
import sys, torch
from deepgen_lib import RBM, CDOptions, RBMTrainer, fit, fitting
fitting.CHECKPOINT_EVERY = 2
rng = torch.Generator().manual_seed(0)
trainer = RBMTrainer(RBM(20, 500, rng=rng), CDOptions(), data_mean=torch.full((20,), 0.5), rng=rng)
if sys.argv[2] == "then full":
    import resource
    fitting.save_run = lambda path, *given, save=fitting.save_run, **named: (named["done"] == 6 and resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])), save(path, *given, **named))
data = torch.bernoulli(torch.full((40, 20), 0.5), generator=rng)
print(fit(trainer, data, n_updates=10, batch_size=8, checkpoint=sys.argv[1], rng=rng).resumed_at, trainer.model.W.double().sum().item())
"""


def test_a_checkpoint_survives_a_full_disk_and_the_training_goes_on(tmp_path):
    def train(name: str, how: str) -> subprocess.CompletedProcess:
        return limited(["-c", TRAIN, str(tmp_path / name), how], 10**6, cwd=ROOT, variables={"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"})
    full = train("run.safetensors", "then full")
    assert full.returncode == 1 and "OSError" in full.stderr and "free some space or choose another folder, and call again: what was saved before is whole" in full.stderr, full.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]
    again, whole = train("run.safetensors", "with room").stdout.split(), train("whole.safetensors", "with room").stdout.split()
    assert (again[0], whole[0]) == ("4", "0") and again[1] == whole[1]


NOTE = """
import resource
from deepgen_lib import record
record.note("claims", "B1", holds=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
record.note("claims", "B2", holds=True)
print(record.entry("claims", "B2"), record.is_waiting(), record.where().read_text(), [path.name for path in record.where().parent.glob(".*draft")])
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6,) * 2)
record.note("claims", "B3", holds=True)
"""


def test_progress_survives_a_full_disk(tmp_path):
    place = tmp_path / "progress.json"
    said = limited(["-c", NOTE], 10**4, cwd=ROOT, variables={"DEEPGEN_PROGRESS": str(place)})
    assert said.returncode == 0, said.stderr
    assert "{'holds': True} True" in said.stdout and '"B1"' in said.stdout and '"B2"' not in said.stdout and said.stdout.endswith("[]\n")
    assert list(json.loads(place.read_text())["claims"]) == ["B1", "B2", "B3"]


@pytest.mark.parametrize("name, says", [("EROFS", "no leave to write there. Copy the course to a folder of your own"), ("EDQUOT", "full. Free some space and call again"), ("EIO", "OSError: .*/a/b")])
def test_an_error_of_the_disk_says_what_to_do(name, says):
    words = trouble(OSError(getattr(errno, name), os.strerror(getattr(errno, name)), "/a/b"))
    assert re.search(says, words) and "/a/b" in words
