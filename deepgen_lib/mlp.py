"""A feed-forward classifier of sigmoid units, started at a DBN's recognition weights or at random, and its training by backpropagation.

    h⁰ = x,  hᵗ = sigma(W_tᵀ hᵗ⁻¹ + c_t),  p(y | x) = softmax(Wᵀ hᴸ + b)_y        minimised: -mean log p(y | x), in nats

Started at a DBN (`MLP.from_dbn`) this is greedy layer-wise pre-training (Hinton & Salakhutdinov 2006; Bengio et al. 2007): the same network, another start.
sizes: B batch, n_0 inputs, n_t units of hidden layer t, K classes. All W are (lower, upper).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .dbn import DBN
from .labels import labelled_rows, require_labels, require_one_hot
from .validate import require_choice, require_count, require_matrix, require_number, require_rng

OUTPUT_STD = 0.01                  # of the softmax layer's first weights, whatever the start of the layers below
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba 2015


class MLP(nn.Module):
    """Random start: W_t uniform on ±4 √(6/(n_{t-1} + n_t)), the scale of Glorot & Bengio (2010) times four for sigmoid units; all biases 0."""

    def __init__(self, n_units: Sequence[int], n_classes: int, *, rng: torch.Generator):
        """n_units (n_0, n_1, ..., n_L): inputs and hidden layers."""
        super().__init__()
        if not isinstance(n_units, (tuple, list)) or len(n_units) < 2:
            raise ValueError(f"MLP: n_units is {n_units!r}, expected (inputs, hidden units, ...), at least one hidden layer; pass for example n_units=(784, 500)")
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

    def _logits(self, x: Tensor) -> Tensor:
        for W, c in zip(self.W, self.c):
            x = torch.sigmoid(torch.addmm(c, x, W))
        return torch.addmm(self.out_b, x, self.out_W)

    def extra_repr(self) -> str:
        return f"n_units={self.n_units}, n_classes={self.n_classes}"


@dataclass(frozen=True)
class MLPOptions:
    """How to train; `MLPTrainer` says what each does to an update."""
    optimiser: str = "adam"             # or "momentum"
    learning_rate: float = 0.001        # at the first update; falls linearly to
    final_learning_rate: float = 0.0    # at the last one
    momentum: float = 0.9               # of "momentum"
    weight_decay: float = 0.0           # rate at which each W (never a bias) shrinks, times the learning rate

    def __post_init__(self):
        require_choice("MLPOptions", "optimiser", self.optimiser, ("adam", "momentum"))
        for name in ("learning_rate", "final_learning_rate", "weight_decay"):
            require_number("MLPOptions", name, getattr(self, name), low=0)
        require_number("MLPOptions", "momentum", self.momentum, low=0, high=0.999)


class MLPTrainer:
    """One update on rows [x, one-hot], g the gradient of the batch's mean cross-entropy in nats:

        "momentum":  velocity <- momentum · velocity - rate · g,  parameter <- parameter + velocity
        "adam":      parameter <- parameter - rate · m̂ / (√v̂ + 1e-8)        (Kingma & Ba 2015; decay 0.9 and 0.999, bias corrected)

    and for both each W also shrinks by rate · weight_decay · W, outside of the averages (Loshchilov & Hutter 2019).
    """

    def __init__(self, mlp: MLP, options: MLPOptions):
        if not isinstance(mlp, MLP) or not isinstance(options, MLPOptions):
            raise ValueError(f"MLPTrainer: got {type(mlp).__name__} and {type(options).__name__}, expected an MLP and its MLPOptions; pass MLPTrainer(mlp, MLPOptions())")
        self.model, self.options, self.n_done = mlp, options, torch.zeros((), dtype=torch.int64)
        self.first = {name: torch.zeros_like(p, requires_grad=False) for name, p in mlp.named_parameters()}   # velocity, or Adam's mean of g
        self.second = {name: torch.zeros_like(p, requires_grad=False) for name, p in mlp.named_parameters()}  # Adam's mean of g²

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        """One step on batch (B, n_0 + K); fraction in [0, 1) says how far training has come. Nothing random: rng is not used."""
        options, (x, y) = self.options, batch.tensor_split([self.model.n_units[0]], dim=1)
        rate = options.learning_rate + (options.final_learning_rate - options.learning_rate) * fraction
        parameters = dict(self.model.named_parameters())
        with torch.enable_grad():
            gradients = torch.autograd.grad(cross_entropy(self.model._logits(x), y), list(parameters.values()))
        self.n_done += 1
        with torch.no_grad():
            for (name, p), g in zip(parameters.items(), gradients):
                if p.ndim == 2:
                    p.mul_(1 - rate * options.weight_decay)
                self._step(name, p, g, rate)

    def _step(self, name: str, p: Tensor, g: Tensor, rate: float) -> None:
        first, second, n = self.first[name], self.second[name], self.n_done.item()
        if self.options.optimiser == "momentum":
            p.add_(first.mul_(self.options.momentum).add_(g, alpha=-rate))
            return
        first.lerp_(g, 1 - BETA_1)
        second.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
        scale = (second / (1 - BETA_2**n)).sqrt_().add_(EPSILON)
        p.addcdiv_(first, scale, value=-rate / (1 - BETA_1**n))

    def check_data(self, data: Tensor) -> None:
        """Called once by fit: rows [x, one-hot], as labelled_rows makes them."""
        n, k = self.model.n_units[0], self.model.n_classes
        require_matrix("fit", "data", data, n + k, dtype=self.model.out_W.dtype)
        require_one_hot("fit", data[:, n:])

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs beside the model's parameters."""
        return {"n_done": self.n_done} | {f"first.{k}": v for k, v in self.first.items()} | {f"second.{k}": v for k, v in self.second.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, value in self.state().items():
            if name not in state or state[name].shape != value.shape:
                found = tuple(state[name].shape) if name in state else "nothing"
                raise ValueError(f"MLPTrainer.load_state: {name} is {found}, expected {tuple(value.shape)}; the checkpoint is of another model or other options")
            value.copy_(state[name])

    def describe(self) -> dict[str, str]:
        """Options as words, written into the checkpoint and compared on resume."""
        return {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options)}
