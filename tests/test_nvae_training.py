"""What training adds to NVAE's bound: warm-up, balancing, spectral and batch-norm penalties; resuming bit for bit; statistics measured again for sampling."""
import copy

import pytest
import torch
from torch import nn

from deepgen_lib.fitting import fit
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import NVAE, SpectralPenalty, balance_weights, batch_norm_penalty, kl_weight, reestimated, weighted_kl
from tests.nvae_models import pictures, random_nvae, tiny_config

F64 = torch.float64


def seeded(n=0):
    return torch.Generator().manual_seed(n)


# ---- warm-up and balancing

def test_the_kls_weight_climbs_to_one_and_stays():
    assert [kl_weight(f, 0.3) for f in (0.15, 0.3, 0.9)] == [0.5, 1.0, 1.0] and 0 < kl_weight(0.0, 0.3) < 0.001
    assert kl_weight(0.0, 0.0) == 1.0


def test_balancing_divides_by_the_size_and_has_mean_one():
    """2 nats over 10 dimensions and 2 over 40: the weights are as 4 to 1, so that the smaller group, full, pays more for a nat."""
    kl, sizes = torch.full((5, 2), 2.0, dtype=F64), torch.tensor([10.0, 40.0])
    gamma = balance_weights(kl, sizes)
    torch.testing.assert_close(gamma, torch.tensor([1.6, 0.4], dtype=F64))
    silent = balance_weights(torch.tensor([[0.0, 8.0]], dtype=F64), torch.tensor([4.0, 4.0]))
    assert 0 < silent[0] < 0.01 and silent.mean() == pytest.approx(1.0)


def test_the_weights_are_constants_to_the_gradient():
    kl = torch.rand(6, 3, dtype=F64, generator=seeded()).requires_grad_()
    sizes = torch.tensor([1.0, 2.0, 4.0])
    weighted_kl(kl, sizes, weight=0.5, balanced=True).sum().backward()
    torch.testing.assert_close(kl.grad, 0.5 * balance_weights(kl, sizes).expand(6, 3))


def test_balancing_ends_with_the_warm_up():
    kl, sizes = torch.rand(6, 3, dtype=F64, generator=seeded()), torch.tensor([1.0, 2.0, 4.0])
    assert torch.equal(weighted_kl(kl, sizes, weight=1.0, balanced=True), kl.sum(1))
    assert not torch.allclose(weighted_kl(kl, sizes, weight=0.99, balanced=True), 0.99 * kl.sum(1))
    assert torch.equal(weighted_kl(kl, sizes, weight=0.5, balanced=False), 0.5 * kl.sum(1))


def test_without_its_additions_the_loss_is_minus_the_bound():
    """At the end of training, penalties off; warm-up and balancing change only what stands before."""
    model = random_nvae(regularisation=0.0).eval()
    x = pictures(model, 4)
    drawn = model(x, model.clocks(seeded())).total.mean()
    torch.testing.assert_close(model.training_loss(x, 0.9, seeded()), -drawn)
    assert model.training_loss(x, 0.1, seeded()) < -drawn
    bound = model(x, model.noise(4, seeded())).total.mean()
    assert torch.equal(model.elbo(x, seeded()).total.mean(), bound), "the bound itself knows nothing of warm-up"


def test_the_penalties_enter_with_their_coefficient():
    model = random_nvae(regularisation=0.5).eval()
    plain, twin, x = copy.deepcopy(model), copy.deepcopy(model), pictures(model, 4)
    plain.spectral = None
    extra = model.training_loss(x, 0.9, seeded()) - plain.training_loss(x, 0.9, seeded())
    torch.testing.assert_close(extra, 0.5 * (twin.spectral() + batch_norm_penalty(twin)))
    assert random_nvae(regularisation=0.0).spectral is None


# ---- spectral penalty

def network(rng):
    """Convolutions of three shapes, two of them twice, one depthwise."""
    made = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)).double()
    for p in made.parameters():
        p.data.normal_(generator=rng)
    return made


def exact(made):
    """Σ of largest singular values by a full decomposition."""
    return sum(torch.linalg.svdvals(m.weight.flatten(1))[0] for m in made if isinstance(m, nn.Conv2d))


def test_power_iteration_finds_the_largest_singular_values(rng):
    made = network(rng)
    penalty = SpectralPenalty(made, rng=rng)
    penalty.iterate(300)
    torch.testing.assert_close(penalty(), exact(made), rtol=1e-9, atol=0)
    frobenius = sum(m.weight.norm() for m in made if isinstance(m, nn.Conv2d))
    assert frobenius > 1.05 * exact(made), "the norm of all singular values is another number"
    assert len(list(penalty.buffers())) == 2 * 3 and len(penalty.singular_values()) == 5


def test_its_gradient_is_the_singular_vectors_outer_product(rng):
    """Towards W alone, and that of the exact largest singular value; not of its square."""
    made = network(rng)
    penalty = SpectralPenalty(made, rng=rng)
    penalty.iterate(300)
    conv = made[0]
    got, = torch.autograd.grad(penalty(), conv.weight)
    want, = torch.autograd.grad(exact(made), conv.weight)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-8)
    assert all(not b.requires_grad for b in penalty.buffers())


def test_the_vectors_go_on_from_where_they_were(rng):
    """After a small step of the weights two iterations from the old vectors are closer than two from random ones."""
    made = network(rng)
    warm = SpectralPenalty(made, rng=rng)
    warm.iterate(200)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.01 * torch.randn(p.shape, dtype=F64, generator=rng))
    cold = SpectralPenalty(made, rng=rng)
    for n in range(3):
        for name in (f"u_{n}", f"v_{n}"):
            getattr(cold, name).copy_(torch.nn.functional.normalize(torch.randn(getattr(cold, name).shape, dtype=F64, generator=rng), dim=-1))
    off = []
    for penalty in (warm, cold):
        penalty.iterate(2)
        off.append((exact(made) - penalty.singular_values().sum()).item())
    assert 0 <= off[0] < 0.02 * off[1]


def test_a_layer_that_starts_at_zero_is_seen_once_it_moves():
    """The posteriors' last layers: power iteration on a zero matrix must not leave zero vectors behind."""
    model = NVAE(tiny_config(), rng=seeded())
    assert model.spectral().isfinite() and all((torch.linalg.vector_norm(b, dim=-1) - 1).abs().max() < 1e-5 for name, b in model.spectral.named_buffers())
    head = model.top_down.groups[0].posterior.head[-1]
    model.spectral.iterate(300)
    before = model.spectral().item()
    with torch.no_grad():
        head.weight.normal_(generator=seeded())
    model.spectral.iterate(300)
    largest = torch.linalg.matrix_norm(head.weight.detach().flatten(1), ord=2).item()
    assert model.spectral().item() - before == pytest.approx(largest, rel=1e-3)


def test_the_penalty_sees_the_networks_own_weights_also_in_a_copy():
    """A deep copy's penalty belongs to the copy."""
    model = random_nvae()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)
    twin_sum, own = twin.spectral(), model.spectral()
    torch.testing.assert_close(own, 3 * twin_sum, rtol=0.05, atol=0)
    assert not [name for name in model.state_dict() if name.startswith("spectral") and "weight" in name]


def test_the_batch_norm_penalty_is_the_largest_scale_of_each(rng):
    made = network(rng)
    with torch.no_grad():
        made[3].weight.copy_(torch.tensor([0.1, -3.0, 0.2, 1.0]))
        made[6].weight.fill_(0.5)
    assert batch_norm_penalty(made).item() == 3.5 and batch_norm_penalty(nn.Linear(1, 1)).item() == 0


# ---- training

def train(model, x, n, *, checkpoint=None, stop=None):
    trainer, rng = GradientTrainer(model, AdamOptions(kind="adamax", learning_rate=0.01)), seeded(5)
    if stop is not None:
        update, calls = trainer.update, iter(range(stop))

        def halting(*given):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            update(*given)
        trainer.update = halting
    fit(trainer, x, n_updates=n, batch_size=8, checkpoint=checkpoint, rng=rng)
    return model


def test_a_resumed_run_ends_bit_for_bit_as_one_that_was_never_stopped(tmp_path, monkeypatch):
    """Parameters, running statistics and the singular vectors."""
    monkeypatch.setattr("deepgen_lib.fitting.CHECKPOINT_EVERY", 2)
    fresh = lambda: NVAE(tiny_config(), rng=seeded())
    x = pictures(fresh(), 24)
    whole = train(fresh(), x, 6)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), x, 6, checkpoint=tmp_path / "half.safetensors", stop=4)
    resumed = train(fresh(), x, 6, checkpoint=tmp_path / "half.safetensors")
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    assert any(name.startswith("spectral.u_") for name in whole.state_dict()) and not torch.equal(whole.top_down.h, fresh().top_down.h)


def test_training_raises_the_bound_of_a_toy():
    """Three pictures out of 2^36: log 3 nats would do; the first bound is near -25."""
    model = NVAE(tiny_config(width=4), rng=seeded())
    x = pictures(model, 3).repeat(16, 1, 1, 1)
    before = model.elbo(x, seeded()).total.mean().item()
    trainer = GradientTrainer(model, AdamOptions(learning_rate=0.02))
    fit(trainer, x, n_updates=100, batch_size=24, rng=seeded())
    after = model.elbo(x, seeded())
    assert before < -23 and after.total.mean() > before + 3.5 and after.kl.sum(1).mean() > 0.1


def test_the_same_seed_gives_the_same_model():
    a, b, c = (NVAE(tiny_config(), rng=seeded(n)).state_dict() for n in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a) and not torch.equal(a["top_down.h"], c["top_down.h"])
    weights = [name for name in a if name.endswith("weight") and a[name].ndim > 1 and "posterior.head" not in name]
    assert all(not torch.equal(a[name], c[name]) for name in weights)


# ---- statistics for sampling

def test_reestimated_statistics_are_those_of_the_samples():
    """At temperature 0.3: the first norm under the path sees what was measured, the encoder keeps its own, the model stays."""
    model = random_nvae(spread=1.0, groups=(1, 1))
    before = copy.deepcopy(model.state_dict())
    cold = reestimated(model, temperature=0.3, n_batches=50, batch_size=64, rng=seeded())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    norm, seen = cold.top_down.groups[1].path[0].branch[0], []
    hook = norm.register_forward_pre_hook(lambda m, given: seen.append(given[0]))
    cold.sample(4000, temperature=0.3, rng=seeded(7))
    hook.remove()
    inputs = seen[0].movedim(1, 0).flatten(1)
    torch.testing.assert_close(norm.running_mean, inputs.mean(1), atol=0.02, rtol=0.02)
    torch.testing.assert_close(norm.running_var, inputs.var(1), atol=0.02, rtol=0.1)
    warm = reestimated(model, temperature=1.0, n_batches=50, batch_size=64, rng=seeded()).top_down.groups[1].path[0].branch[0]
    assert (warm.running_var > 1.5 * norm.running_var).any(), "another temperature has other statistics"
    assert all(torch.equal(value, before[f"encoder.{name}"]) for name, value in cold.encoder.state_dict().items())
    assert not cold.training and norm.momentum == 0.05
