"""From the text that is edited (percent .py in source/) to the inputs of notebooks: cells, ids, metadata. Nothing is executed here.

    source/lectures/STEM.py   -> notebooks/STEM.ipynb
    source/solutions/STEM.py  -> solutions/STEM/STEM.ipynb
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
from nbformat import NotebookNode

from tools.writing import write_whole

ROOT = Path(__file__).resolve().parents[1]
METADATA = {  # of every built notebook: no pairing with the source, no version of the machine that built it
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}
CELL_METADATA = {"tags", "nbgrader", "jupyter", "editable", "deletable"}
CLAIM_ID = r"[A-Z]\d+[a-z]?"
NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
TAG = re.compile("|".join([
    r"label-[a-z0-9][a-z0-9-]*",                                     # becomes the cell's id
    rf"(?:claim|planted|picture|exercise)-{CLAIM_ID}",               # the ledger's
    rf"[ra]tol-{NUMBER}",                                            # how closely numbers must agree
    r"nbval-(?:ignore-output|check-output|skip)|raises-exception",   # nbval's own
    r"hide-(?:input|output|cell)",                                   # for viewers
]))


class Source(NamedTuple):
    """One notebook's text and where its built form lies."""
    kind: str     # "lectures" or "solutions"
    stem: str     # "01_gibbs_bound"
    text: Path
    built: Path


def find_sources(root: Path = ROOT, *, kinds: tuple[str, ...] = ("lectures", "solutions")) -> list[Source]:
    """Every source notebook, by kind, then by chapter."""
    return [Source(kind, text.stem, text, built_path(root, kind, text.stem))
            for kind in kinds for text in sorted((root / "source" / kind).glob("*.py"))]


def built_path(root: Path, kind: str, stem: str) -> Path:
    """Where the notebook of a kind (lectures, solutions, exercises) and a chapter lies."""
    return root / "notebooks" / f"{stem}.ipynb" if kind == "lectures" else root / kind / stem / f"{stem}.ipynb"


def read_inputs(text: Path) -> NotebookNode:
    """The notebook of one source file, not executed: its cells with stable ids, tags and nbgrader's marks.

    A cell's id is its label (tag label-ID), else its nbgrader grade_id, else chapter and position.
    Raises ValueError for an unknown tag or cell option and for an id used twice, naming the cell.
    """
    cells = []
    for position, cell in enumerate(jupytext.reads(text.read_text(encoding="utf-8"), fmt="py:percent").cells, start=1):
        where = f"{text.name}, cell {position} ({cell.source.strip()[:40]!r})"
        if cell.cell_type not in ("markdown", "code"):
            raise ValueError(f"read_inputs: {where} is a {cell.cell_type} cell, expected markdown or code")
        metadata = _checked_metadata(cell.metadata, where)
        new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}[cell.cell_type]
        cell_id = _take_label(metadata) or metadata.get("nbgrader", {}).get("grade_id") or f"{text.stem.replace('_', '-')}-{position:03d}"
        cells.append(new(cell.source, id=cell_id, metadata=metadata))
    ids = [cell.id for cell in cells]
    twice = sorted({cell_id for cell_id in ids if ids.count(cell_id) > 1})
    if twice:
        raise ValueError(f"read_inputs: {text.name} uses the cell id {twice[0]!r} more than once; give each cell its own label or grade_id")
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(METADATA))
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def read_notebook(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write one built notebook, always in the same form; a file that would not change is left alone."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook).rstrip("\n") + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text)


def tags_of(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _checked_metadata(metadata: dict, where: str) -> NotebookNode:
    metadata = {key: value for key, value in metadata.items() if key != "lines_to_next_cell"}  # jupytext's own, about blank lines
    unknown = set(metadata) - CELL_METADATA
    if unknown:
        raise ValueError(f"read_inputs: {where} has the option {sorted(unknown)[0]!r}, expected {', '.join(sorted(CELL_METADATA))}")
    for tag in metadata.get("tags", []):
        if not TAG.fullmatch(tag):
            raise ValueError(f"read_inputs: {where} has the tag {tag!r}, which nothing reads; expected one like label-x, claim-B1, "
                             "planted-B1, picture-B1, exercise-B1, rtol-0.05, atol-0.1, nbval-ignore-output (see TAG in tools/sources.py)")
    return nbformat.from_dict(metadata)


def _take_label(metadata: dict) -> str | None:
    labels = [tag for tag in metadata.get("tags", []) if tag.startswith("label-")]
    if not labels:
        return None
    metadata["tags"] = [tag for tag in metadata["tags"] if tag not in labels]
    if not metadata["tags"]:
        del metadata["tags"]
    return labels[0].removeprefix("label-")
