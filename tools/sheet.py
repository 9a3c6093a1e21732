"""Markdown with TeX between dollars -> HTML that needs no network: the equations become MathML, which browsers draw themselves.

Used for slides, answer keys and exam sheets.
"""
from __future__ import annotations

import html
import re

from nbconvert.filters.markdown_mistune import markdown2html_mistune

from tools.mathml import mathml

TEX = re.compile(r"(?P<code>^```.*?^```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|(?<!\\)\$(?P<inline>[^$\n](?:[^$]*?[^$\s])?)\$", re.S | re.M)
KEPT = re.compile("\ue000(\\d+)\ue001")
STYLE = """
body { font: 16px/1.5 "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.2rem; border-top: 1px solid #bbb; padding-top: .8rem } h3 { font-size: 1.05rem }
pre { background: #f4f4f2; padding: .6rem .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.35; white-space: pre-wrap; overflow-wrap: anywhere } code { font-size: .9em }
table { border-collapse: collapse } th, td { border: 1px solid #bbb; padding: .25rem .6rem; text-align: left; vertical-align: top }
blockquote { border-left: 4px solid #4c72b0; margin: 1rem 0; padding: .1rem 1rem; background: #f3f6fb } .lines { height: 7rem } .anchor-link { display: none }
math[display=block] { margin: .4rem 0 } @media print { body { margin: 0; max-width: none } .question { break-inside: avoid } }
"""


class KeptAside:
    """Pieces of HTML that stand as short marks while Markdown is made into HTML around them."""

    def __init__(self):
        self.pieces: list[str] = []

    def keep(self, piece: str) -> str:
        """The mark that stands for a piece."""
        self.pieces.append(piece)
        return f"\ue000{len(self.pieces) - 1}\ue001"

    def equations(self, markdown: str) -> str:
        """The text with every equation outside code made into MathML and kept aside."""
        def replaced(match: re.Match) -> str:
            if match["code"]:
                return match[0]
            return self.keep(mathml(match["block"] or match["inline"], display=bool(match["block"])))
        return TEX.sub(replaced, markdown)

    def put_back(self, text: str) -> str:
        return KEPT.sub(lambda match: self.pieces[int(match[1])], text)


def to_html(markdown: str) -> str:
    """HTML of a piece of Markdown, its equations as MathML."""
    aside = KeptAside()
    return aside.put_back(markdown2html_mistune(aside.equations(markdown)))


def page(title: str, body: str) -> str:
    """A whole HTML page that fits a screen and a sheet of paper. body: HTML."""
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
            f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n")
