"""Two levels of codes, VQ-VAE-2 (Razavi et al. 2019): a small map for the layout, a larger one for the detail that it leaves out.

    top ids <- nearest(E_top(E(x)))        bottom ids <- nearest(f(E(x), U(top codes)))        x̂ = D(U(top codes), bottom codes)

    minimised, in nats:  ‖x - x̂‖² / 2σ²  +  β (‖z_top - sg(e_top)‖² + ‖z_bottom - sg(e_bottom)‖²)          codes move by running means (EMA)

The paper leaves it to the two maps who holds what. Here, in a share of the training pictures the bottom codes are replaced by their mean code, so that the top has to say
all it can and the bottom only the rest; the mean code is also what "removed" means in `decode`. sizes: B pictures, bottom map H/2 x W/2, top map H/4 x W/4, D code length
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from .codebook import Codebook
from .residual_conv import ResidualBlock, conv
from .kernels.nearest_code import nearest
from .validate import in_words, require_choice, require_count, require_images, require_number, require_rng
from .vector_quantisation import look_up, losses, require_ids, straight_through

REVIVE_BELOW = 0.03  # of the even share of a batch


class TwoMaps(NamedTuple):
    top: Tensor      # (B, H/4, W/4) int64
    bottom: Tensor   # (B, H/2, W/2) int64


class TwoLevelTerms(NamedTuple):
    reconstruction: Tensor      # (B,) ‖x - x̂‖² / 2σ² in nats, without the constant
    top_commitment: Tensor      # (B,) β ‖z_top - sg(e_top)‖²
    bottom_commitment: Tensor   # (B,)

    @property
    def total(self) -> Tensor:
        return self.reconstruction + self.top_commitment + self.bottom_commitment


class VQVAE2(nn.Module):
    """Pictures (B, C, H, W), H and W divisible by 4, values in [0, 1]."""

    def __init__(self, n_channels: int, *, width: int = 32, dim: int = 16, n_codes: tuple[int, int] = (64, 64), without_bottom: float = 0.3, rng: torch.Generator):
        """n_codes: (top, bottom). without_bottom: the share of training pictures whose bottom codes are taken away."""
        super().__init__()
        for name, value in (("n_channels", n_channels), ("width", width), ("dim", dim)):
            require_count("VQVAE2", name, value)
        require_rng("VQVAE2", rng)
        require_number("VQVAE2", "without_bottom", without_bottom, low=0, high=1)
        if not isinstance(n_codes, (tuple, list)) or len(n_codes) != 2:
            raise ValueError(f"VQVAE2: n_codes is {in_words(n_codes)}, expected (top, bottom); for example (64, 64)")
        self.without_bottom, self.commitment, self.sigma = without_bottom, 0.25, 0.2
        r = lambda: ResidualBlock(width, rng)
        self.encode_picture = nn.Sequential(conv(n_channels, width, 4, rng, stride=2), r())
        self.encode_top = nn.Sequential(conv(width, width, 4, rng, stride=2), r(), r(), conv(width, dim, 1, rng))
        self.unfold_top = nn.Sequential(conv(dim, width, 1, rng), r(), r(), conv(width, width, 4, rng, stride=2, turned=True))
        self.encode_bottom = nn.Sequential(conv(2 * width, width, 3, rng), nn.ReLU(), conv(width, dim, 1, rng))
        self.decode_both = nn.Sequential(conv(width + dim, width, 3, rng), r(), nn.ReLU(), conv(width, n_channels, 4, rng, stride=2, turned=True))
        self.top, self.bottom = (Codebook(n, dim, update="ema", rng=rng) for n in n_codes)
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.n_channels = n_channels

    @torch.no_grad()
    def encode(self, x: Tensor) -> TwoMaps:
        """The nearest codes of both levels.  (B, C, H, W) -> (B, H/4, W/4), (B, H/2, W/2) int64."""
        self._require_pictures("VQVAE2.encode", x)
        below = self.encode_picture(x)
        top = self._nearest(self.top, self.encode_top(below))
        return TwoMaps(top, self._nearest(self.bottom, self._detail(below, self.unfold_top(self._vectors(self.top, top)))))

    def decode(self, maps: TwoMaps, *, without: str | None = None) -> Tensor:
        """The mean picture of two code maps; without "top" or "bottom": all codes of that level replaced by its mean code.  -> (B, C, H, W).

        The maps may come from different pictures: TwoMaps(a.top, b.bottom).
        """
        require_choice("VQVAE2.decode", "without", "none" if without is None else without, ("none", "top", "bottom"))
        self._require_maps(maps)
        top, bottom = self._vectors(self.top, maps.top), self._vectors(self.bottom, maps.bottom)
        if without == "top":
            top = self.mean_code("top")[:, None, None].expand_as(top)
        if without == "bottom":
            bottom = self.mean_code("bottom")[:, None, None].expand_as(bottom)
        return self.decode_both(torch.cat([self.unfold_top(top), bottom], 1))

    def mean_code(self, level: str) -> Tensor:
        """The level's codes averaged by how often they are used.  -> (D,)."""
        require_choice("VQVAE2.mean_code", "level", level, ("top", "bottom"))
        book = getattr(self, level)
        return (book.counts[:, None] * book.codes).sum(0).detach() / book.counts.sum()

    def terms(self, x: Tensor) -> TwoLevelTerms:
        """The loss of each picture, with both levels at work."""
        self._require_pictures("VQVAE2.terms", x)
        return self._pass(x, None, None)

    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """Mean loss of a batch, for GradientTrainer; moves the codes by running means, revives those that nobody uses."""
        dropped = torch.rand(len(batch), generator=rng) < self.without_bottom
        return self._pass(batch, dropped, rng).total.mean()

    def check_data(self, data: Tensor) -> None:
        """Called once by fit."""
        self._require_pictures("fit", data, name="data")

    def _pass(self, x: Tensor, dropped: Tensor | None, rng: torch.Generator | None) -> TwoLevelTerms:
        below = self.encode_picture(x)
        top, top_error = self._quantise(self.top, self.encode_top(below), rng)
        above = self.unfold_top(top)
        bottom, bottom_error = self._quantise(self.bottom, self._detail(below, above), rng)
        if rng is not None:
            self.started.fill_(True)
        if dropped is not None:
            bottom = torch.where(dropped[:, None, None, None], self.mean_code("bottom")[:, None, None], bottom)
            bottom_error = torch.where(dropped, 0.0, bottom_error)
        out = self.decode_both(torch.cat([above, bottom], 1))
        return TwoLevelTerms(((x - out) ** 2).flatten(1).sum(1) / (2 * self.sigma**2), self.commitment * top_error, self.commitment * bottom_error)

    def _quantise(self, book: Codebook, z: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """(codes with the gradient of z, ‖z - sg(e)‖² (B,)); with rng the book learns, after it was used."""
        rows = z.detach().movedim(1, -1).flatten(0, 2)
        if rng is not None and not self.started:
            book.init_from(rows, how="data", rng=rng)
        ids = self._nearest(book, z)
        codes = self._vectors(book, ids).detach()
        if rng is not None:
            book.update_statistics(rows, ids.flatten())
            book.revive(rows, below=REVIVE_BELOW * len(rows) / len(book.codes), rng=rng)
        return straight_through(z, codes), losses(z, codes).commitment

    def _nearest(self, book: Codebook, z: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, h, w)."""
        return nearest(z.detach().movedim(1, -1).flatten(0, 2), book.codes).view(len(z), *z.shape[2:])

    def _vectors(self, book: Codebook, ids: Tensor) -> Tensor:
        return look_up(book.codes, ids).movedim(-1, 1)

    def _detail(self, below: Tensor, above: Tensor) -> Tensor:
        return self.encode_bottom(torch.cat([below, above], 1))

    def _require_pictures(self, where: str, x: Tensor, name: str = "x") -> None:
        require_images(where, name, x, self.n_channels, dtype=self.top.codes.dtype)
        if x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError(f"{where}: {name} has pictures of {tuple(x.shape[2:])}, expected a height and a width divisible by 4; pad them: torch.nn.functional.pad")

    def _require_maps(self, maps: TwoMaps) -> None:
        if not isinstance(maps, tuple) or len(maps) != 2:
            raise ValueError(f"VQVAE2.decode: maps is {type(maps).__name__}, expected TwoMaps(top, bottom); model.encode(x) gives them")
        for name, ids, book in (("top", maps[0], self.top), ("bottom", maps[1], self.bottom)):
            if not isinstance(ids, Tensor) or ids.ndim != 3:
                found = tuple(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
                raise ValueError(f"VQVAE2.decode: the {name} map is {found}, expected (B, height, width) int64; model.encode(x) gives it")
            require_ids("VQVAE2.decode", ids, ids.shape, len(book.codes))
        (n, h, w), bottom = maps[0].shape, tuple(maps[1].shape)
        if bottom != (n, 2 * h, 2 * w):
            raise ValueError(f"VQVAE2.decode: the top map is {(n, h, w)} and the bottom map {bottom}, expected {(n, 2 * h, 2 * w)}; take both from pictures of one size")


class ErrorByScale(NamedTuple):
    low: Tensor    # (B,) mean square error of the averages over blocks: layout
    high: Tensor   # (B,) mean square error of what is left when these are taken away: detail; low + high is the whole mean square error


def error_by_scale(x: Tensor, y: Tensor, *, block: int = 4) -> ErrorByScale:
    """The error of pictures y beside x, split into coarse and fine; blocks of block x block pixels.  (B, C, H, W) twice -> (B,) twice."""
    require_images("error_by_scale", "x", x)
    require_images("error_by_scale", "y", y, dtype=x.dtype)
    require_count("error_by_scale", "block", block)
    if y.shape != x.shape or x.shape[2] % block or x.shape[3] % block:
        raise ValueError(f"error_by_scale: x is {tuple(x.shape)}, y {tuple(y.shape)} and block {block}, expected two stacks of one size that block divides; block=4 suits 28 and 32 pixels")
    difference = x - y
    low = avg_pool2d(difference, block).square().flatten(1).mean(1)
    return ErrorByScale(low, difference.square().flatten(1).mean(1) - low)
