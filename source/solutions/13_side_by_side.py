# %% [markdown]
# # Exercises 13 · Side by side
#
# Five exercises and a project for [chapter 13](../../notebooks/13_side_by_side.ipynb). Each has a check that answers at once and knows what usually goes wrong. Stuck? `hint("13.1")` gives
# a nudge, then an equation, then pseudo-code, one at each call; the third gives the answer away. `start_over("13.1")` gives you the untouched start.
#
# | | exercise | level | minutes |
# |:--|:--|:--|--:|
# | 13.1 | Which comparisons are legal? | core | 20 |
# | 13.2 | Another protocol, another number | core | 25 |
# | 13.3 | One per cent of a good model | core | 15 |
# | 13.4 | Importance weights done right | core | 20 |
# | 13.5 | A probe that does not peek | stretch | 30 |
# | 13.6 | Defend a ranking | project | 75 |
#
# A *score* is the mean of $\log p(x)$ over test pictures, in nats; the larger, the better. Pictures have $D$ pixels. Logarithms are natural.

# %% tags=["label-setup"]
import math
import torch
from deepgen_lib import all_states, checks, hint, plots, start_over
torch.set_num_threads(1)

# %% [markdown]
# ## 13.1 Which comparisons are legal?   (core, 20 minutes, ten lines and six answers)
#
# 1. `interval(score, error, kind)`: the lowest and the highest value that the true score of a model of pixels of 0 and 1 can have, `(low, high)`, infinite where nothing is known. `error` is the standard error of the number; leave room for three of them where the number was drawn.
#
# | kind | what was reported |
# |:--|:--|
# | `"exact"` | the score itself |
# | `"bound"` | a lower bound of it |
# | `"flattering"` | computed with a $\log Z$ that is too low |
# | `"estimate"` | an unbiased estimate whose error bar you believe |
#
# 2. `verdict(a, b)`: two intervals; `"first"` or `"second"` if that model is certainly better, else `"cannot say"`.
# 3. Six reported pairs: is `"A"` better, `"B"`, or `"cannot say"`? The pictures are the same unless stated.

# %% nbgrader={"grade": false, "grade_id": "ex-13-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def interval(score, error, kind):
    """(low, high) of the true score.  Two numbers and a text."""
    ### BEGIN SOLUTION
    if kind == "exact":
        return score, score
    low = -math.inf if kind == "flattering" else score - 3 * error
    return low, 0.0 if kind == "bound" else score + 3 * error
    ### END SOLUTION

def verdict(a, b):
    """"first", "second" or "cannot say".  Two intervals (low, high)."""
    ### BEGIN SOLUTION
    return "first" if a[0] > b[1] else "second" if b[0] > a[1] else "cannot say"
    ### END SOLUTION

legal = {"A: bound -88, B: exact -91": None,
         "A: bound -88, B: exact -86": None,
         "A: bound -88, B: bound -91": None,
         "A: plain bound -88, B: importance-weighted bound -87": None,
         "A: exact -70 on thresholded pixels, B: exact -86 on sampled ones": None,
         "A: -85 with a log Z that is too low, B: exact -83": None}
### BEGIN SOLUTION
legal = dict(zip(legal, ["A", "cannot say", "cannot say", "cannot say", "cannot say", "B"]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-13-1", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.which_is_better(interval, verdict, legal)
### BEGIN HIDDEN TESTS
checks.which_is_better(interval, verdict, legal, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 13.2 Another protocol, another number   (core, 25 minutes, four lines and three answers)
#
# 1. `in_other_units(log_density, n_dims, factor)`: a model of $D$ real numbers gives $\log p_x(x)$. Somebody stores the same pictures as $y=sx$, greys from 0 to 255 in place of 0 to 1. What is $\log p_y(y)$ of the same model?
# 2. `mean_over_draws(log_p, grey)`: pixels are sampled, on with probability grey, each by itself. What score does a grey picture get *on average* over all its draws? `log_p` holds $\log p(b)$ for every row $b$ of `all_states(D)`. No random numbers: all $2^D$ draws are at hand.
# 3. Fill in: `"higher"`, `"lower"`, ... as the options say.
#
# | question | options |
# |:--|:--|
# | greys fed to an RBM's $-F(x)-\log Z$ | `"never higher"`, `"never lower"`, `"the same"` |
# | an RBM trained on sampled pixels, asked about thresholded ones | `"higher, and is no better model for it"`, `"higher, so thresholding makes better models"`, `"lower, as it never saw them"` |
# | the order of two models under two protocols | `"always"`, `"not always"` |

# %% nbgrader={"grade": false, "grade_id": "ex-13-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def in_other_units(log_density, n_dims, factor):
    """log p of y = factor x.  (N,), two numbers -> (N,)."""
    ### BEGIN SOLUTION
    return log_density - n_dims * math.log(factor)
    ### END SOLUTION

def mean_over_draws(log_p, grey):
    """Mean of log p(b) over draws b of each picture.  (2**D,), (N, D) -> (N,)."""
    ### BEGIN SOLUTION
    b = all_states(grey.shape[1])
    chance = torch.where(b == 1, grey[:, None], 1 - grey[:, None]).prod(2)
    return chance @ log_p
    ### END SOLUTION

protocol = {"an RBM's -F(x) - log Z, fed with grey x, against its mean over sampled x, is": None,
            "an RBM trained on sampled pixels, asked about thresholded ones, scores": None,
            "two models, both scored on sampled and both on thresholded pixels: "
            "the better one is the same": None}
### BEGIN SOLUTION
protocol = dict(zip(protocol, ["never higher", "higher, and is no better model for it", "not always"]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-13-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.another_protocol(in_other_units, mean_over_draws, protocol)
### BEGIN HIDDEN TESTS
checks.another_protocol(in_other_units, mean_over_draws, protocol, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 13.3 One per cent of a good model   (core, 15 minutes, one line and four answers)
#
# A model throws a coin: with chance `share` it asks a good model, else it returns noise. Given $\log p(x)$ of the good model and of the noise, what is $\log p(x)$ of the whole?
#
# Then: how much can it lose against the good model, at most, in nats? What share of its samples is noise? And the other way round: a model that recites training pictures, each pixel wrong once in a million. Are its samples and its test score `"perfect and good"`, `"perfect and bad"` or `"poor and bad"`?

# %% nbgrader={"grade": false, "grade_id": "ex-13-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def diluted(log_p, log_noise, share):
    """log p(x) of the model with the coin.  (N,), (N,), a number -> (N,)."""
    ### BEGIN SOLUTION
    return torch.logaddexp(math.log(share) + log_p, math.log(1 - share) + log_noise)
    ### END SOLUTION

coin = {"largest loss with a share of 1 %, in nats": None,
        "largest loss with a share of 0.01 %, in nats": None,
        "share of noise among the samples of the first": None,
        "a model that recites training pictures, each pixel wrong once in a million: "
        "its samples and its test score are": None}
### BEGIN SOLUTION
coin = dict(zip(coin, [-math.log(0.01), -math.log(0.0001), 0.99, "perfect and bad"]))
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-13-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.one_per_cent(diluted, coin)
### BEGIN HIDDEN TESTS
checks.one_per_cent(diluted, coin, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 13.4 Importance weights done right   (core, 20 minutes, two lines)
#
# For each of $N$ pictures you drew $S$ latents from $q(z\mid x)$ and kept $\log p(x,z_s)$ and $\log q(z_s\mid x)$, both `(S, N)`. Estimate the bound with $k$ weights, $\mathbb E\big[\log\frac1k\sum_{s=1}^kp(x,z_s)/q(z_s\mid x)\big]$, from *all* of them: rows 0 to $k-1$ are one group, the next $k$ another; average
# the groups' values. $k$ divides $S$; $k=1$ gives the plain bound.

# %% nbgrader={"grade": false, "grade_id": "ex-13-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def importance_in_groups(log_joint, log_q, k):
    """The bound with k weights, a mean over S / k groups.  (S, N), (S, N), a number -> (N,)."""
    ### BEGIN SOLUTION
    log_w = (log_joint - log_q).view(-1, k, log_joint.shape[1])
    return (log_w.logsumexp(1) - math.log(k)).mean(0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-13-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.importance_in_groups(importance_in_groups)
### BEGIN HIDDEN TESTS
checks.importance_in_groups(importance_in_groups, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 13.5 A probe that does not peek   (stretch, 30 minutes, eight lines)
#
# How much of the label can a linear classifier read off a model's features? The number is easily made too good. You get three sets, each `(features (N, F), labels (N,))`, and some weight decays to try. Put the features in units of mean and standard deviation; choose the decay with the fewest errors (of several alike the first); return
# that decay and the share of errors that you would print. The labels are 0, 1, 2, and the classifier is given:

# %% tags=["label-ridge"]
def ridge(x, y, decay):
    """W (F, 3), b (3,) that minimise the squared error to one-hot labels plus decay times W's squares."""
    targets, centre = torch.eye(3).to(x)[y], x.mean(0)
    gram = (x - centre).T @ (x - centre) + decay * torch.eye(x.shape[1]).to(x)
    W = torch.linalg.solve(gram, (x - centre).T @ (targets - targets.mean(0)))
    return W, targets.mean(0) - centre @ W

def share_wrong(x, y, W, b):
    return ((x @ W + b).argmax(1) != y).double().mean().item()

# %% nbgrader={"grade": false, "grade_id": "ex-13-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def honest_probe(train, valid, test, decays):
    """(decay, share of errors to report).  Three pairs (features, labels), a tuple of numbers."""
    ### BEGIN SOLUTION
    m, s = train[0].mean(0), train[0].std(0)
    fits = {decay: ridge((train[0] - m) / s, train[1], decay) for decay in decays}
    errors = {decay: share_wrong((valid[0] - m) / s, valid[1], *fit) for decay, fit in fits.items()}
    best = min(decays, key=errors.get)
    return best, share_wrong((test[0] - m) / s, test[1], *fits[best])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-13-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.honest_probe(honest_probe)
### BEGIN HIDDEN TESTS
checks.honest_probe(honest_probe, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# ## 13.6 Defend a ranking   (project, 75 minutes, eight lines and one page)
#
# A museum wants a machine that draws digits for visitors, and tells them how unusual their own handwriting is. You may offer it one of the chapter's models. Which?
#
# First the hard facts. Each row of a table is `(name, protocol, kind, score, error)`, kinds as in 13.1. Give the list of all pairs `(better, worse)` that the numbers decide, in alphabetical order. Use your `interval` and `verdict`.

# %% nbgrader={"grade": false, "grade_id": "ex-13-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def supported(rows):
    """Sorted list of (better, worse).  A list of rows."""
    ### BEGIN SOLUTION
    found = []
    for name, home, kind, score, error in rows:
        for other, away, other_kind, other_score, other_error in rows:
            if home == away and verdict(interval(score, error, kind), interval(other_score, other_error, other_kind)) == "first":
                found.append((name, other))
    return sorted(found)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-13-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.defend_a_ranking(supported)
### BEGIN HIDDEN TESTS
checks.defend_a_ranking(supported, seed=1)
### END HIDDEN TESTS

# %% [markdown]
# Now the models that ship with the course, as they were measured on the fixed binarisation. AIS counts as flattering, whatever its error bar.

# %% tags=["label-museum"]
from deepgen_lib.side_by_side import shipped_models

models = shipped_models()
plots.table({m.title: [m.kind, m.measured.test, f"{m.n_parameters:,}"] for m in models.values()},
            columns=["kind of number", "nats per picture", "parameters"], digits=1)

# %% [markdown] nbgrader={"grade": false, "grade_id": "rubric-13-6", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Your page for 13.6
#
# Rank three of these models for the museum, and defend the order before somebody who would have ranked them otherwise. One page. Use at least two measures of the chapter (one of them may be one that you computed anew), say of each number what kind it is, and name the strongest thing that speaks against your ranking. Somebody who reads it gives 0 to 3
# points, on top of those of the check. Learning alone? Judge yourself by the table, then compare with the solutions.
#
# | points | your page |
# |:--|:--|
# | 3 | the two jobs (drawing, judging handwriting) are kept apart and each has a measure that fits it; every comparison is legal or is called undecided; and the best objection is named, with what would settle it |
# | 2 | the measures fit the jobs and the kinds of number are right, but the objection is missing or is no real one |
# | 1 | a ranking with numbers, of which one is compared illegally, or all of which serve one job alone |
# | 0 | nothing yet, or a ranking that any table would give: "largest number wins", "sharpest samples win" |

# %% [markdown] nbgrader={"grade": true, "grade_id": "written-13-6", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# *One page:*
#
# <!-- BEGIN SOLUTION -->
# One of many good answers. *Two jobs.* To say how unusual a digit is, one needs $\log p(x)$ of that digit, at once and without doubt. To draw, one needs samples that visitors take for digits, and that are not copies.
#
# *Judging.* The RBM's and the DBN's scores are the highest, but both rest on one $\log Z$ from AIS, which flatters on average; the error does not matter here, as $\log Z$ is the same for every visitor: *differences* of $-F(x)$ between two digits are exact. The DBN gives a bound, and how loose it is may differ from digit to digit. So the RBM judges better than the DBN,
# though its number is no better. The mixture is exact, and by 13.1 certainly worse than every model whose bound is above its score.
#
# *Drawing.* The RBM and the DBN need a thousand sweeps for a sample, the VAE one pass. Likelihood does not rank samples (13.3), so I rank by what I saw with the names hidden, and by the share that the classifier of the chapter is sure of; nearest training pictures show that none recites.
#
# *My order:* the RBM for the judging; for drawing the DBN, drawn in advance, before the VAE. *Best objection:* my eye and the classifier both like typical digits, so a model that draws only ten of them would win. What would settle it: the share of each class and the spread within classes of a thousand samples, beside those of test pictures.
# <!-- END SOLUTION -->

# %% [markdown]
# Done? You can read a table of likelihoods like a contract: what it says, what it leaves out, and what nobody should have compared.
