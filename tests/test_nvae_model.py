"""NVAE: one shared way down, the bound's terms, gradients, the importance-weighted bound, latents given and drawn."""
from collections import Counter

import pytest
import torch
from torch.autograd.gradcheck import gradcheck

from deepgen_lib.nvae import NVAE
from deepgen_lib.nvae.cells import ResidualCell
from deepgen_lib.residual_normal import ResidualNormal, practical, two_normals_kl
from tests.nvae_models import in_bfloat16, pictures, random_nvae, tiny_config


def seeded(n=0):
    return torch.Generator().manual_seed(n)


def calls(model, run):
    """How often each leaf or cell of the model was evaluated, by name."""
    seen = Counter()
    hooks = [module.register_forward_hook(lambda m, given, out, name=name: seen.update([name])) for name, module in model.named_modules()
             if isinstance(module, ResidualCell) or not any(True for _ in module.children())]
    run()
    for hook in hooks:
        hook.remove()
    return seen


# ---- N1: one way down

def test_the_way_down_is_walked_once_and_feeds_prior_and_posterior():
    model = random_nvae()
    x = pictures(model, 2)
    bound, sample = calls(model, lambda: model.elbo(x, seeded())), calls(model, lambda: model.sample(2, rng=seeded()))
    assert set(bound.values()) == {1} and set(sample.values()) == {1}
    shared = set(bound) & set(sample)
    q_alone, never = set(bound) - set(sample), {name for name, _ in model.named_modules() if name.startswith("spectral.")}
    assert all(name.startswith("encoder.") or ".posterior." in name for name in q_alone)
    assert any(".path." in name for name in shared) and any(".merge" in name for name in shared) and any(".prior." in name for name in shared)
    assert set(sample) <= set(bound) and not never


def test_the_shared_weights_learn_from_the_kl_and_from_the_picture():
    model = random_nvae()
    terms = model.elbo(pictures(model, 3), seeded())
    path = list(model.top_down.groups[1].path.parameters())
    for part in (terms.reconstruction.sum(), terms.kl[:, 1].sum()):
        assert any(g.abs().max() > 0 for g in torch.autograd.grad(part, path, retain_graph=True))


def test_no_parameter_is_held_twice_and_heads_have_their_own():
    """The deltas' weights are not the prior's (N5)."""
    model = random_nvae()
    assert len({p.data_ptr() for p in model.parameters()}) == len(list(model.parameters()))
    group = model.top_down.groups[1]
    assert not {id(p) for p in group.prior.parameters()} & {id(p) for p in group.posterior.parameters()}


# ---- N5, N6, N6b: the terms

@pytest.mark.parametrize("changes", [{}, {"clamp": None}, {"floor": 0.01}, {"relative": False}], ids=["clamped", "bare", "floor", "absolute"])
def test_each_groups_kl_is_that_of_its_two_normals(changes):
    model = random_nvae(**changes).eval()
    x = pictures(model, 4)
    walk = model.top_down(model.noise(4, seeded()), model.encoder(model._padded(x)))
    terms = model.elbo(x, seeded())
    for level, r in enumerate(walk.normals):
        direct = two_normals_kl(r.mu + r.delta_mu, r.log_sigma + r.delta_log_sigma, r.mu, r.log_sigma).sum((1, 2, 3))
        torch.testing.assert_close(terms.kl[:, level], direct, rtol=1e-12, atol=1e-12)
    assert (terms.kl > 0).all() and terms.kl.shape == (4, 3)
    torch.testing.assert_close(terms.total, terms.reconstruction - terms.kl.sum(1), rtol=0, atol=0)


@pytest.mark.parametrize("relative", [True, False])
def test_a_fresh_model_pays_no_kl_where_q_is_relative(relative):
    model = NVAE(tiny_config(relative=relative), rng=seeded()).double()
    with torch.no_grad():
        for group in model.top_down.groups[1:]:
            group.prior[-1].weight.mul_(20)
    kl = model.elbo(pictures(model, 4), seeded()).kl
    assert (kl == 0).all() if relative else (kl[:, 1:] > 1).all()


@pytest.mark.parametrize("changes", [{"clamp": 0.5}, {"clamp": None, "floor": 0.1}], ids=["clamp", "floor"])
def test_clamp_and_floor_bend_what_the_heads_put_out(changes):
    model = random_nvae(**changes).eval().requires_grad_(False)
    group, h, tap = model.top_down.groups[1], *torch.randn(2, 3, 4, 4, 4, dtype=torch.float64, generator=seeded())
    raw = ResidualNormal(*group.prior(h).chunk(2, 1), *group.posterior(h, tap))
    bent = practical(raw, clamp=model.config.clamp, floor=model.config.floor)
    for got, want in zip(group.normals(h, tap, raw.mu.shape), bent):
        torch.testing.assert_close(got, want)
    assert (bent.kl() - raw.kl()).abs().max() > 1e-3


def test_the_top_prior_is_the_standard_normal_or_what_the_floor_makes_of_it():
    for floor, sigma in ((0.0, 1.0), (0.01, 1.01)):
        model = random_nvae(floor=floor).eval()
        top = model.top_down(model.noise(2, seeded())).normals[0]
        assert (top.mu == 0).all() and torch.allclose(top.log_sigma.exp(), torch.tensor(sigma, dtype=torch.float64))


def test_the_hierarchys_kl_is_the_sum_over_groups():
    """N6b, against draws: mean over q of log q(z | x) - log p(z) is the mean of Σ_l KL_l."""
    model = random_nvae(spread=0.1).eval().requires_grad_(False)
    x = pictures(model, 1)
    noise = model.noise(4000, seeded(3))
    walk = model.top_down(noise, [tap.expand(4000, -1, -1, -1) for tap in model.encoder(model._padded(x))])
    ratio = sum(r.log_ratio(eps).sum((1, 2, 3)) for r, eps in zip(walk.normals, noise))
    kl = torch.stack([r.kl().sum((1, 2, 3)) for r in walk.normals], 1).sum(1)
    error = (ratio - kl).std() / 4000**0.5
    assert (ratio - kl).mean().abs() < 4 * error < 0.2 * kl.mean()
    assert kl.std() > 0, "the KL of a lower group depends on the draw above it"


# ---- gradients and bounds

def test_gradients_are_those_of_finite_differences():
    """Through both towers, all groups, both penalties off."""
    model = random_nvae(groups=(1, 1), regularisation=0.0, n_latent=1, image_size=4).eval()
    x, noise = pictures(model, 2), model.noise(2, seeded())
    names = ["top_down.h", "encoder.stem.weight", "top_down.groups.0.posterior.head.1.bias", "top_down.groups.1.prior.1.weight", "top_down.groups.1.posterior.tap.weight", "top_down.groups.0.merge.bias"]
    chosen = [model.get_parameter(name) for name in names]

    def terms(*values):
        given = dict(zip(names, values))
        return tuple(torch.func.functional_call(model, given, (x, noise)))
    assert gradcheck(terms, chosen, atol=1e-6)


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic_mixture"])
def test_the_bound_is_below_the_importance_weighted_one_which_rises(likelihood):
    model = random_nvae(likelihood=likelihood, n_mixtures=2, spread=0.1)
    x, n = pictures(model, 3), 60
    with torch.no_grad():
        bound = torch.stack([model.elbo(x, seeded(i)).total for i in range(n)])
    few = torch.stack([model.importance_bound(x, n_samples=3, rng=seeded(i)) for i in range(20)])
    many = torch.stack([model.importance_bound(x, n_samples=30, rng=seeded(i)) for i in range(6)])
    error = lambda a, b: (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    assert (bound.mean(0) < few.mean(0) + 4 * error(bound, few)).all() and (few.mean(0) < many.mean(0) + 4 * error(few, many)).all()
    assert (many.mean(0) - bound.mean(0) > 4 * error(many, bound)).any(), "the gap is large enough to be seen"


def test_one_importance_sample_is_the_bound_at_that_draw():
    """log weight = reconstruction - log ratio; with many samples the mean weight. Two samples by hand."""
    model = random_nvae().eval()
    x, rng = pictures(model, 2), seeded()
    weights = []
    with torch.no_grad():
        for _ in range(2):
            noise = model.noise(2, rng)
            walk = model.top_down(noise, model.encoder(model._padded(x)))
            ratio = sum(r.log_ratio(eps).sum((1, 2, 3)) for r, eps in zip(walk.normals, noise))
            weights.append(model(x, noise).reconstruction - ratio)
    torch.testing.assert_close(model.importance_bound(x, n_samples=2, rng=seeded()), torch.stack(weights).logsumexp(0) - torch.tensor(2.0).log())


def test_importance_sampling_gives_log_p_where_it_is_known():
    """A model whose pictures ignore z: log p(x) is the reconstruction, whatever q does."""
    model = random_nvae(spread=0.05).eval()
    with torch.no_grad():
        model.tail.head[-1].weight.zero_()
    x = pictures(model, 2)
    exact = model(x, model.noise(2, seeded())).reconstruction
    runs = torch.stack([model.importance_bound(x, n_samples=50, rng=seeded(i)) for i in range(8)])
    assert ((runs.mean(0) - exact).abs() < 4 * runs.std(0) / 8**0.5 + 0.05).all()
    assert (model.elbo(x, seeded()).total < exact - 0.01).all()


# ---- modes, padding, number types

def test_a_pictures_bound_does_not_depend_on_its_neighbours_and_leaves_the_model_alone():
    model = random_nvae().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, noise = pictures(model, 3), model.noise(3, seeded())
    whole = model.elbo(x, seeded())
    model.eval()
    alone = model(x[1:2], [eps[1:2] for eps in noise])
    torch.testing.assert_close(whole.total[1:2], alone.total)
    model.train()
    model.sample(2, rng=seeded()), model.importance_bound(x, n_samples=1, rng=seeded()), model.decode(model.latents(x, seeded()), rng=seeded())
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_loss_is_counted_on_the_picture_and_not_on_its_border():
    """6x6 is padded to 8x8; the bound's pixels are the 36 in the middle."""
    model = random_nvae().eval()
    x, noise = pictures(model, 2), model.noise(2, seeded())
    walk = model.top_down(noise, model.encoder(model._padded(x)))
    logits = model.tail(walk.features)
    assert logits.shape[2:] == (8, 8)
    by_hand = torch.distributions.Bernoulli(logits=logits[:, :, 1:7, 1:7]).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(model(x, noise).reconstruction, by_hand)
    assert (model._padded(x)[:, :, 0] == -1).all() and torch.equal(model._padded(x)[:, :, 1:7, 1:7], 2 * x - 1)


def test_bfloat16_agrees_with_float32():
    model = random_nvae(width=8, image_size=12).float()
    x = pictures(model, 16)
    wide, half, walk = in_bfloat16(model, x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        numbers = [value for both in walk.normals for value in both] + [model.tail(walk.features)]
    assert walk.features.dtype == torch.bfloat16 and {value.dtype for value in numbers} == {torch.float32}, "no KL and no likelihood is made of half-precision numbers"
    assert 0 < (half.total - wide.total).mean().abs() < 0.5


def test_the_forward_pass_is_one_graph():
    model = random_nvae(groups=(1, 1)).eval()
    x, noise = pictures(model, 2), model.noise(2, seeded())
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, noise).total, model(x, noise).total)


# ---- latents

def test_given_latents_are_used_and_the_others_drawn():
    model = random_nvae(spread=1.0)
    x = pictures(model, 2)
    z = model.latents(x, seeded())
    assert [tuple(value.shape[1:]) for value in z] == list(model.config.latent_shapes)
    assert torch.equal(model.decode(z, rng=seeded(1)), model.decode(z, rng=seeded(2)))
    open_below = [z[0], None, None]
    one, other = model.decode(open_below, rng=seeded(1)), model.decode(open_below, rng=seeded(2))
    assert one.shape == x.shape and not torch.equal(one, other)
    cold = [model.decode(open_below, temperature=0.0, rng=seeded(i)) for i in (1, 2)]
    assert torch.equal(*cold)


def test_samples_are_pictures_and_temperature_scales_sigma():
    model = random_nvae().eval()
    x = model.sample(500, rng=seeded())
    assert x.shape == (500, 1, 6, 6) and set(x.unique().tolist()) == {0.0, 1.0}
    noise = model.noise(500, seeded())
    warm, cold = model.top_down(noise), model.top_down(noise, temperature=0.5)
    torch.testing.assert_close(cold.z[0], 0.5 * warm.z[0])
    assert torch.equal(model.sample(3, temperature=0.0, means=True, rng=seeded(1)), model.sample(3, temperature=0.0, means=True, rng=seeded(2)))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_colour_samples_lie_on_the_levels(n_channels):
    model = random_nvae(likelihood="logistic_mixture", n_channels=n_channels, n_mixtures=2, n_levels=32)
    x = model.sample(4, rng=seeded())
    assert x.shape == (4, n_channels, 6, 6) and ((31 * x).round() - 31 * x).abs().max() < 1e-9 and model.elbo(x, seeded()).total.isfinite().all()
    mean = model.sample(4, means=True, rng=seeded())
    assert mean.min() >= 0 and mean.max() <= 1
