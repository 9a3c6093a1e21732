"""Normal numbers by counter: number i of a stream is a function of (seed, step, i) alone, so it can be made again instead of being stored.

Numbers 4c ... 4c + 3 come from the four words of Philox at the counter (c low, c high, step, 3) of counter.py, by Box and Muller (1958):

    (w, w') -> radius (cos angle, sin angle),    radius = sqrt(-2 log(1 - u)),  u = ⌊w / 2⁸⌋ / 2²⁴,    angle = 2 pi w' / 2³²
"""
import math

import torch
from torch import Tensor

from .counter import KEY_STEPS, LOW, MULTIPLIERS, ROUNDS, philox

NORMAL = 3     # the stream: 0 to 2 are counter.py's
PIECE = 2**15  # counters whose words stay in the cache


def counter_normal_reference(clock: Tensor, n: int) -> Tensor:
    """The definition, in float64: the first n numbers of N(0, 1) of a clock (2,) of seed and step.  -> (n,) float32."""
    seed, step = clock
    counter = torch.arange((n + 3) // 4, device=clock.device)
    words = philox([counter & LOW, counter >> 32, step & LOW, torch.full_like(step, NORMAL)], [seed & LOW, seed >> 32 & LOW])
    radius = [torch.sqrt(-2 * torch.log(1 - (w >> 8).double() * 2.0**-24)) for w in words[::2]]
    angle = [w.double() * (2 * math.pi * 2.0**-32) for w in words[1::2]]
    pairs = [f(t) * r for r, t in zip(radius, angle) for f in (torch.cos, torch.sin)]
    return torch.stack(pairs, 1).flatten()[:n].float()


@torch.library.custom_op("deepgen::counter_normal", mutates_args=())
def counter_normal(clock: Tensor, n: int) -> Tensor:
    """The definition above, to 2e-6, piece by piece in memory that stays in the cache.  -> (n,) float32."""
    n_counters = (n + 3) // 4
    out = torch.empty(n_counters, 4, device=clock.device)
    seed, step = clock.tolist()
    words = [torch.empty(min(PIECE, n_counters), dtype=torch.int64, device=clock.device) for _ in range(6)]
    for start in range(0, n_counters, PIECE):
        stop = min(start + PIECE, n_counters)
        a, b, c, d, *free = (w[:stop - start] for w in words)
        torch.arange(start, stop, out=a)
        torch.bitwise_right_shift(a, 32, out=b)
        a.bitwise_and_(LOW)
        c.fill_(step & LOW)
        d.fill_(NORMAL)
        _box_muller(_philox_in_place([a, b, c, d], (seed & LOW, seed >> 32 & LOW), free), out[start:stop])
    return out.view(-1)[:n].clone() if n % 4 else out.view(-1)


@counter_normal.register_fake
def _(clock: Tensor, n: int) -> Tensor:
    return torch.empty(n, device=clock.device)


def _philox_in_place(counter: list[Tensor], key: tuple[int, int], free: list[Tensor]) -> list[Tensor]:
    """A product's low word stays where the product was made; its high word goes where the factor was."""
    (a, b, c, d), (k, l), (p, q) = counter, key, free
    for _ in range(ROUNDS):
        torch.mul(a, MULTIPLIERS[0], out=p)
        torch.mul(c, MULTIPLIERS[1], out=q)
        torch.bitwise_right_shift(q, 32, out=a).bitwise_and_(LOW).bitwise_xor_(b).bitwise_xor_(k)
        torch.bitwise_right_shift(p, 32, out=c).bitwise_and_(LOW).bitwise_xor_(d).bitwise_xor_(l)
        b, d, p, q = q.bitwise_and_(LOW), p.bitwise_and_(LOW), b, d
        k, l = k + KEY_STEPS[0] & LOW, l + KEY_STEPS[1] & LOW
    return [a, b, c, d]


def _box_muller(words: list[Tensor], out: Tensor) -> None:
    for column in (0, 2):
        radius = words[column].bitwise_right_shift_(8).float().mul_(-2.0**-24).add_(1).log_().mul_(-2).sqrt_()
        angle = words[column + 1].to(torch.int32).float().mul_(2 * math.pi * 2.0**-32)  # from -pi to pi, where a float32 is finer than up to 2 pi
        torch.mul(angle.cos(), radius, out=out[:, column])
        torch.mul(angle.sin_(), radius, out=out[:, column + 1])
