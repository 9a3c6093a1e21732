"""How much one feature says about the class of a picture (Lee et al. 2009, section 4.4): average precision, and the entropy of the class where the feature is on.

    AP = mean over the class's pictures of (share of the class among all pictures that score at least as high)          1 is best; the class's share is chance
    H(class | on) = -Σ_k P(k | on) log P(k | on),   P(k | on) ∝ P(on | k)          nats; 0: on for one class alone, log K: says nothing

Measure on pictures that neither trained the features nor chose them: the best of many features looks good on the pictures that picked it.
"""
import torch
from torch import Tensor

from .validate import require_count, require_matrix, require_number


def average_precision(scores: Tensor, positive: Tensor) -> Tensor:
    """AP of each feature as a detector of the positive pictures.  scores (N, F), positive (N,) bool -> (F,) in (0, 1].

    Equal scores count together (whoever comes first in the file is no merit): a constant feature gets the positives' share.
    """
    require_matrix("average_precision", "scores", scores)
    if not isinstance(positive, Tensor) or positive.dtype != torch.bool or positive.shape != (len(scores),) or not positive.any():
        got = f"{positive.dtype} of shape {tuple(positive.shape)} with {int(positive.sum())} true" if isinstance(positive, Tensor) else type(positive).__name__
        raise ValueError(f"average_precision: positive is {got}, expected torch.bool of shape ({len(scores)},) with at least one true; pass labels == k")
    n = len(scores)
    ranked, order = scores.sort(0, descending=True)
    hits = positive[order].to(scores.dtype)                                   # (N, F)
    ends = torch.ones_like(ranked, dtype=torch.bool)
    ends[:-1] = ranked[:-1] != ranked[1:]                                     # last of a run of equal scores
    rank = torch.arange(n, device=scores.device)[:, None].expand_as(order)
    last = torch.where(ends, rank, n).flip(0).cummin(0).values.flip(0)        # where the run of each one ends
    precision = hits.cumsum(0).gather(0, last) / (last + 1)
    return (precision * hits).sum(0) / hits.sum(0)


def conditional_entropy(active: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """H(class | feature on) in nats, as if every class were equally frequent.  active (N, F) of 0/1 or probabilities, labels (N,) int64 -> (F,).

    A feature that is never on says nothing: log K.
    """
    require_matrix("conditional_entropy", "active", active)
    if active.min() < 0 or active.max() > 1:
        raise ValueError(f"conditional_entropy: active runs from {active.min().item():.3g} to {active.max().item():.3g}, expected values in [0, 1]; use strongest(scores, share=0.1)")
    require_count("conditional_entropy", "n_classes", n_classes, minimum=2)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (len(active),) or labels.min() < 0 or labels.max() >= n_classes:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}, {labels.min().item()} to {labels.max().item()}" if isinstance(labels, Tensor) and labels.numel() else type(labels).__name__
        raise ValueError(f"conditional_entropy: labels is {got}, expected int64 of shape ({len(active)},) from 0 to {n_classes - 1}; pass the labels of the same pictures")
    members = torch.nn.functional.one_hot(labels, n_classes).to(active.dtype)  # (N, K)
    if (members.sum(0) == 0).any():
        raise ValueError(f"conditional_entropy: class {int((members.sum(0) == 0).nonzero()[0])} has no picture, expected at least one of each of {n_classes}; lower n_classes or add pictures")
    rate = members.T @ active / members.sum(0)[:, None]                        # (K, F) P(on | class)
    total = rate.sum(0)
    p = torch.where(total > 0, rate / total.clamp_min(torch.finfo(rate.dtype).tiny), 1 / n_classes)
    return -torch.xlogy(p, p).sum(0)


def strongest(scores: Tensor, *, share: float) -> Tensor:
    """1 for the pictures whose score is above the (1 - share) quantile of the feature.  (N, F) -> (N, F) of 0/1; ties with the quantile are off."""
    require_matrix("strongest", "scores", scores)
    require_number("strongest", "share", share, low=0, high=1)
    wide = scores if scores.dtype == torch.float64 else scores.float()  # quantile knows no half precision
    return (wide > wide.quantile(1 - share, 0)).to(scores.dtype)
