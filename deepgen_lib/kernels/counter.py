"""Random numbers by counter: each is a function of (seed, step, stream, row, unit), so whoever needs it computes it again.

    words(seed; c₀, c₁, c₂, c₃) = Philox4x32-10 (Salmon et al. 2011): a seed of 64 bits, a counter of 4 x 32 bits -> 4 words of 32 bits
    u(seed, step, stream, row, unit) = ⌊word[unit mod 4] / 2⁸⌋ / 2²⁴     with the counter (⌊unit / 4⌋, row, step, stream)

u is a multiple of 2^-24 in [0, 1), exact in float32. Nothing depends on how the work is cut into tiles, nor on the number of devices,
as long as a row keeps its number. A `clock` is an int64 tensor (2,) that holds seed and step where the kernel runs, so that a captured
CUDA graph reads new ones at every replay. The kernels draw the same numbers with `uniforms` of triton_counter.py.
"""
import torch
from torch import Tensor

MULTIPLIERS, KEY_STEPS, ROUNDS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85), 10
LOW = 0xFFFFFFFF
HIDDEN, VISIBLE, DATA = range(3)  # streams: what the numbers are for


def new_clock(rng: torch.Generator, device: torch.device) -> Tensor:
    """(seed, 0): 64 bits drawn from rng.  -> (2,) int64 on the device."""
    return set_clock(torch.zeros(2, dtype=torch.int64, device=device), rng)


def set_clock(clock: Tensor, rng: torch.Generator) -> Tensor:
    """A new seed in place, without waiting for the device where rng is on the CPU."""
    seed = torch.empty((), dtype=torch.int64, device=rng.device).random_(-2**63, None, generator=rng)
    if rng.device.type == "cpu":
        clock[0].fill_(seed.item())
    else:
        clock[0].copy_(seed)
    return clock


def philox(counter: list[Tensor], key: list) -> list[Tensor]:
    """Philox4x32-10: 4 words from a counter of 4 and a key of 2 words, each 32 bits held in int64; shapes broadcast."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(ROUNDS):
        a, b = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2  # 64-bit products; the sign bit is a bit like any other
        c0, c1, c2, c3 = (b >> 32 & LOW) ^ c1 ^ k0, b & LOW, (a >> 32 & LOW) ^ c3 ^ k1, a & LOW
        k0, k1 = k0 + KEY_STEPS[0] & LOW, k1 + KEY_STEPS[1] & LOW
    return [c0, c1, c2, c3]


def counter_words(clock: Tensor, stream: int, n_rows: int, n_groups: int, *, step: int = 0, first_row: int = 0) -> Tensor:
    """The four words of every (row, group) at clock's step + `step`, as int64.  -> (n_rows, n_groups, 4)."""
    seed, now = clock
    groups = torch.arange(n_groups, device=clock.device).expand(n_rows, -1)
    rows = (torch.arange(n_rows, device=clock.device) + first_row & LOW)[:, None].expand_as(groups)
    counter = [groups, rows, (now + step & LOW).expand_as(groups), torch.full_like(groups, stream)]
    return torch.stack(torch.broadcast_tensors(*philox(counter, [seed & LOW, seed >> 32 & LOW])), -1)


def counter_uniforms(clock: Tensor, stream: int, n_rows: int, n_units: int, *, step: int = 0, first_row: int = 0) -> Tensor:
    """u of the formula above for rows first_row.. and units 0...  -> (n_rows, n_units) float32 in [0, 1)."""
    words = counter_words(clock, stream, n_rows, (n_units + 3) // 4, step=step, first_row=first_row)
    return ((words >> 8).float() * 2.0**-24).flatten(1)[:, :n_units]
