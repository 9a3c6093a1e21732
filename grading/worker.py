"""The process that students' code descends from: it loads torch and the library once, then forks one child per exercise.

    python -I worker.py LINE SETTINGS       LINE: a socket to the grader, its number or its path; SETTINGS: JSON, see `sandbox.py`

It runs no line of a student's itself. On `play` it forks: the child gets a channel, an empty folder, limits and the fence. On
`end` it kills everything that descends from that child, whatever it did to get away, empties the folder and says how it ended.
"""
from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

_NEW_NET, _NEW_USER = 0x40000000, 0x10000000
_SUBREAPER, _DUMPABLE = 36, 4


def main() -> None:
    control, settings = _line(sys.argv[1]), json.loads(sys.argv[2])
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    user = os.geteuid()  # before it has a name of its own in namespaces of its own
    alone = settings["walls"] or bool(libc) and libc.unshare(_NEW_NET if os.geteuid() == 0 else _NEW_NET | _NEW_USER) == 0
    if os.geteuid() == 0 and settings["user"]:
        os.setgroups([])
        os.setresgid(*3 * [settings["user"]])
        os.setresuid(*3 * [settings["user"]])
        user = settings["user"]
    _load(settings)
    if libc:
        libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    from grading import fence, landlock
    _say(control, {"ready": True, "network": bool(alone), "user": user, "landlock": landlock.version(libc), "missing": fence.missing_limits()})
    child, scratch = 0, ""
    while True:
        data, handles, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not data:
            break
        if data == b"play":
            scratch = tempfile.mkdtemp(dir=settings["scratch"])
            if not (child := os.fork()):
                _child(handles[0], scratch, settings, libc)
            os.close(handles[0])
        elif data == b"end":
            status = _end(child)
            shutil.rmtree(scratch, ignore_errors=True)
            _say(control, {"status": status})
    _end(0)


def _line(where: str) -> socket.socket:
    if where.isdigit():
        return socket.socket(fileno=int(where))
    line = socket.socket(socket.AF_UNIX)
    line.connect(where)
    return line


LATER = ("checks", "plots", "widgets", "ranking", "typed", "progress_page")  # what draws or asks is loaded by the few answers that need it


def _load(settings: dict) -> None:
    """torch and the library's modules from the staged copy, which holds no checks; every other way to find the library is closed."""
    def elsewhere(folder: str) -> bool:
        return any(Path(folder, name).exists() for name in ("deepgen_lib", "grading", "solutions"))
    sys.path[:] = [settings["stage"], *(folder for folder in sys.path if folder and not elsewhere(folder))]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not getattr(finder, "__name__", type(finder).__name__).startswith(("__editable__", "_Editable"))]
    import numpy  # noqa: F401
    import torch
    torch.set_num_threads(1)
    import deepgen_lib
    home = Path(deepgen_lib.__file__).parents[1]
    for parts in sorted(path.relative_to(home).with_suffix("").parts for path in Path(deepgen_lib.__file__).parent.rglob("*.py")):
        if not any(part in LATER or part.startswith("triton_") for part in parts):
            __import__(".".join(parts).removesuffix(".__init__"))
    from grading import fence, landlock, player, wire  # noqa: F401
    settings["readable"] = [place for place in settings["readable"] if place != settings["stage"]] + _not_loaded(Path(settings["stage"]))


def _not_loaded(folder: Path) -> list[str]:
    """What a child may still read of the staged course: data, and modules that come later. The text of a loaded one would be an answer to copy."""
    loaded = {os.path.realpath(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    if not any(os.path.realpath(path) in loaded for path in folder.rglob("*.py")):
        return [str(folder)]
    return [place for path in sorted(folder.iterdir()) if os.path.realpath(path) not in loaded for place in (_not_loaded(path) if path.is_dir() else [str(path)])]


def _child(handle: int, scratch: str, settings: dict, libc) -> None:
    """Never returns."""
    try:
        from grading import fence, landlock
        from grading.player import play
        from grading.wire import Channel
        if libc:
            libc.prctl(_DUMPABLE, 1, 0, 0, 0)  # the child may look at itself, not at its parent
        os.setsid()
        fence.close_files(handle)
        os.environ.clear()
        os.environ.update(settings["environment"] | {"HOME": scratch, "TMPDIR": scratch})
        os.chdir(scratch)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

        def raise_fence(message: dict) -> None:
            fence.keep_checks_out()
            fence.take_away(message["taken"])
            fence.limit(**message["limits"])
            landlock.lock(libc, readable=settings["readable"], scratch=scratch)
            fence.watch(readable=settings["readable"], scratch=scratch)
        play(Channel(socket.socket(fileno=handle), limit=settings["limit"]), raise_fence)
    finally:
        os._exit(0)


def _end(child: int) -> int | None:
    """Kill all descendants, orphans included, and reap them.  -> how `child` ended: its wait status."""
    ended = None
    for _ in range(1000):
        for number in {*_children(), *([child] if child and ended is None else [])}:  # where /proc does not tell, the child alone is known
            for kill in (os.killpg, os.kill):
                try:
                    kill(number, signal.SIGKILL)
                except OSError:  # it has ended, or leads no group
                    pass
        try:
            number, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return ended
        ended = status if number == child else ended
    return ended


def _children() -> list[int]:
    found: list[int] = []
    for thread in Path("/proc/self/task").glob("*/children"):
        found += map(int, thread.read_text().split())
    return found


def _say(control: socket.socket, message: dict) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
