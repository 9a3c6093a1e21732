"""DBN 784-500-2000: the bound on log p(x)."""
from .table import MEMORY, NATS, Ours, Published, Row, device, record, show


def row() -> Row:
    found = record("dbn_bound")
    run, tied = (found["raw"][name] for name in ("second layer trained, parameters averaged", "tied start (the RBM itself)"))
    ours = Ours(run["test"], run["test"] - run["log_z_high"] + run["log_z"], run["test"] + run["log_z"] - run["log_z_low"], "three standard errors of log Z", "bound, log Z by AIS",
                "fixed-binarised MNIST, greedy, 50,000 training pictures, all 10,000 test pictures, 10 draws of q each; AIS with 100 chains, 14,500 temperatures", 1, device(found),
                found["machine"]["date"], run["cpu"] / 60)
    return Row("dbn_two_layers", "DBN 784-500-2000", NATS, ours, Published(-86.22, f"Salakhutdinov & Murray 2008, {MEMORY}", "binarised MNIST, greedy, bound on the test pictures; 60,000 training pictures", True),
               also=f"its first layer alone {tied['test']:.2f}; the time is the second layer's", minutes=16, script=("dbn_bound",))


if __name__ == "__main__":
    show(row())
