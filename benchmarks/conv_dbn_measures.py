"""What the five convolutional DBNs of conv_dbn.py know: edges, selectivity by depth, a linear classifier, completed faces.

    python3 tools/course.py bench conv_dbn_measures        measures what is shipped, trains nothing
"""
import os

os.environ["TQDM_DISABLE"] = "1"
import torch

from deepgen_lib import ConvDBN, load_caltech
from deepgen_lib.conv_networks import CATEGORIES_OF, CHECKPOINTS, complete, completion_error, feature_scores, half_known, load_conv_dbn, white_pictures
from deepgen_lib.fitting import load_notes
from deepgen_lib.orientation import edge_measure, filter_correlation, oriented_edges
from deepgen_lib.probe import linear_probe
from deepgen_lib.selectivity import average_precision, conditional_entropy, strongest
from harness import machine, publish

BEST = 5                           # features: how far down the best of a layer are looked at
DECAYS = (1e-3, 1e-2, 1e-1)
FEW = 5                            # labelled pictures a class, for the second classifier
DRAWS = 5                          # of these few
FEATURES = {"pixels, grey": 0, "pixels, whitened": 0, "layer 1": 1, "layer 2": 2, "layer 3": 3}


def edges(dbn: ConvDBN) -> dict:
    """The first layer's filters, and how strongly each answers somewhere in the held-out pictures."""
    W, x = dbn.bases(1), white_pictures(load_caltech("valid"))
    measure, off = edge_measure(W), 1 - torch.eye(len(W))
    return {"oriented": oriented_edges(W).double().mean().item(), "median fit": measure.fit.median().item(), "median selectivity": measure.selectivity.median().item(),
            "strongest answer of the weakest filter": dbn.features(x, 1).amax((0, 2, 3)).min().item(), "smallest norm": W.flatten(1).norm(dim=1).min().item(),
            "largest correlation": (filter_correlation(W) * off).max().item(), "largest, shifts of 3": (filter_correlation(W, shifts=3) * off).max().item()}


def selectivity(dbn: ConvDBN, split: str, levels: tuple[int, ...] = (1, 2, 3)) -> dict:
    """By class and level: AP of the median feature, the mean of the best BEST, the best; by level the median entropy. Pictures weighed so that chance is 1/4."""
    data = load_caltech(split, categories=CATEGORIES_OF["four"])
    x, found = white_pictures(data), {}
    n = int(torch.bincount(data.labels).min())
    for level in levels:
        scores = feature_scores(dbn, x, level)
        rows = [torch.cat([pick[torch.randperm(len(pick), generator=torch.Generator().manual_seed(draw))[:n]] for k in range(4) for pick in [(data.labels == k).nonzero()[:, 0]]]) for draw in range(DRAWS)]
        for k, name in enumerate(CATEGORIES_OF["four"]):
            ap = torch.stack([average_precision(scores[r], data.labels[r] == k) for r in rows]).mean(0).sort(descending=True).values
            found[f"{name} {level}"] = {"median": ap.median().item(), "mean": ap.mean().item(), "best 5": ap[:BEST].mean().item(), "best": ap[0].item()}
        entropy = torch.stack([conditional_entropy(strongest(scores[r], share=0.1), data.labels[r], 4) for r in rows]).mean(0)
        found[f"entropy {level}"] = entropy.median().item()
    return found


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
    """Mean square error per hidden pixel, whitened pictures of persons never seen; by hidden half and way of completing."""
    x, mean = (white_pictures(load_caltech(s, categories=["Faces_easy"])) for s in (split, "train"))
    x, found = x[::4], {}
    for side in ("left", "right", "top", "bottom"):
        known, rng = half_known(side), torch.Generator().manual_seed(0)
        ways = {"grey": torch.zeros_like(x), "mean face": mean.mean(0, keepdim=True).expand_as(x),
                "layer 1": complete(ConvDBN(list(dbn.rbms[:1])), x, known, rng=rng), "layers 1 and 2": complete(ConvDBN(list(dbn.rbms[:2])), x, known, rng=rng),
                "whole network": complete(dbn, x, known, rng=rng), "top-down off": complete(dbn, x, known, top_down=False, rng=rng)}
        found[side] = {name: completion_error(y, x, known).mean().item() for name, y in ways.items()}
        print(side, {name: round(value, 3) for name, value in found[side].items()}, flush=True)
    return found


def measure_all(networks: dict[str, ConvDBN]) -> None:
    """Measure, print, publish."""
    four, names = networks["four"], CATEGORIES_OF["four"]
    raw = {"notes": {name: load_notes(CHECKPOINTS / f"conv_dbn_{name}.safetensors") for name in networks}, "edges": edges(four), "selectivity": selectivity(four, "test"), "classification": classification(four),
           "completion": completion(networks["faces"], "test")}
    seconds = sum(float(notes["processor_seconds"]) for notes in raw["notes"].values()) + float(raw["notes"]["faces"]["processor_seconds_first_layer"])
    rows = [[f"AP, best {BEST} features of {name}", *(f"{raw['selectivity'][f'{name} {level}']['best 5']:.3f}" for level in (1, 2, 3)), ""] for name in names]
    rows += [[f"linear classifier, {kind}: errors", *(f"{100 * raw['classification'][f'layer {level}'][key]:.1f} %" for level in (1, 2, 3)),
              ", ".join(f"{pixels}: {100 * raw['classification'][pixels][key]:.1f} %" for pixels in ("pixels, grey", "pixels, whitened"))] for kind, key in (("all labels", "all labels"), (f"{FEW} labels a class", "few"))]
    rows += [[f"half a face, {side} hidden: error", f"{e['layer 1']:.3f}", f"{e['layers 1 and 2']:.3f}", f"{e['whole network']:.3f}", f"mean face {e['mean face']:.3f}, grey {e['grey']:.3f}"] for side, e in raw["completion"].items()]
    about = raw["edges"]
    publish("conv_dbn", "Convolutional DBNs on Caltech-101: held-out pictures", ["measure", "layer 1", "layer 2", "layer 3", "beside it"], rows, about=machine(), raw=raw,
            notes=f"First layer: {100 * about['oriented']:.0f} % of filters oriented edges (Gabor fit and spectral selectivity above 0.5), weakest filter's strongest answer {about['strongest answer of the weakest filter']:.2f}, "
                  f"largest correlation of two {about['largest correlation']:.2f} in place, {about['largest, shifts of 3']:.2f} up to 3 pixels of shift. AP: balanced test pictures, chance 0.25, score = mean of P(pool = 1). "
                  f"Completion: mean square error per hidden pixel of whitened faces, every fourth picture of held-out persons; where the network beats layer 1 alone it is by a little, and the mean face beats both: the aim of completing better than the mean face was not reached. Training: {seconds / 60:.1f} processor minutes in all, one seed.")


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure_all({name: load_conv_dbn(name) for name in CATEGORIES_OF})
