"""Right answers of chapter 12, written in other ways than the checks' own."""
import torch
from numpy.polynomial.hermite_e import hermegauss
from torch.distributions import Normal, kl_divergence

from deepgen_lib.nvae import balance_weights
from deepgen_lib.residual_normal import ResidualNormal, relative_to, residual_normal_kl, two_normals_kl


def kl_by_torch(dmu, dsigma, sigma):
    return kl_divergence(Normal(dmu, sigma * dsigma), Normal(torch.zeros_like(dmu), sigma)).sum(1)


def kl_by_library(dmu, dsigma, sigma):
    return residual_normal_kl(dmu, dsigma.log(), sigma.log()).sum(1)


def there_by_library(mu_p, sigma_p, mu_q, sigma_q):
    r = relative_to(mu_p, sigma_p.log(), mu_q, sigma_q.log())
    return r.delta_mu, r.delta_log_sigma.exp()


def there_by_hand(mu_p, sigma_p, mu_q, sigma_q):
    return -(mu_p - mu_q), torch.exp(sigma_q.log() - sigma_p.log())


def back_by_draws(mu_p, sigma_p, dmu, dsigma):
    """z at noise 0, and how far noise 1 carries."""
    r = ResidualNormal(mu_p, sigma_p.log(), dmu, dsigma.log())
    return r.draw(torch.zeros_like(dmu)), r.draw(torch.ones_like(dmu)) - r.draw(torch.zeros_like(dmu))


def back_by_hand(mu_p, sigma_p, dmu, dsigma):
    return dmu + mu_p, torch.exp(sigma_p.log() + dsigma.log())


TIES = {
    "every normal q can be written relative to p": True,
    "the head that says dmu and dsigma has weights of its own": True,
    "the formula of N5 by itself makes p and q use the same weights": False,
    "the KL of a relative q depends on the prior's mean": False,
    "a relative q whose head says (0, 1) has KL 0, whatever p is": True,
}


def slopes_by_autograd(mu, log_sigma, dmu, log_dsigma):
    four = [v.clone().requires_grad_() for v in (mu, log_sigma, dmu, log_dsigma)]
    m, s, d, t = four
    total = two_normals_kl(m + d, s + t, m, s).sum()
    return torch.autograd.grad(total, four, materialize_grads=True)


def slopes_by_hand(mu, log_sigma, dmu, log_dsigma):
    sigma = torch.exp(log_sigma)
    return 0 * mu, -(dmu**2) / sigma**2, dmu / sigma**2, torch.expm1(2 * log_dsigma)


TEACHERS = {"in the relative way the prior's mean learns from": "reconstruction", "an absolute prior that is detached in the KL learns from": "nothing"}


def groups_by_quadrature(m, t, c0, c1, d, s):
    """The mean over z1 at 40 places, good to many digits for exponentials as mild as these."""
    places, weights = map(torch.from_numpy, hermegauss(40))
    weights = weights / weights.sum()
    z1 = m[:, None] + t[:, None] * places
    spread = s[:, None].expand_as(z1)
    second = kl_divergence(Normal(c0[:, None] + c1[:, None] * z1, spread * torch.exp(d[:, None] * z1)), Normal(torch.zeros_like(z1), spread))
    return kl_divergence(Normal(m, t), Normal(torch.zeros_like(m), torch.ones_like(m))) + second @ weights


def groups_by_library(m, t, c0, c1, d, s):
    first = residual_normal_kl(m, t.log(), torch.zeros_like(m))
    at_mean = residual_normal_kl(c0 + c1 * m, d * m, s.log())
    return first + at_mean + 0.5 * (c1 * t / s) ** 2 + 0.5 * torch.exp(2 * d * m) * torch.expm1(2 * (d * t) ** 2)


def start_by_textbook(slope, sigma, a, b):
    absolute = two_normals_kl(a, b.log(), torch.zeros_like(a), sigma.log()) + 0.5 * (slope / sigma) ** 2
    return residual_normal_kl(a, b.log(), sigma.log()), absolute


def start_by_two_points(slope, sigma, a, b):
    """z1 = 1 and -1: mean 0, mean square 1, enough for a parabola."""
    costs = [relative_to(slope * z1, sigma.log(), a, b.log()).kl() for z1 in (-1.0, 1.0)]
    return ResidualNormal(slope, sigma.log(), a, b.log()).kl(), (costs[0] + costs[1]) / 2


JUMPS = {
    "the prior jumps and the decoder stays: a relative q pays": "reconstruction",
    "the prior jumps and the decoder stays: an absolute q pays": "KL",
    "at the size of this chapter's network the relative way saves many nats after training": False,
}


def meter_in_a_loop(kl, sizes):
    nats = [sum(row) / len(kl) for row in kl.T]
    rates = [n / size for n, size in zip(nats, sizes)]
    whole = sum(rates)
    return torch.stack(nats), torch.stack([len(rates) * r / whole for r in rates]), torch.tensor([1.0 if r < 0.01 else 0.0 for r in rates], dtype=kl.dtype)


def meter_by_einsum(kl, sizes):
    nats = torch.einsum("bl->l", kl) / kl.shape[0]
    per_number = nats / sizes
    near = balance_weights(kl, sizes)  # the library adds a hundredth of a nat to every group
    weights = per_number / per_number.sum() * len(sizes)
    assert (near - weights).abs().max() < 0.1
    return nats, weights, (per_number < 0.01).to(kl.dtype)


METER = {
    "a total of 10 nats shows that every group is used": False,
    "a silent group can be drawn from its prior and the reconstruction hardly changes": True,
    "balancing weights belong into the bound that is reported": False,
    "of 10 nats in all, the most that one group can hold": 10.0,
}

RIGHT = {
    "12.1": [kl_by_torch, kl_by_library],
    "12.2": [(there_by_library, back_by_draws, TIES), (there_by_hand, back_by_hand, dict(TIES))],
    "12.3": [(slopes_by_autograd, TEACHERS), (slopes_by_hand, {key: value.upper() for key, value in TEACHERS.items()})],
    "12.4": [groups_by_quadrature, groups_by_library],
    "12.5": [(start_by_textbook, JUMPS), (start_by_two_points, {key: value.upper() if isinstance(value, str) else value for key, value in JUMPS.items()})],
    "12.6": [(meter_in_a_loop, METER), (meter_by_einsum, METER | {"of 10 nats in all, the most that one group can hold": 10})],
}
