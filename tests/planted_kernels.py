"""For the tests of Triton kernels: a kernel's file with an error planted in it, and memory that is NaN until a kernel writes it."""
import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

KERNELS = Path(__file__).resolve().parents[1] / "deepgen_lib/kernels"


def planted(file: str, right: str, wrong: str, folder: Path) -> ModuleType:
    """The module kernels/FILE.py with `right`, which must stand there, replaced by `wrong`. Its operators have names of their own."""
    text = (KERNELS / f"{file}.py").read_text()
    assert right in text, f"{file}.py has no {right!r} any more: plant the error anew"
    number = sum(name.startswith("deepgen_lib.kernels.planted") for name in sys.modules)
    copy = folder / f"planted{number}.py"
    copy.write_text(text.replace(right, wrong).replace('"deepgen::', f'"planted{number}::'))
    spec = importlib.util.spec_from_file_location(f"deepgen_lib.kernels.planted{number}", copy)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def poisoned_memory() -> Iterator[None]:
    """torch.empty gives NaN (whole numbers: -7)."""
    empty = torch.empty

    def poisoned(*size, **options):
        x = empty(*size, **options)
        return x.fill_(torch.nan if x.is_floating_point() else -7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "empty", poisoned)
        yield
