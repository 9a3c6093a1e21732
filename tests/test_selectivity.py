"""selectivity.py: average precision against scikit-learn's definition written out, conditional entropy against counting."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.selectivity import average_precision, conditional_entropy, strongest


def slow_average_precision(scores: list[float], positive: list[bool]) -> float:
    """For each positive: among all with at least its score, the share of positives."""
    shares = []
    for score, is_positive in zip(scores, positive):
        if is_positive:
            at_least = [p for s, p in zip(scores, positive) if s >= score]
            shares.append(sum(at_least) / len(at_least))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("levels", [1, 2, 5, 10_000])
def test_average_precision_is_its_definition_ties_included(levels, rng):
    scores, positive = (torch.rand(40, 6, dtype=torch.float64, generator=rng) * levels).floor(), torch.rand(40, generator=rng) < 0.3
    want = [slow_average_precision(column.tolist(), positive.tolist()) for column in scores.T]
    assert_close(average_precision(scores, positive), torch.tensor(want, dtype=torch.float64), atol=1e-12, rtol=0)


def test_best_worst_and_constant_features():
    positive = torch.tensor([True, True, False, False, False])
    scores = torch.tensor([[5.0, 1, 0, 9], [4, 2, 0, 8], [3, 3, 0, 9], [2, 4, 0, 1], [1, 5, 0, 1]])
    best, worst, constant, tie = average_precision(scores, positive).tolist()
    assert (best, constant) == (1.0, pytest.approx(0.4)) and worst == pytest.approx((1 / 4 + 2 / 5) / 2)
    assert tie == pytest.approx((1 / 2 + 2 / 3) / 2)  # planted: ties in the order of the file would give 1/1 for the first


def test_conditional_entropy_by_counting():
    """Class 0 has two pictures, class 1 four: equal *rates*, not equal counts, say nothing. The last feature is never on."""
    labels = torch.tensor([0, 0, 1, 1, 1, 1])
    active = torch.tensor([[1.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    got = conditional_entropy(active, labels, 2)
    assert_close(got, torch.tensor([0.0, 0.0, math.log(2), math.log(2)]), atol=1e-6, rtol=0)
    assert abs(-(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3)) - got[2]) > 0.05  # planted: counts instead of rates
    mixed = conditional_entropy(torch.tensor([[1.0], [1], [1], [0], [0], [0]]), labels, 2)
    assert mixed.item() == pytest.approx(-(0.8 * math.log(0.8) + 0.2 * math.log(0.2)), abs=1e-6)  # rates 1 and 1/4


def test_strongest_marks_the_share(rng):
    scores = torch.randn(200, 3, generator=rng)
    marked = strongest(scores, share=0.1)
    assert marked.sum(0).tolist() == [20, 20, 20] and scores[marked > 0].min() > 0
    assert strongest(torch.zeros(10, 2), share=0.5).sum() == 0


@pytest.mark.parametrize("call, words", [
    (lambda: average_precision(torch.rand(4, 2), torch.tensor([1, 0, 1, 0])), "average_precision: positive is torch.int64"),
    (lambda: average_precision(torch.rand(4, 2), torch.zeros(4, dtype=torch.bool)), "with 0 true"),
    (lambda: average_precision(torch.rand(4, 2), None), "positive is NoneType"), (lambda: average_precision(torch.rand(4), torch.ones(4) > 0), r"shape \(4,\)"),
    (lambda: conditional_entropy(torch.rand(4, 2) + 1, torch.zeros(4, dtype=torch.int64), 2), "active runs from 1"),
    (lambda: conditional_entropy(torch.rand(4, 2), torch.tensor([0, 1, 2, 3]), 3), "labels is torch.int64"), (lambda: conditional_entropy(torch.rand(4, 2), None, 3), "labels is NoneType"),
    (lambda: conditional_entropy(torch.rand(4, 2), torch.tensor([0, 1, 1, 0]), 3), "class 2 has no picture"), (lambda: conditional_entropy(torch.rand(1, 2), torch.tensor([0]), 1), "n_classes is 1"),
    (lambda: strongest(torch.rand(4, 2), share=1.5), "share is 1.5"),
], ids=range(10))
def test_bad_input_is_answered(call, words):
    with pytest.raises(ValueError, match=f"(?=.*{words}).*expected .*; .+"):
        call()
