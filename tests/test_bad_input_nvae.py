"""NVAE, the residual normal and the logistic mixture against random bad input, as test_bad_input.py does for the core."""
import torch
from hypothesis import strategies as st
from torch import nn

from deepgen_lib.logistic_mixture import logistic_mixture_log_likelihood, logistic_mixture_mean, mixture_channels, sample_logistic_mixture
from deepgen_lib.nvae import NVAE, FlowCell, NVAEConfig, SpectralPenalty, balance_weights, batch_norm_penalty, encoder_fields, flow_cell_parameters, generative_fields, kl_weight, network_parts, reestimated
from deepgen_lib.nvae.cells import EncoderCell, GenerativeCell, encoder_cell_parameters, generative_cell_parameters, squeeze_parameters
from deepgen_lib.residual_normal import ResidualNormal, practical, residual_normal_kl, two_normals_kl
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, given_at_all, require_all_tried, seeded
from tests.nvae_models import pictures, random_nvae

F64 = torch.float64
INNER = {"bend": "practical without the questions", "relative_to": "inner loop", "mixture_log_prob": "logistic_mixture_log_likelihood without the questions",
         "Encoder": "built by NVAE", "TopDown": "built by NVAE", "Tail": "built by NVAE", "Group": "built by NVAE", "Posterior": "built by NVAE", "SqueezeExcite": "built by the cells",
         "Upsample": "no argument", "ResidualCell": "built by the cells", "squeeze_width": "asked through squeeze_parameters", "head_channels": "asked by NVAE", "head_log_likelihood": "asked by NVAE",
         "head_mean": "asked by NVAE", "head_draw": "asked by NVAE", "weighted_kl": "inner loop", "evaluating": "inner", "MaskedConv": "built by FlowCell",
         "PosteriorFlow": "built by NVAE"}
NO_MODULES = [None, 3, "model", torch.zeros(2), [nn.Linear(1, 1)]]
NO_CONFIGS = st.sampled_from([None, "MNIST", 3, {"groups": (1, 2)}]).map(lambda value: (value, type(value).__name__))
NO_GENERATORS = bad.of(bad.NO_GENERATORS[1:])  # None is torch's own


def images(good, *, binary=False, dtypes=True, rows=True):
    """Spoilt pictures: as spoilt tensors, one channel too many, and other sizes."""
    wrong = [torch.cat([good, good[:, :1]], 1), good[..., :-1, :]]
    return bad.tensors(good, binary=binary, dtypes=dtypes, any_columns=True) | st.sampled_from(wrong[:1] if not rows else wrong).map(
        lambda x: (x, str(tuple(x.shape)) if x.shape[1] != good.shape[1] else str(tuple(x.shape[2:]))))


def levels(good):
    """Numbers between the levels, and outside of them."""
    return st.sampled_from([0.5 / 255, -1 / 255, 2.0]).map(lambda step: (good.clone().fill_(step), "not all on a level"))


def latents(good):
    """No latents of every group."""
    wrong = [(None, "NoneType"), (good[0], "Tensor"), (good[:-1], "2 entries"), ([None] * len(good), "3 entries"), ([good[0][:1], *good[1:]], "z[1]"), ([*good[:2], good[2][..., :-1]], "z[2]"),
             ([*good[:2], good[2][:0]], "z[2]"), ([*good[:2], 0.5], "float"), ([*good[:2], good[2] * float("nan")], "NaN")]
    return st.sampled_from(range(len(wrong))).map(wrong.__getitem__)


def doors() -> dict[str, Door]:
    """Made afresh for every example."""
    g = seeded()
    model = random_nvae(groups=(1, 2)).requires_grad_(False)
    x, z, rng = pictures(model, 2), model.latents(pictures(model, 2), seeded()), {"rng": bad.rng()}
    grey, parameters = (torch.randint(0, 256, (2, 1, 3, 3), generator=g) / 255).to(F64), torch.randn(2, 6, 3, 3, dtype=F64, generator=g)
    a, b, c, d = torch.randn(4, 5, dtype=F64, generator=g)
    one = {name: bad.tensors(a, shapes=False) for name in ("delta_mu", "delta_log_sigma", "log_sigma")} | {"log_sigma": bad.tensors(a, shapes=False) | st.just((a[:3], "(3,)"))}
    two = {name: bad.tensors(a, shapes=False) for name in ("mu_q", "log_sigma_q", "mu_p")}
    colours = st.sampled_from([0, 2, True, None, 1.5, "3"]).map(lambda n: (n, repr(n)))
    spoilt = {"parameters": images(parameters, dtypes=False, rows=False), "n_channels": colours, "n_mixtures": bad.count(1)}
    counts = {name: bad.count(1) for name in ("n_channels", "n_latent", "width", "cells", "outer_cells", "expansion", "n_mixtures")}
    kl = torch.rand(4, 3, dtype=F64, generator=g)
    return {
        "residual_normal_kl": Door(residual_normal_kl, dict(delta_mu=a, delta_log_sigma=b, log_sigma=c), one),
        "two_normals_kl": Door(two_normals_kl, dict(mu_q=a, log_sigma_q=b, mu_p=c, log_sigma_p=d), two),
        "practical": Door(practical, dict(r=ResidualNormal(a, b, c, d), clamp=5.0, floor=0.1), dict(
            clamp=bad.number(1e-3).filter(given_at_all), floor=bad.number(0.0), r=st.sampled_from([(None, "NoneType"), ((a, b, c, d), "tuple"), (ResidualNormal(a, b, c, d.float()), "float32")]))),
        "mixture_channels": Door(mixture_channels, dict(n_channels=1, n_mixtures=2), dict(n_channels=colours, n_mixtures=bad.count(1))),
        "logistic_mixture_log_likelihood": Door(logistic_mixture_log_likelihood, dict(x=grey, parameters=parameters, n_mixtures=2, n_levels=256), dict(
            x=bad.tensors(grey, any_columns=True) | levels(grey), parameters=images(parameters, rows=False) | bad.rows(parameters), n_levels=bad.count(2), n_mixtures=bad.count(1))),
        "sample_logistic_mixture": Door(sample_logistic_mixture, dict(parameters=parameters, n_channels=1, n_mixtures=2, rng=g), dict(**spoilt, n_levels=bad.count(2), **rng)),
        "logistic_mixture_mean": Door(logistic_mixture_mean, dict(parameters=parameters, n_channels=1, n_mixtures=2), spoilt),
        "NVAEConfig": Door(NVAEConfig, dict(groups=(2, 2)), dict(
            groups=st.sampled_from([((), "()"), ([2, 2], "[2, 2]"), (2, "2"), ((2, 0), "0"), ((2.0, 1), "2.0"), (None, "None")]), image_size=bad.count(2), n_down=bad.count(0), flow_cells=bad.count(0), flow_scale=bad.flag(), flow_context=bad.flag(), n_levels=bad.count(2, 65_536),
            likelihood=bad.choice("bernoulli", "logistic_mixture"), relative=bad.flag(), balance=bad.flag(), clamp=bad.number(1e-3).filter(given_at_all), warm_up=bad.number(0.0, 1.0), **counts,
            **{name: bad.number(0.0) for name in ("residual_scale", "floor", "regularisation")})),
        "NVAEConfig in colour": Door(NVAEConfig, dict(likelihood="logistic_mixture", n_channels=3), dict(n_channels=st.sampled_from([(2, "2"), (4, "4")]))),
        "EncoderCell": Door(EncoderCell, dict(channels=2), dict(channels=bad.count(1), scale=bad.number())),
        "GenerativeCell": Door(GenerativeCell, dict(channels=2, up=True), dict(channels=bad.count(1) | st.just((3, "3")), expansion=bad.count(1), up=bad.flag(), scale=bad.number())),
        "squeeze_parameters": Door(squeeze_parameters, dict(channels=2), dict(channels=bad.count(1))),
        "encoder_cell_parameters": Door(encoder_cell_parameters, dict(channels=2), dict(channels=bad.count(1))),
        "generative_cell_parameters": Door(generative_cell_parameters, dict(channels=2), dict(channels=bad.count(1), expansion=bad.count(1))),
        **{f.__name__: Door(f, dict(n_latent=2), dict(n_latent=bad.count(1), context=bad.count(0), expansion=bad.count(1), scale=bad.flag())) for f in (FlowCell, flow_cell_parameters)},
        "kl_weight": Door(kl_weight, dict(fraction=0.5, warm_up=0.3), dict(fraction=bad.number(0.0, 1.0), warm_up=bad.number(0.0, 1.0))),
        "balance_weights": Door(balance_weights, dict(kl=kl, sizes=torch.ones(3)), dict(kl=bad.tensors(kl, dtypes=False), sizes=st.sampled_from([(torch.ones(2), "1., 1."), (torch.zeros(3), "0., 0."), (None, "None"), ([1, 1, 1], "[1, 1, 1]")]))),
        "SpectralPenalty": Door(SpectralPenalty, dict(network=nn.Conv2d(1, 1, 1)), dict(network=bad.of(NO_MODULES))),
        "SpectralPenalty.iterate": Door(SpectralPenalty(nn.Conv2d(1, 1, 1)).iterate, dict(n_steps=1), dict(n_steps=bad.count(1))),
        "batch_norm_penalty": Door(batch_norm_penalty, dict(network=model), dict(network=bad.of(NO_MODULES))),
        **{f.__name__: Door(f, dict(config=model.config), dict(config=NO_CONFIGS)) for f in (network_parts, encoder_fields, generative_fields)},
        "NVAE": Door(NVAE, dict(config=model.config, rng=g), dict(config=NO_CONFIGS, rng=NO_GENERATORS)),
        "NVAE.elbo": Door(model.elbo, dict(x=x, rng=g), dict(x=images(x, binary=True), rng=NO_GENERATORS), model),
        "NVAE.noise": Door(model.noise, dict(n=2, rng=g), dict(n=bad.count(1), rng=NO_GENERATORS), model),
        "NVAE.clocks": Door(model.clocks, dict(rng=g), rng, model),
        "NVAE.latents": Door(model.latents, dict(x=x, rng=g), dict(x=images(x, binary=True), rng=NO_GENERATORS), model),
        "NVAE.decode": Door(model.decode, dict(z=z, temperature=1.0, rng=g), dict(z=latents(z), temperature=bad.number(0.0), rng=NO_GENERATORS), model),
        "NVAE.sample": Door(model.sample, dict(n=2, temperature=1.0, rng=g), dict(n=bad.count(1), temperature=bad.number(0.0), **rng), model),
        "NVAE.importance_bound": Door(model.importance_bound, dict(x=x, n_samples=2, rng=g), dict(x=images(x, binary=True), n_samples=bad.count(1), **rng), model),
        "NVAE.check_data": Door(model.check_data, dict(data=x), dict(data=images(x, binary=True)), model),
        "reestimated": Door(reestimated, dict(model=model, temperature=0.7, n_batches=1, batch_size=2, rng=g), dict(
            model=bad.of(NO_MODULES), temperature=bad.number(0.0), n_batches=bad.count(1), batch_size=bad.count(2), **rng), model),
    }


MODULES = ["residual_normal", "logistic_mixture", *(f"nvae.{name}" for name in ("anatomy", "config", "cells", "flows", "towers", "heads", "model", "balancing", "spectral", "statistics"))]
NAMES = defined(MODULES) | {"fit"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=2)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER)
