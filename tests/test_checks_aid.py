"""Hints come one at a time, the untouched start comes back, and the registry finds each exercise."""
import json

import pytest

from deepgen_lib.checks import aid, engine
from tests.toy_exercise import HINTS, exercise, values


@pytest.fixture
def shelf(monkeypatch):
    """An empty registry with two toy exercises, and no chapters."""
    monkeypatch.setattr(engine, "_REGISTRY", {})
    monkeypatch.setattr("deepgen_lib.checks.chapters", list)
    monkeypatch.setattr(aid, "_shown", {})
    engine.register(exercise(id="1.10", name="later"))
    return engine.register(exercise())


def test_the_registry_refuses_a_second_owner_and_keeps_order(shelf):
    assert [e.id for e in engine.registered()] == ["1.1", "1.10"] and engine.find("1.1") is shelf
    engine.register(exercise())  # a reloaded chapter
    for clash in (exercise(name="other"), exercise(id="1.3"), exercise(title="Another")):
        with pytest.raises(ValueError, match="rename one"):
            engine.register(clash)
    with pytest.raises(ValueError, match=r"got exercise '9.9', expected one of 1.1, 1.10"):
        engine.find("9.9")
    with pytest.raises(ValueError, match='got exercise 1.1, expected text; write it in quotes: "1.1"'):
        engine.find(1.1)
    with pytest.raises(ValueError, match="got exercise '1.7', expected one of 1.1, 1.10; write"):
        engine.find("1.7")


def test_hints_come_one_at_a_time_and_then_advice(shelf, capsys):
    def said():
        return capsys.readouterr().out
    for number, (step, text) in enumerate(zip(("nudge", "equation", "pseudo-code"), HINTS), start=1):
        aid.hint("1.1")
        assert said() == f"1.1, hint {number} of 3 ({step}): {text}\n"
    for _ in range(2):
        aid.hint("1.1")
        assert "last hint" in (text := said()) and 'case = checks.small_case("1.1")' in text and 'start_over("1.1")' in text
    aid.hint("1.1", 2)
    assert HINTS[1] in said()
    aid.hint("1.1")
    assert "last hint" in said()  # looking back does not wind back
    aid.hint("1.10")
    assert said().startswith("1.10, hint 1 of 3")
    for bad in (0, 4, True, "1"):
        with pytest.raises(ValueError, match="expected 1 .nudge., 2"):
            aid.hint("1.1", bad)


def test_an_exercise_of_values_has_no_smaller_input(shelf, capsys):
    engine.register(values(0.5, id="1.11", name="value"))
    for _ in range(4):
        aid.hint("1.11")
    assert "smallest case by hand" in (text := capsys.readouterr().out) and "small_case" not in text


def test_a_step_is_not_named_twice(shelf, capsys):
    engine.register(exercise(id="1.12", name="named", hints=("*Nudge.* Look.", "*Equation.*\n$a$", "*Note.* *Pseudo-code.* stays")))
    for text in ("1.12, hint 1 of 3 (nudge): Look.\n", "1.12, hint 2 of 3 (equation): $a$\n", "(pseudo-code): *Note.* *Pseudo-code.* stays\n"):
        aid.hint("1.12")
        assert capsys.readouterr().out.endswith(text)


def released(root, cells):
    path = root / "exercises/01_gibbs_bound/01_gibbs_bound.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": source, "metadata": {"nbgrader": {"grade_id": name}}} for name, source in cells]}))
    return path


def test_start_over_finds_the_untouched_start(shelf, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"got no file exercises.01_gibbs_bound.01_gibbs_bound.ipynb .*git checkout -- exercises"):
        aid.untouched_start(shelf, root=tmp_path)
    path = released(tmp_path, [("ex-1-10", "no"), ("ex-1-1", ["def f():\n", "    raise NotImplementedError()"]), ("check-1-1", "no")])
    assert aid.untouched_start(shelf, root=tmp_path) == "def f():\n    raise NotImplementedError()"
    path.write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        aid.untouched_start(shelf, root=tmp_path)
    path.write_text('{"cells": []}')
    with pytest.raises(ValueError, match="got 0 cells named ex-1-1"):
        aid.untouched_start(shelf, root=tmp_path)


def test_start_over_adds_a_cell_and_replaces_none(shelf, monkeypatch, capsys):
    class Shell:
        kernel, calls = object(), []

        def set_next_input(self, text, replace):
            self.calls.append((text, replace))
    monkeypatch.setattr(aid, "untouched_start", lambda exercise: "the start")
    aid.start_over("1.1")
    assert capsys.readouterr().out == "the start\n"
    monkeypatch.setattr(aid, "_shell", lambda: Shell())
    aid.start_over("1.1")
    assert Shell.calls == [("the start", False)] and "what you wrote stays" in capsys.readouterr().out


def test_a_notebook_shows_the_words_of_not_yet_and_no_traceback(capsys):
    from IPython.core.interactiveshell import InteractiveShell
    from deepgen_lib.checks.engine import NotYet
    shell = InteractiveShell()
    shell.user_ns["error"] = NotYet("1.1 not yet: you returned 3")
    shell.run_cell("raise error")
    assert "1.1 not yet" in (shown := "".join(capsys.readouterr())) and "Traceback" not in shown and "raise error" not in shown
    shell.user_ns["error"] = AssertionError("1.1 not yet: you returned 3")
    shell.run_cell("raise error")
    assert "Traceback" in "".join(capsys.readouterr())
