"""Diagrams of chapters 08 to 10: the VAE, its two ways to draw z, the VQ-VAE's gradients. Reached as plots.diagrams.NAME."""
from __future__ import annotations

from .diagram import Diagram
from .picture import Picture
from .style import VERMILLION


def vae() -> Picture:
    """A VAE as a graphical model: one z for each picture; the decoder's weights θ and the encoder's weights φ are shared by all pictures."""
    d = Diagram(words={"model": "decoder: generates", "q": "encoder: recognises"})
    d.node("z", (0, 1.9), text="$z$")
    d.node("x", (0, 0), text="$x$", look="observed")
    d.node("θ", (2.0, 0), text=r"$\theta$", look="parameter")
    d.node("φ", (-2.0, 1.9), text=r"$\varphi$", look="parameter")
    d.edge("z", "x", bend=0.22, text="p(x|z)")
    d.edge("θ", "x")
    d.edge("x", "z", "q", bend=0.22, text="q(z|x)")
    d.edge("φ", "z", "q")
    d.plate(["z", "x"], "$N$", room=(0.75, 0.4, 0.75, 0.3))
    return d.picture(says="A VAE: z makes x through the decoder, the encoder guesses z from x; both networks serve all N pictures.")


def reparameterisation() -> Picture:
    """Two ways to the same z: drawn, which stops the gradient, and computed from noise drawn beside the path, which lets it through."""
    d = Diagram(words={"flow": "numbers, forwards", "gradient": "gradient, backwards"})
    for row, (y, drawn) in enumerate(((3.3, True), (0.0, False))):
        mark = "drawn: " if drawn else "computed: "
        x, encoder, spread, z, decoder, bound = (mark + name for name in ("x", "encoder", "μ, σ", "z", "decoder", "bound"))
        d.node(x, (0, y), text="$x$", look="observed")
        d.node(encoder, (1.75, y), text="encoder", look="box", size=(1.65, 0.8))
        d.node(spread, (3.75, y), text=r"$\mu,\ \sigma$", look="box", size=(1.1, 0.8))
        d.node(z, (5.7, y), text="$z$", look="hidden" if drawn else "box", size=None if drawn else (0.8, 0.8))
        d.node(decoder, (7.55, y), text="decoder", look="box", size=(1.65, 0.8))
        d.node(bound, (9.6, y), text="bound", look="box", size=(1.35, 0.8))
        chain = [x, encoder, spread, z, decoder, bound]
        for tail, head in zip(chain, chain[1:]):
            d.edge(tail, head, "flow")
        for tail, head in [(bound, decoder), (decoder, z)] + ([] if drawn else [(z, spread), (spread, encoder)]):
            d.edge(tail, head, "gradient", bend=0.55)
    d.node("ε", (5.7, 1.45), text=r"$\varepsilon$")
    d.edge("ε", "computed: z", "flow")
    d.note((4.75, 3.02), "×", size=19, colour=VERMILLION)
    d.note((5.3, 4.15), r"$z\sim\mathcal{N}(\mu,\sigma^2)$", size=13)
    d.note((6.25, 1.45), r"$z=\mu+\sigma\varepsilon$", size=13, ha="left")
    d.note((4.75, 2.3), "stops here:\na draw has no slope", told=True)
    return d.picture(says="Above, z is drawn and the gradient stops at it; below, only ε is drawn and the gradient reaches the encoder.")


def vqvae() -> Picture:
    """The VQ-VAE's gradients: the reconstruction's jumps over the argmin, the quantization term moves codes, the commitment term the encoder."""
    d = Diagram(words={"flow": "numbers, forwards", "reconstruction": "gradient of the reconstruction",
                       "quantization": "quantization: moves the codes", "commitment": "commitment: moves the encoder"})
    boxes = {"encoder": (1.75, 1.65, "encoder"), "z_e": (3.6, 0.8, "$z_e$"), "argmin": (5.3, 1.45, "argmin"), "z_q": (7.0, 0.8, "$z_q$"), "decoder": (8.85, 1.65, "decoder"), "x̂": (10.65, 0.8, r"$\hat{x}$")}
    d.node("x", (0, 0), text="$x$", look="observed")
    for name, (x, width, text) in boxes.items():
        d.node(name, (x, 0), text=text, look="box", size=(width, 0.8))
    d.node("codes", (5.3, 2.2), text=r"codes $e_0\ldots e_{K-1}$", look="box", size=(3.3, 0.8))
    for tail, head in zip(["x", *boxes], boxes):
        d.edge(tail, head, "flow")
    d.edge("codes", "argmin", "flow")
    for tail, head, bend in (("x̂", "decoder", 0.55), ("decoder", "z_q", 0.55), ("z_q", "z_e", 0.36), ("z_e", "encoder", 0.55)):
        d.edge(tail, head, "reconstruction", bend=bend, text="copied" if (tail, head) == ("z_q", "z_e") else "")
    d.edge("z_e", "codes", "quantization", bend=0.3, text="pulls the code")
    d.edge("codes", "z_e", "commitment", bend=0.05, text="pulls z_e")
    d.edge("z_e", "encoder", "commitment", bend=-0.55)
    d.note((5.3, -1.05), "copied: straight-through")
    return d.picture(says="Numbers go right; the argmin passes no gradient back, so the reconstruction's is copied from z_q to z_e.")
