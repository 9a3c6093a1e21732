"""Jobs for the processes of a pool, good and bad. Nothing heavy is imported, so that they start quickly."""
import os
import signal
import sys
import time
from pathlib import Path


def double(x: int) -> int:
    return 2 * x


def together(folder: str) -> bool:
    """Whether another job is at work at the same time: each leaves a file and waits for the other's."""
    path = Path(folder)
    (path / str(os.getpid())).touch()
    for _ in range(600):
        if len(list(path.iterdir())) > 1:
            return True
        time.sleep(0.1)
    return False


def behave(how: str):
    """One bad job among good ones."""
    if how == "raise":
        raise RuntimeError("planted")
    if how == "exit":
        sys.exit(3)
    if how == "vanish":
        os._exit(0)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "sleep":
        time.sleep(600)
    if how.startswith("once "):  # dies the first time alone
        marker = Path(how.removeprefix("once "))
        if not marker.exists():
            marker.touch()
            os._exit(1)
    return f"{how} done"
