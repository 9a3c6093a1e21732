"""The one training loop: batches in a fresh order every epoch, a progress bar, checkpoints, resume.

A trainer knows what an update is (`model`, `update(batch, fraction, rng)`, `check_data`, `state`, `load_state`, `describe`); this file knows
nothing about it. A resumed run ends with the same parameters, bit for bit, as one that was never stopped.

Under torchrun (processes.py) every process calls fit with its own share of the data, of equal size, with a seed of its own and the same file name, to which fit
adds the process's number.
"""
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .checkpoint import fingerprint, has_run, load_run, make_folder, save_run
from .processes import agree, n_processes, own_file, rank
from .validate import require_count, require_model, require_rng

CHECKPOINT_EVERY = 1000  # updates


class Trainer(Protocol):
    model: nn.Module

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None: ...
    def check_data(self, data: Tensor) -> None: ...
    def state(self) -> dict[str, Tensor]: ...
    def load_state(self, state: dict[str, Tensor]) -> None: ...
    def describe(self) -> dict[str, str]: ...


class FitResult(NamedTuple):
    n_updates: int            # done in all, those before a resume included
    resumed_at: int           # 0 for a run from the start
    history: list             # what `watch` returned, one entry a call


def fit(trainer: Trainer, data: Tensor, *, n_updates: int, batch_size: int = 100, checkpoint: str | os.PathLike | None = None,
        watch: Callable[[int, nn.Module], object] | None = None, rng: torch.Generator) -> FitResult:
    """n_updates of the trainer on batches of data (N, ...); the last, smaller batch of an epoch is dropped.

    checkpoint: a .safetensors file, written every 1,000 updates and at the end; if it exists, the run goes on from it. A file of other options, another model
    or other data is refused, and so is a damaged one (ValueError). Its folder is made first (OSError where it cannot be).
    watch(update, model) is called at updates 0, n/20, 2n/20, ..., n and its results are kept.
    """
    require_model("fit", "trainer", trainer, "trainer")
    require_count("fit", "n_updates", n_updates)
    require_rng("fit", rng)
    trainer.check_data(data)
    require_count("fit", "batch_size", batch_size, maximum=len(data))
    done, order, history = 0, torch.empty(0, dtype=torch.int64), []
    path = None if checkpoint is None else own_file(Path(checkpoint))
    run = {"n_updates": str(n_updates), "batch_size": str(batch_size), "examples": str(len(data))}
    _agree(trainer, run, path)
    if path is not None:
        make_folder(path)
        run["data"] = fingerprint(data)
        if has_run(path):
            done, order = load_run(path, trainer, run, rng)
    resumed_at, marks = done, {n_updates * i // 20 for i in range(21)}
    batches_per_epoch = len(data) // batch_size
    if watch is not None and done == 0:
        history.append(watch(0, trainer.model))
    quiet = os.environ.get("TQDM_DISABLE", "0") not in ("", "0")  # tqdm's notebook bar would not heed it
    for update in tqdm(range(done, n_updates), initial=done, total=n_updates, desc="updates", leave=False, disable=quiet or rank() > 0):
        position = update % batches_per_epoch
        if position == 0 or len(order) == 0:
            order = torch.randperm(len(data), generator=rng)
        rows = order[position * batch_size:(position + 1) * batch_size]
        trainer.update(data.index_select(0, rows), update / n_updates, rng)
        done = update + 1
        if watch is not None and done in marks:
            history.append(watch(done, trainer.model))
        if path is not None and (done % CHECKPOINT_EVERY == 0 or done == n_updates):
            save_run(path, trainer, run, done=done, order=order, rng=rng)
    _require_alive(trainer.model)
    return FitResult(done, resumed_at, history)


def _agree(trainer: Trainer, run: dict[str, str], path: Path | None) -> None:
    """ValueError where other processes were called with something else."""
    if n_processes() > 1:
        agree("fit", cure="cut the data into shares of equal size, and give every process the same options", **{name: int(value) for name, value in run.items()},
              options=zlib.crc32(repr(trainer.describe()).encode()), checkpoints=path is not None)


def _require_alive(model: nn.Module) -> None:
    bad = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
    if bad:
        raise ValueError(f"fit: training diverged, {', '.join(bad)} not finite any more, expected finite parameters; lower the learning rate")
