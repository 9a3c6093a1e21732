"""Right answers of chapter 03, written in other ways than the checks' own."""
import math

import torch

from deepgen_lib import RBM, all_states, bernoulli_log_likelihood, bits_per_dim, exact_log_likelihood, hidden_posterior
from deepgen_lib.partition import base_rate


def machine(W, b, c):
    rbm = RBM(*W.shape).double().requires_grad_(False)
    rbm.load_state_dict({"W": W, "b": b, "c": c})
    return rbm


def bits_by_library(log_likelihood, n_pixels):
    return bits_per_dim(-log_likelihood, n_pixels)


def bits_by_log2(log_likelihood, n_pixels):
    return [-value * math.log2(math.e) / n_pixels for value in log_likelihood.tolist()]


def log_z_by_shift(log_weights, base_means, n_hidden):
    top = log_weights.max()
    odds = base_means / (1 - base_means)
    return n_hidden * math.log(2) + torch.log(1 + odds).sum() + top + torch.exp(log_weights - top).mean().log()


def log_z_by_addition(log_weights, base_means, n_hidden):
    total = -math.inf
    for x in log_weights.tolist():
        high, low = max(total, x), min(total, x)
        total = high + math.log1p(math.exp(low - high))
    return total - math.log(len(log_weights)) + math.log(2) * n_hidden + torch.logaddexp(torch.logit(base_means), torch.zeros(())).sum().item()


def baseline_by_library(train, test):
    return bernoulli_log_likelihood(test, torch.logit(base_rate(train))).mean()


def baseline_by_products(train, test):
    m = torch.clamp(train.sum(0) / len(train), 0.001, 0.999)
    return (test @ m.log() + (1 - test) @ (1 - m).log()).sum() / len(test)


def anneal_by_free_energies(W, b, c, a, schedule, v, u_h, u_v):
    rungs = [machine(t * W, (1 - t) * a + t * b, t * c) for t in schedule]
    log_w = torch.zeros(len(v)).double()
    for k, (old, new) in enumerate(zip(rungs, rungs[1:])):
        log_w = log_w + old.free_energy(v) - new.free_energy(v)
        h = (u_h[k] < new.hidden_logits(v).sigmoid()).double()
        v = (u_v[k] < new.visible_logits(h).sigmoid()).double()
    return log_w


def anneal_chain_by_chain(W, b, c, a, schedule, v, u_h, u_v):
    def log_f(t, s):
        return (1 - t) * a @ s + t * b @ s + torch.log(1 + torch.exp(t * (c + s @ W))).sum()
    found = []
    for n, s in enumerate(v):
        log_w = 0.0
        for k in range(len(schedule) - 1):
            t = schedule[k + 1]
            log_w = log_w + log_f(t, s) - log_f(schedule[k], s)
            h = torch.where(torch.logit(u_h[k, n]) < t * (c + s @ W), 1.0, 0.0).double()
            s = torch.where(torch.logit(u_v[k, n]) < (1 - t) * a + t * (b + W @ h), 1.0, 0.0).double()
        found.append(log_w)
    return torch.stack(found)


def bracket_by_rows(forward, reverse, log_z_base):
    def one(row):
        top = row.max()
        return (top + (row - top).exp().mean().log()).item()
    up, down = [one(row) for row in forward], [one(row) for row in reverse]
    return [log_z_base + sum(up) / len(up), log_z_base - sum(down) / len(down)]


def bracket_by_logsumexp(forward, reverse, log_z_base):
    n = math.log(forward.shape[1])
    return forward.logsumexp(1).mean() - n + log_z_base, (log_z_base - reverse.logsumexp(1) + n).mean()


STATEMENTS = {
    "every AIS estimate of log Z lies below log Z": False,
    "the mean of many AIS estimates of log Z lies below log Z": True,
    "with log Z from AIS, a log-likelihood is on average a lower bound": False,
    "reverse AIS from exact samples gives, on average, too large a log Z": True,
    "reverse AIS from a long Gibbs chain bounds log Z from above": False,
    "a short error bar means that log Z is near": False,
}


def scores_by_library(W, b, c, x):
    rbm, h = machine(W, b, c), all_states(W.shape[1])
    p = torch.sigmoid(rbm.visible_logits(h))
    errors = torch.cdist(x, p) ** 2
    return (hidden_posterior(rbm, x) * errors).sum(1).mean(), exact_log_likelihood(rbm, x).mean()


def scores_image_by_image(W, b, c, x):
    error, score = 0.0, 0.0
    states = all_states(W.shape[0])
    log_z = torch.logsumexp(states @ b + torch.log(1 + torch.exp(states @ W + c)).sum(1), 0)
    for row in x:
        on = torch.sigmoid(row @ W + c)
        for h in all_states(W.shape[1]):
            error += torch.prod(torch.where(h > 0, on, 1 - on)) * ((row - torch.sigmoid(b + W @ h)) ** 2).sum()
        score += row @ b + torch.log(1 + torch.exp(row @ W + c)).sum() - log_z
    return error / len(x), score / len(x)


def cheat_in_reverse_order(n):
    s = 30.0
    return s * torch.eye(n).flip(0), torch.full((n,), -s / 2), torch.full((n,), -s / 2)


def cheat_with_negatives(n):
    """Each hidden unit is on where its pixel is off."""
    return -20 * torch.eye(n), torch.full((n,), 10.0), torch.full((n,), 10.0)


RANKING = {"better reconstruction": "A", "better likelihood": "B"}
RIGHT = {
    "3.1": [bits_by_library, bits_by_log2],
    "3.2": [log_z_by_shift, log_z_by_addition],
    "3.3": [baseline_by_library, baseline_by_products],
    "3.4": [anneal_by_free_energies, anneal_chain_by_chain],
    "3.5": [(bracket_by_rows, STATEMENTS), (bracket_by_logsumexp, dict(reversed(STATEMENTS.items())))],
    "3.6": [(scores_by_library, RANKING), (scores_image_by_image, {"better likelihood": "b", "better reconstruction": "a"})],
    "3.7": [cheat_in_reverse_order, cheat_with_negatives],
}
