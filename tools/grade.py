"""Grade what was handed in: submitted/STUDENT/CHAPTER/CHAPTER.ipynb -> points, feedback, gradebooks; all of it ignored by git.

    python -m tools.grade                          every chapter that was handed in
    python -m tools.grade 08_vae                   this one; the beginning of its name is enough
    python -m tools.grade 08 --zip download.zip    first unpack what Canvas or Moodle downloaded
    python -m tools.grade --regrade ada            ada's hand-ins again, though nothing changed; without a name, all

What is graded stays graded: a run that was stopped, or killed, goes on where it was. grades/late.toml holds deadlines (grading/late.py shows
one), grades/rosters/ what the platform exported (gradebook of Canvas, grading worksheet of Moodle), grades/.key the term's secret.
"""
from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from grading.course import Outcome, Wanted, grade_course, late_policy, released_notebooks, waiting
from grading.gradebook import read_roster
from grading.platform_zip import collect_zip
from grading.sandbox import Limits
from tools.sources import ROOT

STOPPED = 130  # as a shell has it


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        outcome = run(options)
    except KeyboardInterrupt:
        print("\nStopped. What was graded is kept; make grade goes on from here.", file=sys.stderr)
        return STOPPED
    except (ValueError, OSError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(summary(outcome, options.root.resolve()))
    return 1 if any(_lost(record) for record in outcome.graded) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.grade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 08; none means all that were handed in")
    parser.add_argument("--chapter", action="append", default=[], metavar="CHAPTER", help="the same; with --zip also what the files are about, where their names do not tell")
    parser.add_argument("--zip", action="append", default=[], type=Path, metavar="FILE", help="a download of Canvas or Moodle, to be unpacked into submitted/ first")
    parser.add_argument("--regrade", nargs="?", const="", metavar="STUDENT", help="grade again though nothing changed: one student, or all; scores by hand stay")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="hand-ins at a time (default: one per processor core, %(default)s)")
    parser.add_argument("--scheduler", default="", metavar="tcp://HOST:PORT", help="of dask.distributed, whose workers grade instead (INSTRUCTORS.md, Beyond one machine)")
    parser.add_argument("--late", type=Path, metavar="FILE", help="deadlines and what being late costs (default: grades/late.toml)")
    parser.add_argument("--roster", action="append", default=[], type=Path, metavar="FILE", help="what Canvas or Moodle exported (default: grades/rosters/*.csv)")
    parser.add_argument("--released", type=Path, metavar="FOLDER", help="the notebooks that students got (default: exercises/ of DEEPGEN_PRIVATE, where it has the chapter, else exercises/)")
    parser.add_argument("--seconds", type=float, default=Limits().seconds, help="for each exercise (default: %(default)g)")
    parser.add_argument("--memory-mb", type=int, default=Limits().memory_mb, help="for each exercise, on top of PyTorch (default: %(default)s)")
    parser.add_argument("--no-database", action="store_true", help="leave nbgrader's gradebook alone")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder that holds submitted/ (default: the course's own)")
    return parser


def run(options: argparse.Namespace) -> Outcome:
    """Everything that the options ask for.  Raises ValueError when they cannot be met; nothing is graded then."""
    root = options.root.resolve()
    released = released_notebooks(root, options.released)
    chapters = [_whole_name(name, released) for name in (*options.chapters, *options.chapter)]
    policy = late_policy(root, options.late)
    rosters = [read_roster(path) for path in options.roster or sorted((root / "grades" / "rosters").glob("*.csv"))]
    if not (options.workers >= 1 and options.seconds > 0 and options.memory_mb > 0):
        raise ValueError(f"grade: --workers {options.workers}, --seconds {options.seconds:g}, --memory-mb {options.memory_mb}: expected numbers above 0")
    for path in options.zip:
        collected = collect_zip(path, root, known=sorted(released), chapter=chapters[0] if len(chapters) == 1 else "")
        print(f"{path.name}: {len(collected.written)} hand-ins new or changed, {collected.same} as before.", *(f"  refused  {line}" for line in collected.refused), sep="\n")
    regrade = None if options.regrade is None else frozenset({options.regrade} - {""})
    limits = Limits(seconds=options.seconds, memory_mb=options.memory_mb)
    wanted = Wanted(tuple(dict.fromkeys(chapters)), regrade, options.workers, limits, database=not options.no_database, scheduler=options.scheduler)
    return grade_course(root, wanted, released=released, policy=policy, rosters=rosters, show=tqdm)


def _whole_name(name: str, released: dict[str, Path]) -> str:
    """`08` -> `08_vae`; a name that is none, or several, is said by grade_course or here."""
    found = [stem for stem in sorted(released) if stem == name] or [stem for stem in sorted(released) if stem.startswith(name)]
    if len(found) != 1:
        raise ValueError(f"grade: {name!r} is {'no chapter' if not found else 'the beginning of ' + ', '.join(found)}; expected the beginning of one of {', '.join(sorted(released))}")
    return found[0]


def summary(outcome: Outcome, root: Path = ROOT) -> str:
    """Who was graded, how long it took, what there is to look at, and where files lie."""
    graded, records = outcome.graded, outcome.records
    each = f" in {outcome.seconds:.0f} s ({outcome.seconds / len(graded):.1f} s each)" if graded else ""
    lines = [f"Graded {len(graded)} of {len(records)} hand-ins{each}; {len(records) - len(graded)} were graded before and have not changed."]
    for chapter, count in sorted(Counter(record.chapter for record in records).items()):
        own = [record for record in records if record.chapter == chapter]
        late, odd = sum(record.penalty > 0 for record in own), sum(bool(record.trouble) for record in own)
        lines.append(f"  {chapter:<24} {count:>4} hand-ins   mean {sum(record.final for record in own) / count:.1f} of {own[0].possible:g}" + (f"   {late} late" if late else "") + (f"   {odd} with a note" if odd else ""))
    lines += [f"Isolation: {name}" for name in sorted({record.isolation for record in graded if record.isolation})]
    lines += [f"Changed: {record.student} {record.chapter}: {before:g} -> {record.points:g}" for record in graded if (before := outcome.before.get((record.chapter, record.student), record.points)) != record.points]
    if count := waiting(records):
        lines.append(f"{count} derivations and discussions wait for grading by hand: {_by_hand(root)}")
    lines += [f"Look at  {record.student} {record.chapter}: {' '.join(record.trouble.split())}" for record in records if record.trouble]
    lines += [f"Nobody's {line}" for line in outcome.refused] + [f"Note     {line}" for line in outcome.said]
    return "\n".join([*lines, f"Points: grades/CHAPTER/STUDENT.json, {', '.join('grades/' + path.name for path in outcome.files)}. Feedback: feedback/STUDENT/CHAPTER/. For formgrader: gradebook.db, autograded/."])


def _by_hand(root: Path) -> str:
    """Formgrader shows the course of the folder that JupyterLab is started in."""
    if root == ROOT.resolve():
        return "open Formgrader in JupyterLab (make lab), then type make grade again."
    folder, jupyter = shlex.quote(str(root)), shlex.quote(str(Path(sys.executable).with_name("jupyter")))
    return f'type  cd {folder} && {jupyter} lab  and open Formgrader there, then, in the folder of the course, make grade ARGS="--root {folder}" again.'


def _lost(record) -> bool:
    return not record.sha256 and "could not be graded" in record.trouble


if __name__ == "__main__":
    sys.exit(main())
