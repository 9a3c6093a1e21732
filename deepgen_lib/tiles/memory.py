"""The memory that tile programs see: numbers in a row, each access checked and counted.

A GPU checks nothing: a read past the end brings what happens to lie there, a write past the end destroys it, and of two programs that write to one
place the later wins, whichever that is. Here each of the three is an error that says which program did it, and where.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

NOBODY, SEVERAL = -1, -2  # who wrote a number: a program's place in the grid, or these; several only by adding


class OutOfBounds(IndexError):
    """A program touched memory that is not the tensor's."""


class Race(RuntimeError):
    """The result would depend on which program runs first."""


@dataclass
class Traffic:
    """What one launch cost."""
    programs: int = 0
    loaded: int = 0         # bytes read from memory, counted anew each time a program asks
    stored: int = 0         # bytes written
    multiply_adds: int = 0  # of tl.dot

    @property
    def bytes(self) -> int:
        return self.loaded + self.stored


@dataclass(eq=False)
class Buffer:
    """One tensor of a launch, as the row of numbers that it is in memory."""
    name: str
    row: Tensor                   # (n,), shares the tensor's memory
    traffic: Traffic
    writer: Tensor = field(init=False)  # (n,) who wrote each number in this launch

    def __post_init__(self):
        self.writer = torch.full((len(self.row),), NOBODY, dtype=torch.int64)

    @classmethod
    def of(cls, name: str, tensor: Tensor, traffic: Traffic) -> Buffer:
        span = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride())) if tensor.numel() else 0
        return cls(name, tensor.detach().as_strided((span,), (1,)), traffic)

    def load(self, places: Tensor, active: Tensor, other, program: int) -> Tensor:
        """Numbers at the places where active; elsewhere `other`, or garbage where there is none."""
        where = self._checked(places, active, "reads", program)
        foreign = where[(self.writer[where] != NOBODY) & (self.writer[where] != program)]
        if len(foreign):
            raise Race(f"program {program} reads {self.name}[{int(foreign[0])}], which another program of the same launch writes; "
                       "nobody knows which comes first: use two launches")
        self.traffic.loaded += len(where) * self.row.element_size()
        found = torch.empty(places.shape, dtype=self.row.dtype)
        found[...] = _garbage(self.row.dtype) if other is None else other
        found[active] = self.row[where]
        return found

    def store(self, places: Tensor, values: Tensor, active: Tensor, program: int) -> None:
        where = self._checked(places, active, "writes", program)
        if len(where.unique()) < len(where):
            raise Race(f"two lanes of program {program} write to one place of {self.name}; sum or choose first, or mask all but one")
        foreign = where[(self.writer[where] != NOBODY) & (self.writer[where] != program)]
        if len(foreign):
            first = int(foreign[0])
            raise Race(f"programs {int(self.writer[first])} and {program} both write {self.name}[{first}]; give each number one program, or add with tl.atomic_add")
        self.writer[where] = program
        self.traffic.stored += len(where) * self.row.element_size()
        self.row[where] = values[active].to(self.row.dtype)

    def add(self, places: Tensor, values: Tensor, active: Tensor, program: int) -> None:
        """One addition after the other, whoever comes; a read and a write each."""
        where = self._checked(places, active, "adds to", program)
        self.writer[where] = SEVERAL
        self.traffic.loaded += len(where) * self.row.element_size()
        self.traffic.stored += len(where) * self.row.element_size()
        self.row.index_add_(0, where, values[active].to(self.row.dtype))

    def _checked(self, places: Tensor, active: Tensor, does: str, program: int) -> Tensor:
        where = places[active].to(torch.int64)
        outside = where[(where < 0) | (where >= len(self.row))]
        if len(outside):
            raise OutOfBounds(f"program {program} {does} {self.name}[{int(outside[0])}], but {self.name} has {len(self.row)} numbers; check the places, and mask the lanes beyond the end")
        return where


def _garbage(dtype: torch.dtype) -> float | int:
    """What a masked lane holds when nobody said what: on a GPU anything, here something that shows."""
    return float("nan") if dtype.is_floating_point else False if dtype == torch.bool else torch.iinfo(dtype).min
