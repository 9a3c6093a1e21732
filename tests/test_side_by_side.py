"""side_by_side.py: the trained models of chapter 13 say of test pictures what their files note, and obey their verbs."""
from functools import lru_cache

import pytest
import torch
from torch import Tensor

from deepgen_lib import load_mnist, load_notes, side_by_side
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.side_by_side import KINDS, ORIGINS, Entrant, measured, shipped_models
from deepgen_lib.side_by_side_models import new_mixture, new_vae
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, require_all_tried

EXACT = ("mixture", "rbm_cd1", "rbm")  # nothing is drawn
OURS = sorted(CHECKPOINTS.glob("side_by_side_*.safetensors"))


@lru_cache
def models() -> dict[str, Entrant]:
    return shipped_models()


@lru_cache
def test_pictures() -> Tensor:
    return load_mnist("test", binarisation="fixed").images


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


test_pictures.__test__ = False


@pytest.fixture
def few_sweeps(monkeypatch):
    monkeypatch.setattr(side_by_side, "SWEEPS", 20)


def test_all_seven_are_there_with_their_kind_their_cost_and_the_command_that_makes_them():
    assert list(models()) == list(ORIGINS) and len(models()) == 7
    for name, model in models().items():
        assert model.name == name and model.kind in KINDS and model.n_parameters > 10_000 and model.measured == measured(name)
        script = CHECKPOINTS.parents[2] / "benchmarks" / f"{model.command.split()[3]}.py"
        assert model.command.startswith("python3 tools/course.py bench ") and script.exists()
        assert model.measured.low <= model.measured.test <= model.measured.high and model.measured.training_seconds > 10 and model.measured.date.startswith("2026-11-2")


def test_the_files_are_small_in_all_and_name_their_script():
    assert len(OURS) == 6 and sum(path.stat().st_size for path in OURS) <= 5_000_000
    assert all(load_notes(path)["script"] == "benchmarks/side_by_side.py" for path in OURS)


@pytest.mark.parametrize("name", EXACT)
def test_the_test_pictures_give_the_number_in_the_file(name):
    model = models()[name]
    x = test_pictures()
    assert model.score(x, rng=seeded()).mean().item() == pytest.approx(model.measured.test, abs=0.01)
    turned = x.view(-1, 28, 28).transpose(1, 2).flatten(1)
    assert model.score(turned[::50], rng=seeded()).mean() < model.measured.test - 15  # planted: pixels in another order


@pytest.mark.parametrize("name", [name for name in ORIGINS if name not in EXACT])
def test_a_spaced_handful_gives_the_number_in_the_file(name):
    """Paired with the exact number of the mixture on the same pictures, which takes most of the noise of the choice away."""
    model, mixture, x = models()[name], models()["mixture"], test_pictures()[::100]
    difference = model.score(x, rng=seeded()) - mixture.score(x, rng=seeded())
    noted = (model.measured.bound or model.measured.test) - mixture.measured.test
    assert difference.mean().item() == pytest.approx(noted, abs=4 * difference.std().item() / len(x)**0.5)


@pytest.mark.parametrize("name", ["vae", "nvae"])
def test_weighing_many_draws_raises_the_bound(name):
    model, x = models()[name], test_pictures()[::1000 if name == "nvae" else 200]
    plain = torch.stack([model.score(x, rng=seeded(seed)) for seed in range(4)]).mean(0)
    one, many = (model.weighted(x, n_samples=n, rng=seeded()).mean() for n in (1, 20))
    assert 0.3 < many - plain.mean() < 15
    assert one < many - 0.3  # one draw weighs nothing


def test_the_models_stand_in_the_order_that_the_lectures_lead_to():
    test = {name: model.measured.test for name, model in models().items()}
    assert test["rbm_cd1"] < test["rbm"] and test["rbm"] > -86.5 and test["dbn"] > test["rbm"] - 0.3
    assert test["rbm_cd1"] < test["mixture"] < test["vae"] < -80


def test_a_good_reconstruction_is_no_good_likelihood():
    """CD-1 rebuilds far better than the mixture, and its likelihood is worse."""
    x = test_pictures()[::100]
    def error(name: str) -> float:
        p = models()[name].reconstruct(x, rng=seeded()).clamp(1e-6, 1 - 1e-6)
        return -(x * p.log() + (1 - x) * (1 - p).log()).sum(1).mean().item()
    assert error("rbm_cd1") < error("mixture") - 20
    assert measured("rbm_cd1").test < measured("mixture").test - 5


@pytest.mark.parametrize("name", ORIGINS)
def test_every_verb_gives_pictures_of_the_right_form(name, few_sweeps):
    model, x = models()[name], test_pictures()[:3]
    drawn, means, rebuilt, features = model.sample(2, rng=seeded()), model.means(2, rng=seeded()), model.reconstruct(x, rng=seeded()), model.features(x)
    assert drawn.shape == means.shape == (2, 784) and rebuilt.shape == (3, 784) and len(features) == 3
    assert set(drawn.unique().tolist()) <= {0.0, 1.0} and all(0 <= p.min() and p.max() <= 1 for p in (means, rebuilt))
    assert torch.equal(drawn, model.sample(2, rng=seeded())) and not torch.equal(drawn, model.sample(2, rng=seeded(1)))
    assert torch.equal(features, model.features(x)) and features.isfinite().all() and features[0].ne(features[1]).any()
    assert (rebuilt - x).abs().mean() < (test_pictures().mean(0) - x).abs().mean()  # better than the mean picture


def doors() -> dict[str, Door]:
    model, x = shipped_models(["vae"])["vae"], test_pictures()[:2]
    pixels, n = bad.tensors(x, binary=True, any_rows=True), bad.count(1)
    return {
        "shipped_models": Door(shipped_models, dict(names=["mixture"]), dict(names=bad.of([3, 0.5]).map(lambda drawn: (drawn[0], str(drawn[0]))) | bad.choice("mixture").filter(lambda d: d[0] is not None and not isinstance(d[0], list)))),
        "measured": Door(measured, dict(name="vae"), dict(name=bad.choice(*ORIGINS))),
        "Entrant.score": Door(model.score, dict(x=x, rng=seeded()), dict(x=pixels, rng=bad.rng())),
        "Entrant.weighted": Door(model.weighted, dict(x=x, n_samples=1, rng=seeded()), dict(x=pixels, n_samples=n, rng=bad.rng())),
        "Entrant.sample": Door(model.sample, dict(n=1, rng=seeded()), dict(n=n, rng=bad.rng())),
        "Entrant.means": Door(model.means, dict(n=1, rng=seeded()), dict(n=n, rng=bad.rng())),
        "Entrant.reconstruct": Door(model.reconstruct, dict(x=x, rng=seeded()), dict(x=pixels, rng=bad.rng())),
        "Entrant.features": Door(model.features, dict(x=x), dict(x=pixels)),
        "new_vae": Door(new_vae, dict(rng=seeded()), dict(rng=bad.rng())),
    }


INNER = {name: "no arguments, or a generator for first weights that the network's own builder checks" for name in ("new_mixture", "new_rbm", "new_nvae", "new_vqvae", "new_code_prior")}
MODULES = ["side_by_side", "side_by_side_models"]
NAMES = defined(MODULES, foreign=True) | {"Entrant", "mlp_vae"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered = door_tests(doors, NAMES, examples=8)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER | {"Entrant": "made by shipped_models alone"})
    assert new_mixture().weights.sum() == pytest.approx(1)


def test_a_model_without_an_encoder_says_that_it_cannot_weigh():
    with pytest.raises(ValueError, match="expected 'vae' or 'nvae'"):
        models()["mixture"].weighted(test_pictures()[:2], n_samples=2, rng=seeded())
