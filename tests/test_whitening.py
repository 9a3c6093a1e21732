"""whitening.py: a 1/f spectrum becomes flat below the cutoff, noise above it is removed, pictures have mean 0 and variance 1."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.caltech import load_caltech
from deepgen_lib.whitening import whiten


def power(images: torch.Tensor, low: float, high: float) -> float:
    """Mean squared amplitude at low <= |f| < high cycles per pixel; (N, 1, S, S), windowed so that the borders do not count."""
    side = images.shape[-1]
    window = torch.hann_window(side, periodic=False, dtype=images.dtype)
    f = torch.fft.fftfreq(side, dtype=images.dtype)
    f = (f[:, None]**2 + f**2).sqrt()
    return (torch.fft.fft2(images * window * window[:, None]).abs()**2)[..., (f >= low) & (f < high)].mean().item()


def pink(n: int, side: int, rng: torch.Generator) -> torch.Tensor:
    """Noise whose amplitude falls as 1/f, as in natural pictures."""
    f = torch.fft.fftfreq(side, dtype=torch.float64)
    f = (f[:, None]**2 + f**2).sqrt().clamp_min(1 / side)
    return torch.fft.ifft2(torch.fft.fft2(torch.randn(n, 1, side, side, dtype=torch.float64, generator=rng)) / f).real


def test_pink_noise_becomes_white_below_the_cutoff_and_silent_above(rng):
    images = pink(60, 48, rng)
    white = whiten(images, cutoff=0.3)
    assert power(images, 0.06, 0.1) > 3 * power(images, 0.16, 0.2)
    assert power(white, 0.06, 0.1) == pytest.approx(power(white, 0.16, 0.2), rel=0.35)  # exp(-2 (f/f0)^4) takes a fifth away at 0.18
    assert power(white, 0.46, 0.5) < 1e-3 * power(white, 0.1, 0.2)


def test_the_spectrum_of_real_pictures_is_flattened():
    faces = load_caltech("valid", categories=["Faces_easy"]).images
    ratio = lambda x: power(x, 0.05, 0.09) / power(x, 0.18, 0.22)
    assert ratio(faces) > 8 and 0.4 < ratio(whiten(faces)) < 3


def test_mean_variance_and_shape(rng):
    images = 3 + 5 * torch.rand(4, 3, 12, 17, dtype=torch.float64, generator=rng)
    white = whiten(images)
    assert white.shape == images.shape
    assert_close(white.mean((2, 3)), torch.zeros(4, 3, dtype=torch.float64), atol=1e-12, rtol=0)
    assert_close(white.square().mean((1, 2, 3)), torch.ones(4, dtype=torch.float64), atol=1e-12, rtol=0)


def test_brightness_and_contrast_do_not_matter_and_pictures_do_not_meet(rng):
    images = torch.rand(4, 1, 12, 12, dtype=torch.float64, generator=rng)
    assert_close(whiten(0.2 + 0.5 * images), whiten(images), atol=1e-12, rtol=0)
    assert_close(whiten(images)[2:3], whiten(images[2:3]), atol=1e-12, rtol=0)


def test_mirrored_and_turned_pictures_are_whitened_alike(rng):
    images = torch.rand(2, 1, 9, 12, dtype=torch.float64, generator=rng)
    for turned in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT):
        assert_close(whiten(turned(images)), turned(whiten(images)), atol=1e-12, rtol=0)


def test_a_slope_leaves_no_frame_of_lines():
    """Periodic continuation would let the bright right edge meet the dark left one."""
    slope = torch.linspace(0, 1, 32, dtype=torch.float64).expand(1, 1, 32, 32)
    energy = whiten(slope + 0.05 * torch.randn(1, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0, 0]**2
    assert energy[:, [0, -1]].mean() < 8 * energy[:, 8:24].mean()


@pytest.mark.parametrize("images, options, words", [
    (torch.ones(2, 1, 5, 5), {}, "picture 0 is one flat grey"), (torch.rand(5, 5), {}, r"shape \(5, 5\), expected \(B, C, H, W\)"), ([1.0], {}, "is list"),
    (torch.rand(2, 1, 5, 5), dict(cutoff=0.0), "cutoff is 0.0"), (torch.rand(2, 1, 5, 5).log() - torch.inf, {}, "infinite"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_bad_input_is_answered(images, options, words):
    with pytest.raises(ValueError, match=f"^whiten: (?=.*{words}).*expected .*; .+"):
        whiten(images, **options)
