"""Compare two printed texts: words and integers exactly, numbers with a point or an exponent within a tolerance.

    |got - expected| <= atol + rtol |expected|
"""
from __future__ import annotations

import math
import os
import re
from typing import NamedTuple

# Blanks before a number belong to it, so a column stays the same column when a sign or a digit comes or goes.
# Not numbers: what follows a letter, '_', '.' or '#' (versions, names, colours). "7." counts only inside an array.
_FLOAT = re.compile(r"""
    (?: [ \t]+ | (?<![\w.\#]) )
    ( [-+−]? (?: \d+\.\d+(?:[eE][-+]?\d+)? | \.\d+(?:[eE][-+]?\d+)? | \d+\.(?=[,\])eE]|\s*\])(?:[eE][-+]?\d+)? | \d+[eE][-+]?\d+ ) (?! \d | \.\d )
    | [-+−]? (?:nan|NaN|inf|Inf) (?!\w) )""", re.VERBOSE)
_LIMIT_BEFORE = re.compile(r"(?:[<>≤≥]|\b(?:below|above))\s*$")


class Tolerance(NamedTuple):
    rtol: float = 1e-3
    atol: float = 1e-6


def tolerance_of(tags: list[str]) -> Tolerance:
    """What a cell's tags rtol-X and atol-X set; the default where they are silent."""
    given = {tag[:4]: float(tag[5:]) for tag in tags if tag.startswith(("rtol-", "atol-"))}
    return Tolerance()._replace(**given)


def first_difference(got: str, expected: str, tolerance: Tolerance = Tolerance()) -> str | None:
    """None when the two texts agree; otherwise which number or line differs, got, expected and allowed."""
    got_parts, expected_parts = _FLOAT.split(got), _FLOAT.split(expected)  # words, number, words, number, ..., words
    words_agree = got_parts[::2] == expected_parts[::2]
    for index in range(1, min(len(got_parts), len(expected_parts)), 2):
        if got_parts[index - 1] != expected_parts[index - 1]:
            break
        allowed = _allowed(got_parts[index], expected_parts[index], tolerance, after=expected_parts[index - 1])
        if allowed is not None:
            line = 1 + "".join(expected_parts[:index]).count("\n")
            return (f"number {(index + 1) // 2} (line {line}): got {got_parts[index]}, expected {expected_parts[index]}, {allowed}\n"
                    f"    in: {expected.splitlines()[line - 1].strip()[:120]}")
    return None if words_agree else _first_line_that_differs(got, expected, tolerance)


def _allowed(got: str, expected: str, tolerance: Tolerance, *, after: str) -> str | None:
    """None when the numbers agree; otherwise what would have been allowed, in words."""
    a, b = (float(text.replace("−", "-")) for text in (got, expected))
    is_limit = "e" in expected.lower() and _LIMIT_BEFORE.search(after)  # "< 1e-10" is said by the author, not measured
    if is_limit or not (math.isfinite(a) and math.isfinite(b)):
        same = a == b or (math.isnan(a) and math.isnan(b))
        return None if same else "allowed nothing else"
    room = tolerance.atol + tolerance.rtol * abs(b)
    return None if abs(a - b) <= room else f"allowed a difference of {room:.2g} (rtol {tolerance.rtol:g}, atol {tolerance.atol:g})"


def _first_line_that_differs(got: str, expected: str, tolerance: Tolerance) -> str:
    got_lines, expected_lines = got.splitlines(), expected.splitlines()
    for number, (a, b) in enumerate(zip(got_lines, expected_lines), start=1):
        if a != b and (_FLOAT.split(a)[::2] != _FLOAT.split(b)[::2] or first_difference(a, b, tolerance)):
            start = max(0, len(os.path.commonprefix([a, b])) - 60)  # a long line from shortly before they part
            return f"line {number}: got {a[start:start + 160].strip()!r}, expected {b[start:start + 160].strip()!r}, allowed no difference in words and integers"
    return f"got {len(got_lines)} line(s) ending in {got[-30:]!r}, expected {len(expected_lines)} ending in {expected[-30:]!r}"
