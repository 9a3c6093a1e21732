# %% [markdown]
# # Exercises 14 · Kernels
#
# Seven exercises for [chapter 14](../../notebooks/14_kernels.ipynb). The first is a calculation, the others are puzzles in Triton's language: complete the kernel; the function below it launches it, and the check calls that function. The kernels run on
# the course's own strict machine, so no GPU and no Triton is needed; where Triton is installed, the last cell runs what you wrote in its interpreter, too. Stuck? `hint("14.1")` gives a nudge, then an equation, then pseudo-code, one at each call; the third gives the answer away. `start_over("14.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 14.1 | A budget | core | 20 |
# | 14.2 | Log-sum-exp with a tail | core | 20 |
# | 14.3 | Its backward pass | core | 20 |
# | 14.4 | The most similar code | core | 25 |
# | 14.5 | Noise by counter | core | 25 |
# | 14.6 | Counts and sums that all programs share | stretch | 25 |
# | 14.7 | Project: many steps in one launch | project | 40 |
#
# A table of the words you may use:
#
# | | |
# |:--|:--|
# | which program am I, of how many | `tl.program_id(axis)`, `tl.num_programs(axis)` |
# | lanes 0 to BLOCK − 1 (a power of two) | `tl.arange(0, BLOCK)`; `[:, None]` makes a column of them, `[None, :]` a row |
# | a new tile | `tl.zeros([A, B], tl.float32)`, `tl.full([A], value, tl.float32)` |
# | from and to memory | `tl.load(x_ptr + places, mask=..., other=...)`, `tl.store(y_ptr + places, values, mask=...)`, `tl.atomic_add(...)` |
# | elementwise | `+`, `-`, `*`, `/`, `<`, `&`, `tl.exp`, `tl.log`, `tl.sigmoid`, `tl.maximum`, `tl.minimum`, `tl.where`, `.to(tl.float32)` |
# | along an axis | `tl.sum(x, 1)`, `tl.max`, `tl.min`, `tl.argmax`, `tl.argmin`; without an axis, of everything |
# | product of two tiles | `tl.dot(a, b)`, `a.T` |
# | noise | `tl.rand(seed, counters)` |

# %% tags=["label-setup"]
import torch
from deepgen_lib import checks, hint, start_over
from deepgen_lib.tiles import jit, tl

# %% [markdown]
# ## 14.1 A budget   (core, 20 minutes, about three lines each)
#
# The hidden half of an RBM's free energy, $y_i=\sum_j\mathrm{softplus}\big((vW+c)_{ij}\big)$, for `v` `(B, V)`, `W` `(V, H)`, `c` `(H,)`, all float32 (four bytes a number). Each launch reads every input once from memory and writes its result once.
# 1. `written(B, V, H)`: with torch, product, bias, softplus, sum, four operations one after the other. -> (launches, bytes, multiply-adds), of the product alone; the others count as none.
# 2. `fused(B, V, H)`: in one kernel that keeps everything in between to itself. -> the same three.
# 3. `limit(launches, n_bytes, multiply_adds, prices)`, `prices` being the seconds for one launch, one byte, one multiply-add: which of the three takes longest in all, `"launches"`, `"memory"` or `"arithmetic"`?

# %% nbgrader={"grade": false, "grade_id": "ex-14-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def written(B, V, H):
    """Four operations.  -> launches, bytes, multiply-adds."""
    ### BEGIN SOLUTION
    n_bytes = 4 * (B * V + V * H + B * H)                          # product
    n_bytes += 4 * (2 * B * H + H) + 4 * 2 * B * H + 4 * (B * H + B)   # bias, softplus, sum
    return 4, n_bytes, B * V * H
    ### END SOLUTION

def fused(B, V, H):
    """One kernel.  -> launches, bytes, multiply-adds."""
    ### BEGIN SOLUTION
    return 1, 4 * (B * V + V * H + H + B), B * V * H
    ### END SOLUTION

def limit(launches, n_bytes, multiply_adds, prices):
    """"launches", "memory" or "arithmetic"."""
    ### BEGIN SOLUTION
    names, counts = ("launches", "memory", "arithmetic"), (launches, n_bytes, multiply_adds)
    spent = [count * price for count, price in zip(counts, prices)]
    return names[spent.index(max(spent))]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-14-1", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.budget(written, fused, limit)
### BEGIN HIDDEN TESTS
checks.budget(written, fused, limit, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 14.2 Log-sum-exp with a tail   (core, 20 minutes, about four lines)
#
# $y_i=\log\sum_je^{x_{ij}}$, a program per row, the whole row in one tile: BLOCK is at least n_columns, and often more. It must survive numbers like 300, whose exponential is infinite in float32.

# %% nbgrader={"grade": false, "grade_id": "ex-14-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
@jit
def log_sum_exp_kernel(x_ptr, y_ptr, n_columns, BLOCK: tl.constexpr):
    ### BEGIN SOLUTION
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n_columns + j, mask=j < n_columns, other=-float("inf"))
    m = tl.max(x)
    tl.store(y_ptr + tl.program_id(0), m + tl.log(tl.sum(tl.exp(x - m))))
    ### END SOLUTION

def log_sum_exp(x, BLOCK):
    """(B, n) -> (B,).  The launch: nothing to do here."""
    y = torch.full((len(x),), torch.nan)
    log_sum_exp_kernel[(len(x),)](x, y, x.shape[1], BLOCK=BLOCK)
    return y

# %% nbgrader={"grade": true, "grade_id": "check-14-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.log_sum_exp(log_sum_exp)
### BEGIN HIDDEN TESTS
checks.log_sum_exp(log_sum_exp, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 14.3 Its backward pass   (core, 20 minutes, about four lines)
#
# Given x, the result y of the forward pass, and what comes from above, `up` $=\partial L/\partial y$ `(B,)`, write $\partial L/\partial x$ `(B, n)`. The grid has a program for every row and tile of columns: `tl.program_id(0)` is the row, `tl.program_id(1)` the tile. Here rows are longer than a tile.

# %% nbgrader={"grade": false, "grade_id": "ex-14-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
@jit
def backward_kernel(x_ptr, y_ptr, up_ptr, grad_ptr, n_columns, BLOCK: tl.constexpr):
    ### BEGIN SOLUTION
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n_columns + j, mask=j < n_columns, other=0.0)
    softmax = tl.exp(x - tl.load(y_ptr + row))
    tl.store(grad_ptr + row * n_columns + j, tl.load(up_ptr + row) * softmax, mask=j < n_columns)
    ### END SOLUTION

def backward(x, y, up, BLOCK):
    """(B, n), (B,), (B,) -> (B, n).  The launch: nothing to do here."""
    grad = torch.full_like(x, torch.nan)
    backward_kernel[(len(x), -(-x.shape[1] // BLOCK))](x, y, up, grad, x.shape[1], BLOCK=BLOCK)
    return grad

# %% nbgrader={"grade": true, "grade_id": "check-14-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.lse_backward(backward)
### BEGIN HIDDEN TESTS
checks.lse_backward(backward, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 14.4 The most similar code   (core, 25 minutes, about nine lines)
#
# For each vector the code with the largest product, $\arg\max_jz^\top e_j$; the lowest of equals. A program per vector, which walks over the K codes in tiles of CODES. (D is a power of two.)

# %% nbgrader={"grade": false, "grade_id": "ex-14-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
@jit
def similar_kernel(z_ptr, codes_ptr, ids_ptr, K, D: tl.constexpr, CODES: tl.constexpr):
    d = tl.arange(0, D)
    z = tl.load(z_ptr + tl.program_id(0) * D + d)
    ### BEGIN SOLUTION
    best, found = -float("inf"), 0
    for start in range(0, K, CODES):
        j = start + tl.arange(0, CODES)
        e = tl.load(codes_ptr + j[:, None] * D + d[None, :], mask=j[:, None] < K, other=0.0)
        score = tl.where(j < K, tl.sum(e * z[None, :], 1), -float("inf"))
        found = tl.where(tl.max(score, 0) > best, start + tl.argmax(score, 0), found)
        best = tl.maximum(tl.max(score, 0), best)
    tl.store(ids_ptr + tl.program_id(0), found)
    ### END SOLUTION

def similar(z, codes, CODES):
    """(N, D), (K, D) -> ids (N,).  The launch: nothing to do here."""
    ids = torch.full((len(z),), -1, dtype=torch.int32)
    similar_kernel[(len(z),)](z, codes, ids, len(codes), D=z.shape[1], CODES=CODES)
    return ids

# %% nbgrader={"grade": true, "grade_id": "check-14-4", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.most_similar(similar)
### BEGIN HIDDEN TESTS
checks.most_similar(similar, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 14.5 Noise by counter   (core, 25 minutes, about six lines)
#
# $h_{ij}=1$ where $u_{ij}<p_{ij}$, else 0, in tiles of ROWS × COLS. The noise: `tl.rand(seed, counter)` with the counter (chain's number) · H + (unit's number). Another tiling must give the same states. So must another device, which gets only some of the chains, the first of them having the number `first_chain`.

# %% nbgrader={"grade": false, "grade_id": "ex-14-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
@jit
def noise_kernel(p_ptr, h_ptr, B, H, seed, first_chain, ROWS: tl.constexpr, COLS: tl.constexpr):
    ### BEGIN SOLUTION
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.program_id(1) * COLS + tl.arange(0, COLS)[None, :]
    inside = (i < B) & (j < H)
    p = tl.load(p_ptr + i * H + j, mask=inside, other=0.0)
    u = tl.rand(seed, (first_chain + i) * H + j)
    tl.store(h_ptr + i * H + j, (u < p).to(tl.float32), mask=inside)
    ### END SOLUTION

def noise(p, seed, first_chain, ROWS, COLS):
    """p (B, H) -> h (B, H).  The launch: nothing to do here."""
    B, H = p.shape
    h = torch.full_like(p, torch.nan)
    noise_kernel[(-(-B // ROWS), -(-H // COLS))](p, h, B, H, seed, first_chain, ROWS=ROWS, COLS=COLS)
    return h

# %% nbgrader={"grade": true, "grade_id": "check-14-5", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.counter_noise(noise)
### BEGIN HIDDEN TESTS
checks.counter_noise(noise, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 14.6 Counts and sums that all programs share   (stretch, 25 minutes, about five lines)
#
# What the moving averages of chapter 9 need from a batch: how many vectors chose code $k$, and their sum. Each program has ROWS vectors, and several programs will meet at the same code. `counts` and `sums` arrive as zeros; `tl.atomic_add(pointers, values, mask=...)` adds to memory, one lane after the other.

# %% nbgrader={"grade": false, "grade_id": "ex-14-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
@jit
def gather_kernel(z_ptr, ids_ptr, counts_ptr, sums_ptr, N, D: tl.constexpr, ROWS: tl.constexpr):
    ### BEGIN SOLUTION
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    k = tl.load(ids_ptr + i, mask=i < N, other=0)
    z = tl.load(z_ptr + i[:, None] * D + d[None, :], mask=i[:, None] < N, other=0.0)
    tl.atomic_add(counts_ptr + k, tl.full([ROWS], 1.0, tl.float32), mask=i < N)
    tl.atomic_add(sums_ptr + k[:, None] * D + d[None, :], z, mask=i[:, None] < N)
    ### END SOLUTION

def gather(z, ids, n_codes, ROWS):
    """(N, D), (N,) -> counts (K,), sums (K, D).  The launch: nothing to do here."""
    counts, sums = torch.zeros(n_codes), torch.zeros(n_codes, z.shape[1])
    gather_kernel[(-(-len(z) // ROWS),)](z, ids, counts, sums, len(z), D=z.shape[1], ROWS=ROWS)
    return counts, sums

# %% nbgrader={"grade": true, "grade_id": "check-14-6", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.shared_sums(gather)
### BEGIN HIDDEN TESTS
checks.shared_sums(gather, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 14.7 Project: many steps in one launch   (project, 40 minutes, about ten lines)
#
# `n_steps` Gibbs steps $v\to h\to v$ in one launch: each program takes ROWS chains, reads W, b and c once, and writes v once, at the end. V and H are powers of two, so only chains need a mask. Step $t$ (from 0) uses `tl.rand(seed + 2 * t, i * H + j)` upwards and `tl.rand(seed + 2 * t + 1, i * V + k)` downwards, for chain $i$, hidden unit $j$,
# visible unit $k$; a unit is on where its number is *below* its probability.
#
# Then answer in three sentences: how many bytes of memory does a step cost now, and how many did it as two launches per step? What grows with the number of programs? Why may a GPU not do this for 784 × 500 in float32 (a multiprocessor of an H200 has 228 KB of fast memory), and what would you try?

# %% nbgrader={"grade": false, "grade_id": "ex-14-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
@jit
def chain_kernel(v_ptr, w_ptr, b_ptr, c_ptr, out_ptr, N, seed, n_steps,
                 V: tl.constexpr, H: tl.constexpr, ROWS: tl.constexpr):
    ### BEGIN SOLUTION
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j, k = tl.arange(0, H)[None, :], tl.arange(0, V)[None, :]
    v = tl.load(v_ptr + i * V + k, mask=i < N, other=0.0)
    W, b, c = tl.load(w_ptr + tl.arange(0, V)[:, None] * H + j), tl.load(b_ptr + k), tl.load(c_ptr + j)
    for t in range(0, n_steps):
        p = tl.sigmoid(tl.dot(v, W, input_precision="ieee") + c)
        h = (tl.rand(seed + 2 * t, i * H + j) < p).to(tl.float32)
        p = tl.sigmoid(tl.dot(h, W.T, input_precision="ieee") + b)
        v = (tl.rand(seed + 2 * t + 1, i * V + k) < p).to(tl.float32)
    tl.store(out_ptr + i * V + k, v, mask=i < N)
    ### END SOLUTION

def gibbs(v, W, b, c, seed, n_steps, ROWS):
    """(N, V) -> (N, V).  The launch: nothing to do here."""
    out = torch.full_like(v, torch.nan)
    V, H = W.shape
    chain_kernel[(-(-len(v) // ROWS),)](v, W, b, c, out, len(v), seed, n_steps, V=V, H=H, ROWS=ROWS)
    return out

# %% nbgrader={"grade": true, "grade_id": "check-14-7", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
checks.many_steps(gibbs)
### BEGIN HIDDEN TESTS
checks.many_steps(gibbs, seed=1)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-14-7", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your three sentences on 14.7
#
# 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions.
#
# | points | your text |
# |:--|:--|
# | 3 | all three questions are answered, the bytes as a formula in N, V and H or as numbers, and what to try follows from the size of W |
# | 2 | two are answered in full, or all three without counting bytes |
# | 1 | one is answered; or it is said that one launch is faster, without what is read less often |
# | 0 | nothing yet, or about something else |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-14-7", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Three sentences:*
#
# <!-- BEGIN SOLUTION -->
# A step costs no traffic now, since v, W, b and c come in and v goes out once per launch; as two launches every step read W twice and b, c, v and h once and wrote h and v, in float32 $4(2VH+V+H+2NV+2NH)$ bytes.
# W is read once by every program, so more programs mean more reads of W.
# 784 × 500 numbers in float32 are 1.57 MB, seven times the fast memory of one multiprocessor; bfloat16 halves it, and several multiprocessors that each hold a part of W, or one half-step per launch again, would do.
# <!-- END SOLUTION -->

# %% [markdown]
# ## In Triton's interpreter
#
# Your kernels, unchanged, in Triton itself, where it is installed. On another machine the cell says so and does nothing; your marks do not depend on it.

# %% tags=["label-triton", "nbval-ignore-output"]
from deepgen_lib.tiles import in_triton, record
rng = torch.Generator().manual_seed(0)
x, p, v = torch.randn(5, 21, generator=rng), torch.rand(10, 21, generator=rng), torch.ones(10, 16)
W, b, c = torch.randn(16, 16, generator=rng), torch.zeros(16), torch.zeros(16)
with record() as calls:
    backward(x, log_sum_exp(x, 32), torch.randn(5, generator=rng), 8)
    similar(W, x[:, :16].contiguous(), 4), noise(p, 1, 0, 4, 8), gibbs(v, W, b, c, 1, 3, 16)
    gather(W, torch.randint(0, 5, (16,), generator=rng, dtype=torch.int32), 5, 4)
in_triton(calls)
