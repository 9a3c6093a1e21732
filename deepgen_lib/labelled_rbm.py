"""An RBM with a group of label units of which exactly one is on (Hinton, Osindero, Teh 2006, section 2.2 and figure 1).

    v = [features, y]    p(features_i = 1 | h) = σ(b_i + (Wh)_i)    p(y = k | h) = softmax_k(b_y + W_y h)    y one-hot

The label group is a softmax, not K coins: two labels at once are impossible, and so is none. All else is an RBM on V = F + K visible units, so
`RBMTrainer` and `gibbs_chain` take it as it is; its log Z sums over one-hot labels alone, which functions for plain RBMs refuse to guess.
"""
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from .enumeration import all_states
from .kernels import sum_softplus
from .kernels.gibbs import half_step
from .labels import require_labels
from .rbm import RBM
from .validate import require_count, require_matrix, require_rng, require_states


class LabelledRBM(RBM):
    """Visible units: n_features coins, then n_labels of which one is on.  W (n_features + n_labels, H), b (n_features + n_labels,), c (H,)."""

    def __init__(self, n_features: int, n_labels: int, n_hidden: int, *, weight_std: float = 0.01, rng: torch.Generator | None = None):
        require_count("LabelledRBM", "n_features", n_features)
        require_count("LabelledRBM", "n_labels", n_labels, minimum=2)
        super().__init__(n_features + n_labels, n_hidden, weight_std=weight_std, rng=rng)
        self.n_labels = n_labels

    @property
    def n_features(self) -> int:
        return self.n_visible - self.n_labels

    def draw_visible(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """[features, y] ~ p(v | h), the label by softmax; no checks, call under no_grad.  (B, H) -> (B, F + K) of 0/1."""
        f = self.n_features
        features = half_step(h, self.W[:f].T, self.b[:f], rng)
        return torch.cat([features, self._draw_labels(torch.addmm(self.b[f:], h, self.W[f:].T), rng)], 1)

    def label_logits(self, h: Tensor) -> Tensor:
        """log p(y = k | h) up to a constant per row.  (B, H) -> (B, K)."""
        require_matrix("LabelledRBM.label_logits", "h", h, self.n_hidden, dtype=self.W.dtype)
        return h @ self.W[self.n_features:].T + self.b[self.n_features:]

    def class_logits(self, features: Tensor) -> Tensor:
        """log p(y = k | features) up to a constant per row, exact: b_k + Σ_j softplus(c_j + (features W)_j + W_kj).  (B, F) -> (B, K).

        features may hold probabilities (a deterministic upward pass), then it is the same formula evaluated there.
        """
        require_matrix("LabelledRBM.class_logits", "features", features, self.n_features, dtype=self.W.dtype)
        f = self.n_features
        pre = features @ self.W[:f] + self.c
        return torch.stack([self.b[f + k] + sum_softplus(pre + self.W[f + k]) for k in range(self.n_labels)], 1)

    def label_chain(self, features: Tensor, labels: Tensor, *, n_steps: int, rng: torch.Generator) -> Tensor:
        """n_steps sweeps from features (B, F) with each chain's label held fixed.  labels (B,) int64 -> features (B, F)."""
        require_states("LabelledRBM.label_chain", "features", features, self.n_features, dtype=self.W.dtype)
        require_count("LabelledRBM.label_chain", "n_steps", n_steps, minimum=0)
        require_rng("LabelledRBM.label_chain", rng)
        f = self.n_features
        require_labels("LabelledRBM.label_chain", "labels", labels, len(features), n_classes=self.n_labels)
        y = one_hot(labels, self.n_labels).to(self.W)
        with torch.no_grad():
            for _ in range(n_steps):
                h = half_step(torch.cat([features, y], 1), self.W, self.c, rng)
                features = half_step(h, self.W[:f].T, self.b[:f], rng)
        return features

    def log_partition(self) -> Tensor:
        """log Z = log Σ_{features} Σ_k exp(-F([features, e_k])), exact, by enumerating the hidden states; tiny models.  -> scalar, nats."""
        h, f = all_states(self.n_hidden).to(self.W), self.n_features
        pre = h @ self.W.T + self.b
        return torch.logsumexp(h @ self.c + sum_softplus(pre[:, :f]) + torch.logsumexp(pre[:, f:], 1), 0)

    def _draw_labels(self, logits: Tensor, rng: torch.Generator) -> Tensor:
        chosen = torch.multinomial(torch.softmax(logits, 1), 1, generator=rng)
        return torch.zeros_like(logits).scatter_(1, chosen, 1)
