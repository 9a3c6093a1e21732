"""Right answers of chapter 04 on sampling and on the network built by hand, written in other ways than the checks' own."""
import torch

from deepgen_lib import all_states
from deepgen_lib.checks.dbn_samples import DIAGNOSES


def chi_square_by_ratio(counts, p):
    n = counts.sum()
    return (counts**2 / (n * p)).sum() - n


def chi_square_by_frequencies(counts, p):
    n = counts.sum()
    return n * ((counts / n - p).square() / p).sum()


def page(n, of_rows):
    """(n*n, n): which pixels stroke i of one direction covers."""
    cover = torch.zeros(n, n, n, dtype=torch.float64)
    for i in range(n):
        cover[(i, slice(None), i) if of_rows else (slice(None), i, i)] = 1
    return cover.reshape(n * n, n)


def rows_and_columns(n):
    states = [s for s in all_states(2 * n) if s[:n].sum() == 0 or s[n:].sum() == 0]
    states = torch.stack([s for s in states if not (s[:n].sum() == 0 and s[n:].sum() == n) and not (s.sum() == 0)] + [torch.zeros(2 * n, dtype=torch.float64)])
    W1 = 30.0 * torch.cat([page(n, True), page(n, False)], 1)
    return W1, torch.full((n * n,), -15.0), 30.0 * (2 * states - 1).T, torch.zeros(2 * n), 30.0 * (0.4 - states.sum(1))


def rubber(n):
    """A row unit draws its row, a column unit rubs its column out: a pixel is on where its row is drawn and its column is not rubbed."""
    a = 24.0
    W1 = a * torch.cat([page(n, True), -page(n, False)], 1)
    some, off, on = all_states(n), torch.zeros(2**n, n).double(), torch.ones(2**n, n).double()
    states = torch.cat([torch.cat([some, off], 1), torch.cat([on, some], 1)[1:-1]])
    return W1, torch.full((n * n,), -a / 2).double(), *grammar(states, a)


def grammar(states, a):
    return a * (2 * states - 1).T, torch.zeros(states.shape[1]).double(), -a * (states.sum(1) - 0.5)


RIGHT = {
    "4.5": [(chi_square_by_ratio, DIAGNOSES), (chi_square_by_frequencies, dict(reversed(DIAGNOSES.items())))],
    "4.6": [rows_and_columns, rubber],
}
