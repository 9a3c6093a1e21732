"""Sliders and predictions, without a browser: every frame of every widget, what a notebook stores, what a reader's move does."""
import json
import re

import numpy as np
import pytest

from deepgen_lib import plots, predictions, record
from deepgen_lib.plots import Picture, explorable
from deepgen_lib.widgets import WIDGET_VIEW, Explorer, explore, predict, reveal, sweep

X = np.linspace(0, 1, 30)


def wave(*, k, shift=1):
    return plots.lines(X, {"model": np.sin(k * X) + shift}, xlabel="x", ylabel="y")


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch):
    """Predictions of one test are not seen by another, and none lands in the checkout."""
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / record.FILE))
    monkeypatch.setattr(predictions, "_asked", {})
    monkeypatch.setattr(record, "_pending", {table: {} for table in record.TABLES})


def slider(explorer: Explorer, index: int = 0):
    return explorer.widget().children[index]


def image(explorer: Explorer) -> str:
    return explorer.widget().children[-1].value


# --- a widget ---------------------------------------------------------------------------------------------------------------------

def test_a_move_of_the_slider_changes_picture_and_alternative_text():
    explorer = explore(wave, k=[1, 2, 5])
    before = image(explorer)
    slider(explorer).value = 5
    assert image(explorer) != before and explorer.values == {"k": 5}
    alt = re.search(r'alt="([^"]*)"', image(explorer))[1]
    assert alt == explorer.picture.alt.replace("'", "&#x27;") != re.search(r'alt="([^"]*)"', before)[1]


def test_moving_back_shows_the_first_frame_again():
    explorer = explore(wave, k=[1, 2], shift=[0, 3])
    before = image(explorer)
    slider(explorer, 1).value = 3
    slider(explorer, 1).value = 0
    assert image(explorer) == before


def test_panels_stay_where_they_are():
    explorer = explore(lambda k: plots.lines(X, {"model": 10.0**k * X}, xlabel="x", ylabel="y"), k=[0, 6])
    places = [explorer.frame(k=k).figure.axes[0] for k in (0, 6)]
    for k in (0, 6):
        explorer.frame(k=k).png(120)
    assert np.allclose(places[0].get_position().bounds, places[1].get_position().bounds)


def test_a_notebook_stores_first_frame_words_and_view():
    data, metadata = explore(wave, k=[("slow", 1), ("fast", 5)], start={"k": 5})._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain", WIDGET_VIEW}
    assert data["text/plain"] == "Slider k: slow, fast; at fast\n" + wave(k=5).description
    assert data["image/png"] == wave(k=5).png() and metadata["image/png"]["alt"] == wave(k=5).alt


def test_the_first_frame_is_drawn_before_anything_is_shown():
    with pytest.raises(ZeroDivisionError):
        explore(lambda k: 1 / k, k=[0, 1])


def test_an_error_in_a_later_frame_is_shown_in_place_of_the_picture():
    explorer = explore(lambda k: wave(k=1 / k), k=[1, 0])
    slider(explorer).value = 0
    assert "ZeroDivisionError" in image(explorer) and "<img" not in image(explorer)


def test_start_values_come_from_start_then_default_then_first():
    assert explore(wave, k=[1, 2], shift=[0, 1]).values == {"k": 1, "shift": 1}
    assert explore(wave, k=[1, 2], shift=[0, 1], start={"k": 2, "shift": 0}).values == {"k": 2, "shift": 0}


def test_a_marked_render_brings_its_controls():
    marked = explorable(k=[1, 2])(lambda *, k: wave(k=k))
    assert list(explore(marked).options) == ["k"] and explore(marked, k=[3, 4]).values == {"k": 3}


def test_many_frames_do_not_pile_up():
    explorer = explore(wave, k=list(range(80)))
    for k in range(80):
        explorer.move(k=k)
    assert len(explorer._frames) <= 64


REFUSED = {
    "no function": (lambda: explore(wave(k=1), k=[1, 2]), "expected a function"),
    "no controls": (lambda: explore(wave), "got 0 controls"),
    "four controls": (lambda: explore(lambda a, b, c, d: 0, a=[1, 2], b=[1, 2], c=[1, 2], d=[1, 2]), "got 4 controls"),
    "one value": (lambda: explore(wave, k=[1]), "at least two, all different"),
    "the same value twice": (lambda: explore(wave, k=[1, 1]), "at least two, all different"),
    "a number for values": (lambda: explore(wave, k=3), "expected a sequence"),
    "a word for values": (lambda: explore(wave, k="abc"), "expected a sequence"),
    "an unknown parameter": (lambda: explore(wave, k=[1, 2], speed=[1, 2]), "name each control like a parameter"),
    "a parameter without control": (lambda: explore(wave, shift=[1, 2]), "missing a required argument: 'k'"),
    "no picture": (lambda: explore(lambda k: k, k=[1, 2]), "returned int, expected a Picture"),
    "too many frames": (lambda: explore(wave, k=range(100), shift=range(100)), "10000 frames, expected at most"),
    "an unknown start": (lambda: explore(wave, k=[1, 2], start={"l": 1}), "start names l"),
    "a start between values": (lambda: explore(wave, k=[1, 2], start={"k": 1.5}), "start has k=1.5"),
    "an unknown move": (lambda: explore(wave, k=[1, 2]).move(l=1), "expected controls among k"),
    "a move between values": (lambda: explore(wave, k=[1, 2]).move(k=7), "got k=7"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_use_is_refused_with_a_cure(what):
    call, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        call()


# --- the sweep catches ------------------------------------------------------------------------------------------------------------

def test_the_sweep_draws_every_frame():
    frames = sweep(wave, k=[1, 2, 3], shift=[0, 1])
    assert len(frames) == 6 and all(isinstance(picture, Picture) for picture in frames.values())


def test_the_sweep_catches_a_control_that_does_nothing():
    with pytest.raises(AssertionError, match="moving 'shift' changes no frame"):
        sweep(lambda k, shift: wave(k=k), k=[1, 2], shift=[0, 1])


def test_the_sweep_catches_nan():
    def holed(k):
        with plots.drawing() as (figure, axis):
            axis.plot([0, 1], [0, float("nan") if k == 2 else k])
        return Picture(figure)

    with pytest.raises(AssertionError, match="{'k': 2} shows NaN"):
        sweep(holed, k=[1, 2])


def test_the_sweep_catches_an_error_in_one_frame():
    with pytest.raises(ZeroDivisionError):
        sweep(lambda k: wave(k=1 / k), k=[1, 0])


# --- predictions ------------------------------------------------------------------------------------------------------------------

def buttons(prediction):
    return prediction.widget().children[-1]


def test_a_prediction_lists_its_options_in_words():
    data = predict("1.1", "What happens?", ["it rises", "it falls"])._repr_mimebundle_()
    assert data["text/plain"] == "Predict 1.1. What happens?\n  a) it rises\n  b) it falls" and WIDGET_VIEW in data


def test_an_unattended_run_prints_the_answer_alone(capsys):
    predict("1.1", "What happens?", ["it rises", "it falls"])
    reveal("1.1", 1, "Because.")
    assert capsys.readouterr().out == "Answer 1.1: b) it falls.\nBecause.\n"


@pytest.mark.parametrize("choice, verdict", [(0, "You predicted a)."), (1, "You predicted this.")])
def test_a_choice_is_answered(choice, verdict, capsys):
    buttons(predict("1.1", "What happens?", ["it rises", "it falls"])).value = choice
    reveal("1.1", 1)
    assert capsys.readouterr().out == f"Answer 1.1: b) it falls. {verdict}\n"


def test_a_choice_survives_a_restart(tmp_path):
    buttons(predict("1.1", "What happens?", ["it rises", "it falls"])).value = 0
    assert json.loads((tmp_path / record.FILE).read_text())["predictions"] == {"1.1": {"chose": "it rises"}}
    assert buttons(predict("1.1", "What happens?", ["it falls", "it rises"])).value == 1
    assert buttons(predict("1.1", "What happens?", ["it stays", "it rests"])).value is None


def test_the_first_verdict_stays(capsys):
    for choice, right in ((0, False), (1, False)):
        buttons(predict("1.1", "What happens?", ["it rises", "it falls"])).value = choice
        reveal("1.1", 1)
        assert record.entry("predictions", "1.1")["right"] is right


def test_asking_alone_writes_nothing(tmp_path):
    predict("1.1", "What happens?", ["it rises", "it falls"]).widget()
    assert not list(tmp_path.iterdir())


WRONG = {
    "one option": (lambda: predict("1", "What?", ["a"]), "got 1 options"),
    "the same option twice": (lambda: predict("1", "What?", ["a", "a"]), "all different"),
    "a word for options": (lambda: predict("1", "What?", "ab"), "got 1 options"),
    "a number for an option": (lambda: predict("1", "What?", ["a", 2]), "non-empty texts"),
    "no question": (lambda: predict("1", " ", ["a", "b"]), "non-empty texts"),
    "an answer never asked": (lambda: reveal("9", 0), "run the cell with predict\\('9'"),
    "an answer out of range": (lambda: (predict("1", "What?", ["a", "b"]), reveal("1", 2)), "from 0 to 1"),
    "a negative answer": (lambda: (predict("1", "What?", ["a", "b"]), reveal("1", -1)), "from 0 to 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_question_or_answer_is_refused(what):
    call, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        call()
