"""Uniform numbers to compare probabilities with, at half the price of torch's own on the CPU.

A 64-bit word gives four units their upper 16 bits. Nine lower bits are drawn once per column and shared by all rows (chains):
every unit's number is uniform over 2^25 values, as fine as a float32 allows, and two rows depend on each other by less than 2^-16.
Shifted and scaled to [-32768, 32768), where these numbers and their comparison with 65536 p - 32768 are exact in float32.
"""
import torch
from torch import Tensor


def scaled_noise(shape: torch.Size, rng: torch.Generator) -> Tensor:
    """65536 u - 32768 for u uniform on [0, 1).  (B, H) -> float32 on the CPU, multiples of 1/512."""
    n = shape.numel()
    words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-2**63, None, generator=rng)
    upper = words.view(torch.int16)[:n].view(shape)
    lower = torch.empty(shape[-1:]).random_(512, generator=rng).mul_(1 / 512)
    return torch.add(upper, lower)


def compare(p: Tensor, rng: torch.Generator, *, out: Tensor | None = None) -> Tensor:
    """1 where u < p, else 0, for fresh uniform u; p = 0 never, p = 1 always.  (B, H) -> (B, H); out may be p."""
    if p.dtype == torch.float32 and p.device.type == "cpu":
        noise = scaled_noise(p.shape, rng)
        threshold = torch.mul(p, 65536, out=out).sub_(32768)
        return torch.lt(noise, threshold, out=noise if out is None else out)
    u = torch.empty_like(p).uniform_(generator=_beside(p, rng))
    return torch.lt(u, p, out=u if out is None else out)


def _beside(p: Tensor, rng: torch.Generator) -> torch.Generator:
    """rng, or where p lies on another device a generator there, seeded from rng."""
    if p.device.type == rng.device.type:
        return rng
    seed = torch.empty((), dtype=torch.int64, device=rng.device).random_(generator=rng)
    return torch.Generator(p.device).manual_seed(seed.item())
