"""The Triton kernels without a GPU: every file of tests/interpreted runs in Triton's interpreter, in a process of its own, because Triton
reads TRITON_INTERPRET when a kernel is decorated."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(file.stem for file in (ROOT / "tests/interpreted").glob("*.py"))

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton has no wheel for this system")


def run(file: Path) -> subprocess.CompletedProcess:
    variables = os.environ | {"TRITON_INTERPRET": "1", "DEEPGEN_KERNELS": "triton", "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    for name in [name for name in variables if name.startswith("PYTEST_XDIST")]:
        del variables[name]
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", str(file)]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("file", FILES)
def test_in_the_interpreter(file):
    ran = run(ROOT / f"tests/interpreted/{file}.py")
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert " skipped" not in ran.stdout and " passed" in ran.stdout, ran.stdout[-2000:]
