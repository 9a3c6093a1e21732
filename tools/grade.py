"""Mark hand-ins with nbgrader: submitted/STUDENT/CHAPTER/CHAPTER.ipynb -> autograded/, feedback/ and grades.csv, all ignored by git.

    python -m tools.grade                  every chapter that was handed in
    python -m tools.grade 01_gibbs_bound   these chapters

Marking runs the students' code: do it on an account, or in a container, that holds nothing else.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.sources import ROOT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.grade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="names of chapters; none means all that were handed in")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)  # another course, for tests
    options = parser.parse_args(arguments)
    try:
        grade(options.root.resolve(), chapters=options.chapters)
    except ValueError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    return 0


def grade(root: Path, *, chapters: list[str] = ()) -> None:
    """Mark every hand-in of these chapters anew. Raises ValueError when there is nothing to mark or nbgrader fails."""
    handed_in = sorted({path.parent.name for path in (root / "submitted").glob("*/*/*.ipynb")})
    unknown = sorted(set(chapters) - set(handed_in))
    if unknown or not handed_in:
        raise ValueError(f"grade: no hand-in of {', '.join(unknown) or 'any chapter'}; expected submitted/STUDENT/CHAPTER/CHAPTER.ipynb,"
                         f" found {', '.join(handed_in) or 'none'}")
    for stem in chapters or handed_in:
        with tempfile.TemporaryDirectory() as released:  # fills the gradebook without touching exercises/
            _nbgrader(root, "generate_assignment", stem, "--force", f"--CourseDirectory.release_directory={released}")
        _nbgrader(root, "autograde", stem, "--force")
        _nbgrader(root, "generate_feedback", stem, "--force")
    _nbgrader(root, "export", "--to", "grades.csv")
    print(f"Marked {', '.join(chapters or handed_in)}: marks in grades.csv, comments in feedback/.")


def _nbgrader(root: Path, *arguments: str) -> None:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # nbgrader calls alembic by name
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments, "--log-level=ERROR"], cwd=root, env=os.environ | {"PATH": programs})
    if done.returncode:
        raise ValueError(f"grade: nbgrader {arguments[0]} failed; its lines above say why")


if __name__ == "__main__":
    sys.exit(main())
