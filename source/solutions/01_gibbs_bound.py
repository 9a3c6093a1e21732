# %% [markdown]
# # Exercises 1 · The Gibbs bound
#
# Six exercises for [chapter 1](../../notebooks/01_gibbs_bound.ipynb). Where a cell says `raise NotImplementedError()`, put your
# lines in its place; where it says `None`, put your answer there. Run the cell, then the check below it. A check accepts every right answer, however
# it is written, and says what a wrong one looks like.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 1.1 | One number, three ways | core | 15 |
# | 1.2 | The gap that stays | core | 20 |
# | 1.3 | EM audit: who moved what? | core | 15 |
# | 1.4 | The M-step is an average | core | 10 |
# | 1.5 | The E-step, without underflow | stretch | 15 |
# | 1.6 | Project: choose a model you may believe | project | 60 |
#
# Stuck? `hint("1.1")` gives a nudge, once more an equation, once more pseudo-code. `start_over("1.1")` brings the untouched cell back.

# %% tags=["label-setup"]
import torch
from deepgen_lib import checks, gibbs_bound, hint, plots, start_over
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 1.1 One number, three ways   (core, 15 minutes)
#
# Code the bound in the three forms of B1, B4 and B3. They must agree, so each one checks the others. One or two lines each.
#
# | function | formula | arguments |
# |:--|:--|:--|
# | `energy_and_entropy` | $\mathbb{E}_q[f]+H(q)$ | $f=\log p(x,h)$ and $q$, both `(B, K)` |
# | `reconstruction_and_prior` | $\mathbb{E}_q[\log p(x\mid h)]-\mathrm{KL}(q\,\Vert\,p(h))$ | $\log p(x\mid h)$ `(B, K)`, $\log p(h)$ `(K,)`, $q$ `(B, K)` |
# | `log_p_and_gap` | $\log p(x)-\mathrm{KL}(q\,\Vert\,p(h\mid x))$ | $f$ and $q$, both `(B, K)` |
#
# Each returns one number per row, `(B,)`. The point is to write it with torch alone, without the functions of the library; no check looks
# how you did it. Some $q$ contain zeros.

# %% nbgrader={"grade": false, "grade_id": "ex-1-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def energy_and_entropy(f, q):
    """E_q[f] + H(q).  (B, K), (B, K) -> (B,)."""
    ### BEGIN SOLUTION
    return (q * f).sum(-1) - torch.special.xlogy(q, q).sum(-1)
    ### END SOLUTION

def reconstruction_and_prior(log_likelihood, log_prior, q):
    """E_q[log p(x|h)] - KL(q || p(h)).  (B, K), (K,), (B, K) -> (B,)."""
    ### BEGIN SOLUTION
    kl = torch.special.xlogy(q, q).sum(-1) - (q * log_prior).sum(-1)
    return (q * log_likelihood).sum(-1) - kl
    ### END SOLUTION

def log_p_and_gap(f, q):
    """log p(x) - KL(q || p(h|x)).  (B, K), (B, K) -> (B,)."""
    ### BEGIN SOLUTION
    kl = torch.special.xlogy(q, q).sum(-1) - (q * f.log_softmax(-1)).sum(-1)
    return f.logsumexp(-1) - kl
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-B1", "exercise-B4"]
checks.three_forms(energy_and_entropy, reconstruction_and_prior, log_p_and_gap)
### BEGIN HIDDEN TESTS
checks.three_forms(energy_and_entropy, reconstruction_and_prior, log_p_and_gap, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.2 The gap that stays   (core, 20 minutes, about five lines)
#
# Exactly one of two switches is on, each with probability one half, and we do not know which: $p(h_1,h_2\mid x)$ is 1/2 at 01 and at 10. This is
# XOR. We only allow products, $q(h_1,h_2)=q_1(h_1)\,q_2(h_2)$, given by two numbers $a=q(h_1{=}1)$ and $b=q(h_2{=}1)$.
#
# **First** write `best_product(log_joint)`: the $(a,b)$ with the largest bound, for any `log_joint` of shape `(2, 2)` (rows are $h_1=0,1$, columns $h_2=0,1$).
# - A fine grid will do, all its points in one tensor: a loop over 201 × 201 of them takes a minute.
# - You may use `gibbs_bound(log_joint.flatten(), q)`, with $q$ in the order 00, 01, 10, 11.
# - The check tries XOR and two other tables. Its XOR is softened, so that no logarithm is infinite: `log_joint` is $\log\frac12$ at 01 and 10, and −20 (not
#   $-\infty$) at 00 and 11, a probability of $2\cdot10^{-9}$.
# - Your $(a,b)$ is right when its gap is within 0.01 nats of the smallest.
#
# **Then** say what the best product misses on XOR: `xor_gap`, in nats, to three decimals. Predict it before you compute it.

# %% nbgrader={"grade": false, "grade_id": "ex-1-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_product(log_joint):
    """Chances (a, b) of h1, h2: the product with the largest bound.  (2, 2) -> (2,)."""
    ### BEGIN SOLUTION
    on = torch.linspace(0, 1, 201)
    pairs = [torch.outer(a, b) for a in (1 - on, on) for b in (1 - on, on)]
    q = torch.stack(pairs, -1)                          # (201, 201, 4)
    row, column = divmod(int(gibbs_bound(log_joint.flatten(), q).argmax()), 201)
    return torch.stack([on[row], on[column]])
    ### END SOLUTION

xor_gap = None  # a number, in nats
### BEGIN SOLUTION
xor_gap = 0.6931  # log 2: q sits on one of two equally likely states, each of log(1/2)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-B3"]
checks.best_product(best_product, xor_gap)
### BEGIN HIDDEN TESTS
checks.best_product(best_product, xor_gap, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Look at it: two summits, one for each explanation, and a saddle near (1/2, 1/2) between them. A product has to choose. (The two explanations have 0.498 and 0.500
# here, so that it is clear which one is starred.)

# %% tags=["label-xor-picture"]
xor = torch.log(torch.tensor([[0.001, 0.498], [0.500, 0.001]]))
says = "XOR: the best product holds one of the two explanations."
plots.gibbs_bound.product_landscape(xor, says=says)

# %% [markdown]
# ## 1.3 EM audit: who moved what?   (core, 15 minutes, about six lines)
#
# Before an E-step the bound may be loose, because $q$ is old. The E-step renews $q$, the M-step then renews the model. Write
# `audit(mixture, x, q_old)`: the change of the **bound** and of the **log-likelihood**, means per picture, in each half-step. Return `(2, 2)`:
#
# | | bound | log-likelihood |
# |:--|:--|:--|
# | **E** (`q_old` becomes `e_step(mixture, x)`) | ? | ? |
# | **M** (`mixture` becomes `m_step(x, q)`) | ? | ? |
#
# One of the four is zero whatever the data. Which? (Compute it or write 0: both pass.) `mixture_bound(mixture, x, q)` gives the bound of each picture.

# %% nbgrader={"grade": false, "grade_id": "ex-1-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
from deepgen_lib import e_step, m_step
from deepgen_lib.mixture import mixture_bound

def audit(mixture, x, q_old):
    """Changes of (bound, log-likelihood) in E, then M, per picture.  -> (2, 2)."""
    ### BEGIN SOLUTION
    q = e_step(mixture, x)
    new = m_step(x, q)
    moments = [(mixture, q_old), (mixture, q), (new, q)]
    levels = [[mixture_bound(m, x, r).mean(), m.log_likelihood(x).mean()]
              for m, r in moments]
    return torch.tensor(levels).diff(dim=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-B2", "exercise-B3"]
checks.em_audit(audit)
### BEGIN HIDDEN TESTS
checks.em_audit(audit, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.4 The M-step is an average   (core, 10 minutes, two lines)
#
# With $q$ fixed, the bound of a mixture of Bernoullis is largest at
# $$\pi_k=\frac1N\sum_n q_{nk},\qquad m_{ki}=\frac{\sum_n q_{nk}\,x_{ni}}{\sum_n q_{nk}}.$$
# Write `my_m_step(x, q)`, which returns `(weights, means)` of shapes `(K,)` and `(K, V)`, for pictures `x` `(N, V)` and shares `q` `(N, K)`.

# %% nbgrader={"grade": false, "grade_id": "ex-1-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_m_step(x, q):
    """Weights (K,), means (K, V): the largest bound for fixed q.  (N, V), (N, K)."""
    ### BEGIN SOLUTION
    counts = q.sum(0)                                   # (K,) pictures per component
    return counts / len(x), q.T @ x / counts[:, None]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.my_m_step(my_m_step)
### BEGIN HIDDEN TESTS
checks.my_m_step(my_m_step, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.5 The E-step, without underflow   (stretch, 15 minutes)
#
# By B1 the best $q$ is $e^{f_k}/Z$. For a digit $f_k\approx-200$, and for a hard one −900, where `exp` gives zero and $q$ becomes 0/0. Write
# `my_e_step(f)` for `f` of shape `(B, K)`, which returns $q$ `(B, K)` and $\log p(x)$ `(B,)`. The point is to write it with `exp`, `log`, `max` and `sum`;
# a ready-made function that does it all would pass the check, and teach you nothing. Three lines.

# %% nbgrader={"grade": false, "grade_id": "ex-1-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_e_step(f):
    """The best q and log p(x) of each row, safe for any f.  (B, K) -> (B, K), (B,)."""
    ### BEGIN SOLUTION
    top = f.max(1, keepdim=True).values                 # each row its own
    log_p = top + (f - top).exp().sum(1, keepdim=True).log()
    return (f - log_p).exp(), log_p[:, 0]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-B1"]
checks.my_e_step(my_e_step)
### BEGIN HIDDEN TESTS
checks.my_e_step(my_e_step, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 1.6 Project: choose a model you may believe   (project, 60 minutes)
#
# In the lecture, 200 components on 1,000 digits scored −102 nats on the digits they were fitted to and −232 on new ones. Do better, honestly: three sets, three
# jobs. The training set fits, the validation set chooses, the test set reports, once.
#
# Two things can be chosen: the number of components $K$, and the *smoothing* $s$, which adds $s$ imagined pictures with a pixel on and $s$ with it off to
# every pixel of every component, so that no mean is 0 or 1: $m_{ki}=\big(\sum_nq_{nk}x_{ni}+s\big)\big/\big(\sum_nq_{nk}+2s\big)$.
#
# **First**, write `validation_scores(train, valid, candidates)`: for each pair $(K, s)$ of the list `candidates` the mean log-likelihood of `valid` under
# `fit_em(train, n_components=K, n_steps=20, smoothing=s, rng=torch.Generator().manual_seed(0)).mixture`. Returns one number per pair.

# %% nbgrader={"grade": false, "grade_id": "ex-1-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
from deepgen_lib import fit_em

def validation_scores(train, valid, candidates):
    """Mean log p(x) of valid for each (K, s), fitted on train.  -> (n_candidates,)."""
    ### BEGIN SOLUTION
    scores = []
    for n_components, smoothing in candidates:
        rng = torch.Generator().manual_seed(0)
        result = fit_em(train, n_components=n_components, n_steps=20,
                        smoothing=smoothing, rng=rng)
        scores.append(result.mixture.log_likelihood(valid).mean())
    return torch.stack(scores)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-1-6", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.validation_scores(validation_scores)
### BEGIN HIDDEN TESTS
checks.validation_scores(validation_scores, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# **Then** use it: 1,000 training digits, the first 2,000 of the validation set, and candidates of your own (each takes one to four seconds). Widen the list where its
# best lies at an edge. Report one test score. A score worse (more negative) than −165 means that you have not looked far yet; −160 or better is good.
#
# **Last**, in three sentences:
# 1. What does $s$ mend that a smaller $K$ does not?
# 2. Why do the validation and the test score differ, and in which direction does choosing on the validation set bias its score? (Your own difference may well point
#    the other way: the mean of 2,000 scores has a standard error of about 1.1 nats.)
# 3. What if you had chosen by the test set?

# %% tags=["label-project-data"]
from deepgen_lib import load_mnist

train = load_mnist("train", binarisation="fixed").images[:1000].double()
valid = load_mnist("valid", binarisation="fixed").images[:2000].double()

# %% nbgrader={"grade": false, "grade_id": "ex-1-6-digits", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["rtol-0.01"]
# pairs (K, s), for example  candidates = [(20, 0.0), (20, 0.05)]
### BEGIN SOLUTION
candidates = [(20, 0.0), (20, 0.05), (50, 0.0), (50, 0.05), (50, 0.5), (100, 0.05)]
### END SOLUTION
scores = validation_scores(train, valid, candidates)
names = [f"K = {k}, s = {s}" for k, s in candidates]
rows = {name: [score] for name, score in zip(names, scores)}
plots.table(rows, columns=["validation, nats"], digits=1)

# %% tags=["label-project-report", "rtol-0.01"]
k, s = candidates[int(torch.as_tensor(scores).argmax())]
generator = torch.Generator().manual_seed(0)
chosen = fit_em(train, n_components=k, n_steps=20, smoothing=s, rng=generator).mixture
test = load_mnist("test", binarisation="fixed").images.double()
score = chosen.log_likelihood(test).mean()
print(f"K = {k}, s = {s}: test score {score:.1f} nats per image")

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-1-6", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your three sentences on 1.6
#
# 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions (folder `solutions/` of the course).
#
# | points | your text |
# |:--|:--|
# | 3 | all three questions are answered, each with its reason, and a number of your own table or score supports at least one of them |
# | 2 | two answers hold with their reasons; the third is missing, or says what happens but not why |
# | 1 | one answer holds with its reason, or all three are claimed without any |
# | 0 | nothing yet, or about something else |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-1-6", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Three sentences:*
#
# <!-- BEGIN SOLUTION -->
# A smaller $K$ gives each component more digits, but it still has pixels that none of its digits had on, and one drop of ink there costs up to 13.8 nats; smoothing mends exactly this and keeps the shapes, so $s$ helps at every $K$.
# The two scores differ because the two sets hold other digits (here those of the test set happen to be a little easier, within the standard error of 1.1 nats), and choosing the best of several candidates pushes the validation score upwards, since part of what made it the best is luck.
# Had the test set chosen, its own score would hold that luck, and no set would be left to tell how much of it is luck.
# <!-- END SOLUTION -->
