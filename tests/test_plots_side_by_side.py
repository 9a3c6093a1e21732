"""Figures of chapter 13: a mark says on which side the truth lies, letters hide names until they are asked for, bars stand in the order of the measure."""
import pytest
import torch

from deepgen_lib import plots
from deepgen_lib.plots.side_by_side import Measure, Score

ORDER = ["vae", "rbm", "dbn"]
SHEETS = {name: torch.full((20, 16), k / 4) for k, name in enumerate(("rbm", "dbn", "vae"))}


def test_kinds_draws_each_score_with_the_mark_of_its_side():
    scores = {"a": Score(-90.0, -91.0, -88.5, "above"), "b": Score(-86.0, -86.0, -86.0), "c": Score(-84.0, -85.0, -83.0, "below")}
    axis, = plots.side_by_side.kinds(scores, truth={"a": -87.0}, ceiling=-80.0).figure.axes
    places = {line.get_marker(): line.get_xydata().tolist() for line in axis.lines if line.get_marker() in ("o", ">", "<", "D", "|") and len(line.get_xydata()) == 1 and line.get_markersize() > 7}
    assert places == {">": [[-90.0, 0.0]], "o": [[-86.0, -1.0]], "<": [[-84.0, -2.0]], "|": [[-87.0, 0.0]]}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b", "c"]
    ends = [segment[:, 0].tolist() for bars in axis.collections for segment in bars.get_segments()]
    assert [-91.0, -88.5] in ends and [-85.0, -83.0] in ends


def test_kinds_refuses_a_side_that_is_none():
    with pytest.raises(ValueError, match="kinds: got side 'left', expected one of exact, above"):
        plots.side_by_side.kinds({"a": Score(-1.0, -1.0, -1.0, "left")})


def test_a_sheet_is_that_of_its_letter_and_is_named_only_when_asked():
    render = plots.side_by_side.blind(SHEETS, ORDER)
    for letter, name in zip("ABC", ORDER):
        hidden, shown = render(sheet=letter, names="hidden"), render(sheet=letter, names="shown")
        assert hidden.figure.axes[0].images[0].get_array().max() == SHEETS[name].max()
        assert name not in hidden.alt and hidden.figure.axes[0].get_title(loc="left") == f"Sheet {letter}" and f"Sheet {letter}: {name}" in shown.alt


def test_all_sheets_show_letters_in_the_order_given():
    axis, = plots.side_by_side.all_sheets(SHEETS, ORDER).figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["A", "B", "C"]
    assert axis.images[0].get_array()[0, 0] == SHEETS["vae"][0, 0]


@pytest.mark.parametrize("order", [["rbm", "dbn"], ["rbm", "dbn", "nvae"], ["rbm", "rbm", "dbn", "vae"]], ids=str)
def test_names_that_do_not_fit_are_refused(order):
    with pytest.raises(ValueError, match="blind: got sheets of rbm, dbn, vae in the order"):
        plots.side_by_side.blind(SHEETS, order)


def test_best_by_puts_the_best_on_top_whichever_way_the_measure_goes():
    measures = {"likelihood": Measure({"rbm": -86.0, "dbn": -85.5, "vae": -90.0}, "nats"), "error": Measure({"rbm": 0.05, "vae": 0.1}, "share", more_is_better=False)}
    render = plots.side_by_side.best_by(measures, ORDER)
    named = lambda measure, names: [label.get_text() for label in render(measure=measure, names=names).figure.axes[0].get_yticklabels()]
    assert named("likelihood", "shown") == ["dbn", "rbm", "vae"] and named("likelihood", "hidden") == ["C", "B", "A"]
    assert named("error", "shown") == ["rbm", "vae"]
    bars = render(measure="error", names="shown").figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.05, 0.1] and render(measure="error", names="shown").figure.axes[0].yaxis_inverted()
    with pytest.raises(ValueError, match="'likelihood' has values for vae, expected models among rbm, dbn"):
        plots.side_by_side.best_by(measures, ["rbm", "dbn"])
