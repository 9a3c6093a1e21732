"""`.venv` is made once, mended when it was interrupted or when what it was made from changed, and else left alone."""
import ast
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools import environment
from tools.environment import SetupError

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {name: (ROOT / name).read_text() for name in environment.INPUTS}


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """A course whose installation is only recorded, in root.parent / "calls"."""
    course = tmp_path / "course"
    course.mkdir()
    for name in environment.INPUTS:
        (course / name).write_text(TEXTS[name])
    log = tmp_path / "calls"

    def call(command, **_):
        words = [str(word) for word in command]
        with log.open("a") as lines:
            print("venv" if words[1:3] == ["-m", "venv"] else "cpu torch" if environment.CPU_INDEX in words
                  else "package" if "--editable" in words else "lock", file=lines)
        if (tmp_path / "interrupt").exists():
            raise KeyboardInterrupt
        python = environment.interpreter(course / ".venv")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        return int((tmp_path / "fail").exists())

    monkeypatch.setattr(environment.subprocess, "call", call)
    monkeypatch.delenv("TORCH", raising=False)
    return course


def calls(root: Path) -> list[str]:
    """What was installed since the last look."""
    log = root.parent / "calls"
    found = log.read_text().split("\n")[:-1] if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def test_the_environment_is_made_once(root, capsys):
    environment.ensure(root)
    assert calls(root) == ["venv", "lock", "package"]
    assert f"{environment.download_size('default', environment.platform.system()):.1f} GB" in capsys.readouterr().out
    environment.ensure(root)
    assert calls(root) == [] and capsys.readouterr().out == ""


@pytest.mark.parametrize("name", environment.INPUTS)
def test_a_changed_input_is_installed_into_it(root, name):
    environment.ensure(root)
    calls(root)
    (root / name).write_text(TEXTS[name] + "# changed\n")
    environment.ensure(root)
    assert calls(root) == ["lock", "package"]


@pytest.mark.parametrize("trouble", ["interrupt", "fail"])
@pytest.mark.parametrize("when", ["first", "later"])
def test_an_interrupted_installation_is_started_over(root, trouble, when):
    if when == "later":
        environment.ensure(root)
        (root / "requirements.lock").write_text(TEXTS["requirements.lock"] + "# changed\n")
    (root.parent / trouble).touch()
    with pytest.raises((KeyboardInterrupt, SetupError)):
        environment.ensure(root)
    (root.parent / trouble).unlink()
    rest = root / ".venv/lib/half-installed"
    rest.parent.mkdir(exist_ok=True, parents=True)
    rest.touch()
    calls(root)
    environment.ensure(root)
    assert calls(root) == ["venv", "lock", "package"] and not rest.exists()


def test_another_python_place_or_missing_interpreter_makes_it_again(root, monkeypatch):
    environment.ensure(root)
    venv, wanted = root / ".venv", environment.wanted_stamp(root, build="default")
    assert environment.state(venv, wanted) == "ready"
    for key in ("python", "place", "torch"):
        assert environment.state(venv, wanted | {key: "other"}) == "make"
    environment.interpreter(venv).unlink()
    assert environment.state(venv, wanted) == "make"


def test_pytorchs_build_is_chosen_and_remembered(root, monkeypatch):
    monkeypatch.setenv("TORCH", "cpu")
    environment.ensure(root)
    assert calls(root) == ["venv", "cpu torch", "lock", "package"]
    monkeypatch.setenv("TORCH", "")
    environment.ensure(root)
    assert calls(root) == []
    monkeypatch.setenv("TORCH", "default")
    environment.ensure(root)
    assert calls(root) == ["venv", "lock", "package"]
    monkeypatch.setenv("TORCH", "gpu")
    with pytest.raises(SetupError, match="TORCH is 'gpu', expected one of cpu, default"):
        environment.ensure(root)


def test_a_foreign_environment_is_not_touched(root):
    own = root / ".venv/own.txt"
    own.parent.mkdir()
    own.touch()
    with pytest.raises(SetupError, match="did not make it"):
        environment.ensure(root)
    assert own.exists()


def test_a_python_without_venv_is_told_what_to_install(root, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="lacks venv and ensurepip. .*python3-venv"):
        environment.ensure(root)


def test_an_old_python_is_told_so():
    path = ROOT / "tools/course.py"
    ast.parse(path.read_text(), feature_version=(3, 6))  # an old Python must at least read it
    pretend = f"import runpy, sys; sys.version_info = (3, 9, 0, 'final', 0); runpy.run_path({str(path)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert done.returncode == 1 and "deepgen needs Python 3.11 or newer; this is 3.9" in done.stderr


@pytest.fixture
def made(tmp_path) -> Path:
    """A course of our Makefile and our tools in a folder with a space, with an environment made by the Python that runs here."""
    course = tmp_path / "a course"
    shutil.copytree(ROOT / "tools", course / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", course)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course / ".venv"], check=True)
    return course


def chosen(course: Path, *words: str) -> str:
    """The Python that `make lab` would call."""
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHON", "MAKEFLAGS")}
    shown = subprocess.run(["make", "-n", "--no-print-directory", "lab", *words], cwd=course, env=variables, capture_output=True, text=True, check=True).stdout
    return shown.split(" tools/course.py lab")[0]


@pytest.mark.skipif(os.name != "posix" or not shutil.which("make"), reason="no make here, or Windows: python3 is taken there")
def test_make_goes_on_with_the_python_that_was_chosen(made):
    assert chosen(made) == ".venv/bin/python" and chosen(made, "PYTHON=python3.99") == "python3.99"
    (made / ".venv/bin/python").unlink()
    (made / ".venv/bin/python").symlink_to("python-that-an-update-removed")
    assert chosen(made) == "python3"
    shutil.rmtree(made / ".venv")
    assert chosen(made) == "python3"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace the Python that is running")
def test_an_environment_is_made_again_by_the_python_that_made_it(made):
    code = "import sys; from pathlib import Path; from tools import environment; print(environment._base_python(Path('.venv')), sys.version_info[:2])"
    inside, outside = (subprocess.run([python, "-c", code], cwd=made, capture_output=True, text=True, check=True, env=environment.clean_environment()).stdout.split(" ", 1)
                       for python in (made / ".venv/bin/python", sys.executable))
    assert inside[1] == outside[1] and not Path(inside[0]).is_relative_to(made) and Path(inside[0]).resolve() == Path(sys.executable).resolve()


def test_a_second_call_waits_for_the_first(root, capsys):
    fcntl = pytest.importorskip("fcntl", reason="Windows has no flock")
    venv = root / ".venv"
    venv.mkdir()
    second = threading.Thread(target=environment.ensure, args=(root,))
    with open(venv / environment.LOCK, "w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second.start()
        second.join(0.5)
        assert second.is_alive() and calls(root) == []
        environment.interpreter(venv).parent.mkdir(parents=True)
        environment.interpreter(venv).touch()
        environment._write_stamp(venv, environment.wanted_stamp(root, build="default"), finished=True)
    second.join(20)
    assert not second.is_alive() and calls(root) == []  # what the first made is enough
    assert "waiting" in capsys.readouterr().out
