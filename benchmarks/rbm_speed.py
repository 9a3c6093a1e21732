"""Updates per second of RBM training, 784 x 500, against the packages a user would pick and against the bare matrix products.

    python3 tools/course.py bench rbm_speed

Same data, same batch, all cores for everyone; one process each, taking turns. Each peer is compared with our run of the same algorithm:
scikit-learn's PCD-1 with PCD-1, rbms' centred PCD-1 with centred PCD-1, learnergy's CD-1 with CD-1. The floor is the five matrix products of
one update (three half-steps, two outer products), into memory that is already there.
"""
import os
import warnings

os.environ["TQDM_DISABLE"] = "1"
import torch

from deepgen_lib import CDOptions, RBM, RBMTrainer, base_rate, fit, load_mnist
from harness import machine, paired, publish, ratio

V, H, ROUNDS = 784, 500, 5
UPDATES = {100: 500, 500: 100, 2000: 25}  # per timed run: one pass over the 50,000 images, what every package does once per call included


def images() -> torch.Tensor:
    return load_mnist("train", binarisation="fixed").images


def ours(batch: int, n: int, persistent: bool, centred: bool) -> callable:
    data, rng = images(), torch.Generator().manual_seed(0)
    rbm, mean = RBM(V, H, rng=rng), base_rate(data)
    trainer = RBMTrainer(rbm, CDOptions(n_chains=batch, learning_rate=0.01, persistent=persistent, centred=centred), data_mean=mean, rng=rng)
    return lambda: fit(trainer, data, n_updates=n, batch_size=batch, rng=rng).n_updates


def floor(batch: int, n: int) -> callable:
    data = images()
    v, h, W = data[:batch].clone(), torch.rand(batch, H).round(), torch.randn(V, H)
    up, down, outer = torch.empty(batch, H), torch.empty(batch, V), torch.empty(V, H)
    def run() -> int:
        for _ in range(n):
            torch.mm(v, W, out=up)
            torch.mm(h, W.T, out=down)
            torch.mm(v, W, out=up)
            torch.mm(v.T, h, out=outer)
            torch.mm(v.T, h, out=outer)
        return n
    return run


def scikit_learn(batch: int, n: int) -> callable:
    from sklearn.neural_network import BernoulliRBM
    x = images()[:batch * n].numpy()
    return lambda: (BernoulliRBM(H, learning_rate=0.01, batch_size=batch, n_iter=1, random_state=0).fit(x), len(x) // batch)[1]


def rbms(batch: int, n: int) -> callable:
    """Its training step and optimiser as in its own loop, without the file it writes after every update (which would slow it further)."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd
    data, W = images(), 0.01 * torch.randn(V, H)
    params = BBRBM(W, torch.zeros(V), torch.zeros(H))
    optimizer = torch.optim.SGD(params.parameters(), lr=0.01, maximize=True)
    chains, weights = params.init_chains(batch), torch.ones(len(data), 1)
    @torch.no_grad()
    def run() -> int:
        nonlocal chains
        for _ in range(n):
            rows = torch.randperm(len(data))[:batch]
            optimizer.zero_grad(set_to_none=False)
            chains, _ = fit_batch_pcd((data[rows], weights[rows]), chains, params, gibbs_steps=1, beta=1.0)
            optimizer.step()
        return n
    for p in params.parameters():
        p.grad = torch.zeros_like(p)
    return run


def learnergy(batch: int, n: int) -> callable:
    import logging
    from learnergy.models.bernoulli import RBM as LearnergyRBM
    logging.disable(logging.INFO)
    model = LearnergyRBM(V, H, steps=1, learning_rate=0.01)
    x = images()[:batch * n]
    dataset = torch.utils.data.TensorDataset(x, torch.zeros(len(x)))
    return lambda: (model.fit(dataset, batch_size=batch, epochs=1), n)[1]


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(os.cpu_count())
    rows, raw = [], {}
    for batch, n in UPDATES.items():
        times = paired({
            "five products": (floor, (batch, n)), "CD-1": (ours, (batch, n, False, False)), "PCD-1": (ours, (batch, n, True, False)),
            "centred PCD-1": (ours, (batch, n, True, True)), "scikit-learn": (scikit_learn, (batch, n)),
            "rbms": (rbms, (batch, n)), "learnergy": (learnergy, (batch, n))}, rounds=ROUNDS, threads=os.cpu_count())
        raw[batch] = {name: t.rates for name, t in times.items()}
        pairs = [("CD-1", "learnergy"), ("PCD-1", "scikit-learn"), ("centred PCD-1", "rbms")]
        for mine, peer in pairs:
            rows.append([batch, mine, f"{times[mine].median:.1f}", f"{ratio(times[mine], times['five products']):.0%}",
                         peer, f"{times[peer].median:.1f}", f"{ratio(times[mine], times[peer]):.1f} x"])
    publish("rbm_speed", "RBM training, 784 x 500: updates per second",
            ["batch", "deepgen", "updates/s", "of the five products", "peer, same algorithm", "updates/s", "deepgen is faster by"], rows,
            about=machine("scikit-learn", "rbms", "learnergy"), raw=raw,
            notes=f"Median of {ROUNDS} paired rounds of {', '.join(f'{n} updates (batch {b})' for b, n in UPDATES.items())}; ratios round by round.")


if __name__ == "__main__":
    main()
