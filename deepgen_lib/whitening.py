"""Whitening pictures: undo the 1/f spectrum of natural images, so that a model need not spend its filters on it (Olshausen and Field 1997).

    F[white](f) = R(f) F[x](f),   R(f) = |f| exp(-(|f|/f0)⁴)          f in cycles per pixel; |f| flattens, the exponential removes noise above f0

Then each picture is scaled to variance one; its mean is zero because R(0) = 0.
"""
import torch
from torch import Tensor

from .validate import require_images, require_number


def whiten(images: Tensor, *, cutoff: float = 0.4) -> Tensor:
    """Whitened pictures of mean 0 and variance 1, one by one.  (N, C, H, W) -> (N, C, H, W).

    cutoff is f0, in (0, 0.71) cycles per pixel. The Fourier transform sees a picture continued by its mirror image: otherwise its left
    edge would meet its right edge, and the jump become a frame of strong lines. Raises where a picture is one flat grey.
    """
    require_images("whiten", "images", images)
    if images.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"whiten: images is {images.dtype}, expected float32 or float64: the Fourier transform takes no coarser one; convert: images.float()")
    require_number("whiten", "cutoff", cutoff, low=1e-3, high=0.71)
    height, width = images.shape[-2:]
    mirrored = torch.cat([images, images.flip(-1)], -1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2)  # (N, C, 2H, 2W), periodic without a jump
    down, right = (torch.fft.fftfreq(2 * n, dtype=images.dtype, device=images.device) for n in (height, width))
    f = (down[:, None]**2 + right**2).sqrt()
    white = torch.fft.ifft2(torch.fft.fft2(mirrored) * f * torch.exp(-(f / cutoff)**4)).real[..., :height, :width]
    flat = (images.amax((1, 2, 3)) - images.amin((1, 2, 3)) < 1e-6).nonzero()
    if len(flat):
        raise ValueError(f"whiten: picture {flat[0].item()} is one flat grey, expected some contrast: its variance cannot be scaled to one; leave such pictures out")
    return white / white.square().mean((1, 2, 3), keepdim=True).sqrt()
