"""Training a convolutional RBM by CD or PCD, with Lee's sparsity target; a trainer for `fit`.

    ∂/∂Wᵏ = (E_data[v ⋆ hᵏ] - E_model[v ⋆ hᵏ]) / (σ² M),   ∂/∂c_k = mean over positions of E_data[hᵏ] - E_model[hᵏ]          M: positions of a map

The gradient of log p(v) *per position*: the filter and its bias are shared by all M positions, so that the whole gradient is M times as large and the learning
rate would have to know the size of the pictures. All three parameters are divided alike: dividing some only is another direction. In the data's phase h
are probabilities; in the model's v and h are drawn, h of the last step again taken as probabilities.

Under torchrun (processes.py) every process has its part of the batch and of PCD's chains and draws with its own rng; the gradient is averaged before the momentum.
"""
from dataclasses import fields
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.grad import conv2d_weight

from .conv_rbm import ConvRBM
from .max_pool import probabilistic_max_pool, sample_max_pool
from .processes import average_, share_first
from .rbm_training import CDOptions, divided
from .validate import in_words, require_count, require_images, require_kind, require_model, require_rng, require_state


class ConvGradient(NamedTuple):
    """Uphill direction of the mean log p(v) per position of a map."""
    W: Tensor  # (K, C, w, w)
    b: Tensor  # (C,)
    c: Tensor  # (K,)


class ConvPhase(NamedTuple):
    v: Tensor  # (B, C, H, W)
    h: Tensor  # (B, K, H-w+1, W-w+1) probabilities given v


def conv_statistics(rbm: ConvRBM, phase: ConvPhase) -> ConvGradient:
    """Minus the energy's derivatives, averaged over examples and positions; the gradient is the data's minus the model's."""
    v, h = phase
    scale = 1 / (len(v) * h.shape[2] * h.shape[3])
    below = v if rbm.sigma is None else v - rbm.b[:, None, None]
    return ConvGradient(scale * rbm.precision * conv2d_weight(v, rbm.W.shape, h), scale * rbm.precision * below.sum((0, 2, 3)), h.mean((0, 2, 3)))


def conv_cd_gradient(rbm: ConvRBM, v: Tensor, *, n_gibbs_steps: int = 1, rng: torch.Generator) -> ConvGradient:
    """CD-k from the data v (B, C, H, W)."""
    require_model("conv_cd_gradient", "rbm", rbm, "ConvRBM")
    require_images("conv_cd_gradient", "v", v, rbm.n_channels, dtype=rbm.W.dtype, binary=rbm.sigma is None)
    require_count("conv_cd_gradient", "n_gibbs_steps", n_gibbs_steps)
    require_rng("conv_cd_gradient", rng)
    with torch.no_grad():
        data = ConvPhase(v, rbm.max_pool(v).p_detection)
        return _difference(rbm, data, _model_phase(rbm, v, n_gibbs_steps, rng))


class ConvRBMTrainer:
    """Holds what outlives an update: velocities and PCD's chains. `fit` calls `update` and the rest."""

    def __init__(self, rbm: ConvRBM, options: CDOptions, *, image_size: tuple[int, int], rng: torch.Generator):
        """image_size: height and width of the pictures it will see. options as for RBMs; centred is not offered here."""
        require_rng("ConvRBMTrainer", rng)
        require_kind("ConvRBMTrainer", "options", options, CDOptions, cure="pass CDOptions()")
        if options.centred:
            raise ValueError("ConvRBMTrainer: centred is True, expected False: a convolutional RBM is trained in plain parameters; CDOptions(centred=False)")
        if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
            raise ValueError(f"ConvRBMTrainer: image_size is {in_words(image_size)}, expected (height, width); pass tuple(data.shape[-2:])")
        for side in image_size:
            require_count("ConvRBMTrainer", "image_size", side)
        rbm.map_size(*image_size)
        share_first(rbm)
        self.model, self.options, self.image_size = rbm, options, tuple(image_size)
        self.velocity_W, self.velocity_b, self.velocity_c = (torch.zeros_like(p, requires_grad=False) for p in (rbm.W, rbm.b, rbm.c))
        n = divided("ConvRBMTrainer", options) if options.persistent else 0
        with torch.no_grad():
            blank = rbm.b[:, None, None].expand(n, -1, *image_size)
            self.chains = rbm.draw_visible(torch.sigmoid(blank) if rbm.sigma is None else blank, rng)

    def update(self, v: Tensor, fraction: float, rng: torch.Generator) -> None:
        """One step on the batch v (B, C, H, W); fraction in [0, 1) says how far training has come, for the learning rate."""
        rbm, options = self.model, self.options
        rate = options.learning_rate + (options.final_learning_rate - options.learning_rate) * fraction
        with torch.no_grad():
            data = ConvPhase(v, rbm.max_pool(v).p_detection)
            model = _model_phase(rbm, self.chains if options.persistent else v, options.n_gibbs_steps, rng)
            if options.persistent:
                self.chains = model.v
            slope = _difference(rbm, data, model)
            if options.sparsity_target is not None:
                slope = slope._replace(c=slope.c + options.sparsity_weight * (options.sparsity_target - data.h.mean((0, 2, 3))))
            slope = slope._replace(W=slope.W - options.weight_decay * rbm.W)
            average_([*slope], rows=len(v))
            for velocity, step, parameter in zip((self.velocity_W, self.velocity_b, self.velocity_c), slope, (rbm.W, rbm.b, rbm.c)):
                velocity.mul_(options.momentum).add_(step, alpha=rate)
                parameter.add_(velocity)

    def check_data(self, data: Tensor) -> None:
        """Called once by fit, so that update need not look at every batch."""
        require_images("fit", "data", data, self.model.n_channels, dtype=self.model.W.dtype, binary=self.model.sigma is None)
        if tuple(data.shape[-2:]) != self.image_size:
            raise ValueError(f"fit: data has pictures of {tuple(data.shape[-2:])}, expected {self.image_size} as the trainer was told; pass image_size=tuple(data.shape[-2:])")

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs beside the model's parameters."""
        return {name: getattr(self, name) for name in ("velocity_W", "velocity_b", "velocity_c", "chains")}

    def load_state(self, state: dict[str, Tensor]) -> None:
        own = self.state()
        require_state("ConvRBMTrainer.load_state", state, own)
        for name, value in own.items():
            setattr(self, name, state[name].to(value).clone())

    def describe(self) -> dict[str, str]:
        """Options as words, written into the checkpoint and compared on resume."""
        options = {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options)}
        return options | {"block": str(self.model.block), "sigma": str(self.model.sigma), "image_size": str(self.image_size)}


def _model_phase(rbm: ConvRBM, v: Tensor, n_gibbs_steps: int, rng: torch.Generator) -> ConvPhase:
    """k sweeps from v; call under no_grad."""
    for _ in range(n_gibbs_steps):
        v = rbm.draw_visible(rbm.visible_mean(sample_max_pool(rbm.hidden_logits(v), rbm.block, rng).h), rng)
    return ConvPhase(v, probabilistic_max_pool(rbm.hidden_logits(v), rbm.block).p_detection)


def _difference(rbm: ConvRBM, data: ConvPhase, model: ConvPhase) -> ConvGradient:
    return ConvGradient(*(up - down for up, down in zip(conv_statistics(rbm, data), conv_statistics(rbm, model))))
