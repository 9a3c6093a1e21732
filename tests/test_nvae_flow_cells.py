"""One cell of an inverse-autoregressive flow: order, determinant and inverse against autograd's Jacobian."""
import pytest
import torch
from torch.autograd.gradcheck import gradcheck

from deepgen_lib.nvae import FlowCell, flow_cell_parameters
from tests.nvae_models import jacobian, shaken

F64 = torch.float64
KINDS = [dict(), dict(scale=True), dict(reverse=True), dict(scale=True, reverse=True, context=3)]
NAMES = ["shift", "scale", "reverse", "all"]


def seeded(n=0):
    return torch.Generator().manual_seed(n)


def random_cell(n_latent=3, **kind):
    return shaken(FlowCell(n_latent, expansion=2, **kind), size=1.0).requires_grad_(False)


def draw(cell, side=3):
    """z and c for it, one of each."""
    return torch.randn(1, len(cell.narrow.bias) // (2 if cell.scale else 1), side, side, dtype=F64, generator=seeded(1)), torch.randn(1, 3, side, side, dtype=F64, generator=seeded(2))


def in_order(J, reverse):
    return J.flip(0, 1) if reverse else J


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_the_jacobian_is_triangular_and_its_determinant_the_cells(kind):
    cell = random_cell(**kind)
    z, c = draw(cell)
    J = in_order(jacobian(cell, z, c), kind.get("reverse", False))
    assert (J.triu(1) == 0).all() and (J.diagonal() > 0).all() and J.tril(-1).abs().max() > 0.03
    assert abs(torch.linalg.slogdet(J).logabsdet - cell(z, c)[1]).item() < 1e-10
    assert (cell(z, c)[1] != 0) if cell.scale else (cell(z, c)[1] == 0 and (J.diagonal() == 1).all())


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@pytest.mark.parametrize("layer", ["widen", "spread", "narrow"])
def test_a_filter_without_its_mask_is_seen(layer, kind):
    """In any of the three layers: then some entry sees itself or one after it."""
    cell = random_cell(**kind)
    getattr(cell, layer).mask.fill_(True)
    z, c = draw(cell)
    assert (in_order(jacobian(cell, z, c), kind.get("reverse", False)).triu(1) != 0).any()
    assert abs(torch.linalg.slogdet(jacobian(cell, z, c)).logabsdet - cell(z, c)[1]).item() > 1e-6


@pytest.mark.parametrize("reverse", [False, True])
def test_every_neighbour_that_comes_before_is_seen(reverse):
    """All channels of the four places before, and the channels before in the same place: no blind spot in 3x3."""
    cell = random_cell(reverse=reverse)
    z, c = draw(cell)
    J = jacobian(cell, z, c).view(9, 3, 9, 3)[4] != 0  # of the middle place
    before = range(5, 9) if reverse else range(4)
    assert J[:, list(before)].all() and J[:, 4].sum() == 3 + 3 and J.sum() == 3 * 12 + 6


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_the_inverse_goes_back(kind):
    cell = random_cell(**kind)
    z, c = draw(cell, side=4)
    moved, _ = cell(z, c)
    assert (moved - z).abs().max() > 0.1 and (cell.inverse(moved, c) - z).abs().max() < 1e-10


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_a_fresh_cell_changes_nothing(kind):
    cell = FlowCell(3, **kind)
    z, c = (value.float() for value in draw(cell))
    moved, log_det = cell(z, c)
    assert torch.equal(moved, z) and (log_det == 0).all()
    moved.sin().sum().backward()
    assert cell.narrow.gain.grad.abs().max() > 0, "and can learn to"


def test_the_context_is_heard_by_every_entry():
    cell = random_cell(context=3)
    z, c = draw(cell)
    assert ((cell(z, c)[0] - cell(z, -c)[0]).abs() > 1e-6).all()


def test_the_gain_is_the_length_of_the_weights():
    cell = random_cell()
    for layer in (cell.widen, cell.spread, cell.narrow):
        torch.testing.assert_close(layer.weight.flatten(1).norm(dim=1), layer.gain.flatten().abs())
        assert (layer.weight[~layer.mask] == 0).all()


def test_gradients_of_a_cell_are_those_of_finite_differences():
    cell = random_cell(2, scale=True, context=3)
    z, c = (value[..., :2, :2].contiguous().requires_grad_() for value in draw(cell))
    assert gradcheck(cell, (z, c))
    weights = {name: p.detach().clone().requires_grad_() for name, p in cell.named_parameters()}
    assert gradcheck(lambda *p: torch.func.functional_call(cell, dict(zip(weights, p)), (z.detach(), c.detach())), tuple(weights.values()))


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@pytest.mark.parametrize("n_latent, expansion", [(1, 1), (3, 2), (20, 6)])
def test_the_count_of_parameters(n_latent, expansion, kind):
    sizes = dict(expansion=expansion, context=kind.get("context", 0), scale=kind.get("scale", False))
    assert sum(p.numel() for p in FlowCell(n_latent, **sizes).parameters()) == flow_cell_parameters(n_latent, **sizes)
