"""What was measured, on what, when: the tables that the benchmarks of the repository have left in benchmarks/results."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from .validate import in_words

CPU = "one CPU thread"  # what benchmarks call the device that is no GPU
RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


class Measured(NamedTuple):
    """One table, as benchmarks/harness.py wrote it."""
    title: str
    columns: list[str]
    rows: list[list]
    machine: dict[str, str]  # date, processor, cores, versions; "device" where a benchmark chose one
    raw: dict                # what the rows were made from

    @property
    def on(self) -> str:
        """Date and hardware, in one line."""
        m = self.machine
        threads = m["torch threads"]
        what = m["device"] if _is_gpu(m) else f"{m['processor']}, {threads} thread{'s' if threads != '1' else ''}"
        return f"measured {m['date']} on {what}, PyTorch {m['torch']}"


def measured(name: str) -> Measured:
    """The committed table benchmarks/results/NAME.json.  Raises ValueError that lists the tables there are."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"measured: got {in_words(name)}, expected one of {', '.join(names()) or 'none: benchmarks/results is not beside deepgen_lib'}; the tables come with a clone of the course")
    record = json.loads(path.read_text(encoding="utf-8"))
    return Measured(record["title"], record["columns"], [[_readable(cell) for cell in row] for row in record["rows"]], record["machine"], record.get("raw") or {})


def names() -> list[str]:
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def _readable(cell):
    """'1.14e+03 ms' -> '1,140 ms'; any other cell as it is."""
    return re.sub(r"\d\.\d+e\+\d+", lambda found: f"{float(found[0]):,.0f}", cell) if isinstance(cell, str) else cell


def on_a_gpu() -> list[str]:
    """The tables that were measured on a GPU, by name."""
    return [name for name in names() if _is_gpu(measured(name).machine)]


def _is_gpu(machine: dict[str, str]) -> bool:
    return machine.get("device", CPU) != CPU
