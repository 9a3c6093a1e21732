# %% [markdown]
# # Exercises 7 · Convolutional DBN
#
# Six exercises for [chapter 7](../../notebooks/07_convolutional_dbn.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("7.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call. `start_over("7.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 7.1 | The off state | core | 10 |
# | 7.2 | The way down | core | 20 |
# | 7.3 | A target for being on | core | 10 |
# | 7.4 | A unit as a picture | stretch | 20 |
# | 7.5 | Selective, or only lucky? | stretch | 25 |
# | 7.6 | What context adds | core | 15 |
#
# Shapes: a block of $n$ units is a row `(n,)`; a map is `(K, rows, columns)`, filters are `(K, w, w)`, there is one channel below. Everything is float64; logarithms are natural.

# %% tags=["label-setup"]
import torch
from torch.nn import functional as F
from deepgen_lib import checks, hint, start_over
torch.set_num_threads(1)

# %% [markdown]
# ## 7.1 The off state   (core, 10 minutes, three lines)
#
# Each row of `I` holds the inputs of the units of one block; at most one of them is on. Give the chance of each unit, and the chance that all are off. Inputs near a thousand do occur, of either sign; nothing may become NaN.

# %% nbgrader={"grade": false, "grade_id": "ex-7-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def off_state(I):
    """(P(unit on) (N, n), P(all off) (N,)).  I (N, n)."""
    ### BEGIN SOLUTION
    with_off = torch.cat([torch.zeros(len(I), 1).double(), I], 1)  # off has the input 0
    p = with_off.softmax(1)                                        # subtracts the largest, 0 among them
    return p[:, 1:], p[:, 0]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-7-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-C1"]
checks.off_state(off_state)
### BEGIN HIDDEN TESTS
checks.off_state(off_state, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 7.2 The way down   (core, 20 minutes, six lines)
#
# Going up, unit $(i,j)$ of filter $k$ reads the window of the picture that begins at row $i$, column $j$: $(Av)^k_{ij}=\sum_{rs}W^k_{rs}\,v_{i+r,\,j+s}$. Give the adjoint $A^{\mathsf T}h$: the picture for which $\langle v,A^{\mathsf T}h\rangle=\langle Av,h\rangle$ whatever $v$ and $h$ are. Before you write: how large is it?

# %% nbgrader={"grade": false, "grade_id": "ex-7-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adjoint(h, W):
    """What all units write to the picture.  h (K, rows, columns), W (K, w, w) -> one picture."""
    ### BEGIN SOLUTION
    w = W.shape[-1]
    v = torch.zeros(h.shape[1] + w - 1, h.shape[2] + w - 1).double()
    for k in range(len(h)):
        for i in range(h.shape[1]):
            for j in range(h.shape[2]):
                v[i:i + w, j:j + w] += h[k, i, j] * W[k]           # to the window that it read
    return v
    ### END SOLUTION

# %% [markdown]
# Try yours on numbers of your own: the two products, once up and once down, should agree.

# %% tags=["label-adjoint-tried"]
v, h, W = torch.randn(1, 9, 7).double(), torch.randn(2, 7, 5).double(), torch.randn(2, 3, 3).double()
up = (F.conv2d(v[None], W[:, None])[0] * h).sum()
down = (v[0] * adjoint(h, W)).sum()
print(f"difference of the two products below 1e-10: {abs(up - down).item() < 1e-10}")

# %% nbgrader={"grade": true, "grade_id": "check-7-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-C1"]
checks.adjoint(adjoint)
### BEGIN HIDDEN TESTS
checks.adjoint(adjoint, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 7.3 A target for being on   (core, 10 minutes, one line)
#
# `p` holds $P(h^k_{ij}=1\mid v)$ for a batch of pictures. Give the step of each filter's bias that pulls the filter towards being on in a share `target` of all places; the direction, without a rate. It must not depend on how large the pictures are.

# %% nbgrader={"grade": false, "grade_id": "ex-7-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sparsity(p, target):
    """One step for each bias.  p (B, K, rows, columns) -> (K,)."""
    ### BEGIN SOLUTION
    return target - p.mean((0, 2, 3))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-7-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-C2"]
checks.sparsity(sparsity)
### BEGIN HIDDEN TESTS
checks.sparsity(sparsity, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 7.4 A unit as a picture   (stretch, 20 minutes, three lines)
#
# A unit of the second layer has the filter `W2[k, a, b]`, one number for each pooling unit that it looks at. A pooling unit stands for a block of `block` × `block` places of the first layer's map; each place has its filter `W1[k]`. Show the unit as a picture: take its filter linearly down to the pixels. Nobody knows which place of a block was on, so each gets the same share of the weight.

# %% nbgrader={"grade": false, "grade_id": "ex-7-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unit_as_picture(W1, W2, block):
    """W1 (K, w, w), W2 (K, u, u) -> one picture (block * u + w - 1, the same)."""
    ### BEGIN SOLUTION
    units = W2.repeat_interleave(block, 1).repeat_interleave(block, 2) / block**2
    return F.conv_transpose2d(units[None], W1[:, None])[0, 0]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-7-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-C2"]
checks.unit_as_picture(unit_as_picture)
### BEGIN HIDDEN TESTS
checks.unit_as_picture(unit_as_picture, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 7.5 Selective, or only lucky?   (stretch, 25 minutes, seven lines and four answers)
#
# Many features, one class. Which feature detects the class best, and how well? Choose by average precision (AP) on the training pictures; report the AP of that feature on the held-out ones. AP: put the pictures in the order of their scores, best first; at the rank of each picture of the class take the share of the class among all up to there; average these shares. No two scores are equal.

# %% nbgrader={"grade": false, "grade_id": "ex-7-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose(train, y_train, test, y_test):
    """(number of the feature, its AP held out).  scores (N, F) and (M, F), bool (N,) and (M,)."""
    ### BEGIN SOLUTION
    def ap(scores, positive):
        hits = positive[scores.argsort(0, descending=True)].double()         # (N, F), best first
        rank = torch.arange(1, len(scores) + 1).double()[:, None]
        return (hits.cumsum(0) / rank * hits).sum(0) / hits.sum(0)

    best = ap(train, y_train).argmax().item()
    return best, ap(test, y_test)[best]
    ### END SOLUTION

# %% [markdown]
# Now 200 features of pure noise, 40 pictures to choose on and 40 to judge, one in four of the class. What does the luckiest feature promise, and what does it keep?

# %% tags=["label-noise-tried"]
g = torch.Generator().manual_seed(0)
noise, more = (torch.randn(40, 200, generator=g).double() for _ in range(2))
y = torch.arange(40) % 4 == 0
promised, kept = choose(noise, y, noise, y)[1], choose(noise, y, more, y)[1]
print(f"judged where it was chosen: {promised:.2f}; on other pictures: {kept:.2f}")

# %% nbgrader={"grade": false, "grade_id": "ex-7-5c", "locked": false, "schema_version": 3, "solution": true, "task": false}
# in this order: True or False; a number; True or False; "1/2", "0" or "the class's share"
answers = {"the best of many features, chosen on the pictures it is judged by, looks too good": None,
           "a feature that is on for one class alone has conditional entropy": None,
           "pictures of one person may be in both splits": None,
           "average precision of a feature that says nothing": None}
### BEGIN SOLUTION
answers = dict(zip(answers, [True, 0, False, "the class's share"]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-7-5", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-C3"]
checks.held_out(choose, answers)
### BEGIN HIDDEN TESTS
checks.held_out(choose, answers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 7.6 What context adds   (core, 15 minutes, two lines)
#
# A block of $n$ units gets inputs `I` from below. The layer above adds `J` to its pooling unit: in the energy, $-J\,p_\alpha$, where the pooling unit $p_\alpha$ is 1 exactly if one of the block's units is on. Give the chance of each unit and of the pooling unit, given both. A part that is hardly seen ($I<0$) may be believed because a face around it wants it ($J>0$).

# %% nbgrader={"grade": false, "grade_id": "ex-7-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def context(I, J):
    """(P(unit on) (N, n), P(pool on) (N,)).  I (N, n), J (N,)."""
    ### BEGIN SOLUTION
    p, off = off_state(I + J[:, None])           # whichever unit is on, J counts once
    return p, p.sum(1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-7-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-C1"]
checks.context(context)
### BEGIN HIDDEN TESTS
checks.context(context, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Done? You can now read a convolutional network of any year: what it shares, what it forgets when it pools, and what the pictures of its units do and do not say. The next chapter asks another question: who computes $q$ for a picture that nobody has seen before?
