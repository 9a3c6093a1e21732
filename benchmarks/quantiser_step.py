"""One training step of a vector quantiser, ours with any search, and vector-quantize-pytorch's with the same algorithm (straight-through, EMA, squared Euclidean distance)."""
from collections.abc import Callable

import torch
from torch import Tensor

from deepgen_lib import Codebook, straight_through
from deepgen_lib.vector_quantisation import look_up, losses

WEIGHT = 0.25  # of the commitment
Step = Callable[[], None]


def our_step(search: Callable[[Tensor, Tensor], Tensor], z: Tensor, upstream: Tensor, book: Codebook) -> Step:
    """Search, straight-through, commitment, backward, running means.  z, upstream (N, D); upstream comes back from the decoder."""
    weights = torch.full((len(z),), WEIGHT / len(z), device=z.device)

    def step() -> None:
        z.grad = None
        ids = search(z.detach(), book.codes)
        z_q = look_up(book.codes, ids)
        torch.autograd.backward([straight_through(z, z_q), losses(z, z_q).commitment], [upstream, weights])
        book.update_statistics(z.detach(), ids)
    return step


def peer_step(z: Tensor, upstream: Tensor, n_codes: int) -> Step:
    from vector_quantize_pytorch import VectorQuantize
    quantiser = VectorQuantize(dim=z.shape[1], codebook_size=n_codes, decay=0.99, commitment_weight=WEIGHT, rotation_trick=False).to(z.device).train()

    def step() -> None:
        z.grad = None
        quantised, _, loss = quantiser(z[None])
        torch.autograd.backward([quantised, loss.sum()], [upstream[None], torch.ones((), device=z.device)])
    return step


def cdist_search(z: Tensor, codes: Tensor) -> Tensor:
    """What one would write."""
    return torch.cdist(z, codes).argmin(1)
