# %% [markdown]
# # Exercises 4 · Deep belief networks
#
# Six exercises for [chapter 4](../../notebooks/04_dbn_stacking.ipynb). Where a cell says `raise NotImplementedError()`, put your lines in its place; where it says `None`, put your answer there.
# Run the cell, then the check below it, which knows what usually goes wrong.
#
# Stuck? `hint("4.1")` gives a nudge, then an equation, then pseudo-code, one at each call. `start_over("4.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 4.1 | All conditionals of a 4-3-2 network (D3, D4) | core | 15 |
# | 4.2 | One table that sums to one (D1, D2) | core | 15 |
# | 4.3 | Not factorial | core | 20 |
# | 4.4 | What the next layer eats (D5) | core | 10 |
# | 4.5 | Sampler clinic (S1) | stretch | 30 |
# | 4.6 | Strokes and grammar | project | 60 |
#
# In the first three the network has layers of 4, 3 and 2 units: `W1 (4, 3)` and `W2 (3, 2)`, both (lower, upper); `b0 (4,)`, `b1 (3,)`, `b2 (2,)` are the biases of generation, `c1 (3,)` that of recognition. The top RBM joins $h^1$ and $h^2$, with
# visible bias `b1` and hidden bias `b2`. States are rows of 0 and 1, everything is float64.

# %% tags=["label-setup"]
import torch
torch.set_grad_enabled(False)       # nothing here needs automatic differentiation
from deepgen_lib import checks, hint, start_over
from deepgen_lib import DBN, all_states, gibbs_chain, random_rbm, sample_bernoulli

# %% [markdown]
# ## 4.1 All conditionals of a 4-3-2 network   (core, 15 minutes)
#
# Four times "how likely is each unit to be on", one row per given state, one line each:
# $$P(x=1\mid h^1),\qquad Q(h^1=1\mid x),\qquad P(h^1=1\mid h^2),\qquad P(h^2=1\mid h^1).$$
# The slide has $1/(1+\exp(Wh))$. Do not copy it.

# %% nbgrader={"grade": false, "grade_id": "ex-4-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def conditionals(W1, b0, c1, W2, b1, b2, x, h1, h2):
    """The four above, in this order.

    x (B, 4), h1 (B, 3), h2 (B, 2) -> (B, 4), (B, 3), (B, 3), (B, 2)
    """
    ### BEGIN SOLUTION
    x_given_h1 = torch.sigmoid(b0 + h1 @ W1.T)
    guess_of_h1 = torch.sigmoid(c1 + x @ W1)
    h1_given_h2 = torch.sigmoid(b1 + h2 @ W2.T)
    return x_given_h1, guess_of_h1, h1_given_h2, torch.sigmoid(b2 + h1 @ W2)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-4-1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-D3", "exercise-D4"]
checks.conditionals(conditionals)
### BEGIN HIDDEN TESTS
checks.conditionals(conditionals, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4.2 One table that sums to one   (core, 15 minutes, five lines)
#
# $\log p(x,h^1,h^2)$ for all $16\cdot8\cdot4=512$ states, in the order of `all_states`:
# $$p(x,h^1,h^2)=P(x\mid h^1)\;p(h^1,h^2),\qquad p(h^1,h^2)=\exp\big(h^{1\mathsf T}W_2h^2+b_1^{\mathsf T}h^1+b_2^{\mathsf T}h^2\big)/Z.$$
# Which table is normalised over what?

# %% nbgrader={"grade": false, "grade_id": "ex-4-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_joint(W1, b0, W2, b1, b2):
    """log p(x, h1, h2) in nats.  -> (16, 8, 4)."""
    x, h1, h2 = map(all_states, (4, 3, 2))
    ### BEGIN SOLUTION
    top = h1 @ W2 @ h2.T + (h1 @ b1)[:, None] + h2 @ b2
    top = top - top.flatten().logsumexp(0)
    inputs = b0 + h1 @ W1.T                                                    # (8, 4)
    below = x @ inputs.T - torch.nn.functional.softplus(inputs).sum(1)         # (16, 8)
    return below[:, :, None] + top
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-4-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-D1", "exercise-D2"]
checks.dbn_table(log_joint)
### BEGIN HIDDEN TESTS
checks.dbn_table(log_joint, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4.3 Not factorial   (core, 20 minutes, seven lines)
#
# First the exact posterior $p(h^1\mid x)$ of the network, all eight states of $h^1$ for every row of $x$.
#
# Then a measure of how far such a distribution is from independent units: $\mathrm{KL}(p\,\Vert\,\prod_jp_j)$, where $p_j$ is the coin that lands on "on" as often as unit $j$ does under $p$. It is zero for a product and for nothing else.

# %% nbgrader={"grade": false, "grade_id": "ex-4-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def posterior_of_h1(W1, b0, W2, b1, b2, x):
    """p(h1 | x), columns in the order of all_states(3).  (B, 4) -> (B, 8)."""
    h1 = all_states(3)
    ### BEGIN SOLUTION
    log_prior = h1 @ b1 + torch.nn.functional.softplus(b2 + h1 @ W2).sum(1)    # up to log Z
    inputs = b0 + h1 @ W1.T
    log_likelihood = x @ inputs.T - torch.nn.functional.softplus(inputs).sum(1)
    return torch.softmax(log_likelihood + log_prior, 1)
    ### END SOLUTION

def lost_by_coins(p):
    """Nats between p and the product of its own chances.  (B, 8) -> (B,)."""
    h1 = all_states(3)
    ### BEGIN SOLUTION
    m = (p @ h1)[:, None]                                                      # (B, 1, 3)
    log_product = torch.where(h1.bool(), m, 1 - m).log().sum(2)
    return torch.special.xlogy(p, p).sum(1) - (p * log_product).sum(1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-4-3", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.not_factorial(posterior_of_h1, lost_by_coins)
### BEGIN HIDDEN TESTS
checks.not_factorial(posterior_of_h1, lost_by_coins, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4.4 What the next layer eats   (core, 10 minutes, three lines)
#
# Some RBMs are trained and frozen. Produce the training data of the next one: send every example up through all of them. The noise is given, so that your data must agree with ours unit by unit: a unit is on where its uniform number is *below* its
# chance, `u[t] < Q`.

# %% nbgrader={"grade": false, "grade_id": "ex-4-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_data(rbms, x, u):
    """States of the last hidden layer.  x (B, V) -> (B, H of the last).

    rbms: list of (W, c), bottom up.  u: list with one (B, H) of uniform numbers per layer.
    """
    ### BEGIN SOLUTION
    for (W, c), noise in zip(rbms, u):
        x = (noise < torch.sigmoid(c + x @ W)).double()
    return x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-4-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-D5"]
checks.next_data(next_data)
### BEGIN HIDDEN TESTS
checks.next_data(next_data, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4.5 Sampler clinic   (stretch, 30 minutes)
#
# Five samplers for one 4-3-2 network. First write the measure: $\chi^2=\sum_x(\text{seen}-\text{expected})^2/\text{expected}$, from the counts of all states and the exact probabilities $p(x)$. An honest sampler of 16 states gets about 15, and more than 45 once in 10,000.
#
# Then examine the patients A to E, and write one of the five diagnoses for each `None`. `net.layer_log_prob(0).exp()` is the exact $p(x)$; to count, make a number of each
# state: `(samples @ torch.tensor([8., 4, 2, 1]).double()).long()`.

# %% tags=["label-patients"]
g = torch.Generator().manual_seed(4)
net = DBN([random_rbm(4, 3, scale=2.0, rng=g), random_rbm(3, 2, scale=2.0, rng=g)])
W1, b0, c1 = net.directed[0].W, net.directed[0].b, net.recognition[0].c
W2, b1, b2 = net.top.W, net.top.b, net.top.c
draw = lambda inputs: sample_bernoulli(inputs, g)

def A(n):
    x, h2 = torch.zeros(n, 4).double(), torch.zeros(n, 2).double()
    for _ in range(200):
        h1 = draw(b1 + x @ W1 + h2 @ W2.T)
        x, h2 = draw(b0 + h1 @ W1.T), draw(b2 + h1 @ W2)
    return x

# %% tags=["label-patients-two"]
def B(n):
    p = net.layer_log_prob(1).exp()                            # of all 8 states of h1
    h1 = all_states(3)[torch.multinomial(p, n, replacement=True, generator=g)]
    return draw(b0 + h1 @ W1.T)

def C(n):
    h1 = gibbs_chain(net.top, torch.zeros(n, 3).double(), n_steps=200, rng=g)
    h2 = draw(b2 + h1 @ W2)
    return draw(b0 + torch.sigmoid(b1 + h2 @ W2.T) @ W1.T)

# %% tags=["label-patients-three"]
def D(n):
    h1 = torch.zeros(n, 3).double()
    for _ in range(200):
        h2 = draw(b2 + h1 @ W2)
        h1 = draw(c1 + h2 @ W2.T)
    return draw(b0 + h1 @ W1.T)

def E(n):
    h1 = draw(torch.zeros(n, 3).double())
    for _ in range(200):
        x = draw(b0 + h1 @ W1.T)
    return x

# %% nbgrader={"grade": false, "grade_id": "ex-4-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def chi_square(counts, p):
    """One number from the counts of all states and their exact probabilities.  (S,), (S,) -> ()."""
    ### BEGIN SOLUTION
    expected = counts.sum() * p
    return ((counts - expected) ** 2 / expected).sum()
    ### END SOLUTION

# Each patient is one of: "right", "no top chain", "a deep Boltzmann machine",
#                         "probabilities going down", "the wrong bias"
diagnoses = {"A": None, "B": None, "C": None, "D": None, "E": None}
### BEGIN SOLUTION
for name, sampler in zip(diagnoses, (A, B, C, D, E)):
    codes = (sampler(20_000) @ torch.tensor([8.0, 4.0, 2.0, 1.0]).double()).long()
    found = chi_square(torch.bincount(codes, minlength=16).double(), net.layer_log_prob(0).exp())
    print(f"{name}: chi-square {found:.1f}")
diagnoses = {"A": "a deep Boltzmann machine", "B": "right", "C": "probabilities going down",
             "D": "the wrong bias", "E": "no top chain"}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-4-5", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-S1"]
checks.sampler_clinic(chi_square, diagnoses)
### BEGIN HIDDEN TESTS
checks.sampler_clinic(chi_square, diagnoses, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 4.6 Strokes and grammar   (project, an hour)
#
# Build a DBN by hand that knows *bars and stripes*: pictures of $n\times n$ pixels in which either whole rows or whole columns are inked, never both kinds. There are $2\cdot2^n-2$ of them (the blank and the full page are bars as well as stripes). All shall be equally likely
# and nothing else possible: the mean of $\log p(x)$ over them is then $-\log(2\cdot2^n-2)$. The check computes it exactly, for $n=2$ and $n=3$, and wants you within 0.02 nats. Use at most 8 units in $h^1$ and 40 in $h^2$.
#
# One layer should say *which strokes* there are, the other *which strokes go together*. Start with $h^1$: how do you ink a pixel when its row or its column is on? Then the top RBM, which has only to like some states of $h^1$ and dislike all others; exercise 2.5 built such a thing.

# %% nbgrader={"grade": false, "grade_id": "ex-4-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bars_network(n):
    """A DBN with layers x, h1, h2 that is uniform over bars and stripes of n*n pixels.

    -> W1 (n*n, H1), b0 (n*n,), W2 (H1, H2), b1 (H1,), b2 (H2,)
    """
    ### BEGIN SOLUTION
    a, eye, every, none = 20.0, torch.eye(n).double(), all_states(n), torch.zeros(2**n, n).double()
    row_of, column_of = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    W1 = a * torch.cat([eye[row_of], eye[column_of]], 1)                       # one unit per row, one per column
    b0 = torch.full((n * n,), -a / 2).double()
    rows, columns = torch.cat([every, none], 1), torch.cat([none, every], 1)
    allowed = torch.cat([rows, columns[1:-1]])                                 # blank and full page once
    return W1, b0, a * (2 * allowed - 1).T, torch.zeros(2 * n).double(), -a * (allowed.sum(1) - 0.5)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-4-6", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
checks.strokes_and_grammar(bars_network)
### BEGIN HIDDEN TESTS
checks.strokes_and_grammar(bars_network, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Done? You can now say what a DBN is, and catch those who sample something else. Chapter 5 asks why stacking works at all.
