"""Chapters on paper: nothing of a chapter is lost, hints are apart, equations need no network, and nothing is cut at the sheet's edge."""
import base64
import json
import re
import struct
import zlib

import nbformat.v4 as v4
import pytest

from deepgen_lib.checks import registered
from tools import pdf
from tools.browser import missing
from tools.mathml import mathml
from tools.printed import chapter_page, chapter_title, far_frames
from tools.sources import ROOT, find_sources, read_notebook

STEMS = [source.stem for source in find_sources(kinds=("lectures",))]
needs_browser = pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is here")


def png(width: int, height: int) -> str:
    """A white picture of this size."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compress((b"\0" + b"\xcc" * width) * height)
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")).decode()


def code(source="f()", *, text="", picture="", plain="A curve.", width=None):
    outputs = [v4.new_output("stream", text=text)] if text else []
    if picture:
        outputs.append(v4.new_output("execute_result", {"image/png": picture, "text/plain": plain}, metadata={"image/png": {"alt": "Rises.", **({"width": width} if width else {})}}))
    elif plain != "A curve.":
        outputs.append(v4.new_output("execute_result", {"text/plain": plain}))
    return v4.new_code_cell(source, outputs=outputs)


def lecture(*cells):
    cells = [v4.new_markdown_cell("# 1 · Toy\n\n| | |\n|:--|:--|\n| **Time** | [short](00_start_here.ipynb), [far](https://example.org) |"), *cells]
    return v4.new_notebook(cells=[v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells])


TOY = lecture("## 1.1 Sums\n\nOne and $q\\log q$.\n\n$$a<b$$", code('predict("1.a", "How?", ["1", "2"])', plain="Predict 1.a. How <many>?\n  a) 1\n  b) 2"),
              code("x = 1  # <tag>", text="B1 holds: sum < 3\n"), code("explore(f)", picture=png(90, 40), plain="Slider k: 1, 2, 5; at 1\nSlider on: no, yes; at no\nA curve.", width=100), code('hint("1.1")', text="Nudge."))


@pytest.fixture(scope="module")
def toy():
    return chapter_page(TOY, lecture("## 1.1 A task"), registered()[1:3])


def test_a_page_holds_what_the_notebook_shows(toy):
    assert chapter_title(TOY) == "1 · Toy" and "<title>1 · Toy</title>" in toy
    assert "B1 holds: sum &lt; 3" in toy and "&lt;tag&gt;" in toy and 'alt="Rises."' in toy and 'style="width: 66px"' in toy
    assert toy.count("<math") == 2 + sum(hint.count("$") // 2 for card in registered()[1:3] for hint in card.hints) and "$" not in re.sub(r"<style>.*?</style>", "", toy, flags=re.S)
    assert "<thead>" not in toy


def test_a_widget_is_its_frame_with_what_its_sliders_reach(toy):
    assert "Sliders: <i>k</i>: 1, 2, 5 (here 1); <i>on</i>: no, yes (here no)." in toy


def test_a_frame_for_each_slider_at_its_end(tmp_path):
    """k has three places and starts at the second, on has two and starts at the last: frame 5 is (2, 1), frame 2 is (1, 0)."""
    controls = [{"name": "k", "labels": ["1", "2", "5"], "start": 1}, {"name": "on", "labels": ["no", "yes"], "start": 1}]
    drawn = {"move": {"controls": controls, "files": [f"{n}.webp" for n in range(6)], "alts": [f"frame {n}" for n in range(6)]}}
    (tmp_path / "frames.json").write_text(json.dumps(drawn))
    for n in range(6):
        (tmp_path / f"{n}.webp").write_bytes(b"%d" % n)
    frames = far_frames(tmp_path)
    assert [(frame.says, frame.alt, frame.file.name) for frame in frames["move"]] == [("k: 5", "frame 5", "5.webp"), ("on: no", "frame 2", "2.webp")]
    cell = code("explore(f)", picture=png(90, 40), plain="Slider k: 1, 2, 5; at 2")
    cell["id"] = "move"
    page = chapter_page(lecture(cell), None, [], frames)
    assert page.count("<figure>") == 1 and page.count("<img ") == 3 and "<br>on: no</span>" in page and base64.b64encode(b"5").decode() in page


def test_a_prediction_is_a_box_to_tick(toy):
    assert '<div class="predict">Predict 1.a. How &lt;many&gt;?\n  a) 1\n  b) 2</div>' in toy and "predict(" not in toy


def test_a_number_has_a_line_to_write_on():
    cell = code('predict_number("1.b", "How many?")', plain="Predict 1.b. How many?\n  type a number (nats)")
    assert "How many?\n  I say: ____________ (nats)</div>" in chapter_page(lecture(cell), None, [])


def test_folds_are_open_on_paper():
    page = chapter_page(lecture("<details><summary>Answers</summary>\n\nIt is $1$.\n\n</details>"), None, [])
    assert page.count("<details open>") == 1 and "<details>" not in page and "It is <math" in page


def test_paper_opens_no_file_of_the_course(toy):
    assert ">short<" not in toy and "short" in toy and '<a href="https://example.org">far</a>' in toy


def test_hints_are_last_each_kind_on_a_page_of_its_own(toy):
    sections = toy.split('<section class="part">')
    assert len(sections) == 5 and [re.search(r"<h1>(.*?)</h1>", section)[1] for section in sections[2:]] == ["Hint 1 of 3: a nudge", "Hint 2 of 3: an equation", "Hint 3 of 3: pseudo-code"]
    assert all(section.count("<dt>") == 2 for section in sections[2:]) and "hint(" not in sections[0] and "Nudge." not in sections[0]


@pytest.mark.parametrize("stem", ["00_start_here", "05_tied_weights", "12_nvae_kl"])
def test_every_picture_and_every_claim_of_a_chapter_is_on_paper(stem):
    title, page = pdf.chapter_html(stem)
    notebook = read_notebook(ROOT / "notebooks" / f"{stem}.ipynb")
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert page.count("<img ") >= sum("image/png" in output.get("data", {}) for output in outputs) > 0
    said = [line for output in outputs if output.output_type == "stream" for line in output.text.splitlines() if " holds: " in line]
    assert said and [line for line in said if line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#x27;").replace('"', "&quot;") not in page] == []
    assert title in page and "http" not in re.sub(r'<a href="https?:[^"]*">|xmlns="[^"]*"|https?://\S+', "", page)


def test_every_chapter_has_a_page_and_no_other_has():
    assert len(STEMS) == 15 and pdf.main(["77"]) == 1


@pytest.mark.parametrize("tex, spaces", [(r"q\log q", 2), (r"\log p", 1), (r"\log(p)", 0), (r"\log_2 p", 0), (r"\frac12\log\frac12", 2), (r"(a)\log b", 2), ("q p", 0)])
def test_functions_names_stand_apart_from_letters(tex, spaces):
    assert mathml(tex).count("<mspace") == spaces


def test_double_letters_stay_double_in_lines_of_an_equation():
    assert "&#x1D53C;" in mathml(r"\begin{aligned}a&=\mathbb E_q[b]\end{aligned}") and "&#x1D53C;" in mathml(r"\mathbb{E}")


# ---- in the browser

def printed(tmp_path, *cells) -> tuple[list[str], int]:
    to = tmp_path / "toy.pdf"
    cut = pdf.write_pdf(chapter_page(lecture(*cells), None, []), "1 · Toy", to)
    assert to.read_bytes().startswith(b"%PDF-")
    return cut, pdf.n_pages(to)


@needs_browser
def test_what_is_wide_or_long_fits_the_sheet(tmp_path):
    table = "| " + " | ".join(f"column {n}" for n in range(14)) + " |\n" + "|--" * 14 + "|\n" + ("| " + " | ".join(["some words"] * 14) + " |\n") * 3
    cut, pages = printed(tmp_path, code("x = " + "'a' + " * 60 + "'b'", text="9" * 400), table, "$$" + "a+" * 40 + "b$$", code(picture=png(900, 2000), width=900), *["Words. " * 300] * 3)
    assert cut == [] and pages >= 3


@needs_browser
def test_what_would_be_cut_is_named(tmp_path):
    cut, _ = printed(tmp_path, "$$" + r"\mathrm{immensely}+" * 40 + "b$$", "> " + "Word word word.\n>\n> " * 90, '<div style="width: 900px">much too wide</div>', "Fine.")
    for complaint in ("math needs letters of ", "blockquote higher than a page: Word", "div beyond the margin: much too wide"):
        assert sum(line.startswith(complaint) for line in cut) == 1, cut
    assert not any("Fine" in line for line in cut)
