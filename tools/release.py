"""What students get of one chapter or of all: exercises/CHAPTER/ made anew from source/solutions, and one zip of these folders in release/.

    python -m tools.release                   every chapter, release/deepgen.zip
    python -m tools.release 01_gibbs_bound    this one, release/deepgen-01_gibbs_bound.zip; the beginning of its name is enough

The zip is read back and searched for everything that a student must not see before it gets its name: no zip with a leak is ever there.
Its bytes depend on what is in it alone, so two releases of one version are the same file. Your own files beside a notebook come along.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.build import build
from tools.exercises import leaks
from tools.sources import ROOT, find_sources, read_inputs

READ_ME = "READ_ME.txt"
WORDS = """Exercises of the course deepgen.

1. Put the folders of this zip into work/exercises/ of your copy of the course, in the place of those with the same names.
2. Type  make lab  in the folder of the course, open a notebook, and write your answers where it says "your answer here".
3. Hand in the notebook under its own name. Do not delete cells; new cells of your own are fine.
"""
OPAQUE = {".7z", ".bz2", ".gz", ".pickle", ".pkl", ".pt", ".pyc", ".rar", ".tar", ".xz", ".zip"}  # nobody can look into them line by line


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)  # another course, for tests
    options = parser.parse_args(arguments)
    try:
        archive = release_zip(options.root.resolve(), chapters=options.chapters)
    except ValueError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    with zipfile.ZipFile(archive) as released:
        print(f"released {len(released.namelist())} files: {archive.relative_to(options.root.resolve())}, {archive.stat().st_size / 1e3:.0f} kB")
    return 0


def release_zip(root: Path, *, chapters: list[str] = ()) -> Path:
    """Make the exercises and their zip.  Raises ValueError, and leaves no zip, when a chapter cannot be built or something leaks."""
    chosen = [source for source in find_sources(root, kinds=("solutions",)) if not chapters or source.stem.startswith(tuple(chapters))]
    failures = build(root, chapters=list(chapters), kinds=("exercises",))
    if not chosen:
        raise ValueError(f"release: {', '.join(chapters) or 'this course'} has no exercises")
    archive = root / "release" / f"{'-'.join(['deepgen', *(source.stem for source in chosen if chapters)])}.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.unlink(missing_ok=True)  # of an earlier release: after a leak there must be none
    if failures:
        raise ValueError(failures[0])
    draft = archive.with_suffix(".new")
    try:
        write_zip(draft, root / "exercises", [source.stem for source in chosen])
        found = leaks_of_zip(draft, {source.stem: read_inputs(source.text) for source in chosen})
        if found:
            raise ValueError(f"release: {found[0]}; a student must not read it. No zip was made")
        os.replace(draft, archive)
    finally:
        draft.unlink(missing_ok=True)
    return archive


def write_zip(archive: Path, exercises: Path, stems: list[str]) -> None:
    """The folders of these chapters, hidden files left out. Not compressed, in a fixed order with a fixed date: the same bytes everywhere."""
    files = {path.relative_to(exercises).as_posix(): path.read_bytes() for stem in stems for path in (exercises / stem).rglob("*") if path.is_file()}
    shown = {name: content for name, content in files.items() if not any(part.startswith(".") for part in name.split("/"))}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as written:
        for name, content in sorted((shown | {READ_ME: WORDS.encode()}).items()):
            about = zipfile.ZipInfo(name)  # its date is that of 1980
            about.create_system, about.external_attr = 3, 0o100644 << 16  # a plain file on a POSIX system, whatever this one is
            written.writestr(about, content)


def leaks_of_zip(archive: Path, solutions: dict[str, NotebookNode]) -> list[str]:
    """What the files in a zip give away of these chapters' solutions, in words; [] is good."""
    with zipfile.ZipFile(archive) as written:
        members = {name: written.read(name) for name in written.namelist()}
    found = [f"{stem}/{stem}.ipynb is missing" for stem in solutions if f"{stem}/{stem}.ipynb" not in members]
    for name, content in members.items():
        own = [solutions[stem] for stem in solutions if name.startswith(f"{stem}/")]
        try:
            notebook = _as_notebook(name, content)
        except ValueError as error:
            found.append(f"{name} cannot be searched for leaks: {error}")
            continue
        found += [f"{name}, {leak}" for solution in own or solutions.values() for leak in leaks(solution, notebook)]
    return found


def _as_notebook(name: str, content: bytes) -> NotebookNode:
    """A notebook as it is; of any other file, one whose only cell holds its text."""
    if Path(name).suffix in OPAQUE:
        raise ValueError(f"a file of kind {Path(name).suffix}; put its contents there as plain files")
    text = content.decode("utf-8", errors="replace")
    if not name.endswith(".ipynb"):
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_raw_cell(text, id="text")])
    try:
        notebook = nbformat.from_dict(json.loads(text))
        nbformat.validate(notebook)  # refuses what stands where no notebook has anything, and leaks would not look
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        raise ValueError(f"it is not a whole notebook ({str(error).splitlines()[0]})") from None
    for cell in notebook.cells:
        cell.source = "".join(cell.source)
    return notebook


if __name__ == "__main__":
    sys.exit(main())
