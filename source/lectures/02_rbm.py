# %% [markdown]
# # 2 · The restricted Boltzmann machine
#
# **How do you train a model whose normaliser you cannot compute?**
#
# Chapter 1 gave every picture *one* hidden cause out of twenty. Here are 500 causes at once, each on or off, in any combination. The model is a
# score: a number for how well a picture and a set of causes go together. To turn scores into probabilities one must divide by their sum over
# everything there is, $Z$, with $2^{784}$ terms for a small image. And yet the model can be trained, on a laptop, in half a minute. This chapter
# shows how, what the shortcut costs, and how to see the cost *exactly*.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | write energy, conditionals and free energy of an RBM; sample it; derive its gradient and name the two phases; say what contrastive divergence leaves out and what persistent chains and centring mend; train one on MNIST |
# | **Time** | 90 minutes to read and predict, 200 for the exercises; all cells together run in about a minute |
# | **In the lecture** | *Deep Belief Network*, second slide of that name: claim F0. The lecture takes RBMs as known; this chapter supplies them |
# | **You need** | chapter 1: log-sum-exp, posterior, nats |
# | **Notation** | $v$ visible units ($V$ of them), $h$ hidden units ($H$), all 0 or 1; $W$ of shape $(V,H)$, biases $b$ (visible) and $c$ (hidden); $\sigma(x)=1/(1+e^{-x})$, $\mathrm{softplus}(x)=\log(1+e^x)$ |

# %% tags=["label-setup"]
import torch
from deepgen_lib import RBM, all_states, exact_log_likelihood, joint_log_prob, log_partition, random_rbm
from deepgen_lib import claim, derivation, explore, planted_error, plots, visible_log_prob
from deepgen_lib import predict, predict_number, reveal
torch.set_num_threads(1)

# %% [markdown]
# ## 2.1 A model made of scores
#
# Every pair of a visible and a hidden state has an *energy*; low energy means that the two go together. Probability falls exponentially with energy:
# $$E(v,h)=-v^{\mathsf T}Wh-b^{\mathsf T}v-c^{\mathsf T}h,\qquad p(v,h)=\frac{e^{-E(v,h)}}{Z},\qquad Z=\sum_{v,h}e^{-E(v,h)}.$$
# There is a weight between every visible and every hidden unit, and none inside a layer: that is what *restricted* means.

# %% tags=["label-diagram"]
plots.diagrams.rbm()

# %% [markdown]
# No line has a direction: neither layer comes first, and each unit has a say in what its neighbours do. With 4 visible and 3 hidden units there are
# $2^4\cdot2^3=128$ pairs, and we can list them all.

# %% tags=["label-toy"]
def tiny(seed, n_visible=4, n_hidden=3, scale=1.0):
    """An RBM whose parameters are drawn from N(0, scale²)."""
    rng = torch.Generator().manual_seed(seed)
    return random_rbm(n_visible, n_hidden, scale=scale, rng=rng).requires_grad_(False)

toy, v, h = tiny(0), all_states(4), all_states(3)    # v (16, 4) and h (8, 3) count up in binary
p = joint_log_prob(toy).exp()                        # (16, 8)
print(f"{p.numel()} pairs, probabilities add up to {p.sum():.6f}; log Z = {log_partition(toy):.4f} nats")

# %% tags=["label-joint"]
plots.rbm.joint(toy, says="All 128 pairs of a tiny RBM, one row per v, one column per h.")

# %% [markdown]
# In chapter 1 a posterior was a table. Here, given a picture $v$, the posterior $p(h\mid v)$ is a row of the table above, divided by its sum.

# %% tags=["label-predict-numbers"]
predict("2.a", "With 500 hidden units, how many numbers does it take to write down p(h | v), exactly?",
        ["2^500 - 1", "500", "784 x 500", "it depends on Z"])

# %% [markdown]
# > **R1.** Given one layer, the units of the other are independent coins:
# > $$p(h_j=1\mid v)=\sigma\big(c_j+(vW)_j\big),\qquad p(v_i=1\mid h)=\sigma\big(b_i+(Wh)_i\big).$$
#
# Here $\sigma(x)=1/(1+e^{-x})$, and $(vW)_j=\sum_iv_iW_{ij}$ is what unit $j$ hears from below. We check against the table itself: $p(h\mid v)$ as a row,
# and as a product of coins. $V\ne H$, so that a transposed $W$ could not pass.

# %% tags=["label-r1"]
worst = lambda a, b: (a - b).abs().max()             # the largest difference

def coins(on, states):
    """Probability of every state when unit j is on with chance on[:, j].  (B, n), (S, n) -> (B, S)."""
    return torch.where(states.bool(), on[:, None], 1 - on[:, None]).prod(2)

h_given_v, v_given_h = p / p.sum(1, keepdim=True), (p / p.sum(0)).T                  # from the table
up, down = torch.sigmoid(toy.hidden_logits(v)), torch.sigmoid(toy.visible_logits(h))
claim("R1", worst(h_given_v, coins(up, h)), below=1e-12, says="p(h | v): table against coins")
claim("R1", worst(v_given_h, coins(down, v)), below=1e-12, says="p(v | h): table against coins")

# %% tags=["label-r1-planted"]
no_bias, sign_lost = torch.sigmoid(v @ toy.W), torch.sigmoid(-toy.hidden_logits(v))
planted_error("R1", worst(h_given_v, coins(no_bias, h)), below=1e-12, says="the bias forgotten")
planted_error("R1", worst(h_given_v, coins(sign_lost, h)), below=1e-12, says="the sign of the energy lost")
reveal("2.a", 1, "One probability per unit: here the posterior costs one matrix product.")

# %% [markdown]
# **What to notice.** No $Z$ anywhere: it cancels in every row. The posterior is free, and $q$ need not be guessed. The trouble has moved: to
# know $p(v)$ itself, all rows must be added up.
#
# ### The hidden units can be summed away
# A row's sum has $2^H$ terms, but it is a product of $H$ sums with two terms each, $1+e^{c_j+(vW)_j}$. Its negative logarithm is the *free energy*
# $$F(v)=-\log\sum_h e^{-E(v,h)}=-b^{\mathsf T}v-\sum_j\mathrm{softplus}\big(c_j+(vW)_j\big),\qquad p(v)=\frac{e^{-F(v)}}{Z}.$$
# > **R2.** $F$ is exact, and so is $\log Z$ from either side: sum over all $v$ with $h$ summed away, or over all $h$ with $v$ summed away.

# %% tags=["label-r2"]
models, v5, h3 = [tiny(seed, n_visible=5) for seed in range(100)], all_states(5), all_states(3)
minus_energies = lambda m: torch.stack([-m.energy(v5, one.expand(32, -1)) for one in h3])   # (8, 32)
derivation("R2", {
    "sum of exp(-E) over all h":  lambda m: -minus_energies(m).logsumexp(0),
    "product of two-term sums":   lambda m: -(v5 @ m.b) - (1 + (v5 @ m.W + m.c).exp()).prod(1).log(),
    "bias and softplus":          lambda m: m.free_energy(v5),
}, models)
sides = [worst(log_partition(m, side="visible"), log_partition(m, side="hidden")) for m in models]
claim("R2", max(sides), below=1e-10, says="log Z over v against log Z over h, 100 models")

# %% tags=["label-r2-planted"]
F, ink, on = toy.free_energy(v), v @ toy.b, toy.hidden_logits(v)
log_sigmoid = -ink - torch.nn.functional.logsigmoid(on).sum(1)
planted_error("R2", worst(log_sigmoid, F), below=1e-10, says="log-sigmoid in place of softplus")
no_minus = ink - torch.nn.functional.softplus(on).sum(1)
planted_error("R2", worst(no_minus, F), below=1e-10, says="the minus before b·v forgotten")

# %% [markdown]
# **What to notice.** Without $Z$ we can still compare: $p(v)/p(v')=e^{F(v')-F(v)}$. What we cannot do is say how large $p(v)$ is. For 784 pixels
# and 500 hidden units the cheaper side of $Z$ has $2^{500}$ terms. Chapter 3 estimates it. This chapter trains without it.
#
# ## 2.2 Sampling by turns
#
# Sampling $v$ is hard, but each half is easy: draw all hidden units given $v$, then all visible units given $h$, and so on. One turn,
# $v\to h\to v'$, is a *sweep* of block Gibbs sampling.
#
# > **R3.** A sweep leaves $p(v)$ as it is: if $v$ is a sample of the model, so is $v'$. And from any start the distribution of the chain tends to $p(v)$.
#
# Exactly: $T_{vv'}=\sum_h p(h\mid v)\,p(v'\mid h)$ is a $16\times16$ table. Its second largest eigenvalue $\lambda_2$ says how much of an error survives a sweep.

# %% tags=["label-r3"]
from deepgen_lib.enumeration import gibbs_transition_matrix

p_v, T = visible_log_prob(toy).exp(), gibbs_transition_matrix(toy)
claim("R3", worst(p_v @ T, p_v), below=1e-12, says="change of p(v) by one sweep")
grey = torch.sigmoid(toy.visible_logits(up))         # v' driven by probabilities of h, none drawn
planted_error("R3", worst(p_v @ coins(grey, v), p_v), below=1e-12, says="probabilities driving the chain")

# %% [markdown]
# The planted error is a popular one: it looks like "less noise". But a hidden layer of probabilities carries more than its bits, and the chain settles on another
# distribution.
#
# How soon does a chain forget where it began? We follow its distribution, not samples of it, from $v=0000$. The distance is the *total variation*, half the summed
# difference: 1 means no overlap, 0 the same.

# %% tags=["label-predict-mixing"]
predict("2.b", "The same RBM, all parameters three times as large. To come equally close its chain needs",
        ["fewer sweeps: it is more decided", "as many", "more sweeps"])

# %% tags=["label-mixing"]
def with_parameters(W, b, c):
    """A 4-3 RBM with the given parameters; a number fills a whole array."""
    rbm = tiny(0, scale=0.0)
    for parameter, value in zip((rbm.W, rbm.b, rbm.c), (W, b, c)):
        parameter += value
    return rbm

def second_eigenvalue(rbm):
    return torch.linalg.eigvals(gibbs_transition_matrix(rbm)).abs().sort().values[-2]

rbms = {"toy": toy, "toy x 3": with_parameters(3 * toy.W, 3 * toy.b, 3 * toy.c),
        "two modes": with_parameters(2.0, -3.0, -4.0)}       # all on or all off, and a barrier between

# %% tags=["label-mixing-picture"]
distance = {}
for name, rbm in rbms.items():
    p_v, T, chain = visible_log_prob(rbm).exp(), gibbs_transition_matrix(rbm), [torch.eye(16)[0].double()]
    for _ in range(15):
        chain.append(chain[-1] @ T)
    distance[name] = (torch.stack(chain) - p_v).abs().sum(1) / 2
    slow, left = second_eigenvalue(rbm), distance[name][15]
    print(f"{name}: second eigenvalue {slow:.4f}, after 15 sweeps {left:.2g}")

# %% tags=["label-mixing-lines"]
display(plots.lines(range(16), distance, log="y",
                    xlabel="sweeps from 0000", ylabel="total variation to p(v)",
                    says="A chain forgets geometrically, at a pace set by the weights."))
reveal("2.b", 2, "Large weights make units stubborn: each half-step almost repeats the last.")

# %% [markdown]
# **What to notice.** Straight lines on a logarithmic axis: what is left of an error shrinks by $\lambda_2$ at every sweep. The toy keeps 24 % of it, three times the toy 54 %, the model with two modes 94 %.
# A chain that starts in one mode hears of the other only by a rare accident. Remember this picture.
#
# ## 2.3 What hidden units are for
#
# Without hidden units a Boltzmann machine can couple visible units in pairs, $p(v)\propto\exp(\sum_i a_iv_i+\sum_{i<k}A_{ik}v_iv_k)$. Is that not enough?
# A test: four bits with an even number of ones, eight of the sixteen states, equally likely.

# %% tags=["label-parity"]
from deepgen_lib.data import parity

even = parity(4)                                              # (8, 4)
moments = lambda x: [x[:, :size].prod(1).mean() for size in (1, 2, 3, 4)]    # other bits: the same
plots.table({"even parity": moments(even), "four fair coins": moments(v)}, digits=4, corner="mean of",
            columns=["v1", "v1 v2", "v1 v2 v3", "v1 v2 v3 v4"])

# %% [markdown]
# Any one, two or three of the bits look like fair coins. Only all four together give the secret away. A model of fair coins scores
# $-4\log2=-2.773$ nats per example; one that knows the rule, $-3\log2=-2.079$.

# %% tags=["label-predict-parity"]
predict("2.c", "The best model of pairs scores",
        ["-2.773: no better than coins", "something between", "-2.079: pairs suffice"])

# %% [markdown]
# > **F0.** Hidden units hold statistics of higher order. On parity of $n\ge3$ bits the best model of pairs is exactly as good as fair coins, $-n\log2$; an
# > RBM comes as close to the optimum, $-(n-1)\log2$, as you like.
#
# The best model of pairs can be found exactly: the log-likelihood is concave in its parameters, so a climber cannot get stuck.

# %% tags=["label-pairs"]
from itertools import combinations

def products(x, order):
    """All products of 1 to `order` different bits.  (B, n) -> (B, number of products)."""
    bits = range(x.shape[1])
    groups = [list(group) for size in range(1, order + 1) for group in combinations(bits, size)]
    return torch.stack([x[:, group].prod(1) for group in groups], 1)

# %% tags=["label-best-fit"]
def best_fit(data, order):
    """log p(v) of all states under the likeliest model p(v) ∝ exp(theta · products)."""
    means, table = products(data, order).mean(0), products(all_states(data.shape[1]), order)
    theta = torch.linspace(-1, 1, len(means), dtype=torch.float64).requires_grad_()      # a start
    climber = torch.optim.LBFGS([theta], max_iter=300, line_search_fn="strong_wolfe",
                                tolerance_grad=1e-10, tolerance_change=1e-14)
    def minus_log_likelihood():
        climber.zero_grad()
        (loss := torch.logsumexp(table @ theta, 0) - means @ theta).backward()
        return loss
    climber.step(minus_log_likelihood)
    return torch.log_softmax(table @ theta.detach(), 0)

# %% [markdown]
# And an RBM by hand: one hidden unit per even state $s$, a *detector*. Its weights are $+a$ where $s$ has a one and $-a$ where it has a zero, its bias
# sits half a step below the full score, so it fires for $s$ and for nothing else: $c+v^{\mathsf T}w=a\,(\tfrac12-\text{number of wrong bits})$.

# %% tags=["label-detectors"]
def detectors(states, a):
    """An RBM with one hidden unit per row of states (N, n), each switched on by its own state alone."""
    rbm = RBM(states.shape[1], len(states), weight_std=0.0).double().requires_grad_(False)
    rbm.W += a * (2 * states - 1).T
    rbm.c -= a * (states.sum(1) - 0.5)
    return rbm

by_hand, log2 = detectors(even, a=20.0), torch.tensor(2.0).double().log()
scored = exact_log_likelihood(by_hand, even).mean()
print(f"by hand {scored:.6f} nats per example, optimum {-3 * log2:.6f}")

# %% tags=["label-f0", "claim-F0"]
score = lambda rbm, data: exact_log_likelihood(rbm, data).mean()
pairs_score = lambda data, order=2: best_fit(data, order)[all_states(data.shape[1]).sum(1) % 2 == 0].mean()
for n in (3, 4, 5, 6):
    data = parity(n)
    claim("F0", worst(pairs_score(data), -n * log2), below=1e-9,
          says=f"{n} bits: pairs against fair coins")
    claim("F0", worst(score(detectors(data, 20.0), data), -(n - 1) * log2), below=1e-3,
          says=f"{n} bits: RBM against the optimum")

# %% tags=["label-f0-planted", "planted-F0"]
planted_error("F0", worst(pairs_score(even, order=4), -4 * log2), below=1e-9,
              says="products of four bits among the pairs")
no_threshold = detectors(even, 20.0)
no_threshold.c.zero_()
planted_error("F0", worst(score(no_threshold, even), -3 * log2), below=1e-3,
              says="detectors without thresholds")

# %% tags=["label-f0-picture", "picture-F0"]
data_p = (v.sum(1) % 2 == 0).double() / 8
bars = {"data": data_p, "best pairs": best_fit(even, order=2).exp(),
        "RBM": visible_log_prob(by_hand).exp()}
display(plots.rbm.states(bars, first=even, says="Left of the line the even states. "
                         "A model of pairs cannot tell them from the odd ones."))
reveal("2.c", 0, "Pairs of parity bits look like pairs of coins, and pairs are all it can learn.")

# %% [markdown]
# **What to notice.** The model of pairs sees 0.0625 everywhere. It is no accident of the climber: at the optimum its pair moments equal the data's, coins already have them, and the
# optimum is unique. Eight hidden units reach −2.079487 of −2.079442. Detectors are wasteful, $2^{n-1}$ of them; exercise 2.5 asks for your own construction.
#
# ### Can it be learned?
# The likelihood of an RBM is *not* concave in $W$. We follow the exact gradient (next section says what it is) from a small and from a large random start.

# %% tags=["label-parity-learned"]
from deepgen_lib import exact_gradient

def move(rbm, slopes, rate):
    """One step uphill, in place."""
    for parameter, slope in zip((rbm.W, rbm.b, rbm.c), slopes):
        parameter += rate * slope

small, large = tiny(1, n_hidden=8, scale=0.1), tiny(1, n_hidden=8, scale=2.0)
for _ in range(1000):
    move(small, exact_gradient(small, even), rate=1.0)
    move(large, exact_gradient(large, even), rate=1.0)

# %% tags=["label-parity-learned-claim"]
claim("F0", score(small, even), between=(-2.7727, -2.7724), says="learned from a small start")
claim("F0", score(large, even), above=-2.15, says="learned from a large start")
print(f"small start {score(small, even):.4f}, large start {score(large, even):.4f}")

# %% [markdown]
# **What to notice.** The large start reaches −2.1094 of −2.0794. From small weights nothing happens at all, −2.7726: to first order an RBM sees means and pairs, and those are already right. Parity is a puzzle
# made to hide. Real images are kinder. Their pairs say a lot, and training on them may begin with small weights.
#
# ## 2.4 The slope has two phases
#
# To train is to climb $\mathbb{E}_{\text{data}}[\log p(v)]=-\mathbb{E}_{\text{data}}[F(v)]-\log Z$. The second term depends on the parameters too, and its slope is an average:
# $\partial\log Z/\partial W=\mathbb{E}_{p(v,h)}[vh^{\mathsf T}]$.
#
# > **R4.** The slope of the mean log-likelihood is a difference of two averages, the *data's phase* minus the *model's phase*:
# > $$\frac{\partial}{\partial W}\;\mathbb{E}_{\text{data}}[\log p(v)]\;=\;\mathbb{E}_{\text{data}}\big[vh^{\mathsf T}\big]-\mathbb{E}_{\text{model}}\big[vh^{\mathsf T}\big],$$
# > with $h\sim p(h\mid v)$ in both, and likewise for $b$ with $v$ and for $c$ with $h$ in place of $vh^{\mathsf T}$. Where the phases agree, training stops.
#
# Our data from here on: four lamps on one switch, all off or all on, equally often. The best possible score is $-\log2=-0.693$.

# %% tags=["label-r4"]
lamps = torch.tensor([[0., 0, 0, 0], [1., 1, 1, 1]]).double()

def two_phases(rbm):
    """E_data[v hᵀ] and E_model[v hᵀ], the second from the table of all states."""
    p, on = visible_log_prob(rbm).exp(), lambda v: torch.sigmoid(rbm.hidden_logits(v))
    return lamps.T @ on(lamps) / len(lamps), (p[:, None] * v).T @ on(v)

def by_autograd(rbm):
    """Automatic differentiation of the exact log-likelihood."""
    twin = with_parameters(rbm.W, rbm.b, rbm.c).requires_grad_(True)
    return torch.autograd.grad(score(twin, lamps), twin.W)[0]

# %% tags=["label-r4-derivation"]
derivation("R4", {
    "automatic differentiation":        by_autograd,
    "data's phase minus model's phase": lambda rbm: torch.sub(*two_phases(rbm)),
    "exact_gradient of the library":    lambda rbm: exact_gradient(rbm, lamps).W,
}, [tiny(seed) for seed in range(50)])

# %% tags=["label-r4-planted"]
data_phase, model_phase = two_phases(toy)
slope = by_autograd(toy)
planted_error("R4", worst(model_phase - data_phase, slope), below=1e-10, says="model minus data")
planted_error("R4", worst(data_phase, slope), below=1e-10, says="the data's phase alone")
plots.rbm.phases(data_phase, model_phase, says="What the data want, what the model does, the difference.")

# %% [markdown]
# **What to notice.** The data's phase is cheap: clamp the data, compute $h$. The model's phase holds the intractable sum. But it is an *average under the model*, and averages can be sampled.
# $Z$ itself is never needed to train. Only: a sample of the model costs a chain, and we saw how slowly a chain can forget. (On the right red is up, blue is
# down: here the lamps $v_3$ and $v_4$ are to be tied closer to $h_1$.)
#
# ## 2.5 Contrastive divergence: the chain cut short
#
# Contrastive divergence (Hinton 2002) starts the chain of section 2.2 *at the data* and stops after $k$ sweeps, often one. CD-$k$ puts the visible states found there in the model's
# phase.

# %% tags=["label-chain-diagram"]
plots.diagrams.gibbs_chain()

# %% [markdown]
# Its expectation is exactly computable on a toy: $p_k=p_{\text{data}}T^k$ takes the place of $p$.
#
# > **R5.** The mean of sampled CD-$k$ gradients is $\mathbb{E}_{\text{data}}[vh^{\mathsf T}]-\mathbb{E}_{p_{\text{data}}T^k}[vh^{\mathsf T}]$, and it is *not* the gradient.

# %% tags=["label-r5"]
from deepgen_lib import cd_gradient, expected_cd_gradient

rng, batch = torch.Generator().manual_seed(0), lamps.repeat(50, 1)
draws = torch.stack([cd_gradient(toy, batch, n_gibbs_steps=1, rng=rng).W for _ in range(2000)])
standard_error = draws.std(0) / 2000**0.5
off = lambda wanted: ((draws.mean(0) - wanted.W) / standard_error).abs().max()
claim("R5", off(expected_cd_gradient(toy, lamps)), below=4.5,
      says="mean of 2,000 sampled CD-1 gradients, off by standard errors")
planted_error("R5", off(exact_gradient(toy, lamps)), below=4.5, says="the exact gradient taken for it")

# %% [markdown]
# So there is a bias, and no number of samples removes it. How large is it? We walk along the *exact* climb on the lamps and ask at several points.

# %% tags=["label-climb"]
from copy import deepcopy

def climb(slope, n_updates=1200, rate=0.5, every=20):
    """The models after 0, every, 2 every, ... updates along slope(rbm), from one small start."""
    rbm, path = tiny(0, scale=0.1), []
    for update in range(n_updates + 1):
        if update % every == 0:
            path.append(deepcopy(rbm))
        move(rbm, slope(rbm), rate)
    return path

paths = {"exact": climb(lambda rbm: exact_gradient(rbm, lamps))}

# %% tags=["label-bias"]
def relative_bias(rbm, k):
    """Size of E[CD-k] - gradient, as a multiple of the gradient's size."""
    exact = exact_gradient(rbm, lamps).W
    return ((expected_cd_gradient(rbm, lamps, n_gibbs_steps=k).W - exact).norm() / exact.norm()).item()

at = {update: paths["exact"][update // 20] for update in (60, 100, 200)}
bias = {f"update {update}": [relative_bias(rbm, k) for k in range(1, 31)] for update, rbm in at.items()}
plots.lines(range(1, 31), bias, xlabel="k, sweeps per chain", ylabel="bias / gradient", log="y",
            says="The bias falls by a constant factor per sweep; the later in training, the slower.")

# %% [markdown]
# > **R6.** The bias of CD-$k$ falls like $\lambda_2^k$: by the factor at which the chain forgets, no faster.

# %% tags=["label-r6"]
for (update, rbm), curve in zip(at.items(), bias.values()):
    forgets = second_eigenvalue(rbm)
    claim("R6", worst(forgets, curve[29] / curve[28]), below=1e-4,
          says=f"update {update}: second eigenvalue against the last fall of the bias")
    half_life = -log2 / forgets.log()
    print(f"   halved every {half_life:.1f} sweeps; at k = 30: {curve[29]:.2g} of the gradient")

# %% [markdown]
# **What to notice.** After 60 updates the bias is halved every 1.7 sweeps, after 200 every 60.9. The better the model separates the two states, the slower its chain, and the less a few sweeps can tell:
# at update 200 even 30 of them leave a bias of 0.79 times the gradient.
#
# ### What happens if one follows it anyway?

# %% tags=["label-predict-cd"]
predict("2.d", "Climb with the mean CD-1 gradient, free of noise, for 1,200 updates. The score ends",
        ["at the best, -0.69", "slightly below the best", "below where it started, -2.77"])

# %% tags=["label-cd-climb"]
for k in (1, 2, 5, 25):
    paths[k] = climb(lambda rbm: expected_cd_gradient(rbm, lamps, n_gibbs_steps=k))
names = {k: f"CD-{k}" for k in paths} | {"exact": "exact"}
scores = {names[k]: [score(rbm, lamps).item() for rbm in path] for k, path in paths.items()}
display(plots.lines(range(0, 1201, 20), scores, xlabel="updates", ylabel="exact log-likelihood (nats)",
                    says="The exact gradient climbs and stays. CD climbs, turns, and goes down."))
reveal("2.d", 2, "CD-1 climbs for a while, to about -1.58, and then falls without end.")

# %% [markdown]
# How does such a model look? Half of the data are "all off". The exact gradient ends with a model that gives them 0.495. We also ask how well the model
# rebuilds its data: up and down once, with probabilities.

# %% tags=["label-predict-all-off"]
predict_number("2.h", "And which probability has 'all off' after 1,200 updates with CD-1?")

# %% tags=["label-cd-end"]
def report(rbm):
    rebuilt = torch.sigmoid(rbm.visible_logits(torch.sigmoid(rbm.hidden_logits(lamps))))
    return [*visible_log_prob(rbm).exp()[[0, 15]].tolist(), worst(rebuilt, lamps), score(rbm, lamps)]

ends = {names[k]: report(paths[k][-1]) for k in ("exact", 25, 5, 1)}
claim("CD", ends["CD-1"][3], below=-3.0, says="exact log-likelihood after 1,200 mean CD-1 updates")

# %% tags=["label-cd-end-table"]
columns = ["p(all off)", "p(all on)", "worst rebuilt lamp", "log p"]
display(plots.table(ends, corner="1,200 updates", columns=columns))
reveal("2.h", ends["CD-1"][0], "It has forgotten half of its data.", within=0.01)

# %% [markdown]
# **What to notice.** CD-1 knows both patterns and rebuilds every lamp to within 0.004. But it puts 0.983 of the probability on "all on" and 0.002 on "all off". A chain of one sweep
# that starts at "all off" comes back to "all off"; one that starts at "all on" comes back to "all on". Nobody crosses, so nobody notices how lopsided the two sides have become.
# More sweeps only delay the fall.
#
# **Short chains see the neighbourhood of the data. They do not see how much mass lies elsewhere.**
#
# Move the sliders. On the right, the two directions: what is uphill (exact), and where CD points. When the angle passes 90°, a CD step goes *down*. Both are drawn equally long; the title
# says how long CD's really is, in lengths of the exact gradient.

# %% tags=["label-widget"]
explore(plots.rbm.short_chains(paths, lamps, every=20), start={"k": 1, "update": 300})

# %% [markdown]
# Try: at which update does CD-1 cross 90°? Does CD-25 cross it too? What do short chains miss, that "exact" does not?
#
# ## 2.6 Chains that go on
#
# Persistent contrastive divergence (Tieleman 2008) costs the same and changes one line: the chains do not restart at the data. They go on from where the last update left them, and wander
# through the *model*.

# %% tags=["label-predict-pcd"]
predict("2.e", "PCD, also with one sweep per update, on the lamps. It ends",
        ["like CD-1: one sweep is one sweep", "near the best", "worse than CD-1: its chains are lost"])

# %% tags=["label-pcd"]
from deepgen_lib import CDOptions, RBMTrainer, fit

def train_on_lamps(persistent):
    """Sampled gradients of 500 chains; the exact log-likelihood after every hundred updates."""
    rng, watch = torch.Generator().manual_seed(0), lambda update, rbm: score(rbm, lamps).item()
    options = CDOptions(persistent=persistent, n_chains=500, learning_rate=0.2)
    trainer = RBMTrainer(random_rbm(4, 3, scale=0.1, rng=rng), options, rng=rng)
    return fit(trainer, lamps.repeat(250, 1), n_updates=2000, batch_size=500, watch=watch, rng=rng).history

sampled = {"CD-1": train_on_lamps(False), "PCD-1": train_on_lamps(True), "optimum": [-log2] * 21}

# %% tags=["label-pcd-claim"]
claim("PCD", sampled["PCD-1"][-1], between=(-0.82, -0.72), says="log-likelihood after PCD-1")
claim("PCD", sampled["CD-1"][-1], between=(-2.7, -1.4), says="log-likelihood after CD-1")

# %% tags=["label-pcd-picture", "rtol-0.05", "atol-0.1"]
display(plots.lines(range(0, 2001, 100), sampled, xlabel="updates", ylabel="exact log-likelihood (nats)",
                    says="With persistent chains the same work ends near the optimum."))
reveal("2.e", 1, "Where the model has too much mass its chains gather, "
       "and the model's phase pushes it down.")

# %% [markdown]
# **What to notice.** PCD's chains do not mix faster than CD's. But they *stay* in the model: too much mass on one side fills that side with chains, the model's phase raises its energy, and the chains are
# driven out again. Learning itself stirs them. The wobble of the curve is that stirring; it needs a learning rate that falls in the end.
#
# ## 2.7 Zero is not neutral
#
# Call a white pixel 1 and a black one 0, or the other way round: the same pictures. A model of the flipped data exists with exactly the same likelihood. Does training find it as easily?

# %% tags=["label-flip"]
def flipped(rbm):
    """The same model for v with 0 and 1 exchanged: p'(1 - v) = p(v)."""
    return with_parameters(-rbm.W, -rbm.b, rbm.c + rbm.W.sum(0))

some = v[[3, 3, 12, 8, 15]]
both = exact_log_likelihood(flipped(toy), 1 - some), exact_log_likelihood(toy, some)
claim("R7", worst(*both), below=1e-12, says="log p of flipped data under the flipped model")

# %% [markdown]
# > **R7.** Subtract offsets from the units, $-E=(v-\mu)^{\mathsf T}W(h-\lambda)+b'^{\mathsf T}v+c'^{\mathsf T}h$, with $\mu$ the mean of the data and $\lambda$ that of the hidden units. The RBM can
# > represent the same distributions as before, but its gradient is another. A step along this *centred* gradient does the same to flipped data; a plain step does not (Montavon and Müller
# > 2012; Melchior, Fischer and Wiskott 2016).
#
# ($\lambda$ is a vector here, one mean for each hidden unit; it has no relation to the eigenvalue $\lambda_2$.)

# %% tags=["label-r7"]
from deepgen_lib.objectives import centred

def after_one_step(rbm, data, centre):
    """Exact log-likelihood of every row after one step along the exact gradient, plain or centred."""
    slopes, mu = exact_gradient(rbm, data), data.mean(0)
    lam = torch.sigmoid(rbm.hidden_logits(data)).mean(0)
    move(new := deepcopy(rbm), centred(slopes, mu, lam) if centre else slopes, rate=0.2)
    return exact_log_likelihood(new, data)

both = lambda centre: [after_one_step(toy, some, centre), after_one_step(flipped(toy), 1 - some, centre)]
claim("R7", worst(*both(True)), below=1e-12, says="after a centred step: data against flipped data")
planted_error("R7", worst(*both(False)), below=1e-12, says="the plain gradient")

# %% [markdown]
# Does it matter? On MNIST, with 16 hidden units: $2^{16}$ hidden states can be enumerated, so the test log-likelihood is exact. 2,000 updates each.

# %% tags=["label-mnist"]
from deepgen_lib import base_rate, init_visible_bias, load_mnist

train = load_mnist("train", binarisation="fixed").images     # (50000, 784), 0 or 1
test = load_mnist("test", binarisation="fixed").images       # (10000, 784)

def train_rbm(n_hidden, n_updates, x, **options):
    """An RBM that starts at the data's pixel means, trained with the given options."""
    rng, mean = torch.Generator().manual_seed(0), base_rate(x)
    rbm = init_visible_bias(RBM(784, n_hidden, rng=rng), mean)
    trainer = RBMTrainer(rbm, CDOptions(learning_rate=0.1, **options), data_mean=mean, rng=rng)
    fit(trainer, x, n_updates=n_updates, rng=rng)
    return rbm.requires_grad_(False)

# %% tags=["label-predict-flip"]
predict("2.f", "Plain PCD on inverted MNIST (ink 0, paper 1) loses per test image, "
        "against MNIST as it is,",
        ["nothing: the same pictures", "about 1 nat", "more than 15 nats"])

# %% tags=["label-small"]
rebuild = lambda rbm, x: torch.sigmoid(rbm.visible_logits(torch.sigmoid(rbm.hidden_logits(x))))
pcd, centred_pcd = {"persistent": True}, {"persistent": True, "centred": True}
plans = {"CD-1": (False, {}), "PCD-1": (False, pcd), "PCD-1, inverted": (True, pcd),
         "centred PCD-1": (False, centred_pcd), "centred PCD-1, inverted": (True, centred_pcd)}
found = {}
for name, (invert, options) in plans.items():
    x, y = (1 - train, 1 - test) if invert else (train, test)
    rbm = train_rbm(16, 2000, x, **options)
    found[name] = [score(rbm, y).item(), (rebuild(rbm, y) - y).square().sum(1).mean().item()]

# %% tags=["label-small-table", "rtol-0.1"]
# Six other seeds: inverted PCD-1 -193.8 to -186.9, centred -153.5 to -152.6, PCD-1 -158.5 to -155.2.
bands = {"CD-1": (-179, -168), "PCD-1": (-161, -153), "PCD-1, inverted": (-205, -175),
         "centred PCD-1": (-156, -150), "centred PCD-1, inverted": (-156, -150)}
for name, band in bands.items():
    claim("R7", found[name][0], between=band, says=f"{name}: exact test log-likelihood")

# %% tags=["label-small-show", "rtol-0.1"]
columns = ["log p, nats per test image", "squared reconstruction error"]
display(plots.table(found, columns=columns, digits=1))
reveal("2.f", 2, "With ink 0 nearly every pixel is on, and every weight's slope is full of the means.")

# %% [markdown]
# **What to notice.** Inverting takes plain PCD from −156.2 to −181.6; centred PCD scores −153 both ways. (Over six other seeds the inverted plain run ends between −193.8 and −186.9, the centred ones between −153.5 and −152.6.)
# And look at the last column: CD-1 rebuilds images as well as PCD-1, 47.1 against 46.6, and scores −173.9 against −156.2. How well a model copies an image says little about how likely it finds it. Chapter 3 comes back to this.
#
# ## 2.8 The real thing
#
# 500 hidden units, centred PCD, 5,000 updates of 100 digits and 100 chains each: half a minute.

# %% tags=["label-big"]
big = train_rbm(500, 5000, train, **centred_pcd)

# %% [markdown]
# What did it learn? Each hidden unit has 784 weights, an image. Red: the unit wants ink here, blue: it wants paper. The 36 with the largest weights:

# %% tags=["label-filters", "rtol-0.1", "atol-0.1"]
strongest = big.W.norm(dim=0).argsort(descending=True)[:36]
plots.image_grid(big.W.T[strongest], columns=12, contrast="signed",
                 says="36 of the 500 filters: strokes, their ends, and the paper beside them.")

# %% [markdown]
# ### Is it a model of digits?
# Start chains from noise and let them run. If the model is good, they must find digits by themselves.

# %% tags=["label-chains", "rtol-0.1", "atol-0.1"]
from deepgen_lib import gibbs_chain

rng = torch.Generator().manual_seed(1)
x = torch.bernoulli(torch.full((12, 784), 0.5), generator=rng)
frames = [x]
for n_steps in (1, 9, 90, 900):
    x = gibbs_chain(big, x, n_steps=n_steps, rng=rng)
    frames.append(rebuild(big, x))
rows = ["noise", "1 sweep", "10 sweeps", "100 sweeps", "1,000 sweeps"]
plots.image_grid(torch.cat(frames), row_labels=rows,
                 says="Twelve chains from noise: digits appear, and change into other digits.")

# %% [markdown]
# **What to notice.** Nobody told the chains what a digit is. One sweep turns noise into strokes, for strokes are all that the hidden units know; a hundred make digits of them, and later the same chain shows another digit. Some
# are still broken after a thousand sweeps: this is half a minute of training. (Below the noise the pictures show probabilities of ink, which look smoother than samples do.)
#
# ### What a reconstruction is not
# Up and down once, $v\to p(h\mid v)\to p(v\mid h)$, and the result looks like the input. One is tempted to read that as the model's approval. Four inputs, each above its reconstruction:

# %% tags=["label-strange", "rtol-0.1", "atol-0.1"]
other = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(0))]
inputs = {"test digits": test, "upside down": test.reshape(-1, 28, 28).flip(1).flatten(1),
          "two at once": torch.maximum(test, other), "blank": torch.zeros(1, 784)}
shown = torch.cat([x[[2000, 4500, 7500]] if len(x) > 1 else x for x in inputs.values()])
labels = ["", "digits", "", "", "upside down", "", "", "two at once", "", "blank"]
plots.image_grid(torch.cat([shown, rebuild(big, shown)]), row_labels=["input", "rebuilt"],
                 column_labels=labels,
                 says="Digits, digits upside down, two digits at once and a blank page: all are rebuilt.")

# %% [markdown]
# The free energy can judge them without $Z$: how many nats is each input *less* likely than the average test digit?

# %% tags=["label-predict-blank"]
predict("2.g", "Under this model a blank page is, compared with one typical test digit,",
        ["far less likely: it is no digit", "about as likely", "far more likely"])

# %% tags=["label-judge", "rtol-0.1"]
error = lambda x: (rebuild(big, x) - x).square().sum(1).mean().item()
above = lambda x: (big.free_energy(x).mean() - big.free_energy(test).mean()).item()
judged = {name: [error(x), above(x)] for name, x in inputs.items()}
for name, band in {"upside down": (20, 50), "two at once": (35, 75), "blank": (-110, -45)}.items():
    claim("RBM-500", judged[name][1], between=band, says=f"{name}: F above test digits, nats")

# %% tags=["label-judge-show", "rtol-0.1"]
columns = ["squared reconstruction error", "F above test digits, nats"]
display(plots.table(judged, columns=columns, digits=1))
reveal("2.g", 2, "One blank page is likelier than any one digit. "
       "But there are far more ways to be a digit.")

# %% [markdown]
# **What to notice.** Upside down or two at once: rebuilt almost as well as a digit, 18.2 and 24.0 against 14.3, though 30.4 and 55.7 nats less likely. The hidden units know strokes, and whatever is made of strokes they can rebuild.
#
# And the blank page? It is rebuilt best of all and has the lowest free energy. Still its probability is tiny, about $e^{-26}$ when a test digit has $e^{-94}$ (chapter 3 says how one measures that): the digits win by their number. A single image's likelihood does not say whether the model
# is good. The *average over test digits* does, and it needs $Z$: chapter 3.
#
# ## 2.9 The slide and this chapter
# The slide says that the hidden layers capture statistics of higher order. F0 is the smallest case in which that is more than a phrase, and nothing on the slide needs mending.
#
# ## 2.10 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | energy | $E(v,h)=-v^{\mathsf T}Wh-b^{\mathsf T}v-c^{\mathsf T}h$ | `rbm.energy(v, h)` |
# | conditionals | $\sigma(c+v^{\mathsf T}W)$ and $\sigma(b+Wh)$ | `rbm.hidden_logits(v)`, `rbm.visible_logits(h)` |
# | free energy | $F(v)=-b^{\mathsf T}v-\sum_j\mathrm{softplus}(c_j+(vW)_j)$, $\ p(v)=e^{-F(v)}/Z$ | `rbm.free_energy(v)` |
# | slope | $\mathbb{E}_{\text{data}}[vh^{\mathsf T}]-\mathbb{E}_{\text{model}}[vh^{\mathsf T}]$ | `exact_gradient(rbm, v)` |
# | CD-$k$ | model's phase after $k$ sweeps from the data; bias $\sim\lambda_2^k$ | `cd_gradient(rbm, v, n_gibbs_steps=k, rng=rng)` |
# | PCD | model's phase from chains that go on | `CDOptions(persistent=True)` |
# | centred | $-E=(v-\mu)^{\mathsf T}W(h-\lambda)+\dots$; inverting the data changes nothing | `CDOptions(centred=True)` |
#
# Three sentences to keep. *The posterior of an RBM is free; its normaliser is not. Training needs only averages under the model, and a chain too short averages over something else. Rebuilding an image well is not finding it likely.*
#
# ## 2.11 A worked exercise
# **Question.** Suppose the data are distributed exactly as the model says. What is the expected CD-$k$ gradient? Does it follow that CD ends at the maximum of the likelihood? Try before you read on.
#
# **Answer.** By R3 a sweep leaves $p(v)$ alone, so $p_{\text{data}}T^k=p_{\text{data}}$ for every $k$, and both phases agree: the gradient of CD is zero, as it should be. So *if* the model can represent the data exactly, the right answer is a place where CD rests. Nothing says that CD
# finds it, and on the lamps the answer lies at infinite weights: CD drifted along a ridge that it could not see.

# %% tags=["label-worked"]
p_v, T = visible_log_prob(toy).exp(), gibbs_transition_matrix(toy)
phase = lambda p: (p[:, None] * v).T @ torch.sigmoid(toy.hidden_logits(v))       # E_p[v hᵀ]
for k in (1, 3):
    after = p_v @ torch.linalg.matrix_power(T, k)                # the data are the model's own
    claim("R5", worst(phase(p_v), phase(after)), below=1e-12, says=f"E[CD-{k}]")

# %% [markdown]
# ## Where this goes next
# [Chapter 3](03_log_z.ipynb) measures: exact where it can, estimated with error bars where it must. Chapter 4 puts one RBM on top of another. There the free posterior of R1 becomes the $q$ of chapter 1.
#
# **Exercises:** [open them here](../exercises/02_rbm/02_rbm.ipynb). Eight of them, from one line to an hour, with checks that know what usually goes wrong.
