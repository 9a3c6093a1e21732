"""A prior over maps of codes, drawn one position after another: PixelCNN with gates and two stacks (van den Oord et al. 2016).

    log p(z | c) = Σ_ij log p(z_ij | rows above i, row i left of j, c)          exact, in nats: every factor is a softmax over the K codes

The map is moved once, by one row for the vertical stack and by one column for the horizontal stack; after that a convolution that looks up and left and at its
own place sees nothing it may not. The vertical stack sees all columns of the rows above (a single masked stack would miss a wedge of them: the blind spot), the
horizontal stack its own row; links carry what is above over. c is nothing, or a map of other codes (a level above), which may be seen whole.
sizes: B maps, h x w positions, K codes, F width
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from .validate import in_words, require_count, require_matrix, require_rng


class PixelCNN(nn.Module):
    """p(z) or p(z | c) for maps z (B, h, w) of K codes; c (B, h', w') of K' codes, where h' divides h and w' divides w."""

    def __init__(self, n_codes: int, map_size: tuple[int, int], *, condition: tuple[int, int, int] | None = None, width: int = 64, n_layers: int = 5, reach: int = 2):
        """condition: (K', h', w') of the map above. reach: how many rows up and columns to each side one layer sees."""
        super().__init__()
        for name, value in (("n_codes", n_codes), ("width", width), ("n_layers", n_layers), ("reach", reach)):
            require_count("PixelCNN", name, value)
        _require_sizes("map_size", map_size, 2)
        self.n_codes, self.map_size, self.condition_form = n_codes, tuple(map_size), None
        self.embed = nn.Embedding(n_codes, width)
        self.place = nn.Parameter(torch.zeros(width, *map_size))
        self.layers = nn.ModuleList(_Layer(width, reach) for _ in range(n_layers))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, n_codes, 1))
        if condition is not None:
            _require_sizes("condition", condition, 3)
            if map_size[0] % condition[1] or map_size[1] % condition[2]:
                raise ValueError(f"PixelCNN: condition is a map of {condition[1:]} beside map_size {tuple(map_size)}, expected a size that divides it; pass (n_codes, height, width) of the level above")
            self.condition_form = tuple(condition)
            self.embed_condition = nn.Embedding(condition[0], width)
            self.look = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))

    def logits(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits of every position's code given those before it.  (B, h, w) int64 -> (B, K, h, w)."""
        around = self._around("PixelCNN.logits", z, condition)
        e = self.embed(z).movedim(-1, 1)
        return self._across(e, self._down(e, around), around)

    def log_likelihood(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """log p(z | c) in nats, summed over positions.  (B, h, w) int64 -> (B,)."""
        log_p = torch.log_softmax(self.logits(z, condition), 1)
        return log_p.gather(1, z[:, None]).sum((1, 2, 3))

    @torch.no_grad()
    def sample(self, n: int, *, condition: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """n maps, position by position, exactly from the model.  -> (n, h, w) int64."""
        require_count("PixelCNN.sample", "n", n)
        require_rng("PixelCNN.sample", rng)
        h, w = self.map_size
        z = torch.zeros(n, h, w, dtype=torch.int64, device=self.place.device)
        around = self._around("PixelCNN.sample", z, condition)
        for i in range(h):
            above = self.embed(z[:, :i + 1]).movedim(-1, 1)
            links = [link[:, :, i:] for link in self._down(above, around[:, :, :i + 1])]  # rows above are finished, so once a row is enough
            for j in range(w):
                row = self.embed(z[:, i:i + 1]).movedim(-1, 1)
                p = torch.softmax(self._across(row, links, around[:, :, i:i + 1])[:, :, 0, j], 1)
                z[:, i, j] = torch.multinomial(p, 1, generator=rng)[:, 0]
        return z

    @torch.no_grad()
    def start_from(self, codes: Tensor, z: Tensor, *, rng: torch.Generator) -> "PixelCNN":
        """Before training: codes (K, D) that lie close together come in and go out alike, in a random rotation; output biases are the log frequencies in maps z."""
        require_matrix("PixelCNN.start_from", "codes", codes, dtype=self.place.dtype)
        width = self.embed.weight.shape[1]
        if len(codes) != self.n_codes or codes.shape[1] > width:
            raise ValueError(f"PixelCNN.start_from: codes has shape {tuple(codes.shape)}, expected ({self.n_codes}, D) with D at most the width, {width}; pass model.codebook.codes")
        _require_ids("PixelCNN.start_from", "z", z, self.n_codes, self.map_size)
        require_rng("PixelCNN.start_from", rng)
        form = (codes - codes.mean(0)) / codes.std()
        into, out = (torch.linalg.qr(torch.randn(width, codes.shape[1], generator=rng, dtype=codes.dtype))[0] for _ in range(2))
        self.embed.weight.copy_(form @ into.T * (width / codes.shape[1])**0.5 + 0.1 * torch.randn(self.embed.weight.shape, generator=rng, dtype=codes.dtype))
        self.head[-1].weight.copy_(0.3 * (form @ out.T)[:, :, None, None])
        self.head[-1].bias.copy_((torch.bincount(z.flatten(), minlength=self.n_codes) + 1).log())
        return self

    def training_loss(self, batch: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
        """Mean of -log p over the batch, for GradientTrainer: maps (B, h, w), or rows of `training_rows` where there is a condition."""
        return -self.log_likelihood(*self._parts(batch)).mean()

    def check_data(self, data: Tensor) -> None:
        """Called once by fit."""
        if self.condition_form is None:
            _require_ids("fit", "data", data, self.n_codes, self.map_size)
            return
        k, *size = self.condition_form
        want = self.map_size[0] * self.map_size[1] + size[0] * size[1]
        if not isinstance(data, Tensor) or data.ndim != 2 or data.shape[1] != want:
            found = tuple(data.shape) if isinstance(data, Tensor) else type(data).__name__
            raise ValueError(f"fit: data is {found}, expected (N, {want}) int64, each row a map and its condition; make it: training_rows(z, condition)")
        z, condition = self._parts(data)
        _require_ids("fit", "data", z, self.n_codes, self.map_size)
        _require_ids("fit", "data", condition, k, size)

    def _parts(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.condition_form is None:
            return rows, None
        n = self.map_size[0] * self.map_size[1]
        return rows[:, :n].unflatten(1, self.map_size), rows[:, n:].unflatten(1, self.condition_form[1:])

    def _around(self, where: str, z: Tensor, condition: Tensor | None) -> Tensor:
        """What every layer is told beside the codes before: the place, and the whole condition.  -> (B or 1, F, h, w)."""
        _require_ids(where, "z", z, self.n_codes, self.map_size)
        if (condition is None) != (self.condition_form is None):
            got, want = ("nothing", f"a map (B, {', '.join(map(str, self.condition_form[1:]))})") if condition is None else ("a map", "None: this prior was made without one")
            raise ValueError(f"{where}: condition is {got}, expected {want}; pass what PixelCNN(..., condition=...) was made for")
        if condition is None:
            return self.place[None]
        k, *size = self.condition_form
        _require_ids(where, "condition", condition, k, size)
        if len(condition) != len(z):
            raise ValueError(f"{where}: condition has {len(condition)} maps for {len(z)} of z, expected one each; condition.expand({len(z)}, -1, -1) repeats a single one")
        e = self.embed_condition(condition).movedim(-1, 1)
        return self.place + interpolate(e + self.look(e), size=self.map_size, mode="nearest")

    def _down(self, e: Tensor, around: Tensor) -> list[Tensor]:
        """The vertical stack: per layer what it tells the horizontal one, from the rows above alone."""
        v, links = pad(e, (0, 0, 1, -1)) + around, []
        for layer in self.layers:
            v, link = layer.down(v)
            links.append(link)
        return links

    def _across(self, e: Tensor, links: list[Tensor], around: Tensor) -> Tensor:
        """The horizontal stack, row by row on its own, then the head."""
        x = pad(e, (1, -1)) + around
        for layer, link in zip(self.layers, links, strict=True):
            x = layer.across(x, link)
        return self.head(x)


class _Layer(nn.Module):
    """One gated layer of both stacks; residual."""

    def __init__(self, width: int, reach: int):
        super().__init__()
        self.reach = reach
        self.vertical = nn.Conv2d(width, 2 * width, (reach + 1, 2 * reach + 1))
        self.horizontal = nn.Conv2d(width, 2 * width, (1, reach + 1))
        self.link, self.out_v, self.out_h = nn.Conv2d(2 * width, 2 * width, 1), nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

    def down(self, v: Tensor) -> tuple[Tensor, Tensor]:
        a = self.vertical(pad(v, (self.reach, self.reach, self.reach, 0)))
        return v + self.out_v(_gate(a)), self.link(a)

    def across(self, x: Tensor, link: Tensor) -> Tensor:
        return x + self.out_h(_gate(self.horizontal(pad(x, (self.reach, 0))) + link))


def training_rows(z: Tensor, condition: Tensor) -> Tensor:
    """A map and its condition side by side, for `fit`.  (N, h, w), (N, h', w') -> (N, hw + h'w') int64."""
    for name, ids in (("z", z), ("condition", condition)):
        if not isinstance(ids, Tensor) or ids.ndim != 3 or ids.dtype != torch.int64 or ids.numel() == 0:
            raise ValueError(f"training_rows: {name} is {_form(ids)}, expected maps (N, h, w) int64; model.encode(x) gives them")
    if len(z) != len(condition):
        raise ValueError(f"training_rows: z has {len(z)} maps and condition {len(condition)}, expected as many; take both from one call of encode")
    return torch.cat([z.flatten(1), condition.flatten(1)], 1)


def _gate(a: Tensor) -> Tensor:
    left, right = a.chunk(2, 1)
    return torch.tanh(left) * torch.sigmoid(right)


def _form(x: object) -> str:
    return f"{tuple(x.shape)} {x.dtype}" if isinstance(x, Tensor) else type(x).__name__


def _require_sizes(name: str, sizes: tuple[int, ...], n: int) -> None:
    words = "(height, width)" if n == 2 else "(n_codes, height, width)"
    if not isinstance(sizes, (tuple, list)) or len(sizes) != n:
        raise ValueError(f"PixelCNN: {name} is {in_words(sizes)}, expected {words}; for example {(7, 7) if n == 2 else (128, 7, 7)}")
    for value in sizes:
        require_count("PixelCNN", name, value)


def _require_ids(where: str, name: str, ids: Tensor, n_codes: int, size: tuple[int, int]) -> None:
    """ids is (B, *size) int64 from 0 to n_codes - 1."""
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64 or ids.ndim != 3 or tuple(ids.shape[1:]) != tuple(size) or len(ids) == 0:
        raise ValueError(f"{where}: {name} is {_form(ids)}, expected maps of codes (B, {', '.join(map(str, size))}) int64; model.encode(x) gives them")
    low, high = ids.min().item(), ids.max().item()
    if low < 0 or high >= n_codes:
        raise ValueError(f"{where}: {name} has codes from {low} to {high}, expected 0 to {n_codes - 1}; was it made by another codebook?")
