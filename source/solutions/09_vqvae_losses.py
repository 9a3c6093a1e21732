# %% [markdown]
# # Exercises 9 · VQ-VAE: the losses
#
# Eight exercises for [chapter 9](../../notebooks/09_vqvae_losses.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("9.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call (the third gives it away). `start_over("9.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 9.1 | A point mass | core | 10 |
# | 9.2 | A constant that is not always one | core | 15 |
# | 9.3 | The gradient table | core | 30 |
# | 9.4 | Straight-through against the truth | core | 25 |
# | 9.5 | Across the border | core | 10 |
# | 9.6 | Sum or mean? | core | 10 |
# | 9.7 | Counts and sums | stretch | 25 |
# | 9.8 | Project: one gradient check | project | 40 |
#
# Shapes everywhere: points `z` or `z_e` `(N, D)`, `codes` `(K, D)`, numbers of codes `ids` `(N,)`. Everything is float64; logarithms are natural. Write with torch alone.

# %% tags=["label-setup"]
import torch
from deepgen_lib import checks, hint, start_over
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 9.1 A point mass   (core, 10 minutes, about four lines)
#
# Write `quantise(z, codes)`: the distribution $q(z\mid x)$ of every point, `(N, K)`, one 1 in each row; and what the decoder gets, $z_q$, `(N, D)`. Of equally near codes the lowest index wins.

# %% nbgrader={"grade": false, "grade_id": "ex-9-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantise(z, codes):
    """q (N, K) and z_q (N, D) of points z (N, D)."""
    ### BEGIN SOLUTION
    distance = (z[:, None] - codes).square().sum(-1)               # (N, K)
    ids = distance.argmin(1)
    return torch.nn.functional.one_hot(ids, len(codes)).double(), codes[ids]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V1", "exercise-V2"]
checks.point_mass(quantise)
### BEGIN HIDDEN TESTS
checks.point_mass(quantise, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 9.2 A constant that is not always one   (core, 15 minutes, about three lines)
#
# 1. `uniform`: the KL, in nats, of a point mass over maps of 8 × 8 codes, 512 of them, to a uniform prior. A number: compute it, or give three decimals.
# 2. `map_kl(ids, log_prior)`: the KL of each picture's map `ids` `(B, h, w)` to a prior that draws every position independently, with log-probabilities `log_prior` `(K,)`, the same at all positions. -> `(B,)`
# 3. `loss(log_likelihood, kl)`: what a VQ-VAE with a learned prior minimises, both `(B,)`. -> `(B,)`

# %% nbgrader={"grade": false, "grade_id": "ex-9-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def map_kl(ids, log_prior):
    """KL(point mass at ids || prior) of each picture, in nats.  (B, h, w), (K,) -> (B,)."""
    ### BEGIN SOLUTION
    return -log_prior[ids].sum((1, 2))
    ### END SOLUTION

def loss(log_likelihood, kl):
    """What is minimised.  (B,), (B,) -> (B,)."""
    ### BEGIN SOLUTION
    return kl - log_likelihood
    ### END SOLUTION

uniform = None                                                     # the number of part 1
### BEGIN SOLUTION
uniform = 64 * torch.tensor(512.0).log()
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V3", "exercise-V4"]
checks.constant_kl(uniform, map_kl, loss)
### BEGIN HIDDEN TESTS
checks.constant_kl(uniform, map_kl, loss, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 9.3 The gradient table   (core, 30 minutes, about eight lines)
#
# First predict, for a model with straight-through: which tensor does each term move? Fill in `"moves"` or `"stays"`, nine times.
#
# Then compute. Let the decoder be the identity, so that the loss of all points together is
# $$\sum_n\tfrac12\lVert x_n-z_{q,n}\rVert^2+\lVert\mathrm{sg}(z_{e,n})-z_{q,n}\rVert^2+\beta\lVert z_{e,n}-\mathrm{sg}(z_{q,n})\rVert^2.$$
# Write `pushes(x, z_e, codes, beta)`: its gradients (not the steps downhill), with straight-through, at `z_e` `(N, D)` and at `codes` `(K, D)`. By formula or by autograd: do it one way and check it by the other.

# %% nbgrader={"grade": false, "grade_id": "ex-9-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pushes(x, z_e, codes, beta):
    """Gradients of the summed loss at z_e (N, D) and at codes (K, D)."""
    ### BEGIN SOLUTION
    z, e = z_e.clone().requires_grad_(), codes.clone().requires_grad_()
    z_q = e[(z[:, None] - e).square().sum(-1).argmin(1)]
    given = z + (z_q - z).detach()                                 # the copy goes to z alone
    total = (x - given).square().sum() / 2 + (z.detach() - z_q).square().sum()
    total = total + beta * (z - z_q.detach()).square().sum()
    return torch.autograd.grad(total, (z, e))
    ### END SOLUTION

table = {"reconstruction, encoder": None, "reconstruction, codes": None,
         "reconstruction, decoder": None,
         "quantization, encoder": None, "quantization, codes": None, "quantization, decoder": None,
         "commitment, encoder": None, "commitment, codes": None, "commitment, decoder": None}
### BEGIN SOLUTION
table = {"reconstruction, encoder": "moves", "reconstruction, codes": "stays",
         "reconstruction, decoder": "moves",
         "quantization, encoder": "stays", "quantization, codes": "moves", "quantization, decoder": "stays",
         "commitment, encoder": "moves", "commitment, codes": "stays", "commitment, decoder": "stays"}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-3", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V5", "exercise-V6", "exercise-V7", "exercise-V9"]
checks.gradient_table(table, pushes)
### BEGIN HIDDEN TESTS
checks.gradient_table(table, pushes, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 9.4 Straight-through against the truth   (core, 25 minutes, about six lines)
#
# On a line: numbers `x` `(N,)`, encoder $z_e=x+a$, `codes` `(K,)`, loss the mean of $(x-z_q)^2$; `a` and `eps` are Python floats. Write
# - `copied(x, a, codes)`: the slope in $a$ that straight-through computes, a number;
# - `true(x, a, codes, eps)`: the slope that the loss really has, $\big(L(a+\varepsilon)-L(a-\varepsilon)\big)/2\varepsilon$, a number.
#
# Predict before you compare: are they equal on average?

# %% nbgrader={"grade": false, "grade_id": "ex-9-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def copied(x, a, codes):
    """Slope of the mean loss in a by straight-through."""
    ### BEGIN SOLUTION
    z_q = codes[(x[:, None] + a - codes).abs().argmin(1)]
    return 2 * (z_q - x).mean()
    ### END SOLUTION

def true(x, a, codes, eps):
    """Slope of the mean loss in a by a central difference."""
    ### BEGIN SOLUTION
    given = lambda a: codes[(x[:, None] + a - codes).abs().argmin(1)]
    mean_loss = lambda a: (x - given(a)).square().mean()
    return (mean_loss(a + eps) - mean_loss(a - eps)) / (2 * eps)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-4", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V5", "exercise-V6"]
checks.finite_difference(copied, true)
### BEGIN HIDDEN TESTS
checks.finite_difference(copied, true, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Now look at both on the two codes of the lecture, 200,000 numbers, and try $\varepsilon=10^{-7}$ too. Why must $\varepsilon$ not be *that* small? (The line of the check says it.)

# %% tags=["label-compare", "atol-0.1"]
x = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
two = torch.tensor([-0.5, 2.0])
for a in (-0.5, 0.0, 0.5):
    print(f"a = {a:+.1f}: copied {copied(x, a, two):+.2f}, true {true(x, a, two, 0.05):+.2f}")

# %% [markdown]
# ## 9.5 Across the border   (core, 10 minutes, about six lines)
#
# Follow one point. The decoder is the identity, the loss $\tfrac12\lVert x-z_q\rVert^2$, `x` is called `target`. Start at `z` `(D,)` and take `n_steps` gradient steps with the learning rate `rate` on $z_e$ with the *copied* gradient. Write
# `walk(z, target, codes, rate, n_steps)`: the number of the nearest code at the start and after every step, `(n_steps + 1,)`.

# %% nbgrader={"grade": false, "grade_id": "ex-9-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def walk(z, target, codes, rate, n_steps):
    """Codes chosen on the way.  -> (n_steps + 1,) whole numbers."""
    ### BEGIN SOLUTION
    nearest = lambda z: (z - codes).square().sum(1).argmin()
    ids = [nearest(z)]
    for _ in range(n_steps):
        z = z - rate * (codes[ids[-1]] - target)
        ids.append(nearest(z))
    return torch.stack(ids)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V6b"]
checks.across_the_border(walk)
### BEGIN HIDDEN TESTS
checks.across_the_border(walk, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 9.6 Sum or mean?   (core, 10 minutes, about five lines)
#
# The slide says $e_i:=\sum_jz_{j,i}$. Find the codes that *minimise* $\sum_i\sum_j\lVert z_{j,i}-e_i\rVert^2$ for the choices that `codes` make now: `k_means_step(z, codes)` -> new codes `(K, D)`. A code that nobody chose stays where it is.

# %% nbgrader={"grade": false, "grade_id": "ex-9-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def k_means_step(z, codes):
    """The best codes for the present choices.  (N, D), (K, D) -> (K, D)."""
    ### BEGIN SOLUTION
    ids, best = (z[:, None] - codes).square().sum(-1).argmin(1), codes.clone()
    for k in ids.unique():
        best[k] = z[ids == k].mean(0)
    return best
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V8"]
checks.sum_or_mean(k_means_step)
### BEGIN HIDDEN TESTS
checks.sum_or_mean(k_means_step, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 9.7 Counts and sums   (stretch, 25 minutes, about nine lines)
#
# The same, online. Batches `(T, N, D)` come one after the other. Keep two moving averages for each code: a count $N_k$ of the points that it got, which starts at 1, and their sum $S_k$, which starts at the code.
# `decay` $\gamma$ is the share of the *old*; after each batch a code is sum over count. Every point is given
# the code that was nearest *when its batch came*. Write `moving(batches, codes, decay)` -> the codes at the end `(K, D)`, and what the points were given `(T, N, D)`.

# %% nbgrader={"grade": false, "grade_id": "ex-9-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
def moving(batches, codes, decay):
    """Codes after all batches (K, D), and z_q of every point (T, N, D)."""
    ### BEGIN SOLUTION
    counts, sums, kept = torch.ones(len(codes), 1), codes, []
    for z in batches:
        ids = (z[:, None] - codes).square().sum(-1).argmin(1)
        kept.append(codes[ids])
        chosen = torch.nn.functional.one_hot(ids, len(codes)).to(z)          # (N, K)
        counts = decay * counts + (1 - decay) * chosen.sum(0)[:, None]
        sums = decay * sums + (1 - decay) * chosen.T @ z
        codes = sums / counts
    return codes, torch.stack(kept)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-7", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V8"]
checks.counts_and_sums(moving)
### BEGIN HIDDEN TESTS
checks.counts_and_sums(moving, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 9.8 Project: one gradient check   (project, 40 minutes, about ten lines)
#
# Six programs train a VQ-VAE, and all six losses fall. You may not train. You get `push(x, z_e, codes)`, one step of one of them: it returns the gradients at `z_e` and at `codes`, for points, codes and targets of *your* choice (float64, decoder the identity, the loss of 9.3), and the program's `beta`, which is never 1. Write
# `diagnose(push, beta)` that returns one of
#
# | answer | the second and the third term of this program's loss |
# |:--|:--|
# | `"right"` | $\lVert\mathrm{sg}(z_e)-z_q\rVert^2+\beta\lVert z_e-\mathrm{sg}(z_q)\rVert^2$ |
# | `"no straight-through"` | the same; but the reconstruction reaches nobody below the decoder |
# | `"codes frozen"` | $\beta\lVert z_e-\mathrm{sg}(z_q)\rVert^2$ alone |
# | `"no commitment"` | $\lVert\mathrm{sg}(z_e)-z_q\rVert^2$ alone |
# | `"beta on the wrong term"` | $\beta\lVert\mathrm{sg}(z_e)-z_q\rVert^2+\lVert z_e-\mathrm{sg}(z_q)\rVert^2$ |
# | `"quantization pulls the encoder"` | $\lVert z_e-\mathrm{sg}(z_q)\rVert^2+\beta\lVert z_e-\mathrm{sg}(z_q)\rVert^2$ |
#
# One point and one code are enough, if you choose them well (a point that lies *on* its code hides both distances). A step to try yours on is your own 9.3: `diagnose(lambda x, z, e: pushes(x, z, e, 0.25), 0.25)` must say "right".

# %% nbgrader={"grade": false, "grade_id": "ex-9-8", "locked": false, "schema_version": 3, "solution": true, "task": false}
def diagnose(push, beta):
    """The name of what is wrong with push, or "right"."""
    ### BEGIN SOLUTION
    point = lambda *xy: torch.tensor([xy])
    at_z, at_code = (g[0] for g in push(point(4.0, 0.0), point(0.0, 1.0), point(0.0, 0.0)))
    copy, held, pulled = at_z[0].abs(), at_z[1], at_code[1].abs()            # across and along
    if copy < 1e-9:
        return "no straight-through"
    if held.abs() < 1e-9:
        return "no commitment"
    if pulled < 1e-9:
        return "codes frozen" if (held - 2 * beta).abs() < 1e-9 else "quantization pulls the encoder"
    return "right" if (held - 2 * beta).abs() < 1e-9 else "beta on the wrong term"
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-9-8", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false} tags=["exercise-V10"]
checks.diagnose(diagnose)
### BEGIN HIDDEN TESTS
checks.diagnose(diagnose, seed=1)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-9-8", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your three sentences on 9.8
#
# Which of the five faults would you have found in a loss curve? Which by asking only whether the whole gradient at $z_e$, and the whole one at the codes, is zero, at a point of no special choice? Where in your own next program will this check stand?
#
# 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the course's `solutions/`.
#
# | points | your text |
# |:--|:--|
# | 3 | all three questions are answered with reasons, and the second tells finding that something is wrong from finding what is wrong |
# | 2 | all three are answered, but one without a reason, or the second sorts one of the five wrongly |
# | 1 | one question is answered with a reason |
# | 0 | nothing yet, or a list of the six names |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-9-8", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Three sentences:*
#
# <!-- BEGIN SOLUTION -->
# In a curve perhaps the missing straight-through and the frozen codes, for someone who knows how far the loss should fall, since every one of the six falls; never the $\beta$ (V10).
# Asking for zeros at any point finds two of the five, and as one: frozen codes and a quantization term that pulls the encoder leave the same zero, at the codes, and only the length of the encoder's gradient separates them; the other three leave no gradient zero, and need a chosen point (a zero *coordinate*) or, for the $\beta$, lengths.
# It stands beside the loss, as a test with one point and one code that runs before every training.
# <!-- END SOLUTION -->
