"""Inverse-autoregressive flow (Kingma et al. 2016): bends the draw of a group's posterior into what no normal can be. Optional in NVAE (Vahdat & Kautz 2020, appendix).

    z' = z + m(z, c)                       keeps volumes: log |det dz'/dz| = 0; NVAE's
    z' = exp(s(z, c)) · z + m(z, c)        with scale: log |det dz'/dz| = Σ s
    log q(z_n | x) = log q(z_0 | x) - Σ over the n cells of log |det|         z_0 the posterior's own draw

m and s of an entry see only the entries before it (by row, column, channel; every second cell counts from the other end). So the Jacobian is triangular and its determinant
is the product of its diagonal. A draw is one pass; going back takes as many as z has entries, and training never does. The prior, and so sampling, has no flow.

    cell    masked conv 3x3 (K -> E·K) + conv 1x1 of c - Swish - masked depthwise 5x5 - Swish - masked conv 1x1 (E·K -> K, or 2K with scale)

These are the generative cell's layers without batch norm and squeeze-and-excitation, which would let every place see every other; weights are normalised instead (Salimans & Kingma 2016).
c is what the posterior sees, or nothing as in NVAE. sizes: B batch, K latent channels, s side of z, C width of c, E expansion
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, silu

from ..residual_normal import ResidualNormal
from ..validate import require_count, require_flag

LARGEST_SCALE = 2.0  # of |s|, by a soft clamp: no entry is stretched by more than e² in one cell


class MaskedConv(nn.Module):
    """A convolution with weight = gain · v / |v|, v = mask · direction; each output channel has a gain.  mask (out, in, k, k) bool."""

    def __init__(self, mask: Tensor, *, groups: int = 1, silent: bool = False):
        super().__init__()
        self.groups, self.padding, self.silent = groups, mask.shape[-1] // 2, silent
        self.register_buffer("mask", mask, persistent=False)
        self.direction = nn.Parameter(torch.empty(mask.shape))
        self.gain, self.bias = nn.Parameter(torch.empty(len(mask), 1, 1, 1)), nn.Parameter(torch.empty(len(mask)))
        self.start()

    @torch.no_grad()
    def start(self, rng: torch.Generator | None = None) -> None:
        """First weights: directions uniform within 1 / √fan-in, gains 1; silent: gains 0, so that nothing comes out."""
        reach = self.mask.sum((1, 2, 3), keepdim=True) ** -0.5
        self.direction.uniform_(-1, 1, generator=rng).mul_(reach)
        self.gain.fill_(0 if self.silent else 1)
        self.bias.zero_()

    @property
    def weight(self) -> Tensor:
        v = self.direction * self.mask
        return self.gain * v / v.square().sum((1, 2, 3), keepdim=True).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, padding=self.padding, groups=self.groups)


class FlowCell(nn.Module):
    """z (B, K, s, s) -> (z' of the same shape, log |det dz'/dz| (B,) in nats). A fresh cell changes nothing.

    context: channels of c, 0 for none. reverse: count the entries from the other end.
    """

    def __init__(self, n_latent: int, *, context: int = 0, expansion: int = 6, scale: bool = False, reverse: bool = False):
        super().__init__()
        _require_sizes("FlowCell", n_latent, context, expansion, scale)
        self.scale, hidden = scale, expansion * n_latent
        entries = torch.arange(n_latent)
        features = entries.repeat_interleave(expansion)  # a feature of number k may see what is before channel k
        out = entries.repeat(2 if scale else 1)
        self.widen = MaskedConv(_mask(features, entries, 3, itself=False, reverse=reverse))
        self.look = MaskedConv(torch.ones(hidden, context, 1, 1, dtype=torch.bool)) if context else None
        self.spread = MaskedConv(_mask(features[:1], features[:1], 5, itself=True, reverse=reverse).repeat(hidden, 1, 1, 1), groups=hidden)
        self.narrow = MaskedConv(_mask(out, features, 1, itself=True, reverse=reverse), silent=True)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        shift, s = self._shift_and_scale(z, context)
        return (z + shift, z.new_zeros(len(z))) if s is None else (torch.exp(s) * z + shift, s.sum((1, 2, 3)))

    @torch.no_grad()
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The z that forward takes to this one. Every round settles at least one more entry, in their order: after K·s·s rounds all, at the latest."""
        found = z
        for _ in range(z[0].numel()):
            shift, s = self._shift_and_scale(found, context)
            before, found = found, z - shift if s is None else (z - shift) * torch.exp(-s)
            if torch.equal(before, found):
                break
        return found

    def _shift_and_scale(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """m and s, in the precision of z; s None without scale."""
        features = self.widen(z) if self.look is None else self.widen(z) + self.look(context)
        out = self.narrow(silu(self.spread(silu(features)))).to(z.dtype)
        if not self.scale:
            return out, None
        shift, s = out.chunk(2, 1)
        return shift, LARGEST_SCALE * torch.tanh(s / LARGEST_SCALE)


class PosteriorFlow(nn.Module):
    """n cells after a posterior's draw, each counting from the other end than the one before; reads_context: they see c."""

    def __init__(self, n_latent: int, width: int, n_cells: int, *, expansion: int, scale: bool, reads_context: bool):
        super().__init__()
        self.reads_context = reads_context
        self.cells = nn.ModuleList(FlowCell(n_latent, context=width if reads_context else 0, expansion=expansion, scale=scale, reverse=bool(n % 2)) for n in range(n_cells))

    def forward(self, normal: ResidualNormal, noise: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z_n, a draw of q, and log q(z_n) - log p(z_n) in nats: the KL by one draw.  noise (B, K, s, s) of N(0, 1), c (B, C, s, s) -> (B, K, s, s), (B,)."""
        first = z = normal.draw(noise)
        log_det = noise.new_zeros(len(noise))
        for cell in self.cells:
            z, own = cell(z, context if self.reads_context else None)
            log_det = log_det + own
        in_prior = normal.delta_mu * torch.exp(-normal.log_sigma) + torch.exp(normal.delta_log_sigma) * noise + (z - first) * torch.exp(-normal.log_sigma)  # (z_n - mu) / sigma
        return z, (0.5 * (in_prior.square() - noise.square()) - normal.delta_log_sigma).sum((1, 2, 3)) - log_det


def flow_cell_parameters(n_latent: int, *, context: int = 0, expansion: int = 6, scale: bool = False) -> int:
    """Parameters of FlowCell(K): E K (9 K + 29) + O (E K + 2), O = K or with scale 2K, and E K (C + 2) with context. Weights under a mask are counted."""
    _require_sizes("flow_cell_parameters", n_latent, context, expansion, scale)
    hidden, out = expansion * n_latent, n_latent * (2 if scale else 1)
    return hidden * (9 * n_latent + 2 + 25 + 2) + out * (hidden + 2) + (hidden * (context + 2) if context else 0)


def _mask(out: Tensor, into: Tensor, size: int, *, itself: bool, reverse: bool) -> Tensor:
    """Which weights may be: all of the rows above and of the row's left, none below and right; in the middle from a smaller number to a larger one, with itself=True also an equal one.

    Numbers (out,) and (in,) -> (out, in, size, size) bool. reverse: from the other end.
    """
    place = torch.arange(size * size) - size * size // 2  # 0 in the middle
    if reverse:
        place, out, into = -place, -out, -into
    here = into[None] <= out[:, None] if itself else into[None] < out[:, None]
    return ((place < 0) | ((place == 0) & here[..., None])).view(len(out), len(into), size, size)


def _require_sizes(where: str, n_latent: int, context: int, expansion: int, scale: bool) -> None:
    for name, value, least in (("n_latent", n_latent, 1), ("context", context, 0), ("expansion", expansion, 1)):
        require_count(where, name, value, minimum=least)
    require_flag(where, "scale", scale)
