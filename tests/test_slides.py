"""Slides: what becomes one, that nothing of a lecture's claims and pictures is lost, that pages need no network and every slide fits its screen."""
import base64
import re
import struct

import nbformat.v4 as v4
import pytest

from tools import slides
from tools.browser import browser_page, missing
from tools.deck import LEFT_OUT, MAX_TEXT, aspect, slides_of
from tools.mathml import mathml
from tools.sheet import KeptAside, to_html
from tools.sources import find_sources, read_notebook

LECTURES = {source.stem: source.built for source in find_sources(kinds=("lectures",)) if source.built.exists()}
needs_browser = pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is here")


def png(width: int, height: int) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\0" * 20).decode()


def code(source="f()", *, text="", picture="", table=""):
    outputs = [v4.new_output("stream", text=text)] if text else []
    for kind, data in (("image/png", picture), ("text/markdown", table)):
        outputs += [v4.new_output("display_data", {kind: data, "text/plain": "A curve.\nMore."})] if data else []
    return v4.new_code_cell(source, outputs=outputs)


def lecture(*cells):
    first = "# 1 · Toy\n\n**How much?**\n\n| | |\n|:--|:--|\n| **After this chapter you can** | add; subtract |"
    return v4.new_notebook(cells=[v4.new_markdown_cell(first), *(v4.new_markdown_cell(c) if isinstance(c, str) else c for c in cells)])


TOY = lecture("## 1.1 Sums\nProse about sums.\n\n> **B1.** One and $1$ is $2$.", code('predict("1.a", "How <many>?", ["1_0", "2"])'),
              code(text="B1 holds: sum < 3\nnoise\nAnswer 1.a: b) 2.\n", picture=png(4, 3)), "**What to notice.** It is 2.\n\n> **B2.** More.\n\nAnd prose.",
              code(picture=png(4, 3)), code(picture=png(9, 3)), "## 1.2 Summary\nAll of it.", "## 1.3 A worked exercise\nNot here.", code(picture=png(1, 1)))


def test_a_lecture_becomes_title_claims_and_summary():
    title, first, second, third, summary = slides_of(TOY)
    assert title.title == "1 · Toy" and title.box == "**How much?**" and title.notice.endswith("\n- add\n- subtract")
    assert first.box.startswith("> **B1.**") and "How &lt;many&gt;?" in first.predict and "a) 1\\_0<br>b) 2" in first.predict
    assert first.holds == ["B1 holds: sum < 3"] and first.answer == "b) 2." and first.notice == "**What to notice.** It is 2." and first.alt == "A curve."
    assert first.notes == ["Prose about sums."] and second.box == "> **B2.** More." and third.box == "And prose." and aspect(third.picture) == 3
    assert summary.kind == "summary" and summary.box == "All of it."


def test_what_was_found_waits_for_the_prediction():
    page = slides.deck_html(TOY)
    before, after = page.split('class="fragment"', 1)
    assert "How &lt;many&gt;?" in before and "b) 2." not in before and "It is 2." not in before
    assert "It is 2." in after and "A worked exercise" not in page and page.count("<section") == page.count("</section>") == 5


def test_too_much_text_becomes_two_slides():
    long = lecture("## 1.1 Sums\n\n> **B1.** " + "word " * 100, code(picture=png(4, 3)), "**What to notice.** " + "word " * 160)
    _, claim, seen = slides_of(long)
    assert claim.box and not claim.notice and seen.picture and seen.notice and len(claim.box + seen.notice) > MAX_TEXT


def test_a_notebook_that_is_no_lecture_is_refused():
    with pytest.raises(ValueError, match="without a title .* or sections"):
        slides_of(v4.new_notebook(cells=[v4.new_markdown_cell("Hello")]))


@pytest.mark.parametrize("stem", LECTURES)
def test_no_claim_and_no_picture_of_a_chapter_is_lost(stem):
    notebook = read_notebook(LECTURES[stem])
    made = slides_of(notebook)
    assert made[0].kind == "title" and made[0].box.endswith("?**")
    kept, wanted, pictures = True, [], 0
    for cell in notebook.cells:
        for heading in re.findall(r"^## (?:[\d.]+ )?(.+)", cell.source, flags=re.M) if cell.cell_type == "markdown" else []:
            kept = not LEFT_OUT.search(heading)
        if cell.cell_type == "markdown":
            wanted += re.findall(r"^> \*\*(\w*\d(?:\.\d+|\w)?)[,.]", cell.source, flags=re.M)
        elif kept:
            pictures += sum("image/png" in output.get("data", {}) for output in cell.outputs)
    assert [name for name in wanted if sum(bool(re.search(rf"> \*\*{name}[,.]", slide.box)) for slide in made) != 1] == []
    assert sum(bool(slide.picture) for slide in made) == pictures


@pytest.mark.parametrize("stem", LECTURES)
def test_a_page_needs_no_network_and_no_equation_is_left_over(stem):
    page = slides.deck_html(read_notebook(LECTURES[stem]))
    fetched = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"([^\"]{0,60})", page)
    assert {place for place in fetched if not place.startswith("data:image/png")} == {"reveal/reveal.css", "reveal/reveal.js", "reveal/notes.js"}
    shown = re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", page, flags=re.S)
    assert not re.search(r"(?<!\\)\$[^$\n]{1,60}\$", shown) and "\ue000" not in page


def test_equations_become_mathml():
    assert to_html("So $x^2$ and `$5$`.").count("<math") == 1 and "<code>$5$</code>" in to_html("So $x^2$ and `$5$`.")
    assert 'display="block"' in to_html("> $$a\n> +b$$") and "&gt;" not in mathml("a\n> + b")
    assert "<msup>" in mathml(r"\Big(\arg\min_x x^2\Big)") and KeptAside().equations("no dollars") == "no dollars"
    with pytest.raises(ValueError, match=r"mathml: got the command \\nonsense"):
        mathml(r"\nonsense{x}")


def test_the_folder_is_whole_and_an_unknown_chapter_is_named(tmp_path, monkeypatch, capsys):
    source = tmp_path / "package"
    for place in slides.REVEAL.values():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / place).write_text("")
    monkeypatch.setattr(slides, "reveal_folder", lambda: source)
    assert slides.main(["00", "--to", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"00_start_here.html", "index.html", *slides.REVEAL}
    assert slides.main(["77", "--to", str(tmp_path / "out")]) == 1 and "no built chapter starts with '77'" in capsys.readouterr().err
    monkeypatch.setattr(slides, "reveal_folder", lambda: None)
    assert slides.main(["00", "--to", str(tmp_path / "out")]) == 1 and "found no reveal.js; install it" in capsys.readouterr().err


@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("stem", [stem for stem in LECTURES if stem[:2] in ("01", "09")])
def test_every_slide_fits_its_screen(stem, tmp_path):
    path = tmp_path / "deck.html"
    path.write_text(without_reveal(slides.deck_html(read_notebook(LECTURES[stem]))), encoding="utf-8")
    assert slides.misfits(path) == []


@pytest.mark.browser
@needs_browser
def test_a_slide_with_too_much_on_it_is_found(tmp_path):
    path = tmp_path / "deck.html"
    wide = r"$$" + "+".join(f"x_{{{n}}}" for n in range(90)) + "$$"
    path.write_text(without_reveal(slides.deck_html(lecture("## 1.1 Long\n\n> **B1.** " + "many words " * 700, "## 1.2 Wide\n\n> **B2.** " + wide, "## 1.3 Fine\n\n> **B3.** Short."))), encoding="utf-8")
    assert [(misfit.number, misfit.title) for misfit in slides.misfits(path)] == [(2, "1.1 Long"), (3, "1.2 Wide")]


@pytest.mark.browser
@needs_browser
def test_arrow_keys_turn_pages(tmp_path):
    if slides.reveal_folder() is None:
        pytest.skip("reveal.js is not installed: make slides installs it")
    [path] = slides.build(tmp_path, chapters=["05"])
    with browser_page(width=1280, height=720) as browser:
        browser.page.goto(path.as_uri())
        browser.page.wait_for_function("window.Reveal && Reveal.isReady()")
        seen = []
        for _ in range(3):
            seen.append(browser.page.evaluate("Reveal.getIndices().h"))
            browser.page.evaluate("Reveal.nextFragment() || Reveal.right()")
        assert seen[0] == 0 and seen[-1] >= 1 and browser.complaints == []


def without_reveal(page: str) -> str:
    """The same page without the three files beside it: the slides stand one below the other."""
    return re.sub(r"<script[^>]*reveal/[^>]*></script>|<link[^>]*reveal/[^>]*>", "", page)
