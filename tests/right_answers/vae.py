"""Right answers of chapter 08, written in other ways than the checks' own."""
import math

import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from deepgen_lib import LinearGaussian


def ways_by_autograd(f, slope, mu, sigma, eps):
    mu = mu.clone().requires_grad_(True)
    path, = torch.autograd.grad(f(mu + sigma * eps).mean(), mu)
    z = (mu + sigma * eps).detach()
    score, = torch.autograd.grad((f(z) * Normal(mu, sigma).log_prob(z).sum(1)).mean(), mu)
    return path, score


def ways_draw_by_draw(f, slope, mu, sigma, eps):
    path, score = torch.zeros_like(mu), torch.zeros_like(mu)
    for e in eps:
        z = mu + sigma * e
        path += slope(z[None])[0] / len(eps)
        score += f(z[None])[0] * (z - mu) / sigma**2 / len(eps)
    return path, score


def kl_by_torch(mu, log_sigma):
    return kl_divergence(Normal(mu, log_sigma.exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)


def kl_latent_by_latent(mu, log_sigma):
    total = torch.zeros(len(mu), dtype=mu.dtype)
    for m, s in zip(mu.T, log_sigma.exp().T):
        total = total + (m * m + s * s) / 2 - 0.5 - torch.log(s)
    return total


def q_by_library(W, b, sigma, x):
    mean, log_sigma = LinearGaussian(W, b, sigma).best_q(x)
    return mean, log_sigma[0].exp()


def q_by_conditioning(W, b, sigma, x):
    """The posterior from the joint normal of x and z; widths from the inverse of its covariance."""
    gain = W.T @ torch.linalg.inv(W @ W.T + sigma**2 * torch.eye(len(W)).double())
    covariance = torch.eye(W.shape[1]).double() - gain @ W
    P = MultivariateNormal(torch.zeros(W.shape[1]).double(), covariance).precision_matrix
    return (x - b) @ gain.T, 1 / P.diagonal().sqrt()


def stream_by_logaddexp(chunks):
    total, n = torch.full_like(chunks[0][0], -math.inf), 0
    for chunk in chunks:
        total, n = torch.logaddexp(total, chunk.logsumexp(0)), n + len(chunk)
    return total - math.log(n)


def stream_by_largest(chunks):
    """A running largest weight, and the sum of all others relative to it."""
    top, total, n = chunks[0][0].clone(), torch.zeros_like(chunks[0][0]), 0
    for row in (row for chunk in chunks for row in chunk):
        new = torch.maximum(top, row)
        total = total * (top - new).exp() + (row - new).exp()
        top, n = new, n + 1
    return top + (total / n).log()


def gaps_of_means(log_p, best, encoder):
    return log_p.mean() - best.mean(), best.mean() - encoder.mean()


def gaps_in_a_loop(log_p, best, encoder):
    n = len(log_p)
    return sum(p - b for p, b in zip(log_p, best)) / n, sum(b - e for b, e in zip(best, encoder)) / n


FAULTS = {
    "a q with correlated latents lowers": "family",
    "more training of the encoder alone lowers": "network",
    "with p(x) fixed, the network's part can be made zero on the training pictures": True,
    "importance weights lower": "both",
    "one estimate by importance weights is never above log p(x)": False,
}


def baseline_by_einsum(f, score):
    return torch.einsum("n,nk,nk->k", f, score, score) / torch.einsum("nk,nk->k", score, score)


def baseline_by_least_squares(f, score):
    """The constant b for which (f - b) g is smallest: a regression of f g on g, latent by latent."""
    found = [torch.linalg.lstsq(g[:, None], (f * g)[:, None]).solution[0, 0] for g in score.T]
    return torch.stack(found)


RIGHT = {
    "8.1": [ways_by_autograd, ways_draw_by_draw],
    "8.2": [kl_by_torch, kl_latent_by_latent],
    "8.3": [q_by_library, q_by_conditioning],
    "8.4": [stream_by_logaddexp, stream_by_largest],
    "8.5": [(gaps_of_means, FAULTS), (gaps_in_a_loop, {key: value.upper() if isinstance(value, str) else value for key, value in FAULTS.items()})],
    "8.6": [baseline_by_einsum, baseline_by_least_squares],
}
