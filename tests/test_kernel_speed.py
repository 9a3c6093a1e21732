"""kernel_speed's frame: no time where ours disagrees with the definition, a way that cannot run is excused in words, the script runs."""
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import kernel_timing
    yield kernel_timing
    for name in ("kernel_timing", "kernel_cases_rbm"):
        sys.modules.pop(name, None)


def broken():
    raise ImportError("no such peer")


def rows(timing, agrees):
    x = torch.ones(3)
    ways = {"ours": lambda: lambda: x + 1, "eager": lambda: lambda: x + 1, "peer": broken}
    case = timing.Case("work", agrees, ways, 8.0, 3.0)
    return timing.table([timing.measure(case, CPU, seconds=0.0, rounds=2)], timing.Floor(1e9, 1e9))


def test_times_stand_where_ours_agrees_and_a_missing_peer_is_named(timing):
    ours, eager, peer = rows(timing, lambda: "")
    assert ours[2].endswith("s") and ours[3] == "" and eager[3].endswith(" x")
    assert peer[2] == "not run: ImportError: no such peer"


def test_no_time_is_printed_where_ours_disagrees(timing):
    assert rows(timing, lambda: "h differs by 1") == [["work", "ours", "no time: h differs by 1", "", "", ""]]


@pytest.mark.parametrize("name", ["half_steps", "chains", "updates", "annealing"])
def test_a_wrong_kernel_is_caught_by_its_own_case(timing, name, monkeypatch):
    """Planted: ours draws from a model with a moved bias (or steps half as far)."""
    import kernel_cases_rbm as cases
    arguments = {"half_steps": (10,), "chains": (10, 1), "updates": (10, 1), "annealing": (10, 3)}[name]
    case = getattr(cases, name)(*arguments, CPU)
    assert case.agrees() == ""
    half_step, sweeps, update, anneal = cases.half_step, cases.sweeps, cases.update, cases.anneal
    monkeypatch.setattr(cases, "half_step", lambda v, W, c, rng: half_step(v, W, c + 0.5, rng))
    monkeypatch.setattr(cases, "sweeps", lambda h, W, b, c, k, rng: sweeps(h, W, b + 0.5, c, k, rng))
    monkeypatch.setattr(cases, "update", lambda old, phases, rate, rates: update(old, phases, rate / 2, rates))
    monkeypatch.setattr(cases, "anneal", lambda v, route, rng: anneal(v, route._replace(c=route.c + 0.5), rng))
    assert "differs from the definition" in getattr(cases, name)(*arguments, CPU).agrees()


def test_the_floor_is_the_dearer_of_traffic_and_arithmetic(timing):
    floor = timing.Floor(bandwidth=4.0, rate=10.0)
    assert floor.seconds(timing.Case("", None, {}, bytes=8.0, operations=10.0)) == 2.0
    assert floor.seconds(timing.Case("", None, {}, bytes=8.0, operations=50.0)) == 5.0
