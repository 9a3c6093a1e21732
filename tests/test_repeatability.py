"""The script that runs the notebooks again in other settings counts a cell that differs, and changes nothing but the number of threads."""
import json
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import recorded
import repeatability

ONE = {"setting": "as built", "date": "2026-01-01", "python": "3.11", "torch": "2.13", "numpy": "2.4", "notebooks": 2, "cells": 10, "different": ["a"]}
OLDEST = {"torch": "2.11.0", "numpy": "2.1.0", "matplotlib": "3.10.0"}


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
    assert all("tmp" not in line and "\x1b" not in line for line in found["said"])  # a committed table names no folder of this machine
    assert found["different"] == ["notebooks/01_small: Cell 0"] and not found["broke off"]  # says 2 now, and the committed output says 1


def test_a_run_that_breaks_off_is_counted_and_says_why(course, monkeypatch):
    monkeypatch.setattr(repeatability, "code_cells", lambda notebook: [1, 2, 3])  # as if a worker had died before the last
    found = repeatability.run(repeatability.SETTINGS["as built"], ["01"], jobs=1)
    assert "2 of 3 cells" in found["broke off"]
    assert [row[-1] for row in repeatability.table([ONE | {"broke off": "exit status 3"}])] == [1]
    assert "broke off, exit status 3" in repeatability.notes([ONE | {"broke off": "exit status 3"}])


def test_neighbours_are_busy_and_go_away():
    with repeatability.neighbours(1) as running:
        assert running[0].poll() is None
    assert running[0].poll() is not None
    assert repeatability.SETTINGS["busy neighbours"].busy > 2


def test_the_table_has_a_line_for_each_setting_and_versions():
    found = repeatability.table([ONE, ONE, ONE | {"setting": "2 threads", "different": []}, ONE | {"matplotlib": "3.10"}])
    assert found == [("as built", 2, "3.11", "2.13", "2.4", "not noted", "2", 20, 2, 0, 0), ("2 threads", 1, "3.11", "2.13", "2.4", "not noted", "2", 10, 0, 0, 0),
                     ("as built", 1, "3.11", "2.13", "2.4", "3.10", "2", 10, 1, 0, 0)]


def test_what_was_mended_is_still_counted_and_what_comes_again_is_not_mended():
    runs = [ONE | {"different": ["a"]} for _ in range(2)]
    recorded.mend(runs[:1], "different", "a", "it drew in float32")
    assert repeatability.table(runs)[0][-3:] == (2, 1, 0)
    told = repeatability.notes(runs)
    assert "different: 2" in told and told.count(": a") == 2 and told.count("Mended: it drew in float32") == 1
    with pytest.raises(ValueError, match="got 'b', expected something that a run found: a;"):
        recorded.mend(runs, "different", "b", "never")


@pytest.mark.parametrize("setting, about", [
    ("older versions", OLDEST | {"torch": "2.13.0"}), ("older versions", OLDEST | {"numpy": "2.10.0"}), ("older versions", OLDEST | {"matplotlib": "3.11.0"}), ("newer versions", {"python": "3.11.7"})])
def test_a_setting_that_is_not_there_is_refused(setting, about):
    with pytest.raises(ValueError, match="expected .*; run it with an interpreter that has them"):
        repeatability.kernels_of(repeatability.SETTINGS[setting], about)


def test_the_oldest_versions_are_those_that_are_declared():
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {f"{name}>={version}" for name, version in repeatability.SETTINGS["older versions"].versions.items()} <= set(declared)


def test_plain_kernels_are_plain(monkeypatch):
    assert repeatability.kernels_of(repeatability.SETTINGS["plain CPU kernels"], {}) == "DEFAULT"
    monkeypatch.setitem(repeatability.SETTINGS, "others", repeatability.Setting(environment={"ATEN_CPU_CAPABILITY": "no such"}))
    with pytest.raises(ValueError, match="does not heed"):
        repeatability.kernels_of(repeatability.SETTINGS["others"], {})
