"""tolerance.py: words and integers exactly, numbers with a point or an exponent within a tolerance."""
import pytest
from hypothesis import given, strategies as st

from tools.tolerance import Tolerance, first_difference, tolerance_of


@pytest.mark.parametrize("got, expected", [
    ("gap 0.6931", "gap 0.6931"), ("gap 0.6931", "gap 0.6936"), ("1.0001e-05 s", "1.0002e-05 s"), ("0.0000004", "0.0000009"),
    ("-0.0000  x", " 0.0000  x"), ("[ 0.1, -2.0]", "[0.1, -2.0]"), (" 9.9999 |", "10.0000 |"), ("tensor([1., 2.])", "tensor([1.0000, 2.0000])"),
    ("nan and inf", "nan and inf"), ("-inf", "-inf"), ("1e5", "100000.5"), ("−0.5", "-0.5"), ("took 3.2000s", "took 3.2001s"),
    ("12.34%", "12.35%"), ("B1 holds: gap < 1e-10", "B1 holds: gap < 1e-10"), ("", ""),
], ids=str)
def test_texts_that_agree(got, expected):
    assert first_difference(got, expected) is None


@pytest.mark.parametrize("got, expected, message", [
    ("gap 0.6931", "gap 0.6951", r"number 1 (line 1): got 0.6931, expected 0.6951, allowed a difference of 0.0007"),
    ("a 1.0\nb 2.0", "a 1.0\nb 2.1", "number 2 (line 2): got 2.0, expected 2.1"),
    ("3 states", "4 states", "line 1: got '3 states', expected '4 states'"),
    ("1000000 draws", "1000001 draws", "allowed no difference in words and integers"),
    ("after 10000. Then", "after 10001. Then", "words and integers"),
    ("nats", "bits", "got 'nats', expected 'bits'"), ("0.5 nats", "0.5 bits", "got '0.5 nats'"),
    ("nan", "0.5", "number 1 (line 1): got nan, expected 0.5"), ("0.5", "nan", "got 0.5, expected nan"),
    ("inf", "-inf", "got inf, expected -inf"), ("inf", "1e300", "got inf"), ("1", "1.0", "got '1', expected '1.0'"),
    ("-0.5", "0.5", "got -0.5, expected 0.5"), ("gap < 1e-10", "gap < 1e-7", "got 1e-10, expected 1e-7, allowed nothing else"),
    ("(allowed below 1e-10)", "(allowed below 1e-08)", "allowed nothing else"), ("v1.2.3", "v1.2.4", "v1.2.4"),
    ("colour #2e1234", "colour #2e1235", "words and integers"), ("a\nb", "a", "got 2 line(s) ending in 'a\\nb', expected 1 ending in 'a'"), ("0.1 0.2", "0.1", "line 1"),
    ("a  \n1.5", "a\n1.5", "line 1"), ("range 3.5-4.5", "range 3.5-4.7", "number 2 (line 1): got 4.5, expected 4.7"),
], ids=str)
def test_texts_that_differ_say_where_got_expected_and_allowed(got, expected, message):
    assert message in first_difference(got, expected)


def test_the_allowance_is_absolute_plus_relative():
    assert first_difference("100.0", "101.0", Tolerance(rtol=0, atol=1.0)) is None
    assert first_difference("100.0", "101.1", Tolerance(rtol=0, atol=1.0)) is not None
    assert first_difference("100.0", "110.0", Tolerance(rtol=0.1, atol=0)) is None
    assert first_difference("100.0", "112.0", Tolerance(rtol=0.1, atol=0)) is not None
    assert first_difference("100.0", "112.0", Tolerance(rtol=0.1, atol=1)) is None


def test_tags_set_the_tolerance():
    assert tolerance_of(["claim-B1"]) == (1e-3, 1e-6)
    assert tolerance_of(["rtol-0.05"]) == (0.05, 1e-6)
    assert tolerance_of(["atol-0.1", "rtol-1e-2"]) == (0.01, 0.1)


TEXTS = st.text(st.sampled_from("0123456789.eE+-− \t\n,[]#naif<") | st.characters(), max_size=60)


@given(TEXTS, TEXTS)
def test_any_text_agrees_with_itself_and_any_two_can_be_compared(a, b):
    assert first_difference(a, a) is None
    difference = first_difference(a, b)
    assert difference is None or ("got" in difference and "expected" in difference)
    if not set((a + b).lower()) & set(".ein"):  # no number but integers, so nothing but equality will do
        assert (difference is None) == (a == b)
