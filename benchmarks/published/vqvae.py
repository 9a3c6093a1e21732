"""VQ-VAE with a PixelCNN over its codes."""
from .rows_side import ours
from .table import NATS, Row, show


def row() -> Row:
    return Row("vqvae", "VQ-VAE, 4 x 4 codes of 128, with a PixelCNN", NATS, ours("vqvae"), None, also="published on CIFAR-10 alone: 4.67 bits per dimension, a VAE 4.51 (van den Oord et al. 2017); CIFAR-10 does not ship, so it was not run",
               minutes=3, script=("side_by_side", "vqvae"))


if __name__ == "__main__":
    show(row())
