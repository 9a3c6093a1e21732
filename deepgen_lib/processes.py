"""Several processes that train one model under torchrun: who is there, what they share, how they end when one is lost. Where there is one, nothing happens.

    with joined():                                                        torchrun --nproc-per-node 4 program.py
        fit(trainer, own_share(data), ..., checkpoint="run.safetensors")

Nothing else in the library asks torch.distributed.
"""
from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

GRACE = 2.0  # seconds in which those that are left say so


class ProcessLost(RuntimeError):
    """The others do not answer, or this process was told to stop."""


def n_processes() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return distributed.get_rank() if n_processes() > 1 else 0


def own_file(path: Path) -> Path:
    """The file of this process: run.safetensors, or run.2-of-4.safetensors."""
    return path if n_processes() == 1 else path.with_name(f"{path.stem}.{rank() + 1}-of-{n_processes()}{path.suffix}")


def own_share(data: Tensor) -> Tensor:
    """Every n-th example from this process's number on; what cannot be shared out equally is left out.  (N, ...) -> (N // n, ...)."""
    return data[rank()::n_processes()][:len(data) // n_processes()]


def gather(numbers: list[int]) -> list[list[int]]:
    """Everybody's numbers, process by process; as many on each."""
    if n_processes() == 1:
        return [numbers]
    where = "cpu" if "cpu:" in str(distributed.get_backend_config()) else "cuda"
    own = torch.tensor(numbers, dtype=torch.int64, device=where)
    every = [torch.empty_like(own) for _ in range(n_processes())]
    _exchange(distributed.all_gather, every, own)
    return [part.tolist() for part in every]


def agree(where: str, *, cure: str, **numbers: int) -> None:
    """ValueError on every process where these numbers are not the same on all."""
    if n_processes() == 1:
        return
    place = zlib.crc32(repr((where, *numbers)).encode())
    every = gather([place, *numbers.values(), *[0] * (6 - len(numbers))])  # always seven, so that processes in different places meet here
    if any(others[0] != place for others in every):
        raise ValueError(f"{where}: process {rank()} is here, another is elsewhere in the program, expected all at the same place; give each the same options and as many batches")
    for at, name in enumerate(numbers, start=1):
        values = [others[at] for others in every]
        if len(set(values)) > 1:
            raise ValueError(f"{where}: {name} on processes 0 to {n_processes() - 1}: {', '.join(map(str, values))}, expected the same on all; {cure}")


def share_(value: Tensor) -> None:
    """Every process takes the first one's numbers."""
    if n_processes() > 1:
        whole = value.contiguous()
        _exchange(distributed.broadcast, whole, 0)
        value.copy_(whole)


def share_first(model: nn.Module) -> None:
    """Every process takes the first one's parameters and buffers; ValueError where the models are of different form."""
    if n_processes() > 1:
        values = list(model.state_dict().values())
        agree("share_first", cure="build the same model everywhere", **_sizes(values))
        for value in values:
            share_(value)


def add_up_(value: Tensor) -> Tensor:
    """value becomes its sum over the processes, and is returned."""
    if n_processes() > 1:
        _exchange(distributed.all_reduce, value)
    return value


def average_(values: list[Tensor], *, rows: int = 0) -> None:
    """Each tensor becomes its mean over the processes, all sent as one vector; rows: how many examples each is a mean of, the same on all (ValueError)."""
    if n_processes() > 1 and values:
        agree("average_", cure="give every process batches of the same size, and the same model", rows=rows, **_sizes(values))
        whole = add_up_(torch.cat([value.detach().flatten() for value in values])) / n_processes()
        for value, part in zip(values, whole.split([value.numel() for value in values])):
            value.copy_(part.view_as(value))


@contextmanager
def joined(*, seconds: float = 300.0) -> Iterator[None]:
    """In this block torchrun's processes are one job: NCCL between GPUs (one for each process, else ValueError), gloo between CPUs. Without torchrun, or with one
    process, nothing happens.

    seconds: how long an exchange waits for a process that does not answer. When one is lost the others end here, with exit status 1; one of them says who is
    missing and what to do.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    patience, cuda = timedelta(seconds=seconds), _took_a_gpu()
    store, own, size = next(distributed.rendezvous("env://", timeout=patience))
    store = distributed.PrefixStore(_word(store, own, size, seconds), store)
    store.set(f"host {own}", socket.gethostname())
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", store=distributed.PrefixStore("exchange", store), rank=own, world_size=size, timeout=patience)
    before = signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        yield
    except ProcessLost:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends one to those that are left
        print(_farewell(store, own, size, seconds), end="", file=sys.stderr, flush=True)  # at once: taking NCCL down may need to be killed
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        distributed.destroy_process_group()


def _took_a_gpu() -> bool:
    """Whether there are GPUs with NCCL; this process's own is then chosen. ValueError where the others leave it none."""
    if not (torch.cuda.is_available() and distributed.is_nccl_available()):
        return False
    own, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if own >= there:
        raise ValueError(f"joined: more processes than GPUs on this machine ({there}), expected a GPU for each; start {there} (--nproc-per-node), or compute on the processors: CUDA_VISIBLE_DEVICES=")
    torch.cuda.set_device(own)
    return True


def _exchange(collective: Callable, *given: object) -> None:
    try:
        collective(*given)
    except RuntimeError as error:
        raise ProcessLost(f"processes: an exchange failed ({str(error)[:200]}), expected every process to take part; start the job again") from error


def _told_to_stop(*_: object) -> None:
    raise ProcessLost("processes: told to stop (SIGTERM), expected to go on; start the job again")


def _word(store: distributed.Store, own: int, size: int, seconds: float) -> str:
    """A word that this start of the job alone has, the same on all processes: after a restart the store still holds what those before wrote."""
    store.set(f"token {own}", os.urandom(8).hex())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        word = hashlib.sha256(b" ".join(store.get(f"token {number}") for number in range(size))).hexdigest()
        store.set(f"word {own}", word)
        if all(store.get(f"word {number}").decode() == word for number in range(size)):  # everyone has seen everyone's new token
            return word
        time.sleep(0.02)
    raise SystemExit(f"joined: process {own} met not all {size} processes within {seconds:g} s, expected all to start; look for one that failed, and start the same command again")


def _farewell(store: distributed.Store, own: int, size: int, seconds: float) -> str:
    """What the first of those that are left says; the others say nothing."""
    try:
        store.set(f"left {own}", "")
        time.sleep(GRACE)
        left = [number for number in range(size) if store.check([f"left {number}"])]
        lost = [f"process {number} on {store.get(f'host {number}').decode()}" for number in range(size) if number not in left]
    except RuntimeError:
        left, lost = [own], ["the process or node that kept the list of processes"]
    if own != left[0]:
        return ""
    what = f"of {size} processes, numbered from 0, this one was lost: {', '.join(lost)} (it ended, or gave no answer for {seconds:g} s)" if lost else f"all {size} processes were told to stop"
    return f"joined: {what}, expected all of them until the end; start the same command again: training goes on from the last checkpoint that every process has\n"


def _sizes(values: list[Tensor]) -> dict[str, int]:
    forms = repr([(tuple(value.shape), value.dtype) for value in values])
    return {"tensors": len(values), "elements": sum(value.numel() for value in values), "checksum of their shapes and types": zlib.crc32(forms.encode())}
