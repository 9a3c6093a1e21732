"""Exercises of chapter 08, second half: importance weights in a stream, whose fault a gap is, the best baseline."""
import math

import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "08_vae"
_F64 = torch.float64


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _stream(chunks: list) -> Tensor:
    return torch.cat(chunks).logsumexp(0) - math.log(sum(map(len, chunks)))


def _chunks(rng):
    def case(sizes: tuple, middle: float) -> tuple:
        return ([middle + _normal(n, 3, rng=rng, scale=2.0) for n in sizes],)
    return {"5 draws in 2 chunks": case((3, 2), -4.0), "a picture: log w near -900": case((4, 4, 1), -900.0), "one chunk": case((6,), 1.0)}


def _equal_chunks(chunks: list) -> Tensor:
    return torch.stack([_stream([chunk]) for chunk in chunks]).logsumexp(0) - math.log(len(chunks))


weights_in_a_stream = register(Exercise(
    id="8.4", name="weights_in_a_stream", title="Importance weights in a stream", level="core", minutes=15, chapter=CHAPTER,
    success="one running number per picture, any number of draws, and nothing overflows",
    hints=("*Nudge.* Keep log of the sum so far. What is the logarithm of (sum so far + a new chunk's sum), if you only have the two logarithms?",
           r"*Equation.* $L\leftarrow\log(e^L+\sum_{s\in\text{chunk}}e^{\ell_s})$ from $L=-\infty$; at the end $L-\log S$ with $S$ the number of all draws. `logaddexp` and `logsumexp` subtract the largest first.",
           "*Pseudo-code.* `total = full((B,), -inf)`; for each chunk: `total = logaddexp(total, chunk.logsumexp(0))`, `n += len(chunk)`; return `total - log(n)`."),
    parts=(Part(
        right=_stream, inputs=_chunks, axes=("B",),
        misconceptions={
            "logs first": (lambda chunks: torch.cat(chunks).mean(0), "that is the mean of the logarithms, the plain bound: average the weights, then take the logarithm"),
            "no share": (lambda chunks: torch.cat(chunks).logsumexp(0), "1/S is missing: that is the logarithm of the sum, and may lie far above log p(x)"),
            "number of chunks": (lambda chunks: torch.cat(chunks).logsumexp(0) - math.log(len(chunks)), "you divide by the number of chunks; divide by the number of draws"),
            "chunks alike": (_equal_chunks, "a chunk of one draw counts as much as one of four: sum over all draws, then divide once"),
            "mean of chunks": (lambda chunks: torch.stack([_stream([chunk]) for chunk in chunks]).mean(0), "you average the logarithms of the chunks; only one logarithm may be taken, at the very end"),
            "last chunk": (lambda chunks: _stream(chunks[-1:]), "only the last chunk counts: carry the sum of the earlier ones along"),
            "largest": (lambda chunks: torch.cat(chunks).amax(0), "that is the largest weight alone; the others count too"),
            "exponentials": (lambda chunks: torch.cat(chunks).exp().mean(0).log(), "exp(-900) is zero in the machine, and its logarithm minus infinity: stay with logarithms, logsumexp"),
            "over pictures": (lambda chunks: torch.cat(chunks).logsumexp(1) - math.log(3), "you sum over the pictures; the draws are axis 0"),
            "added": (lambda chunks: torch.stack([chunk.logsumexp(0) for chunk in chunks]).sum(0) - math.log(sum(map(len, chunks))), "adding logarithms multiplies the sums: use logaddexp"),
        }),)))


def _two_gaps(log_p: Tensor, best: Tensor, encoder: Tensor) -> tuple[Tensor, Tensor]:
    return (log_p - best).mean(), (best - encoder).mean()


def _levels(rng):
    def case(n: int) -> tuple:
        log_p = -80 + _normal(n, rng=rng, scale=20.0)
        best = log_p - torch.rand(n, generator=rng, dtype=_F64) - 0.2
        return log_p, best, best - 3 * torch.rand(n, generator=rng, dtype=_F64)
    return {"6 pictures": case(6), "40 pictures": case(40)}


_Q = {"family": "a q with correlated latents lowers", "network": "more training of the encoder alone lowers", "zero": "with p(x) fixed, the network's part can be made zero on the training pictures",
      "weights": "importance weights lower", "above": "one estimate by importance weights is never above log p(x)"}
_ANSWERS = {_Q["family"]: "family", _Q["network"]: "network", _Q["zero"]: True, _Q["weights"]: "both", _Q["above"]: False}

whose_fault = register(Exercise(
    id="8.5", name="whose_fault", title="Whose fault is the gap?", level="core", minutes=15, chapter=CHAPTER,
    success="two gaps, two culprits, and you know which cure is for which",
    hints=("*Nudge.* Three heights: the encoder's bound at the bottom, the best bound that this family of q allows, and log p(x) on top.",
           r"*Equation.* family: mean of $\log p(x)-\text{best}$; network: mean of $\text{best}-\text{encoder}$.",
           "*Pseudo-code.* `(log_p - best).mean(), (best - encoder).mean()`. The questions: 8.2, 8.8 and 8.9 of the chapter."),
    parts=(
        Part(name="two_gaps", right=_two_gaps, inputs=_levels, misconceptions={
            "exchanged": (lambda *a: _two_gaps(*a)[::-1], "the two are exchanged: the family's part comes first, from log p(x) down to the best q"),
            "whole gap": (lambda p, b, e: ((p - b).mean(), (p - e).mean()), "your second number is the whole gap; the network's part ends at the best q"),
            "whole gap first": (lambda p, b, e: ((p - e).mean(), (b - e).mean()), "your first number is the whole gap; the family's part is from log p(x) to the best q"),
            "sign": (lambda *a: tuple(-g for g in _two_gaps(*a)), "gaps are measured downwards and never negative: turn the sign"),
            "sums": (lambda p, b, e: ((p - b).sum(), (b - e).sum()), "you add up over the pictures; take the mean"),
            "not averaged": (lambda p, b, e: (p - b, b - e), "one number each: take the mean over the pictures"),
        }),
        Part(name="answers", right=_ANSWERS, misconceptions={
            "correlated": ({_Q["family"]: "network"}, "correlations are something no independent q can say, however it was found: the family's part"),
            "training": ({_Q["network"]: "family"}, "training the encoder brings its q nearer to the best one of its family, and no further"),
            "training does both": ({_Q["network"]: "both"}, "training the encoder alone moves q inside its family: the family's part stays"),
            "never zero": ({_Q["zero"]: False}, "a network large enough can give every training picture its best q; what it says on new ones is another matter (8.2)"),
            "weights for one": ({_Q["weights"]: "network"}, "with enough draws the weights repair any q that covers the posterior, whoever is to blame"),
            "weights for family": ({_Q["weights"]: "family"}, "weights do not know why q is off: they repair a bad answer of the network as well"),
            "never above": ({_Q["above"]: True}, "its mean is never above; a single lucky draw with a large weight can be"),
        })),
))


def _baseline(f: Tensor, score: Tensor) -> Tensor:
    squares = score**2
    return (f[:, None] * squares).mean(0) / squares.mean(0)


def _scores(rng):
    def case(n: int, k: int) -> tuple:
        return 3 * torch.randn(n, generator=rng, dtype=_F64) - 2, _normal(n, k, rng=rng) * torch.exp(_normal(k, rng=rng, scale=0.5)) + 0.1
    return {"30 draws, 3 latents": case(30, 3), "5 draws, 1 latent": case(5, 1)}


def _covariance(f: Tensor, g: Tensor) -> Tensor:
    return ((f - f.mean())[:, None] * (g - g.mean(0))).mean(0) / g.var(0, unbiased=False)


best_baseline = register(Exercise(
    id="8.6", name="best_baseline", title="The best baseline", level="stretch", minutes=35, chapter=CHAPTER,
    success="each latent has a baseline of its own, and its variance cannot be lower by any constant",
    hints=("*Nudge.* The mean of (f - b) g does not depend on b, so the variance is smallest where the mean of its square is. That is a parabola in b.",
           r"*Equation.* $\frac{d}{db}\mathbb E[(f-b)^2g^2]=-2\,\mathbb E[(f-b)\,g^2]=0$, so $b^*=\mathbb E[f\,g^2]/\mathbb E[g^2]$, for each latent its own.",
           "*Pseudo-code.* `squares = score**2`; `(f[:, None] * squares).mean(0) / squares.mean(0)`."),
    parts=(Part(
        right=_baseline, inputs=_scores, axes=("K",),
        misconceptions={
            "mean of f": (lambda f, g: f.mean().expand(g.shape[1]), "the mean of f is a good baseline, not the best: weigh each draw by g², for there the noise is made"),
            "not squared": (lambda f, g: (f[:, None] * g).mean(0) / g.mean(0), "the square of (f - b) g is what is averaged: weigh by g², not by g"),
            "sizes": (lambda f, g: (f[:, None] * g.abs()).mean(0) / g.abs().mean(0), "you weigh by the size of g; its square belongs there"),
            "regression": (_covariance, "that is the slope of f on g; b is to be taken from f, not a multiple of g"),
            "not divided": (lambda f, g: (f[:, None] * g**2).mean(0), "E[f g²] alone: divide by E[g²], so that a constant f gives itself back"),
            "one for all": (lambda f, g: ((f[:, None] * g**2).mean() / (g**2).mean()).expand(g.shape[1]), "each latent has its own noise, so its own baseline: average over the draws only"),
            "one for all, g summed": (lambda f, g: (f * g.sum(1) ** 2).mean() / (g.sum(1) ** 2).mean() * torch.ones_like(g[0]), "you add the scores up before squaring; each latent is on its own"),
            "sign": (lambda f, g: -_baseline(f, g), "it is subtracted, (f - b) g: turn the sign"),
        }),)))
