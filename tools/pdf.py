"""Chapters on paper, by Chromium's print:  make pdf [CHAPTER=05]  writes pdf/05_tied_weights.pdf (needs Chromium; no network)

    make pdf                      every chapter, into pdf/
    make pdf CHAPTER=05           the chapters whose names start so
    make pdf ARGS="05 --to FOLDER"

A chapter is its lecture with what it printed, then its exercises, then their hints, on last pages of their own. What is wider than the sheet is
made smaller; what would be cut is an error. A widget is its first frame; after  make site  more of its frames are printed.
"""
from __future__ import annotations

import argparse
import html
import re
import sys
import tempfile
from pathlib import Path

from deepgen_lib.checks import registered
from tools.browser import browser_page, missing
from tools.printed import chapter_page, chapter_title, far_frames
from tools.site.frames import DONE, key
from tools.sources import ROOT, built_path, find_sources, read_notebook

MARGIN = {"top": "16mm", "bottom": "17mm", "left": "18mm", "right": "18mm"}
WIDTH, HEIGHT = 657, 997  # pixels of A4 between the margins, 96 to the inch
LEAST = 0.55  # of its size: what would have to be smaller is an error
FIT = """([width, height, least]) => {
    const found = [];
    for (const part of document.querySelectorAll('math[display=block], table, figure, pre')) {
        let scale = 1;
        for (let turn = 0; turn < 4; turn++) {  // smaller letters break lines anew, so once may not be enough
            const box = part.getBoundingClientRect(), wide = Math.max(box.width, part.scrollWidth * scale), room = width - box.left;
            if (wide <= room + 1) break;
            part.style.zoom = scale *= 0.995 * room / wide;
        }
        if (scale < least) found.push(`${part.tagName.toLowerCase()} needs letters of ${Math.round(100 * scale)} %: ${part.textContent.trim().slice(0, 60)}`);
    }
    for (const part of document.querySelectorAll('.cell, table'))
        if (part.getBoundingClientRect().height < height * (part.tagName == 'TABLE' ? 0.45 : 0.6)) part.classList.add('keep');
    for (const part of document.querySelectorAll('figure, blockquote, .predict, tr'))
        if (part.getBoundingClientRect().height > height) found.push(`${part.tagName.toLowerCase()} higher than a page: ${part.textContent.trim().slice(0, 60)}`);
    for (const part of document.querySelectorAll('body *'))
        if (!part.closest('math') && part.getBoundingClientRect().right > width + 2) found.push(`${part.tagName.toLowerCase()} beyond the margin: ${part.textContent.trim().slice(0, 60)}`);
    return found;
}"""
FOOTER = ('<div style="font: 8px Arial, DejaVu Sans, sans-serif; color: #555; width: 100%; padding: 0 18mm; display: flex; justify-content: space-between">'
          '<span>deepgen · {title}</span><span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>')


def write_pdf(page_html: str, title: str, to: Path) -> list[str]:
    """Print one page of HTML to a file; what does not fit the sheet, in words."""
    with tempfile.TemporaryDirectory() as folder, browser_page(width=WIDTH, height=HEIGHT) as view:
        path = Path(folder) / "chapter.html"
        path.write_text(page_html, encoding="utf-8")
        view.page.emulate_media(media="print")
        view.page.goto(path.as_uri())
        view.page.evaluate("() => Promise.all([...document.images].map(image => image.decode()))")
        cut = view.page.evaluate(FIT, [WIDTH, HEIGHT, LEAST])
        view.page.pdf(path=to, format="A4", margin=MARGIN, print_background=True, tagged=True, outline=True, display_header_footer=True,
                      header_template="<span></span>", footer_template=FOOTER.format(title=html.escape(title)))
        if view.complaints:
            raise RuntimeError(f"{to.name}: the browser says {view.complaints[0]}")
    return cut


def chapter_html(stem: str, root: Path = ROOT) -> tuple[str, str]:
    """(title, page) of a built chapter."""
    lecture, released = read_notebook(built_path(root, "lectures", stem)), built_path(root, "exercises", stem)
    cards = [card for card in registered() if card.chapter == stem]
    drawn = root / "site" / "frames" / f"{stem}-{key(built_path(root, 'lectures', stem))}"
    frames = far_frames(drawn) if (drawn / DONE).exists() else {}
    return chapter_title(lecture), chapter_page(lecture, read_notebook(released) if released.exists() else None, cards, frames)


def n_pages(pdf: Path) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf.read_bytes()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make pdf", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 05; none means all")
    parser.add_argument("--to", type=Path, default=ROOT / "pdf", metavar="FOLDER", help="where they go (default pdf/)")
    options = parser.parse_args(arguments)
    stems = [source.stem for source in find_sources(kinds=("lectures",)) if source.built.exists()]
    for chapter in options.chapters:
        if not any(stem.startswith(chapter) for stem in stems):
            print(f"pdf: no built chapter starts with {chapter!r}, expected one of {', '.join(stems)}", file=sys.stderr)
            return 1
    if why := missing():
        print(f"pdf: {why}; install Chromium, or print a notebook from JupyterLab's File menu", file=sys.stderr)
        return 1
    options.to.mkdir(parents=True, exist_ok=True)
    failed = False
    for stem in (stem for stem in stems if stem.startswith(tuple(options.chapters or [""]))):
        title, page = chapter_html(stem)
        to = options.to / f"{stem}.pdf"
        cut = write_pdf(page, title, to)
        print(f"{to}: {n_pages(to)} pages")
        for line in cut:
            print(f"  does not fit the sheet: {line}", file=sys.stderr)
        failed |= bool(cut)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
