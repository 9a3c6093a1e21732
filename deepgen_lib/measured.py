"""What was measured, on what, when: the tables that the benchmarks of the repository have left in benchmarks/results."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


class Measured(NamedTuple):
    """One table, as benchmarks/harness.py wrote it."""
    title: str
    columns: list[str]
    rows: list[list]
    machine: dict[str, str]  # date, processor, cores, versions

    @property
    def on(self) -> str:
        """Date and hardware, in one line."""
        return f"measured {self.machine['date']} on {self.machine.get('gpu', self.machine.get('processor', 'an unknown processor'))}, {self.machine.get('torch threads', '?')} threads, PyTorch {self.machine.get('torch', '?')}"


def measured(name: str) -> Measured:
    """The committed table benchmarks/results/NAME.json.  Raises ValueError that lists the tables there are."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"measured: got {name!r}, expected one of {', '.join(names()) or 'none: benchmarks/results is not beside deepgen_lib'}; the tables come with a clone of the course")
    record = json.loads(path.read_text(encoding="utf-8"))
    return Measured(record["title"], record["columns"], [[_readable(cell) for cell in row] for row in record["rows"]], record["machine"])


def names() -> list[str]:
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def _readable(cell):
    """'1.14e+03 ms' -> '1,140 ms'; any other cell as it is."""
    return re.sub(r"\d\.\d+e\+\d+", lambda found: f"{float(found[0]):,.0f}", cell) if isinstance(cell, str) else cell


def on_a_gpu() -> list[str]:
    """The tables whose machine had a GPU, by name."""
    return [name for name in names() if "gpu" in json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")).get("machine", {})]
