"""Exercises of chapter 11, NVAE's network, first half: counting latents and weights, who hears of a picture, what is shared."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..nvae.two_ways import TwoWays
from .engine import Exercise, Part, register

CHAPTER = "11_nvae_architecture"
_F64 = torch.float64


def _latents(groups: tuple, image_size: int, n_down: int, n_latent: int) -> Tensor:
    return latents(groups, image_size, n_down, n_latent)


def latents(groups, image_size, n_down, n_latent, *, below=False, pad=True, power=2, outside=True, by_scale=False, grow=True, channels=True):
    """Latent numbers of each group from the top down; the options are the ways in which students go wrong."""
    groups = groups[::-1] if below else groups
    step = 2 ** (n_down + len(groups) - 1)
    side = -(-image_size // step) * step if pad else image_size
    finest = side // 2 ** (n_down if outside else 0)
    sides = [finest // 2**k for k in range(len(groups))]
    sides = sides[::-1] if grow else sides
    per_group = [(n_latent if channels else 1) * s**power for s in sides]
    if by_scale:
        return torch.tensor([float(n * size) for n, size in zip(groups, per_group)], dtype=_F64)
    return torch.tensor([float(size) for n, size in zip(groups, per_group) for _ in range(n)], dtype=_F64)


def _networks(rng):
    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=rng))
    odd = (draw(1, 3), draw(3, 5), draw(5, 7))
    return {"MNIST": ((5, 10), 28, 2, 20), "a small network of three scales": (odd, 8 * draw(5, 9) - 3, 1, draw(2, 9)), "one scale": ((draw(2, 5),), 4 * draw(4, 9), 2, draw(2, 9))}


latent_numbers = register(Exercise(
    id="11.1", name="latent_numbers", title="Count the latents", level="core", minutes=15, chapter=CHAPTER,
    success="every group counted, from the top down, on the padded picture; MNIST has 14,400 numbers, read from below it would be 9,600",
    hints=("*Nudge.* Find the side of the finest scale first: pad, then halve. Which entry of groups is the coarsest?",
           r"*Equation.* $S=$ the next multiple of $2^{d+n-1}$, with $d$ halvings outside and $n$ scales; scale $k=0,\dots,n-1$ from the top has side $S/2^{d+n-1-k}$; numbers $K\cdot\text{side}^2$.",
           "*Pseudo-code.* step = 2**(n_down + len(groups) - 1); S = step * ceil(image_size / step); for k, n in enumerate(groups): n times append n_latent * (S // 2**(n_down + len(groups) - 1 - k))**2."),
    parts=(Part(
        right=_latents, inputs=_networks, axes=("groups",), misconceptions={
            "from below": (lambda *a: latents(*a, below=True), "you count the scales from below: groups[0] is the coarsest, the one on top"),
            "shrinking": (lambda *a: latents(*a, grow=False), "your sides shrink on the way down: the top scale is the smallest"),
            "both": (lambda *a: latents(*a, below=True, grow=False), "your list runs from the finest group up: give it from the top down"),
            "no padding": (lambda *a: latents(*a, pad=False), "28 cannot be halved three times: pad the picture to the next multiple first"),
            "halvings outside": (lambda *a: latents(*a, outside=False), "you forget the halvings between the picture and the finest scale"),
            "by scale": (lambda *a: latents(*a, by_scale=True), "you give one number for each scale: give one for each group"),
            "side": (lambda *a: latents(*a, power=1), "a map has side times side places"),
            "channels": (lambda *a: latents(*a, channels=False), "every place has n_latent numbers"),
            "total": (lambda *a: latents(*a).sum(), "that is the total: give one number for each group"),
        }),)))


def _generative(C: int, E: int) -> int:
    return weights(C, E)


def weights(C, E, *, dense=False, mixing=2, norms=(1, 1, 1, 1), per_norm=2, squeeze=True, bias=False, least=4, squeeze_bias=True, grouped=True):
    """Parameters of a generative cell; the options are the ways in which students go wrong."""
    wide = E * C
    sizes = (C, wide, wide, C)
    count = mixing * C * wide + (25 * wide * wide if dense else 25 * wide if grouped else 25)
    count += sum(per_norm * n * size for n, size in zip(norms, sizes)) + (2 * wide + C if bias else 0)
    h = max(C // 16, least)
    return count + (2 * C * h + (h + C if squeeze_bias else 0) if squeeze else 0)


def _encoder(C: int) -> int:
    return dense_weights(C)


def dense_weights(C, *, convolutions=2, kernel=9, biases=1, norms=2, squeeze=True, least=4):
    """Parameters of an encoder cell; options as above."""
    h = max(C // 16, least)
    return convolutions * kernel * C * C + biases * C + 2 * norms * C + (2 * C * h + h + C if squeeze else 0)


def _channels(rng):
    return {f"C = {c}, E = {e}": (c, e) for c, e in [(int(8 * torch.randint(1, 5, (), generator=rng)), 3), (int(32 * torch.randint(3, 9, (), generator=rng)), 6)]}


cell_weights = register(Exercise(
    id="11.2", name="cell_weights", title="What a cell costs", level="core", minutes=25, chapter=CHAPTER,
    success="both formulas agree with the cells, weight by weight; a dense 5×5 would make 25 E C of its term 25 E² C²",
    hints=("*Nudge.* Go through the branch from left to right. A batch norm has a scale and a shift for each channel; a convolution followed by a batch norm needs no bias. To how many channels does one filter of a depthwise convolution look?",
           r"*Equation.* $1\times1$: $EC^2$, twice; depthwise: $25EC$; norms: $2C+2EC+2EC+2C$; SE with $h=\max(C/16,4)$: $2Ch+h+C$. Encoder: $2\cdot9C^2+C$, norms $4C$, SE.",
           "*Pseudo-code.* h = max(C // 16, 4); se = 2*C*h + h + C; generative: 2*E*C*C + 25*E*C + 4*E*C + 4*C + se; encoder: 18*C*C + C + 4*C + se."),
    parts=(
        Part(name="generative cell", right=_generative, inputs=_channels, rtol=1e-9, misconceptions={
            "dense": (lambda C, E: weights(C, E, dense=True), "your 5x5 is dense, every filter reads all channels: a depthwise filter reads one, 25 weights"),
            "one filter": (lambda C, E: weights(C, E, grouped=False), "you count one 5x5 filter in all: each of the E·C channels has its own"),
            "one mixing": (lambda C, E: weights(C, E, mixing=1), "there are two 1x1 convolutions, one that widens and one that narrows"),
            "no norms": (lambda C, E: weights(C, E, norms=(0, 0, 0, 0)), "the four batch norms are missing: a scale and a shift for each of their channels"),
            "two norms": (lambda C, E: weights(C, E, norms=(0, 1, 1, 0)), "you leave out the first and the last batch norm"),
            "running statistics": (lambda C, E: weights(C, E, per_norm=4), "running means and variances are not parameters: nothing trains them"),
            "biases": (lambda C, E: weights(C, E, bias=True), "you give the convolutions biases: a batch norm follows and would take them away"),
            "no SE": (lambda C, E: weights(C, E, squeeze=False), "squeeze-and-excitation is missing"),
            "SE at least 4": (lambda C, E: weights(C, E, least=1), "the squeeze has at least 4 hidden units"),
            "SE biases": (lambda C, E: weights(C, E, squeeze_bias=False), "the two layers of squeeze-and-excitation have biases"),
        }),
        Part(name="encoder cell", right=_encoder, inputs=lambda rng: {f"C = {c}": (c,) for c in (8, int(16 * torch.randint(5, 17, (), generator=rng)))}, rtol=1e-9, misconceptions={
            "one convolution": (lambda C: dense_weights(C, convolutions=1), "the encoder's cell has two 3x3 convolutions"),
            "depthwise": (lambda C: dense_weights(C) - 18 * C * C + 18 * C, "the encoder's convolutions are dense: every filter reads all C channels"),
            "5x5": (lambda C: dense_weights(C, kernel=25), "the encoder's kernels are 3x3; 5x5 is the generative cell's"),
            "no bias": (lambda C: dense_weights(C, biases=0), "the second convolution has no batch norm after it, so it keeps its bias"),
            "two biases": (lambda C: dense_weights(C, biases=2), "the first convolution has a batch norm after it, and so no bias"),
            "no norms in front": (lambda C: dense_weights(C, norms=0), "its two batch norms are missing"),
            "SE left out": (lambda C: dense_weights(C, squeeze=False), "the encoder's cell ends in squeeze-and-excitation too"),
        }),
    )))

_HELD, _DRAWN = "z held", "z drawn"
_HEARS = {"h": "stays", "tap 1": "moves", "path 1": "stays", "posterior 1": "moves", f"path 2, {_HELD}": "stays", f"path 2, {_DRAWN}": "moves", f"prior 2, {_HELD}": "stays",
          f"prior 2, {_DRAWN}": "moves", f"posterior 2, {_HELD}": "moves", f"posterior 2, {_DRAWN}": "moves"}


def _who_moves(walk: Callable, x: Tensor, other: Tensor) -> dict[str, str]:
    return _compared(walk, x, other, lambda a, b: torch.equal(a, b))


def _compared(walk, x, other, same) -> dict[str, str]:
    first, second = walk(x), walk(other)
    return {name: "stays" if same(first[name], second[name]) else "moves" for name in first}


def _walk(seed: int) -> Callable[[Tensor], dict[str, Tensor]]:
    """A ladder of two groups without training: what each tensor is, as a function of x."""
    rng = torch.Generator().manual_seed(seed)
    h, noise, W = (torch.randn(4, generator=rng, dtype=_F64) for _ in range(3))

    def walk(x: Tensor) -> dict[str, Tensor]:
        """{name: tensor} of one walk; the noise is always the same."""
        tap = torch.stack([x.flip(0), W * x])
        z = tap[0] + noise
        faint = h.clone()
        faint[2] += 1e-9 * x[0]                                    # hardly moves, in one place
        half = torch.cat([x[:1], h[1:]])                         # moves in one place
        return {"h": h, "half": half, "tap": tap, "turned": x.flip(0), "z": z, "path": h + W * z, "faint": faint, "prior of the top": torch.zeros(4, dtype=_F64)}
    return walk


def _walks(rng):
    def case() -> tuple:
        x = torch.randn(4, generator=rng, dtype=_F64)
        return _walk(int(torch.randint(1000, (), generator=rng))), x, x.roll(1)
    return {"a picture and the same one shifted": case(), "another network": case()}


who_hears = register(Exercise(
    id="11.3", name="who_hears", title="Who hears of the picture?", level="core", minutes=25, chapter=CHAPTER,
    success="x reaches the posteriors by the taps, and everything else only through z",
    hints=("*Nudge.* For each tensor list what it is computed from, and follow that back. The way to the path leads through z alone.",
           r"*Equation.* $\text{tap}=f(x)$; $h_1$ constant; $h_2=g(h_1,z_1)$; prior $2$ reads $h_2$; posterior $l$ reads $h_l$ and tap $l$; and $z_1\sim q(z_1\mid x)$, if it is drawn.",
           '*Pseudo-code.* a, b = walk(x), walk(other); {name: "stays" if torch.equal(a[name], b[name]) else "moves" for name in a}: all entries, exactly.'),
    parts=(
        Part(name="predictions", right=_HEARS, misconceptions={
            "constant": ({"h": "moves"}, "h is a learned constant: no picture moves it"),
            "first path": ({"path 1": "moves"}, "above z1 there is nothing but the constant: the first state of the path knows no picture"),
            "taps": ({"tap 1": "stays"}, "the taps are the encoder's features: they are nothing but functions of x"),
            "posterior": ({"posterior 1": "stays"}, "the posterior reads the tap: it is there to see x"),
            "posterior, held": ({f"posterior 2, {_HELD}": "stays"}, "with z held the posterior still reads its tap"),
            "prior sees x": ({f"prior 2, {_HELD}": "moves"}, "with z1 held nothing of x reaches the path, and the prior reads the path alone"),
            "path sees x": ({f"path 2, {_HELD}": "moves"}, "with z1 held the path is what it was: x is not among its inputs"),
            "prior is fixed": ({f"prior 2, {_DRAWN}": "stays"}, "z1 is drawn from a q that saw x, and p(z2 | z1) follows z1: the prior of a lower group moves with the picture"),
            "path is fixed": ({f"path 2, {_DRAWN}": "stays"}, "z1 joins the path: another z1, another state"),
        }),
        Part(name="who_moves", right=_who_moves, inputs=_walks, misconceptions={
            "means": (lambda walk, x, other: _compared(walk, x, other, lambda a, b: bool((a.mean() - b.mean()).abs() < 1e-12)), "you compare means: a tensor whose entries change places moves too"),
            "nearly": (lambda walk, x, other: _compared(walk, x, other, lambda a, b: torch.allclose(a, b)), "you compare up to a tolerance: what hardly moves still hears; compare exactly"),
            "any entry": (lambda walk, x, other: _compared(walk, x, other, lambda a, b: bool((a == b).any())), "you ask whether any entry stays: a tensor stays only if all do"),
            "turned round": (lambda walk, x, other: {name: {"moves": "stays", "stays": "moves"}[word] for name, word in _who_moves(walk, x, other).items()}, "your words are exchanged"),
            "one picture": (lambda walk, x, other: _compared(walk, x, x, torch.equal), "you compare a walk with itself: walk once with each picture"),
        }),
    )))

SAME, TIED, COPIES, STRANGERS = "shared", "tied", "copies", "strangers"


def _program(relation: str, seed: int) -> TwoWays:
    rng = torch.Generator().manual_seed(seed)
    one, other = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    for layer in (one, other):
        for p in layer.parameters():
            p.data.normal_(generator=rng)
    if relation == SAME:
        other = one
    elif relation == TIED:
        other.weight, other.bias = one.weight, one.bias
    elif relation == COPIES:
        other.load_state_dict(one.state_dict())
    return TwoWays(one, other, torch.randn(2, 5, 3, generator=rng, dtype=_F64))


def _alike(program: TwoWays) -> bool:
    return all(torch.equal(a, b) for a, b in zip(program.one.parameters(), program.other.parameters()))


def _relation(program: TwoWays) -> str:
    before = _alike(program)
    program.update()
    return SAME if program.one is program.other else TIED if _alike(program) else COPIES if before else STRANGERS


def _blind(**words: str) -> Callable[[TwoWays], str]:
    return lambda program: words.get(found := _relation(program), found)


def _programs(rng):
    order = torch.randperm(4, generator=rng).tolist()
    return {f"program {n + 1}": (_program((SAME, TIED, COPIES, STRANGERS)[i], int(torch.randint(1000, (), generator=rng))),) for n, i in enumerate(order)}


shared_or_tied = register(Exercise(
    id="11.4", name="shared_or_tied", title="Shared is not tied", level="core", minutes=20, chapter=CHAPTER,
    success="three different things; NVAE's path is shared, the slide's words say tied, and all but the shared one run twice for a bound",
    hints=("*Nudge.* Two things that are equal now: will they be after a step? And if they are, are they two modules or one?",
           "*Equation.* shared: `one is other`. tied: two modules, equal before *and* after an update. copies: equal before, not after. strangers: not even before.",
           "*Pseudo-code.* before = all weights equal; program.update(); after = all weights equal; if program.one is program.other: shared; elif after: tied; elif before: copies; else strangers."),
    parts=(Part(
        right=_relation, inputs=_programs, misconceptions={
            "before alone": (_blind(copies=TIED), "copies are equal at the start only: ask again after an update"),
            "after alone": (_blind(copies=STRANGERS), "after an update copies look like strangers: ask before it too"),
            "tied is shared": (_blind(tied=SAME), "equal weights do not make one module: two modules run twice; ask `program.one is program.other`"),
            "shared is tied": (_blind(shared=TIED), "it is one module under two names: shared, and run once"),
            "all strangers": (lambda program: STRANGERS, "you find nothing in common anywhere: compare the weights, and the modules with `is`"),
            "all shared": (lambda program: SAME, "you find all of them shared"),
        }),)))
