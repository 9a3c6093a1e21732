"""More promises that small changes of the code broke unseen (benchmarks/mutation.py, the fresh ones): first weights, doors, a walk without taps, pictures."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import random_rbm
from deepgen_lib.conv_rbm import random_conv_rbm
from deepgen_lib.kernels.counter import set_clock
from deepgen_lib.kernels.sweeps import sweeps_reference
from deepgen_lib.nvae import NVAE
from deepgen_lib.plots.vq_images import bit_bars
from deepgen_lib.tied import next_rbm
from deepgen_lib.validate import require_choice, require_count, require_schedule
from deepgen_lib.vector_quantisation import require_ids
from tests.nvae_models import tiny_config


def test_as_many_hidden_units_as_visible_ones_begin_tied(rng):
    rbm = random_rbm(5, 3, rng=rng)
    assert torch.equal(next_rbm(rbm, 5, rng=rng).W, rbm.W.T)
    assert not torch.equal(next_rbm(rbm, 4, rng=rng).W, rbm.W.T[:, :4])


def test_parameters_of_a_random_conv_rbm_have_the_asked_spread(rng):
    found = torch.cat([p.detach().flatten() for p in random_conv_rbm(10, 100, 10, scale=0.5, rng=rng).parameters()])
    assert found.numel() > 100_000 and abs(found.std().item() / 0.5 - 1) < 0.01 and found.abs().max() < 0.5 * 6


def test_visible_biases_count_in_a_sweep(rng):
    h, W, b, c = torch.zeros(4, 3), torch.zeros(6, 3), torch.tensor([40.0, -40.0] * 3), torch.zeros(3)
    v, _, _ = sweeps_reference(h, W, b, c, set_clock(torch.zeros(2, dtype=torch.int64), rng), 2)
    assert torch.equal(v, torch.tensor([1.0, 0.0] * 3).expand(4, 6))


@pytest.mark.parametrize("ids", [[-1, 3], [0, 4], [-5, 9]])
def test_a_number_that_no_code_has_is_refused(ids):
    with pytest.raises(ValueError, match=f"ids runs from {ids[0]} to {ids[1]}, expected 0 to 3"):
        require_ids("f", torch.tensor(ids), None, 4)
    require_ids("f", torch.tensor([0, 3]), None, 4)


def test_a_count_says_its_largest_where_it_has_one():
    with pytest.raises(ValueError, match="a whole number of at least 1 and at most 3;"):
        require_count("f", "n", 4, maximum=3)
    with pytest.raises(ValueError, match="a whole number of at least 1;"):
        require_count("f", "n", 0)


def test_two_temperatures_or_more_are_a_schedule_and_one_is_none():
    for schedule in ([0.0, 1.0], [0.0, 0.5, 1.0]):
        assert require_schedule("f", schedule).tolist() == schedule
    with pytest.raises(ValueError, match="at least two"):
        require_schedule("f", [0.0])


@pytest.mark.parametrize("value", ["z", 3, None])
def test_a_word_that_is_no_choice_is_refused(value):
    with pytest.raises(ValueError, match="expected one of 'x', 'y'"):
        require_choice("f", "kind", value, ("x", "y"))


def test_without_an_encoder_the_prior_is_the_same_and_nothing_is_added_to_it(rng):
    group = NVAE(tiny_config(relative=True), rng=rng).double().eval().top_down.groups[1]
    for parameter in group.prior.parameters():
        parameter.data.normal_(generator=rng)
    h = torch.randn(2, group.prior[1].in_channels, 6, 6, dtype=torch.float64, generator=rng)
    alone, beside = (group.normals(h, tap, torch.Size((2, 2, 6, 6))) for tap in (None, h))
    assert_close((alone.mu, alone.log_sigma), (beside.mu, beside.log_sigma), rtol=0, atol=0)
    assert alone.mu.std() > 0 and not torch.equal(alone.mu, alone.log_sigma) and not alone.delta_mu.any() and not alone.delta_log_sigma.any()


def test_rows_of_bars_stand_from_the_top():
    figure = bit_bars({"first": {"codes": 1.0}, "second": {"codes": 2.0}}).figure
    places = dict(zip((label.get_text() for label in figure.axes[0].get_yticklabels()), figure.axes[0].get_yticks()))
    assert places["first"] > places["second"]

