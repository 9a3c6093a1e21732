"""VAE with two hidden layers a side."""
from deepgen_lib.side_by_side import measured

from .rows_side import ours
from .table import MEMORY, NATS, Published, Row, show


def row() -> Row:
    return Row("vae", "VAE, one layer of 40 latents", NATS, ours("vae", more="; 500 importance-weighted draws on every tenth picture"),
               Published(-86.76, f"Burda, Grosse & Salakhutdinov 2016, {MEMORY}", "MNIST binarised anew each time a picture is seen, 50 latents; 5,000 importance-weighted draws", False),
               why="pictures drawn anew are endless training data, ours are 50,000", also=f"plain bound {measured('vae').bound:.2f}", minutes=5, script=("side_by_side", "vae"))


if __name__ == "__main__":
    show(row())
