"""Right answers of chapter 04 on what a DBN is, written in other ways than the checks' own."""
import torch

from deepgen_lib import DBN, RBM, all_states, dbn_joint_log_prob, dbn_posterior, joint_log_prob, kl_divergence


def rbm(W, b, c):
    machine = RBM(*W.shape).double().requires_grad_(False)
    machine.load_state_dict({"W": W, "b": b, "c": c})
    return machine


def network(W1, b0, W2, b1, b2, c1=None):
    return DBN([rbm(W1, b0, torch.zeros_like(b1) if c1 is None else c1), rbm(W2, b1, b2)]).requires_grad_(False)


def conditionals_by_library(W1, b0, c1, W2, b1, b2, x, h1, h2):
    dbn = network(W1, b0, W2, b1, b2, c1)
    inputs = dbn.generation_logits(1, h1), dbn.recognition_logits(1, x), dbn.top.visible_logits(h2), dbn.top.hidden_logits(h1)
    return [a.sigmoid() for a in inputs]


def conditionals_by_tables(W1, b0, c1, W2, b1, b2, x, h1, h2):
    """Each read off the joint table of an RBM, by the number of the given state."""
    def table(machine, given, side):
        p = joint_log_prob(machine).exp()
        p = p if side == 0 else p.T
        other = all_states(machine.n_hidden if side == 0 else machine.n_visible)
        n = given.shape[1]
        rows = (given @ 2.0 ** torch.arange(n - 1, -1, -1).to(given)).long()
        return (p[rows] / p[rows].sum(1, keepdim=True)) @ other
    lower, upper = rbm(W1, b0, c1), rbm(W2, b1, b2)
    return table(lower, h1, 1), table(lower, x, 0), table(upper, h2, 1), table(upper, h1, 0)


def table_by_library(W1, b0, W2, b1, b2):
    return dbn_joint_log_prob(network(W1, b0, W2, b1, b2))


def table_by_coins(W1, b0, W2, b1, b2):
    x, h1, h2 = map(all_states, (4, 3, 2))
    on = torch.sigmoid(b0 + h1 @ W1.T)
    below = torch.where(x[:, None].bool(), on, 1 - on).log().sum(2)
    top = torch.stack([torch.stack([g @ W2 @ k + b1 @ g + b2 @ k for k in h2]) for g in h1])
    return below[:, :, None] + (top - top.exp().sum().log())[None]


def posterior_by_library(W1, b0, W2, b1, b2, x):
    return dbn_posterior(network(W1, b0, W2, b1, b2), x)


def posterior_by_joint(W1, b0, W2, b1, b2, x):
    p = table_by_coins(W1, b0, W2, b1, b2).exp().sum(2)
    rows = p[(x @ torch.tensor([8.0, 4.0, 2.0, 1.0]).to(x)).long()]
    return rows / rows.sum(1, keepdim=True)


def tangle_by_library(p):
    h1 = all_states(3)
    m = (p @ h1)[:, None]
    return kl_divergence(p, (m**h1 * (1 - m) ** (1 - h1)).prod(2))


def tangle_by_entropies(p):
    def entropy(q):
        return -torch.special.xlogy(q, q).sum(1)
    m = p @ all_states(3)
    return entropy(m) + entropy(1 - m) - entropy(p)


def data_by_comparison(rbms, x, u):
    h = x.clone()
    for t in range(len(rbms)):
        W, c = rbms[t]
        h = torch.where(torch.logit(u[t]) < torch.einsum("bi,ij->bj", h, W) + c, 1.0, 0.0).to(x)
    return h


def data_by_recursion(rbms, x, u):
    if not rbms:
        return x
    machine = rbm(rbms[0][0], torch.zeros(rbms[0][0].shape[0], dtype=x.dtype), rbms[0][1])
    return data_by_recursion(rbms[1:], u[0].lt(machine.hidden_logits(x).sigmoid()).to(x), u[1:])


RIGHT = {
    "4.1": [conditionals_by_library, conditionals_by_tables],
    "4.2": [table_by_library, table_by_coins],
    "4.3": [(posterior_by_library, tangle_by_library), (posterior_by_joint, tangle_by_entropies)],
    "4.4": [data_by_comparison, data_by_recursion],
}
