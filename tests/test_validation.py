"""The validation of notebooks, shown to catch what it is there for: each error is planted in a toy course and must be named."""
from __future__ import annotations

import copy
import re
import shutil

import pytest

from tests.toy_course import LECTURE_FILE, replace_once, run_nbval, write_course
from tools import build
from tools.sources import ROOT, code_cells, read_notebook, write_notebook


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The toy course's lecture, built once; nobody changes it."""
    root = write_course(tmp_path_factory.mktemp("course"))
    assert build.build(root, kinds=("lectures",)) == []
    return root


def stored(old, new):
    """An edit of the stored output: as if the library now gave something else."""
    def edit(cell):
        for output in cell.outputs:
            for holder, key in ((output, "text"), (output.get("data", {}), "text/plain")):
                if key in holder:
                    assert old in holder[key]
                    holder[key] = holder[key].replace(old, new)
    return edit


def source(old, new):
    """An edit of what the cell computes; its stored output stays."""
    def edit(cell):
        assert old in cell.source
        cell.source = cell.source.replace(old, new)
    return edit


def data(**changes):
    """An edit of the stored output's kinds; None removes one."""
    def edit(cell):
        for name, value in changes.items():
            kind = {"words": "text/plain", "pixels": "image/png"}[name]
            cell.outputs[0].data.pop(kind) if value is None else cell.outputs[0].data.update({kind: value})
    return edit


def widget_view(cell):
    """As stored by a browser: a model id that no fresh run can give."""
    cell.outputs[0].data["application/vnd.jupyter.widget-view+json"] = {"version_major": 2, "version_minor": 0, "model_id": "0"}


def strip(cell):
    cell.execution_count, cell.outputs = None, []


PLANTED = {  # name: (cell, edit, what the message must say; None where the cell must pass)
    "number-changed": ("number", stored("0.1894", "0.1924"), "number 1 (line 1): got 0.1894, expected 0.1924, allowed a difference of 0.00019"),
    "number-within": ("number", stored("0.1894", "0.1895"), None),
    "number-nan": ("number", stored("0.1894", "nan"), "number 1 (line 1): got 0.1894, expected nan"),
    "integer-changed": ("number", stored("3 states", "4 states"), "expected 'gap 0.1894 nats, 4 states'"),
    "word-changed": ("number", stored("nats", "bits"), "expected 'gap 0.1894 bits, 3 states'"),
    "tag-within": ("loose", stored("0.189", "0.195"), None),
    "tag-beyond": ("loose", stored("0.189", "0.205"), "got 0.189, expected 0.205, allowed a difference of 0.01"),
    "picture-changed": ("b3-picture", source("image_grid(image", "image_grid(image ** 2"), "text/plain, output 1, number"),
    "picture-blank": ("b3-picture", source("image_grid(image", "image_grid(0 * image"), "text/plain, output 1, number"),
    "picture-transposed": ("b3-picture", source("image_grid(image", "image_grid(image.transpose(1, 2)"), "text/plain, output 1, number"),
    "curve-changed": ("curve", source("float(k)", "float(k) if k < 4 else 3.9"), "text/plain, output 1, number"),
    "picture-gone": ("b3-picture", source("plots.image_grid", "_ = plots.image_grid"), "In the outputs: got 0 of kind picture, expected 1"),
    "picture-wordless": ("b3-picture", data(words=None), "a picture without words (its text/plain is missing or blank)"),
    "picture-blank-words": ("b3-picture", data(words="  \n"), "a picture without words (its text/plain is missing or blank)"),
    "picture-other-pixels": ("b3-picture", data(pixels="AAAA"), None),
    "slider-other-words": ("slider", stored("power: 1, 2", "power: 1, 3"), "expected 'Slider power: 1, 3; at 1'"),
    "slider-other-picture": ("slider", source("** power", "** (power + 1)"), "In text/plain, output 1, number"),
    "slider-live": ("slider", widget_view, None),
    "outputs-lost": ("number", lambda cell: cell.update(outputs=[]), "In the outputs: got 1 of kind stdout, expected 0; got: 'gap 0.1894 nats"),
    "stripped": ("number", strip, "never executed, so there is nothing to compare with; build the notebook"),
    "fails-now": ("number", source("len(q)", "nobody"), "Cell execution caused an exception"),
}


@pytest.fixture(scope="module")
def planted_run(built, tmp_path_factory):
    """One run of nbval over the clean notebook and one that holds every planted error in a cell of its own."""
    root = shutil.copytree(built, tmp_path_factory.mktemp("planted") / "course")
    notebook = read_notebook(root / LECTURE_FILE)
    cells = {cell.id: cell for cell in notebook.cells}
    for name, (cell_id, edit, _) in PLANTED.items():
        cell = copy.deepcopy(cells[cell_id])
        cell.id = name
        edit(cell)
        notebook.cells.append(cell)
    write_notebook(notebook, root / "notebooks/02_planted.ipynb")
    return run_nbval(root, "notebooks", "-n", "2", "--dist", "loadscope")


def test_an_untouched_notebook_passes(planted_run):
    assert planted_run.returncode == 1
    assert LECTURE_FILE not in planted_run.stdout
    n_failing = sum(message is not None for *_, message in PLANTED.values())
    assert f"{n_failing} failed" in planted_run.stdout, planted_run.stdout[-3000:]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_caught_and_named(planted_run, name):
    message = PLANTED[name][2]
    number = 1 + 8 + list(PLANTED).index(name)  # the toy has 8 code cells of its own
    reports = [report for report in re.split("^_{5,}", planted_run.stdout, flags=re.MULTILINE)
               if f": notebooks/02_planted.ipynb, cell {name} (code cell {number})\n" in report]
    assert len(reports) == (message is not None)
    assert message is None or message in reports[0]


def test_a_wrong_sign_in_the_library_fails_at_the_right_cell(built, tmp_path):
    library = shutil.copytree(ROOT / "deepgen_lib", tmp_path / "deepgen_lib", ignore=shutil.ignore_patterns("embedded", "__pycache__"))
    replace_once(library / "variational.py", "return _expectation(q, log_joint) + entropy(q)", "return _expectation(q, log_joint) - entropy(q)")
    run = run_nbval(built, LECTURE_FILE, python_path=tmp_path)
    assert run.returncode == 1
    failed = [line.split("::")[1].split(" - ")[0] for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    assert failed == ["Cell 1", "Cell 2", "Cell 3", "Cell 4"], run.stdout  # the claim first, then what else prints the gap; no picture
    assert "claim B3 fails: gap minus divergence is " in run.stdout
    assert f"Cell execution caused an exception: {LECTURE_FILE}, cell b3-proof (code cell 2)" in run.stdout
    assert f"Cell outputs differ: {LECTURE_FILE}, cell number (code cell 4)" in run.stdout


def test_a_run_that_leaves_cells_out_fails(built, tmp_path):
    for name in ("01_whole", "02_part", "03_ignored"):
        write_notebook(_without_torch(read_notebook(built / LECTURE_FILE)), tmp_path / f"notebooks/{name}.ipynb")
    run = run_nbval(tmp_path, "notebooks", "--deselect", "notebooks/02_part.ipynb::Cell 1", "--ignore-glob=*ignored*")
    assert run.returncode == 1 and "3 passed, 1 deselected" in run.stdout, run.stdout
    assert "notebooks/02_part.ipynb: 1 of 2 code cells were run\nnotebooks/03_ignored.ipynb: 0 of 2 code cells were run" in run.stdout
    assert "01_whole" not in run.stdout


def _without_torch(notebook):
    """Two cells that need no library, as if executed."""
    notebook.cells = code_cells(notebook)[:2]
    for number, cell in enumerate(notebook.cells, start=1):
        cell.source, cell.outputs, cell.execution_count = "x = 1", [], number
    return notebook
