"""The private course: everything that `make private` writes, the same bytes for the same key; what was changed by hand is kept."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tools.exercises import leaks, release
from tools.sources import ROOT, METADATA, read_notebook, write_notebook

from . import bound, bug, codes, noise, priors, relative, stacks, tied, units
from .draw import Draw
from .page import notebook_of, rubric_of
from .place import open_folder
from .prove import faults_of_file, pruned
from .variant import Variant, module_text

TEMPLATES: dict[str, tuple[Callable[[Draw], Variant], ...]] = {
    bound.CHAPTER: bound.TEMPLATES, units.CHAPTER: (*units.TEMPLATES, *bug.TEMPLATES), stacks.CHAPTER: (*stacks.TEMPLATES, *tied.TEMPLATES),
    priors.CHAPTER: (*priors.TEMPLATES, *noise.TEMPLATES), codes.CHAPTER: codes.TEMPLATES, relative.CHAPTER: relative.TEMPLATES,
}
MADE = "made.json"  # what was written, to tell what was changed by hand
_TRIES = 50


class Report(NamedTuple):
    written: list[str]   # files, from the private folder
    kept: list[str]      # files that were changed by hand
    faults: list[str]


def variants_of(chapter: str, key: str, *, unlike: dict[str, dict] | None = None) -> list[Variant]:
    """The variants that a key makes of a chapter; with `unlike` (exercise -> choices of an earlier term) none has the same choices again."""
    if chapter not in TEMPLATES:
        raise ValueError(f"variants_of: no templates for {chapter!r}, expected one of {', '.join(TEMPLATES)}; leave the others to public practice")
    return [_one(template, f"{chapter}/{template.__name__}", key, unlike or {}) for template in TEMPLATES[chapter]]


def _one(template: Callable[[Draw], Variant], name: str, key: str, unlike: dict[str, dict]) -> Variant:
    for attempt in range(_TRIES):
        variant = template(Draw(key, name, attempt))
        if unlike.get(variant.id) != variant.structure:
            try:
                return pruned(variant)
            except ValueError:  # too few wrong answers are wrong here: another draw
                continue
    raise ValueError(f"variants_of: {_TRIES} draws gave no usable variant of {name}, expected one; change the key")


def make(folder: Path, *, chapters: tuple[str, ...] = (), unlike: Path | None = None, afresh: bool = False) -> Report:
    """Write the private course into `folder` (from place.private_folder). Files changed by hand stay unless `afresh`; exercises are released from the solutions as they are now."""
    old_mask = os.umask(0o077)
    try:
        key, made = open_folder(folder), _made(folder)
        made["unlike"] = earlier = _made(unlike)["choices"] if unlike else made.get("unlike", {})
        written, kept, faults = [], [], []

        def put(name: str, text: str) -> None:
            file = folder / name
            if not afresh and file.exists() and _sum(file) != made["files"].get(name):
                return kept.append(name)
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
                written.append(name)
            made["files"][name] = _sum(file)
        for chapter in chapters or tuple(TEMPLATES):
            variants = variants_of(chapter, key, unlike=earlier)
            made["choices"] |= {variant.id: variant.structure for variant in variants}
            put(f"checks/{chapter}.py", module_text(chapter, variants))
            put(f"solutions/{chapter}/{chapter}.ipynb", _notebook_text(notebook_of(chapter, variants)))
            put(f"rubrics/{chapter}.md", rubric_of(chapter, variants))
            faults += _release(folder, chapter) + faults_of_file(folder / "checks" / f"{chapter}.py")
        put("README.md", README)
        put("nbgrader_config.py", (ROOT / "nbgrader_config.py").read_text(encoding="utf-8"))
        (folder / MADE).write_text(json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        return Report(written, kept, faults)
    finally:
        os.umask(old_mask)


def check(folder: Path) -> list[str]:
    """What is wrong in a private course, changed by hand or not: answers against proofs, releases against solutions. No word of an answer is in it."""
    found = []
    files = sorted((folder / "checks").glob("*.py"))
    if not files:
        return ["there is no file in checks/: type make private"]
    for file in files:
        found += faults_of_file(file)
        solution, released = (folder / kind / file.stem / f"{file.stem}.ipynb" for kind in ("solutions", "exercises"))
        if not solution.is_file() or not released.is_file():
            found.append(f"{file.stem}: its notebook is missing in solutions/ or exercises/")
            continue
        if _leaks(read_notebook(solution), read_notebook(released)):
            found.append(f"exercises/{file.stem}: holds something of the solution's hidden parts")
        if release(file.stem, read_notebook(solution)) != read_notebook(released):
            found.append(f"exercises/{file.stem}: is not what its solution releases: type make private")
    mode = (folder / "key").stat().st_mode & 0o077 if os.name == "posix" else 0
    return found + (["key: others may read it: chmod 600"] if mode else [])


def _release(folder: Path, chapter: str) -> list[str]:
    solution = read_notebook(folder / "solutions" / chapter / f"{chapter}.ipynb")
    released = release(chapter, solution)
    if _leaks(solution, released):
        return [f"exercises/{chapter}: would hold something of the solution's hidden parts, and was not written"]
    write_notebook(released, folder / "exercises" / chapter / f"{chapter}.ipynb")
    return []


def _leaks(solution, released) -> list[str]:
    """A function that is handed out with mistakes in it shares its other lines with the answer: they are no leak."""
    return [leak for leak in leaks(solution, released) if not leak.startswith("cell given-")]


def _notebook_text(notebook) -> str:
    import nbformat
    notebook.metadata = nbformat.from_dict(METADATA)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _made(folder: Path | None) -> dict:
    file = folder / MADE if folder else None
    if file and file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    if folder and not folder.is_dir():
        raise ValueError("make: the folder to be unlike does not exist, expected an earlier private course; name its folder")
    return {"format": 1, "files": {}, "choices": {}}


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


README = """# A private course

Made by `make private`. Keep this folder to yourself: back it up, never commit it, never put it where students' code runs.

| here | what it is |
|:--|:--|
| `key` | decides everything: the same key makes the same course. Whoever has it can make your answers |
| `checks/CHAPTER.py` | right answers, their proofs, inputs, wrong answers with what to say |
| `solutions/CHAPTER/` | nbgrader's source notebook, with answers and hidden tests |
| `exercises/CHAPTER/` | what students get; hand out this folder alone |
| `rubrics/CHAPTER.md` | for whoever marks: right answers, known mistakes, the derivation's points |
| `made.json` | what was made: files changed by hand are recognised and kept; the choices, for `--unlike` |

Hand-ins go to `submitted/STUDENT/CHAPTER/CHAPTER.ipynb` in this folder; `make grade ARGS="--root THIS_FOLDER"`, with DEEPGEN_PRIVATE naming it too, grades them.

To change something by hand: edit `checks/CHAPTER.py` and `solutions/CHAPTER/CHAPTER.ipynb` (the names of functions must stay the same in both), then
`make private` (releases anew, keeps your changes) and `make private ARGS=--check` (proves every answer again, looks for leaks).
A new term: a new folder, `make private ARGS="--unlike THIS_FOLDER"`.
"""
