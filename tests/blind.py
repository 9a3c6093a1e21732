"""Arguments drawn blindly, for benchmarks/fuzz.py: values of every kind, and good tensors in another dress."""
from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

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


def dressed(good, chance: random.Random) -> tuple:
    """(the good tensor strided, expanded from one row, or part of a graph; the same plain). What is no tensor comes as it is."""
    if not isinstance(good, Tensor) or good.ndim == 0:
        return good, None
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
