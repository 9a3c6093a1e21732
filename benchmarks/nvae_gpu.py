"""NVAE on MNIST at 28 x 28 on a data-centre GPU: the table's full row beside the published 78.0 nats, and a network that has ten minutes to reach 80.

    python3 benchmarks/nvae_gpu.py budget       ten minutes of training, all set-up counted, then its bounds
    python3 benchmarks/nvae_gpu.py full         60,000 updates of 400, as published; checkpoints in work/benchmarks, so a stopped run goes on where it was
    python3 benchmarks/nvae_gpu.py --small      both, the same lines of code with every size cut, on any processor in a minute; what runs where there is no GPU

Pixels are drawn anew for every batch from all 60,000 grey training pictures; the test pictures are drawn once. Forward passes in bfloat16 (autocast), channels last,
compiled; KL, likelihood and penalties in float32. Bounds are those of a plain network with the same weights: float32, not compiled.
"""
import argparse
import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor

from deepgen_lib import fit, load_mnist
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import NVAE, NVAE_TABLE, NVAEConfig
from harness import RESULTS, machine, publish

FOLDER = Path(__file__).parents[1] / "work" / "benchmarks"


class Plan(NamedTuple):
    config: NVAEConfig
    options: AdamOptions
    batch_size: int
    n_updates: int | None    # None: as many as fit into
    seconds: float | None    # of training, compilation and everything before it included
    n_pace: int              # updates that are timed first
    n_test: int              # test pictures, for the bound
    n_importance: int        # draws of z for each of them


FULL = Plan(NVAE_TABLE["MNIST"], AdamOptions(kind="adamax", learning_rate=0.01, final_learning_rate=1e-4, schedule="cosine", warm_up=5 / 400, weight_decay=3e-4, max_norm=200.0), 400, 60_000, None, 30, 10_000, 1000)
BUDGET = FULL._replace(config=replace(NVAE_TABLE["MNIST"], cells=1), batch_size=256, n_updates=None, seconds=600.0, options=replace(FULL.options, warm_up=0.03))
PLANS = {"full": FULL, "budget": BUDGET}
CUT = dict(groups=(1, 2), width=4, n_latent=4, cells=1, outer_cells=1, expansion=2)
SMALL = {"full": FULL._replace(config=replace(FULL.config, **CUT), batch_size=32, n_updates=40, n_pace=3, n_test=100, n_importance=5),
         "budget": BUDGET._replace(config=replace(BUDGET.config, **CUT), batch_size=32, seconds=20.0, n_pace=3, n_test=100, n_importance=5)}


class HalfPrecision(NVAE):
    """The forward pass in bfloat16 where autocast thinks it safe."""

    def forward(self, x: Tensor, noise: list[Tensor]):
        with torch.autocast(x.device.type, torch.bfloat16):
            return super().forward(x, noise)


class OnDevice:
    """A trainer for `fit`: carries grey pictures over, draws their pixels, updates; draws come from the device's own generator."""

    def __init__(self, model: NVAE, options: AdamOptions, device: torch.device, seed: int = 0):
        self.model, self.inner, self.device = model, GradientTrainer(model, options), device
        self.rng = torch.Generator(device).manual_seed(seed)

    def update(self, batch: Tensor, fraction: float, rng: torch.Generator) -> None:
        x = torch.bernoulli(batch.to(self.device), generator=self.rng)
        self.inner.update(x.contiguous(memory_format=torch.channels_last), fraction, self.rng)

    def check_data(self, data: Tensor) -> None:
        self.inner.check_data(data[:1].round().to(self.device))

    def state(self) -> dict[str, Tensor]:
        return self.inner.state() | {"device_rng": self.rng.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.inner.load_state(state)
        self.rng.set_state(state["device_rng"])

    def describe(self) -> dict[str, str]:
        return self.inner.describe()


def grey(split: str) -> Tensor:
    return load_mnist(split, binarisation="grey").images.view(-1, 1, 28, 28)


def checkpoint_of(name: str) -> Path:
    return FOLDER / f"nvae_gpu_{name.replace(' ', '_')}.safetensors"


def wait(device: torch.device) -> float:
    """The time when everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def paced(trainer: OnDevice, batch: Tensor, n: int) -> float:
    """Seconds an update takes, once compiled; the model and its trainer are trained on the way."""
    for update in range(n + 3):
        if update == 3:
            start = wait(trainer.device)
        trainer.update(batch, 0.5, trainer.rng)
    return (wait(trainer.device) - start) / n


def train(name: str, plan: Plan, device: torch.device, compiled: str) -> tuple[NVAE, dict]:
    """The trained network and what its training took."""
    start, data = wait(device), grey("train+valid")
    model = HalfPrecision(plan.config, rng=torch.Generator().manual_seed(0)).to(device, memory_format=torch.channels_last)
    if compiled != "none":
        model.compile(backend=compiled)
        if model.spectral is not None:
            model.spectral.compile(backend=compiled)
    first = {key: value.clone() for key, value in model.state_dict().items()}
    pace = paced(OnDevice(model, plan.options, device), data[:plan.batch_size], plan.n_pace)
    model.load_state_dict(first)
    ready = wait(device)
    n_updates = plan.n_updates or max(10, int((plan.seconds - (ready - start)) / pace))
    checkpoint = checkpoint_of(name) if plan.seconds is None else None
    result = fit(OnDevice(model, plan.options, device), data, n_updates=n_updates, batch_size=plan.batch_size, checkpoint=checkpoint, rng=torch.Generator().manual_seed(1))
    end = wait(device)
    fresh = n_updates - result.resumed_at
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None
    return model, {"set_up_seconds": ready - start, "train_seconds": end - ready, "n_updates": n_updates, "resumed_at": result.resumed_at, "batch_size": plan.batch_size,
                   "images_per_second": fresh * plan.batch_size / (end - ready) if fresh else None, "memory_gib": memory, "parameters": sum(p.numel() for p in model.parameters())}


@torch.no_grad()
def measured(trained: NVAE, plan: Plan, device: torch.device) -> dict:
    """Bounds on the test pictures, in nats per picture."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    model = NVAE(plan.config, rng=torch.Generator().manual_seed(0)).to(device).eval()
    model.load_state_dict(trained.state_dict())
    x = torch.bernoulli(grey("test")[:plan.n_test], generator=torch.Generator().manual_seed(2)).to(device)
    seeded = lambda n: torch.Generator(device).manual_seed(n)
    terms = [model.elbo(part, seeded(n)) for n, part in enumerate(x.split(500))]
    with torch.autocast(device.type, torch.bfloat16):
        half = torch.cat([model.elbo(part, seeded(n)).total for n, part in enumerate(x.split(500))])
        weighted = torch.cat([model.importance_bound(part, n_samples=plan.n_importance, rng=seeded(1000 + n)) for n, part in enumerate(x.split(500))])
    bound, kl = torch.cat([t.total for t in terms]), torch.cat([t.kl for t in terms]).mean(0)
    return {"bound": bound.mean().item(), "bfloat16_moves": (half.mean() - bound.mean()).item(), "weighted": weighted.mean().item(),
            "weighted_error": (weighted.std() / math.sqrt(len(weighted))).item(), "n_test": plan.n_test, "n_importance": plan.n_importance, "kl": kl.tolist()}


def run(name: str, plan: Plan, device: torch.device, compiled: str) -> dict:
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    model, cost = train(name, plan, device, compiled)
    start = wait(device)
    found = cost | measured(model, plan, device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return found | {"measure_seconds": wait(device) - start, "device": where, "compiled": compiled, "machine": machine()}


def row(name: str, found: dict | None) -> list[str]:
    asked = {"full": "78.0 (published)", "budget": "80 in 600 s"}.get(name, "runs")
    if found is None:
        return [name, asked, *["not measured: no GPU so far"] + ["-"] * 7]
    speed, memory = found["images_per_second"], found["memory_gib"]
    return [name, asked, f"{found['device']}, {found['machine']['date']}", f"{-found['bound']:.2f}", f"{-found['weighted']:.2f} ± {found['weighted_error']:.2f} ({found['n_importance']:,} draws, {found['n_test']:,} pictures)",
            f"{found['bfloat16_moves']:+.3f}", f"{found['set_up_seconds']:.0f} + {found['train_seconds']:.0f}", f"{found['n_updates']:,} of {found['batch_size']}",
            "-" if speed is None else f"{speed:,.0f}", "-" if memory is None else f"{memory:.1f}"]


def write(name: str, found: dict) -> None:
    """Beside what was measured before, here or elsewhere."""
    path = RESULTS / "nvae_gpu.json"
    kept = json.loads(path.read_text())["raw"] if path.exists() else {}
    kept[name] = found
    rows = [row(key, kept.get(key)) for key in ("full", "budget", "small full", "small budget")]
    publish("nvae_gpu", "NVAE on MNIST at 28 x 28", ["run", "asked", "where", "-bound, nats", "-importance-weighted, nats", "bfloat16 moves the bound by", "seconds: set-up and compilation + training", "updates", "images per second", "memory, GiB"],
            rows, about=machine(), raw=kept, notes="Published: 78.01 nats, importance-weighted with 1,000 draws, 400 passes, 2 GPUs (Vahdat & Kautz 2020). \"small\" rows only prove that the script runs from end to end: a network of "
            "three groups after seconds of training, graphs traced for torch.compile but run without generated code; their nats say nothing about the full ones. Set-up: reading, building, compiling, timing a few updates. Lower is better in nats.")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(PLANS))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--compiled", help="backend of torch.compile, or none; inductor on a GPU, aot_eager in small: the same graphs, without a compiler's minutes")
    given = parser.parse_args()
    small = given.small or not torch.cuda.is_available()
    if small and not given.small:
        print("no GPU here: --small")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        key = f"small {name}" if small else name
        if small:
            checkpoint_of(key).unlink(missing_ok=True)
        write(key, run(key, (SMALL if small else PLANS)[name], device, given.compiled or ("aot_eager" if small else "inductor")))


if __name__ == "__main__":
    main()
