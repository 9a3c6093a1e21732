# %% [markdown]
# # 8 · The variational autoencoder
#
# **Who computes q for a new x, and how does its gradient flow?**
#
# Chapter 1 gave a bound that holds for every $q$. Where does a good $q$ come from? There it was searched for, anew for every picture. With 50,000 pictures and more to come one would rather have a machine that *answers*: picture in, $q$ out. A neural
# network can be that machine, if it can be trained. But between the network and the bound stands a draw of a random number, and nothing flows back through a die. This chapter solves both: a network for $q$, a way round the die. The two together are the variational autoencoder, and the models of the next chapters stand on it.
#
# | | |
# |:--|:--|
# | **After this chapter you can** | split what a bound misses into the fault of the family of $q$ and the fault of the network; say why a draw blocks the gradient, and give two ways round it with their variances; train a VAE and read its two terms; tighten its bound by importance weights, and say what may not be concluded |
# | **Time** | 70 minutes to read and predict, 115 for the exercises; all cells together run in about a minute |
# | **In the lecture** | not a slide of its own: the lecture takes it for granted where VQ-VAE and NVAE begin. Sources: Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014; Burda, Grosse & Salakhutdinov 2016; Cremer, Li & Duvenaud 2018 |
# | **You need** | the bound ([chapter 1](01_gibbs_bound.ipynb)); a first idea of neural networks and backpropagation |
# | **Notation** | $x$ a picture, $z$ its latent numbers, $p(z)=\mathcal N(0,I)$; $q(z\mid x)=\mathcal N(\mu,\operatorname{diag}\sigma^2)$ with $\mu,\sigma$ functions of $x$; $\varepsilon\sim\mathcal N(0,I)$. Nats throughout |

# %% tags=["label-setup"]
import math, torch
from deepgen_lib import claim, derivation, explore, fit, planted_error, plots
from deepgen_lib import predict, predict_number, reveal
from deepgen_lib import AdamOptions, GradientTrainer, LinearGaussian, VAE, mlp_vae
torch.set_num_threads(1)

# %% [markdown]
# ## 8.1 A model that can be solved
#
# Latent numbers are now real, so $p(x)=\int p(z)\,p(x\mid z)\,dz$ is an integral. For one model it can be done by hand: let $x=Wz+b+\text{noise}$, with normal noise of standard deviation $\sigma_x$. Then everything is normal: $p(x)=\mathcal N(b,\,WW^{\mathsf T}+\sigma_x^2I)$, and the posterior has the
# same covariance $P^{-1}$, $P=I+W^{\mathsf T}W/\sigma_x^2$, for every $x$. Two latents, four "pixels":

# %% tags=["label-toy"]
G = lambda seed: torch.Generator().manual_seed(seed)
W = torch.tensor([[1.0, 0.9], [0.8, 1.0], [1.0, 1.1], [0.0, 0.4]]).double()
toy = LinearGaussian(W, torch.zeros(4).double(), 0.5)
x = toy.sample(2000, G(0))                                      # (2000, 4)
mean, covariance = toy.posterior(x)
correlation = covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]).sqrt()
print(f"log p(x), mean of 2,000: {toy.log_likelihood(x).mean():.3f} nats")
print(f"correlation of z1 and z2 under the posterior: {correlation:.2f}")

# %% [markdown]
# The two columns of $W$ are alike: the pixels know the sum of $z_1$ and $z_2$ well, and each of them badly. A VAE's $q$ treats its latents one by one: a mean and a width for each.

# %% tags=["label-predict-width"]
predict("8.a", "Of all q with independent z1, z2: how wide is the best one for the bound?",
        ["as wide as the posterior lets z1 vary on the whole",
         "as wide as the posterior lets z1 vary while z2 is held fixed", "as wide as the prior"])

# %% tags=["label-families"]
from deepgen_lib.latents import NormalPosterior

best = toy.best_q(x)                                            # width² = 1 / P_kk
margins = NormalPosterior(mean, (0.5 * covariance.diagonal().log()).expand_as(mean))
prior = NormalPosterior(torch.zeros_like(mean), torch.zeros_like(mean))
qs = {"z2 held fixed: best": best, "on the whole": margins, "prior": prior}
rows = {name: [q.log_sigma[0, 0].exp(), toy.bound(x, q).mean(), toy.gap(x, q).mean()]
        for name, q in qs.items()}
display(plots.table(rows, columns=["width of z1", "bound", "gap"], corner="q"))
reveal("8.a", 1, "KL(q‖p) punishes q for being where the posterior is not: stay inside.")

# %% tags=["label-ellipses"]
first = {"best q": NormalPosterior(*(part[:1] for part in best)),
         "matching margins": NormalPosterior(*(part[:1] for part in margins))}
plots.vae.ellipses(toy, x[0], first, says="One posterior, and two independent q's.")

# %% [markdown]
# > **08.1.** $\log p(x)-\text{bound}=\mathrm{KL}(q\,\Vert\,p(z\mid x))$, as in chapter 1, integrals for sums. Of all $q$ with independent dimensions the best has the posterior's mean and $\sigma_k^2=1/P_{kk}$.

# %% tags=["label-best"]
def shaken(q, size, seed):
    """q with all its numbers moved at random."""
    return NormalPosterior(*(p + size * torch.randn(p.shape, generator=G(seed)).double() for p in q))

q = shaken(best, 1.0, 1)
miss = toy.log_likelihood(x) - toy.bound(x, q) - toy.gap(x, q)
claim("08.1", miss.abs().max(), below=1e-9, says="log p - bound against KL(q||p), 2,000 random q")
rise = max((toy.bound(x, shaken(best, s, 2)) - toy.bound(x, best)).max() for s in (0.001, 0.1, 1))
claim("08.1", rise, below=0, says="best rise by moving the best q, 6,000 tries")
rise = (toy.bound(x, best) - toy.bound(x, margins)).max()
planted_error("08.1", rise, below=0, says="the margins' widths")

# %% [markdown]
# **What to notice.** The posterior is a thin, slanted ellipse, and $q$ cannot slant. $\mathrm{KL}(q\Vert p)$ punishes $q$ for going where the posterior is not (chapter 6), so the best $q$ stays inside: gap 0.782 nats. The wider one misses 3.000. This is as good as independent latents can do:
# call 0.782 the fault of the **family**.
#
# ## 8.2 A network answers for every x
#
# The best $q$ needed $P$, and nobody knows $P$ outside of toys. Let a network compute $\mu(x)$ and $\log\sigma(x)$, and raise the mean bound over training pictures by gradient steps on its weights. The work is done once, and then shared by all $x$: the search is **amortised**. A new
# $x$ costs one pass through the network. What does it cost in nats? (How the gradient is found is the matter of 8.3 and 8.4. For now `fit` does it.)

# %% tags=["label-amortise"]
def encoder_trained_on(pictures):
    """The toy with an encoder 4-20-4, trained to raise the bound of these pictures."""
    vae = toy.vae(mlp_vae(4, (20,), 2, rng=G(0)).encoder)
    trainer = GradientTrainer(vae, AdamOptions(learning_rate=0.01))
    fit(trainer, pictures, n_updates=1500, batch_size=min(len(pictures), 100), rng=G(3))
    return vae.requires_grad_(False)

few, many, new = toy.sample(8, G(4)), toy.sample(2000, G(5)), toy.sample(2000, G(6))
networks = {"8 pictures": encoder_trained_on(few), "2,000 pictures": encoder_trained_on(many)}

# %% tags=["label-predict-amortise"]
predict("8.b", "The encoder trained on 8 pictures, asked about new ones, misses the best q by",
        ["nothing to speak of, as on its 8", "more than the fault of the family", "more than 20 nats"])

# %% [markdown]
# > **08.2.** What a bound misses has two parts, neither ever negative:
# > $$\log p(x)-\text{bound}\;=\;\underbrace{\log p(x)-\text{bound of the best }q\text{ for this }x}_{\text{the family: approximation gap}}\;+\;\underbrace{\text{that}-\text{bound of the encoder's }q}_{\text{the network: amortisation gap}}$$

# %% tags=["label-two-gaps", "rtol-0.1", "atol-0.02"]
def gaps(vae, x):
    """(approximation gap, amortisation gap), one of each per x."""
    highest = toy.bound(x, toy.best_q(x))
    return toy.log_likelihood(x) - highest, highest - toy.bound(x, vae.posterior(x))

asked = {"8 pictures, asked about them": (networks["8 pictures"], few),
         "8 pictures, asked about new ones": (networks["8 pictures"], new),
         "2,000 pictures, asked about new ones": (networks["2,000 pictures"], new)}
found = {name: torch.stack(gaps(*case)) for name, case in asked.items()}
plots.table({name: g.mean(1) for name, g in found.items()}, columns=["family", "network"],
            corner="trained on")

# %% tags=["label-two-gaps-claims", "rtol-0.1", "atol-0.1"]
claim("08.2", min(g.min() for g in found.values()), above=0, says="smallest gap of either kind, any x")
share = found["8 pictures, asked about new ones"].mean(1)
claim("08.2", share[1], above=0.5, says="network's part on new pictures after 8, nats")
claim("08.2", found["2,000 pictures, asked about new ones"][1].mean(), below=0.4,
      says="network's part after 2,000, nats")
encoded = toy.bound(new, networks["2,000 pictures"].posterior(new))
wrong = toy.bound(new, NormalPosterior(toy.posterior(new).mean, margins.log_sigma)) - encoded
planted_error("08.2", wrong.min(), above=0, says="the margins taken for the best q")
reveal("8.b", 1, "Perfect on what it was trained on, and a network like any other: it overfits.")

# %% [markdown]
# **What to notice.** The family's part is 0.782 for every $x$. The network's part is all that training can lower, and with 2,000 pictures little of it is left: 0.093. With eight pictures it is 0.027 *on those eight*, and 1.166 on new ones. The bound on new pictures then says little about the model: $p(x)$ is the same in
# all three rows.
#
# ## 8.3 Sampling blocks the gradient
#
# In the toy $\mathbb E_q[\log p(x\mid z)]$ could be done by hand. In general one draws $z\sim q$ and evaluates $\log p(x\mid z)$: picture, encoder, $(\mu,\sigma)$, a draw $z$, decoder, bound. Backpropagation follows derivatives the other way. What is the derivative of a
# draw?

# %% tags=["label-predict-blocked"]
predict("8.c", "torch.normal(mu, sigma) draws z. After z.sum().backward(), mu.grad is",
        ["1 for each entry", "None: an error says that it cannot be done", "0, without a word"])

# %% tags=["label-blocked"]
mu, sigma = torch.zeros(3, requires_grad=True), torch.ones(3, requires_grad=True)
z = torch.normal(mu, sigma, generator=G(0))
z.sum().backward()
print("mu.grad =", mu.grad.tolist(), "  sigma.grad =", sigma.grad.tolist())
reveal("8.c", 2, "The die does not know where mu came from.")

# %% [markdown]
# PyTorch answers 0, without a word. Wrong: $\mathbb E[z_1+z_2+z_3]=\mu_1+\mu_2+\mu_3$, so the slope is 1. An encoder trained like that learns from the KL term alone; 8.7 shows what becomes of it.
#
# ## 8.4 Two ways round the die
#
# We want $\nabla_\mu\mathbb E_q[f(z)]$, where $\mu$ sits in the *distribution*.
#
# **Move the parameters out of the distribution** (pathwise, or *reparameterisation*). $z=\mu+\sigma\varepsilon$ with $\varepsilon\sim\mathcal N(0,1)$ has the same distribution. The die is now thrown beside the path, and along the path all is smooth:
# $$\nabla_\mu\mathbb E[f]=\mathbb E\big[f'(\mu+\sigma\varepsilon)\big],\qquad\nabla_{\log\sigma}\mathbb E[f]=\mathbb E\big[f'(z)\,\sigma\varepsilon\big].$$
#
# **Differentiate the distribution itself** (score function, *REINFORCE*; Williams 1992). $\nabla_\mu\int q f=\int q\,(\nabla_\mu\log q)\,f$, an average again:
# $$\nabla_\mu\mathbb E[f]=\mathbb E\Big[f(z)\,\frac{\varepsilon}{\sigma}\Big],\qquad\nabla_{\log\sigma}\mathbb E[f]=\mathbb E\big[f(z)\,(\varepsilon^2-1)\big].$$
#
# The first way as a picture, beside the draw that blocks:

# %% tags=["label-reparameterisation"]
plots.diagrams.reparameterisation()

# %% [markdown]
# Are both ways right? For polynomials $f$ the mean can be written down, from the moments of $\varepsilon$, and then differentiated. The two averages on the right we compute to the last digit by Gauss-Hermite quadrature, 20 well-chosen $\varepsilon$ with weights. One hundred random polynomials of degree 6:

# %% tags=["label-derivation"]
def slope_of_mean(c, sigma=0.7):
    """By the moments of eps: E[eps^k] = 1, 1, 3, 15 for k = 0, 2, 4, 6, else 0."""
    mu, moments = torch.tensor(0.3, dtype=torch.float64, requires_grad=True), {0: 1, 2: 1, 4: 3, 6: 15}
    mean = sum(c[n] * math.comb(n, k) * mu ** (n - k) * sigma**k * m
               for n in range(7) for k, m in moments.items() if k <= n)
    return torch.autograd.grad(mean, mu)[0]

# %% tags=["label-derivation-run"]
import numpy as np

e, w = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(20))
w = w / w.sum()                                                 # E[g(eps)] = sum of w g(e)
f = lambda c, z: (c[:, None] * z ** torch.arange(len(c))[:, None]).sum(0)
pathwise = lambda c: w @ f(c[1:] * torch.arange(1, len(c)), 0.3 + 0.7 * e)
score = lambda c: w @ (f(c, 0.3 + 0.7 * e) * e / 0.7)
polynomials = [torch.randn(7, generator=G(seed)).double() for seed in range(100)]
derivation("08.3", {"slope of E[f]": slope_of_mean, "mean of f'(z)": pathwise,
                    "mean of f(z) eps / sigma": score}, polynomials)

# %% [markdown]
# > **08.3.** Both estimators are right in the mean. From draws they must agree with the exact gradient within a few of their own standard errors.
#
# The closed form to test them on: $f(z)=-\tfrac12\lVert z-a\rVert^2$, with $\mathbb E_q[f]=-\tfrac12\sum_k\big((\mu_k-a_k)^2+\sigma_k^2\big)$ and gradient $a-\mu$ and $-\sigma^2$.

# %% tags=["label-estimators"]
from deepgen_lib import QuadraticToy, pathwise_gradients, score_gradients

hill = QuadraticToy(torch.tensor([1.0, 0.5]).double())
mu, log_sigma = torch.zeros(2).double(), torch.tensor([0.5, 0.5]).double().log()
exact = hill.gradient(mu, log_sigma)
draws = {"pathwise": pathwise_gradients(hill, mu, log_sigma, n_samples=100_000, rng=G(1)),
         "score function": score_gradients(hill, mu, log_sigma, n_samples=100_000, rng=G(2))}

# %% tags=["label-estimators-claims"]
def standard_errors(found, exact):
    """The largest distance of a mean from the exact value, in its standard errors."""
    return max(((d.mean(0) - t).abs() / (d.std(0) / len(d) ** 0.5)).max() for d, t in zip(found, exact))

for name, found in draws.items():
    claim("08.3", standard_errors(found, exact), below=4, says=f"{name}: its mean's miss in errors")
mixed = score_gradients(hill, mu, log_sigma, n_samples=100_000, rng=G(2))
forgot = mixed._replace(mu=mixed.mu * 0.5)                      # eps for eps / sigma
planted_error("08.3", standard_errors(forgot, exact), below=4, says="sigma forgotten in the score")
frozen = mixed._replace(log_sigma=0 * mixed.log_sigma)          # z = mu + sigma.detach() * eps
planted_error("08.3", standard_errors(frozen, exact), below=4, says="sigma cut off from the path")

# %% tags=["label-estimators-table", "rtol-0.03", "atol-0.01"]
rows = {"exact gradient": [*exact.mu, 0.0]}
rows |= {name: [*d.mu.mean(0), d.mu[:, 0].var()] for name, d in draws.items()}
plots.table(rows, columns=["in mu1", "in mu2", "variance of one draw (mu1)"])

# %% [markdown]
# **What to notice.** The same mean, and very different spread: the variance of one draw is 0.25 along the path and about 7.6 for the score function. One draw of the first is worth thirty of the second.
#
# ## 8.5 Why reparameterise?
#
# Let us look at both clouds. Each point is one estimate, a mean of that many draws; the cross is the exact gradient.

# %% tags=["label-predict-sigma"]
predict("8.d", "Make sigma small, so that q is nearly a point. Then",
        ["both get better: less chance is left", "pathwise gets better, the score function worse",
         "both get worse"])

# %% tags=["label-widget"]
explore(plots.vae.clouds)

# %% [markdown]
# The pathwise variance is exactly $\sigma^2$. The score function's can be computed too, from moments of a normal number up to the sixth; in one dimension with $m=\mu-a$ it is
# $$\operatorname{Var}=\frac{m^4+18\,m^2\sigma^2+15\,\sigma^4}{4\,\sigma^2}-m^2,$$
# which grows without limit as $\sigma\to0$: it divides by $\sigma$ what it cannot see.

# %% tags=["label-variances"]
widths = torch.logspace(-1.5, 0.5, 9).double()
here = [(mu, s.log().expand(2)) for s in widths]
helped = [hill.score_variance(*h, baseline=hill.expectation(*h).item())[0] for h in here]
lines = {"pathwise": torch.stack([hill.pathwise_variance(*h)[0] for h in here]),
         "score function": torch.stack([hill.score_variance(*h)[0] for h in here]),
         "score, baseline E[f]": torch.stack(helped)}
display(plots.lines(widths, lines, xlabel="sigma", ylabel="variance of one draw", log="xy",
                    says="Variance against the width of q, both axes logarithmic."))
reveal("8.d", 1, "f(z) hardly changes, but it is multiplied by eps / sigma.")

# %% [markdown]
# > **08.4.** These variances are exact: drawn ones agree. A *baseline* $b$, $\;(f(z)-b)\,\varepsilon/\sigma$, changes the variance and not the mean; a baseline that looks at its own draw changes the mean too.

# %% tags=["label-variances-claims"]
predicted = {"pathwise": hill.pathwise_variance(mu, log_sigma),
             "score function": hill.score_variance(mu, log_sigma)}
for name, d in draws.items():
    off = (d.mu.var(0) / predicted[name] - 1).abs().max()
    claim("08.4", off, below=0.05, says=f"{name}: drawn variance against the exact one, share")
raw = (draws["score function"].mu ** 2).mean(0)
off = (raw / predicted["score function"] - 1).abs().max()
planted_error("08.4", off, below=0.05, says="the mean's square left in")

# %% tags=["label-baseline"]
def many_pairs(baseline, n=20_000):
    """n estimates of two draws each.  -> (n, 2)"""
    e = torch.randn(n, 2, 2, generator=G(7)).double()
    values = hill(mu + log_sigma.exp() * e)                     # (n, 2 draws)
    return ((values - baseline(values))[..., None] * e / log_sigma.exp()).mean(1)

error = lambda g: ((g.mean(0) - exact.mu).abs() / (g.std(0) / len(g) ** 0.5)).max()
claim("08.4", error(many_pairs(lambda v: v.flip(1))), below=4, says="baseline: the other draw")
both = many_pairs(lambda v: v.mean(1, keepdim=True))
planted_error("08.4", error(both), below=4, says="baseline: the mean of both draws")
saved = many_pairs(lambda v: 0 * v).var(0) / many_pairs(lambda v: v.flip(1)).var(0)
print(f"the other draw as a baseline divides the variance by {saved[0]:.1f}")

# %% tags=["label-dimensions", "rtol-0.01"]
def ratio(n):
    """Score function's variance over the pathwise one, n latents of width 0.5: (plain, helped)."""
    hill_n = QuadraticToy(torch.full((n,), 0.5).double())
    here = torch.zeros(n).double(), torch.full((n,), 0.5).double().log()
    helped = hill_n.score_variance(*here, baseline=hill_n.expectation(*here).item())
    return [(v / hill_n.pathwise_variance(*here))[0] for v in (hill_n.score_variance(*here), helped)]

rows = {f"K = {n}": ratio(n) for n in (1, 2, 20, 200)}
plots.table(rows, columns=["plain", "baseline E[f]"], digits=1, corner="times the pathwise variance")

# %% [markdown]
# **What to notice.** The score function knows only *how good* a draw was. It has to find the slope by comparing draws, and all latents share one $f$: with 20 latents it needs 473 draws for one along the path, with 200 it needs 40703. A baseline removes what is common
# to all draws: 33 and 303. Much better, and still growing with every latent. The pathwise gradient is told the slope.
#
# ## 8.6 Where the path ends
#
# So the pathwise way always wins? Take an $f$ with a step, $f(z)=1$ where $z>0$ and else 0: a decision. $\mathbb E_q[f]=\Phi(\mu/\sigma)$, and its slope at $\mu=0.4,\sigma=1$ is the density 0.368.

# %% tags=["label-step"]
step = lambda z: (z[:, 0] > 0).double() + 0 * z.sum(1)          # + 0 z: else autograd refuses
at_step = torch.tensor([0.4]).double(), torch.tensor([0.0]).double()
slope = math.exp(-0.08) / math.sqrt(2 * math.pi)
by_score = score_gradients(step, *at_step, n_samples=100_000, rng=G(8)).mu
by_path = pathwise_gradients(step, *at_step, n_samples=100_000, rng=G(8)).mu
print(f"exact {slope:.3f}   score function {by_score.mean():.2f}   pathwise {by_path.mean():.1f}")
claim("08.5", (by_score.mean() - slope).abs(), below=0.01, says="score function's miss across a step")
planted_error("08.5", (by_path.mean() - slope).abs(), below=0.01, says="the path across a step")

# %% [markdown]
# **What to notice.** A step is flat where it is not a cliff: the path says 0 and never learns of the cliff. The score function, which does not ask for slopes, is right. Remember this when chapter 9 puts an argmin in the middle of the network.
#
# ## 8.7 A VAE on MNIST
#
# > **The variational autoencoder.** An encoder computes $\mu(x),\log\sigma(x)$; a decoder the pixels' chances from $z$. Both are trained at once to raise
# > $$\mathbb E_{\varepsilon}\big[\log p(x\mid\mu+\sigma\varepsilon)\big]-\mathrm{KL}(q\Vert p(z)),\qquad\mathrm{KL}=\sum_k\tfrac12(\mu_k^2+\sigma_k^2-1)-\log\sigma_k,$$
# > one draw for each picture: the first term by the path, the second by hand.
#
# Blue generates, orange recognises; the plate stands for the $N$ pictures, which share $\theta$ and $\varphi$, the weights of decoder and encoder:

# %% tags=["label-vae-diagram"]
plots.diagrams.vae()

# %% [markdown]
# 784-200-20 and back, binary pixels (the fixed binarisation), 2,000 updates on batches of 100, that is four passes over the data.

# %% tags=["label-mnist"]
from deepgen_lib import load_mnist

train, test = (load_mnist(split, binarisation="fixed").images for split in ("train", "test"))

def trained(vae, n_updates, rate=0.004):
    trainer = GradientTrainer(vae, AdamOptions(learning_rate=rate))
    fit(trainer, train, n_updates=n_updates, batch_size=100, rng=G(0))
    return vae.requires_grad_(False)

vae = trained(mlp_vae(784, (200,), 20, rng=G(0)), 2000)

# %% tags=["label-mnist-bound", "rtol-0.03"]
bound = vae.bound(test, rng=G(1))
error = bound.total.std() / len(test) ** 0.5
print(f"bound {bound.total.mean():.1f} ± {error:.1f} nats")
print(f"reconstruction {bound.reconstruction.mean():.1f}, KL {bound.kl.mean():.1f}")
claim("08.6", bound.total.mean(), between=(-110, -105), says="bound on 10,000 test images, nats")

# %% tags=["label-mnist-pictures", "atol-0.3"]
some = torch.randperm(10_000, generator=G(2))[:10]
again = vae.decode(vae.posterior(test[some]).mu)
dreams = vae.sample(20, means=True, rng=G(3))
plots.image_grid(torch.cat([test[some], again, dreams]), columns=10,
                 row_labels=["x", "decoded", "samples", ""],
                 says="Test images, what comes back from their 20 numbers, and samples.")

# %% [markdown]
# About eight seconds of training on one core, and a bound that is honest: no $\log Z$ to estimate, as $p(z)$ and $p(x\mid z)$ are normalised. One sample is one pass; the machines of chapters 2 to 7 needed a chain.
#
# Does the way of the gradient matter in earnest? The same network, 500 updates each at a quarter of the rate (the score function bears no more), three ways: along the path; by the score function, with the batch's mean as a baseline; and with the draw that blocks.

# %% tags=["label-blocked-vae"]
from deepgen_lib.latents import normal_kl, normal_log_prob

class Blocked(VAE):
    """z by torch.normal: the encoder hears of nothing but its KL."""
    def training_loss(self, x, fraction, rng):
        q = self.posterior(x)
        z = torch.normal(q.mu, q.log_sigma.exp(), generator=rng)
        return -(self.log_likelihood(x, z) - normal_kl(*q).sum(1)).mean()

# %% tags=["label-score-vae"]
class ByScore(VAE):
    """The decoder by its slope, the encoder by the score function; baseline: the batch's mean."""
    def training_loss(self, x, fraction, rng):
        q = self.posterior(x)
        z = torch.normal(q.mu, q.log_sigma.exp(), generator=rng).detach()
        f = self.log_likelihood(x, z)
        worth = f.detach() - f.detach().mean()
        return -(f + worth * normal_log_prob(z, *q) - normal_kl(*q).sum(1)).mean()

# %% tags=["label-predict-ways"]
predict("8.e", "After 500 updates the bound of the blocked one is",
        ["as good: the decoder makes up for it", "that of a model without z", "lower than at the start"])

# %% tags=["label-three-ways-run", "rtol-0.05"]
def start(kind):
    fresh = mlp_vae(784, (200,), 20, rng=G(0))
    return kind(fresh.encoder, fresh.decoder, sizes=(784, 20))

ways = {"along the path": VAE, "score function": ByScore, "blocked": Blocked}
after = {name: trained(start(kind), 500, 0.001).bound(test, rng=G(1)) for name, kind in ways.items()}
rows = {name: [b.total.mean(), b.reconstruction.mean(), b.kl.mean()] for name, b in after.items()}
p = train.mean(0).clamp(1e-3, 1 - 1e-3)
alone = (test * p.log() + (1 - test) * (1 - p).log()).sum(1).mean()
rows["(no z: one chance per pixel)"] = [alone, alone, 0.0]
plots.table(rows, columns=["bound", "reconstruction", "KL"], digits=1)

# %% tags=["label-three-ways-claims", "rtol-0.05"]
lead = lambda name: after["along the path"].total.mean() - after[name].total.mean()
claim("08.6", lead("score function"), above=20, says="nats by which the path leads the score function")
claim("08.6", lead("blocked"), above=50, says="nats by which it leads the blocked draw")
claim("08.6", after["blocked"].kl.mean(), below=1.0, says="nats of KL that the blocked encoder uses")
planted_error("08.6", after["along the path"].kl.mean(), below=1.0, says="the gradient let through")
reveal("8.e", 1, "Told of its cost alone, the encoder says nothing: q = p(z) for every x.")

# %% [markdown]
# **What to notice.** The blocked encoder hears of nothing but its price, the KL, and saves all of it: $q(z\mid x)=p(z)$, and the decoder paints the mean picture. This is **posterior collapse** in its purest form; milder forms, where some latents stay unused, are met whenever the
# price outweighs what a latent brings. The loss went down all the while, and no error was raised. The score function does learn, slowly: with 20 latents one draw says little.
#
# ## 8.8 What the encoder leaves on the table
#
# 08.2 on real pictures. Nobody knows the best $q$ here, but for a single picture one can *search*: start at the encoder's $\mu,\log\sigma$ and climb the bound of that picture alone, by the same gradient. For 100 test images:

# %% tags=["label-predict-search"]
predict("8.f", "Such a search raises the bound of a test image, in the mean, by",
        ["less than 0.1 nats", "a few nats", "some ten nats"])

# %% tags=["label-search"]
x = test[torch.randperm(10_000, generator=G(4))[:100]]
mu, log_sigma = (p.clone().requires_grad_() for p in vae.posterior(x))
searching, rng = torch.optim.Adam([mu, log_sigma], lr=0.03), G(5)
for _ in range(150):
    searching.zero_grad()
    (-vae.bound(x, q=NormalPosterior(mu, log_sigma), n_samples=4, rng=rng).total.sum()).backward()
    searching.step()
best = NormalPosterior(mu.detach(), log_sigma.detach())

# %% tags=["label-search-claims", "rtol-0.1", "atol-3.0"]
encoder = vae.bound(x, n_samples=200, rng=G(6)).total
highest = vae.bound(x, q=best, n_samples=200, rng=G(6)).total
claim("08.7", (highest - encoder).mean(), between=(3.0, 6.0), says="mean gain by searching, nats")
claim("08.7", (highest - encoder).min(), above=0, says="smallest gain of the 100 images")
exchanged = NormalPosterior(*(p.roll(1, 0) for p in best))
other = vae.bound(x, q=exchanged, n_samples=200, rng=G(6)).total
planted_error("08.7", (other - encoder).min(), above=0, says="the best q of another image")
plots.vae.searched(encoder, highest, says="A hundred test images, two q's for each.")

# %% tags=["label-answer-search"]
reveal("8.f", 1, "So much the network pays for answering at once, on pictures it has not seen.")

# %% [markdown]
# **What to notice.** Every point lies above the line. The encoder is quick, and for that every image pays some nats. A better encoder could win them back without touching the model.
#
# ## 8.9 Importance weights: tighter, and never above
#
# The bound averages $\log w$ with $w=\frac{p(x,z)}{q(z\mid x)}$. But $\mathbb E_q[w]=p(x)$ exactly, for any $q$. So average first, $S$ draws, and take the logarithm afterwards.
#
# > **08.8.** (Burda, Grosse & Salakhutdinov 2016.) In the mean over draws
# > $$\text{bound}\;\le\;\mathbb E\Big[\log\frac1S\sum_{s=1}^Sw_s\Big]\;\le\;\log p(x),$$
# > rising with $S$. A single estimate may be above $\log p(x)$; its mean never is.
#
# On the toy all three are known. Its encoder trained on 8 pictures answers for new ones, badly:

# %% tags=["label-weights", "atol-0.1"]
bad, x8 = networks["8 pictures"], new[:200]
exact, low = toy.log_likelihood(x8), toy.bound(x8, bad.posterior(x8))
sizes = [1, 3, 10, 100, 1000]
estimate = lambda s, seed: bad.importance_bound(x8, n_samples=s, rng=G(seed))
runs = {s: torch.stack([estimate(s, seed) for seed in range(20)]) for s in sizes}
ladder = torch.stack([r.mean() for r in runs.values()])
level = {"exact": exact.mean().expand(5), "bound": low.mean().expand(5)}
plots.lines(sizes, {"estimate": ladder, **level}, xlabel="draws S", ylabel="nats", log="x",
            says="The importance-weighted bound rises towards log p(x).")

# %% tags=["label-weights-claims", "atol-0.1"]
claim("08.8", ladder.diff().min(), above=0.01, says="smallest rise from one S to the next, nats")
claim("08.8", exact.mean() - ladder[-1], above=0, says="log p minus the estimate of 1,000 draws")
claim("08.8", ladder[1] - low.mean(), above=0.1, says="three draws above the bound")
no_share = ladder[-1] + math.log(1000)
planted_error("08.8", exact.mean() - no_share, above=0, says="1/S forgotten")
logs_first = torch.stack([bad.bound(x8, n_samples=s, rng=G(0)).total.mean() for s in sizes])
planted_error("08.8", logs_first.diff().min(), above=0.01, says="logarithms first, then the mean")
over = (runs[10] > exact).double().mean()
print(f"share of the estimates of 10 draws that lie above log p(x): {over:.2f}")

# %% [markdown]
# On pictures $w$ is like $e^{-100}$, so sums are kept as logarithms, and draws come in chunks so that memory stays what a chunk needs. For a running total $L=\log\sum w$ a new chunk $c$ gives $L\leftarrow\log(e^L+e^{c})$, computed by `logaddexp`:

# %% tags=["label-stream"]
from deepgen_lib.latents import draw, log_q

def all_at_once(vae, x, n, rng):
    """Every log weight in memory.  -> (n, B)"""
    q = vae.posterior(x)
    z, eps = draw(q, n, rng)
    return vae.log_likelihood(x, z) + vae.prior.log_prob(z) - log_q(q, eps)

logs = all_at_once(bad, x8, 1000, G(9))
at_once = logs.logsumexp(0) - math.log(1000)
streamed = bad.importance_bound(x8, n_samples=1000, chunk=1000, rng=G(9))
claim("08.8", (streamed - at_once).abs().max(), below=1e-10, says="streaming against all at once")

# %% tags=["label-mnist-weights", "rtol-0.03"]
counts = [1, 10, 100, 1000]
tight = [vae.importance_bound(x, n_samples=s, rng=G(7)).mean() for s in counts]
rows = {"encoder's bound": [encoder.mean()], "bound with the best q": [highest.mean()]}
rows |= {f"importance-weighted, S = {s}": [t] for s, t in zip(counts, tight)}
display(plots.table(rows, columns=["nats, 100 test images"], digits=1))
claim("08.9", tight[-1] - encoder.mean(), between=(3, 8), says="gain by 1,000 weighted draws, nats")
naive = all_at_once(vae, x, 1000, G(7)).exp().mean(0).log().mean()
planted_error("08.9", naive - encoder.mean(), between=(3, 8), says="weights not kept as logarithms")

# %% [markdown]
# **What to notice.** A thousand weighted draws from the *encoder's* $q$ are worth more than the best $q$ with one: importance weights repair the family and the network at once, at a thousand times the price. They judge a model more fairly than its bound does. They do not say by how much they still fall short: a lower bound
# never does.
#
# ## 8.10 What did the latents learn?
#
# The KL is a sum over latents: what each of them is allowed to say about $x$, in nats.

# %% tags=["label-units", "rtol-0.1", "atol-0.1"]
spent = normal_kl(*vae.posterior(test)).mean(0)                 # (20,)
print(f"most {spent.max():.1f}, least {spent.min():.1f}, all {spent.sum():.1f} nats")
claim("08.10", spent.min(), above=0.2, says="nats of the least used latent")
unused = normal_kl(*trained(start(Blocked), 100).posterior(test)).mean(0).min()
planted_error("08.10", unused, above=0.2, says="the blocked draw")

# %% tags=["label-walk", "atol-0.3"]
seven, nine = test[some[[4, 7]]]
way = torch.linspace(0, 1, 10)[:, None]
mixed = (1 - way) * seven + way * nine
ends = vae.posterior(torch.stack([seven, nine])).mu
walked = vae.decode((1 - way) * ends[0] + way * ends[1])
plots.image_grid(torch.cat([walked, mixed]), columns=10, row_labels=["steps of z", "steps of pixels"],
                 says="From one image to another in equal steps, of z and of the pixels.")

# %% [markdown]
# **What to notice.** All twenty are in use, with 0.7 to 1.8 nats each: 25.4 nats about a picture, and with them it comes back. On the way from the 7 to the 9 strokes bend and grow; pixels mixed in the same shares show two pictures, one through the other.
#
# ## 8.11 Summary
#
# | | formula | in code |
# |:--|:--|:--|
# | bound | $\mathbb E_q[\log p(x\mid z)]-\mathrm{KL}(q\Vert p(z))$ | `vae.bound(x, n_samples=1, rng=rng)`: `.reconstruction`, `.kl`, `.total` |
# | KL by hand | $\sum_k\frac12(\mu_k^2+\sigma_k^2-1)-\log\sigma_k$ | `normal_kl(mu, log_sigma).sum(1)` |
# | two gaps | family + network | `LinearGaussian.best_q`, `.gap` |
# | pathwise | $f'(\mu+\sigma\varepsilon)$ | `pathwise_gradients(f, mu, log_sigma, n_samples=n, rng=rng)` |
# | score function | $(f(z)-b)\,\nabla\log q(z)$ | `score_gradients(..., baseline="others")` |
# | importance weights | $\log\frac1S\sum_sw_s$ | `vae.importance_bound(x, n_samples=1000, chunk=50, rng=rng)` |
# | training | one draw per picture, Adam | `fit(GradientTrainer(vae, AdamOptions()), x, ...)` |
#
# Three sentences to keep. *A network for q saves the search and pays with the amortisation gap. A gradient may go round a die by the path, if there is one, or by the score, if one can afford it. Average weights before the logarithm, and the bound gets tighter, never wrong.*
#
# ## 8.12 A worked exercise
# **Question.** One latent, $f(z)=-\tfrac12(z-a)^2$, $q$ already at the top: $\mu=a$. How many draws of the score function are worth one pathwise draw? Does the answer depend on $\sigma$? Try before you read on.

# %% tags=["label-predict-worked"]
predict_number("8.g", "At the top, how many score-function draws are worth one pathwise draw?",
               unit="draws")

# %% [markdown]
# **Answer.** With $m=0$ the score function's variance is $15\sigma^4/4\sigma^2=\tfrac{15}4\sigma^2$, the pathwise one $\sigma^2$: 3.75 draws, whatever $\sigma$. The trouble of small $\sigma$ comes with $m\ne0$, and with other latents that add to $f$.

# %% tags=["label-worked"]
peak = QuadraticToy(torch.tensor([0.7]).double())
for s in (0.01, 1.0, 30.0):
    here = torch.tensor([0.7]).double(), torch.tensor([s]).double().log()
    worth = peak.score_variance(*here) / peak.pathwise_variance(*here)
    claim("08.12", (worth - 3.75).abs(), below=1e-10, says=f"draws for one, sigma {s:g}, against 15/4")
reveal("8.g", 3.75, "Whatever sigma is.", within=0.3)

# %% [markdown]
# ## Where this goes next
# The path needs a smooth way from $\mu$ to the bound. Chapter 9 replaces the normal $q$ by a choice among finitely many codes, an argmin, and loses it: there the gradient has to be carried across by hand.
#
# **Exercises:** [open them here](../exercises/08_vae/08_vae.ipynb). Six of them, from one estimate of a gradient to the best possible baseline, with checks that know what usually goes wrong.
