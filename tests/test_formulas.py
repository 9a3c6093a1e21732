"""The formula sheet: every formula has a cell that proves it and a function that exists, and the starred ones are evaluated against it."""
import functools
import re
from typing import NamedTuple

import pytest
import torch
from nbformat import NotebookNode

from tests.formula_values_nvae import EVALUATED
from tools.sources import ROOT, read_notebook

PAGE = ROOT / "reference" / "formulas.md"
ROW = re.compile(r"^\| (?P<name>[^|]+) \| [^|]+ \|(?P<code>[^|]*)\| \[(?P<section>\d+\.\d+)\]\(\.\./notebooks/(?P<stem>\w+)\.ipynb\) (?P<cells>(?:`[^`]+` ?)+)(?P<star>\*?) ?\|$")
CONSTANT = {"latents (N2, N3)"}  # the same number whatever the seed


class Row(NamedTuple):
    name: str
    code: str
    section: str
    stem: str
    cells: tuple[str, ...]
    starred: bool


@functools.cache
def lecture(stem: str) -> NotebookNode:
    return read_notebook(ROOT / "notebooks" / f"{stem}.ipynb")


def read_rows(text: str) -> list[Row]:
    found = []
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| name |"):
            match = ROW.match(line)
            assert match, line
            found.append(Row(match["name"], match["code"], match["section"], match["stem"], tuple(re.findall("`([^`]+)`", match["cells"])), bool(match["star"])))
    return found


def faults(text: str) -> list[str]:
    """What is wrong with a formula sheet, in words."""
    rows, found = read_rows(text), []
    notebooks = {row.stem: lecture(row.stem) for row in rows}
    for row in rows:
        cells = {cell.id: cell for cell in notebooks[row.stem].cells}
        for name in row.cells:
            printed = "".join(output.get("text", "") for output in cells[name].get("outputs", [])) if name in cells else ""
            if not re.search(r"^\S+ (holds|derivation):", printed, re.M):
                found.append(f"{row.name}: {row.stem} has no cell {name} that proves something")
        if not any(f"## {row.section} " in cell.source for cell in notebooks[row.stem].cells if cell.cell_type == "markdown"):
            found.append(f"{row.name}: {row.stem} has no section {row.section}")
        if row.starred != (row.name in EVALUATED):
            found.append(f"{row.name}: {'starred, and no test evaluates it' if row.starred else 'evaluated in a test, and has no star'}")
        found += [f"{row.name}: the library has no {name}" for name in names_in(row.code) if not known(name)]
    return found + [f"{name} is evaluated and not on the sheet" for name in EVALUATED if name not in {row.name for row in rows}]


def names_in(code: str) -> list[str]:
    """The functions, classes and methods that a cell of the column 'in code' calls."""
    return [name for piece in re.findall("`([^`]+)`", code) for name in re.findall(r"([\w.]+)\(", piece) + re.findall(r"^[\w.]+$", piece)]


DEFINED = re.compile(r"(?:def|class) (\w+)|^    (\w+): |^(\w+)\b.* = ", re.M)
WORDS = {word for path in (ROOT / "deepgen_lib").rglob("*.py") for words in DEFINED.findall(path.read_text(encoding="utf-8")) for word in words}


def known(name: str) -> bool:
    """Whether the library defines it; std is torch's."""
    return name.split(".")[-1] in WORDS | {"std"}


def forgotten(text: str) -> list[str]:
    """Functions that a chapter's summary gives for a formula, and the sheet does not."""
    found = []
    for stem in sorted({row.stem for row in read_rows(text)}):
        summary = next(cell.source for cell in lecture(stem).cells if re.search(r"^## \d+\.\d+ Summary", cell.source, re.M))
        rows = [line for line in re.split(r"^## \d+\.\d+ Summary", summary, flags=re.M)[1].split("\n## ")[0].splitlines() if line.startswith("|") and "$" in line]
        found += [f"{stem}: {name}" for line in rows for name in names_in(line) if not name.startswith(".") and name.split(".")[-1] not in text]
    return found


def test_no_formula_of_a_summary_is_forgotten():
    text = PAGE.read_text(encoding="utf-8")
    assert forgotten(text) == []
    assert forgotten(text.replace("tied_rbm", "bound_rbm")) == ["05_tied_weights: tied_rbm"]


def test_every_formula_has_its_function_and_its_proof():
    text = PAGE.read_text(encoding="utf-8")
    assert len(read_rows(text)) >= 70 and faults(text) == []


@pytest.mark.parametrize("old, new, fault", [
    ("`b3-derivation`", "`b3-derivations`", "gap (B3): 01_gibbs_bound has no cell b3-derivations"),
    ("`b3-derivation`", "`b3-hanging`", "gap (B3): 01_gibbs_bound has no cell b3-hanging that proves something"),
    ("`wake_kl(dbn, x)`", "`wake_gap(dbn, x)`", "gap (T3, T4): the library has no wake_gap"),
    ("`t3` `t4` *", "`t3` `t4`", "gap (T3, T4): evaluated in a test, and has no star"),
    ("`t5-claims`", "`t5-claims` *", "guarantee (T5): starred, and no test evaluates it"),
    ("| [12.2]", "| [12.99]", "divergence (N6): 12_nvae_kl has no section 12.99"),
    ("| softplus |", "| softmax |", "softplus is evaluated and not on the sheet"),
], ids=range(7))
def test_a_planted_fault_is_named(old, new, fault):
    text = PAGE.read_text(encoding="utf-8")
    assert old in text
    assert any(fault in found for found in faults(text.replace(old, new)))


@pytest.mark.parametrize("name", EVALUATED)
def test_a_formula_gives_what_the_function_gives(name):
    values = [EVALUATED[name](torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    for formula, library in values:
        assert formula.shape == library.shape
        torch.testing.assert_close(formula.double(), library.double(), rtol=1e-5, atol=1e-5)
    assert name in CONSTANT or not torch.equal(values[0][1], values[1][1])  # numbers that move, so an agreement means something
