"""Templates for vector quantisation (chapter 09): losses with another distance and other stops, and another update of the codes."""
from __future__ import annotations

from .draw import Draw
from .variant import Variant, named

CHAPTER = "09_vqvae_losses"
TAKEN = ("vector_quantisation.vq_losses", "vector_quantisation.losses", "vector_quantisation.straight_through", "codebook.Codebook")
DISTANCES = {  # of points z and codes e, both (..., D): (distance summed over the last axis, slope in z, slope in e, in symbols, of plain lists)
    "weighted": ("(a * (z - e) ** 2).sum(-1)", "2 * a * (z - e)", "-2 * a * (z - e)", "\\sum_da_d(z_d-e_d)^2", "sum(w * (p - q) ** 2 for w, p, q in zip(A, P, Q))"),
    "absolute": ("(z - e).abs().sum(-1)", "torch.sign(z - e)", "-torch.sign(z - e)", "\\sum_d|z_d-e_d|", "sum(abs(p - q) for p, q in zip(P, Q))"),
    "log cosh": ("torch.log(torch.cosh(z - e)).sum(-1)", "torch.tanh(z - e)", "-torch.tanh(z - e)", "\\sum_d\\log\\cosh(z_d-e_d)", "sum(math.log(math.cosh(p - q)) for p, q in zip(P, Q))"),
    "fourth power": ("((z - e) ** 4).sum(-1)", "4 * (z - e) ** 3", "-4 * (z - e) ** 3", "\\sum_d(z_d-e_d)^4", "sum((p - q) ** 4 for p, q in zip(P, Q))"),
    "cosine": ("(1 - (z * e).sum(-1) / (z.norm(dim=-1) * e.norm(dim=-1)))",
               "-(e / e.norm(dim=-1, keepdim=True) - (z * e).sum(-1, keepdim=True) * z / (z.norm(dim=-1, keepdim=True) ** 2 * e.norm(dim=-1, keepdim=True))) / z.norm(dim=-1, keepdim=True)",
               "-(z / z.norm(dim=-1, keepdim=True) - (z * e).sum(-1, keepdim=True) * e / (e.norm(dim=-1, keepdim=True) ** 2 * z.norm(dim=-1, keepdim=True))) / e.norm(dim=-1, keepdim=True)",
               "1-z\\cdot e/(\\lVert z\\rVert\\lVert e\\rVert)", "1 - sum(p * q for p, q in zip(P, Q)) / math.sqrt(sum(p * p for p in P) * sum(q * q for q in Q))"),
}
STOPS = {  # (weight of the slope in z, in the codes, of the value, the loss in symbols)
    "beta on the codes": ("1", "beta", "(1 + beta)", "β\\,d(\\mathrm{sg}(z),e)+d(z,\\mathrm{sg}(e))"), "no stop, and a pull on z": ("(1 + beta)", "1", "(1 + beta)", "d(z,e)+β\\,d(z,\\mathrm{sg}(e))"),
    "no stop, and a pull on the codes": ("1", "(1 + beta)", "(1 + beta)", "d(z,e)+β\\,d(\\mathrm{sg}(z),e)"), "no stop at all": ("beta", "beta", "beta", "β\\,d(z,e)"),
    "the usual": ("beta", "1", "(1 + beta)", "d(\\mathrm{sg}(z),e)+β\\,d(z,\\mathrm{sg}(e))"), "codes alone": ("0", "beta", "beta", "β\\,d(\\mathrm{sg}(z),e)"),
}
AVERAGE = {"sum": ("torch.ones(len(all_z), 1, dtype=all_z.dtype)", "summed over the points"), "mean": ("torch.full((len(all_z), 1), 1 / len(all_z), dtype=all_z.dtype)", "averaged over the points"),
           "per code": ("(1 / torch.bincount(ids, minlength=len(all_e)).clamp(min=1)[ids]).to(all_z)[:, None]", "averaged over the points of each code, and summed over the codes that are used")}
NEAREST = {"the same distance": "", "squares": "((z - e) ** 2).sum(-1)"}


def losses(draw: Draw) -> Variant:
    """A loss of points and codes, with both slopes."""
    distance, stops, average = draw.one("distance", tuple(DISTANCES)), draw.one("stops", tuple(STOPS)), draw.one("average", tuple(AVERAGE))
    nearest = draw.one("nearest by", tuple(NEAREST))
    d, in_z, in_e, symbols, plain = DISTANCES[distance]
    weight_z, weight_e, weight, loss = STOPS[stops]

    def body(choose: str = NEAREST[nearest] or d, d: str = d, in_z: str = in_z, in_e: str = in_e, z_by: str = weight_z, e_by: str = weight_e, by: str = weight, share: str = AVERAGE[average][0], into: str = "index_add") -> str:
        adds = "out.index_add(0, ids, {})" if into == "index_add" else "out.index_copy(0, ids, {})"
        return (f"all_z, all_e = z, e\nz, e = all_z[:, None], all_e[None]\nids = {choose}.argmin(1)\nz, e = all_z, all_e[ids]\nshare = {share}\nout = torch.zeros_like(all_e)\n"
                f"value = {by} * (share[:, 0] * {d}).sum()\nreturn value, {z_by} * share * ({in_z}), {adds.format(f'{e_by} * share * ({in_e})')}")
    squared = ("((z - e) ** 2).sum(-1)", "2 * (z - e)", "-2 * (z - e)")
    wrong = {
        "public": (body(squared[0], *squared, "beta", "1", "(1 + beta)", AVERAGE["sum"][0]), "that is the public exercise's loss, another model: squared distances, a stop in each term, β on the pull of z. Here distance, stops and sums are others"),
        "distance of the loss": (body(NEAREST[nearest] or d, *squared), "the loss has another distance than squares"),
        "nearest": (body(choose=squared[0] if nearest != "squares" else d), "the nearest code is looked for by another distance than the one you use"),
        "stops swapped": (body(z_by=weight_e, e_by=weight_z), "the weights of the two slopes are swapped: a stop silences the one it stands on"),
        "no stops": (body(z_by=weight, e_by=weight), "what stands under sg has no slope: you let every term move both"),
        "not averaged so": (body(share=AVERAGE["sum" if average != "sum" else "mean"][0]), f"the loss is {AVERAGE[average][1]}; value and slopes take the same share"),
        "sign of the codes' slope": (body(in_e=f"-({in_e})"), "the slope in the codes has the wrong sign: it is that of the loss, not the way downhill"),
        "last point alone": (body(into="index_copy"), "several points choose one code, and their slopes add up; you keep one of them"),
        "beta forgotten": (body(by=weight.replace("beta", "1"), z_by=weight_z.replace("beta", "1"), e_by=weight_e.replace("beta", "1")), "β is missing"),
        "beta in the value": (body(by="beta" if "1 +" in weight else "1"), "the value of the loss is that of all its terms: a stop changes slopes, not values"),
    }
    used = {"z": ("(N, D)", "points"), "e": ("(K, D)", "codes"), "beta": ("a number", "β")} | ({"a": ("(D,)", "weights a of the coordinates, above 0")} if distance == "weighted" else {})
    again = (f"all_z, all_e = z.clone().requires_grad_(), e.clone().requires_grad_()\nz, e = all_z[:, None], all_e[None]\nids = {NEAREST[nearest] or d}.argmin(1)\n"
             f"share = {AVERAGE[average][0]}[:, 0].detach()\ndef d(z, e):\n    return (share * {d}).sum()\nz, e = all_z, all_e[ids]\n"
             f"total = {loss.replace(chr(92) + ',', ' * ').replace(chr(92) + 'mathrm{sg}(z)', 'z.detach()').replace(chr(92) + 'mathrm{sg}(e)', 'e.detach()').replace('β', 'beta')}\n"
             "slopes_of = torch.autograd.grad(total, (all_z, all_e), allow_unused=True, materialize_grads=True)\nreturn total.detach(), *slopes_of")
    masses = "A = a.tolist()\n" if distance == "weighted" else ""
    choose = plain if nearest != "squares" else "sum((p - q) ** 2 for p, q in zip(P, Q))"
    share = {"sum": "1.0", "mean": "1 / len(ids)", "per code": "1 / ids.count(i)"}[average]
    proof = (f"{masses}B = float(beta)\nids = []\nfor P in z.tolist():\n    far = [{choose} for Q in e.tolist()]\n    ids.append(far.index(min(far)))\n"
             f"def part(z, e):\n    return sum({share} * ({plain}) for i, P, Q in zip(ids, z.tolist(), e[ids].tolist()))\n"
             f"free_z, free_e, both = {weight_z.replace('beta', 'B')}, {weight_e.replace('beta', 'B')}, {weight.replace('beta', 'B')}\n"
             "return torch.tensor(both * part(z, e), dtype=torch.float64), free_z * slopes(lambda x: part(x, e), z, step=2e-4)[0], free_e * slopes(lambda x: part(z, x), e, step=2e-4)[0]")
    extra = ", uniform(rng, d, low=0.3, high=2.0)" if distance == "weighted" else ""
    return named(Variant(
        chapter=CHAPTER, number=1, title="Another distance, other stops", minutes=30, function="", arguments=used, gives="the loss (a number), its slope in z (N, D), its slope in the codes (K, D)",
        prompt=f"Each point $z$ takes its nearest code $e$, by {'the distance below' if nearest != 'squares' else 'squared distance'}. The loss of a point is\n$${loss},\\qquad d(z,e)={symbols},$$\n"
               f"{AVERAGE[average][1]}; sg is the stop-gradient. Return the value of the loss, its slope in every point, and its slope in every code, as backpropagation would give them. By formula or by autograd.",
        inputs=f"def case(n, k, d, b):\n    return 0.6 + normal(rng, n, d), 0.6 + normal(rng, k, d), b{extra}\nreturn {{'14 points, 3 codes': case(14, 3, 2, 0.25), '10 points, 4 codes': case(10, 4, 3, 1.7)}}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* A stop changes no value. For each term ask which of z and e still moves; then what a code gets from all the points that chose it.",
               f"*Equation.* Slope in z: the weight of the terms without a stop on z, times the slope of d; the same for e. Here the weights are {weight_z.replace('beta', 'β')} and {weight_e.replace('beta', 'β')}.",
               "*Pseudo-code.* ids = nearest; z_q = codes[ids]; value; slope in z row by row; zeros(K, D).index_add(0, ids, slope in e). Or autograd with detach, on clones that require grad."),
        success="the stops, the distance and the sums of this loss", taken=TAKEN, structure={}), draw, ("loss_and_pushes", "all_pushes", "loss_with_slopes", "moves_of", "pulls"))


MEANS = {"mean": ("(w @ z) / total", "sum(w * p for w, p in zip(ws, column)) / sum(ws)", "the mean"), "geometric": ("torch.exp((w @ torch.log(z)) / total)", "math.prod(p ** (w / sum(ws)) for w, p in zip(ws, column))", "the geometric mean, coordinate by coordinate"),
         "harmonic": ("total / (w @ (1 / z))", "sum(ws) / sum(w / p for w, p in zip(ws, column))", "the harmonic mean, coordinate by coordinate"), "root of squares": ("((w @ z ** 2) / total).sqrt()", "math.sqrt(sum(w * p * p for w, p in zip(ws, column)) / sum(ws))", "the root of the mean square, coordinate by coordinate")}
UNUSED = {"stays": ("e", "stays where it is"), "farthest": ("z[far.min(1).values.argmax()].expand_as(e)", "moves onto the point that is farthest from its own nearest code"), "middle": ("z.mean(0).expand_as(e)", "moves to the mean of all points")}


def new_codes(draw: Draw) -> Variant:
    """One update of all codes from weighted points."""
    mean, unused, shares = draw.one("mean", tuple(MEANS)), draw.one("unused", tuple(UNUSED)), draw.one("shares", ("hard", "two nearest", "soft"))
    weighted, slow = (True if mean == "mean" and shares == "hard" else draw.yes("masses")), draw.one("step", ("whole", "part of the way"))

    def body(mean: str = mean, unused: str = unused, shares: str = shares, weighted: bool = weighted, slow: str = slow, divide: bool = True) -> str:
        w = {"hard": "torch.nn.functional.one_hot(far.argmin(1), len(e)).to(z)", "two nearest": "torch.zeros_like(far).scatter(1, far.topk(2, largest=False).indices, 0.5)", "soft": "torch.softmax(-far, 1)"}[shares]
        new = MEANS[mean][0] if divide else MEANS[mean][0].replace(" / total", " / len(z)").replace("total / ", "len(z) / ")
        return (f"far = ((z[:, None] - e) ** 2).sum(-1)\nw = ({w}{' * a[:, None]' if weighted else ''}).T\ntotal = w.sum(1, keepdim=True)\n"
                f"new = torch.where(total > 1e-9, {new}, {UNUSED[unused][0]})\nreturn {'new' if slow == 'whole' else 'e + t * (new - e)'}")
    wrong = {
        "public": (body("mean", "stays", "hard", False, "whole"), "that is the public exercise's step, plain means of the points that chose a code, another model: here the points' shares, the kind of mean or their masses are others"),
        "kind of mean": (body(mean="mean" if mean != "mean" else "geometric"), "each code moves to another kind of mean than is asked"),
        "unused codes": (body(unused="stays" if unused != "stays" else "middle"), f"a code that nobody chose {UNUSED[unused][1]}"),
        "shares": (body(shares="hard" if shares != "hard" else "soft"), "a point's share goes to other codes than is asked"),
        "masses": (body(weighted=not weighted), "the masses of the points are left out"),
        "divided by all": (body(divide=False), "divide by the weight that chose this code, not by the number of points"),
        "step": (body(slow="whole" if slow != "whole" else "part of the way"), "each code goes only the share t of the way to its new place"),
        "all the way round": (body(slow="whole").replace("return new", "return new + t * (e - new)"), "you keep the share t of the old place; that is the share of the new one") if slow != "whole" else ("return e + 0", "your codes do not move"),
    }
    if not weighted:
        del wrong["masses"]
    if slow == "whole":
        del wrong["step"]
    used = {"z": ("(N, D)", "points, all coordinates above 0"), "e": ("(K, D)", "codes, above 0")} | ({"a": ("(N,)", "masses of the points, above 0")} if weighted else {}) | ({"t": ("a number", "the share of the way, 0 to 1")} if slow != "whole" else {})
    extra = (", uniform(rng, n, low=0.2, high=3.0)" if weighted else "") + (", share" if slow != "whole" else "")
    give = {"hard": "gives its whole weight to its nearest code", "two nearest": "gives half of its weight to each of its two nearest codes", "soft": "gives each code k the share $\\propto e^{-\\lVert z-e_k\\rVert^2}$ of its weight, one in all"}[shares]
    share = {"hard": "1.0 if far[k] == min(far) else 0.0", "two nearest": "0.5 if sorted(far).index(far[k]) < 2 else 0.0", "soft": "math.exp(-far[k]) / sum(math.exp(-f) for f in far)"}[shares]
    unused_proof = {"stays": "list(code)", "farthest": "all_z[max(range(len(all_z)), key=lambda i: min(distance(all_z[i], c) for c in old))]", "middle": "[sum(column) / len(all_z) for column in zip(*all_z)]"}[unused]
    proof = ("all_z, old = z.tolist(), e.tolist()\ndef distance(p, c):\n    return sum((x - y) ** 2 for x, y in zip(p, c))\nfound = []\nfor k, code in enumerate(old):\n    ws = []\n    for i, p in enumerate(all_z):\n        far = [distance(p, c) for c in old]\n"
             f"        ws.append(({share}){' * float(a[i])' if weighted else ''})\n    new = {unused_proof} if sum(ws) < 1e-9 else [{MEANS[mean][1]} for column in zip(*all_z)]\n"
             f"    found.append({'new' if slow == 'whole' else '[c + t * (n - c) for c, n in zip(code, new)]'})\nreturn torch.tensor(found, dtype=torch.float64)")
    again = body(shares=shares).replace("((z[:, None] - e) ** 2).sum(-1)", "(z ** 2).sum(1, keepdim=True) - 2 * z @ e.T + (e ** 2).sum(1)").replace("w.sum(1, keepdim=True)", "w @ torch.ones(len(z), 1, dtype=z.dtype)")
    return named(Variant(
        chapter=CHAPTER, number=2, title="Another step of the codes", minutes=25, function="", arguments=used, gives="(K, D): all codes after one step",
        prompt=f"One step of a codebook. Each point {give}, by squared distance{'; a point of mass a gives a times as much' if weighted else ''}. A code moves to {MEANS[mean][2]} of the points, with these weights"
               f"{', but only the share t of the way from where it is' if slow != 'whole' else ''}. A code that gets no weight {UNUSED[unused][1]}{' (for it too, only the share t of the way)' if slow != 'whole' and unused != 'stays' else ''}.\n\nReturn all codes after the step.",
        inputs=f"def case(n, k, d, share):\n    far_away = torch.full((1, d), 40.0, dtype=torch.float64)\n    return uniform(rng, n, d, low=0.3, high=3.0), torch.cat([uniform(rng, k, d, low=0.3, high=3.0), far_away]){extra}\n"
               "return {'12 points, 4 codes': case(12, 3, 2, 0.3), '8 points, 3 codes': case(8, 2, 3, 0.8)}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Write the weights that points give to codes as a table, codes by points. Then a code's new place is one weighted mean.",
               "*Equation.* With weights w(k, n): the mean is Σ w z / Σ w, in whatever function of z the mean is taken. Where Σ w is 0, the rule for unused codes.",
               "*Pseudo-code.* far (N, K); w (K, N); total = w.sum(1); new places; torch.where(total > 0, new, rule)."),
        success="the codes move as asked, used or not", taken=TAKEN, structure={}), draw, ("moved_codes", "next_codes", "after_one_step", "updated", "codes_after"))


TEMPLATES = (losses, new_codes)
