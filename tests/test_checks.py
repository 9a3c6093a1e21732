"""Every exercise of every chapter: right answers pass, each known wrong answer hears its own message, the card is complete.

Nothing here knows a particular exercise; tests/right_answers holds the right answers, deepgen_lib/checks the wrong ones.
"""
import importlib.util
import inspect
from collections import Counter
from pathlib import Path

import pytest
import torch

from deepgen_lib import checks
from deepgen_lib.checks.engine import Exercise, Part

SEEDS = (0, 1, 2)
EXERCISES = checks.registered()
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: f"{e.id}-{e.name}")


def right_answers() -> dict[str, list]:
    """Exercise id -> right answers, from every file of tests/right_answers."""
    found = {}
    for path in sorted((Path(__file__).parent / "right_answers").glob("[!_]*.py")):
        spec = importlib.util.spec_from_file_location(f"right_answers_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert not (twice := found.keys() & module.RIGHT.keys()), f"{path.name}: {twice} has right answers in another file too"
        found |= module.RIGHT
    return found


RIGHT = right_answers()


def as_tuple(exercise: Exercise, answer) -> tuple:
    return answer if len(exercise.parts) > 1 else (answer,)


def wrong_answers(exercise: Exercise):
    """Each known wrong answer with the parts around it right: (name, answers, message)."""
    for position, part in enumerate(exercise.parts):
        for name, misconception in part.bank.items():
            answers = [p.right for p in exercise.parts]
            answers[position] = whole(part, misconception.wrong)
            yield f"{part.name} {name}".strip(), answers, misconception.message


def whole(part: Part, wrong):
    """A wrong dictionary may hold the tell-tale keys only; the others are then answered right."""
    return part.right | wrong if part.inputs is None and isinstance(part.right, dict) else wrong


def faults(exercise: Exercise, right: list) -> list[str]:
    """Everything that makes an exercise's check a bad one."""
    found = []
    if len(right) < 2:
        found.append(f"{len(right)} right answers in tests/right_answers, at least two wanted")
    if len({describe(answer) for answer in right}) < len(right):
        found.append("two of the right answers are the same")
    wrong = list(wrong_answers(exercise))
    if len(wrong) < 3:
        found.append(f"{len(wrong)} misconceptions, at least three wanted")
    found += [f"message given twice: {m}" for m, n in Counter(message for _, _, message in wrong).items() if n > 1]
    for seed in SEEDS:
        own = [part.right for part in exercise.parts]
        for number, answers in enumerate([own, *(as_tuple(exercise, answer) for answer in right)]):
            if (said := reaction(exercise, answers, seed)) is not None:
                found.append(f"right answer {number} refused with seed {seed}: {said}")
        for name, answers, message in wrong:
            said = reaction(exercise, answers, seed)
            if said is None:
                found.append(f"wrong answer '{name}' accepted with seed {seed}")
            elif message not in said:
                found.append(f"wrong answer '{name}' with seed {seed} hears another message: {said}")
    return found


def reaction(exercise: Exercise, answers, seed: int) -> str | None:
    try:
        exercise(*answers, seed=seed)
    except AssertionError as error:
        return str(error)
    return None


def describe(answer) -> object:
    """What tells two answers apart: the byte code of a function, else the value's text."""
    if isinstance(answer, tuple):
        return tuple(map(describe, answer))
    code = getattr(answer, "__code__", None)
    return (code.co_code, code.co_names, str(code.co_consts)) if code else repr(answer)


@each_exercise
def test_the_check_accepts_right_answers_and_names_each_known_mistake(exercise):
    assert not (found := faults(exercise, RIGHT.get(exercise.id, []))), "\n".join([f"exercise {exercise.id}:", *found])


@each_exercise
def test_another_seed_gives_other_inputs(exercise):
    """Else a hidden test repeats the visible one. An `inputs` whose argument is called `_` says that its cases are fixed."""
    for part in exercise.parts:
        if part.inputs and "_" not in inspect.signature(part.inputs).parameters:
            assert len({inputs_in_words(part, seed) for seed in SEEDS}) > 1, f"{exercise.id} {part.name}: seeds {SEEDS} give the same inputs"


def inputs_in_words(part: Part, seed: int) -> str:
    cases = part.inputs(torch.Generator().manual_seed(seed))
    return str([(sorted(argument.state_dict().items()) if isinstance(argument, torch.nn.Module) else argument.initial_seed()
                 if isinstance(argument, torch.Generator) else argument) for arguments in cases.values() for argument in arguments])


@each_exercise
def test_the_three_hints_differ_and_fit_a_glance(exercise):
    assert len(set(exercise.hints)) == 3 and all(len(hint) <= 400 for hint in exercise.hints)


def test_ids_and_names_are_unique_and_numbered_without_holes():
    assert len({e.id for e in EXERCISES}) == len({e.name for e in EXERCISES}) == len(EXERCISES)
    for chapter in {e.chapter for e in EXERCISES}:
        numbers = [int(e.id.split(".")[1]) for e in EXERCISES if e.chapter == chapter]
        assert numbers == list(range(1, len(numbers) + 1)), f"{chapter}: {numbers}"


def test_every_right_answer_belongs_to_an_exercise():
    assert not (RIGHT.keys() - {e.id for e in EXERCISES})


def test_each_check_is_found_by_its_name():
    for exercise in EXERCISES:
        assert getattr(checks, exercise.name) is exercise and exercise.name in dir(checks)
    with pytest.raises(AttributeError, match="checks has no 'nonsense'"):
        checks.nonsense


def toy(misconceptions, right=lambda x: x * x) -> Exercise:
    part = Part(right=right, inputs=lambda rng: {"": (torch.randn(5, generator=rng),)}, misconceptions=misconceptions)
    return Exercise(id="1.1", name="square", title="Square", level="core", minutes=5, chapter="01_gibbs_bound",
                    hints=("a", "b", "c"), success="squared", parts=(part,))


GOOD = {"double": (lambda x: 2 * x, "that is the double"), "cube": (lambda x: x**3, "that is the cube"), "size": (lambda x: x.abs(), "that is the size")}
TWO = [lambda x: x**2, lambda x: x.pow(2)]


@pytest.mark.parametrize("exercise, right, words", [
    (toy(GOOD), TWO, None),
    (toy({"cube": GOOD["cube"]}), TWO, "1 misconceptions"),
    (toy(GOOD), TWO[:1], "1 right answers"),
    (toy(GOOD), [TWO[0], lambda x: x**2], "the same"),
    (toy(GOOD), [*TWO, lambda x: x * x.abs()], "right answer 3 refused with seed 0"),
    (toy({**GOOD, "right": (lambda x: x**2, "no mistake")}), TWO, "wrong answer 'right' accepted with seed 2"),
    (toy({**GOOD, "again": (lambda x: x + x, "twice over")}), TWO, "wrong answer 'again' with seed 0 hears another message"),
    (toy({**GOOD, "copy": (lambda x: x + 1, "that is the cube")}), TWO, "message given twice: that is the cube"),
])
def test_a_bad_check_is_seen(exercise, right, words):
    found = faults(exercise, right)
    assert not found if words is None else any(words in fault for fault in found), found
