"""Adam on a network's own loss: against formulas written out, the schedule, decay, clipping, and resuming bit for bit."""
import math

import pytest
import torch
from torch import nn

from deepgen_lib.fitting import fit
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer


class Line(nn.Module):
    """y = x·w + b with a spare parameter that no loss touches and a buffer that training changes."""

    def __init__(self):
        super().__init__()
        self.w, self.b, self.spare = nn.Parameter(torch.full((2, 1), 0.5)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(3))
        self.register_buffer("seen", torch.zeros(()))

    def training_loss(self, batch, fraction, rng):
        assert self.training
        self.seen += len(batch)
        noise = 0.01 * torch.randn(len(batch), 1, generator=rng)
        return (batch[:, :2] @ self.w + self.b + noise - batch[:, 2:]).square().mean()

    def check_data(self, data):
        if data.shape[1] != 3:
            raise ValueError("fit: data has the wrong columns")


def rows(seed=0, n=40):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return torch.cat([x, x @ torch.tensor([[2.0], [-1.0]]) + 0.3], 1)


def loss_gradients(model, batch, seed):
    names, parameters = zip(*[(n, p) for n, p in model.named_parameters() if n != "spare"])
    model.train()
    return dict(zip(names, torch.autograd.grad(model.training_loss(batch, 0.0, torch.Generator().manual_seed(seed)), parameters)))


@pytest.mark.parametrize("kind", ["adam", "adamax"])
def test_three_updates_follow_the_formula(kind):
    model, twin, data = Line(), Line(), rows()
    options = AdamOptions(kind=kind, learning_rate=0.1, final_learning_rate=0.02, weight_decay=0.5)
    trainer = GradientTrainer(model, options)
    mean, second = {n: 0.0 for n in "wb"}, {n: 0.0 for n in "wb"}
    for n in (1, 2, 3):
        fraction = (n - 1) / 3
        g, rate = loss_gradients(twin, data, n), 0.1 - 0.08 * fraction
        trainer.update(data, fraction, torch.Generator().manual_seed(n))
        with torch.no_grad():
            for name in "wb":
                p = getattr(twin, name)
                if name == "w":
                    p *= 1 - rate * 0.5
                mean[name] = 0.9 * mean[name] + 0.1 * g[name]
                second[name] = 0.999 * second[name] + 0.001 * g[name] ** 2 if kind == "adam" else torch.maximum(torch.as_tensor(0.999 * second[name]), g[name].abs())
                scale = (second[name] / (1 - 0.999**n)).sqrt() if kind == "adam" else second[name]
                p -= rate * mean[name] / (1 - 0.9**n) / scale
    for name in ("w", "b", "spare"):
        assert torch.allclose(getattr(model, name), getattr(twin, name), atol=1e-6), name


def test_the_rate_climbs_and_falls():
    linear, cosine = AdamOptions(learning_rate=1.0, final_learning_rate=0.2, warm_up=0.1), AdamOptions(learning_rate=1.0, final_learning_rate=0.2, schedule="cosine")
    assert [round(linear.rate(f), 6) for f in (0, 0.05, 0.1, 0.55, 1)] == [0, 0.5, 1, 0.6, 0.2]
    assert [round(cosine.rate(f), 6) for f in (0, 0.5, 1)] == [1, 0.6, 0.2] and cosine.rate(0.25) == pytest.approx(0.6 + 0.4 * math.cos(math.pi / 4))


def test_a_long_gradient_is_shortened_and_a_short_one_is_not():
    """The first moment after one update is a tenth of the gradient that was used."""
    for max_norm, shortened in ((0.01, True), (1e6, False)):
        model = Line()
        g = torch.cat([v.flatten() for v in loss_gradients(model, rows(), 1).values()])
        trainer = GradientTrainer(model, AdamOptions(max_norm=max_norm))
        trainer.update(rows(), 0.0, torch.Generator().manual_seed(1))
        used = torch.cat([trainer.state()[f"exp_avg.{name}"].flatten() for name in "wb"]) / 0.1
        assert used.norm() == pytest.approx(0.01 if shortened else g.norm().item(), rel=1e-4)
        assert torch.allclose(used / used.norm(), g / g.norm(), atol=1e-5)


@pytest.mark.parametrize("kind", ["adam", "adamax"])
def test_a_resumed_run_ends_with_the_same_bits(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("deepgen_lib.fitting.CHECKPOINT_EVERY", 7)
    options = AdamOptions(kind=kind, learning_rate=0.05)

    def run(checkpoint=None, stop=None):
        model = Line()
        trainer = GradientTrainer(model, options)
        if stop is not None:
            update, trainer.count = trainer.update, 0

            def stopping(*arguments):
                trainer.count += 1
                if trainer.count > stop:
                    raise KeyboardInterrupt
                update(*arguments)
            trainer.update = stopping
        fit(trainer, rows(), n_updates=30, batch_size=8, rng=torch.Generator().manual_seed(3), checkpoint=checkpoint)
        return model

    straight, path = run(), tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(path, stop=17)
    resumed = run(path)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert straight.seen == 30 * 8


def test_a_state_of_another_model_is_refused():
    trainer = GradientTrainer(Line(), AdamOptions())
    with pytest.raises(ValueError, match="step.w is nothing, expected"):
        trainer.load_state({})


def test_bad_options_and_models_are_refused():
    for bad in ({"kind": "sgd"}, {"schedule": "step"}, {"learning_rate": -1.0}, {"warm_up": 1.0}, {"max_norm": 0.0}, {"weight_decay": float("nan")}):
        with pytest.raises(ValueError, match="AdamOptions"):
            AdamOptions(**bad)
    with pytest.raises(ValueError, match="expected a network with training_loss"):
        GradientTrainer(nn.Linear(2, 1), AdamOptions())
    with pytest.raises(ValueError, match="fit: data"):
        fit(GradientTrainer(Line(), AdamOptions()), torch.ones(4, 2), n_updates=1, batch_size=2, rng=torch.Generator())
