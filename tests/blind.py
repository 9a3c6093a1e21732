"""Arguments drawn blindly, for benchmarks/fuzz.py: values of every kind, and good tensors in another dress."""
from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from deepgen_lib.checks.engine import Part

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool)
NUMBERS = (-3, -1, 0, 1, 2, 3, 7, -0.5, 0.0, 0.5, 1.0, 2.5, math.nan, math.inf, -math.inf, True, False, 1e-300, 1e300, np.float64(0.5), np.int64(2))
WORDS = ("", "data", "cuda", "é", "0.5")


def blind(good, chance: random.Random) -> tuple:
    """(any value, None); good is not looked at."""
    kind = chance.choice((NUMBERS, WORDS, thing, tensor, tensor, tensor))
    return kind(chance) if callable(kind) else chance.choice(kind), None


def thing(chance: random.Random):
    makers = (lambda: None, list, dict, tuple, lambda: [1, 2], lambda: (0.5,), object, lambda: len, lambda: np.zeros(3), lambda: np.ones((2, 3), np.float32), torch.Generator, lambda: nn.Linear(2, 2),
              lambda: int, lambda: Ellipsis, lambda: 1j, lambda: b"bytes", lambda: {1, 2}, lambda: slice(3))
    return chance.choice(makers)()


def tensor(chance: random.Random) -> Tensor:
    rng = torch.Generator().manual_seed(chance.randrange(10**6))
    shape = [chance.choice((0, 1, 2, 3, 4, 5, 8)) for _ in range(chance.randrange(5))]
    values = torch.randn(shape, generator=rng)
    values = chance.choice((values, values.sign().relu(), values.sigmoid(), values * 1e30, values.where(values > 0.5, torch.nan), values.softmax(-1) if shape else values))
    return values.to(chance.choice(DTYPES))


def drawn(good, chance: random.Random) -> tuple:
    """A value for the place of good: blind three times out of four, else dressed. A function that is handed over may raise what it likes: nothing callable takes its place; a network's place anything may take."""
    while True:
        value, plain = chance.choice((blind, blind, blind, dressed))(good, chance)
        if not (callable(good) and not isinstance(good, nn.Module) and callable(value)):
            return value, plain


def dressed(good, chance: random.Random) -> tuple:
    """(the good tensor strided, expanded from one row, or part of a graph; the same plain). What has no axes cannot be dressed: a blind value takes its place."""
    if not isinstance(good, Tensor) or good.ndim == 0:
        return blind(good, chance)
    good = good.detach().clone()
    way = chance.choice(("strided", "graph", "expanded")) if good.is_floating_point() else "strided"
    if way == "graph":
        worn = good.clone().requires_grad_() * 1
    elif way == "expanded":
        worn = good[:1].expand(good.shape)
        good = worn.clone()
    else:
        worn = torch.stack([good, good], -1).mT.contiguous().mT[..., 0]
    return worn, good


def answers(good, chance: random.Random) -> tuple:
    """A student's answer: any value; where a function is asked for, mostly a function, which returns any value, its first argument or nothing, or stops."""
    value, _ = blind(good, chance)
    if not callable(good) or chance.random() < 0.25:
        return value, None

    def stops(*_):
        raise chance.choice((RuntimeError, KeyError, RecursionError, StopIteration))("a mistake of the student's")

    def changes(*given):
        for tensor_given in tensors_in(given):
            if not tensor_given.requires_grad:
                tensor_given.zero_()
        return given[0] if given else None
    return chance.choice((lambda *_: value, lambda *_: value, lambda *_: value, lambda *given: given[0] if given else None, lambda: value, lambda *_: (value, value), stops, changes)), None


def tensors_in(value) -> Iterator[Tensor]:
    """Every tensor in containers, named tuples included."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)


def is_right(part: Part, answer) -> bool:
    """Whether a blind answer happens to be the right one: a value equal to it, a function equal to it on every case. What a measure alone would accept is not."""
    if part.inputs is None:
        return _equal(answer, part.right, part)
    try:
        return all(_equal(answer(*copy.deepcopy(given)), part.right(*copy.deepcopy(given)), part) for given in part.inputs(torch.Generator().manual_seed(0)).values())
    except Exception:  # it is wrong where it stops
        return False


def _equal(a, b, part: Part) -> bool:
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(_equal(a[key], b[key], part) for key in b)
    if isinstance(b, str):
        return isinstance(a, str) and a.split() == b.split()
    if isinstance(a, (str, bytes)):
        return False
    try:
        a, b = (np.asarray(x.detach().double() if isinstance(x, Tensor) else x, dtype=float) for x in (a, b))
    except (TypeError, ValueError):  # several results of their own shapes
        return isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b) and all(_equal(x, y, part) for x, y in zip(a, b))
    return a.shape == b.shape and np.allclose(a, b, rtol=part.rtol, atol=part.atol, equal_nan=True)
