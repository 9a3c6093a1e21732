"""Exercises of chapter 03, log Z, second half: the bracket, two ways to judge a model, and a model that cheats one of them."""
import math

import torch
from torch import Tensor

from ..enumeration import all_states, log_partition
from ..rbm import RBM
from .engine import Exercise, Part, register

CHAPTER = "03_log_z"
LOG_2 = math.log(2)
_F64 = torch.float64


def _log_mean_exp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, -1) - math.log(x.shape[-1])


def _bracket(forward: Tensor, reverse: Tensor, log_z_base: float) -> tuple[Tensor, Tensor]:
    return log_z_base + _log_mean_exp(forward).mean(), log_z_base - _log_mean_exp(reverse).mean()


def _pooled(forward: Tensor, reverse: Tensor, log_z_base: float) -> tuple[Tensor, Tensor]:
    return log_z_base + _log_mean_exp(forward.flatten()), log_z_base - _log_mean_exp(reverse.flatten())


def _columns(forward: Tensor, reverse: Tensor, log_z_base: float) -> tuple[Tensor, Tensor]:
    return _bracket(forward.T, reverse.T, log_z_base)


def _log_weights(rng):
    def case(centre: float, spread: float) -> tuple:
        up, down = (spread * torch.randn(30, 8, generator=rng, dtype=_F64) for _ in range(2))
        return centre - spread**2 / 2 + up, -centre - spread**2 / 2 + down, 5.0 + centre / 7
    return {"30 runs of 8 chains": case(2.0, 1.5), "large weights": case(900.0, 3.0)}


_STATEMENTS = {
    "every AIS estimate of log Z lies below log Z": False,
    "the mean of many AIS estimates of log Z lies below log Z": True,
    "with log Z from AIS, a log-likelihood is on average a lower bound": False,
    "reverse AIS from exact samples gives, on average, too large a log Z": True,
    "reverse AIS from a long Gibbs chain bounds log Z from above": False,
    "a short error bar means that log Z is near": False,
}
_EVERY, _MEAN, _LIKELIHOOD, _REVERSE, _CHAIN, _BAR = _STATEMENTS

bracket = register(Exercise(
    id="3.5", name="bracket", title="Both sides of the truth", level="stretch", minutes=20, chapter=CHAPTER,
    success="one estimate per run, the mean over runs, and you know what it promises",
    hints=("*Nudge.* A run is one row: its chains give one estimate. Only then average over the runs. What do the weights of a reverse run estimate, Z / Z_0 or Z_0 / Z?",
           r"*Equation.* $\frac1R\sum_r\big(\log Z_0+\log\frac1N\sum_n e^{x_{rn}}\big)$ forwards, and backwards $\frac1R\sum_r\big(\log Z_0-\log\frac1N\sum_n e^{y_{rn}}\big)$.",
           "*Pseudo-code.* `log_mean_exp(x) = x.logsumexp(1) - log(number of columns)`, one value per row; log_z_base plus its mean for forward, minus its mean for reverse. The statements: look at 3.4 again."),
    parts=(
        Part(name="bracket", right=_bracket, inputs=_log_weights, rtol=1e-8, misconceptions={
            "reverse sign": (lambda f, r, z: (z + _log_mean_exp(f).mean(), z + _log_mean_exp(r).mean()), "reverse weights estimate Z_0 / Z: their logarithm is to be subtracted"),
            "harmonic": (lambda f, r, z: (z + _log_mean_exp(f).mean(), z + _log_mean_exp(-r).mean()),
                         "you average 1 / w of the reverse chains; average w, then take minus the logarithm (the mean of 1 / w is ruled by the lightest chain)"),
            "pooled": (_pooled, "you pour all runs into one: each row is a run with its own estimate, and the statement is about the mean of estimates"),
            "mean of logs": (lambda f, r, z: (z + f.mean(), z - r.mean()), "you average log-weights inside a run: take the logarithm of the mean weight"),
            "columns": (_columns, "you combine the first chains of all runs: a run is a row"),
            "sums": (lambda f, r, z: (z + f.logsumexp(1).mean(), z - r.logsumexp(1).mean()), "the sum of the weights, not their mean: subtract the logarithm of the number of chains"),
        }),
        Part(name="statements", right=_STATEMENTS, misconceptions={
            "a bound in every run": ({_EVERY: True}, "one estimate may lie on either side: only its mean is below log Z"),
            "no side at all": ({_MEAN: False}, "Jensen: the mean logarithm of an unbiased estimate of Z is below log Z"),
            "a safe likelihood": ({_LIKELIHOOD: True}, "log p(x) = −F(x) − log Z: too small a log Z makes the likelihood too large, so it flatters"),
            "the wrong side": ({_REVERSE: False}, "backwards the weights estimate Z_0 / Z without bias, and minus a logarithm turns Jensen round: too large on average"),
            "any chain will do": ({_CHAIN: True}, "a Gibbs chain may miss what forward AIS misses; then both agree on a wrong number"),
            "short is safe": ({_BAR: True}, "the bar shows the spread among the chains; what no chain has seen cannot widen it"),
        })),
))


def _rbm(W: Tensor, b: Tensor, c: Tensor) -> RBM:
    rbm = RBM(*W.shape).double().requires_grad_(False)
    rbm.load_state_dict({"W": W.double(), "b": b.double(), "c": c.double()})
    return rbm


def _reconstruction(W: Tensor, b: Tensor, c: Tensor, x: Tensor) -> Tensor:
    h = all_states(W.shape[1])
    p_h = torch.softmax((x @ W + c) @ h.T, 1)                                           # (N, 2**H)
    error = ((x[:, None] - torch.sigmoid(b + h @ W.T)) ** 2).sum(2)                     # (N, 2**H)
    return (p_h * error).sum(1).mean()


def _minus_free_energy(W: Tensor, b: Tensor, c: Tensor, x: Tensor) -> Tensor:
    return (x @ b + torch.nn.functional.softplus(x @ W + c).sum(1)).mean()


def _two_scores(W: Tensor, b: Tensor, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return _reconstruction(W, b, c, x), _minus_free_energy(W, b, c, x) - log_partition(_rbm(W, b, c))


def _through_means(W: Tensor, b: Tensor, c: Tensor, x: Tensor) -> Tensor:
    return ((x - torch.sigmoid(b + torch.sigmoid(x @ W + c) @ W.T)) ** 2).sum(1).mean()


def _over_the_data(W: Tensor, b: Tensor, c: Tensor, x: Tensor) -> Tensor:
    scores = x @ b + torch.nn.functional.softplus(x @ W + c).sum(1)
    return (scores - scores.logsumexp(0)).mean()


def _machines(rng):
    def case(scale: float, n: int) -> tuple:
        W, b, c = (scale * torch.randn(*shape, generator=rng, dtype=_F64) for shape in ((6, 4), (6,), (4,)))
        return W, b, c, torch.bernoulli(torch.full((n, 6), 0.5, dtype=_F64), generator=rng)
    return {"random model": case(1.0, 12), "strong weights": case(4.0, 7)}


two_scores = register(Exercise(
    id="3.6", name="two_scores", title="Two rankings of two machines", level="stretch", minutes=30, chapter=CHAPTER,
    success="both scores exact, and they rank the two machines in opposite order",
    hints=("*Nudge.* Reconstruction: h is drawn, so average the error over all $2^H$ of its states with $p(h\\mid x)$. Likelihood: who is missing beside $-F(x)$?",
           r"*Equation.* $\frac1N\sum_n\sum_h p(h\mid x_n)\sum_i\big(x_{ni}-\sigma(b+Wh)_i\big)^2$, and $\frac1N\sum_n-F(x_n)-\log Z$ with $\log Z=\log\sum_h e^{c^{\mathsf T}h}\prod_i(1+e^{b_i+(Wh)_i})$.",
           "*Pseudo-code.* `h = all_states(H)`; `p_h = softmax((x @ W + c) @ h.T, 1)`; error of each pair (n, h), weighted by p_h. `log_z = logsumexp(h @ c + softplus(h @ W.T + b).sum(1), 0)`."),
    parts=(
        Part(name="two_scores", right=_two_scores, inputs=_machines, misconceptions={
            "no log Z": (lambda W, b, c, x: (_reconstruction(W, b, c, x), _minus_free_energy(W, b, c, x)), "−F(x) is not yet a log-likelihood: subtract log Z, which differs from model to model"),
            "plus log Z": (lambda W, b, c, x: (_reconstruction(W, b, c, x), _minus_free_energy(W, b, c, x) + log_partition(_rbm(W, b, c))), "log p = −F − log Z: the normaliser is subtracted"),
            "the data is all there is": (lambda *m: (_reconstruction(*m), _over_the_data(*m)), "you normalise over the given images; Z runs over all 2^V states, and the others get probability too"),
            "through the means": (lambda *m: (_through_means(*m), _two_scores(*m)[1]), "you push p(h = 1 | x) through the machine; h is drawn, so average the error over its states"),
            "per pixel": (lambda *m: (_two_scores(*m)[0] / 6, _two_scores(*m)[1]), "the error of an image is a sum over its pixels; you averaged"),
            "sum over images": (lambda *m: tuple(len(m[3]) * score for score in _two_scores(*m)), "average over the images, do not add them up"),
            "the other way round": (lambda *m: _two_scores(*m)[::-1], "first the reconstruction error, then the log-likelihood"),
        }),
        Part(name="ranking", right={"better reconstruction": "A", "better likelihood": "B"}, misconceptions={
            "they agree on A": ({"better likelihood": "A"}, "A copies its input and believes in every picture alike: compare the log-likelihoods, nearer to 0 is better"),
            "they agree on B": ({"better reconstruction": "B"}, "compare the errors again: less is better"),
        })),
))

_N = 8


def _cheat(n: int, strength: float = 24.0) -> tuple[Tensor, Tensor, Tensor]:
    half = torch.full((n,), -strength / 2, dtype=_F64)
    return strength * torch.eye(n, dtype=_F64), half, half


def _excess(answer, n: int) -> Tensor:
    """(largest reconstruction error above 0.01, largest log-likelihood above -n log 2 + 0.01), both cut off at 0."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 3:
        raise ValueError("return three tensors: W (V, H), b (V,), c (H,)")
    W, b, c = (torch.as_tensor(part, dtype=_F64).detach() for part in answer)
    if W.ndim != 2 or W.shape[0] != n or b.shape != (n,) or c.shape != (W.shape[1],):
        raise ValueError(f"W is {tuple(W.shape)}, b {tuple(b.shape)}, c {tuple(c.shape)}; expected ({n}, H), ({n},), (H,)")
    if W.shape[1] > 12 or not all(part.isfinite().all() and part.abs().max() <= 100 for part in (W, b, c)):
        raise ValueError("use at most 12 hidden units and numbers from -100 to 100")
    x = all_states(n)
    errors = torch.stack([_reconstruction(W, b, c, row[None]) for row in x])
    log_p = torch.log_softmax(x @ b + torch.nn.functional.softplus(x @ W + c).sum(1), 0)
    return torch.stack([(errors.max() - 0.01).clamp_min(0), (log_p.max() + n * LOG_2 - 0.01).clamp_min(0)])


cheat = register(Exercise(
    id="3.7", name="cheat", title="Build the perfect cheat", level="project", minutes=40, chapter=CHAPTER,
    success="it reconstructs every picture and believes in none",
    hints=("*Nudge.* Give each pixel a hidden unit of its own. When should that unit be on? And what must hold for the pixel being on and being off, if both are to be equally likely?",
           r"*Equation.* For one pair, $\sum_h e^{svh+bv+ch}$ is $1+e^c$ at $v=0$ and $e^b(1+e^{s+c})$ at $v=1$. They are equal for $b=c=-s/2$.",
           "*Pseudo-code.* W is s times the identity, b and c are both filled with −s/2. Choose s so large that σ(−s/2) is tiny, and below 100."),
    parts=(Part(
        right=_cheat, inputs=lambda _: {"8 pixels": (_N,), "5 pixels": (5,)}, measure=_excess, atol=1e-9, rtol=1e-6, expected=lambda n: torch.zeros(2, dtype=_F64),
        quantity="(reconstruction error above 0.01, log-likelihood above that of fair coins)",
        misconceptions={
            "no biases": (lambda n: (_cheat(n)[0], torch.zeros(n, dtype=_F64), torch.zeros(n, dtype=_F64)),
                          "without biases a pixel that is on is far likelier than one that is off, and units that see nothing are undecided: balance both with b and c"),
            "nothing learned": (lambda n: tuple(0 * part for part in _cheat(n)), "fair coins have the likelihood you want but reconstruct nothing: the hidden units must carry the picture"),
            "too weak": (lambda n: _cheat(n, 4.0), "the balance is right but the copies are unsure: make the weights larger"),
            "hidden bias only": (lambda n: (_cheat(n)[0], torch.zeros(n, dtype=_F64), _cheat(n)[2]), "the hidden units are balanced, the pixels are not: b needs the same −s/2"),
            "full price": (lambda n: (_cheat(n)[0], 2 * _cheat(n)[1], 2 * _cheat(n)[2]), "with b = c = −s a lit pair gains nothing: it costs 2s and brings s. Half of that is right"),
        }),)))
