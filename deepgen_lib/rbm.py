"""Binary restricted Boltzmann machine (Smolensky 1986; Hinton 2002).

    E(v, h) = -vᵀWh - bᵀv - cᵀh        p(v, h) = exp(-E(v, h)) / Z        sizes: B batch, V visible, H hidden

The model knows its energy and its conditionals. How it is sampled, trained and measured stands in other files.
"""
import torch
from torch import Tensor, nn

from .kernels import sum_softplus
from .kernels.gibbs import half_step
from .validate import require_count, require_kind, require_matrix, require_means, require_model, require_number, require_rng, require_states


class RBM(nn.Module):
    """Parameters W (V, H) ~ N(0, weight_std²), b (V,) = 0 for the visible units, c (H,) = 0 for the hidden units."""

    n_labels = 0  # visible units at the end that are one softmax group; only a LabelledRBM has any

    def __init__(self, n_visible: int, n_hidden: int, *, weight_std: float = 0.01, rng: torch.Generator | None = None):
        super().__init__()
        require_count("RBM", "n_visible", n_visible)
        require_count("RBM", "n_hidden", n_hidden)
        require_number("RBM", "weight_std", weight_std, low=0)
        if rng is not None:
            require_rng("RBM", rng)
        self.W = nn.Parameter(weight_std * torch.randn(n_visible, n_hidden, generator=rng))
        self.b = nn.Parameter(torch.zeros(n_visible))
        self.c = nn.Parameter(torch.zeros(n_hidden))

    @property
    def n_visible(self) -> int:
        return self.W.shape[0]

    @property
    def n_hidden(self) -> int:
        return self.W.shape[1]

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) = -vᵀWh - bᵀv - cᵀh in nats, row by row.  (B, V), (B, H) -> (B,).  v and h binary."""
        require_states("RBM.energy", "v", v, self.n_visible, dtype=self.W.dtype)
        require_states("RBM.energy", "h", h, self.n_hidden, dtype=self.W.dtype)
        if len(v) != len(h):
            raise ValueError(f"RBM.energy: v has {len(v)} rows and h has {len(h)}, expected one h per v; use h.expand(len(v), -1) to share one h")
        return -((v @ self.W) * h).sum(1) - v @ self.b - h @ self.c

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log Σ_h exp(-E(v, h)) = -bᵀv - Σ_j softplus(c_j + (vW)_j) in nats, so that p(v) = exp(-F(v)) / Z.

        v binary, (B, V) -> (B,).  Hinton 2002, and eq. 8 of Salakhutdinov & Murray 2008 in their notation.
        """
        require_states("RBM.free_energy", "v", v, self.n_visible, dtype=self.W.dtype)
        return -v @ self.b - sum_softplus(v @ self.W + self.c)

    def hidden_logits(self, v: Tensor) -> Tensor:
        """log p(h_j=1 | v) / p(h_j=0 | v) = c_j + (vW)_j.  (B, V) -> (B, H).  v may hold probabilities."""
        require_matrix("RBM.hidden_logits", "v", v, self.n_visible, dtype=self.W.dtype)
        return v @ self.W + self.c

    def visible_logits(self, h: Tensor) -> Tensor:
        """log p(v_i=1 | h) / p(v_i=0 | h) = b_i + (Wh)_i.  (B, H) -> (B, V).  h may hold probabilities."""
        require_matrix("RBM.visible_logits", "h", h, self.n_hidden, dtype=self.W.dtype)
        return h @ self.W.T + self.b

    def draw_visible(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """v ~ p(v | h) without checks, for inner loops; call under no_grad.  (B, H) -> (B, V) of 0/1."""
        return half_step(h, self.W.T, self.b, rng)

    def extra_repr(self) -> str:
        return f"n_visible={self.n_visible}, n_hidden={self.n_hidden}"


def random_rbm(n_visible: int, n_hidden: int, *, scale: float = 1.0, rng: torch.Generator) -> RBM:
    """A float64 RBM with every parameter drawn from N(0, scale²): the tiny models of the exact checks."""
    require_number("random_rbm", "scale", scale, low=0)
    require_rng("random_rbm", rng)
    rbm = RBM(n_visible, n_hidden).double().requires_grad_(False)
    for parameter in rbm.parameters():
        parameter.copy_(scale * torch.randn(parameter.shape, dtype=torch.float64, generator=rng))
    return rbm.requires_grad_(True)


def require_independent_units(where: str, rbm: RBM) -> None:
    """rbm has no label group: formulas in which every visible unit is a coin of its own would be silently wrong with one."""
    require_kind(where, "rbm", rbm, RBM, cure="build one: RBM(n_visible, n_hidden)")
    if rbm.n_labels:
        raise ValueError(f"{where}: the RBM has a group of {rbm.n_labels} label units of which exactly one is on, expected independent visible units; "
                         "use LabelledRBM.class_logits, or an RBM without labels")


def base_rate(x: Tensor, *, clamp: float = 0.001) -> Tensor:
    """Mean of each visible unit over the *training* data, kept inside [clamp, 1 - clamp].  (N, V) -> (V,).

    Clamped because a pixel that is never on would get the logit -∞. Never compute it from test data.
    """
    require_states("base_rate", "x", x)
    require_number("base_rate", "clamp", clamp, low=1e-12, high=0.49)
    return x.mean(0).clamp(clamp, 1 - clamp)


def init_visible_bias(rbm: RBM, mean: Tensor) -> RBM:
    """Set b_i = log(mean_i / (1 - mean_i)), so that at W = 0 the model already has the data's pixel means (Hinton 2012, section 8.1)."""
    require_model("init_visible_bias", "rbm", rbm, "RBM")
    require_means("init_visible_bias", "mean", mean, rbm.n_visible)
    with torch.no_grad():
        rbm.b.copy_(torch.logit(mean))
    return rbm
