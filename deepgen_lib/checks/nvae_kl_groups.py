"""Exercises of chapter 12, second half: two groups, a prior that moves, a meter for collapse."""
import torch
from torch import Tensor

from .engine import Exercise, Part, register
from .nvae_kl import CHAPTER, _F64, _normal, _scale


def _one(dmu, dsigma, sigma):
    return 0.5 * (dmu**2 / sigma**2 + dsigma**2 - torch.log(dsigma**2) - 1)


def _second(m, t, c0, c1, d, s, *, square=None, widen=None, log=None):
    """The second group's KL; square, widen, log: functions that stand for the means of dmu², dsigma² and log dsigma²."""
    mean_square = square(m, t, c0, c1) if square else (c0 + c1 * m) ** 2 + c1**2 * t**2
    mean_widen = widen(m, t, d) if widen else torch.exp(2 * d * m + 2 * d**2 * t**2)
    return 0.5 * (mean_square / s**2 + mean_widen - (log(m, d) if log else 2 * d * m) - 1)


def _two_groups(m, t, c0, c1, d, s):
    return _one(m, t, torch.ones_like(m)) + _second(m, t, c0, c1, d, s)


def _with(**changed):
    return lambda m, t, c0, c1, d, s: _one(m, t, torch.ones_like(m)) + _second(m, t, c0, c1, d, s, **changed)


def _drawn(m, t, c0, c1, d, s):
    z = m + t * torch.randn(50_000, 1, dtype=m.dtype, generator=torch.Generator().manual_seed(0))
    return _one(m, t, torch.ones_like(m)) + _one(c0 + c1 * z, torch.exp(d * z), s).mean(0)


def _near(output, right) -> bool:
    """Right to some per cent, as a mean of draws would be."""
    return bool(((output - right).abs() < 0.06 * right.abs()).all())


def _ladders(rng):
    def case(n: int) -> tuple:
        return (_normal(n, rng=rng) + 1.5, _scale(n, rng=rng, spread=0.3), _normal(n, rng=rng), 1 + _normal(n, rng=rng, scale=0.4),
                _normal(n, rng=rng, scale=0.2), _scale(n, rng=rng))
    return {"5 pictures": case(5), "2 pictures": case(2)}


two_groups = register(Exercise(
    id="12.4", name="two_groups", title="Two groups, one divergence", level="core", minutes=25, chapter=CHAPTER,
    success="each group's KL, averaged over q above it, adds up to the divergence of the whole",
    hints=("*Nudge.* The first group is exercise 12.1 with a standard normal prior. In the second, dmu and dsigma depend on z1: what are the means of dmu², of dsigma² and of log dsigma²?",
           r"*Equation.* For $z_1\sim\mathcal N(m,t^2)$: $\mathbb E[(c_0+c_1z_1)^2]=(c_0+c_1m)^2+c_1^2t^2$, $\ \mathbb E[e^{2dz_1}]=e^{2dm+2d^2t^2}$, $\ \mathbb E[2dz_1]=2dm$.",
           "*Pseudo-code.* `0.5 * (m**2 + t**2 - log(t**2) - 1) + 0.5 * (((c0 + c1*m)**2 + c1**2 * t**2) / s**2 + exp(2*d*m + 2 * d**2 * t**2) - 2*d*m - 1)`."),
    parts=(Part(
        right=_two_groups, inputs=_ladders, axes=("B",),
        misconceptions={
            "at the mean": (_with(square=lambda m, t, c0, c1: (c0 + c1 * m) ** 2, widen=lambda m, t, d: torch.exp(2 * d * m)),
                            "you take KL 2 at the mean of q(z1); it bends upwards in z1, so its mean is larger: E[dmu²] has the variance c1² t² in it, E[dsigma²] the factor e^(2 d² t²)"),
            "dmu at the mean": (_with(square=lambda m, t, c0, c1: (c0 + c1 * m) ** 2), "dmu varies with z1: the mean of its square is the square of its mean plus its variance, c1² t²"),
            "dsigma at the mean": (_with(widen=lambda m, t, d: torch.exp(2 * d * m)), "dsigma² varies with z1, and the mean of an exponential is above the exponential of the mean: the factor e^(2 d² t²) is missing"),
            "half the exponent": (_with(widen=lambda m, t, d: torch.exp(2 * d * m + d**2 * t**2)), "the variance of 2 d z1 is 4 d² t², and half of it goes into the exponent: 2 d² t²"),
            "whole variance": (_with(widen=lambda m, t, d: torch.exp(2 * d * m + 4 * d**2 * t**2)), "E[e^y] = e^(mean + variance / 2): you put the whole variance of 2 d z1 into the exponent"),
            "dsigma not squared": (_with(widen=lambda m, t, d: torch.exp(d * m + d**2 * t**2 / 2)), "that is the mean of dsigma; the formula has dsigma², e^(2 d z1)"),
            "log dsigma": (_with(log=lambda m, d: d * m), "log dsigma² is 2 d z1: yours is half of it"),
            "from the prior": (_with(square=lambda m, t, c0, c1: c0**2 + c1**2, widen=lambda m, t, d: torch.exp(2 * d**2), log=lambda m, d: 0 * m),
                               "you average over z1 from the prior; it is drawn from q(z1 | x)"),
            "no cross term": (_with(square=lambda m, t, c0, c1: c0**2 + c1**2 * (m**2 + t**2)), "(c0 + c1 m)² has a cross term, 2 c0 c1 m"),
            "t not squared": (_with(square=lambda m, t, c0, c1: (c0 + c1 * m) ** 2 + c1**2 * t), "the variance of c1 z1 is c1² t²; your t is not squared"),
            "c1 forgotten": (_with(square=lambda m, t, c0, c1: (c0 + c1 * m) ** 2 + t**2), "the variance of c1 z1 is c1² t²; you left c1² out"),
            "c1 not squared": (_with(square=lambda m, t, c0, c1: (c0 + c1 * m) ** 2 + c1 * t**2), "the variance of c1 z1 is c1² t²; your c1 is not squared"),
            "variance alone": (_with(square=lambda m, t, c0, c1: c1**2 * t**2), "the mean of a square is the variance plus the square of the mean; the second is missing"),
            "first alone": (lambda m, t, c0, c1, d, s: _one(m, t, torch.ones_like(m)), "the second group is missing"),
            "second alone": (_second, "the first group is missing"),
            "s not squared": (lambda m, t, c0, c1, d, s: _two_groups(m, t, c0, c1, d, s.sqrt()), "E[dmu²] is divided by s; the prior's variance, s², belongs there"),
            "no -1": (lambda *a: _two_groups(*a) + 1, "the -1 is missing in both groups"),
            "averaged": (lambda *a: 0.5 * _two_groups(*a), "you average over the two groups; they add up"),
            "drawn": (_drawn, "near, but not the same: if you draw z1, a closed form is asked; z1 is normal, so its mean and variance are enough", lambda output, *a: _near(output, _two_groups(*a))),
        }),)))


def _relative_cost(slope, sigma, a, b):
    return _one(a, b, sigma)


def _absolute_cost(slope, sigma, a, b):
    return 0.5 * ((slope**2 + a**2 + b**2) / sigma**2 - torch.log(b**2 / sigma**2) - 1)


def _both_ways(*arguments):
    return _relative_cost(*arguments), _absolute_cost(*arguments)


def _absolute_is(f):
    return lambda *arguments: (_relative_cost(*arguments), f(*arguments))


def _drawn_start(w, s, a, b):
    z = torch.randn(50_000, 1, dtype=w.dtype, generator=torch.Generator().manual_seed(0))
    return _relative_cost(w, s, a, b), _one(a - w * z, b / s, s).mean(0)


def _steep(rng):
    def case(n: int) -> tuple:
        return 3 + 8 * torch.rand(n, generator=rng, dtype=_F64), 0.05 + 0.3 * torch.rand(n, generator=rng, dtype=_F64)
    zero = torch.zeros(3, dtype=_F64)
    return {"4 heads": (*case(4), 2 * _normal(4, rng=rng), _scale(4, rng=rng)), "head says (0, 1)": (*case(3), zero, zero + 1)}


_Q = {"jump": "the prior jumps and the decoder stays: a relative q pays", "stay": "the prior jumps and the decoder stays: an absolute q pays",
      "small": "at the size of this chapter's network the relative way saves many nats after training"}
_ANSWERS = {_Q["jump"]: "reconstruction", _Q["stay"]: "KL", _Q["small"]: False}

moving_prior = register(Exercise(
    id="12.5", name="moving_prior", title="A prior that moves", level="core", minutes=20, chapter=CHAPTER,
    success="thousands of nats by construction, and you know what it does not buy",
    hints=("*Nudge.* Relative: dmu = a and dsigma = b whatever the prior. Absolute: q = N(a, b²) seen from N(w z1, sigma²). What are its dmu and dsigma?",
           r"*Equation.* $\Delta\mu=a-wz_1$, $\Delta\sigma=b/\sigma$; $\mathbb E[z_1]=0$ and $\mathbb E[z_1^2]=1$, so $\mathbb E[\Delta\mu^2]=a^2+w^2$.",
           "*Pseudo-code.* `0.5 * (a**2 / sigma**2 + b**2 - log(b**2) - 1)`; `0.5 * ((slope**2 + a**2 + b**2) / sigma**2 - log(b**2 / sigma**2) - 1)`. The questions: sections 12.5 and 12.11."),
    parts=(
        Part(name="both_ways", right=_both_ways, inputs=_steep, misconceptions={
            "exchanged": (lambda *x: _both_ways(*x)[::-1], "the two are exchanged: relative first"),
            "at z1 = 0": (_absolute_is(lambda w, s, a, b: _absolute_cost(0 * w, s, a, b)), "you put z1 at its mean, 0, where the prior happens to be near; draw it: E[z1²] = 1"),
            "at z1 = 1": (_absolute_is(lambda w, s, a, b: 0.5 * (((a - w) ** 2 + b**2) / s**2 - torch.log(b**2 / s**2) - 1)), "(a - w)² has a cross term; over z1 it averages to zero: E[(a - w z1)²] = a² + w²"),
            "width forgotten": (_absolute_is(lambda w, s, a, b: 0.5 * ((w**2 + a**2) / s**2 - torch.log(b**2 / s**2) - 1)), "q's own variance in units of the prior's, b²/sigma², is missing"),
            "dsigma b": (_absolute_is(lambda w, s, a, b: 0.5 * ((w**2 + a**2) / s**2 + b**2 - torch.log(b**2) - 1)), "q's scale is b outright; relative to the prior it is b/sigma, not b"),
            "log not squared": (_absolute_is(lambda w, s, a, b: 0.5 * ((w**2 + a**2 + b**2) / s**2 - torch.log(b / s) - 1)), "you take the logarithm of b/sigma; it is that of its square"),
            "sign of the log": (_absolute_is(lambda w, s, a, b: 0.5 * ((w**2 + a**2 + b**2) / s**2 + torch.log(b**2 / s**2) - 1)), "your logarithm has the wrong sign: minus log dsigma², and dsigma is b/sigma"),
            "no -1": (_absolute_is(lambda *x: _absolute_cost(*x) + 0.5), "the -1 is missing"),
            "slope not squared": (_absolute_is(lambda w, s, a, b: _absolute_cost(w.sqrt(), s, a, b)), "the slope is not squared: E[(w z1)²] = w²"),
            "reversed": (_absolute_is(lambda w, s, a, b: 0.5 * ((w**2 + a**2 + s**2) / b**2 + torch.log(b**2 / s**2) - 1)), "that is KL(p‖q), reversed: the mean is taken over q"),
            "posterior's variance": (_absolute_is(lambda w, s, a, b: 0.5 * ((w**2 + a**2) / b**2 + b**2 / s**2 - torch.log(b**2 / s**2) - 1)), "you divide the shift by the posterior's variance, b²; the prior's sigma² belongs there"),
            "relative is nothing": (lambda *x: (0 * x[0], _absolute_cost(*x)), "the head says (a, b), not (0, 1): a relative q pays for its own difference, by the formula of exercise 12.1"),
            "relative is a number": (lambda *x: (0.0, _absolute_cost(*x)), "give two tensors (N,): one number for each prior, also where it is the same for all"),
            "relative pays too": (lambda *x: (_absolute_cost(*x),) * 2, "relative: what the head says is dmu and dsigma already, wherever the prior is"),
            "drawn": (_drawn_start, "near, but not the same: if you draw z1, a closed form is asked; E[z1] = 0 and E[z1²] = 1 are all you need", lambda output, *x: _near(output[1], _absolute_cost(*x))),
        }),
        Part(name="answers", right=_ANSWERS, misconceptions={
            "relative pays KL": ({_Q["jump"]: "KL"}, "a relative q jumps along and its KL stays; but now z is not what x asked for"),
            "relative is free": ({_Q["jump"]: "nothing"}, "a relative q hands the decoder a z that jumped too: nothing is free"),
            "absolute misses": ({_Q["stay"]: "reconstruction"}, "an absolute q stays where x wants it; it is the prior that went away"),
            "absolute is free": ({_Q["stay"]: "nothing"}, "an absolute q stays at the old place; seen from the new prior its dmu is minus the jump"),
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
    loud, sizes = case(6, [0.05, 4.0, 2.0], [50.0, 50.0, 100.0])
    loud[0, 0], loud[1, 1] = 1.5, 0.1  # one loud picture in a silent group, one quiet picture in a group that speaks
    return {"4 groups": case(9, [0.3, 4.0, 9.0, 0.2], [64.0, 64.0, 256.0, 256.0]), "3 groups": case(5, [8.0, 0.05, 1.2], [20.0, 80.0, 320.0]),
            "a loud and a quiet picture": (loud, sizes)}


_M = {"total": "a total of 10 nats shows that every group is used", "silent": "a silent group can be drawn from its prior and the reconstruction hardly changes",
      "warm": "balancing weights belong into the bound that is reported", "one": "of 10 nats in all, the most that one group can hold"}
_METER = {_M["total"]: False, _M["silent"]: True, _M["warm"]: False, _M["one"]: 10.0}

collapse_meter = register(Exercise(
    id="12.6", name="collapse_meter", title="A meter for collapse", level="core", minutes=15, chapter=CHAPTER,
    success="group by group, for each number of z, and nothing hides behind a total",
    hints=("*Nudge.* Three questions in turn: what does a group spend on a picture, what is that for each of its numbers, how does it compare with the other groups?",
           r"*Equation.* $\bar k_l=\frac1B\sum_b\mathrm{KL}_{bl}$; $r_l=\bar k_l/n_l$; $\gamma_l=r_l/\frac1L\sum_{l'}r_{l'}$; silent where $r_l<0.01$.",
           "*Pseudo-code.* `nats = kl.mean(0)`; `r = nats / sizes`; `r / r.mean()`; `(r < 0.01)`, as 0 and 1. The questions: sections 12.7 and 12.8."),
    parts=(
        Part(name="meter", right=_meter, inputs=_spent, misconceptions={
            "summed": (_meter_with(nats=lambda k, n: k.sum(0)), "you add up over the pictures; take the mean"),
            "summed throughout": (_meter_with(nats=lambda k, n: k.sum(0), silent=lambda k, n: (k.sum(0) / n < 0.01).double()), "you add up over the pictures, and judge silence by the sum: a long list of pictures would make every group speak. Take the mean"),
            "every picture": (_meter_with(silent=lambda k, n: (k / n < 0.01).all(0).double()), "you ask for less than 0.01 on every picture; one loud picture does not make a group speak: take the mean over pictures first"),
            "some picture": (_meter_with(silent=lambda k, n: (k / n < 0.01).any(0).double()), "one quiet picture does not make a group silent: take the mean over pictures first"),
            "the library's hundredth": (_meter_with(weights=lambda k, n: (k.mean(0) + 0.01) / n / ((k.mean(0) + 0.01) / n).mean()), "the chapter and the library add 0.01 nats to every group first, so that none pays nothing; here it is left out"),
            "weights of each picture": (_meter_with(weights=lambda k, n: (k / n / (k / n).mean(1, keepdim=True)).mean(0)), "you weigh each picture, then average the weights; average the nats first"),
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
