"""What was asked, what the reader predicted, and whether it came true; kept in record.py's file, so that a restart loses nothing."""
from __future__ import annotations

import math
from typing import NamedTuple

from . import record


class Question(NamedTuple):
    text: str
    options: tuple[str, ...]


class NumberQuestion(NamedTuple):
    text: str
    unit: str


_asked: dict[str, Question | NumberQuestion] = {}


def ask(key: str, text: str, options: tuple[str, ...]) -> Question:
    """Remember a question with options; a choice made before a restart is found again."""
    _asked[key] = question = Question(text, options)
    return question


def ask_number(key: str, text: str, unit: str) -> NumberQuestion:
    """Remember a question whose answer is a number."""
    _asked[key] = question = NumberQuestion(text, unit)
    return question


def asked(key: str) -> Question | NumberQuestion | None:
    return _asked.get(key)


def choose(key: str, index: int) -> None:
    """The reader takes option number index. Its words are kept, so that reordered options do not change what was chosen."""
    record.note("predictions", key, chose=_asked[key].options[index])


def chosen(key: str) -> int | None:
    """The number of the option that the reader took, or None."""
    words, question = record.entry("predictions", key).get("chose"), _asked.get(key)
    return question.options.index(words) if isinstance(question, Question) and words in question.options else None


def type_number(key: str, number: float) -> None:
    """The reader predicts this number."""
    record.note("predictions", key, typed=number)


def typed(key: str) -> float | None:
    """The number that the reader predicted, or None."""
    number = record.entry("predictions", key).get("typed")
    return float(number) if type(number) in (int, float) and math.isfinite(number) else None


def judge(key: str, right: bool | None) -> None:
    """The answer was shown. `right` is None without a prediction; the first verdict stays, for a guess after the answer is none."""
    verdict = {} if right is None or "right" in record.entry("predictions", key) else {"right": right}
    record.note("predictions", key, seen=True, **verdict)
