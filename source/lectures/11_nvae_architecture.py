# %% [markdown]
# # 11 · NVAE: the network
#
# **What must be careful in a very deep VAE?**
#
# The VAE of chapter 8 has one layer of latent numbers. NVAE (Vahdat & Kautz, NeurIPS 2020) has up to 36 groups of them, one under the other, six million numbers for one face, and a network of a thousand modules between them. Its formulas are those of chapter 8. What is new is care: in what reads
# what, in what one step may change, in how large a weight may become. This chapter takes the network apart, from a ladder of two groups that can be solved by hand to the six networks of the lecture's table. Chapter 12 does the divergence and trains one.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | say why q must look at what was drawn above, and why prior and posterior share one path; follow every tensor through an NVAE; count the parameters of its cells; read the table of its sizes; say how far a place sees; say what each precaution prevents, and what it does not |
# | **Time** | 75 minutes to read and predict, 165 for the exercises; all cells together run in about a minute |
# | **In the lecture** | *NVAE: careful changes in architecture* (generative model, table, cells, encoder): claims N1 to N4 |
# | **You need** | the VAE ([chapter 8](08_vae.ipynb)), the bound ([chapter 1](01_gibbs_bound.ipynb)); what a convolution is |
# | **Notation** | $z_1,\dots,z_L$ latent groups, $z_1$ on top, drawn first; $z_{<l}$ those above; a **scale** is a run of groups of one size; $h$ the state of the path; $C$ channels, $E$ expansion. Nats throughout |

# %% tags=["label-setup"]
import math, torch
from deepgen_lib import NVAE, NVAE_TABLE, NVAEConfig, claim, derivation, explore, planted_error, plots
from deepgen_lib import predict, predict_number, reveal
from deepgen_lib.nvae import AUTHORS_MILLIONS
torch.set_num_threads(1)
G = lambda seed: torch.Generator().manual_seed(seed)

# %% [markdown]
# ## 11.1 A ladder of two groups, solved
#
# The smallest hierarchy: $z_1\sim\mathcal N(0,1)$ on top, $z_2\sim\mathcal N(a z_1,s^2)$ under it, and a picture of one pixel, $x\sim\mathcal N(z_2,r^2)$. Think of $z_1$ as *which digit* and of $z_2$ as *which stroke here*. All is normal, so $\log p(x)$ and the posterior are known.
#
# An encoder must name a $q(z_1,z_2\mid x)$. Two designs: draw $z_2$ from $q(z_2\mid x)$, **apart** from $z_1$; or from $q(z_2\mid z_1,x)$, **after** looking at the $z_1$ that was drawn.

# %% tags=["label-toy"]
from deepgen_lib.ladder import TwoGroupLadder

toy = TwoGroupLadder(a=2.0, s=0.5, r=1.0)
x = torch.linspace(-4, 4, 9).double()
qs = {"after": toy.posterior(x), "apart": toy.independent(x)}   # the best of each design
print(f"log p(x = 0) = {toy.log_likelihood(x)[4]:.3f} nats")

# %% tags=["label-predict-apart"]
predict("11.a", "How many nats does the best q miss whose groups are drawn apart?",
        ["none, if its means are right", "0.7 for x = 0, more further out", "0.7 for every x"])

# %% tags=["label-ladder-table"]
rows = {name: [q.width, toy.bound(x, q)[4], toy.gap(x, q)[0], toy.gap(x, q)[4]] for name, q in qs.items()}
columns = ["width of z2", "bound at x = 0", "gap at x = -4", "gap at x = 0"]
display(plots.table(rows, columns=columns, corner="z2 drawn"))
reveal("11.a", 2, "The shape of the posterior is the same for every x; only its middle moves.")

# %% tags=["label-ladder-picture"]
at = torch.tensor([1.5]).double()                        # x = 1.5; within an ellipse lie 86 % of q
plots.nvae.ladder(toy, {"after: exact": toy.posterior(at), "apart: best": toy.independent(at)},
                  says="The posterior leans along the line of the prior; a q of groups apart cannot lean.")

# %% [markdown]
# > **11.1.** A posterior of the form $q(z_1\mid x)\,q(z_2\mid z_1,x)$ can be exact. With $q(z_1\mid x)\,q(z_2\mid x)$ a gap stays, however good the network.

# %% tags=["label-ladder-claim"]
shaken = [TwoGroupLadder(*(0.3 + 2 * torch.rand(3, generator=G(i))).tolist()) for i in range(100)]
after = max((t.log_likelihood(x) - t.bound(x, t.posterior(x))).abs().max() for t in shaken)
claim("11.1", after, below=1e-10, says="log p - bound, z2 drawn after z1, 100 ladders")
apart = (toy.log_likelihood(x) - toy.bound(x, qs["apart"])).max()
planted_error("11.1", apart, below=1e-10, says="z2 that does not look at z1")

# %% [markdown]
# **What to notice.** Apart, the best $q$ misses 0.699 nats at every $x$, and this is two groups of one number each. The reason is the blue line in the picture: the prior ties $z_2$ to $z_1$, so once $z_1$ has been drawn, even badly, $z_2$ must follow it.
#
# ### What does the exact answer read?
# Write the exact $q(z_2\mid z_1,x)$ once by brute force (invert the joint precision, condition), once as a *correction of the prior*: with $K=s^2/(s^2+r^2)$ its mean is
# $$\underbrace{a z_1}_{\text{what the prior says}}+\;K\,\underbrace{(x-a z_1)}_{\text{what the picture adds}},\qquad\text{its width}\quad s\cdot\sqrt{1-K}.$$

# %% tags=["label-correction"]
z1 = torch.linspace(-2, 2, 9).double()

def conditioned(t):
    """Mean of z2 given z1 and x: from the joint posterior's covariance."""
    S, q = torch.linalg.inv(t.precision), t.posterior(x)
    mean2 = q.offset + q.slope * q.mu
    return mean2 + S[0, 1] / S[0, 0] * (z1 - q.mu)

derivation("11.2", {
    "joint posterior, conditioned": conditioned,
    "q(z2 | z1, x)": lambda t: t.posterior(x).offset + t.posterior(x).slope * z1,
    "prior, corrected": lambda t: t.a * z1 + t.gain * (x - t.a * z1)}, shaken)

# %% [markdown]
# > **11.2.** The exact posterior of a lower group is its prior, moved: it needs what the prior says, $a z_1$, *and* the picture.
#
# So a network for $q(z_2\mid z_1,x)$ should not start from the picture alone. It should get the very thing from which the prior is computed, and add what the picture says. That is the plan of NVAE.
#
# ## 11.2 Up once, down once
#
# The picture goes **up** through the encoder and leaves a *tap* for every group. Then one path comes **down**, from a learned constant $h$. At each group its state goes to the prior and, with the tap, to the posterior; $z_l$ is drawn; it *joins* the path. At the end the path paints the picture.

# %% tags=["label-diagram"]
plots.diagrams.towers()

# %% [markdown]
# The same for a real network, small and not trained. Follow one digit through it, tensor by tensor:

# %% tags=["label-model"]
from deepgen_lib import load_mnist
from deepgen_lib.nvae.tracing import hears, trace

config = NVAEConfig(groups=(1, 2), n_down=1, n_latent=4, width=8, cells=1, outer_cells=1, expansion=3)
model = NVAE(config, rng=G(0))                                  # three groups; not trained
digit = load_mnist("test", binarisation="thresholded").images[7:8].view(1, 1, 28, 28)
noise = model.noise(1, G(1))
visits = trace(model, digit, noise)                             # every tensor, by forward hooks

# %% tags=["label-predict-path"]
predict("11.b", "For one bound p(z2|z1) and q(z2|z1,x) are needed. How often does 'path 2' run?",
        ["once", "twice: once for p, once for q", "once for p; q has a path of its own"])

# %% tags=["label-walk", "picture-N1", "atol-0.001"]
plots.nvae.walk(visits, says="One bound of one digit: up the encoder (orange), down the path (blue).")

# %% [markdown]
# > **N1.** NVAE is a hierarchical VAE. Its encoder is bidirectional: bottom-up features, then the top-down path, and this path *is* that of the generative model: the same modules, run once, for prior and posterior together.

# %% tags=["label-walk-claims", "claim-N1", "planted-N1"]
sampled = trace(model, None, noise)                             # no picture: a sample
most = max(visit.calls for visit in visits.values())
claim("N1", most, between=(1, 1), says="most runs of any module for one bound")
apart = visits["path 2"].calls + sampled["path 2"].calls        # p from one walk, q from another
planted_error("N1", apart, between=(1, 1), says="a walk for p and a walk for q")
print("run for a sample:", ", ".join(name for name in sampled if name[0] in "pjo"))
reveal("11.b", 0, "The path is walked once; prior and posterior both read what it left at this group.")

# %% tags=["label-walk-sample", "atol-0.001"]
plots.nvae.walk(sampled, says="A sample: the blue path and the priors; nothing orange runs.")

# %% [markdown]
# **What to notice.** Orange frames are the encoder's own, blue ones the shared path; a box shows the mean of a tensor's channels. Every box says how often its module ran: 1. The posteriors' boxes are of one colour because nothing was trained: their last layers start at zero, and a correction of zero means that $q$ is $p$. The sample uses the right half alone, and each module in it is one that the encoder used too.
#
# ### Shared is not tied
# The slide says *encoder: weight tied with decoder*. Two things could be meant. **Tied** would be two networks, one for $p$ and one for $q$, whose weights are kept equal. **Shared** is one network, run once. Here it is the second. And the correction that $q$ adds has weights of its own: nothing in it is tied to anything.
#
# What does shared mean for training? The path hears of the divergence twice: through the prior, and through the posterior.

# %% tags=["label-shared-model"]
from deepgen_lib.residual_normal import ResidualNormal

group, tap = model.top_down.groups[1], visits["tap 2"].value
for each in model.top_down.groups:                              # as if trained: shifts no longer zero
    torch.nn.init.normal_(each.posterior.head[-1].weight[:4], std=0.1, generator=G(2))
h = visits["path 2"].value

def kl(h_of_p, h_of_q):
    """KL of group 2, its prior reading one state of the path and its posterior another."""
    p, q = group.prior(h_of_p).chunk(2, 1), group.posterior(h_of_q, tap)
    return ResidualNormal(*p, *q).kl().sum()

# %% tags=["label-shared-gradient", "claim-N1", "planted-N1"]
slope = lambda f: torch.autograd.functional.jacobian(f, h)
whole = slope(lambda s: kl(s, s))
by_prior, by_posterior = slope(lambda s: kl(s, h)), slope(lambda s: kl(h, s))
off = lambda found: (found - whole).norm() / whole.norm()
claim("N1", off(by_prior + by_posterior), below=1e-4, says="gradient at the path against the sum of both")
planted_error("N1", off(by_posterior), below=1e-4, says="a path that hears of q alone")
path = {id(p) for p in [*group.path.parameters(), *group.prior.parameters()]}
own = {id(p) for p in group.posterior.parameters()}
claim("N1", len(path & own), between=(0, 0), says="weights of the correction that occur in path or prior")

# %% [markdown]
# > **Erratum.** The slide files the formula $q=\mathcal N(\mu+\Delta\mu,\sigma\cdot\Delta\sigma)$ under *weight tying*. Nothing is tied in it: $\Delta\mu$ and $\Delta\sigma$ have weights of their own. What is in common is the top-down network, and it is shared, one and the same. (Chapter 12 does the formula.)
#
# ### Who hears of what?

# %% tags=["label-predict-hears"]
predict("11.c", "One picture is exchanged for another; the noise stays. Does the prior of z2 change?",
        ["no: a prior does not see x", "yes, through z1", "yes: it reads the path, which reads x"])

# %% tags=["label-hears"]
priors = lambda names: sorted(name for name in names if name.startswith("prior"))
print("z drawn:", priors(hears(model, digit, noise, "x", shift=1.0)))
print("z held: ", priors(hears(model, digit, noise, "x", shift=1.0, held=True)))
reveal("11.c", 1, "Its weights see z alone. But z1 was drawn from a q that saw x.")

# %% [markdown]
# Choose a tensor of a network of three groups; what moves with it is lit (measured, by moving it).
#
# 1. *x*, z **held**: which side of the map is lit? Then z **drawn**: by which boxes does the picture reach the blue path?
# 2. *path 2*: does it light a tap? And *tap 1*: does it light *posterior 3*, and by which way?
# 3. **No picture**: which tensors do not occur?

# %% tags=["label-explore-hearing"]
explore(plots.nvae_map.hearing)

# %% [markdown]
# ## 11.3 The cell
#
# From group to group lie **residual cells**. The generative model's cell first makes the channels $E=6$ times as many, then lets each channel see $5\times5$ places *by itself* (a depthwise convolution), then mixes them back to $C$. Swish is $t\,\sigma(t)$. Squeeze-and-excitation (SE) multiplies every channel by a number between 0 and 1 computed
# from all channels' means. What comes out, times 0.1, is added to what came in.

# %% tags=["label-predict-cell"]
predict("11.d", "A cell of C = 64 channels has 61,124 parameters. Of these the 5x5 convolution has",
        ["most of them", "about a sixth", "less than a hundredth"])

# %% tags=["label-cell"]
from deepgen_lib.nvae import EncoderCell, GenerativeCell

def layers(cell, channels):
    """(layer, shape of its output at 8 x 8, parameters) of a cell's branch."""
    words = {"BatchNorm2d": "BN", "SiLU": "Swish", "SqueezeExcite": "SE"}
    y = torch.zeros(1, channels, 8, 8)
    for layer in cell.eval().branch:
        y, kind = layer(y), type(layer).__name__
        conv = f"{'depthwise ' if getattr(layer, 'groups', 1) > 1 else ''}conv"
        name = words.get(kind) or f"{conv} {layer.kernel_size[0]}×{layer.kernel_size[0]}"
        yield name, f"{y.shape[1]}×8×8", sum(p.numel() for p in layer.parameters())

# %% tags=["label-cell-picture", "picture-N4"]
display(plots.nvae.cell([*layers(GenerativeCell(64), 64)], title="generative cell, C = 64",
        says="The layers of a generative cell: what leaves each, and its parameters."))
share = 25 * 6 * 64 / sum(p.numel() for p in GenerativeCell(64).parameters())
print(f"share of the 5x5: {share:.3f}; were it dense: {25 * (6 * 64)**2:,} parameters")
reveal("11.d", 1, "25 numbers for each of 6 x 64 channels, and no mixing between channels.")

# %% tags=["label-cell-encoder"]
plots.nvae.cell([*layers(EncoderCell(64), 64)], title="encoder cell, C = 64",
                says="The layers of an encoder cell: two dense 3x3 convolutions.")

# %% [markdown]
# > **N4.** The generative cell is BN, 1×1 ($C\to EC$), BN-Swish, **depthwise** 5×5, BN-Swish, 1×1 ($EC\to C$), BN, SE; the encoder's is BN-Swish-3×3 twice, then SE. Both keep the shape, are the identity at scale zero, and have
# > $$2EC^2+29EC+4C+\mathrm{SE}\qquad\text{and}\qquad18C^2+5C+\mathrm{SE},\qquad\mathrm{SE}=2Ch+h+C,\;h=\max(C/16,4)$$
# > parameters.

# %% tags=["label-cell-claims", "claim-N4", "planted-N4"]
from deepgen_lib.nvae import encoder_cell_parameters, generative_cell_parameters

def miscount(formula, make, sizes=(4, 64, 128)):
    """Largest difference between a formula and a cell's real number of parameters."""
    return max(abs(formula(c) - sum(p.numel() for p in make(c).parameters())) for c in sizes)

claim("N4", miscount(generative_cell_parameters, GenerativeCell), below=0.5, says="generative, off by")
claim("N4", miscount(encoder_cell_parameters, EncoderCell), below=0.5, says="encoder, off by")
dense = lambda c: generative_cell_parameters(c) - 25 * 6 * c + 25 * (6 * c)**2
planted_error("N4", miscount(dense, GenerativeCell), below=0.5, says="a dense 5x5")

# %% tags=["label-cell-identity", "claim-N4", "planted-N4"]
y = torch.randn(2, 64, 8, 8, generator=G(3))
moved = lambda f: (f(y) - y).abs().max()
cells = [kind(64, scale=0.0) for kind in (GenerativeCell, EncoderCell)]
claim("N4", max(moved(cell) for cell in cells), below=1e-12, says="what a cell of scale zero changes")
planted_error("N4", moved(lambda y: 0.0 * cells[0].branch(y)), below=1e-12, says="the skip left out")
shape = lambda f: tuple(f(y).shape[1:])
print(f"what comes in: {tuple(y.shape[1:])}; out of the cells: {shape(cells[0])}, {shape(cells[1])}")
up, down = GenerativeCell(64, up=True), EncoderCell(64, down=True)
print(f"to another scale: {shape(up)} by the generative cell, {shape(down)} by the encoder's")

# %% [markdown]
# **What to notice.** The 5×5 convolution has 9,600 parameters, a share of 0.157, because each of its 384 filters looks at one channel. A dense one would have 3,686,400: sixty cells' worth. That is why the generative model can afford to look far. The 0.1 at the branch is not in the paper; section 11.8 shows what it does.
#
# > **Erratum.** The figure's *conv 5×5* must be read as *depthwise*, on $EC$ channels; nothing else fits the counts.
#
# ## 11.4 Scales and groups
#
# Groups of one size form a scale. Where a new scale begins, the path's first cell doubles the side and halves the channels.

# %% tags=["label-groups"]
def path_of(config):
    """Of every group: side of its z, and the residual cells on the path to it."""
    with torch.device("meta"):
        groups = NVAE(config).top_down.groups
    return [(shape[1], len(group.path)) for shape, group in zip(config.latent_shapes, groups)]

mnist = path_of(NVAE_TABLE["MNIST"])
for level, (side, n) in enumerate(mnist, start=1):
    print(f"group {level}: z 20×{side}×{side}, {n} cells", end="\n" if level % 3 == 0 else " | ")

# %% [markdown]
# > **N2.** From group to group the path goes through residual cells; from scale to scale the sides of $z$ double, so that detail comes last.

# %% tags=["label-groups-claims", "claim-N2", "planted-N2"]
sides, cells = zip(*mnist)
steps = [b / a for a, b in zip(sides, sides[1:])]
claim("N2", steps.count(2.0), between=(1, 1), says="steps at which MNIST's side doubles")
claim("N2", min(cells[1:]), above=1, says="residual cells on the way to any group after the first")
numbers = lambda groups: sum(20 * side**2 * n for side, n in zip((4, 8), groups))
claim("N2", numbers((5, 10)), between=(14400, 14400), says="latent numbers of MNIST, 5 groups on top")
planted_error("N2", numbers((10, 5)), between=(14400, 14400), says="groups counted from below")

# %% tags=["label-groups-picture", "picture-N2"]
plots.nvae.scales({name: list(zip(c.latent_sizes, c.groups)) for name, c in NVAE_TABLE.items()},
                  says="The latent groups of six networks, a square each, from the top down.")

# %% [markdown]
# **What to notice.** *The dimensions gradually increase*, says the slide. They do from scale to scale; within a scale all groups are alike. And CIFAR-10 and ImageNet have a single scale: nothing increases there. MNIST's ten groups of 8×8 hold 12,800 of its 14,400 numbers.
#
# ## 11.5 The table, row by row
#
# Six networks, up to 323 million parameters. They can be built here without a byte of memory for their weights: on the *meta device* a tensor has a shape and no numbers. A whole walk down works there too.
#
# The picture above says how many groups of which side; each place of a group holds 20 numbers, in all six networks.

# %% tags=["label-predict-table"]
predict_number("11.e", "CelebA-HQ has 1.2 times the parameters of ImageNet 32. How many times its latents?")

# %% tags=["label-table"]
rows, found = {}, {}
for name, c in NVAE_TABLE.items():
    with torch.device("meta"), torch.no_grad():
        network = NVAE(c).eval()
        z = network.top_down(network.noise(1)).z                # a walk down, shapes alone
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    found[name] = ([part.shape[-1] for part in z], millions)
    rows[name] = [f"{c.image_size}²", ", ".join(map(str, c.groups)),
                  ", ".join(f"{side}²" for side in c.latent_sizes), f"{sum(part.numel() for part in z):,}",
                  f"{millions:.1f}", f"{AUTHORS_MILLIONS[name]:.1f}"]

# %% tags=["label-table-shown"]
display(plots.table(rows, columns=["picture", "groups", "z", "latent numbers", "ours, millions", "theirs"]))
of = lambda name: int(rows[name][3].replace(",", ""))     # its latent numbers
reveal("11.e", of("CelebA-HQ 256") / of("ImageNet 32"), "16 groups of 128² alone are 37 times.", within=10)

# %% [markdown]
# > **N3.** The table. Every row can be built; the shapes of its $z$ are the slide's; its parameters are within 3 % of the authors' network.

# %% tags=["label-table-claims", "claim-N3", "planted-N3"]
slide = {"MNIST": [(5, 4), (10, 8)], "CIFAR-10": [(30, 16)], "ImageNet 32": [(28, 16)],
         "CelebA 64": [(5, 8), (10, 16), (20, 32)]}
slide |= dict.fromkeys(["CelebA-HQ 256", "FFHQ 256"], [(4, 8), (4, 16), (4, 32), (8, 64), (16, 128)])
wrong = sum(found[name][0] != [side for n, side in row for _ in range(n)] for name, row in slide.items())
claim("N3", wrong, between=(0, 0), says="rows whose z differ from the slide's")
aside = lambda millions, name: abs(millions / AUTHORS_MILLIONS[name] - 1)
claim("N3", max(aside(m, n) for n, (_, m) in found.items()), below=0.03, says="furthest from theirs")
with torch.device("meta"):
    one = NVAE(NVAEConfig(groups=(5, 10), cells=1))
planted_error("N3", aside(sum(p.numel() for p in one.parameters()) / 1e6, "MNIST"), below=0.03,
              says="one cell a group on MNIST")

# %% tags=["label-table-picture", "picture-N3"]
plots.bars([name.replace(" ", "\n") for name in found], {
    "ours": [m for _, m in found.values()], "theirs": list(AUTHORS_MILLIONS.values())},
    ylabel="million parameters", says="Parameters of six networks, beside the authors' own.")

# %% [markdown]
# **What to notice.** The counts differ a little where the paper leaves a choice open: how the sides are halved and doubled, how wide a head is. Theirs were counted by building their network; the paper prints none. The table lists groups from the top down: read from below, MNIST would have ten groups of 4×4, and 9,600 latent numbers in place of 14,400.
#
# ## 11.6 Where are the parameters, and where is the work?

# %% tags=["label-predict-parts"]
predict("11.f", "Which part of MNIST's network has most parameters?",
        ["the priors and posteriors: 15 of each", "the shared path", "the encoder"])

# %% tags=["label-parts", "rtol-0.01"]
from deepgen_lib.nvae import network_parts

parts = network_parts(NVAE_TABLE["MNIST"])
total, work = sum(p.parameters for p in parts), sum(p.multiply_adds for p in parts)
shares = {"parameters": {p.name: p.parameters / total for p in parts},
          "multiply-adds": {p.name: p.multiply_adds / work for p in parts}}
display(plots.nvae.parts(shares, says="MNIST's network: whose are the parameters, whose is the work."))
print(f"{total / 1e6:.2f} million parameters; {work / 1e9:.2f} billion multiply-adds for one bound")
reveal("11.f", 2, "Its 3x3 convolutions are dense.")

# %% tags=["label-parts-claim"]
big = ("encoder, in the scales", "shared path")
claim("11.3", sum(shares["parameters"][n] for n in big), above=0.9, says="share of encoder and path")
outside = ("encoder, outside", "generative, outside")
price = sum(shares["multiply-adds"][n] for n in outside) / sum(shares["parameters"][n] for n in outside)
claim("11.3", price, above=4, says="work per parameter outside of the scales, over the mean")
deep = ("posteriors", "priors")
planted_error("11.3", sum(shares["parameters"][n] for n in deep), above=0.9, says="the heads alone")

# %% [markdown]
# > **11.3.** The variational part is small: what makes $p$ and $q$ different, the heads, is a twentieth of the network. Nearly all the rest is cells. Cells near the picture have few channels and many places: few parameters, much work.
#
# A cell's parameters are used once for every place, so its work is parameters times places. That is also why the scales stop at half the picture's side or a quarter.
#
# ## 11.7 How far does a place see?
#
# A $3\times3$ convolution adds 2 pixels to the side of the square that a place sees, times the number of pixels from one place to the next. So depth buys sight slowly, and every halving makes the next step twice as long.

# %% tags=["label-predict-fields"]
predict("11.g", "MNIST, padded to 32 x 32: a place of the LAST tap, nearest to the picture, sees",
        ["9 x 9 pixels", "about half the picture", "all of it"])

# %% tags=["label-fields"]
from deepgen_lib.nvae import encoder_fields, generative_fields

for name in ("MNIST", "CelebA-HQ 256"):
    up, down = (f(NVAE_TABLE[name]) for f in (encoder_fields, generative_fields))
    print(f"{name}: a tap sees {up[-1]} (last group) to {up[0]} (first), z reaches {down[-1]} to {down[0]}")
reveal("11.g", 2, "In principle. What it sees well is another matter.")

# %% tags=["label-fields-picture"]
small = NVAEConfig(groups=(2, 2), n_down=1, width=4, n_latent=2, cells=1, outer_cells=1)
plots.nvae.fields(digit[0, 0], {"what a place of a tap sees": encoder_fields(small),
                                "what a place of z reaches": generative_fields(small)},
                  says="Four groups: the squares that one place sees and reaches, beside a digit.")

# %% [markdown]
# Is the arithmetic right? Ask the network: which pixels have a gradient at the middle of a tap? (Squeeze-and-excitation lets the mean of the *whole* map in; it is taken out for this.)
#
# > **11.4.** The square that a place sees has the side $1+\sum(k-1)\cdot\text{step}$ over the convolutions below it, kernel $k$, *step* the pixels between two places there.

# %% tags=["label-fields-measured"]
wide = NVAEConfig(groups=(2, 1), image_size=80, n_down=1, width=2, n_latent=1, cells=1, outer_cells=1)
net = NVAE(wide, rng=G(0)).double().eval()
for cell in net.encoder.modules():
    if isinstance(cell, EncoderCell):
        cell.branch[-1] = torch.nn.Identity()                   # without squeeze-and-excitation
pixels = torch.rand(1, 1, 80, 80, generator=G(1)).double().requires_grad_()
middle = [tap[0, :, tap.shape[2] // 2, tap.shape[2] // 2].sum() for tap in net.encoder(pixels)]
reach = [torch.autograd.grad(m, pixels, retain_graph=True)[0][0, 0].abs() for m in middle]

# %% tags=["label-fields-claim", "rtol-0.02"]
seen = [int((r > 0).any(1).sum()) for r in reach]
off = lambda fields: max(abs(a - b) for a, b in zip(seen, fields))
print("seen, first group to last:", seen)
claim("11.4", off(encoder_fields(wide)), below=0.5, says="side of the square, formula against gradient")
planted_error("11.4", off([2 * n + 1 for n in (9, 7, 5)]), below=0.5, says="kernels without the steps")
r = reach[0][40 - 12:40 + 13, 40 - 12:40 + 13].sum() / reach[0].sum()
print(f"first group: the inner 25 x 25 hold {r:.3f} of the gradient")

# %% [markdown]
# **What to notice.** Seen in principle is not seen well: of the 61×61 square nearly all of the gradient sits in the middle, at least before training, while every cell is close to the identity. A far pixel has one way in, through every kernel's edge; a near one has thousands. That is a reason for scales: at 4×4 places one 5×5 convolution covers nearly the whole map.
#
# ## 11.8 What goes wrong without care?
#
# MNIST's network has 35 residual cells in a row on the way up and 33 on the way down; CelebA-HQ's has 78 and 76. What is left of a signal, and of a gradient, after so many? Build stacks of generative cells in five ways and measure them at their random start.

# %% tags=["label-predict-depth"]
predict("11.h", "64 cells without skip, with batch norms: the gradient that reaches the first cell is",
        ["about as large as at the last", "a million times smaller", "a million times larger, or more"])

# %% tags=["label-without-norms"]
def without_norms(net):
    """Every batch norm of a network replaced by nothing."""
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(parent, name, torch.nn.Identity())
    return net

# %% tags=["label-depth"]
from deepgen_lib.plots.nvae import Depth

def stack(n_cells, *, skip=True, norm=True, scale=0.1):
    """Generative cells, 8 channels, random; without skip: the branches alone. In float64:
    what multiplies a gradient by a million does it to a rounding error, too."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        cells = [GenerativeCell(8, expansion=2, scale=scale) for _ in range(n_cells)]
    finally:                                                        # also when it is interrupted
        torch.set_default_dtype(torch.float32)
    cells = cells if skip else [cell.branch for cell in cells]
    return cells if norm else [without_norms(cell) for cell in cells]

# %% tags=["label-depth-measure"]
def measure(cells):
    """Sizes cell by cell: of what goes forward, and of the gradient of a random readout."""
    states = [torch.randn(16, 8, 8, 8, generator=G(0), dtype=torch.float64, requires_grad=True)]
    for cell in cells:
        states.append(cell(states[-1]))
    readout = (states[-1] * torch.randn(states[-1].shape, generator=G(1))).sum()
    slopes = torch.autograd.grad(readout, states[1:])
    return Depth([s.std().item() for s in states[1:]], [g.std().item() for g in slopes])

builds = {"no skip": {"skip": False}, "as NVAE builds": {}, "scale 1": {"scale": 1.0},
          "no batch norm": {"norm": False}, "no skip, no norm": {"skip": False, "norm": False}}
depths = {(n, name): measure(stack(n, **how)) for n in (64, 8) for name, how in builds.items()}

# %% [markdown]
# *What must be careful?* Start with 64 cells, then 8:
# 1. Without skips, how large is the gradient at the first cell? Which other single change moves it?
# 2. Without skip *and* without norm: what is left of the signal, and what would a step of training do?
# 3. Which of the five ways could you train? Is the batch norm what saves a deep stack at its start?

# %% tags=["label-explore-care"]
explore(plots.nvae.care(depths))

# %% [markdown]
# > **11.5.** At its start a stack lives by its skips: without them the gradient explodes (with batch norms) or dies (without). With skips and a small scale, 64 cells hand on signal and gradient as if they were one.

# %% tags=["label-depth-claims"]
back = {key: d.gradient[0] / max(d.gradient[-1], 1e-30) for key, d in depths.items()}
claim("11.5", back[64, "as NVAE builds"], between=(0.3, 3), says="gradient, first cell over last")
planted_error("11.5", min(back[64, "no skip"], 1e6), between=(0.3, 3), says="no skip (cut at a million)")
planted_error("11.5", back[64, "no skip, no norm"], between=(0.3, 3), says="no skip, no batch norm")
planted_error("11.5", back[64, "scale 1"], between=(0.3, 3), says="scale 1")
reveal("11.h", 2, "Each batch norm divides by a spread below one, and so multiplies the gradient.")

# %% [markdown]
# **What to notice.** The skip is what matters most. With it the gradient at the first cell is that at the last; without it, it is some millions of times as large (cut at one million, so that the line prints alike everywhere). A scale of 1 is no catastrophe at 64 cells, but the gradient has grown, and it would grow with depth: 0.1 keeps every cell a small correction.
#
# And note what does *not* show: with skips, taking the batch norms out changes nothing at the start.
#
# ### Normalisation
# So what are the batch norms for? They make a cell deaf to the size of the weights in front of them: multiply a convolution by ten, and what leaves the batch norm is the same, if it uses the statistics of the batch at hand.

# %% tags=["label-deaf"]
torch.manual_seed(1)
cell = GenerativeCell(16, scale=1.0).train()
inputs = torch.randn(8, 16, 8, 8, generator=G(4))
before = cell(inputs)

def louder(layer, factor=10.0):
    """Relative change of the cell's output when one layer's weights are multiplied."""
    layer.weight.data.mul_(factor)
    change = (cell(inputs) - before).norm() / before.norm()
    layer.weight.data.div_(factor)
    return change.item()

# %% tags=["label-deaf-claim", "rtol-0.01"]
conv, norm = cell.branch[7], cell.branch[8]                     # the last 1x1, the batch norm after it
claim("11.6", louder(conv), below=0.05, says="change by a convolution ten times as large")
planted_error("11.6", louder(norm), below=0.05, says="the batch norm's own scale ten times as large")

# %% [markdown]
# > **11.6.** In front of a batch norm the size of a convolution does not matter; the size of the batch norm's own scale does.
#
# That is why NVAE's penalty has two parts: the largest singular value of every convolution, *and* the largest scale of every batch norm. The first alone would be blind to half of the network.
#
# Does it train better? A run of 60 updates on digits of 14×14, with and without.

# %% tags=["label-small-data"]
from deepgen_lib import AdamOptions, GradientTrainer, fit
from torch.nn.functional import avg_pool2d

def halved(split, n):
    """n digits of 14 x 14, black or white with the chance that their grey says."""
    grey = avg_pool2d(load_mnist(split, binarisation="grey").images.view(-1, 1, 28, 28), 2)
    grey = grey[torch.randperm(len(grey), generator=G(0))[:n]]
    return (torch.rand(grey.shape, generator=G(1)) < grey).float()

train_x, test_x = halved("train", 4000), halved("test", 500)

# %% tags=["label-small-train"]
def trained(n_updates=60, rate=0.01, norm=True, seed=0, **options):
    """A tiny NVAE of two groups after a short training."""
    sizes = dict(groups=(1, 1), image_size=14, n_down=1, n_latent=4, width=6)
    sizes |= dict(cells=1, outer_cells=1, expansion=3)
    net = NVAE(NVAEConfig(**sizes, **options), rng=G(seed))
    if not norm:
        without_norms(net)
    how = AdamOptions(kind="adamax", learning_rate=rate, final_learning_rate=rate / 20)
    fit(GradientTrainer(net, how), train_x, n_updates=n_updates, batch_size=32, rng=G(seed + 10))
    return net.requires_grad_(False)

# %% tags=["label-predict-norm"]
predict("11.i", "Two groups, 60 updates: without batch norms the test bound is",
        ["much worse: it does not train", "about the same", "not a number"])

# %% tags=["label-norm", "rtol-0.03"]
with_norm, without = trained(), trained(norm=False)
bound = lambda net: net.elbo(test_x, G(5)).total.mean().item()
of_batch = with_norm.train()(test_x, with_norm.noise(500, G(5))).total.mean().item()
print(f"with {bound(with_norm):.1f}, without {bound(without):.1f} nats")
print(f"with, but by the statistics of the test batch itself: {of_batch:.1f}")
reveal("11.i", 1, "Two groups are few cells: skips and a small scale carry such a network alone.")

# %% tags=["label-norm-again", "rtol-0.03"]
lag = of_batch - bound(with_norm)
norms = [m for m in with_norm.modules() if isinstance(m, torch.nn.BatchNorm2d)]
for layer in norms:
    layer.reset_running_stats()
    layer.momentum = None                                       # from now on a plain mean over batches
with_norm.train()(train_x[:1000], with_norm.noise(1000, G(6)))  # measured once more, on training pictures
print(f"statistics measured again: {bound(with_norm):.1f} nats")
claim("11.7", abs(of_batch - bound(with_norm)), below=0.9, says="nats from the batch's statistics")
planted_error("11.7", lag, below=0.9, says="the running means of 60 updates")

# %% [markdown]
# **What to notice.** An honest half result. On a network this shallow one can do without batch norms. What always shows is their price: the running means are behind the weights. Two ways out: measure the statistics again, as here, or wait. Never take the batch's own: then a picture's bound depends on its neighbours, and is no bound on its $p(x)$. `elbo` always uses the
# running ones.
#
# Measured apart: over five seeds the run without batch norms was 1 to 9 nats behind; with four groups and 50 or 80 updates (two seeds) it was between half a nat behind and 3 nats *ahead*. At this size nothing is decided. The paper needed them for networks of dozens of cells in a row, and measures the statistics again before it samples (chapter 12).
#
# ### The spectral term
# The divergence of group $l$ has $\Delta\mu^2/\sigma^2$ in it (chapter 12), and $\Delta\mu$ comes out of a deep network. If that network can answer a small change of $x$ by a large change of $\Delta\mu$, the KL of some picture will be huge. What does it take? Multiply the convolutions of the *encoder and the posteriors* of a trained network by $k$:

# %% tags=["label-predict-louder"]
predict("11.j", "All of q's convolutions 1.5 times as large. The KL, 1 nat or so before, becomes",
        ["1.5 times as large", "about twice as large", "ten times as large, or more"])

# %% tags=["label-louder"]
import copy

def kl_if_louder(net, k):
    """Mean KL of test pictures when all of q's own convolutions are k times as large."""
    net = copy.deepcopy(net)
    for part in [net.encoder, *(group.posterior for group in net.top_down.groups)]:
        for module in part.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(k)
    return net.elbo(test_x, G(5)).kl.sum(1).mean().item()

# %% tags=["label-spectral-runs"]
from deepgen_lib.nvae import SpectralPenalty

nets = {weight: trained(regularisation=weight) for weight in (0.0, 0.01, 1.0)}

def exact_values(net):
    """Largest singular value of every convolution, by a full decomposition."""
    convs = [m.weight.flatten(1) for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    return torch.stack([torch.linalg.svdvals(W)[0] for W in convs])

powers = {w: [math.log10(kl_if_louder(net, k)) for k in (1, 1.5, 2, 3)] for w, net in nets.items()}
rows = {f"{w:g}": [exact_values(net).sum(), bound(net), *powers[w]] for w, net in nets.items()}

# %% tags=["label-spectral-table", "atol-0.9"]
columns = ["singular values", "bound", *(f"log10 KL, k = {k:g}" for k in (1, 1.5, 2, 3))]
display(plots.table(rows, columns=columns, corner="penalty", digits=1))
reveal("11.j", 2, "Each layer multiplies by 1.5 again, and σ is an exponential of what comes out.")

# %% [markdown]
# > **11.8.** The penalty is the sum of the largest singular values, found by a few steps of power iteration from where the last update left off. It keeps them small; and the smaller they are, the less a network's KL can explode.

# %% tags=["label-spectral-claims", "rtol-0.1"]
net = nets[1.0].double()
penalty = SpectralPenalty(net, rng=G(6))
penalty.iterate(500)
right = exact_values(net).sum()
claim("11.8", abs(penalty.singular_values().sum() - right), below=1e-3, says="500 steps against SVD")
frobenius = sum(m.weight.norm() for m in net.modules() if isinstance(m, torch.nn.Conv2d))
planted_error("11.8", abs(frobenius - right), below=1e-3, says="root of the sum of squares")
sums = [row[0] for row in rows.values()]
claim("11.8", sums[2] / sums[0], below=0.7, says="singular values, penalty 1 over penalty 0")
claim("11.8", powers[0.0][-1] - powers[1.0][-1], above=1, says="powers of ten saved at k = 3")

# %% [markdown]
# **What to notice.** The last four columns are powers of ten: an entry of 3 stands for a KL of a thousand nats. Weights half as large again, and the KL is many times what it was; three times, and it is out of all bounds. An exponential of depth is at work: each layer multiplies, and the width $\sigma$ is an exponential on top.
#
# The penalty pays for its safety: with weight 1 the bound is worse. At this size the weight 0.01 that NVAE uses does *not* improve the bound, nor reliably the columns to its right (three seeds); what it buys shows where thousands of updates would otherwise let the weights grow.
#
# (It regularises the singular values. Spectral *normalisation* would divide by them, for every layer, needed or not.)
#
# ### The clamp
# One more precaution, which the paper leaves to its program: means and log-widths are bent by $5\tanh(\cdot/5)$. Take a learning rate ten times too large.

# %% tags=["label-clamp"]
def bound_at_high_rate(clamp):
    """Test bound after 40 updates at rate 0.1; -1e6 also where the training broke off."""
    try:
        return max(bound(trained(40, rate=0.1, clamp=clamp)), -1e6)
    except (ValueError, RuntimeError):
        return -1e6

claim("11.9", bound_at_high_rate(5.0), above=-1e5, says="bound at ten times the rate, clamped, nats")
planted_error("11.9", bound_at_high_rate(None), above=-1e5, says="no clamp (cut at minus a million)")

# %% [markdown]
# The clamp does not make a wild training good. Over six seeds the bound with it ended between -83 and -14,000 nats, where the rate 0.01 gives -59; without it, below minus ten million or not a number in all six. The clamp makes a bad step *finite*, so that the next ones can mend it.
#
# ## 11.9 Summary
#
# | | what | in code |
# |:--|:--|:--|
# | ladder | $q(z_1\mid x)\,q(z_2\mid z_1,x)$ can be exact; $q(z_2\mid x)$ cannot | `TwoGroupLadder` |
# | N1 | up for taps, down once: $h_l\to p(z_l\mid z_{<l})$, and $(h_l,\text{tap}_l)\to q(z_l\mid z_{<l},x)$ | `trace(model, x, noise)` |
# | N2 | cells between groups; sides double from scale to scale | `config.latent_shapes` |
# | N3 | six rows; groups listed from the top down | `NVAE_TABLE` |
# | N4 | $y=\text{skip}(x)+0.1\cdot\text{branch}(x)$; $2EC^2+29EC+4C+\mathrm{SE}$ parameters | `GenerativeCell`, `EncoderCell` |
# | sight | $1+\sum(k-1)\cdot\text{step}$ | `encoder_fields`, `generative_fields` |
# | care | skips, a small scale, batch norms, singular values and scales kept small, clamped heads | `SpectralPenalty`, `batch_norm_penalty` |
#
# Three sentences to keep. *Look at what was drawn above before you draw below. What prior and posterior both need is computed once. In a deep stack every factor is a power: keep each step near one.*
#
# ## 11.10 A worked exercise
# **Question.** Somebody writes NVAE with two decoders: one whose path feeds the priors, a second, with the same weights at the start, whose path feeds the posteriors. KL is zero at the start, as it should be. What happens after one update? Try before you read on.
#
# **Answer.** The first path hears of the KL through the priors, the second through the posteriors: two different gradients, so the copies part, and $q$ is no longer *prior plus correction*, but a correction added to something else. Their two gradients, for the group of section 11.2:

# %% tags=["label-worked", "rtol-0.05"]
between = (by_prior - by_posterior).norm() / whole.norm()
claim("11.10", between, above=0.5, says="difference of the two gradients over their sum")

# %% [markdown]
# *Equal at the start* is not *shared*: ask again after a step (exercise 11.4).
#
# ## Where this goes next
# The network stands. What does the correction do to the divergence, why write $\Delta\mu$ and $\Delta\sigma$ relative to a prior that moves, and how does one train fifteen groups without half of them falling silent? [Chapter 12](12_nvae_kl.ipynb) does the formula, trains an NVAE on MNIST and draws from it.
#
# **Exercises:** [open them here](../exercises/11_nvae_architecture/11_nvae_architecture.ipynb). Seven of them, from counting latents to a clinic for shared weights, with checks that know what usually goes wrong.
