"""More promises that only benchmarks/mutation.py saw broken: where chains start, what a checkpoint lacks, what costs no gradient."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import DBN, RBM, CDOptions, LabelledRBM, RBMTrainer, exact_log_likelihood, machine, plots, random_rbm
from deepgen_lib.checks.graded import load_checks
from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_rbm import ConvRBM
from deepgen_lib.conv_training import ConvRBMTrainer
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.kernels.cd_update import Parameters, Phases, Rates, update_reference
from deepgen_lib.kernels.code_totals import code_totals, code_totals_reference
from deepgen_lib.kernels.gibbs import half_step
from deepgen_lib.kernels.sweeps import walk
from deepgen_lib.nvae import FlowCell
from deepgen_lib.nvae.two_ways import TwoWays
from deepgen_lib.plots import words
from deepgen_lib.side_by_side import Entrant, Measured, Verbs
from deepgen_lib.side_by_side_models import N_PIXELS
from deepgen_lib.streams import AggregatedPosterior
from deepgen_lib.tiles import OutOfBounds, jit, tl
from deepgen_lib.tiles.memory import Buffer, Traffic
from deepgen_lib.vae import VAE
from deepgen_lib.validate import in_words, require_schedule
from deepgen_lib.vector_quantisation import losses, require_ids
from deepgen_lib.vqvae2 import VQVAE2
from tests.nvae_models import pictures, random_nvae, tiny_config


def test_a_deep_networks_chains_start_at_fair_coins(rng):
    start = DBN([RBM(20, 3)]).sample(200, n_gibbs_steps=0, rng=rng)
    assert 0.47 < start.mean() < 0.53  # 4000 coins, a deviation of 0.008


@pytest.mark.parametrize("bias, sigma, low, high", [(0.0, None, 0.47, 0.53), (2.0, None, 0.86, 0.9), (2.0, 0.1, 1.99, 2.01)], ids=["coins", "biased coins", "normal"])
def test_a_convolutional_networks_chains_start_at_its_biases(bias, sigma, low, high, rng):
    rbm = ConvRBM(1, 2, 3, block=2, sigma=sigma)
    rbm.b.data.fill_(bias)
    start = ConvDBN([rbm]).sample(20, image_size=(16, 16), n_gibbs_steps=0, rng=rng)
    assert low < start.mean() < high


def test_what_a_checkpoint_of_a_convolutional_training_lacks_is_named():
    trainer = ConvRBMTrainer(ConvRBM(1, 2, 3, block=2), CDOptions(), image_size=(8, 8), rng=torch.Generator().manual_seed(0))
    state = trainer.state()
    name, value = next(iter(state.items()))
    with pytest.raises(ValueError, match=f"{name} is nothing, expected"):
        trainer.load_state({})
    with pytest.raises(ValueError, match=rf"{name} is \(77,\), expected"):
        trainer.load_state(state | {name: torch.zeros(77)})
    trainer.load_state(state)


def test_codes_that_do_not_learn_by_gradient_cost_none(rng):
    z, codes = torch.randn(5, 3, generator=rng).requires_grad_(), torch.randn(5, 3, generator=rng)
    both = losses(z, codes)
    assert not both[0].requires_grad and both[1].requires_grad
    assert_close(both[0], both[1].detach())


def test_the_best_likelihood_in_the_title_is_minus_the_entropy_of_the_data():
    data = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    rbm = RBM(2, 2).double()
    render = plots.rbm.short_chains({1: [rbm] * 3, "exact": [rbm] * 3}, data.double(), every=1)
    assert f"best \N{MINUS SIGN}{math.log(2):.2f}" in render(k=1, update=0).figure.axes[0].get_title("left")


def test_a_training_that_has_not_begun_has_taken_no_step():
    trainer = GradientTrainer(VAE(torch.nn.Linear(3, 4), torch.nn.Linear(2, 3), sizes=(3, 2), likelihood="bernoulli"), AdamOptions())
    steps = [value.item() for name, value in trainer.state().items() if name.startswith("step.")]
    assert steps and set(steps) == {0.0}


def test_masks_are_made_anew_and_not_saved():
    model = random_nvae(flow_cells=1)
    assert any(name.endswith(".mask") for name, _ in model.named_buffers()) and not any(name.endswith(".mask") for name in model.state_dict())


def test_temperatures_must_rise_at_every_step():
    with pytest.raises(ValueError, match="strictly increase"):
        require_schedule("f", [0.0, 0.5, 0.5, 1.0])


def test_two_tensors_of_a_launch_are_two_whatever_they_hold():
    a, b = (Buffer.of("x", torch.zeros(2), Traffic()) for _ in range(2))
    assert a != b and len({a, b}) == 2


def test_the_loss_of_a_batch_is_the_mean_of_its_pictures_whatever_their_number(rng):
    model = VQVAE2(1, width=4, dim=3, n_codes=(5, 6), without_bottom=0.0, rng=rng)
    x = torch.rand(6, 1, 8, 8, generator=rng)
    model.training_loss(x, 0.0, rng)  # the codes start on data
    expected = model.terms(x).total.mean()
    assert_close(model.training_loss(x, 0.5, rng), expected)


@pytest.mark.parametrize("n, listed", [(8, True), (9, False)])
def test_eight_points_are_listed_and_nine_summed_up(n, listed):
    assert ("spread" not in words.cloud("x", ([0.5, 3.0, 1.0] * 3)[:n])) is listed


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_a_walk_is_so_many_steps_there_and_back(n_steps, rng):
    rbm, v = random_rbm(6, 4, rng=rng), (torch.rand(50, 6, generator=rng) < 0.5).double()
    with torch.no_grad():
        expected, chance = v, torch.Generator().manual_seed(5)
        for _ in range(n_steps):
            expected = half_step(half_step(expected, rbm.W, rbm.c, chance), rbm.W.T, rbm.b, chance)
        assert torch.equal(walk(v, rbm.W, rbm.b, rbm.c, n_steps, torch.Generator().manual_seed(5)), expected)


def test_visible_units_are_drawn_by_the_weights_from_below(rng):
    rbm, h = random_rbm(6, 6, scale=1000.0, rng=rng), (torch.rand(50, 6, generator=rng) < 0.5).double()
    with torch.no_grad():  # with such weights the coins are certain
        assert torch.equal(rbm.draw_visible(h, rng), (rbm.visible_logits(h) > 0).double())


def test_velocities_are_no_parameters():
    trainer = ConvRBMTrainer(ConvRBM(1, 2, 3, block=2), CDOptions(), image_size=(8, 8), rng=torch.Generator().manual_seed(0))
    assert not any(value.requires_grad for value in (trainer.velocity_W, trainer.velocity_b, trainer.velocity_c))


@pytest.mark.parametrize("n, cut", [(80, False), (81, True)])
def test_words_of_eighty_letters_are_shown_whole(n, cut):
    assert in_words("a" * (n - 2)).endswith("characters)") is cut


def test_a_mixture_takes_grey_or_colour_and_coins_take_any_number_of_channels():
    tiny_config(n_channels=2)
    with pytest.raises(ValueError, match="n_channels"):
        tiny_config(n_channels=2, likelihood="logistic_mixture")


@pytest.mark.parametrize("text, line", [("x = 1\n1 / 0\n", 2), ("x = 1\ny = 2\nz = (\n", 3)], ids=["runs into an error", "is no Python"])
def test_the_line_on_which_private_checks_stop_is_named(text, line, tmp_path):
    (tmp_path / "checks.py").write_text(text)
    with pytest.raises(ValueError, match=rf"\(line {line}\)"):
        load_checks(tmp_path / "checks.py")


def test_noise_may_come_from_the_global_generator():
    model = random_nvae()
    torch.manual_seed(3)
    first = model.noise(2)
    torch.manual_seed(3)
    assert all(torch.equal(a, b) for a, b in zip(first, model.noise(2)))


def test_what_an_entrant_answers_has_no_graph(rng):
    w = torch.ones(N_PIXELS, requires_grad=True)
    verbs = Verbs(lambda x, rng: x @ w, lambda x, n, rng: x @ w, lambda n, rng: w * torch.ones(n, 1), lambda x, rng: x * w, lambda x: x * w)
    entrant, x = Entrant("toy", "Toy", "exact", 1, "", Measured(0, 0, 0, 1, None, 0, "", ""), verbs), (torch.rand(2, N_PIXELS, generator=rng) < 0.5).float()
    answers = [entrant.score(x, rng=rng), entrant.weighted(x, n_samples=1, rng=rng), entrant.means(2, rng=rng), entrant.sample(2, rng=rng), entrant.reconstruct(x, rng=rng), entrant.features(x)]
    assert not any(answer.requires_grad for answer in answers)


def test_normal_pictures_are_drawn_without_a_graph(rng):
    assert not ConvRBM(1, 2, 3, block=2, sigma=0.5).sample_visible(torch.zeros(1, 2, 4, 4), rng).requires_grad


def test_a_flow_is_undone_without_a_graph(rng):
    assert not FlowCell(2).inverse(torch.randn(3, 2, 2, 2, generator=rng)).requires_grad


def test_an_exact_likelihood_needs_one_small_side_of_the_top_alone(rng):
    rbm, x = RBM(30, 3, weight_std=1.0, rng=rng).double(), (torch.rand(4, 30, generator=rng) < 0.5).double()
    assert_close(DBN([rbm]).log_likelihood(x), exact_log_likelihood(rbm, x))


def test_a_sampled_bound_has_no_graph(rng):
    dbn = DBN([RBM(5, 4), RBM(4, 3)])
    assert not any(part.requires_grad for part in dbn.bound((torch.rand(3, 5, generator=rng) < 0.5).float(), n_samples=2, rng=rng))


def test_an_update_without_options_is_the_gradient_alone(rng):
    normal = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=rng)
    old, phases = Parameters(normal(3, 2), normal(3), normal(2), normal(3, 2), normal(3), normal(2), normal(3), normal(2)), Phases(normal(4, 3), normal(4, 2), normal(4, 3), normal(4, 2))
    new = update_reference(old, phases, 0.1, Rates())
    assert_close(new.b, old.b + 0.1 * (phases.v_data.mean(0) - phases.v_model.mean(0)))


@pytest.mark.parametrize("function", [code_totals, code_totals_reference], ids=["function", "definition"])
def test_totals_of_codes_have_no_graph(function, rng):
    z = torch.randn(4, 2, generator=rng).requires_grad_()
    assert not any(part.requires_grad for part in function(z, torch.tensor([0, 1, 1, 0]), 3))


def test_two_ways_come_back_as_they_were_sent(rng):
    sent = TwoWays(torch.nn.Linear(2, 3), torch.nn.Linear(2, 3), torch.randn(2, 4, 2, generator=rng))
    plain = sent.plain()
    assert not any(p.requires_grad for layer in plain["weights"] for p in layer)
    got = TwoWays.from_plain(plain)
    assert torch.equal(got.one.weight, sent.one.weight) and torch.equal(got.other.weight, sent.other.weight)


def test_labels_stand_beside_the_hidden_states(rng):
    below, rows = RBM(6, 4), []
    trainer = RBMTrainer(LabelledRBM(4, 3, 5), CDOptions(), rng=rng)
    trainer.update = lambda batch, fraction, rng: rows.append(batch)
    labels = torch.eye(3)[[0, 2]]
    AggregatedPosterior([below], trainer).update(torch.cat([torch.ones(2, 6), labels], 1), 0.0, rng)
    assert rows[0].shape == (2, 7) and torch.equal(rows[0][:, 4:], labels)


def test_one_code_beyond_the_last_is_refused():
    with pytest.raises(ValueError, match="runs from 0 to 3, expected 0 to 2"):
        require_ids("f", torch.tensor([0, 3]), None, 3)


def test_who_adds_out_of_bounds_is_named():
    @jit
    def add(x_ptr):
        tl.atomic_add(x_ptr + 7 * tl.program_id(0), 1.0)
    with pytest.raises(OutOfBounds, match="program 1 adds to"):
        add[(2,)](torch.zeros(3))


def test_pictures_from_above_have_no_graph(rng):
    dbn = ConvDBN([ConvRBM(1, 2, 3, block=2), ConvRBM(2, 3, 2, block=2)])
    start = torch.zeros(1, 2, 3, 3)
    assert not dbn.descend(start, rng, means=True).requires_grad


def test_a_share_of_a_core_is_one_core(monkeypatch):
    monkeypatch.setattr(machine, "_words", lambda path: ["30000", "100000"])
    assert machine._cores() == 1


def test_an_importance_bound_keeps_no_graph(rng):
    model = random_nvae()
    assert not model.importance_bound(pictures(model, 2), n_samples=2, rng=rng).requires_grad
