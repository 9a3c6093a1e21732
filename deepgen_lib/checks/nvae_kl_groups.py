"""Exercises of chapter 12, second half: two groups, a prior that moves, a meter for collapse."""
import torch
from torch import Tensor

from .engine import Exercise, Part, register
from .nvae_kl import CHAPTER, _F64, _normal, _scale


def _one(dmu, dsigma, sigma):
    return 0.5 * (dmu**2 / sigma**2 + dsigma**2 - torch.log(dsigma**2) - 1)


def _second(square, d, s):
    """The second group's KL where the mean of dmu² is `square`."""
    return 0.5 * (square / s**2 + d**2 - torch.log(d**2) - 1)


def _two_groups(m, t, c0, c1, d, s):
    return _one(m, t, torch.ones_like(m)) + _second((c0 + c1 * m) ** 2 + c1**2 * t**2, d, s)


def _with_square(square):
    return lambda m, t, c0, c1, d, s: _one(m, t, torch.ones_like(m)) + _second(square(m, t, c0, c1), d, s)


def _ladders(rng):
    def case(n: int) -> tuple:
        return _normal(n, rng=rng) + 1.5, _scale(n, rng=rng), _normal(n, rng=rng), 1 + _normal(n, rng=rng, scale=0.4), _scale(n, rng=rng), _scale(n, rng=rng)
    return {"5 pictures": case(5), "2 pictures": case(2)}


two_groups = register(Exercise(
    id="12.4", name="two_groups", title="Two groups, one divergence", level="core", minutes=25, chapter=CHAPTER,
    success="each group's KL, averaged over q above it, adds up to the divergence of the whole",
    hints=("*Nudge.* The first group is exercise 12.1 with a standard normal prior. In the second, dmu depends on z1: what is the mean of its square?",
           r"*Equation.* $\mathbb E[(c_0+c_1z_1)^2]=(c_0+c_1m)^2+c_1^2t^2$ for $z_1\sim\mathcal N(m,t^2)$: square of the mean plus variance.",
           "*Pseudo-code.* `0.5 * (m**2 + t**2 - log(t**2) - 1) + 0.5 * (((c0 + c1*m)**2 + c1**2 * t**2) / s**2 + d**2 - log(d**2) - 1)`."),
    parts=(Part(
        right=_two_groups, inputs=_ladders, axes=("B",),
        misconceptions={
            "at the mean": (_with_square(lambda m, t, c0, c1: (c0 + c1 * m) ** 2), "you take KL 2 at the mean of q(z1); it is a parabola in z1, so its mean is larger: the variance of dmu, c1² t², is missing"),
            "from the prior": (_with_square(lambda m, t, c0, c1: c0**2 + c1**2), "you average over z1 from the prior; it is drawn from q(z1 | x)"),
            "t not squared": (_with_square(lambda m, t, c0, c1: (c0 + c1 * m) ** 2 + c1**2 * t), "the variance of c1 z1 is c1² t²; your t is not squared"),
            "c1 not squared": (_with_square(lambda m, t, c0, c1: (c0 + c1 * m) ** 2 + c1 * t**2), "the variance of c1 z1 is c1² t²; your c1 is not squared"),
            "variance alone": (_with_square(lambda m, t, c0, c1: c1**2 * t**2), "the mean of a square is the variance plus the square of the mean; the second is missing"),
            "first alone": (lambda m, t, c0, c1, d, s: _one(m, t, torch.ones_like(m)), "the second group is missing"),
            "second alone": (lambda m, t, c0, c1, d, s: _second((c0 + c1 * m) ** 2 + c1**2 * t**2, d, s), "the first group is missing"),
            "posterior's variance": (lambda m, t, c0, c1, d, s: _one(m, t, torch.ones_like(m)) + _one(((c0 + c1 * m) ** 2 + c1**2 * t**2).sqrt() / d, d, s), "you divide by the posterior's variance; dmu is measured in the prior's s²"),
            "q's own scale": (lambda m, t, c0, c1, d, s: _one(m, t, torch.ones_like(m)) + 0.5 * (((c0 + c1 * m) ** 2 + c1**2 * t**2) / s**2 + (s * d) ** 2 - torch.log((s * d) ** 2) - 1), "s · d is q's own scale; in the formula stands d alone"),
            "no -1": (lambda *a: _two_groups(*a) + 1, "the -1 is missing in both groups"),
            "log d": (lambda m, t, c0, c1, d, s: _two_groups(m, t, c0, c1, d, s) + 0.5 * torch.log(t) + 0.5 * torch.log(d), "you take log t and log d; the logarithms are those of the squares"),
            "averaged": (lambda *a: 0.5 * _two_groups(*a), "you average over the two groups; they add up"),
        }),)))


def _at_start(slope, sigma):
    return torch.zeros_like(slope), 0.5 * ((slope**2 + 1) / sigma**2 + torch.log(sigma**2) - 1)


def _absolute_is(f):
    return lambda slope, sigma: (torch.zeros_like(slope), f(slope, sigma))


def _steep(rng):
    return {f"{n} priors": (3 + 8 * torch.rand(n, generator=rng, dtype=_F64), 0.05 + 0.3 * torch.rand(n, generator=rng, dtype=_F64)) for n in (3, 6)}


_Q = {"jump": "the prior jumps and the decoder stays: a relative q pays", "stay": "the prior jumps and the decoder stays: an absolute q pays",
      "small": "at the size of this chapter's network the relative way saves many nats after training"}
_ANSWERS = {_Q["jump"]: "reconstruction", _Q["stay"]: "KL", _Q["small"]: False}

moving_prior = register(Exercise(
    id="12.5", name="moving_prior", title="A prior that moves", level="core", minutes=20, chapter=CHAPTER,
    success="thousands of nats by construction, and you know what it does not buy",
    hints=("*Nudge.* Relative: dmu = 0 and dsigma = 1 whatever the prior. Absolute: q = N(0, 1) seen from N(w z1, sigma²). What are its dmu and dsigma?",
           r"*Equation.* $\Delta\mu=-wz_1$, $\Delta\sigma=1/\sigma$, and $\mathbb E[z_1^2]=1$: $\frac12\big(\frac{w^2}{\sigma^2}+\frac1{\sigma^2}-\log\frac1{\sigma^2}-1\big)$.",
           "*Pseudo-code.* `zeros_like(slope)`; `0.5 * ((slope**2 + 1) / sigma**2 + log(sigma**2) - 1)`. The questions: 12.5 and 12.11 of the chapter."),
    parts=(
        Part(name="at_the_start", right=_at_start, inputs=_steep, misconceptions={
            "exchanged": (lambda w, s: _at_start(w, s)[::-1], "the two are exchanged: relative first"),
            "at z1 = 0": (_absolute_is(lambda w, s: 0.5 * (1 / s**2 + torch.log(s**2) - 1)), "you put z1 at its mean, 0, where the prior happens to be near; draw it: E[z1²] = 1"),
            "width forgotten": (_absolute_is(lambda w, s: 0.5 * (w**2 / s**2 + torch.log(s**2) - 1)), "q's own variance in units of the prior's, 1/sigma², is missing"),
            "dsigma one": (_absolute_is(lambda w, s: 0.5 * w**2 / s**2), "q's scale is 1 outright; relative to the prior it is 1/sigma, not 1"),
            "log sigma": (_absolute_is(lambda w, s: 0.5 * ((w**2 + 1) / s**2 + torch.log(s) - 1)), "you take the logarithm of sigma; it is that of its square"),
            "sign of the log": (_absolute_is(lambda w, s: 0.5 * ((w**2 + 1) / s**2 - torch.log(s**2) - 1)), "log dsigma² = -log sigma² here: your logarithm has the wrong sign"),
            "no -1": (_absolute_is(lambda w, s: 0.5 * ((w**2 + 1) / s**2 + torch.log(s**2))), "the -1 is missing"),
            "slope not squared": (_absolute_is(lambda w, s: 0.5 * ((w + 1) / s**2 + torch.log(s**2) - 1)), "the slope is not squared: E[(w z1)²] = w²"),
            "reversed": (_absolute_is(lambda w, s: 0.5 * (w**2 + s**2 - torch.log(s**2) - 1)), "that is KL(p‖q), reversed: the mean is taken over q"),
            "posterior's variance": (_absolute_is(lambda w, s: 0.5 * (w**2 + 1 / s**2 + torch.log(s**2) - 1)), "you divide the shift by the posterior's variance, which is 1; the prior's sigma² belongs there"),
            "relative pays too": (lambda w, s: (_at_start(w, s)[1],) * 2, "a relative q with head (0, 1) is p itself: it pays nothing"),
        }),
        Part(name="answers", right=_ANSWERS, misconceptions={
            "relative pays KL": ({_Q["jump"]: "KL"}, "a relative q jumps along and its KL stays; but now z is not what x asked for"),
            "relative is free": ({_Q["jump"]: "nothing"}, "a relative q hands the decoder a z that jumped too: nothing is free"),
            "absolute misses": ({_Q["stay"]: "reconstruction"}, "an absolute q stays where x wants it; it is the prior that went away"),
            "many nats": ({_Q["small"]: True}, "measured over seeds, the two train alike at this size: the construction shows where a difference can come from"),
        })),
))


def _meter(kl: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    nats = kl.mean(0)
    per_number = nats / sizes
    return nats, per_number / per_number.mean(), (per_number < 0.01).double()


def _meter_with(nats=None, weights=None, silent=None):
    def wrong(kl, sizes):
        found = list(_meter(kl, sizes))
        for place, f in enumerate((nats, weights, silent)):
            if f is not None:
                found[place] = f(kl, sizes)
        return tuple(found)
    return wrong


def _spent(rng):
    def case(n: int, levels: list[float], sizes: list[float]) -> tuple:
        return torch.tensor(levels, dtype=_F64) * (0.5 + torch.rand(n, len(levels), generator=rng, dtype=_F64)), torch.tensor(sizes, dtype=_F64)
    return {"4 groups": case(9, [0.3, 4.0, 9.0, 0.2], [64.0, 64.0, 256.0, 256.0]), "3 groups": case(5, [8.0, 0.05, 1.2], [20.0, 80.0, 320.0])}


_M = {"total": "a total of 10 nats shows that every group is used", "silent": "a silent group can be drawn from its prior and the reconstruction hardly changes",
      "warm": "balancing weights belong into the bound that is reported", "one": "of 10 nats in all, how many may one group hold?"}
_METER = {_M["total"]: False, _M["silent"]: True, _M["warm"]: False, _M["one"]: 10.0}

collapse_meter = register(Exercise(
    id="12.6", name="collapse_meter", title="A meter for collapse", level="core", minutes=20, chapter=CHAPTER,
    success="group by group, for each number of z, and nothing hides behind a total",
    hints=("*Nudge.* Three questions in turn: what does a group spend on a picture, what is that for each of its numbers, how does it compare with the other groups?",
           r"*Equation.* $\bar k_l=\frac1B\sum_b\mathrm{KL}_{bl}$; $r_l=\bar k_l/n_l$; $\gamma_l=r_l/\frac1L\sum_{l'}r_{l'}$; silent where $r_l<0.01$.",
           "*Pseudo-code.* `nats = kl.mean(0)`; `r = nats / sizes`; `r / r.mean()`; `(r < 0.01)`, as 0 and 1. The questions: 12.7 and 12.8 of the chapter."),
    parts=(
        Part(name="meter", right=_meter, inputs=_spent, misconceptions={
            "summed": (_meter_with(nats=lambda k, n: k.sum(0)), "you add up over the pictures; take the mean"),
            "over groups": (_meter_with(nats=lambda k, n: k.sum(1)), "that is each picture's total, the number behind which a silent group hides; take the mean over pictures for each group"),
            "times the size": (_meter_with(weights=lambda k, n: k.mean(0) * n / (k.mean(0) * n).mean()), "you multiply by the group's size, as the paper prints it; its author calls that a slip: divide"),
            "size forgotten": (_meter_with(weights=lambda k, n: k.mean(0) / k.mean()), "a group of 256 numbers may spend more than one of 64: divide by the size first"),
            "sum to one": (_meter_with(weights=lambda k, n: k.mean(0) / n / (k.mean(0) / n).sum()), "your weights add up to 1; their mean is to be 1, so that the KL as a whole keeps its weight"),
            "not divided": (_meter_with(weights=lambda k, n: k.mean(0) / n), "these are nats per number; divide by their mean over the groups"),
            "inverse": (_meter_with(weights=lambda k, n: n / k.mean(0) / (n / k.mean(0)).mean()), "your weights make the silent group pay most for a nat; it is to pay least"),
            "size only": (_meter_with(weights=lambda k, n: 1 / n / (1 / n).mean()), "you use the sizes alone; the nats belong in"),
            "silent by nats": (_meter_with(silent=lambda k, n: (k.mean(0) < 0.01).double()), "a group is judged by its nats per number: a large one can be silent with more than 0.01 nats in all"),
            "the others": (_meter_with(silent=lambda k, n: (k.mean(0) / n >= 0.01).double()), "you mark the groups that speak; mark the silent ones"),
            "by gamma": (_meter_with(silent=lambda k, n: (_meter(k, n)[1] < 0.01).double()), "you judge by gamma; whether a group speaks is a matter of its own nats per number"),
        }),
        Part(name="answers", right=_METER, misconceptions={
            "healthy total": ({_M["total"]: True}, "a healthy total is not enough: all of it may sit in one group"),
            "silent matters": ({_M["silent"]: False}, "a silent group has q = p: drawn from p it is what it was"),
            "reported": ({_M["warm"]: True}, "warm-up and balancing belong to training; the bound has the weight 1 for every nat"),
            "shared": ({_M["one"]: 2.5}, "nothing makes the groups share: one of them may hold it all"),
        })),
))
