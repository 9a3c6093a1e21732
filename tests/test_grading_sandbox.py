"""The walls one by one: Landlock, an ordinary user, a container engine, systems that lack something."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from grading import container, fence, sandbox as sandboxes, score
from grading.sandbox import Sandbox, bubblewrap_refusal
from tests.grading_class import LIMITS, answer_with, cell_of, lost, mark, result_of, solved
from tools.sources import ROOT

FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")


def python(program: str, *, before: tuple[str, ...] = (), **options) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1") | options.pop("env", {})
    return subprocess.run([*before, sys.executable, "-B", "-c", program], capture_output=True, text=True, timeout=120, env=environment, **options)


# ---- Landlock

LOCKED = """
import ctypes, os, sys, subprocess, socket, torch
from grading import landlock
libc = ctypes.CDLL(None, use_errno=True)
scratch, outside = sys.argv[1:]
open(outside + '/secret', 'w').write('x' * 64)
if {lock}:
    assert landlock.lock(libc, readable=[sys.prefix, sys.base_prefix, '/usr'], scratch=scratch)
def tried(what):
    try:
        what()
        return 'done'
    except Exception as error:
        return 'refused'
inside = os.path.join(scratch, 'mine')
print(tried(lambda: torch.save(torch.ones(2), inside)), tried(lambda: torch.load(inside)), tried(lambda: os.mkdir(inside + 'dir')),
      tried(lambda: torch.from_file(outside + '/secret', shared=False, size=64, dtype=torch.uint8)), tried(lambda: torch.from_file(outside + '/new', shared=True, size=64, dtype=torch.uint8)),
      tried(lambda: subprocess.run([sys.executable, '-c', ''], check=True)), tried(lambda: os.kill(os.getppid(), 0)) if landlock.version(libc) >= 6 else '{signal}')
"""


@pytest.mark.parametrize("lock, outcome", [(True, "refused"), (False, "done")])
def test_behind_landlock_no_door_leads_out(lock, outcome, tmp_path):
    if not python("import ctypes\nfrom grading import landlock\nassert landlock.version(ctypes.CDLL(None))").returncode == 0:
        pytest.skip("this system has no Landlock")
    for name in ("scratch", "outside"):
        (tmp_path / name).mkdir()
    program = f"import sys\nsys.argv = ['', {str(tmp_path / 'scratch')!r}, {str(tmp_path / 'outside')!r}]\n{LOCKED.format(lock=lock, signal=outcome)}"
    done = python(program)
    assert done.stdout.split() == ["done"] * 3 + [outcome] * 4, done.stderr


def test_no_landlock_is_said_and_harms_nothing():
    from grading import landlock
    assert landlock.version(None) == 0 and landlock.lock(None, readable=[], scratch=".") is False


# ---- systems that lack something

def test_the_package_loads_where_the_system_knows_none_of_this():
    program = ("import sys, os, signal, socket\nsys.modules['resource'] = None\n"
               "for module, names in ((os, ('geteuid', 'fork', 'setsid', 'WIFSIGNALED', 'O_PATH')), (signal, ('SIGKILL', 'SIGXCPU')), (socket, ('send_fds', 'recv_fds', 'AF_UNIX'))):\n"
               "    for name in names: hasattr(module, name) and delattr(module, name)\n"
               "import torch, grading.score, grading.worker, grading.landlock, grading.container, grading.bounded\nfrom grading.fence import missing_limits\nprint(missing_limits())")
    done = python(program)
    assert "memory" in done.stdout and "processes" in done.stdout, done.stderr


def test_what_is_not_limited_is_said(monkeypatch):
    assert fence.missing_limits() == ([] if sys.platform.startswith("linux") else ["memory"])
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(fence.resource, "RLIMIT_NPROC")
    assert fence.missing_limits() == ["memory", "processes"]
    box = Sandbox(limits=LIMITS, walls=False)
    for about, words in (({"missing": ["memory"], "landlock": 0, "network": False, "user": 0}, ["not limited on this system: memory", "files guarded by Python's audit hook alone", "network guarded by Python"]),
                         ({"missing": [], "landlock": 7, "network": False, "user": 0}, ["files guarded by Landlock and Python's audit hook", "Landlock (TCP)"])):
        box._about = about
        assert all(word in box.isolation for word in words) and ("not limited" in box.isolation) == bool(about["missing"])
    box.control = box._process = None
    shutil.rmtree(box._folder)


def test_a_child_is_killed_where_nothing_tells_who_the_children_are():
    """As on macOS, which has no /proc."""
    program = ("from grading import worker\nimport os, time\nworker._children = lambda: []\nchild = os.fork()\nif child == 0:\n    time.sleep(600)\n"
               "print(os.WTERMSIG(worker._end(child)))")
    assert python(program).stdout.split() == ["9"]


def test_a_graded_answer_may_not_fill_the_disk(tmp_path):
    notebook = solved("08_vae")
    cell_of(notebook, "ex-8-2").source = "def kl_by_hand(mu, log_sigma):\n    for i in range(10**4): open(f'x{i}', 'wb').close()"
    marked = mark("08_vae", notebook, tmp_path)
    assert lost(marked) == ["8.2"] and "may open 200 files to write in" in result_of(marked, "8.2").feedback


@pytest.mark.skipif(bool(bubblewrap_refusal()), reason=f"bubblewrap does not work here: {bubblewrap_refusal()}")
def test_a_python_that_stands_where_everybody_may_write_is_seen(monkeypatch):
    """As in a clone below the folder for temporary files."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "module.py").write_text("print('seen')")
        known = sandboxes._python_folders()
        monkeypatch.setattr(sandboxes, "_python_folders", lambda: [*known, folder])
        done = subprocess.run([*sandboxes._bubblewrap(ROOT / "grading"), sys.executable, "-I", "-S", f"{folder}/module.py"], capture_output=True, text=True)
    assert done.stdout == "seen\n", done.stderr


# ---- an ordinary user

NOT_ROOT = """
import json, os, sys
assert os.geteuid() != 0
from grading.sandbox import Limits, Sandbox, bubblewrap_refusal
from grading.score import Grader
from tools.sources import ROOT, built_path
found = {{}}
for walls in (True, False):
    if walls and bubblewrap_refusal():
        continue
    with Sandbox(limits=Limits(**{limits!r}), walls=walls) as box:
        marked = Grader(built_path(ROOT, "exercises", "08_vae"), key="a key for tests", sandbox=box).mark({path!r})
    found[marked.isolation] = [result.exercise for result in marked.results if result.points != result.possible]
print(json.dumps(found))
"""
READ_KEY = "import os\ndef kl_by_hand(mu, log_sigma):\n    return torch.from_file({!r}, shared=False, size=64, dtype=torch.uint8)"


def as_ordinary_user(folder: Path) -> tuple[str, ...]:
    """Words before a command, which then runs as a user who owns nothing. Python's folders are opened to it in a view of the files of its own."""
    needed = {Path(name).resolve() for name in sandboxes._python_folders()}
    closed = {parent: [name for name in needed if parent in name.parents] for name in needed for parent in reversed(name.parents) if not parent.stat().st_mode & 1}
    lines = ["set -e"]
    for number, (parent, below) in enumerate(closed.items()):
        for place, name in enumerate(below):
            lines += [f"mkdir -p {folder}/kept/{number}-{place}", f"mount --bind {name} {folder}/kept/{number}-{place}"]
        lines += [f"mount -t tmpfs -o mode=755 none {parent}"]
        for place, name in enumerate(below):
            lines += [f"mkdir -p {name}", f"mount --bind {folder}/kept/{number}-{place} {name}"]
    return ("unshare", "--mount", "sh", "-c", "\n".join([*lines, 'exec setpriv --reuid=65533 --regid=65533 --clear-groups "$@"']), "sh")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="views of the files are made on Linux alone")
def test_an_ordinary_user_can_grade_behind_walls_and_under_limits(tmp_path):
    """Where the tests run as root a user is made; else they are one."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("deepgen_lib", "grading", "tools", "exercises/08_vae"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "embedded"))
        notebook = solved("08_vae")
        answer_with(notebook, ("ex-8-2",), READ_KEY.format(str(folder / "deepgen_lib/checks/vae.py")))
        (folder / "x.ipynb").write_text(json.dumps(notebook))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o644)
        done = python(NOT_ROOT.format(limits=vars(LIMITS), path=str(folder / "x.ipynb")), before=as_ordinary_user(folder) if os.geteuid() == 0 else (),
                      cwd=folder, env={"HOME": name, "PYTHONPATH": name})
    if not done.stdout and re.match(r"(unshare|mount|setpriv|mkdir|sh): ", done.stderr):
        pytest.skip(f"no ordinary user can be made here: {done.stderr.strip()[:100]}")
    found = json.loads(done.stdout or "{}")
    assert set(map(tuple, found.values())) == {("8.2",)}, done.stderr
    assert "as the user who grades" in list(found)[-1] and (len(found) == 1 or next(iter(found)).startswith("bubblewrap: no network"))


# ---- a container engine

@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A program called podman, which writes down what it is asked and then runs the worker on this machine, without any wall."""
    program = tmp_path / "podman"
    program.write_text(f"#!{sys.executable}\n{FAKE_ENGINE.read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sandboxes, "bubblewrap_refusal", lambda: "not installed")
    monkeypatch.setattr(container, "ENGINES", ("podman",))
    container.working_engine.cache_clear()
    yield tmp_path / "asked"
    container.working_engine.cache_clear()


def test_where_bubblewrap_is_missing_a_container_engine_is_used(fake, tmp_path):
    """With an engine that only pretends: its options, and that the line to the worker works."""
    notebook = solved("08_vae")
    answer_with(notebook, ("ex-8-2",), "def kl_by_hand(mu, log_sigma):\n    return mu.sum(1)")
    with Sandbox(limits=LIMITS) as box:
        tmp_path.joinpath("x.ipynb").write_text(json.dumps(notebook))
        marked = score.Grader(ROOT / "exercises/08_vae/08_vae.ipynb", key="a key for tests", sandbox=box).mark(tmp_path / "x.ipynb")
        stage, talk = str(box._stage), box._container.talk
    assert lost(marked) == ["8.2"] and marked.isolation.startswith("a container of podman (bubblewrap: not installed): no network")
    asked = [line.split("\t") for line in fake.read_text().splitlines()]
    assert [words[0] for words in asked] == ["import", "run", "run", "kill"] and not talk.exists()
    run = asked[2]
    for option in ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=65534:65534", "--memory=3584m", "--pids-limit=72", f"--volume={stage}:/course:ro"):
        assert option in run
    writable = [word for word in run if word.startswith("--volume=") and not word.endswith(":ro")]
    assert writable == [f"--volume={talk}:/talk"] and not any(str(ROOT) == word.split("=")[-1].split(":")[0] for word in run)


def test_an_engine_that_does_not_work_is_named(fake, tmp_path):
    (tmp_path / "podman").write_text("#!/bin/sh\necho 'no daemon here' >&2\nexit 125")
    assert container.working_engine() == ("", "podman: no daemon here")
    box = Sandbox(limits=LIMITS)
    assert not box.walls and box.refused == "not installed; podman: no daemon here"
    shutil.rmtree(box._folder)
