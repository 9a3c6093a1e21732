"""The ledger as a page: one card for each claim, whose cells are a click away. Made from the same tags as LEDGER.md."""
from __future__ import annotations

import re
from pathlib import Path

from tools.ledger import KINDS, read_claims
from tools.sources import built_path, find_sources, read_notebook, tags_of

WORDS = {"claim": "Proved in", "planted": "Broken by a planted error in", "picture": "Shown in", "exercise": "Practised in"}
INTRO = """# Ledger

Each claim of the lecture with the cell that proves it, the planted error that breaks the proof, the picture that shows it and the
exercise that practises it.
"""


def ledger_page(root: Path) -> str:
    """Markdown: a section for each chapter, and in it each claim with links to its cells."""
    cells = tagged_cells(root)
    lines = [INTRO]
    claims = read_claims(root)
    for stem, title in titles(root).items():
        own = [claim for claim in claims if claim.chapter == stem]
        if own:
            lines.append(f"\n## {title}\n")
        for claim in own:
            lines.append(f'\n<div class="ledger-claim" id="ledger-{claim.id}">\n\n**{claim.id}.** {claim.statement}\n')
            for kind, words in WORDS.items():
                links = ", ".join(f'<a href="{page}.html#cell-{cell}">{cell}</a>' for what, name, page, cell in cells if (what, name) == (kind, claim.id))
                lines.append(f"- {words}: {links or 'nothing yet'}")
            lines.append(f"- Slide: {claim.slide}")
            lines += [f"- Erratum: {claim.erratum}"] if claim.erratum else []
            lines.append("\n</div>\n")
    return "\n".join(lines)


def tagged_cells(root: Path) -> list[tuple[str, str, str, str]]:
    """(kind of cell, claim, page, cell id) of every tag of the ledger, in reading order; an exercise's page stands for its solution."""
    found = []
    for stem in titles(root):
        for kind in ("lectures", "solutions"):
            built = built_path(root, kind, stem)
            page = built_path(root, "exercises" if kind == "solutions" else kind, stem).relative_to(root).with_suffix("").as_posix()
            for cell in read_notebook(built).cells if built.exists() else []:
                found += [(*tag.split("-", 1), page, cell.id) for tag in tags_of(cell) if tag.split("-", 1)[0] in KINDS]
    return found


def titles(root: Path) -> dict[str, str]:
    """{chapter: title} of every built lecture, as in "1 · The Gibbs bound"."""
    built = {source.stem: source.built for source in find_sources(root, kinds=("lectures",)) if source.built.exists()}
    return {stem: re.match(r"#\s+(.*)", read_notebook(path).cells[0].source)[1] for stem, path in built.items()}
