"""Inverse-autoregressive flows after the posteriors of an NVAE: what they change, and what not."""
import math
from dataclasses import replace

import pytest
import torch

from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import AUTHORS_MILLIONS, NVAE, NVAE_TABLE, FlowCell, balance_weights, flow_cell_parameters, network_parts
from deepgen_lib.nvae.flows import PosteriorFlow
from deepgen_lib.residual_normal import ResidualNormal
from tests.nvae_models import in_bfloat16, jacobian, pictures, random_nvae, shaken, tiny_config

F64 = torch.float64


def seeded(n=0):
    return torch.Generator().manual_seed(n)


def random_flows(**changes):
    model = random_nvae(**dict(flow_cells=2, flow_scale=True, flow_context=True) | changes)
    return shaken(model, size=0.3)


# ---- after one posterior

def bent(n_cells=2, n=5, scale=True):
    flow = shaken(PosteriorFlow(2, 3, n_cells, expansion=2, scale=scale, reads_context=True)).requires_grad_(False)
    g = seeded(4)
    normal = ResidualNormal(*(0.5 * torch.randn(n, 2, 3, 3, dtype=F64, generator=g) for _ in range(4)))
    return flow, normal, torch.randn(n, 2, 3, 3, dtype=F64, generator=g), torch.randn(n, 3, 3, 3, dtype=F64, generator=g)


@pytest.mark.parametrize("scale", [False, True])
def test_the_ratio_is_that_of_two_densities(scale):
    """By hand: back through the inverses, the density of the posterior's own draw, autograd's determinant of the whole, the prior's density."""
    flow, normal, noise, c = bent(scale=scale)
    z, ratio = flow(normal, noise, c)
    p = torch.distributions.Normal(normal.mu, normal.log_sigma.exp())
    q = torch.distributions.Normal(normal.mu + normal.delta_mu, (normal.log_sigma + normal.delta_log_sigma).exp())
    first = z
    for cell in reversed(flow.cells):
        first = cell.inverse(first, c)
    torch.testing.assert_close(first, normal.draw(noise), rtol=0, atol=1e-10)
    whole = lambda z, c: flow.cells[1](flow.cells[0](z, c)[0], c)[0].flatten()
    for i in range(len(z)):
        J = torch.autograd.functional.jacobian(lambda value: whole(value, c[i:i + 1]), first[i:i + 1]).reshape(18, 18)
        by_hand = q.log_prob(first)[i].sum() - torch.linalg.slogdet(J).logabsdet - p.log_prob(z)[i].sum()
        assert abs(ratio[i] - by_hand).item() < 1e-10


def test_a_flow_without_motion_leaves_the_normals_ratio():
    _, normal, noise, c = bent()
    z, ratio = PosteriorFlow(2, 3, 2, expansion=2, scale=True, reads_context=True).double()(normal, noise, c)
    assert torch.equal(z, normal.draw(noise))
    torch.testing.assert_close(ratio, normal.log_ratio(noise).sum((1, 2, 3)), rtol=1e-12, atol=1e-12)


def test_the_second_cell_counts_from_the_other_end():
    flow, normal, noise, c = bent()
    z = normal.draw(noise)[:1]
    J = jacobian(lambda value, c: flow.cells[1](flow.cells[0](value, c)[0], c), z, c[:1])
    assert (J.triu(1) != 0).any() and (J.tril(-1) != 0).any(), "together they reach all entries"


def test_a_flow_learns_what_no_diagonal_normal_can():
    """Two numbers of correlation 0.9: the best diagonal q is -½ log(1 - 0.81) = 0.83 nats away, a shift of the second by the first is exact."""
    precision = torch.linalg.inv(torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    log_target = lambda z: -0.5 * torch.einsum("bi,ij,bj->b", z, precision, z) + 0.5 * torch.logdet(precision)
    log_prior = lambda z: -0.5 * z.square().sum(1)
    away = []
    for n_cells in (0, 1):
        torch.manual_seed(0)
        flow, delta = PosteriorFlow(2, 1, n_cells, expansion=4, scale=False, reads_context=False), torch.zeros(2, 1, 2, 1, 1, requires_grad=True)
        optimiser, g, empty = torch.optim.Adam([delta, *flow.parameters()], lr=0.02), seeded(), torch.zeros(1, 2, 1, 1)

        def distance(n):
            z, ratio = flow(ResidualNormal(empty, empty, *delta), torch.randn(n, 2, 1, 1, generator=g), torch.zeros(n, 1, 1, 1))
            return (ratio + log_prior(z.flatten(1)) - log_target(z.flatten(1))).mean()
        for _ in range(400):
            optimiser.zero_grad()
            distance(256).backward()
            optimiser.step()
        with torch.no_grad():
            away.append(distance(20_000).item())
    assert away[0] == pytest.approx(0.5 * math.log(1 / 0.19), abs=0.05) and abs(away[1]) < 0.08


# ---- in an NVAE

def test_a_fresh_model_with_flows_is_the_one_without():
    plain, flows = (NVAE(tiny_config(regularisation=0.0, **changes), rng=seeded()) for changes in ({}, dict(flow_cells=2, flow_scale=True, flow_context=True)))
    x, own = pictures(plain, 4), flows.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in plain.state_dict().items()) and all(".posterior.flow." in name for name in set(own) - set(plain.state_dict()))
    a, b = plain.elbo(x, seeded()), flows.elbo(x, seeded())
    assert torch.equal(a.reconstruction, b.reconstruction) and (a.kl == 0).all() and (b.kl == 0).all()


def test_first_weights_of_flows_come_from_the_generator():
    a, b, c = (NVAE(tiny_config(flow_cells=1), rng=seeded(n)).state_dict() for n in (0, 0, 1))
    names = [name for name in a if name.endswith(".direction")]
    assert len(names) == 3 * 3 and all(torch.equal(a[name], b[name]) and not torch.equal(a[name], c[name]) for name in names)


def test_without_flows_nothing_of_them_is_there(monkeypatch):
    """Not a parameter, not a call, not a draw of the generator; the KL is the exact one."""
    monkeypatch.setattr("deepgen_lib.nvae.flows.FlowCell.__init__", None)
    monkeypatch.setattr("deepgen_lib.nvae.flows.MaskedConv.__init__", None)
    model = random_nvae()
    x, noise = pictures(model, 2), model.noise(2, seeded())
    assert not [name for name in model.state_dict() if "flow" in name]
    walk = model.eval().top_down(noise, model.encoder(model._padded(x)))
    assert walk.ratios == [None] * 3 and torch.equal(model(x, noise).kl, torch.stack([both.kl().sum((1, 2, 3)) for both in walk.normals], 1))
    assert tiny_config() == tiny_config(flow_cells=0)


def test_the_flow_hears_the_path_and_the_picture():
    model = random_flows().eval().requires_grad_(False)
    group, (h, tap) = model.top_down.groups[1], torch.randn(2, 3, 4, 4, 4, dtype=F64, generator=seeded())
    both = ResidualNormal(*torch.randn(4, 3, 2, 4, 4, dtype=F64, generator=seeded(1)))
    z, _, _ = group.draw(both, both.mu, h, tap)
    assert all((z - group.draw(both, both.mu, *other)[0]).abs().max() > 1e-6 for other in ((h, -tap), (-h, tap)))


def test_samples_and_given_latents_pass_no_flow():
    model = random_flows().requires_grad_(False)
    seen = []
    for module in model.modules():
        if isinstance(module, FlowCell):
            module.register_forward_hook(lambda *_: seen.append(1))
    z = model.latents(pictures(model, 2), seeded())
    assert len(seen) == 3 * 2
    model.sample(2, rng=seeded()), model.decode(z)
    assert len(seen) == 3 * 2


@pytest.mark.parametrize("changes", [{}, dict(flow_scale=False, flow_context=False), dict(relative=False, floor=0.05)], ids=["all", "papers", "absolute"])
def test_the_bound_is_below_the_importance_weighted_one(changes):
    model = random_flows(spread=0.1, **changes).requires_grad_(False)
    shaken(model, seed=1, size=0.05)
    x = pictures(model, 1)
    bound = torch.stack([model.elbo(x.expand(50, -1, -1, -1), seeded(i)).total for i in range(6)]).flatten()
    many = torch.stack([model.importance_bound(x.expand(20, -1, -1, -1), n_samples=30, rng=seeded(i)) for i in range(2)]).flatten()
    error = (bound.var() / len(bound) + many.var() / len(many)).sqrt()
    assert bound.mean() < many.mean() + 4 * error and many.mean() - bound.mean() > 4 * error


def test_importance_sampling_gives_log_p_where_it_is_known():
    """Pictures that ignore z: log p(x) is the reconstruction, whatever q and its flow do."""
    model = random_nvae(spread=0.03, groups=(1, 1), image_size=4, n_latent=1, flow_cells=2, flow_scale=True).eval().requires_grad_(False)
    shaken(model, size=0.1)
    model.tail.head[-1].weight.zero_()
    x = pictures(model, 1).expand(200, -1, -1, -1)
    exact = model(x, model.noise(200, seeded())).reconstruction
    runs = torch.stack([model.importance_bound(x, n_samples=20, rng=seeded(i)) for i in range(5)]).flatten()
    off = (runs - exact[0]).mean().abs()
    assert off < 4 * runs.std() / len(runs) ** 0.5 + 0.02 and (model.elbo(x, seeded()).total - exact).mean() < -4 * off


def test_one_importance_sample_is_the_bound_at_that_draw():
    model = random_flows().eval()
    x = pictures(model, 3)
    torch.testing.assert_close(model.importance_bound(x, n_samples=1, rng=seeded()), model.elbo(x, seeded()).total.detach())


def test_latents_are_those_that_the_flow_made():
    model = random_flows().eval()
    x, noise = pictures(model, 2), model.noise(2, seeded())
    walk = model.top_down(noise, model.encoder(model._padded(x)))
    assert all(torch.equal(a, b) for a, b in zip(model.latents(x, seeded()), walk.z))
    assert all((z - both.draw(eps)).abs().max() > 1e-3 for z, both, eps in zip(walk.z, walk.normals, noise))


def test_flows_train_with_all_penalties():
    """Every weight of a flow moves within a few updates, and the spectral penalty counts their convolutions."""
    model = NVAE(tiny_config(flow_cells=2, flow_scale=True, flow_context=True), rng=seeded())
    before = {name: value.clone() for name, value in model.named_parameters() if ".flow." in name}
    trainer, x = GradientTrainer(model, AdamOptions(kind="adamax", learning_rate=0.01)), pictures(model, 16)
    for n in range(4):
        trainer.update(x, n / 4, seeded(n))
    assert len(before) == 3 * 2 * 4 * 3 and all(not torch.equal(value, model.get_parameter(name)) for name, value in before.items())
    assert all(value.isfinite().all() for value in model.state_dict().values())
    plain = NVAE(tiny_config(), rng=seeded())
    assert len(model.spectral.singular_values()) == len(plain.spectral.singular_values()) + 3 * 2 * 4


def test_balancing_takes_a_negative_estimate():
    gamma = balance_weights(torch.tensor([[-3.0, 6.0]]), torch.tensor([4.0, 4.0]))
    assert (gamma > 0).all() and gamma.mean() == pytest.approx(1.0)


def test_bfloat16_keeps_the_ratio_in_float32():
    model = random_flows(width=8, image_size=12).float()
    x = pictures(model, 16)
    wide, half, walk = in_bfloat16(model, x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        group = model.top_down.groups[0]
        moved = group.posterior.flow.cells[0](walk.z[0], torch.zeros(2, group.merge.out_channels, *walk.z[0].shape[2:]))
    assert {value.dtype for value in (*walk.z, *walk.ratios, half.kl, *moved)} == {torch.float32} and walk.features.dtype == torch.bfloat16
    assert 0 < (half.total - wide.total).mean().abs() < 0.5


def test_the_forward_pass_with_flows_is_one_graph():
    model = random_flows(groups=(1, 1)).eval()
    x, noise = pictures(model, 2), model.noise(2, seeded())
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x, noise).total, model(x, noise).total)


def test_the_papers_cells_bring_cifars_row_closer_to_the_authors_count():
    """Shifts without context, as in the paper, on the meta device: 1.65 million more parameters, 0.1 % from theirs."""
    config = replace(NVAE_TABLE["CIFAR-10"], flow_cells=2)
    with torch.device("meta"):
        plain, flows = (sum(p.numel() for p in NVAE(c).parameters()) for c in (NVAE_TABLE["CIFAR-10"], config))
    assert flows - plain == 30 * 2 * flow_cell_parameters(20)
    assert abs(flows / 1e6 / AUTHORS_MILLIONS["CIFAR-10"] - 1) < 0.002 < abs(plain / 1e6 / AUTHORS_MILLIONS["CIFAR-10"] - 1)


def test_the_flows_are_counted_with_the_posteriors():
    plain, flows = ({part.name: part for part in network_parts(tiny_config(**changes))} for changes in ({}, dict(flow_cells=1)))
    more = {name: (flows[name].parameters - plain[name].parameters, flows[name].multiply_adds - plain[name].multiply_adds) for name in plain}
    work = lambda side: side**2 * (2 * 9 * 2 + 2 * 25 + 2 * 2)  # 2 channels, expansion 1; masked weights are multiplied too
    assert more == {name: (3 * flow_cell_parameters(2, expansion=1), work(2) + 2 * work(4)) if name == "posteriors" else (0, 0) for name in plain}
