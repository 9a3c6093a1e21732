"""Where an NVAE's parameters and multiply-adds are, and how far it sees: counted on the meta device, without a number being computed."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from .config import NVAEConfig
from .flows import MaskedConv
from .model import NVAE

PARTS = {  # what a parameter's name holds -> the part it belongs to, the first that fits
    ".posterior.": "posteriors", ".prior.": "priors", ".merge.": "joins of z", ".path.": "shared path", "top_down.h": "constant at the top",
    "encoder.groups.": "encoder, in the scales", "encoder.": "encoder, outside", "tail.": "generative, outside",
}


class Part(NamedTuple):
    name: str
    parameters: int
    multiply_adds: int  # of one bound of one picture: convolutions and linear layers


def network_parts(config: NVAEConfig) -> list[Part]:
    """The network in parts, largest count of parameters first.  Their sums are the whole network's."""
    _require_config("network_parts", config)
    parameters, work = dict.fromkeys(PARTS.values(), 0), dict.fromkeys(PARTS.values(), 0)
    with torch.device("meta"), torch.no_grad():
        model = NVAE(config).eval()
        for name, p in model.named_parameters():
            parameters[_part(name)] += p.numel()
        for name, module in model.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, MaskedConv)):
                module.register_forward_hook(_counter(work, _part(f"{name}.")))
        model(torch.zeros(1, config.n_channels, config.image_size, config.image_size), model.noise(1))
    return sorted((Part(name, parameters[name], work[name]) for name in parameters), key=lambda part: -part.parameters)


def encoder_fields(config: NVAEConfig) -> list[int]:
    """Side, in pixels, of the square of the picture that one place of each group's tap sees, from the top down.

    By convolutions alone; squeeze-and-excitation lets a mean over the whole map in besides.
    """
    _require_config("encoder_fields", config)
    field, step, fields = 3, 1, []  # after the stem; step: pixels from one place to the next
    for _ in range(config.n_down):
        field += 4 * step * (config.outer_cells - 1)
        field, step = field + 2 * step + 4 * step, 2 * step  # 3x3 at the old step, 3x3 at the new one
    for position, n in enumerate(reversed(config.groups)):
        for group in range(n):
            if position and group == 0:
                field, step = field + 2 * step + 4 * step, 2 * step
            field += 4 * step * config.cells
            fields.append(field)
    return fields[::-1]


def generative_fields(config: NVAEConfig) -> list[int]:
    """Side, in pixels, of the square of the picture that one place of each group's z reaches, the groups below held fixed; from the top down."""
    _require_config("generative_fields", config)
    step = 2 ** (config.n_down + len(config.groups) - 1)
    reach = [4 * step * config.cells for _ in range(config.groups[0] - 1)]  # added by the path to each group after the first
    starts = [step] * config.groups[0]
    for n in config.groups[1:]:
        step //= 2
        reach += [4 * step * (config.cells + 1)] + [4 * step * config.cells] * (n - 1)
        starts += [step] * n
    tail = 2 + sum(4 * step // 2 ** (level + 1) * config.outer_cells for level in range(config.n_down))
    return [start + sum(reach[level:]) + tail for level, start in enumerate(starts)]


def _part(name: str) -> str:
    return next(part for piece, part in PARTS.items() if piece in name)


def _counter(work: dict[str, int], part: str):
    def count(module: nn.Module, given, out) -> None:
        work[part] += out.numel() * module.weight[0].numel()
    return count


def _require_config(where: str, config: NVAEConfig) -> None:
    if not isinstance(config, NVAEConfig):
        raise ValueError(f"{where}: config is {type(config).__name__}, expected an NVAEConfig; pass NVAEConfig(), or a row of NVAE_TABLE")
