"""A PostgreSQL server of a test's own: made by initdb in a temporary folder, reached through a socket there alone, gone at the end."""
from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

with contextlib.suppress(ImportError):  # not on Windows
    import pwd

DEBIAN = "/usr/lib/postgresql"  # where Debian keeps the server's programs, one folder a version


def missing() -> str:
    """Why no server can be started here; "" when one can."""
    if os.name != "posix":
        return "PostgreSQL is tried on POSIX systems alone"
    if not _program("initdb") or not _program("postgres"):
        return "PostgreSQL's server is not installed"
    return "" if os.geteuid() or _somebody() else "PostgreSQL refuses root, and there is no user nobody"


@contextlib.contextmanager
def server() -> Iterator[Callable[[str], str]]:
    """A function that makes an empty database of a new name: -> SQLAlchemy's address of it, as nbgrader's db_url takes it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has 107 characters at most
    user = {} if os.geteuid() else {"user": _somebody(), "group": pwd.getpwnam(_somebody()).pw_gid, "extra_groups": []}
    if user:
        shutil.chown(folder, user["user"], user["group"])
    data = folder / "data"
    quiet = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, **user}
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB"
    try:
        _do([_program("initdb"), "-D", data, "-U", "teacher", "-A", "trust", "-N", "-E", "UTF8"], quiet)
        _do([_program("pg_ctl"), "-D", data, "-l", folder / "log", "-w", "-t", "120", "-o", options, "start"], quiet | {"capture_output": False, "stdout": subprocess.DEVNULL})
        yield partial(_database, folder=folder, options=quiet)
    finally:
        subprocess.run([_program("pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder, ignore_errors=True)


def _database(name: str, folder: Path, options: dict) -> str:
    _do([_program("createdb"), "-h", folder, "-U", "teacher", name], options)
    return f"postgresql+psycopg://teacher@/{name}?host={folder}"


def _do(command: list, options: dict) -> None:
    done = subprocess.run([str(word) for word in command], timeout=240, **options)
    assert done.returncode == 0, f"{Path(command[0]).name}: {done.stderr}"


def _program(name: str) -> str:
    versions = sorted(Path(DEBIAN).glob("*/bin"), key=lambda path: (len(path.parent.name), path.parent.name), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, versions), os.environ["PATH"]])) or ""


def _somebody() -> str:
    return next((user.pw_name for user in pwd.getpwall() if user.pw_name in ("nobody", "postgres")), "")
