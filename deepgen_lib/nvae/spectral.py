"""What keeps a very deep hierarchy from exploding (Vahdat & Kautz 2020, section 3.2): small Lipschitz constants, asked for, not enforced.

    penalty = lambda · (Σ over convolutions of the largest singular value + Σ over batch norms of max |scale|)

A convolution's weight (out, in, k, k) is taken as a matrix (out, in·k·k). Its largest singular value s = uᵀ W v comes from power iteration,
v <- Wᵀu / |.|, u <- Wv / |.|, a few steps at each update from where the last one ended; weights of one shape are stacked and done at once.
This regularises s; spectral *normalisation* would divide the weight by it.
"""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..validate import require_count
from .flows import MaskedConv

FIRST_STEPS, STEPS = 10, 4
TINY = 1e-12


class SpectralPenalty(nn.Module):
    """Σ of largest singular values of the convolutions in a network. The vectors u and v are buffers: they travel with the state and a resumed run goes on exactly."""

    def __init__(self, network: nn.Module, *, rng: torch.Generator | None = None):
        super().__init__()
        if not isinstance(network, nn.Module):
            raise ValueError(f"SpectralPenalty: network is {type(network).__name__}, expected a torch.nn.Module; pass the model whose convolutions are meant")
        shapes: dict[tuple[int, int], list[nn.Module]] = {}
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, MaskedConv)):
                shapes.setdefault((module.weight.shape[0], module.weight[0].numel()), []).append(module)
        self._stacks = tuple(tuple(stack) for stack in shapes.values())  # in a tuple, so the convolutions are not registered here a second time
        for n, ((rows, columns), stack) in enumerate(shapes.items()):
            like = stack[0].weight
            for name, length in (("u", rows), ("v", columns)):
                start = like.new_empty(len(stack), length, requires_grad=False)
                self.register_buffer(f"{name}_{n}", start if like.is_meta else nn.functional.normalize(start.normal_(generator=rng), dim=-1))
        if not like.is_meta:  # on the meta device there are sizes and no numbers
            self.iterate(FIRST_STEPS)

    def iterate(self, n_steps: int = STEPS) -> None:
        """n_steps of power iteration on every weight."""
        require_count("SpectralPenalty.iterate", "n_steps", n_steps)
        with torch.no_grad():
            for n, stack in enumerate(self._stacks):
                u, v, W = getattr(self, f"u_{n}"), getattr(self, f"v_{n}"), _matrices(stack)
                for _ in range(n_steps):
                    v.copy_(_unit(torch.einsum("gij,gi->gj", W, u), v))
                    u.copy_(_unit(torch.einsum("gij,gj->gi", W, v), u))

    def singular_values(self) -> Tensor:
        """uᵀ W v of every convolution, stack after stack; gradients flow to W alone.  -> (number of convolutions,)."""
        return torch.cat([torch.einsum("gi,gij,gj->g", getattr(self, f"u_{n}").clone(), _matrices(stack), getattr(self, f"v_{n}").clone()) for n, stack in enumerate(self._stacks)])

    def forward(self) -> Tensor:
        """Σ of the largest singular values after a few more steps.  -> scalar."""
        self.iterate()
        return self.singular_values().sum()


def batch_norm_penalty(network: nn.Module) -> Tensor:
    """Σ over batch norms of max |scale|.  -> scalar."""
    if not isinstance(network, nn.Module):
        raise ValueError(f"batch_norm_penalty: network is {type(network).__name__}, expected a torch.nn.Module; pass the model whose batch norms are meant")
    scales = [module.weight.abs().max() for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return torch.stack(scales).sum() if scales else torch.zeros(())


def _matrices(stack: Iterable[nn.Module]) -> Tensor:
    """Weights of one shape as matrices (number, out, in·k·k)."""
    return torch.stack([conv.weight.flatten(1) for conv in stack])


def _unit(x: Tensor, last: Tensor) -> Tensor:
    """x / |x|; the last vector where x is zero, as it is under a layer that starts at zero: from a zero vector there would be no way back."""
    norm = x.norm(dim=-1, keepdim=True)
    return torch.where(norm > TINY, x / norm.clamp_min(TINY), last)
