"""Exercises of chapter 07, second half: the picture of a second-layer unit, selectivity on held-out pictures, what context adds."""
import torch
from torch import Tensor
from torch.nn import functional as F

from .conv import CHAPTER, with_off
from .engine import Exercise, Part, register

_F64 = torch.float64


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _spread(filters: Tensor, block: int) -> Tensor:
    return filters.repeat_interleave(block, -1).repeat_interleave(block, -2)


def _write(units: Tensor, W1: Tensor) -> Tensor:
    return F.conv_transpose2d(units[None], W1[:, None])[0, 0]


def _base(W1: Tensor, W2: Tensor, block: int) -> Tensor:
    return _write(_spread(W2, block) / block**2, W1)


def _corner(W1: Tensor, W2: Tensor, block: int) -> Tensor:
    units = torch.zeros_like(_spread(W2, block))
    units[:, ::block, ::block] = W2
    return _write(units, W1)


def _strongest_filter(W1: Tensor, W2: Tensor, block: int) -> Tensor:
    k = W2.flatten(1).norm(dim=1).argmax()
    return _base(W1[k][None], W2[k][None], block)


def _two_layers(rng):
    return {"3 filters, blocks of 2": (_normal(3, 4, 4, rng=rng), _normal(3, 3, 3, rng=rng), 2), "2 filters, blocks of 3": (_normal(2, 3, 3, rng=rng), _normal(2, 2, 2, rng=rng), 3)}


unit_as_picture = register(Exercise(
    id="7.4", name="unit_as_picture", title="A unit as a picture", level="stretch", minutes=20, chapter=CHAPTER,
    success="weights, spread over the blocks and written down by the filters below",
    hints=("*Nudge.* The unit's filter has one number for each pooling unit below. A pooling unit stands for a block of places; which of them was on is not known. What does each place get?",
           r"*Equation.* Units $u^k_{ij}=W_2^k[\lfloor i/n\rfloor,\lfloor j/n\rfloor]/n^2$, then the way down of exercise 7.2: $\sum_k\sum_{ij}u^k_{ij}W_1^k[r-i,s-j]$.",
           "*Pseudo-code.* `u = W2.repeat_interleave(n, 1).repeat_interleave(n, 2) / n**2`, then `conv_transpose2d(u[None], W1[:, None])[0, 0]`."),
    parts=(Part(
        right=_base, inputs=_two_layers, axes=("row", "column"),
        misconceptions={
            "not spread": (lambda W1, W2, n: _write(W2, W1), "you treat pooling units as neighbouring places of the map: they are n places apart, so the picture is too small"),
            "a corner": (_corner, "you put each weight on the first place of its block; nobody knows which was on: share it among all places"),
            "not shared": (lambda W1, W2, n: _write(_spread(W2, n), W1), "each place of a block gets the whole weight: at most one of them is on, divide by their number"),
            "unturned": (lambda W1, W2, n: F.conv2d(F.pad(_spread(W2, n) / n**2, [W1.shape[-1] - 1] * 4)[None], W1[None])[0, 0], "going down the filters are not turned: use the adjoint of exercise 7.2"),
            "strongest filter": (_strongest_filter, "you follow the strongest filter alone; the unit adds up all of them"),
            "no negatives": (lambda W1, W2, n: _base(W1, W2.abs(), n), "negative weights became positive: what a unit votes against belongs to its picture"),
        }),)))


def _ap(scores: Tensor, positive: Tensor) -> Tensor:
    """Of each column; no ties.  (N, F), (N,) -> (F,)"""
    hits = positive[scores.argsort(0, descending=True)].to(_F64)
    ranks = torch.arange(1, len(scores) + 1, dtype=_F64)[:, None]
    return ((hits.cumsum(0) / ranks) * hits).sum(0) / hits.sum(0)


def _chosen(train: Tensor, y_train: Tensor, test: Tensor, y_test: Tensor, *, by=_ap, on=None, report=None) -> tuple[int, Tensor]:
    """Choose with `by` on the pictures `on`, report AP on `report`."""
    best = int(by(*(on or (train, y_train))).argmax())
    shown, positive = report or (test, y_test)
    return best, _ap(shown[:, best:best + 1], positive)[0]


def _share_of_top(scores: Tensor, positive: Tensor) -> Tensor:
    return positive[scores.topk(int(positive.sum()), 0).indices].to(_F64).mean(0)


def _accuracy(scores: Tensor, positive: Tensor) -> Tensor:
    return ((scores > 0) == positive[:, None]).to(_F64).mean(0)


def _upside_down(scores: Tensor, positive: Tensor) -> Tensor:
    return _ap(-scores, positive)


def _features(rng):
    """A good feature, one that is good on the test pictures by luck, one that is good on the training pictures, and noise."""
    def case(n_train: int, n_test: int, n: int) -> tuple:
        y, y_test = (torch.arange(size) % 4 == 0 for size in (n_train, n_test))
        train, test = _normal(n_train, n, rng=rng), _normal(n_test, n, rng=rng)
        train[:, 1] += 2.2 * y
        test[:, 1] += 1.0 * y_test
        test[:, 2] += 4.0 * y_test
        train[:, 3] = -train[:, 3] - 5.0 * y
        test[:, 3] -= 6.0 * y_test
        train[:, 1] += 3.0  # so that its sign says nothing
        return train, y, test, y_test
    return {"60 and 40 pictures, 6 features": case(60, 40, 6), "80 and 24 pictures, 9 features": case(80, 24, 9)}


_LUCK, _ENTROPY, _PERSON, _CHANCE = ("the best of many features, chosen on the pictures it is judged by, looks too good", "a feature that is on for one class alone has conditional entropy",
                                     "pictures of one person may be in both splits", "average precision of a feature that says nothing")
_ANSWERS = {_LUCK: True, _ENTROPY: 0, _PERSON: False, _CHANCE: "the class's share"}

held_out = register(Exercise(
    id="7.5", name="held_out", title="Selective, or only lucky?", level="stretch", minutes=25, chapter=CHAPTER,
    success="chosen on one half of the pictures, judged on the other",
    hints=("*Nudge.* Two different pictures for two different jobs: which ones may choose the feature, which ones may say how good it is?",
           r"*Equation.* $\mathrm{AP}=\frac1{P}\sum_{n\in\text{class}}\frac{\#\{m\in\text{class}:s_m\ge s_n\}}{\#\{m:s_m\ge s_n\}}$, with $P$ pictures of the class.",
           "*Pseudo-code.* Sort by score, best first; `hits` is 1 where the class is; precision `hits.cumsum(0) / rank`; AP is the mean precision at the hits. `best = ap(train, y_train).argmax()`; report `ap(test, y_test)[best]`."),
    parts=(
        Part(name="choose", right=_chosen, inputs=_features, rtol=1e-6, misconceptions={
            "chosen on the test": (lambda a, y, b, z: _chosen(a, y, b, z, on=(b, z)), "you chose the feature on the very pictures that judge it: the luckiest wins; choose on the training pictures"),
            "judged on the training": (lambda a, y, b, z: _chosen(a, y, b, z, report=(a, y)), "the number is of the training pictures: report the held-out ones"),
            "upside down": (lambda a, y, b, z: _chosen(a, y, b, z, by=_upside_down), "the order is upside down: the picture with the largest score comes first"),
            "accuracy": (lambda a, y, b, z: _chosen(a, y, b, z, by=_accuracy), "you choose by how often score > 0 is right; average precision asks for the order alone"),
            "mean": (lambda a, y, b, z: (_chosen(a, y, b, z)[0], _ap(b, z).mean()), "that is the mean over all features; report the chosen one's"),
            "precision at the top": (lambda a, y, b, z: (_chosen(a, y, b, z)[0], _share_of_top(b, z)[_chosen(a, y, b, z)[0]]),
                                     "that is the precision at one rank alone; average it over the ranks of all pictures of the class"),
        }),
        Part(name="answers", right=_ANSWERS, misconceptions={
            "luck is skill": ({_LUCK: False}, "try it: 200 columns of pure noise, and the best of them on your test pictures"),
            "entropy of certainty": ({_ENTROPY: 1}, "if it is on you know the class: nothing is left to ask, so the entropy is 0"),
            "leaking persons": ({_PERSON: True}, "Faces_easy shows each person many times: who was learned by heart is found again, so split by person"),
            "chance is one half": ({_CHANCE: "1/2"}, "in a random order every rank holds the class with the share that it has among all pictures"),
        })),
))


def _context(I: Tensor, J: Tensor) -> tuple[Tensor, Tensor]:
    p = with_off(I + J[:, None])
    return p[:, 1:], p[:, 1:].sum(1)


def _from_pool(p: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
    """Unit chances scaled so that the pool's is `on`."""
    return p / p.sum(1, keepdim=True) * on[:, None], on


def _added_after(I: Tensor, J: Tensor) -> tuple[Tensor, Tensor]:
    return _from_pool(with_off(I)[:, 1:], (with_off(I)[:, 1:].sum(1) + torch.sigmoid(J)) / 2)


def _multiplied(I: Tensor, J: Tensor) -> tuple[Tensor, Tensor]:
    return _from_pool(with_off(I)[:, 1:], with_off(I)[:, 1:].sum(1) * torch.sigmoid(J))


def _to_the_winner(I: Tensor, J: Tensor) -> tuple[Tensor, Tensor]:
    return _context(I + J[:, None] * F.one_hot(I.argmax(1), I.shape[1]), torch.zeros_like(J))


def _seen(rng):
    return {"4 blocks of 4": (_normal(4, 4, rng=rng) - 1, _normal(4, rng=rng, scale=2)), "3 blocks of 9": (_normal(3, 9, rng=rng) - 2, _normal(3, rng=rng, scale=2)),
            "large inputs": (_normal(2, 4, rng=rng, scale=500) + 800, _normal(2, rng=rng, scale=500))}


context = register(Exercise(
    id="7.6", name="context", title="What context adds", level="core", minutes=15, chapter=CHAPTER,
    success="evidence from below chooses the place, context from above says how likely the block is on",
    hints=("*Nudge.* In the energy J multiplies the pooling unit, which is on exactly if one of its units is. So which of the block's states does J reach?",
           r"*Equation.* State 'unit i': weight $e^{I_i+J}$; state 'off': weight $e^0$. So $P(h_i)=e^{I_i+J}/(1+\sum_je^{I_j+J})$.",
           "*Pseudo-code.* `z = I + J[:, None]`, then exercise 7.1: a column of zeros in front, softmax; the pool's chance is the sum over the units."),
    parts=(Part(
        right=_context, inputs=_seen,
        misconceptions={
            "ignored": (lambda I, J: _context(I, 0 * J), "the answer does not depend on J: that is inference from below alone"),
            "against": (lambda I, J: _context(I, -J), "J works against the units: a positive J makes the pooling unit more likely"),
            "averaged": (_added_after, "you average two probabilities; evidence adds up before the softmax, in log odds"),
            "multiplied": (_multiplied, "you multiply two probabilities: then context can only weaken what is seen; add the inputs before the softmax"),
            "shared out": (lambda I, J: _context(I, J / I.shape[1]), "you share J among the units of the block; only one of them is on, and it gets all of J"),
            "to the winner": (_to_the_winner, "only the strongest unit got J: context does not know the place, every unit of the block gets it"),
            "twice": (lambda I, J: _context(I, I.shape[1] * J), "every unit counts J once for each unit of the block; whichever is on, J counts once"),
        }),)))
