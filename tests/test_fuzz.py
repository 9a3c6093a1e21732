"""A few blind calls of each table, as benchmarks/fuzz.py makes ten thousand; and that it sees what it looks for."""
import random
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import fuzz
from tests.blind import blind, dressed
from tests.doors import Door


@pytest.mark.skipif(not hasattr(fuzz.signal, "SIGALRM"), reason="no alarm on this system")
@pytest.mark.parametrize("table", ["bad_input", "bad_input_vq", "checks"])
def test_blind_calls_are_refused_or_accepted(table):
    found = fuzz.listen(table, 40, 2)
    assert found["calls"] >= 30 and found["refused"] > 10 and not found["unexplained"], found["odd"]


def changes(x):
    x.add_(1)
    return x


def careless(x):
    raise ValueError("something is wrong")


@pytest.mark.parametrize("function, kind", [
    (lambda x: x / 0 * 0, "NaN"), (changes, "changed"), (careless, "message"), (lambda x: x.nothing, "AttributeError"), (lambda x: torch.as_tensor(x.stride()), "dress"),
    (lambda x: x + 1, "accepted"), (lambda x: time.sleep(5), "hang"),
], ids=["not a number", "changed", "no cure", "another exception", "another dress", "right", "hang"])
def test_what_it_looks_for_is_seen(function, kind, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    before = fuzz.signal.signal(fuzz.signal.SIGALRM, fuzz.ring)
    try:
        good = torch.rand(3, 2)
        worn = torch.stack([good, good], -1)[..., 0]
        assert fuzz.call(Door(function, {"x": good}, {"x": None}), "x", worn, good).kind == kind
    finally:
        fuzz.signal.signal(fuzz.signal.SIGALRM, before)


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
