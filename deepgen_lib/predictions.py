"""What the reader predicted, kept while they work: in memory, and in a small file beside the notebook so that a restart loses nothing.

Nothing leaves the machine. The file is written only when a reader chooses; a folder that cannot be written is no error.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

FILE = "predictions.json"


class Question(NamedTuple):
    text: str
    options: tuple[str, ...]


_asked: dict[str, Question] = {}
_chosen: dict[str, str] = {}  # key: the words of the option, so that reordered options do not change what was chosen


def ask(key: str, text: str, options: tuple[str, ...]) -> Question:
    """Remember a question; a choice made before a restart is found again."""
    _asked[key] = Question(text, options)
    if key not in _chosen and _stored().get(key) in options:
        _chosen[key] = _stored()[key]
    return _asked[key]


def asked(key: str) -> Question | None:
    return _asked.get(key)


def choose(key: str, index: int) -> None:
    """The reader takes option number index."""
    _chosen[key] = _asked[key].options[index]
    try:
        Path(FILE).write_text(json.dumps(_stored() | _chosen, indent=1, sort_keys=True), encoding="utf-8")
    except OSError:
        pass  # kept in memory all the same


def chosen(key: str) -> int | None:
    """The number of the option that the reader took, or None."""
    words = _chosen.get(key)
    return _asked[key].options.index(words) if key in _asked and words in _asked[key].options else None


def _stored() -> dict[str, str]:
    try:
        found = json.loads(Path(FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
