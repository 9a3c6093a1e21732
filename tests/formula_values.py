"""The starred formulas of reference/formulas.md, written out a second time in plain torch, beside the function that the page names.

Each entry takes a generator and returns (by the formula, by the library). Sizes of a model all differ, so that a transpose cannot pass.
"""
import math
from collections.abc import Callable

import torch
from torch import Tensor

import deepgen_lib as lib
from deepgen_lib.conv_rbm import random_conv_rbm
from deepgen_lib.linear_gaussian import random_linear_gaussian
from deepgen_lib.mixture import random_mixture
from deepgen_lib.selectivity import average_precision

Pair = tuple[Tensor, Tensor]
B, V, H, K, D = 5, 6, 4, 3, 2
EVALUATED: dict[str, Callable[[torch.Generator], Pair]] = {}


def formula(name: str):
    def keep(function):
        EVALUATED[name] = function
        return function
    return keep


def randn(rng: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def bits(rng: torch.Generator, *shape: int) -> Tensor:
    return torch.randint(2, shape, generator=rng).double()


def two(rng: torch.Generator) -> Pair:
    """(f, q): logarithms of joint probabilities and a distribution, both (B, K)."""
    return randn(rng, B, K), randn(rng, B, K).softmax(-1)


def machine(rng: torch.Generator):
    return lib.random_rbm(V, H, rng=rng).requires_grad_(False), bits(rng, B, V), bits(rng, B, H)


def stack(rng: torch.Generator):
    """A DBN 4-3-2, its x, and every state of h1."""
    dbn = lib.DBN([lib.random_rbm(4, 3, rng=rng), lib.random_rbm(3, 2, rng=rng)]).requires_grad_(False)
    return dbn, bits(rng, B, 4), lib.all_states(3)


def coins(states: Tensor, logits: Tensor) -> Tensor:
    return (states * torch.sigmoid(logits).log() + (1 - states) * torch.sigmoid(-logits).log()).sum(-1)


def given_h1(dbn, x: Tensor, h1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log P(x | h1), log Q(h1 | x), both (B, 8), and log p(h1), (8,), all from weights alone."""
    low, up, top = dbn.directed[0], dbn.recognition[0], dbn.top
    down = coins(x[:, None], (h1 @ low.W.T + low.b)[None])
    scores = h1 @ top.b + (1 + (h1 @ top.W + top.c).exp()).log().sum(-1)
    return down, coins(h1[None], (x @ up.W + up.c)[:, None]), scores - scores.logsumexp(0)


@formula("Gibbs principle (B1)")
def _(rng):
    f, _ = two(rng)
    best = f.exp() / f.exp().sum(-1, keepdim=True)
    return (best * f).sum(-1) - (best * best.log()).sum(-1), lib.log_normaliser(f)


@formula("its maximum (B1)")
def _(rng):
    f, _ = two(rng)
    return f.exp() / f.exp().sum(-1, keepdim=True), lib.posterior(f)


@formula("bound (B2)")
def _(rng):
    f, q = two(rng)
    return (q * f).sum(-1) - (q * q.log()).sum(-1), lib.gibbs_bound(f, q)


@formula("entropy")
def _(rng):
    _, q = two(rng)
    return -(q * q.log()).sum(-1), lib.entropy(q)


@formula("divergence")
def _(rng):
    f, q = two(rng)
    return (q * (q / f.softmax(-1)).log()).sum(-1), lib.kl_divergence(q, f.softmax(-1))


@formula("gap (B3)")
def _(rng):
    f, q = two(rng)
    return (q * (q / f.softmax(-1)).log()).sum(-1), lib.gap(f, q)


@formula("three terms (B4)")
def _(rng):
    f, q = two(rng)
    prior = randn(rng, K).log_softmax(0)
    return (q * f).sum(-1) + (q * prior).sum(-1) - (q * q.log()).sum(-1), lib.bound_terms(f, prior, q).total


def mixture(rng):
    x = bits(rng, 20, V).float()
    return random_mixture(x, n_components=K, rng=rng), x


@formula("mixture")
def _(rng):
    model, x = mixture(rng)
    m, x_ = model.means[None], x[:, None]
    return (model.weights * (m**x_ * (1 - m) ** (1 - x_)).prod(-1)).sum(-1).log(), model.log_likelihood(x)


@formula("E-step")
def _(rng):
    model, x = mixture(rng)
    joint = model.weights * (model.means[None] ** x[:, None] * (1 - model.means[None]) ** (1 - x[:, None])).prod(-1)
    return joint / joint.sum(-1, keepdim=True), lib.e_step(model, x)


@formula("M-step")
def _(rng):
    model, x = mixture(rng)
    q = lib.e_step(model, x)
    new = lib.m_step(x, q)
    means = (q.T @ x) / q.sum(0)[:, None]
    return torch.cat([q.mean(0), means.clamp(1e-6, 1 - 1e-6).flatten()]), torch.cat([new.weights, new.means.flatten()])


@formula("energy")
def _(rng):
    rbm, v, h = machine(rng)
    return torch.stack([-(a @ rbm.W @ c + rbm.b @ a + rbm.c @ c) for a, c in zip(v, h)]), rbm.energy(v, h)


@formula("up")
def _(rng):
    rbm, v, _ = machine(rng)
    joint = -torch.stack([rbm.energy(row.expand(2**H, V), lib.all_states(H)) for row in v]).double()
    return joint.softmax(-1) @ lib.all_states(H), torch.sigmoid(rbm.hidden_logits(v))


@formula("down")
def _(rng):
    rbm, _, h = machine(rng)
    joint = -torch.stack([rbm.energy(lib.all_states(V), row.expand(2**V, H)) for row in h]).double()
    return joint.softmax(-1) @ lib.all_states(V), torch.sigmoid(rbm.visible_logits(h))


@formula("free energy")
def _(rng):
    rbm, v, _ = machine(rng)
    return -(v @ rbm.b) - (1 + (rbm.c + v @ rbm.W).exp()).log().sum(-1), rbm.free_energy(v)


@formula("slope")
def _(rng):
    rbm, v, _ = machine(rng)
    states = lib.all_states(V)
    p = (-rbm.free_energy(states)).softmax(0)
    data = v.T @ torch.sigmoid(v @ rbm.W + rbm.c) / B
    return data - (p[:, None] * states).T @ torch.sigmoid(states @ rbm.W + rbm.c), lib.exact_gradient(rbm, v).W


@formula("log Z (03.1)")
def _(rng):
    rbm, _, _ = machine(rng)
    h = lib.all_states(H)
    return ((h @ rbm.c).exp() * (1 + (h @ rbm.W.T + rbm.b).exp()).prod(-1)).sum().log(), lib.log_partition(rbm)


def annealed(rng):
    rbm, _, _ = machine(rng)
    return lib.ais_log_partition(rbm, base_mean=torch.full((V,), 0.5).double(), n_chains=20, n_temperatures=5, rng=rng)


@formula("AIS estimate")
def _(rng):
    ais = annealed(rng)
    log_z0 = H * math.log(2) + V * math.log(2)  # a = 0
    return log_z0 + ais.log_weights.exp().mean().log(), torch.tensor(ais.estimate).double()


@formula("effective chains")
def _(rng):
    ais = annealed(rng)
    w = (ais.log_weights - ais.log_weights.max()).exp()
    return w.sum() ** 2 / (w**2).sum(), torch.tensor(ais.effective_chains).double()


@formula("reverse AIS")
def _(rng):
    rbm, v, _ = machine(rng)
    ais = lib.reverse_ais_log_partition(rbm, v, base_mean=torch.full((V,), 0.5).double(), n_temperatures=5, rng=rng)
    return (H + V) * math.log(2) - ais.log_weights.exp().mean().log(), torch.tensor(ais.estimate).double()


@formula("score")
def _(rng):
    rbm, v, _ = machine(rng)
    return -rbm.free_energy(v) - (-rbm.free_energy(lib.all_states(V))).logsumexp(0), lib.exact_log_likelihood(rbm, v)


@formula("joint (D1, D2)")
def _(rng):
    dbn, _, h1 = stack(rng)
    x, h2, top = lib.all_states(4), lib.all_states(2), dbn.top
    pair = h1 @ top.W @ h2.T + (h1 @ top.b)[:, None] + h2 @ top.c
    down = given_h1(dbn, x, h1)[0]
    joint = lib.dbn_joint_log_prob(dbn)
    return (down[:, :, None] + (pair - pair.logsumexp((0, 1)))).reshape(joint.shape), joint


@formula("down (D3, D4)")
def _(rng):
    dbn, _, h1 = stack(rng)
    return h1 @ dbn.directed[0].W.T + dbn.directed[0].b, dbn.generation_logits(1, h1)


@formula("up (D4)")
def _(rng):
    dbn, x, _ = stack(rng)
    return x @ dbn.recognition[0].W + dbn.recognition[0].c, dbn.recognition_logits(1, x)


@formula("bound")
def _(rng):
    dbn, x, h1 = stack(rng)
    down, log_q, prior = given_h1(dbn, x, h1)
    return (log_q.exp() * (down + prior - log_q)).sum(-1), dbn.bound(x).total


@formula("new prior (D6)")
def _(rng):
    dbn, x, h1 = stack(rng)
    return given_h1(dbn, x, h1)[2], dbn.layer_log_prob(1)
