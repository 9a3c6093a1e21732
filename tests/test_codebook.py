"""Codebooks: the averages against their definition in plain loops, codes that nothing falls to, revival, initialisation; each known slip is seen."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import Codebook, nearest_code
from deepgen_lib.codebook import SMOOTHING, Totals, code_totals


def book(n_codes=4, dim=2, **options) -> Codebook:
    return Codebook(n_codes, dim, rng=torch.Generator().manual_seed(1), **options)


class SumsNotDivided(Codebook):
    def update_statistics(self, z, ids):
        super().update_statistics(z, ids)
        self.codes.copy_(self.sums)


class CountsFromZero(Codebook):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.counts.zero_()


class BothFromZero(Codebook):
    """And smoothing of the count alone: a code that nothing falls to jumps to the origin."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.counts.zero_()
        self.sums.zero_()

    def update_statistics(self, z, ids):
        super().update_statistics(z, ids)
        self.codes.copy_(self.sums / (self.counts + SMOOTHING)[:, None])


class SmoothingWrittenBack(Codebook):
    def update_statistics(self, z, ids):
        super().update_statistics(z, ids)
        total = self.counts.sum()
        self.counts.add_(0.01).mul_(total / (total + 0.01 * len(self.counts)))


class SumOfTheBatchAlone(Codebook):
    """No average at all: the codes are the last batch's means."""

    def update_statistics(self, z, ids):
        super().update_statistics(z, ids)
        n, S = code_totals(z, ids, len(self.codes))
        self.codes.copy_(torch.where(n[:, None] > 0, S / n[:, None].clamp(min=1), self.codes))


def averages_are_right(kind):
    """Twenty updates, code 3 never chosen, against the definition written out with Python's numbers."""
    rng = torch.Generator().manual_seed(0)
    codebook = kind(4, 2, rng=rng)
    counts, sums, start = [1.0] * 4, [code.double() for code in codebook.codes.clone()], codebook.codes.clone()
    for _ in range(20):
        z, ids = torch.randn(9, 2, generator=rng), torch.randint(3, (9,), generator=rng)
        codebook.update_statistics(z, ids)
        for k in range(4):
            counts[k] = 0.99 * counts[k] + 0.01 * (ids == k).sum().item()
            sums[k] = 0.99 * sums[k] + 0.01 * z[ids == k].double().sum(0)
    assert_close(codebook.counts, torch.tensor(counts), rtol=1e-5, atol=1e-6)
    assert_close(codebook.codes, torch.stack([s / n for s, n in zip(sums, counts)]).float(), rtol=0, atol=2e-5)
    assert_close(codebook.codes[3], start[3], rtol=1e-5, atol=1e-6)


def test_the_averages_are_their_definition():
    averages_are_right(Codebook)


@pytest.mark.parametrize("wrong", [SumsNotDivided, CountsFromZero, BothFromZero, SmoothingWrittenBack, SumOfTheBatchAlone])
def test_wrong_averages_are_seen(wrong):
    with pytest.raises(AssertionError):
        averages_are_right(wrong)


def test_a_code_that_nothing_ever_falls_to_stays_for_twenty_thousand_updates(rng):
    """By then its count has long been rounded to zero."""
    codebook = book()
    start, z, ids = codebook.codes.clone(), torch.randn(3, 2, generator=rng), torch.zeros(3, dtype=torch.int64)
    for _ in range(20_000):
        codebook.update_statistics(z, ids)
    assert codebook.counts[1:].max() < 1e-30
    assert_close(codebook.codes[1:], start[1:], rtol=1e-4, atol=1e-4)
    assert_close(codebook.codes[0], z.mean(0), rtol=1e-4, atol=1e-4)


def test_ema_converges_to_the_k_means_fixed_point(rng):
    centres = torch.tensor([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    z = centres.repeat(30, 1) + torch.randn(120, 2, generator=rng)
    codebook = book(decay=0.9)
    codebook.codes.copy_(centres + 1)
    codebook.sums.copy_(codebook.codes)
    for _ in range(200):
        codebook.update_statistics(z, codebook.nearest(z))
    ids = nearest_code(z, codebook.codes)
    assert_close(codebook.codes, torch.stack([z[ids == k].mean(0) for k in range(4)]), rtol=1e-4, atol=1e-4)


def test_a_codebook_by_gradient_keeps_its_codes_and_counts_use(rng):
    codebook = book(update="gradient")
    start = codebook.codes.detach().clone()
    codebook.update_statistics(torch.randn(5, 2, generator=rng), torch.zeros(5, dtype=torch.int64))
    assert torch.equal(codebook.codes, start) and isinstance(codebook.codes, torch.nn.Parameter)
    assert_close(codebook.counts, torch.tensor([1.04, 0.99, 0.99, 0.99]))


class RevivalWithoutReset(Codebook):
    def _place(self, chosen, codes, count):
        self.codes.copy_(torch.where(chosen[:, None], codes, self.codes))


class RevivalOfTheCountAlone(Codebook):
    def _place(self, chosen, codes, count):
        self.codes.copy_(torch.where(chosen[:, None], codes, self.codes))
        self.counts.masked_fill_(chosen, count)


def revival_lasts(kind):
    """A revived code is on a row of z, and still there after updates in which nothing falls to it."""
    rng = torch.Generator().manual_seed(0)
    codebook, z = kind(4, 2, rng=rng), 5 + torch.rand(6, 2, generator=rng)
    codebook.counts.copy_(torch.tensor([1.0, 0.001, 1.0, 0.002]))
    codebook.sums.copy_(codebook.counts[:, None] * codebook.codes)
    before = codebook.codes.clone()
    assert codebook.revive(z, below=0.01, rng=rng) == 2
    moved = codebook.codes[[1, 3]].clone()
    assert torch.equal(codebook.codes[[0, 2]], before[[0, 2]])
    assert all((z == code).all(1).any() for code in moved) and not torch.equal(*moved)
    for _ in range(3):
        codebook.update_statistics(z[:1], torch.zeros(1, dtype=torch.int64))
    assert_close(codebook.codes[[1, 3]], moved)
    assert codebook.revive(z, below=0.01, rng=rng) == 0


def test_revival_lasts():
    revival_lasts(Codebook)


@pytest.mark.parametrize("wrong", [RevivalWithoutReset, RevivalOfTheCountAlone])
def test_a_revival_that_is_undone_is_seen(wrong):
    with pytest.raises(AssertionError):
        revival_lasts(wrong)


def test_more_dead_codes_than_vectors_share_them(rng):
    codebook = book(6)
    codebook.counts.zero_()
    z = torch.randn(4, 2, generator=rng)
    assert codebook.revive(z, below=0.5, rng=rng) == 6
    assert len(codebook.codes.unique(dim=0)) == 4


def test_a_revived_code_of_a_gradient_codebook_is_a_parameter_still(rng):
    codebook = book(update="gradient")
    before = codebook.codes
    codebook.revive(torch.randn(8, 2, generator=rng), below=2.0, rng=rng)
    assert codebook.codes is before and codebook.codes.requires_grad


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_initialisation_from_data_takes_different_rows(update, rng):
    z, codebook = torch.randn(20, 2, generator=rng), book(8, update=update)
    codebook.counts.fill_(7)
    codebook.init_from(z, rng=rng)
    assert all((z == code).all(1).any() for code in codebook.codes) and len(codebook.codes.unique(dim=0)) == 8
    assert torch.equal(codebook.sums, codebook.codes) and torch.equal(codebook.counts, torch.ones(8))


def test_k_means_is_closer_to_the_data_than_rows_of_it(rng):
    z, left = torch.randn(400, 2, generator=rng), {}
    for how in ("data", "kmeans"):
        codebook = book(16)
        codebook.init_from(z, how=how, rng=torch.Generator().manual_seed(3))
        left[how] = (z - codebook.codes[codebook.nearest(z)]).square().sum().item()
    assert left["kmeans"] < 0.8 * left["data"]


def test_totals_are_counts_and_sums(rng):
    z, ids = torch.randn(30, 3, generator=rng), torch.randint(4, (30,), generator=rng)
    totals = code_totals(z, ids, 5)
    assert totals.counts.tolist() == [(ids == k).sum().item() for k in range(5)]
    assert_close(totals.sums, torch.stack([z[ids == k].sum(0) for k in range(5)]))
    assert isinstance(totals, Totals)


def test_the_constructor_leaves_torchs_own_generator_alone():
    state = torch.get_rng_state()
    book()
    assert torch.equal(torch.get_rng_state(), state)
