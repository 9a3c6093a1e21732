"""A feed-forward classifier of sigmoid units, started at a DBN's recognition weights or at random, trained by backpropagation.

    h⁰ = x,  hᵗ = sigma(W_tᵀ hᵗ⁻¹ + c_t),  p(y | x) = softmax(Wᵀ hᴸ + b)_y        minimised: -mean log p(y | x), in nats

Started at a DBN (`MLP.from_dbn`) this is greedy layer-wise pre-training (Hinton & Salakhutdinov 2006; Bengio et al. 2007): the same network, another start.
sizes: B batch, n_0 inputs, n_t units of hidden layer t, K classes. All W are (lower, upper).
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .dbn import DBN
from .labels import require_labels, require_one_hot
from .validate import in_words, require_count, require_matrix, require_rng

OUTPUT_STD = 0.01                  # of the softmax layer's first weights, whatever the start of the layers below


class MLP(nn.Module):
    """Random start: W_t uniform on ±4 √(6/(n_{t-1} + n_t)), the scale of Glorot & Bengio (2010) times four for sigmoid units; all biases 0."""

    def __init__(self, n_units: Sequence[int], n_classes: int, *, rng: torch.Generator):
        """n_units (n_0, n_1, ..., n_L): inputs and hidden layers."""
        super().__init__()
        if not isinstance(n_units, (tuple, list)) or len(n_units) < 2:
            raise ValueError(f"MLP: n_units is {in_words(n_units)}, expected (inputs, hidden units, ...), at least one hidden layer; pass for example n_units=(784, 500)")
        for n in n_units:
            require_count("MLP", "n_units", n)
        require_count("MLP", "n_classes", n_classes, minimum=2)
        require_rng("MLP", rng)
        limits = [4 * (6 / (lower + upper)) ** 0.5 for lower, upper in zip(n_units, n_units[1:])]
        self.W = nn.ParameterList((2 * torch.rand(lower, upper, generator=rng) - 1) * limit for lower, upper, limit in zip(n_units, n_units[1:], limits))
        self.c = nn.ParameterList(torch.zeros(n) for n in n_units[1:])
        self.out_W = nn.Parameter(OUTPUT_STD * torch.randn(n_units[-1], n_classes, generator=rng))
        self.out_b = nn.Parameter(torch.zeros(n_classes))

    @classmethod
    def from_dbn(cls, dbn: DBN, n_classes: int, *, rng: torch.Generator) -> MLP:
        """The DBN's way up as a network: W_t, c_t its recognition weights, at the top the top RBM's W and c, copied; a fresh softmax layer.

        Its h^L is dbn.features(x, L). Draws from rng as MLP(dbn.n_units, n_classes, rng=rng) does, so that both get the same softmax layer.
        """
        if not isinstance(dbn, DBN):
            raise ValueError(f"MLP.from_dbn: dbn is {type(dbn).__name__}, expected a DBN; for one RBM write DBN([rbm])")
        mlp = cls(dbn.n_units, n_classes, rng=rng).to(dbn.top.W.dtype)
        with torch.no_grad():
            for W, c, layer in zip(mlp.W, mlp.c, [*dbn.recognition, dbn.top]):
                W.copy_(layer.W[:len(W)])  # without a labelled top's label rows
                c.copy_(layer.c)
        return mlp

    @property
    def n_units(self) -> tuple[int, ...]:
        """(n_0, n_1, ..., n_L), without the classes."""
        return (*[W.shape[0] for W in self.W], self.out_W.shape[0])

    @property
    def n_classes(self) -> int:
        return self.out_W.shape[1]

    def logits(self, x: Tensor) -> Tensor:
        """log p(y | x) up to a constant per row.  (B, n_0) -> (B, K).  x may be grey."""
        require_matrix("MLP.logits", "x", x, self.n_units[0], dtype=self.out_W.dtype)
        return self._logits(x)

    def error(self, x: Tensor, labels: Tensor) -> float:
        """Share of the rows whose most probable class is not their label.  (B, n_0), (B,) int64 -> a number in [0, 1]."""
        require_matrix("MLP.error", "x", x, self.n_units[0], dtype=self.out_W.dtype)
        require_labels("MLP.error", "labels", labels, len(x), n_classes=self.n_classes)
        with torch.no_grad():
            return (self._logits(x).argmax(1) != labels).double().mean().item()

    def training_loss(self, batch: Tensor, fraction: float = 0.0, rng: torch.Generator | None = None) -> Tensor:
        """Mean of -log p(y | x) over rows [x, one-hot] (B, n_0 + K), a scalar in nats; for GradientTrainer. Nothing is random here, nor changes with time."""
        x, y = batch.tensor_split([self.n_units[0]], dim=1)
        return cross_entropy(self._logits(x), y)

    def check_data(self, data: Tensor) -> None:
        """Called once by fit: rows [x, one-hot], as labelled_rows makes them."""
        n = self.n_units[0]
        require_matrix("fit", "data", data, n + self.n_classes, dtype=self.out_W.dtype)
        require_one_hot("fit", data[:, n:])

    def _logits(self, x: Tensor) -> Tensor:
        for W, c in zip(self.W, self.c):
            x = torch.sigmoid(torch.addmm(c, x, W))
        return torch.addmm(self.out_b, x, self.out_W)

    def extra_repr(self) -> str:
        return f"n_units={self.n_units}, n_classes={self.n_classes}"
