# %% [markdown]
# # 1 · The Gibbs bound
#
# **How can a maximisation compute a sum?**
#
# A model with hidden causes can explain a picture in many ways, and the probability of the picture is the sum over all of them. With
# 500 binary causes that is $2^{500}$ terms. This chapter trades the sum for a search: there is an expression whose largest value *is* the
# logarithm of the sum. And a search that stops early still leaves you with something true: a number that is never too big. Nearly every model
# of this course is trained by climbing this one expression.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | write the bound in four ways and say what each term does; say exactly what a bound misses; run EM and tell which half-step moves what; read a likelihood in nats |
# | **Time** | 75 minutes to read and predict, 135 for the exercises; all cells together run in about half a minute on a laptop |
# | **In the lecture** | *Variational intuitions*, first and third slide of that name: claims B1 to B4 |
# | **You need** | probabilities, logarithms, expectations (refresh them in [chapter 0](00_start_here.ipynb)) |
# | **Notation** | $x$ what we see, $h$ what is hidden and takes $K$ values, $q_k$ our guess at the chance of value $k$, $f_k=\log p(x,h_k)$. Natural logarithms: all quantities are in nats |

# %% tags=["label-setup"]
import torch
from deepgen_lib import claim, derivation, explore, planted_error, plots, predict, predict_number, reveal
from deepgen_lib import entropy, gap, gibbs_bound, kl_divergence, log_normaliser, posterior
torch.set_default_dtype(torch.float64)  # exact work: 16 digits instead of 7

# %% [markdown]
# ## 1.1 A sum small enough to do
#
# Someone picks one of three pictures, the bar, the diagonal or the cross, with probabilities 0.5, 0.3 and 0.2. Then each of the nine
# pixels is flipped with probability 1/4. We see the damaged picture $x$. Which picture it was, $h$, stays hidden. (Black is 1, white is 0.)

# %% tags=["label-toy-diagram"]
plots.diagrams.mixture()

# %% [markdown]
# Read it along the arrows: draw a cause $h$ with the probabilities $\pi$; it decides, through the means $m_k$, how likely each pixel is to be on; draw the pixels $x$. What is grey we see. A dot is a
# parameter, not drawn at all; a frame says how often its content is repeated ($N$ pictures, $K$ means).

# %% tags=["label-toy"]
from deepgen_lib import BernoulliMixture

names = ["bar", "diagonal", "cross"]
pictures = torch.tensor([[0., 1, 0,  0, 1, 0,  0, 1, 0],
                         [0., 0, 1,  0, 1, 0,  1, 0, 0],
                         [0., 1, 0,  1, 1, 1,  0, 1, 0]])
x = torch.tensor([[0., 1, 0,  1, 0, 1,  1, 0, 0]])
toy = BernoulliMixture(weights=torch.tensor([0.5, 0.3, 0.2]),
                       means=0.25 + 0.5 * pictures)  # p(pixel is on): 1/4 or 3/4

# %% tags=["label-toy-picture"]
plots.image_grid(torch.cat([pictures, x]), column_labels=[*names, "we see x"],
                 says="Three clean pictures and the damaged one.")

# %% [markdown]
# Each hidden picture explains $x$ with the joint probability $p(x,h)=p(h)\,p(x\mid h)$. Its logarithm, for the three values of $h$, is the
# vector $f$ of this chapter.

# %% tags=["label-toy-table"]
log_prior, log_likelihood = toy.log_weights, toy.conditional_log_likelihood(x)[0]
f = log_prior + log_likelihood
plots.table({"log p(h)": log_prior, "log p(x | h)": log_likelihood,
             "f = log p(x, h)": f, "p(h | x)": posterior(f)}, columns=names, digits=4)

# %% tags=["label-toy-sum", "atol-1e-7"]
print("p(x) =", " + ".join(f"{term:.6f}" for term in f.exp()), f"= {f.exp().sum():.6f}")
print(f"log p(x) = {log_normaliser(f):.4f} nats")

# %% [markdown]
# **What to notice.** Three hidden values, three terms: $\log p(x)=-7.1267$. The prior favoured the bar; the picture says cross, 0.6923. Both
# numbers needed the sum. We now find them without it.
#
# ## 1.2 A maximum that is a sum
#
# Let $q$ be any distribution over the $K$ hidden values, our guess. Two wishes pull at it. $\mathbb{E}_q[f]=\sum_k q_kf_k$ wants everything on the best
# state. The entropy $H(q)=-\sum_k q_k\log q_k$ wants equal shares. We let them compete: make the sum $\mathbb{E}_q[f]+H(q)$ as large as possible.

# %% tags=["label-predict-summit"]
predict("1.a", "Which q makes E_q[f] + H(q) largest?",
        ["all on the cross, the best state", "equal shares", "the prior", "shares proportional to exp(f)"])

# %% tags=["label-candidates"]
candidates = {"all on the cross": torch.tensor([0., 0, 1]), "equal shares": torch.full((3,), 1 / 3),
              "the prior": log_prior.exp(), "proportional to exp(f)": posterior(f)}
rows = {name: [(q * f).sum(), entropy(q), gibbs_bound(f, q)] for name, q in candidates.items()}
display(plots.table(rows, columns=["E_q[f]", "H(q)", "their sum"], digits=4))
reveal("1.a", 3, "Neither wish wins alone: some of E_q[f] is given up to keep some entropy.")

# %% [markdown]
# **What to notice.** All on the best state scores −7.4944, equal shares −7.4200. The compromise scores −7.1267: to the last digit the
# $\log p(x)$ that we got by adding up. This is no accident.
#
# > **B1, the Gibbs variational principle.** For any numbers $f_1,\dots,f_K$
# > $$\log\sum_k e^{f_k}\;=\;\max_q\;\Big\{\,\mathbb{E}_q[f]+H(q)\,\Big\}$$
# > over all distributions $q$. One $q$ alone reaches the maximum, the Gibbs distribution $q_k=e^{f_k}/Z$, where $Z=\sum_k e^{f_k}$.
# > (With energies, $f=-E$. Here $Z=p(x)$, and the Gibbs distribution is the posterior.)
#
# Is the compromise the best of *all* $q$? First we try 10,000 of them, spread evenly. None may score more than $\log Z$, and none that is far from the
# Gibbs distribution may come near it. (How far two distributions are apart we measure by their *total variation*, half the sum of $|q_k-p_k|$: 0 when they are
# equal, 1 when they share nothing.)

# %% tags=["label-random-q", "claim-B1"]
rng = torch.Generator().manual_seed(1)

def random_q(n, k):
    """n distributions over k states, spread evenly over all there are."""
    shares = -torch.rand(n, k, generator=rng).log()
    return shares / shares.sum(1, keepdim=True)

many = random_q(10_000, 3)
far = (many - posterior(f)).abs().sum(1) / 2 > 0.05
excess = gibbs_bound(f, many) - log_normaliser(f)
claim("B1", excess.max(), below=1e-12, says="excess of 10,000 q's over log Z")
claim("B1", gap(f, many)[far].min(), above=0.005, says="miss of every q further than 0.05 from Gibbs's")

# %% [markdown]
# Then a climber. It knows only the slope of the bound, which in direction $k$ is $f_k-\log q_k-1$. It multiplies each share by
# $e^{\text{step}\,\cdot\,\text{slope}}$, rescales, and repeats (*mirror ascent*).

# %% tags=["label-climb"]
def climb(f, q, *, n_steps=60, sign=1):
    """Mirror ascent on E_q[f] + sign * H(q) from q; the path of q.  -> (n_steps + 1, K)."""
    path = [q]
    for _ in range(n_steps):
        q = q * torch.exp(0.25 * (f - sign * q.log()))
        q = q / q.sum()  # also cancels the slope's -1, the same for every state
        path.append(q)
    return torch.stack(path)

# %% tags=["label-b1-climb", "claim-B1"]
path = climb(f, torch.tensor([0.02, 0.95, 0.03]))  # a bad start: nearly all on the diagonal
heights = gibbs_bound(f, path)
claim("B1", (heights[-1] - log_normaliser(f)).abs(), below=1e-10, says="last height against log Z")
claim("B1", heights.diff()[:30].min(), above=0, says="smallest rise of the first 30 steps")
print(f"heights: {heights[0]:.4f} at first, {heights[10]:.4f} after 10 steps, {heights[60]:.4f} after 60")

# %% tags=["label-b1-landscape", "picture-B1"]
plots.gibbs_bound.triangle(f, names=names, path=path[:20],
                           title="Every point is a q, its colour its bound",
                           says="The bound over all q: one hill, and a climber that reaches its top.")

# %% [markdown]
# **What to notice.** A point of the triangle is a $q$: in a corner all of it lies on one picture. There is one hill and no other. The climber
# starts at −8.99 and ends at $\log Z$ to ten digits. It could not get stuck: $\mathbb{E}_q[f]$ is linear in $q$ and $H(q)$ is concave, so their sum is concave,
# and a concave landscape has one summit.
#
# A claim that nothing can break proves nothing. Give the entropy the wrong sign and climb again; then count it twice.

# %% tags=["label-b1-planted", "planted-B1"]
end = climb(f, torch.tensor([0.02, 0.95, 0.03]), sign=-1)[-1]
wrong_height = end @ f - entropy(end)
miss = (wrong_height - log_normaliser(f)).abs()
planted_error("B1", miss, below=1e-10, says="the entropy with the wrong sign")
twice = gibbs_bound(f, many) + entropy(many)
planted_error("B1", (twice - log_normaliser(f)).max(), below=1e-12, says="the entropy counted twice")

# %% [markdown]
# ### Why it is true
# 1. At the top no small transfer of probability pays, so $f_k-\log q_k$ has the same value $c$ for every $k$. (The top is not at the edge: where $q_k$
#    nears 0 its slope is infinite, so giving it a little always pays.)
# 2. Hence $q_k=e^{f_k-c}$. The shares add up to one, so $e^{c}=\sum_k e^{f_k}$, that is $c=\log Z$.
# 3. The height there is the mean of $f_k-\log q_k$, again $c$.
# 4. The landscape is concave, so this flat point is the summit and the only one.
#
# Below, each step is a line of code; the lines must agree on 100 random vectors $f$.

# %% tags=["label-b1-derivation", "claim-B1"]
vectors = [3 * torch.randn(k, generator=rng) for k in (2, 3, 5, 16) for _ in range(25)]
derivation("B1", {
    "the sum, then its logarithm": lambda f: f.exp().sum().log().expand(len(f)),
    "f_k - log q_k at Gibbs's q":  lambda f: f - posterior(f).log(),
    "the height of the top":       lambda f: gibbs_bound(f, posterior(f)).expand(len(f)),
}, vectors)

# %% [markdown]
# ### What has been gained?
# Over *all* $q$ the search is no cheaper than the sum: $q$ itself has $K$ entries. But a search may stop early, or look only among those $q$ that we can
# afford, and what it has found is still a bound from below. Adding up only some of the terms gives a bound too: it is the best $q$ on those states alone. But of
# $2^{500}$ terms any list that you can write down is next to nothing, while a $q$ made of 500 numbers can reach all of them. The rest of the chapter asks
# what stopping early, and choosing from a small family, cost.
#
# ## 1.3 Any q gives a bound
#
# > **B2.** For every $x$ and every distribution $q(h\mid x)$
# > $$\log p(x)\;\ge\;\sum_h q(h\mid x)\,\log p(x,h)\;-\;\sum_h q(h\mid x)\,\log q(h\mid x).$$
#
# The left side is what we want to know, the right side is an average that we can compute. The notation $q(h\mid x)$ says that each picture may have a
# guess of its own, and against which arrow it goes:

# %% tags=["label-two-directions"]
plots.diagrams.inference()

# %% [markdown]
# There are 512 pictures of 3×3 pixels; with 1,000 $q$'s each that is half a million chances to fail.

# %% tags=["label-b2", "claim-B2"]
from deepgen_lib import all_states

images = all_states(9)                # (512, 9), every picture there is
f_all = toy.log_joint(images)         # (512, 3)
some = many[:1000, None]              # (1000, 1, 3)
bounds = gibbs_bound(f_all, some)     # (1000, 512)
excess = bounds - log_normaliser(f_all)
claim("B2", excess.max(), below=1e-12, says="excess over log p(x), 512 pictures, 1,000 q's each")

# %% tags=["label-b2-planted", "planted-B2"]
no_prior = gibbs_bound(toy.conditional_log_likelihood(images), some)   # log p(x | h) for log p(x, h)
planted_error("B2", (no_prior - log_normaliser(f_all)).max(), below=1e-12, says="the prior forgotten")
short = 0.8 * some
no_sum = (short * f_all).sum(-1) - (short * short.log()).sum(-1)
planted_error("B2", (no_sum - log_normaliser(f_all)).max(), below=1e-12, says="a q that adds up to 0.8")

# %% [markdown]
# So guessing is allowed. Is it wise? Take the best of 1,000 random $q$'s, once for our three hidden states, once for a tiny RBM
# (chapter 2; here just a bigger example) with four hidden units, hence $2^4=16$ hidden states.

# %% tags=["label-predict-guess"]
predict("1.b", "The best of 1,000 random q's misses log p(x) by ...",
        ["less than 0.01 nats in both cases", "less than 0.01 with 3 states, more than 0.1 with 16",
         "more than 0.1 in both cases"])

# %% tags=["label-guessing"]
from deepgen_lib import joint_log_prob, random_rbm

rbm = random_rbm(6, 4, rng=torch.Generator().manual_seed(0))
f16 = joint_log_prob(rbm).detach()[8]              # log p(v, h) for one v and all 16 h
misses = {"3 states": gap(f, random_q(1000, 3)), "16 states": gap(f16, random_q(1000, 16))}
climbed = climb(f16, torch.full((16,), 1 / 16))[-1]
claim("B2", gap(f16, climbed).abs(), below=1e-10, says="what the climber misses with 16 states")
for name, miss in misses.items():
    print(f"{name}: the best of 1,000 guesses misses {miss.min():.4f} nats")

# %% tags=["label-b2-ceiling", "picture-B2"]
display(plots.gibbs_bound.ceiling(
    misses, says="Random q's stay below log p(x); with 16 states, far below."))
reveal("1.b", 1, "In more dimensions good q's are a smaller part of all q's. A climber follows the slope.")

# %% [markdown]
# **What to notice.** Nothing passes the line. With 3 states the luckiest guess misses by 0.0024 nats, with 16 by 0.17, and a network has
# $2^{500}$. Guessing dies with the dimension; climbing does not. From here on $q$ is always *optimised*, in one of three ways: in closed
# form (EM, section 1.6), with units that act on their own given $x$ (RBM and DBN), or by a network (VAE).
#
# ## 1.4 What the bound misses
#
# > **B3.** The gap is a divergence,
# > $$\log p(x)-\Big(\mathbb{E}_q[\log p(x,h)]+H(q)\Big)\;=\;\mathrm{KL}\big(q\,\Vert\,p(h\mid x)\big)\;=\;\sum_h q(h)\log\frac{q(h)}{p(h\mid x)}\;\ge\;0,$$
# > and it is zero at the posterior and nowhere else.
#
# The equality takes one line: write $\log p(x)$ as $\log p(x,h)-\log p(h\mid x)$, true for every $h$, and average over $q$. The sign takes one more: since
# $\log t\le t-1$, with equality at $t=1$ alone,
# $$-\mathrm{KL}\big(q\,\Vert\,p\big)=\sum_h q(h)\log\frac{p(h\mid x)}{q(h)}\;\le\;\sum_h q(h)\Big(\frac{p(h\mid x)}{q(h)}-1\Big)=1-1=0 .$$

# %% tags=["label-b3-derivation", "claim-B3"]
pairs = [(vector, random_q(1, len(vector))[0]) for vector in vectors]
derivation("B3", {   # a pair is (f, q)
    "log p(x) minus the bound":        lambda m: gap(*m),
    "everything under one average":    lambda m: (m[1] * (log_normaliser(m[0]) - m[0] + m[1].log())).sum(),
    "p(x, h) / p(x) is the posterior": lambda m: (m[1] * (m[1].log() - posterior(m[0]).log())).sum(),
    "KL(q || posterior)":              lambda m: kl_divergence(m[1], posterior(m[0])),
}, pairs)

# %% tags=["label-b3", "claim-B3"]
truth = posterior(f_all)              # (512, 3), p(h | x) of every picture
kl = kl_divergence(some, truth)       # (1000, 512)
apart = (some - truth).abs().sum(-1) / 2 > 0.01
claim("B3", (gap(f_all, some) - kl).abs().max(), below=1e-10, says="gap against KL, for all of them")
claim("B3", gap(f_all, truth).abs().max(), below=1e-12, says="largest gap at the posterior")
claim("B3", kl[apart].min(), above=2e-4, says="gap of every q further than 0.01 from the posterior")

# %% tags=["label-b3-planted", "planted-B3"]
backwards = kl_divergence(truth, some)
miss = (gap(f_all, some) - backwards).abs()
planted_error("B3", miss.max(), below=1e-10, says="the KL the wrong way round")
others = truth.roll(1, 0)
planted_error("B3", gap(f_all, others).abs().max(), below=1e-12, says="the posterior of another picture")

# %% tags=["label-b3-hanging", "picture-B3"]
other = torch.tensor([[0., 1, 0,  0, 1, 0,  0, 1, 1]])   # nearly a clean bar
tried = {"posterior": posterior(f), "equal shares": candidates["equal shares"],
         "all on\nthe cross": candidates["all on the cross"], "prior": log_prior.exp(),
         "posterior of\nanother x": toy.posterior(other)[0]}
plots.gibbs_bound.hanging({name: gibbs_bound(f, q) for name, q in tried.items()}, log_normaliser(f),
                          says="log p(x) stays; each q splits it differently into bound and gap.")

# %% [markdown]
# **What to notice.** The dashed line is the same for all: $\log p(x)=\text{bound}+\text{gap}$, and only the split depends on $q$. The $q$ of
# another picture is *legal*. Its bound holds; it is merely poor, 1.381 nats below. A wrong $q$ makes a bound loose, never false.
#
# ### Where the gap goes when q is not free
#
# An alarm rings. Two causes could set it off: a burglar ($h_1$, prior 0.2) or an earthquake ($h_2$, prior 0.1). Each one that is present sets it
# off with probability 0.95; without either the alarm is false, with probability 0.01. Suppose we only allow products, $q(h_1,h_2)=q_1(h_1)\,q_2(h_2)$: one number per
# cause instead of one per combination. With 500 causes that is 500 numbers instead of $2^{500}$.

# %% tags=["label-alarm"]
h = all_states(2)                              # 00, 01, 10, 11
p_on = torch.tensor([0.2, 0.1])
log_p_h = (h * p_on.log() + (1 - h) * (1 - p_on).log()).sum(1)
silent = 0.99 * 0.05 ** h.sum(1)               # nothing sets it off, each independently
log_p_alarm = torch.log(1 - silent)
f_alarm = log_p_h + log_p_alarm

# %% tags=["label-predict-product"]
predict("1.c", "We search all products for the best one. The gap that is left is",
        ["zero: optimising closes every gap", "about 0.003 nats", "about 0.3 nats"])

# %% tags=["label-product-landscape"]
plots.gibbs_bound.product_landscape(
    f_alarm.reshape(2, 2), says="The best product bets on one explanation; the posterior holds two.")

# %% tags=["label-product-gap", "claim-B3"]
on = torch.linspace(0, 1, 201)
pairs = [torch.outer(a, b) for a in (1 - on, on) for b in (1 - on, on)]
products = torch.stack(pairs, -1)              # (201, 201, 4)
claim("B3", gap(f_alarm, products).min(), between=(0.29, 0.30), says="gap of the best of 40,401 products")
reveal("1.c", 2, "The search was perfect. The family was too small.")

# %% [markdown]
# **What to notice.** Given the alarm, one cause explains the other away: the posterior says burglar 0.62 *or* earthquake 0.28, both 0.07. "Or"
# makes the causes depend on each other, and no product can say it. The best product bets on the burglar and pays 0.29 nats. That is the
# price of the family, not of the search. Remember it when a bound stops rising: it need not have reached the likelihood.
#
# ## 1.5 Three terms
#
# > **B4.** With $\log p(x,h)=\log p(x\mid h)+\log p(h)$ the bound splits into
# > $$\underbrace{\mathbb{E}_q[\log p(x\mid h)]}_{\text{reconstruction}}+\underbrace{\mathbb{E}_q[\log p(h)]}_{\text{prior}}+\underbrace{H(q)}_{\text{entropy}}\;=\;\mathbb{E}_q[\log p(x\mid h)]-\mathrm{KL}\big(q\,\Vert\,p(h)\big).$$
#
# So one number can be written in four ways:
# 1. $\mathbb{E}_q[\log p(x,h)]+H(q)$, for which $q$ and the model suffice;
# 2. reconstruction + prior + entropy, the same taken apart;
# 3. $\mathbb{E}_q[\log p(x\mid h)]-\mathrm{KL}(q\,\Vert\,p(h))$, as a VAE is trained;
# 4. $\log p(x)-\mathrm{KL}(q\,\Vert\,p(h\mid x))$, as one *thinks* about the bound: its terms are the two things we do not know.

# %% tags=["label-b4-derivation", "claim-B4"]
from deepgen_lib import bound_terms

models = [(3 * torch.randn(k, generator=rng), random_q(1, k)[0].log(), random_q(1, k)[0])
          for k in (2, 3, 5, 16) for _ in range(25)]
derivation("B4", {   # a model is (log p(x | h), log p(h), q)
    "E_q[log p(x, h)] + H(q)":          lambda m: gibbs_bound(m[0] + m[1], m[2]),
    "reconstruction + prior + entropy": lambda m: bound_terms(*m).total,
    "reconstruction - KL(q || prior)":
        lambda m: bound_terms(*m).reconstruction - kl_divergence(m[2], m[1].exp()),
    "log p(x) - KL(q || posterior)":
        lambda m: log_normaliser(m[0] + m[1]) - kl_divergence(m[2], posterior(m[0] + m[1])),
}, models)

# %% tags=["label-b4", "claim-B4", "planted-B4"]
terms = bound_terms(toy.conditional_log_likelihood(images), log_prior, some)
claim("B4", (terms.total - bounds).abs().max(), below=1e-12, says="sum of three terms against the bound")
no_prior = terms.reconstruction + terms.entropy
planted_error("B4", (no_prior - bounds).abs().max(), below=1e-12, says="the prior dropped")
minus_entropy = terms.reconstruction + terms.prior - terms.entropy
planted_error("B4", (minus_entropy - bounds).abs().max(), below=1e-12, says="the entropy subtracted")

# %% [markdown]
# **Now move $q$ yourself.** The first slider is the share of the bar; the second divides the rest between diagonal and cross.
# 1. Put everything on the diagonal. Which term has vanished, and why?
# 2. Set $q$ to the prior (0.5, then 0.6). Two of the terms cancel. Which, and what is left of the bound?
# 3. Start from 0.6 and 0.8 and make the gap as small as you can, watching the gap alone. Then compare with the stops marked p(h | x).

# %% tags=["label-b4-explore", "picture-B4"]
explore(plots.gibbs_bound.weigher(toy, x[0], names=names))

# %% [markdown]
# *Answers.* 1: the entropy; a $q$ that is sure has none. 2: prior and entropy, for together they are $-\mathrm{KL}(q\,\Vert\,p(h))=0$; the reconstruction is left. 3: the gap
# reaches zero at the posterior; each term still depends on $q$ there, only their sum has stopped rising.
#
# **Why does maximising give a sum?** Because the gap is a divergence, and a divergence can be pushed down to zero. Whatever the bound gains, the gap
# loses, and at the end nothing is left between the bound and $\log\sum_h p(x,h)$.
#
# ## 1.6 The real thing: ten thousand digits
#
# The same model, now with 784 pixels, twenty pictures instead of three, and nobody tells us the pictures: a **mixture of Bernoullis**,
# $$p(x)=\sum_{k=1}^{K}\pi_k\prod_{i=1}^{784}m_{ki}^{x_i}(1-m_{ki})^{1-x_i}.$$
# We learn the weights $\pi$ and the means $m$ by climbing the bound, averaged over the data, in two directions in turn.
#
# | half-step | held fixed | climbs in | result |
# |:--|:--|:--|:--|
# | **E** | the model | $q$ | $q(k\mid x)=p(k\mid x)$: by B3 the gap closes |
# | **M** | $q$ | the model | $\pi_k$ and $m_k$ become averages of the data, weighted by $q$ |

# %% tags=["label-digits"]
from deepgen_lib import e_step, fit_em, load_mnist, m_step
from deepgen_lib.mixture import mixture_bound, random_mixture

digits = load_mnist("train", binarisation="fixed").images[:10_000].double()
plots.image_grid(digits[:20], columns=10, says="Twenty training digits, black and white pixels only.")

# %% [markdown]
# One EM step by hand, from a random start.

# %% tags=["label-predict-m-step"]
predict("1.d", "After E the bound equals the log-likelihood. After M, the log-likelihood is",
        ["equal to the bound", "above the bound", "below the bound"])

# %% tags=["label-one-step"]
start = random_mixture(digits, n_components=20, rng=torch.Generator().manual_seed(0))
q = e_step(start, digits)               # (10000, 20)
model = m_step(digits, q)
for name, m in {"after E": start, "after M": model}.items():
    bound, log_p = mixture_bound(m, digits, q), m.log_likelihood(digits)
    opens = (log_p - bound).mean()
    print(f"{name}: bound {bound.mean():.2f}, log-likelihood {log_p.mean():.2f}, gap {opens:.2f}")

# %% tags=["label-one-step-claims", "claim-B3", "planted-B3"]
closed = gap(start.log_joint(digits), q)
opened = gap(model.log_joint(digits), q)
stale = kl_divergence(q, model.posterior(digits))
claim("B3", closed.abs().max(), below=1e-9, says="largest gap of 10,000 digits after the E-step")
claim("B3", (opened - stale).abs().max(), below=1e-9, says="gap after M against KL(q || new posterior)")
others = (0.9 * model.weights + 0.1 * random_q(1000, 20)).log()   # the prior term is E_q[log pi_k]
gains = (others - model.log_weights) @ q.mean(0)
claim("EM", gains.max(), below=0, says="what 1,000 other weights would add to the bound after M")
neighbours = gap(start.log_joint(digits), q.roll(1, 0))
planted_error("B3", neighbours.max(), below=1e-9, says="each digit judged by its neighbour's q")
reveal("1.d", 1, "The M-step moves the posterior and q stays behind: a gap opens.")

# %% [markdown]
# **What to notice.** The M-step aimed at the bound and raised it from −216.19 to −171.85. The log-likelihood rose further, to −166.13: the difference is the
# gap that has opened, 5.72 nats, and the next E-step will win it for the bound. Hence
# $$\log p_{\text{new}}\;\ge\;\text{bound after M}\;\ge\;\text{bound after E}\;=\;\log p_{\text{old}},$$
# so EM never lowers the likelihood of its training data. Twenty steps:

# %% tags=["label-em"]
fitted = fit_em(digits, n_components=20, n_steps=20, rng=torch.Generator().manual_seed(0))
halves = torch.tensor([[step.bound_after_e, step.bound_after_m] for step in fitted.trace]).flatten()
gaps = torch.tensor([step.log_likelihood_before - step.bound_after_e for step in fitted.trace])
claim("EM", gaps.abs().max(), below=1e-9, says="largest gap after any of 20 E-steps")
claim("EM", halves.diff().min(), above=0, says="smallest rise of the bound in any half-step")
q = e_step(fitted.mixture, digits)
shuffled = mixture_bound(m_step(digits, q.roll(1, 0)), digits, q).mean()
planted_error("EM", shuffled - halves[-1], above=0, says="an M-step on the neighbours' q's")
print(f"step 1 brings {halves[2] - halves[0]:.2f} nats, step 19 brings {halves[38] - halves[36]:.4f}")

# %% tags=["label-staircase"]
plots.gibbs_bound.staircase(fitted.trace, says="Stairs: M raises the bound, E lifts it to the likelihood.")

# %% [markdown]
# **What to notice.** On the right, every M-step raises both lines and leaves a gap between them; every E-step lifts the bound back to the likelihood
# without moving it. The stairs get flat: step 1 brought 50.06 nats, step 19 brings 0.01.

# %% tags=["label-means"]
weights, order = fitted.mixture.weights.sort(descending=True)
plots.image_grid(fitted.mixture.means[order], columns=10, title="The 20 means, most frequent first",
                 says="Each mean looks like one way of writing a digit.")

# %% tags=["label-samples"]
drawn = fitted.mixture.sample(20, rng=torch.Generator().manual_seed(3))
plots.image_grid(drawn, columns=10, title="20 samples of the model",
                 says="Samples: the ink is in the right places, the strokes are dust.")

# %% [markdown]
# **What to notice.** Nobody gave it labels, yet a component is roughly *one way of writing one digit*. The samples have the right ink in the right places, but
# no strokes: given $k$ every pixel is drawn on its own. One hidden cause with twenty values cannot say "this line goes on". The next chapters give the model
# many causes at once.
#
# ### How good is it?
# The measure is the mean $\log p(x)$ of 10,000 digits that it has never seen, in nats per image. Here the sum is affordable, so it is exact. Two marks to
# guess by: 784 fair coins score $-784\log 2=-543.4$, and a single component, which knows how often each pixel is on and nothing else, scores $-205.8$.

# %% tags=["label-predict-score"]
predict_number("1.f", "And twenty components, on digits they have never seen?", unit="nats per image")

# %% tags=["label-test", "rtol-0.01"]
test = load_mnist("test", binarisation="fixed").images.double()
single = fit_em(digits, n_components=1, n_steps=1, rng=torch.Generator().manual_seed(0)).mixture
score = fitted.mixture.log_likelihood(test).mean()
baseline = single.log_likelihood(test).mean()
claim("EM", score, between=(-158.5, -155.5), says="20 components on the test digits, nats per image")
claim("EM", baseline, between=(-206.5, -205), says="one component: independent pixels")
print(f"784 coins {-784 * torch.tensor(2.0).log():.1f}, one component {baseline:.1f}")
reveal("1.f", score, f"{score - baseline:.0f} nats better than one component.")

# %% [markdown]
# **What to notice.** Twenty means instead of one: −157.0 against −205.8, 49 nats per image. On the same test digits, but
# trained on six times as many, an RBM with 500 hidden units is published at about −86 (Salakhutdinov and Murray 2008): chapter 2 trains one, chapter 3 measures it.
#
# (From 20 random starts, tried when this was written, the score lay between −157.7 and −156.5.)
#
# ### What does q look like now?

# %% tags=["label-judged"]
q_test = e_step(fitted.mixture, test)
chosen = [500, 4500, 7500, 9500, *entropy(q_test).topk(4).indices.tolist()]
plots.gibbs_bound.judged(test[chosen], q_test[chosen], fitted.mixture.means,
                         says="Four ordinary test digits and the four that the model doubts most.")

# %% tags=["label-sure"]
sure = (q_test.max(1).values > 0.99).double().mean()
claim("EM", sure, between=(0.88, 0.94), says="share of test digits with one component above 0.99")
claim("EM", entropy(q_test).mean(), between=(0.02, 0.05),
      says="mean entropy of q on the test digits, nats")

# %% [markdown]
# **What to notice.** With 784 pixels as witnesses the posterior is nearly always a point: for 88 to 94 % of the test digits one component takes over 99 %. Only
# a few doubtful digits, on the right, share their $q$: some between two ways of writing one digit, some between two digits. And sure is not right: the 4 is taken for a 9
# without a doubt. The posterior is exact, the model is not.
#
# ### What climbing does not promise
# The bound is climbed on the *training* digits. Fit mixtures of different size to only 1,000 of them.

# %% tags=["label-predict-overfit"]
predict("1.e", "200 components on 1,000 digits. Against 20 components the test log-likelihood is",
        ["better", "about the same", "worse, but better than one component", "worse than one component"])

# %% tags=["label-overfit"]
sizes, scores = [1, 5, 20, 50, 100, 200], {"train": [], "test": []}
for size in sizes:
    small = fit_em(digits[:1000], n_components=size, n_steps=20, rng=rng.manual_seed(0)).mixture
    for name, data in {"train": digits[:1000], "test": test}.items():
        scores[name].append(small.log_likelihood(data).mean())
change = scores["test"][5] - scores["test"][0]
print(f"a pixel of mean 1e-6 that is on costs {-torch.tensor(1e-6).log():.1f} nats")
claim("EM", change, between=(-38, -8), says="200 components instead of one, test score")

# %% tags=["label-overfit-picture", "rtol-0.01"]
display(plots.table(scores, columns=sizes, corner="components", digits=1))
display(plots.lines(sizes, scores, xlabel="components", ylabel="nats per image", log="x",
                    says="More components: training ever better, test first better, then much worse."))
reveal("1.e", 3, "Five digits per component are memorised, not described.")

# %% [markdown]
# **What to notice.** Training scores climb from −206.2 to −102.2. Test scores turn after 20 components, at −167.6, and fall to −232.2. A component with five digits has
# pixels that were never on; their mean is held at $10^{-6}$, and a test digit with ink there pays $-\log 10^{-6}$, 13.8 nats, for each. The bound is as
# true as ever. It is a bound on the wrong data. (Exercise 1.6 mends this.)
#
# ## 1.7 The slide and this chapter
# Nothing on the two slides needs mending. One word can be added: the slide says that equality is attained *if* $q$ is the posterior. By B3 it is *if and only if*.
#
# ## 1.8 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | bound (B1, B2) | $\mathbb{E}_q[\log p(x,h)]+H(q)\;\le\;\log p(x)$ | `gibbs_bound(log_joint, q)` |
# | its maximum | $\log p(x)=\log\sum_h p(x,h)$, at $q=p(h\mid x)$ | `log_normaliser(log_joint)`, `posterior(log_joint)` |
# | what it misses (B3) | $\mathrm{KL}(q\,\Vert\,p(h\mid x))\ge0$ | `gap(log_joint, q)`, `kl_divergence(q, p)` |
# | three terms (B4) | $\mathbb{E}_q[\log p(x\mid h)]+\mathbb{E}_q[\log p(h)]+H(q)$ | `bound_terms(log_likelihood, log_prior, q)` |
# | the same for a VAE | $\mathbb{E}_q[\log p(x\mid h)]-\mathrm{KL}(q\,\Vert\,p(h))$ | chapter 8 |
# | EM, E-step | $q(k\mid x)\leftarrow p(k\mid x)$ | `e_step(mixture, x)` |
# | EM, M-step | $\pi_k\leftarrow\frac1N\sum_n q_{nk},\quad m_k\leftarrow\sum_n q_{nk}x_n\big/\sum_n q_{nk}$ | `m_step(x, q)` |
#
# Three sentences to keep. *Any $q$ gives a bound; a poor one is loose, never false. The gap is a KL, and only the posterior closes it. A family that does
# not hold the posterior leaves a gap that no optimiser can close.*
#
# ## 1.9 A worked exercise
# **Question.** Let $q$ put everything on the likeliest state, $h^\ast=\arg\max_h p(h\mid x)$, as *k*-means and later VQ-VAE do. How large is the gap? Give a formula, then the
# mean over the test digits. Try before you read on.
#
# **Answer.** The entropy of a point is zero, so the bound is $\log p(x,h^\ast)$, and
# $$\text{gap}=\log p(x)-\log p(x,h^\ast)=-\log p(h^\ast\mid x).$$
# It is small where the model is sure and never above $\log K$, for the likeliest of $K$ states has at least $1/K$.

# %% tags=["label-worked"]
point = torch.nn.functional.one_hot(q_test.argmax(1), 20).double()
missed = gap(fitted.mixture.log_joint(test), point)
formula = -q_test.max(1).values.log()
claim("EM", (missed - formula).abs().max(), below=1e-9, says="the gap against -log p(h* | x)")
claim("EM", missed.mean(), between=(0.005, 0.04), says="mean gap of a point mass on the test digits")

# %% [markdown]
# Between 0.005 and 0.04 nats: on these data a hard choice costs next to nothing, because the posterior is nearly a point anyway.
#
# ## Where this goes next
# - [Chapter 2](02_rbm.ipynb) takes 500 hidden causes at once. There the posterior is a product and costs nothing, but another sum appears: the $Z$ of the
#   whole model. B1 bounds $\log Z$ from *below*; it enters $\log p(x)$ with a minus sign, so that is the wrong side for training. Chapters 2 and 3 find other ways.
# - Stacking RBMs (chapters 4 to 6) climbs the *prior* term of B4 alone.
# - A VAE (chapter 8) lets a network compute $q$.
#
# **Exercises:** [open them here](../exercises/01_gibbs_bound/01_gibbs_bound.ipynb). Six of them, from one line to an hour, with checks that know what
# usually goes wrong.
