"""RBM-500 on the fixed-binarised MNIST by CD-1, CD-3 and CD-25: at the end of training, and where validation says to stop.

    python3 tools/course.py bench rbm_cd [CD-1 ...]

Plain CD climbs in likelihood and in the end falls, while its reconstructions still improve (rbm_likelihood: CD-1 after 40,000 updates). A short AIS on the validation pictures (50 chains, 500 temperatures) at
20 places of the run picks the place; log Z is then measured with 100 chains, at that place and at the
end: for CD-1 14,500 temperatures, for the others every fifth of them. Test pictures are read last.
One seed, one torch thread. A finished run is kept in work/benchmarks and not repeated. CD-3 and CD-25 use centred gradients.
"""
import copy
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor

from deepgen_lib import CDOptions, RBM, RBMTrainer, ais_log_partition, base_rate, fit, init_visible_bias, load_mnist, load_model, save_model
from deepgen_lib.partition import salakhutdinov_murray_schedule
from harness import RESULTS, machine, publish

SEED = 0
METHODS = {  # name: (updates, options)
    "CD-1": (4_000, CDOptions(learning_rate=0.05, weight_decay=0.001)),
    "CD-3": (6_000, CDOptions(n_gibbs_steps=3, centred=True, learning_rate=0.05, weight_decay=0.001)),
    "CD-25": (12_000, CDOptions(n_gibbs_steps=25, centred=True, learning_rate=0.1, weight_decay=0.0005)),
}
LONG = salakhutdinov_murray_schedule()
FIFTH = torch.cat([LONG[:-1:5], LONG[-1:]])
FOLDER = Path(__file__).parents[1] / "work" / "benchmarks"


class Best(NamedTuple):
    valid: float
    update: int
    model: RBM


def run(method: str) -> list[dict]:
    """Train and measure; the rows of the best place and of the end."""
    done = FOLDER / f"rbm_cd_{method}.json"
    if done.exists():
        return json.loads(done.read_text())
    n_updates, options = METHODS[method]
    train, valid = (load_mnist(split, binarisation="fixed").images for split in ("train", "valid"))
    mean, rng = base_rate(train), torch.Generator().manual_seed(SEED)
    rbm, places, best = init_visible_bias(RBM(784, 500, rng=rng).requires_grad_(False), mean), [], []
    def watch(update: int, model: RBM) -> None:
        ais = ais_log_partition(model, base_mean=mean, n_chains=50, n_temperatures=500, rng=torch.Generator().manual_seed(update))
        value = -model.free_energy(valid).mean().item() - ais.estimate
        places.append((update, value))
        if not best or value > best[0].valid:
            best[:] = [Best(value, update, copy.deepcopy(model))]
        print(method, update, f"{value:.1f}", f"{reconstruction(model, valid[:1000]):.1f}", f"{time.process_time():.0f}", flush=True)
    start = time.process_time()
    fit(RBMTrainer(rbm, options, data_mean=mean, rng=rng), train, n_updates=n_updates, watch=watch, rng=rng)
    seconds = time.process_time() - start
    rows = [{"method": method, "place": place, "update": update, "n_updates": n_updates, "seed": SEED, "seconds": seconds, "places": places, **measure(model, mean, LONG if method == "CD-1" else FIFTH)}
            for place, update, model in (("best on validation", best[0].update, best[0].model), ("end of training", n_updates, rbm))]
    save_model(FOLDER / f"rbm_cd_{method}.safetensors", rbm, notes={"script": "benchmarks/rbm_cd.py"})
    done.write_text(json.dumps(rows))
    return rows


@torch.no_grad()
def measure(rbm: RBM, mean: Tensor, schedule: Tensor = LONG) -> dict:
    """log Z by 100 chains, the mean log-likelihood of three splits, and what a picture and its rebuilt form differ by."""
    ais = ais_log_partition(rbm, base_mean=mean, n_chains=100, schedule=schedule, rng=torch.Generator().manual_seed(SEED + 1))
    sets = {split: load_mnist(split, binarisation="fixed").images[:10_000] for split in ("train", "valid", "test")}
    row = {"log_z": ais.estimate, "log_z_low": ais.low, "log_z_high": ais.high, "effective_chains": ais.effective_chains}
    return row | {split: -rbm.free_energy(x).mean().item() - ais.estimate for split, x in sets.items()} | {"reconstruction": reconstruction(rbm, sets["test"])}


@torch.no_grad()
def reconstruction(rbm: RBM, x: Tensor) -> float:
    """Mean cross-entropy, in nats, of x given the hidden probabilities of x."""
    logits = rbm.visible_logits(torch.sigmoid(rbm.hidden_logits(x)))
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean().item()


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for method in sys.argv[1:] or METHODS:
        run(method)
    rows = [row for method in METHODS if (FOLDER / f"rbm_cd_{method}.json").exists() for row in run(method)]
    table = [[r["method"], r["place"], f"{r['update']:,}", f"{r['test']:.2f} (+{r['log_z'] - r['log_z_low']:.2f} -{r['log_z_high'] - r['log_z']:.2f})", f"{r['valid']:.2f}", f"{r['train']:.2f}", f"{r['reconstruction']:.1f}",
              f"{r['log_z']:.2f}", f"{r['effective_chains']:.0f}", f"{r['seconds'] / 60:.1f}"] for r in rows]
    publish("rbm_cd", "RBM-500 on fixed-binarised MNIST by contrastive divergence: log-likelihood by AIS, in nats",
            ["method", "parameters of", "after updates", "test", "valid", "train (10,000)", "reconstruction, test", "log Z", "effective chains", "processor minutes of the run"], table, about=machine(), raw=rows,
            notes=__doc__.split("\n\n")[2].strip().replace("\n", " ") + " In brackets three standard errors of log Z. Batch 100; the rate falls linearly to zero. Reconstruction: nats, smaller is better.")


if __name__ == "__main__":
    main()
