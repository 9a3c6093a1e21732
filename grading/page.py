"""A page that a browser shows without network and without scripts, made of text that nobody vouches for.

Everything that comes from a hand-in goes through `text`: escaped, cut, with control and direction characters made visible.
"""
from __future__ import annotations

import html
import re
import unicodedata

from tools.mathml import mathml

MAX_TEXT = 2000  # characters of one text
_MARKS = 3       # accents on one letter; more would climb over the lines above
_MARKDOWN = re.compile(r"`(?P<code>[^`]+)`|(?<!\\)\$\$?(?P<tex>[^$]+)\$\$?|\*\*?(?P<strong>[^*\s](?:[^*]*[^*\s])?)\*\*?")

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fdfdfb; --soft: #5a5a5a; --line: #b9b9b4; --box: #f2f2ee; --good: #00624a; --bad: #a33a00; --wait: #00528a; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececea; --paper: #16171a; --soft: #b4b4b0; --line: #55565a; --box: #222327; --good: #5fd3ab; --bad: #ffa066; --wait: #8cc8f5; } }
body { font: 16px/1.55 system-ui, "DejaVu Sans", sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.55rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 0 0 .5rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
p { margin: .3rem 0; } a { color: var(--wait); } .soft { color: var(--soft); }
section { border-top: 1px solid var(--line); margin-top: 1.6rem; padding-top: 1rem; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; } caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); } th[scope=row] { font-weight: 500; } .number { text-align: right; padding-right: 0; white-space: nowrap; }
.points th[scope=row] { width: 70%; } tr.total th, tr.total td { font-weight: 700; border-bottom: 2px solid var(--ink); }
.good, .bad, .wait { overflow-wrap: normal; } .good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; } .wait { color: var(--wait); font-weight: 600; }
.box { background: var(--box); border-left: 4px solid var(--line); padding: .5rem .8rem; margin: .5rem 0; } .box.mistake { border-color: var(--bad); } .box.hint { border-color: var(--wait); }
code, td.said { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; } .said { white-space: pre-wrap; } bdi { overflow-wrap: anywhere; }
ul { margin: .3rem 0; padding-left: 1.2rem; } footer { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .6rem; font-size: .88rem; color: var(--soft); }
@media print { :root { --ink: #000; --paper: #fff; --soft: #333; --line: #888; --box: #fff; --good: #004d3a; --bad: #7a2b00; --wait: #003c66; } body { margin: 0; max-width: none; font-size: 10.5pt; } h2, h3 { break-after: avoid; } section.exercise, table, .box { break-inside: avoid; } a { text-decoration: none; color: inherit; } }
"""


def page(title: str, body: str) -> str:
    """A whole page. title: plain text. body: HTML."""
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">'
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{policy}\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="referrer" content="no-referrer">\n<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n')


def text(said: str, *, limit: int = MAX_TEXT) -> str:
    """A text as HTML that shows it and does nothing else."""
    said = str(said)
    cut = f" … (and {len(said) - limit:,} characters more)" if len(said) > limit else ""
    return html.escape("".join(map(_visible, _few_marks(said[:limit])))) + cut


def isolated(said: str, *, limit: int = MAX_TEXT) -> str:
    """The same, kept from turning the text around it when it is written from right to left."""
    return f"<bdi>{text(said, limit=limit)}</bdi>"


def prose(markdown: str) -> str:
    """Words of the course itself, such as a hint: `code`, *weight* and $equations$, the equations as MathML; all else is escaped."""
    pieces, end = [], 0
    for found in _MARKDOWN.finditer(markdown):
        pieces.append(text(markdown[end:found.start()]))
        if found["code"] is not None:
            pieces.append(f"<code>{text(found['code'])}</code>")
        elif found["tex"] is not None:
            pieces.append(_equation(found["tex"]))
        else:
            pieces.append(f"<strong>{text(found['strong'])}</strong>")
        end = found.end()
    return "".join([*pieces, text(markdown[end:])])


def _equation(tex: str) -> str:
    """MathML where the converter knows every command, else the TeX itself."""
    try:
        return mathml(tex) if "&" not in tex and len(tex) < MAX_TEXT else f"<code>{text(tex)}</code>"
    except ValueError:
        return f"<code>{text(tex)}</code>"


def _visible(character: str) -> str:
    """Controls, direction marks, invisible characters and halves of characters by their numbers."""
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"):
        return character
    return f"⟨U+{ord(character):04X}⟩"


def _few_marks(said: str) -> str:
    kept, marks = [], 0
    for character in said:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(character)
    return "".join(kept)
