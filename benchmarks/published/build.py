"""All rows in the order of the table; what is measured again within an hour; the table itself."""
from __future__ import annotations

import datetime
import importlib
import json
import subprocess
import sys
from pathlib import Path

from .table import RESULTS, TOLERANCE, Row, cells, faults, sources, verdict

ROWS = ("mixture", "rbm_cd1", "rbm_cd3", "rbm_cd25", "rbm_centred_pcd", "dbn_two_layers", "labelled_dbn_greedy", "labelled_dbn", "pretrained_classifier", "nade", "vae", "vqvae", "nvae")
BUDGET = 60  # processor minutes of --measure
NUMBERS = ["model", "unit", "ours", "what it is; its bar", "published", "verdict", "more"]
SOURCES = ["model", "our protocol", "seeds", "device, date", "processor minutes of training", "published: source. Protocol", "measure it again"]


def rows() -> list[Row]:
    return [importlib.import_module(f".{name}", __package__).row() for name in ROWS]


def within(rows: list[Row], minutes: float) -> list[Row]:
    """The rows that fit, in the order of the table; two rows of one script count once."""
    chosen, left, scripts = [], minutes, set()
    for row in rows:
        if row.minutes is not None and (row.script in scripts or row.minutes <= left):
            left -= 0 if row.script in scripts else row.minutes
            scripts.add(row.script)
            chosen.append(row)
    return chosen


def measure() -> None:
    """Run what fits; a row that fails or does not fit is named."""
    every = rows()
    chosen = within(every, BUDGET)
    for row in every:
        if row.ours is None:
            continue
        if row not in chosen:
            print(f"{row.name}: not within the {BUDGET} minutes; it needs {row.needs or f'{row.minutes:.0f} processor minutes: bench ' + ' '.join(row.script)}", flush=True)
    for script in dict.fromkeys(row.script for row in chosen):
        print(f"measuring: {' '.join(script)}", flush=True)
        code = subprocess.call([sys.executable, str(Path(__file__).parents[1] / f"{script[0]}.py"), *script[1:]])
        if code:
            print(f"{' '.join(script)} failed (exit status {code}); its row keeps the number it had", flush=True)


def write() -> None:
    """results/published.json and .md; a row with a fault is an error, nothing is written."""
    every = rows()
    wrong = [fault for row in every for fault in faults(row)]
    if wrong:
        raise ValueError("published: " + "; ".join(wrong) + "; expected complete rows; mend the rows in benchmarks/published")
    table = [{"verdict": verdict(row)} | row._asdict() | {side: None if getattr(row, side) is None else getattr(row, side)._asdict() for side in ("ours", "published")} for row in every]
    record = {"title": "Our numbers beside published ones", "machine": {"date": datetime.date.today().isoformat()}, "columns": NUMBERS, "rows": [cells(row) for row in every], "raw": {"rows": table}}
    (RESULTS / "published.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "published.md").write_text(text(every))
    print(text(every))


def text(every: list[Row]) -> str:
    """Two tables: the numbers, and where they come from."""
    def table(head: list[str], body: list[list[str]]) -> str:
        return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body))
    tolerances = ", ".join(f"{value} {unit}" for unit, value in TOLERANCE.items())
    return "\n".join(["# Our numbers beside published ones", "", table(NUMBERS, [cells(row) for row in every]), "",
                      f"Nats per picture: larger is better. The verdict is computed: better, within the tolerance ({tolerances}), or worse; only where both numbers are of one protocol. "
                      "Our bars leave out the choice of test pictures, which both numbers share, and the seed where there is one. An AIS estimate is optimistic on average, a bound is never above log p(x): "
                      "a model whose bound is lower may still be the better one.", "", "## Where they come from", "", table(SOURCES, [sources(row) for row in every]), ""])
