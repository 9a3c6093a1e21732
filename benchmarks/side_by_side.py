"""Train the models that meet in chapter 13, all of them or the named ones, and ship them: mixture, rbm_cd1, vae, nvae, vqvae.

    python3 tools/course.py bench side_by_side [name ...]

Fixed-binarised MNIST, 50,000 training pictures. Choices were made on the 10,000 validation pictures; the test pictures are read at the end, with the parameters
as they ship (float16). One torch thread. Checkpoints in work/benchmarks: a stopped run goes on where it was, and a trained model is only measured again.
Log-likelihoods: the mixture's is exact, the RBM's needs log Z by AIS (100 chains, 14,500 temperatures; bar: three standard errors). VAE and NVAE: the bound with one
draw on all test pictures, plus what importance-weighted draws add on every tenth or hundredth (bar: two standard errors of that gain). VQ-VAE: one code map for each picture.
"""
import copy
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor, nn

from deepgen_lib import fit, fit_em, load_mnist, load_model, save_model
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.mixture import BernoulliMixture
from deepgen_lib.nvae import NVAE
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.side_by_side_models import N_COMPONENTS, SIDE, new_code_prior, new_mixture, new_nvae, new_rbm, new_vae, new_vqvae
import rbm_likelihood
from harness import machine, publish

SEED, SIZES, SMOOTHING, N_EM_STEPS = 0, (100, N_COMPONENTS), 0.1, 15
class Stage(NamedTuple):
    """A part of training with a rate that falls of its own."""
    n_updates: int
    options: AdamOptions
    warm_up: float = 0.0  # NVAE: the share of this stage in which the KL's weight climbs


STAGES = {
    "vae": (Stage(17_000, AdamOptions(learning_rate=0.001, final_learning_rate=0.00066)), Stage(5_000, AdamOptions(learning_rate=0.00066))),
    "nvae": (Stage(2_000, AdamOptions(kind="adamax", learning_rate=0.015, final_learning_rate=0.0081316, warm_up=0.1), warm_up=0.6),
             Stage(200, AdamOptions(kind="adamax", learning_rate=0.0081316, final_learning_rate=0.0003))),
    "vqvae": (Stage(1_600, AdamOptions(learning_rate=0.002)),), "codes": (Stage(1_500, AdamOptions(learning_rate=0.003, warm_up=0.03)),),
}
BATCH = {"vae": 100, "nvae": 32, "vqvae": 64, "codes": 32}
WEIGHTED = {"vae": (1000, 500), "nvae": (100, 50)}  # test pictures and draws of the importance-weighted bound
FOLDER = Path(__file__).parents[1] / "work" / "benchmarks"


def rng_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def maps(x: Tensor) -> Tensor:
    """(B, 784) -> (B, 1, 28, 28)."""
    return x.view(-1, 1, SIDE, SIDE).contiguous(memory_format=torch.channels_last)


def in_parts(function: Callable[[Tensor], Tensor], x: Tensor, size: int = 500) -> Tensor:
    with torch.no_grad():
        return torch.cat([function(part) for part in x.split(size)])


def trained(name: str, model: nn.Module, data: Tensor, watch: Callable) -> float:
    """Train stage by stage; the processor seconds of all of them, kept beside the checkpoints. A stage that went on is scaled up from its last part."""
    total = 0.0
    for position, stage in enumerate(STAGES[name]):
        path, start = FOLDER / f"side_by_side_{name}_{position}.safetensors", time.process_time()
        clock = path.with_suffix(".seconds")
        if isinstance(model, NVAE):
            model.config = replace(model.config, warm_up=stage.warm_up)
        result = fit(GradientTrainer(model, stage.options), data, n_updates=stage.n_updates, batch_size=BATCH[name], checkpoint=path, watch=watch, rng=rng_of(SEED + position))
        if result.resumed_at < stage.n_updates:
            clock.write_text(str((time.process_time() - start) * stage.n_updates / (stage.n_updates - result.resumed_at)))
        total += float(clock.read_text())
    return total


def rounded(model: nn.Module) -> nn.Module:
    """The parameters as they ship: through float16."""
    model.load_state_dict({name: value.half().to(value.dtype) for name, value in model.state_dict().items()})
    return model.eval().requires_grad_(False)


def ship(name: str, model: nn.Module, seconds: float, found: dict) -> dict:
    """Write the file with what was measured in its header."""
    about = machine()
    row = {"training_seconds": seconds, "date": about["date"], "machine": f"{about['processor']}, one thread, torch {about['torch']}"} | found
    notes = {"seed": str(SEED), "script": "benchmarks/side_by_side.py"} | {key: json.dumps(value) for key, value in row.items()}
    save_model(CHECKPOINTS / f"side_by_side_{name}.safetensors", copy.deepcopy(model).half(), notes=notes)
    print(json.dumps({"name": name} | row), flush=True)
    return {"name": name} | row


def watcher(name: str, score: Callable[[nn.Module], Tensor]):
    def watch(update: int, model: nn.Module) -> float:
        with torch.no_grad():
            value = score(model).mean().item()
        print(name, update, round(value, 2), round(time.process_time()), flush=True)
        return value
    return watch


def mixture(train: Tensor, valid: Tensor, test: Tensor) -> dict:
    """EM with two numbers of components; the largest ships, which is also the best on validation."""
    tried = {}
    for size in SIZES:
        start = time.process_time()
        model: BernoulliMixture = fit_em(train, n_components=size, n_steps=N_EM_STEPS, smoothing=SMOOTHING, rng=rng_of(SEED)).mixture
        tried[size], seconds = in_parts(model.log_likelihood, valid).mean().item(), time.process_time() - start
        print("mixture", size, tried[size], round(seconds), flush=True)
    if max(tried, key=tried.get) != N_COMPONENTS:
        raise RuntimeError(f"mixture: validation prefers another number of components, {tried}; change N_COMPONENTS in deepgen_lib/side_by_side_models.py")
    value = in_parts(rounded(model).log_likelihood, test).mean().item()
    return ship("mixture", model, seconds, {"test": value, "low": value, "high": value, "n_pictures": len(test), "valid": tried, "train": in_parts(model.log_likelihood, train).mean().item()})


def rbm_cd1(train: Tensor, valid: Tensor, test: Tensor) -> dict:
    """The first of the CD-1 runs of benchmarks/rbm_likelihood.py: reconstructions get better and better, and it is never stopped."""
    run = rbm_likelihood.run(("CD-1", 0))  # its log Z is that of the parameters before they were rounded
    model = rounded(load_model(FOLDER / "CD-1_0.model.safetensors", new_rbm()))
    value = -in_parts(model.free_energy, test).mean().item() - run["log_z"]
    return ship("rbm_cd1", model, run["cpu_seconds"], {key: run[key] for key in ("log_z", "log_z_low", "log_z_high", "effective_chains")}
                | {"test": value, "low": value - run["log_z_high"] + run["log_z"], "high": value + run["log_z"] - run["log_z_low"], "n_pictures": len(test)})


def weighted(name: str, bound: Callable[[Tensor], Tensor], importance: Callable[[Tensor], Tensor], test: Tensor) -> dict:
    """The bound on all test pictures, plus the mean gain of the importance-weighted bound on every step-th."""
    n, draws = WEIGHTED[name]
    plain = in_parts(bound, test)
    step = len(test) // n  # the test file's first pictures are easier than the rest
    gain = in_parts(importance, test[::step], 100) - plain[::step]
    value, error = (plain.mean() + gain.mean()).item(), 2 * gain.std().item() / n**0.5
    return {"test": value, "low": value - error, "high": value + error, "n_pictures": len(test), "bound": plain.mean().item(), "n_weighted": n, "n_draws": draws}


def vae(train: Tensor, valid: Tensor, test: Tensor) -> dict:
    model = new_vae(rng=rng_of(SEED))
    seconds = trained("vae", model, train, watcher("vae", lambda m: m.bound(valid[:5000], rng=rng_of(9)).total))
    rounded(model)
    rng = rng_of(SEED + 1)
    found = weighted("vae", lambda x: model.bound(x, rng=rng).total, lambda x: model.importance_bound(x, n_samples=WEIGHTED["vae"][1], rng=rng), test)
    return ship("vae", model, seconds, found)


def nvae(train: Tensor, valid: Tensor, test: Tensor) -> dict:
    model = new_nvae(regularisation=0.01, rng=rng_of(SEED))
    seconds = trained("nvae", model, maps(train), watcher("nvae", lambda m: m.elbo(maps(valid[:1000]), rng_of(9)).total))
    model.spectral = None  # the vectors that only training needs
    rounded(model)
    rng = rng_of(SEED + 1)
    found = weighted("nvae", lambda x: model.elbo(maps(x), rng).total, lambda x: model.importance_bound(maps(x), n_samples=WEIGHTED["nvae"][1], rng=rng), test)
    return ship("nvae", model, seconds, found)


def vqvae(train: Tensor, valid: Tensor, test: Tensor) -> dict:
    """The codes, then a prior over them; the two files belong together."""
    model, rng = new_vqvae(rng=rng_of(SEED)), rng_of(SEED + 1)
    model.init_codes(maps(train[:200]), rng=rng)
    seconds = trained("vqvae", model, maps(train), watcher("vqvae", lambda m: -m.terms(maps(valid[:2000])).reconstruction))
    ids, valid_ids = (in_parts(rounded(model).encode, maps(x)) for x in (train, valid[:2000]))
    torch.manual_seed(SEED)
    prior = new_code_prior().start_from(model.codebook.codes, ids, rng=rng)
    seconds += trained("codes", prior, ids, watcher("codes", lambda m: m.log_likelihood(valid_ids)))
    rounded(prior)
    picture = -in_parts(lambda x: model.terms(x).reconstruction, maps(test)).mean().item()
    codes = in_parts(lambda x: prior.log_likelihood(model.encode(x)), maps(test)).mean().item()
    ship("codes", prior, seconds, {"codes": codes})
    value = picture + codes
    return ship("vqvae", model, seconds, {"test": value, "low": value, "high": value, "n_pictures": len(test), "picture": picture, "codes": codes})


MODELS = {"mixture": mixture, "rbm_cd1": rbm_cd1, "vae": vae, "nvae": nvae, "vqvae": vqvae}


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = [load_mnist(split, binarisation="fixed").images for split in ("train", "valid", "test")]
    rows = {name: MODELS[name](*data) for name in sys.argv[1:] or MODELS}
    if len(rows) == len(MODELS):
        publish("side_by_side", "The models of chapter 13 on fixed-binarised MNIST: nats per test picture", ["model", "test", "low", "high", "plain bound", "processor seconds of training"],
                [[name, *(f"{row[key]:.2f}" for key in ("test", "low", "high")), f"{row['bound']:.2f}" if "bound" in row else "", f"{row['training_seconds']:.0f}"] for name, row in rows.items()],
                about=machine(), notes=__doc__.split("\n\n")[2].strip().replace("\n", " "), raw=list(rows.values()))


if __name__ == "__main__":
    main()
