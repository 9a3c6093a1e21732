"""Small NVAEs for the tests, and one whose weights are all random, so that no term is zero."""
import torch

from deepgen_lib.nvae import NVAE, NVAEConfig
from deepgen_lib.nvae.flows import MaskedConv


def tiny_config(**changes) -> NVAEConfig:
    return NVAEConfig(**dict(groups=(1, 2), image_size=6, n_down=1, n_latent=2, width=2, cells=1, outer_cells=1, expansion=1) | changes)


def random_nvae(seed: int = 0, *, spread: float = 0.3, **changes) -> NVAE:
    """float64, every posterior's last layer and every batch norm random too."""
    rng = torch.Generator().manual_seed(seed)
    model = NVAE(tiny_config(**changes), rng=rng).double()
    with torch.no_grad():
        for group in model.top_down.groups:
            for value in group.posterior.head[-1].parameters():
                value.copy_(spread * torch.randn(value.shape, generator=rng))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=rng)
                module.running_mean.normal_(generator=rng).mul_(0.1)
    return model


def pictures(model: NVAE, n: int, seed: int = 1) -> torch.Tensor:
    c, rng = model.config, torch.Generator().manual_seed(seed)
    levels = 1 if c.likelihood == "bernoulli" else c.n_levels - 1
    x = torch.randint(0, levels + 1, (n, c.n_channels, c.image_size, c.image_size), generator=rng)
    return x.to(model.top_down.h.dtype) / levels


def in_bfloat16(model: NVAE, x: torch.Tensor) -> tuple:
    """The bound's terms in float32 and under bfloat16 autocast, and autocast's walk over two pictures; numbers of the same generator."""
    rng = torch.Generator().manual_seed
    with torch.no_grad():
        wide = model.elbo(x, rng(0))
        with torch.autocast("cpu", torch.bfloat16):
            half = model.elbo(x, rng(0))
            walk = model.top_down(model.noise(2, rng(0)), model.encoder(model._padded(x[:2])))
    return wide, half, walk


def shaken(flow: torch.nn.Module, seed: int = 0, size: float = 0.5) -> torch.nn.Module:
    """float64; gains and biases of every masked convolution moved, so that silent ones speak."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in flow.double().modules():
            if isinstance(part, MaskedConv):
                for value in (part.gain, part.bias):
                    value.add_(size * torch.randn(value.shape, generator=rng, dtype=value.dtype))
    return flow


def jacobian(cell, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """dz' / dz of one z, its entries in the order row, column, channel."""
    shape = z.movedim(1, -1).shape
    walk = lambda flat: cell(flat.view(shape).movedim(-1, 1), c)[0].movedim(1, -1).flatten()
    return torch.autograd.functional.jacobian(walk, z.movedim(1, -1).flatten())
