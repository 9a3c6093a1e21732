"""Exact quantities of models small enough to enumerate: the oracle of everything else.

    log Z = log Σ_v Σ_h exp(-E(v, h))        one of the two sums is done in closed form, the other state by state

An RBM enters through its energy alone; use `.double()`, and the results are good to about 1e-12.
"""
import torch
from torch import Tensor

from .kernels import sum_softplus
from .rbm import RBM, require_independent_units
from .validate import require_choice, require_count, require_model, require_states

MAX_UNITS = 24  # 2**24 states: 16 million rows; float64 needs 3 GB for the states alone
_CHUNK = 2**14  # states per block, so that log Z of 24 units needs megabytes, not gigabytes


def all_states(n: int) -> Tensor:
    """All binary vectors of length n, counting up in binary, first column most significant.  -> (2**n, n) float64 of 0/1."""
    require_count("all_states", "n", n, maximum=MAX_UNITS)
    return _states(0, 2**n, n)


def state_numbers(states: Tensor) -> Tensor:
    """The row of all_states(n) in which each state stands.  (B, n) of 0/1 -> (B,) int64."""
    require_states("state_numbers", "states", states)
    require_count("state_numbers", "the number of columns", states.shape[1], maximum=MAX_UNITS)
    return (states.long() << torch.arange(states.shape[1] - 1, -1, -1)).sum(1)


def log_partition(rbm: RBM, *, side: str = "smaller") -> Tensor:
    """log Z in nats, exact; a differentiable scalar.

    side "visible" sums exp(-F(v)) over all v, "hidden" sums exp(bias terms) over all h, "smaller" takes the cheaper one. More than 24 units
    on that side are refused: use ais_log_partition.
    """
    require_choice("log_partition", "side", side, ("smaller", "visible", "hidden"))
    require_independent_units("log_partition", rbm)
    if side == "smaller":
        side = "visible" if rbm.n_visible <= rbm.n_hidden else "hidden"
    W, bias, other_bias = (rbm.W, rbm.b, rbm.c) if side == "visible" else (rbm.W.T, rbm.c, rbm.b)
    n = len(bias)
    if n > MAX_UNITS:
        raise ValueError(f"log_partition: {n} {side} units mean 2**{n} states, expected at most {MAX_UNITS} units; estimate it: ais_log_partition")
    blocks = []
    for start in range(0, 2**n, _CHUNK):
        s = _states(start, min(start + _CHUNK, 2**n), n).to(W)
        blocks.append(torch.logsumexp(s @ bias + sum_softplus(s @ W + other_bias), 0))
    return torch.logsumexp(torch.stack(blocks), 0)


def visible_log_prob(rbm: RBM) -> Tensor:
    """log p(v) for every v, in the order of all_states(V).  -> (2**V,) nats."""
    require_independent_units("visible_log_prob", rbm)
    states = all_states(rbm.n_visible).to(rbm.W)
    return torch.log_softmax(-rbm.free_energy(states), 0)


def joint_log_prob(rbm: RBM) -> Tensor:
    """log p(v, h) for every pair.  -> (2**V, 2**H) nats; V + H <= 24."""
    require_independent_units("joint_log_prob", rbm)
    require_count("joint_log_prob", "n_visible + n_hidden", rbm.n_visible + rbm.n_hidden, maximum=MAX_UNITS)
    v, h = all_states(rbm.n_visible).to(rbm.W), all_states(rbm.n_hidden).to(rbm.W)
    minus_energy = v @ rbm.W @ h.T + (v @ rbm.b)[:, None] + h @ rbm.c
    return minus_energy - torch.logsumexp(minus_energy.flatten(), 0)


def hidden_posterior(rbm: RBM, v: Tensor) -> Tensor:
    """p(h | v) for every h, in the order of all_states(H).  (B, V) -> (B, 2**H), rows sum to one."""
    require_model("hidden_posterior", "rbm", rbm, "RBM")
    require_states("hidden_posterior", "v", v, rbm.n_visible, dtype=rbm.W.dtype)
    h = all_states(rbm.n_hidden).to(rbm.W)
    return torch.softmax(rbm.hidden_logits(v) @ h.T, 1)  # E(v, h) up to a term without h


def exact_log_likelihood(rbm: RBM, v: Tensor) -> Tensor:
    """log p(v) = -F(v) - log Z in nats, log Z by enumeration.  (B, V) -> (B,)."""
    require_model("exact_log_likelihood", "rbm", rbm, "RBM")
    return -rbm.free_energy(v) - log_partition(rbm)


def gibbs_transition_matrix(rbm: RBM) -> Tensor:
    """T[v, v'] = Σ_h p(h | v) p(v' | h), the sweep v -> h -> v'.  -> (2**V, 2**V), rows sum to one; V + H <= 24."""
    joint = joint_log_prob(rbm)
    h_given_v = torch.log_softmax(joint, 1)          # (2**V, 2**H)
    v_given_h = torch.log_softmax(joint, 0)          # (2**V, 2**H)
    return h_given_v.exp() @ v_given_h.exp().T


def _states(start: int, stop: int, n: int) -> Tensor:
    """Rows start..stop of all_states(n)."""
    codes = torch.arange(start, stop)[:, None]
    return ((codes >> torch.arange(n - 1, -1, -1)) & 1).double()
