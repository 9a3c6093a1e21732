"""Do the answers of the exam bank hold?  python -m tools.exam_check [FOLDER]  checks source/exam, or a folder of your own questions.

Every bold number of an answer is computed by the question's own lines of Python, with torch, math and the names of deepgen_lib at hand.
"""
from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path

import torch

import deepgen_lib
from tools.exam import Question, known_claims, read_bank
from tools.ledger import read_claims
from tools.sources import ROOT

BOLD = re.compile(r"\*\*([-−]?\d[\d,]*(?:\.\d+)?)\*\*")
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+")
MIN_QUESTIONS, MIN_KINDS = 8, 4


def faults(question: Question) -> list[str]:
    """What is wrong with one question: an unknown claim, an answer's number that its code does not give, or one that nothing gives."""
    found, stated = [], BOLD.findall(question.answer)
    if question.claim not in known_claims(question.chapter):
        found.append(f"examines {question.claim}, which is no claim of {question.chapter}")
    if not 1 <= question.points <= 10 or not 1 <= question.minutes <= 20:
        found.append("wants 1 to 10 points and 1 to 20 minutes")
    values = _computed(question.code) if question.code else []
    if len(values) != len(stated):
        found.append(f"has {len(stated)} bold numbers in its answer, {len(values)} values in `computed`")
    found += [f"says {number}, its code gives {value:.6g}" for number, value in zip(stated, values) if not _agree(number, value)]
    given = {number for text in (question.text, *stated) for number in DECIMAL.findall(text)}
    found += [f"has the number {number} in its answer, which is neither given nor computed; make it bold" for number in DECIMAL.findall(question.answer) if number not in given]
    return [f"{question.chapter} {question.id} {fault}" for fault in found]


def bank_faults(questions: list[Question], *, root: Path = ROOT) -> list[str]:
    """What is wrong with a public bank: chapters with too few questions or kinds, claims of the ledger that none examines, ids used twice."""
    found, chapters = [], sorted({question.chapter for question in questions})
    for chapter in chapters:
        own = [question for question in questions if question.chapter == chapter]
        found += [f"{chapter} has the id {name} {count} times" for name, count in Counter(q.id for q in own).items() if count > 1]
        found += [f"{chapter} has the id {q.id}, expected one that begins with {int(chapter[:2])}." for q in own if not q.id.startswith(f"{int(chapter[:2])}.")]
        if len(own) < MIN_QUESTIONS or len({q.kind for q in own}) < MIN_KINDS:
            found.append(f"{chapter} has {len(own)} questions of {len({q.kind for q in own})} kinds, expected at least {MIN_QUESTIONS} of {MIN_KINDS}")
        missing = {claim.id for claim in read_claims(root) if claim.chapter == chapter} - {q.claim for q in own}
        found += [f"{chapter} has no question on {claim}" for claim in sorted(missing)]
    return found


def _computed(code: str) -> list[float]:
    names = {name: getattr(deepgen_lib, name) for name in set(re.findall(r"\w+", code)) & set(dir(deepgen_lib))}
    space = names | {"torch": torch, "math": math}
    with torch.no_grad():
        exec(compile(code, "<question>", "exec"), space)  # our own lines, read from the repository or from the caller's folder
    return [float(value) for value in space["computed"]]


def _agree(number: str, value: float) -> bool:
    """Whether a value rounds to the number as it is written."""
    plain = number.replace(",", "").replace("−", "-")
    return abs(value - float(plain)) <= 0.5 * 10.0 ** -len(plain.partition(".")[2]) + 1e-9 * abs(value)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else ROOT / "source" / "exam"
    questions = read_bank(folder)
    found = [fault for question in questions for fault in faults(question)] + ([] if arguments else bank_faults(questions))
    print("\n".join(found) or f"{len(questions)} questions, all right")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
