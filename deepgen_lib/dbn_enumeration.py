"""Every probability of a tiny DBN, one axis per layer: the oracle of the chapters on deep belief networks.

    axis t of a result runs over all_states(n_t)          rows of x (B, n_0) come first where x is given
"""
import torch
from torch import Tensor

from .dbn import DBN
from .dbn_bound import log_generation, log_recognition
from .enumeration import MAX_UNITS, all_states, joint_log_prob
from .validate import require_count, require_states
from .variational import kl_divergence


def dbn_joint_log_prob(dbn: DBN) -> Tensor:
    """log p(x, h¹, ..., hᴸ) = Σ_t log P(hᵗ⁻¹ | hᵗ) + log p(hᴸ⁻¹, hᴸ).  -> (2**n_0, ..., 2**n_L) nats; at most 24 units in all."""
    _require_dbn("dbn_joint_log_prob", dbn)
    require_count("dbn_joint_log_prob", "units in all", sum(dbn.n_units), maximum=MAX_UNITS)
    log_p = joint_log_prob(dbn.top)
    for t in range(len(dbn.directed), 0, -1):
        pair = log_generation(dbn, t)
        log_p = pair.reshape(*pair.shape, *[1] * (log_p.ndim - 1)) + log_p
    return log_p


def dbn_posterior(dbn: DBN, x: Tensor) -> Tensor:
    """p(h¹, ..., hᴸ⁻¹ | x), the top hidden layer summed out.  (B, n_0) -> (B, 2**n_1, ..., 2**n_{L-1}), rows sum to one."""
    log_p = _log_chain(dbn, x, "dbn_posterior") + dbn.layer_log_prob(len(dbn.directed))
    return torch.softmax(log_p.flatten(1), 1).reshape(log_p.shape)


def recognition_distribution(dbn: DBN, x: Tensor) -> Tensor:
    """q(h¹, ..., hᴸ⁻¹ | x) = Π_t Q(hᵗ | hᵗ⁻¹).  (B, n_0) -> (B, 2**n_1, ..., 2**n_{L-1}), rows sum to one."""
    _require_layers("recognition_distribution", dbn, x)
    log_q = log_recognition(dbn, 1, x)
    for t in range(2, len(dbn.recognition) + 1):
        log_q = log_q.unsqueeze(-1) + log_recognition(dbn, t)
    return log_q.exp()


def aggregated_posterior(dbn: DBN, x: Tensor, *, level: int = 1) -> Tensor:
    """Σ_x Q(h^level | x) / B, what the next layer is trained on.  (B, n_0) -> (2**n_level,), sums to one."""
    _require_layers("aggregated_posterior", dbn, x)
    require_count("aggregated_posterior", "level", level, maximum=len(dbn.recognition))
    q = log_recognition(dbn, 1, x).exp().mean(0)
    for t in range(2, level + 1):
        q = q @ log_recognition(dbn, t).exp()
    return q


def wake_kl(dbn: DBN, x: Tensor) -> Tensor:
    """KL(q(h | x) ‖ p(h | x)) = log p(x) - bound, what the wake phase's objective misses.  (B, n_0) -> (B,) nats."""
    return kl_divergence(recognition_distribution(dbn, x).flatten(1), dbn_posterior(dbn, x).flatten(1))


def sleep_kl(dbn: DBN) -> Tensor:
    """Σ_x p(x) KL(p(h | x) ‖ q(h | x)), what the sleep phase lowers: the other direction, on the model's own dreams.  -> scalar, nats."""
    _require_directed("sleep_kl", dbn)
    x = all_states(dbn.n_units[0]).to(dbn.top.W)
    return dbn.layer_log_prob(0).exp() @ kl_divergence(dbn_posterior(dbn, x).flatten(1), recognition_distribution(dbn, x).flatten(1))


def _log_chain(dbn: DBN, x: Tensor, where: str) -> Tensor:
    """Σ_t log P(hᵗ⁻¹ | hᵗ) for the rows of x.  -> (B, 2**n_1, ..., 2**n_{L-1})."""
    _require_layers(where, dbn, x)
    log_p = log_generation(dbn, 1, x)
    for t in range(2, len(dbn.directed) + 1):
        log_p = log_p.unsqueeze(-1) + log_generation(dbn, t)
    return log_p


def _require_dbn(where: str, dbn: DBN) -> None:
    if not isinstance(dbn, DBN):
        raise ValueError(f"{where}: dbn is {type(dbn).__name__}, expected a DBN; for one RBM write DBN([rbm])")


def _require_directed(where: str, dbn: DBN) -> None:
    _require_dbn(where, dbn)
    if not dbn.directed:
        raise ValueError(f"{where}: the DBN is one RBM of {dbn.n_units} units without a directed layer, expected a DBN of at least two RBMs; DBN.from_rbm(rbm) makes one")
    require_count(where, "units below the top", sum(dbn.n_units[:-1]), maximum=MAX_UNITS)


def _require_layers(where: str, dbn: DBN, x: Tensor) -> None:
    _require_directed(where, dbn)
    require_states(where, "x", x, dbn.n_units[0], dtype=dbn.top.W.dtype)
