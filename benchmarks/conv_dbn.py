"""Five convolutional DBNs on pictures of Caltech-101, one shared first layer: trained, measured, shipped as float16.

    python3 tools/course.py bench conv_dbn

Layer 1 sees 300 pictures of each of the six categories, whitened. Layers 2 and 3 are trained greedily on one category each (faces, elephants and chairs also
mirrored), or on four, each category equally often; their filters start as pieces of examples. CD-1 throughout. One torch thread; processor seconds are on record.
Measures: conv_dbn_measures.py.
"""
import copy
import os
import time

os.environ["TQDM_DISABLE"] = "1"
import torch
from torch.nn import functional as F

from conv_dbn_measures import equal_draws, measure_all, selectivity
from deepgen_lib import CDOptions, ConvDBN, load_caltech, save_model
from deepgen_lib.conv_networks import CATEGORIES_OF, blank_conv_dbn, feature_scores, load_conv_dbn, white_pictures
from deepgen_lib.conv_rbm import ConvRBM
from deepgen_lib.conv_stacking import sample_pooled
from deepgen_lib.conv_training import ConvRBMTrainer
from deepgen_lib.fitting import fit
from deepgen_lib.selectivity import average_precision
from deepgen_lib.shipped import CHECKPOINTS

SEED = 0
PER_CATEGORY = 300                                 # pictures of each category for layer 1; small categories are repeated
OPTIONS = [  # by layer; sigma is 0.7: the first layer's slopes carry 1/sigma²
    CDOptions(learning_rate=0.49, final_learning_rate=0.05, momentum=0.5, weight_decay=0.001, sparsity_target=0.003, sparsity_weight=0.8),
    CDOptions(learning_rate=1.0, final_learning_rate=0.1, momentum=0.5, weight_decay=0.0001, sparsity_target=0.01, sparsity_weight=1.0),
    CDOptions(learning_rate=0.003, final_learning_rate=0.0003, momentum=0.5, weight_decay=0.001, sparsity_target=0.1, sparsity_weight=10.0),
]
UPDATES, BATCHES = (1000, 300, 300), (10, 10, 40)
TOPS, STARTED = 5, 80                              # third layers tried for four categories, and filters of each; the least selective are not shipped
START_NORM, TRIES = 3.0, 4                         # of the filters of layers 2 and 3; pieces looked at for each
MIRRORED = ("faces", "elephants", "chairs")        # the others all look one way


class ZeroMean(ConvRBMTrainer):
    """Whitened pictures have mean zero: b stays 0. Left free it would swing, its slope being summed over more pixels than a map has positions."""

    def update(self, v: torch.Tensor, fraction: float, rng: torch.Generator) -> None:
        super().update(v, fraction, rng)
        self.model.b.zero_()
        self.velocity_b.zero_()


def balanced(labels: torch.Tensor, n: int, rng: torch.Generator) -> torch.Tensor:
    """n rows of each label, each picture as often as any other of its label, give or take one."""
    rows = []
    for k in range(int(labels.max()) + 1):
        own = (labels == k).nonzero()[:, 0]
        rows.append(own[torch.randperm(len(own), generator=rng)][torch.arange(n) % len(own)])
    return torch.cat(rows)


def start_at_examples(rbm: ConvRBM, below: torch.Tensor, share: float, rng: torch.Generator) -> None:
    """Each filter starts as a piece of one example less the mean piece, smoothed, and with a bias that lets it be on at about `share` of the places.

    From tiny random weights all filters of the top layer run for the mean picture: its visible bias is one number a channel and cannot hold it.
    """
    K, _, w, _ = rbm.W.shape
    places = below.shape[-1] - w + 1
    pieces = []
    for row in torch.randperm(len(below), generator=rng)[:K].tolist():
        corners = torch.randint(places, (TRIES, 2), generator=rng).tolist()
        pieces.append(max((below[row, :, y:y + w, x:x + w] for y, x in corners), key=torch.sum))  # the busiest of a few: most pieces are nearly empty
    pieces = torch.stack(pieces)
    smooth = F.avg_pool2d(F.pad(pieces - (below.mean(0) if places == 1 else below.mean((0, 2, 3))[:, None, None]), [1] * 4, mode="replicate"), 3, 1)
    rbm.W.copy_(START_NORM * smooth / smooth.flatten(1).norm(dim=1)[:, None, None, None])
    rbm.c.zero_()
    answers = rbm.hidden_logits(below[torch.randperm(len(below), generator=rng)[:500]])
    rbm.c.copy_(-answers.transpose(0, 1).flatten(1)[:, ::1 if places == 1 else 37].quantile(1 - share, 1))


def train_layer(lower: list[ConvRBM], rbm: ConvRBM, x: torch.Tensor, rng: torch.Generator) -> None:
    """Train `rbm` on top of the frozen layers `lower`, in place, on one draw of their pooling units for each picture."""
    options = OPTIONS[len(lower)]
    below = torch.cat([sample_pooled(lower, part, rng) for part in x.split(50)]) if lower else x
    if lower:
        rbm.b.copy_(torch.logit(below.mean((0, 2, 3)).clamp(0.001, 0.999)))
        start_at_examples(rbm, below, options.sparsity_target, rng)
    else:
        rbm.W.normal_(0, 0.05, generator=rng)
        rbm.c.fill_(-4)
    trainer = (ConvRBMTrainer if lower else ZeroMean)(rbm, options, image_size=tuple(below.shape[-2:]), rng=rng)
    fit(trainer, below, n_updates=UPDATES[len(lower)], batch_size=BATCHES[len(lower)], rng=rng)


def first_layer(rng: torch.Generator) -> ConvRBM:
    """On the training pictures of all six categories."""
    data = load_caltech("train")
    rbm = blank_conv_dbn("faces").rbms[0]
    train_layer([], rbm, white_pictures(data)[balanced(data.labels, PER_CATEGORY, rng)], rng)
    return rbm


def network(name: str, first: ConvRBM, rng: torch.Generator) -> ConvDBN:
    """Layers 2 and 3 on the training pictures of the network's categories."""
    data = load_caltech("train", categories=CATEGORIES_OF[name])
    x = white_pictures(data)
    if name in MIRRORED:
        x = torch.cat([x, x.flip(-1)])
    elif name == "four":
        x = x[balanced(data.labels, int(torch.bincount(data.labels).max()), rng)]
    dbn = blank_conv_dbn(name)
    dbn.rbms[0].load_state_dict(first.state_dict())
    if name == "four":
        dbn.rbms[2] = ConvRBM(dbn.rbms[2].n_channels, STARTED, 10, block=1).requires_grad_(False)
    for level in (1, 2):
        train_layer(list(dbn.rbms[:level]), dbn.rbms[level], x, rng)
    return without_least_selective(best_top(dbn, x, rng), data) if name == "four" else dbn


def best_top(dbn: ConvDBN, x: torch.Tensor, rng: torch.Generator) -> ConvDBN:
    """The best of TOPS third layers, by selectivity_score: about 20 of the examples at which one starts are cars, and which ones matters."""
    kept = (selectivity_score(dbn), copy.deepcopy(dbn))
    for _ in range(TOPS - 1):
        train_layer(list(dbn.rbms[:2]), dbn.rbms[2], x, rng)
        kept = max(kept, (selectivity_score(dbn), copy.deepcopy(dbn)), key=lambda pair: pair[0])
    return kept[1]


def without_least_selective(dbn: ConvDBN, data) -> ConvDBN:
    """The third layer without the filters whose best average precision for any class, on training pictures, is lowest: as many stay as ship, and the file stays small."""
    scores, rows = feature_scores(dbn, white_pictures(data), 3), equal_draws(data.labels)
    best = torch.stack([torch.stack([average_precision(scores[r], data.labels[r] == k) for r in rows]).mean(0) for k in range(4)]).amax(0)
    shipped, top = blank_conv_dbn("four"), dbn.top
    keep = best.topk(shipped.top.n_filters).indices.sort().values
    for old, new in zip(dbn.rbms[:2], shipped.rbms[:2]):
        new.load_state_dict(old.state_dict())
    shipped.top.load_state_dict({"W": top.W[keep], "b": top.b, "c": top.c[keep]})
    return shipped


def selectivity_score(dbn: ConvDBN) -> float:
    """Mean over classes of the average precision on validation pictures of the third layer's five features that are best on training pictures."""
    found = selectivity(dbn, "valid", levels=(3,))
    return sum(found[f"{name} 3"]["chosen"] for name in CATEGORIES_OF["four"]) / 4


def timed(work, *arguments):
    """(result, processor seconds, seconds)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work(*arguments)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def train_all(names: list[str]) -> None:
    """Train and ship; the notes of each file say how long."""
    first, cpu_first, _ = timed(first_layer, torch.Generator().manual_seed(SEED))
    print(f"first layer: {cpu_first:.0f} s of processor", flush=True)
    for number, name in [(1 + list(CATEGORIES_OF).index(name), name) for name in names]:
        dbn, cpu, wall = timed(network, name, first, torch.Generator().manual_seed(SEED + number))
        notes = {"script": "benchmarks/conv_dbn.py", "seed": str(SEED), "categories": ", ".join(CATEGORIES_OF[name]), "updates": str(UPDATES),
                 "processor_seconds_first_layer": f"{cpu_first:.0f}", "processor_seconds": f"{cpu:.0f}", "seconds": f"{wall:.0f}"}
        save_model(CHECKPOINTS / f"conv_dbn_{name}.safetensors", dbn.half(), notes=notes)
        print(f"{name}: {cpu:.0f} s of processor, {wall:.0f} s", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    train_all(list(CATEGORIES_OF))
    measure_all({name: load_conv_dbn(name) for name in CATEGORIES_OF})


if __name__ == "__main__":
    main()
