"""Training updates of NVAE (both towers, backward, spectral penalty, Adamax): pictures per second and peak memory, plain and with what torch offers.

    python3 tools/course.py bench nvae_speed             on a GPU the six rows of the lecture's table at full size; without one a small row, all cores, about 4 minutes
    python3 benchmarks/nvae_speed.py --row "CIFAR-10"    one row, or more; rows that were measured before stay in the table
    python3 benchmarks/nvae_speed.py --quick             the same lines of code on a toy, one thread, two rounds of one update; nothing written, no code generated (aot_eager)

Each way of computing has processes of its own: one that measures memory and the first update (which compiles), one that is timed; on a processor the timed ones take
turns, on a GPU they run one after the other, so that each has all memory. A way that fails, or is not compiled within --limit seconds, says so below the table.
"""
import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"
import torch

from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import NVAE, NVAE_TABLE, NVAEConfig
from harness import RESULTS, Timing, machine, paired, publish, ratio

STATUS = Path("/proc/self/status")  # on Linux alone; elsewhere a processor's memory is not measured
SMALL = NVAEConfig(groups=(1, 1), width=16, cells=1, outer_cells=1)
TOY = NVAEConfig(groups=(2,), image_size=4, n_down=0, n_latent=2, width=2, cells=1, outer_cells=1, expansion=1)
LABELS = {"eager": "as it is", "channels_last": "channels last", "compiled": "torch.compile", "bf16": "bfloat16", "all": "all three"}


class Plan(NamedTuple):
    config: NVAEConfig
    batch: int
    n_updates: int  # timed in a round
    rounds: int


BATCHES = {"MNIST": 200, "CIFAR-10": 32, "ImageNet 32": 24, "CelebA 64": 16, "CelebA-HQ 256": 4, "FFHQ 256": 4}  # for one GPU
PLANS = {name: Plan(config, BATCHES[name], 10, 3) for name, config in NVAE_TABLE.items()} | {"small": Plan(SMALL, 64, 3, 5), "toy": Plan(TOY, 8, 1, 2)}


class Way(NamedTuple):
    """How the same numbers are computed."""
    channels_last: bool = False
    compiled: bool = False
    bf16: bool = False


WAYS = {"eager": Way(), "channels_last": Way(channels_last=True), "compiled": Way(compiled=True), "bf16": Way(bf16=True), "all": Way(True, True, True)}


class Computed(NVAE):
    """The bound under autocast if asked; KL, likelihood and penalties stay float32."""
    half = False

    def forward(self, x: torch.Tensor, noise: list[torch.Tensor]):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.half):
            return super().forward(x, noise)


def updates(name: str, way: Way, device: str, backend: str):
    """A function that makes n updates and waits until the device is done; returns the pictures seen."""
    plan, form = PLANS[name], torch.channels_last if way.channels_last else torch.contiguous_format
    rng = torch.Generator(device).manual_seed(0)
    model = Computed(plan.config, rng=torch.Generator().manual_seed(0)).to(device, memory_format=form)
    model.half = way.bf16
    if way.compiled:
        options = {"cpp_wrapper": True} if backend == "inductor" and device == "cpu" else None  # one C++ file for each graph in place of one for each of its loops
        model.compile(backend=backend, options=options)
        model.spectral.compile(backend=backend, options=options)
    levels = 1 if plan.config.likelihood == "bernoulli" else plan.config.n_levels - 1
    x = (torch.randint(0, levels + 1, (plan.batch, plan.config.n_channels, *[plan.config.image_size] * 2), generator=rng, device=device) / levels).contiguous(memory_format=form)
    trainer = GradientTrainer(model, AdamOptions(kind="adamax", learning_rate=0.001, max_norm=200.0))

    def run(n: int) -> int:
        for _ in range(n):
            trainer.update(x, 0.5, rng)
        if device == "cuda":
            torch.cuda.synchronize()
        return n * plan.batch
    return run


def timed(name: str, way: Way, device: str, backend: str):
    run, n = updates(name, way, device, backend), PLANS[name].n_updates
    run(3)  # compiled, the optimiser's averages there, cuDNN's choices made
    return lambda: run(n)


def cost(name: str, way: Way, device: str, backend: str, threads: int) -> dict:
    """Seconds of the first update, peak memory of a later one in MiB; or the error in words."""
    torch.set_num_threads(threads)
    try:
        run = updates(name, way, device, backend)
        start = time.perf_counter()
        run(1)
        first = time.perf_counter() - start
        run(1)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            run(1)
            return {"first": first, "MiB": torch.cuda.max_memory_allocated() / 2**20}
        if STATUS.exists():
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is held now
            run(1)
        return {"first": first, "MiB": _peak_mib() if STATUS.exists() else None}
    except Exception as error:  # no compiler, no memory: said in the table, the others go on
        return {"error": _in_words(error)}


def _peak_mib() -> float:
    """The most that this process held since the mark was set, libraries included."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")) / 2**10


def _in_words(error: Exception) -> str:
    """The kind of error and the first line of its reason, without paths."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    line = next((line for line in lines if "rror" in line or "ompiler" in line or "memory" in line), lines[0])
    return f"{type(error).__name__}: {' '.join(word for word in line.split() if os.sep not in word)}"[:160]


def within(limit: float, name: str, way: Way, device: str, backend: str, threads: int) -> dict:
    """`cost` in a process of its own, given up after limit seconds."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply_async(cost, (name, way, device, backend, threads)).get(limit)
        except multiprocessing.TimeoutError:
            return {"error": f"no update within {limit:.0f} seconds" + (", compiling" if way.compiled else "")}


def measure(name: str, device: str, backend: str, limit: float, threads: int) -> dict:
    busy, costs = f", load when begun: {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "", {}
    for key, way in WAYS.items():
        costs[key] = within(limit, name, way, device, backend, threads)
        print(f"{name}, {LABELS[key]}: {costs[key]}", flush=True)
    candidates = {key: (timed, (name, way, device, backend)) for key, way in WAYS.items() if "error" not in costs[key]}
    times: dict[str, Timing] = {}
    for part in [candidates] if device == "cpu" else [{key: value} for key, value in candidates.items()]:
        times |= paired(part, rounds=PLANS[name].rounds, threads=threads)
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, threads: {threads}{busy}"
    return {"where": where, "machine": machine(), "backend": backend, "images per second": {key: t.rates for key, t in times.items()}, "cost": costs}


def row(name: str, record: dict) -> list[str]:
    with torch.device("meta"):
        millions = sum(p.numel() for p in NVAE(PLANS[name].config).parameters()) / 1e6
    times = {key: Timing(rates) for key, rates in record["images per second"].items()}
    return [name, f"{millions:.2f} M", f"{PLANS[name].batch}", f"{record['where']}, {record['machine']['date']}", *(_cell(key, times, record["cost"][key]) for key in WAYS)]


def _cell(key: str, times: dict[str, Timing], found: dict) -> str:
    if key not in times:
        return "none"
    faster = f" ({ratio(times[key], times['eager']):.2f} x)" if key != "eager" and "eager" in times else ""
    memory = "" if found["MiB"] is None else f", {found['MiB'] / 1024:.2f} GiB"
    return f"{times[key].median:,.3g}{faster}{memory}"


def remarks(name: str, record: dict) -> str:
    """What the first updates took, and what failed."""
    first = [f"{LABELS[key]} {found['first']:.0f} s" for key, found in record["cost"].items() if "error" not in found]
    failed = [f"{LABELS[key]}: {found['error']}" for key, found in record["cost"].items() if "error" in found]
    return f"{name}: {'; '.join(first + failed)}."


def write(name: str, record: dict) -> None:
    """Beside the rows that were measured before, here or elsewhere."""
    path = RESULTS / "nvae_speed.json"
    kept = (json.loads(path.read_text())["raw"] if path.exists() else {}) | {name: record}
    kept = {key: kept[key] for key in PLANS if key in kept}
    missing = [key for key in NVAE_TABLE if key not in kept]
    about = f" Not measured, as they need a GPU: {', '.join(missing)}; the same script measures them there." if missing else ""
    publish("nvae_speed", "A training update of NVAE: pictures per second, and peak memory", ["network", "parameters", "batch", "where", *LABELS.values()], [row(key, found) for key, found in kept.items()],
            about=machine(), raw=kept, notes="Medians over the rounds; in brackets against the column \"as it is\", round by round. Memory: the most held during one update, on a GPU as torch allocates it, on a processor the whole "
            f"process with its libraries. The small network, no row of the lecture's table: groups {SMALL.groups}, width {SMALL.width}, one cell each.{about} First updates, compilation and all: " + " ".join(remarks(key, found) for key, found in kept.items()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--row", action="append", choices=[*NVAE_TABLE, "small"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--backend", help="of torch.compile")
    parser.add_argument("--limit", type=float, help="seconds for a way's first updates, compilation and all; 60 on a processor, 900 on a GPU")
    parser.add_argument("--threads", type=int, help="all cores if not given")
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = 1 if given.quick else given.threads or os.cpu_count()
    torch.set_num_threads(threads)
    for name in ["toy"] if given.quick else given.row or (list(NVAE_TABLE) if device == "cuda" else ["small"]):
        record = measure(name, device, given.backend or ("aot_eager" if given.quick else "inductor"), given.limit or (60 if device == "cpu" else 900), threads)
        print(*row(name, record), remarks(name, record), sep=" | ", flush=True)
        if not given.quick:
            write(name, record)


if __name__ == "__main__":
    main()
