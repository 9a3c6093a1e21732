"""Exercises of chapter 12, first half: the divergence of a relative posterior, writing q relative to p, whom the divergence teaches."""
import torch
from torch import Tensor

from .engine import Exercise, Part, register

CHAPTER = "12_nvae_kl"
_F64 = torch.float64


def _normal(*shape: int, rng: torch.Generator, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng, dtype=_F64)


def _scale(*shape: int, rng: torch.Generator, spread: float = 0.5) -> Tensor:
    return torch.exp(_normal(*shape, rng=rng, scale=spread))


def _kl(dmu, dsigma, sigma):
    return (0.5 * (dmu**2 / sigma**2 + dsigma**2 - torch.log(dsigma**2) - 1)).sum(1)


def _terms(f):
    """A wrong formula for one dimension, added up as it should be."""
    return lambda dmu, dsigma, sigma: f(dmu, dsigma, sigma).sum(1)


def _posteriors(rng):
    def case(n: int, k: int) -> tuple:
        return 2 + _normal(n, k, rng=rng), _scale(n, k, rng=rng), _scale(n, k, rng=rng)
    return {"4 pictures, 3 dimensions": case(4, 3), "2 pictures, 5 dimensions": case(2, 5)}


relative_kl = register(Exercise(
    id="12.1", name="relative_kl", title="The divergence in four terms", level="core", minutes=5, chapter=CHAPTER,
    success="zero at no difference, never negative, nats for each picture",
    hints=("*Nudge.* Start from E_q[log q - log p]. The 2π cancel, and so does mu: only how far q's mean is from it matters.",
           r"*Equation.* $-\log\Delta\sigma-\frac12+\frac{\Delta\mu^2+\sigma^2\Delta\sigma^2}{2\sigma^2}$ for one dimension; add up over dimensions.",
           "*Pseudo-code.* `(0.5 * (dmu**2 / sigma**2 + dsigma**2 - log(dsigma**2) - 1)).sum(1)`."),
    parts=(Part(
        right=_kl, inputs=_posteriors, axes=("B",),
        misconceptions={
            "log dsigma": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + t**2 - t.log() - 1)), "you take the logarithm of dsigma; it is that of its square, twice as much. Yours goes below zero at dmu = 0, dsigma = 0.8"),
            "dsigma a logarithm": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + (2 * t).exp() - 2 * t - 1)), "you take dsigma for a logarithm, as the library's function does; here it is the factor itself"),
            "log outside the half": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + t**2 - 1) - (t**2).log()), "your logarithm stands outside of the half: ½ log dsigma², which is log dsigma once"),
            "dsigma not squared": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + t - (t**2).log() - 1)), "dsigma is not squared: q's variance in units of the prior's is dsigma²"),
            "dmu not squared": (_terms(lambda d, t, s: 0.5 * (d / s**2 + t**2 - (t**2).log() - 1)), "dmu is not squared: a shift to either side costs the same (with dmu = 1 one does not see it)"),
            "sigma not squared": (_terms(lambda d, t, s: 0.5 * (d**2 / s + t**2 - (t**2).log() - 1)), "dmu² is divided by sigma; the prior's variance, sigma², belongs there"),
            "sigma dsigma": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + (s * t) ** 2 - ((s * t) ** 2).log() - 1)), "you put sigma · dsigma, q's own scale, where dsigma belongs: the KL asks for q's scale in units of the prior's"),
            "posterior's variance": (_terms(lambda d, t, s: 0.5 * (d**2 / (s * t) ** 2 + t**2 - (t**2).log() - 1)), "you divide dmu² by the posterior's variance; distances are measured in the prior's sigma²"),
            "reversed": (_terms(lambda d, t, s: 0.5 * (d**2 / (s * t) ** 2 + 1 / t**2 + (t**2).log() - 1)), "that is KL(p‖q), reversed: the mean is taken over q"),
            "no -1": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + t**2 - (t**2).log())), "the -1 is missing: at dmu = 0, dsigma = 1 yours is a half per dimension, and must be 0"),
            "added scales": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + ((s + t) / s) ** 2 - (((s + t) / s) ** 2).log() - 1)), "q's scale is sigma times dsigma; you add them"),
            "no log": (_terms(lambda d, t, s: 0.5 * (d**2 / s**2 + t**2 - 1)), "the logarithm is missing: without it nothing keeps dsigma from going to zero"),
            "no half": (_terms(lambda d, t, s: d**2 / s**2 + t**2 - (t**2).log() - 1), "the factor ½ is missing"),
            "not summed": (lambda d, t, s: 0.5 * (d**2 / s**2 + t**2 - (t**2).log() - 1), "that is the cost of every dimension; add up over them, axis 1"),
            "mean over dimensions": (lambda d, t, s: _kl(d, t, s) / d.shape[1], "you average over the dimensions; they add up"),
            "over the batch": (lambda d, t, s: (0.5 * (d**2 / s**2 + t**2 - (t**2).log() - 1)).sum(0), "you add up over the pictures; one number for each of them is asked"),
        }),)))


def _relative(mu_p, sigma_p, mu_q, sigma_q):
    return mu_q - mu_p, sigma_q / sigma_p


def _absolute(mu_p, sigma_p, dmu, dsigma):
    return mu_p + dmu, sigma_p * dsigma


def _two_normals(rng):
    def case(*shape: int) -> tuple:
        return _normal(*shape, rng=rng), _scale(*shape, rng=rng), _normal(*shape, rng=rng), _scale(*shape, rng=rng)
    return {"3 numbers": case(3), "2 pictures, 4 numbers": case(2, 4)}


_Q = {"all": "every normal q can be written relative to p", "own": "the head that says dmu and dsigma has weights of its own", "tied": "the formula of N5 by itself makes p and q use the same weights",
      "mean": "the KL of a relative q depends on the prior's mean", "zero": "a relative q whose head says (0, 1) has KL 0, whatever p is"}
_ANSWERS = {_Q["all"]: True, _Q["own"]: True, _Q["tied"]: False, _Q["mean"]: False, _Q["zero"]: True}

beside_the_prior = register(Exercise(
    id="12.2", name="beside_the_prior", title="There and back", level="core", minutes=10, chapter=CHAPTER,
    success="nothing is lost either way: both ways can write the same posteriors",
    hints=("*Nudge.* A mean moves by adding, a scale by multiplying. Which two operations undo that?",
           r"*Equation.* $\Delta\mu=\mu_q-\mu_p$, $\Delta\sigma=\sigma_q/\sigma_p$; back: $\mu_p+\Delta\mu$, $\sigma_p\,\Delta\sigma$.",
           "*Pseudo-code.* `mu_q - mu_p, sigma_q / sigma_p`; `mu_p + dmu, sigma_p * dsigma`. The questions: sections 12.1, 12.3 and 12.5."),
    parts=(
        Part(name="relative", right=_relative, inputs=_two_normals, misconceptions={
            "subtracted scales": (lambda m, s, n, t: (n - m, t - s), "scales are divided, not subtracted: dsigma is a factor, and never negative"),
            "upside down": (lambda m, s, n, t: (n - m, s / t), "dsigma is upside down: q's scale over the prior's"),
            "prior minus q": (lambda m, s, n, t: (m - n, t / s), "dmu has the wrong sign: q's mean minus the prior's"),
            "seen from q": (lambda m, s, n, t: (m - n, s / t), "that is p seen from q; q seen from p is asked: q minus p, q over p"),
            "stacked": (lambda m, s, n, t: torch.stack((n - m, t / s)), "return the two with a comma between them, not one tensor that holds both"),
            "in sigmas": (lambda m, s, n, t: ((n - m) / s, t / s), "dmu is a plain difference here, not counted in sigmas: the formula divides by sigma² itself"),
            "log": (lambda m, s, n, t: (n - m, (t / s).log()), "that is the logarithm of dsigma; give dsigma"),
            "unchanged": (lambda m, s, n, t: (n, t), "that is q outright; write it relative to p"),
        }),
        Part(name="absolute", right=_absolute, inputs=_two_normals, misconceptions={
            "added scales": (lambda m, s, d, t: (m + d, s + t), "you add the scales; dsigma multiplies"),
            "prior forgotten": (lambda m, s, d, t: (d, t), "that is what the head says; the prior's mean and scale are missing"),
            "mean in sigmas": (lambda m, s, d, t: (m + s * d, s * t), "dmu is not counted in sigmas: add it as it is"),
            "mean multiplied": (lambda m, s, d, t: (m * d, s * t), "means are added, not multiplied"),
            "scale unchanged": (lambda m, s, d, t: (m + d, t), "q's scale is sigma · dsigma; yours forgets the prior's"),
        }),
        Part(name="answers", right=_ANSWERS, misconceptions={
            "less expressive": ({_Q["all"]: False}, "subtract the means and divide the scales: any normal q has a dmu and a dsigma. The relative way is no less expressive"),
            "shared head": ({_Q["own"]: False}, "what is shared is the path down; dmu and dsigma come from q's own head"),
            "weight tying": ({_Q["tied"]: True}, "the formula ties nothing: dmu and dsigma come from a head with weights of its own. What p and q share is the path down, with or without this formula"),
            "mean counts": ({_Q["mean"]: True}, "mu does not occur in the formula: q moves along with it"),
            "not zero": ({_Q["zero"]: False}, "dmu = 0, dsigma = 1 is q = p, for any p"),
        })),
))


def _slopes(mu, log_sigma, dmu, log_dsigma):
    square = (dmu / torch.exp(log_sigma)) ** 2
    return torch.zeros_like(mu), -square, dmu * torch.exp(-2 * log_sigma), torch.exp(2 * log_dsigma) - 1


def _absolute_slopes(mu, log_sigma, dmu, log_dsigma):
    """As if q's mean and scale stayed when the prior moves."""
    _, _, shift, widen = _slopes(mu, log_sigma, dmu, log_dsigma)
    return -shift, 1 - torch.exp(2 * log_dsigma) - (dmu / torch.exp(log_sigma)) ** 2, shift, widen


def _by_autograd(*four):
    """Stops, since the first of the four is not in the KL."""
    leaves = [v.clone().requires_grad_() for v in four]
    _, log_sigma, dmu, log_dsigma = leaves
    return torch.autograd.grad(_kl(dmu[:, None], log_dsigma.exp()[:, None], log_sigma.exp()[:, None]).sum(), leaves)


def _change(**changed):
    """The right slopes with some of the four replaced: place -> f(mu, log_sigma, dmu, log_dsigma)."""
    places = {"mu": 0, "sigma": 1, "dmu": 2, "dsigma": 3}

    def wrong(*arguments):
        found = list(_slopes(*arguments))
        for name, f in changed.items():
            found[places[name]] = f(*arguments)
        return tuple(found)
    return wrong


def _four(rng):
    return {f"{n} numbers": (_normal(n, rng=rng), _normal(n, rng=rng, scale=0.5), 1 + _normal(n, rng=rng), _normal(n, rng=rng, scale=0.5)) for n in (4, 7)}


_G = {"mean": "in the relative way the prior's mean learns from", "detached": "an absolute prior that is detached in the KL learns from"}
_TEACHERS = {_G["mean"]: "reconstruction", _G["detached"]: "nothing"}

who_is_taught = register(Exercise(
    id="12.3", name="who_is_taught", title="Whom does the divergence teach?", level="core", minutes=20, chapter=CHAPTER,
    success="the prior's scale learns from the KL, its mean does not, and detaching would silence both",
    hints=("*Nudge.* Write the KL in dmu, log dsigma and log sigma. Is mu in it at all?",
           r"*Equation.* $\frac12(\Delta\mu^2e^{-2\log\sigma}+e^{2\log\Delta\sigma}-2\log\Delta\sigma-1)$; differentiate in $\log\sigma$: $-\Delta\mu^2/\sigma^2$.",
           "*Pseudo-code.* `zeros`, `-(dmu / sigma)**2`, `dmu / sigma**2`, `exp(2 * log_dsigma) - 1`, or autograd on the summed KL with materialize_grads=True. The questions: section 12.3."),
    parts=(
        Part(name="slopes", right=_slopes, inputs=_four, misconceptions={
            "unused": (_by_autograd, "mu is not in the KL, and autograd refuses what does not occur: torch.autograd.grad(..., materialize_grads=True) gives zeros for it"),
            "detached": (_change(sigma=lambda m, s, d, t: torch.zeros_like(s)), "detaching the prior: you say that the KL teaches its scale nothing. sigma stands under dmu², so it does"),
            "mean taught": (_change(mu=lambda m, s, d, t: -d * torch.exp(-2 * s)), "you let the KL teach the prior's mean; it cancels, q moves along"),
            "absolute": (_absolute_slopes, "these are the slopes of an absolute q, which stays behind when the prior moves"),
            "in sigma": (_change(sigma=lambda m, s, d, t: -d**2 * torch.exp(-3 * s)), "that is the slope in sigma; the network says log sigma, so multiply by sigma"),
            "in both scales": (_change(sigma=lambda m, s, d, t: -d**2 * torch.exp(-3 * s), dsigma=lambda m, s, d, t: torch.exp(t) - torch.exp(-t)),
                               "these are slopes in sigma and dsigma; the network says their logarithms: multiply by sigma, and by dsigma"),
            "sign in sigma": (_change(sigma=lambda m, s, d, t: (d / torch.exp(s)) ** 2), "a wider prior makes the shift cheaper: the slope in log sigma is negative"),
            "posterior's variance": (_change(dmu=lambda m, s, d, t: d * torch.exp(-2 * s - 2 * t)), "you divide by the posterior's variance; dmu is measured in the prior's sigma²"),
            "sigma once": (_change(dmu=lambda m, s, d, t: d * torch.exp(-s)), "dmu is to be divided by sigma², not by sigma"),
            "in dsigma": (_change(dsigma=lambda m, s, d, t: torch.exp(t) - torch.exp(-t)), "that is the slope in dsigma; the head says its logarithm, so multiply by dsigma"),
            "log dsigma": (_change(dsigma=lambda m, s, d, t: torch.exp(2 * t) - 0.5), "your logarithm is of dsigma, not of its square: at dsigma = 1 the slope must be 0"),
            "half": (_change(dsigma=lambda m, s, d, t: 0.5 * torch.exp(2 * t) - 1), "½ dsigma² has the slope dsigma² in log dsigma: a factor 2 of the chain rule is missing"),
        }),
        Part(name="teachers", right=_TEACHERS, misconceptions={
            "by the KL": ({_G["mean"]: "KL"}, "mu cancels in the KL; it is in z = mu + dmu + ..., so the reconstruction teaches it"),
            "by nothing": ({_G["mean"]: "nothing"}, "mu is in z, and the decoder's slope reaches it there"),
            "still by z": ({_G["detached"]: "reconstruction"}, "an absolute z holds nothing of the prior: the KL was its only teacher"),
            "still by the KL": ({_G["detached"]: "KL"}, "detached means that this is the way that is cut"),
        })),
))
