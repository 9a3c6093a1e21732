"""Linear probe: how many errors a linear classifier makes on given features, which are not changed.

    p(y | f) = softmax(Wᵀ f + b)_y        minimised: J(W, b) = -mean_n log p(y_n | f_n) + weight_decay/2 ‖W‖²        in nats

J is convex, so the answer is a property of the features, not of a training run (Alain & Bengio 2017). Multinomial logistic regression with a ridge on W
alone, full-batch L-BFGS (Liu & Nocedal 1989). sizes: N examples, F features, K classes.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from .labels import require_labels
from .validate import require_count, require_matrix, require_number

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}  # L-BFGS stops where no slope is larger


class ProbeResult(NamedTuple):
    error: float         # share of the test examples whose most probable class is wrong
    train_error: float   # the same for the training examples
    W: Tensor            # (F, K)
    b: Tensor            # (K,)
    slope: float         # largest |∂J/∂(W, b)| left at the end: 0 at the minimum

    def predict(self, features: Tensor) -> Tensor:
        """The most probable class of each row.  (N, F) -> (N,) int64."""
        require_matrix("ProbeResult.predict", "features", features, len(self.W), dtype=self.W.dtype)
        return (features @ self.W + self.b).argmax(1)


def linear_probe(features: Tensor, labels: Tensor, *, test_features: Tensor, test_labels: Tensor, weight_decay: float = 1e-3, n_steps: int = 200) -> ProbeResult:
    """Fit on features (N, F) with labels (N,) int64, count errors there and on (test_features, test_labels).

    weight_decay compares features fairly only if chosen for each, on validation data. n_steps bounds the L-BFGS iterations, which stop sooner where no slope is above
    1e-5 (float64: 1e-9); ProbeResult.slope says where they ended. Features are centred inside, which changes the speed and not the minimum (b is free). Deterministic: no rng.
    """
    require_matrix("linear_probe", "features", features)
    if features.dtype not in TOLERANCE:
        raise ValueError(f"linear_probe: features is {features.dtype}, expected torch.float32 or torch.float64; convert: features.float()")
    require_matrix("linear_probe", "test_features", test_features, features.shape[1], dtype=features.dtype)
    for name, values, partner in (("labels", labels, features), ("test_labels", test_labels, test_features)):
        require_labels("linear_probe", name, values, len(partner))
    require_number("linear_probe", "weight_decay", weight_decay, low=0)
    require_count("linear_probe", "n_steps", n_steps)
    n_classes = int(max(labels.max(), test_labels.max())) + 1
    features, test_features = features.detach(), test_features.detach()
    mean = features.mean(0)
    W, b, slope = _minimise(features - mean, labels, n_classes, weight_decay, n_steps)
    b = b - mean @ W
    wrong = [((x @ W + b).argmax(1) != y).double().mean().item() for x, y in ((test_features, test_labels), (features, labels))]
    return ProbeResult(*wrong, W, b, slope)


def _minimise(x: Tensor, y: Tensor, n_classes: int, weight_decay: float, n_steps: int) -> tuple[Tensor, Tensor, float]:
    """argmin J on centred x, from zero, and the largest slope there."""
    W, b = (torch.zeros(*shape, dtype=x.dtype, requires_grad=True) for shape in ((x.shape[1], n_classes), (n_classes,)))
    optimiser = torch.optim.LBFGS([W, b], max_iter=n_steps, history_size=20, tolerance_grad=TOLERANCE[x.dtype], tolerance_change=0.0, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(x @ W + b, y) + weight_decay / 2 * (W * W).sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimiser.step(closure)
        closure()
    slope = max(W.grad.abs().max().item(), b.grad.abs().max().item())
    return W.detach(), b.detach(), slope
