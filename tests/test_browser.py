"""A reader's first hour in a real browser: the start page, a prediction, an exercise with its ladder of hints, progress; Notebook 7; and
that these tests can fail."""
import json
import re

import nbformat
import pytest

from tests.browsing import CELLS, SECONDS, complaints_of, move_everything, n_sliders, pictures_and_words, run_below, run_cell, student_folder
from tools.accessibility import NOTEBOOK, findings
from tools.browser import REPOSITORY, browser_page, jupyterlab, missing

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is here")]
START = "notebooks/00_start_here.ipynb"
EXERCISES = "exercises/01_gibbs_bound/01_gibbs_bound.ipynb"
NOTEBOOKS_OWN = "exception: Cannot read properties of undefined (reading 'schema')"  # Notebook 7.6's list of shortcuts, with any extension that has none
BROKEN = ["import sys; print('planted warning', file=sys.stderr); 1 / 0"]
DEAF = ["import ipywidgets\nipywidgets.VBox([ipywidgets.SelectionSlider(options=[1, 2], description='deaf'), ipywidgets.HTML('<img alt=\"the same\">')])"]


@pytest.fixture
def folder(tmp_path):
    """A new student's folder, with two more notebooks in it that have a mistake."""
    path = student_folder(tmp_path / "course", START, EXERCISES)
    for name, cells in {"broken": BROKEN, "deaf": DEAF}.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, path / f"{name}.ipynb")
    return path


@pytest.fixture
def lab(folder, tmp_path):
    with jupyterlab(folder, tmp_path / "home", seconds=SECONDS) as running:
        yield running


def code_cells(name: str) -> list:
    return [cell for cell in nbformat.read(REPOSITORY / name, as_version=4).cells if cell.cell_type == "code"]


def first_exercise(name: str) -> tuple[str, str, str]:
    """Ids of the answer's and the check's cell of the first exercise, and its number."""
    ids = [cell.id for cell in code_cells(name)]
    answer = next(cell for cell in ids if re.fullmatch(r"ex-\d+-\d+", cell))
    return answer, answer.replace("ex-", "check-"), answer.removeprefix("ex-").replace("-", ".")


def test_a_prediction_is_compared_and_progress_shows_it(lab, folder):
    cells = code_cells(START)
    asked = next(cell for cell in cells if re.match(r"predict\(", cell.source))
    answered = next(cell for cell in cells if re.search(r"^reveal\(", cell.source, flags=re.MULTILINE))
    with browser_page() as view:
        view.open(lab, START, kernel=True, seconds=SECONDS)
        run_cell(view.page, cells[0].id)
        run_cell(view.page, asked.id)
        choice = view.page.locator("input[type=radio]").first
        choice.wait_for(timeout=1e3 * SECONDS)
        choice.focus()
        view.page.keyboard.press("Space")
        assert "You predicted" in run_cell(view.page, answered.id)
        told = run_below(view.page, "from deepgen_lib import progress\nprogress()")
        assert re.search(r"of 1 prediction\b", told), told
        view.page.locator(".jp-OutputArea-output caption").first.wait_for(timeout=1e3 * SECONDS)
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            view.command("apputils:change-theme", theme=theme)
            view.page.wait_for_function("theme => document.body.dataset.jpThemeName == theme", arg=theme, timeout=1e3 * SECONDS)
            assert findings(view.page) == []
        assert complaints_of(view.page) == [] and view.complaints == []
    assert len(json.loads((folder / "progress.json").read_text(encoding="utf-8"))["predictions"]) == 1


def test_a_stuck_student_always_has_a_next_step(lab, folder):
    answer, check, number = first_exercise(EXERCISES)
    start = next(cell.source for cell in code_cells(EXERCISES) if cell.id == answer)
    right = next(cell.source for cell in code_cells(EXERCISES.replace("exercises", "solutions")) if cell.id == answer)
    with browser_page() as view:
        page = view.page
        view.open(lab, EXERCISES, kernel=True, seconds=SECONDS)
        run_cell(page, code_cells(EXERCISES)[0].id)
        run_cell(page, answer)
        assert "not yet" in run_cell(page, check), "the untouched start is no answer"
        run_cell(page, answer, start.replace("raise NotImplementedError()", "return 0.0"))
        complaint = run_cell(page, check)
        assert "not yet" in complaint and f'hint("{number}")' in complaint, complaint

        ladder = [run_below(page, f'hint("{number}")') for _ in range(4)]
        assert len(set(ladder)) == 4 and all(len(step) > 40 for step in ladder), ladder
        assert "start_over" in ladder[-1], "after the last hint there is a next step"
        run_below(page, f'start_over("{number}")')
        sources = [cell["source"] for cell in page.evaluate(CELLS)]
        assert sources.count(start) == 1, "the untouched start stands in a new cell; the answer's own cell is as it was"

        run_cell(page, answer, right)
        assert f"{number} right" in run_cell(page, check)
        assert "1 exercise solved" in run_below(page, "from deepgen_lib import progress\nprogress()")
        assert complaints_of(page) == [] and view.complaints == [] and findings(page) == []
    assert json.loads((folder / "progress.json").read_text(encoding="utf-8"))["exercises"][number]["right"] is True


def test_the_start_page_works_in_notebook_7(folder, tmp_path):
    stored = nbformat.read(REPOSITORY / START, as_version=4)
    with jupyterlab(folder, tmp_path / "home", app="notebook", seconds=SECONDS) as server, browser_page() as view:
        view.open(server, START, kernel=True, seconds=SECONDS)
        view.run_all(seconds=SECONDS)
        assert complaints_of(view.page) == []
        drawn, told = pictures_and_words(view.page)
        assert drawn == told, "every picture has its alternative text"
        assert move_everything(view.page).slider == n_sliders(stored) > 0
        assert complaints_of(view.page) == [] and set(view.complaints) <= {NOTEBOOKS_OWN} and findings(view.page) == []


def test_a_mistake_in_a_notebook_is_seen(lab):
    """The tests above can fail: an error output is found where there is one."""
    with browser_page() as view:
        view.open(lab, "broken.ipynb", kernel=True, seconds=SECONDS)
        view.run_all(seconds=SECONDS)
        found = complaints_of(view.page)
        assert any("ZeroDivisionError" in line for line in found) and any("planted warning" in line for line in found)


def test_a_widget_that_does_nothing_is_seen(lab):
    with browser_page() as view:
        view.open(lab, "deaf.ipynb", kernel=True, seconds=SECONDS)
        view.run_all(seconds=SECONDS)
        view.page.locator(".widget-html img").wait_for(state="attached", timeout=1e3 * SECONDS)
        with pytest.raises(AssertionError, match="no arrow key changes the picture"):
            move_everything(view.page)


def test_complaints_of_a_page_are_collected():
    with browser_page() as view:
        view.page.goto("about:blank")
        view.page.evaluate("() => { setTimeout(() => { throw new Error('planted'); }); console.error('planted too'); }")
        view.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => 0)")
        view.page.wait_for_timeout(300)
    found = "\n".join(view.complaints)
    assert re.search("exception: .*planted", found) and "console: planted too" in found and "request to another machine: http://192.0.2.1/" in found


PLANTED = '<main><h1>Title</h1><div class="jp-NotebookPanel-notebook">{}</div></main>'


@pytest.mark.parametrize("part, rule", [
    ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image-alt"), ("<div role=slider tabindex=0 aria-valuenow=1></div>", "aria-input-field-name"),
    ("<p style='color: #bbb; background: #fff'>pale</p>", "color-contrast"), ("<button></button>", "button-name"), ("<input type=text>", "label"),
])
def test_axe_finds_a_planted_fault(part, rule):
    with browser_page() as view:
        view.page.set_content(f"<html lang=en><title>Page</title>{PLANTED.format('<p>Fine</p>')}")
        assert findings(view.page, within=NOTEBOOK) == []
        view.page.set_content(f"<html lang=en><title>Page</title>{PLANTED.format(part)}")
        assert [line.partition(" ")[0] for line in findings(view.page, within=NOTEBOOK)] == [rule]
