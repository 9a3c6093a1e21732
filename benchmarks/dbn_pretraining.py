"""What a greedily trained DBN 784-500-500 gives a classifier of MNIST: linear probes, backpropagation from its weights, and its bound beside them.

    python3 tools/course.py bench dbn_pretraining

Three tables. Probes (F2): logistic regression on pixels, h1 and h2. Fine-tuning (F3): one and the same network 784-500-500-10 trained by backpropagation,
started from the DBN or at random, at 100, 1,000 and 60,000 labels. Two DBNs (F4): PCD-1 and CD-1, same sizes and updates,
by bound and by probe, after one layer and after two.
The DBNs see all 60,000 training images, never a label, pixels sampled once; classifiers see grey pixels. Seeds draw the labelled subset (as many of each class) and the
network's random weights; both starts share them, so differences are paired. The DBNs themselves are one run each. Options are chosen on the 10,000 validation images, for
each start and each number of labels by itself, with the training images of seed 0, never on the test set. One thread; finished parts in work/benchmarks are not repeated.
"""
import json
import os
import statistics
import time
from functools import lru_cache
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
import torch

from deepgen_lib import AdamOptions, CDOptions, DBN, GradientTrainer, RBM, ais_log_partition, base_rate, fit, greedy_dbn, load_mnist, load_model, save_model
from deepgen_lib.labels import labelled_rows
from deepgen_lib.mlp import MLP
from deepgen_lib.probe import ProbeResult, linear_probe
from harness import machine, publish

SIZES, N_PRETRAINING = (784, 500, 500), 12_000  # updates a layer, batches of 100: 20 passes
METHODS = {
    "PCD-1": CDOptions(persistent=True, centred=True, learning_rate=0.1, weight_decay=0.001),
    "CD-1": CDOptions(learning_rate=0.05, momentum=0.5, weight_decay=0.0002),
}
VIEWS = ("pixels", *(f"{method} h{level}" for method in METHODS for level in (1, 2)))
SEEDS = {100: range(5), 1000: range(5), 60_000: range(2)}
DECAYS = {100: (1e-2, 1e-3, 1e-4), 1000: (1e-2, 1e-3, 1e-4), 60_000: (1e-4, 1e-5)}
RATES = {100: (0.01, 0.003, 0.001, 0.0003), 1000: (0.03, 0.01, 0.003, 0.001), 60_000: (0.01, 0.003, 0.001)}
UPDATES = {100: 200, 1000: 500, 60_000: 3000}  # of fine-tuning, batch 100: at 60,000 five passes
N_TRIAL = 600                                  # updates of a trial of a rate at 60,000 labels
PROBE_STEPS, N_CHOOSING = 100, 20_000          # L-BFGS iterations at most; images from which a probe's ridge is chosen, at most
CHAINS, TEMPERATURES, DRAWS = 100, 5000, 10
FOLDER = Path(__file__).parents[1] / "work" / "benchmarks" / "dbn_pretraining"


def once(name: str, work) -> dict:
    """The result of work(), kept in a file so that a stopped benchmark goes on where it was."""
    done = FOLDER / f"{name.replace(' ', '_')}.json"
    if not done.exists():
        cpu = time.process_time()
        result = work()
        done.write_text(json.dumps(result | {"cpu_seconds": time.process_time() - cpu}))
        print(name, done.read_text(), flush=True)
    return json.loads(done.read_text())


def pretrained(method: str) -> DBN:
    file, rng = FOLDER / f"{method}.safetensors", torch.Generator().manual_seed(0)
    if not file.exists():
        images = load_mnist("train+valid", binarisation="sampled", seed=0).images
        save_model(file, greedy_dbn(images, SIZES[1:], options=METHODS[method], n_updates=N_PRETRAINING, rng=rng))
    return load_model(file, DBN([RBM(lower, upper) for lower, upper in zip(SIZES, SIZES[1:])])).requires_grad_(False)


class Task:
    """Grey images, labels and the DBNs; `subset` is what a seed may learn from."""

    def __init__(self):
        self.dbns = {method: pretrained(method) for method in METHODS}
        train, test = (load_mnist(split, binarisation="grey") for split in ("train+valid", "test"))
        self.x, self.y, self.test_x, self.test_y = *train, *test
        self.valid = slice(50_000, 60_000)

        self.parts = {"train": self.x, "valid": self.x[self.valid], "test": self.test_x}

    @lru_cache(maxsize=3)
    def view(self, name: str, part: str) -> torch.Tensor:
        """Features of all of "train" (60,000), "valid" or "test"."""
        if name == "pixels":
            return self.parts[part]
        method, level = name.split(" h")
        return torch.cat([self.dbns[method].features(x, int(level)) for x in self.parts[part].split(10_000)])

    def subset(self, n: int, seed: int, *, choosing: bool = False) -> torch.Tensor:
        """Row numbers: as many of each class, from the first 50,000; all 60,000 of them, or while choosing 50,000, where n says so."""
        if n == 60_000:
            return torch.arange(50_000 if choosing else n)
        order = torch.randperm(50_000, generator=torch.Generator().manual_seed(seed))
        return torch.cat([order[self.y[order] == k][:n // 10] for k in range(10)])


def probe(task: Task, view: str, n: int, seed: int, decay: float, *, choosing: bool = False) -> ProbeResult:
    rows = task.subset(n, seed, choosing=choosing)
    rows = rows[:N_CHOOSING] if choosing else rows
    part, y = ("valid", task.y[task.valid]) if choosing else ("test", task.test_y)
    return linear_probe(task.view(view, "train")[rows], task.y[rows], test_features=task.view(view, part), test_labels=y, weight_decay=decay, n_steps=PROBE_STEPS)


def probe_rows(task: Task, view: str, n: int) -> dict:
    """Test errors of every seed with the weight decay that validates best."""
    valid = {decay: probe(task, view, n, 0, decay, choosing=True).error for decay in DECAYS[n]}
    best = min(valid, key=valid.get)
    results = [probe(task, view, n, seed, best) for seed in (SEEDS[n] if n < 60_000 else [0])]
    wrong = results[0].predict(task.view(view, "test")) != task.test_y
    return {"view": view, "labels": n, "weight_decay": best, "valid": list(valid.items()), "test": [r.error for r in results], "train": [r.train_error for r in results],
            "slope": max(r.slope for r in results), "wrong_of_seed_0": wrong.nonzero().flatten().tolist()}


def tune(task: Task, start: str, n: int, seed: int, rate: float, n_updates: int, *, choosing: bool = False) -> dict:
    """One network after n_updates of Adam; at 60,000 labels also the test errors on the way."""
    rng = torch.Generator().manual_seed(seed)
    mlp = MLP.from_dbn(task.dbns["PCD-1"], 10, rng=rng) if start == "DBN" else MLP(SIZES, 10, rng=rng)
    rows = task.subset(n, seed, choosing=choosing)
    x, y = (task.x[task.valid], task.y[task.valid]) if choosing else (task.test_x, task.test_y)
    trainer = GradientTrainer(mlp, AdamOptions(learning_rate=rate))
    watch = (lambda update, model: (update, model.error(x, y))) if n == 60_000 and not choosing else None
    path = fit(trainer, labelled_rows(task.x[rows], task.y[rows], 10), n_updates=n_updates, batch_size=100, watch=watch, rng=rng).history
    return {"error": mlp.error(x, y), "train_error": mlp.error(task.x[rows], task.y[rows]), "path": path}


def tune_rows(task: Task, start: str, n: int) -> dict:
    """Test errors of every seed with the learning rate that validates best."""
    trial = {rate: once(f"trial {start} {n} {rate}", lambda: tune(task, start, n, 0, rate, min(UPDATES[n], N_TRIAL), choosing=True))["error"] for rate in RATES[n]}
    best = min(trial, key=trial.get)
    runs = [once(f"tune {start} {n} {best} {seed}", lambda: tune(task, start, n, seed, best, UPDATES[n])) for seed in SEEDS[n]]
    return {"start": start, "labels": n, "rate": best, "trial": list(trial.items()), "test": [r["error"] for r in runs], "train": [r["train_error"] for r in runs],
            "paths": [r["path"] for r in runs], "updates": UPDATES[n], "cpu_seconds_a_run": statistics.mean(r["cpu_seconds"] for r in runs)}


@torch.no_grad()
def bound_row(task: Task, method: str, n_layers: int) -> dict:
    """The bound on 10,000 test images, pixels sampled; with one layer it is log p(x) itself. Its error: that of AIS, and that of sampling q."""
    dbn, rng = task.dbns[method], torch.Generator().manual_seed(0)
    dbn = dbn if n_layers == 2 else DBN([first_rbm(dbn)])
    x, test = (load_mnist(split, binarisation="sampled", seed=0).images for split in ("train", "test"))
    ais = ais_log_partition(dbn.top, base_mean=base_rate([x[:10_000], *dbn.recognise(x[:10_000], rng)][-1]), n_chains=CHAINS, n_temperatures=TEMPERATURES, rng=rng)
    bound = dbn.bound(test, log_z=ais.estimate, n_samples=DRAWS if n_layers == 2 else 1, rng=rng)
    return {"method": method, "layers": n_layers, "bound": bound.total.mean().item(), "from_sampling": bound.standard_error.square().sum().sqrt().item() / len(test),
            "log_z": ais.estimate, "log_z_low": ais.low, "log_z_high": ais.high, "effective_chains": ais.effective_chains,
            "reconstruction": bound.reconstruction.mean().item(), "prior": bound.prior.mean().item(), "entropy": bound.entropy.mean().item()}


def first_rbm(dbn: DBN) -> RBM:
    """The RBM that the lowest layer was trained as."""
    rbm = RBM(*SIZES[:2]).requires_grad_(False)
    for mine, its in zip((rbm.W, rbm.b, rbm.c), (dbn.directed[0].W, dbn.directed[0].b, dbn.recognition[0].c)):
        mine.copy_(its)
    return rbm


def with_error(values: list[float]) -> str:
    """Mean in per cent; with several seeds ± one standard error of the mean."""
    mean = 100 * statistics.mean(values)
    return f"{mean:.2f}" if len(values) == 1 else f"{mean:.2f} ± {100 * statistics.stdev(values) / len(values) ** 0.5:.2f}"


def report_probes(rows: list[dict]) -> None:
    publish("dbn_pretraining_probes", "Linear probes on MNIST: test errors in %", ["features", *(f"{n:,} labels" for n in DECAYS)],
            [[view, *(with_error(next(r["test"] for r in rows if (r["view"], r["labels"]) == (view, n))) for n in DECAYS)] for view in VIEWS],
            about=machine(), raw=[{k: v for k, v in r.items() if k != "wrong_of_seed_0"} for r in rows],
            notes=f"Logistic regression with a ridge, full-batch L-BFGS (at most {PROBE_STEPS} iterations, no slope of the objective above {max(r['slope'] for r in rows):.0e} at the end); the ridge chosen for each cell on 10,000 validation images, from {N_CHOOSING:,} labels where there are more. ± one standard error of the mean over five labelled subsets; "
                  "at 60,000 there is one subset and no such error: the test set of 10,000 leaves about ±0.2. The features come from one DBN a method, which saw 60,000 images without labels.")


def report_tuning(rows: list[dict]) -> None:
    table = []
    for n in UPDATES:
        dbn, random = (next(r for r in rows if (r["start"], r["labels"]) == (start, n)) for start in ("DBN", "random"))
        gains = [b - a for a, b in zip(dbn["test"], random["test"])]
        table.append([f"{n:,}", len(gains), UPDATES[n], with_error(dbn["test"]), with_error(random["test"]), with_error(gains), dbn["rate"], random["rate"], with_error(dbn["train"]), with_error(random["train"])])
    publish("dbn_pretraining", "784-500-500-10 by backpropagation on MNIST, started from a DBN (PCD-1) and at random: test errors in %",
            ["labels", "seeds", "updates", "from the DBN", "random start", "gain", "rate, DBN", "rate, random", "train, DBN", "train, random"], table, about=machine(), raw=rows,
            notes="Sigmoid units, Adam, batch 100, learning rate falling linearly to zero, no weight decay, no jitter; the rate chosen for each cell on 10,000 validation images. ± one standard error of the mean over "
                  "seeds (labelled subset and random weights, shared by both starts; at 60,000 the weights and the order alone, so that ± rests on two numbers); gain: the mean of the paired differences. One DBN: its own seed is not in these errors. "
                  f"At 60,000 labels five passes, and rates out of {', '.join(map(str, RATES[60_000]))} tried for {N_TRIAL} updates: neither start was trained to its best.")


def report_bounds(bounds: list[dict], probes: list[dict]) -> None:
    table, alone, gains = [], [], []
    for layers in (1, 2):
        wrong = []
        for r in (r for r in bounds if r["layers"] == layers):
            errors = [next(p for p in probes if (p["view"], p["labels"]) == (f"{r['method']} h{layers}", n)) for n in DECAYS]
            wrong.append(set(errors[-1]["wrong_of_seed_0"]))
            table.append(["-".join(map(str, SIZES[:layers + 1])), r["method"], f"{r['bound']:.2f} (+{r['log_z'] - r['log_z_low']:.2f} -{r['log_z_high'] - r['log_z']:.2f})", f"{r['log_z']:.2f}",
                          f"{r['effective_chains']:.0f}", *(with_error(e["test"]) for e in errors)])
        views = [{n: next(p["test"] for p in probes if (p["view"], p["labels"]) == (f"{method} h{layers}", n)) for n in DECAYS} for method in METHODS]
        gains.append(f"h{layers}: " + ", ".join(f"{with_error([a - b for a, b in zip(views[0][n], views[1][n])])} at {n:,}" for n in DECAYS))
        alone.append(f"h{layers}: {len(wrong[0] - wrong[1])} after {next(iter(METHODS))} alone, {len(wrong[1] - wrong[0])} after {list(METHODS)[1]} alone")
    publish("dbn_pretraining_bounds", "DBNs of one and two layers, by the bound on test images (nats) and by the probe on the top layer (errors in %)",
            ["DBN", "trained by", "bound", "log Z", "effective chains", *(f"probe, {n:,} labels" for n in DECAYS)], table, about=machine(), raw=bounds,
            notes=f"Bound on the 10,000 test images, pixels sampled once (seed 0), {DRAWS} draws of q an image; with one layer it is log p(x). In brackets three standard errors of log Z by AIS ({CHAINS} chains, {TEMPERATURES:,} temperatures), "
                  f"beside which the error from sampling q (at most {max(r['from_sampling'] for r in bounds):.3f}) is small; AIS is optimistic on average. Probe errors, {' minus '.join(METHODS)}, paired over the labelled subsets: {'; '.join(gains)}. Test images that only one of the two probes gets wrong at {max(DECAYS):,} labels (seed 0): {'; '.join(alone)}.")


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    task = Task()
    bounds = [once(f"bound {method} {layers}", lambda: bound_row(task, method, layers)) for layers in (1, 2) for method in METHODS]
    probes, tuned = [], []
    for n in DECAYS:
        tuned += [once(f"tuned {start} {n}", lambda: tune_rows(task, start, n)) for start in ("DBN", "random")]
        probes += [once(f"probe {view} {n}", lambda: probe_rows(task, view, n)) for view in VIEWS]
    report_probes(probes)
    report_tuning(tuned)
    report_bounds(bounds, probes)


if __name__ == "__main__":
    main()
