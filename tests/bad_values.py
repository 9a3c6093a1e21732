"""Strategies for bad arguments: each draws (a bad value, what the complaint must mention of it).

The complaint's form is the house's: function, got, expected, cure. `test_bad_input.py` puts one such value in the place of a good one.
"""
import math

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

NO_GENERATORS = [None, 0, "seed", np.random.default_rng(0), torch.Generator, torch.zeros(2)]
NO_TENSORS = [None, 3, 0.5, "images", [[0.0, 1.0]], np.zeros((2, 3)), (1.0, 0.0)]
SMALL = st.integers(1, 4)


def of(values):
    """A value with its type's name as the thing to be mentioned."""
    return st.sampled_from(values).map(lambda value: (value, type(value).__name__))


def rng():
    return of(NO_GENERATORS)


def flag():
    """Neither True nor False; the words, which count as true, above all."""
    return st.sampled_from(["False", "True", "yes", 0, 1, None]).map(lambda value: (value, repr(value)))


def no_model():
    """Nothing with the parts of a model, a trainer or options of the course."""
    return of([None, 3, "rbm", [], torch.zeros(2), nn.Linear(2, 2)])


def count(minimum: int, maximum: int | None = None):
    """No whole number of at least minimum (and at most maximum)."""
    too_small = st.integers(minimum - 50, minimum - 1)
    odd = st.sampled_from([2.0, minimum + 0.5, True, "3", math.nan, math.inf, [2]])
    kinds = [too_small, odd] if maximum is None else [too_small, odd, st.integers(maximum + 1, maximum + 50)]
    return st.one_of(kinds).map(lambda value: (value, repr(value)))


def number(low: float = -math.inf, high: float = math.inf):
    """No finite number in [low, high]."""
    kinds = [st.sampled_from([math.nan, math.inf, -math.inf, True, "0.1", None, [0.1]])]
    if low > -math.inf:
        kinds.append(st.floats(low - 100, low, exclude_max=True, allow_subnormal=False))
    if high < math.inf:
        kinds.append(st.floats(high, high + 100, exclude_min=True, allow_subnormal=False))
    return st.one_of(kinds).map(lambda value: (value, repr(value)))


def choice(*options: str):
    """No option, though perhaps a near miss."""
    words = st.text(max_size=8).filter(lambda word: word not in options)
    misses = st.sampled_from([options[0].upper(), options[0] + " ", options[0][:-1], "", None, 3, True, list(options)])
    return st.one_of(words, misses).map(lambda value: (value, repr(value)))


@st.composite
def tensors(draw, good: Tensor, *, binary: bool = False, shapes: bool = True, dtypes: bool = True, minus_infinity: bool = False, plus_infinity: bool = False,
            any_rows: bool = False, any_columns: bool = False):
    """A good tensor spoilt: type, number type, shape, an entry that is NaN, infinite or (binary) between 0 and 1.

    The flags say what is asked of it: binary entries, the shape (with any_rows the last axis alone, with any_columns the number of axes alone), the floating type of its partners; which infinities are fine.
    """
    ways = ["type", "integers", "empty", "nan"]
    ways += ["axes"] * (shapes and not any_rows) + ["columns"] * (shapes and not any_columns) + ["precision"] * dtypes + ["grey"] * binary
    ways += ["-inf"] * (not minus_infinity) + ["inf"] * (not plus_infinity)
    way = draw(st.sampled_from(ways))
    if way == "type":
        return draw(of(NO_TENSORS))
    if way == "integers":
        dtype = draw(st.sampled_from([torch.int64, torch.bool, torch.uint8]))
        return good.nan_to_num().to(dtype), str(dtype)
    if way == "precision":
        other = torch.float32 if good.dtype == torch.float64 else torch.float64
        return good.to(other), str(other)
    if way == "empty":
        bad = good[:0]
    elif way == "axes":
        bad = draw(st.sampled_from([good[0], good[0, 0], good[..., None], good[None]] if good.ndim > 1 else [good[0], good[None]]))
    elif way == "columns":
        width, new = good.shape[-1], draw(SMALL.filter(lambda n: n != good.shape[-1])) if good.shape[-1] < 4 else good.shape[-1] + draw(SMALL)
        return good[..., :new] if new < width else torch.cat([good, *[good[..., :1]] * (new - width)], -1), str(new)
    else:
        return _spoilt(draw, good, {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "grey": draw(st.floats(0.01, 0.99) | st.floats(1.01, 300.0) | st.floats(-300.0, -0.01))}[way], way)
    return bad, str(tuple(bad.shape))


def _spoilt(draw, good: Tensor, value: float, way: str):
    bad = good.clone()
    bad.view(-1)[draw(st.integers(0, bad.numel() - 1))] = value
    return bad, {"nan": "NaN", "grey": "other than 0 and 1"}.get(way, "inf")


@st.composite
def means(draw, good: Tensor):
    """No vector of probabilities strictly inside (0, 1): also a mean of exactly 0 or 1."""
    if draw(st.booleans()):
        return draw(tensors(good, dtypes=False))
    value = draw(st.sampled_from([0.0, 1.0, -0.1, 1.5, 40.0]))
    return _spoilt(draw, good, value, "")[0], f"{value:.3g}"


@st.composite
def distributions(draw, good: Tensor, **options):
    """No rows of probabilities: also a negative entry, rows that do not sum to one."""
    if draw(st.booleans()):
        return draw(tensors(good, dtypes=False, shapes=False, **options))
    change = draw(st.floats(0.01, 3.0))
    bad = good.clone()
    row = bad.view(-1, bad.shape[-1])[draw(st.integers(0, bad.numel() // bad.shape[-1] - 1))]
    row[0] += change
    if draw(st.booleans()):  # the sum stays one, an entry becomes negative
        row[1] -= row[1] + change
        row[0] += 1 - row.sum()
    return bad, "no distribution"


def schedule():
    bad = [[0.0], [], [0.0, 0.5], [0.5, 1.0], [1.0, 0.0], [0.0, 0.7, 0.7, 1.0], [0.0, 0.8, 0.2, 1.0], [0.0, math.nan, 1.0], [0.0, math.inf, 1.0], [[0.0, 1.0]], -1.0, "fast", None]
    return st.sampled_from(bad).map(lambda value: (value, "schedule"))


def rows(good: Tensor):
    """Another number of rows than the partner has."""
    return SMALL.map(lambda n: torch.cat([good, good[:1].repeat(n, *[1] * (good.ndim - 1))])).map(lambda bad: (bad, str(len(bad))))
