"""make site: draw the frames of the sliders where they are missing, build the pages in site/, check them."""
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tools.site import __doc__ as about
from tools.site.build import build
from tools.site.checks import problems
from tools.site.frames import frames_of
from tools.site.ledger_page import titles
from tools.sources import ROOT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make site", description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", nargs="*", metavar="CHAPTER", help="live sliders only in chapters whose names start so (default: all; none given: none)")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks run at the same time for their frames (default 2)")
    parser.add_argument("--to", type=Path, default=ROOT / "site", metavar="FOLDER", help="where the pages go (default site/)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    stems = [stem for stem in titles(ROOT) if options.frames is None or stem.startswith(tuple(options.frames))]
    frames, found = frames_of(stems, options.to / "frames", jobs=options.jobs)
    found += build(options.to, frames=frames) + problems(options.to)
    for line in found:
        print(line, file=sys.stderr)
    pages, size = sum(1 for _ in options.to.rglob("*.html")), sum(path.stat().st_size for path in options.to.rglob("*") if path.is_file())
    print(f"{pages} pages, {size / 1e6:.0f} MB, in {time.perf_counter() - start:.0f} s: open {options.to / 'index.html'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
