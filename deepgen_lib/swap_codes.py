"""Training a decoder on codes of which some are wrong, as those drawn from a prior are.

    each position of the map, with probability p, is given the code of a random other position of the batch; only in training

The decoder learns to mend a map from its surroundings, and the encoder to say a thing in more than one place. Put it in front of the decoder:
VQVAE(encoder, nn.Sequential(SwapCodes(0.1, rng=rng), decoder), codebook). After training, model.eval() takes it out of the way.
"""
import torch
from torch import Tensor, nn

from .validate import require_number, require_rng


class SwapCodes(nn.Module):
    """(B, D, h, w) -> (B, D, h, w); no parameters, and the identity in eval mode."""

    def __init__(self, share: float, *, rng: torch.Generator):
        super().__init__()
        require_number("SwapCodes", "share", share, low=0, high=1)
        require_rng("SwapCodes", rng)
        self.share, self.rng = share, rng

    def forward(self, z: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return z
        n, dim, h, w = z.shape
        rows = z.detach().movedim(1, -1).reshape(-1, dim)
        others = rows[torch.randperm(len(rows), generator=self.rng)].view(n, h, w, dim).movedim(-1, 1)
        swapped = torch.rand(n, 1, h, w, generator=self.rng) < self.share
        return torch.where(swapped, others, z)  # no gradient to a code that stands in a wrong place
