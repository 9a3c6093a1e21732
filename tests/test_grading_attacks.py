"""Attacks on the grader: each costs the exercise that holds it, and nothing else; behind walls and under limits alone."""
import hashlib
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from grading import sandbox as sandboxes
from grading.sandbox import Sandbox, bubblewrap_refusal
from tests.grading_class import LIMITS, cell_of, lost, mark, result_of, sandbox, solved
from tools.sources import ROOT

KEY_FILE = ROOT / "deepgen_lib/checks/vae.py"
DEF = "def kl_by_hand(mu, log_sigma):\n    "
IMPORT_OS = "import os, sys, subprocess, socket\n"
EVERYWHERE = {  # name: (code of exercise 8.2, words of the feedback); refused by limits, fence or comparison, with walls and without
    "infinite loop": (DEF + "while True: pass", "ran longer than 4 s"),
    "memory at once": (DEF + "return torch.zeros(10**10)", "can't allocate memory"),
    "memory bit by bit": (DEF + "return [bytearray(2**24) for _ in range(10**6)]", "more memory than it is given"),
    "fork bomb": (IMPORT_OS + DEF + "while True: os.fork()", "may not start processes"),
    "another program": (IMPORT_OS + DEF + "return subprocess.run(['ls'])", "may not start processes"),
    "read the key": (DEF + f"return open({str(KEY_FILE)!r}).read()", "vae.py is out of bounds"),
    "network": (IMPORT_OS + DEF + "socket.create_connection(('127.0.0.1', PORT))", "has no network"),
    "kill the worker": (IMPORT_OS + DEF + "os.kill(os.getppid(), 9)", "may not use os.kill"),
    "write outside": (DEF + f"open({str(ROOT / 'README.md')!r}, 'a').write('x')", "README.md is out of bounds"),
}
ONCE = {
    "blank": ("", "does not define kl_by_hand"),
    "start": (DEF + "raise NotImplementedError()  # your answer here", "nothing is written yet"),
    "syntax error": ("def kl_by_hand(mu, log_sigma)\n    return mu", "is no valid Python (line 1: expected ':'), so kl_by_hand cannot be read"),
    "large file": (DEF + "open('x', 'wb').write(bytes(2**22))", "File too large"),
    "large answer": (DEF + "return torch.zeros(2**21)", "too much to hand over; the limit is 8 MB"),
    "deep answer": (DEF + "x = []\n    for _ in range(10**5): x = [x]\n    return x", "not yet"),
    "recursion": (DEF + "return kl_by_hand(mu, log_sigma)", "stopped with RecursionError"),
    "exit": (DEF + "import os\n    os._exit(0)", "your code ended its process"),
    "polite exit": (DEF + "raise SystemExit(0)", "stopped with SystemExit"),
    "import the key": ("from deepgen_lib.checks.vae import _kl as kl_by_hand", "stay outside while you are graded"),
    "ask the check": ("from deepgen_lib import checks\n" + DEF + "return checks.kl_by_hand.parts[0].right(mu, log_sigma)", "checks and their answers stay outside"),
    "import the grader": (DEF + "from grading.score import seed_of\n    return seed_of('8.2', '')", "stay outside while you are graded"),
    "equals everything": (DEF + "class Any(torch.Tensor):\n        @classmethod\n        def __torch_function__(cls, *a, **k): return True\n    return torch.zeros(4).as_subclass(Any)",
                          "you returned a Any"),
    "adds up to anything": (DEF + "class Yes(float):\n        __eq__ = __sub__ = __rsub__ = lambda self, other: True\n    return [Yes() for _ in mu]", "you returned"),
    "patch torch": ("torch.isclose = torch.equal = torch.allclose = lambda *a, **k: torch.ones((), dtype=torch.bool)\n" + DEF + "return mu.sum(1)", "you returned"),
    "patch torch inside": (DEF + "torch.Tensor.__eq__ = torch.Tensor.__sub__ = lambda a, b: torch.zeros(4)\n    return mu.sum(1)", "you returned"),
    "the library's own": ("from deepgen_lib import normal_kl\n" + DEF + "return normal_kl(mu, log_sigma).sum(1)", "normal_kl of the library is what this exercise asks you to write"),
    "the library's own, by another way": ("import deepgen_lib.linear_gaussian as other\n" + DEF + "return other.normal_kl(mu, log_sigma).sum(1)", "earns nothing"),
    "forge the reply": (DEF + "import sys\n    channel = sys._getframe(1).f_locals['channel']\n    channel.connection.sendall(b'\\x00' * 64)", "cannot be taken"),
    "pickle": (DEF + "import sys, pickle\n    sys._getframe(1).f_locals['channel'].send({'returned': True}, pickle.dumps(print))", "not yet"),
    "raw memory": (DEF + "import ctypes\n    return ctypes.string_at(0)", "may not use ctypes"),
    "dig for originals": (DEF + "import gc\n    return next(f for f in gc.get_objects() if getattr(f, '__name__', '') == 'normal_kl')(mu, log_sigma)", "may not use gc.get_objects"),
    "list the machine": (DEF + "import os\n    return os.listdir('/')", "lists its own empty folder only"),
}
WALLS = pytest.param(True, id="walls", marks=pytest.mark.skipif(bool(bubblewrap_refusal()), reason=f"bubblewrap does not work here: {bubblewrap_refusal()}"))
LIMITS_ALONE = pytest.param(False, id="limits")


def attack(code: str, tmp_path: Path, walls: bool | None = None):
    notebook = solved("08_vae")
    cell_of(notebook, "ex-8-2").source = code
    marked = mark("08_vae", notebook, tmp_path, walls=walls)
    return lost(marked), result_of(marked, "8.2").feedback


def fingerprint() -> str:
    """Of every file that an attack aims at."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in (KEY_FILE, ROOT / "README.md"))).hexdigest()


@pytest.mark.parametrize("walls", [WALLS, LIMITS_ALONE])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_attack_costs_its_own_exercise_alone(name, walls, tmp_path):
    code, words = EVERYWHERE[name]
    before, calls = fingerprint(), []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        lost_ones, feedback = attack(code.replace("PORT", str(server.getsockname()[1])), tmp_path, walls)
        try:
            calls.append(server.accept())
        except TimeoutError:
            pass
    assert lost_ones == ["8.2"] and words in feedback, feedback
    assert fingerprint() == before and not calls


@pytest.mark.parametrize("name", ONCE)
def test_an_attempt_costs_its_own_exercise_alone(name, tmp_path):
    code, words = ONCE[name]
    lost_ones, feedback = attack(code, tmp_path)
    assert lost_ones == ["8.2"] and words in feedback, feedback


def test_nothing_of_an_exercise_is_left_for_the_next(tmp_path):
    """A file, a patched module, a thread: gone when the next exercise starts."""
    notebook = solved("08_vae")
    cell_of(notebook, "ex-8-1").source += "\nimport os, threading\nopen('left', 'w').write('x')\nthreading.Thread(target=print).start()\ntorch.left = os.environ['LEFT'] = 'x'"
    cell_of(notebook, "ex-8-2").source = ("import os\n" + DEF + "assert os.listdir('.') == [] and not hasattr(torch, 'left') and 'LEFT' not in os.environ and os.getcwd() == os.environ['HOME']\n"
                                          "    assert not any(word in str(os.environ) for word in ('SECRET', 'PYTEST'))\n    return (0.5 * (mu**2 + torch.exp(2 * log_sigma) - 1) - log_sigma).sum(1)")
    marked = mark("08_vae", notebook, tmp_path)
    assert lost(marked) == [], result_of(marked, "8.2").feedback


def test_a_worker_that_dies_is_replaced(tmp_path):
    """What no fence can promise to prevent: the exercise at hand may be lost, the next ones are not."""
    shared = sandbox()
    with shared.play():
        shared._process.kill()
        shared._process.wait()
    assert lost(mark("08_vae", solved("08_vae"), tmp_path)) == []


def test_whatever_a_process_started_dies_with_its_exercise():
    """The worker kills orphans that left session and group; the fence, which would forbid them, is left out here."""
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(0)\nos.wait()\ntime.sleep(60)"
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom grading import worker\nimport os, time, ctypes\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n" \
              f"child = os.fork()\nif child == 0:\n    os.setsid()\n    exec({code!r})\ntime.sleep(0.5)\nprint(len(worker._children()))\nworker._end(child)\nprint(len(worker._children()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["2", "0"], done.stderr


@pytest.mark.skipif(bool(bubblewrap_refusal()), reason=f"bubblewrap does not work here: {bubblewrap_refusal()}")
def test_behind_walls_there_is_no_key_no_network_and_no_other_process(tmp_path):
    """Without the fence: what the walls alone keep out."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        program = (f"import os, socket\nprint(os.path.exists({str(KEY_FILE)!r}), os.path.exists({str(Path(__file__))!r}), os.path.exists('/course/deepgen_lib/checks'))\n"
                   f"print(len([p for p in os.listdir('/proc') if p.isdigit()]) < 5)\n"
                   f"try:\n    socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)\nexcept OSError:\n    print('no network')\n"
                   "try:\n    open('/usr/x', 'w')\nexcept OSError:\n    print('read only')")
        command = [*sandboxes._bubblewrap(sandbox()._stage), sys.executable, "-I", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, env=sandboxes._environment(), timeout=30)
    assert done.stdout.splitlines() == ["False False False", "True", "no network", "read only"], done.stderr


def test_the_staged_library_holds_no_check():
    stage = sandbox()._stage
    assert (stage / "deepgen_lib/vae.py").exists() and not (stage / "deepgen_lib/checks").exists()
    assert {path.name for path in (stage / "grading").iterdir()} == set(sandboxes._OURS)


def test_walls_that_are_not_there_are_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    bubblewrap_refusal.cache_clear()
    try:
        assert bubblewrap_refusal() == "not installed"
        with pytest.raises(OSError, match="bubblewrap does not work here \\(not installed\\)"):
            Sandbox(limits=LIMITS, walls=True)
    finally:
        bubblewrap_refusal.cache_clear()
