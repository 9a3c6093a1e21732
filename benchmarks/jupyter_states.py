"""What a reader does to a kernel: interrupt it, kill it, run a cell twice, go back, begin in the middle. Nothing may stay wrong without a word.

    python3 tools/course.py bench jupyter_states             all lectures
    python3 tools/course.py bench jupyter_states 02 08       these alone; the others keep their rows

Each lecture goes through six laps in one folder, its printed numbers and words compared with the committed ones as `make test` compares them:
  interrupted   every cell that still runs at a moment drawn for it (0.3 to 6 s) is interrupted, and run again; what the others then say is judged, too (beside);
  killed        in the last fifth a cell that still runs at its moment loses its kernel without a warning; the next lap is "restart and run all" in the same folder;
                and, where a second run changed what follows, once more with every cell run once;
  twice         every cell is run twice in a row (in the same lap; those above 10 s once: interrupted, they were run again already; where "killed" had to be run
                once more, the first runs of this lap are counted here as "after");
  back          then all quick cells once more from the last to the first: a reader who scrolls up and runs a cell again;
  middle        a new kernel, the set-up cell, and then the second half alone;
  end           restart and run all, after all of this.
Outcomes: same; meant (MEANT says why another output is right); said (an exception, for example a NameError, or the same with a warning); silent (something else is printed and nothing says so). After
every lap the folder may hold the file of progress alone.

The exit status is 1 where a silent cell has no reason in REASONS, where restart and run all gives something else, or where another file is left in the folder.
"""
import argparse
import json
import math
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from harness import RESULTS, machine, publish
from nbformat import NotebookNode

from tests.live_kernel import LiveKernel, difference, error_of
from tools.sources import code_cells, find_sources, read_notebook, tags_of

QUICK, LONG = 2.0, 10.0  # seconds; the laps "back" and "middle" leave out what is not quick, "twice" what is long
MEANT = {("00_start_here", "progress"): "shows what this reader has done so far", ("00_start_here", "hint-0-1"): "every run gives the next hint"}
COLUMNS = ("chapter", "cells", "interrupted and run again", "the others of that lap", "killed in cell", "restart, run all", "run twice", "run again from below", "second half alone",
           "at last: restart, run all", "files left")
WHOLE = ("killed", "end")  # laps of restart and run all, which no reason excuses
ENDS = ("same", "meant", "said", "silent")

DRAWS = "draws on from a generator of the chapter: another sample of the same size"
REASONS = {
    ("01_gibbs_bound", "guessing"): DRAWS, ("01_gibbs_bound", "b2-ceiling"): "shows what guessing drew", ("03_log_z", "toy-samples"): DRAWS, ("03_log_z", "one-step"): DRAWS,
    ("03_log_z", "ais-against-one-step"): DRAWS, ("04_dbn_stacking", "d3-planted"): DRAWS, ("04_dbn_stacking", "d3-picture"): "shows the network that d3-planted drew",
    ("04_dbn_stacking", "s1-planted"): DRAWS, ("04_dbn_stacking", "d5"): DRAWS,
}


class Event(NamedTuple):
    lap: str
    cell: str
    outcome: str       # "same", "meant", "said" or "silent"
    detail: str = ""


def judge(lap: str, cell: NotebookNode, outputs: list[NotebookNode]) -> Event:
    """One run of a cell, compared with its committed output."""
    error, found = error_of(outputs), difference(outputs, cell)
    if found is None or "nbval-ignore-output" in tags_of(cell) and not error:
        return Event(lap, cell.id, "same")
    said = next((f"{error}: {output.evalue}" for output in outputs if output.output_type == "error"), found)
    warned = not error and difference([output for output in outputs if output.get("name") != "stderr"], cell) is None  # the same, and words on stderr beside it
    return Event(lap, cell.id, "said" if error or warned else "silent", " ".join(re.sub(r"\S*/site-packages/", "", said).split())[:300])


def moment(chance: random.Random) -> float:
    """Seconds, evenly on a logarithmic scale."""
    return math.exp(chance.uniform(math.log(0.3), math.log(6)))


def troubled(kernel: LiveKernel, cells: list[NotebookNode], chance: random.Random) -> tuple[list[Event], str]:
    """The laps "interrupted" and "killed"; returns their events and the cell in which the kernel died. A cell that fails when it is run again needs a restart, which comes next."""
    events = [judge("beside", cells[0], kernel.run(cells[0].source))]
    for i, cell in enumerate(cells[1:], start=1):
        at = moment(chance)
        if i >= 0.8 * len(cells):
            outputs = kernel.run(cell.source, kill_after=at)
            if outputs is None:
                return events, cell.id
        else:
            outputs = kernel.run(cell.source, interrupt_after=at)
        again = kernel.interrupted and judge("interrupted", cell, outputs).outcome != "same"
        events.append(judge("interrupted", cell, kernel.run(cell.source)) if again else judge("beside", cell, outputs))
        if events[-1].outcome == "said":
            kernel.kill()
            return events, f"{cell.id}, after its second run failed"
    kernel.kill()
    return events, "none: after the last"


def twice(kernel: LiveKernel, cells: list[NotebookNode]) -> tuple[list[Event], dict[str, float]]:
    """Restart and run all, each cell twice; the first runs are the lap "killed", because they follow a kill."""
    events, seconds = [], {}
    for cell in cells:
        begun = time.monotonic()
        events.append(judge("killed", cell, kernel.run(cell.source)))
        seconds[cell.id] = time.monotonic() - begun
        if seconds[cell.id] < LONG:
            events.append(judge("twice", cell, kernel.run(cell.source)))
    return events, seconds


def plainly(kernel: LiveKernel, cells: list[NotebookNode], events: list[Event]) -> list[Event]:
    """Where a second run changed what a later cell says, "restart and run all" is tried once more with every cell run once; its events take the place of the first runs'."""
    if all(event.outcome == "same" for event in events if event.lap == "killed"):
        return events
    kernel.restart()
    once = [judge("killed", cell, kernel.run(cell.source)) for cell in cells]
    return [event._replace(lap="after") if event.lap == "killed" else event for event in events] + once


def chapter(notebook: Path, folder: Path, seed: int) -> dict:
    """All laps of one notebook."""
    cells, chance = code_cells(read_notebook(notebook)), random.Random(f"{seed} {notebook.stem}")
    with LiveKernel(folder) as kernel:
        events, killed_in = troubled(kernel, cells, chance)
        stale = kernel.stale()
        kernel.restart()
        more, seconds = twice(kernel, cells)
        more = plainly(kernel, cells, more)
        quick = [cell for cell in cells if seconds[cell.id] < QUICK]
        more += [judge("back", cell, kernel.run(cell.source)) for cell in reversed(quick)]
        stale += kernel.stale()
        kernel.restart()
        kernel.run(cells[0].source)
        more += [judge("middle", cell, kernel.run(cell.source)) for cell in cells[len(cells) // 2:] if seconds[cell.id] < QUICK]
        kernel.restart()
        more += [judge("end", cell, kernel.run(cell.source)) for cell in cells]
        stale += kernel.stale()
    found = [event._replace(outcome="meant") if event.outcome == "silent" and (notebook.stem, event.cell) in MEANT else event for event in events + more]
    return {"cells": len(cells), "not quick": [cell.id for cell in cells if cell not in quick], "killed in": killed_in, "stale": sorted(set(stale)),
            "same": Counter(event.lap for event in found if event.outcome == "same"), "events": [list(event) for event in found if event.outcome != "same"]}


def row(name: str, found: dict) -> tuple:
    def counted(lap: str) -> str:
        kinds = Counter(outcome for at, _, outcome, _ in found["events"] if at == lap) + Counter(same=found["same"].get(lap, 0))
        return ", ".join(f"{kinds[kind]} {kind}" for kind in ENDS if kinds[kind])
    after, kept = counted("after"), kept_files(found)
    temporary = len(found["stale"]) - len(kept)
    return (name, found["cells"], counted("interrupted") or "none", counted("beside"), found["killed in"], counted("killed"), counted("twice") + bool(after) * f"; first runs: {after}",
            counted("back"), counted("middle"), counted("end") or "not run", ", ".join(kept + [f"{temporary} in the folder for temporary files"] * bool(temporary)) or "none")


def kept_files(found: dict) -> list[str]:
    return [name for name in found["stale"] if not name.startswith("tmp/")]


def faults(raw: dict[str, dict]) -> list[str]:
    """What must not be, in words."""
    wrong = []
    for name, found in raw.items():
        wrong += [f"{name}, cell {cell} ({lap}): {detail}" for lap, cell, outcome, detail in found["events"]
                  if lap in WHOLE and outcome != "meant" or outcome == "silent" and (name, cell) not in REASONS]
        wrong += [f"{name} leaves {file}" for file in kept_files(found)]
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("chapters", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    place = RESULTS / "jupyter_states.json"
    raw = json.loads(place.read_text(encoding="utf-8"))["raw"]["chapters"] if given.chapters and place.exists() else {}
    for source in find_sources(kinds=("lectures",)):
        if not given.chapters or source.stem.startswith(tuple(given.chapters)):
            with tempfile.TemporaryDirectory() as folder:
                raw[source.stem] = chapter(source.built, Path(folder), given.seed)
            print(row(source.stem, raw[source.stem]), *(e for e in raw[source.stem]["events"] if e[2] == "silent"), sep="\n  ", flush=True)
    raw = dict(sorted(raw.items()))
    publish("jupyter_states", "Kernels interrupted, killed and run out of order", COLUMNS, [row(*item) for item in raw.items()], about=machine("ipykernel", "jupyterlab"),
            raw={"chapters": raw, "seed": given.seed}, notes=notes(raw))
    sys.exit(bool(faults(raw)))


def notes(raw: dict[str, dict]) -> str:
    """What the outcomes mean, what went wrong, and every silent cell with its reason."""
    wrong, lines = faults(raw), []
    for name, found in raw.items():
        laps = {}
        for lap, cell, outcome, detail in found["events"]:
            if outcome == "silent":
                laps.setdefault(cell, ([], detail))[0].append(lap)
        lines += [f"- {name}, cell {cell} ({', '.join(where)}): {REASONS.get((name, cell), 'NOT EXPLAINED')}. {detail[:140]}" for cell, (where, detail) in laps.items()]
    failed = [f"{name}, {cell} ({detail[:100]})" for name, found in raw.items() for lap, cell, outcome, detail in found["events"] if (lap, outcome) == ("interrupted", "said")]
    return "\n".join([
        "Same: as committed. Meant: another output, and rightly. Said: an exception, for example a NameError, or the same with a warning. Silent: something else is printed without a word. "
        "Not explained, not as committed after *restart and run all*, or left in the folder: " + ("FAILED: " + "; ".join(wrong) if wrong else "nothing") + ".", "",
        "An interrupt while a package is loaded for the first time (PyTorch in the set-up cell; sympy, Triton and PyTorch's own compiler, which it loads when it first needs them) can leave it half loaded; "
        "the cell then fails until the kernel is restarted. Second runs that failed after an interrupt: " + ("; ".join(failed) or "none") + ". (DeadKernel: the kernel ended by itself.) What a killed "
        "kernel leaves in the system's folder for temporary files no run reads. Which cells are quick enough for the laps from below and of the second half depends on how busy the machine is.", "",
        "Silent cells:", "", *(lines or ["none"])])


if __name__ == "__main__":
    main()
