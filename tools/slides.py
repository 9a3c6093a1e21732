"""Slides of the lectures, through nbconvert's reveal output:  make slides [ARGS="CHAPTER ... [--check] [--pictures FOLDER]"]

    make slides                       every chapter, into slides/: open slides/index.html
    make slides ARGS="01 05"          the chapters whose names start so
    make slides ARGS="01 --check"     then measure every slide in a browser: none may be higher or wider than its screen

The folder slides/ needs no network: reveal.js lies in it (copied from the package that requirements-slides.lock pins), pictures are
inside the pages, equations are MathML. Keys: arrows turn pages, S opens the speaker's notes, F fills the screen, ?print-pdf after
the page's name lays it out for printing. What becomes a slide is told in tools/deck.py.
"""
from __future__ import annotations

import argparse
import html
import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbconvert.exporters import SlidesExporter

from tools.deck import MAX_NOTES, Slide, slides_of
from tools.sheet import KeptAside, page
from tools.sources import ROOT, find_sources, read_notebook

TEMPLATE = Path(__file__).with_name("slide_template")
REVEAL = {"reveal.js": "dist/reveal.js", "reveal.css": "dist/reveal.css", "notes.js": "plugin/notes/notes.js"}
MEASURE = """() => [...document.querySelectorAll('.slides > section')].map((section, n) => {
    const shown = section.style.display;
    section.style.display = 'grid';
    const found = {number: n + 1, title: section.querySelector('h1, h2')?.firstChild.textContent.trim() ?? '', high: tooHigh(section), letters: parseFloat(getComputedStyle(section).fontSize)};
    section.style.display = shown;
    return found;
})"""


class Misfit(NamedTuple):
    """A slide that does not fit its screen, though its letters were made as small as they may be."""
    number: int
    title: str
    letters: float  # pixels of 720


def deck_html(lecture: nbformat.NotebookNode) -> str:
    """The whole page of a built lecture's slides; beside it the folder reveal/ is wanted."""
    aside, slides = KeptAside(), slides_of(lecture)
    cells = [cell for slide in slides for cell in _cells(slide, aside)]
    metadata = {"title": slides[0].title, "script": (TEMPLATE / "static" / "deck.js").read_text(encoding="utf-8")}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    exporter = SlidesExporter(template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)])
    made, _ = exporter.from_notebook_node(notebook)
    made = re.sub(r"<section\s*>\s*<section", "<section", re.sub(r"</section>\s*</section>", "</section>", made))  # one level is enough
    return re.sub(r'<section\s*>(\s*<div class="top) one', r'<section class="one">\1', aside.put_back(made))


def _cells(slide: Slide, aside: KeptAside) -> list[nbformat.NotebookNode]:
    """A slide as cells that nbconvert's reveal template understands: what is asked, then (one key later) what was found."""
    def cell(text: str, kind: str, *tags: str) -> nbformat.NotebookNode:
        return nbformat.v4.new_markdown_cell(aside.equations(text), metadata={"tags": list(tags), "slideshow": {"slide_type": kind}})

    holds = f'<span class="holds">{"<br>".join(map(html.escape, slide.holds))}</span>' if slide.holds else ""
    answer = f'<span class="answer">Answer: {html.escape(slide.answer)}</span>' if slide.answer else ""
    picture = f'<img alt="{html.escape(slide.alt)}" src="data:image/png;base64,{slide.picture}">' if slide.picture else ""
    shown = aside.keep(picture) if picture else slide.table
    text = [slide.notice, aside.keep(holds)]
    wide = slide.wide
    asked = [slide.box, slide.predict] if slide.predict or wide else [slide.box, *text]
    found = [aside.keep(answer), shown, *text] if slide.predict or wide else [shown]
    notes = "\n\n".join(slide.notes)
    notes = notes if len(notes) <= MAX_NOTES else notes[:MAX_NOTES].rpartition("\n\n")[0]
    cells = [cell(f"{'#' if slide.kind == 'title' else '##'} {slide.title}", "slide", "top", *(["one"] if wide else [])), *([cell(notes, "notes")] if notes else [])]
    for parts, place, kind in ((asked, "left", "-"), (found, "right", "fragment" if slide.predict else "-")):
        if parts := [part for part in parts if part and aside.put_back(part)]:
            cells.append(cell("\n\n".join(parts), kind, place, slide.kind, *(["alone"] if parts == [shown] else [])))
    return cells


def build(folder: Path, *, chapters: list[str] = (), root: Path = ROOT) -> list[Path]:
    """Write the slides of the chosen chapters, reveal.js and a list of them all into a folder; the pages written."""
    lectures = [source for source in find_sources(root, kinds=("lectures",)) if source.built.exists()]
    chosen = [source for source in lectures if source.stem.startswith(tuple(chapters or [""]))]
    for chapter in chapters:
        if not any(source.stem.startswith(chapter) for source in lectures):
            raise ValueError(f"slides: no built chapter starts with {chapter!r}, expected one of {', '.join(source.stem for source in lectures)}")
    folder.mkdir(parents=True, exist_ok=True)
    copy_reveal(folder / "reveal")
    pages = []
    for source in chosen:
        pages.append(folder / f"{source.stem}.html")
        pages[-1].write_text(deck_html(read_notebook(source.built)), encoding="utf-8", newline="\n")
    listed = "".join(f'<li><a href="{path.name}">{html.escape(path.stem.replace("_", " "))}</a></li>' for path in sorted(folder.glob("[0-9]*.html")))
    (folder / "index.html").write_text(page("Slides", f"<h1>Slides</h1><ul>{listed}</ul><p>Arrow keys turn pages, S opens the notes.</p>"), encoding="utf-8")
    return pages


def reveal_folder() -> Path | None:
    """Where reveal.js lies on this machine, or None. The package is looked up, not imported."""
    found = importlib.util.find_spec("sphinx_revealjs")
    folder = Path(found.origin).parent / "_static" / "revealjs" if found and found.origin else None
    return folder if folder and folder.is_dir() else None


def copy_reveal(folder: Path) -> None:
    """Put the three files of reveal.js into a folder; raises ValueError where the package is missing."""
    source = reveal_folder()
    if source is None:
        raise ValueError("copy_reveal: found no reveal.js; install it with  pip install --no-deps -r requirements-slides.lock  (make slides does)")
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in REVEAL.items():
        shutil.copyfile(source / place, folder / name)


def misfits(path: Path, *, pictures: Path | None = None) -> list[Misfit]:
    """The slides of a page that are higher or wider than 1280 x 720; with `pictures`, each slide's picture is put there too."""
    from tools.browser import browser_page
    with browser_page(width=1280, height=720) as browser:
        browser.page.goto(path.resolve().as_uri())
        browser.page.wait_for_function("document.body.dataset.fitted == 'yes'")
        found = browser.page.evaluate(MEASURE)
        for number in range(len(found) if pictures else 0):
            browser.page.evaluate("n => window.Reveal ? Reveal.slide(n, 0, 9) : document.querySelectorAll('section')[n].scrollIntoView()", number)
            pictures.mkdir(parents=True, exist_ok=True)
            browser.page.screenshot(path=pictures / f"{path.stem}_{number + 1:02d}.png")
        if browser.complaints:
            raise RuntimeError(f"{path.name}: the browser says {browser.complaints[0]}")
    return [Misfit(slide["number"], slide["title"], slide["letters"]) for slide in found if slide["high"]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make slides", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all")
    parser.add_argument("--check", action="store_true", help="measure every slide in a browser (needs Chromium)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="measure, and put a PNG of each slide there")
    parser.add_argument("--to", type=Path, default=ROOT / "slides", metavar="FOLDER", help="where the slides go (default slides/)")
    options = parser.parse_args(arguments)
    try:
        pages = build(options.to, chapters=options.chapters)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    bad = [(path, slide) for path in pages if options.check or options.pictures for slide in misfits(path, pictures=options.pictures)]
    for path, slide in bad:
        print(f"{path.name}, slide {slide.number} ({slide.title}) does not fit its screen", file=sys.stderr)
    print(f"{len(pages)} chapters in {options.to}: open {options.to / 'index.html'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
