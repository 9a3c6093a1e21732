"""Start a script under torchrun, as the tests of several processes do."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "USE_LIBUV": "0", "TQDM_DISABLE": "1"}  # PyTorch for Windows is built without libuv


def torchrun(script: str | Path, *words: str | Path, processes: int, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """It ended, well or not; words: what the script is given."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "localhost", "--nproc_per_node", str(processes), *options, str(script), *map(str, words)]
    return subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=400)


def finished(folder: Path, script: str | Path, *, processes: int) -> Path:
    """The folder, in which the script's processes put what they ended with."""
    ran = torchrun(script, folder, processes=processes)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder
