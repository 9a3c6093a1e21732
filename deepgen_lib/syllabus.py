"""What there is to do in each chapter, read from the course's own notebooks: claims to run, predictions to make, exercises to solve.

Nothing is listed twice: a chapter that gains an exercise counts it from then on. Standard library only.
"""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

COURSE = Path(__file__).resolve().parents[1]
_CLAIM = re.compile(r'\bclaim\(\s*"([^"]+)"')
_QUESTION = re.compile(r'\b(?:predict|predict_number|rank)\(\s*"([^"]+)"')
_CHECK = re.compile(r"check-(\d+)-(\d+)")


class Chapter(NamedTuple):
    """One chapter, by the keys under which record.py keeps what was done."""
    stem: str                     # "01_gibbs_bound"
    title: str                    # "1 · The Gibbs bound"
    claims: tuple[str, ...]       # names given to claim(...)
    predictions: tuple[str, ...]  # keys given to predict, predict_number and rank
    exercises: tuple[str, ...]    # "1.1", ...

    @property
    def n_steps(self) -> int:
        """A chapter is read when each claim was run and each answer shown."""
        return len(self.claims) + len(self.predictions)


def chapters_in(course: Path = COURSE) -> list[Chapter]:
    """Every chapter whose lecture lies in `course`/notebooks, in order; exercises are those of its notebook and of its exercises' notebook."""
    return [_chapter(path, course) for path in sorted((course / "notebooks").glob("[0-9][0-9]_*.ipynb")) if re.fullmatch(r"\d\d_\w+", path.stem)]


def _chapter(path: Path, course: Path) -> Chapter:
    cells = _cells(path)
    code = "\n".join(source for kind, _, source in cells if kind == "code")
    heading = next((source for kind, _, source in cells if kind == "markdown" and source.startswith("# ")), f"# {path.stem}")
    checks = [_CHECK.fullmatch(name) for _, name, _ in cells + _cells(course / "exercises" / path.stem / path.name)]
    return Chapter(path.stem, heading.splitlines()[0].removeprefix("# ").strip(), _unique(_CLAIM.findall(code)), _unique(_QUESTION.findall(code)),
                   _unique(f"{int(found[1])}.{int(found[2])}" for found in checks if found))


def _unique(names) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _cells(path: Path) -> list[tuple[str, str, str]]:
    """(kind, name, source) of each cell; none where there is no notebook."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], cell["metadata"].get("nbgrader", {}).get("grade_id") or cell.get("id", ""), "".join(cell["source"])) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
