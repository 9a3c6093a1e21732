"""Read a notebook that somebody handed in, whatever state it is in, without running anything of it.

Outputs are dropped as they are read. What cannot be read is a `Trouble` with a sentence for the student; nothing else is raised.
"""
from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import NamedTuple

MAX_MB = 200        # of the file, outputs included
MAX_SOURCE = 2**20  # characters of one cell


class Trouble(ValueError):
    """Why a hand-in cannot be read, in words for the student."""


class Cell(NamedTuple):
    number: int     # from 1, as a reader counts
    kind: str       # code, markdown, raw
    source: str
    grade_id: str   # "" when lost


def read_cells(path: Path) -> list[Cell]:
    """The cells of a notebook file.  Raises Trouble alone."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise Trouble("this is no file, expected a notebook")
        if about.st_size > MAX_MB * 2**20:
            raise Trouble(f"the file has {about.st_size / 2**20:.0f} MB, more than {MAX_MB}; clear its outputs and hand it in again")
        found = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_without_outputs)
    except Trouble:
        raise
    except UnicodeDecodeError:
        raise Trouble("the file is no text, expected a notebook (.ipynb); was it renamed, or damaged on the way?") from None
    except (ValueError, RecursionError) as error:
        raise Trouble(f"the file is damaged and no notebook any more ({str(error)[:80]}); save it again in JupyterLab and look whether it opens") from None
    except (OSError, MemoryError) as error:
        raise Trouble(f"the file cannot be read ({type(error).__name__})") from None
    cells = found.get("cells") if isinstance(found, dict) else None
    if cells is None and isinstance(found, dict) and isinstance(found.get("worksheets"), list):  # notebooks before version 4
        cells = [cell for sheet in found["worksheets"] if isinstance(sheet, dict) for cell in sheet.get("cells", [])]
    if not isinstance(cells, list):
        raise Trouble("the file holds no cells, expected a notebook (.ipynb)")
    return [_cell(number, cell) for number, cell in enumerate(cells, 1) if isinstance(cell, dict)]


def _without_outputs(pairs: list[tuple]) -> dict:
    return {key: value for key, value in pairs if key not in ("outputs", "attachments", "widgets")}


def _cell(number: int, cell: dict) -> Cell:
    source = cell.get("source", cell.get("input", ""))
    source = "".join(filter(lambda line: isinstance(line, str), source)) if isinstance(source, list) else source if isinstance(source, str) else ""
    about = cell.get("metadata")
    about = about.get("nbgrader") if isinstance(about, dict) else None
    grade_id = about.get("grade_id") if isinstance(about, dict) else None
    return Cell(number, str(cell.get("cell_type", "code")), source if len(source) <= MAX_SOURCE else "", grade_id if isinstance(grade_id, str) else "")
