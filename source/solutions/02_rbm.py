# %% [markdown]
# # Exercises 2 · The restricted Boltzmann machine
#
# Eight exercises for [chapter 2](../../notebooks/02_rbm.ipynb). Where a cell says `raise NotImplementedError()`, put your lines in its place; where it says `None`, put your answer there.
# Run the cell, then the check below it, which knows what usually goes wrong.
#
# Stuck? `hint("2.1")` gives a nudge, then an equation, then pseudo-code, one at each call. `start_over("2.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 2.1 | Sum the hidden units away | core | 10 |
# | 2.2 | $k$ sweeps from the data | core | 15 |
# | 2.3 | Two phases make a slope | core | 10 |
# | 2.4 | A head start | core | 5 |
# | 2.5 | What pairs cannot hold (F0) | stretch | 30 |
# | 2.6 | What CD leaves out, exactly | stretch | 30 |
# | 2.7 | Zero is not neutral | stretch | 40 |
# | 2.8 | Whose gradient is CD? | project | 60 |
#
# Shapes everywhere: `W (V, H)`, `b (V,)`, `c (H,)`, `v (B, V)`, `h (B, H)`. Units are 0 or 1. Everything is float64.

# %% tags=["label-setup"]
import torch
from deepgen_lib import checks, hint, start_over
from deepgen_lib import RBM, all_states, random_rbm
from deepgen_lib import exact_gradient, exact_log_likelihood, expected_cd_gradient

# %% [markdown]
# ## 2.1 Sum the hidden units away   (core, 10 minutes, two lines)
#
# Write the free energy, so that $p(v)=e^{-F(v)}/Z$:
# $$F(v)=-\log\sum_h e^{\,v^{\mathsf T}Wh+b^{\mathsf T}v+c^{\mathsf T}h}.$$
# Do not list the $2^H$ hidden states, and survive weights of 1,000.

# %% nbgrader={"grade": false, "grade_id": "ex-2-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def free_energy(W, b, c, v):
    """F(v) in nats.  (V, H), (V,), (H,), (B, V) -> (B,)."""
    ### BEGIN SOLUTION
    logits = c + v @ W
    return -v @ b - torch.nn.functional.softplus(logits).sum(1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.free_energy(free_energy)
### BEGIN HIDDEN TESTS
checks.free_energy(free_energy, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.2 k sweeps from the data   (core, 15 minutes, four lines)
#
# The chain of contrastive divergence. The noise is given, so that your chain must agree with ours state by state: in sweep $s$ a unit is on where its uniform number is *below* its
# probability, `u_h[s] < p` and `u_v[s] < p`. There are $k$ sweeps, one for each row of `u_h`. Return the last $v$ and the *probabilities* $p(h=1\mid v)$ that belong to it.

# %% nbgrader={"grade": false, "grade_id": "ex-2-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def negative_phase(W, b, c, v, u_h, u_v):
    """k sweeps v -> h -> v, and p(h=1 | v) at the last v.

    v (B, V), u_h (k, B, H), u_v (k, B, V) -> (B, V), (B, H)
    """
    ### BEGIN SOLUTION
    for s in range(len(u_h)):
        h = (u_h[s] < torch.sigmoid(c + v @ W)).double()
        v = (u_v[s] < torch.sigmoid(b + h @ W.T)).double()
    return v, torch.sigmoid(c + v @ W)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.negative_phase(negative_phase)
### BEGIN HIDDEN TESTS
checks.negative_phase(negative_phase, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.3 Two phases make a slope   (core, 10 minutes, three lines)
#
# From the two phases to the direction that is *added* to $W$, $b$ and $c$. There are $B$ examples and $N$ chains, and $N$ need not be $B$.
# $$\frac1B\sum_{\text{data}} vh^{\mathsf T}-\frac1N\sum_{\text{model}} vh^{\mathsf T},\qquad \frac1B\sum_{\text{data}} v-\frac1N\sum_{\text{model}} v,\qquad \frac1B\sum_{\text{data}} h-\frac1N\sum_{\text{model}} h.$$

# %% nbgrader={"grade": false, "grade_id": "ex-2-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def phases(v_data, h_data, v_model, h_model):
    """The slopes of W (V, H), b (V,) and c (H,).  (B, V), (B, H), (N, V), (N, H)."""
    ### BEGIN SOLUTION
    slope_W = v_data.T @ h_data / len(v_data) - v_model.T @ h_model / len(v_model)
    slope_b = v_data.mean(0) - v_model.mean(0)
    return slope_W, slope_b, h_data.mean(0) - h_model.mean(0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.phases(phases)
### BEGIN HIDDEN TESTS
checks.phases(phases, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.4 A head start   (core, 5 minutes, two lines)
#
# Choose the visible biases so that at $W=0$ the model already has the data's pixel means, $\sigma(b_i)=m_i$. Some pixels are never on, or always. Hold the
# means inside $[\text{clamp},\,1-\text{clamp}]$.

# %% nbgrader={"grade": false, "grade_id": "ex-2-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def visible_bias(x, clamp):
    """Log-odds of the clamped pixel means.  (N, V) of 0/1, number -> (V,)."""
    ### BEGIN SOLUTION
    mean = x.mean(0).clamp(clamp, 1 - clamp)
    return torch.logit(mean)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-4", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.visible_bias(visible_bias)
### BEGIN HIDDEN TESTS
checks.visible_bias(visible_bias, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.5 What pairs cannot hold   (stretch, 30 minutes)
#
# > **F0.** On parity the best model of pairs is as good as fair coins, $-n\log2$ nats. An RBM reaches the optimum $-(n-1)\log2$.
#
# Build that RBM: for $n$ bits, uniform over the states whose number of ones leaves the given remainder when divided by 2 (0: even, 1: odd). The check computes its *exact* log-likelihood and wants it within
# 0.01 nats of the optimum, for $n$ from 3 to 6. About five lines, and a sheet of paper. Any construction counts. (The lecture's detectors need $2^{n-1}$ hidden units. Done? Find one that needs fewer than $n^2$. A unit with two weights, $+$ and $-$, can make a pair of bits *dislike* each other.)

# %% nbgrader={"grade": false, "grade_id": "ex-2-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def parity_rbm(n, remainder):
    """W (n, H), b (n,), c (H,) of an RBM that is uniform over the states
    with (number of ones) % 2 == remainder."""
    ### BEGIN SOLUTION
    a, states = 20.0, all_states(n)
    states = states[states.sum(1) % 2 == remainder]          # (2**(n-1), n), one detector each
    W = a * (2 * states - 1).T
    c = -a * (states.sum(1) - 0.5)
    return W, torch.zeros(n), c
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-5", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-F0"]
checks.parity_rbm(parity_rbm)
### BEGIN HIDDEN TESTS
checks.parity_rbm(parity_rbm, seed=1)
checks.parity_rbm(parity_rbm, seed=2)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-2-5", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Why yours works: a derivation for 2.5
#
# Show it on paper, for your own construction and any $n$: sum the hidden units away, compare $p(v)$ of a state with the wrong number of ones to one with the right number, and say how large your weights must be for 0.01 nats. 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions (folder `solutions/` of the course).
#
# | points | your text |
# |:--|:--|
# | 3 | $p(v)$ is derived for both kinds of states, each step follows from the one before, and it ends with a size of the weights that is enough |
# | 2 | both kinds of states are treated and the ratio is right, but the size of the weights is missing or only tried out |
# | 1 | the idea (what one hidden unit looks at) is right, but no formula carries it to $p(v)$ |
# | 0 | nothing yet, or a construction that is not the one of the cell above |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-2-5", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Six lines are enough:*
#
# <!-- BEGIN SOLUTION -->
# One detector for each right state $s$: weights $a(2s-1)$, bias $-a(\lvert s\rvert-\frac12)$, where $\lvert s\rvert$ counts ones. A state $v$ that differs from $s$ in $d(v,s)$ bits gives this unit the input $\frac a2-a\,d(v,s)$: each differing bit takes away $a$.
#
# Summed over the hidden units, and with $b=0$, $p(v)\propto\prod_s\big(1+e^{a/2-a\,d(v,s)}\big)$.
#
# A right $v$ is its own detector, $d=0$, and its other detectors are at least two bits away: the product is $(1+e^{a/2})$ times factors between 1 and $1+e^{-3a/2}$, the same for every right state by symmetry.
#
# A wrong $v$ has exactly $n$ detectors one bit away and none nearer: the product is at most $(1+e^{-a/2})^{N}$ with $N=2^{n-1}$ detectors.
#
# So $p(\text{wrong})/p(\text{right})\le(1+e^{-a/2})^N/(1+e^{a/2})$, about $e^{-a/2}$ as long as $Ne^{-a/2}$ is small. There are as many wrong states as right ones, so the log-likelihood misses the optimum by $\log(1+\text{ratio})\le\text{ratio}$. For 0.01 nats $a\ge10$ is enough up to $n=6$: $e^{-5}=0.0067$ and $(1+0.0067)^{32}=1.24$, together 0.0083.
# <!-- END SOLUTION -->

# %% [markdown]
# ## 2.6 What CD leaves out, exactly   (stretch, 30 minutes, ten lines)
#
# First: given the table `joint` of $p(v,h)$, one row per $v$ and one column per $h$, and a distribution `p` over the $v$'s, return the distribution after $k$ sweeps $v\to h\to v'$. No sampling.
#
# Then the bias of CD-$k$ in $W$: $\mathbb{E}[\text{CD-}k]$ minus the exact gradient, for data `v`, by enumeration. (Watch what cancels.)

# %% nbgrader={"grade": false, "grade_id": "ex-2-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def after_sweeps(joint, p, k):
    """p taken through k sweeps.  (2**V, 2**H), (2**V,), int -> (2**V,)."""
    ### BEGIN SOLUTION
    up = joint / joint.sum(1, keepdim=True)      # p(h | v)
    down = joint / joint.sum(0)                  # p(v | h)
    for _ in range(k):
        p = p @ up @ down.T
    return p
    ### END SOLUTION

def cd_bias(W, b, c, v, k):
    """E[CD-k] minus the gradient, for W alone.  (V, H), (V,), (H,), (B, V), int -> (V, H)."""
    ### BEGIN SOLUTION
    states, hidden = all_states(len(b)), all_states(len(c))
    score = states @ W @ hidden.T + (states @ b)[:, None] + hidden @ c
    joint = torch.softmax(score.flatten(), 0).reshape(score.shape)
    p_data = (v[:, None] == states).all(2).double().mean(0)
    difference = joint.sum(1) - after_sweeps(joint, p_data, k)      # the data's phase cancels
    return (difference[:, None] * states).T @ torch.sigmoid(c + states @ W)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-6", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.cd_bias(after_sweeps, cd_bias)
### BEGIN HIDDEN TESTS
checks.cd_bias(after_sweeps, cd_bias, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.7 Zero is not neutral   (stretch, 40 minutes, six lines)
#
# First: the parameters of an RBM for the *inverted* visible units, $p'(1-v,h)=p(v,h)$ for all $v$ and $h$.
#
# Then the centred gradient. You get the plain slopes and the offsets $\mu$ (visible) and $\lambda$ (hidden). In the parametrization $(v-\mu)^{\mathsf T}W(h-\lambda)+b'^{\mathsf T}v+c'^{\mathsf T}h$ the slope of $W$ averages
# $(v-\mu)(h-\lambda)^{\mathsf T}$, those of the biases are as before. Bring that step back to $W$, $b$, $c$. (Which $b$ and $c$ does the new parametrization have?)

# %% nbgrader={"grade": false, "grade_id": "ex-2-7", "locked": false, "schema_version": 3, "solution": true, "task": false}
def flipped(W, b, c):
    """Parameters of the RBM for inverted visible units.  (V, H), (V,), (H,) -> the same shapes."""
    ### BEGIN SOLUTION
    return -W, -b, c + W.sum(0)
    ### END SOLUTION

def centred_gradient(g_W, g_b, g_c, mu, lam):
    """The centred step.  g_W (V, H), g_b (V,), g_c (H,), mu (V,), lam (H,) -> (V, H), (V,), (H,)."""
    ### BEGIN SOLUTION
    G = g_W - torch.outer(mu, g_c) - torch.outer(g_b, lam)
    return G, g_b - G @ lam, g_c - G.T @ mu
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-7", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.flip_and_centre(flipped, centred_gradient)
### BEGIN HIDDEN TESTS
checks.flip_and_centre(flipped, centred_gradient, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2.8 Whose gradient is CD?   (project, an hour)
#
# Following the exact gradient climbs the log-likelihood. What does following $\mathbb{E}[\text{CD-}1]$ climb? A vector field $f(\theta)$ is the gradient of *some* function only if its Jacobian
# $J_{ij}=\partial f_i/\partial\theta_j$ is symmetric everywhere, because second derivatives do not mind their order.
#
# 1. Write `jacobian` for any field on $\mathbb{R}^n$ by central differences.
# 2. Put all parameters of a tiny RBM (3 visible, 2 hidden: 11 numbers) into one vector $\theta$, for data such as 000, 011, 111. Compute $J-J^{\mathsf T}$ for three fields: the exact gradient, E[CD-1] and
#    E[CD-1000]. Which of them can be a gradient? Answer True or False.
# 3. Think: what does this say about plotting "the CD loss"? (The last line of this notebook says what we think.)

# %% nbgrader={"grade": false, "grade_id": "ex-2-8", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jacobian(field, theta):
    """J[i, j] = d field_i / d theta_j at theta.  field: (n,) -> (n,), theta (n,) -> (n, n)."""
    ### BEGIN SOLUTION
    columns = []
    for step in 1e-5 * torch.eye(len(theta), dtype=theta.dtype):
        columns.append((field(theta + step) - field(theta - step)) / 2e-5)
    return torch.stack(columns, 1)
    ### END SOLUTION

def asymmetry(gradient_of):
    """Largest entry of |J - J.T| of the field theta -> gradient_of(rbm, data), at a random tiny RBM."""
    ### BEGIN SOLUTION
    rbm = random_rbm(3, 2, rng=torch.Generator().manual_seed(0)).requires_grad_(False)
    data = all_states(3)[[0, 3, 7]]
    flat = lambda parts: torch.cat([part.flatten() for part in parts])
    def field(theta):
        rbm.load_state_dict({"W": theta[:6].reshape(3, 2), "b": theta[6:9], "c": theta[9:]})
        return flat(gradient_of(rbm, data))
    J = jacobian(field, flat(rbm.parameters()).clone())
    return (J - J.T).abs().max().item()
    ### END SOLUTION

is_a_gradient = {"exact gradient": None, "E[CD-1]": None, "E[CD-1000]": None}
### BEGIN SOLUTION
sizes = {"exact gradient": asymmetry(exact_gradient), "E[CD-1]": asymmetry(expected_cd_gradient),
         "E[CD-1000]": asymmetry(lambda rbm, data: expected_cd_gradient(rbm, data, n_gibbs_steps=1000))}
is_a_gradient = {name: size < 1e-6 for name, size in sizes.items()}
print(f"asymmetry of E[CD-1]: {sizes['E[CD-1]']:.4f}")
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-2-8", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
checks.nobodys_gradient(jacobian, is_a_gradient)
### BEGIN HIDDEN TESTS
checks.nobodys_gradient(jacobian, is_a_gradient, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# On question 3 of 2.8: the field of a single sweep is the slope of no function, so there is no "CD loss" that could be plotted or would have to fall. What programs plot under that name is
# a reconstruction error or a difference of free energies.
#
# Done? Go on to [chapter 3](../../notebooks/03_log_z.ipynb): how do you know how good such a model is?
