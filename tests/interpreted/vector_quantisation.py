"""In Triton's interpreter: the nearest code and the totals of a batch against their definitions."""
import pytest
import torch
from hypothesis import given, settings, strategies as st
from triton.runtime.errors import InterpreterError

from deepgen_lib.codebook import Codebook, code_totals
from deepgen_lib.kernels import triton_code_totals, triton_nearest_code
from deepgen_lib.kernels.code_totals import code_totals_reference
from deepgen_lib.kernels.nearest_code import nearest, nearest_code_reference
from deepgen_lib.kernels.triton_counter import INTERPRETED, Tile
from tests.planted_kernels import planted, poisoned_memory
from tests.test_nearest_code import CASES, inputs, largest_in

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
pytestmark = [pytest.mark.filterwarnings("ignore:overflow encountered"), pytest.mark.filterwarnings("ignore:invalid value encountered"),
              pytest.mark.filterwarnings("ignore:All-NaN slice")]  # a GPU says nothing


def found(z, codes, module=triton_nearest_code, **tile):
    with poisoned_memory():
        return module.launch(z, codes, **tile)


def test_the_interpreter_is_on():
    assert INTERPRETED


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 3, 2), (41, 130, 12), (9, 20, 65)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_choice_is_the_definitions(case, sizes, dtype, rng):
    if case == "huge" and dtype == torch.float16:
        return  # infinite in float16
    z, codes = inputs(case, *sizes, dtype, rng)
    assert torch.equal(found(z, codes), nearest_code_reference(z, codes))


def test_no_vector_has_no_code(rng):
    assert found(torch.randn(0, 3), torch.randn(4, 3, generator=rng)).shape == (0,)


def test_strides_do_not_matter(rng):
    z, codes = torch.randn(12, 50, generator=rng), torch.randn(40, 24, generator=rng)
    for one, other in [(z.T, codes[:, ::2]), (torch.randn(20, 30, generator=rng)[::2, 3:15], codes.T[:, :12])]:
        assert torch.equal(found(one, other), nearest_code_reference(one, other))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 20), st.integers(1, 70), st.integers(1, 40), st.sampled_from([Tile(16, 16, 16), Tile(64, 32, 16), Tile(16, 128, 64)]), st.sampled_from(CASES), st.integers(0, 2**32 - 1))
def test_any_shape_with_any_tile(N, K, D, tile, case, seed):
    z, codes = inputs(case, N, K, D, torch.float32, torch.Generator().manual_seed(seed))
    assert torch.equal(found(z, codes, tile=tile), nearest_code_reference(z, codes))


@pytest.mark.parametrize("right, wrong, case", [
    ('mask=cols < K, other=float("inf"))', "mask=cols < K, other=0.0)", "slow: at the mean"),   # codes past the last one would have a score of 0
    ("distance = tl.where((cols < K)[None, :], distance, float(\"inf\"))", "distance = distance", "far vectors"),
    ("place = tl.where(distance < best,", "place = tl.where(distance <= best,", "three of each"),  # the last of equals
    ("second > best + margin", "second > best", "one code far away"),                               # what rounding says
    ("tl.where(cols[None, :] == here[:, None], float(\"inf\"), score)", "score", "slow: any vectors"),
    ("tl.maximum(best, least))", "second)", "runner-up in another tile"),                       # the second best of a tile alone
    ("tl.minimum(tl.minimum(second, others),", "tl.minimum(second,", "runner-up in the same tile"),
    ("for first in range(BK, D, BK):", "for first in range(BK, D - BK, BK):", "wide"),           # the last numbers of each vector are forgotten
    ("+ 2.3e-16 * reach * reach", "", "tiny codes"),
    ("tl.cumsum(close.to(tl.int32)) - 1", "tl.cumsum(close.to(tl.int32))", "duplicates"),
], ids=lambda value: value.replace(" ", "-") if len(value) < 20 else "")
def test_a_wrong_search_is_seen(right, wrong, case, rng, tmp_path):
    module = planted("triton_nearest_code", right, wrong, tmp_path)
    z, codes = hard(case, rng)
    want, tile = nearest_code_reference(z, codes), Tile(16, 32, 16)
    assert torch.equal(found(z, codes), want)
    if case.startswith("slow"):  # mistakes that the second launch mends: every row is settled
        assert listed(module, z, codes) == len(z) > 10 * listed(triton_nearest_code, z, codes)
        return
    try:
        wrong_ids = found(z, codes, module, tile=tile)
    except InterpreterError as outside:
        assert "outside its arguments" in str(outside)
    else:
        assert not torch.equal(wrong_ids, want)


def hard(case, rng):
    """Vectors and codes on which one mistake shows."""
    if case == "slow: at the mean":  # where all scores are positive
        codes = torch.randn(33, 3, generator=rng)
        return codes.mean(0).repeat(3, 1), codes
    if case == "three of each":  # 128 codes apart, so in one lane of the settling kernel
        return torch.randn(20, 3, generator=rng), torch.randn(128, 3, generator=rng).repeat(3, 1)
    if case == "far vectors":  # beyond the last code the settling kernel would see a code at the origin
        return torch.rand(20, 3, generator=rng) / 100, (1 + torch.rand(1, 3, generator=rng)).repeat(33, 1)
    if case.startswith("runner-up"):  # pairs of codes that float32's scores cannot tell apart; the second is the nearest
        codes, i = 10 + torch.rand(64, 3, generator=rng), torch.arange(32)
        first, second = (i, i + 32) if "another" in case else (2 * i, 2 * i + 1)
        codes[first] = codes[second] + 1e-6
        return codes[second], codes
    if case == "tiny codes":
        return 1e4 + torch.rand(50, 3, generator=rng), 1e-13 * torch.randn(40, 3, generator=rng)  # all alike to float64
    if case == "slow: any vectors":
        return torch.randn(200, 16, generator=rng), torch.randn(50, 16, generator=rng)
    if case == "wide":
        return inputs("plain", 40, 50, 40, torch.float32, rng)
    return inputs(case, 600, 100, 16, torch.float32, rng)


def listed(module, z, codes):
    """How many rows the search leaves to be settled."""
    seen = []
    settle = module.settle_kernel
    class Spy:
        def __getitem__(self, grid):
            return lambda *given, **constants: (seen.append(int(given[4])), settle[grid](*given, **constants))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "settle_kernel", Spy())
        module.launch(z, codes)
    return seen[0]


def test_the_public_path_runs_the_kernel_and_holds_no_matrix_of_scores(rng, monkeypatch):
    z, codes = torch.randn(512, 4, generator=rng), torch.randn(256, 4, generator=rng)
    assert largest_in(nearest, z, codes) <= 512 * 4
    monkeypatch.setattr(triton_nearest_code, "nearest_code", lambda z, codes: "kernel")
    assert nearest(z, codes) == "kernel"
    monkeypatch.setenv("DEEPGEN_KERNELS", "torch")
    assert torch.equal(nearest(z, codes), nearest_code_reference(z, codes))


def totals_error(module, z, ids, n_codes, **tile):
    """How far the sums are from the exact ones, next to float32's rounding of them; infinite where a count is wrong."""
    with poisoned_memory():
        counts, sums = module.launch(z, ids, n_codes, **tile)
    exact = code_totals_reference(z.double(), ids, n_codes)
    assert counts.dtype == sums.dtype == z.dtype and sums.shape == exact.sums.shape
    if not torch.equal(counts, exact.counts.to(z.dtype)):
        return float("inf")
    allowed = 2 * torch.finfo(z.dtype).eps * exact.sums.abs() + 1e-12 * z.double().abs().sum()
    return ((sums.double() - exact.sums).abs() / allowed.clamp(min=1e-300)).nan_to_num(torch.inf).max().item() if exact.sums.numel() else 0.0


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30, 0.0])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 3, 5), (1100, 65, 11), (0, 3, 4), (4, 0, 3)], ids=str)
def test_the_totals_are_exact(sizes, size, dtype, rng):
    N, D, K = sizes
    z, ids = (size * torch.randn(N, D, generator=rng)).to(dtype), torch.randint(K, (N,), generator=rng)
    for laid_out in (z, z.T.contiguous().T, torch.stack([z, z], 1)[:, 1]):
        assert totals_error(triton_code_totals, laid_out, ids, K) <= 1


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 20), st.sampled_from([(16, 16), (64, 8)]), st.integers(0, 2**32 - 1))
def test_totals_of_any_shape_do_not_change_with_the_tile_by_a_bit(N, D, K, tile, seed):
    rng = torch.Generator().manual_seed(seed)
    z, ids = torch.randn(N, D, generator=rng), torch.randint(K, (N,), generator=rng)
    assert totals_error(triton_code_totals, z, ids, K, tile=tile) <= 1
    order = torch.randperm(N, generator=rng)
    for a, b in zip(triton_code_totals.launch(z, ids, K), triton_code_totals.launch(z[order], ids[order], K, tile=tile)):
        assert torch.equal(a, b)


@pytest.mark.parametrize("right, wrong", [
    ("ids = tl.load(ids_ptr + rows, mask=rows < N, other=0)\n", "ids = tl.load(ids_ptr + rows, mask=rows < N, other=0)\n    inside = inside | True\n"),
    ("tl.atomic_add(counts_ptr + ids, 1, mask=rows < N,", "tl.atomic_add(counts_ptr + ids, 1, mask=rows >= 0,"),  # masked rows would count for code 0
    ("if tl.program_id(1) == 0:", "if True:"),
    ("62 - N.bit_length()", "62"),                                                                                 # the sum overflows
    ("62 - N.bit_length()", "24 - N.bit_length()"),
    ("ids[:, None] * D", "ids[:, None] * stride"),
], ids=["mask", "counts", "columns", "overflow", "grain", "stride"])
def test_wrong_totals_are_seen(right, wrong, rng, tmp_path):
    wide = 1 + torch.rand(50, 90, generator=rng)
    module = planted("triton_code_totals", right, wrong, tmp_path)
    try:
        assert totals_error(module, wide[:, :70], torch.randint(6, (50,), generator=rng), 8) > 1
    except InterpreterError as outside:
        assert "outside its arguments" in str(outside)


def test_a_codebook_learns_the_same_by_either_path(rng, monkeypatch):
    z, books = torch.randn(200, 5, generator=rng), [Codebook(7, 5, rng=torch.Generator().manual_seed(1)) for _ in range(2)]
    for book, path in zip(books, ("triton", "torch")):
        monkeypatch.setenv("DEEPGEN_KERNELS", path)
        for _ in range(2):
            book.update_statistics(z, book.nearest(z))
        assert code_totals(z, book.nearest(z), 7).counts.sum() == 200
    torch.testing.assert_close(books[0].codes, books[1].codes)


def test_opcheck(rng):
    z, codes = torch.randn(5, 3, generator=rng), torch.randn(4, 3, generator=rng)
    torch.library.opcheck(triton_nearest_code.nearest_code, (z, codes))
    torch.library.opcheck(triton_code_totals.code_totals, (z, torch.tensor([0, 1, 1, 3, 0]), 4))


def test_no_gradient_passes_and_the_step_compiles_whole(rng):
    z, codes = torch.randn(6, 3, generator=rng, requires_grad=True), torch.randn(4, 3, generator=rng)

    def step(z):
        ids = triton_nearest_code.nearest_code(z.detach(), codes)
        return ids, *triton_code_totals.code_totals(z.detach(), ids, 4)
    ids, counts, sums = torch.compile(step, fullgraph=True, backend="aot_eager")(z)
    assert not ids.requires_grad and torch.equal(ids, nearest_code_reference(z, codes)) and torch.equal(counts, ids.bincount(minlength=4).float())
