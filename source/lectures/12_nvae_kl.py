# %% [markdown]
# # 12 · NVAE: the divergence
#
# **Why describe the posterior relative to the prior?**
#
# Chapter 11 built the network: groups of latents $z_1,\dots,z_L$, each with a prior that depends on all groups above it. Training asks for $\mathrm{KL}(q\,\Vert\,p)$ in every group, and both sides of it are networks that move all the time. NVAE writes $q$ as a *difference* from $p$. The divergence then becomes a formula of one line. Where does it come
# from, what does it save, and what does it not? And how is the divergence spent: which groups are used, which fall silent, and how would you know?
#
# | | |
# |:--|:--|
# | **After this chapter you can** | derive the divergence of a relative posterior and tell the right formula from eight wrong ones; add it up over a hierarchy; say what happens to either way of writing $q$ when the prior moves; read nats per group, see a collapsed group, and say what warm-up and balancing change; sample an NVAE at a temperature and change one group alone |
# | **Time** | 75 minutes to read and predict, 95 for the exercises; all cells together run in about a minute |
# | **In the lecture** | *Basic idea: careful changes in architecture* (the encoder's slides): claims N5 to N7 |
# | **You need** | the network ([chapter 11](11_nvae_architecture.ipynb)), the VAE and its bound ([chapter 8](08_vae.ipynb)) |
# | **Notation** | $p(z_l\mid z_{<l})=\mathcal N(\mu,\sigma^2)$, $q(z_l\mid z_{<l},x)=\mathcal N(\mu+\Delta\mu,(\sigma\,\Delta\sigma)^2)$, each entry of $z_l$ on its own; groups from the top down; nats |

# %% tags=["label-setup"]
import math, torch
from deepgen_lib import claim, derivation, explore, fit, planted_error, plots
from deepgen_lib import NVAE, NVAEConfig, predict, predict_number, residual_normal_kl, reveal
from deepgen_lib.residual_normal import ResidualNormal, practical, relative_to, two_normals_kl
torch.set_num_threads(1)

# %% [markdown]
# ## 12.1 Two ways to write a posterior
#
# A network must put out a mean and a scale for $q$. It can say them outright: *absolute*. Or it can say how they differ from the prior's: add $\Delta\mu$ to its mean, multiply its scale by $\Delta\sigma$: *relative*. In one group of NVAE:

# %% tags=["label-diagram"]
plots.diagrams.relative_posterior()

# %% [markdown]
# Two heads, one for $p$ and one for $q$. Take one number of $z_2$, a prior that is asked at three values of the group above it, and a head of $q$ that always says 0.4 and 0.7:

# %% tags=["label-two-ways"]
F64 = torch.float64
G = lambda seed: torch.Generator().manual_seed(seed)
z1 = torch.tensor([-1.0, 0.0, 2.0], dtype=F64)
mu, log_sigma = 1.5 * z1, torch.full((3,), 0.5, dtype=F64).log()   # p(z2 | z1)
said = torch.full((3,), 0.4, dtype=F64), torch.full((3,), 0.7, dtype=F64).log()
relative = ResidualNormal(mu, log_sigma, *said)
absolute = relative_to(mu, log_sigma, *said)           # the same two numbers, read outright

# %% tags=["label-predict-two-ways"]
predict("12.a", "Is there a normal q that the relative way cannot write?",
        ["yes, one far away from p", "yes, one wider than p", "none"])

# %% tags=["label-densities"]
def at_each(way, q):
    return {f"{way}, z1 = {v:g}": ResidualNormal(*(part[i] for part in q)) for i, v in enumerate(z1)}

display(plots.nvae_kl.beside(at_each("relative", relative),
                             says="A relative q keeps its place beside p, wherever p goes."))
display(plots.nvae_kl.beside(at_each("absolute", absolute),
                             says="An absolute q, told the same two numbers, stays where it is."))
reveal("12.a", 2, "Subtract the means, divide the scales: any q has a difference and a factor.")

# %% [markdown]
# > **N5.** $p(z_l\mid z_{<l})=\mathcal N(\mu,\sigma^2)$ and $q(z_l\mid z_{<l},x)=\mathcal N(\mu+\Delta\mu,(\sigma\,\Delta\sigma)^2)$: when $\mu$ and $\sigma$ move, $q$ moves with them. $\Delta\mu$ and $\Delta\sigma$ have weights of their own.
#
# Above: the head says the same three times; a relative $q$ goes along with the prior, an absolute one does not, and what it costs depends on where the prior is.
#
# First the algebra: any $q$, written relative to any $p$, is still itself. Then a real group of a small NVAE: push the prior's mean by 3 and watch $q$.

# %% tags=["label-group"]
def small_group(relative):
    """The second group of a small NVAE, a state h of the shared path, the encoder's tap."""
    sizes = dict(groups=(1, 1), image_size=8, n_down=1, n_latent=2, width=2, cells=1, clamp=None)
    model = NVAE(NVAEConfig(relative=relative, **sizes), rng=G(0)).double().eval()
    group = model.top_down.groups[1]
    torch.nn.init.normal_(group.posterior.head[-1].weight, std=0.2, generator=G(1))
    h, tap = torch.randn(2, 1, 4, 4, 4, dtype=F64, generator=G(2))
    return group, h, tap

def ends(r):
    """Mean and log scale of q, then of p."""
    return r.mu + r.delta_mu, r.log_sigma + r.delta_log_sigma, r.mu, r.log_sigma

# %% tags=["label-push"]
def lag(relative):
    """How far q's mean falls behind when the prior's mean is pushed by 3."""
    group, h, tap = small_group(relative)
    before = ends(group.normals(h, tap, (1, 2, 4, 4)))
    with torch.no_grad():
        group.prior[-1].bias[:2] += 3.0
    after = ends(group.normals(h, tap, (1, 2, 4, 4)))
    return ((after[2] - before[2]) - (after[0] - before[0])).abs().max()

# %% tags=["label-n5-claim", "claim-N5", "planted-N5"]
any_q, any_p = torch.randn(2, 2, 1000, dtype=F64, generator=G(3))
back = ends(relative_to(*any_p, *any_q))
miss = max((a - b).abs().max() for a, b in zip(back, (*any_q, *any_p)))
claim("N5", miss, below=1e-12, says="1,000 q's written relative to p and read back")
claim("N5", lag(True), below=1e-12, says="how far a relative q falls behind its prior")
planted_error("N5", lag(False), below=1e-12, says="q written outright")

# %% [markdown]
# Now the weights. Which of the group's parts does $p$ read, and which does $q$? Ask by gradients: a part that is not read has slope zero.

# %% tags=["label-predict-owners"]
predict("12.b", "Which weights do prior and posterior have in common?",
        ["the last layers, which put out their numbers", "the path from the group above", "none"])

# %% tags=["label-slope"]
def slope(output, part):
    """Length of the gradient of an output in the weights of a part."""
    found = torch.autograd.grad(output.square().sum(), list(part.parameters()), retain_graph=True,
                                materialize_grads=True)
    return sum(g.square().sum() for g in found).sqrt()

# %% tags=["label-owners", "picture-N5"]
group, h, tap = small_group(True)
h = group.path(torch.randn(1, 8, 2, 2, dtype=F64, generator=G(4)))       # the shared path, walked once
both = group.normals(h, tap, (1, 2, 4, 4))
parts = {"shared path": group.path, "prior's head": group.prior, "posterior's head": group.posterior}

outputs = {"p": both.mu, "q": both.mu + both.delta_mu, "the delta": both.delta_mu}
lengths = torch.tensor([[slope(o, part) for part in parts.values()] for o in outputs.values()])
plots.vq_losses.who_moves(lengths, rows=list(outputs), columns=list(parts),
                          says="Length of the gradient of each mean in each part's weights.")

# %% tags=["label-owners-claim", "claim-N5"]
claim("N5", lengths[0, 2], below=1e-12, says="what the prior reads of the posterior's head")
claim("N5", lengths[2, 1], below=1e-12, says="what the delta reads of the prior's head")
claim("N5", lengths[1].min(), above=1e-3, says="what q reads of each of the three, at least")
reveal("12.b", 1, "Walked once, read by both. q's mean reads the prior's head too, because it is added.")

# %% [markdown]
# **What to notice.** $q$ reads all three parts, the prior two of them. The slide files the formula under *weight tying*. What is shared is the network on the way down (claim N1 of chapter 11): it is walked once, for $p$ and $q$ alike. The formula of N5 ties nothing: $\Delta\mu$ and $\Delta\sigma$ come from a head with weights of its own, and could do so without any
# sharing. (The slide also gives the year as '21; the paper is of NeurIPS 2020.)
#
# ## 12.2 The divergence, line by line
#
# $$\begin{aligned}\mathrm{KL}(q\Vert p)&=\mathbb E_q[\log q(z)-\log p(z)]\\&=-\log(\sigma\Delta\sigma)-\tfrac12+\log\sigma+\frac{\mathbb E_q[(z-\mu)^2]}{2\sigma^2}&&\text{the }2\pi\text{ cancel}\\&=-\log\Delta\sigma-\tfrac12+\frac{\Delta\mu^2+\sigma^2\Delta\sigma^2}{2\sigma^2}&&\text{square of the mean, plus variance}\\&=\tfrac12\Big(\frac{\Delta\mu^2}{\sigma^2}+\Delta\sigma^2-\log\Delta\sigma^2-1\Big)\end{aligned}$$
#
# Every line is a number. The first one is computed from the two densities and nothing else, by Gauss-Hermite quadrature (chapter 8), exact here since $\log q-\log p$ is a parabola in $z$.

# %% tags=["label-lines"]
from collections import namedtuple
import numpy as np

e, w = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(8))
w = w / w.sum()
log_normal = lambda z, m, s: -0.5 * ((z - m) / s) ** 2 - s.log() - 0.5 * math.log(2 * math.pi)

def by_quadrature(m):
    mu, sigma, dmu, dsigma = m                            # of one pair of normals
    z = mu + dmu + sigma * dsigma * e
    return w @ (log_normal(z, mu + dmu, sigma * dsigma) - log_normal(z, mu, sigma))

# %% tags=["label-pairs"]
def slide(dmu, dsigma, sigma):
    return 0.5 * (dmu**2 / sigma**2 + dsigma**2 - (dsigma**2).log() - 1)

Pair = namedtuple("Pair", "mu sigma dmu dsigma")

def one_pair(seed):
    a, b, c, d = torch.randn(4, dtype=F64, generator=G(seed))
    return Pair(a, (b / 2).exp(), c, (d / 2).exp())

pairs = [one_pair(seed) for seed in range(100)]

# %% tags=["label-n6-derivation", "claim-N6"]
second = lambda s, ds, square: -(s * ds).log() - 0.5 + s.log() + square / (2 * s**2)
third = lambda s, ds, square: -ds.log() - 0.5 + square / (2 * s**2)
any_two = lambda m: two_normals_kl(m.mu + m.dmu, (m.sigma * m.dsigma).log(), m.mu, m.sigma.log())
derivation("N6", {
    "mean of log q - log p": by_quadrature,
    "the second line": lambda m: second(m.sigma, m.dsigma, w @ (m.dmu + m.sigma * m.dsigma * e) ** 2),
    "the third line": lambda m: third(m.sigma, m.dsigma, m.dmu**2 + m.sigma**2 * m.dsigma**2),
    "the slide's formula": lambda m: slide(m.dmu, m.dsigma, m.sigma),
    "any two normals": any_two,
    "the library": lambda m: residual_normal_kl(m.dmu, m.dsigma.log(), m.sigma.log())}, pairs, below=1e-12)

# %% [markdown]
# > **N6.** $\mathrm{KL}(q\Vert p)=\frac12\big(\frac{\Delta\mu^2}{\sigma^2}+\Delta\sigma^2-\log\Delta\sigma^2-1\big)$ for each dimension. The prior's mean has cancelled. It is zero at $\Delta\mu=0,\ \Delta\sigma=1$ and nowhere else.
#
# What do people write instead? Eight slips that are easily made:

# %% tags=["label-slips"]
slips = {
    "right": slide,
    "log of dsigma": lambda d, t, s: 0.5 * (d**2 / s**2 + t**2 - t.log() - 1),
    "dsigma not squared": lambda d, t, s: 0.5 * (d**2 / s**2 + t - (t**2).log() - 1),
    "dmu not squared": lambda d, t, s: 0.5 * (d / s**2 + t**2 - (t**2).log() - 1),
    "sigma·dsigma for dsigma": lambda d, t, s: slide(d, s * t, s),
    "over q's variance": lambda d, t, s: slide(d / t, t, s),
    "reversed": lambda d, t, s: 0.5 * (d**2 / (s * t) ** 2 + 1 / t**2 + (t**2).log() - 1),
    "no -1": lambda d, t, s: slide(d, t, s) + 0.5,
    "sigma + dsigma": lambda d, t, s: slide(d, (s + t) / s, s)}

# %% tags=["label-predict-slips"]
predict("12.c", "You test your code with sigma = 2, dmu = 1, dsigma = 0.5. Which slip gets through?",
        ["the log of dsigma", "dmu not squared", "the missing -1", "none"])

# %% tags=["label-slips-table"]
at = lambda dmu, dsigma: [torch.tensor(v, dtype=F64) for v in (dmu, dsigma, 2.0)]
tests = {"1, 0.5": at(1.0, 0.5), "2, 0.5": at(2.0, 0.5),
         "0, 1": at(0.0, 1.0), "0, 0.8": at(0.0, 0.8), "0, 1.5": at(0.0, 1.5)}
display(plots.table({name: [f(*t) for t in tests.values()] for name, f in slips.items()},
                    columns=list(tests), corner="KL at dmu, dsigma ="))
reveal("12.c", 1, "1² = 1: squaring leaves 1 as it is, so 1 cannot show that a square is missing.")

# %% tags=["label-slips-claims", "claim-N6", "planted-N6"]
def worst(f):
    """Largest distance from the textbook's formula over the 100 pairs."""
    return max((f(d, t, s) - two_normals_kl(m + d, (s * t).log(), m, s.log())).abs()
               for m, s, d, t in pairs)

right, *wrong = slips
claim("N6", worst(slips[right]), below=1e-12, says="against the formula for any two normals")
for name in wrong:
    planted_error("N6", worst(slips[name]), below=1e-12, says=name)

# %% tags=["label-n6-picture", "picture-N6"]
some_slips = ("right", "log of dsigma", "no -1", "dsigma not squared", "dmu not squared")
shown = {name: slips[name] for name in some_slips}       # "right" is the broad line; others may cover it
plots.nvae_kl.charges(shown, says="A divergence is zero at no difference, and nowhere below.")

# %% [markdown]
# **What to notice.** Two properties are enough to find most slips without knowing the answer. *Zero at no difference*: the third column is 0.500 without the $-1$. *Never negative*: the logarithm of $\Delta\sigma$ in place of its square gives -0.068 at $\Delta\sigma=0.8$, $\Delta\sigma$ without its square -0.155 at 1.5. The reversed divergence obeys both, so one test against an independent formula is needed as well.
#
# ### And by throwing dice
# A last witness that knows no formula: draw from $q$, average $\log q-\log p$, and stay within four standard errors.

# %% tags=["label-monte-carlo", "claim-N6"]
r = ResidualNormal(*(torch.tensor(v, dtype=F64) for v in (0.3, math.log(2.0), 2.0, math.log(0.5))))
ratios = r.log_ratio(torch.randn(100_000, dtype=F64, generator=G(0)))
errors = lambda value: (ratios.mean() - value).abs() / (ratios.std() / len(ratios) ** 0.5)
claim("N6", errors(r.kl()), below=4, says="100,000 draws: distance from the formula in standard errors")
for name in ("log of dsigma", "over q's variance", "reversed"):
    planted_error("N6", errors(slips[name](*tests["2, 0.5"])), below=4, says=name)

# %% [markdown]
# **What to notice.** The mean of the draws knows neither the textbook nor us, and three slips are many standard errors away from it.
#
# ## 12.3 Whom does the divergence teach?
#
# The loss has two parts that send gradients back: the KL, and the reconstruction, which feels $z=\mu+\Delta\mu+\sigma\Delta\sigma\,\varepsilon$. Four numbers are learned. Both ways of writing $q$, side by side; the reconstruction's slope in $z$ is taken as 1.

# %% tags=["label-predict-teach"]
predict("12.d", "In the relative way, what does the KL teach the prior's mean?",
        ["to come nearer to q", "to go further away", "nothing at all"])

# %% tags=["label-teach"]
def lessons(relative, detached=False):
    """Slopes of KL and of z in the prior's mean and log scale, and in what q's head says."""
    four = torch.tensor([0.5, -0.3, 0.8, -0.5], dtype=F64).requires_grad_()
    p, said = (four[:2].detach() if detached else four[:2]), four[2:]
    in_kl = ResidualNormal(*p, *said) if relative else relative_to(*p, *said)
    in_z = ResidualNormal(*four) if relative else relative_to(*four[:2], *said)
    noise = torch.tensor(0.7, dtype=F64)
    return [torch.autograd.grad(part, four)[0] for part in (in_kl.kl(), in_z.draw(noise))]

# %% tags=["label-teach-table"]
ways = {"relative": lessons(True), "absolute": lessons(False),
        "relative, prior detached": lessons(True, True), "absolute, prior detached": lessons(False, True)}
rows = {f"{way}: {part}": found for way, pair in ways.items() for part, found in zip(("KL", "z"), pair)}
columns = ["prior's mean", "prior's log scale", "q's head: mean", "q's head: log scale"]
display(plots.table(rows, columns=columns, corner="slope of"))
reveal("12.d", 2, "It cancels. The mean learns from the reconstruction instead, through z.")

# %% [markdown]
# > **Claim 12.1.** Relative: the KL teaches the prior's scale alone, $\partial\mathrm{KL}/\partial\log\sigma=-\Delta\mu^2/\sigma^2$, and the mean learns through $z$. Absolute: both learn from the KL and from nothing else. **Detach the prior** in the KL (it looks like a target, after all), and an absolute prior never learns anything.

# %% tags=["label-teach-claims"]
by_formula = -(0.8 / math.exp(-0.3)) ** 2
off = lambda way: (ways[way][0][1] - by_formula).abs()
taught = lambda way: sum(found[:2].abs().sum() for found in ways[way])
claim("12.1", ways["relative"][0][0].abs(), below=1e-12, says="what a relative KL teaches the prior's mean")
claim("12.1", off("relative"), below=1e-12, says="its slope in log sigma, against the formula")
planted_error("12.1", off("relative, prior detached"), below=1e-12, says="the prior detached")
claim("12.1", taught("absolute"), above=0.1, says="all that an absolute prior is taught")
planted_error("12.1", taught("absolute, prior detached"), above=0.1, says="the prior detached")

# %% [markdown]
# **What to notice.** In the last two rows the prior's columns are zero. Such a program runs, its loss falls, and samples are drawn from a prior that is still what it was at the first step. Nothing but a look at the gradients (or at the samples) tells.
#
# ## 12.4 A whole hierarchy
#
# Two groups: $p(z_1)p(z_2\mid z_1)$ and $q(z_1\mid x)q(z_2\mid z_1,x)$. The divergence is one number for the pair, and it comes apart along the ladder.
#
# > **N6b.** $\mathrm{KL}\big(q(z\mid x)\Vert p(z)\big)=\sum_l\mathbb E_{q(z_{<l}\mid x)}\,\mathrm{KL}\big(q(z_l\mid z_{<l},x)\Vert p(z_l\mid z_{<l})\big)$
#
# Because $\log\frac{q(z_1)q(z_2\mid z_1)}{p(z_1)p(z_2\mid z_1)}$ is a sum of two logarithms, and the mean over $q$ of the second can be taken in two steps: over $z_2$ with $z_1$ held fixed, which is a KL, then over $z_1$.
#
# A toy where all is known: $p(z_1)=\mathcal N(0,1)$, $p(z_2\mid z_1)=\mathcal N(az_1,s^2)$; for one $x$, $q(z_1)=\mathcal N(m,t^2)$ and $\Delta\mu=c_0+c_1z_1$, $\Delta\sigma=d$. Everything is linear, so both joints are normal on the plane, and *their* KL has a closed form with matrices:

# %% tags=["label-joint"]
def joint(m):
    """KL of two normals on the plane, from their means and covariances alone."""
    a, s, mean, t, c0, c1, d = m                          # the letters of the toy, as below
    plane = lambda w, t, s: torch.stack([t**2, w * t**2, w * t**2, w**2 * t**2 + s**2]).view(2, 2)
    P, Q = plane(a, torch.ones_like(a), s), plane(a + c1, t, s * d)
    apart = torch.stack([mean, (a + c1) * mean + c0])                    # of the two means
    return 0.5 * ((torch.linalg.inv(P) @ Q).trace() + apart @ torch.linalg.solve(P, apart) - 2
                  + P.logdet() - Q.logdet())

# %% tags=["label-ladder"]
top = lambda m: 0.5 * (m.mean**2 + m.t**2 - (m.t**2).log() - 1)   # KL of group 1
below = lambda m, z1: slide(m.c0 + m.c1 * z1, m.d, m.s)           # KL of group 2 for given z1
drawn = lambda m: m.mean + m.t * e                                # z1 ~ q, at the quadrature's places

def by_hand(m):
    """The mean of dmu² over q(z1): square of its mean, plus its variance."""
    a, s, mean, t, c0, c1, d = m
    return top(m) + slide(((c0 + c1 * mean) ** 2 + c1**2 * t**2).sqrt(), d, s)

# %% tags=["label-plane"]
def on_the_plane(m):
    """E_q[log q - log p] by quadrature in both directions."""
    a, s, mean, t, c0, c1, d = m
    z1 = drawn(m)[:, None]
    z2 = (a + c1) * z1 + c0 + s * d * e
    of_q = log_normal(z1, mean, t) + log_normal(z2, (a + c1) * z1 + c0, s * d)
    return w @ (of_q - log_normal(z1, 0 * t, torch.ones_like(t)) - log_normal(z2, a * z1, s)) @ w

# %% tags=["label-n6b-derivation", "claim-N6b"]
Ladder = namedtuple("Ladder", "a s mean t c0 c1 d")

def ladder(seed):
    """All seven at random; s, t and d positive."""
    n = torch.randn(7, dtype=F64, generator=G(seed))
    return Ladder(n[0], (n[1] / 3).exp(), n[2], (n[3] / 3).exp(), n[4], n[5], (n[6] / 3).exp())

ladders = [ladder(seed) for seed in range(100)]
derivation("N6b", {
    "KL of the two joints": joint,
    "mean of log q - log p": on_the_plane,
    "KL 1 + mean of KL 2 over q(z1)": lambda m: top(m) + w @ below(m, drawn(m)),
    "KL 1 + KL 2, by hand": by_hand}, ladders, below=1e-12)

# %% tags=["label-predict-ladder"]
predict("12.e", "Take KL 2 at the mean of q(z1), without drawing. The total is then",
        ["right: everything is linear", "never too large", "never too small"])

# %% tags=["label-n6b-claims", "planted-N6b", "claim-N6b"]
wrong_ladders = {
    "KL 2 at the mean of q(z1)": lambda m: top(m) + below(m, m.mean),
    "z1 drawn from the prior": lambda m: top(m) + w @ below(m, e),
    "the first group forgotten": lambda m: w @ below(m, drawn(m))}
off = lambda f: torch.stack([f(m) - joint(m) for m in ladders])
claim("N6b", off(by_hand).abs().max(), below=1e-12, says="the ladder's sum against the joints")
for name, f in wrong_ladders.items():
    planted_error("N6b", off(f).abs().max(), below=1e-12, says=name)
claim("12.2", off(wrong_ladders["KL 2 at the mean of q(z1)"]).max(), below=1e-12,
      says="excess of the mean's shortcut")
reveal("12.e", 1, "KL 2 is a parabola in z1, and a parabola's mean is never below its value at the mean.")

# %% tags=["label-n6b-picture", "picture-N6b"]
m = ladders[19]
ways = {"joints": joint(m), "ladder": by_hand(m)} | {name: f(m) for name, f in wrong_ladders.items()}
labels = ["two joints", "sum over\ngroups", "KL 2 at\nthe mean", "z1 from\nthe prior", "KL 1\nforgotten"]
plots.bars(labels, torch.stack(list(ways.values())), ylabel="nats",
           says="One divergence, two right ways and three wrong ones.")

# %% [markdown]
# **What to notice.** The sum over groups is the divergence of the whole, not a bound on it, and $a$, the slope of the prior, is in none of its lines: it has cancelled, as $\mu$ does. But its second term is a mean over draws of $z_1$ from **q**. In a network one draw is used: the KL of each group is exact given what was drawn above, and the mean over many $x$ takes care of the rest.

# %% [markdown]
# ## 12.5 A prior that moves
#
# Here is what the relative way is for, by construction. Early in training the network below has not learned anything: what $q$'s head says is the same for all $z_1$. But the *prior's* head has already a will of its own: $p(z_2\mid z_1)=\mathcal N(10z_1,\,0.1^2)$, narrow and steep. $q$'s head says "zero and one":
#
# * relative: $\Delta\mu=0,\ \Delta\sigma=1$. KL: 0, whatever the prior is.
# * absolute: $q=\mathcal N(0,1)$. KL: $\frac12\big(\frac{100z_1^2+1}{0.01}-\log100-1\big)$, with the mean over $z_1\sim\mathcal N(0,1)$:
# $$\tfrac12\Big(\frac{100}{0.01}+\frac1{0.01}-\log\frac1{0.01}-1\Big).$$
#
# In your head, roughly: how many nats is that?

# %% tags=["label-predict-moving"]
predict_number("12.f", "How many nats does the absolute q pay per dimension, in the mean?", unit="nats")

# %% tags=["label-moving"]
def at_the_start(z1, slope=10.0, scale=0.1):
    """q beside p for each z1, both ways, while q's head says zero and one."""
    mu, log_sigma, zero = slope * z1, torch.full_like(z1, scale).log(), torch.zeros_like(z1)
    return {"relative": ResidualNormal(mu, log_sigma, zero, zero),
            "absolute": relative_to(mu, log_sigma, zero, zero)}

start = {way: w @ r.kl() for way, r in at_the_start(e).items()}          # mean over z1 ~ N(0, 1)
print(f"relative {start['relative']:.3f} nats, absolute {start['absolute']:.3f} nats")
reveal("12.f", start["absolute"], "And an NVAE has thousands of dimensions.", within=500)

# %% [markdown]
# > **N7.** When the prior moves, a relative $q$ moves with it and its KL stays; an absolute one is left behind and pays by the square of the distance.

# %% tags=["label-n7-claims", "claim-N7", "planted-N7"]
by_formula = 0.5 * (100 / 0.01 + 100 - math.log(100) - 1)
claim("N7", start["relative"], below=1e-12, says="nats of the relative q")
planted_error("N7", start["absolute"], below=1e-12, says="q written outright")
claim("N7", (start["absolute"] - by_formula).abs(), below=1e-8, says="absolute q against the formula, nats")
dice = at_the_start(torch.randn(100_000, dtype=F64, generator=G(5)))["absolute"].kl()
in_errors = (dice.mean() - by_formula).abs() / (dice.std() / 100_000**0.5)
claim("N7", in_errors, below=4, says="100,000 dice, distance in standard errors")
at_zero = at_the_start(torch.zeros(1, dtype=F64))["absolute"].kl()[0]
planted_error("N7", (at_zero - by_formula).abs(), below=1e-8, says="z1 at its mean in place of drawn")

# %% tags=["label-n7-picture", "picture-N7"]
line = torch.linspace(-2, 2, 81, dtype=F64)
plots.nvae_kl.moving(line, at_the_start(line),
                     says="A steep, narrow prior, and two q's whose heads say the same.")

# %% [markdown]
# ### Who follows the prior?
# Below, the network of $q$ always says the same two numbers, 0.5 and 0.6. Move the prior: `shift` is its mean, `sigma` its width.
#
# 1. Relative: which of the two sliders changes the KL? (Section 12.3 knows why.)
# 2. Absolute: go to shift 4 and narrow the prior. By what factor does the KL grow from width 1 to 0.2?
# 3. Is there a place where the absolute $q$ is cheaper?

# %% tags=["label-explore"]
explore(plots.nvae_kl.follow)

# %% [markdown]
# ### What it does not buy
# Nothing is free. If the prior jumps by $\delta$ and the decoder stays, a relative $q$ has jumped too, and hands the decoder a $z$ it did not mean. With $x=z_2+\text{noise of size }\sigma_x$ the reconstruction pays $\delta^2/2\sigma_x^2$. The absolute $q$ stays where $x$ wants it and pays $\delta^2/2\sigma^2$ in its KL.

# %% tags=["label-predict-jump"]
predict("12.g", "Prior width 1, noise of the decoder 0.1. The prior jumps by 1. Which q pays more?",
        ["the relative one", "the absolute one", "both the same"])

# %% tags=["label-bill"]
def bill(jump, sigma, noise):
    """Nats that each q pays more after the prior's mean jumped; q was in the right place before."""
    z, s = torch.tensor(jump, dtype=F64), torch.tensor(math.log(sigma), dtype=F64)
    zero = torch.zeros_like(z)
    kl = relative_to(z, s, zero, s).kl()                # left behind: dmu = -jump
    missed = 0.5 * (jump / noise) ** 2                  # carried along: z is off by the jump
    return {"relative": missed, "absolute": kl.item()}

# %% tags=["label-jump"]
widths = [(0.1, 1.0), (1.0, 1.0), (1.0, 0.1)]
rows = {f"prior's width {s:g}, decoder's noise {n:g}": list(bill(1.0, s, n).values()) for s, n in widths}
display(plots.table(rows, columns=["relative", "absolute"], digits=1, corner="a jump by 1 costs"))
reveal("12.g", 0,
       "The decoder is the sharper of the two: "
       "1² / (2 · 0.1²) = 50 nats of reconstruction, against 0.5 of KL.")

# %% tags=["label-jump-claims"]
cheaper = lambda s, n: bill(1.0, s, n)["absolute"] / bill(1.0, s, n)["relative"]
claim("12.3", cheaper(0.1, 1.0), above=50, says="absolute over relative, a narrow prior")
claim("12.3", cheaper(1.0, 0.1), below=0.02, says="absolute over relative, a sharp decoder")
planted_error("12.3", cheaper(0.1, 1.0), below=0.02, says="the two widths exchanged")

# %% [markdown]
# **What to notice.** Following pays where the prior is narrower than what the decoder can tell apart, 0.5 against 50.0 nats, and costs as much where the decoder is the sharper of the two. In a deep hierarchy the lower groups' priors are narrow, since the groups above have said most of it, and the path that carries the prior's news also feeds the decoder, which moves along. That is an argument, not a proof; what is measured comes further down.
#
# ## 12.6 What practice bends
#
# Before the formula is used, real programs squash its numbers: $\mu$ and $\log\sigma$, of $p$ and of $q$ each after its sum, become $5\tanh(\cdot/5)$. No number leaves $(-5,5)$ any more, and $e^{\log\sigma}$ neither overflows nor vanishes.

# %% tags=["label-predict-clamp"]
predict("12.h", "mu = 4 and dmu = 2, sigma = dsigma = 1: the formula says 2 nats. After the clamp?",
        ["2: the clamp acts on both", "less", "more"])

# %% tags=["label-clamp"]
bare = ResidualNormal(*(torch.tensor(v, dtype=F64) for v in (4.0, 0.0, 2.0, 0.0)))
bent = practical(bare, clamp=5.0)
print(f"shift {bare.delta_mu:.3f} -> {bent.delta_mu:.3f},  KL {bare.kl():.3f} -> {bent.kl():.3f} nats")
by_textbook = two_normals_kl(*ends(bent))
claim("12.4", (bent.kl() - by_textbook).abs(), below=1e-12, says="formula and textbook on bent numbers")
planted_error("12.4", (bare.kl() - by_textbook).abs(), below=1e-12, says="the network's own numbers")
reveal("12.h", 1, "Near the end of the scale every difference shrinks.")

# %% [markdown]
# The formula is exact for the numbers that are *drawn from*, not for those that the network put out. Inside the scale, where a trained model lives, the clamp does next to nothing; but with it the prior's mean no longer cancels exactly.

# %% [markdown]
# ## 12.7 Nats in every group, while it learns
#
# Now a real one: two scales, two groups each, on digits of 14 × 14 pixels (MNIST's, halved, black and white). From the top: $z_1,z_2$ of 4 × 4 places and 4 channels, 64 numbers each; $z_3,z_4$ of 8 × 8 places, 256 numbers each.
#
# Two trainings of 300 updates on 32 pictures. One has the KL at full weight from the first update. The other gives it a **warm-up**: its weight $\beta$ climbs from 0 to 1 over the first 30 %. Meanwhile it is **balanced**: group $l$ pays $\gamma_l$ per nat, $\gamma_l\propto$ its nats per dimension, mean 1, taken as constants.

# %% tags=["label-weights"]
from deepgen_lib.nvae import balance_weights, kl_weight

sizes = torch.tensor([64.0, 64.0, 256.0, 256.0])
print("beta:", [round(kl_weight(done, 0.3), 2) for done in (0.0, 0.15, 0.3, 1.0)])
spent = torch.tensor([[0.1, 0.9, 8.0, 4.0]])                             # nats of one picture, say
print("gamma:", [round(g, 2) for g in balance_weights(spent, sizes).tolist()])
per_number = (spent[0] + 0.01) / sizes                   # a hundredth, so that no group pays nothing
miss = lambda gamma: (gamma / gamma.mean() - balance_weights(spent, sizes)).abs().max()
claim("12.5", miss(per_number), below=1e-6, says="gamma against nats per number over their mean")
planted_error("12.5", miss(spent[0] * sizes), below=1e-6, says="times the size, as the paper prints it")

# %% [markdown]
# The group that says least for each of its numbers pays least for its next nat. (The paper prints "times the size" of a group; its author has called that a slip. Both weights are gone once $\beta=1$: from then on the loss is minus the bound.)

# %% tags=["label-train-setup"]
from dataclasses import replace
from deepgen_lib import AdamOptions, GradientTrainer
from deepgen_lib.nvae_small import SMALL_NVAE, small_digits
from deepgen_lib.vector_quantisation import perplexity

fast = lambda x: x.contiguous(memory_format=torch.channels_last)         # a third quicker on a processor
train, test = fast(small_digits("train")), fast(small_digits("test"))
shuffled = torch.randperm(len(test), generator=G(0))
few, some = test[shuffled[:250]], test[shuffled[:1000]]

# %% tags=["label-train"]
def look(update, model):
    """Update, bound and KL of each group on 250 test pictures."""
    with torch.no_grad():
        terms = model.elbo(few, G(1))
    return torch.cat([torch.tensor([float(update), terms.total.mean()]), terms.kl.mean(0)])

def trained(seed=0, n_updates=300, **changes):
    model = NVAE(replace(SMALL_NVAE, **changes), rng=G(seed)).to(memory_format=torch.channels_last)
    options = AdamOptions(kind="adamax", learning_rate=0.02, final_learning_rate=0.001, warm_up=0.05)
    trainer = GradientTrainer(model, options)
    found = fit(trainer, train, n_updates=n_updates, batch_size=32, watch=look, rng=G(seed))
    return model.requires_grad_(False), torch.stack(found.history)

# %% tags=["label-predict-first"]
predict("12.i", "At the very first update, before anything is learned, the KL of each group is",
        ["0 exactly", "a few nats", "some 640 nats, one per number"])

# %% tags=["label-runs"]
model, history = trained()
plain, plain_history = trained(warm_up=0.0, balance=False)
claim("12.6", history[0, 2:].abs().max(), below=1e-9, says="nats of any group before the first update")
absolute = NVAE(replace(SMALL_NVAE, relative=False), rng=G(0))
planted_error("12.6", absolute.elbo(few, G(1)).kl.mean(0).max(), below=1e-9, says="q written outright")
reveal("12.i", 0, "The last layer of q's head starts at zero: a relative q is then p itself.")

# %% tags=["label-history", "rtol-0.1", "atol-1.0"]
names = ["z1 (4x4)", "z2 (4x4)", "z3 (8x8)", "z4 (8x8)"]
h = history
plots.nvae_kl.training(h[:, 0], h[:, 2:], h[:, 1], warm_up=0.3, names=names,
                       says="Nats of each group and the bound, with warm-up (shaded) and balancing.")

# %% tags=["label-history-plain", "rtol-0.1", "atol-1.0"]
h = plain_history
plots.nvae_kl.training(h[:, 0], h[:, 2:], h[:, 1], warm_up=0.0, names=names,
                       says="The same network with the KL at full weight from the start.")

# %% [markdown]
# ## 12.8 Posterior collapse, and how it is seen
#
# A group has **collapsed** where $q(z_l\mid z_{<l},x)=p(z_l\mid z_{<l})$ for nearly every $x$: it says nothing about the picture. No error is raised, and the sum of all groups' nats need not be small. Look at the groups one by one.

# %% tags=["label-predict-collapse"]
predict("12.j", "The two trainings end with about the same nats in all. Where do they sit without warm-up?",
        ["spread over the groups as with it", "mostly in one group", "all in the top group"])

# %% tags=["label-used", "rtol-0.1", "atol-1.0"]
def nats(model):
    """Nats of each group and the bound, means over 1,000 test pictures."""
    with torch.no_grad():
        terms = model.elbo(some, G(2))
    return terms.kl.mean(0), terms.total.mean()

(spread, bound), (lumped, plain_bound) = nats(model), nats(plain)
both_runs = {"warm-up, balanced": spread, "weight 1 at once": lumped}
display(plots.nvae_kl.used(both_runs, dimensions=sizes.tolist(),
                           says="Nats of each group after 300 updates; in the titles their sum."))
reveal("12.j", 1, "The first useful group is worth its price; the others then add too little to begin.")

# %% [markdown]
# The hatching is a rule of thumb, less than 0.01 nats for each number of $z$: $z_4$ with warm-up has 256 numbers and stays a little under it.
#
# One number for "how many groups are at work" is the perplexity of their shares (claim 10.3): 4 if all carry alike, 1 if one carries all.

# %% tags=["label-used-claims", "atol-0.1"]
claim("12.7", lumped.sum(), above=4, says="nats in all without warm-up: a total that looks healthy")
claim("12.7", perplexity(spread), above=2, says="perplexity of the groups' shares, with both")
planted_error("12.7", perplexity(lumped), above=2, says="neither warm-up nor balancing")
print(f"test bound: balanced {bound:.1f}, at once {plain_bound:.1f} nats")
claim("12.7", (bound - plain_bound).abs(), below=2, says="nats between the two test bounds")

# %% [markdown]
# **What to notice.** Neither the total nor the bound gives it away at this size: the pictures are simple enough for one busy group.
#
# Section 12.11 shows the same over three seeds. Balancing is a help, no guarantee. Over eight seeds the perplexity was 2.1 to 3.0 with it and 1.2 to 2.2 without; the quietest group of any seed held 0.18 nats with it. After 2,000 updates (section 12.9) the least one holds 1.6.
#
# A second test asks the decoder: draw one group from its *prior*, all others from $q$, and see what the reconstruction loses. A silent group can be replaced by chance, and nobody notices.

# %% tags=["label-silenced"]
def without(model, group):
    """Nats of reconstruction lost when one group is drawn from its prior."""
    def reconstruction(z):
        p = model.decode(z, rng=G(4)).clamp(1e-6, 1 - 1e-6)
        return (some * p.log() + (1 - some) * (1 - p).log()).sum((1, 2, 3)).mean()
    z = model.latents(some, G(3))
    changed = [None if level == group else v for level, v in enumerate(z)]
    return reconstruction(z) - reconstruction(changed)

# %% tags=["label-silenced-table", "rtol-0.1", "atol-2.0"]
lost = {name: torch.stack([without(m, group) for group in range(4)])
        for name, m in (("balanced", model), ("at once", plain))}
table = {"balanced: KL": spread, "balanced: lost without it": lost["balanced"],
         "at once: KL": lumped, "at once: lost without it": lost["at once"]}
plots.table(table, columns=["z1", "z2", "z3", "z4"], digits=2, corner="nats")

# %% tags=["label-silenced-claim", "atol-1.0"]
used_most, used_least = lumped.argmax(), lumped.argmin()
claim("12.8", lost["at once"][used_most], above=5, says="nats lost, most used group drawn from its prior")
planted_error("12.8", lost["at once"][used_least], above=5, says="the least used group instead")

# %% [markdown]
# **What to notice.** Nats of KL and nats lost go together: what a group was paid for is what it said. Without warm-up one group does most of the talking and the other three say little. With 30 groups (CIFAR-10's row of chapter 11's table) such a network is deep in name only.

# %% [markdown]
# ## 12.9 Drawing pictures at a temperature
#
# For what follows we load the same network after 2,000 updates on 64 pictures (`benchmarks/nvae_small.py`). First its bound, measured anew.

# %% tags=["label-shipped", "atol-0.5"]
from deepgen_lib import load_notes
from deepgen_lib.nvae_small import CHECKPOINT, load_small_nvae

notes, good = load_notes(CHECKPOINT), load_small_nvae()
good_kl, good_bound = nats(good)
print(f"noted: {notes['test_bound']} on 10,000 test pictures; here, on 1,000: {good_bound:.2f} nats")
away = lambda found: (found - float(notes["test_bound"])).abs()
claim("12.9", away(good_bound), below=1.5, says="bound on 1,000 against the note, nats")
planted_error("12.9", away(bound), below=1.5, says="the model of section 12.7 instead")

# %% [markdown]
# A sample starts at the constant $h$ and draws every group from its prior. Multiply each $\sigma$ by a **temperature** below 1 and the draws stay nearer to what is most likely, in every group.
#
# One trap: the network's batch norms remember means and variances of *training*. At another temperature other numbers flow through the network, so the statistics must be measured again, on samples at that temperature: `reestimated`.

# %% tags=["label-predict-temperature"]
predict("12.k", "At temperature 0.5 the samples will be, compared with temperature 1,",
        ["darker", "more alike", "of more different digits"])

# %% tags=["label-temperature"]
from deepgen_lib.nvae import reestimated

temperatures = [1.0, 0.8, 0.6, 0.3]
tuned = {t: reestimated(good, temperature=t, n_batches=5, batch_size=200, rng=G(5)) for t in temperatures}
drawn = {t: tuned[t].sample(300, temperature=t, means=True, rng=G(6)) for t in temperatures}

# %% tags=["label-temperature-picture", "atol-0.01"]
display(plots.image_grid(torch.cat([d[:12, 0] for d in drawn.values()]), columns=12,
                         row_labels=[f"t = {t:g}" for t in temperatures],
                         says="Twelve samples from the same noise, at four temperatures."))
reveal("12.k", 1,
       "Each draw stays nearer to the middle of its prior, and the middles are the same for all samples.")

# %% tags=["label-temperature-claims", "rtol-0.01"]
spread_of = lambda pictures: pictures.std(0).mean().item()   # between pictures, mean over pixels
from_test = good.decode(good.latents(some, G(8)))
rows = {f"t = {t:g}": [spread_of(d)] for t, d in drawn.items()} | {"test, decoded": [spread_of(from_test)]}
display(plots.table(rows, columns=["spread between pictures"]))
at_one = lambda pictures: spread_of(pictures) / spread_of(drawn[1.0])
claim("12.10", at_one(drawn[0.3]), below=0.85, says="spread at 0.3 over spread at 1")
forgotten = good.sample(300, temperature=1.0, means=True, rng=G(7))
planted_error("12.10", at_one(forgotten), below=0.85, says="the temperature forgotten")

# %% [markdown]
# **What to notice.** A low temperature keeps to the middle of every prior, so it trades variety for ordinariness. That is a choice about what to show, not a better model. A bound or a likelihood is always at temperature 1.

# %% tags=["label-statistics", "rtol-0.01", "atol-0.01"]
cold = good.sample(300, temperature=0.3, means=True, rng=G(6))   # batch norms as training left them
grey = lambda p: (p * (1 - p)).mean()                            # a pixel that may be either
both = {"as trained": cold, "measured again": drawn[0.3]}
print("greyness:", ", ".join(f"{name} {grey(p):.3f}" for name, p in both.items()))
claim("12.10", grey(cold) / grey(drawn[0.3]), above=1.15, says="greyness, old statistics over new")
at_home = good.sample(300, temperature=1.0, means=True, rng=G(6))
planted_error("12.10", grey(at_home) / grey(drawn[1.0]), above=1.15, says="temperature 1: the old ones fit")
plots.image_grid(torch.cat([cold[:12, 0], drawn[0.3][:12, 0]]), columns=12,
                 row_labels=["as trained", "measured again"],
                 says="Temperature 0.3 with the old statistics and with new ones.")

# %% [markdown]
# The old statistics belong to other numbers, and the pictures come out greyer.
#
# ## 12.10 What does each scale control?
#
# Take the latents of a test picture, keep all groups but one, and draw that one from its prior. What changes?

# %% tags=["label-predict-scales"]
predict("12.l", "A group of the 4 x 4 scale is drawn anew. What changes more than for a group of 8 x 8?",
        ["the layout: strokes move as a whole", "the detail: single pixels", "the brightness"])

# %% tags=["label-scales"]
z = good.latents(some, G(8))
original = good.decode(z)
anew = lambda group: [None if level == group else v for level, v in enumerate(z)]
redrawn = {g: good.decode(anew(g), rng=G(9)) for g in range(4)}
shown = torch.cat([some[:12], original[:12], *(d[:12] for d in redrawn.values())])[:, 0]
row_labels = ["picture", "decoded", *(f"{n} anew" for n in names)]
display(plots.image_grid(shown, columns=12, row_labels=row_labels,
                         says="Twelve test pictures, decoded, and with one group drawn anew."))
reveal("12.l", 0,
       "A place of the 4 x 4 map stands for a quarter of the side, and all finer groups are told of it.")

# %% [markdown]
# Measure it as chapter 10 did: the change in the means of blocks, here of 2 × 2 pixels, one place of the finer scale, is *layout*; what changes within the blocks is *detail*.

# %% tags=["label-scales-table", "atol-0.001"]
from deepgen_lib.vqvae2 import error_by_scale

split = {names[g]: [part.mean().item() for part in error_by_scale(original, d, block=2)]
         for g, d in redrawn.items()}
share = [layout / (layout + detail) for layout, detail in split.values()]
rows = {name: [*split[name], s, nats] for name, s, nats in zip(names, share, good_kl.tolist())}
columns = ["layout", "detail", "share of layout", "KL (nats)"]
plots.table(rows, columns=columns, digits=4, corner="drawn anew")

# %% tags=["label-scales-claims"]
claim("12.11", share[0] - share[3], above=0.08, says="share of layout, top group over bottom group")
planted_error("12.11", share[3] - share[0], above=0.08, says="the order of the groups turned round")
change = {name: sum(parts) for name, parts in split.items()}
ratio = change["z1 (4x4)"] / change["z4 (8x8)"]
claim("12.11", ratio, above=2, says="change by the top group over the bottom one")

# %% [markdown]
# **What to notice.** The top group decides what is drawn: a new $z_1$ gives another digit or another hand. The finer groups mend strokes. The division is one of degree, as in chapter 10: the share of layout falls from group to group, but no group has one kind alone.

# %% [markdown]
# ## 12.11 Relative or absolute: what is measured at this size
#
# Section 12.5 was a construction. What do trainings say? Three seeds of each, 300 updates on 64 pictures, 2,000 test pictures; with warm-up and balancing, and with neither (`benchmarks/nvae_small.py` ran them; the notes of the checkpoint hold what it found).

# %% tags=["label-predict-ways"]
predict("12.m", "After training, the relative way is ahead of the absolute one by",
        ["more than 5 nats", "1 to 5 nats", "less than the seeds differ, or nothing"])

# %% tags=["label-ways"]
import json

noted = json.loads(notes["runs"])
runs = {way: torch.tensor([bound for bound, _ in found]) for way, found in noted.items()}
in_one = {way: torch.tensor([max(kl) / sum(kl) for _, kl in found]) for way, found in noted.items()}
rows = {way: [*b.tolist(), b.mean(), in_one[way].mean()] for way, b in runs.items()}
columns = ["seed 0", "seed 1", "seed 2", "mean", "share of the largest group"]
display(plots.table(rows, columns=columns, digits=2, corner="test bound (nats)"))
reveal("12.m", 2,
       "The means lie within half a nat or so of each other; the seeds lie up to two nats apart.")

# %% tags=["label-ways-claims"]
lead = (runs["relative"] - runs["absolute"]).mean()
claim("12.12", lead.abs(), below=1.5, says="nats between the two ways, mean of three seeds")
by_toy = start["absolute"] - start["relative"]
planted_error("12.12", by_toy, below=1.5, says="the toy of section 12.5 taken for a training")
claim("12.12", in_one["relative"].max(), below=0.6, says="share of the largest group, any seed, warm-up")
planted_error("12.12", in_one["relative, no warm-up"].min(), below=0.6, says="no warm-up, any seed")

# %% [markdown]
# **What to notice.** With warm-up the means are -43.40 and -42.94, with neither -43.58 and -44.04: once the one way is ahead, once the other. At this size the two train alike: the difference between the ways is of the size of the difference between seeds, and nothing explodes either way.
#
# The paper's own comparison, on colour pictures with 30 groups, finds a small gain too, not a rescue. What the construction does show is where a difference *can* come from, and that the relative way starts at exactly zero nats whatever the priors do.
#
# ## 12.12 How far is the bound from the truth?
#
# Importance weights (chapter 8): $\log\frac1S\sum_s\frac{p(x,z_s)}{q(z_s\mid x)}$ lies, in the mean, between the bound and $\log p(x)$. The encoder runs once, and of all draws one running number per picture is kept.

# %% tags=["label-predict-iw"]
predict("12.n", "With 50 draws the estimate lies above the bound by",
        ["less than 0.1 nats", "about 1 nat", "about 10 nats"])

# %% tags=["label-iw", "atol-0.05"]
x100 = some[:100]
draws = torch.stack([good.elbo(x100, G(20 + s)).total for s in range(10)])
one = draws.mean()                                                       # the bound, ten draws each
counts = [1, 5, 50]
tight = torch.stack([good.importance_bound(x100, n_samples=s, rng=G(10)).mean() for s in counts])
rows = {"bound": [one]} | {f"S = {s}": [v] for s, v in zip(counts, tight.tolist())}
display(plots.table(rows, columns=["nats, 100 test pictures"], digits=2))
reveal("12.n", 1, "What q misses of the posterior, less what 50 draws cannot mend.")

# %% tags=["label-iw-claims", "atol-0.05"]
claim("12.13", tight[-1] - one, between=(0.3, 4.0), says="gain by 50 weighted draws, nats")
logs_first = torch.stack([good.elbo(x100, G(40 + s)).total for s in range(10)]).mean()
planted_error("12.13", logs_first - one, between=(0.3, 4.0), says="logarithms first, then the mean")
claim("12.13", (tight.diff()).min(), above=-0.3, says="least rise from one number of draws to the next")

# %% [markdown]
# The published figure for the full MNIST network is such an estimate with 1,000 draws, on pictures of 28 × 28: about 78 nats. Ours is for other pictures (14 × 14) and cannot be compared with it.
#
# ## 12.13 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | relative posterior (N5) | $q=\mathcal N(\mu+\Delta\mu,(\sigma\Delta\sigma)^2)$ | `ResidualNormal(mu, log_sigma, delta_mu, delta_log_sigma)` |
# | divergence (N6) | $\frac12(\Delta\mu^2/\sigma^2+\Delta\sigma^2-\log\Delta\sigma^2-1)$ | `residual_normal_kl(delta_mu, delta_log_sigma, log_sigma)` |
# | of a hierarchy (N6b) | $\sum_l\mathbb E_{q(z_{<l})}\mathrm{KL}_l$ | `model.elbo(x).kl`, one column a group |
# | a prior that moves (N7) | relative 0, absolute $\frac12(100/0.01+100-\log100-1)$ | `relative_to(mu_p, log_sigma_p, mu_q, log_sigma_q)` |
# | warm-up, balancing | $\beta\sum_l\gamma_l\mathrm{KL}_l$, $\gamma_l\propto$ nats per dimension, in training alone | `kl_weight`, `balance_weights` |
# | temperature | every $\sigma$ times $t$, statistics measured again | `reestimated(model, temperature=t, rng=rng).sample(...)` |
# | one group anew | the others as they were | `model.decode([z1, None, z3, z4], rng=rng)` |
#
# Three sentences to keep. *Written relative to the prior, the divergence forgets where the prior is. A hierarchy's divergence is a sum over groups, each averaged over q above it. A total of nats says nothing about which groups are at work.*
#
# ## 12.14 A worked exercise
# **Question.** A head may say $\Delta\sigma$ too small by a factor of 2 or too large by a factor of 2. Which error is dearer in nats? And for tiny errors? Try before you read on.
#
# **Answer.** With $\Delta\sigma=e^{u}$ the cost is $\frac12(e^{2u}-2u-1)=u^2+\frac23u^3+\dots$ For tiny $u$ both sides cost $u^2$; for large ones too wide is dearer: it grows as $e^{2u}$, too narrow as $|u|$ alone.

# %% tags=["label-worked"]
zero = torch.zeros((), dtype=F64)
cost = lambda u: residual_normal_kl(zero, torch.tensor(u, dtype=F64), zero)
wide, narrow = cost(math.log(2)), cost(-math.log(2))
print(f"twice as wide {wide:.3f} nats, half as wide {narrow:.3f} nats")
claim("12.14", wide / narrow, above=2, says="too wide over too narrow, factor 2")
claim("12.14", (cost(1e-4) / 1e-8 - 1).abs(), below=1e-3, says="tiny errors: cost over u², against 1")

# %% [markdown]
# ## Where this goes next
# The models of all chapters, RBM to NVAE, can now be put side by side: the same pictures, and numbers of different kinds, which must not be mixed.
#
# **Exercises:** [open them here](../exercises/12_nvae_kl/12_nvae_kl.ipynb). Six of them, from the formula to a meter for collapse, with checks that know what usually goes wrong.
