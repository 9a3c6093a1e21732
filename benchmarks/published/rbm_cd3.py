"""RBM-500 by CD-3."""
from .rows_rbm import contrastive
from .table import Row, show


def row() -> Row:
    return contrastive("CD-3", -105.50, minutes=3, why="6,000 updates, twelve passes through the pictures, the rate falling to zero; longer runs were not tried")


if __name__ == "__main__":
    show(row())
