"""The convolutional DBNs that ship with chapter 07: how their pictures are prepared, how they are built and loaded, what is asked of them.

    faces, cars, elephants, chairs    trained on one category each          24 filters of 9 x 9, 40 of 9 x 9, 24 of 10 x 10
    four                              on cars, faces, motorbikes, airplanes  24, 60 and 72

    pictures 64 x 64 -> maps 56 x 56, pooled 28 x 28 -> maps 20 x 20, pooled 10 x 10 -> one unit a filter, which sees the whole picture

All share the first layer, Gaussian with sigma = SIGMA; made by benchmarks/conv_dbn.py.
"""
import copy

import torch
from torch import Tensor

from .caltech import Caltech
from .conv_dbn import ConvDBN
from .conv_inference import infer, require_known
from .conv_rbm import ConvRBM
from .checkpoint import load_model
from .max_pool import log_block_sums, probabilistic_max_pool
from .shipped import CHECKPOINTS
from .validate import require_choice, require_count, require_images, require_model, require_number, require_rng
from .whitening import whiten

SIGMA = 0.7
SIDE = 64
TAPER = 4  # pixels over which a picture fades out inside its frame
CATEGORIES_OF = {"faces": ("Faces_easy",), "cars": ("car_side",), "elephants": ("elephant",), "chairs": ("chair",),
                 "four": ("car_side", "Faces_easy", "Motorbikes", "airplanes")}
FILTERS = {name: (24, 60, 72) if name == "four" else (24, 40, 24) for name in CATEGORIES_OF}
SIDES = ("left", "right", "top", "bottom")


def white_pictures(data: Caltech) -> Tensor:
    """Whitened pictures that fade to 0 at the borders of their frames, mean square 1.  -> (N, 1, 64, 64).

    Outside its frame a picture is filled with streaks: no model should learn those. Fading avoids a hard edge, and pixels at the rim of the square that
    only the corners of filters reach.
    """
    if not isinstance(data, Caltech):
        raise ValueError(f"white_pictures: data is {type(data).__name__}, expected what load_caltech returns: the frames are needed beside the images; pass load_caltech('train')")
    white = whiten(data.images)
    top, bottom, left, right = data.frames.T
    white = white * (_fade(top, bottom, white.shape[-2])[:, :, None] * _fade(left, right, white.shape[-1])[:, None, :])[:, None]
    return white / white.square().mean((1, 2, 3), keepdim=True).sqrt()


def blank_conv_dbn(name: str) -> ConvDBN:
    """The network of that name before training: the sizes above, tiny random weights."""
    require_choice("blank_conv_dbn", "name", name, tuple(CATEGORIES_OF))
    first, second, third = FILTERS[name]
    rng = torch.Generator().manual_seed(0)
    return ConvDBN([ConvRBM(1, first, 9, sigma=SIGMA, rng=rng), ConvRBM(first, second, 9, rng=rng), ConvRBM(second, third, 10, block=1, rng=rng)]).requires_grad_(False)


def load_conv_dbn(name: str) -> ConvDBN:
    """A trained network that ships with the package: "faces", "cars", "elephants", "chairs" or "four"; float32, no gradients."""
    require_choice("load_conv_dbn", "name", name, tuple(CATEGORIES_OF))
    return load_model(CHECKPOINTS / f"conv_dbn_{name}.safetensors", blank_conv_dbn(name))


def feature_scores(dbn: ConvDBN, x: Tensor, level: int, *, by: str = "strongest") -> Tensor:
    """One number a feature and picture, for average_precision.  (N, C, H, W) -> (N, K_level).

    "strongest": the largest log(1 + Σ_block exp I) over positions, in nats: is the part anywhere? It ranks as the largest P(pool = 1) does, without ties at 1.
    "mean": the mean of P(pool = 1) over positions: how much of it is there? At a level with one position the two rank alike, but for ties.
    """
    require_count("feature_scores", "level", level, maximum=len(dbn.rbms))
    require_choice("feature_scores", "by", by, ("strongest", "mean"))
    rbm = dbn.rbms[level - 1]
    with torch.no_grad():
        below = (dbn.features(part, level - 1) if level > 1 else part for part in x.split(50))
        logits = (rbm.hidden_logits(part) for part in below)
        return torch.cat([log_block_sums(I, rbm.block).amax((2, 3)) if by == "strongest" else probabilistic_max_pool(I, rbm.block).p_pool.mean((2, 3)) for I in logits])


def half_known(side: str, *, size: tuple[int, int] = (SIDE, SIDE)) -> Tensor:
    """The mask of pictures whose half on that side is hidden: 1 where a pixel is seen.  -> (1, 1, H, W); side is left, right, top or bottom."""
    require_choice("half_known", "side", side, SIDES)
    for length in size:
        require_count("half_known", "size", length, minimum=2)
    known = torch.ones(1, 1, *size)
    H, W = size
    known[..., *{"left": (slice(None), slice(W // 2)), "right": (slice(None), slice(W - W // 2, W)),
                 "top": (slice(H // 2), slice(None)), "bottom": (slice(H - H // 2, H), slice(None))}[side]] = 0
    return known


def complete(dbn: ConvDBN, x: Tensor, known: Tensor, *, n_sweeps: int = 16, top_down: bool = True, upper: float = 0.3, rng: torch.Generator) -> Tensor:
    """E[hidden pixels | known ones] by hierarchical inference that starts with grey (0) in their place.  (N, 1, H, W) -> (N, 1, H, W).

    upper, in (0, 1], multiplies weights and hidden biases of the layers above the first. Trained one by one, neighbouring layers each hold the whole evidence; together they count it
    twice, and at 1 the units of the hidden half switch one another on without end. Deep Boltzmann machines halve for this reason (Salakhutdinov and Hinton 2009); 0.3 was chosen
    on validation faces. A mean face still errs less; `complete_from_above` (conv_completion.py) with `recentre` errs less than both.
    """
    require_model("complete", "dbn", dbn, "ConvDBN")
    require_images("complete", "x", x, dbn.rbms[0].n_channels, dtype=dbn.top.W.dtype)
    require_images("complete", "known", known, 1, binary=True)
    require_known("complete", x, known)
    require_count("complete", "n_sweeps", n_sweeps)
    require_number("complete", "upper", upper, low=1e-3, high=1)
    require_rng("complete", rng)
    gentle = copy.deepcopy(dbn).requires_grad_(False)
    for rbm in gentle.rbms[1:]:
        rbm.W.mul_(upper)
        rbm.c.mul_(upper)
    return infer(gentle, x * known, n_sweeps=n_sweeps, known=known, top_down=top_down, burn_in=n_sweeps // 4, rng=rng).v


def completion_error(completed: Tensor, x: Tensor, known: Tensor) -> Tensor:
    """Mean square of the error over the hidden pixels, picture by picture.  (N, C, H, W) twice, (1 or N, 1, H, W) -> (N,)."""
    hidden = (1 - known).expand_as(x)
    return ((completed - x).square() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


def _fade(low: Tensor, high: Tensor, n: int) -> Tensor:
    """1 inside [low, high), falling to 0 outside over TAPER pixels.  (N,), (N,) -> (N, n)."""
    place = torch.arange(n)
    inside = torch.minimum(place - low[:, None], high[:, None] - 1 - place)
    return ((inside + 1) / (TAPER + 1)).clamp(0, 1)
