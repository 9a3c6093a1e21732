"""Random numbers by counter: the published answers, uniform numbers, and independence of how the work is cut."""
import pytest
import torch

from deepgen_lib.kernels.counter import DATA, HIDDEN, VISIBLE, counter_uniforms, counter_words, new_clock, philox, set_clock

ONES = 0xFFFFFFFF
KNOWN = [  # counter, key -> words: the vectors that Random123 publishes for Philox4x32-10
    ([0] * 4, [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([ONES] * 4, [ONES, ONES], [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0], [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
]


def clock(seed: int, step: int = 0) -> torch.Tensor:
    return torch.tensor([seed, step])


@pytest.mark.parametrize("counter, key, words", KNOWN, ids=["zeros", "ones", "pi"])
def test_philox_gives_the_published_words(counter, key, words):
    got = philox([torch.tensor(c) for c in counter], [torch.tensor(k) for k in key])
    assert [w.item() for w in got] == words


def test_the_words_are_those_of_the_documented_counter():
    seed = 0x123456789ABCDEF - 2**63
    got = counter_words(clock(seed, 5), VISIBLE, 3, 2, step=2, first_row=7)
    want = philox([torch.tensor(x) for x in (1, 9, 7, VISIBLE)], [torch.tensor(seed & ONES), torch.tensor(seed >> 32 & ONES)])
    assert got[2, 1].tolist() == [w.item() for w in want]


def test_a_unit_s_number_does_not_depend_on_how_the_work_is_cut():
    whole = counter_uniforms(clock(3), HIDDEN, 10, 13)
    assert torch.equal(whole[4:, :6], counter_uniforms(clock(3), HIDDEN, 6, 6, first_row=4))
    assert torch.equal(counter_uniforms(clock(3, 8), HIDDEN, 2, 5), counter_uniforms(clock(3, 6), HIDDEN, 2, 5, step=2))


@pytest.mark.parametrize("other", [dict(seed=4), dict(stream=VISIBLE), dict(stream=DATA), dict(step=1), dict(first_row=200), dict(seed=3 + 2**32)], ids=str)
def test_numbers_of_another_key_are_new_and_uncorrelated(other):
    a = counter_uniforms(clock(3), HIDDEN, 200, 100)
    b = counter_uniforms(clock(other.get("seed", 3)), other.get("stream", HIDDEN), 200, 100, step=other.get("step", 0), first_row=other.get("first_row", 0))
    assert (a == b).float().mean() < 1e-3
    assert ((a - 0.5) * (b - 0.5)).double().mean().abs() < 5 / 12 / a.numel()**0.5


@pytest.mark.parametrize("column", range(4))
def test_every_word_is_uniform(column):
    u = counter_uniforms(clock(1), HIDDEN, 50_000, 4)[:, column]
    counts = torch.histc(u, 50, 0, 1)
    assert ((counts - 1000) ** 2 / 1000).sum().item() < 49 + 5 * (2 * 49) ** 0.5


def test_numbers_are_multiples_of_a_24th_power_below_one():
    u = counter_uniforms(clock(1), HIDDEN, 1000, 100)
    assert u.dtype == torch.float32 and u.min() >= 0 and u.max() < 1 and torch.equal(u * 2**24, (u * 2**24).round())


def test_a_clock_takes_its_seed_from_the_generator(rng):
    first = new_clock(rng, torch.device("cpu"))
    kept, address = first.clone(), first.data_ptr()
    first[1] = 7
    set_clock(first, rng)
    assert first[0] != kept[0] and first[1] == 7 and first.data_ptr() == address and first.dtype == torch.int64
    seeds = torch.stack([new_clock(rng, torch.device("cpu"))[0] for _ in range(200)])
    assert (seeds < 0).any() and (seeds > 2**62).any() and len(seeds.unique()) == 200
