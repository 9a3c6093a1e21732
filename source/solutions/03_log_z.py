# %% [markdown]
# # Exercises 3 · The missing constant
#
# Seven exercises for [chapter 3](../../notebooks/03_log_z.ipynb). Where a cell says `raise NotImplementedError()`, put your lines in its place; where it says `None`, put your answer there.
# Run the cell, then the check below it, which knows what usually goes wrong.
#
# Stuck? `hint("3.1")` gives a nudge, then an equation, then pseudo-code, one at each call. `start_over("3.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 3.1 | Nats, bits, pixels | core | 5 |
# | 3.2 | From weights to log Z | core | 15 |
# | 3.3 | An honest base model | core | 10 |
# | 3.4 | Weigh, then move | stretch | 25 |
# | 3.5 | Both sides of the truth | stretch | 20 |
# | 3.6 | Two rankings of two machines | stretch | 30 |
# | 3.7 | Build the perfect cheat | project | 40 |
#
# Shapes everywhere: `W (V, H)`, `b (V,)`, `c (H,)`, images `(N, V)`. Units are 0 or 1. Everything is float64; logarithms are natural.

# %% tags=["label-setup"]
import math
import torch
from deepgen_lib import checks, hint, start_over
from deepgen_lib import all_states

# %% [markdown]
# ## 3.1 Nats, bits, pixels   (core, 5 minutes, one line)
#
# Papers on colour images count *bits per dimension*, papers on MNIST *nats per image*. Convert: how many bits does a perfect code based on the model spend on each pixel? For the RBM of the
# chapter (about −86 nats, 784 pixels) you should get about 0.16.

# %% nbgrader={"grade": false, "grade_id": "ex-3-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bits_per_pixel(log_likelihood, n_pixels):
    """Bits per pixel of each image.  log-likelihoods in nats (B,), a number -> (B,)."""
    ### BEGIN SOLUTION
    return -log_likelihood / (n_pixels * math.log(2))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-1", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.bits_per_pixel(bits_per_pixel)
### BEGIN HIDDEN TESTS
checks.bits_per_pixel(bits_per_pixel, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.2 From weights to log Z   (core, 15 minutes, two lines)
#
# AIS is done; $N$ chains have left you their log-weights $x_n$. The base model has pixel means $m_i$ and $H$ free hidden units. Turn them into the estimate
# $$\log\hat Z=\log Z_0+\log\frac1N\sum_{n=1}^N e^{x_n}.$$
# Some of the log-weights are near ±2,000. The answer is one number.

# %% nbgrader={"grade": false, "grade_id": "ex-3-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_z_estimate(log_weights, base_means, n_hidden):
    """The AIS estimate of log Z in nats.  (N,), (V,), a number -> ()."""
    ### BEGIN SOLUTION
    log_z_base = n_hidden * math.log(2) - torch.log(1 - base_means).sum()
    return log_z_base + torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.log_z_estimate(log_z_estimate)
### BEGIN HIDDEN TESTS
checks.log_z_estimate(log_z_estimate, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.3 An honest base model   (core, 10 minutes, two lines)
#
# The least that any model must beat: independent pixels with the right means. Give its score on the test images, in nats per image. Move means outside $[0.001,\,0.999]$ to the nearer end, so that a pixel that
# was never on can be on.

# %% nbgrader={"grade": false, "grade_id": "ex-3-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def baseline(train, test):
    """Mean log-likelihood of the test images under independent pixels.  (N, V), (M, V) of 0/1 -> ()."""
    ### BEGIN SOLUTION
    m = train.mean(0).clamp(0.001, 0.999)
    return (test * m.log() + (1 - test) * (1 - m).log()).sum(1).mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.baseline(baseline)
### BEGIN HIDDEN TESTS
checks.baseline(baseline, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.4 Weigh, then move   (stretch, 25 minutes, seven lines)
#
# One whole run of AIS, for $N$ chains at once. The chains stand at `v`, drawn from the base with logits $a$; `schedule` is a list $t_0=0<\dots<t_K=1$. In step $k$, from $t_k$ to $t_{k+1}$:
# 1. weigh: $\log w\mathrel{+}=\log f_{t_{k+1}}(v)-\log f_{t_k}(v)$, with $\;\log f_t(v)=(1-t)\,a^{\mathsf T}v+t\,b^{\mathsf T}v+\sum_j\log\big(1+e^{t(c+v^{\mathsf T}W)_j}\big)$;
# 2. move: draw $h$, then $v$, from the RBM with weights $t_{k+1}W$, hidden biases $t_{k+1}c$ and visible biases $(1-t_{k+1})a+t_{k+1}b$.
#
# The noise is given: a unit is on where its uniform number is *below* its probability, `u_h[k] < p` and `u_v[k] < p`. Start at $\log w=0$.

# %% nbgrader={"grade": false, "grade_id": "ex-3-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def anneal(W, b, c, a, schedule, v, u_h, u_v):
    """The log-weights of N chains.  v (N, V), u_h (K, N, H), u_v (K, N, V), a (V,) -> (N,)."""
    ### BEGIN SOLUTION
    def log_f(t, v):
        return (1 - t) * (v @ a) + t * (v @ b) + torch.nn.functional.softplus(t * (c + v @ W)).sum(1)

    log_w = torch.zeros(len(v)).double()
    for k, (old, new) in enumerate(zip(schedule[:-1], schedule[1:])):
        log_w += log_f(new, v) - log_f(old, v)
        h = (u_h[k] < torch.sigmoid(new * (c + v @ W))).double()
        v = (u_v[k] < torch.sigmoid((1 - new) * a + new * (b + h @ W.T))).double()
    return log_w
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-4", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.anneal(anneal)
### BEGIN HIDDEN TESTS
checks.anneal(anneal, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.5 Both sides of the truth   (stretch, 20 minutes)
#
# Forward AIS was run $R$ times with $N$ chains, and reverse AIS as often, from exact samples. Row $r$ of each matrix holds the log-weights of run $r$. Give the mean over the runs of both estimates
# of $\log Z$. Remember what a reverse weight estimates: $\mathbb{E}[w]=Z_0/Z$.
#
# Then judge six statements: write `True` or `False` for each `None`.

# %% nbgrader={"grade": false, "grade_id": "ex-3-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bracket(forward, reverse, log_z_base):
    """(mean forward estimate, mean reverse estimate) of log Z.  (R, N), (R, N), log Z_0 -> (), ()."""
    ### BEGIN SOLUTION
    def log_mean_exp(x):
        return torch.logsumexp(x, 1) - math.log(x.shape[1])
    return log_z_base + log_mean_exp(forward).mean(), log_z_base - log_mean_exp(reverse).mean()
    ### END SOLUTION

statements = {"every AIS estimate of log Z lies below log Z": None,
              "the mean of many AIS estimates of log Z lies below log Z": None,
              "with log Z from AIS, a log-likelihood is on average a lower bound": None,
              "reverse AIS from exact samples gives, on average, too large a log Z": None,
              "reverse AIS from a long Gibbs chain bounds log Z from above": None,
              "a short error bar means that log Z is near": None}
### BEGIN SOLUTION
statements = dict(zip(statements, [False, True, False, True, False, False]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.bracket(bracket, statements)
### BEGIN HIDDEN TESTS
checks.bracket(bracket, statements, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.6 Two rankings of two machines   (stretch, 30 minutes, eight lines)
#
# Judge a machine by two measures, both exact, on the images `x`:
# - its **reconstruction error**: draw $h$ from $p(h\mid x)$, predict the pixels from it, $\sigma(b+Wh)$, and take the squared error, summed over the pixels, averaged over $h$ (all $2^H$ of them) and over the images;
# - its mean **log-likelihood** $-F(x)-\log Z$ in nats.
#
# Then use your function on the machines A and B below. Which one has the better (smaller) reconstruction error, which the better likelihood?

# %% nbgrader={"grade": false, "grade_id": "ex-3-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_scores(W, b, c, x):
    """(reconstruction error, mean log-likelihood).  x (N, V) of 0/1 -> (), ()."""
    ### BEGIN SOLUTION
    h = all_states(W.shape[1])
    p_h = torch.softmax((x @ W + c) @ h.T, 1)                                  # (N, 2**H)
    error = ((x[:, None] - torch.sigmoid(b + h @ W.T)) ** 2).sum(2)            # (N, 2**H)
    log_z = torch.logsumexp(h @ c + torch.nn.functional.softplus(h @ W.T + b).sum(1), 0)
    minus_f = x @ b + torch.nn.functional.softplus(x @ W + c).sum(1)
    return (p_h * error).sum(1).mean(), minus_f.mean() - log_z
    ### END SOLUTION

x = (torch.rand(50, 6, generator=torch.Generator().manual_seed(0)) < 0.2).double()   # dark images
A = 12 * torch.eye(6).double(), torch.full((6,), -6.0).double(), torch.full((6,), -6.0).double()
B = torch.zeros(6, 3).double(), torch.full((6,), -1.4).double(), torch.zeros(3).double()
ranking = {"better reconstruction": None, "better likelihood": None}                 # "A" or "B"
### BEGIN SOLUTION
for name, machine in {"A": A, "B": B}.items():
    error, score = two_scores(*machine, x)
    print(f"{name}: reconstruction error {error:.3f}, log-likelihood {score:.3f}")
ranking = {"better reconstruction": "A", "better likelihood": "B"}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-6", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.two_scores(two_scores, ranking)
### BEGIN HIDDEN TESTS
checks.two_scores(two_scores, ranking, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 3.7 Build the perfect cheat   (project, 40 minutes)
#
# Reconstruction error is a measure that one can win without a model. Prove it: give an RBM on $n$ pixels that
# - reconstructs **every** one of the $2^n$ pictures with an error below 0.01, and
# - believes in none: no picture gets a log-likelihood above that of fair coins, $-n\log2$ (0.01 nats more are forgiven).
#
# Use at most 12 hidden units and numbers from −100 to 100. Many answers are right. Three lines are enough; before you write them, take one pixel with one hidden unit and add up the four states.

# %% nbgrader={"grade": false, "grade_id": "ex-3-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cheat(n):
    """W (n, H), b (n,), c (H,) of an RBM that reconstructs everything and knows nothing."""
    ### BEGIN SOLUTION
    s = 24.0           # v = 0: 1 + e^c;  v = 1: e^b (1 + e^(s+c)); equal at b = c = -s/2
    half = torch.full((n,), -s / 2).double()
    return s * torch.eye(n).double(), half, half.clone()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-3-7", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.cheat(cheat)
### BEGIN HIDDEN TESTS
checks.cheat(cheat, seed=1)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-3-7", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your sheet of paper for 3.7
#
# Write down why your machine reconstructs every picture, why none gets more than fair coins, and how large its numbers must be. 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions (folder `solutions/` of the course).
#
# | points | your text |
# |:--|:--|
# | 3 | both are derived from the four states of a pixel and its hidden unit (or from your own construction), and the size of the numbers follows from the 0.01 |
# | 2 | both are derived, but the size of the numbers was only tried out |
# | 1 | one of the two is derived; or both are only checked with numbers |
# | 0 | nothing yet, or a machine that is not the one of the cell above |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-3-7", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Six lines are enough:*
#
# <!-- BEGIN SOLUTION -->
# One hidden unit per pixel, joined by a weight $s$, both biases $-s/2$. Pixels are then independent, and one of them has four states: $(v,h)=(0,0)$ and $(1,1)$ weigh $e^0=e^{s-s/2-s/2}=1$, and $(0,1)$ and $(1,0)$ weigh $e^{-s/2}$.
#
# Both values of $v$ weigh $1+e^{-s/2}$, so every pixel is a fair coin, exactly, for any $s$: every picture gets $-n\log2$.
#
# Write $\varepsilon=\sigma(-s/2)<e^{-s/2}$. Given $v$, the hidden unit disagrees with it with chance $\varepsilon$, and the expected pixel misses $v$ by $\varepsilon$ where they agree, by $1-\varepsilon$ where not: the squared error is $(1-\varepsilon)\varepsilon^2+\varepsilon(1-\varepsilon)^2=\varepsilon(1-\varepsilon)$ per pixel.
#
# For $n$ pixels $n e^{-s/2}<0.01$ is enough, $s>2\log(100n)$: 12.8 for six pixels. A copy machine knows how to repeat, and nothing of what is likely.
# <!-- END SOLUTION -->

# %% [markdown]
# Done? You can now say how good an RBM is, and what the number rests on. The next chapters stack RBMs and use this very measure.
