"""Templates for posteriors written relative to their prior in another way (chapter 12): the divergence, and whom it teaches."""
from __future__ import annotations

from .draw import Draw
from .priors import TAKEN
from .variant import Variant, named

CHAPTER = "12_nvae_kl"
_TAKEN = (*TAKEN, "residual_normal.relative_to", "residual_normal.bend", "residual_normal.practical")
PLACES = {"plain": ("d", "m_q=n+d", "1", "0"), "in widths": ("u * d", "m_q=n+u\\,d", "u", "d")}  # gap, in symbols, its slopes in d and in u
WIDTHS = {  # s: (Python, in symbols, slope in g, slope in u)
    "factor": ("u * g", "s=u\\,g", "u", "g"), "log of a factor": ("u * torch.exp(g)", "s=u\\,e^{g}", "s", "s / u"), "log of a squared factor": ("u * torch.exp(g / 2)", "s=u\\,e^{g/2}", "s / 2", "s / u"),
    "added precision": ("(1 / u ** 2 + g ** 2) ** -0.5", "1/s^2=1/u^2+g^2", "-g * s ** 3", "(s / u) ** 3"), "a share of both": ("(u * g) ** 0.5", "s=\\sqrt{u\\,g}", "0.5 * (u / g) ** 0.5", "0.5 * (g / u) ** 0.5"),
}
FAMILIES = {  # KL from width s1 to width s2 at a distance gap; its slopes in gap, s1, s2; log density with plain numbers
    "normal": ("torch.log({b} / {a}) + ({a} ** 2 + gap ** 2) / (2 * {b} ** 2) - 0.5", "gap / {b} ** 2", "{a} / {b} ** 2 - 1 / {a}", "1 / {b} - ({a} ** 2 + gap ** 2) / {b} ** 3",
               "-((z - {M}) / {S}) ** 2 / 2 - math.log({S}) - math.log(2 * math.pi) / 2", 12),
    "Laplace": ("torch.log({b} / {a}) + (gap.abs() + {a} * torch.exp(-gap.abs() / {a})) / {b} - 1", "torch.sign(gap) * (1 - torch.exp(-gap.abs() / {a})) / {b}", "torch.exp(-gap.abs() / {a}) * (1 + gap.abs() / {a}) / {b} - 1 / {a}",
                "1 / {b} - (gap.abs() + {a} * torch.exp(-gap.abs() / {a})) / {b} ** 2", "-(z - {M}).abs() / {S} - math.log(2 * {S})", 45),
}
WAYS = {"to the prior": "\\mathrm{KL}(q\\,\\Vert\\,p)", "from the prior": "\\mathrm{KL}(p\\,\\Vert\\,q)", "both ways": "\\mathrm{KL}(q\\,\\Vert\\,p)+\\mathrm{KL}(p\\,\\Vert\\,q)"}
SUMS = {"sum": ("kl.sum(1)", "(B,): summed over dimensions, for each picture"), "floor": ("kl.clamp(min=0.1).sum(1)", "(B,): summed over dimensions, none less than 0.1, for each picture"),
        "share": ("kl / kl.sum(1, keepdim=True)", "(B, K): the share of each dimension in the picture's sum"), "capacity": ("(kl.sum(1) - 1.5).abs()", "(B,): how far the sum over dimensions is from 1.5 nats, for each picture")}


def _chosen(draw: Draw) -> tuple[str, str, str, str]:
    place, width, family = draw.one("place", tuple(PLACES)), draw.one("width", tuple(WIDTHS)), draw.one("family", tuple(FAMILIES))
    ways = tuple(WAYS) if (place, width, family) != ("plain", "factor", "normal") else tuple(WAYS)[1:]
    return place, width, family, draw.one("direction", ways)


def _either(way: str, forward: str, backward: str) -> str:
    return {"to the prior": forward, "from the prior": backward}.get(way, f"{forward} + {backward}")


def _kl(family: str, way: str) -> str:
    return _either(way, FAMILIES[family][0].format(a="s", b="u"), FAMILIES[family][0].format(a="u", b="s"))


def _integral(family: str, way: str) -> str:
    """A function `number(d, g, u)` that integrates over the real line, with plain numbers inside."""
    density, reach = FAMILIES[family][4], FAMILIES[family][5]
    breaks = {name: f"sorted([{m} - {reach} * {s}, {m} - {reach / 8:g} * {s}, {m} + {reach / 8:g} * {s}, {m} + {reach} * {s}, min(max(0.0, {m} - {reach} * {s}), {m} + {reach} * {s}), min(max(GAP, {m} - {reach} * {s}), {m} + {reach} * {s})])"
              for name, m, s in (("q", "GAP", "S"), ("p", "0.0", "U"))}
    forward, backward = f"integral(lambda z: torch.exp(lq(z)) * (lq(z) - lp(z)), *{breaks['q']})", f"integral(lambda z: torch.exp(lp(z)) * (lp(z) - lq(z)), *{breaks['p']})"
    return (f"def number(GAP, S, U):\n    lq, lp = (lambda z: {density.format(M='GAP', S='S')}), (lambda z: {density.format(M='0.0', S='U')})\n    return {_either(way, forward, backward)}\n")


def divergence(draw: Draw) -> Variant:
    """The divergence of a posterior that is written relative to its prior."""
    place, width, family, way = _chosen(draw)
    summed = draw.one("summed", tuple(SUMS))

    def body(gap: str = PLACES[place][0], s: str = WIDTHS[width][0], kl: str = _kl(family, way), answer: str = SUMS[summed][0]) -> str:
        return f"gap = {gap}\ns = {s}\nkl = {kl}\nreturn {answer}"
    others = [name for name in WIDTHS if name != width]
    wrong = {
        "public": (body("d", "u * g", _kl("normal", "to the prior"), "kl.sum(1)"), "that is the public exercise's divergence, another model: there q is normal, its mean is n + d, its scale u · g. Here place, width, family or direction are others"),
        "place": (body(gap=PLACES["plain" if place != "plain" else "in widths"][0]), "how far q is from p is written in another way: look whether d counts in widths of the prior"),
        "width": (body(s=WIDTHS[others[0]][0]), "q's width is made of u and g in another way"),
        "g alone": (body(s="g.abs()" if width != "log of a factor" else "torch.exp(g)"), "g is not q's width itself: it is relative to the prior's"),
        "family": (body(kl=_kl("Laplace" if family == "normal" else "normal", way)), "that is the divergence of another family of distributions"),
        "direction": (body(kl=_kl(family, "from the prior" if way == "to the prior" else "to the prior")), "the mean is taken over the other of the two distributions" if way != "both ways" else "that is one of the two directions; both are asked"),
        "sums": (body(answer=SUMS["sum" if summed != "sum" else "floor"][0].replace("0.1", "1.0")), "the dimensions are put together in another way than is asked"),
        "logarithm forgotten": (body(kl=_kl(family, way).replace("torch.log(u / s)", "0").replace("torch.log(s / u)", "0")), "the logarithm of the ratio of widths is missing"),
        "gap forgotten": (body(gap="0 * d"), "the distance between q and p is missing"),
    }
    proof = (f"{_integral(family, way)}gap, s = {PLACES[place][0]}, {WIDTHS[width][0]}\nkl = torch.zeros_like(d)\nfor row in range(len(d)):\n    for k in range(d.shape[1]):\n        kl[row, k] = number(float(gap[row, k]), float(s[row, k]), float(u[row, k]))\nreturn {SUMS[summed][0]}")
    again = f"gap = {PLACES[place][0]}\nlog_s = torch.log({WIDTHS[width][0]})\ns = log_s.exp()\n" + (
        "ratio, away = (s / u) ** 2, gap ** 2\n" + f"kl = {_either(way, '0.5 * (ratio - 1 - torch.log(ratio) + away / u ** 2)', '0.5 * (1 / ratio - 1 + torch.log(ratio) + away / s ** 2)')}\n" if family == "normal" else
        "A = gap.abs()\n" + f"kl = {_either(way, '(u.log() - log_s + A / u + (s / u) * torch.exp(-A / s) - 1)', '(log_s - u.log() + A / s + (u / s) * torch.exp(-A / u) - 1)')}\n") + f"return {SUMS[summed][0]}"
    return named(Variant(
        chapter=CHAPTER, number=1, title="Relative in another way", minutes=20, function="", arguments={"d": ("(B, K)", "d, what the head says of the place"), "g": ("(B, K)", "g, what the head says of the width"), "u": ("(B, K)", "width of the prior, above 0")},
        gives=SUMS[summed][1],
        prompt=f"In each dimension the prior is a {family} with centre n and width u; the posterior is a {family} with centre $m_q$ and width s, written relative to it:\n$${PLACES[place][1]},\\qquad {WIDTHS[width][1]}.$$\n"
               f"{'Width means the standard deviation.' if family == 'normal' else 'A Laplace has the density $e^{-|z-m|/s}/2s$.'} For each dimension take ${WAYS[way]}$, in nats. Return {SUMS[summed][1].split(': ', 1)[1]}.",
        inputs="def case(n, k):\n    side = among(rng, (-1.0, 1.0), n, k)\n    return side * uniform(rng, n, k, low=0.4, high=1.5), uniform(rng, n, k, low=0.5, high=1.6), uniform(rng, n, k, low=0.6, high=1.7)\n"
               "return {'4 pictures, 3 dimensions': case(4, 3), '2 pictures, 5 dimensions': case(2, 5)}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* First how far apart the two are and how wide q is, from d, g and u. Then an ordinary divergence of two such distributions; n cancels.",
               f"*Equation.* With Δ the distance and s, u the widths: `{FAMILIES[family][0].format(a='s', b='u').replace('torch.', '').replace('gap', 'Δ')}` is one direction; the other has s and u changed round.",
               "*Pseudo-code.* gap, s, kl for each dimension, then over dimensions as asked."),
        success="another way to be relative, the same idea", taken=_TAKEN, structure={}), draw, ("beside", "price_beside", "relative_price", "apart", "off_the_prior"))


def teaching(draw: Draw) -> Variant:
    """The slopes of that divergence, with or without the prior stopped in one place."""
    place, width, family, way = _chosen(draw)
    stop = draw.one("stopped", ("nothing", "the prior that q is compared with", "the prior that q is built on"))
    (gap, place_words, gap_d, gap_u), (s, width_words, s_g, s_u) = PLACES[place], WIDTHS[width]
    _, in_gap, in_first, in_second, _, _ = FAMILIES[family]
    k_gap = _either(way, in_gap.format(a="s", b="u"), in_gap.format(a="u", b="s"))
    k_s = _either(way, in_first.format(a="s", b="u"), in_second.format(a="u", b="s"))
    k_u = _either(way, in_second.format(a="s", b="u"), in_first.format(a="u", b="s"))
    def body(gap_u: str = gap_u, s_u: str = s_u, k_u: str = k_u, log: bool = True, gap_d: str = gap_d, s_g: str = s_g, stop: str = stop) -> str:
        through, direct = f"k_gap * ({gap_u}) + k_s * ({s_u})", "k_u"
        total = {"nothing": f"{through} + {direct}", "the prior that q is compared with": through, "the prior that q is built on": direct}[stop]
        return (f"gap = {gap}\ns = {s}\nk_gap = {k_gap}\nk_s = {k_s}\nk_u = {k_u}\nreturn {f'u * ({total})' if log else total}, k_gap * {gap_d if len(gap_d) == 1 else f'({gap_d})'}, k_s * ({s_g})")
    flip = {"nothing": "the prior that q is compared with", "the prior that q is compared with": "nothing", "the prior that q is built on": "nothing"}[stop]
    wrong = {
        "public": ("return -(d / u) ** 2, d / u ** 2, torch.exp(2 * g) - 1", "those are the public exercise's slopes, another model: a normal, n + d, width u · e^g, KL(q‖p), nothing stopped. Write down this divergence first"),
        "slope in u": (body(log=False), "that is the slope in u; the network says log u, so multiply by u"),
        "the wrong stop": (body(stop=flip), f"{'nothing is stopped here' if stop == 'nothing' else f'stopped is {stop} alone: its other half still learns'}"),
        "q stays behind": (body("0", "0"), "when the prior's width changes, q changes with it: q is built on the prior"),
        "p has no slope": (body(k_u="torch.zeros_like(u)"), "the prior's width also stands in its own density"),
        "chain rule of d": (body(gap_d="1 / u" if place != "plain" else "u"), "the slope in d: how much does the distance change when d changes?"),
        "chain rule of g": (body(s_g=WIDTHS["factor" if width != "factor" else "log of a factor"][2]), "the slope in g: how much does q's width change when g changes?"),
        "downhill": (body().replace("return ", "return -1 * (", 1).replace(", k_gap", "), -k_gap", 1).replace(", k_s *", ", -k_s *", 1), "these are the steps downhill; the slopes are asked"),
    }
    tracked = {"nothing": ("u1", "u1"), "the prior that q is compared with": ("u1", "u"), "the prior that q is built on": ("u", "u1")}[stop]
    again = (f"log_u, d1, g1 = torch.log(u).requires_grad_(), d.clone().requires_grad_(), g.clone().requires_grad_()\nu1 = torch.exp(log_u)\n"
             f"def made(d, g, u):\n    return {gap}, {s}\ndef compared(gap, s, u):\n    return {_kl(family, way)}\nreturn torch.autograd.grad(compared(*made(d1, g1, {tracked[0]}), {tracked[1]}).sum(), (log_u, d1, g1), allow_unused=True, materialize_grads=True)")
    built, against = {"nothing": ("T", "T"), "the prior that q is compared with": ("T", "U0"), "the prior that q is built on": ("U0", "T")}[stop]
    proof = (f"{_integral(family, way)}def total(row, k, L, D, G):\n    T, U0 = math.exp(L), float(u[row, k])\n    d, g, u1 = torch.tensor(D, dtype=torch.float64), torch.tensor(G, dtype=torch.float64), torch.tensor({built}, dtype=torch.float64)\n"
             f"    gap, s = (lambda d, g, u: ({gap}, {s}))(d, g, u1)\n    return number(float(gap), float(s), {against})\n"
             "found = [torch.zeros_like(d) for _ in range(3)]\nfor row in range(len(d)):\n    for k in range(d.shape[1]):\n        at = [math.log(float(u[row, k])), float(d[row, k]), float(g[row, k])]\n        for i in range(3):\n"
             "            def moved(n):\n                return total(row, k, *(a + n * 2e-3 * (i == j) for j, a in enumerate(at)))\n            found[i][row, k] = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / 0.024\nreturn tuple(found)")
    stopped = "" if stop == "nothing" else f" In backpropagation {stop} is detached: {'the u in p itself' if 'compared' in stop else 'the u in the place and width of q'} counts as a constant."
    return named(Variant(
        chapter=CHAPTER, number=2, title="Whom this divergence teaches", minutes=30, function="", arguments={"d": ("(B, K)", "d, what the head says of the place"), "g": ("(B, K)", "g, what the head says of the width"), "u": ("(B, K)", "width of the prior, above 0")},
        gives="three (B, K): the slopes in log u, in d and in g",
        prompt=f"Prior: a {family} with centre n and width u. Posterior: a {family} with\n$${place_words},\\qquad {width_words}.$$\n{'Width means the standard deviation.' if family == 'normal' else 'A Laplace has the density $e^{-|z-m|/s}/2s$.'} "
               f"In each dimension the term ${WAYS[way]}$ is minimised.{stopped}\n\nReturn its slopes in log u (the network says the logarithm), in d and in g, dimension by dimension. By formula or by autograd.",
        inputs="def case(n, k):\n    side = among(rng, (-1.0, 1.0), n, k)\n    return side * uniform(rng, n, k, low=0.5, high=1.4), uniform(rng, n, k, low=0.6, high=1.5), uniform(rng, n, k, low=0.7, high=1.6)\n"
               "return {'2 pictures, 2 dimensions': case(2, 2), '1 picture, 3 dimensions': case(1, 3)}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* u comes in three times: in the place of q, in the width of q, and in p. A stop takes some of them away.",
               "*Equation.* slope in log u = u · (K_Δ ∂Δ/∂u + K_s ∂s/∂u + K_u), without what is stopped; slope in d = K_Δ ∂Δ/∂d; slope in g = K_s ∂s/∂g.",
               "*Pseudo-code.* Write the divergence as a function of distance, s and u; autograd on clones, with u.detach() where it is stopped; materialize_grads=True."),
        success="every way in which the prior learns, or does not", taken=_TAKEN, structure={}), draw, ("slopes_beside", "lessons", "who_learns", "taught", "pushes_beside"))


TEMPLATES = (divergence, teaching)
