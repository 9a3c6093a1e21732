"""Is a filter an oriented, localised edge? Two measures of a first-layer filter: how well one Gabor function fits it, and how much its spectrum points one way.

    g(x, y) = exp(-p²/2s² - q²/2t²) (a cos 2πfp + b sin 2πfp),   p, q: x - x0, y - y0 turned by theta         a Gabor: a wave of frequency f under a hill
    fit = 1 - min ‖W - g‖² / ‖W‖²          share of the filter's energy that the best Gabor explains; 1: W is one
    selectivity = |Σ_f P(f) exp(2i angle(f))| / Σ_f P(f),   P = |F[W]|², padded with zeros          1: a grating of one direction, 0: a blob, a ring, noise

Hills are at most a third of the filter wide (s, t <= w/3), so that a good fit says localised; a blob is fitted well by a wave of low frequency, which is why both measures are
asked for. Gabor functions: Daugman 1985; fitted to learned filters: Hyvärinen and Hoyer 2000.
"""
import math
from typing import NamedTuple

import torch
from torch import Tensor

from .validate import in_words, require_images, require_number

PAD = 32                        # pixels of the padded spectrum
ANGLES, FREQUENCIES = 8, 3      # starts of the search, for each filter
STEPS, RATE = 150, 0.05         # of Adam on the five numbers of a Gabor that are not linear


class EdgeMeasure(NamedTuple):
    fit: Tensor          # (K,) share of energy explained by the best Gabor, in [0, 1]
    selectivity: Tensor  # (K,) in [0, 1]
    gabor: Tensor        # (K, w, w) the best Gabor of each filter


def edge_measure(filters: Tensor) -> EdgeMeasure:
    """Both measures of filters (K, 1, w, w), w >= 5; constants are part of the filter and count against it. Raises where a filter is all zero."""
    filters = _require_filters("edge_measure", filters)
    fit, gabor = _fit(filters)
    return EdgeMeasure(fit, _selectivity(filters), gabor)


def oriented_edges(filters: Tensor, *, fit: float = 0.5, selectivity: float = 0.5) -> Tensor:
    """Which filters are oriented, localised edges: both measures above their bounds.  (K, 1, w, w) -> (K,) bool."""
    for name, value in (("fit", fit), ("selectivity", selectivity)):
        require_number("oriented_edges", name, value, low=0, high=1)
    measure = edge_measure(filters)
    return (measure.fit > fit) & (measure.selectivity > selectivity)


def filter_correlation(filters: Tensor, *, shifts: int = 0) -> Tensor:
    """Cosine of every two filters, the largest |cosine| over shifts of up to `shifts` pixels each way.  (K, C, w, w) -> (K, K), ones on the diagonal.

    With a shift, what leaves the window is lost and zeros come in; both norms are those of the whole filters. Sign: two filters of opposite sign count as equal.
    """
    require_images("filter_correlation", "filters", filters)
    _require_some("filter_correlation", filters)
    if isinstance(shifts, bool) or not isinstance(shifts, int) or not 0 <= shifts < filters.shape[-1]:
        raise ValueError(f"filter_correlation: shifts is {in_words(shifts)}, expected a whole number from 0 to {filters.shape[-1] - 1}; 0 compares the filters in place")
    unit = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
    shifted = torch.nn.functional.conv2d(torch.nn.functional.pad(unit, [shifts] * 4), unit)  # (K, K, 2 shifts + 1, 2 shifts + 1)
    return shifted.abs().amax((2, 3))


def _require_filters(where: str, filters: Tensor) -> Tensor:
    """(K, w, w), float64."""
    require_images(where, "filters", filters, 1)
    if filters.shape[-1] != filters.shape[-2] or filters.shape[-1] < 5:
        raise ValueError(f"{where}: filters are {filters.shape[-2]} x {filters.shape[-1]}, expected squares of at least 5 x 5; smaller ones show no direction")
    _require_some(where, filters)
    return filters.detach().double()[:, 0]


def _require_some(where: str, filters: Tensor) -> None:
    dead = (filters.flatten(1).abs().amax(1) == 0).nonzero()
    if len(dead):
        raise ValueError(f"{where}: filter {dead[0].item()} is zero everywhere, expected some weights: it has no direction; leave dead filters out, and count them")


def _selectivity(filters: Tensor) -> Tensor:
    power = torch.fft.fft2(filters, s=(PAD, PAD)).abs()**2
    f = torch.fft.fftfreq(PAD, dtype=torch.float64)
    angle = torch.atan2(f[:, None], f[None, :])
    inside = (f[:, None]**2 + f**2 <= 0.25).double()  # a disc: the corners of the square would favour the diagonals
    along = (power * inside * torch.polar(torch.ones_like(angle), 2 * angle) * (f[:, None]**2 + f**2 > 0)).sum((1, 2)).abs()
    return along / (power * inside).sum((1, 2)).clamp_min(1e-300)


def _fit(filters: Tensor) -> tuple[Tensor, Tensor]:
    """The best of 24 starts by Adam; the wave's two amplitudes are solved for exactly at each step (variable projection)."""
    K, w, _ = filters.shape
    theta, frequency = (grid.flatten() for grid in torch.meshgrid(torch.arange(ANGLES, dtype=torch.float64) * math.pi / ANGLES,
                                                                  torch.linspace(0.1, 0.3, FREQUENCIES, dtype=torch.float64), indexing="ij"))
    energy = filters.square()
    place = torch.arange(w, dtype=torch.float64)
    centre = torch.stack([(energy.sum(1) * place).sum(1), (energy.sum(2) * place).sum(1)], 1) / energy.sum((1, 2))[:, None]  # (K, 2)
    n = len(theta)
    free = torch.stack([*(centre[:, None, i].expand(K, n) for i in (0, 1)), theta.expand(K, n), torch.logit(2 * frequency).expand(K, n), torch.zeros(K, n), torch.zeros(K, n)], -1)
    free = free.to(torch.float64).clone().requires_grad_(True)  # (K, starts, 6)
    optimiser = torch.optim.Adam([free], RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            optimiser.zero_grad()
            (filters[:, None] - _gabor(free, filters)).square().sum().backward()
            optimiser.step()
    with torch.no_grad():
        gabor = _gabor(free, filters)
        explained = 1 - (filters[:, None] - gabor).square().sum((2, 3)) / energy.sum((1, 2))[:, None]
        best = explained.argmax(1)
        rows = torch.arange(K)
        return explained[rows, best], gabor[rows, best]


def _gabor(free: Tensor, filters: Tensor) -> Tensor:
    """The Gabor of these places, angles, frequencies (0 to 1/2) and widths (0.7 to w/3) that comes nearest to the filters.  (K, S, 6), (K, w, w) -> (K, S, w, w)."""
    w = filters.shape[-1]
    x0, y0, theta, f, s, t = (value[..., None, None] for value in free.unbind(-1))
    f = torch.sigmoid(f) / 2
    s, t = (0.7 + (w / 3 - 0.7) * torch.sigmoid(value) for value in (s, t))
    x = torch.arange(w, dtype=torch.float64)
    dx, dy = x - x0, x[:, None] - y0
    p, q = dx * theta.cos() + dy * theta.sin(), dy * theta.cos() - dx * theta.sin()
    hill = torch.exp(-(p / s)**2 / 2 - (q / t)**2 / 2)
    even, odd = hill * torch.cos(2 * math.pi * f * p), hill * torch.sin(2 * math.pi * f * p)
    ee, oo, eo = ((left * right).sum((2, 3)) for left, right in ((even, even), (odd, odd), (even, odd)))
    ew, ow = ((wave * filters[:, None]).sum((2, 3)) for wave in (even, odd))
    ee, oo = ee + 1e-9, oo + 1e-9
    determinant = ee * oo - eo**2
    a, b = (oo * ew - eo * ow) / determinant, (ee * ow - eo * ew) / determinant
    return a[..., None, None] * even + b[..., None, None] * odd
