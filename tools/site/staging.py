"""The repository's notebooks and texts -> the folder that Sphinx reads, in the repository's own layout, so that links between them hold."""
from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from deepgen_lib.checks import registered
from tools.ledger import KINDS, read_claims
from tools.site.ledger_page import ledger_page, tagged_cells, titles
from tools.site.outputs import Pictures, shown
from tools.sources import ROOT, built_path, read_notebook

TEXTS = ("INSTRUCTORS.md", "CONTRIBUTING.md", "DATA_LICENSES.md")
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?(?=\))")
CHECK_CALL = re.compile(r"checks\.(\w+)\(")
STEPS = ("a nudge", "an equation", "pseudo-code")
INTRO = Path(__file__).with_name("index.md")


def stage(folder: Path, site: Path, *, root: Path = ROOT, frames: dict[str, dict] | None = None) -> None:
    """Write every page's source into `folder` and every picture into `site`/pictures. frames: {chapter: {cell id: frames}}."""
    shutil.rmtree(folder, ignore_errors=True)
    chapters = list(titles(root))
    hints = _hints_by_check()
    for stem in chapters:
        lecture, exercises = built_path(root, "lectures", stem), built_path(root, "exercises", stem)
        for built, prepare in ((lecture, partial(_lecture, stem=stem, site=site, frames=(frames or {}).get(stem, {}))), (exercises, partial(_exercises, hints=hints))):
            if built.exists():
                _write_notebook(prepare(read_notebook(built)), folder / built.relative_to(root), built, root)
    reference = sorted(path.relative_to(root).as_posix() for path in (root / "reference").glob("*.md"))
    for name in (*TEXTS, *reference):
        if (root / name).exists():
            _write(folder / name, _mend_links((root / name).read_text(encoding="utf-8"), root / name, folder, root))
    _write(folder / "LEDGER.md", ledger_page(root))
    _write(folder / "index.md", _index(chapters, reference, root))


def claim_places(root: Path = ROOT) -> dict[str, dict]:
    """{claim: {"statement", "page", kind of cell: [(page, cell id), ...]}}, for links to claims."""
    places = {claim.id: {"statement": claim.statement, "page": f"notebooks/{claim.chapter}", **{kind: [] for kind in KINDS}} for claim in read_claims(root)}
    for kind, claim, page, cell in tagged_cells(root):
        if claim in places:
            places[claim][kind].append((page, cell))
    return places


def _lecture(notebook: NotebookNode, stem: str, site: Path, frames: dict[str, dict]) -> NotebookNode:
    pictures = Pictures(site / "pictures", "../pictures")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = shown(cell, pictures, frames.get(cell.id), way=f"../frames/{frames.get('', stem)}")
    return notebook


def _exercises(notebook: NotebookNode, hints: dict[str, tuple[str, tuple[str, ...]]]) -> NotebookNode:
    """After each check the three hints of its exercise, folded one inside the other's shadow: the next is only seen once asked for."""
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        call = CHECK_CALL.search(cell.source) if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade") else None
        if call and call[1] in hints:
            number, texts = hints[call[1]]
            folds = [f"<details class=\"hint\"><summary>Hint {n} of {number}: {step}</summary>\n\n{text}\n\n</details>" for n, (step, text) in enumerate(zip(STEPS, texts), 1)]
            cells.append(nbformat.v4.new_markdown_cell("\n\n".join(folds), id=f"hints-{number.replace('.', '-')}"))
    notebook.cells = cells
    return notebook


def _hints_by_check() -> dict[str, tuple[str, tuple[str, ...]]]:
    return {exercise.name: (exercise.id, exercise.hints) for exercise in registered()}


def _write_notebook(notebook: NotebookNode, place: Path, built: Path, root: Path) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _mend_links(cell.source, built, None, root)
        else:
            cell.metadata["site_id"] = cell.id
    place.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, place)


def _mend_links(text: str, source: Path, folder: Path | None, root: Path) -> str:
    """Links to files that are no page: a text is copied along; README.md stands for the start page."""
    def mended(match: re.Match) -> str:
        target = (source.parent / match[1]).resolve()
        name = target.relative_to(root).as_posix() if target.is_relative_to(root) else ""
        if name == "README.md":
            return _up(source, root) + "index.md" + (match[2] or "")
        if folder and target.is_file() and target.suffix != ".ipynb" and name not in TEXTS and not (folder / name).exists():
            _write(folder / name, ("---\norphan: true\n---\n\n" if target.suffix == ".md" else "") + target.read_text(encoding="utf-8"))
        return match[0]
    return LINK.sub(mended, text)


def _up(source: Path, root: Path) -> str:
    return "../" * (len(source.relative_to(root).parts) - 1)


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8", newline="\n")


def _index(chapters: list[str], reference: list[str], root: Path) -> str:
    """The start page: what this is, the chapters, and (unseen) the order of all pages."""
    readme = (root / "README.md").read_text(encoding="utf-8") if (root / "README.md").exists() else ""
    rows = re.findall(r"^\| \[\d+ · .*\(notebooks/.*$", readme, re.MULTILINE)
    trees = [("Lectures", [f"notebooks/{stem}" for stem in chapters]),
             ("Exercises", [f"exercises/{stem}/{stem}" for stem in chapters if built_path(root, "exercises", stem).exists()]),
             ("Reference", [*(name.removesuffix(".md") for name in reference), "LEDGER"]),
             ("More", [name.removesuffix(".md") for name in TEXTS if (root / name).exists()])]
    hidden = "\n".join("```{toctree}\n:hidden:\n:caption: %s\n\n%s\n```\n" % (caption, "\n".join(names)) for caption, names in trees)
    return INTRO.read_text(encoding="utf-8").replace("%CHAPTERS%", "\n".join(rows)) + "\n" + hidden
