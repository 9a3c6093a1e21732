"""The class report of what was graded: a notebook with pictures, without names, ready to open in JupyterLab.

    python -m tools.report               every chapter: grades/class_report.ipynb
    python -m tools.report 01            this one (the beginning of its name is enough): grades/class_report_01_gibbs_bound.ipynb
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grading.class_report import report
from grading.record import read_records
from tools.running import execute
from tools.sources import ROOT, write_notebook


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all that were graded")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder that holds grades/ (default: the course's own)")
    options = parser.parse_args(arguments)
    try:
        path = make_report(options.root.resolve(), options.chapters)
    except (ValueError, RuntimeError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(f"Class report: {path}. Open it in JupyterLab, for example with: jupyter lab {path}")
    return 0


def make_report(root: Path, chapters: list[str]) -> Path:
    """Count, run, write; returns the notebook's path.  Raises ValueError for a chapter that nobody handed in."""
    records = read_records(root)
    there = sorted({record.chapter for record in records})
    for chapter in chapters:
        if not any(stem.startswith(chapter) for stem in there):
            raise ValueError(f"report: no record of a chapter that begins with {chapter!r}, expected one of {', '.join(there) or 'none: type make grade first'}")
    chosen = [stem for stem in there if not chapters or stem.startswith(tuple(chapters))]
    notebook = report(record for record in records if record.chapter in chosen)
    path = root / "grades" / f"{'_'.join(['class_report', *(chosen if chapters else [])])}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_notebook(execute(notebook, path.parent), path)
    return path


if __name__ == "__main__":
    sys.exit(main())
