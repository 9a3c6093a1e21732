"""A notebook as pictures of its pages, as a reader sees it in JupyterLab: `python tools/screenshot.py notebooks/01_gibbs_bound.ipynb`.

Writes NAME-01.png, NAME-02.png, ... into --to (default: the folder pages). With --run the notebook is run first; --theme dark shows the dark theme.
"""
from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tools.browser import browser_page, jupyterlab, missing  # noqa: E402

WIDTH, HEIGHT = 1000, 1400
NOTEBOOK = ".jp-NotebookPanel-notebook .jp-WindowedPanel-outer"


def screenshot(notebook: Path, to: Path, *, run: bool = False, dark: bool = False, seconds: float = 300) -> list[Path]:
    """The pages of a notebook as PNG files in the folder `to`; a copy is opened, so the notebook itself stays as it is."""
    if missing():
        raise RuntimeError(f"screenshot: {missing()}")
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "notebooks"
        folder.mkdir()
        shutil.copy(notebook, folder / notebook.name)
        with jupyterlab(folder, Path(temporary) / "home") as lab, browser_page(width=WIDTH, height=HEIGHT) as view:
            view.open(lab, notebook.name, kernel=run)
            view.command("apputils:change-theme", theme="JupyterLab Dark" if dark else "JupyterLab Light")
            for command in ("application:toggle-left-area", "application:toggle-side-tabbar"):
                view.command(command, **({"side": "left"} if "tabbar" in command else {}))
            view.command("application:set-mode", mode="single-document")
            if run:
                view.run_all(seconds=seconds)
            view.page.wait_for_timeout(3000)  # formulas and pictures settle
            return _pages(view.page, to / notebook.stem)


def _pages(page, stem: Path) -> list[Path]:
    page.evaluate(f"() => document.querySelector('{NOTEBOOK}').scrollTo(0, 0)")
    height, shown = page.evaluate(f"""() => {{
        const outer = document.querySelector('{NOTEBOOK}'), cells = outer.querySelectorAll('.jp-Cell');
        return [cells[cells.length - 1].getBoundingClientRect().bottom - outer.getBoundingClientRect().top, outer.clientHeight];
    }}""")
    found = []
    for number, top in enumerate(range(0, round(height), shown - 40), 1):
        page.evaluate(f"top => document.querySelector('{NOTEBOOK}').scrollTo(0, top)", top)
        page.wait_for_timeout(300)
        found.append(stem.with_name(f"{stem.name}-{number:02d}.png"))
        page.locator(NOTEBOOK).screenshot(path=found[-1])
        if top + shown >= height:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, default=Path("pages"))
    parser.add_argument("--run", action="store_true", help="run the notebook first")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    options = parser.parse_args()
    for notebook in options.notebook:
        for path in screenshot(notebook, options.to, run=options.run, dark=options.theme == "dark"):
            print(path)


if __name__ == "__main__":
    main()
