"""Which values a picture can be explored over: at most three discrete controls, checked before anything is drawn."""
from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence

from .picture import Picture

MAX_CONTROLS = 3
MAX_FRAMES = 2000


def explorable(**controls: Sequence) -> Callable[[Callable[..., Picture]], Callable[..., Picture]]:
    """Say which values a pure render(**parameters) -> Picture can be explored over: `widgets.explore(render)` shows them as sliders.

    Each control is a sequence of values, or of (label, value) pairs; the first frame takes the default of the parameter where it has
    one, else the first value. Tests find every function marked so and draw all its frames.
    """
    def mark(render: Callable[..., Picture]) -> Callable[..., Picture]:
        render.controls = dict(controls)
        return render
    return mark


def control_options(render: Callable, controls: Mapping[str, Sequence]) -> dict[str, list[tuple[str, object]]]:
    """{control: [(label, value), ...]} of 1 to 3 controls that fit the parameters of render; ValueError where they do not."""
    if not callable(render):
        raise ValueError(f"explore: got {type(render).__name__}, expected a function that returns a Picture; pass it without calling it")
    if not 1 <= len(controls) <= MAX_CONTROLS:
        raise ValueError(f"explore: got {len(controls)} controls, expected 1 to {MAX_CONTROLS}; pass e.g. k=[1, 2, 5]")
    found = {}
    for name, values in controls.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise ValueError(f"explore: control {name!r} is {values!r}, expected a sequence of values, e.g. {name}=[1, 2, 5]")
        pairs = [v if isinstance(v, tuple) and len(v) == 2 and isinstance(v[0], str) else (_label(v), v) for v in values]
        if len(pairs) < 2 or len({label for label, _ in pairs}) < len(pairs):
            raise ValueError(f"explore: control {name!r} has the values {[label for label, _ in pairs]}, expected at least two, all different")
        found[name] = pairs
    frames = math.prod(map(len, found.values()))
    if frames > MAX_FRAMES:
        raise ValueError(f"explore: the controls make {frames} frames, expected at most {MAX_FRAMES}; use fewer values")
    try:
        inspect.signature(render).bind(**{name: None for name in found})
    except TypeError as error:
        raise ValueError(f"explore: {render_name(render)} does not fit the controls {', '.join(found)}: {error}; name each control like a parameter") from None
    return found


def first_values(render: Callable, options: dict, start: Mapping) -> dict[str, object]:
    """The controls' values in the first frame: what start says, else the parameter's default, else the first of the sequence."""
    if set(start) - set(options):
        raise ValueError(f"explore: start names {', '.join(sorted(set(start) - set(options)))}, expected controls among {', '.join(options)}")
    defaults = {name: p.default for name, p in inspect.signature(render).parameters.items()}
    first = {}
    for name, pairs in options.items():
        values = [value for _, value in pairs]
        if name in start and start[name] not in values:
            raise ValueError(f"explore: start has {name}={start[name]!r}, expected one of {', '.join(label for label, _ in pairs)}")
        wanted = start.get(name, defaults.get(name, inspect.Parameter.empty))
        first[name] = wanted if wanted is not inspect.Parameter.empty and wanted in values else values[0]
    return first


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def render_name(render: Callable) -> str:
    return getattr(render, "__name__", type(render).__name__)
