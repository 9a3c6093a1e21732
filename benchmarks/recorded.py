"""Runs that are appended to a committed table, one after another: which were made, what each found, and what was mended after it."""
from __future__ import annotations

import argparse
import json

from harness import RESULTS


def recorded(name: str) -> list[dict]:
    """The runs of results/NAME.json so far."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["raw"] if path.exists() else []


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry", action="store_true", help="do not append to the committed table")
    parser.add_argument("--mended", nargs=2, metavar=("NAME", "WHY"), help="no run: say of what was found by this name so far that it is mended; a later run that finds it again counts anew")


def mend(runs: list[dict], found: str, what: str, why: str) -> None:
    """Marks `what` as mended in each run that has it in its list `found`; ValueError where none has."""
    having = [one for one in runs if what in one[found]]
    if not having:
        raise ValueError(f"mend: got {what!r}, expected something that a run found: {', '.join(sorted({name for one in runs for name in one[found]})) or 'nothing was'}; copy the name from the table")
    for one in having:
        one.setdefault("mended", {})[what] = why


def n_mended(runs: list[dict]) -> int:
    return sum(len(one.get("mended", {})) for one in runs)


def lines(runs: list[dict], found: str, label: str) -> str:
    """A line of the notes for everything found, and for every run that broke off; label: the key that tells runs apart."""
    told = [f"- {label} {one[label]}, {one['date']}: {what}" + (f". Mended: {one['mended'][what]}" if what in one.get("mended", {}) else "") for one in runs for what in one[found]]
    told += [f"- {label} {one[label]}, {one['date']}: broke off, {' '.join(one['broke off'].split())[:160]}" for one in runs if one.get("broke off")]
    return "".join(f"\n{line}" for line in told)
