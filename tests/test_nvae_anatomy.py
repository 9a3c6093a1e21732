"""The counts of parameters and multiply-adds, and the fields of view, against the network itself."""
import pytest
import torch
from torch import nn

from deepgen_lib.nvae import NVAE, NVAE_TABLE
from deepgen_lib.nvae.anatomy import PARTS, encoder_fields, generative_fields, network_parts
from deepgen_lib.nvae.cells import SqueezeExcite
from tests.nvae_models import random_nvae, tiny_config

WIDE = [dict(groups=(2, 1), image_size=80), dict(groups=(3,), cells=2, image_size=60), dict(groups=(1, 1), outer_cells=2, n_down=2, image_size=112), dict(groups=(2,), n_down=0, image_size=24)]


def without_squeeze(**changes):
    """A random network whose maps touch only what convolutions touch."""
    model = random_nvae(**changes, regularisation=0.0, residual_scale=1.0, n_latent=1).eval().requires_grad_(False)
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential) and len(module) and isinstance(module[-1], SqueezeExcite):
            module[-1] = nn.Identity()
    return model


def side(changed):
    rows = changed.flatten(0, -3).any(0).any(1).nonzero()
    return (rows.max() - rows.min() + 1).item()


def test_the_parts_add_up_to_the_network():
    parts = network_parts(tiny_config())
    assert {part.name for part in parts} == set(PARTS.values())
    assert sum(part.parameters for part in parts) == sum(p.numel() for p in NVAE(tiny_config()).parameters())


def test_multiply_adds_by_hand():
    """One group, one cell, no halving outside: 2 channels at 4x4. The stem is 3x3 from 1 to 2; the tail's head 3x3 from 2 to 1."""
    work = {part.name: part.multiply_adds for part in network_parts(tiny_config(groups=(1,), n_down=0, image_size=4))}
    assert work["encoder, outside"] == 16 * 9 * 1 * 2 and work["generative, outside"] == 16 * 9 * 2 * 1
    assert work["encoder, in the scales"] == 16 * 2 * 9 * 2 * 2 + 2 * (2 * 4)
    assert work["joins of z"] == 16 * (2 + 2) * 2 and work["shared path"] == work["priors"] == 0


def test_most_of_mnists_parameters_are_in_the_encoder_and_the_shared_path():
    parts = {part.name: part for part in network_parts(NVAE_TABLE["MNIST"])}
    whole = sum(part.parameters for part in parts.values())
    assert parts["encoder, in the scales"].parameters + parts["shared path"].parameters > 0.8 * whole


@pytest.mark.parametrize("changes", WIDE, ids=range(len(WIDE)))
def test_the_encoders_field_is_what_a_changed_pixel_reaches(changes):
    """Which pixels move the middle place of a tap: by the gradient."""
    model = without_squeeze(**changes)
    x = torch.rand(1, 1, model.config.padded_size, model.config.padded_size, dtype=torch.float64).requires_grad_()
    for tap, field in zip(model.encoder(x), encoder_fields(model.config)):
        middle = tap.shape[2] // 2
        reach, = torch.autograd.grad(tap[0, :, middle, middle].sum(), x, retain_graph=True)
        assert side(reach != 0) == min(field, model.config.padded_size) or field > 0.6 * model.config.padded_size


@pytest.mark.parametrize("changes", WIDE, ids=range(len(WIDE)))
def test_the_generative_field_is_what_a_changed_latent_reaches(changes):
    model = without_squeeze(**changes)
    z = [torch.zeros(1, *shape, dtype=torch.float64) for shape in model.config.latent_shapes]
    picture = lambda given: model.tail(model.top_down(z, given=given).features)
    for level, field in enumerate(generative_fields(model.config)):
        moved = [value.clone() for value in z]
        middle = moved[level].shape[2] // 2
        moved[level][0, 0, middle, middle] = 1000.0  # far above rounding where it has faded
        reached = side(picture(moved) != picture(z))
        assert reached == field or field > 0.6 * model.config.padded_size
