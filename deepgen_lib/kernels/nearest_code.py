"""The nearest of K code vectors for each of N vectors, k(i) = argmin_k ‖z_i - e_k‖², without ever holding N x K distances.

    ‖z - e‖² / 2 = ‖z‖²/2 + s,    s = ‖e‖²/2 - z·e        the first term is the same for every k: the scores s are one matrix product

Which code wins is decided by the definition in float64, ties by the lowest index; the result depends neither on how the work is cut into pieces nor on
threads. Scores in the numbers' own precision only rule codes out: a score is off by at most half a margin that the norms bound, so the code of the
definition is among those within one margin of the best score. Nearly always that is one code; where it is more, the definition decides among them.

Why cut: all scores at once are N·K numbers (512 MiB for N = 16,384, K = 8,192) written and read by every step. Here a piece of them stays in the cache.
"""
import torch
from torch import Tensor

from ..validate import require_finite, require_matrix
from .backend import use_triton

BLOCK = 64             # codes whose scores are first reduced to their minimum, which the processor does 16 at a time
PIECE = 2**20          # scores held at once
PAIRS = 2**20          # numbers of differences held at once where the definition decides


def nearest_code_reference(z: Tensor, codes: Tensor) -> Tensor:
    """The definition: argmin_k of ‖z_i - e_k‖² in float64; the lowest k wins ties.  (N, D), (K, D) -> (N,).  Holds N·K·D numbers."""
    return (z.double()[:, None] - codes.double()).square().sum(-1).argmin(1)


def nearest_code(z: Tensor, codes: Tensor) -> Tensor:
    """k(i) = argmin_k ‖z_i - e_k‖², the lowest k among equals.  (N, D), (K, D) -> (N,) int64.  No gradient passes.

    Raises ValueError for NaN, infinities and shapes that do not fit. Memory beyond the result: a few MiB, whatever N and K.
    """
    require_matrix("nearest_code", "codes", codes)
    require_matrix("nearest_code", "z", z, codes.shape[1], dtype=codes.dtype)
    return nearest(z, codes)


@torch.no_grad()
def nearest(z: Tensor, codes: Tensor) -> Tensor:
    """`nearest_code` without its checks, for inner loops."""
    if use_triton("nearest_code", z, codes, dtypes=(torch.float32, torch.float16, torch.bfloat16)):
        from .triton_nearest_code import nearest_code as kernel
        return kernel(z, codes)
    with torch.autocast(z.device.type, enabled=False):
        if z.dtype in (torch.float16, torch.bfloat16):
            z, codes = z.float(), codes.float()
        screen = _Screen(codes)
        rows = max(32, PIECE // screen.n_columns)
        ids = torch.empty(len(z), dtype=torch.int64, device=z.device)
        buffer = z.new_empty(min(rows, len(z)), screen.n_columns)
        for start in range(0, len(z), rows):
            piece = z[start:start + rows]
            ids[start:start + rows] = screen.search(piece, buffer[:len(piece)])
        return ids


class _Screen:
    """Codes moved to their mean (which changes no difference, and makes the margin small), padded with codes that never win."""

    def __init__(self, codes: Tensor):
        n_codes, _ = codes.shape
        block = min(BLOCK, n_codes)
        pad = -n_codes % block
        self.codes, self.origin, self.block = codes, codes.mean(0), block
        centred = codes - self.origin
        half_squares = centred.square().sum(1) / 2
        self.columns = torch.nn.functional.pad(centred, (0, 0, 0, pad)).T.contiguous()   # (D, K + pad)
        self.bias = torch.nn.functional.pad(half_squares, (0, pad), value=torch.inf)     # (K + pad,)
        self.norms = (2 * half_squares).sqrt()                                           # (K,)
        self.largest = self.norms.max()

    @property
    def n_columns(self) -> int:
        return len(self.bias)

    def search(self, z: Tensor, scores: Tensor) -> Tensor:
        """ids (n,) of a piece z (n, D); scores (n, K + pad) is overwritten."""
        centred = z - self.origin
        lengths = torch.linalg.vector_norm(centred, dim=1)
        torch.addmm(self.bias, centred, self.columns, alpha=-1, out=scores)
        n_blocks = self.n_columns // self.block
        minima = scores.view(len(z), n_blocks, self.block).amin(2)
        best, block = minima.min(1)
        first = torch.arange(0, len(z) * n_blocks, n_blocks, device=z.device)
        inside = scores.view(-1, self.block).index_select(0, first + block)   # (n, block): the scores beside the best
        place = inside.argmin(1)
        ids = block * self.block + place
        rival = torch.minimum(minima.scatter_(1, block[:, None], torch.inf).amin(1), inside.scatter_(1, place[:, None], torch.inf).amin(1))
        limit = best + self.margin(lengths, self.largest)
        close = (~(rival > limit)).nonzero()[:, 0]                            # where NaN or infinite, too
        if len(close):
            ids[close] = self.decide(z[close], scores[close, :len(self.codes)], lengths[close])
        return ids

    def margin(self, lengths: Tensor, norms: Tensor) -> Tensor:
        """Twice what a score of codes of these norms can be off, and the definition's own rounding; lengths broadcast against norms."""
        dims = self.codes.shape[1] + 8
        unit = torch.finfo(self.codes.dtype).eps if torch.get_float32_matmul_precision() == "highest" else 2.0**-7
        return dims * (unit * (lengths + norms) * norms + 2.0**-52 * (lengths + norms).square() + torch.finfo(self.codes.dtype).tiny)

    def decide(self, z: Tensor, scores: Tensor, lengths: Tensor) -> Tensor:
        """By the definition, among the codes that their own margins do not rule out.  (n, D), (n, K), (n,) -> (n,)."""
        half_margin = self.margin(lengths[:, None], self.norms) / 2
        possible = ~(scores - half_margin > (scores + half_margin).amin(1, keepdim=True))  # NaN rules nothing out
        row, code = possible.nonzero().T
        squares = torch.cat([_squared_distances(z, self.codes, r, c) for r, c in zip(row.split(self.pairs), code.split(self.pairs))])
        least = squares.new_full((len(z),), torch.inf).scatter_reduce(0, row, squares, "amin")
        ties = squares == least[row]
        return torch.full_like(row[:1], len(self.codes)).expand(len(z)).scatter_reduce(0, row[ties], code[ties], "amin")

    @property
    def pairs(self) -> int:
        return max(1, PAIRS // self.codes.shape[1])


def _squared_distances(z: Tensor, codes: Tensor, row: Tensor, code: Tensor) -> Tensor:
    return (z[row].double() - codes[code].double()).square().sum(1)
