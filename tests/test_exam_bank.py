"""The bank of exam questions: form, claims and numbers; and the sheets drawn from it."""
import re

import pytest

from tools.exam import draw, main, read_bank, read_questions, sheet
from tools.exam_check import bank_faults, faults
from tools.sources import ROOT, find_sources, read_inputs

FOLDER = ROOT / "source" / "exam"
BANK = read_bank(FOLDER)
CHAPTERS = [source.stem for source in find_sources(kinds=("solutions",))]
GOOD = """# Questions

## 1.a · B1 · compute · 3 points · 5 minutes

What is the logarithm of 2 in nats, for 0.5 points?

**Answer.** It is **0.6931**.

**Usual wrong answer.** 1, in bits.

```python
computed = [math.log(2)]
```
"""
WORDS = 7  # in a row


def questions(tmp_path, text=GOOD, *, name="01_gibbs_bound.md"):
    path = tmp_path / name
    path.write_text(text)
    return read_questions(path)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_with_exercises_has_questions_and_their_answers_hold(chapter):
    own = [question for question in BANK if question.chapter == chapter]
    assert own and [fault for question in own for fault in faults(question)] == []


def test_every_claim_is_examined_by_questions_of_several_kinds():
    assert bank_faults(BANK) == []


@pytest.mark.parametrize("old, new, fault", [
    ("**0.6931**", "**0.6932**", "1.a says 0.6932, its code gives 0.693147"),
    ("**0.6931**", "0.6931", "1.a has 0 bold numbers in its answer, 1 values"),
    ("**0.6931**", "**0.6931**, about 0.7", "1.a has the number 0.7 in its answer, which is neither given nor computed"),
    ("· B1 ·", "· V1 ·", "1.a examines V1, which is no claim of 01_gibbs_bound"),
    ("3 points", "30 points", "1.a wants 1 to 10 points"),
])
def test_a_planted_fault_is_named(tmp_path, old, new, fault):
    assert faults(questions(tmp_path)[0]) == []
    assert any(fault in found for found in faults(questions(tmp_path, GOOD.replace(old, new))[0]))


@pytest.mark.parametrize("old, new, message", [
    ("· compute ·", "· guess ·", "expected '## 1.a · B1 · KIND"),
    ("**Answer.** It", "It", "question 1.a has no text, '\\*\\*Answer"),
    ("**Usual wrong answer.** 1, in bits.", "", "question 1.a has no text"),
])
def test_a_question_in_another_form_is_refused(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        questions(tmp_path, GOOD.replace(old, new))


def test_a_thin_bank_is_noticed(tmp_path):
    found = bank_faults(questions(tmp_path) + questions(tmp_path))
    assert "01_gibbs_bound has no question on B4" in found and "01_gibbs_bound has the id 1.a 2 times" in found
    assert any("has 2 questions of 1 kinds, expected at least 8 of 4" in fault for fault in found)
    assert any("expected one that begins with 5." in fault for fault in bank_faults(questions(tmp_path, name="05_tied_weights.md")))


def test_each_file_says_that_it_is_public():
    assert [path.name for path in FOLDER.glob("*.md") if "public, answers included" not in path.read_text(encoding="utf-8")] == []


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", re.sub(r"\$[^$]*\$", " ", text.lower()))  # formulas are nobody's own
    return {tuple(words[i:i + WORDS]) for i in range(len(words) - WORDS + 1)}


def test_no_question_is_an_exercise_again():
    public = set().union(*(runs_of_words(source.text.read_text(encoding="utf-8").replace("\n# ", "\n")) for source in find_sources(kinds=("solutions",))))
    assert [question.id for question in BANK if runs_of_words(question.text) & public] == []
    longest = max((cell.source for cell in read_inputs(find_sources(kinds=("solutions",))[0].text).cells if cell.cell_type == "markdown"), key=len)
    assert runs_of_words(longest[len(longest) // 2:]) & public  # an exercise would be found


def test_a_sheet_has_the_points_and_the_seed_decides():
    pool = [question for question in BANK if question.chapter[:2] in ("01", "05")]
    first, again, other = (draw(pool, points=40, seed=seed) for seed in (3, 3, 4))
    assert sum(q.points for q in first) == 40 and first == again and first != other
    assert {q.chapter[:2] for q in first} == {"01", "05"} and len(set(first)) == len(first)
    assert sum(q.points for q in draw(pool, points=1, seed=0)) == 0 < len(pool)  # no question is that small


def test_the_sheet_keeps_the_answers_to_itself():
    asked, answered = (sheet(BANK, title="Exam", answers=answers) for answers in (False, True))
    assert "Usual wrong answer" in answered and "Usual wrong answer" not in asked and "1.3863" in answered and "1.3863" not in asked
    assert answered.count("<math") > asked.count("<math") > 100
    for page in (asked, answered):  # all equations were made, nothing is fetched
        assert "$" not in re.sub(r"<(pre|code).*?</\1>", "", page, flags=re.S) and not re.search(r"(?:src|href)=\"(?!#)", page)


def test_own_questions_lie_outside_the_course(tmp_path, capsys):
    folder = tmp_path / "own"
    folder.mkdir()
    questions(folder, GOOD.replace("What is the logarithm", "Privately: what is the logarithm"))
    to = ["--points", "3", "--to", str(tmp_path / "out")]
    assert main(["01", *to, "--private", str(folder), "--only-private"]) == 0
    assert "Privately" in (tmp_path / "out" / "exam_0.html").read_text() and "0.6931" in (tmp_path / "out" / "exam_0_answers.html").read_text()
    assert main(["01", *to, "--private", str(FOLDER)]) == 1 and "inside the course, which is public" in capsys.readouterr().err
    assert main(["01", *to, "--private", str(tmp_path / "out")]) == 1 and "holds no questions" in capsys.readouterr().err
    assert main(["77", *to]) == 1 and "no questions for '77'" in capsys.readouterr().err
    assert main(["01", "--points", "1", "--to", str(tmp_path)]) == 1 and "ask for more points" in capsys.readouterr().err
