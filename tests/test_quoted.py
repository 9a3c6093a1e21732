"""Numbers in the text are those the cells print; a number that moved is found."""
import nbformat.v4 as v4
import pytest

from tools.quoted import unfounded
from tools.sources import ROOT, find_sources, read_notebook

BUILT = [source.built for source in find_sources() if source.kind == "lectures"]


def notebook(printed: str, text: str):
    cell = v4.new_code_cell("f(k=20)", outputs=[v4.new_output("stream", text=printed)])
    return v4.new_notebook(cells=[cell, v4.new_markdown_cell(text, id="what")])


@pytest.mark.parametrize("printed, text", [
    ("gap 0.29217 nats", "**What to notice.** The gap is 0.292 nats, the loss −0.29."),
    ("share 0.6234", "**What to notice.** It is 62 % or 62.3 %."),
    ("1,234.5", "**What to notice.** All of $1{,}234.5$."),
    ("1.5e-3", "**What to notice.** Only 0.0015."),
    ("nothing", "**What to notice.** With 20 nats of `f(k=20)` and 3 states."),
    ("nothing", "No such paragraph: 0.7."),
    ("nothing", "**What to notice.** Nothing.\n\nElsewhere 0.7 is fine."),
])
def test_a_number_that_is_printed_may_be_quoted(printed, text):
    assert unfounded(notebook(printed, text), "nb") == []


@pytest.mark.parametrize("printed, text, number", [
    ("gap 0.29217 nats", "**What to notice.** The gap is 0.293 nats.", "0.293"),
    ("share 0.6234", "**What to notice.** It is 63 % of all.", "63 %"),
    ("value 12.3", "**What to notice.** About 13 nats.", "13"),
])
def test_a_number_that_moved_is_found(printed, text, number):
    [problem] = unfounded(notebook(printed, text), "nb")
    assert f"nb, cell what: the text says {number}," in problem


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.stem)
def test_every_number_quoted_is_shown_above_it(path):
    assert unfounded(read_notebook(path), path.relative_to(ROOT).as_posix()) == []
