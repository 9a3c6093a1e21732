"""An answer is found whatever happened to its cells, and a file that is no notebook is a sentence, not an exception."""
import copy
import json
import os

import nbformat
import pytest

from grading.assignment import read_assignment
from grading.find import find_answer, read_submission
from grading.notebook import MAX_MB, Cell, Trouble, read_cells
from grading.score import Grader
from grading.statements import is_empty_start, statements_of
from tests.grading_class import KEY, SOLUTIONS, cell_of, lost, mark, released, result_of, sandbox, solved

STEM = "08_vae"
RIGHT = "def kl_by_hand(mu, log_sigma):\n    return (0.5 * (mu**2 + torch.exp(2 * log_sigma) - 1) - log_sigma).sum(1)"
WRONG = "def kl_by_hand(mu, log_sigma):\n    return mu.sum(1)"
STUB = "def kl_by_hand(mu, log_sigma):\n    raise NotImplementedError()"
CELL = "ex-8-2"


def position(notebook, grade_id: str = CELL) -> int:
    return notebook.cells.index(cell_of(notebook, grade_id))


def new(code: str, **about) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(code, id=f"new-{abs(hash(code)) % 10**8}")
    cell.metadata.update(about)
    return cell


def deleted(notebook):
    del notebook.cells[position(notebook)]


def duplicated(notebook):
    notebook.cells.insert(position(notebook) + 1, copy.deepcopy(cell_of(notebook, CELL)))


def duplicated_stub_after(notebook):
    notebook.cells.insert(position(notebook) + 1, new(STUB, nbgrader=cell_of(notebook, CELL).metadata.nbgrader))


def duplicated_wrong_before(notebook):
    notebook.cells.insert(position(notebook), new(WRONG, nbgrader=cell_of(notebook, CELL).metadata.nbgrader))


def duplicated_wrong_after(notebook):
    notebook.cells.insert(position(notebook) + 1, new(WRONG, nbgrader=cell_of(notebook, CELL).metadata.nbgrader))


def retyped(notebook):
    """The start is untouched, the answer stands in a new cell at the end."""
    cell_of(notebook, CELL).source = STUB
    notebook.cells.append(new(RIGHT))


def metadata_lost(notebook):
    for cell in notebook.cells:
        cell.metadata.clear()


def moved(notebook):
    notebook.cells.reverse()


def split(notebook):
    """A helper and constants in other cells, some of them below, one made by a function that stands below it."""
    cell_of(notebook, CELL).source = "def kl_by_hand(mu, log_sigma):\n    return one_by_one(mu, log_sigma).sum(AXIS)"
    notebook.cells.insert(0, new("AXIS = one()"))
    notebook.cells.append(new("def one():\n    return 1"))
    notebook.cells.append(new("def one_by_one(m, s):\n    return HALF * (m**2 + torch.exp(2 * s) - 1) - s"))
    notebook.cells.append(new("HALF = 1 / 2"))


def set_up_deleted(notebook):
    notebook.cells = [cell for cell in notebook.cells if "from deepgen_lib import checks" not in cell.source]


def became_text(notebook):
    cell = cell_of(notebook, CELL)
    notebook.cells[position(notebook)] = nbformat.v4.new_raw_cell(cell.source, id=cell.id)


def checks_deleted(notebook):
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("checks.")]


def with_magics(notebook):
    cell_of(notebook, CELL).source = "%matplotlib inline\n!ls\n" + cell_of(notebook, CELL).source


def a_failing_neighbour(notebook):
    notebook.cells.insert(0, new("1 / 0"))
    notebook.cells.insert(0, new("while True: pass"))
    notebook.cells.insert(0, new("this is no Python"))
    notebook.cells.append(new("import torch\ntorch.exp = None"))


def settings_of_torch(notebook):
    notebook.cells.insert(0, new("torch.set_default_dtype(torch.float64)"))


@pytest.mark.parametrize("edit, note", [
    (duplicated, "the one in cell"), (duplicated_stub_after, ""), (duplicated_wrong_before, "kl_by_hand is defined in 2 cells"), (retyped, "which is not the exercise's own cell any more"),
    (metadata_lost, "which is not the exercise's own"), (moved, ""), (split, ""), (set_up_deleted, ""), (became_text, "which is a raw cell; it counted as code"),
    (checks_deleted, ""), (with_magics, ""), (a_failing_neighbour, ""), (settings_of_torch, ""),
], ids=lambda x: getattr(x, "__name__", "note"))
def test_an_answer_counts_whatever_happened_to_its_cell(edit, note, tmp_path):
    notebook = solved(STEM)
    edit(notebook)
    marked = mark(STEM, notebook, tmp_path)
    said = " ".join(result_of(marked, "8.2").notes)
    assert lost(marked) == [], [(result.feedback, result.notes) for result in marked.results]
    assert note in said if note else not said


@pytest.mark.parametrize("edit, words", [(deleted, "your notebook does not define kl_by_hand"), (duplicated_wrong_after, "you returned")], ids=lambda x: getattr(x, "__name__", "words"))
def test_an_answer_that_is_gone_or_overwritten_costs_its_exercise_alone(edit, words, tmp_path):
    notebook = solved(STEM)
    edit(notebook)
    marked = mark(STEM, notebook, tmp_path)
    assert lost(marked) == ["8.2"] and words in result_of(marked, "8.2").feedback


def test_values_may_be_filled_in_later_or_in_steps(tmp_path):
    """answers["..."] = ... below the untouched dictionary, and x = x + 1."""
    start, notebook = cell_of(released(STEM), "ex-8-5").source, solved(STEM)
    filled = {"a q with correlated latents lowers": "family", "more training of the encoder alone lowers": "network"}
    assert all(key in start for key in filled) and "None" in start
    cell = cell_of(notebook, "ex-8-5")
    space: dict = {"torch": None}
    exec(cell.source, space)
    dictionary = start[start.index("answers = {"):].split("}")[0] + "}"
    function = cell.source[:cell.source.index("answers")]
    cell.source = f"{function}\n{dictionary}"
    notebook.cells.append(new("\n".join(f"answers[{key!r}] = {value!r}" for key, value in space["answers"].items())))
    assert lost(mark(STEM, notebook, tmp_path)) == []


# ---- files that are no notebooks

def write(path, content: bytes):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content, words", [
    (b"", "damaged"), (b"not json", "damaged"), (b'{"cells": [', "damaged"), (b"\x89PNG\r\n\x1a\n\xff\xfe", "no text"), (b"[]", "holds no cells"), (b"null", "holds no cells"),
    (b'{"cells": 3}', "holds no cells"), (b"[" * 10**5, "damaged"), (b'{"nbformat": 4}', "holds no cells"),
], ids=range(9))
def test_a_file_that_is_no_notebook_is_a_sentence(content, words, tmp_path):
    path = write(tmp_path / "x.ipynb", content)
    with pytest.raises(Trouble, match=words):
        read_cells(path)
    marked = Grader(SOLUTIONS[STEM].built.parents[2] / f"exercises/{STEM}/{STEM}.ipynb", key=KEY, sandbox=sandbox()).mark(path)
    assert words in marked.trouble and marked.points == 0 < marked.possible and all(words in result.feedback for result in marked.results)


def test_no_file_and_a_folder_are_sentences(tmp_path):
    for path in (tmp_path / "none.ipynb", tmp_path):
        with pytest.raises(Trouble):
            read_cells(path)


def test_a_file_beyond_all_measure_is_not_read(tmp_path):
    path = tmp_path / "x.ipynb"
    with open(path, "wb") as file:
        os.truncate(file.fileno(), (MAX_MB + 1) * 2**20)  # sparse: takes no room
    with pytest.raises(Trouble, match=f"201 MB, more than {MAX_MB}"):
        read_cells(path)


def test_fifty_megabytes_of_output_do_no_harm(tmp_path):
    notebook = solved(STEM)
    cell_of(notebook, CELL).outputs = [nbformat.v4.new_output("stream", text="x" * (50 * 2**20))]
    (tmp_path / "x.ipynb").write_text(json.dumps(notebook))
    cells = read_cells(tmp_path / "x.ipynb")
    assert sum(len(cell.source) for cell in cells) < 10**5 and lost(mark(STEM, notebook, tmp_path)) == []


def test_odd_cells_are_read_as_far_as_they_go(tmp_path):
    cells = [3, None, {}, {"cell_type": "code"}, {"cell_type": "code", "source": 5}, {"cell_type": "code", "source": ["a = 1\n", 7, "b = 2"], "metadata": []},
             {"cell_type": "code", "source": "c", "metadata": {"nbgrader": {"grade_id": ["x"]}}}, {"input": "d = 4", "metadata": {"nbgrader": 3}}]
    path = write(tmp_path / "x.ipynb", json.dumps({"cells": cells}).encode("utf-8-sig"))
    assert [(cell.number, cell.source) for cell in read_cells(path)] == [(3, ""), (4, ""), (5, ""), (6, "a = 1\nb = 2"), (7, "c"), (8, "d = 4")]
    old = write(tmp_path / "y.ipynb", json.dumps({"worksheets": [{"cells": cells[-1:]}]}).encode())
    assert [cell.source for cell in read_cells(old)] == ["d = 4"]


def test_only_what_an_answer_needs_is_run():
    code = {1: "import torch\nimport math", 2: "A = 1\nB = 2", 3: "def helper(x):\n    A = 5\n    return x + B", 4: "print('heavy')\nC = helper(A)", 5: "B = 3", 6: RIGHT.replace("mu**2", "helper(mu)")}
    submission = read_submission([Cell(number, "code", source, "") for number, source in code.items()])
    assignment = read_assignment(SOLUTIONS[STEM].built.parents[2] / f"exercises/{STEM}/{STEM}.ipynb")
    task, = [task for task in assignment.tasks if task.exercise.id == "8.2"]
    found = find_answer(submission, assignment, task)
    assert [number for number, _ in found.statements] == [1, 2, 3, 5, 6] and "A = 1" not in [text for _, text in found.statements]


def test_what_a_start_is_added_to_is_run_too():
    """table = {...: None} alone is the start; table |= {...} below it is an answer, and needs it."""
    stem = "09_vqvae_losses"
    assignment = read_assignment(SOLUTIONS[stem].built.parents[2] / f"exercises/{stem}/{stem}.ipynb")
    task, = [task for task in assignment.tasks if "table" in task.names]
    start, = [s.code for s in assignment.statements if "table" in s.binds]
    code = {1: start, 2: "more = {}", 3: "for key in ('a', 'b'):\n    table |= {key: 1}\n    more |= {key: 2}"}
    found = find_answer(read_submission([Cell(number, "code", source, task.grade_ids[0]) for number, source in code.items()]), assignment, task)
    assert [number for number, _ in found.statements] == [1, 2, 3] and found.missing.keys() == set(task.names) - {"table"}


def test_a_start_that_is_whole_leaves_its_helper_to_be_written():
    """As in chapter 14: the launch is given, the kernel is not."""
    def starts(*codes):
        return tuple(s for code in codes for s in statements_of(Cell(1, "code", code, ""))[0])
    given = starts("def launch(x):\n    return kernel(x)", "def kernel(x):\n    raise NotImplementedError()", "a = {'x': None}", "b = {'x': 1}")
    assert [is_empty_start(s, given, name) for s, name in zip(given, ("launch", "kernel", "a", "b"))] == [False, True, True, False]


def test_a_cell_that_does_not_parse_names_its_line():
    assert statements_of(Cell(4, "code", "x = 1\ndef f(:", ""))[1].startswith("cell 4 is no valid Python (line 2: ")
    assert statements_of(Cell(4, "code", "\0", ""))[1] and statements_of(Cell(4, "code", "(" * 10**4, ""))[1]
