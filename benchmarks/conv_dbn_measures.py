"""What the five convolutional DBNs of conv_dbn.py know: edges, selectivity by depth, a linear classifier, completed faces.

    python3 tools/course.py bench conv_dbn_measures        measures what is shipped, trains nothing
"""
import os

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch.nn import functional as F

from deepgen_lib import ConvDBN, load_caltech
from deepgen_lib.conv_completion import complete_from_above, recentre
from deepgen_lib.conv_networks import CATEGORIES_OF, SIDES, completion_error, feature_scores, half_known, load_conv_dbn, white_pictures
from deepgen_lib.checkpoint import load_notes
from deepgen_lib.orientation import edge_measure, filter_correlation, oriented_edges
from deepgen_lib.probe import linear_probe
from deepgen_lib.selectivity import average_precision, conditional_entropy, strongest
from deepgen_lib.shipped import CHECKPOINTS
from harness import machine, publish

BEST = 5                           # features: how far down the best of a layer are looked at
DECAYS = (1e-3, 1e-2, 1e-1)
FEW = 5                            # labelled pictures a class, for the second classifier
DRAWS = 5                          # of these few
SCALES = (1, 4)                    # pixels a side over which a completion is averaged before it is judged: each pixel, and the layout
FEATURES = {"pixels, grey": 0, "pixels, whitened": 0, "layer 1": 1, "layer 2": 2, "layer 3": 3}


def edges(dbn: ConvDBN) -> dict:
    """The first layer's filters, and how strongly each answers somewhere in the held-out pictures."""
    W, x = dbn.bases(1), white_pictures(load_caltech("valid"))
    measure, off = edge_measure(W), 1 - torch.eye(len(W))
    return {"oriented": oriented_edges(W).double().mean().item(), "median fit": measure.fit.median().item(), "median selectivity": measure.selectivity.median().item(),
            "strongest answer of the weakest filter": dbn.features(x, 1).amax((0, 2, 3)).min().item(), "smallest norm": W.flatten(1).norm(dim=1).min().item(),
            "largest correlation": (filter_correlation(W) * off).max().item(), "largest, shifts of 3": (filter_correlation(W, shifts=3) * off).max().item()}


def selectivity(dbn: ConvDBN, split: str, levels: tuple[int, ...] = (1, 2, 3), by: str = "strongest") -> dict:
    """By class and level: mean AP on `split` of the BEST features by AP on training pictures; of the median feature; of all. By level the median entropy. Pictures drawn so that chance is 1/4."""
    sets, found = {s: load_caltech(s, categories=CATEGORIES_OF["four"]) for s in ("train", split)}, {}
    for level in levels:
        aps = {}
        for s, data in sets.items():
            scores, rows = feature_scores(dbn, white_pictures(data), level, by=by), equal_draws(data.labels)
            aps[s] = [torch.stack([average_precision(scores[r], data.labels[r] == k) for r in rows]).mean(0) for k in range(4)]
        for name, learned, judged in zip(CATEGORIES_OF["four"], aps["train"], aps[split]):
            found[f"{name} {level}"] = {"chosen": judged[learned.topk(BEST).indices].mean().item(), "chosen, on training pictures": learned.topk(BEST).values.mean().item(), "median": judged.median().item(), "mean": judged.mean().item()}
        found[f"entropy {level}"] = torch.stack([conditional_entropy(strongest(scores[r], share=0.1), data.labels[r], 4) for r in rows]).mean(0).median().item()
    return found


def equal_draws(labels: torch.Tensor) -> list[torch.Tensor]:
    """DRAWS times rows of equally many pictures of each of the four classes, as many as the rarest has."""
    n, own = int(torch.bincount(labels).min()), [(labels == k).nonzero()[:, 0] for k in range(4)]
    return [torch.cat([pick[torch.randperm(len(pick), generator=torch.Generator().manual_seed(draw))[:n]] for pick in own]) for draw in range(DRAWS)]


def classification(dbn: ConvDBN) -> dict:
    """Test errors of a linear classifier by features, all training labels and FEW a class; weight decay by validation errors."""
    sets = {split: load_caltech(split, categories=CATEGORIES_OF["four"]) for split in ("train", "valid", "test")}
    labels, found = {split: data.labels for split, data in sets.items()}, {}
    for name, level in FEATURES.items():
        f = {split: _features(dbn, data, name, level) for split, data in sets.items()}
        pick = lambda rows: min((linear_probe(f["train"][rows], labels["train"][rows], test_features=f["valid"], test_labels=labels["valid"], weight_decay=decay, n_steps=40).error, -decay) for decay in DECAYS)
        probe = lambda rows, decay: linear_probe(f["train"][rows], labels["train"][rows], test_features=f["test"], test_labels=labels["test"], weight_decay=decay, n_steps=40).error
        everything = torch.arange(len(labels["train"]))
        few = [torch.cat([(labels["train"] == k).nonzero()[:, 0][torch.randperm(int((labels["train"] == k).sum()), generator=torch.Generator().manual_seed(draw))[:FEW]] for k in range(4)]) for draw in range(DRAWS)]
        decay, decay_few = -pick(everything)[1], -pick(few[0])[1]
        errors = torch.tensor([probe(rows, decay_few) for rows in few])
        found[name] = {"all labels": probe(everything, decay), "few": errors.mean().item(), "few, error of the mean": errors.std().item() / DRAWS**0.5, "decay": decay, "decay few": decay_few}
        print(name, found[name], flush=True)
    return found


def _features(dbn: ConvDBN, data, name: str, level) -> torch.Tensor:
    if level == 0:
        return (data.images if "grey" in name else white_pictures(data)).flatten(1)
    x, levels = white_pictures(data), level if isinstance(level, tuple) else (level,)
    return torch.cat([torch.cat([dbn.features(part, number) for part in x.split(100)]).flatten(1) for number in levels], 1)


def completion(dbn: ConvDBN, split: str) -> dict:
    """Errors over the hidden half as shares of the mean face's, pixel by pixel and by the means of 4 x 4 blocks; persons of `split`, never seen in training.

    Every way of completing is read out alike: recentre, the mean of all training faces, the gain from every third. Errors of the mean: over persons, who count alike.
    """
    sets = {s: load_caltech(s, categories=["Faces_easy"]) for s in ("train", split)}
    x, faces, groups, found = white_pictures(sets[split]), white_pictures(sets["train"]), sets[split].groups, {}
    examples, mean = faces[::3], faces.mean(0, keepdim=True)
    for side in SIDES:
        known = half_known(side)
        ways = {"layer 1": ConvDBN(list(dbn.rbms[:1])), "whole network": dbn}
        fill = {name: [complete_from_above(network, part, known, rng=torch.Generator().manual_seed(0)) for part in (x, examples)] for name, network in ways.items()}
        guesses = {"mean face": mean.expand_as(x)} | {name: recentre(y, known, mean=mean, examples=examples, completed_examples=z) for name, (y, z) in fill.items()}
        guesses |= {"grey": torch.zeros_like(x)} | {f"{name}, not recentred": y for name, (y, _) in fill.items()}
        for scale in SCALES:
            errors = {name: completion_error(F.avg_pool2d(y, scale), F.avg_pool2d(x, scale), known[..., ::scale, ::scale]) for name, y in guesses.items()}
            found[f"{side} {scale}"] = _by_person(errors, groups)
            print(side, scale, {name: [round(number, 4) for number in numbers.values()] for name, numbers in found[f"{side} {scale}"].items()}, flush=True)
    return found


def _by_person(errors: dict[str, torch.Tensor], groups: torch.Tensor) -> dict:
    """Each way's error and, over persons with the pictures of each averaged, the share of the mean face's error that it saves, and that it saves beyond layer 1, with errors of the mean."""
    person = torch.stack([groups == g for g in groups.unique()]).float()
    mean = {name: person @ e / person.sum(1) for name, e in errors.items()}
    unit, error = mean["mean face"].mean(), lambda d: d.std().item() / len(d)**0.5
    saved = {name: [(mean[other] - e) / unit for other in ("mean face", "layer 1")] for name, e in mean.items()}
    return {name: {"error": errors[name].mean().item(), "saved": a.mean().item(), "saved, error of the mean": error(a), "saved beyond layer 1": b.mean().item(), "beyond, error of the mean": error(b), "persons better than the mean face": (a > 0).float().mean().item()}
            for name, (a, b) in saved.items()}


def measure_all(networks: dict[str, ConvDBN]) -> None:
    """Measure, print, publish."""
    four, names = networks["four"], CATEGORIES_OF["four"]
    raw = {"notes": {name: load_notes(CHECKPOINTS / f"conv_dbn_{name}.safetensors") for name in networks}, "edges": edges(four), "selectivity": selectivity(four, "test"), "selectivity by means": selectivity(four, "test", by="mean"), "classification": classification(four),
           "completion": completion(networks["faces"], "test")}
    seconds = sum(float(notes["processor_seconds"]) for notes in raw["notes"].values()) + float(raw["notes"]["faces"]["processor_seconds_first_layer"])
    rows = [[f"AP of {BEST} features for {name}", *(f"{raw['selectivity'][f'{name} {level}']['chosen']:.3f}" for level in (1, 2, 3)),
             "by mean answers: " + ", ".join(f"{raw['selectivity by means'][f'{name} {level}']['chosen']:.3f}" for level in (1, 2, 3))] for name in names]
    rows += [[f"linear classifier, {kind}: errors", *(f"{100 * raw['classification'][f'layer {level}'][key]:.1f} %" for level in (1, 2, 3)),
              ", ".join(f"{pixels}: {100 * raw['classification'][pixels][key]:.1f} %" for pixels in ("pixels, grey", "pixels, whitened"))] for kind, key in (("all labels", "all labels"), (f"{FEW} labels a class", "few"))]
    for place, e in raw["completion"].items():
        side, scale = place.split()
        rows.append([f"half a face, {side} hidden, {'pixels' if scale == '1' else f'{scale} x {scale} blocks'}: share of the mean face's error saved", *(f"{100 * e[name]['saved']:.2f} % ± {100 * e[name]['saved, error of the mean']:.2f}" if name else "" for name in ("layer 1", "", "whole network")),
                     f"whole network beyond layer 1: {100 * e['whole network']['saved beyond layer 1']:.2f} % ± {100 * e['whole network']['beyond, error of the mean']:.2f}; errors: mean face {e['mean face']['error']:.3f}, grey {e['grey']['error']:.3f}"])
    about = raw["edges"]
    publish("conv_dbn", "Convolutional DBNs on Caltech-101: held-out pictures", ["measure", "layer 1", "layer 2", "layer 3", "beside it"], rows, about=machine(), raw=raw,
            notes=f"First layer: {100 * about['oriented']:.0f} % of filters oriented edges (Gabor fit and spectral selectivity above 0.5), weakest filter's strongest answer {about['strongest answer of the weakest filter']:.2f}, "
                  f"largest correlation of two {about['largest correlation']:.2f} in place, {about['largest, shifts of 3']:.2f} up to 3 pixels of shift. AP: test pictures, equally many of each class, chance 0.25; score = strongest answer anywhere in the picture; the {BEST} features of highest AP on training pictures. Beside it the same with the mean answer as score, the measure used at first. "
                  f"Completion: square error over the hidden half of whitened faces of held-out persons, pixel by pixel or by means of 4 x 4 blocks; every way read out alike (recentre: mean and one gain from training faces); ± one standard error over persons, who count alike. The gain over layer 1 is small: compare it with its error, side by side."
                  f" Training: {seconds / 60:.1f} processor minutes in all, one seed.")


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure_all({name: load_conv_dbn(name) for name in CATEGORIES_OF})
