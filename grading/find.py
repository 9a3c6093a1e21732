"""Find a student's answer to an exercise in a handed-in notebook, whatever happened to its cells.

An answer is looked for by the names that the check is called with: first in the cells that still carry the exercise's grade_id,
then in any cell. The last definition that parses and is not the empty start counts. With it goes what it needs: helpers,
constants and imports from anywhere in the notebook, and where the student deleted them, from the untouched one. Nothing else of
the notebook is run, so what one exercise does cannot reach another.
"""
from __future__ import annotations

import builtins
import re
from typing import NamedTuple

from .assignment import Assignment, Task
from .notebook import Cell
from .statements import Statement, is_empty_start, is_import, statements_of

_SETTINGS = ("torch.set_default_dtype", "torch.manual_seed", "torch.set_grad_enabled")  # of the whole notebook, on an imported name


class Found(NamedTuple):
    statements: list[tuple[int, str]]  # (cell number, code), in the order to run them
    notes: list[str]                   # what was odd, in words for the student
    missing: dict[str, str]            # name -> why there is no answer of that name


class Submission(NamedTuple):
    cells: list[Cell]
    statements: list[Statement]
    broken: dict[int, str]             # cell number -> why it does not parse


def read_submission(cells: list[Cell]) -> Submission:
    statements, broken = [], {}
    for cell in cells:
        if cell.kind == "code":
            found, why = statements_of(cell)
            statements += found
            if why:
                broken[cell.number] = why
    return Submission(cells, statements, broken)


def find_answer(submission: Submission, assignment: Assignment, task: Task) -> Found:
    """The statements that make the answers of one exercise, and what to tell the student about how they were found."""
    notes: list[str] = []
    missing: dict[str, str] = {}
    chosen = []
    for name in task.names:
        definition = _definition(name, submission, assignment, task, notes)
        if isinstance(definition, str):
            missing[name] = definition
        else:
            chosen.append((name, definition))
    wanted = _with_needs(dict(chosen), submission, assignment) if chosen else []
    return Found([(statement.cell.number, statement.code) for statement in wanted], notes, missing)


def _definition(name: str, submission: Submission, assignment: Assignment, task: Task, notes: list[str]) -> Statement | str:
    """The statement that counts as the definition of `name`; or why there is none."""
    starts = assignment.statements
    everywhere = [s for s in submission.statements if name in s.binds]
    tagged = [s for s in everywhere if s.cell.grade_id in task.grade_ids]
    elsewhere = [s for s in everywhere if s.cell.grade_id not in task.grade_ids]
    written = [[s for s in group if not is_empty_start(s, starts, name)] for group in (tagged, elsewhere)]
    answers = written[0] or written[1] or _in_other_cells(name, submission, starts, notes)
    if not answers and any(name in s.changes for s in submission.statements):  # the start, filled in later: answers["a"] = ...
        answers = tagged or everywhere
    if not answers:
        return _why_missing(name, submission, bool(everywhere), any(name in s.binds for s in starts))
    last = answers[-1]
    if len(cells := sorted({s.cell.number for s in written[0] + written[1]})) > 1:
        notes.append(f"{name} is defined in {len(cells)} cells ({', '.join(map(str, cells))}); the one in cell {last.cell.number} counted")
    elif not written[0] and last.cell.kind == "code":
        notes.append(f"{name} was found in cell {last.cell.number}, which is not the exercise's own cell any more")
    return last


def _in_other_cells(name: str, submission: Submission, starts: tuple[Statement, ...], notes: list[str]) -> list[Statement]:
    """Definitions in cells that became text by accident."""
    found = []
    for cell in submission.cells:
        if cell.kind != "code" and re.search(rf"\b{re.escape(name)}\b", cell.source):
            found += [s for s in statements_of(cell)[0] if name in s.binds and not is_empty_start(s, starts, name)]
    if found:
        notes.append(f"{name} stands in cell {found[-1].cell.number}, which is a {found[-1].cell.kind} cell; it counted as code")
    return found


def _why_missing(name: str, submission: Submission, there: bool, given: bool) -> str:
    for number, why in submission.broken.items():
        cell = next(cell for cell in submission.cells if cell.number == number)
        if re.search(rf"^\s*(def\s+{re.escape(name)}\b|{re.escape(name)}\s*=)", cell.source, flags=re.MULTILINE):
            return f"{why}, so {name} cannot be read"
    if there:
        return "nothing is written yet, this is the empty start"
    return f"your notebook does not define {name}" + ("" if given else ": nothing is written yet")


def _with_needs(chosen: dict[str, Statement], submission: Submission, assignment: Assignment) -> list[Statement]:
    """The definitions and everything they need, in running order: the untouched notebook's part first, then imports."""
    theirs, given, imported = submission.statements, assignment.statements, _imported(submission.statements)
    place = {id(statement): index for index, statement in enumerate(theirs)}
    text = [s for s in chosen.values() if id(s) not in place]  # from cells that became text
    own = {s.cell.number for s in chosen.values()}
    kept: dict[int, Statement] = {}
    borrowed: dict[int, Statement] = {}
    todo = [name for s in text for name in s.needs]

    def keep(statements) -> None:
        for statement in statements:
            if id(statement) not in kept:
                kept[id(statement)] = statement
                todo.extend(statement.needs)
    keep(s for s in theirs if any(s is answer for answer in chosen.values()) or _sets_the_scene(s, own, imported))
    seen: set[str] = set()
    while todo or not seen >= set(chosen):
        name = todo.pop() if todo else next(name for name in chosen if name not in seen)
        if name in seen:
            continue
        seen.add(name)
        start = place.get(id(chosen[name]), -1) if name in chosen else -1
        if name not in imported:
            keep(s for s in theirs[start + 1:] if name in s.changes)
        if name in chosen:
            keep(s for s in theirs[:max(start, 0)] if name in s.binds and name in chosen[name].needs)  # x = 2 * x
            continue
        binding = [s for s in theirs if name in s.binds]
        keep([s for s in binding if s.cell.number <= max(own)] or binding)
        if not binding and not hasattr(builtins, name):
            for statement in given:
                if name in statement.binds and id(statement) not in borrowed:
                    borrowed[id(statement)] = statement
                    todo.extend(statement.needs)
    running = sorted(kept.values(), key=lambda s: (not is_import(s), place[id(s)]))
    return [s for s in given if id(s) in borrowed] + running + text


def _sets_the_scene(statement: Statement, own: set[int], imported: set[str]) -> bool:
    """A setting of torch, an import of everything, or a change to an imported module in the answer's own cell, which is the student's own affair."""
    if statement.code.startswith(_SETTINGS) or (is_import(statement) and statement.code.endswith("*")):
        return True
    return statement.cell.number in own and bool(statement.changes & imported) and not statement.code.startswith("checks.")


def _imported(statements: list[Statement]) -> set[str]:
    return {name for statement in statements if is_import(statement) for name in statement.binds}
