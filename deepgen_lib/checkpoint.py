"""Files of parameters: a model's, and a training's, from which it goes on.

They are safetensors, numbers and words without code: a foreign file can be refused, it cannot run. Each is written beside its place, brought to the disk
and then renamed, so that at every moment either the whole old file is there or the whole new one.

Of several processes one may be killed before it has written what the others already have. So each keeps the checkpoint before the last, too, and all go on from the
last that everyone has.
"""
from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from .processes import gather, n_processes

if TYPE_CHECKING:
    from .fitting import Trainer

FORMAT = "2"  # of a training's checkpoint


def save_model(path: str | os.PathLike, model: nn.Module, *, notes: dict[str, str] | None = None) -> None:
    """The model's parameters as safetensors, with notes in its header."""
    _write(Path(path), model.state_dict(), notes or {})


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


def save_run(path: Path, trainer: Trainer, run: dict[str, str], *, done: int, order: Tensor, rng: torch.Generator) -> None:
    """A training after `done` updates: model, trainer, random numbers, the order of this epoch, and in words what run it is."""
    tensors = {f"model.{name}": value for name, value in trainer.model.state_dict().items()}
    tensors |= {f"trainer.{name}": value for name, value in trainer.state().items()}
    if n_processes() > 1 and path.exists():
        os.replace(path, _before(path))
    _write(path, tensors | {"rng": rng.get_state(), "order": order}, _described(trainer, run) | {"done": str(done)})


def load_run(path: Path, trainer: Trainer, run: dict[str, str], rng: torch.Generator) -> tuple[int, Tensor]:
    """Bring trainer and rng to where the training stood; returns (updates done, order of the epoch).

    Raises ValueError for a file of another run, and for one that is no whole checkpoint.
    """
    tensors, notes = _read(path)
    differs = [f"{name} was {notes.get(name)}, is {value}" for name, value in _described(trainer, run).items() if notes.get(name) != value]
    if differs:
        raise ValueError(f"fit: {path} is a checkpoint of another run ({'; '.join(differs)}), expected the same options; use another file name, or delete it")
    try:
        done, order = int(notes["done"]), tensors["order"]
        if not 0 < done <= int(run["n_updates"]) or not torch.equal(order.sort().values, torch.arange(int(run["examples"]))):
            raise ValueError(f"{done} updates and an order of {len(order)} examples")
        trainer.model.load_state_dict({name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")})
        trainer.load_state({name.removeprefix("trainer."): value for name, value in tensors.items() if name.startswith("trainer.")})
        rng.set_state(tensors["rng"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"fit: {path} is no whole checkpoint ({type(error).__name__}: {' '.join(str(error).split())}), expected one that fit wrote; delete it and train again") from error
    return done, order


def make_folder(path: Path) -> None:
    """The folder that a checkpoint goes into, made before anything is trained for it. Raises OSError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"fit: {path.parent}, the checkpoint's folder, could not be made ({error.strerror}), "
                                   "expected a folder, or a free name in an open one; choose another place") from None


def has_run(path: Path) -> bool:
    """Whether there is a checkpoint to go on from. With several processes path is then the last that all have; ValueError where they have none in common."""
    if n_processes() == 1:
        return path.exists()
    files = [file for file in (path, _before(path)) if file.exists()]
    own = [_updates(file) for file in files] + [0] * (not _before(path).exists())  # with two files, the start is too far behind
    every = gather((own + own)[:2])
    common = set.intersection(*map(set, every))
    if not common:
        raise ValueError(f"fit: the processes have checkpoints after {', '.join(str(sorted(set(numbers))) for numbers in every)} updates, expected one that all have; "
                         f"bring back the missing files of {path.parent}, or delete all and train again")
    for file, done in zip(files, own):
        if done > max(common):
            file.unlink()
        elif done == max(common):
            os.replace(file, path)
    return max(common) > 0


def fingerprint(data: Tensor) -> str:
    """A number that other data do not have, but for chance in four thousand million: shape, type and a sum over all bytes."""
    whole = data.detach().cpu().contiguous()
    return f"{tuple(data.shape)} {data.dtype} {zlib.crc32(memoryview(whole.view(-1).view(torch.uint8).numpy())):08x}"


def _described(trainer: Trainer, run: dict[str, str]) -> dict[str, str]:
    """What must be the same for a run to go on: the form of the file, the trainer's options, the run's, and the model's shapes, as words."""
    shapes = {name: str(tuple(value.shape)) for name, value in trainer.model.state_dict().items()}
    return {"format": FORMAT} | trainer.describe() | run | shapes


def _before(path: Path) -> Path:
    return path.with_name(path.name + ".before")


def _updates(path: Path) -> int:
    """How many updates a training's checkpoint has behind it."""
    try:
        return int(_read(path)[1]["done"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"fit: {path} is no checkpoint of a training ({error}), expected one that fit wrote; delete those of all processes and train again") from error


def _write(path: Path, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    beside = path.with_name(path.name + ".part")
    content = safetensors.torch.save({name: value.detach().contiguous() for name, value in tensors.items()}, metadata=notes)
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name without its bytes
        os.replace(beside, path)
    except OSError as error:
        raise OSError(error.errno, f"save: {path} could not be written ({error.strerror}), expected an open folder with room for {len(content) / 1e6:.1f} MB; "
                                   "free some space or choose another folder, and call again: what was saved before is whole") from None
    finally:  # also when it is interrupted
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        with contextlib.suppress(OSError):  # some network disks cannot
            os.fsync(folder)
        os.close(folder)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.exists():
        raise ValueError(f"load: {path} does not exist, expected a .safetensors file; check the folder and the name")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"load: {path} is damaged ({error}), expected a .safetensors file; delete it and train again, or restore it: git checkout -- {path.name}") from None
