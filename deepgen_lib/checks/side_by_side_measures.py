"""Exercises of chapter 13, second half: importance weights in groups, a probe that does not peek, a ranking that can be defended."""
from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from .engine import Exercise, Part, register
from .side_by_side import CHAPTER, FIRST, SECOND, _interval, _verdict

_F64 = torch.float64


def _groups(log_joint: Tensor, log_q: Tensor, k: int) -> Tensor:
    log_w = (log_joint - log_q).view(-1, k, log_joint.shape[1])     # (S / k, k, N)
    return (log_w.logsumexp(1) - math.log(k)).mean(0)


def _draws(rng):
    def case(s: int, n: int, middle: float) -> tuple:
        return tuple(at + 2 * torch.randn(s, n, generator=rng, dtype=_F64) for at in (middle, -20.0))
    return {"6 draws in groups of 2": (*case(6, 3, -110.0), 2), "6 draws in groups of 3": (*case(6, 3, -110.0), 3), "log w near -900": (*case(4, 2, -920.0), 4)}


def _group_mean(log_joint: Tensor, log_q: Tensor, k: int) -> Tensor:
    return (log_joint - log_q).view(-1, k, log_joint.shape[1]).mean(1).mean(0)


importance_in_groups = register(Exercise(
    id="13.4", name="importance_in_groups", title="Importance weights done right", level="core", minutes=20, chapter=CHAPTER,
    success="a bound for every number of weights from one set of draws, and the logarithm is taken once per group",
    hints=("*Nudge.* One group of k draws gives one value: the logarithm of a mean. Several groups give several values, and only those are averaged.",
           r"*Equation.* $\frac kS\sum_g\log\frac1k\sum_{s\in g}e^{\ell_s}$ with $\ell_s=\log p(x,z_s)-\log q(z_s\mid x)$; groups are rows that follow one another.",
           "*Pseudo-code.* `log_w = (log_joint - log_q).view(-1, k, N)`; `(log_w.logsumexp(1) - log(k)).mean(0)`."),
    parts=(Part(
        right=_groups, inputs=_draws, axes=("N",), misconceptions={
            "mean of logs": (_group_mean, "that is the plain bound for every k: within a group average the weights, then take the logarithm"),
            "all draws at once": (lambda j, q, k: (j - q).logsumexp(0) - math.log(len(j)), "you use all draws as one group: that is the bound for S weights, not for k"),
            "share forgotten": (lambda j, q, k: (j - q).view(-1, k, j.shape[1]).logsumexp(1).mean(0), "1/k is missing: a sum of weights exceeds log p(x) by up to log k"),
            "share of all": (lambda j, q, k: ((j - q).view(-1, k, j.shape[1]).logsumexp(1) - math.log(len(j))).mean(0), "a group has k draws, not S: divide by k"),
            "no q": (lambda j, q, k: _groups(j, torch.zeros_like(q), k), "the draws come from q: each weight is p(x, z) over q(z | x)"),
            "q multiplied": (lambda j, q, k: _groups(j, -q, k), "q belongs below the line: subtract its logarithm"),
            "exponentials": (lambda j, q, k: ((j - q).view(-1, k, j.shape[1]).exp().mean(1)).log().mean(0), "exp(-900) is zero in the machine, and its logarithm minus infinity: logsumexp"),
            "largest": (lambda j, q, k: ((j - q).view(-1, k, j.shape[1]).amax(1) - math.log(k)).mean(0), "the largest weight alone: the others count, too"),
            "over pictures": (lambda j, q, k: ((j - q).logsumexp(1) - math.log(j.shape[1])).mean(), "you average over the pictures; a group is k draws for *one* picture"),
            "log at the end": (lambda j, q, k: _groups(j, q, k).exp().mean().log().expand(j.shape[1]), "one value per picture, each a mean over its groups"),
            "best group": (lambda j, q, k: ((j - q).view(-1, k, j.shape[1]).logsumexp(1) - math.log(k)).amax(0), "you keep the best group: choosing by the result is no bound any more; average the groups"),
            "strided": (lambda j, q, k: ((j - q).view(k, -1, j.shape[1]).logsumexp(0) - math.log(k)).mean(0), "groups are k rows that follow one another, 0 to k - 1, k to 2k - 1, and so on"),
        }),)))


Labelled = tuple[Tensor, Tensor]


def _ridge(x: Tensor, y: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """argmin Σ‖onehot(y) - xW - b‖² + decay ‖W‖²."""
    targets = torch.eye(3, dtype=x.dtype)[y]
    centre, middle = x.mean(0), targets.mean(0)
    W = torch.linalg.solve((x - centre).T @ (x - centre) + decay * torch.eye(x.shape[1], dtype=x.dtype), (x - centre).T @ (targets - middle))
    return W, middle - centre @ W


def _errors(train: Labelled, others: list[Labelled], decay: float, scale: Labelled | None = None) -> list[float]:
    """Share of wrong answers on each of the other sets; features in units of `scale`'s, by default of the training set's."""
    mean, spread = (scale or train)[0].mean(0), (scale or train)[0].std(0)
    W, b = _ridge((train[0] - mean) / spread, train[1], decay)
    return [(((x - mean) / spread @ W + b).argmax(1) != y).double().mean().item() for x, y in others]


def _chosen(train, valid, test, decays, *, by: int = 1, report: int = 2, scale=None) -> tuple[float, float]:
    """The decay with the least error on set number `by`, and the error on set number `report`."""
    sets = [train, valid, test]
    table = {decay: _errors(train, sets, decay, scale and scale(train, valid, test)) for decay in decays}
    best = min(decays, key=lambda decay: table[decay][by])
    return best, table[best][report]


def _own_units(train, valid, test, decays) -> tuple[float, float]:
    """Each set in units of its own."""
    unit = lambda data: ((data[0] - data[0].mean(0)) / data[0].std(0), data[1])
    return _chosen(unit(train), unit(valid), unit(test), decays)


def _joined(a: Labelled, b: Labelled) -> Labelled:
    return tuple(map(torch.cat, zip(a, b)))


def _on_both(train, valid, test, decays) -> tuple[float, float]:
    """Trained on training and validation pictures together, before the choice."""
    return _chosen(_joined(train, valid), valid, test, decays)


def _probes(rng):
    def labelled(n: int, d: int, shift: float) -> Labelled:
        y = torch.randint(3, (n,), generator=rng)
        x = torch.randn(n, d, generator=rng, dtype=_F64) * (1 + torch.arange(d) % 4)
        x[:, :3] += 1.2 * torch.eye(3, dtype=_F64)[y]
        return x + shift, y
    def case(n: int, d: int) -> tuple:
        return labelled(n, d, 0.0), labelled(60, d, 0.0), labelled(300, d, 0.6), (1000.0, 1e-3, 1.0, 10.0, 100.0)
    return {"40 pictures, 30 features": case(40, 30), "50 pictures, 30 features": case(50, 30), "45 pictures, 35 features": case(45, 35)}


honest_probe = register(Exercise(
    id="13.5", name="honest_probe", title="A probe that does not peek", level="stretch", minutes=30, chapter=CHAPTER,
    success="the test pictures were looked at once, at the very end",
    hints=("*Nudge.* Three sets, three jobs: train fixes mean, spread and weights; valid chooses the decay; test is asked once. Whatever you compute, ask which set it was computed from.",
           r"*Equation.* $\tilde x=(x-m_{\text{train}})/s_{\text{train}}$ for all three; $\lambda^*=\arg\min_\lambda\text{error}_{\text{valid}}(\lambda)$; report $\lambda^*$ and $\text{error}_{\text{test}}(\lambda^*)$.",
           "*Pseudo-code.* `m, s = x.mean(0), x.std(0)` of train; for each decay: `W, b = ridge((x - m) / s, y, decay)`, the error on valid; take the least (the first of several), then the error on test."),
    parts=(Part(
        right=_chosen, inputs=_probes, misconceptions={
            "chosen on test": (lambda *a: _chosen(*a, by=2), "you chose the decay on the test pictures: the best of five looks better than it is"),
            "chosen on train": (lambda *a: _chosen(*a, by=0), "you chose the decay on the training pictures: there no decay is always best"),
            "reported on valid": (lambda *a: _chosen(*a, report=1), "you report the error on the pictures that chose the decay: the smallest of five is too small"),
            "own units": (_own_units, "each set in units of its own: a new picture has no set; take the training set's mean and spread for all"),
            "all in one": (lambda *a: _chosen(*a, scale=lambda *sets: _joined(_joined(*sets[:2]), sets[2])), "mean and spread were computed with test pictures among them"),
            "trained on both": (_on_both, "the validation pictures were trained on, so they cannot choose any more"),
            "first decay": (lambda a, b, c, decays: (decays[0], _errors(a, [c], decays[0])[0]), "no choice was made: try every decay on the validation pictures"),
        }),)))


Row = tuple[str, str, str, float, float]


def _supported(rows: list[Row], *, by=lambda a, b: _verdict(_interval(*a), _interval(*b)), mixed: bool = False) -> list[tuple[str, str]]:
    """(better, worse) names of every pair that its intervals decide, in alphabetical order; only within a protocol unless `mixed`."""
    found = []
    for (a, home, kind_a, score_a, error_a), (b, away, kind_b, score_b, error_b) in itertools.combinations(rows, 2):
        verdict = by((score_a, error_a, kind_a), (score_b, error_b, kind_b)) if mixed or home == away else ""
        found += [(a, b)] if verdict == FIRST else [(b, a)] if verdict == SECOND else []
    return sorted(found)


def _as_printed(a: tuple, b: tuple) -> str:
    return FIRST if a[0] > b[0] else SECOND


def _next_only(rows: list[Row]) -> list[tuple[str, str]]:
    """Only pairs of rows that follow one another."""
    return sorted(pair for a, b in zip(rows, rows[1:]) for pair in _supported([a, b]))


def _tables(rng):
    u = torch.rand(4, generator=rng, dtype=_F64).tolist()
    rows = [("mixture", "fixed", "exact", -137.0 - u[0], 0.0), ("rbm", "fixed", "estimate", -86.0 - u[1], 0.1), ("vae", "fixed", "bound", -93.0 - u[2], 0.1),
            ("codes", "fixed", "bound", -110.0 - u[3], 0.1), ("crisp", "thresholded", "exact", -72.0 - u[0], 0.0), ("old", "fixed", "flattering", -139.0 - u[1], 0.2), ("coarse", "fixed", "flattering", -80.0 - u[2], 0.2), ("tuned", "fixed", "estimate", -85.9 - u[1], 0.1)]
    order = torch.randperm(len(rows), generator=rng).tolist()
    return {"8 models": ([rows[i] for i in order],), "3 models": (rows[:3],)}


defend_a_ranking = register(Exercise(
    id="13.6", name="defend_a_ranking", title="Defend a ranking", level="project", minutes=75, chapter=CHAPTER,
    success="these are the pairs that the numbers decide; everything else on your page needs another measure",
    hints=("*Nudge.* Use 13.1 for every pair of rows of the same protocol. Most pairs will stay open; that is what your page is about.",
           r"*Equation.* $(a,b)$ belongs to the list if $a$ and $b$ share their protocol and $\text{low}_a>\text{high}_b$.",
           "*Pseudo-code.* for each two rows: skip other protocols; `verdict(interval(...), interval(...))`; append (better, worse); return `sorted(found)`."),
    parts=(Part(
        right=_supported, inputs=_tables, misconceptions={
            "as printed": (lambda rows: _supported(rows, by=_as_printed), "you sort by the numbers as printed: that claims an order for every pair, bounds and all"),
            "across protocols": (lambda rows: _supported(rows, mixed=True), "rows of different protocols are about different pictures: no pair of them is decided"),
            "turned round": (lambda rows: sorted(pair[::-1] for pair in _supported(rows)), "better and worse are exchanged: (better, worse)"),
            "neighbours only": (_next_only, "compare every two rows, not only those that stand side by side"),
            "bounds as estimates": (lambda rows: _supported([(n, p, "estimate" if k == "bound" else k, s, e) for n, p, k, s, e in rows]), "a bound has no upper end but 0: it can win, it cannot lose"),
            "flattering as estimates": (lambda rows: _supported([(n, p, "estimate" if k == "flattering" else k, s, e) for n, p, k, s, e in rows]), "a flattering number has no lower end: it can lose, it cannot win"),
            "unsorted": (lambda rows: _supported(rows)[::-1], "the pairs are right; give them in alphabetical order: sorted(...)"),
        }),)))
