"""The Gibbs variational principle and the bound on log p(x), term by term, for a hidden variable with K values.

    log Z = log Σ_k exp(f_k) = max_q  E_q[f] + H(q)          attained only at q = softmax(f)

With f_k = log p(x, h_k) this is log p(x) and its bound; the gap is KL(q ‖ p(h | x)). Every function works row by row
on tensors (..., K), in nats. `log_joint` and `log_prior` may hold -inf for values that cannot occur.
"""
import math
from typing import NamedTuple

import torch
from torch import Tensor

from .validate import require_count, require_probabilities, require_tensor

MAX_DRAWS = 2**20  # K^S in importance_weighted_bound


class BoundTerms(NamedTuple):
    """bound = reconstruction + prior + entropy, each (...,) in nats."""
    reconstruction: Tensor  # E_q[log p(x | h)]
    prior: Tensor           # E_q[log p(h)]
    entropy: Tensor         # H(q) = -E_q[log q(h)]

    @property
    def total(self) -> Tensor:
        """E_q[log p(x | h)] + E_q[log p(h)] + H(q) <= log p(x)."""
        return self.reconstruction + self.prior + self.entropy


def entropy(q: Tensor) -> Tensor:
    """H(q) = -Σ_k q_k log q_k, with 0 log 0 = 0.  (..., K) -> (...,) nats, between 0 and log K."""
    require_probabilities("entropy", "q", q)
    return -torch.special.xlogy(q, q).sum(-1)


def gibbs_bound(log_joint: Tensor, q: Tensor) -> Tensor:
    """E_q[f] + H(q), never above log Σ_k exp(f_k).  f = log_joint (..., K), q (..., K) -> (...,) nats."""
    require_probabilities("gibbs_bound", "q", q)
    _require_log("gibbs_bound", "log_joint", log_joint, q)
    return _expectation(q, log_joint) + entropy(q)


def importance_weighted_bound(log_joint: Tensor, q: Tensor, *, n_draws: int) -> Tensor:
    """E[log 1/S Σ_s exp(f_k_s) / q_k_s] over S = n_draws independent draws k_s ~ q, exactly: all K^S of them are gone through.

    S = 1 is gibbs_bound; it rises with S and never above log Σ_k exp(f_k) (Burda, Grosse & Salakhutdinov 2016, theorem 1).  (..., K), (..., K) -> (...,) nats.
    """
    require_probabilities("importance_weighted_bound", "q", q)
    _require_log("importance_weighted_bound", "log_joint", log_joint, q)
    require_count("importance_weighted_bound", "n_draws", n_draws, maximum=max(1, int(math.log(MAX_DRAWS) / math.log(max(q.shape[-1], 2)))))
    log_w = torch.where(q > 0, log_joint - q.log(), 0.0)  # a k that q never draws counts for nothing
    k = torch.cartesian_prod(*[torch.arange(q.shape[-1])] * n_draws).view(-1, n_draws)
    chance = q[..., k].prod(-1)
    return _expectation(chance, log_w[..., k].logsumexp(-1) - math.log(n_draws))


def log_normaliser(log_joint: Tensor) -> Tensor:
    """log Σ_k exp(f_k): log Z, or log p(x).  (..., K) -> (...,) nats."""
    _require_log("log_normaliser", "log_joint", log_joint)
    return torch.logsumexp(log_joint, -1)


def posterior(log_joint: Tensor) -> Tensor:
    """p(h_k | x) = softmax(f)_k, the Gibbs distribution.  (..., K) -> (..., K)."""
    _require_log("posterior", "log_joint", log_joint)
    return torch.softmax(log_joint, -1)


def gap(log_joint: Tensor, q: Tensor) -> Tensor:
    """log_normaliser - gibbs_bound = KL(q ‖ posterior) >= 0.  (..., K), (..., K) -> (...,) nats."""
    return log_normaliser(log_joint) - gibbs_bound(log_joint, q)


def kl_divergence(q: Tensor, p: Tensor) -> Tensor:
    """KL(q ‖ p) = Σ_k q_k log(q_k / p_k) >= 0, infinite where q has mass that p lacks.  (..., K), (..., K) -> (...,) nats."""
    require_probabilities("kl_divergence", "q", q)
    require_probabilities("kl_divergence", "p", p)
    _require_same_k("kl_divergence", "p", p, q)
    return -_expectation(q, p.log()) - entropy(q)


def bound_terms(log_likelihood: Tensor, log_prior: Tensor, q: Tensor) -> BoundTerms:
    """Split the bound: log p(x | h_k) (..., K), log p(h_k) (K,) or (..., K), q (..., K) -> BoundTerms, each (...,) nats."""
    require_probabilities("bound_terms", "q", q)
    _require_log("bound_terms", "log_likelihood", log_likelihood, q)
    _require_log("bound_terms", "log_prior", log_prior, q)
    return BoundTerms(_expectation(q, log_likelihood), _expectation(q, log_prior), entropy(q))


def _expectation(q: Tensor, f: Tensor) -> Tensor:
    """Σ_k q_k f_k with 0 · (-inf) = 0.  (..., K), (..., K) -> (...,)."""
    return torch.where(q > 0, q * f, 0.0).sum(-1)


def _require_log(where: str, name: str, f: Tensor, q: Tensor | None = None) -> None:
    require_tensor(where, name, f)
    if f.ndim == 0 or f.numel() == 0:
        raise ValueError(f"{where}: {name} has shape {tuple(f.shape)}, expected (..., K): one log value per state of h along the last axis")
    if torch.isnan(f).any() or (f == torch.inf).any():
        raise ValueError(f"{where}: {name} contains NaN or +inf, expected log values (numbers or -inf); take logs of positive numbers")
    if q is not None:
        _require_same_k(where, name, f, q)


def _require_same_k(where: str, name: str, f: Tensor, q: Tensor) -> None:
    if f.shape[-1] != q.shape[-1]:
        raise ValueError(f"{where}: {name} has {f.shape[-1]} states and q has {q.shape[-1]}, expected the same K along the last axis; list the states once")
    try:
        torch.broadcast_shapes(f.shape, q.shape)
    except RuntimeError:
        raise ValueError(f"{where}: {name} {tuple(f.shape)} and q {tuple(q.shape)} do not line up, expected one row of q per row of {name}; give every example its own distribution") from None
