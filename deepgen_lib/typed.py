"""Predict a number before seeing it: the reader types one, and `reveal` says how far off it was.

    predict_number("3.h", "How many nats does the model gain?", unit="nats")         ...the next cell...        reveal("3.h", gain, within=0.5)
"""
from __future__ import annotations

import html
import math
import re

import ipywidgets

from . import predictions
from .validate import in_words

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
FORMS = "a plain number such as -85.5, 1e-3, 2/3 or 10^6"
CLOSE = 0.1  # of the answer: so far off still counts as right where reveal says nothing else
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def predict_number(key: str, question: str, *, unit: str = "") -> NumberPrediction:
    """Ask for a number before showing it; `reveal(key, value)` comes back to it and says how far off it was.

    unit: of the number, such as "nats" or "%"; empty for a pure number.
    """
    if not all(isinstance(words, str) and words.strip() for words in (key, question)) or not isinstance(unit, str):
        raise ValueError(f"predict_number: got key {key!r}, question {question!r}, unit {unit!r}, expected texts; key and question say what is asked")
    return NumberPrediction(key, predictions.ask_number(key, question, unit.strip()))


def reveal_number(key: str, question: predictions.NumberQuestion, value: float, within: float | None) -> str:
    """The line that `reveal` prints; the prediction is judged right where it is at most `within` (default a tenth of |value|) off."""
    number = _finite(value)
    if number is None:
        raise ValueError(f"reveal {key}: got answer {in_words(value)}, expected one finite number, as predict_number asked for one; give the value itself")
    allowed = CLOSE * abs(number) if within is None else _finite(within)
    if allowed is None or not allowed > 0:
        raise ValueError(f"reveal {key}: got within={in_words(within)} for the answer {number:g}, expected a number above 0; say how far off still counts as right")
    guess = predictions.typed(key)
    predictions.judge(key, None if guess is None else abs(guess - number) <= allowed)
    line = f"Answer {key}: {_shown(value if isinstance(value, int) else number, question.unit)}."
    return line if guess is None else f"{line} You predicted {_shown(guess, question.unit, plain=True)}: {_how_far(guess, number, allowed, question.unit)}."


def read_number(text: str, unit: str = "") -> float:
    """The number that someone typed; its unit may stand behind it.  Raises ValueError with a sentence for the reader."""
    words = text.strip().replace("−", "-").casefold()
    if unit and words.endswith(unit.casefold()):
        words = words.removesuffix(unit.casefold()).strip()
    if "," in words:
        raise ValueError("read_number: got a comma, expected none; write 1.5, or 1000")
    found = re.fullmatch(rf"({NUMBER})\s*(?:(/|\^|\*\*)\s*({NUMBER}))?", words)
    try:
        first, sign, second = found.groups()
        number = float(first) if sign is None else float(first) / float(second) if sign == "/" else float(first) ** float(second)
    except (AttributeError, ArithmeticError):
        number = math.nan
    if isinstance(number, complex) or not math.isfinite(number):
        raise ValueError(f"read_number: got {text.strip()!r}, expected {FORMS}; a formula is worked out in a cell first")
    return number


class NumberPrediction:
    """A question whose answer is typed; made by `predict_number`."""

    def __init__(self, key: str, question: predictions.NumberQuestion):
        self.key, self.question = key, question

    @property
    def description(self) -> str:
        return f"Predict {self.key}. {self.question.text}\n  type a number{f' ({self.question.unit})' if self.question.unit else ''}"

    def widget(self) -> ipywidgets.Widget:
        """The question, a field for the number, and a line that says what is kept."""
        kept, unit = predictions.typed(self.key), self.question.unit
        field = ipywidgets.Text(value="" if kept is None else _shown(kept, plain=True), placeholder="a number, then Enter", description="Your number",
                                continuous_update=False, style={"description_width": "initial"}, layout={"width": "17em"})
        said = ipywidgets.HTML(_status("" if kept is None else f"Kept: {_shown(kept, unit, plain=True)}."), layout={"margin": "2px 1em"})

        def update(change) -> None:
            if change["new"].strip():
                said.value = _status(self._keep(change["new"]))
        field.observe(update, names="value")
        row = ipywidgets.HBox([field, ipywidgets.HTML(html.escape(unit)), said])
        return ipywidgets.VBox([ipywidgets.HTML(f"<b>Predict {html.escape(self.key)}.</b> {html.escape(self.question.text)}"), row])

    def _keep(self, text: str) -> str:
        """Keep what was typed, if it is a number; what to say about it."""
        try:
            number = read_number(text, self.question.unit)
        except ValueError as error:
            return f"Not kept: {str(error).partition(': ')[2]}."
        predictions.type_number(self.key, number)
        return f"Kept: {_shown(number, self.question.unit, plain=True)}."

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.description, WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}}

    def __repr__(self) -> str:
        return self.description


def _status(words: str) -> str:
    return f'<span role="status">{html.escape(words)}</span>'


def _finite(value) -> float | None:
    """A number or a tensor of one element as a float; None for anything else, and for NaN and infinities."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _shown(number: int | float, unit: str = "", *, plain: bool = False) -> str:
    """Four digits, with a point or an exponent unless plain (then nbval compares it within a tolerance), and the unit."""
    digits = str(number) if isinstance(number, int) else f"{number:.4g}"
    digits += "" if plain or isinstance(number, int) or set(digits) & {".", "e"} else ".0"
    return f"{digits} {unit}".strip()


def _how_far(guess: float, number: float, allowed: float, unit: str) -> str:
    """In words how a guess differs from the answer: a factor where both are above 0 and it is 2 or more, else the difference."""
    if abs(guess - number) <= allowed:
        return "close enough" if guess != number else "exactly right"
    if guess > 0 < number and not 0.5 < guess / number < 2:
        ratio = guess / number
        return f"{max(ratio, 1 / ratio):.2g} times too {'large' if ratio > 1 else 'small'}"
    return f"{_shown(float(f'{abs(guess - number):.2g}'), unit, plain=True)} too {'high' if guess > number else 'low'}"
