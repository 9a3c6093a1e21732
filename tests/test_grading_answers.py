"""Graded in isolation: solutions and right answers get full marks, stubs and every wrong answer of two banks do not, each told why."""
import itertools
import re
from pathlib import Path

import pytest

from deepgen_lib.checks.engine import find
from grading.fence import located
from grading.score import Grader, fair, seed_of
from grading.taken import TAKEN
from tests.grading_class import KEY, answer_with, cell_of, from_bank, grader, lost, mark, module_of, released, result_of, sandbox, solved
from tests.test_checks import RIGHT

STEMS = ["07_convolutional_dbn", "08_vae"]
BY_LIBRARY = {"7.6": 0, "8.3": 0}  # right answers that call the very function which is asked for


@pytest.mark.parametrize("stem", [*STEMS, "09_vqvae_losses"])
def test_the_solution_gets_full_marks_and_the_start_none(stem, tmp_path):
    marked = mark(stem, solved(stem), tmp_path)
    assert lost(marked) == [] and marked.points == marked.possible > 10 and not marked.trouble
    assert all(result.feedback.startswith("right: ") and result.hint == "" for result in marked.results)
    idle = mark(stem, released(stem), tmp_path)
    assert idle.points == 0 and len(idle.results) == len(marked.results)
    assert all("nothing is written yet" in result.feedback and result.hint.startswith("*Nudge.*") for result in idle.results)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("way", [0, 1])
def test_right_answers_written_differently_get_full_marks(stem, way, tmp_path):
    notebook, library = solved(stem), []
    for task in grader(stem).assignment.tasks:
        own = RIGHT[task.exercise.id][way]
        library += [task.exercise.id] if BY_LIBRARY.get(task.exercise.id) == way else []
        code = f"from right.{module_of_right(task.exercise.id)} import RIGHT\n"
        code += f"{', '.join(task.names)} = RIGHT[{task.exercise.id!r}][{way}]" if isinstance(own, tuple) else f"{task.names[0]} = RIGHT[{task.exercise.id!r}][{way}]"
        answer_with(notebook, task.grade_ids, code)
    marked = mark(stem, notebook, tmp_path)
    assert lost(marked) == library, [result.feedback for result in marked.results]
    assert all("earns nothing" in result_of(marked, exercise).feedback for exercise in library)


def module_of_right(exercise_id: str) -> str:
    """The file of tests/right_answers that answers an exercise."""
    folder = Path(__file__).parent / "right_answers"
    return next(path.stem for path in folder.glob("[!_]*.py") if f'\n    "{exercise_id}": [' in path.read_text())


def wrong_of(stem: str) -> list[list[tuple]]:
    """For each exercise of a chapter its known mistakes: (task, number of the part, name)."""
    return [[(task, number, name) for number, part in enumerate(task.exercise.parts) for name in part.bank] for task in grader(stem).assignment.tasks]


@pytest.mark.parametrize("stem", STEMS)
def test_every_known_mistake_is_refused_and_named(stem, tmp_path):
    """One hand-in holds one mistake of each exercise, the next hand-in the next ones."""
    seen = 0
    for row in itertools.zip_longest(*wrong_of(stem)):
        notebook = solved(stem)
        mistakes = [entry for entry in row if entry]
        for task, part, name in mistakes:
            answer_with(notebook, task.grade_ids, from_bank(task.exercise, task.names, part, name))
        marked = mark(stem, notebook, tmp_path)
        assert lost(marked) == [task.exercise.id for task, _, _ in mistakes]
        for task, part, name in mistakes:
            result, card = result_of(marked, task.exercise.id), task.exercise.parts[part]
            assert card.bank[name].message in result.feedback, (task.exercise.id, name, result.feedback)
            assert (result.misconception, result.part) == (name, card.name if len(task.exercise.parts) > 1 else "")
            assert result.hint == task.exercise.hints[1]
        seen += len(mistakes)
    assert seen > 40


@pytest.mark.parametrize("code, words", [
    ("def kl_by_hand(mu, log_sigma):\n    return torch.zeros(len(mu))", "you returned [0, 0, 0, 0], expected ["),
    ("def kl_by_hand(mu, log_sigma):\n    mu * 2", "your function returns nothing: did you forget `return`?"),
    ("def kl_by_hand(mu):\n    return mu", "your function takes (mu), it is called with (m"),
    ("def kl_by_hand(mu, log_sigma):\n    return 1 / 0", "stopped with ZeroDivisionError: division by zero (case: 4 pictures"),
    ("def kl_by_hand(mu, log_sigma):\n    return {1, 2}", "you returned a set, expected ["),
    ("def kl_by_hand(mu, log_sigma):\n    return mu.mT @ mu", "shape (3, 3), expected (4,)"),
    ("kl_by_hand = 3", "the check got a "),
])
def test_feedback_says_what_the_notebook_would_have_said(code, words, tmp_path):
    notebook = solved("08_vae")
    cell_of(notebook, "ex-8-2").source = code
    marked = mark("08_vae", notebook, tmp_path)
    result = result_of(marked, "8.2")
    assert lost(marked) == ["8.2"] and words in result.feedback, result.feedback
    assert result.asked == "kl_by_hand(mu, log_sigma): (B, K), (B, K) -> (B,)." and result.misconception == ""


@pytest.mark.parametrize("way", ["torch.func.grad(lambda m: f(m + sigma * eps).mean())(mu)", "torch.vmap(slope)(mu + sigma * eps).mean(0)"], ids=["grad", "vmap"])
def test_a_given_function_inside_torch_func_is_said_to_be_out_of_place(way, tmp_path):
    notebook = solved("08_vae")
    cell_of(notebook, "ex-8-1").source = f"def two_ways(f, slope, mu, sigma, eps):\n    return {way}, (f(mu + sigma * eps)[:, None] * eps / sigma).mean(0)"
    marked = mark("08_vae", notebook, tmp_path)
    assert lost(marked) == ["8.1"] and "for a gradient use torch.autograd.grad" in result_of(marked, "8.1").feedback


def test_an_answer_learned_by_heart_from_the_public_seeds_earns_nothing(tmp_path):
    notebook = solved("08_vae")
    cell_of(notebook, "ex-8-2").source = ("import bank.vae as _bank\nseen = [a for seed in range(200) for a in _bank._posteriors(torch.Generator().manual_seed(seed)).values()]\n"
                                         "def kl_by_hand(mu, log_sigma):\n    return next(_bank._kl(m, s) for m, s in seen if m.shape == mu.shape and torch.equal(m, mu))")
    assert lost(mark("08_vae", notebook, tmp_path)) == ["8.2"]


def test_the_key_decides_the_seeds_and_they_are_fair():
    seeds = {seed_of(exercise, key) for exercise in ("8.1", "8.2", "7.1") for key in ("one", "two")}
    assert len(seeds) == 6 and min(seeds) >= 1000
    assert seed_of("8.2", "one") == seed_of("8.2", "one")
    exercise = find("8.2")
    part = exercise.parts[0]
    careless = type(part)(right=part.right, inputs=part.inputs, misconceptions=part.misconceptions | {"none": (part.right, "no mistake")})
    assert fair(exercise, 5000) and not fair(type(exercise)(**vars(exercise) | {"parts": (careless,)}), 5000)
    with pytest.raises(ValueError, match="key is ''"):
        Grader("exercises/08_vae/08_vae.ipynb", key="", sandbox=sandbox())


def test_every_function_that_is_taken_away_exists():
    for exercise, names in TAKEN.items():
        assert find(exercise)
        for name in names:
            owner, last = located(name)
            assert callable(getattr(owner, last)) or isinstance(getattr(owner, last), property)


def test_the_report_says_what_isolates(tmp_path):
    said = grader("08_vae").mark(tmp_path / "none.ipynb").isolation
    assert re.match(r"bubblewrap: no network|resource limits alone \(bubblewrap: .+\)", said) and "4 s, 512 MB, 8 processes, 1 MB a file" in said
    assert KEY not in said and module_of(find("8.2")) == "vae"
