"""RBM-500 by CD-1."""
from .rows_rbm import contrastive
from .table import Row, record, show


def row() -> Row:
    longer = [r for r in record("rbm_likelihood")["raw"] if r["method"] == "CD-1"]
    found = contrastive("CD-1", -125.53, minutes=3, why="")
    return found._replace(also=f"{found.also}; after {longer[0]['n_updates']:,} updates " + ", ".join(f"{r['test']:.2f}" for r in longer) + " (three seeds)")


if __name__ == "__main__":
    show(row())
