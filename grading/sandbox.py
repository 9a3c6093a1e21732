"""Where students' code runs: behind bubblewrap's walls where the machine has them, else in a container, else under the system's limits alone.

    with Sandbox() as sandbox:
        print(sandbox.isolation)
        with sandbox.play() as play:       # a fresh process, a fresh empty folder
            ...                            # remote.py talks over play.channel

bubblewrap: the process sees Python, the library without its checks, and an empty folder; no other file, process or network.
The same in a container (container.py) where bubblewrap is missing and an engine works.
Limits: time, memory, processes, file size and a clean environment hold as before, and an own user where the grader runs as
root; files are then guarded by Linux's Landlock (landlock.py) where the system has it, and by Python's audit hook, which alone
stops what students try, not a determined attacker. `isolation` says which it is, and what is missing.
"""
from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .container import Container, working_engine
from .wire import Channel

ROOT = Path(__file__).resolve().parents[1]
_OURS = ("__init__.py", "wire.py", "fence.py", "landlock.py", "player.py", "worker.py")  # what the process needs of this package
_START_SECONDS = 120


@dataclass(frozen=True)
class Limits:
    """For each exercise of each hand-in."""
    seconds: float = 30.0   # wall clock, and processor time
    memory_mb: int = 2048   # on top of torch
    processes: int = 16     # with threads
    file_mb: int = 16       # of one file
    answer_mb: int = 32     # of what comes back


class Play:
    """One exercise in its own process."""

    def __init__(self, sandbox: Sandbox):
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(sandbox.control, [b"play"], [theirs.fileno()])
        self.limits = sandbox.limits
        self.channel, self._sandbox, self._status = Channel(ours, limit=sandbox.limits.answer_mb * 2**20), sandbox, None

    def end(self) -> int | None:
        """Kill whatever still runs.  -> the wait status of the exercise's process, None when nobody knows."""
        if self._sandbox is not None:
            self._status, self._sandbox = self._sandbox.tell("end").get("status"), None
            self.channel.connection.close()
        return self._status


class Sandbox:
    """A worker process from which every exercise's own process is forked. `extra` are modules that the course hands out with its notebooks."""

    def __init__(self, *, limits: Limits = Limits(), walls: bool | None = None, extra: tuple[Path, ...] = ()):
        if os.name != "posix":
            raise OSError("Sandbox: this system is not POSIX, expected Linux, macOS or WSL, which can limit a process; grade there")
        refused = "not wanted" if walls is False else bubblewrap_refusal()
        if walls and refused:
            raise OSError(f"Sandbox: bubblewrap does not work here ({refused}); install it and allow user namespaces, or leave `walls` out")
        self.engine, no_engine = working_engine() if refused and walls is None else ("", "")
        self.limits, self.walls, self.refused, self.control, self._process, self._container = limits, not refused or bool(self.engine), refused, None, None, None
        self.refused += f"; {no_engine}" if no_engine else ""
        self._folder = Path(tempfile.mkdtemp(prefix="grading-"))
        self._folder.chmod(0o755)
        self._stage = _stage(self._folder / "course", extra)
        (self._folder / "empty").mkdir(mode=0o777)
        (self._folder / "empty").chmod(0o1777)

    def __enter__(self) -> Sandbox:
        self._start()
        return self

    def __exit__(self, *_) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def isolation(self) -> str:
        """What keeps students' code apart, in one sentence for the report."""
        limits = f"{self.limits.seconds:g} s, {self.limits.memory_mb} MB, {self.limits.processes} processes, {self.limits.file_mb} MB a file for each exercise"
        if self.walls:
            return f"{f'a container of {Path(self.engine).name} (bubblewrap: {self.refused})' if self.engine else 'bubblewrap'}: no network, no file but Python, the library without its checks, and an empty folder; {limits}"
        landlock = self._about["landlock"]
        network = "no network" if self._about["network"] else f"the network guarded by {'Landlock (TCP) and ' * (landlock >= 4)}Python's audit hook"
        missing = f"; not limited on this system: {', '.join(self._about['missing'])}" if self._about["missing"] else ""
        user = {os.geteuid(): "as the user who grades", 0: "as root"}
        return (f"resource limits alone (bubblewrap: {self.refused}): {limits}; {user.get(self._about['user'], 'as a user of its own')} (grade on an account that holds nothing else), {network}, "
                f"files guarded by {'Landlock and Python' if landlock else 'Python'}'s audit hook{'' if landlock else ' alone'}{missing}")

    @contextlib.contextmanager
    def play(self):
        """A fresh process for one exercise; whatever it left behind is killed on the way out."""
        try:
            play = Play(self)
        except OSError:  # the worker is gone: an earlier exercise's process took it along
            self._stop()
            self._start()
            play = Play(self)
        try:
            yield play
        finally:
            play.end()

    def tell(self, command: str) -> dict:
        """One command to the worker and its answer; a worker that does not answer is replaced, so that the next exercise finds one."""
        try:
            self.control.sendall(command.encode())
            return self._listen(30)
        except (OSError, EOFError, ValueError):
            self._stop()
            self._start()
            return {}

    def _start(self) -> None:
        self.control, theirs = socket.socketpair()
        here = {"stage": str(self._stage), "scratch": str(self._folder / "empty")}
        there = {"stage": "/course", "scratch": "/empty"} if self.walls else here
        settings = there | {"walls": self.walls, "user": 0 if self.engine else _spare_user(self.walls), "limit": self.limits.answer_mb * 2**20, "environment": _environment(),
                            "readable": [*_python_folders(), there["stage"], "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"]}
        words = [sys.executable, "-I", "-B", f"{there['stage']}/grading/worker.py", "/talk/line" if self.engine else str(theirs.fileno()), json.dumps(settings)]
        if self.engine:
            self._container = Container(self.engine, folder=self._folder)
            command = self._container.command(*words, stage=self._stage, readable=_python_folders(), environment=_environment(), memory_mb=self.limits.memory_mb, processes=self.limits.processes)
        else:
            command = [*(_bubblewrap(self._stage) if self.walls else []), *words]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=dict(os.environ) if self.engine else _environment(), cwd=self._folder / "empty", stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        try:
            if self._container:
                self.control.close()
                self.control = self._container.accept(self._process, _START_SECONDS)
            self._about = self._listen(_START_SECONDS)
        except (OSError, EOFError, ValueError):
            self._process.kill()
            self.control.close()
            raise RuntimeError(f"Sandbox: the worker did not start: {self._process.communicate()[1].decode(errors='replace')[-500:]}") from None

    def _stop(self) -> None:
        self.control.close()  # the worker ends when it hears no more, and kills what it started
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stderr.close()
        if self._container:
            self._container.end()

    def _listen(self, seconds: float) -> dict:
        self.control.settimeout(seconds)
        line = b""
        while not line.endswith(b"\n"):
            if not (piece := self.control.recv(1 << 16)):
                raise EOFError("the worker is gone") if not line else ValueError("half a line")
            line += piece
        return json.loads(line)


@functools.cache
def bubblewrap_refusal() -> str:
    """Why bubblewrap cannot be used on this machine; "" when it works, tried out with an empty run."""
    if not shutil.which("bwrap"):
        return "not installed"
    with tempfile.TemporaryDirectory() as stage:
        tried = subprocess.run([*_bubblewrap(Path(stage)), sys.executable, "-I", "-c", "import json"], capture_output=True, text=True, env=_environment())
    return "" if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["it fails"])[-1]


def _bubblewrap(stage: Path) -> list[str]:
    as_root = os.geteuid() == 0  # then the worker takes another user itself: the limit on processes does not bind root
    apart = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", *("--cap-add CAP_SETUID --cap-add CAP_SETGID".split() if as_root else ["--unshare-user"])]
    above = dict.fromkeys(str(parent) for folder in _python_folders() for parent in reversed(Path(folder).parents) if parent != Path("/"))
    shown = [word for parent in above for word in ("--perms", "0755", "--dir", parent)]  # else closed to the worker's own user
    shown += [word for folder in _python_folders() for word in ("--ro-bind-try", folder, folder)]
    links = [word for name in ("/bin", "/lib", "/lib64", "/sbin") if os.path.islink(name) for word in ("--symlink", os.readlink(name), name)]
    empty = [word for name in ("/empty", "/tmp") for word in ("--perms", "1777", "--size", str(64 * 2**20), "--tmpfs", name)]  # before what is shown: Python may stand below /tmp
    return ["bwrap", *apart, "--die-with-parent", "--new-session", *empty, *shown, *links, "--ro-bind", str(stage), "/course", "--proc", "/proc", "--dev", "/dev", "--chdir", "/empty"]


def _python_folders() -> list[str]:
    """Everything that a fresh Python reads: its own folders, those of its packages, and the system's libraries."""
    own = [sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(sys.executable).resolve().parents[1])]
    system = ["/usr", *(name for name in ("/bin", "/lib", "/lib64", "/sbin") if not os.path.islink(name)), "/etc/ld.so.cache", "/etc/localtime"]
    return [folder for folder in dict.fromkeys([*system, *own]) if os.path.exists(folder)]


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TQDM_DISABLE": "1", "MPLBACKEND": "Agg"}


def _spare_user(walls: bool) -> int:
    """A user number that owns nothing, for a grader that is root; 0 where such a user could not read Python itself."""
    if os.geteuid() != 0:
        return 0
    readable = walls or all(os.stat(parent).st_mode & 0o001 for folder in _python_folders() for parent in [Path(folder).resolve(), *Path(folder).resolve().parents] if parent.is_dir())
    return 62_000 + os.getpid() % 2_000 if readable else 0


def _stage(folder: Path, extra: tuple[Path, ...]) -> Path:
    """The library without its checks, and the few files of ours that run there."""
    shutil.copytree(ROOT / "deepgen_lib", folder / "deepgen_lib", ignore=lambda path, names: {"__pycache__"} | ({"checks"} if Path(path) == ROOT / "deepgen_lib" else set()))
    (folder / "grading").mkdir()
    for name in _OURS:
        shutil.copy(ROOT / "grading" / name, folder / "grading")
    for path in extra:
        shutil.copytree(path, folder / path.name) if path.is_dir() else shutil.copy(path, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder
