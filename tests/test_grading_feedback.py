"""Feedback pages: everything a student needs to read is there, nothing from a hand-in does anything, and every known mistake has its sentences."""
import html
import itertools
import re
from html.parser import HTMLParser

import pytest

from deepgen_lib.checks import registered
from grading import feedback, tempting
from grading.feedback import feedback_page, write_feedback
from grading.page import MAX_TEXT, STYLE, prose, text
from grading.record import HAND, Record
from grading.score import Result

WRONG = Result("1.1", "One number, three ways", 0.0, 3.0, "f(x, q): E_q[f] + H(q).  (B, K) -> (B,).; gap", "not yet (energy and entropy): you returned [1.0], expected [2.0] (case: random q); "
               "the entropy has the wrong sign: H(q) = -Σ q log q is added, it rewards a spread-out q", "energy and entropy", "entropy's sign", r"*Equation.* $H(q)=-\sum_k q_k\log q_k$, see `xlogy`", ("taken from cell 7",), 1.0)
RIGHT = Result("1.4", "The M-step is an average", 2.0, 2.0, "g(x): Means.", "right: weights and means", "", "", "", (), 0.5)
TEXT = Result("written-1-6", "Your three sentences on 1.6", 0.0, 3.0, "", "waits for grading by hand", HAND, "", "", (), 0.0)
RECORD = Record(1, "ada", "01_gibbs_bound", "ab" * 32, "2026-11-20T18:03:00+01:00", 2.0, 0.1, 2.0, 1.8, 8.0, "", "walls of bubblewrap", 12.0, "0.1.0 abc", (WRONG, RIGHT, TEXT))
NASTY = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='x", "</style><script>x</script>", "&lt;b&gt;&#60;b&#62;", r"$\text{<script>x</script>}$ $<b>$ `<b>` *<b>*",
         "\u202eabc\u2066", "\x00\x07\x1b[31m", "\ud800", "x" * 100_000, "e" + "\u0301" * 500, "]]><svg onload=x>", "<!--", "שלום עולם"]


class Page(HTMLParser):
    """Tags, attributes, the text of every element of a kind, and whether each table has a head and scopes."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.attributes, self.open, self.words, self.headings = [], [], [], [], []
        self.feed(page)
        self.text = re.sub(r" ([,:.])", r"\1", " ".join(" ".join(self.words).split()))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        self.open.append(tag) if tag != "meta" else None

    def handle_endtag(self, tag):
        if tag in self.open[-1:]:
            self.open.pop()
        else:
            self.tags.append(f"unopened {tag}")

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
            if self.open and re.fullmatch(r"h\d", self.open[-1]):
                self.headings.append((int(self.open[-1][1]), data))


def test_the_page_says_what_a_student_needs():
    words = Page(feedback_page(RECORD)).text
    for said in ("Feedback on chapter 1, gibbs bound", "ada, handed in 2026-11-20, 18:03 (UTC+01:00)", "Points 2 of 8", "Late by 2 days: 10 % off −0.2", "Your points 1.8", "wait for a reader", "up to 3",
                 "f(x, q): E_q[f] + H(q)", "your answer [1.0]", "expected [2.0]", "on the input random q", "entropy's sign: the entropy has the wrong sign", "Why it is tempting: The course changes between energies",
                 "taken from cell 7", "weights and means", "A person reads your text", "walls of bubblewrap", "0.1.0 abc", "abababababab"):
        assert said in words, said
    assert "not yet (energy" not in words and words.count("rewards a spread-out q") == 1


@pytest.mark.parametrize("change, state, said", [
    ({}, ("wait", "for a reader"), "A person reads your text"),
    ({"feedback": "waits for grading by hand; so far: nice start"}, ("wait", "for a reader"), "nice start"),
    ({"feedback": "nothing is written"}, ("bad", "not written"), "There is no text yet"),
    ({"feedback": "the third reason is missing", "points": 2.0}, ("good", "read"), "the third reason is missing"),
    ({"feedback": "off the question"}, ("bad", "read"), "off the question"),
    ({"feedback": "shown at the board", "points": -0.5, "possible": 0.0}, ("bad", "changed by hand"), "−0.5 of 0 points"),
], ids=["waits", "comment", "empty", "read", "zero", "changed"])
def test_what_a_person_gives_is_said(change, state, said):
    result = TEXT._replace(**change)
    assert feedback.state_of(result) == state and said in Page(feedback_page(RECORD._replace(results=(result,)))).text


def test_numbers_are_short():
    assert [feedback.number(x) for x in (0, 2.0, 2.25, 1 / 3, 10, -1.5, -0.001)] == ["0", "2", "2.25", "0.33", "10", "−1.5", "0"]


def test_on_time_there_is_no_line_about_being_late():
    assert "Late" not in Page(feedback_page(RECORD._replace(days_late=0.0, penalty=0.0, final=2.0))).text
    assert "Late by 0.02 days: nothing is taken off 0 Your points 2" in Page(feedback_page(RECORD._replace(days_late=0.02, penalty=0.0, final=2.0))).text


def test_trouble_with_the_file_stands_first():
    words = Page(feedback_page(RECORD._replace(trouble="the file is damaged"))).text
    assert words.index("the file is damaged") < words.index("Your points")


def test_it_is_written_where_nbgrader_looks(tmp_path):
    path = write_feedback(RECORD, tmp_path)
    assert path == tmp_path / "ada/01_gibbs_bound/01_gibbs_bound.html" and path.read_text(encoding="utf-8") == feedback_page(RECORD)


@pytest.mark.parametrize("change", [{"student": "../x"}, {"chapter": "a/b"}, {"student": ""}], ids=["up", "slash", "empty"])
def test_no_name_leaves_the_folder(change, tmp_path):
    with pytest.raises(ValueError, match="expected two names"):
        write_feedback(RECORD._replace(**change), tmp_path)


# ---- nothing of a hand-in does anything

ALLOWED = {"html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "footer", "div", "p", "h1", "h2", "h3", "span", "strong", "code", "a", "bdi", "ul", "li",
           "table", "caption", "thead", "tbody", "tr", "th", "td", "math", "mrow", "mi", "mo", "mn", "msub", "msup", "msubsup", "mtext", "munder", "munderover", "mover", "mfrac", "mspace", "mstyle"}


@pytest.mark.parametrize("nasty", NASTY, ids=[f"nasty{i}" for i in range(len(NASTY))])
def test_what_a_hand_in_says_is_only_shown(nasty, tmp_path):
    result = Result(nasty, nasty, 0.0, 3.0, f"f({nasty}): {nasty}", f"not yet: you returned {nasty}, expected {nasty} (case: a); {nasty}", nasty, nasty, nasty, (nasty,) * 30, 1.0)
    for one in (result, result._replace(feedback=f"not yet ({nasty}): {nasty}"), result._replace(part=HAND), result._replace(points=3.0)):
        record = RECORD._replace(submitted_at=nasty, trouble=nasty, isolation=nasty, edition=nasty, sha256=nasty, results=(one,))
        html = write_feedback(record, tmp_path).read_text(encoding="utf-8")
        page = Page(html)
        assert problems(page, html) == [] and not page.open


def problems(page: Page, html: str) -> list[str]:
    found = [f"tag {tag}" for tag in page.tags if tag not in ALLOWED]
    found += [f"attribute {name}={value!r}" for tag, name, value in page.attributes if name.startswith("on") or name in ("src", "srcset", "data", "action") or (name == "href" and not re.fullmatch(r"#e\d+", value))]
    found += [f"character {ord(c):x}" for c in html if c in "\u202e\u2066\x00\x07\x1b" or 0xD800 <= ord(c) < 0xE000]
    return found + (["too long"] if len(html) > 150_000 else [])


def test_a_text_let_through_is_found(monkeypatch):
    monkeypatch.setattr(feedback, "isolated", lambda said, limit=0: said)
    for nasty in NASTY[:2] + NASTY[6:8]:
        html = feedback_page(RECORD._replace(trouble=nasty))
        assert problems(Page(html), html), nasty


def test_long_texts_are_cut_and_say_so():
    assert text("x" * (MAX_TEXT + 5)).endswith("… (and 5 characters more)") and text("é\n\t∑ שלום") == "é\n\t∑ שלום"
    assert text("a\u202eb\x07") == "a⟨U+202E⟩b⟨U+0007⟩" and text("e" + "\u0301" * 50) == "e" + "\u0301" * 3


def test_equations_become_mathml_where_they_can():
    assert "<math" in prose(r"$\sum_k q_k$") and "<code>" in prose(r"$\nosuchcommand{x}$") and "&lt;b&gt;" in prose("<b>")
    hints = [hint for exercise in registered() for hint in exercise.hints]
    assert all("$" not in Page(f"<p>{prose(hint)}</p>").text for hint in hints)
    assert [hint for hint in hints if hint.count("$") >= 2 and "<math" not in prose(hint) and "`" not in hint] == []


# ---- readable by everyone

def test_headings_step_down_one_at_a_time():
    levels = [level for level, _ in Page(feedback_page(RECORD)).headings]
    assert levels[0] == 1 and levels.count(1) == 1 and all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_have_heads_with_scope():
    page = Page(feedback_page(RECORD))
    assert page.tags.count("table") == page.tags.count("thead") >= 3
    assert page.tags.count("th") == len([1 for tag, name, value in page.attributes if (tag, name) == ("th", "scope") and value in ("row", "col")])
    assert ("html", "lang", "en") in page.attributes


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    return sum(w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for w, p in zip((0.2126, 0.7152, 0.0722), parts))


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_enough(theme):
    """WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1."""
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", re.findall(r":root \{([^}]*--ink[^}]*)\}", STYLE)[theme]))
    for ink, paper in itertools.product(("ink", "soft", "good", "bad", "wait"), ("paper", "box")):
        low, high = sorted((luminance(colours[ink]), luminance(colours[paper])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


# ---- the bank of known mistakes

BANK = [(exercise, part, name, mistake.message) for exercise in registered() for part in exercise.parts for name, mistake in part.bank.items()]


def faults(name: str, message: str) -> list[str]:
    return [*(["name"] if not re.fullmatch(r"[^_<>]{1,40}", name) and "q_old" not in name else []), *(["sentence"] if len(message.split()) < 3 else [])]


def test_every_known_mistake_has_a_plain_name_and_a_sentence():
    assert len(BANK) > 700 and {exercise.chapter[:2] for exercise, *_ in BANK} >= {f"{n:02d}" for n in (*range(13), 14)}
    assert [(exercise.id, name) for exercise, _, name, message in BANK if faults(name, message)] == []
    assert faults("wrong_axis", "no") == ["name", "sentence"]


def test_every_known_mistake_has_a_reason_and_most_have_their_own():
    kinds = [tempting.kind_of(name, message, question=part.inputs is None) for _, part, name, message in BANK]
    assert all(len(kind.why.split()) >= 10 and kind.why.endswith(".") for kind in kinds)
    assert sum(kind is tempting.OTHER for kind in kinds) < 0.3 * len(kinds)
    assert {kind.name for kind in tempting.KINDS} == {kind.name for kind in kinds} - {tempting.OTHER.name, tempting.GUESS.name}


def test_every_known_mistake_is_explained_on_its_page():
    for exercise, part, name, message in BANK[::7]:
        where = part.name if len(exercise.parts) > 1 else ""
        result = Result(exercise.id, exercise.title, 0.0, 1.0, "", f"not yet{f' ({where})' if where else ''}: you returned 1, expected 2; {message}", where, name, "", (), 0.0)
        page = Page("".join(feedback._verdict(result))).text
        assert html.unescape(text(message.rstrip(".")[:40])).split()[0] in page and "Why it is tempting" in page and page.startswith("What came back") and "your answer 1 expected 2" in page
