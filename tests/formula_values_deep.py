"""More starred formulas of reference/formulas.md, from chapter 5 on; see formula_values.py."""
import math

import torch
from torch.nn import functional as F

from tests.formula_values import (  # noqa: F401 - EVALUATED is handed on
    B, D, H, K, EVALUATED, average_precision, bits, formula, given_h1, lib, machine, randn, random_conv_rbm, random_linear_gaussian, stack)


@formula("its meaning (D8)")
def _(rng):
    dbn, x, h1 = stack(rng)
    _, log_q, prior = given_h1(dbn, x, h1)
    mean_q = lib.aggregated_posterior(dbn, x)
    return (log_q.exp().mean(0) * prior).sum(), (mean_q * mean_q.log()).sum() - lib.kl_divergence(mean_q, prior.exp())


@formula("tied start (T1)")
def _(rng):
    rbm, v, _ = machine(rng)
    return lib.exact_log_likelihood(rbm, v), lib.DBN.from_rbm(rbm).log_likelihood(v)


@formula("gap (T3, T4)")
def _(rng):
    dbn, x, h1 = stack(rng)
    down, log_q, prior = given_h1(dbn, x, h1)
    return (log_q.exp() * (log_q - (down + prior).log_softmax(-1))).sum(-1), lib.wake_kl(dbn, x)


def filters(rng):
    conv = random_conv_rbm(2, K, 3, block=2, sigma=0.7, rng=rng).requires_grad_(False)
    return conv, torch.randn(B, 2, 6, 6, generator=rng, dtype=conv.W.dtype)


@formula("input")
def _(rng):
    conv, v = filters(rng)
    windows = v.unfold(2, 3, 1).unfold(3, 3, 1)  # (B, C, Y, Y, w, w)
    return torch.einsum("bcyxrs,kcrs->bkyx", windows, conv.W) / conv.sigma**2 + conv.c[:, None, None], conv.hidden_logits(v)


@formula("the way back")
def _(rng):
    conv, v = filters(rng)
    h = torch.bernoulli(torch.full((B, K, 4, 4), 0.3, dtype=v.dtype), generator=rng)
    return (F.conv2d(v, conv.W) * h).sum((1, 2, 3)), (v * conv.visible_input(h)).sum((1, 2, 3))


def blocks(rng):
    inputs = randn(rng, B, K, 4, 4)
    cut = inputs.reshape(B, K, 2, 2, 2, 2).exp()  # row, within, column, within
    return inputs, cut, 1 + cut.sum((3, 5), keepdim=True)


@formula("a block (C1)")
def _(rng):
    inputs, cut, total = blocks(rng)
    return (cut / total).reshape(B, K, 4, 4), lib.probabilistic_max_pool(inputs, 2).p_detection


@formula("pooling (C1)")
def _(rng):
    inputs, _, total = blocks(rng)
    return 1 / total.reshape(B, K, 2, 2), 1 - lib.probabilistic_max_pool(inputs, 2).p_pool


@formula("free energy (conv)")
def _(rng):
    conv, v = filters(rng)
    cut = conv.hidden_logits(v).reshape(B, K, 2, 2, 2, 2).exp()
    return ((v - conv.b[:, None, None]) ** 2).sum((1, 2, 3)) / (2 * conv.sigma**2) - (1 + cut.sum((3, 5))).log().sum((1, 2, 3)), conv.free_energy(v)


@formula("average precision")
def _(rng):
    scores, positive = randn(rng, 12), torch.tensor([True, False, False] * 4)
    ordered = positive[scores.argsort(descending=True)].double()
    return (ordered.cumsum(0) / torch.arange(1, 13))[ordered == 1].mean(), average_precision(scores[:, None], positive)[0]


@formula("KL by hand")
def _(rng):
    mu, log_sigma = randn(rng, B, K), randn(rng, B, K)
    return 0.5 * (mu**2 + log_sigma.exp() ** 2 - 1) - log_sigma, lib.normal_kl(mu, log_sigma)


@formula("linear model")
def _(rng):
    model = random_linear_gaussian(4, K, rng=rng)
    x = model.sample(B, rng)
    W, noise = model.W, model.sigma
    covariance = W @ W.T + noise**2 * torch.eye(4, dtype=W.dtype)
    exact = torch.distributions.MultivariateNormal(model.b, covariance).log_prob(x)
    P = torch.eye(K, dtype=W.dtype) + W.T @ W / noise**2
    return torch.cat([exact, (1 / P.diagonal()).sqrt()]), torch.cat([model.log_likelihood(x), model.best_q(x).log_sigma.exp().expand(B, K)[0]])


@formula("its variance")
def _(rng):
    a, mu, log_sigma = randn(rng, 1), randn(rng, 1), randn(rng, 1)
    toy, m, s = lib.QuadraticToy(a), mu - a, log_sigma.exp()
    return (m**4 + 18 * m**2 * s**2 + 15 * s**4) / (4 * s**2) - m**2, toy.score_variance(mu, log_sigma)


def vectors(rng):
    z, codes = randn(rng, B, D), randn(rng, K, D)
    distances = ((z[:, None] - codes) ** 2).sum(-1)
    return z, codes, torch.tensor([min(range(K), key=lambda k, row=row: (row[k], k)) for row in distances.tolist()])


@formula("code (V1)")
def _(rng):
    z, codes, ids = vectors(rng)
    return ids, lib.nearest_code(z, codes)


@formula("what the decoder gets (V2)")
def _(rng):
    z, codes, ids = vectors(rng)
    return torch.stack([codes[k] for k in ids]), lib.straight_through(z, codes[lib.nearest_code(z, codes)])


@formula("KL (V4)")
def _(rng):
    _, _, ids = vectors(rng)
    prior, q = randn(rng, K).softmax(0), F.one_hot(ids, K).double()
    kinds = (prior, torch.ones(K).double() / K)
    return torch.stack([-prior.log()[ids], torch.full((B,), math.log(K)).double()]), torch.stack([lib.kl_divergence(q, p.expand(B, K)) for p in kinds])


@formula("straight-through (V6)")
def _(rng):
    z, codes, ids = vectors(rng)
    z.requires_grad_()
    out = lib.straight_through(z, codes[ids])
    out.pow(3).sum().backward()
    return torch.cat([codes[ids], 3 * codes[ids] ** 2]), torch.cat([out.detach(), z.grad])


def slopes(rng, term: str):
    """A term of vq_losses, and the slopes at z and at the codes."""
    z, codes, ids = vectors(rng)
    z.requires_grad_(), codes.requires_grad_()
    value = getattr(lib.vq_losses(z, codes, ids), term)
    value.sum().backward()
    zeros = [torch.zeros_like(t) if t.grad is None else t.grad for t in (z, codes)]
    return z.detach(), codes.detach(), ids, torch.cat([value.detach(), *[grad.flatten() for grad in zeros]])


@formula("quantization (V7)")
def _(rng):
    z, codes, ids, found = slopes(rng, "quantization")
    at_codes = torch.stack([2 * (codes[k] - z[ids == k]).sum(0) for k in range(K)])
    return torch.cat([((z - codes[ids]) ** 2).sum(-1), torch.zeros(B * D).double(), at_codes.flatten()]), found


@formula("commitment (V9)")
def _(rng):
    z, codes, ids, found = slopes(rng, "commitment")
    return torch.cat([((z - codes[ids]) ** 2).sum(-1), (2 * (z - codes[ids])).flatten(), torch.zeros(K * D).double()]), found


@formula("k-means (V8)")
def _(rng):
    z = randn(rng, B, D)
    code = torch.zeros(1, D, dtype=torch.float64, requires_grad=True)
    ids, step = torch.zeros(B, dtype=torch.long), 1 / (2 * B)
    lib.vq_losses(z, code, ids).quantization.sum().backward()  # one step of this length goes to the minimum of a parabola
    return z.mean(0), (code - step * code.grad)[0].detach()


@formula("moving averages (V8)")
def _(rng):
    book, z = lib.Codebook(K, D, update="ema", decay=0.9, rng=rng), torch.randn(B, D, generator=rng)
    ids = book.nearest(z)
    N = torch.stack([0.9 * 1 + 0.1 * (ids == k).sum() for k in range(K)])
    S = torch.stack([0.9 * book.codes[k] + 0.1 * z[ids == k].sum(0) for k in range(K)])
    book.update_statistics(z, ids)
    return (S / N[:, None]).double(), book.codes.double()


@formula("perplexity")
def _(rng):
    counts = torch.randint(1, 20, (K,), generator=rng)
    p = counts / counts.sum().double()
    return (-(p * p.log()).sum()).exp(), lib.perplexity(counts)


@formula("bits per dimension")
def _(rng):
    nats = randn(rng, B).abs()
    return nats / (D * math.log(2)), lib.bits_per_dim(nats, D)


@formula("softplus")
def _(rng):
    x = randn(rng, B, H).requires_grad_()
    y = lib.sum_softplus(x)
    y.sum().backward()
    return torch.cat([(1 + x.exp()).log().sum(-1), torch.sigmoid(x).flatten()]).detach(), torch.cat([y.detach(), x.grad.flatten()])


@formula("nearest code")
def _(rng):
    z, codes, _ = vectors(rng)
    return (0.5 * (codes**2).sum(-1) - z @ codes.T).argmin(-1), lib.nearest_code(z, codes)
