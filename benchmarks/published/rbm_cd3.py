"""RBM-500 by CD-3."""
from .rows_rbm import contrastive
from .table import Row, show


def row() -> Row:
    return contrastive("CD-3", -105.50, minutes=2, why="1,500 updates, three passes through the pictures: what a minute of one core gives; longer runs were not tried")


if __name__ == "__main__":
    show(row())
