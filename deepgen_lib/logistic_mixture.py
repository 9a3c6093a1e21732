"""A mixture of logistic densities cut into grey levels (Salimans et al. 2017, PixelCNN++, section 2.1-2.2).

    p(x) = Σ_k w_k [σ((x + ½δ - mu_k) / s_k) - σ((x - ½δ - mu_k) / s_k)]        x on the levels 0, δ, 2δ, ..., 1 with δ = 1 / (n_levels - 1)

The bins of 0 and 1 are open outwards, so the probabilities of all levels sum to one. In colour one component is chosen for the
whole pixel, and the means of green and blue lean on what came before, so that
    mu_g + a · r        mu_b + b · r + c · g        with r and g counted from -1 to 1
The network's numbers for a pixel, in this order:  grey: K weights, K means, K log scales;  colour: K weights, 3K means, 3K log scales, 3K coefficients a, b, c.
Means and scales live on [-1, 1], where a network's numbers are at home.   sizes: B pictures, C = 1 or 3 channels, K components
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .likelihood import log_level_mass, require_levels
from .validate import in_words, require_count, require_images, require_rng

LOG_SCALE_FLOOR = -7.0  # a logistic 2000 times narrower than the range lies inside one level of 256


class _Parts(NamedTuple):
    log_weights: Tensor   # (B, K, H, W), normalised
    means: Tensor         # (B, C, K, H, W)
    log_scales: Tensor    # (B, C, K, H, W)
    lean: Tensor | None   # (B, 3, K, H, W): a, b, c


def mixture_channels(n_channels: int, n_mixtures: int) -> int:
    """How many numbers a pixel needs: 3K in grey, 10K in colour."""
    _require_colours("mixture_channels", n_channels)
    require_count("mixture_channels", "n_mixtures", n_mixtures)
    return n_mixtures * (3 if n_channels == 1 else 10)


def logistic_mixture_log_likelihood(x: Tensor, parameters: Tensor, *, n_mixtures: int, n_levels: int = 256) -> Tensor:
    """log p(x) in nats, summed over pixels.  x (B, C, H, W) on the levels, parameters (B, mixture_channels(C, K), H, W) -> (B,)."""
    where = "logistic_mixture_log_likelihood"
    require_images(where, "x", x)
    require_count(where, "n_levels", n_levels, minimum=2)
    require_levels(where, "x", x, n_levels)
    _require_parameters(where, parameters, x.shape[1], n_mixtures)
    if parameters.shape[0] != x.shape[0] or parameters.shape[2:] != x.shape[2:] or parameters.dtype != x.dtype:
        raise ValueError(f"{where}: parameters are {tuple(parameters.shape)} {parameters.dtype} and x is {tuple(x.shape)} {x.dtype}, expected as many pictures of the same size and number type; "
                         "crop or convert one")
    return mixture_log_prob(x, parameters, n_mixtures, n_levels)


def mixture_log_prob(x: Tensor, parameters: Tensor, n_mixtures: int, n_levels: int) -> Tensor:
    """logistic_mixture_log_likelihood without the questions, for inner loops."""
    parts = _split(parameters, x.shape[1], n_mixtures)
    x = 2 * x - 1                                                    # levels on [-1, 1], 2δ apart
    means = parts.means
    if parts.lean is not None:
        means = torch.stack([means[:, 0], *_led(means, parts.lean, x[:, 0, None], x[:, 1, None])], 1)
    log_p = log_level_mass(x[:, :, None], means, parts.log_scales, ends=(-1, 1), n_levels=n_levels).sum(1)  # (B, K, H, W): one component for all channels of a pixel
    return torch.logsumexp(parts.log_weights + log_p, 1).sum((1, 2))


def sample_logistic_mixture(parameters: Tensor, *, n_channels: int, n_mixtures: int, n_levels: int = 256, rng: torch.Generator) -> Tensor:
    """Pictures on the levels, channel after channel.  (B, mixture_channels(C, K), H, W) -> (B, C, H, W)."""
    where = "sample_logistic_mixture"
    _require_colours(where, n_channels)
    require_count(where, "n_levels", n_levels, minimum=2)
    _require_parameters(where, parameters, n_channels, n_mixtures)
    require_rng(where, rng)
    parts = _split(parameters, n_channels, n_mixtures)
    uniform = lambda like: torch.rand(like.shape, generator=rng, dtype=like.dtype, device=rng.device).to(like.device)
    below = uniform(parts.log_weights[:, :1]) > parts.log_weights.exp().cumsum(1)[:, :-1]     # the component whose share of [0, 1] holds u
    chosen = below.sum(1)[:, None, None]                                                      # (B, 1, 1, H, W)
    pick = lambda value: value.gather(2, chosen.expand(-1, value.shape[1], -1, -1, -1))[:, :, 0]  # (B, C, H, W)
    means, log_scales = pick(parts.means), pick(parts.log_scales)
    spread = log_scales.exp() * torch.logit(uniform(means).clamp(1e-5, 1 - 1e-5))
    red = _round(means[:, 0] + spread[:, 0], n_levels)
    if parts.lean is None:
        return (red[:, None] + 1) / 2
    lean = pick(parts.lean)
    green = _round(means[:, 1] + lean[:, 0] * red + spread[:, 1], n_levels)
    blue = _round(means[:, 2] + lean[:, 1] * red + lean[:, 2] * green + spread[:, 2], n_levels)
    return (torch.stack([red, green, blue], 1) + 1) / 2


def logistic_mixture_mean(parameters: Tensor, *, n_channels: int, n_mixtures: int) -> Tensor:
    """The mixture's mean before it is cut into levels, held inside [0, 1]: a picture without noise.  (B, channels, H, W) -> (B, C, H, W)."""
    _require_colours("logistic_mixture_mean", n_channels)
    _require_parameters("logistic_mixture_mean", parameters, n_channels, n_mixtures)
    parts = _split(parameters, n_channels, n_mixtures)
    means = parts.means
    if parts.lean is not None:
        red = means[:, 0].clamp(-1, 1)
        green = (means[:, 1] + parts.lean[:, 0] * red).clamp(-1, 1)
        means = torch.stack([red, green, means[:, 2] + parts.lean[:, 1] * red + parts.lean[:, 2] * green], 1)
    return ((parts.log_weights.exp()[:, None] * means.clamp(-1, 1)).sum(2) + 1) / 2


def _split(parameters: Tensor, n_channels: int, n_mixtures: int) -> _Parts:
    batch, _, height, width = parameters.shape
    weights, rest = parameters[:, :n_mixtures], parameters[:, n_mixtures:].reshape(batch, -1, n_channels, n_mixtures, height, width)
    lean = torch.tanh(rest[:, 2]) if n_channels == 3 else None
    return _Parts(torch.log_softmax(weights, 1), rest[:, 0], rest[:, 1].clamp(min=LOG_SCALE_FLOOR), lean)


def _led(means: Tensor, lean: Tensor, red: Tensor, green: Tensor) -> tuple[Tensor, Tensor]:
    """Means of green and blue given the pixel's red and green."""
    return means[:, 1] + lean[:, 0] * red, means[:, 2] + lean[:, 1] * red + lean[:, 2] * green


def _round(x: Tensor, n_levels: int) -> Tensor:
    """To the nearest level of [-1, 1]."""
    step = (n_levels - 1) / 2
    return ((x.clamp(-1, 1) + 1) * step).round() / step - 1


def _require_colours(where: str, n_channels: int) -> None:
    if type(n_channels) is not int or n_channels not in (1, 3):
        raise ValueError(f"{where}: n_channels is {in_words(n_channels)}, expected 1 or 3; grey or red, green, blue")


def _require_parameters(where: str, parameters: Tensor, n_channels: int, n_mixtures: int) -> None:
    require_count(where, "n_mixtures", n_mixtures)
    _require_colours(where, n_channels)
    require_images(where, "parameters", parameters, mixture_channels(n_channels, n_mixtures))
