# %% [markdown]
# # 10 · Pictures from a code book
#
# **How do you sample from a model with discrete codes?**
#
# Chapter 9 pushed a gradient through an argmin. Now we use it. A picture becomes a small map of whole numbers, each the name of a vector in a code book; a decoder paints the picture from the map. What do the numbers mean? Why do most of them die if nobody looks after them? And
# a model that turns pictures into maps cannot yet make one of its own: for that it needs to know which maps are likely.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | train a VQ-VAE and read its maps; tell a living code book from a dead one by one number, and cure it; put an exact autoregressive prior on maps and draw from it; judge samples by a classifier and by their nearest training pictures; say what a likelihood bound in bits per dimension counts; say what each level of a two-level model holds |
# | **Time** | 80 minutes to read and predict, 135 for the exercises; all cells together run in about a minute |
# | **In the lecture** | *Variants of VAEs*, the figure of VQ-VAE-2 from Razavi et al. 2019: claim V11 |
# | **You need** | the quantiser and its losses ([chapter 9](09_vqvae_losses.ipynb)), the bound ([chapter 1](01_gibbs_bound.ipynb)) |
# | **Notation** | $x$ a picture of $D$ values; $z$ its map of codes, $n$ places, each from $1$ to $K$; $e_k$ the code vectors; $p(z)$ the prior, $p(x\mid z)$ the decoder |

# %% tags=["label-setup"]
import math, torch
from deepgen_lib import claim, derivation, explore, planted_error, plots, predict, predict_number, reveal
from deepgen_lib.codebook import Codebook
from deepgen_lib.vector_quantisation import perplexity
torch.set_num_threads(1)

# %% [markdown]
# ## 10.1 A digit in 49 numbers
#
# Two convolutions with stride 2 take 28 × 28 pixels to 7 × 7 vectors of 16 numbers; each vector is replaced by the nearest of 128 codes. The codes start on encoder outputs and follow them by running means; one that is hardly used is moved.

# %% tags=["label-data"]
from deepgen_lib import AdamOptions, GradientTrainer, VQVAE, fit, load_mnist
from deepgen_lib.residual_conv import conv_decoder, conv_encoder

G = lambda seed: torch.Generator().manual_seed(seed)
train, test = (load_mnist(s, binarisation="grey") for s in ("train", "test"))
x = train.images.view(-1, 1, 28, 28)
some = torch.randperm(10_000, generator=G(0))[:1000]            # not the first: they are all noughts
x_test, y_test = test.images.view(-1, 1, 28, 28)[some], test.labels[some]

# %% tags=["label-train"]
def new_model(n_codes=128, width=24, seed=0, **options):
    """An untrained VQ-VAE, 28 x 28 -> 7 x 7."""
    g = G(seed)
    nets = [make(1, 16, width=width, rng=g) for make in (conv_encoder, conv_decoder)]
    return VQVAE(*nets, Codebook(n_codes, 16, rng=g), sigma=0.3, **options)

model = new_model(revive_below=1.0)
model.init_codes(x[:500], rng=G(1))
trainer = GradientTrainer(model, AdamOptions(learning_rate=3e-3))
trained = fit(trainer, x, n_updates=400, batch_size=64, rng=G(2))

# %% tags=["label-predict-bits"]
bits = 49 * math.log2(128)
print(f"a map is one of 128^49: {bits:.0f} bits. The picture in the file: {784 * 8} bits")
predict("10.a", "The picture decoded from 343 bits, beside the real one, is",
        ["hardly a digit", "a digit, perhaps another one", "the same digit in the same hand, smoother"])

# %% tags=["label-reconstruct", "rtol-0.2"]
def mse(x, y):
    return (x - y).square().mean()

with torch.no_grad():
    test_maps = model.encode(x_test)
    again = model.decode(test_maps)
    shuffled = model.decode(test_maps.flip(1))
claim("10.1", mse(x_test, again), below=0.012, says="squared error per pixel on test pictures")
planted_error("10.1", mse(x_test, shuffled), below=0.012, says="the map upside down")

# %% tags=["label-maps", "rtol-0.3", "atol-0.3"]
shown = [(y_test == k).nonzero()[0, 0].item() for k in range(10)]
blank = model.decode(torch.arange(128)[:, None, None].expand(-1, 7, 7)).detach()
ink = blank[:, 0, 8:20, 8:20].mean((1, 2))                      # what a map of this code alone paints
display(plots.vq_images.code_maps(x_test[shown], test_maps[shown], again[shown], ink,
        says="Ten test digits, their maps (bright: a code that paints much ink), and what is decoded."))
reveal("10.a", 2, "343 bits, well spent, tell strokes and their slant; the blur is what they do not tell.")

# %% [markdown]
# > **10.1.** After a few hundred updates the decoder repaints a digit that it never saw from 49 whole numbers.

# %% [markdown]
# **What to notice.** A code's colour tells how much ink it paints: bright for much. So the maps look like very coarse digits, and the decoded pictures like the originals written with a softer pen. Two cells of nearly the same colour can still be quite different codes.
#
# ## 10.2 What does a code mean?
#
# Two ways to ask. The decoder: paint one code at all 49 places and look at the middle. And the data: average the 12 × 12 pixels of test pictures around every place where this code was chosen.

# %% tags=["label-alone", "rtol-0.3", "atol-0.3"]
windows = torch.nn.functional.unfold(x_test, 12, padding=4, stride=4).movedim(1, -1).flatten(0, 1)
used = torch.bincount(test_maps.flatten(), minlength=128)
mean_window = torch.zeros(128, 144).index_add_(0, test_maps.flatten(), windows) / used.clamp_min(1)[:, None]
inky = torch.where(used > 100, mean_window.mean(1), -1).argsort(descending=True)[:48:3]
alone = blank[inky, 0, 8:20, 8:20].flatten(1).clamp(0, 1)
plots.image_grid(torch.cat([mean_window[inky], alone]), columns=16,
                 row_labels=["where chosen", "alone"],
                 says="Sixteen codes: the pictures where they are chosen, and each alone.")

# %% [markdown]
# In the pictures each code stands for a piece of stroke: its slant, its bend, which side the paper is on. Alone it paints hardly that: many paint nothing, others a flat grey. The decoder reads codes together with their neighbours. So change *one* code in the map of a real digit.

# %% tags=["label-predict-edit"]
predict("10.b", "One of 49 codes is exchanged. How much of the picture can change?",
        ["the 4 x 4 pixels under it", "a window around it", "all of it"])

# %% tags=["label-edit"]
def edit(ids, row, column, code):
    changed = ids.clone()
    changed[:, row, column] = code
    return changed

with torch.no_grad():
    stroke = ink.argmax()
    after, elsewhere = (model.decode(edit(test_maps, 2, column, stroke)) for column in (2, 4))
    change = (after - again).abs().mean((0, 1))                 # (28, 28), mean over test pictures

# %% tags=["label-outside"]
def outside(change):
    """Largest change below row 22 or right of column 22: two cells and a few pixels away from (2, 2)."""
    return torch.maximum(change[23:].max(), change[:, 23:].max())

# %% tags=["label-edit-claim", "rtol-0.3"]
share = lambda low, high: (change[low:high, low:high].sum() / change.sum()).item()
print(f"of the change, {share(8, 12):.2f} lies in the 4 x 4 pixels under the code, "
      f"{share(4, 16):.2f} within 12 x 12")
claim("10.2", outside(change), below=1e-5, says="change further away than the convolutions reach")
wrong = (elsewhere - again).abs().mean((0, 1))
planted_error("10.2", outside(wrong), below=1e-5, says="another column edited")
reveal("10.b", 1, "The decoder's convolutions carry a code as far as they reach, no further.")

# %% [markdown]
# > **10.2.** A code paints in a window: the decoder is a stack of convolutions, and what one place says reaches no further than they do.
#
# One code of ink on paper, in one digit. The frame holds 12 × 12 pixels around the code; red is ink added, blue ink taken away:

# %% tags=["label-edit-picture", "rtol-0.5", "atol-0.5"]
i = min(shown, key=lambda i: again[i, 0, 8:12, 8:12].sum())     # a digit with paper there
plots.vq_images.edited(again[i, 0], after[i, 0], (4, 16, 4, 16),
                       says="One code of ink put on paper; framed: 12 x 12 pixels around the code.")

# %% tags=["label-surgery", "rtol-0.5", "atol-0.5"]
upper, lower = test_maps[shown][:, :4], test_maps[shown].roll(1, 0)[:, 4:]
halves = torch.cat([upper, lower], 1)                           # two digits, a half of each
with torch.no_grad():
    sewn = model.decode(halves)
plots.image_grid(torch.cat([again[shown], again[shown].roll(1, 0), sewn]).clamp(0, 1), columns=10,
                 row_labels=["top half of", "bottom half of", "one map"],
                 says="Two half maps make one picture, and the decoder hides the seam.")

# %% [markdown]
# **What to notice.** Only part of the change lies under the code itself: neighbours share the work, and strokes run through the cells. That is why the decoder can mend a seam between two half maps: it never learnt that a digit must be one digit. It knows how strokes go on, not
# what a seven is. What a seven is will be the prior's business.
#
# ## 10.3 Why codes die
#
# How many of the 128 codes are at work? Counting those used at all is too kind: one use in a million counts. Take the entropy of the choices and give it back as a number of codes.
#
# > **10.3.** The **perplexity** $\exp\big(-\sum_kp_k\log p_k\big)$, natural logarithm in both places, is $K$ where all codes are used alike, 1 where one is used alone, and does not change when unused codes are added.

# %% tags=["label-perplexity"]
even, few = torch.ones(128), torch.cat([torch.ones(10), torch.zeros(118)])
claim("10.3", abs(perplexity(even) - 128), below=1e-3, says="128 codes alike: distance to 128")
claim("10.3", abs(perplexity(few) - 10), below=1e-4, says="10 alike, 118 unused: distance to 10")
p = few / few.sum()
in_bits = -(p[p > 0] * p[p > 0].log2()).sum()
planted_error("10.3", abs(in_bits.exp() - 10), below=1e-4, says="exp of an entropy in bits")

# %% [markdown]
# Train four small models for 200 updates, equal but for their code books: codes at random, as many programs do; codes on encoder outputs; the same, and whoever is hardly used is moved onto an encoder output of the moment (*revival*); and random codes
# with a bug of two famous programs: sums that start at the codes, but **counts that start at zero**.

# %% tags=["label-predict-collapse"]
predict("10.c", "Random codes, 128 of them. How many are alive after 200 updates?",
        ["nearly all", "about half", "a handful"])

# %% tags=["label-look"]
from deepgen_lib.plots.vq_images import Run

@torch.no_grad()
def look(net):
    """How often each code is chosen, and six reconstructions."""
    ids = net.encode(x_test[:300])
    counts = torch.bincount(ids.flatten(), minlength=len(net.codebook.codes))
    return Run(counts, net.decode(ids[:6]).flatten(1))

# %% tags=["label-run"]
def run(n_codes, start, revival, seed=0):
    """{step: look} of a small model."""
    net = new_model(n_codes, width=16, seed=seed, revive_below=revival)
    if start == "data":
        net.init_codes(x[:500], rng=G(seed))
    if start == "counts from zero":
        net.codebook.counts.zero_()
    options = AdamOptions(learning_rate=2e-3, final_learning_rate=2e-3)
    trainer, seen = GradientTrainer(net, options), {0: look(net)}
    for before, stop in [(0, 20), (20, 50), (50, 100), (100, 200)]:
        fit(trainer, x, n_updates=stop - before, batch_size=32, rng=G(seed + stop))
        seen[stop] = look(net)
    return seen

# %% tags=["label-four-runs"]
starts = {"random codes": ("normal", 0.0), "on data": ("data", 0.0), "on data, revival": ("data", 1.0),
          "counts from zero": ("counts from zero", 0.0)}
runs = {name: run(128, start, revival) for name, (start, revival) in starts.items()}

# %% tags=["label-four-runs-picture", "rtol-0.3", "atol-0.1"]
last = {name: found[200].counts for name, found in runs.items()}
display(plots.vq_images.usage(last, says="Four code books after 200 updates, busiest codes first."))
alive = {name: perplexity(counts).item() for name, counts in last.items()}
reveal("10.c", 2, "Codes drawn at random lie far from what the encoder says; the few nearest take all.")

# %% [markdown]
# Dashed: the share 1/128 that each would have if all were chosen alike; *in use*: chosen at least once.
#
# > **10.4.** Codes die of their start. On data, and revived, a code book lives; at random, it collapses to a handful.

# %% tags=["label-collapse-claims", "rtol-0.5"]
claim("10.4", alive["random codes"], below=15, says="perplexity from random codes")
claim("10.4", alive["on data"] / alive["random codes"], above=1.5, says="gain of a start on data, a factor")
claim("10.4", alive["on data, revival"], above=40, says="perplexity on data with revival")
planted_error("10.4", alive["on data"], above=40, says="revival left out")
for name, found in runs.items():
    error = mse(x_test[:6].flatten(1), found[200].reconstructions)
    print(f"{name}: perplexity {alive[name]:.1f}, squared error {error:.3f}")

# %% [markdown]
# **What to notice.** The rich get richer. A code that wins no vector gets no gradient and no mean: it stays where it is, while the encoder learns to please those that won. Nothing in the loss complains; the pictures just get worse.
#
# ### Counts from zero
# Running means, with decay 0.99: $n_k\leftarrow0.99\,n_k+0.01\cdot\text{(vectors that fell to }k)$, the same for their sum $s_k$, then $e_k=s_k/n_k$. A code to which nothing falls should stay where it is: both are multiplied by 0.99. Now let $n_k$ start at 0 and $s_k$ at $e_k$.
#
# > **10.5.** With counts from one an unused code does not move. With counts from zero it flies off at the first update.

# %% tags=["label-zero-counts", "rtol-0.05"]
def first_update(count):
    """Lengths of the codes of a fresh book that nobody chose, after and before one update."""
    book = Codebook(8, 16, rng=G(0))
    book.counts.fill_(count)
    before = book.codes.clone()
    book.update_statistics(torch.zeros(50, 16), torch.zeros(50, dtype=torch.int64))   # all fall to code 0
    return book.codes[1:].norm(dim=1), before[1:].norm(dim=1)

after_one, before = first_update(1.0)
claim("10.5", (after_one - before).abs().max(), below=1e-4, says="an unused code's change of length")
after_zero, before = first_update(0.0)
planted_error("10.5", (after_zero - before).abs().max(), below=1e-4, says="counts from zero")

# %% [markdown]
# **What to notice.** The divisor is nothing but the tiny number that keeps programs from dividing by zero. Such a code is further from every encoder output than any other: it never wins again. One line, no error message, and a code book of 128 is one of a handful.
#
# ### Revival, with and without its papers
# A dead code is put on an encoder output. If only its vector moves, its running sum still remembers the old place, and the next update divides that sum by that count:

# %% tags=["label-revival"]
def next_update(reset):
    """Distance between where a dead code was put and where the next update leaves it."""
    book, z = Codebook(4, 16, rng=G(0)), 5 + torch.randn(50, 16, generator=G(1))
    book.counts[3], book.sums[3] = 1e-3, 1e-3 * book.codes[3]                  # hardly ever chosen
    if reset:
        book.revive(z, below=0.01, rng=G(2))
    else:
        book.codes[3] = z[0]
    put = book.codes[3].clone()
    book.update_statistics(z, torch.zeros(50, dtype=torch.int64))              # again nobody chooses it
    return (book.codes[3] - put).norm()

# %% tags=["label-revival-claim"]
claim("10.5", next_update(reset=True), below=1e-3, says="way back of a revived code")
planted_error("10.5", next_update(reset=False), below=1e-3, says="revival of the vector alone")

# %% [markdown]
# ### Why do codes die?
# Codes at random, at five moments of the training; with revival or without.
#
# 1. 128 codes, revival *off*: at which step is the book already lost?
# 2. Same step, revival *on*: what do the pictures gain?
# 3. 32 codes: does a smaller book need revival?

# %% tags=["label-explore", "rtol-0.3", "atol-0.1"]
book_runs = {(128, "off"): runs["random codes"], (128, "on"): run(128, "normal", 1.0),
             (32, "off"): run(32, "normal", 0.0), (32, "on"): run(32, "normal", 1.0)}
explore(plots.vq_images.collapse(book_runs, x_test[:6].flatten(1)))

# %% [markdown]
# ## 10.4 Which maps are likely?
#
# From here on the shipped model (`benchmarks/vq_quality.py`): larger, trained longer, and with some codes exchanged in training, so that the decoder learned to mend a map. To draw a picture we need a map. The training never asked for one map rather than another: its prior is uniform. So draw 49 codes from a hat:

# %% tags=["label-shipped"]
from deepgen_lib import load_digit_classifier, load_digit_codes

vqvae, prior, log_scales = load_digit_codes()
ids = vqvae.encode(x_test)
n_used = (torch.bincount(ids.flatten(), minlength=128) > 0).sum()
print(f"squared error {mse(x_test, vqvae.decode(ids)):.4f}, perplexity "
      f"{perplexity(torch.bincount(ids.flatten(), minlength=128)):.1f}, {n_used} of 128 used")

# %% tags=["label-predict-uniform"]
predict("10.d", "49 codes drawn uniformly, decoded. What do you see?",
        ["digits, some of them odd", "strokes without a digit", "grey noise"])

# %% tags=["label-uniform", "rtol-0.1", "atol-0.05"]
hat = torch.randint(128, (20, 7, 7), generator=G(3))
display(plots.image_grid(vqvae.decode(hat).clamp(0, 1), columns=10, says="Maps from a hat."))
reveal("10.d", 1, "Every code paints its stroke; nobody told them to make one digit together.")

# %% [markdown]
# So learn which maps occur. Read a map row by row, and let a network give the chances of each code from all that were read before it:
# $$\log p(z)=\sum_{i=1}^{n}\log p(z_i\mid z_1,\dots,z_{i-1}).$$
# One network does it for all 49 places at once, if its convolutions are *masked*: a place sees what is above it and to its left, and not itself. That is a PixelCNN (van den Oord et al. 2016).
#
# > **10.6.** A masked network is a distribution: over all maps its probabilities sum to one. And what stands at a place or after it has no say in the chances of that place.

# %% tags=["label-sum-to-one", "rtol-0.02"]
from deepgen_lib import PixelCNN, all_states

torch.manual_seed(0)
tiny = PixelCNN(2, (3, 3), width=8, n_layers=2).double().requires_grad_(False)
maps = all_states(9).long().view(-1, 3, 3)                       # all 512 of them
claim("10.6", abs(tiny.log_likelihood(maps).exp().sum() - 1), below=1e-10, says="sum over all maps, off 1")
own = tiny.logits(maps.roll(-1, 2)).log_softmax(1).gather(1, maps[:, None]).sum((1, 2, 3))
planted_error("10.6", abs(own.exp().sum() - 1), below=1e-10, says="a mask that sees its own place")

# %% tags=["label-causal"]
def reach(place):
    """Largest change of the logits at every place when the code at `place` changes."""
    changed = ids[:20].clone()
    changed.view(20, 49)[:, place] = (changed.view(20, 49)[:, place] + 1) % 128
    with torch.no_grad():
        return (prior.logits(changed) - prior.logits(ids[:20])).abs().amax((0, 1)).flatten()

seen = torch.stack([reach(place) for place in range(0, 49, 4)])
earlier = torch.stack([row[:place + 1].max() for row, place in zip(seen, range(0, 49, 4))])
claim("10.6", earlier.max(), below=1e-4, says="say of a code at its own place and before")
claim("10.6", seen[6, 25:].max(), above=0.1, says="say of the middle code over those after it")

# %% tags=["label-causal-picture", "rtol-0.1", "atol-0.2"]
plots.image_grid((seen > 1e-4).float().view(-1, 7, 7), columns=13,
                 says="Which places hear of a code at place 0, 4, 8, ..., 48: only those read later.")

# %% [markdown]
# **What to notice.** Thirteen changes of one code, at place 0, 4, 8, ..., 48; black is every place whose chances hear of it. All of it comes after the code that was changed, in reading order. A mask that lets a place see itself fails this test at once; in training it looks like a triumph, because guessing a code that one is shown costs no nats.
#
# How much does the learned prior know? In nats and bits per map, on test pictures:

# %% tags=["label-prior-bits", "rtol-0.05", "atol-1.0"]
with torch.no_grad():
    log_prior = prior.log_likelihood(ids)
    of_hat = prior.log_likelihood(hat)
learned = -log_prior.mean().item() / math.log(2)
print(f"uniform: {bits:.0f} bits a map; learned: {learned:.1f} bits on test maps")
claim("10.6", learned, between=(90, 220), says="bits a map under the learned prior")
planted_error("10.6", -of_hat.mean().item() / math.log(2), between=(90, 220), says="maps from the hat")

# %% [markdown]
# ## 10.5 Drawing digits, and judging them
#
# Draw the first code, then the second given the first, and so on: 49 steps for a whole batch of maps.

# %% tags=["label-sample", "rtol-0.3", "atol-0.3"]
drawn = prior.sample(200, rng=G(4))
with torch.no_grad():
    from_hat = torch.randint(128, (200, 7, 7), generator=G(5))
    digits, noise = (vqvae.decode(z).clamp(0, 1) for z in (drawn, from_hat))
plots.image_grid(digits[:40], columns=10, says="Forty maps drawn from the learned prior, decoded.")

# %% [markdown]
# Good? Ask somebody who never saw the model: a classifier of digits, right on more than 98 of 100 test digits. It can say how sure it is. That is no proof of beauty, but it is a number, and it is the same for everybody.

# %% tags=["label-predict-sure"]
predict("10.e", "On how many drawn digits is the classifier more than 90 % sure?",
        ["hardly any", "more than half, fewer than of real ones", "as many as of real ones"])

# %% [markdown]
# The second prior is the same network, trained with the label at its side. (Over all labels it is a prior like the other: $p(z)=\sum_y\frac1{10}p(z\mid y)$.)

# %% tags=["label-told", "rtol-0.3", "atol-0.3"]
from deepgen_lib import load_labelled_digit_prior

labels = torch.arange(10).repeat(20)
maps = load_labelled_digit_prior().sample(200, condition=labels.view(-1, 1, 1), rng=G(6))
told = vqvae.decode(maps).clamp(0, 1)
plots.image_grid(told[:30], columns=10, column_labels=range(10), says="Digits as asked for, three of each.")

# %% tags=["label-judge", "atol-0.08", "rtol-0.1"]
judge = load_digit_classifier()
verdicts = {name: judge.sureness(pictures) for name, pictures in
            {"test pictures": x_test, "decoded test pictures": vqvae.decode(ids).clamp(0, 1),
             "prior told the digit": told, "learned prior": digits, "uniform prior": noise}.items()}
sure = {name: (p > 0.9).float().mean().item() for name, (p, _) in verdicts.items()}
rarest = {name: torch.bincount(c, minlength=10).min().item() / len(c) for name, (_, c) in verdicts.items()}
plots.table({name: [sure[name], rarest[name]] for name in sure},
            columns=["more than 90 % sure", "share of the rarest class"])

# %% tags=["label-judge-claims", "rtol-0.3"]
claim("10.7", sure["learned prior"], above=0.55, says="share that the classifier is sure of")
claim("10.7", sure["prior told the digit"], above=0.75, says="the same where the prior was told the digit")
planted_error("10.7", sure["uniform prior"], above=0.55, says="the uniform prior")
claim("10.7", rarest["learned prior"], above=0.0, says="share of the rarest of ten classes")
named = (verdicts["prior told the digit"][1] == labels).float().mean()
claim("10.7", named, above=0.75, says="share that is named as it was asked for")
reveal("10.e", 1, "A chain of 49 choices, each a little wrong here and there.")

# %% [markdown]
# > **10.7.** Of maps drawn from a learned prior most are digits to a classifier, of all ten classes; of maps from a hat few are. A prior that is told which digit to make does better still.
#
# **What to notice.** A hat makes scribble, a prior makes digits, though a quarter or so of them would not pass as anybody's; one label, three bits, removes much of that. But a classifier cannot see everything. It would be just as sure of a model that recites its training pictures. So look for the nearest of all 50,000.

# %% tags=["label-nearest", "rtol-0.1"]
def nearest_training(pictures):
    """Distance to the nearest training picture, and which it is."""
    return torch.cdist(pictures.flatten(1), train.images).min(1)

far_drawn, where = nearest_training(digits[:100])
far_test, _ = nearest_training(x_test[:100])
recited, _ = nearest_training(vqvae.decode(vqvae.encode(x[:100])))
ratio, of_recited = far_drawn.mean() / far_test.mean(), recited.mean() / far_test.mean()
print(f"distance to the nearest: drawn {far_drawn.mean():.2f}, test {far_test.mean():.2f}, "
      f"recited {recited.mean():.2f}")

# %% tags=["label-nearest-claims", "rtol-0.3"]
claim("10.8", ratio, between=(0.75, 1.6), says="distance of drawn digits over that of test digits")
planted_error("10.8", of_recited, between=(0.75, 1.6), says="training pictures recited")

# %% tags=["label-nearest-picture", "rtol-0.3", "atol-0.3"]
plots.image_grid(torch.cat([digits[:10, 0], x[where[:10], 0]]), columns=10,
                 row_labels=["drawn", "nearest"],
                 says="Ten drawn digits and the training picture nearest to each.")

# %% [markdown]
# **What to notice.** Drawn digits are no nearer to the training set than digits that somebody else wrote. A model that recites is much nearer, even through the blur of its own decoder.
#
# ## 10.6 How likely is a picture?
#
# A VQ-VAE with a prior is a model of pictures, $p(x)=\sum_zp(z)\,p(x\mid z)$. The sum has $128^{49}$ terms. Keep one of them, the map that the encoder chose:
# $$\log p(x)\;\ge\;\log p(z(x))+\log p(x\mid z(x)).$$
# That is the bound of chapter 1 for a $q$ that is one point mass: its entropy is zero, and no average is left to take. What is lost is $\mathrm{KL}(q\,\Vert\,p(z\mid x))=-\log p(z(x)\mid x)$. On models small enough to add up:

# %% tags=["label-derivation"]
from deepgen_lib import gibbs_bound, kl_divergence

def tiny_model(seed):
    """log p(x, z) of 6 pictures and 5 codes, and a code for each picture."""
    g = G(seed)
    log_joint = torch.randn(30, generator=g, dtype=torch.float64).log_softmax(0).view(6, 5)
    return log_joint, torch.randint(5, (6,), generator=g)

one_hot = lambda codes: torch.eye(5, dtype=torch.float64)[codes]
posterior = lambda log_joint: log_joint.softmax(1)
tiny_models = [tiny_model(seed) for seed in range(100)]

# %% tags=["label-derivation-lines"]
pick = lambda table, codes: table.gather(1, codes[:, None])[:, 0]
derivation("10.9", {
    "log p(x) minus the kept term": lambda m: m[0].logsumexp(1) - pick(*m),
    "log p(x) minus Gibbs' bound": lambda m: m[0].logsumexp(1) - gibbs_bound(m[0], one_hot(m[1])),
    "KL(q || posterior)": lambda m: kl_divergence(one_hot(m[1]), posterior(m[0])),
    "minus log p(z(x) | x)": lambda m: -pick(posterior(m[0]).log(), m[1])}, tiny_models)

# %% [markdown]
# > **10.9.** $\log p(z(x))+\log p(x\mid z(x))$ never exceeds $\log p(x)$. The first term alone does.

# %% tags=["label-left-out", "rtol-0.05"]
gaps = torch.cat([j.logsumexp(1) - pick(j, c) for j, c in tiny_models])
codes_only = torch.cat([j.logsumexp(1) - j.logsumexp(0)[c] for j, c in tiny_models])
claim("10.9", gaps.min(), above=0, says="least gap of 600 pictures")
planted_error("10.9", codes_only.min(), above=0, says="the reconstruction left out")

# %% [markdown]
# Now real digits. Pixels have 256 grey values, so $p(x\mid z)$ must give each of the 256 a probability: here a logistic density around the decoded grey, cut into 256 pieces, its width fitted on training pictures for each grey of the mean. Unit: nats over $D\log2$, **bits per dimension**.

# %% tags=["label-predict-ledger"]
predict_number("10.f", "The map costs 343 bits at most, 0.44 per pixel. And map and picture together?",
               unit="bits per pixel")

# %% tags=["label-ledger", "rtol-0.05"]
from deepgen_lib import code_bound, fit_log_scales

with torch.no_grad():
    bound = code_bound(x_test, vqvae.decode(ids), log_prior, log_scales)
to_bits = lambda nats: -nats.mean().item() / math.log(2) / 784
average = x.mean(0, keepdim=True)
scales = fit_log_scales(x[:2000], average.expand(2000, -1, -1, -1))
one_code = code_bound(x_test, average.expand_as(x_test), torch.zeros(1000), scales)
rows = {"uniform prior": {"codes": bits / 784, "pixels": to_bits(bound.picture)},
        "learned prior": {"codes": to_bits(bound.codes), "pixels": to_bits(bound.picture)},
        "a book of one code": {"codes": 0.0, "pixels": to_bits(one_code.picture)}}

# %% tags=["label-ledger-picture", "rtol-0.05", "atol-0.02"]
display(plots.vq_images.bit_bars(rows, says="What a test digit costs: its map, and then its pixels."))
total = bound.bits_per_dim.mean().item()
error = bound.bits_per_dim.std().item() / 1000**0.5
print(f"bound on test pictures: {total:.3f} ± {error:.3f} bits per dimension")
reveal("10.f", round(total, 1), "The map is the small part; the exact greys are the rest.", within=0.8)

# %% tags=["label-ledger-claims", "rtol-0.1"]
claim("10.10", total, between=(1.8, 2.8), says="bits per dimension, codes and pixels")
planted_error("10.10", to_bits(bound.codes), between=(1.8, 2.8), says="the reconstruction left out")
per_code = -bound.total.mean().item() / 49 / math.log(2)
planted_error("10.10", per_code, between=(1.8, 2.8), says="bits per code, not per pixel")

# %% [markdown]
# **What to notice.** The famous 343 bits are the smaller part of the bill, and a learned prior makes them smaller still. Most of it is spent on the pixels once the map is known: the exact grey along every stroke. That has two consequences.
#
# * **What the number says.** It is an honest price: with $p(z)$ and $p(x\mid z)$ one could store these pictures in so many bits, and $-\log p(x)$ is no larger.
# * **What it does not say.** It hardly hears of the samples: from the uniform to the learned prior the picture changes from scribble to digits, and the price by about a tenth. Even a book of one code, whose every sample is the same grey blur, is not much dearer.
# * **What it leaves out.** A quantiser keeps one map and ignores the others, so the bound pays for every map that would have done as well.
# * **What it may not be compared with.** The nats of chapters 3 and 6: those were black and white pixels, these have 256 greys.
#
# ## 10.7 Two levels: VQ-VAE-2
#
# A face of 32 × 32 colours has more to tell than a digit. VQ-VAE-2 (Razavi, van den Oord and Vinyals 2019) has two maps: a small one on **top**, 8 × 8, and a larger one at the **bottom**, 16 × 16, which sees the top one and says what that left out. Each gets a prior; the bottom prior looks at the top map:

# %% tags=["label-diagram"]
plots.diagrams.code_maps()

# %% tags=["label-faces"]
from deepgen_lib import TwoMaps, load_colour_faces, load_face_codes

train_faces, faces = load_colour_faces("train"), load_colour_faces("test").images
known, people = train_faces.images, train_faces.groups
two, top_prior, bottom_prior = load_face_codes()
maps = two.encode(faces)
print(f"{len(known)} training faces of {len(people.unique())} people, {len(faces)} of others to test")
print(f"top {tuple(maps.top.shape[1:])}, bottom {tuple(maps.bottom.shape[1:])}, 64 codes each: "
      f"{6 * 64} and {6 * 256} bits at most, of {8 * 3072} in the file")

# %% tags=["label-predict-levels"]
predict("10.g", "Remove the bottom map (all its codes by their mean). What remains of a face?",
        ["edges without colour", "the right colours and shadows, blurred", "an average face"])

# %% [markdown]
# Measure it: the error of the pictures' blocks of 4 × 4 pixels is *layout*; what is left within the blocks is *detail*. The two add up to the squared error.

# %% tags=["label-levels", "rtol-0.1"]
from deepgen_lib.vqvae2 import error_by_scale

with torch.no_grad():
    decoded = {"both levels": two.decode(maps)}
    decoded |= {f"without {level}": two.decode(maps, without=level) for level in ("bottom", "top")}
split = {name: [part.mean().item() for part in error_by_scale(faces, y, block=4)]
         for name, y in decoded.items()}
plots.table(split, columns=["layout", "detail"], digits=4)

# %% tags=["label-levels-picture", "picture-V11", "rtol-0.1", "atol-0.05"]
few_faces = torch.arange(0, len(faces), max(1, len(faces) // 8))[:8]
rows = {"pictures": faces[few_faces]} | {name: y[few_faces] for name, y in decoded.items()}
display(plots.vq_images.two_levels(rows, split, says="Faces of people never seen, with one level removed."))
reveal("10.g", 1, "The top map is small and has to do without detail; so it says what is large.")

# %% [markdown]
# > **V11.** In a two-level hierarchy of code maps the top holds the layout, the bottom the detail; with an autoregressive prior on each, it can be drawn from.

# %% tags=["label-levels-claims", "claim-V11", "planted-V11", "rtol-0.1", "atol-0.05"]
lost = {level: [a - b for a, b in zip(split[f"without {level}"], split["both levels"])]
        for level in ("bottom", "top")}
of_bottom, of_top = (detail / layout for layout, detail in lost.values())
claim("V11", of_bottom, above=1.5, says="without bottom: detail lost over layout lost")
claim("V11", of_top, below=0.7, says="without top: detail lost over layout lost")
planted_error("V11", of_top, above=1.5, says="the levels exchanged")

# %% [markdown]
# **What to notice.** Without the bottom level every face is still in its place, with its light and its colours, but nobody would know it. Without the top level a few edges are left, and the layout is gone. One honest remark: nothing in the paper's loss *forces* this division. Our model was helped:
# in part of its training the bottom map was taken away, so that the top had to say what it could alone.
#
# ### Whose face?
# Take the top map of one person and the bottom map of another.

# %% tags=["label-mix", "rtol-0.1", "atol-0.05"]
other = maps.top[few_faces].roll(3, 0)                          # tops of other faces
with torch.no_grad():
    mixed = two.decode(TwoMaps(other, maps.bottom[few_faces]))
rows = torch.cat([faces[few_faces].roll(3, 0), faces[few_faces], mixed])
plots.vq_images.colour_grid(rows, row_labels=["top of", "bottom of", "mixed"],
                            says="Mixed faces follow the top map in all that is large.")

# %% tags=["label-mix-claim", "claim-V11", "rtol-0.1", "atol-0.05"]
to_top = error_by_scale(faces[few_faces].roll(3, 0), mixed, block=4)[0].mean()
to_bottom = error_by_scale(faces[few_faces], mixed, block=4)[0].mean()
claim("V11", to_bottom / to_top, above=3, says="layout is nearer to the top map's owner, a factor")

# %% [markdown]
# ### Drawing faces
# First the top map, then the bottom map given the top. Does the bottom prior listen to the top at all? Give it another person's:

# %% tags=["label-listen", "claim-V11", "planted-V11", "rtol-0.1", "atol-0.05"]
with torch.no_grad():
    given_own, given_other, given_third = (
        bottom_prior.log_likelihood(maps.bottom, maps.top.roll(shift, 0)) for shift in (0, 40, 20))
gain = (given_own - given_other).mean()
claim("V11", gain, above=35, says="nats by which the own top map helps the bottom prior")
planted_error("V11", (given_other - given_third).mean(), above=35, says="conditions shuffled on both sides")

# %% tags=["label-face-bits", "rtol-0.1"]
def face_bits(pictures):
    """Bits of both maps of a face under the two priors, mean over pictures."""
    found = two.encode(pictures)
    with torch.no_grad():
        nats = top_prior.log_likelihood(found.top) + bottom_prior.log_likelihood(found.bottom, found.top)
    return -nats.mean().item() / math.log(2)

print(f"bits for the two maps: uniform {6 * 320}, training faces {face_bits(known):.1f}, "
      f"other people {face_bits(faces):.1f}")

# %% tags=["label-draw-faces", "rtol-0.3", "atol-0.1"]
top = top_prior.sample(12, rng=G(7))
bottom = bottom_prior.sample(12, condition=top, rng=G(8))
with torch.no_grad():
    drawn_faces = two.decode(TwoMaps(top, bottom)).clamp(0, 1)
nearest = torch.cdist(drawn_faces.flatten(1), known.flatten(1)).argmin(1)
plots.vq_images.colour_grid(torch.cat([drawn_faces, known[nearest]]),
                            row_labels=["drawn", "nearest"],
                            says="Twelve drawn faces and the training face nearest to each.")

# %% [markdown]
# **What to notice.** Hair above skin above shoulders, light from one side: the top prior has learned how a face is laid out. The features are rough. 262 pictures of 14 people are little to learn 320 places from, and the two priors are surer of faces they were trained on than of other people's; the paper has a million pictures, larger maps and larger
# networks.
#
# Compare the two rows: is a drawn face the double of a training face? A likelihood would not tell you; the nearest neighbours do.
#
# ## 10.8 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | encode, decode | $z_i=\arg\min_k\lVert z_e(x)_i-e_k\rVert$, then the decoder's mean of $e_z$ | `model.encode(x)`, `model.decode(ids)` |
# | perplexity | $\exp(-\sum_kp_k\log p_k)$, from 1 to $K$ | `perplexity(counts)` |
# | running means | $n_k\leftarrow\gamma n_k+(1-\gamma)N_k$, the same for $s_k$, $e_k=s_k/n_k$, counts from **one** | `Codebook(..., update="ema")` |
# | revival | $e_k\leftarrow z$, and $n_k,s_k$ with it | `book.revive(z, below=..., rng=rng)` |
# | prior | $\log p(z)=\sum_i\log p(z_i\mid z_{<i})$, masked | `prior.log_likelihood(ids)`, `prior.sample(n, rng=rng)` |
# | bound | $\log p(x)\ge\log p(z(x))+\log p(x\mid z(x))$, gap $-\log p(z(x)\mid x)$ | `code_bound(x, mean, log_prior, log_scales)` |
# | bits per dimension | nats $/(D\log2)$ | `bound.bits_per_dim` |
# | two levels (V11) | $p(z_{\text{top}})\,p(z_{\text{bottom}}\mid z_{\text{top}})$ | `VQVAE2`, `decode(maps, without="top")` |
#
# Three sentences to keep. *A decoder knows how strokes go on; a prior knows what a picture is. A code book is alive by its perplexity, not by its loss. A price in bits counts every pixel, and so hardly hears of the samples.*
#
# ## 10.9 A worked exercise
# **Question.** Somebody reports a perplexity of 16 for a book of 512 codes, measured on single pictures of 4 × 4 codes and averaged. How bad is the collapse? Try before you read on.
#
# **Answer.** One cannot know. A single picture has 16 places, so its perplexity is at most 16, however rich the book. With our digits:

# %% tags=["label-worked", "rtol-0.1"]
one_by_one = torch.stack([perplexity(torch.bincount(z.flatten(), minlength=128)) for z in ids])
whole = perplexity(torch.bincount(ids.flatten(), minlength=128))
print(f"mean over single digits {one_by_one.mean():.1f}, all 1,000 together {whole:.1f}")
claim("10.11", whole / one_by_one.mean(), above=2, says="factor by which single pictures mislead")

# %% [markdown]
# Count first, then take the logarithm: choices of all pictures in one histogram.
#
# ## Where this goes next
# Codes here are names: 17 is no nearer to 18 than to 99. Chapter 11 goes back to codes that are numbers, with a density each, and stacks dozens of levels of them: NVAE.
#
# **Exercises:** [open them here](../exercises/10_vqvae_images/10_vqvae_images.ipynb). Six of them, from a clinic for quantisers to the question which level holds what, with checks that know what usually goes wrong.
