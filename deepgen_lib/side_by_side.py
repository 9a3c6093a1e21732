"""Seven trained models of the same pictures behind one set of verbs, for chapter 13: what each thinks of a picture, draws, rebuilds and reads off it.

    models = shipped_models();  models["vae"].score(x, rng=rng)          x (B, 784) of 0 and 1, fixed-binarised MNIST; nats

`kind` says what a number is: log p(x) itself, an estimate of it, or a bound from below. Numbers of different kinds may stand in one table, but a bound that is
lower does not make a model that is worse.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .autoregressive import PixelCNN
from .dbn import DBN
from .checkpoint import load_model, load_notes
from .mixture import BernoulliMixture
from .nvae import NVAE
from .rbm import RBM
from .sampling import gibbs_chain, sample_h_from_v
from .shipped import CHECKPOINTS
from .side_by_side_models import N_PIXELS, SIDE, new_code_prior, new_mixture, new_nvae, new_rbm, new_vae, new_vqvae
from .vae import VAE
from .validate import in_words, require_choice, require_count, require_rng, require_states
from .vqvae import VQVAE

KINDS = ("exact", "AIS estimate", "bound, log Z by AIS", "importance-weighted bound", "bound")
SWEEPS = 1000  # of Gibbs sampling before an RBM's or a DBN's picture is taken


class Measured(NamedTuple):
    """What the test pictures gave when the file was made; in nats per picture."""
    test: float              # the number of the model's kind
    low: float               # its error bar: AIS: three standard errors of log Z; importance-weighted: two of the gain; exact, or one bound for each picture: test itself
    high: float
    n_pictures: int
    bound: float | None      # the plain bound beside an importance-weighted one
    training_seconds: float  # of one processor core
    date: str
    machine: str


class Origin(NamedTuple):
    """Of one model."""
    title: str
    kind: str
    file: str     # whose header holds what was measured
    command: str  # of `course.py bench`, makes it again


ORIGINS = {
    "mixture": Origin("mixture of 500 Bernoullis", "exact", "side_by_side_mixture", "side_by_side mixture"),
    "rbm_cd1": Origin("RBM-500, CD-1", "AIS estimate", "side_by_side_rbm_cd1", "side_by_side rbm_cd1"),
    "rbm": Origin("RBM-500, centred PCD-1", "AIS estimate", "rbm500_long", "rbm_likelihood"),
    "dbn": Origin("DBN 784-500-2000", "bound, log Z by AIS", "dbn_500_2000", "dbn_bound"),
    "vae": Origin("VAE with 40 latents", "importance-weighted bound", "side_by_side_vae", "side_by_side vae"),
    "nvae": Origin("NVAE of six groups", "importance-weighted bound", "side_by_side_nvae", "side_by_side nvae"),
    "vqvae": Origin("VQ-VAE with a PixelCNN over its codes", "bound", "side_by_side_vqvae", "side_by_side vqvae"),
}


class Verbs(NamedTuple):
    """A family's own functions, without checks."""
    score: Callable[[Tensor, torch.Generator], Tensor]
    weighted: Callable[[Tensor, int, torch.Generator], Tensor] | None
    draw: Callable[[int, torch.Generator], Tensor]                     # mean pictures
    reconstruct: Callable[[Tensor, torch.Generator], Tensor]
    features: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Entrant:
    """One trained model. All pictures are flat, (B, 784) float32."""
    name: str
    title: str
    kind: str
    n_parameters: int
    command: str             # makes the file again
    measured: Measured
    verbs: Verbs

    @torch.no_grad()
    def score(self, x: Tensor, *, rng: torch.Generator) -> Tensor:
        """log p(x) or its bound in nats; under log Z as it was measured; VAE and NVAE: the plain bound with one draw, DBN: with ten.  (B, 784) -> (B,)."""
        self._require("score", x, rng)
        return self.verbs.score(x, rng)

    @torch.no_grad()
    def weighted(self, x: Tensor, *, n_samples: int, rng: torch.Generator) -> Tensor:
        """The importance-weighted bound with n_samples draws; VAE and NVAE alone.  (B, 784) -> (B,) nats."""
        self._require("weighted", x, rng)
        require_count("Entrant.weighted", "n_samples", n_samples)
        if self.verbs.weighted is None:
            raise ValueError(f"Entrant.weighted: the model is {self.name!r}, expected 'vae' or 'nvae', whose latents have an encoder to draw from; use score")
        return self.verbs.weighted(x, n_samples, rng)

    @torch.no_grad()
    def means(self, n: int, *, rng: torch.Generator) -> Tensor:
        """n draws of what stands above the pixels, each as the picture of p(pixel = 1).  -> (n, 784) in [0, 1]."""
        require_count("Entrant.means", "n", n)
        require_rng("Entrant.means", rng)
        return self.verbs.draw(n, rng)

    @torch.no_grad()
    def sample(self, n: int, *, rng: torch.Generator) -> Tensor:
        """n draws from p(x); RBMs and DBN: 1,000 Gibbs sweeps from fair coins, one chain each.  -> (n, 784) of 0 and 1."""
        require_count("Entrant.sample", "n", n)
        require_rng("Entrant.sample", rng)
        return torch.bernoulli(self.verbs.draw(n, rng), generator=rng)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, *, rng: torch.Generator) -> Tensor:
        """Up to the code and back: p(pixel = 1 | code of x).  (B, 784) -> (B, 784) in [0, 1]."""
        self._require("reconstruct", x, rng)
        return self.verbs.reconstruct(x, rng)

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """The code of x as numbers for a linear probe; nothing is drawn.  (B, 784) -> (B, F)."""
        require_states("Entrant.features", "x", x, N_PIXELS, dtype=torch.float32)
        return self.verbs.features(x)

    def _require(self, verb: str, x: Tensor, rng: torch.Generator) -> None:
        require_states(f"Entrant.{verb}", "x", x, N_PIXELS, dtype=torch.float32)
        require_rng(f"Entrant.{verb}", rng)


def measured(name: str) -> Measured:
    """What stands in the header of a model's file; nothing else is loaded."""
    require_choice("measured", "name", name, tuple(ORIGINS))
    return _measured(ORIGINS[name].file)


def shipped_models(names: Collection[str] | None = None) -> dict[str, Entrant]:
    """The trained models in the order of the lectures, or those that are named."""
    if not isinstance(names, (list, tuple, set, frozenset, type(None))):
        raise ValueError(f"shipped_models: names is {in_words(names)}, expected a list of names; pass for example ['vae', 'nvae'], or nothing for all")
    for name in names or ():
        require_choice("shipped_models", "names", name, tuple(ORIGINS))
    return {name: load() for name, load in _LOADERS.items() if names is None or name in names}


def _mixture() -> Entrant:
    model: BernoulliMixture = _load("side_by_side_mixture", new_mixture())
    verbs = Verbs(lambda x, rng: model.log_likelihood(x), None,
                  lambda n, rng: model.means[torch.multinomial(model.weights, n, replacement=True, generator=rng)],
                  lambda x, rng: model.posterior(x) @ model.means, model.posterior)
    return _entrant("mixture", verbs, [model.log_weights, model.logits])


def _rbm(name: str) -> Entrant:
    file = ORIGINS[name].file
    rbm, log_z = _load(file, new_rbm()), float(load_notes(_path(file))["log_z"])
    def draw(n: int, rng: torch.Generator) -> Tensor:
        v = gibbs_chain(rbm, _coins(n, N_PIXELS, rng), n_steps=SWEEPS - 1, rng=rng)
        return torch.sigmoid(rbm.visible_logits(sample_h_from_v(rbm, v, rng)))
    verbs = Verbs(lambda x, rng: -rbm.free_energy(x) - log_z, None, draw, lambda x, rng: torch.sigmoid(rbm.visible_logits(torch.sigmoid(rbm.hidden_logits(x)))),
                  lambda x: torch.sigmoid(rbm.hidden_logits(x)))
    return _entrant(name, verbs, list(rbm.parameters()))


def _dbn() -> Entrant:
    lower, top = _load("rbm500_long", new_rbm()), _load("dbn_500_2000", RBM(500, 2000))
    dbn, log_z = DBN([lower, top]).requires_grad_(False), float(load_notes(_path("dbn_500_2000"))["log_z"])
    def reconstruct(x: Tensor, rng: torch.Generator) -> Tensor:
        return torch.sigmoid(dbn.generation_logits(1, dbn.features(x, 1)))
    verbs = Verbs(lambda x, rng: dbn.bound(x, log_z=log_z, n_samples=10, rng=rng).total, None, lambda n, rng: dbn.sample(n, n_gibbs_steps=SWEEPS, means=True, rng=rng),
                  reconstruct, lambda x: dbn.features(x, 2))
    return _entrant("dbn", verbs, [*lower.parameters(), *top.parameters()])


def _vae() -> Entrant:
    vae: VAE = _load("side_by_side_vae", new_vae(rng=torch.Generator()))
    verbs = Verbs(lambda x, rng: vae.bound(x, rng=rng).total, lambda x, n, rng: vae.importance_bound(x, n_samples=n, rng=rng),
                  lambda n, rng: vae.sample(n, means=True, rng=rng), lambda x, rng: vae.decode(vae.posterior(x).mu), lambda x: vae.posterior(x).mu)
    return _entrant("vae", verbs, list(vae.parameters()))


def _nvae() -> Entrant:
    nvae: NVAE = _load("side_by_side_nvae", new_nvae(rng=torch.Generator()))
    def top_means(x: Tensor) -> Tensor:
        quiet = [torch.zeros_like(part) for part in nvae.noise(len(x), torch.Generator())]
        return torch.cat([z.flatten(1) for z in nvae.top_down(quiet, nvae.encoder(nvae._padded(_maps(x)))).z[:nvae.config.groups[0]]], 1)
    verbs = Verbs(lambda x, rng: nvae.elbo(_maps(x), rng).total, lambda x, n, rng: nvae.importance_bound(_maps(x), n_samples=n, rng=rng),
                  lambda n, rng: nvae.sample(n, means=True, rng=rng).flatten(1), lambda x, rng: nvae.decode(nvae.latents(_maps(x), rng)).flatten(1), top_means)
    return _entrant("nvae", verbs, list(nvae.parameters()))


def _vqvae() -> Entrant:
    vqvae: VQVAE = _load("side_by_side_vqvae", new_vqvae(rng=torch.Generator()))
    prior: PixelCNN = _load("side_by_side_codes", new_code_prior())
    def score(x: Tensor, rng: torch.Generator) -> Tensor:
        return prior.log_likelihood(vqvae.encode(_maps(x))) - vqvae.terms(_maps(x)).reconstruction
    verbs = Verbs(score, None, lambda n, rng: vqvae.decode(prior.sample(n, rng=rng)).flatten(1), lambda x, rng: vqvae.reconstruct(_maps(x)).flatten(1),
                  lambda x: vqvae.codebook.codes[vqvae.encode(_maps(x))].flatten(1))
    return _entrant("vqvae", verbs, [*vqvae.encoder.parameters(), *vqvae.decoder.parameters(), vqvae.codebook.codes, *prior.parameters()])


_LOADERS: dict[str, Callable[[], Entrant]] = {
    "mixture": _mixture, "rbm_cd1": lambda: _rbm("rbm_cd1"), "rbm": lambda: _rbm("rbm"), "dbn": _dbn, "vae": _vae, "nvae": _nvae, "vqvae": _vqvae,
}


def _entrant(name: str, verbs: Verbs, parameters: list[Tensor]) -> Entrant:
    origin = ORIGINS[name]
    return Entrant(name, origin.title, origin.kind, sum(p.numel() for p in parameters), f"python3 tools/course.py bench {origin.command}", _measured(origin.file), verbs)


def _measured(file: str) -> Measured:
    """From the file's header. The two older files keep log Z and its bar, not the bar of the likelihood."""
    notes = {key: _read(value) for key, value in load_notes(_path(file)).items()}
    if "low" in notes:
        return Measured(*(notes.get(field) for field in Measured._fields))
    test, log_z = notes["test"], notes["log_z"]
    seconds = notes["cpu_seconds"] if "cpu_seconds" in notes else notes["cpu"] + _measured("rbm500_long").training_seconds  # a DBN's, and its lower layer's
    return Measured(test, test - (notes["log_z_high"] - log_z), test + (log_z - notes["log_z_low"]), 10_000, None, seconds, *MADE_BEFORE)


MADE_BEFORE = ("2026-11-22", "AMD EPYC, one thread, torch 2.13.0+cpu")  # date and machine of rbm500_long and dbn_500_2000, as in their tables of results


def _read(value: str) -> object:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _path(file: str) -> Path:
    return CHECKPOINTS / f"{file}.safetensors"


def _load(file: str, model: nn.Module) -> nn.Module:
    return load_model(_path(file), model).requires_grad_(False).eval()


def _maps(x: Tensor) -> Tensor:
    return x.view(-1, 1, SIDE, SIDE)


def _coins(n: int, width: int, rng: torch.Generator) -> Tensor:
    return torch.bernoulli(torch.full((n, width), 0.5), generator=rng)
