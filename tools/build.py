"""Build the notebooks from source/: convert, execute in fresh kernels, store outputs; make the exercises; write the ledger and the pages made from it.

    python -m tools.build                     everything
    python -m tools.build 01 --jobs 2         chapters whose name starts with 01, two notebooks at a time
    python -m tools.build --only lectures     lectures | solutions | exercises | ledger
"""
from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools import reference
from tools.exercises import leaks, release
from tools.ledger import write_ledger
from tools.running import execute
from tools.sources import ROOT, Source, built_path, find_sources, read_inputs, write_notebook
from tools.writing import trouble

KINDS = ("lectures", "solutions", "exercises", "ledger")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all")
    parser.add_argument("--only", action="append", choices=KINDS, help="build this alone; may be given more than once")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks executed at the same time (default 1)")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)  # another course, for tests
    options = parser.parse_args(arguments)
    try:
        failures = build(options.root.resolve(), chapters=options.chapters, kinds=tuple(options.only or KINDS), jobs=options.jobs)
    except ValueError as error:
        failures = [str(error)]
    except OSError as error:
        failures = [trouble(error)]
    for failure in failures:
        print(f"FAILED  {failure}", file=sys.stderr)
    return 1 if failures else 0


def build(root: Path, *, chapters: list[str] = (), kinds: tuple[str, ...] = KINDS, jobs: int = 1) -> list[str]:
    """Build what is asked for; returns one line for each notebook that failed, which keeps its old built form."""
    sources = find_sources(root)
    for chapter in chapters:
        if not any(source.stem.startswith(chapter) for source in sources):
            stems = sorted({source.stem for source in sources})
            raise ValueError(f"build: no chapter starts with {chapter!r}, expected one of {', '.join(stems) or 'none: source/ is empty'}")
    chosen = [source for source in sources if not chapters or source.stem.startswith(tuple(chapters))]
    failures = _execute_all([source for source in chosen if source.kind in kinds], jobs)
    if "exercises" in kinds:
        failures += filter(None, [_build_exercise(source, root) for source in chosen if source.kind == "solutions"])
    if "ledger" in kinds:
        write_ledger(root)
        if (root / "reference").is_dir():  # toy courses have none
            reference.out_of_date(root, write=True)
    return failures


def _execute_all(sources: list[Source], jobs: int) -> list[str]:
    if jobs < 1:
        raise ValueError(f"build: jobs is {jobs}, expected 1 or more")
    if jobs == 1 or len(sources) < 2:
        results = map(_build_one, sources)
        return [failure for failure in results if failure]
    with ProcessPoolExecutor(max_workers=min(jobs, len(sources))) as pool:
        return [failure for failure in pool.map(_build_one, sources) if failure]


def _build_one(source: Source) -> str | None:
    """Returns why it failed, or None."""
    start = time.perf_counter()
    name = f"{source.kind}/{source.stem}"
    try:
        notebook = read_inputs(source.text)
        source.built.parent.mkdir(parents=True, exist_ok=True)
        write_notebook(execute(notebook, source.built.parent), source.built)
    except (ValueError, RuntimeError) as error:
        return f"{name}: {error}"
    except OSError as error:
        return f"{name}: {trouble(error)}"
    print(f"built   {name} in {time.perf_counter() - start:.0f} s", flush=True)
    return None


def _build_exercise(source: Source, root: Path) -> str | None:
    """Returns why it failed, or None.  The solution is not executed for this."""
    name = f"exercises/{source.stem}"
    try:
        solution = read_inputs(source.text)
        released = release(source.stem, solution, root=root)
    except (ValueError, RuntimeError) as error:
        return f"{name}: {error}"
    if found := leaks(solution, released):
        return f"{name}: {found[0]}; reword it, a student must not read it"
    write_notebook(released, built_path(root, "exercises", source.stem))
    print(f"built   {name}", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
