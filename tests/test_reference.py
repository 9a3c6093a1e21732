"""The ledger holds every claim of the lecture with all its cells, and the pages made from it are up to date. Each check is shown what it is there for."""
import json
import re
from pathlib import Path

import pytest

from tools import course, exam, ledger, reference
from tools.ledger import KINDS, read_claims
from tools.sources import ROOT, find_sources, read_notebook
from tools.workspace import FOLDERS

# The claims of the lecture, written out: one that vanishes from source/claims.toml is missed here. An exclamation mark: the slide needs an erratum.
CLAIMS = ("B1 B2 B3 B4 D1 D2 D3! D4! D5 D6 D7! D8 D9 T1 T2 T3! T4 T5 U1 S1 F0 F1 F2 F3 F4 C1 C2 C3 "
          "V1 V2! V3! V4 V5 V6 V6b V7! V8! V9 V10! V11 N1! N2 N3 N4! N5! N6 N6b N7").split()
N_CHAPTERS = 15


@pytest.fixture(scope="module")
def tagged():
    return ledger.tagged_cells(ROOT)


def test_every_claim_of_the_lecture_stands_in_the_ledger_with_its_cells(tagged):
    claims = read_claims()
    assert sorted(claim.id + "!" * bool(claim.erratum) for claim in claims) == sorted(CLAIMS)
    assert ledger.problems() == []
    assert {(kind, claim.id) for kind in KINDS for claim in claims} <= {(tag.kind, tag.claim) for tag in tagged}


def test_no_chapter_is_missing():
    """The ledger lets a chapter that is not built wait; here all are."""
    assert len([source for source in find_sources(kinds=("lectures",)) if source.built.exists()]) == N_CHAPTERS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("claim", ["B1", "T5", "V6b", "C2", "N7"])
def test_a_cell_that_goes_missing_is_named(monkeypatch, tagged, kind, claim):
    monkeypatch.setattr(ledger, "tagged_cells", lambda root: [tag for tag in tagged if (tag.kind, tag.claim) != (kind, claim)])
    problem, = ledger.problems()
    assert problem.startswith(f"claim {claim} of ") and f"has no {kind} cell" in problem


def test_the_pages_are_up_to_date():
    assert reference.out_of_date() == [], "run  python -m tools.reference"


def rows(text: str) -> list[list[str]]:
    """The cells of the small ledger's lines."""
    lines = text.split("\n")
    start = lines.index(reference.HEADER) + 2
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[start:start + len(CLAIMS)]]


def test_the_readme_shows_every_claim_with_every_cell():
    table = rows((ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(row[0] + "!" * bool(row[7]) for row in table) == sorted(CLAIMS)
    assert all(all(row[:7]) for row in table)


@pytest.mark.parametrize("page, old, new", [("README.md", "`b2-planted`", "`b2`"), ("reference/errata.md", "## D4", "## D5"), ("reference/self_test.md", "**1.3863**", "**1.4**")], ids=["readme", "errata", "self-test"])
def test_a_page_that_lags_behind_is_seen(monkeypatch, page, old, new):
    made, text = reference.PAGES[page], (ROOT / page).read_text(encoding="utf-8")
    assert old in text
    monkeypatch.setattr(reference, "PAGES", {page: lambda root: made(root).replace(old, new)})
    assert reference.out_of_date() == [page]


def test_a_readme_without_its_ledger_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("Nothing.\n")
    with pytest.raises(ValueError, match="README.md: the line .* occurs 0 times, expected once"):
        reference.readme(tmp_path)


def test_the_self_test_asks_every_claim_and_says_where_to_read_again():
    text = (ROOT / "reference/self_test.md").read_text(encoding="utf-8")
    asked = re.findall(r"^Read again: \[(\d+\.\d+ .+)\]\(\.\./notebooks/(\w+)\.ipynb\) \(claim (\S+)\)\.$", text, re.M)
    assert {claim.strip("!") for claim in CLAIMS} <= {claim for _, _, claim in asked}
    assert len(asked) == text.count("<details>") == text.count("\n</details>\n") >= 80
    headings = {stem: "".join(cell.source + "\n" for cell in read_notebook(ROOT / "notebooks" / f"{stem}.ipynb").cells if cell.cell_type == "markdown") for stem in {stem for _, stem, _ in asked}}
    assert [place for place, stem, _ in asked if f"## {place}\n" not in headings[stem]] == []


def test_every_kind_of_question_is_asked():
    text = (ROOT / "reference/self_test.md").read_text(encoding="utf-8")
    assert all(text.count(f" · {kind} · ") >= 8 for kind in exam.KINDS.values())


def test_an_erratum_shows_what_breaks():
    sections = (ROOT / "reference/errata.md").read_text(encoding="utf-8").split("\n## ")[1:-1]  # the last one is about what is not wrong
    assert [section.split("\n")[0] for section in sections] == [claim.id for claim in sorted(read_claims(), key=lambda claim: claim.chapter) if claim.erratum]
    for section in sections:
        name = section.split("\n")[0]
        assert f"\n{name} breaks with " in section and "**Wrong.**" in section and "**Right.**" in section, name


def test_jupyterlab_opens_the_pages_as_pages(monkeypatch):
    seen = []
    monkeypatch.setattr(course.environment, "ensure", lambda root: "python")
    monkeypatch.setattr(course.workspace, "bring", lambda root, renew: [])
    monkeypatch.setattr(course, "START_PAGE", str(ROOT / "README.md"))  # there, whatever the copies are
    monkeypatch.setattr(course, "run", lambda *command: seen.extend(command))
    course.lab([])
    folder, = [option.partition("=")[2] for option in seen if option.startswith("--LabApp.app_settings_dir=")]
    settings = json.loads((Path(folder) / "overrides.json").read_text(encoding="utf-8"))
    assert settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"] == {"markdown": "Markdown Preview"}


PAGES = sorted((ROOT / "reference").glob("*.md"))


def dead_links(text: str) -> list[str]:
    """Links that lead nowhere from reference/, be it in the course or in the student's copies."""
    places = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("#", "http"))]
    return [place for place in places if not (ROOT / "reference" / place).resolve().is_file() or place.startswith("../") and place.split("/")[1] not in FOLDERS]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_link_of_a_page_leads_somewhere_in_work_too(path):
    assert dead_links(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("link", ["../notebooks/05_tied.ipynb", "../LEDGER.md", "symbols.md"])
def test_a_planted_dead_link_is_found(link):
    assert dead_links(f"[x]({link}) [y](notation.md) [z](#a)") == [link]


def odd_equations(text: str) -> list[str]:
    """Equations that GitHub, JupyterLab or the site would not see as such: a dollar without its twin, or one that touches a letter or a blank inside."""
    found = []
    for block in re.split(r"\n\s*\n|\n(?=[|\-#])", re.sub(r"```.*?```|`[^`\n]*`", " ", text, flags=re.S)):
        if block.count("$") % 2:
            found.append(block.strip())
        found += [match[0] for match in re.finditer(r"(?<=\w)\$[^$]+\$|\$[^$]+\$(?=\w)|\$\s[^$]*\$|\$[^$]*\s\$", block) if block[:match.start()].count("$") % 2 == 0]
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_equations_and_folds_are_closed(path):
    text = path.read_text(encoding="utf-8")
    assert odd_equations(text) == [] and text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("text, n_odd", [("It is $a$ or $b$, or `$`.", 0), ("A $ b.\n\nC $d$.", 1), ("nats$/D$.", 1), ("$a$b", 1), ("$ a$", 1), ("| $a$ | $b$ |\n| c$ |", 1)], ids=range(6))
def test_a_planted_dollar_is_found(text, n_odd):
    assert len(odd_equations(text)) == n_odd
