"""What one batch gives to a codebook's running means: how many vectors fell to each code, and their sum.

    n_k = |{i : k(i) = k}|        S_k = Σ over i with k(i) = k of z_i        one pass over N·D numbers; one-hot vectors would be N·K more
"""
from typing import NamedTuple

import torch
from torch import Tensor

from .backend import use_triton


class Totals(NamedTuple):
    """What one batch gives to the averages."""
    counts: Tensor  # (K,) n_k, how many vectors fell to code k
    sums: Tensor    # (K, D) S_k, their sum


def code_totals_reference(z: Tensor, ids: Tensor, n_codes: int) -> Totals:
    """The definition, a product with one-hot vectors.  Holds N·K numbers."""
    one_hot = torch.nn.functional.one_hot(ids, n_codes).to(z.dtype)
    return Totals(one_hot.sum(0), one_hot.T @ z.detach())


def code_totals(z: Tensor, ids: Tensor, n_codes: int) -> Totals:
    """How many rows of z (N, D) have each id (N,) below n_codes, and their sum; both of z's type, without gradient. An inner loop: ids are taken as given."""
    if use_triton("code_totals", z, dtypes=(torch.float32, torch.float16, torch.bfloat16)):
        from .triton_code_totals import code_totals as kernel
        return Totals(*kernel(z.detach(), ids, n_codes))
    sums = z.new_zeros(n_codes, z.shape[1]).index_add_(0, ids, z.detach())
    return Totals(torch.bincount(ids, minlength=n_codes).to(z.dtype), sums)
