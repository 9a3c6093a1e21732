"""Help with an exercise: its hints, one more at each call, and its untouched start."""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from .engine import Exercise, find

_STEPS = ("nudge", "equation", "pseudo-code")
_NAMED = rf"(?i)^\*(?:{'|'.join(_STEPS)})\.\*\s*"  # a hint that begins with the name of its step
_shown: dict[str, int] = {}  # exercise id -> hints seen in this session


def hint(exercise_id: str, step: int | None = None) -> None:
    """Show the next of the three hints: nudge, equation, pseudo-code; `step` 1, 2 or 3 shows that one again.

    Raises ValueError for an id or a step that does not exist.
    """
    exercise = find(exercise_id)
    if step is not None and (isinstance(step, bool) or step not in (1, 2, 3)):
        raise ValueError(f"hint: got step {step!r}, expected 1 (nudge), 2 (equation) or 3 (pseudo-code); leave it out for the next one")
    number = step or _shown.get(exercise.id, 0) + 1
    if number > 3:
        return _say(f"{exercise.id}: that was the last hint. {_smaller(exercise)} "
                    f'`hint("{exercise.id}", 1)` shows the first hint again; `start_over("{exercise.id}")` gives you the untouched start.')
    if step is None:
        _shown[exercise.id] = number
    text = exercise.hints[number - 1].strip()
    _say(f"{exercise.id}, hint {number} of 3 ({_STEPS[number - 1]}): {re.sub(_NAMED, '', text)}")


def start_over(exercise_id: str) -> None:
    """Give the exercise's untouched start: in Jupyter as a new cell below this one, elsewhere in print.

    What you wrote stays where it is. Raises ValueError for an unknown id, FileNotFoundError when the released notebook is
    not there.
    """
    exercise = find(exercise_id)
    start = untouched_start(exercise)
    shell = _shell()
    if shell is not None and hasattr(shell, "kernel"):
        shell.set_next_input(start, replace=False)
        print(f"{exercise.id}: the untouched start is in the new cell below; what you wrote stays. Copy it into your answer's cell if you like it better.")
    else:
        print(start)


def untouched_start(exercise: Exercise, *, root: Path | None = None) -> str:
    """The text of the exercise's cell in the released notebook exercises/<chapter>/<chapter>.ipynb under `root` (the repository).

    The start page has its exercise in itself, in the cell whose id is ex-0-1.
    """
    root = root or Path(__file__).resolve().parents[2]
    path = root / ("notebooks" if exercise.chapter == "00_start_here" else f"exercises/{exercise.chapter}") / f"{exercise.chapter}.ipynb"
    if not path.is_file():
        raise FileNotFoundError(f"start_over: got no file {path.relative_to(root)} beside deepgen_lib, expected the released exercises; "
                                "in a clone restore them with `git checkout -- exercises`, elsewhere take the notebook from the course's repository")
    grade_id = "ex-" + exercise.id.replace(".", "-")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        stubs = ["".join(cell["source"]) for cell in cells
                 if cell["cell_type"] == "code" and grade_id in (cell.get("id"), cell["metadata"].get("nbgrader", {}).get("grade_id"))]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"start_over: {path.relative_to(root)} is damaged, expected a notebook; restore it with `git checkout -- exercises`") from None
    if len(stubs) != 1:
        raise ValueError(f"start_over: got {len(stubs)} cells named {grade_id} in {path.relative_to(root)}, expected one; "
                         "restore the file with `git checkout -- exercises`")
    return stubs[0]


def _smaller(exercise: Exercise) -> str:
    """The next step after the last hint."""
    if any(part.inputs for part in exercise.parts):
        return (f'A smaller case helps now: `case = checks.small_case("{exercise.id}")` hands you the smallest input that goes wrong; work it out on paper, '
                "then call your function on it, `my_function(*case)`, and print each step.")
    return "Try the smallest case by hand, on paper, and compare step by step."


def _say(text: str) -> None:
    """Markdown in a notebook, so that equations are set; plain print elsewhere."""
    shell = _shell()
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display
        return display({"text/markdown": text, "text/plain": text}, raw=True)
    print(text)


def _shell():
    """The running IPython, or None."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
