"""Convolutional deep belief network: the pooling units of one convolutional RBM are the visible units of the next (Lee et al. 2009, section 3.5).

    p(v, h¹, ..., hᴸ) = P(v | h¹) P(h¹ | p¹) P(p¹ | h²) ... p_top(pᴸ⁻¹, hᴸ)          pˡ pools hˡ; P(hˡ | pˡ): one unit of each block that is on, each as likely

Pooling forgets where in a block a unit was on; going down the place is drawn anew. Inference that lets the layers talk is in conv_inference.py.
"""
import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv_rbm import ConvRBM
from .max_pool import spread, unpool
from .validate import in_words, require_count, require_images, require_rng


class ConvDBN(nn.Module):
    """A stack of copies of convolutional RBMs, bottom up; the first may have Gaussian visibles, the others have one channel for each filter below."""

    def __init__(self, rbms: Sequence[ConvRBM]):
        super().__init__()
        self.rbms = nn.ModuleList(copy.deepcopy(rbm) for rbm in _require_stack(rbms))

    @property
    def top(self) -> ConvRBM:
        return self.rbms[-1]

    def pooled_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Sizes of v, p¹, ..., pᴸ for pictures of height x width; raises where a layer's blocks do not divide its maps."""
        sizes = [(height, width)]
        for rbm in self.rbms:
            rows, columns = rbm.map_size(*sizes[-1])
            sizes.append((rows // rbm.block, columns // rbm.block))
        return sizes

    def features(self, v: Tensor, level: int) -> Tensor:
        """P(pool = 1) passed upwards without sampling, as a classifier uses them; level 1 ... L.  (B, C, H, W) -> (B, K_level, h, w)."""
        require_images("ConvDBN.features", "v", v, self.rbms[0].n_channels, dtype=self.top.W.dtype)
        require_count("ConvDBN.features", "level", level, maximum=len(self.rbms))
        for rbm in self.rbms[:level]:
            v = rbm.max_pool(v).p_pool
        return v

    def recognise(self, v: Tensor, rng: torch.Generator) -> list[Tensor]:
        """Detection units h¹, ..., hᴸ drawn bottom up, each layer from the pooling units below.  (B, C, H, W) -> [(B, K_1, ...), ...]."""
        require_images("ConvDBN.recognise", "v", v, self.rbms[0].n_channels, dtype=self.top.W.dtype)
        require_rng("ConvDBN.recognise", rng)
        hidden = []
        for rbm in self.rbms:
            h, v = rbm.sample_hidden(v, rng)
            hidden.append(h)
        return hidden

    def descend(self, pool: Tensor, rng: torch.Generator, *, means: bool = False) -> Tensor:
        """One ancestral pass from pᴸ⁻¹ (B, K_{L-1}, h, w) down to v: states, or with means=True E[v | h¹] at the last step.  One layer: pool is v."""
        require_images("ConvDBN.descend", "pool", pool, self.top.n_channels, dtype=self.top.W.dtype, binary=len(self.rbms) > 1)
        require_rng("ConvDBN.descend", rng)
        with torch.no_grad():
            for rbm in reversed(self.rbms[:-1]):
                mean = rbm.visible_mean(unpool(pool, rbm.block, rng))
                pool = mean if means and rbm is self.rbms[0] else rbm.draw_visible(mean, rng)
        return pool

    def sample(self, n: int, *, image_size: tuple[int, int], n_gibbs_steps: int, start: Tensor | None = None, means: bool = False, rng: torch.Generator) -> Tensor:
        """n pictures: n_gibbs_steps sweeps of the top RBM, then one ancestral pass.  -> (n, C, H, W).

        start: states of the top RBM's visible units (n, K_{L-1}, h, w), for example pooled features of data; drawn from its biases if None.
        """
        require_count("ConvDBN.sample", "n", n)
        require_count("ConvDBN.sample", "n_gibbs_steps", n_gibbs_steps, minimum=0)
        require_rng("ConvDBN.sample", rng)
        if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
            raise ValueError(f"ConvDBN.sample: image_size is {in_words(image_size)}, expected (height, width); pass for example (64, 64)")
        for side in image_size:
            require_count("ConvDBN.sample", "image_size", side)
        top, size = self.top, self.pooled_sizes(*image_size)[-2]
        with torch.no_grad():
            if start is None:
                blank = top.b[:, None, None].expand(n, -1, *size)
                start = top.draw_visible(torch.sigmoid(blank) if top.sigma is None else blank, rng)
            require_images("ConvDBN.sample", "start", start, top.n_channels, dtype=top.W.dtype, binary=top.sigma is None)
            if start.shape != (n, top.n_channels, *size):
                raise ValueError(f"ConvDBN.sample: start has shape {tuple(start.shape)}, expected {(n, top.n_channels, *size)} for {n} pictures of {tuple(image_size)}; dbn.pooled_sizes lists the sizes")
            mean = None
            for _ in range(n_gibbs_steps):
                mean = top.visible_mean(top.sample_hidden(start, rng).h)
                start = top.draw_visible(mean, rng)
            if len(self.rbms) == 1:
                return mean if means and mean is not None else start
            return self.descend(start, rng, means=means)

    def bases(self, level: int) -> Tensor:
        """What one detection unit of a level stands for, as a picture: its filter taken linearly down through the layers below.  -> (K_level, C, S, S).

        A pooling unit counts as its block's units, each with 1/block² of its weight (nobody knows which was on).
        """
        require_count("ConvDBN.bases", "level", level, maximum=len(self.rbms))
        picture = self.rbms[level - 1].W.detach()
        for rbm in reversed(self.rbms[:level - 1]):
            picture = F.conv_transpose2d(spread(picture, rbm.block) / rbm.block**2, rbm.W.detach())
        return picture


def _require_stack(rbms: Sequence[ConvRBM]) -> list[ConvRBM]:
    """At least one convolutional RBM, sizes and types that fit, binary visibles above the first."""
    if not isinstance(rbms, Sequence) or not rbms or not all(isinstance(rbm, ConvRBM) for rbm in rbms):
        got = [type(rbm).__name__ for rbm in rbms] if isinstance(rbms, Sequence) else type(rbms).__name__
        raise ValueError(f"ConvDBN: rbms is {got}, expected a list of at least one ConvRBM, bottom up; pass [rbm]")
    for t, (below, above) in enumerate(zip(rbms, rbms[1:]), start=1):
        if below.n_filters != above.n_channels:
            raise ValueError(f"ConvDBN: RBM {t} has {below.n_filters} filters and RBM {t + 1} has {above.n_channels} channels, expected equal numbers; list them bottom up")
        if above.sigma is not None:
            raise ValueError(f"ConvDBN: RBM {t + 1} has Gaussian visibles, sigma={above.sigma}, expected binary ones: it stands on pooling units; build it with sigma=None")
        if below.W.dtype != above.W.dtype:
            raise ValueError(f"ConvDBN: RBM {t} is {below.W.dtype} and RBM {t + 1} is {above.W.dtype}, expected one type; convert: rbm.double() or rbm.float()")
    return list(rbms)
