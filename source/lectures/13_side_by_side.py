# %% [markdown]
# # 13 · Side by side
#
# **Which of these models is best, and by which measure?**
#
# Twelve chapters, a dozen kinds of model, and each chapter praised its own. Now they meet on the same pictures. One table, one number for each, the largest wins? Not so fast. Some of these numbers are exact, some are bounds, some are estimates that flatter; a model with a splendid number may draw nothing but noise, and one
# that draws beautifully may have the worst number of all. So first we learn to read such a table, in a world so small that every number can be checked. Then comes the race.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | say of a reported likelihood on which side of it the truth lies, and so which comparisons are legal; compare seven trained models by likelihood, samples, features, copies and cost; give for each measure a model that wins it and is useless |
# | **Time** | 60 minutes to read and predict, 185 for the exercises, the project among them; all cells together run in about a minute |
# | **In the lecture** | no slide of its own: its models, side by side. Sources: Salakhutdinov & Murray 2008; Burda, Grosse & Salakhutdinov 2016; Theis, van den Oord & Bethge 2016 |
# | **You need** | the bound ([chapter 1](01_gibbs_bound.ipynb)), $\log Z$ by AIS ([chapter 3](03_log_z.ipynb)), a first look at the VAE ([chapter 8](08_vae.ipynb)) and at codes ([chapter 10](10_vqvae_images.ipynb)) |
# | **Notation** | $x$ a picture of $D$ pixels of 0 and 1; $p^*$ the distribution it comes from; a *score* is the mean of $\log p(x)$ over test pictures, in nats per picture |

# %% tags=["label-setup"]
import math, torch
from deepgen_lib import claim, explore, fit, planted_error, plots, predict, predict_number, reveal
from deepgen_lib.ranking import rank, reveal_order
torch.set_num_threads(1)
G = lambda seed: torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 13.1 A world without secrets
#
# Nine pixels. A picture shows full rows or full columns, one of 14 patterns, and each pixel is then wrong with a chance of 5 %. There are only 512 pictures, and we know how probable each is. So a score needs no test set: average over *all* pictures, each as often as it occurs.

# %% tags=["label-world"]
from deepgen_lib.data import bars_and_stripes, toy_prototypes

world = toy_prototypes(bars_and_stripes(3), flip=0.05)
truth, every = world.probabilities, world.states                # p*(x) (512,), all x (512, 9)
score = lambda log_p: (truth @ log_p.double()).item()           # mean of log p(x) under p*
data = world.sample(2000, G(0)).float()
ceiling = score(truth.log())
print(f"the truth itself scores {ceiling:.3f} nats")
plots.image_grid(torch.cat([bars_and_stripes(3), data[:14]]), columns=14,
                 row_labels=["patterns", "data"],
                 says="The 14 patterns, and 14 pictures of this world.")

# %% [markdown]
# Three models learn from the same 2,000 pictures: a mixture of six Bernoullis (chapter 1), an RBM with ten hidden units (chapter 2), a VAE with two latents (chapter 8).

# %% tags=["label-toy-models"]
from deepgen_lib import (AdamOptions, CDOptions, GradientTrainer, RBM, RBMTrainer, base_rate, fit_em,
                         init_visible_bias, mlp_vae)

mixture = fit_em(data, n_components=6, n_steps=50, smoothing=0.1, rng=G(1)).mixture.double()
rbm = init_visible_bias(RBM(9, 10, rng=G(0)), base_rate(data)).requires_grad_(False)
options = CDOptions(persistent=True, learning_rate=0.2, final_learning_rate=0.01)
fit(RBMTrainer(rbm, options, rng=G(0)), data, n_updates=3000, rng=G(0))
vae = mlp_vae(9, (20,), 2, rng=G(0))
fit(GradientTrainer(vae, AdamOptions(learning_rate=0.01)), data, n_updates=2000, batch_size=100, rng=G(0))
rbm, vae = rbm.double(), vae.double().requires_grad_(False)

# %% [markdown]
# Their exact $\log p(x)$, for all 512 pictures: the mixture adds up its components, the RBM its 512 states for $Z$, and for the VAE we do what is never possible in earnest: $\int p(z)\,p(x\mid z)\,dz$ over a fine grid of its two latents.

# %% tags=["label-toy-exact"]
from deepgen_lib.enumeration import visible_log_prob

def integral(vae, reach=5.0, n=81):
    """log p(x) of every picture by a grid of n x n latents.  -> (512,)"""
    axis = torch.linspace(-reach, reach, n).double()
    z = torch.cartesian_prod(axis, axis)
    log_cell = vae.prior.log_prob(z) + 2 * math.log(2 * reach / (n - 1))
    logits = vae.decoder(z)
    log_p = every @ logits.T - torch.nn.functional.softplus(logits).sum(1)
    return (log_p + log_cell).logsumexp(1)

# %% [markdown]
# > **13.1.** A model's probabilities of all pictures add up to one. Therefore no model scores above the truth: $\;\mathbb E_{p^*}[\log p]\;=\;\mathbb E_{p^*}[\log p^*]-\mathrm{KL}(p^*\Vert p)$.

# %% tags=["label-toy-exact-claims", "rtol-0.03"]
log_p = {"mixture": mixture.log_likelihood(every), "RBM": visible_log_prob(rbm), "VAE": integral(vae)}
exact = {name: score(found) for name, found in log_p.items()}
miss = max(abs(found.exp().sum() - 1) for found in log_p.values())
claim("13.1", miss, below=1e-4, says="sum of 512 probabilities, distance to 1, worst of three")
claim("13.1", max(exact.values()) - ceiling, below=0, says="best score minus the truth's")
missed = abs(integral(vae, reach=2.0).exp().sum() - 1)
planted_error("13.1", missed, below=1e-4, says="a grid that is too small")
print("  ".join(f"{name} {found:.3f}" for name, found in exact.items()), f" ceiling {ceiling:.3f}")

# %% [markdown]
# This is the true order: the RBM, the VAE, the mixture. Now forget it, and let each model be judged as it would be in a paper.
#
# ## 13.2 Four kinds of number
#
# **A bound.** Nobody integrates over a VAE's latents. One reports $\mathbb E_q[\log p(x\mid z)]-\mathrm{KL}(q\Vert p)$, and that depends on the encoder as well. Give our VAE a second, lazy encoder: one linear layer, trained for the bound of the *same* decoder.

# %% tags=["label-lazy"]
from deepgen_lib import VAE

lazy = VAE(torch.nn.Linear(9, 4), vae.decoder, sizes=(9, 2)).double()
with torch.no_grad():
    lazy.encoder.weight.normal_(0, 0.1, generator=G(5))
    lazy.encoder.bias.zero_()
options = AdamOptions(learning_rate=0.01)
fit(GradientTrainer(lazy, options), data.double(), n_updates=500, batch_size=100, rng=G(1))
lazy.requires_grad_(False)
same = all((a == b).all() for a, b in zip(lazy.decoder.parameters(), vae.decoder.parameters()))
print(f"the decoder, and so p(x), is the same: {same}")

# %% tags=["label-predict-lazy"]
predict("13.a", "The VAE with its lazy encoder against the mixture, by the numbers a paper would print:",
        ["the VAE wins, as it should", "the mixture wins, though it is the worse model", "a draw"])

# %% [markdown]
# **An importance-weighted bound** draws $S$ latents and takes $\log\frac1S\sum_s p(x,z_s)/q(z_s\mid x)$. More draws, a tighter bound; it repairs a lazy encoder, at $S$ times the price.
#
# > **13.2.** In the mean over draws: bound $\le$ importance-weighted bound, rising with $S$, $\le\log p(x)$.

# %% tags=["label-weighted", "rtol-0.03", "atol-0.01"]
def heights(vae):
    """Scores by the bound, by importance weights with 5 and 50 draws, and exactly."""
    bound = score(vae.bound(every, n_samples=400, rng=G(1)).total)
    many = every.repeat(20, 1)
    weighted = [vae.importance_bound(many, n_samples=s, rng=G(2)).view(20, 512).mean(0) for s in (5, 50)]
    return [bound, *map(score, weighted), exact["VAE"]]

rows = {"trained encoder": heights(vae), "lazy encoder": heights(lazy)}
display(plots.table(rows, columns=["bound", "5 weights", "50 weights", "exact"], corner="VAE"))
behind = exact["mixture"] - rows["lazy encoder"][0]
claim("13.2", behind, above=0.3, says="nats by which the better model looks worse")
reveal("13.a", 1, "The bound judges model and encoder together.")

# %% [markdown]
# From draws, claim 13.2 holds within their noise. Without any noise: a mixture is a latent-variable model, too, with $z$ its component. For six components and up to three draws one can list all $6^3$ outcomes and take the mean exactly, here for a $q$ that is the posterior, blurred.

# %% tags=["label-weighted-exact"]
joint = mixture.log_joint(every)                                # log p(x, z): (512, 6)
q = (0.5 * joint).softmax(1)
log_w = joint - q.log()

def mean_weighted(s, share=True):
    """E[log 1/s sum of s weights], exactly, for every picture.  -> (512,)"""
    outcomes = torch.cartesian_prod(*[torch.arange(6)] * s).view(-1, s)
    chance = q[:, outcomes].prod(2)                             # (512, 6^s)
    return (chance * (log_w[:, outcomes].logsumexp(2) - share * math.log(s))).sum(1)

# %% tags=["label-weighted-exact-claims"]
steps = [mean_weighted(s) for s in (1, 2, 3)] + [joint.logsumexp(1)]
rise = torch.stack([b - a for a, b in zip(steps, steps[1:])])
claim("13.2", -rise.min(), below=1e-12, says="largest fall on the way up, 512 pictures, 3 steps")
print("mean gap to the exact value:", ", ".join(f"{score(steps[3] - s):.4f}" for s in steps[:3]), "nats")
above = (mean_weighted(3, share=False) - joint.logsumexp(1)).max()
planted_error("13.2", above, below=1e-12, says="1/S forgotten: excess over log p(x)")

# %% [markdown]
# **An estimate that flatters.** The RBM's $\log p(x)=-F(x)-\log Z$ needs $\log Z$. AIS estimates $Z$ without error on average (chapter 3), hence $\log Z$ too low on average, hence the score too high.
#
# > **13.3.** $\mathbb E[\hat Z]=Z$ and $\mathbb E[\log\hat Z]<\log Z$: of one and the same estimator.
#
# Here is AIS done badly, one chain and two temperatures, 4,000 times:

# %% tags=["label-flattery", "rtol-0.1", "atol-0.05"]
from deepgen_lib import ais_log_partition, log_partition

runs = ais_log_partition(rbm, base_mean=base_rate(data).double(), n_chains=4000, n_temperatures=2, rng=G(0))
log_z_base = runs.estimate - runs.log_weights.logsumexp(0) + math.log(4000)
error = log_z_base + runs.log_weights - log_partition(rbm)       # log Z hat - log Z, one for each run
ratio, spread = error.exp().mean(), error.exp().std() / 4000**0.5
print(f"mean of Z hat / Z: {ratio:.2f} ± {spread:.2f};  mean of log Z hat - log Z: {error.mean():.2f}")
claim("13.3", abs(ratio - 1) / spread, below=4, says="distance of the mean ratio to 1, in standard errors")
claim("13.3", error.mean(), below=-0.5, says="mean error of log Z, nats")
planted_error("13.3", abs(error.mean().exp() - 1) / spread, below=4, says="the mean of the logarithms")

# %% [markdown]
# Done well, it is not alone: backwards from exact samples of the model, and by bridges between the rungs of tempered chains (Bennett 1976), one gets the same $\log Z$. Three ways that agree are worth more than one with a short error bar.

# %% tags=["label-three-ways", "rtol-0.02", "atol-0.05"]
from deepgen_lib import parallel_tempering, reverse_ais_log_partition
from deepgen_lib.bridge import bennett_log_partition

base, rungs = base_rate(data).double(), torch.linspace(0, 1, 8).double()
drawn = every[torch.multinomial(log_p["RBM"].exp(), 1000, replacement=True, generator=G(1))]
chains = parallel_tempering(rbm, n_chains=300, inverse_temperatures=rungs, n_steps=100,
                            base_mean=base, rng=G(4))
ways = {"AIS": ais_log_partition(rbm, base_mean=base, n_chains=1000, n_temperatures=30, rng=G(2)),
        "reverse AIS": reverse_ais_log_partition(rbm, drawn, base_mean=base, n_temperatures=30, rng=G(3)),
        "bridges": bennett_log_partition(rbm, chains, inverse_temperatures=rungs, base_mean=base)}
plots.table({name: way[:3] for name, way in ways.items()}, columns=["log Z", "from", "to"])

# %% tags=["label-three-ways-claims", "rtol-0.02"]
log_z = log_partition(rbm).item()
print(f"exact: {log_z:.3f}")
worst = max(abs(way.estimate - log_z) for way in ways.values())
claim("13.3", worst, below=0.3, says="worst error of the three, nats")
planted_error("13.3", abs(error.mean()), below=0.3, says="one chain, two temperatures")

# %% tags=["label-as-printed", "rtol-0.1", "atol-0.05"]
Score = plots.side_by_side.Score
flattered, low = exact["RBM"] - error.mean().item(), rows["lazy encoder"][0]
printed = {"RBM, coarse AIS": Score(flattered, flattered, flattered, "below"),
           "mixture, exact": Score(*[exact["mixture"]] * 3),
           "VAE, bound of a lazy encoder": Score(low, low, low, "above")}
true_scores = dict(zip(printed, (exact["RBM"], exact["mixture"], exact["VAE"])))
plots.side_by_side.kinds(printed, truth=true_scores, ceiling=ceiling,
                         says="The table as printed, and what is true.")

# %% [markdown]
# **What to notice.** Two things are wrong with the printed table. The RBM stands *beyond the ceiling*: on average it is said to know the world better than the world does. Whoever knows the ceiling sees at once that such a number cannot be; on real data nobody knows it. And the VAE stands behind a mixture that it beats. No number was miscalculated, and none
# is what its column says.
#
# ## 13.3 Which comparisons are legal?
#
# Turn every number into what it really says about the true score: an interval.
#
# | kind of number | the true score lies | because |
# |:--|:--|:--|
# | exact | on it | |
# | bound, importance-weighted bound | from it upwards, to 0 | $\mathrm{KL}\ge0$; and a probability is at most 1 |
# | from a $\log Z$ that is too low | from it downwards | less $Z$, more $p$ |
# | an estimate with an error bar | around it, *if* the bar is right | chains see what they see (chapter 3) |
#
# > **13.4.** A comparison is legal if one interval lies wholly above the other. A legal comparison is never wrong; comparing the numbers as they stand often is.
#
# Test it on 2,000 pairs of small random RBMs: each is given one of three kinds of number. Its bound uses a $q$ that is blurred, its flattering number a $Z$ of which some states are missing.

# %% tags=["label-legal-number"]
from deepgen_lib import all_states, gibbs_bound, random_rbm
from deepgen_lib.enumeration import joint_log_prob

def reported(seed):
    """(true score, number, interval) of a random RBM on 16 pictures; the kind of number is drawn, too."""
    g = G(seed)
    log_joint = joint_log_prob(random_rbm(6, 3, scale=1.0, rng=g).requires_grad_(False))    # (64, 8)
    x = log_joint[torch.randint(64, (16,), generator=g)]
    true, bound = x.logsumexp(1).mean(), gibbs_bound(x, (0.5 * x).softmax(1)).mean()
    seen = log_joint[torch.rand(64, generator=g) < 0.6].logsumexp((0, 1))   # log of the share of Z seen
    flattered = true - seen
    return true, *[(true, true, true), (bound, bound, 0), (flattered, -math.inf, flattered)][seed % 3]

# %% tags=["label-predict-legal"]
predict("13.b", "Of 2,000 pairs, the number that is larger belongs to the worse model in",
        ["none", "about one in a hundred", "about one in ten or more"])

# %% tags=["label-legal"]
order = torch.randperm(4000, generator=G(0)).view(2000, 2).tolist()
pairs = [(reported(a), reported(b)) for a, b in order]
legal = [a[2] > b[3] or b[2] > a[3] for a, b in pairs]
wrong = [(a[1] > b[1]) != (a[0] > b[0]) for a, b in pairs]
wrong_and_legal = sum(w and l for w, l in zip(wrong, legal))
print(f"legal: {sum(legal)} of 2,000;  larger number, worse model: {sum(wrong)}")
claim("13.4", wrong_and_legal, below=0.5, says="legal comparisons that were wrong")
planted_error("13.4", sum(wrong), below=0.5, says="numbers compared as they stand: wrong ones")
reveal("13.b", 2, "Three kinds of number, and only one of them says where the truth is.")

# %% [markdown]
# **What to notice.** The rule costs something: many pairs cannot be decided. In words: *a bound that wins, wins; a bound that loses says nothing. A flattering number that loses, loses. Two bounds, or two flattering numbers, say nothing of each other.* Keep that at hand for the next table.

# %% [markdown]
# ## 13.4 Seven models, one set of digits
#
# The models of this course, side by side. Grey: what is observed.

# %% tags=["label-diagram"]
plots.diagrams.family()

# %% [markdown]
# Now the real thing: black and white digits, 784 pixels, the *fixed* binarisation (chapter 3), so that everybody is asked about the same 10,000 test pictures. The models were trained beforehand and ship with the course; each file says when and on what machine it was measured, and by which command it is made again.
#
# (The DBN is the greedy one. After up-down it would need two sets of weights, too much to ship; chapter 6 trains one, with labels, and judges it by its errors.)

# %% tags=["label-models"]
from deepgen_lib import load_mnist
from deepgen_lib.side_by_side import shipped_models

models = shipped_models()
train, test = (load_mnist(split, binarisation="fixed").images for split in ("train", "test"))
some = test[torch.randperm(10_000, generator=G(0))[:1000]]      # a thousand of all ten digits
title = {name: m.title for name, m in models.items()}
print(*title.values(), sep="\n")

# %% tags=["label-predict-race"]
predict("13.c", "Which of them gets the highest number?",
        ["the mixture: it is exact", "an RBM", "the DBN", "the VAE", "the NVAE",
         "the VQ-VAE with its prior"])

# %% [markdown]
# Every number is recomputed here on a thousand of the test pictures: exactly, by the bound, for VAE and NVAE also by importance weights. Only $\log Z$ is taken from the file, since careful AIS takes minutes.

# %% tags=["label-race", "rtol-0.02", "atol-0.05"]
nats = {name: m.score(some, rng=G(1)) for name, m in models.items()}
weighted = {name: (some[:n], s) for name, n, s in (("vae", 1000, 100), ("nvae", 100, 10)) if name in models}
for name, (x, n_samples) in weighted.items():
    gain = models[name].weighted(x, n_samples=n_samples, rng=G(2)) - nats[name][:len(x)]
    nats[name] = nats[name] + gain.mean()                       # its mean gain, for all
here = {name: x.mean().item() for name, x in nats.items()}
rows = {title[n]: [m.kind, here[n], m.measured.test, m.measured.n_pictures] for n, m in models.items()}
plots.table(rows, columns=["kind of number", "here, 1,000", "as measured", "on so many"], digits=1)

# %% tags=["label-race-when"]
print("measured on", *sorted({m.measured.machine for m in models.values()}))
rows = {m.title: [m.measured.date, m.command] for m in models.values()}
plots.table(rows, columns=["on", "made again by"])

# %% tags=["label-race-claims", "rtol-0.1", "atol-0.1"]
away = {name: abs(here[name] - m.measured.test) for name, m in models.items()}
noise = {name: (x.std() / len(x)**0.5).item() for name, x in nats.items()}
off = max(away[name] / noise[name] for name in models)
claim("13.5", off, below=4, says="worst distance to the file's number, in standard errors")
upside_down = models["rbm"].score(some.flip(1), rng=G(1)).mean() - models["rbm"].measured.test
planted_error("13.5", abs(upside_down) / noise["rbm"], below=4, says="pictures upside down")
print(f"standard error of 1,000 pictures: {noise['rbm']:.2f} nats for the RBM")

# %% tags=["label-race-picture", "rtol-0.02", "atol-0.1"]
SIDE = {"exact": "exact", "AIS estimate": "below", "bound, log Z by AIS": "either",
        "importance-weighted bound": "above", "bound": "above"}
best_first = sorted(models.values(), key=lambda m: -m.measured.test)
found = {m.title: Score(*m.measured[:3], SIDE[m.kind]) for m in best_first}
display(plots.side_by_side.kinds(found, says="Seven models as measured, and the kind of each number."))
reveal("13.c", 2, "But look at the marks before you call it the best model.")

# %% [markdown]
# ### The same pictures for everyone
# A thousand pictures leave an error of about three quarters of a nat on every mean, more than what separates RBM and DBN. Hopeless? No: digits that are hard for one model are hard for all, and in a *difference* that cancels.
#
# > **13.6.** Scores of two models on the same pictures are compared by the mean of their differences, picture by picture. Its error is far smaller than that of either mean.

# %% tags=["label-paired", "rtol-0.1", "atol-0.02"]
difference = nats["dbn"] - nats["rbm"]
paired = (difference.std() / len(difference)**0.5).item()
unpaired = math.hypot(noise["dbn"], noise["rbm"])
print(f"DBN minus RBM: {difference.mean():.2f} ± {paired:.2f} nats; as if unpaired: ± {unpaired:.2f}")
claim("13.6", unpaired / paired, above=4, says="factor by which pairing shortens the error bar")
shuffled = nats["dbn"] - nats["rbm"][torch.randperm(1000, generator=G(3))]
planted_error("13.6", unpaired / (shuffled.std() / 1000**0.5), above=4, says="pairs of different pictures")

# %% [markdown]
# ### What is decided?
# By claim 13.4, strictly: AIS flatters, so an RBM's number can lose and cannot win, and the DBN's bound under an AIS $\log Z$ can do neither. And generously: believe AIS and its error bar, as everybody does who has seen the two ends agree (chapter 3).

# %% tags=["label-decided"]
def interval(m, believe):
    """Where the true score may lie."""
    side = SIDE[m.kind]
    _, low, high = m.measured[:3]
    if believe:
        side = {"below": "exact", "either": "above"}.get(side, side)
    return (-math.inf if side in ("below", "either") else low,
            0 if side in ("above", "either") else high)

def decided(believe):
    ends = {name: interval(m, believe) for name, m in models.items()}
    return [(a, b) for a in ends for b in ends if ends[a][0] > ends[b][1]]

# %% tags=["label-decided-print"]
n_pairs = len(models) * (len(models) - 1) // 2
pairs = {"strictly": decided(False), "believing AIS": decided(True)}
print("; ".join(f"{words}: {len(found)} of {n_pairs} pairs" for words, found in pairs.items()))
beats = lambda a, found: ", ".join(b for x, b in found if x == a) or "–"
rows = {a: [beats(a, found) for found in pairs.values()] for a in models}
plots.table(rows, columns=[f"is above, {words}" for words in pairs])

# %% [markdown]
# **What to notice.** A table sorted by its numbers claims an order for each of the pairs. Strictly, only bounds that win are left, and of those even the code model's loose one, against the exact mixture; faith in AIS adds more. Nothing puts RBM and DBN in order but the paired difference of claim 13.6, and that compares a bound with an estimate that share the trust in AIS.
#
# ### Beside the published numbers
# Published figures for such models, as quoted since their papers; a number without its kind and protocol would be of no use, so here they are:
#
# | model | published, nats | kind of number | pixels and pictures |
# |:--|--:|:--|:--|
# | mixture of 500 Bernoullis (Larochelle & Murray 2011) | about −137.6 | exact | binarised once |
# | NADE-500 (the same) | about −88.3 | exact | the same |
# | RBM-500, CD-1 (Salakhutdinov & Murray 2008) | about −125.5 | AIS estimate | binarised once; 60,000 to train on |
# | RBM-500, CD-25 (the same) | about −86.3 | AIS estimate | the same |
# | DBN 784-500-2000 (the same) | about −86.2 | bound under an AIS $\log Z$ | the same |
# | NVAE (Vahdat & Kautz 2020) | about −78.0 | importance-weighted bound | *sampled anew* at every look; a far larger network |
#
# All but the last may be compared with ours, as far as AIS can be believed. Our mixture is better than the published one, RBM by PCD and DBN are where theirs are or a little better. Our CD-1 stands here as a long training left it, clearly behind theirs; stopped in time it does better, as the rows of `benchmarks/published` say. The last may not: other pixels, in training and in the test, and a number that would stand above ours for that alone.
#
# ## 13.5 Which do you like?
#
# Forget the numbers. Here are samples of each model, shuffled: the picture of $p(x_i=1\mid\text{latents})$ of each draw, as all papers show them. Look at the sheets one by one, and **rank them before you go on**, best first.

# %% tags=["label-sheets", "rtol-0.1", "atol-0.3"]
sheets = {title[name]: m.means(40, rng=G(7)) for name, m in models.items()}
order = [list(sheets)[i] for i in torch.randperm(len(sheets), generator=G(13))]
letter = dict(zip(order, "ABCDEFG"))
explore(plots.side_by_side.blind(sheets, order))

# %% tags=["label-all-sheets", "atol-0.3"]
twelve = {name: x[:12] for name, x in sheets.items()}
plots.side_by_side.all_sheets(twelve, order, says="Twelve samples of each.")

# %% tags=["label-rank"]
rank("13.d", "Order the sheets by how good the digits look to you.", list(letter.values()))

# %% tags=["label-predict-eye"]
predict("13.e", "Does the order by your eye agree with the order by likelihood?",
        ["yes, but for a pair or two", "no: one of the last by likelihood is among the first by eye",
         "there is no relation at all"])

# %% [markdown]
# A judge that does not tire: the classifier of chapter 10. How sure is it, on average, that a sample (black and white, as the models draw them) is one certain digit? And here are the names.

# %% tags=["label-judge", "rtol-0.05", "atol-0.05"]
from deepgen_lib.digit_classifier import load_digit_classifier

turned = lambda x, share, seed: (x + torch.bernoulli(torch.full(x.shape, share), generator=G(seed))) % 2
sure = lambda x: load_digit_classifier().sureness(x.view(-1, 1, 28, 28))[0].mean().item()
draws = {name: torch.bernoulli(x, generator=G(8)) for name, x in sheets.items()}
judged = {name: sure(x) for name, x in draws.items()}
of_test = sure(some)
score_of = {m.title: m.measured.test for m in models.values()}
rows = {letter[name]: [name, judged[name], score_of[name]] for name in order}
rows[""] = ["test pictures", of_test, "–"]
display(plots.table(rows, columns=["model", "sureness", "nats"], digits=2))
reveal_order("13.d", {letter[name]: score_of[name] for name in order})

# %% tags=["label-judge-claims", "rtol-0.05", "atol-0.02"]
surer = judged[title["mixture"]] - judged[title["vae"]]
claim("13.7", surer, above=0.03, says="sureness of the judge, mixture minus VAE")
claim("13.7", here["vae"] - here["mixture"], above=20, says="nats by which the mixture is behind")
planted_error("13.7", sure(turned(draws[title["mixture"]], 0.2, 14)) - judged[title["vae"]], above=0.03,
              says="a fifth of its pixels turned")
reveal("13.e", 1, "The mixture, sheet D, draws pictures that it has stored.")

# %% [markdown]
# > **13.7.** A model can be far behind by likelihood and among the first by its samples.
#
# **What to notice.** The mixture stores 500 mean pictures and draws one of them: every sample looks like a digit, since it hardly is one of the model's own making. Its likelihood is poor because a new digit is none of the 500. And the sheet of the RBM by CD-1 is nearly white paper: started at the data it would show digits for a few steps, but left alone for a thousand it ends where
# training never looked (chapter 3).

# %% [markdown]
# ## 13.6 What do their features know?
#
# None of the models ever saw a label. Do their codes make the label easy to read? A linear probe (chapter 6): the same classifier for all, its weight decay chosen on other pictures than those it is judged by. A thousand labelled training pictures, and the pixels themselves as a rival.

# %% tags=["label-predict-probe"]
predict("13.f", "The VAE leads the RBM by CD-1 by tens of nats. From its code, a linear classifier makes",
        ["far fewer errors", "about as many", "more errors"])

# %% tags=["label-probe"]
from deepgen_lib.probe import linear_probe

sizes = {"train": 1000, "valid": 1000, "test": 2000}
labelled = {split: load_mnist(split, binarisation="sampled", seed=0) for split in sizes}
pick = {split: torch.randperm(10_000, generator=G(4))[:n] for split, n in sizes.items()}
x, y = ({split: part[k][pick[split]] for split, part in labelled.items()} for k in (0, 1))

def probe(features):
    """Share of errors on test pictures; the decay is chosen on validation pictures."""
    f = {split: features(pictures) for split, pictures in x.items()}
    run = lambda split, decay: linear_probe(f["train"], y["train"], test_features=f[split],
                                            test_labels=y[split], weight_decay=decay, n_steps=60).error
    return run("test", min((1e-3, 1e-2, 1e-1), key=lambda decay: run("valid", decay)))

# %% tags=["label-probe-run", "rtol-0.15", "atol-0.01"]
errors = {"the pixels": probe(lambda x: x)}
errors |= {title[name]: probe(m.features) for name, m in models.items()}
rows = {name: [100 * e, 100 * (e * (1 - e) / 2000)**0.5] for name, e in errors.items()}
display(plots.table(rows, columns=["errors, %", "±"], digits=1))

# %% tags=["label-probe-claims", "rtol-0.15", "atol-0.02"]
lead_in_nats = models["vae"].measured.test - models["rbm_cd1"].measured.test
lead_in_errors = errors[title["rbm_cd1"]] - errors[title["vae"]]
print(f"VAE against CD-1: {lead_in_nats:+.0f} nats, {-100 * lead_in_errors:+.0f} errors in a hundred")
claim("13.8", lead_in_nats, above=15, says="nats by which the VAE's bound leads the RBM by CD-1")
claim("13.8", lead_in_errors, below=-0.02, says="lead in errors of the same pair")
planted_error("13.8", lead_in_nats, below=-0.02, says="nats taken for errors")
reveal("13.f", 2, "500 units keep the strokes; 40 numbers are packed for a decoder, not for a plane.")

# %% [markdown]
# > **13.8.** A better likelihood does not make better features: the VAE leads the RBM by CD-1 by tens of nats, and its code makes more errors.
#
# **What to notice.** The RBMs' 500 hidden units keep the strokes, and a linear classifier can use them; how *well* the RBM was trained as a density hardly matters to it. The VAE's 40 numbers hold nearly all of a digit, but not laid out so that planes separate the classes. Likelihood asks for all bits of a picture, the label is about three of them.
#
# ## 13.7 Did they learn by heart?
#
# A model that recites training pictures draws perfectly. So look for the nearest of all 50,000 training pictures, for samples, and for comparison for *test* pictures, which nobody can have learned. Binary pictures: count the pixels that differ.

# %% tags=["label-nearest"]
def nearest(x):
    """(pixels that differ from the nearest training picture, which that is), for each row of 0 and 1."""
    differ = x.sum(1)[:, None] + train.sum(1) - 2 * x @ train.T         # (B, 50,000)
    return differ.min(1)

of_drawn = {name: nearest(x) for name, x in draws.items()}
of_held_out = nearest(some[:40]).values.mean().item()
reciter = train[torch.randperm(50_000, generator=G(9))[:40]]
distances = {name: found.values.mean().item() for name, found in of_drawn.items()}
distances["test pictures"] = of_held_out
distances["a reciter"] = nearest(turned(reciter, 0.01, 10)).values.mean().item()    # 1 % of the pixels

# %% tags=["label-nearest-table", "rtol-0.1", "atol-0.5"]
rows = {name: [d, d / of_held_out] for name, d in distances.items()}
plots.table(rows, columns=["pixels to the nearest", "over that of test pictures"], digits=2)

# %% tags=["label-nearest-claims", "rtol-0.1"]
closest = min(distances[name] for name in sheets) / distances["a reciter"]
claim("13.9", closest, above=2, says="distance of the nearest model's samples over a reciter's")
again = nearest(turned(train[:40], 0.01, 12)).values.mean() / distances["a reciter"]
planted_error("13.9", again, above=2, says="another reciter")

# %% tags=["label-nearest-picture", "atol-0.3"]
drawn_two = torch.cat([draws[name][:2] for name in order])
nearest_two = torch.cat([train[of_drawn[name].indices[:2]] for name in order])
plots.image_grid(torch.cat([drawn_two, nearest_two]), columns=len(drawn_two),
                 row_labels=["drawn", "nearest"],
                 says="Two samples of each sheet, and the training picture nearest to each.")

# %% [markdown]
# **What to notice.** Samples of most models are as far from the training set as other people's digits are. One model stands out: CD-1's samples are far nearer than test pictures. Has it learned by heart? Look at the pictures: white paper is near to every thin digit. Distance is measured in ink. So a small distance proves no
# recital, and a large one no quality: a sheet of fair coins would be the most original of all.
#
# ## 13.8 Another protocol, another table
#
# Pixels may be fixed, sampled anew, or thresholded at ½ (chapter 3). All models again, 500 test digits (VAE and NVAE by their plain bound). The *fixed* ones are other digits, as the fixed set has its own order:

# %% tags=["label-protocols", "rtol-0.02", "atol-0.1"]
mine = pick["test"][:500]
protocols = {"fixed": some[:500], "sampled": labelled["test"].images[mine],
             "thresholded": load_mnist("test", binarisation="thresholded").images[mine]}
asked = {name: [m.score(x, rng=G(1)).mean().item() for x in protocols.values()]
         for name, m in models.items()}
plots.table({title[name]: [*row, row[2] - row[1]] for name, row in asked.items()},
            columns=[*protocols, "gained by thresholding"], digits=1)

# %% [markdown]
# No model changed. Crisp edges are simply easier.
#
# And then there are those who put the *grey* values in, as they are. For a mixture and for an RBM one can say beforehand what happens: $\log p$ up to a constant is a log-sum-exp of linear functions of $x$, or a sum of softplus of such. Both are *convex*: at a mean they are at most the mean of their values. And a grey picture is the mean of its draws.
#
# > **13.10.** Put into the formula of a mixture or an RBM, a grey picture scores no higher than its draws do on average, for any weights whatsoever. It is not a probability of anything, either.

# %% tags=["label-grey", "rtol-0.1", "atol-0.1"]
def toy_scores(seed):
    """-F at a grey picture of 6 pixels, and its exact mean over all 64 draws, for a random RBM."""
    g = G(seed)
    machine = random_rbm(6, 4, scale=2.0, rng=g).requires_grad_(False)
    grey, b = torch.rand(6, generator=g).double(), all_states(6)
    formula = lambda x: x @ machine.b + torch.nn.functional.softplus(x @ machine.W + machine.c).sum(1)
    chance = torch.where(b == 1, grey, 1 - grey).prod(1)
    return formula(grey[None])[0], chance @ formula(b), formula((grey[None] > 0.5).double())[0]

at_grey, over_draws, at_half = torch.tensor([toy_scores(seed) for seed in range(1000)]).T
claim("13.10", (at_grey - over_draws).max(), below=0, says="grey minus mean over draws, 1,000 RBMs")
planted_error("13.10", (at_half - over_draws).max(), below=0, says="thresholded in place of grey")

# %% [markdown]
# Does at least the *order* of two models survive a change of protocol? Back to the world of nine pixels. One model believes that each pixel is wrong with a chance of 5 %, the other with 1 %. We ask them about pictures as they come, and about the same pictures cleaned up: the bare patterns.

# %% tags=["label-predict-home"]
predict("13.g", "Which model has the higher score?",
        ["the first on both", "the first on pictures as they come, the second on clean ones",
         "the second on both"])

# %% tags=["label-home"]
believes = lambda flip: toy_prototypes(bars_and_stripes(3), flip=flip).probabilities.log()
ragged, crisp = believes(0.05), believes(0.01)
clean = (torch.cdist(every, bars_and_stripes(3), p=1).min(1).values == 0).double() / 14
asked = lambda log_p: [score(log_p), (clean @ log_p).item()]
table = {"5 % wrong": asked(ragged), "1 % wrong": asked(crisp)}
display(plots.table(table, columns=["pictures as they come", "clean pictures"]))
(rr, rc), (cr, cc) = table.values()
claim("13.11", min(rr - cr, cc - rc), above=0.1, says="nats by which each wins at home, the smaller")
planted_error("13.11", cr - rr, above=0.1, says="home and away exchanged")
reveal("13.g", 1, "Both numbers are exact. So no protocol is the right one; but a table must have one.")

# %% [markdown]
# ## 13.9 Where each measure misleads
#
# For every measure there is a model that wins it and is of no use. Four of them.
#
# ### Reconstruction: a machine that copies
# Up to the code and back; what is lost?

# %% tags=["label-reconstruction", "rtol-0.05", "atol-0.05"]
def lost(m, shown=some):
    """Squared error between the pictures and what the model rebuilds, summed over pixels."""
    return (m.reconstruct(shown, rng=G(5)) - some).square().sum(1).mean().item()

losses = {name: lost(m) for name, m in models.items()}
rows = {title[n]: [e, models[n].measured.test] for n, e in losses.items()}
plots.table(rows, columns=["reconstruction error", "nats"], digits=1)

# %% tags=["label-reconstruction-claims", "rtol-0.1"]
better = losses["vae"] - losses["rbm_cd1"]
claim("13.12", better, above=3, says="squared error by which CD-1 rebuilds better than the VAE")
claim("13.12", here["vae"] - here["rbm_cd1"], above=15, says="nats by which it is the worse model")
of_others = losses["vae"] - lost(models["rbm_cd1"], some.roll(1, 0))
planted_error("13.12", of_others, above=3, says="CD-1 shown other pictures")

# %% [markdown]
# **What to notice.** The best reconstructors have large codes: 500 units and more. CD-1 was even trained for it, one step up and down, and rebuilds better than the VAE, whose 40 numbers are each charged for by a KL. As a model of digits it is tens of nats behind. Reconstruction asks whether the code remembers a picture that it is *shown*; nobody shows the model
# anything when it draws.
#
# ### A bound: the model behind it may be far better
# The VQ-VAE's number keeps *one* map of codes for each picture and throws all others away. How much is lost? Draw maps from a $q$ that allows neighbours, $q(z_i=k)\propto e^{-\tau\lVert z_e-e_k\rVert^2}$ at each of the 49 places, and weigh them as in section 13.2.

# %% tags=["label-loose"]
from deepgen_lib import load_model
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.side_by_side_models import new_code_prior, new_vqvae

file = lambda name: CHECKPOINTS / f"side_by_side_{name}.safetensors"
vqvae = load_model(file("vqvae"), new_vqvae(rng=G(0))).requires_grad_(False).eval()
prior = load_model(file("codes"), new_code_prior()).requires_grad_(False).eval()
few = some[:50].view(-1, 1, 28, 28)
z_e = vqvae.encoder(few).movedim(1, -1)                         # (50, 7, 7, 16)
apart = (z_e[..., None, :] - vqvae.codebook.codes).square().sum(-1)       # (50, 7, 7, 64)

# %% tags=["label-loose-weights"]
def one_draw(log_q, rng):
    """log p(x, z) and log q(z) of one map for each picture.  -> (50,) twice"""
    ids = torch.multinomial(log_q.exp().flatten(0, 2), 1, generator=rng).view(log_q.shape[:-1])
    logits = vqvae.decoder(vqvae.codebook.codes[ids].movedim(-1, 1))
    log_x = (few * logits - torch.nn.functional.softplus(logits)).sum((1, 2, 3))
    return log_x + prior.log_likelihood(ids), log_q.gather(-1, ids[..., None]).sum((1, 2, 3))

log_q, g = (-apart).log_softmax(-1), G(15)                      # tau = 1
log_joint, log_drawn = map(torch.stack, zip(*[one_draw(log_q, g) for _ in range(100)]))   # (100, 50)

# %% tags=["label-predict-loose"]
predict("13.h", "100 weighted maps in place of one. By how much does the number rise?",
        ["a tenth of a nat", "one or two nats", "more than ten nats"])

# %% tags=["label-loose-claims", "rtol-0.1", "atol-0.5"]
one_map = nats["vqvae"][:50]
log_mean = lambda log_w: log_w.logsumexp(0) - math.log(100)
tighter = log_mean(log_joint - log_drawn)
gain = (tighter - one_map).mean()
print(f"50 pictures: one map {one_map.mean():.1f}, 100 weighted maps {tighter.mean():.1f} nats")
claim("13.13", gain, above=12, says="nats that 100 weighted maps add")
planted_error("13.13", (log_mean(log_joint) - one_map).mean(), above=12, says="weights without q")
reveal("13.h", 2, f"{gain:.0f} nats, and the model is the same.")

# %% [markdown]
# > **13.13.** The code model's usual number is loose: the same model, weighed with a hundred maps, scores more than ten nats better. How much better still it is, nobody knows.
#
# **What to notice.** Each of the 49 codes has neighbours that do nearly as well, so a picture has a great many maps, and one term of the sum is a small part of it. The training never minded: it looked at one map only. By its usual number this model stands far behind VAE and NVAE; weighed, most of that distance is gone. Whoever ranks models by bounds ranks the people who
# computed them.
#
# ### Likelihood: one per cent of a good model
# Take the RBM. Build a machine that throws a coin of 784 fair bits 99 times in a hundred, and asks the RBM only once.

# %% tags=["label-predict-coin"]
predict_number("13.i", "The RBM scores about -86, the coins -543. What does the dilution cost per picture?",
               unit="nats")

# %% tags=["label-coin"]
coins, good = -784 * math.log(2), nats["rbm"].double()
diluted = torch.logaddexp(math.log(0.01) + good, torch.full_like(good, math.log(0.99) + coins))
cost = (good - diluted).mean()
print(f"RBM {here['rbm']:.1f}, one per cent of it {diluted.mean():.1f}, fair coins {coins:.1f} nats")
claim("13.14", cost, between=(4.6, 4.61), says="nats that 99 % of noise cost")
of_logs = here["rbm"] - (0.01 * here["rbm"] + 0.99 * coins)
planted_error("13.14", of_logs, between=(4.6, 4.61), says="logarithms averaged, not probabilities")
reveal("13.i", cost, "log 100: a hundredth of the probability, however many pixels there are.", within=1)

# %% [markdown]
# > **13.14.** $\log\big(w\,p(x)+(1-w)\,u(x)\big)\ge\log p(x)+\log w$. A share $w$ of a good model costs at most $-\log w$ nats, in any dimension. So likelihood cannot vouch for samples.
#
# ### Samples: a model that recites
# The other way round: choose one of the 50,000 training pictures and turn each pixel with a small chance. Its likelihood is a sum that we can do.

# %% tags=["label-recite", "rtol-0.01"]
def recite(x, flip):
    """Exact log p(x) of the reciter.  (B, 784) -> (B,)"""
    differ = x.sum(1)[:, None] + train.sum(1) - 2 * x @ train.T
    log_p = differ * math.log(flip) + (784 - differ) * math.log1p(-flip)
    return log_p.logsumexp(1) - math.log(50_000)

flips = (0.001, 0.01, 0.03, 0.05, 0.1)
by_flip = {flip: recite(some[:200], flip).mean().item() for flip in flips}
print("  ".join(f"{flip}: {value:.1f}" for flip, value in by_flip.items()))
perfect = turned(reciter, 0.001, 11)

# %% tags=["label-recite-claims", "rtol-0.05"]
claim("13.15", sure(perfect) - of_test, above=-0.02, says="sureness, reciter minus test pictures")
worst = min(here.values())
claim("13.15", by_flip[0.001] - worst, below=-50, says="nats behind the worst of our models")
known = recite(train[:200], 0.001).mean()
planted_error("13.15", known - worst, below=-50, says="asked about training pictures")

# %% tags=["label-two-cheats", "atol-0.3"]
noise_sheet = torch.bernoulli(torch.full((11, 784), 0.5), generator=G(11))
first = torch.cat([noise_sheet, draws[title["rbm"]][:1]])       # one in a hundred; here one in twelve
plots.image_grid(torch.cat([first, perfect[:12]]), columns=12,
                 row_labels=[f"{diluted.mean():.0f} nats", f"{by_flip[0.001]:.0f} nats"],
                 says="Above: great likelihood, poor samples. Below: perfect samples, poor likelihood.")

# %% [markdown]
# **What to notice.** Two models that each win one measure outright. Above: only one draw in a hundred is a digit, and by likelihood it is ahead of most of our models. Below: a judge who sees samples alone gives the reciter full marks, and its likelihood is behind the worst model that we trained. With more noise the reciter does better,
# −180.2 nats with 5 % of the pixels turned, and its samples get worse. Neither number answers the other's question (Theis, van den Oord & Bethge 2016).
#
# ## 13.10 What does it cost?
#
# Seconds on your machine for a thousand samples; the training as it was measured once, on the machine named in section 13.4.

# %% tags=["label-cost", "nbval-ignore-output"]
import time

def seconds_per_thousand(m, n=20):
    start = time.process_time()
    m.means(n, rng=G(6))
    return 1000 / n * (time.process_time() - start)

seconds = {name: seconds_per_thousand(m) for name, m in models.items()}
rows = {title[n]: [f"{m.n_parameters:,}", f"{m.measured.training_seconds:.0f}", f"{seconds[n]:.2g}"]
        for n, m in models.items()}
plots.table(rows, columns=["parameters", "training, s", "1,000 samples, s"])

# %% [markdown]
# A chain needs its thousand sweeps; a directed model needs one pass, an autoregressive prior one pass for each of 49 places. This is not in any likelihood, and often it decides.
#
# ### Best by what?
# All measures of the chapter, one at a time. Before you move the slider: which model would you like to see on top? And is there a model that is never in the lower half?

# %% tags=["label-best-by"]
Measure = plots.side_by_side.Measure
by_title = lambda found: {title[name]: value for name, value in found.items()}
measures = {"likelihood": Measure(score_of, "nats per picture, of all kinds"),
            "judge": Measure(judged, "mean sureness of a classifier"),
            "probe": Measure({n: 100 * errors[n] for n in order}, "errors, %", False),
            "distance": Measure({n: distances[n] for n in order}, "pixels to the nearest"),
            "reconstruction": Measure(by_title(losses), "squared error", False),
            "parameters": Measure({m.title: m.n_parameters for m in models.values()}, "numbers", False),
            "sampling": Measure(by_title(seconds), "seconds per 1,000 samples", False)}
explore(plots.side_by_side.best_by(measures, order))

# %% [markdown]
# ## 13.11 Summary
#
# | measure | what it says | won by, without use | so ask also for |
# |:--|:--|:--|:--|
# | exact log-likelihood | what a picture costs to store | 1 % good model, 99 % noise (13.14) | samples |
# | bound | likelihood is at least so high | a model with a good *encoder* (13.2) | importance weights, and what they add (13.13) |
# | AIS estimate | likelihood, on average a little less | an estimate with few temperatures (13.3) | the other end; more temperatures |
# | reconstruction | how much a code remembers | a machine that copies (13.12, chapter 3) | likelihood |
# | samples, or a judge of samples | what is drawn | a reciter (13.15) | distance to training pictures; variety |
# | distance to training pictures | whether it recites | noise | samples |
# | linear probe | how the labels lie in the code | a network trained on labels | what the code is for |
#
# | | rule | in code |
# |:--|:--|:--|
# | legal (13.4) | one interval wholly above the other; same pictures, same protocol | `plots.side_by_side.kinds(...)` |
# | paired (13.6) | mean and error of *differences*, picture by picture | `(a - b).mean()`, `(a - b).std() / n**0.5` |
# | order of numbers (13.2) | bound $\le$ importance-weighted $\le\log p(x)$ | `vae.bound`, `vae.importance_bound` |
# | greys (13.10) | never above the mean over draws, and no probability | `load_mnist(..., binarisation="fixed")` |
#
# So which is best? To tell how likely a digit is: the RBM and the DBN, if you trust AIS; the VAE, if you want a number that cannot flatter. To draw at once: VAE, NVAE, the code model. To find labels: the RBMs.
#
# Three sentences to keep. *A number without its kind and its protocol is no number. A bound that loses has said nothing. No measure that knows one thing about a model
# can stand for the others.*
#
# ## 13.12 A worked exercise
# **Question.** A group reports that its VAE has improved from −96 to −91 nats. In a footnote: the first number is the bound, the second used importance weights. How much has the *model* improved? Try before you read on.
#
# **Answer.** Nobody can say. One and the same model, one and the same thousand pictures, more and more weights:

# %% tags=["label-worked", "rtol-0.01"]
heights = [models["vae"].weighted(some, n_samples=s, rng=G(3)).mean() for s in (1, 3, 10, 30, 100)]
plots.lines([1, 3, 10, 30, 100], {"bound": torch.stack(heights)}, log="x", xlabel="importance weights",
            ylabel="nats per picture", says="One VAE: what more weights do to its number.")

# %% tags=["label-worked-claim", "rtol-0.05"]
gained = (heights[-1] - heights[0]).item()
claim("13.2", gained, above=3, says="nats gained without touching the model")
redrawn = abs(heights[0] - models["vae"].score(some, rng=G(4)).mean())
planted_error("13.2", redrawn, above=3, says="one weight against the plain bound")
print(f"100 weights in place of one: {gained:.1f} nats")

# %% [markdown]
# The first point *is* the bound: with one weight the two are the same. To be compared, both numbers need the same number of weights; and to be compared with an exact score, only their winning counts.
#
# ## Where this goes next
# You have met them all, and know what to ask of the next one. Chapter 14, an elective, asks a last question of all of them: what does the machine do with its time?
#
# **Exercises:** [open them here](../exercises/13_side_by_side/13_side_by_side.ipynb). Five of them and a project, from legal comparisons to a page that defends a ranking, with checks that know what usually goes wrong.
