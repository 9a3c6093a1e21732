"""Train a model of this library on all the processes that torchrun starts: a program to begin your own with. reference/cluster.md says how to start it on several machines.

    .venv/bin/torchrun --standalone --local-addr localhost --nproc-per-node 2 benchmarks/train_together.py vae --updates 2000 --checkpoint vae.safetensors
    .venv/bin/python benchmarks/train_together.py vae --updates 2000             the same training in one process

--batch is the joint batch; each process takes its part of it. The same command goes on from the last checkpoint. --model-file FILE keeps the trained parameters, for
load_model. --measure FILE times a few updates instead (scaling.py).
"""
import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from torch import Tensor

from deepgen_lib import DBN, RBM, AdamOptions, CDOptions, GradientTrainer, LabelledRBM, RBMTrainer, UpDownOptions, UpDownTrainer, ais_log_partition, base_rate, fit, load_mnist
from deepgen_lib import processes, save_model
from deepgen_lib.codebook import Codebook
from deepgen_lib.fitting import Trainer
from deepgen_lib.nvae import NVAE
from deepgen_lib.nvae_small import SMALL_NVAE, small_digits
from deepgen_lib.residual_conv import conv_decoder, conv_encoder
from deepgen_lib.vae import mlp_vae
from deepgen_lib.vqvae import VQVAE

WARM_UP = 3


class Plan(NamedTuple):
    """A training: its pictures, its trainer, the size of its joint batch."""
    data: Callable[[], Tensor]
    trainer: Callable[[Tensor, torch.Generator], Trainer]
    batch: int


def digits() -> Tensor:
    return load_mnist("train", binarisation="sampled", seed=0).images


def labelled_digits() -> Tensor:
    found = load_mnist("train", binarisation="sampled", seed=0)
    return torch.cat([found.images, torch.eye(10)[found.labels]], 1)


def maps() -> Tensor:
    return digits().view(-1, 1, 28, 28)


def rbm(n_hidden: int) -> Callable[[Tensor, torch.Generator], Trainer]:
    options = CDOptions(persistent=True, n_chains=100, centred=True, learning_rate=0.05)
    return lambda x, rng: RBMTrainer(RBM(784, n_hidden, rng=rng).to(device()), options, data_mean=base_rate(x).to(device()), rng=rng)


def dbn(x: Tensor, rng: torch.Generator) -> Trainer:
    """Fine-tuning alone, of random layers; they would be trained first, greedy_dbn(own_share(x), ...)."""
    network = DBN([RBM(784, 500, rng=rng), LabelledRBM(500, 10, 1000, rng=rng)]).requires_grad_(False).to(device())
    return UpDownTrainer(network, UpDownOptions())


def vae(x: Tensor, rng: torch.Generator) -> Trainer:
    return GradientTrainer(mlp_vae(784, (500, 500), 20, rng=rng).to(device()), AdamOptions())


def vqvae(x: Tensor, rng: torch.Generator) -> Trainer:
    model = VQVAE(conv_encoder(1, 16, width=32, rng=rng), conv_decoder(1, 16, width=32, rng=rng), Codebook(64, 16, rng=rng), revive_below=0.05).to(device())
    model.init_codes(x[:200].to(device()), rng=rng)
    return GradientTrainer(model, AdamOptions())


def nvae(x: Tensor, rng: torch.Generator) -> Trainer:
    return GradientTrainer(NVAE(SMALL_NVAE, rng=rng).to(device()), AdamOptions(kind="adamax", learning_rate=0.01))


PLANS = {"rbm_small": Plan(digits, rbm(50), 100), "rbm": Plan(digits, rbm(500), 100), "dbn": Plan(labelled_digits, dbn, 100), "vae": Plan(digits, vae, 200),
         "vqvae": Plan(maps, vqvae, 64), "nvae": Plan(lambda: small_digits("train"), nvae, 64)}


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepared(plan: Plan, seed: int) -> tuple[Trainer, Tensor, torch.Generator]:
    """The trainer, this process's share of the data, and random numbers of its own."""
    share = processes.own_share(plan.data())
    rng = torch.Generator().manual_seed(1000 * seed + processes.rank())
    trainer = plan.trainer(share, rng)
    update, where = trainer.update, device()
    trainer.update = lambda batch, *rest: update(batch.to(where), *rest)  # the data stay on the host
    return trainer, share, rng


def part_of(batch: int) -> int:
    n, rest = divmod(batch, processes.n_processes())
    if rest:
        raise ValueError(f"train_together: batch is {batch} for {processes.n_processes()} processes, expected a number that they divide; pass --batch {batch - rest or processes.n_processes()}")
    return n


def measure(one: Callable[[], None], n: int) -> dict[str, float]:
    """Median milliseconds of one update, bytes that a process hands over in it, share of the time in exchanges (sending, adding, waiting for the others)."""
    exchange, spent, sent = processes._exchange, [], []

    def timed(collective, *given):
        begun = time.perf_counter()
        exchange(collective, *given)
        spent[-1] += time.perf_counter() - begun
        sent[-1] += max(value.nbytes for value in given if isinstance(value, Tensor))
    processes._exchange, seconds = timed, []
    for _ in range(WARM_UP + n):
        spent.append(0.0)
        sent.append(0)
        begun = time.perf_counter()
        one()
        if device().type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    processes._exchange = exchange
    return {"ms": 1000 * statistics.median(seconds[WARM_UP:]), "bytes": statistics.median(sent[WARM_UP:]), "share": sum(spent[WARM_UP:]) / sum(seconds[WARM_UP:])}


def measured(name: str, n: int, batch: int | None, seed: int) -> dict[str, float]:
    if name == "ais":
        model, rng = RBM(784, 500, weight_std=0.05, rng=torch.Generator().manual_seed(seed)).to(device()), torch.Generator().manual_seed(1000 * seed + processes.rank())
        own, mean = part_of(batch or 100), torch.full((784,), 0.2, device=device())

        def one() -> None:
            weights = torch.zeros(processes.n_processes(), own, dtype=torch.float64)
            weights[processes.rank()] = ais_log_partition(model, base_mean=mean, n_chains=own, n_temperatures=100, rng=rng).log_weights.cpu()
            processes.add_up_(weights)
        return measure(one, n) | {"parameters": sum(p.numel() for p in model.parameters()), "batch": own * processes.n_processes()}
    plan = PLANS[name]
    trainer, share, rng = prepared(plan, seed)
    own = part_of(batch or plan.batch)
    found = measure(lambda: trainer.update(share[torch.randint(len(share), (own,), generator=rng)], 0.5, rng), n)
    return found | {"parameters": sum(p.numel() for p in trainer.model.parameters()), "batch": own * processes.n_processes()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*PLANS, "ais"])
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--batch", type=int, help="the joint batch")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--model-file", type=Path, help="where the first process saves the trained model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300, help="how long to wait for a process that does not answer")
    parser.add_argument("--measure", type=Path)
    given = parser.parse_args()
    if given.model_file:
        given.model_file.parent.mkdir(parents=True, exist_ok=True)  # now, not after hours
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with processes.joined(seconds=given.seconds):
        if given.measure:
            found = measured(given.model, given.updates, given.batch, given.seed)
            return given.measure.write_text(json.dumps(found)) if processes.rank() == 0 else None
        plan = PLANS[given.model]
        trainer, share, rng = prepared(plan, given.seed)
        result = fit(trainer, share, n_updates=given.updates, batch_size=part_of(given.batch or plan.batch), checkpoint=given.checkpoint, rng=rng)
        if processes.rank() == 0:
            if given.model_file:
                save_model(given.model_file, trainer.model, notes={"model": given.model, "updates": str(result.n_updates)})
            print(f"{given.model}: {result.n_updates} updates, {result.n_updates - result.resumed_at} of them now, in {processes.n_processes()} processes")


if __name__ == "__main__":
    main()
