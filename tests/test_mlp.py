"""mlp.py: the way up of a DBN unit by unit, the softmax layer's gradient in closed form, each optimiser from its definition, resuming."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import DBN, LabelledRBM, fit, fitting, random_rbm
from deepgen_lib.labels import labelled_rows
from deepgen_lib.mlp import MLP, MLPOptions, MLPTrainer

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


def slopes(mlp: MLP, x, y) -> dict[str, torch.Tensor]:
    """Gradient of the mean cross-entropy, by autograd through a network written out here."""
    p = {name: value.requires_grad_(True) for name, value in parameters(mlp).items()}
    h = x
    for t in range(len(mlp.n_units) - 1):
        h = 1 / (1 + torch.exp(-(h @ p[f"W.{t}"] + p[f"c.{t}"])))
    logits = h @ p["out_W"] + p["out_b"]
    loss = (torch.logsumexp(logits, 1) - logits[torch.arange(len(y)), y]).mean()
    return dict(zip(p, torch.autograd.grad(loss, list(p.values()))))


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


def test_the_first_step_of_the_softmax_layer_in_closed_form(dbn, rng):
    """∂/∂W = hᵀ (p - y) / B and ∂/∂b = mean(p - y), for hidden features h."""
    (x, y), options = toy(rng), MLPOptions("momentum", learning_rate=0.7)
    mlp = MLP.from_dbn(dbn, 3, rng=rng)
    old, h = parameters(mlp), dbn.features(x, 2)
    p = torch.softmax(h @ old["out_W"] + old["out_b"], 1)
    excess = p - torch.nn.functional.one_hot(y, 3)
    MLPTrainer(mlp, options).update(labelled_rows(x, y, 3), 0.0, rng)
    assert_close(mlp.out_W.detach(), old["out_W"] - 0.7 * h.T @ excess / 12, **EXACT)
    assert_close(mlp.out_b.detach(), old["out_b"] - 0.7 * excess.mean(0), **EXACT)


RATES = ((0.0, 0.3), (0.5, 0.2), (0.75, 0.15))  # falls linearly from 0.3 to 0.1


def test_momentum_is_its_definition(dbn, rng):
    mlp, (x, y) = MLP.from_dbn(dbn, 3, rng=rng), toy(rng)
    trainer = MLPTrainer(mlp, MLPOptions("momentum", learning_rate=0.3, final_learning_rate=0.1, momentum=0.8, weight_decay=0.05))
    velocity = {name: 0.0 for name in parameters(mlp)}
    for fraction, rate in RATES:
        old, g = parameters(mlp), slopes(mlp, x, y)
        velocity = {name: 0.8 * velocity[name] - rate * g[name] for name in old}
        trainer.update(labelled_rows(x, y, 3), fraction, rng)
        for name, new in parameters(mlp).items():
            decay = 0.05 if "W" in name else 0.0  # never on a bias
            assert_close(new, old[name] * (1 - rate * decay) + velocity[name], **EXACT)


def test_adam_is_its_definition(dbn, rng):
    mlp, (x, y) = MLP.from_dbn(dbn, 3, rng=rng), toy(rng)
    trainer = MLPTrainer(mlp, MLPOptions("adam", learning_rate=0.3, final_learning_rate=0.1, weight_decay=0.05))
    m, v = ({name: 0.0 for name in parameters(mlp)} for _ in range(2))
    for n, (fraction, rate) in enumerate(RATES, 1):
        old, g = parameters(mlp), slopes(mlp, x, y)
        m, v = {k: 0.9 * m[k] + 0.1 * g[k] for k in g}, {k: 0.999 * v[k] + 0.001 * g[k] ** 2 for k in g}
        trainer.update(labelled_rows(x, y, 3), fraction, rng)
        for name, new in parameters(mlp).items():
            step = rate * (m[name] / (1 - 0.9**n)) / ((v[name] / (1 - 0.999**n)).sqrt() + 1e-8)
            assert_close(new, old[name] * (1 - rate * (0.05 if "W" in name else 0.0)) - step, rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", [MLPOptions("adam", learning_rate=0.05), MLPOptions("momentum", learning_rate=0.5)], ids=lambda o: o.optimiser)
def test_training_learns_what_no_linear_classifier_can(options, rng):
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).repeat(10, 1)
    y = (x.sum(1) == 1).long()
    mlp = MLP((2, 8), 2, rng=rng)
    fit(MLPTrainer(mlp, options), labelled_rows(x, y, 2), n_updates=600, batch_size=20, rng=rng)
    assert mlp.error(x, y) == 0


@pytest.mark.parametrize("optimiser", ["adam", "momentum"])
def test_a_run_killed_in_the_middle_resumes_bit_for_bit(optimiser, dbn, tmp_path, monkeypatch, rng):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 4)
    rows = labelled_rows(*toy(rng, n=23), 3)
    def trainer(seed):
        return MLPTrainer(MLP.from_dbn(dbn, 3, rng=torch.Generator().manual_seed(seed)), MLPOptions(optimiser, learning_rate=0.1))
    run = dict(n_updates=11, batch_size=5)
    unbroken, broken, resumed = trainer(0), trainer(0), trainer(1)
    fit(unbroken, rows, rng=torch.Generator().manual_seed(3), **run)
    update, count = broken.update, iter(range(100))

    def killed(*arguments):
        if next(count) == 6:
            raise KeyboardInterrupt
        update(*arguments)
    broken.update = killed
    with pytest.raises(KeyboardInterrupt):
        fit(broken, rows, rng=torch.Generator().manual_seed(3), checkpoint=tmp_path / "run.safetensors", **run)
    assert fit(resumed, rows, rng=torch.Generator().manual_seed(9), checkpoint=tmp_path / "run.safetensors", **run).resumed_at == 4
    for name, value in parameters(unbroken.model).items():
        assert torch.equal(value, parameters(resumed.model)[name])
    assert all(torch.equal(value, resumed.state()[name]) for name, value in unbroken.state().items()) and resumed.n_done == 11


def test_a_loaded_state_is_a_copy(dbn, rng):
    one, two = (MLPTrainer(MLP.from_dbn(dbn, 3, rng=rng), MLPOptions()) for _ in range(2))
    rows = labelled_rows(*toy(rng), 3)
    one.update(rows, 0.0, rng)
    two.load_state(one.state())
    before = {k: v.clone() for k, v in two.state().items()}
    one.update(rows, 0.0, rng)
    assert all(torch.equal(before[k], v) for k, v in two.state().items()) and two.n_done == 1
