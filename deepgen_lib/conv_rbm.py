"""Convolutional RBM with probabilistic max-pooling (Lee, Grosse, Ranganath, Ng 2009).

    binary v      E(v, h) = -Σ_k hᵏ · (Wᵏ ⋆ v) - Σ_k c_k Σ hᵏ - Σ_c b_c Σ v^c
    Gaussian v    E(v, h) = Σ (v - b)² / 2σ² - Σ_k hᵏ · (Wᵏ ⋆ v) / σ² - Σ_k c_k Σ hᵏ

Wᵏ ⋆ v slides filter k over the picture without turning it and without padding (a map of H - w + 1 by W - w + 1 units); the way down is its adjoint, the
full convolution with the *turned* filter. All positions share a filter and its bias. At most one unit of a block of `block` x `block` is on. One
bias a channel below. Sizes: B batch, C channels below, K filters of w x w.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .max_pool import MaxPool, PooledStates, log_block_sums, probabilistic_max_pool, sample_max_pool
from .validate import require_count, require_images, require_number, require_rng


class ConvRBM(nn.Module):
    """Parameters W (K, C, w, w) ~ N(0, weight_std²), b (C,) = 0 below, c (K,) = 0 above.  sigma: None for binary v, else the deviation of Gaussian v."""

    def __init__(self, n_channels: int, n_filters: int, filter_size: int, *, block: int = 2, sigma: float | None = None, weight_std: float = 0.01,
                 rng: torch.Generator | None = None):
        super().__init__()
        for name, value in (("n_channels", n_channels), ("n_filters", n_filters), ("filter_size", filter_size), ("block", block)):
            require_count("ConvRBM", name, value)
        require_number("ConvRBM", "weight_std", weight_std, low=0)
        if sigma is not None:
            require_number("ConvRBM", "sigma", sigma, low=1e-3)
        if rng is not None:
            require_rng("ConvRBM", rng)
        self.block, self.sigma = block, sigma
        self.W = nn.Parameter(weight_std * torch.randn(n_filters, n_channels, filter_size, filter_size, generator=rng))
        self.b = nn.Parameter(torch.zeros(n_channels))
        self.c = nn.Parameter(torch.zeros(n_filters))

    @property
    def n_filters(self) -> int:
        return self.W.shape[0]

    @property
    def n_channels(self) -> int:
        return self.W.shape[1]

    @property
    def precision(self) -> float:
        """1/σ², the factor of the filters' vote; 1 for binary v."""
        return 1.0 if self.sigma is None else self.sigma**-2

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the detection maps over a picture; raises where no filter fits or the blocks do not divide them."""
        require_count("ConvRBM.map_size", "height", height)
        require_count("ConvRBM.map_size", "width", width)
        w = self.W.shape[-1]
        rows, columns = height - w + 1, width - w + 1
        if min(rows, columns) < 1 or rows % self.block or columns % self.block:
            raise ValueError(f"ConvRBM: pictures are {height} x {width}, their maps {rows} x {columns}, expected a multiple of {self.block} of at least {self.block} on both sides; "
                             f"crop or pad the pictures to {w - 1} + a multiple of {self.block}")
        return rows, columns

    def hidden_logits(self, v: Tensor) -> Tensor:
        """I = (W ⋆ v)/σ² + c, the input of each detection unit.  (B, C, H, W) -> (B, K, H-w+1, W-w+1).  v may hold probabilities."""
        require_images("ConvRBM.hidden_logits", "v", v, self.n_channels, dtype=self.W.dtype)
        self.map_size(*v.shape[-2:])
        return self.precision * F.conv2d(v, self.W) + self.c[:, None, None]

    def max_pool(self, v: Tensor) -> MaxPool:
        """P(h = 1 | v) and P(pool = 1 | v).  (B, C, H, W) -> (B, K, ...), (B, K, .../block)."""
        return probabilistic_max_pool(self.hidden_logits(v), self.block)

    def visible_input(self, h: Tensor) -> Tensor:
        """Wᵀ ⋆ h, what the detection units send down: the adjoint of v -> W ⋆ v.  (B, K, H-w+1, W-w+1) -> (B, C, H, W)."""
        require_images("ConvRBM.visible_input", "h", h, self.n_filters, dtype=self.W.dtype)
        return F.conv_transpose2d(h, self.W)

    def visible_mean(self, h: Tensor) -> Tensor:
        """E[v | h]: b + Wᵀ ⋆ h for Gaussian v, its logistic for binary v.  (B, K, H-w+1, W-w+1) -> (B, C, H, W)."""
        total = self.visible_input(h) + self.b[:, None, None]
        return torch.sigmoid(total) if self.sigma is None else total

    def sample_hidden(self, v: Tensor, rng: torch.Generator) -> PooledStates:
        """h, pool ~ P(h, pool | v).  (B, C, H, W) -> (B, K, ...), (B, K, .../block) of 0/1."""
        return sample_max_pool(self.hidden_logits(v), self.block, rng)

    def sample_visible(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """v ~ p(v | h).  (B, K, H-w+1, W-w+1) -> (B, C, H, W): 0/1, or Gaussian of deviation sigma."""
        require_rng("ConvRBM.sample_visible", rng)
        with torch.no_grad():
            return self.draw_visible(self.visible_mean(h), rng)

    def draw_visible(self, mean: Tensor, rng: torch.Generator) -> Tensor:
        """v around its mean, (B, C, H, W): coins, or Gaussian noise; no checks."""
        if self.sigma is None:
            return (torch.empty_like(mean).uniform_(generator=rng) < mean).to(mean.dtype)
        return mean + self.sigma * torch.empty_like(mean).normal_(generator=rng)

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) in nats, row by row.  (B, C, H, W), (B, K, H-w+1, W-w+1) -> (B,).  At most one 1 in a block of h."""
        self._require_visible("energy", v)
        require_images("ConvRBM.energy", "h", h, self.n_filters, dtype=self.W.dtype, binary=True)
        if len(v) != len(h) or tuple(h.shape[-2:]) != self.map_size(*v.shape[-2:]):
            raise ValueError(f"ConvRBM.energy: h has shape {tuple(h.shape)}, expected {(len(v), self.n_filters, *self.map_size(*v.shape[-2:]))} to go with v; one map of each filter for each picture")
        if F.avg_pool2d(h, self.block, divisor_override=1).max() > 1.5:
            raise ValueError("ConvRBM.energy: two units of one block are on, expected at most one: such states have infinite energy; draw h by sample_hidden")
        return self.visible_energy(v) - (h * self.hidden_logits(v)).sum((1, 2, 3))

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log Σ_h exp(-E(v, h)) = (the energy of v alone) - Σ_blocks log(1 + Σ exp I) in nats.  (B, C, H, W) -> (B,)."""
        self._require_visible("free_energy", v)
        return self.visible_energy(v) - log_block_sums(self.hidden_logits(v), self.block).sum((1, 2, 3))

    def visible_energy(self, v: Tensor) -> Tensor:
        """E(v, h = 0): -b · Σ v, or Σ (v - b)² / 2σ².  (B, C, H, W) -> (B,)."""
        b = self.b[:, None, None]
        return -(v * b).sum((1, 2, 3)) if self.sigma is None else (v - b).square().sum((1, 2, 3)) * self.precision / 2

    def _require_visible(self, where: str, v: Tensor) -> None:
        require_images(f"ConvRBM.{where}", "v", v, self.n_channels, dtype=self.W.dtype, binary=self.sigma is None)

    def extra_repr(self) -> str:
        K, C, w, _ = self.W.shape
        return f"n_channels={C}, n_filters={K}, filter_size={w}, block={self.block}, sigma={self.sigma}"


def random_conv_rbm(n_channels: int, n_filters: int, filter_size: int, *, block: int = 2, sigma: float | None = None, scale: float = 1.0, rng: torch.Generator) -> ConvRBM:
    """A float64 ConvRBM with every parameter drawn from N(0, scale²): the tiny models of the exact checks."""
    require_number("random_conv_rbm", "scale", scale, low=0)
    require_rng("random_conv_rbm", rng)
    rbm = ConvRBM(n_channels, n_filters, filter_size, block=block, sigma=sigma).double().requires_grad_(False)
    for parameter in rbm.parameters():
        parameter.copy_(scale * torch.randn(parameter.shape, dtype=torch.float64, generator=rng))
    return rbm.requires_grad_(True)
