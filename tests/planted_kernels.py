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
GUARD = 256  # numbers before and behind every output


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
    """torch.empty gives NaN (whole numbers: -7); it and torch.zeros have guards around; on leaving, no guard may have been written."""
    taken, empty = [], torch.empty

    def poisoned(*size, dtype=None, device=None, **options):
        shape = torch.Size(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)
        like = empty(0, dtype=dtype, device=device, **options)
        whole = torch.full((shape.numel() + 2 * GUARD,), torch.nan if like.is_floating_point() else -7, dtype=like.dtype, device=device)
        taken.append((whole, shape.numel()))
        return whole[GUARD:GUARD + shape.numel()].view(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "empty", poisoned)
        patch.setattr(torch, "zeros", lambda *size, **options: poisoned(*size, **options).zero_())
        yield
    for whole, n in taken:
        for guard in (whole[:GUARD], whole[GUARD + n:]):
            assert guard.isnan().all() if guard.is_floating_point() else (guard == -7).all(), "a kernel wrote outside its output"
