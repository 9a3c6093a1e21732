# %% [markdown]
# # 7 · Convolutional DBN
#
# **How do parts become objects?**
#
# Every unit so far saw the whole picture, and a stroke moved by three pixels was a new stroke. Photographs are larger than digits, and an eye may be anywhere. So let one small filter slide over the picture and ask the same question at every place; gather the answers of neighbouring places into one; and stack. What this
# builds is told in three steps: exactly, on blocks that can be enumerated; live, on patches of photographs; and from trained networks, on faces, cars, elephants and chairs.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | write down a convolutional RBM and its way back; say what a block of units with an off state is, and why plain max-pooling is something else; train filters that become edges, and say what a sparsity target is for; read the pictures of higher layers with care; measure how selective a feature is; fill in half a face |
# | **Time** | 75 minutes to read and predict, 100 for the exercises; all cells together run in about a minute |
# | **In the lecture** | *Convolutional DBN*: learning part-based representations, object parts, class-specific object parts: claims C1 to C3 (Lee, Grosse, Ranganath and Ng 2009) |
# | **You need** | RBMs and CD ([chapter 2](02_rbm.ipynb)), greedy stacking ([chapter 4](04_dbn_stacking.ipynb)), probes ([chapter 6](06_up_down.ipynb)) |
# | **Notation** | $v$ the picture; $W^k$ the $k$-th filter, $w\times w$; $h^k_{ij}$ its *detection unit* at place $(i,j)$; $\alpha$ a block of $n\times n$ places, $p^k_\alpha$ its *pooling unit*; $I$ the input of a unit; $\sigma$ a number is the deviation of the pixels, $\sigma(\cdot)$ the logistic function |

# %% tags=["label-setup"]
import math, torch
from torch.nn import functional as F
from deepgen_lib import claim, derivation, explore, planted_error, plots, predict
from deepgen_lib import predict_number, reveal
from deepgen_lib import CDOptions, ConvDBN, ConvRBM, ConvRBMTrainer, fit, probabilistic_max_pool
torch.set_num_threads(1)

# %% [markdown]
# ## 7.1 One question, asked everywhere
#
# A picture of 8 × 8 with two upright edges, and one filter: *dark on the left, light on the right?* Slid over the picture without turning, it gives one input $I$ for each of 6 × 6 places.

# %% tags=["label-slide"]
G = lambda seed: torch.Generator().manual_seed(seed)
v = torch.zeros(8, 8).double()
v[:, 3:6] = 1                                                   # a light bar
edge = torch.tensor([[-1., 0, 1]] * 3).double()
rbm = ConvRBM(1, 1, 3, block=2).double().requires_grad_(False)
rbm.W[:], rbm.c[:] = edge, -2
I, p = rbm.hidden_logits(v[None, None])[0, 0], rbm.max_pool(v[None, None])

# %% tags=["label-slide-picture"]
plots.conv.sliding(v, edge, I, p.p_pool[0, 0],
                   says="A filter, its input at every place, and the chance of each pooling unit.")

# %% [markdown]
# Where dark meets light the input is 1, where light meets dark it is −5, elsewhere the bias −2. On the right, each block of 2 × 2 places has been asked one question: *is the edge anywhere here?* Move the picture by one block, and all answers move by one block:

# %% tags=["label-shift"]
moved = rbm.max_pool(v.roll(2, dims=1)[None, None])
claim("07.1", (moved.p_pool[..., 1:] - p.p_pool[..., :-1]).abs().max(), below=1e-12,
      says="answers for the moved picture against the moved answers")

# %% tags=["label-count"]
places = (64 - 7 + 1)**2                                        # of a 7 x 7 filter on 64 x 64
print(f"16 filters, shared by all places:   {16 * 49 + 16:>9,} parameters")
print(f"the same units, each with its own:  {16 * places * 50:>9,}")

# %% [markdown]
# The **convolutional RBM** is an RBM like any other, of which most weights are zero and the others shared. For pixels with Gaussian noise of deviation $\sigma$ its energy is
#
# $$E(v,h)=\sum\frac{(v-b)^2}{2\sigma^2}-\sum_k\sum_{ij}h^k_{ij}\Big(\frac1{\sigma^2}\sum_{rs}W^k_{rs}\,v_{i+r,\,j+s}+c_k\Big).$$
#
# The bracket is the input $I^k_{ij}$. Note the $1/\sigma^2$: how much a filter's answer counts depends on how far the pixels can be trusted.
#
# ## 7.2 The way back
#
# Down from $h$ to $v$ each unit writes to the window that it has read, with the same weights. In symbols: let $A$ be the way up, $v\mapsto W\star v$. The energy contains $\langle Av,h\rangle$ and nothing else that joins the two; so what the pixels hear is $A^{\mathsf T}h$, the **adjoint**.

# %% tags=["label-predict-turned"]
predict("7.a", "A map with a single 1 in it goes down by sliding a filter over it. Which filter?",
        ["the same W", "W turned by 180 degrees", "W with rows and columns exchanged"])

# %% tags=["label-adjoint"]
from deepgen_lib.conv_rbm import random_conv_rbm

small = random_conv_rbm(1, 3, 3, sigma=0.7, rng=G(0)).requires_grad_(False)
x = torch.randn(1, 1, 8, 6, dtype=torch.float64, generator=G(1))
h = torch.randn(1, 3, 6, 4, dtype=torch.float64, generator=G(2))
up = (F.conv2d(x, small.W) * h).sum()                           # <Av, h>
slid = lambda W: F.conv2d(F.pad(h, [2] * 4), W.transpose(0, 1)) # over the padded map
claim("07.2", (x * small.visible_input(h)).sum() - up, between=(-1e-12, 1e-12),
      says="<v, Aᵀh> - <Av, h>")

# %% tags=["label-adjoint-planted", "planted-C1"]
claim("07.2", (slid(small.W.flip(2, 3)) - small.visible_input(h)).abs().max(), below=1e-12,
      says="Aᵀh against sliding the turned filter")
planted_error("C1", (x * slid(small.W)).sum() - up, between=(-1e-12, 1e-12),
              says="unturned filters on the way down")
reveal("7.a", 1, "Place (i, j) read pixel (i+r, j+s) with W_rs: from the pixel it lies at (-r, -s).")

# %% [markdown]
# ## 7.3 A block makes one choice
#
# Neighbouring places see nearly the same window. If one finds an edge, so do the others, and four loud answers to one edge are three too many. So the units of a block *exclude each other*: at most one is on. A block of four has not $2^4$ states but five, and its pooling unit is on exactly if one of the four is.

# %% tags=["label-pooling-diagram"]
plots.diagrams.pooling()

# %% tags=["label-five-states"]
from deepgen_lib.conv_enumeration import block_states

plots.image_grid(block_states(2).repeat_interleave(8, 1).repeat_interleave(8, 2), columns=5,
                 says="The five states of a block: off, or one unit on (ink).")

# %% tags=["label-predict-off"]
predict("7.b", "All four inputs of a block are I = 0. How probable is the pooling unit off?",
        ["1/16: four coins, all tails", "1/2: as for one unit", "1/5: one state of five"])

# %% [markdown]
# > **C1, probabilistic max-pooling.** Given $v$, the blocks are independent, and each is one softmax over its units *and the off state*, whose input is 0:
# > $$P(h_{ij}=1\mid v)=\frac{e^{I_{ij}}}{1+\sum_{\alpha}e^{I}},\qquad P(p_\alpha=0\mid v)=\frac1{1+\sum_\alpha e^{I}} .$$
#
# We check it against the energy alone: 50 random machines, two filters, pictures of 3 × 5, so that each filter has two blocks side by side: $5^4=625$ states, weighed one by one.

# %% tags=["label-c1-enumerated"]
from deepgen_lib.conv_enumeration import all_pooled_states

states = all_pooled_states(2, 2, 4, block=2)                    # (625, 2, 2, 4)
pools = F.avg_pool2d(states, 2, divisor_override=1)             # (625, 2, 1, 2)

def enumerated(machine):
    """E[h | v] and E[pool | v] from the energy of all 625 states, in one vector."""
    rbm, v = machine
    p = (-rbm.energy(v.expand(625, -1, -1, -1), states)).softmax(0)
    return torch.cat([p @ states.flatten(1), p @ pools.flatten(1)])

# %% tags=["label-c1", "claim-C1"]
def formula(machine):
    rbm, v = machine
    return torch.cat([p.flatten() for p in rbm.max_pool(v)])

machines = [(random_conv_rbm(1, 2, 2, sigma=0.7, rng=G(s)).requires_grad_(False),
             torch.randn(1, 1, 3, 5, dtype=torch.float64, generator=G(100 + s))) for s in range(50)]
derivation("C1", {"all states of the energy": enumerated, "softmax with an off state": formula},
           machines)
zero = probabilistic_max_pool(torch.zeros(1, 1, 2, 2), 2).p_pool.item()
print(f"all inputs 0: P(off) = {1 - zero:.2f}")
reveal("7.b", 2, "e^0 five times. The more places a block has, the more ways there are to be on.")

# %% [markdown]
# Three ways to get it wrong, all of them in use somewhere. Each must miss the enumeration:

# %% tags=["label-c1-planted", "planted-C1"]
def blocks(I):
    """(1, K, 2, 4) -> (1, K, 1, 2, 4): the inputs block by block."""
    return I.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)

pooled = lambda machine: enumerated(machine)[16:]
wrong = {"the +1 forgotten":   lambda r, v: blocks(r.hidden_logits(v)).softmax(4).sum(4),
         "plain max-pooling":  lambda r, v: torch.sigmoid(blocks(r.hidden_logits(v))).amax(4),
         "1/sigma² forgotten": lambda r, v: r.max_pool(v * r.sigma**2).p_pool}
for says, mistake in wrong.items():
    miss = max((mistake(*m).flatten() - pooled(m)).abs().max().item() for m in machines)
    planted_error("C1", miss, below=1e-10, says=says)

# %% [markdown]
# And a fourth: right on paper, lost in the computer.

# %% tags=["label-c1-overflow", "claim-C1", "planted-C1"]
loud = 1000 * torch.randn(1, 8, 4, 4, generator=G(0))           # inputs of a thousand do occur
total = 1 + F.avg_pool2d(loud.exp(), 2, divisor_override=1)     # of each block
naive = loud.exp() / total.repeat_interleave(2, 2).repeat_interleave(2, 3)
safe = probabilistic_max_pool(loud, 2).p_detection
claim("C1", safe.isnan().sum().item(), below=1, says="NaN among 128 chances, inputs of a thousand")
planted_error("C1", naive.isnan().sum().item(), below=1, says="exponentials that overflow")

# %% [markdown]
# What does the exclusion do? Let one input of a block rise while the other three stay at 0.5, −1 and 0:

# %% tags=["label-rivals", "picture-C1"]
plots.conv.rivals(torch.tensor([0., 0.5, -1, 0]), 0, torch.linspace(-6, 6, 49),
                  says="A unit that gains silences its rivals; the pooling unit asks for any of them.")

# %% tags=["label-rivals-print"]
chances = lambda first: probabilistic_max_pool(torch.tensor([[first, 0.5], [-1, 0]])[None, None], 2)
for first in (-6., 6.):
    p = chances(first)
    print(f"I = {first:+.0f}: rival {p.p_detection[0, 0, 0, 1]:.3f}, pooling unit {p.p_pool.item():.3f}")

# %% [markdown]
# **What to notice.** The rival's own input never changed; yet it falls from 0.410 to 0.004. That is *explaining away* inside a block: the edge has been found, it need not be found again. And a pooling unit is a probability of a state of this model, 0.751 on the left, while the plain maximum of the sigmoids is the probability of nothing: it does not know how many places could have answered.
#
# With the blocks independent, everything that an RBM has is there too: the sum over $h$ is a product over blocks, and
# $$F(v)=\sum\frac{(v-b)^2}{2\sigma^2}-\sum_{k,\alpha}\log\Big(1+\sum_\alpha e^{I}\Big).$$
# On binary pictures of 3 × 3, all 512 of them, we can see it sum to one:

# %% tags=["label-free-energy"]
from deepgen_lib.conv_enumeration import all_pictures, conv_log_likelihood, conv_log_partition

tiny = random_conv_rbm(1, 2, 2, rng=G(5)).requires_grad_(False)
log_p = conv_log_likelihood(tiny, all_pictures(1, 3, 3))        # -F(v) - log Z
claim("07.3", log_p.logsumexp(0), between=(-1e-10, 1e-10), says="log of the sum of p(v)")
coins = F.softplus(tiny.hidden_logits(all_pictures(1, 3, 3))).sum((1, 2, 3))
coins = coins - tiny.visible_energy(all_pictures(1, 3, 3)) - conv_log_partition(tiny, 3, 3)
planted_error("07.3", coins.logsumexp(0), between=(-1e-10, 1e-10), says="a coin for each unit")

# %% [markdown]
# ## 7.4 Photographs
#
# Six categories of Caltech-101, grey, 64 × 64. The faces are of 28 people, each seen many times; nobody who is in the test split is in another.

# %% tags=["label-data"]
from deepgen_lib import load_caltech, whiten
from deepgen_lib.caltech import CATEGORIES

train, test = load_caltech("train"), load_caltech("test")
print({name: (train.labels == k).sum().item() for k, name in enumerate(CATEGORIES)})
people = [set(part.groups[part.labels == 0].tolist()) for part in (train, test)]
print(f"faces of {len(people[0])} people to learn from, of {len(people[1])} others to test, "
      f"{len(people[0] & people[1])} in both")

# %% [markdown]
# Neighbouring pixels of a photograph are nearly equal. A filter that learns that has learned nothing new, so the pictures are **whitened** first: the Fourier spectrum of natural pictures falls like $1/f$, and multiplying by $f$ makes it flat.

# %% tags=["label-whiten"]
white = whiten(train.images)
corr = lambda x: torch.corrcoef(torch.stack([x[..., 1:].flatten(), x[..., :-1].flatten()]))[0, 1].item()
print(f"correlation of neighbours: {corr(train.images):.2f} in photographs, {corr(white):.2f} whitened")
some = [(train.labels == k).nonzero()[3, 0].item() for k in range(6)]

# %% tags=["label-whiten-picture"]
from deepgen_lib.plots.conv import as_ink

plots.image_grid([*as_ink(train.images[some], "photo"), *as_ink(white[some], "white")], columns=6,
                 column_labels=[name.split("_")[0] for name in CATEGORIES],
                 says="One picture of each category, and the same whitened: lines remain.")

# %% [markdown]
# ## 7.5 The first layer, live
#
# Training is contrastive divergence, as in chapter 2. All places of a map vote on the same weights, so the gradient is a mean over places. Small windows of the photographs are enough:

# %% tags=["label-patches"]
def windows(n, size, rng):
    """(n, 1, size, size) from anywhere inside the frames of the training pictures."""
    found = []
    while len(found) < n:
        i = torch.randint(len(white), (), generator=rng)
        top, bottom, left, right = train.frames[i].tolist()
        room = torch.tensor([bottom - top, right - left]) - size - 8
        if room.min() > 0:
            y, x = (torch.rand(2, generator=rng) * room).long() + 4 + torch.tensor([top, left])
            found.append(white[i, :, y:y + size, x:x + size])
    return torch.stack(found)

# %% [markdown]
# One thing must be added. Nothing in the likelihood asks a unit to be *rare*. But a picture has few edges, and a unit that is on everywhere says nothing about any place. Lee's **sparsity target** pushes each bias until its filter is on in a share $\rho$ of all places: $\Delta c_k\propto\rho-\text{mean over places of }P(h^k_{ij}=1\mid v)$.

# %% tags=["label-predict-sparsity"]
predict("7.c", "The same training without the target. What will the filters be?",
        ["much the same edges", "smudges: on everywhere, alike, without direction", "all exactly zero"])

# %% tags=["label-layer-one"]
x = windows(3000, 20, G(0))

def first_layer(target, rate, seed=0):
    """16 filters of 7 x 7 after 500 updates."""
    rbm = ConvRBM(1, 16, 7, sigma=1.0, weight_std=0.05, rng=G(seed))
    rbm.c.data[:] = -3
    options = CDOptions(learning_rate=rate, final_learning_rate=rate / 10, momentum=0.5,
                        sparsity_target=target, sparsity_weight=20 if target else 0)
    trainer = ConvRBMTrainer(rbm, options, image_size=(20, 20), rng=G(seed))
    fit(trainer, x, n_updates=500, batch_size=16, rng=G(seed))
    return rbm.requires_grad_(False)

# %% tags=["label-layer-one-run"]
sparse = first_layer(target=0.003, rate=1.0)
dense = first_layer(target=None, rate=0.5)                      # at rate 1 it diverges

# %% tags=["label-layer-one-picture", "picture-C2", "atol-0.1"]
plots.conv.layers({"with a sparsity target": sparse.W, "without": dense.W}, columns=8,
                  says="Sixteen filters each: edges and bars, or smudges.")

# %% [markdown]
# "Edges" is easily said of any picture. A measure: take the power spectrum of a filter and ask whether it points in one direction, 0 for none, 1 for a perfect grating. And: is any filter, at some shift, the copy of another?

# %% tags=["label-measures"]
def orientation(W):
    """0: all directions alike, 1: a grating.  (K, 1, w, w) -> (K,)"""
    power = torch.fft.fft2(F.pad(W[:, 0], [8] * 4)).abs()**2
    f = torch.fft.fftfreq(power.shape[-1])
    angle = torch.atan2(f[:, None], f[None, :])
    return (power * torch.exp(2j * angle)).sum((1, 2)).abs() / power.sum((1, 2))

def likeness(W):
    """Largest correlation of any two filters, at any shift."""
    W = W / W.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return F.conv2d(F.pad(W, [W.shape[-1] - 1] * 4), W).amax((2, 3)).fill_diagonal_(0).max()

# %% tags=["label-measured", "rtol-0.1", "atol-0.1"]
def row(rbm):
    on = rbm.max_pool(x[:300]).p_detection.mean()
    return [orientation(rbm.W).median(), likeness(rbm.W), on]

rows = {"with the target": row(sparse), "without": row(dense)}
plots.table(rows, columns=["orientation, median", "likest pair", "share of places on"])

# %% tags=["label-measured-claims", "claim-C2", "planted-C2", "rtol-0.1", "atol-0.1"]
claim("C2", rows["with the target"][0], above=0.4, says="median orientation, learned live")
planted_error("C2", rows["without"][0], above=0.4, says="no sparsity target")
reveal("7.c", 1, "A unit that is always on must say a little of everything, and never one thing.")

# %% [markdown]
# **What to notice.** With the target, a few seconds of training are enough for edges and bars of several directions, each on at three places in a thousand. Without it the filters are on at 0.06 of all places, near a quarter of all blocks: they
# share the work of copying the picture, and a small smudge copies as well as an edge. Some are nearly the same smudge at another place of the window: the likest pair has a correlation of 0.8. Nothing is wrong with their likelihood; they are of no use to a next layer.
#
# ## 7.6 Edges, parts, faces
#
# Now stack. The pooling units of one layer are the visible units of the next, which learns from *samples* of them while the layers below stay frozen (chapter 4). Training takes minutes a layer, so these networks come with the course (`benchmarks/conv_dbn.py` makes them). Two layers of it:

# %% tags=["label-conv-dbn-diagram"]
plots.diagrams.conv_dbn()

# %% [markdown]
# All our networks share the first layer. Here is one that then saw nothing but faces:

# %% tags=["label-networks"]
from deepgen_lib.conv_networks import CATEGORIES_OF, load_conv_dbn, white_pictures

faces = load_conv_dbn("faces")
print("sizes of the maps:", " -> ".join(f"{a} x {b}" for a, b in faces.pooled_sizes(64, 64)))
for level in (1, 2, 3):
    n, _, side, _ = faces.bases(level).shape
    print(f"layer {level}: {n} filters; a unit sees {side} x {side} pixels")

# %% [markdown]
# What does a unit of layer 2 stand for? Take its filter linearly down: each pooling unit below counts as the units of its block, and each of those writes its own filter to the picture. That is the picture on the lecture's slides. It is a sketch: it leaves out every softmax on the way.

# %% tags=["label-predict-depth"]
predict("7.d", "Trained on faces only. What will the units of layer 3 stand for?",
        ["longer edges", "single eyes and mouths", "whole faces"])

# %% tags=["label-faces-picture", "picture-C2", "rtol-0.1", "atol-0.1"]
plots.conv.layers({"layer 1": faces.bases(1), "layer 2": faces.bases(2)[:24], "layer 3": faces.bases(3)},
                  says="Edges, parts of faces, faces; every filter on its own scale.")

# %% [markdown]
# > **C2, edges, parts, objects.** Trained on faces, the first layer shows edges, the second parts of faces, the third whole faces; trained on another category, the parts and wholes of that one.
#
# Three numbers for what the eye says. *Edges*: the share of filters that point in one direction **and** are well fitted by a Gabor function, a wave under a hill. *Parts* and *faces*: a filter's picture is laid over the mean face of **held-out people** at every place; how well does it fit where it fits best?
#
# How well does anything fit at its best place? That is what the planted error is for: the same network, but each upper layer listens to the wrong filters below.

# %% tags=["label-fit"]
def fit_to(bases, picture):
    """Best correlation of each base with a window of the picture.  (K, 1, S, S), (H, W) -> (K,)"""
    S = bases.shape[-1]
    tiles = picture.unfold(0, S, 1).unfold(1, S, 1).reshape(-1, S * S)
    tiles, bases = (x - x.mean(1, keepdim=True) for x in (tiles, bases.flatten(1)))
    return (F.normalize(bases) @ F.normalize(tiles).T).amax(1)

def rewired(network, seed=0):
    """The same numbers, but every layer above the first listens to the wrong filters."""
    other = ConvDBN(list(network.rbms))                                # copies the layers
    for rbm in other.rbms[1:]:
        rbm.W.data = rbm.W.data[:, torch.randperm(rbm.n_channels, generator=G(seed))]
    return other

# %% tags=["label-faces-fit", "rtol-0.1", "atol-0.05"]
held_out = white_pictures(load_caltech("test", categories=CATEGORIES_OF["faces"]))
mean_face = held_out.mean(0)[0]
fits = {f"layer {level}": [fit_to(net.bases(level), mean_face).median()
                           for net in (faces, rewired(faces, 0), rewired(faces, 1))] for level in (2, 3)}
plots.table(fits, columns=["trained", "wrong wires", "other wrong wires"], digits=2,
            corner="fit to held-out people, median filter")

# %% tags=["label-faces-claims", "claim-C2", "planted-C2", "rtol-0.1", "atol-0.05"]
from deepgen_lib.orientation import oriented_edges

claim("C2", oriented_edges(faces.bases(1)).double().mean(), above=0.8, says="share of oriented edges")
claim("C2", fits["layer 3"][0], above=0.3, says="fit of the third layer to the mean face")
planted_error("C2", max(fits["layer 3"][1:]), above=0.3, says="wrong wires")
reveal("7.d", 2, "A third-layer unit sees all of the picture, and all pictures were faces.")

# %% [markdown]
# **What to notice.** The third layer fits people it has never seen, 0.42; wrongly wired, nothing is left of that, 0.04 at best. Two honest remarks. The filters of layers 2 and 3 began as pieces of training pictures, seen through the layer below, and not as noise; training moved them, it did not conjure faces from nothing.
# And the *second* layer is closer to chance than the eye believes: pieces of 26 × 26 pixels fit *something* in a face even with wrong wires, 0.42 against 0.50. Pictures of filters persuade easily.
#
# Cars, elephants, chairs: the same first layer, other pictures.

# %% tags=["label-others-picture", "picture-C2", "rtol-0.1", "atol-0.1"]
names = ["faces", "cars", "elephants", "chairs"]
networks = {name: load_conv_dbn(name) for name in names}
plots.conv.layers({name: net.bases(3)[:18] for name, net in networks.items()},
                  says="Third layers of four networks, each trained on one category.")

# %% [markdown]
# Which of the four fits a held-out picture best? For each picture take a network's best filter.

# %% tags=["label-others"]
unseen = {name: white_pictures(load_caltech("test", categories=CATEGORIES_OF[name])) for name in names}

def matching(networks):
    """Mean over the held-out pictures of the best correlation with a third-layer base.  -> (4, 4)"""
    bases = [F.normalize(net.bases(3).flatten(1)) for net in networks.values()]
    return torch.stack([torch.stack([(F.normalize(x.flatten(1)) @ b.T).amax(1).mean() for b in bases])
                        for x in unseen.values()])

def lead(table):
    """By how much the own network leads, mean over the four rows."""
    return (table.diagonal() - table.masked_fill(torch.eye(4).bool(), -1).amax(1)).mean()

# %% tags=["label-others-claims", "claim-C2", "planted-C2", "rtol-0.1", "atol-0.03"]
table = matching(networks)
kinds_of = [f"pictures of {n}" for n in names]
display(plots.table(dict(zip(kinds_of, table)), columns=[f"{n} net" for n in names]))
claim("C2", lead(table), above=0.03, says="lead of a category's own network, mean of four")
wrong = matching({name: rewired(net) for name, net in networks.items()})
planted_error("C2", lead(wrong), above=0.03, says="wrong wires")

# %% [markdown]
# **What to notice.** Each category is fitted best by its own network, faces by far, 0.27, and cars clearly, 0.15. For elephants and chairs the lead is too small to build on: there are 40 and 38 pictures to learn from, turned and cropped in all ways, and twelve of each to judge by. The whole of a face can be one filter because faces stand upright and
# look alike; the whole of a chair cannot.
#
# ## 7.7 Four categories together
#
# A network that sees cars, faces, motorbikes and airplanes, without being told which is which. Does it find parts that belong to one class? Ask each feature: its score for a picture is its largest $P(p=1)$ over all places, *is it anywhere?* Then, as in the paper,
#
# - **average precision** (AP): put the pictures in the order of the score; at each picture of the class, which share of those down to there is of the class? The mean of these shares is 1 for a perfect detector, and the share of the class for a feature that says nothing;
# - **conditional entropy**: among the tenth of all pictures where the feature is strongest, how uncertain is the class? $\log4\approx1.39$ nats: fully; 0: it is one class.
#
# One trap: the best of sixty features looks good on the pictures that chose it. So we choose on training pictures and judge on held-out ones.

# %% tags=["label-predict-selective"]
predict("7.e", "Compared with layer 1, the best features of layer 3 are",
        ["less selective: details get lost", "more selective for some classes",
         "more selective for every class"])

# %% [markdown]
# > **C3, class-specific parts.** Trained on four categories together, features become more selective with depth; and a linear classifier on them makes fewer errors than the same classifier on pixels.

# %% tags=["label-four"]
four = load_conv_dbn("four")

def by_layer(network, x):
    """[P(pool) of layers 1, 2, 3], each (N, K, h, w)."""
    levels = []
    for rbm in network.rbms:
        x = torch.cat([rbm.max_pool(part).p_pool for part in x.split(50)])
        levels.append(x)
    return levels

def pick(labels, n, seed=0):
    """Rows of n pictures of each class, or of all there are."""
    of = lambda k: (labels == k).nonzero()[:, 0]
    return torch.cat([of(k)[torch.randperm(len(of(k)), generator=G(4 * seed + k))[:n]] for k in range(4)])

# %% tags=["label-four-maps"]
learn, judge = (load_caltech(split, categories=CATEGORIES_OF["four"]) for split in ("train", "test"))
rows = pick(learn.labels, 40)
x_learn, y_learn = white_pictures(learn)[rows], learn.labels[rows]
x_judge, y_judge = white_pictures(judge), judge.labels
grey = learn.images[rows], judge.images
maps = {"learn": by_layer(four, x_learn), "judge": by_layer(four, x_judge)}

# %% tags=["label-four-precision"]
from deepgen_lib.selectivity import average_precision, conditional_entropy, strongest

draws = [pick(y_judge, 24, seed) for seed in range(10)]          # as many of each as there are cars

def precisions(levels, labels, draws):
    """AP of every feature for every class, mean over draws of equally many.  -> [(4, K), ...]"""
    scores = [maps.amax((2, 3)) for maps in levels]
    return [torch.stack([torch.stack([average_precision(s[r], labels[r] == k) for r in draws]).mean(0)
                         for k in range(4)]) for s in scores]

chosen = precisions(maps["learn"], y_learn, [torch.arange(160)])
judged = precisions(maps["judge"], y_judge, draws)

# %% tags=["label-four-table", "rtol-0.1", "atol-0.05"]
kinds, layers = ["cars", "faces", "motorbikes", "airplanes"], ["layer 1", "layer 2", "layer 3"]

def best_five(chosen, judged):
    """Held-out AP of the five features that were best on training pictures.  -> (4, 3)"""
    return torch.stack([j.gather(1, c.topk(5).indices).mean(1) for c, j in zip(chosen, judged)], 1)

best = best_five(chosen, judged)
plots.table(dict(zip(kinds, best)), columns=layers, digits=2, corner="AP of the best five features")

# %% tags=["label-four-picture", "picture-C3", "rtol-0.1", "atol-0.1"]
of_class = {kind: {layer: ap[k] for layer, ap in zip(layers, judged)} for k, kind in enumerate(kinds)}
plots.conv.by_depth(of_class, chance=dict.fromkeys(kinds, 0.25),
                    says="Average precision of all features of each layer, best first.")

# %% [markdown]
# A network with the same numbers in another order must not pass. And besides the best features, the typical one: the AP that it has for the class it likes best.

# %% tags=["label-four-scrambled"]
def scrambled(network, seed=0):
    """The weights of each upper layer in random order."""
    other = ConvDBN(list(network.rbms))
    for rbm in list(other.rbms)[1:]:
        rbm.W.data = rbm.W.data.flatten()[torch.randperm(rbm.W.numel(), generator=G(seed))].view_as(rbm.W)
    return other

noise = scrambled(four)
noise_chosen = precisions(by_layer(noise, x_learn), y_learn, [torch.arange(160)])
noise_judged = precisions(by_layer(noise, x_judge), y_judge, draws)

def typical(chosen, judged):
    """Median over a layer's features of the held-out AP for the class chosen on training pictures."""
    return [j.gather(0, c.argmax(0, keepdim=True)).median() for c, j in zip(chosen, judged)]

# %% tags=["label-four-claims", "claim-C3", "planted-C3", "rtol-0.1", "atol-0.05"]
rise = best[:, 2] - best[:, 0]
noise_best = best_five(noise_chosen, noise_judged)
claim("C3", rise.min(), above=0,
      says="rise of the best features' AP from layer 1 to 3, the least of four classes")
planted_error("C3", (noise_best[:, 2] - noise_best[:, 0]).min(), above=0, says="scrambled weights")
usual, noise_usual = typical(chosen, judged), typical(noise_chosen, noise_judged)
claim("C3", usual[2] - usual[0], above=0.15, says="rise of the typical feature from layer 1 to 3")
planted_error("C3", noise_usual[2] - noise_usual[0], above=0.15, says="scrambled weights")
reveal("7.e", 2, "A part is somewhere, or it is not; an edge is everywhere.")

# %% tags=["label-four-entropy", "rtol-0.1", "atol-0.1"]
def uncertainty(levels):
    """Median conditional entropy of each layer's features."""
    scores = [maps.amax((2, 3)) for maps in levels]
    one = lambda s, r: conditional_entropy(strongest(s[r], share=0.1), y_judge[r], 4)
    return [torch.stack([one(s, r) for r in draws]).mean(0) for s in scores]

entropies = uncertainty(maps["judge"])
display(plots.conv.entropies(dict(zip(layers, entropies)), 4,
                             says="How uncertain is the class where a feature is on?"))
rows = {"typical AP": usual, "median entropy, nats": [e.median() for e in entropies],
        "typical AP, scrambled": noise_usual}
plots.table(rows, columns=layers, digits=2)

# %% [markdown]
# **What to notice.** The best features gain for every class and at every step: faces from 0.33 to 1.00, motorbikes from 0.33 to 0.94, cars from 0.29 to 0.57; airplanes, which edges alone betray at 0.85 (long level lines, much empty sky), still to 0.94. Scrambled weights lose instead.
#
# The typical feature goes from
# 0.53 to 0.61 and 0.90, the entropy of its class from 0.67 nats to 0.00.
#
# How much of this is a matter of measure? Score a feature by its *mean* answer in place of the strongest, and motorbikes dip at layer 2 (`benchmarks/results/conv_dbn.md` has both). And labels had a small part in it: the training pictures were balanced by class, and the third layer is the best of five by validation pictures.
#
# And for a reader who has five labelled pictures of each class? The probe of chapter 6, on pixels and on features.

# %% tags=["label-probe"]
from deepgen_lib.probe import linear_probe

def errors(learn, judge):
    """Share of errors on held-out pictures, five labels a class, ten draws."""
    found, r = [], draws[0]
    for seed in range(10):
        few = pick(y_learn, 5, seed)
        probe = linear_probe(learn.flatten(1)[few], y_learn[few], weight_decay=0.01, n_steps=60,
                             test_features=judge.flatten(1)[r], test_labels=y_judge[r])
        found.append(probe.error)
    return torch.tensor(found)

order = torch.randperm(64 * 64, generator=G(3))
mixed = lambda x: x.flatten(1)[:, order].view_as(x)
shuffled = [by_layer(four, mixed(x))[1] for x in (x_learn, x_judge)]

# %% tags=["label-probe-run", "claim-C3", "planted-C3", "rtol-0.1", "atol-0.05"]
views = {"pixels": grey, "pixels, whitened": (x_learn, x_judge)}
views |= dict(zip(layers, zip(*maps.values()))) | {"layer 2 of shuffled pixels": shuffled}
wrong = {name: errors(*view) for name, view in views.items()}
saved = {name: (wrong["pixels"] - e).mean() for name, e in wrong.items()}
claim("C3", saved["layer 2"], above=0.1, says="share of errors that layer 2 saves")
planted_error("C3", saved["layer 2 of shuffled pixels"], above=0.1, says="features of shuffled pixels")

# %% tags=["label-probe-picture", "picture-C3", "rtol-0.1", "atol-0.05"]
shown = {name: (e.mean().item(), e.std().item() / 10**0.5) for name, e in wrong.items()}
plots.up_down.estimates(shown, xlabel="share of errors, 20 labels", digits=3,
                        says="Errors of a linear classifier with five labelled pictures of each class.")

# %% [markdown]
# **What to notice.** With twenty labels the better of two kinds of pixels costs 0.345 errors, features of the three layers 0.110, 0.144 and 0.126. Fed with shuffled pixels the second layer is worse than no features at all. But depth is not what helps a classifier most here: the first layer, shared and pooled, does nearly all of it.
#
# ## 7.8 Half a face
#
# So far every layer listened only to the one below. But the stack also knows what goes with what, and this knowledge could flow down: where half a face is covered, two seen eyebrows ask for eyes. **Hierarchical inference** treats all layers as one undirected model: a pooling unit hears $I$ from below and $J=W^{\mathsf T}\star h$ from the layer above, both in log odds, so they simply add:
#
# $$P(h_{ij}=1\mid\text{below, above})=\frac{e^{I_{ij}+J_\alpha}}{1+\sum_\alpha e^{I+J_\alpha}} .$$
#
# One block Gibbs step at a time: layer 1 given its neighbours, layer 2, layer 3, then the pixels that are not seen. Again the energy decides, on 625 states:

# %% tags=["label-context-toy"]
from deepgen_lib.conv_inference import block_logits, hierarchical_energy

stack = ConvDBN([random_conv_rbm(1, 2, 2, sigma=0.7, rng=G(1)),
                 random_conv_rbm(2, 2, 1, block=1, rng=G(2))]).requires_grad_(False)
x = torch.randn(1, 1, 3, 5, dtype=torch.float64, generator=G(3))
h1, h2 = stack.recognise(x, G(4))
every = lambda t: t.expand(625, -1, -1, -1)
weights = (-hierarchical_energy(stack, every(x), [states, every(h2)])).softmax(0)
want = (weights @ states.flatten(1)).view_as(h1)

# %% tags=["label-context-claim"]
def given(top_down):
    inputs = block_logits(stack, x, [h1, h2], 1, top_down=top_down)
    return probabilistic_max_pool(inputs, 2).p_detection

claim("07.4", (given(True) - want).abs().max(), below=1e-10, says="h1 given both, against 625 states")
planted_error("07.4", (given(False) - want).abs().max(), below=1e-10, says="the layer above left out")

# %% [markdown]
# The formula is exact, and the model is one that nobody trained. Each layer learned as if it had to explain its input alone, so two neighbouring layers each hold the whole evidence. Put together they count it twice: more units come on than ever in training, and those ask for more still. (`complete` damps the upper layers, to 0.3 of their strength.)
#
# A deep *belief* network offers another way, the one by which it samples: **up, round, and down again.** Recognise the pooling units of the seen half and hold them fixed; let the top RBM fill in the others; go down once; then let the first layer draw pixels and units in turn, with $J$ from above. No evidence is counted twice.
#
# Now real half faces, of people who are in no other split. The lower half is covered, the chain starts with grey there. The error is the mean square per hidden pixel of the whitened picture; what nobody can know, collar and background, is in it too. Two opponents: the mean face of the training pictures, and the first layer alone, which knows edges and no faces.

# %% tags=["label-predict-half"]
predict("7.f", "The lower halves, filled in without further ado. Who comes nearest to them?",
        ["the first layer alone", "the mean face of other people", "the whole network, top-down on"])

# %% tags=["label-half"]
from deepgen_lib.conv_completion import complete_from_above, recentre
from deepgen_lib.conv_networks import complete, completion_error, half_known

people = load_caltech("test", categories=CATEGORIES_OF["faces"]).groups
known = half_known("bottom")
strangers = white_pictures(load_caltech("train", categories=CATEGORIES_OF["faces"]))
mean = strangers.mean(0, keepdim=True)
edges_only = ConvDBN(list(faces.rbms[:1])).requires_grad_(False)
filled = lambda network, x: complete_from_above(network, x, known, n_samples=2, rng=G(0))
raw = {"layer 1 alone": filled(edges_only, held_out), "all layers": filled(faces, held_out)}
ways = {"grey": 0 * held_out, "mean face": mean.expand_as(held_out), **raw}

# %% tags=["label-half-raw", "rtol-0.05", "atol-0.02"]
half_errors = {name: completion_error(guess, held_out, known).mean() for name, guess in ways.items()}
runaway = complete(faces, held_out[::8], known, upper=1.0, rng=G(0))
half_errors["undirected, undamped"] = completion_error(runaway, held_out[::8], known).mean()
saved = {name: half_errors["grey"] - e for name, e in half_errors.items()}
claim("07.5", saved["all layers"], above=0.01, says="error that the network saves against grey")
planted_error("07.5", saved["undirected, undamped"], above=0.01, says="the evidence counted twice")
reveal("7.f", 1, "It knows where a face is dark and light; the network's filters may stand anywhere.")
plots.table({name: [e] for name, e in half_errors.items()}, columns=["error per hidden pixel"], digits=3)

# %% [markdown]
# A filter that may stand anywhere has one bias for all places: the mean face is what a convolutional network cannot hold. And a mean over many guesses is faint. So give all ways the same help: the mean face, plus the network's *deviation* from its own mean answer, times one number fitted on training faces (`recentre`). A network that adds nothing would get the number 0 and be the mean face.

# %% tags=["label-half-recentred", "rtol-0.05", "atol-0.02"]
examples = strangers[::6]
networks_of = {"layer 1 alone": edges_only, "all layers": faces}
helped = {"mean face": ways["mean face"]}
for name, network in networks_of.items():
    helped[name] = recentre(raw[name], known, mean=mean, examples=examples,
                            completed_examples=filled(network, examples))
error_of = {name: completion_error(guess, held_out, known) for name, guess in helped.items()}
by_person = lambda e: torch.stack([e[people == person].mean() for person in people.unique()])

# %% tags=["label-half-claims", "rtol-0.1", "atol-0.1"]
def lead(error, other):
    """What `other` errs more, mean over people, and its standard error; % of the mean face's."""
    g = by_person(other) - by_person(error)
    unit = by_person(error_of["mean face"]).mean() / 100
    return (g.mean() / unit).item(), (g.std() / len(g)**0.5 / unit).item()

leads = {f"beyond {name}": lead(error_of["all layers"], error_of[name])
         for name in ("mean face", "layer 1 alone")}
for name, (value, error) in leads.items():
    claim("07.5", value / error, above=2, says=f"lead {name}, in standard errors over ten people")
other_face = completion_error(helped["all layers"].roll(1, 0), held_out, known)
value, error = lead(other_face, error_of["mean face"])
planted_error("07.5", value / error, above=2, says="the completion of another picture")

# %% tags=["label-half-leads", "rtol-0.1", "atol-0.1"]
plots.up_down.estimates(leads, zero=True, xlabel="error saved by all layers, per cent of the mean face's",
                        says="Lower halves of ten held-out people; bars: two standard errors over people.")

# %% tags=["label-half-picture", "rtol-0.1", "atol-0.1"]
one_each = [(people == person).nonzero()[0, 0].item() for person in people.unique()][:6]
v = held_out[one_each]
filled_in = [known * v + (1 - known) * guess[one_each] for guess in helped.values()]
sheet = torch.cat([v, known * v, *filled_in])
plots.conv.pictures(sheet, contrast="white", columns=6, row_labels=["face", "seen", *helped],
                    says="What three ways put into the lower half.")

# %% [markdown]
# **What to notice.** Without help the mean face wins, 0.832: it knows where a face is light and dark. The layer that knows edges saves a little on grey, 0.877 against 0.891, all layers more, 0.867; the undirected model without damping loses its way, 1.634. With the same help for all, the whole network errs least: 2.33 per cent less than the mean face, 1.00 less
# than layer 1. That is a small gain, and all four halves have it (`benchmarks/results/conv_dbn.md`; beyond layer 1 it is sure for the left and the lower half only). Half a whitened face says little about the exact pixels of the other half.
#
# Where is the half, how long does the chain run, and does anybody listen to the upper layers? Here the undirected way, damped: its guesses are bolder, and worth a look for that; the error says what they are worth.

# %% tags=["label-widget", "rtol-0.1", "atol-0.1"]
explore(plots.conv.occlusion(faces, v[:3], sides=("left", "right", "bottom")))

# %% [markdown]
# ## 7.9 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | input of a unit | $I^k=\frac1{\sigma^2}W^k\star v+c_k$ | `rbm.hidden_logits(v)` |
# | the way down | the adjoint: the turned filter over the padded map | `rbm.visible_input(h)` |
# | a block (C1) | softmax over its units and off, $e^0=1$ | `probabilistic_max_pool(I, block)` |
# | free energy | $\sum\frac{(v-b)^2}{2\sigma^2}-\sum_{\text{blocks}}\log(1+\sum e^I)$ | `rbm.free_energy(v)` |
# | sparsity | $\Delta c_k\propto\rho-\text{mean }P(h^k=1)$ | `CDOptions(sparsity_target=...)` |
# | a unit as a picture (C2) | its filter, spread over blocks, written down layer by layer | `dbn.bases(level)` |
# | selectivity (C3) | average precision; $H(\text{class}\mid\text{on})$ | `average_precision`, `conditional_entropy` |
# | context | $I+J$, $J=W^{\mathsf T}\star h$ from above | `infer(dbn, v, known=..., top_down=True, ...)` |
#
# Three sentences to keep. *Share the weights, and the same question is asked everywhere; let a block make one choice, and the answer may move a little. The 1 in the denominator is a state: nothing is here. A picture of a unit persuades before it proves: measure on pictures that neither trained nor chose it.*
#
# ## 7.10 A worked exercise
# **Question.** A feature that says nothing, a coin for each picture, has an average precision equal to the share of the class on average. But somebody looks at 60 such features on 24 pictures of each of four classes and reports the best for each class. What will he report?

# %% tags=["label-predict-worked"]
predict_number("7.g", "Features of pure noise: the best AP of 60 features, for the best of four classes")

# %% [markdown]
# **Answer.** No formula is needed; toss the coins.

# %% tags=["label-worked", "rtol-0.1"]
y = torch.arange(4).repeat_interleave(24)
luckiest = lambda scores: max(average_precision(scores, y == k).max().item() for k in range(4))
reported = [luckiest(torch.randn(96, 60, generator=G(s))) for s in range(20)]
best_of_noise = sum(reported) / 20
claim("07.6", best_of_noise, between=(0.42, 0.52), says="AP of the luckiest noise")
reveal("7.g", round(best_of_noise, 2), "One feature of noise has about 0.25.", within=0.05)

# %% [markdown]
# Pure luck looks like a class-specific part. That is why features were chosen on other pictures than those that judged them.
#
# ## Where this goes next
# Every network so far found $q(h\mid x)$ by turning a model round: by Gibbs chains, by transposed weights, by sleeping. Chapter 8 trains one network to answer for any new $x$ at once, and lets the gradient flow through its answer: the variational autoencoder.
#
# **Exercises:** [open them here](../exercises/07_convolutional_dbn/07_convolutional_dbn.ipynb). Six of them, from the off state of a block to what context adds, with checks that know what usually goes wrong.
