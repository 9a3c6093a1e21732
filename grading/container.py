"""A container engine (podman, docker) as walls, for machines where bubblewrap is missing or may not be used.

The image holds nothing but a few links: Python and its packages are the machine's own, mounted to be read. No network, no
capability, no way to write but an empty folder in memory, limits on memory and processes. The grader and the worker inside talk
over a socket in a folder that both see; so engine and grader must run on the same Linux machine.
"""
from __future__ import annotations

import functools
import io
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path

ENGINES = ("podman", "docker")
IMAGE = "localhost/deepgen-grading:2"
_SECONDS, _NOBODY = 120, "65534:65534"
_AROUND_MB, _AROUND_PROCESSES = 3072, 64  # torch and the worker, on top of what an exercise gets


@functools.cache
def working_engine() -> tuple[str, str]:
    """(the engine's program, why there is none): one of the two is "". Tried out with an empty run."""
    why = []
    for name in ENGINES:
        if program := shutil.which(name):
            refused = refusal(program)
            if not refused:
                return program, ""
            why.append(f"{name}: {refused}")
    return "", "; ".join(why) or "no container engine"


def refusal(program: str) -> str:
    """Why the engine cannot be used; "" when it works."""
    try:
        made = subprocess.run([program, "import", "-", IMAGE], input=_image(), capture_output=True, timeout=_SECONDS)
        tried = made if made.returncode else subprocess.run([program, "run", "--rm", *walls(memory_mb=64, processes=16), *_mounts(["/usr"]), IMAGE, "/usr/bin/env"], capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return "" if tried.returncode == 0 else (tried.stderr.decode(errors="replace").strip().splitlines() or ["it fails"])[-1][:200]


def walls(*, memory_mb: int, processes: int) -> list[str]:
    """The options that keep what runs inside apart."""
    return ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={_NOBODY}", "--ipc=private", "--hostname=grading",
            f"--memory={memory_mb + _AROUND_MB}m", f"--memory-swap={memory_mb + _AROUND_MB}m", f"--pids-limit={processes + _AROUND_PROCESSES}", "--ulimit=core=0:0", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096",
            "--tmpfs=/empty:rw,size=64m,mode=1777", "--tmpfs=/tmp:rw,size=64m,mode=1777", "--workdir=/empty"]


class Container:
    """One worker in a container: `command` starts it, `accept` gives the line to it, `end` makes sure that it is gone."""

    def __init__(self, program: str, *, folder: Path):
        self.program, self.name = program, f"deepgen-grading-{secrets.token_hex(6)}"
        self.talk = folder / self.name
        self.talk.mkdir()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.talk / "line"))
        os.chmod(self.talk / "line", 0o777)
        self._listener.listen(1)

    def command(self, *words: str, stage: Path, readable: list[str], environment: dict[str, str], memory_mb: int, processes: int) -> list[str]:
        shown = [*_mounts([folder for folder in readable if not os.path.islink(folder)]), f"--volume={stage}:/course:ro", f"--volume={self.talk}:/talk"]
        return [self.program, "run", "--rm", f"--name={self.name}", *walls(memory_mb=memory_mb, processes=processes), *shown,
                *(f"--env={name}={value}" for name, value in environment.items()), IMAGE, *words]

    def accept(self, process: subprocess.Popen, seconds: float) -> socket.socket:
        """Raises OSError where nobody calls."""
        try:
            self._listener.settimeout(0.2)
            for _ in range(int(seconds / 0.2)):
                try:
                    return self._listener.accept()[0]
                except TimeoutError:
                    if process.poll() is not None:
                        break
            raise OSError("the container did not call")
        finally:
            self._listener.close()

    def end(self) -> None:
        try:
            subprocess.run([self.program, "kill", self.name], capture_output=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            pass
        shutil.rmtree(self.talk, ignore_errors=True)


def _mounts(folders: list[str]) -> list[str]:
    return [f"--volume={folder}:{folder}:ro" for folder in folders]


def _image() -> bytes:
    """A tar of nothing but the links that this machine's root has: /lib -> usr/lib and the like."""
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w") as tar:
            for name in ("bin", "lib", "lib64", "sbin"):
                if os.path.islink(f"/{name}"):
                    link = tarfile.TarInfo(name)
                    link.type, link.linkname = tarfile.SYMTYPE, os.readlink(f"/{name}")
                    tar.addfile(link)
            for name in ("course", "empty", "talk", "tmp"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name in ("empty", "tmp") else 0o755  # podman gives what is mounted there the same mode
                tar.addfile(folder)
        return made.getvalue()
