"""Walks through an NVAE seen by hooks: what runs and how often, what the tensors are, and what hears of what."""
import pytest
import torch

from deepgen_lib.nvae.tracing import hears, modules_by_name, trace
from tests.nvae_models import pictures, random_nvae

GENERATIVE = {"path 1", "path 2", "path 3", "join 1", "join 2", "join 3", "prior 2", "prior 3", "out"}


def seeded():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def model():
    return random_nvae(groups=(1, 2))


def test_every_module_runs_once_for_a_bound_and_the_encoders_not_at_all_for_a_sample(model):
    x, noise = pictures(model, 2), model.noise(2, seeded())
    bound, sample = trace(model, x, noise), trace(model, None, noise)
    assert {visit.calls for visit in bound.values()} == {1}
    assert set(sample) - {"h", "z 1", "z 2", "z 3"} == GENERATIVE and set(bound) - set(sample) == {"x", "stem", "tap 1", "tap 2", "tap 3", "posterior 1", "posterior 2", "posterior 3"}


def test_a_module_that_runs_twice_is_counted_twice(model):
    x, noise = pictures(model, 2), model.noise(2, seeded())
    group = model.top_down.groups[1]
    normals = group.normals
    group.normals = lambda h, tap, shape: (group.path(model.top_down.h), normals(h, tap, shape))[1]
    assert {name for name, visit in trace(model, x, noise).items() if visit.calls != 1} == {"path 2"}


def test_the_tensors_are_those_of_the_walk(model):
    x, noise = pictures(model, 2), model.noise(2, seeded())
    found = trace(model, x, noise)
    with torch.no_grad():
        taps = model.eval().encoder(model._padded(x))
        walk = model.top_down(noise, taps)
        assert torch.equal(found["out"].value, model.tail(walk.features))
    assert all(torch.equal(found[f"tap {level}"].value, tap) for level, tap in enumerate(taps, start=1))
    assert all(torch.equal(found[f"z {level}"].value, z) for level, z in enumerate(walk.z, start=1))
    mu = found["prior 3"].value.chunk(2, 1)[0]
    torch.testing.assert_close(5 * torch.tanh(mu / 5), walk.normals[2].mu)  # the clamp comes after the module
    assert set(modules_by_name(model)) <= set(found)


def test_the_model_comes_out_as_it_went_in(model):
    model.train()
    trace(model, pictures(model, 2), model.noise(2, seeded()))
    assert model.training and not any(module._forward_hooks for module in model.modules())


def test_held_latents_keep_the_picture_from_the_path(model):
    x, noise = pictures(model, 1), model.noise(1, seeded())
    posteriors = {f"posterior {level}" for level in (1, 2, 3)}
    assert hears(model, x, noise, "x", held=True) == {"x", "stem", "tap 1", "tap 2", "tap 3"} | posteriors
    drawn = hears(model, x, noise, "x")
    assert {"prior 2", "prior 3", "path 2", "path 3", "out"} <= drawn and not {"h", "path 1"} & drawn


def test_what_is_moved_below_does_not_reach_above(model):
    x, noise = pictures(model, 1), model.noise(1, seeded())
    assert hears(model, x, noise, "z 3") == {"z 3", "join 3", "out"}
    assert hears(model, x, noise, "prior 2", held=True) == {"prior 2"}
    assert not any(name.startswith(("tap", "prior 2", "posterior 1")) for name in hears(model, x, noise, "path 2") - {"prior 2"})


def test_an_encoder_that_feeds_the_path_would_be_seen(model):
    """The mistake that claim N1 guards against: a prior that reads a tap."""
    x, noise = pictures(model, 1), model.noise(1, seeded())
    group = model.top_down.groups[1]
    kept = group.normals

    def leaking(h, tap, shape):
        return kept(h if tap is None else h + tap, tap, shape)
    group.normals = leaking
    assert "prior 2" in hears(model, x, noise, "x", held=True)
