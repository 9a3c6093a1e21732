"""Where a kernel runs: the environment variable DEEPGEN_KERNELS, read at every call.

    auto    (also when unset) Triton for tensors on an NVIDIA GPU where Triton can be imported, plain PyTorch for all others
    torch   plain PyTorch everywhere
    triton  Triton or an error that says what is missing; on the CPU it needs Triton's interpreter, TRITON_INTERPRET=1

Float64 is for exact checks and runs in plain PyTorch whatever the choice: no kernel takes it.

Only this file asks. Triton itself is imported by the files triton_*.py alone, and those only once `use_triton` has said yes.
"""
import functools
import importlib.util
import os
from collections.abc import Collection

import torch
from torch import Tensor

CHOICES = ("auto", "torch", "triton")
CAPABILITY = (7, 5)  # the oldest GPU the kernels are compiled for in the tests


def use_triton(where: str, *tensors: Tensor, dtypes: Collection[torch.dtype] = (torch.float32,)) -> bool:
    """Whether `where`, called with these tensors, runs its Triton kernel; dtypes are those the kernel takes.

    Raises ValueError for an unknown DEEPGEN_KERNELS, RuntimeError where it is "triton" and something is missing.
    """
    choice = os.environ.get("DEEPGEN_KERNELS") or "auto"
    if choice == "torch" or (choice == "auto" and not any(x.is_cuda for x in tensors)):
        return False
    if choice not in CHOICES:
        raise ValueError(f"{where}: DEEPGEN_KERNELS is {choice!r}, expected one of {', '.join(CHOICES)}; unset it for auto")
    if any(x.dtype == torch.float64 for x in tensors):
        return False
    problem = _missing(tensors, dtypes)
    if problem and choice == "triton":
        raise RuntimeError(f"{where}: DEEPGEN_KERNELS is 'triton', but {problem}; or set DEEPGEN_KERNELS=auto")
    return not problem


@functools.cache
def triton_is_importable() -> bool:
    return importlib.util.find_spec("triton") is not None


def interpreting() -> bool:
    """TRITON_INTERPRET=1: kernels run on the CPU, one operation after another. Triton reads it when a kernel's file is imported."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _missing(tensors: Collection[Tensor], dtypes: Collection[torch.dtype]) -> str:
    """What keeps the kernel from running on these tensors, with its cure; "" if nothing does."""
    if not triton_is_importable():
        return "Triton cannot be imported here; on Linux: pip install triton"
    if not interpreting():
        if not torch.cuda.is_available():
            return "there is no NVIDIA GPU; set TRITON_INTERPRET=1 before Python starts to run kernels in Triton's interpreter"
        if not all(x.is_cuda for x in tensors):
            return "a tensor is on the CPU; move it to the GPU, or set TRITON_INTERPRET=1 before Python starts"
        found = min(map(torch.cuda.get_device_capability, {x.device for x in tensors}))
        if found < CAPABILITY:
            return f"this GPU has compute capability {'.'.join(map(str, found))}, expected at least {'.'.join(map(str, CAPABILITY))}; DEEPGEN_KERNELS=torch runs on it"
    odd = [x.dtype for x in tensors if x.dtype not in dtypes]
    if odd:
        return f"its kernel has no {odd[0]}, expected {' or '.join(map(str, dtypes))}; convert the tensors"
    return ""
