"""What one student reads after grading: one HTML page that needs no network and no script, for the screen, paper and a screen reader.

    write_feedback(record, root / "feedback")      # -> feedback/STUDENT/CHAPTER/CHAPTER.html, where nbgrader puts its own

Each exercise says what was asked, what came back and what was expected, which known mistake that is and why one makes it, a hint, and
how the answer was found. What is off for being late stands apart from the points.
"""
from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from deepgen_lib.checks import registered

from .batch import NOTHING, WAITS
from .page import isolated, page, prose, text
from .record import HAND, Record, is_name, write_whole
from .score import Result
from .tempting import kind_of

MAX_NOTES, MAX_WORDS = 12, 800  # of one exercise; characters of one complaint
_RETURNED = re.compile(r"(?:you (?:returned|answered)|the (?P<quantity>.{1,80}?) of your answer is) (?P<got>.*?), expected (?P<want>.*?)(?: \(case: (?P<case>[^()]{1,120})\))?(?:; (?P<rest>.*))?", flags=re.DOTALL)


def write_feedback(record: Record, folder: Path) -> Path:
    """Write the page of one graded hand-in and return its path.  Raises ValueError for a name that would leave the folder."""
    if not is_name(record.student) or not is_name(record.chapter):
        raise ValueError(f"write_feedback: student {record.student!r}, chapter {record.chapter!r}, expected two names of folders; rename the folder of the hand-in")
    path = Path(folder) / record.student / record.chapter / f"{record.chapter}.html"
    write_whole(path, feedback_page(record))
    return path


def feedback_page(record: Record) -> str:
    """The whole page as HTML."""
    title = f"Feedback on {chapter_title(record.chapter)}"
    parts = [f"<header>\n<h1>{text(title)}</h1>\n{_who(record)}\n</header>\n<main>", _trouble(record), _points(record), _overview(record)]
    parts += [_exercise(result, number) for number, result in enumerate(record.results, 1)]
    return page(f"{title}, {record.student}", "\n".join([*parts, "</main>", _footer(record)]))


def chapter_title(stem: str) -> str:
    """01_gibbs_bound -> chapter 1, gibbs bound."""
    found = re.fullmatch(r"(\d\d)_(\w+)", stem)
    return f"chapter {int(found[1])}, {found[2].replace('_', ' ')}" if found else stem


def state_of(result: Result) -> tuple[str, str]:
    """(one of good, bad, wait; what it means in words)"""
    if result.part == HAND and not result.possible:
        return "good" if result.points >= 0 else "bad", "changed by hand"
    if result.part == HAND:
        return ("wait", "for a reader") if result.feedback.startswith(WAITS) else ("bad", "not written") if result.feedback == NOTHING else ("good" if result.points else "bad", "read")
    return ("good", "solved") if result.possible and result.points >= result.possible else ("bad", "not yet")


def number(value: float) -> str:
    """2.0 -> 2, 2.25 -> 2.25, -1 with a minus sign."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0", value > -0.005).replace("-", "−")


def _who(record: Record) -> str:
    when = f", handed in {text(_moment(record.submitted_at))}" if record.submitted_at else ""
    return f'<p class="soft">{isolated(record.student, limit=120)}{when}</p>'


def _moment(said: str) -> str:
    """2026-11-20T18:03:00+01:00 -> 2026-11-20, 18:03 (UTC+01:00)."""
    try:
        when = datetime.fromisoformat(said)
    except ValueError:
        return said
    return f"{when:%Y-%m-%d, %H:%M}" + (f" ({when.tzname()})" if when.tzinfo else "")


def _trouble(record: Record) -> str:
    return f'<div class="box mistake" role="note"><strong>About your file.</strong> <span class="said">{isolated(record.trouble)}</span></div>' if record.trouble else ""


def _points(record: Record) -> str:
    waiting = sum(result.possible for result in record.results if state_of(result)[0] == "wait")
    rows = [("Points", f"{number(record.points)} of {number(record.possible)}", "")]
    if waiting:
        rows.append(("Texts that wait for a reader, not yet among these points", f"up to {number(waiting)}", ""))
    if record.days_late > 0 or record.penalty > 0:
        off = f"{number(100 * record.penalty)} % off" if record.penalty else "nothing is taken off"
        rows.append((f"Late by {number(record.days_late)} days: {off}", number(record.final - record.points), ""))
    rows.append(("Your points", number(record.final), ' class="total"'))
    body = "\n".join(f'<tr{total}><th scope="row">{name}</th><td class="number">{value}</td></tr>' for name, value, total in rows)
    head = '<thead><tr><th scope="col">what</th><th scope="col" class="number">points</th></tr></thead>'
    return f'<table class="points">\n<caption>Your points</caption>\n{head}\n<tbody>\n{body}\n</tbody>\n</table>'


def _overview(record: Record) -> str:
    rows = []
    for number_, result in enumerate(record.results, 1):
        look, words = state_of(result)
        rows.append(f'<tr><th scope="row"><a href="#e{number_}">{_name(result)}</a></th><td><span class="{look}">{words}</span></td>'
                    f'<td class="number">{number(result.points)} of {number(result.possible)}</td></tr>')
    head = '<thead><tr><th scope="col">exercise</th><th scope="col">result</th><th scope="col" class="number">points</th></tr></thead>'
    return f'<nav aria-label="Exercises">\n<table>\n<caption>Exercises</caption>\n{head}\n<tbody>\n' + "\n".join(rows) + "\n</tbody>\n</table>\n</nav>"


def _name(result: Result) -> str:
    return text(result.title, limit=120) if result.part == HAND and result.possible else f"{text(result.exercise, limit=20)} {text(result.title, limit=120)}"


def _exercise(result: Result, number_: int) -> str:
    look, words = state_of(result)
    heading = f'<h2 id="e{number_}">{_name(result)}</h2>\n<p><span class="{look}">{words}</span>, {number(result.points)} of {number(result.possible)} points</p>'
    inside = _by_hand(result) if result.part == HAND else [*_asked(result), *_verdict(result), *_notes(result)]
    return f'<section class="exercise" aria-labelledby="e{number_}">\n' + "\n".join([heading, *inside]) + "\n</section>"


def _by_hand(result: Result) -> list[str]:
    sentence = {"read": "A person has read your text.", "changed by hand": "A person has changed the points of this exercise.",
                "for a reader": "A person reads your text and gives these points; the levels stand in the notebook above it.",
                "not written": "There is no text yet; the levels stand in the notebook above its place."}[state_of(result)[1]]
    said = result.feedback.removeprefix(WAITS).removeprefix("; ").removeprefix(NOTHING)
    return [f"<p>{sentence}</p>", *([f'<p class="said">{isolated(said)}</p>'] if said else [])]


def _asked(result: Result) -> list[str]:
    """The signatures, each with its sentence."""
    items = []
    for one in re.split(r"; (?=\w+(?:\(|;|$))", result.asked) if result.asked else []:
        signature = re.match(r"\w+(?:\(.*?\))?(?=: |$)", one, flags=re.DOTALL)
        cut = signature.end() if signature else 0
        items.append(f"<li><code>{text(one[:cut])}</code>{text(one[cut:])}</li>" if cut else f"<li>{text(one)}</li>")
    return ["<h3>What was asked</h3>", "<ul>", *items, "</ul>"] if items else []


def _verdict(result: Result) -> list[str]:
    if state_of(result)[0] == "good":
        return ["<h3>What is right</h3>", f"<p>{text(result.feedback.removeprefix('right: '))}.</p>"]
    complaint = result.feedback.removeprefix("not yet").removeprefix(f" ({result.part})").removeprefix(": ")
    message, question = _message(result)
    if message and complaint.endswith(message):
        complaint = complaint.removesuffix(message).removesuffix("; ")
    where = f" ({text(result.part)})" if result.part else ""
    shown = [f"<h3>What came back{where}</h3>", *_compared(complaint)] if complaint else []
    if result.misconception:
        why = kind_of(result.misconception, message, question=question).why
        shown += ["<h3>The likely mistake</h3>", '<div class="box mistake">', f"<p><strong>{text(result.misconception)}</strong>{f': {text(message)}.' if message else ''}</p>", f"<p>Why it is tempting: {text(why)}</p>", "</div>"]
    return shown + (["<h3>A hint</h3>", f'<div class="box hint"><p>{prose(result.hint)}</p></div>'] if result.hint else [])


def _compared(complaint: str) -> list[str]:
    """A table of returned and expected where the sentence has this form, else the sentence."""
    found = _RETURNED.fullmatch(complaint)
    if not found:
        return [f'<p class="said">{isolated(complaint, limit=MAX_WORDS)}</p>']
    answer = f"your answer ({text(found['quantity'])})" if found["quantity"] else "your answer"
    rows = [(answer, found["got"]), ("expected", found["want"]), ("on the input", found["case"])]
    body = [f'<tr><th scope="row">{name}</th><td class="said">{isolated(value, limit=MAX_WORDS)}</td></tr>' for name, value in rows if value]
    head = '<thead><tr><th scope="col">what</th><th scope="col">value</th></tr></thead>'
    return [f"<table>\n{head}\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>", *([f'<p class="said">{isolated(found["rest"], limit=MAX_WORDS)}</p>'] if found["rest"] else [])]


def _message(result: Result) -> tuple[str, bool]:
    """What the bank says of the mistake, "" when it is not in it; and whether its part asks for a choice."""
    for exercise in registered():
        for part in exercise.parts if exercise.id == result.exercise else ():
            if result.misconception in part.misconceptions and result.part in ("", part.name):
                return part.bank[result.misconception].message.rstrip("."), part.inputs is None
    return "", False


def _notes(result: Result) -> list[str]:
    if not result.notes:
        return []
    items = [f'<li class="said">{isolated(note, limit=400)}</li>' for note in result.notes[:MAX_NOTES]]
    more = [f"<li>and {len(result.notes) - MAX_NOTES} more</li>"] if len(result.notes) > MAX_NOTES else []
    return ["<h3>How your answer was found and run</h3>", "<ul>", *items, *more, "</ul>"]


def _footer(record: Record) -> str:
    facts = [f"Your code ran apart from everything else: {text(record.isolation)}." if record.isolation else "", f"Graded in {record.seconds:.0f} seconds by {text(record.edition)}." if record.edition else "",
             f"Your file begins with {text(record.sha256[:12])} (SHA-256)." if record.sha256 else "", "Something looks wrong? Ask your teacher for another look, with this page."]
    return "<footer>\n<p>" + " ".join(filter(None, facts)) + "</p>\n</footer>"
