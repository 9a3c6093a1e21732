"""Estimators of log Z against each other on the same four models: AIS forwards and backwards, Bennett's bridges over tempered chains, enumeration where it is possible.

    python3 tools/course.py bench estimators

Models: a random RBM of 12 + 8 units with large weights and one of 784 + 16 units after 3,000 updates of PCD-1 (both enumerated, three seeds and one of every estimator), then the
RBM-500 of CD-1 and the long-trained RBM-500 that ship with chapter 13 (one seed). Base: pixel means of the training pictures, or fair coins where it says so. AIS: 100
chains, evenly spaced temperatures or the 14,500 of Salakhutdinov & Murray. Tempered chains: 100 ladders of 20 temperatures, 200 steps, from the base; reverse AIS starts
from their states at temperature one, the bridges use the last state of every rung. One torch thread.
"""
import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor

from deepgen_lib import CDOptions, RBM, RBMTrainer, ais_log_partition, base_rate, fit, init_visible_bias, load_mnist, load_model, load_notes, log_partition, parallel_tempering, random_rbm, reverse_ais_log_partition
from deepgen_lib.bridge import bennett_log_partition
from deepgen_lib.partition import salakhutdinov_murray_schedule
from deepgen_lib.shipped import CHECKPOINTS
from harness import machine, publish

N_CHAINS, LADDER, N_STEPS, SEEDS = 100, torch.linspace(0, 1, 20), 200, (0, 1, 2)
LONG, FOLDER = salakhutdinov_murray_schedule(), Path(__file__).parents[1] / "work" / "benchmarks"
Estimate = dict[str, float]


class Case(NamedTuple):
    name: str
    rbm: RBM
    mean: Tensor                   # pixel means of the base
    seeds: tuple[int, ...]
    known: Estimate | None = None  # the long AIS, where the file's header holds it


def models(train: Tensor) -> Iterator[Case]:
    coins, mean = torch.full((12,), 0.5), base_rate(train)
    yield Case("12 + 8 units, weights N(0, 4)", random_rbm(12, 8, scale=2.0, rng=torch.Generator().manual_seed(0)).float().requires_grad_(False), coins, SEEDS)
    rng = torch.Generator().manual_seed(0)
    small = init_visible_bias(RBM(784, 16, rng=rng).requires_grad_(False), mean)
    fit(RBMTrainer(small, CDOptions(persistent=True, learning_rate=0.05), data_mean=mean, rng=rng), train, n_updates=3000, rng=rng)
    yield Case("784 + 16 units, PCD-1", small, mean, SEEDS[:1])
    for name, file in (("784 + 500 units, CD-1", "side_by_side_rbm_cd1"), ("784 + 500 units, long PCD-1", "rbm500_long")):
        path = CHECKPOINTS / f"{file}.safetensors"
        known = {field: float(load_notes(path)[note]) for field, note in (("estimate", "log_z"), ("low", "log_z_low"), ("high", "log_z_high"), ("effective_chains", "effective_chains"))}
        yield Case(name, load_model(path, RBM(784, 500)).requires_grad_(False), mean, SEEDS[:1], known)


def estimators(case: Case, seed: int) -> dict[str, Estimate]:
    """Every estimator once."""
    rbm, mean = case.rbm, case.mean
    def rng() -> torch.Generator:
        return torch.Generator().manual_seed(seed)
    found = {}
    for n in (100, 1000):
        found[f"AIS, {n:,} temperatures"] = timed(lambda: ais_log_partition(rbm, base_mean=mean, n_chains=N_CHAINS, n_temperatures=n, rng=rng()))
    found["AIS, 14,500 temperatures"] = case.known or timed(lambda: ais_log_partition(rbm, base_mean=mean, n_chains=N_CHAINS, schedule=LONG, rng=rng()))
    found["AIS from fair coins, 1,000 temperatures"] = timed(lambda: ais_log_partition(rbm, base_mean=torch.full_like(mean, 0.5), n_chains=N_CHAINS, n_temperatures=1000, rng=rng()))
    start = time.process_time()
    chains = parallel_tempering(rbm, n_chains=N_CHAINS, inverse_temperatures=LADDER, n_steps=N_STEPS, base_mean=mean, rng=rng())
    spent = time.process_time() - start
    found["reverse AIS from tempered chains, 1,000 temperatures"] = timed(lambda: reverse_ais_log_partition(rbm, chains.v, base_mean=mean, n_temperatures=1000, rng=rng()), spent)
    found["bridges over tempered chains"] = timed(lambda: bennett_log_partition(rbm, chains, inverse_temperatures=LADDER, base_mean=mean), spent)
    found["bridges over tempered chains"] |= {"least_swap": chains.swap_rates.min().item()}
    return found


def timed(estimate: Callable, before: float = 0.0) -> Estimate:
    start = time.process_time()
    result = estimate()
    row = {"estimate": result.estimate, "low": result.low, "high": result.high, "seconds": before + time.process_time() - start}
    if hasattr(result, "effective_chains"):
        return row | {"effective_chains": result.effective_chains}
    return row | {"least_overlap": result.overlap.min().item()}


def table(found: list[dict]) -> list[list[str]]:
    rows = []
    for model in found:
        truth = model["exact"] if model["exact"] is not None else model["runs"][0]["AIS, 14,500 temperatures"]["estimate"]
        if model["exact"] is not None:
            rows.append([model["name"], "enumeration", f"{truth:.2f}", "0", "", "", f"{model['exact_seconds']:.1f}"])
        for name in model["runs"][0]:
            runs = [run[name] for run in model["runs"]]
            off = [run["estimate"] - truth for run in runs]
            health = f"{min(run['effective_chains'] for run in runs):.0f} of {N_CHAINS} chains" if "effective_chains" in runs[0] else f"overlap {min(run['least_overlap'] for run in runs):.2f}, swaps {min(run['least_swap'] for run in runs):.2f}"
            rows.append([model["name"], name, ", ".join(f"{run['estimate']:.2f}" for run in runs), f"+{runs[0]['high'] - runs[0]['estimate']:.2f} -{runs[0]['estimate'] - runs[0]['low']:.2f}",
                         f"{statistics.mean(off):+.2f}", health, "as shipped" if "seconds" not in runs[0] else f"{statistics.mean(run['seconds'] for run in runs):.1f}"])
    return rows


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "estimators.json"
    found = json.loads(path.read_text()) if path.exists() else []
    for case in models(load_mnist("train", binarisation="fixed").images):
        if case.name in [model["name"] for model in found]:
            continue
        start = time.process_time()
        exact = log_partition(copy.deepcopy(case.rbm).double()).item() if min(case.rbm.n_visible, case.rbm.n_hidden) <= 20 else None
        seconds = time.process_time() - start
        found.append({"name": case.name, "exact": exact, "exact_seconds": seconds, "runs": [estimators(case, seed) for seed in case.seeds]})
        path.write_text(json.dumps(found))
        print(json.dumps(found[-1]), flush=True)
    publish("estimators", "Estimates of log Z, in nats", ["model", "estimator", "log Z, seed by seed", "bar (first seed)", "off the truth (mean)", "health", "processor seconds"], table(found), about=machine(), raw=found,
            notes="Off the truth: off enumeration, or off AIS with 14,500 temperatures where nothing can be enumerated. Bars: three standard errors. A forward estimate that is too low makes a likelihood too good. "
                  "Health: how many chains an AIS estimate rests on; the least share that two neighbouring rungs have in common and the least rate of swaps between them. Seconds include the tempered chains where they are used.")


if __name__ == "__main__":
    main()
