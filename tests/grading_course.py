"""A course of one small chapter, hand-ins for it, and grading in this process, so that tests of a whole run stay quick."""
from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from grading import batch
from grading.course import Outcome, Wanted, grade_course
from grading.late import Policy
from tests.grading_class import LIMITS, cell_of, released

STEM, TASK, WRITTEN = "08_vae", "ex-8-2", "written-8-6"
RIGHT = "def kl_by_hand(mu, log_sigma):\n    return (0.5 * (mu**2 + torch.exp(2 * log_sigma) - 1) - log_sigma).sum(1)"
WRONG = "def kl_by_hand(mu, log_sigma):\n    return mu.sum(1)"
TEXT = "The bound is tight where q is the posterior."
POLICY = {"share_per_day": 0.25, "floor": 0.5}


@functools.cache
def _small() -> str:
    """Exercise 8.2 alone, with its set-up, and the text that a person grades."""
    notebook = released(STEM)
    kept = [cell for cell in notebook.cells if cell.cell_type == "code" and "nbgrader" not in cell.metadata and "from deepgen_lib import" in cell.source]
    notebook.cells = [*kept, cell_of(notebook, TASK), cell_of(notebook, "check-8-2"), cell_of(notebook, WRITTEN)]
    return json.dumps(notebook)


def small_course(root: Path) -> dict[str, Path]:
    """Write exercises/ under this root.  -> chapter -> its released notebook."""
    path = root / "exercises" / STEM / f"{STEM}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_small())
    return {STEM: path}


def with_answer(code: str = RIGHT, text: str | None = None) -> dict:
    notebook = json.loads(_small())
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = code if name == TASK else text if name == WRITTEN and text is not None else cell["source"]
    return notebook


def hand_in(root: Path, student: str, content: dict | str, *, name: str = f"{STEM}.ipynb", at: str = "") -> Path:
    path = root / "submitted" / student / STEM / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    if at:
        path.with_name("timestamp.txt").write_text(at)
    return path


class Here:
    """A pool without processes."""

    def __init__(self, workers: int):
        self.workers = workers

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_) -> None:
        pass

    def work(self, function, jobs, *, seconds):
        return ((job, function(job)) for job in jobs)


@pytest.fixture
def here(monkeypatch, tmp_path):
    """grade(...) on a fresh course in tmp_path, graded in this process."""
    monkeypatch.setattr(batch, "Pool", Here)
    monkeypatch.setenv("DEEPGEN_KEY", "a key for tests")
    notebooks = small_course(tmp_path)

    def grade(*, policy: Policy = Policy(), rosters=(), **wanted) -> Outcome:
        return grade_course(tmp_path, Wanted(**{"limits": LIMITS, "database": False} | wanted), released=notebooks, policy=policy, rosters=rosters)
    return grade
