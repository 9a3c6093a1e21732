"""Do the numbers that the text quotes still stand in what the cells print?

In each paragraph that begins with "What to notice", every decimal number, and every whole number of nats or per cent, must occur, rounded as the text
rounds it and with its sign left aside, in an output or in the code above it. So a number that moved when a model or a seed changed is found.
"""
from __future__ import annotations

import re
from collections.abc import Iterator

from nbformat import NotebookNode

_PARAGRAPH = re.compile(r"\*\*What to notice\.\*\*(.*?)(?:\n\s*\n|\Z)", re.S)
_QUOTED = re.compile(r"(?<![\w.^{])(\d[\d,]*\.\d+|\d[\d,]*(?=\s*(?:nats|%|per cent)))(\s*(?:%|per cent))?")
_PRINTED = re.compile(r"\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?")


def unfounded(notebook: NotebookNode, name: str) -> list[str]:
    """Quoted numbers that nothing above them shows, each with its cell."""
    problems, seen = [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            seen |= set(_numbers(cell.source)) | {n for text in _texts(cell) for n in _numbers(text)}
            continue
        for paragraph in _PARAGRAPH.findall(cell.source):
            problems += [f"{name}, cell {cell.id}: the text says {number}, which no output above it shows; print it, or correct the text"
                         for number, value, digits in _quoted(paragraph) if not _shown(value, digits, seen)]
    return problems


def _quoted(paragraph: str) -> Iterator[tuple[str, float, int]]:
    """(as written, value, decimals)."""
    for number, percent in _QUOTED.findall(paragraph.replace("{,}", ",")):
        value, digits = float(number.replace(",", "")), len(number.partition(".")[2])
        yield number + percent, value, digits

def _shown(value: float, digits: int, seen: set[float]) -> bool:
    """Whether a number of the outputs rounds to the value; 62 % may have been printed as 0.62."""
    half = 0.5 * 10**-digits * (1 + 1e-9) + 1e-12
    return any(abs(s - value) <= half or abs(100 * s - value) <= half for s in seen)


def _numbers(text: str) -> Iterator[float]:
    for match in _PRINTED.findall(text):
        try:
            yield float(match.replace(",", ""))
        except ValueError:
            continue


def _texts(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        yield output.get("text", "")
        data = output.get("data", {})
        yield from (str(data[kind]) for kind in ("text/plain", "text/markdown") if kind in data)
