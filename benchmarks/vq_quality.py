"""A VQ-VAE on MNIST and a prior over its codes, a minute of one processor core each: reconstruction, use of the codes, drawn digits, bits per dimension.

    python3 tools/course.py bench vq_quality [seed ...]

Training pictures: 50,000, grey; validation set unused; all that is published is measured on the 10,000 test pictures with the parameters as they ship (float16).
Drawn digits are judged by the shipped classifier (99 % right on test). Checkpoints in work/benchmarks: a stopped run goes on where it was. Seed 0 ships.
"""
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor, nn

from deepgen_lib import fit, load_mnist, save_model
from deepgen_lib.autoregressive import training_rows
from deepgen_lib.code_likelihood import code_bound, fit_log_scales
from deepgen_lib.digit_classifier import load_digit_classifier
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.vector_quantisation import perplexity
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.vq_shipped import new_digit_prior, new_digit_vqvae
from harness import machine, publish

SEEDS, N_DRAWN = (0, 1, 2), 1000
UPDATES = {"vqvae": 1500, "prior": 1350, "labelled": 1350}
PRIOR_OPTIONS = AdamOptions(learning_rate=0.003, warm_up=0.03)
FOLDER = Path(__file__).parents[1] / "work" / "benchmarks"


def trained(name: str, model: nn.Module, data: Tensor, batch_size: int, options: AdamOptions, seed: int) -> float:
    """Train, round to float16; the processor seconds, kept beside the checkpoint."""
    path, start, rng = FOLDER / f"vq_quality_{name}_{seed}.safetensors", time.process_time(), torch.Generator().manual_seed(seed)
    result = fit(GradientTrainer(model, options), data, n_updates=UPDATES[name], batch_size=batch_size, checkpoint=path, rng=rng)
    clock = path.with_suffix(".seconds")
    if result.resumed_at < UPDATES[name]:
        clock.write_text(str(time.process_time() - start))
    model.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    model.eval().requires_grad_(False)
    return float(clock.read_text())


def pictures(split: str) -> Tensor:
    return load_mnist(split, binarisation="grey").images.view(-1, 1, 28, 28)


def in_parts(function, *tensors: Tensor) -> Tensor:
    return torch.cat([function(*parts) for parts in zip(*(t.split(500) for t in tensors))])


def nearest_distance(x: Tensor, others: Tensor) -> Tensor:
    """To the nearest of others, over all pixels.  -> (B,)."""
    return torch.stack([torch.cdist(x.flatten(1), part.flatten(1)).amin(1) for part in others.split(5000)]).amin(0)


def run(seed: int) -> dict:
    train, test, rng = pictures("train"), pictures("test"), torch.Generator().manual_seed(1000 + seed)
    torch.manual_seed(seed)
    vqvae, prior = new_digit_vqvae(rng=torch.Generator().manual_seed(seed)), new_digit_prior()
    vqvae.init_codes(train[:100], rng=rng)
    seconds = {"vqvae": trained("vqvae", vqvae, train, 64, AdamOptions(learning_rate=0.002), seed)}
    ids, test_ids = in_parts(vqvae.encode, train), in_parts(vqvae.encode, test)
    prior.start_from(vqvae.codebook.codes, ids, rng=rng)
    seconds["prior"] = trained("prior", prior, ids, 32, PRIOR_OPTIONS, seed)
    mean, counts = in_parts(vqvae.decode, test_ids), torch.bincount(test_ids.flatten(), minlength=128)
    scales = fit_log_scales(train[:1000], in_parts(vqvae.decode, ids[:1000]))
    log_prior = in_parts(prior.log_likelihood, test_ids)
    bound = code_bound(test, mean, log_prior, scales)
    drawn = vqvae.decode(prior.sample(N_DRAWN, rng=rng)).clamp(0, 1)
    judge = load_digit_classifier()
    sure, digit = judge.sureness(drawn)
    row = {"seed": seed, "seconds": seconds, "mse": (mean - test).square().mean().item(), "used": (counts > 0).double().mean().item(), "perplexity": perplexity(counts).item(),
           "sure": (sure > 0.9).double().mean().item(), "classes": torch.bincount(digit, minlength=10).tolist(), "sure_reconstructed": (judge.sureness(mean)[0] > 0.9).double().mean().item(),
           "sure_test": (judge.sureness(test)[0] > 0.9).double().mean().item(), "bits_per_dim": bound.bits_per_dim.mean().item(), "prior_nats": -log_prior.mean().item(), "picture_nats": -bound.picture.mean().item(),
           "distance_drawn": nearest_distance(drawn[:200], train).quantile(torch.tensor([0.0, 0.5])).tolist(), "distance_test": nearest_distance(test[:200], train).quantile(torch.tensor([0.0, 0.5])).tolist()}
    labelled, more = with_labels(vqvae, ids, test_ids[:1000], judge, seed)
    seconds["labelled"] = more.pop("seconds")
    row |= more
    if seed == 0:
        ship(vqvae, (prior, labelled), scales, row)
    print(json.dumps(row), flush=True)
    return row


def with_labels(vqvae: nn.Module, ids: Tensor, test_ids: Tensor, judge: nn.Module, seed: int) -> tuple[nn.Module, dict]:
    """A prior that is told the digit: p(ids) = mean over the ten labels of p(ids | label), drawn by drawing the label first."""
    torch.manual_seed(seed)
    prior, rng, labels = new_digit_prior(labelled=True), torch.Generator().manual_seed(2000 + seed), load_mnist("train", binarisation="grey").labels.view(-1, 1, 1)
    prior.start_from(vqvae.codebook.codes, ids, rng=rng)
    seconds = trained("labelled", prior, training_rows(ids, labels), 32, PRIOR_OPTIONS, seed)
    asked = torch.arange(N_DRAWN) % 10
    sure, digit = judge.sureness(vqvae.decode(prior.sample(N_DRAWN, condition=asked.view(-1, 1, 1), rng=rng)).clamp(0, 1))
    given = torch.stack([in_parts(prior.log_likelihood, test_ids, torch.full((len(test_ids), 1, 1), y)) for y in range(10)])
    return prior, {"seconds": seconds, "sure_labelled": (sure > 0.9).double().mean().item(), "as_asked": (digit == asked).double().mean().item(),
                   "prior_nats_labelled": (math.log(10) - given.logsumexp(0)).mean().item()}


def ship(vqvae: nn.Module, priors: tuple[nn.Module, nn.Module], scales: Tensor, row: dict) -> None:
    notes = {"script": "benchmarks/vq_quality.py"} | {name: json.dumps(value) for name, value in row.items()}
    save_model(CHECKPOINTS / "vqvae_mnist.safetensors", vqvae.half(), notes=notes)
    save_model(CHECKPOINTS / "pixelcnn_mnist_labelled.safetensors", priors[1].half(), notes=notes)
    save_model(CHECKPOINTS / "pixelcnn_mnist.safetensors", priors[0].half(), notes=notes | {"log_scales": json.dumps([round(v, 4) for v in scales.tolist()])})


def spread(rows: list[dict], value, form: str) -> str:
    """Mean and, over seeds, the standard deviation."""
    values = [value(row) for row in rows]
    return f"{statistics.mean(values):{form}}" + (f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else "")


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [run(int(seed)) for seed in sys.argv[1:] or SEEDS]
    table = [
        ["test error of the reconstruction (mean square)", "below 0.008", spread(rows, lambda r: r["mse"], ".4f")],
        ["codes used, of 128", "above 90 %", spread(rows, lambda r: 100 * r["used"], ".1f") + " %"],
        ["perplexity of the codes", "above 90", spread(rows, lambda r: r["perplexity"], ".1f")],
        ["drawn digits the classifier is more than 90 % sure of", "at least 80 %", spread(rows, lambda r: 100 * r["sure"], ".1f") + " %"],
        ["the same, drawn from a prior that is told the label", "at least 80 %", spread(rows, lambda r: 100 * r["sure_labelled"], ".1f") + " %"],
        ["of these, named as was asked", "", spread(rows, lambda r: 100 * r["as_asked"], ".1f") + " %"],
        ["the same, reconstructed test pictures", "", spread(rows, lambda r: 100 * r["sure_reconstructed"], ".1f") + " %"],
        ["the same, test pictures", "", spread(rows, lambda r: 100 * r["sure_test"], ".1f") + " %"],
        [f"rarest class among {N_DRAWN:,} drawn", "occurs", spread(rows, lambda r: min(r["classes"]), ".0f")],
        ["distance to the nearest training picture, drawn: median (smallest)", "", spread(rows, lambda r: r["distance_drawn"][1], ".2f") + f" ({min(r['distance_drawn'][0] for r in rows):.2f})"],
        ["the same, test pictures", "", spread(rows, lambda r: r["distance_test"][1], ".2f") + f" ({min(r['distance_test'][0] for r in rows):.2f})"],
        ["-log p(codes), nats", "", spread(rows, lambda r: r["prior_nats"], ".1f")],
        ["the same, 1,000 pictures, label summed out of the labelled prior", "", spread(rows, lambda r: r["prior_nats_labelled"], ".1f")],
        ["-log p(picture given codes), nats", "", spread(rows, lambda r: r["picture_nats"], ".0f")],
        ["bound on the test pictures, bits per dimension", "", spread(rows, lambda r: r["bits_per_dim"], ".3f")],
        ["processor seconds of training: VQ-VAE, prior, labelled prior", "60 each", spread(rows, lambda r: r["seconds"]["vqvae"], ".0f") + ", " + spread(rows, lambda r: r["seconds"]["prior"], ".0f") + ", " + spread(rows, lambda r: r["seconds"]["labelled"], ".0f")],
    ]
    publish("vq_quality", "VQ-VAE on MNIST, 7 x 7 codes of 128, and a PixelCNN over them", ["measured on test", "asked", "found"], table, about=machine(), raw=rows,
            notes=(f"{len(rows)} seeds: mean ± standard deviation. " if len(rows) > 1 else "One seed. ") + f"VQ-VAE: {UPDATES['vqvae']:,} updates of 64, 20 % of the codes swapped before the decoder while training; prior: {UPDATES['prior']:,} updates of 32; one torch thread, "
                  "the machine shared with other work. Bits per dimension bound -log2 p(x) from above: one code map of all that could have made the picture; the scales of the pixels were fitted on 1,000 training pictures.")


if __name__ == "__main__":
    main()
