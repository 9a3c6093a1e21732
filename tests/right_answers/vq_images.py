"""Right answers of chapter 10, written in other ways than the checks' own."""
import math

import torch

BETA = 0.25
LEDGER = {"343 bits are what this model needs to send a digit without loss": False, "with a code book of a single code the codes cost no bits": True,
          "the bound is exact where one map of codes has all of the posterior": True, "a model with fewer bits per dimension draws better samples": False}
LEVELS = {"without the bottom level the error grows more in": "detail", "without the top level the error grows more in": "layout",
          "to sample, draw first the": "top", "a level that nobody misses when it is removed": "holds nothing that the others lack"}


def by_one_pair(quantise):
    """One vector, two codes: the second is nearer, the first has the larger product."""
    z = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    codes = torch.tensor([[5.0, 0.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    q, loss = quantise(z, codes)
    if q[0, 0].abs() > 1e-9:
        return "not the nearest code"
    q[0, 0].backward(retain_graph=True)
    reaches_z = z.grad is not None and float(z.grad[0, 0]) == 1
    reaches_codes = codes.grad is not None and float(codes.grad.abs().sum()) > 0
    if reaches_codes:
        return "the decoder moves the codes" if reaches_z else "no straight-through"
    z.grad = codes.grad = None
    loss.sum().backward()
    pull = 0.0 if z.grad is None else float(z.grad[0, 0])
    return {0.0: "no commitment", 2 * BETA: "healthy", 2.0: "beta on the wrong term"}[pull]


def by_four_gradients(quantise):
    """Four gradients and a value, on random vectors."""
    g = torch.Generator().manual_seed(5)
    z, codes = torch.randn(30, 2, generator=g).double().requires_grad_(), torch.randn(4, 2, generator=g).double().requires_grad_()
    near = codes[((z[:, None] - codes[None]) ** 2).sum(2).argmin(1)].detach()
    q, loss = quantise(z, codes)
    if (q - near).abs().max() > 1e-6:
        return "not the nearest code"
    dz, dc = torch.autograd.grad(q.sum(), (z, codes), retain_graph=True, allow_unused=True)
    if dz is None:
        return "no straight-through"
    if dc is not None:
        return "the decoder moves the codes"
    dz, dc = torch.autograd.grad(loss.sum(), (z, codes), allow_unused=True)
    if dz is None or float(dz.abs().max()) == 0:
        return "no commitment"
    return "healthy" if torch.allclose(dz, 2 * BETA * (z - near)) else "beta on the wrong term"


def perplexity_in_bits(counts):
    shares = [float(n) / float(counts.sum()) for n in counts.sum(0) if n > 0]
    return 2 ** -sum(p * math.log2(p) for p in shares)


def perplexity_by_categorical(counts):
    return torch.distributions.Categorical(probs=counts.sum(0)).entropy().exp()


def revive_in_place(codes, counts, sums, fresh, below):
    codes, counts, sums = codes.clone(), counts.clone(), sums.clone()
    dead = counts < below
    codes[dead], counts[dead], sums[dead] = fresh[dead], 1.0, fresh[dead]
    return codes, counts, sums


def revive_code_by_code(codes, counts, sums, fresh, below):
    rows = [(f, torch.ones(()).double(), f) if n < below else (e, n, s) for e, n, s, f in zip(codes, counts, sums, fresh)]
    return tuple(torch.stack(part) for part in zip(*rows))


def ledger_in_steps(log_prior, log_pixels, n_positions, n_codes, n_dims):
    uniform = math.log(n_codes**n_positions) / math.log(2) / n_dims
    learned = float(-log_prior.sum()) / len(log_prior) / (n_dims * math.log(2))
    pixels = float(-log_pixels.sum()) / len(log_pixels) / (n_dims * math.log(2))
    return [uniform, learned, pixels, learned + pixels]


def ledger_by_tensor(log_prior, log_pixels, n_positions, n_codes, n_dims):
    rows = torch.stack([log_prior, log_pixels, log_prior + log_pixels]).mean(1) / -(n_dims * math.log(2))
    return torch.tensor(n_codes).double().log2() * n_positions / n_dims, *rows


def mask_by_hand(k, sees_itself):
    mask, centre = torch.zeros(k, k), k // 2
    mask[:centre] = 1
    mask[centre, :centre] = 1
    mask[centre, centre] = float(sees_itself)
    return mask


def mask_by_list(k, sees_itself):
    return torch.tensor([[float((i, j) < (k // 2, k // 2) or (sees_itself and i == j == k // 2)) for j in range(k)] for i in range(k)])


def sample_flat(log_p, u):
    ids = torch.zeros(u.shape, dtype=torch.int64)
    for place in range(u.numel()):
        i, j = divmod(place, u.shape[1])
        ids[i, j] = torch.searchsorted(log_p(ids)[:, i, j].exp().cumsum(0), u[i, j], right=True)
    return ids


def sample_by_loop(log_p, u):
    ids = torch.zeros(u.shape, dtype=torch.int64)
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            left, k = float(u[i, j]), 0
            p = log_p(ids)[:, i, j].exp().tolist()
            while left >= p[k]:
                left -= p[k]
                k += 1
            ids[i, j] = k
    return ids


def split_by_blocks(x, y, block):
    d = x - y
    means = d.unfold(2, block, block).unfold(3, block, block).mean((4, 5))
    spread = means.repeat_interleave(block, 2).repeat_interleave(block, 3)
    return (spread**2).mean(), ((d - spread) ** 2).mean()


def split_by_reshape(x, y, block):
    n, c, h, w = x.shape
    d = (x - y).reshape(n, c, h // block, block, w // block, block)
    middle = d.mean((3, 5), keepdim=True)
    return middle.pow(2).mean(), (d - middle).pow(2).mean()


RIGHT = {
    "10.1": [by_one_pair, by_four_gradients],
    "10.2": [perplexity_in_bits, perplexity_by_categorical],
    "10.3": [revive_in_place, revive_code_by_code],
    "10.4": [(ledger_in_steps, LEDGER), (ledger_by_tensor, dict(reversed(LEDGER.items())))],
    "10.5": [(mask_by_hand, sample_flat), (mask_by_list, sample_by_loop)],
    "10.6": [(split_by_blocks, LEVELS), (split_by_reshape, dict(reversed(LEVELS.items())))],
}
