"""A whole run: every hand-in is graded once, nothing stops it, and what is made from records is brought up to date."""
import json
import os
from datetime import datetime, timezone

import pytest

from grading import batch
from grading.course import secret_key, waiting
from grading.late import Policy
from grading.pool import Lost
from grading.record import HAND, read_record, read_records, record_path
from tests.grading_course import STEM, TEXT, WRONG, Here, hand_in, here, small_course, with_answer  # noqa: F401 - a fixture

POINTS = 2.0  # of exercise 8.2; the text has 3


def students(records) -> list[str]:
    return [record.student for record in records]


def test_right_wrong_empty_and_broken_hand_ins(here, tmp_path):  # noqa: F811
    hand_in(tmp_path, "ada", with_answer(text=TEXT), at="2026-11-23 05:00:00.000000 UTC")
    hand_in(tmp_path, "bob", with_answer(WRONG))
    hand_in(tmp_path, "cut", json.dumps(with_answer())[:-300])
    hand_in(tmp_path, "dan", with_answer(), name="08_vae-Copy1.ipynb")
    hand_in(tmp_path, "eve", "%PDF", name="report.pdf")
    (tmp_path / "submitted/fay/08vae").mkdir(parents=True)
    outcome = here()
    points = {record.student: record.points for record in outcome.records}
    assert points == {"ada": POINTS, "bob": 0, "cut": 0, "dan": POINTS, "eve": 0} and {record.possible for record in outcome.records} == {POINTS + 3}
    words = {record.student: record.trouble for record in outcome.records}
    assert words["ada"] == words["bob"] == "" and "the file is damaged" in words["cut"] and "is called 08_vae-Copy1.ipynb" in words["dan"] and "found report.pdf" in words["eve"]
    assert "did you mean 08_vae" in outcome.refused[0] and len(outcome.refused) == 1
    assert "no notebook came" in outcome.records[-1].results[0].feedback
    assert outcome.records[0].submitted_at == "2026-11-23T05:00:00+00:00" and outcome.records[0].isolation and outcome.records[0].seconds > 0
    assert [result.exercise for result in outcome.records[0].results] == ["8.2", "written-8-6"] and outcome.records[0].results[1].part == HAND
    assert waiting(outcome.records) == 1  # ada's; an untouched text waits for nobody
    assert read_records(tmp_path) == outcome.records
    assert all((tmp_path / f"feedback/{student}/{STEM}/{STEM}.html").exists() for student in points)


def test_nothing_is_graded_twice(here, tmp_path, monkeypatch):  # noqa: F811
    hand_in(tmp_path, "ada", with_answer(WRONG))
    hand_in(tmp_path, "bob", with_answer())
    hand_in(tmp_path, "eve", "x", name="report.pdf")
    assert students(here().graded) == ["ada", "bob", "eve"]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("grades/*/*.json")}
    assert here().graded == [] and files == {path: path.stat().st_mtime_ns for path in files}
    hand_in(tmp_path, "ada", with_answer())  # handed in again
    again = here()
    assert students(again.graded) == ["ada"] and again.before == {(STEM, "ada"): 0.0} and again.graded[0].points == POINTS
    (tmp_path / f"grades/{STEM}/bob.json").write_text("{")  # damaged
    assert students(here().graded) == ["bob"]
    hand_in(tmp_path, "eve", with_answer(), name="other.ipynb")
    assert students(here().graded) == ["eve"]
    monkeypatch.setenv("DEEPGEN_KEY", "another term")
    assert students(here().graded) == ["ada", "bob", "eve"]


@pytest.mark.parametrize("regrade, chapters, expected", [(frozenset(), (), ["ada", "bob"]), (frozenset({"bob"}), (), ["bob"]), (frozenset({"bob"}), (STEM,), ["bob"]), (None, (STEM,), [])], ids=range(4))
def test_regrade_grades_again_what_is_named(here, tmp_path, regrade, chapters, expected):  # noqa: F811
    for student in ("ada", "bob"):
        hand_in(tmp_path, student, "not a notebook")
    here()
    assert students(here(regrade=regrade, chapters=chapters).graded) == expected
    with pytest.raises(ValueError, match="zoe handed nothing in"):
        here(regrade=frozenset({"zoe"}))


def test_a_new_policy_is_applied_without_running_anything(here, tmp_path, monkeypatch):  # noqa: F811
    hand_in(tmp_path, "ada", with_answer(), at="2026-11-23 05:00:00 UTC")
    assert here().records[0].final == POINTS
    monkeypatch.setattr(batch, "grade_one", lambda *_: pytest.fail("graded again"))
    policy = Policy(share_per_day=0.25, floor=0.4, deadlines={STEM: datetime(2026, 11, 21, 5, tzinfo=timezone.utc)})
    record = here(policy=policy).records[0]
    assert (record.points, record.days_late, record.penalty, record.final) == (POINTS, 2.0, 0.5, 1.0) and read_records(tmp_path) == [record]
    assert "50" in (tmp_path / f"feedback/ada/{STEM}/{STEM}.html").read_text()
    assert here().records[0].final == POINTS


class Losing(Here):
    """Loses bob."""

    def work(self, function, jobs, *, seconds):
        return ((job, Lost("it died") if getattr(job, "student", "") == "bob" else function(job)) for job in jobs)


def test_what_could_not_be_graded_is_said_and_tried_again(here, tmp_path, monkeypatch):  # noqa: F811
    for student in ("ada", "bob"):
        hand_in(tmp_path, student, with_answer())
    monkeypatch.setattr(batch, "Pool", Losing)
    first = {record.student: record for record in here().records}
    assert first["ada"].points == POINTS and first["bob"].points == 0 and "could not be graded (it died)" in first["bob"].trouble and first["bob"].sha256 == ""
    monkeypatch.setattr(batch, "Pool", Here)
    second = here()
    assert students(second.graded) == ["bob"] and second.graded[0].points == POINTS
    monkeypatch.setattr(batch, "sha256_of", lambda path: "")  # a file that cannot be read
    assert students(here().graded) == students(here().graded) == ["ada", "bob"]


def test_an_edition_knows_key_limits_notebook_and_private_checks(tmp_path):
    path = tmp_path / f"exercises/{STEM}/{STEM}.ipynb"
    small_course(tmp_path)

    def edition(**other) -> str:
        return batch.prepare(tmp_path, **{"released": {STEM: path}, "key": "k"} | other).editions[STEM]
    first = edition()
    assert first == edition() and first.startswith("0.") and len({first, edition(key="l"), edition(limits=batch.Limits(seconds=1))}) == 3
    path.write_text(path.read_text() + " ")
    assert edition() != first


def test_the_key_is_made_once_and_nobody_else_reads_it(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPGEN_KEY", raising=False)
    key, path = secret_key(tmp_path), tmp_path / "grades/.key"
    assert len(key) == 64 and secret_key(tmp_path) == key and path.stat().st_mode & 0o777 == 0o600
    assert secret_key(tmp_path / "other") != key
    path.write_text("\n")
    with pytest.raises(ValueError, match="grades/.key is empty"):
        secret_key(tmp_path)


def test_seeds_are_searched_once_and_kept_secret(here, tmp_path, monkeypatch):  # noqa: F811
    hand_in(tmp_path, "ada", with_answer())
    here()
    kept = tmp_path / "grades/.seeds.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and list(json.loads(kept.read_text()).values())[0].keys() == {"8.2"}
    monkeypatch.setattr(batch, "seed_of", lambda *_: pytest.fail("searched again"))
    assert students(here(regrade=frozenset()).graded) == ["ada"]


def test_two_runs_on_one_course_are_refused(here, tmp_path):  # noqa: F811
    import fcntl
    hand_in(tmp_path, "ada", "x")
    (tmp_path / "grades").mkdir()
    with open(tmp_path / "grades/.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with pytest.raises(ValueError, match="another make grade works on this course"):
            here()
    assert students(here().graded) == ["ada"]


def test_nothing_outside_its_folders_is_written(here, tmp_path):  # noqa: F811
    path = hand_in(tmp_path, "ada", with_answer())
    before = path.read_bytes()
    here()
    assert path.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["autograded", "exercises", "feedback", "grades", "submitted"]
    assert not list(tmp_path.rglob("*.part")) and read_record(record_path(tmp_path, STEM, "ada")).points == POINTS
