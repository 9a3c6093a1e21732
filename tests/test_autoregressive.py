"""autoregressive.py: probabilities that sum to one, nothing seen too early, drawn maps against the exact distribution, learning."""
import itertools

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import fit
from deepgen_lib.autoregressive import PixelCNN, training_rows
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer


def prior(n_codes, map_size, *, condition=None, n_layers=2, reach=1) -> PixelCNN:
    """Small, in float64, with parameters large enough that every dependence shows."""
    model = PixelCNN(n_codes, map_size, condition=condition, width=6, n_layers=n_layers, reach=reach).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.requires_grad_(False)


def all_maps(n_codes, h, w):
    return torch.tensor(list(itertools.product(range(n_codes), repeat=h * w))).view(-1, h, w)


@pytest.mark.parametrize("n_codes, size, reach", [(3, (2, 2), 1), (2, (3, 3), 2), (3, (1, 4), 1), (3, (4, 1), 1), (2, (2, 4), 3)], ids=str)
def test_the_probabilities_of_all_maps_sum_to_one(n_codes, size, reach):
    log_p = prior(n_codes, size, reach=reach).log_likelihood(all_maps(n_codes, *size))
    assert abs(log_p.exp().sum().item() - 1) < 1e-10
    assert log_p.std() > 0.1  # not merely uniform


def test_given_each_condition_the_probabilities_sum_to_one():
    model = prior(2, (2, 4), condition=(3, 1, 2))
    z = all_maps(2, 2, 4)
    p = torch.stack([model.log_likelihood(z, c.expand(len(z), -1, -1)).exp() for c in all_maps(3, 1, 2)])
    assert_close(p.sum(1), torch.ones(9, dtype=torch.float64), rtol=0, atol=1e-10)
    assert (p[0] - p[1:]).abs().amax(1).min() > 1e-4  # every condition matters


@pytest.mark.parametrize("reach, n_layers", [(1, 2), (1, 5), (2, 3)], ids=str)
def test_nothing_is_seen_before_its_turn_and_with_enough_layers_all_of_the_past_is(reach, n_layers):
    """Perturb one position: logits there and before stay, bit for bit; those after it move, where layers times reach suffice."""
    model, h, w = prior(5, (4, 5), reach=reach, n_layers=n_layers), 4, 5
    z = torch.randint(5, (20, h, w))
    before = model.logits(z)
    for place in range(h * w):
        changed = z.clone()
        changed.flatten(1)[:, place] = (changed.flatten(1)[:, place] + 1) % 5
        moved = (model.logits(changed) - before).abs().amax((0, 1)).flatten() > 0
        assert not moved[:place + 1].any(), f"position {place} is seen at {moved.nonzero().flatten().tolist()}"
        if reach * n_layers >= 5:
            assert moved[place + 1:].all(), f"position {place} is not seen at some later one: {(~moved[place + 1:]).nonzero().flatten().tolist()}"


def test_every_position_of_the_condition_is_seen_where_it_lies():
    """With the convolutions over the condition silenced, its code (i, j) reaches no row above its block, and one layer of reach 1 only the next column to the left."""
    model, z, c = prior(3, (4, 4), condition=(4, 2, 2), n_layers=1), torch.zeros(1, 4, 4, dtype=torch.int64), torch.zeros(1, 2, 2, dtype=torch.int64)
    model.look[-1].weight.zero_()
    before = model.logits(z, c)
    for i, j in itertools.product(range(2), repeat=2):
        changed = c.clone()
        changed[0, i, j] = 1
        moved = (model.logits(z, changed) - before).abs().amax(1)[0] > 0
        assert moved[2 * i:2 * i + 2, 2 * j:2 * j + 2].all()
        assert not moved[:2 * i].any() and not moved[2 * i, :max(0, 2 * j - 1)].any()


def test_the_log_likelihood_is_the_sum_of_the_conditionals_written_out(rng):
    model, z = prior(4, (3, 2)), torch.randint(4, (5, 3, 2), generator=rng)
    p = torch.softmax(model.logits(z), 1)
    want = sum(torch.log(torch.stack([p[b, z[b, i, j], i, j] for b in range(5)])) for i in range(3) for j in range(2))
    assert_close(model.log_likelihood(z), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("condition", [None, (2, 1, 1)], ids=str)
def test_drawn_maps_follow_the_exact_distribution(rng, condition):
    model, n = prior(2, (2, 3), condition=condition), 20_000
    z = all_maps(2, 2, 3)
    given = {} if condition is None else {"condition": torch.ones(1, 1, 1, dtype=torch.int64)}
    p = model.log_likelihood(z, *(c.expand(len(z), -1, -1) for c in given.values())).exp()
    drawn = model.sample(n, **{k: c.expand(n, -1, -1) for k, c in given.items()}, rng=rng)
    found = torch.bincount((drawn.flatten(1) * 2 ** torch.arange(5, -1, -1)).sum(1), minlength=64) / n
    floor = (p * (1 - p) / n).sqrt()
    assert (found - p).abs().sum() < 1.5 * floor.sum()
    assert ((found - p).abs() < 5 * floor).all()


def test_the_same_generator_draws_the_same_maps():
    model = prior(4, (3, 3))
    first, again = (model.sample(3, rng=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again) and first.dtype == torch.int64 and first.shape == (3, 3, 3)


def test_it_learns_a_rule_that_depends_on_place_past_and_condition(rng):
    """z copies the condition in the first row, and the row above, moved by one code, in the second: 2 bits where nothing is known."""
    c = torch.randint(4, (512, 1, 1), generator=rng)
    z = torch.cat([c, (c + 1) % 4], 1)
    model = PixelCNN(4, (2, 1), condition=(4, 1, 1), width=16, n_layers=1, reach=1)
    fit(GradientTrainer(model, AdamOptions(learning_rate=0.02)), training_rows(z, c), n_updates=150, batch_size=64, rng=rng)
    with torch.no_grad():
        assert model.log_likelihood(z, c).mean() > -0.05


def test_the_training_loss_is_the_mean_negative_log_likelihood(rng):
    z, c = torch.randint(3, (5, 2, 2), generator=rng), torch.randint(4, (5, 1, 2), generator=rng)
    model, above = prior(3, (2, 2)), prior(3, (2, 2), condition=(4, 1, 2))
    assert_close(model.training_loss(z, 0.0, rng), -model.log_likelihood(z).mean())
    assert_close(above.training_loss(training_rows(z, c), 0.0, rng), -above.log_likelihood(z, c).mean())
