"""Right answers of chapter 05, written in other ways than the checks' own."""
import torch

from deepgen_lib import DBN, RBM, aggregated_posterior, all_states, joint_log_prob, random_rbm, tied_rbm, visible_log_prob
from deepgen_lib.dbn_bound import log_generation


def model(W, b, c):
    rbm = RBM(*W.shape).double().requires_grad_(False)
    rbm.load_state_dict({"W": torch.as_tensor(W).double(), "b": torch.as_tensor(b).double(), "c": torch.as_tensor(c).double()})
    return rbm


def prior_by_joint(W, b, c):
    return joint_log_prob(model(W, b, c)).logsumexp(0)


def prior_by_loop(W, b, c):
    rows = []
    for h in all_states(len(c)):
        rows.append(torch.stack([x @ W @ h + b @ x + c @ h for x in all_states(len(b))]).logsumexp(0))
    f = torch.stack(rows)
    return f - f.logsumexp(0)


def tied_by_library(W, b, c):
    top = tied_rbm(model(W, b, c))
    return top.W.detach(), top.b.detach(), top.c.detach()


def tied_by_hand(W, b, c):
    return torch.einsum("vh->hv", W).clone(), c.clone(), b.clone()


def network_by_library(W, b, W2, b2, c2):
    return DBN([model(W, b, torch.zeros(len(b2))), model(W2, b2, c2)]).layer_log_prob(0).detach()


def network_by_products(W, b, W2, b2, c2):
    x, h = all_states(len(b)), all_states(len(b2))
    p_h = (h @ b2 + torch.log1p(torch.exp(c2 + h @ W2)).sum(1)).softmax(0)
    on = torch.sigmoid(h @ W.T + b)
    coins = torch.where(x[:, None].bool(), on, 1 - on).prod(2)
    return (coins @ p_h).log()


PREDICTED = {"reconstruction": "stays", "prior": "moves", "entropy": "stays", "log p(x)": "moves", "gap": "moves"}


def slope_by_autograd(W, b, c, q):
    parts = [part.clone().requires_grad_(True) for part in (W, b, c)]
    h = all_states(len(b))
    log_p = (h @ parts[1] + torch.nn.functional.softplus(parts[2] + h @ parts[0]).sum(1)).log_softmax(0)
    return torch.autograd.grad((q @ log_p).mean(), parts)


def slope_by_pictures(W, b, c, q):
    rbm, h = model(W, b, c), all_states(len(b))
    on, p = torch.sigmoid(rbm.hidden_logits(h)), visible_log_prob(rbm).exp()
    pairs = h[:, :, None] * on[:, None]                                   # (K, n, m)
    average = lambda weights, values: torch.tensordot(weights, values, 1)
    return tuple(torch.stack([average(row, values) - average(p, values) for row in q]).mean(0) for values in (pairs, h, on))


def likelihood_by_autograd(W, b, c, decoder):
    parts = [part.clone().requires_grad_(True) for part in (W, b, c)]
    h = all_states(len(b))
    log_p = (h @ parts[1] + torch.nn.functional.softplus(parts[2] + h @ parts[0]).sum(1)).log_softmax(0)
    return torch.autograd.grad((decoder + log_p).logsumexp(1).mean(), parts)


def likelihood_by_posterior(W, b, c, decoder):
    joint = decoder.exp() * visible_log_prob(model(W, b, c)).exp()
    return slope_by_pictures(W, b, c, joint / joint.sum(1, keepdim=True))


def recursion_by_products(log_p, layers):
    p = log_p.exp()
    for W, b in layers:
        on = torch.sigmoid(all_states(W.shape[1]) @ W.T + b)
        p = torch.where(all_states(len(b))[:, None].bool(), on, 1 - on).prod(2) @ p
    return p.log()


def recursion_by_recursion(log_p, layers):
    if not layers:
        return log_p
    (W, b), *rest = layers
    decoder = log_generation(DBN([model(W, b, torch.zeros(W.shape[1])), model(torch.zeros(W.shape[1], 1), torch.zeros(W.shape[1]), torch.zeros(1))]), 1)
    return recursion_by_recursion(torch.logsumexp(decoder.detach() + log_p, 1), rest)


def padded_by_library(W, b, c, n_hidden):
    top = tied_rbm(model(W, b, c), n_hidden=n_hidden)
    return top.W.detach(), top.b.detach(), top.c.detach()


def padded_with_free_biases(W, b, c, n_hidden):
    """Any bias will do for a unit without weights; the order of the units is free too."""
    extra = n_hidden - len(b)
    order = torch.arange(n_hidden - 1, -1, -1)
    wide = torch.nn.functional.pad(W.T, (0, extra))
    return wide[:, order], c, torch.cat([b, torch.linspace(-3, 2, extra)])[order]


def chain_of_the_rbm(W, b, c, h, u_up, u_down, u_x):
    """T2: the RBM's own chain, h -> x -> h -> ... -> x."""
    for noise_x, noise_h in zip(u_up, u_down):
        x = torch.where(noise_x < 1 / (1 + torch.exp(-(h @ W.T + b))), 1.0, 0.0).to(h)
        h = torch.where(noise_h < 1 / (1 + torch.exp(-(x @ W + c))), 1.0, 0.0).to(h)
    return torch.where(u_x < 1 / (1 + torch.exp(-(h @ W.T + b))), 1.0, 0.0).to(h)


def chain_by_logits(W, b, c, h, u_up, u_down, u_x):
    W2, b2, c2 = W.T, c, b
    for step in range(u_up.shape[0]):
        above = (torch.logit(u_up[step]) < h @ W2 + c2).double()
        h = (torch.logit(u_down[step]) < above @ W2.T + b2).double()
    return (torch.logit(u_x) < h @ W.T + b).double()


def curves_at_once(decoder, q, log_priors):
    joint = decoder + log_priors[:, None]                                 # (T, N, K)
    log_p = joint.logsumexp(2)
    bound = (q * (joint - q.log())).sum(2)
    return torch.stack([log_p.mean(1), bound.mean(1), (log_p - bound).mean(1)], 1)


def curves_one_by_one(decoder, q, log_priors):
    table = []
    for log_p_h in log_priors:
        found = []
        for row, guess in zip(decoder, q):
            p_joint = (row + log_p_h).exp()
            post = p_joint / p_joint.sum()
            found.append([p_joint.sum().log(), (guess * (p_joint / guess).log()).sum(), (guess * (guess / post).log()).sum()])
        table.append(torch.tensor(found).mean(0))
    return torch.stack(table)


def broken(seed, n_pictures):
    """A random 4-3-4-3 network whose third layer is replaced by one without weights: the bound rises, log p(x) falls."""
    rng = torch.Generator().manual_seed(seed)
    first, second = random_rbm(4, 3, scale=2.0, rng=rng), random_rbm(3, 4, scale=2.0, rng=rng)
    x = all_states(4)[torch.randperm(16, generator=rng)[:n_pictures]]
    start = tied_rbm(second)
    q = aggregated_posterior(DBN([first, second, start]), x, level=2).detach()
    third = model(0 * start.W.detach(), torch.logit(q @ all_states(4)), start.c.detach())  # independent units with the aggregate's means
    return {"first": first, "second": second, "third": third, "x": x}


RIGHT = {
    "5.1": [(prior_by_joint, tied_by_library, network_by_library), (prior_by_loop, tied_by_hand, network_by_products)],
    "5.2": [(PREDICTED, slope_by_autograd, likelihood_by_autograd), (dict(reversed(PREDICTED.items())), slope_by_pictures, likelihood_by_posterior)],
    "5.3": [recursion_by_products, recursion_by_recursion],
    "5.4": [padded_by_library, padded_with_free_biases],
    "5.5": [chain_of_the_rbm, chain_by_logits],
    "5.6": [curves_at_once, curves_one_by_one],
    "5.7": [broken(7, 2), broken(11, 3)],
}
