"""Several processes that train one model under torchrun: who is there, and what they share. Where there is one process nothing happens."""
from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


def n_processes() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def share_(value: Tensor) -> None:
    """Every process takes the first one's numbers."""
    if n_processes() > 1:
        whole = value.contiguous()
        distributed.broadcast(whole, 0)
        value.copy_(whole)


def share_first(model: nn.Module) -> None:
    """Every process takes the first one's parameters and buffers."""
    for value in model.state_dict().values():
        share_(value)


def add_up_(value: Tensor) -> Tensor:
    """value becomes its sum over the processes, and is returned."""
    if n_processes() > 1:
        distributed.all_reduce(value)
    return value


def average_(values: list[Tensor]) -> None:
    """Each tensor becomes its mean over the processes, all sent as one vector."""
    if n_processes() > 1 and values:
        whole = add_up_(torch.cat([value.detach().flatten() for value in values])) / n_processes()
        for value, part in zip(values, whole.split([value.numel() for value in values])):
            value.copy_(part.view_as(value))
