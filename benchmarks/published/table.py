"""A row of the published table: our number beside a published one, with what each of them is, and a verdict that is computed from the two.

Three things can be said, and only where both numbers are of one protocol: better, within the tolerance, or worse by so much, and why. Numbers of two protocols
are printed beside each other without a verdict.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parents[1] / "results"
NATS, PERCENT = "nats", "% errors"
TOLERANCE = {NATS: 0.5, PERCENT: 0.25}  # 0.25 % are two standard errors of an error rate of 1.5 % on 10,000 pictures
MEMORY = "as quoted since; not read in the paper itself"


class Ours(NamedTuple):
    """What we measured."""
    value: float
    low: float                 # the error bar
    high: float
    error: str                 # what the bar is
    kind: str                  # exact, AIS estimate, bound, ...
    protocol: str
    seeds: int
    device: str
    date: str
    processor_minutes: float   # of the training


class Published(NamedTuple):
    value: float
    source: str
    protocol: str
    same: bool                 # whether the two protocols are one


class Row(NamedTuple):
    name: str
    model: str
    unit: str                  # NATS: larger is better; PERCENT: smaller is better
    ours: Ours | None          # None: we only quote
    published: Published | None
    why: str = ""              # where we are worse, or cannot be compared: why
    also: str = ""             # more numbers of ours
    minutes: float | None = None     # of one processor core, to measure the row again; None: more than a CPU gives
    script: tuple[str, ...] = ()     # arguments of python3 tools/course.py bench
    needs: str = ""                  # where there are no minutes: what it takes


def record(name: str) -> dict:
    """results/NAME.json."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise ValueError(f"record: benchmarks/results/{name}.json does not exist, expected the results of that benchmark; run: python3 tools/course.py bench {name}")
    return json.loads(path.read_text())


def device(found: dict) -> str:
    """Of a record."""
    return f"{found['machine']['processor']}, {found['machine']['torch threads']} thread"


def gain(row: Row) -> float | None:
    """Our number minus the published one, positive where ours is better; None where one of them is missing."""
    if row.ours is None or row.published is None:
        return None
    return (row.ours.value - row.published.value) * (-1 if row.unit == PERCENT else 1)


def verdict(row: Row) -> str:
    """In words, from the numbers alone."""
    difference = gain(row)
    if row.ours is None:
        return "quoted only"
    if difference is None:
        return "nothing published in this protocol"
    size = f"{abs(difference):.2f} {'points' if row.unit == PERCENT else 'nats'}"
    if not row.published.same:
        return f"another protocol, no verdict ({size} {'above' if difference > 0 else 'below'})"
    if difference >= 0:
        return f"better by {size}"
    return f"within {TOLERANCE[row.unit]}: {size} worse" if -difference <= TOLERANCE[row.unit] else f"worse by {size}"


def faults(row: Row, *, said: str | None = None) -> list[str]:
    """What is missing or wrong in a row; said: a verdict that stands somewhere, to be compared with the computed one."""
    found = [f"{row.name}: no {what}" for what, there in (("model", row.model), ("published figure nor number of ours", row.ours or row.published)) if not there]
    if row.unit not in TOLERANCE:
        found.append(f"{row.name}: unit {row.unit!r}, expected one of {', '.join(TOLERANCE)}")
    if row.published is not None:
        found += [f"{row.name}: the published figure has no {what}" for what in ("source", "protocol") if not getattr(row.published, what)]
    if row.ours is not None:
        found += [f"{row.name}: our number has no {what}" for what in ("error", "kind", "protocol", "seeds", "device", "date") if not getattr(row.ours, what)]
        if not row.ours.low <= row.ours.value <= row.ours.high:
            found.append(f"{row.name}: {row.ours.value} lies outside of its own bar")
        if row.minutes is None and not row.needs:
            found.append(f"{row.name}: neither minutes nor what it needs")
    if (row.minutes is not None) != bool(row.script):
        found.append(f"{row.name}: minutes and script belong together")
    if verdict(row).startswith(("worse", "another")) and not row.why:
        found.append(f"{row.name}: {verdict(row)}, and no word why")
    if said is not None and said != verdict(row):
        found.append(f"{row.name}: says {said!r}, the numbers say {verdict(row)!r}")
    return found


def cells(row: Row) -> list[str]:
    """For the printed table."""
    ours, theirs = row.ours, row.published
    number = "" if ours is None else f"{ours.value:.2f} ({ours.low:.2f} to {ours.high:.2f})"
    return [row.model, row.unit, number, "" if ours is None else f"{ours.kind}; {ours.error}", "" if theirs is None else f"{theirs.value:.2f}", verdict(row) + (f": {row.why}" if row.why else ""), row.also]


def sources(row: Row) -> list[str]:
    """For the second table: where the numbers come from."""
    ours, theirs = row.ours, row.published
    again = f"{row.minutes:.0f} processor minutes: `bench {' '.join(row.script)}`" if row.minutes is not None else row.needs
    return [row.model, *(["", "", "", ""] if ours is None else [ours.protocol, str(ours.seeds), f"{ours.device}, {ours.date}", f"{ours.processor_minutes:.0f}"]),
            "" if theirs is None else f"{theirs.source}. {theirs.protocol}", again]


def show(row: Row) -> None:
    """What a row's own script prints."""
    print("\n".join(f"{field}: {value}" for field, value in zip(("model", "unit", "ours", "kind", "published", "verdict", "also"), cells(row)) if value))
