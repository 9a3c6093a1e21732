"""The student's notebook, made from the solution by nbgrader: solution regions become stubs, hidden tests and outputs go.

The work is done in a temporary course, without a database, so nothing is left behind.
"""
from __future__ import annotations

import contextlib
import logging
import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from tools.sources import METADATA, ROOT, read_notebook, write_notebook

MARKS = tuple(f"{end} {region}" for region in ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME") for end in ("BEGIN", "END"))
MIN_SECRET = 12  # characters


def release(stem: str, solution: NotebookNode, *, root: Path = ROOT) -> NotebookNode:
    """What a student gets of a solution notebook (inputs suffice: it is not executed). Cell ids stay as they are."""
    from nbgrader.converters import GenerateAssignment  # slow to import
    from nbgrader.coursedir import CourseDirectory
    with tempfile.TemporaryDirectory() as course:
        config = course_config(Path(course), stem, root=root)
        config.SaveCells.enabled = False
        config.GenerateAssignment.no_database = True
        write_notebook(solution, Path(course) / "solutions" / stem / f"{stem}.ipynb")
        converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
        with _log() as (converter.log, said):
            try:
                converter.start()
            except Exception as error:  # nbgrader's own message points to its log
                raise RuntimeError(f"release: nbgrader refused {stem}: {_reason(said) or error}") from error
        released = read_notebook(Path(course) / "exercises" / stem / f"{stem}.ipynb")
    released.metadata = nbformat.from_dict(METADATA)
    return released


def course_config(course: Path, stem: str, *, root: Path = ROOT) -> Config:
    """The repository's nbgrader_config.py, for one chapter of a course that lies elsewhere."""
    config = Config()
    if (root / "nbgrader_config.py").exists():
        config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    folders = {"root": str(course), "source_directory": "solutions", "release_directory": "exercises", "assignment_id": stem}
    config.CourseDirectory.update(folders | {"db_url": f"sqlite:///{course / 'gradebook.db'}"})
    return config


def leaks(solution: NotebookNode, released: NotebookNode) -> list[str]:
    """Lines of the solution's hidden regions that a student could read in the released notebook, outputs, and anything left of the regions' marks."""
    readable = [(cell.id, _squeeze(text)) for cell in released.cells for text in _texts(cell)] + [("metadata", _squeeze(text)) for text in _strings(released.metadata)]
    ran = [cell.id for cell in released.cells if cell.get("outputs") or cell.get("execution_count") is not None]
    found = [f"cell {cell_id} holds what a run left" for cell_id in ran]
    found += [f"cell {cell_id} holds the mark {mark!r}" for mark in MARKS for cell_id, text in readable if mark in text]
    for line in secret_lines(solution):
        found += [f"cell {cell_id} holds the solution's line {line!r}" for cell_id, text in readable if line in text]
    return found


def _texts(cell: NotebookNode) -> list[str]:
    """Everything that a cell says."""
    return [cell.source, *_strings([cell.metadata, cell.get("outputs", []), cell.get("attachments", {})])]


def _strings(part) -> list[str]:
    if isinstance(part, dict):
        return [text for item in [*part, *part.values()] for text in _strings(item)]
    return [part] if isinstance(part, str) else [text for item in part for text in _strings(item)] if isinstance(part, list) else []


def secret_lines(solution: NotebookNode) -> list[str]:
    """The lines inside solution and hidden-test regions that give something away; shorter ones ("else:", "return h") could stand anywhere."""
    lines, inside = [], False
    for line in (line for cell in solution.cells for line in cell.source.splitlines()):
        if any(mark in line for mark in MARKS):
            inside = "BEGIN" in line
        elif inside and len(_squeeze(line)) >= MIN_SECRET:
            lines.append(_squeeze(line))
    return lines


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@contextlib.contextmanager
def _log():
    """A logger that prints nothing, and the list of what it was told of errors."""
    logger, said = logging.Logger("nbgrader"), []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(handler)
    yield logger, said


def _reason(said: list[str]) -> str:
    """The last line of the traceback that nbgrader logged."""
    tracebacks = [text for text in said if text.startswith("Traceback")]
    return tracebacks[-1].strip().splitlines()[-1] if tracebacks else ""
