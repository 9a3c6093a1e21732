"""What the rows in per cent share: the bar of an error rate, and the labelled DBN's stages."""
from .table import MEMORY, PERCENT, Ours, Published, Row, device, record

N_TEST = 10_000


def counted(share: float) -> tuple[float, float, float, str]:
    """Value, low and high in %, and what the bar is."""
    error = 2 * (share * (1 - share) / N_TEST) ** 0.5
    return 100 * share, 100 * (share - error), 100 * (share + error), "two standard errors of a count on 10,000 test pictures"


def labelled(name: str, model: str, stage: str, published: float, *, stages: tuple[str, ...]) -> Row:
    found = record("dbn_classify")
    ours = Ours(*counted(found["raw"][stage]["test"]), "counted", "all 60,000 training pictures, pixels drawn anew each time, no validation set; label read off exactly at the top RBM", 1, device(found),
                found["machine"]["date"], sum(found["raw"][s]["cpu"] for s in stages) / 60)
    return Row(name, model, PERCENT, ours, Published(published, f"Hinton, Osindero & Teh 2006, {MEMORY}", "MNIST, 60,000 training pictures, grey values as probabilities, up-down of 300 passes", True),
               needs="65 processor minutes: `bench dbn_classify`")
