"""Exercises of chapter 07, first half: the off state of a block, the way down as an adjoint, a sparsity target."""
import torch
from torch import Tensor
from torch.nn import functional as F

from .engine import Exercise, Part, register

CHAPTER = "07_convolutional_dbn"
_F64 = torch.float64


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def with_off(I: Tensor) -> Tensor:
    """Probabilities of off and of each unit.  (N, n) -> (N, 1 + n)."""
    return torch.cat([torch.zeros_like(I[:, :1]), I], 1).softmax(1)


def _off_state(I: Tensor) -> tuple[Tensor, Tensor]:
    p = with_off(I)
    return p[:, 1:], p[:, 0]


def _no_off(I: Tensor) -> tuple[Tensor, Tensor]:
    p = I.softmax(1)
    return p, 1 - p.sum(1)


def _plain_max(I: Tensor) -> tuple[Tensor, Tensor]:
    p = torch.sigmoid(I)
    return p, 1 - p.amax(1)


def _coins(I: Tensor) -> tuple[Tensor, Tensor]:
    p = torch.sigmoid(I)
    return p, (1 - p).prod(1)


def _overflowing(I: Tensor) -> tuple[Tensor, Tensor]:
    total = 1 + I.exp().sum(1)
    return I.exp() / total[:, None], 1 / total


def _one_not_shifted(I: Tensor) -> tuple[Tensor, Tensor]:
    e = (I - I.amax(1, keepdim=True)).exp()
    return e / (1 + e.sum(1, keepdim=True)), 1 / (1 + e.sum(1))


def _batch_wide(I: Tensor) -> tuple[Tensor, Tensor]:
    p = with_off(I.reshape(1, -1))[0]
    return p[1:].reshape(I.shape), p[0].expand(len(I))


def _blocks(rng):
    large = _normal(2, 4, rng=rng, scale=300) + torch.tensor([[900.0], [-900.0]], dtype=_F64)
    return {"5 blocks of 4": (_normal(5, 4, rng=rng, scale=2),), "3 blocks of 9": (_normal(3, 9, rng=rng),), "inputs near a thousand": (large,)}


off_state = register(Exercise(
    id="7.1", name="off_state", title="The off state", level="core", minutes=10, chapter=CHAPTER,
    success="each block is one choice among its units and off, however large the inputs",
    hints=("*Nudge.* A block of n units has n + 1 states: each unit alone, and nothing at all. What is the input of nothing?",
           r"*Equation.* $P(h_i=1)=e^{I_i}/(1+\sum_je^{I_j})$, $P(\text{off})=1/(1+\sum_je^{I_j})$; the 1 is $e^0$. Multiply both by $e^{-m}$, $m=\max(0,I_1,\dots,I_n)$, and nothing overflows.",
           "*Pseudo-code.* Put a column of zeros in front: `z = cat([zeros(N, 1), I], 1)`; `p = z.softmax(1)` subtracts the largest by itself; return `p[:, 1:], p[:, 0]`."),
    parts=(Part(
        right=_off_state, inputs=_blocks,
        misconceptions={
            "no off state": (_no_off, "the softmax runs over the units alone, so the block can never be off: the 1 in the denominator is missing"),
            "plain max-pooling": (_plain_max, "that is plain max-pooling of sigmoids: these are no probabilities of any state, and two units may be on at once"),
            "coins": (_coins, "you toss one coin for each unit: then two of a block can be on; they must exclude each other"),
            "overflow": (_overflowing, "exp of a large input is infinite: subtract the largest of 0 and all inputs first",
                         lambda output, I: any(not torch.as_tensor(x).isfinite().all() for x in output)),
            "the one not shifted": (_one_not_shifted, "you subtracted the largest input from the units and not from the off state: the 1 becomes exp(-m)"),
            "on for off": (lambda I: (with_off(I)[:, 1:], 1 - with_off(I)[:, 0]), "your second result is the chance that the block is on; asked is off"),
            "one softmax for all": (_batch_wide, "you normalise over all blocks together; each row is a block with an off state of its own"),
        }),)))


def _down(h: Tensor, W: Tensor) -> Tensor:
    return F.conv_transpose2d(h[None], W[:, None])[0, 0]


def _unturned(h: Tensor, W: Tensor) -> Tensor:
    return F.conv2d(F.pad(h[None], [W.shape[-1] - 1] * 4), W[None])[0, 0]


def _wrapped(h: Tensor, W: Tensor) -> Tensor:
    size = h.shape[1] + W.shape[1] - 1, h.shape[2] + W.shape[2] - 1
    out = torch.zeros(size, dtype=_F64)
    for k in range(len(h)):
        for i, j in torch.cartesian_prod(torch.arange(h.shape[1]), torch.arange(h.shape[2])).tolist():
            patch = F.pad(W[k], (0, size[1] - W.shape[2], 0, size[0] - W.shape[1]))
            out += h[k, i, j] * patch.roll((i - 1, j - 1), (0, 1))
    return out


def _votes_averaged(h: Tensor, W: Tensor) -> Tensor:
    return _down(h, W) / F.conv_transpose2d(torch.ones_like(h[None, :1]), torch.ones_like(W[:1, None]))[0, 0]


def _maps(rng):
    return {"2 filters of 3 x 3": (_normal(2, 4, 5, rng=rng), _normal(2, 3, 3, rng=rng)), "3 filters of 2 x 2": (_normal(3, 3, 3, rng=rng), _normal(3, 2, 2, rng=rng))}


adjoint = register(Exercise(
    id="7.2", name="adjoint", title="The way down", level="core", minutes=20, chapter=CHAPTER,
    success="what a unit read from a pixel and what it writes there have the same weight",
    hints=("*Nudge.* Take a map that is 1 at one place and 0 elsewhere. Its unit looked at one window of the picture. Which pixels must it now write to, and with which weights?",
           r"*Equation.* $(A^{\mathsf T}h)_{rs}=\sum_k\sum_{ij}h^k_{ij}W^k_{r-i,\,s-j}$, over all $i,j$ where the filter has such an entry; $r$ runs to $H'+w-1$.",
           "*Pseudo-code.* Start from zeros `(H' + w - 1, W' + w - 1)`; for each filter k and place i, j: `v[i:i + w, j:j + w] += h[k, i, j] * W[k]`. Or one call of `conv_transpose2d`."),
    parts=(Part(
        right=_down, inputs=_maps, axes=("row", "column"),
        misconceptions={
            "unturned filters": (_unturned, "you slide the filter over the padded map without turning it: that sends each vote to the mirrored place; turn it by 180 degrees"),
            "flipped filters": (lambda h, W: _down(h, W.flip(1, 2)), "you write the filter turned by 180 degrees: a unit must write to a pixel with the weight it read it with"),
            "transposed filters": (lambda h, W: _down(h, W.transpose(1, 2)), "rows and columns of the filters are exchanged"),
            "no padding": (lambda h, W: F.conv2d(h[None], W[None].flip(2, 3))[0, 0], "your picture is smaller than the map; each place of the map writes to w x w pixels, so it grows by w - 1"),
            "same size": (lambda h, W: _down(h, W)[:h.shape[1], :h.shape[2]], "your picture has the size of the map: the window of the last place reaches w - 1 pixels further"),
            "wrapped round": (_wrapped, "votes leave on one side and come back on the other, or all is shifted by one: place i writes to rows i to i + w - 1"),
            "averaged": (_votes_averaged, "you divide by the number of windows over a pixel; the votes add up, as they do in the energy"),
            "one picture per filter": (lambda h, W: F.conv_transpose2d(h[None], W[:, None], groups=len(h))[0], "there is one picture per filter; all filters write to the same picture: sum over k"),
        }),)))


def _sparsity(p: Tensor, target: float) -> Tensor:
    return target - p.mean((0, 2, 3))


def _chances(rng):
    def case(*shape: int, target: float) -> tuple:
        return torch.sigmoid(_normal(*shape, rng=rng) - 2), target
    return {"4 pictures, 3 filters": case(4, 3, 6, 4, target=0.01), "2 pictures, 5 filters": case(2, 5, 4, 4, target=0.05)}


def _pooled(p: Tensor, target: float) -> Tensor:
    return target - F.avg_pool2d(p, 2, divisor_override=1).mean((0, 2, 3))


sparsity = register(Exercise(
    id="7.3", name="sparsity", title="A target for being on", level="core", minutes=10, chapter=CHAPTER,
    success="each filter has its own balance, whatever the size of the pictures",
    hints=("*Nudge.* A filter that is on too rarely needs a larger bias. What is *its* share of being on, and over what is it averaged?",
           r"*Equation.* $\Delta c_k=\rho-\frac1{BM}\sum_{n,i,j}P(h^k_{ij}=1\mid v_n)$, with $B$ pictures and $M$ places of a map.",
           "*Pseudo-code.* `target - p.mean((0, 2, 3))`: over pictures, rows and columns, never over filters."),
    parts=(Part(
        right=_sparsity, inputs=_chances, axes=("K",),
        misconceptions={
            "sign": (lambda p, t: p.mean((0, 2, 3)) - t, "the sign is turned round: filters that are on too much would be on still more"),
            "summed": (lambda p, t: t - p.sum((2, 3)).mean(0), "you add up over the places of a map: then the step grows with the picture; take the mean"),
            "one for all": (lambda p, t: (t - p.mean()).expand(p.shape[1]), "one step for all filters: the dead are never revived; each filter has its own mean"),
            "pooling units": (_pooled, "that is the share of pooling units; the target is for the detection units"),
            "per picture": (lambda p, t: t - p.mean((2, 3)), "you keep one step per picture; average over the batch too"),
            "target times": (lambda p, t: t * p.mean((0, 2, 3)), "you multiply by the target; the step is the distance from it"),
        }),)))
