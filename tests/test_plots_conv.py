"""Figures of chapter 07: they draw what they were given, light stays light, and the widget shows the inference of its own setting."""
import math

import numpy as np
import pytest
import torch

from deepgen_lib import ConvDBN, plots
from deepgen_lib.conv_networks import complete, half_known
from deepgen_lib.conv_rbm import random_conv_rbm
from deepgen_lib.plots.conv import as_ink


def toy(seed: int = 0) -> ConvDBN:
    rng = torch.Generator().manual_seed(seed)
    return ConvDBN([random_conv_rbm(1, 2, 2, sigma=0.5, scale=0.7, rng=rng), random_conv_rbm(2, 2, 2, block=1, rng=rng)]).requires_grad_(False)


def faces(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 1, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def shown(picture, panel: int = 0) -> np.ndarray:
    return np.ma.filled(picture.figure.axes[panel].images[0].get_array(), np.nan)


def lines_of(picture, panel: int) -> dict:
    return {line.get_label(): line for line in picture.figure.axes[panel].lines}


def test_light_is_light_and_zero_is_middle_grey():
    photo = torch.tensor([[[0.0, 1.0], [0.25, 0.5]]])
    assert as_ink(photo, "photo").tolist() == [[[1.0, 0.0], [0.75, 0.5]]]
    white = torch.tensor([[[0.0, 3.0], [-3.0, 9.0]]])
    assert as_ink(white, "white").tolist() == [[[0.5, 0.0], [1.0, 0.0]]]
    assert as_ink(torch.stack([white[0], 5 * white[0]]), "each")[1].tolist() == as_ink(white, "each")[0].tolist() == [[0.5, 0.5 - 1 / 6], [0.5 + 1 / 6, 0.0]]
    with pytest.raises(ValueError, match="contrast is 'ink', expected"):
        as_ink(photo, "ink")


def test_pictures_are_a_sheet_in_reading_order():
    images = torch.rand(4, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    sheet = shown(plots.conv.pictures(images, columns=2))
    np.testing.assert_allclose(sheet[:20, :20], 1 - images[0, 0].numpy(), atol=1e-6)
    np.testing.assert_allclose(sheet[-20:, -20:], 1 - images[3, 0].numpy(), atol=1e-6)


def test_sliding_shows_its_four_arrays():
    v, W, I, p = (torch.rand(n, n, dtype=torch.float64) for n in (6, 3, 4, 2))
    picture = plots.conv.sliding(v, W, I, p)
    for panel, values in enumerate((v, W, I, p)):
        np.testing.assert_allclose(shown(picture, panel), values.numpy())


def test_rivals_draws_the_softmax_with_its_off_state_and_the_plain_maximum():
    I, x = torch.tensor([0.5, -1.0, 0.0, 0.2]), [-3.0, 0.0, 2.0]
    picture = plots.conv.rivals(I, 1, x)
    left, right = lines_of(picture, 0), lines_of(picture, 1)
    for place, value in enumerate(x):
        inputs = [0.5, value, 0.0, 0.2]
        total = 1 + sum(map(math.exp, inputs))
        assert left["this unit"].get_ydata()[place] == pytest.approx(math.exp(value) / total)
        assert left["its rival"].get_ydata()[place] == pytest.approx(math.exp(0.5) / total)
        assert left["pooling unit"].get_ydata()[place] == pytest.approx(1 - 1 / total)
        assert right["plain maximum"].get_ydata()[place] == pytest.approx(1 / (1 + math.exp(-max(inputs))))


def test_layers_have_a_panel_each_and_a_scale_for_each_tile():
    weak = torch.randn(6, 1, 15, 15, generator=torch.Generator().manual_seed(0))
    picture = plots.conv.layers({"one": weak, "two": torch.cat([weak, 1e-3 * weak])}, columns=3)
    assert [axis.get_title(loc="left") for axis in picture.figure.axes] == ["one", "two"]
    two = shown(picture, 1)
    np.testing.assert_allclose(two[:15], two[32:47], atol=1e-6, equal_nan=True)  # rows 0 and 2 of tiles


def test_by_depth_sorts_the_features_of_each_class_and_layer():
    precision = {"cars": {"layer 1": torch.tensor([0.2, 0.9, 0.4]), "layer 2": torch.tensor([0.5, 0.6])}, "faces": {"layer 1": torch.tensor([0.1, 0.3, 0.2]), "layer 2": torch.tensor([0.8, 0.7])}}
    picture = plots.conv.by_depth(precision, chance={"cars": 0.25, "faces": 0.1})
    for panel, (name, of_layer) in enumerate(precision.items()):
        for layer, values in of_layer.items():
            np.testing.assert_allclose(lines_of(picture, panel)[layer].get_ydata(), values.sort(descending=True).values)
        assert lines_of(picture, panel)["chance"].get_ydata()[0] == {"cars": 0.25, "faces": 0.1}[name]


def test_entropies_are_shares_of_the_layer():
    picture = plots.conv.entropies({"layer 1": torch.full((8,), math.log(4)), "layer 2": torch.tensor([0.0, math.log(4)])}, 4)
    heights = [patch.get_data().values for patch in picture.figure.axes[0].patches]
    assert heights[0][-1] == 1 and heights[0][:-1].sum() == 0 and heights[1][0] == heights[1][-1] == 0.5


def test_the_widget_shows_the_inference_of_its_setting_and_its_error():
    dbn, v = toy(), faces()
    render = plots.conv.occlusion(dbn, v, sweeps=(1, 4))
    for place in ("left", "bottom"):
        known = half_known(place, size=(7, 7)).double()
        for top_down in (True, False):
            guess = complete(dbn, v, known, n_sweeps=4, top_down=top_down, rng=torch.Generator().manual_seed(0))
            picture = render(hidden=place, sweeps=4, top_down=top_down)
            np.testing.assert_allclose(shown(picture)[-7:, :7], as_ink(guess, "white")[0])
            np.testing.assert_allclose(shown(picture)[8:15, :7], as_ink(v * known, "white")[0])
            hidden = (known == 0).expand_as(v)
            error = (guess - v)[hidden].square().mean().item()
            assert lines_of(picture, 1)["_now"].get_ydata()[0] == pytest.approx(error)
            assert lines_of(picture, 1)["top-down on" if top_down else "top-down off"].get_ydata()[1] == pytest.approx(error)
