"""k Gibbs sweeps in one launch: every program owns BM chains and makes all their half steps.

The states wait in memory as bytes between half steps, because the next product needs all units of a chain; only its own program reads
them, so a barrier inside the program is enough. The weights stream through the cache once per half step.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from . import triton_gibbs
from .counter import HIDDEN, VISIBLE
from .triton_counter import INTERPRETED, Tile, dot_settings, logistic, uniforms
from .triton_gibbs import product

TILE = Tile(64, 128, 128) if INTERPRETED else Tile(16, 128, 64)


@triton.jit
def half(x_ptr, out_ptr, p_ptr, W_ptr, bias_ptr, seed, step, last, rows, first_row, B, K, N, sw, tw,
         STREAM: tl.constexpr, KEEP_P: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
         PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    """One half step of the program's own rows, column tile by column tile; states (B, K) and (B, N) are bytes in one piece."""
    for first in range(0, N, BN):
        cols = first + tl.arange(0, BN)
        logits = product(x_ptr, W_ptr, rows, cols, B, K, N, K, 1, sw, tw, BM, BN, BK, PRECISION, AS_FLOAT)
        p = logistic(logits + tl.load(bias_ptr + cols, mask=cols < N, other=0.0).to(tl.float32)[None, :])
        u = uniforms(seed, step, STREAM, rows.to(tl.int64) + first_row, first, BM, BN)
        place, inside = rows.to(tl.int64)[:, None] * N + cols[None, :], (rows < B)[:, None] & (cols < N)[None, :]
        tl.store(out_ptr + place, (u < p).to(tl.uint8), mask=inside)
        if KEEP_P:
            tl.store(p_ptr + place, p, mask=inside & last)
    tl.debug_barrier()  # the states are whole before anyone of this program reads them


@triton.jit
def sweeps_kernel(h_ptr, v_ptr, p_ptr, W_ptr, b_ptr, c_ptr, clock_ptr, N, V, H, sw, tw, n_steps, first_row,
                  UP: tl.constexpr, DOWN: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
                  PRECISION: tl.constexpr, AS_FLOAT: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    seed, now = tl.load(clock_ptr), tl.load(clock_ptr + 1)
    for step in range(n_steps):
        half(h_ptr, v_ptr, p_ptr, W_ptr, b_ptr, seed, now + step, False, rows, first_row, N, H, V, tw, sw, DOWN, False, BM, BN, BK, PRECISION, AS_FLOAT)
        half(v_ptr, h_ptr, p_ptr, W_ptr, c_ptr, seed, now + step, step == n_steps - 1, rows, first_row, N, V, H, sw, tw, UP, True, BM, BN, BK, PRECISION, AS_FLOAT)


@torch.library.custom_op("deepgen::sweeps", mutates_args=())
def sweeps(h: Tensor, W: Tensor, b: Tensor, c: Tensor, clock: Tensor, n_steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The last v (N, V), p (N, H) and h (N, H), of W's type."""
    return tuple(x.to(W.dtype) for x in launch(h, W, b, c, clock, n_steps))


@sweeps.register_fake
def _(h, W, b, c, clock, n_steps):
    return W.new_empty(len(h), len(b)), W.new_empty(len(h), len(c)), W.new_empty(len(h), len(c))


sweeps.register_autograd(lambda ctx, *gradients: (None,) * 6)  # a sampled state has no gradient


def launch(h: Tensor, W: Tensor, b: Tensor, c: Tensor, clock: Tensor, n_steps: int, *, first_row: int = 0,
           tile: Tile = TILE, at_once: bool | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """v and h as bytes, p as float32. first_row: the number of the first chain, where other devices have the chains before it. at_once: one launch, or one for each half step; None takes what keeps more of the GPU busy."""
    (V, H), N = W.shape, len(h)
    states, v = h.to(torch.uint8, copy=True, memory_format=torch.contiguous_format), torch.empty(N, V, dtype=torch.uint8, device=W.device)
    p = torch.empty(N, H, dtype=torch.float32, device=W.device)
    programs = triton.cdiv(N, tile.BM)
    if at_once is None:
        at_once = INTERPRETED or 2 * programs >= torch.cuda.get_device_properties(W.device).multi_processor_count
    if at_once and N:
        sweeps_kernel[(programs,)](states, v, p, W, b.contiguous(), c.contiguous(), clock, N, V, H, *W.stride(), n_steps, first_row,
                                   UP=HIDDEN, DOWN=VISIBLE, **tile._asdict(), **dot_settings(W.device))
    for step in range(0 if at_once else n_steps):  # too few chains to share out: share out the units, too
        triton_gibbs.launch(states, W.T, b, clock, stream=VISIBLE, step=step, first_row=first_row, out=v)
        triton_gibbs.launch(v, W, c, clock, stream=HIDDEN, step=step, first_row=first_row, out=states, p=p if step == n_steps - 1 else None)
    return v, p, states
