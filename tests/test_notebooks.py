"""The built notebooks of this course: complete, executed, described, not drifted from source/, every claim with its cells.

What their cells print is compared in a run of its own: pytest --nbval -p tools.nbval_tolerance notebooks solutions.
"""
import pytest

from tools import guard, ledger
from tools.sources import ROOT, code_cells, find_sources, read_notebook

CHAPTERS = {"00_start_here", "01_gibbs_bound", "02_rbm", "03_log_z"}  # at least these; a chapter that vanishes is noticed
SOURCES = find_sources()
NAMES = {source: source.built.relative_to(ROOT).as_posix() for source in SOURCES}


def test_no_chapter_is_missing():
    assert CHAPTERS <= {source.stem for source in SOURCES if source.kind == "lectures"}
    assert CHAPTERS - {"00_start_here"} <= {source.stem for source in SOURCES if source.kind == "solutions"}


@pytest.mark.parametrize("source", SOURCES, ids=NAMES.get)
def test_a_notebook_is_executed_and_described(source):
    assert guard.stored_outputs(read_notebook(source.built), NAMES[source]) == []


def test_few_cells_are_excused():
    notebooks = {NAMES[source]: read_notebook(source.built) for source in SOURCES}
    assert sum(len(code_cells(notebook)) for notebook in notebooks.values()) >= 20 * len(CHAPTERS)
    assert guard.too_many_excused(notebooks) == []


def test_built_files_are_what_source_says():
    assert guard.drift() == []


def test_the_ledger_is_complete():
    assert ledger.problems() == []
    claims = ledger.read_claims()
    assert {"B1", "B2", "B3", "B4", "F0"} <= {claim.id for claim in claims}
    assert {claim.chapter for claim in claims} <= {source.stem for source in SOURCES if source.kind == "lectures"}


def test_the_ledger_file_is_up_to_date():
    assert (ROOT / "LEDGER.md").read_text(encoding="utf-8") == ledger.ledger_text(), "build the notebooks"
