# %% [markdown]
# # 14 · Kernels (elective)
#
# **What does a GPU spend its time on, and how do you give it less?**
#
# Training an RBM is a loop of a few operations. On a processor nearly all of its time is arithmetic. On a GPU, a budget will tell us, the same lines would spend nearly all of it *waiting to be started*, and much of the rest carrying numbers to memory and back. So one writes the
# operations anew, as few large *kernels* that carry little. You need no GPU for this chapter: the kernels are written in Triton's language, and a slow, strict machine of ours runs them, counts every byte, and objects where a GPU would silently go wrong.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | count launches, bytes and multiply-adds and say which of them binds; turn a definition into a kernel of tiles; choose masks and their neutral elements; draw random numbers that depend on no tile and no device |
# | **Time** | 60 minutes to read and predict, 175 for the exercises; all cells together run in less than a minute |
# | **In the lecture** | nothing: this chapter is about how the others are computed |
# | **You need** | the RBM's half-step and free energy ([chapter 2](02_rbm.ipynb)), nearest codes ([chapter 9](09_vqvae_losses.ipynb)) |
# | **Notation** | $B$ chains, $V$ visible, $H$ hidden units; $N$ vectors, $K$ codes, $D$ numbers each; a *launch* starts a kernel, a *program* is one of its copies, a *lane* one number of a program's tile |

# %% tags=["label-setup"]
import torch
from deepgen_lib import claim, explore, planted_error, plots, predict, predict_number, reveal
from deepgen_lib.tiles import jit, tl
torch.set_num_threads(1)

# %% [markdown]
# ## 14.1 Three prices
#
# Whatever a machine computes, it pays for three things: to *start* an operation, to *move* its bytes, to *multiply and add*. How far apart are the three?

# %% tags=["label-predict-launch"]
predict("14.a", "How many multiply-adds of a matrix product take as long as adding two numbers with torch?",
        ["about ten", "about a hundred", "thousands"])

# %% [markdown]
# Measure it, on your machine: one number plus one number (nothing but the start), a copy of 64 MiB (nothing but bytes), a product of two 512 × 512 matrices (little but arithmetic). Two seconds.

# %% tags=["label-prices", "nbval-ignore-output"]
from deepgen_lib.roofline import measure_prices
here = measure_prices()
print(f"a launch {1e6 * here.launch:.2f} µs, a byte {1e9 * here.byte:.4f} ns, "
      f"a multiply-add {1e9 * here.multiply_add:.4f} ns")
print(f"so {1e-9 / here.byte:.0f} GB/s, {1e-9 / here.multiply_add:.0f} billion multiply-adds per second")
plots.kernels.roofline([here], says="The roof of this machine, one core.")

# %% tags=["label-prices-claim"]
claim("14.1", here.launch / here.multiply_add, above=1000, says="multiply-adds that a launch costs, here")
claim("14.1", here.launch / here.byte, above=500, says="bytes that a launch costs, here")
reveal("14.a", 2, "An operation on few numbers is all start. Hence batches; and hence large kernels.")

# %% [markdown]
# The picture is called a *roofline*. To the right, work that multiplies much for each byte it moves: the flat roof is the processor's speed. To the left, work that moves much and multiplies little: the slope is the memory's speed. They meet at the
# *ridge*. Your numbers are yours; from here on the chapter uses two machines whose numbers do not change:
# - **one CPU core**, measured on 2026-11-23 as above (AMD EPYC, PyTorch 2.13.0): the machine that built this page;
# - **an H200**, a GPU of a data centre, from its maker's *data sheet* (NVIDIA H200, SXM): 4.8 TB/s; 989 TFLOP/s in bfloat16, without sparsity, a multiply-add being two. No data sheet prices a launch; we *assume* 3 µs, the order of what is published. Nothing of it was measured here.

# %% tags=["label-ridges"]
from deepgen_lib.roofline import BUILDER, FORMS, H200, half_step_work, seconds
for prices in (BUILDER, H200):
    print(f"{prices.what}: ridge at {prices.ridge:.2f} multiply-adds per byte; a launch costs")
    in_bytes, in_products = prices.launch / prices.byte, prices.launch / prices.multiply_add
    print(f"    {in_bytes:,.0f} bytes or {in_products:,.0f} multiply-adds")

# %% [markdown]
# **What to notice.** On the core a launch costs as much as 51,975 multiply-adds, on the GPU as much as 1,483,500,000. The GPU's arithmetic is ten thousand times faster, its launches are not faster at all. So what was cheap has become dear.
#
# ## 14.2 A budget
#
# Half a Gibbs step, $h_j=1$ where $u_j<\sigma(vW+c)_j$, written with torch is five operations: product, bias, sigmoid, uniform numbers, comparison. Each reads its inputs from memory and writes its result there. Count, for 100 chains and 784 × 500 weights:

# %% tags=["label-budget"]
works = half_step_work(100, 784, 500, number=4)
rows = {w.name: [f"{w.bytes:,}", f"{w.multiply_adds:,}"] for w in works}
plots.table(rows, columns=["bytes", "multiply-adds"])

# %% tags=["label-predict-limit"]
predict("14.b", "This half-step on the GPU: most of its time goes to",
        ["launches", "bytes", "multiply-adds"])

# %% [markdown]
# The model: each launch takes its price, plus the larger of the time for its bytes and the time for its multiply-adds (good hardware does both at once).

# %% tags=["label-budget-claims"]
def shares(prices, form=FORMS[0]):
    found = seconds(half_step_work(100, 784, 500, form=form, number=prices.number), prices)
    return sum(found.values()), {limit: s / sum(found.values()) for limit, s in found.items()}

(gpu, on_gpu), (cpu, on_cpu) = shares(H200), shares(BUILDER)
claim("14.2", on_gpu["launch"], above=0.9, says="share of the launches, GPU")
claim("14.2", on_cpu["arithmetic"], above=0.9, says="share of the arithmetic, CPU")
only_products = 100 * 784 * 500 * H200.multiply_add
planted_error("14.2", only_products / gpu, above=0.5, says="counting multiply-adds alone, on the GPU")
reveal("14.b", 0, f"{1e6 * gpu:.2f} µs in all; the multiply-adds alone need {1e6 * only_products:.2f}.")

# %% [markdown]
# Two cures. *Fuse*: one kernel computes the product and, before it writes anything, adds the bias, takes the sigmoid, draws and compares. *Stay*: while $W$ stands still, chains do not depend on each other, so one launch can do many steps.
#
# Five half-steps on the GPU are 25 launches as torch does them, five when fused, and one when the chains stay.

# %% tags=["label-predict-cures"]
predict_number("14.h", "By what factor do the two cures together shorten five half-steps on the GPU?")

# %% tags=["label-forms"]
on_h200 = {form: half_step_work(100, 784, 500, form=form, n_steps=5, number=2) for form in FORMS}
micros = {form: 1e6 * sum(seconds(w, H200).values()) for form, w in on_h200.items()}
display(plots.kernels.timeline(on_h200, H200, says="Five half-steps on the GPU, by the model."))
print(", ".join(f"{form}: {found:.1f} µs" for form, found in micros.items()))
first, *_, last = micros.values()
reveal("14.h", first / last, "One launch in place of 25; what is left is memory and arithmetic.", within=8)

# %% tags=["label-forms-cpu"]
on_core = {form: half_step_work(100, 784, 500, form=form, n_steps=5) for form in FORMS}
plots.kernels.timeline(on_core, BUILDER, says="The same on one CPU core, by the model.")

# %% [markdown]
# **What to notice.** By the model, the two cures take the GPU from 76.9 to 3.4 µs, and hardly change the core's time: it is bound by arithmetic, whatever the form. Code that is good on one machine tells little about another. (The last form is kinder than
# life: it assumes that each multiprocessor keeps all of $W$ at hand.)
#
# ### Move it yourself
# A 784 × 500 RBM; the points are what the half-steps reach, the roofs what they could.
# 1. Five launches, 5 steps. How many chains does the GPU need before launches are no longer the largest part?
# 2. The same for *one launch*. What binds then?
# 3. Is there a place where the CPU is bound by launches?

# %% tags=["label-explore"]
explore(plots.kernels.limits)

# %% [markdown]
# <details><summary>Answers</summary>
#
# 1. Ten thousand, and then it is memory; at a thousand, still launches.
# 2. At a thousand chains launches still lead, at ten thousand the arithmetic: the fused form moves so few bytes that memory never leads.
# 3. No. With a single chain it is mostly memory: all of $W$ is read for one row.
#
# </details>
#
# ## 14.3 Programs, lanes, masks
#
# A kernel is a function that many *programs* run at once. They share memory and nothing else; each finds out its number and works on its own *tile*, a block of numbers whose size is a power of two. Thirteen numbers, tiles of four:

# %% tags=["label-double"]
@jit
def double(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)     # the places of my lanes
    x = tl.load(x_ptr + i, mask=i < n, other=0.0)
    tl.store(y_ptr + i, 2 * x, mask=i < n)

# %% [markdown]
# `x_ptr` is the *place* where x begins; `x_ptr + i` are as many places as there are lanes. A launch says how many programs, in brackets, then the arguments. `BLOCK` must be known when the kernel is compiled: `tl.constexpr`.

# %% tags=["label-predict-programs"]
predict("14.c", "How many programs do 13 numbers need, and how many lanes of the last are idle?",
        ["3 programs, 1 lane", "4 programs, 3 lanes", "13 programs, none"])

# %% tags=["label-double-run"]
numbers = torch.arange(13.0)
doubled = torch.full((13,), torch.nan)                     # NaN: a number that nobody writes shows
cost = double[(4,)](numbers, doubled, 13, BLOCK=4)
claim("14.3", (doubled - 2 * numbers).abs().max(), below=1e-12, says="kernel against 2x")
print(cost)
reveal("14.c", 1)
plots.kernels.lanes(13, 4, other="0", says="Who owns which number; three lanes are masked.")

# %% [markdown]
# The machine counted 52 bytes in and 52 out: a masked lane moves nothing. What if the mask is forgotten, or a program?

# %% tags=["label-double-wrong"]
from deepgen_lib.tiles import OutOfBounds, Race
@jit
def unmasked(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, 2 * tl.load(x_ptr + i))
try:
    unmasked[(4,)](numbers, doubled, 13, BLOCK=4)
except OutOfBounds as error:
    print(error)

# %% tags=["label-double-wrong-grid"]
doubled = torch.full((13,), torch.nan)
double[(3,)](numbers, doubled, 13, BLOCK=4)
planted_error("14.3", doubled.isnan().sum(), below=1, says="three programs: numbers never written")
@jit
def crowd(x_ptr, y_ptr, BLOCK: tl.constexpr):
    tl.store(y_ptr, tl.sum(tl.load(x_ptr + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK))))
try:
    crowd[(3,)](numbers, doubled, BLOCK=4)
except Race as error:
    print(error)

# %% [markdown]
# A GPU says nothing in any of the three cases. It reads whatever lies behind x, destroys whatever lies behind y, and of several programs that write to one place lets the last one win, whichever that is today. Triton's own interpreter is as silent. That is why our machine is strict, and why tests fill their outputs with NaN.
#
# ## 14.4 First kernel: a sum of softplus
#
# The hidden units' half of the free energy is $y_i=\sum_j\log(1+e^{x_{ij}})$. The definition is one line. As two kernels, softplus written out, then summed:

# %% tags=["label-softplus-two"]
@jit
def softplus(x):
    return tl.maximum(x, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(x)))      # exp never sees a positive number

@jit
def softplus_all(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, softplus(tl.load(x_ptr + i, mask=i < n)), mask=i < n)

# %% tags=["label-softplus-sum"]
@jit
def sum_rows(x_ptr, y_ptr, n_columns, BLOCK: tl.constexpr):
    row, total = tl.program_id(0), tl.zeros([BLOCK], tl.float32)
    for start in range(0, n_columns, BLOCK):
        j = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * n_columns + j, mask=j < n_columns, other=0.0)
    tl.store(y_ptr + row, tl.sum(total))

# %% [markdown]
# Now in one kernel: a program per row, which walks along it in tiles and keeps a running total in its registers. The row's length is no multiple of the tile, so the last tile has masked lanes. They are added too.

# %% tags=["label-predict-neutral"]
predict("14.d", "What must a masked lane hold so that it adds nothing to a sum of softplus?",
        ["0", "1", "−∞", "+∞"])

# %% tags=["label-softplus-fused"]
@jit
def sum_softplus(x_ptr, y_ptr, n_columns, FILL: tl.constexpr, BLOCK: tl.constexpr):
    row, total = tl.program_id(0), tl.zeros([BLOCK], tl.float32)
    for start in range(0, n_columns, BLOCK):
        j = start + tl.arange(0, BLOCK)
        total += softplus(tl.load(x_ptr + row * n_columns + j, mask=j < n_columns, other=FILL))
    tl.store(y_ptr + row, tl.sum(total))

def fused(x, fill=-float("inf"), block=16):
    y = torch.full((len(x),), torch.nan)
    return y, sum_softplus[(len(x),)](x, y, x.shape[1], FILL=fill, BLOCK=block)

# %% tags=["label-softplus-claims"]
G = lambda seed: torch.Generator().manual_seed(seed)
x = 30 * torch.randn(6, 21, generator=G(0))
right = torch.nn.functional.softplus(x.double(), threshold=1000).sum(1)
off = lambda fill, block=16: (fused(x, fill, block)[0] - right).abs().max()
worst = max(off(-float("inf"), block) for block in (1, 8, 16, 64))
claim("14.4", worst, below=1e-3, says="kernel against float64, four tile sizes")
planted_error("14.4", off(0.0), below=1e-3, says="masked lanes hold 0")
padding = 11 * torch.tensor(2.0).log()                    # 32 lanes for 21 numbers; softplus(0) = log 2
claim("14.4", (off(0.0) - padding).abs(), below=1e-3, says="its error against 11 log 2")
reveal("14.d", 2, "softplus(−∞) = 0. It is the whole expression that needs a neutral element.")

# %% [markdown]
# The error of the wrong fill depends on the *tile size*, and vanishes when the row happens to be a multiple of it. So a test with 32 columns would have passed; that is why ours have 21. And the two forms, in bytes?

# %% tags=["label-softplus-traffic"]
def unfused(x):
    middle, y = torch.empty_like(x), torch.empty(len(x))
    first = softplus_all[(-(-x.numel() // 16),)](x, middle, x.numel(), BLOCK=16)
    return y, first, sum_rows[(len(x),)](middle, y, x.shape[1], BLOCK=16)

y, first, second = unfused(x)
one = fused(x)[1]
ratio = (first.bytes + second.bytes) / one.bytes
claim("14.4", ratio, between=(2.8, 3), says="bytes of two kernels over bytes of one")
moved = {"read": [first.loaded + second.loaded, one.loaded],
         "written": [first.stored + second.stored, one.stored]}
plots.bars(["two kernels", "one kernel"], moved, ylabel="bytes", says="What each form moves.")

# %% [markdown]
# **What to notice.** x is read once in place of being read, written and read again: a third of the bytes, and so, where memory binds, a third of the time. Nothing was computed more cleverly.
#
# ### Backward
# $\partial L/\partial x_{ij}=\bar y_i\,\sigma(x_{ij})$, with $\bar y=\partial L/\partial y$ coming from above. It, too, is one kernel, and it *recomputes* $\sigma(x)$ from x rather than have the forward pass store it: bytes are dearer than arithmetic.

# %% tags=["label-backward"]
@jit
def backward(x_ptr, up_ptr, grad_ptr, n_columns, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    place, inside = row * n_columns + j, j < n_columns
    x = tl.load(x_ptr + place, mask=inside, other=0.0)
    tl.store(grad_ptr + place, tl.load(up_ptr + row) * tl.sigmoid(x), mask=inside)

@jit
def forgetful(x_ptr, up_ptr, grad_ptr, n_columns, BLOCK: tl.constexpr):
    row, j = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    place, inside = row * n_columns + j, j < n_columns
    tl.store(grad_ptr + place, tl.sigmoid(tl.load(x_ptr + place, mask=inside, other=0.0)), mask=inside)

# %% tags=["label-predict-upstream"]
predict("14.e", "The second of the two forgets the gradient from above. Which test finds it?",
        ["loss = y.sum()", "loss = (weights * y).sum(), random weights", "both"])

# %% tags=["label-backward-claims"]
def gap(kernel, upstream):
    leaf, grad = x.double().requires_grad_(), torch.full_like(x, torch.nan)
    kernel[(6, 2)](x, upstream, grad, 21, BLOCK=16)
    y = torch.nn.functional.softplus(leaf).sum(1)
    return (grad - torch.autograd.grad(y, leaf, upstream.double())[0]).abs().max()

ones, random = torch.ones(6), torch.randn(6, generator=G(1))
claim("14.4", gap(backward, random), below=1e-5, says="gradient against autograd, random weights")
claim("14.4", gap(forgetful, ones), below=1e-5, says="the forgetful one, all weights 1 (!)")
planted_error("14.4", gap(forgetful, random), below=1e-5, says="the forgetful one, random weights")
reveal("14.e", 1, "y.sum() sends ones from above, and a factor of one cannot be missed.")

# %% [markdown]
# ## 14.5 Second kernel: the nearest code
#
# The definition, $k(i)=\arg\min_j\lVert z_i-e_j\rVert^2$, writes an $N\times K$ matrix of distances and reads it once. For 131,072 vectors and 8,192 codes these are 4 GiB, to produce 131,072 numbers.

# %% tags=["label-nearest-bytes"]
N, K, D = 131_072, 8_192, 64
inputs, matrix, result = 4 * (N * D + K * D), 4 * N * K, 4 * N
print(", ".join(f"{name} {n / 2**20:.1f} MiB" for name, n in
                (("inputs", inputs), ("distances", matrix), ("result", result))))
print(f"on the GPU, by its data sheet: distances, written and read, {1e3 * 2 * matrix * H200.byte:.2f} ms,"
      f" the rest {1e3 * (inputs + result) * H200.byte:.3f} ms")

# %% [markdown]
# So keep the tile of distances where it is made, take its minimum, and keep that: best so far, and whose. Each program owns some vectors and walks over all codes. $\lVert z\rVert^2$ is the same for all codes and is left out; what remains, $\tfrac12\lVert e\rVert^2-z^\top e$, is a matrix product.

# %% tags=["label-nearest"]
@jit
def nearest(z_ptr, e_ptr, ids_ptr, N, K, FILL: tl.constexpr,
            D: tl.constexpr, ROWS: tl.constexpr, CODES: tl.constexpr):
    i, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    z = tl.load(z_ptr + i[:, None] * D + d[None, :], mask=i[:, None] < N, other=0.0)
    best, ids = tl.full([ROWS], float("inf"), tl.float32), tl.zeros([ROWS], tl.int32)
    for start in range(0, K, CODES):
        j = start + tl.arange(0, CODES)
        e = tl.load(e_ptr + j[:, None] * D + d[None, :], mask=j[:, None] < K, other=0.0)
        score = tl.sum(e * e, 1)[None, :] / 2 - tl.dot(z, e.T, input_precision="ieee")
        score = tl.where(j[None, :] < K, score, FILL)
        ids = tl.where(tl.min(score, 1) < best, start + tl.argmin(score, 1), ids)
        best = tl.minimum(tl.min(score, 1), best)
    tl.store(ids_ptr + i, ids, mask=i < N)

# %% [markdown]
# Two masks here. Codes that do not exist were loaded as zeros, so as a code at the origin; they need a *score*, too. (`FILL` is an argument only so that we can be wrong.)

# %% tags=["label-predict-origin"]
predict("14.f", "21 codes in tiles of 16; the missing eleven score 0, like a code at the origin. Then ids",
        ["are right: 0 is neutral", "are sometimes too small", "are sometimes 21 or more"])

# %% tags=["label-nearest-claims"]
def run_nearest(z, codes, fill=float("inf"), rows=16, block=16):
    ids = torch.full((len(z),), -1, dtype=torch.int32)
    grid = (-(-len(z) // rows),)
    nearest[grid](z, codes, ids, len(z), len(codes), FILL=fill, D=z.shape[1], ROWS=rows, CODES=block)
    return ids.long()

z, codes = (torch.randint(-8, 9, (n, 16), generator=G(2)) / 8 for n in (60, 21))  # eighths: exact sums
ids = torch.cdist(z.double(), codes.double()).argmin(1)
wrong = lambda **options: (run_nearest(z, codes, **options) != ids).sum()
claim("14.5", wrong(), below=1, says="ids that differ from cdist + argmin")
planted_error("14.5", wrong(fill=0.0), below=1, says="missing codes score 0")
print("largest id with score 0:", run_nearest(z, codes, fill=0.0).max().item(), "of codes 0 to 20")
reveal("14.f", 2, "The neutral element of a minimum is +∞.")

# %% [markdown]
# A published GPU kernel for clustering had just this slip, a zero as the score of what is not there, and returned ids that were out of range.
#
# *Ties.* Equal codes happen (a codebook may start that way), and every program must choose the same one: the lowest. Inside a tile `argmin` takes care; between tiles the `<` does, for a later equal is not less. Then the tile size cannot matter:

# %% tags=["label-nearest-ties"]
twins = codes[torch.arange(40) % 10]                      # each code four times, ten apart
firsts = torch.cdist(z.double(), twins[:10].double()).argmin(1)
found = {block: run_nearest(z, twins, block=block) for block in (2, 4, 16, 64)}
most = max((ids != firsts).sum() for ids in found.values())
claim("14.5", most, below=1, says="ties not given to the lowest, four tile sizes")
last = 39 - run_nearest(z, twins.flip(0))                 # the same search from the other end
planted_error("14.5", (last != firsts).sum(), below=1, says="the last of equal codes")

# %% [markdown]
# These numbers are eighths, so every sum is exact. With arbitrary ones, two codes that are almost equally near can change places in float32. The library's CPU path is stricter: where rounding could decide, it asks float64. And GPUs multiply float32 matrices with fewer digits unless told not to, which is what `input_precision="ieee"` is for.
#
# ## 14.6 Third kernel: half a Gibbs step
#
# A product, and before its result is written: bias, sigmoid, a random number, the comparison. All of it is tiles, except for one thing. Where do random numbers come from?

# %% tags=["label-generator"]
rng = G(0)
left, right_half = torch.rand(4, 3, generator=rng), torch.rand(4, 3, generator=rng)
off = torch.cat([left, right_half], 1) - torch.rand(4, 6, generator=G(0))
planted_error("14.6", off.abs().max(), below=1e-12, says="a generator, asked tile by tile")

# %% [markdown]
# A generator has a *state*: each number depends on how many were drawn before. Cut the work differently and each unit gets another number. With thousands of programs at once there is no "before" at all.
#
# So take a *function* in its place: $u=f(\text{seed},\text{counter})$, a hash so good that its values pass for random. Philox is one: ten rounds of multiplying and mixing. Whoever knows the counter knows the number; nothing is stored, nothing is shared. `tl.rand(seed, counter)` is it.

# %% tags=["label-predict-key"]
predict("14.g", "Which counter makes the result independent of how the matrix is cut into tiles?",
        ["program and lane", "chain and unit", "the count of numbers drawn so far"])

# %% tags=["label-half-step"]
@jit
def half_step(v_ptr, w_ptr, c_ptr, h_ptr, B, V, H, seed, first_chain,
              ROWS: tl.constexpr, COLS: tl.constexpr, DEPTH: tl.constexpr):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.program_id(1) * COLS + tl.arange(0, COLS)[None, :]
    logits = tl.zeros([ROWS, COLS], tl.float32) + tl.load(c_ptr + j, mask=j < H, other=0.0)
    for start in range(0, V, DEPTH):
        k = start + tl.arange(0, DEPTH)
        v = tl.load(v_ptr + i * V + k[None, :], mask=(i < B) & (k[None, :] < V), other=0.0)
        w = tl.load(w_ptr + k[:, None] * H + j, mask=(k[:, None] < V) & (j < H), other=0.0)
        logits += tl.dot(v, w, input_precision="ieee")
    u = tl.rand(seed, (first_chain + i) * H + j)         # the counter: chain and unit
    tl.store(h_ptr + i * H + j, (u < tl.sigmoid(logits)).to(tl.float32), mask=(i < B) & (j < H))

# %% tags=["label-half-step-run"]
def run_half_step(v, seed=7, first_chain=0, rows=16, cols=16, kernel=half_step):
    B, V, H = len(v), *W.shape
    h = torch.full((B, H), torch.nan)
    grid = (-(-B // rows), -(-H // cols))
    return h, kernel[grid](v, W, c, h, B, V, H, seed, first_chain, ROWS=rows, COLS=cols, DEPTH=16)

W, c = (torch.randint(-8, 9, shape, generator=G(3)) / 16 for shape in ((30, 50), (50,)))  # exact sums again
v = torch.randint(0, 2, (40, 30), generator=G(4)).float()
tiles = {"16 × 16": (16, 16), "32 × 64": (32, 64), "64 × 16": (64, 16)}
runs = {name: run_half_step(v, rows=rows, cols=cols) for name, (rows, cols) in tiles.items()}

# %% tags=["label-half-step-tiles"]
h = runs["16 × 16"][0]
differ = lambda other: (other != h).sum()
most = max(differ(other) for other, _ in runs.values())
claim("14.6", most, below=1, says="states that differ between three tilings")
two_devices = torch.cat([run_half_step(v[:24])[0], run_half_step(v[24:], first_chain=24)[0]])
claim("14.6", differ(two_devices), below=1, says="states that differ when two devices share the chains")
both_from_0 = torch.cat([run_half_step(v[:24])[0], run_half_step(v[24:])[0]])
planted_error("14.6", differ(both_from_0), below=1, says="the second device counts its chains from 0")
states = {name: h for name, (h, _) in runs.items()}
plots.kernels.tilings(states, tiles, says="One half-step, cut in three ways.")

# %% [markdown]
# The same bits, whatever the cut. Now the tempting key, which is right for every single tile shape and different for each:

# %% tags=["label-by-program"]
@jit
def by_program(v_ptr, w_ptr, c_ptr, h_ptr, B, V, H, seed, first_chain,
               ROWS: tl.constexpr, COLS: tl.constexpr, DEPTH: tl.constexpr):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.program_id(1) * COLS + tl.arange(0, COLS)[None, :]
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    lane = tl.arange(0, ROWS)[:, None] * COLS + tl.arange(0, COLS)[None, :]
    u = tl.rand(seed, program * ROWS * COLS + lane)
    p = tl.sigmoid(tl.load(c_ptr + j, mask=j < H, other=0.0))     # (the product is not the point here)
    tl.store(h_ptr + i * H + j, (u < p).to(tl.float32), mask=(i < B) & (j < H))

# %% tags=["label-by-program-claims"]
keyed = [run_half_step(v, rows=rows, cols=cols, kernel=by_program)[0] for rows, cols in tiles.values()]
changed = (keyed[0] != keyed[1]).sum()
planted_error("14.6", changed, below=1, says="keyed by program and lane, two tilings")
reveal("14.g", 1, "They say what the number is for; program and lane, how we happened to compute it.")

# %% [markdown]
# Is it the right *distribution*? Feed the kernel's own uniforms to the definition and compare bit for bit; then the uniforms themselves.

# %% tags=["label-half-step-right"]
@jit
def uniforms(u_ptr, seed, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(u_ptr + i, tl.rand(seed, i), mask=i < n)

u = torch.full((65_536,), torch.nan)
uniforms[(16,)](u, 7, 65_536, BLOCK=4096)
definition = (u[:2000].view(40, 50) < torch.sigmoid(v @ W + c)).float()
claim("14.6", differ(definition), below=1, says="states that differ from the definition, same uniforms")
chi_square = lambda u: (torch.histc(u, 256, 0, 1) - 256).square().sum() / 256   # 255 degrees of freedom
usual = dict(between=(177, 345))                          # nearly always
claim("14.6", chi_square(u), **usual, says="chi-square of 256 bins")
planted_error("14.6", chi_square(u[:32_768].repeat(2)), **usual, says="half of the numbers, twice")

# %% [markdown]
# What *does* the tile shape change? Each program loads its rows of v and its columns of W. Larger tiles, fewer programs, less loaded twice:

# %% tags=["label-tile-traffic"]
for name, (_, cost) in runs.items():
    print(f"tiles {name}: {cost.programs} programs, {cost.loaded} bytes read, {cost.stored} written")
small, large = runs["16 × 16"][1], runs["64 × 16"][1]
claim("14.6", small.loaded / large.loaded, above=1.2, says="bytes read with small tiles over large ones")

# %% [markdown]
# **What to notice.** The results are equal to the last bit; the price is not. That is the freedom a tuner has, and the reason why kernels must not let results depend on tiles: else every tuning would change the science. How large may a tile be? As large as the registers and the fast memory of one multiprocessor: beyond
# that it spills to memory, and everything is lost.
#
# ## 14.7 In Triton itself
#
# Nothing above was pretend: the same source, character for character, is Triton. Where Triton is installed (it has wheels for Linux), the next cell runs the kernels of this chapter in its own interpreter and compares every tensor; it takes some ten seconds, most of them for starting. On macOS and Windows it says so and is skipped; nothing else depends on it.

# %% tags=["label-triton", "nbval-ignore-output"]
from deepgen_lib.tiles import in_triton, record
with record() as calls:                                   # launches, what goes in, what comes out
    double[(4,)](torch.arange(13.0), torch.full((13,), torch.nan), 13, BLOCK=4)
    fused(x), run_nearest(z, codes), run_half_step(v), run_half_step(v, rows=32, cols=64)
    backward[(6, 2)](x, random, torch.full_like(x, torch.nan), 21, BLOCK=16)
in_triton(calls)

# %% [markdown]
# Zero for the states and the ids, down to the random numbers; rounding for the sums, which are added in another order. (The tests of the repository also compile every kernel of this chapter to a GPU's machine code, which needs no GPU either.) An interpreter shows that a kernel is *right*. How fast it is, only a GPU can show.
#
# ## 14.8 On the CPU
#
# There the launches cost little and the product is not ours (torch's libraries do it). What is left to win? The library's CPU paths do three things. They write into memory they already have, since fresh memory must be fetched from the system page by page. They work on *pieces that stay in the cache*: scores of nearest codes are reduced
# before they leave it. And they draw cheaper random numbers: 64 bits give four units 16 bits each, and nine more are shared. Try it, in seconds:

# %% tags=["label-cpu-candidates"]
from deepgen_lib import gibbs_half_step, nearest_code
rng = G(0)
chains, bias = (torch.rand(500, 784, generator=rng) < 0.2).float(), torch.zeros(500)
weights = torch.randn(784, 500, generator=rng) / 10
vectors, book = torch.randn(8192, 64, generator=rng), torch.randn(2048, 64, generator=rng)
step, search = "half-step, 500 chains", "nearest of 2,048 codes"
uniform = lambda: torch.rand(500, 500, generator=rng)
as_written = {step: lambda: (uniform() < torch.sigmoid(chains @ weights + bias)).float(),
              search: lambda: torch.cdist(vectors, book).argmin(1)}
tuned = {step: lambda: gibbs_half_step(chains, weights, bias, rng),
         search: lambda: nearest_code(vectors, book)}
room = [torch.empty(500, 500), torch.empty(512, 2048)]     # memory that is there
pieces = vectors.split(512)
product = {step: lambda: torch.mm(chains, weights, out=room[0]),
           search: lambda: [torch.mm(piece, book.T, out=room[1]) for piece in pieces]}

# %% tags=["label-cpu-agree"]
same = (as_written[search]() == tuned[search]()).double().mean()
claim("14.8", same, above=0.999, says="share of equal ids, as written and tuned")
means = [sum(form[step]() for _ in range(20)).mean() / 20 for form in (as_written, tuned)]
claim("14.8", (means[0] - means[1]).abs(), below=0.002, says="difference of the mean states, 20 draws each")

# %% tags=["label-cpu-times", "nbval-ignore-output"]
from deepgen_lib.roofline import seconds_of
forms = (as_written, tuned, product)
times = {name: [1e3 * seconds_of(form[name], budget=0.6) for form in forms] for name in (step, search)}
plots.table(times, columns=["as written, ms", "tuned, ms", "the matrix product alone, ms"], digits=2)

# %% [markdown]
# The last column is the floor: the product alone, in pieces, into memory that is already there. On the machine that built this page the half-step gains little, for most of it is the product; the search, whose scores stay in the cache, gains clearly. Your numbers are yours and move with what else runs.
#
# For the record, what the repository has measured, with paired rounds and all cores: an update of the RBM,

# %% tags=["label-measured-rbm"]
from deepgen_lib.measured import measured, on_a_gpu
rbm = measured("rbm_speed")
print(rbm.on)
plots.table({f"{row[1]}, batch {row[0]}": row[2:] for row in rbm.rows}, columns=rbm.columns[2:])

# %% [markdown]
# and a training step of a vector quantiser:

# %% tags=["label-measured-vq"]
vq = measured("vq_speed")
print(vq.on)
names = [*vq.columns[2:6], *(f"memory: {name.removeprefix('memory: ')}" for name in vq.columns[9:])]
rows = {f"{row[0]} vectors, {row[1]} codes": [*row[2:6], *row[9:]] for row in vq.rows}
plots.table(rows, columns=names)

# %% [markdown]
# **What to notice.** In the RBM's update the speed is 73 % to 84 % of that of its five matrix products alone; nothing that one does to the rest can gain more than what is left. The quantiser wins by memory: the peers hold all scores, and more than once.
#
# ### All kernels, and a GPU
# A speed is what was measured, on what, when. So, of all kernels of the library:

# %% tags=["label-gpu"]
from deepgen_lib.measured import names
for name in ("kernel_speed_cpu", *(on_a_gpu() or ["kernel_speed_gpu"])):
    if name in names():
        found = measured(name)
        print(f"{name}: {found.on}")
        display(plots.kernels.race(found.raw["seconds"], says="Every kernel against other ways."))
    else:
        print(f"{name}: not measured, so nothing is shown")

# %% [markdown]
# Right of the line our way is the quicker one, left of it another. Where a compiled definition wins on the CPU, the compiler has fused what we wrote as several operations: the rule of this chapter, applied by a machine. (Other programs ran while the CPU was measured; ways took turns, so ratios suffer less than times.)
#
# Where it says *not measured*, no such machine was at hand when this page was built, and no time is shown. (Everything about the H200 above is arithmetic on its data sheet.) `make bench` measures on the machine that it finds.
#
# ## 14.9 Summary
#
# | | rule | in code |
# |:--|:--|:--|
# | prices | time = launches + max(bytes, multiply-adds), each at its price | `seconds(works, prices)` |
# | limit | multiply-adds per byte against the ridge; then launches against both | `plots.kernels.roofline` |
# | fuse | what is computed from a tile is computed before it is written | one `tl.store` |
# | recompute | a number that can be computed again need not be stored | $\sigma(x)$; noise |
# | masks | a masked lane holds the neutral element of the *whole* expression: $-\infty$ for softplus, $+\infty$ for a minimum, 0 for a product | `tl.load(..., mask=, other=)` |
# | ties | lowest index within the tile, `<` between tiles | `tl.argmin`, `tl.where` |
# | noise | a function of seed, chain and unit | `tl.rand(seed, chain * H + unit)` |
# | tests | odd shapes, NaN-filled outputs, random gradients from above, several tile sizes | |
#
# Three sentences to keep. *Count before you tune: launches, bytes, multiply-adds, in this order on a GPU. A kernel is its definition, cut into tiles; whatever depends on the cut is a bug. No speed without a date, a machine and a result that agrees with the definition.*
#
# ## 14.10 A worked exercise
# **Question.** Row maxima, $y_i=\max_jx_{ij}$: a colleague takes the kernel of section 14.4, puts `tl.max` for `tl.sum`, and keeps `other=0.0`. It passes all tests with random normal numbers. Why, and when does it fail? Try before you read on.
#
# **Answer.** 0 is not neutral for a maximum, $-\infty$ is. With twenty normal numbers the maximum is nearly always positive and the masked zeros lose. On a row of negative numbers they win:

# %% tags=["label-worked"]
@jit
def row_max(x_ptr, y_ptr, n_columns, FILL: tl.constexpr, BLOCK: tl.constexpr):
    j = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n_columns + j, mask=j < n_columns, other=FILL)
    tl.store(y_ptr + tl.program_id(0), tl.max(x))

def miss(x, fill):
    y = torch.full((len(x),), torch.nan)
    row_max[(len(x),)](x, y, x.shape[1], FILL=fill, BLOCK=32)
    return (y - x.amax(1)).abs().max()

claim("14.10", miss(x, 0.0), below=1e-12, says="other=0, random numbers (!)")
claim("14.10", miss(-x.abs(), -float("inf")), below=1e-12, says="other=−∞, negative numbers")
planted_error("14.10", miss(-x.abs(), 0.0), below=1e-12, says="other=0, negative numbers")

# %% [markdown]
# The lesson is about the test as much as about the kernel: choose inputs on which the mistake matters.
#
# ## Where this goes next
# The library's own kernels are in `deepgen_lib/kernels`: each file holds the definition, the CPU path, and, beside it, the Triton kernel. You can read them now.
#
# **Exercises:** [open them here](../exercises/14_kernels/14_kernels.ipynb). Seven: a budget, then puzzles in Triton's language, up to many Gibbs steps in one launch, with checks that know what usually goes wrong.
