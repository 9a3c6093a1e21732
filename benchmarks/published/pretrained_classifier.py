"""A classifier started from a DBN, against the published one of the same kind."""
from statistics import mean

from .rows_errors import counted
from .table import PERCENT, Ours, Published, Row, device, record, show


def row() -> Row:
    found = record("dbn_pretraining")
    runs = {r["start"]: r for r in found["raw"] if r["labels"] == 60_000}
    ours = Ours(*counted(mean(runs["DBN"]["test"])), "counted, mean over seeds", "784-500-500-10, DBN by PCD-1 without labels, then Adam, five passes; grey pixels; the rate chosen on 10,000 validation pictures", len(runs["DBN"]["test"]),
                device(found), found["machine"]["date"], (runs["DBN"]["cpu_seconds"]) / 60)
    theirs = Published(1.34, "DBN tutorial of the Deep Learning Tutorials (lisa-lab), read there", "784-1000-1000-1000-10, CD-1, 100 passes a layer, then fine-tuning with early stopping; 50,000 training pictures", False)
    return Row("pretrained_classifier", "classifier started from a DBN", PERCENT, ours, theirs, why="a smaller network, trained for five passes",
               also=f"random start {100 * mean(runs['random']['test']):.2f} %; time: fine-tuning alone", needs="about 40 processor minutes: `bench dbn_pretraining`")


if __name__ == "__main__":
    show(row())
