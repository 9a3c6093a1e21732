"""From a built lecture to its slides, by rule: nothing about slides is stored in a notebook.

The first cell gives the title slide. Each "##" section is read from top to bottom; a box ("> **B1.** ...") begins a slide, and the
prediction, the lines "B1 holds: ...", the picture and "What to notice" that follow belong to it until one of them would come a second
time. All other prose becomes the speaker's notes. The summary closes; worked exercises and links to other chapters stay out.
"""
from __future__ import annotations

import ast
import base64
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nbformat import NotebookNode

LEFT_OUT = re.compile(r"worked exercise|where this goes next|^exercises", re.I)
NOTICE = "**What to notice.**"
LONG, LONG_EQUATION = 2.0, 46  # width over height of a picture; characters of an equation
MAX_TEXT, MAX_HOLDS, MAX_NOTES = 1150, 3, 1500  # characters of text beside a picture; lines that say what holds; characters of notes


class Item(NamedTuple):
    """One thing that a lecture shows. kind: section, part, box, notice, predict, holds, answer, picture, table or prose."""
    kind: str
    text: str
    alt: str = ""


@dataclass
class Slide:
    """Markdown of one slide. Of picture, only base64 PNG."""
    title: str
    kind: str = "claim"
    box: str = ""
    predict: str = ""
    answer: str = ""
    holds: list[str] = field(default_factory=list)
    picture: str = ""
    alt: str = ""
    table: str = ""
    notice: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def wide(self) -> bool:
        """Whether all stands in one column: where there is one thing to see, or a long picture and little text."""
        text = len(self.box + self.predict + self.notice)
        if self.kind != "claim" or not (self.picture or self.table) or not (self.box or self.predict or self.notice):
            return True
        if any(_length(tex) > LONG_EQUATION for tex in re.findall(r"\$\$(.+?)\$\$", self.box, flags=re.S)) or (not self.picture and self.table.partition("\n")[0].count("|") > 7):
            return True
        return aspect(self.picture) > LONG and text < 850 or not (self.box or self.predict) and aspect(self.picture) > 1.7

    @property
    def shows(self) -> bool:
        return bool(self.box or self.predict or self.picture or self.notice or (self.table and self.kind != "claim"))


def aspect(picture: str) -> float:
    """Width over height of a PNG in base64; 1 for none."""
    head = base64.b64decode(picture[:44])
    return int.from_bytes(head[16:20], "big") / int.from_bytes(head[20:24], "big") if picture else 1.0


def slides_of(notebook: NotebookNode) -> list[Slide]:
    """The slides of a built lecture.  Raises ValueError for a notebook without a title or without a section."""
    items = list(_items(notebook))
    starts = [n for n, item in enumerate(items) if item.kind == "section"]
    if not starts or not items[0].text.startswith("# "):
        raise ValueError("slides_of: got a notebook without a title ('# ...') or sections ('## ...'), expected a built lecture; build it first")
    slides = [_title_slide(items[:starts[0]])]
    for begin, end in zip(starts, [*starts[1:], len(items)]):
        title = items[begin].text
        if re.search(r"\bsummary$", title, re.I):
            slides.append(Slide(title, kind="summary", box="\n\n".join(item.text for item in items[begin + 1:end] if item.kind == "prose")))
        elif not LEFT_OUT.search(re.sub(r"^[\d.]+ ", "", title)):
            slides += _section(title, items[begin + 1:end])
    return [part for slide in slides for part in _split(slide)]


def _items(notebook: NotebookNode) -> Iterator[Item]:
    for cell in notebook.cells:
        yield from _of_text(cell.source) if cell.cell_type == "markdown" else _of_code(cell)


def _of_text(source: str) -> Iterator[Item]:
    for block in re.split(r"\n\s*\n", re.sub(r"^(?!>)(.+\n)(?=>)", r"\1\n", source, flags=re.M)):  # a box may follow a line at once
        while heading := re.match(r"(##+) (.+)(?:\n|\Z)", block):
            yield Item("section" if heading[1] == "##" else "part", heading[2])
            block = block[heading.end():]
        if block.strip():
            kind = "box" if block.startswith(">") else "notice" if block.startswith(NOTICE) else "prose"
            yield Item(kind, block.strip())


def _of_code(cell: NotebookNode) -> Iterator[Item]:
    if question := _prediction(cell.source):
        yield Item("predict", question)
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield Item("picture", "".join(data["image/png"].split()), _described(data))
        elif "text/markdown" in data:
            yield Item("table", data["text/markdown"].strip())
        for line in output.get("text", "").splitlines():
            if re.match(r"\S+ (holds:|derivation: \d)", line):
                yield Item("holds", line.strip())
            elif answer := re.match(r"Answer [\w.]+: (.+)", line):
                yield Item("answer", answer[1])


def _described(data: dict) -> str:
    """The first line of a picture's description."""
    return (data.get("text/plain", "").strip().splitlines() or [""])[0][:300]


def _prediction(source: str) -> str:
    """Question and options of a call predict("1.a", question, options), as Markdown; "" where there is none."""
    if "predict(" not in source:
        return ""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "predict" and len(node.args) >= 3:
            try:
                question, options = ast.literal_eval(node.args[1]), ast.literal_eval(node.args[2])
            except ValueError:  # computed ones
                continue
            listed = "<br>".join(f"{letter}) {plain(option)}" for letter, option in zip("abcdefgh", options))
            return f"**Predict.** {plain(question)}\n\n{listed}"
    return ""


def plain(text: str) -> str:
    """Text as it is: no Markdown, no HTML."""
    return re.sub(r"([\\`*_\[\]$])", r"\\\1", html.escape(str(text), quote=False))


def _title_slide(items: list[Item]) -> Slide:
    texts = [item.text for item in items]
    heading = re.match(r"# (.+)", texts[0])[1]
    question = next((text for text in texts if re.fullmatch(r"\*\*.+\?\*\*", text)), "")
    aims = re.search(r"\*\*After this chapter you can\*\* \| (.+?) \|$", "\n".join(texts), re.M)
    listed = "".join(f"\n- {aim.strip()}" for aim in aims[1].split(";")) if aims else ""
    return Slide(heading, kind="title", box=question, notice=f"After this chapter you can{listed}" if listed else "", notes=texts[1:])


def _section(title: str, items: list[Item]) -> list[Slide]:
    """The slides of one section; what comes a second time begins the next slide."""
    slides, slide, prose = [], Slide(title), ""

    def turn() -> Slide:
        if slide.shows:
            slides.append(slide)
            return Slide(title)
        return slide

    for item in items:
        if item.kind == "box" or (item.kind == "predict" and (slide.predict or slide.picture or slide.notice)) or (item.kind == "picture" and slide.picture):
            slide = turn()
        if item.kind == "prose":
            prose = item.text
            slide.notes.append(item.text)
        elif item.kind == "holds":
            slide.holds += [item.text] * (len(slide.holds) < MAX_HOLDS)
        elif item.kind == "picture":
            slide.picture, slide.alt = item.text, item.alt
            if not (slide.box or slide.predict):
                slide.box = _short(prose)
        elif item.kind in ("box", "predict", "answer", "table"):
            setattr(slide, item.kind, item.text)
        elif item.kind == "notice":
            slide.notice = item.text
            if not (slide.box or slide.predict or slide.picture or slide.table):
                slide.box = _short(prose)
            slide, prose = turn(), ""
    turn()
    return _with_errata(slides)


def _with_errata(slides: list[Slide]) -> list[Slide]:
    """An erratum alone goes below the claim before it."""
    kept: list[Slide] = []
    for slide in slides:
        alone = slide.box.startswith("> **Erratum") and not (slide.predict or slide.picture or slide.notice)
        if alone and kept and kept[-1].box.startswith(">"):
            kept[-1].box += f"\n>\n{slide.box}"
        else:
            kept.append(slide)
    return kept


def _short(prose: str) -> str:
    """The last sentences of a paragraph, where it is too long to stand beside a picture; lists and tables not at all."""
    if prose.startswith(("|", "*", "-", "1.", "`")) or "\n1. " in prose:
        return ""
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z$])", prose.replace("\n", " "))
    while len(sentences) > 1 and len(" ".join(sentences)) > 320:
        sentences.pop(0)
    return " ".join(sentences)


def _length(tex: str) -> int:
    """About how many characters an equation shows: commands that print count two."""
    shown = re.sub(r"\\[,;:! ]|\\(?:[Bb]igg?[lr]?|math[a-z]+|text|d?frac|hat|underbrace|q?quad)(?![a-z])|[{}^_\s&]", "", tex)
    return len(re.sub(r"\\[A-Za-z]+", "ab", shown))


def _split(slide: Slide) -> list[Slide]:
    """A slide with more text than fits beside its picture becomes two: claim and prediction, then picture and what to notice."""
    if slide.kind != "claim" or not slide.notice or len(slide.box + slide.predict + slide.notice + "".join(slide.holds)) <= MAX_TEXT:
        return [slide]
    first = Slide(slide.title, box=slide.box, predict=slide.predict, answer=slide.answer, holds=slide.holds, notes=slide.notes)
    second = Slide(slide.title, picture=slide.picture, alt=slide.alt, table=slide.table, notice=slide.notice)
    return [first, second] if first.shows else [slide]
