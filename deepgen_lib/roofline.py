"""What a launch, a byte and a multiply-add cost, and how long an operation must take at least (Williams, Waterman, Patterson 2009).

    seconds = Σ over launches of  launch + max(bytes · byte, multiply_adds · multiply_add)

A model, and a kind one: memory and arithmetic overlap fully, caches are ignored. Which of the three terms is largest is the limit.
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from .validate import require_choice, require_count, require_number

LIMITS = ("launch", "memory", "arithmetic")
FORMS = ("five launches", "one launch", "one launch for all steps")  # of a Gibbs half-step
COPIED = 2**24   # float32 numbers, 64 MiB: more than a laptop's caches hold
SIDE = 512       # of the square product that is timed


class Prices(NamedTuple):
    """Seconds for one of each."""
    launch: float
    byte: float
    multiply_add: float
    number: int  # bytes of the numbers that multiply_add is about: 4 float32, 2 bfloat16
    what: str    # which machine, whose numbers

    @property
    def ridge(self) -> float:
        """Multiply-adds per byte at which memory and arithmetic take equally long."""
        return self.byte / self.multiply_add


class Work(NamedTuple):
    """One launch."""
    name: str
    bytes: int
    multiply_adds: int


class Cost(NamedTuple):
    """Where the time of one launch goes."""
    launch: float
    memory: float
    arithmetic: float

    @property
    def seconds(self) -> float:
        return self.launch + max(self.memory, self.arithmetic)

    @property
    def limit(self) -> str:
        """The largest of the three; the first where they are equal."""
        return LIMITS[max(range(3), key=self.__getitem__)]


# NVIDIA's data sheet of the H200 (SXM): 4.8 TB/s; 989 TFLOP/s in bfloat16 without sparsity (half of the 1,979 printed), a multiply-add being two operations.
# No data sheet prices a launch: 3 µs is an assumption, the order of magnitude of NVIDIA's own "Getting started with CUDA graphs" (2019).
H200 = Prices(3e-6, 1 / 4.8e12, 2 / 989e12, 2, "H200, data sheet's prices")
# measure_prices() on 2026-11-23: processor time, one thread of an AMD EPYC, torch 2.13.0; the machine that built the notebooks, busy with other things meanwhile.
BUILDER = Prices(1.05e-6, 1 / 23e9, 2 / 99e9, 4, "one CPU core, measured prices")


def cost(work: Work, prices: Prices) -> Cost:
    """Launch, memory and arithmetic of one launch, in seconds."""
    return Cost(prices.launch, work.bytes * prices.byte, work.multiply_adds * prices.multiply_add)


def seconds(works: Sequence[Work], prices: Prices) -> dict[str, float]:
    """Where the time of several launches goes, {limit: seconds}: each adds its launch, and the larger of memory and arithmetic."""
    found = dict.fromkeys(LIMITS, 0.0)
    for work in works:
        c = cost(work, prices)
        found["launch"] += c.launch
        found["memory" if c.memory >= c.arithmetic else "arithmetic"] += max(c.memory, c.arithmetic)
    return found


def half_step_work(n_chains: int, n_visible: int, n_hidden: int, *, form: str = FORMS[0], n_steps: int = 1, number: int = 4) -> list[Work]:
    """The launches of n_steps Gibbs half-steps v -> h, in one of three FORMS.  number: bytes of one number.

    Written out, a half-step is a product, a bias, a sigmoid, uniforms and a comparison: five launches. In one launch, nothing in between goes to memory.
    In one launch for all steps, the states do not go there either (the way back, h -> v, counts like the way there).
    """
    for name, value in (("n_chains", n_chains), ("n_visible", n_visible), ("n_hidden", n_hidden), ("n_steps", n_steps), ("number", number)):
        require_count("half_step_work", name, value)
    require_choice("half_step_work", "form", form, FORMS)
    v, W, c, h = (number * n for n in (n_chains * n_visible, n_visible * n_hidden, n_hidden, n_chains * n_hidden))
    product = n_chains * n_visible * n_hidden
    if form == FORMS[2]:
        return [Work("all steps", v + W + c + h, n_steps * product)]
    if form == FORMS[1]:
        return [Work("half-step", v + W + c + h, product)] * n_steps
    return [Work("product", v + W + h, product), Work("bias", 2 * h + c, 0), Work("sigmoid", 2 * h, 0), Work("uniforms", h, 0), Work("compare", 3 * h, 0)] * n_steps


def measure_prices(*, budget: float = 2.0, clock: Callable[[], float] | None = None) -> Prices:
    """This machine's prices, on the threads that torch uses now: adding one number; copying 64 MiB; a product of 512 x 512.  Takes about `budget` seconds.

    clock: left out, processor time where one thread works and the system counts finely, which leaves out what other programs took; else time.perf_counter.
    """
    require_number("measure_prices", "budget", budget, low=0.1, high=60)
    one, out = torch.ones(1), torch.empty(1)
    source = torch.ones(COPIED)
    target = torch.empty_like(source)
    square = torch.full((SIDE, SIDE), 1 / SIDE)
    product = torch.empty_like(square)
    runs = (lambda: torch.add(one, one, out=out), lambda: target.copy_(source), lambda: torch.mm(square, square, out=product))
    launch, copied, multiplied = (_seconds(run, budget / 3, clock or _clock()) for run in runs)
    return Prices(launch, copied / (2 * 4 * COPIED), multiplied / SIDE**3, 4, "this machine, measured now")


def seconds_of(run: Callable[[], object], *, budget: float = 0.5) -> float:
    """Time of one call, in the least disturbed of several rounds that take about `budget` seconds together."""
    require_number("seconds_of", "budget", budget, low=0.01, high=60)
    return _seconds(run, budget, _clock())


def _clock() -> Callable[[], float]:
    return time.process_time if torch.get_num_threads() == 1 and os.name == "posix" else time.perf_counter


def _seconds(run: Callable[[], object], budget: float, clock: Callable[[], float], rounds: int = 10) -> float:
    run()  # warms up
    start, warm = clock(), 0
    while clock() - start < budget / (rounds + 1):  # also says how many calls make a round
        run()
        warm += 1
    found = []
    for _ in range(rounds):
        start = clock()
        for _ in range(warm):
            run()
        found.append((clock() - start) / warm)
    return min(found)
