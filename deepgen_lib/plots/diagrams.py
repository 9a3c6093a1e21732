"""Diagrams of the course's models, each a function without data: shallow models here, deep ones and networks in the files beside.

    plots.diagrams.rbm()      plots.diagrams.dbn()      plots.diagrams.vae()      plots.diagrams.vqvae()      ...
"""
from __future__ import annotations

from ..validate import require_count
from .diagram import Diagram
from .diagrams_deep import annealing, dbn, dbn_and_dbm, gibbs_chain, unrolled, up_down
from .diagrams_maps import code_maps, conv_dbn, pooling
from .diagrams_nvae import family, relative_posterior, towers
from .diagrams_vae import reparameterisation, vae, vqvae
from .picture import Picture

_SUBSCRIPT = "₀₁₂₃₄₅₆₇₈₉"


def mixture() -> Picture:
    """A mixture as a graphical model: a hidden cause h for each picture x, the shares π and the means of the components shared by all."""
    d = Diagram()
    d.node("π", (-1.6, 1.6), text=r"$\pi$", look="parameter")
    d.node("h", (0, 1.6), text="$h$")
    d.node("x", (0, 0), text="$x$", look="observed")
    d.node("m", (-1.6, 0), text=r"$m_k$", look="parameter")
    d.edge("π", "h")
    d.edge("h", "x")
    d.edge("m", "x")
    d.plate(["h", "x"], "$N$")
    d.plate(["m"], "$K$", room=(0.32, 0.5, 0.32, 0.72))
    return d.picture(says="A mixture: each of N pictures x has a hidden cause h of its own; shares and means are common to all.")


def inference() -> Picture:
    """The Gibbs bound's two directions: the model goes from the cause to what we see, q goes back."""
    d = Diagram()
    d.node("h", (0, 1.9), text="$h$")
    d.node("x", (0, 0), text="$x$", look="observed")
    d.edge("h", "x", bend=0.25)
    d.edge("x", "h", "q", bend=0.25)
    d.note((0.75, 0.95), r"$p(h)\,p(x\mid h)$", ha="left", size=12)
    d.note((-0.75, 0.95), r"$q(h\mid x)$", ha="right", size=12)
    return d.picture(says="The model makes x from h; q guesses h from x.")


def rbm(n_visible: int = 4, n_hidden: int = 3) -> Picture:
    """An RBM, unit by unit: every visible unit is joined with every hidden one, no two of a layer are."""
    for name, n in (("n_visible", n_visible), ("n_hidden", n_hidden)):
        require_count("rbm", name, n, maximum=9)
    d = Diagram()
    visible, hidden = _layer(d, "v", n_visible, 0.0, look="observed"), _layer(d, "h", n_hidden, 2.0)
    d.all_edges(visible, hidden, "undirected")
    right = max(n_visible, n_hidden) * 0.6 + 0.3
    for y, text in ((2.0, "hidden, bias $c$"), (1.0, "weights $W$"), (0.0, "visible, bias $b$")):
        d.note((right, y), text, ha="left", size=11.5)
    return d.picture(says="An RBM: lines without direction between two layers, none within a layer.")


def _layer(d: Diagram, letter: str, n: int, y: float, *, look: str = "hidden") -> list[str]:
    return [d.node(f"{letter}{_SUBSCRIPT[i]}", (1.2 * (i - (n + 1) / 2), y), text=f"${letter}_{i}$", look=look) for i in range(1, n + 1)]
