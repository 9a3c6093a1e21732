"""Templates for bounds (chapter 01): another kind of q under another table of the model, and the q that is best for another aim."""
from __future__ import annotations

from .draw import Draw
from .variant import Variant, named

CHAPTER = "01_gibbs_bound"
TAKEN = ("variational.gibbs_bound", "variational.bound_terms", "variational.gap", "variational.entropy", "variational.kl_divergence", "variational.posterior",
         "variational.log_normaliser")
MODELS = {  # how the model is given: (arguments, log p(x, h1, h2) as Python (B, J, K), in words, inputs)
    "joint": ({"f": ("(B, J, K)", "log p(x, h₁, h₂)")}, "f", "the table of $\\log p(x,h_1,h_2)$", "normal(rng, n, 3, 4)"),
    "energy": ({"f": ("(B, J, K)", "E(x, h₁, h₂)"), "beta": ("a number", "inverse temperature β")}, "(-beta * f)", "energies: $p(x,h_1,h_2)\\propto e^{-βE}$, and the bound is one on $\\log\\sum_h e^{-βE}$",
               "normal(rng, n, 3, 4), 0.4 + 0.3 * n"),
    "prior": ({"f": ("(B, J, K)", "log p(x | h₁, h₂)"), "p": ("(J, K)", "log p(h₁, h₂)")}, "(f + p)", "a likelihood $\\log p(x\\mid h_1,h_2)$ and a prior $\\log p(h_1,h_2)$", "normal(rng, n, 3, 4), normal(rng, 12).log_softmax(0).view(3, 4)"),
    "chain": ({"f": ("(B, K)", "log p(x | h₂)"), "r": ("(J, K)", "log p(h₂ | h₁)"), "p": ("(J,)", "log p(h₁)")}, "(f[:, None, :] + r + p[:, None])", "a chain $p(h_1)\\,p(h_2\\mid h_1)\\,p(x\\mid h_2)$",
              "normal(rng, n, 4), normal(rng, 3, 4).log_softmax(1), normal(rng, 3).log_softmax(0)"),
}
QS = {  # the form of q: (arguments, q as Python (B, J, K), entropy or log q averaged, in words, inputs)
    "product": ({"q": ("(B, J)", "q(h₁)"), "t": ("(B, K)", "q(h₂)")}, "(q[:, :, None] * t[:, None, :])", "a product, $q(h_1)\\,q(h_2)$", "normal(rng, n, 3).softmax(1), normal(rng, n, 4).softmax(1)"),
    "upwards": ({"q": ("(B, J)", "q(h₁)"), "t": ("(B, J, K)", "q(h₂ | h₁), a row for each h₁")}, "(q[:, :, None] * t)", "a chain, $q(h_1)\\,q(h_2\\mid h_1)$", "normal(rng, n, 3).softmax(1), normal(rng, n, 3, 4).softmax(2)"),
    "downwards": ({"q": ("(B, K)", "q(h₂)"), "t": ("(B, J, K)", "q(h₁ | h₂), a column for each h₂")}, "(q[:, None, :] * t)", "a chain the other way, $q(h_2)\\,q(h_1\\mid h_2)$", "normal(rng, n, 4).softmax(1), normal(rng, n, 3, 4).softmax(1)"),
}
AIMS = {  # what is asked of the table g = log p(x, h) and of q, both (B, J, K): (right, in symbols, in words)
    "bound": ("(q2 * (g - q2.log())).sum((1, 2))", "\\mathcal L=E_q[\\log p(x,h)]+H(q)", "the bound"),
    "gap": ("g.logsumexp((1, 2)) - (q2 * (g - q2.log())).sum((1, 2))", "\\mathrm{KL}\\big(q\\,\\Vert\\,p(h\\mid x)\\big)", "what the bound leaves open"),
    "other divergence": ("(g.flatten(1).softmax(1) * (g.flatten(1).log_softmax(1) - q2.log().flatten(1))).sum(1)", "\\mathrm{KL}\\big(p(h\\mid x)\\,\\Vert\\,q\\big)", "the other divergence, from the posterior to q"),
    "two draws": ("torch.stack([q2.flatten(1)[:, i] * q2.flatten(1)[:, j] * torch.log(0.5 * ((g - q2.log()).flatten(1)[:, i].exp() + (g - q2.log()).flatten(1)[:, j].exp())) for i in range(q2[0].numel()) for j in range(q2[0].numel())]).sum(0)",
                  "E_{h,h'\\sim q}\\Big[\\log\\tfrac12\\Big(\\frac{p(x,h)}{q(h)}+\\frac{p(x,h')}{q(h')}\\Big)\\Big]", "the importance-weighted bound with two independent draws"),
    "half": ("2 * torch.logsumexp(0.5 * (g + q2.log()), (1, 2))", "2\\log E_q\\Big[\\sqrt{p(x,h)/q(h)}\\Big]", "Rényi's bound of order one half"),
    "squares": ("0.5 * torch.logsumexp(2 * g - q2.log(), (1, 2))", "\\tfrac12\\log E_q\\big[(p(x,h)/q(h))^2\\big]", "a bound from above"),
}
PROOFS = {  # of one pair of weights lw = log p - log q and probabilities w, both lists of floats
    "bound": "sum(w * l for w, l in zip(ws, ls))", "gap": "sum(w * math.log(w / t) for w, t in zip(ws, posterior))", "other divergence": "sum(t * math.log(t / w) for w, t in zip(ws, posterior))",
    "two draws": "sum(a * b * math.log((math.exp(k) + math.exp(l)) / 2) for a, k in zip(ws, ls) for b, l in zip(ws, ls))",
    "half": "2 * math.log(sum(w * math.exp(l / 2) for w, l in zip(ws, ls)))", "squares": "0.5 * math.log(sum(w * math.exp(2 * l) for w, l in zip(ws, ls)))",
}


def two_latents(draw: Draw) -> Variant:
    """A bound, a gap or another divergence for two latents."""
    model, form, aim = draw.one("model", tuple(MODELS)), draw.one("q", tuple(QS)), draw.one("asked", tuple(AIMS))
    (m_args, table, m_words, m_inputs), (q_args, q, q_words, q_inputs), (right, symbols, words) = MODELS[model], QS[form], AIMS[aim]

    def body(answer: str = right, g: str = table, q2: str = q) -> str:
        return f"g = {g}\nq2 = {q2}\nreturn {answer}"
    other_q = {"product": "(q[:, :, None] * t[:, None, :] / q.shape[1])", "upwards": "(q[:, :, None] * t.mean(1, keepdim=True))", "downwards": "(q[:, None, :] * t.mean(2, keepdim=True))"}[form]
    wrong = {
        "public": (f"g = {table}\nq1 = q[:, {':, None' if form != 'downwards' else 'None, :'}]\nreturn (q1 * (g - q1.log())).sum((1, 2))",
                   "that is the public exercise's formula with one factor of q alone, another model: there is one latent. Here q has two factors, and both the average and its logarithm need both"),
        "second factor's entropy": (body("(q2 * (g - t.log().mean() - q2.log())).sum((1, 2))"), "q's logarithm is that of the whole q, log of the product: you count one factor twice"),
        "one factor's entropy": (f"g = {table}\nq2 = {q}\nreturn (q2 * g).sum((1, 2)) - (q * q.log()).sum(1)", "the entropy of the second factor is missing"),
        "no entropy": (body("(q2 * g).sum((1, 2))"), "that is the average of log p(x, h) alone: q's own logarithm is missing"),
        "dependence lost": (body(q2=other_q), "you lose what the second factor of q is conditioned on, or divide where nothing is to be divided"),
        "inside out": (body("torch.logsumexp(g + q2.log(), (1, 2))"), "you take the logarithm of an average of p; asked is another order of average and logarithm"),
        "log p(x)": (body("g.logsumexp((1, 2))"), "that is log p(x) itself, which needs no q"),
    } | {f"instead: {other}": (body(AIMS[other][0]), f"that is {AIMS[other][2]}, a different question") for other in ("bound", "gap", "half", "two draws") if other != aim}
    if model == "energy":
        wrong["no temperature"] = (body(g="(-f)"), "β is missing: log p(x, h) is −βE here")
        wrong["minus lost"] = (body(g="(beta * f)"), "a low energy is a likely state: the sign of E is lost")
    if model in ("prior", "chain"):
        wrong["no prior"] = (body(g="(f + 0 * p)" if model == "prior" else "(f[:, None, :] + r + 0 * p[:, None])"), "the prior is missing from log p(x, h)")
    again = f"g = ({table}).flatten(1)\nw = ({q}).flatten(1)\n" + {
        "bound": "return (w * g).sum(1) + torch.special.entr(w).sum(1)", "gap": "return (w * (w.log() - g.log_softmax(1))).sum(1)", "other divergence": "return torch.nn.functional.kl_div(w.log(), g.log_softmax(1), log_target=True, reduction='none').sum(1)",
        "two draws": "ratio = (g - w.log()).exp()\nreturn torch.einsum('bi,bj,bij->b', w, w, torch.log((ratio[:, :, None] + ratio[:, None, :]) / 2))",
        "half": "return 2 * torch.log((w * (g.exp() / w).sqrt()).sum(1))", "squares": "return 0.5 * torch.log((g.exp() ** 2 / w).sum(1))"}[aim]
    proof = (f"g, q2 = {table}, {q}\nfound = []\nfor row in range(len(q)):\n    cells = [(j, k) for j in range(q2.shape[1]) for k in range(q2.shape[2])]\n"
             "    ws = [q2[row, j, k].item() for j, k in cells]\n    ls = [g[row, j, k].item() - math.log(w) for (j, k), w in zip(cells, ws)]\n"
             f"    total = sum(w * math.exp(l) for w, l in zip(ws, ls))\n    posterior = [w * math.exp(l) / total for w, l in zip(ws, ls)]\n    found.append({PROOFS[aim]})\nreturn torch.tensor(found, dtype=torch.float64)")
    return named(Variant(
        chapter=CHAPTER, number=1, title="Two latents, one q", minutes=20, function="", arguments=m_args | q_args, gives=f"(B,): {words}, in nats",
        prompt=f"A picture x has two latents, $h_1$ with J values and $h_2$ with K. The model is given as {m_words}; the approximation as {q_words}.\n\nReturn, for each picture, {words}:\n$${symbols}.$$",
        inputs=f"def case(n):\n    return {m_inputs}, {q_inputs}\nreturn {{'2 pictures': case(2), '3 pictures': case(3)}}", right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Make two tables of shape (B, J, K) first: log p(x, h₁, h₂), and q(h₁, h₂). Then the formula is one line.",
               f"*Equation.* Average over both latents with the weights q(h₁, h₂): ${symbols}$.",
               "*Pseudo-code.* g = the model's table; q2 = the product of q's factors, with `None` axes where one is missing; sum over both axes of latents."),
        success="two latents, both averaged over", taken=TAKEN, structure={}), draw, ("two_latents", "pair_score", "joint_aim", "both_causes", "double_bound"))


OBJECTIVES = {  # of a distribution q over K states with scores f: (log q up to a constant, the gradient in q, value, in symbols)
    "temperature": ("f / t", "f - t * (y.log() + 1)", "(y * f).sum(1) - t * (y * y.log()).sum(1)", "E_q[f]+τ\\,H(q)"),
    "pulled": ("f / t + r.log()", "f - t * (y.log() - r.log() + 1)", "(y * f).sum(1) - t * (y * (y / r).log()).sum(1)", "E_q[f]-τ\\,\\mathrm{KL}(q\\,\\Vert\\,r)"),
    "both": ("(f + t * r.log()) / (1 + t)", "f - y.log() - 1 - t * (y.log() - r.log() + 1)", "(y * (f - y.log())).sum(1) - t * (y * (y / r).log()).sum(1)", "E_q[f]+H(q)-τ\\,\\mathrm{KL}(q\\,\\Vert\\,r)"),
    "cost": ("-f / t + r.log()", "f + t * (y.log() - r.log() + 1)", "(y * f).sum(1) + t * (y * (y / r).log()).sum(1)", "E_q[f]+τ\\,\\mathrm{KL}(q\\,\\Vert\\,r)"),
}


def best_q(draw: Draw) -> Variant:
    """The q that makes an objective best; the answer is q itself, the objective's best value, or one average under it."""
    aim, answer = draw.one("objective", tuple(OBJECTIVES)), draw.one("answer", ("q", "value", "gain", "entropy"))
    log_q, gradient, value, symbols = OBJECTIVES[aim]
    arguments = {"f": ("(B, K)", "f of each state"), "t": ("a number", "τ, above 0")} | ({"r": ("(B, K)", "r, a distribution in each row")} if aim != "temperature" else {})
    start = "torch.full_like(f, 1 / f.shape[1])" if aim == "temperature" else "r"
    final = {"q": "y", "value": value, "gain": f"{value} - [{value} for y in [{start}]][0]", "entropy": "-(y * y.log()).sum(1)"}

    def body(log_q: str = log_q, answer: str = answer) -> str:
        return f"y = torch.softmax({log_q}, 1)\nreturn {final[answer]}"
    least = "smallest" if aim == "cost" else "largest"
    wrong = {
        "public": (body("f"), "that is the posterior of the public exercises, softmax of f alone, the best for another model: here q is weighed in another way"),
        "not divided": (body({"temperature": "t * f", "pulled": "t * f + r.log()", "both": "f + t * r.log()", "cost": "-t * f + r.log()"}[aim]), "set the slope to zero and solve for log q: f is divided, by what stands before q's logarithm"),
        "the best state": (f"y = torch.nn.functional.one_hot(({'-' if aim == 'cost' else ''}f).argmax(1), f.shape[1]).to(f) * (1 - 1e-12) + 1e-13\nreturn {final[answer]}", "you put all on the best state: that is the answer without the terms that τ weighs"),
        "sign": (body({"temperature": "-f / t", "pulled": "-f / t + r.log()", "both": "(-f + t * r.log()) / (1 + t)", "cost": "f / t + r.log()"}[aim]), f"the sign of f is wrong: the objective is to be {least}"),
        "something else of it": (body(answer="q" if answer != "q" else "entropy"), "that is something else of the best q than what is asked"),
        "value at the start": (f"y = {start}\nreturn {final[answer]}", "that is what the start gives, before anything is made best"),
    } | ({"r forgotten": (body({"pulled": "f / t", "both": "f / (1 + t)", "cost": "-f / t"}[aim]), "r is forgotten: without f, the best q would be r"),
          "r not in logs": (body(log_q.replace("r.log()", "r")), "r comes in as its logarithm"),
          "r divided": (body({"pulled": "(f + r.log()) / t", "both": "(f + r.log()) / (1 + t)", "cost": "(-f + r.log()) / t"}[aim]), "log r is not divided like f: write the slope in q once more")} if aim != "temperature" else {})
    asked = {"q": "that q", "value": f"the {least} value", "gain": f"how much the best q gains over {'the uniform one' if aim == 'temperature' else 'q = r'}, value minus value", "entropy": "the entropy of that q"}[answer]
    closed = {"temperature": "t * torch.logsumexp(f / t, 1)", "pulled": "t * torch.logsumexp(f / t + r.log(), 1)", "both": "(1 + t) * torch.logsumexp((f + t * r.log()) / (1 + t), 1)", "cost": "-t * torch.logsumexp(-f / t + r.log(), 1)"}[aim]
    at_start = {"temperature": "f.mean(1) + t * math.log(f.shape[1])", "pulled": "(r * f).sum(1)", "both": "(r * f).sum(1) - (r * r.log()).sum(1)", "cost": "(r * f).sum(1)"}[aim]
    again = {"q": f"w = torch.exp({log_q})\nreturn w / w.sum(1, keepdim=True)", "value": f"return {closed}", "gain": f"return {closed} - ({at_start})",
             "entropy": f"w = ({log_q}).log_softmax(1)\nreturn torch.special.entr(w.exp()).sum(1)"}[answer]
    step = "0.4 / t" if aim != "both" else "0.4 / (1 + t)"
    proof = f"y = torch.full_like(f, 1 / f.shape[1])\nfor _ in range(200):\n    y = torch.softmax(y.log() {'-' if aim == 'cost' else '+'} {step} * ({gradient}), 1)\nreturn {final[answer]}"
    reference = ", normal(rng, n, 5).softmax(1)" if aim != "temperature" else ""
    return named(Variant(
        chapter=CHAPTER, number=2, title="The best q for another aim", minutes=20, function="", arguments=arguments, gives=f"{'(B, K)' if answer == 'q' else '(B,)'}: {asked}",
        prompt=f"For scores $f$ of K states{', a reference distribution $r$' if aim != 'temperature' else ''} and a number $τ>0$, take the distribution $q$ that makes\n$${symbols}$$\n{least}. Return {asked}, row by row.",
        inputs=f"def case(n, heat):\n    return normal(rng, n, 5), heat{reference}\nreturn {{'3 rows': case(3, 0.6), '2 rows': case(2, 2.5)}}", right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Differentiate in each q(k), with a multiplier for Σq = 1, and set the slope to zero. What is log q(k) then?",
               f"*Equation.* The slope in q(k) is zero where log q(k) = const + {log_q.replace('t', 'τ').replace('r.log()', 'log r')}.",
               "*Pseudo-code.* softmax of that over the states; then put q into what is asked."),
        success="the slope is zero there, and nowhere else", taken=TAKEN, structure={}), draw, ("best_weights", "settled", "optimum", "chosen_mix", "ideal_belief"))


TEMPLATES = (two_latents, best_q)
