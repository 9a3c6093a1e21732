"""The six rows of the lecture's table: sizes of the latents, the networks on the meta device, counts of parameters beside the authors'."""
import pytest
import torch

from deepgen_lib.nvae import AUTHORS_MILLIONS, NVAE, NVAE_TABLE, NVAEConfig
from deepgen_lib.nvae.cells import encoder_cell_parameters, generative_cell_parameters

SLIDE = {  # side of the picture, groups from the top down, sides of z
    "MNIST": (28, (5, 10), (4, 8)),
    "CIFAR-10": (32, (30,), (16,)),
    "ImageNet 32": (32, (28,), (16,)),
    "CelebA 64": (64, (5, 10, 20), (8, 16, 32)),
    "CelebA-HQ 256": (256, (4, 4, 4, 8, 16), (8, 16, 32, 64, 128)),
    "FFHQ 256": (256, (4, 4, 4, 8, 16), (8, 16, 32, 64, 128)),
}
LATENT_DIMENSIONS = {"MNIST": 14_400, "CIFAR-10": 153_600, "ImageNet 32": 143_360, "CelebA 64": 467_200, "CelebA-HQ 256": 6_005_760, "FFHQ 256": 6_005_760}


def test_the_rows_are_the_slides():
    assert list(NVAE_TABLE) == list(SLIDE) == list(AUTHORS_MILLIONS)
    for name, (side, groups, sides) in SLIDE.items():
        c = NVAE_TABLE[name]
        assert (c.image_size, c.groups, c.latent_sizes) == (side, groups, sides), name
        assert sum(k * h * w for k, h, w in c.latent_shapes) == LATENT_DIMENSIONS[name]


@pytest.mark.parametrize("name", [name for name in SLIDE if name != "FFHQ 256"])
def test_a_row_instantiates_and_its_latents_have_the_slides_shapes(name):
    """The network itself, not the record, says how large z is; FFHQ's differs from CelebA-HQ's in one number of the training."""
    c = NVAE_TABLE[name]
    with torch.device("meta"), torch.no_grad():
        model = NVAE(c).eval()
        walk = model.top_down(model.noise(2), model.encoder(torch.zeros(2, c.n_channels, c.padded_size, c.padded_size)))
    sides = [side for side, n in zip(SLIDE[name][2], SLIDE[name][1]) for _ in range(n)]
    assert [tuple(both.kl().shape) for both in walk.normals] == [(2, 20, side, side) for side in sides]
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert abs(millions / AUTHORS_MILLIONS[name] - 1) < 0.03, f"{millions:.2f} million parameters beside {AUTHORS_MILLIONS[name]}"


def test_ffhq_is_celeba_hq_with_another_regularisation():
    a, b = NVAE_TABLE["CelebA-HQ 256"], NVAE_TABLE["FFHQ 256"]
    assert {name for name in a.__dict__ if getattr(a, name) != getattr(b, name)} == {"regularisation"}


def test_groups_the_other_way_round_are_seen():
    """Counting scales from the bottom up, as code often does, gives MNIST ten groups of 4x4."""
    from_below = NVAEConfig(groups=(10, 5))
    assert sum(k * h * w for k, h, w in from_below.latent_shapes) != LATENT_DIMENSIONS["MNIST"]


def test_channels_double_at_every_halving():
    """A README of the authors says they halve; then MNIST's table row would have an eighth of these at 4x4."""
    assert NVAE_TABLE["MNIST"].scale_widths == (256, 128)
    with torch.device("meta"):
        model = NVAE(NVAE_TABLE["MNIST"])
    assert model.top_down.h.shape == (1, 256, 4, 4) and model.encoder.groups[-1][-1].branch[0].num_features == 256


def test_the_cells_formulas_count_the_model():
    """MNIST's row: the cells of one group at 8x8, encoder and generative, are two of each."""
    with torch.device("meta"):
        model = NVAE(NVAE_TABLE["MNIST"])
    count = lambda module: sum(p.numel() for p in module.parameters())
    assert count(model.encoder.groups[0]) == 2 * encoder_cell_parameters(128)
    assert count(model.top_down.groups[-1].path) == 2 * generative_cell_parameters(128, 6)


@pytest.mark.parametrize("side, padded", [(28, 32), (14, 16), (32, 32), (31, 32)])
def test_padding(side, padded):
    assert NVAEConfig(image_size=side, groups=(1, 1), n_down=2 if side > 14 else 1).padded_size == padded
