"""A class of simulated students over three chapters, each hand-in with the points that it must get.

    for hand_in in make_class(facts): ...     # 200, always the same for a seed, in an order where attacks stand among all others

Right answers (the solution's, and those of tests/right_answers), every wrong answer of the banks, empty and broken ones, cells deleted, doubled, split, moved and
retyped, files that are no notebooks, and the attacks of class_attacks.py. Every hand-in is whole: what it needs of the banks stands in a cell of its own.
"""
from __future__ import annotations

import copy
import functools
import json
import random
import re
from collections.abc import Callable
from typing import NamedTuple

import nbformat

from grading.assignment import Task, read_assignment
from tests import class_edits
from tests.class_attacks import ATTACKS, written
from tests.grading_class import answer_with, cell_of, module_of, released, solved
from tests.test_checks import RIGHT
from tools.sources import ROOT, built_path

TARGETS = {"02_rbm": ("2.1", "2.2", "2.4"), "08_vae": ("8.2", "8.3"), "12_nvae_kl": ("12.1",)}  # where attacks go: one function, whose check stands alone
CHAPTERS = tuple(TARGETS)
BY_LIBRARY = {("2.1", 0), ("2.7", 0), ("8.3", 0), ("12.1", 1), ("12.2", 0), ("12.4", 1), ("12.6", 1)}  # right answers that call what is asked for
_OPENER = '''
def _open_books():
    import sys, types
    card = type("Card", (), {"__init__": lambda self, **about: self.__dict__.update(about)})
    for name, text in _TEXTS.items():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(Exercise=card, Part=card, register=lambda exercise: exercise)
        exec(text, sys.modules[name].__dict__)
    return sys.modules
_BOOKS = _open_books()'''


class HandIn(NamedTuple):
    student: str
    chapter: str
    kind: str                   # "wrong", "attack: reads: read the key", ...
    content: bytes              # of the file
    zeros: dict[str, str]       # exercise -> name of the known mistake, or ""; all others get full points
    damaged: bool               # no exercise gets anything, and the trouble is named


def make_class(facts: dict[str, str], *, size: int = 200, seed: int = 8) -> list[HandIn]:
    """`facts`: what attacks need to know, see class_attacks.written."""
    rng = random.Random(seed)
    made = [*_wrong(rng), *_attacks(facts, rng), *_edited(), *_empty(), *_damaged()]
    made += [_right(CHAPTERS[n % 3], way, rng) for n, way in zip(range(size - len(made)), [*[None] * 3, *[0] * 3, *[1] * 3, *["mixed"] * size])]
    rng.shuffle(made)
    return [hand_in._replace(student=f"s{number:03d}") for number, hand_in in enumerate(made[:size], 1)]


def small_class(facts: dict[str, str], kinds: Callable[[str], bool]) -> list[HandIn]:
    """Those of the large class whose kind is asked for, the first of each."""
    chosen: dict[str, HandIn] = {}
    for hand_in in make_class(facts):
        if kinds(hand_in.kind):
            chosen.setdefault(hand_in.kind, hand_in)
    return list(chosen.values())


@functools.cache
def tasks_of(chapter: str) -> tuple[Task, ...]:
    return read_assignment(built_path(ROOT, "exercises", chapter)).tasks


def _wrong(rng: random.Random) -> list[HandIn]:
    """Every wrong answer of the banks, four of different exercises in a hand-in."""
    made = []
    for chapter in CHAPTERS:
        waiting = {task.exercise.id: [(task, number, name) for number, part in enumerate(task.exercise.parts) for name in part.bank] for task in tasks_of(chapter)}
        while any(waiting.values()):
            longest = sorted(waiting, key=lambda exercise: -len(waiting[exercise]))[:4]
            mistakes = [waiting[exercise].pop() for exercise in longest if waiting[exercise]]
            notebook, used = _mixed(chapter, rng)
            for task, number, name in mistakes:
                answer_with(notebook, task.grade_ids, _from_bank(task, number, name))
                used.add(f"bank_{module_of(task.exercise)}")
            made.append(_hand_in(chapter, "wrong", _with_books(notebook, used), {task.exercise.id: name for task, _, name in mistakes}))
    return made


def _attacks(facts: dict[str, str], rng: random.Random) -> list[HandIn]:
    made = []
    for number, (kind, code) in enumerate(ATTACKS.items()):
        chapter = CHAPTERS[number % 3]
        target = rng.choice(TARGETS[chapter])
        task, = [task for task in tasks_of(chapter) if task.exercise.id == target]
        notebook, used = _mixed(chapter, rng)
        own = facts | {"KEY": f"{facts['ROOT_FOLDER']}/deepgen_lib/checks/{module_of(task.exercise)}.py"}
        answer_with(notebook, task.grade_ids, written(code, name=task.names[0], check=task.exercise.name, exercise=target, facts=own))
        made.append(_hand_in(chapter, f"attack: {kind}", _with_books(notebook, used), {target: ""}))
    return made


def _right(chapter: str, way: int | str | None, rng: random.Random) -> HandIn:
    """`way`: None for the solution, 0 or 1 for the right answer of that number, "mixed" for some of each."""
    if way == "mixed":
        notebook, used = _mixed(chapter, rng)
        return _hand_in(chapter, "right", _with_books(notebook, used), {})
    notebook, used, zeros = solved(chapter), set(), {}
    for task in tasks_of(chapter) if way is not None else ():
        used.add(_answer(notebook, task, way))
        zeros |= {task.exercise.id: ""} if (task.exercise.id, way) in BY_LIBRARY else {}
    return _hand_in(chapter, "the library's own answer" if zeros else "right", _with_books(notebook, used), zeros)


def _edited() -> list[HandIn]:
    """What happens to cells; in every chapter something, in each another thing."""
    made = []
    for number, (kind, (edit, counts)) in enumerate(class_edits.EDITS.items()):
        chapter = CHAPTERS[number % 3]
        target = TARGETS[chapter][0]
        task, = [task for task in tasks_of(chapter) if task.exercise.id == target]
        notebook = solved(chapter)
        edit(notebook, cell_of(notebook, task.grade_ids[0]), task.names[0])
        made.append(_hand_in(chapter, f"cells: {kind}", notebook, {} if counts else {target: ""}))
    return made


def _empty() -> list[HandIn]:
    made = []
    for chapter in CHAPTERS:
        everything = {task.exercise.id: "" for task in tasks_of(chapter)}
        blank, broken = released(chapter), solved(chapter)
        for cell in blank.cells:
            cell.source = "" if cell.cell_type == "code" else cell.source
        target, *_ = [task for task in tasks_of(chapter) if task.exercise.id == TARGETS[chapter][0]]
        cell_of(broken, target.grade_ids[0]).source = f"def {target.names[0]}(*a)\n    return ("
        made += [_hand_in(chapter, "start", released(chapter), everything), _hand_in(chapter, "blank", blank, everything),
                 _hand_in(chapter, "syntax error", broken, {target.exercise.id: ""})]
    return made


def _damaged() -> list[HandIn]:
    made = []
    for number, content in enumerate(class_edits.damaged(json.dumps(released(CHAPTERS[0])).encode())):
        chapter = CHAPTERS[number % 3]
        made.append(HandIn("", chapter, "damaged file", content, {task.exercise.id: "" for task in tasks_of(chapter)}, True))
    return made


def _mixed(chapter: str, rng: random.Random) -> tuple[nbformat.NotebookNode, set[str]]:
    """Every exercise answered right, in one of the known ways; and the books it needs."""
    notebook, used = copy.deepcopy(solved(chapter)), set()
    for task in tasks_of(chapter):
        ways = [None, *(way for way in range(len(RIGHT[task.exercise.id])) if (task.exercise.id, way) not in BY_LIBRARY)]
        if (way := rng.choice(ways)) is not None:
            used.add(_answer(notebook, task, way))
    return notebook, used


def _answer(notebook, task: Task, way: int) -> str:
    """Answer an exercise in one of the right ways. -> the book which holds it."""
    book = f"right_{_right_module(task.exercise.id)}"
    several = isinstance(RIGHT[task.exercise.id][way], tuple) and len(task.names) > 1
    answer_with(notebook, task.grade_ids, f"{', '.join(task.names)} = _BOOKS[{book!r}].RIGHT[{task.exercise.id!r}][{way}]" if several else
                f"{task.names[0]} = _BOOKS[{book!r}].RIGHT[{task.exercise.id!r}][{way}]")
    return book


def _from_bank(task: Task, part: int, wrong: str) -> str:
    lines = []
    for number, name in enumerate(task.names):
        own = f"_BOOKS['bank_{module_of(task.exercise)}'].{task.exercise.name}.parts[{number}]"
        filled = task.exercise.parts[number].inputs is None and isinstance(task.exercise.parts[number].right, dict)
        lines.append(f"{name} = {own}.right" if number != part else f"{name} = {f'{own}.right | ' if filled else ''}{own}.misconceptions[{wrong!r}][0]")
    return "\n".join(lines)


@functools.cache
def _right_module(exercise: str) -> str:
    return next(path.stem for path in (ROOT / "tests/right_answers").glob("[!_]*.py") if f'\n    "{exercise}": [' in path.read_text())


@functools.cache
def _book(name: str) -> str:
    """The text of a file of the banks ("bank_vae") or of the right answers ("right_vae"), to be run on its own."""
    kind, _, stem = name.partition("_")
    text = (ROOT / {"bank": "deepgen_lib/checks", "right": "tests/right_answers"}[kind] / f"{stem}.py").read_text()
    text = re.sub(r"^from \.engine import .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^from \.\.(?=\w)", "from deepgen_lib.", text, flags=re.MULTILINE)
    return re.sub(r"^from \.(?=\w)", "from bank_", text, flags=re.MULTILINE)


def _with_books(notebook, names: set[str]):
    """A first cell with the texts that the answers refer to, those first that others import."""
    needed = names | {f"bank_{other}" for name in names for other in re.findall(r"^from bank_(\w+)", _book(name), flags=re.MULTILINE)}
    if needed:
        ordered = sorted(needed, key=lambda name: "from bank_" in _book(name))
        notebook.cells.insert(0, nbformat.v4.new_code_cell(f"_TEXTS = { {name: _book(name) for name in ordered}!r}{_OPENER}", id="books"))
    return notebook


def _hand_in(chapter: str, kind: str, notebook, zeros: dict[str, str]) -> HandIn:
    return HandIn("", chapter, kind, json.dumps(notebook).encode(), zeros, False)
