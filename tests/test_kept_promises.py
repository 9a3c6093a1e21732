"""Promises of docstrings that small changes of the code broke unseen, until benchmarks/mutation.py made them: one test for each."""
import dataclasses
import importlib
import pkgutil
import sys
import types

import pytest
import torch
from torch.testing import assert_close

import deepgen_lib
from deepgen_lib import RBM, CDOptions, LabelledRBM, RBMTrainer, ais_log_partition, claims, plots, random_rbm, reverse_ais_log_partition
from deepgen_lib.autoregressive import PixelCNN
from deepgen_lib.checkpoint import fingerprint
from deepgen_lib.codebook import Codebook
from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_inference import hierarchical_sweep
from deepgen_lib.conv_rbm import ConvRBM
from deepgen_lib.gradient_estimators import pathwise_gradients
from deepgen_lib.kernels import backend
from deepgen_lib.kernels.cd_update import Parameters, Phases, Rates, update, update_reference
from deepgen_lib.likelihood import require_levels
from deepgen_lib.nvae.balancing import balance_weights, weighted_kl
from deepgen_lib.nvae.cells import SqueezeExcite
from deepgen_lib.nvae.heads import require_pixels
from deepgen_lib.nvae.spectral import batch_norm_penalty
from deepgen_lib.nvae.tracing import trace
from deepgen_lib.objectives import continue_chain
from deepgen_lib.probe import linear_probe
from deepgen_lib.record import in_notebook
from deepgen_lib.selectivity import strongest
from deepgen_lib.streams import AggregatedPosterior, SampledPixels
from deepgen_lib.tiles.memory import Buffer, Traffic
from deepgen_lib.validate import require_kind, require_means, require_number
from tests.nvae_models import random_nvae, tiny_config


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def option_classes() -> dict[str, type]:
    """Data classes of the library whose name says that they are options or a configuration."""
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(deepgen_lib.__path__, "deepgen_lib.") if ".triton_" not in m.name and ".plots" not in m.name and ".in_triton" not in m.name]
    found = {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type) and dataclasses.is_dataclass(value)}
    return {name: value for name, value in found.items() if value.__module__.startswith("deepgen_lib") and ".tiles" not in value.__module__}


def test_data_classes_cannot_be_changed_after_they_were_checked():
    classes = option_classes()
    assert {"CDOptions", "AdamOptions", "UpDownOptions", "NVAEConfig", "Entrant"} <= set(classes)
    assert [name for name, value in classes.items() if not value.__dataclass_params__.frozen] == []


def test_labels_above_are_not_counted_among_the_hidden_units_below():
    below, top = RBM(6, 4), LabelledRBM(4, 3, 5)
    AggregatedPosterior([below], RBMTrainer(top, CDOptions(), rng=seeded()))
    with pytest.raises(ValueError, match="has 7 visible units, expected 4"):
        AggregatedPosterior([below], RBMTrainer(RBM(7, 5), CDOptions(), rng=seeded()))


@pytest.mark.parametrize("grey", [-0.25, 1.25])
def test_one_grey_value_out_of_range_is_refused(grey):
    data = torch.full((3, 6), 0.5)
    stream = SampledPixels(RBMTrainer(RBM(6, 4), CDOptions(), rng=seeded()))
    stream.check_data(data)
    data[1, 2] = grey
    with pytest.raises(ValueError, match="grey values in"):
        stream.check_data(data)


@pytest.mark.parametrize("value", [-1.0, 2.0])
def test_one_value_outside_of_the_levels_is_refused(value):
    x = torch.tensor([0.0, 0.5, 1.0])
    require_levels("f", "x", x, 3)
    with pytest.raises(ValueError, match="f: x"):
        require_levels("f", "x", torch.cat([x, torch.tensor([value])]), 3)


def test_a_group_without_dimensions_has_no_weight():
    with pytest.raises(ValueError, match="numbers above 0"):
        balance_weights(torch.rand(4, 2), torch.tensor([3.0, 0.0]))


def test_samples_have_the_models_own_temperature_unless_another_is_asked_for():
    model = random_nvae()
    assert_close(model.sample(3, means=True, rng=seeded()), model.sample(3, means=True, temperature=1.0, rng=seeded()), rtol=0, atol=0)


@pytest.mark.parametrize("rates", [Rates(), Rates(0.7, 0.1, None, 0.3, 0.2), Rates(0.5, 0.01, 0.1)], ids=["plain", "sparse", "centred"])
def test_the_update_in_place_is_its_definition(rates, rng):
    normal = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=rng)
    old = Parameters(normal(5, 3), normal(5), normal(3), normal(5, 3), normal(5), normal(3), normal(5), normal(3))
    phases = Phases(normal(7, 5), normal(7, 3), normal(4, 5), normal(4, 3))
    expected, new = update_reference(old, phases, 0.2, rates), Parameters(*(x.clone() for x in old))
    update(new, phases, 0.2, rates)
    assert_close(tuple(new), tuple(expected))


def test_squeeze_and_excitation_reads_the_mean_whatever_the_size_of_the_picture(rng):
    cell, colour = SqueezeExcite(4).double(), torch.randn(2, 4, 1, 1, dtype=torch.float64, generator=rng)
    assert_close(cell(colour.expand(2, 4, 8, 8))[:, :, :1, :1], cell(colour))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_strongest_are_found_in_every_floating_type(dtype):
    scores = torch.arange(10).to(dtype)[:, None]
    assert strongest(scores, share=0.2).flatten().tolist() == [0.0] * 8 + [1.0] * 2


def test_the_strongest_are_told_apart_with_all_digits_of_float64():
    scores = 1 + 1e-12 * torch.arange(10, dtype=torch.float64)[:, None]
    assert strongest(scores, share=0.2).sum() == 2


def test_codes_may_be_as_long_as_the_prior_is_wide_and_no_longer(rng):
    prior, z = PixelCNN(5, (2, 2), width=4), torch.zeros(1, 2, 2, dtype=torch.int64)
    prior.start_from(torch.randn(5, 4, generator=rng), z, rng=rng)
    with pytest.raises(ValueError, match="at most the width, 4"):
        prior.start_from(torch.randn(5, 5, generator=rng), z, rng=rng)


@pytest.mark.parametrize("size", [(2, 10), (10, 2)], ids=["low", "narrow"])
def test_a_picture_in_which_no_filter_fits_is_refused(size):
    with pytest.raises(ValueError, match="on both sides"):
        ConvRBM(1, 2, 3, block=2).map_size(*size)


@pytest.mark.parametrize("shell, found", [(types.SimpleNamespace(kernel=1), True), (types.SimpleNamespace(), False), (None, False)], ids=["kernel", "terminal", "script"])
def test_a_notebooks_kernel_is_told_from_a_terminal(shell, found, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is found


def test_a_chain_with_labels_draws_exactly_one(rng):
    rbm, plain = LabelledRBM(4, 3, 5, weight_std=1.0, rng=rng), RBM(7, 5, weight_std=1.0, rng=rng)
    h = (torch.rand(40, 5, generator=rng) < 0.5).float()
    with torch.no_grad():
        assert (continue_chain(rbm, h, 2, rng)[0][:, 4:].sum(1) == 1).all()
        assert not (continue_chain(plain, h, 2, rng)[0][:, 4:].sum(1) == 1).all()


@pytest.mark.parametrize("choice, taken", [("auto", False), ("torch", False), ("triton", True)])
def test_what_is_chosen_decides_where_a_kernel_runs(choice, taken, monkeypatch):
    monkeypatch.setattr(backend, "_missing", lambda tensors, dtypes: "")
    monkeypatch.setenv("DEEPGEN_KERNELS", choice)
    assert backend.use_triton("f", torch.zeros(2)) is taken


def test_pathwise_gradients_are_numbers_without_a_graph(rng):
    mu, log_sigma = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    assert not any(part.requires_grad for part in pathwise_gradients(lambda z: -z.square().sum(1), mu, log_sigma, n_samples=3, rng=rng))


def test_the_weights_of_annealed_chains_have_no_graph(rng):
    rbm, mean = random_rbm(4, 3, rng=rng), torch.full((4,), 0.5, dtype=torch.float64)
    for result in (ais_log_partition(rbm, base_mean=mean, n_temperatures=4, n_chains=3, rng=rng), reverse_ais_log_partition(rbm, torch.ones(3, 4, dtype=torch.float64), base_mean=mean, n_temperatures=4, rng=rng)):
        assert not result.log_weights.requires_grad


def test_normal_pixels_are_inferred_without_a_graph(rng):
    dbn, v = ConvDBN([ConvRBM(1, 2, 3, block=2, sigma=0.5)]), torch.randn(1, 1, 6, 6, generator=rng)
    v, hidden = hierarchical_sweep(dbn, v, [torch.zeros(1, 2, 4, 4)], known=torch.zeros(1, 1, 6, 6), rng=rng)
    assert not v.requires_grad and not hidden[0].requires_grad


def test_a_number_may_be_anything_finite_where_no_limit_is_named():
    for value in (-1e300, 0, 1e300):
        require_number("f", "x", value)


@pytest.mark.parametrize("kind, words", [(int, "expected int"), ((int, dict), "expected int or dict")], ids=["one", "several"])
def test_every_kind_that_would_do_is_named(kind, words):
    with pytest.raises(ValueError, match=f"f: x is str, {words}; do"):
        require_kind("f", "x", "a", kind, cure="do")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_mean_at_the_edge_is_refused(value):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        require_means("f", "mean", torch.tensor([0.5, value]), 2)


def test_pictures_must_be_of_the_likelihoods_own_values():
    grey, level = torch.full((1, 1, 6, 6), 0.3), torch.full((1, 1, 6, 6), 0.5)
    mixture = tiny_config(likelihood="logistic_mixture", n_levels=3, n_mixtures=2)
    require_pixels("f", "x", level, mixture)
    for x, config in ((level, tiny_config()), (grey, mixture)):
        with pytest.raises(ValueError, match="f: x"):
            require_pixels("f", "x", x, config)


def test_an_average_of_codes_is_smoothed_as_it_says(rng):
    book = Codebook(2, 3, decay=0.9, rng=rng).double()
    old, z = book.codes.clone(), torch.randn(4, 3, dtype=torch.float64, generator=rng)
    book.update_statistics(z, torch.zeros(4, dtype=torch.int64))
    sums, count = 0.9 * old[0] + 0.1 * z.sum(0), 0.9 + 0.1 * 4
    assert_close(book.codes[0], (sums + 1e-5 * old[0]) / (count + 1e-5), rtol=1e-12, atol=0)


def test_the_tensors_of_a_traced_walk_carry_no_graph(rng):
    model = random_nvae()
    assert not any(visit.value.requires_grad for visit in trace(model, None, model.noise(2, rng)).values())


def test_a_probe_leaves_the_network_of_its_features_alone(rng):
    features, labels = torch.randn(12, 3, generator=rng).requires_grad_(), torch.arange(12) % 2
    linear_probe(features, labels, test_features=features, test_labels=labels, n_steps=3)
    assert features.grad is None


def test_data_have_one_fingerprint_whether_or_not_they_ask_for_gradients(rng):
    x = torch.randn(5, generator=rng)
    assert fingerprint(x.clone().requires_grad_()) == fingerprint(x)


def test_of_a_batch_norm_the_largest_scale_is_paid_for():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(3))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([0.5, -2.0]))
        network[1].weight.copy_(torch.tensor([0.1, 3.0, 0.2]))
    assert_close(batch_norm_penalty(network), torch.tensor(5.0))


@pytest.mark.parametrize("weight, balanced", [(0.5, False), (1.0, True), (1.0, False)])
def test_groups_weigh_the_same_unless_balanced_in_the_warm_up(weight, balanced, rng):
    kl = torch.rand(4, 2, generator=rng)
    assert_close(weighted_kl(kl, torch.tensor([3.0, 90.0]), weight=weight, balanced=balanced), weight * kl.sum(1))


def test_a_claim_that_holds_is_noted_as_such(monkeypatch):
    noted = []
    monkeypatch.setattr(claims.record, "note", lambda *what, **facts: noted.append((what, facts)))
    claims.claim("B1", 0.0, below=1.0)
    assert noted == [(("claims", "B1"), {"holds": True})]


def test_an_addition_to_memory_is_a_read_and_a_write_of_each_number():
    traffic = Traffic()
    row = Buffer.of("x", torch.zeros(4), traffic)
    row.add(torch.tensor([0, 1, 1]), torch.ones(3), torch.ones(3, dtype=torch.bool), 0)
    assert (traffic.loaded, traffic.stored, row.row.tolist()) == (12, 12, [1.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize("bounds", [{"a": -5.0, "b": -1.0}, {"a": -1.0, "b": -5.0}], ids=["rising", "falling"])
def test_the_worst_bound_still_has_a_bar(bounds):
    with_bars = plots.gibbs_bound.hanging(bounds, 0.0).figure.axes[0]
    assert with_bars.get_ylim()[0] < -5 and min(patch.get_height() for patch in with_bars.patches) > 0
