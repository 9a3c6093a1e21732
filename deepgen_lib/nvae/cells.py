"""The residual cells of NVAE (Vahdat & Kautz 2020, figure 3).

    y = skip(x) + scale · branch(x)        scale = 0: the cell is its skip, and the skip of a cell that keeps its size is the identity

    encoder cell      BN - Swish - conv 3x3 - BN - Swish - conv 3x3 - SE
    generative cell   BN - conv 1x1 (C -> E·C) - BN - Swish - depthwise conv 5x5 - BN - Swish - conv 1x1 (E·C -> C) - BN - SE

A depthwise convolution gives every channel a filter of its own: 25 weights a channel for a wide field; the 1x1 convolutions mix the channels.
The paper draws no scale at the branch; 0.1 keeps a stack of a hundred cells close to the identity at the start.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..validate import require_count, require_flag, require_number


class SqueezeExcite(nn.Module):
    """Every channel times a number in (0, 1) that a small network reads off all channel means (Hu et al. 2018).  (B, C, H, W) -> the same."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = squeeze_width(channels)
        self.squeeze, self.excite = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class Upsample(nn.Module):
    """Every value twice, in height and in width."""

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2.0, mode="nearest")


class ResidualCell(nn.Module):
    """y = skip(x) + scale · branch(x)."""

    def __init__(self, branch: nn.Module, skip: nn.Module, scale: float):
        super().__init__()
        self.branch, self.skip, self.scale = branch, skip, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.scale * self.branch(x)


class EncoderCell(ResidualCell):
    """(B, C, H, W) -> the same shape, or with down=True -> (B, 2C, H/2, W/2)."""

    def __init__(self, channels: int, *, down: bool = False, scale: float = 0.1):
        _require_sizes("EncoderCell", channels, scale)
        out = channels * (2 if down else 1)
        branch = nn.Sequential(
            _batch_norm(channels), nn.SiLU(), nn.Conv2d(channels, out, 3, stride=2 if down else 1, padding=1, bias=False),
            _batch_norm(out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1), SqueezeExcite(out))
        super().__init__(branch, nn.Conv2d(channels, out, 2, stride=2) if down else nn.Identity(), scale)


class GenerativeCell(ResidualCell):
    """(B, C, H, W) -> the same shape, or with up=True -> (B, C/2, 2H, 2W)."""

    def __init__(self, channels: int, *, expansion: int = 6, up: bool = False, scale: float = 0.1):
        _require_sizes("GenerativeCell", channels, scale)
        require_count("GenerativeCell", "expansion", expansion)
        require_flag("GenerativeCell", "up", up)
        if up and channels % 2:
            raise ValueError(f"GenerativeCell: channels is {channels} with up=True, expected an even number; half of them stay")
        out = channels // (2 if up else 1)
        wide = expansion * out
        branch = nn.Sequential(
            _batch_norm(channels), nn.Conv2d(channels, wide, 1, bias=False), *([Upsample()] if up else []),
            _batch_norm(wide), nn.SiLU(), nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False),
            _batch_norm(wide), nn.SiLU(), nn.Conv2d(wide, out, 1, bias=False), _batch_norm(out), SqueezeExcite(out))
        super().__init__(branch, nn.Sequential(nn.Conv2d(channels, out, 1), Upsample()) if up else nn.Identity(), scale)


def squeeze_width(channels: int) -> int:
    """Hidden units of the squeeze-and-excitation: a sixteenth of the channels, at least 4."""
    return max(channels // 16, 4)


def squeeze_parameters(channels: int) -> int:
    """2 C h + h + C, h = squeeze_width(C)."""
    require_count("squeeze_parameters", "channels", channels)
    hidden = squeeze_width(channels)
    return 2 * channels * hidden + hidden + channels


def encoder_cell_parameters(channels: int) -> int:
    """Parameters of EncoderCell(C): 18 C² + 5 C + SE(C); two 3x3 convolutions, one bias, two batch norms."""
    require_count("encoder_cell_parameters", "channels", channels)
    return 18 * channels**2 + 5 * channels + squeeze_parameters(channels)


def generative_cell_parameters(channels: int, expansion: int = 6) -> int:
    """Parameters of GenerativeCell(C, E): 2 E C² + 29 E C + 4 C + SE(C); of these the 5x5 convolution has only 25 E C."""
    require_count("generative_cell_parameters", "channels", channels)
    require_count("generative_cell_parameters", "expansion", expansion)
    return 2 * expansion * channels**2 + 29 * expansion * channels + 4 * channels + squeeze_parameters(channels)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=0.05)  # slower than torch's 0.1: batches are small beside what the network must remember


def _require_sizes(where: str, channels: int, scale: float) -> None:
    require_count(where, "channels", channels)
    require_number(where, "scale", scale)
