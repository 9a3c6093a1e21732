"""The two ways through an NVAE (Vahdat & Kautz 2020, figure 2): up from the picture, and down from a learned constant.

    up:    x -> features, one tap for each latent group                       the encoder's own weights
    down:  h_1 constant;  h_l = path_l(h_{l-1}')  ;  z_l  ;  h_l' = merge_l(h_l, z_l)
           prior      p(z_l | z_<l)     reads h_l
           posterior  q(z_l | z_<l, x)  reads h_l and tap_l; a flow may bend its draw

The way down is walked once: the same h_l, made by the same modules, feeds prior and posterior. That is what the encoder and the
generative model share. The deltas of a posterior have weights of their own.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..kernels.residual_normal_sample import residual_normal_sample
from ..residual_normal import ResidualNormal, bend, relative_to
from .cells import EncoderCell, GenerativeCell
from .config import NVAEConfig
from .flows import PosteriorFlow


class Encoder(nn.Module):
    """Bottom-up features.  (B, C, S, S) padded picture -> taps, one for each group, from the top down."""

    def __init__(self, config: NVAEConfig):
        super().__init__()
        width, scale = config.width, config.residual_scale
        self.stem = nn.Conv2d(config.n_channels, width, 3, padding=1)
        outer = []
        for _ in range(config.n_down):
            outer += [EncoderCell(width, scale=scale) for _ in range(config.outer_cells - 1)] + [EncoderCell(width, down=True, scale=scale)]
            width *= 2
        self.outer, self.groups = nn.Sequential(*outer), nn.ModuleList()
        for position, n in enumerate(reversed(config.groups)):
            for group in range(n):
                cells = [EncoderCell(width, down=True, scale=scale)] if position and group == 0 else []
                width *= 2 if cells else 1
                self.groups.append(nn.Sequential(*cells, *(EncoderCell(width, scale=scale) for _ in range(config.cells))))

    def forward(self, x: Tensor) -> list[Tensor]:
        features, taps = self.outer(self.stem(x)), []
        for group in self.groups:
            features = group(features)
            taps.append(features)
        return taps[::-1]


class Posterior(nn.Module):
    """What q adds: h (B, C, s, s) and the encoder's tap of the same shape -> two numbers for each entry of z. The flow, if any, waits for the draw."""

    def __init__(self, width: int, config: NVAEConfig):
        super().__init__()
        self.tap = nn.Conv2d(width, width, 1)
        self.head = nn.Sequential(nn.SiLU(), nn.Conv2d(width, 2 * config.n_latent, 3, padding=1))
        self.flow = PosteriorFlow(config.n_latent, width, config.flow_cells, expansion=config.expansion, scale=config.flow_scale, reads_context=config.flow_context) if config.flow_cells else None

    def forward(self, h: Tensor, tap: Tensor) -> tuple[Tensor, Tensor]:
        return _wide(self.head(h + self.tap(tap))).chunk(2, 1)


class Group(nn.Module):
    """One latent group z_l: the shared path to it, its prior, its posterior, and how z_l joins the path."""

    def __init__(self, path: list[nn.Module], width: int, config: NVAEConfig, *, top: bool):
        super().__init__()
        self.path = nn.Sequential(*path)
        self.prior = None if top else nn.Sequential(nn.SiLU(), nn.Conv2d(width, 2 * config.n_latent, 1))  # the top prior is N(0, I)
        self.posterior = Posterior(width, config)
        self.merge = nn.Conv2d(width + config.n_latent, width, 1)
        self.relative, self.clamp, self.floor = config.relative, config.clamp, config.floor

    def normals(self, h: Tensor, tap: Tensor | None, shape: torch.Size) -> ResidualNormal:
        """q beside p given the state h of the path; without a tap q is p."""
        if self.prior is None:
            mu = log_sigma = torch.zeros(shape, dtype=_wide(h[:0]).dtype, device=h.device)
        else:
            mu, log_sigma = _wide(self.prior(h)).chunk(2, 1)
        if tap is None:
            zero = torch.zeros_like(mu)
            return bend(ResidualNormal(mu, log_sigma, zero, zero), self.clamp, self.floor)
        first, second = self.posterior(h, tap)
        both = ResidualNormal(mu, log_sigma, first, second) if self.relative else relative_to(mu, log_sigma, first, second)
        return bend(both, self.clamp, self.floor)

    def draw(self, both: ResidualNormal, noise: Tensor, h: Tensor, tap: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """-> (z, its KL elementwise if it came with the draw, log q - log p (B,) if a flow bent it). noise: numbers of N(0, 1), or a clock."""
        if tap is not None and self.posterior.flow is not None:
            z, ratio = self.posterior.flow(both, noise, h + tap)
            return z, None, ratio
        if _is_clock(noise):
            z, kl = residual_normal_sample(*both, clock=noise)
            return z, kl, None
        return both.draw(noise), None, None

    def join(self, h: Tensor, z: Tensor) -> Tensor:
        return self.merge(torch.cat([h, z.to(h.dtype)], 1))


class Walk(NamedTuple):
    """One way down."""
    features: Tensor                 # h after the last group (B, C, s, s)
    normals: list[ResidualNormal]    # q, before its flow, beside p of every group; q is p where there was no encoder
    z: list[Tensor]                  # what was drawn, or given
    kls: list[Tensor | None]         # KL elementwise where it came with a draw by clock; None elsewhere
    ratios: list[Tensor | None]      # log q - log p of z in nats (B,) where a flow bent q; None elsewhere

    def kl(self) -> Tensor:
        """KL(q ‖ p) of each group in nats, exact; under a flow its estimate by the one draw, which may be negative.  -> (B, L)."""
        exact = [both.kl() if kl is None and ratio is None else kl for both, kl, ratio in zip(self.normals, self.kls, self.ratios)]
        return torch.stack([kl.sum((1, 2, 3)) if ratio is None else ratio for kl, ratio in zip(exact, self.ratios)], 1)

    def log_ratio(self, noise: Sequence[Tensor]) -> Tensor:
        """log q(z | x) - log p(z) at the draw that the noise made, summed over groups.  -> (B,) nats."""
        return sum(both.log_ratio(eps).sum((1, 2, 3)) if ratio is None else ratio for both, ratio, eps in zip(self.normals, self.ratios, noise))


class TopDown(nn.Module):
    """The generative model's way from the constant h to the last group; with taps also the encoder's second half."""

    def __init__(self, config: NVAEConfig):
        super().__init__()
        top_width, top_side = config.scale_widths[0], config.latent_sizes[0]
        self.h, self.n_latent = nn.Parameter(torch.rand(1, top_width, top_side, top_side)), config.n_latent
        self.groups = nn.ModuleList()
        cell = dict(expansion=config.expansion, scale=config.residual_scale)
        for scale, (n, width) in enumerate(zip(config.groups, config.scale_widths)):
            for group in range(n):
                top, climbs = scale == 0 and group == 0, scale > 0 and group == 0
                up = [GenerativeCell(2 * width, up=True, **cell)] if climbs else []
                self.groups.append(Group([] if top else up + [GenerativeCell(width, **cell) for _ in range(config.cells)], width, config, top=top))

    def forward(self, noise: Sequence[Tensor], taps: Sequence[Tensor] | None = None, *, temperature: float = 1.0, given: Sequence[Tensor | None] | None = None) -> Walk:
        """Every sigma is multiplied by temperature. given: z to take in place of a draw, None for those to draw.

        noise: for every group N(0, 1) (B, K, s, s); or clocks, which need taps: then posteriors are drawn by the kernel that keeps no noise.
        """
        n = len(noise[0] if taps is None else taps[0])
        h, walk = self.h.expand(n, -1, -1, -1), Walk(self.h, [], [], [], [])
        for level, group in enumerate(self.groups):
            h, tap, eps = group.path(h), None if taps is None else taps[level], noise[level]
            both = group.normals(h, tap, torch.Size((n, self.n_latent, *h.shape[2:])))
            if given is not None and given[level] is not None:
                drawn = given[level], None, None
            else:
                drawn = group.draw(both, eps if _is_clock(eps) else temperature * eps, h, tap)
            h = group.join(h, drawn[0])
            for kept, value in zip(walk[1:], (both, *drawn)):
                kept.append(value)
        return walk._replace(features=h)


class Tail(nn.Module):
    """From the finest scale to the likelihood's parameters at the padded picture's size.  (B, C, s, s) -> (B, n_out, S, S)."""

    def __init__(self, config: NVAEConfig, n_out: int):
        super().__init__()
        width, cells = config.scale_widths[-1], []
        for _ in range(config.n_down):
            cells.append(GenerativeCell(width, expansion=3, up=True, scale=config.residual_scale))
            width //= 2
            cells += [GenerativeCell(width, expansion=3, scale=config.residual_scale) for _ in range(config.outer_cells - 1)]
        self.cells = nn.Sequential(*cells)
        self.head = nn.Sequential(nn.SiLU(), nn.Conv2d(width, n_out, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        return _wide(self.head(self.cells(features)))


def _wide(x: Tensor) -> Tensor:
    """At least float32: the numbers of a KL or a likelihood are never kept in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _is_clock(noise: Tensor) -> bool:
    """Whether noise is a clock (2,) of kernels/counter.py, of which the numbers are a function, and not the numbers."""
    return noise.dtype == torch.int64
