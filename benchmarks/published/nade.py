"""NADE, quoted: the course has no code for it."""
from .table import MEMORY, NATS, Published, Row, show


def row() -> Row:
    return Row("nade", "NADE-500", NATS, None, Published(-88.33, f"Larochelle & Murray 2011, {MEMORY}", "binarised MNIST, exact", True), also="EoNADE of two layers -85.10, MADE -86.64, as quoted since")


if __name__ == "__main__":
    show(row())
