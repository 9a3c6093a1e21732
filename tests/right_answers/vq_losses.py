"""Right answers of chapter 09, written in other ways than the checks' own."""
import math

import torch


def mass_by_cdist(z, codes):
    ids = torch.cdist(z, codes, compute_mode="donot_use_mm_for_euclid_dist").min(1).indices
    q = torch.zeros(len(z), len(codes), dtype=torch.float64)
    q[torch.arange(len(z)), ids] = 1
    return q, codes.index_select(0, ids)


def mass_by_loop(z, codes):
    q = torch.zeros(len(z), len(codes))
    for row, point in zip(q, z):
        best = None
        for k, e in enumerate(codes):
            if best is None or (point - e).norm() < (point - codes[best]).norm():
                best = k
        row[best] = 1
    return q, q.double() @ codes


NATS = 64 * math.log(512)


def kl_by_one_hot(ids, log_prior):
    return -(torch.nn.functional.one_hot(ids, len(log_prior)).to(log_prior) @ log_prior).flatten(1).sum(1)


def kl_by_loop(ids, log_prior):
    return torch.stack([sum(-log_prior[k] for k in one.flatten()) for one in ids])


def loss_by_bound(log_likelihood, kl):
    return -(log_likelihood - kl)


def loss_by_sum(log_likelihood, kl):
    return torch.stack([-log_likelihood, kl]).sum(0)


TABLE = {f"{term}, {who}": "moves" if who in movers else "stays"
         for term, movers in {"reconstruction": ("encoder", "decoder"), "quantization": ("codes",), "commitment": ("encoder",)}.items() for who in ("encoder", "codes", "decoder")}


def pushes_by_autograd(x, z_e, codes, beta):
    z, e = z_e.clone().requires_grad_(True), codes.clone().requires_grad_(True)
    q = e[((z[:, None] - e) ** 2).sum(-1).argmin(1)]
    copied = z + (q - z).detach()
    loss = ((x - copied) ** 2).sum() / 2 + ((z.detach() - q) ** 2).sum() + beta * ((z - q.detach()) ** 2).sum()
    return torch.autograd.grad(loss, (z, e))


def pushes_by_hand(x, z_e, codes, beta):
    at_codes, at_z = torch.zeros_like(codes), []
    for point, z in zip(x, z_e):
        k = (z - codes).norm(dim=1).argmin()
        at_z.append(codes[k] - point + 2 * beta * (z - codes[k]))
        at_codes[k] += 2 * (codes[k] - z)
    return torch.stack(at_z), at_codes


def quantised(y, codes):
    order = codes.sort().values
    return order[torch.bucketize(y, (order[1:] + order[:-1]) / 2)]


def copied_by_borders(x, a, codes):
    return (2 * (quantised(x + a, codes) - x)).mean()


def copied_by_autograd(x, a, codes):
    shift = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    z = x + shift
    z_q = z + (quantised(z, codes) - z).detach()
    return torch.autograd.grad((x - z_q).square().mean(), shift)[0]


def true_by_borders(x, a, codes, eps):
    loss = lambda shift: sum(((x - quantised(x + shift, codes)) ** 2).tolist()) / len(x)
    return (loss(a + eps) - loss(a - eps)) / (eps + eps)


def true_by_pairs(x, a, codes, eps):
    up, down = quantised(x + a + eps, codes), quantised(x + a - eps, codes)
    return ((down - up) * (2 * x - up - down)).mean() / (2 * eps)


def walk_by_list(z, target, codes, rate, n_steps):
    ids = [int((z - codes).norm(dim=1).argmin())]
    while len(ids) <= n_steps:
        z = z + rate * (target - codes[ids[-1]])
        ids.append(int((z - codes).norm(dim=1).argmin()))
    return ids


def walk_by_autograd(z, target, codes, rate, n_steps):
    found, z = [], z.clone().requires_grad_(True)
    for _ in range(n_steps + 1):
        k = ((z - codes) ** 2).sum(1).argmin()
        found.append(k)
        loss = ((z + (codes[k] - z).detach() - target) ** 2).sum() / 2
        z = (z - rate * torch.autograd.grad(loss, z)[0]).detach().requires_grad_(True)
    return torch.stack(found)


def means_by_loop(z, codes):
    ids, new = torch.cdist(z, codes).argmin(1), codes.clone()
    for k in ids.unique():
        new[k] = z[ids == k].mean(0)
    return new


def means_by_one_hot(z, codes):
    q = torch.nn.functional.one_hot(torch.cdist(z, codes).argmin(1), len(codes)).to(z)
    n = q.sum(0)[:, None]
    return torch.where(n > 0, q.T @ z / n.clamp(min=1), codes)


def average_by_one_hot(batches, codes, decay):
    n, s, given = torch.ones(len(codes), 1, dtype=torch.float64), codes, []
    for z in batches:
        q = torch.nn.functional.one_hot(torch.cdist(z, codes).argmin(1), len(codes)).to(z)
        given.append(q @ codes)
        n, s = n.lerp(q.sum(0)[:, None], 1 - decay), s.lerp(q.T @ z, 1 - decay)
        codes = s / n
    return codes, torch.stack(given)


def average_code_by_code(batches, codes, decay):
    codes, given = codes.clone(), torch.zeros_like(batches)
    n, s = [1.0] * len(codes), [e.clone() for e in codes]
    for t, z in enumerate(batches):
        ids = torch.cdist(z, codes).argmin(1)
        given[t] = codes[ids]
        for k in range(len(codes)):
            n[k] = decay * n[k] + (1 - decay) * int((ids == k).sum())
            s[k] = decay * s[k] + (1 - decay) * z[ids == k].sum(0)
        codes = torch.stack([total / count for total, count in zip(s, n)])
    return codes, given


def row(*numbers):
    return torch.tensor([numbers], dtype=torch.float64)


def diagnosis_by_axes(push, beta):
    g_z, g_e = (g[0].tolist() for g in push(row(7.0, 0.0), row(0.0, 1.0), row(0.0, 0.0)))
    if abs(g_z[0]) < 1e-9:
        return "no straight-through"
    if abs(g_z[1]) < 1e-9:
        return "no commitment"
    if abs(g_e[1]) < 1e-9:
        return "codes frozen" if abs(g_z[1] - 2 * beta) < 1e-9 else "quantization pulls the encoder"
    return "right" if abs(g_z[1] - 2 * beta) < 1e-9 else "beta on the wrong term"


def diagnosis_by_table(push, beta):
    x, z, e = row(1.0, 5.0), row(-3.0, 2.0), row(-2.0, 2.0)
    copy, pull = e - x, z - e
    table = {"right": (1, beta, 1), "no straight-through": (0, beta, 1), "codes frozen": (1, beta, 0), "no commitment": (1, 0, 1),
             "beta on the wrong term": (1, 1, beta), "quantization pulls the encoder": (1, 1 + beta, 0)}
    g_z, g_e = push(x, z, e)
    return next(name for name, (c, w_z, w_e) in table.items() if torch.allclose(g_z, c * copy + 2 * w_z * pull) and torch.allclose(g_e, -2 * w_e * pull))


RIGHT = {
    "9.1": [mass_by_cdist, mass_by_loop],
    "9.2": [(NATS, kl_by_one_hot, loss_by_bound), (576 * math.log(2), kl_by_loop, loss_by_sum)],
    "9.3": [(TABLE, pushes_by_autograd), (dict(reversed(TABLE.items())), pushes_by_hand)],
    "9.4": [(copied_by_borders, true_by_borders), (copied_by_autograd, true_by_pairs)],
    "9.5": [walk_by_list, walk_by_autograd],
    "9.6": [means_by_loop, means_by_one_hot],
    "9.7": [average_by_one_hot, average_code_by_code],
    "9.8": [diagnosis_by_axes, diagnosis_by_table],
}
