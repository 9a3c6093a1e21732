"""In Triton's interpreter: the sum of softplus and the residual normal, forward and backward, against their definitions."""
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.testing import assert_close
from triton.runtime.errors import InterpreterError

from deepgen_lib import sum_softplus
from deepgen_lib.kernels import triton_residual_normal, triton_softplus
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.counter_normal import counter_normal_reference
from deepgen_lib.kernels.residual_normal_sample import residual_normal_sample, residual_normal_sample_reference
from deepgen_lib.kernels.softplus import sum_softplus_reference
from deepgen_lib.kernels.triton_counter import INTERPRETED
from tests.planted_kernels import planted, poisoned_memory

DTYPES = [torch.float32, torch.bfloat16]
ROUNDING = {torch.float32: dict(rtol=2e-6, atol=2e-6), torch.bfloat16: dict(rtol=2.0**-7, atol=1e-6)}  # the interpreter cuts bfloat16 off where a GPU rounds
MATRICES = [(1, 1), (3, 500), (7, 1025), (2, 3, 5), (1, 2100), (0, 4), (4, 0)]
SHAPES = [(), (1,), (3, 5), (2, 3, 7, 7), (0, 4), (1030,)]


def layouts(x):
    """The same numbers in memory of other strides."""
    yield x
    yield x.mT.contiguous().mT if x.ndim > 1 else x
    yield torch.stack([x, torch.full_like(x, torch.nan)], -1)[..., 0]


def softplus_error(function, x, upstream):
    """How far a function and its gradient are from the definition in float64, in units of what is allowed; above 1 is wrong."""
    with poisoned_memory():
        y = function(x.requires_grad_())
        gradient, = torch.autograd.grad(y, x, upstream)
    exact = x.detach().double().requires_grad_()
    want = sum_softplus_reference(exact)
    want_gradient, = torch.autograd.grad(want, exact, upstream.double())
    assert y.dtype == gradient.dtype == x.dtype and y.shape == want.shape
    return max(distance(y, want, x.dtype), distance(gradient, want_gradient, x.dtype))


def distance(got, want, dtype):
    if want.numel() == 0:
        return 0.0
    allowed = ROUNDING[dtype]["atol"] + ROUNDING[dtype]["rtol"] * want.abs()
    return ((got.double() - want).abs() / allowed).nan_to_num(torch.inf).max().item()


def test_the_interpreter_is_on():
    assert INTERPRETED


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_softplus_and_its_gradient_are_those_of_the_definition(shape, dtype, rng):
    for x in layouts((10 * torch.randn(shape, generator=rng)).to(dtype)):
        assert softplus_error(triton_softplus.sum_softplus_triton, x, torch.randn(shape[:-1], generator=rng).to(dtype)) < 1


def test_softplus_of_large_and_small_numbers_keeps_every_digit():
    x = torch.cat([torch.linspace(-80, 80, 321), torch.tensor([1000.0, -1000.0, -torch.inf])])[:, None]
    assert_close(triton_softplus.sum_softplus_triton(x).double(), sum_softplus_reference(x.double()), rtol=4e-7, atol=1e-37)
    assert triton_softplus.sum_softplus_triton(torch.tensor([[torch.nan, 1.0]])).isnan().all()
    assert triton_softplus.sum_softplus_backward(torch.ones(1), torch.tensor([[-1000.0, 0.0, 1000.0]])).tolist() == [[0.0, 0.5, 1.0]]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 20), st.integers(0, 70), st.sampled_from([2**5, 2**8, 2**12]), st.integers(0, 2**32 - 1))
def test_softplus_of_any_shape_with_any_tile(rows, columns, tile, seed):
    rng = torch.Generator().manual_seed(seed)
    x, upstream = 5 * torch.randn(rows, columns, generator=rng), torch.randn(rows, generator=rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton_softplus, "TILE", tile)
        patch.setattr(triton_softplus, "WIDTH", 16)
        assert softplus_error(triton_softplus.sum_softplus_triton, x, upstream) < 1


@pytest.mark.parametrize("right, wrong", [
    ('other=-float("inf"))', "other=0.0)"),                                             # each masked number would add log 2
    ("upstream[:, None] * logistic(x)", "logistic(x)"),                             # right for an upstream gradient of ones
    ("upstream[:, None] * logistic(x)", "upstream[:, None] * (1.0 - logistic(x))"),
    ("tl.store(y_ptr + rows, tl.sum(total, 1), mask=rows < n_rows)", "tl.store(y_ptr + rows, tl.sum(total, 1))"),
    ("mask=inside)\n\n\ndef _tile", "mask=inside & (rows < n_rows - 1)[:, None])\n\n\ndef _tile"),  # the last row is never written
    ("tl.maximum(x, 0.0) + 2.0 * s * series", "x + 2.0 * s * series"),
    ("total += _softplus", "total = _softplus"),
], ids=["tail", "upstream", "sigmoid", "store", "last row", "maximum", "sum"])
def test_a_wrong_softplus_is_seen(right, wrong, rng, tmp_path):
    module = planted("triton_softplus", right, wrong, tmp_path)
    try:
        assert softplus_error(module.sum_softplus_triton, 3 * torch.randn(5, 2100, generator=rng), torch.randn(5, generator=rng)) > 1
    except InterpreterError as outside:
        assert "outside its arguments" in str(outside)


def drawn(function, inputs, clock, upstream):
    """z, KL and the four gradients."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    draw = function(*inputs, clock)
    return [*draw, *torch.autograd.grad(list(draw), inputs, [u.to(d.dtype) for u, d in zip(upstream, draw)])]


def residual_error(function, inputs, clock, upstream):
    with poisoned_memory():
        got = drawn(function, inputs, clock, upstream)
    want = drawn(residual_normal_sample_reference, [x.double() for x in inputs], clock, [u.to(inputs[0].dtype).double() if n == 0 else u.double() for n, u in enumerate(upstream)])
    assert [x.dtype for x in got] == [inputs[0].dtype, torch.float32, *[inputs[0].dtype] * 4]
    return max(distance(g, w, g.dtype) for g, w in zip(got, want))


def residual_case(shape, rng, dtype=torch.float32):
    inputs = [0.7 * torch.randn(shape, generator=rng).to(dtype) for _ in range(4)]
    return inputs, new_clock(rng, torch.device("cpu")) + torch.tensor([0, 2**31 + 5]), [torch.randn(shape, generator=rng) for _ in range(2)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_draw_and_its_gradients_are_those_of_the_definition(shape, dtype, rng):
    inputs, clock, upstream = residual_case(shape, rng, dtype)
    for laid_out in zip(*(list(layouts(x)) for x in inputs)):
        assert residual_error(triton_residual_normal.residual_normal_triton, laid_out, clock, upstream) < 5


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 300), st.sampled_from([64, 1024]), st.integers(0, 2**32 - 1))
def test_the_draw_of_any_length_with_any_tile(n, block, seed):
    inputs, clock, upstream = residual_case((n,), torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton_residual_normal, "BLOCK", block)
        assert residual_error(triton_residual_normal.residual_normal_triton, inputs, clock, upstream) < 5


def test_the_kernels_noise_is_that_of_the_definition_and_a_beginning_of_a_longer_one(rng):
    clock = new_clock(rng, torch.device("cpu"))
    for n in (40_001, 9):
        zero = torch.zeros(n)
        z = triton_residual_normal.residual_normal_triton(zero, zero, zero, zero, clock)[0]
        assert_close(z, counter_normal_reference(clock, 40_001)[:n], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_kl_near_zero_keeps_its_digits(dtype):
    small = torch.logspace(-12, 0, 60).to(dtype)
    small = torch.cat([small, -small])
    kl = triton_residual_normal.residual_normal_triton(torch.zeros_like(small), torch.zeros_like(small), torch.zeros_like(small), small, torch.tensor([1, 2]))[1]
    t = 2 * small.double()
    exact = torch.where(t.abs() < 1e-3, t**2 / 2 + t**3 / 6 + t**4 / 24, torch.expm1(t) - t) / 2
    assert_close(kl.double(), exact, rtol=2e-6, atol=0)


@pytest.mark.parametrize("right, wrong", [
    ("shift * shift + _exp_above_line", "shift + _exp_above_line"),
    ("up_z * tl.exp(log_sigma + delta_log_sigma) * _noise", "up_z * tl.exp(log_sigma) * _noise"),
    ("by_scale - up_kl * shift * shift", "by_scale + up_kl * shift * shift"),
    ("up_z + up_kl * shift * precision", "up_kl * shift * precision"),
    ("+ 2.0 * delta_log_sigma  ", " "),
    ("by_scale = up_z * tl.exp(log_sigma + delta_log_sigma) * _noise(clock_ptr, first,", "by_scale = up_z * tl.exp(log_sigma + delta_log_sigma) * _noise(clock_ptr, first + 4,"),  # other noise than forward's
    ("return up_z, *residual_normal_backward", "return None, *residual_normal_backward"),
    ("tl.where(tl.abs(t) < 0.5, series, tl.exp(t) - 1.0 - t)", "series"),
], ids=["square", "scale", "sign", "mean", "growth", "noise", "prior", "series"])
def test_a_wrong_draw_is_seen(right, wrong, rng, tmp_path):
    inputs, clock, upstream = residual_case((200,), rng)
    inputs[3] = 2 * inputs[3]
    function = planted("triton_residual_normal", right, wrong, tmp_path).residual_normal_triton
    try:
        assert residual_error(function, inputs, clock, upstream) > 100
    except RuntimeError as missing:
        assert "not have been used" in str(missing)


def test_a_clock_that_moves_before_backward_is_an_error(rng):
    inputs, clock, upstream = residual_case((8,), rng)
    draw = residual_normal_sample(*(x.requires_grad_() for x in inputs), clock=clock)
    clock[1] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (draw.z * upstream[0]).sum().backward()


def test_the_public_functions_run_the_kernels(rng, monkeypatch):
    inputs, clock, _ = residual_case((2, 3), rng)
    x = torch.randn(3, 4, generator=rng)
    monkeypatch.setattr(triton_softplus, "sum_softplus_triton", lambda x: "softplus")
    monkeypatch.setattr(triton_residual_normal, "residual_normal_triton", lambda *given: ("z", "kl"))
    assert sum_softplus(x) == "softplus" and residual_normal_sample(*inputs, clock=clock) == ("z", "kl")
    monkeypatch.setenv("DEEPGEN_KERNELS", "torch")
    assert_close(sum_softplus(x), sum_softplus_reference(x))


def test_opcheck(rng):
    inputs, clock, upstream = residual_case((3, 4), rng)
    x = torch.randn(3, 4, generator=rng)
    torch.library.opcheck(triton_softplus.sum_softplus_triton, (x.clone().requires_grad_(),))
    torch.library.opcheck(triton_softplus.sum_softplus_backward, (torch.randn(3, generator=rng), x))
    torch.library.opcheck(triton_residual_normal.residual_normal_triton, (*(x.requires_grad_() for x in inputs), clock))
    torch.library.opcheck(triton_residual_normal.residual_normal_backward, (*(x.detach() for x in inputs[1:]), clock, *upstream))


def test_they_compile_whole(rng):
    """Under torch.compile the operators stay in one graph."""
    inputs, clock, _ = residual_case((3, 4), rng)
    inputs = [x.requires_grad_() for x in inputs]

    def loss(*inputs):
        draw = triton_residual_normal.residual_normal_triton(*inputs, clock)
        return triton_softplus.sum_softplus_triton(draw[0] * 2).sum() + draw[1].sum()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for got, want in zip(torch.autograd.grad(compiled(*inputs), inputs), torch.autograd.grad(loss(*inputs), inputs)):
        assert_close(got, want)
