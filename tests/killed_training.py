"""Trainings to be killed: one of each kind, small, with a checkpoint every second update.

`run` is what the process does, and what it tells: "training", then each step as it begins, with the updates made so far, then "done". in_write: it kills itself while it
writes a checkpoint, with half the bytes there, or with all of them under the other name.
"""
from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch._dynamo  # loaded by the first step of an optimiser: once here, not in every process
from torch import Tensor

import deepgen_lib.checkpoint as checkpoints
from deepgen_lib import CDOptions, DBN, RBM, RBMTrainer, base_rate, fitting
from deepgen_lib.averaging import AveragedParameters
from deepgen_lib.codebook import Codebook
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.labelled_rbm import LabelledRBM
from deepgen_lib.nvae import NVAE
from deepgen_lib.residual_conv import conv_decoder, conv_encoder
from deepgen_lib.updown import UpDownOptions, UpDownTrainer
from deepgen_lib.vae import mlp_vae
from deepgen_lib.vqvae import VQVAE
from tests.nvae_models import pictures, tiny_config

ROOT = Path(__file__).resolve().parents[1]
N_UPDATES, EVERY, BATCH = 30, 2, 8
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def bits(*shape: int) -> Tensor:
    return torch.bernoulli(torch.full(shape, 0.4), generator=torch.Generator().manual_seed(7))


def rbm(rng: torch.Generator) -> tuple[fitting.Trainer, Tensor]:
    """Persistent chains, centring, momentum, and the mean of the parameters."""
    options = CDOptions(persistent=True, centred=True, n_chains=10, momentum=0.5, learning_rate=0.05)
    x = bits(44, 12)
    return AveragedParameters(RBMTrainer(RBM(12, 7, weight_std=0.1, rng=rng), options, data_mean=base_rate(x), rng=rng)), x


def dbn(rng: torch.Generator) -> tuple[fitting.Trainer, Tensor]:
    """Up-down fine-tuning, with labels at the top."""
    network = DBN([RBM(12, 8, rng=rng), LabelledRBM(8, 2, 6, rng=rng)]).requires_grad_(False)
    labels = torch.eye(2)[torch.arange(44) % 2]
    return UpDownTrainer(network, UpDownOptions(learning_rate=0.2, top_learning_rate=0.2)), torch.cat([bits(44, 12), labels], 1)


def vae(rng: torch.Generator) -> tuple[fitting.Trainer, Tensor]:
    return GradientTrainer(mlp_vae(12, (16,), 2, rng=rng), AdamOptions(learning_rate=0.01)), bits(44, 12)


def vqvae(rng: torch.Generator) -> tuple[fitting.Trainer, Tensor]:
    """Code statistics by moving averages, and codes revived."""
    x = bits(44, 1, 8, 8)
    model = VQVAE(conv_encoder(1, 3, width=4, rng=rng), conv_decoder(1, 3, width=4, rng=rng), Codebook(6, 3, rng=rng), revive_below=0.05)
    model.init_codes(x, rng=rng)
    return GradientTrainer(model, AdamOptions(learning_rate=0.01)), x


def nvae(rng: torch.Generator) -> tuple[fitting.Trainer, Tensor]:
    """Batch norms and singular vectors."""
    model = NVAE(tiny_config(), rng=rng)
    return GradientTrainer(model, AdamOptions(kind="adamax", learning_rate=0.01)), pictures(model, 24)


KINDS: dict[str, Callable[[torch.Generator], tuple[fitting.Trainer, Tensor]]] = {kind.__name__: kind for kind in (rbm, dbn, vae, vqvae, nvae)}


def train(kind: str, checkpoint: Path | None, *, tell: Callable[[object], None] = lambda said: None) -> torch.nn.Module:
    """The network after all updates. Tells "training", and ("update", done) before every update."""
    trainer, data = KINDS[kind](torch.Generator().manual_seed(0))
    fitting.CHECKPOINT_EVERY = EVERY
    update = trainer.update
    trainer.update = lambda batch, fraction, rng: (tell(("update", round(fraction * N_UPDATES))), update(batch, fraction, rng))
    tell("training")
    fitting.fit(trainer, data, n_updates=N_UPDATES, batch_size=BATCH, checkpoint=checkpoint, rng=torch.Generator().manual_seed(5))
    return trainer.model


def die_in_write(how: str, write: int) -> None:
    """Kill this process in its write number `write`."""
    replace, count = os.replace, iter(range(1, 10**6))

    def dying(beside, path):
        if str(beside).endswith(".part") and next(count) == write:  # several processes also put the last one aside
            if how == "half":
                os.truncate(beside, beside.stat().st_size // 2)
            os.kill(os.getpid(), KILL)
        replace(beside, path)
    checkpoints.os.replace = dying


def tell_writes(tell: Callable[[object], None]) -> None:
    """("write", done) before every write of a checkpoint, ("kept", done) after it."""
    save = fitting.save_run

    def telling(*given, done: int, **named) -> None:
        tell(("write", done))
        save(*given, done=done, **named)
        tell(("kept", done))
    fitting.save_run = telling


def run(kind: str, path: Path, *, in_write: tuple[str, int] | None, tell: Connection) -> None:
    """The process that is to be killed. in_write: (how, which of its writes)."""
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)
    if in_write:
        die_in_write(*in_write)
    tell_writes(tell.send)
    train(kind, path, tell=tell.send)
    tell.send("done")
