"""A chapter in a real browser: JupyterLab opens it, runs every cell, and a slider moved with the keyboard changes the picture."""
import re
import shutil

import nbformat
import pytest

from tools.browser import REPOSITORY, browser_page, jupyterlab, missing

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is here")]

CHAPTER = REPOSITORY / "notebooks" / "01_gibbs_bound.ipynb"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
STAND_IN = ("from deepgen_lib import explore, plots, predict\nexplore(plots.tour.landscape)", 'predict("0.1", "What happens?", ["it rises", "it falls"])', "plots.tour.landscape()")
SLIDER, PICTURE = ".widget-slider [role=slider]", ".jp-OutputArea-output .widget-html img"
SECONDS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A student's folder: copies of the chapter and of a notebook with a mistake in it."""
    path = tmp_path_factory.mktemp("work")
    if CHAPTER.exists():
        shutil.copy(CHAPTER, path / "chapter.ipynb")
    else:
        write(path / "chapter.ipynb", *STAND_IN)
    write(path / "broken.ipynb", "import sys; print('planted warning', file=sys.stderr); 1 / 0")
    return path


@pytest.fixture(scope="module")
def lab(folder, tmp_path_factory):
    with jupyterlab(folder, tmp_path_factory.mktemp("home")) as running:
        yield running


def write(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def error_outputs(page) -> list[str]:
    """What the open notebook's cells raised or wrote to stderr, from the notebook itself."""
    outputs = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.flatMap(cell => cell.outputs ?? [])")
    return [o.get("ename") or o["text"] for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]


def pictures_and_words(page) -> tuple[list[str], list[str]]:
    """The alternative texts of the pictures on the page, and those that the notebook's own outputs hold."""
    outputs = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.flatMap(cell => cell.outputs ?? [])")
    still = [o for o in outputs if "image/png" in o.get("data", {}) and WIDGET_VIEW not in o["data"]]
    return page.evaluate("() => [...document.querySelectorAll('.jp-RenderedImage img')].map(image => image.alt)"), [o["metadata"]["image/png"]["alt"] for o in still]


def test_a_chapter_runs_and_its_slider_obeys_the_keyboard(lab):
    with browser_page() as view:
        page = view.page
        view.open(lab, "chapter.ipynb", kernel=True)
        view.run_all(seconds=SECONDS)
        assert not error_outputs(page)
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        assert prompts == [f"[{i}]:" for i in range(1, len(prompts) + 1)], "every cell ran, in order"

        drawn, told = pictures_and_words(page)
        assert drawn == told and drawn, "every picture has its alternative text"

        picture = page.locator(PICTURE).first
        picture.wait_for(timeout=1e3 * SECONDS)
        before = picture.get_attribute("src"), picture.get_attribute("alt")
        assert page.evaluate(f"() => document.querySelector('{PICTURE}').naturalWidth") > 300
        move(page, before[0])
        after = page.locator(PICTURE).first
        assert after.get_attribute("alt") not in ("", before[1])
        assert page.evaluate(f"() => document.querySelector('{PICTURE}').naturalWidth") > 300
        assert not error_outputs(page) and view.complaints == []


def move(page, source: str) -> None:
    """Press an arrow on the first slider until the picture is another one; at an end of the slider the other arrow helps."""
    slider = page.locator(SLIDER).first
    slider.scroll_into_view_if_needed()
    slider.focus()
    value = slider.get_attribute("aria-valuenow")
    page.keyboard.press("ArrowRight")
    if slider.get_attribute("aria-valuenow") == value:
        page.keyboard.press("ArrowLeft")
    changed = f"before => document.querySelector('{PICTURE}')?.src != before && document.querySelector('{PICTURE}')?.complete"
    page.wait_for_function(changed, arg=source, timeout=1e3 * SECONDS)


def test_a_mistake_in_a_notebook_is_seen(lab):
    """The test above can fail: an error output is found where there is one."""
    with browser_page() as view:
        view.open(lab, "broken.ipynb", kernel=True)
        view.run_all(seconds=SECONDS)
        found = error_outputs(view.page)
        assert "ZeroDivisionError" in found and any("planted warning" in text for text in found)


def test_complaints_of_a_page_are_collected():
    with browser_page() as view:
        view.page.goto("about:blank")
        view.page.evaluate("() => { setTimeout(() => { throw new Error('planted'); }); console.error('planted too'); }")
        view.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => 0)")
        view.page.wait_for_timeout(300)
    found = "\n".join(view.complaints)
    assert re.search("exception: .*planted", found) and "console: planted too" in found and "request to another machine: http://192.0.2.1/" in found
