"""Follow a picture through an NVAE: which tensor goes where, how often each module is called, and what hears of what.

Names, group 1 on top:  x  "stem"  "tap l"  "h"  "path l"  "prior l"  "posterior l"  "z l"  "join l"  "out"
Everything is seen by forward hooks, so it is what the network does, not what a drawing says it does.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .model import NVAE, evaluating
from ..validate import in_words, require_kind


class Visit(NamedTuple):
    calls: int     # how often the module that makes the tensor ran; 0: it did not
    value: Tensor  # what came out: (B, C, s, s); of a prior its mu and log sigma, of a posterior its two deltas, side by side


def modules_by_name(model: NVAE) -> dict[str, nn.Module]:
    """The modules that make the tensors, in the order of the walk; "z l" and "h" are made by none."""
    found = {"stem": model.encoder.outer}
    n = len(model.top_down.groups)
    found |= {f"tap {n - i}": group for i, group in enumerate(model.encoder.groups)}
    for level, group in enumerate(model.top_down.groups, start=1):
        found |= {f"path {level}": group.path} | ({} if group.prior is None else {f"prior {level}": group.prior})
        found |= {f"posterior {level}": group.posterior, f"join {level}": group.merge}
    return found | {"out": model.tail}


def trace(model: NVAE, x: Tensor | None, noise: Sequence[Tensor], *, given: Sequence[Tensor | None] | None = None, shift: dict[str, float] | None = None) -> dict[str, Visit]:
    """One walk, tensor by tensor.  x (B, C, S, S), or None for a sample without a picture.

    noise: model.noise(B, rng).  given: latents to take in place of draws.  shift: {name: number} is added to that tensor as it passes; "z l" only by given.
    """
    if not isinstance(model, NVAE):
        raise ValueError(f"trace: model is {type(model).__name__}, expected an NVAE; pass the model itself")
    modules = modules_by_name(model)
    require_kind("trace", "shift", shift, (dict, type(None)), cure="pass for example {'x': 0.5}, or leave it out")
    if unknown := set(shift or {}) - set(modules) - {"x"}:
        raise ValueError(f"trace: shift names {', '.join(sorted(map(str, unknown)))}, expected x or modules among {', '.join(modules)}; look up modules_by_name(model)")
    if x is not None:
        model._require_pictures("trace", "x", x)
    _require_noise(model, noise, None if x is None else len(x))
    if given is not None and any(z is not None for z in given):
        model._require_latents("trace", given)
    calls, values = dict.fromkeys(modules, 0), {}

    def watch(name: str):
        def hook(module: nn.Module, arguments: tuple, out):
            calls[name] += 1
            if shift and name in shift:
                out = tuple(part + shift[name] for part in out) if isinstance(out, tuple) else out + shift[name]
            values[name] = (torch.cat(out, 1) if isinstance(out, tuple) else out).detach()
            return out
        return hook
    handles = [module.register_forward_hook(watch(name)) for name, module in modules.items()]
    try:
        with evaluating(model), torch.no_grad():
            taps = None
            if x is not None:
                values["x"] = model._padded(x) + (shift or {}).get("x", 0.0)
                taps = model.encoder(values["x"])
            walk = model.top_down(noise, taps, given=given)
            model._out(walk)
    finally:
        for handle in handles:
            handle.remove()
    values |= {f"z {level}": z for level, z in enumerate(walk.z, start=1)} | {"h": model.top_down.h.detach()}
    return {name: Visit(calls.get(name, 1), values[name]) for name in ["x", *modules, "h", *(f"z {level}" for level in range(1, len(walk.z) + 1))] if name in values}


def hears(model: NVAE, x: Tensor | None, noise: Sequence[Tensor], name: str, *, held: bool = False, shift: float = 0.5) -> set[str]:
    """The tensors that move when the one called `name` does; the noise stays.

    held: every z keeps the value it had, so that what reaches a tensor only through z does not count.
    """
    before = trace(model, x, noise)
    levels = range(1, len(model.top_down.groups) + 1)
    if not isinstance(name, str) or name not in before or name == "h":
        raise ValueError(f"hears: name is {in_words(name)}, expected one of {', '.join(n for n in before if n != 'h')}; other tensors do not occur in this walk")
    kept = [before[f"z {level}"].value for level in levels]
    if name.startswith("z "):
        given = [z + shift if name == f"z {level}" else z if held else None for level, z in zip(levels, kept)]
        after = trace(model, x, noise, given=given)
    else:
        after = trace(model, x, noise, given=kept if held else None, shift={name: shift})
    return {other for other in after if not torch.equal(before[other].value, after[other].value)}


def _require_noise(model: NVAE, noise: Sequence[Tensor], n: int | None) -> None:
    shapes = model.config.latent_shapes
    fits = isinstance(noise, (list, tuple)) and len(noise) == len(shapes) and all(isinstance(part, Tensor) for part in noise)
    if not fits:
        raise ValueError(f"trace: noise is {type(noise).__name__}, expected {len(shapes)} tensors, one a group; take model.noise(n, rng)")
    n = len(noise[0]) if n is None else n
    for level, (part, shape) in enumerate(zip(noise, shapes)):
        if part.shape != (n, *shape):
            raise ValueError(f"trace: noise[{level}] has shape {tuple(part.shape)}, expected {(n, *shape)}; take model.noise({n}, rng)")
