# %% [markdown]
# # Exercises 6 · Up and down
#
# Seven exercises for [chapter 6](../../notebooks/06_up_down.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("6.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call. `start_over("6.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 6.1 | Who moves whom? | core | 15 |
# | 6.2 | Which divergence? | core | 20 |
# | 6.3 | Where sleep ends | stretch | 20 |
# | 6.4 | A bound with its error bar | core | 15 |
# | 6.5 | What a unit looks for | stretch | 25 |
# | 6.6 | One hundred labels | stretch | 35 |
# | 6.7 | Better likelihood, useless features | project | 40 |
#
# Shapes everywhere: `W (n_0, n_1)` generative, `R (n_0, n_1)` recognition, `b (n_0,)`, `c (n_1,)`, pictures `(N, n_0)`. Units are 0 or 1. Everything is float64; logarithms are natural.

# %% tags=["label-setup"]
import math
import torch
from deepgen_lib import checks, hint, start_over
torch.set_num_threads(1)

# %% [markdown]
# ## 6.1 Who moves whom?   (core, 15 minutes, six lines)
#
# One directed pair of layers: $P(x_i=1\mid h)=\sigma(Wh+b)_i$ downwards, $Q(h_j=1\mid x)=\sigma(R^{\mathsf T}x+c)_j$ upwards. Awake, the data `x` were recognised as `h`. Asleep, the network dreamt the pairs `x_dream`, `h_dream`. Give one
# step of the up-down algorithm for each of $W,b,R,c$: the direction, averaged over the batch, without a rate. Every learner predicts by its own weights and learns from what it missed.

# %% nbgrader={"grade": false, "grade_id": "ex-6-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def who_moves(W, b, R, c, x, h, x_dream, h_dream):
    """(dW, db, dR, dc), uphill.  x (N, n_0), h (N, n_1) awake; x_dream, h_dream asleep."""
    ### BEGIN SOLUTION
    missed_x = x - torch.sigmoid(h @ W.T + b)                     # awake: generation learns
    dW, db = missed_x.T @ h / len(x), missed_x.mean(0)
    missed_h = h_dream - torch.sigmoid(x_dream @ R + c)           # asleep: recognition learns
    dR, dc = x_dream.T @ missed_h / len(x), missed_h.mean(0)
    return dW, db, dR, dc
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-U1"]
checks.who_moves(who_moves)
### BEGIN HIDDEN TESTS
checks.who_moves(who_moves, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 6.2 Which divergence?   (core, 20 minutes, four lines and five answers)
#
# A tiny model is given as a table of $p(x,h)$, one row for each $x$, one column for each $h$; recognition as a table of $q(h\mid x)$. Give both divergences, each averaged over $x\sim p(x)$:
# $\;\mathrm{KL}(p(h\mid x)\,\Vert\,q(h\mid x))\;$ and $\;\mathrm{KL}(q(h\mid x)\,\Vert\,p(h\mid x))$.
#
# Then answer: `"KL(p||q)"` or `"KL(q||p)"`; `"the data"` or `"the model"`; `True` or `False`.

# %% nbgrader={"grade": false, "grade_id": "ex-6-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_kls(joint, q):
    """(KL(p||q), KL(q||p)), means under p(x).  (X, K), (X, K) -> (), ()."""
    ### BEGIN SOLUTION
    p_x = joint.sum(1)
    p = joint / p_x[:, None]
    log_ratio = (p / q).log()
    return p_x @ (p * log_ratio).sum(1), -(p_x @ (q * log_ratio).sum(1))
    ### END SOLUTION

answers = {"exact sleep steps lower": None,
           "the gap of the bound is": None,
           "asleep, x comes from": None,
           "a sleep step may lower the bound": None,
           "if q can be the posterior of every x, sleep's best q closes the gap": None}
### BEGIN SOLUTION
answers = dict(zip(answers, ["KL(p||q)", "KL(q||p)", "the model", True, True]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-U1"]
checks.which_kl(two_kls, answers)
### BEGIN HIDDEN TESTS
checks.which_kl(two_kls, answers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 6.3 Where sleep ends   (stretch, 20 minutes, four lines)
#
# Two causes, and the posterior of one picture as a table: rows $h_1=0,1$, columns $h_2=0,1$. Recognition treats the causes one by one, $q(h)=q_1(h_1)\,q_2(h_2)$, and sleeps until $\mathrm{KL}(p\,\Vert\,q)$ is as small as it gets. Give the two chances
# $q_1(1),q_2(1)$ at which it ends, and the gap that the bound then has. For two strict rivals, half and half, expect a gap above one nat, where a bet on one of them costs only $\log2$.

# %% nbgrader={"grade": false, "grade_id": "ex-6-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def where_sleep_ends(posterior):
    """(chances of being on (2,), gap of the bound).  posterior (2, 2) -> (2,), ()."""
    ### BEGIN SOLUTION
    first, second = posterior[1].sum(), posterior[:, 1].sum()
    q = torch.outer(torch.stack([1 - first, first]), torch.stack([1 - second, second]))
    return torch.stack([first, second]), (q * (q / posterior).log()).sum()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-U1"]
checks.where_sleep_ends(where_sleep_ends)
### BEGIN HIDDEN TESTS
checks.where_sleep_ends(where_sleep_ends, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 6.4 A bound with its error bar   (core, 15 minutes, four lines)
#
# For each of $N$ test images you have $S$ draws of $h\sim q$, and for each draw the number $\ell_{ns}=\log P(x_n\mid h)-F_{\text{top}}(h)-\log q(h\mid x_n)$. AIS gave $\log Z$ with a standard error. Give the bound in nats per image, and *its* standard error from both
# sources: other images would give another mean, and $\log Z$ may be off.

# %% nbgrader={"grade": false, "grade_id": "ex-6-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bound_with_error(log_weights, log_z, log_z_error):
    """(bound, its standard error).  log_weights (N, S), two numbers -> (), ()."""
    ### BEGIN SOLUTION
    images = log_weights.mean(1)
    from_images = images.std() / math.sqrt(len(images))
    return images.mean() - log_z, (from_images**2 + log_z_error**2) ** 0.5
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.bound_with_error(bound_with_error)
### BEGIN HIDDEN TESTS
checks.bound_with_error(bound_with_error, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 6.5 What a unit looks for   (stretch, 25 minutes, five lines)
#
# Two layers of recognition, $p=\sigma(W_1^{\mathsf T}x+c_1)$ and above it units with logits $a=W_2^{\mathsf T}p+c_2$. Show what one unit of the upper layer looks for, in two ways:
# 1. `combine`: the sum of the first layer's filters, each with the weight that the unit gives it;
# 2. `maximise`: `n_steps` steps of ascent on its logit over pictures, $x\leftarrow x+\text{rate}\cdot\nabla_xa$, back into $[0,1]$ after each.

# %% nbgrader={"grade": false, "grade_id": "ex-6-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def combine(W1, W2, unit):
    """(V, H1), (H1, H2), a number -> (V,)."""
    ### BEGIN SOLUTION
    return W1 @ W2[:, unit]
    ### END SOLUTION

def maximise(W1, c1, W2, unit, x, n_steps, rate):
    """The picture after the last step.  x (V,) in [0, 1] -> (V,)."""
    ### BEGIN SOLUTION
    for _ in range(n_steps):
        p = torch.sigmoid(x @ W1 + c1)
        x = (x + rate * W1 @ (p * (1 - p) * W2[:, unit])).clamp(0, 1)
    return x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-F1"]
checks.what_it_seeks(combine, maximise)
### BEGIN HIDDEN TESTS
checks.what_it_seeks(combine, maximise, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 6.6 One hundred labels   (stretch, 35 minutes, four lines and five answers)
#
# The quickest linear classifier is least squares with a penalty: centre the features by the *training* mean $m$, $X=F-m$; let $Y$ hold the labels as one-hot rows. Then
# $$W=(X^{\mathsf T}X+\lambda I)^{-1}X^{\mathsf T}Y,\qquad\text{scores of a test row }f:\;(f-m)^{\mathsf T}W+\bar y,\qquad\bar y\text{ the mean row of }Y.$$

# %% nbgrader={"grade": false, "grade_id": "ex-6-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def probe(train, labels, test, strength):
    """Scores of the ten classes for each test row.  (N, F), (N,) int64, (M, F), lambda -> (M, 10)."""
    ### BEGIN SOLUTION
    m, y = train.mean(0), torch.eye(10).double()[labels]
    x = train - m
    W = torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1]).double(), x.T @ y)
    return (test - m) @ W + y.mean(0)
    ### END SOLUTION

# %% [markdown]
# Now use it: 100 labelled images, ten of each digit, and the unlabelled network of the chapter. Whole networks are trained below, from the DBN and from random weights.

# %% tags=["label-hundred"]
from deepgen_lib import DBN, RBM, load_mnist, load_model
from deepgen_lib.data import EMBEDDED

shipped = EMBEDDED / "checkpoints"
lower = load_model(shipped / "rbm500_long.safetensors", RBM(784, 500))
top = load_model(shipped / "dbn_500_2000.safetensors", RBM(500, 2000))
dbn = DBN([lower, top]).double().requires_grad_(False)
train, test = (load_mnist(s, binarisation="sampled", seed=0) for s in ("train", "test"))
rows = torch.cat([(train.labels == k).nonzero()[:10, 0] for k in range(10)])
x, y = train.images[rows].double(), train.labels[rows]
x_test, y_test = test.images[::4].double(), test.labels[::4]

# %% nbgrader={"grade": false, "grade_id": "ex-6-6b", "locked": false, "schema_version": 3, "solution": true, "task": false}
def error(scores):
    """Share of test images whose largest score is wrong."""
    return (scores.argmax(1) != y_test).double().mean().item()

### BEGIN SOLUTION
views = {"pixels": lambda v: v, "h1": lambda v: dbn.features(v, 1), "h2": lambda v: dbn.features(v, 2)}
for name, view in views.items():
    print(f"{name}: {error(probe(view(x), y, view(x_test), 3.0)):.2f}")
### END SOLUTION

# %% tags=["label-hundred-networks", "atol-0.03"]
from deepgen_lib import AdamOptions, GradientTrainer, fit
from deepgen_lib.labels import labelled_rows
from deepgen_lib.mlp import MLP

starts = {"from the DBN": lambda g: MLP.from_dbn(dbn.float(), 10, rng=g),
          "from random weights": lambda g: MLP((784, 500, 2000), 10, rng=g)}
for name, start in starts.items():
    g = torch.Generator().manual_seed(0)
    mlp = start(g)
    fit(GradientTrainer(mlp, AdamOptions()), labelled_rows(x.float(), y, 10), n_updates=60, rng=g)
    print(f"{name}: {mlp.error(x_test.float(), y_test):.2f}")

# %% nbgrader={"grade": false, "grade_id": "ex-6-6c", "locked": false, "schema_version": 3, "solution": true, "task": false}
found = {"the start at the DBN makes fewer errors than the random one": None,
         "most errors on 100 labels": None,                 # "pixels", "h1", "h2"
         "greedy training has seen the labels": None,
         "the strength may be chosen on the test images": None,
         "a better bound means better features": None}
### BEGIN SOLUTION
found = dict(zip(found, [True, "pixels", False, False, False]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-6", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-F2", "exercise-F3"]
checks.hundred_labels(probe, found)
### BEGIN HIDDEN TESTS
checks.hundred_labels(probe, found, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 6.7 Better likelihood, useless features   (project, 40 minutes, six lines and a sheet of paper)
#
# All $2^n$ pictures of $n$ pixels are equally frequent; the class of a picture is whether an *odd* number of its pixels is on. Build two RBMs $(W,b,c)$, such that
# - A has a mean log-likelihood at least 0.1 nats better than B's;
# - from A's features $\sigma(W^{\mathsf T}x+c)$ a linear classifier gets at least three pictures in ten wrong;
# - from B's features it gets every one right.
#
# Use 1 to 12 hidden units and numbers from −100 to 100. Many answers are right. Before you write code: what would B's units have to tell?

# %% nbgrader={"grade": false, "grade_id": "ex-6-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
def opposites(n):
    """(A, B), each (W (n, H), b (n,), c (H,))."""
    ### BEGIN SOLUTION
    zero = torch.zeros(n).double()
    A = torch.zeros(n, n).double(), zero, zero                  # knows that all are equally frequent
    s = 20.0                                                    # B: unit j: more than j pixels are on
    B = torch.full((n, n), s).double(), zero, -s * (torch.arange(n).double() + 0.5)
    return A, B
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-6-7", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-F4"]
checks.opposites(opposites)
### BEGIN HIDDEN TESTS
checks.opposites(opposites, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Done? You have seen a deep network of 2006 from the inside: its bound, its dreams, its units and its use. The next chapter gives it eyes for whole pictures.
