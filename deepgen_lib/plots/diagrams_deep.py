"""Diagrams of chapters 02 to 07: chains and layers. Reached as plots.diagrams.NAME; h¹ is the first hidden layer, W of shape (lower, upper)."""
from __future__ import annotations

from ..validate import require_count
from .diagram import Diagram
from .picture import Picture

STEP = 1.5  # units from one layer to the next
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def gibbs_chain(n_steps: int = 2) -> Picture:
    """Block Gibbs sampling of an RBM as a zigzag: hidden units given visible ones, then visible given hidden, and so on."""
    require_count("gibbs_chain", "n_steps", n_steps, minimum=1, maximum=4)
    d = Diagram()
    for t in range(n_steps + 1):
        d.node(f"v{_RAISED[t]}", (2.4 * t, 0), text=f"$v^{t}$", look="hidden" if t else "observed")
        if t < n_steps:
            d.node(f"h{_RAISED[t]}", (2.4 * t + 1.2, 1.8), text=f"$h^{t}$")
    for t in range(n_steps):
        d.edge(f"v{_RAISED[t]}", f"h{_RAISED[t]}", text="p(h|v)")
        d.edge(f"h{_RAISED[t]}", f"v{_RAISED[t + 1]}", text="p(v|h)")
    d.note((0.3, 1.2), r"$p(h\mid v)$", ha="right")
    d.note((2.1, 1.2), r"$p(v\mid h)$", ha="left")
    d.note((0, -0.75), "data")
    d.note((2.4 * n_steps, -0.75), f"CD-{n_steps} stops here")
    return d.picture(says=f"Gibbs sampling of an RBM from a data point, {n_steps} steps: up to h, down to v, in turn.")


def annealing(n_steps: int = 3) -> Picture:
    """Annealed importance sampling: a chain walks from the base rate to the model, and pays a weight each time the distribution changes."""
    require_count("annealing", "n_steps", n_steps, minimum=2, maximum=5)
    d = Diagram(words={"model": "Gibbs step", "same": "same state, two distributions: its weight"})
    for t in range(n_steps + 1):
        last = t == n_steps
        d.node(_bridge(t, last), (2.3 * t, 1.8), text="$p_0$" if t == 0 else "$p_1$" if last else f"$p_{{t_{t}}}$", look="box", size=(1.1, 0.8))
        if not last:
            d.node(f"v{_RAISED[t]}", (2.3 * t, 0), text=f"$v^{t}$")
    for t in range(n_steps):
        if t:
            d.edge(f"v{_RAISED[t - 1]}", f"v{_RAISED[t]}")
        d.edge(_bridge(t, False), f"v{_RAISED[t]}", "same")
        d.edge(f"v{_RAISED[t]}", _bridge(t + 1, t + 1 == n_steps), "same")
    d.note((0, 2.6), "base: $Z_0$ known")
    d.note((2.3 * n_steps, 2.6), "model: $Z$ wanted")
    return d.picture(says="Annealed importance sampling: each state weighs the distribution it came from against the next one.")


def dbn(n_layers: int = 3, *, untied: bool = False) -> Picture:
    """A DBN's mixed graph: an RBM on top, arrows down below it, recognition's arrows up beside them.

    n_layers: hidden layers, 2 to 5. untied: recognition has weights R of its own (chapter 06); at first they are W.
    """
    require_count("dbn", "n_layers", n_layers, minimum=2, maximum=5)
    d = Diagram(words={"model": "generation P", "q": "recognition Q", "undirected": "RBM: no direction"})
    names, up = _stack(d, n_layers, 0.0), "R" if untied else "W"
    d.edge(names[-2], names[-1], "undirected", text=f"W{_low(n_layers)}")
    for t in range(n_layers - 1, 0, -1):
        d.edge(names[t], names[t - 1], bend=0.22, text=f"W{_low(t)}")
        d.edge(names[t - 1], names[t], "q", bend=0.22, text=f"{up}{_low(t)}")
        d.note((0.6, STEP * (t - 0.5)), f"$W_{t},\\ b_{{{t - 1}}}$", ha="left")
        d.note((-0.6, STEP * (t - 0.5)), f"${up}_{t},\\ c_{t}$", ha="right")
    d.note((0.6, STEP * (n_layers - 0.5)), f"$W_{n_layers},\\ b_{n_layers - 1},\\ b_{n_layers}$", ha="left")
    return d.picture(says=f"A deep belief network with {n_layers} hidden layers: only the top two are joined without direction.")


def dbn_and_dbm(n_layers: int = 3) -> Picture:
    """A DBN and a deep Boltzmann machine on the same layers: in the second nothing has a direction.  n_layers: hidden layers, 2 to 4."""
    require_count("dbn_and_dbm", "n_layers", n_layers, minimum=2, maximum=4)
    d = Diagram(words={"model": "generates, one way", "undirected": "no direction, both ways"})
    belief, machine = _stack(d, n_layers, 0.0, "DBN "), _stack(d, n_layers, 3.2, "DBM ")
    for t in range(n_layers, 0, -1):
        d.edge(belief[t], belief[t - 1], "undirected" if t == n_layers else "model", text=f"W{_low(t)}")
        d.edge(machine[t], machine[t - 1], "undirected", text=f"W{_low(t)}")
        for x in (0.25, 3.45):
            d.note((x, STEP * (t - 0.5)), f"$W_{t}$", ha="left")
    d.note((0, STEP * n_layers + 0.85), "DBN", size=14)
    d.note((3.2, STEP * n_layers + 0.85), "DBM", size=14)
    return d.picture(says="A DBN is directed below its top RBM; a deep Boltzmann machine is directed nowhere.")


def unrolled(depth: int = 4) -> Picture:
    """One distribution of x, drawn 4 times: an RBM, the DBNs that unroll it with tied weights, and the network without end.  depth: 2 to 5 columns."""
    require_count("unrolled", "depth", depth, minimum=2, maximum=5)
    d = Diagram(words={"model": "generates", "undirected": "RBM"})
    for column in range(1, depth + 1):
        x, endless, mark = 2.5 * (column - 1), column == depth, "abcde"[column - 1]
        names = _stack(d, column, x, f"{mark}: ")
        for t in range(column, 0, -1):
            weights = "W" if t % 2 else "Wᵀ"
            d.edge(names[t], names[t - 1], "undirected" if t == column and not endless else "model", text=weights)
            d.note((x + 0.22, STEP * (t - 0.5)), "$W$" if t % 2 else r"$W^{\mathsf{T}}$", ha="left")
        if endless:
            d.node(f"{mark}: without end", (x, STEP * (column + 0.85)), text=r"$\cdots$", look="box", size=(0.9, 0.55))
            d.edge(f"{mark}: without end", names[-1], text="W" if (column + 1) % 2 else "Wᵀ")
            d.note((x + 0.22, STEP * (column + 0.42)), "$W$" if (column + 1) % 2 else r"$W^{\mathsf{T}}$", ha="left")
        if column > 1:
            d.note((x - 1.15, 0), "$=$", size=16)
    return d.picture(says="Tied weights: the RBM, its unrolled DBNs and the endless directed network give x the same probability.")


def up_down(n_layers: int = 3) -> Picture:
    """The three phases of the up-down algorithm: who draws the states, and whose weights learn from them.  n_layers: hidden layers, 2 to 4."""
    require_count("up_down", "n_layers", n_layers, minimum=2, maximum=4)
    d = Diagram(words={"off": "at rest", "q": "Q draws", "model": "P draws", "undirected": "Gibbs"})
    phases = (("wake", "from the data up", "generation P learns"), ("top", "Gibbs between two layers", "the top RBM learns"), ("sleep", "a dream down", "recognition Q learns"))
    for column, (phase, draws, learns) in enumerate(phases):
        x = 4.1 * column
        names = _stack(d, n_layers, x, f"{phase}: ", observed=phase == "wake")
        d.edge(names[-2], names[-1], "undirected" if phase == "top" else "off line")
        for t in range(n_layers - 1, 0, -1):
            d.edge(names[t], names[t - 1], "model" if phase == "sleep" else "off", bend=0.22)
            d.edge(names[t - 1], names[t], "q" if phase == "wake" else "off", bend=0.22)
        d.note((x, STEP * n_layers + 0.9), f"{column + 1}. {phase}", size=14, colour="#1a1a1a", told=True)
        d.note((x, -0.95), f"{draws}:\n{learns}", told=True)
    return d.picture(says="Up-down: recognition draws and generation learns; the top RBM steps; generation draws and recognition learns.")


def _stack(d: Diagram, n_layers: int, x: float, mark: str = "", *, observed: bool = True) -> list[str]:
    """x and its hidden layers, bottom up, as circles in a column."""
    names = [d.node(f"{mark}x", (x, 0.0), text="$x$", look="observed" if observed else "hidden")]
    return names + [d.node(f"{mark}h{_RAISED[t]}", (x, STEP * t), text=f"$h^{t}$") for t in range(1, n_layers + 1)]


def _bridge(t: int, last: bool) -> str:
    """The name of a distribution on the way from base (t = 0) to model (last)."""
    return "p(t=0)" if t == 0 else "p(t=1)" if last else f"p(t{_low(t)})"


def _low(t: int) -> str:
    return "₀₁₂₃₄₅₆₇₈₉"[t]
