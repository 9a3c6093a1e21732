"""What a reader does in a notebook that is open in a browser: move what can be moved, and see what came of it.

Nothing here knows a chapter. What there is to move is found on the page, and what there should be is read from the notebook.
"""
import json
import re
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from tools import workspace
from tools.browser import REPOSITORY

SECONDS = 900  # a slow machine may need as long; nothing waits longer than it must
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
AREA = ".jp-OutputArea-output:has(> .jupyter-widgets)"
CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"
ASK = """async code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({ code, store_history: false });
    let told = '';
    future.onIOPub = message => { told += message.content.text ?? message.content.evalue ?? ''; };
    await future.done;
    return told;
}"""
STATES = """
import hashlib, json
from ipywidgets.widgets.widget import _instances
print(json.dumps({key: hashlib.sha256(repr(sorted(widget.get_state().items(), key=str)).encode()).hexdigest() for key, widget in _instances.items()}))
"""
RUN = """async ([id, source]) => {
    const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.id == id);
    notebook.deselectAll();
    if (source !== null) notebook.activeCell.model.sharedModel.setSource(source);
    await app.commands.execute('notebook:run-cell');
    return notebook.activeCell.model.toJSON().outputs.map(output => output.data?.['text/plain'] ?? output.text ?? output.evalue ?? '').join('\\n');
}"""
NEW = """async () => {
    const app = window.jupyterapp;
    await app.commands.execute('notebook:insert-cell-below');
    return app.shell.currentWidget.content.activeCell.model.id;
}"""
DRAWN = "image => image.complete && image.naturalWidth > 300 && image.alt"
CONTROLS = {"slider": "[role=slider]", "choice": "input[type=radio]", "list": "select", "number": "input[type=number], input[type=text]", "button": "button"}


class Moved(NamedTuple):
    """How many of each kind were moved, each seen to change the page and what the kernel holds."""
    slider: int = 0
    choice: int = 0
    list: int = 0
    number: int = 0
    button: int = 0


def student_folder(root: Path, *names: str) -> Path:
    """A folder like work/, with copies of these files of the course as students get them: without outputs."""
    for name in names:
        path = root / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(workspace.without_outputs(REPOSITORY / name))
    (root / "work" / ".handed-out.json").write_text("{}", encoding="utf-8")  # by this the library knows whose folder it is
    return root / "work"


def complaints_of(page) -> list[str]:
    """What cells of the open notebook raised, though no tag says that they should, or wrote to stderr; and widgets that show an error."""
    found = []
    for cell in page.evaluate(CELLS):
        meant = "raises-exception" in cell["metadata"].get("tags", [])
        for output in cell.get("outputs", []):
            if output["output_type"] == "error" and not meant or output.get("name") == "stderr":
                found.append(f"{output['ename']}: {output['evalue']}" if "ename" in output else "".join(output["text"]))
    return found + page.locator(f"{AREA} [role=alert]").all_inner_texts()


def pictures_and_words(page) -> tuple[list[str], list[str]]:
    """The alternative texts of the pictures on the page, and those that the notebook's own outputs hold."""
    outputs = [output for cell in page.evaluate(CELLS) for output in cell.get("outputs", [])]
    still = [output for output in outputs if "image/png" in output.get("data", {}) and WIDGET_VIEW not in output["data"]]
    return page.evaluate("() => [...document.querySelectorAll('.jp-RenderedImage img')].map(image => image.alt)"), [output["metadata"]["image/png"]["alt"] for output in still]


def n_widgets(page) -> int:
    """How many widgets the outputs of the open notebook hold."""
    return sum(WIDGET_VIEW in output.get("data", {}) for cell in page.evaluate(CELLS) for output in cell.get("outputs", []))


def n_sliders(notebook: NotebookNode) -> int:
    """How many sliders a built notebook has, by its outputs in words."""
    told = ["".join(output.get("data", {}).get("text/plain", "")) for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum(len(re.findall(r"^Slider ", text, flags=re.MULTILINE)) for text in told)


def ask(page, code: str) -> str:
    """Run code in the open notebook's kernel, after all that was sent to it before; what it printed."""
    return page.evaluate(ASK, code)


def run_cell(page, cell: str, source: str | None = None) -> str:
    """Run the cell with this id, after writing `source` into it; what came out, in words."""
    return page.evaluate(RUN, [cell, source])


def run_below(page, source: str) -> str:
    """Write a new cell below the active one and run it; what came out, in words."""
    return run_cell(page, page.evaluate(NEW), source)


def move_everything(page) -> Moved:
    """Move every control of every widget, by keyboard where it is a slider, a choice or a button."""
    counts = dict.fromkeys(CONTROLS, 0)
    for area in page.locator(AREA).all():
        for kind, selector in CONTROLS.items():
            controls = area.locator(selector).all()
            for control in _groups(controls) if kind == "choice" else controls:
                _moved(page, area, control, kind, counts[kind])
                counts[kind] += 1
    return Moved(**counts)


def _groups(radios: list) -> list:
    """The last button of each question, so that answers differ from what stands first."""
    return [radio for radio, following in zip(radios, [*radios[1:], None]) if following is None or following.get_attribute("value") == "0"]


def _moved(page, area, control, kind: str, number: int) -> None:
    before, face = json.loads(ask(page, STATES)), _face(area)
    if kind == "slider":
        _press_until_another_picture(page, area, control)
    elif kind == "list":
        control.select_option(index=1 + number % (control.locator("option").count() - 1))
    elif kind == "number":
        control.fill("3")
        control.press("Enter")
    else:
        control.focus()
        page.keyboard.press("Space")
    after = json.loads(ask(page, STATES))
    where = f"{kind} {number + 1}: {area.inner_text()[:120]!r}"
    assert after != before, f"the kernel heard nothing of {where}"
    assert _face(area) != face, f"nothing changed on the page: {where}"


def _face(area) -> str:
    return area.evaluate("node => node.outerHTML + JSON.stringify([...node.querySelectorAll('input, select')].map(input => [input.checked, input.value]))")


def _press_until_another_picture(page, area, slider) -> None:
    """Arrow keys, up to the end and back; a step may leave a picture as it was, a whole way may not."""
    picture = area.locator("img").last
    picture.wait_for()
    before = picture.get_attribute("src")
    slider.focus()
    keys = round(float(slider.get_attribute("aria-valuemax")))
    for key in ["ArrowRight"] * keys + ["ArrowLeft"] * keys:
        value = slider.get_attribute("aria-valuenow")
        page.keyboard.press(key)
        if slider.get_attribute("aria-valuenow") == value:
            continue  # at this end already
        ask(page, "")
        if picture.get_attribute("src") != before:
            return page.wait_for_function(DRAWN, arg=picture.element_handle())
    raise AssertionError(f"no arrow key changes the picture: {area.inner_text()[:120]!r}")
