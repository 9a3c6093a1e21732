"""One training step of a vector quantiser (search, straight-through, commitment, backward, update of the running means): time and memory beyond the data.

    python3 tools/course.py bench vq_speed        (python3 benchmarks/vq_speed.py --quick: two sizes, two rounds of one step, one thread, nothing written)

N vectors of 64 numbers, K codes, all cores for everyone; one process each, taking turns. vector-quantize-pytorch runs the same algorithm (straight-through, EMA,
squared Euclidean distance). "cdist" is our step with the search that one would write: torch.cdist and argmin. The floor is the one matrix product that the
search needs, cut into our pieces, into memory that is already there.
"""
import argparse
import multiprocessing
import os
import warnings
from pathlib import Path

import torch

from deepgen_lib import Codebook
from deepgen_lib.kernels import nearest_code
from harness import machine, paired, publish, ratio
from quantiser_step import cdist_search, our_step, peer_step

D, ROUNDS = 64, 5
SIZES = [(4096, 512), (16384, 512), (131072, 512), (4096, 8192), (16384, 8192), (131072, 8192)]
QUICK = [(16384, 512), (16384, 8192)]
PEER_LIMIT = 2**28   # scores: above, peers that hold them all several times over would need tens of GiB
STATUS = Path("/proc/self/status")  # on Linux alone; elsewhere memory is not measured
WORK = 2**28         # scores in a timed run, about


def steps(n: int, k: int, quick: bool) -> int:
    return 1 if quick else max(1, WORK // (n * k))


def start(n: int, k: int) -> tuple[torch.Tensor, torch.Tensor, Codebook]:
    """Vectors, the gradient that comes back from the decoder, a codebook."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, D, generator=rng, requires_grad=True), torch.randn(n, D, generator=rng), Codebook(k, D, rng=rng)


def ours(n: int, k: int):
    return our_step(nearest_code, *start(n, k))


def cdist(n: int, k: int):
    return our_step(cdist_search, *start(n, k))


def peer(n: int, k: int):
    z, upstream, _ = start(n, k)
    return peer_step(z, upstream, k)


def product(n: int, k: int):
    z, _, codebook = start(n, k)
    rows, columns = max(32, 2**20 // k), codebook.codes.T.contiguous()
    out = torch.empty(rows, k)

    def step() -> None:
        for piece in z.detach().split(rows):
            torch.mm(piece, columns, out=out[:len(piece)])
    return step


MAKERS = {"product": product, "deepgen": ours, "cdist": cdist, "vector-quantize-pytorch": peer}


def repeated(name: str, n: int, k: int, n_steps: int):
    step = MAKERS[name](n, k)
    return lambda: ([step() for _ in range(n_steps)], n_steps)[1]


def peak_memory(name: str, n: int, k: int, threads: int) -> float:
    """MiB that the process needs at most during one step beyond what it held before; a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, n, k, threads))


def _peak(name: str, n: int, k: int, threads: int) -> float:
    torch.set_num_threads(threads)
    MAKERS[name](256, 16)()  # libraries load now
    step = MAKERS[name](n, k)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is held now
    before = _status("VmRSS")
    step()
    return (_status("VmHWM") - before) / 2**10


def _status(name: str) -> int:
    """A field of what Linux says about this process, in KiB."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name))


def measure(n: int, k: int, quick: bool) -> tuple[list[str], dict]:
    threads, rounds = (1, 2) if quick else (os.cpu_count(), ROUNDS)
    names = [name for name in MAKERS if name in ("product", "deepgen") or n * k <= PEER_LIMIT]
    times = paired({name: (repeated, (name, n, k, steps(n, k, quick))) for name in names}, rounds=rounds, threads=threads)
    memory = {name: peak_memory(name, n, k, threads) for name in names if name != "product" and STATUS.exists()}
    mine = times["deepgen"]
    row = [f"{n:,}", f"{k:,}", *(f"{1000 / times[name].median:.3g} ms" if name in times else "-" for name in MAKERS), f"{ratio(mine, times['product']):.0%}",
           *(f"{ratio(mine, times[name]):.1f} x" if name in times else "-" for name in ("cdist", "vector-quantize-pytorch")),
           *(f"{memory[name]:,.0f} MiB" if name in memory else "-" for name in ("deepgen", "cdist", "vector-quantize-pytorch"))]
    return row, {"steps per second": {name: t.rates for name, t in times.items()}, "peak MiB": memory}


def main() -> None:
    quick = argparse.ArgumentParser()
    quick.add_argument("--quick", action="store_true")
    quick = quick.parse_args().quick
    warnings.filterwarnings("ignore")
    torch.set_num_threads(os.cpu_count())
    rows, raw = [], {}
    for n, k in QUICK if quick else SIZES:
        row, raw[f"{n} x {k}"] = measure(n, k, quick)
        rows.append(row)
        print(*row, sep=" | ", flush=True)
    if not quick:
        publish("vq_speed", "A training step of a vector quantiser, 64 numbers a vector",
                ["vectors", "codes", "one product", "deepgen", "cdist", "vector-quantize-pytorch", "speed of the product", "faster than cdist", "than vector-quantize-pytorch",
                 "memory: deepgen", "cdist", "vector-quantize-pytorch"], rows, about=machine("vector-quantize-pytorch"), raw=raw,
                notes=f"Median of {ROUNDS} paired rounds of about {WORK:,} scores each, at least one step; ratios round by round. Memory: the peak during one step, beyond the process before it; "
                      f"the codes looked up, what backward keeps and the gradient are about 1 KiB a vector of it, in every column. Peers are left out where N x K passes {PEER_LIMIT:,}.")


if __name__ == "__main__":
    main()
