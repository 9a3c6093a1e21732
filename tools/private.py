"""A private course of graded variants, made from templates and a secret key, outside the repository.

    DEEPGEN_PRIVATE=FOLDER python -m tools.private                      make it, or bring it up to date; what you changed by hand stays
    DEEPGEN_PRIVATE=FOLDER python -m tools.private 02_rbm 08_vae        these chapters
    DEEPGEN_PRIVATE=FOLDER python -m tools.private --unlike OLD_FOLDER  no exercise with the same choices as in an earlier term
    DEEPGEN_PRIVATE=FOLDER python -m tools.private --check              prove every answer again; look for the folder's lines in the repository

Nothing of an answer or of the key is ever printed.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grading.private.course import TEMPLATES, check, make
from grading.private.place import private_folder
from grading.private.scan import files_of, found_in, secrets_of
from tools.sources import ROOT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.private", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"{', '.join(TEMPLATES)}, or the beginning of one; none means all")
    parser.add_argument("--check", action="store_true", help="change nothing: prove, compare, look for leaks")
    parser.add_argument("--unlike", type=Path, metavar="FOLDER", help="an earlier private course")
    parser.add_argument("--afresh", action="store_true", help="write over what was changed by hand")
    parser.add_argument("--also", type=Path, nargs="*", default=[], metavar="FILE", help="with --check: look for leaks in these files or folders too, such as a built site or a log")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)  # another repository, for tests
    options = parser.parse_args(arguments)
    try:
        folder, chapters = private_folder(root=options.root), tuple(_chapter(name) for name in options.chapters)
        if options.check:
            faults = check(folder) + leaks(folder, root=options.root, also=options.also)
            print("The private course is whole, and nothing of it stands in the repository." if not faults else f"{len(faults)} faults.")
        else:
            report = make(folder, chapters=chapters, unlike=options.unlike, afresh=options.afresh)
            faults = report.faults + leaks(folder, root=options.root, also=[])
            print(f"Wrote {len(report.written)} files; {len(report.kept)} that you changed by hand were kept{': ' if report.kept else ''}{', '.join(report.kept)}. README.md in the folder says what is where.")
    except ValueError as error:
        faults = [str(error)]
    for fault in faults:
        print(f"FAILED  {fault}", file=sys.stderr)
    return 1 if faults else 0


def leaks(folder: Path, *, root: Path, also: list[Path]) -> list[str]:
    """Lines of the private course in the repository, or in other files and folders."""
    more = [file for place in also for file in ([place] if place.is_file() else sorted(place.rglob("*"))) if file.is_file()]
    return found_in([*files_of(root), *more], secrets_of(folder), base=root)


def _chapter(name: str) -> str:
    found = [chapter for chapter in TEMPLATES if chapter.startswith(name)]
    if len(found) != 1:
        raise ValueError(f"private: no chapter {name!r} has templates, expected one of {', '.join(TEMPLATES)}")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
