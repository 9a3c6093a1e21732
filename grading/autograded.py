"""The notebook that formgrader opens: autograded/STUDENT/CHAPTER/CHAPTER.ipynb, the student's own with nbgrader's names as released.

Nothing of it is run. Outputs are left out, but below each check stands what grading said. Cells that the student lost are put back
where they were, so that every score has its place. A file that cannot be read becomes the untouched notebook with a line that says so.
"""
from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from .assignment import Assignment
from .batch import written_text
from .notebook import Cell, Trouble, read_cells
from .record import HAND, Record, write_whole

MAX_ATTACHED = 10 * 2**20  # characters of pictures in one text cell, such as a photo of a derivation


class Opened(NamedTuple):
    """What formgrader is to open."""
    path: Path
    text: str
    stamp: str      # when it was handed in, "" when unknown
    changed: bool   # whether what a person grades is another than in the one before

    def write(self) -> None:
        write_whole(self.path, self.text)
        stamp = self.path.with_name("timestamp.txt")
        if self.stamp:
            write_whole(stamp, f"{self.stamp}\n")
        else:
            stamp.unlink(missing_ok=True)


def autograded_path(root: Path, record: Record) -> Path:
    return Path(root) / "autograded" / record.student / record.chapter / f"{record.chapter}.ipynb"


def autograded(root: Path, record: Record, handed_in: str, *, released: Path, assignment: Assignment) -> Opened:
    """Nothing is written yet: the gradebook must know of a change first."""
    path = autograded_path(root, record)
    notebook = json.loads(released.read_text(encoding="utf-8"))
    notebook["cells"] = _cells(record, handed_in, notebook["cells"], assignment)
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    before, now = (_texts(content, assignment) for content in (_read(path), text))
    return Opened(path, text, record.submitted_at, before is not None and before != now)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _texts(text: str, assignment: Assignment) -> list | None:
    """What stands in the cells for a person; None where there is no such notebook yet."""
    try:
        cells = [Cell(number, cell["cell_type"], "".join(cell["source"]), _name(cell)) for number, cell in enumerate(json.loads(text)["cells"], 1)]
    except (ValueError, KeyError, TypeError):
        return None
    return [written_text(cells, one) for one in assignment.written]


def _cells(record: Record, handed_in: str, released: list[dict], assignment: Assignment) -> list[dict]:
    names = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in released if "nbgrader" in cell["metadata"]}
    order, said = list(names), _said(record, assignment)
    own = _own_cells(handed_in, set(names), assignment)
    if own is None:
        return _numbered([_note(record.trouble or "The file cannot be read.")] + [_graded(cell, cell, said) for cell in released])
    cells, used = ([_note(record.trouble)] if record.trouble else []), {cell["grade_id"] for cell in own}
    cells += [_graded(_new(cell), names.get(cell["grade_id"]), said) for cell in own]
    for name in (name for name in order if name not in used):
        before = order[:order.index(name)]
        place = next((place for place in range(len(cells) - 1, -1, -1) if _name(cells[place]) in before), -1)
        cells.insert(place + 1, _graded(names[name], names[name], said))
    return _numbered(cells)


def _numbered(cells: list[dict]) -> list[dict]:
    """With new ids, as a student's may be double, or none."""
    for number, cell in enumerate(cells):
        cell["id"] = _name(cell) if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", _name(cell)) else f"cell-{number}"
    return cells


def _own_cells(handed_in: str, names: set[str], assignment: Assignment) -> list[dict] | None:
    """The student's cells without outputs; of several with one name the one that counts keeps it. None for a file that cannot be read."""
    try:
        cells = read_cells(Path(handed_in)) if handed_in else []
    except Trouble:
        return None
    if not cells:
        return None
    pictures = _attachments(Path(handed_in))
    counts = {one.grade_id: written_text(cells, one) for one in assignment.written}
    own, seen = [], set()
    for cell in cells:
        name = cell.grade_id if cell.grade_id in names and cell.grade_id not in seen and counts.get(cell.grade_id) in (None, "", cell.source.strip()) else ""
        seen |= {name} - {""}
        own.append({"kind": cell.kind if cell.kind in ("code", "markdown", "raw") else "raw", "source": cell.source, "grade_id": name, "pictures": pictures.get(cell.number)})
    return own


def _attachments(path: Path) -> dict[int, dict]:
    """Cell number -> pictures that belong to it. JSON alone is read."""
    def lean(pairs: list[tuple]) -> dict:
        return {key: value for key, value in pairs if key not in ("outputs", "widgets")}
    try:
        cells = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=lean)["cells"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return {}
    found = {number: cell.get("attachments") for number, cell in enumerate(cells, 1) if isinstance(cell, dict)}
    return {number: value for number, value in found.items() if isinstance(value, dict) and value and _are_pictures(value)}


def _are_pictures(value: dict) -> bool:
    plain = all(isinstance(kinds, dict) and all(isinstance(content, str) and kind.startswith("image/") and "svg" not in kind for kind, content in kinds.items()) for kinds in value.values())
    return plain and sum(len(content) for kinds in value.values() for content in kinds.values()) <= MAX_ATTACHED


def _new(cell: dict) -> dict:
    kind = cell["kind"]
    source = cell["source"].encode("utf-8", "backslashreplace").decode()
    return {"cell_type": kind, "metadata": {}, "source": source} | ({"execution_count": None, "outputs": []} if kind == "code" else {}) | ({"attachments": cell["pictures"]} if kind == "markdown" and cell["pictures"] else {})


def _graded(cell: dict, released: dict | None, said: dict[str, str]) -> dict:
    """With nbgrader's metadata as released, its kind too; and below a check what grading said."""
    if released is None:
        return cell
    about = released["metadata"]["nbgrader"] if "nbgrader" in released["metadata"] else None
    if about is None:
        return json.loads(json.dumps(cell))
    source = released["source"] if about.get("locked") or not about.get("solution") else cell["source"]
    new = {"cell_type": released["cell_type"], "metadata": json.loads(json.dumps(released["metadata"])), "source": "".join(source)}
    if released["cell_type"] == "code":
        words = said.get(about["grade_id"])
        new |= {"execution_count": None, "outputs": [{"name": "stdout", "output_type": "stream", "text": f"{words}\n"}] if words else []}
    elif cell.get("attachments"):
        new["attachments"] = cell["attachments"]
    return new


def _said(record: Record, assignment: Assignment) -> dict[str, str]:
    """grade_id of each check -> what grading said."""
    results = {result.exercise: result for result in record.results if result.part != HAND}
    found = {}
    for task in assignment.tasks:
        if result := results.get(task.exercise.id):
            lines = [f"{result.points:g} of {result.possible:g} points. {result.feedback}", *result.notes]
            found[task.check] = "\n".join(textwrap.fill(line, 110) for text in lines for line in text.split("\n"))
    return found


def _note(text: str) -> dict:
    lines = "\n".join(f"> {line}" for line in text.replace("<", "&lt;").split("\n"))
    return {"cell_type": "markdown", "metadata": {}, "source": f"> **Note of the grader**\n>\n{lines}"}


def _name(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")
