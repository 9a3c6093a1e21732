"""The parts of the reading site: what a cell showed as HTML, equations, and the checks that find broken pages."""
import base64
import re

import nbformat.v4 as v4
import pytest
from PIL import Image

from tools.mathml import mathml
from tools.site.checks import problems
from tools.site.equations import equation
from tools.site.extension import CLAIM
from tools.site.outputs import Pictures, shown


@pytest.fixture
def pictures(tmp_path):
    return Pictures(tmp_path / "pictures", "../pictures")


@pytest.fixture
def png(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "picture.png")
    return base64.b64encode((tmp_path / "picture.png").read_bytes()).decode()


def cell(*outputs):
    return v4.new_code_cell("f()", outputs=list(outputs))


def picture(png, plain="A curve.", **metadata):
    return v4.new_output("execute_result", {"image/png": png, "text/plain": plain}, metadata={"image/png": metadata}, execution_count=1)


def page_of(outputs):
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


def test_a_picture_becomes_a_file_and_keeps_its_words(png, pictures):
    made = page_of(shown(cell(picture(png, alt='"x" < y', width=20)), pictures))
    assert 'alt="&quot;x&quot; &lt; y" width="20" height="10"' in made
    (file,) = pictures.folder.iterdir()
    assert f'src="../pictures/{file.name}"' in made and file.read_bytes() == base64.b64decode(png)


def test_without_frames_a_slider_is_a_picture_that_says_what_would_move(png, pictures):
    made = page_of(shown(cell(picture(png, "Slider k: 1, 2; at 1\nA curve.", alt="A curve.")), pictures))
    assert "<input" not in made and "<li>k: 1, 2; at 1</li>" in made and 'alt="A curve."' in made


def test_with_frames_a_slider_starts_where_the_notebook_did(png, pictures):
    frames = {"id": "widget", "controls": [{"name": "k", "labels": ["1", "2"], "start": 1}], "files": ["a", "b"], "alts": ["", ""]}
    made = page_of(shown(cell(picture(png, "Slider k: 1, 2; at 2\nA curve.", alt="A curve.")), pictures, frames, way="../frames/01"))
    assert re.search(r'<label for="widget-0">k</label><input type="range" id="widget-0" min="0" max="1" step="1" value="1" aria-valuetext="2">', made)
    assert 'src="../frames/01/widget.js"' in made


def test_predictions_can_be_clicked_and_typed(pictures):
    made = page_of(shown(cell(v4.new_output("execute_result", {"text/plain": "Predict 1.a. Is 1 < 2?\n  a) yes\n  b) no"}, execution_count=1)), pictures))
    assert 'data-key="1.a"' in made and "Is 1 &lt; 2?" in made and made.count('type="radio"') == 2 and 'value="b"> b) no' in made
    made = page_of(shown(cell(v4.new_output("execute_result", {"text/plain": "Predict 1.b. How many?\n  type a number (nats)"}, execution_count=1)), pictures))
    assert 'type="text"' in made and "in nats" in made and "radio" not in made


def test_an_answer_is_folded_and_the_rest_of_what_was_printed_is_not(pictures):
    before, answer, after = shown(cell(v4.new_output("stream", text="x 1\nAnswer 1.a: b) no.\nBecause <so>.\nB1 holds: x < 3\n")), pictures)
    assert (before.text, after.text) == ("x 1\n", "B1 holds: x < 3\n")
    assert 'data-right="b"' in answer.data["text/html"] and "<p>Because &lt;so&gt;.</p></details>" in answer.data["text/html"]
    (typed,) = shown(cell(v4.new_output("stream", text="Answer 1.b: 12.4 nats.\n")), pictures)
    assert 'data-right="" data-value="12.4 nats"' in typed.data["text/html"]


def test_names_of_claims_are_found_and_nothing_else():
    found = CLAIM.findall("B3, (T1) and D1-D5, N6b; not DB3, B3x2, 3.B1, T1.5, V2-like or GPT4")
    assert found == ["B3", "T1", "D1", "D5", "N6b"]


def test_equations_are_spaced_as_in_print():
    assert re.search(r'<mi>log</mi><mspace width="0.167em" ?/><mi>p</mi>', equation(r"\log p"))
    assert '<mo form="prefix">−</mo><mn>7</mn>' in equation(r"x=-7") and 'form="prefix"' not in equation("x-7")
    assert "<mo>" not in equation(r"\infty") and 'xmlns' not in equation("x")


def test_aligned_lines_are_columns():
    assert mathml(r"\begin{aligned}a&=b\\&=c\end{aligned}").count("<mtr>") == 2


def test_the_checks_find_nothing_on_a_good_page(tmp_path):
    write(tmp_path, '<img src="a.png" alt="A."><a href="b.html#x">b</a><a href="https://example.org">far</a>')
    assert problems(tmp_path) == []


@pytest.mark.parametrize("body, said", [
    ('<a href="c.html">c</a>', "c.html leads nowhere"), ('<a href="b.html#y">b</a>', "that page has no 'y'"), ('<a href="#z">z</a>', "that page has no 'z'"),
    ('<script src="https://cdn.example/x.js"></script>', "of another machine"), ('<link rel="stylesheet" href="//cdn.example/x.css">', "of another machine"),
    ('<img src="a.png">', "no alternative text"), ('<img src="a.png" alt=" ">', "no alternative text"), ('<img src="b.png" alt="B.">', "b.png leads nowhere"),
    ('<p id="x"></p><p id="x"></p>', "stands twice"),
])
def test_a_planted_fault_is_named(tmp_path, body, said):
    write(tmp_path, body)
    (found,) = problems(tmp_path)
    assert said in found and found.startswith("a.html")


def test_a_style_sheet_that_asks_another_machine_is_named(tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example/a.woff2') }")
    assert problems(tmp_path) == ["a.css: asks https://fonts.example/a.woff2 of another machine"]


def write(folder, body):
    (folder / "a.png").touch()
    (folder / "a.html").write_text(body)
    (folder / "b.html").write_text('<p id="x"></p>')
