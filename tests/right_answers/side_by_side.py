"""Right answers of chapter 13, written in other ways than the checks' own."""
import math

import torch

from deepgen_lib import all_states

INF = float("inf")
LEGAL = {"A: bound -88, B: exact -91": "A", "A: bound -88, B: exact -86": "cannot say", "A: bound -88, B: bound -91": "cannot say", "A: plain bound -88, B: importance-weighted bound -87": "cannot say",
         "A: exact -70 on thresholded pixels, B: exact -86 on sampled ones": "cannot say", "A: -85 with a log Z that is too low, B: exact -83": "B"}
PROTOCOL = {"an RBM's -F(x) - log Z, fed with grey x, against its mean over sampled x, is": "never higher", "an RBM trained on sampled pixels, asked about thresholded ones, scores": "higher, and is no better model for it",
            "two models, both scored on sampled and both on thresholded pixels: the better one is the same": "not always"}
DILUTED = {"largest loss with a share of 1 %, in nats": 4.605170186, "largest loss with a share of 0.01 %, in nats": 9.210340372, "share of noise among the samples of the first": 0.99,
           "a model that recites training pictures, each pixel wrong once in a million: its samples and its test score are": "perfect and bad"}


def interval_by_if(score, error, kind):
    low = high = score
    if kind != "exact":
        low, high = score - 3 * error, score + 3 * error
    if kind == "bound":
        high = 0
    if kind == "flattering":
        low = -INF
    return low, high


def interval_by_reach(score, error, kind):
    down = {"exact": 0.0, "flattering": INF}.get(kind, 3 * error)
    up = {"exact": 0.0, "bound": -score}.get(kind, 3 * error)
    return [score - down, score + up]


def verdict_by_sign(a, b):
    ahead, behind = a[0] - b[1], b[0] - a[1]
    return "first" if ahead > 0 else "second" if behind > 0 else "cannot say"


def verdict_by_order(a, b):
    (low, who), (other_low, other) = sorted([(a[0], "first"), (b[0], "second")])
    high = {"first": a[1], "second": b[1]}[who]
    return other if other_low > high else "cannot say"


def units_by_product(log_density, n_dims, factor):
    return log_density - sum(math.log(factor) for _ in range(n_dims))


def units_by_tensor(log_density, n_dims, factor):
    return log_density - torch.full((n_dims,), factor, dtype=torch.float64).log().sum()


def draws_by_bernoulli(log_p, grey):
    states = all_states(grey.shape[1])
    chances = torch.distributions.Bernoulli(grey[:, None]).log_prob(states).sum(2).exp()
    return (chances * log_p).sum(1)


def draws_pixel_by_pixel(log_p, grey):
    rows = []
    for g in grey:
        table = log_p
        for chance in g:                                            # the first pixel is the most significant
            dark, lit = table.chunk(2)
            table = (1 - chance) * dark + chance * lit
        rows.append(table[0])
    return torch.stack(rows)


def diluted_by_stack(log_p, log_noise, share):
    return torch.logsumexp(torch.stack([log_p + math.log(share), log_noise + math.log(1 - share)]), 0)


def diluted_by_softplus(log_p, log_noise, share):
    first, second = log_p + math.log(share), log_noise + math.log(1 - share)
    return first + torch.nn.functional.softplus(second - first, threshold=1e9)


def groups_by_loop(log_joint, log_q, k):
    log_w = log_joint - log_q
    return sum(torch.logsumexp(chunk, 0) - math.log(k) for chunk in log_w.split(k)) * k / len(log_w)


def groups_by_softmax_shift(log_joint, log_q, k):
    log_w = torch.stack((log_joint - log_q).split(k))
    top = log_w.amax(1, keepdim=True)
    return (top[:, 0] + (log_w - top).exp().mean(1).log()).mean(0)


def probe_by_lstsq(train, valid, test, decays):
    m, s = train[0].mean(0), train[0].std(0)
    x, n = (train[0] - m) / s, train[0].shape[1]
    y = torch.nn.functional.one_hot(train[1], 3).double()
    fits = []
    for decay in decays:
        rows = torch.cat([x - x.mean(0), math.sqrt(decay) * torch.eye(n, dtype=x.dtype)])
        W = torch.linalg.lstsq(rows, torch.cat([y - y.mean(0), torch.zeros(n, 3, dtype=x.dtype)])).solution
        fits.append((W, y.mean(0) - x.mean(0) @ W))
    error = lambda fit, data: (((data[0] - m) / s @ fit[0] + fit[1]).argmax(1) != data[1]).double().mean().item()
    found = [error(fit, valid) for fit in fits]
    k = found.index(min(found))
    return decays[k], error(fits[k], test)


def probe_by_augmented(train, valid, test, decays):
    m, s = train[0].mean(0), train[0].std(0)
    with_one = lambda data: torch.cat([(data[0] - m) / s, torch.ones(len(data[0]), 1, dtype=torch.float64)], 1)
    best = (2.0, None, None)
    for decay in decays:
        x = with_one(train)
        penalty = torch.full((x.shape[1],), decay, dtype=x.dtype)
        penalty[-1] = 0
        W = torch.linalg.inv(x.T @ x + penalty.diag()) @ x.T @ torch.eye(3, dtype=x.dtype)[train[1]]
        wrong = ((with_one(valid) @ W).argmax(1) != valid[1]).double().mean().item()
        if wrong < best[0]:
            best = (wrong, decay, W)
    _, decay, W = best
    return [decay, ((with_one(test) @ W).argmax(1) != test[1]).double().mean().item()]


def supported_by_loops(rows):
    found = []
    for a in rows:
        for b in rows:
            if a[1] == b[1] and interval_by_if(a[3], a[4], a[2])[0] > interval_by_if(b[3], b[4], b[2])[1]:
                found.append((a[0], b[0]))
    return sorted(found)


def supported_by_protocol(rows):
    homes = {}
    for name, home, kind, score, error in rows:
        homes.setdefault(home, {})[name] = interval_by_reach(score, error, kind)
    return sorted([a, b] for own in homes.values() for a, (low, _) in own.items() for b, (_, high) in own.items() if low > high)


RIGHT = {
    "13.1": [(interval_by_if, verdict_by_sign, LEGAL), (interval_by_reach, verdict_by_order, dict(reversed(LEGAL.items())))],
    "13.2": [(units_by_product, draws_by_bernoulli, PROTOCOL), (units_by_tensor, draws_pixel_by_pixel, dict(reversed(PROTOCOL.items())))],
    "13.3": [(diluted_by_stack, DILUTED), (diluted_by_softplus, dict(reversed(DILUTED.items())))],
    "13.4": [groups_by_loop, groups_by_softmax_shift],
    "13.5": [probe_by_lstsq, probe_by_augmented],
    "13.6": [supported_by_loops, supported_by_protocol],
}
