"""What a cell showed -> HTML for the site: pictures as files with their alternative texts, sliders, and predictions that can be clicked."""
from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import struct
from pathlib import Path

from nbformat import NotebookNode

PREDICT = re.compile(r"Predict (?P<key>\S+)\. (?P<question>.*)")
OPTION = re.compile(r"\s+([a-f])\) (.*)")
TYPED = re.compile(r"\s+type a number(?: \((.*)\))?")
ANSWER = re.compile(r"Answer (?P<key>\S+): (?P<right>.*)")
ENDS_ANSWER = re.compile(r"[A-Z\d][\w.]* (holds|breaks|derivation)\b|Answer ")


class Pictures:
    """A folder of picture files named by their content, and the way to it from a page."""

    def __init__(self, folder: Path, way: str):
        self.folder, self.way = folder, way
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, png: bytes) -> str:
        """Address of the picture, as seen from the page."""
        name = f"{hashlib.sha256(png).hexdigest()[:16]}.png"
        if not (self.folder / name).exists():
            (self.folder / name).write_bytes(png)
        return f"{self.way}/{name}"


def shown(cell: NotebookNode, pictures: Pictures, frames: dict | None = None, *, way: str = "") -> list[NotebookNode]:
    """The outputs of a built cell as the site shows them. frames: of the cell's slider, from frames.py; way: to their folder."""
    found = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found += _printed(output)
        elif output.output_type == "error":
            found.append(output)
        else:
            found.append(_data(output, pictures, frames, way))
    return found


def _data(output: NotebookNode, pictures: Pictures, frames: dict | None, way: str) -> NotebookNode:
    data, plain = output.data, output.data.get("text/plain", "")
    if "image/png" in data:
        metadata = output.metadata.get("image/png", {})
        picture = image(pictures, data["image/png"], metadata.get("alt", ""), metadata.get("width"))
        return _html(_explorer(plain, picture, frames, way) if plain.startswith("Slider ") else f"<figure>{picture}</figure>")
    if PREDICT.match(plain):
        return _html(_prediction(plain))
    kept = {kind: text for kind, text in data.items() if kind in ("text/html", "text/markdown", "text/plain")}
    if "text/markdown" in kept:
        kept.pop("text/plain", None)
    return NotebookNode(output_type="display_data", data=NotebookNode(kept), metadata=NotebookNode())


def image(pictures: Pictures, encoded: str, alt: str, width: int | None) -> str:
    """An img element of a PNG in base64, with its size, so that nothing jumps while a page loads."""
    png = base64.b64decode(encoded)
    wide, high = struct.unpack(">II", png[16:24])
    width = width or wide
    return (f'<img src="{pictures.put(png)}" alt="{html.escape(alt)}" width="{width}" height="{round(high * width / wide)}" loading="lazy">')


def _explorer(plain: str, picture: str, frames: dict | None, way: str) -> str:
    """A picture under its sliders; without frames, the picture and what could be moved."""
    if frames is None:
        controls = [line.removeprefix("Slider ") for line in plain.splitlines() if line.startswith("Slider ")]
        listed = "".join(f"<li>{html.escape(control)}</li>" for control in controls)
        return f'<figure class="explorer still">{picture}<figcaption>A live notebook moves this picture: <ul>{listed}</ul></figcaption></figure>'
    rows = "".join(_slider(frames["id"], number, control) for number, control in enumerate(frames["controls"]))
    return (f'<figure class="explorer" data-frames="{frames["id"]}" data-way="{way}"><div class="controls" role="group" aria-label="Sliders of the picture" hidden>{rows}</div>'
            f'{picture}</figure><script src="{way}/{frames["id"]}.js" defer></script>')


def _slider(name: str, number: int, control: dict) -> str:
    label = control["labels"][control["start"]]
    place = f"{name}-{number}"
    return (f'<div class="control"><label for="{place}">{html.escape(control["name"])}</label><input type="range" id="{place}" min="0" max="{len(control["labels"]) - 1}" step="1"'
            f' value="{control["start"]}" aria-valuetext="{html.escape(label)}"><output for="{place}">{html.escape(label)}</output></div>')


def _prediction(plain: str) -> str:
    """A question with its options to click; the answer further down says whether the choice was right."""
    first, *rest = plain.splitlines()
    key, question = PREDICT.match(first).groups()
    options = [match.groups() for match in map(OPTION.match, rest) if match]
    key, question = html.escape(key), html.escape(question)
    items = "".join(f'<label><input type="radio" name="predict-{key}" value="{letter}"> {letter}) {html.escape(words)}</label>' for letter, words in options)
    if typed := next(filter(None, map(TYPED.match, rest)), None):
        unit = html.escape(typed[1] or "")
        items = f'<label>Your number{f", in {unit}" if unit else ""}: <input type="text" inputmode="decimal" name="predict-{key}" size="8" autocomplete="off"></label>'
    return f'<fieldset class="predict" data-key="{key}"><legend>Predict {key}. {question}</legend>{items}<p class="verdict" role="status"></p></fieldset>'


def _printed(output: NotebookNode) -> list[NotebookNode]:
    """What was printed, in order; an answer to a prediction is folded, so that it can wait."""
    parts: list[tuple[bool, list[str]]] = []
    for line in output.text.rstrip("\n").split("\n"):
        if ANSWER.match(line):
            parts.append((True, [line]))
        elif parts and not (parts[-1][0] and ENDS_ANSWER.match(line)):
            parts[-1][1].append(line)
        else:
            parts.append((False, [line]))
    return [_answer(lines) if is_answer else NotebookNode(output_type="stream", name=output.name, text="\n".join(lines) + "\n") for is_answer, lines in parts]


def _answer(lines: list[str]) -> NotebookNode:
    key, right = ANSWER.match(lines[0]).groups()
    said = "".join(f"<p>{html.escape(line)}</p>" for line in (right, *filter(str.strip, lines[1:])))
    letter = right[0] if right[1:2] == ")" else ""
    return _html(f'<details class="answer" data-key="{html.escape(key)}" data-right="{letter}" data-value="{html.escape(right.split(". ")[0].rstrip("."))}"><summary>Answer {html.escape(key)}</summary>{said}</details>')


def _html(text: str) -> NotebookNode:
    return NotebookNode(output_type="display_data", data=NotebookNode({"text/html": text}), metadata=NotebookNode())


def frames_script(name: str, frames: dict) -> str:
    """The script that hands a slider's frames to the page; a page opened from a folder may load scripts, but not read files."""
    return f"(window.deepgenFrames = window.deepgenFrames || {{}})[{json.dumps(name)}] = {json.dumps(frames, ensure_ascii=False)};\n"
