"""A machine that runs tile programs one by one, in no order one could rely on: the launch `kernel[grid](...)` as in Triton, without a GPU.

It is slow and says everything: what was read, written and multiplied, and each access that a GPU would let pass and should not.
"""
from __future__ import annotations

import functools
import inspect
import itertools
import random
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from . import language
from .memory import Buffer, Traffic

MAX_PROGRAMS = 100_000


class Call(NamedTuple):
    """One launch: what went in and what came out."""
    kernel: Kernel
    grid: tuple[int, ...]
    before: dict[str, object]  # arguments by name, tensors as copies
    after: dict[str, Tensor]   # the tensors when all programs had run


class Kernel:
    """A function that each program of a launch runs; made by `@jit`."""

    def __init__(self, function: Callable):
        functools.update_wrapper(self, function)
        self.function = function

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Traffic]:
        if not isinstance(grid, tuple) or not 1 <= len(grid) <= 3 or not all(type(n) is int and n >= 1 for n in grid):
            raise ValueError(f"{self.__name__}[grid]: got the grid {grid!r}, expected one to three whole numbers from 1 up, as in {self.__name__}[(4,)](...)")
        if (n := functools.reduce(int.__mul__, grid)) > MAX_PROGRAMS:
            raise ValueError(f"{self.__name__}[grid]: the grid has {n} programs, expected at most {MAX_PROGRAMS}; this machine is slow, take a smaller example")
        return functools.partial(self._launch, grid)

    def __call__(self, *arguments, **named):
        if not language.running:
            raise TypeError(f"{self.__name__} is a kernel: launch it with {self.__name__}[grid](...), grid being the number of programs, as in (4,)")
        return self.function(*arguments, **named)

    @torch.no_grad()
    def _launch(self, grid: tuple[int, ...], *arguments, **named) -> Traffic:
        bound = inspect.signature(self.function).bind(*arguments, **named)
        bound.apply_defaults()
        before = {name: _copy(value) for name, value in bound.arguments.items()} if _recorders else {}
        traffic = Traffic(programs=functools.reduce(int.__mul__, grid))
        given = {name: _argument(self.__name__, name, value, traffic) for name, value in bound.arguments.items()}
        places = list(enumerate(itertools.product(*map(range, grid))))
        random.Random(len(places)).shuffle(places)  # a GPU promises no order
        for number, place in places:
            language.running.append((place + (0,) * (3 - len(place)), grid + (1,) * (3 - len(grid)), number, traffic))
            try:
                self.function(**given)
            finally:
                language.running.pop()
        for calls in _recorders:
            calls.append(Call(self, grid, before, {name: value.clone() for name, value in bound.arguments.items() if isinstance(value, Tensor)}))
        return traffic

    def __repr__(self) -> str:
        return f"<kernel {self.__name__}>"

    @property
    def source(self) -> str:
        """Its text, with that of the kernels it calls before it."""
        called = [value for name in self.function.__code__.co_names if isinstance(value := self.function.__globals__.get(name), Kernel)]
        return "\n".join([*(kernel.source for kernel in called if kernel is not self), textwrap.dedent(inspect.getsource(self.function))])


_recorders: list[list[Call]] = []


def jit(function: Callable) -> Kernel:
    """Turn a function into a kernel: `@jit` above its definition, as `@triton.jit`."""
    return Kernel(function)


@contextmanager
def record() -> Iterator[list[Call]]:
    """Every launch inside the block, with copies of what went in and what came out; see `in_triton`."""
    calls: list[Call] = []
    _recorders.append(calls)
    try:
        yield calls
    finally:
        _recorders.remove(calls)


def _argument(kernel: str, name: str, value, traffic: Traffic):
    if not isinstance(value, Tensor):
        return value
    if value.device.type != "cpu":
        raise ValueError(f"{kernel}: {name} is on {value.device}, expected the CPU; this machine is for learning, use {name}.cpu()")
    return language.Pointer(Buffer.of(name, value, traffic), torch.zeros((), dtype=torch.int64))


def _copy(value):
    return value.detach().clone() if isinstance(value, Tensor) else value
