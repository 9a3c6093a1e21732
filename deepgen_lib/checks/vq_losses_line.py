"""Exercise 9.4 of chapter 09, the losses of a VQ-VAE: the straight-through slope against the slope that the loss really has, on a line."""
import torch
from torch import Tensor

from .engine import Exercise, Part, register
from .vq_losses import CHAPTER, normal

_F64 = torch.float64


def line_quantise(x: Tensor, codes: Tensor) -> Tensor:
    """The nearest code of each number.  (N,), (K,) -> (N,)."""
    return codes[(x[:, None] - codes).abs().argmin(1)]


def _mean_loss(x, a, codes):
    return (x - line_quantise(x + a, codes)).square().mean()


def _copied(x, a, codes):
    return 2 * (line_quantise(x + a, codes) - x).mean()


def _measured(x, a, codes, eps):
    return (_mean_loss(x, a + eps, codes) - _mean_loss(x, a - eps, codes)) / (2 * eps)


def _lines(rng, *more):
    return {"4,000 numbers, 3 codes": (normal(4000, rng=rng), 0.3, torch.tensor([-1.2, -0.3, 1.5], dtype=_F64), *more),
            "4,000 numbers, 2 codes": (normal(4000, rng=rng), -0.2, torch.tensor([-0.5, 2.0], dtype=_F64), *more)}


finite_difference = register(Exercise(
    id="9.4", name="finite_difference", title="Straight-through against the truth", level="core", minutes=25, chapter=CHAPTER,
    success="two slopes of one loss, not equal even on average (V6); and the true one needs an ε so wide that some numbers cross a border: with 1e-7 none does, and you measure a flat step",
    hints=("*Nudge.* The copied slope treats z_q as if it moved with a. The true one moves a, quantises again, and looks at what the loss does.",
           r"*Equation.* Copied: $\frac1N\sum2(z_{q,n}-x_n)$. True: $\frac{L(a+\varepsilon)-L(a-\varepsilon)}{2\varepsilon}$, $L(a)=\frac1N\sum(x_n-z_{q,n})^2$.",
           "*Pseudo-code.* Q(y) = codes[(y[:, None] - codes).abs().argmin(1)]; copied: 2 * (Q(x + a) - x).mean(); true: L at a + eps minus L at a - eps, over 2 * eps."),
    parts=(
        Part(name="copied", right=_copied, inputs=_lines, misconceptions={
            "never quantised": (lambda x, a, e: torch.tensor(2 * a, dtype=_F64), "you differentiate as if there were no quantiser: the gradient is taken at z_q, then copied"),
            "half": (lambda x, a, e: _copied(x, a, e) / 2, "the 2 of the square is missing"),
            "minus": (lambda x, a, e: -_copied(x, a, e), "the sign: d/dz_q (x − z_q)² = 2 (z_q − x)"),
            "to the code": (lambda x, a, e: 2 * (x + a - line_quantise(x + a, e)).mean(), "that is the slope of the commitment, z_e to its code; the reconstruction compares z_q with x"),
            "sum": (lambda x, a, e: len(x) * _copied(x, a, e), "you add up; the loss is a mean"),
        }),
        Part(name="true", right=_measured, inputs=lambda rng: _lines(rng, 0.05), misconceptions={
            "fixed codes": (lambda x, a, e, eps: torch.zeros((), dtype=_F64), "your difference is zero: you quantise once and keep the codes; quantise anew on both sides"),
            "held": (lambda x, a, e, eps: -_copied(x, a, e), "you hold the choices fixed and get minus the copied slope: the codes must be chosen anew at a + ε and at a − ε"),
            "brackets": (lambda x, a, e, eps: eps**2 * _measured(x, a, e, eps), "brackets: / (2 * eps), for / 2 * eps divides by 2 and multiplies by ε"),
            "one-sided": (lambda x, a, e, eps: (_mean_loss(x, a + eps, e) - _mean_loss(x, a, e)) / eps, "yours is one-sided: take a + ε and a − ε"),
            "eps once": (lambda x, a, e, eps: 2 * _measured(x, a, e, eps), "divide by 2ε: that is how far apart the two places are"),
            "target moves": (lambda x, a, e, eps: ((x + a + eps - line_quantise(x + a + eps, e)).square().mean() - (x + a - eps - line_quantise(x + a - eps, e)).square().mean()) / (2 * eps),
                             "you compare z_q with z_e; the decoder is judged by x, which does not move with a"),
            "copied": (lambda x, a, e, eps: _copied(x, a, e), "that is the copied slope again"),
        }),
    )))
