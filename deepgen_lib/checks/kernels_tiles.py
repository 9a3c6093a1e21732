"""Exercises of chapter 14, kernels, second half: the most similar code, noise by counter, sums that all programs share, many steps in one launch."""
import torch

from ..tiles import jit, tl
from .engine import Exercise, Part, register
from .kernels import CHAPTER


def similar(z, codes, kernel, CODES):
    """A program per vector.  (N, D), (K, D) -> ids (N,)."""
    ids = torch.full((len(z),), -1, dtype=torch.int32)
    kernel[(len(z),)](z, codes, ids, len(codes), D=z.shape[1], CODES=CODES)
    return ids


def by_vectors(kernel):
    return lambda z, codes, CODES: similar(z, codes, kernel, CODES)


@jit
def _scores(z_ptr, e_ptr, start, K, FILL: tl.constexpr, D: tl.constexpr, CODES: tl.constexpr):
    """Products of my vector with the codes from start on; FILL where there is no code."""
    d, j = tl.arange(0, D), start + tl.arange(0, CODES)
    z = tl.load(z_ptr + tl.program_id(0) * D + d)
    e = tl.load(e_ptr + j[:, None] * D + d[None, :], mask=j[:, None] < K, other=0.0)
    return tl.where(j < K, tl.sum(e * z[None, :], 1), FILL)


@jit
def _similar(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    best, found = -float("inf"), 0
    for start in range(0, K, CODES):
        score = _scores(z_ptr, e_ptr, start, K, -float("inf"), D, CODES)
        found = tl.where(tl.max(score, 0) > best, start + tl.argmax(score, 0), found)
        best = tl.maximum(tl.max(score, 0), best)
    tl.store(ids_ptr + tl.program_id(0), found)


@jit
def _zero_fill(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    best, found = -float("inf"), 0
    for start in range(0, K, CODES):
        score = _scores(z_ptr, e_ptr, start, K, 0.0, D, CODES)
        found = tl.where(tl.max(score, 0) > best, start + tl.argmax(score, 0), found)
        best = tl.maximum(tl.max(score, 0), best)
    tl.store(ids_ptr + tl.program_id(0), found)


@jit
def _later_wins(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    best, found = -float("inf"), 0
    for start in range(0, K, CODES):
        score = _scores(z_ptr, e_ptr, start, K, -float("inf"), D, CODES)
        found = tl.where(tl.max(score, 0) >= best, start + tl.argmax(score, 0), found)
        best = tl.maximum(tl.max(score, 0), best)
    tl.store(ids_ptr + tl.program_id(0), found)


@jit
def _within_tile(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    best, found = -float("inf"), 0
    for start in range(0, K, CODES):
        score = _scores(z_ptr, e_ptr, start, K, -float("inf"), D, CODES)
        found = tl.where(tl.max(score, 0) > best, tl.argmax(score, 0), found)
        best = tl.maximum(tl.max(score, 0), best)
    tl.store(ids_ptr + tl.program_id(0), found)


@jit
def _last_tile(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    found = 0
    for start in range(0, K, CODES):
        found = start + tl.argmax(_scores(z_ptr, e_ptr, start, K, -float("inf"), D, CODES), 0)
    tl.store(ids_ptr + tl.program_id(0), found)


@jit
def _from_zero(z_ptr, e_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    best, found = 0.0, 0
    for start in range(0, K, CODES):
        score = _scores(z_ptr, e_ptr, start, K, -float("inf"), D, CODES)
        found = tl.where(tl.max(score, 0) > best, start + tl.argmax(score, 0), found)
        best = tl.maximum(tl.max(score, 0), best)
    tl.store(ids_ptr + tl.program_id(0), found)


def _books(rng):
    eighths = lambda *shape: torch.randint(-8, 9, shape, generator=rng) / 8
    away = eighths(6, 8).abs() + 1 / 8
    book = eighths(5, 8)
    return {"21 codes in tiles of 8": (eighths(12, 8), eighths(21, 8), 8), "all products negative": (away, -(eighths(13, 8).abs() + 1 / 8), 4),
            "each code three times": (eighths(9, 8), book.repeat(3, 1), 4)}


most_similar = register(Exercise(
    id="14.4", name="most_similar", title="The most similar code", level="core", minutes=25, chapter=CHAPTER,
    success="no id beyond the last code, and ties to the lowest",
    hints=("*Nudge.* Codes that do not exist must lose even when all others are negative. And of two equal ones, the first that came must stay.",
           r"*Equation.* $\arg\max_jz^\top e_j$; the neutral element of a maximum is $-\infty$. Between tiles: replace only if the new maximum is *greater* than the best so far.",
           "*Pseudo-code.* best = −∞, found = 0; for each tile: j = start + arange; score = tl.where(j < K, tl.sum(e * z[None, :], 1), −∞); found = tl.where(tl.max(score, 0) > best, start + tl.argmax(score, 0), found); best = tl.maximum(...); store found."),
    parts=(Part(right=by_vectors(_similar), inputs=_books, axes=("N",), misconceptions={
        "zero": (by_vectors(_zero_fill), "codes that do not exist score 0 and win where all products are negative: their score must be −∞"),
        "later": (by_vectors(_later_wins), "of equal codes you keep the last tile's: replace only where the new maximum is greater, not where it is equal"),
        "within": (by_vectors(_within_tile), "your ids are places within a tile: add the tile's start"),
        "last tile": (by_vectors(_last_tile), "you keep the last tile's winner: compare it with the best so far"),
        "from zero": (by_vectors(_from_zero), "the best so far begins at 0, which beats every negative product: begin at −∞"),
    }),)))


def noisy(p, seed, first_chain, kernel, ROWS, COLS):
    """Tiles of ROWS chains x COLS units.  p (B, H) -> states (B, H)."""
    B, H = p.shape
    h = torch.full_like(p, torch.nan)
    kernel[(-(-B // ROWS), -(-H // COLS))](p, h, B, H, seed, first_chain, ROWS=ROWS, COLS=COLS)
    return h


def by_tiles(kernel):
    return lambda p, seed, first_chain, ROWS, COLS: noisy(p, seed, first_chain, kernel, ROWS, COLS)


def _noise_kernel(counter, *, at_most: bool = False):
    """The puzzle's kernel with a counter of one's choice: counter(i, j, first_chain, B, H, ROWS, COLS) -> tile of int32."""
    @jit
    def kernel(p_ptr, h_ptr, B, H, seed, first_chain, ROWS: tl.constexpr, COLS: tl.constexpr):
        i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
        j = tl.program_id(1) * COLS + tl.arange(0, COLS)[None, :]
        inside = (i < B) & (j < H)
        p = tl.load(p_ptr + i * H + j, mask=inside, other=0.0)
        u = tl.rand(seed, counter(i, j, first_chain, B, H, ROWS, COLS))
        tl.store(h_ptr + i * H + j, (u > p if at_most else u < p).to(tl.float32), mask=inside)
    return by_tiles(kernel)


def _by_program(i, j, first_chain, B, H, ROWS, COLS):
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    return program * ROWS * COLS + (i % ROWS) * COLS + j % COLS


def _cuts(rng):
    p = torch.rand(10, 21, generator=rng)
    p[0, :3], p[1, :3] = 0.0, 1.0
    seed = int(torch.randint(1, 10_000, (), generator=rng))
    return {"tiles of 4 x 8": (p, seed, 0, 4, 8), "tiles of 16 x 4": (p, seed, 0, 16, 4), "one tile": (p, seed, 0, 16, 32), "the second device, from chain 6": (p[6:], seed, 6, 4, 8)}


counter_noise = register(Exercise(
    id="14.5", name="counter_noise", title="Noise by counter", level="core", minutes=25, chapter=CHAPTER,
    success="the same states for three tilings and on two devices",
    hints=("*Nudge.* Which numbers stay the same when the matrix is cut in another way, or when half of it is computed elsewhere?",
           r"*Equation.* $u_{ij}=\mathrm{rand}(\text{seed},\ (\text{first chain}+i)\,H+j)$; $h_{ij}=1$ where $u_{ij}<p_{ij}$.",
           "*Pseudo-code.* i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]; j likewise with axis 1 and [None, :]; inside = (i < B) & (j < H); u = tl.rand(seed, (first_chain + i) * H + j); store (u < p).to(tl.float32) where inside."),
    parts=(Part(right=_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: (first + i) * H + j), inputs=_cuts, axes=("B", "H"), misconceptions={
        "program": (_noise_kernel(_by_program), "your noise is keyed by program and lane: another tiling gives other states; key it by chain and unit"),
        "lane": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: (i % ROWS) * COLS + j % COLS), "every program draws the same numbers: the lane alone is no key"),
        "unit": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: 0 * i + j), "all chains share their numbers: the key must hold the chain, too"),
        "chain": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: first + i + 0 * j), "all units of a chain share one number: the key must hold the unit, too"),
        "device": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: i * H + j), "the second device counts its chains from 0 and repeats the first one's noise: add first_chain"),
        "sum": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: first + i + j), "chain + unit is the same for many pairs, which then share a number: use chain * H + unit"),
        "width": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: (first + i) * COLS + j), "you number the units by the tile's width: chains overlap, and tilings differ; the row of the matrix has H numbers"),
        "greater": (_noise_kernel(lambda i, j, first, B, H, ROWS, COLS: (first + i) * H + j, at_most=True), "u > p fires with probability 1 − p"),
    }),)))
