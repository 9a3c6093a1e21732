"""What must hold of the finished pages: every link leads somewhere, nothing is asked of another machine, every picture says what it shows."""
from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

STYLE_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


class Reference(NamedTuple):
    """One address on a page: where it leads, and whether the browser fetches it unasked."""
    line: int
    address: str
    fetched: bool


class _Reader(HTMLParser):
    FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("img", "srcset"), ("form", "action")}

    def __init__(self):
        super().__init__()
        self.references: list[Reference] = []
        self.ids: set[str] = set()
        self.silent: list[int] = []  # lines of pictures without alternative text
        self.twice: list[str] = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        for name in ("href", "src", "srcset", "action"):
            if given.get(name):
                self.references.append(Reference(self.getpos()[0], given[name], (tag, name) in self.FETCHED and given.get("rel") != "canonical"))
        if "id" in given:
            self.twice += [given["id"]] if given["id"] in self.ids else []
            self.ids.add(given["id"])
        if tag == "img" and not (given.get("alt") or "").strip():
            self.silent.append(self.getpos()[0])


def problems(site: Path) -> list[str]:
    """Every fault of the pages in a folder, in words; empty is good."""
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        found += [f"{name}, line {line}: a picture has no alternative text" for line in page.silent]
        found += [f"{name}: the id {twice!r} stands twice" for twice in sorted(set(page.twice))]
        for reference in page.references:
            if fault := _fault(reference, path, pages):
                found.append(f"{name}, line {reference.line}: {fault}")
    for path in sorted(site.rglob("*.css")):
        found += [f"{path.relative_to(site).as_posix()}: asks {address} of another machine" for address in STYLE_URL.findall(path.read_text(encoding="utf-8"))]
    return found


def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def _fault(reference: Reference, page: Path, pages: dict[Path, _Reader]) -> str:
    parts = urlsplit(reference.address)
    if parts.scheme or reference.address.startswith("//"):
        return f"asks {reference.address} of another machine" if reference.fetched and parts.scheme != "data" else ""
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return f"{reference.address} leads nowhere"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return f"{reference.address}: that page has no {parts.fragment!r}"
    return ""
