# %% [markdown]
# # Exercises 5 · Tied weights
#
# Seven exercises for [chapter 5](../../notebooks/05_tied_weights.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("5.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call (the third gives it away). `start_over("5.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 5.1 | The proof, line by line | core | 30 |
# | 5.2 | The moving term | core | 25 |
# | 5.3 | From the top down | core | 15 |
# | 5.4 | More units than pixels | core | 10 |
# | 5.5 | One chain, two names | core | 20 |
# | 5.6 | Tight, then not | stretch | 25 |
# | 5.7 | Project: bound up, likelihood down | project | 45 |
#
# Shapes everywhere: an RBM's `W (V, H)`, `b (V,)` visible, `c (H,)` hidden. `all_states(n)` lists the $2^n$ binary vectors, $(2^n, n)$; tables over states are in its order. Everything is float64; logarithms are natural.

# %% tags=["label-setup"]
import torch
from torch.nn.functional import softplus
from deepgen_lib import checks, hint, start_over
from deepgen_lib import DBN, aggregated_posterior, all_states, random_rbm, tied_rbm
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 5.1 The proof, line by line   (core, 30 minutes, about eight lines)
#
# That a tied DBN *is* its RBM takes three functions. Write them with torch alone.
#
# | function | what it returns |
# |:--|:--|
# | `log_p_h(W, b, c)` | the RBM's own $\log p(h)$ for every hidden state, $(2^H,)$, normalised |
# | `tied(W, b, c)` | weights, visible bias and hidden bias, in this order, of the second RBM that starts tied to it |
# | `log_p_x(W, b, W2, b2, c2)` | $\log p(x)$ for every $x$, $(2^V,)$, of the network with the decoder $P(x\mid h^1)=\sigma(Wh^1+b)$ under the RBM `(W2, b2, c2)` of $h^1$ (visible) and $h^2$ (hidden) |

# %% nbgrader={"grade": false, "grade_id": "ex-5-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_p_h(W, b, c):
    """log p(h) of every hidden state of the RBM.  -> (2**H,)."""
    ### BEGIN SOLUTION
    h = all_states(len(c))
    return (h @ c + softplus(b + h @ W.T).sum(1)).log_softmax(0)
    ### END SOLUTION

def tied(W, b, c):
    """W2, b2, c2 of the second RBM that changes nothing."""
    ### BEGIN SOLUTION
    return W.T, c, b
    ### END SOLUTION

def log_p_x(W, b, W2, b2, c2):
    """log p(x) of every x under decoder (W, b) and second RBM (W2, b2, c2).  -> (2**V,)."""
    ### BEGIN SOLUTION
    x, h1 = all_states(len(b)), all_states(len(b2))
    logits = h1 @ W.T + b                                     # (2**H, V)
    decoder = x @ logits.T - softplus(logits).sum(1)          # log P(x | h1), (2**V, 2**H)
    prior = (h1 @ b2 + softplus(c2 + h1 @ W2).sum(1)).log_softmax(0)
    return (decoder + prior).logsumexp(1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-1", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-D6", "exercise-T1"]
checks.tied_proof(log_p_h, tied, log_p_x)
### BEGIN HIDDEN TESTS
checks.tied_proof(log_p_h, tied, log_p_x, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Put together they are the proof, for any RBM you like. Here `log_p_h(W.T, c, b)` is the RBM's own $\log p(x)$. Why? (Think first; the check's line above says it.)

# %% tags=["label-proof"]
rbm = random_rbm(5, 3, scale=2.0, rng=torch.Generator().manual_seed(4)).requires_grad_(False)
difference = log_p_x(rbm.W, rbm.b, *tied(rbm.W, rbm.b, rbm.c)) - log_p_h(rbm.W.T, rbm.c, rbm.b)
print(f"largest difference of log p(x) below 1e-10: {bool(difference.abs().max() < 1e-10)}")

# %% [markdown]
# ## 5.2 The moving term   (core, 25 minutes, about seven lines)
#
# First predict. The second layer is trained, everything else is frozen. What happens to each of the five: `"moves"` or `"stays"`?
#
# Then compute. The second RBM has `W (n, m)`, `b (n,)` for $h^1$ and `c (m,)` for $h^2$; there are $N$ pictures. Both functions give three tensors, the slopes in `W`, `b` and `c`, in their shapes. By formula or by autograd, as
# you like: do it one way and check it by the other.
#
# | function | slope of what, averaged over the pictures |
# |:--|:--|
# | `slope(W, b, c, q)` | the *bound*. `q (N, 2**n)` holds $Q(h^1\mid x)$, one row for each picture. The chapter has it for one aggregate |
# | `slope_log_p(W, b, c, decoder)` | $\log p(x)$ itself. `decoder (N, 2**n)` holds $\log P(x\mid h^1)$. The chapter does *not* have it; one line is enough, if you call `slope` |

# %% nbgrader={"grade": false, "grade_id": "ex-5-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slope(W, b, c, q):
    """Slope of the mean bound in W, b, c of the second RBM.  q (N, 2**n) -> (n, m), (n,), (m,)."""
    ### BEGIN SOLUTION
    h1 = all_states(len(b))
    h2_on = torch.sigmoid(c + h1 @ W)                          # E[h2 | h1]
    p = (h1 @ b + softplus(c + h1 @ W).sum(1)).softmax(0)
    excess = q.mean(0) - p                                     # aggregated posterior minus prior
    return (excess[:, None] * h1).T @ h2_on, excess @ h1, excess @ h2_on
    ### END SOLUTION

def slope_log_p(W, b, c, decoder):
    """Slope of the mean log p(x) in W, b, c.  decoder (N, 2**n) -> (n, m), (n,), (m,)."""
    ### BEGIN SOLUTION
    posterior = (decoder + log_p_h(W.T, c, b)).softmax(1)      # p(h1 | x), of the whole network
    return slope(W, b, c, posterior)
    ### END SOLUTION

moves = {"reconstruction": None, "prior": None, "entropy": None, "log p(x)": None, "gap": None}
### BEGIN SOLUTION
moves = {"reconstruction": "stays", "prior": "moves", "entropy": "stays",
         "log p(x)": "moves", "gap": "moves"}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-2", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-D7", "exercise-D8"]
checks.moving_term(moves, slope, slope_log_p)
### BEGIN HIDDEN TESTS
checks.moving_term(moves, slope, slope_log_p, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5.3 From the top down   (core, 15 minutes, about four lines)
#
# The top RBM of a deep network gives a prior, `log_p` of shape `(2**n,)`, to its visible layer. Below it lie directed layers, `layers = [(W, b), ...]`, listed **from the top down** (other than in `DBN`, which lists from the bottom up),
# `W` (lower, upper), `b` (lower,): each lower unit is on with probability $\sigma(Wh^{\text{upper}}+b)$. Write `log_p_bottom(log_p, layers)`: $\log p(x)$ of every $x$, the states of the lowest layer.

# %% nbgrader={"grade": false, "grade_id": "ex-5-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_p_bottom(log_p, layers):
    """log p of every state of the lowest layer.  (2**n_top,), [(W, b), ...] -> (2**n_0,)."""
    ### BEGIN SOLUTION
    for W, b in layers:
        logits = all_states(W.shape[1]) @ W.T + b              # one row per upper state
        decoder = all_states(W.shape[0]) @ logits.T - softplus(logits).sum(1)
        log_p = (decoder + log_p).logsumexp(1)
    return log_p
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-D9"]
checks.prior_recursion(log_p_bottom)
### BEGIN HIDDEN TESTS
checks.prior_recursion(log_p_bottom, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5.4 More units than pixels   (core, 10 minutes, about four lines)
#
# A second layer may have *more* units than $x$ has pixels, and still start tied. Write `padded(W, b, c, n_hidden)`: `W2 (H, n_hidden)`, `b2 (H,)`, `c2 (n_hidden,)` of a second RBM that leaves $p(x)$ as it is,
# for any `n_hidden` at least $V$. The check compares $\log p(x)$ of the whole network, so every right start is accepted. Is there a choice that you are free to make?

# %% nbgrader={"grade": false, "grade_id": "ex-5-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def padded(W, b, c, n_hidden):
    """W2 (H, n_hidden), b2 (H,), c2 (n_hidden,) of a tied start with extra units."""
    ### BEGIN SOLUTION
    W2, c2 = torch.zeros(len(c), n_hidden), torch.zeros(n_hidden)
    W2[:, :len(b)], c2[:len(b)] = W.T, b
    return W2, c, c2        # free to choose: the extra units' biases
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-T1"]
checks.padded_start(padded)
### BEGIN HIDDEN TESTS
checks.padded_start(padded, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5.5 One chain, two names   (core, 20 minutes, about five lines)
#
# Sample from the *tied* DBN of the RBM `(W, b, c)`. Start at `h` `(N, H)`, states of $h^1$; make $k$ turns $h^1\to h^2\to h^1$ in the top RBM, then one step down to $x$. The noise is given: in turn $s$ the units of $h^2$ are on where
# `u_up[s] < p`, those of $h^1$ where `u_down[s] < p`, and at the end $x$ where `u_x < p`. `u_up (k, N, V)`, `u_down (k, N, H)`, `u_x (N, V)`. Return `x (N, V)`. States are float64, as in `(u < p).double()`.
#
# Before you run it: which chain of the RBM uses the same numbers in the same order?

# %% nbgrader={"grade": false, "grade_id": "ex-5-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sample_tied_dbn(W, b, c, h, u_up, u_down, u_x):
    """k turns in the tied top RBM, then one step down.  -> x (N, V)."""
    ### BEGIN SOLUTION
    for up, down in zip(u_up, u_down):
        h2 = (up < torch.sigmoid(b + h @ W.T)).double()
        h = (down < torch.sigmoid(c + h2 @ W)).double()
    return (u_x < torch.sigmoid(b + h @ W.T)).double()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-T2"]
checks.tied_chain(sample_tied_dbn)
### BEGIN HIDDEN TESTS
checks.tied_chain(sample_tied_dbn, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 5.6 Tight, then not   (stretch, 25 minutes, about nine lines)
#
# A second layer was trained for $T$ steps. You get `decoder (N, K)`, $\log P(x\mid h^1)$ of $N$ pictures and all $K$ states of $h^1$; `q (N, K)`, the posterior of the first RBM, frozen; and `log_priors (T, K)`, $\log p(h^1)$ at every
# step, first the tied start. Write `three_curves(decoder, q, log_priors)`: for each step the means over the pictures of $\log p(x)$, of the bound and of $\mathrm{KL}\big(q\,\Vert\,p(h^1\mid x)\big)$, shape `(T, 3)`. Compute the KL
# from the posterior, not as a difference: then $\log p(x)$ = bound + KL is something that you *see*, not something that you put in.

# %% nbgrader={"grade": false, "grade_id": "ex-5-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def three_curves(decoder, q, log_priors):
    """log p(x), bound and KL(q || posterior), means over the pictures.  -> (T, 3)."""
    ### BEGIN SOLUTION
    rows = []
    for log_prior in log_priors:
        joint = decoder + log_prior                            # log p(x, h1), (N, K)
        log_p = joint.logsumexp(1)
        bound = (q * (joint - q.log())).sum(1)
        log_posterior = joint - log_p[:, None]
        kl = (q * (q.log() - log_posterior)).sum(1)
        rows.append(torch.stack([log_p, bound, kl]).mean(1))
    return torch.stack(rows)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-T3", "exercise-T4"]
checks.three_curves(three_curves)
### BEGIN HIDDEN TESTS
checks.three_curves(three_curves, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# See it on a small RBM and three pictures, while the prior goes in five steps from the tied start to $\bar q$, where training would take it. In which row is the KL zero?

# %% tags=["label-three-curves"]
rbm = random_rbm(4, 3, scale=2.0, rng=torch.Generator().manual_seed(5)).requires_grad_(False)
x, h1 = all_states(4)[[1, 6, 12]], all_states(3)
decoder = x @ (h1 @ rbm.W.T + rbm.b).T - softplus(h1 @ rbm.W.T + rbm.b).sum(1)
tied_start = log_p_h(rbm.W, rbm.b, rbm.c)
q = (decoder + tied_start).softmax(1)
log_priors = [((1 - s) * tied_start.exp() + s * q.mean(0)).log() for s in (0, 0.25, 0.5, 0.75, 1)]
print("log p(x)   bound      KL")
for row in three_curves(decoder, q, torch.stack(log_priors)):
    print("  ".join(f"{value:8.4f}" for value in row.where(row.abs() > 1e-10, 0)))

# %% [markdown]
# ## 5.7 Project: bound up, likelihood down   (project, 45 minutes, about fifteen lines)
#
# Break the promise yourself. Find three RBMs and data such that training a third layer, tied to the second at the start, lets the bound **rise** by at least 0.01 nats and $\log p(x)$, averaged over the data, **fall** by at
# least 0.01 nats. Layers of at most six units. The answer is a dictionary: `first`, `second`, `third` (the third RBM *after* training) and `x` (B, V). The check makes the tied start itself. Search for a network of your own, not the
# lecture's; how you find the third RBM is up to you.
#
# | what you need | |
# |:--|:--|
# | `random_rbm(n, m, scale=..., rng=rng)`, `tied_rbm(second)` | RBMs; add `.requires_grad_(False)` to train them by hand, `third.W += ...` |
# | `aggregated_posterior(DBN([first, second, third]), x, level=2)` | the target of the third layer, shape `(2**n,)` |
# | `slope(third.W, third.b, third.c, target[None])` | the way up, from 5.2; `[None]` makes the target one row |
# | `gains(first, second, third, x)` | below: what the third layer has done to bound and $\log p(x)$. A `DBN` holds *copies* of its RBMs, so a network made before the training does not notice it: `gains` builds a new one |

# %% tags=["label-gains"]
def gains(first, second, third, x):
    """Change of the bound and of log p(x), means over x, from the tied start to `third`."""
    old = DBN([first, second, tied_rbm(second, n_hidden=third.n_hidden)])
    new = DBN([first, second, third])                          # copies: built after the training
    bound = (new.bound(x).total - old.bound(x).total).mean().item()
    return bound, (new.log_likelihood(x) - old.log_likelihood(x)).mean().item()

# %% nbgrader={"grade": false, "grade_id": "ex-5-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
broken = {"first": None, "second": None, "third": None, "x": None}
### BEGIN SOLUTION
def candidate(seed, n_steps=60):
    """log p(x)'s change by the third layer of random network number `seed`, and the network."""
    rng = torch.Generator().manual_seed(seed)
    first, second = (random_rbm(n, m, scale=2.0, rng=rng) for n, m in ((4, 3), (3, 4)))
    x = all_states(4)[torch.randperm(16, generator=rng)[:2]]
    third = tied_rbm(second).requires_grad_(False)
    target = aggregated_posterior(DBN([first, second, third]), x, level=2).detach()
    for _ in range(n_steps):
        way_up = slope(third.W, third.b, third.c, target[None])
        for parameter, s in zip((third.W, third.b, third.c), way_up):
            parameter += 0.2 * s
    return gains(first, second, third, x)[1], {"first": first, "second": second, "third": third, "x": x}

fall, broken = min((candidate(seed) for seed in range(10, 20)), key=lambda pair: pair[0])
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-5-7", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false} tags=["exercise-T5"]
checks.break_it(broken)
### BEGIN HIDDEN TESTS
checks.break_it(broken, seed=1)
### END HIDDEN TESTS

# %% tags=["label-project-report"]
bound_gain, log_p_gain = gains(**broken)
print(f"bound {bound_gain:+.3f} nats, log p(x) {log_p_gain:+.3f} nats")

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-5-7", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your three sentences on 5.7
#
# Why can this not happen with a second layer? What would you have to do to the first two layers to make it rarer? Would you see it on MNIST, where only the bound can be computed?
#
# Name the claims you lean on (T3, T4, T5). 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the course's `solutions/`.
#
# | points | your text |
# |:--|:--|
# | 3 | all three questions are answered, and the first answer names what is equal at the start with a second layer and what is not with a third |
# | 2 | the first answer is right, and one of the other two |
# | 1 | one answer is right; or the first says only that the bound was tight, without what follows for $\log p(x)$ |
# | 0 | nothing yet, or it repeats the numbers of the cell above |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-5-7", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Three sentences:*
#
# <!-- BEGIN SOLUTION -->
# With a second layer the bound is tight at the tied start (T3), and $\log p(x)$ is the bound plus a divergence that cannot fall below zero: when the bound rises, $\log p(x)$ rises at least as much (T5).
# Below a third layer the gap is open already (T4), and training may close it, so that the bound rises while $\log p(x)$ falls; the less the second RBM has moved from its tied start, or the better $q$ is repaired (chapter 6), the smaller the gap that can close.
# On MNIST $\log p(x)$ is out of reach, and nothing that can be computed exactly would show the fall; one would need an estimate of it that does not lean on the bound.
# <!-- END SOLUTION -->
