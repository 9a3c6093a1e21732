"""Frames of sliders: drawn by the notebook's own render, kept while the notebook does not change, refused where it shows something else."""
import json
import shutil

import nbformat.v4 as v4
import pytest
from PIL import Image

from tools.running import execute
from tools.site.frames import frames_of, key
from tools.sources import built_path, read_notebook, write_notebook

TOY = """from deepgen_lib import explore, plots
def powers(k, base):
    return plots.lines(range(4), {"power": [base * x**k for x in range(4)]}, xlabel="x", ylabel="y", says=f"Power {k} of base {base}.")
explore(powers, k=[1, 2, 3], base=[("one", 1), ("two", 2)], start={"k": 2})"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with one lecture of one slider, its frames drawn."""
    root = tmp_path_factory.mktemp("course")
    built = built_path(root, "lectures", "01_toy")
    built.parent.mkdir(parents=True)
    write_notebook(execute(v4.new_notebook(cells=[v4.new_markdown_cell("# Toy", id="title"), v4.new_code_cell(TOY, id="toy")]), root), built)
    found, failures = frames_of(["01_toy"], root / "frames", root=root)
    assert failures == []
    return root, found["01_toy"]


def test_every_place_of_the_sliders_has_its_frame(course):
    root, found = course
    toy = found["toy"]
    assert toy["controls"] == [{"name": "k", "labels": ["1", "2", "3"], "start": 1}, {"name": "base", "labels": ["one", "two"], "start": 0}]
    assert [alt.split(".")[0] for alt in toy["alts"]] == [f"Power {k} of base {base}" for k in (1, 2, 3) for base in (1, 2)]
    assert len(set(toy["files"])) == 6
    for name in toy["files"]:
        with Image.open(root / "frames" / found[""] / name) as image:
            assert image.size[0] > 100
    assert toy["alts"][2] == read_notebook(built_path(root, "lectures", "01_toy")).cells[1].outputs[0].metadata["image/png"]["alt"]


def test_the_script_hands_over_the_same(course):
    root, found = course
    text = (root / "frames" / found[""] / "toy.js").read_text(encoding="utf-8")
    assert json.loads(text.partition("] = ")[2].rstrip(";\n")) == found["toy"]


def test_frames_are_kept_while_the_notebook_stays(course, monkeypatch):
    root, found = course
    monkeypatch.setattr("tools.site.frames.execute", lambda *_: pytest.fail("drawn again"))
    assert frames_of(["01_toy"], root / "frames", root=root) == ({"01_toy": found}, [])


def test_a_changed_notebook_is_drawn_again_and_one_that_shows_something_else_is_refused(course, tmp_path, monkeypatch):
    root, found = shutil.copytree(course[0], tmp_path / "copy"), course[1]
    built = built_path(root, "lectures", "01_toy")
    notebook, old = read_notebook(built), key(built)
    notebook.cells[1].outputs[0].data["text/plain"] = "Slider k: 1, 2; at 1"
    write_notebook(notebook, built)
    assert key(built) != old
    monkeypatch.setattr("tools.site.frames.execute", lambda notebook, where: notebook)  # it shows nothing at all
    assert frames_of(["01_toy"], root / "frames", root=root) == ({}, ["no frames of 01_toy: cell toy shows other sliders than the built notebook; build it again"])
    assert not (root / "frames" / found[""]).exists()
