"""The reading site as its reader meets it: built from the committed notebooks, opened from a folder, with no kernel and no network."""
import html
import re
import subprocess
import sys

import pytest

from deepgen_lib import plots
from deepgen_lib.checks import registered
from deepgen_lib.widgets import Explorer
from tools.accessibility import CONTRAST, findings
from tools.browser import browser_page, missing
from tools.exercises import secret_lines
from tools.sources import ROOT, code_cells, find_sources, read_inputs, read_notebook

LIVE, MOVED = "00_start_here", "tour-landscape"  # the chapter whose frames are drawn here, and its first slider
needs_browser = pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is here")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All pages, as make site makes them, with live sliders in one chapter. Its own checks (links, pictures, other machines) found nothing."""
    folder = tmp_path_factory.mktemp("site")
    made = subprocess.run([sys.executable, "-m", "tools.site", "--frames", LIVE, "--to", str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, ""), made.stderr[-3000:]
    return folder


@pytest.fixture
def browser():
    with browser_page(width=1280, height=900) as page:
        yield page
        assert page.complaints == []


def text_of(page, without):
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(without, "", page.read_text(encoding="utf-8"), flags=re.S)))


def test_every_notebook_and_text_is_a_page(site):
    built = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "exercises").glob("*/*.ipynb"), *(ROOT / "reference").glob("*.md"), ROOT / "INSTRUCTORS.md", ROOT / "LEDGER.md"]
    assert len(built) > 30
    assert [path.name for path in built if not (site / path.relative_to(ROOT).with_suffix(".html")).exists()] == []
    assert (site / ".nojekyll").exists() and (site / "index.html").exists()


@pytest.mark.parametrize("stem", [source.stem for source in find_sources(kinds=("lectures",))])
def test_every_picture_keeps_its_words(site, stem):
    page = (site / "notebooks" / f"{stem}.html").read_text(encoding="utf-8")
    alts = [output.metadata["image/png"]["alt"] for cell in code_cells(read_notebook(ROOT / "notebooks" / f"{stem}.ipynb")) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert alts and [alt for alt in alts if f'alt="{html.escape(alt)}"' not in page] == []
    assert ("<input type=\"range\"" in page) == (stem == LIVE)


def test_exercises_have_their_hints_and_no_solutions(site):
    for source in find_sources(kinds=("solutions",)):
        page = site / "exercises" / source.stem / f"{source.stem}.html"
        ids = [exercise.id for exercise in registered() if exercise.chapter == source.stem]
        assert [number for number in ids if len(re.findall(rf"<summary>Hint \d of {number}:", page.read_text(encoding="utf-8"))) != 3] == []
        words = re.sub(r"\s+", " ", text_of(page, without=r'<details class="hint">.*?</details>'))  # a third hint may say much
        assert [line for line in secret_lines(read_inputs(source.text)) if line in words] == []


def test_a_claim_leads_to_its_cells_and_its_name_to_the_claim(site):
    page = (site / "notebooks" / "01_gibbs_bound.html").read_text(encoding="utf-8")
    box = re.search(r'<blockquote class="claim" id="claim-B1">.*?</blockquote>', page, re.S)[0]
    assert all(re.search(rf'href="[^"]*#[^"]*"[^>]*>{words}<', box) for words in ("proof", "planted error", "picture", "exercise", "ledger"))
    assert re.search(r'<a class="claim-name[^"]*" href="01_gibbs_bound.html#claim-B\d"|<a class="claim-name[^"]*" href="#claim-B\d"', page)
    assert "../notebooks/01_gibbs_bound.html#claim-B" in (site / "reference" / "errata.html").read_text(encoding="utf-8") or "notebooks/01_gibbs_bound.html#claim-B1" in (site / "LEDGER.html").read_text(encoding="utf-8")


@pytest.mark.browser
@needs_browser
def test_a_slider_shows_what_its_render_draws(site, browser):
    browser.page.goto((site / "notebooks" / f"{LIVE}.html").as_uri())
    slider, image = browser.page.locator(f"#{MOVED}-0"), browser.page.locator(f"figure[data-frames={MOVED}] img")
    before = image.get_attribute("src")
    slider.focus()
    browser.page.keyboard.press("ArrowRight")
    explorer = Explorer(plots.tour.landscape, plots.tour.landscape.controls, {})
    ((name, pairs),) = explorer.options.items()
    label, value = pairs[[v for _, v in pairs].index(explorer.values[name]) + 1]
    assert slider.get_attribute("aria-valuetext") == label
    assert image.get_attribute("alt") == explorer.frame(**{name: value}).alt and image.get_attribute("src") != before
    browser.page.wait_for_function("image => image.complete && image.naturalWidth > 100", arg=image.element_handle(), timeout=120_000)


@pytest.mark.browser
@needs_browser
def test_a_prediction_is_compared_with_the_answer(site, browser):
    browser.page.goto((site / "notebooks" / "01_gibbs_bound.html").as_uri())
    question, answer = browser.page.locator('fieldset[data-key="1.a"]'), browser.page.locator('details.answer[data-key="1.a"]')
    question.locator('input[value="a"]').check()
    assert "waits" in question.locator(".verdict").text_content() and answer.get_attribute("open") is None
    answer.locator("summary").click()
    browser.page.wait_for_function("() => document.querySelector('.verdict.wrong')", timeout=120_000)
    question.locator('input[value="d"]').check()
    assert question.locator(".verdict.right").text_content() == "You predicted this."
    browser.page.reload()
    assert browser.page.locator('fieldset[data-key="1.a"] input[value="d"]').is_checked()


@pytest.mark.browser
@needs_browser
def test_search_finds_words_without_a_server(site, browser):
    for word, title in (("entropy", "1 · The Gibbs bound"), ("straight-through", "9 · VQ-VAE: the losses")):
        browser.page.goto(f"{(site / 'search.html').as_uri()}?q={word}")
        browser.page.wait_for_function("title => [...document.querySelectorAll('#search-results li a')].some(link => link.textContent.includes(title))", arg=title, timeout=120_000)


@pytest.mark.browser
@needs_browser
def test_no_page_is_wider_than_its_window(site, browser):
    pages = ["index", "notebooks/09_vqvae_losses", "exercises/05_tied_weights/05_tied_weights", "reference/notation", "reference/formulas", "LEDGER"]
    too_wide = []
    for page in pages:
        browser.page.goto((site / f"{page}.html").as_uri())
        for width in (400, 1280):
            browser.page.set_viewport_size({"width": width, "height": 900})
            too_wide += [(page, width)] if browser.page.evaluate("document.documentElement.scrollWidth") > width else []
    assert too_wide == []


@pytest.mark.browser
@needs_browser
def test_axe_finds_nothing_grave(site, browser):
    """Every page by all rules but contrast; contrast on one page of each kind, light and dark; and a planted picture without words is seen."""
    pages = [page for page in sorted(site.rglob("*.html")) if "_static" not in page.relative_to(site).parts]
    kinds = [site / f"{name}.html" for name in ("index", f"notebooks/{LIVE}", "exercises/03_log_z/03_log_z", "reference/notation")]
    looks = [("light", page, (CONTRAST,)) for page in pages] + [(scheme, page, ()) for scheme in ("light", "dark") for page in kinds]
    found = {}
    for scheme, page, without in looks:
        browser.page.emulate_media(color_scheme=scheme)
        browser.page.goto(page.as_uri(), timeout=600_000)
        if lines := findings(browser.page, within="html", without=without):
            found[scheme, page.relative_to(site).as_posix()] = lines
    assert len(pages) > 30 and found == {}
    browser.page.evaluate("() => document.body.append(document.createElement('img'))")
    assert [line.partition(" ")[0] for line in findings(browser.page, within="html", without=(CONTRAST,))] == ["image-alt"]
