"""A course of one chapter, small enough to build in seconds, on which tests plant what the validation must catch."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.sources import ROOT, read_notebook, write_notebook

STEM = "01_toy"
LECTURE_FILE, SOLUTION_FILE, EXERCISE_FILE = f"notebooks/{STEM}.ipynb", f"solutions/{STEM}/{STEM}.ipynb", f"exercises/{STEM}/{STEM}.ipynb"
CLAIMS = """[B3]
statement = "The bound misses a divergence."
chapter = "01_toy"
slide = "A slide"
erratum = ""
"""
LECTURE = '''# %% [markdown]
# # How much does the bound miss?

# %% tags=["label-setup"]
import torch
from deepgen_lib import claim, gap, kl_divergence, planted_error, plots, posterior
log_joint = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
q = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)

# %% [markdown]
# > **B3.** The gap is a divergence.

# %% tags=["claim-B3", "label-b3-proof"]
missing = kl_divergence(q, posterior(log_joint))
claim("B3", (gap(log_joint, q) - missing).abs(), below=1e-10, says="gap minus divergence")

# %% tags=["planted-B3", "label-b3-planted"]
planted_error("B3", (gap(log_joint, q) + missing).abs(), below=1e-10, says="a flipped sign")

# %% tags=["label-number"]
print(f"gap {gap(log_joint, q):.4f} nats, {len(q)} states")

# %% tags=["label-loose", "rtol-0.05"]
print(f"about {gap(log_joint, q):.3f}")

# %% tags=["picture-B3", "label-b3-picture"]
image = torch.linspace(0, 1, 64).reshape(1, 8, 8) ** 2
plots.image_grid(image, says="A grey ramp.")

# %% tags=["label-curve"]
plots.lines(range(5), {"gap": [float(k) for k in range(5)]}, xlabel="step", ylabel="nats")

# %% tags=["label-slider"]
from deepgen_lib import explore
explore(lambda power: plots.image_grid(image ** power), power=[1, 2])
'''
SOLUTION = '''# %% [markdown]
# # Exercises

# %% tags=["label-exercise-setup"]
import math

# %% nbgrader={"grade": false, "grade_id": "ex-1-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def entropy(p):
    """H(p) in nats.  A list of probabilities -> a number."""
    ### BEGIN SOLUTION
    terms = [-x * math.log(x) for x in p if x > 0]
    return sum(terms)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-B3"]
assert abs(entropy([0.5, 0.5]) - math.log(2)) < 1e-9
print("1.1 right")
### BEGIN HIDDEN TESTS
assert entropy([1.0, 0.0]) == 0
### END HIDDEN TESTS
'''


def write_course(root: Path, *, lecture: str = LECTURE, solution: str = SOLUTION, claims: str = CLAIMS) -> Path:
    """The sources of the toy course in `root`."""
    for path, text in {"lectures/01_toy.py": lecture, "solutions/01_toy.py": solution, "claims.toml": claims}.items():
        (root / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "source" / path).write_text(text, encoding="utf-8")
    return root


def replace_once(path: Path, old: str, new: str) -> None:
    """Plant an error by text substitution; the substitution itself is asserted, so that no test passes on an unchanged file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name}: {old!r} occurs {text.count(old)} times, expected once"
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_cell(path: Path, cell_id: str, edit) -> None:
    """Change one cell of a built notebook, as a careless hand would; `edit` gets the cell and must change it."""
    notebook = read_notebook(path)
    cell, = [cell for cell in notebook.cells if cell.id == cell_id]
    before = repr(cell)
    edit(cell)
    assert repr(cell) != before, f"{path.name}, cell {cell_id}: the edit changed nothing"
    write_notebook(notebook, path)


def run_nbval(root: Path, *arguments: str, python_path: Path | None = None) -> subprocess.CompletedProcess:
    """nbval with our plugin on notebooks below `root`, in its own process; stdout holds what a maintainer would read."""
    path = os.pathsep.join(filter(None, [str(python_path or ""), str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "tools.nbval_tolerance", "-p", "no:cacheprovider", "--color=no",
               f"--rootdir={root}", "-c", os.devnull, "-q", *arguments]
    environment = os.environ | {"PYTHONPATH": path, "JUPYTER_PATH": str(misleading_kernel(root.parent))}
    environment.pop("CI", None)  # under CI pytest prints each failure twice
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)


def misleading_kernel(folder: Path) -> Path:
    """A JUPYTER_PATH whose kernel named python3 does not work: whoever starts kernels by that name gets it."""
    spec = folder / "jupyter/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text('{"argv": ["false"], "display_name": "Python 3", "language": "python"}')
    return folder / "jupyter"
