"""What every public door asks of its arguments: function, got, expected, cure.

Each helper raises ValueError with one sentence a student can act on, or returns nothing. `where` is the caller's name.
They stand at the doors only; the inner loops of sampling and training never pass here.
"""
from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor


def in_words(value: object) -> str:
    """A value as an error message shows it: as Python writes it, but a tensor or an array by its shape and type, and anything long cut off."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0):
        return f"{type(value).__name__} of shape {tuple(value.shape)} and type {value.dtype}"
    words = repr(value)
    return words if len(words) <= 80 else f"{words[:60]}... ({len(words)} characters)"


def require_kind(where: str, name: str, value: object, kind: type | tuple[type, ...], *, cure: str) -> None:
    """value is of this class, or of one of these."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ValueError(f"{where}: {name} is {type(value).__name__}, expected {' or '.join(k.__name__ for k in kinds)}; {cure}")


KINDS = {  # what a model or a helper of this kind has, and where one comes from; a class of one's own with the same parts is one, too
    "RBM": (("n_visible", "n_hidden", "n_labels", "W"), "build one: RBM(n_visible, n_hidden)"),
    "ConvRBM": (("n_channels", "n_filters", "map_size", "W"), "build one: ConvRBM(n_channels, n_filters, filter_size)"),
    "DBN": (("n_units", "recognition", "top"), "build one: DBN(rbms)"),
    "ConvDBN": (("rbms", "top", "pooled_sizes"), "build one: ConvDBN(rbms)"),
    "BernoulliMixture": (("log_joint", "posterior"), "build one: BernoulliMixture(weights, means)"),
    "Gradient": (("W", "b", "c"), "take what cd_gradient returned"),
    "CDOptions": (("n_gibbs_steps", "centred", "persistent"), "write CDOptions(), or with options of your own in its brackets"),
    "trainer": (("model", "update", "check_data"), "make one of a model, for example RBMTrainer(rbm, CDOptions(), rng=rng)"),
}


def require_model(where: str, name: str, value: object, kind: str) -> None:
    """value has the parts of this kind of KINDS, and is no class."""
    parts, cure = KINDS[kind]
    if isinstance(value, type) or not all(hasattr(value, part) for part in parts):
        raise ValueError(f"{where}: {name} is {in_words(value) if isinstance(value, type) else type(value).__name__}, expected {'an' if kind == 'RBM' else 'a'} {kind}; {cure}")


def require_state(where: str, state: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """state is a dictionary with a tensor of the same shape for each name of own; it may hold more."""
    require_kind(where, "state", state, dict, cure="pass what state() returned")
    for name, value in own.items():
        if not isinstance(state.get(name), Tensor) or state[name].shape != value.shape:
            found = f"{tuple(state[name].shape)}" if isinstance(state.get(name), Tensor) else in_words(state[name]) if name in state else "nothing"
            raise ValueError(f"{where}: {name} is {found}, expected {tuple(value.shape)}; the checkpoint is of another model or other options")


def require_matrix(where: str, name: str, x: Tensor, columns: int | None = None, *, dtype: torch.dtype | None = None) -> None:
    """x is a finite, non-empty floating-point matrix (B, columns), of the given dtype if one is given."""
    _require_form(where, name, x, columns, dtype)
    require_finite(where, name, x)


def _require_form(where: str, name: str, x: Tensor, columns: int | None, dtype: torch.dtype | None) -> None:
    require_tensor(where, name, x)
    want = "(B, columns)" if columns is None else f"(B, {columns})"
    if x.ndim != 2 or (columns is not None and x.shape[1] != columns):
        cure = {0: f"stack the numbers: {name}.reshape(1, -1)", 1: f"for one example use {name}[None]",
                2: f"it lies on its side: use {name}.T" if x.ndim == 2 and x.shape[0] == columns else "one row per example, one column per unit: does it belong to another model?"}
        raise ValueError(f"{where}: {name} has shape {tuple(x.shape)}, expected {want}; {cure.get(x.ndim, f'flatten images first: {name}.flatten(1)')}")
    if x.numel() == 0:
        raise ValueError(f"{where}: {name} is empty, shape {tuple(x.shape)}; expected {want} with at least one row and one column; look where the rows were lost")
    _require_dtype(where, name, x, dtype)


def _require_dtype(where: str, name: str, x: Tensor, dtype: torch.dtype | None) -> None:
    if dtype is not None and x.dtype != dtype:
        raise ValueError(f"{where}: {name} is {x.dtype}, expected {dtype} like the model's parameters; convert one: {name}.to({dtype}), or model.double()")


def require_vector(where: str, name: str, x: Tensor, length: int, *, dtype: torch.dtype | None = None, cure: str) -> None:
    """x is a finite floating-point vector (length,), of the given dtype if one is given; `cure` is said when the shape is wrong."""
    require_tensor(where, name, x)
    if x.shape != (length,):
        raise ValueError(f"{where}: {name} has shape {tuple(x.shape)}, expected ({length},); {cure}")
    _require_dtype(where, name, x, dtype)
    require_finite(where, name, x)


def require_tensor(where: str, name: str, x: Tensor) -> None:
    """x is a torch tensor of a floating-point type."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{where}: {name} is {type(x).__name__}, expected a torch.Tensor; wrap it: torch.as_tensor({name})")
    if not x.is_floating_point():
        raise ValueError(f"{where}: {name} is {x.dtype}, expected floating point; convert: {name}.float() or {name}.double()")


def require_finite(where: str, name: str, x: Tensor) -> None:
    """No NaN and no infinity in x. A finite sum rules both out at a fortieth of the price; only a sum that is not finite asks every entry."""
    if not torch.isfinite(x.detach().sum()) and not torch.isfinite(x).all():
        bad = "NaN" if torch.isnan(x).any() else "an infinite value"
        raise ValueError(f"{where}: {name} contains {bad}, expected finite numbers; find the first one: (~torch.isfinite({name})).nonzero()[0]")


def is_binary(x: Tensor) -> bool:
    """Every entry is 0 or 1 (so none is NaN), block by block: 20 times faster on a training set than comparing all of it at once."""
    return not any((block * (1 - block)).any() for block in x.detach().flatten().split(2**16))


def require_binary(where: str, name: str, x: Tensor) -> None:
    """Every entry of x is 0 or 1."""
    if not is_binary(x):
        require_finite(where, name, x)
        raise ValueError(
            f"{where}: {name} has values other than 0 and 1 (from {x.min().item():.3g} to {x.max().item():.3g}), expected binary states; "
            "binarise first: load_mnist(..., binarisation='fixed'), or torch.bernoulli(x)")


def require_states(where: str, name: str, x: Tensor, columns: int | None = None, *, dtype: torch.dtype | None = None) -> None:
    """x is a matrix of binary states (B, columns)."""
    _require_form(where, name, x, columns, dtype)
    require_binary(where, name, x)


def require_images(where: str, name: str, x: Tensor, channels: int | None = None, *, dtype: torch.dtype | None = None, binary: bool = False) -> None:
    """x is a non-empty stack of pictures or maps (B, C, H, W) of finite numbers, with the given number of channels and dtype if they are given; binary: of 0 and 1."""
    require_tensor(where, name, x)
    want = f"(B, {'C' if channels is None else channels}, H, W)"
    if x.ndim != 4 or (channels is not None and x.shape[1] != channels):
        cure = {2: f"fold rows of pixels into pictures: {name}.view(-1, 1, height, width)", 3: f"add the axis that is missing: {name}[:, None] for grey pictures, {name}[None] for one of them"}
        raise ValueError(f"{where}: {name} has shape {tuple(x.shape)}, expected {want}; {cure.get(x.ndim, 'one channel per kind of unit below: does it belong to another layer?')}")
    if x.numel() == 0:
        raise ValueError(f"{where}: {name} is empty, shape {tuple(x.shape)}; expected {want} with every axis at least 1; look where the rows were lost")
    _require_dtype(where, name, x, dtype)
    require_binary(where, name, x) if binary else require_finite(where, name, x)


def require_count(where: str, name: str, value: int, *, minimum: int = 1, maximum: int | None = None) -> None:
    """value is a whole number in [minimum, maximum]; True and 3.0 are not."""
    top = "" if maximum is None else f" and at most {maximum}"
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{where}: {name} is {in_words(value)}, expected a whole number of at least {minimum}{top}; pass for example {name}={minimum}")


def require_number(where: str, name: str, value: float, *, low: float = -math.inf, high: float = math.inf) -> None:
    """value is a finite real number with low <= value <= high."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{where}: {name} is {in_words(value)}, expected a number from {low:g} to {high:g}; choose {name} in that range")


def require_choice(where: str, name: str, value: str, options: Collection[str]) -> None:
    """value is one of the named options."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{where}: {name} is {in_words(value)}, expected one of {', '.join(map(repr, options))}; pick one of these")


def require_flag(where: str, name: str, value: bool) -> None:
    """value is True or False; the words are not, and neither is 1."""
    if not isinstance(value, bool):
        raise ValueError(f"{where}: {name} is {in_words(value)}, expected True or False; write {name}=True or {name}=False, without quotes")


def require_rng(where: str, rng: torch.Generator) -> None:
    """rng is a torch.Generator."""
    if not isinstance(rng, torch.Generator):
        raise ValueError(f"{where}: rng is {type(rng).__name__}, expected a torch.Generator; make one: torch.Generator().manual_seed(0)")


def require_probabilities(where: str, name: str, p: Tensor, *, atol: float = 1e-5) -> None:
    """Every row (last axis) of p is a distribution: entries in [0, 1] that sum to one."""
    require_tensor(where, name, p)
    if p.ndim == 0 or p.numel() == 0:
        raise ValueError(f"{where}: {name} has shape {tuple(p.shape)}, expected distributions along a non-empty last axis (..., K); softmax makes one")
    require_finite(where, name, p)
    worst = (p.sum(-1) - 1).abs().max().item()
    if p.min() < 0 or worst > atol:
        raise ValueError(f"{where}: {name} is no distribution (smallest entry {p.min().item():.3g}, rows miss one by up to {worst:.3g}), "
                         f"expected entries >= 0 summing to one; normalise: {name} / {name}.sum(-1, keepdim=True)")


def require_means(where: str, name: str, mean: Tensor, columns: int) -> None:
    """mean is a vector (columns,) of probabilities strictly inside (0, 1)."""
    require_tensor(where, name, mean)
    if mean.shape != (columns,):
        raise ValueError(f"{where}: {name} has shape {tuple(mean.shape)}, expected ({columns},): one mean per visible unit; use base_rate(training_data)")
    require_finite(where, name, mean)
    if mean.min() <= 0 or mean.max() >= 1:
        raise ValueError(f"{where}: {name} runs from {mean.min().item():.3g} to {mean.max().item():.3g}, expected values strictly between 0 and 1: "
                         "a pixel that is never on has an infinite logit; use base_rate(training_data), which clamps")


def require_schedule(where: str, schedule: Sequence[float] | Tensor) -> Tensor:
    """Inverse temperatures from 0 to 1, strictly increasing, as float64 on the CPU.  (T,) -> (T,)."""
    try:
        beta = torch.as_tensor(schedule, dtype=torch.float64).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{where}: the schedule is {type(schedule).__name__}, expected numbers from 0 to 1; torch.linspace(0, 1, 1000) is one") from None
    if beta.ndim != 1 or len(beta) < 2 or beta[0] != 0 or beta[-1] != 1 or not (beta.diff() > 0).all():
        raise ValueError(f"{where}: the schedule has shape {tuple(beta.shape)}, expected at least two inverse temperatures that start at 0, end at 1 "
                         "and strictly increase; torch.linspace(0, 1, 1000) is one")
    return beta
