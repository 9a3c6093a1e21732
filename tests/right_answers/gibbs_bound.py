"""Right answers of chapter 01, written in other ways than the checks' own."""
import math

import torch

from deepgen_lib import e_step, entropy, fit_em, gibbs_bound, m_step
from deepgen_lib.mixture import mixture_bound


def first_by_entr(log_joint, q):
    return (q * log_joint + torch.special.entr(q)).sum(-1)


def first_by_einsum(log_joint, q):
    return torch.einsum("bk,bk->b", q, log_joint) - torch.where(q > 0, q * q.clamp_min(1e-300).log(), 0.0).sum(-1)


def second_by_terms(log_likelihood, log_prior, q):
    return (q * log_likelihood).sum(-1) + (q * log_prior).sum(-1) + entropy(q)


def second_by_kl(log_likelihood, log_prior, q):
    divergence = (torch.xlogy(q, q) - q * log_prior).sum(-1)
    return (q * log_likelihood).sum(-1) - divergence


def third_by_kl(log_joint, q):
    log_p = torch.logsumexp(log_joint, -1)
    return log_p - (torch.xlogy(q, q) - q * log_joint.log_softmax(-1)).sum(-1)


def third_by_hand(log_joint, q):
    log_p = log_joint.exp().sum(-1).log()
    log_posterior = log_joint - log_p[..., None]
    return log_p + (q * log_posterior).sum(-1) + torch.special.entr(q).sum(-1)


def product_by_grid(log_joint):
    on = torch.linspace(0, 1, 401, dtype=torch.float64)
    q = torch.stack([torch.outer(a, b) for a in (1 - on, on) for b in (1 - on, on)], -1)
    a, b = divmod(int(gibbs_bound(log_joint.flatten(), q).argmax()), 401)
    return on[a], on[b]


def product_by_gradient(log_joint):
    logits = torch.tensor([[2.0, -2.0], [-2.0, 2.0], [2.0, 2.0], [-2.0, -2.0]], dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.3)
    for _ in range(400):
        a, b = logits.sigmoid().unbind(1)
        bound = gibbs_bound(log_joint.flatten(), torch.stack([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b], 1))
        adam.zero_grad()
        (-bound.sum()).backward()
        adam.step()
    return logits.sigmoid()[bound.argmax()].detach()


def audit_by_levels(mixture, x, q_old):
    q = e_step(mixture, x)
    new = m_step(x, q)
    bound = [mixture_bound(mixture, x, q_old).mean(), mixture_bound(mixture, x, q).mean(), mixture_bound(new, x, q).mean()]
    log_p = [mixture.log_likelihood(x).mean(), mixture.log_likelihood(x).mean(), new.log_likelihood(x).mean()]
    return torch.stack([torch.stack(bound).diff(), torch.stack(log_p).diff()], 1)


def audit_by_gaps(mixture, x, q_old):
    q = e_step(mixture, x)
    new = m_step(x, q)
    before, after = mixture.log_likelihood(x).mean(), new.log_likelihood(x).mean()
    old_gap = before - mixture_bound(mixture, x, q_old).mean()
    new_gap = after - mixture_bound(new, x, q).mean()
    return [[old_gap, 0.0], [after - before - new_gap, after - before]]


def m_step_by_einsum(x, q):
    return q.sum(0) / len(q), torch.einsum("nk,nv->kv", q, x) / torch.einsum("nk->k", q)[:, None]


def m_step_by_loop(x, q):
    shares = q / q.sum(0)
    return q.mean(0), torch.stack([(shares[:, k, None] * x).sum(0) for k in range(q.shape[1])])


def e_step_by_shift(log_joint):
    top = log_joint.max(1, keepdim=True).values
    log_p = top + (log_joint - top).exp().sum(1, keepdim=True).log()
    return (log_joint - log_p).exp(), log_p[:, 0]


def e_step_by_rows(log_joint):
    log_p = torch.stack([row.max() + torch.log1p((row.sort(descending=True).values[1:] - row.max()).exp().sum()) for row in log_joint])
    return log_joint.log_softmax(1).exp(), log_p


def scores_by_loop(train, valid, candidates):
    scores = []
    for n_components, smoothing in candidates:
        rng = torch.Generator().manual_seed(0)
        scores.append(fit_em(train, n_components=n_components, n_steps=20, smoothing=smoothing, rng=rng).mixture.log_likelihood(valid).mean().item())
    return torch.tensor(scores, dtype=torch.float64)


def scores_by_weights(train, valid, candidates):
    def score(n_components, smoothing):
        result = fit_em(train, n_components=n_components, n_steps=20, smoothing=smoothing, rng=torch.Generator().manual_seed(0))
        return torch.logsumexp(result.mixture.log_joint(valid), 1).sum() / len(valid)
    return [score(*candidate) for candidate in candidates]


RIGHT = {
    "1.1": [(first_by_entr, second_by_terms, third_by_kl), (first_by_einsum, second_by_kl, third_by_hand)],
    "1.2": [(product_by_grid, math.log(2)), (product_by_gradient, torch.tensor(0.6931))],
    "1.3": [audit_by_levels, audit_by_gaps],
    "1.4": [m_step_by_einsum, m_step_by_loop],
    "1.5": [e_step_by_shift, e_step_by_rows],
    "1.6": [scores_by_loop, scores_by_weights],
}
