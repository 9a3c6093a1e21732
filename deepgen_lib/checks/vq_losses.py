"""Exercises of chapter 09, the losses of a VQ-VAE, first part: the point mass, its KL, the gradient table."""
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


def _shared(z, codes):
    q = (distances(z, codes) == distances(z, codes).amin(1, keepdim=True)).to(_F64)
    return q / q.sum(1, keepdim=True), codes[nearest(z, codes)]


def _fractions(output, z, codes) -> bool:
    """One half, one third, ... or a second 1 where distances tie."""
    return torch.equal(torch.as_tensor(output[0]) > 0, _shared(z, codes)[0] > 0)


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
            "shared": (_shared, "at a tie you share: a point mass has one 1, at the lowest of the equal indices", _fractions),
            "swapped": (lambda z, e: _quantise(z, e)[::-1], "you return z_q first: the order is q, z_q", lambda output, z, e: output[0].shape == z.shape and output[1].shape == (len(z), len(e))),
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


_NATS = 64 * math.log(512)

constant_kl = register(Exercise(
    id="9.2", name="constant_kl", title="A constant that is not always one", level="core", minutes=15, chapter=CHAPTER,
    success="constant for a fixed uniform prior, a cost per picture once the prior is learned",
    hints=("*Nudge.* The entropy of a point mass is zero. What is left of KL(q ‖ p)? And how many codes does one picture have?",
           r"*Equation.* $\mathrm{KL}(q\Vert p)=\sum_{\text{positions}}-\log p(k)$; uniform: $\log K$ each. Loss $=-\log p(x\mid z_q)+\mathrm{KL}$.",
           "*Pseudo-code.* number: positions times log K. map_kl: `-log_prior[ids].sum((1, 2))`. loss: `kl - log_likelihood`."),
    parts=(
        Part(name="uniform, in nats", right=_NATS, misconceptions={
            "one position": (math.log(512), "that is one position; the map has 64 of them"),
            "bits": (576.0, "576 are bits (64 times 9); the course measures in nats"),
            "zero": (0.0, "not zero: q is certain, the prior is not; the entropy of q is zero"),
            "swapped": (512 * math.log(64), "codes and positions are swapped: 64 positions, each one of 512"),
            "sign": (-_NATS, "a KL is never negative"),
        }),
        Part(name="map_kl", right=_map_kl, inputs=_maps, axes=("pictures",), misconceptions={
            "uniform": (lambda ids, p: torch.full((len(ids),), ids[0].numel() * math.log(len(p)), dtype=_F64), "you pay log K everywhere: the prior is no longer uniform, a frequent code costs less"),
            "one log K": (lambda ids, p: torch.full((len(ids),), math.log(len(p)), dtype=_F64), "that is log K once: every position pays"),
            "mean": (lambda ids, p: -p[ids].mean((1, 2)), "you average over positions: nats are added up"),
            "expected": (lambda ids, p: torch.full((len(ids),), ids[0].numel() * float(-(p.exp() * p).sum()), dtype=_F64), "that is the prior's entropy, a mean over maps it would draw; this map pays for its own codes"),
            "sign": (lambda ids, p: -_map_kl(ids, p), "a KL is never negative: −log p(k)"),
            "probability": (lambda ids, p: p[ids].exp().sum((1, 2)), "you add up probabilities; take −log of each"),
            "weighted": (lambda ids, p: -(p[ids].exp() * p[ids]).sum((1, 2)), "you weigh each −log p(k) by p(k): q is certain of its code, its weight is 1"),
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


def _last_point(x, z_e, codes, beta):
    """g[ids] += ...: of all points of a code only one counts."""
    ids, at_codes = nearest(z_e, codes), torch.zeros_like(codes)
    at_codes[ids] += 2 * (codes[ids] - z_e)
    return _pushes(x, z_e, codes, beta)[0], at_codes


def _batches(rng):
    def case(n: int, k: int, beta: float) -> tuple:
        return normal(n, 2, rng=rng), normal(n, 2, rng=rng), normal(k, 2, rng=rng), beta
    return {"9 points, 3 codes": case(9, 3, 0.25), "3 points, one code never used": (*case(3, 3, 2.0)[:2], torch.tensor([[0.1, 0.2], [0.5, -0.4], [50.0, 50.0]], dtype=_F64), 2.0)}


_TABLE = {"reconstruction, encoder": "moves", "reconstruction, codes": "stays", "reconstruction, decoder": "moves",
          "quantization, encoder": "stays", "quantization, codes": "moves", "quantization, decoder": "stays",
          "commitment, encoder": "moves", "commitment, codes": "stays", "commitment, decoder": "stays"}

gradient_table = register(Exercise(
    id="9.3", name="gradient_table", title="The gradient table", level="core", minutes=30, chapter=CHAPTER,
    success="three terms, each moves what it should and nothing else",
    hints=("*Nudge.* For each term ask which of its two operands is behind a stop-gradient. For the reconstruction: to whom does straight-through copy?",
           r"*Equation.* $\lVert a-\mathrm{sg}(b)\rVert^2$ has the gradient $2(a-b)$ at $a$ and none at $b$. The reconstruction's gradient, $z_q-x$, is handed to $z_e$. A code adds up what *all* its points tell it.",
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
            "no factor two": (lambda x, z, e, b: total_pushes(x, z, e, b, weights=(0.5, b / 2)), "the 2 of the two squared distances is missing: only the reconstruction carries a ½"),
            "downhill": (lambda *a: tuple(-g for g in _pushes(*a)), "your signs are those of the steps downhill; the gradients themselves are asked"),
            "away from x": (lambda x, z, e, b: tuple(g + h for g, h in zip(total_pushes(x, z, e, b, copy=""), (z - x, 0 * e))), "you compare z_e with x: the decoder sees z_q, so its gradient is z_q − x, also where it is copied"),
            "last point wins": (_last_point, "points that share a code overwrite each other: g[ids] += ... adds only once per code; use index_add"),
            "mean": (lambda x, z, e, b: tuple(g / len(x) for g in _pushes(x, z, e, b)), "you average over the points; add up"),
        }),
    )))
