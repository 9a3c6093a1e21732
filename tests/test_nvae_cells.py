"""The residual cells: the order of their layers, shapes, identity at scale zero, and the count of their parameters."""
import pytest
import torch
from torch import nn

from deepgen_lib.nvae.cells import EncoderCell, GenerativeCell, SqueezeExcite, encoder_cell_parameters, generative_cell_parameters


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def words(cell) -> str:
    name = {nn.BatchNorm2d: "BN", nn.SiLU: "Swish", SqueezeExcite: "SE"}
    return " ".join(name.get(type(m)) or f"{'depthwise' if m.groups > 1 else 'conv'}{m.kernel_size[0]}" for m in cell.branch)


def test_the_layers_come_in_the_papers_order():
    assert words(EncoderCell(8)) == "BN Swish conv3 BN Swish conv3 SE"
    assert words(GenerativeCell(8)) == "BN conv1 BN Swish depthwise5 BN Swish conv1 BN SE"


@pytest.mark.parametrize("kind", [EncoderCell, GenerativeCell])
def test_a_cell_at_scale_zero_is_the_identity(kind, rng):
    x = torch.randn(3, 8, 6, 6, generator=rng)
    assert torch.equal(kind(8, scale=0.0)(x), x)
    for scale in (0.1, 1.0):
        cell = kind(8, scale=scale)
        torch.testing.assert_close(cell(x), x + scale * cell.branch(x))
        assert not torch.allclose(cell(x), x)


def test_shapes(rng):
    x = torch.randn(2, 8, 6, 6, generator=rng)
    assert EncoderCell(8)(x).shape == GenerativeCell(8)(x).shape == x.shape
    assert EncoderCell(8, down=True)(x).shape == (2, 16, 3, 3)
    assert GenerativeCell(8, up=True)(x).shape == (2, 4, 12, 12)


@pytest.mark.parametrize("channels", [1, 8, 30, 64, 256])
def test_the_count_formulas(channels):
    assert count(EncoderCell(channels)) == encoder_cell_parameters(channels)
    for expansion in (1, 3, 6):
        assert count(GenerativeCell(channels, expansion=expansion)) == generative_cell_parameters(channels, expansion)


def test_the_depthwise_convolution_costs_25_a_channel():
    """Against 25 E² C² of a dense one: why the generative model can afford a 5x5."""
    depthwise, = [m for m in GenerativeCell(64, expansion=6).branch if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert depthwise.groups == 6 * 64 and count(depthwise) == 25 * 6 * 64


def test_squeeze_and_excitation_scales_whole_channels(rng):
    gate, x = SqueezeExcite(8), torch.randn(2, 8, 5, 5, generator=rng)
    ratio = gate(x) / x
    assert (ratio > 0).all() and (ratio < 1).all()
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio), rtol=1e-4, atol=1e-5)
    assert ratio.std(1).max() > 0


def test_a_generative_cell_sees_five_by_five_and_an_encoder_cell_too():
    """Two 3x3 convolutions and one 5x5 reach equally far, when the squeeze is taken away."""
    for cell in (EncoderCell(4).eval(), GenerativeCell(4).eval()):
        cell.branch = cell.branch[:-1]
        x = torch.randn(1, 4, 11, 11, generator=torch.Generator().manual_seed(0), requires_grad=True)
        reach, = torch.autograd.grad(cell(x)[0, :, 5, 5].sum(), x)
        seen = (reach.abs().sum((0, 1)) > 0).nonzero()
        assert seen.min(0).values.tolist() == [3, 3] and seen.max(0).values.tolist() == [7, 7]
