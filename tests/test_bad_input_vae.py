"""The VAE, its solvable form and the gradient estimators against random bad input, as test_bad_input.py does for the core."""
import torch
from hypothesis import strategies as st
from torch import nn

from deepgen_lib.gradient_estimators import QuadraticToy, pathwise_gradients, score_gradients
from deepgen_lib.latents import NormalPosterior, StandardNormal, normal_kl
from deepgen_lib.linear_gaussian import LinearGaussian, random_linear_gaussian
from deepgen_lib.vae import VAE, mlp_vae
from tests import bad_values as bad
from tests.doors import Door, defined, require_all_tried, door_tests

F64, V, K, B = torch.float64, 6, 2, 4


def spoilt_q(q: NormalPosterior):
    """No posterior for B rows: another type, or one of its parts spoilt."""
    part = bad.tensors(q.mu) | bad.rows(q.mu)
    return bad.of([3, "q", torch.zeros(2), [q.mu]]) | part.map(lambda d: (NormalPosterior(d[0], q.log_sigma), d[1])) | part.map(lambda d: (NormalPosterior(q.mu, d[0]), d[1]))


def latents(z):
    """No (..., K)."""
    return bad.tensors(z, any_rows=True)


def vectors(v):
    return bad.tensors(v, dtypes=False, any_columns=True)


def vae_doors(vae: VAE, x, q, g) -> dict[str, Door]:
    counts = dict(n_samples=bad.count(1), rng=bad.rng())
    z = torch.zeros(B, K, dtype=F64)
    pixels = bad.tensors(x, binary=True)
    return {
        "VAE": Door(VAE, dict(encoder=vae.encoder, decoder=vae.decoder, sizes=(V, K)), dict(
            encoder=bad.of([None, 3, torch.sigmoid]), decoder=bad.of([None, "mlp", torch.zeros(2)]), prior=bad.of([3, "normal", nn.Linear(2, 2)]), likelihood=bad.choice("bernoulli", "normal"),
            sizes=st.sampled_from([(None, "None"), (6, "6"), ((6,), "(6,)"), ([6, 2], "[6, 2]"), ((6, 0), "0"), ((6.0, 2), "6.0"), ((True, 2), "True")])), vae),
        "VAE.posterior": Door(vae.posterior, dict(x=x), dict(x=pixels), vae),
        "VAE.log_likelihood": Door(vae.log_likelihood, dict(x=x, z=z), dict(x=pixels, z=latents(z) | bad.rows(z)), vae),
        "VAE.bound": Door(vae.bound, dict(x=x, q=q, rng=g), dict(x=pixels, q=spoilt_q(q), **counts), vae),
        "VAE.importance_bound": Door(vae.importance_bound, dict(x=x, n_samples=3, rng=g), dict(x=pixels, chunk=bad.count(1), **counts), vae),
        "VAE.decode": Door(vae.decode, dict(z=z), dict(z=bad.tensors(z)), vae),
        "VAE.sample": Door(vae.sample, dict(n=2, rng=g), dict(n=bad.count(1), rng=bad.rng()), vae),
        "VAE.check_data": Door(vae.check_data, dict(data=x), dict(data=pixels), vae),
        "mlp_vae": Door(mlp_vae, dict(n_visible=V, n_hidden=(5,), n_latent=K, rng=g), dict(
            n_visible=bad.count(1), n_latent=bad.count(1), likelihood=bad.choice("bernoulli", "normal"), rng=bad.rng(),
            n_hidden=st.sampled_from([(None, "None"), (5, "5"), ((), "()"), ("200", "200"), ((5, 0), "0"), ((2.0,), "2.0"), ((True,), "True")]))),
    }


def doors() -> dict[str, Door]:
    """Made afresh for every example."""
    g = torch.Generator().manual_seed(0)
    vae, normal = mlp_vae(V, (5,), K, rng=g).double(), mlp_vae(V, (5,), K, likelihood="normal", rng=g).double()
    x = torch.bernoulli(torch.full((B, V), 0.5, dtype=F64), generator=g)
    q = NormalPosterior(torch.zeros(B, K, dtype=F64), torch.zeros(B, K, dtype=F64))
    solved, toy, mu = random_linear_gaussian(V, K, rng=g), QuadraticToy(torch.ones(3, dtype=F64)), torch.zeros(3, dtype=F64)
    seen, both = dict(x=bad.tensors(x)), dict(mu=bad.tensors(mu, shapes=False) | vectors(mu), log_sigma=bad.tensors(mu))
    found = dict(mu=bad.tensors(mu), log_sigma=bad.tensors(mu))
    estimate = dict(f=toy, mu=mu, log_sigma=mu, n_samples=3, rng=g)
    spoilt = dict(f=bad.of([None, 3, torch.zeros(2)]) | st.just((lambda z: z, "(3, 3)")), mu=vectors(mu), log_sigma=bad.tensors(mu), n_samples=bad.count(1), rng=bad.rng())
    prior = StandardNormal(K).double()
    return vae_doors(vae, x, q, g) | {
        "VAE.bound of a normal likelihood": Door(normal.bound, dict(x=x, rng=g), seen, normal),
        "StandardNormal": Door(StandardNormal, dict(n_latent=K), dict(n_latent=bad.count(1))),
        "StandardNormal.log_prob": Door(prior.log_prob, dict(z=q.mu), dict(z=latents(q.mu))),
        "StandardNormal.sample": Door(prior.sample, dict(n=2, rng=g), dict(n=bad.count(1), rng=bad.rng())),
        "normal_kl": Door(normal_kl, dict(mu=q.mu, log_sigma=q.mu), dict(
            mu=bad.of(bad.NO_TENSORS) | bad.rows(q.mu), log_sigma=bad.of(bad.NO_TENSORS) | bad.rows(q.mu))),
        "LinearGaussian": Door(LinearGaussian, dict(W=solved.W, b=solved.b, sigma=0.5), dict(
            W=bad.tensors(solved.W, shapes=False), b=bad.tensors(solved.b), sigma=bad.number(1e-6, 1e6))),
        "LinearGaussian.log_likelihood": Door(solved.log_likelihood, dict(x=x), seen),
        "LinearGaussian.posterior": Door(solved.posterior, dict(x=x), seen),
        "LinearGaussian.best_q": Door(solved.best_q, dict(x=x), seen),
        "LinearGaussian.bound": Door(solved.bound, dict(x=x, q=q), seen | dict(q=spoilt_q(q))),
        "LinearGaussian.gap": Door(solved.gap, dict(x=x, q=q), seen | dict(q=spoilt_q(q))),
        "LinearGaussian.sample": Door(solved.sample, dict(n=2, rng=g), dict(n=bad.count(1), rng=bad.rng())),
        "LinearGaussian.vae": Door(solved.vae, dict(encoder=vae.encoder), dict(encoder=bad.of([None, 3, torch.sigmoid]))),
        "random_linear_gaussian": Door(random_linear_gaussian, dict(n_visible=V, n_latent=K, rng=g), dict(
            n_visible=bad.count(1), n_latent=bad.count(1), sigma=bad.number(1e-6, 1e6), rng=bad.rng())),
        "pathwise_gradients": Door(pathwise_gradients, estimate, spoilt),
        "score_gradients": Door(score_gradients, estimate, spoilt | dict(baseline=bad.number().filter(lambda d: d[0] != "0.1") | bad.choice("others").filter(lambda d: isinstance(d[0], str)))),
        "score_gradients of one draw": Door(score_gradients, estimate | dict(baseline="others"), dict(n_samples=st.just((1, "1")))),
        "QuadraticToy": Door(QuadraticToy, dict(target=mu), dict(target=vectors(mu))),
        "QuadraticToy.expectation": Door(toy.expectation, dict(mu=mu, log_sigma=mu), found),
        "QuadraticToy.gradient": Door(toy.gradient, dict(mu=mu, log_sigma=mu), found),
        "QuadraticToy.pathwise_variance": Door(toy.pathwise_variance, dict(mu=mu, log_sigma=mu), found),
        "QuadraticToy.score_variance": Door(toy.score_variance, dict(mu=mu, log_sigma=mu), found | dict(baseline=bad.number())),
    }


MODULES = ["latents", "vae", "linear_gaussian", "gradient_estimators"]
INNER = "used inside the loops by functions that check"
NAMES = defined(MODULES) | {"fit"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=15)


def test_every_public_function_is_tested():
    require_all_tried(doors(), MODULES, dict.fromkeys(["draw", "log_q", "randn"], INNER))
