"""Half a Gibbs step, v W + bias -> probabilities -> binary states, written once into one buffer.

Why fuse: the eager chain of five operations writes five B·H matrices. Here the logits, the probabilities and, where the
caller does not want them, the states share one buffer; only the uniform numbers need another.
"""
import torch
from torch import Tensor

from ..validate import require_matrix, require_rng, require_vector
from .backend import use_triton
from .counter import HIDDEN, new_clock
from .noise import compare

NUMBERS = (torch.float32, torch.bfloat16)  # that the Triton kernel takes


def gibbs_half_step_reference(v: Tensor, W: Tensor, bias: Tensor, uniforms: Tensor) -> Tensor:
    """The definition: h_j = 1 where u_j < sigma(v W + bias)_j.  (B, V), (V, H), (H,), (B, H) -> (B, H)."""
    return (uniforms < torch.sigmoid(v @ W + bias)).to(v.dtype)


def gibbs_half_step(v: Tensor, W: Tensor, bias: Tensor, rng: torch.Generator) -> Tensor:
    """Sample h ~ p(h | v), h_j Bernoulli with logit (v W + bias)_j.  (B, V), (V, H), (H,) -> (B, H) of 0/1.

    Called with (h, W.T, b) it is the other half, v ~ p(v | h). Uniform numbers lie in [0, 1) and u < p is strict, so
    p = 0 never fires and p = 1 always does.
    """
    require_matrix("gibbs_half_step", "W", W)
    require_matrix("gibbs_half_step", "v", v, W.shape[0], dtype=W.dtype)
    require_vector("gibbs_half_step", "bias", bias, W.shape[1], dtype=W.dtype, cure="downwards pass W.T and the visible bias")
    require_rng("gibbs_half_step", rng)
    with torch.no_grad():
        return half_step(v, W, bias, rng)


def half_step(v: Tensor, W: Tensor, bias: Tensor, rng: torch.Generator) -> Tensor:
    """`gibbs_half_step` without its checks, for inner loops; call under no_grad."""
    if use_triton("gibbs_half_step", v, W, bias, dtypes=NUMBERS):
        from .triton_gibbs import gibbs_half_step as kernel
        return kernel(v, W, bias, new_clock(rng, W.device), HIDDEN, 0, 0)
    p = probabilities(v, W, bias)
    return compare(p, rng, out=p)


def probabilities(v: Tensor, W: Tensor, bias: Tensor) -> Tensor:
    """sigma(v W + bias), one buffer; call under no_grad.  (B, V) -> (B, H)."""
    return torch.addmm(bias, v, W).sigmoid_()


def draw(p: Tensor, rng: torch.Generator) -> Tensor:
    """States with the given probabilities, p kept; call under no_grad.  (B, H) -> (B, H)."""
    return compare(p, rng)
