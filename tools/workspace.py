"""The student's own copies in `work/`, which git ignores, and how a new version of the course reaches them.

A notebook counts as changed when its cells' sources differ from every version that was handed out; outputs, execution counts, metadata
and empty cells do not count, so opening or running a notebook does not change it. What is not changed is replaced, and if it had been
run, the run is kept in `work/replaced/`. What is changed is never touched: the new version is put beside it as NAME.new.ipynb. What is
missing is brought back. Copies come without outputs: the reader predicts, then runs; the built ones with theirs stay in the course.
Standard library only.
"""
from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from tools.writing import write_whole

FOLDERS = ("notebooks", "exercises", "reference")
MANIFEST = ".handed-out.json"  # name -> {"versions": fingerprints handed out, oldest first; "bytes": hash of the copy as written last}
KEPT = "replaced"


def bring(root: Path, *, renew: bool) -> list[str]:
    """Copy what is missing into root/work and, with `renew`, new versions of what is there. Returns the lines worth saying."""
    work = root / "work"
    work.mkdir(exist_ok=True)
    manifest = _read_manifest(work)
    lines, waiting = [], 0
    sources = course_files(root)
    for source in sources:
        name = source.relative_to(root).as_posix()
        entry = manifest.setdefault(name, {"versions": [], "bytes": ""})
        todo = compare(source, work / name, entry["versions"])
        if todo in ("replace", "offer") and not renew:
            waiting += 1
        elif todo != "nothing":
            lines += _ACTIONS[todo](source, work, name, entry)
    if renew:
        for name in sorted(set(manifest) - {source.relative_to(root).as_posix() for source in sources}):
            del manifest[name]
            lines.append(f"no longer in the course, your copy stays: {name}")
    _write_manifest(work, manifest)
    if waiting:
        lines.append(f"{waiting} of your notebooks have a new version: the verb  update  brings it.")
    return lines


def course_files(root: Path) -> list[Path]:
    """The files that students get, without hidden ones."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file()]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def compare(source: Path, copy: Path, versions: list[str]) -> str:
    """What to do about one file: "copy", "restore", "adopt", "replace", "offer" or "nothing"."""
    if not copy.exists():
        return "restore" if versions else "copy"
    new, old = fingerprint(source), fingerprint(copy)
    if old == new:
        return "nothing" if versions and versions[-1] == new else "adopt"
    if old in versions:
        return "replace"
    return "nothing" if versions and versions[-1] == new else "offer"


def fingerprint(path: Path) -> str:
    """Hash of what a person wrote: the sources of a notebook's cells that are not empty; of any other file, its bytes."""
    content = path.read_bytes()
    try:
        cells = json.loads(content)["cells"] if path.suffix == ".ipynb" else None
        if cells is not None:
            written = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
            content = json.dumps([cell for cell in written if cell[1].strip()]).encode()
    except (ValueError, KeyError, TypeError):
        pass  # not a notebook after all: its bytes decide
    return hashlib.sha256(content).hexdigest()


def _copy(source: Path, work: Path, name: str, entry: dict) -> list[str]:
    _write(source, work / name, entry)
    return []


def _restore(source: Path, work: Path, name: str, entry: dict) -> list[str]:
    _write(source, work / name, entry)
    return [f"brought back, it was missing: {name}"]


def _adopt(source: Path, work: Path, name: str, entry: dict) -> list[str]:
    """The student's copy says what the new version says: nothing to write."""
    entry.update(versions=[*entry["versions"], fingerprint(source)], bytes="")
    return []


def _replace(source: Path, work: Path, name: str, entry: dict) -> list[str]:
    copy, kept = work / name, ""
    if _hash(copy) != entry["bytes"]:
        place = free_name(work / KEPT / name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy, place)
        kept = f" (your run of the old one: {place.relative_to(work).as_posix()})"
    _write(source, copy, entry)
    return [f"new version: {name}{kept}"]


def _offer(source: Path, work: Path, name: str, entry: dict) -> list[str]:
    copy = work / name
    place = copy.with_name(f"{copy.stem}.new{copy.suffix}")
    if place.exists() and fingerprint(place) not in entry["versions"]:
        place = free_name(place)  # the student works in it
    _write(source, place, entry)
    return [f"you changed {name}; the new version lies beside it: {place.name}"]


_ACTIONS = {"copy": _copy, "restore": _restore, "adopt": _adopt, "replace": _replace, "offer": _offer}


def free_name(path: Path) -> Path:
    """`path`, or the first of NAME-2, NAME-3, ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _write(source: Path, place: Path, entry: dict) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, without_outputs(source))
    entry.update(versions=[*entry["versions"], fingerprint(source)], bytes=_hash(place))


def without_outputs(path: Path) -> bytes:
    """A notebook's content with no outputs and no execution counts; any other file as it is."""
    content = path.read_bytes()
    try:
        notebook = json.loads(content) if path.suffix == ".ipynb" else {}
        code = [cell for cell in notebook.get("cells", []) if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return content  # not a notebook after all
    if not any(cell.get("outputs") or cell.get("execution_count") for cell in code):
        return content
    for cell in code:
        cell.update(outputs=[], execution_count=None)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_manifest(work: Path) -> dict[str, dict]:
    """Empty when missing or damaged: then no copy counts as unchanged, and none is replaced."""
    try:
        return {name: {"versions": list(entry["versions"]), "bytes": str(entry["bytes"])}
                for name, entry in json.loads((work / MANIFEST).read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_manifest(work: Path, manifest: dict[str, dict]) -> None:
    write_whole(work / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
