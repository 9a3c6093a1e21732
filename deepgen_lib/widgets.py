"""Things to touch: explore a picture with sliders, predict before looking, compare after.

With ranking.py, typed.py and progress_page.py the only file that imports ipywidgets. A widget is a pure function render(**parameters) -> Picture with at most three discrete controls;
it updates an image, so it needs no output capture, a keyboard suffices (tab, arrow keys), and where no kernel runs (GitHub, a printed page) its first
frame stands as an ordinary picture.
"""
from __future__ import annotations

import base64
import html
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import ipywidgets

from . import predictions
from .plots import Picture
from .plots.controls import control_options, first_values, render_name
from .typed import WIDGET_VIEW, reveal_number

KEPT_FRAMES = 64
FRAME_DPI = 120  # of a picture that moves: a little coarser than one that stands


def explore(render: Callable[..., Picture], *, start: Mapping | None = None, **controls: Sequence) -> Explorer:
    """A picture and a slider per control.  explore(render, k=[1, 2, 5]) shows render(k=1) and redraws when the slider moves.

    controls: up to three; each a sequence of values or of (label, value) pairs; without any, those that `@explorable` gave to render.
    start: {control: value} of the first frame, where it is not the default of the parameter or the first value.
    """
    return Explorer(render, controls or getattr(render, "controls", {}), start or {})


def sweep(render: Callable[..., Picture], **controls: Sequence) -> dict[tuple, Picture]:
    """Every frame of a widget, checked: each is a Picture, none holds NaN, and moving any one control changes the picture.

    Returns {(value of the first control, ...): Picture}. Raises AssertionError naming the frame that is wrong.
    """
    explorer = Explorer(render, controls or getattr(render, "controls", {}), {})
    frames = {values: explorer.frame(**dict(zip(explorer.options, values))) for values in explorer.combinations()}
    for values, picture in frames.items():
        if "not a number" in picture.description or "not finite" in picture.description:
            raise AssertionError(f"sweep: the frame at {dict(zip(explorer.options, values))} shows NaN: {picture.description}")
    for i, name in enumerate(explorer.options):
        if not any(a.description != b.description for (u, a), (v, b) in itertools.combinations(frames.items(), 2) if u[:i] + u[i + 1:] == v[:i] + v[i + 1:]):
            raise AssertionError(f"sweep: moving {name!r} changes no frame; the control does nothing")
    return frames


def predict(key: str, question: str, options: Sequence[str]) -> Prediction:
    """Ask before showing: the reader chooses one option, and `reveal(key, ...)` comes back to it."""
    options = tuple(options) if not isinstance(options, str) else (options,)
    if not all(isinstance(words, str) and words.strip() for words in (key, question, *options)):
        raise ValueError(f"predict: got key {key!r}, question {question!r}, options {options!r}, expected non-empty texts")
    if not 2 <= len(set(options)) == len(options) <= 6:
        raise ValueError(f"predict {key}: got {len(options)} options, expected 2 to 6, all different: {options!r}")
    return Prediction(key, predictions.ask(key, question, options))


def reveal(key: str, answer: int | float, text: str = "", *, within: float | None = None) -> None:
    """Print the answer, why, and, where the reader predicted, whether it agrees.

    answer: the number of the right option, counted from 0; after `predict_number` the number itself, and `within` says how far off a
    prediction still counts as right (by default a tenth of the answer).
    """
    question = predictions.asked(key)
    if question is None:
        raise ValueError(f"reveal: nothing was asked as {key!r}; run the cell with predict({key!r}, ...) first")
    if isinstance(question, predictions.NumberQuestion):
        line = reveal_number(key, question, answer, within)
    else:
        line = _reveal_option(key, question, answer, within)
    print(line + (f"\n{text}" if text else ""))


def _reveal_option(key: str, question: predictions.Question, answer: int, within: float | None) -> str:
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(question.options):
        raise ValueError(f"reveal {key}: got option {answer!r}, expected a whole number from 0 to {len(question.options) - 1}")
    if within is not None:
        raise ValueError(f"reveal {key}: got within={within!r} for a question with options, expected it after predict_number alone; leave it out")
    chosen = predictions.chosen(key)
    predictions.judge(key, None if chosen is None else chosen == answer)
    verdict = "" if chosen is None else " You predicted this." if chosen == answer else f" You predicted {_letter(chosen)})."
    return f"Answer {key}: {_letter(answer)}) {question.options[answer]}.{verdict}"


class Explorer:
    """A render, its controls and, once shown, its sliders; made by `explore`."""

    def __init__(self, render: Callable[..., Picture], controls: Mapping[str, Sequence], start: Mapping):
        self.render, self.options = render, control_options(render, controls)
        self.values = first_values(render, self.options, start)
        self._frames: dict[tuple, Picture] = {}
        self._first: Picture | None = None
        self.picture = self.frame(**self.values)  # drawn at once: a fault shows here, not on the first move
        self._box = None

    def frame(self, **values) -> Picture:
        """The picture at these values of the controls; drawn once, then kept."""
        key = tuple(values[name] for name in self.options)
        if key not in self._frames:
            picture = self.render(**values)
            if not isinstance(picture, Picture):
                raise ValueError(f"explore: {render_name(self.render)} returned {type(picture).__name__}, expected a Picture; return plots.lines(...) or Picture(figure)")
            self._keep(key, picture)
        return self._frames[key]

    def _keep(self, key: tuple, picture: Picture) -> None:
        """Remember a frame, with its panels where the first frame has them; of many frames the oldest are drawn anew when asked for."""
        if self._first is None:
            self._first = picture
        else:
            self._first.png(FRAME_DPI)  # drawn, so that its layout is known
            picture.place_like(self._first)
        while len(self._frames) >= KEPT_FRAMES:
            del self._frames[next(iter(self._frames))]
        self._frames[key] = picture

    def combinations(self) -> Iterator[tuple]:
        """The values of every frame, the last control running fastest."""
        return itertools.product(*([value for _, value in pairs] for pairs in self.options.values()))

    def move(self, **values) -> Picture:
        """Set controls, as a reader would with the sliders; returns the new picture."""
        unknown = set(values) - set(self.options)
        if unknown:
            raise ValueError(f"move: got {', '.join(sorted(unknown))}, expected controls among {', '.join(self.options)}")
        for name, value in values.items():
            if value not in [v for _, v in self.options[name]]:
                raise ValueError(f"move: got {name}={value!r}, expected one of {', '.join(label for label, _ in self.options[name])}")
        self.values = {**self.values, **values}
        self.picture = self.frame(**self.values)
        return self.picture

    def widget(self) -> ipywidgets.Widget:
        """The live widget: sliders above the picture."""
        if self._box is None:
            self._box = _live(self)
        return self._box

    @property
    def description(self) -> str:
        """The controls and the current picture in words."""
        lines = []
        for name, pairs in self.options.items():
            at = next(label for label, value in pairs if value == self.values[name])
            lines.append(f"Slider {_words(name)}: {', '.join(label for label, _ in pairs)}; at {at}")
        return "\n".join([*lines, self.picture.description])

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self.picture._repr_mimebundle_()
        data["text/plain"] = self.description
        data[WIDGET_VIEW] = _view(self.widget())
        return data, metadata

    def __repr__(self) -> str:
        return self.description


class Prediction:
    """A question with options to choose from; made by `predict`."""

    def __init__(self, key: str, question: predictions.Question):
        self.key, self.question = key, question

    @property
    def description(self) -> str:
        return "\n".join([f"Predict {self.key}. {self.question.text}", *(f"  {_letter(i)}) {words}" for i, words in enumerate(self.question.options))])

    def widget(self) -> ipywidgets.Widget:
        """The question above one button per option."""
        options = [(f"{_letter(i)}) {words}", i) for i, words in enumerate(self.question.options)]
        buttons = ipywidgets.RadioButtons(options=options, value=predictions.chosen(self.key), layout={"width": "auto"})
        buttons.observe(lambda change: change["new"] is not None and predictions.choose(self.key, change["new"]), names="value")
        return ipywidgets.VBox([ipywidgets.HTML(f"<b>Predict {html.escape(self.key)}.</b> {html.escape(self.question.text)}"), buttons])

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.description, WIDGET_VIEW: _view(self.widget())}

    def __repr__(self) -> str:
        return self.description


def _live(explorer: Explorer) -> ipywidgets.Widget:
    image = ipywidgets.HTML(_img(explorer.picture))
    sliders = []
    for name, pairs in explorer.options.items():
        slider = ipywidgets.SelectionSlider(options=pairs, value=explorer.values[name], description=_words(name), continuous_update=True,
                                            style={"description_width": "initial"}, layout={"width": "26em"})
        slider.observe(lambda change, name=name: _update(explorer, image, {name: change["new"]}), names="value")
        sliders.append(slider)
    return ipywidgets.VBox([*sliders, image])


def _update(explorer: Explorer, image: ipywidgets.HTML, values: dict) -> None:
    try:
        image.value = _img(explorer.move(**values))
    except KeyboardInterrupt:  # the reader stopped a slow frame; the slider stands there already
        image.value = '<pre role="alert">This frame was interrupted: move the slider again.</pre>'
    except Exception as error:  # a callback's exception would vanish into the server's log
        image.value = f'<pre role="alert">{html.escape(f"{type(error).__name__}: {error}")}</pre>'


def _img(picture: Picture) -> str:
    source = base64.b64encode(picture.png(FRAME_DPI)).decode()
    return f'<img src="data:image/png;base64,{source}" alt="{html.escape(picture.alt)}" width="{picture.width}" style="max-width: 100%">'


def _view(widget: ipywidgets.Widget) -> dict:
    return {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}


def _letter(index: int) -> str:
    return "abcdef"[index]


def _words(name: str) -> str:
    return name.replace("_", " ")
