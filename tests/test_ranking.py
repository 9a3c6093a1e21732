"""The ranking: an order is kept when it is complete, found again after a restart, and compared with scores pair by pair."""
import json

import pytest

from deepgen_lib import predictions, record
from deepgen_lib.ranking import BETWEEN, NOTHING, rank, reveal_order
from deepgen_lib.widgets import WIDGET_VIEW

SCORES = {"A": -3.0, "B": -1.0, "C": -2.0}


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / record.FILE))
    monkeypatch.setattr(predictions, "_asked", {})
    monkeypatch.setattr(record, "_pending", {table: {} for table in record.TABLES})


def put(ranking, order):
    """Set the places as a reader does, one after another; returns what the last line says."""
    box = ranking.widget()
    for place, item in zip(box.children[1:-1], order):
        place.value = item
    return box.children[-1].value


def ask():
    return rank("1.1", "Which is best?", ["A", "B", "C"])


def test_a_complete_order_is_kept_and_an_incomplete_one_is_not(tmp_path):
    assert "Each place needs one" in put(ask(), ["A", "A", "C"]) and predictions.chosen("1.1") is None and not list(tmp_path.iterdir())
    assert put(ask(), ["B", "C", "A"]) == "Your order is kept."
    assert json.loads((tmp_path / record.FILE).read_text())["predictions"] == {"1.1": {"chose": BETWEEN.join("BCA")}}


def test_an_order_survives_a_restart():
    put(ask(), ["C", "A", "B"])
    assert [place.value for place in ask().widget().children[1:-1]] == ["C", "A", "B"]
    assert [place.value for place in rank("2.1", "And here?", ["A", "B", "C"]).widget().children[1:-1]] == [NOTHING] * 3


def test_an_unattended_run_prints_the_order_alone(capsys):
    ask()
    reveal_order("1.1", SCORES)
    assert capsys.readouterr().out == "Order 1.1: B (-1.0) > C (-2.0) > A (-3.0)\n"


@pytest.mark.parametrize("order, pairs", [("BCA", 3), ("ACB", 0), ("CBA", 2), ("ABC", 1)])
def test_pairs_ordered_alike_are_counted(order, pairs, capsys):
    put(ask(), order)
    reveal_order("1.1", SCORES)
    assert f"You have {pairs} of 3 pairs" in capsys.readouterr().out
    assert record.entry("predictions", "1.1")["right"] is (pairs == 3)


def test_a_notebook_stores_words_and_view():
    data = ask()._repr_mimebundle_()
    assert data["text/plain"] == "Rank 1.1. Which is best?\n  best first: A, B, C" and WIDGET_VIEW in data


@pytest.mark.parametrize("what, call", {
    "one item": lambda: rank("1", "What?", ["a"]),
    "an item twice": lambda: rank("1", "What?", ["a", "a"]),
    "too many items": lambda: rank("1", "What?", list("abcdefgh")),
    "a word for items": lambda: rank("1", "What?", "ab"),
    "a number for an item": lambda: rank("1", "What?", ["a", 2]),
    "no question": lambda: rank("1", " ", ["a", "b"]),
    "never asked": lambda: reveal_order("9", SCORES),
    "scores of others": lambda: (ask(), reveal_order("1.1", {"A": 1.0, "B": 2.0})),
}.items(), ids=lambda x: x if isinstance(x, str) else "")
def test_wrong_use_is_refused_with_a_cure(what, call):
    with pytest.raises(ValueError, match=r"(rank|reveal_order): got .* expected .*[;:]"):
        call()
