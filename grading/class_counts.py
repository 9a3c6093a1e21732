"""Counts over a class that show no single student: what is asked of read_records, and what may be said of it.

    a group of 1 or 2 is never a number of its own: it is merged with the next one, or said to be "fewer than 3"

Why: who knows two of a group of two knows the third fact as well; in a small class a count of 1 is a name. Groups are merged until
no sum, and no difference of sums of one table, leaves such a count behind.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .record import HAND, Record
from .score import Result

SMALLEST = 3
SOLVED, OTHER = "solved", "other"
NOTHING, STOPPED, UNKNOWN = "nothing written", "the code stopped or did not run", "no known mistake"
LATE = ((0.0, "on time"), (1.0, "1 day"), (3.0, "3 days"), (7.0, "7 days"), (float("inf"), "later"))
_EMPTY = ("nothing is written", "not written yet", "your notebook does not define", "the empty start")
_STOPPED = ("stopped with", "was stopped", "ran longer", "could not be made", "is no valid Python", "died", "memory", "returns nothing")


class ExerciseCounts(NamedTuple):
    id: str
    title: str
    n: int
    solved: int                  # exact: not to be shown as it is, see `share`
    reasons: dict[str, int]      # why not solved: known mistakes and other reasons, merged
    parts: dict[str, int]        # the part that failed first, merged; {} where there is one part
    hints: dict[str, str]        # known mistake -> the hint that its students got


class ChapterCounts(NamedTuple):
    chapter: str
    n: int                       # hand-ins
    exercises: tuple[ExerciseCounts, ...]
    points: dict[str, int]       # "0-20 %" -> students, merged
    late: dict[str, int]         # "on time" -> students, merged
    mean: float                  # share of the checks' points, before penalties


def chapter_counts(chapter: str, records: Sequence[Record]) -> ChapterCounts:
    """Of one chapter's records; hand-ins that never came are left out.  With fewer than 3 there is nothing but their number, cut to 0."""
    records = [record for record in records if record.sha256]
    if len(records) < SMALLEST:
        return ChapterCounts(chapter, 0, (), {}, {}, 0.0)
    names = list(dict.fromkeys((result.exercise, result.title) for record in records for result in record.results if result.part != HAND))
    exercises = tuple(_exercise(*name, [result for record in records for result in record.results if (result.exercise, result.title) == name and result.part != HAND]) for name in names)
    shares = [_share_of_checks(record) for record in records]
    return ChapterCounts(chapter, len(records), exercises, points_of(shares), lateness_of(record.days_late for record in records), round(sum(shares) / len(shares), 2))


def _share_of_checks(record: Record) -> float:
    """Points over possible ones, of what needs no reader."""
    checked = [result for result in record.results if result.part != HAND]
    return sum(result.points for result in checked) / max(sum(result.possible for result in checked), 1e-9)


def share(count: int, n: int) -> str:
    """24 of 30 (80 %), where neither the group nor the rest is small."""
    if count < SMALLEST:
        return f"fewer than {SMALLEST}"
    return f"all but fewer than {SMALLEST}" if n - count < SMALLEST else f"{count} of {n} ({100 * count / n:.0f} %)"


def merged(counts: Mapping[str, int], *, hidden: int = 0) -> dict[str, int]:
    """Groups of at least 3, the largest first; the others as one, to which the smallest of the rest is added while that one is small.

    hidden: students outside these groups whose number is not to be found as what is left over; they are added to the others.
    """
    ordered = sorted(((name, count) for name, count in counts.items() if count > 0), key=lambda pair: (-pair[1], pair[0]))
    shown, rest = [pair for pair in ordered if pair[1] >= SMALLEST], hidden + sum(count for _, count in ordered if count < SMALLEST)
    while 0 < rest < SMALLEST and shown:
        rest += shown.pop()[1]
    return dict(shown) | ({OTHER: rest} if rest >= SMALLEST else {})


def merged_ranges(counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first, last, count): neighbouring ranges put together until each holds nobody or at least 3."""
    ranges = [(i, i, count) for i, count in enumerate(counts)]
    while len(ranges) > 1 and (small := [i for i, one in enumerate(ranges) if 0 < one[2] < SMALLEST]):
        i = small[-1]
        before, after = (ranges[j][2] if 0 <= j < len(ranges) else -1 for j in (i - 1, i + 1))
        low, high = (i - 1, i) if after < 1 <= before or 1 <= before <= after or (before == 0 and after < 1) else (i, i + 1)
        ranges[low:high + 1] = [(ranges[low][0], ranges[high][1], ranges[low][2] + ranges[high][2])]
    return ranges


def points_of(shares: Iterable[float]) -> dict[str, int]:
    """Students by their share of the points, in fifths."""
    bins = Counter(min(4, int(5 * value + 1e-9)) for value in shares)
    return {f"{20 * first}-{20 * (last + 1)} %": count for first, last, count in merged_ranges([bins[i] for i in range(5)])}


def lateness_of(days: Iterable[float]) -> dict[str, int]:
    """Students by how late they were."""
    bins = Counter(next(i for i, (limit, _) in enumerate(LATE) if value <= limit) for value in days)
    return {_time(first, last): count for first, last, count in merged_ranges([bins[i] for i in range(len(LATE))])}


def _time(first: int, last: int) -> str:
    end = len(LATE) - 1
    if last == end:
        return "at any time" if first == 0 else f"more than {LATE[first - 1][1]}" if first > 1 else "late"
    return LATE[0][1] if last == 0 else f"{'on time or ' if first == 0 else ''}up to {LATE[last][1]}"


def reason_of(result: Result) -> str:
    """The known mistake, or what else kept it from being right; never a word of the student's."""
    if result.points >= result.possible > 0:
        return SOLVED
    if result.misconception:
        return result.misconception
    said = result.feedback[:400]
    return NOTHING if any(words in said for words in _EMPTY) else STOPPED if any(words in said for words in _STOPPED) else UNKNOWN


def _exercise(exercise: str, title: str, results: Sequence[Result]) -> ExerciseCounts:
    wrong = [result for result in results if reason_of(result) != SOLVED]
    solved = len(results) - len(wrong)
    reasons, parts = Counter(map(reason_of, wrong)), Counter(result.part or "before any part" for result in wrong)
    hidden, several = solved if solved < SMALLEST else 0, any(result.part for result in wrong)
    hints = {result.misconception: result.hint for result in results if result.misconception and result.hint}
    small = len(wrong) < SMALLEST
    return ExerciseCounts(exercise, title, len(results), solved, {} if small else merged(reasons, hidden=hidden), merged(parts, hidden=hidden) if several and not small else {}, hints)
