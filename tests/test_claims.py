"""claims.py: a true claim prints its limit, a false one and every NaN raises."""
import math

import numpy as np
import pytest
import torch

from deepgen_lib.claims import claim, derivation, planted_error

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value, limit, line", [
    (3e-16, dict(below=1e-10), "B1 holds: the gap < 1e-10\n"),
    (torch.tensor(2.0), dict(above=0.5), "B1 holds: the gap > 0.5\n"),
    (np.float32(-110), dict(between=(-112, -104)), "B1 holds: the gap in [-112, -104]\n"),
    (torch.tensor([[-5.0]], requires_grad=True), dict(below=0), "B1 holds: the gap < 0\n"),
], ids=str)
def test_a_true_claim_prints_its_limit_and_not_its_value(value, limit, line, capsys):
    assert claim("B1", value, **limit, says="the gap") is None
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("value, limit", [
    (1e-10, dict(below=1e-10)), (1.0, dict(above=1.0)), (-112.01, dict(between=(-112, -104))), (-103.9, dict(between=(-112, -104))),
    (NAN, dict(below=1)), (NAN, dict(above=1)), (NAN, dict(between=(-1, 1))), (torch.tensor(NAN), dict(below=1)),
    (-INF, dict(below=1)), (INF, dict(above=1)),
], ids=str)
def test_a_false_claim_raises_and_prints_nothing(value, limit, capsys):
    with pytest.raises(AssertionError, match=r"claim B1 fails: the gap is .*, allowed"):
        claim("B1", value, **limit, says="the gap")
    assert capsys.readouterr().out == ""


def test_the_message_of_a_false_claim_says_got_and_allowed():
    with pytest.raises(AssertionError, match=r"claim B3 fails: value is 0.6931, allowed below 1e-10$"):
        claim("B3", math.log(2), below=1e-10)


@pytest.mark.parametrize("function", [claim, planted_error])
@pytest.mark.parametrize("value, limits, message", [
    (0.0, {}, "got 0 limits"), (0.0, dict(below=1, above=-1), "got 2 limits"),
    (0.0, dict(below=NAN), "finite"), (0.0, dict(above=INF), "finite"), (0.0, dict(between=(2, 1)), "low one first"),
    (0.0, dict(between=3.0), "low, high"), (0.0, dict(between=(1, 2, 3)), "low, high"),
    (torch.zeros(3), dict(below=1), r"shape \(3,\).*\.abs\(\)\.max\(\)"), (torch.zeros(0), dict(below=1), r"shape \(0,\)"),
    (True, dict(above=0), "not the comparison"), (torch.tensor(True), dict(above=0), "not the comparison"),
    (np.bool_(True), dict(above=0), "not the comparison"), ("much", dict(below=1), "got str"), (None, dict(below=1), "got NoneType"),
], ids=str)
def test_misuse_is_refused(function, value, limits, message):
    with pytest.raises(ValueError, match=message):
        function("B1", value, **limits)


@pytest.mark.parametrize("value, limit, line", [
    (math.log(2), dict(below=1e-10), "B1 breaks with a flipped sign: 0.6931 (allowed below 1e-10)\n"),
    (torch.tensor(-3.0), dict(above=0), "B1 breaks with a flipped sign: -3.0 (allowed above 0)\n"),
    (123456.0, dict(between=(0, 1)), "B1 breaks with a flipped sign: 1.235e+05 (allowed in [0, 1])\n"),
    (INF, dict(below=1e-10), "B1 breaks with a flipped sign: inf (allowed below 1e-10)\n"),
], ids=str)
def test_an_error_that_breaks_the_claim_is_printed(value, limit, line, capsys):
    assert planted_error("B1", value, **limit, says="a flipped sign") is None
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("value, limit", [(1e-12, dict(below=1e-10)), (0.5, dict(between=(0, 1))), (2.0, dict(above=1))], ids=str)
def test_a_claim_that_survives_its_planted_error_raises(value, limit):
    with pytest.raises(AssertionError, match="planted_error B1: the claim survives a flipped sign"):
        planted_error("B1", value, **limit, says="a flipped sign")


def test_a_planted_error_that_gives_nan_proves_nothing():
    with pytest.raises(AssertionError, match="nan, which proves nothing"):
        planted_error("B1", NAN, below=1e-10)


MODELS = [torch.linspace(-1, 1, 5, dtype=torch.float64) * k for k in range(1, 101)]


def test_lines_that_agree_print_their_number(capsys):
    derivation("B3", {"square": lambda a: a**2, "product": lambda a: a * a}, MODELS)
    derivation("B3", {"sum": lambda a: a.sum(), "float": lambda a: float(a.sum())}, (m for m in MODELS[:1]))
    assert capsys.readouterr().out == "B3 derivation: 2 lines agree on 100 models\nB3 derivation: 2 lines agree on 1 model\n"


def test_the_first_line_that_differs_is_named_with_its_size_and_model():
    lines = {"a": lambda k: k, "b": lambda k: k + 0.0, "c": lambda k: k + (0.25 if k == 7 else 0.0), "d": lambda k: 2.0 * k}
    with pytest.raises(AssertionError, match=r"B3 derivation: line 3, 'c', differs from line 1 by 0\.25 on model 7, allowed below 1e-10"):
        derivation("B3", lines, range(1, 11))
    with pytest.raises(AssertionError, match=r"line 2, 'd', differs from line 1 by 10\.0 on model 10"):
        derivation("B3", {"a": lines["a"], "d": lines["d"]}, range(1, 11))


@pytest.mark.parametrize("bad_model", [1, 3, 5])
def test_nan_never_agrees(bad_model):
    nan_once = lambda k: NAN if k == bad_model else float(k)
    with pytest.raises(AssertionError, match=f"line 2, 'b', differs from line 1 by nan on model {bad_model}"):
        derivation("B3", {"a": float, "b": nan_once}, range(1, 6), below=10)
    with pytest.raises(AssertionError, match=f"line 1, 'a', is not finite on model {bad_model}"):
        derivation("B3", {"a": nan_once, "b": nan_once}, range(1, 6))


def test_a_vacuous_derivation_is_refused():
    with pytest.raises(ValueError, match="got no model"):
        derivation("B3", {"a": float, "b": float}, [])
    with pytest.raises(ValueError, match=r"got 1 line"):
        derivation("B3", {"a": float}, [1])
    with pytest.raises(AssertionError, match="nothing to compare"):
        derivation("B3", {"a": lambda a: torch.zeros(0), "b": lambda a: torch.zeros(0)}, [1])


def test_shapes_must_agree_and_an_exception_says_where():
    with pytest.raises(AssertionError, match=r"line 'b' has shape \(5,\) on model 1, line 1 has \(\)"):
        derivation("B3", {"a": lambda a: a.sum(), "b": lambda a: a}, MODELS)
    with pytest.raises(ZeroDivisionError) as caught:
        derivation("B3", {"a": float, "b": lambda a: 1 / 0}, [1])
    assert caught.value.__notes__ == ["(in B3 derivation, line 'b', on model 1)"]
