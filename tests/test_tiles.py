"""The machine of tile programs: it computes what a kernel says, counts what it moves, and stops where a GPU would silently go wrong."""
import importlib.util
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.tiles import Kernel, OutOfBounds, Race, has_triton, in_triton, jit, record, tl

needs_triton = pytest.mark.skipif(not has_triton(), reason="Triton has no wheel for this system")


@jit
def double(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, 2 * tl.load(x_ptr + i, mask=i < n, other=0.0), mask=i < n)


@jit
def place(out_ptr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(out_ptr + i, 10 * tl.program_id(0) + tl.program_id(1))


@jit
def half(x):
    return x / 2


@jit
def halves(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(y_ptr + i, half(tl.load(x_ptr + i, mask=i < n)), mask=i < n)


@jit
def product(a_ptr, b_ptr, c_ptr, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    m, k, n = tl.arange(0, M)[:, None], tl.arange(0, K), tl.arange(0, N)[None, :]
    tl.store(c_ptr + m * N + n, tl.dot(tl.load(a_ptr + m * K + k[None, :]), tl.load(b_ptr + k[:, None] * N + n), input_precision="ieee"))


@jit
def draws(u_ptr, seed, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(u_ptr + i, tl.rand(seed, i), mask=i < n)


@jit
def pick(x_ptr, low_ptr, high_ptr, R: tl.constexpr, C: tl.constexpr):
    r = tl.arange(0, R)
    x = tl.load(x_ptr + r[:, None] * C + tl.arange(0, C)[None, :])
    tl.store(low_ptr + r, tl.argmin(x, 1))
    tl.store(high_ptr + r, tl.argmax(x, 1))


@jit
def count(ids_ptr, counts_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(counts_ptr + tl.load(ids_ptr + i, mask=i < n, other=0), tl.full([BLOCK], 1.0, tl.float32), mask=i < n)


def nan(*shape: int) -> torch.Tensor:
    return torch.full(shape, torch.nan)


@pytest.mark.parametrize("n, block", [(13, 4), (1, 1), (16, 8), (5, 64)])
def test_a_kernel_computes_and_its_traffic_leaves_masked_lanes_out(n, block):
    x, y = torch.randn(n), nan(n)
    traffic = double[(-(-n // block),)](x, y, n, BLOCK=block)
    assert_close(y, 2 * x)
    assert (traffic.programs, traffic.loaded, traffic.stored, traffic.bytes) == (-(-n // block), 4 * n, 4 * n, 8 * n)


def test_a_missing_program_leaves_its_numbers_unwritten():
    y = nan(13)
    double[(3,)](torch.ones(13), y, 13, BLOCK=4)
    assert y.isnan().tolist() == 12 * [False] + [True]


def test_programs_know_their_place_in_a_grid_of_two_axes():
    out = nan(6)
    place[(2, 3)](out, BLOCK=1)
    assert out.tolist() == [0, 1, 2, 10, 11, 12]


def test_programs_run_in_no_order():
    order = []

    @jit
    def note(x_ptr):
        order.append(int(tl.program_id(0)))
    note[(20,)](torch.zeros(1))
    assert sorted(order) == list(range(20)) != order


def test_a_kernel_may_call_another_and_keeps_its_text():
    x, y = torch.randn(5), nan(5)
    halves[(1,)](x, y, 5, BLOCK=8)
    assert_close(y, x / 2)
    assert halves.source.count("@jit") == 2 and halves.source.index("def half(") < halves.source.index("def halves(")


def test_strided_memory_is_read_as_it_lies():
    x, y = torch.arange(12.0).view(3, 4)[:, 1], nan(12)
    double[(3,)](x, y, 9, BLOCK=4)  # 1 + 2 * 4 numbers lie from the first to the last
    assert y[:9].tolist() == [2.0 * v for v in range(1, 10)]


def test_a_product_is_exact_and_counted():
    a, b, c = torch.randn(4, 8), torch.randn(8, 2), nan(4, 2)
    traffic = product[(1,)](a, b, c, M=4, K=8, N=2)
    assert_close(c, a @ b)
    assert traffic.multiply_adds == 64 and traffic.loaded == 4 * (32 + 16)


@pytest.mark.parametrize("kernel, grid, arguments, error, words", [
    (lambda x_ptr, y_ptr: tl.store(y_ptr + tl.arange(0, 4), tl.load(x_ptr + tl.arange(0, 4))), (1,), (3, 4), OutOfBounds, r"program 0 reads x_ptr\[3\], but x_ptr has 3"),
    (lambda x_ptr, y_ptr: tl.store(y_ptr + tl.arange(0, 4), tl.load(x_ptr + tl.arange(0, 4))), (1,), (4, 2), OutOfBounds, r"writes y_ptr\[2\]"),
    (lambda x_ptr, y_ptr: tl.load(x_ptr - 1), (1,), (4, 4), OutOfBounds, r"reads x_ptr\[-1\]"),
    (lambda x_ptr, y_ptr: tl.atomic_add(y_ptr + 9, 1.0), (1,), (4, 4), OutOfBounds, r"adds to y_ptr\[9\]"),
    (lambda x_ptr, y_ptr: tl.store(y_ptr, 1.0), (2,), (4, 4), Race, "both write y_ptr"),
    (lambda x_ptr, y_ptr: tl.store(y_ptr + tl.arange(0, 2) * 0, tl.arange(0, 2)), (1,), (4, 4), Race, "two lanes"),
    (lambda x_ptr, y_ptr: tl.store(y_ptr + tl.program_id(0), tl.load(y_ptr + 1 - tl.program_id(0))), (2,), (4, 4), Race, "another program of the same launch writes"),
    (lambda x_ptr, y_ptr: tl.arange(0, 3), (1,), (4, 4), ValueError, "power of two"),
    (lambda x_ptr, y_ptr: tl.load(x_ptr + tl.arange(0, 2), mask=tl.arange(0, 4) < 3), (1,), (4, 4), ValueError, r"mask has shape \(4,\)"),
    (lambda x_ptr, y_ptr: tl.store(y_ptr + tl.arange(0, 2), tl.zeros([4], tl.float32)), (1,), (4, 4), ValueError, r"value has shape \(4,\)"),
    (lambda x_ptr, y_ptr: tl.load(x_ptr + tl.arange(0, 2), mask=tl.arange(0, 2)), (1,), (4, 4), TypeError, "the mask is"),
    (lambda x_ptr, y_ptr: tl.load(3), (1,), (4, 4), TypeError, "expected a pointer"),
    (lambda x_ptr, y_ptr: x_ptr + 0.5, (1,), (4, 4), TypeError, "whole numbers"),
    (lambda x_ptr, y_ptr: tl.rand(0, tl.zeros([2], tl.float32)), (1,), (4, 4), TypeError, "expected int32"),
], ids=["read", "write", "before", "add", "two programs", "two lanes", "read what is written", "size", "mask", "value", "mask type", "pointer", "half a place", "counter"])
def test_what_a_gpu_would_let_pass_is_refused(kernel, grid, arguments, error, words):
    x, y = (torch.zeros(n) for n in arguments)
    kernel.__name__ = "kernel"
    with pytest.raises(error, match=words):
        Kernel(kernel)[grid](x, y)


@pytest.mark.parametrize("launch, error, words", [
    (lambda: double[4], ValueError, "expected one to three whole numbers"),
    (lambda: double[(0,)], ValueError, "from 1 up"),
    (lambda: double[(10**6,)], ValueError, "at most"),
    (lambda: double(torch.zeros(1), torch.zeros(1), 1, BLOCK=1), TypeError, "launch it with double"),
    (lambda: double[(1,)](torch.zeros(1, device="meta"), torch.zeros(1), 1, BLOCK=1), ValueError, "expected the CPU"),
    (lambda: double[(1,)](torch.zeros(1), torch.zeros(1), BLOCK=1), TypeError, "missing a required argument"),
    (lambda: tl.program_id(0), RuntimeError, "inside a kernel only"),
], ids=["number", "none", "many", "call", "device", "argument", "outside"])
def test_a_wrong_launch_is_refused(launch, error, words):
    with pytest.raises(error, match=words):
        launch()


def test_a_launch_that_failed_leaves_the_machine_ready():
    with pytest.raises(OutOfBounds):
        double[(2,)](torch.zeros(3), torch.zeros(3), 8, BLOCK=4)
    assert tl.running == []


def test_a_masked_lane_without_other_holds_garbage():
    y = nan(4)

    @jit
    def careless(x_ptr, y_ptr):
        i = tl.arange(0, 4)
        tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < 3))
    careless[(1,)](torch.ones(4), y)
    assert y.isnan().tolist() == [False, False, False, True]


def test_additions_to_one_place_all_count():
    ids, counts = torch.randint(0, 3, (50,), dtype=torch.int32), torch.zeros(3)
    count[(7,)](ids, counts, 50, BLOCK=8)
    assert counts.tolist() == torch.bincount(ids, minlength=3).tolist()


def test_the_lowest_index_wins():
    low, high = torch.full((2,), -1, dtype=torch.int32), torch.full((2,), -1, dtype=torch.int32)
    pick[(1,)](torch.tensor([[3.0, 1, 3, 1], [0, 0, 0, 0]]), low, high, R=2, C=4)
    assert low.tolist() == [1, 0] and high.tolist() == [0, 0]


def test_the_noise_is_uniform_and_depends_on_no_tile():
    found = []
    for block in (64, 4096):
        u = nan(4096)
        draws[(4096 // block,)](u, 3, 4096, BLOCK=block)
        found.append(u)
    assert torch.equal(*found) and found[0].min() >= 0 and found[0].max() < 1
    counts = torch.histc(found[0], 64, 0, 1)
    assert 25 < ((counts - 64) ** 2 / 64).sum() < 115  # chi-square, 63 degrees of freedom
    other = nan(4096)
    draws[(1,)](other, 4, 4096, BLOCK=4096)
    assert abs(torch.corrcoef(torch.stack([found[0], other]))[0, 1]) < 0.06


def test_nothing_is_recorded_outside_and_copies_are_taken_inside():
    x, y = torch.ones(4), nan(4)
    with record() as calls:
        double[(1,)](x, y, 4, BLOCK=4)
    double[(1,)](y, x, 4, BLOCK=4)
    (call,) = calls
    assert call.before["y_ptr"].isnan().all() and call.after["y_ptr"].tolist() == 4 * [2.0] and call.before["x_ptr"].tolist() == 4 * [1.0]


def test_without_triton_the_verdict_says_so_in_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert repr(in_triton([])).startswith("Triton is not installed here") and "skipped" in repr(in_triton([]))


@needs_triton
def test_triton_computes_the_same_and_a_planted_difference_is_seen():
    """Every part of the language once: masks, products, noise, ties, additions, a kernel in a kernel."""
    with record() as calls:
        double[(4,)](torch.randn(13), nan(13), 13, BLOCK=4)
        halves[(1,)](torch.randn(5), nan(5), 5, BLOCK=8)
        place[(2, 3)](nan(6), BLOCK=1)
        product[(1,)](torch.randn(16, 16), torch.randn(16, 16), nan(16, 16), M=16, K=16, N=16)
        draws[(3,)](nan(300), 2**40 + 17, 300, BLOCK=128)
        pick[(1,)](torch.tensor([[3.0, 1, 3, 1], [0, 0, 0, 0]]), *(torch.zeros(2, dtype=torch.int32) for _ in range(2)), R=2, C=4)
        count[(7,)](torch.randint(0, 3, (50,), dtype=torch.int32), torch.zeros(3), 50, BLOCK=8)
    calls.append(calls[0]._replace(after=calls[0].after | {"y_ptr": calls[0].after["y_ptr"] + 0.5}))
    calls.append(calls[0]._replace(before=calls[0].before | {"BLOCK": 3}))
    verdicts = in_triton(calls)
    assert [v.error for v in verdicts[:-1]] == 8 * [""] and "power of 2" in verdicts[-1].error
    assert max(v.largest_difference for v in verdicts[:7]) < 1e-5 and verdicts[4].largest_difference == 0
    assert verdicts[7].largest_difference == pytest.approx(0.5)
    assert "double: largest difference 0\n" in repr(verdicts) and verdicts.version in repr(verdicts)


def test_importing_the_machine_loads_no_triton():
    code = "import sys, deepgen_lib.tiles; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
