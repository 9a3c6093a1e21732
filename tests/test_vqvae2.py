"""vqvae2.py and swap_codes.py: what each level may see, gradients that go where they should, levels removed, errors split by scale, learning."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import fit, load_colour_faces
from deepgen_lib.codebook import Codebook
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.kernels.nearest_code import nearest_code_reference
from deepgen_lib.swap_codes import SwapCodes
from deepgen_lib.vqvae2 import VQVAE2, TwoMaps, error_by_scale


@pytest.fixture
def model(rng):
    return VQVAE2(3, width=8, dim=4, n_codes=(6, 5), rng=rng)


@pytest.fixture
def x(rng):
    return torch.rand(4, 3, 16, 8, generator=rng)


def test_the_maps_hold_the_nearest_codes_of_each_level(model, x):
    maps = model.encode(x)
    assert maps.top.shape == (4, 4, 2) and maps.bottom.shape == (4, 8, 4) and maps.top.dtype == torch.int64
    below = model.encode_picture(x)
    z = model.encode_top(below).movedim(1, -1)
    assert torch.equal(maps.top.flatten(), nearest_code_reference(z.flatten(0, 2), model.top.codes))
    above = model.unfold_top(model.top.codes[maps.top].movedim(-1, 1))
    z = model.encode_bottom(torch.cat([below, above], 1)).movedim(1, -1)
    assert torch.equal(maps.bottom.flatten(), nearest_code_reference(z.flatten(0, 2), model.bottom.codes))


def test_a_removed_level_cannot_be_told_from_the_picture_and_the_other_still_can(model, x):
    maps = model.encode(x)
    other = TwoMaps(maps.top, (maps.bottom + 1) % 5), TwoMaps((maps.top + 1) % 6, maps.bottom)
    for level, changed, kept in (("bottom", *other), ("top", *other[::-1])):
        removed = model.decode(maps, without=level)
        assert torch.equal(removed, model.decode(changed, without=level))
        assert (removed - model.decode(kept, without=level)).abs().max() > 1e-4
        assert (removed - model.decode(maps)).abs().max() > 1e-4


def test_the_mean_code_is_weighted_by_use(model):
    model.top.counts.copy_(torch.tensor([3.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    assert_close(model.mean_code("top"), (3 * model.top.codes[0] + model.top.codes[1]) / 4)


def test_the_terms_written_out(model, x):
    maps, terms = model.encode(x), model.terms(x)
    assert_close(terms.reconstruction, ((x - model.decode(maps)) ** 2).flatten(1).sum(1) / (2 * 0.2**2))
    z = model.encode_top(model.encode_picture(x)).movedim(1, -1)
    assert_close(terms.top_commitment, 0.25 * ((z - model.top.codes[maps.top]) ** 2).flatten(1).sum(1))
    assert_close(terms.total, terms.reconstruction + terms.top_commitment + terms.bottom_commitment)


def test_the_reconstruction_reaches_the_encoder_past_both_argmins(model, x):
    """Straight through: with the commitments left out, every part of the network has a slope."""
    model.terms(x).reconstruction.sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_a_picture_without_bottom_codes_in_training_gives_the_bottom_no_gradient(model, x, rng):
    model.without_bottom = 1.0
    model.training_loss(x, 0.0, rng).backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in model.encode_bottom.parameters())
    assert all(p.grad.abs().max() > 0 for p in model.encode_top.parameters())


def test_training_starts_the_codes_on_data_once_and_moves_them(model, x, rng, monkeypatch):
    starts, original = [], Codebook.init_from
    monkeypatch.setattr(Codebook, "init_from", lambda book, *z, **options: (starts.append(book), original(book, *z, **options)))
    first = model.top.codes.clone()
    model.training_loss(x, 0.0, rng)
    second = model.top.codes.clone()
    model.training_loss(x, 0.0, rng)
    assert [book is part for book, part in zip(starts, (model.top, model.bottom), strict=True)] == [True, True]
    assert model.started and (first - second).abs().amax(1).min() > 0
    assert 0 < (model.top.codes - second).abs().max() < (second - first).abs().max()
    model.terms(x), model.encode(x)
    frozen = model.top.codes.clone()
    model.terms(x)
    assert torch.equal(frozen, model.top.codes)  # measuring moves nothing


def test_it_learns_faces(rng):
    """After 60 small updates both levels together are clearly better than the mean face; who holds what is asked of the shipped model, which is trained longer."""
    faces = load_colour_faces("train").images
    model = VQVAE2(3, width=16, dim=8, n_codes=(32, 32), rng=rng)
    fit(GradientTrainer(model, AdamOptions(learning_rate=0.004)), faces, n_updates=60, batch_size=16, rng=rng)
    x = faces[:64]
    with torch.no_grad():
        split = error_by_scale(x, model.decode(model.encode(x)))
    assert (split.low + split.high).mean() < 0.85 * (x - faces.mean(0)).square().mean()


@pytest.mark.parametrize("block", [1, 2, 4])
def test_the_two_errors_add_up_and_each_sees_its_own(rng, block):
    x, y = torch.rand(3, 2, 8, 4, generator=rng), torch.rand(3, 2, 8, 4, generator=rng)
    split = error_by_scale(x, y, block=block)
    assert_close(split.low + split.high, ((x - y) ** 2).flatten(1).mean(1))
    assert_close(error_by_scale(x, x + 0.5, block=block).low, torch.full((3,), 0.25))
    stripes = 0.5 * torch.tensor([1.0, -1.0]).repeat(2).expand_as(x)
    assert_close(error_by_scale(x, x + stripes, block=block).high, torch.full((3,), 0.0 if block == 1 else 0.25), atol=1e-6, rtol=0)


def test_swapped_codes_come_from_the_batch_in_the_stated_share_and_pass_no_gradient(rng):
    z = torch.arange(2 * 3 * 20 * 20.0).view(2, 3, 20, 20).requires_grad_()
    swap = SwapCodes(0.3, rng=rng)
    out = swap(z)
    changed = (out != z).any(1)
    assert 0.24 < changed.double().mean() < 0.36
    rows = {tuple(row) for row in z.detach().movedim(1, -1).reshape(-1, 3).tolist()}
    assert all(tuple(row) in rows for row in out.detach().movedim(1, -1).reshape(-1, 3).tolist())
    out.sum().backward()
    assert (z.grad.amax(1)[changed] == 0).all() and (z.grad.amin(1)[~changed] >= 0).all() and z.grad.sum() < 0.76 * z.numel()
    assert swap.eval()(z) is z
