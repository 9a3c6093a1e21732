"""The published table: every row whole, every verdict what its numbers say, and the committed table the one that the rows give."""
import json
import re
from pathlib import Path

import pytest

from benchmarks.published import build
from benchmarks.published.table import NATS, PERCENT, RESULTS, Ours, Published, Row, faults, verdict

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "published"
OURS = Ours(-86.0, -86.2, -85.8, "three standard errors of log Z", "AIS estimate", "fixed-binarised MNIST", 3, "a processor", "2026-11-23", 9.0)
THEIRS = Published(-86.3, "a paper", "the same pictures", True)
GOOD = Row("rbm", "RBM-500", NATS, OURS, THEIRS, minutes=5, script=("rbm_cd", "CD-1"))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return build.rows()


def test_every_row_is_whole(rows):
    assert [row.name for row in rows] == list(build.ROWS)
    assert not [fault for row in rows for fault in faults(row)]


def test_every_row_has_a_script_of_its_own_that_is_in_the_table():
    scripts = {path.stem for path in FOLDER.glob("*.py") if re.search(r"^def row\(\)", path.read_text(), re.M)}
    assert scripts == set(build.ROWS)


def test_the_committed_table_is_the_one_that_the_rows_give(rows):
    assert (RESULTS / "published.md").read_text() == build.text(rows)
    kept = json.loads((RESULTS / "published.json").read_text())["raw"]["rows"]
    assert not [fault for row, saved in zip(rows, kept, strict=True) for fault in faults(row, said=saved["verdict"])]
    assert all(saved["ours"] is None or saved["ours"]["value"] == row.ours.value for row, saved in zip(rows, kept))


def test_what_is_asked_of_rbm_and_dbn_rows_holds_or_says_why(rows):
    """Within 0.5 nats of the published figure of the same protocol, or better; a row that is not says by how much and why."""
    asked = [row for row in rows if row.name.startswith(("rbm", "dbn")) and row.published.same]
    assert len(asked) == 5
    for row in asked:
        assert verdict(row).startswith(("better", "within")) or (re.search(r"worse by \d+\.\d\d nats", verdict(row)) and len(row.why) > 30)


@pytest.mark.parametrize("value, unit, published, same, said", [
    (-86.0, NATS, -86.3, True, "better by 0.30 nats"), (-86.3, NATS, -86.3, True, "better by 0.00 nats"), (-86.7, NATS, -86.3, True, "within 0.5: 0.40 nats worse"),
    (-87.0, NATS, -86.3, True, "worse by 0.70 nats"), (1.4, PERCENT, 1.25, True, "within 0.25: 0.15 points worse"), (1.1, PERCENT, 1.25, True, "better by 0.15 points"),
    (2.0, PERCENT, 1.25, True, "worse by 0.75 points"), (-80.0, NATS, -86.3, False, "another protocol, no verdict (6.30 nats above)")], ids=range(8))
def test_a_verdict_is_what_the_two_numbers_say(value, unit, published, same, said):
    row = GOOD._replace(unit=unit, ours=OURS._replace(value=value), published=THEIRS._replace(value=published, same=same))
    assert verdict(row) == said


def test_without_one_of_the_numbers_there_is_no_verdict():
    assert verdict(GOOD._replace(ours=None)) == "quoted only" and verdict(GOOD._replace(published=None)) == "nothing published in this protocol"


def test_a_planted_wrong_verdict_is_found():
    assert not faults(GOOD, said="better by 0.30 nats")
    assert faults(GOOD, said="better by 0.50 nats") == ["rbm: says 'better by 0.50 nats', the numbers say 'better by 0.30 nats'"]
    assert faults(GOOD._replace(ours=OURS._replace(value=-85.9)), said="better by 0.30 nats")


PLANTED = {
    "no source": GOOD._replace(published=THEIRS._replace(source="")), "no protocol of theirs": GOOD._replace(published=THEIRS._replace(protocol="")),
    "no protocol": GOOD._replace(ours=OURS._replace(protocol="")), "no error": GOOD._replace(ours=OURS._replace(error="")), "no seeds": GOOD._replace(ours=OURS._replace(seeds=0)),
    "no device": GOOD._replace(ours=OURS._replace(device="")), "no date": GOOD._replace(ours=OURS._replace(date="")), "outside of its bar": GOOD._replace(ours=OURS._replace(low=-85.9)),
    "worse without a why": GOOD._replace(ours=OURS._replace(value=-90.0, low=-91.0, high=-89.0)), "other protocol without a why": GOOD._replace(published=THEIRS._replace(same=False)),
    "nothing to measure it with": GOOD._replace(minutes=None, script=()), "minutes without a script": GOOD._replace(script=()), "unit": GOOD._replace(unit="bits"), "empty": GOOD._replace(ours=None, published=None),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_row_with_something_missing_is_found(planted):
    assert not faults(GOOD) and faults(PLANTED[planted])


def test_a_table_with_a_fault_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "rows", lambda: [GOOD, PLANTED["no source"]])
    monkeypatch.setattr(build, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="rbm: the published figure has no source"):
        build.write()
    assert not list(tmp_path.iterdir())


def test_what_is_measured_again_fits_into_an_hour_and_the_rest_says_what_it_needs(rows, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(build.subprocess, "call", lambda command: calls.append(command) or 0)
    build.measure()
    chosen = build.within(rows, build.BUDGET)
    assert 6 <= len(chosen) and sum({row.script: row.minutes for row in chosen}.values()) <= 60
    assert all((ROOT / "benchmarks" / f"{row.script[0]}.py").exists() for row in rows if row.script)
    assert [tuple(call[2:]) for call in calls] == [row.script[1:] for row in chosen]
    said = capsys.readouterr().out
    assert all(f"{row.name}: not within" in said for row in rows if row.ours and row not in chosen)
    assert len(build.within([GOOD._replace(minutes=40, script=(n,)) for n in "ab"], 60)) == 1  # planted: two of 40 minutes
