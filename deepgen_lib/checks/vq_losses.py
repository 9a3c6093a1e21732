"""Exercises of chapter 09, the losses of a VQ-VAE, first half: the point mass, its KL, the gradient table, straight-through."""
import math

import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "09_vqvae_losses"
_F64 = torch.float64


def normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def distances(z: Tensor, codes: Tensor) -> Tensor:
    """Squared distances.  (N, D), (K, D) -> (N, K)."""
    return (z[:, None] - codes).square().sum(-1)


def nearest(z: Tensor, codes: Tensor) -> Tensor:
    """(N, D), (K, D) -> (N,)."""
    return distances(z, codes).argmin(1)


def _one_hot(ids: Tensor, n_codes: int) -> Tensor:
    return torch.nn.functional.one_hot(ids, n_codes).to(_F64)


def _quantise(z, codes):
    return _pick(distances(z, codes), codes)


def _pick(cost, codes):
    ids = cost.argmin(1)
    return _one_hot(ids, len(codes)), codes[ids]


def _last_wins(z, codes):
    ids = len(codes) - 1 - distances(z, codes).flip(1).argmin(1)
    return _one_hot(ids, len(codes)), codes[ids]


def _soft(z, codes):
    q = (-distances(z, codes)).softmax(1)
    return q, q @ codes


def _planes(rng):
    twins = normal(3, 2, rng=rng)
    return {"20 points, 6 codes": (normal(20, 2, rng=rng), 1.5 * normal(6, 2, rng=rng)), "two equal codes": (normal(8, 2, rng=rng), twins[[0, 1, 0, 2]]),
            "5 dimensions": (normal(9, 5, rng=rng), normal(4, 5, rng=rng))}


point_mass = register(Exercise(
    id="9.1", name="point_mass", title="A point mass", level="core", minutes=10, chapter=CHAPTER,
    success="one code per point, ties to the lowest, and a vector for the decoder",
    hints=("*Nudge.* First find a number for each point (which code?), then use it twice: once as a place for the 1, once to look up a row.",
           r"*Equation.* $k=\arg\min_j\lVert z_e-e_j\rVert^2$; $q_{k'}=[k'=k]$; $z_q=e_k$.",
           "*Pseudo-code.* d = ((z[:, None] - codes) ** 2).sum(-1); ids = d.argmin(1); q = zeros (N, K) with ones at ids; return q, codes[ids]."),
    parts=(Part(
        right=_quantise, inputs=_planes, axes=("points", "codes or coordinates"), misconceptions={
            "dot product": (lambda z, e: _pick(-z @ e.T, e), "you take the code with the largest product zᵀe: a long code then wins from afar; take the smallest distance"),
            "farthest": (lambda z, e: _pick(-distances(z, e), e), "that is the farthest code"),
            "soft": (_soft, "your q spreads over several codes: a point mass has one 1"),
            "last wins": (_last_wins, "of two equal codes yours is the last; the course takes the lowest index"),
            "the slide": (lambda z, e: (_quantise(z, e)[0], distances(z, e).argmin(1).to(_F64)), "your z_q is the index k: that is the slide's slip; the decoder gets the vector e_k"),
            "nothing quantised": (lambda z, e: (_quantise(z, e)[0], z), "your z_q is z_e itself: hand over the code"),
            "by coordinate": (lambda z, e: _pick((z[:, None] - e).abs().amin(-1), e), "you compare the nearest coordinate alone; add up the squares of all of them"),
        }),)))


def _map_kl(ids: Tensor, log_prior: Tensor) -> Tensor:
    return -log_prior[ids].sum((1, 2))


def _loss(log_likelihood: Tensor, kl: Tensor) -> Tensor:
    return kl - log_likelihood


def _maps(rng):
    def case(batch: int, side: int, n_codes: int, scale: float) -> tuple:
        return torch.randint(0, n_codes, (batch, side, side), generator=rng), normal(n_codes, rng=rng, scale=scale).log_softmax(0)
    return {"3 maps of 7 x 7, 8 codes": case(3, 7, 8, 1.0), "2 maps of 3 x 3, uniform prior": case(2, 3, 5, 0.0)}


_NATS = 49 * math.log(128)

constant_kl = register(Exercise(
    id="9.2", name="constant_kl", title="A constant that is not always one", level="core", minutes=20, chapter=CHAPTER,
    success="constant for a fixed uniform prior, a cost per picture once the prior is learned",
    hints=("*Nudge.* The entropy of a point mass is zero. What is left of KL(q ‖ p)? And how many codes does one picture have?",
           r"*Equation.* $\mathrm{KL}(q\Vert p)=\sum_{\text{positions}}-\log p(k)$; uniform: $\log K$ each. Loss $=-\log p(x\mid z_q)+\mathrm{KL}$.",
           "*Pseudo-code.* number: positions times log K. map_kl: `-log_prior[ids].sum((1, 2))`. loss: `kl - log_likelihood`."),
    parts=(
        Part(name="uniform, in nats", right=_NATS, misconceptions={
            "one position": (math.log(128), "that is one position; the map has 49 of them"),
            "bits": (343.0, "343 are bits (49 times 7); the course measures in nats"),
            "zero": (0.0, "not zero: q is certain, the prior is not; the entropy of q is zero"),
            "swapped": (128 * math.log(49), "codes and positions are swapped: 49 positions, each one of 128"),
            "sign": (-_NATS, "a KL is never negative"),
        }),
        Part(name="map_kl", right=_map_kl, inputs=_maps, axes=("pictures",), misconceptions={
            "uniform": (lambda ids, p: torch.full((len(ids),), ids[0].numel() * math.log(len(p)), dtype=_F64), "you pay log K everywhere: the prior is no longer uniform, a frequent code costs less"),
            "one log K": (lambda ids, p: torch.full((len(ids),), math.log(len(p)), dtype=_F64), "that is log K once: every position pays"),
            "mean": (lambda ids, p: -p[ids].mean((1, 2)), "you average over positions: nats are added up"),
            "expected": (lambda ids, p: torch.full((len(ids),), ids[0].numel() * float(-(p.exp() * p).sum()), dtype=_F64), "that is the prior's entropy, a mean over maps it would draw; this map pays for its own codes"),
            "sign": (lambda ids, p: -_map_kl(ids, p), "a KL is never negative: −log p(k)"),
            "probability": (lambda ids, p: p[ids].exp().sum((1, 2)), "you add up probabilities; take −log of each"),
        }),
        Part(name="loss", right=_loss, inputs=lambda rng: {"5 pictures": (-10 * normal(5, rng=rng).abs(), 5 * normal(5, rng=rng).abs())}, axes=("pictures",), misconceptions={
            "the slide": (lambda ll, kl: ll + kl, "that is the slide's sum: minimised, it makes the picture improbable; the likelihood enters with a minus"),
            "the bound": (lambda ll, kl: ll - kl, "that is the bound itself, to be maximised; a loss is minus it"),
            "dropped": (lambda ll, kl: -ll, "you dropped the KL; it may go only where it is constant"),
            "maximised slide": (lambda ll, kl: -ll - kl, "the KL has the wrong sign: minimising this drives the codes away from the prior"),
        }),
    )))


def _pushes(x, z_e, codes, beta):
    return total_pushes(x, z_e, codes, beta)


def total_pushes(x, z_e, codes, beta, *, copy="z_e", quantization="codes", commitment="z_e", weights=(1.0, None)):
    """Gradients of ½‖x - z_q‖² + ‖sg(z_e) - e‖² + β‖z_e - sg(e)‖² in z_e and codes; the options are the ways in which students go wrong."""
    ids = nearest(z_e, codes)
    z_q = codes[ids]
    at_z, at_codes = torch.zeros_like(z_e), torch.zeros_like(codes)
    pull, w = 2 * (z_e - z_q), (weights[0], beta if weights[1] is None else weights[1])
    places = {"z_e": at_z, "codes": at_codes}
    for where, gradient, for_codes in [(copy, z_q - x, 1), (quantization, w[0] * pull, -1), (commitment, w[1] * pull, -1)]:
        for place in where.split("+"):
            if place == "codes":
                places[place].index_add_(0, ids, for_codes * gradient)
            elif place:
                places[place] += gradient
    return at_z, at_codes


def _batches(rng):
    def case(n: int, k: int, beta: float) -> tuple:
        return normal(n, 2, rng=rng), normal(n, 2, rng=rng), normal(k, 2, rng=rng), beta
    return {"7 points, 4 codes": case(7, 4, 0.25), "3 points, one code never used": (*case(3, 3, 2.0)[:2], torch.tensor([[0.1, 0.2], [0.5, -0.4], [50.0, 50.0]], dtype=_F64), 2.0)}


_TABLE = {"reconstruction, encoder": "moves", "reconstruction, codes": "stays", "reconstruction, decoder": "moves",
          "quantization, encoder": "stays", "quantization, codes": "moves", "quantization, decoder": "stays",
          "commitment, encoder": "moves", "commitment, codes": "stays", "commitment, decoder": "stays"}

gradient_table = register(Exercise(
    id="9.3", name="gradient_table", title="The gradient table", level="core", minutes=30, chapter=CHAPTER,
    success="three terms, each moves what it should and nothing else",
    hints=("*Nudge.* For each term ask which of its two operands is behind a stop-gradient. For the reconstruction: to whom does straight-through copy?",
           r"*Equation.* At $z_e$: $(z_q-x)+2\beta(z_e-z_q)$. At code $k$: $\sum_{n:\,k_n=k}2(e_k-z_{e,n})$.",
           "*Pseudo-code.* z, e = copies that require gradients; ids = nearest; q = e[ids]; s = z + (q - z).detach(); loss = ((x - s)**2).sum() / 2 + ((z.detach() - q)**2).sum() + beta * ((z - q.detach())**2).sum(); return torch.autograd.grad(loss, (z, e))."),
    parts=(
        Part(name="predictions", right=_TABLE, misconceptions={
            "no copy": ({"reconstruction, encoder": "stays"}, "straight-through exists for this: the decoder's gradient is copied to z_e"),
            "both": ({"reconstruction, codes": "moves"}, "the copy goes to z_e alone: the codes hear nothing of the reconstruction"),
            "decoder": ({"reconstruction, decoder": "stays"}, "the decoder makes the picture: the reconstruction is its only teacher"),
            "quantization, encoder": ({"quantization, encoder": "moves"}, "in the quantization term z_e is behind the stop-gradient"),
            "quantization, codes": ({"quantization, codes": "stays"}, "the quantization term is there to move the codes"),
            "quantization, decoder": ({"quantization, decoder": "moves"}, "no decoder occurs in the quantization term"),
            "commitment, encoder": ({"commitment, encoder": "stays"}, "the commitment is the encoder's: it pulls z_e to its code"),
            "commitment, codes": ({"commitment, codes": "moves"}, "in the commitment the code is behind the stop-gradient"),
            "commitment, decoder": ({"commitment, decoder": "moves"}, "no decoder occurs in the commitment"),
        }),
        Part(name="pushes", right=_pushes, inputs=_batches, misconceptions={
            "wrong side": (lambda *a: total_pushes(*a, quantization="z_e"), "in the quantization term detach is on the wrong side: both terms now move z_e, and the codes are frozen"),
            "wrong side again": (lambda *a: total_pushes(*a, commitment="codes"), "in the commitment detach is on the wrong side: both terms now move the codes, and nothing holds z_e"),
            "no detach": (lambda *a: total_pushes(*a, quantization="codes+z_e", commitment="codes+z_e"), "nothing is detached in the two distances: each then moves both of its operands"),
            "beta swapped": (lambda x, z, e, b: total_pushes(x, z, e, b, weights=(b, 1.0)), "beta is on the wrong term: it belongs to the commitment, β‖z_e − sg(e)‖² (to detach the wrong side in both terms comes to the same)"),
            "beta twice": (lambda x, z, e, b: total_pushes(x, z, e, b, weights=(b, b)), "beta weighs both terms: the quantization term has weight one"),
            "no straight-through": (lambda *a: total_pushes(*a, copy=""), "the decoder's gradient reaches nobody: copy it to z_e"),
            "plain lookup": (lambda *a: total_pushes(*a, copy="codes"), "the decoder's gradient goes to the codes: q alone, or z + (q − z) without detach, stops at the lookup"),
            "to both": (lambda *a: total_pushes(*a, copy="z_e+codes"), "the decoder's gradient goes to z_e and to the codes: q + (z − z.detach()) does that; detach (q − z)"),
            "no commitment": (lambda *a: total_pushes(*a, commitment=""), "the commitment is missing at z_e"),
            "no quantization": (lambda *a: total_pushes(*a, quantization=""), "the codes do not move: the quantization term is missing"),
            "mean": (lambda x, z, e, b: tuple(g / len(x) for g in _pushes(x, z, e, b)), "you average over the points; add up"),
        }),
    )))


def line_quantise(x: Tensor, codes: Tensor) -> Tensor:
    """The nearest code of each number.  (N,), (K,) -> (N,)."""
    return codes[(x[:, None] - codes).abs().argmin(1)]


def _mean_loss(x, a, codes):
    return (x - line_quantise(x + a, codes)).square().mean()


def _copied(x, a, codes):
    return 2 * (line_quantise(x + a, codes) - x).mean()


def _measured(x, a, codes, eps):
    return (_mean_loss(x, a + eps, codes) - _mean_loss(x, a - eps, codes)) / (2 * eps)


def _lines(rng, *more):
    return {"4,000 numbers, 3 codes": (normal(4000, rng=rng), 0.3, torch.tensor([-1.2, -0.3, 1.5], dtype=_F64), *more),
            "4,000 numbers, 2 codes": (normal(4000, rng=rng), -0.2, torch.tensor([-0.5, 2.0], dtype=_F64), *more)}


finite_difference = register(Exercise(
    id="9.4", name="finite_difference", title="Straight-through against the truth", level="core", minutes=25, chapter=CHAPTER,
    success="two slopes of one loss, and they are not the same",
    hints=("*Nudge.* The copied slope treats z_q as if it moved with a. The true one moves a, quantises again, and looks at what the loss does.",
           r"*Equation.* Copied: $\frac1N\sum2(z_{q,n}-x_n)$. True: $\frac{L(a+\varepsilon)-L(a-\varepsilon)}{2\varepsilon}$, $L(a)=\frac1N\sum(x_n-z_{q,n})^2$.",
           "*Pseudo-code.* Q(y) = codes[(y[:, None] - codes).abs().argmin(1)]; copied: 2 * (Q(x + a) - x).mean(); true: L at a + eps minus L at a - eps, over 2 * eps."),
    parts=(
        Part(name="copied", right=_copied, inputs=_lines, misconceptions={
            "never quantised": (lambda x, a, e: torch.tensor(2 * a, dtype=_F64), "you differentiate as if there were no quantiser: the gradient is taken at z_q, then copied"),
            "half": (lambda x, a, e: _copied(x, a, e) / 2, "the 2 of the square is missing"),
            "minus": (lambda x, a, e: -_copied(x, a, e), "the sign: d/dz_q (x − z_q)² = 2 (z_q − x)"),
            "to the code": (lambda x, a, e: 2 * (x + a - line_quantise(x + a, e)).mean(), "that is the slope of the commitment, z_e to its code; the reconstruction compares z_q with x"),
            "sum": (lambda x, a, e: len(x) * _copied(x, a, e), "you add up; the loss is a mean"),
        }),
        Part(name="true", right=_measured, inputs=lambda rng: _lines(rng, 0.05), misconceptions={
            "fixed codes": (lambda x, a, e, eps: torch.zeros((), dtype=_F64), "your difference is zero: you quantise once and keep the codes; quantise anew on both sides"),
            "one-sided": (lambda x, a, e, eps: (_mean_loss(x, a + eps, e) - _mean_loss(x, a, e)) / eps, "yours is one-sided: take a + ε and a − ε"),
            "eps once": (lambda x, a, e, eps: 2 * _measured(x, a, e, eps), "divide by 2ε: that is how far apart the two places are"),
            "target moves": (lambda x, a, e, eps: ((x + a + eps - line_quantise(x + a + eps, e)).square().mean() - (x + a - eps - line_quantise(x + a - eps, e)).square().mean()) / (2 * eps),
                             "you compare z_q with z_e; the decoder is judged by x, which does not move with a"),
            "copied": (lambda x, a, e, eps: _copied(x, a, e), "that is the copied slope again"),
        }),
    )))
