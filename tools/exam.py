"""An exam sheet and its answers, drawn from the bank in source/exam:  make exam ARGS="01 05 --points 40 --seed 3"

    make exam ARGS="01 05"                        chapters 1 and 5, 30 points, seed 0: exams/exam_0.html and exams/exam_0_answers.html
    make exam ARGS="01 --private FOLDER"          draws from your own questions too: files named and written as those in source/exam
    make exam ARGS="01 --private FOLDER --only-private"

The bank is public, answers included: take it for practice, and vary it for an exam. Your own questions belong outside the repository.
How a question is written: `read_questions` below.
"""
from __future__ import annotations

import argparse
import html
import random
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tools.ledger import read_claims
from tools.sheet import page, to_html
from tools.sources import ROOT
from tools.writing import write_whole

KINDS = {"derive": "Derive", "compute": "Compute by hand", "find": "Find the error", "explain": "Explain", "judge": "True or false? Give a reason"}
HEADER = re.compile(rf"## (\d+\.[a-z]+) · (\S+) · ({'|'.join(KINDS)}) · (\d+) points? · (\d+) minutes?")
PARTS = re.compile(r"(?P<text>.+?)\n\*\*Answer\.\*\* (?P<answer>.+?)\n\*\*Usual wrong answer\.\*\* (?P<wrong>.+?)(?:\n```python\n(?P<code>.+?)\n```)?\s*\Z", re.S)


class Question(NamedTuple):
    """One question of the bank."""
    chapter: str   # "01_gibbs_bound"
    id: str        # "1.a"
    claim: str     # what it examines, an id of the chapter
    kind: str      # one of KINDS
    points: int
    minutes: int
    text: str      # Markdown
    answer: str    # Markdown; numbers that the code computes are **bold**
    wrong: str     # the usual wrong answer and what it shows
    code: str      # assigns `computed`, the list of the bold numbers; "" where there are none


def read_questions(path: Path) -> list[Question]:
    """The questions of one file of the bank.  A question is

        ## 1.a · B1 · compute · 3 points · 5 minutes
        the text, then on lines of their own **Answer.** ..., **Usual wrong answer.** ... and, where the answer has numbers,
        a block of Python that assigns `computed`, a list with the value of every **bold** number of the answer.

    Raises ValueError, naming the file and the question, for anything else.
    """
    blocks = re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.M)[1:]
    return [_question(path, block) for block in blocks]


def _question(path: Path, block: str) -> Question:
    title, _, body = block.partition("\n")
    header, parts = HEADER.fullmatch(title.strip()), PARTS.match(body)
    if not header:
        raise ValueError(f"read_questions: {path.name} has the heading {title!r}, expected '## 1.a · B1 · KIND · 3 points · 5 minutes', KIND one of {', '.join(KINDS)}")
    if not parts:
        raise ValueError(f"read_questions: {path.name}, question {header[1]} has no text, '**Answer.** ...' and '**Usual wrong answer.** ...' in this order, each beginning a line")
    text, answer, wrong, code = (part.strip() if part else "" for part in parts.group("text", "answer", "wrong", "code"))
    return Question(path.stem, header[1], header[2], header[3], int(header[4]), int(header[5]), text, answer, wrong, code)


def read_bank(folder: Path) -> list[Question]:
    """All questions of a folder, by chapter."""
    return [question for path in sorted(folder.glob("[0-9][0-9]_*.md")) for question in read_questions(path)]


def known_claims(chapter: str, root: Path = ROOT) -> set[str]:
    """What a question of the chapter may examine: its claims of the ledger, and what its lecture proves beside them by claim(ID, ...)."""
    lecture = root / "source" / "lectures" / f"{chapter}.py"
    proved = set(re.findall(r'\b(?:claim|derivation|planted_error)\("([^"]+)"', lecture.read_text(encoding="utf-8"))) if lecture.exists() else set()
    return {claim.id for claim in read_claims(root) if claim.chapter == chapter} | proved


def draw(questions: list[Question], *, points: int, seed: int) -> list[Question]:
    """Questions that make up the points, or as many below as can be had, spread over the chapters; the same for the same seed."""
    rng, by_chapter = random.Random(seed), {}
    for question in rng.sample(questions, len(questions)):
        by_chapter.setdefault(question.chapter, []).append(question)
    longest = max(map(len, by_chapter.values()), default=0)
    mixed = [group[turn] for turn in range(longest) for group in by_chapter.values() if turn < len(group)]
    reached: dict[int, list[Question]] = {0: []}  # points -> the first choice that gives them
    for question in mixed:
        for total in sorted(reached, reverse=True):
            if (new := total + question.points) <= points:
                reached.setdefault(new, [*reached[total], question])
    return sorted(reached[max(reached)], key=lambda question: (question.chapter, question.id))


def sheet(questions: list[Question], *, title: str, answers: bool) -> str:
    """The HTML page: the questions with room to write, or with their answers."""
    points, minutes = sum(q.points for q in questions), sum(q.minutes for q in questions)
    body = [f"<h1>{html.escape(title)}{': answers' if answers else ''}</h1>", f"<p>{len(questions)} questions, {points} points, about {minutes} minutes. Logarithms are natural.</p>"]
    body += [] if answers else ["<p>Name: ____________________________&emsp;Number: ______________</p>"]
    for number, question in enumerate(questions, start=1):
        source = f", {question.chapter} {question.id}, examines {question.claim}" if answers else ""
        head = f"<h2>{number}. {KINDS[question.kind]} <small>({question.points} points, {question.minutes} minutes{html.escape(source)})</small></h2>"
        rest = to_html(f"> **Answer.** {_quoted(question.answer)}\n\n**Usual wrong answer.** {question.wrong}") if answers else '<div class="lines"></div>'
        body.append(f'<div class="question">{head}{to_html(question.text)}{rest}</div>')
    return page(title, "\n".join(body))


def _quoted(text: str) -> str:
    return text.replace("\n", "\n> ")


def make(options: argparse.Namespace, *, root: Path = ROOT) -> tuple[Path, Path, int]:
    """Write sheet and answers; their paths and the points.  Raises ValueError for a chapter without questions or a private folder in the course."""
    bank = [] if options.only_private else read_bank(root / "source" / "exam")
    if options.private:
        if root.resolve() in [options.private.resolve(), *options.private.resolve().parents]:
            raise ValueError(f"exam: {options.private} lies inside the course, which is public; keep your own questions somewhere else")
        bank += (own := read_bank(options.private))
        if not own:
            raise ValueError(f"exam: {options.private} holds no questions; expected files such as 01_gibbs_bound.md, written as in source/exam")
    for chapter in options.chapters:
        if not any(question.chapter.startswith(chapter) for question in bank):
            raise ValueError(f"exam: no questions for {chapter!r}, expected one of {', '.join(sorted({question.chapter for question in bank}))}")
    chosen = draw([q for q in bank if q.chapter.startswith(tuple(options.chapters or [""]))], points=options.points, seed=options.seed)
    if not chosen:
        raise ValueError(f"exam: no question has {options.points} points or fewer; ask for more points")
    options.to.mkdir(parents=True, exist_ok=True)
    paths = tuple(options.to / f"exam_{options.seed}{end}.html" for end in ("", "_answers"))
    for path, answers in zip(paths, (False, True)):
        write_whole(path, sheet(chosen, title=options.title, answers=answers))
    return *paths, sum(question.points for question in chosen)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make exam", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="beginning of a chapter's name, such as 01; none means all")
    parser.add_argument("--points", type=int, default=30, help="points in all (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="another number draws other questions (default 0)")
    parser.add_argument("--title", default="Exam: deep generative models", help="what stands on top")
    parser.add_argument("--private", type=Path, metavar="FOLDER", help="a folder of your own questions, outside the course")
    parser.add_argument("--only-private", action="store_true", help="leave the public bank out")
    parser.add_argument("--to", type=Path, default=ROOT / "exams", metavar="FOLDER", help="where the two pages go (default exams/)")
    try:
        questions, answers, points = make(parser.parse_args(arguments))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{points} points: {questions}\nanswers: {answers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
