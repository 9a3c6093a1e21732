"""Where a private course may lie, and its key. Nothing here prints or returns what a message could give away."""
from __future__ import annotations

import os
import secrets
from pathlib import Path

from grading.sandbox import _python_folders
from tools.sources import ROOT

KEY = "key"
FOLDER = "DEEPGEN_PRIVATE"


def private_folder(path: str | Path | None = None, *, root: Path = ROOT) -> Path:
    """The private folder that DEEPGEN_PRIVATE (or `path`) names, by its real path.

    Raises ValueError where it lies in the checkout (by name or through links), holds the checkout, or can be read by students' code.
    """
    path = path if path is not None else os.environ.get(FOLDER)
    if not path:
        raise ValueError(f"private_folder: {FOLDER} is not set, expected a folder outside the repository; type: {FOLDER}=~/deepgen-private make private")
    named, real, root = Path(os.path.abspath(Path(path).expanduser())), Path(path).expanduser().resolve(), root.resolve()
    for place in (named, real):
        if _inside(place, root) or _inside(place, Path(os.path.abspath(ROOT if root == ROOT.resolve() else root))):
            raise ValueError(f"private_folder: {FOLDER} lies in the repository, expected a folder outside it, where nothing can be committed by accident; name another one")
    if _inside(root, real):
        raise ValueError(f"private_folder: {FOLDER} holds the repository, expected a folder of its own; name another one, such as ~/deepgen-private")
    if any(_inside(real, Path(folder).resolve()) for folder in _python_folders()):
        raise ValueError(f"private_folder: {FOLDER} lies in a folder of Python or of the system, which students' code may read while it is graded; name one in your home")
    if real.exists() and not real.is_dir():
        raise ValueError(f"private_folder: {FOLDER} is a file, expected a folder; name another one")
    return real


def open_folder(folder: Path) -> str:
    """Make the folder where it is missing, close it to others, and give its key, made where there is none.  Raises ValueError for a folder of something else."""
    file = folder / KEY
    if folder.exists() and any(folder.iterdir()) and not file.is_file():
        raise ValueError(f"open_folder: {FOLDER} is not empty and holds no key, expected a new folder or one that make private has made; name another one")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not file.exists():
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_hex(32) + "\n")
    file.chmod(0o600)
    key = file.read_text(encoding="utf-8").strip()
    if len(key) < 16:
        raise ValueError(f"open_folder: the key in {FOLDER} has fewer than 16 characters, expected a long random text; remove the file, and another one is made")
    return key


def grading_key(folder: Path) -> str:
    """What decides the inputs when hand-ins of this private course are graded: made from its key, and not that key itself."""
    import hashlib
    return hashlib.sha256(f"inputs of graded runs/{open_folder(folder)}".encode()).hexdigest()


def _inside(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
