# %% [markdown]
# # 5 · Tied weights
#
# **Why may one stack: why does a new layer start exactly where we were?**
#
# Chapter 4 trained a deep network one layer at a time: freeze what you have, treat samples of its hidden units as data, put the next RBM on top. The second RBM never
# sees a picture. How can it make the pictures more probable? The lecture asks it too: *where does this training come from?*
#
# The answer has two halves. There is a
# bound (chapter 1), and training the new layer climbs the one term of it that can move. And there is a start at which the new layer changes nothing at all, so
# that the climb begins on the likelihood itself. Both halves are exact, and this chapter checks every step by counting all states. It ends where the guarantee ends:
# with a third layer that raises the bound and lowers the likelihood.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | say which term of the bound a new layer moves, and why that is maximum likelihood; build the tied start and prove that it changes nothing; say what is guaranteed, on what conditions, and break it |
# | **Time** | 70 minutes to read and predict, 170 for the exercises; all cells together run in about 20 seconds |
# | **In the lecture** | *Variational intuitions* (third and fourth slide of that name), *Stacking the layers*, *Improvement at initialization* (both): claims D6 to D9, T1 to T5 |
# | **You need** | the bound and its gap ([chapter 1](01_gibbs_bound.ipynb)), free energy and Gibbs sampling ([chapter 2](02_rbm.ipynb)), what a DBN is ([chapter 4](04_dbn_stacking.ipynb)) |
# | **Notation** | $x$, $h^1$, $h^2$, $h^3$ layers, bottom up (raised numbers count layers, they are no powers); $W_t$ joins $h^{t-1}$ below to $h^t$ above, shape (lower, upper); $P$ generates downwards, $Q$ recognises upwards; all in nats |

# %% tags=["label-setup"]
import copy, torch
from deepgen_lib import DBN, RBM, all_states, claim, derivation, explore, planted_error
from deepgen_lib import plots, predict, predict_number, random_rbm, reveal, tied_rbm
torch.set_default_dtype(torch.float64)  # exact work

# %% [markdown]
# ## 5.1 One matrix with two jobs
#
# Three switches, each for a row of three lamps. With its switch on, a lamp shines with probability 3/4, with its switch off 1/4. Each switch is on with probability
# 1/3, *whatever the others do*. This is an RBM with nine visible and three hidden units, built by hand.

# %% tags=["label-toy"]
x = torch.eye(3).repeat_interleave(3, 1)                # the data: exactly one row shines, (3, 9)
log2, log3 = torch.tensor(2.0).log(), torch.tensor(3.0).log()

rbm = RBM(9, 3, weight_std=0.0).double().requires_grad_(False)
rbm.W += 2 * log3 * x.T                                 # odds of a lamp: 3 with its switch on,
rbm.b -= log3                                           # 1/3 with its switch off
rbm.c -= 3 * log3 + log2                                # odds of a switch: 1/2

# %% tags=["label-toy-picture"]
plots.image_grid(x, column_labels=["x1", "x2", "x3"],
                 says="The three pictures of the data: one shining row each (ink: on).")

# %% [markdown]
# An RBM gives $x$ and $h$ a joint probability, and any joint probability can be read as a *prior* and a *decoder*: $p(x,h)=p(h)\,p(x\mid h)$. Here the decoder is perfect: it
# knows what a switch does. The prior is not. In the data exactly one row shines; the RBM believes in three independent switches. We can see the mismatch in $h$: what does
# the model expect $h$ to be, and what does it find when it looks at the data?

# %% tags=["label-mismatch"]
from deepgen_lib import aggregated_posterior, exact_log_likelihood, visible_log_prob

start = DBN.from_rbm(rbm).requires_grad_(False)         # the same model, written as a DBN: section 5.5
prior = visible_log_prob(start.top).exp()               # p(h), 8 states
found = aggregated_posterior(start, x)                  # mean over the data of p(h | x)
print(f"log p(x) = {exact_log_likelihood(rbm, x).mean():.4f} nats; "
      f"all switches off: expected {prior[0]:.4f}, found {found[0]:.4f}")
plots.tied.priors({"prior of the RBM": prior, "q averaged over data": found},
                  says="What the RBM expects of its switches, and what the data show it.")

# %% [markdown]
# **What to notice.** The prior gives no switch at all 0.2963, and one given switch alone 0.1481. The data say 0.0665 and 0.3000. If we could keep the decoder and repair the prior, the
# model would get better. But an RBM cannot: the matrix $W$ sits in the decoder *and* in the prior. It has two jobs. So give the second job to somebody else.
#
# > **D6.** To add a second layer is to give $p(h^1)$ parameters of its own: those of an RBM that joins $h^1$ and $h^2$. Decoder and $W_1$ stay; the prior becomes
# > $$p(h^1)=\sum_{h^2}p(h^1,h^2),\qquad p(x)=\sum_{h^1}P(x\mid h^1)\,p(h^1).$$
#
# Check it against the table of *all* states of a network 4-3-2, every probability of which is listed.

# %% tags=["label-d6", "claim-D6"]
from deepgen_lib import dbn_joint_log_prob, joint_log_prob

def net(seed, *sizes, scale=1.0):
    """A DBN of random RBMs; sizes from x to the top."""
    rng = torch.Generator().manual_seed(seed)
    pairs = zip(sizes, sizes[1:])
    return DBN([random_rbm(*pair, scale=scale, rng=rng) for pair in pairs]).requires_grad_(False)

worst = lambda a, b: (a - b).abs().max()
small = net(0, 4, 3, 2)
table = dbn_joint_log_prob(small).exp()                                    # (16, 8, 4): x, h1, h2
claim("D6", worst(table.sum((0, 2)), visible_log_prob(small.top).exp()), below=1e-12,
      says="p(h1), counted against the top RBM's")

# %% tags=["label-d6-models", "claim-D6"]
from deepgen_lib.dbn_bound import log_generation       # log P(h^(t-1) | h^t), all pairs

models = [net(seed, 4, 3, 2 + seed % 4) for seed in range(50)]
derivation("D6", {
    "p(x) from the table of all states": lambda m: dbn_joint_log_prob(m).exp().sum((1, 2)),
    "decoder times the sum over h2":
        lambda m: log_generation(m, 1).exp() @ joint_log_prob(m.top).exp().sum(1),
    "decoder times the free energy's prior":
        lambda m: log_generation(m, 1).exp() @ visible_log_prob(m.top).exp(),
    "layer_log_prob of the library": lambda m: m.layer_log_prob(0).exp(),
}, models)

# %% tags=["label-d6-planted", "planted-D6"]
p_h1 = table.sum((0, 2))
best = joint_log_prob(small.top).exp().max(1).values
planted_error("D6", worst(p_h1, best / best.sum()), below=1e-12, says="the best h2 in place of the sum")
lower = RBM(4, 3).double().requires_grad_(False)                            # the first RBM again
lower.load_state_dict({"W": small.directed[0].W, "b": small.directed[0].b, "c": small.recognition[0].c})
old_prior = joint_log_prob(lower).exp().sum(0)
planted_error("D6", worst(p_h1, old_prior), below=1e-12, says="the first RBM's own p(h1), kept")

# %% tags=["label-d6-picture", "picture-D6"]
plots.tied.marginal(small.top, says="p(h1) is a row sum over the second hidden layer.")

# %% [markdown]
# **What to notice.** $c_1$, the hidden bias of the first RBM, is gone from the model: it belonged to the old prior. It lives on in $Q(h^1\mid x)=\sigma(W_1^{\mathsf T}x+c_1)$, which was the posterior of
# the first RBM and from now on is only a *guess* at the posterior.
#
# ## 5.2 Only one term can move
#
# Chapter 1 gave a bound for every $q$. Take $q=Q(h^1\mid x)$, frozen, and split (B4):
# $$\log p(x)\;\ge\;\underbrace{\mathbb{E}_q[\log P(x\mid h^1)]}_{\text{reconstruction}}+\underbrace{\mathbb{E}_q[\log p(h^1)]}_{\text{prior}}+\underbrace{H(q)}_{\text{entropy}}$$
# Now train the second layer: $W_2$ and its biases, nothing else.

# %% tags=["label-predict-terms"]
predict("5.a", "Which of these depend on the parameters of the second layer?",
        ["all three terms", "the prior term alone", "the prior term and log p(x)",
         "reconstruction and prior"])

# %% [markdown]
# > **D7.** Of the three terms only the prior term, $\mathbb{E}_q[\log p(h^1)]$, depends on the new layer. To train the layer on the bound is to **maximise** it.

# %% tags=["label-d7"]
def slope_of(value, dbn):
    """∂ value / ∂ (every parameter of the top RBM), in one row."""
    slopes = torch.autograd.grad(value, list(dbn.top.parameters()), allow_unused=True,
                                 materialize_grads=True, retain_graph=True)
    return torch.cat([s.flatten() for s in slopes])

def steepest(dbn, x):
    """The slopes of the three terms, of the bound and of log p(x); means over x."""
    dbn = copy.deepcopy(dbn).requires_grad_(True)
    terms, log_p = dbn.bound(x), dbn.log_likelihood(x)
    found = {name: getattr(terms, name) for name in ("reconstruction", "prior", "entropy", "total")}
    return {name: slope_of(value.mean(), dbn) for name, value in (found | {"log p(x)": log_p}).items()}

# %% tags=["label-d7-claims", "claim-D7", "planted-D7"]
pictures = all_states(4)[[1, 6, 7, 12, 12]]              # any data will do; one picture counts twice
found_slopes = [steepest(m, pictures) for m in models]
largest = lambda f: max(f(s).abs().max() for s in found_slopes)
claim("D7", largest(lambda s: s["reconstruction"]), below=1e-14, says="slope of the reconstruction")
claim("D7", largest(lambda s: s["entropy"]), below=1e-14, says="slope of the entropy")
against_prior = largest(lambda s: s["total"] - s["prior"])
claim("D7", against_prior, below=1e-10, says="slope of the bound against the prior term's, 50 networks")
wrong_sign = largest(lambda s: s["total"] + s["prior"])
exact = largest(lambda s: s["total"] - s["log p(x)"])
planted_error("D7", wrong_sign, below=1e-10, says="the slide's sign, minus the prior term")
planted_error("D7", exact, below=1e-10, says="the slope of log p(x) itself")
reveal("5.a", 2, "The prior term is the only TERM; but log p(x) moves with it, and so does the gap.")

# %% [markdown]
# > ⚠ **Erratum.** The fourth of the slides called *Variational intuitions* tells the reader to maximise the constant terms, and prints
# > $-\sum_{h^1}q(h^1\mid x)\log p(h^1)$. Two slips. The term printed is the one that is *not* constant; and it enters the bound with a *plus*. Maximising what is printed would drive
# > the prior away from the data. Right: the other terms are constant, so maximise $+\sum_{h^1}q(h^1\mid x)\log p(h^1)$.
#
# What would happen on the slide's advice? Climb both, from the same start on the toy. A step of *exact ascent* moves along the true slope: no sampling, no luck. (Where the
# slope comes from is D8.)

# %% tags=["label-climb"]
def slope(top, target):
    """∂/∂(W, b, c) of Σ_h target(h) log p(h), p the top RBM's.  target (2**n,)."""
    h, excess = all_states(top.n_visible), target - visible_log_prob(top).exp()   # data minus model
    h2_on = torch.sigmoid(top.hidden_logits(h))                                   # E[h2 | h1]
    return (excess[:, None] * h).T @ h2_on, excess @ h, excess @ h2_on
def climb(top, target, n_steps, rate=0.3):
    """A copy of the top RBM after n_steps of exact ascent on E_target[log p(h)]."""
    top = copy.deepcopy(top).requires_grad_(False)
    for _ in range(n_steps):
        for parameter, s in zip((top.W, top.b, top.c), slope(top, target)):
            parameter += rate * s
    return top

# %% tags=["label-d7-path"]
def path(dbn, target, stops, rate=0.3):
    """The network with its top RBM after each number of steps in stops (the first is 0)."""
    nets = [dbn]
    for n in torch.tensor(stops).diff():
        nets.append(copy.deepcopy(dbn))
        nets[-1].top = climb(nets[-2].top, target, int(n), rate)
    return nets

few = list(range(0, 201, 10))
ours = path(start, found, few)
slides = path(start, found, few, rate=-0.01)           # the slide's slope is minus ours

# %% tags=["label-d7-picture", "picture-D7", "claim-D7"]
three = lambda nets: torch.stack([torch.stack(m.bound(x)[:3]).mean(1) for m in nets])    # (T, 3)
moved = {"+ E_q[log p(h¹)], uphill": three(ours), "− E_q[log p(h¹)], as printed": three(slides)}
for name, t in moved.items():
    bound = t.sum(1)
    print(f"{name}: bound from {bound[0]:.4f} to {bound[-1]:.4f}")
still = three(ours)[:, [0, 2]].diff(dim=0).abs().max()
claim("D7", still, below=1e-12, says="movement of reconstruction and entropy")
plots.tied.terms(moved, few, says="Two terms stand still; the prior moves, and the printed sign ruins it.")

# %% [markdown]
# **What to notice.** Reconstruction and entropy are flat to the last digit. Uphill the bound rises from −4.3905 to −3.9539 in 200 steps; on the printed advice it falls, although its steps are
# thirty times smaller.
#
# ## 5.3 What that term wants
#
# > **D8.** Averaged over the data, the prior term is the log-likelihood of an RBM whose "data" are drawn from the *aggregated posterior*
# > $$\bar q(h^1)=\sum_x p_{\text{data}}(x)\,Q(h^1\mid x),\qquad \sum_xp_{\text{data}}(x)\,\mathbb{E}_{Q(h^1\mid x)}[\log p(h^1)]=\mathbb{E}_{\bar q}[\log p(h^1)].$$
# > So the next layer is an ordinary RBM, trained by ordinary maximum likelihood on ordinary samples: $x$ from the data, then $h^1\sim Q(h^1\mid x)$.
#
# It is one line: the left side adds up $p_{\text{data}}(x)\,Q(h^1\mid x)\log p(h^1)$ over $x$ and $h^1$, and $\log p(h^1)$ does not contain $x$. Then chapter 2 says what its slope is, two phases
# with $\bar q$ for data.

# %% tags=["label-d8", "claim-D8"]
def by_autograd(m, value):
    m = copy.deepcopy(m).requires_grad_(True)
    return slope_of(value(m), m)
flat = lambda g: torch.cat([part.flatten() for part in g])
q_bar = lambda m: aggregated_posterior(m, pictures).detach()
derivation("D8", {
    "slope of the mean bound":
        lambda m: by_autograd(m, lambda m: m.bound(pictures).total.mean()),
    "slope of the RBM's log-likelihood on the aggregate":
        lambda m: by_autograd(m, lambda m: q_bar(m) @ visible_log_prob(m.top)),
    "two phases, q for data": lambda m: flat(slope(m.top, q_bar(m))),
}, models)

# %% tags=["label-predict-sample"]
predict("5.b", "Feed the next RBM the probabilities Q(h1 = 1 | x), as greys, not samples. This is",
        ["the same objective with less noise", "another objective: another slope even on average"])

# %% tags=["label-d8-samples", "claim-D8", "planted-D8"]
from deepgen_lib import exact_gradient
rng, true = torch.Generator().manual_seed(0), flat(slope(start.top, found))
samples = start.recognise(x.repeat(100_000, 1), rng)[0]              # 300,000 draws of h1
off = lambda h1: worst(flat(exact_gradient(start.top, h1)), true)
claim("D8", off(samples), below=0.005, says="slope from 300,000 samples")
grey, top, h1 = start.features(x, 1), start.top, all_states(3)       # grey: (3, 3) probabilities
data_phase = grey.T @ torch.sigmoid(top.hidden_logits(grey)) / 3
model_phase = (prior[:, None] * h1).T @ torch.sigmoid(top.hidden_logits(h1))
of_greys = worst((data_phase - model_phase).flatten(), true[:27])
planted_error("D8", of_greys, below=0.005, says="probabilities in place of samples")
planted_error("D8", off(grey.round()), below=0.005, says="Q rounded to 0 or 1")
reveal("5.b", 1, "A unit that is on with chance 0.3 is not a unit that is 0.3 on: h2 is not linear in h1.")

# %% [markdown]
# And by B3's arithmetic, $\mathbb{E}_{\bar q}[\log p(h^1)]=-H(\bar q)-\mathrm{KL}(\bar q\,\Vert\,p(h^1))$: the climb pulls the prior towards what the first layer finds in the data, and no further. Train it to the end.

# %% tags=["label-d8-picture", "picture-D8", "claim-D8"]
from deepgen_lib import entropy, kl_divergence

steps = [0, 10, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1200]
trained = path(start, found, steps)
after = visible_log_prob(trained[-1].top).exp()
for name, p in {"before": prior, "after": after}.items():
    print(f"{name}: KL(aggregate || prior) = {kl_divergence(found, p):.4f} nats")
split = -entropy(found) - kl_divergence(found, after)
claim("D8", (found @ after.log() - split).abs(), below=1e-10, says="prior term against -H - KL")
plots.tied.priors({"prior of the RBM": prior, "q averaged over data": found, "trained prior": after},
                  says="The second layer's p(h1) has become the aggregated posterior.")

# %% [markdown]
# **What to notice.** The divergence falls from 0.4709 to 0.0006 nats: with nine units in $h^2$ the new prior says what three independent switches could not, *exactly one*. More is not
# to be had: no prior, RBM or not, lifts the bound above reconstruction + $H(q)$ − $H(\bar q)$.
#
# ## 5.4 And again
#
# > **D9.** The step repeats. A third layer replaces $p(h^2)$ in the same way:
# > $$p(h^1,h^2)=P(h^1\mid h^2)\sum_{h^3}p(h^2,h^3),$$
# > and so on upwards; only the two top layers stay an RBM.

# %% tags=["label-d9", "claim-D9"]
def pair(m):
    """p(h1, h2) by the recursion: decoder of layer 2 times the prior of h2."""
    return (log_generation(m, 2) + m.layer_log_prob(2)).exp()

for sizes in [(3, 4, 2, 3), (2, 3, 4, 2, 3)]:          # three RBMs, then four
    others = (0, *range(3, len(sizes)))                # all layers but h1 and h2
    deep_nets = [net(seed, *sizes) for seed in range(20)]
    differences = [worst(dbn_joint_log_prob(m).exp().sum(others), pair(m)) for m in deep_nets]
    claim("D9", max(differences), below=1e-12, says=f"p(h1, h2) against all states, sizes {sizes}")

# %% tags=["label-d9-planted", "planted-D9"]
rng = torch.Generator().manual_seed(3)
rbms = [random_rbm(n, m, rng=rng).requires_grad_(False) for n, m in ((4, 3), (3, 2), (2, 3))]
deep = DBN(rbms).requires_grad_(False)
counted = dbn_joint_log_prob(deep).exp().sum((0, 3))   # p(h1, h2), (8, 4)
no_bias = copy.deepcopy(deep)
no_bias.directed[1].b.zero_()
given_h1 = joint_log_prob(rbms[1]).softmax(1)          # p(h2 | h1), the wrong conditional
wrong = {"the second RBM's joint, h3 ignored": joint_log_prob(rbms[1]).exp(),
         "the bias of h1 forgotten on the way down": pair(no_bias),
         "P(h2 | h1) for P(h1 | h2)": given_h1 * deep.layer_log_prob(2).exp()}
for name, p in wrong.items():
    planted_error("D9", worst(counted, p), below=1e-12, says=name)

# %% tags=["label-d9-picture", "picture-D9"]
plots.tied.recursion(log_generation(deep, 2).exp(), deep.layer_log_prob(2).exp(),
                     says="Decoder times prior is the pair; row sums are the prior below.")

# %% [markdown]
# **What to notice.** Each column on the left adds up to one, whatever happens above. Going down, a prior is multiplied in and summed out; going up, each new layer only ever replaces the prior
# of the layer below it. So whatever holds for one step of stacking can be applied again, if its *conditions* hold again. Keep that "if".
#
# ## 5.5 A start that changes nothing
#
# Training climbs from somewhere. If a fresh layer starts at random, the bound first falls from where the RBM was, and must climb back. Better to begin at a second layer that says *exactly* what the RBM
# said. There is one, and it costs nothing.

# %% tags=["label-predict-tied"]
predict("5.c", "The RBM has parameters W, b (visible), c (hidden). Which second RBM leaves p(x) as it is?",
        ["W, visible bias b, hidden bias c: a copy", "Wᵀ, visible bias b, hidden bias c",
         "Wᵀ, visible bias c, hidden bias b", "Wᵀ with zero biases, which training fills in"])

# %% [markdown]
# > **T1.** The DBN whose second RBM has weights $W^{\mathsf T}$, visible bias $c$ and hidden bias $b$ defines the same $p(x)$ as the RBM $(W,b,c)$. The same holds with more units in $h^2$ than in $x$, if
# > the extra ones have zero weights. So a tied start exists whenever the second layer has at least as many units as $x$.
#
# **The proof fits on one screen.** The lecture calls it "a little annoying" and argues with two random walks; summing out $h^2$ is shorter.
#
# 1. The RBM is decoder times prior: $p(x)=\sum_{h}p(x\mid h)\,p(h)$ with $p(h)=\frac1Z\sum_{x'}\exp\big(x'^{\mathsf T}Wh+b^{\mathsf T}x'+c^{\mathsf T}h\big)$. The sum runs over all pictures $x'$.
# 2. In the second RBM $h^1$ is the visible layer: $p(h^1)=\frac1{Z'}\sum_{h^2}\exp\big(h^{1\mathsf T}W^{\mathsf T}h^2+c^{\mathsf T}h^1+b^{\mathsf T}h^2\big)$.
# 3. These are the same sum. The first calls its summation variable $x'$, the second $h^2$; both run over the same binary vectors. So $Z'=Z$, and $p(h^1)$ is the RBM's own $p(h)$.
# 4. An extra unit with zero weights (and bias zero) multiplies sum and $Z'$ by 2, and cancels.
# 5. The decoder $P(x\mid h^1)=\sigma(W h^1+b)$ is the RBM's own. Prior and decoder are unchanged, so $p(x)$ is. ∎
#
# Every line in code, on 200 random RBMs of several sizes:

# %% tags=["label-t1", "claim-T1"]
def tiny(seed, n_visible=4, n_hidden=3, scale=1.5):
    rng = torch.Generator().manual_seed(seed)
    return random_rbm(n_visible, n_hidden, scale=scale, rng=rng).requires_grad_(False)
decoder = lambda m: log_generation(DBN.from_rbm(m), 1)           # log p(x | h), (2**V, 2**H)
mix = lambda m, log_p_h: (decoder(m) + log_p_h).logsumexp(1)     # log of Σ_h p(x | h) p(h)
derivation("T1", {
    "the RBM, by its free energy": lambda m: visible_log_prob(m),
    "1: decoder, prior of the RBM": lambda m: mix(m, joint_log_prob(m).logsumexp(0)),
    "3: x' renamed h2": lambda m: mix(m, joint_log_prob(tied_rbm(m)).logsumexp(1)),
    "4: three extra units": lambda m: mix(m, visible_log_prob(tied_rbm(m, n_hidden=m.n_visible + 3))),
    "5: the tied DBN": lambda m: DBN.from_rbm(m).layer_log_prob(0),
}, [tiny(seed, n, m) for seed in range(50) for n, m in ((4, 3), (3, 5), (6, 2), (5, 5))])

# %% [markdown]
# For $V\ne H$ a forgotten transpose or unswapped biases do not even fit. With $V=H$ they fit and are wrong, quietly. So we plant the errors in a square RBM.

# %% tags=["label-t1-planted", "planted-T1"]
square = tiny(7, 4, 4)
def with_top(W, b, c):
    """log p(x) of the DBN: the square RBM below, the given second RBM on top."""
    top = tied_rbm(square).requires_grad_(False)
    top.load_state_dict({"W": W, "b": b, "c": c})
    return DBN([square, top]).layer_log_prob(0).detach()

W, b, c, zero = square.W, square.b, square.c, torch.zeros(4)
wrong = {"biases not swapped": with_top(W.T, b, c), "W not transposed": with_top(W, c, b),
         "biases left at zero": with_top(W.T, zero, zero), "h2's bias left at zero": with_top(W.T, c, zero)}
for name, log_p in wrong.items():
    planted_error("T1", worst(log_p, visible_log_prob(square)), below=1e-10, says=name)

# %% tags=["label-t1-picture", "picture-T1"]
kept = ("biases not swapped", "biases left at zero")
chosen = {"tied": with_top(W.T, c, b)} | {name: wrong[name] for name in kept}
display(plots.tied.against(visible_log_prob(square), chosen,
                           says="Only the tied network lies on the zero line; mistakes scatter."))
reveal("5.c", 2, "h1 was hidden and becomes visible: c is now a visible bias. h2 takes x's place and bias.")

# %% [markdown]
# **What to notice.** The tied points sit on the zero line to ten digits. The mistakes are not subtle: $\log p(x)$ of single states is off by up to several nats, and a network started so would have lost what the first layer
# learned. No error message would have told us.
#
# **Exactly zero is also a trap.** Extra units with zero weights are all alike: each gets the same slope at every step, so they stay copies of each other for ever. Who wants them to learn something gives them tiny random weights, and pays a
# tiny part of the exactness.

# %% tags=["label-extra"]
wide = climb(tied_rbm(rbm, n_hidden=12), found, 300)                   # three units more than x has
alike = worst(wide.W[:, 9:11], wide.W[:, 10:12])
noisy = tied_rbm(rbm, n_hidden=12).requires_grad_(False)
noisy.W[:, 9:] += 0.001 * torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
lost_by_noise = worst(DBN([rbm, noisy]).log_likelihood(x), exact_log_likelihood(rbm, x))
claim("T1", alike, below=1e-12, says="difference between the extra units after 300 steps")
claim("T1", lost_by_noise, below=0.001, says="nats by which noise of size 0.001 moves log p(x)")

# %% [markdown]
# Nothing stops us from tying again: $h^3$ to $h^2$ with $W$, $h^4$ to $h^3$ with $W^{\mathsf T}$, for ever. An RBM *is* an infinitely deep directed network with tied weights (Hinton, Osindero and Teh 2006). All four of these are the same $p(x)$:

# %% tags=["label-unrolled"]
plots.diagrams.unrolled()

# %% [markdown]
# The first three can be counted, and more of them:

# %% tags=["label-tower", "claim-T1"]
tower = [tiny(3)]
for _ in range(4):
    tower.append(tied_rbm(tower[-1]))
    claim("T1", worst(DBN(tower).layer_log_prob(0), visible_log_prob(tower[0])), below=1e-10,
          says=f"{len(tower)} tied RBMs in a tower against the first")

# %% [markdown]
# ## 5.6 The same steps
#
# The lecture's argument, which is worth having too: compare how the two models are *sampled*.
#
# | | the chain | where the sample is |
# |:--|:--|:--|
# | RBM | $h\to x\to h\to x\to h\to\dots\to x$ | the last $x$ |
# | tied DBN | $h^1\to h^2\to h^1\to h^2\to h^1\to\dots\to x$ | one step down from the last $h^1$ |
#
# $h^2$ has taken the place of $x$: from $h^1$ it is drawn with weights $W$ and bias $b$, as $x$ would be.
#
# > **T2.** Given the same random numbers the two chains take the same steps, bit for bit, and end in the same $x$.

# %% tags=["label-t2"]
from deepgen_lib.sampling import sample_h_from_v, sample_v_from_h

G, tied = lambda seed: torch.Generator().manual_seed(seed), start.top

def walk(model, h, seed, first, second):
    """200 times h -> other layer -> h.  All states of the other layer and of h, (200, chains, units)."""
    visited, rng = [], G(seed)
    for _ in range(200):
        other = first(model, h, rng)
        h = second(model, other, rng)
        visited.append(torch.cat([other, h], 1))
    return torch.stack(visited)

# %% tags=["label-t2-claims", "claim-T2"]
rbm_walk = lambda h, seed: walk(rbm, h, seed, sample_v_from_h, sample_h_from_v)       # h hidden
dbn_walk = lambda top, h, seed: walk(top, h, seed, sample_h_from_v, sample_v_from_h)  # h1 visible
h0 = torch.bernoulli(torch.full((500, 3), 0.5), generator=G(0))                      # 500 chains
one, other = rbm_walk(h0, seed=1), dbn_walk(tied, h0, seed=1)
claim("T2", (one != other).sum(), below=1, says=f"bits that differ, of {one.numel():,}")
def rbm_sample(n_sweeps, rng, h):
    for _ in range(n_sweeps):
        h = sample_h_from_v(rbm, sample_v_from_h(rbm, h, rng), rng)
    return sample_v_from_h(rbm, h, rng)
unlike = rbm_sample(50, G(2), h0) != start.sample(500, n_gibbs_steps=50, start=h0, rng=G(2))
claim("T2", unlike.sum(), below=1, says="pixels that differ in the samples after 50 sweeps")

# %% tags=["label-t2-planted", "planted-T2"]
def changed(**parameters):
    top = copy.deepcopy(tied)
    top.load_state_dict(top.state_dict() | parameters)
    return (one != dbn_walk(top, h0, seed=1)).sum()

bits = {"h2's bias left at zero": changed(c=torch.zeros(9)),
        "h1's bias left at zero": changed(b=torch.zeros(3)),
        "other random numbers": (one != dbn_walk(tied, h0, seed=2)).sum(),
        "the trained layer": changed(**trained[-1].top.state_dict())}
for name, n in bits.items():
    planted_error("T2", n, below=1, says=name)

# %% tags=["label-t2-picture", "picture-T2"]
untied = dbn_walk(trained[-1].top, h0, seed=1)
strips = torch.cat([states[:12, 0, :9] for states in (one, other, untied)])
names = ["x of the RBM", "h² of the tied DBN", "h² after training"]
plots.image_grid(strips, columns=12, row_labels=names,
                 says="One chain of each model, 12 steps with the same random numbers.")

# %% [markdown]
# **What to notice.** The upper two rows are the same pictures: in the tied network $h^2$ not only has as many units as $x$, it *is* distributed like $x$. The third row, with the trained layer, soon goes its own way.
# With extra units in $h^2$ the distribution is still the same, but the extra units use up random numbers, so the paths part.
#
# ## 5.7 Tight at the start, and then?
#
# $Q(h^1\mid x)$ is the exact posterior of the RBM. The tied DBN is the RBM, with the same $p(x,h^1)$. So there $Q$ is exact again:
#
# > **T3.** With $q$ the first RBM's posterior and a tied second layer, the bound is tight: it equals $\log p(x)$ for every $x$.

# %% tags=["label-t3", "claim-T3"]
def gap_of(dbn, x):
    return (dbn.log_likelihood(x) - dbn.bound(x).total).detach()

gaps = [gap_of(DBN.from_rbm(m, n_hidden=m.n_visible + k), all_states(m.n_visible)).abs().max()
        for seed in range(50) for k in (0, 2) for m in (tiny(seed, 4, 3), tiny(seed, 5, 2))]
claim("T3", max(gaps), below=1e-10, says="largest gap, 200 tied networks, every x")
same_height = start.bound(x).total - exact_log_likelihood(rbm, x)
claim("T3", same_height.abs().max(), below=1e-10, says="the toy's bound against the RBM's log p(x)")

# %% tags=["label-t3-planted", "planted-T3", "picture-T3"]
def started(top):
    return DBN([rbm, top]).requires_grad_(False)

no_bias, free = copy.deepcopy(tied), RBM(3, 9, weight_std=0.1, rng=G(5)).double()
no_bias.c.zero_()
starts = {"tied": start, "h2's bias\nforgotten": started(no_bias), "small,\nrandom": started(free)}
for name, m in list(starts.items())[1:]:
    planted_error("T3", gap_of(m, x).abs().max(), below=1e-10, says=name.replace("\n", " "))
plots.tied.starts(starts, x, title="Three ways to start the second layer",
                  says="Only the tied start is tight, and only it keeps the log-likelihood of the RBM.")

# %% [markdown]
# **What to notice.** The small random start is nearly tight by luck (its prior is nearly that of fair coins, and so wrong in a simple way), yet it has thrown away some of the likelihood. Tight and unchanged are two things; the tied start is both.
#
# Now let the second layer climb.

# %% tags=["label-predict-gap"]
predict("5.d", "As the prior moves, p(h1|x) moves away from Q, and a gap opens. Is it bad?",
        ["yes: log p(x) rises less than the bound", "no: log p(x) rises by the bound's gain plus the gap",
         "neither: log p(x) rises as much as the bound"])

# %% [markdown]
# > **T4.** The bound need not stay tight. As $p(h^1)$ changes, so does $p(h^1\mid x)$, while $q$ stays; the gap is $\mathrm{KL}\big(q\,\Vert\,p(h^1\mid x)\big)$ all along.

# %% tags=["label-t4", "claim-T4", "planted-T4"]
from deepgen_lib import dbn_posterior, recognition_distribution, wake_kl

kl, gap = [torch.stack([f(m, x) for m in trained]) for f in (wake_kl, gap_of)]       # (12, 3)
claim("T4", worst(gap, kl), below=1e-10, says="gap against KL(q || posterior), 12 stops, every x")
claim("T4", gap[-1].min(), above=0.1, says="smallest gap after training")
backwards = lambda m: kl_divergence(dbn_posterior(m, x), recognition_distribution(m, x))
reverse = torch.stack([backwards(m) for m in trained])
planted_error("T4", worst(gap, reverse), below=1e-10, says="the KL the wrong way round")
planted_error("T4", gap.abs().max(), below=1e-10, says="the gap taken to stay closed")

# %% tags=["label-t4-picture", "picture-T4"]
for n, m in ((0, trained[0]), (1200, trained[-1])):
    log_p, bound = m.log_likelihood(x).mean(), m.bound(x).total.mean()
    print(f"step {n}: log p(x) {log_p:.4f}, bound {bound:.4f}, gap {(log_p - bound).abs():.4f}")
display(plots.tied.curves(trained, x, steps=steps,
                          says="The second layer trains: both rise, a gap opens, and it is the KL."))

# %% tags=["label-answer-gap"]
reveal("5.d", 1, "log p(x) = bound + gap. There was no gap at first, so it comes on top.")

# %% [markdown]
# **What to notice.** The bound rises from −4.3905 to −3.9202, as much as the KL to the aggregate has fallen, and $\log p(x)$ rises to −3.7804: the gap of 0.1398 nats is not a loss but a *bonus* that the bound does not show. What is lost is knowledge:
# $Q$ is no longer the posterior, so the next layer will start from a bound that is not tight.
#
# ## 5.8 What is guaranteed
#
# > **T5.** With $W_1$ (and $Q$) frozen, a tied start, and training that does not lower $\mathbb{E}_{\bar q}[\log p(h^1)]$, the second layer cannot hurt. Averaged over the data,
# > $$\log p_{\text{new}}(x)\;\ge\;\text{bound}_{\text{new}}\;\ge\;\text{bound}_{\text{old}}\;=\;\log p_{\text{old}}(x).$$
# > For a further layer the last sign becomes $\le$. Then only the bound is guaranteed.
#
# The first sign is B2, the second D7 and D8, the third T3. Test it on 40 random RBMs with random data, each followed along its climb.

# %% tags=["label-t5"]
def drawn(seed, n_bits=4, n=4):
    """n random pictures: the data of network number `seed`."""
    return torch.bernoulli(torch.full((n, n_bits), 0.5), generator=G(1000 + seed))

def along(dbn, x, level=1, rate=0.25):
    """Gains of bound and of log p(x) since the start, per picture, at 11 stops.  (11, 2, B)"""
    nets = path(dbn, aggregated_posterior(dbn, x, level=level), list(range(0, 201, 20)), rate)
    levels = torch.stack([torch.stack([m.bound(x).total, m.log_likelihood(x)]) for m in nets])
    return levels - levels[0]

# %% tags=["label-t5-claims", "claim-T5"]
tied_net = lambda seed: DBN.from_rbm(tiny(seed)).requires_grad_(False)
second = torch.stack([along(tied_net(s), drawn(s)) for s in range(40)])      # (40, 11, 2, 4)
of_bound, of_log_p = second.mean(-1).unbind(2)                               # (40, 11) each
claim("T5", of_bound.diff(dim=1).min(), above=-1e-12, says="smallest step of the bound, 40 networks")
claim("T5", (of_log_p - of_bound).min(), above=-1e-12, says="gain of log p(x) minus gain of the bound")
claim("T5", of_log_p[:, 1:].min(), above=0, says="smallest gain of log p(x)")

# %% [markdown]
# Now take the conditions away, one at a time.

# %% tags=["label-t5-planted", "planted-T5"]
def change(m, old=start):
    return (m.log_likelihood(x) - old.log_likelihood(x)).mean()

planted_error("T5", change(starts["small,\nrandom"]), above=-1e-12, says="a start that is not tied")
decayed = copy.deepcopy(trained[-1])
decayed.directed[0].W.mul_(0.5)
planted_error("T5", change(decayed), above=-1e-12, says="W1 not frozen: weight decay reaches it")
reckless = path(start, found, [0, 1], rate=60.0)[-1]
planted_error("T5", change(reckless), above=-1e-12, says="one step 200 times too long")
planted_error("T5", change(slides[-1]), above=-1e-12, says="the slide's sign")
single = second[:, :, 1].amin()
planted_error("T5", single, above=-1e-12, says="a promise for every single picture")

# %% [markdown]
# The last one is no error of training: it is what T5 does *not* say. The promise is about the average over the data. Some picture may become less likely while the others gain more. And real training is
# by contrastive divergence, which may lower $\mathbb{E}_{\bar q}[\log p(h^1)]$ (chapter 2); then the second sign is not guaranteed either.
#
# ## 5.9 The third layer
#
# Train a third layer in the same way: tied to the second RBM, by exact ascent on $\mathbb{E}[\log p(h^2)]$ under its aggregated posterior. The bound starts where it was. But it is not tight any more.

# %% tags=["label-predict-third"]
predict("5.e", "With a tied third layer and exact ascent, can log p(x), averaged over the data, fall?",
        ["no: stacking with a tied start never hurts",
         "yes: the bound rises, but the gap may close by more than that"])

# %% [markdown]
# A network 4-3-4-3 with whole-number weights, found by searching through random ones, and data of two pictures. The first two layers stay as they are.

# %% tags=["label-counterexample"]
rng = G(7)
first, second_rbm = (random_rbm(*size, scale=2.0, rng=rng) for size in ((4, 3), (3, 4)))
for m in (first, second_rbm):
    m.requires_grad_(False)
for parameter in (*first.parameters(), *second_rbm.parameters()):
    parameter.round_()
two = all_states(4)[torch.randperm(16, generator=rng)[:2]]
below = DBN([first, second_rbm]).requires_grad_(False)
three_layers = DBN([first, second_rbm, tied_rbm(second_rbm)]).requires_grad_(False)
print(f"data {two.int().tolist()}\nW1 {first.W.int().tolist()}\nW2 {second_rbm.W.int().tolist()}")

# %% tags=["label-counterexample-start", "claim-T5"]
claim("T5", worst(three_layers.layer_log_prob(0), below.layer_log_prob(0)), below=1e-10,
      says="the tied third layer: p(x) unchanged")
claim("T5", worst(three_layers.bound(two).total, below.bound(two).total), below=1e-10,
      says="and the bound unchanged")
claim("T5", gap_of(three_layers, two).mean(), above=0.5, says="but the gap is open at the start")

# %% tags=["label-counterexample-climb", "claim-T5", "planted-T5"]
aggregate = aggregated_posterior(three_layers, two, level=2)
third = path(three_layers, aggregate, steps, rate=0.01)
bound = torch.stack([m.bound(two).total.mean() for m in third])
log_p = torch.stack([m.log_likelihood(two).mean() for m in third])
kl = torch.stack([wake_kl(m, two).mean() for m in third])
claim("T5", bound.diff().min(), above=0, says="smallest step of the bound, third layer")
planted_error("T5", log_p[-1] - log_p[0], above=-1e-12, says="the promise for log p(x), third layer")
claim("T5", worst(log_p - bound, kl), below=1e-10, says="gap against KL, all along")
print(f"bound {bound[0]:.4f} -> {bound[-1]:.4f}, log p(x) {log_p[0]:.4f} -> {log_p[-1]:.4f}, "
      f"changes {bound[-1] - bound[0]:+.4f} and {log_p[-1] - log_p[0]:+.4f}")

# %% tags=["label-counterexample-picture"]
display(plots.tied.curves(third, two, steps=steps,
                          says="A third layer: the bound rises, log p(x) falls, the gap closes."))
reveal("5.e", 1, "log p(x) = bound + gap. The bound gained, the gap lost more.")

# %% [markdown]
# **What to notice.** Every step is uphill for the bound: +0.6312 nats in all. The log-likelihood falls by 0.3915. Both are exact, to ten digits. The gap was open, so there was something to lose: training changed the
# network until its posterior agreed better with $q$. The bound cannot tell a better model from a model that is easier to guess.
#
# How rare is it? Forty random second layers against forty random networks with a tied third layer:

# %% tags=["label-predict-rare"]
predict_number("5.f", "In how many of 40 random networks does a tied third layer lower log p(x)?",
               unit="networks")

# %% tags=["label-t5-third", "picture-T5"]
def third_layer(seed):
    rng = torch.Generator().manual_seed(seed)
    low, middle = (random_rbm(*size, scale=1.5, rng=rng) for size in ((4, 3), (3, 4)))
    return DBN([low, middle, tied_rbm(middle)]).requires_grad_(False)

thirds = torch.stack([along(third_layer(s), drawn(s), level=2).mean(-1)[-1] for s in range(40)])  # (40, 2)
fell = [(gain < 0).sum().item() for gain in (thirds[:, 1], of_log_p[:, -1])]
claim("T5", thirds[:, 0].min(), above=0, says="smallest gain of the bound, 40 third layers")
print(f"log p(x) fell in {fell[0]} of 40 networks with a third layer, in {fell[1]} of 40 with a second")
plots.tied.gains({"second layer": second.mean(-1)[:, -1], "third layer": thirds},
                 says="Second layers lie above the diagonal; third layers may lie anywhere right of zero.")

# %% tags=["label-answer-rare"]
reveal("5.f", fell[0], "With a second layer in none: T5.", within=4)

# %% [markdown]
# **What to notice.** For second layers the likelihood gains at least what the bound gains: all points lie on or above the diagonal. For third layers nothing holds the points up, and 10 of 40 fall below zero.
#
# These networks are random, not trained, and that is unfair to stacking. When this was written we also trained 300 toys by the book (five pictures of four bits, three layers, each started tied and climbed exactly): the third layer
# lowered $\log p(x)$ by more than a millionth of a nat in 9 of them, by 0.000015 at most. A second layer trained from its tied start stays near it, and little of a gap is there to be lost. The promise is gone; the practice is better than the promise.
#
# ### Untie it yourself
# Left the prior of the layer that is trained, right what it does to $\log p(x)$, bound and gap. The dotted line is $\log p(x)$ of the network without
# the new layer.
# 1. *Second layer, tied*: at which step is the bound below the dotted line? Why?
# 2. *Second layer, random*: how many steps pass before $\log p(x)$ is back at the dotted line? Where is the tied one by then?
# 3. *Third layer, tied*: find the step where $\log p(x)$ is lowest. What does the bound say there?

# %% tags=["label-explore"]
lost = path(starts["small,\nrandom"], found, steps)
rbm_level, two_layers = exact_log_likelihood(rbm, x).mean(), below.log_likelihood(two).mean()
cases = {"second layer, tied": (trained, x, rbm_level), "second layer, random": (lost, x, rbm_level),
         "third layer, tied": (third, two, two_layers)}
explore(plots.tied.untying(cases, steps=steps))

# %% [markdown]
# *Answers.* 1: at none; it begins on the line and T5 keeps it above. 2: between 50 and 100, mere repair; by then the tied one has gained 0.39 nats. And the random one goes on losing time: nine units that are nearly alike must first become different. 3: the bound has risen there, as it does at every step, and says that all is well.
#
# **What is guaranteed?** Where training does not lower its term, one thing at every layer: the bound does not fall. One more at the second layer: $\log p(x)$ does not fall below where it was. And for no layer: that a higher bound is a better model.
#
# ## 5.10 Errata of these slides
#
# | slide | printed | right |
# |:--|:--|:--|
# | *Variational intuitions* (fourth) | the constant terms are to be maximised: $-\sum_{h^1}q(h^1\mid x)\log p(h^1)$ | the *other* terms are constant; maximise $+\sum_{h^1}q(h^1\mid x)\log p(h^1)$ (D7) |
# | *Improvement at initialization* (second) | the transposed weights make the bound tight (true, but not enough said) | transposed weights *and swapped biases*, and at least as many units in $h^2$ as in $x$ (T1) |
#
# ## 5.11 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | D6 | $p(h^1)=\sum_{h^2}p(h^1,h^2)$: the new layer is a new prior | `visible_log_prob(dbn.top)` |
# | D7 | only $\mathbb{E}_q[\log p(h^1)]$ moves; maximise it | `dbn.bound(x).prior` |
# | D8 | $=\mathbb{E}_{\bar q}[\log p(h^1)]=-H(\bar q)-\mathrm{KL}(\bar q\,\Vert\,p(h^1))$: an RBM on samples of $Q$ | `aggregated_posterior(dbn, x)` |
# | D9 | $p(h^1,h^2)=P(h^1\mid h^2)\sum_{h^3}p(h^2,h^3)$ | `dbn.layer_log_prob(t)` |
# | T1 | $(W^{\mathsf T},c,b)$ on top of $(W,b,c)$ changes nothing; extra units: zero weights | `tied_rbm(rbm, n_hidden=...)` |
# | T2 | the two Gibbs chains are one chain | |
# | T3, T4 | gap $=\mathrm{KL}(q\,\Vert\,p(h^1\mid x))$: zero at the tied start, then it may open | `wake_kl(dbn, x)` |
# | T5 | second layer: $\log p_{\text{new}}\ge\text{bound}_{\text{new}}\ge\text{bound}_{\text{old}}=\log p_{\text{old}}$; later layers: the bound alone | |
#
# Three sentences to keep. *A new layer is a new prior for the layer below, fitted to what that layer finds in the data. Tied, it starts as the old prior exactly. From a tight bound one can only win; from a loose one the bound may win what the likelihood loses.*
#
# ## 5.12 A worked exercise
# **Question.** Suppose the second layer could be *any* distribution over $h^1$, not only an RBM. How high can it lift the bound on the toy, and how high $\log p(x)$? Are the two best priors the same? Try before you read on.
#
# **Answer.** The bound is reconstruction + $H(q)$ + $\mathbb{E}_{\bar q}[\log p(h^1)]$, and by D8 the last term is largest at $p(h^1)=\bar q$, where it is $-H(\bar q)$. The likelihood $\log\sum_{h^1}P(x\mid h^1)\,p(h^1)$ is a mixture with fixed
# components; its best weights come from EM (chapter 1), which repeats "$p(h^1)\leftarrow$ average of the *current* posteriors". The first of these steps is exactly $\bar q$; the following ones go on.

# %% tags=["label-worked", "claim-D8"]
terms = start.bound(x)
summit = (terms.reconstruction + terms.entropy).mean() - entropy(found)
log_decoder, p_h = log_generation(start, 1, x), prior
scores = []
for _ in range(200):
    joint = log_decoder + p_h.log()
    scores.append(joint.logsumexp(1).mean())
    p_h = joint.softmax(1).mean(0)                     # one EM step on the prior
lacks = summit - trained[-1].bound(x).total.mean()
claim("D8", lacks, between=(0, 0.002), says="what the trained bound lacks to the best prior's")
print(f"best bound {summit:.4f}; log p(x) at first {scores[0]:.4f}, after one EM step {scores[1]:.4f}, "
      f"after 199 {scores[-1]:.4f}")

# %% [markdown]
# So greedy training is *one* EM step on the prior, with an RBM to represent it: it stops at the aggregated posterior of the *old* model and leaves the rest on the table. Up-down (chapter 6) renews $q$ as well.
#
# ## Where this goes next
# [Chapter 6](06_up_down.ipynb) does all this on MNIST, where nothing can be counted: bounds with error bars, layer by layer, and the up-down algorithm, which unties the last thing still tied, recognition from generation.
#
# **Exercises:** [open them here](../exercises/05_tied_weights/05_tied_weights.ipynb). Seven of them, from the proof line by line to a counterexample of your own, with checks that know what usually goes wrong.
