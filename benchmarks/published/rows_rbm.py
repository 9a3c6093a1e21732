"""What the RBM rows share: one way to read results, one way to say the protocol."""
from .table import MEMORY, NATS, Ours, Published, Row, device, record

PROTOCOL = "fixed-binarised MNIST, 784-500, 50,000 training pictures, all 10,000 test pictures; log Z by AIS, 100 chains, 14,500 temperatures"
SOURCE, THEIR_PROTOCOL = f"Salakhutdinov & Murray 2008, {MEMORY}", "binarised MNIST, 784-500, 60,000 training pictures; log Z by AIS, 100 chains, 14,500 temperatures"


def ours(run: dict, found: dict, minutes: float, *, seeds: int, more: str = "") -> Ours:
    """From a row of rbm_cd or rbm_likelihood."""
    return Ours(run["test"], run["test"] - run["log_z_high"] + run["log_z"], run["test"] + run["log_z"] - run["log_z_low"], "three standard errors of log Z", "AIS estimate",
                PROTOCOL + more, seeds, device(found), found["machine"]["date"], minutes)


def contrastive(method: str, published: float, *, minutes: float, why: str) -> Row:
    """CD-k: the parameters that validation picks; beside them those at the end of training."""
    found = record("rbm_cd")
    best, end = (next(r for r in found["raw"] if r["method"] == method and r["place"] == place) for place in ("best on validation", "end of training"))
    also = f"stopped by validation after {best['update']:,} of {best['n_updates']:,} updates; at the end {end['test']:.2f}; reconstruction {best['reconstruction']:.1f}, at the end {end['reconstruction']:.1f} nats"
    return Row(f"rbm_{method.lower().replace('-', '')}", f"RBM-500, {method}", NATS, ours(best, found, best["seconds"] / 60, seeds=1, more="" if method == "CD-1" else ", of which every fifth"), Published(published, SOURCE, THEIR_PROTOCOL, True),
               why=why, also=also, minutes=minutes, script=("rbm_cd", method))
