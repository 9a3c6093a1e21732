"""Template for draws of other distributions from uniform noise (chapter 08): the draw and its density, or its slopes."""
from __future__ import annotations

from .draw import Draw
from .priors import CHAPTER, SCALES
from .variant import Variant, named

TAKEN = ("latents.normal_kl", "gradient_estimators.pathwise_gradients", "gradient_estimators.score_gradients")
FAMILIES = {  # (name, its distribution function, draw y from x, log density of y with e = (y - m) / s, the draw's slope in s)
    "logistic": ("a logistic distribution, $F(y)=1/(1+e^{-(y-m)/s})$", "1 / (1 + math.exp(-(y - M) / S))", "m + s * (torch.log(x) - torch.log(1 - x))", "-e - 2 * torch.log(1 + torch.exp(-e)) - torch.log(s)"),
    "Gumbel": ("a Gumbel distribution, $F(y)=e^{-e^{-(y-m)/s}}$", "math.exp(-math.exp(-(y - M) / S))", "m - s * torch.log(-torch.log(x))", "-e - torch.exp(-e) - torch.log(s)"),
    "least of many": ("the distribution $F(y)=1-e^{-e^{(y-m)/s}}$", "1 - math.exp(-math.exp((y - M) / S))", "m + s * torch.log(-torch.log(1 - x))", "e - torch.exp(e) - torch.log(s)"),
    "Laplace": ("a Laplace distribution, $q(y)=e^{-|y-m|/s}/2s$", "0.5 * math.exp((y - M) / S) if y < M else 1 - 0.5 * math.exp(-(y - M) / S)", "m - s * torch.sign(x - 0.5) * torch.log(1 - 2 * (x - 0.5).abs())", "-e.abs() - math.log(2) - torch.log(s)"),
    "Cauchy": ("a Cauchy distribution, $F(y)=\\tfrac12+\\arctan((y-m)/s)/\\pi$", "0.5 + math.atan((y - M) / S) / math.pi", "m + s * torch.tan(math.pi * (x - 0.5))", "-math.log(math.pi) - torch.log(s) - torch.log(1 + e ** 2)"),
}
BENT = {  # z as a function of y: (in symbols, z, dz/dy, the same of plain numbers)
    "as it is": ("$z=y$", "y", "torch.ones_like(y)", "y"), "positive": ("$z=e^y$", "torch.exp(y)", "torch.exp(y)", "math.exp(y)"),
    "in the unit interval": ("$z=1/(1+e^{-y})$", "torch.sigmoid(y)", "torch.sigmoid(y) * (1 - torch.sigmoid(y))", "1 / (1 + math.exp(-y))"),
    "stretched": ("$z=\\sinh y$", "torch.sinh(y)", "torch.cosh(y)", "math.sinh(y)"),
}
RATES = {"log": "s", "log of the square": "s / 2", "before softplus": "torch.sigmoid(t)", "log of the inverse square": "-s / 2"}  # ds/dt


def from_noise(draw: Draw) -> Variant:
    """z from uniform noise, with its log density or its slopes in the network's numbers."""
    family, bent, scale, asked = draw.one("family", tuple(FAMILIES)), draw.one("bent", tuple(BENT)), draw.one("parameter", tuple(SCALES)), draw.one("asked", ("density", "slopes", "surprise"))
    words, cdf, y, log_q = FAMILIES[family]
    symbols, z, slope, plain_z = BENT[bent]
    to_scale, says, wrong_scale = SCALES[scale]
    ends = {"density": f"{z}, {log_q} - torch.log(bend)", "slopes": f"{z}, bend, bend * e * {RATES[scale] if '/' not in RATES[scale] else f'({RATES[scale]})'}", "surprise": f"(torch.log(bend) - ({log_q})).sum(1)"}

    def body(to_scale: str = to_scale, y: str = y, end: str = ends[asked], slope: str = slope) -> str:
        return f"s = {to_scale}\ny = {y}\ne = (y - m) / s\nbend = {slope}\nreturn {end}"
    normal_y, normal_q = "m + s * torch.special.ndtri(x)", "-e ** 2 / 2 - 0.5 * math.log(2 * math.pi) - torch.log(s)"
    other = next(name for name in FAMILIES if name != family)
    wrong = {
        "public": (body("torch.exp(t)", normal_y, ends[asked].replace(log_q, normal_q), "torch.ones_like(y)"), "that is a draw of the normal distribution, as in the public exercises, another model: invert the distribution function that is given here"),
        "another distribution": (body(y=FAMILIES[other][2], end=ends[asked].replace(log_q, FAMILIES[other][3])), "that is the draw of another distribution: solve F(y) = x for y once more"),
        "noise upside down": (body(y=y.replace("x", "(1 - x)").replace("e(1 - x)p", "exp")), "you use 1 − x for x: that has the right distribution, but not the draw that is asked, for which F(y) = x"),
        "scale": (body(wrong_scale), f"the network says {says}; you turn it into s in another way"),
        "unit width": (body(y=y.replace("s * ", "1.0 * ", 1)), "the draw is not stretched by s"),
        "volume forgotten": (body(slope="torch.ones_like(y)"), "z is bent: by how much a small interval of y is stretched is missing"),
        "volume the wrong way": (body(slope=f"1 / ({slope})"), "the stretch of the bending comes in the wrong way round"),
        "width forgotten": (body(end=ends[asked].replace(" - torch.log(s)", "")), "the density of y has 1/s in front"),
        "slope in s": (body(end=f"{z}, bend, bend * e"), f"that is the slope in s; the network says {says}, so the chain rule has one more factor"),
        "volume with the wrong sign": (body(end=ends[asked].replace("- torch.log(bend)", "+ torch.log(bend)").replace("(torch.log(bend) -", "(-torch.log(bend) -")), "the logarithm of the stretch has the wrong sign"),
        "not bent": (body(end=ends[asked].replace(z, "y", 1)), "z is y bent once more"),
    }
    wrong = {name: entry for name, entry in wrong.items() if asked == "slopes" or name != "slope in s"}
    again = (f"t = t.clone().requires_grad_()\ncentre_of = m.clone().requires_grad_()\ns = {to_scale}\ny = {y.replace('m ', 'centre_of ', 1)}\nz = {z}\n"
             + {"slopes": "a, = torch.autograd.grad(z.sum(), centre_of, retain_graph=True)\nb, = torch.autograd.grad(z.sum(), t)\nreturn z, a, b"}.get(asked, f"noise_of = x.clone().requires_grad_()\nout = ({_bent_of(y, z)})\n"
                "rate, = torch.autograd.grad(out.sum(), noise_of)\nreturn " + ("z, -torch.log(rate)" if asked == "density" else "torch.log(rate).sum(1)")))
    proof = ("def drawn(M, T, X):\n    S = float((lambda t: " + to_scale + ")(torch.tensor(T, dtype=torch.float64)))\n    low, high = M - 60 * S, M + 60 * S\n    for _ in range(200):\n        y = (low + high) / 2\n"
             f"        low, high = (y, high) if ({cdf}) < X else (low, y)\n    y = (low + high) / 2\n    return {plain_z}\n"
             "def slope(f, at, step):\n    return (8 * (f(at + step) - f(at - step)) - (f(at + 2 * step) - f(at - 2 * step))) / (12 * step)\n"
             "found = [torch.zeros_like(m) for _ in range(3)]\nfor row in range(len(m)):\n    for k in range(m.shape[1]):\n        M, T, X = float(m[row, k]), float(t[row, k]), float(x[row, k])\n        found[0][row, k] = drawn(M, T, X)\n"
             + ("        found[1][row, k] = slope(lambda M: drawn(M, T, X), M, 1e-3)\n        found[2][row, k] = slope(lambda T: drawn(M, T, X), T, 1e-3)\nreturn tuple(found)" if asked == "slopes" else
                "        found[1][row, k] = -math.log(slope(lambda X: drawn(M, T, X), X, 2e-4))\nreturn " + ("found[0], found[1]" if asked == "density" else "-found[1].sum(1)")))
    wanted = {"density": "z and log q(z), each (B, K)", "slopes": f"z, its slope in m, and its slope in what the network says of s, each (B, K)", "surprise": "(B,): −log q(z), summed over the dimensions"}[asked]
    return named(Variant(
        chapter=CHAPTER, number=2, title="Draws of another distribution", minutes=25, function="",
        arguments={"x": ("(B, K)", "uniform noise between 0 and 1"), "m": ("(B, K)", "centre m"), "t": ("(B, K)", says)}, gives=wanted,
        prompt=f"A latent is drawn in two steps: y from {words}, by solving $F(y)=x$ for uniform noise x, and then {symbols}. The network says m and {says}, with s the width.\n\nReturn {wanted.split(': ')[-1]}, all in closed form"
               + (" (q is the density of z, not of y)." if asked != "slopes" else ", for the noise that is given."),
        inputs="def case(n, k):\n    return uniform(rng, n, k, low=0.15, high=0.42), normal(rng, n, k, scale=0.5), normal(rng, n, k, scale=0.4) - 0.5\nreturn {'4 pictures, 3 dimensions': case(4, 3), '2 pictures, 2 dimensions': case(2, 2)}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Solve F(y) = x for y. Everything else is the chain rule." , "*Equation.* z = g(m + s·e), where e depends on the noise alone; log q(z) = log q(y) − log g′(y); dz/dm = g′(y), dz/ds = g′(y)·e.",
               "*Pseudo-code.* s from the network's number; y from x; e = (y − m) / s; the stretch g′(y); then what is asked."),
        success="other noise, another inverse, the same chain rule", taken=TAKEN, structure={}), draw, ("drawn", "from_noise", "sampled", "pushed_noise", "draw_of_q"))


def _bent_of(y: str, z: str) -> str:
    """z as one expression of noise_of."""
    inner = y.replace("exp", "E#P").replace("x", "noise_of").replace("E#P", "exp")
    return z.replace("(y)", f"({inner})") if z != "y" else inner


TEMPLATES = (from_noise,)
