"""Triton kernels of residual_normal_sample: z ~ q and KL(q ‖ p) in one pass over the four tensors, and their gradient.

Why fuse: eager keeps the noise, both scales and the squared shift, about six tensors, from forward to backward, and passes over memory some twenty times. Here
forward reads four tensors and writes two; backward reads five, draws the same noise again from its counter, and writes three. Nothing else is kept.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

from .counter_normal import NORMAL
from .triton_counter import INTERPRETED

BLOCK = 2**14 if INTERPRETED else 2**9  # numbers a program


@triton.jit
def _cos_sin(word):
    """Of the angle 2 pi word / 2^32. Whole quarters are taken off as integers, exactly; what is left, at most pi/4, needs four terms. (cos of the GPU's library
    carries code for angles of any size.)"""
    quarter = (word + 0x20000000) >> 30
    x = (word - (quarter << 30)).to(tl.int32, bitcast=True).to(tl.float32) * 1.4629180792671596e-09  # 2 pi 2^-32
    q = x * x
    c = 1 - q * (1 / 2 - q * (1 / 24 - q * (1 / 720 - q * (1 / 40320))))
    s = x * (1 - q * (1 / 6 - q * (1 / 120 - q * (1 / 5040 - q * (1 / 362880)))))
    odd = (quarter & 1) == 1
    cos, sin = tl.where(odd, s, c), tl.where(odd, c, s)
    return tl.where((quarter + 1 & 2) == 2, -cos, cos), tl.where((quarter & 2) == 2, -sin, sin)


@triton.jit
def _box_muller(radius_word, angle_word):
    radius = tl.sqrt(-2.0 * tl.log(1.0 - (radius_word >> 8).to(tl.float32) * 5.9604644775390625e-08))  # 2^-24: at least that stays of 1
    cos, sin = _cos_sin(angle_word)
    return radius * cos, radius * sin


@triton.jit
def _noise(clock_ptr, first, STREAM: tl.constexpr, BLOCK: tl.constexpr):
    """Numbers first ... first + BLOCK - 1 of counter_normal, both multiples of 4."""
    seed, step = tl.load(clock_ptr), tl.load(clock_ptr + 1)  # on the device, so that a recorded graph draws anew when they move
    counter = first // 4 + tl.arange(0, BLOCK // 4)
    low, high = counter.to(tl.uint32), (counter >> 32).to(tl.uint32)
    a, b, c, d = tl.philox(seed, low, high, low * 0 + step.to(tl.uint32), low * 0 + STREAM)
    n0, n1 = _box_muller(a, b)
    n2, n3 = _box_muller(c, d)
    return tl.reshape(tl.join(tl.join(n0, n2), tl.join(n1, n3)), [BLOCK])  # n0 n1 n2 n3 side by side


@triton.jit
def _exp_above_line(t):
    """e^t - 1 - t; near 0, where the difference would lose its digits, by its series."""
    series = t * t * (1 / 2 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t * (1 / 720 + t * (1 / 5040 + t * (1 / 40320)))))))
    return tl.where(tl.abs(t) < 0.5, series, tl.exp(t) - 1.0 - t)


@triton.jit
def forward_kernel(mu_ptr, log_sigma_ptr, delta_mu_ptr, delta_log_sigma_ptr, clock_ptr, z_ptr, kl_ptr, n,
                   STREAM: tl.constexpr, BLOCK: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * BLOCK
    i = first + tl.arange(0, BLOCK)
    mu, log_sigma = tl.load(mu_ptr + i, mask=i < n).to(tl.float32), tl.load(log_sigma_ptr + i, mask=i < n).to(tl.float32)
    delta_mu, delta_log_sigma = tl.load(delta_mu_ptr + i, mask=i < n).to(tl.float32), tl.load(delta_log_sigma_ptr + i, mask=i < n).to(tl.float32)
    z = mu + delta_mu + tl.exp(log_sigma + delta_log_sigma) * _noise(clock_ptr, first, STREAM, BLOCK)
    shift = delta_mu * tl.exp(-log_sigma)
    tl.store(z_ptr + i, z, mask=i < n)
    tl.store(kl_ptr + i, 0.5 * (shift * shift + _exp_above_line(2.0 * delta_log_sigma)), mask=i < n)


@triton.jit
def backward_kernel(log_sigma_ptr, delta_mu_ptr, delta_log_sigma_ptr, clock_ptr, up_z_ptr, up_kl_ptr,
                    to_log_sigma_ptr, to_delta_mu_ptr, to_delta_log_sigma_ptr, n, STREAM: tl.constexpr, BLOCK: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * BLOCK
    i = first + tl.arange(0, BLOCK)
    log_sigma, delta_mu = tl.load(log_sigma_ptr + i, mask=i < n).to(tl.float32), tl.load(delta_mu_ptr + i, mask=i < n).to(tl.float32)
    delta_log_sigma = tl.load(delta_log_sigma_ptr + i, mask=i < n).to(tl.float32)
    up_z, up_kl = tl.load(up_z_ptr + i, mask=i < n).to(tl.float32), tl.load(up_kl_ptr + i, mask=i < n)
    by_scale = up_z * tl.exp(log_sigma + delta_log_sigma) * _noise(clock_ptr, first, STREAM, BLOCK)  # through z, to either log scale
    precision = tl.exp(-log_sigma)
    shift = delta_mu * precision
    growth = _exp_above_line(2.0 * delta_log_sigma) + 2.0 * delta_log_sigma                # dsigma² - 1
    tl.store(to_log_sigma_ptr + i, by_scale - up_kl * shift * shift, mask=i < n)
    tl.store(to_delta_mu_ptr + i, up_z + up_kl * shift * precision, mask=i < n)
    tl.store(to_delta_log_sigma_ptr + i, by_scale + up_kl * growth, mask=i < n)


@torch.library.custom_op("deepgen::residual_normal", mutates_args=())
def residual_normal_triton(mu: Tensor, log_sigma: Tensor, delta_mu: Tensor, delta_log_sigma: Tensor, clock: Tensor) -> tuple[Tensor, Tensor]:
    """z, of mu's type, and KL in float32, both of the one shape that all four have."""
    z, kl = torch.empty(mu.shape, dtype=mu.dtype, device=mu.device), torch.empty(mu.shape, device=mu.device)
    if mu.numel():
        given = [x.contiguous() for x in (mu, log_sigma, delta_mu, delta_log_sigma, clock)]
        with torch.cuda.device_of(mu):
            forward_kernel[(triton.cdiv(mu.numel(), BLOCK),)](*given, z, kl, mu.numel(), STREAM=NORMAL, BLOCK=BLOCK)
    return z, kl


@torch.library.custom_op("deepgen::residual_normal_backward", mutates_args=())
def residual_normal_backward(log_sigma: Tensor, delta_mu: Tensor, delta_log_sigma: Tensor, clock: Tensor, up_z: Tensor, up_kl: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients to log_sigma, delta_mu and delta_log_sigma; that to mu is up_z itself."""
    out = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (log_sigma, delta_mu, delta_log_sigma)]
    if log_sigma.numel():
        given = [x.contiguous() for x in (log_sigma, delta_mu, delta_log_sigma, clock, up_z, up_kl)]
        with torch.cuda.device_of(log_sigma):
            backward_kernel[(triton.cdiv(log_sigma.numel(), BLOCK),)](*given, *out, log_sigma.numel(), STREAM=NORMAL, BLOCK=BLOCK)
    return tuple(out)


@residual_normal_triton.register_fake
def _(mu, log_sigma, delta_mu, delta_log_sigma, clock):
    return torch.empty(mu.shape, dtype=mu.dtype, device=mu.device), torch.empty(mu.shape, device=mu.device)


@residual_normal_backward.register_fake
def _(log_sigma, delta_mu, delta_log_sigma, clock, up_z, up_kl):
    return tuple(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (log_sigma, delta_mu, delta_log_sigma))


def _gradients(ctx, up_z: Tensor, up_kl: Tensor):
    return up_z, *residual_normal_backward(*ctx.saved_tensors, up_z, up_kl), None


residual_normal_triton.register_autograd(_gradients, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs[1:]))
