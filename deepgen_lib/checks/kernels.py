"""Exercises of chapter 14, kernels, first half: a budget; log-sum-exp with a tail; its backward pass.

An answer that is a kernel is handed in as the function that launches it: numbers go in, numbers come out, and the strict machine of `tiles` says what a GPU would not.
"""
import torch

from ..tiles import jit, tl
from .engine import Exercise, Part, register

CHAPTER = "14_kernels"


def rows(x, kernel, BLOCK):
    """One program per row.  (B, n) -> (B,)."""
    y = torch.full((len(x),), torch.nan)
    kernel[(len(x),)](x, y, x.shape[1], BLOCK=BLOCK)
    return y


def by_rows(kernel):
    return lambda x, BLOCK: rows(x, kernel, BLOCK)


def _written(B, V, H):
    return torch.tensor([4, 4 * (B * V + V * H + 6 * B * H + H + B), B * V * H], dtype=torch.float64)


def _fused(B, V, H):
    return torch.tensor([1, 4 * (B * V + V * H + H + B), B * V * H], dtype=torch.float64)


def _limit(launches, n_bytes, multiply_adds, prices):
    spent = {"launches": launches * prices[0], "memory": n_bytes * prices[1], "arithmetic": multiply_adds * prices[2]}
    return max(spent, key=spent.get)


def _sizes(rng):
    a, b, c = (int(n) for n in torch.randint(2, 50, (3,), generator=rng))
    return {"100 x 784 x 500": (100, 784, 500), "one row": (1, a, b), f"{a} x {b} x {c}": (a, b, c)}


def _bills(rng):
    gpu, cpu, slow = (3e-6, 2.1e-13, 2e-15), (1e-6, 4.3e-11, 2e-11), (1e-7, 1e-9, 1e-12)
    n = int(torch.randint(1, 9, (), generator=rng))
    return {"an update on a GPU": (4, 2_000_000 * n, 39_200_000 * n, gpu), "the same on a CPU": (4, 2_000_000 * n, 39_200_000 * n, cpu),
            "a sum of many numbers": (1, 80_000_000 * n, 0, gpu), "a slow memory": (4, 200_000 * n, 39_200_000, slow)}


def _change(right, **parts):
    """The right bill with an entry changed: launches, bytes or products as a function of (B, V, H)."""
    def wrong(B, V, H):
        bill = right(B, V, H)
        for name, change in parts.items():
            bill[("launches", "bytes", "products").index(name)] = change(B, V, H)
        return bill
    return wrong


budget = register(Exercise(
    id="14.1", name="budget", title="A budget", level="core", minutes=20, chapter=CHAPTER,
    success="four launches or one, and the limit follows from the prices",
    hints=("*Nudge.* Go through the four operations one at a time: what does each read, what does each write? A number that one writes, the next one reads.",
           r"*Equation.* Product: reads $BV+VH$, writes $BH$. Bias: reads $BH+H$, writes $BH$. Softplus: $BH$ and $BH$. Sum: $BH$ and $B$. Four bytes each. In one kernel only $v$, $W$, $c$ and $y$ touch memory.",
           "*Pseudo-code.* written: 4, 4 * (B*V + V*H + 6*B*H + H + B), B*V*H; fused: 1, 4 * (B*V + V*H + H + B), B*V*H; limit: the largest of launches * prices[0], n_bytes * prices[1], multiply_adds * prices[2]."),
    parts=(
        Part(name="written", right=_written, inputs=_sizes, misconceptions={
            "numbers": (_change(_written, bytes=lambda B, V, H: B * V + V * H + 6 * B * H + H + B), "you count numbers, not bytes: a float32 has four"),
            "in and out": (_change(_written, bytes=lambda B, V, H: 4 * (B * V + V * H + H + B)), "that is what goes in and comes out of the whole; written out, each operation also writes its result and the next one reads it"),
            "written once": (_change(_written, bytes=lambda B, V, H: 4 * (B * V + V * H + 3 * B * H + H + B)), "you count each intermediate matrix once; it is written by one operation and read by the next"),
            "flops": (_change(_written, products=lambda B, V, H: 2 * B * V * H), "these are operations; a multiplication with its addition counts once here"),
            "one launch": (_change(_written, launches=lambda B, V, H: 1), "torch starts each operation by itself: product, bias, softplus, sum"),
        }),
        Part(name="fused", right=_fused, inputs=_sizes, misconceptions={
            "keeps x": (_change(_fused, bytes=lambda B, V, H: 4 * (B * V + V * H + H + B + B * H)), "you still write x = vW + c to memory; fused, it never leaves the registers"),
            "per chain": (_change(_fused, bytes=lambda B, V, H: 4 * (B * V + B * V * H + H + B)), "you read W once per row; in the best case, the one asked for, every input is read once"),
            "less arithmetic": (_change(_fused, products=lambda B, V, H: V * H), "fusing saves launches and bytes, no multiply-adds"),
            "four": (_change(_fused, launches=lambda B, V, H: 4), "one kernel is one launch"),
        }),
        Part(name="limit", right=_limit, inputs=_bills, misconceptions={
            "arithmetic": (lambda a, b, c, p: "arithmetic", "multiply-adds are not always the limit: multiply each count by its price"),
            "counts": (lambda a, b, c, p: "launches" if a > max(b, c) else "memory" if b >= c else "arithmetic", "you compare the counts; compare what they cost, count times price"),
            "prices": (lambda a, b, c, p: ("launches", "memory", "arithmetic")[max(range(3), key=lambda k: p[k])], "you compare the prices alone; one dear launch can be cheaper than many cheap bytes"),
        }),
    )))


@jit
def _log_sum_exp(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n + j, mask=j < n, other=-float("inf"))
    top = tl.max(x)
    tl.store(y_ptr + tl.program_id(0), top + tl.log(tl.sum(tl.exp(x - top))))


@jit
def _zeros_in(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n + j, mask=j < n, other=0.0)
    top = tl.max(x)
    tl.store(y_ptr + tl.program_id(0), top + tl.log(tl.sum(tl.exp(x - top))))


@jit
def _no_other(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n + j, mask=j < n)
    top = tl.max(x)
    tl.store(y_ptr + tl.program_id(0), top + tl.log(tl.sum(tl.exp(x - top))))


@jit
def _no_mask(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    x = tl.load(x_ptr + tl.program_id(0) * n + tl.arange(0, BLOCK))
    top = tl.max(x)
    tl.store(y_ptr + tl.program_id(0), top + tl.log(tl.sum(tl.exp(x - top))))


@jit
def _naive(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n + j, mask=j < n, other=-float("inf"))
    tl.store(y_ptr + tl.program_id(0), tl.log(tl.sum(tl.exp(x))))


@jit
def _top_lost(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n + j, mask=j < n, other=-float("inf"))
    tl.store(y_ptr + tl.program_id(0), tl.log(tl.sum(tl.exp(x - tl.max(x)))))


def _tables(rng):
    return {"21 columns, tile of 32": (3 * torch.randn(5, 21, generator=rng), 32), "all negative": (-20 - torch.rand(4, 9, generator=rng), 16),
            "large numbers": (300 * torch.randn(3, 11, generator=rng), 16), "a full tile": (torch.randn(2, 8, generator=rng), 8)}


log_sum_exp = register(Exercise(
    id="14.2", name="log_sum_exp", title="Log-sum-exp with a tail", level="core", minutes=20, chapter=CHAPTER,
    success="right for odd rows, negative rows and large numbers",
    hints=("*Nudge.* Ask twice what a masked lane does: to the maximum, and to the sum of exponentials. Which number disturbs neither?",
           r"*Equation.* $y=m+\log\sum_je^{x_j-m}$ with $m=\max_jx_j$; $e^{-\infty}=0$ and $\max(m,-\infty)=m$.",
           "*Pseudo-code.* j = tl.arange(0, BLOCK); load x at x_ptr + tl.program_id(0) * n_columns + j where j < n_columns, other −∞; m = tl.max(x); store m + tl.log(tl.sum(tl.exp(x - m))) at y_ptr + tl.program_id(0)."),
    parts=(Part(right=by_rows(_log_sum_exp), inputs=_tables, axes=("rows",), rtol=1e-5, atol=1e-5, misconceptions={
        "zero": (by_rows(_zeros_in), "masked lanes hold 0, and each adds exp(0 − m): the neutral element is −∞"),
        "garbage": (by_rows(_no_other), "either masked lanes hold garbage, here NaN, because no `other` says what they hold; or a number was never stored"),
        "no mask": (by_rows(_no_mask), "mask the lanes beyond the end"),
        "naive": (by_rows(_naive), "exp of a large number is infinite: take the row's maximum off first and add it at the end"),
        "no maximum": (by_rows(_top_lost), "you took the maximum off and did not add it again"),
    }),)))


def columns(x, y, up, kernel, BLOCK):
    """A program per row and tile of columns.  (B, n), (B,), (B,) -> (B, n)."""
    grad = torch.full_like(x, torch.nan)
    kernel[(len(x), -(-x.shape[1] // BLOCK))](x, y, up, grad, x.shape[1], BLOCK=BLOCK)
    return grad


def by_columns(kernel):
    return lambda x, y, up, BLOCK: columns(x, y, up, kernel, BLOCK)


@jit
def _backward(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=0.0)
    tl.store(grad_ptr + row * n + j, tl.load(up_ptr + row) * tl.exp(x - tl.load(y_ptr + row)), mask=j < n)


@jit
def _from_above(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=0.0)
    tl.store(grad_ptr + row * n + j, tl.exp(x - tl.load(y_ptr + row)), mask=j < n)


@jit
def _first_tile(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=0.0)
    tl.store(grad_ptr + row * n + j, tl.load(up_ptr + row) * tl.exp(x - tl.load(y_ptr + row)), mask=j < n)


@jit
def _open_store(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=0.0)
    tl.store(grad_ptr + row * n + j, tl.load(up_ptr + row) * tl.exp(x - tl.load(y_ptr + row)))


@jit
def _no_softmax(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=0.0)
    tl.store(grad_ptr + row * n + j, tl.load(up_ptr + row) * tl.exp(x), mask=j < n)


def _upstreams(rng):
    def case(n_rows, n, block):
        x = 2 * torch.randn(n_rows, n, generator=rng)
        return x, x.logsumexp(1), torch.randn(n_rows, generator=rng), block
    return {"21 columns in tiles of 8": case(4, 21, 8), "one tile": case(3, 5, 8), "full tiles": case(2, 16, 8)}


lse_backward = register(Exercise(
    id="14.3", name="lse_backward", title="Its backward pass", level="core", minutes=20, chapter=CHAPTER,
    success="softmax, recomputed from x and y, times what comes from above",
    hints=("*Nudge.* The gradient of log-sum-exp is softmax, and y, which the forward pass kept, is just what softmax divides by. Each row has one number from above.",
           r"*Equation.* $\partial L/\partial x_{ij}=\bar y_i\,e^{x_{ij}-y_i}$.",
           "*Pseudo-code.* row = tl.program_id(0); j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK); load x (masked), y and up of the row; store up * tl.exp(x - y) at grad_ptr + row * n_columns + j where j < n_columns."),
    parts=(Part(right=by_columns(_backward), inputs=_upstreams, axes=("rows", "columns"), rtol=1e-5, atol=1e-6, misconceptions={
        "forgetful": (by_columns(_from_above), "you forget the gradient from above: multiply by up of the row. (With a loss of y.sum() nobody would notice.)"),
        "one tile": (by_columns(_first_tile), "give each number one program"),
        "no mask": (by_columns(_open_store), "mask the lanes beyond the end"),
        "exponential": (by_columns(_no_softmax), "exp(x) alone is no softmax: subtract the row's y first"),
    }),)))
