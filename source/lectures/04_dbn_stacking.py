# %% [markdown]
# # 4 · Deep belief networks
#
# **What is a DBN, how is it trained and sampled, and where does this training come from?**
#
# The hidden layer of an RBM has two jobs. Unit by unit it says which strokes a picture is made of; all units together must also know which strokes go with
# which. One matrix does both. A *deep belief network* keeps the first job and hands the second to another RBM, stacked on top, and its second job perhaps to a
# third. In 2006 this was how deep networks were first trained at all. This chapter says what such a stack *is*, checks its formulas on a network so small that nothing can
# hide, samples it, trains it layer by layer, and is left with a question.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | write the joint distribution of a DBN and every conditional with the right sign, bias and orientation; tell a DBN from a deep Boltzmann machine; sample one, and see by counting when a sampler is wrong; train one greedily and say what the next layer must be fed |
# | **Time** | 75 minutes to read and predict, 150 for the exercises; all cells together run in about a minute |
# | **In the lecture** | *Deep Belief Network*, *DBN Layer-wise Training*, *Sampling from DBNs*: claims D1 to D5 and S1 |
# | **You need** | the RBM, its conditionals and its Gibbs sweeps ([chapter 2](02_rbm.ipynb)); the bound and its gap ([chapter 1](01_gibbs_bound.ipynb)) |
# | **Notation** | layers $x=h^0,h^1,\dots,h^L$ of sizes $n_0,\dots,n_L$, all units 0 or 1. $W_t$ joins $h^{t-1}$ and $h^t$ and has shape $(n_{t-1},n_t)$: *(lower, upper)*, always. $b_t$ is the bias with which $h^t$ is generated, $c_t$ the bias with which it is recognised. $P$ points down, $Q$ points up |

# %% tags=["label-setup"]
import torch
from deepgen_lib import DBN, all_states, joint_log_prob, random_rbm, sample_bernoulli
from deepgen_lib import claim, explore, planted_error, plots, predict, predict_number, reveal
torch.set_grad_enabled(False)      # this chapter needs no automatic differentiation
torch.set_num_threads(1)

# %% [markdown]
# ## 4.1 One RBM on top, arrows below
#
# Our specimen has layers of 5, 4, 3 and 2 units. The sizes all differ, so that a matrix the wrong way round cannot go unnoticed. It is stacked from three
# RBMs whose numbers are drawn at random: of the top one everything is used, of the lower ones only the way down (and, for later, the way up).

# %% tags=["label-net"]
g = torch.Generator().manual_seed(4713)
rbms = [random_rbm(5, 4, scale=2.0, rng=g), random_rbm(4, 3, scale=1.0, rng=g),
        random_rbm(3, 2, scale=3.5, rng=g)]                    # bottom up
net = DBN(rbms)
x, h1, h2, h3 = map(all_states, net.n_units)                   # (32, 5), (16, 4), (8, 3), (4, 2)
plots.dbn.anatomy(net.n_units,
                  says="Left and middle: the two halves of a DBN. Right: what it is not.")

# %% [markdown]
# **Left**: how a DBN makes a picture. The top two layers ask each other until they agree (black, both ways: an RBM). Then the answer falls down the arrows (blue), one layer
# after the other, and nothing comes back up. **Middle**: the same weights read upwards (orange). This half guesses causes from pictures; it is *not* part of the model. **Right**: a deep
# Boltzmann machine, in which every layer listens to both of its neighbours. It is another model, and the two are confused often.
#
# > **D1.** The joint distribution of the DBN is a product of tables,
# > $$p(x,h^1,h^2,h^3)=p(h^2,h^3)\;P(h^1\mid h^2)\;P(x\mid h^1),$$
# > and it sums to one without any further constant.

# %% tags=["label-predict-sum"]
predict("4.a", "Turn one arrow: Q(h2 | h1) for P(h1 | h2). The product over all states sums to",
        ["1: a conditional either way", "something else", "1 if the weights are small"])

# %% tags=["label-factors"]
def coins(on, states):
    """Chance of every state when unit j is on with chance on[:, j].  (B, n), (S, n) -> (B, S)"""
    return torch.where(states.bool(), on[:, None], 1 - on[:, None]).prod(2)

p_top = joint_log_prob(net.top).exp()                          # p(h2, h3)   (8, 4)
p_h1 = coins(net.generation_logits(2, h2).sigmoid(), h1)       # P(h1 | h2)  (8, 16), each row 1
p_x = coins(net.generation_logits(1, h1).sigmoid(), x)         # P(x | h1)   (16, 32), each row 1
p = torch.einsum("ax,ba,bc->xabc", p_x, p_h1, p_top)           # all 16,384 joint probabilities

# %% tags=["label-d1", "claim-D1"]
from deepgen_lib import dbn_joint_log_prob

worst = lambda a, b: (a - b).abs().max()                       # the largest difference
claim("D1", (p.sum() - 1).abs(), below=1e-12, says="sum of 16,384 probabilities minus 1")
claim("D1", worst(p, dbn_joint_log_prob(net).exp()), below=1e-12, says="table - library's")

# %% tags=["label-d1-planted", "planted-D1"]
q_h2 = coins(net.recognition_logits(2, h1).sigmoid(), h2)      # Q(h2 | h1)  (16, 8)
turned = torch.einsum("ax,ab,bc->xabc", p_x, q_h2, p_top).sum()
planted_error("D1", (turned - 1).abs(), below=1e-12, says="one arrow turned")
scores = h2 @ net.top.W @ h3.T + (h2 @ net.top.b)[:, None] + h3 @ net.top.c
no_z = torch.einsum("ax,ba,bc->xabc", p_x, p_h1, scores.exp()).sum()
planted_error("D1", (no_z - 1).abs(), below=1e-12, says="the Z of the top RBM forgotten")
reveal("4.a", 1, f"It sums to {turned:.3f}: a factor must condition on what was drawn before it.")

# %% tags=["label-d1-picture", "picture-D1"]
plots.dbn.factors(net, says="Three tables: one sums to 1 as a whole, the others by columns.")

# %% [markdown]
# **What to notice.** Only one constant must be known, the $Z$ of the *top* RBM. The lower layers bring their own normalisers, one per unit. That is what the arrows
# buy: read from the top down, every factor is a conditional probability of what has not been said yet. Turn one arrow, and the sum is 3.865.
#
# ### Not a deep Boltzmann machine
# > **D2.** The two top layers of a DBN are an RBM: with $x$ and $h^1$ summed away,
# > $$p(h^2,h^3)=\exp\big(h^{2\mathsf T}W_3h^3+b_2^{\mathsf T}h^2+b_3^{\mathsf T}h^3\big)\big/Z.$$
#
# That is so because nothing points up. Layer by layer:

# %% tags=["label-dbn-and-dbm"]
plots.diagrams.dbn_and_dbm()

# %% [markdown]
# In the deep Boltzmann machine with the very same numbers all energies are added, and normalised once:

# %% tags=["label-dbm"]
def undirected(dbn):
    """p of the deep Boltzmann machine with a DBN's numbers.  -> (2**n_0, ..., 2**n_3)"""
    first, second, top = *dbn.directed, dbn.top
    bottom = x @ first.W @ h1.T + (x @ first.b)[:, None]
    middle = h1 @ second.W @ h2.T + (h1 @ second.b)[:, None]
    above = h2 @ top.W @ h3.T + (h2 @ top.b)[:, None] + h3 @ top.c
    score = bottom[:, :, None, None] + middle[:, :, None] + above
    return torch.softmax(score.flatten(), 0).reshape(score.shape)

dbm = undirected(net)

# %% tags=["label-d2", "claim-D2", "planted-D2"]
claim("D2", worst(p.sum((0, 1)), p_top), below=1e-12, says="p(h2, h3): table against RBM")
planted_error("D2", worst(dbm.sum((0, 1)), p_top), below=1e-12, says="all layers undirected")
apart = (dbm.sum((1, 2, 3)) - p.sum((1, 2, 3))).abs().sum() / 2
print(f"p(x) of the two models: total variation {apart:.3f}")

# %% tags=["label-d2-picture", "picture-D2"]
pairs = {"DBN, x and h¹ summed away": p.sum((0, 1)), "RBM on top, alone": p_top,
         "deep Boltzmann machine": dbm.sum((0, 1))}
plots.dbn.tables(pairs, rows="h²", columns="h³",
                 says="In a DBN the top pair does not feel the layers below; in a DBM it does.")

# %% [markdown]
# **What to notice.** The first two tables are one. In the deep Boltzmann machine the layers below have a vote: each state of $h^2$ is weighed with the number of ways in which lower layers can go along with it. Same numbers, other
# model: 0.606 of the probability of $x$ lies elsewhere.
#
# ## 4.2 Down the arrows
#
# > **D3.** Below the top, every unit is a sigmoid of the layer above:
# > $$P(x_i=1\mid h^1)=\sigma\big(b_0+W_1h^1\big)_i,\qquad P(h^1_j=1\mid h^2)=\sigma\big(b_1+W_2h^2\big)_j,$$
# > and it does not matter what the layers further up are.
#
# From the joint table: divide, and see which units are on.

# %% tags=["label-conditionals"]
sigma = torch.sigmoid
b0, b1 = net.directed[0].b, net.directed[1].b
W1, W2 = net.directed[0].W, net.directed[1].W                  # (5, 4) and (4, 3): (lower, upper)
given_all = p / p.sum(0)                                       # p(x | h1, h2, h3)
x_on = torch.einsum("xi,xabc->abci", x, given_all)             # chance of x_i = 1 given the rest
pair = p.sum((0, 3))                                           # p(h1, h2)
h1_on = (h1.T @ pair / pair.sum(0)).T                          # chance of h1_j = 1 given h2

# %% tags=["label-d3", "claim-D3"]
formula = sigma(b0 + h1 @ W1.T)                                # (16, 5)
claim("D3", worst(x_on, formula[:, None, None]), below=1e-12, says="x: table - formula")
claim("D3", worst(h1_on, sigma(b1 + h2 @ W2.T)), below=1e-12, says="h1: table - formula")

# %% [markdown]
# > **Erratum (D3).** The slides write $W^{(3)}$ as *lower × upper* ($h^{2\mathsf T}W^{(3)}h^3$), but $W^{(1)}$ and $W^{(2)}$ as *upper × lower* ($W^{(1)\mathsf T}h^1$ for the units of $x$). Each
# > line is right by itself. Whoever takes all matrices to be alike, as RBMs stacked by a program are, multiplies by the wrong one.
#
# On our network the mistake cannot even be made:

# %% tags=["label-transpose"]
try:
    sigma(b0 + h1 @ W1)                                        # as if W1 were upper x lower
except RuntimeError as refused:
    print(refused)

# %% [markdown]
# On a network with equal layers nothing complains:

# %% tags=["label-d3-planted", "planted-D3"]
square = DBN([random_rbm(4, 4, rng=g) for _ in range(3)])
first, states = square.directed[0], all_states(4)
table = dbn_joint_log_prob(square).exp().sum((2, 3))           # p(x, h1)
on = (states.T @ table / table.sum(0)).T                       # chance of x_i = 1 given h1
right, turned = sigma(first.b + states @ first.W.T), sigma(first.b + states @ first.W)
claim("D3", worst(on, right), below=1e-12, says="equal layers, table - formula")
planted_error("D3", worst(on, turned), below=1e-12, says="the transposed matrix")

# %% tags=["label-d3-picture", "picture-D3"]
by = {"W (lower, upper)": right, "transposed": turned}
dots = {name: torch.stack([on.flatten(), chance.flatten()], 1) for name, chance in by.items()}
plots.scatter(dots, xlabel="chance of x_i = 1 from the table", ylabel="chance by the formula",
              says="The right formula lies on the diagonal; the transposed one is a cloud.")

# %% [markdown]
# **What to notice.** Every chance is a probability, every shape fits, and the cloud is wrong by up to 0.656. This is why the layers of a test network should all have different sizes.
#
# ## 4.3 Up the arrows: a guess
#
# Which causes made this $x$? Read each RBM upwards, as in chapter 2. The network then has two sets of arrows. They share the weights $W_t$, but each way has biases of its own:

# %% tags=["label-two-ways"]
plots.diagrams.dbn()

# %% [markdown]
# > **D4.** Recognition $Q$ and generation $P$ are products of sigmoids:
# > $$Q(h^t_j=1\mid h^{t-1})=\sigma\big(c_t+W_t^{\mathsf T}h^{t-1}\big)_j,\qquad P(h^{t-1}_i=1\mid h^t)=\sigma\big(b_{t-1}+W_th^t\big)_i,\qquad \sigma(a)=\frac1{1+e^{-a}}.$$
# > $c_t$ is the *hidden* bias of RBM $t$; $b_{t-1}$ is the *visible* bias of RBM $t$. So a layer in the middle has two biases: $c_1$ when it is recognised from $x$, $b_1$ when it is
# > generated from $h^2$.
#
# > **Erratum (D4).** On the slide both are printed as $1/(1+\exp(Wh))$: the minus sign and the bias are missing.

# %% tags=["label-predict-sign"]
predict("4.b", "Biases zero. As printed, a unit that should be on with chance 0.9 is on with",
        ["0.9: the sign is a convention", "0.1", "0.5"])

# %% tags=["label-d4", "claim-D4"]
for t, rbm, lower, upper in ((1, rbms[0], x, h1), (2, rbms[1], h1, h2)):
    joint = joint_log_prob(rbm).exp()                          # of RBM t alone, (lower, upper)
    q, generated = joint / joint.sum(1, keepdim=True), (joint / joint.sum(0)).T
    up, down = sigma(lower @ rbm.W + rbm.c), sigma(upper @ rbm.W.T + rbm.b)
    claim("D4", worst(q, coins(up, upper)), below=1e-12, says=f"Q, RBM {t}: table - sigmoids")
    claim("D4", worst(generated, coins(down, lower)), below=1e-12, says=f"P, RBM {t}: the same")
    library = sigma(net.recognition_logits(t, lower))
    claim("D4", worst(up, library), below=1e-12, says=f"Q, RBM {t}: sigmoids - library")

# %% tags=["label-d4-planted", "planted-D4"]
c1 = net.recognition[0].c
joint = joint_log_prob(rbms[0]).exp()
q_x = joint / joint.sum(1, keepdim=True)                       # Q(h1 | x), (32, 16)
printed = lambda a: 1 / (1 + a.exp())
off = lambda chances: worst(q_x, coins(chances, h1))
planted_error("D4", off(printed(x @ W1)), below=1e-12, says="the formula as printed")
planted_error("D4", off(printed(c1 + x @ W1)), below=1e-12, says="a bias, but still no minus")
planted_error("D4", off(sigma(b1 + x @ W1)), below=1e-12, says="the bias b1 in place of c1")
claim("D4", worst(printed(x @ W1), 1 - sigma(x @ W1)), below=1e-12, says="printed against 1 - p")
reveal("4.b", 1, "Without the minus every unit does the opposite: 1 - p.")

# %% tags=["label-d4-picture", "picture-D4"]
q_on = q_x @ h1                                                # chance of h1_j = 1 given x
curves = {"right": sigma, "as printed": printed}
plots.dbn.units({"from the table": (c1 + x @ W1, q_on)}, curves, xlabel="input  c + Wᵀx",
                says="The units follow the sigmoid with the minus.")

# %% [markdown]
# **What to notice.** The 128 units of the table lie on one curve. The printed one is its mirror image.
#
# ### Q is not the posterior
# $Q(h^1\mid x)$ is what the *first RBM* believed about $x$. But its $p(h^1)$ has been replaced by what the upper layers say, and with the prior the posterior changes:
# $p(h^1\mid x)\propto P(x\mid h^1)\,p(h^1)$. In general it is not even a product. We have the table, so let us look.

# %% tags=["label-predict-product"]
predict("4.c", "For each x, four coins for the units of h1, as well set as possible, are",
        ["exactly the posterior p(h1 | x)", "close, but not exact", "exact if Q sets the coins"])

# %% tags=["label-posterior"]
from deepgen_lib import kl_divergence

posterior = p.sum((2, 3)) / p.sum((1, 2, 3))[:, None]          # p(h1 | x), (32, 16)
own_coins = coins(posterior @ h1, h1)                          # the product with the same chances
tangled = kl_divergence(posterior, own_coins)
n = tangled.argmax()
print(f"lost by coins: mean {tangled.mean():.3f} nats, largest {tangled[n]:.3f}")
print("at x =", *x[n].int().tolist(), f"Q loses {kl_divergence(q_x, posterior)[n]:.2f} nats")

# %% tags=["label-posterior-picture"]
shown = {"posterior": posterior[n], "its own coins": own_coins[n], "q": q_x[n]}
display(plots.dbn.states(shown, layer="h¹", says="Causes explain one another away; coins cannot."))
reveal("4.c", 1, "The posterior couples its units: where one cause explains x, others need not.")

# %% [markdown]
# A wrong $q$ is not useless: by chapter 1 every $q$ gives a lower bound, and what it misses is a KL. For all hidden layers below the top, $q=Q(h^1\mid x)\,Q(h^2\mid h^1)$:

# %% tags=["label-bound"]
from deepgen_lib import wake_kl

log_p, bound = net.log_likelihood(x), net.bound(x).total
claim("D4", worst(bound + wake_kl(net, x), log_p), below=1e-10, says="bound + KL against log p")
claim("D4", worst(log_p.exp(), p.sum((1, 2, 3))), below=1e-12, says="p(x), library - table")
print(f"gap, mean over the model's own pictures: {log_p.exp() @ (log_p - bound):.2f} nats")

# %% [markdown]
# **What to notice.** Coins lose up to 0.321 nats, and $Q$, whose coins are set by another model, 2.32 for the same picture. On average the gap is 2.61 nats. That is terrible, and no wonder: these layers were drawn at random, and RBM 1 knows nothing of the layers above it. Layers that were *trained* one on top of the other fit together much
# better. The section after the next trains some.
#
# ## 4.4 Sampling
#
# > **S1.** To sample a DBN: run the Gibbs chain of the *top RBM* until it has forgotten its start, take its $h^2$, then go down once, drawing each layer from $P$.
#
# Nothing is repeated below the top. We start all 20,000 chains in the same corner, $h^2=000$, to make it hard, and count how often each of the 32 pictures turns up. The measure is
# $\chi^2=\sum_x(\text{seen}-\text{expected})^2/\text{expected}$. For honest samples it is about 31, and above 75 once in 60,000 experiments.

# %% tags=["label-count"]
p_model = p.sum((1, 2, 3))                                     # exact p(x), (32,)

def count(samples):
    """How often each state occurs.  (N, 5) -> (32,)"""
    codes = samples @ torch.tensor([16, 8, 4, 2, 1]).double()
    return torch.bincount(codes.long(), minlength=32).double()

def chi_square(seen):
    expected = seen.sum() * p_model
    return ((seen - expected) ** 2 / expected).sum()

# %% tags=["label-sampler"]
corner = torch.zeros(20_000, 3).double()                       # h2 = 000, one row per chain
def top_then_down(n_steps, rng, start=corner):
    return net.sample(20_000, n_gibbs_steps=n_steps, start=start, rng=rng)

# %% [markdown]
# How long is "until it has forgotten"? The top RBM is small enough to ask its transition table (chapter 2).

# %% tags=["label-s1", "claim-S1", "rtol-0.02", "atol-0.5"]
from deepgen_lib.enumeration import gibbs_transition_matrix

keeps = torch.linalg.eigvals(gibbs_transition_matrix(net.top)).abs().sort().values[-2]
print(f"a sweep keeps {keeps:.3f} of an error, a hundred keep {keeps**100:.1e}")
rng = torch.Generator().manual_seed(0)
starts = [state.expand(20_000, -1) for state in h2]
chi = [chi_square(count(top_then_down(100, rng, start))) for start in starts]
claim("S1", max(chi), below=75, says="largest chi-square over all 8 starting states")
print("chi-square:", *(f"{c:.1f}" for c in chi))

# %% [markdown]
# ### Four ways to get it wrong
# 1. **Skip the chain**: draw something at the top, go down once.
# 2. **Too few sweeps.** The same mistake, halved.
# 3. **Gibbs through all layers**, each unit listening to the layer below *and* above. A fine sampler, of the deep Boltzmann machine.
# 4. **Probabilities going down** instead of samples: "less noise".

# %% tags=["label-wrong-samplers"]
from deepgen_lib import gibbs_chain

def all_layers(dbn, layers, n_steps, rng):
    """Gibbs over all layers as if every pair were undirected.  layers: their states, x first."""
    W = [*(pair.W for pair in dbn.directed), dbn.top.W]
    b = [*(pair.b for pair in dbn.directed), dbn.top.b, dbn.top.c]
    for t in [*range(1, len(b), 2), *range(0, len(b), 2)] * n_steps:     # odd, then even ones
        below = layers[t - 1] @ W[t - 1] if t > 0 else 0
        above = layers[t + 1] @ W[t].T if t < len(W) else 0
        layers[t] = sample_bernoulli(b[t] + below + above, rng)
    return layers[0]

# %% tags=["label-wrong-samplers-two"]
def by_turns(n_steps, rng):
    layers = [torch.zeros(20_000, n).double() for n in net.n_units]
    layers[0] = net.descend(corner, rng)
    return all_layers(net, layers, n_steps, rng)

def probabilities_down(n_steps, rng):
    h2 = gibbs_chain(net.top, corner, n_steps=n_steps, rng=rng)
    h1 = sigma(net.generation_logits(2, h2))                   # not drawn
    return sample_bernoulli(net.generation_logits(1, h1), rng)

# %% tags=["label-predict-probabilities"]
predict("4.d", "Probabilities passed down, after 100 top sweeps. The frequencies of x are",
        ["right: the mean is what counts", "wrong", "right if n is large enough"])

# %% tags=["label-s1-planted", "planted-S1", "rtol-0.02"]
wrong = {"the top chain skipped": top_then_down(0, rng), "ten top sweeps": top_then_down(10, rng),
         "Gibbs through all layers": by_turns(100, rng),
         "probabilities going down": probabilities_down(100, rng)}
for name, samples in wrong.items():
    planted_error("S1", chi_square(count(samples)), below=75, says=name)
reveal("4.d", 1, "A pixel must follow one state of h1; the average state tells no story at all.")

# %% [markdown]
# Move the sliders: how many sweeps until the right sampler passes? Do more sweeps help the wrong ones?

# %% tags=["label-s1-picture", "picture-S1", "rtol-0.02", "atol-0.001"]
samplers = {"top, then down": top_then_down, "all layers by turns": by_turns,
            "probabilities down": probabilities_down}
drawn = {name: {k: count(sampler(k, rng.manual_seed(1))) for k in (0, 1, 3, 10, 30, 100)}
         for name, sampler in samplers.items()}
explore(plots.dbn.sampling(drawn, p_model, allowed=75), start={"steps": 10})

# %% [markdown]
# **What to notice.** Sweeps cure a bad start and nothing else. The right sampler needs many here because one sweep keeps 0.905 of an error. Gibbs through all layers converges too, to $p(x)$ of the
# other model. And all of these samples *look* like samples: no single one of them is impossible. Only counting tells.
#
# ## 4.5 One layer after the other
#
# > **D5.** Greedy training: train an RBM on the data. Freeze it. Draw $h^1\sim Q(h^1\mid x)$ for the training data and train the next RBM on these *samples*. Freeze it, and so on. If each layer starts as the transpose
# > of the one below, and climbs exactly, the bound on $\log p(x)$ rises layer by layer.
#
# Fourteen pictures of $3\times3$ pixels, all bars and stripes; the best possible score is $-\log14=-2.639$. Each layer climbs with the exact gradient, and the bound is computed exactly, so nothing is left to luck. `move` is
# one such step (chapter 2: data's phase minus model's phase) on examples that may have different weights; `climb` takes 300 of them and writes down bound and likelihood of the whole stack on the way.

# %% tags=["label-climb"]
from deepgen_lib import aggregated_posterior, tied_rbm, visible_log_prob
from deepgen_lib.data import bars_and_stripes

def move(rbm, rows, weights, rate=0.5):
    """One exact step up Σ weights · log p(rows).  (N, V), (N,)"""
    every, p_v = all_states(rbm.n_visible), visible_log_prob(rbm).exp()
    on, on_model = sigma(rbm.hidden_logits(rows)), sigma(rbm.hidden_logits(every))
    data, model = weights[:, None] * rows, p_v[:, None] * every
    rbm.W += rate * (data.T @ on - model.T @ on_model)
    rbm.b += rate * (data.sum(0) - model.sum(0))
    rbm.c += rate * (weights @ on - p_v @ on_model)

# %% tags=["label-greedy"]
bars, equal = bars_and_stripes(3), torch.full((14,), 1 / 14).double()

def climb(rbm, rows, weights, below=(), n_updates=300):
    """Exact ascent; mean (bound, log p) of the DBN every ten updates.  -> (T, 2)"""
    seen = []
    for update in range(n_updates + 1):
        if update % 10 == 0:
            dbn = DBN([*below, rbm])
            seen.append([dbn.bound(bars).total.mean(), dbn.log_likelihood(bars).mean()])
        if update < n_updates:
            move(rbm, rows, weights)
    return torch.tensor(seen).double()

# %% [markdown]
# Now the stack. A new layer is `tied_rbm(...)` of the one below: the same weights transposed, visible and hidden biases exchanged. Its training data are samples of $Q$; instead of drawing them we compute how often each state of the layer
# would be drawn, the *aggregated posterior* $\frac1N\sum_xQ(h\mid x)$.

# %% tags=["label-predict-seam"]
predict_number("4.f", "A second layer is put on top, tied, not yet trained. The bound jumps by",
               unit="nats")

# %% tags=["label-stack"]
stack = [random_rbm(9, 6, rng=torch.Generator().manual_seed(0))]
trace = [climb(stack[0], bars, equal)]
for level in (1, 2):
    new = tied_rbm(stack[-1])                                  # starts as the transpose
    shares = aggregated_posterior(DBN([*stack, new]), bars, level=level)    # how often each state
    trace.append(climb(new, all_states(new.n_visible), shares, below=stack))
    stack.append(new)

# %% tags=["label-d5", "claim-D5"]
bounds, log_p = torch.stack(trace).unbind(2)                   # (3 layers, 31) each
seams = (bounds[1:, 0] - bounds[:-1, -1]).abs()
claim("D5", bounds.diff(dim=1).min(), above=0, says="smallest rise of the bound in ten updates")
claim("D5", seams.max(), below=1e-10, says="jump of the bound when a layer is added")
claim("D5", (log_p - bounds).min(), above=-1e-10, says="log p(x) minus the bound")
reveal("4.f", round(seams.max().item(), 6), "And with a random start?", within=0.001)
fresh = DBN([stack[0], random_rbm(6, 9, scale=0.1, rng=g)]).bound(bars).total.mean()
planted_error("D5", (fresh - bounds[0, -1]).abs(), below=1e-10, says="a random start")
print("bound after each layer:", *(f"{b:.4f}" for b in bounds[:, -1]))
print(f"log p minus bound at the end: {(log_p - bounds)[2, -1]:.3f}")

# %% [markdown]
# The curve from update 200 on (before that the first RBM climbs from far below):

# %% tags=["label-d5-picture", "picture-D5"]
at = torch.cat([torch.arange(0, 301, 10) + 300 * layer for layer in range(3)])
late = at >= 200
series = {"likelihood": log_p.flatten()[late], "bound": bounds.flatten()[late]}
plots.dbn.climb(at[late], series, layers={"layer 1": 200, "layer 2": 300, "layer 3": 600},
                says="The bound goes on where it was and rises with every layer.")

# %% [markdown]
# **What to notice.** The first RBM ends at −3.6330; with a second layer the bound reaches −3.5152, with a third −3.5045. At every seam the curve is continuous: a layer that starts as the transpose changes nothing. For one RBM bound and
# likelihood are the same; afterwards the likelihood runs a little ahead. The gap stays small, 0.021 at the end where layers drawn at random had 2.61 nats, because these layers grew on one another. (Layer 1 was stopped before it had finished. A fresh start does not have to be perfect to be built on.)
#
# ### What the next layer must be fed
# The slide says to treat the *inferred values* $Q(h^1\mid x)$ as data. Three readings: draw each unit; pass the probabilities on as if they were data; or round them to 0 and 1.

# %% tags=["label-predict-feed"]
predict("4.e", "Which of the three raises the bound to what the second layer can reach at all?",
        ["samples only", "samples and probabilities", "all three: it is the same information"])

# %% tags=["label-feed"]
chances = sigma(bars @ stack[0].W + stack[0].c)                # Q(h1_j = 1 | x), (14, 6)
samples = aggregated_posterior(DBN(stack[:2]), bars)           # share of each of the 64 states
feeds = {"samples": (all_states(6), samples), "probabilities": (chances, equal),
         "rounded": ((chances > 0.5).double(), equal)}
fed = {name: climb(tied_rbm(stack[0]), rows, weights, below=stack[:1], n_updates=2000)
       for name, (rows, weights) in feeds.items()}

# %% [markdown]
# How high can the second layer lift the bound? Its best $p(h^1)$ is the distribution of the samples themselves, the aggregated posterior. Then the bound's prior term is as large as it can get.

# %% tags=["label-d5-planted", "planted-D5"]
terms = DBN(stack[:2]).bound(bars)
ceiling = (terms.reconstruction + terms.entropy).mean() + (samples * samples.log()).sum()
below = {name: ceiling - found[-1, 0] for name, found in fed.items()}
claim("D5", below["samples"], below=0.01, says="nats from the ceiling, fed with samples")
planted_error("D5", below["probabilities"], below=0.01, says="probabilities for samples")
planted_error("D5", below["rounded"], below=0.01, says="rounded values for samples")
ends = {name: found[-1] for name, found in fed.items()}
plots.table(ends | {"ceiling": [ceiling, ""]}, columns=["bound", "log p"], digits=4)

# %% tags=["label-feed-picture"]
lines = {name: found[:, 0] for name, found in fed.items()} | {"exact ceiling": [ceiling] * 201}
display(plots.lines(range(0, 2001, 10), lines, xlabel="updates of layer 2", ylabel="bound (nats)",
                    says="Only samples take the bound to its ceiling; rounded, it falls again."))
reveal("4.e", 0, "How often a unit is on, and which are on together: only samples carry both.")

# %% [markdown]
# **What to notice.** Samples end at −3.4609, as good as the ceiling of −3.4583. Probabilities end at −3.4809, and ten times as many updates would not close the gap: theirs is another objective, with another optimum. Rounded, the bound turns and falls to −3.6397. And look at the last column of the table: the rounded layer has the best
# *likelihood* of the three, −3.3624. The bound is what greedy training climbs, not the likelihood; most of the time they go together, and here they do not. Chapter 5 says what is guaranteed.
#
# ## 4.6 The real thing
#
# MNIST. First with 16 hidden units in every other layer, 784-16-784-16: then $\log Z$ of each RBM in the stack is a sum over 65,536 states, exact, and the bound has no error but that of drawing $h$ once for
# each of 10,000 test images. Every layer gets 2,000 updates of sampled training (centred PCD); the next layer's data are drawn anew for each batch.

# %% tags=["label-mnist"]
from deepgen_lib import AggregatedPosterior, CDOptions, RBM, RBMTrainer, base_rate, fit
from deepgen_lib import init_visible_bias, load_mnist, log_partition
from deepgen_lib.stacking import sample_upwards

train = load_mnist("train", binarisation="fixed").images       # (50000, 784), 0 or 1
test = load_mnist("test", binarisation="fixed").images         # (10000, 784)

# %% tags=["label-train-layer"]
def train_layer(rbm, lower, n_updates, learning_rate=0.1):
    """Train rbm on samples drawn through the frozen RBMs in `lower`."""
    options = CDOptions(persistent=True, centred=True, learning_rate=learning_rate)
    mean = base_rate(sample_upwards(lower, train[:10_000], rng))
    trainer = RBMTrainer(rbm, options, data_mean=mean, rng=rng)
    trainer = AggregatedPosterior(lower, trainer) if lower else trainer    # x -> samples of h
    fit(trainer, train, n_updates=n_updates, rng=rng)

# %% tags=["label-mnist-train"]
rng.manual_seed(0)
tower, totals = [init_visible_bias(RBM(784, 16, rng=rng), base_rate(train))], []
for level in range(3):
    if level:
        tower.append(tied_rbm(tower[-1]))                      # 16-784, then 784-16
    train_layer(tower[-1], tower[:-1], n_updates=2000)
    log_z = log_partition(tower[-1].double()).item()           # exact, from 65,536 states
    dbn = DBN([rbm.float() for rbm in tower])
    one_draw = dict(n_samples=1, rng=torch.Generator().manual_seed(1))
    totals.append(dbn.bound(test, log_z=log_z, **one_draw).total)

# %% tags=["label-mnist-bound", "rtol-0.01", "atol-0.5"]
means = [total.mean().item() for total in totals]
gains = [(new - old).mean().item() for old, new in zip(totals, totals[1:])]
errors = [(new - old).std().item() / 100 for old, new in zip(totals, totals[1:])]
# Five other seeds: one RBM -153.3 to -152.9, the second layer adds 1.5 to 1.9, the third ±0.1.
claim("D5", means[0], between=(-155, -150), says="one RBM: log p, nats per test image")
claim("D5", gains[0], between=(1.0, 2.5), says="nats that the second layer adds")
claim("D5", gains[1], between=(-0.4, 0.5), says="nats that the third layer adds")
plots.table({"784-16": [means[0], "", ""], "784-16-784": [means[1], gains[0], errors[0]],
             "784-16-784-16": [means[2], gains[1], errors[1]]}, digits=2, corner="layers",
            columns=["bound, nats per test image", "gained", "standard error"])

# %% [markdown]
# **What to notice.** The second layer adds 1.46 nats per image, with an error bar of 0.02. The score of the single RBM was its exact $\log p$; so $\log p$ of the network on top of it is higher by at least that much. The third adds nothing that its error bar could tell from nothing. That is common: the second layer already
# knows the distribution of those 16 bits well, and little is left. (In all six runs of this cell, each with another seed, the second layer added 1.4 to 2 nats and the third a seventh of a nat at most, or took a little. Rounded values or probabilities as data did about as well here: with 16 units $Q$ is nearly sure of each.)
#
# ### Digits
# Now 500 units, and pictures. The first RBM is the long-trained one of chapter 3; on top of it a second layer of 784 units, tied, which gets 1,000 updates now.

# %% tags=["label-big"]
from deepgen_lib import load_model
from deepgen_lib.data import EMBEDDED

first = load_model(EMBEDDED / "checkpoints" / "rbm500_long.safetensors", RBM(784, 500))
second = tied_rbm(first)
train_layer(second, [first], n_updates=1000, learning_rate=0.02)
digits = DBN([first, second])                                  # 784-500-784

# %% tags=["label-big-samples", "rtol-0.1", "atol-0.2"]
states, frames = torch.bernoulli(torch.full((12, 500), 0.5), generator=rng), []
for n_steps in (0, 10, 90, 900):
    states = gibbs_chain(digits.top, states, n_steps=n_steps, rng=rng)
    frames.append(digits.descend(states, rng, means=True))
rows = ["no top sweep", "10", "100", "1,000"]
plots.image_grid(torch.cat(frames), row_labels=rows,
                 says="Twelve chains in the top RBM, each looked at through one pass down.")

# %% [markdown]
# **What to notice.** Without a single top sweep the states of $h^1$ are coins, and down falls a smudge: layer 1 knows strokes, but not which go together. That is what the top RBM knows, and after a hundred sweeps it has agreed on digits. This is the division of labour that we set out for. (No number here: $\log Z$ of this top RBM has
# to be estimated, and chapter 6 does so with care.)
#
# And the sampler for the other model?

# %% tags=["label-big-wrong", "rtol-0.1", "atol-0.2"]
layers = [digits.descend(states, rng), states, torch.zeros(12, 784)]
x_wrong = all_layers(digits, layers, 300, rng)
mean_wrong = sigma(digits.generation_logits(1, layers[1]))
plots.image_grid(torch.cat([frames[-1], mean_wrong]), row_labels=["top, then down", "all layers"],
                 says="One network, sampled as what it is and as a deep Boltzmann machine.")

# %% [markdown]
# **What to notice.** Solid ink. Each unit of $h^1$ was trained to hear one neighbour, $x$ on the way up or $h^2$ on the way down. Here it hears both at once, they tell the same story, and it believes the story twice as firmly; so does the next layer, and the chain runs away. Deep Boltzmann machines are also
# stacked from RBMs, but whoever does so must make up for this doubling (Salakhutdinov and Hinton 2009). A DBN needs nothing of the kind, as long as one samples *it*.
#
# ## 4.7 The slides and this chapter
#
# | | on the slide | here |
# |:--|:--|:--|
# | D3 | $W^{(3)}$ is lower × upper, $W^{(1)}$ and $W^{(2)}$ are upper × lower | all matrices (lower, upper): $P(x_i=1\mid h^1)=\sigma(b_0+W_1h^1)_i$, no transpose on the way down |
# | D4 | $1/(1+\exp(Wh))$ for $Q$ and for $P$ | $Q=\sigma(c_t+W_t^{\mathsf T}h^{t-1})$, $P=\sigma(b_{t-1}+W_th^t)$, with $\sigma(a)=1/(1+e^{-a})$ |
#
# One phrase can be sharpened (D5): the next layer's data are *samples* of $Q(h^1\mid x)$; "inferred values" leaves that open. And a reading aid for the slide with the joint distribution, which says of itself that it looks odd: read it from the top down, and
# each factor is a conditional probability of the next layer.
#
# ## 4.8 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | joint (D1) | $p(h^{L-1},h^L)\,P(h^{L-2}\mid h^{L-1})\cdots P(x\mid h^1)$ | `DBN(rbms)`, `dbn_joint_log_prob(dbn)` |
# | top (D2) | an RBM, the only $Z$ there is | `dbn.top` |
# | down (D3, D4) | $P=\sigma(b_{t-1}+W_th^t)$ | `dbn.generation_logits(t, upper)` |
# | up (D4) | $Q=\sigma(c_t+W_t^{\mathsf T}h^{t-1})$, a guess at the posterior | `dbn.recognition_logits(t, lower)` |
# | bound | $\mathbb{E}_q[\log P\cdots P+\log p(h^{L-1})]+H(q)\le\log p(x)$ | `dbn.bound(x).total` |
# | train (D5) | RBM by RBM, on $h^t\sim Q$; start tied | `greedy_dbn(x, n_hidden, ...)` |
# | sample (S1) | Gibbs at the top, one pass down | `dbn.sample(n, n_gibbs_steps=..., rng=rng)` |
#
# Three sentences to keep. *A DBN is one RBM with arrows below it; only the top pair talks both ways. Mix at the top, then fall once. The next layer eats samples.*
#
# ## 4.9 A worked exercise
# **Question.** Who is independent of whom? In the network of this chapter: (a) $x$ and $h^2$ given $h^1$; (b) the second and the third unit of $h^1$ given $x$; (c) the same two units given $h^2$. Think of the arrows; then measure by the mutual information, zero for
# independence and for nothing else.
#
# **Answer.** (a) Yes: $P(x\mid h^1)$ does not ask further up. (c) Yes: given the layer above, the units of a layer are separate coins. (b) No: two causes of one effect compete to explain it.

# %% tags=["label-worked"]
def mutual_information(table):
    """Of axes 1 and 2, mean over axis 0.  (C, A, B) joint probabilities -> nats"""
    a, b = table.sum(2, keepdim=True), table.sum(1, keepdim=True)
    return torch.special.xlogy(table, table * a.sum(1, keepdim=True) / (a * b)).sum()

two = lambda q: q.reshape(-1, 2, 2, 2, 2).sum((1, 4))          # the middle two of four units
found = {"x and h2 given h1": p.sum(3).permute(1, 0, 2),
         "two units of h1 given x": two(p.sum((2, 3))),
         "two units of h1 given h2": two(p.sum((0, 3)).T)}
for name, table in found.items():
    nats = mutual_information(table)
    print(f"{name}: {'0' if nats < 1e-12 else f'{nats:.4f} nats'}")

# %% [markdown]
# ## Where does this training come from?
#
# Look again at what we did. Layer 1 was trained as a model of its own, with its own $p(h^1)$. Then we threw that $p(h^1)$ away and put another RBM in its place, trained on samples of a $Q$ that is the posterior of the *old* model and, as we saw, not of the new one. Nothing in this chapter
# says why $\log p(x)$ should rise, or that it may not fall. And yet at the seams the curve was continuous, to ten digits, and afterwards the bound rose at every step. This is no luck. [Chapter 5](05_tied_weights.ipynb) derives the training from the bound of chapter 1: which of its three terms moves, why the
# transposed start is exact, what is guaranteed, and what is not.
#
# **Exercises:** [open them here](../exercises/04_dbn_stacking/04_dbn_stacking.ipynb). Six of them, from three lines to a network built by hand, with checks that know what usually goes wrong.
