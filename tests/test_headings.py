"""Headings of every notebook: one title, no level left out, none empty, so that a reader can jump from heading to heading."""
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.accessibility import heading_problems
from tools.sources import ROOT

NOTEBOOKS = sorted(path for folder in ("notebooks", "exercises", "solutions") for path in (ROOT / folder).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def test_there_are_notebooks():
    assert len(NOTEBOOKS) > 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_headings_are_in_order(path):
    assert heading_problems(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("texts, problem", [
    (["# A", "## B\n\n#### D"], "level 2 is followed by level 4: D"),
    (["# A", "text", "# B"], "the notebook has 2 titles, expected one, first of all headings"),
    (["## B", "# A"], "the notebook has 1 titles, expected one, first of all headings"),
    (["text"], "the notebook has 0 titles, expected one, first of all headings"),
    (["# A", "##\n\ntext"], "an empty heading of level 2"),
], ids=["a jump", "two titles", "no title first", "no title", "empty"])
def test_a_planted_problem_is_named(texts, problem):
    assert problem in heading_problems(new_notebook(cells=[new_markdown_cell(text) for text in texts]))


def test_comments_in_code_are_no_headings():
    assert heading_problems(new_notebook(cells=[new_markdown_cell("# A\n```\n#### no heading\n```\n## B"), new_code_cell("# not one either")])) == []
