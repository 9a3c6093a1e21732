"""What students do to the cells of a notebook, and files that are no notebooks any more."""
from __future__ import annotations

import copy

import nbformat


def new(code: str, **about) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(code)
    cell.metadata.update(about)
    return cell


def deleted(notebook, cell, name):
    notebook.cells.remove(cell)


def doubled(notebook, cell, name):
    notebook.cells.insert(notebook.cells.index(cell) + 1, copy.deepcopy(cell))


def start_pasted_below(notebook, cell, name):
    notebook.cells.insert(notebook.cells.index(cell) + 1, new(f"def {name}(*a):\n    raise NotImplementedError()", nbgrader=cell.metadata.nbgrader))


def wrong_above(notebook, cell, name):
    notebook.cells.insert(notebook.cells.index(cell), new(f"def {name}(*a):\n    return 0", nbgrader=cell.metadata.nbgrader))


def wrong_below(notebook, cell, name):
    notebook.cells.insert(notebook.cells.index(cell) + 1, new(f"def {name}(*a):\n    return 0", nbgrader=cell.metadata.nbgrader))


def retyped(notebook, cell, name):
    """The start is untouched, the answer stands in a new cell at the end."""
    notebook.cells.append(new(cell.source))
    cell.source = f"def {name}(*a):\n    raise NotImplementedError()"


def metadata_lost(notebook, cell, name):
    for other in notebook.cells:
        other.metadata.clear()


def moved(notebook, cell, name):
    notebook.cells.reverse()


def split(notebook, cell, name):
    """The function's work is done by another one, in a cell far below."""
    notebook.cells.append(new(cell.source.replace(f"def {name}(", "def one_step(")))
    cell.source = f"def {name}(*a):\n    return one_step(*a)"


def all_in_one(notebook, cell, name):
    """Every cell of code pasted into one, without its metadata."""
    code = "\n\n".join(other.source for other in notebook.cells if other.cell_type == "code")
    notebook.cells = [new(code)]


def set_up_deleted(notebook, cell, name):
    notebook.cells = [other for other in notebook.cells if "from deepgen_lib import checks" not in other.source]


def became_text(notebook, cell, name):
    notebook.cells[notebook.cells.index(cell)] = nbformat.v4.new_raw_cell(cell.source)


def became_prose(notebook, cell, name):
    notebook.cells[notebook.cells.index(cell)] = nbformat.v4.new_markdown_cell(cell.source)


def checks_deleted(notebook, cell, name):
    notebook.cells = [other for other in notebook.cells if not other.source.startswith("checks.")]


def with_magics(notebook, cell, name):
    cell.source = f"%matplotlib inline\n!ls\n{cell.source}"


def failing_neighbours(notebook, cell, name):
    notebook.cells[:0] = [new("1 / 0"), new("while True: pass"), new("this is no Python"), new("import sys; sys.exit()")]
    notebook.cells.append(new("import torch\ntorch.exp = None"))


def fifty_megabytes(notebook, cell, name):
    cell.outputs = [nbformat.v4.new_output("stream", text="x" * (50 * 2**20))]


def seventy_thousand_outputs(notebook, cell, name):
    cell.outputs = [{"output_type": "stream", "name": "stdout", "text": str(number)} for number in range(70_000)]


EDITS = {  # name: (what is done, whether the answer still counts)
    "deleted": (deleted, False), "doubled": (doubled, True), "start pasted below": (start_pasted_below, True), "wrong above": (wrong_above, True),
    "wrong below": (wrong_below, False), "retyped": (retyped, True), "metadata lost": (metadata_lost, True), "moved": (moved, True), "split": (split, True),
    "all in one": (all_in_one, True), "set-up deleted": (set_up_deleted, True), "became raw text": (became_text, True), "became prose": (became_prose, True),
    "checks deleted": (checks_deleted, True), "with magics": (with_magics, True), "failing neighbours": (failing_neighbours, True),
    "50 MB of output": (fifty_megabytes, True), "70,000 outputs": (seventy_thousand_outputs, True),
}


def damaged(notebook: bytes) -> list[bytes]:
    """Files that hold no notebook; `notebook` is a whole one."""
    return [b"", b"not json", notebook[:len(notebook) // 2], b"\x89PNG\r\n\x1a\n\xff\xfe", b"PK\x03\x04" + bytes(range(256)), b"[]", b"null", b'{"cells": 3}', b"[" * 10**5, notebook.decode().encode("utf-16")]
