"""The glossary: in order, each term once, each with a section that exists and speaks of it."""
import re

import pytest

from tools.sources import ROOT, read_notebook

PAGE = ROOT / "reference" / "glossary.md"
ENTRY = re.compile(r"^- \*\*(?P<term>[^*]+)\*\*: (?P<text>.+) \(\[(?P<section>\d+\.\d+)\]\(\.\./notebooks/(?P<stem>\w+)\.ipynb\)\)$")
OTHER_WORDS = {  # what the section calls it
    "amortised inference": "amortised", "autoregressive prior": "learned prior", "deep belief network (DBN)": "DBN", "fusing": "fuse", "mixing": "forget",
    "normaliser (Z)": "Z=\\sum", "restricted Boltzmann machine (RBM)": "restricted", "stop-gradient": "{sg}",
}


@pytest.fixture(scope="module")
def sections() -> dict[tuple[str, str], str]:
    """(chapter, section) -> its text and code, in small letters."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        current = ""
        for cell in read_notebook(path).cells:
            for part in re.split(r"^(?=## )", cell.source, flags=re.M) if cell.cell_type == "markdown" else [cell.source]:
                if cell.cell_type == "markdown" and part.startswith("## "):
                    current = part.split()[1]
                found[path.stem, current] = found.get((path.stem, current), "") + part.lower() + "\n"
    return found


def faults(text: str, sections: dict[tuple[str, str], str]) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    entries = [match for line in lines if (match := ENTRY.match(line))]
    found = [f"cannot be read: {line}" for line in lines if not ENTRY.match(line)]
    names = [entry["term"].lower() for entry in entries]
    found += [f"{after} stands after {before}" for before, after in zip(names, names[1:]) if after <= before]
    for entry in entries:
        place = sections.get((entry["stem"], entry["section"]))
        if place is None:
            found.append(f"{entry['term']}: {entry['stem']} has no section {entry['section']}")
        elif not speaks_of(place, entry["term"]):
            found.append(f"{entry['term']}: section {entry['section']} does not speak of it")
    return found


def speaks_of(place: str, term: str) -> bool:
    """Whether a section has every word of a term, as far as its first five letters."""
    words = OTHER_WORDS.get(term, re.sub(r"\([^)]*\)", "", term)).lower().split()
    return all(word[:5] in place for word in words)


def test_every_term_has_its_place(sections):
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("\n- **") >= 100 and faults(text, sections) == []


@pytest.mark.parametrize("old, new, fault", [
    ("([5.3](../notebooks/05", "([5.99](../notebooks/05", "aggregated posterior: 05_tied_weights has no section 5.99"),
    ("**adjoint**", "**antijoint**", "antijoint: section 7.2 does not speak of it"),
    ("- **bound**:", "- **bound**", "cannot be read: - **bound**"),
    ("- **kernel**", "- **a kernel**", "a kernel stands after k-means"),
], ids=range(4))
def test_a_planted_fault_is_named(sections, old, new, fault):
    text = PAGE.read_text(encoding="utf-8")
    assert old in text
    assert any(found.startswith(fault) for found in faults(text.replace(old, new), sections))
