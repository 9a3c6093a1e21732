"""The ledger: for each claim of the lecture, the cells that prove, break, show and practise it.

Made from source/claims.toml and the tags of the built notebooks: claim-B1, planted-B1, picture-B1 in the lecture, exercise-B1 on the
grade cell of an exercise.  A chapter is finished when its lecture notebook is built; then each of its claims needs all four.
"""
from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from tools.sources import CLAIM_ID, ROOT, built_path, read_notebook, tags_of
from tools.writing import write_whole

KINDS = {"claim": "lectures", "planted": "lectures", "picture": "lectures", "exercise": "solutions"}
FIELDS = {"statement", "chapter", "slide", "erratum"}
_TAG = re.compile(rf"({'|'.join(KINDS)})-({CLAIM_ID})")
_INTRO = """# Ledger

Each claim of the lecture with the cell that proves it, the planted error that breaks the proof, the picture that shows it and the
exercise that practises it. Names in the four columns are cell ids. Made by `tools/ledger.py` from `source/claims.toml` and the
built notebooks; do not edit.
"""


class Claim(NamedTuple):
    id: str
    statement: str
    chapter: str
    slide: str
    erratum: str


class Tagged(NamedTuple):
    kind: str       # claim, planted, picture or exercise
    claim: str      # "B1"
    folder: str     # lectures or solutions
    chapter: str
    cell: NotebookNode


def read_claims(root: Path = ROOT) -> list[Claim]:
    """The claims of source/claims.toml, in their order.  Raises ValueError for a missing, empty or unknown field."""
    claims = []
    for name, table in tomllib.loads((root / "source" / "claims.toml").read_text(encoding="utf-8")).items():
        if not re.fullmatch(CLAIM_ID, name) or set(table) != FIELDS or not all(table[field].strip() for field in FIELDS - {"erratum"}):
            raise ValueError(f"claims.toml: [{name}] has {', '.join(table)}, expected a name like B1 and {', '.join(sorted(FIELDS))}, all but erratum not empty")
        if "|" in table["statement"]:
            raise ValueError(f"claims.toml: the statement of {name} holds a bare '|', which ends a table cell; write \\mid or \\Vert")
        claims.append(Claim(name, **table))
    return claims


def problems(root: Path = ROOT) -> list[str]:
    """What the ledger lacks: a claim of a finished chapter without one of its cells, tags that name no claim or a hollow cell."""
    claims, tagged = {claim.id: claim for claim in read_claims(root)}, tagged_cells(root)
    found = []
    for tag in tagged:
        where = f"{built_path(root, tag.folder, tag.chapter).relative_to(root).as_posix()}, cell {tag.cell.id}, tag {tag.kind}-{tag.claim}"
        if tag.claim not in claims:
            found.append(f"{where}: source/claims.toml has no {tag.claim}")
        elif claims[tag.claim].chapter != tag.chapter:
            found.append(f"{where}: {tag.claim} belongs to {claims[tag.claim].chapter}")
        elif tag.folder != KINDS[tag.kind]:
            found.append(f"{where}: this tag belongs in {KINDS[tag.kind]}")
        elif hollow := _hollow(tag):
            found.append(f"{where}: {hollow}")
    for claim in claims.values():
        if built_path(root, "lectures", claim.chapter).exists():
            present = {tag.kind for tag in tagged if tag.claim == claim.id}
            found += [f"claim {claim.id} of {claim.chapter} has no {kind} cell (tag {kind}-{claim.id} in source/{folder}/{claim.chapter}.py)"
                      for kind, folder in KINDS.items() if kind not in present]
    return found


def ledger_text(root: Path = ROOT) -> str:
    """LEDGER.md as it should be."""
    tagged = tagged_cells(root)
    lines = [_INTRO, "| claim | says | chapter | proof | planted error | picture | exercise | slide | erratum |", "|---" * 9 + "|"]
    for claim in read_claims(root):
        cells = [", ".join(_link(root, tag) for tag in tagged if (tag.kind, tag.claim) == (kind, claim.id)) or "" for kind in KINDS]
        lines.append("| " + " | ".join([claim.id, claim.statement, claim.chapter, *cells, claim.slide, claim.erratum]) + " |")
    return "\n".join(lines) + "\n"


def write_ledger(root: Path = ROOT) -> None:
    write_whole(root / "LEDGER.md", ledger_text(root))


def tagged_cells(root: Path) -> list[Tagged]:
    """Every ledger tag of the built lectures and solutions, in reading order."""
    paths = [("lectures", path) for path in sorted((root / "notebooks").glob("*.ipynb"))]
    paths += [("solutions", path) for path in sorted((root / "solutions").glob("*/*.ipynb"))]
    return [Tagged(match[1], match[2], folder, path.stem, cell) for folder, path in paths for cell in read_notebook(path).cells
            for match in map(_TAG.fullmatch, tags_of(cell)) if match]


def _hollow(tag: Tagged) -> str | None:
    """Why the cell does not do what its tag says, or None."""
    outputs = tag.cell.get("outputs", [])
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    if tag.kind == "claim" and not re.search(rf"^{tag.claim} (holds|derivation):", printed, re.MULTILINE):
        return f'the cell prints no "{tag.claim} holds: ..."; it should call claim("{tag.claim}", ...)'
    if tag.kind == "planted" and not re.search(rf"^{tag.claim} breaks with ", printed, re.MULTILINE):
        return f'the cell prints no "{tag.claim} breaks with ..."; it should call planted_error("{tag.claim}", ...)'
    if tag.kind == "picture" and not any("image/png" in output.get("data", {}) for output in outputs):
        return "the cell shows no picture"
    mark = tag.cell.metadata.get("nbgrader", {})
    if tag.kind == "exercise" and not (mark.get("grade") and mark.get("points", 0) > 0):
        return "the cell is no nbgrader grade cell with points"
    return None


def _link(root: Path, tag: Tagged) -> str:
    folder = "exercises" if tag.folder == "solutions" else tag.folder  # the reader gets the exercise, not its solution
    return f"[{tag.cell.id}]({built_path(root, folder, tag.chapter).relative_to(root).as_posix()})"
