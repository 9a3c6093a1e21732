"""Late days, grace, floor and extensions, and a policy that cannot be meant is refused by its key."""
import pytest

from grading.late import Policy, read_policy

TEXT = """
grace_minutes = 15
share_per_day = 0.1
floor = 0.5
[deadlines]
08_vae = 2026-11-20T23:59:00+01:00
[extensions]
ada = 3
bob = { 08_vae = 2026-11-27T23:59:00+01:00 }
eve = { 09_other = 5 }
"""


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "late.toml").write_text(TEXT)
    return read_policy(tmp_path / "late.toml")


@pytest.mark.parametrize("student, at, days, penalty", [
    ("zoe", "2026-11-20T22:59:00+00:00", 0, 0), ("zoe", "2026-11-20T23:14:00+00:00", 0, 0), ("zoe", "2026-11-20T23:14:01+00:00", 0.0104, 0.1), ("zoe", "2026-11-21T22:59:00+00:00", 1, 0.1),
    ("zoe", "2026-11-21T22:59:01+00:00", 1, 0.2), ("zoe", "2026-12-31T00:00:00+00:00", 40.0424, 0.5), ("zoe", "", 0, 0), ("zoe", "2026-11-20T23:00:00+01:00", 0, 0),
    ("ada", "2026-11-23T22:59:00+00:00", 0, 0), ("ada", "2026-11-24T22:59:00+00:00", 1, 0.1), ("bob", "2026-11-27T22:00:00+00:00", 0, 0), ("bob", "2026-11-28T22:59:00+00:00", 1, 0.1),
    ("eve", "2026-11-21T22:59:00+00:00", 1, 0.1),
])
def test_days_and_penalty(policy, student, at, days, penalty):
    found = policy.lateness("08_vae", student, at)
    assert found.days == pytest.approx(days, abs=1e-4) and found.penalty == pytest.approx(penalty)


def test_without_a_deadline_or_a_policy_nobody_is_late(policy):
    assert policy.lateness("09_other", "zoe", "2030-01-01T00:00:00+00:00") == (0, 0) == Policy().lateness("08_vae", "zoe", "2030-01-01T00:00:00+00:00")


@pytest.mark.parametrize("old, new, words", [
    ("0.1", "1.5", "share_per_day is 1.5"), ("0.1", '"a lot"', "share_per_day is 'a lot'"), ("0.1", "true", "share_per_day is True"), ("floor", "flor", "has 'flor'"), ("= 15", "= -1", "grace_minutes is -1"),
    ("= 15", "= nan", "grace_minutes is nan"), ("2026-11-20T23:59:00+01:00", "2026-11-20T23:59:00", "deadlines.08_vae is .* time with its zone"), ("2026-11-20T23:59:00+01:00", '"tomorrow"', "deadlines.08_vae is 'tomorrow'"),
    ("ada = 3", "ada = -3", "extensions.ada is -3"), ("ada = 3", "ada = [3]", "extensions.ada is "), ("[deadlines]", "[deadlines", "cannot be read"), ("[deadlines]\n08_vae = ", "deadlines = ", "deadlines is .* expected a table"),
])
def test_a_policy_that_cannot_be_meant_is_refused(tmp_path, old, new, words):
    assert old in TEXT
    (tmp_path / "late.toml").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ValueError, match=f"read_policy: .*{words}"):
        read_policy(tmp_path / "late.toml")
    with pytest.raises(ValueError, match="none.toml cannot be read"):
        read_policy(tmp_path / "none.toml")
