"""Right answers of chapter 11, written in other ways than the checks' own."""
import math

import torch
from torch import nn

from deepgen_lib import NVAEConfig
from deepgen_lib.nvae import EncoderCell, GenerativeCell, encoder_cell_parameters, generative_cell_parameters


def latents_by_config(groups, image_size, n_down, n_latent):
    return [math.prod(shape) for shape in NVAEConfig(groups=groups, image_size=image_size, n_down=n_down, n_latent=n_latent).latent_shapes]


def latents_from_the_top(groups, image_size, n_down, n_latent):
    halvings, side = n_down + len(groups) - 1, image_size
    while side % 2**halvings:
        side += 1
    side //= 2**halvings
    found = []
    for n in groups:
        found += [n_latent * side * side] * n
        side *= 2
    return torch.tensor(found)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def cell_by_building(C, E):
    return count(GenerativeCell(C, expansion=E))


def encoder_by_building(C):
    return count(EncoderCell(C))


def cell_by_formula(C, E):
    return generative_cell_parameters(C, E)


def encoder_by_formula(C):
    return encoder_cell_parameters(C)


MOVES = ("tap 1", "posterior 1", "path 2, z drawn", "prior 2, z drawn", "posterior 2, z held", "posterior 2, z drawn")
TABLE = dict.fromkeys(("h", "path 1", "path 2, z held", "prior 2, z held"), "stays") | dict.fromkeys(MOVES, "moves")


def moves_by_loop(walk, x, other):
    a, b, found = walk(x), walk(other), {}
    for name, value in a.items():
        found[name] = "moves" if (value != b[name]).any() else "stays"
    return found


def moves_by_difference(walk, x, other):
    b = walk(other)
    return {name: "stays" if float((value - b[name]).abs().max()) == 0 else "moves" for name, value in walk(x).items()}


def relation_by_pointers(program):
    one, other = program.one, program.other
    if id(one) == id(other):
        return "shared"
    if one.weight is other.weight:
        return "tied"
    return "copies" if (one.weight == other.weight).all() else "strangers"


def relation_by_training(program):
    def difference():
        return sum(float((a - b).detach().abs().sum()) for a, b in zip(program.one.parameters(), program.other.parameters()))
    start = difference()
    program.update()
    if start:
        return "strangers"
    return "copies" if difference() else "shared" if program.one is program.other else "tied"


def sight_from_above(layers):
    side = 1
    for kernel, stride in reversed(layers):
        side = (side - 1) * stride + kernel
    return side


def sight_by_sum(layers):
    return 1 + sum((kernel - 1) * math.prod(stride for _, stride in layers[:i]) for i, (kernel, _) in enumerate(layers))


def power_by_gram(W, v, n_steps):
    gram = W.T @ W
    for _ in range(n_steps):
        v = gram @ v
        v = v / v.norm()
    return (W @ v).norm(), v


def power_at_once(W, v, n_steps):
    v = torch.nn.functional.normalize(torch.linalg.matrix_power(W.T @ W, n_steps) @ v, dim=0)
    return torch.sqrt(v @ (W.T @ (W @ v))), v


RIGHT = {
    "11.1": [latents_by_config, latents_from_the_top],
    "11.2": [(cell_by_building, encoder_by_building), (cell_by_formula, encoder_by_formula)],
    "11.3": [(TABLE, moves_by_loop), (dict(reversed(TABLE.items())), moves_by_difference)],
    "11.4": [relation_by_pointers, relation_by_training],
    "11.5": [sight_from_above, sight_by_sum],
    "11.6": [power_by_gram, power_at_once],
    "11.7": [{"groups": (5, 6, 9), "n_down": 1, "n_latent": 4, "width": 8, "cells": 1}, {"groups": [6, 7, 8], "n_down": 1, "n_latent": 2, "width": 6, "cells": 2}],
}
