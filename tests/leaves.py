"""What a value is made of, leaf by leaf: to see what a call changed in what it was given, and NaN wherever it hides in a result.

Leaves are tensors, arrays and plain values. They are looked for in containers, named tuples, dataclasses, networks (parameters, their gradients, buffers, training or not), optimisers and the
library's own objects. A generator is none: drawing from it is what it is for.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn


def leaves(value, place: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, object]]:
    """(where it lies, leaf); an object that holds itself is not entered twice."""
    if id(value) in above or isinstance(value, (torch.Generator, type)):
        return
    if (parts := _parts(value)) is None:
        yield place, value
    else:
        for name, part in parts.items():
            yield from leaves(part, f"{place}.{name}" if place else str(name), (*above, id(value)))


def snapshot(value) -> dict[str, object]:
    """Copies of all leaves, which later changes do not reach."""
    return {place: _copy(leaf) for place, leaf in leaves(value)}


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Where two snapshots differ."""
    return [place for place in before | after if place not in before or place not in after or not _same(before[place], after[place])]


def numbers_in(value) -> Iterator[Tensor]:
    """Every leaf of numbers as a tensor."""
    for _, leaf in leaves(value):
        if isinstance(leaf, Tensor):
            yield leaf.detach()
        elif isinstance(leaf, (int, float, complex)) or (isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc"):
            yield torch.as_tensor(np.asarray(leaf if not isinstance(leaf, int) or abs(leaf) < 2**63 else float(leaf)))


def nan_in(value) -> bool:
    return any(bool(torch.isnan(x).any()) for x in numbers_in(value))


def _parts(value) -> dict | None:
    """What a value consists of, by name; None for a leaf."""
    if isinstance(value, nn.Module):
        return _of_network(value)
    if isinstance(value, torch.optim.Optimizer):
        return value.state_dict()
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): part for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return dict(zip(getattr(value, "_fields", map(str, range(len(value)))), value)) | {"length": len(value)}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__module__.startswith("deepgen_lib") and hasattr(value, "__dict__"):
        return vars(value)
    return None


def _of_network(network: nn.Module) -> dict:
    """Parameters and buffers, gradients, and of each part the plain attributes, such as whether it is training."""
    parts = {name: tensor for named in (network.named_parameters(), network.named_buffers()) for name, tensor in named}
    parts |= {f"{name} gradient": p.grad for name, p in network.named_parameters() if p.grad is not None}
    return parts | {f"{name}:{key}": x for name, part in network.named_modules() for key, x in vars(part).items() if not key.startswith("_") and isinstance(x, (bool, int, float, str))}


def _copy(leaf):
    if isinstance(leaf, Tensor):
        return leaf.detach().clone()
    return leaf.copy() if isinstance(leaf, (np.ndarray, set, bytearray)) else leaf


def _same(a, b) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return a is b or (type(a) is type(b) and bool(a == b or (a != a and b != b)))
