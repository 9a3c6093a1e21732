# %% [markdown]
# # Exercises 11 · NVAE: the network
#
# Seven exercises for [chapter 11](../../notebooks/11_nvae_architecture.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("11.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call; the third gives the answer away. `start_over("11.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 11.1 | Count the latents | core | 15 |
# | 11.2 | What a cell costs | core | 25 |
# | 11.3 | Who hears of the picture? | core | 25 |
# | 11.4 | Shared is not tied | core | 20 |
# | 11.5 | How far a place sees | core | 15 |
# | 11.6 | The largest singular value | stretch | 20 |
# | 11.7 | Project: a network within a budget | project | 45 |
#
# Groups and scales are counted from the top down: group 1 is drawn first, and stands at the coarsest scale.

# %% tags=["label-setup"]
import math, torch
from deepgen_lib import checks, hint, start_over
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 11.1 Count the latents   (core, 15 minutes, about six lines)
#
# A picture of side `image_size` is padded up to the next side that can be halved as often as the network does: `n_down` times outside of the scales, and once between each scale and the next. `groups` says how many latent groups each scale has, **from the top down**; every place of a group has `n_latent` numbers. Write
# `latent_numbers(groups, image_size, n_down, n_latent)`: the number of latent numbers of each group, a list or tensor, from the top down.
#
# First predict: MNIST is `groups=(5, 10)`, 28 pixels, 2 halvings outside, 20 numbers. How many in all? How many, if somebody reads the tuple from below?

# %% nbgrader={"grade": false, "grade_id": "ex-11-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def latent_numbers(groups, image_size, n_down, n_latent):
    """Latent numbers of each group, from the top down."""
    ### BEGIN SOLUTION
    halvings = n_down + len(groups) - 1
    top = math.ceil(image_size / 2**halvings)                      # side of the coarsest scale
    return [n_latent * (top * 2**k) ** 2 for k, n in enumerate(groups) for _ in range(n)]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N2", "exercise-N3"]
checks.latent_numbers(latent_numbers)
### BEGIN HIDDEN TESTS
checks.latent_numbers(latent_numbers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 11.2 What a cell costs   (core, 25 minutes, about six lines)
#
# Count parameters from the drawing of the two cells:
# - `generative(C, E)`: BN, 1×1 to $EC$ channels, BN-Swish, depthwise 5×5, BN-Swish, 1×1 back to $C$, BN, SE;
# - `encoder(C)`: BN-Swish-3×3, BN-Swish-3×3, SE.
#
# A convolution has a bias only where no batch norm comes after it. SE is two linear layers with biases, $C\to h\to C$ with $h=\max(C/16, 4)$, rounded down. Which of the terms would explode if the 5×5 were dense?

# %% nbgrader={"grade": false, "grade_id": "ex-11-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def generative(C, E):
    """Parameters of a generative cell with C channels and expansion E."""
    ### BEGIN SOLUTION
    h = max(C // 16, 4)
    norms = 2 * (C + E * C + E * C + C)
    return 2 * E * C**2 + 25 * E * C + norms + 2 * C * h + h + C
    ### END SOLUTION

def encoder(C):
    """Parameters of an encoder cell with C channels."""
    ### BEGIN SOLUTION
    h = max(C // 16, 4)
    return 2 * 9 * C**2 + C + 2 * (C + C) + 2 * C * h + h + C
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N4"]
checks.cell_weights(generative, encoder)
### BEGIN HIDDEN TESTS
checks.cell_weights(generative, encoder, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 11.3 Who hears of the picture?   (core, 25 minutes, two lines and ten words)
#
# The picture is exchanged for another; all noise stays. Two groups. Predict for each tensor `"moves"` or `"stays"`: once with every $z$ *held* at the value it had, once with every $z$ *drawn* anew from its posterior (with the same noise). Nothing in the network is zero.
#
# Then write the function that measures it for any program: `who_moves(walk, x, other)`, where `walk(x)` returns `{name: tensor}`; the answer is `{name: "moves" or "stays"}`. Some of the tensors in the check hardly move.

# %% nbgrader={"grade": false, "grade_id": "ex-11-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def who_moves(walk, x, other):
    """{name: "moves" or "stays"} when x is exchanged for the other picture."""
    ### BEGIN SOLUTION
    first, second = walk(x), walk(other)
    return {name: "stays" if torch.equal(first[name], second[name]) else "moves" for name in first}
    ### END SOLUTION

table = {"h": None, "tap 1": None, "path 1": None, "posterior 1": None,   # "moves" or "stays"
         "path 2, z held": None, "path 2, z drawn": None,
         "prior 2, z held": None, "prior 2, z drawn": None,
         "posterior 2, z held": None, "posterior 2, z drawn": None}
### BEGIN SOLUTION
table = {"h": "stays", "tap 1": "moves", "path 1": "stays", "posterior 1": "moves",
         "path 2, z held": "stays", "path 2, z drawn": "moves",
         "prior 2, z held": "stays", "prior 2, z drawn": "moves",
         "posterior 2, z held": "moves", "posterior 2, z drawn": "moves"}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N1"]
checks.who_hears(table, who_moves)
### BEGIN HIDDEN TESTS
checks.who_hears(table, who_moves, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 11.4 Shared is not tied   (core, 20 minutes, about eight lines)
#
# Four programs have a way down for the priors, `program.one`, and one for the posteriors, `program.other` (here a linear layer each). Their method `update` trains by one step. Write `relation(program)`:
#
# - `"shared"`: one module under two names;
# - `"tied"`: two modules that always have the same weights;
# - `"copies"`: two modules whose weights are equal at the start, and then part;
# - `"strangers"`.
#
# Which of them is NVAE's path? Which would the words of the slide, *weight tied*, describe? Which of them cost two runs for one bound?

# %% nbgrader={"grade": false, "grade_id": "ex-11-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relation(program):
    """What program.one and program.other have in common."""
    ### BEGIN SOLUTION
    alike = lambda: all(torch.equal(a, b) for a, b in zip(program.one.parameters(), program.other.parameters()))
    before = alike()
    program.update()
    if program.one is program.other:
        return "shared"
    return "tied" if alike() else "copies" if before else "strangers"
    # NVAE's path is shared; the slide's words say tied; all but the shared one run twice.
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N1"]
checks.shared_or_tied(relation)
### BEGIN HIDDEN TESTS
checks.shared_or_tied(relation, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 11.5 How far a place sees   (core, 15 minutes, about five lines)
#
# A stack of convolutions, from the picture up, each a pair (kernel, stride). How large is the side of the square of pixels that one place after the last layer sees? `field_of_view(layers)`, `layers` a list of pairs. -> a whole number

# %% nbgrader={"grade": false, "grade_id": "ex-11-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def field_of_view(layers):
    """Side, in pixels, of the square that one place sees; the layer next to the picture comes first."""
    ### BEGIN SOLUTION
    side, step = 1, 1
    for kernel, stride in layers:
        side += (kernel - 1) * step
        step *= stride
    return side
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N2"]
checks.field_of_view(field_of_view)
### BEGIN HIDDEN TESTS
checks.field_of_view(field_of_view, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 11.6 The largest singular value   (stretch, 20 minutes, about six lines)
#
# The penalty of NVAE needs the largest singular value of every convolution at every update. A full decomposition would cost more than the update. Write `power(W, v, n_steps)`: `W` `(rows, columns)`, `v` `(columns,)` of length one, the vector at which the last update ended. Take `n_steps` of power iteration, and return the singular value (a number) and the vector
# for the next update `(columns,)`.

# %% nbgrader={"grade": false, "grade_id": "ex-11-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def power(W, v, n_steps):
    """(largest singular value as far as it is known, vector to go on with)."""
    ### BEGIN SOLUTION
    for _ in range(n_steps):
        u = W @ v
        u = u / u.norm()
        v = W.T @ u
        v = v / v.norm()
    return (W @ v).norm(), v
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N4"]
checks.singular_value(power)
### BEGIN HIDDEN TESTS
checks.singular_value(power, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# How many steps from a *random* start until three digits are right? And from where the last update left off, when the weights have moved by a thousandth?

# %% tags=["label-compare"]
g = torch.Generator().manual_seed(0)
W = torch.randn(64, 576, generator=g)
start = torch.nn.functional.normalize(torch.randn(576, generator=g), dim=0)
settled = power(W, start, 1000)[1]
nudged = W + 0.001 * torch.randn(64, 576, generator=g)
exact = torch.linalg.svdvals(nudged)[0]
for n in (1, 4, 10, 40):
    cold, warm = (power(nudged, v, n)[0] / exact for v in (start, settled))
    print(f"{n} steps: share found {cold:.4f} from a random start, {warm:.4f} from the last vector")

# %% [markdown]
# ## 11.7 Project: a network within a budget   (project, 45 minutes)
#
# Design an NVAE for grey pictures of 64×64: `design = {"groups": ..., "n_down": ..., "n_latent": ..., "width": ..., "cells": ...}`. The rest is fixed: `NVAEConfig(image_size=64, outer_cells=1, expansion=3, **design)` (`NVAE` and `NVAEConfig` come from `deepgen_lib`). It must
#
# - have scales of 8×8, 16×16 and 32×32 places;
# - have at least 20 groups, and on a finer scale never fewer than on the one above it;
# - have at most 1.2 million parameters and at most 200,000 latent numbers.
#
# Build it on the meta device (`with torch.device("meta"):`), count, change, count again. Many designs pass. Then defend yours in four sentences: what did you spend the weights on, depth or width? How far does a place of the first tap see, and of the last? Where would the next 100,000 parameters go? What can you *not* know from counting?

# %% nbgrader={"grade": false, "grade_id": "ex-11-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
design = {"groups": None, "n_down": None, "n_latent": None, "width": None, "cells": None}
### BEGIN SOLUTION
design = {"groups": (4, 6, 10), "n_down": 1, "n_latent": 4, "width": 8, "cells": 1}
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-11-7", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N3"]
checks.design_a_network(design)
### BEGIN HIDDEN TESTS
checks.design_a_network(design, seed=1)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-11-7", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your four sentences on 11.7
#
# 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions.
#
# | points | your text |
# |:--|:--|
# | 3 | all four questions are answered for this design, with its own numbers, and the last names something that no count shows |
# | 2 | three are answered for this design; or all four, but without numbers |
# | 1 | one or two are answered; or the text would fit any design |
# | 0 | nothing yet, or the dictionary in words |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-11-7", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Four sentences:*
#
# <!-- BEGIN SOLUTION -->
# The weights went into depth: 20 groups of one cell each, at a width of 8, because every further group lets the posterior correct what the groups above it left open.
# A place of the first tap sees the whole picture, one of the last tap only 17 pixels across.
# The next 100,000 parameters would go into width on the finest scale, where half of the groups share the fewest channels.
# Counting does not say whether the groups will be used: a network that fits every budget can leave most of its latents silent, which only the divergence of each group after training shows (chapter 12).
# <!-- END SOLUTION -->
