"""A hundred kills: trainings of five models, shot at any moment and while they write a checkpoint, must end bit for bit where one ends that is left alone.

    python3 tools/course.py bench kills

Each model of tests/killed_training.py is trained once in peace, then again and again in processes that are killed without a warning (SIGKILL): two of three at a
moment drawn uniformly from the training, the third while it writes, with half of the bytes there or with all of them not yet renamed. The next process
goes on from the file that is left. A training that comes to its end is compared with the peaceful one: every tensor of the checkpoint (parameters,
optimiser, chains, code statistics, singular vectors, running means, random state, order of the data), and the next training begins. A checkpoint that cannot be
read after a kill, or a number that differs, is counted, and the run fails.
"""
import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import safetensors
import torch
from harness import machine, publish

from tests.killed_training import EVERY, KINDS, N_UPDATES, run

PAUSE = 0.04  # seconds before every update
PROCESSES = multiprocessing.get_context("forkserver")  # torch is loaded once
PROCESSES.set_forkserver_preload(["tests.killed_training"])
COLUMNS = ("training", "kills", "in a write", "before the first checkpoint", "went on from updates", "trainings compared", "damaged files", "different tensors")


class Life(NamedTuple):
    """One process: did it come to its end, how long did it train, how many updates are in its file."""
    ended: bool
    seconds: float
    done: int


def live(kind: str, path: Path, *, in_write: tuple[str, int] | None = None, kill_after: float | None = None) -> Life:
    """A training in a process of its own; killed after so many seconds of training, if that is asked."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=run, args=(kind, path), kwargs={"pause": PAUSE, "in_write": in_write, "tell": there})
    process.start()
    there.close()  # so that its end is noticed
    with here:
        assert here.recv() == "training"
        begun = time.monotonic()
        if kill_after is not None and not here.poll(kill_after):
            process.kill()
        try:
            ended = here.recv() == "done"
        except EOFError:
            ended = False
    process.join()
    code, seconds = process.exitcode, time.monotonic() - begun
    process.close()
    assert ended or code < 0, f"{kind} failed by itself with exit status {code}"
    return Life(ended, seconds, updates_in(path))


def updates_in(path: Path) -> int:
    """How far the checkpoint is; raises where it is there and cannot be read."""
    if not path.exists():
        return 0
    with safetensors.safe_open(path, framework="pt") as file:
        for name in file.keys():
            file.get_tensor(name)
        return int(file.metadata()["done"])


def different(a: Path, b: Path) -> list[str]:
    """Names of the tensors and notes that are not the same in both checkpoints."""
    with safetensors.safe_open(a, framework="pt") as x, safetensors.safe_open(b, framework="pt") as y:
        names, notes = set(x.keys()) | set(y.keys()), x.metadata() | y.metadata()
        odd = [name for name in names if name not in x.keys() or name not in y.keys() or not torch.equal(x.get_tensor(name), y.get_tensor(name))]
        return sorted(odd) + [name for name in notes if x.metadata().get(name) != y.metadata().get(name)]


def trial(kind: str, folder: Path, n_kills: int, chance: random.Random) -> dict:
    """n_kills kills of one kind of training."""
    peace, path = folder / "peace.safetensors", folder / "killed.safetensors"
    whole = live(kind, peace)
    assert whole.ended and whole.done == N_UPDATES
    found = {"kills": 0, "in a write": 0, "early": 0, "from": [], "compared": 0, "damaged": 0, "different": []}
    while found["kills"] < n_kills or path.exists() or not found["compared"]:
        more, writing = found["kills"] < n_kills, found["kills"] % 3 == 2
        before = updates_in(path)
        left = max(1, (N_UPDATES - before) // EVERY)  # writes
        try:
            if not more:
                life = live(kind, path)
            elif writing:
                life = live(kind, path, in_write=(chance.choice(("half", "whole")), chance.randint(1, min(4, left))))
            else:
                life = live(kind, path, kill_after=chance.uniform(0, whole.seconds * 0.7))
        except safetensors.SafetensorError:
            found["damaged"] += 1
            path.unlink()
            continue
        found["from"].append(before)
        if life.ended:
            found["different"] += different(peace, path)
            found["compared"] += 1
            path.unlink()
        else:
            found["kills"] += 1
            found["in a write"] += writing
            found["early"] += life.done == 0
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20, help="of each training")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    results = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            results[kind] = trial(kind, Path(folder), given.kills, random.Random(f"{given.seed} {kind}"))
        print(kind, results[kind], flush=True)
    rows = [(kind, r["kills"], r["in a write"], r["early"], f"{min(r['from'])} to {max(r['from'])}", r["compared"], r["damaged"], len(r["different"])) for kind, r in results.items()]
    rows.append(("all", *(sum(row[i] for row in rows) for i in (1, 2, 3)), "", *(sum(row[i] for row in rows) for i in (5, 6, 7))))
    wrong = [kind for kind, r in results.items() if r["damaged"] or r["different"] or not r["compared"]]
    publish("kills", "Trainings killed and gone on", COLUMNS, rows, about=machine("safetensors"), raw=results | {"seed": given.seed}, notes=(
        f"Each training has {N_UPDATES} updates and a checkpoint every {EVERY}. "
        + (f"FAILED: {', '.join(wrong)}." if wrong else "Nothing was lost: every file could be read after every kill, and every training ended with the bits of one left alone.")))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
