# %% [markdown]
# # 0 · Start here
#
# **How does one work in this course, and is this machine ready?**
#
# | | |
# |:--|:--|
# | **After this page you** | have seen what the course is about, tried how it works, checked your machine and yourself |
# | **Time** | 25 minutes; in a hurry, sections 0.1 and 0.2 take 8, and the rest waits until you miss it |
# | **You need** | nothing: run each cell with `Shift`+`Enter`, from top to bottom |
# | **Next** | [1 · The Gibbs bound](01_gibbs_bound.ipynb) |
#
# **The course in three sentences.** A generative model learns what data look like, well enough to make up new ones: it explains each
# picture by causes that nobody observed. To learn, it would need sums over all possible causes, and these have more terms than any
# computer could add. This course follows one university lecture, claim by claim, along the way out, which is to *turn the sum into a
# maximisation*, from Boltzmann machines to deep belief networks, VQ-VAE and NVAE.

# %% tags=["label-setup"]
import torch
from deepgen_lib import checks, claim, entropy, explore, hint, planted_error, plots
from deepgen_lib import predict, predict_number, reveal
torch.set_num_threads(1)

# %% [markdown]
# ## 0.1 The two-minute tour
#
# **A model is a landscape.** Give every point $x$ of a plane an energy $E(x)$, and let its probability be proportional to
# $e^{-\beta E(x)}$: low is likely. The number $\beta$, the *inverse temperature*, says how much the energy counts. The dots are 3,000 draws.
# Run the cell, then move the slider above the picture (mouse, or `Tab` and the arrow keys): at 0 every place is as likely as any other, at 1
# each draw has found one of five valleys. Colours show where a draw set out. (Where no kernel runs, as on GitHub, a slider's picture stands still.)

# %% tags=["label-tour-landscape"]
explore(plots.tour.landscape)

# %% [markdown]
# **Learning shapes the landscape.** Now a point is a picture: 784 pixels, each 0 or 1. A *restricted Boltzmann machine* (RBM) gives every
# picture an energy, and learns from 50,000 handwritten digits to put its valleys where digits are. In each row below it dreams: it starts
# from random pixels, and at every *Gibbs step* draws its 500 hidden units (the causes that nobody observed) from the pixels, then new
# pixels from the hidden units. Move the slider back to 0 updates of its weights, then forward.

# %% tags=["label-tour-dreams"]
explore(plots.tour.dreams)

# %% [markdown]
# **What to notice.** Before learning, all dreams are one grey cloud, the average digit. After 1,000 updates they are smudged, and four of five
# end as the same 7: the model has its favourite. After 40,000 the strokes are crisp, and the dreams go their own ways: a 2, two sixes, a 3, a 0,
# none of which anybody wrote. (One real run of five minutes, recorded, nothing picked; in chapter 2 you train one yourself.)
#
# Two questions remain, and they are the course. The update needs a sum over all pictures: how can it be computed? And are these dreams
# *good*? Eyes cannot tell; chapter 3 gives the answer a number.

# %% [markdown]
# ## 0.2 How to work here
#
# ### Predict, run, compare
# Before a cell shows something, a question asks what you expect. Click an answer, or type a number where one is asked for, then run the next
# cell: a wrong guess followed by the reason stays in mind longer than a right answer read.

# %% tags=["label-states-predict"]
predict("0.a", "The dreaming RBM has 784 pixels and 500 hidden units, each 0 or 1. "
               "The number of its states has",
        ["about 10 digits", "about 40 digits", "about 400 digits"])

# %% tags=["label-states-reveal"]
n = 2 ** (784 + 500)
print(f"{str(n)[:6]}...{str(n)[-6:]}, {len(str(n))} digits")
reveal("0.a", 2, "The number of atoms in the visible universe has about 80.")

# %% [markdown]
# **What to notice.** The number of terms has 387 digits: no computer will ever add them. What one does instead is this course.
#
# ### Claims, and errors that break them
# Each statement of the lecture becomes a number and a limit. `claim` prints one line if the number obeys, and stops if not. A test that
# cannot fail proves nothing, so `planted_error` repeats it with a mistake, and the mistake must be seen.

# %% tags=["label-example-claim"]
die = torch.full((6,), 1 / 6, dtype=torch.float64)       # six sides, equally likely
H, log_6 = entropy(die), torch.tensor(6).double().log()
claim("Example", (H - log_6).abs(), below=1e-10, says="entropy of a fair die, minus log 6")
planted_error("Example", (-H - log_6).abs(), below=1e-10, says="the entropy's sign turned")

# %% [markdown]
# ### Exercises
# Each chapter has a notebook of exercises in the folder `exercises`: a goal, an empty function, a check. Here is a small one.
#
# **Exercise 0.1 · Count the states** (core, 2 minutes). Return the number of states of an RBM, all its units together. The line below is
# wrong on purpose. Run the check, read what it says, mend the line, and run both cells again.

# %% tags=["label-ex-0-1"]
def n_states(n_visible, n_hidden):
    """How many states the units have together.  Two whole numbers -> a whole number."""
    return 2 * (n_visible + n_hidden)

# %% tags=["label-check-0-1", "raises-exception"]
checks.n_states(n_states)

# %% [markdown]
# The check names the mistake, not only the fact. Stuck? Every exercise has three hints, one more at each call: a nudge, an equation,
# pseudo-code.

# %% tags=["label-hint-0-1"]
hint("0.1")

# %% [markdown]
# And `start_over("0.1")` gives you the untouched start in a new cell, whatever you did to yours.
#
# | you want to | do this |
# |:--|:--|
# | run a cell; run everything | `Shift`+`Enter`; menu *Run* → *Run All Cells* |
# | stop a cell; begin again | menu *Kernel* → *Interrupt Kernel*; *Kernel* → *Restart Kernel and Run All Cells…* |
# | read what a function does | `entropy?` in a cell |
# | hear a picture in words | `print(_.description)` right after it |
# | a hint; after three of them a smaller case; the untouched start | `hint("1.1")`; `checks.small_case("1.1")`; `start_over("1.1")` |
# | a chapter on paper; all chapters as pages | `make pdf CHAPTER=01_gibbs_bound`; `make site` |
# | a fresh copy of a notebook | delete yours, then `make lab` |
# | the newest version of the course | `make update`; it never overwrites what you wrote |
#
# Cells are written to be run from top to bottom. Run one again or scroll back whenever you like; but a cell that draws at random then draws anew, a later cell may
# have given a name another meaning, and one that was stopped while it loaded something may fail from then on. Where a number or an error looks odd, restart and
# run all: everything comes back as it was, and what you predicted and solved is kept.
#
# Everything you do stays in the folder `work/`. Solutions are in the folder `solutions/` of the course, one level above it.

# %% [markdown]
# ### How far you are
# What you have run, predicted and solved is kept in one small file on your machine, `work/progress.json`; it is sent nowhere. Come back to
# this page whenever you like: the set-up cell, then this one, show how far each chapter is.

# %% tags=["label-progress"]
from deepgen_lib import progress
progress()

# %% [markdown]
# ## 0.3 Is your machine ready?
#
# The next cell looks at your machine, then multiplies matrices for one second: a batch of 100 pictures by the weights of the RBM,
# (100, 784) times (784, 500), which is most of what training does. From the speed it guesses how long each lecture notebook will run from
# top to bottom (roughly: plots take time too, and a machine busy with other things is slower).

# %% tags=["label-machine", "nbval-ignore-output"]
import time
from deepgen_lib.machine import matrix_speed, this_machine
speed = matrix_speed(clock=time.process_time)      # what other programs take is left out
plots.tour.readiness(this_machine(), speed)

# %% [markdown]
# On GitHub you see the machine on which this page was built. A GPU makes everything bigger, not different: no chapter needs one.

# %% [markdown]
# ## 0.4 Six ideas to bring along
#
# A self-check: predict, run, compare. Each cell is also the refresher.
#
# ### Logarithms
# All logarithms are natural, and sums of exponentials are everywhere.

# %% tags=["label-logs-predict"]
predict("0.b", "log(e^1000 + e^1000) is", ["infinite", "1000 + log 2", "2000"])

# %% tags=["label-logs"]
f = torch.tensor([1000.0, 1000.0])
print(f"as written {f.exp().sum().log()},  torch.logsumexp {torch.logsumexp(f, 0):.4f}")
reveal("0.b", 1, "e^1000 overflows. Take out the largest first, m: "
       "log Σ e^f = m + log Σ e^(f - m).")

# %% [markdown]
# ### Bayes' rule
# $p(h \mid x) = p(x \mid h)\,p(h)\,/\,p(x)$, with $p(x) = \sum_h p(x \mid h)\,p(h)$.

# %% tags=["label-bayes-predict"]
predict_number("0.c", "One picture in 100 shows a cat (h). A detector fires (x) on 90 % of the cats "
               "and on 10 % of the rest. It fires. How likely is a cat?", unit="%")

# %% tags=["label-bayes"]
prior, likelihood = torch.tensor([0.01, 0.99]), torch.tensor([0.9, 0.1])
joint = prior * likelihood                     # p(x, h) for h = cat, no cat
print(f"p(x) = {joint.sum():.3f},  p(cat | x) = {joint[0] / joint.sum():.3f}")
reveal("0.c", 100 * joint[0] / joint.sum(), "Most alarms come from the 99 pictures without a cat.")

# %% [markdown]
# ### Expectation, and the log of a mean
# $\mathbb{E}_q[f] = \sum_k q_k f_k$, the mean of $f$ when $k$ is drawn from $q$.

# %% tags=["label-jensen-predict"]
predict("0.d", "w is 1 or 9, each with chance 1/2, so log E[w] = log 5. And E[log w] is",
        ["log 5 too", "log 3", "log 9"])

# %% tags=["label-jensen"]
w, q = torch.tensor([1.0, 9.0]), torch.tensor([0.5, 0.5])
log_mean, mean_log = (q * w).sum().log(), (q * w.log()).sum()
print(f"log E[w] = {log_mean:.4f},  E[log w] = {mean_log:.4f} = log {mean_log.exp():.1f}")
reveal("0.d", 1, "The mean of the logs is below the log of the mean (Jensen). "
       "Every bound of this course comes from that.")

# %% [markdown]
# ### Kullback-Leibler divergence
# $\mathrm{KL}(q \,\Vert\, p) = \sum_k q_k \log(q_k / p_k)$ is zero when $q = p$, otherwise positive.

# %% tags=["label-kl-predict"]
predict("0.e", "q = (1, 0) and p = (1/2, 1/2). KL(q ‖ p) = log 2. And KL(p ‖ q) is",
        ["log 2 too", "minus log 2", "infinite"])

# %% tags=["label-kl"]
from deepgen_lib import kl_divergence
q, p = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
print(f"KL(q ‖ p) = {kl_divergence(q, p):.4f},  KL(p ‖ q) = {kl_divergence(p, q)}")
reveal("0.e", 2, "Half the draws from p land where q says never. The order of the two matters.")

# %% [markdown]
# ### Shapes
# A batch stands in rows: `v` is (B, V), one picture a row.

# %% tags=["label-shapes-predict"]
predict("0.f", "v is (3, 784), W is (784, 500), c is (500,). The shape (3, 500) has",
        ["W @ v + c", "v @ W + c", "v @ W.T + c"])

# %% tags=["label-shapes"]
v, W, c = torch.zeros(3, 784), torch.zeros(784, 500), torch.zeros(500)
print(tuple((v @ W + c).shape))
reveal("0.f", 1, "Neighbouring axes must agree, and c is added to every row.")

# %% [markdown]
# ### Gradients
# PyTorch finds slopes for us. One comes back in every chapter; you should know it by heart.

# %% tags=["label-gradient-predict"]
predict("0.g", "The slope of log(e^a + e^b) along a is",
        ["e^a", "1 / (e^a + e^b)", "e^a / (e^a + e^b)"])

# %% tags=["label-gradient"]
f = torch.tensor([2.0, 0.0], requires_grad=True)      # a, b
torch.logsumexp(f, 0).backward()
print("slopes ", *[f"{slope:.4f}" for slope in f.grad])
print("softmax", *[f"{share:.4f}" for share in torch.softmax(f.detach(), 0)])
reveal("0.g", 2, "The gradient of log-sum-exp is softmax: the slopes of log Z are probabilities.")

# %% [markdown]
# **Five or six right:** go on. **Fewer:** an hour with chapters 2 to 4 of Goodfellow, Bengio and Courville, [*Deep Learning*](https://www.deeplearningbook.org),
# or with chapters 2 and 4 of MacKay's [*Information Theory, Inference, and Learning Algorithms*](https://www.inference.org.uk/mackay/itila/), both free to read, is well spent.

# %% [markdown]
# ## 0.5 Notation on one page
#
# | symbol | is | shape, unit | in code |
# |:--|:--|:--|:--|
# | $B, V, H, K$ | sizes: batch, visible units, hidden units, values of one hidden variable | | `len(v)`, `rbm.n_visible`, ... |
# | $x$ | a data point | $(B, V)$ | `x` |
# | $v$, $h$ | visible and hidden units, 0 or 1; $v = x$ when it holds data | $(B, V)$, $(B, H)$ | `v`, `h` |
# | $W$, $b$, $c$ | weights, visible bias, hidden bias | $(V, H)$, $(V,)$, $(H,)$ | `rbm.W`, `rbm.b`, `rbm.c` |
# | $E(v, h)$ | energy, $-v^\top W h - b^\top v - c^\top h$ | $(B,)$ nats | `rbm.energy(v, h)` |
# | $Z$ | normaliser, $\sum_{v,h} e^{-E(v,h)}$, so that $p(v,h) = e^{-E(v,h)}/Z$ | a number | `log_partition(rbm)` is $\log Z$ |
# | $F(v)$ | free energy, $-\log \sum_h e^{-E(v,h)}$, so that $p(v) = e^{-F(v)}/Z$ | $(B,)$ nats | `rbm.free_energy(v)` |
# | $q(h \mid x)$ | any distribution over $h$ that we choose; $p(h \mid x)$ is the true one | $(B, K)$, rows sum to 1 | `q` |
# | $\mathbb{E}_q[f]$ | mean of $f$ under $q$ (no relation to the energy) | | `(q * f).sum(-1)` |
# | $H(q)$ | entropy, $-\sum_k q_k \log q_k$ (no relation to the size $H$) | nats | `entropy(q)` |
# | $\mathrm{KL}(q \,\Vert\, p)$ | Kullback-Leibler divergence, as in 0.4 | nats | `kl_divergence(q, p)` |
# | $\sigma(a)$ | logistic function, $1/(1 + e^{-a})$: turns a logit into a probability | | `torch.sigmoid(a)` |
#
# A **nat** is the unit of the natural logarithm; 1 nat is 1.44 bits. Energies, log-probabilities and divergences are always in nats per
# example, summed over pixels. The reference pages say more: [notation](../reference/notation.md), [glossary](../reference/glossary.md),
# [formulas](../reference/formulas.md), [errata of the slides](../reference/errata.md) and a [self-test](../reference/self_test.md) for the exam.
#
# On a tiny RBM, four visible units and three hidden ones, nothing need be estimated:

# %% tags=["label-notation"]
from deepgen_lib import all_states, log_partition, random_rbm
rbm = random_rbm(4, 3, rng=torch.Generator().manual_seed(0))
v = all_states(4)                                    # (16, 4): every picture of four pixels
log_p = -rbm.free_energy(v) - log_partition(rbm)     # (16,)
print(tuple(v.shape), tuple(rbm.W.shape), tuple(log_p.shape))
claim("Notation", (log_p.exp().sum() - 1).abs(), below=1e-10, says="sum of all p(v), minus one")

# %% [markdown]
# ## 0.6 Your way through
#
# Five models, and what they have in common: something hidden makes what we see (blue), and a guess goes the other way (orange).

# %% tags=["label-family"]
plots.diagrams.family()

# %% [markdown]
# | you are | take |
# |:--|:--|
# | **following the lecture** (CMU 10707, spring 2021, lecture 13) | for *Variational intuitions* sections 1.2 to 1.5, for RBMs chapter 2; then the row *In the lecture* at the top of chapters 4 to 7 and 9 to 12 names the slides of each |
# | **taking the whole course** | the chapters in order: make every prediction, solve the core exercises; stretch and project ones as you like |
# | **preparing an exam** | of each chapter the claims in boxes, the summary, and the section before it on what the slides say otherwise; then the core exercises without hints |
#
# | chapter | the question it answers | claims | minutes | exercises |
# |:--|:--|:--|:--|:--|
# | [0 · Start here](00_start_here.ipynb) | How does one work in this course, and is this machine ready? |  | 25 | 1 |
# | [1 · The Gibbs bound](01_gibbs_bound.ipynb) | How can a maximisation compute a sum? | B1-B4 | 75 + 135 | [6](../exercises/01_gibbs_bound/01_gibbs_bound.ipynb) |
# | [2 · The restricted Boltzmann machine](02_rbm.ipynb) | How do you train a model whose normaliser you cannot compute? | F0 | 90 + 200 | [8](../exercises/02_rbm/02_rbm.ipynb) |
# | [3 · The missing constant](03_log_z.ipynb) | How do you know how good it is? |  | 80 + 145 | [7](../exercises/03_log_z/03_log_z.ipynb) |
# | [4 · Deep belief networks](04_dbn_stacking.ipynb) | What is a DBN, how is it trained and sampled, and where does this training come from? | D1-D5, S1 | 75 + 150 | [6](../exercises/04_dbn_stacking/04_dbn_stacking.ipynb) |
# | [5 · Tied weights](05_tied_weights.ipynb) | Why may one stack: why does a new layer start exactly where we were? | D6-D9, T1-T5 | 70 + 170 | [7](../exercises/05_tied_weights/05_tied_weights.ipynb) |
# | [6 · Up and down](06_up_down.ipynb) | What do the real networks do? | U1, F1-F4 | 85 + 170 | [7](../exercises/06_up_down/06_up_down.ipynb) |
# | [7 · Convolutional DBN](07_convolutional_dbn.ipynb) | How do parts become objects? | C1-C3 | 75 + 100 | [6](../exercises/07_convolutional_dbn/07_convolutional_dbn.ipynb) |
# | [8 · The variational autoencoder](08_vae.ipynb) | Who computes q for a new x, and how does its gradient flow? |  | 70 + 115 | [6](../exercises/08_vae/08_vae.ipynb) |
# | [9 · VQ-VAE: the losses](09_vqvae_losses.ipynb) | How do you train through an argmin? | V1-V6, V6b, V7-V10 | 70 + 165 | [8](../exercises/09_vqvae_losses/09_vqvae_losses.ipynb) |
# | [10 · Pictures from a code book](10_vqvae_images.ipynb) | How do you sample from a model with discrete codes? | V11 | 80 + 135 | [6](../exercises/10_vqvae_images/10_vqvae_images.ipynb) |
# | [11 · NVAE: the network](11_nvae_architecture.ipynb) | What must be careful in a very deep VAE? | N1-N4 | 75 + 165 | [7](../exercises/11_nvae_architecture/11_nvae_architecture.ipynb) |
# | [12 · NVAE: the divergence](12_nvae_kl.ipynb) | Why describe the posterior relative to the prior? | N5-N6, N6b, N7 | 75 + 95 | [6](../exercises/12_nvae_kl/12_nvae_kl.ipynb) |
# | [13 · Side by side](13_side_by_side.ipynb) | Which of these models is best, and by which measure? |  | 60 + 185 | [6](../exercises/13_side_by_side/13_side_by_side.ipynb) |
# | [14 · Kernels (elective)](14_kernels.ipynb) | What does a GPU spend its time on, and how do you give it less? |  | 60 + 175 | [7](../exercises/14_kernels/14_kernels.ipynb) |
#
# Minutes are yours, to read and then for the exercises.
#
# Ready? [1 · The Gibbs bound](01_gibbs_bound.ipynb).
