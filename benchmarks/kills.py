"""A hundred kills: trainings of five models, shot at any moment and cut while they write a checkpoint, must lose nothing that was kept and end bit for bit where one ends that is left alone.

    python3 tools/course.py bench kills

Each model of tests/killed_training.py is trained once in peace, then again and again in processes that are killed without a warning (SIGKILL), in turn
  shot from outside at a moment drawn uniformly from the time that the peaceful one took from the start of `fit` to its end;
  shot from outside as soon as it tells that a drawn update begins;
  cut at one of two places of a write, by itself: half of the bytes are there, or all of them, not yet renamed.
A process tells each step before it begins, so that the table says what a shot hit: an update, a write, or something else (loading the file, the loop).
The next process goes on from the file that is left. After each of them
  the file must be readable (else: damaged);
  its first update must have been the one after those in the file, and the file must now hold the last checkpoint that was written to the end, or the one that was
  just being written; cut in its write number w it holds exactly the w - 1 checkpoints before (else: lost);
  and a training that came to its end is compared with the peaceful one: every tensor of the checkpoint (parameters, optimiser, chains, code statistics, singular
  vectors, running means, random state, order of the data). Then the next training begins.
Each fault is counted, and one is enough for the exit status 1. A process that ends in another way than asked stops the run.
"""
import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import safetensors
import torch
from harness import machine, publish

from tests.killed_training import EVERY, KILL, KINDS, N_UPDATES, run

PROCESSES = multiprocessing.get_context("forkserver")  # torch is loaded once
PROCESSES.set_forkserver_preload(["tests.killed_training"])
COLUMNS = ("training", "kills", "shot in an update", "shot in a write", "shot elsewhere", "cut in a write", "before the first checkpoint", "went on from updates", "trainings compared",
           "damaged files", "lost progress", "different tensors")


class Life(NamedTuple):
    """One process: did it come to its end, how long did it train, and its steps: ("update", "write" or "kept", updates made before)."""
    ended: bool
    seconds: float
    steps: list[tuple[str, int]]


def live(kind: str, path: Path, *, in_write: tuple[str, int] | None = None, kill_after: float | None = None, kill_in: int | None = None, target: Callable = run) -> Life:
    """A training in a process of its own; shot after so many seconds of training, or when so many updates are done and the next begins, if that is asked."""
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(kind, path), kwargs={"in_write": in_write, "tell": there})
    process.start()
    there.close()  # so that its end is noticed
    said, shot = [], False
    with here:
        assert here.recv() == "training"
        begun = time.monotonic()
        while True:
            left = None if kill_after is None else max(0.0, begun + kill_after - time.monotonic())
            if not shot and (kill_in is not None and said[-1:] == [("update", kill_in)] or not here.poll(left)):
                process.kill()
                shot = True
            try:
                said.append(here.recv())
            except EOFError:
                break
    seconds = time.monotonic() - begun
    process.join()
    code, ended = process.exitcode, said[-1:] == ["done"]
    process.close()
    if not ended and not (code == -KILL and (shot or in_write)):
        raise RuntimeError(f"live: {kind} ended by itself with exit status {code}, expected its last update or the kill that was asked for; see what it wrote above")
    return Life(ended, seconds, [step for step in said if step != "done"])


def lost(life: Life, before: int, done: int, write: int | None) -> str:
    """What the process or its file forgot, or nothing. before and done: updates in the file before and after; write: the number of the write it was to be cut in."""
    if life.steps and life.steps[0][1] != before:
        return f"went on from {life.steps[0][1]} with {before} in the file"
    kept = next((made for what, made in reversed(life.steps) if what == "kept"), before)
    if life.ended:
        allowed = {N_UPDATES} if write is None else set()
    else:
        allowed = {kept} | {made for what, made in life.steps[-1:] if what == "write"} if write is None else {kept} & {before + EVERY * (write - 1)}
    return "" if done in allowed else f"{done} in the file after {life.steps[-1:]} from {before}, cut in write {write}"


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


def asked_of(turn: int, before: int, seconds: float, chance: random.Random) -> dict:
    """How the next process is to be killed; not at all where its training has come to its end."""
    if before == N_UPDATES:
        return {}
    if turn == 0:
        return {"kill_after": chance.uniform(0, seconds)}
    if turn == 1:
        return {"kill_in": chance.randint(before, N_UPDATES - 1)}
    return {"in_write": (chance.choice(("half", "whole")), chance.randint(1, min(4, (N_UPDATES - before) // EVERY)))}


def trial(kind: str, folder: Path, n_kills: int, chance: random.Random, *, target: Callable = run) -> dict:
    """n_kills kills of one kind of training."""
    peace, path = folder / "peace.safetensors", folder / "killed.safetensors"
    whole = live(kind, peace)
    assert whole.ended and updates_in(peace) == N_UPDATES
    found = {"kills": 0, "update": 0, "write": 0, "elsewhere": 0, "cut": 0, "early": 0, "from": [], "compared": 0, "damaged": 0, "lost": [], "different": []}
    while found["kills"] < n_kills or path.exists() or not found["compared"]:
        before, asked = updates_in(path), {}
        if found["kills"] < n_kills:
            asked = asked_of(found["kills"] % 3, before, whole.seconds, chance)
        life = live(kind, path, target=target, **asked)
        found["from"].append(before)
        if not life.ended:
            found["kills"] += 1
            what = life.steps[-1][0] if life.steps else ""
            found["cut" if "in_write" in asked else what if what in ("update", "write") else "elsewhere"] += 1
        try:
            done = updates_in(path)
        except safetensors.SafetensorError:
            found["damaged"] += 1
            path.unlink()
            continue
        found["lost"] += filter(None, [lost(life, before, done, asked.get("in_write", (None, None))[1])])
        found["early"] += not life.ended and done == 0
        if life.ended:
            found["different"] += different(peace, path)
            found["compared"] += 1
            path.unlink()
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
    counts = ("kills", "update", "write", "elsewhere", "cut", "early", "from", "compared", "damaged", "lost", "different")
    rows = [[kind, *(len(r[name]) if name in ("lost", "different") else r[name] for name in counts)] for kind, r in results.items()]
    rows.append(["all", *(sum(column, start=[] if isinstance(column[0], list) else 0) for column in list(zip(*rows))[1:])])
    rows = [[f"{min(cell)} to {max(cell)}" if isinstance(cell, list) else cell for cell in row] for row in rows]
    wrong = [kind for kind, r in results.items() if r["damaged"] or r["lost"] or r["different"] or not r["compared"]]
    publish("kills", "Trainings killed and gone on", COLUMNS, rows, about=machine("safetensors"), raw=results | {"seed": given.seed}, notes=(
        f"Each training has {N_UPDATES} updates and a checkpoint every {EVERY}. Shot: killed from outside, at a moment drawn uniformly from the time of an undisturbed training, or as soon "
        "as a drawn update begins; elsewhere is before the first update, or after a write. Cut: killed at one of two places of a write, with half of the bytes there, or with all of them not yet renamed. "
        + (f"FAILED: {', '.join(wrong)}." if wrong else "Every file could be read after every kill and held the last checkpoint that was written to its end or was just being "
           "written; every process that came to an update went on from there; every training ended with the bits of one left alone.")))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
