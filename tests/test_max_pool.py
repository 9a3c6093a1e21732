"""max_pool.py against the enumeration of a block's states; the mistakes people make in it are planted here and seen."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.conv_enumeration import all_pooled_states, block_states
from deepgen_lib.max_pool import MaxPool, log_block_sums, probabilistic_max_pool, sample_max_pool, spread, unpool

EXACT = dict(atol=1e-12, rtol=0)


def logits(rng, shape=(2, 3, 4, 6), scale=2.0):
    return scale * torch.randn(shape, dtype=torch.float64, generator=rng)


def enumerated(x: torch.Tensor, block: int) -> MaxPool:
    """Block by block: weigh every state by exp Σ I h, and count."""
    states = block_states(block)
    p_h, p_pool = torch.zeros_like(x), x.new_zeros(*x.shape[:2], x.shape[2] // block, x.shape[3] // block)
    for i in range(p_pool.shape[2]):
        for j in range(p_pool.shape[3]):
            rows, columns = slice(i * block, (i + 1) * block), slice(j * block, (j + 1) * block)
            p = torch.softmax(torch.einsum("bkrc,src->bks", x[:, :, rows, columns], states), -1)
            p_h[:, :, rows, columns] = torch.einsum("bks,src->bkrc", p, states)
            p_pool[:, :, i, j] = p @ states.sum((1, 2))
    return MaxPool(p_h, p_pool)


@pytest.mark.parametrize("block, shape", [(1, (2, 1, 3, 2)), (2, (2, 3, 4, 6)), (3, (1, 2, 6, 3)), (2, (1, 1, 2, 2))], ids=str)
def test_it_is_the_enumeration_of_each_block(block, shape, rng):
    x = logits(rng, shape)
    for got, want in zip(probabilistic_max_pool(x, block), enumerated(x, block)):
        assert_close(got, want, **EXACT)


def test_it_is_the_marginal_of_the_joint_over_all_blocks_and_filters(rng):
    """Two filters, two blocks, all 625 joint states: nothing leaks over a border of blocks or between filters."""
    x, states = logits(rng, (1, 2, 2, 4)), all_pooled_states(2, 2, 4, block=2)
    p = torch.softmax((states * x).sum((1, 2, 3)), 0)
    got = probabilistic_max_pool(x, 2)
    assert_close(got.p_detection[0], torch.einsum("s,skij->kij", p, states), **EXACT)
    assert_close(log_block_sums(x, 2).sum(), (states * x).sum((1, 2, 3)).logsumexp(0), **EXACT)


def test_probabilities_add_up(rng):
    x = logits(rng)
    p_h, p_pool = probabilistic_max_pool(x, 2)
    assert_close(torch.nn.functional.avg_pool2d(p_h, 2, divisor_override=1), p_pool, **EXACT)
    assert_close(-torch.log1p(-p_pool), log_block_sums(x, 2), **EXACT)  # P(off) = 1 / (1 + Σ exp I)


def test_blocks_of_one_are_independent_coins(rng):
    x = logits(rng)
    for p in probabilistic_max_pool(x, 1):
        assert_close(p, torch.sigmoid(x), **EXACT)


def softmax_without_off(x, block):
    p = torch.softmax(x.unfold(2, block, block).unfold(3, block, block).flatten(4), -1)
    return MaxPool(x, p.sum(-1))


def exp_without_max(x, block):
    e = x.exp()
    total = torch.nn.functional.avg_pool2d(e, block, divisor_override=1)
    return MaxPool(e / spread(1 + total, block), total / (1 + total))


def plain_max(x, block):
    return MaxPool(torch.sigmoid(x), torch.nn.functional.max_pool2d(torch.sigmoid(x), block))


@pytest.mark.parametrize("wrong", [softmax_without_off, plain_max], ids=lambda f: f.__name__)
def test_planted_the_missing_off_state_and_plain_max_pooling_miss_the_enumeration(wrong, rng):
    x = logits(rng)
    assert (wrong(x, 2).p_pool - enumerated(x, 2).p_pool).abs().max() > 0.05


def test_large_inputs_stay_finite_and_planted_exponentials_do_not(rng):
    x = 1e3 * logits(rng)
    p_h, p_pool = probabilistic_max_pool(x, 2)
    assert torch.isfinite(p_h).all() and torch.isfinite(p_pool).all() and torch.isfinite(log_block_sums(x, 2)).all()
    assert_close(exp_without_max(logits(rng), 2).p_pool.isfinite().all(), torch.tensor(True))  # right for small inputs
    assert exp_without_max(x, 2).p_pool.isnan().any()
    assert_close(probabilistic_max_pool(x - 1e5, 2).p_pool, torch.zeros_like(p_pool), **EXACT)  # max(0, I) is subtracted, not max I
    x.requires_grad_()
    (slope,) = torch.autograd.grad((probabilistic_max_pool(x, 2).p_pool * 0.3).sum(), x)
    assert torch.isfinite(slope).all()


def test_gradients(rng):
    x = logits(rng, (1, 2, 2, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: (*probabilistic_max_pool(x, 2), log_block_sums(x, 2)), x)


def test_samples_have_the_probabilities(rng):
    x, n = logits(rng, (1, 2, 2, 4), scale=1.0), 20_000
    h, pool = sample_max_pool(x.expand(n, -1, -1, -1), 2, rng)
    p_h, p_pool = probabilistic_max_pool(x, 2)
    for drawn, p in ((h, p_h), (pool, p_pool)):
        assert ((drawn.mean(0) - p[0]).abs() < 4.5 * (p[0] * (1 - p[0]) / n).sqrt()).all()
    assert torch.equal(torch.nn.functional.max_pool2d(h, 2), pool) and torch.nn.functional.avg_pool2d(h, 2, divisor_override=1).max() == 1


def test_unpool_puts_one_unit_where_the_pool_is_on_each_place_as_likely(rng):
    pool = (torch.rand(20_000, 2, 1, 2, generator=rng) < 0.7).double()
    h = unpool(pool, 2, rng)
    assert torch.equal(torch.nn.functional.avg_pool2d(h, 2, divisor_override=1), pool)
    on = pool.sum((0, 2, 3))  # of each filter
    counts = h.unfold(2, 2, 2).unfold(3, 2, 2).sum((0, 2, 3))
    assert ((counts / on[:, None, None] - 0.25).abs() < 4.5 * (0.25 * 0.75 / on[:, None, None]).sqrt()).all()


def test_spread_is_the_adjoint_of_summing_blocks(rng):
    a, b = logits(rng, (2, 3, 2, 3)), logits(rng)
    assert_close((spread(a, 2) * b).sum(), (a * torch.nn.functional.avg_pool2d(b, 2, divisor_override=1)).sum(), **EXACT)


@pytest.mark.parametrize("shape, trimmed", [((1, 1, 5, 4), "[..., :4, :4]"), ((1, 1, 4, 7), "[..., :4, :6]")], ids=str)
def test_blocks_that_do_not_divide_the_map_are_refused(shape, trimmed, rng):
    for call in (lambda x: probabilistic_max_pool(x, 2), lambda x: log_block_sums(x, 2), lambda x: sample_max_pool(x, 2, rng)):
        with pytest.raises(ValueError, match="block is 2, expected a multiple of 2 on both sides; ") as error:
            call(torch.zeros(shape))
        assert trimmed in str(error.value)
