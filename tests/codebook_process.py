"""One process of test_codebook_processes.py: trains codebooks on its share of the vectors, and saves what every process ends with.

    python -m torch.distributed.run --standalone --local-addr localhost --nproc_per_node 2 tests/codebook_process.py FOLDER
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from safetensors.torch import save_file
from torch import distributed

from deepgen_lib import codebook as module
from deepgen_lib.codebook import Codebook, Totals, code_totals

N_UPDATES, ROWS, K, D = 12, 60, 7, 3


def vectors(update: int) -> torch.Tensor:
    """The joint batch of an update, the same wherever it is drawn; shares of it differ much, as shares of sorted data do."""
    rng = torch.Generator().manual_seed(update)
    return torch.randn(ROWS, D, generator=rng) + torch.linspace(-2, 2, ROWS)[:, None]


def mean_of_means(totals: Totals) -> Totals:
    """Each process divides first; then the means are averaged."""
    means = totals.sums / totals.counts.clamp(min=1)[:, None]
    distributed.all_reduce(means)
    counts = totals.counts.clone()
    distributed.all_reduce(counts)
    return Totals(counts, means / distributed.get_world_size() * counts[:, None])


def own_statistics(totals: Totals) -> Totals:
    return totals


def means_of_totals(totals: Totals) -> Totals:
    """Averaged over processes instead of added up: the joint batch counts as half of itself."""
    return Totals(*(part / distributed.get_world_size() for part in RIGHT(totals)))


RIGHT = module.all_reduced
VARIANTS = {"right": RIGHT, "mean_of_means": mean_of_means, "own_statistics": own_statistics, "means_of_totals": means_of_totals}


def train(rank: int, size: int) -> Codebook:
    """K codes from the same start; each process takes its slice of every batch. Ends with a revival."""
    codebook = Codebook(K, D, decay=0.8, rng=torch.Generator().manual_seed(0))
    for update in range(N_UPDATES):
        z = vectors(update).chunk(size)[rank]
        codebook.update_statistics(z, codebook.nearest(z))
    return codebook


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    found = {}
    for name, reduce in VARIANTS.items():
        module.all_reduced = reduce
        codebook = train(rank, size)
        found |= {f"{name}.{key}": value.contiguous().clone() for key, value in codebook.state_dict().items()}
    rng, z = torch.Generator().manual_seed(rank), vectors(99).chunk(size)[rank]  # from here each draws numbers of its own
    codebook.revive(z, below=1e9, rng=rng)
    found["revived"] = codebook.codes.clone()
    codebook.init_from(z, how="kmeans", rng=rng)
    found["fresh"] = codebook.codes.clone()
    save_file(found, folder / f"{rank}.safetensors")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
