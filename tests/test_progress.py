"""The page of progress: what counts as read, right and solved; what it says when nothing is kept; what the hooks of claims and checks write."""
import html.parser
import json
from pathlib import Path

import pytest

from deepgen_lib import claim, planted_error, predict, predictions, progress, progress_page, record, reveal
from deepgen_lib.progress_page import PURPOSE, page, standing
from deepgen_lib.syllabus import Chapter, chapters_in
from tests.toy_exercise import exercise

ROOT = Path(__file__).resolve().parents[1]
TOY = Chapter("01_toy", "1 · A <toy>", ("B1", "B2"), ("1.a", "1.b"), ("1.1", "1.2"))


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / record.FILE))
    monkeypatch.setattr(predictions, "_asked", {})
    monkeypatch.setattr(record, "_pending", {table: {} for table in record.TABLES})
    monkeypatch.setattr(progress_page, "chapters_in", lambda: [TOY])
    return tmp_path / record.FILE


def notebook(path: Path, *cells: tuple[str, str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [{"cell_type": kind, "id": name, "metadata": {}, "source": source} for kind, name, source in cells]}), encoding="utf-8")


# --- what there is to do

def test_a_chapter_is_read_from_its_notebooks(tmp_path):
    notebook(tmp_path / "notebooks/01_toy.ipynb", ("markdown", "a", "# 1 · A toy\n\nclaim(\"X\")"), ("code", "b", 'claim("B1", x)\nclaim(\n    "B2", x); claim("B1", y)\nplanted_error("B9", x)'),
             ("code", "c", 'predict("1.a", "?", o)'), ("code", "d", 'rank("1.b", "?", o); predict_number("1.c", "?")\nreveal("1.d", 0)'), ("code", "check-1-1", ""))
    notebook(tmp_path / "exercises/01_toy/01_toy.ipynb", ("code", "check-1-2", ""), ("code", "ex-1-3", ""))
    notebook(tmp_path / "notebooks/01_toy.new.ipynb", ("markdown", "a", "# no chapter"))
    assert chapters_in(tmp_path) == [Chapter("01_toy", "1 · A toy", ("B1", "B2"), ("1.a", "1.b", "1.c"), ("1.1", "1.2"))]
    assert chapters_in(tmp_path / "nowhere") == []


def test_a_damaged_notebook_is_an_empty_chapter(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01_toy.ipynb").write_text("{")
    assert chapters_in(tmp_path) == [Chapter("01_toy", "01_toy", (), (), ())]


def test_every_chapter_has_all_three_and_no_claim_belongs_to_two():
    chapters = chapters_in(ROOT)
    assert [c.stem for c in chapters] == sorted(path.stem for path in (ROOT / "source/lectures").glob("*.py"))
    assert [c.stem for c in chapters if not (c.claims and c.predictions and c.exercises and c.title.startswith(f"{int(c.stem[:2])} · "))] == []
    for names in ([name for c in chapters for name in c.claims], [key for c in chapters for key in c.predictions], [i for c in chapters for i in c.exercises]):
        assert len(names) == len(set(names)), f"a name in two chapters: {sorted(name for name in names if names.count(name) > 1)[0]}; the page cannot tell which was read"


def test_the_exercises_are_those_that_have_checks():
    from deepgen_lib import checks
    assert sorted(i for c in chapters_in(ROOT) for i in c.exercises) == sorted(e.id for e in checks.registered())


# --- what was done

@pytest.mark.parametrize("entries, expected", [
    ({}, (0, 0, 0, 0, 0)),
    ({"claims": {"B1": {}, "N9": {}}}, (1, 0, 0, 0, 0)),
    ({"predictions": {"1.a": {"chose": "up"}}}, (0, 1, 0, 0, 0)),
    ({"predictions": {"1.a": {"typed": 0, "seen": True, "right": True}, "1.b": {"seen": True}}}, (2, 1, 1, 0, 0)),
    ({"predictions": {"1.a": {"chose": "up", "seen": True, "right": False}}}, (1, 1, 0, 0, 0)),
    ({"exercises": {"1.1": {"right": True}, "1.2": {"right": False}, "2.1": {"right": True}}}, (0, 0, 0, 1, 1)),
    ({"predictions": {"1.a": {"right": "yes", "seen": 1}}, "exercises": {"1.1": {}}}, (0, 0, 0, 0, 1)),  # edited by hand
])
def test_what_counts(entries, expected):
    got = standing(TOY, {table: entries.get(table, {}) for table in record.TABLES})
    assert tuple(got)[1:] == expected and got.is_begun == any(expected) and not got.is_read


def test_a_chapter_is_read_when_all_its_claims_ran_and_all_answers_were_seen():
    entries = {"claims": {"B1": {}, "B2": {}}, "predictions": {"1.a": {"seen": True}, "1.b": {"seen": True}}, "exercises": {}}
    assert standing(TOY, entries).is_read
    del entries["claims"]["B2"]
    assert not standing(TOY, entries).is_read
    assert not standing(Chapter("x", "x", (), (), ()), entries).is_read


def test_the_hooks_write_what_the_page_reads(capsys):
    claim("B1", 0.0, below=1)
    with pytest.raises(AssertionError):
        claim("B2", 2.0, below=1)
    planted_error("B2", 2.0, below=1)
    predict("1.a", "Which?", ["up", "down"]).widget().children[-1].value = 1
    reveal("1.a", 1)
    exercise()(lambda logits: logits.softmax(-1))
    with pytest.raises(AssertionError):
        exercise(id="1.2", name="other")(lambda logits: logits)
    capsys.readouterr()
    assert progress().description == ("Your progress: 0 chapters read, 1 of 1 prediction right, 1 exercise solved\n"
                                      "1 · A <toy>: 2 of 4 steps; 1 of 1 right, 2 asked; 1 of 2 solved, 1 tried")


def test_a_stub_is_no_try_and_what_was_solved_stays_solved(capsys):
    def stub(logits):
        raise NotImplementedError()
    for answer, entry in ((stub, {}), (None, {}), (lambda logits: logits, {"right": False}), (lambda logits: logits.softmax(-1), {"right": True}), (lambda logits: logits, {"right": True})):
        try:
            exercise()(answer)
        except AssertionError:
            pass
        assert record.entry("exercises", "1.1") == entry


# --- the page

class Words(html.parser.HTMLParser):
    """The text of a page and what its elements are called."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_a_table_that_can_be_heard():
    record.note("claims", "B1", holds=True)
    words = Words(page(progress_page._standings()))
    names = [tag for tag, _ in words.tags]
    assert names.count("caption") == 1 and [a["scope"] for tag, a in words.tags if tag == "th"] == ["col"] * 4 + ["row"]
    assert all(a.get("aria-hidden") == "true" for tag, a in words.tags if tag == "progress")  # the words beside it say the same
    assert "1 · A <toy>" in words.text and " 1 of 4 steps" in words.text and "toy>" not in [tag for tag, _ in words.tags]
    assert any("on this machine alone" in text for text in words.text)


def test_refresh_reads_the_file_again(file):
    table, button = progress().widget().children
    assert "not begun" in table.value
    file.write_text('{"claims": {"B1": {"holds": true}}}')  # by another notebook
    button.click()
    assert "1 of 4 steps" in table.value and "not begun" not in table.value


def test_the_page_says_when_nothing_can_be_kept(file, monkeypatch):
    def said():
        return progress().widget().children[0].value
    file.write_text("{")
    assert "is damaged and cannot be read" in said()
    file.unlink()
    (file.parent / "closed").write_text("no folder")
    monkeypatch.setenv(record.VARIABLE, str(file.parent / "closed" / record.FILE))
    record.note("claims", "B1", holds=True)
    assert "cannot be written" in said() and "1 of 4 steps" in said()
    monkeypatch.setenv(record.VARIABLE, "off")
    assert "memory alone" in said()


def test_a_build_always_shows_the_same_words(monkeypatch):
    """Whatever ran before it in the notebook, and whatever the chapters hold by now."""
    monkeypatch.setenv(record.VARIABLE, "off")
    record.note("claims", "B1", holds=True)
    assert progress()._repr_mimebundle_()["text/plain"] == PURPOSE
    cells = [text for text in (ROOT / "source/lectures/00_start_here.py").read_text(encoding="utf-8").split("# %%") if "progress()" in text]
    assert len(cells) == 1 and "nbval" not in cells[0]
