"""RBM-500 by CD-25."""
from .rows_rbm import contrastive
from .table import Row, show


def row() -> Row:
    return contrastive("CD-25", -86.34, minutes=16, why="12,000 updates, 24 passes through the pictures, the rate falling to zero; longer runs were not tried; centred PCD-1 passes the figure after 100,000 (next row)")


if __name__ == "__main__":
    show(row())
