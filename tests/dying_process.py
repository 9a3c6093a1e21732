"""One of two processes of test_dying_process.py.

    torchrun --nproc-per-node 2 tests/dying_process.py FOLDER die         all trainings stop in update 18, the last one because process 1 is killed in a write
    torchrun --nproc-per-node 2 tests/dying_process.py FOLDER stall       process 1 does not answer
    torchrun --nproc-per-node 2 tests/dying_process.py FOLDER finish      they go on to their end, and each is trained once more without a break
"""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch

from deepgen_lib import fitting, processes
from tests import killed_training
from tests.killed_training import BATCH, EVERY, KINDS, N_UPDATES

STOP, LAST = 18, list(KINDS)[-1]


def train(kind: str, path: Path, *, stop: bool = False) -> int:
    """Where it went on from."""
    rank = processes.rank()
    trainer, data = KINDS[kind](torch.Generator().manual_seed(rank))
    share = processes.own_share(data)
    update, left = trainer.update, iter(range(STOP - 1))

    def stopping(*given) -> None:
        if stop and next(left, None) is None:
            raise KeyboardInterrupt
        update(*given)
    trainer.update = stopping
    return fitting.fit(trainer, share, n_updates=N_UPDATES, batch_size=BATCH, checkpoint=path, rng=torch.Generator().manual_seed(5 + rank)).resumed_at


def main(folder: Path, what: str) -> None:
    torch.set_num_threads(1)
    fitting.CHECKPOINT_EVERY = EVERY
    with processes.joined(seconds=5 if what == "stall" else 100):
        rank = processes.rank()
        for kind in KINDS:
            path = folder / f"{kind}.safetensors"
            if what == "finish":
                (folder / f"{kind}.{rank}.txt").write_text(str(train(kind, path)))
                train(kind, folder / f"peace_{kind}.safetensors")
            elif kind != LAST:
                try:
                    train(kind, path, stop=True)
                except KeyboardInterrupt:
                    pass
            elif rank == 0:
                train(kind, path)
            elif what == "stall":
                time.sleep(30)
            else:
                killed_training.die_in_write("half", STOP // EVERY)
                train(kind, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
