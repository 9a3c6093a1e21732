"""Right answers of chapter 14, each written in another way than the check's own."""
import torch

from deepgen_lib.checks.kernels import columns, rows
from deepgen_lib.checks.kernels_many import chains, gathered
from deepgen_lib.checks.kernels_tiles import noisy, similar
from deepgen_lib.tiles import jit, tl


def written_a(B, V, H):
    return 4, 4 * (B * V + V * H + B * H) + 4 * (2 * B * H + H) + 4 * 2 * B * H + 4 * (B * H + B), B * V * H


def fused_a(B, V, H):
    return 1, sum(4 * n for n in (B * V, V * H, H, B)), B * V * H


def limit_a(launches, n_bytes, multiply_adds, prices):
    a, b, c = launches * prices[0], n_bytes * prices[1], multiply_adds * prices[2]
    return "launches" if a >= b and a >= c else "memory" if b >= c else "arithmetic"


def written_b(B, V, H):
    x = B * H
    return torch.tensor([4, 4 * (B * V + V * H + x + x + H + x + x + x + x + B), B * V * H])


def fused_b(B, V, H):
    return [1, 4 * (V * (B + H) + H + B), B * V * H]


def limit_b(launches, n_bytes, multiply_adds, prices):
    spent = [count * price for count, price in zip((launches, n_bytes, multiply_adds), prices)]
    return ["launches", "memory", "arithmetic"][spent.index(max(spent))]


@jit
def lse_where(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n + j, mask=j < n, other=0.0)
    top = tl.max(tl.where(j < n, x, -float("inf")))
    tl.store(y_ptr + tl.program_id(0), tl.log(tl.sum(tl.where(j < n, tl.exp(x - top), 0.0))) + top)


@jit
def lse_low(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=-1e30)
    m = tl.max(x, 0)
    y = m + tl.log(tl.sum(tl.exp(x - m), 0))
    tl.store(y_ptr + row, y)


@jit
def backward_pointers(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    place, inside = row * n + j, j < n
    softmax = tl.exp(tl.load(x_ptr + place, mask=inside) - tl.load(y_ptr + row))
    tl.store(grad_ptr + place, softmax * tl.load(up_ptr + row), mask=inside)


@jit
def backward_divided(x_ptr, y_ptr, up_ptr, grad_ptr, n, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + j, mask=j < n, other=0.0)
    y, up = tl.load(y_ptr + row), tl.load(up_ptr + row)
    tl.store(grad_ptr + row * n + j, up * (1.0 / tl.exp(y - x)), mask=j < n)


@jit
def similar_where(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    row, d, lanes = tl.program_id(0), tl.arange(0, D), tl.arange(0, CODES)
    z = tl.load(z_ptr + row * D + d)
    best, found = tl.full([1], -float("inf"), tl.float32), tl.zeros([1], tl.int32)
    for start in range(0, K, CODES):
        inside = start + lanes < K
        e = tl.load(e_ptr + (start + lanes)[:, None] * D + d[None, :], mask=inside[:, None], other=0.0)
        score = tl.where(inside, tl.sum(e * z[None, :], axis=1), -float("inf"))
        better = tl.max(score, 0) > best
        found = tl.where(better, start + tl.argmax(score, 0), found)
        best = tl.where(better, tl.max(score, 0), best)
    tl.store(ids_ptr + row + tl.arange(0, 1), found)


@jit
def similar_minus(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    d = tl.arange(0, D)
    z = tl.load(z_ptr + tl.program_id(0) * D + d)
    least, found = float("inf"), 0
    for start in range(0, K, CODES):
        j = start + tl.arange(0, CODES)
        e = tl.load(e_ptr + j[:, None] * D + d[None, :], mask=j[:, None] < K, other=0.0)
        cost = tl.where(j < K, -tl.sum(e * z[None, :], 1), float("inf"))
        found = tl.where(tl.min(cost, 0) < least, start + tl.argmin(cost, 0), found)
        least = tl.minimum(tl.min(cost, 0), least)
    tl.store(ids_ptr + tl.program_id(0), found)


@jit
def noise_place(p_ptr, h_ptr, B, H, seed, first_chain, ROWS: tl.constexpr, COLS: tl.constexpr):
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    j = (tl.program_id(1) * COLS + tl.arange(0, COLS))[None, :]
    place = i * H + j
    p = tl.load(p_ptr + place, mask=(i < B) & (j < H), other=0.5)
    tl.store(h_ptr + place, tl.where(tl.rand(seed, first_chain * H + place) < p, 1.0, 0.0), mask=(i < B) & (j < H))


@jit
def noise_not(p_ptr, h_ptr, B, H, seed, first_chain, ROWS: tl.constexpr, COLS: tl.constexpr):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.program_id(1) * COLS + tl.arange(0, COLS)[None, :]
    inside = (i < B) & (j < H)
    off = tl.rand(seed, (i + first_chain) * H + j) >= tl.load(p_ptr + i * H + j, mask=inside)
    tl.store(h_ptr + i * H + j, 1.0 - off.to(tl.float32), mask=inside)


@jit
def gather_ones(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    inside = i < N
    k = tl.load(ids_ptr + i, mask=inside, other=0)
    tl.atomic_add(counts_ptr + k, inside.to(tl.float32))
    tl.atomic_add(sums_ptr + k[:, None] * D + d[None, :], tl.load(z_ptr + i[:, None] * D + d[None, :], mask=inside[:, None], other=0.0))


@jit
def gather_loop(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    d = tl.arange(0, D)
    for lane in range(0, ROWS):
        i = tl.program_id(0) * ROWS + lane
        if i < N:
            k = tl.load(ids_ptr + i)
            tl.atomic_add(counts_ptr + k, 1.0)
            tl.atomic_add(sums_ptr + k * D + d, tl.load(z_ptr + i * D + d))


@jit
def chain_separate(v_ptr, w_ptr, b_ptr, c_ptr, out_ptr, N, seed, n_steps, V: tl.constexpr, H: tl.constexpr, ROWS: tl.constexpr):
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    j, k = tl.arange(0, H), tl.arange(0, V)
    v = tl.load(v_ptr + i * V + k[None, :], mask=i < N, other=0.0)
    W = tl.load(w_ptr + k[:, None] * H + j[None, :])
    for t in range(0, n_steps):
        p = tl.sigmoid(tl.dot(v, W, input_precision="ieee") + tl.load(c_ptr + j)[None, :])
        h = tl.where(tl.rand(seed + 2 * t, i * H + j[None, :]) < p, 1.0, 0.0)
        q = tl.sigmoid(tl.dot(h, W.T, input_precision="ieee") + tl.load(b_ptr + k)[None, :])
        v = tl.where(tl.rand(seed + 2 * t + 1, i * V + k[None, :]) < q, 1.0, 0.0)
    tl.store(out_ptr + i * V + k[None, :], v, mask=i < N)


@jit
def chain_counted(v_ptr, w_ptr, b_ptr, c_ptr, out_ptr, N, seed, n_steps, V: tl.constexpr, H: tl.constexpr, ROWS: tl.constexpr):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j, k = tl.arange(0, H)[None, :], tl.arange(0, V)[None, :]
    v = tl.load(v_ptr + i * V + k, mask=i < N, other=0.0)
    W, b, c = tl.load(w_ptr + tl.arange(0, V)[:, None] * H + j), tl.load(b_ptr + k), tl.load(c_ptr + j)
    for _ in range(n_steps):
        h = (tl.rand(seed, i * H + j) < tl.sigmoid(tl.dot(v, W) + c)).to(tl.float32)
        v = (tl.rand(seed + 1, i * V + k) < tl.sigmoid(tl.dot(h, W.T) + b)).to(tl.float32)
        seed += 2
    tl.store(out_ptr + i * V + k, v, mask=i < N)


RIGHT = {
    "14.1": [(written_a, fused_a, limit_a), (written_b, fused_b, limit_b)],
    "14.2": [lambda x, BLOCK: rows(x, lse_where, BLOCK),
             lambda x, BLOCK: rows(x, lse_low, BLOCK)],
    "14.3": [lambda x, y, up, BLOCK: columns(x, y, up, backward_pointers, BLOCK),
             lambda x, y, up, BLOCK: columns(x, y, up, backward_divided, BLOCK)],
    "14.4": [lambda z, codes, CODES: similar(z, codes, similar_where, CODES),
             lambda z, codes, CODES: similar(z, codes, similar_minus, CODES)],
    "14.5": [lambda p, seed, first_chain, ROWS, COLS: noisy(p, seed, first_chain, noise_place, ROWS, COLS),
             lambda p, seed, first_chain, ROWS, COLS: noisy(p, seed, first_chain, noise_not, ROWS, COLS)],
    "14.6": [lambda z, ids, n_codes, ROWS: gathered(z, ids, n_codes, gather_ones, ROWS),
             lambda z, ids, n_codes, ROWS: gathered(z, ids, n_codes, gather_loop, ROWS)],
    "14.7": [lambda v, W, b, c, seed, n_steps, ROWS: chains(v, W, b, c, seed, n_steps, chain_separate, ROWS),
             lambda v, W, b, c, seed, n_steps, ROWS: chains(v, W, b, c, seed, n_steps, chain_counted, ROWS)],
}
