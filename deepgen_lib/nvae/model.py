"""NVAE (Vahdat & Kautz 2020): a VAE whose latents come in groups z_1, ..., z_L, each given all before it.

    p(x, z) = p(z_1) Π_l p(z_l | z_<l) p(x | z)        q(z | x) = Π_l q(z_l | z_<l, x)
    log p(x) >= E_q[log p(x | z)] - Σ_l E_{q(z_<l | x)} KL(q(z_l | z_<l, x) ‖ p(z_l | z_<l))
    sizes: B batch, C colours, S side of the picture, L groups, K latent channels, s side of a group's z
"""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..kernels.counter import new_clock
from ..validate import require_count, require_finite, require_images, require_number, require_rng, require_tensor
from .balancing import kl_weight, weighted_kl
from .config import NVAEConfig
from .flows import MaskedConv
from .heads import head_channels, head_draw, head_log_likelihood, head_mean, require_pixels
from .spectral import SpectralPenalty, batch_norm_penalty
from .towers import Encoder, Tail, TopDown, Walk


class NVAETerms(NamedTuple):
    """bound = reconstruction - Σ_l kl_l, in nats, with one draw of z."""
    reconstruction: Tensor  # log p(x | z)  (B,)
    kl: Tensor              # KL(q(z_l | z_<l, x) ‖ p(z_l | z_<l)) of each group, from the top down; under a flow log q - log p of the draw  (B, L)

    @property
    def total(self) -> Tensor:
        """(B,), at most log p(x) in the mean over draws."""
        return self.reconstruction - self.kl.sum(1)


class NVAE(nn.Module):
    """encoder: bottom-up, q alone.  top_down: shared path, priors, posteriors.  tail: from the finest scale to pixels.

    The posteriors' last layers start at zero: every KL is 0 at first, whatever the priors do (where q is relative to p).
    Every public method but training_loss uses the batch norms' running statistics, so no picture's number depends on its neighbours.
    rng: for the first weights; torch's own generator if None. In the methods too: rng=None draws from torch's own generator.
    """

    def __init__(self, config: NVAEConfig, *, rng: torch.Generator | None = None):
        super().__init__()
        if not isinstance(config, NVAEConfig):
            raise ValueError(f"NVAE: config is {type(config).__name__}, expected an NVAEConfig; pass NVAEConfig(), or a row of NVAE_TABLE")
        if rng is not None:
            require_rng("NVAE", rng)
        self.config = config
        self.encoder, self.top_down, self.tail = Encoder(config), TopDown(config), Tail(config, head_channels(config))
        _first_weights(self, rng)
        self.spectral = SpectralPenalty(self, rng=rng) if config.regularisation else None
        self.register_buffer("group_sizes", torch.tensor([float(math.prod(shape)) for shape in config.latent_shapes]), persistent=False)

    def elbo(self, x: Tensor, rng: torch.Generator | None = None) -> NVAETerms:
        """The bound's terms with one draw of z; gradients flow.  (B, C, S, S) -> NVAETerms, in nats."""
        self._require_pictures("NVAE.elbo", "x", x)
        with evaluating(self):
            return self(x, self.noise(len(x), rng))

    def forward(self, x: Tensor, noise: Sequence[Tensor]) -> NVAETerms:
        """`elbo` as a pure function of x and the noise of every group, numbers or clocks, in the mode that the modules are in."""
        walk = self.top_down(noise, self.encoder(self._padded(x)))
        return NVAETerms(head_log_likelihood(self.config, x, self._out(walk)), walk.kl())

    def noise(self, n: int, rng: torch.Generator | None = None) -> list[Tensor]:
        """N(0, 1) for every group, from the top down.  -> L tensors (n, K, s, s)."""
        require_count("NVAE.noise", "n", n)
        if rng is not None:
            require_rng("NVAE.noise", rng)
        like = self.top_down.h
        source = like.device if rng is None else rng.device
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        return [torch.randn(n, *shape, generator=rng, dtype=dtype, device=source).to(like.device) for shape in self.config.latent_shapes]

    def clocks(self, rng: torch.Generator) -> list[Tensor]:
        """A clock for every group: noise as a function of (seed, step), of which kernels keep nothing. Not for flows, which need the numbers.  -> L tensors (2,) int64."""
        require_rng("NVAE.clocks", rng)
        clock = new_clock(rng, self.top_down.h.device)
        return [torch.stack([clock[0], step]) for step in torch.arange(len(self.config.latent_shapes), device=clock.device)]

    def latents(self, x: Tensor, rng: torch.Generator | None = None) -> list[Tensor]:
        """z ~ q(z | x).  (B, C, S, S) -> L tensors (B, K, s, s), from the top down."""
        self._require_pictures("NVAE.latents", "x", x)
        with evaluating(self), torch.no_grad():
            return self.top_down(self.noise(len(x), rng), self.encoder(self._padded(x))).z

    def decode(self, z: Sequence[Tensor | None], *, temperature: float = 1.0, rng: torch.Generator | None = None) -> Tensor:
        """Mean pictures given some latents, the others drawn from their priors.  L tensors (B, K, s, s) or None -> (B, C, S, S) in [0, 1].

        To see what a group does: latents of a picture with one entry, or all below one, set to None.
        """
        n = self._require_latents("NVAE.decode", z)
        require_number("NVAE.decode", "temperature", temperature, low=0)
        with evaluating(self), torch.no_grad():
            return head_mean(self.config, self._out(self.top_down(self.noise(n, rng), given=z, temperature=temperature)))

    def sample(self, n: int, *, temperature: float = 1.0, means: bool = False, rng: torch.Generator) -> Tensor:
        """n pictures: every z_l from its prior with sigma times temperature, then x ~ p(x | z), or with means=True E[x | z].  -> (n, C, S, S).

        Away from temperature 1 the batch norms' statistics no longer fit: sample from `reestimated(model, temperature=...)`.
        """
        require_number("NVAE.sample", "temperature", temperature, low=0)
        require_count("NVAE.sample", "n", n)
        require_rng("NVAE.sample", rng)
        with evaluating(self), torch.no_grad():
            out = self._out(self.top_down(self.noise(n, rng), temperature=temperature))
            return head_mean(self.config, out) if means else head_draw(self.config, out, rng)

    def importance_bound(self, x: Tensor, *, n_samples: int, rng: torch.Generator) -> Tensor:
        """log 1/S Σ_s p(x, z_s) / q(z_s | x), z_s ~ q (Burda, Grosse & Salakhutdinov 2016).  (B, C, S, S) -> (B,) nats.

        In the mean never above log p(x), never below the bound, rising with S. The encoder runs once; of all draws one number for each x is kept.
        """
        self._require_pictures("NVAE.importance_bound", "x", x)
        require_count("NVAE.importance_bound", "n_samples", n_samples)
        require_rng("NVAE.importance_bound", rng)
        with evaluating(self), torch.no_grad():
            taps, log_sum = self.encoder(self._padded(x)), None
            for _ in range(n_samples):
                noise = self.noise(len(x), rng)
                walk = self.top_down(noise, taps)
                log_weight = head_log_likelihood(self.config, x, self._out(walk)) - walk.log_ratio(noise)
                log_sum = log_weight if log_sum is None else torch.logaddexp(log_sum, log_weight)
        return log_sum - math.log(n_samples)

    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """-mean(reconstruction - weighted KL) + penalties, for GradientTrainer; fraction in [0, 1] sets the KL's weight.  (B, C, S, S) -> scalar, nats per picture."""
        c, terms = self.config, self(batch, self.noise(len(batch), rng) if self.config.flow_cells else self.clocks(rng))
        kl = weighted_kl(terms.kl, self.group_sizes, weight=kl_weight(fraction, c.warm_up), balanced=c.balance)
        loss = (kl - terms.reconstruction).mean()
        return loss if self.spectral is None else loss + c.regularisation * (self.spectral() + batch_norm_penalty(self))

    def check_data(self, data: Tensor) -> None:
        """Called once by fit."""
        self._require_pictures("fit", "data", data)

    def _padded(self, x: Tensor) -> Tensor:
        """Background around the picture, pixels on [-1, 1]."""
        extra = self.config.padded_size - self.config.image_size
        x = pad(x, (extra // 2, extra - extra // 2) * 2) if extra else x
        return 2 * x - 1

    def _out(self, walk: Walk) -> Tensor:
        """The likelihood's parameters at the picture's own size."""
        side, edge = self.config.image_size, (self.config.padded_size - self.config.image_size) // 2
        return self.tail(walk.features)[:, :, edge:edge + side, edge:edge + side]

    def _require_pictures(self, where: str, name: str, x: Tensor) -> None:
        c = self.config
        require_images(where, name, x, c.n_channels, dtype=self.top_down.h.dtype)
        if x.shape[2:] != (c.image_size, c.image_size):
            raise ValueError(f"{where}: {name} has pictures of {tuple(x.shape[2:])}, expected {(c.image_size, c.image_size)}; resize them, or build the model with their image_size")
        require_pixels(where, name, x, c)

    def _require_latents(self, where: str, z: Sequence[Tensor | None]) -> int:
        """One entry a group, None or (B, K, s, s) with one B; returns B."""
        shapes = self.config.latent_shapes
        if not isinstance(z, (list, tuple)) or len(z) != len(shapes) or all(value is None for value in z):
            got = f"{len(z)} entries" if isinstance(z, (list, tuple)) else type(z).__name__
            raise ValueError(f"{where}: z is {got}, expected {len(shapes)} of them, one a group from the top down and not all None; take them from latents(x)")
        n = next(len(value) if isinstance(value, Tensor) and value.ndim else 0 for value in z if value is not None)
        for level, (value, shape) in enumerate(zip(z, shapes)):
            if value is None:
                continue
            require_tensor(where, f"z[{level}]", value)
            if value.shape != (n, *shape) or n == 0:
                raise ValueError(f"{where}: z[{level}] has shape {tuple(value.shape)}, expected {(n or 'B', *shape)}; take it from latents(x)")
            require_finite(where, f"z[{level}]", value)
        return n


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and every module as it was afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _first_weights(model: NVAE, rng: torch.Generator | None) -> None:
    """Torch's own first weights, uniform within 1 / √fan-in, drawn anew from rng; the posteriors' last layers zero. Flows last: the rest is the same with and without them."""
    with torch.no_grad():
        for module in model.modules():
            if rng is not None and isinstance(module, (nn.Conv2d, nn.Linear)):
                reach = module.weight[0].numel() ** -0.5
                for value in module.parameters(recurse=False):
                    value.uniform_(-reach, reach, generator=rng)
        if rng is not None:
            model.top_down.h.uniform_(generator=rng)
        for group in model.top_down.groups:
            for value in group.posterior.head[-1].parameters():
                value.zero_()
        for module in model.modules():
            if rng is not None and isinstance(module, MaskedConv):
                module.start(rng)
