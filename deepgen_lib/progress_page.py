"""How far the student is: chapters read, predictions right, exercises solved, from the file that record.py keeps on their machine.

    progress()        in a notebook a table with a button to refresh it; where no kernel runs, the same in words
"""
from __future__ import annotations

import html
from typing import NamedTuple

import ipywidgets

from . import record
from .syllabus import Chapter, chapters_in
from .typed import WIDGET_VIEW

PURPOSE = "Your progress: chapters read, predictions right, exercises solved. It fills as you work, and stays on your machine."


class Standing(NamedTuple):
    """How far one chapter is."""
    chapter: Chapter
    n_read: int    # of its steps: claims run, answers shown
    n_made: int    # of its predictions
    n_right: int   # of those
    n_solved: int  # of its exercises
    n_tried: int   # of its exercises, not solved yet

    @property
    def is_read(self) -> bool:
        return 0 < self.chapter.n_steps == self.n_read

    @property
    def is_begun(self) -> bool:
        return any(self[1:])


def progress() -> Progress:
    """Chapters read, predictions right, exercises solved so far; the last line of a cell shows it."""
    return Progress()


def standing(chapter: Chapter, entries: dict[str, dict[str, dict]]) -> Standing:
    """How far a chapter is by these entries, record.everything()."""
    predictions = [entries["predictions"].get(key, {}) for key in chapter.predictions]
    exercises = [entries["exercises"].get(key) for key in chapter.exercises]
    return Standing(
        chapter,
        n_read=sum(name in entries["claims"] for name in chapter.claims) + sum(facts.get("seen") is True for facts in predictions),
        n_made=sum(not facts.keys().isdisjoint({"chose", "typed"}) for facts in predictions),
        n_right=sum(facts.get("right") is True for facts in predictions),
        n_solved=sum(facts is not None and facts.get("right") is True for facts in exercises),
        n_tried=sum(facts is not None and facts.get("right") is not True for facts in exercises),
    )


class Progress:
    """The page; made by `progress`."""

    @property
    def description(self) -> str:
        """In words: the sums, then each chapter that is begun. In a process that keeps nothing, such as a build, what the page is for."""
        if record.where() is None:
            return PURPOSE
        standings = _standings()
        lines = [f"{s.chapter.title}: {_steps(s)}; {_predictions(s)}; {_exercises(s)}" for s in standings if s.is_begun]
        return "\n".join([_sums(standings), *(lines or ["Nothing yet: run the cells of a chapter, predict, solve an exercise, then come back."])])

    def widget(self) -> ipywidgets.Widget:
        """The table of all chapters, and a button that reads the file again: other notebooks write to it while this one is open."""
        table = ipywidgets.HTML(page(_standings()))
        button = ipywidgets.Button(description="Refresh", tooltip="Read again what the other notebooks have kept")

        def refresh(_) -> None:
            table.value = page(_standings())
        button.on_click(refresh)
        return ipywidgets.VBox([table, button])

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.description, WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}}

    def __repr__(self) -> str:
        return self.description


def page(standings: list[Standing]) -> str:
    """The table as HTML, with the sums above and below it where the entries are kept."""
    rows = "".join(f'<tr style="text-align: left"><th scope="row" style="{_CELL}">{html.escape(s.chapter.title)}</th><td style="{_CELL}">{_bar(s)} {_steps(s)}</td>'
                   f'<td style="{_CELL}">{_predictions(s)}</td><td style="{_CELL}">{_exercises(s)}</td></tr>' for s in standings)
    heads = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in ("Chapter", "Read", "Predictions", "Exercises"))
    return (f'<div style="line-height: 1.5"><table style="border-collapse: collapse"><caption style="text-align: left; padding: 4px 0; font-weight: bold">{_sums(standings)}</caption>'
            f'<thead><tr style="text-align: left">{heads}</tr></thead><tbody>{rows}</tbody></table><p>{html.escape(_kept())}</p></div>')


_CELL = "padding: 3px 14px 3px 0; border-bottom: 1px solid rgba(128, 128, 128, 0.4); font-weight: normal; text-align: left"


def _standings() -> list[Standing]:
    entries = record.everything()
    return [standing(chapter, entries) for chapter in chapters_in()]


def _sums(standings: list[Standing]) -> str:
    n_read, n_right, n_made, n_solved = (sum(values) for values in ([s.is_read for s in standings], [s.n_right for s in standings], [s.n_made for s in standings], [s.n_solved for s in standings]))
    return f"Your progress: {_many(n_read, 'chapter')} read, {n_right} of {_many(n_made, 'prediction')} right, {_many(n_solved, 'exercise')} solved"


def _many(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _bar(s: Standing) -> str:
    return f'<progress aria-hidden="true" value="{s.n_read}" max="{max(s.chapter.n_steps, 1)}" style="width: 5em; vertical-align: middle"></progress>'


def _steps(s: Standing) -> str:
    return "read" if s.is_read else f"{s.n_read} of {s.chapter.n_steps} steps" if s.n_read else "not begun"


def _predictions(s: Standing) -> str:
    asked = f"{len(s.chapter.predictions)} asked"
    return f"{s.n_right} of {s.n_made} right, {asked}" if s.n_made else asked


def _exercises(s: Standing) -> str:
    return f"{s.n_solved} of {len(s.chapter.exercises)} solved" + (f", {s.n_tried} tried" if s.n_tried else "")


def _kept() -> str:
    """Where the entries are, and what is wrong with that place."""
    place = record.where()
    if place is None:
        return "Kept in this kernel's memory alone, until it stops."
    if record.is_damaged(place):
        return f"{place} is damaged and cannot be read; with the next prediction it is put aside and a new one begins."
    if record.is_waiting() and record.in_course():
        return f"{place} cannot be written: what you do now is kept until this kernel stops."
    return f"Kept in {place}, on this machine alone. Delete that file to start anew."
