"""Template for planted mistakes (chapter 02): a function for the slope of the log-likelihood is handed out with two of eight mistakes in it."""
from __future__ import annotations

from .draw import Draw
from .units import ASKED, CHAPTER, LOG_SUM, TAKEN, VALUES
from .variant import Variant, named

_SLOPES = '''
every = torch.cartesian_prod(*[torch.tensor({values}, dtype=torch.float64)] * len({low}))
def mean_of(field):
    return {mean}
field = every @ {W} + {high}
log_weight = {own} + {log_sum}.sum(1)
p = ({sign}log_weight).softmax(0)
up, there = mean_of({x} @ {W} + {high}), mean_of(every @ {W} + {high})
g_pairs = {x}.T @ up / {count} {minus} (p[:, None] * every).T @ there
g_low = {x}.mean(0) - p @ {every}
g_high = up.mean(0) - {model}
return {order}
'''
_TAKEN = (*TAKEN, "objectives.exact_gradient", "objectives.cd_gradient", "objectives.expected_cd_gradient")


def two_mistakes(draw: Draw) -> Variant:
    """The slope of the mean log-likelihood of fully seen data; which layer is seen, its units and the mistakes are the key's."""
    seen, hidden = draw.one("seen units", ("pm", "three", "levels")), draw.one("unseen units", ("pm", "halves", "three", "levels"))
    turned = draw.yes("weights turned")
    W, order = ("W.T", "g_pairs.T, g_low, g_high") if turned else ("W", "g_pairs, g_low, g_high")
    right = {"x": "v", "W": W, "low": "b", "high": "c", "values": VALUES[seen][1], "mean": ASKED[hidden, "mean"], "own": "every @ b", "log_sum": LOG_SUM[hidden], "sign": "",
             "count": "len(v)", "minus": "-", "every": "every", "model": "p @ there", "order": order}
    mistakes = {
        "the states": {"values": VALUES["bits"][1]}, "the mean of a unit": {"mean": "torch.sigmoid(field)"}, "the bias in the weight": {"own": "0"}, "the summed units": {"log_sum": LOG_SUM["bits"]},
        "the sign of the weight": {"sign": "-"}, "the number of rows": {"count": "len(b)"}, "the sign of the model's half": {"minus": "+"}, "the model's average": {"model": "there.mean(0)"},
    }
    planted = draw.some("mistakes", tuple(mistakes), 2)

    def body(*broken: str) -> str:
        return _SLOPES.format(**right | {key: text for name in broken for key, text in mistakes[name].items()}).strip()
    units = f"visible units {VALUES[seen][0]}, hidden units {VALUES[hidden][0]}"
    wrong = {
        "public": (body("the states", "the mean of a unit", "the summed units"), "that is the slope for the public exercises' machine, another model, whose units are 0 or 1; keep to the units that are stated"),
        "unchanged": (body(*planted), "that is the function as it was handed out: both mistakes are still in it"),
        **{f"left: {name}": (body(name), f"one of the two is mended; the other is in {name}") for name in planted},
        **{f"new: {name}": (body(name), f"now there is a mistake in {name}, which was right in what you were given") for name in mistakes if name not in planted},
    }
    exponent = f"(every_v @ {W} @ every_h.T + (every_v @ b)[:, None] + every_h @ c)"
    again = (f"W1, b1, c1 = ({W}).clone().requires_grad_(), b.clone().requires_grad_(), c.clone().requires_grad_()\n"
             f"def log_weight(x):\n    field = x @ W1 + c1\n    return x @ b1 + {LOG_SUM[hidden]}.sum(1)\n"
             f"every = torch.cartesian_prod(*[torch.tensor({VALUES[seen][1]}, dtype=torch.float64)] * len(b))\n"
             f"found = torch.autograd.grad(log_weight(v).mean() - log_weight(every).logsumexp(0), (W1, b1, c1))\nreturn {'found[0].T, *found[1:]' if turned else 'found'}")
    proof = (f"every_v, every_h = states({VALUES[seen][1]}, len(b)), states({VALUES[hidden][1]}, len(c))\nrows = (v[:, None] - every_v).abs().sum(2).argmin(1)\n"
             f"def score(W, b, c):\n    table = {exponent}\n    return table[rows].logsumexp(1).mean() - table.logsumexp((0, 1))\nreturn tuple(slopes(score, W, b, c))")
    return named(Variant(
        chapter=CHAPTER, number=3, title="Two planted mistakes", minutes=30, function="",
        arguments={"v": ("(B, V)", f"data, {VALUES[seen][0]}"), "W": ("(H, V)" if turned else "(V, H)", "weights"), "b": ("(V,)", "visible biases"), "c": ("(H,)", "hidden biases")},
        gives=f"slopes in the weights {'(H, V)' if turned else '(V, H)'}, (V,) and (H,)",
        prompt=f"A machine with {units} has the energy $E(v,h)=-\\sum_{{ij}}W_{{{'ji' if turned else 'ij'}}}v_ih_j-\\sum_ib_iv_i-\\sum_jc_jh_j$. The function below is meant to return the exact slope of the mean log-likelihood "
               "$\\frac1B\\sum_n\\log p(v_n)$ in weights and biases. **Two mistakes are planted in it.** Find them, and write the function as it should be.",
        inputs=f"def case(n, n_v, n_h):\n    return among(rng, {VALUES[seen][1]}, n, n_v), normal(rng, {'n_h, n_v' if turned else 'n_v, n_h'}, scale=0.7), normal(rng, n_v, scale=0.7), normal(rng, n_h, scale=0.7)\n"
               "return {'5 rows': case(5, 3, 2), '4 rows': case(4, 2, 3)}",
        right=body(), again=again, proof=proof, wrong=wrong, given=body(*planted),
        hints=("*Nudge.* Test each line alone: do the states that are listed exist? Does p add up to one, and is a likely state likely? Does each half vanish when data and model agree?",
               "*Equation.* Slope in W: E over data of v·E[h|v] minus the same under the model; E[h|v] is that of these units, and p(v) ∝ exp(b·v) times a sum over the values of each hidden unit.",
               "*Pseudo-code.* Compare with autograd of the mean log-likelihood, term by term: weights, visible biases, hidden biases."),
        success="both mistakes are found, and nothing else is broken", taken=_TAKEN, structure={}), draw, ("mended_slopes", "true_slopes", "repaired", "mended", "exact_push"))


TEMPLATES = (two_mistakes,)
