# %% [markdown]
# # Exercises 8 · The variational autoencoder
#
# Six exercises for [chapter 8](../../notebooks/08_vae.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("8.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call. `start_over("8.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 8.1 | Two gradients from the same draws | core | 15 |
# | 8.2 | What the latents cost | core | 10 |
# | 8.3 | The best q of a model that can be solved | stretch | 25 |
# | 8.4 | Importance weights in a stream | core | 15 |
# | 8.5 | Whose fault is the gap? | core | 15 |
# | 8.6 | The best baseline | stretch | 35 |
#
# Everywhere $q(z\mid x)=\mathcal N(\mu,\operatorname{diag}\sigma^2)$ and $p(z)=\mathcal N(0,I)$; `B` pictures, `K` latents, `N` draws. Everything is float64; logarithms are natural.

# %% tags=["label-setup"]
import math
import torch
from deepgen_lib import checks, hint, start_over
torch.set_num_threads(1)

# %% [markdown]
# ## 8.1 Two gradients from the same draws   (core, 15 minutes, three lines)
#
# You are given $N$ draws `eps` of standard normal numbers, a function `f` (values, `(N, K) -> (N,)`) and its `slope` ($\nabla f$, `(N, K) -> (N, K)`). With $z=\mu+\sigma\varepsilon$, estimate $\nabla_\mu\mathbb E_q[f(z)]$ twice from the same draws: along the path, and by the score function. A vector of $K$
# numbers each, means over the draws.

# %% nbgrader={"grade": false, "grade_id": "ex-8-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_ways(f, slope, mu, sigma, eps):
    """(pathwise, score function).  mu, sigma (K,), eps (N, K) -> (K,), (K,)."""
    ### BEGIN SOLUTION
    z = mu + sigma * eps
    return slope(z).mean(0), (f(z)[:, None] * eps / sigma).mean(0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.two_ways(two_ways)
### BEGIN HIDDEN TESTS
checks.two_ways(two_ways, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 8.2 What the latents cost   (core, 10 minutes, one line)
#
# $\mathrm{KL}(q(z\mid x)\,\Vert\,p(z))$ needs no draw. Give it in nats for each picture, from $\mu$ and $\log\sigma$. Where $\mu=0$ and $\sigma=1$ it must be 0.

# %% nbgrader={"grade": false, "grade_id": "ex-8-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_by_hand(mu, log_sigma):
    """(B, K), (B, K) -> (B,)."""
    ### BEGIN SOLUTION
    return (0.5 * (mu**2 + torch.exp(2 * log_sigma) - 1) - log_sigma).sum(1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.kl_by_hand(kl_by_hand)
### BEGIN HIDDEN TESTS
checks.kl_by_hand(kl_by_hand, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 8.3 The best q of a model that can be solved   (stretch, 25 minutes, three lines)
#
# $x=Wz+b+\text{noise}$ with normal noise of standard deviation `sigma` in each pixel. Of all $q$ with independent latents give the one with the highest bound: its mean for each $x$, and its widths $\sigma_k$, the same for every $x$. (Write the bound as a function of $\sigma_k$ alone
# before you write code.)

# %% nbgrader={"grade": false, "grade_id": "ex-8-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_q(W, b, sigma, x):
    """(mean, widths).  W (V, K), b (V,), a number, x (B, V) -> (B, K), (K,)."""
    ### BEGIN SOLUTION
    P = torch.eye(W.shape[1]).double() + W.T @ W / sigma**2       # the posterior's precision
    mean = torch.linalg.solve(P, W.T @ (x - b).T / sigma**2).T
    return mean, P.diagonal() ** -0.5
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-3", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.best_q(best_q)
### BEGIN HIDDEN TESTS
checks.best_q(best_q, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 8.4 Importance weights in a stream   (core, 15 minutes, five lines)
#
# Logarithms of importance weights $\ell_s=\log\frac{p(x,z_s)}{q(z_s\mid x)}$ arrive in chunks, each `(draws in it, B)`, and chunks need not be of one size. Give $\log\frac1S\sum_se^{\ell_s}$ for each picture. The weights may be as small as $e^{-900}$. A stream would not fit
# into memory at once: carry one number per picture along.

# %% nbgrader={"grade": false, "grade_id": "ex-8-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weights_in_a_stream(chunks):
    """A list of (S_i, B) -> (B,)."""
    ### BEGIN SOLUTION
    total, n = torch.full_like(chunks[0][0], -math.inf), 0
    for chunk in chunks:
        total = torch.logaddexp(total, chunk.logsumexp(0))
        n += len(chunk)
    return total - math.log(n)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.weights_in_a_stream(weights_in_a_stream)
### BEGIN HIDDEN TESTS
checks.weights_in_a_stream(weights_in_a_stream, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 8.5 Whose fault is the gap?   (core, 15 minutes, one line and five answers)
#
# For each picture you know $\log p(x)$, the bound with the best $q$ of the family, and the bound with the encoder's $q$. Give the mean part of the family and the mean part of the network, as gaps that are never negative.
#
# Then answer: `"family"`, `"network"` or `"both"`; `True` or `False`.

# %% nbgrader={"grade": false, "grade_id": "ex-8-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_gaps(log_p, best, encoder):
    """(the family's part, the network's part).  (B,) three times -> (), ()."""
    ### BEGIN SOLUTION
    return (log_p - best).mean(), (best - encoder).mean()
    ### END SOLUTION

answers = {"a q with correlated latents lowers": None,
           "more training of the encoder alone lowers": None,
           "with p(x) fixed, the network's part can be made zero on the training pictures": None,
           "importance weights lower": None,
           "one estimate by importance weights is never above log p(x)": None}
### BEGIN SOLUTION
answers = dict(zip(answers, ["family", "network", True, "both", False]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.whose_fault(two_gaps, answers)
### BEGIN HIDDEN TESTS
checks.whose_fault(two_gaps, answers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 8.6 The best baseline   (stretch, 35 minutes, two lines and a sheet of paper)
#
# The score-function gradient of latent $k$ is the mean of $(f_n-b_k)\,g_{nk}$, with $g_{nk}=\varepsilon_{nk}/\sigma_k$ and $\mathbb E[g]=0$. Its mean does not depend on $b_k$; its variance does. Find the $b_k$ with the smallest variance on paper, then estimate it from draws: replace each expectation by a mean over them.

# %% nbgrader={"grade": false, "grade_id": "ex-8-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_baseline(f, score):
    """One baseline for each latent.  f (N,), score (N, K) -> (K,)."""
    ### BEGIN SOLUTION
    squares = score**2
    return (f[:, None] * squares).mean(0) / squares.mean(0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-8-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.best_baseline(best_baseline)
### BEGIN HIDDEN TESTS
checks.best_baseline(best_baseline, seed=1)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-8-6", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your sheet of paper for 8.6
#
# Write down what you derived: why the mean does not depend on $b_k$, how the variance does, and where it is smallest. 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the course's `solutions/`.
#
# | points | your text |
# |:--|:--|
# | 3 | all three are shown, each step follows from the one before, and it is said why the point found is a minimum |
# | 2 | the best $b_k$ is derived from the variance, but one of the other two is stated without a reason |
# | 1 | the variance is written down as a function of $b_k$, but the way to its smallest value breaks off or has a wrong step |
# | 0 | nothing yet, or the formula alone |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-8-6", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Five lines are enough:*
#
# <!-- BEGIN SOLUTION -->
# For one latent, drop $k$. The mean: $\mathbb E[(f-b)g]=\mathbb E[fg]-b\,\mathbb E[g]=\mathbb E[fg]$, since $\mathbb E[g]=0$.
#
# The variance of one draw is therefore $\mathbb E[(f-b)^2g^2]-\mathbb E[fg]^2$, and the second term is free of $b$.
#
# The first one is a parabola in $b$: $\mathbb E[f^2g^2]-2b\,\mathbb E[fg^2]+b^2\,\mathbb E[g^2]$, open to the top because $\mathbb E[g^2]>0$, so its one flat point is its minimum.
#
# Its slope $-2\,\mathbb E[fg^2]+2b\,\mathbb E[g^2]$ is zero at $b=\mathbb E[fg^2]/\mathbb E[g^2]$: a mean of $f$ in which draws that push hard on this latent weigh more. It is the plain mean of $f$ only where $f$ and $g^2$ do not go together.
# <!-- END SOLUTION -->

# %% [markdown]
# What is it worth? The hill of the chapter, 20 latents: the variance without a baseline, with the mean of $f$, and with yours, found on other draws than those it is used on.

# %% tags=["label-baseline-worth", "rtol-0.05"]
g = torch.Generator().manual_seed(0)
e, fresh = (torch.randn(50_000, 20, generator=g).double() for _ in range(2))
hill = lambda z: -0.5 * ((z - 0.5) ** 2).sum(1)                   # from mu = 0, sigma = 0.5
mine = best_baseline(hill(0.5 * e), e / 0.5)
mean = hill(0.5 * e).mean().expand(20)
for name, b in {"none": torch.zeros(20), "mean of f": mean, "the best": mine}.items():
    variance = ((hill(0.5 * fresh)[:, None] - b) * fresh / 0.5).var(0)
    print(f"{name}: variance {variance.mean():.2f}")

# %% [markdown]
# Done? You can train through a die. The next chapter puts an argmin where the die was.
