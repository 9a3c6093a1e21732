"""The cases of kernel_speed for vector quantisation, softplus and residual normals: every way runs, and a wrong kernel is caught before it is timed."""
import sys
from pathlib import Path

import pytest
import torch

CPU = torch.device("cpu")


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    import kernel_cases_vq
    yield kernel_cases_vq
    for name in ("kernel_timing", "kernel_cases_vq"):
        sys.modules.pop(name, None)


def test_every_case_agrees_and_every_way_of_ours_runs(made):
    for case in made.cases(CPU, True):
        assert case.agrees() == "" and list(case.ways)[0] == "ours" and case.bytes > 0
        for name, make in case.ways.items():
            if name != "vector-quantize-pytorch":  # needs its package
                make()()


@pytest.mark.parametrize("name, kernel, wrong", [
    ("nearest_codes", "nearest", lambda right: lambda z, codes: (codes.square().sum(1) - z @ codes.T).argmin(1)),  # the half forgotten
    ("totals", "code_totals", lambda right: lambda z, ids, k: right(z, ids, k)._replace(counts=right(z[1:], ids[1:], k).counts)),
    ("totals", "code_totals", lambda right: lambda z, ids, k: right(z.bfloat16().float(), ids, k)),
    ("softplus", "sum_softplus", lambda right: lambda x: right(x) + 1e-2),
    ("softplus", "sum_softplus", lambda right: lambda x: right(x.detach()) + 0.9 * (right(x) - right(x).detach())),  # a wrong gradient alone
    ("draws", "residual_normal_sample", lambda right: lambda *x, clock: right(*x, clock=clock + 1)),
    ("draws", "residual_normal_sample", lambda right: lambda *x, clock: right(x[0].detach(), x[1], x[2] + 0.1 * (x[0] - x[0].detach()), x[3], clock=clock)),
])
def test_a_wrong_kernel_is_caught_by_its_own_case(made, monkeypatch, name, kernel, wrong):
    case = {"nearest_codes": lambda: made.nearest_codes(64, 16, CPU, True), "totals": lambda: made.totals(64, 16, CPU, True),
            "softplus": lambda: made.softplus_sums(8, 30, CPU, True, True), "draws": lambda: made.draws(100, CPU, True, True)}[name]
    assert case().agrees() == ""
    monkeypatch.setattr(made, kernel, wrong(getattr(made, kernel)))
    assert "differ" in case().agrees()
