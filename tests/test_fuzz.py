"""A few blind calls of each table, as benchmarks/fuzz.py makes ten thousand; and that it sees what it looks for."""
import inspect
import math
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from deepgen_lib.checks.engine import Exercise, NotYet, Part
from deepgen_lib.rbm import random_rbm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import fuzz
from tests.blind import blind, drawn, dressed, is_right
from tests.doors import Door, faults_of
from tests.leaves import changed, snapshot

WITH_ALARM = pytest.mark.skipif(not hasattr(fuzz.signal, "SIGALRM"), reason="no alarm on this system")


@WITH_ALARM
@pytest.mark.parametrize("table", ["bad_input", "bad_input_vq", "checks"])
def test_blind_calls_are_refused_or_accepted(table):
    found = fuzz.listen(table, 40, 2)
    assert found["calls"] >= 30 and found["refused"] > 10 and not found["unexplained"], found["odd"]


class Sums(NamedTuple):
    total: float


@dataclass
class Found:
    mean: float
    share: np.ndarray


def changes(x):
    x.add_(1)
    return x


def refuses(x):
    raise ValueError("refuses: x is bad, expected a good one; pass a good one")


def says(words, error=ValueError):
    def function(**given):
        raise error(words)
    return function


def in_its_surroundings(change):
    """A function that changes one of its other arguments: a network, an array, a list of numbers."""
    def function(x, network, array, numbers):
        change(network, array, numbers)
        return x
    return function


RULES = fuzz.Rules(ValueError, lambda message: faults_of(message, "", {"refuses"}))
OTHERS = dict(network=lambda: nn.Linear(2, 2), array=lambda: np.zeros(3), numbers=lambda: [1, 0.5])
SEEN = {
    "not a number": (lambda x: x / 0 * 0, "NaN"), "a number that is none": (lambda x: math.nan, "NaN"), "none in a tuple's field": (lambda x: Sums(math.nan), "NaN"),
    "none in a dataclass": (lambda x: Found(math.nan, np.ones(2)), "NaN"), "none in an array": (lambda x: Found(0.5, np.array([1, np.nan])), "NaN"), "none in a list": (lambda x: {"a": [1.0, np.float32("nan")]}, "NaN"),
    "changed": (changes, "changed"), "refused but changed": (lambda x: refuses(x.add_(1)), "changed"),
    "no cure": (says("something is wrong"), "message"), "no function": (says("other: x is bad, expected a good one; pass a good one"), "message"),
    "nothing got": (says("refuses: expected a good one; pass a good one"), "message"), "refused": (refuses, "refused"),
    "another exception": (lambda x: x.nothing, "AttributeError"), "another dress": (lambda x: torch.as_tensor(x.stride()), "dress"), "another number": (lambda x: float(x.stride(0)), "dress"),
    "nothing or a refusal": (lambda x: None if x.is_contiguous() else refuses(x), "dress"), "another answer to a dress": (lambda x: x + 1 if x.is_contiguous() else refuses(x), "dress"), "right": (lambda x: x + 1, "accepted"), "hang": (lambda x: time.sleep(5), "hang"),
}
SURROUNDINGS = {
    "weights": lambda network, array, numbers: network.weight.data.add_(1), "mode": lambda network, array, numbers: network.eval(), "gradient": lambda network, array, numbers: network.weight.sum().backward(),
    "array": lambda network, array, numbers: array.fill(1), "number": lambda network, array, numbers: numbers.__setitem__(1, 0.25), "longer": lambda network, array, numbers: numbers.append([]),
}
SEEN |= {name: (in_its_surroundings(change), "changed") for name, change in SURROUNDINGS.items()}
SEEN |= {f"refused, {name}": (lambda x, change=change, **others: (change(*others.values()), refuses(x)), "changed") for name, change in SURROUNDINGS.items()}


@pytest.fixture
def alarm(monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    before = fuzz.signal.signal(fuzz.signal.SIGALRM, fuzz.ring)
    yield
    fuzz.signal.signal(fuzz.signal.SIGALRM, before)


@WITH_ALARM
@pytest.mark.parametrize("function, kind", SEEN.values(), ids=SEEN)
def test_what_it_looks_for_is_seen(function, kind, alarm):
    good = torch.rand(3, 2)
    worn = torch.stack([good, good], -1)[..., 0]
    wanted = inspect.signature(function).parameters
    others = {name: make() for name, make in OTHERS.items() if name in wanted or "others" in wanted}
    assert fuzz.call(Door(function, {"x": good} | others, {"x": None}), "x", worn, good, RULES).kind == kind


@WITH_ALARM
def test_the_object_of_a_method_is_watched_unless_it_is_there_to_be_changed(alarm):
    network = nn.Linear(2, 2)
    method = MethodType(lambda self, x: self.weight.data.add_(1).sum(), network)
    door = Door(method, {"x": torch.ones(2)}, {"x": None})
    assert fuzz.call(door, "x", torch.ones(2), None, RULES).kind == "changed"
    assert fuzz.call(door, "x", torch.ones(2), None, RULES._replace(changes=("its object",))).kind == "accepted"
    assert fuzz.call(door._replace(function=lambda x: network.bias.data.add_(1).sum(), model=network), "x", torch.ones(2), None, RULES).kind == "changed"


def test_a_table_is_held_to_its_own_names_and_exceptions():
    table = SimpleNamespace(NAMES={"fit"})
    rules = fuzz.rules_of(table, "fit", "data")
    assert rules.changes == ("trainer",) and not fuzz.rules_of(table, "entropy", "q").changes and fuzz.rules_of(None, "1.1", next(iter(fuzz.exercises()["1.1"].spoil))).error is NotYet
    assert not rules.faults("fit: data is None, expected a tensor; pass one") and rules.faults("entropy: data is None, expected a tensor; pass one")


@WITH_ALARM
@pytest.mark.parametrize("value, judge, kind", [
    (0.5, None, "refused"), (0.25, None, "accepted"), (0.5, lambda **given: None, "passed"), (0.5, says("9.1 not yet (second): no"), "ValueError"),
    (0.5, says("8.1 not yet (second): no", NotYet), "message"), (0.5, says("9.1 not yet (first): no", NotYet), "message"),
    (0.5, says("9.1 not yet (second; right so far: first): no", NotYet), "refused"), (0.5, says("9.1 not yet (second): " + "no " * 700, NotYet), "message"),
], ids=["wrong", "right", "passes", "another exception", "another exercise", "another part", "this part", "a book"])
def test_a_wrong_answer_to_an_exercise_must_not_pass(value, judge, kind, alarm, monkeypatch):
    """Planted: a check that lets everything pass, and refusals that blame something else."""
    exercise = Exercise("9.1", "nine", "t", "core", 1, "09_nine", ("a", "b", "c"), "yes", (Part(1.0, {}, name="first"), Part(0.25, {}, name="second")))
    monkeypatch.setattr(fuzz, "find", lambda name: exercise)
    monkeypatch.setattr(fuzz, "registered", lambda: [exercise])
    door = fuzz.exercises()["9.1"]
    assert fuzz.call(door._replace(function=judge or door.function), "second", value, None, fuzz.rules_of(None, "9.1", "second")).kind == kind


def dies(name, calls, seed, told):
    told.send(("f", "x", "3", None))
    sys.exit(7)


def test_a_process_that_dies_is_told_with_its_last_call(monkeypatch):
    monkeypatch.setattr(fuzz, "table_of", dies)
    found = fuzz.listen("checks", 1, 0)
    assert found["unexplained"] == 1 and found["odd"][0][:4] == ["f", "x", "3", "died"]


def test_the_pool_has_every_kind_of_value():
    chance = random.Random(0)
    kinds = {type(blind(None, chance)[0]).__name__ for _ in range(2000)}
    assert {"int", "float", "bool", "str", "NoneType", "list", "dict", "Tensor", "ndarray", "Generator", "Linear"} <= kinds
    good, strides = torch.rand(4, 3), set()
    for _ in range(30):
        worn, plain = dressed(good, chance)
        assert torch.equal(worn.detach(), plain)
        strides.add((worn.stride(), worn.requires_grad))
    assert len(strides) == 3


def test_what_cannot_be_dressed_gets_a_blind_value_and_a_network_may_take_an_rbms_place():
    chance, rbm = random.Random(0), random_rbm(3, 2, rng=torch.Generator().manual_seed(0))
    assert all(dressed(good, chance)[0] is not good for good in (3, "word", [torch.ones(2)], torch.tensor(1.0), rbm) for _ in range(20))
    instead = {type(drawn(rbm, chance)[0]).__name__ for _ in range(1000)}
    assert {"Linear", "builtin_function_or_method"} <= instead
    as_function = type("AsFunction", (), {"__call__": lambda self, x: x})()
    assert not any(callable(drawn(function, chance)[0]) for function in (as_function, lambda x: x) for _ in range(1000))


@pytest.mark.parametrize("right, answer, is_it", [
    (0.25, 0.25, True), (0.25, torch.tensor(0.25), True), (0.25, 0.5, False), (0.25, [0.25], False), (0.25, "0.25", False), (0.25, math.nan, False), ("data", "data", True), ("data", 1, False),
    ({"a": 1.0}, {"a": 1}, True), ({"a": 1.0}, {}, False), (torch.ones(2), [1, 1], True), (torch.ones(2), torch.ones(1, 2), False), (lambda x: 2 * x, lambda x: x + x, True), (lambda x: 2 * x, lambda x: x, False),
    (lambda x: 2 * x, len, False), (lambda x: 2 * x, 3, False),
])
def test_a_right_answer_is_known_by_its_values(right, answer, is_it):
    part = Part(right, {}, inputs=(lambda _: {"ones": (torch.ones(2),), "twos": (torch.full((2,), 2.0),)}) if callable(right) else None)
    assert is_right(part, answer) == is_it


def test_a_snapshot_is_out_of_reach_of_later_changes():
    rbm = random_rbm(3, 2, rng=torch.Generator().manual_seed(0))
    given = {"x": torch.tensor([1.0, math.nan]), "rbm": rbm, "list": [1, {"a": np.array([math.nan])}], "itself": []}
    given["itself"].append(given)
    before = snapshot(given)
    assert not changed(before, snapshot(given))
    rbm.b.data[0] = math.inf
    given["list"][1]["a"][0] = 0
    assert changed(before, snapshot(given)) == ["rbm.b", "list.1.a"]


def test_the_note_says_what_the_tables_cover_and_what_not():
    cover = fuzz.covered()
    assert "log_partition" in cover["called"]["deepgen_lib.enumeration"] and "ConvRBMTrainer" in cover["called"]["deepgen_lib.conv_training"]
    assert cover["not called"]["deepgen_lib.nvae_small"] == ["bare_small_nvae", "load_small_nvae"] and not {"fit"} & set(cover["not called"].get("deepgen_lib.fitting", ()))
    words = fuzz.in_words(cover)
    assert "enumeration" in words.split("Not called")[0] and "plots (" in words.split("Not called themselves")[1] and f"{cover['arguments']} arguments" in words
