# %% [markdown]
# # Exercises 10 · Pictures from a code book
#
# Six exercises for [chapter 10](../../notebooks/10_vqvae_images.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("10.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call; the third gives the answer away. `start_over("10.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 10.1 | The bug clinic | core | 30 |
# | 10.2 | How many codes are alive? | core | 10 |
# | 10.3 | Revive the dead | core | 20 |
# | 10.4 | The bit ledger | core | 20 |
# | 10.5 | In raster order | stretch | 30 |
# | 10.6 | Who holds what? | stretch | 25 |
#
# Letters everywhere: $K$ codes of length $D$, `codes (K, D)`; vectors of the encoder `z (N, D)`; maps of codes `ids (h, w)`. Logarithms are natural unless a bit is asked for.

# %% tags=["label-setup"]
import math
import torch
from deepgen_lib import checks, hint, start_over
torch.set_num_threads(1)

# %% [markdown]
# ## 10.1 The bug clinic   (core, 30 minutes, twelve lines)
#
# Six quantisers sit in the waiting room. Each is called as `quantise(z, codes)` and returns what the decoder gets, `(N, D)`, and a loss, `(N,)`. One is healthy: it passes the nearest code on, straight through, and its loss is
# $$\lVert\mathrm{sg}(z)-e\rVert^2+\beta\,\lVert z-\mathrm{sg}(e)\rVert^2,\qquad\beta=0.25.$$
# Each of the others has one defect that was shipped in real code. First the loss, over 200 steps of a toy training:

# %% tags=["label-waiting-room"]
def train(quantise, n_steps=200):
    """Squared error of a linear encoder and decoder around a quantiser, before and after."""
    g = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(6, 2, generator=g)[torch.randint(6, (300,), generator=g)]
    x = x + 0.2 * torch.randn(300, 2, generator=g)
    up, down, codes = (torch.randn(n, 2, generator=g).requires_grad_() for n in (2, 2, 8))
    adam, errors = torch.optim.Adam([up, down, codes], lr=0.03), []
    for _ in range(n_steps):
        q, loss = quantise(x @ up, codes)
        errors.append((x - q @ down).pow(2).sum(1).mean())
        adam.zero_grad()
        (errors[-1] + loss.mean()).backward()
        adam.step()
    return errors[0].item(), errors[-1].item()

patients = checks.vq_images.patients()
for name, quantise in patients.items():
    print("{}: error {:.2f} at the start, {:.2f} at the end".format(name, *train(quantise)))

# %% [markdown]
# Every error falls. So look closer: write `diagnose(quantise)`, which makes its own `z` and `codes`, asks for values and gradients and returns one of these texts:
#
# | | |
# |:--|:--|
# | `"healthy"` | |
# | `"not the nearest code"` | another code than the nearest is passed on |
# | `"no straight-through"` | nothing of the decoder's gradient reaches `z` |
# | `"the decoder moves the codes"` | it reaches `z`, and the codes too |
# | `"beta on the wrong term"` | β weakens the term that moves the codes |
# | `"no commitment"` | no term pulls `z` towards its code |

# %% nbgrader={"grade": false, "grade_id": "ex-10-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def diagnose(quantise):
    """One of the six texts."""
    ### BEGIN SOLUTION
    g = torch.Generator().manual_seed(1)
    z, codes = (torch.randn(n, 2, generator=g).requires_grad_() for n in (50, 6))
    q, loss = quantise(z, codes)
    e = codes[torch.cdist(z, codes).argmin(1)]
    if not torch.allclose(q, e):
        return "not the nearest code"
    z_slope, code_slope = torch.autograd.grad(q.sum(), (z, codes), retain_graph=True, allow_unused=True)
    if z_slope is None:
        return "no straight-through"
    if code_slope is not None:
        return "the decoder moves the codes"
    pull = torch.autograd.grad(loss.sum(), z, allow_unused=True)[0]
    if pull is None or not pull.any():
        return "no commitment"
    return "healthy" if torch.allclose(pull, 0.25 * 2 * (z - e)) else "beta on the wrong term"
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-1", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.bug_clinic(diagnose)
### BEGIN HIDDEN TESTS
checks.bug_clinic(diagnose, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.2 How many codes are alive?   (core, 10 minutes, three lines)
#
# Over an epoch of $T$ batches you counted how often each of $K$ codes was chosen: `counts (T, K)`. Give the perplexity of the epoch, the exponential of the entropy of all choices together. All codes alike give $K$, one code alone gives 1; an unused code
# changes nothing.

# %% nbgrader={"grade": false, "grade_id": "ex-10-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def code_perplexity(counts):
    """exp of the entropy.  (T, K) -> ()."""
    ### BEGIN SOLUTION
    n = counts.sum(0)
    p = n / n.sum()
    return (-torch.special.xlogy(p, p).sum()).exp()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.code_perplexity(code_perplexity)
### BEGIN HIDDEN TESTS
checks.code_perplexity(code_perplexity, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.3 Revive the dead   (core, 20 minutes, two lines)
#
# A code book learns by running means: `counts (K,)` of how many vectors fall to each code, `sums (K, D)` of these vectors, and $e_k=s_k/n_k$. A code whose count is under `below` is dead. Put dead code $k$ on row $k$ of `fresh (K, D)`, so that it *stays* there
# when the next update comes and nobody chooses it: as if exactly one vector had fallen to it. Leave all others alone.

# %% nbgrader={"grade": false, "grade_id": "ex-10-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def revive_codes(codes, counts, sums, fresh, below):
    """(codes, counts, sums) afterwards.  (K, D), (K,), (K, D), (K, D), a number."""
    ### BEGIN SOLUTION
    dead = counts < below
    column = dead[:, None]
    return torch.where(column, fresh, codes), torch.where(dead, 1.0, counts), torch.where(column, fresh, sums)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.revive_codes(revive_codes)
### BEGIN HIDDEN TESTS
checks.revive_codes(revive_codes, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.4 The bit ledger   (core, 20 minutes, four lines and four answers)
#
# For each of $N$ held-out pictures with `n_dims` values you know $\log p(z)$ of its map of codes under a learned prior and $\log p(x\mid z)$, both in nats. Give four prices in **bits per dimension**: the codes under a uniform prior, the codes under the learned one,
# the pixels once the codes are known, and the whole picture under the learned prior.

# %% nbgrader={"grade": false, "grade_id": "ex-10-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bit_ledger(log_prior, log_pixels, n_positions, n_codes, n_dims):
    """(codes uniform, codes learned, pixels, all).  (N,), (N,), three numbers."""
    ### BEGIN SOLUTION
    to_bits = lambda nats: -nats.mean() / math.log(2) / n_dims
    return n_positions * math.log2(n_codes) / n_dims, to_bits(log_prior), to_bits(log_pixels), to_bits(log_prior + log_pixels)
    ### END SOLUTION

answers = {"343 bits are what this model needs to send a digit without loss": None,
           "with a code book of a single code the codes cost no bits": None,
           "the bound is exact where one map of codes has all of the posterior": None,
           "a model with fewer bits per dimension draws better samples": None}
### BEGIN SOLUTION
answers = dict(zip(answers, [False, True, True, False]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.bit_ledger(bit_ledger, answers)
### BEGIN HIDDEN TESTS
checks.bit_ledger(bit_ledger, answers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.5 In raster order   (stretch, 30 minutes, seven lines)
#
# 1. `causal_mask(k, sees_itself)`: a filter of $k\times k$ (odd) may look at the places that are read before its centre, row by row from the top left. In the first layer the centre itself is forbidden, later it is allowed. Ones and zeros, `(k, k)`.
# 2. `raster_sample(log_p, u)`: `log_p(ids)` takes a map `(h, w)` and returns `(K, h, w)`, the log-probabilities of each code at each place given what was read before it. Draw a map. For place $(i,j)$ use the uniform number `u[i, j]`: the first code whose
#    cumulative probability exceeds it.

# %% nbgrader={"grade": false, "grade_id": "ex-10-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def causal_mask(k, sees_itself):
    """Which places a filter may look at.  -> (k, k)."""
    ### BEGIN SOLUTION
    return (torch.arange(k * k) < k * k // 2 + sees_itself).float().reshape(k, k)
    ### END SOLUTION

def raster_sample(log_p, u):
    """One map of codes.  u (h, w) in [0, 1) -> (h, w) int64."""
    ### BEGIN SOLUTION
    ids = torch.zeros(u.shape, dtype=torch.int64)
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            p = log_p(ids)[:, i, j].exp()
            ids[i, j] = (p.cumsum(0) <= u[i, j]).sum()
    return ids
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-5", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V11"]
checks.raster_order(causal_mask, raster_sample)
### BEGIN HIDDEN TESTS
checks.raster_order(causal_mask, raster_sample, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.6 Who holds what?   (stretch, 25 minutes, three lines and four answers)
#
# Split the squared error between pictures $x$ and $y$ in two parts that add up to it, per value: *layout*, the error that is left when both are blurred to the means of blocks of `block` × `block` pixels, and *detail*, the rest. Every colour for itself.

# %% nbgrader={"grade": false, "grade_id": "ex-10-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layout_and_detail(x, y, block):
    """(layout, detail).  x, y (N, C, H, W), H and W divisible by block -> (), ()."""
    ### BEGIN SOLUTION
    d = x - y
    layout = torch.nn.functional.avg_pool2d(d, block).square().mean()
    return layout, d.square().mean() - layout
    ### END SOLUTION

# %% [markdown]
# Now measure with it. The two-level model of the chapter, on faces that it never saw; `without` replaces all codes of a level by their mean code.

# %% tags=["label-levels", "rtol-0.1", "atol-0.0005"]
from deepgen_lib import load_colour_faces, load_face_codes

faces, model = load_colour_faces("test").images, load_face_codes()[0]
maps = model.encode(faces)
for removed in (None, "bottom", "top"):
    layout, detail = layout_and_detail(faces, model.decode(maps, without=removed), 4)
    print(f"without {removed}: layout {layout:.4f}, detail {detail:.4f}")

# %% nbgrader={"grade": false, "grade_id": "ex-10-6b", "locked": false, "schema_version": 3, "solution": true, "task": false}
found = {"without the bottom level the error grows more in": None,     # "layout", "detail"
         "without the top level the error grows more in": None,
         "to sample, draw first the": None,                            # "top", "bottom"
         # "holds the layout" or "holds nothing that the others lack":
         "a level that nobody misses when it is removed": None}
### BEGIN SOLUTION
found = dict(zip(found, ["detail", "layout", "top", "holds nothing that the others lack"]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V11"]
checks.who_holds_what(layout_and_detail, found)
### BEGIN HIDDEN TESTS
checks.who_holds_what(layout_and_detail, found, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Done? You have read maps of codes, brought dead ones back, paid for pictures in bits and drawn new ones. The next chapter returns to codes that are numbers, and stacks many layers of them.
