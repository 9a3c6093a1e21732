"""Predictions that are typed: what counts as a number, what is kept, and how far off a prediction is said to be."""
import json

import pytest
import torch

from deepgen_lib import predict, predict_number, predictions, record, reveal
from deepgen_lib.typed import read_number
from deepgen_lib.widgets import WIDGET_VIEW


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / record.FILE))
    monkeypatch.setattr(predictions, "_asked", {})
    monkeypatch.setattr(record, "_pending", {table: {} for table in record.TABLES})


def ask(unit="nats"):
    return predict_number("1.1", "How far?", unit=unit)


def type_in(text, unit="nats"):
    """Type as a reader does; returns what stands beside the field afterwards."""
    field, _, said = ask(unit).widget().children[-1].children
    field.value = text
    return said.value


def answered(capsys, value, **options):
    reveal("1.1", value, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize("text, number", [
    ("3", 3), (" -85.5 ", -85.5), ("−2", -2), ("1e-3", 1e-3), (".5", 0.5), ("2.", 2), ("2/3", 2 / 3), ("10^6", 1e6), ("2**-3", 0.125), ("12 nats", 12), ("4 NATS", 4),
])
def test_a_number_is_read_however_written(text, number):
    assert read_number(text, "nats") == number


@pytest.mark.parametrize("text, words", [
    ("1,5", "got a comma"), ("many", "got 'many'"), ("", "got ''"), ("inf", "got 'inf'"), ("nan", "got 'nan'"), ("1/0", "got '1/0'"), ("9^9999", "got '9^9999'"), ("(-8)", "got"),
    ("-8^0.5", "got"), ("3 apples", "got '3 apples'"), ("1 2", "got '1 2'"),
])
def test_what_is_no_number_is_said_with_a_cure(text, words):
    with pytest.raises(ValueError, match="expected .*;") as caught:
        read_number(text, "nats")
    assert words in str(caught.value)


def test_a_typed_number_is_kept_and_survives_a_restart(tmp_path):
    assert "Kept: 12.5 nats." in type_in("12.5")
    assert json.loads((tmp_path / record.FILE).read_text())["predictions"] == {"1.1": {"typed": 12.5}}
    assert ask().widget().children[-1].children[0].value == "12.5"
    assert "Kept: 3 %." in type_in("3%", unit="%")


def test_what_is_no_number_is_not_kept(tmp_path):
    assert "Not kept: got" in type_in("lots") and "role=\"status\"" in type_in("1,5")
    assert predictions.typed("1.1") is None and not list(tmp_path.iterdir())


def test_an_emptied_field_keeps_the_number():
    type_in("5")
    type_in("")
    assert predictions.typed("1.1") == 5


def test_an_unattended_run_prints_the_answer_alone(capsys):
    ask()
    assert answered(capsys, torch.tensor(3.0), text="Because.") == "Answer 1.1: 3.0 nats.\nBecause.\n"
    assert answered(capsys, 12) == "Answer 1.1: 12 nats.\n"  # a whole number stays one
    predict_number("1.1", "How far?")
    assert answered(capsys, 0.123456) == "Answer 1.1: 0.1235.\n"


@pytest.mark.parametrize("typed, value, options, words, right", [
    ("3", 3.0, {}, "exactly right", True), ("3.2", 3.0, {}, "close enough", True), ("3.4", 3.0, {}, "0.4 nats too high", False), ("-90", -86.0, {}, "close enough", True),
    ("-90", -86.0, {"within": 1}, "4 nats too low", False), ("-200", -86.0, {}, "110 nats too low", False), ("30", 3.0, {}, "10 times too large", False), ("1", 4, {}, "4 times too small", False),
    ("1", 0, {"within": 0.5}, "1 nats too high", False), ("0.2", 0, {"within": 0.5}, "close enough", True), ("-1", 4, {}, "5 nats too low", False), ("6", 3, {}, "2 times too large", False),
])
def test_how_far_off_a_prediction_is(typed, value, options, words, right, capsys):
    type_in(typed)
    assert f": {words}.\n" in answered(capsys, value, **options)
    assert record.entry("predictions", "1.1") == {"typed": float(typed), "seen": True, "right": right}


def test_the_first_verdict_stays(capsys):
    for typed in ("30", "3"):
        type_in(typed)
        answered(capsys, 3.0)
    assert record.entry("predictions", "1.1")["right"] is False


def test_a_notebook_stores_words_and_view():
    data = ask()._repr_mimebundle_()
    assert data["text/plain"] == "Predict 1.1. How far?\n  type a number (nats)" and WIDGET_VIEW in data


@pytest.mark.parametrize("what, call", {
    "no question": lambda: predict_number("1", " "),
    "a number for a unit": lambda: predict_number("1", "What?", unit=3),
    "no number": lambda: reveal("1.1", "three"),
    "true": lambda: reveal("1.1", True),
    "not finite": lambda: reveal("1.1", float("nan")),
    "many numbers": lambda: reveal("1.1", torch.zeros(3)),
    "nothing counts as close": lambda: reveal("1.1", 0.0),
    "a negative allowance": lambda: reveal("1.1", 1.0, within=-1),
    "an allowance for options": lambda: (predict("1.1", "What?", ["a", "b"]), reveal("1.1", 0, within=1)),
}.items(), ids=lambda x: x if isinstance(x, str) else "")
def test_wrong_use_is_refused_with_a_cure(what, call):
    ask()
    with pytest.raises(ValueError, match=r"(predict_number|reveal 1.1): got .* expected .*[;:]"):
        call()
