"""The frames of every slider, drawn beforehand: a built notebook is run once more, and each explore(...) in it is swept by its own render.

Kept in FOLDER/STEM-KEY, where KEY is a hash of the built notebook: what did not change is not drawn again.
"""
from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.running import execute
from tools.site.outputs import frames_script
from tools.site.sweeper import MARK
from tools.sources import ROOT, built_path, code_cells, read_notebook

FORMAT = b"1"  # another number draws everything anew
DONE = "frames.json"



def frames_of(stems: list[str], folder: Path, *, root: Path = ROOT, jobs: int = 1) -> tuple[dict[str, dict], list[str]]:
    """{chapter: {cell id: frames, "": name of their folder}}, drawn where they are missing; and a line for each chapter that failed."""
    tasks = [(stem, folder, root) for stem in stems]
    if jobs == 1 or len(tasks) < 2:
        found = list(map(_chapter, tasks))
    else:
        with ProcessPoolExecutor(max_workers=min(jobs, len(tasks))) as pool:
            found = list(pool.map(_chapter, tasks))
    return {stem: frames for stem, frames in zip(stems, found) if isinstance(frames, dict)}, [failure for failure in found if isinstance(failure, str)]


def key(path: Path) -> str:
    """What the frames of a notebook are kept under."""
    return hashlib.sha256(FORMAT + path.read_bytes()).hexdigest()[:12]


def _chapter(task: tuple[str, Path, Path]) -> dict | str:
    """A chapter's frames, or why there are none."""
    stem, folder, root = task
    built = built_path(root, "lectures", stem)
    place = folder / f"{stem}-{key(built)}"
    if not (place / DONE).exists():
        _forget(folder, stem)
        start, draft = time.perf_counter(), folder / f".{stem}"
        draft.mkdir(parents=True)
        try:
            found = _drawn(read_notebook(built), draft, built.parent)
        except (ValueError, RuntimeError) as error:
            shutil.rmtree(draft)
            return f"no frames of {stem}: {error}"
        (draft / DONE).write_text(json.dumps(found), encoding="utf-8")
        draft.rename(place)
        print(f"drawn   {sum(len(frames['files']) for frames in found.values())} frames of {stem} in {time.perf_counter() - start:.0f} s", flush=True)
    return json.loads((place / DONE).read_text(encoding="utf-8")) | {"": place.name}


def _forget(folder: Path, stem: str) -> None:
    """Remove the frames of other versions of a chapter, and those of an interrupted run."""
    for old in [*folder.glob(f"{stem}-*"), folder / f".{stem}"]:
        shutil.rmtree(old, ignore_errors=True)


def _drawn(notebook: NotebookNode, folder: Path, where: Path) -> dict[str, dict]:
    """Run the notebook with the sweeper in its kernel; {cell id: frames}, each with its script in `folder`."""
    before = {cell.id: list(_sliders(cell)) for cell in code_cells(notebook)}
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    install = nbformat.v4.new_code_cell(f"from tools.site.sweeper import install\ninstall({str(folder.resolve())!r})", id="site-sweeper")
    notebook.cells.insert(0, install)
    execute(notebook, where)
    found = {}
    for cell in code_cells(notebook):
        numbers = [output.data[MARK] for output in cell.outputs if MARK in output.get("data", {})]
        if list(_sliders(cell)) != before.get(cell.id, []):
            raise ValueError(f"cell {cell.id} shows other sliders than the built notebook; build it again")
        if len(numbers) > 1:
            raise ValueError(f"cell {cell.id} shows {len(numbers)} sliders' pictures, expected one; give each a cell of its own")
        for number in numbers:
            frames = {"id": cell.id} | json.loads((folder / f"{number}.json").read_text(encoding="utf-8"))
            (folder / f"{number}.json").unlink()
            (folder / f"{cell.id}.js").write_text(frames_script(cell.id, frames), encoding="utf-8")
            found[cell.id] = frames
    return found


def _sliders(cell: NotebookNode) -> Iterator[str]:
    """The lines in which a cell's outputs say what can be moved."""
    for output in cell.outputs:
        for line in output.get("data", {}).get("text/plain", "").splitlines():
            if line.startswith("Slider "):
                yield line
