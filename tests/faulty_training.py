"""Trainings of killed_training.py with a planted fault, each a process of its own, to see that benchmarks/kills.py finds it."""
import os
import signal

import deepgen_lib.checkpoint as checkpoints
from deepgen_lib import fitting
from tests import killed_training


def forgetful(*given, **named) -> None:
    """Begins again, whatever the file holds."""
    fitting.has_run = lambda path: False
    killed_training.run(*given, **named)


def careless(*given, **named) -> None:
    """Takes the old file away before the new one is there."""
    write = checkpoints._write
    checkpoints._write = lambda path, *content: (path.unlink(missing_ok=True), write(path, *content))
    killed_training.run(*given, **named)


def rare(*given, **named) -> None:
    """Leaves out every second checkpoint."""
    save = fitting.save_run
    fitting.save_run = lambda *content, done, **others: None if done % 4 == 0 else save(*content, done=done, **others)
    killed_training.run(*given, **named)


def aborted(kind, path, *, in_write, tell) -> None:
    """Dies by a signal of its own."""
    tell.send("training")
    os.kill(os.getpid(), signal.SIGABRT)


def shot_by_another(kind, path, *, in_write, tell) -> None:
    tell.send("training")
    os.kill(os.getpid(), signal.SIGKILL)
