"""One TeX equation -> MathML, which browsers draw themselves, without network and without scripts."""
from __future__ import annotations

import re

from latex2mathml.converter import convert

UNKNOWN_COMMAND = re.compile(r"\\[A-Za-z{}]+")
THIN = '<mspace width="0.167em" />'  # TeX puts it around names of functions; the converter does not
NAMED = r"<mi>(?:log|ln|exp|sin|cos|tanh|det|dim|Pr)</mi>"
BEFORE_NAME = re.compile(rf"(?<=</mi>|</mn>)(?={NAMED})|(?<=</msu[bp]>)(?={NAMED})|(?<=&#x00029;</mo>)(?={NAMED})|(?<=</mfrac>)(?={NAMED})")
AFTER_NAME = re.compile(rf"(?<!<msub>)(?<!<msup>)({NAMED})(?=<m(?:i|n|frac|sub|sup|subsup|over|row|style|sqrt)\b)")
SIZES = re.compile(r"\\[Bb]igg?[lrm]?(?![A-Za-z])")  # MathML's brackets grow by themselves


def mathml(tex: str, *, display: bool = False) -> str:
    """The equation as MathML.  Raises ValueError naming a command that the converter does not know.

    The converter escapes nothing: "<" and ">" reach it as commands, and "&" only as the columns of an environment.
    """
    plain = re.sub(r"^> ?", "", tex, flags=re.M)  # a block may stand in a quotation
    plain = plain.replace("{aligned}", "{align*}")  # the same columns, under a name that the converter knows
    plain = SIZES.sub("", plain).replace(r"\arg", r"\operatorname{arg}").replace("<", r"\lt ").replace(">", r"\gt ").strip()
    plain = re.sub(r"\\(mathbb|mathcal) ?([A-Z])", r"\\\1{\2}", plain)  # between \begin and \end the converter wants the braces
    if "&" in plain and r"\begin" not in plain:
        raise ValueError(f"mathml: got '&' in {tex!r}, expected it between \\begin and \\end alone; leave it out")
    try:
        made = convert(plain, display="block" if display else "inline")
    except Exception as error:  # the converter's own kinds of error are many
        raise ValueError(f"mathml: got {tex!r}, expected TeX that latex2mathml can read ({type(error).__name__}); write it in a simpler way") from error
    if unknown := UNKNOWN_COMMAND.search(re.sub(r"<[^>]*>", " ", made)):
        raise ValueError(f"mathml: got the command {unknown[0]} in {tex!r}, expected one that latex2mathml knows; write it in a simpler way")
    return AFTER_NAME.sub(rf"\1{THIN}", BEFORE_NAME.sub(THIN, made))
