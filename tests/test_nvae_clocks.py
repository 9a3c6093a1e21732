"""NVAE trained by clocks: the same numbers as the definition's, no two groups alike, one graph, no flow without its noise."""
import pytest
import torch

from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.counter_normal import counter_normal_reference
from deepgen_lib.nvae.balancing import kl_weight, weighted_kl
from tests.nvae_models import pictures, random_nvae


def seeded(n=0):
    return torch.Generator().manual_seed(n)


def numbers(model, clocks, n):
    """What the clocks stand for, by the definition."""
    return [counter_normal_reference(clock, n * torch.Size(shape).numel()).view(n, *shape).double() for clock, shape in zip(clocks, model.config.latent_shapes)]


def slopes(model, terms):
    weighted = terms.reconstruction.sum() - (terms.kl * torch.arange(1.0, 1 + terms.kl.shape[1])).sum()
    return torch.autograd.grad(weighted, list(model.parameters()), allow_unused=True)


@pytest.mark.parametrize("options", [{}, {"relative": False}, {"clamp": None}, {"floor": 0.01}], ids=["relative", "absolute", "no clamp", "floor"])
def test_clocks_stand_for_numbers(options):
    """Terms and slopes of all parameters; numbers are float32's, so to 1e-5."""
    model = random_nvae(spread=0.1, **options).eval()
    x, clocks = pictures(model, 3), model.clocks(seeded())
    by_clock, by_number = model(x, clocks), model(x, numbers(model, clocks, 3))
    for got, want in zip(by_clock, by_number):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    for got, want in zip(slopes(model, by_clock), slopes(model, by_number)):
        assert (got is None) == (want is None)
        if want is not None:
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4 * max(1.0, want.abs().max().item()))


def test_no_two_groups_and_no_two_updates_draw_alike():
    model, rng = random_nvae(), seeded()
    clocks = [tuple(clock.tolist()) for _ in range(3) for clock in model.clocks(rng)]
    assert len(set(clocks)) == len(clocks) == 3 * len(model.config.latent_shapes)


def test_training_draws_by_clock_and_flows_by_numbers(monkeypatch):
    model = random_nvae(regularisation=0.0).train()
    x, c = pictures(model, 3), model.config
    clocks = model.clocks(seeded(5))
    terms = model(x, clocks)
    kl = weighted_kl(terms.kl, model.group_sizes, weight=kl_weight(0.1, c.warm_up), balanced=c.balance)
    torch.testing.assert_close(model.training_loss(x, 0.1, seeded(5)), (kl - terms.reconstruction).mean())
    bent = random_nvae(flow_cells=1)
    monkeypatch.setattr(bent, "clocks", lambda rng: pytest.fail("a flow needs the numbers"))
    assert bent.training_loss(pictures(bent, 2), 0.1, seeded()).isfinite()


def test_a_pass_by_clocks_is_one_graph():
    model = random_nvae(groups=(1, 1)).eval()
    x, clocks = pictures(model, 2), model.clocks(seeded())
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x, clocks).total, model(x, clocks).total)


def test_clocks_follow_the_generator():
    model = random_nvae()
    first = new_clock(seeded(1), torch.device("cpu"))
    assert torch.equal(torch.stack(model.clocks(seeded(1)))[:, 0], first[:1].expand(len(model.config.latent_shapes)))
