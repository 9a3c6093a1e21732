"""A small convolutional classifier of digits: the measuring instrument for drawn pictures.

    p(y | x) = softmax(network(x))_y        sizes: B pictures, 10 classes

How sure it is, max_y p(y | x), says whether a drawn picture looks like one digit; which y it names, whether all ten occur. It says nothing of copies or of variety
inside a class: look at the nearest training pictures too.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from .checkpoint import load_model
from .labels import require_one_hot
from .shipped import CHECKPOINTS
from .validate import require_count, require_images, require_matrix

N_PIXELS, N_CLASSES = 784, 10


class DigitClassifier(nn.Module):
    """Two convolutions with 2 x 2 maxima, one hidden layer; 28 x 28 grey pictures with ink near 1."""

    def __init__(self, width: int = 16, n_hidden: int = 96):
        super().__init__()
        require_count("DigitClassifier", "width", width)
        require_count("DigitClassifier", "n_hidden", n_hidden)
        self.network = nn.Sequential(
            nn.Conv2d(1, width, 5), nn.ReLU(), nn.MaxPool2d(2),               # (B, width, 12, 12)
            nn.Conv2d(width, 2 * width, 5), nn.ReLU(), nn.MaxPool2d(2),       # (B, 2 width, 4, 4)
            nn.Flatten(), nn.Linear(32 * width, n_hidden), nn.ReLU(), nn.Linear(n_hidden, N_CLASSES))

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(y | x) in nats.  (B, 1, 28, 28) -> (B, 10)."""
        require_images("DigitClassifier.log_prob", "x", x, 1, dtype=next(self.parameters()).dtype)
        if x.shape[2:] != (28, 28):
            raise ValueError(f"DigitClassifier.log_prob: x has pictures of {tuple(x.shape[2:])}, expected (28, 28); rows of pixels fold by x.view(-1, 1, 28, 28)")
        return torch.log_softmax(self.network(x), 1)

    @torch.no_grad()
    def sureness(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(probability of the most probable class, that class) of each picture.  (B, 1, 28, 28) -> (B,), (B,) int64."""
        return self.log_prob(x).exp().max(1)

    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """Mean of -log p(y | x) over rows [pixels, one-hot label], for GradientTrainer."""
        log_p = torch.log_softmax(self.network(batch[:, :N_PIXELS].reshape(-1, 1, 28, 28)), 1)
        return -(batch[:, N_PIXELS:] * log_p).sum(1).mean()

    def check_data(self, data: Tensor) -> None:
        """Called once by fit: rows of labelled_rows(images, labels, 10)."""
        require_matrix("fit", "data", data, N_PIXELS + N_CLASSES, dtype=next(self.parameters()).dtype)
        require_one_hot("fit", data[:, N_PIXELS:])


def load_digit_classifier() -> DigitClassifier:
    """The shipped one, made by benchmarks/digit_classifier.py: 99 % of the test pictures right."""
    return load_model(CHECKPOINTS / "digit_classifier.safetensors", DigitClassifier()).requires_grad_(False)
