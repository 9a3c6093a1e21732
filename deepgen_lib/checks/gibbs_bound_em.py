"""Exercises of chapter 01 on EM: audited, written, and used to choose a model."""
import torch
from torch import Tensor

from ..mixture import BernoulliMixture, e_step, fit_em, m_step, mixture_bound, random_mixture
from ..toy_data import toy_prototypes
from .engine import Exercise, Part, register
from .gibbs_bound import CHAPTER, distributions

_F64 = torch.float64


def _fit_inputs(rng):
    toy = toy_prototypes(weights=torch.tensor([0.5, 0.3, 0.2], dtype=_F64), flip=0.15)
    cases = {}
    for case, n in (("40 pictures", 40), ("25 pictures", 25)):
        x = toy.sample(n, rng)
        cases[case] = (random_mixture(x, n_components=3, rng=rng), x, distributions(n, 3, rng))
    return cases


def _levels(mixture: BernoulliMixture, x: Tensor, q: Tensor) -> Tensor:
    """(bound, log-likelihood), means per example."""
    return torch.stack([mixture_bound(mixture, x, q).mean(), mixture.log_likelihood(x).mean()])


def _audit(mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> Tensor:
    """What E and then M change: rows E, M; columns bound, log-likelihood."""
    return _three_levels(mixture, x, q_old).diff(dim=0)


def _audit_refreshed(mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> Tensor:
    q = e_step(mixture, x)
    new = m_step(x, q)
    return torch.stack([_levels(mixture, x, q) - _levels(mixture, x, q_old), _levels(new, x, e_step(new, x)) - _levels(mixture, x, q)])


def _audit_stale(mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> Tensor:
    q, new = e_step(mixture, x), m_step(x, q_old)
    return torch.stack([_levels(mixture, x, q) - _levels(mixture, x, q_old), _levels(new, x, q_old) - _levels(mixture, x, q)])


def _audit_stale_model(mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> Tensor:
    q, new = e_step(mixture, x), m_step(x, q_old)
    return torch.stack([_levels(mixture, x, q) - _levels(mixture, x, q_old), _levels(new, x, q) - _levels(mixture, x, q)])


def _audit_m_first(mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> Tensor:
    """M with the old q, then E: the rows still say E, M."""
    new = m_step(x, q_old)
    after_m = _levels(new, x, q_old)
    return torch.stack([_levels(new, x, e_step(new, x)) - after_m, after_m - _levels(mixture, x, q_old)])


def _three_levels(mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> Tensor:
    """The levels themselves, before E, after E, after M.  -> (3, 2)."""
    q = e_step(mixture, x)
    return torch.stack([_levels(mixture, x, q_old), _levels(mixture, x, q), _levels(m_step(x, q), x, q)])


def _are_levels(output, mixture: BernoulliMixture, x: Tensor, q_old: Tensor) -> bool:
    got, levels = torch.as_tensor(output, dtype=_F64), _three_levels(mixture, x, q_old)
    return any(got.shape == some.shape and torch.allclose(got, some, rtol=1e-4) for some in (levels, levels[:2], levels[1:]))


em_audit = register(Exercise(
    id="1.3", name="em_audit", title="EM audit: who moved what?", level="core", minutes=15, chapter=CHAPTER,
    success="E moves the bound alone; M moves both, the likelihood further",
    hints=("*Nudge.* Four numbers need three moments: before E, between E and M, after M. At each moment, which q and which model are in force?",
           r"*Equation.* bound$(\theta,q)$ = mean of `mixture_bound(mixture, x, q)`; log-likelihood$(\theta)$ = mean of `mixture.log_likelihood(x)`, in which no $q$ occurs.",
           "*Pseudo-code.* `q = e_step(mixture, x)`, `new = m_step(x, q)`. Levels at (mixture, q_old), (mixture, q), (new, q). Differences of neighbours, stacked into (2, 2)."),
    parts=(Part(right=_audit, inputs=_fit_inputs, axes=("half-step", "quantity"), rtol=1e-4, misconceptions={
        "bound = likelihood": (lambda m, x, q: _audit(m, x, q)[:, :1].expand(2, 2), "you report the bound twice: the log-likelihood knows no q, so the E-step cannot move it"),
        "likelihood = bound": (lambda m, x, q: _audit(m, x, q)[:, 1:].expand(2, 2), "you report the likelihood twice: the bound depends on q, so the E-step does move it"),
        "q refreshed": (_audit_refreshed, "you measured the bound after M with a fresh q: that is the next E-step already; M leaves q as it is"),
        "q not renewed": (_audit_stale, "your M-step used q_old: it must use the q that the E-step has just made"),
        "model from q_old": (_audit_stale_model, "your new model is m_step(x, q_old): the M-step averages with the q of the E-step, m_step(x, q)"),
        "M first": (_audit_m_first, "you did M first, then E: here E comes first, and M uses its q"),
        "M first, in this order": (lambda m, x, q: _audit_m_first(m, x, q).flip(0), "your rows are M, then E, in the order in which you did them: start with E, and give its q to M"),
        "levels": (lambda m, x, q: _three_levels(m, x, q)[1:], "these are the levels; asked are the changes: after minus before, for each half-step", _are_levels),
        "sums": (lambda m, x, q: _audit(m, x, q) * len(x), "these are sums over the pictures; the course reports nats per example: take means"),
        "transposed": (lambda m, x, q: _audit(m, x, q).T, "rows are the half-steps (E, M), columns the quantities (bound, log-likelihood): transpose"),
    }),)))


def _m_step_inputs(rng):
    x = torch.bernoulli(torch.full((12, 5), 0.4, dtype=_F64), generator=rng)
    return {"12 pictures, 3 components": (x, distributions(12, 3, rng)), "3 pictures, 3 components": (x[:3], distributions(3, 3, rng))}


def _weighted(x: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    return q.mean(0), q.T @ x / q.sum(0)[:, None]


def _hard(x: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    hard = torch.nn.functional.one_hot(q.argmax(1), q.shape[1]).double()
    return hard.mean(0), hard.T @ x / hard.sum(0).clamp_min(1e-12)[:, None]


my_m_step = register(Exercise(
    id="1.4", name="my_m_step", title="The M-step is an average", level="core", minutes=10, chapter=CHAPTER,
    success="weights are mean shares, means are weighted averages",
    hints=("*Nudge.* Picture n belongs to component k with weight q[n, k]. How many pictures does k have, counted in fractions?",
           r"*Equation.* All sums over $n$ at once are one matrix product: $\sum_nq_{nk}x_{ni}=(q^{\mathsf T}x)_{ki}$, of shapes (K, N) and (N, V). "
           "Row k is divided by one number, the count of k: (K,) must become (K, 1).",
           "*Pseudo-code.* counts = sum of q over pictures, (K,). weights = counts / N. means = (q transposed @ x) / counts, with counts as a column."),
    parts=(Part(right=_weighted, inputs=_m_step_inputs, axes=("K", "V"), misconceptions={
        "divided by N": (lambda x, q: (q.mean(0), q.T @ x / len(x)), "you divide by the number of all pictures: each component's mean is divided by its own count Σ_n q_nk"),
        "not divided": (lambda x, q: (q.mean(0), q.T @ x), "the sums are not divided by the counts Σ_n q_nk, so these are no means"),
        "counts": (lambda x, q: (q.sum(0), _weighted(x, q)[1]), "your weights are counts: divide by N, so that they add up to one"),
        "hard": (_hard, "each picture went whole to its likeliest component, as in k-means: EM shares it out by q"),
        "unweighted": (lambda x, q: (q.mean(0), x.mean(0).expand(q.shape[1], -1)), "every component got the mean of all pictures: weight them by q"),
        "components normalised": (lambda x, q: (q.mean(0), q.T @ x / (q.T @ x).sum(0)), "you normalised over the components; a mean is normalised over the pictures"),
    }),)))


def _e_step_inputs(rng):
    small = torch.randn(4, 3, generator=rng, dtype=_F64)
    return {"small numbers": (small,), "784 pixels": (40 * small - 900,), "one easy and one hard picture": (torch.stack([small[0], small[1] - 2000]),)}


def _one_max(f: Tensor) -> tuple[Tensor, Tensor]:
    e = (f - f.max()).exp()
    return e / e.sum(1, keepdim=True), e.sum(1).log() + f.max()


def _naive(f: Tensor) -> tuple[Tensor, Tensor]:
    return f.exp() / f.exp().sum(1, keepdim=True), f.exp().sum(1).log()


def _patched(f: Tensor) -> tuple[Tensor, Tensor]:
    e = f.exp() + 1e-12
    return e / e.sum(1, keepdim=True), e.sum(1).log()


def _all_equal(output, f: Tensor) -> bool:
    """Whether pictures far below the smallest number got equal shares: something was added to exp(f)."""
    q = torch.as_tensor(output[0], dtype=_F64)
    return bool((f.max(1).values < -745).any() and (q[f.max(1).values < -745] - 1 / f.shape[1]).abs().max() < 1e-6)


my_e_step = register(Exercise(
    id="1.5", name="my_e_step", title="The E-step, without underflow", level="stretch", minutes=15, chapter=CHAPTER,
    success="q and log p(x), also at -2000 nats",
    hints=("*Nudge.* exp(-900) is 0 in every computer. But q does not change when you add the same number to all f of a picture.",
           r"*Equation.* With $c=\max_kf_k$ of that picture: $\log\sum_ke^{f_k}=c+\log\sum_ke^{f_k-c}$,  $q_k=e^{f_k-\log p(x)}$.",
           "*Pseudo-code.* c = largest f of each row, kept as a column. log_p = c + log of the row sum of exp(f - c). q = exp(f - log_p). Return q and log_p as (B,)."),
    parts=(Part(right=lambda f: (f.softmax(1), f.logsumexp(1)), inputs=_e_step_inputs, axes=("B", "K"), misconceptions={
        "naive": (_naive, "exp underflows to 0 where log p(x, k) is below -745, and 0/0 is NaN: subtract each row's maximum first"),
        "a small number added": (_patched, "a small number added to exp(f) makes all shares equal where everything underflows: subtract the row's maximum instead", _all_equal),
        "one maximum": (_one_max, "you subtract the maximum of the whole batch: a picture far below it still underflows; take each row's own"),
        "not added back": (lambda f: (f.softmax(1), (f - f.max(1, keepdim=True).values).exp().sum(1).log()), "log p(x) is short by the maximum that you subtracted: add it back"),
        "columns": (lambda f: (f.softmax(0), f.logsumexp(1)), "q adds up to one over the pictures; it must do so over the components of each picture"),
        "hard": (lambda f: (f.softmax(1), f.max(1).values), "log p(x) sums over the components; you took the largest term only"),
    }),)))


def _project_inputs(rng):
    toy = toy_prototypes(flip=0.15)
    return {"toy pictures": (toy.sample(30, rng), toy.sample(200, rng), [(1, 0.1), (3, 0.1), (12, 0.1), (12, 0.0)])}


def _one_generator(train: Tensor, valid: Tensor, candidates: list) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.stack([fit_em(train, n_components=k, n_steps=20, smoothing=s, rng=rng).mixture.log_likelihood(valid).mean() for k, s in candidates])


def _scores(train: Tensor, valid: Tensor, candidates: list, fit_on=None, score_on=None) -> Tensor:
    """Mean log-likelihood of the validation set for each (n_components, smoothing), fitted on the training set."""
    fit_on, score_on = train if fit_on is None else fit_on, valid if score_on is None else score_on
    fitted = [fit_em(fit_on, n_components=k, n_steps=20, smoothing=s, rng=torch.Generator().manual_seed(0)).mixture for k, s in candidates]
    return torch.stack([mixture.log_likelihood(score_on).mean() for mixture in fitted])


validation_scores = register(Exercise(
    id="1.6", name="validation_scores", title="Project: choose a model you may believe", level="project", minutes=60, chapter=CHAPTER,
    success="fitted on one set, scored on another",
    hints=("*Nudge.* Three sets, three jobs: one to fit, one to choose, one to report. Which of them may see which data?",
           r"*Equation.* score$(K,s)=\frac{1}{|V|}\sum_{x\in V}\log p(x\mid\hat\theta)$ with $\hat\theta$ fitted on the training set alone.",
           "*Pseudo-code.* For each (k, s): fit_em(train, n_components=k, n_steps=20, smoothing=s, rng=torch.Generator().manual_seed(0)).mixture; "
           "its log_likelihood(valid).mean(). Stack the numbers."),
    parts=(Part(right=lambda train, valid, candidates: _scores(train, valid, candidates), inputs=_project_inputs, axes=("candidate",), misconceptions={
        "scored on train": (lambda t, v, c: _scores(t, v, c, score_on=t), "you score on the training set: there more components always look better"),
        "fitted on valid": (lambda t, v, c: _scores(t, v, c, fit_on=v), "you fit on the validation set: it can then no longer tell a good model from one that memorised it"),
        "fitted on both": (lambda t, v, c: _scores(t, v, c, fit_on=torch.cat([t, v])), "the validation set leaked into the fit: fit on train alone"),
        "one generator": (_one_generator, "the first score is right, the later ones are not: every fit needs a generator of its own, seed 0, made inside the loop"),
        "sum": (lambda t, v, c: _scores(t, v, c) * len(v), "this is the sum over the set: report nats per picture, the mean"),
        "no smoothing": (lambda t, v, c: _scores(t, v, [(k, 0.0) for k, _ in c]), "the smoothing of the candidates is not passed on to fit_em"),
    }),)))
