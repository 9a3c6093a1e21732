"""The answer key: every exercise with its points, answers, mistakes and hints, and nothing but what stands in the sources."""
import html
import re

import nbformat
import pytest
import torch

from deepgen_lib.checks import registered
from tools.answer_key import as_code, build, chapter_key, key, main, right_answers, tasks
from tools.sources import ROOT, find_sources, read_inputs

SOLUTIONS = {source.stem: source for source in find_sources(kinds=("solutions",))}
RIGHT = right_answers()
CHAPTER = "01_gibbs_bound"


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page))


@pytest.mark.parametrize("chapter", SOLUTIONS)
def test_every_exercise_has_its_task_points_answer_and_other_ways(chapter):
    found = tasks(read_inputs(SOLUTIONS[chapter].text))
    own = [exercise for exercise in registered() if exercise.chapter == chapter]
    assert [exercise.id for exercise in own] == list(found)
    for exercise in own:
        made = key(exercise, found[exercise.id], RIGHT[exercise.id])
        assert f"## {exercise.id} " in made and f"**{found[exercise.id].points:g} points, {exercise.minutes} minutes" in made
        assert made.count("### Another right way") == len(RIGHT[exercise.id]) >= 2 and all(hint in made for hint in exercise.hints)
        assert all(mistake.message in made for part in exercise.parts for mistake in part.bank.values())
        assert "SOLUTION" not in made and "HIDDEN TESTS" not in made and "(a short function)" not in made and " at 0x" not in made


def test_a_page_is_whole_and_needs_no_network(tmp_path):
    [path] = build(tmp_path, chapters=["01"])
    page = path.read_text(encoding="utf-8")
    assert "<math" in page and not re.search(r"(?:src|href)=\"(?!#)", page)
    shown = text_of(page)
    assert "return f.logsumexp(-1) - kl" in shown and "torch.special.entr(q)" in shown and "a gap is never negative" in shown
    assert "6 exercises, 17 points, 135 minutes" in shown


def test_answers_are_shown_as_they_were_written():
    def named(x):
        return x + 1
    table = {"a": lambda x: x + 2, "b": (lambda x: x + 3)}
    assert as_code(named).startswith("def named(x):\n    return x + 1")
    assert [as_code(table[name]) for name in "ab"] == ["lambda x: x + 2", "lambda x: x + 3"]
    assert as_code((1.5, table["a"])) == "1.5\n\nlambda x: x + 2"
    assert as_code(torch.tensor([1.0, 2.0])) == "tensor([1.0, 2.0])" and len(as_code("x" * 5000)) < 400


def test_a_notebook_that_lacks_an_exercise_is_refused():
    solution = read_inputs(SOLUTIONS[CHAPTER].text)
    solution.cells = [cell for cell in solution.cells if cell.id not in ("ex-1-4", "check-1-4")]
    with pytest.raises(ValueError, match="01_gibbs_bound has the tasks 1.1, 1.2, 1.3, 1.5, 1.6, but checks for 1.1, 1.2, 1.3, 1.4"):
        chapter_key(CHAPTER, solution, RIGHT)


def test_a_check_without_a_heading_is_refused():
    grade = {"nbgrader": {"grade": True, "solution": False, "points": 1}}
    lost = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("checks.x(x)", id="lost", metadata=grade)])
    with pytest.raises(ValueError, match="the check lost has no heading"):
        tasks(lost)


def test_an_unknown_chapter_is_named(tmp_path, capsys):
    assert main(["77", "--to", str(tmp_path)]) == 1
    assert "no chapter with exercises starts with '77'" in capsys.readouterr().err


def test_the_key_is_not_kept_in_the_repository():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/answers/", "/slides/", "/exams/"} <= set(ignored)
