"""Exercises of chapter 13, first half: what a number says, another protocol, one per cent of a good model."""
from __future__ import annotations

import math

import torch
from torch import Tensor

from ..enumeration import all_states, state_numbers
from .engine import Exercise, Part, register

CHAPTER = "13_side_by_side"
_F64 = torch.float64
_Interval = tuple[float, float]
FIRST, SECOND, OPEN = "first", "second", "cannot say"


def _interval(score: float, error: float, kind: str) -> _Interval:
    return {"exact": (score, score), "bound": (score - 3 * error, 0.0), "flattering": (-math.inf, score + 3 * error), "estimate": (score - 3 * error, score + 3 * error)}[kind]


def _instead(**wrong):
    """The right intervals, but for one kind a function (score, error) -> interval of its own."""
    return lambda score, error, kind: wrong[kind](score, error) if kind in wrong else _interval(score, error, kind)


def _numbers(rng):
    u = torch.rand(3, generator=rng, dtype=_F64).tolist()
    return {"exact": (-137.0 - u[0], 0.0, "exact"), "a bound": (-88.0 - u[1], 0.1, "bound"), "log Z too low": (-86.0 - u[2], 0.2, "flattering"), "with an error bar": (-85.0 - u[0], 0.1, "estimate")}


def _verdict(a: _Interval, b: _Interval) -> str:
    return FIRST if a[0] > b[1] else SECOND if b[0] > a[1] else OPEN


def _pairs(rng):
    m = -90 - 5 * torch.rand((), generator=rng, dtype=_F64).item()
    return {"apart": ((m, m), (m - 3, m - 2)), "apart, turned round": ((m - 3, m - 2), (m, m)), "a bound that wins": ((m, 0.0), (m - 1, m - 1)), "a bound that loses": ((m, 0.0), (m + 2, m + 2)),
            "two bounds": ((m, 0.0), (m - 4, 0.0)), "flattered, and still behind": ((-math.inf, m), (m + 1, m + 1)), "flattered and ahead": ((m, m), (-math.inf, m + 1)), "bars overlap": ((m, m + 2), (m + 1, m + 5))}


_Q = {"wins": "A: bound -88, B: exact -91", "loses": "A: bound -88, B: exact -86", "bounds": "A: bound -88, B: bound -91", "weights": "A: plain bound -88, B: importance-weighted bound -87",
      "pixels": "A: exact -70 on thresholded pixels, B: exact -86 on sampled ones", "flattered": "A: -85 with a log Z that is too low, B: exact -83"}
_LEGAL = {_Q["wins"]: "A", _Q["loses"]: OPEN, _Q["bounds"]: OPEN, _Q["weights"]: OPEN, _Q["pixels"]: OPEN, _Q["flattered"]: "B"}

which_is_better = register(Exercise(
    id="13.1", name="which_is_better", title="Which comparisons are legal?", level="core", minutes=20, chapter=CHAPTER,
    success="every number says what it knows and no more, and you decide only where two intervals lie apart",
    hints=("*Nudge.* For each kind ask: can the true score be higher than the number? Can it be lower? By how much at most, if the pictures have pixels of 0 and 1?",
           r"*Equation.* bound: $[s-3e,\,0]$, as $\log p\le0$; flattering: $(-\infty,\,s+3e]$; estimate: $[s-3e,\,s+3e]$; exact: $[s,s]$. First is better if its low end is above the other's high end.",
           "*Pseudo-code.* four `if`s on kind; then `'first' if a[0] > b[1] else 'second' if b[0] > a[1] else 'cannot say'`."),
    parts=(
        Part(name="interval", right=_interval, inputs=_numbers, misconceptions={
            "bar around a bound": (_instead(bound=lambda s, e: (s - 3 * e, s + 3 * e)), "that is where the *bound* lies; the truth may be far above it"),
            "no roof": (_instead(bound=lambda s, e: (s - 3 * e, math.inf)), "a probability of a picture of 0 and 1 is at most 1: its logarithm is never above 0"),
            "bound turned round": (_instead(bound=lambda s, e: (-math.inf, s + 3 * e)), "a bound lies below the truth: the truth is at least the bound"),
            "flattering taken for a bound": (_instead(flattering=lambda s, e: (s - 3 * e, 0.0)), "log Z too low makes -F - log Z too high: the truth is at most the number"),
            "flattering taken for an estimate": (_instead(flattering=lambda s, e: (s - 3 * e, s + 3 * e)), "the error bar says how well the flattering number is known, not how much it flatters: there is no lower end"),
            "one error": (lambda s, e, kind: _interval(s, e / 3, kind), "take three standard errors: one is passed by every third number"),
            "bar forgotten": (lambda s, e, kind: _interval(s, 0.0, kind), "a number from draws has an error bar; leave room of three standard errors on the side that counts"),
        }),
        Part(name="verdict", right=_verdict, inputs=_pairs, misconceptions={
            "low ends": (lambda a, b: FIRST if a[0] > b[0] else SECOND, "you compare low ends, that is, a bound with whatever there is: decide only where the intervals lie apart"),
            "high ends": (lambda a, b: FIRST if a[1] > b[1] else SECOND, "you compare high ends: a model that *may* be better need not be"),
            "both ends": (lambda a, b: FIRST if a[0] > b[0] and a[1] > b[1] else SECOND if b[0] > a[0] and b[1] > a[1] else OPEN, "both ends higher is not enough while the intervals overlap: the truth may lie in the common part"),
            "one way": (lambda a, b: FIRST if a[0] > b[1] else OPEN, "the second may win as well"),
            "turned round": (lambda a, b: _verdict(b, a), "first and second are exchanged: the larger log-likelihood is the better model"),
        }),
        Part(name="answers", right=_LEGAL, misconceptions={
            "bound loses": ({_Q["loses"]: "B"}, "A's bound is lower than B's score; A's score may be higher. A bound that loses says nothing"),
            "bound wins nothing": ({_Q["wins"]: OPEN}, "A is at least -88, B is -91 exactly: a bound that wins, wins"),
            "two bounds": ({_Q["bounds"]: "A"}, "both are at least what their bounds say; neither has an upper end but 0"),
            "tighter bound": ({_Q["weights"]: "B"}, "a tighter bound is still a bound: A may be far above -88"),
            "protocols": ({_Q["pixels"]: "A"}, "two sets of pictures, two questions: exact numbers of different pictures cannot be compared"),
            "flattery": ({_Q["flattered"]: OPEN}, "A is at most -85, however much that flatters, and B is -83: a flattering number that loses, loses"),
        })),
))


def _in_other_units(log_density: Tensor, n_dims: int, factor: float) -> Tensor:
    return log_density - n_dims * math.log(factor)


def _densities(rng):
    draw = lambda n, size: size * torch.randn(n, generator=rng, dtype=_F64) + 10
    return {"4 pictures, 784 pixels, times 255": (draw(4, 300), 784, 255.0), "3 points, 2 numbers, halved": (draw(3, 5), 2, 0.5)}


def _mean_over_draws(log_p: Tensor, grey: Tensor) -> Tensor:
    return _chances(grey) @ log_p


def _chances(grey: Tensor) -> Tensor:
    states = all_states(grey.shape[1])
    return (states * grey[:, None] + (1 - states) * (1 - grey[:, None])).prod(2)


def _grey_pictures(rng):
    def case(n: int, d: int) -> tuple:
        log_p = (2 * torch.randn(2**d, generator=rng, dtype=_F64)).log_softmax(0)
        return log_p, 0.05 + 0.9 * torch.rand(n, d, generator=rng, dtype=_F64)
    return {"3 pictures of 4 pixels": case(3, 4), "2 pictures of 6 pixels": case(2, 6)}


_P = {"grey": "an RBM's -F(x) - log Z, fed with grey x, against its mean over sampled x, is", "thresholded": "an RBM trained on sampled pixels, asked about thresholded ones, scores",
      "order": "two models, both scored on sampled and both on thresholded pixels: the better one is the same"}
_PROTOCOL = {_P["grey"]: "never higher", _P["thresholded"]: "higher, and is no better model for it", _P["order"]: "not always"}

another_protocol = register(Exercise(
    id="13.2", name="another_protocol", title="Another protocol, another number", level="core", minutes=25, chapter=CHAPTER,
    success="units cost D log s, binarisation is an average over draws, and neither says anything of the model",
    hints=("*Nudge.* Stretch the axis and the hill gets lower, so that the area stays one. And a sampled picture is one of 2^D: how probable is each, given the greys?",
           r"*Equation.* $y=sx$: $\log p_y(y)=\log p_x(x)-D\log s$. Draws: $\sum_b\prod_i g_i^{b_i}(1-g_i)^{1-b_i}\,\log p(b)$ over all $b$ of `all_states(D)`.",
           "*Pseudo-code.* `log_density - n_dims * log(factor)`; `b = all_states(D)`, `chance = where(b == 1, grey[:, None], 1 - grey[:, None]).prod(2)`, `chance @ log_p`."),
    parts=(
        Part(name="in_other_units", right=_in_other_units, inputs=_densities, axes=("N",), misconceptions={
            "sign": (lambda p, d, s: p + d * math.log(s), "the sign is turned: stretched numbers are spread thinner, the density falls"),
            "one dimension": (lambda p, d, s: p - math.log(s), "each of the D numbers is stretched, so the volume grows by s to the power D"),
            "not a logarithm": (lambda p, d, s: p - d * s, "a density is divided by s for each number: subtract its logarithm"),
            "divided": (lambda p, d, s: p / s, "it is the density that is divided, once for each number; its logarithm is lowered by D log s"),
            "base two": (lambda p, d, s: p - d * math.log2(s), "nats: the natural logarithm"),
            "unchanged": (lambda p, d, s: p, "a density depends on the unit of x; only a probability does not"),
        }),
        Part(name="mean_over_draws", right=_mean_over_draws, inputs=_grey_pictures, axes=("N",), misconceptions={
            "thresholded": (lambda p, g: p[state_numbers((g > 0.5).double())], "you threshold: that is one of the 2^D pictures, the most probable draw; average over all of them"),
            "log of the mean": (lambda p, g: (_chances(g) @ p.exp()).log(), "that is the logarithm of the mean probability; a score is the mean of logarithms"),
            "all alike": (lambda p, g: p.mean().expand(len(g)), "the 2^D pictures are not equally likely: weigh each by the chance that these greys draw it"),
            "lit pixels only": (lambda p, g: (all_states(g.shape[1]) * g[:, None] + 1 - all_states(g.shape[1])).prod(2) @ p, "a dark pixel has a chance, too: 1 - grey"),
            "dark and lit": (lambda p, g: _chances(1 - g) @ p, "lit and dark are exchanged: grey is the chance of a 1"),
            "product left out": (lambda p, g: (all_states(g.shape[1]) * g[:, None] + (1 - all_states(g.shape[1])) * (1 - g[:, None])).mean(2) @ p, "pixels are drawn independently: multiply their chances"),
        }),
        Part(name="answers", right=_PROTOCOL, misconceptions={
            "greys help": ({_P["grey"]: "never lower"}, "-F is convex in x, a sum of softplus: at a mean it is at most the mean of its values"),
            "greys equal": ({_P["grey"]: "the same"}, "only for a model without hidden units is -F linear in x; a sum of softplus is convex"),
            "worse": ({_P["thresholded"]: "lower, as it never saw them"}, "a thresholded digit is the most typical of its draws, without ragged edges: it scores higher, by 16 nats for an RBM-500"),
            "better": ({_P["thresholded"]: "higher, so thresholding makes better models"}, "the same model, other questions: nothing about it changed"),
            "commutes": ({_P["order"]: "always"}, "a model of ragged edges and a model of crisp ones can each win at home"),
        })),
))


def _diluted(log_p: Tensor, log_noise: Tensor, share: float) -> Tensor:
    return torch.logaddexp(math.log(share) + log_p, math.log1p(-share) + log_noise)


def _two_models(rng):
    draw = lambda middle, size: middle + size * torch.randn(4, generator=rng, dtype=_F64)
    return {"digits and coins": (draw(-88.0, 10.0), draw(-543.4, 0.0), 0.01), "two that are close": (draw(-12.0, 1.0), draw(-11.0, 1.0), 0.3), "log p near -900": (draw(-900.0, 20.0), draw(-905.0, 20.0), 0.1)}


_D = {"loss": "largest loss with a share of 1 %, in nats", "nats": "largest loss with a share of 0.01 %, in nats", "noise": "share of noise among the samples of the first", "memory": "a model that recites training pictures, each pixel wrong once in a million: its samples and its test score are"}
_DILUTED = {_D["loss"]: math.log(100), _D["nats"]: math.log(10_000), _D["noise"]: 0.99, _D["memory"]: "perfect and bad"}

one_per_cent = register(Exercise(
    id="13.3", name="one_per_cent", title="One per cent of a good model", level="core", minutes=15, chapter=CHAPTER,
    success="99 % noise costs 4.6 nats at most: likelihood does not see samples",
    hints=("*Nudge.* A sample comes from the model with chance w, else from the noise. What is p(x) then? Leave out the noise's part: how much can that lower it?",
           r"*Equation.* $\log\big(w\,p(x)+(1-w)\,u(x)\big)\ge\log p(x)+\log w$: at most $-\log w$ is lost, whatever $D$.",
           "*Pseudo-code.* `torch.logaddexp(log(share) + log_p, log(1 - share) + log_noise)`; the losses: `-log(0.01)`, `-log(0.0001)`."),
    parts=(
        Part(name="diluted", right=_diluted, inputs=_two_models, axes=("N",), misconceptions={
            "mean of logs": (lambda p, u, w: w * p + (1 - w) * u, "you average the logarithms; the mixture averages probabilities"),
            "noise left out": (lambda p, u, w: math.log(w) + p, "that is the floor: where noise gives x some probability, the mixture has it, too"),
            "the larger": (lambda p, u, w: torch.maximum(math.log(w) + p, math.log(1 - w) + u), "both parts count, not the larger alone: logaddexp"),
            "exponentials": (lambda p, u, w: (w * p.exp() + (1 - w) * u.exp()).log(), "exp(-900) is zero in the machine: stay with logarithms, logaddexp"),
            "shares exchanged": (lambda p, u, w: _diluted(u, p, w), "the shares are exchanged: `share` is the good model's"),
            "no shares": (lambda p, u, w: torch.logaddexp(p, u), "the shares are missing: these probabilities add up to two"),
        }),
        Part(name="answers", right=_DILUTED, misconceptions={
            "ninety-nine": ({_D["loss"]: -math.log(0.99)}, "-log 0.99 is what the *noise* would lose; the good model keeps one per cent"),
            "sign": ({_D["loss"]: math.log(0.01)}, "a loss is positive: -log 0.01"),
            "in bits": ({_D["loss"]: math.log2(100)}, "that is in bits; the question asks for nats"),
            "hundred times": ({_D["nats"]: 100 * math.log(100)}, "a hundredth of a hundredth adds log 100 once more: losses are logarithms"),
            "shares of samples": ({_D["noise"]: 0.01}, "one per cent of the samples come from the good model, all others are noise"),
            "memory": ({_D["memory"]: "perfect and good"}, "a test picture differs from every training picture in dozens of pixels, and each costs log of a million"),
        })),
))
