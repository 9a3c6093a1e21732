"""Building, and what watches over what was built: guards, drift, ledger. Each is shown the error it is there for."""
from __future__ import annotations

import shutil
import sys

import nbformat
import pytest

from tests.toy_course import (CLAIMS, EXERCISE_FILE, LECTURE_FILE, SOLUTION, SOLUTION_FILE, STEM, edit_cell, misleading_kernel,
                              replace_once, write_course)
from tools import build, guard, ledger
from tools.exercises import leaks
from tools.sources import code_cells, read_inputs, read_notebook, write_notebook

FILES = (LECTURE_FILE, SOLUTION_FILE, EXERCISE_FILE, "LEDGER.md")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The toy course, built once; nobody changes it."""
    root = write_course(tmp_path_factory.mktemp("course"))
    assert build.main(["--root", str(root), "--jobs", "2"]) == 0
    return root


@pytest.fixture
def course(built, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(built, tmp_path / "course")


def test_a_build_gives_all_files_and_none_has_a_problem(built):
    assert {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()} == {
        *FILES, "source/claims.toml", f"source/lectures/{STEM}.py", f"source/solutions/{STEM}.py"}
    for file in (LECTURE_FILE, SOLUTION_FILE):
        assert guard.stored_outputs(read_notebook(built / file), file) == []
    assert guard.drift(built) == ledger.problems(built) == []


def test_ids_come_from_labels_grade_ids_and_positions(built):
    assert [cell.id for cell in read_notebook(built / SOLUTION_FILE).cells] == ["01-toy-001", "exercise-setup", "ex-1-1", "check-1-1"]
    assert [cell.id for cell in read_notebook(built / EXERCISE_FILE).cells] == ["01-toy-001", "exercise-setup", "ex-1-1", "check-1-1"]
    assert [cell.execution_count for cell in code_cells(read_notebook(built / LECTURE_FILE))] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_second_build_gives_the_same_bytes(course):
    before = {file: (course / file).read_bytes() for file in FILES}
    assert build.build(course, chapters=["01"]) == []
    assert {file: (course / file).read_bytes() for file in FILES} == before


def test_kernels_are_this_interpreters_in_a_fixed_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(misleading_kernel(tmp_path)))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    text = "import os, sys\nprint(sys.executable, *(os.environ[name] for name in ('TQDM_DISABLE', 'OMP_NUM_THREADS', 'PYTHONHASHSEED')))"
    assert build.build(write_course(tmp_path, lecture=f"# %%\n{text}\n"), kinds=("lectures",)) == []
    assert read_notebook(tmp_path / LECTURE_FILE).cells[0].outputs[0].text == f"{sys.executable} 1 1 0\n"


def test_a_failing_cell_is_named_and_the_old_notebook_kept(course, capsys):
    before = (course / LECTURE_FILE).read_bytes()
    text = 'one = 1\n\n# %% tags=["label-two"]\nassert one == 2, "one is not two"\n'
    write_course(course, lecture="# %%\n" + text)
    assert build.main(["--root", str(course), "--only", "lectures"]) == 1
    assert "FAILED  lectures/01_toy: cell two (code cell 2): AssertionError: one is not two" in capsys.readouterr().err
    assert (course / LECTURE_FILE).read_bytes() == before


def test_a_dead_kernel_is_named(tmp_path):
    write_course(tmp_path, lecture='# %%\nx = 1\n\n# %% tags=["label-crash"]\nimport os; os._exit(1)\n')
    failure, = build.build(tmp_path, kinds=("lectures",))
    assert failure.startswith("lectures/01_toy: cell crash (code cell 2): DeadKernelError")


@pytest.mark.parametrize("lecture, message", [
    ('# %% tags=["calim-B3"]\n1', "cell 1 ('1') has the tag 'calim-B3', which nothing reads"),
    ('# %% tag=["claim-B3"]\n1', "has the option 'tag'"), ('# %% [raw]\n1', "is a raw cell"),
    ('# %% tags=["label-a"]\n1\n\n# %% tags=["label-a"]\n2', "uses the cell id 'a' more than once"),
], ids=str)
def test_a_mistake_in_a_source_is_named(tmp_path, lecture, message):
    failure, = build.build(write_course(tmp_path, lecture=lecture), kinds=("lectures",))
    assert failure.startswith("lectures/01_toy: read_inputs: 01_toy.py") and message in failure


def test_an_unknown_chapter_is_named(built, capsys):
    assert build.main(["--root", str(built), "02"]) == 1
    assert "no chapter starts with '02', expected one of 01_toy" in capsys.readouterr().err


@pytest.mark.parametrize("old, new, message", [
    ("    ### END SOLUTION", "", "no end solution statement found"),
    ('"solution": true', '"solution": false', "solution"),
    ('"grade_id": "check-1-1"', '"grade_id": "ex-1-1"', "uses the cell id 'ex-1-1' more than once"),
], ids=["no end", "no solution cell", "one id twice"])
def test_a_mistake_in_an_exercise_is_named(tmp_path, old, new, message):
    assert SOLUTION.count(old) == 1
    failure, = build.build(write_course(tmp_path, solution=SOLUTION.replace(old, new)), kinds=("exercises",))
    assert failure.startswith("exercises/01_toy: ") and message in failure


# ---- guards

def unrun(cell):
    cell.execution_count, cell.outputs = None, []


def no_outputs(cell):
    cell.outputs = []


def output(kind, **fields):
    def edit(cell):
        cell.outputs = [nbformat.from_dict({"output_type": kind, **fields})]
    return edit


FIGURE = {"image/png": "AAAA"}


@pytest.mark.parametrize("cell_id, edit, message", [
    ("number", unrun, "cell number (code cell 4): execution count is None, expected 4"),
    ("number", lambda cell: cell.update(execution_count=9), "execution count is 9, expected 4"),
    ("number", no_outputs, "cell number (code cell 4): no output is stored though its source prints"),
    ("b3-proof", no_outputs, "cell b3-proof (code cell 2): no output is stored"),
    ("number", output("error", ename="KeyError", evalue="k", traceback=[]), "stores the error KeyError: k"),
    ("number", output("stream", name="stderr", text="Warning: old\n"), "wrote to stderr: 'Warning: old'"),
    ("b3-picture", output("display_data", data=FIGURE, metadata={}), "cell b3-picture (code cell 6): shows a figure (image/png) described by ''"),
    ("b3-picture", output("display_data", data=FIGURE | {"text/plain": " \n"}, metadata={}), "described by ''"),
    ("b3-picture", output("display_data", data=FIGURE | {"text/plain": "<Figure size 1200x400 with 2 Axes, which is not words>"}, metadata={}), "<Figure"),
    ("b3-picture", output("display_data", data={"text/html": "<img src='x'>", "text/plain": "short"}, metadata={}), "shows a figure (<img)"),
], ids=range(10))
def test_a_spoilt_notebook_is_named(course, cell_id, edit, message):
    edit_cell(course / LECTURE_FILE, cell_id, edit)
    problems = guard.stored_outputs(read_notebook(course / LECTURE_FILE), LECTURE_FILE)
    assert problems and message in problems[0] and problems[0].startswith(f"{LECTURE_FILE}, cell ")


def test_a_stripped_notebook_fails_at_every_cell(course):
    for cell in code_cells(read_notebook(course / LECTURE_FILE)):
        edit_cell(course / LECTURE_FILE, cell.id, unrun)
    problems = guard.stored_outputs(read_notebook(course / LECTURE_FILE), LECTURE_FILE)
    assert sum("execution count is None" in problem for problem in problems) == 8


@pytest.mark.parametrize("tags, comment", [
    (["nbval-ignore-output"], ""), (["nbval-skip"], ""), (["raises-exception"], ""), (["rtol-0.5"], ""),
    ([], "# NBVAL_IGNORE_OUTPUT\n"), ([], "# NBVAL_SKIP\n"), ([], "# NBVAL_RAISES_EXCEPTION\n"),
], ids=str)
def test_more_than_three_percent_excused_fails(built, tags, comment):
    notebook = read_notebook(built / LECTURE_FILE)
    cell = code_cells(notebook)[3]
    cell.metadata["tags"], cell.source = tags, comment + cell.source
    plain = read_notebook(built / LECTURE_FILE)
    many = {str(k): plain for k in range(5)}  # 8 cells each: 1 of 40 is 2.5 %
    assert guard.too_many_excused(many) == guard.too_many_excused(dict(list(many.items())[:4], spoilt=notebook)) == []
    problems = guard.too_many_excused(dict(list(many.items())[:3], spoilt=notebook))
    assert problems[0].startswith("1 of 32 code cells are excused") and problems[1].startswith("spoilt, cell number: ")


# ---- drift

@pytest.mark.parametrize("file, cell_id", [(LECTURE_FILE, "number"), (SOLUTION_FILE, "ex-1-1"), (EXERCISE_FILE, "check-1-1"), (LECTURE_FILE, "01-toy-001")])
def test_an_edited_built_file_is_named(course, file, cell_id):
    edit_cell(course / file, cell_id, lambda cell: cell.update(source=cell.source + "\n# by hand"))
    assert guard.drift(course) == [f"{file}, cell {cell_id}: its source is not that of the source; edit source/ and build"]


def test_other_edits_of_built_files_are_named(course):
    edit_cell(course / LECTURE_FILE, "number", lambda cell: cell.metadata.update(tags=["nbval-skip"]))
    edit_cell(course / EXERCISE_FILE, "ex-1-1", lambda cell: cell.update(id="other"))
    notebook = read_notebook(course / SOLUTION_FILE)
    notebook.metadata["jupytext"] = {"formats": "ipynb,py"}
    write_notebook(notebook, course / SOLUTION_FILE)
    shutil.copy(course / LECTURE_FILE, course / "notebooks/99_stray.ipynb")
    problems = guard.drift(course)
    assert [problem.split(":")[0] for problem in problems] == [f"{LECTURE_FILE}, cell number", SOLUTION_FILE, EXERCISE_FILE, "notebooks/99_stray.ipynb"]
    assert "metadata" in problems[0] and "jupytext" in problems[1] and "first other" in problems[2] and "no source" in problems[3]


def test_a_changed_source_is_drift_too(course):
    replace_once(course / f"source/solutions/{STEM}.py", "print(\"1.1 right\")", "print(\"1.1 is right\")")
    assert [problem.split(":")[0] for problem in guard.drift(course)] == [f"{SOLUTION_FILE}, cell check-1-1", f"{EXERCISE_FILE}, cell check-1-1",
                                                                          f"{EXERCISE_FILE}, cell check-1-1"]
    (course / EXERCISE_FILE).unlink()
    assert f"{EXERCISE_FILE}: not built; build the notebooks" in guard.drift(course)


# ---- ledger

@pytest.mark.parametrize("kind, file", [("claim", LECTURE_FILE), ("planted", LECTURE_FILE), ("picture", LECTURE_FILE), ("exercise", SOLUTION_FILE)])
def test_a_claim_that_lacks_a_cell_is_named(course, kind, file):
    for cell in read_notebook(course / file).cells:
        if f"{kind}-B3" in cell.metadata.get("tags", []):
            edit_cell(course / file, cell.id, lambda cell: cell.metadata.pop("tags"))
    problem, = ledger.problems(course)
    assert problem.startswith(f"claim B3 of 01_toy has no {kind} cell (tag {kind}-B3 in source/")


@pytest.mark.parametrize("file, cell_id, edit, message", [
    (LECTURE_FILE, "b3-proof", no_outputs, 'cell b3-proof, tag claim-B3: the cell prints no "B3 holds'),
    (LECTURE_FILE, "b3-planted", no_outputs, 'the cell prints no "B3 breaks with'),
    (LECTURE_FILE, "b3-picture", no_outputs, "the cell shows no picture"),
    (SOLUTION_FILE, "check-1-1", lambda cell: cell.metadata.nbgrader.update(points=0), "no nbgrader grade cell with points"),
    (LECTURE_FILE, "number", lambda cell: cell.metadata.update(tags=["claim-B9"]), "source/claims.toml has no B9"),
    (LECTURE_FILE, "number", lambda cell: cell.metadata.update(tags=["exercise-B3"]), "this tag belongs in solutions"),
], ids=range(6))
def test_a_hollow_or_misplaced_tag_is_named(course, file, cell_id, edit, message):
    edit_cell(course / file, cell_id, edit)
    problem, = ledger.problems(course)
    assert problem.startswith(f"{file}, cell {cell_id}, tag ") and message in problem


def test_a_claim_of_a_chapter_that_is_not_built_may_wait(course):
    (course / "source/claims.toml").write_text(CLAIMS + CLAIMS.replace("B3", "D1").replace("01_toy", "04_later"))
    assert ledger.problems(course) == []
    assert "| D1 |" in ledger.ledger_text(course)
    (course / "source/claims.toml").write_text(CLAIMS + CLAIMS.replace("B3", "D1"))
    assert len(ledger.problems(course)) == 4


@pytest.mark.parametrize("spoilt", [CLAIMS.replace("slide", "slides"), CLAIMS.replace('"A slide"', '""'), CLAIMS.replace("[B3]", "[Third]"),
                                    CLAIMS.replace("misses", "misses q(h|x),")], ids=range(4))
def test_a_mistake_in_the_claims_is_named(tmp_path, spoilt):
    with pytest.raises(ValueError, match="claims.toml: "):
        ledger.read_claims(write_course(tmp_path, claims=spoilt))


# ---- leaks

def test_a_leak_is_found_and_not_written(course):
    solution, released = read_inputs(course / f"source/solutions/{STEM}.py"), read_notebook(course / EXERCISE_FILE)
    assert leaks(solution, released) == []
    assert "raise NotImplementedError" in released.cells[2].source and "HIDDEN" not in released.cells[3].source
    hint = "# # Exercises\n#\n# One way: `terms = [-x * math.log(x)  for x in p if x > 0]`"
    failure, = build.build(write_course(course, solution=SOLUTION.replace("# # Exercises", hint)), kinds=("exercises",))
    assert failure.startswith("exercises/01_toy: cell 01-toy-001 holds the solution's line 'terms = [-x * math.log(x) for x in p if x > 0]'")
    assert read_notebook(course / EXERCISE_FILE) == released
