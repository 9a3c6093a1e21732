"""Right answers of chapter 07, written in other ways than the checks' own."""
import math

import torch
from torch.nn import functional as F

from deepgen_lib.max_pool import probabilistic_max_pool
from deepgen_lib.selectivity import average_precision


def off_by_logsumexp(I):
    log_total = torch.logaddexp(I.logsumexp(1), torch.zeros(len(I), dtype=I.dtype))
    return (I - log_total[:, None]).exp(), (-log_total).exp()


def off_by_loops(I):
    rows, off = [], []
    for row in I.tolist():
        m = max(0.0, *row)
        weights = [math.exp(x - m) for x in row]
        total = math.exp(-m) + sum(weights)
        rows.append([w / total for w in weights])
        off.append(math.exp(-m) / total)
    return rows, off


def down_by_windows(h, W):
    w = W.shape[-1]
    v = torch.zeros(h.shape[1] + w - 1, h.shape[2] + w - 1, dtype=h.dtype)
    for k in range(len(h)):
        for i in range(h.shape[1]):
            for j in range(h.shape[2]):
                v[i:i + w, j:j + w] += h[k, i, j] * W[k]
    return v


def down_by_turned_filters(h, W):
    return F.conv2d(F.pad(h[None], [W.shape[-1] - 1] * 4), W.flip(1, 2)[None])[0, 0]


def down_by_gradient(h, W):
    v = torch.zeros(1, 1, h.shape[1] + W.shape[1] - 1, h.shape[2] + W.shape[2] - 1, dtype=h.dtype, requires_grad=True)
    (F.conv2d(v, W[:, None])[0] * h).sum().backward()
    return v.grad[0, 0]


def sparsity_by_loops(p, target):
    return [target - sum(p[n, k].mean().item() for n in range(len(p))) / len(p) for k in range(p.shape[1])]


def sparsity_by_sums(p, target):
    return target - p.transpose(0, 1).flatten(1).sum(1) / (p.numel() / p.shape[1])


def picture_by_blocks(W1, W2, n):
    w, u = W1.shape[-1], W2.shape[-1]
    v = torch.zeros(n * u + w - 1, n * u + w - 1, dtype=W1.dtype)
    for k in range(len(W1)):
        for i in range(n * u):
            for j in range(n * u):
                v[i:i + w, j:j + w] += W2[k, i // n, j // n] / n**2 * W1[k]
    return v


def picture_by_kron(W1, W2, n):
    units = torch.stack([torch.kron(w, torch.full((n, n), 1 / n**2, dtype=w.dtype)) for w in W2])
    return sum(down_by_turned_filters(units[k][None], W1[k][None]) for k in range(len(W1)))


def chosen_by_library(train, y_train, test, y_test):
    best = average_precision(train, y_train).argmax()
    return best.item(), average_precision(test, y_test)[best]


def chosen_by_definition(train, y_train, test, y_test):
    def ap(column, positive):
        at_least = column[None] >= column[:, None]
        return ((at_least & positive).sum(1) / at_least.sum(1))[positive].double().mean()
    best = max(range(train.shape[1]), key=lambda f: ap(train[:, f], y_train))
    return best, ap(test[:, best], y_test)


SELECTIVE = {
    "the best of many features, chosen on the pictures it is judged by, looks too good": True,
    "a feature that is on for one class alone has conditional entropy": 0,
    "pictures of one person may be in both splits": False,
    "average precision of a feature that says nothing": "the class's share",
}


def context_by_library(I, J):
    side = math.isqrt(I.shape[1])
    p = probabilistic_max_pool((I + J[:, None]).view(len(I), 1, side, side), side)
    return p.p_detection.flatten(1), p.p_pool.flatten()


def context_by_log_odds(I, J):
    """First whether the block is on, by log odds, then where."""
    on = torch.sigmoid(I.logsumexp(1) + J)
    return I.softmax(1) * on[:, None], on


RIGHT = {
    "7.1": [off_by_logsumexp, off_by_loops],
    "7.2": [down_by_windows, down_by_turned_filters, down_by_gradient],
    "7.3": [sparsity_by_loops, sparsity_by_sums],
    "7.4": [picture_by_blocks, picture_by_kron],
    "7.5": [(chosen_by_library, SELECTIVE), (chosen_by_definition, dict(reversed(SELECTIVE.items())))],
    "7.6": [context_by_library, context_by_log_odds],
}
