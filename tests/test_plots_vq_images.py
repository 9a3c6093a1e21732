"""Figures of chapter 10: what is drawn is what was given, and titles say the perplexity of the counts."""
import math

import pytest
import torch

from deepgen_lib import plots
from deepgen_lib.plots.vq_images import Run
from deepgen_lib.vector_quantisation import perplexity

COUNTS = torch.tensor([8.0, 0.0, 4.0, 4.0])


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_usage_draws_shares_from_the_busiest_down_and_says_the_perplexity():
    picture = plots.vq_images.usage({"a": COUNTS, "b": torch.ones(4)})
    assert f"perplexity {perplexity(COUNTS):.1f} share in use 0.75" in picture.description and "perplexity 4.0 share in use 1.00" in picture.description
    axis = picture.figure.axes[0]
    assert axis.patches[0].get_data().values.tolist() == [0.5, 0.25, 0.25, 0.0]
    assert axis.lines[0].get_ydata()[0] == 0.25  # uniform


def test_code_maps_colours_a_cell_by_the_value_of_its_code():
    ids, values = torch.tensor([[[0, 1], [1, 0]]]), torch.tensor([3.0, 7.0])
    pictures = torch.rand(1, 16, generator=rng())
    axes = plots.vq_images.code_maps(pictures, ids, pictures, values).figure.axes
    assert axes[1].images[0].get_array().tolist() == [[3.0, 7.0], [7.0, 3.0]]
    assert axes[1].images[0].get_clim() == (3.0, 7.0)


def test_edited_shows_the_difference_and_frames_the_window():
    before, after = torch.zeros(8, 8), torch.zeros(8, 8)
    after[2, 3] = 0.5
    axes = plots.vq_images.edited(before, after, (1, 5, 2, 6)).figure.axes
    assert axes[2].images[0].get_array()[2, 3] == 0.5 and float(abs(axes[2].images[0].get_array()).sum()) == 0.5
    box = axes[0].patches[-1].get_bbox()
    assert (box.y0, box.y1, box.x0, box.x1) == (0.5, 4.5, 1.5, 5.5)


def test_a_colour_picture_stands_upright_in_its_own_colours():
    images = torch.zeros(3, 3, 4, 6)
    images[1, 0, 0] = 1.0  # second picture: a red top row
    sheet = plots.vq_images.colour_grid(images, columns=2).figure.axes[0].images[0].get_array()
    assert sheet.shape == (9, 13, 3)
    assert sheet[0, 7:13].tolist() == [[1.0, 0.0, 0.0]] * 6 and sheet[1, 7:13].max() == 0
    assert sheet[4].min() == 1.0 and sheet[5:, 7:].min() == 1.0  # the gap and the missing tile are white


def test_bit_bars_lay_the_parts_end_to_end():
    axis, = plots.vq_images.bit_bars({"one": {"codes": 0.25, "pixels": 0.5}, "two": {"codes": 0.125, "pixels": 0.75}}).figure.axes
    codes, pixels = axis.containers
    assert [bar.get_width() for bar in pixels] == [0.5, 0.75] and [bar.get_x() for bar in pixels] == [0.25, 0.125]
    assert [text.get_text().strip() for text in axis.texts] == ["0.750", "0.875"]


def test_two_levels_draws_both_errors_of_each_row():
    images = {name: torch.rand(2, 3, 8, 8, generator=rng()) for name in ("pictures", "both", "no bottom")}
    left, right = plots.vq_images.two_levels(images, {"both": (0.1, 0.2), "no bottom": (0.15, 0.4)}).figure.axes
    assert [bar.get_height() for bar in right.containers[1]] == [0.2, 0.4] and right.containers[0].get_label() == "layout"
    assert [label.get_text() for label in left.get_yticklabels()] == list(images)


def runs() -> dict:
    def run(shift: int) -> dict:
        return {step: Run((torch.arange(6.0) - step - shift).clamp_min(0) + torch.eye(6)[5], torch.rand(2, 16, generator=rng())) for step in (0, 3)}
    return {(k, cure): run(k // 8 + (cure == "on")) for k in (4, 8) for cure in ("off", "on")}


def test_collapse_shows_the_run_that_is_asked_for():
    found, pictures = runs(), torch.rand(2, 16, generator=rng())
    render = plots.vq_images.collapse(found, pictures)
    for (k, cure), run in found.items():
        for step, (counts, decoded) in run.items():
            words = render(step=step, n_codes=k, revival=cure).description
            assert f"perplexity {perplexity(counts):.1f}" in words
            assert f"squared error {(pictures - decoded).square().mean():.3f}" in words


def test_collapse_wants_the_same_steps_for_all_runs():
    broken = runs()
    del broken[8, "on"][3]
    with pytest.raises(ValueError, match=r"steps \[0\], expected \[0, 3\]"):
        plots.vq_images.collapse(broken, torch.rand(2, 16))


@pytest.mark.parametrize("call", [
    lambda: plots.vq_images.usage({"a": torch.zeros(3)}),
    lambda: plots.vq_images.usage({"a": torch.tensor([1.0, math.nan])}),
    lambda: plots.vq_images.colour_grid(torch.rand(2, 1, 4, 4)),
    lambda: plots.vq_images.colour_grid(torch.rand(4, 3, 4, 4), columns=2, row_labels=["a", "b", "c"]),
    lambda: plots.vq_images.bit_bars({"one": {"codes": 0.25}, "two": {"pixels": 0.75}}),
    lambda: plots.vq_images.two_levels({"a": torch.rand(2, 3, 8, 8)}, {"a": (math.nan, 0.1)}),
], ids=["never chosen", "nan counts", "grey", "too many names", "other parts", "nan error"])
def test_what_cannot_be_drawn_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
