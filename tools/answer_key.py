"""The answer key, for teachers:  make key [ARGS="CHAPTER ..."]  writes one page per chapter into answers/ (not under version control).

For each exercise: the task with its points and minutes, a right answer, other right ways, the mistakes that the check knows with what to
say to each, and the three hints. All of it is read where it lives: source/solutions, tests/right_answers and deepgen_lib/checks.
"""
from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from nbformat import NotebookNode

from deepgen_lib.checks import registered
from deepgen_lib.checks.engine import Exercise
from tools.sheet import page, to_html
from tools.sources import ROOT, find_sources, read_inputs
from tools.writing import write_whole

ENDS = {"### BEGIN SOLUTION", "### END SOLUTION"}
HIDDEN = re.compile(r"^### BEGIN HIDDEN TESTS$.*?^### END HIDDEN TESTS$\n?", re.S | re.M)
MAX_SHOWN = 300  # characters of a value


class Task(NamedTuple):
    """An exercise as its notebook has it."""
    text: str        # Markdown, from its heading on
    answer: str      # the solution's code
    check: str       # the call that checks it
    points: float


def tasks(solution: NotebookNode) -> dict[str, Task]:
    """Exercise id -> task, from a solution's inputs.  Raises ValueError for an exercise without a heading or without an answer."""
    found, text, answers = {}, "", []
    for cell in solution.cells:
        marks = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and re.match(r"## \d+\.\d+ ", cell.source):
            text, answers = cell.source, []
        elif cell.cell_type == "markdown" and text:
            text += "\n\n" + cell.source
        elif marks.get("solution"):
            answers.append("\n".join(line for line in cell.source.splitlines() if line.strip() not in ENDS))
        elif marks.get("grade"):
            number = re.match(r"## (\d+\.\d+) ", text)
            if not number or not answers:
                raise ValueError(f"tasks: the check {cell.id} has no heading '## N.M ...' or no answer above it; expected both")
            found[number[1]] = Task(text, "\n\n".join(answers), HIDDEN.sub("", cell.source).strip(), found[number[1]].points + marks["points"] if number[1] in found else marks["points"])
    return found


def right_answers(folder: Path = ROOT / "tests" / "right_answers") -> dict[str, list]:
    """Exercise id -> right answers in other words, each a value, a function or a tuple of them."""
    found: dict[str, list] = {}
    for path in sorted(folder.glob("[!_]*.py")):
        spec = importlib.util.spec_from_file_location(f"key_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= module.RIGHT
    return found


def as_code(answer) -> str:
    """How an answer was written: the source of a function or class, else the value itself, shortened."""
    if isinstance(answer, tuple) and not hasattr(answer, "_fields"):
        return "\n\n".join(dict.fromkeys(map(as_code, answer)))
    source = inspect.unwrap(answer) if callable(answer) else answer
    code = getattr(source, "__code__", None)
    if code is not None and code.co_name == "<lambda>":
        return _lambda(code)
    if code is not None or inspect.isclass(source):
        return textwrap.dedent(inspect.getsource(source)).rstrip()
    if isinstance(answer, torch.Tensor):
        return textwrap.shorten(f"tensor({answer.tolist()})", MAX_SHOWN)
    return textwrap.shorten(re.sub(r" at 0x[0-9a-f]+", "", repr(answer)), MAX_SHOWN)


def _lambda(code) -> str:
    """The text of one lambda, which may stand in the middle of a line."""
    text = Path(code.co_filename).read_text(encoding="utf-8")
    placed = sorted((line, column) for line, _, column, end in code.co_positions() if line and column is not None and end)
    first = placed[0] if placed else (0, 0)
    around = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda) and node.lineno <= first[0] <= node.end_lineno
              and (node.lineno, node.col_offset) <= first <= (node.end_lineno, node.end_col_offset)]
    node = max(around, key=lambda node: (node.lineno, node.col_offset), default=None)
    return textwrap.dedent(ast.get_source_segment(text, node)) if node else "(a short function)"


def key(exercise: Exercise, task: Task, others: list) -> str:
    """The Markdown of one exercise."""
    lines = [f"{task.text}\n", f"**{task.points:g} points, {exercise.minutes} minutes, {exercise.level}.**\n", "### A right answer\n", _fenced(task.answer)]
    lines += [f"A right one hears: *{exercise.success}*. The check: `{task.check.splitlines()[-1]}`\n"]
    for number, other in enumerate(others, start=1):
        lines += [f"### Another right way ({number})\n", _fenced(as_code(other))]
    lines += ["### Common mistakes\n"]
    shown = set()
    for part in exercise.parts:
        for name, mistake in part.bank.items():
            where = f" ({part.name})" if part.name and len(exercise.parts) > 1 else ""
            code = as_code(mistake.wrong)
            lines.append(f"**{name}**{where}. Say: {mistake.message}.{'' if code in shown else ' You know it by an answer like'}\n")
            lines += [] if code in shown else [_fenced(code)]  # several mistakes may be made by one function
            shown.add(code)
    lines += ["### Hints, in the order in which a student gets them\n", *(f"{number}. {hint}\n" for number, hint in enumerate(exercise.hints, start=1))]
    return "\n".join(lines)


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```\n"


def chapter_key(stem: str, solution: NotebookNode, right: dict[str, list]) -> str:
    """The whole HTML page of one chapter.  Raises ValueError where notebook and checks name different exercises."""
    exercises, found = [exercise for exercise in registered() if exercise.chapter == stem], tasks(solution)
    if {exercise.id for exercise in exercises} != set(found):
        raise ValueError(f"chapter_key: {stem} has the tasks {', '.join(found)}, but checks for {', '.join(e.id for e in exercises)}; expected the same")
    total = sum(task.points for task in found.values())
    head = (f"# Answer key: {solution.cells[0].source.splitlines()[0].lstrip('# ')}\n\n{len(found)} exercises, {total:g} points, "
            f"{sum(e.minutes for e in exercises)} minutes. For teachers. Everything here is public in the course's repository: what it grades is practice.\n")
    return page(f"Answer key {stem}", to_html("\n\n".join([head, *(key(e, found[e.id], right.get(e.id, [])) for e in exercises)])))


def build(folder: Path, *, chapters: list[str] = (), root: Path = ROOT) -> Iterator[Path]:
    """Write the keys of the chosen chapters; yields each page when it is written."""
    sources = find_sources(root, kinds=("solutions",))
    for chapter in chapters:
        if not any(source.stem.startswith(chapter) for source in sources):
            raise ValueError(f"answer_key: no chapter with exercises starts with {chapter!r}, expected one of {', '.join(source.stem for source in sources)}")
    right = right_answers(root / "tests" / "right_answers")
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.stem.startswith(tuple(chapters or [""])):
            path = folder / f"{source.stem}.html"
            write_whole(path, chapter_key(source.stem, read_inputs(source.text), right))
            yield path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make key", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all")
    parser.add_argument("--to", type=Path, default=ROOT / "answers", metavar="FOLDER", help="where the keys go (default answers/)")
    options = parser.parse_args(arguments)
    try:
        for path in build(options.to, chapters=options.chapters):
            print(path)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
