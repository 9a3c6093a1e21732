"""A copy of the course, a server, another process and places to write to, all within reach of an attack that gets out; and what became of them.

    with Surroundings() as around:
        ...                      # hand-ins made with around.facts are graded
        around.traces()          # what was changed, called or killed, in words; nothing when the grader holds
"""
from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.sources import ROOT

_SHARED = (Path("/dev/shm"), Path(tempfile.gettempdir()), Path("/var/tmp"))  # where everybody may write


class Surroundings:
    """`whole`: the copy can grade by itself."""

    def __init__(self, *, whole: bool = False):
        self._whole = whole

    def __enter__(self) -> Surroundings:
        self.folder = Path(tempfile.mkdtemp(prefix="around-"))
        self.folder.chmod(0o755)
        self.course, self.outside, self.token = self.folder / "course", self.folder / "outside", f"escaped-{secrets.token_hex(4)}"
        for part in ("deepgen_lib", "grading", *(("tools", "exercises", "solutions") if self._whole else ())):
            shutil.copytree(ROOT / part, self.course / part, ignore=shutil.ignore_patterns("__pycache__", "embedded"))
        for part in ("pyproject.toml", "nbgrader_config.py"):
            shutil.copy(ROOT / part, self.course)
        self.outside.mkdir()
        self.outside.chmod(0o777)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0)
        self._bystander = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(36000)"])
        self._before = fingerprints(self.course)
        os.environ["GRADING_SECRET"] = self.token
        return self

    def __exit__(self, *_) -> None:
        os.environ.pop("GRADING_SECRET", None)
        self._bystander.kill()
        self._bystander.wait()
        self._server.close()
        for path in self._marks():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def facts(self) -> dict[str, str]:
        return {"ROOT_FOLDER": str(self.course), "PLACE": str(self.outside / self.token), "TOKEN": self.token, "PORT": str(self._server.getsockname()[1]), "BYSTANDER": str(self._bystander.pid)}

    def traces(self) -> list[str]:
        found = [f"a mark: {path.name}" for path in self._marks()]
        after = fingerprints(self.course)
        found += [f"changed: {name}" for name in sorted(self._before.keys() | after.keys()) if self._before.get(name) != after.get(name)]
        found += ["the other process is gone"] if self._bystander.poll() is not None else []
        try:
            self._server.accept()[0].close()
            found.append("a call arrived")
        except BlockingIOError:
            pass
        return found

    def _marks(self) -> list[Path]:
        return [path for folder in (self.outside, *_SHARED) if folder.is_dir() for path in folder.glob(f"*{self.token}*")]


def fingerprints(folder: Path) -> dict[str, str]:
    """Name -> what is in it and who may read it, for every file below."""
    return {str(path.relative_to(folder)): f"{path.lstat().st_mode} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sorted(folder.rglob("*")) if path.is_file()}


def times(folders: list[Path]) -> dict[str, tuple[int, int]]:
    """Name -> (size, time of the last change) for every file below, and the names of empty folders."""
    found = {}
    for folder in folders:
        for place, _, names in os.walk(folder, onerror=lambda error: None):
            for path in (place, *(os.path.join(place, name) for name in names)):
                try:
                    about = os.lstat(path)
                except OSError:  # gone meanwhile
                    continue
                found[path] = (about.st_size, about.st_mtime_ns) if path != place else (0, 0)
    return found
