"""mlp.py: the way up of a DBN unit by unit, the softmax layer's gradient in closed form, and that it learns."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import DBN, AdamOptions, GradientTrainer, LabelledRBM, fit, random_rbm
from deepgen_lib.labels import labelled_rows
from deepgen_lib.mlp import MLP

EXACT = dict(rtol=0, atol=1e-12)
SIZES = (6, 5, 4)


@pytest.fixture
def dbn(rng) -> DBN:
    net = DBN([random_rbm(lower, upper, rng=rng) for lower, upper in zip(SIZES, SIZES[1:])]).requires_grad_(False)
    net.recognition[0].W.add_(1.0)  # no longer the generative weights
    net.recognition[0].c.add_(0.5)
    return net


def toy(rng, n=12, n_classes=3):
    """Rows and labels, float64."""
    return torch.rand(n, SIZES[0], dtype=torch.float64, generator=rng), torch.randint(n_classes, (n,), generator=rng)


def parameters(mlp: MLP) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in mlp.named_parameters()}


def test_its_top_hidden_layer_is_the_features_of_the_dbn(dbn, rng):
    x, _ = toy(rng)
    mlp = MLP.from_dbn(dbn, 3, rng=rng)
    assert mlp.n_units == dbn.n_units and mlp.n_classes == 3
    assert_close(mlp.logits(x), dbn.features(x, 2) @ mlp.out_W + mlp.out_b, **EXACT)
    assert mlp.out_W.abs().max() < 0.1 and mlp.out_b.eq(0).all()


def test_it_copies(dbn, rng):
    before = dbn.recognition[0].W.clone()
    mlp = MLP.from_dbn(dbn, 3, rng=rng)
    with torch.no_grad():
        mlp.W[0].zero_()
        mlp.W[1].zero_()
    assert torch.equal(dbn.recognition[0].W, before) and not dbn.top.W.eq(0).any()


def test_both_starts_share_the_softmax_layer(dbn):
    seeded = lambda: torch.Generator().manual_seed(5)
    assert_close(MLP.from_dbn(dbn, 3, rng=seeded()).out_W, MLP(SIZES, 3, rng=seeded()).out_W.double(), **EXACT)


def test_a_labelled_top_layer_gives_its_hidden_units_without_labels(rng):
    top = LabelledRBM(5, 3, 4, weight_std=1.0, rng=rng).double()
    mlp = MLP.from_dbn(DBN([random_rbm(6, 5, rng=rng), top]), 3, rng=rng)
    assert_close(mlp.W[1].detach(), top.W[:5].detach(), **EXACT)


def test_the_random_start_has_its_stated_scale(rng):
    mlp = MLP((300, 200, 100), 10, rng=rng)
    for W, limit in zip(mlp.W, (4 * (6 / 500) ** 0.5, 4 * (6 / 300) ** 0.5)):
        assert 0.99 * limit < W.max() <= limit and -limit <= W.min() < -0.99 * limit and W.mean().abs() < 0.02 * limit
        assert_close(W.std().item(), limit / 3**0.5, rtol=0.02, atol=0)
    assert all(c.eq(0).all() for c in mlp.c)


def test_error_is_the_share_of_wrong_classes(dbn, rng):
    mlp, (x, y) = MLP.from_dbn(dbn, 3, rng=rng), toy(rng)
    right = mlp.logits(x).argmax(1)
    assert mlp.error(x, right) == 0
    assert mlp.error(x, torch.where(torch.arange(12) < 3, (right + 1) % 3, right)) == 0.25


def test_rows_end_in_one_hot_labels():
    rows = labelled_rows(torch.tensor([[0.5], [0.25]]), torch.tensor([2, 0]), 3)
    assert rows.tolist() == [[0.5, 0, 0, 1], [0.25, 1, 0, 0]]


def test_the_slope_of_the_softmax_layer_in_closed_form(dbn, rng):
    """∂/∂W = hᵀ (p - y) / B and ∂/∂b = mean(p - y), for hidden features h."""
    x, y = toy(rng)
    mlp = MLP.from_dbn(dbn, 3, rng=rng)
    h = dbn.features(x, 2)
    excess = torch.softmax(h @ mlp.out_W + mlp.out_b, 1).detach() - torch.nn.functional.one_hot(y, 3)
    mlp.training_loss(labelled_rows(x, y, 3)).backward()
    assert_close(mlp.out_W.grad, h.T @ excess / 12, **EXACT)
    assert_close(mlp.out_b.grad, excess.mean(0), **EXACT)


def test_the_loss_is_the_mean_of_minus_log_p(dbn, rng):
    x, y = toy(rng)
    mlp = MLP.from_dbn(dbn, 3, rng=rng)
    log_p = torch.log_softmax(mlp.logits(x), 1)[torch.arange(12), y]
    assert_close(mlp.training_loss(labelled_rows(x, y, 3)), -log_p.mean(), **EXACT)


def test_training_learns_what_no_linear_classifier_can(rng):
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).repeat(10, 1)
    y = (x.sum(1) == 1).long()
    mlp = MLP((2, 8), 2, rng=rng)
    fit(GradientTrainer(mlp, AdamOptions(learning_rate=0.05)), labelled_rows(x, y, 2), n_updates=600, batch_size=20, rng=rng)
    assert mlp.error(x, y) == 0
