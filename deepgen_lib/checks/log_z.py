"""Exercises of chapter 03, log Z, first half: units, weights, the base model, one annealed run."""
import math

import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "03_log_z"
LOG_2 = math.log(2)
_F64 = torch.float64
_sigmoid, _softplus = torch.sigmoid, torch.nn.functional.softplus


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _uniform(*shape: int, rng: torch.Generator) -> Tensor:
    return torch.rand(*shape, generator=rng, dtype=_F64)


def _bits(p: Tensor, rng: torch.Generator) -> Tensor:
    return (torch.rand(p.shape, generator=rng, dtype=_F64) < p).double()


bits_per_pixel = register(Exercise(
    id="3.1", name="bits_per_pixel", title="Nats, bits, pixels", level="core", minutes=5, chapter=CHAPTER,
    success="a fair coin for every pixel costs one bit a pixel",
    hints=("*Nudge.* Check yourself on a model of fair coins: $\\log p(x)=-784\\log 2$ for every image. Which number should come out?",
           r"*Equation.* $\text{bits per pixel}=-\log p(x)\,/\,(784\,\log 2)$: a code has a positive length, and one bit is $\log 2$ nats.",
           "*Pseudo-code.* minus log-likelihood, divided by n_pixels, divided by `math.log(2)`."),
    parts=(Part(
        right=lambda log_likelihood, n_pixels: -log_likelihood / (n_pixels * LOG_2), axes=("B",),
        inputs=lambda rng: {"784 pixels": (-150 + _normal(5, rng=rng, scale=30), 784), "one pixel": (-_uniform(3, rng=rng), 1)},
        misconceptions={
            "sign": (lambda log_likelihood, n_pixels: log_likelihood / (n_pixels * LOG_2), "your code has a negative length: the cost is minus the log-likelihood"),
            "nats per pixel": (lambda log_likelihood, n_pixels: -log_likelihood / n_pixels, "these are nats per pixel: one bit is log 2 nats, so divide by log 2"),
            "bits per image": (lambda log_likelihood, n_pixels: -log_likelihood / LOG_2, "these are bits per image: divide by the number of pixels"),
            "times log 2": (lambda log_likelihood, n_pixels: -log_likelihood * LOG_2 / n_pixels, "you multiply by log 2; a nat is more than a bit, so the number of bits must be larger: divide"),
            "mean": (lambda log_likelihood, n_pixels: -log_likelihood.mean() / (n_pixels * LOG_2), "one number for each image is asked; you average over the images"),
        }),)))


def _log_mean_exp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, -1) - math.log(x.shape[-1])


def _log_z_base(means: Tensor, n_hidden: int) -> Tensor:
    return n_hidden * LOG_2 - torch.log1p(-means).sum()


def _log_z(log_weights: Tensor, base_means: Tensor, n_hidden: int) -> Tensor:
    return _log_z_base(base_means, n_hidden) + _log_mean_exp(log_weights)


def _weights(rng):
    def case(centre: float, n_hidden: int) -> tuple:
        return centre + _normal(50, rng=rng, scale=2), 0.05 + 0.9 * _uniform(6, rng=rng), n_hidden
    return {"50 chains": case(3.0, 4), "log-weights near 2,000": case(2000.0, 500), "log-weights near -2,000": case(-2000.0, 7)}


log_z_estimate = register(Exercise(
    id="3.2", name="log_z_estimate", title="From weights to log Z", level="core", minutes=15, chapter=CHAPTER,
    success="log Z_0 plus the logarithm of the mean weight, also where e^x overflows",
    hints=("*Nudge.* Two separate jobs. One: the normaliser of independent pixels and free hidden units, in closed form. Two: the logarithm of a mean of exponentials.",
           r"*Equation.* $\log Z_0=H\log2+\sum_i\log(1+e^{a_i})=H\log2-\sum_i\log(1-m_i)$, and $\log\frac1N\sum_n e^{x_n}=m+\log\frac1N\sum_n e^{x_n-m}$ with $m=\max_n x_n$.",
           "*Pseudo-code.* `log_z_base = n_hidden * log 2 - (1 - base_means).log().sum()`; add `torch.logsumexp(log_weights, 0)`; subtract the logarithm of the number of chains."),
    parts=(Part(
        right=_log_z, inputs=_weights, rtol=1e-9, atol=1e-8,
        misconceptions={
            "mean of logs": (lambda w, m, n: _log_z_base(m, n) + w.mean(), "you average log-weights: by Jensen that is below the logarithm of the mean weight, and log Z comes out too small"),
            "overflow": (lambda w, m, n: _log_z_base(m, n) + w.exp().mean().log(), "e^x overflows (or vanishes) for weights like these: take the largest log-weight out first, or use logsumexp"),
            "sum": (lambda w, m, n: _log_z_base(m, n) + w.logsumexp(0), "that is the sum of the weights, not their mean: subtract the logarithm of the number of chains"),
            "best chain": (lambda w, m, n: _log_z_base(m, n) + w.max(), "that is the best chain alone; all weights count, by their mean"),
            "H log 2": (lambda w, m, n: _log_z_base(m, 0) + _log_mean_exp(w), "H log 2 is missing: at t = 0 the hidden units are free, and there are 2^H of their states"),
            "V log 2": (lambda w, m, n: (n + len(m)) * LOG_2 + _log_mean_exp(w), "V log 2 is the normaliser of fair coins; this base has means of its own: sum log(1 + e^a), a = logit(mean)"),
            "sum of logits": (lambda w, m, n: n * LOG_2 + torch.logit(m).sum() + _log_mean_exp(w), "a pixel adds log(1 + e^a), both its states, not a alone"),
            "no base": (lambda w, m, n: _log_mean_exp(w), "the mean weight is Z / Z_0, a ratio: add log Z_0"),
            "minus base": (lambda w, m, n: _log_mean_exp(w) - _log_z_base(m, n), "the mean weight is Z / Z_0: to get log Z you add log Z_0"),
        }),)))

_CLAMP = 0.001


def _score(means: Tensor, x: Tensor) -> Tensor:
    return torch.where(x > 0, means.log(), torch.log1p(-means)).sum(1).mean()


def _baseline(train: Tensor, test: Tensor) -> Tensor:
    return _score(train.mean(0).clamp(_CLAMP, 1 - _CLAMP), test)


def _splits(rng):
    def case(n_train: int) -> tuple:
        p = 0.1 + 0.8 * _uniform(6, rng=rng)
        train, test = _bits(p.expand(n_train, -1), rng), _bits(p.expand(9, -1), rng)
        train[:, 0], train[:, 5], test[0, 0], test[1, 5] = 0.0, 1.0, 1.0, 0.0  # never and always on in training, otherwise in a test image
        return train, test
    return {"20 training images": case(20), "3 training images": case(3)}


baseline = register(Exercise(
    id="3.3", name="baseline", title="An honest base model", level="core", minutes=10, chapter=CHAPTER,
    success="means of the training images alone, kept off 0 and 1, nats per test image",
    hints=("*Nudge.* Whatever you compute from the test images can only be their score. And what is the logarithm of 0?",
           r"*Equation.* $\frac1N\sum_n\sum_i x_{ni}\log m_i+(1-x_{ni})\log(1-m_i)$ over the test images, with $m_i$ the training mean, moved into $[0.001,\,0.999]$.",
           "*Pseudo-code.* `m = train.mean(0).clamp(0.001, 0.999)`; `test * m.log() + (1 - test) * (1 - m).log()`, summed over pixels, averaged over images."),
    parts=(Part(
        right=_baseline, inputs=_splits,
        misconceptions={
            "test means": (lambda train, test: _score(test.mean(0).clamp(_CLAMP, 1 - _CLAMP), test), "your means come from the test images: that score has seen the answers, and is too good"),
            "both": (lambda train, test: _score(torch.cat([train, test]).mean(0).clamp(_CLAMP, 1 - _CLAMP), test), "the test images are among those you take the means of: leave them out"),
            "no clamp": (lambda train, test: _score(train.mean(0), test), "a pixel that was never on gets the logarithm of 0: clamp the means to [0.001, 0.999]"),
            "train score": (lambda train, test: _score(train.mean(0).clamp(_CLAMP, 1 - _CLAMP), train), "you score the training images; the base model is judged on images it has not seen"),
            "per pixel": (lambda train, test: _baseline(train, test) / train.shape[1], "you average over the pixels too: nats per image are a sum over pixels"),
            "ones only": (lambda train, test: (test @ train.mean(0).clamp(_CLAMP, 1 - _CLAMP).log()).mean(), "pixels that are off count as well: add (1 − x) log(1 − m)"),
            "one mean": (lambda train, test: _score(train.mean().clamp(_CLAMP, 1 - _CLAMP).expand(train.shape[1]), test), "one mean for all pixels: each pixel has its own, take the mean over images only"),
        }),)))


def _anneal(W: Tensor, b: Tensor, c: Tensor, a: Tensor, schedule: list[float], v: Tensor, u_h: Tensor, u_v: Tensor) -> Tensor:
    return _annealed(W, b, c, a, schedule, v, u_h, u_v)


def _annealed(W, b, c, a, schedule, v, u_h, u_v, *, first=False, at="new", base=True, outside=False, up=1, mean_field=False) -> Tensor:
    """The log-weights; the options are the ways in which students go wrong."""
    log_w = torch.zeros(len(v), dtype=_F64)

    def log_f(t: float, v: Tensor) -> Tensor:
        x = v @ W + c
        hidden = t * _softplus(x) if outside else _softplus(t * x)
        return (1 - t) * (v @ a) * base + t * (v @ b) + hidden.sum(1)

    def move(t: float, v: Tensor, k: int) -> Tensor:
        p = _sigmoid(t * (v @ W + c))
        h = p if mean_field else (u_h[k] < p).double()
        return (u_v[k] < _sigmoid((1 - t) * a * base + t * (h @ W.T + b))).double()

    for k, (old, new) in enumerate(zip(schedule[:-1], schedule[1:])):
        moved = move({"new": new, "old": old, "one": 1.0}[at], v, k)
        where = moved if first else v
        log_w = log_w + up * (log_f(new, where) - log_f(old, where))
        v = moved
    return log_w


def _runs(rng):
    def case(schedule: list[float], n: int) -> tuple:
        k = len(schedule) - 1
        a = _normal(5, rng=rng)
        return (_normal(5, 3, rng=rng, scale=1.5), _normal(5, rng=rng), _normal(3, rng=rng), a, schedule,
                _bits(_sigmoid(a).expand(n, -1), rng), _uniform(k, n, 3, rng=rng), _uniform(k, n, 5, rng=rng))
    return {"two steps": case([0.0, 0.5, 1.0], 20), "uneven steps": case([0.0, 0.05, 0.3, 0.8, 1.0], 20)}


anneal = register(Exercise(
    id="3.4", name="anneal", title="Weigh, then move", level="stretch", minutes=25, chapter=CHAPTER,
    success="every chain carries its weight, and E[w] = Z / Z_0",
    hints=("*Nudge.* Write `log_f(t, v)` first; the weight of a step is a difference of two of its values *at the same v*. Which v: the one before or after the move?",
           r"*Equation.* $\log w\mathrel{+}=\log f_{t_{k+1}}(v)-\log f_{t_k}(v)$ with $\log f_t(v)=(1-t)a^{\mathsf T}v+t\,b^{\mathsf T}v+\sum_j\log(1+e^{t(c+vW)_j})$; "
           r"then $h_j=[u<\sigma(t(c+vW))_j]$, $v_i=[u<\sigma((1-t)a+t(b+Wh))_i]$, $t=t_{k+1}$.",
           "*Pseudo-code.* for k, (old, new): `log_w += log_f(new, v) - log_f(old, v)`; `h = (u_h[k] < sigmoid(new * (v @ W + c))).double()`; "
           "`v = (u_v[k] < sigmoid((1 - new) * a + new * (h @ W.T + b))).double()`."),
    parts=(Part(
        right=_anneal, inputs=_runs, axes=("N",),
        misconceptions={
            "move first": (lambda *x: _annealed(*x, first=True), "you move before you weigh: then E[w] is not Z / Z_0 any more. Weigh where the chain stands, then move"),
            "old temperature": (lambda *x: _annealed(*x, at="old"), "you move at the temperature you come from; having weighed for the new one, the step must leave the new one as it is"),
            "temperature one": (lambda *x: _annealed(*x, at="one"), "you move with the full model at every temperature; the step must leave p_t as it is, with weights tW"),
            "upside down": (lambda *x: _annealed(*x, up=-1), "your ratio is upside down: f at the new temperature over f at the old one"),
            "no base": (lambda *x: _annealed(*x, base=False), "(1 − t) a is missing: on the way p_t still has a share of the base's logits"),
            "t outside": (lambda *x: _annealed(*x, outside=True), "t belongs inside, log(1 + e^(t x)): with t in front, f_0 would lose its 2^H and the moves would not fit"),
            "mean field": (lambda *x: _annealed(*x, mean_field=True), "probabilities of h drive your move: draw h, or the step does not leave p_t as it is"),
        }),)))
