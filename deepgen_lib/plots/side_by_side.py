"""Figures of chapter 13: scores with the kind of number they are, sheets without names, models in the order of a measure.

A score's mark says where the truth lies: a dot is exact, a triangle points to the side on which the truth may be, a diamond may be wrong on both.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from .controls import explorable
from .images import draw_images
from .inputs import array
from .picture import Picture
from .style import BLACK, GREY, colour, drawing

LETTERS = "ABCDEFGHIJ"
SIDES = {"exact": ("o", "exact"), "above": (">", "truth is higher or equal"), "below": ("<", "truth is lower, on average"), "either": ("D", "truth on either side")}


class Score(NamedTuple):
    """A model's number in nats per picture, its error bar, and where the truth lies: "exact", "above", "below" or "either"."""
    value: float
    low: float
    high: float
    side: str = "exact"


class Measure(NamedTuple):
    """One measure of several models: {name: value}, its unit, and whether more of it is better."""
    values: Mapping[str, float]
    unit: str
    more_is_better: bool = True


def kinds(scores: Mapping[str, Score], *, truth: Mapping[str, float] | None = None, ceiling: float | None = None, xlabel: str = "log-likelihood, nats per picture", says: str = "") -> Picture:
    """One line a model, in the order given from the top; each score by a mark that says what kind of number it is.

    truth {name: exact score} is drawn as a black tick where it is known; ceiling: a line that no model can pass.
    """
    found = {name: (array("kinds", score[:3], ndim=1, name=name), _side(score.side)) for name, score in scores.items()}
    with drawing(width=8.6, height=1.35 + 0.4 * len(found)) as (figure, axis):
        for side, (marker, words) in SIDES.items():
            own = [(-place, numbers) for place, (numbers, kind) in enumerate(found.values()) if kind == side]
            if own:
                places, (value, low, high) = [place for place, _ in own], np.array([numbers for _, numbers in own]).T
                axis.errorbar(value, places, xerr=[value - low, high - value], fmt=marker, color=_COLOURS[side], capsize=4, markersize=8, label=words)
        known = [(value, -list(found).index(name)) for name, value in (truth or {}).items()]
        if known:
            axis.plot(*zip(*known), "|", color=BLACK, markersize=17, markeredgewidth=2, label="the exact value")
        if ceiling is not None:
            axis.axvline(ceiling, color=GREY, linestyle=":", label="no model can do better")
        axis.set_yticks([-place for place in range(len(found))], list(found))
        axis.set(xlabel=xlabel, ylim=(0.6 - len(found), 0.6))
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return Picture(figure, says=says)


def blind(sheets: Mapping[str, Tensor], order: Sequence[str], *, columns: int = 10) -> Callable[..., Picture]:
    """A render(sheet=..., names=...): one sheet of samples at a time under its letter; the name only when names is "shown".

    sheets {name: (N, 784)}, order: their names, the first of which is called A.
    """
    letters = _lettered("blind", sheets, order)
    says = {"hidden": "Whose samples are these?", "shown": "Samples, and whose they are."}

    @explorable(sheet=list(letters), names=["hidden", "shown"])
    def render(*, sheet: str = "A", names: str = "hidden") -> Picture:
        whose = f": {letters[sheet]}" if names == "shown" else ""
        found = sheets[letters[sheet]]
        with drawing(width=0.62 * columns + 0.4, height=0.62 * (len(found) // columns) + 0.7) as (figure, axis):
            draw_images(axis, found, columns=columns)
            axis.set_title(f"Sheet {sheet}{whose}")
        return Picture(figure, says=says[names])

    return render


def all_sheets(sheets: Mapping[str, Tensor], order: Sequence[str], *, says: str = "") -> Picture:
    """Every sheet as one row under its letter.  sheets {name: (N, 784)}, N alike."""
    letters = _lettered("all_sheets", sheets, order)
    n = min(len(sheets[name]) for name in order)
    tiles = np.concatenate([array("all_sheets", sheets[name][:n], name=name) for name in letters.values()])
    with drawing(width=0.62 * n + 0.6, height=0.62 * len(letters) + 0.3) as (figure, axis):
        draw_images(axis, tiles, columns=n, row_labels=list(letters))
    return Picture(figure, says=says)


def best_by(measures: Mapping[str, Measure], order: Sequence[str]) -> Callable[..., Picture]:
    """A render(measure=..., names=...): the models as bars, the best by that measure on top, under letters or names.

    A model without a value for a measure is left out there. order: the names in the order of their letters.
    """
    letters = {name: letter for letter, name in zip(LETTERS, order)}
    for title, measure in measures.items():
        if unknown := set(measure.values) - set(order):
            raise ValueError(f"best_by: {title!r} has values for {', '.join(sorted(unknown))}, expected models among {', '.join(order)}; name the same models everywhere")
        array("best_by", list(measure.values.values()), ndim=1, name=title)

    @explorable(measure=list(measures), names=["hidden", "shown"])
    def render(*, measure: str = next(iter(measures)), names: str = "hidden") -> Picture:
        values, unit, more = measures[measure]
        best_first = sorted(values, key=values.get, reverse=more)
        numbers = [float(values[name]) for name in best_first]
        with drawing(width=8.2, height=1.3 + 0.4 * len(order)) as (figure, axis):
            axis.barh(range(len(numbers)), numbers, color=colour("model"), label=measure)
            for place, number in enumerate(numbers):
                axis.text(number, place, f" {number:,.4g} ".replace("-", "−"), va="center", ha="left" if number >= 0 else "right", fontsize=10, gid="cell")
            axis.set_yticks(range(len(numbers)), [letters[name] if names == "hidden" else name for name in best_first])
            axis.set(xlabel=unit, xlim=_room(numbers), ylim=(len(order) - 0.4, -0.6), title=f"{measure}: best on top")
            axis.grid(axis="y", visible=False)
        return Picture(figure, says="Which model is best? It depends on what is asked.")

    return render


_COLOURS = {"exact": colour("model"), "above": colour("bound"), "below": colour("estimate"), "either": colour("q")}


def _side(side: str) -> str:
    if side not in SIDES:
        raise ValueError(f"kinds: got side {side!r}, expected one of {', '.join(SIDES)}; it says where the truth lies")
    return side


def _lettered(where: str, sheets: Mapping[str, Tensor], order: Sequence[str]) -> dict[str, str]:
    """{letter: name}."""
    if sorted(sheets) != sorted(order) or not 2 <= len(sheets) <= len(LETTERS):
        raise ValueError(f"{where}: got sheets of {', '.join(sheets)} in the order {', '.join(order)}, expected the same 2 to {len(LETTERS)} names, each once; order them by a shuffle of list(sheets)")
    return dict(zip(LETTERS, order))


def _room(numbers: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis with room for the numbers written beside the bars."""
    low, high = min(0, *numbers), max(0, *numbers)
    return 1.25 * low, 1.25 * high
