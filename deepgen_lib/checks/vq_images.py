"""Exercises of chapter 10, first half: a clinic for quantisers, perplexity, reviving a code."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "10_vqvae_images"
COMMITMENT = 0.25  # beta of every patient
_F64 = torch.float64
HEALTHY, WRONG_TERM, BLOCKED, LEAKS, FAR, DRIFTS = ("healthy", "beta on the wrong term", "no straight-through", "the decoder moves the codes",
                                                    "not the nearest code", "no commitment")
DIAGNOSES = (HEALTHY, WRONG_TERM, BLOCKED, LEAKS, FAR, DRIFTS)

Quantiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _nearest(z: Tensor, codes: Tensor) -> Tensor:
    return torch.cdist(z.detach(), codes.detach()).argmin(1)


def _quantiser(defect: str) -> Quantiser:
    """quantise(z (N, D), codes (K, D)) -> (what the decoder gets (N, D), loss (N,)), with one defect."""
    on_codes, on_z = (COMMITMENT, 1.0) if defect == WRONG_TERM else (1.0, 0.0 if defect == DRIFTS else COMMITMENT)

    def quantise(z: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        ids = (z.detach() @ codes.detach().T).argmax(1) if defect == FAR else _nearest(z, codes)
        q = codes[ids]
        loss = on_codes * (z.detach() - q).pow(2).sum(1) + on_z * (z - q.detach()).pow(2).sum(1)
        to_decoder = {BLOCKED: q, LEAKS: q + (z - z.detach())}.get(defect, z + (q - z).detach())
        return to_decoder, loss
    return quantise


def patients(seed: int = 0) -> dict[str, Quantiser]:
    """Six quantisers without a name, in an order that the seed decides: one healthy, five not."""
    order = torch.randperm(len(DIAGNOSES), generator=torch.Generator().manual_seed(100 + seed)).tolist()
    return {f"patient {place + 1}": _quantiser(DIAGNOSES[i]) for place, i in enumerate(order)}


def _slopes(value: Tensor, *wanted: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(value.sum(), wanted, retain_graph=True, allow_unused=True) if value.requires_grad else [None] * len(wanted)
    return [torch.zeros_like(w) if f is None else f for f, w in zip(found, wanted)]


def _diagnose(quantise: Quantiser) -> str:
    rng = torch.Generator().manual_seed(0)
    z, codes = (torch.randn(n, 3, generator=rng, dtype=_F64).requires_grad_(True) for n in (40, 5))
    q, loss = quantise(z, codes)
    e = codes[_nearest(z, codes)]
    on_z, on_codes = _slopes(q, z, codes)
    loss_z, _ = _slopes(loss, z, codes)
    if not torch.allclose(q, e):
        return FAR
    if not on_z.any():
        return BLOCKED
    if on_codes.any():
        return LEAKS
    share = float((loss_z.norm() / (2 * (z - e)).norm()).detach())
    return DRIFTS if share < 1e-9 else HEALTHY if abs(share - COMMITMENT) < 1e-6 else WRONG_TERM


def _blind_to(*missed: str) -> Callable[[Quantiser], str]:
    return lambda quantise: HEALTHY if _diagnose(quantise) in missed else _diagnose(quantise)


def _codes_first(quantise: Quantiser) -> str:
    return LEAKS if (found := _diagnose(quantise)) == BLOCKED else found


def _mixed_up(first: str, second: str) -> Callable[[Quantiser], str]:
    return lambda quantise: {first: second, second: first}.get(found := _diagnose(quantise), found)


def _waiting_room(rng):
    return {name: (quantise,) for name, quantise in patients(rng.initial_seed()).items()}


bug_clinic = register(Exercise(
    id="10.1", name="bug_clinic", title="The bug clinic", level="core", minutes=30, chapter=CHAPTER,
    success="six patients, six diagnoses, and not one of them by its loss",
    hints=("*Nudge.* A loss falls for all of them. Ask for what each gradient must be: of what the decoder gets, and of the loss, with respect to z and to the codes. Four gradients and one value.",
           r"*Equation.* with $e$ the nearest codes: value $=e$; $\partial(\text{to decoder})/\partial z=1$, $/\partial\,\text{codes}=0$; $\partial\,\text{loss}/\partial z=2\beta(z-e)$, $/\partial e=2(e-z)$ summed.",
           "*Pseudo-code.* `q, loss = quantise(z, codes)`; compare `q` with the nearest codes; `torch.autograd.grad(q.sum(), (z, codes), retain_graph=True, allow_unused=True)`, then the same of `loss.sum()`; the size of its z part tells 0, beta and 1 apart."),
    parts=(Part(
        right=_diagnose, inputs=_waiting_room,
        misconceptions={
            "a falling loss": (lambda quantise: HEALTHY, "you send everyone home: a falling loss proves nothing, each of them learns to lower its own. Look at the gradients"),
            "value only": (_blind_to(BLOCKED, LEAKS, WRONG_TERM, DRIFTS), "you look at values only; four of the defects are in the gradients"),
            "loss ignored": (_blind_to(WRONG_TERM, DRIFTS), "you look at what the decoder gets; ask for the gradient of the loss as well"),
            "commitment is commitment": (_blind_to(WRONG_TERM), "a gradient that is there may still have the wrong size: beta belongs to the term that moves z, so its gradient is 2 beta (z - e)"),
            "gradients only": (_blind_to(FAR), "all your gradients are right, for the wrong code: compare the value with the nearest code"),
            "codes first": (_codes_first, "without straight-through the decoder reaches the codes as well: first ask whether anything reaches z"),
            "two exchanged": (_mixed_up(WRONG_TERM, DRIFTS), "two diagnoses are exchanged: no commitment means that the loss leaves z alone; beta on the wrong term, that it pulls z with full force"),
            "two others exchanged": (_mixed_up(BLOCKED, LEAKS), "two diagnoses are exchanged: blocked is where nothing reaches z; leaking is where the decoder reaches z and the codes"),
        }),)))


def _perplexity(counts: Tensor) -> Tensor:
    return _effective(counts.sum(0))


def _effective(counts: Tensor) -> Tensor:
    p = counts / counts.sum(-1, keepdim=True)
    return torch.exp(-torch.special.xlogy(p, p).sum(-1))


def _entropy(counts: Tensor) -> Tensor:
    return _effective(counts).log()


def _batches(rng):
    def case(n: int, k: int, dead: int) -> tuple:
        counts = torch.randint(1, 30, (n, k), generator=rng).to(_F64)
        counts[:, torch.randperm(k, generator=rng)[:dead]] = 0
        return (counts,)
    return {"3 batches, 6 codes": case(3, 6, 2), "5 batches, 20 codes": case(5, 20, 7)}


code_perplexity = register(Exercise(
    id="10.2", name="code_perplexity", title="How many codes are alive?", level="core", minutes=10, chapter=CHAPTER,
    success="one number for the whole epoch, and an unused code costs nothing",
    hints=("*Nudge.* First one histogram for all batches, then shares, then their entropy. What is p log p where p is zero?",
           r"*Equation.* $p_k=\frac{\sum_tn_{tk}}{\sum_{t,j}n_{tj}}$, perplexity $\exp\big(-\sum_{k:\,p_k>0}p_k\log p_k\big)$ with the natural logarithm in both places.",
           "*Pseudo-code.* `n = counts.sum(0)`; `p = n / n.sum()`; `(-torch.special.xlogy(p, p).sum()).exp()`."),
    parts=(Part(
        right=_perplexity, inputs=_batches,
        misconceptions={
            "mean of batches": (lambda c: _effective(c).mean(), "you average the perplexities of the batches; add the counts first, else many small batches look poorer than the whole"),
            "last batch": (lambda c: _effective(c[-1]), "that is the last batch alone: add the counts of all batches"),
            "2 to the nats": (lambda c: 2 ** _entropy(c.sum(0)), "base and logarithm do not match: an entropy in nats goes into exp, one in bits into 2 to the power"),
            "exp of bits": (lambda c: (_entropy(c.sum(0)) / torch.log(torch.tensor(2.0, dtype=_F64))).exp(), "base and logarithm do not match: you put bits into exp; it can exceed the number of codes"),
            "entropy": (lambda c: _entropy(c.sum(0)), "that is the entropy; the perplexity is its exponential, a number of codes"),
            "number used": (lambda c: (c.sum(0) > 0).sum(), "you count the codes that were used at all; a code used once in a thousand is not a whole code"),
            "log of zero": (lambda c: torch.exp(-((p := c.sum(0) / c.sum()) * p.log()).sum()), "0 log 0 became NaN: an unused code adds nothing; use torch.special.xlogy or leave the zeros out"),
            "inverse Simpson": (lambda c: 1 / (c.sum(0) / c.sum()).pow(2).sum(), "one over the sum of squares is another effective number; the perplexity is the exponential of the entropy"),
        }),)))


def _revive(codes: Tensor, counts: Tensor, sums: Tensor, fresh: Tensor, below: float) -> tuple[Tensor, Tensor, Tensor]:
    return _revived(codes, counts, sums, fresh, counts < below)


def _revived(codes, counts, sums, fresh, dead, *, move=True, reset_counts: float | None = 1.0, reset_sums=True, sum_scale: float = 1.0):
    column = dead[:, None]
    return (torch.where(column, fresh, codes) if move else codes,
            counts if reset_counts is None else torch.where(dead, torch.full_like(counts, reset_counts), counts),
            torch.where(column, sum_scale * fresh, sums) if reset_sums else sums)


def _as_wrong(**options):
    return lambda codes, counts, sums, fresh, below: _revived(codes, counts, sums, fresh, counts < below, **options)


def _in_order(codes, counts, sums, fresh, below):
    dead = counts < below
    rows = fresh.clone()
    rows[dead] = fresh[:int(dead.sum())]
    return _revived(codes, counts, sums, rows, dead)


def _code_books(rng):
    def case(k: int, d: int, below: float) -> tuple:
        counts = below * (0.1 + 0.8 * torch.rand(k, generator=rng, dtype=_F64))
        alive = torch.randperm(k, generator=rng)[: k // 2]
        counts[alive] = below * (1.5 + 5 * torch.rand(len(alive), generator=rng, dtype=_F64))
        codes, fresh = (torch.randn(k, d, generator=rng, dtype=_F64) for _ in range(2))
        return codes, counts, codes * counts[:, None], fresh, below
    return {"7 codes": case(7, 3, 0.5), "10 codes": case(10, 2, 2.0)}


revive_codes = register(Exercise(
    id="10.3", name="revive_codes", title="Revive the dead", level="core", minutes=20, chapter=CHAPTER,
    success="vector, count and sum agree, so the next update leaves the new codes where you put them",
    hints=("*Nudge.* After your function the usual update runs: it divides sums by counts. What does it make of a code whose vector you moved, and nothing else?",
           r"*Equation.* for every $k$ with $n_k<\text{below}$: $\;e_k\leftarrow f_k,\;n_k\leftarrow1,\;s_k\leftarrow f_k$, so that $s_k/n_k=e_k$. All others stay.",
           "*Pseudo-code.* `dead = counts < below`; `torch.where(dead[:, None], fresh, codes)`, `torch.where(dead, 1, counts)`, `torch.where(dead[:, None], fresh, sums)`."),
    parts=(Part(
        right=_revive, inputs=_code_books,
        misconceptions={
            "vector only": (_as_wrong(reset_counts=None, reset_sums=False), "you moved the vectors only: the next update divides the old sums by the old counts, and every code is back where it was"),
            "count kept": (_as_wrong(reset_counts=None), "the sums are new, the counts old: the next update divides by a tiny count and throws the code far away"),
            "sum kept": (_as_wrong(reset_sums=False), "the counts are new, the sums old: the next update divides an old, small sum by 1 and pulls the code to the origin"),
            "zeroed": (_as_wrong(reset_counts=0.0, sum_scale=0.0), "count and sum are zero: if nobody chooses the code at once, the next update divides zero by zero"),
            "vector forgotten": (_as_wrong(move=False), "the statistics are new, the vector is not: until the next update the code stays dead"),
            "everyone": (lambda c, n, s, f, b: _revived(c, n, s, f, torch.ones_like(n, dtype=torch.bool)), "you replaced every code: the living ones must stay"),
            "the living": (lambda c, n, s, f, b: _revived(c, n, s, f, n >= b), "the comparison is turned round: you replaced the codes in use"),
            "row by row": (_in_order, "code k gets row k of fresh, not the next row that is free"),
            "below one": (lambda c, n, s, f, b: _revived(c, n, s, f, n < 1), "the limit is the argument below, not 1"),
        }),)))
