"""Public functions against random bad input: the form of a table, and the tests that every table gets.

A table says of each public function ("door") which arguments it accepts and how to spoil each of them (bad_values.py). The answer must be a
ValueError of one sentence that names a function, says what it got, what it expected, and what to do; nothing else may be raised, and the model
stays as it was.
"""
import importlib
import inspect
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Door(NamedTuple):
    """A public function, the good arguments it accepts, and for each argument how to spoil it."""
    function: Callable
    good: dict
    spoil: dict
    model: nn.Module | None = None  # must come out as it went in


def door_tests(doors: Callable[[], dict[str, Door]], names: set[str], *, examples: int) -> tuple[Callable, Callable]:
    """The two tests of a table: its good arguments are accepted; each argument, spoilt, is answered. names: the functions a message may name.

    The table is made afresh for every example, as a bad call may not change what the next one sees.
    """
    table = doors()

    @pytest.mark.parametrize("name", table)
    def good(name):
        table[name].function(**table[name].good)

    @pytest.mark.parametrize("name, argument", [(name, argument) for name, door in table.items() for argument in door.spoil], ids=lambda x: x)
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def spoilt(name, argument, data):
        door = doors()[name]
        refuses(door, name, argument, *data.draw(door.spoil[argument], label=argument), names)
    return good, spoilt


def refuses(door: Door, name: str, argument: str, value, mentioned: str, names: set[str]) -> None:
    """The door answers the bad value as the house asks, and leaves its model as it was; names: the functions a message may name."""
    before = None if door.model is None else [p.clone() for p in door.model.parameters()]
    try:
        door.function(**door.good | {argument: value})
    except ValueError as error:
        assert not (faults := faults_of(str(error), mentioned, names)), f"{name}({argument}={value!r}) says: {error}\n  but {faults}"
    except Exception as error:
        pytest.fail(f"{name}({argument}={value!r}) raised {type(error).__name__}: {error}")
    else:
        pytest.fail(f"{name}({argument}={value!r}) was accepted")
    if before is not None:
        assert all(torch.equal(old, new) for old, new in zip(before, door.model.parameters())), f"{name} refused, but changed the model"


def faults_of(message: str, mentioned: str, names: set[str]) -> list[str]:
    """What is missing in the message: a function's name in front, what was got (two words at least, and what must be mentioned), what was expected, what to do."""
    found = []
    function, _, rest = message.partition(":")
    if function.split(".")[0] not in names:
        found.append(f"it names no public function, but {function!r}")
    got, expected, after = rest.partition("expected")
    if mentioned not in rest or len(re.findall(r"\w+", got)) < 2:
        found.append(f"it does not say what it got: {mentioned}")
    if not expected:
        found.append("it does not say what it expected")
    elif not re.search(r"[;:,] .{8,}", after):
        found.append("it names no cure after what it expected")
    return found + (["it is longer than three lines of text"] if len(message) > 400 else [])


def public(module) -> dict[str, object]:
    """Functions and models that a module defines itself."""
    return {name: value for name, value in vars(module).items()
            if not name.startswith("_") and callable(value) and getattr(value, "__module__", "").startswith("deepgen_lib") and not (inspect.isclass(value) and (issubclass(value, tuple) or getattr(value, "_is_protocol", False)))}


def defined(modules: list[str], *, foreign: bool = False) -> set[str]:
    """Names of the public functions and models of these modules of the library; with foreign also those they import."""
    loaded = [importlib.import_module(f"deepgen_lib.{module}") for module in modules]
    return {name for module in loaded for name, value in public(module).items() if foreign or value.__module__ == module.__name__}


def require_all_tried(doors: dict[str, Door], modules: list[str], excused: dict[str, str]) -> None:
    """Every public function and model that the modules define is in the table, itself or by a method, or excused with a reason."""
    tried = {name for key, door in doors.items() for name in (key.split(".")[0].split(" ")[0], door.function.__name__)}
    own = {name for name in defined(modules) if not name.startswith("require_")}
    assert not (missing := own - tried - set(excused)), f"no bad input was tried on {sorted(missing)}"
    assert not (stale := set(excused) - own), f"excused, but gone: {sorted(stale)}"


def given_at_all(drawn) -> bool:
    """None is no mistake where an argument may be left out."""
    return drawn[0] is not None
