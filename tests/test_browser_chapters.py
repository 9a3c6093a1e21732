"""Every notebook of the course in a real browser: JupyterLab opens it, runs all of it, and every widget obeys the keyboard.

One class a notebook, so that they can be spread over processes; one JupyterLab serves them all.
"""
import nbformat
import pytest

from tests.browsing import SECONDS, complaints_of, move_everything, n_sliders, n_widgets, pictures_and_words, student_folder
from tools.accessibility import CONTRAST, findings
from tools.browser import REPOSITORY, browser_page, jupyterlab, missing

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is here")]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab on copies of all chapters, as students get them."""
    folder = student_folder(tmp_path_factory.mktemp("course"), *(path.relative_to(REPOSITORY).as_posix() for path in NOTEBOOKS))
    with jupyterlab(folder, tmp_path_factory.mktemp("home"), seconds=SECONDS) as running:
        yield running


def read_moved_and_checked(lab, notebook) -> None:
    """Open, run, move everything; what a reader must not meet on the way."""
    stored = nbformat.read(notebook, as_version=4)
    with browser_page() as view:
        view.open(lab, f"notebooks/{notebook.name}", kernel=True, seconds=SECONDS)
        view.run_all(seconds=SECONDS)
        page = view.page
        assert complaints_of(page) == []
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        assert prompts == [f"[{i}]:" for i in range(1, len(prompts) + 1)], "every cell ran, in order"
        drawn, told = pictures_and_words(page)
        assert drawn == told, "every picture has its alternative text"

        page.wait_for_function("([selector, n]) => document.querySelectorAll(selector).length >= n", arg=[".jp-OutputArea-output > .jupyter-widgets", n_widgets(page)])
        moved = move_everything(page)
        assert moved.slider == n_sliders(stored) > 0 and moved.choice + moved.list + moved.number > 0
        assert complaints_of(page) == [] and view.complaints == []
        assert findings(page, without=() if notebook == NOTEBOOKS[0] else (CONTRAST,)) == []
        page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
    log = lab.log.read_text(encoding="utf-8")
    assert "Traceback" not in log, log[-2000:]


def chapter(notebook) -> type:
    class Chapter:
        def test_it_runs_and_every_widget_obeys(self, lab):
            read_moved_and_checked(lab, notebook)
    return Chapter


globals().update({f"Test{notebook.stem}": chapter(notebook) for notebook in NOTEBOOKS})
