"""Mixture of 500 Bernoullis."""
from .rows_side import ours
from .table import MEMORY, NATS, Published, Row, show


def row() -> Row:
    return Row("mixture", "mixture of 500 Bernoullis", NATS, ours("mixture"), Published(-137.64, f"Larochelle & Murray 2011 (NADE), {MEMORY}", "binarised MNIST, 500 components, exact", True),
               minutes=2, script=("side_by_side", "mixture"))


if __name__ == "__main__":
    show(row())
