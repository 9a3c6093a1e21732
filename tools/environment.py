"""The course's own environment, `.venv`: made once from requirements.lock, and again whenever what it was made from has changed.

A stamp inside says what it was made from. It is written twice, as unfinished before the first step and as finished after the last, so
the next call sees an interrupted installation and starts over; pip's cache keeps what had been downloaded. Standard library only.
"""
from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ("requirements.lock", "requirements-cuda.lock", "pyproject.toml")
OURS = "deepgen-"  # how the names of our own files in .venv begin
STAMP, LOCK = f"{OURS}stamp.json", f"{OURS}lock"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BUILDS = ("cpu", "default")  # of PyTorch; "default" is the package index's own: with CUDA on Linux, without elsewhere
DOWNLOADS = {"Linux": 2.7, "Darwin": 0.1, "Windows": 0.1}  # GB, PyTorch 2.13 with what it alone brings
DOWNLOAD_CPU, DOWNLOAD_REST = 0.2, 0.2
DOWNLOAD_TRITON = 0.2  # on Linux; part of DOWNLOADS there, but not of PyTorch's CPU build
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


_held: list[int] = []  # the lock's file, while we hold it


class SetupError(Exception):
    """What went wrong, in words for the person at the keyboard, and what to do."""


def ensure(root: Path = ROOT) -> Path:
    """The interpreter of a complete `.venv`; makes or mends it first where needed. Raises SetupError."""
    venv = root / ".venv"
    wanted = wanted_stamp(root, build=_wanted_build(venv))
    if state(venv, wanted) != "ready":
        with _one_at_a_time(venv):
            todo = state(venv, wanted)  # again: another call may have finished it while we waited
            if todo != "ready":
                _make(root, wanted, from_scratch=todo == "make")
    return interpreter(venv)


def wanted_stamp(root: Path, *, build: str) -> dict[str, str]:
    """What `.venv` must have been made from: the files (by hash), Python, PyTorch's build, and the place, which scripts contain."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"files": digest.hexdigest(), "python": version, "torch": build, "place": str(root)}


def state(venv: Path, wanted: dict[str, str]) -> str:
    """"ready", "renew" (only the files differ: install into it) or "make" (from scratch). Raises SetupError if it is not ours."""
    if not (venv / STAMP).exists():
        if venv.exists() and not all(item.name.startswith(OURS) for item in venv.iterdir()):
            raise SetupError(f"{venv} exists, but this course did not make it. Move it away or delete it, then try again.")
        return "make"
    found = read_stamp(venv)
    if not found.pop("finished", False) or not interpreter(venv).exists():
        return "make"
    differing = {key for key in wanted if found.get(key) != wanted[key]}
    return "ready" if not differing else "renew" if differing == {"files"} else "make"


def interpreter(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read_stamp(venv: Path) -> dict:
    try:
        return dict(json.loads((venv / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def download_size(build: str, system: str) -> float:
    """GB that a first installation downloads, PyTorch included."""
    cpu = DOWNLOAD_CPU + (DOWNLOAD_TRITON if system == "Linux" else 0)
    return DOWNLOAD_REST + (cpu if build == "cpu" else DOWNLOADS.get(system, DOWNLOADS["Linux"]))


def pip(python: Path, *arguments: str, root: Path = ROOT) -> None:
    """Run pip in the environment. Raises SetupError, pip having said why."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if _call(command, cwd=root):
        raise SetupError("pip could not install everything; its last lines above say why. Call again to retry: downloads are kept.")


def clean_environment(**additions: str) -> dict[str, str]:
    """The caller's variables without those that would let another Python's packages in; a home that cannot be written is replaced."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")} | _home() | additions


@functools.cache
def _home() -> dict[str, str]:
    """{}, or HOME inside `.venv` where the user's own takes no files: Jupyter and Matplotlib must write theirs somewhere."""
    try:
        with tempfile.TemporaryFile(dir=Path.home()):
            return {}
    except (OSError, RuntimeError):  # closed, full, missing; RuntimeError: nobody knows where it is
        home = ROOT / ".venv" / f"{OURS}home"
        home.mkdir(parents=True, exist_ok=True)
        print(f"Your home folder takes no files: Jupyter and others keep theirs in {home} instead.", file=sys.stderr, flush=True)
        return {"HOME": str(home)}


def _make(root: Path, wanted: dict[str, str], *, from_scratch: bool) -> None:
    venv = root / ".venv"
    if from_scratch:
        base = _base_python(venv)
        _announce(wanted["torch"], again=(venv / STAMP).exists())
    _write_stamp(venv, wanted, finished=False)
    if from_scratch:
        _clear(venv)
        if _call([base, "-m", "venv", str(venv)]):
            raise SetupError("python -m venv failed; its lines above say why.")
    python = interpreter(venv)
    if wanted["torch"] == "cpu":
        pip(python, "--no-deps", "--index-url", CPU_INDEX, _torch_pin(root), root=root)
    pip(python, "-r", "requirements.lock", "-c", "requirements-cuda.lock", root=root)
    pip(python, "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".", root=root)
    settings = venv / "share/jupyter/lab/settings/overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(LAB_SETTINGS), encoding="utf-8")
    _write_stamp(venv, wanted, finished=True)


def _wanted_build(venv: Path) -> str:
    """TORCH if given, else what `.venv` has, else the default."""
    build = os.environ.get("TORCH") or read_stamp(venv).get("torch", "default")
    if build not in BUILDS:
        raise SetupError(f"TORCH is {build!r}, expected one of {', '.join(BUILDS)}.")
    return build


def _announce(build: str, *, again: bool) -> None:
    system = platform.system()
    why = "Making .venv again: it was unfinished, or Python, PyTorch's build or this folder's place changed." if again else "Making .venv, once."
    print(f"{why} Up to {download_size(build, system):.1f} GB are downloaded.", flush=True)
    if system == "Linux" and build != "cpu":
        print(f"  {DOWNLOADS[system]} GB of it is PyTorch with the CUDA libraries that an NVIDIA GPU needs. Without such a GPU press Ctrl-C"
              f" and add TORCH=cpu, as in  make lab TORCH=cpu : {download_size('cpu', system):.1f} GB in all.", flush=True)


def _base_python(venv: Path) -> str:
    """The Python to build with, checked. Not the one inside `.venv`, which is about to be removed."""
    missing = [module for module in ("venv", "ensurepip") if importlib.util.find_spec(module) is None]
    if missing:
        raise SetupError(f"This Python ({sys.executable}) lacks {' and '.join(missing)}. On Debian and Ubuntu: sudo apt install python3-venv")
    if Path(sys.prefix).resolve() != venv.resolve():
        return sys.executable
    if os.name == "nt":
        raise SetupError("Windows cannot replace the Python that is running. Type  deactivate  and try again.")
    return getattr(sys, "_base_executable", sys.executable)


def _clear(venv: Path) -> None:
    for item in venv.iterdir():
        if not item.name.startswith(OURS):
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def _call(command: list[str], **options) -> int:
    """Run it; it holds our lock too, so that an installation which outlives us is waited for."""
    return subprocess.call(command, env=clean_environment(), **options, **({"pass_fds": tuple(_held)} if _held else {}))


def _write_stamp(venv: Path, wanted: dict[str, str], *, finished: bool) -> None:
    draft = venv / f"{STAMP}.new"
    draft.write_text(json.dumps(wanted | {"finished": finished}), encoding="utf-8")
    draft.replace(venv / STAMP)


def _torch_pin(root: Path) -> str:
    return next(line for line in (root / "requirements.lock").read_text(encoding="utf-8").splitlines() if line.startswith("torch=="))


@contextlib.contextmanager
def _one_at_a_time(venv: Path):
    """Two calls must not install at once. (Windows has no flock; there the second call is on its own.)"""
    venv.mkdir(exist_ok=True)
    with open(venv / LOCK, "w", encoding="utf-8") as handle:
        with contextlib.suppress(ImportError):
            import fcntl
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                print("Another call is making .venv; waiting for it.", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
            _held.append(handle.fileno())
        try:
            yield
        finally:
            _held.clear()
