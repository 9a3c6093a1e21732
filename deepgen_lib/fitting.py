"""The one training loop: batches in a fresh order every epoch, a progress bar, checkpoints, resume.

A trainer knows what an update is (`model`, `update(batch, fraction, rng)`, `check_data`, `state`, `load_state`, `describe`); this file knows
nothing about it. A resumed run ends with the same parameters, bit for bit, as one that was never stopped.
"""
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from .validate import require_count, require_rng

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

    checkpoint: a .safetensors file, written every 1,000 updates and at the end; if it exists, the run goes on from it.
    watch(update, model) is called at updates 0, n/20, 2n/20, ..., n and its results are kept.
    """
    require_count("fit", "n_updates", n_updates)
    require_rng("fit", rng)
    trainer.check_data(data)
    require_count("fit", "batch_size", batch_size, maximum=len(data))
    done, order, history = 0, torch.empty(0, dtype=torch.int64), []
    run = {"n_updates": str(n_updates), "batch_size": str(batch_size), "examples": str(len(data))}
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        done, order = _load(path, trainer, rng, run)
    resumed_at, marks = done, {n_updates * i // 20 for i in range(21)}
    batches_per_epoch = len(data) // batch_size
    if watch is not None and done == 0:
        history.append(watch(0, trainer.model))
    quiet = os.environ.get("TQDM_DISABLE", "0") not in ("", "0")  # tqdm's notebook bar would not heed it
    for update in tqdm(range(done, n_updates), initial=done, total=n_updates, desc="updates", leave=False, disable=quiet):
        position = update % batches_per_epoch
        if position == 0 or len(order) == 0:
            order = torch.randperm(len(data), generator=rng)
        rows = order[position * batch_size:(position + 1) * batch_size]
        trainer.update(data.index_select(0, rows), update / n_updates, rng)
        done = update + 1
        if watch is not None and done in marks:
            history.append(watch(done, trainer.model))
        if path is not None and (done % CHECKPOINT_EVERY == 0 or done == n_updates):
            _save(path, trainer, rng, done, run, order)
    _require_alive(trainer.model)
    return FitResult(done, resumed_at, history)


def save_model(path: str | os.PathLike, model: nn.Module, *, notes: dict[str, str] | None = None) -> None:
    """The model's parameters as safetensors, with notes in its header; written beside and renamed, so never half."""
    _write(Path(path), {name: value.detach().contiguous() for name, value in model.state_dict().items()}, notes or {})


def load_model(path: str | os.PathLike, model: nn.Module) -> nn.Module:
    """Fill model with the parameters saved at path; wrong names or shapes are an error that says which."""
    tensors, _ = _read(Path(path))
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    saved = {name: tuple(value.shape) for name, value in tensors.items()}
    if own != saved:
        raise ValueError(f"load_model: {path} holds {saved}, expected {own}; build the model with the sizes of the file")
    model.load_state_dict(tensors)
    return model


def load_notes(path: str | os.PathLike) -> dict[str, str]:
    """What save_model noted beside the parameters: how they were made, what was measured."""
    return _read(Path(path))[1]


def _save(path: Path, trainer: Trainer, rng: torch.Generator, done: int, run: dict[str, str], order: Tensor) -> None:
    tensors = {f"model.{k}": v.detach() for k, v in trainer.model.state_dict().items()}
    tensors |= {f"trainer.{k}": v for k, v in trainer.state().items()}
    tensors |= {"rng": rng.get_state(), "order": order}
    _write(path, {k: v.contiguous() for k, v in tensors.items()}, _describe(trainer, run) | {"done": str(done)})


def _load(path: Path, trainer: Trainer, rng: torch.Generator, run: dict[str, str]) -> tuple[int, Tensor]:
    tensors, notes = _read(path)
    differs = [f"{k} was {notes.get(k)}, is {v}" for k, v in _describe(trainer, run).items() if notes.get(k) != v]
    if differs:
        raise ValueError(f"fit: {path} is a checkpoint of another run ({'; '.join(differs)}), expected the same options; use another file name, or delete it")
    trainer.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    trainer.load_state({k.removeprefix("trainer."): v for k, v in tensors.items() if k.startswith("trainer.")})
    rng.set_state(tensors["rng"])
    return int(notes["done"]), tensors["order"]


def _describe(trainer: Trainer, run: dict[str, str]) -> dict[str, str]:
    """What must be the same for a run to go on: the trainer's options, the run's and the model's shapes, as words."""
    return trainer.describe() | run | {name: str(tuple(value.shape)) for name, value in trainer.model.state_dict().items()}


def _write(path: Path, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    beside = path.with_name(path.name + ".part")
    safetensors.torch.save_file(tensors, beside, metadata=notes)
    os.replace(beside, path)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.exists():
        raise ValueError(f"load: {path} does not exist, expected a .safetensors file; check the folder and the name")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise ValueError(f"load: {path} is damaged ({error}), expected a .safetensors file; delete it and train again, or restore it: git checkout -- {path.name}") from None


def _require_alive(model: nn.Module) -> None:
    bad = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
    if bad:
        raise ValueError(f"fit: training diverged, {', '.join(bad)} not finite any more, expected finite parameters; lower the learning rate")
