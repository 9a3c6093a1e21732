"""Exercises of chapter 01 on the bound itself; those on EM stand in gibbs_bound_em.py."""
import math

import torch
from torch import Tensor

from ..variational import entropy, gap, gibbs_bound, kl_divergence, log_normaliser, posterior
from .engine import Exercise, Part, register

CHAPTER = "01_gibbs_bound"
_F64 = torch.float64
_TOLERANCE = 0.01  # nats of the gap in 1.2


def distributions(n: int, k: int, rng: torch.Generator) -> Tensor:
    """n distributions over k states, uniform over the simplex.  -> (n, k) float64."""
    shares = -torch.rand(n, k, generator=rng, dtype=_F64).log()
    return shares / shares.sum(1, keepdim=True)


def _log_joints(rng):
    f, q = 2 * torch.randn(4, 3, generator=rng, dtype=_F64) - 4, distributions(4, 3, rng)
    point = torch.eye(3, dtype=_F64)[:2]
    return {"random q": (f, q), "a q with zeros": (f[:2], point)}


def _models(rng):
    log_prior = distributions(1, 3, rng)[0].log()
    return {case: (f, log_prior, q) for case, (f, q) in _log_joints(rng).items()}


def _mean_f(f: Tensor, q: Tensor) -> Tensor:
    return (q * f).sum(-1)


def _second(log_likelihood: Tensor, log_prior: Tensor, q: Tensor) -> Tensor:
    return _mean_f(log_likelihood, q) - kl_divergence(q, log_prior.exp())


def _kl_to_prior_reversed(log_likelihood: Tensor, log_prior: Tensor, q: Tensor) -> Tensor:
    return _mean_f(log_likelihood, q) - (log_prior.exp() * (log_prior - q.log())).sum(-1)


def _kl_to_posterior_reversed(f: Tensor, q: Tensor) -> Tensor:
    return log_normaliser(f) - (posterior(f) * (posterior(f).log() - q.log())).sum(-1)


def _same_as(wrong):
    """Whether the answer is this wrong one on the first wrong case: a clamp against log 0 changes it only where q has zeros."""
    return lambda output, *arguments: torch.allclose(output.double(), wrong(*arguments), rtol=1e-4)


three_forms = register(Exercise(
    id="1.1", name="three_forms", title="One number, three ways", level="core", minutes=15, chapter=CHAPTER,
    success="three formulas, one bound, also where q has zeros",
    hints=("*Nudge.* Write each symbol as one line: an average over q is `(q * something).sum(-1)`. Which of your logarithms meets a zero?",
           r"*Equation.* $H(q)=-\sum_k q_k\log q_k$ with $0\log0=0$;  $\mathrm{KL}(q\Vert p)=\sum_k q_k(\log q_k-\log p_k)$;  $\log p(x)=\log\sum_k e^{f_k}$.",
           "*Pseudo-code.* `plogp = torch.special.xlogy(q, q).sum(-1)`. First: mean of f minus plogp. Second: mean of log_likelihood minus "
           "(plogp minus mean of log_prior). Third: logsumexp of f minus (plogp minus mean of log_softmax of f)."),
    parts=(
        Part(name="energy and entropy", right=gibbs_bound, inputs=_log_joints, axes=("B",), misconceptions={
            "entropy's sign": (lambda f, q: _mean_f(f, q) - entropy(q), "the entropy has the wrong sign: H(q) = -Σ q log q is added, it rewards a spread-out q"),
            "no entropy": (_mean_f, "the entropy is missing: E_q[f] alone is largest with all of q on one state, and then it is no log Z"),
            "zero log zero": (lambda f, q: _mean_f(f, q) - (q * q.log()).sum(-1), "0 · log 0 came out as NaN; its limit is 0: use torch.special.xlogy(q, q)"),
            "unweighted": (lambda f, q: f.mean(-1) + entropy(q), "E_q[f] weights each f_k by q_k; yours weights all states alike"),
            "energies": (lambda f, q: entropy(q) - _mean_f(f, q), "f is minus an energy already: E_q[f] enters with a plus"),
        }),
        Part(name="reconstruction and prior", right=_second, inputs=_models, axes=("B",), misconceptions={
            "KL's direction": (_kl_to_prior_reversed, "your KL is the wrong way round: it averages over the prior; KL(q ‖ p) averages over q", _same_as(_kl_to_prior_reversed)),
            "KL's sign": (lambda a, b, q: _mean_f(a, q) + kl_divergence(q, b.exp()), "you add the KL: leaving the prior has to cost, so it is subtracted"),
            "no prior": (lambda a, b, q: _mean_f(a, q) + entropy(q), "the prior is dropped: KL(q ‖ p(h)) holds -E_q[log p(h)] beside the entropy"),
            "no entropy": (lambda a, b, q: _mean_f(a, q) + _mean_f(b, q), "the entropy is dropped: KL(q ‖ p(h)) holds E_q[log q] beside the prior"),
            "posterior": (lambda a, b, q: _mean_f(a, q) - kl_divergence(q, posterior(a + b)), "this KL goes to the posterior; beside the reconstruction stands the KL to the prior"),
        }),
        Part(name="log p(x) and gap", right=lambda f, q: log_normaliser(f) - kl_divergence(q, posterior(f)), inputs=_log_joints, axes=("B",), misconceptions={
            "KL's direction": (_kl_to_posterior_reversed, "your KL averages over the posterior; the gap is KL(q ‖ posterior), an average over q", _same_as(_kl_to_posterior_reversed)),
            "KL's sign": (lambda f, q: log_normaliser(f) + kl_divergence(q, posterior(f)), "your bound lies above log p(x): the gap is subtracted"),
            "joint": (lambda f, q: log_normaliser(f) - (torch.special.xlogy(q, q) - q * f).sum(-1), "you compare q with p(x, h), which does not add up to one over h; the posterior is p(x, h) / p(x), so subtract log p(x) from f first"),
            "the best state": (lambda f, q: f.max(-1).values - kl_divergence(q, posterior(f)), "log p(x) sums over all states; you took the largest term only"),
            "no gap": (lambda f, q: log_normaliser(f), "this is log p(x) itself, whatever q is: the gap is missing"),
        }),
    )))


def _product_gap(answer, log_joint: Tensor) -> Tensor:
    """What the product with the chances (a, b) of the answer leaves below log p(x)."""
    ab = torch.as_tensor(answer, dtype=_F64).detach()
    if ab.shape != (2,) or not ((ab >= 0) & (ab <= 1)).all():
        raise ValueError(f"best_product returned {ab.tolist()}, expected two probabilities, q(h1=1) and q(h2=1)")
    first, second = torch.stack([1 - ab, ab], 1)
    return gap(log_joint.flatten(), torch.outer(first, second).flatten())


def _updated(log_joint: Tensor, other: Tensor, unit: int) -> Tensor:
    """The best q(h_unit = 1) when the other unit is on with chance `other`: a sigmoid of the expected log-odds."""
    odds = log_joint.diff(dim=unit).flatten()  # for the other unit off, on
    return torch.sigmoid((1 - other) * odds[0] + other * odds[1])


def _best_product(log_joint: Tensor) -> Tensor:
    """By coordinate ascent from nine starts at once; the best end wins."""
    b = torch.linspace(0.02, 0.98, 9, dtype=_F64)
    for _ in range(150):
        a = _updated(log_joint, b, 0)
        b = _updated(log_joint, a, 1)
    ends = torch.stack([a, b], 1)
    return min(ends, key=lambda end: _product_gap(end, log_joint))


def _stuck(log_joint: Tensor) -> Tensor:
    """Both units updated at once, from one half: on a symmetric landscape this never leaves the saddle."""
    a = b = torch.tensor(0.5, dtype=_F64)
    for _ in range(150):
        a, b = _updated(log_joint, b, 0), _updated(log_joint, a, 1)
    return torch.stack([a, b])


def _marginals(log_joint: Tensor) -> Tensor:
    p = posterior(log_joint.flatten()).reshape(2, 2)
    return torch.stack([p[1].sum(), p[:, 1].sum()])


def _mode(log_joint: Tensor) -> Tensor:
    best = int(log_joint.argmax())
    return torch.tensor([float(best // 2), float(best % 2)], dtype=_F64)


def _coarse(log_joint: Tensor) -> Tensor:
    """The best of a grid of ten values a side, without 0 and 1."""
    on = torch.linspace(0.05, 0.95, 10, dtype=_F64)
    return min(torch.cartesian_prod(on, on), key=lambda ab: _product_gap(ab, log_joint))


def _excess(ab, log_joint: Tensor) -> float:
    """By how much the gap of (a, b) exceeds the smallest one; that one itself is what the exercise asks for, so no message may show it."""
    return round((_product_gap(ab, log_joint) - _product_gap(_best_product(log_joint), log_joint)).item(), 4)


def _complemented(answer, log_joint: Tensor) -> bool:
    a, b = torch.as_tensor(answer, dtype=_F64)
    return any(_excess(torch.stack(ab), log_joint) < _TOLERANCE for ab in ((1 - a, 1 - b), (1 - a, b), (a, 1 - b)))


def _swapped(answer, log_joint: Tensor) -> bool:
    return _excess(torch.as_tensor(answer, dtype=_F64).flip(0), log_joint) < _TOLERANCE


def _pairs(rng):
    xor = torch.full((2, 2), -20.0, dtype=_F64)
    xor[0, 1] = xor[1, 0] = math.log(0.5)
    row, column = 2 * torch.randn(2, 2, generator=rng, dtype=_F64)
    coupling = 1.0 + torch.rand(1, generator=rng, dtype=_F64)
    apart = (row[:, None] + column) / 4
    apart[0, 1] += coupling[0]
    return {"two independent units": (row[:, None] + column,), "two coupled units": (apart,), "XOR": (xor,)}


best_product = register(Exercise(
    id="1.2", name="best_product", title="The gap that stays", level="core", minutes=20, chapter=CHAPTER,
    success="the best product, and what it cannot reach: log 2 on XOR",
    hints=("*Nudge.* There are only two numbers to choose, each between 0 and 1. What would you do if you could look at the whole landscape?",
           r"*Equation.* $q=\big((1-a)(1-b),\,(1-a)b,\,a(1-b),\,ab\big)$ in the order 00, 01, 10, 11; maximise `gibbs_bound(log_joint.flatten(), q)` over $(a,b)$.",
           "*Pseudo-code.* Make a grid of 201 values from 0 to 1; stack the four outer products into q (201, 201, 4); take the argmax of the bound; "
           "`divmod(index, 201)` gives the row, that is a, and the column, that is b."),
    parts=(
        Part(name="best_product", right=_best_product, inputs=_pairs, measure=_excess, atol=_TOLERANCE, rtol=0, quantity="distance to the smallest gap", misconceptions={
            "marginals": (_marginals, "these are the posterior's own marginals: right where the units are independent, but they minimise KL(p ‖ q); the bound wants KL(q ‖ p) small"),
            "mode": (_mode, "all of q on the single best state: the bound gains from a little entropy wherever that is cheap"),
            "saddle": (_stuck, "your ascent started at the saddle (1/2, 1/2), where both explanations pull equally, and stayed: start elsewhere, or search a grid"),
            "always half": (lambda f: torch.full((2,), 0.5, dtype=_F64), "one half for both is the most spread-out product, not the best one"),
            "swapped": (lambda f: _best_product(f).flip(0), "a and b are swapped: rows of log_joint belong to h1, columns to h2", _swapped),
            "off, not on": (lambda f: 1 - _best_product(f), "you return the chance of 0 where the chance of 1 is asked: a = q(h1=1), not 1 - a, and b likewise", _complemented),
            "coarse grid": (_coarse, "near the best product, but not near enough: your grid is too coarse (11 values a side are too few, 201 from 0 to 1 will do) or your search stopped early",
                            lambda answer, f: _excess(answer, f) < 0.1),
        }),
        Part(name="xor_gap", right=math.log(2), atol=2e-3, misconceptions={
            "closed": (0.0, "optimising closes every gap only when the family holds the posterior; no product is both 'h1 alone' and 'h2 alone'"),
            "negative": (-math.log(2), "a gap is never negative: it is log p(x) minus the bound, not the bound minus log p(x)"),
            "uniform": (2 * math.log(2), "that is twice too much: the best product sits on one of the two states, and a half is all it misses"),
            "rounded": (0.69, "close: give three decimals", lambda answer: 0 < abs(float(answer) - math.log(2)) < 0.02),
            "alarm": (0.29, "that is the gap of the alarm in section 1.4; XOR is another table", lambda answer: abs(float(answer) - 0.29) < 0.01),
            "bits": (1.0, "1 is the gap in bits; in nats it is a logarithm"),
            "probability": (0.5, "0.5 is the probability that q misses; the gap is a difference of logarithms"),
        }),
    )))
