"""What the comparison of a lecture's committed outputs catches alone: mutants of what five lectures import, one notebook each, without any other test.

    python benchmarks/mutation_notebooks.py           # goes on where it was stopped; after `bench mutation`, whose folder it shares; then `bench mutation publish`

A mutant is taken where a lecture imports the function (or the class) it stands in by name. The notebook is run by the same call as in `make test`, and stops at the
first cell that differs. The library comes from the hook in mutant_hook/, in the kernel as well.
"""
import argparse
import ast
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import Mutant
from mutation import drawn, file_of
from mutation_run import HOOK, ROOT

LECTURES = ("01", "02", "03", "05", "12")


def imported(lecture: Path) -> set[str]:
    """Names that a lecture takes from the library."""
    text = "\n".join(line for line in lecture.read_text(encoding="utf-8").splitlines() if not line.startswith(("#", "%", "!")))
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepgen_lib")]
    return {alias.name for node in nodes for alias in node.names}


def sample(n: int, seed: int, drawn: list[Mutant]) -> list[tuple[Mutant, str]]:
    """n mutants and the notebook of each, the lectures in turn."""
    chance, options, chosen = random.Random(seed), {}, {}
    for number in LECTURES:
        lecture, = (ROOT / "source/lectures").glob(f"{number}_*.py")
        names = imported(lecture)
        options[lecture.stem] = [m for m in drawn if m.function.split(".")[0] in names]
        chance.shuffle(options[lecture.stem])
    while len(chosen) < n and any(options.values()):
        for name, left in options.items():
            while left and left[-1].key in chosen:
                left.pop()
            if left and len(chosen) < n:
                mutant = left.pop()
                chosen[mutant.key] = mutant, f"notebooks/{name}.ipynb"
    return list(chosen.values())


def compared(mutant: Mutant, notebook: str, folder: Path, limit: float, run: Callable = subprocess.Popen) -> dict:
    """The verdict of one notebook on one mutant."""
    file = folder / f"{mutant.module}-{abs(hash(mutant.key))}.py"
    file.write_text(mutant.applied((ROOT / file_of(mutant.module)).read_text(encoding="utf-8")), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HOOK), str(ROOT)]), "DEEPGEN_MUTANT": f"{mutant.module}={file}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "tools.nbval_tolerance", "-p", "no:cacheprovider", "-x", "-q", notebook]
    begun = time.monotonic()
    process = run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=limit)
        outcome = {0: "survived", 1: "killed"}.get(process.returncode, "no verdict")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, outcome = process.communicate()[0], "killed"
    cell = next((line for line in said.splitlines() if line.startswith("FAILED")), "")
    return {"key": mutant.key, "notebook": notebook, "outcome": outcome, "cell": cell.split("::")[-1][:40], "seconds": round(time.monotonic() - begun)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutants", type=int, default=40)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--minutes", type=float, default=60, help="no new notebook is begun after that; those tried are published")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/mutation")
    given = parser.parse_args()
    work, end = given.folder.resolve() / "work", time.monotonic() + 60 * given.minutes
    work.mkdir(parents=True, exist_ok=True)
    kept = work.parent / "notebooks.json"
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    done = {tuple(r["key"]) for r in found}

    def tried(pair: tuple[Mutant, str]) -> dict | None:
        return compared(*pair, work, 1800) if time.monotonic() < end else None

    with ThreadPoolExecutor(given.workers) as pool:
        chosen = sample(given.mutants, given.seed, drawn(given.folder.resolve(), 580, given.seed))
        for result in filter(None, pool.map(tried, [pair for pair in chosen if pair[0].key not in done])):
            found.append(result)
            print(result, flush=True)
            kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
