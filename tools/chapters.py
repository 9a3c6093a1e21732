"""The table of chapters in README.md and on the start page, made from the chapters themselves.

    python -m tools.chapters            write both tables
    python -m tools.chapters --check    only say which one is out of date

A lecture's source gives its title (the first heading), its question (the bold line below) and its minutes (the row Time, whose second
number must be what the exercises' cards add up to); claims come from source/claims.toml, exercises from deepgen_lib/checks, chapters
not written yet from source/planned.toml.
"""
from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from deepgen_lib.checks import registered
from tools.ledger import read_claims
from tools.sources import ROOT, find_sources
from tools.writing import write_whole

HEADER = "| chapter | the question it answers | claims | minutes | exercises |"
RULE = "|:--|:--|:--|:--|:--|"
PLACES = {  # file: (what begins each line, the way to a lecture, the way to its exercises)
    "README.md": ("", "notebooks/{stem}.ipynb", "exercises/{stem}/{stem}.ipynb"),
    "source/lectures/00_start_here.py": ("# ", "{stem}.ipynb", "../exercises/{stem}/{stem}.ipynb"),
}


class Chapter(NamedTuple):
    stem: str
    title: str
    question: str
    claims: str             # "B1-B4"
    minutes: str            # "75 + 90": to read, for the exercises (its blanks do not break); "" for a planned one
    n_exercises: int
    planned: bool


def read_chapters(root: Path = ROOT) -> list[Chapter]:
    """Every chapter, in order.  Raises ValueError for a lecture that lacks its title, question or right minutes, or is still planned."""
    planned = tomllib.loads((root / "source" / "planned.toml").read_text(encoding="utf-8"))
    found = []
    for source in find_sources(root, kinds=("lectures",)):
        if source.stem in planned:
            raise ValueError(f"planned.toml: {source.stem} has a lecture now; remove it there")
        found.append(_written(source.stem, source.text.read_text(encoding="utf-8"), root))
    found += [Chapter(stem, table["title"], table["question"], table["claims"], "", 0, True) for stem, table in planned.items()]
    return sorted(found, key=lambda chapter: chapter.stem)


def table(chapters: list[Chapter], lecture: str, exercises: str) -> list[str]:
    """The table's lines; lecture and exercises are patterns of the links."""
    lines = [HEADER, RULE]
    for chapter in chapters:
        name = f"{int(chapter.stem[:2])} · {chapter.title}"
        if chapter.planned:
            lines.append(f"| {name} | {chapter.question} | {chapter.claims} | *planned* | |")
            continue
        count = str(chapter.n_exercises)
        if chapter.stem != "00_start_here":  # its exercise stands in the lecture
            count = f"[{count}]({exercises.format(stem=chapter.stem)})"
        lines.append(f"| [{name}]({lecture.format(stem=chapter.stem)}) | {chapter.question} | {chapter.claims} | {chapter.minutes} | {count} |")
    return lines


def updated(text: str, place: str, chapters: list[Chapter]) -> str:
    """The text of a file with its table as it should be.  Raises ValueError where it has no table, or two."""
    begin, lecture, exercises = PLACES[place]
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if line == begin + HEADER]
    if len(starts) != 1:
        raise ValueError(f"{place}: the line {HEADER!r} occurs {len(starts)} times, expected once")
    stop = next((i for i in range(starts[0], len(lines)) if not lines[i].startswith(begin + "|")), len(lines))
    return "\n".join([*lines[:starts[0]], *(begin + line for line in table(chapters, lecture, exercises)), *lines[stop:]])


def out_of_date(root: Path = ROOT, *, write: bool = False) -> list[str]:
    """The files whose table is not what the chapters say; with `write` they are mended."""
    chapters, stale = read_chapters(root), []
    for place in PLACES:
        text = (root / place).read_text(encoding="utf-8")
        new = updated(text, place, chapters)
        if new != text:
            stale.append(place)
            if write:
                write_whole(root / place, new)
    return stale


def _written(stem: str, text: str, root: Path) -> Chapter:
    parts = {
        "title, '# # N · Title'": re.search(r"^# # \d+ · (.+)$", text, re.MULTILINE),
        "question in bold, '# **...?**'": re.search(r"^# \*\*(.+\?)\*\*$", text, re.MULTILINE),
        "row '| **Time** | N minutes ...'": re.search(r"^# \| \*\*Time\*\* \| (\d+) minutes(?:.*?, (\d+) for the exercises)?", text, re.MULTILINE),
    }
    if missing := [name for name, match in parts.items() if not match]:
        raise ValueError(f"source/lectures/{stem}.py: has no {missing[0]}, which the table of chapters needs")
    title, question, time = parts.values()
    claims = [claim.id for claim in read_claims(root) if claim.chapter == stem]
    cards = [exercise.minutes for exercise in registered() if exercise.chapter == stem]
    if time[2] and int(time[2]) != sum(cards):
        raise ValueError(f"source/lectures/{stem}.py: the row Time says {time[2]} minutes for the exercises, their cards add up to {sum(cards)}")
    return Chapter(stem, title[1], question[1], _ranges(claims), "\u00a0+\u00a0".join(filter(None, time.groups())), len(cards), False)


def _ranges(claims: list[str]) -> str:
    """B1, B2, B3, D1 -> B1-B3, D1."""
    runs: list[list[str]] = []
    for claim in claims:
        follows = runs and claim[0] == runs[-1][-1][0] and claim[1:].isdigit() and runs[-1][-1][1:].isdigit() and int(claim[1:]) == int(runs[-1][-1][1:]) + 1
        runs[-1].append(claim) if follows else runs.append([claim])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


if __name__ == "__main__":
    check = sys.argv[1:] == ["--check"]
    stale = out_of_date(write=not check)
    print("\n".join(f"{place}: the table of chapters {'is out of date' if check else 'was brought up to date'}" for place in stale) or "Both tables are up to date.")
    sys.exit(1 if check and stale else 0)
