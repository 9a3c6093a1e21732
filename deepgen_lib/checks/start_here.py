"""The exercise of the start page: small enough to try out hints, check and starting over in two minutes."""
import torch

from .engine import Exercise, Part, register


def _inputs(rng):
    sizes = torch.randint(2, 6, (3, 2), generator=rng).tolist()
    return {f"n_visible={v}, n_hidden={h}": (v, h) for v, h in [*sizes, (5, 0)]}


n_states = register(Exercise(
    id="0.1", name="n_states", title="Count the states", level="core", minutes=2, chapter="00_start_here",
    success="every unit doubles the number of states",
    hints=(
        "Write down the states of one unit, then of two, then of three. What happens to their number each time?",
        "$n$ units that are 0 or 1 have $2\\cdot 2\\cdots 2 = 2^{n}$ states; here $n = V + H$.",
        "`n = visible units plus hidden units`; return 2 to the power n (in Python: `2**n`).",
    ),
    parts=(Part(
        right=lambda n_visible, n_hidden: 2 ** (n_visible + n_hidden), inputs=_inputs,
        misconceptions={
            "twice the units": (lambda n_visible, n_hidden: 2 * (n_visible + n_hidden),
                                "that is two values for each unit on its own; every new unit doubles the number of states, so multiply"),
            "sum of the layers": (lambda n_visible, n_hidden: 2**n_visible + 2**n_hidden,
                                  "you add the states of the two layers; each state of one goes with every state of the other"),
            "visible alone": (lambda n_visible, n_hidden: 2**n_visible, "the hidden units have states too"),
            "square": (lambda n_visible, n_hidden: (n_visible + n_hidden) ** 2, "you square the number of units; each unit has 2 values, so 2 is the base"),
        }),)))
