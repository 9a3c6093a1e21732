"""make site: build the reading site in site/ and check its links."""
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tools.site import __doc__ as about
from tools.site.build import build
from tools.site.checks import problems
from tools.sources import ROOT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make site", description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=ROOT / "site", metavar="FOLDER", help="where the pages go (default site/)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    found = build(options.to)
    found += problems(options.to)
    for line in found:
        print(line, file=sys.stderr)
    pages = sum(1 for _ in options.to.rglob("*.html"))
    print(f"{pages} pages in {time.perf_counter() - start:.0f} s: open {options.to / 'index.html'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
