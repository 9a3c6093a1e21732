"""A chapter as one page of HTML for paper: the lecture as it was built, its exercises, and the hints at the very end, apart from each other.

Pictures stand inside the page, equations are MathML, nothing is asked of a network. A widget is its first frame with a line that says what its
sliders reach and, where `make site` has drawn them, one more frame for each slider moved to its end; predictions can be ticked with a pencil.
`tools/pdf.py` prints it.
"""
from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import NamedTuple

from nbconvert.filters.markdown_mistune import markdown2html_mistune
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from deepgen_lib.checks.engine import Exercise
from tools.sheet import KeptAside

STYLE = Path(__file__).with_name("printed.css")
SLIDER = re.compile(r"^Slider (.+): (.+); at (.+)$", re.M)
PREDICTION = re.compile(r"^Predict [\w.]+\. ")
TYPED, BLANK = re.compile(r"(?<=\n  )type a number ?"), "I say: ____________"
ORDER = ("a nudge", "an equation", "pseudo-code")
BLOCK = re.compile(r'(<math[^>]*display="block".*?</math>)', re.S)  # a box around each: an equation may not be cut in two
ANSI = re.compile(r"\x1b\[[0-9;]*m")
RUN_AWAY = ("hint(", "start_over(")  # cells that only mean something in a running notebook


class Frame(NamedTuple):
    """One more frame of a widget."""
    says: str   # "step: 1200"
    alt: str
    file: Path  # .webp


def far_frames(folder: Path) -> dict[str, list[Frame]]:
    """{cell id: a frame for each slider moved alone to its end} from the frames that the site keeps for one chapter."""
    found = {}
    for cell, drawn in json.loads((folder / "frames.json").read_text(encoding="utf-8")).items():
        sizes, start = [len(control["labels"]) for control in drawn["controls"]], [control["start"] for control in drawn["controls"]]
        found[cell] = []
        for moved, control in enumerate(drawn["controls"]):
            end = 0 if start[moved] == sizes[moved] - 1 else sizes[moved] - 1
            number = 0
            for at, size in zip((end if n == moved else s for n, s in enumerate(start)), sizes):
                number = number * size + at  # the last slider runs fastest
            found[cell].append(Frame(f"{control['name']}: {control['labels'][end]}", drawn["alts"][number], folder / drawn["files"][number]))
    return found


def chapter_page(lecture: NotebookNode, exercises: NotebookNode | None, cards: list[Exercise], frames: dict[str, list[Frame]] | None = None) -> str:
    """The whole page of a chapter; exercises as released, cards with their hints, frames of widgets by cell id."""
    aside = KeptAside()
    lecture = with_frames(lecture, frames or {})
    parts = [notebook_html(lecture, aside)]
    if exercises is not None:
        parts.append(f'<section class="part">{notebook_html(exercises, aside)}</section>')
    if cards:
        parts.append(hints_html(cards, aside))
    title, body = chapter_title(lecture), BLOCK.sub(r'<span class="equation">\1</span>', aside.put_back("".join(parts)))
    style = STYLE.read_text(encoding="utf-8") + HtmlFormatter(style="friendly").get_style_defs(".code")
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n'
            f"<body>\n{body}\n</body>\n</html>\n")


def chapter_title(lecture: NotebookNode) -> str:
    """'5 · Tied weights'."""
    return re.search(r"^# (.+)$", lecture.cells[0].source, re.M)[1]


def notebook_html(notebook: NotebookNode, aside: KeptAside) -> str:
    return "\n".join(cell_html(cell, aside) for cell in notebook.cells)


def cell_html(cell: NotebookNode, aside: KeptAside) -> str:
    """A cell and what it put out. A prediction's code is left out: its question says all; so are cells that only ask for a hint."""
    if cell.cell_type != "code":
        return f'<div class="text">{markdown_html(cell.source, aside)}</div>'
    outputs = "".join(output_html(output, aside) for output in cell.outputs)
    if cell.source.lstrip().startswith(RUN_AWAY):
        return ""
    if outputs.startswith('<div class="predict">') and cell.source.lstrip().startswith("predict"):
        return outputs
    code = highlight(cell.source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip()
    return f'<div class="cell"><pre class="code">{aside.keep(code)}</pre>{outputs}</div>'


def output_html(output: NotebookNode, aside: KeptAside) -> str:
    """One output: a picture, a table, a prediction or plain text."""
    if output.output_type == "stream":
        return plain(output.text, aside)
    if output.output_type == "error":
        return plain("\n".join(ANSI.sub("", line) for line in output.traceback[-1:]), aside)
    text = output.data.get("text/plain", "")
    if "image/png" in output.data:
        further = further_html([Frame(*frame) for frame in output.metadata.get("frames", [])])
        return picture_html(output.data["image/png"], output.metadata.get("image/png", {}), text, aside).replace("</figure>", f"{aside.keep(further)}</figure>")
    if "text/markdown" in output.data:
        return f'<div class="text">{markdown_html(output.data["text/markdown"], aside)}</div>'
    if PREDICTION.match(text):
        return f'<div class="predict">{aside.keep(html.escape(TYPED.sub(f"{BLANK} ", text)))}</div>'
    return plain(text, aside)


def with_frames(lecture: NotebookNode, frames: dict[str, list[Frame]]) -> NotebookNode:
    """The lecture with further frames written into the metadata of their widgets' pictures."""
    for cell in lecture.cells:
        for output in cell.get("outputs", []):
            if cell.get("id") in frames and "image/png" in output.get("data", {}) and SLIDER.search(output.data.get("text/plain", "")):
                output.metadata["frames"] = [frame._replace(file=str(frame.file)) for frame in frames[cell.id]]
    return lecture


def further_html(frames: list[Frame]) -> str:
    """A row of smaller pictures, each with the slider that was moved."""
    def one(frame: Frame) -> str:
        data = base64.b64encode(Path(frame.file).read_bytes()).decode()
        return f'<span><img alt="{html.escape(frame.alt, quote=True)}" src="data:image/webp;base64,{data}"><br>{html.escape(frame.says)}</span>'
    return f'<div class="frames">{"".join(map(one, frames))}</div>' if frames else ""


def picture_html(png: str, metadata: dict, text: str, aside: KeptAside) -> str:
    """A figure; where the picture has sliders, with a line that says which and how far they go."""
    alt = html.escape(metadata.get("alt") or text.split("\n")[0], quote=True)
    width = f' style="width: {0.66 * metadata["width"]:.0f}px"' if "width" in metadata else ""
    sliders = "; ".join(f"<i>{html.escape(name)}</i>: {html.escape(values)} (here {html.escape(at)})" for name, values, at in SLIDER.findall(text))
    note = f"<figcaption>On screen this picture moves. Sliders: {sliders}.</figcaption>" if sliders else ""
    image = f'<img alt="{alt}"{width} src="data:image/png;base64,{png.strip()}">'
    return f"<figure>{aside.keep(image + note)}</figure>"


def plain(text: str, aside: KeptAside) -> str:
    return f'<pre class="out">{aside.keep(html.escape(ANSI.sub("", text).rstrip()))}</pre>' if text.strip() else ""


def markdown_html(markdown: str, aside: KeptAside) -> str:
    """HTML of Markdown; links to other files of the course become plain words, for paper opens none."""
    made = markdown2html_mistune(aside.equations(markdown)).replace("<details>", "<details open>")  # a fold cannot be opened on paper
    made = re.sub(r"<thead>(?:\s|</?tr>|<th[^>]*>\s*</th>)*</thead>", "", made)  # an empty heading row
    made = re.sub(r'<a class="anchor-link"[^>]*>.*?</a>', "", made, flags=re.S)
    return re.sub(r'<a href="(?!https?:)[^"]*">(.*?)</a>', r"\1", made, flags=re.S)


def hints_html(cards: list[Exercise], aside: KeptAside) -> str:
    """All first hints, then all second, then all third ones, each kind on a page of its own: one hint does not show the next."""
    pages = []
    for step, kind in enumerate(ORDER):
        listed = "".join(f"<dt>{card.id} {html.escape(card.title)}</dt><dd>{markdown_html(card.hints[step].strip(), aside)}</dd>" for card in cards)
        pages.append(f'<section class="part"><h1>Hint {step + 1} of 3: {kind}</h1><dl>{listed}</dl></section>')
    return "".join(pages)
