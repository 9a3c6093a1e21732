"""The Triton kernels without a GPU: every file of tests/interpreted runs in Triton's interpreter, in a process of its own, because Triton
reads TRITON_INTERPRET when a kernel is decorated."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(file for file in (ROOT / "tests/interpreted").glob("*.py") if file.name != "conftest.py")
SHARES = {"first": FILES[::2], "second": FILES[1::2]}  # two processes: each loads torch and Triton once

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton has no wheel for this system")


def run(files: list[Path]) -> subprocess.CompletedProcess:
    variables = os.environ | {"TRITON_INTERPRET": "1", "DEEPGEN_KERNELS": "triton", "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    for name in [name for name in variables if name.startswith("PYTEST_XDIST")]:
        del variables[name]
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("share", SHARES)
def test_in_the_interpreter(share):
    ran = run(SHARES[share])
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert " skipped" not in ran.stdout and " passed" in ran.stdout, ran.stdout[-2000:]


def test_a_failing_kernel_fails_the_run(tmp_path):
    """What this file says would be empty if a red file passed."""
    file = tmp_path / "red.py"
    file.write_text("import os\ndef test_red(): assert os.environ['TRITON_INTERPRET'] == 'red'\n")
    ran = run([file])
    assert ran.returncode == 1 and "assert '1' == 'red'" in ran.stdout, ran.stdout + ran.stderr
