"""Rank before looking: the reader puts items in an order, and hears afterwards how many pairs a measure orders alike.

    agreement = number of pairs (a, b), a placed before b, with score(a) > score(b)        of n (n - 1) / 2; a blind guess has half of them

The order is kept as predictions are. A list per place: the keyboard suffices.
"""
from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence

import ipywidgets

from . import predictions
from .widgets import WIDGET_VIEW

MAX_RANKED = 7  # 5,040 orders
BETWEEN, NOTHING = " > ", "–"


def rank(key: str, question: str, items: Sequence[str]) -> Ranking:
    """Ask for an order of the items, best first; `reveal_order(key, scores)` comes back to it."""
    items = tuple(items) if not isinstance(items, str) else (items,)
    if not all(isinstance(words, str) and words.strip() for words in (key, question, *items)):
        raise ValueError(f"rank: got key {key!r}, question {question!r}, items {items!r}, expected non-empty texts; pass letters or names")
    if not 2 <= len(set(items)) == len(items) <= MAX_RANKED:
        raise ValueError(f"rank: got {len(items)} items, expected 2 to {MAX_RANKED}, all different; got {items!r}: leave some out")
    orders = tuple(BETWEEN.join(order) for order in itertools.permutations(items))
    return Ranking(key, predictions.ask(key, question, orders), items)


def reveal_order(key: str, scores: Mapping[str, float]) -> None:
    """Print the items by their scores, the highest first, and, where the reader gave an order, how many of its pairs agree."""
    question = predictions.asked(key)
    if not isinstance(question, predictions.Question) or sorted(question.options[0].split(BETWEEN)) != sorted(scores):
        raise ValueError(f"reveal_order: got scores of {', '.join(scores) or 'nothing'} for {key!r}, expected those of the items that were asked for; run the cell with rank({key!r}, ...) first")
    print(f"Order {key}: " + BETWEEN.join(f"{item} ({scores[item]:.1f})" for item in sorted(scores, key=scores.get, reverse=True)))
    chosen = predictions.chosen(key)
    pairs = [] if chosen is None else list(itertools.combinations(question.options[chosen].split(BETWEEN), 2))
    alike = sum(scores[a] > scores[b] for a, b in pairs)
    predictions.judge(key, None if chosen is None else alike == len(pairs))
    if pairs:
        print(f"You have {alike} of {len(pairs)} pairs in this order; a blind guess has half of them.")


class Ranking:
    """A question whose answer is an order; made by `rank`."""

    def __init__(self, key: str, question: predictions.Question, items: tuple[str, ...]):
        self.key, self.question, self.items = key, question, items

    @property
    def description(self) -> str:
        return f"Rank {self.key}. {self.question.text}\n  best first: {', '.join(self.items)}"

    def widget(self) -> ipywidgets.Widget:
        """One list per place, and a line that says whether the order is complete."""
        kept = predictions.chosen(self.key)
        order = [NOTHING] * len(self.items) if kept is None else self.question.options[kept].split(BETWEEN)
        places = [ipywidgets.Dropdown(options=[NOTHING, *self.items], value=item, description=f"place {i}", layout={"width": "11em"}) for i, item in enumerate(order, start=1)]
        said = ipywidgets.HTML(self._verdict(order))

        def update(change) -> None:
            now = [place.value for place in places]
            said.value = self._verdict(now)
            if self._complete(now):
                predictions.choose(self.key, self.question.options.index(BETWEEN.join(now)))
        for place in places:
            place.observe(update, names="value")
        return ipywidgets.VBox([ipywidgets.HTML(f"<b>Rank {html.escape(self.key)}.</b> {html.escape(self.question.text)}"), *places, said])

    def _complete(self, order: Sequence[str]) -> bool:
        return sorted(order) == sorted(self.items)

    def _verdict(self, order: Sequence[str]) -> str:
        return "Your order is kept." if self._complete(order) else "Each place needs one of them, and each stands once."

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.description, WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}}

    def __repr__(self) -> str:
        return self.description
