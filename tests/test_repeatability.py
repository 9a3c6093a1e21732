"""The script that runs the notebooks again in other settings counts a cell that differs, and changes nothing but the number of threads."""
import json
import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import repeatability


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one notebook: its first cell says how many threads it would have, its second prints a constant."""
    cells = [nbformat.v4.new_code_cell(code, id=name, execution_count=number, outputs=[nbformat.v4.new_output("stream", name="stdout", text=text)])
             for number, (name, code, text) in enumerate([("one", "print('torch.set_num_threads(1)')", "torch.set_num_threads(1)\n"), ("two", "print(2.5)", "2.5\n")], 1)]
    for folder in repeatability.FOLDERS:
        path = tmp_path / folder / "01_small.ipynb"
        path.parent.mkdir()
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    (tmp_path / "solutions/01_small.ipynb").rename(tmp_path / "solutions/02_small.ipynb")
    monkeypatch.setattr(repeatability, "COURSE", tmp_path)
    return tmp_path


def test_the_number_of_threads_is_all_that_changes(course, tmp_path):
    copied = repeatability.copy(tmp_path / "copy", 4, ["01"])
    assert [path.name for path in copied] == ["01_small.ipynb"]
    before, after = (json.loads(path.read_text()) for path in (course / "notebooks/01_small.ipynb", copied[0]))
    sources = ["".join(cell["source"]) for cell in after["cells"]]
    assert sources == ["".join(cell["source"]).replace("num_threads(1)", "num_threads(4)") for cell in before["cells"]] and "num_threads(4)" in sources[0]
    assert [cell["outputs"] for cell in after["cells"]] == [cell["outputs"] for cell in before["cells"]]


def test_a_cell_that_differs_is_counted_by_name(course):
    found = repeatability.run(repeatability.SETTINGS["2 threads"], ["01"], jobs=1)
    assert (found["notebooks"], found["cells"]) == (1, 2) and found["said"]
    assert len(found["different"]) == 1 and "Cell 0" in found["different"][0]  # says 2 now, and the committed output says 1


def test_neighbours_are_busy_and_go_away():
    with repeatability.neighbours(1) as running:
        assert running[0].poll() is None
    assert running[0].poll() is not None
    assert repeatability.SETTINGS["busy neighbours"].busy > 2


def test_the_table_has_a_line_for_each_setting_and_versions():
    one = {"setting": "as built", "python": "3.11", "torch": "2.13", "numpy": "2.4", "notebooks": 2, "cells": 10, "different": ["a"]}
    assert repeatability.table([one, one, one | {"setting": "2 threads", "different": []}]) == [("as built", 2, "3.11", "2.13", "2.4", "2", 20, 2), ("2 threads", 1, "3.11", "2.13", "2.4", "2", 10, 0)]
