"""Templates for RBMs with other units (chapter 02): sum a layer out, and what a unit does given the other layer.

The energy has signs of its own, the units other values, the table of weights another orientation; Gaussian units are integrated.
"""
from __future__ import annotations

from .draw import Draw
from .variant import Variant, named

CHAPTER = "02_rbm"
VALUES = {  # of one unit: what it may be, in words and as Python
    "pm": ("−1 or +1", "(-1.0, 1.0)"), "halves": ("−½ or +½", "(-0.5, 0.5)"), "three": ("−1, 0 or +1", "(-1.0, 0.0, 1.0)"),
    "levels": ("0, 1 or 2", "(0.0, 1.0, 2.0)"), "bits": ("0 or 1", "(0.0, 1.0)"),
    "gauss": ("any real number", ""),
}
LOG_SUM = {  # log of the sum (or integral) of exp(y · field) over the values of y, exp(y · field - y² / 2) for real ones
    "pm": "(field.abs() + torch.log1p(torch.exp(-2 * field.abs())))",
    "halves": "(torch.nn.functional.softplus(field) - field / 2)",
    "three": "torch.stack([-field, torch.zeros_like(field), field]).logsumexp(0)",
    "levels": "torch.stack([0 * field, field, 2 * field]).logsumexp(0)",
    "bits": "torch.nn.functional.softplus(field)",
    "gauss": "(field ** 2 / 2 + math.log(2 * math.pi) / 2)",
}
LOG_SUM_AGAIN = {
    "pm": "torch.log(2 * torch.cosh(field))", "halves": "torch.log(2 * torch.cosh(field / 2))", "three": "torch.log(1 + 2 * torch.cosh(field))",
    "levels": "torch.log(1 + torch.exp(field) + torch.exp(2 * field))", "bits": "torch.log(1 + torch.exp(field))",
    "gauss": "(torch.log(torch.exp(field ** 2 / 2)) + 0.5 * math.log(2 * math.pi))",
}
BEST = {"pm": "field.abs()", "halves": "(field.abs() / 2)", "three": "field.abs()", "levels": "(2 * torch.relu(field))", "gauss": "(field ** 2 / 2)"}
ASKED = {  # of one unit, given its field
    ("pm", "mean"): "torch.tanh(field)", ("pm", "top"): "torch.sigmoid(2 * field)", ("pm", "variance"): "1 - torch.tanh(field) ** 2",
    ("halves", "mean"): "torch.tanh(field / 2) / 2", ("halves", "top"): "torch.sigmoid(field)", ("halves", "variance"): "0.25 / torch.cosh(field / 2) ** 2",
    ("three", "mean"): "2 * torch.sinh(field) / (1 + 2 * torch.cosh(field))", ("three", "top"): "torch.exp(field) / (1 + 2 * torch.cosh(field))",
    ("three", "variance"): "2 * torch.cosh(field) / (1 + 2 * torch.cosh(field)) - (2 * torch.sinh(field) / (1 + 2 * torch.cosh(field))) ** 2",
    ("levels", "mean"): "(torch.exp(field) + 2 * torch.exp(2 * field)) / (1 + torch.exp(field) + torch.exp(2 * field))",
    ("levels", "top"): "torch.exp(2 * field) / (1 + torch.exp(field) + torch.exp(2 * field))",
    ("levels", "variance"): "(torch.exp(field) + 4 * torch.exp(2 * field) + torch.exp(3 * field)) / (1 + torch.exp(field) + torch.exp(2 * field)) ** 2",
}
WORDS = {"mean": "its mean", "top": "the probability of its largest value", "variance": "its variance"}
SIGNS = ("- - +", "- + -", "- + +", "+ - -", "+ - +", "+ + -", "+ + +")  # of the three terms of the energy; the public one has - - -
TAKEN = ("rbm.RBM.free_energy", "rbm.RBM.hidden_logits", "rbm.RBM.visible_logits", "rbm.RBM.energy", "enumeration.visible_log_prob", "enumeration.joint_log_prob",
         "enumeration.hidden_posterior", "enumeration.exact_log_likelihood", "enumeration.log_partition", "kernels.sum_softplus")


def layout(draw: Draw, kept: str) -> dict[str, str]:
    """How the energy is written: W[v, h] or W[h, v], and the sign of each term in the exponent, -E."""
    turned = draw.one("weights", ("W[v, h]", "W[h, v]")) == "W[h, v]"
    pair, low, high = ({"-": "", "+": "-"}[sign] for sign in draw.one("signs", SIGNS).split())  # E has -, the exponent has +
    own, other, own_bias, other_bias = ("v", "h", "b", "c") if kept == "visible" else ("h", "v", "c", "b")
    signs, terms = {"b": low, "c": high}, (r"\sum_{ij} W_{" + ("ji" if turned else "ij") + "} v_i h_j", r"\sum_i b_i v_i", r"\sum_j c_j h_j")
    return {"turned": "yes" if turned else "", "pair": pair, "own": own, "other": other, "own_bias": own_bias, "other_bias": other_bias, "own_sign": signs[own_bias],
            "other_sign": signs[other_bias], "W": "W" if turned != (kept == "visible") else "W.T", "low": low, "high": high,
            "energy": " ".join(f"{'+' if sign else '-'} {term}" for sign, term in zip((pair, low, high), terms)).removeprefix("+ ")}


def field_of(at: dict[str, str], beta: bool = False, **changed) -> str:
    """`field = ...`: what multiplies one unit of the other layer in the exponent."""
    at = at | changed
    total = f"{at['pair']}{at['own']} @ {at['W']} {'-' if at['other_sign'] else '+'} {at['other_bias']}"
    return f"field = {f'beta * ({total})' if beta else total}"


def energy_code(at: dict[str, str], v: str, h: str) -> str:
    """E of every pair of a row of v and a row of h, from its definition."""
    back = {"": "-", "-": "+"}
    weights = "W.T" if at["turned"] else "W"
    return f"(0 {back[at['pair']]} {v} @ {weights} @ {h}.T {back[at['low']]} ({v} @ b)[:, None] {back[at['high']]} {h} @ c)"


def inputs_code(at: dict[str, str], values: str, beta: bool, n_other: int = 3) -> str:
    sizes = {"v": ("4", str(n_other)) if at["own"] == "v" else (str(n_other), "4")}
    n_v, n_h = sizes["v"]
    shape = f"{n_h}, {n_v}" if at["turned"] else f"{n_v}, {n_h}"
    kept = f"normal(rng, n, {n_v if at['own'] == 'v' else n_h})" if not values else f"among(rng, {values}, n, {n_v if at['own'] == 'v' else n_h})"
    arguments = f"{kept}, normal(rng, {shape}, scale=0.7), normal(rng, {n_v}, scale=0.7), normal(rng, {n_h}, scale=0.7)" + (", cold" if beta else "")
    return f"def case(n, cold):\n    return {arguments}\nreturn {{'3 rows': case(3, 0.6), '2 rows': case(2, 1.7)}}"


def arguments_of(at: dict[str, str], beta: bool, values: str) -> dict[str, tuple[str, str]]:
    kept = "visible" if at["own"] == "v" else "hidden"
    found = {at["own"]: (f"(B, {'V' if kept == 'visible' else 'H'})", f"{kept} units, each {values}"),
             "W": ("(H, V)" if at["turned"] else "(V, H)", "weights"), "b": ("(V,)", "biases of the visible units"), "c": ("(H,)", "biases of the hidden units")}
    return found | ({"beta": ("a number", "inverse temperature β")} if beta else {})


def sum_out(draw: Draw) -> Variant:
    """A layer summed out (or integrated), as a free energy or as a log weight."""
    kept, summed = draw.one("kept layer", ("visible", "hidden")), draw.one("summed units", ("pm", "halves", "three", "levels", "gauss"))
    own, at = draw.one("kept units", ("pm", "three", "levels", "bits", "gauss")), layout(draw, kept)
    beta = summed != "gauss" and own != "gauss" and draw.yes("temperature")
    weight = draw.one("answer", ("free energy", "log weight")) == "log weight"

    def body(field: str = "", pieces: dict = LOG_SUM, sign: str | None = None, units: str = summed, own_term: str = "", scale: bool = beta) -> str:
        linear = f"{'-' if (at['own_sign'] if sign is None else sign) else ''}{at['own']} @ {at['own_bias']}"
        bump = f" - ({at['own']} ** 2).sum(1) / 2" if own == "gauss" else ""
        total = f"{own_term or (f'beta * ({linear})' if beta else linear + bump)} + {pieces[units]}.sum(1)"
        return f"{field or field_of(at, beta)}\nreturn " + (total if weight else f"-({total})" + (" / beta" if scale else ""))
    opposite = {"": "-", "-": ""}
    wrong = {
        "public": (f"field = {at['own']} @ {at['W']} + {at['other_bias']}\nreturn -{at['own']} @ {at['own_bias']} - {LOG_SUM['bits']}.sum(1)",
                   "that is the answer to the public exercise, another model: there all terms of the energy have a minus, units are 0 or 1, and the hidden ones are summed out. Read the energy of this one again"),
        "units 0 and 1": (body(units="bits"), "you add up over 0 and 1; these units take other values"),
        "other values": (body(units="three" if summed != "three" else "pm"), "you add up over other values than these units take"),
        "the best state": (body(pieces=BEST), "you take the likeliest state of the other layer alone: all of them are added up"),
        "sign of the field's bias": (body(field_of(at, beta, other_sign=opposite[at["other_sign"]])), "the bias of the summed units has the wrong sign: look at its term in the energy"),
        "sign of the pairs": (body(field_of(at, beta, pair=opposite[at["pair"]])), "the weights come in with the wrong sign: the exponent is −E"),
        "sign of the own bias": (body(sign=opposite[at["own_sign"]]), "the bias of the units that are kept has the wrong sign"),
        "own bias forgotten": (body(own_term="0"), "the term of the units that are kept is missing"),
        "not divided by beta": (body(scale=False), "F = −(1/β) log Σ exp(−βE): the division by β is missing"),
        "minus": (body().replace("return ", "return -1 * (", 1) + ")", "the sign of the whole is wrong: is a free energy asked, or the logarithm of a weight?"),
    }
    if summed == "gauss":
        del wrong["the best state"]
    space, other = "the whole line" if summed == "gauss" else VALUES[summed][0], "hidden" if kept == "visible" else "visible"
    gauss = "Real units carry $+\\tfrac12$ of their square in the energy, besides what stands there." if "gauss" in (summed, own) else ""
    goal = f"\\log\\sum_{{{at['other']}}}e^{{-{'βE' if beta else 'E'}}}"
    inverse = r"\frac1β" if beta else ""
    asked = f"the logarithm of what is left when the {other} units are summed out, ${goal}$" if weight else f"the free energy of the {kept} units, $-{inverse}{goal}$"
    values = VALUES[summed][1] or "torch.linspace(-15, 15, 601, dtype=torch.float64).tolist()"
    n_other = 2 if summed == "gauss" else 3
    pair = f"{at['own']}, y" if kept == "visible" else f"y, {at['own']}"
    squares = (f" + ({at['own']} ** 2).sum(1)[:, None] / 2" if own == "gauss" else "") + (" + (y ** 2).sum(1) / 2" if summed == "gauss" else "")
    exponent = f"-{'beta * ' if beta else ''}({energy_code(at, *pair.split(', '))}{'.T' if kept == 'hidden' else ''}{squares})"
    step = " + 2 * math.log(0.05)" if summed == "gauss" else ""
    proof = f"y = states({values}, {n_other})\ntotal = ({exponent}).logsumexp(1){step}\nreturn " + ("total" if weight else f"-total{' / beta' if beta else ''}")
    return named(Variant(
        chapter=CHAPTER, number=1, title="Other units, summed away", minutes=25, function="", arguments=arguments_of(at, beta, VALUES[own][0]), gives=f"(B,): {asked.split(',')[0]}",
        prompt=f"The {kept} units {at['own']} of this machine are {VALUES[own][0]}, its {other} units {at['other']} {VALUES[summed][0]}. Its energy is\n$$E(v,h)={at['energy']}.$$\n{gauss}\n\n"
               f"Return {asked}, in nats{' (an integral over the whole line for each)' if summed == 'gauss' else ''}. Do not list the states: the answer must also work for 500 units.",
        inputs=inputs_code(at, VALUES[own][1], beta, n_other), right=body(), again=body(pieces=LOG_SUM_AGAIN), proof=proof, wrong=wrong,
        hints=("*Nudge.* Given one layer, the units of the other do not meet in the energy: the sum over their states is a product of sums over one unit each.",
               f"*Equation.* One unit {at['other']} with field a gives log Σ exp(a·y) over y in {space}; its own sign and bias stand in a.",
               "*Pseudo-code.* field = what multiplies one unit in −E; the logarithm of its sum over the values, added up over the units; then the term of the layer that is kept."),
        success="the other layer is summed out, whatever its units are", taken=TAKEN, structure={}), draw,
        ("summed_out", "left_over", "without_the_rest", "marginal_term", "layer_score"))


def one_unit(draw: Draw) -> Variant:
    """Mean, variance or a probability of each unit, given the other layer."""
    kept, units = draw.one("given layer", ("visible", "hidden")), draw.one("asked units", ("pm", "halves", "three", "levels"))
    what, at, beta = draw.one("asked", ("mean", "top", "variance")), layout(draw, kept), draw.yes("temperature")
    own = draw.one("given units", ("pm", "three", "bits", "levels"))

    def body(field: str = "", units: str = units, what: str = what) -> str:
        return f"{field or field_of(at, beta)}\nreturn {ASKED[units, what]}"
    opposite, other_units, other = {"": "-", "-": ""}, "pm" if units != "pm" else "three", "hidden" if kept == "visible" else "visible"
    values = VALUES[units][1]
    again = (f"values = torch.tensor({values}, dtype=torch.float64)\n{field_of(at, beta)}\np = (field[:, :, None] * values).softmax(2)\n"
             + {"mean": "return p @ values", "top": "return p[:, :, -1]", "variance": "return p @ values ** 2 - (p @ values) ** 2"}[what])
    pair = (at["own"], "y") if kept == "visible" else ("y", at["own"])
    proof = (f"y = states({values}, 3)\np = (-{'beta * ' if beta else ''}{energy_code(at, *pair)}{'.T' if kept == 'hidden' else ''}).softmax(1)\n"
             + {"mean": "return p @ y", "top": "return p @ (y == y.max()).to(y)", "variance": "return p @ y ** 2 - (p @ y) ** 2"}[what])
    wrong = {
        "public": (f"field = {at['own']} @ {at['W']} + {at['other_bias']}\nreturn torch.sigmoid(field)",
                   "that is the sigmoid of the public exercises, another model: there units are 0 or 1 and all terms of the energy have a minus. Sum over the values of this unit"),
        "sigmoid": (f"{field_of(at, beta)}\nreturn torch.sigmoid(field)", "the sigmoid belongs to units that are 0 or 1; these take other values"),
        "other values": (body(units=other_units), "you sum over other values than this unit takes"),
        "sign of the bias": (body(field_of(at, beta, other_sign=opposite[at["other_sign"]])), "the bias has the wrong sign: look at its term in the energy"),
        "sign of the pairs": (body(field_of(at, beta, pair=opposite[at["pair"]])), "the weights come in with the wrong sign: the exponent is −E"),
        "bias forgotten": (f"{field_of(at, beta).rsplit(' ', 2)[0]}{')' if beta else ''}\nreturn {ASKED[units, what]}", "the unit's own bias is missing"),
        "the likeliest value": (f"values = torch.tensor({values}, dtype=torch.float64)\n{field_of(at, beta)}\nreturn values[(field[:, :, None] * values).argmax(2)]",
                                "that is the likeliest value of each unit; what is asked is an average over all of them"),
        "something else of it": (body(what="top" if what == "mean" else "mean"), f"that is another quantity of this unit: {WORDS['top' if what == 'mean' else 'mean']}; asked is {WORDS[what]}"),
    } | ({"no temperature": (body(field_of(at)), "β is missing: the weights are exp(−βE)")} if beta else {})
    return named(Variant(
        chapter=CHAPTER, number=2, title="What one unit does", minutes=20, function="", arguments=arguments_of(at, beta, VALUES[own][0]), gives=f"(B, {'H' if kept == 'visible' else 'V'}): {WORDS[what]}, for each unit",
        prompt=f"Another machine: its {kept} units {at['own']} are {VALUES[own][0]}, its {other} units {at['other']} {VALUES[units][0]}, and states have weights $e^{{-{'βE' if beta else 'E'}}}$ with\n$$E(v,h)={at['energy']}.$$\n"
               f"The {kept} units are given. Return, for each {other} unit, {WORDS[what]}.",
        inputs=inputs_code(at, VALUES[own][1], beta), right=body(), again=again, proof=proof, wrong=wrong,
        hints=(f"*Nudge.* Given the {kept} layer the other units are independent: one unit alone, with the weights exp(field · value).",
               f"*Equation.* p(y) ∝ exp(a·y) for y in {VALUES[units][0]}; a collects what multiplies y in {'−βE' if beta else '−E'}.",
               "*Pseudo-code.* field = ...; p = softmax of field · values; then the average that is asked."),
        success="one unit at a time, with its own values", taken=TAKEN, structure={}), draw,
        ("unit_given_rest", "answer_of_unit", "unit_summary", "local_answer", "single_unit"))


TEMPLATES = (sum_out, one_unit)
