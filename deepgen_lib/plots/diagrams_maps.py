"""Diagrams with maps of units: the convolutional DBN's pooling and layers, the two levels of a VQ-VAE-2. Reached as plots.diagrams.NAME."""
from __future__ import annotations

from matplotlib.patches import Rectangle

from .diagram import Diagram
from .picture import Picture
from .style import BLACK, BLUE, GREY

CELL = 0.3  # units of a map's cell
TINT = {"window": "#9cc6e4", "on": BLACK, "block": "#f2d39b"}


class Maps(Diagram):
    """A diagram that also has maps: a grid of cells, some of them tinted, which is a node like the others."""

    def grid(self, name: str, at: tuple[float, float], side: int, *, tinted: dict[str, list[tuple[int, int]]] | None = None, cell: float = CELL, heavy: int = 0) -> str:
        """side x side cells with the middle at `at`; tinted: {a key of TINT: cells (row, column), row 0 on top}; heavy: blocks with a strong border."""
        (x, y), size = at, side * cell
        self.node(name, at, text="", look="hidden", size=(size, size), square=True)
        left, top = x - size / 2, y + size / 2
        for tint, cells in (tinted or {}).items():
            for r, c in cells:
                self.part(Rectangle((left + c * cell, top - (r + 1) * cell), cell, cell, facecolor=TINT[tint], edgecolor="none", zorder=3.1))
        for n, colour, width, order in ((side, GREY, 0.7 if cell >= 0.2 else 0.4, 3.2), (side // heavy if heavy else 1, BLACK, 1.5, 3.3)):
            for r in range(n):
                for c in range(n):
                    step = size / n
                    self.part(Rectangle((left + c * step, top - (r + 1) * step), step, step, facecolor="none", edgecolor=colour, linewidth=width, zorder=order))
        return name


def pooling() -> Picture:
    """Probabilistic max-pooling (claim C1): a filter's window, the map of detection units in blocks, and one pooling unit for each block."""
    d = Maps()
    window = [(r, c) for r in range(2, 5) for c in range(2, 5)]
    block = [(r, c) for r in (2, 3) for c in (2, 3)]
    d.grid("picture v", (0, 0), 8, tinted={"window": window})
    d.grid("detection map h", (4.0, 0), 6, tinted={"block": block, "on": [(2, 2)]}, heavy=2)
    d.grid("pooling map p", (7.3, 0), 3, tinted={"on": [(1, 1)]}, cell=2 * CELL)
    d.edge("picture v", "detection map h", "undirected", text="3 × 3 filter W")
    d.edge("detection map h", "pooling map p", "undirected", text="2 × 2 blocks")
    d.note((0, 1.65), "picture $v$", size=13)
    d.note((4.0, 1.65), "detection $h^k$", size=13)
    d.note((7.3, 1.65), "pooling $p^k$", size=13)
    d.note((2.15, 0.3), "$W^k$", size=13)
    d.note((5.65, 0.3), "blocks", size=11)
    d.note((3.9, -1.75), "of the four units of a block at most one is on;\nits pooling unit is on when one of them is", told=True)
    return d.picture(says="Probabilistic max-pooling: a filter joins the picture with a map of units; each 2 × 2 block is one choice out of five.")


def conv_dbn() -> Picture:
    """A convolutional DBN: groups of maps instead of layers; the pooled maps of one layer are the picture of the next. Directed below the top, as every DBN."""
    d = Diagram(words={"model": "generates", "undirected": "RBM with pooling"})
    d.node("v", (0, 0), text="$v$", look="observed")
    for t, x in ((1, 2.4), (2, 6.6)):
        d.node(f"h{t}", (x, 0), text=f"$h_{t}^k$")
        d.node(f"p{t}", (x + 1.7, 0), text=f"$p_{t}^k$")
        d.plate([f"h{t}", f"p{t}"], f"$K_{t}$ maps", room=(0.3, 0.62, 0.3, 0.3))
    d.edge("h1", "v", text="W₁")
    d.edge("p1", "h1", text="which unit of the block")
    d.edge("h2", "p1", "undirected", text="W₂")
    d.edge("h2", "p2", "undirected", text="blocks")
    d.note((1.05, 0.35), "$W_1^k$", size=13)
    d.note((5.35, 0.35), "$W_2^k$", size=13)
    return d.picture(says="A convolutional DBN of two layers: the top one is an RBM with pooling, below it all arrows go down to the picture.")


def code_maps() -> Picture:
    """The two levels of a VQ-VAE-2 with their priors: the bottom map sees the top one, in the encoder, in the decoder and in its prior."""
    d = Maps(words={"flow": "numbers", "model": "prior: draws maps"})
    d.node("x", (0, 0), text="$x$", look="observed")
    d.node("encoder", (1.9, 0), look="box", size=(1.65, 0.8))
    d.node("encoder of the top", (1.9, 2.7), text="encoder", look="box", size=(1.65, 0.8))
    d.grid("bottom map of codes", (4.6, 0), 16, cell=0.1)
    d.grid("top map of codes", (4.6, 2.7), 8, cell=0.1)
    d.node("decoder", (7.6, 1.35), look="box", size=(1.65, 0.8))
    d.node("x̂", (9.4, 1.35), text=r"$\hat{x}$", look="box", size=(0.8, 0.8))
    for tail, head in (("x", "encoder"), ("encoder", "encoder of the top"), ("encoder", "bottom map of codes"), ("encoder of the top", "top map of codes"),
                       ("bottom map of codes", "decoder"), ("top map of codes", "decoder"), ("decoder", "x̂")):
        d.edge(tail, head, "flow")
    d.edge("top map of codes", "bottom map of codes", "flow", bend=0.28)
    d.edge("top map of codes", "bottom map of codes", bend=-0.28, text="p(bottom|top)")
    d.note((4.6, 3.45), "top map: $p$(top)")
    d.note((4.6, -1.15), "bottom map: $p$(bottom | top)")
    return d.picture(says="VQ-VAE-2: a small map of codes on top, a larger one at the bottom that sees the top one; each has a prior.")
