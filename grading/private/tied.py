"""Template for a tied start whose units take other values (chapter 05): the same distribution in the second machine's own units."""
from __future__ import annotations

from .draw import Draw
from .stacks import CHAPTER, TAKEN
from .units import VALUES
from .variant import Variant, named

_KINDS = ("pm", "halves", "bits")
_CHANGE = {("pm", "bits"): (2, -1), ("pm", "halves"): (2, 0), ("halves", "bits"): (1, -0.5), ("halves", "pm"): (0.5, 0), ("bits", "pm"): (0.5, 0.5), ("bits", "halves"): (1, 0.5)}  # old = scale · new + shift


def _times(number: float, text: str) -> str:
    return text if number == 1 else f"-{text}" if number == -1 else f"{number:g} * {text}"


def _plus(bias: str, number: float, text: str) -> str:
    return bias if number == 0 else f"({bias} {'-' if number < 0 else '+'} {_times(abs(number), text)})"


def other_values(draw: Draw) -> Variant:
    """Weights and biases of the second machine, tied to the first or in its place."""
    old_v, old_h = draw.one("old visible units", _KINDS), draw.one("old hidden units", _KINDS)
    new_v, new_h = draw.one("new units for the visible", tuple(kind for kind in _KINDS if kind != old_v)), draw.one("new units for the hidden", _KINDS)
    tied, turned, minus = draw.yes("tied"), draw.yes("weights turned"), draw.yes("pairs with a plus in the energy")
    (a, d), (g, e) = _CHANGE[old_v, new_v], _CHANGE.get((old_h, new_h), (1, 0))
    M = f"{'-' if minus else ''}W{'.T' if turned else ''}"

    def body(a: float = a, d: float = d, g: float = g, e: float = e, tie: bool = tied, M: str = M) -> str:
        return (f"M = {M}\nlow = {_times(a, _plus('b', e, 'M.sum(1)'))}\nhigh = {_times(g, _plus('c', d, 'M.sum(0)'))}\n"
                f"pairs = {_times(a * g, 'M')}\nreturn {'pairs.T, high, low' if tie else 'pairs, low, high'}")
    second = f"{'pairs.T, high, low' if tied else 'pairs, low, high'}"
    wrong = {
        "public": ("return W.T, c, b", "that is the public exercise's tied start, another model: there the units of both machines are 0 or 1. Here their values change from one machine to the other"),
        "values ignored": (body(1, 0, 1, 0), "the values of the units change, and your weights and biases do not: put old = scale · new + shift into the exponent"),
        "biases not corrected": (body(d=0, e=0), "a shifted unit times a weight leaves something over, which belongs to the bias of the other layer"),
        "biases corrected with the wrong sign": (body(d=-d, e=-e), "what the shift leaves over comes into the biases with the other sign"),
        "scaled the wrong way": (body(1 / a, d, 1 / g, e), "you divide by the scale where you have to multiply: old = scale · new + shift"),
        "weights not scaled": (body().replace(f"pairs = {_times(a * g, 'M')}", "pairs = M"), "the weights are not scaled: each takes the scale of both its units"),
        "sums over the wrong layer": (f"M = {M}\nlow = {_times(a, 'b')} + {_times(d, 'M.sum(1)')}\nhigh = {_times(g, 'c')} + {_times(e, 'M.sum(0)')}\npairs = {_times(a * g, 'M')}\nreturn {second}", "each bias takes what the shift of the *other* layer leaves over"),
        "the other machine": (body(tie=not tied), "the layers are the wrong way round: " + ("the second machine's visible layer stands for h" if tied else "the machine stays as it is, only its units change")),
        "sign of the pairs": (body(M=f"-({M})"), "the sign of the pairs in the energy is lost"),
    }
    again = (f"scale_v, shift_v, scale_h, shift_h = {a:g}, {d:g}, {g:g}, {e:g}\nM = {M}\npairs = scale_v * M * scale_h\n"
             f"low = scale_v * b + scale_v * torch.mv(M, torch.full_like(c, shift_h))\nhigh = scale_h * c + scale_h * torch.mv(M.T, torch.full_like(b, shift_v))\nreturn {second}")
    proof = (f"old_v, old_h = states({VALUES[old_v][1]}, len(b)), states({VALUES[old_h][1]}, len(c))\nnew_v, new_h = states({VALUES[new_v][1]}, len(b)), states({VALUES[new_h][1]}, len(c))\n"
             f"score, features = [], []\nfor k, v in enumerate(old_v):\n    for l, h in enumerate(old_h):\n        score.append(v @ ({M}) @ h + b @ v + c @ h)\n"
             "        features.append(torch.cat([torch.outer(new_v[k], new_h[l]).flatten(), new_v[k], new_h[l], torch.ones(1, dtype=torch.float64)]))\n"
             "found = torch.linalg.lstsq(torch.stack(features), torch.stack(score)[:, None]).solution[:, 0]\nn = len(b) * len(c)\n"
             f"pairs, low, high = found[:n].view(len(b), len(c)), found[n:n + len(b)], found[n + len(b):-1]\nreturn {second}")
    layers = (f"second machine's visible layer stands for h, with units {VALUES[new_h][0]}, and its hidden layer for v, with units {VALUES[new_v][0]}" if tied
              else f"second machine has visible units {VALUES[new_v][0]} for v and hidden units {VALUES[new_h][0]} for h")
    shapes = "weights (H, V), visible biases (H,), hidden biases (V,)" if tied else "weights (V, H), visible biases (V,), hidden biases (H,)"
    return named(Variant(
        chapter=CHAPTER, number=2, title="The same machine in other units", minutes=25, function="",
        arguments={"W": ("(H, V)" if turned else "(V, H)", "weights of the first machine"), "b": ("(V,)", "its visible biases"), "c": ("(H,)", "its hidden biases")}, gives=f"{shapes} of the second machine",
        prompt=f"A machine has visible units v {VALUES[old_v][0]}, hidden units h {VALUES[old_h][0]}, and states weigh $e^{{-E}}$ with $E={'+' if minus else '-'}\\sum_{{ij}}W_{{{'ji' if turned else 'ij'}}}v_ih_j-\\sum_ib_iv_i-\\sum_jc_jh_j$. "
               f"Write down a second machine with the same distribution. Its energy has a minus in all three terms, its weights are stored visible by hidden, and the {layers}. The lower value of a new unit stands for the lower value of the old one.\n\n"
               f"Return {shapes} of the second machine.",
        inputs=f"def case(n_v, n_h):\n    return normal(rng, {'n_h, n_v' if turned else 'n_v, n_h'}), normal(rng, n_v), normal(rng, n_h)\nreturn {{'4 visible, 3 hidden': case(4, 3), '2 visible, 3 hidden': case(2, 3)}}",
        right=body(), again=again, proof=proof, wrong=wrong,
        hints=("*Nudge.* Write the old value of a unit as scale times the new value plus a shift, put it into −E, and sort by new pairs and new units; a constant does not matter.",
               f"*Equation.* v = {a:g} · new {d:+g}, h = {g:g} · new {e:+g}: the product of two such gives a pair term, a term for each unit, and a constant.",
               "*Pseudo-code.* M = weights as visible by hidden, with their sign in −E; pairs = both scales · M; each bias: its scale times (bias + shift of the other layer · sum of M over that layer)."),
        success="another machine on paper, the same distribution", taken=TAKEN, structure={}), draw, ("same_machine", "rewritten", "in_new_units", "tied_to", "second_machine"))


TEMPLATES = (other_values,)
