# %% [markdown]
# # 9 · VQ-VAE: the losses
#
# **How do you train through an argmin?**
#
# A VAE's code is a vector of real numbers. A VQ-VAE's is a whole number: the encoder says $z_e$, and the nearest of $K$ learned vectors, the *codes*, is handed to the decoder. Choosing the nearest is an argmin,
# and an argmin has no slope. The lecture answers in three tries: a loss; a copied gradient and a term for the codes; a term for the encoder. All of it can be drawn on a plane, and there we do it, to the last digit. Several of
# the slides' formulas have a slip, and one slip of another kind, made in well-known programs, cannot be seen in any loss curve. A single gradient shows it.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | say which of the three terms moves which tensor; derive the straight-through gradient and say where it lies; find a wrong `detach` or a misplaced $\beta$ without training; read the codebook's update as k-means |
# | **Time** | 70 minutes to read and predict, 165 for the exercises; all cells together run in less than a minute |
# | **In the lecture** | *Basic idea: discrete latent space*, *The loss*, *straight-through estimator*, *quantization* (both), *commitment penalty*: claims V1 to V10 |
# | **You need** | the bound and its gap ([chapter 1](01_gibbs_bound.ipynb)), the encoder as a network ([chapter 8](08_vae.ipynb)) |
# | **Notation** | $z_e$ encoder output, $e_0,\dots,e_{K-1}$ codes, $z_q$ the code that the decoder gets, $k$ its number; $\mathrm{sg}$ stop-gradient (`detach`); all in nats |

# %% tags=["label-setup"]
import torch
from deepgen_lib import claim, derivation, explore, planted_error, plots, predict, predict_number
from deepgen_lib import reveal
from deepgen_lib.vector_quantisation import nearest_code, straight_through, vq_losses
torch.set_default_dtype(torch.float64)  # exact work

# %% [markdown]
# ## 9.1 Codes and cells
#
# The smallest VQ-VAE there is: pictures $x$ of two pixels, an encoder $z_e=Ax$, six codes on the plane, a decoder $\hat x=Bz_q$.

# %% tags=["label-toy"]
G = lambda seed: torch.Generator().manual_seed(seed)
codes = torch.tensor([[-1.5, 1.1], [0.0, 1.5], [1.6, 0.9], [-1.2, -0.9], [0.5, -0.7], [1.9, -1.3]])
x = torch.randn(60, 2, generator=G(0))
A = torch.tensor([[1.2, 0.3], [-0.2, 1.0]])             # encoder
B = torch.tensor([[0.8, -0.2], [0.1, 0.9]])             # decoder
z_e = x @ A.T
ids = nearest_code(z_e, codes)                          # which code each point gets, (60,)

# %% tags=["label-cells", "picture-V1"]
plots.vq_losses.cells(codes, {"z_e": z_e},
                      says="Six codes, the cell of points nearest to each, and sixty encoder outputs.")

# %% [markdown]
# Every point of a cell gets the same code. The borders are straight: halfway between two codes. What is $q(z\mid x)$ here?

# %% tags=["label-predict-tie"]
predict("9.a", "z_e lies on a border, as far from code 1 as from code 4. Then q is",
        ["half on each", "one of them, at random", "all on code 1"])

# %% [markdown]
# > **V1.** $q(z=k\mid x)=1$ for $k=\arg\min_j\lVert z_e(x)-e_j\rVert$ and 0 for the others: a point mass. Ties go to the lowest index.

# %% tags=["label-v1", "claim-V1"]
from deepgen_lib import entropy
from torch.nn.functional import one_hot

distance = (z_e[:, None] - codes).square().sum(-1)      # (60, 6)
regret = lambda ids: (distance.gather(1, ids[:, None])[:, 0] - distance.min(1).values).max()
q = one_hot(ids, 6).double()
claim("V1", regret(ids), below=1e-12, says="distance to the chosen code minus the least")
claim("V1", entropy(q).max(), below=1e-12, says="entropy of q")
border = torch.tensor([[0.0, 0.0]])
corners = torch.tensor([[3.0, 0], [1, 0], [0, -1], [0, 1], [-1, 0]])         # the last four tie
claim("V1", (nearest_code(border, corners) - 1).abs(), below=0.5, says="code of a four-fold tie, minus 1")

# %% tags=["label-v1-planted", "planted-V1"]
planted_error("V1", regret((z_e @ codes.T).argmax(1)), below=1e-12, says="the largest product zᵀe")
soft = (-distance).softmax(1)
planted_error("V1", entropy(soft).max(), below=1e-12, says="a softmax in place of the argmin")
last = 4 - corners.flip(0).square().sum(1).argmin()
planted_error("V1", last - 1, below=0.5, says="ties to the highest index")
reveal("9.a", 2, "Any rule would do, but every program must use the same one, or codes cannot be shared.")

# %% [markdown]
# The decoder needs a vector. The slide defines $z_q(x)=\arg\min_j\lVert z_e(x)-e_j\rVert$, and that is a *number*, the name of a code.
#
# > **V2.** $z_q(x)=e_k$ with $k=\arg\min_j\lVert z_e(x)-e_j\rVert$: the code, not its number.
# >
# > ⚠ **Erratum.** The slide *The loss* prints the argmin itself.
#
# A name can be changed without changing anything; a vector cannot. Shuffle the codebook and see what survives.

# %% tags=["label-v2", "claim-V2", "planted-V2"]
worst = lambda a, b: (a - b).abs().max()
z_q = codes[ids]
order = torch.tensor([3, 5, 0, 1, 4, 2])
new_ids = nearest_code(z_e, codes[order])
print(f"z_e {tuple(z_e.shape)}, codes[ids] {tuple(z_q.shape)}, as printed {tuple(ids.shape)}")
claim("V2", worst(codes[order][new_ids], z_q), below=1e-12, says="change of z_q when codes are renamed")
planted_error("V2", worst(new_ids, ids).double(), below=1e-12, says="the index, as printed")

# %% tags=["label-v2-picture", "picture-V2"]
plots.vq_losses.cells(codes, {"z_e": z_e[:14]}, arrows={"z_e to z_q": (z_e[:14], (z_q - z_e)[:14])},
                      says="What quantising does to fourteen of the points.")

# %% [markdown]
# ## 9.2 The first try, and its sign
#
# The decoder says how probable $x$ is: $p(x\mid z_q)=\mathcal N(Bz_q,1)$. With a prior $p(k)$ this is a mixture of six Gaussians, and everything can be counted. Chapter 1's bound holds for every $q$, so for a point mass too. Its
# entropy is zero:
# $$\log p(x)\;\ge\;\log p(x\mid z_q)+\log p(k)=\log p(x\mid z_q)-\mathrm{KL}\big(q(z\mid x)\,\Vert\,p(z)\big).$$

# %% tags=["label-mixture"]
from deepgen_lib import bound_terms, kl_divergence
log2pi = torch.tensor(2 * torch.pi).log()

def log_likelihood(x, outputs):
    """log N(x; outputs_k, 1) for every code.  (N, 2), (K, 2) -> (N, K)."""
    return -(x[:, None] - outputs).square().sum(-1) / 2 - log2pi

# %% tags=["label-v3-lines", "claim-V3"]
decoders = [B + torch.randn(2, 2, generator=G(s)) for s in range(50)]
log_prior = torch.randn(6, generator=G(1)).log_softmax(0)
table = lambda B: log_likelihood(x, codes @ B.T)         # log p(x | k), (60, 6)
to_posterior = lambda B: kl_divergence(q, (table(B) + log_prior).softmax(1))
derivation("V3", {
    "the bound of chapter 1": lambda B: bound_terms(table(B), log_prior, q).total,
    "log p(x | z_q) minus KL":
        lambda B: table(B).gather(1, ids[:, None])[:, 0] - kl_divergence(q, log_prior.exp()),
    "log p(x) minus KL to the posterior": lambda B: (table(B) + log_prior).logsumexp(1) - to_posterior(B),
}, decoders)

# %% [markdown]
# > **V3.** The loss is $-\log p(x\mid z_q)+\mathrm{KL}(q\Vert p)$: minus the bound, to be *minimised*.
# >
# > ⚠ **Erratum.** The slide prints $\mathbb{E}_x\big[\log p(x\mid z_q)+\mathrm{KL}\big]$ and calls it a loss. The same plus before the logarithm returns in the second and third try.
#
# Is there a way to read the printed sum so that it trains? It could be minimised, or it could be meant to be maximised. Try both, beside ours. What is trained: the six decoder outputs and a learned prior.

# %% tags=["label-predict-sign"]
predict("9.b", "The printed sum, log p(x | z_q) + KL, trains the model",
        ["if it is minimised", "if it is maximised", "neither way"])

# %% tags=["label-v3-train"]
def train(loss, n_steps=25, rate=0.2):
    """The mean bound along gradient steps on loss(log p(x | z_q), KL)."""
    outputs, logits = (codes @ B.T).requires_grad_(), torch.zeros(6, requires_grad=True)
    found = []
    for _ in range(n_steps):
        terms = bound_terms(log_likelihood(x, outputs), logits.log_softmax(0), q)
        found.append(terms.total.mean().item())
        value = loss(terms.reconstruction, -terms.prior - terms.entropy).mean()
        slopes = torch.autograd.grad(value, (outputs, logits))
        for parameter, slope in zip((outputs, logits), slopes):
            parameter.data -= 6 * rate * slope
    return torch.tensor(found)

# %% tags=["label-v3-signs", "claim-V3", "planted-V3", "picture-V3"]
signs = {"ours, minimised": train(lambda ll, kl: kl - ll),
         "printed, minimised": train(lambda ll, kl: ll + kl),
         "printed, maximised": train(lambda ll, kl: -ll - kl)}
climb = lambda name: signs[name][-1] - signs[name][0]
claim("V3", signs["ours, minimised"].diff().min(), above=0, says="smallest step of the bound, our sign")
planted_error("V3", climb("printed, minimised"), above=0, says="the printed sum, minimised")
planted_error("V3", climb("printed, maximised"), above=0, says="the printed sum, maximised")
shown = {name: curve.clamp(min=-14) for name, curve in signs.items()}
plots.lines(torch.arange(25), shown, xlabel="step", ylabel="bound (nats), cut at −14",
            says="The bound under the three readings of the first loss.")

# %% tags=["label-answer-sign"]
reveal("9.b", 2, "Minimised it makes pictures improbable; maximised it makes their codes improbable.")

# %% [markdown]
# ## 9.3 When may the KL be dropped?
#
# The slide then drops the KL. A regulariser that one can drop is a strange one.
#
# > **V4.** For a point mass and a *fixed uniform* prior the KL is $\log K$ per code, whatever the encoder does; $49\log K$ for a map of 7 × 7 codes. A constant moves nothing. Once the prior is learned it is no constant.

# %% tags=["label-v4", "claim-V4"]
drawn = [one_hot(torch.randint(0, n, (20,), generator=G(n)), n).double() for n in range(2, 52)]
derivation("V4", {
    "KL of a point mass to the uniform prior":
        lambda q: kl_divergence(q, torch.full_like(q, 1 / q.shape[1])),
    "minus its entropy, minus the mean of log p":
        lambda q: -entropy(q) - q @ torch.full((q.shape[1],), 1 / q.shape[1]).log(),
    "log K": lambda q: torch.full((20,), float(q.shape[1])).log(),
}, drawn)

# %% tags=["label-v4-map", "claim-V4"]
one_map = one_hot(torch.tensor([17]), 81).double()      # one of the 3^4 maps with 4 positions, 3 codes
kl_map = kl_divergence(one_map, torch.full((1, 81), 1 / 81))
four_log3 = 4 * torch.tensor(3.0).log()
claim("V4", worst(kl_map, four_log3), below=1e-12, says="all 81 maps listed, against 4 log 3")
log128 = torch.tensor(128.0).log()
print(f"49 positions, 128 codes: {49 * log128:.2f} nats, or {49 * 7} bits")

# %% tags=["label-v4-learned", "planted-V4", "picture-V4"]
used = torch.bincount(ids, minlength=6) / 60
kl = {"uniform prior": torch.full((6,), 6.0).log(), "learned prior": -used.log()}     # for each code
spread = kl["learned prior"][ids].max() - kl["learned prior"][ids].min()
planted_error("V4", spread, below=1e-12, says="a learned prior, called constant")
planted_error("V4", worst(kl_map, four_log3 / 4), below=1e-12, says="log K once for the whole map")
planted_error("V4", worst(kl_map, torch.zeros(1)), below=1e-12, says="no KL, because q is certain")
paid = {name: k[ids].mean() for name, k in kl.items()}
print(f"mean KL {paid['uniform prior']:.4f} nats uniform, {paid['learned prior']:.4f} learned")
plots.bars(range(6), kl, xlabel="code", ylabel="KL (nats)",
           says="What a picture pays for its code, under a uniform and a learned prior.")

# %% [markdown]
# **What to notice.** Uniform, every code costs 1.7918 nats. Learned, frequent codes are cheap and rare ones dear, and the mean falls to 1.6393. A VQ-VAE is trained with the first and *sampled* with the second (chapter 10): by then the
# encoder is frozen, so nothing is lost for training; but every bit count must use the prior that is used.
#
# ## 9.4 An argmin passes nothing
#
# Drop the KL. What is left is $-\log p(x\mid z_q)$, or, without the constant, $\tfrac12\lVert x-Bz_q\rVert^2$. Let $z_e$ walk across the plane, $x$ fixed.

# %% tags=["label-predict-walk"]
predict("9.c", "Along the walk the reconstruction loss is",
        ["a parabola", "flat, with jumps", "a bent line without jumps"])

# %% tags=["label-v5-walk", "picture-V5"]
def reconstruction(x, z_q):
    """½‖x - B z_q‖², for each point."""
    return (x - z_q @ B.T).square().sum(-1) / 2

steps = torch.linspace(-2.4, 2.6, 501)
walk = torch.stack([steps, 0.18 * steps + 0.1], 1)
along = reconstruction(torch.tensor([1.2, 0.3]), codes[nearest_code(walk, codes)])
plots.vq_losses.staircase(codes, walk, along,
                          says="The loss of one picture while its z_e walks across the cells.")

# %% tags=["label-answer-walk"]
reveal("9.c", 1, "Inside a cell the decoder cannot tell where z_e is.")

# %% [markdown]
# > **V5.** $z_q$ is constant in every cell, so $\partial z_q/\partial z_e=0$ wherever it exists: the encoder's gradient is zero. (At a border it does not exist.)

# %% tags=["label-v5", "claim-V5", "planted-V5"]
def encoder_slope(quantise):
    """Gradient of the summed reconstruction in A, where z_q = quantise(z_e)."""
    encoder = A.clone().requires_grad_()
    loss = reconstruction(x, quantise(x @ encoder.T)).sum()
    if not loss.requires_grad:                           # autograd saw no path at all
        return torch.zeros(2, 2)
    return torch.autograd.grad(loss, encoder)[0]

hard = lambda z: codes[nearest_code(z, codes)]
claim("V5", encoder_slope(hard).abs().max(), below=1e-300, says="gradient of the encoder")
mixed = lambda z: (-(z[:, None] - codes).square().sum(-1)).softmax(1) @ codes
planted_error("V5", encoder_slope(mixed).abs().max(), below=1e-300, says="a soft lookup")

# %% [markdown]
# Autograd and truth agree here: move all encoder weights a little and the loss does not change in a single bit, unless a point crosses a border.

# %% tags=["label-v5-differences", "claim-V5"]
def loss_at(A):
    return reconstruction(x, hard(x @ A.T)).sum()

tiny = [1e-7 * torch.randn(2, 2, generator=G(s)) for s in range(20)]
changes = torch.stack([(loss_at(A + d) - loss_at(A)).abs() for d in tiny])
claim("V5", changes.max(), below=1e-300, says="change of the loss, 20 small moves of the encoder")
big = torch.stack([(loss_at(A + 1e5 * d) - loss_at(A)).abs() for d in tiny])
planted_error("V5", big.max(), below=1e-300, says="moves large enough to cross borders")

# %% [markdown]
# ## 9.5 Straight through
#
# The chain rule for the encoder has three factors, and the one in the middle is zero:
# $$\frac{\partial L}{\partial A}=\frac{\partial L}{\partial z_q}\cdot\underbrace{\frac{\partial z_q}{\partial z_e}}_{0}\cdot\frac{\partial z_e}{\partial A}.$$
# The straight-through estimator puts the identity there. It is not a derivation, it is a decision: pretend that a push at $z_q$ is a push at $z_e$.
#
# > **V6.** Straight-through hands the decoder $z_q$, bit for bit, and copies $\partial L/\partial z_q$ to $z_e$ as it is.
#
# There is a famous one-liner for this, $z_e+\mathrm{sg}(z_q-z_e)$, and there are three that look like it.

# %% tags=["label-forms"]
sg = torch.Tensor.detach
forms = {"straight_through(z, q)": straight_through,
         "z + sg(q − z)": lambda z, q: z + sg(q - z),
         "q + (z − sg(z))": lambda z, q: q + (z - sg(z)),
         "z + (q − z)": lambda z, q: z + (q - z),
         "q": lambda z, q: q}

# %% tags=["label-forms-pushes"]
def pushes(form):
    """Value handed on; gradients of the reconstruction at z_e, at the codes and at what was handed on."""
    z, e = z_e.clone().requires_grad_(), codes.clone().requires_grad_()
    given = form(z, e[ids])
    loss = reconstruction(x, given).sum()
    return given, *torch.autograd.grad(loss, (z, e, given), allow_unused=True, materialize_grads=True)

# %% tags=["label-predict-forms"]
predict("9.d", "Which of the four one-liners gives the codes a gradient of the reconstruction?",
        ["q alone", "q, and z + (q − z)", "all but z + sg(q − z)", "all four"])

# %% tags=["label-v6", "claim-V6"]
given, at_z, at_codes, at_given = pushes(straight_through)
claim("V6", (given != z_q).sum().double(), below=0.5, says="numbers that differ from z_q in any bit")
claim("V6", worst(at_z, at_given), below=1e-300, says="gradient at z_e against gradient at z_q")
claim("V6", at_codes.abs().max(), below=1e-300, says="gradient at the codes")
by_hand = ((z_q @ B.T - x) @ B).T @ x                   # sum over points of Bᵀ(B z_q - x) xᵀ
with_copy = encoder_slope(lambda z: straight_through(z, hard(z)))
claim("V6", worst(with_copy, by_hand), below=1e-10, says="the encoder's gradient against the chain rule")

# %% tags=["label-v6-planted", "planted-V6"]
rows = {}
for name, form in forms.items():
    given, at_z, at_codes, at_given = pushes(form)
    rows[name] = [int((given != z_q).sum()), worst(at_z, at_given), at_codes.norm()]
bits, copy_off, code_push = ({n: float(r[i]) for n, r in rows.items()} for i in range(3))
planted_error("V6", bits["z + sg(q − z)"], below=0.5, says="the famous one-liner, bit for bit")
planted_error("V6", code_push["q + (z − sg(z))"], below=1e-300,
              says="q + (z − sg(z)): codes pushed too")
planted_error("V6", copy_off["z + (q − z)"], below=1e-12, says="no detach: nothing is copied")
reveal("9.d", 2, "Wherever q stands outside of sg, the codes hear the decoder.")
display(plots.table(rows, columns=["entries not z_q", "copy is off by", "push on codes"], corner="form"))

# %% [markdown]
# **What to notice.** $z+\mathrm{sg}(q-z)$ has the right gradients; its value is off in the last bit, here for 1 of the 120 numbers, because $z+(q-z)$ is not $q$ on a computer. That is harmless in training, and a trap when someone looks the vector up in the codebook again. $q+(z-\mathrm{sg}(z))$ has the right *value* and the right push on $z_e$, so nothing seems wrong,
# yet the decoder now drags the codes about as well. And $z+(q-z)$ is $q$ with more ink.

# %% tags=["label-v6-picture", "picture-V6"]
some = slice(0, 12)
push = -0.6 * at_given[some]
plots.vq_losses.cells(codes, {"z_e": z_e[some]},
                      arrows={"reconstruction": (z_e[some], push)},
                      says="The decoder's wish about z_q, six tenths of it drawn, attached to z_e.")

# %% [markdown]
# ### Is it the right gradient?
# The loss of one picture is a staircase, but the *mean* over many pictures is smooth: when the encoder shifts, a few of them cross a border. That mean has a true slope. Take a line instead of a plane: $x\sim\mathcal N(0,1)$, encoder $z_e=x+a$, two codes, loss $(x-z_q)^2$. Only the $x=b-a$ that sit
# on the border $b$ between codes $e_0$ and $e_1$ change anything:
# $$\frac{dL}{da}=p(b-a)\,\big[(b-a-e_1)^2-(b-a-e_0)^2\big],\qquad\text{copied: }\;2\,\big(\mathbb{E}[z_q]-\mathbb{E}[x]\big).$$

# %% tags=["label-line"]
normal = torch.distributions.Normal(0.0, 1.0)

def line(a, e):
    """Exact loss, true slope, copied slope at shift a; codes e (K,) in order, x normal."""
    edge = (e[1:] + e[:-1]) / 2 - a                      # the x that sit on a border
    p, cdf = normal.log_prob(edge).exp(), normal.cdf(edge)
    zero, one = torch.zeros(1), torch.ones(1)
    mass = torch.cat([zero, cdf, one]).diff()            # P(code k)
    mean = -torch.cat([zero, p, zero]).diff()            # E[x; code k]
    loss = 1 - 2 * e @ mean + e.square() @ mass          # E[x²] = 1
    true = p @ ((edge - e[1:]).square() - (edge - e[:-1]).square())
    return torch.stack([loss, true, 2 * e @ mass])

# %% tags=["label-predict-bias"]
predict("9.e", "At a = 0 each x gets its nearest code: the least loss. The copied slope there is",
        ["zero", "not zero"])

# %% tags=["label-v6-bias", "claim-V6", "planted-V6"]
two, shifts = torch.tensor([-0.5, 2.0]), torch.linspace(-1, 1, 81)
found, step = torch.stack([line(a, two) for a in shifts]), 1e-5      # (81, 3)
rise = [line(a + step, two)[0] - line(a - step, two)[0] for a in shifts]
differences = torch.stack(rise) / (2 * step)
claim("V6", worst(found[:, 1], differences), below=1e-8, says="true slope against finite differences")
planted_error("V6", worst(found[:, 2], differences), below=1e-8, says="the copied slope in its place")
loss, true, copied = line(torch.tensor(0.0), two)
print(f"at a = 0: true slope {true.abs():.4f}, copied slope {copied:.4f}, loss {loss:.4f}")
reveal("9.e", 1, "It is zero where the codes have the mean of the data, and that is another place.")

# %% tags=["label-v6-bias-picture"]
a = torch.tensor(0.0)
for _ in range(200):
    a = a - 0.1 * line(a, two)[2]                        # follow the copied slope
print(f"it stops at a = {a:.4f}, where the loss is {line(a, two)[0]:.4f}")
claim("V6", line(a, two)[0] - loss, above=0.004, says="loss where straight-through stops, minus the least")
plots.lines(shifts, {"true slope": found[:, 1], "copied slope": found[:, 2]},
            xlabel="shift a of the encoder", ylabel="slope of the mean loss",
            says="The copied gradient is biased: it crosses zero elsewhere.")

# %% [markdown]
# **What to notice.** At the best encoder the true slope is 0.0000 and the copied one 0.1331. Followed to its end, straight-through stops at $a=-0.0916$ with a loss of 0.6002 instead of 0.5942: biased, not by noise but by design, and not by much. With many codes it is nearly right, because $z_q$ then really moves with $z_e$:

# %% tags=["label-v6-fine", "claim-V6"]
def bias(n_codes):
    """Largest difference of the two slopes over the shifts, n codes evenly from -4.1 to 4.4."""
    e = torch.linspace(-4.1, 4.4, n_codes)
    return torch.stack([line(a, e)[2] - line(a, e)[1] for a in shifts]).abs().max()

for n in (3, 5, 9):
    print(f"{n} codes: bias {bias(n):.4f}")
claim("V6", bias(9) / bias(3), below=0.01, says="bias with 9 codes over bias with 3")

# %% [markdown]
# ### The push across the border
# The lecture's Figure 1 (from van den Oord et al. 2017) shows an arrow at $z_e$ that points across a border: after one step the same picture may get another code.
#
# > **V6b.** Inside a cell the copied push changes nothing but $z_e$; sooner or later $z_e$ crosses a border, and the next pass sees another code and another loss.
#
# Follow one point. The decoder is the identity for once; it should say $x$, the star. The step is $z_e\leftarrow z_e-\eta\,(e_k-x)$.

# %% tags=["label-v6b-walk"]
def follow(z, x, n_steps, rate=0.05, copy=True):
    """Places (T, 2), codes (T,) and losses (T,) of one point under copied gradients."""
    places, chosen, losses = [], [], []
    for _ in range(n_steps):
        k = nearest_code(z[None], codes)[0]
        places, chosen, losses = places + [z], chosen + [k], losses + [(x - codes[k]).square().sum() / 2]
        z = z - rate * (codes[k] - x) * copy
    return torch.stack(places), torch.stack(chosen), torch.stack(losses)

star = torch.tensor([1.5, 0.7])
path, chosen, paid = follow(torch.tensor([-2.0, -1.0]), star, 40)

# %% tags=["label-v6b", "claim-V6b", "planted-V6b"]
stays = (chosen.diff() == 0)
claim("V6b", paid.diff()[stays].abs().max(), below=1e-300, says="change of the loss while the code stays")
claim("V6b", (path.diff(dim=0).norm(dim=1)).min(), above=0.001, says="shortest step of z_e")
claim("V6b", paid[-1] - paid[0], below=-4, says="loss after 40 steps minus loss at the start")
still = follow(path[0], star, 40, copy=False)[2]
planted_error("V6b", still[-1] - still[0], below=-4, says="no copy: the argmin passes nothing")
uphill = follow(path[0], star, 40, rate=-0.05)[2]
planted_error("V6b", uphill[-1] - uphill[0], below=-4, says="the copied gradient climbed")

# %% tags=["label-v6b-picture", "picture-V6b"]
print(f"step: code  {', '.join(f'{t}: {chosen[t]}' for t in (0, 10, 15, 20, 25, 30, 39))}")
print(f"loss {paid[0]:.3f} at the start, {paid[-1]:.3f} at the end")
plots.vq_losses.crossing(codes, path, star, paid,
                         says="Forty copied pushes take z_e from code 3 to code 2.")

# %% [markdown]
# **What to notice.** The loss stands at 4.925 while $z_e$ wanders through its cell, then falls in jumps to 0.025. On the way $z_e$ zigzags between two codes that both push it back over their border. And it never comes to rest: the star is not on a code, so the push of the last cell is small and constant for ever.
# Nothing in the reconstruction asks $z_e$ to be near $e_k$. Remember that for 9.8.
#
# ## 9.6 Who moves the codes?
#
# Straight-through gives the decoder's push to $z_e$ *instead of* the codes: they have no gradient at all (V6). So they get a term of their own.

# %% tags=["label-predict-term"]
predict("9.f", "‖z_e − e‖² without any stop-gradient, in place of the quantization term, would",
        ["move the codes alone", "move the codes and pull z_e equally hard",
         "move nothing: the two cancel"])

# %% [markdown]
# > **V7.** $\lVert\mathrm{sg}(z_e)-e\rVert^2$ moves the codes alone. At code $k$ its gradient is $\sum_{j:\,k_j=k}2\,(e_k-z_{e,j})$; the encoder's is zero.
# >
# > ⚠ **Erratum.** The second try carries V3's slip on: it adds this term to $+\log p(x\mid z_q)$ and calls the sum a loss. Right: $-\log p(x\mid z_q)+\lVert\mathrm{sg}(z_e)-e\rVert^2$.

# %% tags=["label-v7"]
def slopes(loss, A=A, codes=codes):
    """Gradients of loss(z_e, codes, ids) in the encoder and in the codes."""
    encoder, e = A.clone().requires_grad_(), codes.clone().requires_grad_()
    z = x @ encoder.T
    value = loss(z, e, nearest_code(z.detach(), e.detach())).sum()
    return torch.autograd.grad(value, (encoder, e), allow_unused=True, materialize_grads=True)

quantization = lambda z, e, ids: vq_losses(z, e, ids).quantization
on_encoder, on_codes = slopes(quantization)
sums = torch.zeros_like(codes).index_add(0, ids, z_e)                     # Σ z_e of each code
counts = torch.bincount(ids, minlength=6)[:, None]

# %% tags=["label-v7-claims", "claim-V7", "planted-V7"]
formula = 2 * (counts * codes - sums)
claim("V7", on_encoder.abs().max(), below=1e-300, says="push of the quantization term on the encoder")
claim("V7", worst(on_codes, formula), below=1e-10, says="push on the codes against 2 Σ (e − z_e)")
wrong_side = slopes(lambda z, e, ids: (z - sg(e[ids])).square().sum(1))
planted_error("V7", wrong_side[0].abs().max(), below=1e-300, says="detach on the wrong side: encoder")
planted_error("V7", worst(wrong_side[1], formula), below=1e-10, says="detach on the wrong side: codes")
both = slopes(lambda z, e, ids: (z - e[ids]).square().sum(1))
planted_error("V7", both[0].abs().max(), below=1e-300, says="no stop-gradient")
reveal("9.f", 1, "Equally hard: then β would have nothing to weigh, and the encoder runs to the codes.")

# %% tags=["label-v7-signs"]
def second_try(sign, n_steps=60, rate=0.002):
    """Rise of the reconstruction in steps down sign · log p + quantization, codes and decoder."""
    e, decoder, found = codes.clone().requires_grad_(), B.clone().requires_grad_(), []
    for _ in range(n_steps):
        k = nearest_code(z_e, e.detach())
        paid = (x - straight_through(z_e, e[k]) @ decoder.T).square().sum(1) / 2      # -log p
        found.append(paid.mean().item())
        value = (-sign * paid + vq_losses(z_e, e, k).quantization).sum()
        for parameter, slope in zip((e, decoder), torch.autograd.grad(value, (e, decoder))):
            parameter.data -= rate * slope
    return found[-1] - found[0]

# %% tags=["label-v7-signs-claims", "claim-V7", "planted-V7"]
claim("V7", second_try(-1), below=-0.03, says="change of the reconstruction, −log p + quantization")
planted_error("V7", second_try(+1), below=-0.03, says="the printed second try, +log p")

# %% tags=["label-v7-picture", "picture-V7"]
plots.vq_losses.cells(codes, {"z_e": z_e}, arrows={"quantization": (codes, -0.12 * on_codes)},
                      says="Each code is pushed towards the encoder outputs that chose it.")

# %% [markdown]
# ## 9.7 k-means, with the 1/n
#
# Collect the points of each code. The term is $\sum_i\sum_{j=1}^{n_i}\lVert z_{j,i}-e_i\rVert^2$: the error of k-means. The slide gives its minimum in closed form, $e_i:=\sum_jz_{j,i}$, and calls the $z_{j,i}$ decoded samples.

# %% tags=["label-predict-sum"]
predict("9.g", "Set every code to the sum of its points. The quantization error",
        ["reaches its minimum", "falls, but not to the minimum", "grows more than a hundredfold"])

# %% [markdown]
# > **V8.** Given who chose what, the minimum is the *mean* of the *encoder outputs*, $e_i=\frac1{n_i}\sum_jz_{j,i}$. Choosing anew and taking means anew, in turns, is k-means: the error never rises.
# >
# > ⚠ **Erratum.** On the slide the factor $1/n_i$ is missing, and the $z_{j,i}$ are *encoder outputs*; nothing has been decoded.

# %% tags=["label-v8", "claim-V8", "planted-V8"]
def error(e, ids=ids):
    """The quantization term, summed over the points, for fixed choices."""
    return vq_losses(z_e, e, ids).quantization.sum()

means = sums / counts
slope_at = lambda e: 2 * (counts * e - sums)
claim("V8", slope_at(means).abs().max(), below=1e-10, says="slope of the term at the means")
rises = [error(means + 0.1 * torch.randn(6, 2, generator=G(s))) - error(means) for s in range(100)]
claim("V8", min(rises), above=0, says="smallest rise, 100 directions away from the means")
planted_error("V8", slope_at(sums).abs().max(), below=1e-10, says="the slide's sum")
print(f"error: codes {error(codes):.2f}, means {error(means):.2f}, sums {error(sums):.2f}")
reveal("9.g", 2, "The code with 19 points lands 19 times too far out.")

# %% tags=["label-v8-lloyd", "claim-V8", "picture-V8"]
history, errors = [codes], []
for _ in range(12):
    now = nearest_code(z_e, history[-1])
    errors.append(error(history[-1], now))
    picked = one_hot(now, 6).double()
    history.append(picked.T @ z_e / picked.sum(0)[:, None])
claim("V8", torch.stack(errors).diff().max(), below=1e-12, says="largest rise of the error in a turn")
print("error per turn: " + ", ".join(f"{e:.2f}" for e in errors[:6]))
plots.vq_losses.k_means(history[:3], z_e, says="k-means: choose, take means, choose anew.")

# %% [markdown]
# **What to notice.** Means bring the error from 40.98 to 36.21, sums to 16737.63. A gradient step on the term goes to the same place: $e_k-\eta\cdot2n_k(e_k-\text{mean})$ *is* the mean for $\eta=1/(2n_k)$. So the quantization term trains the codes by k-means, online, while the points themselves move.
#
# ### Moving averages
# In practice one often drops the term and averages what falls to each code over the batches: counts and sums, each with decay $\gamma$, and divides,
# $$N_k\leftarrow\gamma N_k+(1-\gamma)\,n_k,\qquad S_k\leftarrow\gamma S_k+(1-\gamma)\sum_jz_j,\qquad e_k=S_k/N_k.$$
# On the same batch again and again $S-mN$ shrinks by $\gamma$ each time, $m$ the mean. So $e_k-m=\gamma^t\,(e_k^{(0)}-m)\,/\,N_k$ from $N_k=1$, $S_k=e_k^{(0)}$: it converges to k-means' answer. A seventh code, far away, is chosen by nobody.

# %% tags=["label-ema"]
seven = torch.cat([codes, torch.tensor([[9.0, 9.0]])])
n7, s7 = torch.cat([counts, torch.zeros(1, 1)]), torch.cat([sums, torch.zeros(1, 2)])

def ema(n_steps, decay=0.9, start=1.0, divide=True):
    """The seven codes along n steps of moving averages over the same points.  -> (n + 1, 7, 2)."""
    N, S, found = torch.full((7, 1), start), seven, [seven]
    for _ in range(n_steps):
        N, S = decay * N + (1 - decay) * n7, decay * S + (1 - decay) * s7
        found.append(S / N.clamp(min=1e-5) if divide else S)
    return torch.stack(found)

# %% tags=["label-predict-ema"]
predict("9.h", "Counts start at 0, sums at the codes (in several ports). After one batch, the unused code",
        ["stays", "jumps to the origin", "flies away, thousands of units off"])

# %% tags=["label-ema-claims", "claim-V8", "planted-V8"]
along = ema(100)
t = torch.arange(101)[:, None, None]
law = means + 0.9**t * (codes - means) / (0.9**t + (1 - 0.9**t) * counts)
claim("V8", worst(along[:, :6], law), below=1e-12, says="moving averages against the formula, 100 steps")
claim("V8", worst(along[-1, :6], means), below=1e-4, says="their distance from the means after 100 steps")
claim("V8", worst(along[-1, 6], seven[6]), below=1e-10, says="movement of the unused code")
undivided, from_zero = ema(100, divide=False), ema(1, start=0.0)
planted_error("V8", worst(undivided[-1, :6], means), below=1e-4, says="sums not divided by counts")
planted_error("V8", worst(from_zero[-1, 6], seven[6]), below=1e-10, says="counts started at zero")
reveal("9.h", 2, "0.9 times itself over almost nothing. No point will ever choose it again.")

# %% [markdown]
# (The library smooths the counts a little before it divides, on a copy: smoothing that is written back compounds, batch after batch.) One more way to get it wrong leaves the codes right and the *report* wrong. A batch is quantised with the codes that were there when it came. Update first, and the batch has moved its codes towards itself before
# it is judged:

# %% tags=["label-ema-order"]
from deepgen_lib.codebook import Codebook

batch = torch.stack([z_e[ids == k][0] for k in range(6)])                 # one point of each code
def charged(update_first):
    """The quantization error that the batch is charged; decay 0, so that the codes follow it at once."""
    book = Codebook(6, 2, update="ema", decay=0.0)
    book.init_from(codes, rng=G(0))
    k = book.nearest(batch)
    if update_first:
        book.update_statistics(batch, k)
    return vq_losses(batch, book.codes, k).quantization.sum()

# %% tags=["label-ema-order-claims", "claim-V8", "planted-V8"]
honest = (batch - codes).square().sum()
claim("V8", worst(charged(False), honest), below=1e-10, says="charge of a batch against its distance")
planted_error("V8", worst(charged(True), honest), below=1e-10, says="the update before quantising")
print(f"charged {charged(False):.3f}; with the update first {charged(True):.3f}")

# %% [markdown]
# ## 9.8 Who holds the encoder?
#
# In 9.5 the push on $z_e$ never ended. If the star lies beyond the last code, there is no border to turn back at: $z_e$ runs away, the code cannot follow fast enough, and the more $z_e$ grows the harder the codes must chase.
#
# > **V9.** $\beta\lVert z_e-\mathrm{sg}(e)\rVert^2$ moves the encoder alone; at $z_e$ its gradient is $2\beta(z_e-e)$. With it the copied push ends where $z_e=e_k-\frac{1}{2\beta}\,\partial L/\partial z_q$.

# %% tags=["label-v9", "claim-V9", "planted-V9"]
beta = 0.25
commitment = lambda z, e, ids: beta * vq_losses(z, e, ids).commitment
pull, on_the_codes = slopes(commitment)
claim("V9", on_the_codes.abs().max(), below=1e-300, says="push of the commitment on the codes")
by_hand = 2 * beta * (z_e - z_q).T @ x
claim("V9", worst(pull, by_hand), below=1e-10, says="push on the encoder against 2β(z_e − e)")
wrong_side = slopes(lambda z, e, ids: beta * (sg(z) - e[ids]).square().sum(1))
planted_error("V9", wrong_side[1].abs().max(), below=1e-300, says="detach on the wrong side")
both = slopes(lambda z, e, ids: beta * (z - e[ids]).square().sum(1))
planted_error("V9", both[1].abs().max(), below=1e-300, says="no stop-gradient")

# %% tags=["label-predict-commit"]
predict_number("9.i", "The star lies 3 units beyond code 2, β = 0.25. How far from code 2 does z_e rest?",
               unit="units")

# %% tags=["label-v9-rest"]
def distance_from_code(beta, n_steps=300, rate=0.05):
    """How far z_e is from code 2, step by step; decoder the identity, star 3 units beyond the code."""
    z, e, away = torch.tensor([1.7, 1.0]), codes[2], 3 * torch.tensor([0.6, 0.8])
    found = []
    for _ in range(n_steps):
        found.append((z - e).norm())
        z = z + rate * (away - 2 * beta * (z - e))
    return torch.stack(found)

# %% tags=["label-v9-rest-claims", "claim-V9", "planted-V9", "picture-V9"]
held = {f"β = {b:g}": distance_from_code(b) for b in (0.0, 0.25, 1.0)}
far = held["β = 0.25"][-1]
claim("V9", worst(far, 6), below=0.01, says="distance after 300 steps against 3/(2β) = 6")
claim("V9", worst(held["β = 1"][-1], 1.5), below=0.01, says="distance against 3/(2β) = 1.5")
planted_error("V9", held["β = 0"][-1] - 6, below=0.01, says="no commitment")
print("after 300 steps: " + ", ".join(f"{name}: {d[-1]:.2f}" for name, d in held.items()))
plots.lines(torch.arange(300), held, xlabel="step", ylabel="distance of z_e from its code",
            says="Without a commitment z_e leaves its code for good.")

# %% tags=["label-answer-commit"]
reveal("9.i", round(far.item(), 1), "At rest the pushes balance: 3 = 2β · distance.", within=0.1)

# %% [markdown]
# **What to notice.** $\beta=0.25$ does not tie $z_e$ to its code: it stops at a distance of 6. It makes the distance *finite*, in proportion to what the decoder asks. Without it 300 steps lead 45 units away, and there is no end.
#
# ## 9.9 The table
#
# Three terms, three tensors. Fill it in before you look.

# %% tags=["label-predict-table"]
predict("9.j", "How many of the nine gradients are not zero?", ["three", "four", "five", "nine"])

# %% tags=["label-table"]
def table_of(terms):
    """Length of each term's gradient in encoder, codes, decoder.  terms(z, e, ids, decoder)."""
    encoder, e, decoder = (t.clone().requires_grad_() for t in (A, codes, B))
    z = x @ encoder.T
    k = nearest_code(z.detach(), e.detach())
    tensors, options = (encoder, e, decoder), {"allow_unused": True, "materialize_grads": True}
    found = [torch.autograd.grad(term.sum(), tensors, retain_graph=True, **options)
             for term in terms(z, e, k, decoder)]
    return torch.tensor([[slope.norm() for slope in row] for row in found])

# %% tags=["label-table-right"]
def right(z, e, k, decoder):
    given = straight_through(z, e[k])
    quantization, commitment = vq_losses(z, e, k)
    return (x - given @ decoder.T).square() / 2, quantization, beta * commitment

# %% tags=["label-v10-table", "claim-V10", "planted-V10", "picture-V10"]
expected = torch.tensor([[True, False, True], [False, True, False], [True, False, False]])
mistakes = lambda terms: ((table_of(terms) > 0) != expected).sum().double()
wrong_sides = lambda z, e, k, D: (right(z, e, k, D)[0],
                                  (z - sg(e[k])).square(), (sg(z) - e[k]).square())
leaky = lambda z, e, k, D: ((x - (e[k] + z - sg(z)) @ D.T).square(), *right(z, e, k, D)[1:])
claim("V10", mistakes(right), below=0.5, says="entries of the table that move, or stay, against V6 to V9")
planted_error("V10", mistakes(wrong_sides), below=0.5, says="detach on the wrong sides")
planted_error("V10", mistakes(leaky), below=0.5, says="q + (z − sg(z))")
plots.vq_losses.who_moves(table_of(right), rows=["reconstruction", "quantization", "β commitment"],
                          columns=["encoder", "codes", "decoder"], says="Who moves whom.")

# %% tags=["label-answer-table"]
reveal("9.j", 1, "Encoder and decoder hear the reconstruction, codes the second term, encoder the third.")

# %% [markdown]
# The table as a picture of the program. Numbers run forwards (black), gradients backwards (dashed); under the argmin the blue one is copied across:

# %% tags=["label-vqvae-diagram"]
plots.diagrams.vqvae()

# %% [markdown]
# ### Move it yourself
# One point, its code, three coloured arrows (each is four tenths of the downhill slope of half the squares). Blue: the decoder's wish, copied. Orange: the commitment. Purple, at the code: the quantization term.
# 1. Walk $z_e$ from left to right with the reconstruction alone. When does the blue arrow change, and when not?
# 2. All three, place 5. For which $\beta$ does orange win over blue?
# 3. Which arrow does $\beta$ never touch?

# %% tags=["label-explore"]
explore(plots.vq_losses.pushes)

# %% [markdown]
# *Answers.* 1: only when a border is crossed; within a cell it keeps length and direction. 2: of the four only for $\beta=4$; the nearer $z_e$ is to its code, the larger $\beta$ must be. 3: the purple one; where $\beta$ moves the purple one, somebody put it on the wrong term.
#
# ## 9.10 Three terms on digits
#
# > **V10.** The loss is $-\log p(x\mid z_q)+\lVert\mathrm{sg}(z_e)-e\rVert^2+\beta\lVert z_e-\mathrm{sg}(e)\rVert^2$, and each term is needed: without the copy nothing reaches the encoder, without the second term the codes stand still, without the third the encoder runs away.
# >
# > ⚠ **Erratum.** The third try on the slide has $+\log p(x\mid z_q)$, the sign of V3 once more.
#
# Leave one out at a time, on MNIST: 28 × 28 pixels to 7 × 7 codes, 64 codes of 8 numbers, 300 updates of Adam, three seconds each. Also a fifth: everything there, but $\beta$ on the second term.

# %% tags=["label-digits"]
from deepgen_lib import load_mnist
from deepgen_lib.vector_quantisation import perplexity
from deepgen_lib.residual_conv import conv_decoder, conv_encoder
from deepgen_lib.vqvae import VQVAE

torch.set_default_dtype(torch.float32)
digits, test = (load_mnist(s, binarisation="grey").images.view(-1, 1, 28, 28) for s in ("train", "test"))
test = test[:500]

# %% tags=["label-digits-network"]
def network(seed):
    """A small VQ-VAE, its codes placed on encoder outputs of 64 digits."""
    rng = G(seed)
    encoder, decoder = (net(1, 8, width=16, n_blocks=0, rng=rng) for net in (conv_encoder, conv_decoder))
    m = VQVAE(encoder, decoder, Codebook(64, 8, update="gradient", rng=rng), commitment=beta)
    m.init_codes(digits[:64], rng=rng)
    return m

# %% tags=["label-digits-terms"]
def terms_of(m, x, *, copy=True, on_codes=1.0, on_encoder=beta):
    """Squared error and the weighted rest of the loss, both (B,); encoder outputs; ids."""
    z = m.encoder(x).movedim(1, -1)                                       # (B, 7, 7, 8)
    codes = m.codebook.codes
    ids = nearest_code(z.detach().reshape(-1, 8), codes.detach()).view(z.shape[:-1])
    given = straight_through(z, codes[ids]) if copy else codes[ids].detach()
    squares = (x - m.decoder(given.movedim(-1, 1))).square().flatten(1).sum(1)   # −log p, σ² = ½
    distance = vq_losses(z, codes, ids)
    return squares, on_codes * distance.quantization + on_encoder * distance.commitment, z, ids

# %% tags=["label-digits-variants"]
variants = {"all three terms": {}, "no straight-through": {"copy": False},
            "no codebook term": {"on_codes": 0.0}, "no commitment": {"on_encoder": 0.0},
            "β on the wrong term": {"on_codes": beta, "on_encoder": 1.0}}

# %% tags=["label-predict-ablation"]
predict("9.k", "One of the five trainings has a mistake that its loss curve hides. Which?",
        ["no straight-through", "no codebook term", "no commitment", "β on the wrong term"])

# %% tags=["label-digits-train"]
def trained(options, seed=0, n_updates=300):
    """The network; error per pixel in training; on test: error, perplexity, mean length of z_e."""
    m, rng, curve = network(seed), G(seed), []
    adam = torch.optim.Adam(m.parameters(), lr=3e-3)
    for _ in range(n_updates):
        squares, rest, *_ = terms_of(m, digits[torch.randint(len(digits), (32,), generator=rng)], **options)
        adam.zero_grad(), (squares + rest).mean().backward(), adam.step()
        curve.append(squares.mean().item() / 784)
    with torch.no_grad():
        squares, _, z, ids = terms_of(m, test, **options)
    used = perplexity(torch.bincount(ids.flatten(), minlength=64))
    return m, torch.tensor(curve), [v.item() for v in (squares.mean() / 784, used, z.norm(dim=-1).mean())]

# %% tags=["label-digits-run", "rtol-0.6", "atol-0.01"]
runs = {name: trained(options) for name, options in variants.items()}
scores = {name: score for name, (_, _, score) in runs.items()}
shown = {n: [f"{s[0]:.4f}", f"{s[1]:.1f}", f"{min(s[2], 1000):.2f}"] for n, s in scores.items()}
columns = ["test error per pixel", "perplexity of 64", "length of z_e, cut at 1,000"]
plots.table(shown, columns=columns)

# %% tags=["label-digits-curves", "picture-V10", "rtol-0.4", "atol-0.01"]
smooth = {name: curve.view(30, 10).mean(1) for name, (_, curve, _) in runs.items()}
plots.vq_losses.ablations(torch.arange(5, 300, 10), smooth, ylabel="squared error per pixel",
                          says="Five trainings; two of them look the same.")

# %% tags=["label-digits-claims", "claim-V10", "planted-V10", "rtol-0.1", "atol-0.02"]
test_error, used, length = ({n: s[i] for n, s in scores.items()} for i in range(3))
good = dict(between=(0.007, 0.018))   # seven seeds: 0.0101 to 0.0130; β on the wrong term 0.0085 to 0.0107
claim("V10", test_error["all three terms"], **good, says="test error, all three terms")
claim("V10", used["all three terms"], above=20, says="perplexity, all three terms")
planted_error("V10", test_error["no straight-through"], **good, says="no straight-through")
planted_error("V10", test_error["no codebook term"], **good, says="no codebook term")
planted_error("V10", test_error["no commitment"], **good, says="no commitment")
claim("V10", test_error["β on the wrong term"], **good, says="test error, β on the wrong term (!)")
claim("V10", length["no commitment"], above=1000, says="mean length of z_e without a commitment")

# %% [markdown]
# **What to notice.** Without the copy the encoder is pulled to its codes and to nothing else: one code is left, and the decoder paints one blurred average. Without the codebook term the codes lie where they were put, near the origin, while the encoder is ten times as far out as it should be. Without the commitment the
# encoder runs off, a thousand units and more, and the codes with it. Each shows at once, in the error and in the perplexity.
#
# $\beta$ on the wrong term does not show. Its curve is, if anything, the *better* one: to weigh the codes by $\beta$ and the encoder by 1 means four times as much commitment, relative to ours, and at this size that helps (in six of seven seeds when this was written). Nobody looks for a bug in a falling curve; this one has lived for years in widely copied programs. It is only that the $\beta$ in the
# paper and the $\beta$ in the program mean different things, and that no comparison of $\beta$ is worth anything.
#
# ### One gradient check
# At the codes the right gradient is $2\sum(e-z_e)$, of weight one. Divide.

# %% tags=["label-check"]
def weight_on_codes(loss, m):
    """The codebook gradient of loss(m, x) over that of the quantization term with weight one."""
    x = digits[:64]
    z = m.encoder(x).movedim(1, -1).detach()
    ids = m.encode(x)
    unit = torch.autograd.grad(vq_losses(z, m.codebook.codes, ids).quantization.sum(), m.codebook.codes)[0]
    found = torch.autograd.grad(loss(m, x).sum(), m.codebook.codes, materialize_grads=True)[0]
    return (found * unit).sum() / unit.square().sum()

# %% tags=["label-check-run", "claim-V10", "planted-V10"]
m = network(0)
of = lambda options: weight_on_codes(lambda m, x: sum(terms_of(m, x, **options)[:2]), m)
claim("V10", (of({}) - 1).abs(), below=1e-4, says="weight of the term on the codes, minus 1: ours")
library = weight_on_codes(lambda m, x: m.terms(x).total, m)
claim("V10", (library - 1).abs(), below=1e-4, says="weight on the codes, minus 1: the library's VQVAE")
swapped = of(variants["β on the wrong term"])
planted_error("V10", (swapped - 1).abs(), below=1e-4, says="β on the wrong term")
planted_error("V10", (of({"on_codes": 0.0}) - 1).abs(), below=1e-4, says="no codebook term")
reveal("9.k", 3, f"One division finds it, before any training: {swapped:.2f} in place of 1.")

# %% tags=["label-digits-picture", "rtol-0.6", "atol-0.15"]
some = test[:8]
with torch.no_grad():
    rows = [some] + [m.reconstruct(some).clamp(0, 1) for m, _, _ in runs.values()]
plots.image_grid(torch.cat(rows).view(-1, 28, 28), row_labels=["digits", *runs], columns=8,
                 says="Eight test digits, and what each of the five networks makes of them.")

# %% [markdown]
# ## 9.11 Errata of these slides
#
# | slide | printed | right |
# |:--|:--|:--|
# | *The loss* | $z_q(x)=\arg\min_j\lVert z_e(x)-e_j\rVert$ | $z_q(x)=e_k$, $k$ the argmin (V2) |
# | *The loss* (first try) | $\log p(x\mid z_q)+\mathrm{KL}$, a loss | $-\log p(x\mid z_q)+\mathrm{KL}$ (V3) |
# | *The loss: quantization* (second try) | $\log p(x\mid z_q)+\lVert\mathrm{sg}(z_e)-z_q\rVert^2$ | $-\log p(x\mid z_q)+\dots$ (V7) |
# | *The loss: quantization* | $e_i:=\sum_jz_{j,i}$ over "decoded samples" | $e_i:=\frac1{n_i}\sum_jz_{j,i}$ over encoder outputs (V8) |
# | *The loss: commitment penalty* (third try) | $\log p(x\mid z_q)+\dots$ | $-\log p(x\mid z_q)+\dots$ (V10) |
#
# ## 9.12 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | V1, V2 | $k=\arg\min_j\lVert z_e-e_j\rVert$, lowest index wins; $z_q=e_k$ | `ids = nearest_code(z_e, codes)`, `codes[ids]` |
# | V3, V4 | loss $=-\log p(x\mid z_q)+\mathrm{KL}$; KL $=\log K$ per code for a fixed uniform prior, $-\log p(k)$ for a learned one | |
# | V5 | $\partial z_q/\partial z_e=0$ inside every cell | |
# | V6, V6b | forward $z_q$, backward identity; biased; pushes $z_e$ until it crosses a border | `straight_through(z_e, z_q)` |
# | V7, V8 | $\lVert\mathrm{sg}(z_e)-e\rVert^2$ moves the codes: k-means; or moving counts and sums | `vq_losses(...).quantization`, `Codebook(update="ema")` |
# | V9 | $\beta\lVert z_e-\mathrm{sg}(e)\rVert^2$ moves the encoder | `vq_losses(...).commitment` |
# | V10 | the sum of the three; nine gradients, four of them not zero | `VQVAE(...).terms(x).total` |
#
# Three sentences to keep. *An argmin has no slope, so we pretend that it is the identity, and pay with a bias that many codes make small. Each term has one pupil: the stop-gradient says who. A falling loss proves nothing about a program's gradients; look at them once, on one point.*
#
# ## 9.13 A worked exercise
# **Question.** A colleague writes both distances with the `detach` on the wrong side: $\lVert z_e-\mathrm{sg}(e)\rVert^2+\beta\lVert\mathrm{sg}(z_e)-e\rVert^2$. How is that different from $\beta$ on the wrong term? Try before you read on.
#
# **Answer.** Not at all: the first term now is a commitment of weight 1, the second a codebook term of weight $\beta$. Two different slips, one and the same training.

# %% tags=["label-worked", "claim-V10"]
torch.set_default_dtype(torch.float64)
wrong_detach = slopes(lambda z, e, k: (z - sg(e[k])).square().sum(1)
                      + beta * (sg(z) - e[k]).square().sum(1))
wrong_beta = slopes(lambda z, e, k: beta * vq_losses(z, e, k).quantization
                    + vq_losses(z, e, k).commitment)
claim("V10", max(worst(a, b) for a, b in zip(wrong_detach, wrong_beta)), below=1e-10,
      says="gradients of the one slip against those of the other")

# %% [markdown]
# So a check that knows the weight of each push finds both; a check that only asks "does it move?" finds neither.
#
# ## Where this goes next
# [Chapter 10](10_vqvae_images.ipynb) trains a VQ-VAE that is worth looking at: what the codes mean, why codes die and how to revive them, a prior over maps of codes, samples, and the bound in bits.
#
# **Exercises:** [open them here](../exercises/09_vqvae_losses/09_vqvae_losses.ipynb). Eight of them, from the point mass to one gradient check that tells six trainings apart, with checks that know what usually goes wrong.
