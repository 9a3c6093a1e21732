"""The class report: right counts, no names, no small groups, a notebook that runs."""
import ast
import random
from collections import Counter

import nbformat
import pytest

from deepgen_lib import checks
from grading import class_report
from grading.class_counts import NOTHING, OTHER, SMALLEST, STOPPED, UNKNOWN, chapter_counts, lateness_of, merged, merged_ranges, points_of, reason_of, share
from grading.class_report import report, topics
from grading.record import HAND, Record, record_path, write_record
from grading.score import Result
from tools.report import main

STEM = "01_gibbs_bound"
BANK = {exercise.id: exercise for exercise in checks.registered() if exercise.chapter == STEM}
MISTAKES = [("energy and entropy", "entropy's sign"), ("energy and entropy", "no entropy"), ("log p(x) and gap", "no gap")]


def right(exercise="1.1"):
    return Result(exercise, BANK[exercise].title, 3.0, 3.0, "f(x): y", "right: so it is", "", "", "", (), 1.0)


def wrong(part="", mistake="", *, exercise="1.1", said="you returned 1, expected 2"):
    return Result(exercise, BANK[exercise].title, 0.0, 3.0, "f(x): y", f"not yet: {said}", part, mistake, BANK[exercise].hints[1 if mistake else 0], (), 1.0)


TEXT = Result("written-1-6", "Three sentences", 0.0, 3.0, "", "waits for grading by hand", HAND, "", "", (), 0.0)


def record(number: int, *results: Result, late: float = 0.0, sha: str = "ab" * 32) -> Record:
    points, possible = sum(one.points for one in results), sum(one.possible for one in results)
    return Record(1, f"zoe.quark{number:02d}", STEM, sha, "2026-11-20T18:03:00+01:00", late, 0.0, points, points, possible, "", "walls", 3.0, "0.1.0 x", results)


def a_class(n: int, seed: int = 0) -> list[Record]:
    rng = random.Random(seed)
    def one(exercise):
        if rng.random() < 0.5:
            return right(exercise)
        mistake = rng.choice(list(BANK[exercise].parts[0].misconceptions)[:3] + [""])
        return wrong(BANK[exercise].parts[0].name, mistake, exercise=exercise, said=f"stopped with ValueError: zoe.quark{rng.randrange(n):02d}")
    return [record(i, *map(one, BANK), TEXT, late=rng.choice([0, 0, 0.5, 9])) for i in range(n)]


def test_counts_are_right():
    records = [record(i, right()) for i in range(10)] + [record(10 + i, wrong(*MISTAKES[0])) for i in range(6)] + [record(16 + i, wrong(*MISTAKES[2]), late=2.0) for i in range(4)]
    counts = chapter_counts(STEM, records)
    one, = counts.exercises
    assert (counts.n, one.n, one.solved, counts.mean) == (20, 20, 10, 0.5)
    assert one.reasons == {"entropy's sign": 6, "no gap": 4} and one.parts == {"energy and entropy": 6, "log p(x) and gap": 4}
    assert counts.late == {"on time": 16, "up to 1 day": 0, "up to 3 days": 4, "up to 7 days": 0, "more than 7 days": 0}
    assert counts.points == {"0-20 %": 10, "20-40 %": 0, "40-60 %": 0, "60-80 %": 0, "80-100 %": 10}
    assert [(topic.mistake, topic.count) for topic in topics(counts)] == [("entropy's sign", 6), ("no gap", 4)]


def test_texts_read_by_a_person_and_hand_ins_that_never_came_are_left_out():
    records = [record(i, right(), TEXT) for i in range(4)] + [record(9, wrong(said="nothing came"), sha="")]
    counts = chapter_counts(STEM, records)
    assert (counts.n, len(counts.exercises), counts.exercises[0].solved, counts.mean) == (4, 1, 4, 1.0)


@pytest.mark.parametrize("said, reason", [("nothing is written yet, this is the empty start", NOTHING), ("your notebook does not define f", NOTHING), ("your code ran longer than 4 s and was stopped", STOPPED),
                                          ("your function stopped with ValueError: x", STOPPED), ("you returned 1, expected 2; this is none of the known mistakes", UNKNOWN)])
def test_other_reasons_have_names_of_their_own(said, reason):
    assert reason_of(wrong(said=said)) == reason and reason_of(wrong("p", "no gap", said=said)) == "no gap"


# ---- small groups

@pytest.mark.parametrize("count, n, said", [(0, 30, "fewer than 3"), (2, 30, "fewer than 3"), (3, 30, "3 of 30 (10 %)"), (27, 30, "27 of 30 (90 %)"), (28, 30, "all but fewer than 3"), (30, 30, "all but fewer than 3")])
def test_a_share_never_shows_one_or_two(count, n, said):
    assert share(count, n) == said


def small_numbers(groups: dict[str, int], n: int) -> list:
    """Counts of 1 or 2 that stand in a table, or are left over when it is taken from n."""
    return [pair for pair in groups.items() if 0 < pair[1] < SMALLEST] + ([("left over", n - sum(groups.values()))] if groups and 0 < n - sum(groups.values()) < SMALLEST else [])


def test_no_table_shows_or_leaves_over_one_or_two():
    rng = random.Random(1)
    for _ in range(2000):
        n = rng.randrange(3, 25)
        made = Counter(rng.choices(["solved", "a", "b", "c", "d"], weights=[rng.random() + 0.01 for _ in range(5)], k=n))
        records = [record(0, right() if kind == "solved" else wrong(kind, kind)) for kind in made.elements()]
        one, = chapter_counts(STEM, records).exercises
        for groups in (one.reasons, one.parts):
            known = n - one.solved if share(one.solved, n)[0].isdigit() else n
            assert small_numbers(groups, known) == [] and small_numbers(groups, n - one.solved if one.solved == 0 else known) == [], (made, groups)


def test_small_groups_are_merged_and_nobody_is_lost():
    assert merged({"a": 9, "b": 2, "c": 1}) == {"a": 9, OTHER: 3} and merged({"a": 9, "b": 4, "c": 1}) == {"a": 9, OTHER: 5} and merged({"a": 2}) == {}
    assert merged({"a": 9, "b": 4}, hidden=1) == {"a": 9, OTHER: 5}
    assert small_numbers({"a": 9, "c": 1}, 10) and small_numbers({"a": 8}, 10)
    rng = random.Random(2)
    for _ in range(500):
        counts = [rng.choice([0, 0, 1, 2, 5]) for _ in range(5)]
        ranges = merged_ranges(counts)
        assert sum(count for *_, count in ranges) == sum(counts) and (sum(counts) < 3 or all(count == 0 or count >= 3 for *_, count in ranges))
        assert [i for first, last, _ in ranges for i in range(first, last + 1)] == list(range(5))


def test_ranges_have_plain_names():
    assert lateness_of([0] * 5 + [0.5]) == {"on time or up to 1 day": 6, "up to 3 days": 0, "up to 7 days": 0, "more than 7 days": 0}
    assert lateness_of([0, 5, 20]) == {"at any time": 3} and points_of([0.0, 0.1, 0.3, 0.9, 1.0, 1.0]) == {"0-40 %": 3, "40-60 %": 0, "60-80 %": 0, "80-100 %": 3}


# ---- the notebook

def told(notebook) -> list[str]:
    """Every student's name, or mark of one file or time, that a notebook holds anywhere."""
    text = nbformat.writes(notebook).lower()
    return [word for word in ("quark", "zoe", "abab", "2026-11-20", "valueerror") if word in text]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 30])
def test_nobody_is_named_however_small_the_class(n):
    notebook = report(a_class(n))
    assert told(notebook) == []
    assert (n < SMALLEST) == ("Fewer than 3 hand-ins" in nbformat.writes(notebook))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            counts = [node.value for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Constant) and type(node.value) is int]
            assert not {1, 2} & set(counts), cell.source


def test_a_name_let_in_is_found(monkeypatch):
    real = class_report.chapter_counts
    monkeypatch.setattr(class_report, "chapter_counts", lambda chapter, records: real(f"{chapter}_{records[0].student.replace('.', '_')}", records))
    assert told(report(a_class(5))) == ["quark", "zoe"]


def test_it_says_what_to_talk_about():
    records = [record(i, right()) for i in range(10)] + [record(10 + i, wrong(*MISTAKES[0])) for i in range(6)]
    talk = next(cell.source for cell in report(records).cells if cell.id.endswith("topics"))
    mistake = BANK["1.1"].parts[0].bank["entropy's sign"]
    assert "1. **entropy's sign**, in 1.1 (One number, three ways), 6 of 16: " + mistake.message in talk
    assert "Why it is tempting: The course changes" in talk and BANK["1.1"].hints[1] in talk and "The hardest was 1.1" in talk


def test_other_reasons_are_counted_where_three_or_more_share_one():
    records = [record(i, wrong(said="you returned 1, expected 2; this is none of the known mistakes")) for i in range(5)] + [record(9 + i, wrong(said="nothing is written yet")) for i in range(2)]
    records += [record(20 + i, wrong("", "no gap")) for i in range(4)]
    table = next(cell.source for cell in report(records).cells if cell.id.endswith("others-table"))
    assert '"1.1 One number, three ways": ["5", "", ""]' in table and UNKNOWN in table


def test_without_records_it_says_so():
    with pytest.raises(ValueError, match="type make grade first"):
        report([])


def test_make_report_writes_a_notebook_with_its_pictures(tmp_path, capsys):
    for one in a_class(20):
        write_record(record_path(tmp_path, STEM, one.student), one)
    assert main(["01", "--root", str(tmp_path)]) == 0
    path = tmp_path / "grades" / f"class_report_{STEM}.ipynb"
    assert str(path) in capsys.readouterr().out
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert told(notebook) == [] and all(output.output_type != "error" for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4 and all(output.metadata["image/png"]["alt"] for output in pictures)
    assert "1.1 One number, three ways" in "".join(output.data.get("text/markdown", "") for output in outputs if "data" in output)


def test_a_chapter_that_nobody_handed_in_is_named(tmp_path, capsys):
    assert main(["08", "--root", str(tmp_path)]) == 1
    assert "begins with '08'" in capsys.readouterr().err
