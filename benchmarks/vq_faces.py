"""Two levels of codes for colour faces, and a prior for each: what is lost when a level is taken away, at coarse and at fine scale.

    python3 tools/course.py bench vq_faces [seed ...]

349 faces of 19 people and their mirror images are learned; measured are 86 faces of 10 other people, with the parameters as they ship (float16). Checkpoints in
work/benchmarks: a stopped run goes on where it was. The first seed ships, with its priors; one torch thread.
"""
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from deepgen_lib import fit, load_colour_faces, save_model
from deepgen_lib.autoregressive import training_rows
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.shipped import CHECKPOINTS
from deepgen_lib.vq_shipped import new_face_priors, new_face_vqvae2
from deepgen_lib.vqvae2 import TwoMaps, error_by_scale
from harness import machine, publish

SEEDS = (0, 1, 2)
UPDATES = {"vqvae2": 1000, "top": 350, "bottom": 250}
FOLDER = Path(__file__).parents[1] / "work" / "benchmarks"
LEVELS = ("both levels", "bottom removed (its mean code)", "top removed (its mean code)", "bottom of another face", "top of another face")


def trained(name: str, model: nn.Module, data: Tensor, batch_size: int, rate: float, seed: int) -> float:
    """Train, round to float16; the processor seconds, kept beside the checkpoint."""
    path, start, rng = FOLDER / f"vq_faces_{name}_{seed}.safetensors", time.process_time(), torch.Generator().manual_seed(seed)
    options = AdamOptions(learning_rate=rate, weight_decay=0.0 if name == "vqvae2" else 0.3)
    result = fit(GradientTrainer(model, options), data, n_updates=UPDATES[name], batch_size=batch_size, checkpoint=path, rng=rng)
    clock = path.with_suffix(".seconds")
    if result.resumed_at < UPDATES[name]:
        clock.write_text(str(time.process_time() - start))
    model.load_state_dict({key: value.half().float() if value.is_floating_point() else value for key, value in model.state_dict().items()})
    model.eval().requires_grad_(False)
    return float(clock.read_text())


def with_mirrors(split: str) -> Tensor:
    x = load_colour_faces(split).images
    return torch.cat([x, x.flip(3)])


def coarse_and_fine(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means over blocks of 4 x 4 pixels, and the rest."""
    coarse = interpolate(avg_pool2d(x, 4), scale_factor=4, mode="nearest")
    return coarse, x - coarse


def agreement(x: Tensor, y: Tensor, mean_face: Tensor) -> list[float]:
    """Correlation of x and y over all pixels, the mean face taken off both: coarse, fine."""
    return [torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item() for a, b in zip(coarse_and_fine(x - mean_face), coarse_and_fine(y - mean_face))]


def errors(model: nn.Module, x: Tensor, mean_face: Tensor) -> dict[str, tuple[float, ...]]:
    """(coarse, fine) mean square error and (coarse, fine) correlation of each way to decode; another face: the picture 37 places on, of another person."""
    maps, other = model.encode(x), torch.arange(len(x)).roll(37)
    decoded = (model.decode(maps), model.decode(maps, without="bottom"), model.decode(maps, without="top"),
               model.decode(TwoMaps(maps.top, maps.bottom[other])), model.decode(TwoMaps(maps.top[other], maps.bottom)))
    return {name: (*(part.mean().item() for part in error_by_scale(x, y)), *agreement(x, y, mean_face)) for name, y in zip(LEVELS, decoded)}


def run(seed: int, ships: bool) -> dict:
    faces, test = with_mirrors("train+valid"), load_colour_faces("test").images
    model = new_face_vqvae2(rng=torch.Generator().manual_seed(seed))
    seconds = {"vqvae2": trained("vqvae2", model, faces, 32, 0.002, seed)}
    maps = model.encode(test)
    row = {"seed": seed, "seconds": seconds, "errors": errors(model, test, faces.mean(0)), "mean_face": [part.mean().item() for part in error_by_scale(test, faces.mean(0).expand_as(test))],
           "used": [len(ids.unique()) for ids in maps]}
    if ships:
        row |= ship(model, faces, maps, seconds)
    print(json.dumps(row), flush=True)
    return row


def ship(model: nn.Module, faces: Tensor, test: TwoMaps, seconds: dict) -> dict:
    """Train the priors, write the three files; -log p of the codes of faces that were learned and of test faces."""
    torch.manual_seed(0)
    maps, rng = model.encode(faces), torch.Generator().manual_seed(0)
    top, bottom = new_face_priors()
    top.start_from(model.top.codes, maps.top, rng=rng)
    bottom.start_from(model.bottom.codes, maps.bottom, rng=rng)
    seconds["top"] = trained("top", top, maps.top, 32, 0.003, 0)
    seconds["bottom"] = trained("bottom", bottom, training_rows(maps.bottom, maps.top), 16, 0.003, 0)
    nats = {}
    for level, p, of in (("top", top.log_likelihood, lambda m, k: (m.top[:k],)), ("bottom", bottom.log_likelihood, lambda m, k: (m.bottom[:k], m.top[:k]))):
        nats[f"nats_{level}"] = [-p(*of(m, 100)).mean().item() for m in (maps, test)]
    notes = {"script": "benchmarks/vq_faces.py"} | {name: json.dumps(value) for name, value in nats.items()}
    for name, part in (("vqvae2_faces", model), ("pixelcnn_faces_top", top), ("pixelcnn_faces_bottom", bottom)):
        save_model(CHECKPOINTS / f"{name}.safetensors", part.half(), notes=notes)
    return nats


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in sys.argv[1:]] or list(SEEDS)
    rows = [run(seed, seed == seeds[0]) for seed in seeds]

    def cell(values: list[float]) -> str:
        return f"{statistics.mean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")
    table = [[name, *(cell([row["errors"][name][k] for row in rows]) for k in range(4))] for name in LEVELS]
    table.append(["(the mean face for everyone)", *(f"{value:.4f}" for value in rows[0]["mean_face"]), "", ""])
    first = rows[0]
    publish("vq_faces", "Two levels of codes for colour faces: mean square error on other people's faces", ["decoded from", "coarse (means of 4 x 4 pixels)", "fine (the rest)", "correlation, coarse", "correlation, fine"], table, about=machine(), raw=rows,
            notes=(f"{len(rows)} seeds: mean ± standard deviation. " if len(rows) > 1 else "One seed. ") + f"64 codes on each level, 8 x 8 and 16 x 16 positions; {UPDATES['vqvae2']:,} updates of 32, in 30 % of the training pictures the bottom codes replaced by their mean code. "
                  f"Processor seconds: {statistics.mean(r['seconds']['vqvae2'] for r in rows):.0f}; priors {first['seconds']['top']:.0f} (top) and {first['seconds']['bottom']:.0f} (bottom). "
                  f"Correlations: over all pixels, the mean face taken off. -log p of the codes in nats, faces learned and other people's: top {first['nats_top'][0]:.0f} and {first['nats_top'][1]:.0f}, bottom given top {first['nats_bottom'][0]:.0f} and {first['nats_bottom'][1]:.0f}.")


if __name__ == "__main__":
    main()
