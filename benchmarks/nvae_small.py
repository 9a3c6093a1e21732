"""Train the small NVAE that chapter 12 samples from, and ship it; beside it, two ways to write q and two ways to begin, three seeds each.

    python3 tools/course.py bench nvae_small

14 x 14 digits of deepgen_lib/nvae_small.py. The test pictures are read at the end. One torch thread.
"""
import copy
import json
import os
import statistics
import time
from dataclasses import replace

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor

from deepgen_lib import NVAE, AdamOptions, GradientTrainer, fit, save_model
from deepgen_lib.nvae_small import CHECKPOINT, SMALL_NVAE, bare_small_nvae, small_digits
from harness import machine, publish

OPTIONS = AdamOptions(kind="adamax", learning_rate=0.02, final_learning_rate=0.001, warm_up=0.05)
SEEDS, N_UPDATES, N_SHIPPED, BATCH = (0, 1, 2), 300, 2000, 64
BARE = dict(warm_up=0.0, balance=False)
WAYS = {"relative": {}, "absolute": dict(relative=False), "relative, no warm-up": BARE, "absolute, no warm-up": dict(relative=False, **BARE)}


def main() -> None:
    torch.set_num_threads(1)
    train, test = (small_digits(split).contiguous(memory_format=torch.channels_last) for split in ("train", "test"))
    start = time.process_time()
    shipped = bare_small_nvae()
    state = trained(train, 0, N_SHIPPED).state_dict()
    shipped.load_state_dict({name: state[name].half().to(state[name].dtype) for name in shipped.state_dict()})  # float16, as it ships
    seconds, of_shipped = time.process_time() - start, measured(shipped, test)
    ship(shipped, of_shipped, {})
    runs = {way: [measured(trained(train, seed, N_UPDATES, **changes), test[:2000]) for seed in SEEDS] for way, changes in WAYS.items()}
    ship(shipped, of_shipped, runs)
    rows = [[way, *summary(found)] for way, found in runs.items()]
    rows.append([f"shipped: relative, {N_SHIPPED:,} updates", *summary([of_shipped])])
    publish("nvae_small", "A small NVAE on 14 x 14 digits", ["q, and how training began", "test bound (nats)", "mean KL of each group, from the top", "least KL of a group, any seed"], rows, about=machine(),
            notes=f"Seeds 0, 1, 2: mean, and smallest to largest; {N_UPDATES} updates of {BATCH}, Adamax; the first 2,000 test pictures (the shipped model: all 10,000; seed 0, "
                  f"{seconds:.0f} processor seconds, float16), one draw of z each. Warm-up: the KL's weight climbs over the first 30 %, balanced meanwhile; without: 1 from the start, not balanced.",
            raw={"runs": runs, "shipped": of_shipped})


def trained(train: Tensor, seed: int, n_updates: int, **changes) -> NVAE:
    """The small NVAE after training, its settings changed as told."""
    model = NVAE(replace(SMALL_NVAE, **changes), rng=torch.Generator().manual_seed(seed)).to(memory_format=torch.channels_last)
    fit(GradientTrainer(model, OPTIONS), train, n_updates=n_updates, batch_size=BATCH, rng=torch.Generator().manual_seed(seed))
    return model.requires_grad_(False)


def measured(model: NVAE, test: Tensor) -> dict:
    """Bound and KL of each group, means over test pictures, one draw each."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        terms = [model.elbo(part, rng) for part in test.split(1000)]
    return {"bound": torch.cat([t.total for t in terms]).mean().item(), "kl": torch.cat([t.kl for t in terms]).mean(0).tolist()}


def summary(found: list[dict]) -> list[str]:
    bounds, kls = [run["bound"] for run in found], [run["kl"] for run in found]
    spread = f" ({min(bounds):.2f} to {max(bounds):.2f})" if len(bounds) > 1 else ""
    return [f"{statistics.mean(bounds):.2f}{spread}", " ".join(f"{statistics.mean(group):.2f}" for group in zip(*kls)), f"{min(map(min, kls)):.2f}"]


def ship(model: NVAE, of_shipped: dict, runs: dict) -> None:
    notes = {"seed": "0", "script": "benchmarks/nvae_small.py", "test_bound": f"{of_shipped['bound']:.2f}", "test_kl": json.dumps([round(v, 3) for v in of_shipped["kl"]])}
    rounded = {way: [[round(run["bound"], 2), [round(v, 2) for v in run["kl"]]] for run in found] for way, found in runs.items()}
    save_model(CHECKPOINT, copy.deepcopy(model).half(), notes=notes | {"runs": json.dumps(rounded)})


if __name__ == "__main__":
    main()
