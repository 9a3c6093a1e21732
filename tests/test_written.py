"""Texts that a person reads, 0 to 3 points: each has its levels, a model answer that is not released, and an empty start."""
import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_locked, is_solution

from grading.assignment import read_assignment
from tools.exercises import secret_lines
from tools.sources import ROOT, built_path, find_sources, read_inputs, read_notebook

WRITTEN = ("01_gibbs_bound", "02_rbm", "03_log_z", "05_tied_weights", "08_vae", "09_vqvae_losses", "11_nvae_architecture", "12_nvae_kl", "13_side_by_side", "14_kernels")


@pytest.fixture
def pair(request):
    """(solution, released)"""
    source, = [source for source in find_sources(kinds=("solutions",)) if source.stem == request.param]
    return read_inputs(source.text), read_notebook(built_path(ROOT, "exercises", source.stem))


def texts(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if is_grade(cell) and is_solution(cell)]


def problems(cell: NotebookNode, solution: NotebookNode, released: NotebookNode) -> list[str]:
    """What is wrong with one text: its cell, the locked cell above it with the levels, its start."""
    above, given = solution.cells[solution.cells.index(cell) - 1], {cell.id: cell.source for cell in released.cells}
    levels = [line for line in above.source.splitlines() if line[:5] in {f"| {points} |" for points in range(4)}]
    rules = {
        "markdown": cell.cell_type == "markdown",
        "3 points": cell.metadata.nbgrader.points == 3,
        "a model answer": len(" ".join(secret_lines(nbformat.v4.new_notebook(cells=[cell])))) > 200,
        "levels": [line[2] for line in levels] == list("3210") and all(len(line) > 30 for line in levels),
        "levels are locked": is_locked(above) and not is_grade(above) and not is_solution(above) and given[above.id] == above.source,
        "an empty start": given[cell.id].endswith("Your answer here.") and "SOLUTION" not in given[cell.id],
    }
    return [rule for rule, holds in rules.items() if not holds]


@pytest.mark.parametrize("pair", WRITTEN, indirect=True)
def test_a_text_has_its_levels_and_a_model_answer(pair):
    solution, released = pair
    assert texts(solution)
    assert [problems(cell, solution, released) for cell in texts(solution)] == [[]] * len(texts(solution))


@pytest.mark.parametrize("pair", WRITTEN[:1], indirect=True)
@pytest.mark.parametrize("plant, problem", [
    (lambda above, cell: above.update(source=above.source.replace("| 1 |", "| one |")), "levels"),
    (lambda above, cell: above.metadata.nbgrader.update(locked=False), "levels are locked"),
    (lambda above, cell: cell.update(source="*Three sentences:*"), "a model answer"),
    (lambda above, cell: cell.metadata.nbgrader.update(points=5), "3 points"),
], ids=["level", "open", "answer", "points"])
def test_a_planted_fault_is_found(plant, problem, pair):
    cell, = texts(pair[0])
    plant(pair[0].cells[pair[0].cells.index(cell) - 1], cell)
    assert problems(cell, *pair)[:1] == [problem]  # changed text differs from the released one too


@pytest.mark.parametrize("stem", WRITTEN)
def test_the_machine_leaves_texts_alone(stem):
    """Marked by hand: they are no task of the grader, and their points are not among those of the checks."""
    released = read_notebook(built_path(ROOT, "exercises", stem))
    assignment, by_hand = read_assignment(built_path(ROOT, "exercises", stem)), {cell.id for cell in texts(released)}
    assert sum(task.points for task in assignment.tasks) == sum(cell.metadata.nbgrader.points for cell in released.cells if is_grade(cell) and cell.id not in by_hand)
