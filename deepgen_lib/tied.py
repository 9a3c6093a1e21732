"""The start of a new layer: the transposed weights of the one below (Hinton, Osindero, Teh 2006, section 4).

    W' = [Wᵀ, 0]    b' = c    c' = [b, 0]          (H, V + extra), (H,), (V + extra,)

The new RBM's visible layer is the old one's hidden layer, so the *biases swap*: with them, p'(h) is the old RBM's own p(h). Extra hidden units
with zero weights and biases are fair coins that nothing depends on: they change no probability.
"""
import torch

from .rbm import RBM, require_independent_units
from .validate import require_count, require_model, require_rng

EXTRA_STD = 0.001  # log p(x) moves by less than 1e-5 nats a unit


def tied_rbm(rbm: RBM, *, n_hidden: int | None = None) -> RBM:
    """The RBM over the hidden units of `rbm` with p'(h) = p(h); n_hidden at least rbm.n_visible, which is the default."""
    require_independent_units("tied_rbm", rbm)
    n_hidden = rbm.n_visible if n_hidden is None else n_hidden
    require_count("tied_rbm", "n_hidden", n_hidden)
    if n_hidden < rbm.n_visible:
        raise ValueError(f"tied_rbm: n_hidden is {n_hidden}, expected at least {rbm.n_visible}, the visible units of the RBM below, whose transposed "
                         "weights must fit; a smaller layer has no tied start: next_rbm gives it a free one")
    tied = RBM(rbm.n_hidden, n_hidden, weight_std=0).to(rbm.W)
    with torch.no_grad():
        tied.W[:, :rbm.n_visible] = rbm.W.T
        tied.b.copy_(rbm.c)
        tied.c[:rbm.n_visible] = rbm.b
    return tied


def next_rbm(rbm: RBM, n_hidden: int, *, rng: torch.Generator) -> RBM:
    """The RBM that training of the next layer starts from: tied where n_hidden is at least rbm.n_visible, else small random weights and b' = c.

    Extra units get weights N(0, 0.001²) instead of zeros: with zeros they stay alike for ever, and a centred gradient never moves them.
    """
    require_model("next_rbm", "rbm", rbm, "RBM")
    require_count("next_rbm", "n_hidden", n_hidden)
    require_rng("next_rbm", rng)
    if n_hidden >= rbm.n_visible:
        tied = tied_rbm(rbm, n_hidden=n_hidden)
        with torch.no_grad():
            tied.W[:, rbm.n_visible:] = EXTRA_STD * torch.randn(rbm.n_hidden, n_hidden - rbm.n_visible, generator=rng).to(rbm.W)
        return tied
    free = RBM(rbm.n_hidden, n_hidden, rng=rng).to(rbm.W)
    with torch.no_grad():
        free.b.copy_(rbm.c)
    return free
