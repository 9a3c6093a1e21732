"""One process of test_gradient_processes.py: trains a tiny NVAE on its share of the pictures, and saves what every process ends with.

    python -m torch.distributed.run --standalone --local-addr localhost --nproc_per_node 2 tests/gradient_process.py FOLDER
"""
import copy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from safetensors.torch import save_file
from torch import Tensor, distributed

from deepgen_lib import gradient_training as module
from deepgen_lib.fitting import fit
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import NVAE
from tests.nvae_models import pictures, tiny_config

N_UPDATES, BATCH_SIZE, SIZE = 5, 6, 2
OPTIONS = AdamOptions(kind="adamax", learning_rate=0.02, max_norm=20.0)  # some gradients are shortened, so their size matters


def new_model(rank: int) -> NVAE:
    """Different first weights on every process: the first one's must count."""
    return NVAE(tiny_config(), rng=torch.Generator().manual_seed(rank)).double()


def share(rank: int, size: int) -> Tensor:
    return pictures(new_model(0), 24)[rank::size]


def seed_of(rank: int) -> torch.Generator:
    return torch.Generator().manual_seed(10 + rank)


def by_hand(size: int = SIZE) -> dict[str, Tensor]:
    """All processes' work in one: a copy of the network for each, their gradients' mean, one step, running statistics averaged."""
    copies = [new_model(0) for _ in range(size)]
    steppers = [GradientTrainer(model, OPTIONS) for model in copies]
    data, rngs, orders = [share(rank, size) for rank in range(size)], [seed_of(rank) for rank in range(size)], [None] * size
    per_epoch = len(data[0]) // BATCH_SIZE
    for update in range(N_UPDATES):
        fraction, gradients = update / N_UPDATES, []
        for rank, model in enumerate(copies):
            if update % per_epoch == 0:
                orders[rank] = torch.randperm(len(data[rank]), generator=rngs[rank])
            at = update % per_epoch * BATCH_SIZE
            loss = model.train().training_loss(data[rank][orders[rank][at:at + BATCH_SIZE]], fraction, rngs[rank])
            gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
        mean = [None if parts[0] is None else sum(parts) / size for parts in zip(*gradients)]
        for model, stepper in zip(copies, steppers):
            step_with(stepper, model, mean, OPTIONS.rate(fraction))
        for parts in zip(*(module.running_statistics(model) for model in copies)):
            both = sum(parts) / size
            for value in parts:
                value.copy_(both)
    return {**copies[0].state_dict(), **{f"grad.{name}": p.grad for name, p in copies[0].named_parameters() if p.grad is not None}}


def step_with(stepper: GradientTrainer, model: NVAE, gradients: list[Tensor | None], rate: float) -> None:
    for p, g in zip(model.parameters(), gradients):
        p.grad = None if g is None else g.clone()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], OPTIONS.max_norm)
    stepper.optimiser.param_groups[0]["lr"] = rate
    stepper.optimiser.step()


def own(values: list[Tensor], rows: int) -> None:
    """No exchange at all."""


def total(values: list[Tensor], rows: int) -> None:
    """Added up over the processes, not divided."""
    for value in values:
        distributed.all_reduce(value)


def gradients_alone(values: list[Tensor], rows: int) -> None:
    """The batch norms' running statistics, which stand last, stay each process's own."""
    RIGHT(values[:-gradients_alone.n_statistics], rows=rows)


def first_alone(values: list[Tensor], rows: int) -> None:
    """Everyone takes the first process's gradient."""
    for value in values:
        distributed.broadcast(value, 0)


def no_start(model: NVAE) -> None:
    """First weights are not shared."""


RIGHT, SHARE = module.average_, module.share_first
VARIANTS = {"right": (RIGHT, SHARE), "own": (own, SHARE), "total": (total, SHARE), "gradients_alone": (gradients_alone, SHARE), "first_alone": (first_alone, SHARE), "no_start": (RIGHT, no_start)}


def train(rank: int, size: int = SIZE) -> dict[str, Tensor]:
    model = new_model(rank)
    gradients_alone.n_statistics = len(module.running_statistics(model))
    fit(GradientTrainer(model, OPTIONS), share(rank, size), n_updates=N_UPDATES, batch_size=BATCH_SIZE, rng=seed_of(rank))
    return {**model.state_dict(), **{f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    found, rank = {}, distributed.get_rank()
    for name, (average, start) in VARIANTS.items():
        module.average_, module.share_first = average, start
        found |= {f"{name}.{key}": copy.deepcopy(value).contiguous() for key, value in train(rank).items()}
    save_file(found, folder / f"{rank}.safetensors")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
