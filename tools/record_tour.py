"""Record the picture of the start page: train one RBM on MNIST and let snapshots of it dream from noise.

    python -m tools.record_tour        about five minutes on one thread; writes deepgen_lib/embedded/tour.npz

One run, one seed, the first five chains: nothing is picked. The same noise and random numbers serve every snapshot.
"""
from __future__ import annotations

import numpy as np
import torch
from tqdm.auto import tqdm

from deepgen_lib import RBM, CDOptions, RBMTrainer, base_rate, gibbs_chain, init_visible_bias, load_mnist, sample_bernoulli
from deepgen_lib.plots.tour import GIBBS_STEPS, N_DREAMS, UPDATES
from tools.sources import ROOT


def main() -> None:
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    x = load_mnist("train", binarisation="thresholded").images
    rbm = init_visible_bias(RBM(784, 500, rng=rng).requires_grad_(False), base_rate(x))
    trainer = RBMTrainer(rbm, CDOptions(persistent=True, centred=True, learning_rate=0.05), data_mean=base_rate(x), rng=rng)
    frames = []
    for done in tqdm(range(UPDATES[-1] + 1)):
        if done in UPDATES:
            frames.append(dream(rbm))
        batch = x[torch.randint(len(x), (100,), generator=rng)]
        trainer.update(batch, min(done / UPDATES[-1], 1.0), rng)
    np.savez_compressed(ROOT / "deepgen_lib/embedded/tour.npz", updates=UPDATES, gibbs_steps=GIBBS_STEPS, frames=np.stack(frames))


def dream(rbm: RBM) -> np.ndarray:
    """(chains, columns, 784) in 16 levels of grey, 0 to 255."""
    rng = torch.Generator().manual_seed(1)
    v = torch.bernoulli(torch.full((N_DREAMS, rbm.n_visible), 0.5), generator=rng)
    columns = [v]
    for done, wanted in zip(GIBBS_STEPS, GIBBS_STEPS[1:]):
        v = gibbs_chain(rbm, v, n_steps=wanted - done - 1, rng=rng)
        h = sample_bernoulli(rbm.hidden_logits(v), rng)
        columns.append(torch.sigmoid(rbm.visible_logits(h)))  # the chances from which the next v is drawn: easier on the eye than 0 and 1
        v = sample_bernoulli(rbm.visible_logits(h), rng)
    return (torch.stack(columns, 1) * 15).round().mul(17).to(torch.uint8).numpy()


if __name__ == "__main__":
    main()
