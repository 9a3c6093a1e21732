"""What more processes bring: the same joint batch divided among 1, 2 and 4 of them, for each kind of model; time of an update, bytes exchanged, time lost to it.

    python3 tools/course.py bench scaling        about 13 minutes on two quiet cores
    python3 benchmarks/scaling.py --quick        three updates each and one round; nothing written
    python3 benchmarks/scaling.py --page         write the committed numbers into reference/cluster.md, which a measurement does by itself

Each measurement is a torchrun of train_together.py, one thread a process. A round measures every number of processes once, in turn, each followed by one process alone
with as many rows as a process had (what the update would take if exchanges and neighbours cost nothing); the median of the rounds counts.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import RESULTS, machine, publish

SCRIPT = Path(__file__).with_name("train_together.py")
PAGE, MARK = Path(__file__).parents[1] / "reference" / "cluster.md", "<!-- The rest is written by benchmarks/scaling.py. -->\n"
UPDATES = {"rbm_small": 200, "rbm": 100, "dbn": 50, "vae": 100, "vqvae": 40, "nvae": 30, "ais": 5}
WORDS = {"rbm_small": "RBM 784-50, PCD", "rbm": "RBM 784-500, PCD", "dbn": "DBN 784-500-1000, up-down", "vae": "VAE 784-500-500-20", "vqvae": "VQ-VAE, width 32", "nvae": "NVAE, small",
         "ais": "AIS, 100 temperatures"}
CHAINS_STAY = ("rbm_small", "rbm")  # one process would keep all chains and draw its random numbers in another way
COLUMNS = ("training", "parameters", "batch", "processes", "ms", "speed-up", "ms alone", "kB", "exchange")
NOTES = """Batch: rows of all processes together (AIS: chains), the same for all numbers of processes. Ms: of an update, median of {} rounds. Speed-up: one process's ms to these.
Ms alone: of one process with as many rows as each had, no exchange and no neighbour; not for RBMs, whose chains it would keep. kB: what a process hands over in an update. Exchange: the share of the
time that goes into exchanges. More processes than cores share them: here they show what the exchange costs, not what more cores bring. One process draws an RBM's random numbers the quick way; several
draw them by counter, so that the result does not depend on their number. Of the rounds of a row, the slowest took up to {:.1f} times as long as the quickest."""


def one(name: str, n_processes: int, n_updates: int, *options: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        start = [sys.executable] if n_processes == 1 else [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "localhost", "--nproc-per-node", str(n_processes)]
        ran = subprocess.run([*start, str(SCRIPT), name, "--updates", str(n_updates), "--measure", str(found), *options], env=os.environ | {"OMP_NUM_THREADS": "1", "USE_LIBUV": "0"},
                             capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"scaling: {name} with {n_processes} processes failed\n{ran.stderr[-3000:]}")
        return json.loads(found.read_text())


def rows(raw: dict[str, dict[str, list[dict]]]) -> list[tuple]:
    """raw: training -> number of processes -> one entry a round."""
    table = []
    for name, sizes in raw.items():
        for size, rounds in sizes.items():
            ms, first = (statistics.median(found["ms"] for found in sizes[key]) for key in (size, "1"))
            share = statistics.median(found["share"] for found in rounds)
            alone = f"{statistics.median(found['alone'] for found in rounds):.3g}" if all("alone" in found for found in rounds) else ""
            table.append((WORDS[name], f"{rounds[0]['parameters']:,}", rounds[0]["batch"], size, f"{ms:.3g}", f"{first / ms:.2f}", alone, f"{rounds[0]['bytes'] / 1000:,.1f}", f"{share:.0%}"))
    return table


def largest_spread(raw: dict[str, dict[str, list[dict]]]) -> float:
    """Of the rounds of one row, the slowest next to the quickest, at most."""
    measured = [[found[key] for found in rounds if key in found] for sizes in raw.values() for rounds in sizes.values() for key in ("ms", "alone")]
    return max(max(ms) / min(ms) for ms in measured if ms)


def with_table(page: str) -> str:
    """The page with the committed measurement at its end."""
    path = RESULTS / "scaling.json"
    if not path.exists():
        return page.split(MARK)[0] + MARK + "\nNot measured yet: `make bench ARGS=scaling`.\n"
    record = json.loads(path.read_text())
    shown = [[name, batch, *rest] if rest[0] in ("processes", "1") else ["", "", *rest] for name, _, batch, *rest in (record["columns"], *record["rows"])]  # what fits the page
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (shown[0], [":--", *["--:"] * (len(shown[0]) - 1)], *shown[1:])]
    where = ", ".join(f"{name} {value}" for name, value in record["machine"].items())
    return "\n".join([page.split(MARK)[0] + MARK, *lines, "", record["notes"], f"Measured with `make bench ARGS=scaling` on: {where}.", ""])


def write_page() -> None:
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4], help="beside 1")
    parser.add_argument("--only", nargs="+", choices=list(UPDATES), default=list(UPDATES))
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    if given.page:
        return write_page()
    sizes = [1, *given.processes]
    raw = {name: {str(size): [] for size in sizes} for name in given.only}
    for _ in range(1 if given.quick else given.rounds):
        for name in given.only:
            for size in sizes:
                found = one(name, size, n := 3 if given.quick else UPDATES[name])
                if size > 1 and name not in CHAINS_STAY:
                    found["alone"] = one(name, 1, n, "--batch", str(found["batch"] // size))["ms"]
                raw[name][str(size)].append(found)
    table = rows(raw)
    if given.quick:
        return print(*table, sep="\n")
    publish("scaling", "One training in several processes", COLUMNS, table, about=machine() | {"threads of a process": "1"}, raw=raw, notes=NOTES.format(given.rounds, largest_spread(raw)))
    write_page()


if __name__ == "__main__":
    main()
