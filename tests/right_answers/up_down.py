"""Right answers of chapter 06, written in other ways than the checks' own."""
import math

import torch

from deepgen_lib import all_states, kl_divergence


def moves_by_autograd(W, b, R, c, x, h, x_dream, h_dream):
    W, b, R, c = (part.clone().requires_grad_(True) for part in (W, b, R, c))
    bernoulli = torch.nn.functional.binary_cross_entropy_with_logits
    awake = -bernoulli(h @ W.T + b, x, reduction="none").sum(1).mean()
    asleep = -bernoulli(x_dream @ R + c, h_dream, reduction="none").sum(1).mean()
    return (*torch.autograd.grad(awake, (W, b)), *torch.autograd.grad(asleep, (R, c)))


def moves_example_by_example(W, b, R, c, x, h, x_dream, h_dream):
    total = [torch.zeros_like(part) for part in (W, b, R, c)]
    for n in range(len(x)):
        missed_x = x[n] - 1 / (1 + torch.exp(-(W @ h[n] + b)))
        missed_h = h_dream[n] - 1 / (1 + torch.exp(-(R.T @ x_dream[n] + c)))
        for place, part in enumerate((torch.outer(missed_x, h[n]), missed_x, torch.outer(x_dream[n], missed_h), missed_h)):
            total[place] += part / len(x)
    return total


def kls_by_library(joint, q):
    p_x, p = joint.sum(1), joint / joint.sum(1, keepdim=True)
    return (p_x * kl_divergence(p, q)).sum(), (p_x * kl_divergence(q, p)).sum()


def kls_by_joint_tables(joint, q):
    """KL between joint tables: p(x, h) and p(x) q(h | x)."""
    other = joint.sum(1, keepdim=True) * q
    return (joint * (joint / other).log()).sum(), (other * (other / joint).log()).sum()


KL_ANSWERS = {
    "exact sleep steps lower": "KL(p||q)",
    "the gap of the bound is": "KL(q||p)",
    "asleep, x comes from": "the model",
    "a sleep step may lower the bound": True,
    "if q can be the posterior of every x, sleep's best q closes the gap": True,
}


def sleep_by_states(posterior):
    h, p = all_states(2), posterior.flatten()
    on = p @ h
    q = torch.prod(h * on + (1 - h) * (1 - on), 1)
    return on, q @ (q.log() - p.log())


def sleep_by_steps(posterior):
    first, second = posterior[1, 0] + posterior[1, 1], posterior[0, 1] + posterior[1, 1]
    gap = 0.0
    for i in range(2):
        for j in range(2):
            q = (first if i else 1 - first) * (second if j else 1 - second)
            gap += q * math.log(q / posterior[i, j])
    return [first.item(), second.item()], gap


def bound_by_loops(log_weights, log_z, log_z_error):
    images = [sum(row) / len(row) for row in log_weights.tolist()]
    mean = sum(images) / len(images)
    spread = sum((value - mean) ** 2 for value in images) / (len(images) - 1)
    return mean - log_z, math.sqrt(spread / len(images) + log_z_error**2)


def bound_by_hypot(log_weights, log_z, log_z_error):
    images = log_weights.mean(1) - log_z
    return images.mean(), torch.hypot(images.std() / len(images) ** 0.5, torch.tensor(log_z_error).double())


def combine_by_sum(W1, W2, unit):
    return sum(W1[:, j] * W2[j, unit] for j in range(W1.shape[1]))


def maximise_by_autograd(W1, c1, W2, unit, x, n_steps, rate):
    for _ in range(n_steps):
        x = x.detach().requires_grad_(True)
        logit = torch.sigmoid(x @ W1 + c1) @ W2[:, unit]
        x = (x + rate * torch.autograd.grad(logit, x)[0]).clamp(0, 1)
    return x.detach()


def combine_by_product(W1, W2, unit):
    return (W1 @ W2)[:, unit]


def maximise_unit_by_unit(W1, c1, W2, unit, x, n_steps, rate):
    x = x.clone()
    for _ in range(n_steps):
        on = torch.sigmoid(W1.T @ x + c1)
        slope = sum(W2[j, unit] * on[j] * (1 - on[j]) * W1[:, j] for j in range(len(c1)))
        x = torch.minimum(torch.maximum(x + rate * slope, torch.zeros_like(x)), torch.ones_like(x))
    return x


def probe_by_dual(train, labels, test, strength):
    """The same ridge, solved over the examples."""
    mean = train.mean(0)
    x, y = train - mean, torch.nn.functional.one_hot(labels, 10).double()
    kernel = x @ x.T + strength * torch.eye(len(x)).double()
    return (test - mean) @ x.T @ torch.linalg.inv(kernel) @ y + y.mean(0)


def probe_by_rows_of_penalty(train, labels, test, strength):
    """Least squares with the penalty as extra examples."""
    mean, n = train.mean(0), train.shape[1]
    y = torch.zeros(len(labels), 10).double()
    y[torch.arange(len(labels)), labels] = 1
    x = torch.cat([train - mean, math.sqrt(strength) * torch.eye(n).double()])
    W = torch.linalg.pinv(x) @ torch.cat([y, torch.zeros(n, 10).double()])
    return y.mean(0) + (test - mean) @ W


FOUND = {
    "the start at the DBN makes fewer errors than the random one": True,
    "most errors on 100 labels": "pixels",
    "greedy training has seen the labels": False,
    "the strength may be chosen on the test images": False,
    "a better bound means better features": False,
}


def opposites_counting_down(n):
    """B's units say that at most j pixels are on; A has one idle unit."""
    s = 30.0 / n
    idle = torch.zeros(n, 1), torch.zeros(n), torch.zeros(1)
    return idle, (torch.full((n, n), -3 * s), torch.zeros(n), 3 * s * (torch.arange(n) + 0.5))


def opposites_with_extras(n):
    """A's single unit nearly sleeps; B has a spare copy of the first pixel beside its counters."""
    counters = torch.full((n, n), 12.0)
    W = torch.cat([counters, 12 * torch.eye(n)[:, :1]], 1)
    c = torch.cat([-12 * (torch.arange(n) + 0.5), torch.tensor([-6.0])])
    return (torch.full((n, 1), 1e-3), torch.zeros(n), torch.full((1,), -4.0)), (W, torch.zeros(n), c)


RIGHT = {
    "6.1": [moves_by_autograd, moves_example_by_example],
    "6.2": [(kls_by_library, KL_ANSWERS), (kls_by_joint_tables, dict(reversed(KL_ANSWERS.items())))],
    "6.3": [sleep_by_states, sleep_by_steps],
    "6.4": [bound_by_loops, bound_by_hypot],
    "6.5": [(combine_by_sum, maximise_by_autograd), (combine_by_product, maximise_unit_by_unit)],
    "6.6": [(probe_by_dual, FOUND), (probe_by_rows_of_penalty, dict(reversed(FOUND.items())))],
    "6.7": [opposites_counting_down, opposites_with_extras],
}
