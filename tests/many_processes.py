"""One process of test_many_processes.py: with 4 processes, then with 2, trains each kind of model on its part of every batch and saves what it ends with.

    torchrun --standalone --local-addr localhost --nproc-per-node 4 tests/many_processes.py FOLDER

`alone` does the same in one process, on the joint batches: rows of process r draw from r's generator, the chains of an RBM from the clock that all share.
"""
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

from deepgen_lib import CDOptions, DBN, RBM, LabelledRBM, RBMTrainer, base_rate, conv_training, fit, greedy_dbn, latents, processes, rbm_training
from deepgen_lib.codebook import Codebook
from deepgen_lib.conv_rbm import ConvRBM
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.kernels import cd_step, cd_update, gibbs
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.max_pool import PooledStates
from deepgen_lib.residual_conv import conv_decoder, conv_encoder
from deepgen_lib.streams import AggregatedPosterior
from deepgen_lib.updown import UpDownOptions, UpDownTrainer
from deepgen_lib.vae import mlp_vae
from deepgen_lib.vqvae import VQVAE
from tests import gradient_process

N_UPDATES, ROWS, PIXELS, SIZES = 6, 8, 9, (4, 2)
Batch = Callable[[int], Tensor]


def bits(*shape: int) -> Batch:
    """The joint batch of an update, the same wherever it is drawn; its parts differ much, as parts of sorted data do."""
    def draw(update: int) -> Tensor:
        p = torch.linspace(0.1, 0.9, ROWS, dtype=torch.float64).view(-1, *[1] * len(shape)).expand(ROWS, *shape)
        return torch.bernoulli(p, generator=torch.Generator().manual_seed(50 + update))
    return draw


def seed_of(rank: int) -> torch.Generator:
    return torch.Generator().manual_seed(10 + rank)


def start(rank: int) -> torch.Generator:
    """First weights differ between processes: the first one's must count."""
    return torch.Generator().manual_seed(rank)


def own_mean(rank: int, size: int) -> Tensor:
    """The mean of a process's share of the data, for the offsets; in mu it must become that of all."""
    return base_rate(torch.cat([bits(PIXELS)(update) for update in range(3)]).chunk(size)[rank], clamp=0.01)


def cd(rank: int, size: int, rng: torch.Generator) -> RBMTrainer:
    options = CDOptions(n_gibbs_steps=2, learning_rate=0.3, momentum=0.5, weight_decay=0.01, sparsity_target=0.2, sparsity_weight=0.5)
    return RBMTrainer(RBM(PIXELS, 6, weight_std=0.5, rng=start(rank)).double(), options, rng=rng)


def pcd(rank: int, size: int, rng: torch.Generator) -> RBMTrainer:
    options = CDOptions(persistent=True, n_chains=8, centred=True, learning_rate=0.3, momentum=0.5, weight_decay=0.01)
    return RBMTrainer(RBM(PIXELS, 6, weight_std=0.5, rng=start(rank)).double(), options, data_mean=own_mean(rank, size), rng=rng)


def layer(rank: int, size: int, rng: torch.Generator) -> AggregatedPosterior:
    """The second RBM of a DBN, on samples of the first one's hidden units."""
    return AggregatedPosterior([RBM(PIXELS, 5, weight_std=0.5, rng=start(0)).double()], RBMTrainer(RBM(5, 4, weight_std=0.5, rng=start(rank)).double(), CDOptions(learning_rate=0.3), rng=rng))


def up_down(rank: int, size: int, rng: torch.Generator) -> UpDownTrainer:
    """Labels at the top: the last two columns."""
    dbn = DBN([RBM(PIXELS - 2, 5, weight_std=0.5, rng=start(rank)), LabelledRBM(5, 2, 4, weight_std=0.5, rng=start(rank))]).double()
    return UpDownTrainer(dbn.requires_grad_(False), UpDownOptions(learning_rate=0.3, top_learning_rate=0.3, weight_decay=0.01))


def conv(rank: int, size: int, rng: torch.Generator) -> conv_training.ConvRBMTrainer:
    options = CDOptions(persistent=True, n_chains=8, learning_rate=0.3, momentum=0.5, sparsity_target=0.1, sparsity_weight=0.5)
    return conv_training.ConvRBMTrainer(ConvRBM(1, 2, 3, block=2, weight_std=0.5, rng=start(rank)).double(), options, image_size=(6, 6), rng=rng)


def vae(rank: int, size: int, rng: torch.Generator) -> GradientTrainer:
    return GradientTrainer(mlp_vae(PIXELS, (7,), 2, rng=start(rank)).double(), AdamOptions(learning_rate=0.02, max_norm=2.0, weight_decay=0.1))


def vqvae(rank: int, size: int, rng: torch.Generator) -> GradientTrainer:
    draw = start(rank)
    model = VQVAE(conv_encoder(1, 3, width=4, rng=draw), conv_decoder(1, 3, width=4, rng=draw), Codebook(6, 3, decay=0.8, rng=draw))
    return GradientTrainer(model.double(), AdamOptions(learning_rate=0.02))


KINDS = {"cd": (cd, bits(PIXELS)), "pcd": (pcd, bits(PIXELS)), "layer": (layer, bits(PIXELS)), "up_down": (up_down, lambda update: with_labels(bits(PIXELS)(update))),
         "conv": (conv, bits(1, 6, 6)), "vae": (vae, bits(PIXELS)), "vqvae": (vqvae, bits(1, 8, 8))}


def with_labels(x: Tensor) -> Tensor:
    return torch.cat([x[:, :-2], x[:, -1:], 1 - x[:, -1:]], 1)


def kept(trainer) -> dict[str, Tensor]:
    return {f"model.{name}": value for name, value in trainer.model.state_dict().items()} | {f"trainer.{name}": value for name, value in trainer.state().items()}


def train(kind: str, rank: int, size: int, *, divide: bool = True) -> dict[str, Tensor]:
    """What this process ends with."""
    build, batch = KINDS[kind]
    rng = seed_of(rank)
    trainer = build(rank, size, rng)
    for update in range(N_UPDATES):
        trainer.update(batch(update).chunk(size)[rank] if divide else batch(update), update / N_UPDATES, rng)
    return kept(trainer)


def alone(kind: str, size: int) -> dict[str, Tensor]:
    """What one process ends with that sees the joint batches and has the same random numbers."""
    build, batch = KINDS[kind]
    rngs = [seed_of(rank) for rank in range(size)]
    with joint(rngs):
        trainer = build(0, 1, start(99) if kind in ("cd", "pcd", "layer") else rngs[0])
        rbm_trainer = getattr(trainer, "trainer", trainer)
        if isinstance(rbm_trainer, RBMTrainer):
            rbm_trainer.clock = [new_clock(rng, torch.device("cpu")) for rng in rngs][0]
            rbm_trainer.chains = rbm_trainer._first_chains(len(rbm_trainer.chains), start(99))
        if kind == "pcd":
            rbm_trainer.mu = sum(own_mean(rank, size) for rank in range(size)) / size
        for update in range(N_UPDATES):
            trainer.update(batch(update), update / N_UPDATES, rngs[0])
    return kept(trainer)


@contextlib.contextmanager
def joint(rngs: list[torch.Generator]) -> Iterator[None]:
    """Each process's rows draw from its own generator."""
    def by_parts(function: Callable) -> Callable:
        def drawn(*given):
            *given, _ = given  # self or none, what the numbers are for, perhaps a number; then rng
            parts = [value.chunk(len(rngs)) if isinstance(value, Tensor) else [value] * len(rngs) for value in given]
            results = [function(*part, rng) for *part, rng in zip(*parts, rngs)]
            return PooledStates(*map(torch.cat, zip(*results))) if isinstance(results[0], tuple) else torch.cat(results)
        return drawn
    compare, randn = by_parts(gibbs.compare), latents.randn

    def joint_randn(shape, like, rng):
        return torch.cat([randn((shape[0], shape[1] // len(rngs), *shape[2:]), like, rng) for rng in rngs], 1)
    with (patch.object(gibbs, "compare", lambda p, rng, out=None: compare(p, rng)), patch.object(LabelledRBM, "_draw_labels", by_parts(LabelledRBM._draw_labels)),
          patch.object(latents, "randn", joint_randn), patch.object(conv_training, "sample_max_pool", by_parts(conv_training.sample_max_pool)),
          patch.object(ConvRBM, "draw_visible", by_parts(ConvRBM.draw_visible))):
        yield


def slips(rank: int, size: int) -> dict[str, dict[str, Tensor]]:
    """PCD, and CD, with an error planted in the sharing."""
    def nothing(*given, **named) -> None:
        pass

    def late(parameters, phases, rate, rates) -> None:
        with patch.object(cd_update, "average_", nothing):
            cd_update.update_jointly(parameters, phases, rate, rates)
        processes.average_([*parameters])
    found = {}
    for name, module, attribute, wrong in (("forgotten", cd_update, "average_", nothing), ("late", cd_step, "update_jointly", late), ("same_chains", cd_step, "rank", lambda: 0),
                                           ("no_start", rbm_training, "share_first", nothing), ("own_clock", rbm_training, "share_", nothing)):
        with torch.no_grad(), patch.object(module, attribute, wrong):
            found[name] = train("pcd", rank, size)
    found["whole_batch"] = train("cd", rank, size, divide=False)  # PCD would not notice: its chains are divided, and the mean over equal batches is the batch's
    for kind, module in (("up_down", "updown"), ("conv", "conv_training"), ("vae", "gradient_training")):
        with patch(f"deepgen_lib.{module}.average_", nothing):
            found[f"forgotten_{kind}"] = train(kind, rank, size)
    return found


def complaints(rank: int) -> dict[str, str]:
    """What is said where the processes do not fit together; every process must say it."""
    rng, x = seed_of(rank), bits(PIXELS)(0)
    wrong: dict[str, Callable] = {
        "rows": lambda: processes.average_([torch.zeros(3)], rows=5 + (rank == 2)),
        "shapes": lambda: processes.average_([torch.zeros(3 + (rank == 1))]),
        "models": lambda: RBMTrainer(RBM(PIXELS, 6 + (rank == 3)), CDOptions(), rng=rng),
        "same size, other form": lambda: processes.share_first(nn.Linear(*[(2, 5), (5, 2)][rank % 2], bias=False)),
        "shares": lambda: fit(cd(rank, 4, rng), x[rank == 0:], n_updates=3, batch_size=2, rng=rng),
        "options": lambda: fit(RBMTrainer(RBM(PIXELS, 6).double(), CDOptions(learning_rate=0.1 * (1 + rank)), rng=rng), x, n_updates=3, batch_size=2, rng=rng),
        "places": lambda: processes.average_([torch.zeros(3)]) if rank else processes.share_first(nn.Linear(1, 3)),
        "chains": lambda: RBMTrainer(RBM(PIXELS, 6), CDOptions(persistent=True, n_chains=10), rng=rng),
    }
    said = {}
    for name, call in wrong.items():
        try:
            said[name] = f"nothing, but {call()}"
        except ValueError as error:
            said[name] = str(error)
    return said


def work(rank: int, size: int) -> dict[str, Tensor]:
    found = {kind: train(kind, rank, size) for kind in KINDS}
    found["nvae"] = gradient_process.train(rank, size)
    for name, rate in (("greedy", 0.1), ("still", 0.0)):
        x, options = bits(PIXELS)(0).chunk(size)[rank], CDOptions(centred=True, learning_rate=rate)
        found[name] = dict(greedy_dbn(x, [6, 5], options=options, n_updates=3, batch_size=len(x), rng=seed_of(rank)).state_dict())
    if size == 4:
        found |= slips(rank, size)
    return {f"{size}.{kind}.{name}": value.detach().clone().contiguous() for kind, values in found.items() for name, value in values.items()}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with processes.joined(seconds=200):
        rank = processes.rank()
        found = work(rank, 4)
        (folder / f"{rank}.json").write_text(json.dumps(complaints(rank)))
    if rank < 2:
        distributed.init_process_group("gloo", init_method=(folder / "two").as_uri(), rank=rank, world_size=2, timeout=timedelta(seconds=200))
        found |= work(rank, 2)
        distributed.destroy_process_group()
    save_file(found, folder / f"{rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
