"""One check per exercise: it accepts any right answer and names the misconception behind a wrong one.

`checks.NAME(answer)` runs the check called NAME, whichever chapter's file holds it; `hint` and `start_over` are here too.
A chapter's exercises stand in its own file of this package, written as engine.py explains.
"""
import importlib
import pkgutil

from .aid import hint, start_over
from .engine import Exercise, Misconception, Part, find, register, registered
from .graded import graded
from .small import small_case

_MACHINERY = ("aid", "compare", "engine", "examine", "graded", "part", "show", "small", "wording")

__all__ = ["Exercise", "Misconception", "Part", "chapters", "find", "graded", "hint", "register", "registered", "small_case", "start_over"]


def chapters() -> list[str]:
    """The names of the files of this package that hold a chapter's exercises."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _MACHINERY)


def __getattr__(name: str):
    if not name.startswith("_"):
        if name in chapters():
            return importlib.import_module(f".{name}", __name__)
        for exercise in registered():
            if exercise.name == name:
                return exercise
    raise AttributeError(f"checks has no {name!r}; it has the checks {', '.join(e.name for e in registered()) or 'of no chapter yet'}")


def __dir__() -> list[str]:
    return sorted([*__all__, *chapters(), *(exercise.name for exercise in registered())])
