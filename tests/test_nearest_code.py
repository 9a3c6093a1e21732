"""The nearest code: the definition's choice for every kind of input, however the work is cut, and never N x K numbers at once."""
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from deepgen_lib import nearest_code
from deepgen_lib.kernels.nearest_code import nearest_code_reference

module = sys.modules["deepgen_lib.kernels.nearest_code"]  # the function hides its module in the package


def scores_alone(z, codes):
    """What rounding makes of it: the argmin of float32 scores."""
    return (codes.square().sum(1) / 2 - z @ codes.T).argmin(1)


def cdist_argmin(z, codes):
    return torch.cdist(z, codes).argmin(1)


def last_among_equals(z, codes):
    """The highest index wins ties."""
    return len(codes) - 1 - nearest_code_reference(z, codes.flip(0))


CASES = ["plain", "duplicates", "far from the origin", "tiny", "one code far away", "on a grid", "close codes", "all codes equal", "huge"]


def inputs(case, N, K, D, dtype, rng):
    """Vectors and codes of a kind that is hard for float32."""
    z, codes = torch.randn(N, D, generator=rng), torch.randn(K, D, generator=rng)
    if case == "duplicates":
        codes = codes[torch.randint(K, (K,), generator=rng)]
    if case == "far from the origin":
        z, codes = z + 1000, codes + 1000
    if case == "tiny":
        z, codes = 1e-22 * z, 1e-22 * codes
    if case == "one code far away":
        codes[K // 2] *= 1e5
    if case == "on a grid":
        z, codes = z.round(), codes.round()
    if case == "close codes":
        codes = codes[:1] + 1e-6 * codes
    if case == "all codes equal":
        codes = codes[:1].repeat(K, 1)
    if case == "huge":
        z, codes = 1e25 * z, 1e25 * codes
    return z.to(dtype), codes.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 3, 2), (41, 401, 12), (130, 128, 16)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_definition(case, sizes, dtype, rng):
    z, codes = inputs(case, *sizes, dtype, rng)
    assert torch.equal(nearest_code(z, codes), nearest_code_reference(z, codes))


@pytest.mark.parametrize("wrong, case", [(scores_alone, "far from the origin"), (scores_alone, "close codes"), (cdist_argmin, "far from the origin"), (last_among_equals, "duplicates"),
                                         (last_among_equals, "on a grid")])
def test_a_wrong_choice_is_seen(wrong, case, rng):
    z, codes = inputs(case, 130, 128, 16, torch.float32, rng)
    assert not torch.equal(wrong(z, codes), nearest_code_reference(z, codes))


@pytest.mark.parametrize("name, value", [("PIECE", 1), ("PIECE", 2**14), ("BLOCK", 1), ("BLOCK", 7), ("PAIRS", 1), ("PAIRS", 33)])
@pytest.mark.parametrize("case", ["plain", "duplicates", "on a grid"])
def test_the_cut_does_not_matter(case, name, value, rng, monkeypatch):
    z, codes = inputs(case, 150, 200, 12, torch.float32, rng)
    want = nearest_code_reference(z, codes)
    monkeypatch.setattr(module, name, value)
    assert torch.equal(nearest_code(z, codes), want)


def test_a_margin_of_zero_is_seen(rng, monkeypatch):
    """Without its margin the screen decides by rounded scores: the tests above would notice."""
    z, codes = inputs("one code far away", 2000, 128, 16, torch.float32, rng)
    want = nearest_code_reference(z, codes)
    monkeypatch.setattr(module._Screen, "margin", lambda self, lengths, norms: torch.zeros_like(lengths * norms))
    assert not torch.equal(nearest_code(z, codes), want)


def test_strides_do_not_matter(rng):
    z, codes = torch.randn(12, 50, generator=rng).T, torch.randn(40, 24, generator=rng)[:, ::2]
    assert torch.equal(nearest_code(z, codes), nearest_code_reference(z, codes))


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_coarser_matrix_products_change_nothing(precision, rng):
    z, codes = inputs("plain", 300, 512, 64, torch.float32, rng)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert torch.equal(nearest_code(z, codes), nearest_code_reference(z, codes))
    finally:
        torch.set_float32_matmul_precision(before)


def test_autocast_changes_nothing(rng):
    z, codes = inputs("plain", 300, 512, 64, torch.float32, rng)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_code(z, codes), nearest_code_reference(z, codes))


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation returns."""
    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **kwargs or {})
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


def largest_in(function, z, codes):
    with Largest() as seen:
        function(z, codes)
    return seen.numel


def test_memory_does_not_grow_with_n_times_k(rng):
    z, codes = torch.randn(8192, 8, generator=rng), torch.randn(1024, 8, generator=rng)
    assert largest_in(nearest_code, z, codes) <= module.PIECE < 8192 * 1024
    assert largest_in(scores_alone, z, codes) == 8192 * 1024  # what the test is for


def test_no_gradient_passes(rng):
    z, codes = torch.randn(5, 3, generator=rng, requires_grad=True), torch.randn(4, 3, generator=rng, requires_grad=True)
    ids = nearest_code(z, codes)
    assert ids.dtype == torch.int64 and not ids.requires_grad
