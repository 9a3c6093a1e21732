"""Exercises of chapter 06, first half: who moves whom, which divergence sleep lowers and where it ends, a bound with its error bar."""
import math

import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "06_up_down"
_F64 = torch.float64
_sigmoid = torch.sigmoid


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _bits(*shape: int, rng: torch.Generator) -> Tensor:
    return torch.bernoulli(torch.full(shape, 0.5, dtype=_F64), generator=rng)


def _delta(given: Tensor, wanted: Tensor, guess: Tensor) -> tuple[Tensor, Tensor]:
    """(weights (given, wanted), bias) of the delta rule, averaged over the batch."""
    return given.T @ (wanted - guess) / len(given), (wanted - guess).mean(0)


def _one_pair(W, b, R, c, x, h, x_dream, h_dream) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dW, db = _delta(h, x, _sigmoid(h @ W.T + b))
    dR, dc = _delta(x_dream, h_dream, _sigmoid(x_dream @ R + c))
    return dW.T, db, dR, dc


def _exchanged(W, b, R, c, x, h, x_dream, h_dream):
    return _one_pair(W, b, R, c, x_dream, h_dream, x, h)


def _both_move(W, b, R, c, x, h, x_dream, h_dream):
    return tuple(map(torch.add, _one_pair(W, b, R, c, x, h, x_dream, h_dream), _exchanged(W, b, R, c, x, h, x_dream, h_dream)))


def _contrastive(W, b, R, c, x, h, x_dream, h_dream):
    dW = (x.T @ h - x_dream.T @ h_dream) / len(x)
    return dW, x.mean(0) - x_dream.mean(0), dW, h.mean(0) - h_dream.mean(0)


def _hebb(W, b, R, c, x, h, x_dream, h_dream):
    return x.T @ h / len(x), x.mean(0), x_dream.T @ h_dream / len(x), h_dream.mean(0)


def _awake_target(W, b, R, c, x, h, x_dream, h_dream):
    return *_one_pair(W, b, R, c, x, h, x_dream, h_dream)[:2], *_delta(x_dream, h, _sigmoid(x_dream @ R + c))


def _mean_field(W, b, R, c, x, h, x_dream, h_dream):
    return _one_pair(W, b, R, c, x, _sigmoid(x @ R + c), x_dream, h_dream)


def _pairs(rng):
    def case(n_x: int, n_h: int, n: int) -> tuple:
        W, R = (_normal(n_x, n_h, rng=rng) for _ in range(2))
        return W, _normal(n_x, rng=rng), R, _normal(n_h, rng=rng), _bits(n, n_x, rng=rng), _bits(n, n_h, rng=rng), _bits(n, n_x, rng=rng), _bits(n, n_h, rng=rng)
    return {"5 pixels, 3 hidden": case(5, 3, 7), "3 pixels, 4 hidden": case(3, 4, 6)}


who_moves = register(Exercise(
    id="6.1", name="who_moves", title="Who moves whom?", level="core", minutes=15, chapter=CHAPTER,
    success="awake the generative weights learn from data, asleep the recognition weights learn from dreams",
    hints=("*Nudge.* Awake, h was made by recognition; which weights can then be taught by it, those that made it or the others? Asleep it is the other way round.",
           r"*Equation.* awake $\Delta W=\frac1N\sum_n(x_n-\sigma(Wh_n+b))\,h_n^{\mathsf T}$; asleep $\Delta R=\frac1N\sum_n\tilde x_n(\tilde h_n-\sigma(R^{\mathsf T}\tilde x_n+c))^{\mathsf T}$; a bias: the mean of its bracket.",
           "*Pseudo-code.* `miss = x - sigmoid(h @ W.T + b)`; `dW = miss.T @ h / N`, `db = miss.mean(0)`. Then `miss = h_dream - sigmoid(x_dream @ R + c)`; `dR = x_dream.T @ miss / N`, `dc = miss.mean(0)`."),
    parts=(Part(
        right=_one_pair, inputs=_pairs,
        misconceptions={
            "exchanged": (_exchanged, "wake and sleep are exchanged: data teach the generative weights, dreams the recognition weights"),
            "both move": (_both_move, "both sets move in both phases: each phase moves only the weights that did not make its h"),
            "recognition downwards": (lambda W, b, R, c, x, h, xd, hd: _one_pair(R, b, R, c, x, h, xd, hd), "going down you use the recognition weights R: x is predicted by the generative W"),
            "generation upwards": (lambda W, b, R, c, x, h, xd, hd: _one_pair(W, b, W, c, x, h, xd, hd), "going up you use the generative weights W: in the up-down algorithm recognition has weights of its own, R"),
            "sign": (lambda *p: tuple(-part for part in _one_pair(*p)), "that goes downhill: what was there minus what was predicted"),
            "sum": (lambda *p: tuple(len(p[4]) * part for part in _one_pair(*p)), "that is the sum over the batch; take the mean"),
            "contrastive divergence": (_contrastive, "that is the update of an RBM, data minus dreams; a directed pair learns by what it fails to predict, from one kind of pairs each"),
            "nothing predicted": (_hebb, "you add what was on together; subtract what was predicted, else the weights never stop growing"),
            "awake target": (_awake_target, "asleep you teach recognition the h of the waking phase; the cause of a dream is the h that it was dreamt from"),
            "mean field": (_mean_field, "you replaced h by its probabilities under recognition; use the h that was drawn, it is given"),
        }),)))


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p.log() - q.log())).sum(1)


def _two_kls(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    p_x = joint.sum(1)
    p = joint / p_x[:, None]
    return p_x @ _kl(p, q), p_x @ _kl(q, p)


def _unweighted(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    p = joint / joint.sum(1, keepdim=True)
    return _kl(p, q).mean(), _kl(q, p).mean()


def _unconditioned(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    return _kl(joint, q).sum(), joint.sum(1) @ _kl(q, joint)


def _columns(joint: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    p_x, p = joint.sum(1), joint / joint.sum(0)
    return p_x @ _kl(p, q), p_x @ _kl(q, p)


def _tables(rng):
    def case(n_x: int, n_h: int) -> tuple:
        return _normal(n_x * n_h, rng=rng, scale=1.5).softmax(0).reshape(n_x, n_h), _normal(n_x, n_h, rng=rng).softmax(1)
    return {"8 pictures, 4 causes": case(8, 4), "3 pictures, 5 causes": case(3, 5)}


_PQ, _QP = "KL(p||q)", "KL(q||p)"
_LOWERS, _GAP, _WHICH_X = "exact sleep steps lower", "the gap of the bound is", "asleep, x comes from"
_BOUND, _PERFECT = "a sleep step may lower the bound", "if q can be the posterior of every x, sleep's best q closes the gap"
_ANSWERS = {_LOWERS: _PQ, _GAP: _QP, _WHICH_X: "the model", _BOUND: True, _PERFECT: True}

which_kl = register(Exercise(
    id="6.2", name="which_kl", title="Which divergence?", level="core", minutes=20, chapter=CHAPTER,
    success="both directions, weighted by p(x), and you know which one sleep lowers",
    hints=("*Nudge.* From the joint table get p(x) and p(h | x). KL(p‖q) averages its logarithm with p, KL(q‖p) with q. Asleep, who draws h?",
           r"*Equation.* $\sum_xp(x)\sum_hp(h\mid x)\log\frac{p(h\mid x)}{q(h\mid x)}$ and $\sum_xp(x)\sum_hq(h\mid x)\log\frac{q(h\mid x)}{p(h\mid x)}$.",
           "*Pseudo-code.* `p_x = joint.sum(1)`; `p = joint / p_x[:, None]`; `p_x @ (p * (p / q).log()).sum(1)`, and the same with p and q exchanged. The questions: sections 6.2 and 6.3 of the chapter."),
    parts=(
        Part(name="two_kls", right=_two_kls, inputs=_tables, misconceptions={
            "exchanged": (lambda joint, q: _two_kls(joint, q)[::-1], "the two are exchanged: KL(p‖q) is the one whose logarithm is averaged with p"),
            "unweighted": (_unweighted, "all pictures count alike in your mean; weight them by p(x)"),
            "joint for conditional": (_unconditioned, "you compare q(h | x) with p(x, h): divide each row by p(x) first"),
            "columns": (_columns, "you normalise columns: p(h | x) sums to one over h, along a row"),
            "one direction": (lambda joint, q: (_two_kls(joint, q)[0],) * 2, "both of your numbers are KL(p‖q): a divergence is not symmetric"),
            "sums": (lambda joint, q: tuple(kl.sum() for kl in (_kl(joint / joint.sum(1, keepdim=True), q), _kl(q, joint / joint.sum(1, keepdim=True)))), "you add up over the pictures; take the mean under p(x)"),
        }),
        Part(name="answers", right=_ANSWERS, misconceptions={
            "sleep climbs": ({_LOWERS: _QP}, "asleep h comes from p, so the logarithm is averaged with p: the other direction"),
            "the gap turned round": ({_GAP: _PQ}, "the bound averages with q (chapter 1): its gap is the other direction"),
            "data asleep": ({_WHICH_X: "the data"}, "asleep nobody looks at the data: x is dreamt"),
            "up-down ascends the bound": ({_BOUND: False}, "look at the cat and the dog again: sleep lowered KL(p‖q), and the bound fell"),
            "never right": ({_PERFECT: False}, "either divergence is zero exactly where q is the posterior: if q can get there, both directions lead there"),
        })),
))


def _asleep(posterior: Tensor) -> tuple[Tensor, Tensor]:
    first, second = posterior.sum(1)[1], posterior.sum(0)[1]
    return torch.stack([first, second]), _product_gap(posterior, first, second)


def _product_gap(posterior: Tensor, first, second) -> Tensor:
    q = torch.outer(torch.stack([1 - first, first]), torch.stack([1 - second, second]))
    return torch.special.xlogy(q, q / posterior).sum()


def _with_gap(posterior: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return torch.stack([first, second]), _product_gap(posterior, first, second)


def _best_for_the_bound(posterior: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinate ascent on the bound, from both corners; the better end."""
    log_p, ends = posterior.log(), []
    for second in (torch.tensor(0.05, dtype=_F64), torch.tensor(0.95, dtype=_F64)):
        for _ in range(500):
            first = _sigmoid((1 - second) * (log_p[1, 0] - log_p[0, 0]) + second * (log_p[1, 1] - log_p[0, 1]))
            second = _sigmoid((1 - first) * (log_p[0, 1] - log_p[0, 0]) + first * (log_p[1, 1] - log_p[1, 0]))
        ends.append(_with_gap(posterior, first, second))
    return min(ends, key=lambda end: end[1])


def _mode(posterior: Tensor) -> tuple[Tensor, Tensor]:
    first, second = divmod(int(posterior.argmax()), 2)
    return _with_gap(posterior, *(torch.tensor(0.001 + 0.998 * bit, dtype=_F64) for bit in (first, second)))


def _rivals(rng):
    def case(spread: float) -> tuple:
        logits = torch.tensor([[-4.0, 0.0], [-0.4, -5.0]], dtype=_F64) + _normal(2, 2, rng=rng, scale=spread)
        return (logits.flatten().softmax(0).reshape(2, 2),)
    return {"two rivals": case(0.1), "uneven rivals": case(0.8)}


where_sleep_ends = register(Exercise(
    id="6.3", name="where_sleep_ends", title="Where sleep ends", level="stretch", minutes=20, chapter=CHAPTER,
    success="the margins are right, the pairs are not, and the bound pays for it",
    hints=("*Nudge.* Under p, how often is the first cause there? And the second? A q that treats them one by one can get just that right.",
           r"*Equation.* $\mathrm{KL}(p\Vert q)=\text{const}-\sum_j\mathbb{E}_p[\log q_j(h_j)]$; each term is smallest at $q_j(1)=p(h_j=1\mid x)$. The gap is $\sum_{h}q(h)\log\frac{q(h)}{p(h\mid x)}$.",
           "*Pseudo-code.* `first = posterior[1].sum()`, `second = posterior[:, 1].sum()`; `q = outer((1 - first, first), (1 - second, second))`; gap `(q * (q / posterior).log()).sum()`."),
    parts=(Part(
        right=_asleep, inputs=_rivals, atol=1e-6,
        misconceptions={
            "the bound's best": (_best_for_the_bound, "that q is best for the bound, KL(q‖p): it bets on one rival. Sleep lowers KL(p‖q), which is smallest at the margins"),
            "mode": (_mode, "you put all of q on the likelier pair; sleep sees every cause as often as p makes it"),
            "given the other is off": (lambda p: _with_gap(p, p[1, 0] / p[:, 0].sum(), p[0, 1] / p[0].sum()), "you condition on the other cause being off; each q_j must be right on average: take the margin"),
            "axes": (lambda p: _with_gap(p.T, p.T.sum(1)[1], p.T.sum(0)[1]), "the causes are exchanged: rows of the table are the first cause, columns the second"),
            "the other divergence": (lambda p: (_asleep(p)[0], (p * (p / torch.outer(p.sum(1), p.sum(0))).log()).sum()), "the margins are right; the gap of the bound is KL(q‖p), you computed KL(p‖q)"),
            "off": (lambda p: _with_gap(p, p.sum(1)[0], p.sum(0)[0]), "those are the chances of being off; asked are those of being on"),
        }),)))


def _bound_with_error(log_weights: Tensor, log_z: float, log_z_error: float) -> tuple[Tensor, Tensor]:
    images = log_weights.mean(1)
    return images.mean() - log_z, _both_errors(images.std() / math.sqrt(len(images)), log_z_error)


def _both_errors(from_images: Tensor, from_log_z: float) -> Tensor:
    return (from_images**2 + from_log_z**2) ** 0.5


def _judged(log_weights: Tensor, log_z: float, log_z_error: float, *, images=None, n=None, error=None, sign=-1) -> tuple[Tensor, Tensor]:
    """The answer; the options are the ways in which students go wrong."""
    images = log_weights.mean(1) if images is None else images
    spread = images.std() / math.sqrt(n or len(images))
    return images.mean() + sign * log_z, _both_errors(spread, log_z_error) if error is None else error(spread, log_z_error)


def _draws(rng):
    def case(n: int, s: int, log_z: float, error: float) -> tuple:
        return log_z - 86 + _normal(n, 1, rng=rng, scale=20) + _normal(n, s, rng=rng, scale=3), log_z, error
    return {"50 images, 4 draws each": case(50, 4, 795.8, 2.5), "20 images, 10 draws": case(20, 10, -3.0, 5.0)}


bound_with_error = register(Exercise(
    id="6.4", name="bound_with_error", title="A bound with its error bar", level="core", minutes=15, chapter=CHAPTER,
    success="draws averaged inside an image, images as the unit, and log Z's error on top",
    hints=("*Nudge.* What are the independent things? Draws for one image share that image. And log Z: is its error another one for each image, or the same for all?",
           r"*Equation.* $\frac1N\sum_n\ell_n-\log Z$ with $\ell_n=\frac1S\sum_s\ell_{ns}$; error $\sqrt{\mathrm{sd}(\ell_1,\dots,\ell_N)^2/N+\text{(error of }\log Z)^2}$.",
           "*Pseudo-code.* `images = log_weights.mean(1)`; bound `images.mean() - log_z`; `se = images.std() / sqrt(N)`; error `sqrt(se ** 2 + log_z_error ** 2)`."),
    parts=(Part(
        right=_bound_with_error, inputs=_draws, rtol=1e-7,
        misconceptions={
            "draws as images": (lambda w, z, e: _judged(w, z, e, images=w.flatten()), "you count every draw as an image of its own; draws of one image are alike, so the error comes out too small"),
            "no root": (lambda w, z, e: _judged(w, z, e, n=1), "that is the spread of single images; the error of their mean is smaller by the root of N"),
            "root of draws": (lambda w, z, e: _judged(w, z, e, n=w.shape[1]), "you divide by the root of the number of draws; the mean is over images"),
            "log Z averaged": (lambda w, z, e: _judged(w, z, e, error=lambda s, e: _both_errors(s, e / math.sqrt(len(w)))), "more images do not make log Z surer: the same error shifts all of them, so it is not divided"),
            "added": (lambda w, z, e: _judged(w, z, e, error=lambda s, e: s + e), "independent errors do not add up: the squares do"),
            "images only": (lambda w, z, e: _judged(w, z, e, error=lambda s, e: s), "the error of log Z is missing"),
            "log Z only": (lambda w, z, e: _judged(w, z, e, error=lambda s, e: e), "the spread of the images is missing"),
            "log of the mean": (lambda w, z, e: _judged(w, z, e, images=w.logsumexp(1) - math.log(w.shape[1])), "the bound is the mean of the logarithms; the logarithm of the mean weight is another, tighter bound"),
            "plus log Z": (lambda w, z, e: _judged(w, z, e, sign=1), "log Z is subtracted: the weights lack it"),
            "the kinder variance": (lambda w, z, e: _judged(w, z, e, error=lambda s, e: _both_errors(w.mean(1).std(correction=0) / math.sqrt(len(w)), e)), "divide the sum of squares by N − 1: the mean was estimated from the same images"),
        }),)))
