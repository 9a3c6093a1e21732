"""Template for divergences between other distributions, with other parameters (chapter 08); noise.py has the draws."""
from __future__ import annotations

from .draw import Draw
from .variant import Variant, named

CHAPTER = "08_vae"
TAKEN = ("latents.normal_kl", "residual_normal.residual_normal_kl", "residual_normal.two_normals_kl", "residual_normal.ResidualNormal.kl", "residual_normal.ResidualNormal.log_ratio",
         "torch.distributions.kl.kl_divergence", "torch.distributions.kl._dispatch_kl",
         "kernels.residual_normal_sample.residual_normal_sample", "kernels.residual_normal_sample.residual_normal_sample_reference")
SCALES = {  # what the network says of q's scale s: (Python, in words, the wrong way)
    "log": ("torch.exp(t)", "log s", "t"), "log of the square": ("torch.exp(t / 2)", "log s²", "torch.exp(t)"), "before softplus": ("torch.nn.functional.softplus(t)", "what softplus turns into s", "torch.exp(t)"),
    "log of the inverse square": ("torch.exp(-t / 2)", "log (1/s²), the log precision", "torch.exp(t / 2)"),
}
NORMAL, LAPLACE = "0.5 * math.log(2 * math.pi)", "math.log(2)"
FAMILIES = {  # q against p: (names, arguments in use, -E_q log p, entropy of q, log q, log p, breaks of the integral)
    "laplace to laplace": ("q a Laplace with centre m and width s, $q(z)=e^{-|z-m|/s}/2s$", "p a Laplace with centre n and width u", "mnu", "math.log(2) + torch.log(u) + ((m - n).abs() + s * torch.exp(-(m - n).abs() / s)) / u",
                           "1 + math.log(2) + torch.log(s)", "-(z - M).abs() / S - math.log(2 * S)", "-(z - N).abs() / U - math.log(2 * U)", "sorted([M - 45 * S, M - 6 * S, M, M + 6 * S, M + 45 * S, N])"),
    "laplace to normal": ("q a Laplace with centre m and width s, $q(z)=e^{-|z-m|/s}/2s$", "p a normal with mean n and standard deviation u", "mnu", "0.5 * math.log(2 * math.pi) + torch.log(u) + (2 * s ** 2 + (m - n) ** 2) / (2 * u ** 2)",
                          "1 + math.log(2) + torch.log(s)", "-(z - M).abs() / S - math.log(2 * S)", "-((z - N) / U) ** 2 / 2 - math.log(U) - math.log(2 * math.pi) / 2", "[M - 45 * S, M - 6 * S, M, M + 6 * S, M + 45 * S]"),
    "normal to laplace": ("q a normal with mean m and standard deviation s", "p a Laplace with centre n and width u, $p(z)=e^{-|z-n|/u}/2u$", "mnu",
                          "math.log(2) + torch.log(u) + (s * math.sqrt(2 / math.pi) * torch.exp(-((m - n) / s) ** 2 / 2) + (m - n) * torch.erf((m - n) / (s * math.sqrt(2)))) / u",
                          "0.5 * math.log(2 * math.pi) + 0.5 + torch.log(s)", "-((z - M) / S) ** 2 / 2 - math.log(S) - math.log(2 * math.pi) / 2", "-(z - N).abs() / U - math.log(2 * U)", "sorted([M - 12 * S, M - 4 * S, min(max(N, M - 12 * S), M + 12 * S), M + 4 * S, M + 12 * S])"),
    "uniform to normal": ("q uniform between m − s and m + s", "p a normal with mean n and standard deviation u", "mnu", "0.5 * math.log(2 * math.pi) + torch.log(u) + (s ** 2 / 3 + (m - n) ** 2) / (2 * u ** 2)",
                          "math.log(2) + torch.log(s)", "0 * z - math.log(2 * S)", "-((z - N) / U) ** 2 / 2 - math.log(U) - math.log(2 * math.pi) / 2", "[M - S, M + S]"),
    "exponential to exponential": ("q an exponential with mean s, $q(z)=e^{-z/s}/s$ for z ≥ 0", "p an exponential with mean u", "u", "torch.log(u) + s / u", "1 + torch.log(s)", "-z / S - math.log(S)", "-z / U - math.log(U)", "[0.0, 5 * S, 45 * S]"),
    "exponential to half a normal": ("q an exponential with mean s, $q(z)=e^{-z/s}/s$ for z ≥ 0", "p half a normal, $p(z)\\propto e^{-z^2/2u^2}$ for z ≥ 0", "u", "0.5 * math.log(math.pi / 2) + torch.log(u) + s ** 2 / u ** 2", "1 + torch.log(s)",
                                     "-z / S - math.log(S)", "-(z / U) ** 2 / 2 - math.log(U) - math.log(math.pi / 2) / 2", "[0.0, 5 * S, 45 * S]"),
    "half a normal to exponential": ("q half a normal, $q(z)\\propto e^{-z^2/2s^2}$ for z ≥ 0", "p an exponential with mean u", "u", "torch.log(u) + s * math.sqrt(2 / math.pi) / u", "0.5 * math.log(math.pi / 2) + 0.5 + torch.log(s)",
                                     "-(z / S) ** 2 / 2 - math.log(S) - math.log(math.pi / 2) / 2", "-z / U - math.log(U)", "[0.0, 4 * S, 12 * S]"),
}
SUMS = {  # from the table kl (B, K) to the answer
    "sum": ("kl.sum(1)", "(B,): the sum over dimensions, for each picture"), "floor": ("kl.clamp(min=0.1).sum(1)", "(B,): the sum over dimensions, for each picture, where no dimension counts less than 0.1"),
    "floor of the mean": ("kl.mean(0).clamp(min=0.2).sum()", "one number: the mean over pictures of each dimension, none less than 0.2, summed over dimensions"), "largest": ("kl.max(1).values", "(B,): that of the dimension with the most, for each picture"),
}
ASKED = {"divergence": ("{cross} - ({entropy})", "$\\mathrm{KL}(q\\,\\Vert\\,p)$"), "price": ("{cross}", "$-E_q[\\log p(z)]$, what a draw of q costs under p"),
         "excess": ("2 * ({cross}) - ({entropy})", "$\\mathrm{KL}(q\\,\\Vert\\,p)-E_q[\\log p(z)]$, the divergence and the price under p together")}


def divergence(draw: Draw) -> Variant:
    """A divergence, or the price of a draw, for two other distributions."""
    pair, scale, asked, summed = draw.one("pair", tuple(FAMILIES)), draw.one("parameter", tuple(SCALES)), draw.one("asked", tuple(ASKED)), draw.one("summed", tuple(SUMS))
    q_words, p_words, uses, cross, entropy, log_q, log_p, breaks = FAMILIES[pair]
    to_scale, says, wrong_scale = SCALES[scale]

    def body(to_scale: str = to_scale, cross: str = cross, entropy: str = entropy, asked: str = asked, answer: str = SUMS[summed][0]) -> str:
        return f"s = {to_scale}\nkl = {ASKED[asked][0].format(cross=cross, entropy=entropy)}\nreturn {answer}"
    standard = "0.5 * (m ** 2 + torch.exp(2 * t) - 1) - t" if "m" in uses else "0.5 * (torch.exp(2 * t) - 1) - t"
    other = "divergence" if asked != "divergence" else "price"
    wrong = {
        "public": (f"kl = {standard}\nreturn {SUMS[summed][0]}", "that is the public exercise's KL of a normal to the standard normal, another model: look at q, p and their parameters again"),
        "scale": (body(wrong_scale), f"the network says {says}; you turn it into s in another way"),
        "half the logarithm": (body(entropy=entropy.replace("torch.log(s)", "0.5 * torch.log(s)"), cross=cross.replace("torch.log(u)", "0.5 * torch.log(u)")), "the logarithm of a width counts once for each dimension, not half"),
        "width of p forgotten": (body(cross=cross.replace("torch.log(u)", "0")), "the logarithm of p's width is missing: p is a density that integrates to one"),
        "spread of q forgotten": (body(cross=_without_spread(pair, cross)), "that is −log p at one point of q; the mean over q also sees how wide q is"),
        "something else": (body(asked=other), f"that is {ASKED[other][1]}; another quantity is asked"),
        "not so summed": (body(answer="kl.sum(1)" if summed != "sum" else "kl.mean(1)"), "the dimensions are put together in another way than is asked"),
        "signs": (body(asked="divergence").replace("kl = ", "kl = -(").replace("\nreturn", ")\nreturn"), "the sign is wrong: a divergence is never negative"),
    }
    arguments = ({"m": ("(B, K)", "centre m of q")} if "m" in uses else {}) | {"t": ("(B, K)", says)} | ({"n": ("(K,)", "centre n of p")} if "n" in uses else {}) | {"u": ("(K,)", "width u of p, above 0")}
    again = f"s = {to_scale}\nH = {entropy}\nC = {cross}\nkl = {ASKED[asked][0].format(cross='C', entropy='H')}\nreturn " + {
        "sum": "torch.einsum('bk->b', kl)", "floor": "torch.where(kl > 0.1, kl, torch.full_like(kl, 0.1)).sum(-1)", "floor of the mean": "torch.relu(kl.mean(0) - 0.2).sum() + 0.2 * kl.shape[1]", "largest": "kl.amax(1)"}[summed]
    weight = {"divergence": "(lq(z) - lp(z))", "price": "(-lp(z))", "excess": "(lq(z) - 2 * lp(z))"}[asked]
    place = "N = float(n[k])\n        " if "n" in uses else ""
    place += "M = float(m[row, k])\n        " if "m" in uses else ""
    proof = (f"s = {to_scale}\nkl = torch.zeros_like(s)\nfor row in range(len(s)):\n    for k in range(s.shape[1]):\n        {place}S, U = float(s[row, k]), float(u[k])\n"
             f"        lq, lp = (lambda z: {log_q}), (lambda z: {log_p})\n        kl[row, k] = integral(lambda z: torch.exp(lq(z)) * {weight}, *{breaks})\nreturn {SUMS[summed][0]}")
    return named(Variant(
        chapter=CHAPTER, number=1, title="The price of another prior", minutes=25, function="", arguments=arguments, gives=SUMS[summed][1],
        prompt=f"In each of K dimensions {q_words}; {p_words}. The network says {'m and ' if 'm' in uses else ''}{says}; p's parameters are shared by all pictures.\n\n"
               f"For each dimension take {ASKED[asked][1]}, in nats, in closed form. Return {SUMS[summed][1].split(': ', 1)[1]}. (`torch.distributions.kl_divergence` is out of reach while this is graded.)",
        inputs="def case(n, k):\n    return " + ", ".join(([f"normal(rng, n, k)"] if "m" in uses else []) + ["normal(rng, n, k, scale=0.6)"] + (["normal(rng, k)"] if "n" in uses else []) + ["uniform(rng, k, low=0.5, high=1.8)"])
               + "\nreturn {'4 pictures, 3 dimensions': case(4, 3), '2 pictures, 4 dimensions': case(2, 4)}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Two integrals over q: the mean of log q, which is minus q's entropy, and the mean of log p. Do them one after the other.",
               f"*Equation.* Entropy of q: `{entropy.replace('torch.', '').replace('math.', '')}`, with s from what the network says. The mean of −log p needs a moment of q; which one?",
               "*Pseudo-code.* s from the network's number; entropy; mean of −log p; together; then over dimensions as asked."),
        success="two integrals, in closed form", taken=TAKEN, structure={}), draw, ("price_of_q", "cost_in_nats", "latent_cost", "paid_for", "what_it_costs"))


def _without_spread(pair: str, cross: str) -> str:
    """The same at the centre of q (at its mean, where q lives on half the line)."""
    return {"laplace to laplace": "math.log(2) + torch.log(u) + (m - n).abs() / u", "laplace to normal": "0.5 * math.log(2 * math.pi) + torch.log(u) + (m - n) ** 2 / (2 * u ** 2)",
            "normal to laplace": "math.log(2) + torch.log(u) + (m - n).abs() / u", "uniform to normal": "0.5 * math.log(2 * math.pi) + torch.log(u) + (m - n) ** 2 / (2 * u ** 2)",
            "exponential to exponential": "torch.log(u) + 0 * s", "exponential to half a normal": "0.5 * math.log(math.pi / 2) + torch.log(u) + s ** 2 / (2 * u ** 2)", "half a normal to exponential": "torch.log(u) + s / u"}.get(pair, cross)


TEMPLATES = (divergence,)
