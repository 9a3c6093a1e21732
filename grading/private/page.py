"""The notebook of a private chapter: what is asked, a start, an example, a grade cell for each exercise, and one derivation marked by hand."""
from __future__ import annotations

import nbformat
import torch
from nbformat import NotebookNode
from torch import Tensor

from deepgen_lib.checks.compare import agree, plain
from tools.sources import METADATA

from .prove import exercises_of, load
from .variant import Variant, module_text

POINTS, BY_HAND = 4, 3
RUBRIC = """| points | your text |
|:--|:--|
| 3 | every step follows from the one before, each says what it uses, and it ends at the formula that your function computes |
| 2 | the way is right, one step is missing or only stated |
| 1 | the beginning is right (what is summed or integrated, over which distribution), the formula is not reached |
| 0 | nothing yet, or a derivation for another model |"""


def notebook_of(chapter: str, variants: list[Variant]) -> NotebookNode:
    """nbgrader's source notebook: answers, hidden tests and the derivation's text stand in regions that the release takes out."""
    space = load(module_text(chapter, variants), chapter)
    exercises = {exercise.id: exercise for exercise in exercises_of(space)}
    cells = [_text(_opening(chapter, variants), "opening"), _code(f'import math\nimport torch\nfrom deepgen_lib.checks import graded\nchecks = graded("{chapter}")', "label-setup")]
    for variant in variants:
        number = variant.id.replace(".", "-")
        cells.append(_text(f"## {variant.id} {variant.title}   (graded, {POINTS} points, about {variant.minutes} minutes)\n\n{variant.prompt}\n\n{_arguments(variant)}", f"asked-{number}"))
        if variant.given:
            cells.append(_code(f"{variant.head(f'given_{variant.function}')}\n{_indented(variant.code(variant.given))}", f"given-{number}"))
        cells.append(_code(_start(variant), f"ex-{number}", grade_id=f"ex-{number}", solution=True))
        cells.append(_code(_example(variant, exercises[variant.id], space["PROOFS"][variant.id][-1]), f"example-{number}"))
        cells.append(_code(f"checks.{variant.function}({variant.function})\n### BEGIN HIDDEN TESTS\nchecks.{variant.function}({variant.function}, seed=1)\n### END HIDDEN TESTS", f"check-{number}", grade_id=f"check-{number}", grade=True, points=POINTS))
    cells += _derivation(variants[0])
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(METADATA))
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def rubric_of(chapter: str, variants: list[Variant]) -> str:
    """For whoever marks: what each exercise asks, which mistakes its check knows, and how the derivation is marked."""
    parts = [f"# Chapter {chapter}: how it is marked\n\nPRIVATE. Points come from the checks; the derivation is marked by hand.\n"]
    for v in variants:
        known = "\n".join(f"- *{name}*: {message}" for name, (_, message) in v.wrong.items())
        parts.append(f"## {v.id} {v.title} ({POINTS} points)\n\n{v.prompt}\n\nRight:\n\n```python\n{v.head(v.function)}\n{_indented(v.code(v.right))}\n```\n\nKnown mistakes, none of which earns points:\n\n{known}\n\nHints: {' '.join(v.hints)}\n")
    return "\n".join([*parts, f"## The derivation ({BY_HAND} points)\n\n{RUBRIC}\n\nWhat it should hold:\n\n{_model_text(variants[0])}\n"])


def _opening(chapter: str, variants: list[Variant]) -> str:
    rows = "\n".join(f"| {v.id} | {v.title} | {POINTS} | {v.minutes} |" for v in variants)
    return (f"# Graded exercises · chapter {int(chapter[:2])}\n\nThese exercises count. They look like those of the course and are not: models, signs, values or parameters differ, so read every formula. Write with torch alone.\n\n"
            f"| | exercise | points | minutes |\n|:--|:--|--:|--:|\n{rows}\n| | a derivation, marked by hand | {BY_HAND} | 20 |\n\n"
            "Below each start stands one example with its right answer. Your function is graded when you hand in, on other inputs; the library's own functions for what is asked are out of reach there. "
            "Everything is float64; logarithms are natural. Sizes: B pictures or rows, K dimensions or states, unless said otherwise.")


def _arguments(v: Variant) -> str:
    rows = "\n".join(f"| `{v.names[short]}` | {_symbol(short)} {shape} | {words} |" for short, (shape, words) in v.arguments.items())
    return f"| argument | in the text, size | what it is |\n|:--|:--|:--|\n{rows}\n\nReturn {v.gives}."


def _symbol(short: str) -> str:
    return {"beta": "β", "f": "", "q": "", "x": "x"}.get(short, short)


def _start(v: Variant) -> str:
    return f'{v.head(v.function)}\n    """{v.gives.replace(chr(36), "").replace(chr(92), "")}"""\n    ### BEGIN SOLUTION\n{_indented(v.code(v.right))}\n    ### END SOLUTION'


def _example(v: Variant, exercise, proof) -> str:
    """One call with numbers in it, and what is right there; with as few digits as leave answer and proof the same."""
    case = list(exercise.parts[0].inputs(torch.Generator().manual_seed(77)).values())[-1]
    for decimals in (2, 4, 6):
        arguments = [torch.round(a, decimals=decimals) if isinstance(a, Tensor) else a for a in case]
        answer = exercise.parts[0].right(*arguments)
        if agree(plain(answer), plain(proof(*arguments)), rtol=1e-4, atol=1e-5):
            break
    lines = [f"{v.names[short]} = {_literal(a)}" for short, a in zip(v.arguments, arguments)]
    return "\n".join(["# An example: not graded. Its right answer stands below, to four digits.", *lines, f"print({v.function}({', '.join(v.names.values())}))", *(f"# {line}" for line in _shown(answer).splitlines())])


def _literal(value) -> str:
    return f"torch.tensor({_rounded(value.tolist(), 6)}, dtype=torch.float64)" if isinstance(value, Tensor) else repr(value)


def _rounded(value, digits: int = 4):
    return [_rounded(x, digits) for x in value] if isinstance(value, list) else round(value, digits) + 0.0


def _shown(answer) -> str:
    return "\n".join(_shown(part) for part in answer) if isinstance(answer, (tuple, list)) else str(_rounded(answer.tolist()) if isinstance(answer, Tensor) else answer)


def _derivation(v: Variant) -> list[NotebookNode]:
    number = v.id.replace(".", "-")
    asked = (f"## A derivation for {v.id}   (graded by hand, {BY_HAND} points, about 20 minutes)\n\nDerive the formula that your function of {v.id} computes, from the definitions to the last line, in at most ten lines. "
             f"Say at each step what you use.\n\n{RUBRIC}")
    answer = f"*Ten lines are enough:*\n\n<!-- BEGIN SOLUTION -->\n{_model_text(v)}\n<!-- END SOLUTION -->"
    return [_text(asked, f"rubric-{number}", grade_id=f"rubric-{number}", locked=True), _text(answer, f"written-{number}", grade_id=f"written-{number}", grade=True, solution=True, points=BY_HAND)]


def _model_text(v: Variant) -> str:
    code = "; ".join(line.strip() for line in v.code(v.right).splitlines())
    return "\n\n".join([*(hint.replace("*Nudge.* ", "Where to begin: ").replace("*Equation.* ", "The equation: ").replace("*Pseudo-code.* ", "To the end: ") for hint in v.hints), f"It ends at: `{code}`"])


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in code.strip("\n").splitlines())


def _text(source: str, cell_id: str, **marks) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source, id=cell_id, metadata=_metadata(**marks))


def _code(source: str, cell_id: str, **marks) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=_metadata(**marks))


def _metadata(grade_id: str = "", *, grade: bool = False, solution: bool = False, points: int | None = None, locked: bool | None = None) -> dict:
    if not grade_id:
        return {}
    marks = {"grade": grade, "grade_id": grade_id, "locked": not solution if locked is None else locked, "schema_version": 3, "solution": solution, "task": False}
    return {"nbgrader": marks | ({"points": points} if points is not None else {})}
