"""Exercises of chapter 14, kernels, the last two: sums that all programs share, and many Gibbs steps in one launch."""
import torch

from ..tiles import jit, tl
from .engine import Exercise, Part, register
from .kernels import CHAPTER


def gathered(z, ids, n_codes, kernel, ROWS):
    """Tiles of ROWS vectors.  z (N, D), ids (N,) -> counts (K,), sums (K, D)."""
    counts, sums = torch.zeros(n_codes), torch.zeros(n_codes, z.shape[1])
    kernel[(-(-len(z) // ROWS),)](z, ids, counts, sums, len(z), D=z.shape[1], ROWS=ROWS)
    return counts, sums


def by_codes(kernel):
    return lambda z, ids, n_codes, ROWS: gathered(z, ids, n_codes, kernel, ROWS)


@jit
def _gather(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    k = tl.load(ids_ptr + i, mask=i < N, other=0)
    z = tl.load(z_ptr + i[:, None] * D + d[None, :], mask=i[:, None] < N, other=0.0)
    tl.atomic_add(counts_ptr + k, tl.full([ROWS], 1.0, tl.float32), mask=i < N)
    tl.atomic_add(sums_ptr + k[:, None] * D + d[None, :], z, mask=i[:, None] < N)


@jit
def _padded(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    k = tl.load(ids_ptr + i, mask=i < N, other=0)
    z = tl.load(z_ptr + i[:, None] * D + d[None, :], mask=i[:, None] < N, other=0.0)
    tl.atomic_add(counts_ptr + k, tl.full([ROWS], 1.0, tl.float32))
    tl.atomic_add(sums_ptr + k[:, None] * D + d[None, :], z)


@jit
def _stored(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    k = tl.load(ids_ptr + i, mask=i < N, other=0)
    z = tl.load(z_ptr + i[:, None] * D + d[None, :], mask=i[:, None] < N, other=0.0)
    tl.store(counts_ptr + k, tl.load(counts_ptr + k) + 1.0, mask=i < N)
    tl.store(sums_ptr + k[:, None] * D + d[None, :], z, mask=i[:, None] < N)


@jit
def _rows_of_codes(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    k = tl.load(ids_ptr + i, mask=i < N, other=0)
    z = tl.load(z_ptr + k[:, None] * D + d[None, :], mask=i[:, None] < N, other=0.0)
    tl.atomic_add(counts_ptr + k, tl.full([ROWS], 1.0, tl.float32), mask=i < N)
    tl.atomic_add(sums_ptr + k[:, None] * D + d[None, :], z, mask=i[:, None] < N)


def _votes(rng):
    def case(n, n_codes, rows):
        return torch.randint(-8, 9, (n, 4), generator=rng) / 8, torch.randint(0, n_codes, (n,), generator=rng, dtype=torch.int32), n_codes, rows
    return {"21 vectors in tiles of 8": case(21, 5, 8), "one code for all": case(13, 1, 4), "full tiles": case(16, 6, 4)}


shared_sums = register(Exercise(
    id="14.6", name="shared_sums", title="Counts and sums that all programs share", level="stretch", minutes=25, chapter=CHAPTER,
    success="nobody is counted twice, nobody is lost",
    hints=("*Nudge.* Two vectors of one code meet at one place of memory, perhaps from two programs. Reading, adding and storing loses one of them.",
           r"*Equation.* $n_k=\sum_i[k_i=k]$, $s_k=\sum_i[k_i=k]\,z_i$: for each vector *add* 1 at `counts_ptr + k` and $z_i$ at `sums_ptr + k * D + d`.",
           "*Pseudo-code.* load k and z with mask i < N; tl.atomic_add(counts_ptr + k, tl.full([ROWS], 1.0, tl.float32), mask=i < N); tl.atomic_add(sums_ptr + k[:, None] * D + d[None, :], z, mask=i[:, None] < N)."),
    parts=(Part(right=by_codes(_gather), inputs=_votes, misconceptions={
        "padding": (by_codes(_padded), "masked lanes carry an id of their own and are counted there: mask the addition, too"),
        "store": (by_codes(_stored), "two lanes of program"),
        "row of code": (by_codes(_rows_of_codes), "you load the vector number k; vector i is meant, and k says where it goes"),
    }),)))


def chains(v, W, b, c, seed, n_steps, kernel, ROWS):
    """n_steps of v -> h -> v for tiles of ROWS chains, one launch.  (N, V) -> (N, V)."""
    out = torch.full_like(v, torch.nan)
    kernel[(-(-len(v) // ROWS),)](v, W, b, c, out, len(v), seed, n_steps, V=W.shape[0], H=W.shape[1], ROWS=ROWS)
    return out


def by_chains(kernel):
    return lambda v, W, b, c, seed, n_steps, ROWS: chains(v, W, b, c, seed, n_steps, kernel, ROWS)


def _chain_kernel(*, seeds=lambda seed, t: (seed + 2 * t, seed + 2 * t + 1), stale=False, swapped=False, first_only=False):
    """The puzzle's kernel; the options are what goes wrong."""
    @jit
    def kernel(v_ptr, w_ptr, b_ptr, c_ptr, out_ptr, N, seed, n_steps, V: tl.constexpr, H: tl.constexpr, ROWS: tl.constexpr):
        i, k, j = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None], tl.arange(0, V)[None, :], tl.arange(0, H)[None, :]
        v = start = tl.load(v_ptr + i * V + k, mask=i < N, other=0.0)
        W = tl.load(w_ptr + tl.arange(0, V)[:, None] * H + j)
        b, c = tl.load(b_ptr + k), tl.load(c_ptr + j)
        for t in range(0, 1 if first_only else n_steps):
            up, down = seeds(seed, t)
            h = (tl.rand(up, i * H + j) < tl.sigmoid(tl.dot(start if stale else v, W) + c)).to(tl.float32)
            p = tl.sigmoid(tl.dot(h, W.T) + b)
            v = p if swapped else (tl.rand(down, i * V + k) < p).to(tl.float32)
        tl.store(out_ptr + i * V + k, v, mask=i < N)
    return by_chains(kernel)


def _machines(rng):
    def case(n, n_steps, rows):
        eighths = lambda *shape: torch.randint(-8, 9, shape, generator=rng) / 8
        return torch.randint(0, 2, (n, 16), generator=rng).float(), eighths(16, 8), eighths(16), eighths(8), int(torch.randint(1, 1000, (), generator=rng)), n_steps, rows
    return {"3 steps, tiles of 4": case(10, 3, 4), "1 step": case(5, 1, 8), "6 steps, one tile": case(7, 6, 8)}


many_steps = register(Exercise(
    id="14.7", name="many_steps", title="Project: many steps in one launch", level="project", minutes=40, chapter=CHAPTER,
    success="W was read once per program, the states never left the registers",
    hints=("*Nudge.* Load v, W, b and c before the loop; store v after it. Inside there are only tiles. Each half-step needs noise that no other half-step has used.",
           r"*Equation.* $h=[\,u(\text{seed}+2t,\,iH+j)<\sigma(vW+c)_{ij}]$, then $v=[\,u(\text{seed}+2t+1,\,iV+k)<\sigma(hW^\top+b)_{ik}]$.",
           "*Pseudo-code.* for t in range(0, n_steps): h = (tl.rand(seed + 2*t, i * H + j) < tl.sigmoid(tl.dot(v, W) + c)).to(tl.float32); v = (tl.rand(seed + 2*t + 1, i * V + k) < tl.sigmoid(tl.dot(h, W.T) + b)).to(tl.float32). i is a column of chains, j and k are rows."),
    parts=(Part(right=_chain_kernel(), inputs=_machines, axes=("N", "V"), misconceptions={
        "same noise": (_chain_kernel(seeds=lambda seed, t: (seed, seed + 1)), "every step uses the same uniform numbers: the key needs the step, seed + 2t and seed + 2t + 1"),
        "half the noise": (_chain_kernel(seeds=lambda seed, t: (seed + 2 * t, seed + 2 * t)), "both halves of a step use one seed, so units share their numbers: seed + 2t upwards, seed + 2t + 1 downwards"),
        "stale": (_chain_kernel(stale=True), "every step starts from the first v: use the v of the step before"),
        "means": (_chain_kernel(swapped=True), "you hand on probabilities; the states of the chain are drawn, 0 or 1"),
        "one step": (_chain_kernel(first_only=True), "you take one step, whatever n_steps says"),
    }),)))
