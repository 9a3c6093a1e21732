"""Small residual convolutional networks between pictures and maps: each halving step has a strided convolution, each map `n_blocks` residual blocks.

    block(x) = x + conv1x1(relu(conv3x3(relu(x))))        as van den Oord et al. 2017, section 4.1
"""
import torch
from torch import Tensor, nn

from .validate import require_count, require_rng


class ResidualBlock(nn.Module):
    def __init__(self, width: int, rng: torch.Generator | None):
        super().__init__()
        self.inner, self.outer = conv(width, width, 3, rng), conv(width, width, 1, rng)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(torch.relu(x))))


def conv_encoder(n_channels: int, dim: int, *, width: int = 32, n_down: int = 2, n_blocks: int = 1, rng: torch.Generator | None = None) -> nn.Sequential:
    """(B, n_channels, H, W) -> (B, dim, H / 2^n_down, W / 2^n_down), for sides that 2^n_down divides."""
    _require("conv_encoder", n_channels, dim, width, n_down, n_blocks, rng)
    layers, channels = [], n_channels
    for step in range(n_down):
        layers += [conv(channels, width, 4, rng, stride=2), nn.ReLU()]
        channels = width
    layers += [conv(width, width, 3, rng), *(ResidualBlock(width, rng) for _ in range(n_blocks)), nn.ReLU(), conv(width, dim, 1, rng)]
    return nn.Sequential(*layers)


def conv_decoder(n_channels: int, dim: int, *, width: int = 32, n_down: int = 2, n_blocks: int = 1, rng: torch.Generator | None = None) -> nn.Sequential:
    """(B, dim, h, w) -> (B, n_channels, h · 2^n_down, w · 2^n_down), the way back of conv_encoder."""
    _require("conv_decoder", n_channels, dim, width, n_down, n_blocks, rng)
    layers = [conv(dim, width, 3, rng), *(ResidualBlock(width, rng) for _ in range(n_blocks)), nn.ReLU()]
    for step in range(n_down):
        last = step == n_down - 1
        layers += [conv(width, n_channels if last else width, 4, rng, stride=2, turned=True), *([] if last else [nn.ReLU()])]
    return nn.Sequential(*layers)


def conv(below: int, above: int, size: int, rng: torch.Generator | None, *, stride: int = 1, turned: bool = False) -> nn.Module:
    """A convolution that keeps the side (or halves it; turned: doubles it), W uniform with variance 1 / (3 · inputs of a unit), no draw from torch's own generator."""
    kind = nn.ConvTranspose2d if turned else nn.Conv2d
    layer = nn.utils.skip_init(kind, below, above, size, stride=stride, padding=(size - 1) // 2)
    bound = (below * size * size / (stride**2 if turned else 1)) ** -0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=rng)
        layer.bias.zero_()
    return layer


def _require(where: str, n_channels: int, dim: int, width: int, n_down: int, n_blocks: int, rng: torch.Generator | None) -> None:
    for name, value in (("n_channels", n_channels), ("dim", dim), ("width", width), ("n_down", n_down)):
        require_count(where, name, value)
    require_count(where, "n_blocks", n_blocks, minimum=0)
    if rng is not None:
        require_rng(where, rng)
