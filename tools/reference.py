"""What is made from claims, notebooks and the exam bank for looking things up: errata, self-test, and the small ledger in README.md.

    python -m tools.reference            write what is out of date
    python -m tools.reference --check    only say what is

Making the ledger (make build) does this too. The other pages of reference/ are written by hand; tests hold them to the notebooks.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

from tools import exam
from tools.ledger import KINDS, Claim, Tagged, read_claims, tagged_cells
from tools.sources import ROOT, built_path, read_notebook
from tools.writing import write_whole

HEADER = "| claim | chapter | proof | planted error | picture | exercise | slide | erratum |"
RULE = "|:--" * 8 + "|"
PER_CHAPTER = 6  # questions of the self-test, or one for each claim of the lecture where these are more
ERRATA = """# Errata of the slides

Where a slide says something that a computation refutes, or leaves out something without which it is false. Each entry says what is
wrong, what is right, and what the chapter computes to show it: the line beginning *breaks* is what the cell prints when the planted error,
the printed form among them where it can be computed, meets the claim. `LEDGER.md` in the folder of the course lists all claims.

<!-- Made by tools/reference.py from source/claims.toml and the built notebooks; do not edit. -->
"""
SHARPENED = """
## Not wrong, and worth a word

- **B3**, *Variational intuitions*: equality holds *if* $q$ is the posterior, says the slide. It holds if and only if ([1.4](../notebooks/01_gibbs_bound.ipynb)).
- **D1**, *Deep Belief Network*: the joint distribution "looks odd" only from below. From the top down each factor is the conditional probability of the
  next layer ([4.1](../notebooks/04_dbn_stacking.ipynb)).
- **D5**, *DBN Layer-wise Training*: the "inferred values" to train on are *samples* of $Q(h^1\\mid x)$; probabilities, or rounded values, are another
  objective ([4.5](../notebooks/04_dbn_stacking.ipynb)).
- **N2**, *Basic idea*: the sides of $z$ grow from scale to scale, not from group to group; two of the six networks have one scale only
  ([11.4](../notebooks/11_nvae_architecture.ipynb)).
- **N3**, the table: groups are listed from the top down ([11.5](../notebooks/11_nvae_architecture.ipynb)).
"""
SELF_TEST = """# Self-test for the exam

Answer first, on paper, then unfold. A question is done when your answer has the bold numbers or the same reason; if it is not, read the
named section again and come back another day. The number of points says how much an examiner would expect: about one sentence or one line of
calculation each. {count} questions; each belongs to a claim, and every claim of the lecture is asked at least once. To look up:
[formulas](formulas.md), [notation](notation.md), [glossary](glossary.md).

<!-- Made by tools/reference.py from the exam bank in source/exam, which has more of the same kind; do not edit. -->
"""


def readme_table(root: Path = ROOT) -> list[str]:
    """The small ledger: one line a claim, its cells by their ids, the first of each kind and how many more."""
    tagged, lines = tagged_cells(root), [HEADER, RULE]
    for claim in read_claims(root):
        def ids(kind: str) -> list[str]:
            return [tag.cell.id for tag in tagged if (tag.kind, tag.claim) == (kind, claim.id)]
        shown = [f"`{found[0]}`{f' +{len(found) - 1}' if len(found) > 1 else ''}" if (found := ids(kind)) else "" for kind in KINDS if kind != "exercise"]
        practised = ", ".join(name.removeprefix("check-").replace("-", ".") for name in ids("exercise"))
        chapter, exercises = (built_path(root, kind, claim.chapter).relative_to(root).as_posix() for kind in ("lectures", "exercises"))
        erratum = f"[yes](reference/errata.md#{claim.id.lower()})" if claim.erratum else ""
        cells = [claim.id, f"[{int(claim.chapter[:2])}]({chapter})", *shown, f"[{practised}]({exercises})" if practised else "", claim.slide, erratum]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def readme(root: Path = ROOT) -> str:
    """README.md with its small ledger as it should be.  Raises ValueError where it has none, or two."""
    lines = (root / "README.md").read_text(encoding="utf-8").split("\n")
    if lines.count(HEADER) != 1:
        raise ValueError(f"README.md: the line {HEADER!r} occurs {lines.count(HEADER)} times, expected once; put it where the small ledger belongs")
    start = lines.index(HEADER)
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return "\n".join([*lines[:start], *readme_table(root), *lines[stop:]])


def errata(root: Path = ROOT) -> str:
    """reference/errata.md: one section for each claim whose slide is wrong, in the order of the chapters."""
    tagged = tagged_cells(root)
    sections = [_erratum(claim, tagged) for claim in sorted(read_claims(root), key=lambda claim: claim.chapter) if claim.erratum]
    return ERRATA + "".join(sections) + SHARPENED


def self_test(root: Path = ROOT) -> str:
    """reference/self_test.md: questions of the bank by chapter, answers folded, with the section to read again."""
    bank, parts, titles, count = exam.read_bank(root / "source" / "exam"), [], [], 0
    for chapter in sorted({question.chapter for question in bank}):
        questions = _chosen([question for question in bank if question.chapter == chapter], {claim.id for claim in read_claims(root) if claim.chapter == chapter})
        lecture = read_notebook(built_path(root, "lectures", chapter))
        count += len(questions)
        titles.append(_title(lecture))
        parts.append(f"\n## {titles[-1]}\n" + "".join(_asked(question, lecture) for question in questions))
    jumps = " |\n".join(f"[{title}](#{_anchor(title)})" for title in titles)
    return f"{SELF_TEST.format(count=count)}\n{jumps}\n" + "".join(parts)


PAGES = {"README.md": readme, "reference/errata.md": errata, "reference/self_test.md": self_test}


def out_of_date(root: Path = ROOT, *, write: bool = False) -> list[str]:
    """The files that are not what they should be; with `write` they are mended."""
    stale = []
    for place, text in PAGES.items():
        new, path = text(root), root / place
        if not path.exists() or path.read_text(encoding="utf-8") != new:
            stale.append(place)
            if write:
                write_whole(path, new)
    return stale


def section_of(notebook, claim: str) -> str:
    """The heading under which a lecture proves a claim, "" where no cell calls claim(...) or derivation(...) with its name."""
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^## (.+)$", cell.source, re.M) or [heading])[-1]
        elif re.search(rf'\b(?:claim|derivation|planted_error)\("{re.escape(claim)}"', cell.source):
            return heading
    return ""


def _erratum(claim: Claim, tagged: list[Tagged]) -> str:
    chapter = f"[{claim.chapter}](../notebooks/{claim.chapter}.ipynb)"
    broken = [tag for tag in tagged if (tag.kind, tag.claim) == ("planted", claim.id)]
    printed = "".join(output.text for tag in broken for output in tag.cell.outputs if output.output_type == "stream")
    lines = "".join(f"{line}\n" for line in printed.splitlines() if line.startswith(f"{claim.id} breaks"))
    cells = ", ".join(f"`{tag.cell.id}`" for tag in broken)
    return (f"\n## {claim.id}\n\nSlide: *{claim.slide}*\n\n- **Wrong.** {claim.erratum}\n- **Right.** {claim.statement}\n"
            f"- **Shown** in {chapter}, cell {cells}:\n\n```text\n{lines}```\n")


def _chosen(questions: list[exam.Question], claims: set[str]) -> list[exam.Question]:
    """The first question of each claim of the lecture, then of what else is proved, then any, in their order, up to PER_CHAPTER."""
    seen, ranked = set(), []
    for place, question in enumerate(questions):
        again = question.claim in seen
        ranked.append((2 if again else question.claim not in claims, place, question))
        seen.add(question.claim)
    least = max(PER_CHAPTER, len(claims & seen))
    return [question for _, place, question in sorted(sorted(ranked)[:least], key=lambda entry: entry[1])]


def _asked(question: exam.Question, lecture) -> str:
    where = section_of(lecture, question.claim)
    again = f"Read again: [{where}](../notebooks/{question.chapter}.ipynb) (claim {question.claim})." if where else f"Read again: [the chapter](../notebooks/{question.chapter}.ipynb)."
    kind, points = exam.KINDS[question.kind], f"{question.points} point{'s' if question.points > 1 else ''}"
    return (f"\n### {question.id} · {kind} · {points}\n\n{question.text}\n\n<details><summary>Answer</summary>\n\n{question.answer}\n\n"
            f"*Usual wrong answer.* {question.wrong}\n\n{again}\n\n</details>\n")


def _anchor(title: str) -> str:
    """The name under which GitHub finds a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _title(notebook) -> str:
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.M)[1]


if __name__ == "__main__":
    check = sys.argv[1:] == ["--check"]
    stale = out_of_date(write=not check)
    print("\n".join(f"{place} {'is out of date' if check else 'was brought up to date'}" for place in stale) or "All is up to date.")
    sys.exit(1 if check and stale else 0)
