"""Deep belief network: directed sigmoid layers under one RBM (Hinton, Osindero, Teh 2006).

    p(x, h¹, ..., hᴸ) = P(x | h¹) P(h¹ | h²) ... P(hᴸ⁻² | hᴸ⁻¹) p(hᴸ⁻¹, hᴸ)          x = h⁰, layer sizes n_0, ..., n_L

Only the top pair is undirected: this is not a deep Boltzmann machine. Recognition Q(hᵗ | hᵗ⁻¹) goes upwards, generation P(hᵗ⁻¹ | hᵗ) downwards;
each has parameters of its own, equal when layers are stacked greedily. All W are (lower, upper).
"""
import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .dbn_bound import DBNBound, dbn_log_likelihood, exact_bound, layer_log_prob, sampled_bound
from .rbm import RBM
from .sampling import gibbs_chain, sample_bernoulli
from .tied import tied_rbm
from .validate import in_words, require_count, require_matrix, require_number, require_rng, require_states


class Directed(nn.Module):
    """P(lower | upper): every lower unit a coin with logits W upper + b.  W (lower, upper), b (lower,)."""

    def __init__(self, W: Tensor, b: Tensor):
        super().__init__()
        self.W, self.b = nn.Parameter(W.detach().clone()), nn.Parameter(b.detach().clone())


class Recognition(nn.Module):
    """Q(upper | lower): every upper unit a coin with logits Wᵀ lower + c.  W (lower, upper), c (upper,)."""

    def __init__(self, W: Tensor, c: Tensor):
        super().__init__()
        self.W, self.c = nn.Parameter(W.detach().clone()), nn.Parameter(c.detach().clone())


class DBN(nn.Module):
    """A DBN stacked from copies of RBMs, listed bottom up. The last may be a LabelledRBM, whose labels stand beside the layer below the top."""

    def __init__(self, rbms: Sequence[RBM]):
        super().__init__()
        rbms = _require_stack(rbms)
        self.directed = nn.ModuleList(Directed(rbm.W, rbm.b) for rbm in rbms[:-1])
        self.recognition = nn.ModuleList(Recognition(rbm.W, rbm.c) for rbm in rbms[:-1])
        self.top = copy.deepcopy(rbms[-1])

    @classmethod
    def from_rbm(cls, rbm: RBM, *, n_hidden: int | None = None) -> "DBN":
        """The RBM as a two-layer DBN with the same p(x): its W and b below, tied_rbm(rbm, n_hidden=n_hidden) on top."""
        return cls([rbm, tied_rbm(rbm, n_hidden=n_hidden)])

    @property
    def n_units(self) -> tuple[int, ...]:
        """(n_0, n_1, ..., n_L), from x to the top hidden layer; labels are not counted."""
        return (*[layer.W.shape[0] for layer in self.directed], self.top.n_visible - self.top.n_labels, self.top.n_hidden)

    def generation_logits(self, t: int, upper: Tensor) -> Tensor:
        """log odds of P(hᵗ⁻¹_i = 1 | hᵗ), (W_t hᵗ + b_{t-1})_i, t = 1 ... L-1.  (B, n_t) -> (B, n_{t-1}).  upper may hold probabilities."""
        layer = self._pair("generation_logits", self.directed, t)
        require_matrix("DBN.generation_logits", "upper", upper, self.n_units[t], dtype=layer.W.dtype)
        return upper @ layer.W.T + layer.b

    def recognition_logits(self, t: int, lower: Tensor) -> Tensor:
        """log odds of Q(hᵗ_j = 1 | hᵗ⁻¹), (W_tᵀ hᵗ⁻¹ + c_t)_j, t = 1 ... L-1.  (B, n_{t-1}) -> (B, n_t).  lower may hold probabilities."""
        layer = self._pair("recognition_logits", self.recognition, t)
        require_matrix("DBN.recognition_logits", "lower", lower, self.n_units[t - 1], dtype=layer.W.dtype)
        return lower @ layer.W + layer.c

    def recognise(self, x: Tensor, rng: torch.Generator) -> list[Tensor]:
        """Samples h¹ ~ Q(h¹ | x), h² ~ Q(h² | h¹), ... up to the top RBM's visible layer.  (B, n_0) -> [(B, n_1), ..., (B, n_{L-1})]."""
        require_states("DBN.recognise", "x", x, self.n_units[0], dtype=self.top.W.dtype)
        require_rng("DBN.recognise", rng)
        layers = [x]
        for t in range(1, len(self.recognition) + 1):
            layers.append(sample_bernoulli(self.recognition_logits(t, layers[-1]), rng).detach())
        return layers[1:]

    def features(self, x: Tensor, level: int) -> Tensor:
        """Probabilities passed upwards without sampling, as a classifier uses them; level 1 ... L (L-1 with labels).  (B, n_0) -> (B, n_level).  x may be grey."""
        require_matrix("DBN.features", "x", x, self.n_units[0], dtype=self.top.W.dtype)
        require_count("DBN.features", "level", level, maximum=len(self.n_units) - (2 if self.top.n_labels else 1))
        for t in range(1, min(level, len(self.recognition)) + 1):
            x = torch.sigmoid(self.recognition_logits(t, x))
        return x if level <= len(self.recognition) else torch.sigmoid(self.top.hidden_logits(x))

    def class_log_prob(self, x: Tensor) -> Tensor:
        """log p(y = k | top features of x), the features passed upwards as probabilities; labelled networks.  (B, n_0) -> (B, K)."""
        if not self.top.n_labels:
            raise ValueError("DBN.class_log_prob: the top RBM has no labels, expected a LabelledRBM on top; DBN([..., LabelledRBM(...)])")
        require_matrix("DBN.class_log_prob", "x", x, self.n_units[0], dtype=self.top.W.dtype)
        h = self.features(x, len(self.recognition)) if self.recognition else x
        return torch.log_softmax(self.top.class_logits(h), 1)

    def descend(self, h: Tensor, rng: torch.Generator, *, means: bool = False) -> Tensor:
        """One ancestral pass from hᴸ⁻¹ (B, n_{L-1}) down to x (B, n_0): states, or with means=True the probabilities of the last step."""
        require_states("DBN.descend", "h", h, self.n_units[-2], dtype=self.top.W.dtype)
        require_rng("DBN.descend", rng)
        with torch.no_grad():
            for t in range(len(self.directed), 0, -1):
                logits = self.generation_logits(t, h)
                h = torch.sigmoid(logits) if means and t == 1 else sample_bernoulli(logits, rng)
        return h

    def sample(self, n: int, *, n_gibbs_steps: int, start: Tensor | None = None, labels: Tensor | None = None, means: bool = False,
               rng: torch.Generator) -> Tensor:
        """n samples: n_gibbs_steps sweeps of the top RBM from `start`, then one ancestral pass.  -> (n, n_0), 0/1 or probabilities.

        start (n, n_{L-1}): states of the top RBM's visible layer, fair coins if None. labels (n,) int64: each chain's label, held fixed; with a
        labelled network and labels=None the labels are sampled along.
        """
        require_count("DBN.sample", "n", n)
        require_count("DBN.sample", "n_gibbs_steps", n_gibbs_steps, minimum=0)
        require_rng("DBN.sample", rng)
        if start is None:
            start = torch.bernoulli(torch.full((n, self.n_units[-2]), 0.5, dtype=self.top.W.dtype, device=self.top.W.device), generator=rng)
        require_states("DBN.sample", "start", start, self.n_units[-2], dtype=self.top.W.dtype)
        if len(start) != n:
            raise ValueError(f"DBN.sample: start has {len(start)} rows and n is {n}, expected one row per sample; pass n={len(start)}")
        return self.descend(self._mix_top(start, labels, n_gibbs_steps, rng), rng, means=means)

    def layer_log_prob(self, t: int) -> Tensor:
        """log p(hᵗ) of every state, exact: p(hᵗ) = Σ P(hᵗ | hᵗ⁺¹) p(hᵗ⁺¹), from the top down.  t = 0 ... L-1 -> (2**n_t,) nats."""
        self._require_unlabelled("layer_log_prob")
        require_count("DBN.layer_log_prob", "t", t, minimum=0, maximum=len(self.directed))
        return layer_log_prob(self, t)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), exact; at most 24 units in two neighbouring layers.  (B, n_0) -> (B,) nats, differentiable."""
        self._require_unlabelled("log_likelihood")
        require_states("DBN.log_likelihood", "x", x, self.n_units[0], dtype=self.top.W.dtype)
        return dbn_log_likelihood(self, x)

    def bound(self, x: Tensor, *, log_z: float | None = None, n_samples: int | None = None, rng: torch.Generator | None = None) -> DBNBound:
        """The lower bound on log p(x), x (B, n_0) binary, with q = Π_t Q(hᵗ | hᵗ⁻¹); see dbn_bound.py for its terms.

        Enumerated and differentiable where n_samples is None; else the mean over n_samples draws of q. log_z is the top RBM's log Z: exact if None,
        for a trained network the estimate of ais_log_partition, whose error comes on top of the standard error given here.
        """
        self._require_unlabelled("bound")
        require_states("DBN.bound", "x", x, self.n_units[0], dtype=self.top.W.dtype)
        if log_z is not None:
            require_number("DBN.bound", "log_z", log_z)
        if (n_samples is None) != (rng is None):
            raise ValueError(f"DBN.bound: n_samples is {in_words(n_samples)} and rng is {type(rng).__name__}, expected both or neither; pass n_samples=10, rng=rng to sample q")
        if n_samples is None:
            return exact_bound(self, x, log_z)
        require_count("DBN.bound", "n_samples", n_samples)
        require_rng("DBN.bound", rng)
        with torch.no_grad():
            return sampled_bound(self, x, log_z, n_samples, rng)

    def _mix_top(self, start: Tensor, labels: Tensor | None, n_steps: int, rng: torch.Generator) -> Tensor:
        if labels is not None and not self.top.n_labels:
            raise ValueError("DBN.sample: labels are given and the top RBM has none, expected labels=None; stack a LabelledRBM on top to clamp labels")
        if labels is not None:
            return self.top.label_chain(start, labels, n_steps=n_steps, rng=rng)
        if not self.top.n_labels:
            return gibbs_chain(self.top, start, n_steps=n_steps, rng=rng)
        first = torch.eye(self.top.n_labels, dtype=start.dtype)[torch.randint(self.top.n_labels, (len(start),), generator=rng)]
        return gibbs_chain(self.top, torch.cat([start, first], 1), n_steps=n_steps, rng=rng)[:, :self.n_units[-2]]

    def _pair(self, where: str, layers: nn.ModuleList, t: int) -> nn.Module:
        if not layers:
            raise ValueError(f"DBN.{where}: this DBN is one RBM and has no directed pair, got t={in_words(t)}, expected a DBN of two RBMs or more; use dbn.top")
        require_count(f"DBN.{where}", "t", t, maximum=len(layers))
        return layers[t - 1]

    def _require_unlabelled(self, where: str) -> None:
        if self.top.n_labels:
            raise ValueError(f"DBN.{where}: the top RBM has {self.top.n_labels} label units, expected a DBN without labels: p(x) would need their sum; use class_log_prob")


def _require_stack(rbms: Sequence[RBM]) -> list[RBM]:
    """At least one RBM, sizes that fit, labels only on top."""
    if not isinstance(rbms, Sequence) or not rbms or not all(isinstance(rbm, RBM) for rbm in rbms):
        got = [type(rbm).__name__ for rbm in rbms] if isinstance(rbms, Sequence) else type(rbms).__name__
        raise ValueError(f"DBN: rbms is {got}, expected a list of at least one RBM, bottom up; pass [rbm] or use DBN.from_rbm(rbm)")
    for t, (below, above) in enumerate(zip(rbms, rbms[1:]), start=1):
        if below.n_hidden != above.n_visible - above.n_labels:
            raise ValueError(f"DBN: RBM {t} has {below.n_hidden} hidden units and RBM {t + 1} has {above.n_visible - above.n_labels} visible ones, expected equal numbers; list them bottom up")
        if below.n_labels:
            raise ValueError(f"DBN: RBM {t} has label units, expected them in the last RBM only; put the LabelledRBM on top")
        if below.W.dtype != above.W.dtype:
            raise ValueError(f"DBN: RBM {t} is {below.W.dtype} and RBM {t + 1} is {above.W.dtype}, expected one type; convert: rbm.double() or rbm.float()")
    return list(rbms)
