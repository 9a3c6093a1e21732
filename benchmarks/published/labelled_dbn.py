"""Labelled DBN 784-500-500-2000 after up-down: errors."""
from .rows_errors import labelled
from .table import Row, show


def row() -> Row:
    return labelled("labelled_dbn", "labelled DBN 784-500-500-2000, up-down", "up-down 2", 1.25, stages=("greedy", "up-down 1", "up-down 2"))


if __name__ == "__main__":
    show(row())
