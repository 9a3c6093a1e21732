"""The model of a machine: prices, what a launch costs, which limit binds; and the tables that benchmarks left."""
import json

import pytest
import torch

from deepgen_lib import measured as measured_module
from deepgen_lib.measured import measured, names, on_a_gpu
from deepgen_lib.roofline import BUILDER, FORMS, H200, LIMITS, Prices, Work, cost, half_step_work, measure_prices, seconds, seconds_of

TEN = Prices(launch=10.0, byte=1.0, multiply_add=0.5, number=4, what="toy")


@pytest.mark.parametrize("work, parts, limit", [
    (Work("a", 4, 4), (10.0, 4.0, 2.0), "launch"), (Work("b", 20, 30), (10.0, 20.0, 15.0), "memory"), (Work("c", 20, 50), (10.0, 20.0, 25.0), "arithmetic")])
def test_the_largest_of_three_is_the_limit(work, parts, limit):
    found = cost(work, TEN)
    assert tuple(found) == parts and found.limit == limit and found.seconds == parts[0] + max(parts[1:])


def test_launches_add_up_and_memory_hides_arithmetic():
    works = [Work("a", 4, 4), Work("b", 20, 30), Work("c", 20, 50)]
    assert seconds(works, TEN) == {"launch": 30.0, "memory": 24.0, "arithmetic": 25.0}
    assert sum(seconds(works, TEN).values()) == sum(cost(work, TEN).seconds for work in works)


def test_the_ridge_is_where_memory_and_arithmetic_meet():
    work = Work("at the ridge", 1000, round(1000 * TEN.ridge))
    assert cost(work, TEN).memory == cost(work, TEN).arithmetic


def test_the_data_sheet_is_quoted_in_its_own_units():
    """NVIDIA H200 SXM: 4.8 TB/s; 1,979 TFLOP/s in bfloat16 with sparsity, half of it without; a multiply-add is two operations."""
    assert 1 / H200.byte == pytest.approx(4.8e12) and 2 / H200.multiply_add == pytest.approx(1979e12 / 2, rel=1e-3)
    assert H200.number == 2 and BUILDER.number == 4


def test_a_half_step_is_counted_as_torch_does_it():
    """Against tensors: bytes of every input and result of the five operations."""
    v, W, c = torch.zeros(3, 5), torch.zeros(5, 7), torch.zeros(7)
    x = v @ W
    logits = x + c
    p = logits.sigmoid()
    u = torch.rand_like(p)
    h = (u < p).float()
    size = lambda *tensors: sum(t.numel() * t.element_size() for t in tensors)
    wanted = [size(v, W, x), size(x, c, logits), size(logits, p), size(u), size(u, p, h)]
    found = half_step_work(3, 5, 7)
    assert [work.bytes for work in found] == wanted and [work.multiply_adds for work in found] == [3 * 5 * 7, 0, 0, 0, 0]
    assert half_step_work(3, 5, 7, form=FORMS[1]) == [Work("half-step", size(v, W, c, h), 105)]


def test_more_steps_cost_launches_unless_they_stay_in_one():
    many = {form: half_step_work(3, 5, 7, form=form, n_steps=4) for form in FORMS}
    assert [len(works) for works in many.values()] == [20, 4, 1]
    assert {sum(work.multiply_adds for work in works) for works in many.values()} == {420}
    assert many[FORMS[2]][0].bytes == many[FORMS[1]][0].bytes
    assert [2 * w.bytes for w in half_step_work(3, 5, 7, number=2)] == [w.bytes for w in half_step_work(3, 5, 7)]


def test_prices_are_measured_in_the_right_units():
    here = measure_prices(budget=0.3)
    assert 1e-8 < here.launch < 1e-3 and 1e-12 < here.byte < 1e-7 and 1e-14 < here.multiply_add < 1e-8


def test_twice_the_work_takes_longer():
    x = torch.ones(2**20)
    assert seconds_of(lambda: [x.exp() for _ in range(8)], budget=0.2) > 2 * seconds_of(lambda: x.exp(), budget=0.2)


@pytest.mark.parametrize("call, words", [
    (lambda: half_step_work(0, 5, 7), "n_chains is 0"), (lambda: half_step_work(3, 5, 7, form="two launches"), "form is 'two launches'"),
    (lambda: half_step_work(3, 5, 7, n_steps=1.0), "n_steps is 1.0"), (lambda: measure_prices(budget=0), "budget is 0"), (lambda: seconds_of(print, budget=-1), "budget is -1"),
    (lambda: measured("nonsense"), "expected one of"),
], ids=["chains", "form", "steps", "budget", "time", "table"])
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_every_committed_table_is_read_with_its_date_and_machine():
    assert {"rbm_speed", "vq_speed"} <= set(names())
    for name in ("rbm_speed", "vq_speed"):
        table = measured(name)
        assert table.machine["date"] in table.on and table.machine["processor"] in table.on
        assert table.rows and all(len(row) == len(table.columns) for row in table.rows)


def test_exponents_are_written_out_and_a_gpu_is_noticed(tmp_path, monkeypatch):
    record = {"title": "t", "columns": ["a", "b"], "rows": [["1.14e+03 ms", 3]], "machine": {"date": "2026-01-01", "processor": "p", "torch": "2", "torch threads": "1", "device": "one CPU thread"}}
    (tmp_path / "one.json").write_text(json.dumps(record))
    (tmp_path / "two.json").write_text(json.dumps(record | {"machine": record["machine"] | {"date": "2026-01-02", "device": "G"}, "raw": {"a": 1}}))
    monkeypatch.setattr(measured_module, "RESULTS", tmp_path)
    assert measured("one").rows == [["1,140 ms", 3]] and measured("one").raw == {} and measured("two").raw == {"a": 1}
    assert on_a_gpu() == ["two"] and "2026-01-02 on G" in measured("two").on and "on p, 1 thread," in measured("one").on


def test_limits_are_named_in_the_order_of_a_cost():
    assert LIMITS == cost(Work("a", 1, 1), TEN)._fields
