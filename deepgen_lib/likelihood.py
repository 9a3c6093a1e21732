"""Log-likelihoods of single examples, in nats, summed over dimensions, never averaged over them."""
import math

import torch
from torch import Tensor

from .validate import require_binary, require_count, require_finite, require_tensor

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) = Σ_i x_i log p_i + (1 - x_i) log(1 - p_i), p = sigma(logits).  (..., V), (..., V) -> (...,) nats.  x binary."""
    _require_pair("bernoulli_log_likelihood", x, logits, "logits")
    require_binary("bernoulli_log_likelihood", "x", x)
    return (x * logits - torch.logaddexp(logits, logits.new_zeros(()))).sum(-1)


def normal_log_likelihood(x: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """log N(x; mu, sigma²) = Σ_i -(x_i - mu_i)² / 2 sigma_i² - log sigma_i - ½ log 2π.  (..., V) three times -> (...,) nats."""
    _require_pair("normal_log_likelihood", x, mu, "mu")
    _require_pair("normal_log_likelihood", x, log_sigma, "log_sigma")
    return normal_log_prob(x, mu, log_sigma)


def normal_log_prob(x: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
    """normal_log_likelihood without the questions, for inner loops; broadcasts."""
    return (-0.5 * ((x - mu) * torch.exp(-log_sigma)) ** 2 - log_sigma - HALF_LOG_2_PI).sum(-1)


def discretised_logistic_log_likelihood(x: Tensor, mu: Tensor, log_scale: Tensor) -> Tensor:
    """log p(x) = Σ_i log [σ((x_i + ½δ - mu_i) / s_i) - σ((x_i - ½δ - mu_i) / s_i)], δ = 1/255: a logistic density cut into 256 grey levels.  (..., V) three times -> (...,) nats.

    x on the levels 0, 1/255, ..., 1; the bins of 0 and 1 are open outwards, so the 256 probabilities sum to one (Kingma et al. 2016, eq. 9 of appendix A).
    """
    _require_pair("discretised_logistic_log_likelihood", x, mu, "mu")
    _require_pair("discretised_logistic_log_likelihood", x, log_scale, "log_scale")
    require_levels("discretised_logistic_log_likelihood", "x", x, 256)
    return log_level_mass((255 * x).round() / 255, mu, log_scale, ends=(0, 1), n_levels=256).sum(-1)


def log_level_mass(x: Tensor, mu: Tensor, log_scale: Tensor, *, ends: tuple[float, float], n_levels: int) -> Tensor:
    """log of a logistic density's mass in the bin of each x, elementwise: n_levels levels from ends[0] to ends[1], the outer bins open.  Nothing is checked.

    Between the ends log [σ(b) - σ(a)] by σ(b) σ(-a) (1 - e^(a-b)), which loses no digits in the tails.
    """
    half_step = (ends[1] - ends[0]) / (n_levels - 1) / 2
    slope = torch.exp(-log_scale)
    centre, half = (x - mu) * slope, half_step * slope
    zero = centre.new_zeros(())
    below_top = -torch.logaddexp(zero, -(centre + half))          # log σ(b)
    above_bottom = -torch.logaddexp(zero, centre - half)          # log σ(-a)
    between = below_top + above_bottom + torch.log(-torch.expm1(-2 * half))
    return torch.where(x < ends[0] + half_step, below_top, torch.where(x > ends[1] - half_step, above_bottom, between))


def require_levels(where: str, name: str, x: Tensor, n_levels: int) -> None:
    """Every entry of x is one of the n_levels levels from 0 to 1."""
    steps = x * (n_levels - 1)
    if x.min() < 0 or x.max() > 1 or (steps - steps.round()).abs().max() > 1e-3:
        raise ValueError(f"{where}: {name} runs from {x.min().item():.3g} to {x.max().item():.3g}, not all on a level, expected multiples of 1/{n_levels - 1} from 0 to 1; "
                         f"round: ({name} * {n_levels - 1}).round() / {n_levels - 1}")


def bits_per_dim(nats: Tensor, n_dims: int) -> Tensor:
    """-log p(x) in nats per example -> bits per dimension: nats / (n_dims · log 2).  Give it the *negative* log-likelihood.  (...,) -> (...,)."""
    require_tensor("bits_per_dim", "nats", nats)
    require_finite("bits_per_dim", "nats", nats)
    if nats.numel() == 0:
        raise ValueError(f"bits_per_dim: nats is empty, shape {tuple(nats.shape)}, expected at least one number; look where the examples were lost")
    require_count("bits_per_dim", "n_dims", n_dims)
    return nats / (n_dims * math.log(2))


def _require_pair(where: str, x: Tensor, other: Tensor, name: str) -> None:
    for label, t in (("x", x), (name, other)):
        require_tensor(where, label, t)
        if t.ndim == 0 or t.shape[-1] == 0 or t.numel() == 0:
            raise ValueError(f"{where}: {label} has shape {tuple(t.shape)}, expected (..., V) with at least one entry; one row per example")
        require_finite(where, label, t)
    if x.shape[-1] != other.shape[-1]:
        raise ValueError(f"{where}: x has {x.shape[-1]} columns and {name} has {other.shape[-1]}, expected the same; flatten images first")
    try:
        torch.broadcast_shapes(x.shape, other.shape)
    except RuntimeError:
        raise ValueError(f"{where}: x {tuple(x.shape)} and {name} {tuple(other.shape)} do not line up, expected as many rows; one row of {name} per row of x, or one for all") from None
    if x.dtype != other.dtype:
        raise ValueError(f"{where}: x is {x.dtype} and {name} is {other.dtype}, expected the same; convert one: x.to({name}.dtype)")
