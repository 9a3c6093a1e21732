"""What surrounds a student's code inside its own process: limits of the system, and a fence in Python.

The limits hold against anything. The fence (an audit hook, imports that are refused, library functions taken out of reach) says
in plain words what is not allowed; walls are what sandbox.py puts around the whole process where the machine has them.
"""
from __future__ import annotations

import importlib
import importlib.abc
import os
import sys
import types

try:
    import resource
except ImportError:  # Windows: nothing runs there, but what only looks may import this
    resource = None

_KEPT_OUT = ("deepgen_lib.checks", "grading", "tools", "tests", "solutions", "source")
_PROCESSES = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "subprocess.Popen", "pty.spawn")
_NETWORK = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "imaplib.", "poplib.", "telnetlib.", "nntplib.")
_PRYING = ("ctypes.", "gc.get_", "os.kill", "os.killpg", "resource.", "signal.pthread_kill", "sys.addaudithook", "sys._current_frames", "ptrace", "syslog.", "fcntl.")
_WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate", "os.utime", "os.chdir", "os.setxattr",
           "os.removexattr", "os.lchown", "os.chflags", "os.lockf", "shutil.", "tempfile.", "sqlite3.connect")
_LISTS = ("os.listdir", "os.scandir", "os.getxattr", "os.listxattr")
_DOORS = ("_posixsubprocess.fork_exec", "subprocess._fork_exec", "_signal.pidfd_send_signal", "signal.pidfd_send_signal", "posix.pidfd_open", "os.pidfd_open")  # that audit does not see
_MANY_FILES = 200  # opened to write: with the limit on each, a limit on all
_DEVICES = {"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"}


_REFUSED = "{} of the library is what this exercise asks you to write: calling it, or what is built on it, earns nothing; write it yourself"


class NotHere(PermissionError):
    """Something that a graded answer may not use; the message says what and why."""


class _Quiet:
    """A check in a graded run: calling it does nothing, looking into it is refused."""

    def __init__(self, name: str):
        self._name = name

    def __call__(self, *_, **__):
        return None

    def __getattr__(self, name: str):
        raise NotHere(f"checks.{self._name}.{name} is not here: checks and their answers stay outside while you are graded")


class _QuietChecks(types.ModuleType):
    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Quiet(name)


class _Refuser(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(name == kept or name.startswith(f"{kept}.") for kept in _KEPT_OUT):
            raise ImportError(f"{name} is not here: checks, solutions and tests stay outside while you are graded")
        return None


def keep_checks_out() -> None:
    """`from deepgen_lib import checks, hint, start_over` goes on working, and gives nothing away."""
    import deepgen_lib
    for name in [name for name in sys.modules if name.startswith("deepgen_lib.checks") or name.split(".")[0] in _KEPT_OUT]:
        del sys.modules[name]
    quiet = _QuietChecks("deepgen_lib.checks")
    quiet.__path__ = []  # a package, so that looking for its files ends at _Refuser
    sys.modules["deepgen_lib.checks"] = deepgen_lib.checks = quiet
    deepgen_lib.hint = deepgen_lib.start_over = _Quiet("hint")
    sys.meta_path.insert(0, _Refuser())


def take_away(names: list[str]) -> None:
    """Put a refusal in the place of each library function, "module.function" or "module.Class.method", wherever it is known by name, and in the function itself.

    "torch.distributions.kl.kl_divergence" names one of torch.
    """
    for name in names:
        owner, last = located(name)
        original = getattr(owner, last)
        setattr(owner, last, property(_refusal(last)) if isinstance(original, property) else _refusal(last))
        for other in [m for key, m in list(sys.modules.items()) if key.startswith(("deepgen_lib", "torch.distributions")) and m is not None]:
            for key in [key for key, value in list(vars(other).items()) if value is original]:
                setattr(other, key, _refusal(last))
        for helper in _helpers(original):
            _empty(helper, last)
        _empty(original, last)


def _helpers(function) -> list:
    """Private functions of the same module that it calls and that carry its name, such as _kl of residual_normal_kl: the formula stands there."""
    known = getattr(function, "__globals__", {})
    names = [name for name in getattr(getattr(function, "__code__", None), "co_names", ()) if name.startswith("_") and name.strip("_") in function.__name__]
    return [known[name] for name in names if isinstance(known.get(name), types.FunctionType) and known[name].__module__ == function.__module__]


def located(name: str) -> tuple:
    """"module.Class.method" -> (what holds it, "method"). The longest beginning that is a module counts as one."""
    parts = name.split(".") if name.startswith("torch.") else ["deepgen_lib", *name.split(".")]
    for n in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for step in parts[n:-1]:
            owner = getattr(owner, step)
        return owner, parts[-1]
    raise ValueError(f"located: {name} is in no module, expected module.function; look for its new place")


def _refusal(name: str):
    def refused(*_, **__):
        raise NotHere(_REFUSED.format(name))
    return refused


def _empty(original, name: str) -> None:
    """Whoever still holds the thing itself, through a class, a decorator, a table, finds nothing in it."""
    if isinstance(original, property):
        original = original.fget
    methods = [getattr(method, "__func__", method) for method in vars(original).values()] if isinstance(original, type) else []
    for method in methods:
        if isinstance(method, (types.FunctionType, property)):
            _empty(method, name)
    while isinstance(original, types.FunctionType):
        space: dict = {}
        exec(f"def refused(*_, **__):\n    raise PermissionError({_REFUSED.format(name)!r})", space)
        try:
            original.__code__ = space["refused"].__code__
        except ValueError:  # it closes over something; what it wraps is emptied next
            pass
        original = getattr(original, "__wrapped__", None)


def _closed(*_, **__):
    raise NotHere("a graded answer may not start processes, or reach others")


def close_files(channel: int) -> None:
    """No file descriptor stays but the channel; what the student's code prints goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for number in [int(name) for name in os.listdir("/proc/self/fd")] if os.path.isdir("/proc/self/fd") else range(3, 256):
        if number > 2 and number != channel:
            try:
                os.close(number)
            except OSError:  # the listing's own
                pass


def limit(*, seconds: float, memory_mb: int, processes: int, file_mb: int) -> None:
    """The system's own limits, for this process and whatever it starts. Memory and processes are counted on top of what is there."""
    cpu, size = int(seconds) + 1, file_mb * 2**20
    memory = _virtual_memory() + memory_mb * 2**20
    for what, soft, hard in (("CPU", cpu, cpu + 1), ("FSIZE", size, size), ("CORE", 0, 0), ("NOFILE", 256, 256), ("AS", memory, memory), ("NPROC", *2 * [_tasks_of_this_user() + processes])):
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (soft, hard))
        except (AttributeError, ValueError, OSError):  # the machine's own limit is lower already, or it knows no such limit
            pass


def missing_limits() -> list[str]:
    """In words, what this system cannot limit."""
    known = {"CPU": "processor time", "AS": "memory", "NPROC": "processes", "FSIZE": "size of files"}
    held = {name for name in known if hasattr(resource, f"RLIMIT_{name}")} - ({"AS"} if sys.platform == "darwin" else set())  # macOS has the name and does not hold to it
    return [words for name, words in known.items() if name not in held]


def _virtual_memory() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as numbers:
            return int(numbers.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2 << 30


def _tasks_of_this_user() -> int:
    """Processes and threads, which the limit counts alike; 500 where /proc does not tell."""
    if not os.path.isdir("/proc/self/task"):
        return 500
    count = 0
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{number}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{number}/task"))
        except OSError:  # it has ended
            pass
    return count


def watch(*, readable: list[str], scratch: str) -> None:
    """From here on Python itself refuses network, processes, prying, and files outside these folders. It cannot be taken off."""
    roots, scratch, written = tuple(os.path.realpath(path) for path in readable), os.path.realpath(scratch), []
    for door in _DOORS:
        module, _, name = door.partition(".")
        if hasattr(sys.modules.get(module), name):
            setattr(sys.modules[module], name, _closed)

    def inside(path, folders) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path))
        return real in _DEVICES or any(real == folder or real.startswith(folder.rstrip("/") + "/") for folder in folders)

    def hook(event: str, args: tuple) -> None:
        if event == "open":
            path, mode, flags = args
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)) if isinstance(flags, int) else any(c in str(mode) for c in "wax+")
            if path is not None and not inside(path, (scratch,) if writes else (*roots, scratch)):
                raise NotHere(f"the file {os.path.basename(os.fsdecode(path))} is out of bounds: a graded answer reads and writes files in its own empty folder only")
            written.extend([path] if writes else [])
            if len(written) > _MANY_FILES:
                raise NotHere(f"a graded answer may open {_MANY_FILES} files to write in, no more")
        elif event.startswith(_PROCESSES):
            raise NotHere("a graded answer may not start processes")
        elif event.startswith(_NETWORK):
            raise NotHere("a graded answer has no network")
        elif event.startswith(_PRYING):
            raise NotHere(f"a graded answer may not use {event}")
        elif event.startswith(_WRITES) and not all(inside(path, (scratch,)) for path in args if isinstance(path, (str, bytes, os.PathLike))):
            raise NotHere("a graded answer changes files in its own empty folder only")
        elif event.startswith(_LISTS) and not inside(args[0] if args and args[0] is not None else ".", (*roots, scratch)):
            raise NotHere("a graded answer lists its own empty folder only")
    sys.addaudithook(hook)
