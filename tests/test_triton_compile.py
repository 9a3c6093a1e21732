"""Every Triton kernel compiles, without a GPU, for compute capability 9.0 (H100, H200) and 7.5 (T4): machine code, not just Python.

A kernel must be decorated for compiling, so a process with TRITON_INTERPRET=1 would test nothing; then these tests fail.
"""
import importlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton has no wheel for this system", allow_module_level=True)
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

MATRIX = dict(BM=16, BN=32, BK=32)  # small tiles compile in a second; real ones differ in how often the same instructions stand there
DOT = {90: dict(PRECISION="tf32x3", AS_FLOAT=False), 75: dict(PRECISION="ieee", AS_FLOAT=True)}


class Kernel(NamedTuple):
    file: str
    name: str
    types: str        # of the arguments that are no constants, in their order; * marks a pointer
    constants: dict   # by name; DOT's are added where the kernel has them


KERNELS = [
    Kernel("triton_gibbs", "half_step_kernel", "*fp32 *fp32 *fp32 *i64 *fp32 i32 i32 i32 i32 i32 i32 i32 i32 i32", dict(MATRIX, STREAM=0, p_ptr=None)),
    Kernel("triton_gibbs", "half_step_kernel", "*u8 *bf16 *fp32 *i64 *u8 *fp32 i32 i32 i32 i32 i32 i32 i32 i32 i32", dict(MATRIX, STREAM=0)),
    Kernel("triton_sweeps", "sweeps_kernel", "*u8 *u8 *fp32 *fp32 *fp32 *fp32 *i64 i32 i32 i32 i32 i32 i32 i64", dict(MATRIX, UP=0, DOWN=1)),
    Kernel("triton_cd_update", "bias_kernel", "*fp32 *fp32 *fp32 *fp32 *fp32 *fp32 i32 i32 i32 i32 i32 fp32 fp32 fp32 fp32", dict(FOLLOW=True, MOVE=True, BM=16, BK=32)),
    Kernel("triton_cd_update", "weight_kernel", "*fp32 *fp32 *fp32 *fp32 *u8 *fp32 *fp32 *fp32 *fp32 i32 i32 i32 i32 i32 i32 i32 i32 fp32 fp32", dict(MATRIX, CENTRED=True)),
    Kernel("triton_cd_update", "offset_kernel", "*fp32 *fp32 *fp32 *fp32 i32 i32 i32 i32", dict(BM=16, BK=32)),
    Kernel("triton_anneal", "anneal_kernel", "*u8 *u8 *fp64 *fp32 *fp32 *fp32 *fp32 *fp64 *i64 i32 i32 i32 i32 i32 i32 i64", dict(MATRIX, UP=0, DOWN=1)),
    Kernel("triton_softplus", "forward_kernel", "*fp32 *fp32 i32 i32 i32", dict(ROWS=4, COLUMNS=128)),
    Kernel("triton_softplus", "backward_kernel", "*bf16 *bf16 *bf16 i32 i32 i32", dict(ROWS=4, COLUMNS=128)),
    Kernel("triton_residual_normal", "forward_kernel", "*fp32 *fp32 *fp32 *fp32 *i64 *fp32 *fp32 i32", dict(STREAM=3, BLOCK=512)),
    Kernel("triton_residual_normal", "backward_kernel", "*bf16 *bf16 *bf16 *i64 *bf16 *fp32 *bf16 *bf16 *bf16 i32", dict(STREAM=3, BLOCK=512)),
    Kernel("triton_nearest_code", "search_kernel", "*fp32 *fp32 *fp32 *fp32 *fp32 *i64 *i64 *i32 i32 i32 i32 i32 fp32", dict(MATRIX, CENTRED=True, WHOLE=True)),
    Kernel("triton_nearest_code", "search_kernel", "*bf16 *bf16 *bf16 *fp32 *fp32 *i64 *i64 *i32 i32 i32 i32 i32 fp32", dict(MATRIX, CENTRED=False, WHOLE=False)),
    Kernel("triton_nearest_code", "settle_kernel", "*fp32 *fp32 *i64 *i64 *i32 i32 i32 i32", dict(ROWS=4, BN=32, BK=16)),
    Kernel("triton_code_totals", "totals_kernel", "*fp32 *i64 *fp64 *i32 *i64 i32 i32 i32", dict(ROWS=32, COLUMNS=64)),
]


def compiled(kernel: Kernel, capability: int):
    function = getattr(importlib.import_module(f"deepgen_lib.kernels.{kernel.file}"), kernel.name)
    names = function.arg_names
    constants = kernel.constants | {name: value for name, value in DOT[capability].items() if name in names}
    open_names = [name for name in names if name not in constants]
    types = kernel.types.split()
    assert len(open_names) == len(types), f"{kernel.name}: {len(types)} types for {open_names}"
    signature = {name: "constexpr" if name in constants else types[open_names.index(name)] for name in names}
    source = ASTSource(function, signature, {(names.index(name),): value for name, value in constants.items()})
    return triton.compile(source, target=GPUTarget("cuda", capability, 32))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing compiled earlier answers for the compiler."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("capability", [90, 75])
@pytest.mark.parametrize("kernel", KERNELS, ids=[f"{kernel.name}-{number}" for number, kernel in enumerate(KERNELS)])
def test_compiles(kernel, capability):
    binary = compiled(kernel, capability)
    assert len(binary.asm["cubin"]) > 1000 and f".target sm_{capability}" in binary.asm["ptx"]


def test_every_kernel_is_in_the_list():
    """A file triton_*.py whose kernel is missing above would pass unseen."""
    files = (Path(__file__).resolve().parents[1] / "deepgen_lib/kernels").glob("triton_*.py")
    written = {(file.stem, line.split("(")[0].removeprefix("def ")) for file in files for line in file.read_text().splitlines()
               if line.startswith("def ") and line.split("(")[0].endswith("_kernel")}
    assert written - {(kernel.file, kernel.name) for kernel in KERNELS} == set()
