"""Diagrams of chapters 11 to 13: NVAE's two towers, its posterior relative to the prior, all models side by side. Reached as plots.diagrams.NAME."""
from __future__ import annotations

from ..validate import require_count
from .diagram import Diagram
from .picture import Picture


def towers(n_groups: int = 3) -> Picture:
    """NVAE's two towers (claim N1): the picture goes up on the left, one path comes down on the right, and serves prior and posterior.  n_groups: 2 to 5."""
    require_count("towers", "n_groups", n_groups, minimum=2, maximum=5)
    d = Diagram(words={"flow": "numbers", "model": "prior", "q": "posterior"})
    step, left, middle, right = 1.85, 0.0, 3.2, 6.4
    d.node("x", (left, -1.7), text="$x$", look="observed")
    d.node("h", (right, step * n_groups - 0.2), text="constant $h$", look="box", size=(1.9, 0.7))
    d.node("p(x|z)", (right, -1.7), text=r"$p(x\mid z)$", look="box", size=(1.75, 0.8))
    for level in range(1, n_groups + 1):
        y = step * (n_groups - level)
        d.node(f"tap {level}", (left, y), look="box", size=(1.35, 0.8))
        d.node(f"z{_low(level)}", (middle, y), text=f"$z_{level}$")
        d.node(f"path {level}", (right, y), look="box", size=(1.5, 0.8))
    d.edge("x", f"tap {n_groups}", "flow")
    d.edge("h", "path 1", "flow")
    d.edge(f"path {n_groups}", "p(x|z)", "flow")
    for level in range(1, n_groups + 1):
        z, path = f"z{_low(level)}", f"path {level}"
        if level > 1:
            d.edge(path, z, bend=0.2)
        d.edge(path, z, "q", bend=-0.2 * (level > 1))
        d.edge(f"tap {level}", z, "q")
        if level < n_groups:
            d.edge(f"tap {level + 1}", f"tap {level}", "flow")
            d.edge(path, f"path {level + 1}", "flow")
            d.edge(z, f"path {level + 1}", "flow")
        else:
            d.edge(z, "p(x|z)", "flow")
    d.note((left, step * n_groups - 0.8), "encoder: up")
    d.note((middle, step * n_groups - 0.8), r"$p(z_1)=\mathcal{N}(0,I)$", size=13)
    d.note((right, -2.4), "path: down")
    return d.picture(says="NVAE: the encoder leaves a tap for each group; the shared path and the z already drawn give prior and posterior.")


def relative_posterior() -> Picture:
    """NVAE's posterior is the prior, moved (claim N5): the path alone makes mu and sigma, path and tap make the correction."""
    d = Diagram(words={"flow": "numbers", "model": "prior", "q": "posterior"})
    d.node("path", (0, 1.9), look="box", size=(1.3, 0.8))
    d.node("tap", (0, 0), look="box", size=(1.3, 0.8))
    d.node("μ, σ", (2.7, 1.9), text=r"$\mu,\ \sigma$", look="box", size=(1.5, 0.8))
    d.node("Δμ, Δσ", (2.7, 0), text=r"$\Delta\mu,\ \Delta\sigma$", look="box", size=(1.9, 0.8))
    d.node("p", (6.4, 1.9), text=r"$\mathcal{N}(\mu,\ \sigma^2)$", look="box", size=(2.2, 0.9))
    d.node("q", (6.4, 0), text=r"$\mathcal{N}(\mu+\Delta\mu,\ (\sigma\,\Delta\sigma)^2)$", look="box", size=(4.2, 0.9))
    for tail, head in (("path", "μ, σ"), ("path", "Δμ, Δσ"), ("tap", "Δμ, Δσ")):
        d.edge(tail, head, "flow")
    d.edge("μ, σ", "p")
    d.edge("μ, σ", "q", "q")
    d.edge("Δμ, Δσ", "q", "q")
    d.note((7.75, 1.9), r"$p(z_l\mid z_{<l})$", ha="left", size=13)
    d.note((6.4, -0.8), r"$q(z_l\mid z_{<l},x)$", size=13)
    return d.picture(says="The prior's mean and scale go into the posterior too: when the prior moves, the posterior moves with it.")


def family() -> Picture:
    """The models of the course beside each other: what is joined with what, and in which direction."""
    d = Diagram(words={"model": "generates: p", "q": "recognises: q", "undirected": "no direction"})
    nodes = {"RBM": ["h"], "DBN": ["h¹", "h²"], "VAE": ["z"], "VQ-VAE": ["z"], "NVAE": ["z₂", "z₁"]}
    shown = {"h": "$h$", "h¹": "$h^1$", "h²": "$h^2$", "z": "$z$", "z₁": "$z_1$", "z₂": "$z_2$"}
    kinds = {"RBM": "0 or 1", "DBN": "0 or 1", "VAE": "real numbers", "VQ-VAE": "whole numbers", "NVAE": "real numbers"}
    for column, (name, hidden) in enumerate(nodes.items()):
        x = 2.55 * column
        d.node(f"{name} x", (x, 0), text="$x$", look="observed")
        for t, layer in enumerate(hidden, start=1):
            d.node(f"{name} {layer}", (x, 1.6 * t), text=shown[layer])
        d.note((x, -0.85), name, size=14, colour="#1a1a1a")
        d.note((x, -1.35), kinds[name], size=11)
    d.edge("RBM h", "RBM x", "undirected")
    d.edge("DBN h²", "DBN h¹", "undirected")
    for low, high in (("DBN x", "DBN h¹"), ("VAE x", "VAE z"), ("VQ-VAE x", "VQ-VAE z"), ("NVAE x", "NVAE z₂")):
        d.edge(high, low, bend=0.22)
        d.edge(low, high, "q", bend=0.22)
    d.edge("NVAE z₁", "NVAE z₂", bend=0.22)
    d.edge("NVAE z₁", "NVAE z₂", "q", bend=-0.22)
    d.edge("NVAE z₁", "NVAE x", bend=0.5)
    d.edge("NVAE x", "NVAE z₁", "q", bend=0.5)
    return d.picture(says="Five models: an RBM has no direction, a DBN one below its top pair; the others are directed; q goes back up.")


def _low(t: int) -> str:
    return "₀₁₂₃₄₅₆₇₈₉"[t]
