"""The class report: a notebook for the next lesson, without names. What it counts, and what it keeps quiet about, stands in class_counts.py.

    notebook = report(read_records(root))     # nbformat, not run: numbers stand in its cells, pictures come when it runs
"""
from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from deepgen_lib.checks import registered

from .class_counts import NOTHING, OTHER, SMALLEST, STOPPED, UNKNOWN, ChapterCounts, ExerciseCounts, chapter_counts, share
from .feedback import chapter_title
from .record import Record
from .tempting import kind_of

TOPICS, PICTURED = 3, 6
PRIVACY = (f"Nobody is named, and a group of fewer than {SMALLEST} is never a number of its own: in a small group a count is as good as a name, and who knows one of the two "
           "knows the other. Small groups are merged with their neighbours. Two reports made one hand-in apart say more than one, so pass on only the last.")


class Topic(NamedTuple):
    """One mistake that several made."""
    exercise: str
    title: str
    mistake: str
    count: int
    n: int
    hint: str


def report(records: Iterable[Record]) -> NotebookNode:
    """A notebook with one section for each chapter.  Raises ValueError when there is no record."""
    ordered = sorted(records, key=lambda record: record.chapter)
    if not ordered:
        raise ValueError("report: there are no records, expected some in grades/CHAPTER/; type make grade first")
    counted = [chapter_counts(chapter, list(group)) for chapter, group in groupby(ordered, key=lambda record: record.chapter)]
    cells = [_text("title", f"# Class report\n\n{PRIVACY}"), _code("set-up", "from deepgen_lib import plots")]
    for counts in counted:
        cells += chapter_cells(counts)
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}, "language_info": {"name": "python"}})
    nbformat.validate(notebook)
    return notebook


def chapter_cells(counts: ChapterCounts) -> list[NotebookNode]:
    """Text and code of one chapter."""
    name = counts.chapter.replace("_", "-")
    title = f"## {chapter_title(counts.chapter).capitalize()}"
    if not counts.n:
        return [_text(f"{name}-title", f"{title}\n\nFewer than {SMALLEST} hand-ins: nothing is counted, since every number would be about one person.")]
    found = topics(counts)
    cells = [_text(f"{name}-title", f"{title}\n\n{counts.n} hand-ins, on average {100 * counts.mean:.0f} % of the checks' points, before anything is taken off for being late."),
             _text(f"{name}-topics", _talk(counts, found)), *_solved(name, counts)]
    if found:
        cells += _mistakes(name, counts, found)
    cells += _others(name, counts)
    if any(one.parts for one in counts.exercises):
        cells += _parts(name, counts)
    return cells + _spread(name, counts)


def topics(counts: ChapterCounts) -> list[Topic]:
    """Known mistakes of at least 3 students, the most frequent first."""
    found = [Topic(one.id, one.title, name, count, one.n, one.hints.get(name, "")) for one in counts.exercises for name, count in one.reasons.items()
             if name not in (OTHER, NOTHING, STOPPED, UNKNOWN)]
    return sorted(found, key=lambda topic: (-topic.count, topic.exercise, topic.mistake))


def _talk(counts: ChapterCounts, found: list[Topic]) -> str:
    lines = ["### What to talk about next lesson", ""]
    for number, topic in enumerate(found[:TOPICS], 1):
        message, question = message_of(topic.exercise, topic.mistake)
        says = f": {message.rstrip('.')}" if message else ""
        lines += [f"{number}. **{topic.mistake}**, in {topic.exercise} ({topic.title}), {topic.count} of {topic.n}{says}.",
                  f"    - Why it is tempting: {kind_of(topic.mistake, message, question=question).why}", f"    - A hint: {topic.hint}" if topic.hint else ""]
    if not found:
        lines.append(f"No known mistake was made by {SMALLEST} or more.")
    hardest = min(counts.exercises, key=lambda one: one.solved / one.n)
    return "\n".join([*filter(None, lines[:1]), "", *filter(None, lines[2:]), "", f"The hardest was {hardest.id}, {hardest.title}: solved by {share(hardest.solved, hardest.n)}."])


def message_of(exercise: str, mistake: str) -> tuple[str, bool]:
    """What the bank says of a mistake, "" when it is in none; and whether its part asks for a choice."""
    for one in registered():
        for part in one.parts if one.id == exercise else ():
            if mistake in part.misconceptions:
                return part.bank[mistake].message, part.inputs is None
    return "", False


def _solved(name: str, counts: ChapterCounts) -> list[NotebookNode]:
    shown = {one.id: 0 if one.solved < SMALLEST else one.n if one.n - one.solved < SMALLEST else one.solved for one in counts.exercises}
    rows = {f"{one.id} {one.title}": [share(one.solved, one.n), *_first_reason(one)] for one in counts.exercises}
    picture = [f"solved, n = {_literal(shown)}, {counts.n}", 'series = {"solved": list(solved.values()), "not yet": [n - count for count in solved.values()]}',
               'plots.bars(list(solved), series, stacked=True, xlabel="exercise", ylabel=f"students of {n}",', f'           says="Solved, by exercise. A bar of one colour may hold up to {SMALLEST - 1} of the other.")']
    return [_text(f"{name}-solved", "### Who solved what"), _code(f"{name}-solved-table", _table(rows, ["solved", "most frequent reason", "students"])), _code(f"{name}-solved-picture", "\n".join(picture))]


def _first_reason(one: ExerciseCounts) -> list[str]:
    reasons = [(reason, count) for reason, count in one.reasons.items() if reason != OTHER]
    return [reasons[0][0], str(reasons[0][1])] if reasons else [f"none of {SMALLEST} or more", ""]


def _mistakes(name: str, counts: ChapterCounts, found: list[Topic]) -> list[NotebookNode]:
    rows = {f"{topic.exercise} {topic.mistake}": [topic.count, message_of(topic.exercise, topic.mistake)[0]] for topic in found}
    bars = {"\n".join(textwrap.wrap(f"{topic.exercise} {topic.mistake}", 13)): topic.count for topic in found[:PICTURED]}
    picture = [f"mistakes = {_literal(bars)}", 'plots.bars(list(mistakes), list(mistakes.values()),', f'           ylabel="students of {counts.n}", says="The most frequent known mistakes.")']
    note = f"### Known mistakes\n\nCounted once for each student and exercise. A mistake of fewer than {SMALLEST} is left out."
    return [_text(f"{name}-mistakes", note), _code(f"{name}-mistakes-table", _table(rows, ["students", "what it is"])), _code(f"{name}-mistakes-picture", "\n".join(picture))]


def _others(name: str, counts: ChapterCounts) -> list[NotebookNode]:
    """Why else an exercise was not solved, where 3 or more share the reason."""
    kinds = (UNKNOWN, STOPPED, NOTHING)
    rows = {f"{one.id} {one.title}": [str(one.reasons.get(kind, "")) for kind in kinds] for one in counts.exercises if any(kind in one.reasons for kind in kinds)}
    words = f"### Other reasons\n\nMany answers with no known mistake? Read some of them: the bank of the exercise lacks one. Left empty where fewer than {SMALLEST}."
    return [_text(f"{name}-others", words), _code(f"{name}-others-table", _table(rows, list(kinds)))] if rows else []


def _parts(name: str, counts: ChapterCounts) -> list[NotebookNode]:
    rows = {f"{one.id} {part}": [count] for one in counts.exercises for part, count in one.parts.items()}
    words = "### The part that failed first\n\nOf exercises with several answers, which are checked in this order of the notebook: the first one that is not right."
    return [_text(f"{name}-parts", words), _code(f"{name}-parts-table", _table(rows, ["students"]))] if rows else []


def _spread(name: str, counts: ChapterCounts) -> list[NotebookNode]:
    cells = [_text(f"{name}-points", "### Points, and time\n\nShares of the checks' points, before anything is taken off; how late hand-ins came.")]
    for what, groups, label, says in (("points", counts.points, "share of the points", "Students by their share of the points."), ("late", counts.late, "late by", "Students by how late they handed in.")):
        code = [f"{what} = {_literal(groups)}", f'plots.bars(list({what}), list({what}.values()), xlabel="{label}",', f'           ylabel="students of {counts.n}", says="{says}")']
        cells.append(_code(f"{name}-{what}-picture", "\n".join(code)))
    return cells


def _table(rows: dict[str, list], columns: list[str]) -> str:
    lines = [f"    {json.dumps(row, ensure_ascii=False)}: {json.dumps(values, ensure_ascii=False)}," for row, values in rows.items()]
    return "\n".join(["rows = {", *lines, "}", f'plots.table(rows, columns={json.dumps(columns)}, corner="exercise")'])


def _literal(values: dict[str, int]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _text(cell_id: str, source: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source, id=cell_id[:64])


def _code(cell_id: str, source: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, id=cell_id[:64], metadata={"jupyter": {"source_hidden": True}})  # a click shows it
