"""Accessible pages: axe's rules on a page in the browser, and the order of a notebook's headings.

What is JupyterLab's own and cannot be mended from outside is named in JUPYTERS_OWN, with the reason.
"""
from __future__ import annotations

import re

from nbformat import NotebookNode

NOTEBOOK = ".jp-NotebookPanel-notebook"
CONTRAST = "color-contrast"  # the rule that takes most of the time; all pages of one make have the same colours
EQUATIONS = ("math", "mjx-container")  # many tiny parts with the colour of the text around them
GRAVE = ("serious", "critical")
JUPYTERS_OWN = {  # rule: the ends of the selectors of what is left alone
    "scrollable-region-focusable": (".cm-scroller.jp-zoom-target",),  # a long line of code: Enter puts the caret into the cell, and the caret scrolls
}


def findings(page, *, within: str = NOTEBOOK, impacts: tuple[str, ...] = GRAVE, without: tuple[str, ...] = ()) -> list[str]:
    """What axe finds within a selector of an open page, one line each: rule, place, what to do; JUPYTERS_OWN and the rules `without` left out."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"preload": False, "resultTypes": ["violations"], "rules": {rule: {"enabled": False} for rule in without}}
    found = Axe().run(page, {"include": [[within]], "exclude": [[name] for name in EQUATIONS]}, options).response["violations"]
    lines = []
    for violation in found:
        for node in violation["nodes"]:
            place = " ".join(str(part) for part in node["target"])
            left_alone = place.endswith(JUPYTERS_OWN.get(violation["id"], ()) or ("\0",))
            if violation["impact"] in impacts and not left_alone:
                lines.append(f"{violation['id']} ({violation['impact']}): {place}: {node['html'][:160]}: {node['failureSummary'].splitlines()[-1].strip()}")
    return lines


def heading_problems(notebook: NotebookNode) -> list[str]:
    """What a reader who jumps from heading to heading would stumble over: no title or several, a level left out, an empty heading."""
    levels, problems = [], []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for marks, words in re.findall(r"^(#{1,6})(?:[ \t]+(.*))?$", _without_code(cell.source), flags=re.MULTILINE):
                if not words.strip(" #"):
                    problems.append(f"an empty heading of level {len(marks)}")
                if levels and len(marks) > levels[-1] + 1:
                    problems.append(f"level {levels[-1]} is followed by level {len(marks)}: {words}")
                levels.append(len(marks))
    if levels[:1] != [1] or levels.count(1) != 1:
        problems.append(f"the notebook has {levels.count(1)} titles, expected one, first of all headings")
    return problems


def _without_code(text: str) -> str:
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
