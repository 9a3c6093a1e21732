"""VQ-VAE: an autoencoder whose code is a map of whole numbers (van den Oord, Vinyals, Kavukcuoglu 2017).

    z_e = encoder(x),   k = argmin_k ‖z_e - e_k‖² at each position,   z_q = e_k,   p(x | z_q) from decoder(z_q)
    loss = -log p(x | z_q) + ‖sg(z_e) - e‖² + commitment · ‖z_e - sg(e)‖²          in nats per picture, sums over positions, channels and D

The gradient of the first term reaches the encoder by straight-through. The second moves the codes; a codebook with update="ema" moves them itself,
and leaves it out. Sizes: B pictures, C channels, H x W pixels, h x w positions, K codes of D numbers.
"""
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .codebook import Codebook
from .kernels.nearest_code import nearest
from .validate import require_choice, require_count, require_images, require_number, require_rng
from .vector_quantisation import look_up, losses, require_ids, straight_through


class VQTerms(NamedTuple):
    """The loss of each picture by its terms, in nats; all (B,)."""
    reconstruction: Tensor  # -log p(x | z_q)
    quantization: Tensor    # ‖sg(z_e) - e‖², for "ema" without gradient
    commitment: Tensor      # ‖z_e - sg(e)‖², before its weight
    weight: float           # of the commitment
    trained: bool           # whether quantization belongs to the loss: the codes learn by gradient

    @property
    def total(self) -> Tensor:
        """What training minimises.  (B,)."""
        return self.reconstruction + self.weight * self.commitment + (self.quantization if self.trained else 0)


class Quantised(NamedTuple):
    """A picture's way through the bottleneck, channels last."""
    z_e: Tensor  # (B, h, w, D) the encoder's output
    ids: Tensor  # (B, h, w)
    z_q: Tensor  # (B, h, w, D) the codes


class VQVAE(nn.Module):
    """encoder (B, C, H, W) -> (B, D, h, w), decoder (B, D, h, w) -> (B, C, H, W), both nn.Module, and a Codebook of (K, D).

    commitment: weight of the third term. sigma: standard deviation of normal pixels around the decoder's output; None: the output is logits and the pixels,
    in [0, 1], cost their cross-entropy. revive_below: codes whose running count falls below it move onto vectors of the batch, at every update; 0: never.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, codebook: Codebook, *, commitment: float = 0.25, sigma: float | None = 0.5**0.5,
                 revive_below: float = 0.0):
        super().__init__()
        for name, part, kind in (("encoder", encoder, nn.Module), ("decoder", decoder, nn.Module), ("codebook", codebook, Codebook)):
            if not isinstance(part, kind):
                raise ValueError(f"VQVAE: {name} is {type(part).__name__}, expected {kind.__name__}; pass VQVAE(conv_encoder(...), conv_decoder(...), Codebook(...))")
        require_number("VQVAE", "commitment", commitment, low=0)
        require_number("VQVAE", "revive_below", revive_below, low=0)
        if sigma is not None:
            require_number("VQVAE", "sigma", sigma, low=1e-3)
        self.encoder, self.decoder, self.codebook = encoder, decoder, codebook
        self.commitment, self.sigma, self.revive_below = commitment, sigma, revive_below

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The map of codes.  (B, C, H, W) -> (B, h, w) int64."""
        require_images("VQVAE.encode", "x", x, dtype=self.codebook.codes.dtype)
        return self._quantise(x).ids

    def decode(self, ids: Tensor) -> Tensor:
        """Mean pictures of a map of codes.  (B, h, w) -> (B, C, H, W)."""
        require_ids("VQVAE.decode", ids, None, len(self.codebook.codes))
        if ids.ndim != 3:
            raise ValueError(f"VQVAE.decode: ids has shape {tuple(ids.shape)}, expected (B, h, w); for one map use ids[None]")
        return self._means(self.decoder(look_up(self.codebook.codes, ids).movedim(-1, 1)))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """decode(encode(x)).  (B, C, H, W) -> (B, C, H, W)."""
        return self.decode(self.encode(x))

    def terms(self, x: Tensor) -> VQTerms:
        """The loss of each picture by its terms; changes nothing.  (B, C, H, W) -> (B,) each."""
        require_images("VQVAE.terms", "x", x, dtype=self.codebook.codes.dtype)
        return self._terms(x, self._quantise(x))

    @torch.no_grad()
    def init_codes(self, x: Tensor, *, how: str = "data", rng: torch.Generator) -> None:
        """Put the codes on encoder outputs of pictures x, as Codebook.init_from does.  (B, C, H, W) with B·h·w >= K."""
        require_images("VQVAE.init_codes", "x", x, dtype=self.codebook.codes.dtype)
        self.codebook.init_from(self._quantise(x).z_e.flatten(0, 2), how=how, rng=rng)

    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """Mean total of a batch (B, C, H, W); afterwards the codebook's averages take their step and dead codes are revived. For GradientTrainer."""
        quantised = self._quantise(batch)
        loss = self._terms(batch, quantised).total.mean()
        z = quantised.z_e.detach().flatten(0, 2)
        self.codebook.update_statistics(z, quantised.ids.flatten())
        if self.revive_below:
            self.codebook.revive(z, below=self.revive_below, rng=rng)
        return loss

    def check_data(self, data: Tensor) -> None:
        require_images("fit", "data", data, dtype=self.codebook.codes.dtype)
        with torch.no_grad():
            self._terms(data[:1], self._quantise(data[:1]))  # sizes that do not fit are named before training

    def _quantise(self, x: Tensor) -> Quantised:
        z_e = self._encoder_output(x).movedim(1, -1).contiguous()
        ids = nearest(z_e.flatten(0, 2), self.codebook.codes).view(z_e.shape[:-1])
        return Quantised(z_e, ids, look_up(self.codebook.codes, ids))

    def _encoder_output(self, x: Tensor) -> Tensor:
        try:
            output = self.encoder(x)
        except RuntimeError as error:
            raise ValueError(f"VQVAE: the encoder refuses x of shape {tuple(x.shape)}, expected pictures it was made for; give it their number of channels ({str(error)[:120]})") from error
        dim = self.codebook.codes.shape[1]
        if output.ndim != 4 or output.shape[1] != dim:
            raise ValueError(f"VQVAE: the encoder gives {tuple(output.shape)}, expected (B, {dim}, h, w) as the codes have {dim} numbers; make both with the same dim")
        return output

    def _terms(self, x: Tensor, quantised: Quantised) -> VQTerms:
        output = self.decoder(straight_through(quantised.z_e, quantised.z_q).movedim(-1, 1))
        return VQTerms(self._reconstruction(x, output), *losses(quantised.z_e, quantised.z_q), self.commitment, self.codebook.update == "gradient")

    def _reconstruction(self, x: Tensor, output: Tensor) -> Tensor:
        if output.shape != x.shape:
            raise ValueError(f"VQVAE: the decoder gives {tuple(output.shape)}, expected {tuple(x.shape)} like the pictures; crop or pad them to sides that all halvings divide")
        if self.sigma is None:
            return F.binary_cross_entropy_with_logits(output, x, reduction="none").flatten(1).sum(1)
        constant = x[0].numel() * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))
        return (x - output).square().flatten(1).sum(1) / (2 * self.sigma**2) + constant

    def _means(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output) if self.sigma is None else output
