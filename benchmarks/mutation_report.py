"""The published result of benchmarks/mutation.py: kinds of change and modules, what was killed, and which survivors are explained."""
from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from pathlib import Path

from harness import RESULTS, machine, publish

EXPLAINED = RESULTS / "mutation_explained.toml"
LIGHT = ("plots", "checks", "widgets", "typed", "ranking", "progress_page")  # a share of their functions gets a mutant
WRITTEN_FOR_THEM = ("tests/test_kept_promises.py", "tests/test_kept_promises_stacks.py", "tests/test_no_graph.py", "tests/test_recipe_defaults.py", "tests/test_kept_promises_doors.py")
NOTES = """Killed: a test fails, the mutant cannot be loaded, or (by time) it hangs. The first rows are the kinds of change, the others the modules. Score: killed of all; survivors with
an explanation count as survivors. Explained: nothing that is promised depends on the change, or what it changes is free (a default rate, the recipe of a shipped model, where a
search starts, the size of a check's case); mutation_explained.toml says which, one by one. A rerun tries only what has changed, so verdicts may be of different days."""
COLUMNS = ("what", "mutants", "killed", "of these by time", "survived", "explained", "score")


def explanations() -> dict[tuple[str, ...], str]:
    """Why a survivor may survive, by the key of its mutant."""
    entries = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["equivalent"]
    return {tuple(e[name] for name in ("module", "function", "kind", "line", "change")): e["because"] for e in entries}


def row(name: str, records: list[dict], known: dict) -> tuple:
    killed, by_time = sum(r["outcome"] != "survived" for r in records), sum(r["outcome"] == "time" for r in records)
    explained = sum(r["outcome"] == "survived" and tuple(r["key"]) in known for r in records)
    return name, len(records), killed, by_time, len(records) - killed, explained, f"{killed / len(records):.1%}"


def how_it_was_reached(records: list[dict], fresh: list[dict]) -> str:
    """What the score owes to tests that were written for these mutants, and what it is on others."""
    late = sum(r["by"].split("::")[0] in WRITTEN_FOR_THEM for r in records)
    killed = sum(r["outcome"] != "survived" for r in records)
    light = sum(r["key"][0].split(".")[1] in LIGHT or ".triton_" in r["key"][0] for r in records if "." in r["key"][0])
    notes = (f"\n\nOf the {killed} kills, {late} are by tests that were written for survivors of the first run ({', '.join(WRITTEN_FOR_THEM)}); the others alone kill at least {killed - late} of "
             f"{len(records)}, {(killed - late) / len(records):.1%}. {', '.join(LIGHT)} and the Triton kernels are sampled: {light} of the mutants are theirs.")
    if fresh:
        beaten = sum(r["outcome"] != "survived" for r in fresh)
        notes += (f"\n\nMutants of another seed, drawn after those tests were written, none of them tried before and no test written for them: {beaten} of {len(fresh)} killed, {beaten / len(fresh):.1%}.")
    return notes


def publish_all(found: list[dict], drawn: set[tuple], seed: int, notebooks: Path, fresh: list[dict]) -> list[dict]:
    """The tables and the JSON of what was found of the drawn mutants and of the fresh ones; gives the survivors that nobody explained."""
    known = explanations()
    records = sorted((r for r in found if tuple(r["key"]) in drawn), key=lambda r: r["key"])
    kinds, parts = defaultdict(list), defaultdict(list)
    for record in records:
        kinds[record["key"][2]].append(record)
        parts[".".join(record["key"][0].split(".")[1:]) or "deepgen_lib"].append(record)
    rows = [row("all", records, known), *(row(k, kinds[k], known) for k in sorted(kinds)), *(row(p, parts[p], known) for p in sorted(parts))]
    new = [r for r in records if r["outcome"] == "survived" and tuple(r["key"]) not in known]
    raw = {"seed": seed, "mutants": [r | {"because": known[tuple(r["key"])]} if tuple(r["key"]) in known and r["outcome"] == "survived" else r for r in records]}
    raw["fresh"] = sorted(fresh, key=lambda r: r["key"])
    notes = NOTES + how_it_was_reached(records, fresh) + (f"\n\nSurvivors without an explanation: {len(new)}." if new else "\n\nEvery survivor is explained in mutation_explained.toml.")
    if notebooks.exists():
        raw["notebooks"] = json.loads(notebooks.read_text(encoding="utf-8"))
        tried = [r for r in raw["notebooks"] if r["outcome"] != "no verdict"]
        notes += f"\n\nThe comparison of a notebook's outputs alone, one notebook a mutant, functions that five of the lectures import by name: {sum(r['outcome'] == 'killed' for r in tried)} of {len(tried)} mutants were caught (an exception counts)."
    publish("mutation", "Mutants of the library that the tests kill", COLUMNS, rows, about=machine("pytest", "coverage"), notes=notes, raw=raw)
    return new
