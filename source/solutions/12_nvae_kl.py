# %% [markdown]
# # Exercises 12 · NVAE: the divergence
#
# Six exercises for [chapter 12](../../notebooks/12_nvae_kl.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("12.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call; the third gives the answer away. `start_over("12.1")` gives you the untouched start. "Section 12.3" is one of the chapter, "12.3" alone an exercise.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 12.1 | The divergence in four terms | core | 5 |
# | 12.2 | There and back | core | 10 |
# | 12.3 | Whom does the divergence teach? | core | 20 |
# | 12.4 | Two groups, one divergence | core | 25 |
# | 12.5 | A prior that moves | core | 20 |
# | 12.6 | A meter for collapse | core | 15 |
#
# Everywhere $p=\mathcal N(\mu,\sigma^2)$ and $q=\mathcal N(\mu+\Delta\mu,(\sigma\Delta\sigma)^2)$, each number of $z$ on its own; `B` pictures, `K` numbers of $z$, `L` groups. Everything is float64; logarithms are natural. Write with torch alone.

# %% tags=["label-setup"]
import torch
from deepgen_lib import checks, hint, start_over
torch.set_num_threads(1)

# %% [markdown]
# ## 12.1 The divergence in four terms   (core, 5 minutes, one line)
#
# $\mathrm{KL}(q\Vert p)$ of each picture, in nats, from $\Delta\mu$, $\Delta\sigma$ (not its logarithm) and $\sigma$. The formula stands in section 12.2; leave the chapter closed and write it from what each term has to do: it is 0 at $\Delta\mu=0$ and $\Delta\sigma=1$, and positive everywhere else.

# %% nbgrader={"grade": false, "grade_id": "ex-12-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relative_kl(dmu, dsigma, sigma):
    """(B, K) three times -> (B,)."""
    ### BEGIN SOLUTION
    return (0.5 * (dmu**2 / sigma**2 + dsigma**2 - torch.log(dsigma**2) - 1)).sum(1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-12-1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N6"]
checks.relative_kl(relative_kl)
### BEGIN HIDDEN TESTS
checks.relative_kl(relative_kl, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 12.2 There and back   (core, 10 minutes, two lines and five answers)
#
# - `relative(mu_p, sigma_p, mu_q, sigma_q)` -> $(\Delta\mu,\Delta\sigma)$, of any $q$ seen from $p$;
# - `absolute(mu_p, sigma_p, dmu, dsigma)` -> mean and scale of $q$.
#
# All tensors have one shape; return two of that shape. Then put `True` or `False` (no quotes) in place of each `None`.

# %% nbgrader={"grade": false, "grade_id": "ex-12-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relative(mu_p, sigma_p, mu_q, sigma_q):
    """(dmu, dsigma)."""
    ### BEGIN SOLUTION
    return mu_q - mu_p, sigma_q / sigma_p
    ### END SOLUTION

def absolute(mu_p, sigma_p, dmu, dsigma):
    """(mean of q, scale of q)."""
    ### BEGIN SOLUTION
    return mu_p + dmu, sigma_p * dsigma
    ### END SOLUTION

answers = {"every normal q can be written relative to p": None,
           "the head that says dmu and dsigma has weights of its own": None,
           "the formula of N5 by itself makes p and q use the same weights": None,
           "the KL of a relative q depends on the prior's mean": None,
           "a relative q whose head says (0, 1) has KL 0, whatever p is": None}
### BEGIN SOLUTION
answers = dict(zip(answers, [True, True, False, False, True]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-12-2", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N5"]
checks.beside_the_prior(relative, absolute, answers)
### BEGIN HIDDEN TESTS
checks.beside_the_prior(relative, absolute, answers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 12.3 Whom does the divergence teach?   (core, 20 minutes, about four lines and two answers)
#
# The network says $\mu$, $\log\sigma$, $\Delta\mu$ and $\log\Delta\sigma$. Give the slopes of the KL, added up over all numbers, in these four, each of their shape. By formula or by autograd: do it one way and check it by the other. (One of the four may not occur in your formula. `torch.autograd.grad(..., materialize_grads=True)` then gives zeros; without it, an error or `None`.) Then say who teaches: `"KL"`, `"reconstruction"` or `"nothing"`.

# %% nbgrader={"grade": false, "grade_id": "ex-12-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slopes(mu, log_sigma, dmu, log_dsigma):
    """Four tensors (N,) -> slopes of the KL in each of them, four tensors (N,)."""
    ### BEGIN SOLUTION
    per_variance = dmu * torch.exp(-2 * log_sigma)
    return torch.zeros_like(mu), -dmu * per_variance, per_variance, torch.exp(2 * log_dsigma) - 1
    ### END SOLUTION

teachers = {"in the relative way the prior's mean learns from": None,
            "an absolute prior that is detached in the KL learns from": None}
### BEGIN SOLUTION
teachers = dict(zip(teachers, ["reconstruction", "nothing"]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-12-3", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N6"]
checks.who_is_taught(slopes, teachers)
### BEGIN HIDDEN TESTS
checks.who_is_taught(slopes, teachers, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 12.4 Two groups, one divergence   (core, 25 minutes, four lines and a sheet of paper)
#
# $p(z_1)=\mathcal N(0,1)$ and, for each of `B` pictures, $q(z_1\mid x)=\mathcal N(m,t^2)$. The second group's prior has the scale $s$; its posterior is relative, $\Delta\mu=c_0+c_1z_1$ as in section 12.4, but here $\Delta\sigma=e^{dz_1}$ depends on $z_1$, too. Give the KL of the pair, $q(z_1,z_2\mid x)$ from $p(z_1,z_2)$, in nats for each picture, without drawing. Do you need the prior's mean of $z_2$?
#
# You may use that $\mathbb E[e^y]=e^{a+b/2}$ for a normal $y$ of mean $a$ and variance $b$.

# %% nbgrader={"grade": false, "grade_id": "ex-12-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_groups(m, t, c0, c1, d, s):
    """(B,) six times -> (B,)."""
    ### BEGIN SOLUTION
    first = 0.5 * (m**2 + t**2 - torch.log(t**2) - 1)
    square = (c0 + c1 * m) ** 2 + c1**2 * t**2            # mean of dmu² over q(z1)
    widen = torch.exp(2 * d * m + 2 * d**2 * t**2)        # mean of dsigma²
    return first + 0.5 * (square / s**2 + widen - 2 * d * m - 1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-12-4", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N6b"]
checks.two_groups(two_groups)
### BEGIN HIDDEN TESTS
checks.two_groups(two_groups, seed=1)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-12-4", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your sheet of paper for 12.4
#
# Write down how you came from N6b to your line of code, and answer the question about the prior's mean. 0 to 3 points from whoever reads it, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions.
#
# | points | your text |
# |:--|:--|
# | 3 | the sum over groups, the expectation over $z_1$ and the values of its three means are each shown, and the answer about the prior's mean has its reason |
# | 2 | the sum and the expectation are shown and right; the answer about the prior's mean is missing or has no reason |
# | 1 | the two divergences are written down, but the mean over $z_1$ is left out or has a wrong step |
# | 0 | nothing yet, or the code again in symbols |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-12-4", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *Five lines are enough:*
#
# <!-- BEGIN SOLUTION -->
# By N6b the divergence of the pair is $\mathrm{KL}(q(z_1)\Vert p(z_1))+\mathbb E_{q(z_1)}\,\mathrm{KL}(q(z_2\mid z_1)\Vert p(z_2\mid z_1))$, every $q$ given $x$.
#
# The first is N6 with $\sigma=1$, $\Delta\mu=m$, $\Delta\sigma=t$: $\frac12(m^2+t^2-\log t^2-1)$.
#
# The second, for one $z_1$, is N6 with $\Delta\mu=c_0+c_1z_1$ and $\Delta\sigma=e^{dz_1}$: $\frac12\big((c_0+c_1z_1)^2/s^2+e^{2dz_1}-2dz_1-1\big)$. Three things in it depend on $z_1$.
#
# Under $q$, $z_1$ has the mean $m$ and the variance $t^2$. A squared mean plus a variance: $\mathbb E[\Delta\mu^2]=(c_0+c_1m)^2+c_1^2t^2$. The exponent $2dz_1$ has the mean $2dm$ and the variance $4d^2t^2$, so $\mathbb E[\Delta\sigma^2]=e^{2dm+2d^2t^2}$ and $\mathbb E[\log\Delta\sigma^2]=2dm$.
#
# The prior's mean of $z_2$ is not needed: the posterior is written relative to it, it moves both alike and cancels in their difference (N5).
# <!-- END SOLUTION -->

# %% [markdown]
# ## 12.5 A prior that moves   (core, 20 minutes, two lines and three answers)
#
# The prior is $\mathcal N(wz_1,\sigma^2)$ with $z_1\sim\mathcal N(0,1)$, as in section 12.5, but $q$'s head says $a$ and $b$ for every $z_1$, not 0 and 1: a difference and a factor (relative), or a mean and a scale (absolute). Give the KL of both, each its mean over $z_1$, relative first. Four tensors `(N,)`, one number for each prior, give two. For $w=10$, $\sigma=0.1$, $a=0$, $b=1$ the second is above 5,000 nats.
#
# Then answer with `"KL"`, `"reconstruction"` or `"nothing"`, and once with `True` or `False` (no quotes).

# %% nbgrader={"grade": false, "grade_id": "ex-12-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def both_ways(slope, sigma, a, b):
    """(relative, absolute), mean KL in nats.  (N,) four times -> (N,), (N,)."""
    ### BEGIN SOLUTION
    relative = 0.5 * (a**2 / sigma**2 + b**2 - torch.log(b**2) - 1)
    square = slope**2 + a**2                              # mean of dmu² over z1: a - slope * z1
    return relative, 0.5 * ((square + b**2) / sigma**2 - torch.log(b**2 / sigma**2) - 1)
    ### END SOLUTION

jumps = {"the prior jumps and the decoder stays: a relative q pays": None,
         "the prior jumps and the decoder stays: an absolute q pays": None,
         "at the size of this chapter's network the relative way saves many nats after training": None}
### BEGIN SOLUTION
jumps = dict(zip(jumps, ["reconstruction", "KL", False]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-12-5", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["exercise-N7"]
checks.moving_prior(both_ways, jumps)
### BEGIN HIDDEN TESTS
checks.moving_prior(both_ways, jumps, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 12.6 A meter for collapse   (core, 15 minutes, about four lines and four answers)
#
# You get the nats of each group for each picture, `kl` `(B, L)`, and how many numbers of $z$ each group has, `sizes` `(L,)`. Give
#
# 1. the mean nats of each group, over the pictures;
# 2. balancing weights: mean nats per number of $z$, scaled so that their mean over the groups is 1 (the chapter adds 0.01 nats to each group before it divides; leave that out);
# 3. a 1 for each silent group, else 0: one that spends, in the mean over the pictures, less than 0.01 nats per number.
#
# Three tensors `(L,)`. Then three times `True` or `False`, and a number of nats.

# %% nbgrader={"grade": false, "grade_id": "ex-12-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def meter(kl, sizes):
    """(mean nats, balancing weights, silent or not).  (B, L), (L,) -> (L,) three times."""
    ### BEGIN SOLUTION
    nats = kl.mean(0)
    per_number = nats / sizes
    return nats, per_number / per_number.mean(), (per_number < 0.01).double()
    ### END SOLUTION

says = {"a total of 10 nats shows that every group is used": None,
        "a silent group can be drawn from its prior and the reconstruction hardly changes": None,
        "balancing weights belong into the bound that is reported": None,
        "of 10 nats in all, the most that one group can hold": None}
### BEGIN SOLUTION
says = dict(zip(says, [False, True, False, 10]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-12-6", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.collapse_meter(meter, says)
### BEGIN HIDDEN TESTS
checks.collapse_meter(meter, says, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Now to work: the trained network of the chapter, and three that were trained for 300 updates without warm-up and balancing. Does any of their groups sleep?

# %% tags=["label-meter-at-work", "rtol-0.1", "atol-0.05"]
import json
from deepgen_lib import load_notes
from deepgen_lib.nvae_small import CHECKPOINT, load_small_nvae, small_digits

model, g = load_small_nvae(), torch.Generator().manual_seed(0)
sizes = torch.tensor([64.0, 64.0, 256.0, 256.0]).double()
runs = {"trained with care": model.elbo(small_digits("test")[:500], g).kl.double()}
noted = json.loads(load_notes(CHECKPOINT)["runs"])["relative, no warm-up"]
runs |= {f"no warm-up, seed {seed}": torch.tensor([kl]).double() for seed, (_, kl) in enumerate(noted)}
print("nats of z1, z2, z3, z4")
for name, kl in runs.items():
    nats, weights, silent = meter(kl, sizes)
    print(f"{name}:", *(f"{n:.2f}{' (silent)' if s else ''}" for n, s in zip(nats, silent)))

# %% [markdown]
# Done? You can read where a deep model keeps what it knows.
