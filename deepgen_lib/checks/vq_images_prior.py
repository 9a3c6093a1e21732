"""Exercises of chapter 10, second half: a ledger of bits, drawing in raster order, what each level holds."""
from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .engine import Exercise, Part, register

CHAPTER = "10_vqvae_images"
_F64 = torch.float64


def _ledger(log_prior: Tensor, log_pixels: Tensor, n_positions: int, n_codes: int, n_dims: int) -> tuple:
    return _bits(log_prior, log_pixels, n_positions * math.log2(n_codes), n_dims)


def _bits(log_prior, log_pixels, uniform: float, n_dims: float, *, unit: float = math.log(2), total: str = "learned", sign: int = -1) -> tuple:
    """(uniform codes, learned codes, pixels, all), bits per dimension; the options are the ways in which students go wrong."""
    learned, pixels = (sign * x.mean() / unit / n_dims for x in (log_prior, log_pixels))
    whole = {"learned": learned + pixels, "uniform": uniform / n_dims + pixels, "codes": learned, "pixels": pixels}[total]
    return uniform / n_dims, learned, pixels, whole


def _as_wrong(uniform: Callable = lambda n, k: n * math.log2(k), dims: Callable = lambda n, d: d, **options):
    return lambda a, b, n, k, d: _bits(a, b, uniform(n, k), dims(n, d), **options)


def _pictures(rng):
    def case(n: int, positions: int, codes: int, dims: int) -> tuple:
        prior = -positions * (2.5 + torch.rand(n, generator=rng, dtype=_F64))
        return prior, -dims * (0.05 + 0.1 * torch.rand(n, generator=rng, dtype=_F64)), positions, codes, dims
    return {"49 positions, 128 codes": case(12, 49, 128, 784), "64 positions, 512 codes, colour": case(7, 64, 512, 3072)}


_LENGTH, _ONE, _GAP, _SHARP = ("343 bits are what this model needs to send a digit without loss", "with a code book of a single code the codes cost no bits",
                               "the bound is exact where one map of codes has all of the posterior", "a model with fewer bits per dimension draws better samples")
_TRUTHS = {_LENGTH: False, _ONE: True, _GAP: True, _SHARP: False}

bit_ledger = register(Exercise(
    id="10.4", name="bit_ledger", title="The bit ledger", level="core", minutes=20, chapter=CHAPTER,
    success="codes and pixels both paid for, in bits, per pixel of the picture",
    hints=("*Nudge.* To send a picture you send its codes and then what the decoder got wrong. Nothing is free. And the dimensions of a picture are its pixels, not its codes.",
           r"*Equation.* $\frac{n\log_2K}{D},\;\frac{-\overline{\log p(z)}}{D\log2},\;\frac{-\overline{\log p(x\mid z)}}{D\log2}$, and the last two added.",
           "*Pseudo-code.* `to_bits = lambda nats: -nats.mean() / math.log(2) / n_dims`; return `n_positions * math.log2(n_codes) / n_dims`, `to_bits(log_prior)`, `to_bits(log_pixels)`, and the sum of the last two."),
    parts=(
        Part(name="ledger", right=_ledger, inputs=_pictures, rtol=1e-7, misconceptions={
            "reconstruction left out": (_as_wrong(total="codes"), "the reconstruction is left out of the total: whoever gets the codes does not have the pixels yet"),
            "codes left out": (_as_wrong(total="pixels"), "the codes are left out of the total: they must be sent as well"),
            "uniform total": (_as_wrong(total="uniform"), "your total pays the uniform price for the codes; the learned prior makes them cheaper"),
            "nats": (_as_wrong(unit=1.0), "the likelihoods are in nats; divide by log 2"),
            "per code": (_as_wrong(dims=lambda n, d: n), "you divide by the number of codes; a bit per dimension is a bit per value of the picture"),
            "one code": (_as_wrong(uniform=lambda n, k: math.log2(k)), "that is the price of one code; a map has one for each position"),
            "all maps": (_as_wrong(uniform=lambda n, k: k * math.log2(n)), "positions and codes are exchanged: there are K to the power n maps"),
            "natural logarithm": (_as_wrong(uniform=lambda n, k: n * math.log(k)), "the uniform price is in nats; use the logarithm to base 2"),
            "sign": (_as_wrong(sign=1), "a price is minus the log-probability"),
        }),
        Part(name="answers", right=_TRUTHS, misconceptions={
            "343 is the length": ({_LENGTH: True}, "343 bits name the map of codes; the picture that it decodes to is not yet the digit: the reconstruction has to be paid as well"),
            "one code costs": ({_ONE: False}, "the logarithm of 1 is 0: nothing is said, nothing is paid, and all of the price is in the reconstruction"),
            "never exact": ({_GAP: False}, "the gap is minus the log of the posterior of the chosen map: where that is 1 there is no gap"),
            "bits mean beauty": ({_SHARP: True}, "bits count every pixel of a real picture, noise included; samples are judged otherwise (chapter 6 had two rankings)"),
        })),
))


def _mask(k: int, sees_itself: bool) -> Tensor:
    return _flat_mask(k, sees_itself).reshape(k, k)


def _flat_mask(k: int, sees_itself: bool) -> Tensor:
    return (torch.arange(k * k) < k * k // 2 + sees_itself).to(_F64)


class Walk:
    """Log-probabilities of a toy prior: ids (h, w) -> (K, h, w); position i looks at those before it in raster order, and at nothing else."""

    def __init__(self, n_codes: int, height: int, width: int, *, rng: torch.Generator):
        n = height * width
        before = torch.ones(n, n, dtype=_F64).tril(-1)
        self.n_codes, self.first = n_codes, 2 * torch.randn(n_codes, n, generator=rng, dtype=_F64)
        self.links = torch.randn(n_codes, n_codes, n, n, generator=rng, dtype=_F64) * before

    def __call__(self, ids: Tensor) -> Tensor:
        shown = torch.nn.functional.one_hot(ids.long().flatten(), self.n_codes).to(_F64)  # (hw, K')
        logits = self.first + torch.einsum("klij,jl->ki", self.links, shown)
        return logits.log_softmax(0).reshape(self.n_codes, *ids.shape)


def _draw(log_p: Tensor, u: Tensor) -> Tensor:
    """The first code whose cumulative probability exceeds u.  (K, ...), (...) -> (...)."""
    return (log_p.exp().cumsum(0) <= u).sum(0).clamp_max(len(log_p) - 1)


def _raster(prior: Walk, u: Tensor) -> Tensor:
    return _walked(prior, u, [(i, j) for i in range(u.shape[0]) for j in range(u.shape[1])])


def _walked(prior: Walk, u: Tensor, order: list, *, fresh: bool = True, choose=_draw) -> Tensor:
    ids, log_p = torch.zeros(u.shape, dtype=torch.int64), None
    for i, j in order:
        log_p = prior(ids) if fresh or j == 0 else log_p
        ids[i, j] = choose(log_p[:, i, j], u[i, j])
    return ids


def _by_columns(prior: Walk, u: Tensor) -> Tensor:
    return _walked(prior, u, [(i, j) for j in range(u.shape[1]) for i in range(u.shape[0])])


def _row_at_once(prior: Walk, u: Tensor) -> Tensor:
    return _walked(prior, u, [(i, j) for i in range(u.shape[0]) for j in range(u.shape[1])], fresh=False)


def _most_likely(prior: Walk, u: Tensor) -> Tensor:
    return _walked(prior, u, [(i, j) for i in range(u.shape[0]) for j in range(u.shape[1])], choose=lambda log_p, _: log_p.argmax())


def _priors(rng):
    def case(k: int, h: int, w: int) -> tuple:
        return Walk(k, h, w, rng=rng), torch.rand(h, w, generator=rng, dtype=_F64)
    return {"4 codes, 4 x 5": case(4, 4, 5), "6 codes, 5 x 5": case(6, 5, 5)}


raster_order = register(Exercise(
    id="10.5", name="raster_order", title="In raster order", level="stretch", minutes=30, chapter=CHAPTER,
    success="nobody sees himself or what comes after him, and each draw knows all that came before",
    hints=("*Nudge.* Raster order is the order in which you read. A place may look at what you have read so far. Draw one code, write it down, and ask again.",
           r"*Equation.* mask: 1 before the centre in reading order, at the centre 1 only if it sees itself. Draw: the smallest $k$ with $\sum_{l\le k}p_l>u$.",
           "*Pseudo-code.* `(torch.arange(k * k) < k * k // 2 + sees_itself)`, reshaped. Then for i, for j: `p = log_p(ids)[:, i, j].exp()`; `ids[i, j] = (p.cumsum(0) <= u[i, j]).sum()`."),
    parts=(
        Part(name="mask", right=_mask, inputs=lambda _: {"3 x 3, first layer": (3, False), "3 x 3, later layer": (3, True), "5 x 5, first layer": (5, False), "5 x 5, later layer": (5, True)},
             axes=("rows", "columns"), misconceptions={
            "sees itself at once": (lambda k, own: _mask(k, True), "in the first layer the centre must be 0: else a place is told the very code it has to guess"),
            "never sees itself": (lambda k, own: _mask(k, False), "in later layers the centre is 1: what stands there was made from earlier codes only"),
            "by columns": (lambda k, own: _mask(k, own).T, "rows and columns are exchanged: one reads row by row, so all of the rows above may be seen"),
            "rows above only": (lambda k, own: torch.cat([torch.ones(k // 2, k), torch.zeros(k - k // 2, k)]), "the row of the centre has a left half: it was read already"),
            "upper left only": (lambda k, own: _mask(k, own) * (torch.arange(k) <= k // 2), "in the rows above, the right half was read as well"),
            "turned round": (lambda k, own: _flat_mask(k, own).flip(0).reshape(k, k), "your mask sees what comes after, and not what came before"),
        }),
        Part(name="sample", right=_raster, inputs=_priors, axes=("rows", "columns"), misconceptions={
            "all at once": (lambda prior, u: _draw(prior(torch.zeros(u.shape, dtype=torch.int64)), u), "each place was drawn as if all others were code 0: ask again after every draw, from the top left on"),
            "by columns": (_by_columns, "you walk column by column: the places to the left in later rows, and above to the right, are asked about too early"),
            "row at once": (_row_at_once, "you ask once a row; the left neighbour in the same row must be drawn before"),
            "most likely": (_most_likely, "you take the likeliest code; a draw uses the uniform number"),
            "survival": (lambda prior, u: _raster(prior, 1 - u), "you count from the wrong end: take the first code whose cumulative probability exceeds u"),
        })),
))


def _split(x: Tensor, y: Tensor, block: int) -> tuple[Tensor, Tensor]:
    return _split_difference(x - y, block)


def _split_difference(d: Tensor, block: int, measure: Callable = Tensor.square) -> tuple[Tensor, Tensor]:
    layout = measure(avg_pool2d(d, block)).mean()
    return layout, measure(d).mean() - layout


def _pairs(rng):
    def case(n: int, side: int, block: int) -> tuple:
        x = torch.rand(n, 3, side, side, generator=rng, dtype=_F64)
        return x, (x + 0.2 * torch.randn(n, 3, 1, 1, generator=rng, dtype=_F64) + 0.1 * torch.randn(x.shape, generator=rng, dtype=_F64)), block
    return {"blocks of 4": case(3, 8, 4), "blocks of 8": case(2, 32, 8)}


_DETAIL, _LAYOUT, _ORDER, _BITS = ("without the bottom level the error grows more in", "without the top level the error grows more in",
                                   "to sample, draw first the", "a level that nobody misses when it is removed")
_LEVELS = {_DETAIL: "detail", _LAYOUT: "layout", _ORDER: "top", _BITS: "holds nothing that the others lack"}

who_holds_what = register(Exercise(
    id="10.6", name="who_holds_what", title="Who holds what?", level="stretch", minutes=25, chapter=CHAPTER,
    success="two errors that add up exactly, and a level is what is missed without it",
    hints=("*Nudge.* Split the difference of the pictures, not the pictures' errors: its mean over each block, and what is left.",
           r"*Equation.* $d=x-y$, $\bar d$ its block means: $\overline{d^2}=\overline{\bar d^{\,2}}+\overline{(d-\bar d)^2}$, because within a block $d-\bar d$ sums to zero.",
           "*Pseudo-code.* `d = x - y`; `layout = avg_pool2d(d, block).square().mean()`; `detail = d.square().mean() - layout`."),
    parts=(
        Part(name="split", right=_split, inputs=_pairs, rtol=1e-7, misconceptions={
            "squares first": (lambda x, y, b: _squares_first(x - y, b), "you average the squares of a block, which is all of the error: average the difference first, then square"),
            "absolute": (lambda x, y, b: _split_difference(x - y, b, Tensor.abs), "absolute values do not add up; take squares"),
            "exchanged": (lambda x, y, b: _split(x, y, b)[::-1], "layout and detail are exchanged: layout is the part that a blurred picture still shows"),
            "summed": (lambda x, y, b: tuple(part * x.numel() for part in _split(x, y, b)), "you summed: give the mean over all values"),
            "number of blocks": (lambda x, y, b: _split(x, y, x.shape[-1] // b), "block is the side of a block, not the number of blocks"),
            "the whole": (lambda x, y, b: (_split(x, y, b)[0], (x - y).square().mean()), "your detail still contains the layout: subtract it"),
            "of the picture": (lambda x, y, b: _split_difference(x, b), "you split the picture itself; asked is its difference to y"),
        }),
        Part(name="answers", right=_LEVELS, misconceptions={
            "bottom is layout": ({_DETAIL: "layout"}, "look at the faces without the bottom level: a blurred face, everything in its place"),
            "top is detail": ({_LAYOUT: "detail"}, "look at the faces without the top level: edges without a face, the light and dark of the whole are wrong"),
            "bottom first": ({_ORDER: "bottom"}, "the bottom prior looks at the top map, so the top map must be there first"),
            "missed by nobody": ({_BITS: "holds the layout"}, "if nothing is lost without it, it holds nothing of its own"),
        })),
))


def _squares_first(d: Tensor, block: int) -> tuple[Tensor, Tensor]:
    pooled = avg_pool2d(d.square(), block).mean()
    return pooled, d.square().mean() - pooled
