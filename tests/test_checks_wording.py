"""What a check says where no known mistake fits: nothing filled in, text for True, a misspelt word, shapes that do not fit, nearly right, a zero with noise."""
import math

import pytest
import torch

from deepgen_lib.checks.engine import Part
from tests.toy_exercise import SOFTMAX, error_of, exercise, values

MOVES = {"gap": "moves", "entropy": "stays"}


@pytest.mark.parametrize("answer, words", [
    ({"gap": None, "entropy": ...}, "not written yet: there is no answer to check"),
    ({"gap": "moves", "entropy": None}, "'entropy' is not answered yet"),
    ({"gap": ..., "entropy": "stays"}, "'gap' is not answered yet"),
    ({"gap": True, "entropy": "stays"}, "you answered True for 'gap', expected text; you gave True or False: write the word in quotes"),
    ({"gap": "move", "entropy": "stays"}, "you answered 'move' for 'gap', expected another answer; did you mean 'moves'?"),
    ({"gap": "rises", "entropy": "stays"}, "'rises' is no right answer to any question here: use the words of the exercise"),
    ({"gap": "stays", "entropy": "stays"}, "you answered 'stays' for 'gap', expected another answer; this is none of the known mistakes: read the question once more"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_words(answer, words):
    text = error_of(values(MOVES), answer)
    assert words in text and "smallest case" not in text


def test_true_is_told_from_text():
    text = error_of(values({"a": True}), {"a": "True"})
    assert "you answered 'True' for 'a', expected True or False; you gave text: write True or False, without quotes" in text
    assert "read the question once more" in error_of(values({"a": True}), {"a": False})


def test_a_word_of_the_bank_is_no_misspelling():
    bank = {"other": ({"entropy": "falls"}, "it cannot fall")}
    assert "did you mean" not in error_of(values(MOVES, bank), {"gap": "falls", "entropy": "stays"})


def test_a_missing_slope_is_said():
    part = Part(right=lambda a: (a, 0 * a), inputs=lambda _: {"": (torch.ones(2),)}, misconceptions={})
    assert "result 2 of 2 is None, expected numbers; where a slope" in error_of(exercise(part), lambda a: (a, None))


@pytest.mark.parametrize("typed, words", [
    (0.69, "you answered 0.69, expected another value; close: give more digits (what counts is a difference below 1e-06 or 0.001 %)"),
    (0.69313, "you answered 0.69313, expected another value; close"),  # shown with the digits in question
    (0.7, "close"), (0.71, "none of the known mistakes"), (-0.69, "none of the known mistakes"),
])
def test_a_value_that_is_nearly_right(typed, words):
    assert words in error_of(values(math.log(2)), typed)


def test_numbers_that_are_nearly_right():
    softmax = Part(right=SOFTMAX.right, inputs=SOFTMAX.inputs, misconceptions={})
    assert "close, every number is within 1 %" in error_of(exercise(softmax), lambda a: a.softmax(-1) * 1.004)
    assert "close" not in error_of(exercise(softmax), lambda a: (100 * a.softmax(-1)).round() / 100)  # 0.0066 became 0.01
    whole = Part(right=lambda a: a.round() * 1000, inputs=SOFTMAX.inputs, misconceptions={})
    assert "close" not in error_of(exercise(whole), lambda a: a.round() * 1000 + (a.round() != 0))  # counts are off by one, not rounded


def test_known_mistakes_come_before_guesses():
    bank = {"bits": (1.0, "that is one bit"), "two digits": (0.69, "two digits only")}
    assert error_of(values(math.log(2), bank), 0.69).count("two digits only") == 1 and "close" not in error_of(values(math.log(2), bank), 0.69)


def test_numbers_are_shown_with_the_digits_that_differ():
    part = Part(right=lambda a: a + 237.75, inputs=lambda _: {"": (torch.zeros((), dtype=torch.float64),)}, misconceptions={})
    assert "you returned 237.755, expected 237.75" in error_of(exercise(part), lambda a: a + 237.7547)
    assert "you returned 1, expected 237.8" in error_of(exercise(part), lambda a: a + 1)


def test_what_rounding_leaves_of_a_zero_is_a_zero():
    part = Part(right=lambda a: a - 8e-17, inputs=lambda _: {"": (torch.zeros(2, dtype=torch.float64),)}, misconceptions={})
    assert "you returned [1, 1], expected [0, 0]" in error_of(exercise(part), lambda a: a + 1)


STACK = Part(right=lambda W, h: h @ W, inputs=lambda rng: {"first": (torch.randn(3, 5, generator=rng), torch.ones(2, 3))},
             misconceptions={"turned": (lambda W, h: h @ W.T, "W has shape (V, H): do not turn it")})


def test_a_known_mistake_that_stops_is_named():
    text = error_of(exercise(STACK), lambda weights, x: torch.matmul(x, weights.T))
    assert "your function stopped with RuntimeError: mat1 and mat2" in text and text.count("do not turn it") == 1
    assert "(case: first); the shapes that came in: W (3, 5), h (2, 3)" in text


def test_another_error_is_not_taken_for_it():
    for wrong in (lambda W, h: h + W, lambda W, h: [][1], lambda W, h: 1 / 0):
        assert "do not turn it" not in error_of(exercise(STACK), wrong)
    assert "the shapes that came in" not in error_of(exercise(STACK), lambda W, h: 1 / 0)


def test_mixed_types_hear_how_to_convert():
    assert "convert one, for example .double()" in error_of(exercise(STACK), lambda W, h: (h > 0).double() @ W)


def test_a_measured_word_has_no_tolerance():
    part = Part(right=1.0, measure=lambda x: {"log p": "rises" if x > 0 else "falls", "size": x}, quantity="verdict", misconceptions={}, atol=0.01)
    assert "the verdict of your answer is 'falls' for 'log p', expected another answer; " in error_of(exercise(part), -1.0)
    assert "expected 1 within 0.01" in error_of(exercise(part), 2.0)


def test_the_smallest_case_is_offered_where_it_helps():
    assert 'compare step by step: checks.small_case("1.1"). Next' in error_of(exercise(), lambda a: a.softmax(-1).flip(1))
    assert "small_case" not in error_of(values(MOVES), {"gap": "stays", "entropy": "stays"})
