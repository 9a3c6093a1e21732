"""The smaller case after the last hint, and the picture beside a failing check."""
import pytest
import torch

from deepgen_lib import checks, plots, record
from deepgen_lib.checks import engine, show
from deepgen_lib.checks.engine import Part
from deepgen_lib.plots.compared import compared
from tests.toy_exercise import SOFTMAX, exercise, values


@pytest.fixture(autouse=True)
def shelf(monkeypatch):
    monkeypatch.setattr(engine, "_REGISTRY", {})
    monkeypatch.setattr(engine, "_tries", {})
    monkeypatch.setattr("deepgen_lib.checks.chapters", list)


def fail(check, *answers, seed=0):
    with pytest.raises(engine.NotYet):
        check(*answers, seed=seed)


def test_before_a_try_it_is_the_smallest_of_all(capsys):
    engine.register(exercise())
    case = checks.small_case("1.1")
    assert len(case) == 1 and case[0].tolist() == [[0, 1, 5]]
    text = capsys.readouterr().out
    assert "1.1: the smallest input (case: one row)." in text and "logits = [[0, 1, 5]]" in text and "The right answer is numbers of shape (1, 3)." in text and "Your function" not in text


def test_after_a_try_it_is_the_smallest_that_goes_wrong(capsys):
    check = engine.register(exercise())
    fail(check, lambda a: a.softmax(-1) if len(a) == 1 else a.softmax(0), seed=3)
    case, = checks.small_case("1.1")
    assert case.shape == (4, 3) and torch.equal(case, SOFTMAX.inputs(torch.Generator().manual_seed(3))["random logits"][0])
    assert "the smallest input that goes wrong (case: random logits)" in (text := capsys.readouterr().out) and "Your function gives numbers of shape (4, 3)." in text
    fail(check, lambda a: 1 / 0)
    assert checks.small_case("1.1")[0].shape == (1, 3) and "Your function gives ZeroDivisionError: division by zero." in capsys.readouterr().out
    check(lambda a: a.softmax(-1))
    checks.small_case("1.1")
    assert "goes wrong" not in capsys.readouterr().out


def test_the_right_value_is_not_given_away(capsys):
    check = engine.register(exercise(Part(right=lambda a: {"sum": a.sum(), "word": "up"}, inputs=lambda _: {"": (torch.tensor([0.25, 0.5]),)}, misconceptions={})))
    fail(check, lambda a: {"sum": 9.0, "word": "down"})
    checks.small_case("1.1")
    text = capsys.readouterr().out
    assert "a = [0.25, 0.5]" in text and "The right answer is a dictionary" in text and "0.75" not in text and "up" not in text


def test_what_is_handed_out_is_a_copy():
    fixed = torch.ones(2)
    engine.register(exercise(Part(right=lambda a: a, inputs=lambda _: {"": (fixed,)}, misconceptions={})))
    checks.small_case("1.1")[0].zero_()
    assert fixed.tolist() == [1, 1]


def test_of_several_parts_it_is_the_wrong_one(capsys):
    double = Part(name="double", right=lambda a: 2 * a, inputs=SOFTMAX.inputs, misconceptions={})
    check = engine.register(exercise(Part(**{**vars(SOFTMAX), "name": "normalise"}), double))
    fail(check, lambda a: a.softmax(-1), lambda a: a)
    checks.small_case("1.1")
    assert capsys.readouterr().out.startswith("1.1 (double): the smallest input that goes wrong")


def test_an_exercise_of_values_says_what_else_to_do():
    engine.register(values(0.5))
    with pytest.raises(ValueError, match=r'small_case: got exercise 1.1, expected one that asks for a function; .*take hint\("1.1"\)'):
        checks.small_case("1.1")
    with pytest.raises(ValueError, match="expected one of 1.1"):
        checks.small_case("7.7")


def test_after_a_wrong_value_it_is_the_smallest_case_of_the_function(capsys):
    value, = values(0.5).parts
    check = engine.register(exercise(Part(**{**vars(SOFTMAX), "name": "normalise"}), Part(**{**vars(value), "name": "value"})))
    fail(check, lambda a: a.softmax(-1), 0.25)
    assert engine.last_try(check)[0].name == "value" and checks.small_case("1.1")[0].tolist() == [[0, 1, 5]]
    assert "1.1 (normalise): the smallest input (case: one row)." in capsys.readouterr().out


def test_every_exercise_of_the_course_has_a_smaller_case_or_says_why(monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setattr(engine, "_tries", {})  # what other tests tried
    for card in checks.registered():
        if any(part.inputs for part in card.parts):
            checks.small_case(card.id)
            assert len(capsys.readouterr().out) < 1500, card.id


# --- the picture

def shown(monkeypatch, part, answer, *, notebook=True):
    pictures = []
    monkeypatch.setattr(record, "in_notebook", lambda: notebook)
    monkeypatch.setattr("IPython.display.display", pictures.append)
    fail(exercise(part), answer)
    return pictures


MATRIX = Part(right=lambda a: a @ a.T, inputs=lambda rng: {"": (torch.randn(6, 4, generator=rng),)}, misconceptions={})


def test_a_wrong_matrix_is_shown_beside_the_right_one(monkeypatch):
    picture, = shown(monkeypatch, MATRIX, lambda a: a @ a.T + torch.eye(6))
    assert isinstance(picture, plots.Picture) and all(title in picture.description for title in ("yours", "right", "yours minus right"))
    a, = MATRIX.inputs(torch.Generator().manual_seed(0))[""]
    assert picture.description == compared(a @ a.T + torch.eye(6), a @ a.T).description


@pytest.mark.parametrize("what, part, answer", [
    ("one entry", MATRIX, lambda a: a @ a.T + torch.nn.functional.one_hot(torch.tensor(0), 6).outer(torch.nn.functional.one_hot(torch.tensor(0), 6))),
    ("another shape", MATRIX, lambda a: a), ("NaN", MATRIX, lambda a: a @ a.T * float("nan")), ("a vector", Part(right=lambda a: a.sum(1), inputs=MATRIX.inputs, misconceptions={}), lambda a: a.sum(1) + 1),
    ("a measure", Part(right=lambda a: a, inputs=MATRIX.inputs, measure=lambda x, a: x @ x.T, misconceptions={}), lambda a: 2 * a), ("no function", Part(right=torch.eye(5), misconceptions={}), torch.zeros(5, 5)),
    ("an error", MATRIX, lambda a: 1 / 0),
], ids=lambda x: x if isinstance(x, str) else "")
def test_where_a_sentence_says_it_there_is_no_picture(what, part, answer, monkeypatch):
    assert shown(monkeypatch, part, answer) == []


def test_outside_a_notebook_nothing_is_drawn(monkeypatch):
    assert shown(monkeypatch, MATRIX, lambda a: a @ a.T + 1, notebook=False) == []


def test_of_many_images_the_first_wrong_one_is_shown():
    right = torch.rand(3, 2, 8, 8)
    mine = right.clone()
    mine[1, 1] = 1 - mine[1, 1]
    got, expected = show.first_matrices([right, mine], [right, right], MATRIX)
    assert torch.equal(got, mine[1, 1]) and torch.equal(expected, right[1, 1])


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="compared: got yours .3, 4. beside right .4, 3., expected the same shape"):
        compared(torch.zeros(3, 4), torch.zeros(4, 3))
