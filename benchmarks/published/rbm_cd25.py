"""RBM-500 by CD-25."""
from .rows_rbm import contrastive
from .table import Row, show


def row() -> Row:
    return contrastive("CD-25", -86.34, minutes=3, why="1,000 updates, two passes through the pictures: what a minute and a half of one core gives; centred PCD-1 passes the figure after 100,000 (next row)")


if __name__ == "__main__":
    show(row())
