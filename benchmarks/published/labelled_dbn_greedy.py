"""Labelled DBN 784-500-500-2000 before up-down: errors."""
from .rows_errors import labelled
from .table import Row, show


def row() -> Row:
    return labelled("labelled_dbn_greedy", "labelled DBN 784-500-500-2000, greedy", "greedy", 2.49, stages=("greedy",))


if __name__ == "__main__":
    show(row())
