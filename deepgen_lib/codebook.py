"""A codebook that learns: by gradient, or by exponential moving averages of what falls to each code (online k-means).

    EMA, one update with n_k vectors z of sum S_k falling to code k:
        counts_k <- decay · counts_k + (1 - decay) · n_k          from 1
        sums_k   <- decay · sums_k   + (1 - decay) · S_k          from e_k
        e_k      <- (sums_k + ε e_k) / (counts_k + ε)             ε never enters counts or sums

A code to which nothing falls has sums_k = counts_k · e_k and stays where it is: it neither jumps to the origin (both averages from 0) nor explodes (a sum
from e_k over a count from 0). Under torch.distributed n and S are added up over all processes before anything is divided. (Van den Oord et al. 2017, appendix A.1)
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from .kernels import nearest_code
from .kernels.code_totals import Totals, code_totals
from .kernels.nearest_code import nearest
from .processes import add_up_, n_processes, share_
from .validate import require_choice, require_count, require_matrix, require_number, require_rng
from .vector_quantisation import require_ids

SMOOTHING = 1e-5  # ε
LLOYD_STEPS = 10


class Codebook(nn.Module):
    """codes (K, D), at first N(0, 1): a parameter for "gradient", a buffer that update_statistics moves for "ema".

    Buffers counts (K,) and sums (K, D) are running means over updates of how many vectors fell to a code, and of their sum; for "gradient" they only serve
    to find dead codes.
    """

    def __init__(self, n_codes: int, dim: int, *, update: str = "ema", decay: float = 0.99, rng: torch.Generator | None = None):
        super().__init__()
        require_count("Codebook", "n_codes", n_codes)
        require_count("Codebook", "dim", dim)
        require_choice("Codebook", "update", update, ("ema", "gradient"))
        require_number("Codebook", "decay", decay, low=0, high=1)
        if rng is not None:
            require_rng("Codebook", rng)
        self.update, self.decay = update, decay
        codes = torch.randn(n_codes, dim, generator=rng)
        if update == "ema":
            self.register_buffer("codes", codes)
        else:
            self.codes = nn.Parameter(codes)
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("sums", codes.detach().clone())

    def nearest(self, z: Tensor) -> Tensor:
        """The code of each vector.  (N, D) -> (N,)."""
        return nearest_code(z, self.codes.detach())

    @torch.no_grad()
    def init_from(self, z: Tensor, *, how: str = "data", rng: torch.Generator) -> None:
        """Put the codes on K different rows of z (N, D), N >= K; "kmeans" then takes 10 steps of Lloyd's algorithm on z. Statistics start afresh."""
        self._require("init_from", z)
        require_choice("Codebook.init_from", "how", how, ("data", "kmeans"))
        require_rng("Codebook.init_from", rng)
        if len(z) < len(self.codes):
            raise ValueError(f"Codebook.init_from: z has {len(z)} rows, expected at least {len(self.codes)}, one for each code; give it a larger batch")
        codes = z[torch.randperm(len(z), generator=rng, device=rng.device)[:len(self.codes)].to(z.device)].detach().clone()
        for _ in range(LLOYD_STEPS if how == "kmeans" else 0):
            totals = code_totals(z, nearest(z, codes), len(codes))
            codes = torch.where(totals.counts[:, None] > 0, totals.sums / totals.counts[:, None].clamp(min=1), codes)
        self._place(torch.ones_like(self.counts, dtype=torch.bool), codes, 1.0)

    @torch.no_grad()
    def update_statistics(self, z: Tensor, ids: Tensor) -> None:
        """One step of the averages with z (N, D) that fell to ids (N,); for "ema" the codes follow. Call it after the codes have been used."""
        self._require("update_statistics", z)
        require_ids("Codebook.update_statistics", ids, z.shape[:1], len(self.codes))
        n, S = all_reduced(code_totals(z, ids, len(self.codes)))
        self.counts.lerp_(n, 1 - self.decay)
        self.sums.lerp_(S, 1 - self.decay)
        if self.update == "ema":
            self.codes.mul_(SMOOTHING).add_(self.sums).div_((self.counts + SMOOTHING)[:, None])

    @torch.no_grad()
    def revive(self, z: Tensor, *, below: float, rng: torch.Generator) -> int:
        """Move each code whose count is below `below` onto a random row of z (N, D); its statistics start afresh there. Returns how many moved.

        Without the new statistics the next update would put an EMA code back where it was.
        """
        self._require("revive", z)
        require_number("Codebook.revive", "below", below, low=0)
        require_rng("Codebook.revive", rng)
        dead = self.counts < below
        n_dead = int(dead.sum())
        if n_dead:
            rows = torch.randperm(len(z), generator=rng, device=rng.device)
            rows = rows[torch.arange(n_dead) % len(z)].to(z.device)
            fresh = self.codes.detach().clone()
            fresh[dead] = z[rows].detach()
            self._place(dead, fresh, max(1.0, below))
        return n_dead

    def _place(self, chosen: Tensor, codes: Tensor, count: float) -> None:
        """Codes (K, D) where chosen (K,), the same on every process: the first one's; their statistics say `count` vectors fell there."""
        share_(codes)
        self.codes.copy_(torch.where(chosen[:, None], codes, self.codes))
        self.counts.masked_fill_(chosen, count)
        self.sums.copy_(torch.where(chosen[:, None], count * codes, self.sums))

    def _require(self, where: str, z: Tensor) -> None:
        require_matrix(f"Codebook.{where}", "z", z, self.codes.shape[1], dtype=self.codes.dtype)


def all_reduced(totals: Totals) -> Totals:
    """Added up over all processes of torch.distributed; as it is where there is one."""
    if n_processes() == 1:
        return totals
    both = add_up_(torch.cat([totals.counts[:, None], totals.sums], 1))
    return Totals(both[:, 0], both[:, 1:])
