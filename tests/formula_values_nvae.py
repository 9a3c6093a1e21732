"""The rest of the starred formulas of reference/formulas.md: NVAE, features and prices; see formula_values.py."""
import math

import torch

from deepgen_lib.features import linear_combination
from deepgen_lib.nvae import balance_weights, kl_weight
from deepgen_lib.nvae.cells import EncoderCell, GenerativeCell
from deepgen_lib.residual_normal import ResidualNormal, relative_to
from deepgen_lib.roofline import Prices, Work, seconds
from deepgen_lib.selectivity import conditional_entropy
from tests.formula_values_deep import B, EVALUATED, K, formula, given_h1, lib, randn, stack  # noqa: F401 - EVALUATED is handed on


@formula("cells (N4)")
def _(rng):
    C, E = 16 * int(torch.randint(1, 9, (), generator=rng)), 6
    h = max(C // 16, 4)
    SE = 2 * C * h + h + C
    counts = [sum(p.numel() for p in cell.parameters()) for cell in (GenerativeCell(C, expansion=E), EncoderCell(C))]
    return torch.tensor([2 * E * C**2 + 29 * E * C + 4 * C + SE, 18 * C**2 + 5 * C + SE]), torch.tensor(counts)


@formula("latents (N2, N3)")
def _(rng):
    return torch.tensor(20 * (5 * 4**2 + 10 * 8**2)), torch.tensor(sum(math.prod(shape) for shape in lib.NVAE_TABLE["MNIST"].latent_shapes))


@formula("relative posterior (N5)")
def _(rng):
    r, noise = ResidualNormal(*randn(rng, 4, B, K)), randn(rng, B, K)
    return r.mu + r.delta_mu + r.log_sigma.exp() * r.delta_log_sigma.exp() * noise, r.draw(noise)


@formula("divergence (N6)")
def _(rng):
    dmu, dlog, log_sigma = randn(rng, 3, B, K)
    return 0.5 * (dmu**2 / log_sigma.exp() ** 2 + dlog.exp() ** 2 - (dlog.exp() ** 2).log() - 1), lib.residual_normal_kl(dmu, dlog, log_sigma)


@formula("prior that moves (N7)")
def _(rng):
    z1 = randn(rng, B)
    zero = torch.zeros(B).double()
    return 0.5 * (100 * z1**2 / 0.01 + 1 / 0.01 - math.log(100) - 1), relative_to(10 * z1, zero + math.log(0.1), zero, zero).kl()


@formula("asleep")
def _(rng):
    dbn, _, h1 = stack(rng)
    x = lib.all_states(4)
    down, log_q, prior = given_h1(dbn, x, h1)
    joint = down + prior
    return (joint.exp() * (joint.log_softmax(-1) - log_q)).sum(), lib.sleep_kl(dbn)


@formula("sum of filters (F1)")
def _(rng):
    dbn = lib.DBN([lib.random_rbm(*sizes, rng=rng) for sizes in ((4, 3), (3, 2), (2, 3))]).requires_grad_(False)
    low, high = dbn.recognition[0].W, dbn.recognition[1].W
    return torch.stack([sum(high[j, unit] * low[:, j] for j in range(3)) for unit in range(2)]), linear_combination(dbn, 2, [0, 1])


@formula("conditional entropy")
def _(rng):
    labels, active = torch.arange(12) % K, torch.randint(2, (12, B), generator=rng).double()
    active[:K] = 1  # every feature is on somewhere in each class
    rate = torch.stack([active[labels == k].mean(0) for k in range(K)])
    p = rate / rate.sum(0)
    return -(p * p.log()).sum(0), conditional_entropy(active, labels, K)


@formula("balancing")
def _(rng):
    kl, sizes = randn(rng, B, K).abs(), torch.tensor([64.0, 64.0, 256.0]).double()
    per_number = (kl.mean(0) + 0.01) / sizes
    return per_number / per_number.mean(), balance_weights(kl, sizes)


@formula("warm-up")
def _(rng):
    done = (0.1 + 0.9 * torch.rand(B, generator=rng, dtype=torch.float64)).tolist()
    return torch.tensor([min(1, d / 0.6) for d in done]).double(), torch.tensor([kl_weight(d, 0.6) for d in done]).double()


@formula("price of work (14.1)")
def _(rng):
    launch, byte, ma = torch.rand(3, generator=rng, dtype=torch.float64).tolist()
    works = [Work("a", 10, 3), Work("b", 1, 40)]
    total = sum(launch + max(work.bytes * byte, work.multiply_adds * ma) for work in works)
    return torch.tensor(total).double(), torch.tensor(sum(seconds(works, Prices(launch, byte, ma, 4, "toy")).values())).double()
