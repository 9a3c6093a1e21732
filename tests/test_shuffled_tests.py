"""The script that shuffles the tests finds one that rests on another, and says its name."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import shuffled_tests

IN_LINE = """
import pytest
ran = []

@pytest.mark.parametrize("number", range(8))
def test_each(number):
    ran.append(number)
    assert {rule}
"""


def found(folder: Path, rule: str) -> dict:
    path = folder / "test_in_line.py"
    path.write_text(IN_LINE.format(rule=rule))
    return shuffled_tests.run(7, [str(path)], processes=1)


def test_a_test_that_rests_on_another_is_named(tmp_path):
    one = found(tmp_path, "ran == list(range(number + 1))")  # holds in the order of the file alone
    assert (one["seed"], one["files"], one["tests"], one["skipped"]) == (7, 1, 8, 0)
    assert 0 < len(one["failed"]) <= 8 and all("test_in_line" in name for name in one["failed"])
    assert set(one["why"]) == set(one["failed"]) and all("assert" in why and str(tmp_path) not in why for why in one["why"].values())


def test_tests_that_stand_alone_pass(tmp_path):
    one = found(tmp_path, "number in ran")
    assert (one["tests"], one["failed"], one["why"]) == (8, [], {})
