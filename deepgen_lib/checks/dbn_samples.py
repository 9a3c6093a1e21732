"""Exercises of chapter 04 on sampling a DBN, and on building one by hand: strokes below, their grammar on top."""
import math

import torch
from torch import Tensor

from ..data import bars_and_stripes
from ..enumeration import all_states
from .dbn import CHAPTER
from .engine import Exercise, Part, register

_F64 = torch.float64
MOST_STROKES, MOST_RULES = 8, 40  # hidden units of the layers of 4.6

DIAGNOSES = {"A": "a deep Boltzmann machine", "B": "right", "C": "probabilities going down", "D": "the wrong bias", "E": "no top chain"}


def _chi_square(counts: Tensor, p: Tensor) -> Tensor:
    expected = counts.sum() * p
    return ((counts - expected) ** 2 / expected).sum()


def _experiments(rng):
    def case(n: int, bent: float) -> tuple:
        p = torch.randn(16, generator=rng, dtype=_F64).softmax(0)
        q = (p.log() + bent * torch.randn(16, generator=rng, dtype=_F64)).softmax(0)
        drawn = torch.multinomial(q, n, replacement=True, generator=rng)
        return torch.bincount(drawn, minlength=16).double(), p
    return {"an honest sampler": case(5000, 0.0), "a wrong one": case(5000, 0.3)}


sampler_clinic = register(Exercise(
    id="4.5", name="sampler_clinic", title="Sampler clinic", level="stretch", minutes=30, chapter=CHAPTER,
    success="one number tells right from wrong, and five samplers have their diagnosis",
    hints=("*Nudge.* A sampler is right if its counts agree with p(x), however it was made. So count first, and only then read the code of those that fail.",
           r"*Equation.* $\chi^2=\sum_x\frac{(\text{seen}_x-n\,p_x)^2}{n\,p_x}$, about 15 for an honest sampler of 16 states, rarely above 45.",
           "*Pseudo-code.* `expected = counts.sum() * p`; sum of `(counts - expected) ** 2 / expected`. In the code look at: who listens to whom; what is drawn and what is passed on undrawn; "
           "which bias h1 gets; where the states of h1 come from."),
    parts=(
        Part(name="chi-square", right=_chi_square, inputs=_experiments, rtol=1e-6, misconceptions={
            "not divided": (lambda c, p: ((c - c.sum() * p) ** 2).sum(), "each square must be divided by the expected count: the frequent states wobble more"),
            "by what was seen": (lambda c, p: ((c - c.sum() * p) ** 2 / c.clamp_min(1)).sum(), "divide by the *expected* count, not by the count that was seen"),
            "frequencies": (lambda c, p: ((c / c.sum() - p) ** 2 / p).sum(), "you compare frequencies, which loses the factor n: use counts, n·p expected"),
            "per state": (lambda c, p: _chi_square(c, p) / len(p), "you take the mean over the states: chi-square is their sum"),
            "distance": (lambda c, p: (c / c.sum() - p).abs().sum() / 2, "that is the total variation: it has no scale that says how much chance alone would give"),
        }),
        Part(name="diagnoses", right=DIAGNOSES, misconceptions={
            "A right": ({"A": "right"}, "A's units of h1 listen to x *and* to h2: its chain ends at another p(x); look at its chi-square"),
            "B chain": ({"B": "no top chain"}, "B has no chain and needs none: it draws h1 from its exact distribution; its chi-square is fine"),
            "C right": ({"C": "right"}, "C passes something down that nobody has drawn; look at its chi-square"),
            "D right": ({"D": "right"}, "D is the hardest to see: which of the two biases of h1 does its chain use?"),
            "E right": ({"E": "right"}, "E's states of h1 come from fair coins and have never met h2; look at its chi-square"),
            "C and E": ({"C": "no top chain", "E": "probabilities going down"}, "C and E are exchanged: one of them has a chain, the other draws everything that it passes on"),
        }),
    )))


def _network(n: int, states: Tensor, a: float = 20.0, threshold: float = 0.5, page: float | None = None) -> tuple[Tensor, ...]:
    """n bars and n stripes as strokes, and a detector in h2 for each allowed state of h1."""
    pixel_row = torch.arange(n).repeat_interleave(n)
    pixel_column = torch.arange(n).repeat(n)
    eye = torch.eye(n, dtype=_F64)
    W1 = a * torch.cat([eye[pixel_row], eye[pixel_column]], 1)                 # (n*n, 2n)
    b0 = torch.full((n * n,), -a / 2 if page is None else page, dtype=_F64)
    return W1, b0, a * (2 * states - 1).T, torch.zeros(2 * n, dtype=_F64), -a * (states.sum(1) - threshold)


def _allowed(n: int, *, once: bool = True, both: bool = True) -> Tensor:
    """States of h1 = (rows, columns) with strokes of one kind only; the blank and the full page once."""
    one, none = all_states(n), torch.zeros(2**n, n, dtype=_F64)
    rows, columns = torch.cat([one, none], 1), torch.cat([none, one], 1)
    return torch.cat([rows, columns[1:-1] if once else columns]) if both else rows


def _by_hand(n: int) -> tuple[Tensor, ...]:
    return _network(n, _allowed(n))


def _anything_goes(n: int) -> tuple[Tensor, ...]:
    W1, b0, *_ = _by_hand(n)
    return W1, b0, torch.zeros(2 * n, 1, dtype=_F64), torch.zeros(2 * n, dtype=_F64), torch.zeros(1, dtype=_F64)


def _gap_to_optimum(answer, n: int) -> float:
    """How far the exact mean log p of the bars and stripes stays below -log of their number."""
    try:
        W1, b0, W2, b1, b2 = (torch.as_tensor(part, dtype=_F64).detach() for part in answer)
    except (TypeError, ValueError):
        raise ValueError("your function must return five tensors: W1, b0, W2, b1, b2") from None
    strokes, rules = W1.shape[-1], W2.shape[-1]
    shapes = [tuple(part.shape) for part in (W1, b0, W2, b1, b2)]
    if shapes != [(n * n, strokes), (n * n,), (strokes, rules), (strokes,), (rules,)]:
        raise ValueError(f"for n = {n} you returned shapes {', '.join(map(str, shapes))}, expected ({n * n}, H1), ({n * n},), (H1, H2), (H1,), (H2,)")
    if strokes > MOST_STROKES or rules > MOST_RULES:
        raise ValueError(f"you use {strokes} and {rules} hidden units, at most {MOST_STROKES} and {MOST_RULES} are allowed")
    if not all(part.isfinite().all() for part in (W1, b0, W2, b1, b2)):
        raise ValueError("your parameters hold an infinite or undefined number, expected finite ones; 20 is sharp enough")
    h1, x = all_states(strokes), bars_and_stripes(n)
    softplus = torch.nn.functional.softplus
    log_prior = torch.log_softmax(h1 @ b1 + softplus(h1 @ W2 + b2).sum(1), 0)
    logits = b0 + h1 @ W1.T
    log_p = (x @ logits.T - softplus(logits).sum(1) + log_prior).logsumexp(1)
    return -math.log(len(x)) - float(log_p.mean())


strokes_and_grammar = register(Exercise(
    id="4.6", name="strokes_and_grammar", title="Strokes and grammar", level="project", minutes=60, chapter=CHAPTER,
    success="h1 holds the strokes, the top RBM their grammar, and log p is within 0.02 nats of the best possible",
    hints=("*Nudge.* Let h1 have one unit per row and one per column. Which states of h1 give a picture that is allowed? The top RBM must like these and no others (exercise 2.5 made such a machine).",
           r"*Equation.* $P(x_{ij}=1)=\sigma\big(a(r_i+k_j)-\tfrac a2\big)$. A detector in $h^2$ for a state $s$ of $h^1$: weights $a(2s-1)$, bias $-a(|s|-\tfrac12)$.",
           "*Pseudo-code.* Column j of W1 is a on the pixels of stroke j; b0 = -a/2. Allowed states: all row patterns, all column patterns except blank and full, which the rows have already. "
           "`W2 = a * (2 * states - 1).T`, `b1 = 0`, `b2 = -a * (states.sum(1) - 0.5)`."),
    parts=(Part(
        right=_by_hand, inputs=lambda _: {"n = 2": (2,), "n = 3": (3,)}, measure=_gap_to_optimum, expected=lambda n: 0.0, atol=0.02, quantity="gap to the optimum",
        misconceptions={
            "twice": (lambda n: _network(n, _allowed(n, once=False)), "nearly: the blank and the full page are allowed twice, as rows and as columns, so they come twice as often"),
            "no grammar": (_anything_goes, "the strokes are right, but the top RBM lets rows and columns be mixed: that makes pictures which are neither bars nor stripes"),
            "rows only": (lambda n: _network(n, _allowed(n, both=False)), "your grammar allows only one of the two directions"),
            "no threshold below": (lambda n: _network(n, _allowed(n), page=0.0), "a pixel without a stroke is a fair coin: the bias of x must hold it off"),
            "no threshold above": (lambda n: _network(n, _allowed(n), threshold=0.0), "half of the time your detectors do not fire for their own state: set the bias half a step below the full score"),
            "blunt": (lambda n: _network(n, _allowed(n), a=5.0), "the right idea, but too blunt: larger weights make an allowed state outweigh all others"),
        }),)))
