"""The up-down algorithm: fine-tuning all layers of a DBN together (Hinton, Osindero, Teh 2006, section 5 and appendix B).

    wake    x ~ data, hᵗ ~ Q(hᵗ | hᵗ⁻¹) upwards       each generative layer learns to reproduce the layer below:
                                                       W_t += rate (hᵗ⁻¹ - P(hᵗ⁻¹ = 1 | hᵗ)) hᵗᵀ
    top     contrastive divergence of the top RBM, its chain started at the recognised hᴸ⁻¹ (and the label)
    sleep   from the chain's last state, hᵗ⁻¹ ~ P(hᵗ⁻¹ | hᵗ) downwards; each recognition layer learns to undo that step:
                                                       R_t += rate hᵗ⁻¹ (hᵗ - Q(hᵗ = 1 | hᵗ⁻¹))ᵀ

The wake phase moves generative parameters only, along the gradient of the bound. The sleep phase moves recognition parameters only, and lowers
KL(p ‖ q) on the model's own dreams, not KL(q ‖ p): the bound itself may fall.

Under torchrun (processes.py) every process has its part of the batch and draws with its own rng. An update is linear in its gradients, so the mean of the
updated parameters over the processes is the update of the joint batch.
"""
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from .dbn import DBN
from .kernels.gibbs import draw, half_step, probabilities
from .labels import require_one_hot
from .objectives import continue_chain
from .processes import average_, share_first
from .sampling import layers_above
from .validate import require_count, require_model, require_number, require_rng, require_states


class LayerGradient(NamedTuple):
    """Uphill direction of one layer's mean log-probability of what it should have said."""
    W: Tensor     # (lower, upper)
    bias: Tensor  # b (lower,) of a generative layer, c (upper,) of a recognition layer


@dataclass(frozen=True)
class UpDownOptions:
    """How to fine-tune; both rates fall linearly to zero."""
    learning_rate: float = 0.05        # of the directed layers, wake and sleep
    top_learning_rate: float = 0.05    # of the top RBM
    n_gibbs_steps: int = 3             # of the top RBM's contrastive divergence, at the first update
    final_gibbs_steps: int | None = None  # at the last one, in equal stages between; None: as at the first
    weight_decay: float = 0.0          # on every W, never on biases

    def __post_init__(self):
        for name in ("learning_rate", "top_learning_rate", "weight_decay"):
            require_number("UpDownOptions", name, getattr(self, name), low=0)
        require_count("UpDownOptions", "n_gibbs_steps", self.n_gibbs_steps)
        if self.final_gibbs_steps is not None:
            require_count("UpDownOptions", "final_gibbs_steps", self.final_gibbs_steps, minimum=self.n_gibbs_steps)


def wake_gradients(dbn: DBN, x: Tensor, rng: torch.Generator) -> list[LayerGradient]:
    """One draw of q per row of x; the gradient of the bound's reconstruction term for each generative layer, bottom up.  x (B, n_0) binary.

    Its mean over draws is the exact gradient of the bound with respect to W_t and b_{t-1}.
    """
    require_model("wake_gradients", "dbn", dbn, "DBN")
    require_states("wake_gradients", "x", x, dbn.n_units[0], dtype=dbn.top.W.dtype)
    require_rng("wake_gradients", rng)
    with torch.no_grad():
        return _wake(dbn, layers_above(dbn.recognition, x, rng))


def sleep_gradients(dbn: DBN, h: Tensor, rng: torch.Generator) -> list[LayerGradient]:
    """One dream per row of h, states of the layer below the top (B, n_{L-1}); E[log Q(hᵗ | hᵗ⁻¹)]'s gradient for each recognition layer, bottom up.

    With h drawn from the top RBM its mean is minus the gradient of sleep_kl(dbn) with respect to the recognition parameters.
    """
    require_model("sleep_gradients", "dbn", dbn, "DBN")
    require_states("sleep_gradients", "h", h, dbn.n_units[-2], dtype=dbn.top.W.dtype)
    require_rng("sleep_gradients", rng)
    with torch.no_grad():
        return _sleep(dbn, _dream(dbn, h, rng))


class UpDownTrainer:
    """One update = wake, top, sleep, on a batch of x, or of [x, one-hot label] where the network is labelled; `fit` calls it."""

    def __init__(self, dbn: DBN, options: UpDownOptions):
        if not isinstance(dbn, DBN) or not dbn.directed:
            raise ValueError(f"UpDownTrainer: dbn is {type(dbn).__name__} without a directed layer, expected a DBN of at least two RBMs; stack another layer first")
        self.model, self.options = dbn, options
        share_first(dbn)

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        """One step on rows of x (and labels); fraction in [0, 1) of the training done, for the rates and the number of Gibbs steps."""
        dbn, options, n = self.model, self.options, self.model.n_units[0]
        share = 1 - fraction  # of the rates
        with torch.no_grad():
            awake = layers_above(dbn.recognition, batch[:, :n], rng)
            wake = _wake(dbn, awake)
            visible = awake[-1] if not dbn.top.n_labels else torch.cat([awake[-1], batch[:, n:]], 1)
            dream_top = self._update_top(visible, options.top_learning_rate * share, self._gibbs_steps(fraction), rng)
            sleep = _sleep(dbn, _dream(dbn, dream_top, rng))
            rate = options.learning_rate * share
            for layer, gradient in zip(dbn.directed, wake):
                _ascend(layer.W, layer.b, gradient, rate, options.weight_decay)
            for layer, gradient in zip(dbn.recognition, sleep):
                _ascend(layer.W, layer.c, gradient, rate, options.weight_decay)
            average_([*dbn.parameters()], rows=len(batch))

    def check_data(self, data: Tensor) -> None:
        """Called once by fit: binary rows; with labels, the last columns one-hot."""
        n, k = self.model.n_units[0], self.model.top.n_labels
        require_states("fit", "data", data, n + k, dtype=self.model.top.W.dtype)
        if k:
            require_one_hot("fit", data[:, n:])

    def state(self) -> dict[str, Tensor]:
        return {}  # nothing outlives an update but the model

    def load_state(self, state: dict[str, Tensor]) -> None:
        if state:
            raise ValueError(f"UpDownTrainer.load_state: got {', '.join(state)}, expected nothing; the checkpoint is of another trainer")

    def describe(self) -> dict[str, str]:
        """Options as words, written into the checkpoint and compared on resume."""
        return {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options)}

    def _gibbs_steps(self, fraction: float) -> int:
        first, last = self.options.n_gibbs_steps, self.options.final_gibbs_steps
        return first if last is None else first + int((last - first + 1) * fraction)

    def _update_top(self, visible: Tensor, rate: float, n_gibbs_steps: int, rng: torch.Generator) -> Tensor:
        """A CD step of the top RBM; the features of its chain's last visible state, from which the network dreams."""
        top = self.model.top
        h_data = probabilities(visible, top.W, top.c)
        v_model, h_model, _ = continue_chain(top, draw(h_data, rng), n_gibbs_steps, rng, keep_states=False)
        step = rate / len(visible)
        b, c = visible.sum(0) - v_model.sum(0), h_data.sum(0) - h_model.sum(0)
        top.W.mul_(1 - rate * self.options.weight_decay).addmm_(visible.T, h_data, alpha=step).addmm_(v_model.T, h_model, alpha=-step)
        top.b.add_(b, alpha=step)
        top.c.add_(c, alpha=step)
        return v_model[:, :self.model.n_units[-2]]


def _dream(dbn: DBN, h: Tensor, rng: torch.Generator) -> list[Tensor]:
    """[x, h¹, ..., hᴸ⁻¹], sampled downwards from hᴸ⁻¹ = h."""
    layers = [h]
    for layer in reversed(dbn.directed):
        layers.append(half_step(layers[-1], layer.W.T, layer.b, rng))
    return layers[::-1]


def _wake(dbn: DBN, layers: list[Tensor]) -> list[LayerGradient]:
    """Σ_rows (hᵗ⁻¹ - P(hᵗ⁻¹ = 1 | hᵗ)) hᵗᵀ / B and the same without hᵗ, for t = 1 ... L-1."""
    gradients = []
    for layer, lower, upper in zip(dbn.directed, layers, layers[1:]):
        error = lower - probabilities(upper, layer.W.T, layer.b)
        gradients.append(LayerGradient(error.T @ upper / len(upper), error.mean(0)))
    return gradients


def _sleep(dbn: DBN, layers: list[Tensor]) -> list[LayerGradient]:
    """Σ_rows hᵗ⁻¹ (hᵗ - Q(hᵗ = 1 | hᵗ⁻¹))ᵀ / B and the same without hᵗ⁻¹, for t = 1 ... L-1."""
    gradients = []
    for layer, lower, upper in zip(dbn.recognition, layers, layers[1:]):
        error = upper - probabilities(lower, layer.W, layer.c)
        gradients.append(LayerGradient(lower.T @ error / len(lower), error.mean(0)))
    return gradients


def _ascend(W: Tensor, bias: Tensor, gradient: LayerGradient, rate: float, decay: float) -> None:
    W.mul_(1 - rate * decay).add_(gradient.W, alpha=rate)
    bias.add_(gradient.bias, alpha=rate)
