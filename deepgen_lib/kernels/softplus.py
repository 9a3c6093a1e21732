"""Row sums of softplus, y_i = Σ_j log(1 + exp x_ij): the hidden half of an RBM's free energy.

The definition is exact to rounding for every x: log(e^x + e^0) never overflows. `torch.nn.functional.softplus` is
not used, because it returns x itself above a threshold (20 by default), an error of 2e-9 that exact checks to 1e-10 would see.
"""
from torch import Tensor
import torch

from ..validate import require_tensor
from .backend import use_triton


def sum_softplus_reference(x: Tensor) -> Tensor:
    """The definition.  (..., H) -> (...,)."""
    return torch.logaddexp(x, x.new_zeros(())).sum(-1)


def sum_softplus(x: Tensor) -> Tensor:
    """Σ_j log(1 + exp x_ij) in nats.  (..., H) -> (...,).  On the CPU the definition is the fastest of the forms tried
    (max(x, 0) + log1p(exp(-|x|)), products of 32 factors before one log), so it is also the tuned path."""
    require_tensor("sum_softplus", "x", x)
    if x.ndim == 0:
        raise ValueError("sum_softplus: x is a single number, expected (..., H), a last axis to sum over; use x[None]")
    if use_triton("sum_softplus", x, dtypes=(torch.float32, torch.float16, torch.bfloat16)):
        from .triton_softplus import sum_softplus_triton
        return sum_softplus_triton(x)
    return sum_softplus_reference(x)
