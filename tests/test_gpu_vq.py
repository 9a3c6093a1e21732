"""The Triton kernels of vector quantisation, softplus and the residual normal on a GPU, compiled: against their definitions there."""
import pytest
import torch

if not torch.cuda.is_available():
    pytest.skip("there is no NVIDIA GPU", allow_module_level=True)
pytest.importorskip("triton")
from torch.testing import assert_close

from deepgen_lib.kernels import code_totals, residual_normal_sample, sum_softplus, triton_code_totals, triton_nearest_code
from deepgen_lib.kernels.code_totals import code_totals_reference
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.nearest_code import nearest, nearest_code_reference
from deepgen_lib.kernels.residual_normal_sample import residual_normal_sample_reference
from deepgen_lib.kernels.softplus import sum_softplus_reference
from tests.test_nearest_code import CASES, inputs

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")
DTYPES = [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16], ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 3, 2), (300, 401, 12), (500, 512, 64), (130, 128, 65), (90, 70, 200)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_nearest_code_is_the_definitions(case, sizes, dtype, rng):
    if case == "huge" and dtype == torch.float16:
        return  # infinite in float16
    z, codes = (x.to(GPU) for x in inputs(case, *sizes, dtype, rng))
    assert torch.equal(nearest(z, codes), nearest_code_reference(z, codes))


def test_a_search_needs_no_matrix_of_scores(rng):
    z, codes = torch.randn(100_000, 64, generator=rng).to(GPU), torch.randn(4096, 64, generator=rng).to(GPU)
    nearest(z, codes)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    nearest(z, codes)
    assert torch.cuda.max_memory_allocated() - before < 40 * len(z)  # bytes; the scores would be 16,384 a vector


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_totals_are_exact_and_the_same_in_any_order(dtype, rng):
    z, ids = torch.randn(5000, 65, generator=rng).to(GPU, dtype), torch.randint(37, (5000,), generator=rng).to(GPU)
    counts, sums = code_totals(z, ids, 40)
    exact = code_totals_reference(z.double(), ids, 40)
    assert torch.equal(counts, exact.counts.to(dtype))
    assert_close(sums, exact.sums.to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-8)
    order = torch.randperm(5000, generator=rng).to(GPU)
    assert torch.equal(code_totals(z[order], ids[order], 40).sums, sums)


def test_search_and_totals_wait_for_nothing_and_can_be_recorded(rng):
    z, codes = torch.randn(700, 16, generator=rng).to(GPU), torch.randn(50, 16, generator=rng).to(GPU)

    def step():
        ids = triton_nearest_code.nearest_code(z, codes)
        return ids, *triton_code_totals.code_totals(z, ids, len(codes))
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ids, counts, sums = step()
    z.copy_(torch.randn(700, 16, generator=rng))
    graph.replay()
    assert torch.equal(ids, nearest_code_reference(z, codes))
    assert_close(sums, code_totals_reference(z, ids, len(codes)).sums, rtol=1e-5, atol=1e-5)


def both(function, reference, given, upstream):
    """What two functions give, and their gradients: in the numbers' own type and in float64."""
    found = []
    for f, inputs in ((function, given), (reference, [x.double() for x in given])):
        inputs = [x.detach().requires_grad_() for x in inputs]
        out = f(*inputs)
        out = [out] if isinstance(out, torch.Tensor) else list(out)
        found.append(out + list(torch.autograd.grad(out, inputs, [u.to(x.dtype) for u, x in zip(upstream, out)])))
    return zip(*found)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (7, 1025), (5, 100_000), (2, 3, 5), (0, 4), (4, 0)], ids=str)
def test_softplus_and_its_gradient_are_those_of_the_definition(shape, dtype, rng):
    x, upstream = (10 * torch.randn(shape, generator=rng)).to(GPU, dtype), torch.randn(shape[:-1], generator=rng).to(GPU, dtype)
    for got, want in both(sum_softplus, sum_softplus_reference, [x], [upstream]):
        assert_close(got.double(), want, rtol=4e-6 if dtype == torch.float32 else 2.0**-8, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7, 7), (0, 4), (100_003,)], ids=str)
def test_the_draw_and_its_gradients_are_those_of_the_definition(shape, dtype, rng):
    given = [(0.7 * torch.randn(shape, generator=rng)).to(GPU, dtype) for _ in range(4)]
    clock, upstream = new_clock(rng, GPU), [torch.randn(shape, generator=rng).to(GPU, dtype) for _ in range(2)]
    pairs = both(lambda *x: residual_normal_sample(*x, clock=clock), lambda *x: residual_normal_sample_reference(*x, clock=clock), given, upstream)
    for got, want in pairs:
        assert_close(got.double(), want, rtol=2e-5 if got.dtype == torch.float32 else 2.0**-8, atol=2e-5)
