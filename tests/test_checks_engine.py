"""The engine of the checks: right answers pass however written, wrong ones hear which mistake they are."""
import math
import typing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepgen_lib.checks.engine import Part
from tests.toy_exercise import BANK, HINTS, SOFTMAX, cases, error_of, exercise, values

@pytest.mark.parametrize("answer", [
    lambda logits: logits.softmax(-1),
    lambda a: a.exp() / a.exp().sum(1, keepdim=True),
    lambda a: (a - a.logsumexp(1, keepdim=True)).exp().numpy(),
    lambda a: a.float().softmax(1).requires_grad_(),
    lambda a: a.softmax(1).tolist(),
    torch.nn.Softmax(dim=-1),
])
def test_a_right_answer_passes_however_written(answer, capsys):
    exercise()(answer)
    assert capsys.readouterr().out == "1.1 right: every row is a distribution\n"


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("name", BANK)
def test_a_known_mistake_is_named(name, seed):
    text = error_of(exercise(), BANK[name][0], seed=seed)
    assert text.startswith("1.1 not yet: you returned ") and BANK[name][1] in text and ", expected " in text


def test_an_unknown_mistake_gets_got_and_expected_and_no_false_diagnosis():
    text = error_of(exercise(), lambda a: a.softmax(-1) + torch.tensor([0.0, 0, 0.1]) * a[:, :1])
    assert not any(entry[1] in text for name, entry in BANK.items() if name != "tempered")
    assert "at [0, 2] (4 of 12 entries are off)" in text and "case: random logits" in text
    assert "none of the known mistakes" in error_of(exercise(), lambda a: a.softmax(-1).flip(1))


def test_a_mistake_that_fits_one_case_only_is_not_named():
    text = error_of(exercise(), lambda a: a.softmax(0) if len(a) > 1 else a.softmax(-1).flip(1))
    assert BANK["columns"][1] not in text


def test_of_two_mistakes_that_fit_the_closest_is_named():
    bank = {"near": (lambda x: x + 0.030, "near miss"), "nearer": (lambda x: x + 0.021, "nearest miss")}
    part = Part(right=lambda x: x, inputs=lambda rng: {"": (torch.zeros(3),)}, misconceptions=bank, atol=0.015)
    assert "nearest miss" in error_of(exercise(part), lambda x: x + 0.02)


def test_a_mistake_that_gives_nan_and_infinities_is_named():
    bank = {"naive": (lambda a: a.exp() / a.exp().sum(-1, keepdim=True), "the exponential overflows: subtract the largest"),
            "log": (lambda a: a.exp().log(), "the exponential overflows before the logarithm undoes it")}
    part = Part(right=lambda a: a.softmax(-1), inputs=lambda _: {"": (torch.tensor([[0.0, 1000.0, 0.0]]),)}, misconceptions=bank)
    for wrong, message in bank.values():
        text = error_of(exercise(part), wrong)
        assert "contains" in text and message in text


@pytest.mark.parametrize("answer, words", [
    (lambda a: None, "returns nothing: did you forget `return`?"),
    (lambda a: 1 / 0, "stopped with ZeroDivisionError: division by zero (case: random logits)"),
    (lambda a: exec("raise SystemExit(0)"), "stopped with SystemExit"),
    (lambda a: a.softmax(-1) * math.nan, "the answer contains NaN"),
    (lambda a: a.softmax(-1) / 0, "the answer contains an infinite value"),
    (lambda a: a.softmax(-1).long(), "your tensor is torch.int64, too coarse"),
    (lambda a: a.softmax(-1).half(), "your tensor is torch.float16, too coarse"),
    (lambda a: a.softmax(-1).sum(0), "shape (3,), expected (4, 3) (case: random logits); axis 0 (B) is missing"),
    (lambda a: a.softmax(-1).sum(1), "axis 1 (K) is missing: it was summed, averaged or indexed away"),
    (lambda a: a.softmax(-1)[:, :, None], "axis 2 of the answer is one too many: drop it"),
    (lambda a: a.softmax(-1)[:, :2], "axis 1 (K) has size 2, expected 3"),
    (lambda a: a.softmax(-1).mT, "opposite order: transpose"),
    (lambda a: a.softmax(-1).sum(), "the answer has 0 axes, expected 2"),
    (lambda a: "softmax", "you gave text"),
    (lambda a: {"p": a}, "you gave a dictionary"),
    (lambda a: (a, a, a.sum()), "you gave a list or tuple"),
    (lambda a: object(), "you returned a object, expected a tensor of shape (4, 3)"),
    (lambda a: a.softmax(-1) + 0j, "expected real numbers"),
    (lambda a, b: a, "your function takes (a, b), it is called with (logits): keep the signature"),
    (torch.zeros(4, 3), "expected a function; pass its name, without brackets"),
    (None, "not written yet"),
    (..., "not written yet"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_what_is_no_answer_is_said_plainly(answer, words):
    assert words in error_of(exercise(), answer)


def test_an_unwritten_stub_is_recognised():
    def stub(logits):
        raise NotImplementedError()
    assert "not written yet: replace `raise NotImplementedError()`" in error_of(exercise(), stub)


@pytest.mark.parametrize("slip, words", [
    (lambda x: -x, "check the sign"), (lambda x: x / math.log(2), "in bits"), (lambda x: 2 * x, "twice"), (lambda x: x / 2, "half"),
    (lambda x: x.exp(), "exponential of the right one"),
])
def test_slips_that_any_formula_invites_are_named(slip, words):
    part = Part(right=lambda a: a.log_softmax(-1), inputs=cases, misconceptions={})
    assert words in error_of(exercise(part), lambda a: slip(a.log_softmax(-1)))


def test_a_slip_is_not_read_into_a_constant_answer():
    part = Part(right=lambda a: a.sum() * 0 + 1, inputs=cases, misconceptions={})
    assert "none of the known mistakes" in error_of(exercise(part), lambda a: torch.tensor(2.0))


def test_the_student_cannot_change_the_inputs_of_the_comparison(capsys):
    def cheat(logits):
        return logits.zero_().softmax(-1)

    def careless(logits):
        return logits.exp_() / logits.sum(-1, keepdim=True)
    assert "1.1 not yet" in error_of(exercise(), cheat)
    exercise()(careless)
    assert capsys.readouterr().out == "1.1 right: every row is a distribution (your function changes its input in place; a copy would be safer)\n"


def test_generators_and_models_are_copied_too():
    model, rng = torch.nn.Linear(2, 2), torch.Generator().manual_seed(3)
    part = Part(right=lambda net, g: net.weight.sum() + torch.rand(5, generator=g), misconceptions={},
                inputs=lambda _: {"first": (model, rng), "again": (model, rng)})

    def answer(net, g):
        total = net.weight.sum() + torch.rand(5, generator=g)
        with torch.no_grad():
            net.weight.zero_()
        return total
    before = model.weight.clone()
    exercise(part)(answer)
    assert torch.equal(model.weight, before) and torch.equal(rng.get_state(), torch.Generator().manual_seed(3).get_state())


def test_a_class_that_equals_everything_does_not_pass():
    class Anything(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return True

    class Yes(str):
        def __eq__(self, other):
            return True
        __hash__ = str.__hash__
        casefold = split = lambda self: self
    assert "a Anything" in error_of(exercise(), lambda a: torch.zeros(4, 3).as_subclass(Anything))
    assert "a Yes" in error_of(values("up"), Yes("no"))


def test_a_value_is_checked_and_never_given_away(capsys):
    check = values({"E-step": "bound up", "M-step": "both up"}, {
        "same": ({"E-step": "both up"}, "an E-step leaves the model alone"),
        "never": ({"M-step": "bound up"}, "an M-step moves the likelihood too")})
    check({"M-step": " Both  up", "E-step": "bound up"})
    assert capsys.readouterr().out.startswith("1.1 right")
    text = error_of(check, {"E-step": "both up", "M-step": "none"})
    assert "'both up' for 'E-step', expected another answer; an E-step leaves the model alone" in text
    assert "no answer for 'M-step'" in error_of(check, {"E-step": "bound up"})
    assert "an answer for 'X', which is not asked" in error_of(check, {"E-step": "bound up", "M-step": "both up", "X": "?"})
    assert "a tensor of shape (9,) for 'E-step', expected text; you gave a tensor: write the word in quotes" in error_of(check, {"E-step": torch.zeros(9), "M-step": "both up"})
    assert "you gave a number: write the word in quotes" in error_of(values("up"), 3)
    assert "you answered 2 for 'a', expected another value" in error_of(values({"a": 1.5, "b": "up"}), {"a": 2, "b": "up"})
    text = error_of(values(math.log(2), {"bits": (1.0, "that is one bit; in nats?")}), 1)
    assert "you answered 1, expected another value; that is one bit; in nats?" in text and "0.69" not in text
    assert "0.69" not in error_of(values(torch.tensor([0.6931, 1.0])), [0.5, 1.0])
    assert "call the function first" in error_of(values(1.0), lambda: 1.0)


def test_any_answer_with_the_right_property_passes(capsys):
    """Draw a point at distance 5: many right answers; what is compared is the distance."""
    def size(point, radius):
        if point.shape != (2,):
            raise ValueError(f"a point has two coordinates, yours has shape {tuple(point.shape)}")
        return point.norm()
    part = Part(right=lambda r: torch.tensor([r, 0.0]), inputs=lambda rng: {"r = 5": (5.0,)}, measure=size, expected=lambda r: torch.tensor(r),
                quantity="distance", atol=0.01, misconceptions={"square": (lambda r: torch.tensor([r, r]), "Pythagoras: both coordinates count")})
    check = exercise(part)
    check(lambda r: torch.tensor([3.0, 4.0]))
    check(lambda r: torch.tensor([0.0, -r]))
    text = error_of(check, part.bank["square"].wrong)
    assert "the distance of your answer is 7.071, expected 5 within 0.01 (case: r = 5); Pythagoras" in text
    assert "a point has two coordinates, yours has shape (3,)" in error_of(check, lambda r: torch.zeros(3))
    assert "cannot be used: AttributeError" in error_of(check, lambda r: (3.0, 4.0))


def test_parts_are_checked_in_turn_and_named():
    double = Part(name="double", right=lambda a: 2 * a, inputs=cases, misconceptions={"square": (lambda a: a * a, "that is the square")})
    check = exercise(Part(**{**vars(SOFTMAX), "name": "normalise"}), double)
    check(lambda a: a.softmax(1), lambda a: a + a)
    text = error_of(check, lambda a: a.softmax(1), lambda a: a * a)
    assert "1.1 not yet (double; right so far: normalise): you returned" in text and "that is the square" in text
    with pytest.raises(AssertionError, match="the check got 1 answers, expected 2: normalise, double"):
        check(lambda a: a)


def test_a_list_of_results_says_which_one():
    class Pair(typing.NamedTuple):
        low: torch.Tensor
        high: torch.Tensor
    part = Part(right=lambda a: (a.amin(1), a.amax(1)), inputs=cases, misconceptions={}, axes=("B",))
    exercise(part)(lambda a: Pair(a.min(1).values, a.max(1).values))
    assert "as result 2" in error_of(exercise(part), lambda a: (a.amin(1), a.amax(1) + torch.arange(len(a)) + 1))
    assert "expected a list or tuple (case: random logits); you gave a tensor: return 2 results, with commas between them" in error_of(exercise(part), lambda a: a)
    assert "3 results, expected 2" in error_of(exercise(part), lambda a: (a.amin(1), a.amax(1), a))


def test_another_seed_gives_other_inputs():
    constant = SOFTMAX.right(cases(torch.Generator().manual_seed(0))["random logits"][0])
    answer = lambda a: constant if len(a) > 1 else a.softmax(1)  # noqa: E731  (learned by heart)
    exercise()(answer)
    error_of(exercise(), answer, seed=1)


@pytest.mark.parametrize("changes", [
    dict(id="1"), dict(id="2.1"), dict(name="two words"), dict(level="easy"), dict(minutes=0), dict(minutes=True), dict(title=""),
    dict(chapter="gibbs"), dict(hints=HINTS[:2]), dict(hints=HINTS[0]), dict(hints=(*HINTS[:2], " ")), dict(parts=()), dict(parts=(SOFTMAX, SOFTMAX)),
])
def test_an_incomplete_card_is_refused(changes):
    with pytest.raises(ValueError, match="^Exercise "):
        exercise(**changes)


JUNK = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=3), st.complex_numbers(),
                              st.builds(object), st.builds(torch.zeros, st.integers(0, 3), st.integers(0, 4)), st.just(torch.nn.Linear(1, 1)), st.just(math.sin)),
                    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=2), st.sets(st.integers(), max_size=2)))


@given(junk=JUNK)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_back_is_answered_in_the_one_form(junk):
    for check, answer in ((exercise(), lambda logits: junk), (exercise(), junk), (values("up"), junk), (values({"a": 1.5}), junk), (values(torch.eye(2) / 3), junk)):
        error_of(check, answer)
